//! Reading a log-only directory strictly, without RocksDB and without the writer's code.
//!
//! It takes exactly the bytes the writer makes of some entries. RocksDB takes more: batches of any
//! size, fragments cut anywhere, bytes behind the end. What differs from the one spelling here was
//! not written by us, or has changed since.
//!
//! Sources: facebook/rocksdb `db/log_format.h`, `db/log_reader.cc`, `db/write_batch.cc`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fork_fs::{FsError, Operation};

use crate::error::{StoreError, StoreErrorKind};
use crate::log::{
    BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, CURRENT_BYTES, CURRENT_NAME, FILE_NAMES, LOG_NAME,
    MANIFEST_BYTES, MANIFEST_NAME,
};
use crate::reader::RawEntry;

const BLOCK: u64 = 32_768;
const FRAGMENT_HEADER: u64 = 7;
const BATCH_HEADER: usize = 12;
/// The kind and two lengths.
const ENTRY_BYTES_MIN: u64 = 3;

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogDefect {
    /// The file ends too early.
    #[error("the log ends inside a record")]
    Truncated,
    /// A fragment reaches over the end of its block.
    #[error("a fragment of {length} bytes reaches over the end of its block")]
    Length {
        /// Its length.
        length: u16,
    },
    /// A fragment that has no place here.
    #[error("a fragment of kind {kind} where {expected} must be")]
    Kind {
        /// Its kind.
        kind: u8,
        /// What must be there.
        expected: &'static str,
    },
    /// A fragment that ends before its block does, though its record goes on.
    #[error("a record is cut without need")]
    Cut,
    /// The rest of a block is not zeros, or ends the log.
    #[error("the end of a block is not the zeros before another record")]
    Padding,
    /// The checksum of a fragment.
    #[error("the checksum of a fragment is {stored:08x}, its bytes give {computed:08x}")]
    Checksum {
        /// As stored.
        stored: u32,
        /// As computed.
        computed: u32,
    },
    /// Batches do not follow each other.
    #[error("a batch starts at sequence number {found}, expected {expected}")]
    Sequence {
        /// The sequence number after the batch before.
        expected: u64,
        /// The sequence number found.
        found: u64,
    },
    /// A batch that is too short, or holds other entries than it says.
    #[error("entry {entry} of a batch of {count} is malformed, or the batch does not end with it")]
    Entry {
        /// Position of the entry in its batch, from 0.
        entry: u32,
        /// Entries the batch says it has.
        count: u32,
    },
    /// A batch that ends where the writer would not end it.
    #[error("a batch of {count} entries and {bytes} bytes ends where it should not")]
    BatchEnd {
        /// Its entries.
        count: u32,
        /// Its bytes.
        bytes: usize,
    },
    /// Entries are not in the order the writer puts them in.
    #[error("the entries are in another order than accounts, hash nodes, texts")]
    Order,
    /// A file that does not hold what it always holds, or that should not be there.
    #[error("file `{name}` is missing, not part of a log-only store, or not what it always is")]
    File {
        /// Its name.
        name: String,
    },
}

/// A log whose structure was looked through.
#[derive(Debug)]
pub(crate) struct LogReader {
    file: File,
    path: PathBuf,
    size: u64,
    records: Vec<Record>,
    entries: u64,
}

/// One record, which is one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    offset: u64,
    end: u64,
    /// Position of its first entry among all entries.
    pub(crate) first: u64,
    /// Entries it says it has.
    pub(crate) count: u32,
}

impl Record {
    /// Refuses a batch that cannot be as large as it says, or that cannot be full although another one
    /// follows.
    fn check_size(&self, is_last: bool) -> Result<(), LogDefect> {
        let (count, bytes) = (self.count, (self.end - self.offset) as usize);
        let least = BATCH_HEADER as u64 + ENTRY_BYTES_MIN * u64::from(count);
        if (bytes as u64) < least {
            return Err(LogDefect::Entry { entry: 0, count });
        }
        if !is_last && count < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX {
            return Err(LogDefect::BatchEnd { count, bytes });
        }
        Ok(())
    }
}

