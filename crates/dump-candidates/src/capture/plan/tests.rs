use fork_types::document::SeenStopSlots;
use fork_types::{EpochSeed, FieldBytes, LedgerHash, SlotSinceGenesis};

use super::*;

const WINDOW: Window = Window {
    start: SlotSinceHardFork::new(80),
    slot_tx_end: SlotSinceHardFork::new(100),
    slot_chain_end: SlotSinceHardFork::new(120),
};

const LIMITS: AlarmLimits = AlarmLimits {
    slots: 5,
    quorum: 2,
    settled_blocks: 2,
};

fn hash(number: u64) -> StateHash {
    StateHash::new(FieldBytes::from_u64(number))
}

/// A block on branch `branch` at a slot; heights follow slots.
fn block(branch: u64, slot: u32, parent: StateHash) -> SeenBlock {
    let ledger = LedgerHash::new(FieldBytes::from_u64(1));
    let seed = EpochSeed::new(FieldBytes::from_u64(1));
    SeenBlock {
        state_hash: hash(branch * 1000 + u64::from(slot)),
        previous_state_hash: parent,
        blockchain_length: slot + 7,
        global_slot_since_genesis: SlotSinceGenesis::new(slot + 5000),
        slot_since_hard_fork: SlotSinceHardFork::new(slot),
        staged_ledger_hash: ledger,
        staking_ledger_hash: ledger,
        next_ledger_hash: ledger,
        staking_seed: seed,
        next_seed: seed,
        commands: 0,
        fee_transfers: 0,
        coinbase_nanomina: "0".to_owned(),
    }
}

/// One block a slot, from `slots`, on top of `parent`.
fn chain(branch: u64, slots: std::ops::RangeInclusive<u32>, parent: StateHash) -> Vec<SeenBlock> {
    let mut parent = parent;
    slots
        .map(|slot| {
            let block = block(branch, slot, parent);
            parent = block.state_hash;
            block
        })
        .collect()
}

fn view(name: &str, clock: u32) -> DaemonView {
    DaemonView {
        format: DaemonView::format(),
        version: DaemonView::version(),
        name: name.to_owned(),
        network_id: None,
        chain_id: None,
        daemon_version: None,
        sync_status: "SYNCED".to_owned(),
        stop: SeenStopSlots {
            slot_tx_end: Some(WINDOW.slot_tx_end),
            slot_chain_end: Some(WINDOW.slot_chain_end),
            hard_fork_genesis_slot_delta: None,
        },
        clock_slot: Some(SlotSinceHardFork::new(clock)),
        synced_slot: None,
        observed_at_ms: 0,
        tip: None,
        reorganisations: 0,
        blocks: Vec::new(),
    }
}

fn plan(daemons: usize, once: bool, clock: u32) -> Plan {
    let views = (0..daemons).map(|daemon| view(&format!("d{daemon}"), clock));
    let mut plan = Plan::new(WINDOW, once, second(1), views.collect(), []);
    for daemon in &mut plan.daemons {
        daemon.answered = Some(Duration::ZERO);
        daemon.has_config = true;
    }
    plan
}

