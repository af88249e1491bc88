//! The JSON documents the steps hand to each other.
//!
//! Every arrow of the pipeline is a directory with one of these in it, naming the other files by
//! SHA-256. A document carries a `format` and a `version`; readers refuse another format and a
//! newer version before they look at anything else, and unknown members are errors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::compression::Compression;
use crate::era::{Era, Role};
use crate::id::{EpochSeed, LedgerHash, StateHash};
use crate::slot::{SlotSinceGenesis, SlotSinceHardFork};

/// Largest document read, in bytes. The largest real one is a few tens of KiB.
pub const DOCUMENT_BYTES_MAX: u64 = 16 << 20;

/// A document that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or not of this shape.
    #[error("not a valid {format} document")]
    Json {
        /// Expected format.
        format: &'static str,
        /// What serde found, with line and column.
        source: serde_json::Error,
    },
    /// Another kind of document.
    #[error("this is a `{found}` document, expected `{expected}`")]
    Format {
        /// Expected format.
        expected: &'static str,
        /// Format found.
        found: String,
    },
    /// Written by a later release.
    #[error("this `{format}` document has version {found}; this build reads up to {supported}")]
    TooNew {
        /// The format.
        format: &'static str,
        /// Version found.
        found: u32,
        /// Newest version known here.
        supported: u32,
    },
}

/// A document of the pipeline.
pub trait Document: Serialize + DeserializeOwned {
    /// Value of the `format` member.
    const FORMAT: &'static str;
    /// Newest version this build reads, and the one it writes.
    const VERSION: u32;
    /// Name of the file inside the step's directory.
    const FILE_NAME: &'static str;

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// Fails on another format, a newer version, and anything that is not exactly this shape.
    fn from_json(bytes: &[u8]) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
            version: u32,
        }
        let json = |source| DocumentError::Json {
            format: Self::FORMAT,
            source,
        };
        let header: Header = serde_json::from_slice(bytes).map_err(json)?;
        if header.format != Self::FORMAT {
            return Err(DocumentError::Format {
                expected: Self::FORMAT,
                found: header.format,
            });
        }
        if header.version > Self::VERSION {
            return Err(DocumentError::TooNew {
                format: Self::FORMAT,
                found: header.version,
                supported: Self::VERSION,
            });
        }
        serde_json::from_slice(bytes).map_err(json)
    }

    /// The document as indented JSON with a final newline.
    ///
    /// # Errors
    ///
    /// Fails only when a value cannot be JSON at all, which none of the documents here can.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

macro_rules! document {
    ($name:ident, $format:literal, $version:literal, $file:literal) => {
        impl Document for $name {
            const FORMAT: &'static str = $format;
            const VERSION: u32 = $version;
            const FILE_NAME: &'static str = $file;
        }

        impl $name {
            /// The `format` member of a new document.
            #[must_use]
            pub fn format() -> String {
                $format.to_owned()
            }

            /// The `version` member of a new document.
            #[must_use]
            pub const fn version() -> u32 {
                $version
            }
        }
    };
}

mod archive;
mod capture;
mod image;
mod shard;

pub use archive::{
    ArchiveBlocksDocument, ArchiveCandidateDocument, ArchiveLedgerDocument, ArchiveSource,
    ArchivedBlock, ArchivedLedger, ArchivedPrefix, LedgerBlock, ListedArchiveBlock, ProvedEpochs,
};

pub use image::{ImageAttachment, ImageBase, ImageDocument};
pub use shard::{ShardAudit, ShardDocument, ShardLedger};

pub use capture::{
    CaptureRecord, Chosen, ChosenBy, DaemonView, DaemonVote, JudgedCandidate, Refusal, SeenBlock,
    SeenStopSlots, SelectionDocument, SelectionRule, StoreDocument, StoredCandidate, StoredLedger,
};

