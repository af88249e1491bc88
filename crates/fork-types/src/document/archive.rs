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
    /// Root, computed from the accounts and equal to the block's.
    pub root: LedgerHash,
    /// Number of accounts.
    pub accounts: u64,
    /// How many of them are as in the list of genesis accounts, because the archive has no row.
    pub accounts_from_list: u64,
    /// The list of genesis accounts, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis_accounts: Option<SourceRef>,
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
    1,
    "archive-ledger.json"
);

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