impl LogReader {
    /// Checks the two small files and looks through the fragments' headers, which takes one small
    /// read in 32 kB. Checksums are checked by [`Self::read_batch`].
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let names = fork_fs::sorted_names(directory)?;
        let foreign = |name: &&std::ffi::OsString| !FILE_NAMES.iter().any(|known| *name == known);
        if let Some(name) = names.iter().find(foreign) {
            return Err(file_defect(directory, &name.to_string_lossy()));
        }
        let small_files: [(&str, &[u8]); 2] = [
            (CURRENT_NAME, CURRENT_BYTES),
            (MANIFEST_NAME, &MANIFEST_BYTES),
        ];
        for (name, expected) in small_files {
            let path = directory.join(name);
            let known = fork_fs::exists(&path)
                && fork_fs::file_bytes(&path)? == expected.len() as u64
                && fork_fs::read_limited(&path, expected.len() as u64)? == expected;
            if !known {
                return Err(file_defect(directory, name));
            }
        }
        let path = directory.join(LOG_NAME);
        if !fork_fs::exists(&path) {
            return Err(file_defect(directory, LOG_NAME));
        }
        let mut reader = Self {
            file: fork_fs::open(&path)?,
            size: fork_fs::file_bytes(&path)?,
            path,
            records: Vec::new(),
            entries: 0,
        };
        reader.find_records()?;
        Ok(reader)
    }

    /// All entries, by what the batches say.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The records that hold the entries from `start` up to `end`.
    pub(crate) fn records(&self, start: u64, end: u64) -> &[Record] {
        let after_start =
            |record: &Record| record.first.saturating_add(u64::from(record.count)) <= start;
        let from = self.records.partition_point(after_start);
        let to = self.records.partition_point(|record| record.first < end);
        self.records.get(from..to).unwrap_or_default()
    }

    /// Reads a batch, checking everything in it; `raw` is a buffer.
    pub(crate) fn read_batch(
        &self,
        record: &Record,
        raw: &mut Vec<u8>,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        raw.resize((record.end - record.offset) as usize, 0);
        self.read(record.offset, raw)?;
        batch.bytes.clear();
        let mut walk = Walk::at(record.offset);
        while !walk.done {
            let from = (walk.offset - record.offset) as usize;
            let fragment = walk
                .step(raw.get(from..).unwrap_or_default(), self.size)
                .map_err(|defect| self.defect(walk.offset, defect))?;
            let from = (fragment.data - record.offset) as usize;
            let data = raw
                .get(from..from + usize::from(fragment.length))
                .ok_or_else(|| self.defect(fragment.data, LogDefect::Truncated))?;
            let computed = masked(crc32c::crc32c_append(
                crc32c::crc32c(&[fragment.kind]),
                data,
            ));
            if computed != fragment.checksum {
                let stored = fragment.checksum;
                let at = fragment.data - FRAGMENT_HEADER;
                return Err(self.defect(at, LogDefect::Checksum { stored, computed }));
            }
            batch.bytes.extend_from_slice(data);
        }
        let is_last = record.end == self.size;
        batch
            .parse(record, is_last)
            .map_err(|defect| self.defect(record.offset, defect))
    }

    /// Looks through the log from header to header.
    fn find_records(&mut self) -> Result<(), StoreError> {
        let mut offset = 0;
        while offset < self.size {
            let mut walk = Walk::at(offset);
            let mut start = Vec::with_capacity(BATCH_HEADER);
            while !walk.done {
                let mut header = [0; PEEKED];
                let room = usize::try_from(self.size - walk.offset).unwrap_or(PEEKED);
                let header = &mut header[..room.min(PEEKED)];
                self.read(walk.offset, header)?;
                let fragment = walk
                    .step(header, self.size)
                    .map_err(|defect| self.defect(walk.offset, defect))?;
                let mut data = [0; BATCH_HEADER];
                let missing = BATCH_HEADER - start.len();
                let data = &mut data[..missing.min(usize::from(fragment.length))];
                self.read(fragment.data, data)?;
                start.extend_from_slice(data);
            }
            let first = self.entries;
            let (sequence, count) = batch_header(&start)
                .ok_or_else(|| self.defect(offset, LogDefect::Entry { entry: 0, count: 0 }))?;
            if sequence != first + 1 {
                let expected = first + 1;
                let found = sequence;
                return Err(self.defect(offset, LogDefect::Sequence { expected, found }));
            }
            let record = Record {
                offset,
                end: walk.offset,
                first,
                count,
            };
            // Exact when the batch is read. Here it bounds the number of records by the log's size,
            // whatever the headers say.
            record
                .check_size(walk.offset == self.size)
                .map_err(|defect| self.defect(offset, defect))?;
            self.records.push(record);
            self.entries += u64::from(count);
            offset = walk.offset;
        }
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        match self.file.read_exact_at(buffer, offset) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.defect(offset, LogDefect::Truncated))
            }
            Err(source) => Err(FsError::io(Operation::Read, &self.path, source).into()),
        }
    }

    fn defect(&self, offset: u64, defect: LogDefect) -> StoreError {
        StoreErrorKind::Log {
            path: self.path.clone(),
            offset,
            defect,
        }
        .into()
    }
}

fn file_defect(directory: &Path, name: &str) -> StoreError {
    StoreErrorKind::Log {
        path: directory.to_owned(),
        offset: 0,
        defect: LogDefect::File {
            name: name.to_owned(),
        },
    }
    .into()
}

/// Checksums are stored masked, as a checksum over data that holds its own is weak.
const fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn batch_header(bytes: &[u8]) -> Option<(u64, u32)> {
    let (sequence, rest) = bytes.split_first_chunk()?;
    let count = rest.first_chunk()?;
    Some((u64::from_le_bytes(*sequence), u32::from_le_bytes(*count)))
}

/// Padding before a header, at most, and the header.
const PEEKED: usize = 2 * FRAGMENT_HEADER as usize - 1;