/// A file named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Path relative to the document's directory; never absolute, never upwards.
    pub name: String,
    /// Lower-case hexadecimal SHA-256 of the content.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// An input a step read, for provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRef {
    /// What it was used as: `fork-config`, `block`, `staged-ledger`, `replayer-output`, ….
    pub kind: String,
    /// Last component of the path or URL; directories stay out so that the same input gives the
    /// same document everywhere.
    pub name: String,
    /// Lower-case hexadecimal SHA-256 of the bytes as fetched (before decompression).
    pub sha256: String,
    /// Size in bytes as fetched.
    pub bytes: u64,
}

/// One comparison a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Stable identifier, such as `block.state-hash`.
    pub id: String,
    /// What happened.
    pub outcome: Outcome,
    /// The value both sides agree on, or why nothing could be compared.
    pub detail: String,
}

/// Outcome of a [`Check`] in a document; a failed check writes no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Compared and equal.
    Passed,
    /// Nothing to compare with.
    NotRun,
}

/// `candidate.json`: a fork candidate, as captured or imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// `forkpack.candidate`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Name of the network file used.
    pub network: String,
    /// Era whose rules the ledgers' roots follow.
    pub source_era: Era,
    /// The fork block.
    pub fork_block: ForkBlock,
    /// The schedule of the new genesis, where the input carried one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<ScheduledGenesis>,
    /// Epoch seeds, copied from the fork block.
    pub seeds: EpochSeeds,
    /// The staged ledger of the fork block.
    pub staged_ledger: CandidateLedger,
    /// The staking epoch ledger.
    pub staking_ledger: CandidateLedger,
    /// The next epoch ledger.
    pub next_staking_ledger: CandidateLedger,
    /// The block file, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<FileRef>,
    /// What was read.
    pub sources: Vec<SourceRef>,
    /// What was compared.
    pub checks: Vec<Check>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// How it was selected among others; absent when it was imported. Version 1 had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Chosen>,
}
document!(Candidate, "forkpack.candidate", 2, "candidate.json");

impl Candidate {
    /// The ledger of a role.
    #[must_use]
    pub const fn ledger(&self, role: Role) -> &CandidateLedger {
        match role {
            Role::Genesis => &self.staged_ledger,
            Role::Staking => &self.staking_ledger,
            Role::Next => &self.next_staking_ledger,
        }
    }
}

/// The fork block's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkBlock {
    /// Protocol state hash.
    pub state_hash: StateHash,
    /// Whether the state hash was recomputed from the block's protocol state here.
    pub state_hash_recomputed: bool,
    /// Height of the block.
    pub blockchain_length: u32,
    /// Slot of the block itself since the first genesis, when known (needs the block, or an export
    /// of the older meaning).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_slot_since_genesis: Option<SlotSinceGenesis>,
    /// Slot of the block itself since the last hard fork, when the block was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_since_hard_fork: Option<SlotSinceHardFork>,
    /// The block's time in milliseconds since 1970, when the block was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_ms: Option<u64>,
    /// Genesis time of the chain the block is on, in milliseconds since 1970, when the block was
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_genesis_timestamp_ms: Option<u64>,
}

/// What a `fork_config` export says about the new genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledGenesis {
    /// `proof.fork.global_slot_since_genesis` as found. The key has carried two meanings; see
    /// `meaning`.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Which of the two meanings was established, and how.
    pub meaning: SlotMeaning,
    /// `genesis.genesis_state_timestamp` as found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis_state_timestamp: Option<String>,
}

/// What the slot of a `fork_config` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotMeaning {
    /// The slot of the fork block itself (it equals the block's).
    ForkBlock,
    /// The scheduled slot of the new genesis (it lies after the block's).
    ScheduledGenesis,
    /// Not established: no block was given.
    Unknown,
}

/// The two epoch seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochSeeds {
    /// Seed of the staking epoch.
    pub staking: EpochSeed,
    /// Seed of the next epoch.
    pub next: EpochSeed,
}

