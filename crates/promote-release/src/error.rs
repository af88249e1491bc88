//! What can go wrong, and what to do about it.

use std::path::{Path, PathBuf};

use fork_fs::FsError;
use fork_package::PackageError;
use fork_sign::openpgp::OpenPgpError;
use fork_sign::{EnvelopeError, KeyError};
use fork_types::{Class, Fault};
use release_policy::log::LogError;
use release_policy::policy::PolicyError;
use release_policy::state::StateError;
use release_policy::statement::StatementError;
use release_policy::store::StoreError;
use release_policy::version::VersionError;

/// Why a command ended otherwise than it was meant to.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// A file or directory.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A package or image that cannot be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A policy or a file of keys.
    #[error("`{}`", path.display())]
    Policy {
        /// The file, or the name of a policy that ships.
        path: PathBuf,
        /// What is wrong.
        source: PolicyError,
    },
    /// A file that is not text.
    #[error("`{}` is not UTF-8", path.display())]
    Text {
        /// The file.
        path: PathBuf,
    },
    /// A key that cannot be read.
    #[error("{name}")]
    Key {
        /// Where it is from; no part of it.
        name: String,
        /// What is wrong.
        source: KeyError,
    },
    /// An OpenPGP key or signature.
    #[error("`{name}`")]
    OpenPgp {
        /// The file.
        name: String,
        /// What is wrong.
        source: OpenPgpError,
    },
    /// A file of keys that does not hold together.
    #[error("the keys in `{}`: {problem}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No key where one is needed.
    #[error("there is no key to sign {what}")]
    NoKey {
        /// What has to be signed.
        what: &'static str,
        /// The variable that may hold it.
        variable: &'static str,
    },
    /// A key that may not sign this.
    #[error("key {key} may not sign {what}: `keys.toml` does not list it")]
    KeyNotListed {
        /// The key.
        key: String,
        /// What it would sign.
        what: &'static str,
    },
    /// An envelope that cannot be used.
    #[error("`{}`", path.display())]
    Envelope {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// An envelope without a good signature, or with a bad one.
    #[error("`{}`: {problem}", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A statement that is not understood.
    #[error("`{}`", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: StatementError,
    },
    /// A statement that could not be written.
    #[error("the statement could not be written")]
    Write(#[source] fork_sign::StatementError),
    /// A file that is not what its name says.
    #[error("`{}` is {found}, expected {expected}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// What its name or the record says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A record that does not hold together.
    #[error("`{}`", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LogError,
    },
    /// A record that does not belong to the files beside it.
    #[error("`{}`: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A question that cannot be asked.
    #[error("the record in `{}`", path.display())]
    State {
        /// The release.
        path: PathBuf,
        /// What is wrong.
        source: StateError,
    },
    /// A document that is too large.
    #[error("`{}`", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// A version.
    #[error("the version")]
    Version(#[from] VersionError),
    /// Somebody else is writing.
    #[error("another command is writing to the release `{}`", path.display())]
    Locked {
        /// The release.
        path: PathBuf,
    },
    /// There is a release already.
    #[error("`{}` is there already", path.display())]
    Exists {
        /// The directory or file.
        path: PathBuf,
    },
    /// Beyond a limit.
    #[error("{what}: {found}, the limit is {limit}")]
    Limit {
        /// What is limited.
        what: String,
        /// How much there is.
        found: u64,
        /// How much there may be.
        limit: u64,
    },
    /// An argument or a document that is not what it should be.
    #[error("{what}: {problem}")]
    Input {
        /// What was read.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// Two things that should be one.
    #[error("{what} is {found}, expected {expected}")]
    Wrong {
        /// What was compared.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A wrong use that clap cannot see.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The answer is no.
    #[error("{verb} {stage}: DENY by {gates}")]
    Denied {
        /// What was asked.
        verb: &'static str,
        /// The stage.
        stage: String,
        /// The rules.
        gates: String,
    },
    /// The answer is: not yet.
    #[error("{verb} {stage}: PEND by {gates}{until}")]
    Pending {
        /// What was asked.
        verb: &'static str,
        /// The stage.
        stage: String,
        /// The rules.
        gates: String,
        /// When to ask again, in words; empty when people are missing.
        until: String,
    },
    /// Somebody still has to do something.
    #[error("{open} are open, {overdue} of them overdue")]
    Open {
        /// How many are not done.
        open: usize,
        /// How many should be.
        overdue: usize,
    },
    /// A record with problems.
    #[error("the record in `{}` does not hold: {count} problems, the first: {first}", path.display())]
    Audit {
        /// The release.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
    /// Something that was allowed could not be done.
    #[error("{what} `{target}`: {problem}")]
    Effect {
        /// Who does it.
        what: String,
        /// What it is done to.
        target: String,
        /// What went wrong.
        problem: String,
    },
    /// Nobody is named who does it.
    #[error("nothing is named that does `{executor}` for `{target}`")]
    NoExecutor {
        /// Who should do it.
        executor: String,
        /// What it would be done to.
        target: String,
    },
    /// A practice run that did not go as written.
    #[error("practice of `{policy}`: {problem}")]
    Practice {
        /// The policy.
        policy: String,
        /// What went otherwise.
        problem: String,
    },
    /// A result that is no JSON; a bug.
    #[error("the result could not be written as JSON")]
    Json(#[source] serde_json::Error),
}

impl PromoteError {
    pub(crate) fn input(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Input {
            what: what.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::input(format!("`{}`", path.display()), problem)
    }
}

impl Fault for PromoteError {
    fn class(&self) -> Class {
        match self {
            Self::Fs(error) => error.class(),
            Self::Package(error) => error.class(),
            Self::Policy { source, .. } => match source {
                PolicyError::Option { .. } => Class::Usage,
                _ => Class::BadInput,
            },
            Self::Key { source, .. } => source.class(),
            Self::Envelope { source, .. } => source.class(),
            Self::Log { source, .. } => source.class(),
            Self::State { source, .. } => source.class(),
            Self::Store { source, .. } => source.class(),
            Self::Text { .. }
            | Self::OpenPgp { .. }
            | Self::Keys { .. }
            | Self::Signature { .. }
            | Self::Statement { .. }
            | Self::Digest { .. }
            | Self::Record { .. }
            | Self::Version(_)
            | Self::Limit { .. }
            | Self::Input { .. } => Class::BadInput,
            Self::NoKey { .. }
            | Self::KeyNotListed { .. }
            | Self::Exists { .. }
            | Self::Usage { .. }
            | Self::NoExecutor { .. } => Class::Usage,
            Self::Denied { .. } | Self::Audit { .. } | Self::Wrong { .. } => Class::Wrong,
            Self::Pending { .. } | Self::Open { .. } => Class::Pending,
            Self::Locked { .. } | Self::Effect { .. } => Class::Environment,
            Self::Write(_) | Self::Practice { .. } | Self::Json(_) => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Fs(error) => return error.hint(),
            Self::Package(error) => return error.hint(),
            Self::Key { source, .. } => return source.hint(),
            Self::Envelope { source, .. } => return source.hint(),
            Self::Usage { hint, .. } => return Some(hint.clone()),
            Self::NoKey { variable, .. } => {
                return Some(format!(
                    "give --key FILE, or the text of the key in the variable {variable}; keys are made by `sign-release keygen`"
                ));
            }
            Self::KeyNotListed { .. } => {
                "the file of keys is pinned when the release is opened; a new key needs a new release"
            }
            Self::Locked { .. } => "run again when it has ended",
            Self::Exists { .. } => "name another directory; a record is never replaced",
            Self::Denied { .. } => {
                "each rule above says what to do next; `promote-release explain RULE` says why it is there"
            }
            Self::Pending { .. } => "ask again then; nothing was changed",
            Self::Audit { .. } => {
                "compare with a copy of the record from elsewhere before anything is promoted"
            }
            Self::Effect { .. } => {
                "the decision stands: the same command goes on where this one stopped"
            }
            Self::NoExecutor { .. } => {
                "name a program for it in the file of --effects; the decision stands, and the same command goes on"
            }
            Self::Log {
                source: LogError::Clock { .. },
                ..
            }
            | Self::State {
                source: StateError::Clock { .. },
                ..
            } => "the record does not go back in time: leave --now out, or give a later one",
            Self::Digest { .. } | Self::Record { .. } | Self::Log { .. } => {
                "somebody changed the record, or a copy of it is damaged: take the untouched one"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
