//! Why packages were not published.

use std::path::PathBuf;

use fork_daemon::StoreError;
use fork_fs::FsError;
use fork_package::PackageError;
use fork_sign::openpgp::OpenPgpError;
use fork_types::{Class, Fault};
use fork_worker::UsageError;

/// A package that is published with other bytes.
#[derive(Debug, thiserror::Error)]
#[error(
    "{package} {version} for {architecture} is published with SHA-256 {published}; `{}` has {given}",
    path.display()
)]
pub struct PublishedOtherwise {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Digest of what is published.
    pub published: String,
    /// The file that was given.
    pub path: PathBuf,
    /// Its digest.
    pub given: String,
}

/// Why packages were not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A local file.
    #[error(transparent)]
    File(#[from] FsError),
    /// A package that cannot be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key.
    #[error(transparent)]
    Key(#[from] OpenPgpError),
    /// The command line.
    #[error(transparent)]
    Usage(UsageError),
    /// A directory without packages.
    #[error("there is no *.deb in `{}`", path.display())]
    NoPackage {
        /// The directory.
        path: PathBuf,
    },
    /// A package that an index cannot list.
    #[error("`{}` cannot be published", path.display())]
    Control {
        /// The package.
        path: PathBuf,
        /// Why not.
        source: PackageError,
    },
    /// A package that is published with other bytes.
    #[error(transparent)]
    Published(Box<PublishedOtherwise>),
    /// One package twice on the command line, with different bytes.
    #[error("`{}` and `{}` are the same package and version with different bytes", first.display(), second.display())]
    Twice {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// No suite of that name.
    #[error("there is no suite `{suite}` in the store `{store}`")]
    NoSuite {
        /// The store.
        store: String,
        /// The suite.
        suite: String,
    },
    /// A suite without a signature.
    #[error(
        "`{key}` is in the store `{store}`, and there is no InRelease beside it: the suite is not signed"
    )]
    Unsigned {
        /// The store.
        store: String,
        /// The object.
        key: String,
    },
    /// A suite that was signed by nobody who is believed.
    #[error("the signature of `{key}` in the store `{store}` is not believed")]
    Signature {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// Why not.
        source: OpenPgpError,
    },
    /// A signed file that this program would not have written.
    #[error("`{key}` in the store `{store}` is signed, but not in the form that is written here")]
    Foreign {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// What is different.
        source: PackageError,
    },
    /// A signed file that is about something else.
    #[error("`{key}` in the store `{store}` is signed, but {problem}")]
    Contradiction {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// What it says.
        problem: String,
    },
    /// An index that is not what the signed file says.
    #[error("`{key}` in the store `{store}` {problem}, although the signed Release names it")]
    Index {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A date before that of what is there.
    #[error("the suite is of {published}, which is after {date}")]
    Date {
        /// Date of what is there.
        published: String,
        /// The date that was given.
        date: String,
    },
    /// Another publisher was first.
    #[error("somebody else published to `{key}` in the store `{store}` at the same time")]
    Lost {
        /// The store.
        store: String,
        /// The object.
        key: String,
    },
    /// A check that found something.
    #[error("the repository `{repository}` has problems: {problems}")]
    Problems {
        /// The repository.
        repository: String,
        /// How many.
        problems: usize,
    },
    /// What is about to be published cannot be read back: a bug.
    #[error("the new state of the suite cannot be written")]
    Internal(#[source] PackageError),
}

impl Fault for PublishError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Package(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::Usage(error) => error.class(),
            Self::NoPackage { .. }
            | Self::NoSuite { .. }
            | Self::Control { .. }
            | Self::Foreign { .. } => Class::BadInput,
            Self::Published(_)
            | Self::Twice { .. }
            | Self::Unsigned { .. }
            | Self::Signature { .. }
            | Self::Contradiction { .. }
            | Self::Index { .. }
            | Self::Date { .. }
            | Self::Problems { .. } => Class::Wrong,
            Self::Lost { .. } => Class::Environment,
            Self::Internal(_) => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Package(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Key(error) => return error.hint(),
            Self::Usage(error) => return error.hint(),
            Self::NoPackage { .. } | Self::Control { .. } | Self::Problems { .. } => return None,
            Self::Published(_) => {
                "nothing was changed; a published package keeps its bytes for ever: build it under \
                 another version"
            }
            Self::Twice { .. } => "name only the right one",
            Self::Unsigned { .. } => {
                "nothing was changed; publish to another suite or an empty place, and move the \
                 packages there"
            }
            Self::Signature { .. } => {
                "nothing was changed; if the key was changed, name the old public key with \
                 --previous-key; otherwise find out who wrote there"
            }
            Self::Foreign { .. } => {
                "nothing was changed; publish to another suite, and move the packages there"
            }
            Self::NoSuite { .. } => "check --repository and --suite",
            Self::Contradiction { .. } => "nothing was changed; check --repository and --suite",
            Self::Index { .. } => {
                "nothing was changed; put the object back, or publish all packages to another suite"
            }
            Self::Date { .. } => {
                "apt never goes back in time: give a later --date, and check the clock"
            }
            Self::Lost { .. } => {
                "run the same command again; what is stored already stays, and neither of the two \
                 is lost"
            }
            Self::Internal(_) => "please report this as a bug",
        };
        Some(hint.to_owned())
    }
}
