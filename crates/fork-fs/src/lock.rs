//! Locks of the operating system, which end with the process that holds them.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::{FsError, Operation};

/// A lock on a file; released when dropped or when the process ends, however it does.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock on the file at `path`, which is made if it is missing and never removed.
    /// `None` when another process has it.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be made, or the file system has no locks.
    pub fn take(path: &Path) -> Result<Option<Self>, FsError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| FsError::io(Operation::Create, path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(FsError::io(Operation::Open, path, source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_released() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = FileLock::take(&path).unwrap();
        assert!(held.is_some());
        assert!(FileLock::take(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::take(&path).unwrap().is_some());
        assert!(FileLock::take(&directory.path().join("missing/lock")).is_err());
    }
}
