//! `dump-candidates capture` against scripted daemons: every fault in every phase, kills at any
//! point, a full disk, a dying object store. Afterwards every candidate that a daemon offered is
//! stored once, complete and verified, and nothing else is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // seeds, and what is skipped
#![allow(clippy::disallowed_methods)] // tests look at files as anybody would

mod basics;
mod faults;
mod kills;
mod remote;
mod support;
mod watching;
