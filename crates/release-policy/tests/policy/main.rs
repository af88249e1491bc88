//! Policies as they ship, each process from end to end, and what breaks them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod coverage;
mod inputs;
mod mina;
mod mithril;
mod noise;
mod optimism;
mod policies;
mod record;
mod rows;
mod spacemesh;
mod splice;
mod versions;
mod world;
