//! A part of a store, made on one machine for another that puts the store together.
//!
//! A piece holds, for a run of leaves, what costs time to compute: the encoded accounts, their hashes
//! and the tokens they would own. Keys, the sorted text records and the tree follow from these in
//! little time, and where the log's batches and blocks end depends on all accounts before; so a piece
//! holds none of that.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `fpkpiece` |
//! | 1 | version, 1 |
//! | 1 | era: 1 for Berkeley, 2 for Mesa |
//! | 4 | leaf index of the first account (little-endian) |
//! | 4 | number of accounts (little-endian) |
//! | 4 + 32 + 32 + length, per account | length of the account (little-endian), leaf hash, token the account would own (both little-endian), account in bin_prot |
//!
//! Pieces are named by SHA-256 in the document beside them, and a reader compares it; the format has
//! no other guard against changed bytes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fork_fs::{AtomicFile, FsError, HashingReader, HashingWriter, Operation};
use fork_ledger::account::Account;
use fork_ledger::binprot::{BinProtError, decode_account, encode_account};
use fork_ledger::dump::ACCOUNT_BYTES_MAX;
use fork_types::document::FileRef;
use fork_types::{Era, FieldBytes, PublicKey, TokenId};
use pasta_poseidon::Fp;

use crate::error::{StoreError, StoreErrorKind};
use crate::payload::in_order;
use crate::writer::{ACCOUNTS_PER_CHUNK, came_back};

/// What a piece begins with.
pub const PIECE_MAGIC: [u8; 8] = *b"fpkpiece";

/// The only version so far.
pub const PIECE_VERSION: u8 = 1;

const HEADER_BYTES: usize = 18;

/// Length, leaf hash and token.
const RECORD_HEADER_BYTES: usize = 4 + 32 + 32;

/// Most accounts read at a time, and about the most bytes.
const BATCH_ACCOUNTS: usize = 8192;
const BATCH_BYTES: usize = 8 << 20;

/// Why bytes are not the piece they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PieceDefect {
    /// It does not begin as one.
    #[error("it does not begin with `fpkpiece`")]
    Magic,
    /// A later version.
    #[error("it has version {found}; this build reads version {PIECE_VERSION}")]
    Version {
        /// Version found.
        found: u8,
    },
    /// A piece of another era.
    #[error("its era has the code {found}, expected {expected}")]
    Era {
        /// Code expected.
        expected: u8,
        /// Code found.
        found: u8,
    },
    /// Other leaves than its document says.
    #[error("it begins at account {first} and has {count}, expected {expected:?}")]
    Leaves {
        /// Leaves expected.
        expected: Range<u32>,
        /// First leaf found.
        first: u32,
        /// Number of accounts found.
        count: u32,
    },
    /// A length no account has.
    #[error("account {leaf} has {found} bytes, expected 1 to {ACCOUNT_BYTES_MAX}")]
    Length {
        /// Leaf index.
        leaf: u32,
        /// Length found.
        found: u32,
    },
    /// A number that is no field element.
    #[error("the {what} of account {leaf} is not below the modulus")]
    Field {
        /// `hash` or `token`.
        what: &'static str,
        /// Leaf index.
        leaf: u32,
    },
    /// Bytes that are no account.
    #[error("account {leaf} is malformed")]
    Account {
        /// Leaf index.
        leaf: u32,
        /// What is wrong with it.
        source: BinProtError,
    },
    /// It ends too early.
    #[error("it ends in the middle")]
    Truncated,
    /// Something behind the last account.
    #[error("it goes on behind its last account")]
    Trailing,
}

/// Accounts of one run of leaves, and what was computed from them; as many of each.
#[derive(Clone, Copy, Debug)]
pub struct PieceAccounts<'a> {
    /// The accounts.
    pub accounts: &'a [Account],
    /// Their hashes.
    pub hashes: &'a [Fp],
    /// The tokens they would own.
    pub derived: &'a [TokenId],
}

/// Writes a piece.
#[derive(Debug)]
pub struct PieceWriter {
    sink: HashingWriter<AtomicFile>,
    path: PathBuf,
    era: Era,
    leaves: Range<u32>,
    next: u32,
}

