//! Proves a fork package, or says exactly what is wrong with it.
//!
//! [`Subject`] is what is verified: a `.deb`, an installed root, an image, or the directory that a
//! daemon wrote by itself. [`Reference`] is what it is held against: a candidate, its block, a network,
//! the old chain's config. [`Facts`] is everything that was computed from both, once, on all cores.
//! The [`CHECKS`] are a flat table over the facts; every one of them is run, whatever the others found,
//! and [`ReportDocument`] has all findings. A new check is a line in a table of `checks` and a function.
//!
//! With a node that was started from the package, [`NodeFacts`] are what that node shows.
//! `report.html` is the same report for people; it is made from the document alone ([`page`]).
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

mod against;
mod annotation;
mod args;
mod checks;
mod claims;
mod config;
mod config_schema;
mod converted;
mod daemon;
mod differences;
mod dpkg;
mod earlier;
mod error;
mod explain;
mod facts;
mod figures;
mod html;
mod human;
mod ledgers;
mod limited_json;
mod pass;
mod reference;
mod report;
mod series;
mod subject;
mod summary;
mod tarball;
mod worker;

pub use args::{AgainstRef, Args, Explain, ImageRef, StoreReading, SubjectArgs};
pub use checks::{CHECKS, Check, Finding};
pub use config::ConfigView;
pub use daemon::{
    AccountFacts, AskedNode, Boot, ExportFacts, ExportProblem, NodeArgs, NodeFacts, NotSampled,
};
pub use differences::Differences;
pub use dpkg::{DpkgAnswer, DpkgFacts};
pub use error::VerifyError;
pub use explain::Explanation;
pub use facts::Facts;
pub use html::{HTML_FILE, page};
pub use ledgers::{LedgerFacts, Source, StoreFacts};
pub use reference::Reference;
pub use report::{
    Effect, NodeState, Outcome, Part, ReportCheck, ReportComparison, ReportCoverage, ReportCurves,
    ReportDifference, ReportDocument, ReportEdge, ReportEvent, ReportExport, ReportFacts,
    ReportFile, ReportForkBlock, ReportGap, ReportGenesis, ReportInput, ReportLedger,
    ReportLedgerSeries, ReportMissed, ReportNode, ReportSample, ReportSeries, ReportSubject,
    ReportTarball,
};
pub use series::{Holding, Series};
pub use subject::{Entry, EntryKind, FileDigests, Subject, SubjectKind};
pub use tarball::TarballFacts;
pub use worker::verify;