const fn second(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn slots(plan: &mut Plan, daemon: usize, now: Duration) -> Vec<u32> {
    std::iter::from_fn(|| plan.next(daemon, now))
        .map(|block| block.slot_since_hard_fork.get())
        .collect()
}

#[test]
fn only_blocks_of_the_window_are_asked_for_highest_first() {
    let mut plan = plan(1, false, 103);
    let merged = plan.merge(0, &chain(1, 78..=102, hash(0)));
    assert_eq!(merged.new_candidates, 20);
    let expected: Vec<u32> = (80..100).rev().collect();
    assert_eq!(slots(&mut plan, 0, second(0)), expected);
    // The last block before the window stays, so that branches can be drawn.
    assert_eq!(
        plan.daemons[0].view.blocks[0].slot_since_hard_fork.get(),
        79
    );
}

#[test]
fn a_block_is_asked_for_once_at_a_time_and_by_one_daemon() {
    let mut plan = plan(2, false, 90);
    let blocks = chain(1, 88..=90, hash(0));
    plan.merge(0, &blocks);
    plan.merge(1, &blocks);
    let first = plan.next(0, second(0)).unwrap();
    let second_ = plan.next(1, second(0)).unwrap();
    assert_ne!(first.state_hash, second_.state_hash);
    // What one failed at goes to the other at once, and comes back after a pause that doubles.
    plan.failed(0, first.state_hash, Class::Environment, second(10));
    assert_eq!(plan.next(1, second(10)).unwrap(), first);
    plan.failed(1, first.state_hash, Class::Environment, second(10));
    assert_eq!(
        plan.next(0, second(10)).unwrap().slot_since_hard_fork.get(),
        88
    );
    assert_eq!(plan.next(0, second(10)), None);
    assert_eq!(plan.next(0, second(11)).unwrap(), first);
    plan.failed(0, first.state_hash, Class::Environment, second(11));
    assert_eq!(plan.next(0, second(12)), None);
    assert_eq!(plan.next(0, second(13)).unwrap(), first);
    plan.arrived(&first);
    assert_eq!(plan.waiting(), 1);
    plan.stored(first.state_hash);
    // A late failure takes nothing back.
    plan.failed(0, first.state_hash, Class::Environment, second(14));
    assert_eq!(plan.next(0, second(100)), None);
    assert_eq!(plan.missing().len(), 2);
}

#[test]
fn with_once_every_daemon_is_asked_once() {
    let mut plan = plan(2, true, 90);
    let blocks = chain(1, 90..=90, hash(0));
    plan.merge(0, &blocks);
    plan.merge(1, &blocks);
    let block = plan.next(0, second(0)).unwrap().state_hash;
    assert!(plan.may_be_needed(1) && !plan.wants(1));
    plan.failed(0, block, Class::Environment, second(0));
    assert!(plan.wants(1) && !plan.wants(0));
    assert_eq!(plan.next(0, second(10_000)), None);
    assert_eq!(plan.next(1, second(0)).unwrap().state_hash, block);
    plan.failed(1, block, Class::Environment, second(0));
    assert!(!plan.wants(0) && !plan.wants(1) && !plan.may_be_needed(0));
    assert_eq!(plan.missing().len(), 1);
}

#[test]
fn what_left_the_frontier_is_not_asked_for() {
    let mut plan = plan(1, false, 110);
    plan.merge(0, &chain(1, 80..=90, hash(0)));
    let mut tip = block(1, 99, hash(1090));
    tip.blockchain_length = 90 + 7 + FRONTIER_BLOCKS_MAX;
    let mut parent = block(1, 98, hash(1090));
    parent.blockchain_length = tip.blockchain_length - 1;
    tip.previous_state_hash = parent.state_hash;
    plan.merge(0, &[parent, tip]);
    // 90 + 7 is the first height that is gone.
    assert_eq!(slots(&mut plan, 0, second(0)), [99, 98]);
}

#[test]
fn what_is_stored_is_not_asked_for_again_after_a_restart() {
    let mut before = plan(1, false, 90);
    before.merge(0, &chain(1, 88..=90, hash(0)));
    let views = before.daemons.into_iter().map(|daemon| daemon.view);
    let stored = [hash(1089)];
    let mut after = Plan::new(WINDOW, false, second(1), views.collect(), stored);
    // Even before any daemon answers: what was seen is still wanted.
    assert_eq!(slots(&mut after, 0, second(0)), [90, 88]);
    // An answer that waits is not asked for again, though its block is in no view.
    let waiting = block(1, 91, hash(1090));
    after.arrived(&waiting);
    after.merge(0, &chain(1, 88..=91, hash(1087)));
    assert_eq!(slots(&mut after, 0, second(0)), Vec::<u32>::new());
}

#[test]
fn reorganisations_are_counted_and_both_branches_kept() {
    let mut plan = plan(1, false, 90);
    assert!(!plan.merge(0, &chain(1, 80..=85, hash(0))).is_reorganised);
    assert!(!plan.merge(0, &chain(1, 80..=86, hash(0))).is_reorganised);
    let mut other = chain(1, 80..=84, hash(0));
    let fork = other.last().unwrap().state_hash;
    other.extend(chain(2, 85..=87, fork));
    assert!(plan.merge(0, &other).is_reorganised);
    assert_eq!(plan.daemons[0].view.reorganisations, 1);
    assert_eq!(
        slots(&mut plan, 0, second(0)),
        [87, 86, 86, 85, 85, 84, 83, 82, 81, 80]
    );
    // A poll that shows only the last blocks is no reorganisation.
    let tail = chain(2, 86..=88, hash(2085));
    assert!(!plan.merge(0, &tail).is_reorganised);
}

#[test]
fn gaps_are_noticed() {
    let mut plan = plan(1, false, 95);
    assert!(
        plan.is_connected(0, &chain(1, 79..=81, hash(0))),
        "before the window"
    );
    assert!(!plan.is_connected(0, &chain(1, 85..=90, hash(1084))));
    plan.merge(0, &chain(1, 79..=84, hash(0)));
    assert!(
        plan.is_connected(0, &chain(1, 85..=90, hash(1084))),
        "child"
    );
    assert!(plan.is_connected(0, &chain(1, 84..=90, hash(1083))), "same");
    assert!(!plan.is_connected(0, &chain(1, 86..=90, hash(1085))), "gap");
    assert!(plan.is_connected(0, &[]));
}

fn kinds(plan: &Plan) -> Vec<(AlarmKind, Option<String>)> {
    let alarms = plan.alarms(&LIMITS).into_iter();
    alarms.map(|alarm| (alarm.kind, alarm.daemon)).collect()
}

#[test]
fn alarm_when_nothing_new_comes_or_what_came_is_not_stored() {
    let mut quiet = plan(2, false, 85);
    assert_eq!(kinds(&quiet), []);
    quiet.daemons[0].view.clock_slot = Some(SlotSinceHardFork::new(86));
    // One fast clock raises nothing.
    assert_eq!(kinds(&quiet), []);
    quiet.daemons[1].view.clock_slot = Some(SlotSinceHardFork::new(86));
    assert_eq!(kinds(&quiet), [(AlarmKind::NoNewCandidate, None)]);
    quiet.merge(0, &chain(1, 82..=82, hash(0)));
    assert_eq!(kinds(&quiet), []);
    for daemon in &mut quiet.daemons {
        daemon.view.clock_slot = Some(SlotSinceHardFork::new(92));
    }
    assert_eq!(
        kinds(&quiet),
        [
            (AlarmKind::NoNewCandidate, None),
            (AlarmKind::NotStored, None)
        ]
    );
    quiet.stored(hash(1082));
    quiet.merge(0, &chain(1, 90..=90, hash(0)));
    assert_eq!(kinds(&quiet), []);
}

#[test]
fn alarm_when_a_daemon_disagrees_with_the_quorum() {
    let mut plan = plan(3, false, 90);
    let blocks = chain(1, 80..=90, hash(0));
    for daemon in 0..3 {
        plan.merge(daemon, &blocks);
    }
    assert_eq!(kinds(&plan), []);
    // A fork of one block passes; one of three does not.
    let mut fork = chain(1, 80..=89, hash(0));
    fork.extend(chain(2, 90..=90, fork.last().unwrap().state_hash));
    plan.merge(2, &fork);
    assert_eq!(kinds(&plan), []);
    let mut fork = chain(1, 80..=87, hash(0));
    fork.extend(chain(2, 88..=90, fork.last().unwrap().state_hash));
    plan.merge(2, &fork);
    assert_eq!(
        kinds(&plan),
        [(AlarmKind::Disagreement, Some("d2".to_owned()))]
    );
}

#[test]
fn alarm_when_a_daemon_lies_stays_silent_or_runs_with_other_slots() {
    let mut plan = plan(2, false, 82);
    plan.merge(0, &chain(1, 80..=82, hash(0)));
    let mut lie = chain(1, 80..=82, hash(0));
    lie[1].commands = 3;
    plan.merge(1, &lie);
    assert_eq!(
        kinds(&plan),
        [(AlarmKind::Disagreement, Some("d0".to_owned()))]
    );
    // An answer that was damaged on its way is forgotten with the next one.
    plan.merge(1, &chain(1, 80..=82, hash(0)));
    assert_eq!(kinds(&plan), []);
    let mut plan = self::plan(2, false, 82);
    plan.daemons[0].failure = Some((Class::Environment, "gone".to_owned()));
    plan.daemons[1].view.stop.slot_tx_end = Some(SlotSinceHardFork::new(99));
    assert_eq!(
        kinds(&plan),
        [
            (AlarmKind::DaemonSilent, Some("d0".to_owned())),
            (AlarmKind::Disagreement, Some("d1".to_owned())),
        ]
    );
}

#[test]
fn finished_when_the_chain_ended_and_everything_is_stored() {
    let mut plan = plan(1, false, 119);
    plan.merge(0, &chain(1, 98..=101, hash(0)));
    assert!(!plan.is_finished());
    plan.daemons[0].view.clock_slot = Some(WINDOW.slot_chain_end);
    assert!(!plan.is_finished());
    plan.stored(hash(1098));
    plan.stored(hash(1099));
    assert!(plan.is_finished());
}