/// One ledger of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateLedger {
    /// The account list: a JSON array in leaf order, one account a line.
    pub file: FileRef,
    /// Number of accounts.
    pub accounts: u32,
    /// Root somebody claims for it, with who does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_root: Option<ClaimedRoot>,
    /// Root recomputed here from the accounts; absent when that was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed_root: Option<LedgerHash>,
    /// Sum of the balances of the default token, in nanomina, as decimal text.
    pub total_balance_nanomina: String,
}

/// A root and who claims it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedRoot {
    /// The root.
    pub root: LedgerHash,
    /// `block`, `fork-config`, or `--expect-root`; a block's claim wins over an export's, and the
    /// two must agree anyway.
    pub by: String,
}

/// `ledger.json`: one migrated ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerDocument {
    /// `forkpack.ledger`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Which of the three ledgers.
    pub role: Role,
    /// The migration rule.
    pub rule: RuleRef,
    /// The candidate it came from; absent for a bare account list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidateRef>,
    /// The ledger before migration.
    pub source: SourceLedger,
    /// The ledger after migration.
    pub target: TargetLedger,
    /// What the migration changed.
    pub audit: AuditCounts,
    /// The tarball.
    pub tarball: Tarball,
    /// Wall time per stage in milliseconds. When several roles were migrated by one process, each
    /// document has the times of all of them together.
    pub stages_ms: BTreeMap<String, u64>,
    /// Peak resident memory of the process in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Poseidon kernel that hashed; it changes no result. Absent before version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
}
document!(LedgerDocument, "forkpack.ledger", 2, "ledger.json");

/// How a store was proved before it was packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreProofKind {
    /// The log was read back from the disk and every entry compared with what was hashed.
    Log,
    /// The store was opened with RocksDB and every hash in it computed again from its accounts.
    #[default]
    Rocksdb,
}

/// A migration rule, named by its pair of eras.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRef {
    /// Full name, such as `berkeley-to-mesa/untimed-becomes-timed`.
    pub name: String,
    /// Source era.
    pub from: Era,
    /// Target era.
    pub to: Era,
    /// Global slot since genesis of the new genesis, where the rule uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_slot: Option<SlotSinceGenesis>,
    /// Variant, where the rule has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Which candidate a ledger came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateRef {
    /// Network of the candidate.
    pub network: String,
    /// State hash of the fork block.
    pub state_hash: StateHash,
    /// SHA-256 of `candidate.json`.
    pub sha256: String,
}

/// The ledger before migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceLedger {
    /// The account list.
    pub file: FileRef,
    /// Number of accounts.
    pub accounts: u32,
    /// Depth of the tree.
    pub depth: u8,
    /// Root under the source era's rules.
    pub root: LedgerHash,
    /// Whether the root was computed by this step. False with `--skip-source-root`: then the
    /// candidate says that it was computed from exactly these bytes.
    #[serde(default = "yes")]
    pub root_computed: bool,
    /// Root it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_root: Option<ClaimedRoot>,
    /// False when nothing was there to compare with and the caller allowed that
    /// (`--unverified-source`); every later document repeats it.
    pub verified: bool,
}

/// The ledger after migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetLedger {
    /// Number of accounts.
    pub accounts: u32,
    /// Depth of the tree.
    pub depth: u8,
    /// Root under the target era's rules.
    pub root: LedgerHash,
    /// How the store was compared with it. Version 1 knew only `rocksdb`.
    #[serde(default)]
    pub proof: StoreProofKind,
    /// Whether the caller named the root (`--expect-root`).
    pub expected_by_caller: bool,
}

/// Before version 2 there was no way to skip it.
const fn yes() -> bool {
    true
}

/// What a migration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCounts {
    /// Accounts in all.
    pub accounts: u32,
    /// Timed accounts, before migration.
    pub timed: u32,
    /// zkApp accounts.
    pub zkapps: u32,
    /// Timed accounts whose schedule changed.
    pub timed_changed: u32,
    /// Untimed accounts that became timed (the variant says whether any should).
    pub untimed_changed: u32,
    /// zkApps whose state was padded.
    pub padded_zkapps: u32,
    /// Sum of default-token balances before, in nanomina, decimal text.
    pub total_balance_before_nanomina: String,
    /// The same after.
    pub total_balance_after_nanomina: String,
}

