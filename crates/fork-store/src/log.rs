//! A RocksDB directory without RocksDB: a write-ahead log, and the two small files that make it a
//! database.
//!
//! Every RocksDB from 5.17 on opens such a directory, upstream's own small ledgers have this shape,
//! and its bytes depend on nothing but the entries. A directory written by RocksDB holds times,
//! random identifiers, the host's name and the build path.
//!
//! Sources: facebook/rocksdb `db/log_format.h`, `db/log_writer.cc`, `db/write_batch.cc`;
//! the manifest's bytes are those of a database that upstream published.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fork_fs::{AtomicFile, FsError, Operation, write_atomic};

use crate::error::{StoreError, StoreErrorKind};
use crate::payload::Payload;

/// Names of the three files, sorted.
pub const FILE_NAMES: [&str; 3] = [LOG_NAME, CURRENT_NAME, MANIFEST_NAME];

/// The data.
pub const LOG_NAME: &str = "000003.log";

/// The file that names the manifest.
pub const CURRENT_NAME: &str = "CURRENT";

/// The manifest of an empty database; RocksDB finds the log by listing the directory.
pub const MANIFEST_NAME: &str = "MANIFEST-000001";

/// Content of [`CURRENT_NAME`].
pub const CURRENT_BYTES: &[u8] = b"MANIFEST-000001\n";

/// Content of [`MANIFEST_NAME`]: one log record that sets log number 0, next file 2, last
/// sequence 0.
pub const MANIFEST_BYTES: [u8; 13] = [
    0xc4, 0xc1, 0x9f, 0x5b, 0x06, 0x00, 0x01, 0x02, 0x00, 0x03, 0x02, 0x04, 0x00,
];

/// Entries of a batch. RocksDB holds a batch whole in memory when it replays the log, and 4,096
/// plain entries are half a megabyte; a test with 1.66 million entries replayed in 7 s and 80 MB.
pub const BATCH_ENTRIES_MAX: u32 = 4096;

/// Bytes after which a batch ends early: ledgers full of zkApps have entries of 3 kB.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Longest key or value. Accounts stay below 4 kB, but the `$tids!` record of one public key takes
/// 32 bytes per token; this is room for 8 million.
pub const ITEM_BYTES_MAX: usize = 256 << 20;

/// Longest encoded entry: a key, a value, the kind and two lengths.
const ENTRY_BYTES_MAX: usize = ITEM_BYTES_MAX + 256;

const BLOCK_BYTES: usize = 32_768;
const HEADER_BYTES: usize = 7;

/// Sequence number and count.
const BATCH_HEADER_BYTES: usize = 12;

/// "Put" into the default column family.
const PUT: u8 = 1;

/// Which part of a record a fragment is.
#[derive(Clone, Copy)]
enum Fragment {
    Full = 1,
    First = 2,
    Middle = 3,
    Last = 4,
}

/// Writes entries as write batches into a log, in bounded memory.
///
/// Where batches end depends only on the entries, so equal entries give equal bytes.
#[derive(Debug)]
pub struct LogWriter<W> {
    sink: W,
    block_offset: usize,
    batch: Vec<u8>,
    batch_entries: u32,
    /// A record with its headers, so that the sink gets it at once.
    framed: Vec<u8>,
    entries: u64,
    bytes: u64,
}

impl<W: Write> LogWriter<W> {
    /// Starts a log.
    pub fn new(sink: W) -> Self {
        let mut writer = Self {
            sink,
            block_offset: 0,
            batch: Vec::with_capacity(BATCH_BYTES_MAX / 4),
            batch_entries: 0,
            framed: Vec::new(),
            entries: 0,
            bytes: 0,
        };
        writer.start_batch();
        writer
    }

