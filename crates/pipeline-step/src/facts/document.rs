//! `facts.json`.

use fork_types::document::{Document, EpochSeeds, RuleRef};
use fork_types::{LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash};
use serde::{Deserialize, Serialize};

/// `facts.json`: a fork on one screen, after all documents of a run were held against each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsDocument {
    /// `forkpack.facts`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// What a person should know before anything else. Empty is good.
    pub warnings: Vec<String>,
    /// Name of the network file.
    pub network: String,
    /// Name of the network in packages.
    pub package_network: String,
    /// The migration's rule.
    pub rule: RuleRef,
    /// The last block of the old chain.
    pub fork_block: FactsBlock,
    /// The first block of the new chain.
    pub genesis: FactsGenesis,
    /// Seeds of the two epochs.
    pub seeds: EpochSeeds,
    /// The three ledgers, in the order of [`Role::ALL`].
    pub ledgers: Vec<FactsLedger>,
    /// SHA-256 of the runtime config.
    pub config_sha256: String,
    /// What goes into the chain id.
    pub chain_id: FactsChainId,
    /// The packages.
    pub packages: Vec<FactsPackage>,
    /// The images.
    pub images: Vec<FactsImage>,
    /// What `verify-package` said.
    pub verifications: Vec<FactsVerification>,
    /// The statement over everything; absent when none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<FactsManifest>,
    /// How many comparisons between two documents were made.
    pub comparisons: usize,
}

impl Document for FactsDocument {
    const FORMAT: &'static str = "forkpack.facts";
    const VERSION: u32 = 1;
    const FILE_NAME: &'static str = "facts.json";
}

/// The last block of the old chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsBlock {
    /// State hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the last hard fork, when the block was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_since_hard_fork: Option<SlotSinceHardFork>,
    /// Slot since the first genesis, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_slot_since_genesis: Option<SlotSinceGenesis>,
}

/// The first block of the new chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsGenesis {
    /// Time, RFC 3339 in UTC.
    pub timestamp: String,
    /// Slot since the old chain's genesis.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Slot since the first genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Slot at which the old chain ends, since its genesis; absent when only the time was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_chain_end: Option<SlotSinceHardFork>,
    /// How slot and time were derived, in words and numbers.
    pub derivation: Vec<String>,
}

/// A ledger before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsLedger {
    /// Its role.
    pub role: Role,
    /// Root by the old chain's rules.
    pub root_before: LedgerHash,
    /// Root by the new chain's rules.
    pub root_after: LedgerHash,
    /// Accounts before.
    pub accounts_before: u32,
    /// Accounts after.
    pub accounts_after: u32,
    /// Whether the root before was compared with anybody's claim.
    pub source_verified: bool,
    /// Name of the tarball.
    pub tarball: String,
    /// SHA-256 of the tarball.
    pub tarball_sha256: String,
    /// SHA3-256 of the tarball, as the config names it.
    pub s3_data_hash: String,
}

/// What goes into the chain id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsChainId {
    /// Name and value of each known input, in hashing order.
    pub inputs: Vec<(String, String)>,
    /// The chain id, when all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsPackage {
    /// File name.
    pub file: String,
    /// Name in the control data.
    pub name: String,
    /// Version in the control data.
    pub version: String,
    /// Architecture in the control data.
    pub architecture: String,
    /// First digits of the commit of the daemon that loads the config by itself.
    pub git_hash: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsImage {
    /// Tag.
    pub tag: String,
    /// Digest of the manifest, `sha256:…`.
    pub digest: String,
    /// File name of the package inside.
    pub package: String,
}

/// What `verify-package` said of one package or image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsVerification {
    /// Kind and name of what was verified.
    pub subject: String,
    /// Checks that passed.
    pub passed: usize,
    /// Identifiers of those that failed.
    pub failed: Vec<String>,
    /// Checks for which something was missing.
    pub not_run: usize,
}

/// The statement over everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsManifest {
    /// SHA-256 of `manifest.json`.
    pub sha256: String,
    /// What the signatures say whose they are. Not verified here: that needs the keys one trusts.
    pub signatures: Vec<String>,
    /// What was done against a rule or a check on a person's word.
    pub overrides: Vec<String>,
}
