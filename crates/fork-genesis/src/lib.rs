//! Everything about a fork that is not an account: blocks, fork configs, schedules, networks.
//!
//! - [`block`] reads precomputed blocks and recomputes their state hash ([`state_hash`]);
//!   [`protocol_state`] is the typed protocol state behind both.
//! - [`fork_config`] and [`replayer`] read the two documents that carry a fork's ledgers, one
//!   account at a time.
//! - [`network`] is the description of a network: a file, never a default in code.
//! - [`schedule`] turns stop slots into the new genesis slot and time, and back; [`timestamp`] has
//!   the time formats.
//! - [`epoch`] says how the epochs of a block, and their seeds, follow from its parent's.
//! - [`candidate`] compares all of these with each other and reports every contradiction.
//! - [`config`] reads the config of the old chain and writes the one of the new chain;
//!   [`chain_id`] is the identifier that follows from it.
//!
//! Pure: readers are passed in, nothing here opens a file, asks for the time or reads the
//! environment.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stderr
    )
)]

pub mod archive;
pub mod block;
pub mod candidate;
pub mod chain_id;
pub mod config;
pub mod epoch;
pub mod fork_config;
pub mod fork_point;
pub mod import;
pub mod network;
pub mod protocol_state;
pub mod replayer;
pub mod schedule;
pub mod selection;
#[cfg(test)]
mod shared;
pub mod state_hash;
mod text;
pub mod timestamp;

pub use block::{Block, BlockError, ForkBlockFacts};
pub use network::Network;
pub use schedule::{ChainClock, Schedule, ScheduleInput};
pub use timestamp::GenesisTimestamp;
