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
//! Where one machine is not enough, `migrate-ledger shard` ([`ShardArgs`]) works on one of several
//! ranges of leaves and leaves a piece of the store, and `migrate-ledger merge` ([`MergeArgs`]) makes of
//! all pieces, without hashing an account again, what one run would have made.
//!
//! Memory: some batches of accounts, and per account 32 bytes of leaf hash, 64 bytes of tree and the
//! store's index ([`fork_store::INDEX_BYTES_PER_ACCOUNT`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod annotation;
mod args;
mod commands;
mod document;
mod error;
mod finish;
mod merge;
mod pass;
mod plan;
mod shard;
mod share;
mod source;
mod worker;

pub use args::{Args, Proof, SourceArgs};
pub use commands::{Command, Commands, is_command};
pub use error::{MigrateLedgerError, PassError};
pub use merge::{MergeArgs, MergeError};
pub use plan::{SHARDS_MAX, ShardNumber, ShardNumberError};
pub use shard::{ShardArgs, ShardError};