/// A ledger tarball.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tarball {
    /// The file; its name is the hash name the daemon looks for.
    pub file: FileRef,
    /// SHA3-256 of the file, lower-case hexadecimal: `s3_data_hash` of the network config.
    pub s3_data_hash: String,
    /// SHA-256 over the sorted scanner text of the store's entries: equal for any two stores of
    /// the same ledger, whoever wrote them.
    pub content_sha256: String,
    /// Key/value entries in the store.
    pub entries: u64,
}

/// `network.json`: how the network config came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkDocument {
    /// `forkpack.network`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Name of the network in packages and in the daemon's files.
    pub network: String,
    /// The runtime config.
    pub config: FileRef,
    /// The hashes file, as upstream writes it.
    pub hashes: FileRef,
    /// The config of the chain before the fork, copied byte for byte; it becomes
    /// `<network>.old.json`.
    pub prefork_config: FileRef,
    /// The candidate.
    pub candidate: CandidateRef,
    /// Fork block and new genesis.
    pub fork: ForkSummary,
    /// How timestamp and slot were derived, step by step, in words and numbers.
    pub derivation: Vec<String>,
    /// Inputs of the chain id, and the chain id where all were given.
    pub chain_id: ChainIdSummary,
    /// Tarballs the config names.
    pub ledgers: Vec<NetworkLedger>,
    /// What was compared.
    pub checks: Vec<Check>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// False when any ledger's source root had nothing to be compared with.
    pub sources_verified: bool,
}
document!(NetworkDocument, "forkpack.network", 2, "network.json");

/// The fork in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkSummary {
    /// State hash of the fork block.
    pub state_hash: StateHash,
    /// Height of the fork block; the new genesis has the next height.
    pub blockchain_length: u32,
    /// Global slot since genesis of the new genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Slot of the new genesis counted from the old chain's genesis.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Genesis time, RFC 3339 in UTC.
    pub genesis_state_timestamp: String,
    /// Genesis time in milliseconds since 1970.
    pub genesis_state_timestamp_ms: u64,
}

/// Inputs of the chain id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainIdSummary {
    /// Name and value of each input, in hashing order; inputs that are not known are absent.
    pub inputs: Vec<(String, String)>,
    /// The chain id, when every input is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
}

/// A ledger as the network config names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkLedger {
    /// Role.
    pub role: Role,
    /// Migrated root.
    pub hash: LedgerHash,
    /// SHA3-256 of the tarball.
    pub s3_data_hash: String,
    /// SHA-256 of the tarball.
    pub sha256: String,
    /// SHA-256 over the sorted scanner text of the store, as in [`Tarball`]: what to compare with
    /// tarballs of other tools. Version 1 had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// Name of the tarball file.
    pub tarball: String,
}

/// A file inside a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagedFile {
    /// Absolute path once installed.
    pub path: String,
    /// Permission bits, octal text such as `0644`.
    pub mode: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: String,
}

/// `deb.json`: a Debian package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebDocument {
    /// `forkpack.deb`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The package file.
    pub file: FileRef,
    /// Package name.
    pub package: String,
    /// Debian version.
    pub package_version: String,
    /// Architecture.
    pub architecture: String,
    /// Network name.
    pub network: String,
    /// Git hash (8 characters) of the daemon that will load the config by itself.
    pub git_hash: String,
    /// SHA-256 of the network document it was made from.
    pub network_document_sha256: String,
    /// Files, sorted by path.
    pub contents: Vec<PackagedFile>,
    /// Compression of both archives inside. Documents of version 1 do not say it; theirs is gzip.
    #[serde(default)]
    pub compression: Compression,
    /// SHA-256 of the uncompressed data tar: equal for two packages with the same payload, however
    /// they are compressed.
    pub payload_sha256: String,
    /// Time stamped on the files, seconds since 1970.
    pub source_date_epoch: u64,
    /// Repeated from the network document.
    pub sources_verified: bool,
    /// Which kind of package it is.
    #[serde(default, skip_serializing_if = "DebFlavour::is_config")]
    pub flavour: DebFlavour,
    /// The daemon's package it was converted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<ConvertedDeb>,
}

