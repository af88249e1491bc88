//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Advice, CWD, RenameFlags};
use rustix::io::Errno;

use crate::error::{FsError, Operation};
use crate::hashing::{Digested, digest_of};
use crate::registry;

/// Mode of every file written: readable by all, whatever the umask.
const FILE_MODE: u32 = 0o644;
/// Mode of files that hold a secret: for their owner alone, from the first byte on.
const PRIVATE_MODE: u32 = 0o600;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A name beside `path` that no other writer uses: process id and a counter make it unique without
/// randomness.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".partial-{}-{number}", std::process::id()));
    path.with_file_name(name)
}

/// Flushes a directory, so that a rename in it survives a power cut.
pub(crate) fn sync_directory(path: &Path) -> Result<(), FsError> {
    let directory = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| FsError::io(Operation::Sync, directory, source))
}

/// A file written beside its final name and renamed into place by [`AtomicFile::commit`]; dropping
/// it without that leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    mode: u32,
    committed: bool,
}

impl AtomicFile {
    /// Starts a file that will be called `target`; an existing file of that name is replaced at
    /// commit.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be written to.
    pub fn create(target: &Path) -> Result<Self, FsError> {
        Self::with_mode(target, FILE_MODE)
    }

    /// As [`Self::create`], for a file with a secret in it: nobody but its owner can read it, at no
    /// time and under neither name.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_private(target: &Path) -> Result<Self, FsError> {
        Self::with_mode(target, PRIVATE_MODE)
    }

    fn with_mode(target: &Path, mode: u32) -> Result<Self, FsError> {
        let temporary = beside(target);
        registry::register(&temporary);
        let created = OpenOptions::new()
            .write(true)
            .read(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary);
        match created {
            Ok(file) => Ok(Self {
                file,
                temporary,
                target: target.to_owned(),
                mode,
                committed: false,
            }),
            Err(source) => {
                registry::forget(&temporary);
                Err(FsError::io(Operation::Create, target, source))
            }
        }
    }

    /// The final name.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Turns a write error into one that names the final path.
    #[must_use]
    pub fn write_error(&self, source: io::Error) -> FsError {
        FsError::io(Operation::Write, &self.target, source)
    }

    /// Changes the final name, in the same directory or elsewhere on the same file system.
    pub fn retarget(&mut self, target: &Path) {
        target.clone_into(&mut self.target);
    }

    /// Flushes to the disk and renames into place.
    ///
    /// # Errors
    ///
    /// Fails when the disk or the directory refuses; then nothing is left at either name.
    pub fn commit(mut self) -> Result<(), FsError> {
        let target = self.target.clone();
        self.flush_to_disk()?;
        fs::rename(&self.temporary, &target)
            .map_err(|source| FsError::io(Operation::Rename, &target, source))?;
        self.committed = true;
        registry::forget(&self.temporary);
        sync_directory(target.parent().unwrap_or(Path::new("")))
    }

    /// As [`Self::commit`] unless something of the final name exists, which is then left as it is.
    /// Says whether it was this file that got the name: of any number of writers, one.
    ///
    /// # Errors
    ///
    /// As [`Self::commit`].
    pub fn commit_new(mut self) -> Result<bool, FsError> {
        let target = self.target.clone();
        self.flush_to_disk()?;
        match rename_new(&self.temporary, &target) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(source) => return Err(FsError::io(Operation::Rename, &target, source)),
        }
        self.committed = true;
        registry::forget(&self.temporary);
        sync_directory(target.parent().unwrap_or(Path::new("")))?;
        Ok(true)
    }

    /// Flushes to the disk, reads the whole file again and hashes it, so that a damaged file never
    /// gets its final name. The system is asked to forget its copy first: what is read then comes
    /// from the disk, where the system follows such advice.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn read_back(&mut self) -> Result<Digested, FsError> {
        self.flush_to_disk()?;
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        let read_error = |source| FsError::io(Operation::Read, &self.target, source);
        (&self.file)
            .seek(SeekFrom::Start(0))
            .map_err(read_error)
            .and_then(|_| digest_of(&self.file, &self.target))
    }

    fn flush_to_disk(&self) -> Result<(), FsError> {
        self.file
            .set_permissions(Permissions::from_mode(self.mode))
            .and_then(|()| self.file.sync_all())
            .map_err(|source| FsError::io(Operation::Sync, &self.target, source))
    }
}

/// Renames unless `target` exists. File systems that cannot (NFS among them) can link: a link fails
/// as well when its name is taken.
fn rename_new(source: &Path, target: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_new(source, target),
        result => Ok(result?),
    }
}

fn link_new(source: &Path, target: &Path) -> io::Result<()> {
    fs::hard_link(source, target)?;
    // The target is there: a second name that stays behind is untidy, not wrong.
    let _ = fs::remove_file(source);
    Ok(())
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.temporary);
            registry::forget(&self.temporary);
        }
    }
}

/// Writes a small file atomically.
///
/// # Errors
///
/// Fails when the disk or the directory refuses; then nothing is left.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .map_err(|source| FsError::io(Operation::Write, path, source))?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        write_atomic(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_private_file_is_private_under_both_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = AtomicFile::create_private(&path).unwrap();
        assert_eq!(mode(&file.temporary), 0o600);
        assert!(file.commit_new().unwrap());
        assert_eq!(mode(&path), 0o600);
        write_atomic(&path, b"").unwrap();
        assert_eq!(mode(&path), 0o644);
    }

    #[test]
    fn of_many_writers_one_gets_a_new_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        let created = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|number: u8| {
                    let path = &path;
                    scope.spawn(move || {
                        let mut file = AtomicFile::create(path).unwrap();
                        file.write_all(&[number; 1000]).unwrap();
                        (number, file.commit_new().unwrap())
                    })
                })
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .filter_map(|(number, created)| created.then_some(number))
                .collect::<Vec<_>>()
        });
        assert_eq!(created.len(), 1);
        assert_eq!(fs::read(&path).unwrap(), [created[0]; 1000]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_does_what_a_rename_cannot() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b, target] = ["a", "b", "t"].map(|name| directory.path().join(name));
        fs::write(&a, b"first").unwrap();
        fs::write(&b, b"second").unwrap();
        link_new(&a, &target).unwrap();
        let error = link_new(&b, &target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).unwrap(), b"first");
        assert!(!a.exists() && b.exists());
    }

    #[test]
    fn what_is_read_back_is_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"abc").unwrap();
        let digest = file.read_back().unwrap();
        assert_eq!(digest.bytes, 3);
        assert!(digest.sha256.starts_with("ba7816bf"));
        file.write_all(b"def").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abcdef");
    }

    #[test]
    fn names_differ_for_targets_that_share_a_stem() {
        let a = beside(Path::new("x/a.json"));
        let b = beside(Path::new("x/a.toml"));
        assert_ne!(a, b);
        assert_eq!(a.parent(), Some(Path::new("x")));
    }
}
