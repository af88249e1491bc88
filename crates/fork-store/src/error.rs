//! Why a ledger store could not be written, read or proved.

use std::path::{Path, PathBuf};

use fork_fs::FsError;
use fork_ledger::binprot::BinProtError;
use fork_ledger::hash::HashError;
use fork_ledger::merkle::MerkleError;
use fork_types::{Class, Era, Fault, PublicKey, TokenId};

use crate::key::DepthError;
use crate::log_reader::LogDefect;
use crate::piece::PieceDefect;
use crate::problem::Problems;
use crate::scan::ScanLineError;

/// Why a ledger store could not be written, read or proved; one word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(Box<StoreErrorKind>);

/// The cases of [`StoreError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The file system.
    #[error(transparent)]
    Fs(FsError),
    /// RocksDB could not read a directory.
    #[error("RocksDB could not read the ledger store `{}`", path.display())]
    RocksDb {
        /// The directory.
        path: PathBuf,
        /// What it says.
        source: rust_rocksdb::Error,
    },
    /// A directory that is no database.
    #[error("`{}` is no ledger store: it has no file `{missing}`", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// The file every database has.
        missing: &'static str,
    },
    /// A directory with files that no store has.
    #[error("the ledger store `{}` is not read: {problem}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with a file.
        problem: String,
    },
    /// A directory to write to that holds something.
    #[error("directory `{}` for a new ledger store is not empty", path.display())]
    DirectoryNotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A depth the layout has no keys for.
    #[error(transparent)]
    Depth(DepthError),
    /// More accounts than the tree has room for.
    #[error(transparent)]
    Merkle(MerkleError),
    /// An account without a hash.
    #[error(transparent)]
    Hash(HashError),
    /// Stores of this era are not written or proved here.
    #[error("ledger stores of era {era} are not supported")]
    Era {
        /// The era.
        era: Era,
    },
    /// Nothing to write: the daemon cannot open a ledger without accounts.
    #[error("a ledger without accounts cannot be stored")]
    Empty,
    /// Two accounts of one owner and token.
    #[error("accounts {first} and {second} are both of {public_key}, token {token_id}")]
    DuplicateAccount {
        /// Leaf index of one.
        first: u64,
        /// Leaf index of the other, larger.
        second: u64,
        /// Owner of both.
        public_key: PublicKey,
        /// Token of both.
        token_id: TokenId,
    },
    /// More accounts than the index counts.
    #[error("a ledger store holds at most {accounts_max} accounts")]
    TooManyAccounts {
        /// The limit.
        accounts_max: u64,
    },
    /// The tree handed over is not the tree of the accounts handed over.
    #[error(
        "a tree of depth {tree_depth} over {leaves} leaves was given for {accounts} accounts at depth {depth}"
    )]
    OtherTree {
        /// Depth of the tree.
        tree_depth: u8,
        /// Its leaves.
        leaves: u64,
        /// Depth of the store.
        depth: u8,
        /// Its accounts.
        accounts: u64,
    },
    /// An account whose bytes do not decode to it.
    #[error("account {leaf} does not come back from its own bytes")]
    SelfCheck {
        /// Leaf index.
        leaf: u64,
        /// Why the bytes do not decode; `None` when they give another account.
        source: Option<BinProtError>,
    },
    /// Compressed bytes that do not decompress to what was compressed.
    #[error("what was compressed into `{path}` does not come back from it")]
    Compressor {
        /// The tarball.
        path: PathBuf,
    },
    /// Another number of derived tokens than of accounts was handed over.
    #[error("{tokens} derived tokens were given for {accounts} accounts")]
    DerivedTokens {
        /// Accounts.
        accounts: usize,
        /// Tokens.
        tokens: usize,
    },
    /// A piece of a store that is not what it should be.
    #[error("the piece of a store `{}` cannot be used", path.display())]
    Piece {
        /// The piece.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        defect: PieceDefect,
    },
    /// Other numbers were handed over for a piece than it was to have.
    #[error(
        "{accounts} accounts, {hashes} hashes and {tokens} tokens were given for a piece that lacks {announced}"
    )]
    PieceAccounts {
        /// Accounts that the piece lacks.
        announced: usize,
        /// Accounts.
        accounts: usize,
        /// Hashes.
        hashes: usize,
        /// Tokens.
        tokens: usize,
    },
    /// A line that is not scanner text.
    #[error("line {line} of the scanner text is malformed")]
    ScanLine {
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        source: ScanLineError,
    },
    /// Scanner text that could not be read or written.
    #[error("could not {operation} scanner text")]
    ScanIo {
        /// `read` or `write`.
        operation: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A tarball that is damaged, or holds what no ledger tarball holds.
    #[error("ledger tarball `{}` {problem}", path.display())]
    Tarball {
        /// The tarball.
        path: PathBuf,
        /// What is wrong, to follow the name.
        problem: String,
    },
    /// The tarball's bytes could not be read as tar or gzip.
    #[error("could not unpack ledger tarball `{}`", path.display())]
    Unpack {
        /// The tarball.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that must not go into a tarball, because its bytes differ between runs.
    #[error("ledger store `{}` holds a file `{name}` that is not part of a log-only store", path.display())]
    ForeignFile {
        /// The directory.
        path: PathBuf,
        /// Name of the file.
        name: String,
    },
    /// A log-only store whose files are not what was written.
    #[error("ledger store `{}` is damaged at byte {offset}: {defect}", path.display())]
    Log {
        /// The log, or the directory when another file is at fault.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        defect: LogDefect,
    },
    /// The store is not the ledger it should be.
    #[error("ledger store `{}` is wrong: {problems}", path.display())]
    Unproven {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        problems: Problems,
    },
}

impl StoreError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &StoreErrorKind {
        &self.0
    }

    pub(crate) fn rocksdb(path: &Path, source: rust_rocksdb::Error) -> Self {
        StoreErrorKind::RocksDb {
            path: path.to_owned(),
            source,
        }
        .into()
    }

    /// The same about `path`, which is what the caller named, instead of a copy of it.
    pub(crate) fn about(self, path: &Path) -> Self {
        let path = path.to_owned();
        match *self.0 {
            StoreErrorKind::NotAStore { missing, .. } => {
                StoreErrorKind::NotAStore { path, missing }.into()
            }
            StoreErrorKind::Directory { problem, .. } => {
                StoreErrorKind::Directory { path, problem }.into()
            }
            other => other.into(),
        }
    }

    pub(crate) fn tarball(path: &Path, problem: impl Into<String>) -> Self {
        StoreErrorKind::Tarball {
            path: path.to_owned(),
            problem: problem.into(),
        }
        .into()
    }
}

