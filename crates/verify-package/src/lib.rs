//! Proves a fork package, or says exactly what is wrong with it.
//!
//! [`Subject`] is what is verified: a `.deb`, an installed root, an image, or the directory that a
//! daemon wrote by itself. [`Reference`] is what it is held against: a candidate, its block, a network,
//! the old chain's config. [`Facts`] is everything that was computed from both, once, on all cores.
//! The [`CHECKS`] are a flat table over the facts; every one of them is run, whatever the others found,
//! and [`ReportDocument`] has all findings. A new check is a line in a table of `checks` and a function.
//!
//! It shares the formats' readers with the workers, but takes nothing from their documents: every
//! root, digest, name, slot and time is computed from the bytes that would be installed and from the
//! candidate. What it does not prove is written down in `docs/verify-package.md`.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

mod args;
mod checks;
mod config;
mod differences;
mod error;
mod facts;
mod ledgers;
mod limited_json;
mod pass;
mod reference;
mod report;
mod subject;
mod tarball;
mod worker;

pub use args::{Args, ImageRef, SubjectArgs};
pub use checks::{CHECKS, Check, Finding};
pub use config::ConfigView;
pub use differences::Differences;
pub use error::VerifyError;
pub use facts::Facts;
pub use ledgers::{LedgerFacts, Source, StoreFacts};
pub use reference::Reference;
pub use report::{Outcome, ReportCheck, ReportDocument, ReportSubject};
pub use subject::{Entry, EntryKind, FileDigests, Subject, SubjectKind};
pub use tarball::TarballFacts;
pub use worker::verify;
