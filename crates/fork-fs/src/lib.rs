//! The only crate that touches `std::fs`.
//!
//! Every error names its path. Results appear atomically: [`AtomicFile`] and [`StagedDir`] are
//! written beside their final name, fsynced and renamed, and what is unfinished disappears when
//! they are dropped or, through [`remove_unfinished`], when a signal ends the process.
//!
//! Start at [`StagedDir`] for a step's output directory, [`open`] and [`read_limited`] for input.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
// The workspace forbids bare `std::fs`; this crate is where it is allowed.
#![allow(clippy::disallowed_methods)]

mod atomic;
mod beneath;
mod error;
mod hashing;
mod lock;
mod moves;
mod registry;
mod staged;
mod tree;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use atomic::{AtomicFile, write_atomic};
pub use beneath::{Beneath, BeneathKind};
pub use error::{FsError, FsErrorKind, Operation};
pub use hashing::{Digested, HashingReader, HashingWriter, file_ref, sha256_file};
pub use lock::FileLock;
pub use moves::{remove_all, rename};
pub use registry::remove_unfinished;
pub use staged::{StagedDir, write_document};
pub use tree::{
    append_limited, bytes_if_file, create_dir_all_flushed, list_files, open_if_file,
    remove_abandoned, remove_file,
};

use fork_types::document::{DOCUMENT_BYTES_MAX, Document};

/// Opens a file for reading.
///
/// # Errors
///
/// Fails when the file is missing, is a directory, or may not be read.
pub fn open(path: &Path) -> Result<File, FsError> {
    let file = File::open(path).map_err(|source| FsError::io(Operation::Open, path, source))?;
    let metadata = file
        .metadata()
        .map_err(|source| FsError::io(Operation::Open, path, source))?;
    if metadata.is_dir() {
        return Err(FsError::is_directory(path));
    }
    Ok(file)
}

/// Reads a whole file of at most `bytes_max` bytes.
///
/// # Errors
///
/// Fails as [`open`], and when the file is larger than the limit.
pub fn read_limited(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FsError> {
    let mut bytes = Vec::new();
    open(path)?
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| FsError::io(Operation::Read, path, source))?;
    if bytes.len() as u64 > bytes_max {
        return Err(FsError::too_large(path, bytes_max));
    }
    Ok(bytes)
}

/// Reads the file an argument names, when it is meant as a path (it holds a `/` or a `.`, or there is
/// a file of that name) and not as the name of something built in.
///
/// # Errors
///
/// Fails as [`read_limited`] when it is meant as a path.
pub fn read_named_file(name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FsError> {
    let path = Path::new(name);
    if name.contains(['/', '.']) || path.is_file() {
        return read_limited(path, bytes_max).map(Some);
    }
    Ok(None)
}

/// Reads the document of type `D` in `directory`; returns it with its bytes.
///
/// # Errors
///
/// Fails when the file cannot be read or is not such a document.
pub fn read_document<D: Document>(directory: &Path) -> Result<(D, Vec<u8>), FsError> {
    let path = directory.join(D::FILE_NAME);
    let bytes = read_limited(&path, DOCUMENT_BYTES_MAX)?;
    let document = D::from_json(&bytes).map_err(|source| FsError::document(&path, source))?;
    Ok((document, bytes))
}

/// Checks that `directory/file.name` has the size and SHA-256 the document says, reading it once.
///
/// # Errors
///
/// Fails when the file cannot be read, its name leaves the directory, or the content differs.
pub fn verify_file_ref(
    directory: &Path,
    file: &fork_types::document::FileRef,
) -> Result<PathBuf, FsError> {
    let path = child(directory, &file.name)?;
    let found = sha256_file(&path)?;
    compare_file_ref(&path, file, &found)?;
    Ok(path)
}

/// Compares the file at `path`, hashed while it was read for another purpose, with what a document
/// says about it.
///
/// # Errors
///
/// Fails when size or SHA-256 differ.
pub fn compare_file_ref(
    path: &Path,
    file: &fork_types::document::FileRef,
    found: &Digested,
) -> Result<(), FsError> {
    if found.sha256 != file.sha256 || found.bytes != file.bytes {
        return Err(FsError::digest(path, file, found));
    }
    Ok(())
}

/// Joins a relative name from a document to its directory, refusing names that leave it.
///
/// # Errors
///
/// Fails on absolute names and on any component that is not a plain name.
pub fn child(directory: &Path, name: &str) -> Result<PathBuf, FsError> {
    let relative = Path::new(name);
    let plain = relative
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if name.is_empty() || !plain {
        return Err(FsError::unsafe_name(directory, name));
    }
    Ok(directory.join(relative))
}

/// Creates a directory and its parents, mode 0755 whatever the umask for the last one.
///
/// # Errors
///
/// Fails when the file system refuses.
pub fn create_dir_all(path: &Path) -> Result<(), FsError> {
    fs::create_dir_all(path).map_err(|source| FsError::io(Operation::CreateDirectory, path, source))
}

/// Removes a directory tree; a missing one is fine.
///
/// # Errors
///
/// Fails when the file system refuses.
pub fn remove_dir_all(path: &Path) -> Result<(), FsError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FsError::io(Operation::Remove, path, source))
        }
        _ => Ok(()),
    }
}

/// Names inside a directory, sorted.
///
/// # Errors
///
/// Fails when the directory cannot be read.
pub fn sorted_names(path: &Path) -> Result<Vec<std::ffi::OsString>, FsError> {
    let error = |source| FsError::io(Operation::ReadDirectory, path, source);
    let mut names = fs::read_dir(path)
        .map_err(error)?
        .map(|entry| entry.map(|entry| entry.file_name()).map_err(error))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

/// Whether there is anything at `path`.
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Size of a file in bytes.
///
/// # Errors
///
/// Fails when the file cannot be looked at.
pub fn file_bytes(path: &Path) -> Result<u64, FsError> {
    fs::metadata(path)
        .map(|metadata| metadata.len())
        .map_err(|source| FsError::io(Operation::Open, path, source))
}

/// Whether nobody but its owner may read or write a file, so that it may hold a secret. What is no
/// file but a pipe is private.
///
/// # Errors
///
/// Fails when the file cannot be looked at.
pub fn is_private(path: &Path) -> Result<bool, FsError> {
    fs::metadata(path)
        .map(|metadata| !metadata.is_file() || metadata.permissions().mode() & 0o077 == 0)
        .map_err(|source| FsError::io(Operation::Open, path, source))
}

/// Fails early when the file system that holds `path` has less than `needed_bytes` free.
///
/// # Errors
///
/// Fails when there is too little space, or when the file system does not tell.
pub fn require_free_space(path: &Path, needed_bytes: u64) -> Result<(), FsError> {
    let mut existing = path;
    while !exists(existing) {
        match existing.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => existing = parent,
            _ => {
                existing = Path::new(".");
                break;
            }
        }
    }
    let stat = rustix::fs::statvfs(existing)
        .map_err(|errno| FsError::io(Operation::Open, existing, errno.into()))?;
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free_bytes < needed_bytes {
        return Err(FsError::no_space(existing, needed_bytes, free_bytes));
    }
    Ok(())
}
