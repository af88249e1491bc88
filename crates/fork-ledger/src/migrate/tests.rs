use fork_types::{Amount, Era, Fault, FieldBytes, SlotSinceGenesis, SlotSpan, TokenId};
use proptest::prelude::*;

use super::*;
use crate::account::{Account, Auth, Timing, V1Account, V1Auth, V1Permissions, Vesting, Zkapp};
use crate::binprot::arbitrary;

const DEVNET_FORK: SlotSinceGenesis = SlotSinceGenesis::new(859_560);

const BECOMES_TIMED: Rule = Rule::BerkeleyToMesa(MesaTiming::UntimedBecomesTimed {
    fork_slot: DEVNET_FORK,
});
const STAYS: Rule = Rule::BerkeleyToMesa(MesaTiming::UntimedStays {
    fork_slot: DEVNET_FORK,
});
const NO_VESTING: Rule = Rule::BerkeleyToMesa(MesaTiming::NoVesting);

/// Amounts in MINA.
fn schedule(imb: u64, cliff: u32, cliff_amount: u64, period: u32, increment: u64) -> Vesting {
    let mina = |amount: u64| amount.to_string().parse::<Amount>().unwrap();
    Vesting {
        initial_minimum_balance: mina(imb),
        cliff_time: SlotSinceGenesis::new(cliff),
        cliff_amount: mina(cliff_amount),
        vesting_period: SlotSpan::new(period),
        vesting_increment: mina(increment),
    }
}

/// `migration.md` 5.4. `None` as iterations means undefined, as result means unchanged.
#[test]
fn worked_table() {
    type Numbers = (u64, u32, u64, u32, u64);
    let rows: [(Numbers, Option<Numbers>); 17] = [
        (
            (1000, 900_000, 500, 6, 150),
            Some((1000, 940_440, 500, 12, 150)),
        ),
        (
            (1000, 859_560, 500, 6, 150),
            Some((500, 859_572, 150, 12, 150)),
        ),
        ((1000, 859_560, 1000, 6, 150), None),
        (
            (1000, 859_550, 500, 6, 150),
            Some((350, 859_564, 150, 12, 150)),
        ),
        ((1000, 859_550, 500, 6, 0), None),
        (
            (1000, 12_000, 500, 600_000, 300),
            Some((200, 1_564_440, 300, 1_200_000, 300)),
        ),
        (
            (1000, 4_000_000_000, 500, 3_000_000_000, 1),
            Some((1000, u32::MAX, 500, u32::MAX, 1)),
        ),
        ((1000, 12_000, 500, 6, 1), None),
        ((1000, 859_500, 500, 6, 50), None),
        ((1000, 859_501, 500, 6, 50), Some((50, 859_562, 50, 12, 50))),
        (
            (1000, 859_542, 500, 6, 150),
            Some((50, 859_572, 150, 12, 150)),
        ),
        ((5, 859_561, 5, 1, 0), Some((5, 859_562, 5, 2, 0))),
        (
            (1000, 900_000, 500, 1 << 31, 150),
            Some((1000, 940_440, 500, u32::MAX, 150)),
        ),
        (
            (1000, u32::MAX, 500, 6, 150),
            Some((1000, u32::MAX, 500, 12, 150)),
        ),
        (
            (1000, 900_000, 500, 0, 150),
            Some((1000, 940_440, 500, 0, 150)),
        ),
        ((1000, 859_550, 500, 0, 0), None),
        ((0, 0, 0, 1, 0), None),
    ];
    for (index, (before, after)) in rows.into_iter().enumerate() {
        let numbers = |(imb, cliff, cliff_amount, period, increment): Numbers| {
            schedule(imb, cliff, cliff_amount, period, increment)
        };
        let before = numbers(before);
        let expected = after.map_or(before, numbers);
        assert_eq!(
            slot_reduction_update(&before, DEVNET_FORK),
            Ok(expected),
            "row {}",
            index + 1
        );
        let active = phase_at(&before, DEVNET_FORK) != Ok(Phase::NotActive);
        assert_eq!(active, after.is_some(), "row {}", index + 1);
    }
    assert_eq!(
        slot_reduction_update(&schedule(1000, 859_550, 500, 0, 150), DEVNET_FORK),
        Err(PeriodZero),
        "row 17"
    );
    assert_eq!(
        slot_reduction_update(&schedule(500, 859_550, 500, 0, 150), DEVNET_FORK),
        Err(PeriodZero),
        "period 0 is found out before the comparison, also when nothing is left"
    );
    assert_eq!(
        slot_reduction_update(&schedule(0, 100, 0, 10, 0), SlotSinceGenesis::new(10)),
        Ok(schedule(0, 190, 0, 20, 0)),
        "row 19, upstream's own test"
    );
}

