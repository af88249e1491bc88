//! Blocks, as far as a ledger and a fork need them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use fork_types::{
    Amount, EpochSeed, Era, LedgerHash, SlotSinceGenesis, SlotSinceHardFork, StateHash,
};

use crate::client::{Client, Row};
use crate::error::{ArchiveError, ArchiveErrorKind};

/// Which block is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChoice {
    /// The one with this state hash.
    StateHash(StateHash),
    /// The one with this height: the only one, or the only canonical one.
    Height(u32),
    /// The lowest one whose staged ledger has this root; all such blocks have the same ledger.
    LedgerHash(LedgerHash),
}

impl fmt::Display for BlockChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateHash(hash) => write!(f, "{hash}"),
            Self::Height(height) => write!(f, "at height {height}"),
            Self::LedgerHash(root) => write!(f, "with the staged ledger {root}"),
        }
    }
}

/// What the archive thinks of a block. Nothing here depends on it but the meaning of a bare height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainStatus {
    /// On the chain for good.
    Canonical,
    /// Lost to another block.
    Orphaned,
    /// Not decided.
    Pending,
}

impl ChainStatus {
    /// The word the database has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Canonical => "canonical",
            Self::Orphaned => "orphaned",
            Self::Pending => "pending",
        }
    }
}

impl FromStr for ChainStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Canonical, Self::Orphaned, Self::Pending]
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or("no known status")
    }
}

/// The ledger an epoch's stakes are taken from, and the epoch's seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochRow {
    /// Seed.
    pub seed: EpochSeed,
    /// Root of the ledger.
    pub ledger_hash: LedgerHash,
}

/// A row of `blocks`, with what it points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveBlock {
    /// Internal to this database; other databases have others.
    pub(crate) id: i64,
    /// Row of the parent; absent for a genesis, and for a block whose parent is not there.
    pub(crate) parent_id: Option<i64>,
    /// Hash of the block's protocol state.
    pub state_hash: StateHash,
    /// That of its parent.
    pub parent_hash: StateHash,
    /// Length of the chain.
    pub height: u32,
    /// Slot since the last hard fork.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Slot since the first genesis.
    pub slot_since_genesis: SlotSinceGenesis,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Root of the staged ledger after the block.
    pub ledger_hash: LedgerHash,
    /// Root of the snarked ledger at the block.
    pub snarked_ledger_hash: LedgerHash,
    /// All money, in nanomina.
    pub total_currency: Amount,
    /// What the archive thinks of it.
    pub status: ChainStatus,
    /// Transaction version of its protocol version.
    pub transaction_version: u32,
    /// The staking epoch.
    pub staking_epoch: EpochRow,
    /// The next epoch.
    pub next_epoch: EpochRow,
}

/// The columns of [`ArchiveBlock`], in the order [`ArchiveBlock::read`] takes them.
pub(crate) const BLOCK_COLUMNS: &str = "\
    SELECT b.id, b.parent_id, b.state_hash, b.parent_hash, b.height, \
      b.global_slot_since_hard_fork, b.global_slot_since_genesis, b.timestamp, b.ledger_hash, \
      s.value, b.total_currency, b.chain_status, v.transaction, \
      e.seed, el.value, n.seed, nl.value \
    FROM blocks b \
    LEFT JOIN snarked_ledger_hashes s ON s.id = b.snarked_ledger_hash_id \
    LEFT JOIN protocol_versions v ON v.id = b.protocol_version_id \
    LEFT JOIN epoch_data e ON e.id = b.staking_epoch_data_id \
    LEFT JOIN snarked_ledger_hashes el ON el.id = e.ledger_hash_id \
    LEFT JOIN epoch_data n ON n.id = b.next_epoch_data_id \
    LEFT JOIN snarked_ledger_hashes nl ON nl.id = n.ledger_hash_id ";

/// Blocks of one height that are read: more than there can be honest producers of one slot.
const BLOCKS_MAX: usize = 1000;

impl ArchiveBlock {
    /// The block's era.
    ///
    /// # Errors
    ///
    /// Fails on any version but those of Berkeley and Mesa.
    pub(crate) fn era(&self) -> Result<Era, ArchiveError> {
        [Era::Berkeley, Era::Mesa]
            .into_iter()
            .find(|era| era.txn_version() == self.transaction_version)
            .ok_or_else(|| {
                ArchiveErrorKind::ProtocolVersion {
                    state_hash: self.state_hash,
                    version: self.transaction_version,
                }
                .into()
            })
    }

