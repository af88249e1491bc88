//! What the benchmarks of forkpack share.
//!
//! - [`naive`]: Poseidon as its definition reads, for `benches/kernels.rs`.
//! - [`machine`], [`report`], [`run`]: what the binaries that print tables have in common.
//!
//! The tables are made by `scripts/bench`, which runs the binaries here and those of `peers`, the
//! package with what forkpack is compared with.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod machine;
pub mod naive;
pub mod package;
pub mod report;
pub mod run;
