//! Directories that hold many files: looking, listing and tidying.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::atomic::sync_directory;
use crate::error::{FsError, Operation};

/// Part of every unfinished file's name, before the process id.
const PARTIAL: &str = ".partial-";

/// Whether an error says that there is no such file, at whatever level of the path.
fn absent(source: &io::Error) -> bool {
    matches!(
        source.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Opens the file at `path`; `None` when there is none (a directory is none).
///
/// # Errors
///
/// Fails when the file may not be read.
pub fn open_if_file(path: &Path) -> Result<Option<File>, FsError> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.is_file(), file)));
    match opened {
        Ok((is_file, file)) => Ok(is_file.then_some(file)),
        Err(source) if absent(&source) => Ok(None),
        Err(source) => Err(FsError::io(Operation::Open, path, source)),
    }
}

/// Size of the file at `path` in bytes; `None` when there is none (a directory is none).
///
/// # Errors
///
/// Fails when the file may not be looked at.
pub fn bytes_if_file(path: &Path) -> Result<Option<u64>, FsError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(source) if absent(&source) => Ok(None),
        Err(source) => Err(FsError::io(Operation::Open, path, source)),
    }
}

/// Adds to the end of a file, which is made when there is none. Adds nothing and says so (`false`) when
/// the file would get larger than `bytes_max`.
///
/// For notes beside a run: what is added is neither flushed nor safe from half a write, unlike
/// anything that is a result.
///
/// # Errors
///
/// Fails when the file may not be written.
pub fn append_limited(path: &Path, bytes: &[u8], bytes_max: u64) -> Result<bool, FsError> {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|source| FsError::io(Operation::Open, path, source))?;
    let before = file
        .metadata()
        .map_err(|source| FsError::io(Operation::Open, path, source))?
        .len();
    if before.saturating_add(bytes.len() as u64) > bytes_max {
        return Ok(false);
    }
    file.write_all(bytes)
        .map_err(|source| FsError::io(Operation::Write, path, source))?;
    Ok(true)
}

/// Removes a file and says whether it was there.
///
/// # Errors
///
/// Fails when the directory refuses.
pub fn remove_file(path: &Path) -> Result<bool, FsError> {
    match fs::remove_file(path) {
        Ok(()) => {
            sync_directory(path.parent().unwrap_or(Path::new("")))?;
            Ok(true)
        }
        Err(source) if absent(&source) => Ok(false),
        Err(source) => Err(FsError::io(Operation::Remove, path, source)),
    }
}

/// As [`crate::create_dir_all`], and flushes the new names, so that a file committed in the new
/// directory survives a power cut together with the directory.
///
/// # Errors
///
/// Fails when the file system refuses.
pub fn create_dir_all_flushed(path: &Path) -> Result<(), FsError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !crate::exists(ancestor))
        .collect();
    crate::create_dir_all(path)?;
    for directory in missing.into_iter().rev() {
        sync_directory(directory.parent().unwrap_or(Path::new("")))?;
    }
    Ok(())
}

/// Every file below `root`, as its path relative to `root` and its size, by path. Names that begin
/// with a dot are left out (unfinished files begin so), and so are symbolic links to directories: a
/// loop of them would never end. A file that disappears meanwhile is left out; a `root` that does
/// not exist holds nothing.
///
/// # Errors
///
/// Fails when a directory cannot be read.
pub fn list_files(root: &Path) -> Result<Vec<(PathBuf, u64)>, FsError> {
    let mut found = Vec::new();
    walk(root, &mut |path, bytes| {
        if let Ok(relative) = path.strip_prefix(root) {
            found.push((relative.to_owned(), bytes));
        }
    })?;
    found.sort();
    Ok(found)
}

fn walk(directory: &Path, visit: &mut dyn FnMut(PathBuf, u64)) -> Result<(), FsError> {
    for (path, hidden) in entries(directory)? {
        if hidden {
            continue;
        }
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(&path, visit)?,
            Ok(metadata) if metadata.is_file() => visit(path, metadata.len()),
            Ok(_) => {
                if let Some(bytes) = bytes_if_file(&path)? {
                    visit(path, bytes);
                }
            }
            Err(source) if absent(&source) => {}
            Err(source) => return Err(FsError::io(Operation::Open, &path, source)),
        }
    }
    Ok(())
}

