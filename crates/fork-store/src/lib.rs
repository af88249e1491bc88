//! The daemon's ledger store: one RocksDB directory per ledger, and the tarball it travels in.
//!
//! - [`LedgerStoreWriter`] writes one, without RocksDB: a log-only database whose bytes depend on
//!   the accounts alone ([`log`]).
//! - [`prove_store`] reads it back with RocksDB, exactly the daemon's version, and recomputes
//!   everything in it from the accounts. No daemon does that.
//! - [`StoreExaminer`] does the same with accounts that the caller hashes, and [`LogExaminer`] without
//!   RocksDB for stores in the writer's own spelling.
//! - [`prove_log`] reads back what was just written, without hashing accounts again, and compares it
//!   with what is still in memory.
//! - [`PieceWriter`] writes a part of one, which [`LedgerStoreWriter::push_piece`] takes on another
//!   machine.
//! - [`write_tarball`] and [`tarball_name`] pack it.
//! - [`compare_ledgers`] says how two ledgers differ, account by account, or only in their packing.
//! - [`StoreReader`], [`Entry`], [`write_scan`] and [`compare_stores`] look into any store, also one
//!   written by a daemon.
//!
//! It refuses what is not certain: a wrong depth or era (neither is in the store), two accounts of
//! one owner and token, a log that is cut short. It never opens a directory for writing, because
//! RocksDB would rewrite it; only copies of its own ([`StoreReader::open_copy`]).
//!
//! The only crate that names RocksDB.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod compare;
mod entry;
mod error;
mod examine;
mod files;
mod framing;
#[doc(hidden)]
pub mod fuzzing;
mod index;
pub mod key;
mod ledger_diff;
pub mod log;
mod log_examine;
mod log_reader;
mod packing;
mod payload;
mod piece;
mod problem;
mod proof;
mod readback;
mod reader;
mod records;
pub mod scan;
pub mod sst;
mod tarball;
mod unpack;
mod writer;

pub use compare::{
    Comparison, Difference, DifferenceKind, FieldDifference, account_differences, compare_stores,
    stored_root,
};
pub use entry::{Entry, EntryError};
pub use error::{StoreError, StoreErrorKind};
pub use examine::{Examined, StoreExaminer, StoreProblems};
pub use files::{is_store_file, store_file_bytes_max};
pub use index::{
    ACCOUNTS_MAX, AccountIndex, INDEX_BYTES_PER_ACCOUNT, entry_count, hash_node_count,
};
pub use key::{DepthError, Key, KeyError, KeyLayout};
pub use ledger_diff::{LedgerComparison, LedgerSides, compare_ledgers};
pub use log_examine::LogExaminer;
pub use log_reader::LogDefect;
pub use packing::packing_differences;
pub use piece::{PIECE_MAGIC, PIECE_VERSION, PieceAccounts, PieceDefect, PieceWriter};
pub use problem::{PROBLEMS_KEPT_MAX, Problem, Problems};
pub use proof::{Examination, StoreProof, examine_store, prove_open_store, prove_store};
pub use readback::prove_log;
pub use reader::{Cursor, RawEntry, StoreReader};
pub use scan::{
    ContentDigest, OwnedEntry, ScanLineError, ScanParser, ScanSummary, content_digest,
    restore_scan, write_scan,
};
pub use tarball::{TarballSummary, digest_tarball, tarball_name, write_tarball};
pub use unpack::{MEMBERS_MAX, UNPACKED_BYTES_MAX, unpack_tarball, unpacked_bytes_max};
pub use writer::{FinishedStore, LedgerStoreWriter, StoreSummary};
