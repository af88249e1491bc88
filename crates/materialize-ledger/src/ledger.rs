//! One ledger: from the archive, through the hashes, into a list.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use fork_archive::{Archive, ArchiveBlock, ArchiveError, ArchivedAccount};
use fork_fs::{AtomicFile, FsError, HashingWriter, Operation};
use fork_ledger::account::Account;
use fork_ledger::batch::LeafHasher;
use fork_ledger::json::write_account_json;
use fork_ledger::merkle::{MerkleError, RootBuilder, SparseTreeBuilder, ledger_hash};
use fork_types::document::FileRef;
use fork_types::{Era, LedgerHash, TokenId};
use fork_worker::Progress;
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::base::Base;
use crate::error::{MaterializeError, MaterializeErrorKind};

/// Batches that wait between the server and the hashes: enough to keep both busy.
const BATCHES_WAITING: usize = 2;

/// Accounts printed by one thread at a time.
const JOB_ACCOUNTS: usize = 512;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// Ranges of leaves that are kept for a message.
const SHOWN_MAX: usize = 8;

/// What came of reading a ledger.
pub(crate) struct Materialized {
    /// Leaves up to the last account.
    pub(crate) leaves: u64,
    /// Root over them; absent when there are holes or repeats.
    pub(crate) root: Option<LedgerHash>,
    /// Money of the default token, in nanomina.
    pub(crate) total: u128,
    /// Leaves whose account is from the list of genesis accounts.
    pub(crate) from_list: u64,
    /// Leaves without an account.
    pub(crate) holes: Leaves,
    /// Leaves with a second account.
    pub(crate) repeats: Leaves,
    /// The list, when it was written.
    pub(crate) file: Option<FileRef>,
    /// What was picked out on the way.
    pub(crate) picked: Option<Picked>,
}

/// Accounts and nodes that are kept while a ledger goes by.
pub(crate) struct Picked {
    wanted: BTreeSet<u64>,
    /// The accounts at the wanted leaves.
    pub(crate) accounts: BTreeMap<u64, Account>,
    /// The tree, in which the wanted leaves can change.
    pub(crate) tree: SparseTreeBuilder,
}

impl Picked {
    /// Keeps the accounts at these leaves.
    pub(crate) fn new(era: Era, wanted: BTreeSet<u64>) -> Self {
        Self {
            tree: SparseTreeBuilder::new(era, era.depth(), wanted.clone()),
            wanted,
            accounts: BTreeMap::new(),
        }
    }

    fn take(&mut self, first: u64, accounts: &[Account], leaves: &[Fp]) -> Result<(), MerkleError> {
        self.tree.extend_from_slice(leaves)?;
        let end = first + accounts.len() as u64;
        for leaf in self.wanted.range(first..end) {
            let place = usize::try_from(leaf - first).unwrap_or(usize::MAX);
            if let Some(account) = accounts.get(place) {
                self.accounts.insert(*leaf, account.clone());
            }
        }
        Ok(())
    }
}

/// What is done with a ledger beside computing its root.
#[derive(Default)]
pub(crate) struct Extras<'a> {
    /// The genesis accounts, where the archive has none.
    pub(crate) base: Option<Base>,
    /// Where the list goes.
    pub(crate) output: Option<(&'a Path, &'a str)>,
    /// What else takes its accounts.
    pub(crate) sink: Option<&'a mut dyn AccountSink>,
    /// What is kept of it.
    pub(crate) picked: Option<Picked>,
    /// Accounts that take the places of those of the archive, or follow the last one.
    pub(crate) changes: BTreeMap<u64, Account>,
}

/// How many leaves, and the first of them.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    pub(crate) count: u64,
    pub(crate) first: Vec<(u64, u64)>,
}

impl Leaves {
    /// Adds the leaves from `from` up to and without `to`, in order.
    fn add(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        self.count += to - from;
        if let Some(last) = self.first.last_mut()
            && last.1 == from
        {
            last.1 = to;
        } else if self.first.len() < SHOWN_MAX {
            self.first.push((from, to));
        }
    }

    /// Such as `3, 7 to 9, …`.
    pub(crate) fn shown(&self) -> String {
        let mut texts: Vec<String> = self
            .first
            .iter()
            .map(|(from, to)| match to - from {
                1 => from.to_string(),
                _ => format!("{from} to {}", to - 1),
            })
            .collect();
        let shown: u64 = self.first.iter().map(|(from, to)| to - from).sum();
        if shown < self.count {
            texts.push("…".to_owned());
        }
        texts.join(", ")
    }
}

/// Where the accounts of a ledger go.
pub trait AccountSink {
    /// Takes the next accounts, in leaf order. Whether they are the ledger is known at the end only.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be written.
    fn write(&mut self, accounts: &[Account]) -> Result<(), FsError>;

