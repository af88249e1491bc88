//! Examining a log-only store without RocksDB.
//!
//! The twin of [`StoreExaminer`](crate::StoreExaminer) for stores in the one spelling that
//! [`LedgerStoreWriter`](crate::LedgerStoreWriter) gives them. It either finds that every byte is as it
//! must be, or fails on the first that is not: what is wrong then, and how much of it, is for the
//! examiner over RocksDB to say. So it needs a fraction of the time, and none of the memory into which
//! RocksDB replays a log.

use std::path::{Path, PathBuf};

use fork_ledger::account::Account;
use fork_ledger::binprot::decode_account;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_types::Era;
use rayon::prelude::*;

use crate::error::{StoreError, StoreErrorKind};
use crate::examine::Examined;
use crate::index::AccountIndex;
use crate::key::{ACCOUNT_TAG, Key, KeyLayout};
use crate::log_reader::{Batch, LogReader};
use crate::problem::{Problem, Problems};
use crate::readback::compare_log;

/// Accounts that one thread decodes at a time.
const ACCOUNTS_PER_JOB: usize = 256;

/// Reads the accounts of a log-only store in order, then compares everything else with what follows
/// from them.
#[derive(Debug)]
pub struct LogExaminer {
    log: LogReader,
    directory: PathBuf,
    era: Era,
    layout: KeyLayout,
    /// Leaf of the next account, which is also the position of its entry.
    next: u64,
    /// The batch with the next entry.
    batch: Batch,
    /// Positions of its entries.
    first: u64,
    end: u64,
    /// Whether the accounts are over.
    ended: bool,
    buffer: Vec<u8>,
}

impl LogExaminer {
    /// Opens the store in `directory`.
    ///
    /// # Errors
    ///
    /// Fails on a store that is not log-only or is spelled otherwise, on a depth that is not
    /// supported, and for era v1.
    pub fn open(directory: &Path, era: Era, depth: u8) -> Result<Self, StoreError> {
        if era == Era::V1 {
            return Err(StoreErrorKind::Era { era }.into());
        }
        Ok(Self {
            log: LogReader::open(directory)?,
            directory: directory.to_owned(),
            era,
            layout: KeyLayout::new(depth)?,
            next: 0,
            batch: Batch::default(),
            first: 0,
            end: 0,
            ended: false,
            buffer: Vec::new(),
        })
    }

    /// The accounts of the next `count` leaves, fewer at the end and none after it.
    ///
    /// # Errors
    ///
    /// Fails on the first thing that is not as the writer would have written it.
    pub fn take(&mut self, count: usize) -> Result<Vec<Account>, StoreError> {
        let mut accounts = Vec::with_capacity(count.min(ACCOUNTS_AHEAD_MAX));
        while accounts.len() < count && !self.ended {
            if self.next == self.end && !self.next_batch()? {
                break;
            }
            let left = (count - accounts.len()) as u64;
            let end = self.end.min(self.next + left);
            let from = (self.next - self.first) as usize;
            let to = (end - self.first) as usize;
            let is_account = |entry: &usize| matches!(self.batch.get(*entry), Some(((key, _), _)) if key.first() == Some(&ACCOUNT_TAG));
            let to = (from..to)
                .take_while(is_account)
                .last()
                .map_or(from, |last| last + 1);
            let decoded: Result<Vec<Vec<Account>>, StoreError> = (from..to)
                .collect::<Vec<_>>()
                .par_chunks(ACCOUNTS_PER_JOB)
                .map(|entries| entries.iter().map(|entry| self.account(*entry)).collect())
                .collect();
            decoded?
                .into_iter()
                .for_each(|mut some| accounts.append(&mut some));
            self.next += (to - from) as u64;
            self.ended = self.next < end;
        }
        Ok(accounts)
    }

    /// Compares all other entries with what the accounts, in `index` and `tree`, ask for.
    ///
    /// # Errors
    ///
    /// As [`Self::take`]; and when not all accounts were taken, or index or tree are of
    /// another number of accounts.
    pub fn finish(self, index: AccountIndex, tree: &MerkleTree) -> Result<Examined, StoreError> {
        let accounts = tree.len() as u64;
        if self.next != accounts || index.len() != accounts {
            return Err(self.unproven(Problem::AccountCount {
                expected: accounts,
                found: self.next.min(index.len()),
            }));
        }
        let index = index.sort();
        if let Some(duplicate) = index.duplicates().next() {
            let problem = Problem::DuplicateAccount {
                first: duplicate.first,
                second: duplicate.second,
                public_key: duplicate.public_key,
                token_id: duplicate.token_id,
            };
            return Err(unproven(&self.directory, problem));
        }
        let (owners, hash_nodes) =
            compare_log(&self.log, &self.directory, self.layout, &index, tree)?;
        Ok(Examined {
            root: ledger_hash(tree.root()),
            accounts,
            owners,
            hash_nodes,
            entries: self.log.entries(),
            content_sha256: None,
        })
    }

    /// Reads the batch with the next entry; false when there is none.
    fn next_batch(&mut self) -> Result<bool, StoreError> {
        let records = self.log.records(self.next, self.next.saturating_add(1));
        let Some(record) = records.first().copied() else {
            return Ok(false);
        };
        self.log
            .read_batch(&record, &mut self.buffer, &mut self.batch)?;
        self.first = record.first;
        self.end = record.first + u64::from(record.count);
        Ok(true)
    }

    /// An account of the batch, which must be the one of its position.
    fn account(&self, entry: usize) -> Result<Account, StoreError> {
        let index = self.first + entry as u64;
        let ((key, value), _) = self.batch.get(entry).unwrap_or_default();
        if self.layout.parse(key) != Ok(Key::Account { index }) {
            return Err(self.unproven(Problem::AccountKey {
                key: hex::encode(key),
                error: format!("it is not that of account {index}"),
            }));
        }
        decode_account(self.era, value).map_err(|error| {
            self.unproven(Problem::Account {
                index,
                error: error.to_string(),
            })
        })
    }

    fn unproven(&self, problem: Problem) -> StoreError {
        unproven(&self.directory, problem)
    }
}

/// Accounts that room is made for at once.
const ACCOUNTS_AHEAD_MAX: usize = 1 << 14;

fn unproven(directory: &Path, problem: Problem) -> StoreError {
    let mut problems = Problems::default();
    problems.push(problem);
    StoreErrorKind::Unproven {
        path: directory.to_owned(),
        problems,
    }
    .into()
}
