//! Blocks as a list: what is in the archive, and what a choice among them takes.

use std::collections::{BTreeSet, HashMap};

use fork_types::Amount;

use crate::account::array;
use crate::archive::Archive;
use crate::block::{ArchiveBlock, BLOCK_COLUMNS, Value};
use crate::error::{ArchiveError, ArchiveErrorKind};

/// Blocks listed at most.
pub const LISTED_BLOCKS_MAX: u32 = 10_000;

/// Blocks of a [`Window`] at most. Mainnet runs on for some hundred slots after the end of
/// transactions, with a few blocks in each.
pub const WINDOW_BLOCKS_MAX: u32 = 20_000;

/// A block and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBlock {
    /// The block.
    pub block: ArchiveBlock,
    /// Payments and delegations, failed ones too.
    pub user_commands: u32,
    /// zkApp commands, failed ones too.
    pub zkapp_commands: u32,
    /// Fee transfers.
    pub fee_transfers: u32,
    /// Coinbases, together.
    pub coinbase: Amount,
    /// Account rows.
    pub accounts: u32,
    /// Blocks above it on the longest chain through it.
    pub confirmations: u32,
}

/// The blocks around the end of a chain.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// The highest blocks: one, or several of the same height.
    pub tips: Vec<ArchiveBlock>,
    /// All blocks from the lowest of interest on, by height and state hash.
    pub blocks: Vec<ListedBlock>,
    /// Milliseconds since 1970 by the server's clock.
    pub server_time_ms: u64,
}

/// What a block holds. `$1` are the ids.
const CONTENTS: &str = "\
    SELECT b.id, \
      (SELECT count(*) FROM blocks_user_commands c WHERE c.block_id = b.id), \
      (SELECT count(*) FROM blocks_zkapp_commands c WHERE c.block_id = b.id), \
      (SELECT count(*) FROM blocks_internal_commands c \
        JOIN internal_commands i ON i.id = c.internal_command_id \
        WHERE c.block_id = b.id AND i.command_type <> 'coinbase'), \
      (SELECT coalesce(sum(i.fee::numeric), 0) FROM blocks_internal_commands c \
        JOIN internal_commands i ON i.id = c.internal_command_id \
        WHERE c.block_id = b.id AND i.command_type = 'coinbase'), \
      (SELECT count(*) FROM accounts_accessed a WHERE a.block_id = b.id) \
    FROM blocks b WHERE b.id = ANY ($1::int[])";

