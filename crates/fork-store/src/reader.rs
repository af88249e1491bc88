//! Reading a store with RocksDB, the library the daemon reads it with.

use std::path::{Path, PathBuf};

use fork_fs::StagedDir;
use rust_rocksdb::{DB, DBRawIterator, DBRecoveryMode, Options, ReadOptions};

use crate::error::{StoreError, StoreErrorKind};
use crate::files::check_files;
use crate::log::CURRENT_NAME;
use crate::unpack::unpack_tarball;

/// Files RocksDB may keep open; below the usual limit of 1024 per process.
const OPEN_FILES_MAX: i32 = 512;

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
        check_files(path)?;
        let mut options = Options::default();
        options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
        options.set_max_open_files(OPEN_FILES_MAX);
        let db = DB::open_for_read_only(&options, path, false)
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
