//! File errors: every one names its path.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fork_types::document::{DocumentError, FileRef};
use fork_types::{Class, Fault};

use crate::hashing::Digested;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening a file.
    Open,
    /// Reading from a file.
    Read,
    /// Reading a directory.
    ReadDirectory,
    /// Creating a file.
    Create,
    /// Creating a directory.
    CreateDirectory,
    /// Writing to a file.
    Write,
    /// Flushing to the disk.
    Sync,
    /// Renaming into place.
    Rename,
    /// Removing.
    Remove,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::ReadDirectory => "read directory",
            Self::Create => "create",
            Self::CreateDirectory => "create directory",
            Self::Write => "write",
            Self::Sync => "flush to disk",
            Self::Rename => "rename into place",
            Self::Remove => "remove",
        })
    }
}

/// A file error, one word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FsError(Box<FsErrorKind>);

/// The cases of [`FsError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsErrorKind {
    /// The operating system refused.
    #[error("could not {operation} `{}`", path.display())]
    Io {
        /// What was being done.
        operation: Operation,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory where a file is needed.
    #[error("`{}` is a directory, expected a file", path.display())]
    IsDirectory {
        /// The path.
        path: PathBuf,
    },
    /// A file beyond the limit for its kind.
    #[error("`{}` is larger than {bytes_max} bytes, the limit for such a file", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// A malformed document.
    #[error("could not read document `{}`", path.display())]
    Document {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A file that is not what its document says.
    #[error(
        "`{}` has SHA-256 {found_sha256} ({found_bytes} bytes), expected {expected_sha256} ({expected_bytes} bytes)",
        path.display()
    )]
    Digest {
        /// The path.
        path: PathBuf,
        /// Digest the document names.
        expected_sha256: String,
        /// Size the document names.
        expected_bytes: u64,
        /// Digest of the file.
        found_sha256: String,
        /// Size of the file.
        found_bytes: u64,
    },
    /// A name that would leave its directory.
    #[error("name `{name}` leaves its directory `{}`", directory.display())]
    UnsafeName {
        /// The directory.
        directory: PathBuf,
        /// The name.
        name: String,
    },
    /// A symbolic link where none may be followed.
    #[error("`{}` is a symbolic link, which is not followed there", path.display())]
    Link {
        /// The path.
        path: PathBuf,
    },
    /// A pipe, device or link where a file is needed.
    #[error("`{}` is not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// More of something than there may be.
    #[error("`{}` has more than {max} {what}", path.display())]
    TooMany {
        /// The path.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The output is already there.
    #[error("output directory `{}` already exists and is not empty", path.display())]
    OutputExists {
        /// The path.
        path: PathBuf,
    },
    /// The output path is taken by something that is not a directory.
    #[error("output path `{}` exists and is not a directory", path.display())]
    OutputNotDirectory {
        /// The path.
        path: PathBuf,
    },
    /// Too little room.
    #[error(
        "the file system of `{}` has {free_bytes} bytes free, {needed_bytes} are needed",
        path.display()
    )]
    NoSpace {
        /// A path on that file system.
        path: PathBuf,
        /// Needed.
        needed_bytes: u64,
        /// Free.
        free_bytes: u64,
    },
}

