//! The update of a vesting schedule when slots become half as long.
//!
//! Slots of 180 s become slots of 90 s at the fork, so from there on a schedule needs twice as many
//! slots for the same time. The equations are those of MIP 6; in words: an account still vesting at
//! the fork slot gets a new schedule whose minimum balance 2k slots after the fork is the old one's
//! k slots after it.

use fork_types::{Amount, SlotSinceGenesis, SlotSpan};

use crate::account::Vesting;

/// Old slots per new slot time: 180 s divided by 90 s.
const SLOTS_PER_OLD_SLOT: u64 = 2;

/// A schedule with a vesting period of 0 that would have to be divided by it. Transactions cannot
/// create one, lists of accounts can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodZero;

/// Where a schedule stands at a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The cliff is still to come.
    BeforeCliff,
    /// The cliff is past and something will still be released.
    AfterCliff {
        /// Periods that have passed since the cliff.
        periods: u64,
    },
    /// Nothing will change any more: everything is released, or the rest is locked for ever
    /// because the increment is 0.
    NotActive,
}

/// Says where `vesting` stands at `slot`.
///
/// # Errors
///
/// Fails when the cliff is past and the period is 0, unless the rest is locked for ever: upstream
/// finds that out before it divides.
pub fn phase_at(vesting: &Vesting, slot: SlotSinceGenesis) -> Result<Phase, PeriodZero> {
    let Some(since_cliff) = slot.get().checked_sub(vesting.cliff_time.get()) else {
        return Ok(Phase::BeforeCliff);
    };
    let Some(iterations) = iterations_after_cliff(vesting) else {
        return Ok(Phase::NotActive);
    };
    let periods = since_cliff
        .checked_div(vesting.vesting_period.get())
        .ok_or(PeriodZero)?;
    let periods = u64::from(periods);
    if iterations > periods {
        Ok(Phase::AfterCliff { periods })
    } else {
        Ok(Phase::NotActive)
    }
}

/// How many periods after the cliff it takes to release the rest; `None` when it never is.
fn iterations_after_cliff(vesting: &Vesting) -> Option<u64> {
    let locked = vesting.initial_minimum_balance.nanomina();
    let rest = locked.saturating_sub(vesting.cliff_amount.nanomina());
    match (rest, vesting.vesting_increment.nanomina()) {
        (0, _) => Some(0),
        (_, 0) => None,
        (rest, increment) => Some(rest.div_ceil(increment)),
    }
}

/// The schedule an account has on the new chain whose genesis is at `fork_slot`.
///
/// A schedule that is not active any more is returned as it is.
///
/// # Errors
///
/// As [`phase_at`].
pub fn slot_reduction_update(
    vesting: &Vesting,
    fork_slot: SlotSinceGenesis,
) -> Result<Vesting, PeriodZero> {
    let Vesting {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    } = *vesting;
    let fork = u64::from(fork_slot.get());
    let cliff = u64::from(cliff_time.get());
    let period = u64::from(vesting_period.get());
    let doubled_period = SlotSpan::new(clamped(SLOTS_PER_OLD_SLOT * period));
    Ok(match phase_at(vesting, fork_slot)? {
        Phase::NotActive => *vesting,
        Phase::BeforeCliff => Vesting {
            initial_minimum_balance,
            cliff_time: SlotSinceGenesis::new(clamped(fork + SLOTS_PER_OLD_SLOT * (cliff - fork))),
            cliff_amount,
            vesting_period: doubled_period,
            vesting_increment,
        },
        Phase::AfterCliff { periods } => {
            // Not negative: an active schedule has more iterations left than periods passed.
            let still_locked = initial_minimum_balance.nanomina()
                - cliff_amount.nanomina()
                - vesting_increment.nanomina() * periods;
            let until_next_release = period - (fork - cliff) % period;
            Vesting {
                initial_minimum_balance: Amount::from_nanomina(still_locked),
                cliff_time: SlotSinceGenesis::new(clamped(
                    fork + SLOTS_PER_OLD_SLOT * until_next_release,
                )),
                cliff_amount: vesting_increment,
                vesting_period: doubled_period,
                vesting_increment,
            }
        }
    })
}

/// The largest slot number instead of one that does not fit, as the MIP says.
fn clamped(slots: u64) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}
