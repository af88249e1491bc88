//! Examining a store whose accounts pass through the caller's hands.
//!
//! [`examine_store`](crate::examine_store) hashes by itself. A verifier of several ledgers of one fork
//! wants to hash what they share once and to look at every account, so here the caller takes the
//! accounts, and says what follows from them.

use fork_ledger::account::Account;
use fork_ledger::binprot::decode_account;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_types::{Era, LedgerHash};
use rayon::prelude::*;

use crate::compare::stored_root;
use crate::entry::{describe_key, describe_value};
use crate::error::{StoreError, StoreErrorKind};
use crate::index::{AccountIndex, SortedIndex, entry_count};
use crate::key::{ACCOUNT_TAG, Key, KeyLayout};
use crate::problem::{Problem, Problems};
use crate::proof::Comparer;
use crate::reader::{Cursor, StoreReader};
use crate::records::{hash_records, text_records};
use crate::scan::{ContentDigest, ScanSummary};

/// Leaves that may be missing in a row before reading ends: without a limit a hostile index would
/// make billions of empty places.
const GAP_MAX: u64 = 8192;

/// What is wrong with a store, by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreProblems {
    /// With the accounts themselves: keys, encodings, gaps, duplicates.
    pub accounts: Problems,
    /// With the root node.
    pub root: Problems,
    /// With the hash nodes below the root, and with entries before the accounts that nothing asks for.
    pub nodes: Problems,
    /// With locations, token owners, token sets, the last location, and entries behind the accounts
    /// that nothing asks for.
    pub records: Problems,
}

/// What an examined store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
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
    /// SHA-256 over the scanner text; the reader of logs, which need not be in key order, takes none.
    pub content_sha256: Option<String>,
}

/// Reads the accounts of a store in order, then compares everything else with what follows from them.
#[derive(Debug)]
pub struct StoreExaminer<'a> {
    store: &'a StoreReader,
    era: Era,
    layout: KeyLayout,
    entries: Cursor<'a>,
    /// The first account that was read and not taken yet.
    pending: Option<(u64, Vec<u8>)>,
    /// Leaf of the next place to hand out.
    next: u64,
    ended: bool,
    problems: StoreProblems,
}

impl<'a> StoreExaminer<'a> {
    /// Starts at the first account.
    ///
    /// # Errors
    ///
    /// Fails on a depth that is not supported, and for era v1.
    pub fn new(store: &'a StoreReader, era: Era, depth: u8) -> Result<Self, StoreError> {
        if era == Era::V1 {
            return Err(StoreErrorKind::Era { era }.into());
        }
        Ok(Self {
            store,
            era,
            layout: KeyLayout::new(depth)?,
            entries: store.entries_from(&[ACCOUNT_TAG]),
            pending: None,
            next: 0,
            ended: false,
            problems: StoreProblems::default(),
        })
    }

    /// The accounts of the next `count` leaves, fewer at the end and none after it. `None` stands for
    /// an account that is missing or does not decode, which is noted as a problem.
    ///
    /// # Errors
    ///
    /// Fails when RocksDB cannot read.
    pub fn take(&mut self, count: usize) -> Result<Vec<Option<Account>>, StoreError> {
        let end = self.next.saturating_add(count as u64);
        let mut raw: Vec<Option<Vec<u8>>> = Vec::with_capacity(count);
        while self.next < end {
            let Some((index, value)) = self.account()? else {
                break;
            };
            if index >= end {
                raw.resize(count, None);
                self.next = end;
                self.pending = Some((index, value));
                break;
            }
            raw.resize((index + count as u64 - end) as usize, None);
            raw.push(Some(value));
            self.next = index + 1;
        }
        let first = self.next - raw.len() as u64;
        let era = self.era;
        let decoded: Vec<_> = raw
            .par_iter()
            .map(|bytes| bytes.as_ref().map(|bytes| decode_account(era, bytes)))
            .collect();
        let mut accounts = Vec::with_capacity(decoded.len());
        for (index, account) in (first..).zip(decoded) {
            accounts.push(match account {
                Some(Ok(account)) => Some(account),
                Some(Err(error)) => {
                    self.problems.accounts.push_with(|| Problem::Account {
                        index,
                        error: error.to_string(),
                    });
                    None
                }
                None => None,
            });
        }
        Ok(accounts)
    }

