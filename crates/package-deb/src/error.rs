//! Why a package could not be made.

use std::path::PathBuf;

use fork_fs::FsError;
use fork_package::PackageError;
use fork_types::{Class, Fault, Role};

use crate::session::SessionError;

/// A packaging error, one word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DebError(Box<DebErrorKind>);

/// The cases of [`DebError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebErrorKind {
    /// A file or document could not be read or written.
    #[error(transparent)]
    Fs(FsError),
    /// The package could not be written or read back.
    #[error(transparent)]
    Package(PackageError),
    /// Two sources that should agree do not.
    #[error("{what} is {found} in `{}`, expected {expected} as in `{}`", found_in.display(), expected_in.display())]
    Mismatch {
        /// The value.
        what: String,
        /// The side taken as right.
        expected: String,
        /// Where that stands.
        expected_in: PathBuf,
        /// The other side.
        found: String,
        /// Where that stands.
        found_in: PathBuf,
    },
    /// A config file that is not what the daemon would read.
    #[error("`{}` is not a {what}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What serde found.
        source: serde_json::Error,
    },
    /// A ledger that was not given.
    #[error("no --ledgers directory holds the {role} ledger")]
    MissingRole {
        /// The role.
        role: Role,
    },
    /// A ledger that was given twice.
    #[error("the {role} ledger was given twice: `{}` and `{}`", first.display(), second.display())]
    DuplicateRole {
        /// The role.
        role: Role,
        /// First directory.
        first: PathBuf,
        /// Second directory.
        second: PathBuf,
    },
    /// A network whose name cannot be part of a package name.
    #[error("network name `{name}` in `{}` cannot be part of a package name: lower-case letters, digits, `+`, `-` and `.` only", path.display())]
    NetworkName {
        /// The name.
        name: String,
        /// The document.
        path: PathBuf,
    },
    /// A tarball the daemon would not look for.
    #[error("tarball name `{name}` in `{}` is not `{prefix}_<hexadecimal digits>.tar.gz`", path.display())]
    TarballName {
        /// The name.
        name: String,
        /// What it should begin with.
        prefix: &'static str,
        /// The document.
        path: PathBuf,
    },
    /// Two packages that differ.
    #[error("`{}` and `{}` differ in {differences} places", left.display(), right.display())]
    Differ {
        /// One.
        left: PathBuf,
        /// The other.
        right: PathBuf,
        /// Differences found.
        differences: u64,
    },
    /// A directory that should hold a package.
    #[error("`{}` holds {found} of the packages it should hold one of", path.display())]
    NoSinglePackage {
        /// The directory.
        path: PathBuf,
        /// How many it holds, in a word.
        found: &'static str,
    },
    /// A package with too many files.
    #[error("`{}` has more than {entries_max} files and directories", path.display())]
    TooManyEntries {
        /// The package.
        path: PathBuf,
        /// The limit.
        entries_max: usize,
    },
    /// The daemon's package could not be opened, changed or saved.
    #[error(transparent)]
    Session(SessionError),
    /// An option that building a config package needs.
    #[error("--{option} is missing")]
    MissingOption {
        /// The option.
        option: &'static str,
    },
    /// A daemon's package that does not say which daemon's it is.
    #[error("cannot convert `{}`: {problem}", path.display())]
    CommitConfig {
        /// The package.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A package that has been converted.
    #[error("`{}` holds `{package}`, which is a converted package already", path.display())]
    AlreadyConverted {
        /// The package file.
        path: PathBuf,
        /// Its package name.
        package: String,
    },
    /// A daemon's package of another chain.
    #[error("`{config}` in `{}` (SHA-256 {found}) is not the config of the old chain that the fork was made from (SHA-256 {expected})", path.display())]
    Prefork {
        /// The package.
        path: PathBuf,
        /// The config in it.
        config: String,
        /// Its digest.
        found: String,
        /// Digest of the one in the network directory.
        expected: String,
    },
    /// The package read back is not the one that was to be written.
    #[error("the package just written differs from its plan: {problem}")]
    ReadBack {
        /// The difference.
        problem: String,
    },
}

impl DebError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &DebErrorKind {
        &self.0
    }
}

impl From<DebErrorKind> for DebError {
    fn from(kind: DebErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<FsError> for DebError {
    fn from(error: FsError) -> Self {
        DebErrorKind::Fs(error).into()
    }
}

impl From<PackageError> for DebError {
    fn from(error: PackageError) -> Self {
        DebErrorKind::Package(error).into()
    }
}

impl From<SessionError> for DebError {
    fn from(error: SessionError) -> Self {
        DebErrorKind::Session(error).into()
    }
}

impl Fault for DebError {
    fn class(&self) -> Class {
        match self.kind() {
            DebErrorKind::Fs(error) => error.class(),
            DebErrorKind::Package(error) => error.class(),
            DebErrorKind::Session(error) => error.class(),
            DebErrorKind::Mismatch { .. }
            | DebErrorKind::Differ { .. }
            | DebErrorKind::Prefork { .. } => Class::Wrong,
            DebErrorKind::CommitConfig { .. }
            | DebErrorKind::AlreadyConverted { .. }
            | DebErrorKind::TooManyEntries { .. }
            | DebErrorKind::Config { .. }
            | DebErrorKind::NetworkName { .. }
            | DebErrorKind::TarballName { .. } => Class::BadInput,
            DebErrorKind::MissingRole { .. }
            | DebErrorKind::DuplicateRole { .. }
            | DebErrorKind::NoSinglePackage { .. }
            | DebErrorKind::MissingOption { .. } => Class::Usage,
            DebErrorKind::ReadBack { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            DebErrorKind::Fs(error) => return error.hint(),
            DebErrorKind::Package(error) => return error.hint(),
            DebErrorKind::Session(error) => return error.hint(),
            DebErrorKind::CommitConfig { .. } => {
                "a daemon loads `config_<first 8 digits of its commit>.json` by itself; correct the name with `package-deb session`, or build the daemon's package again"
            }
            DebErrorKind::AlreadyConverted { .. } => "convert the package that it was made from",
            DebErrorKind::Prefork { .. } => {
                "convert the package of a daemon of this network, or give generate-network-config that daemon's config (--prefork-config)"
            }
            DebErrorKind::Mismatch { .. } => {
                "the ledgers and the network config come from different runs, or a file was changed; run generate-network-config again with these ledgers"
            }
            DebErrorKind::MissingRole { .. } | DebErrorKind::DuplicateRole { .. } => {
                "pass three directories, one each for genesis, staking and next"
            }
            DebErrorKind::NoSinglePackage { .. } => "name the package file",
            DebErrorKind::Config { .. }
            | DebErrorKind::Differ { .. }
            | DebErrorKind::TooManyEntries { .. }
            | DebErrorKind::NetworkName { .. }
            | DebErrorKind::TarballName { .. }
            | DebErrorKind::MissingOption { .. } => return None,
            DebErrorKind::ReadBack { .. } => "please report this as a bug",
        };
        Some(hint.to_owned())
    }
}
