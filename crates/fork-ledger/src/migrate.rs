//! The rules that carry an account from one protocol era to the next.
//!
//! A migration is an explicit pair of eras, never guessed from the data, and a [`Rule`] is all of
//! it: widening of zkApp states, the vesting update and the permissions belong to the pair and are
//! no switches of their own. Leaf order never changes. [`Audit`] counts what a rule did and proves
//! that no money was made or lost.
//!
//! Sources: MinaProtocol/mina `src/lib/mina_base/account.ml` and `account_timing.ml` at commit
//! 5109e688; MinaProtocol/MIPs `MIPS/mip-0006`.

mod audit;
mod rule;
mod vesting;

pub use audit::{Audit, SupplyMismatch, Totals};
pub use rule::{
    BERKELEY_TXN_VERSION_OF_V1_ACCOUNTS, Changes, MesaTiming, MigrateError, Rule, RuleError,
    TimingChange,
};
pub use vesting::{PeriodZero, Phase, phase_at, slot_reduction_update};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
