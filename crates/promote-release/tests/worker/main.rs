//! The worker as it is called: exit codes, records that are changed, runs that are killed, pages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod again;
mod apt;
mod artifacts;
mod commands;
mod counting;
mod keys;
mod outputs;
mod pages;
mod pipeline;
mod place;
mod practices;
mod processes;
mod records;
mod registry;
mod sequences;
mod steps;
