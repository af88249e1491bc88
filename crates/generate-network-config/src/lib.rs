//! `generate-network-config`: the runtime config of the new chain.
//!
//! Slot and time of the new genesis follow from the old chain's stop slots, or from a given time;
//! when both are given they must agree. The slot time comes from the network file and nowhere else,
//! and there is no default time. Ledgers, candidate, old config and network file are compared with
//! each other before anything is written, and the old chain's stop slots cannot get into the new
//! config because it has no place for them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod annotation;
mod args;
mod error;
mod ledgers;
mod worker;

pub use args::Args;
pub use error::{ConfigProblem, GenerateError};
