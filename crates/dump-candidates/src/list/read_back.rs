//! Stored accounts, read again: digests, and the root from nothing but the accounts.

use std::io::{self, BufReader, Read};

use fork_fs::{Digested, HashingReader};
use fork_ledger::batch::{AccountReader, LeafHasher};
use fork_ledger::hash::HashError;
use fork_ledger::json::{ListedAccountError, StreamError};
use fork_ledger::merkle::{MerkleError, RootBuilder, ledger_hash};
use fork_types::document::StoredLedger;
use fork_types::{Class, Era, Fault, LedgerHash};
use sha2::{Digest, Sha256};

use super::stock::StoreProblem;

/// Bytes asked of the store at a time.
const BUFFER_BYTES: usize = 1 << 18;

/// Largest zstd window taken (2^27 bytes = 128 MiB): bounds the memory a damaged object can ask for.
/// Capture itself makes windows of 2 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Why stored accounts cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadBackError {
    /// The line broke, or the bytes are no zstd.
    #[error("the stored accounts of ledger {root} end or are damaged after {bytes} bytes of text")]
    Damaged {
        /// The ledger.
        root: LedgerHash,
        /// Bytes of accounts before.
        bytes: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// The text is no account list.
    #[error("the stored accounts of ledger {root}")]
    Accounts {
        /// The ledger.
        root: LedgerHash,
        /// What is wrong.
        source: Box<StreamError<ListedAccountError>>,
    },
    /// An account that cannot be hashed.
    #[error("an account of ledger {root} cannot be hashed")]
    Hash {
        /// The ledger.
        root: LedgerHash,
        /// Why not.
        source: HashError,
    },
    /// More accounts than the tree has room for.
    #[error("the accounts of ledger {root} do not fit its tree")]
    Merkle {
        /// The ledger.
        root: LedgerHash,
        /// Why not.
        source: MerkleError,
    },
}

impl Fault for ReadBackError {
    fn class(&self) -> Class {
        match self {
            Self::Damaged { source, .. } => class_of(source),
            // The store holds only lists that were read before, so a malformed one was changed.
            Self::Accounts { source, .. } => match source.as_ref() {
                StreamError::Read { source, .. } => class_of(source),
                _ => Class::Wrong,
            },
            Self::Hash { .. } | Self::Merkle { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self.class() {
            Class::Environment => "the store or the line to it failed; try again",
            _ => {
                "the object changed after the capture; remove the ledger's objects and capture it \
                 again while the daemons still have the block"
            }
        };
        Some(text.to_owned())
    }
}

/// What zstd and [`StoredAccounts`] object to is wrong; a line that breaks has other kinds.
fn class_of(error: &io::Error) -> Class {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Other => Class::Wrong,
        _ => Class::Environment,
    }
}

/// The text of a stored ledger, hashed on both sides of the decompression.
pub(crate) struct StoredAccounts {
    root: LedgerHash,
    decoder: zstd::stream::read::Decoder<'static, BufReader<HashingReader<Box<dyn Read + Send>>>>,
    hasher: Sha256,
    bytes: u64,
    bytes_max: u64,
}

impl StoredAccounts {
    /// Begins to read; never gives more text than the document says there is, and one byte.
    ///
    /// # Errors
    ///
    /// Fails when zstd cannot be set up.
    pub(crate) fn new(
        ledger: &StoredLedger,
        source: Box<dyn Read + Send>,
    ) -> Result<Self, ReadBackError> {
        let damaged = |source| ReadBackError::Damaged {
            root: ledger.root,
            bytes: 0,
            source,
        };
        let source = BufReader::with_capacity(BUFFER_BYTES, HashingReader::new(source));
        let mut decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(damaged)?;
        decoder
            .window_log_max(ZSTD_WINDOW_LOG_MAX)
            .map_err(damaged)?;
        Ok(Self {
            root: ledger.root,
            decoder,
            hasher: Sha256::new(),
            bytes: 0,
            bytes_max: ledger.list.bytes,
        })
    }

    /// Reads what is left and gives the digests of the object and of its text.
    ///
    /// # Errors
    ///
    /// Fails when the rest cannot be read.
    pub(crate) fn finish(mut self) -> Result<(Digested, Digested), ReadBackError> {
        let read = io::copy(&mut self, &mut io::sink());
        read.map_err(|source| self.damaged(source))?;
        let (root, bytes) = (self.root, self.bytes);
        let mut rest = self.decoder.finish();
        // What a longer object has behind its last frame belongs to its digest.
        io::copy(&mut rest, &mut io::sink()).map_err(|source| ReadBackError::Damaged {
            root,
            bytes,
            source,
        })?;
        let text = Digested {
            sha256: hex::encode(self.hasher.finalize()),
            bytes,
        };
        Ok((rest.into_inner().finish(), text))
    }

