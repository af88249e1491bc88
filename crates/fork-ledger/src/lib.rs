//! The ledger library: accounts per protocol era, their codecs, hashes, roots and migration.
//!
//! Pure: same input, same output; no I/O, clock or environment. Start at [`account::Account`];
//! [`json`] reads and writes account JSON with the two conversions kept apart, [`binprot`] is the
//! byte form the daemon stores, [`dump`] lists of accounts in it, [`hash`] and [`merkle`] give leaves and roots, and [`migrate`] holds
//! the rules between eras.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod batch;
pub mod binprot;
pub mod diagnose;
pub mod dump;
pub mod hash;
pub mod json;
pub mod merkle;
pub mod migrate;
pub mod packing;
pub mod receipt;
pub mod verification_key;
