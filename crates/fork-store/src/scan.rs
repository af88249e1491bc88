//! Scanner text: one line per entry, `<key hex> : <value hex>`, in key order.
//!
//! It is what upstream's `mina-rocksdb-scanner` prints and what its package verifier compares, so
//! two stores hold the same ledger exactly when their texts are equal. `ldb --hex scan` prints the
//! same in upper case with `0x`.
//!
//! Source: MinaProtocol/mina `src/app/rocksdb-scanner/rocksdb_scanner.ml`.

use std::io::{BufRead, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{StoreError, StoreErrorKind};
use crate::log::{ITEM_BYTES_MAX, LogDirectory};
use crate::reader::StoreReader;

const SEPARATOR: &[u8] = b" : ";

/// Longest line: a key and a value at their limits.
const LINE_BYTES_MAX: usize = 4 * ITEM_BYTES_MAX + SEPARATOR.len() + 1;

/// Why a line is not scanner text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanLineError {
    /// No ` : `.
    #[error("no ` : ` between key and value")]
    Separator,
    /// Something else than pairs of lower-case digits.
    #[error("something else than lower-case hexadecimal digits in pairs")]
    Digits,
    /// The line does not end.
    #[error("no newline at the end, or a line longer than {LINE_BYTES_MAX} bytes")]
    Unfinished,
    /// The key is not above the one before.
    #[error("the key does not come after the key before it")]
    Order,
}

/// What a text holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanSummary {
    /// Lines.
    pub entries: u64,
    /// SHA-256 over the text, lower-case hexadecimal. Equal for any two stores of one ledger,
    /// whoever wrote them.
    pub content_sha256: String,
}

/// Takes the digest of a store's content while its entries pass by in key order.
#[derive(Debug, Default)]
pub struct ContentDigest {
    hasher: Sha256,
    line: Vec<u8>,
    entries: u64,
}

impl ContentDigest {
    /// Starts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next entry; returns its line with the newline.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> &[u8] {
        self.line.clear();
        push_line(key, value, &mut self.line);
        self.hasher.update(&self.line);
        self.entries += 1;
        &self.line
    }

    /// Number of entries and digest.
    #[must_use]
    pub fn finish(self) -> ScanSummary {
        ScanSummary {
            entries: self.entries,
            content_sha256: hex::encode(self.hasher.finalize()),
        }
    }
}

/// Writes the text of a store. `sink` gets one call per entry, so it should buffer.
///
/// # Errors
///
/// Fails when RocksDB cannot read or the sink cannot write.
pub fn write_scan(store: &StoreReader, mut sink: impl Write) -> Result<ScanSummary, StoreError> {
    let mut digest = ContentDigest::new();
    let mut entries = store.entries();
    while let Some((key, value)) = entries.advance()? {
        sink.write_all(digest.add(key, value))
            .map_err(|source| io_error("write", source))?;
    }
    sink.flush().map_err(|source| io_error("write", source))?;
    Ok(digest.finish())
}

/// Takes the digest of a store's content: SHA-256 over its scanner text.
///
/// # Errors
///
/// Fails when RocksDB cannot read.
pub fn content_digest(store: &StoreReader) -> Result<ScanSummary, StoreError> {
    write_scan(store, std::io::sink())
}

/// Key and value of a line.
pub type OwnedEntry = (Vec<u8>, Vec<u8>);

/// Reads scanner text, in constant memory.
#[derive(Debug)]
pub struct ScanParser<R> {
    source: R,
    line: Vec<u8>,
    number: u64,
    key: Vec<u8>,
}

impl<R: BufRead> ScanParser<R> {
    /// Starts.
    pub fn new(source: R) -> Self {
        Self {
            source,
            line: Vec::new(),
            number: 0,
            key: Vec::new(),
        }
    }