impl FsError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &FsErrorKind {
        &self.0
    }

    /// An operating system error at `path`.
    #[must_use]
    pub fn io(operation: Operation, path: &Path, source: io::Error) -> Self {
        Self(Box::new(FsErrorKind::Io {
            operation,
            path: path.to_owned(),
            source,
        }))
    }

    pub(crate) fn is_directory(path: &Path) -> Self {
        Self(Box::new(FsErrorKind::IsDirectory {
            path: path.to_owned(),
        }))
    }

    pub(crate) fn too_large(path: &Path, bytes_max: u64) -> Self {
        Self(Box::new(FsErrorKind::TooLarge {
            path: path.to_owned(),
            bytes_max,
        }))
    }

    pub(crate) fn link(path: &Path) -> Self {
        Self(Box::new(FsErrorKind::Link {
            path: path.to_owned(),
        }))
    }

    pub(crate) fn not_a_file(path: &Path) -> Self {
        Self(Box::new(FsErrorKind::NotAFile {
            path: path.to_owned(),
        }))
    }

    pub(crate) fn too_many(path: &Path, what: &'static str, max: usize) -> Self {
        Self(Box::new(FsErrorKind::TooMany {
            path: path.to_owned(),
            what,
            max,
        }))
    }

    /// Whether the operating system says that there is no such thing.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(
            self.kind(),
            FsErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::NotFound
        )
    }

    pub(crate) fn document(path: &Path, source: DocumentError) -> Self {
        Self(Box::new(FsErrorKind::Document {
            path: path.to_owned(),
            source,
        }))
    }

    pub(crate) fn digest(path: &Path, expected: &FileRef, found: &Digested) -> Self {
        Self(Box::new(FsErrorKind::Digest {
            path: path.to_owned(),
            expected_sha256: expected.sha256.clone(),
            expected_bytes: expected.bytes,
            found_sha256: found.sha256.clone(),
            found_bytes: found.bytes,
        }))
    }

    pub(crate) fn unsafe_name(directory: &Path, name: &str) -> Self {
        Self(Box::new(FsErrorKind::UnsafeName {
            directory: directory.to_owned(),
            name: name.to_owned(),
        }))
    }

    pub(crate) fn output_exists(path: &Path) -> Self {
        Self(Box::new(FsErrorKind::OutputExists {
            path: path.to_owned(),
        }))
    }

    pub(crate) fn output_not_directory(path: &Path) -> Self {
        Self(Box::new(FsErrorKind::OutputNotDirectory {
            path: path.to_owned(),
        }))
    }

    pub(crate) fn no_space(path: &Path, needed_bytes: u64, free_bytes: u64) -> Self {
        Self(Box::new(FsErrorKind::NoSpace {
            path: path.to_owned(),
            needed_bytes,
            free_bytes,
        }))
    }
}

impl Fault for FsError {
    fn class(&self) -> Class {
        match self.kind() {
            // A missing input is the caller's; everything else the operating system says may be
            // different the next time.
            FsErrorKind::Io {
                operation: Operation::Open | Operation::Read | Operation::ReadDirectory,
                source,
                ..
            } if matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::UnexpectedEof
            ) =>
            {
                Class::BadInput
            }
            FsErrorKind::Io { .. } | FsErrorKind::NoSpace { .. } => Class::Environment,
            FsErrorKind::IsDirectory { .. }
            | FsErrorKind::TooLarge { .. }
            | FsErrorKind::Document { .. }
            | FsErrorKind::UnsafeName { .. }
            | FsErrorKind::Link { .. }
            | FsErrorKind::NotAFile { .. }
            | FsErrorKind::TooMany { .. } => Class::BadInput,
            FsErrorKind::Digest { .. } => Class::Wrong,
            FsErrorKind::OutputExists { .. } | FsErrorKind::OutputNotDirectory { .. } => {
                Class::Usage
            }
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            FsErrorKind::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the path; nothing was written",
                io::ErrorKind::PermissionDenied => "run as a user who may do this",
                io::ErrorKind::StorageFull => {
                    "free some space and run the same command again; nothing half-written was left"
                }
                _ => return None,
            },
            FsErrorKind::Digest { .. } => {
                "the file was changed or damaged after its document was written; run the step that made it again"
            }
            FsErrorKind::OutputExists { .. } => {
                "name another --output, or pass --force to replace it"
            }
            FsErrorKind::NoSpace { .. } => "free some space or choose another --output",
            FsErrorKind::Document { .. } => {
                "pass the directory that the step before wrote, unchanged"
            }
            FsErrorKind::Link { .. } => "remove the link, or put what it leads to in its place",
            FsErrorKind::IsDirectory { .. }
            | FsErrorKind::TooLarge { .. }
            | FsErrorKind::UnsafeName { .. }
            | FsErrorKind::NotAFile { .. }
            | FsErrorKind::TooMany { .. }
            | FsErrorKind::OutputNotDirectory { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
