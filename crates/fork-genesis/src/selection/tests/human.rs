//! What a human says, what is said to a human, and branches.

use super::*;

#[test]
fn a_human_may_agree_with_the_rule_or_override_it() {
    let human = |views: &[DaemonView], numbers: &[u64], wanted: u64| {
        select("devnet", &RULE, views, &stored(numbers), Some(hash(wanted)))
    };
    let views = three(&chain());
    let agreed = human(&views, &[12, 13], 13);
    assert_eq!(agreed.outcome, Outcome::Chosen);
    let chosen = agreed.document.chosen.unwrap();
    assert_eq!(chosen.by, ChosenBy::HumanAndRule);
    assert_eq!(agreed.document.problems, [""; 0]);

    let other = human(&views, &[12, 13], 12);
    assert_eq!(other.outcome, Outcome::Chosen);
    let chosen = other.document.chosen.as_ref().unwrap();
    assert_eq!(chosen.by, ChosenBy::HumanOverride);
    assert_eq!((chosen.blockchain_length, chosen.confirmations), (12, 5));
    let problems = &other.document.problems;
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("the rule points at block 13"),
        "{problems:?}"
    );
    assert_eq!(judged(&other, 12).rejected_because, [""; 0]);
    let reasons = &judged(&other, 13).rejected_because;
    assert!(
        reasons[0].starts_with("a human chose block 12"),
        "{reasons:?}"
    );

    // Before the chain is over a human overrides, even with the block the rule points at.
    let early = human(&with_clock(three(&chain()), 112), &[13], 13);
    assert_eq!(early.document.chosen.unwrap().by, ChosenBy::HumanOverride);
    assert!(early.document.problems[0].contains("8 slots until"));

    let late = human(&views, &[13, 14], 14);
    assert_eq!(late.outcome, Outcome::Chosen);
    let problems = late.document.problems.join("\n");
    assert!(problems.contains("its slot 101 is not below slot_tx_end 100"));
}

#[test]
fn a_human_cannot_choose_what_is_not_there() {
    let human = |numbers: &[u64], wanted: u64| {
        let views = three(&chain());
        select(
            "devnet",
            &RULE,
            &views,
            &stored(numbers),
            Some(hash(wanted)),
        )
    };
    assert_only_problem(
        &human(&[13], 77),
        Outcome::Refused,
        &["is unknown: no daemon showed it and it is not stored"],
    );
    assert_only_problem(
        &human(&[13], 12),
        Outcome::Pending,
        &["is not stored; capture can still get it"],
    );
    // Known only from the store: a block that left every chain before anybody looked.
    let selection = human(&[13, 50], 50);
    assert_eq!(selection.outcome, Outcome::Chosen);
    let problems = selection.document.problems.join("\n");
    assert!(problems.contains("no daemon shows the block"), "{problems}");
    // Seen once, on no best chain any more and not stored: nobody can get it.
    let mut views = three(&chain());
    views[0].blocks.push(block(40, 12, 13, 99));
    let gone = select("devnet", &RULE, &views, &stored(&[13]), Some(hash(40)));
    assert_only_problem(
        &gone,
        Outcome::Refused,
        &["is not stored, and no daemon has it on its best chain"],
    );
    assert_eq!(
        judged(&gone, 40).rejected_because,
        [
            "not on the strongest chain: that one has height 17, this branch ends at 13",
            "no daemon has it on its best chain",
            "never stored: no capture of it was completed",
        ]
    );
}

#[test]
fn stored_blocks_nobody_shows_are_judged_by_what_the_store_says() {
    let mut blocks = stored(&[13, 50, 51]);
    blocks[1].slot_since_hard_fork = Some(SlotSinceHardFork::new(97));
    blocks[2].slot_since_hard_fork = Some(SlotSinceHardFork::new(100));
    let selection = apply(&three(&chain()), &blocks);
    assert_eq!(
        judged(&selection, 50).rejected_because,
        ["no daemon shows it, so it is on no known chain"]
    );
    assert_eq!(
        judged(&selection, 51).rejected_because,
        [
            "its slot 100 is not below slot_tx_end 100",
            "no daemon shows it, so it is on no known chain"
        ]
    );
}

#[test]
fn a_side_branch_is_told_what_follows() {
    let mut views = three(&chain());
    views[0].blocks.push(block(40, 11, 12, 93));
    views[0].blocks.push(block(41, 40, 13, 99));
    let selection = apply(&views, &stored(&[13]));
    let reasons = &judged(&selection, 40).rejected_because;
    assert!(
        reasons[0].ends_with("this branch ends at 13"),
        "{reasons:?}"
    );
    assert!(reasons[1].starts_with("block 13 at slot 99"), "{reasons:?}");
}

#[test]
fn branches_hold_every_block_once() {
    let mut views = three(&chain());
    views[0].blocks.push(block(40, 12, 13, 99));
    views[1].blocks.push(block(41, 12, 13, 97));
    views[1].blocks.push(block(42, 41, 14, 99));
    let tree = tree::BlockTree::new(&views);
    let branches = tree.branches(Some(hash(17)));
    let shown: Vec<(bool, Vec<StateHash>)> = branches
        .into_iter()
        .map(|branch| (branch.is_main, branch.blocks))
        .collect();
    let main: Vec<StateHash> = (10..=17).rev().map(hash).collect();
    assert_eq!(
        shown,
        [
            (true, main),
            (false, vec![hash(42), hash(41)]),
            (false, vec![hash(40)])
        ]
    );
    assert!(tree.branches(None).iter().all(|branch| !branch.is_main));
    // A cycle, or a parent that is not lower, is not followed.
    let liar = view("x", &[block(1, 2, 5, 5), block(2, 1, 5, 5)]);
    let liars = [liar];
    let tree = tree::BlockTree::new(&liars);
    assert_eq!(tree.ancestors(hash(1)).count(), 1);
    let all: BTreeSet<StateHash> = tree
        .branches(None)
        .into_iter()
        .flat_map(|branch| branch.blocks)
        .collect();
    assert_eq!(all.len(), 2);
}