/// The paths in a directory and whether their names begin with a dot; none when there is no such
/// directory. A name that is not text cannot be one of ours and is left out.
fn entries(directory: &Path) -> Result<Vec<(PathBuf, bool)>, FsError> {
    let error = |source| FsError::io(Operation::ReadDirectory, directory, source);
    let reading = match fs::read_dir(directory) {
        Ok(reading) => reading,
        Err(source) if absent(&source) => return Ok(Vec::new()),
        Err(source) => return Err(error(source)),
    };
    let mut paths = Vec::new();
    for entry in reading {
        let entry = entry.map_err(error)?;
        if let Some(name) = entry.file_name().to_str() {
            paths.push((entry.path(), name.starts_with('.')));
        }
    }
    Ok(paths)
}

/// Removes the unfinished files below `root` whose process is gone, and says how many there were.
///
/// The process id is in the name of every unfinished file. An id says nothing about processes on
/// another machine, so this is for directories that only this machine writes to. A process that got
/// the id of a dead one keeps its files until it ends; where processes cannot be looked up, nothing
/// is removed.
///
/// # Errors
///
/// Fails when a directory cannot be read or a file cannot be removed.
pub fn remove_abandoned(root: &Path) -> Result<u64, FsError> {
    if !crate::exists(Path::new("/proc/self")) {
        return Ok(0);
    }
    let mut removed = 0;
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for (path, hidden) in entries(&directory)? {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() && !hidden {
                waiting.push(path);
            } else if metadata.is_file() && hidden && abandoned(&path) && remove_file(&path)? {
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Whether a path is that of an unfinished file, `.NAME.partial-PROCESS-NUMBER`, of no living
/// process.
fn abandoned(path: &Path) -> bool {
    let process = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.rsplit_once(PARTIAL))
        .and_then(|(_, rest)| rest.split_once('-'))
        .filter(|(_, number)| number.parse::<u64>().is_ok())
        .and_then(|(process, _)| process.parse::<u32>().ok());
    process.is_some_and(|process| !crate::exists(Path::new(&format!("/proc/{process}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Larger than any process id Linux gives out.
    const NOBODY: u32 = 4_000_000_000;

    #[test]
    fn lists_files_but_nothing_unfinished() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        assert_eq!(list_files(&root).unwrap(), []);
        create_dir_all_flushed(&root.join("b/c")).unwrap();
        fs::write(root.join("b/c/2"), b"12").unwrap();
        fs::write(root.join("b/1"), b"1").unwrap();
        fs::write(root.join("a"), b"").unwrap();
        assert_eq!(list_files(&root.join("a")).unwrap(), []);
        fs::write(root.join("b/.1.partial-1-0"), b"x").unwrap();
        std::os::unix::fs::symlink("..", root.join("b/loop")).unwrap();
        let expected = [("a", 0), ("b/1", 1), ("b/c/2", 2)].map(|(p, n)| (PathBuf::from(p), n));
        assert_eq!(list_files(&root).unwrap(), expected);
    }

    #[test]
    fn a_file_grows_up_to_its_limit_and_no_further() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("notes");
        assert!(append_limited(&file, b"abc", 5).unwrap());
        assert!(append_limited(&file, b"de", 5).unwrap());
        assert!(!append_limited(&file, b"f", 5).unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"abcde");
        assert!(append_limited(&directory.path().join("no/such"), b"x", 5).is_err());
    }

    #[test]
    fn a_directory_and_a_name_below_a_file_are_no_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        fs::write(&file, b"abc").unwrap();
        assert_eq!(bytes_if_file(&file).unwrap(), Some(3));
        for path in [directory.path().to_owned(), file.join("g")] {
            assert_eq!(bytes_if_file(&path).unwrap(), None);
            assert!(open_if_file(&path).unwrap().is_none());
        }
        assert!(remove_file(&file).unwrap());
        assert!(!remove_file(&file).unwrap());
    }

    #[test]
    fn only_the_leftovers_of_dead_processes_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("ledgers");
        fs::create_dir(&below).unwrap();
        let dead = [
            directory.path().join(format!(".a.json.partial-{NOBODY}-0")),
            below.join(format!(".b.partial-{NOBODY}-17")),
        ];
        let kept = [
            directory
                .path()
                .join(format!(".a.json.partial-{}-0", std::process::id())),
            below.join(".hidden"),
            below.join(format!("b.partial-{NOBODY}-17")),
            below.join(format!(".b.partial-{NOBODY}-x")),
        ];
        for path in dead.iter().chain(&kept) {
            fs::write(path, b"x").unwrap();
        }
        assert_eq!(remove_abandoned(directory.path()).unwrap(), 2);
        assert!(dead.iter().all(|path| !path.exists()));
        assert!(kept.iter().all(|path| path.exists()));
        assert_eq!(remove_abandoned(directory.path()).unwrap(), 0);
    }
}
