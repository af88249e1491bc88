//! Proving that a store is a ledger.
//!
//! The daemon compares one stored node with its config and recomputes nothing, so a wrong account
//! beside a right root goes unnoticed until the network forks on it. This is the only place where
//! it is noticed.

use std::cmp::Ordering;
use std::path::Path;

use fork_ledger::account::Account;
use fork_ledger::binprot::{BinProtError, decode_account};
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{Era, LedgerHash};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::entry::{describe_key, describe_value};
use crate::error::{StoreError, StoreErrorKind};
use crate::index::{AccountIndex, SortedIndex, entry_count};
use crate::key::{ACCOUNT_TAG, Key, KeyLayout};
use crate::payload::Payload;
use crate::problem::{Problem, Problems};
use crate::reader::{Cursor, StoreReader};
use crate::records::{hash_records, text_records};
use crate::scan::ContentDigest;

/// Accounts decoded and hashed at a time: enough for all threads, at most 16 MB of the largest.
const ACCOUNTS_PER_BATCH: usize = 4096;

/// What a store was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreProof {
    /// Root recomputed from the accounts.
    pub root: LedgerHash,
    /// N: accounts.
    pub accounts: u64,
    /// D: distinct public keys.
    pub owners: u64,
    /// H: hash nodes.
    pub hash_nodes: u64,
    /// All entries.
    pub entries: u64,
    /// SHA-256 over the scanner text: equal for any two stores of one ledger.
    pub content_sha256: String,
}

/// A store's content and everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// What it holds; `None` when an account could not be read, because then there is no root to
    /// compare anything with.
    pub content: Option<StoreProof>,
    /// What is wrong.
    pub problems: Problems,
}

/// Opens the store in `directory` with RocksDB and proves that it is the ledger the caller named.
///
/// Every account is decoded strictly; leaf hashes, all inner nodes and the root are recomputed from
/// the accounts; then every entry is compared with what the accounts ask for: hash nodes,
/// locations, token owners, token sets, the last location, and nothing else.
///
/// Memory: RocksDB's (see [`StoreReader`]) and about 170 bytes per account.
///
/// # Errors
///
/// Fails with [`StoreErrorKind::Unproven`], which lists what is wrong, or when the store cannot be
/// read at all. Stores of era v1 are not supported.
pub fn prove_store(
    directory: &Path,
    era: Era,
    depth: u8,
    expected_root: &LedgerHash,
    expected_accounts: u64,
) -> Result<StoreProof, StoreError> {
    let store = StoreReader::open(directory)?;
    prove_open_store(&store, era, depth, expected_root, expected_accounts)
}

/// [`prove_store`] for a store that is open already, such as an unpacked tarball.
///
/// # Errors
///
/// As [`prove_store`].
pub fn prove_open_store(
    store: &StoreReader,
    era: Era,
    depth: u8,
    expected_root: &LedgerHash,
    expected_accounts: u64,
) -> Result<StoreProof, StoreError> {
    let Examination {
        content,
        mut problems,
    } = examine_store(store, era, depth)?;
    if let Some(content) = &content {
        if content.accounts != expected_accounts {
            problems.push_first(Problem::AccountCount {
                expected: expected_accounts,
                found: content.accounts,
            });
        }
        if content.root != *expected_root {
            problems.push_first(Problem::Root {
                expected: *expected_root,
                found: content.root,
            });
        }
    }
    match content {
        Some(content) if problems.is_empty() => Ok(content),
        _ => Err(StoreErrorKind::Unproven {
            path: store.path().to_owned(),
            problems,
        }
        .into()),
    }
}

/// Recomputes everything in a store from its accounts and lists what does not agree. Which ledger
/// it should be is not asked: a store can be right in itself and be another ledger.
///
/// # Errors
///
/// Fails when RocksDB cannot read, on a depth that is not supported, and for era v1.
pub fn examine_store(store: &StoreReader, era: Era, depth: u8) -> Result<Examination, StoreError> {
    if era == Era::V1 {
        return Err(StoreErrorKind::Era { era }.into());
    }
    let layout = KeyLayout::new(depth)?;
    let mut problems = Problems::default();
    let (leaves, index) = read_accounts(store, era, layout, &mut problems)?;
    if problems.is_empty() && leaves.is_empty() {
        problems.push(Problem::NoAccounts);
    }
    if !problems.is_empty() {
        return Ok(Examination {
            content: None,
            problems,
        });
    }
    let tree = MerkleTree::new(era, depth, leaves)?;
    let index = index.sort();
    for duplicate in index.duplicates() {
        problems.push_with(|| Problem::DuplicateAccount {
            first: duplicate.first,
            second: duplicate.second,
            public_key: duplicate.public_key,
            token_id: duplicate.token_id,
        });
    }
    let content = compare_entries(store, layout, &tree, &index, &mut problems)?;
    Ok(Examination {
        content: Some(content),
        problems,
    })
}

/// Decodes and hashes all accounts. Where there are problems, leaves are left out.
fn read_accounts(
    store: &StoreReader,
    era: Era,
    layout: KeyLayout,
    problems: &mut Problems,
) -> Result<(Vec<Fp>, AccountIndex), StoreError> {
    let mut hasher = AccountHasher {
        era,
        keys: VkHashCache::new(),
        batch: Vec::with_capacity(ACCOUNTS_PER_BATCH),
        leaves: Vec::new(),
        index: AccountIndex::default(),
    };
    let mut expected = 0;
    let mut entries = store.entries_from(&[ACCOUNT_TAG]);
    while let Some((key, value)) = entries.advance()? {
        if key.first() != Some(&ACCOUNT_TAG) {
            break;
        }
        match layout.parse(key) {
            Ok(Key::Account { index }) => {
                if index != expected {
                    problems.push(Problem::Gap {
                        expected,
                        found: index,
                    });
                }
                expected = index + 1;
                hasher.batch.push((index, value.to_vec()));
            }
            Ok(_) => {}
            Err(error) => problems.push(Problem::AccountKey {
                key: hex::encode(key),
                error: error.to_string(),
            }),
        }
        if hasher.batch.len() == ACCOUNTS_PER_BATCH {
            hasher.take_batch(problems)?;
        }
    }
    hasher.take_batch(problems)?;
    Ok((hasher.leaves, hasher.index))
}

