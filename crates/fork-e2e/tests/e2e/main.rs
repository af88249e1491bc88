//! The workers as a pipeline starts them: real binaries, real files, exit codes.
//!
//! The binaries are those beside the running test (`target/release`), or those in
//! `FORKPACK_BIN_DIR`. `scripts/test` builds them first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod acceptance;
mod archive;
mod bad_inputs;
mod fixture;
mod migrate;
mod pipeline;
mod runs;
mod shards;
mod signing;
mod steps;
mod support;