    /// Whether every account so far is there and decodes.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.accounts.is_empty()
    }

    /// The root node as it is stored, which is all that a daemon looks at.
    ///
    /// # Errors
    ///
    /// Fails when RocksDB cannot read.
    pub fn stored_root(&self) -> Result<Option<LedgerHash>, StoreError> {
        stored_root(self.store, self.layout.depth())
    }

    /// What is wrong, when there is no tree to compare with.
    #[must_use]
    pub fn into_problems(self) -> StoreProblems {
        self.problems
    }

    /// Compares all other entries with what the accounts, in `index` and `tree`, ask for.
    ///
    /// # Errors
    ///
    /// Fails when RocksDB cannot read.
    pub fn finish(
        self,
        index: AccountIndex,
        tree: &MerkleTree,
    ) -> Result<(Examined, StoreProblems), StoreError> {
        let Self {
            store,
            layout,
            mut problems,
            ..
        } = self;
        let index = index.sort();
        for duplicate in index.duplicates() {
            problems.accounts.push_with(|| Problem::DuplicateAccount {
                first: duplicate.first,
                second: duplicate.second,
                public_key: duplicate.public_key,
                token_id: duplicate.token_id,
            });
        }
        let (scanned, hash_nodes) = compare(store, layout, tree, &index, &mut problems)?;
        let accounts = tree.len() as u64;
        let owners = index.owners();
        let expected = entry_count(accounts, owners, layout.depth());
        let is_explained = !(problems.root.is_empty()
            && problems.nodes.is_empty()
            && problems.records.is_empty()
            && problems.accounts.is_empty());
        if scanned.entries != expected && !is_explained {
            problems.records.push(Problem::EntryCount {
                expected,
                found: scanned.entries,
            });
        }
        let proof = Examined {
            root: ledger_hash(tree.root()),
            accounts,
            owners,
            hash_nodes,
            entries: scanned.entries,
            content_sha256: Some(scanned.content_sha256),
        };
        Ok((proof, problems))
    }

    /// The next account in the store.
    fn account(&mut self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        if let Some(pending) = self.pending.take() {
            return Ok(Some(pending));
        }
        while !self.ended {
            let Some((key, value)) = self.entries.advance()? else {
                break;
            };
            if key.first() != Some(&ACCOUNT_TAG) {
                break;
            }
            match self.layout.parse(key) {
                Ok(Key::Account { index }) => {
                    if index > self.next {
                        self.problems.accounts.push(Problem::Gap {
                            expected: self.next,
                            found: index,
                        });
                        if index - self.next > GAP_MAX {
                            break;
                        }
                    }
                    return Ok(Some((index, value.to_vec())));
                }
                Ok(_) => {}
                Err(error) => self.problems.accounts.push(Problem::AccountKey {
                    key: hex::encode(key),
                    error: error.to_string(),
                }),
            }
        }
        self.ended = true;
        Ok(None)
    }
}

/// Compares all entries but the accounts; gives their summary and the number of hash nodes.
fn compare(
    store: &StoreReader,
    layout: KeyLayout,
    tree: &MerkleTree,
    index: &SortedIndex,
    problems: &mut StoreProblems,
) -> Result<(ScanSummary, u64), StoreError> {
    let mut comparer = Comparer {
        entries: store.entries(),
        layout,
        digest: ContentDigest::new(),
        problems: &mut problems.nodes,
    };
    comparer.advance()?;
    let root = &mut problems.root;
    let hash_nodes = hash_records(layout, tree, |payload| {
        payload.entries().try_for_each(|(key, value)| {
            // The only node of its height.
            if key.first() != Some(&layout.depth()) {
                return comparer.expect(key, value);
            }
            comparer.expect_into(key, value, root)
        })
    })?;
    comparer.pass_accounts()?;
    comparer.problems = &mut problems.records;
    text_records(layout, index, |payload| comparer.expect_all(payload))?;
    comparer.pass_extra()?;
    Ok((comparer.digest.finish(), hash_nodes))
}

impl Comparer<'_> {
    /// As [`Self::expect`], noting problems elsewhere.
    fn expect_into(
        &mut self,
        key: &[u8],
        expected: &[u8],
        problems: &mut Problems,
    ) -> Result<(), StoreError> {
        let layout = self.layout;
        match self.entries.current()? {
            Some((found, value)) if found == key && value != expected => {
                problems.push_with(|| Problem::Different {
                    entry: describe_key(layout, key),
                    expected: describe_value(layout, key, expected),
                    found: describe_value(layout, key, value),
                });
                self.advance()
            }
            _ => self.expect(key, expected),
        }
    }
}
