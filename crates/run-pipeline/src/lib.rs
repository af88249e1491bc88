//! Runs `pipeline/pipeline.yml`, a valid Buildkite pipeline, on one machine.
//!
//! Buildkite is the engine for many machines, this is the one for a single machine; both read the
//! same file and start the same command lines. What this crate refuses to do is guess: an
//! attribute that would change what runs is an error unless it is implemented, and a step sees the
//! artifacts of the steps it depends on and nothing else of theirs.
//!
//! Start at [`Pipeline::parse`], then [`Pipeline::resolve`] (variables, graph), then [`run()`].
//! [`commands()`] lists the worker command lines without running any, for tests of the pipeline
//! file. [`fingerprint`] is what decides whether a result can be used again. [`agent`] is what the steps call as `buildkite-agent`.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

pub mod agent;
pub mod annotations;
pub mod answers;
pub mod artifacts;
pub mod cache;
pub mod cli;
mod commands;
mod contents;
mod error;
pub mod fingerprint;
pub mod forecast;
pub mod glob;
mod graph;
pub mod history;
mod layout;
pub mod live;
pub mod memory;
mod output;
pub mod page;
mod pipeline;
mod planned;
mod preview;
pub mod process;
mod rehearse;
pub mod report;
mod run;
pub mod slots;
pub mod spent;
pub mod state;
mod unused;
pub mod uploads;

pub use commands::{commands, step_commands};
pub use error::{PipelineError, PipelineErrorKind};
pub use fork_worker::interpolate::{self, Environment, InterpolateError, interpolate};
pub use layout::Layout;
pub use pipeline::{Addition, Concurrency, Field, FieldKind, Gate, Pipeline, Plan, Retry, Step};
pub use run::{Options, Reuse, run};
