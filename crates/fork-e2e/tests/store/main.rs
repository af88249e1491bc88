//! Stores of every kind, against real directories and a real S3-compatible server on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod conformance;
mod faults;
mod secrets;
mod support;
mod uploads;
