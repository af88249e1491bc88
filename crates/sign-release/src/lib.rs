//! Signs and checks one statement over every artefact of a fork.
//!
//! [`collect`] reads the documents and files of a release, holds them against each other, and makes
//! the statement: which artefacts there are ([`fork_sign::Subject`]) and what is known of the fork
//! ([`Manifest`]). It follows from the inputs alone, so two people who build apart get the same bytes
//! and sign the same thing. [`Args`] is the command line: `manifest`, `sign`, `merge`, `verify`,
//! `show`, `keygen`, `public-key`.
//!
//! Nobody signs what he has not got: `sign` hashes the artefacts first. Nothing that failed its
//! verification gets a manifest. Keys are read from files or the environment, never from the command
//! line, and are in no message.
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
mod artifacts;
mod collect;
mod compare;
mod error;
mod files;
mod keys;
mod manifest;
mod products;
mod report;
mod show;
mod signing;
mod verify;

pub use args::{Args, Command};
pub use artifacts::{CheckedArtifact, Found, check_artifacts};
pub use collect::{Release, collect};
pub use error::SignError;
pub use manifest::{
    FORMAT, Manifest, ManifestChainId, ManifestForkBlock, ManifestGenesis, ManifestImage,
    ManifestInput, ManifestLedger, ManifestNetwork, ManifestPackage, PREDICATE_TYPE, VERSION,
    Verdict, VerdictWord,
};
