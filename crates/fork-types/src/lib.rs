//! The words every forkpack crate uses, and nothing else: no I/O, no clock, no environment.
//!
//! - [`id`]: base58check newtypes (ledger hash, state hash, public key, token id, …), parsed once
//!   and trusted afterwards.
//! - [`amount`]: nanomina amounts and their decimal MINA text.
//! - [`slot`]: slots since genesis and slots since hard fork, two types that cannot be mixed.
//! - [`era`]: the protocol eras and the constants that go with them.
//! - [`Compression`]: of archives.
//! - [`fault`]: who has to act on an error, and the exit code that follows from it.
//! - [`document`]: the JSON documents the steps hand to each other, each with a format version.
//!
//! Everything that is parsed here refuses what upstream would refuse; where upstream is lenient,
//! the leniency is named in the item's documentation.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod amount;
mod base58;
mod compression;
pub mod document;
pub mod era;
pub mod fault;
pub mod id;
pub mod slot;

pub use amount::{Amount, AmountError};
pub use compression::{Compression, CompressionError};
pub use era::{Era, EraError, Role};
pub use fault::{Class, Fault};
pub use id::{
    EpochSeed, FieldBytes, IdError, IdText, LedgerHash, Memo, PublicKey, ReceiptChainHash,
    StateHash, TokenId,
};
pub use slot::{SlotSinceGenesis, SlotSinceHardFork, SlotSpan};