/// Kinds of packages that bring a fork.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DebFlavour {
    /// `mina-<network>-config`: configs and ledgers alone.
    #[default]
    Config,
    /// `<base>-hardfork`: a daemon's package with configs and ledgers in it.
    Hardfork,
}

impl DebFlavour {
    /// Whether it is the usual one, which documents do not name.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self, Self::Config)
    }
}

/// A daemon's package that was converted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvertedDeb {
    /// The file.
    pub file: FileRef,
    /// Package name.
    pub package: String,
    /// Debian version.
    pub package_version: String,
}

document!(DebDocument, "forkpack.deb", 2, "deb.json");

#[cfg(test)]
mod tests {
    use super::*;

    fn deb() -> DebDocument {
        DebDocument {
            format: DebDocument::format(),
            version: DebDocument::version(),
            file: FileRef {
                name: "a.deb".to_owned(),
                sha256: "00".repeat(32),
                bytes: 1,
            },
            package: "mina-devnet-config".to_owned(),
            package_version: "4.0.0".to_owned(),
            architecture: "all".to_owned(),
            network: "devnet".to_owned(),
            git_hash: "deadbeef".to_owned(),
            network_document_sha256: "11".repeat(32),
            contents: Vec::new(),
            compression: Compression::Xz,
            payload_sha256: "22".repeat(32),
            source_date_epoch: 0,
            sources_verified: true,
            flavour: DebFlavour::Config,
            converted: None,
        }
    }

    #[test]
    fn documents_round_trip() {
        let bytes = deb().to_json().unwrap();
        assert_eq!(DebDocument::from_json(&bytes).unwrap(), deb());
    }

    #[test]
    fn a_package_that_does_not_say_its_compression_is_gzip() {
        let text = String::from_utf8(deb().to_json().unwrap()).unwrap();
        let old = text
            .replace("\"version\": 2", "\"version\": 1")
            .replace("\"compression\": \"xz\",", "");
        assert_ne!(old.len(), text.len());
        let old = DebDocument::from_json(old.as_bytes()).unwrap();
        assert_eq!(old.compression, Compression::Gzip);
    }

    #[test]
    fn another_format_a_newer_version_and_unknown_members_are_refused() {
        let text = String::from_utf8(deb().to_json().unwrap()).unwrap();
        let other = text.replace("forkpack.deb", "forkpack.image");
        assert!(matches!(
            DebDocument::from_json(other.as_bytes()),
            Err(DocumentError::Format { .. })
        ));
        let newer = text.replace("\"version\": 2", "\"version\": 3");
        assert!(matches!(
            DebDocument::from_json(newer.as_bytes()),
            Err(DocumentError::TooNew { found: 3, .. })
        ));
        let unknown = text.replace("\"network\":", "\"surprise\": 1, \"network\":");
        assert!(matches!(
            DebDocument::from_json(unknown.as_bytes()),
            Err(DocumentError::Json { .. })
        ));
    }

    /// Version 1 had no content digest, and its documents are still read.
    #[test]
    fn ledgers_of_older_network_documents_have_no_content_digest() {
        let text = r#"{
            "role": "genesis",
            "hash": "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982",
            "s3_data_hash": "00", "sha256": "11", "tarball": "genesis_ledger_22.tar.gz"
        }"#;
        let ledger: NetworkLedger = serde_json::from_str(text).unwrap();
        assert_eq!(ledger.content_sha256, None);
        let written = serde_json::to_string(&ledger).unwrap();
        assert!(!written.contains("content_sha256"), "{written}");
    }
}
