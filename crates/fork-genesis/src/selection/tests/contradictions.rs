//! Sources that cannot all be right.

use super::*;

#[test]
fn a_lie_is_found_out() {
    let mut views = three(&chain());
    views[1].blocks[0].commands = 8;
    let selection = apply(&views, &stored(&[13]));
    assert_only_problem(
        &selection,
        Outcome::Refused,
        &["daemons `a` and `b` describe block", "(commands)"],
    );
    // From a daemon that does not count it is a warning.
    views[1].sync_status = "CATCHUP".to_owned();
    let selection = apply(&views, &stored(&[13]));
    assert_eq!(selection.outcome, Outcome::Chosen);
    assert!(selection.document.warnings[0].contains("(commands)"));
}

#[test]
fn a_stored_block_knows_better_than_a_daemon() {
    let slot = SlotSinceHardFork::new;
    for (height, slot, outcome) in [
        (13, Some(slot(98)), Outcome::Chosen),
        (13, Some(slot(97)), Outcome::Refused),
        (14, Some(slot(98)), Outcome::Refused),
    ] {
        let mut blocks = stored(&[13]);
        blocks[0].blockchain_length = height;
        blocks[0].slot_since_hard_fork = slot;
        let selection = apply(&three(&chain()), &blocks);
        assert_eq!(selection.outcome, outcome);
        let problems = selection.document.problems.join("");
        assert_eq!(
            problems.contains("the stored block itself says"),
            outcome == Outcome::Refused
        );
    }
}

#[test]
fn daemons_of_two_networks_are_refused() {
    let mut views = three(&chain());
    views[2].chain_id = Some("other".to_owned());
    let selection = apply(&views, &stored(&[13]));
    assert_only_problem(
        &selection,
        Outcome::Refused,
        &["different networks", "chain by a, b; other by c"],
    );
    views[2].chain_id = None;
    assert_eq!(apply(&views, &stored(&[13])).outcome, Outcome::Chosen);
}