    /// Takes the hashes of the same accounts.
    fn take_leaves(&mut self, _leaves: &[Fp]) {}
}

/// Reads the staged ledger after `block`, with the accounts of `base` where the archive has none, and
/// writes it to `output` when that is given.
pub(crate) fn materialize(
    archive: &mut Archive,
    block: &ArchiveBlock,
    base: Option<Base>,
    output: Option<(&Path, &str)>,
    progress: &Progress,
) -> Result<Materialized, MaterializeError> {
    let extras = Extras {
        base,
        output,
        ..Extras::default()
    };
    materialize_with(archive, block, extras, progress)
}

/// As [`materialize`], with more to do on the way.
pub(crate) fn materialize_with(
    archive: &mut Archive,
    block: &ArchiveBlock,
    extras: Extras<'_>,
    progress: &Progress,
) -> Result<Materialized, MaterializeError> {
    let era = archive.era(block)?;
    materialize_as(archive, block, era, extras, progress)
}

/// The same under the rules of any era, into any sink.
pub(crate) fn gather(
    archive: &mut Archive,
    block: &ArchiveBlock,
    era: Era,
    base: Option<Base>,
    sink: Option<&mut dyn AccountSink>,
    progress: &Progress,
) -> Result<Materialized, MaterializeError> {
    let extras = Extras {
        base,
        sink,
        ..Extras::default()
    };
    materialize_as(archive, block, era, extras, progress)
}

fn materialize_as(
    archive: &mut Archive,
    block: &ArchiveBlock,
    era: Era,
    extras: Extras<'_>,
    progress: &Progress,
) -> Result<Materialized, MaterializeError> {
    let mut builder = Builder::new(era, extras)?;
    let mut stream = archive.accounts_as(block, era)?;
    // The server and the decoding of its rows on one thread, hashing and printing on all others.
    std::thread::scope(|scope| {
        let (sender, receiver) =
            sync_channel::<Result<Vec<ArchivedAccount>, ArchiveError>>(BATCHES_WAITING);
        scope.spawn(move || {
            while let Some(batch) = stream.next_batch().transpose() {
                let is_last = batch.is_err();
                // Nobody takes it any more when the other side has failed.
                if sender.send(batch).is_err() || is_last {
                    return;
                }
            }
        });
        for batch in receiver {
            let batch = batch?;
            progress.advance(batch.len() as u64);
            builder.take(batch)?;
        }
        builder.finish()
    })
}

