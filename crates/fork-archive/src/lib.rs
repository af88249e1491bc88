//! Ledgers from the PostgreSQL database of an archive node.
//!
//! An archive keeps, for each block, the state of every account the block touched, with its leaf
//! index. So the staged ledger after any block is a read: the newest row of each account on that
//! block's branch, in leaf order. Start at [`Archive::open`]; [`Archive::block`] and
//! [`Archive::branch`] find a block and walk to its genesis, [`Archive::accounts`] streams the
//! ledger. Nothing is computed or filled in here: whoever takes the accounts proves them by the
//! block's root, or refuses them.
//!
//! [`client`] speaks PostgreSQL's wire protocol over a plain blocking socket: a dozen messages are all
//! it takes to read, and so there is no async runtime here. One read-only transaction sees one
//! moment of a database that a running archive goes on changing.
//!
//! Passwords are kept in [`ArchiveUri`] alone and are in no message.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
mod archive;
mod block;
mod branch;
pub mod client;
mod clues;
mod epochs;
mod error;
mod list;
mod populate;
mod schema;
mod search;
mod transactions;
mod uri;
mod zkapp;

pub use account::{AccountStream, ArchivedAccount, BATCH_ROWS};
pub use archive::{Archive, Limits, Listed};
pub use block::{ArchiveBlock, BlockChoice, ChainStatus, EpochRow};
pub use branch::{Branch, BranchBreak};
pub use epochs::{ArchivedEpoch, EpochBlock};
pub use error::{ArchiveError, ArchiveErrorKind};
pub use list::{LISTED_BLOCKS_MAX, ListedBlock, WINDOW_BLOCKS_MAX, Window};
pub use populate::{Populate, PopulateError};
pub use schema::Schema;
pub use search::SnarkedRange;
pub use transactions::{
    AccountName, BlockChanges, Credit, TRANSACTIONS_MAX, Transaction, TransactionKind,
};
pub use uri::{ArchiveUri, UriError};
