//! Files below a directory that somebody else may write to at the same time.
//!
//! Every path is walked from an open directory, one name at a time, without following a symbolic
//! link. So nothing outside is ever read or written, whatever is planted inside and whenever.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{FsError, Operation};

/// Longest path relative to the directory, in bytes: what Linux takes.
const PATH_BYTES_MAX: usize = 4096;
/// Deepest nesting.
const DEPTH_MAX: usize = 100;
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeneathKind {
    /// A file.
    File {
        /// Size in bytes.
        bytes: u64,
        /// Whether its owner may run it.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symbolic link, which nothing here follows.
    Symlink {
        /// Text of the link.
        target: String,
    },
    /// A device, a pipe or a socket.
    Special,
}

/// An open directory. Paths are relative to it: names separated by single slashes; the empty path is
/// the directory itself.
#[derive(Debug)]
pub struct Beneath {
    directory: OwnedFd,
    path: PathBuf,
}

impl Beneath {
    /// Opens a directory, which must not be a symbolic link.
    ///
    /// # Errors
    ///
    /// Fails when it is anything else or cannot be read.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        // A slash at the end would follow a link.
        let path = path.components().collect::<PathBuf>();
        let path = path.as_path();
        match open_directory(CWD, path) {
            Ok(directory) => Ok(Self {
                directory,
                path: path.to_owned(),
            }),
            Err(Errno::NOTDIR | Errno::LOOP) if is_link(CWD, path) => Err(FsError::link(path)),
            Err(errno) => Err(FsError::io(Operation::Open, path, errno.into())),
        }
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Locks the directory until the lock is dropped or the process ends; `None` when somebody else
    /// has it.
    ///
    /// # Errors
    ///
    /// Fails when the file system has no locks.
    pub fn lock(&self) -> Result<Option<File>, FsError> {
        let file = File::from(
            open_directory(&self.directory, Path::new("."))
                .map_err(|errno| FsError::io(Operation::Open, &self.path, errno.into()))?,
        );
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => {
                Err(FsError::io(Operation::Open, &self.path, source))
            }
        }
    }

    /// What lies at a path; `None` when there is nothing.
    ///
    /// # Errors
    ///
    /// Fails when the path leads through a link or the directory cannot be read.
    pub fn kind(&self, path: &str) -> Result<Option<BeneathKind>, FsError> {
        if path.is_empty() {
            return Ok(Some(BeneathKind::Directory));
        }
        let Some((parent, name)) = self.parent_if_there(path)? else {
            return Ok(None);
        };
        self.kind_in(&parent, name, path)
    }

    /// Opens the file at a path for reading.
    ///
    /// # Errors
    ///
    /// Fails when there is no file, and on links.
    pub fn open_file(&self, path: &str) -> Result<File, FsError> {
        let (parent, name) = self.parent(path)?;
        // Without blocking, so that a pipe cannot hold us up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(&parent, name, flags, Mode::empty());
        let file = File::from(opened.map_err(|errno| self.failed(Operation::Open, path, errno))?);
        let full = self.path.join(path);
        let metadata = file
            .metadata()
            .map_err(|source| FsError::io(Operation::Open, &full, source))?;
        if metadata.is_file() {
            Ok(file)
        } else if metadata.is_dir() {
            Err(FsError::is_directory(&full))
        } else {
            Err(FsError::not_a_file(&full))
        }
    }

    /// Reads a whole file of limited size.
    ///
    /// # Errors
    ///
    /// As [`Beneath::open_file`], and beyond the limit.
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, FsError> {
        let full = self.path.join(path);
        let mut bytes = Vec::new();
        self.open_file(path)?
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| FsError::io(Operation::Read, &full, source))?;
        if bytes.len() as u64 > bytes_max {
            return Err(FsError::too_large(&full, bytes_max));
        }
        Ok(bytes)
    }

    /// Everything below a directory, sorted by path (relative to that directory); at most
    /// `entries_max` of it.
    ///
    /// # Errors
    ///
    /// Fails beyond the limits, and on names that are not UTF-8 or hold line breaks.
    pub fn list(
        &self,
        directory: &str,
        entries_max: usize,
    ) -> Result<Vec<(String, BeneathKind)>, FsError> {
        let mut found = Vec::new();
        self.list_into(directory, "", 0, entries_max, &mut found)?;
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }

    fn list_into(
        &self,
        root: &str,
        below: &str,
        depth: usize,
        entries_max: usize,
        found: &mut Vec<(String, BeneathKind)>,
    ) -> Result<(), FsError> {
        let path = joined(root, below);
        let full = self.path.join(&path);
        if depth > DEPTH_MAX {
            return Err(FsError::too_many(&full, "levels of directories", DEPTH_MAX));
        }
        let directory = self.directory(&path)?;
        let failed = |errno: Errno| FsError::io(Operation::ReadDirectory, &full, errno.into());
        let mut directories = Vec::new();
        for entry in Dir::read_from(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let name = match std::str::from_utf8(name) {
                Ok(name) if !name.contains('\n') => name,
                _ => {
                    let name = String::from_utf8_lossy(name).escape_debug().to_string();
                    return Err(FsError::unsafe_name(&full, &name));
                }
            };
            let path = joined(below, name);
            if path.len() > PATH_BYTES_MAX {
                return Err(FsError::too_many(&full, "bytes in a path", PATH_BYTES_MAX));
            }
            // What disappears meanwhile was not there.
            let Some(kind) = self.kind_in(&directory, name, &joined(root, &path))? else {
                continue;
            };
            if found.len() >= entries_max {
                return Err(FsError::too_many(&full, "entries", entries_max));
            }
            if kind == BeneathKind::Directory {
                directories.push(path.clone());
            }
            found.push((path, kind));
        }
        for path in directories {
            self.list_into(root, &path, depth + 1, entries_max, found)?;
        }
        Ok(())
    }

    /// Creates a file that is not there yet; its mode is 0755 or 0644, whatever the umask.
    ///
    /// # Errors
    ///
    /// Fails when something is there already.
    pub fn create_file(&self, path: &str, executable: bool) -> Result<File, FsError> {
        let (parent, name) = self.parent(path)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable {
            DIRECTORY_MODE
        } else {
            FILE_MODE
        });
        let file = rustix::fs::openat(&parent, name, flags, mode)
            .and_then(|file| rustix::fs::fchmod(&file, mode).map(|()| file))
            .map_err(|errno| self.failed(Operation::Create, path, errno))?;
        Ok(File::from(file))
    }

    /// Creates a directory and those above it, mode 0755, whatever the umask.
    ///
    /// # Errors
    ///
    /// Fails when something else is in the way.
    pub fn create_directories(&self, path: &str) -> Result<(), FsError> {
        self.check(path)?;
        let ends = path
            .match_indices('/')
            .map(|(index, _)| index)
            .chain([path.len()]);
        for end in ends.filter(|end| *end > 0) {
            let one = &path[..end];
            let (parent, name) = self.parent(one)?;
            let mode = Mode::from_raw_mode(DIRECTORY_MODE);
            match rustix::fs::mkdirat(&parent, name, mode) {
                Ok(()) => {
                    let directory = self.directory(one)?;
                    rustix::fs::fchmod(&directory, mode)
                        .and_then(|()| rustix::fs::fsync(&parent))
                        .map_err(|errno| self.failed(Operation::CreateDirectory, one, errno))?;
                }
                Err(Errno::EXIST) => {
                    self.directory(one)?;
                }
                Err(errno) => return Err(self.failed(Operation::CreateDirectory, one, errno)),
            }
        }
        Ok(())
    }

    /// Creates a symbolic link with this text.
    ///
    /// # Errors
    ///
    /// Fails when something is there already.
    pub fn symlink(&self, target: &str, path: &str) -> Result<(), FsError> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::symlinkat(target, &parent, name)
            .map_err(|errno| self.failed(Operation::Create, path, errno))
    }

    /// Gives a file another name.
    ///
    /// # Errors
    ///
    /// Fails when something is there already, and when `from` is no file.
    pub fn hard_link(&self, from: &str, path: &str) -> Result<(), FsError> {
        if !matches!(self.kind(from)?, Some(BeneathKind::File { .. })) {
            return Err(FsError::not_a_file(&self.path.join(from)));
        }
        let (from_parent, from_name) = self.parent(from)?;
        let (parent, name) = self.parent(path)?;
        // Without AT_SYMLINK_FOLLOW, a link put there meanwhile is not followed either.
        rustix::fs::linkat(&from_parent, from_name, &parent, name, AtFlags::empty())
            .map_err(|errno| self.failed(Operation::Create, path, errno))
    }

    /// Renames, and flushes both directories; what `to` was is replaced, unless it is a directory.
    ///
    /// # Errors
    ///
    /// Fails when the file system refuses.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), FsError> {
        let (from_parent, from_name) = self.parent(from)?;
        let (parent, name) = self.parent(to)?;
        rustix::fs::renameat(&from_parent, from_name, &parent, name)
            .and_then(|()| rustix::fs::fsync(&parent))
            .and_then(|()| rustix::fs::fsync(&from_parent))
            .map_err(|errno| self.failed(Operation::Rename, to, errno))
    }

    /// Removes a file or link and says whether it was there.
    ///
    /// # Errors
    ///
    /// Fails on directories, and when the file system refuses.
    pub fn remove_file(&self, path: &str) -> Result<bool, FsError> {
        let Some((parent, name)) = self.parent_if_there(path)? else {
            return Ok(false);
        };
        match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) => {
                rustix::fs::fsync(&parent)
                    .map_err(|errno| self.failed(Operation::Sync, path, errno))?;
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.failed(Operation::Remove, path, errno)),
        }
    }

    fn directory(&self, path: &str) -> Result<OwnedFd, FsError> {
        self.check(path)?;
        let mut directory = open_directory(&self.directory, Path::new("."))
            .map_err(|errno| FsError::io(Operation::Open, &self.path, errno.into()))?;
        for (end, name) in names(path) {
            let one = &path[..end];
            directory = match open_directory(&directory, Path::new(name)) {
                Ok(next) => next,
                Err(Errno::NOTDIR | Errno::LOOP) if is_link(&directory, Path::new(name)) => {
                    return Err(FsError::link(&self.path.join(one)));
                }
                Err(errno) => {
                    return Err(FsError::io(
                        Operation::Open,
                        &self.path.join(one),
                        errno.into(),
                    ));
                }
            };
        }
        Ok(directory)
    }

    /// Refuses what is not names separated by single slashes.
    fn check(&self, path: &str) -> Result<(), FsError> {
        let is_plain = |(_, name): (usize, &str)| !matches!(name, "" | "." | "..");
        if names(path).all(is_plain) && !path.contains('\0') {
            return Ok(());
        }
        Err(FsError::unsafe_name(&self.path, path))
    }

    /// The directory of a path, and its name there.
    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), FsError> {
        self.check(path)?;
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() {
            return Err(FsError::unsafe_name(&self.path, path));
        }
        Ok((self.directory(parent)?, name))
    }

    fn parent_if_there<'a>(&self, path: &'a str) -> Result<Option<(OwnedFd, &'a str)>, FsError> {
        match self.parent(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn kind_in(
        &self,
        parent: &OwnedFd,
        name: &str,
        path: &str,
    ) -> Result<Option<BeneathKind>, FsError> {
        let failed = |errno| self.failed(Operation::Open, path, errno);
        let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => BeneathKind::File {
                bytes: u64::try_from(stat.st_size).unwrap_or_default(),
                executable: stat.st_mode & 0o100 != 0,
            },
            FileType::Directory => BeneathKind::Directory,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new()).map_err(failed)?;
                let target = target.into_string().map_err(|target| {
                    let text = target.into_cstring();
                    let text = text.to_string_lossy().escape_debug().to_string();
                    FsError::unsafe_name(&self.path.join(path), &text)
                })?;
                BeneathKind::Symlink { target }
            }
            _ => BeneathKind::Special,
        }))
    }

    fn failed(&self, operation: Operation, path: &str, errno: Errno) -> FsError {
        let full = self.path.join(path);
        if errno == Errno::LOOP {
            return FsError::link(&full);
        }
        FsError::io(operation, &full, errno.into())
    }
}