fn account() -> Account {
    crate::json::ledger_object::released_genesis_winner(Era::Berkeley).unwrap()
}

fn timed(vesting: Vesting) -> Account {
    Account {
        timing: Timing::Timed(vesting),
        ..account()
    }
}

#[test]
fn untimed_accounts_follow_the_variant() {
    let (stayed, changes) = STAYS.migrate(&account()).unwrap();
    assert_eq!(stayed, account());
    assert_eq!(changes, Changes::default());

    let (became, changes) = BECOMES_TIMED.migrate(&account()).unwrap();
    assert_eq!(became, timed(schedule(0, 0, 0, 1, 0)));
    assert_eq!(changes.timing, TimingChange::BecameTimed);

    let (kept, changes) = NO_VESTING.migrate(&account()).unwrap();
    assert_eq!(kept, account());
    assert_eq!(changes, Changes::default());
}

#[test]
fn timed_accounts_are_updated_in_both_variants() {
    let before = timed(schedule(1000, 859_550, 500, 6, 150));
    let after = timed(schedule(350, 859_564, 150, 12, 150));
    for rule in [BECOMES_TIMED, STAYS] {
        let (migrated, changes) = rule.migrate(&before).unwrap();
        assert_eq!(migrated, after);
        assert_eq!(changes.timing, TimingChange::Rescheduled);
        assert_eq!(changes.phase, Some(Phase::AfterCliff { periods: 1 }));
    }
    assert_eq!(NO_VESTING.migrate(&before).unwrap().0, before);
    let released = timed(schedule(1000, 12_000, 500, 6, 1));
    let (migrated, changes) = BECOMES_TIMED.migrate(&released).unwrap();
    assert_eq!(migrated, released);
    assert_eq!(changes.timing, TimingChange::Kept);
    assert_eq!(changes.phase, Some(Phase::NotActive));
}

#[test]
fn period_zero_names_the_account() {
    let error = BECOMES_TIMED
        .migrate(&timed(schedule(1000, 859_550, 500, 0, 150)))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg"),
        "{error}"
    );
}

fn zkapp(width: u64) -> Account {
    let mut account = account();
    account.permissions.edit_state = Auth::Proof;
    account.permissions.set_verification_key_txn_version = 2;
    account.zkapp = Some(Box::new(Zkapp {
        app_state: (1..=width).map(FieldBytes::from_u64).collect(),
        verification_key: Some(arbitrary::synthetic_key(7)),
        zkapp_version: 3,
        action_state: [FieldBytes::ONE; 5],
        last_action_slot: SlotSinceGenesis::new(859_559),
        proved_state: true,
        zkapp_uri: b"https://example.com".to_vec(),
    }));
    account
}

#[test]
fn zkapp_states_are_widened_and_nothing_else() {
    for rule in [BECOMES_TIMED, STAYS, NO_VESTING] {
        let (migrated, changes) = rule.migrate(&zkapp(8)).unwrap();
        let state = &migrated.zkapp.as_ref().unwrap().app_state;
        assert_eq!(state.len(), 32);
        assert_eq!(state[..8], zkapp(8).zkapp.unwrap().app_state);
        assert!(state[8..].iter().all(|field| *field == FieldBytes::ZERO));
        assert!(changes.app_state_padded);
        let mut narrowed = migrated.clone();
        narrowed.timing = Timing::Untimed;
        narrowed.zkapp.as_mut().unwrap().app_state.truncate(8);
        assert_eq!(narrowed, zkapp(8));
    }
}

