//! A bucket as a store.
//!
//! Requests are repeated here and not by the client library, so that one policy and one deadline
//! hold for all of them, and so that a request without an answer is bounded too.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Location;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult,
};

use super::connect::{self, Service};
use super::download::Download;
use super::error::{Action, Cause, StoreError, Trouble};
use super::secrets::Secrets;
use super::trouble::{self, Diagnosis};
use super::{Entry, StoreOptions, StoreUrl, sha256_hex};

/// How often the service that hands out credentials is asked again: where there is none, a minute of
/// waiting helps nobody.
const CREDENTIAL_RETRIES_MAX: u32 = 2;

/// How often an object is replaced when it reads back as another: that of a concurrent writer, most
/// likely, who is not to be waited for.
const REPLACE_ROUNDS_MAX: u32 = 3;

/// A listing may take as long as this many requests; each of its pages as long as one.
const LIST_PAGES: u32 = 20;

/// A bucket, or what lies under a prefix in it.
pub(super) struct Remote {
    pub(super) name: String,
    prefix: String,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
    pub(super) options: StoreOptions,
    secrets: Secrets,
}

/// A request that failed for good.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) trouble: Trouble,
    attempts: u32,
    cause: Cause,
}

impl Remote {
    /// Sends nothing yet.
    pub(super) fn open(url: &url::Url, options: &StoreOptions) -> Result<Self, StoreError> {
        // Installs the TLS provider that the client below is built with.
        super::runtime()?;
        let name = StoreUrl::Remote(url.clone()).to_string();
        let secrets = connect::secrets(options);
        let bucket = url.host_str().unwrap_or_default();
        let Service { objects, parts } =
            connect::service(url.scheme(), bucket, options).map_err(|error| {
                StoreError::Settings {
                    store: name.clone(),
                    source: trouble::settings(&error, &secrets),
                }
            })?;
        let prefix = url.path().trim_matches('/');
        let prefix = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self {
            name,
            prefix,
            objects,
            parts,
            options: options.clone(),
            secrets,
        })
    }

    pub(super) fn location(&self, key: &str) -> Location {
        // Keys and prefixes are plain names, which stay as they are.
        Location::from(format!("{}{key}", self.prefix))
    }

    /// Sends a request until it is answered, cannot be, or may not be sent again. `bytes` is what it
    /// carries, for its deadline.
    pub(super) async fn attempt<T, R>(
        &self,
        bytes: u64,
        request: impl FnMut() -> R,
    ) -> Result<T, Failure>
    where
        R: Future<Output = object_store::Result<T>>,
    {
        self.attempt_within(self.options.deadline(bytes), request)
            .await
    }

    async fn attempt_within<T, R>(
        &self,
        deadline: Duration,
        mut request: impl FnMut() -> R,
    ) -> Result<T, Failure>
    where
        R: Future<Output = object_store::Result<T>>,
    {
        let started = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failed = match tokio::time::timeout(deadline, request()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => trouble::diagnose(&error, &self.secrets),
                Err(_) => trouble::no_answer(deadline),
            };
            let retries_max = match failed.trouble {
                Trouble::Credentials => CREDENTIAL_RETRIES_MAX.min(self.options.retries_max),
                _ => self.options.retries_max,
            };
            let pause = self.options.pause(attempts);
            if !failed.passing
                || attempts > retries_max
                || started.elapsed().saturating_add(pause) > self.options.retry_timeout
            {
                return Err(Failure::of(failed, attempts));
            }
            tokio::time::sleep(pause).await;
        }
    }

    pub(super) fn error(&self, action: Action, key: &str, failure: Failure) -> StoreError {
        StoreError::Service {
            store: self.name.clone(),
            key: key.to_owned(),
            action,
            trouble: failure.trouble,
            attempts: failure.attempts,
            source: failure.cause,
        }
    }

    /// Turns "there is none" into `None`. A bucket that is missing stays an error: it is a mistyped
    /// name, not an empty store.
    pub(super) fn optional<T>(
        &self,
        action: Action,
        key: &str,
        answer: Result<T, Failure>,
    ) -> Result<Option<T>, StoreError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if failure.trouble == Trouble::Missing => Ok(None),
            Err(failure) => Err(self.error(action, key, failure)),
        }
    }

    pub(super) async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let location = self.location(key);
        let answer = self.attempt(0, || self.objects.head(&location)).await;
        let answer = self.optional(Action::Look, key, answer)?;
        Ok(answer.map(|meta| meta.size))
    }

    pub(super) async fn read(
        self: &Arc<Self>,
        key: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(download) = Download::open(self, key).await? else {
            return Ok(None);
        };
        self.read_download(key, download, bytes_max).await.map(Some)
    }

    /// Reads a small object that is open already.
    pub(super) async fn read_download(
        &self,
        key: &str,
        mut download: Download,
        bytes_max: u64,
    ) -> Result<Vec<u8>, StoreError> {
        if download.size() > bytes_max {
            return Err(StoreError::TooLarge {
                store: self.name.clone(),
                key: key.to_owned(),
                bytes: download.size(),
                bytes_max,
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = download.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let location = self.location(prefix);
        let below = (!location.as_ref().is_empty()).then_some(&location);
        let key = if prefix.is_empty() { "*" } else { prefix };
        // A page that fails starts the listing again: the store changes meanwhile anyway.
        let page_timeout = self.options.request_timeout;
        let listed = self
            .attempt_within(page_timeout.saturating_mul(LIST_PAGES), || {
                collect(self.objects.list(below), page_timeout)
            })
            .await
            .map_err(|failure| self.error(Action::List, key, failure))?;
        let mut entries: Vec<Entry> = listed
            .into_iter()
            .filter_map(|meta| {
                let key = meta.location.as_ref().strip_prefix(&self.prefix)?;
                // What others put there under names that no object of ours can have.
                super::key::check(key).ok()?;
                Some(Entry {
                    key: key.to_owned(),
                    bytes: meta.size,
                })
            })
            .collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    /// Stores bytes unless the object exists; says whether it did. A repeated request that finds what
    /// an earlier one stored without an answer counts as "it exists": nobody can tell the two apart.
    pub(super) async fn put_new(
        &self,
        action: Action,
        key: &str,
        bytes: &Bytes,
    ) -> Result<bool, StoreError> {
        match self.put(key, bytes, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.trouble == Trouble::Exists => Ok(false),
            Err(failure) => Err(self.error(action, key, failure)),
        }
    }

    async fn put(&self, key: &str, bytes: &Bytes, mode: PutMode) -> Result<(), Failure> {
        self.put_version(key, bytes, mode).await.map(|_| ())
    }

    /// Stores bytes and gives back what the service calls this state of the object.
    pub(super) async fn put_version(
        &self,
        key: &str,
        bytes: &Bytes,
        mode: PutMode,
    ) -> Result<PutResult, Failure> {
        let location = self.location(key);
        self.attempt(bytes.len() as u64, || {
            let payload = PutPayload::from(bytes.clone());
            let options = PutOptions::from(mode.clone());
            self.objects.put_opts(&location, payload, options)
        })
        .await
    }

    pub(super) async fn create(
        self: &Arc<Self>,
        key: &str,
        bytes: Bytes,
    ) -> Result<bool, StoreError> {
        if !self.put_new(Action::Create, key, &bytes).await? {
            return Ok(false);
        }
        let Some(found) = self.differing(key, &bytes).await? else {
            return Ok(true);
        };
        // Under a name that is written once, it would stay for ever.
        self.remove(key).await?;
        Err(self.damaged(key, &bytes, found))
    }

    pub(super) async fn replace(
        self: &Arc<Self>,
        key: &str,
        bytes: Bytes,
    ) -> Result<(), StoreError> {
        let mut rounds = 0;
        loop {
            rounds += 1;
            self.put(key, &bytes, PutMode::Overwrite)
                .await
                .map_err(|failure| self.error(Action::Replace, key, failure))?;
            match self.differing(key, &bytes).await? {
                None => return Ok(()),
                Some(found) if rounds == REPLACE_ROUNDS_MAX => {
                    return Err(self.damaged(key, &bytes, found));
                }
                Some(_) => {}
            }
        }
    }

    /// Digest of the object when it is not `bytes`.
    pub(super) async fn differing(
        self: &Arc<Self>,
        key: &str,
        bytes: &Bytes,
    ) -> Result<Option<String>, StoreError> {
        let found = match self.read(key, bytes.len() as u64).await {
            Ok(found) => found,
            Err(StoreError::TooLarge { bytes, .. }) => {
                return Ok(Some(format!("of {bytes} bytes")));
            }
            Err(error) => return Err(error),
        };
        Ok(match found {
            Some(found) if found == *bytes => None,
            Some(found) => Some(sha256_hex(&found)),
            None => Some("of nothing".to_owned()),
        })
    }

    pub(super) fn damaged(&self, key: &str, bytes: &[u8], found: String) -> StoreError {
        StoreError::Damaged {
            store: self.name.clone(),
            key: key.to_owned(),
            expected: sha256_hex(bytes),
            found,
        }
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let location = self.location(key);
        let answer = self.attempt(0, || self.objects.delete(&location)).await;
        self.optional(Action::Remove, key, answer)?;
        Ok(())
    }

    /// What went wrong with a download.
    pub(super) fn diagnose(&self, error: &object_store::Error) -> Diagnosis {
        trouble::diagnose(error, &self.secrets)
    }
}

impl Failure {
    /// A download that broke once too often.
    pub(super) fn of(diagnosis: Diagnosis, attempts: u32) -> Self {
        Self {
            trouble: diagnosis.trouble,
            attempts,
            cause: diagnosis.cause,
        }
    }
}

/// Everything a listing gives, unless one of its pages does not come.
async fn collect(
    mut listing: BoxStream<'_, object_store::Result<ObjectMeta>>,
    page_timeout: Duration,
) -> object_store::Result<Vec<ObjectMeta>> {
    let mut listed = Vec::new();
    loop {
        match tokio::time::timeout(page_timeout, listing.next()).await {
            Ok(Some(meta)) => listed.push(meta?),
            Ok(None) => return Ok(listed),
            Err(elapsed) => {
                return Err(object_store::Error::Generic {
                    store: "listing",
                    source: elapsed.into(),
                });
            }
        }
    }
}