/// A ledger being put together.
pub(crate) struct Builder<'a> {
    era: Era,
    hasher: LeafHasher,
    root: RootBuilder,
    list: Option<ListFile>,
    sink: Option<&'a mut dyn AccountSink>,
    base: Option<Base>,
    /// The next leaf.
    next: u64,
    /// Accounts that are in place and not hashed yet.
    waiting: Vec<Account>,
    total: u128,
    from_list: u64,
    holes: Leaves,
    repeats: Leaves,
    picked: Option<Picked>,
    changes: BTreeMap<u64, Account>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(era: Era, extras: Extras<'a>) -> Result<Self, MaterializeError> {
        let list = extras
            .output
            .map(|(directory, name)| ListFile::create(directory, name))
            .transpose()?;
        Ok(Self {
            era,
            hasher: LeafHasher::new(era),
            root: RootBuilder::new(era, era.depth()),
            list,
            sink: extras.sink,
            base: extras.base,
            next: 0,
            waiting: Vec::new(),
            total: 0,
            from_list: 0,
            holes: Leaves::default(),
            repeats: Leaves::default(),
            picked: extras.picked,
            changes: extras.changes,
        })
    }

    /// Takes accounts that follow the last one, from elsewhere than an archive.
    pub(crate) fn append(&mut self, accounts: Vec<Account>) -> Result<(), MaterializeError> {
        for account in accounts {
            self.push(account);
        }
        self.flush()
    }

    fn take(&mut self, batch: Vec<ArchivedAccount>) -> Result<(), MaterializeError> {
        for ArchivedAccount { index, account, .. } in batch {
            let index = u64::from(index);
            if index < self.next {
                self.repeats.add(index, index + 1);
                continue;
            }
            self.fill(Some(index))?;
            if let Some(base) = &mut self.base {
                // The archive knows a newer state of it.
                base.next()?;
            }
            self.push(account);
        }
        self.flush()
    }

    /// Takes accounts of the list up to `end`, or all that are left.
    fn fill(&mut self, end: Option<u64>) -> Result<(), MaterializeError> {
        while end.is_none_or(|end| self.next < end) {
            let account = match &mut self.base {
                Some(base) => base.next()?,
                None => None,
            };
            let Some(account) = account else {
                if let Some(end) = end {
                    self.holes.add(self.next, end);
                    self.next = end;
                }
                return Ok(());
            };
            self.from_list += 1;
            self.push(account);
            if self.waiting.len() >= usize::from(fork_archive::BATCH_ROWS) {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn push(&mut self, account: Account) {
        let changed = self.changes.remove(&self.next);
        self.waiting.push(changed.unwrap_or(account));
        self.next += 1;
    }

    fn is_whole(&self) -> bool {
        self.holes.count == 0 && self.repeats.count == 0
    }

    fn flush(&mut self) -> Result<(), MaterializeError> {
        let accounts = std::mem::take(&mut self.waiting);
        // The rest is read for the message alone.
        if !self.is_whole() {
            return Ok(());
        }
        let first = self.root.len();
        let leaves = self
            .hasher
            .hash_as(self.era, &accounts)
            .map_err(|source| MaterializeErrorKind::Hash { first, source })?;
        self.root.extend_from_slice(&leaves)?;
        if let Some(picked) = &mut self.picked {
            picked.take(first, &accounts, &leaves)?;
        }
        self.total += accounts
            .iter()
            .filter(|account| account.token_id == TokenId::DEFAULT)
            .map(|account| u128::from(account.balance.nanomina()))
            .sum::<u128>();
        if let Some(list) = &mut self.list {
            list.write(&accounts)?;
        }
        if let Some(sink) = &mut self.sink {
            sink.write(&accounts)?;
            sink.take_leaves(&leaves);
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Materialized, MaterializeError> {
        self.fill(None)?;
        // What is left of the changes is new accounts.
        while let Some((index, account)) = self.changes.pop_first() {
            self.holes.add(self.next, index);
            self.next = self.next.max(index);
            self.push(account);
        }
        self.flush()?;
        let is_whole = self.is_whole();
        let file = match self.list {
            Some(list) if is_whole => Some(list.finish()?),
            _ => None,
        };
        Ok(Materialized {
            leaves: self.next,
            root: is_whole.then(|| ledger_hash(self.root.finish())),
            total: self.total,
            from_list: self.from_list,
            holes: self.holes,
            repeats: self.repeats,
            file,
            picked: self.picked,
        })
    }
}

/// An account list in the form that candidates have: a JSON array, one account a line.
pub(crate) struct ListFile {
    name: String,
    path: PathBuf,
    file: BufWriter<HashingWriter<AtomicFile>>,
    is_empty: bool,
}

impl ListFile {
    pub(crate) fn create(directory: &Path, name: &str) -> Result<Self, FsError> {
        let path = directory.join(name);
        let file = HashingWriter::new(AtomicFile::create(&path)?);
        Ok(Self {
            name: name.to_owned(),
            path,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            is_empty: true,
        })
    }

    fn failed(&self, source: std::io::Error) -> FsError {
        FsError::io(Operation::Write, &self.path, source)
    }

    pub(crate) fn finish(mut self) -> Result<FileRef, FsError> {
        let end: &[u8] = if self.is_empty { b"[\n]\n" } else { b"\n]\n" };
        self.file
            .write_all(end)
            .map_err(|error| self.failed(error))?;
        let Self {
            name, path, file, ..
        } = self;
        let writer = file
            .into_inner()
            .map_err(|error| FsError::io(Operation::Write, &path, error.into_error()))?;
        let (file, digested) = writer.finish();
        file.commit()?;
        Ok(FileRef {
            name,
            sha256: digested.sha256,
            bytes: digested.bytes,
        })
    }
}

impl AccountSink for ListFile {
    fn write(&mut self, accounts: &[Account]) -> Result<(), FsError> {
        let jobs: Vec<Vec<u8>> = accounts
            .par_chunks(JOB_ACCOUNTS)
            .map(|job| {
                let mut text = Vec::with_capacity(job.len() * 700);
                for account in job {
                    text.extend_from_slice(b",\n");
                    write_account_json(account, &mut text);
                }
                text
            })
            .collect();
        for text in &jobs {
            // The first account of all follows the bracket.
            let start = usize::from(self.is_empty);
            if self.is_empty {
                self.file
                    .write_all(b"[")
                    .map_err(|error| self.failed(error))?;
                self.is_empty = false;
            }
            self.file
                .write_all(&text[start..])
                .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_shown_in_ranges() {
        let mut leaves = Leaves::default();
        leaves.add(3, 3);
        leaves.add(3, 4);
        leaves.add(7, 9);
        leaves.add(9, 10);
        assert_eq!((leaves.count, leaves.shown().as_str()), (4, "3, 7 to 9"));
        for leaf in 0..10 {
            leaves.add(100 + 2 * leaf, 101 + 2 * leaf);
        }
        assert_eq!(leaves.count, 14);
        assert!(leaves.shown().ends_with("110, …"), "{}", leaves.shown());
    }
}