#[test]
fn the_wrong_width_is_refused() {
    for (rule, width) in [
        (BECOMES_TIMED, 32),
        (NO_VESTING, 9),
        (Rule::BerkeleyToBerkeley, 32),
        (Rule::MesaToMesa, 8),
    ] {
        assert!(
            matches!(
                rule.migrate(&zkapp(width)),
                Err(MigrateError::AppStateWidth { .. })
            ),
            "{}",
            rule.name()
        );
    }
}

/// Applying Mesa to Mesa to what Berkeley to Mesa made must change nothing (`migration.md` 12.5).
#[test]
fn identity_rules_keep_everything() {
    let still_vesting = timed(schedule(1000, 900_000, 500, 6, 150));
    for account in [account(), zkapp(8), still_vesting] {
        let (copy, changes) = Rule::BerkeleyToBerkeley.migrate(&account).unwrap();
        assert_eq!(copy, account);
        assert_eq!(changes.timing, TimingChange::Kept);
        for rule in [BECOMES_TIMED, STAYS, NO_VESTING] {
            let (mesa, _) = rule.migrate(&account).unwrap();
            let (copy, changes) = Rule::MesaToMesa.migrate(&mesa).unwrap();
            assert_eq!(copy, mesa);
            assert_eq!(changes.timing, TimingChange::Kept);
            assert!(!changes.app_state_padded);
        }
    }
}

fn v1_account() -> V1Account {
    let winner = account();
    V1Account {
        public_key: winner.public_key,
        balance: winner.balance,
        delegate: winner.delegate,
        timing: Timing::Timed(schedule(1, 2, 3, 4, 5)),
        ..V1Account::empty()
    }
}

#[test]
fn v1_accounts_get_version_two() {
    let rule = Rule::from_pair(Era::V1, Era::Berkeley, None, None).unwrap();
    let mut v1 = v1_account();
    v1.permissions.send = V1Auth::Auth(Auth::Either);
    v1.permissions.receive = V1Auth::Auth(Auth::Impossible);
    let (migrated, changes) = rule.migrate_v1(&v1).unwrap();
    let mut expected = account();
    expected.timing = v1.timing;
    expected.permissions.set_verification_key_txn_version = 2;
    expected.permissions.send = Auth::Either;
    expected.permissions.receive = Auth::Impossible;
    assert_eq!(migrated, expected);
    assert_eq!(changes, Changes::default());
    let other = Rule::V1ToBerkeley { txn_version: 1 };
    let (migrated, _) = other.migrate_v1(&v1).unwrap();
    assert_eq!(migrated.permissions.set_verification_key_txn_version, 1);
}

#[test]
fn what_berkeley_cannot_express_is_refused() {
    let rule = Rule::V1ToBerkeley { txn_version: 2 };
    let mut token = v1_account();
    token.token_id = 2;
    let mut both = v1_account();
    both.permissions = V1Permissions {
        send: V1Auth::Both,
        ..V1Permissions::DEFAULT
    };
    for account in [token, both] {
        assert!(matches!(
            rule.migrate_v1(&account),
            Err(MigrateError::NotExpressible { .. })
        ));
    }
}

#[test]
fn rules_refuse_the_other_record() {
    let v1 = Rule::V1ToBerkeley { txn_version: 2 };
    assert!(matches!(
        v1.migrate(&account()),
        Err(MigrateError::WrongSource { .. })
    ));
    assert!(matches!(
        Rule::MesaToMesa.migrate_v1(&v1_account()),
        Err(MigrateError::WrongSource { .. })
    ));
}

#[test]
fn names_of_pairs() {
    let slot = Some(DEVNET_FORK);
    for (from, to, variant, slot, name) in [
        (Era::V1, Era::Berkeley, None, None, "v1-to-berkeley"),
        (
            Era::Berkeley,
            Era::Berkeley,
            None,
            None,
            "berkeley-to-berkeley",
        ),
        (Era::Mesa, Era::Mesa, None, None, "mesa-to-mesa"),
        (
            Era::Berkeley,
            Era::Mesa,
            None,
            slot,
            "berkeley-to-mesa/untimed-becomes-timed",
        ),
        (
            Era::Berkeley,
            Era::Mesa,
            Some("untimed-becomes-timed"),
            slot,
            "berkeley-to-mesa/untimed-becomes-timed",
        ),
        (
            Era::Berkeley,
            Era::Mesa,
            Some("untimed-stays"),
            slot,
            "berkeley-to-mesa/untimed-stays",
        ),
        (
            Era::Berkeley,
            Era::Mesa,
            Some("no-vesting"),
            None,
            "berkeley-to-mesa/no-vesting",
        ),
    ] {
        let rule = Rule::from_pair(from, to, variant, slot).unwrap();
        assert_eq!(rule.name(), name);
        assert_eq!((rule.source(), rule.target()), (from, to), "{name}");
        assert_eq!(rule.fork_slot(), slot, "{name}");
    }
}

