//! Writing a ledger as a store.

use std::ops::{Range, RangeFrom};
use std::path::Path;

use fork_ledger::account::Account;
use fork_ledger::binprot::{BinProtError, decode_account, encode_account};
use fork_ledger::merkle::MerkleTree;
use fork_types::document::FileRef;
use fork_types::{Era, LedgerHash, PublicKey, TokenId};
use pasta_poseidon::Fp;
use sha2::{Digest, Sha256};

use crate::error::{StoreError, StoreErrorKind};
use crate::index::{AccountIndex, SortedIndex};
use crate::key::KeyLayout;
use crate::log::LogDirectory;
use crate::payload::{Payload, in_order};
use crate::piece::{Broken, PieceBatch, PieceReader};
use crate::records::{hash_records, text_records};

/// Accounts that a thread encodes at a time: about 50 kB, or 1 MB of the largest.
pub(crate) const ACCOUNTS_PER_CHUNK: usize = 256;

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
///     writer.push_accounts(tree.era(), accounts, None)?;
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
    /// Digest of the entries of the accounts, as they stand in the batches.
    accounts_digest: Sha256,
    single: Payload,
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
        let layout = KeyLayout::new(depth)?;
        Ok(Self::new(layout, LogDirectory::create(path)?))
    }

    /// Starts a store that is not flushed to the disk, for one that is packed and deleted; see
    /// [`LogDirectory::create_scratch`].
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_scratch(path: &Path, depth: u8) -> Result<Self, StoreError> {
        let layout = KeyLayout::new(depth)?;
        Ok(Self::new(layout, LogDirectory::create_scratch(path)?))
    }

    fn new(layout: KeyLayout, log: LogDirectory) -> Self {
        Self {
            log,
            layout,
            index: AccountIndex::default(),
            accounts_digest: Sha256::new(),
            single: Payload::default(),
            account: Vec::new(),
        }
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
        let leaf = self.index.push(public_key, token_id, None)?;
        let mut key = Vec::with_capacity(self.layout.path_key_bytes());
        self.layout.encode_location(leaf, &mut key);
        self.single.clear();
        self.single.put(&key, account_bytes);
        self.accounts_digest.update(self.single.bytes());
        self.log.append(&self.single)?;
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

    /// Encodes and writes the accounts of the next leaves, on all threads of the current rayon
    /// pool, and checks that the bytes of each decode to it.
    ///
    /// `derived` are the tokens that the accounts own, where the caller has them already
    /// ([`fork_ledger::hash::derive_token_id`]); otherwise [`Self::finish`] derives them.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreErrorKind::SelfCheck`] on an account that its bytes do not decode to (a
    /// zkApp of another era than `era`, or a bug), with [`StoreErrorKind::DerivedTokens`] when
    /// `derived` has another length than `accounts`, and as [`Self::push`]. After an error the
    /// writer is of no use.
    pub fn push_accounts(
        &mut self,
        era: Era,
        accounts: &[Account],
        derived: Option<&[TokenId]>,
    ) -> Result<(), StoreError> {
        if let Some(derived) = derived.filter(|derived| derived.len() != accounts.len()) {
            return Err(StoreErrorKind::DerivedTokens {
                accounts: accounts.len(),
                tokens: derived.len(),
            }
            .into());
        }
        let first = self.index.len();
        for (number, account) in accounts.iter().enumerate() {
            let token = derived.map(|derived| derived[number]);
            self.index
                .push(account.public_key, account.token_id, token)?;
        }
        let Self {
            log,
            layout,
            accounts_digest,
            ..
        } = self;
        let layout = *layout;
        in_order(
            accounts.len(),
            ACCOUNTS_PER_CHUNK,
            |range, payload: &mut Payload| {
                let leaves = first + range.start as u64..;
                encode_checked(era, layout, leaves, &accounts[range], payload)
            },
            |payload| {
                accounts_digest.update(payload.bytes());
                log.append(payload)
            },
        )
    }

    /// Writes the accounts of a piece, which must be those of the next leaves, and appends their hashes
    /// to `hashes`. Each account's bytes are decoded to see whose it is; its hash and the token it
    /// would own are believed.
    ///
    /// Reads the next accounts while those before are worked on, on all threads of the current rayon
    /// pool; about 16 MB are in memory.
    ///
    /// # Errors
    ///
    /// Fails when the file is not `file` (with the digests), is no piece of these leaves
    /// ([`StoreErrorKind::Piece`]), and as [`Self::push`]. After an error the writer is of no use.
    pub fn push_piece(
        &mut self,
        path: &Path,
        file: &FileRef,
        era: Era,
        count: u32,
        hashes: &mut Vec<Fp>,
    ) -> Result<(), StoreError> {
        let too_many = || StoreErrorKind::TooManyAccounts {
            accounts_max: crate::ACCOUNTS_MAX,
        };
        let first = u32::try_from(self.index.len()).map_err(|_| too_many())?;
        let end = first.checked_add(count).ok_or_else(too_many)?;
        let mut piece = PieceReader::open(path, file, era, first..end)?;
        let (mut current, mut next) = (PieceBatch::default(), PieceBatch::default());
        let mut read = piece.read(&mut current);
        loop {
            if let Err(broken) = read {
                return Err(piece.failed(broken));
            }
            if current.is_empty() {
                return piece.finish();
            }
            let (read_next, pushed) = rayon::join(
                || piece.read(&mut next),
                || self.push_piece_batch(era, &current, hashes),
            );
            match pushed {
                Ok(()) => read = read_next,
                Err(Unpushed::Piece(broken)) => return Err(piece.failed(broken)),
                Err(Unpushed::Store(error)) => return Err(error),
            }
            std::mem::swap(&mut current, &mut next);
        }
    }

    fn push_piece_batch(
        &mut self,
        era: Era,
        batch: &PieceBatch,
        hashes: &mut Vec<Fp>,
    ) -> Result<(), Unpushed> {
        let Self {
            log,
            layout,
            index,
            accounts_digest,
            ..
        } = self;
        let layout = *layout;
        let make = |range: Range<usize>, taken: &mut Taken| {
            let Taken {
                payload,
                rows,
                hashes,
            } = taken;
            payload.clear();
            rows.clear();
            hashes.clear();
            let mut key = Vec::new();
            for place in range {
                let record = batch
                    .record(era, place)
                    .map_err(|defect| Unpushed::Piece(defect.into()))?;
                key.clear();
                layout.encode_location(u64::from(batch.first()) + place as u64, &mut key);
                payload.put(&key, record.account);
                rows.push((record.public_key, record.token_id, record.derived));
                hashes.push(record.hash);
            }
            Ok(())
        };
        in_order(batch.len(), ACCOUNTS_PER_CHUNK, make, |taken: &Taken| {
            for (public_key, token_id, derived) in &taken.rows {
                index.push(*public_key, *token_id, Some(*derived))?;
            }
            hashes.extend_from_slice(&taken.hashes);
            accounts_digest.update(taken.payload.bytes());
            Ok(log.append(&taken.payload)?)
        })
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
        Ok(*self.finish_for_proof(tree)?.summary())
    }

    /// [`Self::finish`], keeping in memory what [`prove_log`](crate::prove_log) compares the store
    /// with.
    ///
    /// # Errors
    ///
    /// As [`Self::finish`].
    pub fn finish_for_proof(self, tree: &MerkleTree) -> Result<FinishedStore, StoreError> {
        let Self {
            mut log,
            layout,
            index,
            accounts_digest,
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
        let hash_nodes = hash_records(layout, tree, |payload| log.append(payload))?;
        text_records(layout, &index, |payload| log.append(payload))?;
        let summary = StoreSummary {
            root: fork_ledger::merkle::ledger_hash(tree.root()),
            accounts,
            owners: index.owners(),
            hash_nodes,
            entries: log.entries(),
            log_bytes: log.finish()?,
        };
        Ok(FinishedStore {
            summary,
            layout,
            index,
            accounts_sha256: accounts_digest.finalize().into(),
        })
    }
}

/// What is made of some accounts of a piece.
#[derive(Default)]
struct Taken {
    payload: Payload,
    /// Owner, token, and the token that is owned.
    rows: Vec<(PublicKey, TokenId, TokenId)>,
    hashes: Vec<Fp>,
}

/// Why accounts of a piece were not taken.
enum Unpushed {
    Piece(Broken),
    Store(StoreError),
}

impl From<StoreError> for Unpushed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is known about a store that was written, for reading it back.
#[derive(Debug)]
pub struct FinishedStore {
    summary: StoreSummary,
    layout: KeyLayout,
    index: SortedIndex,
    accounts_sha256: [u8; 32],
}

impl FinishedStore {
    /// What was written.
    #[must_use]
    pub const fn summary(&self) -> &StoreSummary {
        &self.summary
    }

    pub(crate) const fn layout(&self) -> KeyLayout {
        self.layout
    }

    pub(crate) const fn index(&self) -> &SortedIndex {
        &self.index
    }

    /// SHA-256 over the entries of the accounts, as they stand in the batches.
    pub(crate) const fn accounts_sha256(&self) -> &[u8; 32] {
        &self.accounts_sha256
    }
}

fn encode_checked(
    era: Era,
    layout: KeyLayout,
    leaves: RangeFrom<u64>,
    accounts: &[Account],
    payload: &mut Payload,
) -> Result<(), StoreError> {
    payload.clear();
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for (leaf, account) in leaves.zip(accounts) {
        key.clear();
        value.clear();
        layout.encode_location(leaf, &mut key);
        encode_account(account, &mut value);
        came_back(leaf, account, decode_account(era, &value))?;
        payload.put(&key, &value);
    }
    Ok(())
}

/// Compares an account with what its own bytes decode to.
pub(crate) fn came_back(
    leaf: u64,
    account: &Account,
    decoded: Result<Account, BinProtError>,
) -> Result<(), StoreError> {
    let source = match decoded {
        Ok(decoded) if decoded == *account => return Ok(()),
        Ok(_) => None,
        Err(source) => Some(source),
    };
    Err(StoreErrorKind::SelfCheck { leaf, source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_comes_back_as_another_is_refused() {
        let account = Account::empty(Era::Mesa);
        came_back(7, &account, Ok(account.clone())).unwrap();
        let other = Account {
            nonce: 1,
            ..account.clone()
        };
        let error = came_back(7, &account, Ok(other)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "account 7 does not come back from its own bytes"
        );
    }
}
