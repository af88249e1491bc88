//! Do the block, the export, the ledgers and the network say the same?
//!
//! [`compare`] makes every comparison there is evidence for and returns all of them: what agreed,
//! what could not be compared and why, and every contradiction. It is pure and decides nothing
//! else; in particular it never replaces a value by another.
//!
//! All ledger roots here are those *before* migration, under the source era's rules.

use fork_types::document::{Check, ClaimedRoot, SlotMeaning};
use fork_types::{Amount, Class, EpochSeed, Fault, LedgerHash, Role, SlotSinceGenesis, StateHash};
use serde::Serialize;

use crate::archive::ArchiveFacts;
use crate::block::{BlockProblem, ForkBlockFacts};
use crate::config::PreforkConfig;
use crate::fork_config::ForkConfigFacts;
use crate::import::ImportedLedger;
use crate::network::Network;
use crate::replayer::ReplayerFacts;
use crate::schedule::Schedule;

mod archive_checks;
mod block_checks;
mod ledger_checks;
mod network_checks;
mod report;

use report::Report;

/// Name of the block in [`Mismatch`] and [`ClaimedRoot`].
pub const BY_BLOCK: &str = "block";
/// Name of the fork config.
pub const BY_FORK_CONFIG: &str = "fork-config";
/// Name of the replayer output.
pub const BY_REPLAYER: &str = "replayer-output";
/// Name of an archive database.
pub const BY_ARCHIVE: &str = "archive";
/// Name of what was computed from the accounts.
pub const BY_ACCOUNTS: &str = "accounts";
/// Name of the network file.
pub const BY_NETWORK: &str = "network-file";
/// Name of the config before the fork.
pub const BY_PREFORK: &str = "prefork-config";
/// Name of the derived schedule.
pub const BY_SCHEDULE: &str = "schedule";

/// The document the ledgers came from.
#[derive(Clone, Copy, Debug)]
pub enum Import<'a> {
    /// A fork config.
    ForkConfig(&'a ForkConfigFacts),
    /// A replayer output, which has neither height nor slot.
    Replayer(&'a ReplayerFacts),
    /// The database of an archive, which has all of the block but its state hash's parts.
    Archive(&'a ArchiveFacts),
}

/// What was computed from the accounts of one ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct ComputedLedger {
    /// Root under the source era's rules.
    pub root: Option<LedgerHash>,
    /// Sum of the balances of the default token, nanomina.
    pub total_balance: Option<Amount>,
}

/// A value somebody expects, such as a file name or an option of the command line.
#[derive(Clone, Debug)]
pub struct Expected<T> {
    /// The value.
    pub value: T,
    /// Who expects it: `--expect-root`, `file name`.
    pub by: String,
}

/// Everything there is to compare; what is absent is reported as not compared.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// The network.
    pub network: &'a Network,
    /// The fork block.
    pub block: Option<&'a ForkBlockFacts>,
    /// What the block says against itself.
    pub block_problems: &'a [BlockProblem],
    /// State hashes the fork block is expected to have.
    pub expected_state_hashes: &'a [Expected<StateHash>],
    /// Heights the fork block is expected to have.
    pub expected_lengths: &'a [Expected<u32>],
    /// The document with the ledgers.
    pub import: Option<Import<'a>>,
    /// What was computed from the accounts: genesis, staking, next.
    pub computed: [ComputedLedger; 3],
    /// Roots somebody expects: genesis, staking, next.
    pub expected_roots: [Option<Expected<LedgerHash>>; 3],
    /// The config of the chain before the fork.
    pub prefork: Option<&'a PreforkConfig>,
    /// The schedule of the new genesis, when it was derived.
    pub schedule: Option<&'a Schedule>,
}

/// Two sources that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Stable identifier of the comparison, such as `root.staking.computed`.
    pub id: String,
    /// What was compared, in words.
    pub what: String,
    /// The value it should have.
    pub expected: String,
    /// Who says so.
    pub expected_by: String,
    /// The other value.
    pub found: String,
    /// Where it was found.
    pub found_in: String,
}

/// Outcome of [`compare`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What agreed, and what could not be compared.
    pub checks: Vec<Check>,
    /// Every contradiction.
    pub mismatches: Vec<Mismatch>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// What the slot of the fork config means.
    pub slot_meaning: SlotMeaning,
    /// The block's own slot since genesis, as far as it is established.
    pub block_slot: Option<SlotSinceGenesis>,
}

/// A candidate with contradictions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} contradiction(s) between the inputs: {}", .mismatches.len(), Listed(.mismatches))]
pub struct ContradictionError {
    /// All of them, at least one.
    pub mismatches: Vec<Mismatch>,
}

struct Listed<'a>(&'a [Mismatch]);

impl std::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, mismatch) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{mismatch}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is {} in {}, expected {} by {}",
            self.what, self.found, self.found_in, self.expected, self.expected_by
        )
    }
}

impl Fault for ContradictionError {
    fn class(&self) -> Class {
        Class::Wrong
    }