#[test]
fn every_other_pair_is_refused() {
    let eras = [Era::V1, Era::Berkeley, Era::Mesa];
    let known = [
        (Era::V1, Era::Berkeley),
        (Era::Berkeley, Era::Berkeley),
        (Era::Berkeley, Era::Mesa),
        (Era::Mesa, Era::Mesa),
    ];
    for from in eras {
        for to in eras {
            let rule = Rule::from_pair(from, to, Some("no-vesting"), None);
            let unknown = matches!(rule, Err(RuleError::UnknownPair { .. }));
            assert_eq!(unknown, !known.contains(&(from, to)), "{from} to {to}");
        }
    }
    let message = Rule::from_pair(Era::Mesa, Era::Berkeley, None, None)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "there is no migration from mesa to berkeley; known are v1 to berkeley; berkeley to \
         berkeley; berkeley to mesa (untimed-becomes-timed, untimed-stays, no-vesting); mesa to mesa"
    );
}

#[test]
fn variants_and_fork_slots_must_fit_the_pair() {
    let slot = Some(DEVNET_FORK);
    let to_mesa =
        |variant, slot| Rule::from_pair(Era::Berkeley, Era::Mesa, variant, slot).unwrap_err();
    for variant in [None, Some("untimed-becomes-timed"), Some("untimed-stays")] {
        assert!(matches!(
            to_mesa(variant, None),
            RuleError::ForkSlotMissing { .. }
        ));
    }
    assert!(matches!(
        to_mesa(Some("no-vesting"), slot),
        RuleError::ForkSlotUnused { .. }
    ));
    let unknown = to_mesa(Some("untimed"), slot);
    assert!(unknown.to_string().contains("untimed-stays"), "{unknown}");
    for (from, to) in [
        (Era::V1, Era::Berkeley),
        (Era::Berkeley, Era::Berkeley),
        (Era::Mesa, Era::Mesa),
    ] {
        assert!(matches!(
            Rule::from_pair(from, to, None, slot),
            Err(RuleError::ForkSlotUnused { .. })
        ));
        assert!(matches!(
            Rule::from_pair(from, to, Some("untimed-stays"), None),
            Err(RuleError::UnknownVariant { .. })
        ));
    }
    assert_eq!(unknown.class(), fork_types::Class::Usage);
}

#[test]
fn audit_counts_and_merges() {
    let token = Account {
        token_id: TokenId::new(FieldBytes::from_u64(2)),
        ..account()
    };
    let accounts = [
        account(),
        zkapp(8),
        timed(schedule(1000, 900_000, 500, 6, 150)),
        timed(schedule(1000, 859_550, 500, 6, 150)),
        timed(schedule(1000, 12_000, 500, 6, 1)),
        token,
    ];
    let mut whole = Audit::default();
    let mut parts = [Audit::default(); 2];
    for (index, account) in accounts.iter().enumerate() {
        let (migrated, changes) = BECOMES_TIMED.migrate(account).unwrap();
        whole.record(account, &migrated, &changes);
        parts[index % 2].record(account, &migrated, &changes);
    }
    let totals = Totals {
        default_token: 5000,
        other_tokens: 1000,
    };
    assert_eq!(
        whole,
        Audit {
            accounts: 6,
            zkapps: 1,
            padded_zkapps: 1,
            timed_changed: 2,
            untimed_changed: 3,
            still_vesting: 2,
            still_vesting_past_cliff: 1,
            before: totals,
            after: totals,
        }
    );
    for (first, second) in [(0, 1), (1, 0)] {
        let mut merged = parts[first];
        merged.merge(&parts[second]);
        assert_eq!(merged, whole, "parts {first} and {second}");
    }
    assert_eq!(whole.check_supply(), Ok(()));
}

