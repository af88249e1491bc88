//! Why ledgers were not uploaded.

use std::io;
use std::path::PathBuf;

use fork_daemon::StoreError;
use fork_fs::FsError;
use fork_types::{Class, Fault};
use fork_worker::InputError;

use super::local::Digests;

/// An object with other bytes than the tarball of its name.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{key}` is in the store `{store}` with SHA-256 {} and SHA3-256 {} ({} bytes); `{}` has SHA-256 {} and SHA3-256 {} ({} bytes); {content}",
    found.sha256, found.s3_data_hash, found.bytes, path.display(), expected.sha256, expected.s3_data_hash, expected.bytes
)]
pub struct OtherBytes {
    /// The bucket.
    pub store: String,
    /// The object.
    pub key: String,
    /// The local tarball.
    pub path: PathBuf,
    /// What the local tarball is.
    pub expected: Digests,
    /// What the object is.
    pub found: Digests,
    /// What the object holds.
    pub content: String,
}

/// Why ledgers were not uploaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// A local file.
    #[error(transparent)]
    File(#[from] FsError),
    /// The bucket.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The public URL.
    #[error(transparent)]
    Fetch(#[from] InputError),
    /// A tarball in a directory of its own, which no daemon asks for.
    #[error("`{name}` in the ledger document of `{}` is no plain file name", directory.display())]
    Name {
        /// The ledger's directory.
        directory: PathBuf,
        /// The name.
        name: String,
    },
    /// A tarball that is not what its document says.
    #[error("`{}` has SHA3-256 {found}, its ledger document says {expected}", path.display())]
    Document {
        /// The tarball.
        path: PathBuf,
        /// What the document says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Two tarballs for one name.
    #[error("`{}` and `{}` have the same name and different bytes", first.display(), second.display())]
    Twice {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// An object with other bytes.
    #[error(transparent)]
    Differs(Box<OtherBytes>),
    /// An object that cannot be a ledger.
    #[error("`{key}` in the store `{store}` has more than {bytes_max} bytes")]
    TooLarge {
        /// The bucket.
        store: String,
        /// The object.
        key: String,
        /// The limit.
        bytes_max: u64,
    },
    /// A download that broke off.
    #[error("the download of `{url}` broke off")]
    Download {
        /// The URL.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// Other bytes at the public URL than in the bucket.
    #[error("`{url}` has SHA3-256 {found}, expected {expected}")]
    Public {
        /// The URL.
        url: String,
        /// What was uploaded.
        expected: String,
        /// What comes from there.
        found: String,
    },
}

impl Fault for UploadError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Fetch(error) => error.class(),
            Self::Name { .. } => Class::BadInput,
            Self::Document { .. }
            | Self::Twice { .. }
            | Self::Differs(_)
            | Self::TooLarge { .. }
            | Self::Public { .. } => Class::Wrong,
            Self::Download { .. } => Class::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Fetch(_) => {
                "the tarballs are in the bucket; check that it lets everybody read, and --public-url"
            }
            Self::Name { .. } => return None,
            Self::Document { .. } => {
                "the file changed since it was written; run migrate-ledger again"
            }
            Self::Twice { .. } => "the directories are of different runs; name those of one",
            Self::Differs(_) => {
                "nothing was uploaded; daemons check the SHA3-256 that their config names, so find \
                 out which config names the published one before anything is removed by hand"
            }
            Self::TooLarge { .. } => "nothing was uploaded; find out who stored it",
            Self::Download { .. } => "run the same command again; what is stored already stays",
            Self::Public { .. } => {
                "a daemon that downloads it refuses it: check --public-url, and what caches between \
                 it and the bucket"
            }
        };
        Some(hint.to_owned())
    }
}
