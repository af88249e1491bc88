//! Reading a store with RocksDB, the library the daemon reads it with.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fork_fs::{AtomicFile, FsError, Operation, StagedDir};
use rust_rocksdb::{DB, DBCompressionType, DBRawIterator, DBRecoveryMode, Options, ReadOptions};

use crate::error::{StoreError, StoreErrorKind};
use crate::files::{check_files, is_store_file};
use crate::log::CURRENT_NAME;
use crate::unpack::unpack_tarball;

/// Files RocksDB may keep open; below the usual limit of 1024 per process.
const OPEN_FILES_MAX: i32 = 512;

/// Size of the tables that RocksDB makes of a log in [`StoreReader::open_copy`]; it holds about two of
/// them in memory.
pub const MEMTABLE_BYTES: usize = 32 << 20;

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 18;

/// Key and value of an entry.
pub type RawEntry<'a> = (&'a [u8], &'a [u8]);

/// An open store. Reading does not change its directory.
///
/// RocksDB replays a log into memory even when it only reads, so an open log-only store takes about
/// its size in memory (234 MB for 277,307 plain accounts).
pub struct StoreReader {
    db: DB,
    path: PathBuf,
    /// Removes the unpacked directory of a tarball, after the database is closed.
    _unpacked: Option<StagedDir>,
}

impl std::fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreReader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl StoreReader {
    /// Opens a database directory, whoever wrote it.
    ///
    /// A log that is cut short or damaged is refused. RocksDB's own default, which the daemon uses,
    /// would silently drop everything from the damage on.
    ///
    /// # Errors
    ///
    /// Fails when the directory is no database, or RocksDB cannot read it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        check_store(path)?;
        let db = DB::open_for_read_only(&options(), path, false)
            .map_err(|source| StoreError::rocksdb(path, source))?;
        Ok(Self {
            db,
            path: path.to_owned(),
            _unpacked: None,
        })
    }

    /// Unpacks a ledger tarball into a new directory inside `scratch` and opens it; the directory
    /// goes away with the reader.
    ///
    /// # Errors
    ///
    /// Fails when the tarball is damaged or holds anything but plain files at its top, and as
    /// [`Self::open`].
    pub fn open_tarball(tarball: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let name = tarball.file_name().unwrap_or_default().to_string_lossy();
        let directory = StagedDir::create(&scratch.join(format!("{name}.unpacked")), false)?;
        unpack_tarball(tarball, directory.path())?;
        let mut reader = Self::open(directory.path())?;
        // Messages name what the caller named, not the directory that goes away.
        tarball.clone_into(&mut reader.path);
        reader._unpacked = Some(directory);
        Ok(reader)
    }

    /// Opens a directory, or a tarball as [`Self::open_tarball`] does.
    ///
    /// # Errors
    ///
    /// As those two.
    pub fn open_any(path: &Path, scratch: &Path) -> Result<Self, StoreError> {
        if path.is_dir() {
            Self::open(path)
        } else {
            Self::open_tarball(path, scratch)
        }
    }

    /// Opens a copy of a directory, or of what a tarball holds, that goes away with the reader.
    ///
    /// For stores of any size and any origin: RocksDB opens the copy for writing, turns its log into
    /// tables of [`MEMTABLE_BYTES`] and reads those, so memory does not grow with the store. On the
    /// disk the copy and its tables take up to twice the size of the store.
    ///
    /// # Errors
    ///
    /// As [`Self::open_any`], and when `scratch` has no room.
    pub fn open_copy(path: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let directory = StagedDir::create(&scratch.join(format!("{name}.copy")), false)?;
        if path.is_dir() {
            copy_store(path, directory.path())?;
        } else {
            unpack_tarball(path, directory.path())?;
        }
        check_store(directory.path()).map_err(|error| error.about(path))?;
        let mut options = options();
        options.create_if_missing(false);
        options.set_write_buffer_size(MEMTABLE_BYTES);
        options.set_compression_type(DBCompressionType::None);
        options.set_bottommost_compression_type(DBCompressionType::None);
        // It is read once.
        options.set_disable_auto_compactions(true);
        let db = DB::open(&options, directory.path())
            .map_err(|source| StoreError::rocksdb(path, source))?;
        Ok(Self {
            db,
            path: path.to_owned(),
            _unpacked: Some(directory),
        })
    }

    /// The directory or tarball.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All entries, in key order.
    #[must_use]
    pub fn entries(&self) -> Cursor<'_> {
        self.entries_from(&[])
    }

    /// The entries from `key` on, in key order.
    #[must_use]
    pub fn entries_from(&self, key: &[u8]) -> Cursor<'_> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.set_verify_checksums(true);
        // A full scan would only push everything else out of the cache.
        options.fill_cache(false);
        let mut entries = self.db.raw_iterator_opt(options);
        entries.seek(key);
        Cursor {
            entries,
            path: &self.path,
            started: false,
        }
    }

    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// Fails when RocksDB cannot read it.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db
            .get(key)
            .map_err(|source| StoreError::rocksdb(&self.path, source))
    }
}

/// Whether a directory is a database, as far as its names and sizes say.
fn check_store(path: &Path) -> Result<(), StoreError> {
    if !fork_fs::sorted_names(path)?
        .iter()
        .any(|name| name == CURRENT_NAME)
    {
        return Err(StoreErrorKind::NotAStore {
            path: path.to_owned(),
            missing: CURRENT_NAME,
        }
        .into());
    }
    check_files(path)
}

/// What both ways of opening have in common.
fn options() -> Options {
    let mut options = Options::default();
    options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
    options.set_max_open_files(OPEN_FILES_MAX);
    options
}

/// Copies the files of a store; other files of the directory are none of it.
fn copy_store(source: &Path, target: &Path) -> Result<(), StoreError> {
    check_store(source)?;
    for name in fork_fs::sorted_names(source)? {
        let Some(name) = name.to_str().filter(|name| is_store_file(name)) else {
            continue;
        };
        let from = source.join(name);
        let mut input = fork_fs::open(&from)?;
        let mut output = AtomicFile::create(&target.join(name))?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let count = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(FsError::io(Operation::Read, &from, source).into()),
            };
            output
                .write_all(&buffer[..count])
                .map_err(|source| output.write_error(source))?;
        }
        output.commit()?;
    }
    Ok(())
}

/// A stream of entries.
pub struct Cursor<'a> {
    entries: DBRawIterator<'a>,
    path: &'a Path,
    started: bool,
}

impl std::fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Cursor<'_> {
    /// The next entry: key and value, until the next call. Not an iterator, because it lends.
    ///
    /// # Errors
    ///
    /// Fails when RocksDB cannot read on.
    pub fn advance(&mut self) -> Result<Option<RawEntry<'_>>, StoreError> {
        if self.started && self.entries.valid() {
            self.entries.next();
        }
        self.started = true;
        self.current()
    }

    /// The entry that [`Self::advance`] gave last.
    ///
    /// # Errors
    ///
    /// Fails when RocksDB could not read it.
    pub fn current(&self) -> Result<Option<RawEntry<'_>>, StoreError> {
        match self.entries.item() {
            Some(entry) => Ok(Some(entry)),
            // The end and an error look alike until asked.
            None => match self.entries.status() {
                Ok(()) => Ok(None),
                Err(source) => Err(StoreError::rocksdb(self.path, source)),
            },
        }
    }
}
