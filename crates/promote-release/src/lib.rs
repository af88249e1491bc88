//! Leads a release through its process.
//!
//! `release-policy` decides; this worker reads what it decides from, and does what is then to be done:
//!
//! - a release on the disk ([`Release`]): policy, keys, hash-chained log with a signed end, signed
//!   facts and raw documents, each checked whenever it is read;
//! - facts ([`What`]): envelopes from elsewhere, or put together from a command line and signed;
//! - the artifacts, read at the moment of the decision, so that what is promoted is what was signed;
//! - effects after an `ALLOW`: looked at before, done, looked at again, recorded; a run that was killed
//!   is finished by the same command;
//! - pages, texts and lists, made from the record alone.
//!
//! What is not here: a way past a gate, a key that nobody pinned, a fact without a signature, a shell.
//! Start at [`Args`], then [`Release`].
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
mod clock;
mod deciding;
mod directory;
mod effects;
mod error;
mod fact;
mod head;
mod info;
mod inputs;
mod keys;
mod measure;
mod obligations;
mod page;
mod policies;
mod practice;
mod reading;
mod recording;
mod texts;

pub use args::{Args, Command};
pub use directory::Release;
pub use error::PromoteError;
pub use recording::What;