struct AccountHasher {
    era: Era,
    keys: VkHashCache,
    batch: Vec<(u64, Vec<u8>)>,
    leaves: Vec<Fp>,
    index: AccountIndex,
}

impl AccountHasher {
    fn take_batch(&mut self, problems: &mut Problems) -> Result<(), StoreError> {
        let decoded: Vec<Result<Account, BinProtError>> = self
            .batch
            .par_iter()
            .map(|(_, bytes)| decode_account(self.era, bytes))
            .collect();
        let mut accounts = Vec::with_capacity(decoded.len());
        for ((index, _), account) in self.batch.iter().zip(decoded) {
            match account {
                Ok(account) => {
                    self.index
                        .push(account.public_key, account.token_id, None)?;
                    accounts.push(account);
                }
                Err(error) => problems.push(Problem::Account {
                    index: *index,
                    error: error.to_string(),
                }),
            }
        }
        if problems.is_empty() {
            let hashes = hash_accounts(self.era, &accounts, &self.keys)?;
            self.leaves.extend(hashes);
        }
        self.batch.clear();
        Ok(())
    }
}

/// Compares every entry with what the accounts ask for, in one pass in key order.
fn compare_entries(
    store: &StoreReader,
    layout: KeyLayout,
    tree: &MerkleTree,
    index: &SortedIndex,
    problems: &mut Problems,
) -> Result<StoreProof, StoreError> {
    let mut comparer = Comparer {
        entries: store.entries(),
        layout,
        digest: ContentDigest::new(),
        problems,
    };
    comparer.advance()?;
    let hash_nodes = hash_records(layout, tree, |payload| comparer.expect_all(payload))?;
    comparer.pass_accounts()?;
    text_records(layout, index, |payload| comparer.expect_all(payload))?;
    comparer.pass_extra()?;
    let scanned = comparer.digest.finish();
    let accounts = tree.len() as u64;
    let owners = index.owners();
    let expected = entry_count(accounts, owners, layout.depth());
    if scanned.entries != expected {
        comparer.problems.push(Problem::EntryCount {
            expected,
            found: scanned.entries,
        });
    }
    Ok(StoreProof {
        root: ledger_hash(tree.root()),
        accounts,
        owners,
        hash_nodes,
        entries: scanned.entries,
        content_sha256: scanned.content_sha256,
    })
}

/// Walks a store beside the entries it should have; both are in key order.
pub(crate) struct Comparer<'a> {
    pub(crate) entries: Cursor<'a>,
    pub(crate) layout: KeyLayout,
    pub(crate) digest: ContentDigest,
    pub(crate) problems: &'a mut Problems,
}

impl Comparer<'_> {
    pub(crate) fn advance(&mut self) -> Result<(), StoreError> {
        if let Some((key, value)) = self.entries.advance()? {
            self.digest.add(key, value);
        }
        Ok(())
    }

    /// Compares with the next entries that should be there.
    pub(crate) fn expect_all(&mut self, payload: &Payload) -> Result<(), StoreError> {
        payload
            .entries()
            .try_for_each(|(key, value)| self.expect(key, value))
    }

    /// Compares with the next entry that should be there.
    pub(crate) fn expect(&mut self, key: &[u8], expected: &[u8]) -> Result<(), StoreError> {
        let layout = self.layout;
        loop {
            let found = self.entries.current()?;
            let order = found.map_or(Ordering::Greater, |(found, _)| found.cmp(key));
            match (order, found) {
                (Ordering::Equal, Some((_, value))) => {
                    if value != expected {
                        self.problems.push_with(|| Problem::Different {
                            entry: describe_key(layout, key),
                            expected: describe_value(layout, key, expected),
                            found: describe_value(layout, key, value),
                        });
                    }
                    return self.advance();
                }
                (Ordering::Less, Some(_)) => self.extra()?,
                _ => {
                    self.problems.push_with(|| Problem::Missing {
                        entry: describe_key(layout, key),
                        expected: describe_value(layout, key, expected),
                    });
                    return Ok(());
                }
            }
        }
    }

    /// Passes the accounts, which were compared with themselves when they were decoded.
    pub(crate) fn pass_accounts(&mut self) -> Result<(), StoreError> {
        while let Some((key, _)) = self.entries.current()? {
            match key.first().map(|tag| tag.cmp(&ACCOUNT_TAG)) {
                Some(Ordering::Equal) => self.advance()?,
                Some(Ordering::Less) | None => self.extra()?,
                Some(Ordering::Greater) => break,
            }
        }
        Ok(())
    }

    pub(crate) fn pass_extra(&mut self) -> Result<(), StoreError> {
        while self.entries.current()?.is_some() {
            self.extra()?;
        }
        Ok(())
    }

    /// Notes the current entry as one that should not be there, and goes on.
    fn extra(&mut self) -> Result<(), StoreError> {
        let layout = self.layout;
        if let Some((key, value)) = self.entries.current()? {
            self.problems.push_with(|| Problem::Extra {
                entry: describe_key(layout, key),
                found: describe_value(layout, key, value),
            });
        }
        self.advance()
    }
}