#[test]
fn audit_finds_lost_money() {
    let mut audit = Audit::default();
    let poorer = Account {
        balance: Amount::from_nanomina(999),
        ..account()
    };
    audit.record(&account(), &poorer, &Changes::default());
    let mismatch = audit.check_supply().unwrap_err();
    assert_eq!(mismatch.before.default_token, 1000);
    assert_eq!(mismatch.after.default_token, 999);
    let mut moved = Audit::default();
    let other_token = Account {
        token_id: TokenId::new(FieldBytes::ZERO),
        ..account()
    };
    moved.record(&account(), &other_token, &Changes::default());
    assert!(moved.check_supply().is_err(), "moved to another token");
    let mut rich = Audit::default();
    let richest = Account {
        balance: Amount::from_nanomina(u64::MAX),
        ..account()
    };
    for _ in 0..3 {
        rich.record(&richest, &richest, &Changes::default());
    }
    assert_eq!(rich.after.default_token, 3 * u128::from(u64::MAX));
}

/// Balance that must stay in an account at a slot (`migration.md` 5.3).
fn minimum_balance(vesting: &Vesting, slot: u64) -> u64 {
    let cliff = u64::from(vesting.cliff_time.get());
    if slot < cliff {
        return vesting.initial_minimum_balance.nanomina();
    }
    let periods = (slot - cliff) / u64::from(vesting.vesting_period.get());
    let released = u128::from(vesting.cliff_amount.nanomina())
        + u128::from(periods) * u128::from(vesting.vesting_increment.nanomina());
    u128::from(vesting.initial_minimum_balance.nanomina())
        .checked_sub(released)
        .map_or(0, |left| u64::try_from(left).unwrap())
}

/// Schedules whose cliff and period lie around the fork slot, so that every phase is met often.
fn nearby_schedule() -> impl Strategy<Value = (Vesting, SlotSinceGenesis)> {
    let amount = prop_oneof![0_u64..50, arbitrary::number64()];
    let amounts = (amount.clone(), amount.clone(), amount);
    (amounts, 0_u32..2000, 1_u32..60, 0_u32..2000).prop_map(
        |((locked, at_cliff, increment), cliff, period, fork)| {
            let vesting = Vesting {
                initial_minimum_balance: Amount::from_nanomina(locked),
                cliff_time: SlotSinceGenesis::new(cliff),
                cliff_amount: Amount::from_nanomina(at_cliff),
                vesting_period: SlotSpan::new(period),
                vesting_increment: Amount::from_nanomina(increment),
            };
            (vesting, SlotSinceGenesis::new(fork))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The equivalence at the end of `migration.md` 5.3: time on the clock unlocks the same.
    #[test]
    fn same_minimum_balance_at_the_same_time((before, fork) in nearby_schedule()) {
        let after = slot_reduction_update(&before, fork).unwrap();
        let fork = u64::from(fork.get());
        for since_fork in (0..300).chain([1_000, 10_000, 1_000_000]) {
            prop_assert_eq!(
                minimum_balance(&after, fork + 2 * since_fork),
                minimum_balance(&before, fork + since_fork),
                "{} old slots after the fork", since_fork
            );
        }
    }

    /// No input panics, whatever its numbers are.
    #[test]
    fn no_schedule_overflows(before in arbitrary::vesting(), fork in arbitrary::number32()) {
        match slot_reduction_update(&before, SlotSinceGenesis::new(fork)) {
            Ok(after) => prop_assert!(after.initial_minimum_balance <= before.initial_minimum_balance),
            Err(PeriodZero) => prop_assert_eq!(before.vesting_period.get(), 0),
        }
    }

    #[test]
    fn migration_touches_timing_and_state_only(
        account in arbitrary::account(Era::Berkeley),
    ) {
        if let Ok((migrated, _)) = BECOMES_TIMED.migrate(&account) {
            prop_assert!(matches!(migrated.timing, Timing::Timed(_)));
            let mut restored = migrated;
            restored.timing = account.timing;
            if let Some(zkapp) = restored.zkapp.as_mut() {
                zkapp.app_state.truncate(8);
            }
            prop_assert_eq!(restored, account);
        }
    }
}