impl Archive {
    /// The blocks from height `from` to `to`, the highest first, `blocks_max` of them at most.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn list(
        &mut self,
        (from, to): (u32, u32),
        blocks_max: u32,
    ) -> Result<Vec<ListedBlock>, ArchiveError> {
        let limit = blocks_max.min(LISTED_BLOCKS_MAX);
        let sql = format!(
            "{BLOCK_COLUMNS}WHERE b.height >= $1 AND b.height <= $2 \
             ORDER BY b.height DESC, b.state_hash LIMIT {limit}"
        );
        let parameters = [&*from.to_string(), &*to.to_string()];
        let blocks = ArchiveBlock::query_all(&mut self.client, &sql, &parameters)?;
        self.with_contents(blocks)
    }

    /// The highest blocks, and all blocks down to the highest one before slot `end` (since the last
    /// hard fork) on each of their branches.
    ///
    /// # Errors
    ///
    /// Fails when there are more than [`WINDOW_BLOCKS_MAX`], and when the server does.
    pub fn window(&mut self, end: u32) -> Result<Window, ArchiveError> {
        let sql = format!(
            "{BLOCK_COLUMNS}WHERE b.height = (SELECT max(height) FROM blocks) \
             ORDER BY b.state_hash LIMIT 100"
        );
        let tips = ArchiveBlock::query_all(&mut self.client, &sql, &[])?;
        if tips.is_empty() {
            return Err(self.empty());
        }
        let ids: BTreeSet<i64> = tips.iter().map(|tip| tip.id).collect();
        // From each tip down to the first block below the slot, at most as far as is taken.
        let sql = "WITH RECURSIVE down (id, parent_id, height, slot, step) AS ( \
              SELECT id, parent_id, height, global_slot_since_hard_fork, 1 \
              FROM blocks WHERE id = ANY ($1::int[]) \
              UNION ALL \
              SELECT p.id, p.parent_id, p.height, p.global_slot_since_hard_fork, down.step + 1 \
              FROM down JOIN blocks p ON p.id = down.parent_id AND p.height = down.height - 1 \
              WHERE down.slot >= $2 AND down.slot <> 0 AND down.step <= $3) \
            SELECT min(height), extract(epoch FROM now())::numeric(20, 3) * 1000 FROM down";
        let parameters = [
            &*array(&ids),
            &*end.to_string(),
            &*WINDOW_BLOCKS_MAX.to_string(),
        ];
        let (mut lowest, mut server_time_ms) = (0_u32, 0_u64);
        self.client.query(
            "look for the end of the chain",
            sql,
            &parameters,
            &mut |row| {
                let value = |column| Value::new(row, column, "blocks", "the lowest of the window");
                lowest = value((0, "height")).parse()?;
                let time = row.text(1).and_then(|text| text.split('.').next());
                server_time_ms = time.and_then(|text| text.parse().ok()).unwrap_or(0);
                Ok(())
            },
        )?;
        let limit = WINDOW_BLOCKS_MAX + 1;
        let sql = format!(
            "{BLOCK_COLUMNS}WHERE b.height >= $1 ORDER BY b.height, b.state_hash LIMIT {limit}"
        );
        let blocks = ArchiveBlock::query_all(&mut self.client, &sql, &[&lowest.to_string()])?;
        if blocks.len() > WINDOW_BLOCKS_MAX as usize {
            return Err(ArchiveErrorKind::TooMany {
                what: "blocks from the end of transactions on",
                max: u64::from(WINDOW_BLOCKS_MAX),
            }
            .into());
        }
        Ok(Window {
            tips,
            blocks: self.with_contents(blocks)?,
            server_time_ms,
        })
    }

    fn with_contents(
        &mut self,
        blocks: Vec<ArchiveBlock>,
    ) -> Result<Vec<ListedBlock>, ArchiveError> {
        let Some(lowest) = blocks.iter().map(|block| block.height).min() else {
            return Ok(Vec::new());
        };
        let ids: BTreeSet<i64> = blocks.iter().map(|block| block.id).collect();
        let confirmations = self.confirmations(lowest, &ids)?;
        let mut listed: HashMap<i64, ListedBlock> = blocks
            .iter()
            .map(|block| {
                let listed = ListedBlock {
                    block: block.clone(),
                    user_commands: 0,
                    zkapp_commands: 0,
                    fee_transfers: 0,
                    coinbase: Amount::ZERO,
                    accounts: 0,
                    confirmations: confirmations.get(&block.id).copied().unwrap_or(0),
                };
                (block.id, listed)
            })
            .collect();
        self.client.query(
            "count transactions",
            CONTENTS,
            &[&array(&ids)],
            &mut |row| {
                let value = |column| Value::new(row, column, "blocks", "a counted block");
                let id: i64 = value((0, "id")).parse()?;
                if let Some(block) = listed.get_mut(&id) {
                    block.user_commands = value((1, "user commands")).parse()?;
                    block.zkapp_commands = value((2, "zkApp commands")).parse()?;
                    block.fee_transfers = value((3, "fee transfers")).parse()?;
                    block.coinbase = value((4, "fee")).nanomina()?;
                    block.accounts = value((5, "account rows")).parse()?;
                }
                Ok(())
            },
        )?;
        // In the order of the question.
        let in_order = blocks.iter().filter_map(|block| listed.remove(&block.id));
        Ok(in_order.collect())
    }

    /// Blocks above each of `wanted`, none of which is below `lowest`. Blocks come from the highest
    /// down, so that two heights are all that is remembered.
    fn confirmations(
        &mut self,
        lowest: u32,
        wanted: &BTreeSet<i64>,
    ) -> Result<HashMap<i64, u32>, ArchiveError> {
        let sql = "SELECT id, parent_id, height FROM blocks WHERE height >= $1 \
                   ORDER BY height DESC";
        let mut found = HashMap::new();
        // By id of the parent: how many blocks stand above it.
        let mut above: HashMap<i64, u32> = HashMap::new();
        let mut next: HashMap<i64, u32> = HashMap::new();
        let mut current = u32::MAX;
        self.client.query(
            "count confirmations",
            sql,
            &[&lowest.to_string()],
            &mut |row| {
                let value = |column| Value::new(row, column, "blocks", "a block above");
                let id: i64 = value((0, "id")).parse()?;
                let parent: Option<i64> = value((1, "parent_id")).parse_nullable()?;
                let height: u32 = value((2, "height")).parse()?;
                if height < current {
                    // A gap of heights leaves nothing that counts.
                    let is_next = height.checked_add(1) == Some(current);
                    above = if is_next {
                        std::mem::take(&mut next)
                    } else {
                        HashMap::new()
                    };
                    next.clear();
                    current = height;
                }
                let on_top = above.get(&id).copied().unwrap_or(0);
                if wanted.contains(&id) {
                    found.insert(id, on_top);
                }
                if let Some(parent) = parent {
                    let best = next.entry(parent).or_insert(0);
                    *best = (*best).max(on_top + 1);
                }
                Ok(())
            },
        )?;
        Ok(found)
    }
}
