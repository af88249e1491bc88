//! The same bytes everywhere, and readers that are not ours: what another builder gets, and what other
//! versions of RocksDB see in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod base;
mod bytes;
mod digests;
mod readers;
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "../e2e/support.rs"]
mod support;
mod worlds;
