//! One table: a fork everybody agrees on, and one change of it for each reason.

use std::collections::BTreeSet;

use fork_types::document::{
    DaemonView, Document, JudgedCandidate, SeenBlock, SeenStopSlots, SelectionRule,
};
use fork_types::{
    EpochSeed, FieldBytes, LedgerHash, SlotSinceGenesis, SlotSinceHardFork, StateHash,
};

use super::*;

mod contradictions;
mod human;
mod properties;

const RULE: SelectionRule = SelectionRule {
    slot_tx_end: SlotSinceHardFork::new(100),
    slot_chain_end: SlotSinceHardFork::new(120),
    confirmations: 3,
    quorum: 2,
};

fn hash(number: u64) -> StateHash {
    StateHash::new(FieldBytes::from_u64(number))
}

/// A block; its number is its hash.
fn block(number: u64, parent: u64, height: u32, slot: u32) -> SeenBlock {
    let ledger = LedgerHash::new(FieldBytes::from_u64(number));
    let is_empty = slot >= RULE.slot_tx_end.get();
    SeenBlock {
        state_hash: hash(number),
        previous_state_hash: hash(parent),
        blockchain_length: height,
        global_slot_since_genesis: SlotSinceGenesis::new(slot + 1000),
        slot_since_hard_fork: SlotSinceHardFork::new(slot),
        staged_ledger_hash: ledger,
        staking_ledger_hash: ledger,
        next_ledger_hash: ledger,
        staking_seed: EpochSeed::new(FieldBytes::ZERO),
        next_seed: EpochSeed::new(FieldBytes::ONE),
        commands: if is_empty { 0 } else { 7 },
        fee_transfers: 0,
        coinbase_nanomina: if is_empty { "0" } else { "720000000000" }.to_owned(),
    }
}

fn view(name: &str, blocks: &[SeenBlock]) -> DaemonView {
    DaemonView {
        format: DaemonView::format(),
        version: DaemonView::version(),
        name: name.to_owned(),
        network_id: None,
        chain_id: Some("chain".to_owned()),
        daemon_version: None,
        sync_status: "SYNCED".to_owned(),
        stop: SeenStopSlots {
            slot_tx_end: Some(RULE.slot_tx_end),
            slot_chain_end: Some(RULE.slot_chain_end),
            hard_fork_genesis_slot_delta: None,
        },
        clock_slot: Some(RULE.slot_chain_end),
        synced_slot: None,
        observed_at_ms: 0,
        tip: blocks.last().map(|block| block.state_hash),
        reorganisations: 0,
        blocks: blocks.to_vec(),
    }
}

/// Heights 10 to 17; 13 (at slot 98) is the fork block.
fn chain() -> Vec<SeenBlock> {
    [90, 92, 95, 98, 101, 104, 106, 110]
        .into_iter()
        .zip(10..)
        .map(|(slot, height)| block(u64::from(height), u64::from(height) - 1, height, slot))
        .collect()
}

/// The chain up to `height`, and blocks at `slots` on top of it with numbers from `first`.
fn fork_off(height: u32, first: u64, slots: &[u32]) -> Vec<SeenBlock> {
    let mut blocks = chain();
    blocks.retain(|block| block.blockchain_length <= height);
    let mut parent = u64::from(height);
    for ((number, slot), height) in (first..).zip(slots).zip(height + 1..) {
        blocks.push(block(number, parent, height, *slot));
        parent = number;
    }
    blocks
}

fn stored(numbers: &[u64]) -> Vec<StoredBlock> {
    let blocks = numbers.iter().map(|number| StoredBlock {
        state_hash: hash(*number),
        // 40 is always the first block of a branch above height 12.
        blockchain_length: match number {
            40 => 13,
            number => u32::try_from(*number).unwrap(),
        },
        slot_since_hard_fork: None,
        unusable: None,
    });
    blocks.collect()
}

fn three(blocks: &[SeenBlock]) -> Vec<DaemonView> {
    ["a", "b", "c"].map(|name| view(name, blocks)).to_vec()
}

