//! The other form a store could have: sorted tables, which RocksDB need not make of a log first.
//!
//! For measurements only, to compare the two forms. Nothing ships tables: their bytes hold times,
//! random identifiers and the host's name, so the same ledger would have another digest every time.

use std::path::Path;
use std::time::{Duration, Instant};

use rust_rocksdb::{
    BlockBasedOptions, ChecksumType, DB, DBCompressionType, IngestExternalFileOptions, Options,
    SstFileWriter,
};

use crate::error::StoreError;

/// Keys and values of a table before the next one is started: RocksDB's own size of level 1.
const TABLE_BYTES: u64 = 64 << 20;

/// The highest table format that RocksDB 6.20 and Debian's tools read.
const TABLE_FORMAT_VERSION: i32 = 5;

/// Writes a database of sorted tables from entries in ascending key order into the new directory
/// `path`: format version 5, CRC32c, no compression. Returns the number of entries.
///
/// # Errors
///
/// Fails on entries out of order, and when RocksDB or the disk refuses.
pub fn write_sst_store<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = (K, V)>,
    path: &Path,
) -> Result<u64, StoreError> {
    let failed = |source| StoreError::rocksdb(path, source);
    let options = options();
    let database = DB::open(&options, path).map_err(failed)?;
    let mut tables = Vec::new();
    let mut writer: Option<(SstFileWriter<'_>, u64)> = None;
    let mut count = 0;
    for (key, value) in entries {
        let (key, value) = (key.as_ref(), value.as_ref());
        if let Some((finished, _)) = writer.take_if(|(_, bytes)| *bytes >= TABLE_BYTES) {
            finish(finished).map_err(failed)?;
        }
        if writer.is_none() {
            let table = path.join(format!("ingested-{}.sst", tables.len()));
            let started = SstFileWriter::create(&options);
            started.open(&table).map_err(failed)?;
            tables.push(table);
            writer = Some((started, 0));
        }
        if let Some((writer, bytes)) = &mut writer {
            writer.put(key, value).map_err(failed)?;
            *bytes += (key.len() + value.len()) as u64;
        }
        count += 1;
    }
    if let Some((writer, _)) = writer {
        finish(writer).map_err(failed)?;
    }
    if !tables.is_empty() {
        let mut ingestion = IngestExternalFileOptions::default();
        ingestion.set_move_files(true);
        database
            .ingest_external_file_opts(&ingestion, tables)
            .map_err(failed)?;
    }
    Ok(count)
}

fn finish(mut writer: SstFileWriter<'_>) -> Result<(), rust_rocksdb::Error> {
    writer.finish()
}

fn options() -> Options {
    let mut tables = BlockBasedOptions::default();
    tables.set_format_version(TABLE_FORMAT_VERSION);
    tables.set_checksum_type(ChecksumType::CRC32c);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&tables);
    options.set_compression_type(DBCompressionType::None);
    options.set_bottommost_compression_type(DBCompressionType::None);
    options
}

/// What opening a store costs a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaemonOpen {
    /// Time until the database is open.
    pub open: Duration,
    /// Time of one walk over all entries.
    pub scan: Duration,
    /// Entries found.
    pub entries: u64,
}

/// Opens the store in `path` for writing, as the daemon does, and walks over it once.
///
/// This changes the directory: a log becomes tables. Give it a copy.
///
/// # Errors
///
/// Fails when RocksDB does.
pub fn open_like_daemon(path: &Path) -> Result<DaemonOpen, StoreError> {
    let failed = |source| StoreError::rocksdb(path, source);
    let start = Instant::now();
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::None);
    let database = DB::open(&options, path).map_err(failed)?;
    let open = start.elapsed();
    let start = Instant::now();
    let mut iterator = database.raw_iterator();
    let mut entries = 0;
    iterator.seek_to_first();
    while iterator.valid() {
        entries += 1;
        iterator.next();
    }
    iterator.status().map_err(failed)?;
    Ok(DaemonOpen {
        open,
        scan: start.elapsed(),
        entries,
    })
}
