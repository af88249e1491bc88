//! Directories: an installed root, and what a daemon wrote by itself.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fork_fs::{FsError, Operation};
use fork_package::Paragraph;

use super::{
    DATA_DIRECTORY, DpkgRecord, ENTRIES_MAX, Entry, EntryKind, Subject, SubjectError, SubjectKind,
    UNIT, limit, spool,
};

/// Largest file of dpkg's database; the status file of a system with 3000 packages has 4 MiB.
const DATABASE_BYTES_MAX: u64 = 64 << 20;

pub(super) const STATUS: &str = "var/lib/dpkg/status";
pub(super) const INFO: &str = "var/lib/dpkg/info";

/// Reads an installed or unpacked package.
pub(super) fn read_root(root: &Path, package: &str) -> Result<Subject, SubjectError> {
    let mut subject = start(SubjectKind::Root, root)?;
    for path in parents(DATA_DIRECTORY).chain(parents(UNIT)) {
        add(&mut subject, root, path)?;
    }
    if !add(&mut subject, root, DATA_DIRECTORY)? {
        return Err(SubjectError::Shape {
            problem: format!("there is no directory `/{DATA_DIRECTORY}` in it"),
        });
    }
    list(&mut subject, root, DATA_DIRECTORY)?;
    add(&mut subject, root, UNIT)?;
    let read = |path: &str| -> Result<Option<Vec<u8>>, SubjectError> {
        match plain(root, path)? {
            Some(metadata) if metadata.is_file() => Ok(Some(fork_fs::read_limited(
                &root.join(path),
                DATABASE_BYTES_MAX,
            )?)),
            _ => Ok(None),
        }
    };
    let (list, md5sums) = (
        read(&info(package, "list"))?,
        read(&info(package, "md5sums"))?,
    );
    apply_database(&mut subject, package, read(STATUS)?, list, md5sums)?;
    subject.dpkg.info_files = match plain(root, INFO)? {
        Some(metadata) if metadata.is_dir() => fork_fs::sorted_names(&root.join(INFO))?
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| is_about(name, package))
            .collect(),
        _ => Vec::new(),
    };
    Ok(subject)
}

/// Reads what a daemon wrote: `daemon.json`, `genesis/`, and the marker `activated`.
pub(super) fn read_automode(root: &Path) -> Result<Subject, SubjectError> {
    let mut subject = start(SubjectKind::Automode, root)?;
    list(&mut subject, root, "")?;
    if subject
        .entries
        .get("genesis")
        .is_some_and(|entry| matches!(entry.kind, EntryKind::Directory))
    {
        list(&mut subject, root, "genesis")?;
    }
    Ok(subject)
}

/// Path of one of dpkg's files about a package.
pub(super) fn info(package: &str, suffix: &str) -> String {
    format!("{INFO}/{package}.{suffix}")
}

/// Whether one of dpkg's files is about a package.
pub(super) fn is_about(name: &str, package: &str) -> bool {
    name.strip_prefix(package)
        .is_some_and(|rest| rest.starts_with(['.', ':']))
}

/// Takes over what dpkg's database says.
pub(super) fn apply_database(
    subject: &mut Subject,
    package: &str,
    status: Option<Vec<u8>>,
    list: Option<Vec<u8>>,
    md5sums: Option<Vec<u8>>,
) -> Result<(), SubjectError> {
    subject.dpkg = DpkgRecord {
        has_status: status.is_some(),
        list,
        packages: Vec::new(),
        info_files: Vec::new(),
    };
    subject.md5sums = md5sums;
    let Some(status) = status else {
        return Ok(());
    };
    for paragraph in Paragraph::parse_all(&String::from_utf8_lossy(&status))? {
        let name = paragraph.get("Package").unwrap_or_default();
        if name.starts_with("mina-") && name.ends_with("-config") {
            subject.dpkg.packages.push(name.to_owned());
        }
        if name == package {
            subject.control = Some(paragraph);
        }
    }
    Ok(())
}

fn start(kind: SubjectKind, root: &Path) -> Result<Subject, SubjectError> {
    let metadata = root
        .metadata()
        .map_err(|source| FsError::io(Operation::Read, root, source))?;
    if !metadata.is_dir() {
        return Err(SubjectError::Shape {
            problem: format!("`{}` is not a directory", root.display()),
        });
    }
    let mut subject = Subject::new(kind, root);
    // What an ordinary user unpacked belongs to that user, as a whole.
    subject.owner = (u64::from(metadata.uid()), u64::from(metadata.gid()));
    Ok(subject)
}

/// The directories above a path, outermost first.
pub(super) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(index, _)| &path[..index])
}

/// What lies at a path, without following links; `None` where there is nothing.
fn plain(root: &Path, path: &str) -> Result<Option<Metadata>, SubjectError> {
    for parent in parents(path) {
        match lstat(root, parent)? {
            Some(metadata) if metadata.is_dir() => {}
            Some(_) => {
                return Err(SubjectError::Shape {
                    problem: format!("`/{parent}` is not a directory of its own"),
                });
            }
            None => return Ok(None),
        }
    }
    lstat(root, path)
}

fn lstat(root: &Path, path: &str) -> Result<Option<Metadata>, SubjectError> {
    let full = root.join(path);
    match full.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FsError::io(Operation::Read, &full, source).into()),
    }
}

/// Adds a path if there is anything, and says whether there is.
fn add(subject: &mut Subject, root: &Path, path: &str) -> Result<bool, SubjectError> {
    let Some(metadata) = plain(root, path)? else {
        return Ok(false);
    };
    if subject.entries.contains_key(path) {
        return Ok(true);
    }
    let kind = if metadata.is_dir() {
        EntryKind::Directory
    } else if metadata.is_file() {
        EntryKind::File(spool::in_place(&root.join(path), metadata.len())?)
    } else if metadata.is_symlink() {
        EntryKind::Other("a symbolic link".to_owned())
    } else {
        EntryKind::Other("a device, pipe or socket".to_owned())
    };
    subject.add(
        path.to_owned(),
        Entry {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: u64::from(metadata.uid()),
            gid: u64::from(metadata.gid()),
        },
    )?;
    Ok(true)
}

/// Adds everything directly in a directory.
fn list(subject: &mut Subject, root: &Path, directory: &str) -> Result<(), SubjectError> {
    let names = fork_fs::sorted_names(&root.join(directory))?;
    limit("number of files", names.len() as u64, ENTRIES_MAX as u64)?;
    for name in names {
        let Some(name) = name.to_str() else {
            return Err(SubjectError::Shape {
                problem: format!("`{}` is not UTF-8", name.to_string_lossy()),
            });
        };
        let path = if directory.is_empty() {
            name.to_owned()
        } else {
            format!("{directory}/{name}")
        };
        add(subject, root, &path)?;
    }
    Ok(())
}
