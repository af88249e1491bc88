//! What the benchmarks of forkpack are compared with.
//!
//! - [`naive`]: Poseidon as its definition reads, for `benches/kernels.rs`.
//!
//! The whole pipeline is measured by the binary `pipeline-table`; what it found is in `results.md`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod naive;
