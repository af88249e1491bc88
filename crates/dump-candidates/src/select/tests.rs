use clap::Parser;
use fork_genesis::network::StopSlots;
use fork_types::document::{SeenStopSlots, SelectionRule};

use super::*;
use crate::list::sample;
use fork_genesis::selection::rule::majority;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    select: SelectArgs,
}

fn slot(slot: u32) -> SlotSinceHardFork {
    SlotSinceHardFork::new(slot)
}

#[test]
fn options() {
    let parse = |text: &str| Line::try_parse_from(text.split_whitespace());
    let args = parse("select --network devnet -o out").unwrap().select;
    assert_eq!((args.confirmations, args.quorum), (15, None));
    assert!(!args.recompute_roots);
    for bad in [
        "select --network devnet",
        "select -o out",
        "select --network devnet -o out --quorum 0",
        "select --network devnet -o out --slot-tx-end -1",
        "select --network devnet -o out --state-hash jx",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn stop_slots_come_from_whoever_says_them() {
    let wishes = Wishes {
        confirmations: 3,
        ..Wishes::default()
    };
    let silent = || {
        let mut views = sample::views(0);
        for view in &mut views {
            view.stop = SeenStopSlots::default();
        }
        views
    };
    let file = StopSlots {
        slot_tx_end: Some(slot(1)),
        slot_chain_end: Some(slot(2)),
        hard_fork_genesis_slot_delta: None,
    };
    let none = StopSlots::default();
    let expected = |tx_end, chain_end| SelectionRule {
        slot_tx_end: slot(tx_end),
        slot_chain_end: slot(chain_end),
        confirmations: 3,
        quorum: 3,
    };
    // Daemons alone, one of them alone, the file alone.
    let views = sample::views(0);
    assert_eq!(
        rule(&wishes, &views, &none),
        Ok(expected(sample::TX_END, sample::CHAIN_END))
    );
    let mut one = silent();
    one[2] = views[2].clone();
    assert_eq!(
        rule(&wishes, &one, &none),
        Ok(expected(sample::TX_END, sample::CHAIN_END))
    );
    assert_eq!(rule(&wishes, &silent(), &file), Ok(expected(1, 2)));
    // Nobody.
    let error = rule(&wishes, &silent(), &none).unwrap_err();
    assert_eq!(
        error,
        StopSlotError::Unknown {
            what: "slot_tx_end"
        }
    );
    // A file and daemons, or two daemons, that contradict each other, all named.
    let error = rule(&wishes, &views, &file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the sources disagree on slot_tx_end: 413500 by daemon `seed-1`, 413500 by daemon `seed-2`, \
         413500 by daemon `seed-3`, 413500 by daemon `seed-4`, 1 by the network file"
    );
    let mut other = views.clone();
    other[1].stop.slot_chain_end = Some(slot(9));
    let error = rule(&wishes, &other, &none).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("slot_chain_end: 413560 by daemon `seed-1`, 9 by daemon")
    );
    // The command line decides, each number for itself.
    let decided = Wishes {
        slot_chain_end: Some(slot(7)),
        ..wishes
    };
    assert_eq!(
        rule(&decided, &other, &none),
        Ok(expected(sample::TX_END, 7))
    );
    let decided = Wishes {
        quorum: Some(9),
        ..decided
    };
    assert_eq!(rule(&decided, &other, &none).unwrap().quorum, 9);
}

#[test]
fn a_majority_is_more_than_half() {
    let majorities = [0, 1, 2, 3, 4, 5].map(majority);
    assert_eq!(majorities, [1, 1, 2, 2, 3, 3]);
}

fn selected(clock: u32, wanted: Option<StateHash>) -> fork_genesis::selection::Selection {
    let stock = sample::stock(sample::views(clock));
    let rule = rule(
        &Wishes {
            confirmations: 15,
            ..Wishes::default()
        },
        &stock.views,
        &StopSlots::default(),
    );
    let stored = stock.stored_blocks(|_, stored| stock.problems(stored));
    select("devnet", &rule.unwrap(), &stock.views, &stored, wanted)
}

#[test]
fn text_for_people_has_the_decision_and_every_reason() {
    let selection = selected(sample::CHAIN_END, None);
    let text = human(&selection.document, Some("out".as_ref()));
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
    let hash = sample::hash(1015);
    let head = format!(
        "fork block     {hash}\nheight         300015\nchosen by      the rule\nconfirmations  43 (15 \
         are needed)\ndaemons        3 (3 are needed): seed-1, seed-2, seed-3\nrule           \
         slot_tx_end 413500, slot_chain_end 413560\nwritten to     out\n"
    );
    assert!(text.starts_with(&head), "{text}");
    for part in [
        "warnings:\n  daemon `seed-4` disagrees",
        "daemon  counts  tip height  best tip",
        "not chosen:\n",
        "  block 300014 at slot 413498",
        "not on the strongest chain: that one has height 300058, this branch ends at 300022",
        "no daemon has it on its best chain",
        "never stored: no capture of it was completed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The chosen block is not among the rejected ones, and all others are.
    let shown = text.matches("\n  block 3000").count();
    assert_eq!(shown + 1, selection.document.candidates.len());

    let pending = selected(sample::CHAIN_END - 5, None);
    let text = human(&pending.document, None);
    assert!(text.starts_with("fork block     none\n"), "{text}");
    assert!(
        text.contains("what is in the way:\n  chosen so far: block 300015"),
        "{text}"
    );
    assert!(!text.contains("written to"));

    let by_human = selected(sample::CHAIN_END - 5, Some(hash));
    let text = human(&by_human.document, Some("out".as_ref()));
    assert!(
        text.contains("chosen by      a human, against the rule"),
        "{text}"
    );
    assert!(
        text.contains("what the rule has against it:\n  chosen so far"),
        "{text}"
    );
}

#[test]
fn errors_say_what_and_whose_fault() {
    let problems = vec!["a".to_owned(), "b".to_owned()];
    let pending = SelectError::Pending {
        problems: problems.clone(),
    };
    assert_eq!(pending.to_string(), "there is no fork block yet: a; b");
    assert_eq!(pending.class().exit_code(), 3);
    let refused = SelectError::Refused { problems };
    assert_eq!(refused.to_string(), "there is no fork block: a; b");
    assert_eq!(refused.class().exit_code(), 4);
    let unknown = SelectError::from(StopSlotError::Unknown {
        what: "slot_tx_end",
    });
    assert_eq!(unknown.class(), Class::Usage);
    let disagree = SelectError::from(StopSlotError::Disagree {
        what: "slot_tx_end",
        claims: Vec::new(),
    });
    assert_eq!(disagree.class(), Class::Wrong);
    for error in [pending, refused, unknown, disagree] {
        assert!(error.hint().is_some());
    }
}
