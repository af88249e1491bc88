//! What a pipeline needs besides its work.
//!
//! [`environment`] has the contract between the pipeline and whoever starts it: which variables there
//! are, under which names they used to be known, and what is wrong with those that are set, all of it at
//! once. [`facts`] holds the documents of a run against each other and puts the fork on one screen.
//! [`generate`] makes pipelines that one file cannot say: for several networks, distributions and
//! machines. [`annotate`] hands what the steps noted to the agent. [`Args`] is the command line.
//!
//! Nothing here makes or changes an artefact.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

pub mod annotate;
mod args;
pub mod environment;
pub mod facts;
pub mod generate;

pub use args::{Args, Command};
