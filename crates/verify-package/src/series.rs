//! What the charts of a report show: how balances are spread, and how much stays locked, over time.
//!
//! Both are counted while the accounts pass by. A list of accounts can be counted in parts, on any
//! number of threads, and the parts merged in any order.

use std::sync::Arc;

use fork_genesis::schedule::ChainClock;
use fork_ledger::account::{Account, Timing, V1Account, Vesting};
use fork_types::TokenId;

/// Times at which the locked balance is known.
pub const SAMPLES: u64 = 120;
/// How far they reach, in milliseconds: ten years, in which every schedule of the first distribution
/// has ended.
pub const HORIZON_MS: u64 = 315_576_000_000;
/// Groups of balances: under 0.001 MINA, one for every decade, and from 10^8 MINA on.
pub const BUCKETS: usize = 13;
/// Decimal digits of the nanomina of the second group's lower bound, less one.
const FIRST_EXPONENT: u32 = 6;

/// What an account has, as far as the charts show it.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// Whether it is of the chain's own currency.
    pub is_default_token: bool,
    /// Balance in nanomina.
    pub balance: u64,
    /// Its schedule.
    pub timing: Timing,
}

impl From<&Account> for Holding {
    fn from(account: &Account) -> Self {
        Self {
            is_default_token: account.token_id == TokenId::DEFAULT,
            balance: account.balance.nanomina(),
            timing: account.timing,
        }
    }
}

impl From<&V1Account> for Holding {
    fn from(account: &V1Account) -> Self {
        Self {
            is_default_token: account.token_id == 1,
            balance: account.balance.nanomina(),
            timing: account.timing,
        }
    }
}

/// Accounts of the chain's own currency, counted. Accounts of other tokens are left out: their
/// amounts have no common unit.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Accounts per group of balances.
    pub counts: [u64; BUCKETS],
    /// Nanomina per group of balances.
    pub sums: [u128; BUCKETS],
    /// Accounts with a schedule.
    pub timed: u64,
    /// The slot that runs at each time, ascending; empty where no clock is known.
    slots: Arc<[u32]>,
    /// By how much the locked nanomina change at each time, and behind the last one.
    changes: Vec<i128>,
}

impl Series {
    /// Nothing yet, with the slots that run at the times.
    #[must_use]
    pub fn new(slots: Arc<[u32]>) -> Self {
        Self {
            changes: vec![0; slots.len() + 1],
            slots,
            ..Self::default()
        }
    }

    /// Nothing yet, for another part of the same list.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self::new(Arc::clone(&self.slots))
    }

    /// Counts accounts.
    pub fn add<H: Into<Holding>>(&mut self, accounts: impl IntoIterator<Item = H>) {
        for account in accounts {
            let Holding {
                is_default_token,
                balance,
                timing,
            } = account.into();
            if !is_default_token {
                continue;
            }
            let bucket = bucket(balance);
            self.counts[bucket] += 1;
            self.sums[bucket] += u128::from(balance);
            if let Timing::Timed(vesting) = timing {
                self.timed += 1;
                self.vest(&vesting, balance);
            }
        }
    }

    /// Adds what another part of the same list counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, count) in self.counts.iter_mut().zip(&other.counts) {
            *mine += count;
        }
        for (mine, sum) in self.sums.iter_mut().zip(&other.sums) {
            *mine += sum;
        }
        self.timed += other.timed;
        for (mine, change) in self.changes.iter_mut().zip(&other.changes) {
            *mine += change;
        }
    }

    /// Locked nanomina at each time.
    #[must_use]
    pub fn locked(&self) -> Vec<u128> {
        let mut locked = 0_i128;
        let summed = self.changes.iter().take(self.slots.len()).map(|change| {
            locked += change;
            u128::try_from(locked).unwrap_or_default()
        });
        summed.collect()
    }

    /// Adds the minimum balances of a schedule, as far as there is a balance: nobody can lock what is
    /// not there. Costs a few steps, and one more for each time at
    /// which it is past its cliff and not over.
    fn vest(&mut self, vesting: &Vesting, balance: u64) {
        let initial = vesting.initial_minimum_balance.nanomina();
        if initial == 0 || balance == 0 || self.slots.is_empty() {
            return;
        }
        let cliff = vesting.cliff_time.get();
        let end = self.slots.len();
        let at_cliff = self.slots.partition_point(|slot| *slot < cliff);
        self.lock(0, at_cliff, initial.min(balance));
        let rest = initial.saturating_sub(vesting.cliff_amount.nanomina());
        let increment = vesting.vesting_increment.nanomina();
        // Nobody can release anything every 0 slots, and no transaction can make such a schedule.
        let period = vesting.vesting_period.get();
        if rest == 0 || increment == 0 || period == 0 {
            self.lock(at_cliff, end, rest.min(balance));
            return;
        }
        for position in at_cliff..end {
            let periods = (self.slots[position] - cliff) / period;
            let released = increment.saturating_mul(u64::from(periods));
            let left = rest.saturating_sub(released);
            if left == 0 {
                return;
            }
            self.lock(position, position + 1, left.min(balance));
        }
    }

    /// Locks an amount from one time to before another.
    fn lock(&mut self, from: usize, to: usize, nanomina: u64) {
        if from < to {
            self.changes[from] += i128::from(nanomina);
            self.changes[to] -= i128::from(nanomina);
        }
    }
}