impl PieceWriter {
    /// Starts the piece of the accounts of `era` at `leaves`, in the new file `path`.
    ///
    /// # Errors
    ///
    /// Fails for v1, which has no stores, and when the file system refuses.
    pub fn create(path: &Path, era: Era, leaves: Range<u32>) -> Result<Self, StoreError> {
        let code = era_code(era)?;
        let mut writer = Self {
            sink: HashingWriter::new(AtomicFile::create(path)?),
            path: path.to_owned(),
            era,
            next: leaves.start,
            leaves,
        };
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&PIECE_MAGIC);
        header.extend_from_slice(&[PIECE_VERSION, code]);
        header.extend_from_slice(&writer.leaves.start.to_le_bytes());
        header.extend_from_slice(&(writer.leaves.len() as u32).to_le_bytes());
        let written = writer.sink.write_all(&header);
        written.map_err(|source| write_error(path, source))?;
        Ok(writer)
    }

    /// Encodes and writes the next accounts, on all threads of the current rayon pool, and checks that
    /// the bytes of each decode to it.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreErrorKind::SelfCheck`] on an account that its bytes do not decode to, with
    /// [`StoreErrorKind::PieceAccounts`] on more accounts than were announced or other numbers of
    /// hashes or tokens, and when the disk does.
    pub fn push(&mut self, part: PieceAccounts<'_>) -> Result<(), StoreError> {
        let PieceAccounts {
            accounts,
            hashes,
            derived,
        } = part;
        let count = accounts.len();
        let left = (self.leaves.end - self.next) as usize;
        if hashes.len() != count || derived.len() != count || count > left {
            return Err(StoreErrorKind::PieceAccounts {
                announced: left,
                accounts: count,
                hashes: hashes.len(),
                tokens: derived.len(),
            }
            .into());
        }
        let Self {
            sink,
            path,
            era,
            next,
            ..
        } = self;
        let (era, first) = (*era, *next);
        *next += count as u32;
        let make = |range: Range<usize>, records: &mut Vec<u8>| {
            records.clear();
            for index in range {
                let (account, start) = (&accounts[index], records.len());
                records.extend_from_slice(&[0; 4]);
                records.extend_from_slice(&hashes[index].to_le_bytes());
                records.extend_from_slice(derived[index].field().as_le_bytes());
                let value = records.len();
                encode_account(account, records);
                let leaf = u64::from(first) + index as u64;
                came_back(leaf, account, decode_account(era, &records[value..]))?;
                let length = (records.len() - value) as u32;
                records[start..start + 4].copy_from_slice(&length.to_le_bytes());
            }
            Ok(())
        };
        in_order(count, ACCOUNTS_PER_CHUNK, make, |records| {
            let written = sink.write_all(records);
            written.map_err(|source| write_error(path, source))
        })
    }

    /// Flushes the file to the disk and names it by its content.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreErrorKind::PieceAccounts`] on fewer accounts than were announced, and when the
    /// disk does.
    pub fn finish(self) -> Result<FileRef, StoreError> {
        let left = (self.leaves.end - self.next) as usize;
        if left > 0 {
            return Err(StoreErrorKind::PieceAccounts {
                announced: left,
                accounts: 0,
                hashes: 0,
                tokens: 0,
            }
            .into());
        }
        let (file, digested) = self.sink.finish();
        let name = self.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        file.commit()?;
        Ok(FileRef {
            name,
            sha256: digested.sha256,
            bytes: digested.bytes,
        })
    }
}

/// What a store takes from an account of a piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceRecord<'a> {
    pub(crate) public_key: PublicKey,
    pub(crate) token_id: TokenId,
    pub(crate) derived: TokenId,
    pub(crate) hash: Fp,
    /// The account's bytes, which decode.
    pub(crate) account: &'a [u8],
}

/// Some accounts of a piece, not decoded.
#[derive(Debug, Default)]
pub(crate) struct PieceBatch {
    bytes: Vec<u8>,
    /// Where the records are, headers included.
    records: Vec<Range<usize>>,
    /// Leaf index of the first.
    first: u32,
}

impl PieceBatch {
    pub(crate) const fn first(&self) -> u32 {
        self.first
    }

    pub(crate) const fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record at a place of the batch, decoded.
    pub(crate) fn record(&self, era: Era, index: usize) -> Result<PieceRecord<'_>, PieceDefect> {
        let leaf = self.first + index as u32;
        let record = &self.bytes[self.records[index].clone()];
        let (header, account) = record.split_at(RECORD_HEADER_BYTES);
        let field = |what, start: usize| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(&header[start..start + 32]);
            FieldBytes::from_le_bytes(bytes).ok_or(PieceDefect::Field { what, leaf })
        };
        let hash = field("hash", 4)?;
        let derived = field("token", 36)?;
        let decoded =
            decode_account(era, account).map_err(|source| PieceDefect::Account { leaf, source })?;
        Ok(PieceRecord {
            public_key: decoded.public_key,
            token_id: decoded.token_id,
            derived: TokenId::new(derived),
            hash: fork_ledger::packing::element(hash),
            account,
        })
    }
}

