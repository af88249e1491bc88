//! Where a snarked ledger lies.
//!
//! An epoch ledger is a snarked ledger: that of some block whose proof had got so far. It is usually
//! the staged ledger of an earlier block, and else lies between two of them.

use std::collections::BTreeSet;

use fork_types::LedgerHash;

use crate::archive::Archive;
use crate::block::{ArchiveBlock, BLOCK_COLUMNS, Value};
use crate::branch::UP;
use crate::error::{ArchiveError, ArchiveErrorKind};

/// Blocks with the same staged ledger that are looked at. A block without transactions has the ledger
/// of its parent, so there may be many; the lowest is taken, and others only when its branch is
/// broken.
const SAME_LEDGER_MAX: u8 = 10;

/// Where in a branch a snarked ledger lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnarkedRange {
    /// Height of the first block whose snarked ledger it is.
    pub first_seen: u32,
    /// Height of the block whose staged ledger is the nearest snarked one before it. The ledger lies
    /// in a block above.
    pub above: u32,
    /// Height of the highest block it can lie in: that whose staged ledger is the nearest snarked one
    /// after it, or the parent of the first block that has it.
    pub up_to: u32,
}

impl Archive {
    /// Blocks with this staged ledger and of the transaction version of `like`, the lowest first. Roots of
    /// different versions are never equal, and the other two numbers of a protocol version may change in
    /// the middle of a chain.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn blocks_with_ledger(
        &mut self,
        root: LedgerHash,
        like: &ArchiveBlock,
    ) -> Result<Vec<ArchiveBlock>, ArchiveError> {
        let sql = format!(
            "{BLOCK_COLUMNS}WHERE b.ledger_hash = $1 AND v.transaction = $2 \
             ORDER BY b.height, b.state_hash LIMIT {SAME_LEDGER_MAX}"
        );
        let parameters = [&*root.to_string(), &*like.transaction_version.to_string()];
        ArchiveBlock::query_all(&mut self.client, &sql, &parameters)
    }

    /// Where on the branch of `tip`, whose genesis has the height `genesis`, the snarked ledger `root`
    /// lies; `None` when no block of the branch has it.
    ///
    /// The snarked ledgers of a branch follow each other in the order of its transactions, so those
    /// that are the staged ledger of some block fence the others in.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn snarked_range(
        &mut self,
        tip: &ArchiveBlock,
        genesis: u32,
        root: LedgerHash,
    ) -> Result<Option<SnarkedRange>, ArchiveError> {
        let sql = format!(
            "{UP}, line AS ( \
               SELECT b.height, b.ledger_hash, b.snarked_ledger_hash_id \
               FROM up JOIN blocks b ON b.id = up.id), \
             snarked AS ( \
               SELECT snarked_ledger_hash_id AS id, min(height) AS first FROM line GROUP BY 1), \
             fence AS ( \
               SELECT s.first, min(l.height) AS at \
               FROM snarked s \
               JOIN snarked_ledger_hashes h ON h.id = s.id \
               JOIN line l ON l.ledger_hash = h.value \
               GROUP BY s.id, s.first), \
             wanted AS ( \
               SELECT s.first FROM snarked s \
               JOIN snarked_ledger_hashes h ON h.id = s.id WHERE h.value = $2) \
             SELECT w.first, \
               (SELECT max(f.at) FROM fence f WHERE f.first < w.first), \
               (SELECT min(f.at) FROM fence f WHERE f.first > w.first) \
             FROM wanted w"
        );
        let parameters = [&*tip.id.to_string(), &*root.to_string()];
        let mut found = None;
        self.client
            .query("look for a snarked ledger", &sql, &parameters, &mut |row| {
                let value = |column| Value::new(row, column, "blocks", "a block of the branch");
                let first_seen: u32 = value((0, "height")).parse()?;
                let above: Option<u32> = value((1, "height")).parse_nullable()?;
                let up_to: Option<u32> = value((2, "height")).parse_nullable()?;
                let parent = first_seen.saturating_sub(1);
                found = Some(SnarkedRange {
                    first_seen,
                    above: above.unwrap_or(genesis),
                    up_to: up_to.unwrap_or(parent).min(parent),
                });
                Ok(())
            })?;
        Ok(found)
    }

    /// The blocks of the branch of `tip` above `above` and up to `up_to`, the lowest first; `blocks_max`
    /// of them at most.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn blocks_between(
        &mut self,
        tip: &ArchiveBlock,
        (above, up_to): (u32, u32),
        blocks_max: u32,
    ) -> Result<Vec<ArchiveBlock>, ArchiveError> {
        let sql = format!(
            "{UP} {BLOCK_COLUMNS}JOIN up ON up.id = b.id \
             WHERE b.height > $2 AND b.height <= $3 ORDER BY b.height LIMIT {blocks_max}"
        );
        let parameters = [
            &*tip.id.to_string(),
            &*above.to_string(),
            &*up_to.to_string(),
        ];
        ArchiveBlock::query_all(&mut self.client, &sql, &parameters)
    }

    /// The leaves that any of these blocks touched.
    ///
    /// # Errors
    ///
    /// Fails when there are more than `leaves_max`, and when the server does.
    pub fn touched_leaves(
        &mut self,
        blocks: &[ArchiveBlock],
        leaves_max: usize,
    ) -> Result<BTreeSet<u64>, ArchiveError> {
        let ids: BTreeSet<i64> = blocks.iter().map(|block| block.id).collect();
        let sql = "SELECT DISTINCT ledger_index FROM accounts_accessed \
                   WHERE block_id = ANY ($1::int[])";
        let mut leaves = BTreeSet::new();
        let ids = crate::account::array(&ids);
        self.client
            .query("list touched leaves", sql, &[&ids], &mut |row| {
                let name = "a row of the range";
                let index = Value::new(row, (0, "ledger_index"), "accounts_accessed", name)
                    .parse::<u32>()?;
                if leaves.len() >= leaves_max {
                    return Err(ArchiveErrorKind::TooMany {
                        what: "leaves that the blocks of the range touched",
                        max: leaves_max as u64,
                    }
                    .into());
                }
                leaves.insert(u64::from(index));
                Ok(())
            })?;
        Ok(leaves)
    }
}
