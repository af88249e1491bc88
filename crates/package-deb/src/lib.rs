//! Packs a network's post-fork config and ledgers as the Debian package `mina-<network>-config`.
//!
//! [`package`] reads what `generate-network-config` and `migrate-ledger` wrote, compares every
//! digest, root and fork value between them, writes the package with exactly upstream's files, and
//! reads it back. With `--convert` it puts them into a daemon's package instead. [`session`] changes
//! packages that exist. [`Args`] is its command line; the binary adds nothing but reporting.
//!
//! It refuses to package ledgers the config does not name, and adds no file of its own: the layout
//! is what daemons and operators already rely on.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

mod annotation;
mod args;
mod commands;
mod convert;
mod diff;
mod error;
mod inputs;
mod package;
mod publish;
pub mod session;
mod upload;
mod worker;

pub use args::{Args, Codename, GitHash, SUITES, SeedListUrl, ValueError, program_version_wanted};
pub use commands::{Command, Commands, is_command};
pub use diff::{ComparedDeb, DebDiff, DebDifference, DiffArgs, Part};
pub use error::{DebError, DebErrorKind};
pub use inputs::Inputs;
pub use package::package;
pub use publish::{
    CheckReport, PublishArgs, PublishError, PublishReport, PublishedOtherwise, PublishedPackage,
};
pub use upload::{
    Digests, OtherBytes, UploadError, UploadLedgersArgs, UploadReport, UploadedLedger,
};
