//! Why a pipeline cannot run. A step that fails is no error of this kind: it is an outcome, see
//! [`crate::report`].

use std::io;
use std::path::{Path, PathBuf};

use fork_fs::FsError;
use fork_types::{Class, Fault};

use crate::interpolate::InterpolateError;

/// A pipeline error, one word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PipelineError(Box<PipelineErrorKind>);

/// The cases of [`PipelineError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineErrorKind {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// No file where the pipeline should be.
    #[error("there is no pipeline `{}`", path.display())]
    NoPipeline {
        /// Where.
        path: PathBuf,
    },
    /// Not YAML.
    #[error("pipeline file is not valid YAML")]
    Yaml {
        /// What the parser found.
        source: yaml_serde::Error,
    },
    /// YAML of another shape.
    #[error("{place}: {reason}")]
    Shape {
        /// Where in the pipeline.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// An attribute that would change what runs, and is not implemented here.
    #[error("{place}: attribute `{attribute}` is not supported by the local runner")]
    Unsupported {
        /// Where in the pipeline.
        place: String,
        /// The attribute.
        attribute: String,
    },
    /// A text with a variable in it.
    #[error("{place}")]
    Interpolate {
        /// Where in the pipeline.
        place: String,
        /// What is wrong.
        source: InterpolateError,
    },
    /// Two steps of one name.
    #[error("two steps have the key `{key}`")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A dependency on nothing.
    #[error("step `{step}` depends on `{dependency}`, which is not a key of this pipeline")]
    UnknownDependency {
        /// The step.
        step: String,
        /// The key it names.
        dependency: String,
    },
    /// Steps that wait for each other.
    #[error("steps wait for each other: {}", steps.join(" -> "))]
    Cycle {
        /// The steps in order; the last one is the first again.
        steps: Vec<String>,
    },
    /// The shell of the steps.
    #[error("could not start `bash`")]
    Shell {
        /// Why not.
        source: io::Error,
    },
    /// Commands that cannot be listed without running them.
    #[error("could not expand the commands of step `{step}`: {reason}")]
    Expand {
        /// The step.
        step: String,
        /// What the shell said.
        reason: String,
    },
    /// Commands that depend on what other commands do, so that nobody can list them.
    #[error("the commands of step `{step}` cannot be told without running it: {reason}")]
    Unlisted {
        /// The step.
        step: String,
        /// Why not.
        reason: String,
    },
    /// Another run works in the same directory.
    #[error("another run is working in `{}`", output.display())]
    Busy {
        /// The output directory.
        output: PathBuf,
    },
    /// A step of a run that was killed goes on, and cannot be stopped.
    #[error("process group {group}, left by a run that was killed, does not end")]
    Orphan {
        /// Number of the process group.
        group: i32,
    },
    /// A step whose result was to be used as it is.
    #[error("the result of step `{step}` cannot be used: {reason}")]
    NoResult {
        /// The step.
        step: String,
        /// Why not.
        reason: String,
    },
    /// A wrong use of the stand-in for `buildkite-agent`.
    #[error("buildkite-agent: {reason}")]
    Agent {
        /// What is wrong.
        reason: String,
    },
    /// The run was stopped before its first step.
    #[error("interrupted while {doing}")]
    Interrupted {
        /// What was being done.
        doing: &'static str,
    },
    /// What a rehearsal needs could not be made up.
    #[error("`{program}` could not make what the rehearsal needs: {problem}")]
    Rehearsal {
        /// The program beside this one.
        program: &'static str,
        /// What became of it.
        problem: String,
        /// Whether it is not there at all.
        is_missing: bool,
    },
    /// An option that contradicts itself.
    #[error("{reason}")]
    Usage {
        /// What is wrong.
        reason: String,
    },
}

impl PipelineError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &PipelineErrorKind {
        &self.0
    }

    pub(crate) fn shape(place: &str, reason: impl Into<String>) -> Self {
        PipelineErrorKind::Shape {
            place: place.to_owned(),
            reason: reason.into(),
        }
        .into()
    }

    pub(crate) fn agent(reason: impl Into<String>) -> Self {
        PipelineErrorKind::Agent {
            reason: reason.into(),
        }
        .into()
    }

    pub(crate) fn io(operation: fork_fs::Operation, path: &Path, source: io::Error) -> Self {
        FsError::io(operation, path, source).into()
    }
}

impl From<PipelineErrorKind> for PipelineError {
    fn from(kind: PipelineErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<FsError> for PipelineError {
    fn from(error: FsError) -> Self {
        PipelineErrorKind::File(error).into()
    }
}

impl Fault for PipelineError {
    fn class(&self) -> Class {
        match self.kind() {
            PipelineErrorKind::File(error) => error.class(),
            PipelineErrorKind::Interpolate {
                source: InterpolateError::Required { .. },
                ..
            }
            | PipelineErrorKind::Usage { .. }
            | PipelineErrorKind::Agent { .. } => Class::Usage,
            PipelineErrorKind::NoPipeline { .. }
            | PipelineErrorKind::Yaml { .. }
            | PipelineErrorKind::Shape { .. }
            | PipelineErrorKind::Unsupported { .. }
            | PipelineErrorKind::Interpolate { .. }
            | PipelineErrorKind::DuplicateKey { .. }
            | PipelineErrorKind::UnknownDependency { .. }
            | PipelineErrorKind::Cycle { .. }
            | PipelineErrorKind::Expand { .. }
            | PipelineErrorKind::Unlisted { .. } => Class::BadInput,
            PipelineErrorKind::NoResult { .. } => Class::Usage,
            PipelineErrorKind::Interrupted { .. } => Class::Interrupted,
            PipelineErrorKind::Shell { .. }
            | PipelineErrorKind::Rehearsal { .. }
            | PipelineErrorKind::Busy { .. }
            | PipelineErrorKind::Orphan { .. } => Class::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            PipelineErrorKind::File(error) => return error.hint(),
            PipelineErrorKind::Interpolate {
                source: InterpolateError::Required { name, .. },
                ..
            } => return Some(format!("pass --env {name}=VALUE")),
            PipelineErrorKind::NoPipeline { .. } => {
                "name it with --file, or start in the checkout that has it"
            }
            PipelineErrorKind::Unsupported { .. } => {
                "run this pipeline on Buildkite, or take the attribute out"
            }
            PipelineErrorKind::Shell { .. } => "install bash, which the agents use too",
            PipelineErrorKind::Busy { .. } => {
                "wait until it has ended, stop it, or name another --output"
            }
            PipelineErrorKind::Orphan { group } => {
                return Some(format!("look at it with `ps -g {group}`, then run again"));
            }
            PipelineErrorKind::Rehearsal {
                is_missing: false, ..
            } => "what it said stands above, and in logs/rehearsal.log of the output directory",
            PipelineErrorKind::Rehearsal { .. } => {
                "build the whole workspace (`cargo build --release --workspace`): the program must lie beside this one"
            }
            PipelineErrorKind::NoResult { .. } => "run with --resume, which makes it first",
            PipelineErrorKind::Interrupted { .. } => "go on with the same command and --resume",
            PipelineErrorKind::Yaml { .. }
            | PipelineErrorKind::Shape { .. }
            | PipelineErrorKind::Interpolate { .. }
            | PipelineErrorKind::DuplicateKey { .. }
            | PipelineErrorKind::UnknownDependency { .. }
            | PipelineErrorKind::Cycle { .. }
            | PipelineErrorKind::Expand { .. }
            | PipelineErrorKind::Unlisted { .. }
            | PipelineErrorKind::Agent { .. }
            | PipelineErrorKind::Usage { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
