//! Results of steps by what they depended on, for other runs.
//!
//! `steps/<digest of the fingerprint>.json` is the record of a step, `objects/<SHA-256>` what it
//! left. Objects are links to artifacts where the file system allows that, so they cost nothing;
//! whoever changes such a file changes the object, which is why every object is hashed when it is
//! taken out.

// Links and copies between two directories, as in `artifacts`.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fork_fs::{FileLock, FsError, Operation};

use crate::artifacts::Artifact;
use crate::error::PipelineError;
use crate::fingerprint::Fingerprint;
use crate::state::Record;

/// A cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    bytes_max: u64,
}

impl Cache {
    /// The cache in a directory, which is made if it is missing. After a run the least recently
    /// used results are removed until the rest fits into `bytes_max`.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be made.
    pub fn open(root: &Path, bytes_max: u64) -> Result<Self, PipelineError> {
        for name in ["steps", "objects"] {
            fork_fs::create_dir_all(&root.join(name))?;
        }
        Ok(Self {
            root: root.to_owned(),
            bytes_max,
        })
    }

    fn record(&self, fingerprint: &Fingerprint) -> Result<PathBuf, PipelineError> {
        let name = format!("{}.json", fingerprint.digest()?);
        Ok(self.root.join("steps").join(name))
    }

    fn object(&self, sha256: &str) -> Result<PathBuf, FsError> {
        fork_fs::child(&self.root.join("objects"), sha256)
    }

    /// Puts the result for this fingerprint into the directory `kept`; `None` when it is not here
    /// whole.
    ///
    /// # Errors
    ///
    /// Fails when the run's own directory cannot be written to.
    pub fn restore(
        &self,
        fingerprint: &Fingerprint,
        kept: &Path,
    ) -> Result<Option<Record>, PipelineError> {
        let path = self.record(fingerprint)?;
        let Some(record) = Record::read(&path) else {
            return Ok(None);
        };
        if record.fingerprint != *fingerprint {
            return Ok(None);
        }
        for artifact in &record.artifacts {
            if !self.take_out(artifact, kept)? {
                // Nobody finds it whole any more.
                fork_fs::remove_all(&path)?;
                fork_fs::remove_dir_all(kept)?;
                return Ok(None);
            }
        }
        // Its time says when it was used last.
        record.write(&path)?;
        Ok(Some(record))
    }

    fn take_out(&self, artifact: &Artifact, kept: &Path) -> Result<bool, PipelineError> {
        let object = self.object(&artifact.sha256)?;
        let target = fork_fs::child(kept, &artifact.path)?;
        if let Some(parent) = target.parent() {
            fork_fs::create_dir_all(parent)?;
        }
        if link_or_copy(&object, &target).is_err() {
            return Ok(false);
        }
        let found = fork_fs::sha256_file(&target)?;
        if found.sha256 == artifact.sha256 && found.bytes == artifact.bytes {
            return Ok(true);
        }
        fork_fs::remove_all(&object)?;
        Ok(false)
    }

    /// Keeps the artifacts, in the directory `kept`, of a job that passed.
    ///
    /// # Errors
    ///
    /// Fails when the cache cannot be written to.
    pub fn keep(&self, record: &Record, kept: &Path, job: &str) -> Result<(), PipelineError> {
        for artifact in &record.artifacts {
            let object = self.object(&artifact.sha256)?;
            if fork_fs::exists(&object) {
                continue;
            }
            // Beside it first: a run that is killed must not leave half of an object.
            let partial = object.with_extension(format!("{job}-{}", std::process::id()));
            fork_fs::remove_all(&partial)?;
            link_or_copy(&kept.join(&artifact.path), &partial)?;
            fork_fs::rename(&partial, &object)?;
        }
        record.write(&self.record(&record.fingerprint)?)
    }

    /// Removes what was used least recently until the rest fits, and objects nobody names. Does
    /// nothing while another run is at it.
    ///
    /// # Errors
    ///
    /// Fails when the cache cannot be read or written to.
    pub fn prune(&self) -> Result<(), PipelineError> {
        let Some(_lock) = FileLock::take(&self.root.join("lock"))? else {
            return Ok(());
        };
        let steps = self.root.join("steps");
        let mut records: Vec<(SystemTime, PathBuf)> = Vec::new();
        for name in fork_fs::sorted_names(&steps)? {
            let path = steps.join(name);
            if let Ok(used) = fs::metadata(&path).and_then(|metadata| metadata.modified()) {
                records.push((used, path));
            }
        }
        records.sort();
        let mut named = BTreeSet::new();
        let mut bytes = 0;
        // The newest first; what does not fit goes.
        while let Some((_, path)) = records.pop() {
            let artifacts = Record::read(&path).map(|record| record.artifacts);
            let artifacts = artifacts.unwrap_or_default();
            let new: u64 = artifacts
                .iter()
                .filter(|artifact| !named.contains(&artifact.sha256))
                .map(|artifact| artifact.bytes)
                .sum();
            if bytes + new > self.bytes_max {
                fork_fs::remove_all(&path)?;
                continue;
            }
            bytes += new;
            named.extend(artifacts.into_iter().map(|artifact| artifact.sha256));
        }
        let objects = self.root.join("objects");
        for name in fork_fs::sorted_names(&objects)? {
            if !name.to_str().is_some_and(|name| named.contains(name)) {
                fork_fs::remove_all(&objects.join(name))?;
            }
        }
        Ok(())
    }
}

fn link_or_copy(source: &Path, target: &Path) -> Result<(), FsError> {
    if fs::hard_link(source, target).is_ok() {
        return Ok(());
    }
    fs::copy(source, target)
        .map(drop)
        .map_err(|error| FsError::io(Operation::Write, target, error))
}