    /// Says of an error of this reader where it happened.
    pub(crate) fn damaged(&self, source: io::Error) -> ReadBackError {
        ReadBackError::Damaged {
            root: self.root,
            bytes: self.bytes,
            source,
        }
    }
}

impl Read for StoredAccounts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        self.hasher.update(read);
        self.bytes += read.len() as u64;
        if self.bytes > self.bytes_max {
            let text = format!("there are more than {} bytes of text", self.bytes_max);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(count)
    }
}

/// What accounts come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recomputed {
    pub(crate) root: LedgerHash,
    pub(crate) accounts: u32,
    /// In nanomina.
    pub(crate) total: u128,
}

/// Recomputes a ledger from its list; gives the source back. `expected` is only what errors name.
///
/// Missing members are filled with their defaults: the root then proves that they were the defaults.
///
/// # Errors
///
/// Fails on anything that is no account list of the era, and when the source does.
pub(crate) fn recompute<R: Read + Send>(
    source: R,
    era: Era,
    expected: LedgerHash,
) -> Result<(R, Recomputed), ReadBackError> {
    let failed = |source| ReadBackError::Accounts {
        root: expected,
        source: Box::new(source),
    };
    let mut reader = AccountReader::new(source, era, true);
    let hasher = LeafHasher::new(era);
    let mut root = RootBuilder::new(era, era.depth());
    let (mut accounts, mut total) = (0_u32, 0_u128);
    let mut batch = reader.next_batch().map_err(failed)?;
    while let Some(current) = batch {
        let (next, leaves) = rayon::join(|| reader.next_batch(), || hasher.hash(&current));
        let leaves = leaves.map_err(|source| ReadBackError::Hash {
            root: expected,
            source,
        })?;
        root.extend_from_slice(&leaves)
            .map_err(|source| ReadBackError::Merkle {
                root: expected,
                source,
            })?;
        total += current.default_token_total();
        // The tree took them all, so there are fewer than 2^35; a count that is cut shows as wrong.
        accounts = accounts.saturating_add(u32::try_from(current.len()).unwrap_or(u32::MAX));
        batch = next.map_err(failed)?;
    }
    let recomputed = Recomputed {
        root: ledger_hash(root.finish()),
        accounts,
        total,
    };
    Ok((reader.into_source(), recomputed))
}

/// Compares what was recomputed with the document.
pub(crate) fn compare_recomputed(ledger: &StoredLedger, found: &Recomputed) -> Vec<StoreProblem> {
    let name = ledger.root;
    differing([
        (
            format!("the root of the stored accounts of ledger {name}"),
            name.to_string(),
            found.root.to_string(),
        ),
        (
            format!("the number of stored accounts of ledger {name}"),
            ledger.accounts.to_string(),
            found.accounts.to_string(),
        ),
        (
            format!("the total balance of the stored accounts of ledger {name}"),
            ledger.total_balance_nanomina.clone(),
            found.total.to_string(),
        ),
    ])
}

/// Compares digests of the stored object and of its text with the document.
pub(crate) fn compare_digests(
    ledger: &StoredLedger,
    stored: &Digested,
    text: &Digested,
) -> Vec<StoreProblem> {
    let name = ledger.root;
    let pairs = [
        ("stored accounts", &ledger.stored, stored),
        ("decompressed accounts", &ledger.list, text),
    ];
    let each = pairs.map(|(what, expected, found)| {
        differing([
            (
                format!("the SHA-256 of the {what} of ledger {name}"),
                expected.sha256.clone(),
                found.sha256.clone(),
            ),
            (
                format!("the size of the {what} of ledger {name}"),
                expected.bytes.to_string(),
                found.bytes.to_string(),
            ),
        ])
    });
    each.concat()
}

/// The comparisons (what, expected, found) that fail.
pub(crate) fn differing<const N: usize>(pairs: [(String, String, String); N]) -> Vec<StoreProblem> {
    let differing = pairs.into_iter().filter(|(_, a, b)| a != b);
    differing
        .map(|(what, expected, found)| StoreProblem {
            what,
            expected,
            found,
        })
        .collect()
}
