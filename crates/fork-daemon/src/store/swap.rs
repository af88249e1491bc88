//! Replacing an object only when nobody else did since it was read.

use std::sync::Arc;

use bytes::Bytes;
use fork_fs::{FileLock, FsError};
use object_store::{ObjectMeta, PutMode, UpdateVersion};

use super::StoreError;
use super::download::Download;
use super::error::{Action, Trouble};
use super::local::Local;
use super::remote::Remote;
use super::sha256_hex;

/// The lock of a directory. No object can have this name.
const LOCK: &str = ".replace.lock";

/// Which state of an object was read, for [`Store::replace_if`](super::Store::replace_if).
///
/// In a directory that is its content. A service tells states apart by an entity tag or a generation
/// number of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// SHA-256 of the content.
    Content(String),
    /// What the service says.
    Service {
        e_tag: Option<String>,
        generation: Option<String>,
    },
}

impl Version {
    fn of(meta: &ObjectMeta) -> Self {
        Self(Kind::Service {
            e_tag: meta.e_tag.clone(),
            generation: meta.version.clone(),
        })
    }
}

impl Local {
    /// See [`super::Store::read_version`].
    pub(super) fn read_version(
        &self,
        key: &str,
        bytes_max: u64,
    ) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        Ok(self.read(key, bytes_max)?.map(|bytes| {
            let version = Version(Kind::Content(sha256_hex(&bytes)));
            (bytes, version)
        }))
    }

    /// See [`super::Store::replace_if`].
    pub(super) fn replace_if(
        &self,
        key: &str,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        fork_fs::create_dir_all_flushed(self.root())?;
        // Whoever holds it is about to replace an object: this caller is too late, or could be.
        let Some(_lock) = FileLock::take(&self.root().join(LOCK))? else {
            return Ok(false);
        };
        let found = match fork_fs::open_if_file(&self.root().join(key))? {
            None => None,
            Some(mut file) => {
                let mut hasher = fork_fs::HashingReader::new(&mut file);
                std::io::copy(&mut hasher, &mut std::io::sink()).map_err(|source| {
                    FsError::io(fork_fs::Operation::Read, &self.root().join(key), source)
                })?;
                Some(Version(Kind::Content(hasher.finish().sha256)))
            }
        };
        if found.as_ref() != expected {
            return Ok(false);
        }
        self.replace(key, bytes)?;
        Ok(true)
    }
}

impl Remote {
    /// See [`super::Store::read_version`].
    pub(super) async fn read_version(
        self: &Arc<Self>,
        key: &str,
        bytes_max: u64,
    ) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let Some(download) = Download::open(self, key).await? else {
            return Ok(None);
        };
        let version = Version::of(download.meta());
        let bytes = self.read_download(key, download, bytes_max).await?;
        Ok(Some((bytes, version)))
    }

    /// See [`super::Store::replace_if`].
    pub(super) async fn replace_if(
        self: &Arc<Self>,
        key: &str,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<bool, StoreError> {
        let mode = match expected {
            None => PutMode::Create,
            Some(Version(Kind::Service { e_tag, generation })) => PutMode::Update(UpdateVersion {
                e_tag: e_tag.clone(),
                version: generation.clone(),
            }),
            // Read from another store.
            Some(Version(Kind::Content(_))) => return Ok(false),
        };
        let stored = match self.put_version(key, &bytes, mode).await {
            Ok(stored) => stored,
            Err(failure) if matches!(failure.trouble, Trouble::Exists | Trouble::Missing) => {
                // An earlier request of this very call may have been carried out and its answer lost.
                return Ok(self.differing(key, &bytes).await?.is_none());
            }
            Err(failure) => return Err(self.error(Action::Replace, key, failure)),
        };
        let Some(found) = self.differing(key, &bytes).await? else {
            return Ok(true);
        };
        // Somebody may have replaced it since, knowing this one. Only the same state with other bytes
        // is damage.
        let now = Download::open(self, key).await?;
        let now = now.map(|download| Version::of(download.meta()));
        let stored = Version(Kind::Service {
            e_tag: stored.e_tag,
            generation: stored.version,
        });
        if now.as_ref() == Some(&stored) {
            return Err(self.damaged(key, &bytes, found));
        }
        Ok(true)
    }
}
