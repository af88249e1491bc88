//! Objects under names: a local directory, an S3-compatible bucket, a GCS bucket.
//!
//! Start at [`Store::open`]. A remote store takes credentials and endpoint from the environment
//! (`AWS_…`, `GOOGLE_…`) and from nowhere else; every request has a deadline and is repeated a
//! bounded number of times, see [`StoreOptions`]. The S3 side is tested against an S3 server that
//! checks signatures; of the GCS side only what needs no server is tested here.

mod connect;
mod download;
mod error;
mod journal;
mod key;
mod local;
mod options;
mod remote;
pub(crate) mod secrets;
mod swap;
mod trouble;
mod upload;
mod url;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

pub use fork_fs::Digested;

pub use self::error::{Action, Cause, StoreError, Trouble};
pub use self::options::StoreOptions;
pub use self::swap::Version;
pub use self::url::StoreUrl;

use self::download::Download;
use self::local::Local;
use self::remote::Remote;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name relative to the store.
    pub key: String,
    /// Its size.
    pub bytes: u64,
}

/// A store of objects. Every call blocks; every object appears whole or not at all, and was read
/// back before the call that stored it returns.
///
/// Keys are plain names with slashes between them: letters, digits, `.`, `_` and `-`, no component
/// that begins with a dot. A store may be used from many threads and processes at the same time; not
/// from within an async runtime.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().display().to_string();
/// use fork_daemon::Store;
///
/// let store = Store::open(&path.parse()?)?;
/// assert!(store.create("candidates/a.json", b"{}")?);
/// assert!(!store.create("candidates/a.json", b"[]")?);
/// assert_eq!(store.read("candidates/a.json", 100)?, Some(b"{}".to_vec()));
/// # Ok(()) }
/// ```
pub struct Store {
    url: StoreUrl,
    backend: Backend,
}

enum Backend {
    Local(Local),
    Remote(Arc<Remote>),
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl fmt::Debug for Store {
    /// Where it is and nothing else: the client inside knows credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

impl Store {
    /// Opens a store. Creates nothing and sends nothing: a store that does not exist lists empty.
    ///
    /// # Errors
    ///
    /// Fails when the path is a file, and when the settings in the environment cannot be used.
    pub fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        Self::open_with(url, StoreOptions::default())
    }

    /// As [`Self::open`], with other deadlines, limits or credentials.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_with(url: &StoreUrl, options: StoreOptions) -> Result<Self, StoreError> {
        let backend = match url {
            StoreUrl::Local(root) => Backend::Local(Local::open(root)?),
            StoreUrl::Remote(remote) => Backend::Remote(Arc::new(Remote::open(remote, &options)?)),
        };
        Ok(Self {
            url: url.clone(),
            backend,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Reads a small object whole; `None` when there is none of that name.
    ///
    /// # Errors
    ///
    /// Fails when it has more than `bytes_max` bytes, and when the store cannot be read.
    pub fn read(&self, key: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.read(key, bytes_max),
            Backend::Remote(remote) => runtime()?.block_on(remote.read(key, bytes_max)),
        }
    }

    /// Size of an object; `None` when there is none of that name.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.size(key),
            Backend::Remote(remote) => runtime()?.block_on(remote.size(key)),
        }
    }