    fn hint(&self) -> Option<String> {
        let has = |id: &str| {
            self.mismatches
                .iter()
                .any(|mismatch| mismatch.id.starts_with(id))
        };
        let text = if has("network.") {
            "check that `--network` names the network the inputs come from"
        } else if has("root.genesis") {
            "fork_config exports have written edit_state wrongly before; export the staged ledger \
             from the command line of the daemon instead"
        } else {
            return None;
        };
        Some(text.to_owned())
    }
}

impl Comparison {
    /// The comparison itself when nothing contradicts, an error naming every contradiction
    /// otherwise.
    ///
    /// # Errors
    ///
    /// Fails when there is any [`Mismatch`].
    pub fn into_result(self) -> Result<Self, ContradictionError> {
        if self.mismatches.is_empty() {
            Ok(self)
        } else {
            Err(ContradictionError {
                mismatches: self.mismatches,
            })
        }
    }
}

impl<'a> Import<'a> {
    /// Who the document's values are attributed to.
    #[must_use]
    pub const fn by(&self) -> &'static str {
        match self {
            Self::ForkConfig(_) => BY_FORK_CONFIG,
            Self::Replayer(_) => BY_REPLAYER,
            Self::Archive(_) => BY_ARCHIVE,
        }
    }

    /// The ledger of a role.
    #[must_use]
    pub const fn ledger(&self, role: Role) -> &'a ImportedLedger {
        match self {
            Self::ForkConfig(facts) => facts.ledger(role),
            Self::Replayer(facts) => facts.ledger(role),
            Self::Archive(facts) => facts.ledger(role),
        }
    }

    const fn state_hash(&self) -> StateHash {
        match self {
            Self::ForkConfig(facts) => facts.fork.state_hash,
            Self::Replayer(facts) => facts.fork_state_hash,
            Self::Archive(facts) => facts.state_hash,
        }
    }

    const fn seeds(&self) -> [EpochSeed; 2] {
        let epochs = match self {
            Self::ForkConfig(facts) => &facts.epochs,
            Self::Replayer(facts) => &facts.epochs,
            Self::Archive(facts) => return [facts.staking_seed, facts.next_seed],
        };
        [epochs.staking_seed, epochs.next_seed]
    }

    fn warnings(&self) -> &'a [String] {
        match self {
            Self::ForkConfig(facts) => &facts.warnings,
            Self::Replayer(facts) => &facts.warnings,
            Self::Archive(facts) => &facts.warnings,
        }
    }
}

impl Evidence<'_> {
    /// The root somebody claims for a ledger: the block's, else an expected one, else the
    /// document's own.
    #[must_use]
    pub fn claimed_root(&self, role: Role) -> Option<ClaimedRoot> {
        let block = self
            .block_root(role)
            .map(|root| (root, BY_BLOCK.to_owned()));
        let expected = || {
            let expected = self.expected_roots[index(role)].as_ref()?;
            Some((expected.value, expected.by.clone()))
        };
        let import = || {
            let import = self.import?;
            Some((import.ledger(role).claimed_root?, import.by().to_owned()))
        };
        let (root, by) = block.or_else(expected).or_else(import)?;
        Some(ClaimedRoot { root, by })
    }

    fn block_root(&self, role: Role) -> Option<LedgerHash> {
        self.block.map(|block| match role {
            Role::Genesis => block.staged_ledger_hash,
            Role::Staking => block.staking_epoch.ledger_hash,
            Role::Next => block.next_epoch.ledger_hash,
        })
    }
}

const fn index(role: Role) -> usize {
    match role {
        Role::Genesis => 0,
        Role::Staking => 1,
        Role::Next => 2,
    }
}

/// Compares everything with everything, as far as there is evidence.
#[must_use]
pub fn compare(evidence: &Evidence<'_>) -> Comparison {
    let mut report = Report::default();
    if let Some(import) = evidence.import {
        report.warnings.extend_from_slice(import.warnings());
    }
    if let Some(prefork) = evidence.prefork {
        report.warnings.extend_from_slice(&prefork.warnings);
    }
    block_checks::identity(evidence, &mut report);
    block_checks::self_consistency(evidence, &mut report);
    let slot_meaning = block_checks::slot(evidence, &mut report);
    archive_checks::all(evidence, &mut report);
    ledger_checks::seeds(evidence, &mut report);
    ledger_checks::roots(evidence, &mut report);
    ledger_checks::currency(evidence, &mut report);
    network_checks::chain(evidence, &mut report);
    network_checks::prefork(evidence, &mut report);
    network_checks::schedule(evidence, &mut report);
    let from_export = || match (evidence.import, slot_meaning) {
        (Some(Import::ForkConfig(facts)), SlotMeaning::ForkBlock) => {
            Some(facts.fork.global_slot_since_genesis)
        }
        (Some(Import::Archive(facts)), _) => Some(facts.global_slot_since_genesis),
        _ => None,
    };
    let block_slot = evidence
        .block
        .map(|block| block.global_slot_since_genesis)
        .or_else(from_export);
    let Report {
        checks,
        mismatches,
        warnings,
    } = report;
    Comparison {
        checks,
        mismatches,
        warnings,
        slot_meaning,
        block_slot,
    }
}

#[cfg(test)]
mod tests;
