//! Ledgers from real PostgreSQL databases: made up, from reference data where it is there, and
//! damaged row by row.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    // What was skipped is said.
    clippy::print_stderr
)]

mod bases;
mod candidates;
mod causes;
mod choice;
mod connection;
mod damage;
mod epochs;
mod errors;
mod every_row;
mod generated;
mod history;
mod populate;
mod reference;
mod support;
