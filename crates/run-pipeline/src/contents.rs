//! What the files that a step reads hold, as one digest.

// Looking at file systems as they are, links included, which `fork-fs` has no use for.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fork_fs::{Digested, FsError, HashingReader, Operation};

use crate::error::PipelineError;

/// Most entries of a directory that a variable names; a Debian root file system has 10,000.
const ENTRIES_MAX: usize = 2_000_000;

/// Digests of files and directories, each computed once.
#[derive(Debug, Default)]
pub(crate) struct Contents(Mutex<BTreeMap<PathBuf, String>>);

impl Contents {
    /// SHA-256 of a file; of a directory, that of a list of everything in it (kind, mode, name,
    /// content). Times and owners do not count.
    pub(crate) fn digest(&self, path: &Path) -> Result<String, PipelineError> {
        let known = |map: &Self| {
            let map = map.0.lock().unwrap_or_else(PoisonError::into_inner);
            map.get(path).cloned()
        };
        if let Some(digest) = known(self) {
            return Ok(digest);
        }
        let digest = if path.is_dir() {
            tree(path)?
        } else {
            fork_fs::sha256_file(path)?.sha256
        };
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(path.to_owned(), digest.clone());
        Ok(digest)
    }
}

/// SHA-256 of bytes in memory.
pub(crate) fn digest_of(bytes: &[u8]) -> Digested {
    let mut reader = HashingReader::new(bytes);
    // Reading from memory cannot fail.
    let _ = io::copy(&mut reader, &mut io::sink());
    reader.finish()
}

fn tree(root: &Path) -> Result<String, PipelineError> {
    let mut lines = Vec::new();
    let mut pending = vec![PathBuf::new()];
    let mut entries = 0;
    while let Some(relative) = pending.pop() {
        for name in fork_fs::sorted_names(&root.join(&relative))? {
            entries += 1;
            if entries > ENTRIES_MAX {
                let reason = format!("`{}` has over {ENTRIES_MAX} entries", root.display());
                return Err(PipelineError::agent(reason));
            }
            let child = relative.join(name);
            let path = root.join(&child);
            let metadata = fs::symlink_metadata(&path)
                .map_err(|source| FsError::io(Operation::Open, &path, source))?;
            let kind = metadata.file_type();
            let what = if kind.is_dir() {
                pending.push(child.clone());
                String::from("directory")
            } else if kind.is_symlink() {
                let target = fs::read_link(&path)
                    .map_err(|source| FsError::io(Operation::Read, &path, source))?;
                format!("link {}", target.display())
            } else if kind.is_file() {
                fork_fs::sha256_file(&path)?.sha256
            } else {
                format!("special {}", metadata.rdev())
            };
            lines.push(format!(
                "{:?} {:o} {what}\n",
                child,
                metadata.mode() & 0o7777
            ));
        }
    }
    lines.sort_unstable();
    Ok(digest_of(lines.concat().as_bytes()).sha256)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn everything_in_a_directory_counts_but_times() {
        let root = tempfile::tempdir().unwrap();
        let digest = || Contents::default().digest(root.path()).unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        fs::write(root.path().join("d/f"), "x").unwrap();
        let mut seen = vec![digest()];
        assert_eq!(digest(), seen[0]);
        let changed = |seen: &mut Vec<String>| {
            let now = digest();
            assert!(!seen.contains(&now));
            seen.push(now);
        };
        fs::write(root.path().join("d/f"), "y").unwrap();
        changed(&mut seen);
        fs::set_permissions(root.path().join("d/f"), fs::Permissions::from_mode(0o700)).unwrap();
        changed(&mut seen);
        std::os::unix::fs::symlink("nowhere", root.path().join("l")).unwrap();
        changed(&mut seen);
        fs::remove_file(root.path().join("l")).unwrap();
        std::os::unix::fs::symlink("elsewhere", root.path().join("l")).unwrap();
        changed(&mut seen);
        fs::rename(root.path().join("d/f"), root.path().join("f")).unwrap();
        changed(&mut seen);
    }
}
