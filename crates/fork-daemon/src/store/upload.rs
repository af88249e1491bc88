//! Files into a bucket.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fork_fs::{Digested, FsError, HashingReader, Operation};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::PutPayload;
use object_store::multipart::PartId;

use super::download::Download;
use super::error::{Action, StoreError, Trouble};
use super::journal::Journal;
use super::remote::{Failure, Remote};
use super::sha256_hex;

/// Parts sent at the same time.
const CONCURRENCY_MAX: u64 = 4;

/// Most memory for parts in bytes; fewer are sent at the same time when they are large.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// Most parts of one upload, as Amazon and Google have it.
const PARTS_MAX: u64 = 10_000;

/// How often an upload is begun: a second time when the service lost the first.
const ROUNDS_MAX: u32 = 2;

/// A file on its way.
struct Job<'a> {
    key: &'a str,
    source: &'a Path,
    digest: &'a Digested,
    journal: &'a Path,
    part_bytes: u64,
}

/// How a round of sending parts ended.
enum Round {
    Done,
    /// The service knows nothing of the upload, or of its parts.
    Lost(StoreError),
}

impl Remote {
    /// See [`super::Store::upload`].
    pub(super) async fn upload(
        self: &Arc<Self>,
        key: &str,
        source: &Path,
        digest: &Digested,
        journal: &Path,
    ) -> Result<(), StoreError> {
        let job = Job {
            key,
            source,
            digest,
            journal,
            part_bytes: part_bytes(self.options.part_bytes, digest.bytes),
        };
        let known = Journal::load(journal).filter(|known| known.store == self.name);
        let there = self.compare(&job).await?;
        let resumed = known
            .as_ref()
            .is_some_and(|known| !there && known.is_of(&self.name, key, digest, job.part_bytes));
        if let Some(stale) = known.as_ref().filter(|_| !resumed) {
            self.abandon(stale).await;
        }
        if !there {
            let known = known.filter(|_| resumed);
            if digest.bytes <= job.part_bytes {
                self.send_whole(&job).await?;
            } else {
                self.send_parts(&job, known).await?;
            }
            self.read_back(&job).await?;
        }
        fork_fs::remove_file(journal)?;
        Ok(())
    }

    /// Whether the object is there already; an error when it is with another content.
    async fn compare(self: &Arc<Self>, job: &Job<'_>) -> Result<bool, StoreError> {
        let Some(bytes) = self.size(job.key).await? else {
            return Ok(false);
        };
        super::compare_size(&self.name, job.key, job.digest, bytes)?;
        let Some(download) = Download::open(self, job.key).await? else {
            return Ok(false);
        };
        super::compare_digest(&self.name, job.key, job.digest, download.digest().await?)?;
        Ok(true)
    }

    /// Reads the object that was just stored; removes it when it is not what was sent.
    async fn read_back(self: &Arc<Self>, job: &Job<'_>) -> Result<(), StoreError> {
        let found = match Download::open(self, job.key).await? {
            Some(download) => Some(download.digest().await?),
            None => None,
        };
        if found.as_ref() == Some(job.digest) {
            return Ok(());
        }
        self.remove(job.key).await?;
        fork_fs::remove_file(job.journal)?;
        Err(StoreError::Damaged {
            store: self.name.clone(),
            key: job.key.to_owned(),
            expected: job.digest.sha256.clone(),
            found: found.map_or_else(|| "of nothing".to_owned(), |found| found.sha256),
        })
    }

    async fn send_whole(self: &Arc<Self>, job: &Job<'_>) -> Result<(), StoreError> {
        let mut reader = HashingReader::new(fork_fs::open(job.source)?);
        // One byte more shows a file that is longer than the caller says.
        let bytes = read_part(&mut reader, job, job.digest.bytes.saturating_add(1))?;
        super::compare_source(job.source, job.digest, reader.finish())?;
        if !self.put_new(Action::Upload, job.key, &bytes).await? {
            self.compare(job).await?;
        }
        Ok(())
    }

