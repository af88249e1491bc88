//! What can go wrong. No message has any part of a key in it.

use std::path::PathBuf;

use fork_fs::FsError;
use fork_package::PackageError;
use fork_sign::{EnvelopeError, KeyError, StatementError};
use fork_types::document::DocumentError;
use fork_types::{Class, Fault, Role};

/// An error of a release's signing or checking.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// A file could not be read or written, or is not what its document says.
    #[error(transparent)]
    File(#[from] FsError),
    /// A package or image could not be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A report could not be read.
    #[error("could not read the report `{}`", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A key could not be used.
    #[error("could not use the key from {name}")]
    Key {
        /// A path, or the variable.
        name: String,
        /// Why not.
        source: KeyError,
    },
    /// Nothing to sign with.
    #[error("there is no key to sign with")]
    NoKey,
    /// An envelope could not be used.
    #[error("could not use the envelope `{}`", path.display())]
    Envelope {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: EnvelopeError,
    },
    /// A statement could not be used.
    #[error("could not use the statement in `{}`", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: StatementError,
    },
    /// A statement of a later release.
    #[error("the manifest in `{}` has version {found}; this build reads up to {supported}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Newest version known here.
        supported: u32,
    },
    /// A fact about an artefact that the statement does not name.
    #[error("the manifest in `{}` speaks of `{name}`, which is not among its subjects", path.display())]
    NoSubject {
        /// The file.
        path: PathBuf,
        /// The name, without control characters.
        name: String,
    },
    /// Not one of each ledger.
    #[error("{problem} {role} ledger among --ledgers")]
    Roles {
        /// `there is no` or `there are two of the`.
        problem: &'static str,
        /// Which.
        role: Role,
    },
    /// No package to make a statement about.
    #[error("there is no package")]
    NoPackage,
    /// Two of what there can be one of.
    #[error("there are two of the {what}: `{}` and `{}`", first.display(), second.display())]
    Twice {
        /// What it is.
        what: String,
        /// The first document.
        first: PathBuf,
        /// The second one.
        second: PathBuf,
    },
    /// Documents or files that do not belong together.
    #[error(
        "{what} is {found} in `{}`, expected {expected} as in `{}`",
        found_in.display(),
        expected_in.display()
    )]
    Mismatch {
        /// What differs.
        what: String,
        /// What it should be.
        expected: String,
        /// Who says so.
        expected_in: PathBuf,
        /// What it is.
        found: String,
        /// Where.
        found_in: PathBuf,
    },
    /// A report with failed checks, or with none at all.
    #[error(
        "`{}` does not say that the release is right: {failed} checks failed ({ids})",
        path.display()
    )]
    Failed {
        /// The report.
        path: PathBuf,
        /// How many failed.
        failed: usize,
        /// Which.
        ids: String,
    },
    /// A report about something else.
    #[error("`{}` is about {kind} {sha256}, which is not in this release", path.display())]
    Foreign {
        /// The report.
        path: PathBuf,
        /// Kind of its subject.
        kind: String,
        /// Digest of its subject.
        sha256: String,
    },
    /// Two reports about one thing.
    #[error("`{}` and `{}` are about the same {kind}", first.display(), second.display())]
    TwoReports {
        /// One report.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Kind of their subject.
        kind: String,
    },
    /// Two builders say different things.
    #[error("`{}` and `{}` do not say the same: {difference}", first.display(), second.display())]
    Different {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The first difference.
        difference: String,
        /// What it usually comes from.
        hint: Option<&'static str>,
    },
    /// Artefacts that are not those of the statement.
    #[error("{count} of the artefacts differ from the statement: {first}")]
    Artifacts {
        /// How many.
        count: usize,
        /// The first, in words.
        first: String,
    },
    /// Artefacts that are not there.
    #[error("{count} of {total} artefacts are not in the directories given: {names}")]
    Missing {
        /// How many.
        count: usize,
        /// Of how many.
        total: usize,
        /// Which.
        names: String,
    },
    /// Signatures in the name of trusted keys that are not theirs.
    #[error("the signature in the name of key {key} is wrong")]
    WrongSignature {
        /// The first such key.
        key: String,
    },
    /// Too few signatures.
    #[error("{found} of {threshold} signatures by different trusted keys are there")]
    Threshold {
        /// How many there are.
        found: usize,
        /// How many there must be.
        threshold: usize,
    },
    /// Something is already there.
    #[error("`{}` is already there", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// Whether --force would help.
        is_key: bool,
    },
    /// The operating system gave no random bytes.
    #[error("could not read random bytes from `{}`", path.display())]
    Random {
        /// From where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A bug.
    #[error("the statement could not be written")]
    Write(#[source] StatementError),
}

impl Fault for SignError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Package(error) => error.class(),
            Self::Key { source, .. } => source.class(),
            Self::Envelope { source, .. } => source.class(),
            Self::Report { .. }
            | Self::Statement { .. }
            | Self::TooNew { .. }
            | Self::NoSubject { .. } => Class::BadInput,
            Self::NoKey
            | Self::NoPackage
            | Self::Twice { .. }
            | Self::Roles { .. }
            | Self::TwoReports { .. }
            | Self::Exists { .. } => Class::Usage,
            Self::Mismatch { .. }
            | Self::Failed { .. }
            | Self::Foreign { .. }
            | Self::Different { .. }
            | Self::Artifacts { .. }
            | Self::WrongSignature { .. } => Class::Wrong,
            Self::Missing { .. } | Self::Threshold { .. } => Class::Pending,
            Self::Random { .. } => Class::Environment,
            Self::Write(_) => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Package(error) => return error.hint(),
            Self::Key { source, .. } => return source.hint(),
            Self::Envelope { source, .. } => return source.hint(),
            Self::Different { hint, .. } => (*hint)?,
            Self::NoKey => {
                "name a file with --key, or put the text of one into FORKPACK_SIGNING_KEY"
            }
            Self::Report { .. } => "pass the directory that verify-package wrote, unchanged",
            Self::Statement { .. } | Self::NoSubject { .. } => {
                "pass what `sign-release manifest` or `sign` wrote, unchanged"
            }
            Self::TooNew { .. } => "use the release of these tools that wrote it",
            Self::Roles { .. } => {
                "name the directories of the genesis, the staking and the next ledger, each once"
            }
            Self::NoPackage => "pass what `package-deb` wrote with --deb",
            Self::Twice { .. } => "pass one directory for each distribution and architecture",
            Self::Mismatch { .. } => {
                "pass the directories of one run; if they are, a file was changed after its step wrote it"
            }
            Self::Failed { .. } => "nothing that failed its verification is signed; see the report",
            Self::Foreign { .. } => "verify exactly these files, and pass that report",
            Self::TwoReports { .. } => "pass one report for the package and one for the image",
            Self::Artifacts { .. } => {
                "do not use these files; fetch them again, and ask who made them if they stay different"
            }
            Self::Missing { .. } => "name every directory that holds artefacts with --artifacts",
            Self::WrongSignature { .. } => {
                "the signature was made over something else, or was damaged; get the envelope again from its signer"
            }
            Self::Threshold { .. } => {
                "bring in the missing signatures with `sign-release merge`, or ask more people to sign"
            }
            Self::Exists { is_key: true, .. } => {
                "keys are never overwritten: name another directory"
            }
            Self::Exists { is_key: false, .. } => {
                "name another --output, or pass --force to replace it"
            }
            Self::Random { .. } | Self::Write(_) => return None,
        };
        Some(hint.to_owned())
    }
}
