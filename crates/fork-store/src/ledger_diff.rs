//! Comparing two ledgers, however they lie: tarballs or directories, our own spelling or another.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use fork_fs::StagedDir;
use fork_types::Era;

use crate::compare::{Comparison, Entries, compare_entries, compare_stores};
use crate::error::{StoreError, StoreErrorKind};
use crate::key::ACCOUNT_TAG;
use crate::log_reader::{Batch, LogDefect, LogReader, Record};
use crate::packing::packing_differences;
use crate::reader::{RawEntry, StoreReader};
use crate::unpack::unpack_tarball;

/// What is compared, and how much of the difference is kept.
#[derive(Clone, Copy, Debug)]
pub struct LedgerSides<'a> {
    /// Tarball or directory, and the era its accounts are decoded by.
    pub left: (&'a Path, Era),
    /// The one to compare it with.
    pub right: (&'a Path, Era),
    /// Depth of the trees.
    pub depth: u8,
    /// Differences of each kind that are kept.
    pub kept_max: usize,
    /// Where tarballs are unpacked, in directories that go away.
    pub scratch: &'a Path,
}

/// How two ledgers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerComparison {
    /// What the stores hold.
    pub content: Comparison,
    /// What differs in the packing of two tarballs that hold the same; empty when they are the same
    /// file, or when the content differs.
    pub packing: Vec<String>,
}

impl LedgerComparison {
    /// Whether they hold the same and are packed the same.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.content.is_equal() && self.packing.is_empty()
    }
}

/// Compares two ledgers. Stores in our own spelling are read as logs, accounts first and in the memory
/// of two batches; others with RocksDB.
///
/// # Errors
///
/// Fails when one of them cannot be read.
pub fn compare_ledgers(sides: &LedgerSides<'_>) -> Result<LedgerComparison, StoreError> {
    let LedgerSides { left, right, .. } = *sides;
    let is_tarball = [left.0, right.0].map(|path| !path.is_dir());
    let (first, second) = rayon::join(
        || Unpacked::open(left.0, sides.scratch, "left"),
        || Unpacked::open(right.0, sides.scratch, "right"),
    );
    let (first, second) = (first?, second?);
    let (left, right) = ((first.path(), left.1), (second.path(), right.1));
    let content = compare_directories(left, right, sides.depth, sides.kept_max)?;
    let mut packing = Vec::new();
    if content.is_equal() && is_tarball == [true, true] {
        let (left, right) = (sides.left.0, sides.right.0);
        let (one, other) = rayon::join(
            || fork_fs::sha256_file(left),
            || fork_fs::sha256_file(right),
        );
        if one? != other? {
            packing = packing_differences(left, right)?;
        }
    }
    Ok(LedgerComparison { content, packing })
}

/// A directory with a store.
enum Unpacked<'a> {
    There(&'a Path),
    Made(StagedDir),
}

impl<'a> Unpacked<'a> {
    fn open(path: &'a Path, scratch: &Path, side: &str) -> Result<Self, StoreError> {
        if path.is_dir() {
            return Ok(Self::There(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = scratch.join(format!("{name}.{side}.unpacked"));
        let directory = StagedDir::create(&target, false)?;
        unpack_tarball(path, directory.path())?;
        Ok(Self::Made(directory))
    }

    fn path(&self) -> &Path {
        match self {
            Self::There(path) => path,
            Self::Made(directory) => directory.path(),
        }
    }
}

/// Compares the stores of two directories.
fn compare_directories(
    left: (&Path, Era),
    right: (&Path, Era),
    depth: u8,
    kept_max: usize,
) -> Result<Comparison, StoreError> {
    let logs = || -> Result<Comparison, StoreError> {
        let mut first = LogEntries::open(left.0)?;
        let mut second = LogEntries::open(right.0)?;
        compare_entries(
            (&mut first, left.1),
            (&mut second, right.1),
            log_order,
            depth,
            kept_max,
        )
    };
    match logs() {
        // Another spelling, or damage: RocksDB tells which.
        Err(error) if matches!(error.kind(), StoreErrorKind::Log { .. }) => {}
        other => return other,
    }
    let first = StoreReader::open(left.0)?;
    let second = StoreReader::open(right.0)?;
    compare_stores((&first, left.1), (&second, right.1), depth, kept_max)
}

/// The order of entries in a log: accounts, hash nodes, texts.
fn log_order(left: &[u8], right: &[u8]) -> Ordering {
    let rank = |key: &[u8]| match key.first() {
        Some(&ACCOUNT_TAG) => 0,
        Some(&tag) if tag < ACCOUNT_TAG => 1,
        _ => 2,
    };
    rank(left).cmp(&rank(right)).then_with(|| left.cmp(right))
}

/// The entries of a log, in its order, which must be [`log_order`].
struct LogEntries {
    log: LogReader,
    directory: PathBuf,
    records: Vec<Record>,
    /// The next record.
    next: usize,
    batch: Batch,
    buffer: Vec<u8>,
    /// Position in the batch; `None` before the first entry.
    entry: Option<usize>,
    previous: Vec<u8>,
}

impl LogEntries {
    fn open(directory: &Path) -> Result<Self, StoreError> {
        let log = LogReader::open(directory)?;
        Ok(Self {
            records: log.records(0, log.entries()).to_vec(),
            log,
            directory: directory.to_owned(),
            next: 0,
            batch: Batch::default(),
            buffer: Vec::new(),
            entry: None,
            previous: Vec::new(),
        })
    }
}

impl Entries for LogEntries {
    fn advance(&mut self) -> Result<(), StoreError> {
        self.previous.clear();
        if let Some(((key, _), _)) = self.entry.and_then(|entry| self.batch.get(entry)) {
            self.previous.extend_from_slice(key);
        }
        self.entry = Some(self.entry.map_or(0, |entry| entry + 1));
        while self.batch.get(self.entry.unwrap_or(0)).is_none() {
            let Some(record) = self.records.get(self.next) else {
                return Ok(());
            };
            self.log
                .read_batch(record, &mut self.buffer, &mut self.batch)?;
            self.next += 1;
            self.entry = Some(0);
        }
        match self.current()? {
            Some((key, _))
                if !self.previous.is_empty()
                    && log_order(&self.previous, key) != Ordering::Less =>
            {
                Err(StoreErrorKind::Log {
                    path: self.directory.clone(),
                    offset: 0,
                    defect: LogDefect::Order,
                }
                .into())
            }
            _ => Ok(()),
        }
    }

    fn current(&self) -> Result<Option<RawEntry<'_>>, StoreError> {
        let entry = self.entry.and_then(|entry| self.batch.get(entry));
        Ok(entry.map(|(entry, _)| entry))
    }
}
