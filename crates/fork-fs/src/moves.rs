//! Moving and removing.

use std::fs;
use std::path::Path;

use crate::atomic::sync_directory;
use crate::error::{FsError, Operation};

/// Renames a file or directory within a file system, and flushes the directory it is now in.
///
/// # Errors
///
/// Fails when the file system refuses.
pub fn rename(source: &Path, target: &Path) -> Result<(), FsError> {
    fs::rename(source, target).map_err(|error| FsError::io(Operation::Rename, target, error))?;
    sync_directory(target.parent().unwrap_or(Path::new("")))
}

/// Removes a file or a directory tree; a missing one is fine.
///
/// # Errors
///
/// Fails when the file system refuses.
pub fn remove_all(path: &Path) -> Result<(), FsError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FsError::io(Operation::Remove, path, source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::write(a.join("file"), b"x").unwrap();
        rename(&a.join("file"), &b).unwrap();
        assert_eq!(fs::read(&b).unwrap(), b"x");
        remove_all(&b).unwrap();
        remove_all(&b).unwrap();
        remove_all(&a).unwrap();
        assert!(!a.exists());
        assert!(rename(&a, &b).is_err());
    }
}
