//! The working directory of a capture: what arrived and is not stored yet.
//!
//! ```text
//! lock                                one capture at a time
//! jobs/STATE_HASH/                    an answer that arrived whole, and what belongs to it
//! ready/STATE_HASH/                   the candidate made of it, verified
//! packed/ROOT.json.zst                a ledger on its way into the store
//! uploads/ROOT.json                   which parts of it the store has
//! refused/STATE_HASH-NAME-DIGEST/     an answer that was refused
//! ```
//!
//! Everything appears under its name whole or not at all, so whatever is found after a crash is used.

use std::path::{Path, PathBuf};

use fork_fs::{FileLock, FsError, StagedDir};
use fork_types::StateHash;
use fork_types::document::{Document, FileRef, Refusal, SeenBlock};
use serde::{Deserialize, Serialize};

/// Name of the daemon's answer in a job; it is the name candidates keep as their source.
pub(crate) const ANSWER_NAME: &str = "fork_config.json";

/// Name of the block in a job.
pub(crate) const BLOCK_NAME: &str = "block.json";

/// `job.json`: an answer that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRecord {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// The block as the best chain described it.
    pub(crate) seen: SeenBlock,
    /// Name of the daemon that answered.
    pub(crate) daemon: String,
    pub(crate) daemon_version: Option<String>,
    pub(crate) chain_id: Option<String>,
    pub(crate) answer_bytes: u64,
    pub(crate) answer_sha256: String,
    pub(crate) answer_wait_ms: u64,
    pub(crate) answer_transfer_ms: u64,
}

impl Document for JobRecord {
    const FORMAT: &'static str = "forkpack.capture-job";
    const VERSION: u32 = 1;
    const FILE_NAME: &'static str = "job.json";
}

/// The working directory, held by a lock.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    _lock: FileLock,
}

/// Why there is no working directory.
#[derive(Debug)]
pub(crate) enum WorkDirError {
    File(FsError),
    /// Another capture has it.
    Taken,
}

impl From<FsError> for WorkDirError {
    fn from(error: FsError) -> Self {
        Self::File(error)
    }
}

impl WorkDir {
    /// Makes or takes over a working directory; what a killed capture left half-written goes.
    pub(crate) fn open(path: &Path) -> Result<Self, WorkDirError> {
        fork_fs::create_dir_all(path)?;
        let lock = FileLock::take(&path.join("lock"))?.ok_or(WorkDirError::Taken)?;
        let work = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        for directory in [
            work.jobs(),
            work.ready_all(),
            work.packed_all(),
            work.uploads(),
            work.refused_all(),
        ] {
            fork_fs::create_dir_all(&directory)?;
            let is_packed = directory == work.packed_all();
            for name in fork_fs::sorted_names(&directory)? {
                // Nothing that is whole begins with a dot, and nobody else writes here. A packed
                // ledger is made again, in the same bytes, so that its upload can go on.
                if is_packed || name.as_encoded_bytes().starts_with(b".") {
                    fork_fs::remove_all(&directory.join(name))?;
                }
            }
        }
        Ok(work)
    }

    fn jobs(&self) -> PathBuf {
        self.path.join("jobs")
    }

    fn ready_all(&self) -> PathBuf {
        self.path.join("ready")
    }

    fn packed_all(&self) -> PathBuf {
        self.path.join("packed")
    }

    fn uploads(&self) -> PathBuf {
        self.path.join("uploads")
    }

    fn refused_all(&self) -> PathBuf {
        self.path.join("refused")
    }

    /// Starts a job: a directory that appears once the answer is whole.
    pub(crate) fn start_job(&self, block: StateHash) -> Result<StagedDir, FsError> {
        StagedDir::create(&self.job(block), true)
    }

    pub(crate) fn job(&self, block: StateHash) -> PathBuf {
        self.jobs().join(block.to_string())
    }

    pub(crate) fn ready(&self, block: StateHash) -> PathBuf {
        self.ready_all().join(block.to_string())
    }

    pub(crate) fn packed(&self, name: &str) -> PathBuf {
        self.packed_all().join(format!("{name}.json.zst"))
    }

    pub(crate) fn upload_journal(&self, name: &str) -> PathBuf {
        self.uploads().join(format!("{name}.json"))
    }

    /// The jobs that wait, by state hash.
    pub(crate) fn waiting(&self) -> Result<Vec<JobRecord>, FsError> {
        let mut jobs = Vec::new();
        for name in fork_fs::sorted_names(&self.jobs())? {
            jobs.push(fork_fs::read_document(&self.jobs().join(name))?.0);
        }
        Ok(jobs)
    }

    /// Forgets a job whose candidate is stored.
    pub(crate) fn finish(&self, block: StateHash) -> Result<(), FsError> {
        // In this order: a job without its candidate is done again, a candidate without its job
        // would stay for ever.
        fork_fs::remove_dir_all(&self.ready(block))?;
        fork_fs::remove_dir_all(&self.job(block))
    }

    /// Keeps the directory of a refused answer, with why; at most `bodies_max` answers are kept,
    /// the first ones. Returns the refusal as written.
    pub(crate) fn refuse(
        &self,
        source: Option<&Path>,
        mut refusal: Refusal,
        name: &str,
        answer: Option<FileRef>,
        bodies_max: usize,
    ) -> Result<Refusal, FsError> {
        let target = self.refused_all().join(name);
        if !fork_fs::exists(&target) {
            self.write_refusal(source, &mut refusal, &target, answer, bodies_max)?;
        }
        if let Some(source) = source {
            fork_fs::remove_all(source)?;
        }
        Ok(refusal)
    }

    fn write_refusal(
        &self,
        source: Option<&Path>,
        refusal: &mut Refusal,
        target: &Path,
        answer: Option<FileRef>,
        bodies_max: usize,
    ) -> Result<(), FsError> {
        let kept = fork_fs::sorted_names(&self.refused_all())?.into_iter();
        let kept = kept
            .filter(|name| fork_fs::exists(&self.refused_all().join(name).join(ANSWER_NAME)))
            .count();
        let staged = StagedDir::create(target, false)?;
        if let (Some(source), Some(answer)) = (source, answer.filter(|_| kept < bodies_max)) {
            fork_fs::rename(&source.join(ANSWER_NAME), &staged.path().join(ANSWER_NAME))?;
            refusal.answer = Some(answer);
        }
        staged.write_document(&*refusal)?;
        staged.commit()
    }
}
