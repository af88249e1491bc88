//! Why a package or an image could not be written or read.

use std::io;
use std::path::{Path, PathBuf};

use fork_fs::FsError;
use fork_types::{Class, Fault};

/// A packaging error, one word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PackageError(Box<PackageErrorKind>);

/// The cases of [`PackageError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageErrorKind {
    /// A file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An archive broke off or its compression is damaged.
    #[error("could not read {what} of `{}`", archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// The part that was being read.
        what: String,
        /// What the decoder found.
        source: io::Error,
    },
    /// An archive that decodes, but is not what it should be.
    #[error("`{}` is malformed: {problem}", archive.display())]
    Malformed {
        /// The archive.
        archive: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// JSON inside an archive or layout that is not of the right shape.
    #[error("{what} of `{}` is not valid", archive.display())]
    Json {
        /// The archive or layout.
        archive: PathBuf,
        /// The document.
        what: String,
        /// What serde found.
        source: serde_json::Error,
    },
    /// A member whose name would leave the root.
    #[error("`{}` holds a member named `{member}`, which would leave the directory it is unpacked to", archive.display())]
    UnsafePath {
        /// The archive.
        archive: PathBuf,
        /// The member.
        member: String,
    },
    /// A format that exists, but is not handled here.
    #[error("`{}` uses {feature}, which is not supported", archive.display())]
    Unsupported {
        /// The archive.
        archive: PathBuf,
        /// The feature.
        feature: String,
    },
    /// Content that is not what its name says.
    #[error("{what} of `{}` has digest {found}, expected {expected}", archive.display())]
    Digest {
        /// The archive or layout.
        archive: PathBuf,
        /// The part.
        what: String,
        /// Digest it is named by.
        expected: String,
        /// Digest of the bytes.
        found: String,
    },
    /// More bytes than the format or a limit here allows.
    #[error("{what} of `{}` has {bytes} bytes; the limit is {bytes_max}", archive.display())]
    TooLarge {
        /// The archive.
        archive: PathBuf,
        /// The part.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// A file that shrank or grew while it was being packed.
    #[error("`{}` changed size while it was read: {found} bytes, {expected} at first", path.display())]
    SizeChanged {
        /// The file.
        path: PathBuf,
        /// Size at first.
        expected: u64,
        /// Size found.
        found: u64,
    },
    /// Control data that breaks the rules.
    #[error("invalid control data: {problem}")]
    Control {
        /// What is wrong.
        problem: String,
    },
    /// A package file list that breaks the rules.
    #[error("cannot package `{path}`: {problem}")]
    Contents {
        /// Path once installed.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A conffile that is not a file of its package.
    #[error("`{path}` is a conffile and not a file of the package")]
    Conffile {
        /// Path once installed.
        path: String,
    },
    /// Entries were given in another order than the deterministic one.
    #[error("archive entry `{entry}` comes after `{previous}`")]
    NotSorted {
        /// The entry.
        entry: String,
        /// The one before.
        previous: String,
    },
}

impl PackageError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &PackageErrorKind {
        &self.0
    }

    pub(crate) fn archive(archive: &Path, what: impl Into<String>, source: io::Error) -> Self {
        PackageErrorKind::Archive {
            archive: archive.to_owned(),
            what: what.into(),
            source,
        }
        .into()
    }

    pub(crate) fn malformed(archive: &Path, problem: impl Into<String>) -> Self {
        PackageErrorKind::Malformed {
            archive: archive.to_owned(),
            problem: problem.into(),
        }
        .into()
    }

    pub(crate) fn unsupported(archive: &Path, feature: impl Into<String>) -> Self {
        PackageErrorKind::Unsupported {
            archive: archive.to_owned(),
            feature: feature.into(),
        }
        .into()
    }

    pub(crate) fn control(problem: impl Into<String>) -> Self {
        PackageErrorKind::Control {
            problem: problem.into(),
        }
        .into()
    }
}

impl From<PackageErrorKind> for PackageError {
    fn from(kind: PackageErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<FsError> for PackageError {
    fn from(error: FsError) -> Self {
        PackageErrorKind::Fs(error).into()
    }
}

impl Fault for PackageError {
    fn class(&self) -> Class {
        match self.kind() {
            PackageErrorKind::Fs(error) => error.class(),
            // Only the operating system's own errors are worth trying again.
            PackageErrorKind::Archive { source, .. } if source.raw_os_error().is_some() => {
                Class::Environment
            }
            PackageErrorKind::Archive { .. }
            | PackageErrorKind::Malformed { .. }
            | PackageErrorKind::Json { .. }
            | PackageErrorKind::UnsafePath { .. }
            | PackageErrorKind::Unsupported { .. }
            | PackageErrorKind::TooLarge { .. }
            | PackageErrorKind::Control { .. }
            | PackageErrorKind::Contents { .. }
            | PackageErrorKind::Conffile { .. } => Class::BadInput,
            PackageErrorKind::Digest { .. } | PackageErrorKind::SizeChanged { .. } => Class::Wrong,
            PackageErrorKind::NotSorted { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self.kind() {
            PackageErrorKind::Fs(error) => error.hint(),
            PackageErrorKind::Archive { .. } => {
                Some("the file may be cut short; compare its size with the original".to_owned())
            }
            PackageErrorKind::Digest { .. } => {
                Some("the content was changed or damaged; fetch or build it again".to_owned())
            }
            PackageErrorKind::Conffile { .. } => Some(
                "take its line out of the control file `conffiles`, or put the file back"
                    .to_owned(),
            ),
            PackageErrorKind::Malformed { .. }
            | PackageErrorKind::Json { .. }
            | PackageErrorKind::UnsafePath { .. }
            | PackageErrorKind::Unsupported { .. }
            | PackageErrorKind::TooLarge { .. }
            | PackageErrorKind::SizeChanged { .. }
            | PackageErrorKind::Control { .. }
            | PackageErrorKind::Contents { .. }
            | PackageErrorKind::NotSorted { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_wide() {
        assert_eq!(size_of::<PackageError>(), size_of::<usize>());
    }

    #[test]
    fn a_cause_is_printed_once() {
        let error = PackageError::archive(
            Path::new("a.deb"),
            "data.tar.gz",
            io::Error::other("corrupt deflate stream"),
        );
        assert_eq!(error.to_string(), "could not read data.tar.gz of `a.deb`");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "corrupt deflate stream");
        assert_eq!(error.class(), Class::BadInput);
    }
}
