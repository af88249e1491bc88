//! For tests and benches only: whole forks made up from a seed.
//!
//! [`fixture`] writes everything a fork is made from (fork config, block, exports, replayer output,
//! the old chain's config, a network file) for any number of accounts, and a model of it: the roots
//! and counts a correct tool must find. The same seed gives the same bytes on every machine.
//!
//! Nothing here is shipped, and nothing shipped depends on it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod archive;
pub mod fixture;
pub mod postgres;