fn with_clock(mut views: Vec<DaemonView>, clock: u32) -> Vec<DaemonView> {
    for view in &mut views {
        view.clock_slot = Some(SlotSinceHardFork::new(clock));
    }
    views
}

fn apply(views: &[DaemonView], stored: &[StoredBlock]) -> Selection {
    select("devnet", &RULE, views, stored, None)
}

fn judged(selection: &Selection, number: u64) -> &JudgedCandidate {
    let all = selection.document.candidates.iter();
    all.clone()
        .find(|one| one.state_hash == hash(number))
        .unwrap()
}

#[track_caller]
fn assert_only_problem(selection: &Selection, outcome: Outcome, parts: &[&str]) {
    let problems = &selection.document.problems;
    assert_eq!(selection.outcome, outcome, "{problems:#?}");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in parts {
        assert!(problems[0].contains(part), "no `{part}` in {problems:#?}");
    }
    assert_eq!(selection.document.chosen, None);
}

#[test]
fn what_all_agree_on_is_chosen() {
    let selection = apply(&three(&chain()), &stored(&[12, 13]));
    assert_eq!(selection.outcome, Outcome::Chosen);
    assert_eq!(selection.leading, Some(hash(13)));
    assert_eq!(selection.strongest_tip, Some(hash(17)));
    let document = &selection.document;
    let chosen = document.chosen.as_ref().unwrap();
    assert_eq!(chosen.state_hash, hash(13));
    assert_eq!(chosen.blockchain_length, 13);
    assert_eq!(chosen.by, ChosenBy::Rule);
    assert_eq!(chosen.confirmations, 4);
    assert_eq!(chosen.daemons, ["a", "b", "c"]);
    assert_eq!(document.problems, [""; 0]);
    assert_eq!(document.warnings, [""; 0]);
    assert_eq!(document.daemons[1].fork_block, Some(hash(13)));
    assert_eq!(document.daemons[1].tip_length, Some(17));
    let heights = document.candidates.iter().map(|one| one.blockchain_length);
    assert_eq!(heights.collect::<Vec<_>>(), [10, 11, 12, 13]);
    assert!(judged(&selection, 13).is_stored);
    assert_eq!(judged(&selection, 13).rejected_because, [""; 0]);
    let follows = format!(
        "block 13 at slot 98 ({}) follows it below slot_tx_end",
        hash(13)
    );
    assert_eq!(judged(&selection, 12).rejected_because.join(""), follows);
    assert_eq!(
        judged(&selection, 11).rejected_because,
        [
            follows,
            "never stored: no capture of it was completed".to_owned()
        ]
    );
    let json = document.to_json().unwrap();
    assert_eq!(SelectionDocument::from_json(&json).unwrap(), *document);
}

#[test]
fn daemons_may_lag_on_the_same_chain() {
    let mut views = three(&chain());
    views[0].tip = Some(hash(15));
    let selection = apply(&views, &stored(&[13]));
    let chosen = selection.document.chosen.unwrap();
    assert_eq!((chosen.confirmations, chosen.daemons.len()), (4, 3));
    assert_eq!(selection.document.warnings, [""; 0]);
}

#[test]
fn the_fork_point_must_be_reached() {
    let mut early = chain();
    early.truncate(3);
    let views = with_clock(three(&early), 97);
    let selection = apply(&views, &stored(&[12]));
    assert_only_problem(
        &selection,
        Outcome::Pending,
        &[
            "the fork point is not reached",
            "block 12 at slot 95",
            "slot 97",
        ],
    );
    assert_eq!(selection.leading, None);
    // A tie before the fork point is none.
    let mut views = views;
    views[1] = view("b", &fork_off(11, 40, &[94]));
    views[1].clock_slot = None;
    assert_only_problem(
        &apply(&views, &stored(&[12])),
        Outcome::Pending,
        &["the fork point is not reached"],
    );
    // A clock beyond it is enough to go on to what is really missing.
    let selection = apply(&with_clock(three(&early), 100), &stored(&[12]));
    assert_eq!(selection.outcome, Outcome::Pending);
    assert_eq!(selection.leading, Some(hash(12)));
    assert!(selection.document.problems[0].contains("has 0 of 3 confirmations"));
}