    /// Whether the archive says that it stays.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.status == ChainStatus::Canonical
    }

    pub(crate) fn chosen(
        client: &mut Client,
        choice: &BlockChoice,
    ) -> Result<Vec<Self>, ArchiveError> {
        let (condition, value) = match choice {
            BlockChoice::StateHash(hash) => ("WHERE b.state_hash = $1", hash.to_string()),
            BlockChoice::Height(height) => ("WHERE b.height = $1", height.to_string()),
            BlockChoice::LedgerHash(root) => ("WHERE b.ledger_hash = $1", root.to_string()),
        };
        let blocks_max = match choice {
            BlockChoice::LedgerHash(_) => 1,
            BlockChoice::StateHash(_) | BlockChoice::Height(_) => BLOCKS_MAX,
        };
        let sql = format!(
            "{BLOCK_COLUMNS}{condition} ORDER BY b.height, b.state_hash LIMIT {blocks_max}"
        );
        Self::query(client, &sql, &value)
    }

    pub(crate) fn of_id(client: &mut Client, id: i64) -> Result<Option<Self>, ArchiveError> {
        let sql = format!("{BLOCK_COLUMNS}WHERE b.id = $1");
        Ok(Self::query(client, &sql, &id.to_string())?.pop())
    }

    pub(crate) fn query_all(
        client: &mut Client,
        sql: &str,
        parameters: &[&str],
    ) -> Result<Vec<Self>, ArchiveError> {
        let mut blocks = Vec::new();
        client.query("read blocks", sql, parameters, &mut |row| {
            blocks.push(Self::read(row)?);
            Ok(())
        })?;
        Ok(blocks)
    }

    pub(crate) fn siblings(client: &mut Client, block: &Self) -> Result<Vec<Self>, ArchiveError> {
        let sql = format!(
            "{BLOCK_COLUMNS}JOIN blocks o ON o.id = $1 AND o.height = b.height AND o.id <> b.id \
             ORDER BY b.state_hash LIMIT 16"
        );
        Self::query(client, &sql, &block.id.to_string())
    }

    fn query(client: &mut Client, sql: &str, value: &str) -> Result<Vec<Self>, ArchiveError> {
        let mut blocks: Vec<Self> = Vec::new();
        client.query("read a block", sql, &[value], &mut |row| {
            let block = Self::read(row)?;
            if (blocks.last()).is_some_and(|last| last.state_hash == block.state_hash) {
                return Err(ArchiveErrorKind::Doubled {
                    table: "blocks",
                    row: format!("block {}, or a row that it names,", block.state_hash),
                }
                .into());
            }
            blocks.push(block);
            Ok(())
        })?;
        Ok(blocks)
    }

    fn read(row: &Row<'_>) -> Result<Self, ArchiveError> {
        let name = format!("block {}", row.text(2).unwrap_or("without a state hash"));
        let value = |column| Value::new(row, column, "blocks", &name);
        Ok(Self {
            id: value((0, "id")).parse()?,
            parent_id: value((1, "parent_id")).parse_nullable()?,
            state_hash: value((2, "state_hash")).parse()?,
            parent_hash: value((3, "parent_hash")).parse()?,
            height: value((4, "height")).parse()?,
            slot_since_hard_fork: value((5, "global_slot_since_hard_fork")).parse()?,
            slot_since_genesis: value((6, "global_slot_since_genesis")).parse()?,
            timestamp_ms: value((7, "timestamp")).parse()?,
            ledger_hash: value((8, "ledger_hash")).parse()?,
            snarked_ledger_hash: value((9, "snarked_ledger_hash_id")).parse()?,
            total_currency: value((10, "total_currency")).nanomina()?,
            status: value((11, "chain_status")).parse()?,
            transaction_version: value((12, "protocol_version_id")).parse()?,
            staking_epoch: EpochRow {
                seed: value((13, "staking_epoch_data_id")).parse()?,
                ledger_hash: value((14, "staking_epoch_data_id")).parse()?,
            },
            next_epoch: EpochRow {
                seed: value((15, "next_epoch_data_id")).parse()?,
                ledger_hash: value((16, "next_epoch_data_id")).parse()?,
            },
        })
    }
}

/// One value of a row, and how to name it when it is no good.
pub(crate) struct Value<'v> {
    text: Option<&'v str>,
    column: &'static str,
    table: &'static str,
    row: &'v str,
}

impl<'v> Value<'v> {
    pub(crate) fn new(
        row: &'v Row<'_>,
        (number, column): (usize, &'static str),
        table: &'static str,
        name: &'v str,
    ) -> Self {
        Self {
            text: row.text(number),
            column,
            table,
            row: name,
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> Result<&'v str, ArchiveError> {
        self.text.ok_or_else(|| self.bad("null or missing"))
    }

    pub(crate) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, ArchiveError> {
        let text = self.text()?;
        text.parse()
            .map_err(|error: T::Err| self.bad(&error.to_string()))
    }

    pub(crate) fn parse_nullable<T: FromStr<Err: fmt::Display>>(
        &self,
    ) -> Result<Option<T>, ArchiveError> {
        self.text.map(|_| self.parse()).transpose()
    }

    /// An amount in whole nanomina.
    pub(crate) fn nanomina(&self) -> Result<Amount, ArchiveError> {
        Amount::from_nanomina_text(self.text()?).map_err(|error| self.bad(&error.to_string()))
    }

    /// `t` or `f`.
    pub(crate) fn boolean(&self) -> Result<bool, ArchiveError> {
        match self.text()? {
            "t" => Ok(true),
            "f" => Ok(false),
            _ => Err(self.bad("neither true nor false")),
        }
    }

    /// The error that the value is `problem`.
    pub(crate) fn bad(&self, problem: &str) -> ArchiveError {
        ArchiveErrorKind::Value {
            table: self.table,
            column: self.column,
            row: self.row.to_owned(),
            problem: problem.to_owned(),
        }
        .into()
    }

    /// The error that the row named by this column is not there.
    pub(crate) fn dangling(&self, id: impl fmt::Display, target: &'static str) -> ArchiveError {
        ArchiveErrorKind::Dangling {
            table: self.table,
            column: self.column,
            row: self.row.to_owned(),
            id: id.to_string(),
            target,
        }
        .into()
    }
}

/// Keeps what was read of a row under its id. Constraints forbid that an id comes twice, and a
/// database that was put together by hand may have lost them.
pub(crate) fn insert_once<T>(
    map: &mut HashMap<i64, T>,
    table: &'static str,
    id: i64,
    read: T,
) -> Result<(), ArchiveError> {
    match map.insert(id, read) {
        None => Ok(()),
        Some(_) => Err(ArchiveErrorKind::Doubled {
            table,
            row: format!("row {id}"),
        }
        .into()),
    }
}