    /// Adds an entry. A later entry of the same key would replace it.
    ///
    /// # Errors
    ///
    /// Fails when the sink does, and on a key or value above [`ITEM_BYTES_MAX`].
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if key.len().max(value.len()) > ITEM_BYTES_MAX {
            return Err(too_long());
        }
        push_entry(key, value, &mut self.batch);
        self.count_entry()
    }

    /// Adds entries that are encoded already; the same bytes as adding them one by one.
    pub(crate) fn append(&mut self, payload: &Payload) -> io::Result<()> {
        let bytes = payload.bytes();
        let mut start = 0;
        for end in payload.ends() {
            let entry = &bytes[start..end];
            if entry.len() > ENTRY_BYTES_MAX {
                return Err(too_long());
            }
            self.batch.extend_from_slice(entry);
            self.count_entry()?;
            start = end;
        }
        Ok(())
    }

    fn count_entry(&mut self) -> io::Result<()> {
        self.batch_entries += 1;
        self.entries += 1;
        if self.batch_entries == BATCH_ENTRIES_MAX || self.batch.len() >= BATCH_BYTES_MAX {
            self.end_batch()?;
        }
        Ok(())
    }

    /// Entries so far.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Writes the last batch; returns the sink and the log's size in bytes.
    ///
    /// # Errors
    ///
    /// Fails when the sink does.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.end_batch()?;
        Ok((self.sink, self.bytes))
    }

    fn start_batch(&mut self) {
        // The first sequence number is 1, and every entry takes one.
        let sequence = self.entries + 1;
        self.batch.clear();
        self.batch.extend_from_slice(&sequence.to_le_bytes());
        self.batch.extend_from_slice(&[0; 4]);
        self.batch_entries = 0;
    }

    fn end_batch(&mut self) -> io::Result<()> {
        if self.batch_entries == 0 {
            return Ok(());
        }
        self.batch[8..BATCH_HEADER_BYTES].copy_from_slice(&self.batch_entries.to_le_bytes());
        let batch = std::mem::take(&mut self.batch);
        self.record(&batch)?;
        self.batch = batch;
        self.start_batch();
        Ok(())
    }

    /// Writes one record, cut at the borders of the blocks.
    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        self.framed.clear();
        let mut rest = data;
        let mut begins = true;
        loop {
            let left = BLOCK_BYTES - self.block_offset;
            if left < HEADER_BYTES {
                self.framed.extend_from_slice(&[0; HEADER_BYTES][..left]);
                self.block_offset = 0;
                continue;
            }
            // With exactly a header's room left this is an empty first fragment, not padding.
            let room = left - HEADER_BYTES;
            let (fragment, after) = rest.split_at(room.min(rest.len()));
            let kind = match (begins, after.is_empty()) {
                (true, true) => Fragment::Full,
                (true, false) => Fragment::First,
                (false, false) => Fragment::Middle,
                (false, true) => Fragment::Last,
            };
            self.fragment(kind, fragment)?;
            if after.is_empty() {
                break;
            }
            rest = after;
            begins = false;
        }
        self.bytes += self.framed.len() as u64;
        self.sink.write_all(&self.framed)
    }

    fn fragment(&mut self, kind: Fragment, data: &[u8]) -> io::Result<()> {
        let kind = kind as u8;
        let checksum = masked(crc32c::crc32c_append(crc32c::crc32c(&[kind]), data));
        let length = u16::try_from(data.len()).map_err(io::Error::other)?;
        self.framed.extend_from_slice(&checksum.to_le_bytes());
        self.framed.extend_from_slice(&length.to_le_bytes());
        self.framed.push(kind);
        self.framed.extend_from_slice(data);
        self.block_offset += HEADER_BYTES + data.len();
        Ok(())
    }
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "key or value too long for a ledger store",
    )
}

/// RocksDB masks stored checksums, because a checksum over data that holds its own checksum is
/// weak.
const fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Appends an entry as it stands in a batch; returns where its key starts.
pub(crate) fn push_entry(key: &[u8], value: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(PUT);
    push_item(key, out);
    let key_start = out.len() - key.len();
    push_item(value, out);
    key_start
}

/// Appends a length as LEB128 and the bytes.
fn push_item(item: &[u8], out: &mut Vec<u8>) {
    let mut length = item.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(item);
}

/// A log-only database directory being written.
///
/// `CURRENT` comes last: without it nothing takes the directory for a database.
#[derive(Debug)]
pub struct LogDirectory {
    log: LogWriter<LogSink>,
    path: PathBuf,
}

/// The file a log goes to.
#[derive(Debug)]
enum LogSink {
    Durable(AtomicFile),
    Scratch(File),
}

impl Write for LogSink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Durable(file) => file.write(buffer),
            Self::Scratch(file) => file.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogDirectory {
    /// Starts a database in `path`, which is created and must be empty.
    ///
    /// For a directory that appears whole or not at all, let `path` be inside a
    /// [`fork_fs::StagedDir`].
    ///
    /// # Errors
    ///
    /// Fails when the directory holds something or the file system refuses.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        check_empty(path)?;
        let file = AtomicFile::create(&path.join(LOG_NAME))?;
        Ok(Self {
            log: LogWriter::new(LogSink::Durable(file)),
            path: path.to_owned(),
        })
    }

    /// Starts a database that is not flushed to the disk, for one that is packed and deleted: the
    /// system may then never write most of it. After a power cut its files may be empty or torn, so
    /// it must not be shipped as it is, and `path` should be inside a [`fork_fs::StagedDir`].
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_scratch(path: &Path) -> Result<Self, StoreError> {
        check_empty(path)?;
        let file = scratch_file(&path.join(LOG_NAME))?;
        Ok(Self {
            log: LogWriter::new(LogSink::Scratch(file)),
            path: path.to_owned(),
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// Fails when the disk does.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let written = self.log.put(key, value);
        written.map_err(|source| self.write_error(source))
    }

    /// Adds entries that are encoded already.
    pub(crate) fn append(&mut self, payload: &Payload) -> Result<(), StoreError> {
        let written = self.log.append(payload);
        written.map_err(|source| self.write_error(source))
    }

    fn write_error(&self, source: io::Error) -> StoreError {
        FsError::io(Operation::Write, &self.path.join(LOG_NAME), source).into()
    }

    /// Entries so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.log.entries
    }

    /// Writes what is left and, unless this is scratch, flushes everything to the disk; returns the
    /// log's size in bytes.
    ///
    /// # Errors
    ///
    /// Fails when the disk does.
    pub fn finish(self) -> Result<u64, StoreError> {
        let path = self.path;
        let (sink, bytes) = self
            .log
            .finish()
            .map_err(|source| FsError::io(Operation::Write, &path.join(LOG_NAME), source))?;
        let write_small = match sink {
            LogSink::Durable(file) => {
                file.commit()?;
                write_atomic
            }
            LogSink::Scratch(_) => write_scratch,
        };
        write_small(&path.join(MANIFEST_NAME), &MANIFEST_BYTES)?;
        write_small(&path.join(CURRENT_NAME), CURRENT_BYTES)?;
        Ok(bytes)
    }
}

