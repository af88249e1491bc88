//! Release processes as policies: may this release enter, leave or close this stage, and why not?
//!
//! A policy is a TOML file of stages and rules ([`Policy`]). Facts are signed statements, verified by
//! the caller ([`Evidence`]), and files, by digest ([`Store`]). What happened is a hash-chained log
//! ([`Log`]). From these and a time, [`decide`] makes a [`Decision`]: `ALLOW`, `PEND` or `DENY`, with
//! expected, found and what to do next for every rule. [`audit()`] makes every decision of a log again.
//!
//! Nothing here reads a file, a clock or the environment, so a decision can be made again by anybody,
//! years later, to the byte.
//!
//! What is refused on purpose:
//!
//! - a default: an unknown key, kind, stage, role or predicate is an error;
//! - a fact of another release, stage, attempt or artifact, however good it looks;
//! - a version compared by somebody else's rules ([`version`]);
//! - a rule language. The kinds of gates are a closed list ([`policy::check`]).
//!
//! Start at [`decide`], then [`policy::check`] for what a gate can ask.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod action;
pub mod audit;
mod counts;
pub mod decision;
pub mod document;
mod evaluate;
pub mod log;
pub mod mail;
pub mod manifest;
pub mod name;
pub mod policy;
mod samples;
pub mod state;
pub mod statement;
pub mod store;
mod text;
pub mod version;
mod view;
pub mod vote;

pub use audit::{Problem, audit};
pub use counts::{Never, never_counts};
pub use decision::{Decision, GateResult, Outcome, Question, Verdict};
pub use evaluate::{ENGINE, decide};
pub use log::{Body, Entry, Head, Log};
pub use name::{Commit, Digest, KeyId, Time};
pub use policy::{Point, Policy};
pub use statement::{Evidence, Verified};
pub use store::Store;
pub use version::{Grammar, Version};
