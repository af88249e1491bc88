//! What a migration did to a whole ledger.

use fork_types::{Class, Fault, TokenId};

use super::rule::{Changes, TimingChange};
use super::vesting::Phase;
use crate::account::{Account, V1Account};

/// Balances summed in 128 bits, which a list of 2^32 accounts cannot overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Nanomina of the chain's own currency.
    pub default_token: u128,
    /// The smallest units of all other tokens together.
    pub other_tokens: u128,
}

impl Totals {
    fn add(&mut self, is_default_token: bool, balance: u64) {
        if is_default_token {
            self.default_token += u128::from(balance);
        } else {
            self.other_tokens += u128::from(balance);
        }
    }

    fn merge(&mut self, other: Self) {
        let Self {
            default_token,
            other_tokens,
        } = other;
        self.default_token += default_token;
        self.other_tokens += other_tokens;
    }
}

/// Counts over the accounts of one ledger. Parts counted in parallel can be merged in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Accounts migrated.
    pub accounts: u64,
    /// Accounts with a zkApp part.
    pub zkapps: u64,
    /// zkApp states that were widened.
    pub padded_zkapps: u64,
    /// Timed accounts whose schedule was rewritten.
    pub timed_changed: u64,
    /// Untimed accounts that became timed.
    pub untimed_changed: u64,
    /// Timed accounts still vesting at the fork slot.
    pub still_vesting: u64,
    /// Of these, the ones past their cliff.
    pub still_vesting_past_cliff: u64,
    /// Balances before.
    pub before: Totals,
    /// Balances after.
    pub after: Totals,
}

/// A migration that made or lost money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "balances sum up to {after_default} of the default token and {after_other} of other tokens \
     after the migration, before it to {before_default} and {before_other}",
    after_default = .after.default_token,
    after_other = .after.other_tokens,
    before_default = .before.default_token,
    before_other = .before.other_tokens
)]
pub struct SupplyMismatch {
    /// Balances before.
    pub before: Totals,
    /// Balances after.
    pub after: Totals,
}

impl Fault for SupplyMismatch {
    fn class(&self) -> Class {
        // Rules copy balances, so only a bug can end here.
        Class::Internal
    }
}

impl Audit {
    /// Counts one migrated account.
    pub fn record(&mut self, before: &Account, after: &Account, changes: &Changes) {
        self.before.add(
            before.token_id == TokenId::DEFAULT,
            before.balance.nanomina(),
        );
        self.record_after(after, changes);
    }

    /// Counts one migrated v1 account.
    pub fn record_v1(&mut self, before: &V1Account, after: &Account, changes: &Changes) {
        self.before
            .add(before.token_id == 1, before.balance.nanomina());
        self.record_after(after, changes);
    }

    fn record_after(&mut self, after: &Account, changes: &Changes) {
        let Changes {
            timing,
            phase,
            is_zkapp,
            app_state_padded,
        } = *changes;
        self.accounts += 1;
        self.zkapps += u64::from(is_zkapp);
        self.padded_zkapps += u64::from(app_state_padded);
        match timing {
            TimingChange::Kept => {}
            TimingChange::Rescheduled => self.timed_changed += 1,
            TimingChange::BecameTimed => self.untimed_changed += 1,
        }
        match phase {
            None | Some(Phase::NotActive) => {}
            Some(Phase::BeforeCliff) => self.still_vesting += 1,
            Some(Phase::AfterCliff { .. }) => {
                self.still_vesting += 1;
                self.still_vesting_past_cliff += 1;
            }
        }
        self.after
            .add(after.token_id == TokenId::DEFAULT, after.balance.nanomina());
    }

    /// Adds the counts of another part of the same ledger.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            accounts,
            zkapps,
            padded_zkapps,
            timed_changed,
            untimed_changed,
            still_vesting,
            still_vesting_past_cliff,
            before,
            after,
        } = *other;
        self.accounts += accounts;
        self.zkapps += zkapps;
        self.padded_zkapps += padded_zkapps;
        self.timed_changed += timed_changed;
        self.untimed_changed += untimed_changed;
        self.still_vesting += still_vesting;
        self.still_vesting_past_cliff += still_vesting_past_cliff;
        self.before.merge(before);
        self.after.merge(after);
    }

    /// Checks that the supply is what it was.
    ///
    /// # Errors
    ///
    /// Fails when the balances of the default token, or of all other tokens together, sum up to
    /// something else than before.
    pub fn check_supply(&self) -> Result<(), SupplyMismatch> {
        let Self { before, after, .. } = *self;
        if before == after {
            Ok(())
        } else {
            Err(SupplyMismatch { before, after })
        }
    }
}
