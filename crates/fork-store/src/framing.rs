//! The fragments of RocksDB's logs and manifests, looked at before RocksDB reads them.
//!
//! Both files are blocks of 32 kB with fragments that begin with a header of seven bytes: checksum,
//! length, type. RocksDB knows more types than the four that are written without special options,
//! and a manifest with one of those in an odd place keeps RocksDB 10.5.1 busy for ever
//! (`fuzz/regressions/store/recyclable-fragment-in-manifest`). So only the four are let through.
//! Checksums are left to RocksDB.
//!
//! Source: RocksDB `db/log_format.h`, `db/log_reader.cc`.

use std::os::unix::fs::FileExt;
use std::path::Path;

use fork_fs::{FsError, Operation};

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Full, first, middle and last.
const KINDS: std::ops::RangeInclusive<u8> = 1..=4;

/// Looks at all fragments; says what is wrong with the first that is not as written. A file may end
/// anywhere, as after a crash.
///
/// # Errors
///
/// Fails when the file cannot be read.
pub(crate) fn framing_problem(path: &Path) -> Result<Option<String>, FsError> {
    let failed = |source| FsError::io(Operation::Read, path, source);
    let file = fork_fs::open(path)?;
    let size = fork_fs::file_bytes(path)?;
    let mut block = [0; BLOCK_BYTES];
    let mut offset = 0;
    while offset < size {
        let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
        let filled = left.min(BLOCK_BYTES);
        let block = &mut block[..filled];
        let header = filled.min(HEADER_BYTES);
        file.read_exact_at(&mut block[..header], offset)
            .map_err(failed)?;
        // Most blocks are one fragment, of which the rest need not be read.
        let is_one = matches!(fragment(block, 0), Ok(end) if end == BLOCK_BYTES);
        if !is_one {
            file.read_exact_at(block, offset).map_err(failed)?;
            let mut at = 0;
            while filled - at >= HEADER_BYTES {
                match fragment(block, at) {
                    Ok(end) if end <= filled => at = end,
                    // It is cut short, and nothing follows.
                    Ok(_) if filled < BLOCK_BYTES => break,
                    Ok(_) => {
                        return Ok(Some(format!(
                            "the fragment at byte {} is longer than its block",
                            offset + at as u64
                        )));
                    }
                    Err(kind) => {
                        return Ok(Some(format!(
                            "the fragment at byte {} has type {kind}, expected 1 to 4",
                            offset + at as u64
                        )));
                    }
                }
            }
        }
        offset += BLOCK_BYTES as u64;
    }
    Ok(None)
}

/// Where the fragment at `at` ends, or its type when that is none of the four.
fn fragment(block: &[u8], at: usize) -> Result<usize, u8> {
    let Some([_, _, _, _, low, high, kind]) = block
        .get(at..)
        .and_then(|rest| rest.first_chunk::<HEADER_BYTES>())
    else {
        return Ok(usize::MAX);
    };
    if !KINDS.contains(kind) {
        return Err(*kind);
    }
    Ok(at + HEADER_BYTES + usize::from(u16::from_le_bytes([*low, *high])))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn fragment_of(kind: u8, length: u16) -> Vec<u8> {
        let [low, high] = length.to_le_bytes();
        let mut bytes = vec![9, 9, 9, 9, low, high, kind];
        bytes.resize(HEADER_BYTES + usize::from(length), 7);
        bytes
    }

    fn problem(bytes: &[u8]) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, bytes).unwrap();
        framing_problem(&path).unwrap()
    }

    #[test]
    fn what_is_written_is_let_through() {
        let whole = fragment_of(2, 32_761);
        assert_eq!(whole.len(), BLOCK_BYTES);
        // A tail too short for a header is filled with zeros.
        let mut filled = fragment_of(1, 32_758);
        filled.resize(BLOCK_BYTES, 0);
        let parts = [whole, filled, fragment_of(3, 32_761), fragment_of(4, 5)];
        let bytes = parts.concat();
        assert_eq!(problem(&bytes), None);
        for cut in [0, 1, 6, 7, 40_000, 98_303, 98_304, 98_305, bytes.len() - 1] {
            assert_eq!(problem(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn other_types_and_lengths_are_not() {
        for kind in [0, 5, 8, 9, 129, 255] {
            let bytes = [fragment_of(1, 3), fragment_of(kind, 3)].concat();
            let expected = format!("the fragment at byte 10 has type {kind}, expected 1 to 4");
            assert_eq!(problem(&bytes), Some(expected));
        }
        let bytes = [fragment_of(1, 32_761), fragment_of(5, 1)].concat();
        assert!(problem(&bytes).unwrap().contains("byte 32768 has type 5"));
        let long = [fragment_of(1, 3), fragment_of(2, 60_000)].concat();
        let expected = "the fragment at byte 10 is longer than its block";
        assert_eq!(problem(&long).as_deref(), Some(expected));
    }
}