/// Reads a piece; its digest is compared at the end.
#[derive(Debug)]
pub(crate) struct PieceReader {
    source: HashingReader<io::Take<File>>,
    path: PathBuf,
    file: FileRef,
    leaves: Range<u32>,
    next: u32,
}

impl PieceReader {
    /// Opens the piece `path`, which should be `file` and hold the accounts of `era` at `leaves`.
    pub(crate) fn open(
        path: &Path,
        file: &FileRef,
        era: Era,
        leaves: Range<u32>,
    ) -> Result<Self, StoreError> {
        let code = era_code(era)?;
        // One byte more is enough to see that there is too much.
        let source = fork_fs::open(path)?.take(file.bytes.saturating_add(1));
        let mut reader = Self {
            source: HashingReader::new(source),
            path: path.to_owned(),
            file: file.clone(),
            next: leaves.start,
            leaves,
        };
        match reader.read_header(code) {
            Ok(()) => Ok(reader),
            Err(error) => Err(reader.failed(error)),
        }
    }

    fn read_header(&mut self, expected: u8) -> Result<(), Broken> {
        let mut header = [0; HEADER_BYTES];
        self.source.read_exact(&mut header)?;
        let number = |start: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&header[start..start + 4]);
            u32::from_le_bytes(bytes)
        };
        let (version, code) = (header[8], header[9]);
        let (first, count) = (number(10), number(14));
        let defect = if header[..8] != PIECE_MAGIC {
            PieceDefect::Magic
        } else if version != PIECE_VERSION {
            PieceDefect::Version { found: version }
        } else if code != expected {
            PieceDefect::Era {
                expected,
                found: code,
            }
        } else if first != self.leaves.start || count as usize != self.leaves.len() {
            PieceDefect::Leaves {
                expected: self.leaves.clone(),
                first,
                count,
            }
        } else {
            return Ok(());
        };
        Err(defect.into())
    }

    /// Fills `batch` with the next accounts; with none at the end.
    pub(crate) fn read(&mut self, batch: &mut PieceBatch) -> Result<(), Broken> {
        batch.bytes.clear();
        batch.records.clear();
        batch.first = self.next;
        while self.next < self.leaves.end
            && batch.len() < BATCH_ACCOUNTS
            && batch.bytes.len() < BATCH_BYTES
        {
            let start = batch.bytes.len();
            let mut length = [0; 4];
            self.source.read_exact(&mut length)?;
            let found = u32::from_le_bytes(length);
            if found == 0 || found > ACCOUNT_BYTES_MAX {
                let leaf = self.next;
                return Err(PieceDefect::Length { leaf, found }.into());
            }
            batch.bytes.extend_from_slice(&length);
            let end = start + RECORD_HEADER_BYTES + found as usize;
            batch.bytes.resize(end, 0);
            self.source.read_exact(&mut batch.bytes[start + 4..])?;
            batch.records.push(start..end);
            self.next += 1;
        }
        Ok(())
    }

    /// Checks that nothing follows, and that these were the bytes of the document.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        let mut more = [0; 1];
        match self.source.read_exact(&mut more) {
            Ok(()) => Err(self.failed(PieceDefect::Trailing.into())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.compare(),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// The error about this piece. That its bytes are others than they were explains everything else
    /// that is wrong with it.
    pub(crate) fn failed(mut self, broken: Broken) -> StoreError {
        match broken {
            Broken::Io(source) => FsError::io(Operation::Read, &self.path, source).into(),
            Broken::Defect(defect) => {
                let path = self.path.clone();
                if let Err(source) = io::copy(&mut self.source, &mut io::sink()) {
                    return FsError::io(Operation::Read, &path, source).into();
                }
                match self.compare() {
                    Err(other) => other,
                    Ok(()) => StoreErrorKind::Piece { path, defect }.into(),
                }
            }
        }
    }

    fn compare(self) -> Result<(), StoreError> {
        let found = self.source.finish();
        Ok(fork_fs::compare_file_ref(&self.path, &self.file, &found)?)
    }
}

/// Why a piece cannot be read on.
#[derive(Debug)]
pub(crate) enum Broken {
    Io(io::Error),
    Defect(PieceDefect),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Defect(PieceDefect::Truncated)
        } else {
            Self::Io(error)
        }
    }
}

impl From<PieceDefect> for Broken {
    fn from(defect: PieceDefect) -> Self {
        Self::Defect(defect)
    }
}

fn write_error(path: &Path, source: io::Error) -> StoreError {
    FsError::io(Operation::Write, path, source).into()
}

