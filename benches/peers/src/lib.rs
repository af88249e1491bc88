//! What forkpack is compared with, measured on the same machine in the same run.
//!
//! - [`poseidon`]: the permutation on a generic field library, as the field's own code has it.
//! - [`ledger`]: a whole ledger as other tools do it: a tree of JSON values, then account by account.
//!
//! The binaries print what they measure: `kernel-table` the kernels, `peer-ledger` the ledger.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
pub mod ledger;
#[path = "../../src/machine.rs"]
pub mod machine;
pub mod poseidon;