#[test]
fn confirmations_must_be_there() {
    let mut short = chain();
    short.truncate(6);
    let parts = ["block 13 at slot 98", "has 2 of 3 confirmations"];
    let over = apply(&three(&short), &stored(&[13]));
    assert_only_problem(&over, Outcome::Refused, &parts);
    assert_eq!(judged(&over, 13).rejected_because, over.document.problems);
    let running = apply(&with_clock(three(&short), 119), &stored(&[13]));
    assert_eq!(running.outcome, Outcome::Pending);
    assert!(running.document.problems[0].contains(parts[1]));
    // The longest chain that has it counts, even when it is not the voter's own.
    let mut views = three(&short);
    views[2] = view("c", &chain());
    assert_eq!(apply(&views, &stored(&[13])).outcome, Outcome::Chosen);
}

#[test]
fn a_quorum_must_have_it() {
    let mut views = three(&chain());
    views[0] = view("a", &fork_off(12, 40, &[99, 103, 107]));
    views[1] = views[0].clone();
    views[1].name = "b".to_owned();
    let selection = apply(&views, &stored(&[13]));
    assert_only_problem(
        &selection,
        Outcome::Refused,
        &[
            "block 13 at slot 98",
            "on the best chain of 1 of 2 daemons: c",
        ],
    );
    assert_eq!(selection.document.warnings.len(), 2);
    let warning = &selection.document.warnings[0];
    for part in ["`a` disagrees", "block 13 at slot 99", "after block 12"] {
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(
        judged(&selection, 40).rejected_because[0],
        "not on the strongest chain: that one has height 17, this branch ends at 15"
    );
    let running = apply(&with_clock(views, 119), &stored(&[13]));
    assert_eq!(running.outcome, Outcome::Pending);
}

#[test]
fn one_dissenter_is_a_warning() {
    let mut views = three(&chain());
    views[2] = view("c", &fork_off(12, 40, &[99, 103, 107]));
    let selection = apply(&views, &stored(&[13]));
    assert_eq!(selection.outcome, Outcome::Chosen);
    assert_eq!(selection.document.chosen.unwrap().daemons, ["a", "b"]);
    assert!(selection.document.warnings[0].contains("`c` disagrees"));
    // The same daemon one block further behind than the fork is only late.
    let mut early = chain();
    early.truncate(2);
    views[2] = view("c", &early);
    let selection = apply(&views, &stored(&[13]));
    assert_eq!(selection.outcome, Outcome::Chosen);
    assert!(selection.document.warnings[0].contains("`c` is behind"));
    // So is one whose chain ends before the others' begins.
    views[2] = view("c", &[block(2, 1, 2, 3)]);
    let selection = apply(&views, &stored(&[13]));
    assert_eq!(selection.outcome, Outcome::Chosen);
    assert!(selection.document.warnings[0].contains("`c` is behind"));
}

#[test]
fn a_tie_is_never_broken() {
    let mut views = three(&chain());
    views[2] = view("c", &fork_off(12, 40, &[99, 103, 105, 107, 111]));
    let parts = [
        "a tie: 2 chains of the same greatest height 17",
        "block 13 at slot 98",
        "by a, b",
        "block 13 at slot 99",
        "by c",
    ];
    let numbers = [13, 40];
    let selection = apply(&views, &stored(&numbers));
    assert_only_problem(&selection, Outcome::Refused, &parts);
    assert_eq!(selection.leading, None);
    assert_eq!(selection.strongest_tip, None);
    for number in numbers {
        let reasons = &judged(&selection, number).rejected_because;
        assert_eq!(*reasons, selection.document.problems);
    }
    let running = apply(&with_clock(views.clone(), 119), &stored(&numbers));
    assert_only_problem(&running, Outcome::Pending, &parts);
    // A human breaks it, and the other block says so.
    let chosen = select("devnet", &RULE, &views, &stored(&numbers), Some(hash(40)));
    assert_eq!(chosen.outcome, Outcome::Chosen);
    assert_eq!(chosen.document.problems, selection.document.problems);
    let reasons = &judged(&chosen, 13).rejected_because;
    assert!(
        reasons[0].starts_with("a human chose block 13"),
        "{reasons:?}"
    );
    assert_eq!(judged(&chosen, 40).rejected_because, [""; 0]);
}

#[test]
fn chains_that_part_after_the_fork_block_are_no_tie() {
    let mut views = three(&chain());
    views[2] = view("c", &fork_off(14, 40, &[105, 107, 111]));
    let selection = apply(&views, &stored(&[13]));
    assert_eq!(selection.outcome, Outcome::Chosen);
    assert_eq!(selection.document.chosen.unwrap().daemons.len(), 3);
    // But each of them has to be empty.
    let mut blocks = fork_off(14, 40, &[105, 107, 111]);
    blocks.last_mut().unwrap().fee_transfers = 1;
    views[2] = view("c", &blocks);
    assert_only_problem(
        &apply(&views, &stored(&[13])),
        Outcome::Refused,
        &[
            "block 17 at slot 111",
            "0 commands, 1 fee transfers, coinbase 0",
        ],
    );
}

#[test]
fn later_blocks_must_be_empty() {
    let changes: [fn(&mut SeenBlock); 3] = [
        |block| block.commands = 1,
        |block| block.fee_transfers = 2,
        |block| block.coinbase_nanomina = "720".to_owned(),
    ];
    for change in changes {
        let mut blocks = chain();
        change(&mut blocks[5]);
        for clock in [119, 120] {
            let selection = apply(&with_clock(three(&blocks), clock), &stored(&[13]));
            assert_eq!(selection.outcome, Outcome::Refused);
            let problem = &selection.document.problems[0];
            assert!(problem.contains("block 15 at slot 104"), "{problem}");
            assert!(problem.contains("is not empty"), "{problem}");
        }
        // Below slot_tx_end nothing is to be empty.
        let mut blocks = chain();
        change(&mut blocks[3]);
        assert_eq!(
            apply(&three(&blocks), &stored(&[13])).outcome,
            Outcome::Chosen
        );
    }
}

#[test]
fn many_filled_blocks_are_counted() {
    let slots: Vec<u32> = (99..119).collect();
    let mut blocks = fork_off(12, 40, &slots);
    for block in &mut blocks {
        block.commands = 1;
    }
    let selection = apply(&three(&blocks), &stored(&[40]));
    let problems = &selection.document.problems;
    assert_eq!(problems.len(), 9, "{problems:#?}");
    assert_eq!(problems[8], "the same of 11 more blocks");
}

#[test]
fn no_block_may_come_after_the_chain_end() {
    for (slot, outcome) in [(119, Outcome::Chosen), (120, Outcome::Refused)] {
        let views = three(&fork_off(16, 40, &[slot]));
        let selection = apply(&views, &stored(&[13]));
        assert_eq!(selection.outcome, outcome);
        let problems = selection.document.problems.join("");
        assert_eq!(
            problems.contains("must not be: slot_chain_end is 120"),
            outcome == Outcome::Refused
        );
    }
}

#[test]
fn the_block_must_be_stored() {
    let selection = apply(&three(&chain()), &stored(&[12]));
    assert_only_problem(
        &selection,
        Outcome::Pending,
        &["is not stored; capture can still get it from a, b, c"],
    );
    let mut broken = stored(&[13]);
    broken[0].unusable = Some("its staking ledger is missing".to_owned());
    let selection = apply(&three(&chain()), &broken);
    assert_only_problem(
        &selection,
        Outcome::Pending,
        &["is stored but its staking ledger is missing"],
    );
    assert!(!judged(&selection, 13).is_stored);
}

#[test]
fn the_chain_must_be_over() {
    let mut views = with_clock(three(&chain()), 112);
    let selection = apply(&views, &stored(&[13]));
    assert_only_problem(
        &selection,
        Outcome::Pending,
        &[
            "chosen so far: block 13 at slot 98",
            "8 slots until slot_chain_end 120",
        ],
    );
    assert_eq!(selection.leading, Some(hash(13)));
    // One fast clock is no quorum; two are.
    for (fast, outcome) in [(1, Outcome::Pending), (2, Outcome::Chosen)] {
        views[fast - 1].clock_slot = Some(SlotSinceHardFork::new(120));
        assert_eq!(apply(&views, &stored(&[13])).outcome, outcome, "{fast}");
    }
    for view in &mut views {
        view.clock_slot = None;
    }
    assert_only_problem(
        &apply(&views, &stored(&[13])),
        Outcome::Pending,
        &["no daemon says its time"],
    );
}

#[test]
fn daemons_that_do_not_count_are_listed_with_the_reason() {
    type Change = fn(&mut DaemonView);
    let changes: [(Change, &str, bool); 8] = [
        (
            |view| view.sync_status = "CATCHUP".to_owned(),
            "is not in sync: its status is CATCHUP",
            false,
        ),
        (
            |view| view.stop.slot_tx_end = Some(SlotSinceHardFork::new(101)),
            "runs with slot_tx_end 101, but the rule has 100",
            true,
        ),
        (
            |view| view.stop.slot_chain_end = Some(SlotSinceHardFork::new(121)),
            "runs with slot_chain_end 121, but the rule has 120",
            true,
        ),
        (|view| view.tip = None, "has not named a best tip", false),
        (|view| view.tip = Some(hash(999)), "has not shown it", false),
        (
            |view| view.blocks.retain(|block| block.blockchain_length > 13),
            "only down to block 14 at slot 101",
            false,
        ),
        (
            |view| view.blocks[7].blockchain_length = 18,
            "contradicts itself",
            false,
        ),
        (
            |view| view.blocks[7].slot_since_hard_fork = SlotSinceHardFork::new(106),
            "contradicts itself",
            false,
        ),
    ];
    for (change, reason, is_warned) in changes {
        let mut views = three(&chain());
        views[2].blocks.retain(|block| block.blockchain_length != 3);
        change(&mut views[2]);
        let selection = apply(&views, &stored(&[13]));
        let document = &selection.document;
        let ignored = document.daemons[2].ignored.as_deref().unwrap();
        assert!(ignored.contains(reason), "{ignored}");
        assert_eq!(document.chosen.as_ref().unwrap().daemons, ["a", "b"]);
        let warned = document.warnings.iter().any(|text| text.contains(reason));
        assert_eq!(warned, is_warned, "{reason}: {:?}", document.warnings);
        // It was decisive: without a second daemon there is no quorum.
        change(&mut views[1]);
        assert_eq!(apply(&views, &stored(&[13])).outcome, Outcome::Refused);
    }
}

#[test]
fn nobody_counts() {
    let mut views = three(&chain());
    for view in &mut views {
        view.sync_status = "BOOTSTRAP".to_owned();
    }
    let over = apply(&views, &stored(&[13]));
    let parts = ["no daemon counts: `a` is not in sync", "`c` is not in sync"];
    assert_only_problem(&over, Outcome::Refused, &parts);
    let running = apply(&with_clock(views, 119), &stored(&[13]));
    assert_only_problem(&running, Outcome::Pending, &parts);
    let empty = apply(&[], &stored(&[13]));
    assert_only_problem(&empty, Outcome::Pending, &["no daemon has shown anything"]);
    assert!(empty.document.warnings[0].contains("stored and not judged"));
}

#[test]
fn a_daemon_without_stop_slots_counts_with_a_warning() {
    let mut views = three(&chain());
    views[2].stop = SeenStopSlots::default();
    let selection = apply(&views, &stored(&[13]));
    assert_eq!(selection.document.chosen.unwrap().daemons.len(), 3);
    let warning = &selection.document.warnings[0];
    assert!(
        warning.contains("does not name both stop slots"),
        "{warning}"
    );
}

#[test]
fn a_second_view_of_a_daemon_is_no_second_vote() {
    let mut views = three(&chain());
    views[0].name = "c".to_owned();
    views[1].name = "c".to_owned();
    let selection = apply(&views, &stored(&[13]));
    assert_only_problem(&selection, Outcome::Refused, &["1 of 2 daemons: c"]);
    assert!(selection.document.warnings[0].contains("is there twice"));
}

#[test]
fn a_fork_longer_than_the_window_is_no_mere_dissent() {
    let mut views = three(&chain());
    let other: Vec<SeenBlock> = [(91, 60), (96, 61), (103, 62)]
        .into_iter()
        .zip(11..)
        .map(|((slot, number), height)| block(number, number - 1, height, slot))
        .collect();
    views[2] = view("c", &other);
    let parts = ["daemon `c`", "no block in common with the strongest chain"];
    let over = apply(&views, &stored(&[13]));
    assert_only_problem(&over, Outcome::Refused, &parts);
    let running = apply(&with_clock(views.clone(), 119), &stored(&[13]));
    assert_eq!(running.outcome, Outcome::Pending);
    // Where another daemon saw the missing block, the chains meet.
    views[1].blocks.push(block(59, 58, 10, 90));
    let mut root = chain()[0].clone();
    root.previous_state_hash = hash(9);
    views[2].blocks[0].previous_state_hash = hash(10);
    let selection = apply(&views, &stored(&[13]));
    assert_eq!(selection.outcome, Outcome::Chosen);
    assert!(selection.document.warnings[0].contains("`c` disagrees"));
}

#[test]
fn stop_slots_in_the_wrong_order_are_refused() {
    let rule = SelectionRule {
        slot_chain_end: SlotSinceHardFork::new(99),
        ..RULE
    };
    let mut views = three(&chain());
    for view in &mut views {
        view.stop = SeenStopSlots::default();
    }
    let selection = select("devnet", &rule, &views, &stored(&[13]), None);
    assert_eq!(selection.outcome, Outcome::Refused);
    let problem = &selection.document.problems[0];
    assert_eq!(problem, "slot_chain_end 99 comes before slot_tx_end 100");
}

#[test]
fn a_quorum_of_zero_is_one() {
    let rule = SelectionRule { quorum: 0, ..RULE };
    let views = with_clock(three(&chain()), 119);
    let selection = select("devnet", &rule, &views, &stored(&[13]), None);
    assert_eq!(selection.outcome, Outcome::Pending);
    let selection = select("devnet", &rule, &[], &stored(&[13]), None);
    assert_eq!(selection.outcome, Outcome::Pending);
}

#[test]
fn a_daemon_that_hears_nothing_after_the_chain_end_still_counts() {
    let quiet = |status: &str, synced: Option<u32>, clock: u32| {
        let mut views = three(&chain());
        for view in &mut views {
            view.sync_status = status.to_owned();
            view.synced_slot = synced.map(SlotSinceHardFork::new);
            view.clock_slot = Some(SlotSinceHardFork::new(clock));
        }
        apply(&views, &stored(&[13]))
    };
    let selection = quiet("OFFLINE", Some(118), 121);
    assert_eq!(selection.outcome, Outcome::Chosen);
    let warnings = &selection.document.warnings;
    assert!(
        warnings[0].contains("its status is OFFLINE"),
        "{warnings:?}"
    );
    // Each of the three conditions decides alone.
    for (status, synced, clock) in [
        ("BOOTSTRAP", Some(118), 121),
        ("CATCHUP", Some(118), 121),
        ("OFFLINE", Some(99), 121),
        ("OFFLINE", None, 121),
        ("OFFLINE", Some(118), 119),
    ] {
        let selection = quiet(status, synced, clock);
        assert_ne!(
            selection.outcome,
            Outcome::Chosen,
            "{status} {synced:?} {clock}"
        );
    }
}
