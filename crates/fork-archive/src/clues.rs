//! What helps to find out why a ledger is wrong. None of it goes into a ledger.

use fork_types::Era;

use crate::account::AccountStream;
use crate::archive::{Archive, Listed};
use crate::block::ArchiveBlock;
use crate::branch::UP;
use crate::error::ArchiveError;

impl Archive {
    /// The accounts of a block's own rows, in leaf order: what it touched and no more.
    ///
    /// # Errors
    ///
    /// Fails when the server refuses.
    pub fn rows_as_accounts(
        &mut self,
        block: &ArchiveBlock,
        era: Era,
    ) -> Result<AccountStream<'_>, ArchiveError> {
        AccountStream::of_block(self, block, era)
    }

    /// Other blocks of the same height, by state hash; at most 16.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn siblings(&mut self, block: &ArchiveBlock) -> Result<Vec<ArchiveBlock>, ArchiveError> {
        ArchiveBlock::siblings(&mut self.client, block)
    }

    /// The accounts that rows of the branch of `block` have at a leaf, with the block of each.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn accounts_at(&mut self, block: &ArchiveBlock, leaf: u64) -> Result<Listed, ArchiveError> {
        let sql = format!(
            "{UP} SELECT DISTINCT ON (b.height, k.value, t.value) \
               coalesce(k.value, 'an unknown key') || ' of block ' || b.state_hash \
               || ' at height ' || b.height \
             FROM accounts_accessed a JOIN up ON up.id = a.block_id JOIN blocks b ON b.id = up.id \
             LEFT JOIN account_identifiers i ON i.id = a.account_identifier_id \
             LEFT JOIN public_keys k ON k.id = i.public_key_id \
             LEFT JOIN tokens t ON t.id = i.token_id \
             WHERE a.ledger_index = $2 ORDER BY b.height DESC, k.value, t.value"
        );
        let parameters = [&*block.id.to_string(), &*leaf.to_string()];
        self.listed("look for a leaf", &sql, &parameters)
    }

    /// The blocks off the branch of `block` that have an account at a leaf.
    ///
    /// # Errors
    ///
    /// Fails when the server does.
    pub fn leaf_elsewhere(
        &mut self,
        block: &ArchiveBlock,
        leaf: u64,
    ) -> Result<Listed, ArchiveError> {
        let sql = format!(
            "{UP} SELECT DISTINCT b.state_hash || ' at height ' || b.height \
             FROM accounts_accessed a JOIN blocks b ON b.id = a.block_id \
             WHERE a.ledger_index = $2 AND NOT EXISTS (SELECT FROM up WHERE up.id = a.block_id) \
             ORDER BY 1"
        );
        let parameters = [&*block.id.to_string(), &*leaf.to_string()];
        self.listed("look for a leaf elsewhere", &sql, &parameters)
    }
}
