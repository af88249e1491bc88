use proptest::prelude::*;

use super::*;

fn time(text: &str) -> GenesisTimestamp {
    GenesisTimestamp::parse(text).unwrap().0
}

fn clock(genesis: &str, slot_ms: u64, fork_slot: u32) -> ChainClock {
    ChainClock {
        genesis: time(genesis),
        slot_ms,
        fork_slot: SlotSinceGenesis::new(fork_slot),
    }
}

fn devnet() -> ChainClock {
    clock("2024-04-09T21:00:00Z", 180_000, 445_860)
}

fn slots(chain_end: u32, delta: u32) -> ScheduleInput {
    ScheduleInput {
        slot_chain_end: Some(SlotSinceHardFork::new(chain_end)),
        genesis_slot_delta: Some(SlotSpan::new(delta)),
        ..ScheduleInput::default()
    }
}

fn at(text: &str) -> ScheduleInput {
    ScheduleInput {
        genesis_timestamp: Some(time(text)),
        ..ScheduleInput::default()
    }
}

#[test]
fn golden_berkeley_to_mesa() {
    let mainnet = clock("2024-06-05T00:00:00Z", 180_000, 564_480);
    for (clock, chain_end, slot, global, new, ms) in [
        (
            devnet(),
            413_640,
            413_700,
            859_560,
            "2026-08-19T18:00:00Z",
            1_787_162_400_000,
        ),
        (
            mainnet,
            393_900,
            393_960,
            958_440,
            "2026-09-03T18:00:00Z",
            1_788_458_400_000,
        ),
    ] {
        let both = ScheduleInput {
            genesis_timestamp: Some(time(new)),
            ..slots(chain_end, 60)
        };
        for input in [slots(chain_end, 60), at(new), both] {
            let schedule = Schedule::derive(&clock, &input).unwrap();
            assert_eq!(schedule.slot_since_hard_fork.get(), slot);
            assert_eq!(schedule.global_slot_since_genesis.get(), global);
            assert_eq!(schedule.genesis_timestamp.to_string(), new);
            assert_eq!(schedule.genesis_timestamp.ms(), ms);
        }
    }
    let slot = SlotSinceHardFork::new;
    assert_eq!(
        mainnet.time_of(slot(393_800)).unwrap(),
        time("2026-09-03T10:00:00Z")
    );
    assert_eq!(
        mainnet.time_of(slot(393_900)).unwrap(),
        time("2026-09-03T15:00:00Z")
    );
    assert_eq!(
        devnet().time_of(slot(413_640)).unwrap(),
        time("2026-08-19T15:00:00Z")
    );
}

#[test]
fn golden_v1_to_berkeley() {
    for (genesis, new, global) in [
        ("2021-09-23 17:00:00-07:00", "2024-04-09T21:00:00Z", 445_860),
        ("2021-03-17T00:00:00Z", "2024-06-05T00:00:00Z", 564_480),
    ] {
        let schedule = Schedule::derive(&clock(genesis, 180_000, 0), &at(new)).unwrap();
        assert_eq!(schedule.global_slot_since_genesis.get(), global);
    }
}

#[test]
fn golden_ninety_second_source() {
    for (slot_ms, global) in [(90_000, 458_220), (180_000, 456_780)] {
        let clock = clock("2026-01-01T00:00:00Z", slot_ms, 455_340);
        let schedule = Schedule::derive(&clock, &at("2026-01-04T00:00:00Z")).unwrap();
        assert_eq!(schedule.global_slot_since_genesis.get(), global);
    }
}

#[test]
fn the_derivation_is_readable() {
    let both = ScheduleInput {
        genesis_timestamp: Some(time("2026-08-19T18:00:00Z")),
        ..slots(413_640, 60)
    };
    assert_eq!(
        Schedule::derive(&devnet(), &both).unwrap().derivation,
        [
            "old chain: genesis 2024-04-09T21:00:00Z, 180000 ms per slot, its genesis is slot \
             445860 since genesis",
            "slot of the new genesis since the last hard fork: slot_chain_end 413640 + delta 60 = \
             413700",
            "its time: 2024-04-09T21:00:00Z + 413700 * 180000 ms = 2026-08-19T18:00:00Z",
            "slot of the given genesis time since the last hard fork: (2026-08-19T18:00:00Z - \
             2024-04-09T21:00:00Z) / 180000 ms = 413700",
            "slot and timestamp agree",
            "global slot since genesis of the new genesis: 445860 + 413700 = 859560",
        ]
    );
}

#[test]
fn contradictions_are_wrong_and_gaps_are_usage() {
    let fails = |input: ScheduleInput| Schedule::derive(&devnet(), &input).unwrap_err();
    let error = fails(ScheduleInput::default());
    assert_eq!(
        (&error, error.class()),
        (&ScheduleError::NothingGiven, Class::Usage)
    );
    for input in [
        ScheduleInput {
            genesis_slot_delta: None,
            ..slots(1, 1)
        },
        ScheduleInput {
            slot_chain_end: None,
            ..slots(1, 1)
        },
    ] {
        assert!(matches!(fails(input), ScheduleError::HalfGiven { .. }));
    }
    let error = fails(ScheduleInput {
        genesis_timestamp: Some(time("2026-08-19T18:03:00Z")),
        ..slots(413_640, 60)
    });
    assert!(
        matches!(&error, ScheduleError::Disagree { from_time, .. } if from_time.get() == 413_701)
    );
    assert_eq!(error.class(), Class::Wrong);
    let error = fails(at("2026-08-19T18:00:01Z"));
    assert!(matches!(
        &error,
        ScheduleError::NotAligned {
            excess_ms: 1000,
            ..
        }
    ));
    assert!(
        error
            .to_string()
            .ends_with("2026-08-19T18:00:00Z and 2026-08-19T18:03:00Z")
    );
    for text in ["2024-04-09T21:00:00Z", "2024-04-09T20:57:00Z"] {
        assert!(matches!(
            fails(at(text)),
            ScheduleError::NotAfterGenesis { .. }
        ));
    }
    let order = fails(ScheduleInput {
        slot_tx_end: Some(SlotSinceHardFork::new(413_641)),
        ..slots(413_640, 60)
    });
    assert!(matches!(order, ScheduleError::Order { .. }));
    let order = fails(ScheduleInput {
        slot_chain_end: Some(SlotSinceHardFork::new(413_701)),
        ..at("2026-08-19T18:00:00Z")
    });
    assert!(matches!(order, ScheduleError::Order { .. }));
    assert!(matches!(
        fails(slots(u32::MAX, 1)),
        ScheduleError::Overflow { .. }
    ));
    assert!(matches!(
        fails(slots(u32::MAX - 1, 1)),
        ScheduleError::Overflow { .. }
    ));
    let stopped = clock("2024-04-09T21:00:00Z", 0, 0);
    assert_eq!(
        Schedule::derive(&stopped, &slots(1, 1)),
        Err(ScheduleError::SlotTimeZero)
    );
    assert_eq!(
        stopped.slot_at(time("2024-04-09T21:00:01Z")),
        Err(ScheduleError::SlotTimeZero)
    );
}

proptest! {
    #[test]
    fn both_ways_agree(slot in 1..u32::MAX, slot_ms in 1_u64..1_000_000) {
        let clock = clock("2024-04-09T21:00:00Z", slot_ms, 0);
        let slot = SlotSinceHardFork::new(slot);
        if let Ok(time) = clock.time_of(slot) {
            prop_assert_eq!(clock.slot_at(time), Ok(slot));
        }
    }
}
