//! Why there are no facts.

use std::fmt;
use std::path::{Path, PathBuf};

use fork_fs::FsError;
use fork_sign::{EnvelopeError, StatementError};
use fork_types::document::DocumentError;
use fork_types::{Class, Fault};

/// Most contradictions that are told.
const TOLD_MAX: usize = 10;

/// Two documents that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What they contradict each other about.
    pub what: String,
    /// What the one says.
    pub first: String,
    /// The one.
    pub first_in: PathBuf,
    /// What the other says.
    pub second: String,
    /// The other.
    pub second_in: PathBuf,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {} in `{}` and {} in `{}`",
            self.what,
            self.first,
            self.first_in.display(),
            self.second,
            self.second_in.display()
        )
    }
}

/// An error of the command `facts`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// A document could not be read, or is another.
    #[error(transparent)]
    File(#[from] FsError),
    /// A report could not be read.
    #[error("could not read the report `{}`", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A manifest could not be read.
    #[error("could not read the manifest `{}`", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StatementError,
    },
    /// An envelope could not be read.
    #[error("could not read the envelope `{}`", path.display())]
    Envelope {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// Not one ledger of each role.
    #[error("the ledgers are not genesis, staking and next, one each: {found}")]
    Roles {
        /// Those given.
        found: String,
    },
    /// Documents that contradict each other.
    #[error("{}", told(contradictions))]
    Contradictions {
        /// All of them.
        contradictions: Vec<Contradiction>,
    },
    /// Everything agrees, but a verification failed.
    #[error("the verification failed: {}", failed.join(", "))]
    Failed {
        /// The checks.
        failed: Vec<String>,
    },
}

fn told(contradictions: &[Contradiction]) -> String {
    let mut all: Vec<String> = contradictions
        .iter()
        .take(TOLD_MAX)
        .map(ToString::to_string)
        .collect();
    if let Some(more) = contradictions
        .len()
        .checked_sub(TOLD_MAX)
        .filter(|more| *more > 0)
    {
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}

impl FactsError {
    pub(crate) fn report(path: &Path) -> impl Fn(DocumentError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Report {
            path: path.clone(),
            source,
        }
    }
}

impl Fault for FactsError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Report { .. } | Self::Manifest { .. } | Self::Envelope { .. } => Class::BadInput,
            Self::Roles { .. } => Class::Usage,
            Self::Contradictions { .. } | Self::Failed { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Report { .. } | Self::Manifest { .. } | Self::Envelope { .. } => {
                "fetch the artifact again; it must be the file that the step wrote"
            }
            Self::Roles { .. } => "name the three directories that `migrate-ledger` wrote",
            Self::Contradictions { .. } => {
                "these documents are not of one run: repeat the steps behind the first one that differs"
            }
            Self::Failed { .. } => "do not release this; the report says what is wrong",
        };
        Some(hint.to_owned())
    }
}