    /// The objects whose key begins with `prefix` (which is empty or ends with `/`), by key.
    ///
    /// Left out are unfinished files, and whatever has a name that no object can have. A directory
    /// that does not exist lists empty; a bucket that does not exist is an error.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        key::check_prefix(prefix)?;
        let mut entries = match &self.backend {
            Backend::Local(local) => local.list(prefix)?,
            Backend::Remote(remote) => runtime()?.block_on(remote.list(prefix))?,
        };
        entries.retain(|entry| key::broken_rule(&entry.key).is_none());
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    /// Streams an object; `None` when there is none of that name.
    ///
    /// A connection that breaks is made anew where it broke. Read errors carry a [`StoreError`] or an
    /// [`fork_fs::FsError`]; their kind is `ConnectionAborted` for whatever may work later.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub fn reader(&self, key: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        key::check(key)?;
        Ok(match &self.backend {
            Backend::Local(local) => local.file(key)?.map(|file| Box::new(file) as _),
            Backend::Remote(remote) => runtime()?
                .block_on(Download::open(remote, key))?
                .map(|download| Box::new(download) as _),
        })
    }

    /// Stores a small object unless there is one of that name; says whether it did. Of any number of
    /// concurrent callers at most one is told `true`.
    ///
    /// `false` means that an object of that name exists: somebody else's, or this very call's when
    /// the answer to its first request was lost. Read it to know more.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses, and when the object reads back as another; it is removed then.
    pub fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.create(key, bytes),
            Backend::Remote(remote) => {
                runtime()?.block_on(remote.create(key, Bytes::copy_from_slice(bytes)))
            }
        }
    }

    /// Stores a small object in place of any other of that name.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses, and when the object reads back as another three times.
    pub fn replace(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.replace(key, bytes),
            Backend::Remote(remote) => {
                runtime()?.block_on(remote.replace(key, Bytes::copy_from_slice(bytes)))
            }
        }
    }

    /// Reads a small object whole, and which state of it that is; `None` when there is none of that
    /// name.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_version(
        &self,
        key: &str,
        bytes_max: u64,
    ) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.read_version(key, bytes_max),
            Backend::Remote(remote) => runtime()?.block_on(remote.read_version(key, bytes_max)),
        }
    }

    /// Stores a small object in place of exactly the state that [`Self::read_version`] gave, or of
    /// none for `None`; says whether it did. Of any number of concurrent callers that read the same
    /// state at most one is told `true`, unless they store the same bytes.
    ///
    /// A directory takes a lock for the moment of the exchange, which ends with the process; a caller
    /// that finds it taken is told `false`. A bucket needs a service that knows conditional writes:
    /// `If-Match` of S3, generations of GCS.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses, and when the object reads back as another that nobody else
    /// stored.
    pub fn replace_if(
        &self,
        key: &str,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.replace_if(key, expected, bytes),
            Backend::Remote(remote) => {
                runtime()?.block_on(remote.replace_if(key, expected, Bytes::copy_from_slice(bytes)))
            }
        }
    }

    /// Stores the file at `source`, whose digest the caller knows, under a name that is its content's
    /// own (an object of that name and size is taken for it, after it was read back). The object is
    /// read back and hashed before this returns.
    ///
    /// Large files go into a bucket in parts; `journal` remembers them, so that the same call after a
    /// crash goes on where it was. A journal of another upload, or of one that the service has
    /// forgotten, is started over. It is removed when the object is there. A directory needs no
    /// journal and leaves it alone.
    ///
    /// # Errors
    ///
    /// Fails when the file is not what `digest` says and when there is another object of that name,
    /// in both cases without changing anything; when the store refuses; and when the object reads
    /// back as another, which removes it.
    pub fn upload(
        &self,
        key: &str,
        source: &Path,
        digest: &Digested,
        journal: &Path,
    ) -> Result<(), StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.upload(key, source, digest),
            Backend::Remote(remote) => {
                runtime()?.block_on(remote.upload(key, source, digest, journal))
            }
        }
    }

    /// Removes an object; one that is not there is fine.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses.
    pub fn remove(&self, key: &str) -> Result<(), StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::Local(local) => local.remove(key),
            Backend::Remote(remote) => runtime()?.block_on(remote.remove(key)),
        }
    }

    /// Removes what interrupted writes left in a directory and says how many files that were: the
    /// unfinished files whose process, named by the file name, is gone. Nothing that is being
    /// written by a process of this machine is touched, so no lock is needed; a directory that
    /// several machines write to must not be cleaned while they do.
    ///
    /// In a bucket there is nothing to clean: unfinished uploads are no objects, and the bucket's
    /// own rule about them ends them.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read or refuses.
    pub fn clean(&self) -> Result<u64, StoreError> {
        match &self.backend {
            Backend::Local(local) => local.clean(),
            Backend::Remote(_) => Ok(0),
        }
    }
}

fn runtime() -> Result<&'static Runtime, StoreError> {
    crate::runtime::runtime().map_err(StoreError::Threads)
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Fails when a file to upload is not what the caller says.
fn compare_source(path: &Path, expected: &Digested, found: Digested) -> Result<(), StoreError> {
    if found == *expected {
        return Ok(());
    }
    Err(StoreError::Source {
        path: path.to_owned(),
        expected: format!("{} ({} bytes)", expected.sha256, expected.bytes),
        found: format!("{} ({} bytes)", found.sha256, found.bytes),
    })
}

/// Fails when an object that is there has another size than it should.
fn compare_size(store: &str, key: &str, expected: &Digested, bytes: u64) -> Result<(), StoreError> {
    if bytes == expected.bytes {
        return Ok(());
    }
    Err(StoreError::Differs {
        store: store.to_owned(),
        key: key.to_owned(),
        what: "size",
        expected: expected.bytes.to_string(),
        found: bytes.to_string(),
    })
}

/// Fails when an object that is there has another digest than it should.
fn compare_digest(
    store: &str,
    key: &str,
    expected: &Digested,
    found: Digested,
) -> Result<(), StoreError> {
    if found == *expected {
        return Ok(());
    }
    Err(StoreError::Differs {
        store: store.to_owned(),
        key: key.to_owned(),
        what: "SHA-256",
        expected: expected.sha256.clone(),
        found: found.sha256,
    })
}
