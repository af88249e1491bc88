//! `migrate-ledger`: one ledger of a fork candidate, migrated, stored and proved.
//!
//! One role per call, so that three pipeline steps run in parallel. Accounts are streamed in
//! batches: each is converted, hashed under the source era's rules, migrated, hashed under the
//! target era's rules and encoded, then appended to the store. The source root must equal the
//! candidate's claim; the store is reopened with RocksDB and everything in it recomputed from its
//! accounts before a tarball is made. Nothing is left of a run that fails.
//!
//! Memory: one batch of accounts, and per account 32 bytes of leaf hash, 64 bytes of tree and the
//! store's index ([`fork_store::INDEX_BYTES_PER_ACCOUNT`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod args;
mod error;
mod pass;
mod worker;

pub use args::Args;
pub use error::MigrateLedgerError;
