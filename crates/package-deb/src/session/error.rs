//! Why a session could not be opened, changed or saved.

use std::path::PathBuf;

use fork_fs::FsError;
use fork_package::PackageError;
use fork_types::{Class, Fault};

/// A session error, one word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SessionError(Box<SessionErrorKind>);

/// The cases of [`SessionError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// A file could not be read or written.
    #[error(transparent)]
    Fs(FsError),
    /// The package could not be read or written.
    #[error(transparent)]
    Package(PackageError),
    /// A package that cannot be held in a session.
    #[error("`{}` cannot be opened: {problem}", deb.display())]
    Unsuitable {
        /// The package.
        deb: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A directory that no session was opened in, or whose document was damaged.
    #[error("`{}` is not a session: {problem}", directory.display())]
    NotASession {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Another command works on the session.
    #[error("another command is working on the session `{}`", directory.display())]
    Busy {
        /// The directory.
        directory: PathBuf,
    },
    /// A path that is not one of a package.
    #[error("`{path}` is not a path in a package: {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A path or pattern that nothing in the package fits.
    #[error("nothing in the package fits `{pattern}`")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A path that is taken.
    #[error("`{path}` is in the package already, {what}")]
    AlreadyThere {
        /// The path.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// Something that is no file.
    #[error("`{path}` is {what}, expected a file")]
    NotAFile {
        /// The path.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// Something in the session that cannot be part of a package.
    #[error("`{}` cannot be packed: {problem}", path.display())]
    Unpackable {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A value of a control field that breaks its rules.
    #[error("`{value}` cannot be the {field} of a package: {problem}")]
    Value {
        /// The field.
        field: String,
        /// The value.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// A control field that is not there.
    #[error("the control data has no field `{field}`")]
    MissingField {
        /// The field.
        field: String,
    },
    /// An output file that is there already.
    #[error("`{}` exists already", path.display())]
    OutputExists {
        /// The file.
        path: PathBuf,
    },
    /// The package read back is not the one that was to be written.
    #[error("the package just written differs from its plan: {problem}")]
    ReadBack {
        /// The difference.
        problem: String,
    },
    /// Something was changed, and the caller wanted to know by the exit code.
    #[error("{changes} changed since the package was opened")]
    Changed {
        /// How many.
        changes: usize,
    },
}

impl SessionError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &SessionErrorKind {
        &self.0
    }
}

impl From<SessionErrorKind> for SessionError {
    fn from(kind: SessionErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<FsError> for SessionError {
    fn from(error: FsError) -> Self {
        SessionErrorKind::Fs(error).into()
    }
}

impl From<PackageError> for SessionError {
    fn from(error: PackageError) -> Self {
        SessionErrorKind::Package(error).into()
    }
}

impl Fault for SessionError {
    fn class(&self) -> Class {
        match self.kind() {
            SessionErrorKind::Fs(error) => error.class(),
            SessionErrorKind::Package(error) => error.class(),
            SessionErrorKind::Unsuitable { .. }
            | SessionErrorKind::NotASession { .. }
            | SessionErrorKind::Unpackable { .. }
            | SessionErrorKind::MissingField { .. }
            | SessionErrorKind::NotAFile { .. } => Class::BadInput,
            SessionErrorKind::Path { .. }
            | SessionErrorKind::NoMatch { .. }
            | SessionErrorKind::AlreadyThere { .. }
            | SessionErrorKind::Value { .. }
            | SessionErrorKind::OutputExists { .. } => Class::Usage,
            SessionErrorKind::Busy { .. } => Class::Environment,
            SessionErrorKind::Changed { .. } => Class::Wrong,
            SessionErrorKind::ReadBack { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            SessionErrorKind::Fs(error) => return error.hint(),
            SessionErrorKind::Package(error) => return error.hint(),
            SessionErrorKind::NotASession { .. } => {
                "open the package first: package-deb session open DEB DIR"
            }
            SessionErrorKind::Busy { .. } => "wait until it has ended, and run this again",
            SessionErrorKind::Path { .. } => {
                "write the path as it will be when the package is installed, from `/` on"
            }
            SessionErrorKind::NoMatch { .. } => {
                "`package-deb session diff DIR` says what changed; `find DIR/data` lists all"
            }
            SessionErrorKind::AlreadyThere { .. } => {
                "use `replace` for new content, or `remove` it first"
            }
            SessionErrorKind::OutputExists { .. } => "name another file, or pass --force",
            SessionErrorKind::Unpackable { .. } => "remove it from the session",
            SessionErrorKind::ReadBack { .. } => "please report this as a bug",
            SessionErrorKind::Unsuitable { .. }
            | SessionErrorKind::NotAFile { .. }
            | SessionErrorKind::Value { .. }
            | SessionErrorKind::MissingField { .. }
            | SessionErrorKind::Changed { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
