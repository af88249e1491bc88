//! Output directories that appear whole or not at all.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fork_types::document::Document;

use crate::atomic::{beside, sync_directory, write_atomic};
use crate::error::{FsError, Operation};
use crate::registry;

/// A step's output directory while it is being filled.
///
/// Everything goes into a directory beside the final one; [`StagedDir::commit`] flushes every file
/// and renames the directory. Dropping it leaves nothing.
#[derive(Debug)]
pub struct StagedDir {
    staging: PathBuf,
    target: PathBuf,
    force: bool,
    committed: bool,
    /// Directories above the target that go with it when it is not committed, the deepest first.
    made: Vec<PathBuf>,
}

impl StagedDir {
    /// Starts an output directory. `target` must not exist or be empty, unless `force` says that it
    /// is to be replaced (at commit, not now).
    ///
    /// # Errors
    ///
    /// Fails when the output exists, or its parent cannot be created or written to.
    pub fn create(target: &Path, force: bool) -> Result<Self, FsError> {
        check_target(target, force)?;
        // `out/` and `out` are the same directory; the trailing slash would hide the name.
        let target: PathBuf = target.components().collect();
        if let Some(parent) = target.parent().filter(|path| !path.as_os_str().is_empty()) {
            crate::create_dir_all(parent)?;
        }
        let staging = beside(&target);
        registry::register(&staging);
        let created = fs::create_dir(&staging)
            .and_then(|()| fs::set_permissions(&staging, Permissions::from_mode(0o755)));
        if let Err(source) = created {
            registry::forget(&staging);
            return Err(FsError::io(Operation::CreateDirectory, &target, source));
        }
        Ok(Self {
            staging,
            target,
            force,
            committed: false,
            made: Vec::new(),
        })
    }

    /// As [`Self::create`], for the output of a whole run: directories above it that are made for it go
    /// again when nothing comes of it. Not for scratch directories, which others may be about to use.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_output(target: &Path, force: bool) -> Result<Self, FsError> {
        let above: PathBuf = target.components().collect();
        let missing = above
            .ancestors()
            .skip(1)
            .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !crate::exists(ancestor));
        let made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        match Self::create(target, force) {
            Ok(mut staged) => {
                staged.made = made;
                Ok(staged)
            }
            Err(error) => {
                remove_empty(&made);
                Err(error)
            }
        }
    }

    /// Where to write.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.staging
    }

    /// The final directory.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Writes the step's document.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn write_document<D: Document>(&self, document: &D) -> Result<(), FsError> {
        write_document(&self.staging, document)
    }

    /// Flushes every file and directory and renames the whole into place.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses or the target was filled in the meantime; then the target is as
    /// it was.
    pub fn commit(mut self) -> Result<(), FsError> {
        check_target(&self.target, self.force)?;
        sync_tree(&self.staging)?;
        if crate::exists(&self.target) {
            replace(&self.staging, &self.target)?;
        } else {
            fs::rename(&self.staging, &self.target)
                .map_err(|source| FsError::io(Operation::Rename, &self.target, source))?;
        }
        self.committed = true;
        registry::forget(&self.staging);
        sync_directory(self.target.parent().unwrap_or(Path::new("")))
    }
}

/// Writes a document into a directory of a step's output.
///
/// # Errors
///
/// Fails when the disk refuses.
pub fn write_document<D: Document>(directory: &Path, document: &D) -> Result<(), FsError> {
    let path = directory.join(D::FILE_NAME);
    let bytes = document
        .to_json()
        .map_err(|source| FsError::io(Operation::Write, &path, source.into()))?;
    write_atomic(&path, &bytes)
}

impl Drop for StagedDir {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.staging);
            registry::forget(&self.staging);
            remove_empty(&self.made);
        }
    }
}

/// Removes directories in which nothing is, as far as that goes.
fn remove_empty(directories: &[PathBuf]) {
    for directory in directories {
        if fs::remove_dir(directory).is_err() {
            break;
        }
    }
}

fn check_target(target: &Path, force: bool) -> Result<(), FsError> {
    let Ok(metadata) = fs::symlink_metadata(target) else {
        return Ok(());
    };
    if !metadata.is_dir() {
        return Err(FsError::output_not_directory(target));
    }
    let mut entries = fs::read_dir(target)
        .map_err(|source| FsError::io(Operation::ReadDirectory, target, source))?;
    if entries.next().is_some() && !force {
        return Err(FsError::output_exists(target));
    }
    Ok(())
}

/// Puts `staging` where `target` is: the old directory is moved aside first and removed last, so
/// that there is a moment without a target but none with half of one.
fn replace(staging: &Path, target: &Path) -> Result<(), FsError> {
    let aside = beside(target);
    let rename = |from: &Path, to: &Path| {
        fs::rename(from, to).map_err(|source| FsError::io(Operation::Rename, target, source))
    };
    rename(target, &aside)?;
    if let Err(error) = rename(staging, target) {
        rename(&aside, target)?;
        return Err(error);
    }
    crate::remove_dir_all(&aside)
}

fn sync_tree(directory: &Path) -> Result<(), FsError> {
    for name in crate::sorted_names(directory)? {
        let path = directory.join(name);
        let metadata = fs::symlink_metadata(&path)
            .map_err(|source| FsError::io(Operation::Sync, &path, source))?;
        if metadata.is_dir() {
            sync_tree(&path)?;
        } else if metadata.is_file() {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|source| FsError::io(Operation::Sync, &path, source))?;
        }
    }
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FsErrorKind;

    #[test]
    fn commits_and_cleans_up() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("a/out/");
        drop(StagedDir::create_output(&target, false).unwrap());
        // Nor is a directory left that was made on the way.
        assert!(!root.path().join("a").exists());
        drop(StagedDir::create(&target, false).unwrap());
        assert!(!target.exists());
        // One that was there stays.
        drop(StagedDir::create_output(&target, false).unwrap());
        assert!(root.path().join("a").exists());
        let staged = StagedDir::create(&target, false).unwrap();
        fs::write(staged.path().join("f"), b"x").unwrap();
        staged.commit().unwrap();
        assert_eq!(fs::read(target.join("f")).unwrap(), b"x");
        assert_eq!(fs::read_dir(root.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_output_is_kept_unless_forced() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        fs::create_dir(&target).unwrap();
        StagedDir::create(&target, false).unwrap().commit().unwrap();
        fs::write(target.join("old"), b"x").unwrap();
        let error = StagedDir::create(&target, false).unwrap_err();
        assert!(matches!(error.kind(), FsErrorKind::OutputExists { .. }));
        StagedDir::create(&target, true).unwrap().commit().unwrap();
        assert!(!target.join("old").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        fs::write(root.path().join("file"), b"x").unwrap();
        let error = StagedDir::create(&root.path().join("file"), true).unwrap_err();
        assert!(matches!(
            error.kind(),
            FsErrorKind::OutputNotDirectory { .. }
        ));
    }
}
