//! Why there is no pipeline.

use fork_fs::FsError;
use fork_types::{Class, Fault};
use fork_worker::interpolate::InterpolateError;

/// An error of the command `generate`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FsError),
    /// Not YAML.
    #[error("{what} is not YAML")]
    Yaml {
        /// What was read.
        what: String,
        /// What is wrong with it.
        source: yaml_serde::Error,
    },
    /// Not TOML.
    #[error("{what} is not TOML")]
    Toml {
        /// What was read.
        what: String,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// Not what it should be.
    #[error("{what} {problem}")]
    Shape {
        /// What was read, or the place in it.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A wish the pipeline has no place for.
    #[error("{problem}")]
    NoPlace {
        /// What is missing.
        problem: String,
    },
    /// Variables could not be replaced.
    #[error("could not replace the variables of {place}")]
    Interpolate {
        /// Where.
        place: String,
        /// Why not.
        source: InterpolateError,
    },
    /// A text no upload would leave as it is.
    #[error("{place} holds a `$` that agents do not read alike: `{text}`")]
    Unwritable {
        /// Where.
        place: String,
        /// The text.
        text: String,
    },
    /// A command that several networks would mix.
    #[error("{place} cannot be repeated for several networks: {problem}")]
    Mixed {
        /// Where.
        place: String,
        /// What it does.
        problem: String,
    },
}

impl GenerateError {
    pub(crate) fn shape(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Shape {
            what: what.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn mixed(place: &str, problem: impl Into<String>) -> Self {
        Self::Mixed {
            place: place.to_owned(),
            problem: problem.into(),
        }
    }
}

impl Fault for GenerateError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::NoPlace { .. } => Class::Usage,
            Self::Interpolate { source, .. } => match source {
                InterpolateError::Required { .. } => Class::Usage,
                InterpolateError::Syntax { .. } => Class::BadInput,
            },
            Self::Yaml { .. }
            | Self::Toml { .. }
            | Self::Shape { .. }
            | Self::Unwritable { .. }
            | Self::Mixed { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Interpolate { .. } => {
                "variables of the pipeline's `env` block come from the table of the network, or from \
                 the table `all`"
            }
            Self::Unwritable { .. } => "leave the `$` out of the value",
            Self::Mixed { .. } => {
                "write it as the other steps do: fetch into `.`, and name steps by their keys"
            }
            Self::Yaml { .. } | Self::Toml { .. } | Self::Shape { .. } | Self::NoPlace { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}