impl From<StoreErrorKind> for StoreError {
    fn from(kind: StoreErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

macro_rules! from {
    ($($source:ident => $case:ident),*) => {
        $(impl From<$source> for StoreError {
            fn from(source: $source) -> Self {
                StoreErrorKind::$case(source).into()
            }
        })*
    };
}

from!(FsError => Fs, DepthError => Depth, MerkleError => Merkle, HashError => Hash);

impl Fault for StoreError {
    fn class(&self) -> Class {
        use rust_rocksdb::ErrorKind;
        match self.kind() {
            StoreErrorKind::Fs(error) => error.class(),
            StoreErrorKind::RocksDb { source, .. } => match source.kind() {
                ErrorKind::IOError
                | ErrorKind::Busy
                | ErrorKind::TimedOut
                | ErrorKind::Aborted
                | ErrorKind::TryAgain
                | ErrorKind::Incomplete => Class::Environment,
                ErrorKind::NotFound
                | ErrorKind::Corruption
                | ErrorKind::NotSupported
                | ErrorKind::InvalidArgument
                | ErrorKind::MergeInProgress
                | ErrorKind::ShutdownInProgress
                | ErrorKind::Expired
                | ErrorKind::CompactionTooLarge
                | ErrorKind::ColumnFamilyDropped
                | ErrorKind::Unknown => Class::BadInput,
            },
            StoreErrorKind::Depth(_)
            | StoreErrorKind::Era { .. }
            | StoreErrorKind::DirectoryNotEmpty { .. } => Class::Usage,
            StoreErrorKind::Merkle(error) => error.class(),
            StoreErrorKind::Hash(error) => error.class(),
            StoreErrorKind::NotAStore { .. }
            | StoreErrorKind::Directory { .. }
            | StoreErrorKind::Empty
            | StoreErrorKind::DuplicateAccount { .. }
            | StoreErrorKind::TooManyAccounts { .. }
            | StoreErrorKind::ScanLine { .. }
            | StoreErrorKind::Tarball { .. }
            | StoreErrorKind::Piece { .. }
            | StoreErrorKind::ForeignFile { .. } => Class::BadInput,
            StoreErrorKind::OtherTree { .. }
            | StoreErrorKind::SelfCheck { .. }
            | StoreErrorKind::Compressor { .. }
            | StoreErrorKind::DerivedTokens { .. }
            | StoreErrorKind::PieceAccounts { .. } => Class::Internal,
            StoreErrorKind::ScanIo { source, .. } | StoreErrorKind::Unpack { source, .. } => {
                match source.kind() {
                    std::io::ErrorKind::InvalidData
                    | std::io::ErrorKind::InvalidInput
                    | std::io::ErrorKind::UnexpectedEof
                    // The tar reader reports malformed archives as "other".
                    | std::io::ErrorKind::Other => Class::BadInput,
                    _ => Class::Environment,
                }
            }
            // It was written a moment ago, so this is the disk or the memory.
            StoreErrorKind::Log { .. } => Class::Environment,
            StoreErrorKind::Unproven { problems, .. } => problems.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            StoreErrorKind::Fs(error) => return error.hint(),
            StoreErrorKind::Merkle(error) => return error.hint(),
            StoreErrorKind::Hash(error) => return error.hint(),
            StoreErrorKind::RocksDb { source, .. } => match source.kind() {
                rust_rocksdb::ErrorKind::Corruption => {
                    "the store is damaged or cut short; write it again, or unpack its tarball again"
                }
                _ => "check that the directory holds a whole database and may be read",
            },
            StoreErrorKind::Directory { .. } => {
                "RocksDB writes no such file; do not open this store"
            }
            StoreErrorKind::NotAStore { .. } => {
                "name the directory that holds the database itself, or a ledger tarball"
            }
            StoreErrorKind::DirectoryNotEmpty { .. } => "name a new directory",
            StoreErrorKind::DuplicateAccount { .. } => {
                "the account list is not a ledger; export it again"
            }
            StoreErrorKind::Log { .. } => {
                "the disk or the memory gives back other bytes than were written; run again elsewhere"
            }
            StoreErrorKind::Unproven { problems, .. } => problems.hint(),
            StoreErrorKind::Tarball { .. } | StoreErrorKind::Unpack { .. } => {
                "download or build the tarball again and compare its SHA3-256 with the network config"
            }
            StoreErrorKind::ForeignFile { .. } => {
                "opening a store for writing adds files to it; write the store again"
            }
            StoreErrorKind::ScanLine { .. } => {
                "the text must be what `dump` printed, one entry per line in key order"
            }
            StoreErrorKind::Piece { .. } => {
                "the document beside it names exactly these bytes, so whoever wrote both made the \
                 mistake: make the shard again"
            }
            StoreErrorKind::Depth(_)
            | StoreErrorKind::Era { .. }
            | StoreErrorKind::Empty
            | StoreErrorKind::TooManyAccounts { .. }
            | StoreErrorKind::OtherTree { .. }
            | StoreErrorKind::SelfCheck { .. }
            | StoreErrorKind::Compressor { .. }
            | StoreErrorKind::DerivedTokens { .. }
            | StoreErrorKind::PieceAccounts { .. }
            | StoreErrorKind::ScanIo { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
