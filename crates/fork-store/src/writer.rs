//! Writing a ledger as a store.

use std::path::Path;

use fork_ledger::account::Account;
use fork_ledger::binprot::encode_account;
use fork_ledger::merkle::MerkleTree;
use fork_types::{LedgerHash, PublicKey, TokenId};

use crate::error::{StoreError, StoreErrorKind};
use crate::index::{AccountIndex, hash_records};
use crate::key::KeyLayout;
use crate::log::LogDirectory;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSummary {
    /// Root of the tree that was written.
    pub root: LedgerHash,
    /// N: accounts.
    pub accounts: u64,
    /// D: distinct public keys.
    pub owners: u64,
    /// H: hash nodes.
    pub hash_nodes: u64,
    /// All entries: H + 3N + D + 1.
    pub entries: u64,
    /// Size of the log in bytes, nearly the size of the store.
    pub log_bytes: u64,
}

/// Writes the accounts of a ledger, then everything that follows from them, as a log-only database
/// whose bytes depend on nothing else.
///
/// Accounts are streamed; what stays in memory is
/// [`INDEX_BYTES_PER_ACCOUNT`](crate::INDEX_BYTES_PER_ACCOUNT) per account and one batch of
/// [`BATCH_BYTES_MAX`](crate::log::BATCH_BYTES_MAX). The caller's tree adds 64 bytes per account.
///
/// Dropping a writer leaves files that no program takes for a database. Let the directory be inside
/// a [`fork_fs::StagedDir`], which removes them.
///
/// # Examples
///
/// ```no_run
/// use fork_ledger::account::Account;
/// use fork_ledger::merkle::MerkleTree;
/// use fork_store::{LedgerStoreWriter, StoreError};
///
/// fn write(accounts: &[Account], tree: &MerkleTree) -> Result<(), StoreError> {
///     let mut writer = LedgerStoreWriter::create("out/genesis".as_ref(), 35)?;
///     for account in accounts {
///         writer.push_account(account)?;
///     }
///     let summary = writer.finish(tree)?;
///     assert_eq!(summary.accounts, accounts.len() as u64);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct LedgerStoreWriter {
    log: LogDirectory,
    layout: KeyLayout,
    index: AccountIndex,
    key: Vec<u8>,
    account: Vec<u8>,
}

impl LedgerStoreWriter {
    /// Starts a store of a tree of `depth` in the directory `path`, which is created and must be
    /// empty.
    ///
    /// # Errors
    ///
    /// Fails on a depth that is not supported, when the directory holds something, or when the file
    /// system refuses.
    pub fn create(path: &Path, depth: u8) -> Result<Self, StoreError> {
        Ok(Self {
            layout: KeyLayout::new(depth)?,
            log: LogDirectory::create(path)?,
            index: AccountIndex::default(),
            key: Vec::new(),
            account: Vec::new(),
        })
    }

    /// Writes the account of the next leaf: its bin_prot bytes, which are not looked at, and what
    /// they say about owner and token. Returns its leaf index.
    ///
    /// # Errors
    ///
    /// Fails when the disk does, and above [`ACCOUNTS_MAX`](crate::ACCOUNTS_MAX) accounts.
    pub fn push(
        &mut self,
        public_key: PublicKey,
        token_id: TokenId,
        account_bytes: &[u8],
    ) -> Result<u64, StoreError> {
        let leaf = self.index.push(public_key, token_id)?;
        self.key.clear();
        self.layout.encode_location(leaf, &mut self.key);
        self.log.put(&self.key, account_bytes)?;
        Ok(leaf)
    }

    /// Encodes and writes the account of the next leaf; returns its leaf index.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub fn push_account(&mut self, account: &Account) -> Result<u64, StoreError> {
        let mut bytes = std::mem::take(&mut self.account);
        bytes.clear();
        encode_account(account, &mut bytes);
        let leaf = self.push(account.public_key, account.token_id, &bytes);
        self.account = bytes;
        leaf
    }

    /// Accounts written so far.
    #[must_use]
    pub fn accounts(&self) -> u64 {
        self.index.len()
    }

    /// Writes hash nodes, locations, token owners, token sets and the last location, and flushes
    /// everything to the disk. Uses all threads of the current rayon pool.
    ///
    /// That `tree` is the tree of these accounts is checked by number only: prove the store with
    /// [`prove_store`](crate::prove_store).
    ///
    /// # Errors
    ///
    /// Fails when no account was written, when two accounts have the same owner and token, when the
    /// tree has another depth or number of leaves, and when the disk does.
    pub fn finish(self, tree: &MerkleTree) -> Result<StoreSummary, StoreError> {
        let Self {
            mut log,
            layout,
            index,
            ..
        } = self;
        let accounts = index.len();
        if accounts == 0 {
            return Err(StoreErrorKind::Empty.into());
        }
        if tree.depth() != layout.depth() || tree.len() as u64 != accounts {
            return Err(StoreErrorKind::OtherTree {
                tree_depth: tree.depth(),
                leaves: tree.len() as u64,
                depth: layout.depth(),
                accounts,
            }
            .into());
        }
        let index = index.sort();
        if let Some(duplicate) = index.duplicates().next() {
            return Err(StoreErrorKind::DuplicateAccount {
                first: duplicate.first,
                second: duplicate.second,
                public_key: duplicate.public_key,
                token_id: duplicate.token_id,
            }
            .into());
        }
        let hash_nodes = hash_records(layout, tree, |key, value| log.put(key, value))?;
        index.text_records(layout, |key, value| log.put(key, value))?;
        let entries = log.entries();
        Ok(StoreSummary {
            root: fork_ledger::merkle::ledger_hash(tree.root()),
            accounts,
            owners: index.owners(),
            hash_nodes,
            entries,
            log_bytes: log.finish()?,
        })
    }
}