    async fn send_parts(
        self: &Arc<Self>,
        job: &Job<'_>,
        mut known: Option<Journal>,
    ) -> Result<(), StoreError> {
        let mut rounds = 0;
        loop {
            rounds += 1;
            let mut journal = match known.take() {
                Some(journal) => journal,
                None => self.begin(job).await?,
            };
            match self.round(job, &mut journal).await {
                Ok(Round::Done) => return Ok(()),
                Ok(Round::Lost(error)) => {
                    self.abandon(&journal).await;
                    fork_fs::remove_file(job.journal)?;
                    if rounds == ROUNDS_MAX {
                        return Err(error);
                    }
                }
                Err(error) => {
                    if matches!(error, StoreError::Source { .. }) {
                        self.abandon(&journal).await;
                        fork_fs::remove_file(job.journal)?;
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn begin(&self, job: &Job<'_>) -> Result<Journal, StoreError> {
        let location = self.location(job.key);
        let id = self
            .attempt(0, || self.parts.create_multipart(&location))
            .await
            .map_err(|failure| self.error(Action::Upload, job.key, failure))?;
        let journal = Journal::new(&self.name, job.key, job.digest, job.part_bytes, id);
        journal.save(job.journal)?;
        Ok(journal)
    }

    /// Sends the parts that the journal lacks and makes the object of them.
    async fn round(
        self: &Arc<Self>,
        job: &Job<'_>,
        journal: &mut Journal,
    ) -> Result<Round, StoreError> {
        let upload = journal.upload.clone();
        let mut reader = HashingReader::new(fork_fs::open(job.source)?);
        let concurrency = (MEMORY_BYTES_MAX / job.part_bytes).clamp(1, CONCURRENCY_MAX);
        let count = job.digest.bytes.div_ceil(job.part_bytes);
        let mut sending = FuturesUnordered::new();
        let mut failed = None;
        for index in 0..count {
            if sending.len() as u64 >= concurrency {
                failed = failed.or(record(sending.next().await, journal, job)?);
            }
            if failed.is_some() {
                break;
            }
            let bytes = read_part(&mut reader, job, job.part_bytes)?;
            let sha256 = sha256_hex(&bytes);
            if !journal.has(index, &sha256) {
                sending.push(self.send_part(job.key, &upload, index, sha256, bytes));
            }
        }
        // What is under way is waited for even after a failure: the next call need not send it again.
        while !sending.is_empty() {
            failed = failed.or(record(sending.next().await, journal, job)?);
        }
        if let Some(failure) = failed {
            return self.lost_or_failed(job, failure);
        }
        read_part(&mut reader, job, 1)?;
        super::compare_source(job.source, job.digest, reader.finish())?;
        self.complete(job, journal, count).await
    }

    async fn send_part(
        &self,
        key: &str,
        upload: &String,
        index: u64,
        sha256: String,
        bytes: Bytes,
    ) -> Result<Sent, Failure> {
        let location = self.location(key);
        let number = usize::try_from(index).unwrap_or(usize::MAX);
        let part = self
            .attempt(bytes.len() as u64, || {
                let payload = PutPayload::from(bytes.clone());
                self.parts.put_part(&location, upload, number, payload)
            })
            .await?;
        Ok(Sent {
            index,
            sha256,
            id: part.content_id,
        })
    }

    async fn complete(
        self: &Arc<Self>,
        job: &Job<'_>,
        journal: &Journal,
        count: u64,
    ) -> Result<Round, StoreError> {
        let location = self.location(job.key);
        let ids: Vec<PartId> = journal
            .ids(count)
            .unwrap_or_default()
            .into_iter()
            .map(|content_id| PartId { content_id })
            .collect();
        let answer = self
            .attempt(0, || {
                let (upload, ids) = (&journal.upload, ids.clone());
                self.parts.complete_multipart(&location, upload, ids)
            })
            .await;
        match answer {
            Ok(_) => Ok(Round::Done),
            // An earlier request may have done it and its answer been lost.
            Err(failure) if failure.trouble == Trouble::Missing => {
                if self.size(job.key).await? == Some(job.digest.bytes) {
                    Ok(Round::Done)
                } else {
                    self.lost_or_failed(job, failure)
                }
            }
            Err(failure) => self.lost_or_failed(job, failure),
        }
    }

    fn lost_or_failed(&self, job: &Job<'_>, failure: Failure) -> Result<Round, StoreError> {
        let lost = matches!(failure.trouble, Trouble::Missing | Trouble::Refused);
        let error = self.error(Action::Upload, job.key, failure);
        if lost {
            Ok(Round::Lost(error))
        } else {
            Err(error)
        }
    }

    /// Tells the service to forget an upload. Should that fail, the bucket's own rule about
    /// unfinished uploads will.
    async fn abandon(&self, journal: &Journal) {
        let location = self.location(&journal.key);
        let request = self.parts.abort_multipart(&location, &journal.upload);
        let _ = tokio::time::timeout(self.options.request_timeout, request).await;
    }
}

/// A part that the service has.
struct Sent {
    index: u64,
    sha256: String,
    id: String,
}

/// Writes a part that was sent into the journal; gives back why one was not.
fn record(
    sent: Option<Result<Sent, Failure>>,
    journal: &mut Journal,
    job: &Job<'_>,
) -> Result<Option<Failure>, StoreError> {
    match sent {
        Some(Ok(part)) => {
            journal.add(part.index, part.sha256, part.id);
            journal.save(job.journal)?;
            Ok(None)
        }
        Some(Err(failure)) => Ok(Some(failure)),
        None => Ok(None),
    }
}

/// Size of the parts of a file.
fn part_bytes(wanted: u64, file_bytes: u64) -> u64 {
    wanted.max(file_bytes.div_ceil(PARTS_MAX)).max(1)
}

/// Up to `bytes_max` bytes, fewer only at the end.
fn read_part(
    reader: &mut HashingReader<File>,
    job: &Job<'_>,
    bytes_max: u64,
) -> Result<Bytes, StoreError> {
    let room = bytes_max.min(job.part_bytes.saturating_add(1));
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
    reader
        .take(bytes_max)
        .read_to_end(&mut bytes)
        .map_err(|source| FsError::io(Operation::Read, job.source, source))?;
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_with_the_file() {
        assert_eq!(part_bytes(16 << 20, 5), 16 << 20);
        assert_eq!(part_bytes(16 << 20, 160_000 << 20), 16 << 20);
        let large = part_bytes(16 << 20, 400_000 << 20);
        assert!((400_000_u64 << 20).div_ceil(large) <= PARTS_MAX);
        assert_eq!(part_bytes(0, 0), 1);
    }
}