/// Names of a path, each with the end of its prefix.
fn names(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    path.split('/')
        .filter(move |_| !path.is_empty())
        .map(move |name| {
            end += name.len() + 1;
            (end - 1, name)
        })
}

fn joined(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", _) => name.to_owned(),
        (_, "") => directory.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}

fn open_directory(parent: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, path, flags, Mode::empty())
}

fn is_link(parent: impl AsFd, path: &Path) -> bool {
    rustix::fs::statat(parent, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::FsErrorKind;

    fn is_link_error<T: std::fmt::Debug>(result: Result<T, FsError>) -> bool {
        matches!(result.unwrap_err().kind(), FsErrorKind::Link { .. })
    }

    #[test]
    fn nothing_goes_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        let inside = root.path().join("inside");
        fs::create_dir_all(outside.join("d")).unwrap();
        fs::create_dir(&inside).unwrap();
        fs::write(outside.join("secret"), "x").unwrap();
        symlink(&outside, inside.join("out")).unwrap();
        symlink(outside.join("secret"), inside.join("file")).unwrap();
        let directory = Beneath::open(&inside).unwrap();
        assert!(is_link_error(directory.open_file("out/secret")));
        assert!(is_link_error(directory.open_file("file")));
        assert!(is_link_error(directory.create_file("out/new", false)));
        assert!(is_link_error(directory.create_directories("out/d2")));
        assert!(is_link_error(directory.create_directories("out")));
        assert!(is_link_error(directory.remove_file("out/secret")));
        assert!(is_link_error(directory.symlink("x", "out/s")));
        assert!(is_link_error(directory.list("out", 9)));
        assert!(is_link_error(directory.kind("out/secret")));
        drop(directory.create_file("here", false).unwrap());
        assert!(is_link_error(directory.rename("here", "out/here")));
        assert!(is_link_error(directory.rename("out/secret", "there")));
        assert!(directory.hard_link("file", "again").is_err());
        // The link itself is a thing that can be listed and removed.
        let listed = directory.list("", 9).unwrap();
        assert_eq!(listed.len(), 3, "{listed:?}");
        assert!(matches!(listed[2].1, BeneathKind::Symlink { .. }));
        assert!(directory.remove_file("out").unwrap());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);
        symlink(&inside, root.path().join("link")).unwrap();
        assert!(is_link_error(Beneath::open(&root.path().join("link"))));
    }

    #[test]
    fn paths_stay_below() {
        let root = tempfile::tempdir().unwrap();
        let directory = Beneath::open(root.path()).unwrap();
        for path in [
            "..", "../a", "a/../b", "/a", "a//b", "./a", "a/", ".", "a\0b",
        ] {
            assert!(directory.create_file(path, false).is_err(), "{path}");
            assert!(directory.open_file(path).is_err(), "{path}");
            assert!(directory.create_directories(path).is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        let directory = Beneath::open(root.path()).unwrap();
        directory.create_directories("a/b").unwrap();
        let mut file = directory.create_file("a/b/run", true).unwrap();
        file.write_all(b"12345").unwrap();
        drop(file);
        assert!(directory.create_file("a/b/run", true).is_err());
        directory.hard_link("a/b/run", "a/again").unwrap();
        directory.rename("a/b/run", "a/run").unwrap();
        let mode = fs::metadata(root.path().join("a/run"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o755);
        assert_eq!(directory.read("a/run", 5).unwrap(), b"12345");
        assert!(directory.read("a/run", 4).is_err());
        let names = |entries_max| {
            let listed = directory.list("a", entries_max)?;
            Ok::<_, FsError>(listed.into_iter().map(|(path, _)| path).collect::<Vec<_>>())
        };
        assert_eq!(names(3).unwrap(), ["again", "b", "run"]);
        assert!(names(2).is_err());
        assert!(directory.remove_file("a/run").unwrap());
        assert!(!directory.remove_file("a/run").unwrap());
        assert!(!directory.remove_file("gone/run").unwrap());
        assert_eq!(directory.kind("gone/run").unwrap(), None);
        assert!(directory.open_file("a/b").is_err());
        let lock = directory.lock().unwrap();
        assert!(lock.is_some());
        let other = Beneath::open(root.path()).unwrap();
        assert!(other.lock().unwrap().is_none());
        drop(lock);
        assert!(other.lock().unwrap().is_some());
    }
}