fn era_code(era: Era) -> Result<u8, StoreError> {
    match era {
        Era::V1 => Err(StoreErrorKind::Era { era }.into()),
        Era::Berkeley => Ok(1),
        Era::Mesa => Ok(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LedgerStoreWriter, prove_log};
    use fork_ledger::batch::LeafHasher;
    use fork_ledger::hash::derive_token_ids;
    use fork_ledger::merkle::MerkleTree;

    /// More than one chunk, and more than one batch.
    const COUNT: u32 = BATCH_ACCOUNTS as u32 + 700;

    fn accounts() -> Vec<Account> {
        (0..COUNT)
            .map(|number| {
                let mut account = Account::empty(Era::Mesa);
                account.public_key =
                    PublicKey::new(FieldBytes::from_u64(u64::from(number) + 2), number % 3 == 0);
                account.nonce = number;
                account
            })
            .collect()
    }

    fn parts<'a>(
        accounts: &'a [Account],
        hashes: &'a [Fp],
        derived: &'a [TokenId],
        range: Range<usize>,
    ) -> PieceAccounts<'a> {
        PieceAccounts {
            accounts: &accounts[range.clone()],
            hashes: &hashes[range.clone()],
            derived: &derived[range],
        }
    }

    /// Wherever a ledger is cut, its pieces give the log that its accounts give, byte for byte.
    #[test]
    fn pieces_give_the_log_of_the_whole() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let accounts = accounts();
        let hashes = LeafHasher::new(Era::Mesa)
            .hash_as(Era::Mesa, &accounts)
            .unwrap();
        let ids: Vec<_> = accounts
            .iter()
            .map(|account| (account.public_key, account.token_id))
            .collect();
        let derived = derive_token_ids(&ids);
        let tree = MerkleTree::new(Era::Mesa, 20, hashes.clone()).unwrap();

        let mut whole = LedgerStoreWriter::create(&place("whole"), 20).unwrap();
        whole
            .push_accounts(Era::Mesa, &accounts, Some(&derived))
            .unwrap();
        whole.finish(&tree).unwrap();

        let mut writer = LedgerStoreWriter::create(&place("merged"), 20).unwrap();
        let mut taken = Vec::new();
        let mut start = 0;
        for (number, end) in [0, 3, COUNT - 300, COUNT].into_iter().enumerate() {
            let path = place(&format!("{number}.piece"));
            let mut piece = PieceWriter::create(&path, Era::Mesa, start..end).unwrap();
            let middle = start.midpoint(end);
            for range in [start..middle, middle..end] {
                let range = range.start as usize..range.end as usize;
                let part = parts(&accounts, &hashes, &derived, range);
                piece.push(part).unwrap();
            }
            let file = piece.finish().unwrap();
            writer
                .push_piece(&path, &file, Era::Mesa, end - start, &mut taken)
                .unwrap();
            start = end;
        }
        assert!(taken == hashes);
        let finished = writer.finish_for_proof(&tree).unwrap();
        prove_log(&place("merged"), &finished, &tree).unwrap();
        for name in crate::log::FILE_NAMES {
            let bytes = |store: &str| {
                fork_fs::read_limited(&place(store).join(name), u64::MAX - 1).unwrap()
            };
            assert!(bytes("whole") == bytes("merged"), "{name}");
        }
    }

    #[test]
    fn a_piece_has_exactly_what_was_announced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.piece");
        let account = Account::empty(Era::Mesa);
        let (accounts, hashes, derived) = (
            vec![account; 3],
            vec![Fp::ZERO; 3],
            vec![TokenId::DEFAULT; 3],
        );
        let start = || PieceWriter::create(&path, Era::Mesa, 7..9).unwrap();
        let whole = parts(&accounts, &hashes, &derived, 0..3);
        let error = start().push(whole).unwrap_err().to_string();
        assert!(error.contains("3 accounts"), "{error}");
        let uneven = PieceAccounts {
            hashes: &hashes[..1],
            ..parts(&accounts, &hashes, &derived, 0..2)
        };
        let error = start().push(uneven).unwrap_err().to_string();
        assert!(error.contains("1 hashes"), "{error}");
        let mut piece = start();
        piece
            .push(parts(&accounts, &hashes, &derived, 0..1))
            .unwrap();
        let error = piece.finish().unwrap_err().to_string();
        assert!(error.contains("a piece that lacks 1"), "{error}");
        assert!(!path.exists());
        let error = PieceWriter::create(&path, Era::V1, 0..1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ledger stores of era v1 are not supported"
        );
    }
}
