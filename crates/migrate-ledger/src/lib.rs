//! `migrate-ledger`: ledgers of a fork candidate, migrated, stored and proved.
//!
//! One role per run where three machines share the work, all roles in one run where one machine does
//! it. Accounts are read in batches: each batch is parsed, hashed under the source era's rules,
//! migrated, hashed under the target era's rules, encoded and appended to the store, on all threads,
//! while the next one is read. What the ledgers of several roles have in common is hashed once
//! ([`share`]). The source root must equal the candidate's claim; the store is read back and compared
//! (or opened with RocksDB and hashed again, with `--proof rocksdb`) before its tarball is kept.
//! Nothing is left of a run that fails.
//!
//! Memory: some batches of accounts, and per account 32 bytes of leaf hash, 64 bytes of tree and the
//! store's index ([`fork_store::INDEX_BYTES_PER_ACCOUNT`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod annotation;
mod args;
mod document;
mod error;
mod pass;
mod share;
mod source;
mod worker;

pub use args::Args;
pub use error::MigrateLedgerError;
