//! Why an image could not be made.

use std::path::PathBuf;

use fork_daemon::registry::RegistryError;
use fork_fs::FsError;
use fork_package::PackageError;
use fork_types::{Class, Fault};

/// An image error, one word wide.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ImageError(Box<ImageErrorKind>);

/// The cases of [`ImageError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageErrorKind {
    /// A file or document could not be read or written.
    #[error(transparent)]
    Fs(FsError),
    /// The package or the base could not be read, or the image not be written.
    #[error(transparent)]
    Package(PackageError),
    /// A registry, or the line to it.
    #[error(transparent)]
    Registry(RegistryError),
    /// Two sources that should agree do not.
    #[error("{what} of `{}` is {found}, expected {expected}", path.display())]
    Mismatch {
        /// The value.
        what: &'static str,
        /// The file that holds it.
        path: PathBuf,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A base that is no Debian system.
    #[error("the base is no system that dpkg manages: {problem}")]
    NotDebian {
        /// What is missing or strange.
        problem: String,
    },
    /// dpkg would refuse this package on this system.
    #[error("{package} cannot be installed on this base: {problem}")]
    Refused {
        /// The package.
        package: String,
        /// Why.
        problem: String,
    },
    /// dpkg would run or do something that cannot be done without running the system.
    #[error("{package} cannot be installed without running the base: {problem}")]
    NeedsRunning {
        /// The package.
        package: String,
        /// Why.
        problem: String,
    },
    /// A value of the command line that cannot be used with this package.
    #[error(transparent)]
    Value(crate::args::ValueError),
    /// Nobody says what the base runs on.
    #[error("the architecture of the base is unknown")]
    UnknownArchitecture,
    /// No tag can be made of the package's version.
    #[error("no tag can be made of version {version}")]
    NoTag {
        /// The version.
        version: String,
    },
    /// A tag too long for the digest to stand behind it.
    #[error(
        "tag `{tag}` is longer than 115 characters: the digest of the image must fit behind it"
    )]
    LongTag {
        /// The tag.
        tag: String,
    },
    /// An image in a layout that has no tag, and none was named.
    #[error("no tag is named, and the image in `{}` has none", path.display())]
    Untagged {
        /// The layout.
        path: PathBuf,
    },
    /// The docker archive is already there.
    #[error("`{}` already exists", path.display())]
    ArchiveExists {
        /// The archive.
        path: PathBuf,
    },
    /// A time no calendar has.
    #[error("time {seconds} is out of range")]
    Time {
        /// Seconds since 1970.
        seconds: u64,
        /// What the calendar says.
        source: jiff::Error,
    },
    /// The layer read back is not the one that was to be written.
    #[error("the layer just written differs from the package at `{path}`")]
    ReadBack {
        /// Path inside the image.
        path: String,
    },
}

impl ImageError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &ImageErrorKind {
        &self.0
    }
}

impl From<ImageErrorKind> for ImageError {
    fn from(kind: ImageErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<FsError> for ImageError {
    fn from(error: FsError) -> Self {
        ImageErrorKind::Fs(error).into()
    }
}

impl From<PackageError> for ImageError {
    fn from(error: PackageError) -> Self {
        ImageErrorKind::Package(error).into()
    }
}

impl From<RegistryError> for ImageError {
    fn from(error: RegistryError) -> Self {
        ImageErrorKind::Registry(error).into()
    }
}

impl Fault for ImageError {
    fn class(&self) -> Class {
        match self.kind() {
            ImageErrorKind::Fs(error) => error.class(),
            ImageErrorKind::Package(error) => error.class(),
            ImageErrorKind::Registry(error) => error.class(),
            ImageErrorKind::Mismatch { .. } | ImageErrorKind::Refused { .. } => Class::Wrong,
            ImageErrorKind::NotDebian { .. }
            | ImageErrorKind::NeedsRunning { .. }
            | ImageErrorKind::Time { .. } => Class::BadInput,
            ImageErrorKind::UnknownArchitecture
            | ImageErrorKind::Value(_)
            | ImageErrorKind::NoTag { .. }
            | ImageErrorKind::LongTag { .. }
            | ImageErrorKind::Untagged { .. }
            | ImageErrorKind::ArchiveExists { .. } => Class::Usage,
            ImageErrorKind::ReadBack { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            ImageErrorKind::Fs(error) => return error.hint(),
            ImageErrorKind::Package(error) => return error.hint(),
            ImageErrorKind::Registry(error) => return error.hint(),
            ImageErrorKind::Mismatch { .. } => {
                "pass files that belong together; run the step that made them again"
            }
            ImageErrorKind::NotDebian { .. } => {
                "use a Debian or Ubuntu image, or make one with scripts/make-base-rootfs"
            }
            ImageErrorKind::Refused { .. } => {
                "use a base without that package, such as a generic daemon image"
            }
            ImageErrorKind::NeedsRunning { .. } => {
                "this program never runs code of the package or the base; build the image with a container engine instead"
            }
            ImageErrorKind::Value(_) => {
                "pass --architecture, or a package whose control data names its codename"
            }
            ImageErrorKind::UnknownArchitecture => "pass --architecture",
            ImageErrorKind::NoTag { .. } => "pass --tag",
            ImageErrorKind::LongTag { .. } => "pass a shorter --tag",
            ImageErrorKind::Untagged { .. } => "write HOST/NAME:TAG",
            ImageErrorKind::ArchiveExists { .. } => {
                "name another --docker-archive, or pass --force to replace it"
            }
            ImageErrorKind::Time { .. } => return None,
            ImageErrorKind::ReadBack { .. } => "please report this as a bug",
        };
        Some(hint.to_owned())
    }
}
