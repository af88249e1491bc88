//! What `materialize-ledger` writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Document, FileRef, SourceRef};
use crate::{Era, LedgerHash, SlotSinceGenesis, SlotSinceHardFork, StateHash};

/// `archive-ledger.json`: a ledger from an archive database, whose root was computed and is the
/// block's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveLedgerDocument {
    /// `forkpack.archive-ledger`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Era of the block, whose rules the root follows.
    pub era: Era,
    /// Where it was read.
    pub archive: ArchiveSource,
    /// The block.
    pub block: ArchivedBlock,
    /// Root, computed from the accounts and equal to what was asked for: the block's, or a snarked
    /// ledger's.
    pub root: LedgerHash,
    /// For a ledger that lies inside the block: how much of the block is in it. Version 1 had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<ArchivedPrefix>,
    /// Number of accounts.
    pub accounts: u64,
    /// How many of them are as in the list of genesis accounts, because the archive has no row.
    pub accounts_from_list: u64,
    /// The list of genesis accounts, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis_accounts: Option<SourceRef>,
    /// The list it was compared with, account by account, when one was given. Version 1 had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<SourceRef>,
    /// Sum of the balances of the default token, in nanomina, as decimal text.
    pub total_balance_nanomina: String,
    /// The account list: a JSON array in leaf order, one account a line.
    pub file: FileRef,
    /// Milliseconds of each stage.
    pub milliseconds: BTreeMap<String, u64>,
    /// Most memory the process had, in bytes, where the system says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}
document!(
    ArchiveLedgerDocument,
    "forkpack.archive-ledger",
    2,
    "archive-ledger.json"
);

/// `archive-candidate.json`: where the ledgers of a candidate from an archive database come from. The
/// candidate itself is in `candidate.json` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveCandidateDocument {
    /// `forkpack.archive-candidate`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Era of the block, whose rules the roots follow.
    pub era: Era,
    /// Where it was read.
    pub archive: ArchiveSource,
    /// The fork block.
    pub block: ArchivedBlock,
    /// Blocks above it on the longest chain through it.
    pub confirmations: u32,
    /// Where the staged ledger comes from: always the block itself.
    pub staged_ledger: ArchivedLedger,
    /// Where the staking ledger comes from.
    pub staking_ledger: ArchivedLedger,
    /// Where the next ledger comes from.
    pub next_staking_ledger: ArchivedLedger,
    /// How far the epochs' seeds and ledgers were proved from block to block; absent when they
    /// contradicted each other and the block itself proved them. Version 1 had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<ProvedEpochs>,
    /// The list that genesis accounts are from, for an archive that lacks them. Version 1 had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis_accounts: Option<SourceRef>,
    /// Accounts of the staged ledger that are from that list.
    #[serde(default)]
    pub accounts_from_list: u64,
    /// Milliseconds of each stage.
    pub milliseconds: BTreeMap<String, u64>,
    /// Most memory the process had, in bytes, where the system says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}
document!(
    ArchiveCandidateDocument,
    "forkpack.archive-candidate",
    2,
    "archive-candidate.json"
);

/// The epochs of a branch, each block's compared with its parent's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedEpochs {
    /// Blocks compared, the chain's first one included.
    pub blocks: u32,
    /// Whether the first block's epochs are those of a config of the chain.
    pub from_config: bool,
    /// Whether the first block's seeds are what the archive says, because nothing else says them.
    pub from_archive: bool,
}

/// A ledger of a candidate, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedLedger {
    /// Root, computed from the accounts and equal to what the fork block says.
    pub root: LedgerHash,
    /// Number of accounts.
    pub accounts: u64,
    /// The block whose staged ledger it is, or in which it lies; absent when it is from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<LedgerBlock>,
    /// How much of that block is in it, when not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<ArchivedPrefix>,
    /// The file it was read from, when the archive did not give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<SourceRef>,
}

/// The block a ledger was found at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerBlock {
    /// Protocol state hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// `canonical`, `orphaned` or `pending`.
    pub status: String,
}

/// The beginning of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedPrefix {
    /// Transactions that are in the ledger; of a zkApp command only its fee.
    pub transactions: u32,
    /// Transactions of the block.
    pub of: u32,
    /// Whether the order of the block's transactions begins again behind them, which is how the end
    /// of a tree shows. Otherwise every beginning was tried.
    pub by_order: bool,
}

/// `archive-blocks.json`: blocks of an archive database, as `materialize-ledger list` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveBlocksDocument {
    /// `forkpack.archive-blocks`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Where it was read.
    pub archive: ArchiveSource,
    /// The blocks, the highest first.
    pub blocks: Vec<ListedArchiveBlock>,
    /// Whether there are more in the range that was asked for.
    pub has_more: bool,
}
document!(
    ArchiveBlocksDocument,
    "forkpack.archive-blocks",
    1,
    "archive-blocks.json"
);

/// A block of an archive, with what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedArchiveBlock {
    /// Protocol state hash.
    pub state_hash: StateHash,
    /// That of its parent.
    pub previous_state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the first genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Slot since the last hard fork.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// `canonical`, `orphaned` or `pending`.
    pub status: String,
    /// Transaction version of its protocol version.
    pub transaction_version: u32,
    /// Payments, delegations and zkApp commands, failed ones too.
    pub commands: u32,
    /// Fee transfers.
    pub fee_transfers: u32,
    /// Coinbases in nanomina, as decimal text.
    pub coinbase_nanomina: String,
    /// Account rows.
    pub account_rows: u32,
    /// Root of the staged ledger.
    pub staged_ledger_hash: LedgerHash,
    /// Root of the snarked ledger.
    pub snarked_ledger_hash: LedgerHash,
    /// Root of the staking epoch ledger.
    pub staking_ledger_hash: LedgerHash,
    /// Root of the next epoch ledger.
    pub next_ledger_hash: LedgerHash,
    /// Blocks above it on the longest chain through it.
    pub confirmations: u32,
}

/// An archive database. Neither host nor user: another machine's copy gives the same ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSource {
    /// Name of the database.
    pub database: String,
    /// Version of the server.
    pub server_version: String,
    /// Layout of the tables: `berkeley` or `mesa`.
    pub schema: String,
}

/// A block as an archive has it. Its state hash is not recomputed: an archive lacks parts of the
/// protocol state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedBlock {
    /// Protocol state hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the first genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Slot since the last hard fork.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// `canonical`, `orphaned` or `pending`.
    pub status: String,
    /// Blocks from the genesis of the chain to this one, both included.
    pub branch_blocks: u32,
    /// How many of them the archive calls canonical.
    pub branch_canonical: u32,
    /// The genesis of the chain.
    pub genesis_state_hash: StateHash,
}
