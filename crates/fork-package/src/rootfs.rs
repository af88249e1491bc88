//! A directory as a base layer.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use fork_fs::{FsError, Operation};

use crate::error::{PackageError, PackageErrorKind};
use crate::tar_writer::{Attributes, EntryKind, TarWriter};

/// Path relative to the root, and what lies there.
type Entries = BTreeMap<String, std::fs::Metadata>;

/// A root file system in a directory, such as `debootstrap` makes.
///
/// Owners, permissions, links and times are kept; times later than a limit are cut to it, so that
/// what was touched while the directory was made does not show. Devices and sockets are left out:
/// a container gets its own `/dev`, and an unprivileged user cannot unpack them. Extended
/// attributes are not kept (Debian's minimal system has none). Mounted file systems are entered
/// no further than their mount point.
#[derive(Debug)]
pub struct Rootfs {
    root: PathBuf,
    entries: Entries,
    skipped: Vec<String>,
}

impl Rootfs {
    /// Lists the directory.
    ///
    /// # Errors
    ///
    /// Fails when something cannot be looked at, and on names that are not UTF-8.
    pub fn open(root: &Path) -> Result<Self, PackageError> {
        // The root itself may be a link; inside, links stay links.
        let metadata = lstat(&root.join("."))?;
        if !metadata.is_dir() {
            return Err(PackageError::malformed(root, "it is not a directory"));
        }
        let mut rootfs = Self {
            root: root.to_owned(),
            entries: Entries::new(),
            skipped: Vec::new(),
        };
        let device = metadata.dev();
        rootfs.entries.insert(String::new(), metadata);
        // A list of directories to enter instead of recursion: depth costs no stack.
        let mut pending = vec![String::new()];
        while let Some(directory) = pending.pop() {
            rootfs.list(&directory, device, &mut pending)?;
        }
        Ok(rootfs)
    }

    /// What was left out, sorted.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Appends everything to a layer; times later than `mtime_max` (seconds since 1970) become
    /// that.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read or changes size meanwhile, and when the output refuses.
    pub fn write<W: Write>(
        &self,
        tar: &mut TarWriter<W>,
        mtime_max: u64,
    ) -> Result<(), PackageError> {
        // First path seen of each file with several names; paths are sorted, so it is written
        // before the others.
        let mut linked: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        for (path, metadata) in &self.entries {
            let full = self.root.join(path);
            let attributes = Attributes {
                mode: metadata.mode() & 0o7777,
                uid: u64::from(metadata.uid()),
                gid: u64::from(metadata.gid()),
                mtime: u64::try_from(metadata.mtime()).unwrap_or(0).min(mtime_max),
            };
            let kind = metadata.file_type();
            if kind.is_dir() {
                tar.append(path, EntryKind::Directory, attributes)?;
            } else if kind.is_symlink() {
                let target = full
                    .read_link()
                    .map_err(|source| FsError::io(Operation::Read, &full, source))?;
                let target = target
                    .to_str()
                    .ok_or_else(|| not_text(&self.root, &target))?;
                tar.append(path, EntryKind::Symlink { target }, attributes)?;
            } else if kind.is_fifo() {
                tar.append(path, EntryKind::Fifo, attributes)?;
            } else {
                let inode = (metadata.dev(), metadata.ino());
                if let Some(target) = linked.get(&inode).filter(|_| metadata.nlink() > 1) {
                    tar.append(path, EntryKind::HardLink { target }, attributes)?;
                    continue;
                }
                linked.insert(inode, path);
                let kind = EntryKind::File {
                    bytes: metadata.len(),
                };
                tar.append_data(path, kind, attributes, &mut fork_fs::open(&full)?, &full)?;
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        directory: &str,
        device: u64,
        pending: &mut Vec<String>,
    ) -> Result<(), PackageError> {
        let full = self.root.join(directory);
        for name in fork_fs::sorted_names(&full)? {
            let name = name
                .to_str()
                .ok_or_else(|| not_text(&self.root, Path::new(&name)))?;
            let path = if directory.is_empty() {
                name.to_owned()
            } else {
                format!("{directory}/{name}")
            };
            let metadata = lstat(&full.join(name))?;
            let kind = metadata.file_type();
            if kind.is_char_device() || kind.is_block_device() || kind.is_socket() {
                self.skipped.push(path);
                continue;
            }
            if kind.is_dir() && metadata.dev() == device {
                pending.push(path.clone());
            }
            self.entries.insert(path, metadata);
        }
        self.skipped.sort();
        Ok(())
    }
}

fn lstat(path: &Path) -> Result<std::fs::Metadata, PackageError> {
    path.symlink_metadata()
        .map_err(|source| FsError::io(Operation::Open, path, source).into())
}

fn not_text(root: &Path, name: &Path) -> PackageError {
    PackageErrorKind::Contents {
        path: root.join(name).display().to_string(),
        problem: "the name is not UTF-8".to_owned(),
    }
    .into()
}
