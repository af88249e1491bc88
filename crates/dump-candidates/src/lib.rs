//! `dump-candidates`: what a daemon or a replayer dumped becomes one checked candidate directory.
//!
//! `import` reads a fork config, the four files of the RFC or a replayer output as a stream, writes
//! the three account lists in one form (a JSON array in leaf order, one account a line), recomputes
//! their roots and the block's state hash, and compares everything with everything else. Only a
//! candidate without a contradiction is written.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod annotation;
mod args;
mod capture;
pub mod catalog;
mod error;
mod import;
mod known;
mod list;
mod picture;
mod select;
mod sink;

pub use args::{Args, Command, ImportArgs};
pub use capture::{CaptureArgs, CaptureError, CaptureSummary, DaemonArg};
pub use error::DumpError;
pub use list::{
    ListArgs, ListDocument, ListError, ListedCandidate, ListedDaemon, ListedLedger, ReadBackError,
    StoreProblem,
};
pub use picture::{Picture, PictureForm};
pub use select::{SelectArgs, SelectError, StopSlotError};