/// Walks over the fragments of one record.
struct Walk {
    offset: u64,
    begun: bool,
    done: bool,
}

struct Fragment {
    /// Where its data are in the log.
    data: u64,
    length: u16,
    kind: u8,
    checksum: u32,
}

impl Walk {
    fn at(offset: u64) -> Self {
        Self {
            offset,
            begun: false,
            done: false,
        }
    }

    /// Goes over the next fragment, of which `bytes` hold the padding before it and the header at
    /// least, in a log of `size` bytes.
    fn step(&mut self, bytes: &[u8], size: u64) -> Result<Fragment, LogDefect> {
        let mut left = BLOCK - self.offset % BLOCK;
        let mut start = self.offset;
        let mut bytes = bytes;
        if left < FRAGMENT_HEADER {
            let (padding, rest) = bytes
                .split_at_checked(left as usize)
                .ok_or(LogDefect::Padding)?;
            if rest.is_empty() || padding.iter().any(|byte| *byte != 0) {
                return Err(LogDefect::Padding);
            }
            bytes = rest;
            start += left;
            left = BLOCK;
        }
        let [a, b, c, d, low, high, kind] =
            *bytes.first_chunk::<7>().ok_or(LogDefect::Truncated)?;
        let length = u16::from_le_bytes([low, high]);
        let end_in_block = FRAGMENT_HEADER + u64::from(length);
        if end_in_block > left {
            return Err(LogDefect::Length { length });
        }
        if start + end_in_block > size {
            return Err(LogDefect::Truncated);
        }
        self.done = match (kind, self.begun) {
            (1, false) => true,
            (4, true) if length > 0 => true,
            (2, false) | (3, true) => false,
            (kind, begun) => {
                let expected = if begun {
                    "the rest of a record"
                } else {
                    "the start of a record"
                };
                return Err(LogDefect::Kind { kind, expected });
            }
        };
        if !self.done && end_in_block != left {
            return Err(LogDefect::Cut);
        }
        self.begun = true;
        self.offset = start + end_in_block;
        Ok(Fragment {
            data: start + FRAGMENT_HEADER,
            length,
            kind,
            checksum: u32::from_le_bytes([a, b, c, d]),
        })
    }
}

/// A batch that was read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Place>,
}

/// Where an entry and its parts are in their batch.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    key: usize,
    key_end: usize,
    value: usize,
    end: usize,
}

impl Batch {
    /// Key, value, and the encoded entry, by position.
    pub(crate) fn get(&self, entry: usize) -> Option<(RawEntry<'_>, &[u8])> {
        let place = self.entries.get(entry)?;
        let key = self.bytes.get(place.key..place.key_end)?;
        let value = self.bytes.get(place.value..place.end)?;
        Some(((key, value), self.bytes.get(place.start..place.end)?))
    }

    fn parse(&mut self, record: &Record, is_last: bool) -> Result<(), LogDefect> {
        let header = batch_header(&self.bytes);
        if header != Some((record.first + 1, record.count)) {
            // The headers were read before, unchecked; now they are right.
            let found = header.map_or(0, |(sequence, _)| sequence);
            let expected = record.first + 1;
            return Err(LogDefect::Sequence { expected, found });
        }
        self.entries.clear();
        let count = record.count;
        let mut at = BATCH_HEADER;
        for entry in 0..count.max(1) {
            let is_extra = entry >= BATCH_ENTRIES_MAX || at >= BATCH_BYTES_MAX;
            let place = entry_at(&self.bytes, at).filter(|_| count > 0);
            let place = place.ok_or(LogDefect::Entry { entry, count })?;
            if is_extra {
                let bytes = self.bytes.len();
                return Err(LogDefect::BatchEnd { count, bytes });
            }
            at = place.end;
            self.entries.push(place);
        }
        if at != self.bytes.len() {
            return Err(LogDefect::Entry {
                entry: count,
                count,
            });
        }
        if !is_last && count < BATCH_ENTRIES_MAX && at < BATCH_BYTES_MAX {
            return Err(LogDefect::BatchEnd { count, bytes: at });
        }
        Ok(())
    }
}

fn entry_at(bytes: &[u8], start: usize) -> Option<Place> {
    // 1 is "put" in the default column family; nothing else is ever written.
    if *bytes.get(start)? != 1 {
        return None;
    }
    let (key, key_length) = length_at(bytes, start + 1)?;
    let key_end = key.checked_add(key_length)?;
    let (value, value_length) = length_at(bytes, key_end)?;
    let end = value.checked_add(value_length)?;
    (end <= bytes.len()).then_some(Place {
        start,
        key,
        key_end,
        value,
        end,
    })
}

/// A length in its shortest form, and where it ends.
fn length_at(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut length = 0;
    for (place, byte) in bytes.get(start..)?.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            let is_shortest = place == 0 || *byte != 0;
            return is_shortest.then_some((start + place + 1, length));
        }
    }
    None
}