    /// The next entry, `None` at the end.
    ///
    /// # Errors
    ///
    /// Fails when the source does, on a malformed line, and on a key that is not above the one
    /// before it.
    pub fn next_entry(&mut self) -> Result<Option<OwnedEntry>, StoreError> {
        self.line.clear();
        self.number += 1;
        let read = (&mut self.source)
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut self.line)
            .map_err(|source| io_error("read", source))?;
        if read == 0 {
            return Ok(None);
        }
        let (key, value) = parse_line(&self.line).map_err(|source| self.error(source))?;
        if self.number > 1 && key <= self.key {
            return Err(self.error(ScanLineError::Order));
        }
        self.key.clone_from(&key);
        Ok(Some((key, value)))
    }

    fn error(&self, source: ScanLineError) -> StoreError {
        StoreErrorKind::ScanLine {
            line: self.number,
            source,
        }
        .into()
    }
}

/// Writes a log-only database from scanner text, as upstream's `restore` does; returns the number
/// of entries. What the entries say is not checked.
///
/// # Errors
///
/// Fails as [`ScanParser::next_entry`], and when the directory is not empty or the disk refuses.
pub fn restore_scan(source: impl BufRead, directory: &Path) -> Result<u64, StoreError> {
    let mut parser = ScanParser::new(source);
    let mut log = LogDirectory::create(directory)?;
    while let Some((key, value)) = parser.next_entry()? {
        log.put(&key, &value)?;
    }
    let entries = log.entries();
    log.finish()?;
    Ok(entries)
}

/// Appends a line with its newline.
pub(crate) fn push_line(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    push_hex(key, out);
    out.extend_from_slice(SEPARATOR);
    push_hex(value, out);
    out.push(b'\n');
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    let (pairs, _) = out[start..].as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = HEX_PAIRS[usize::from(*byte)];
    }
}

/// The two digits of every byte: the digest of a store's content is taken over twice its bytes.
static HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Parses a line that ends with its newline.
fn parse_line(line: &[u8]) -> Result<OwnedEntry, ScanLineError> {
    let line = line.strip_suffix(b"\n").ok_or(ScanLineError::Unfinished)?;
    let key_length = line
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or(ScanLineError::Separator)?;
    let (key, rest) = line.split_at(key_length);
    let value = rest
        .strip_prefix(SEPARATOR)
        .ok_or(ScanLineError::Separator)?;
    Ok((parse_hex(key)?, parse_hex(value)?))
}

fn parse_hex(digits: &[u8]) -> Result<Vec<u8>, ScanLineError> {
    if digits.iter().any(u8::is_ascii_uppercase) {
        return Err(ScanLineError::Digits);
    }
    hex::decode(digits).map_err(|_| ScanLineError::Digits)
}

fn io_error(operation: &'static str, source: std::io::Error) -> StoreError {
    StoreErrorKind::ScanIo { operation, source }.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Vec<OwnedEntry>, StoreError> {
        let mut parser = ScanParser::new(text.as_bytes());
        let mut entries = Vec::new();
        while let Some(entry) = parser.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }

    #[test]
    fn malformed_lines_are_named() {
        let cases = [
            ("00 : 01\n00 : 02\n", 2, ScanLineError::Order),
            ("01 : 01\n00 : 02\n", 2, ScanLineError::Order),
            ("00 : 01", 1, ScanLineError::Unfinished),
            ("00 : 01\n\n", 2, ScanLineError::Separator),
            ("00: 01\n", 1, ScanLineError::Separator),
            ("00 :  01\n", 1, ScanLineError::Digits),
            ("00 : 0\n", 1, ScanLineError::Digits),
            ("00 : 0A\n", 1, ScanLineError::Digits),
            ("0x00 : 0x0a\n", 1, ScanLineError::Digits),
        ];
        for (text, number, expected) in cases {
            let error = parse(text).unwrap_err();
            match error.kind() {
                StoreErrorKind::ScanLine { line, source } => {
                    assert_eq!((*line, *source), (number, expected), "{text}");
                }
                other => panic!("{text}: {other}"),
            }
        }
        assert!(parse("").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn texts_round_trip(
            entries in prop::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..20),
        ) {
            let entries: Vec<OwnedEntry> = entries.into_iter().collect();
            let mut text = Vec::new();
            for (key, value) in &entries {
                push_line(key, value, &mut text);
            }
            prop_assert_eq!(parse(std::str::from_utf8(&text).unwrap()).unwrap(), entries);
        }
    }
}
