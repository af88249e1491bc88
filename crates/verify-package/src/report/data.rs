//! What a report tells besides its checks: the fork on one screen, the charts, a second package.

use fork_types::{EpochSeed, LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash};
use serde::{Deserialize, Serialize};

use super::ReportSubject;

/// The fork on one screen. What is not known is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportFacts {
    /// `daemon.network_id` of the network file.
    pub network_id: String,
    /// The fork block, as the candidate names it.
    pub fork_block: ReportForkBlock,
    /// The new genesis, as the package's config has it.
    pub genesis: ReportGenesis,
    /// Seed of the staking epoch, as the candidate names it.
    pub staking_seed: EpochSeed,
    /// Seed of the next epoch.
    pub next_seed: EpochSeed,
    /// The three ledgers, in the order of [`Role::ALL`].
    pub ledgers: Vec<ReportLedger>,
    /// Name in the control data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_name: Option<String>,
    /// Version in the control data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_version: Option<String>,
    /// All files, by path.
    pub files: Vec<ReportFile>,
}

/// The last block of the old chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportForkBlock {
    /// State hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Its slot since the first genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_slot_since_genesis: Option<SlotSinceGenesis>,
    /// Its slot since the last hard fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_since_hard_fork: Option<SlotSinceHardFork>,
    /// Its time, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// The first block of the new chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportGenesis {
    /// Its time, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Its slot since the first genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_slot_since_genesis: Option<SlotSinceGenesis>,
    /// Slot time of the new chain in milliseconds.
    pub slot_ms: u64,
}

/// A ledger before and after. Amounts are in nanomina, decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportLedger {
    /// Its role.
    pub role: Role,
    /// Accounts of the candidate.
    pub accounts_before: u64,
    /// Accounts of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts_after: Option<u64>,
    /// Root of the candidate by the old chain's rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_before: Option<LedgerHash>,
    /// Root of the migrated candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_migrated: Option<LedgerHash>,
    /// Root of the accounts in the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_after: Option<LedgerHash>,
    /// Balances of the candidate.
    pub supply_before_nanomina: String,
    /// Balances of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply_after_nanomina: Option<String>,
    /// Its tarball.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tarball: Option<ReportTarball>,
}

/// A tarball.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportTarball {
    /// File name.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA3-256, the daemon's `s3_data_hash`, lower-case hexadecimal.
    pub sha3_256: String,
}

/// A file of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportFile {
    /// Path from the root.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// Charts of the three ledgers before and after. Accounts of the chain's own currency only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportSeries {
    /// Lower bounds of the groups of balances, in nanomina.
    pub balances_from_nanomina: Vec<u64>,
    /// Times of the locked balances in milliseconds since 1970; none where neither the stop slots
    /// nor the package say when the new chain starts.
    pub times_ms: Vec<u64>,
    /// The ledgers, in the order of [`Role::ALL`].
    pub ledgers: Vec<ReportLedgerSeries>,
}

/// Charts of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportLedgerSeries {
    /// Its role.
    pub role: Role,
    /// The candidate, on the old chain's clock.
    pub before: ReportCurves,
    /// The package, on its own clock.
    pub after: ReportCurves,
}

/// Charts of a list of accounts. Amounts are in nanomina, decimal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportCurves {
    /// Accounts per group of balances.
    pub accounts: Vec<u64>,
    /// Balance per group.
    pub sums_nanomina: Vec<String>,
    /// Accounts with a vesting schedule.
    pub timed_accounts: u64,
    /// Balance that must stay, at each time: the minimum balances, but no more than each account has.
    pub locked_nanomina: Vec<String>,
}

/// A second package beside the one that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportComparison {
    /// The second package.
    pub subject: ReportSubject,
    /// Why the two could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What it comes to, in a sentence.
    pub summary: String,
    /// Name of the first input that differs and is not harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// What decides whether nodes are on one chain, on both sides.
    pub inputs: Vec<ReportInput>,
    /// Everything that differs, in the order in which it was compared.
    pub differences: Vec<ReportDifference>,
    /// What only one of them has or what could not be read, and why.
    pub not_compared: Vec<ReportGap>,
}

/// Something that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportGap {
    /// Which part it is in.
    pub part: Part,
    /// What, and why not.
    pub what: String,
}

/// One input of the chain in both packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportInput {
    /// Its name.
    pub name: String,
    /// In the package that was verified.
    pub here: String,
    /// In the second one.
    pub there: String,
    /// Whether they mean the same.
    pub is_equal: bool,
}

/// Which part of a package a difference is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The config that names the ledgers.
    Config,
    /// Tarballs and the stores in them.
    Ledgers,
    /// Everything else.
    Files,
}

/// What a difference does to a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The chain ids differ: nodes with one package and nodes with the other refuse each other.
    CannotPeer,
    /// The chain ids may be the same, and yet the nodes do not hold the same.
    Disagree,
    /// The chain is the same; what is installed beside it is not.
    Other,
    /// It changes nothing.
    Harmless,
}

impl Effect {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::CannotPeer => "cannot peer",
            Self::Disagree => "nodes disagree",
            Self::Other => "same chain",
            Self::Harmless => "harmless",
        }
    }
}

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportDifference {
    /// Which input.
    pub input: String,
    /// Which part it is in.
    pub part: Part,
    /// In the package that was verified.
    pub here: String,
    /// In the second one.
    pub there: String,
    /// What it does.
    pub effect: Effect,
    /// What it means, in a sentence.
    pub meaning: String,
    /// More about it, a line each.
    pub detail: Vec<String>,
}