fn check_empty(path: &Path) -> Result<(), StoreError> {
    fork_fs::create_dir_all(path)?;
    if fork_fs::sorted_names(path)?.is_empty() {
        return Ok(());
    }
    Err(StoreErrorKind::DirectoryNotEmpty {
        path: path.to_owned(),
    }
    .into())
}

#[allow(clippy::disallowed_methods)] // What fork-fs offers is flushed, which is to be avoided here.
fn scratch_file(path: &Path) -> Result<File, FsError> {
    File::create_new(path).map_err(|source| FsError::io(Operation::Create, path, source))
}

fn write_scratch(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    scratch_file(path)?
        .write_all(bytes)
        .map_err(|source| FsError::io(Operation::Write, path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut writer = LogWriter::new(Vec::new());
        for (key, value) in entries {
            writer.put(key, value).unwrap();
        }
        let (log, bytes) = writer.finish().unwrap();
        assert_eq!(log.len() as u64, bytes);
        log
    }

    #[test]
    fn the_manifest_is_a_log_of_one_record() {
        let mut writer = LogWriter::new(Vec::new());
        writer.record(&[2, 0, 3, 2, 4, 0]).unwrap();
        assert_eq!(writer.sink, MANIFEST_BYTES);
    }

    /// The kinds and lengths of the fragments of a log.
    fn fragments(log: &[u8]) -> Vec<(u8, usize)> {
        let mut found = Vec::new();
        for block in log.chunks(BLOCK_BYTES) {
            let mut rest = block;
            while rest.len() >= HEADER_BYTES {
                let length = usize::from(u16::from_le_bytes([rest[4], rest[5]]));
                let data = &rest[HEADER_BYTES..HEADER_BYTES + length];
                let sum = crc32c::crc32c_append(crc32c::crc32c(&rest[6..7]), data);
                assert_eq!(masked(sum).to_le_bytes(), rest[..4]);
                found.push((rest[6], length));
                rest = &rest[HEADER_BYTES + length..];
            }
            assert!(rest.iter().all(|byte| *byte == 0));
        }
        found
    }

    #[test]
    fn block_ends() {
        for (left, expected) in [
            (0, vec![(1, 32_761), (1, 10)]),
            (6, vec![(1, 32_755), (1, 10)]),
            (7, vec![(1, 32_754), (2, 0), (4, 10)]),
            (8, vec![(1, 32_753), (2, 1), (4, 9)]),
        ] {
            let mut writer = LogWriter::new(Vec::new());
            writer
                .record(&vec![1; BLOCK_BYTES - HEADER_BYTES - left])
                .unwrap();
            writer.record(&[2; 10]).unwrap();
            assert_eq!(fragments(&writer.sink), expected, "{left} bytes left");
        }
        let mut writer = LogWriter::new(Vec::new());
        writer.record(&vec![1; 3 * BLOCK_BYTES]).unwrap();
        assert_eq!(
            fragments(&writer.sink),
            [(2, 32_761), (3, 32_761), (3, 32_761), (4, 21)]
        );
    }

    #[test]
    fn batches_are_bounded_and_numbered() {
        let entries: Vec<_> = (0..BATCH_ENTRIES_MAX + 1)
            .map(|index| (index.to_be_bytes().to_vec(), vec![7]))
            .collect();
        let log = log_of(&entries);
        // 12 bytes of header and 8 per entry: one record and a bit more than a block.
        let first = &log[HEADER_BYTES..HEADER_BYTES + BATCH_HEADER_BYTES];
        assert_eq!(first, [1, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]);
        let last = &log[log.len() - 8 - BATCH_HEADER_BYTES..log.len() - 8];
        assert_eq!(last, [1, 16, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        let large = vec![0; BATCH_BYTES_MAX / 4];
        let log = log_of(&vec![(vec![1], large); 5]);
        let starts = fragments(&log)
            .iter()
            .filter(|(kind, _)| *kind <= 2)
            .count();
        assert_eq!(starts, 2, "four entries fill a batch");
        let mut writer = LogWriter::new(Vec::new());
        assert!(writer.put(&[1], &vec![0; ITEM_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn an_empty_log_is_empty() {
        assert!(log_of(&[]).is_empty());
    }
}