fn bucket(nanomina: u64) -> usize {
    let exponent = nanomina.checked_ilog10().unwrap_or_default();
    let above = (exponent + 1).saturating_sub(FIRST_EXPONENT) as usize;
    above.min(BUCKETS - 1)
}

/// Lower bounds of the groups, in nanomina.
#[must_use]
pub fn bounds() -> [u64; BUCKETS] {
    let mut bounds = [0; BUCKETS];
    let mut bound = 10_u64.pow(FIRST_EXPONENT);
    for lower in bounds.iter_mut().skip(1) {
        *lower = bound;
        bound *= 10;
    }
    bounds
}

/// The times, in milliseconds since 1970: `origin_ms`, then ever further apart, from six hours to
/// two months, so that a schedule of days has its steps and one of years its length.
#[must_use]
pub fn times(origin_ms: u64) -> Vec<u64> {
    (0..=SAMPLES)
        .map(|number| origin_ms.saturating_add(HORIZON_MS / (SAMPLES * SAMPLES) * number * number))
        .collect()
}

/// The slots since genesis that run at the times on a chain's clock; before the chain starts, its
/// first.
#[must_use]
pub fn slots(times: &[u64], clock: &ChainClock) -> Arc<[u32]> {
    times
        .iter()
        .map(|time| {
            let elapsed = time.saturating_sub(clock.genesis.ms());
            let slots = elapsed.checked_div(clock.slot_ms).unwrap_or_default();
            let slot = slots.saturating_add(u64::from(clock.fork_slot.get()));
            u32::try_from(slot).unwrap_or(u32::MAX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use fork_genesis::timestamp::GenesisTimestamp;
    use fork_ledger::migrate::slot_reduction_update;
    use fork_types::{Amount, SlotSinceGenesis, SlotSpan};
    use proptest::prelude::*;

    use super::*;

    const GENESIS_MS: u64 = 1_788_458_400_000;
    const FORK_SLOT: u32 = 958_440;

    fn clock(slot_ms: u64) -> ChainClock {
        ChainClock {
            genesis: GenesisTimestamp::from_ms(GENESIS_MS).unwrap(),
            slot_ms,
            fork_slot: SlotSinceGenesis::new(FORK_SLOT),
        }
    }

    fn sampled(slot_ms: u64) -> Arc<[u32]> {
        slots(&times(GENESIS_MS), &clock(slot_ms))
    }

    /// The minimum balance as the specification has it.
    fn naive(vesting: &Vesting, slot: u32) -> u128 {
        let initial = i128::from(vesting.initial_minimum_balance.nanomina());
        let (slot, cliff) = (i128::from(slot), i128::from(vesting.cliff_time.get()));
        if slot < cliff {
            return u128::try_from(initial).unwrap();
        }
        let periods = (slot - cliff) / i128::from(vesting.vesting_period.get());
        let left = initial
            - i128::from(vesting.cliff_amount.nanomina())
            - i128::from(vesting.vesting_increment.nanomina()) * periods;
        u128::try_from(left.max(0)).unwrap()
    }

    /// Schedules near the fork, among them such that have ended and such that never do.
    fn schedule() -> impl Strategy<Value = Vesting> {
        let amount = || prop_oneof![Just(0), 0..1000_u64, any::<u64>()];
        let cliff = prop_oneof![
            0..FORK_SLOT,
            FORK_SLOT..FORK_SLOT + 2_000_000,
            any::<u32>(),
            // The very slot of a time.
            (0..121_usize).prop_map(|number| sampled(90_000)[number]),
        ];
        let period = prop_oneof![1..100_u32, 1..2_000_000_u32, Just(u32::MAX)];
        (amount(), amount(), amount(), cliff, period).prop_map(
            |(initial, at_cliff, increment, cliff, period)| Vesting {
                initial_minimum_balance: Amount::from_nanomina(initial),
                cliff_time: SlotSinceGenesis::new(cliff),
                cliff_amount: Amount::from_nanomina(at_cliff),
                vesting_period: SlotSpan::new(period),
                vesting_increment: Amount::from_nanomina(increment),
            },
        )
    }

    fn holding(vesting: Vesting) -> Holding {
        Holding {
            is_default_token: true,
            // Sometimes more than what is locked, and sometimes less.
            balance: vesting.initial_minimum_balance.nanomina().rotate_left(1),
            timing: Timing::Timed(vesting),
        }
    }

    proptest! {
        #[test]
        fn locked_is_the_sum_of_all_minimum_balances(
            schedules in prop::collection::vec(schedule(), 0..20),
            split in 0..20_usize,
        ) {
            let slots = sampled(90_000);
            let holdings: Vec<Holding> = schedules.iter().copied().map(holding).collect();
            let (first, second) = holdings.split_at(split.min(holdings.len()));
            let mut series = Series::new(Arc::clone(&slots));
            let mut part = series.fresh();
            series.add(first.iter().copied());
            part.add(second.iter().copied());
            series.merge(&part);
            let expected: Vec<u128> = slots
                .iter()
                .map(|slot| {
                    let each = holdings.iter().zip(&schedules);
                    each.map(|(holding, one)| naive(one, *slot).min(u128::from(holding.balance)))
                        .sum()
                })
                .collect();
            prop_assert_eq!(series.locked(), expected);
            prop_assert_eq!(series.timed, schedules.len() as u64);
        }

        #[test]
        fn a_right_migration_keeps_the_curve(
            initial in 1_u64..1 << 60, at_cliff in 0_u64..1 << 60, increment in 0_u64..1 << 50,
            cliff in 0..FORK_SLOT + 1_000_000, period in 1..500_000_u32,
        ) {
            let before = Vesting {
                initial_minimum_balance: Amount::from_nanomina(initial),
                cliff_time: SlotSinceGenesis::new(cliff),
                cliff_amount: Amount::from_nanomina(at_cliff.min(initial)),
                vesting_period: SlotSpan::new(period),
                vesting_increment: Amount::from_nanomina(increment),
            };
            let after = slot_reduction_update(&before, SlotSinceGenesis::new(FORK_SLOT)).unwrap();
            let curve = |vesting, slot_ms| {
                let mut series = Series::new(sampled(slot_ms));
                series.add([holding(vesting)]);
                series.locked()
            };
            prop_assert_eq!(curve(before, 180_000), curve(after, 90_000));
        }

        #[test]
        fn every_balance_is_in_its_group(balance: u64) {
            let mut series = Series::default();
            series.add([Holding { is_default_token: true, balance, timing: Timing::Untimed }]);
            let group = series.counts.iter().position(|count| *count == 1).unwrap();
            prop_assert!(bounds()[group] <= balance);
            prop_assert!(bounds().get(group + 1).is_none_or(|next| balance < *next));
            prop_assert_eq!(series.sums[group], u128::from(balance));
            prop_assert_eq!(series.counts.iter().sum::<u64>(), 1);
            prop_assert!(series.locked().is_empty());
        }
    }

    #[test]
    fn times_and_slots_are_those_of_the_clock() {
        let times = times(GENESIS_MS);
        assert_eq!(times.len(), 121);
        assert_eq!(
            (times[0], times[120]),
            (GENESIS_MS, GENESIS_MS + HORIZON_MS)
        );
        let (old, new) = (sampled(180_000), sampled(90_000));
        assert_eq!((old[0], new[0]), (FORK_SLOT, FORK_SLOT));
        assert_eq!(u64::from(new[120] - FORK_SLOT), HORIZON_MS / 90_000);
        assert!(new.iter().zip(&*old).all(|(new, old)| new >= old));
        // A chain that starts later stands still until it does.
        let mut late = clock(90_000);
        late.genesis = GenesisTimestamp::from_ms(GENESIS_MS + 86_400_000).unwrap();
        assert_eq!(slots(&times, &late)[1], FORK_SLOT);
        assert_eq!(bounds()[12], 100_000_000 * 1_000_000_000);
    }

    #[test]
    fn other_tokens_are_not_counted() {
        let mut series = Series::new(sampled(90_000));
        series.add([Holding {
            is_default_token: false,
            balance: 5,
            timing: Timing::Timed(Vesting::UNTIMED),
        }]);
        assert_eq!((series.timed, series.counts), (0, [0; BUCKETS]));
    }
}
