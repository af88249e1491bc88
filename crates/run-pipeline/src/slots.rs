//! Slots of concurrency groups, which all runs on a machine share.
//!
//! A slot is a lock on a file, so it is free again whenever the run that had it ends, however it does.

use std::path::{Path, PathBuf};

use fork_fs::FileLock;

use crate::contents::digest_of;
use crate::error::PipelineError;
use crate::pipeline::Concurrency;

/// Where the slots are.
#[derive(Clone, Debug)]
pub struct Slots {
    directory: PathBuf,
}

impl Slots {
    /// The slots below a state directory, which is made when the first one is taken.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self {
            directory: state.join("concurrency"),
        }
    }

    /// Makes sure that slots can be taken at all.
    ///
    /// # Errors
    ///
    /// Fails when the state directory cannot be written to.
    pub fn check(&self) -> Result<(), PipelineError> {
        fork_fs::create_dir_all(&self.directory)?;
        // Nobody waits for this one: whoever has it has seen that it works.
        FileLock::take(&self.directory.join("check"))?;
        Ok(())
    }

    /// Takes a slot of a group; `None` when other jobs have all of them.
    ///
    /// # Errors
    ///
    /// Fails when the state directory cannot be written to.
    pub fn take(&self, concurrency: &Concurrency) -> Result<Option<FileLock>, PipelineError> {
        fork_fs::create_dir_all(&self.directory)?;
        // A group's name may have anything in it.
        let name = digest_of(concurrency.group.as_bytes()).sha256;
        for slot in 0..concurrency.limit {
            let path = self.directory.join(format!("{name}.{slot}"));
            if let Some(lock) = FileLock::take(&path)? {
                return Ok(Some(lock));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_as_many_slots_as_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let slots = Slots::new(directory.path());
        let of = |group: &str| Concurrency {
            group: group.to_owned(),
            limit: 2,
            is_ordered: true,
        };
        let first = slots.take(&of("a/b")).unwrap();
        let second = slots.take(&of("a/b")).unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(slots.take(&of("a/b")).unwrap().is_none());
        assert!(slots.take(&of("c")).unwrap().is_some());
        drop(first);
        assert!(slots.take(&of("a/b")).unwrap().is_some());
    }
}
