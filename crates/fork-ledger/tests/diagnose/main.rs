//! Every known mistake is planted in a small ledger and must be found, itself before any other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod planted;
mod readings;
#[path = "../support/mod.rs"]
mod support;
