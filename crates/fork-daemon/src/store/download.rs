//! Objects as streams of bytes.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use fork_fs::Digested;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::{GetOptions, GetRange, ObjectMeta};
use sha2::{Digest, Sha256};

use super::error::{Action, StoreError, Trouble};
use super::remote::{Failure, Remote};
use super::trouble;

/// An object that is being read. A connection that breaks or stalls is made anew, at the byte where
/// it broke, a bounded number of times; only the chunk at hand is in memory.
///
/// Blocks when it is used as a [`Read`], so not for the runtime's own threads.
pub(super) struct Download {
    remote: Arc<Remote>,
    key: String,
    meta: ObjectMeta,
    offset: u64,
    stream: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    chunk: Bytes,
    resumes: u32,
}

impl Download {
    /// Opens an object; `None` when there is none of that name.
    pub(super) async fn open(remote: &Arc<Remote>, key: &str) -> Result<Option<Self>, StoreError> {
        let location = remote.location(key);
        let answer = remote
            .attempt(0, || {
                remote.objects.get_opts(&location, GetOptions::default())
            })
            .await;
        let Some(answer) = remote.optional(Action::Read, key, answer)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            remote: remote.clone(),
            key: key.to_owned(),
            meta: answer.meta.clone(),
            offset: 0,
            stream: Some(answer.into_stream()),
            chunk: Bytes::new(),
            resumes: 0,
        }))
    }

    /// Size of the whole object.
    pub(super) fn size(&self) -> u64 {
        self.meta.size
    }

    /// What the service says of the object.
    pub(super) fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    /// The next bytes, none of them empty; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let idle = self.remote.options.idle_timeout;
        while self.offset < self.meta.size {
            let Some(stream) = self.stream.as_mut() else {
                self.resume().await?;
                continue;
            };
            let diagnosis = match tokio::time::timeout(idle, stream.next()).await {
                Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
                Ok(Some(Ok(chunk))) => {
                    self.offset += chunk.len() as u64;
                    if self.offset > self.meta.size {
                        return Err(self.changed());
                    }
                    return Ok(Some(chunk));
                }
                Ok(Some(Err(error))) => self.remote.diagnose(&error),
                Ok(None) => trouble::cut_short(),
                Err(_) => trouble::no_answer(idle),
            };
            self.stream = None;
            self.resumes += 1;
            if self.resumes > self.remote.options.resumes_max {
                let failure = Failure::of(diagnosis, self.resumes);
                return Err(self.remote.error(Action::Read, &self.key, failure));
            }
            tokio::time::sleep(self.remote.options.pause(1)).await;
        }
        self.stream = None;
        Ok(None)
    }

    /// Asks for the rest on a new connection.
    async fn resume(&mut self) -> Result<(), StoreError> {
        let location = self.remote.location(&self.key);
        let rest = GetRange::Bounded(self.offset..self.meta.size);
        let answer = self
            .remote
            .attempt(0, || {
                let options = GetOptions {
                    range: Some(rest.clone()),
                    ..GetOptions::default()
                };
                self.remote.objects.get_opts(&location, options)
            })
            .await;
        match answer {
            // Services that know no entity tags show a change by its size at least; what is read is
            // compared with a digest anyway wherever there is one.
            Ok(answer)
                if answer.meta.e_tag == self.meta.e_tag && answer.meta.size == self.meta.size =>
            {
                self.stream = Some(answer.into_stream());
                Ok(())
            }
            Ok(_)
            | Err(Failure {
                trouble: Trouble::Missing,
                ..
            }) => Err(self.changed()),
            Err(failure) => Err(self.remote.error(Action::Read, &self.key, failure)),
        }
    }

    fn changed(&self) -> StoreError {
        StoreError::Changed {
            store: self.remote.name.clone(),
            key: self.key.clone(),
        }
    }

    /// Reads everything and hashes it.
    pub(super) async fn digest(mut self) -> Result<Digested, StoreError> {
        let mut hasher = Sha256::new();
        while let Some(chunk) = self.next().await? {
            hasher.update(&chunk);
        }
        Ok(Digested {
            sha256: hex::encode(hasher.finalize()),
            bytes: self.offset,
        })
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.chunk.is_empty() {
            let next = super::runtime()
                .and_then(|runtime| runtime.block_on(self.next()))
                .map_err(StoreError::into_io)?;
            match next {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
