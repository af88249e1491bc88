//! A converted package beside the daemon's package it was made from: whatever the fork does not
//! bring must be the daemon's, to the byte.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use fork_fs::HashingReader;
use fork_package::{DataEntry, DataEntryKind, DebReader, PackageError, Paragraph};
use fork_types::Role;

use crate::subject::{
    DATA_DIRECTORY, DEB_BYTES_MAX, ENTRIES_MAX, error_text, is_tarball_of, limit,
};

/// What the name of a converted package ends with.
const SUFFIX: &str = "-hardfork";
/// Most differences that are named.
const PROBLEMS_MAX: usize = 20;
/// Unit of `Installed-Size`.
const KIB: u64 = 1024;

/// What came out of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Name that the package must have.
    pub package: String,
    /// Architecture that it must have.
    pub architecture: String,
    /// Paths that are the daemon's, unchanged.
    pub own: BTreeSet<String>,
    /// Conffiles of the daemon, which have no checksum of their own.
    pub conffiles: BTreeSet<String>,
    /// Paths that are gone and should not be.
    pub file_problems: Vec<String>,
    /// What differs in control data and scripts, and should not.
    pub control_problems: Vec<String>,
    /// `Installed-Size` that follows from the files.
    pub installed_size_kib: u64,
}

/// An entry with a digest of its content.
type Entry = (DataEntry, String);

struct Side {
    control: Paragraph,
    control_files: BTreeMap<String, Vec<u8>>,
    entries: BTreeMap<String, Entry>,
}

impl Side {
    fn read(path: &Path) -> Result<Self, String> {
        let read = || -> Result<Self, crate::subject::SubjectError> {
            let bytes = fork_fs::file_bytes(path)?;
            limit("size of the package in bytes", bytes, DEB_BYTES_MAX)?;
            let reader = DebReader::open(path)?;
            let control = reader.control().clone();
            let control_files = reader.control_files().clone();
            let mut entries = BTreeMap::new();
            let mut is_twice = false;
            reader.read_data(|entry, content| {
                let mut content = HashingReader::new(content);
                io::copy(&mut content, &mut io::sink()).map_err(|source| {
                    fork_fs::FsError::io(fork_fs::Operation::Read, path, source)
                })?;
                let digest = content.finish().sha256;
                is_twice |= entries
                    .insert(entry.path.clone(), (entry.clone(), digest))
                    .is_some();
                if entries.len() > ENTRIES_MAX {
                    return Err(fork_fs::FsError::io(
                        fork_fs::Operation::Read,
                        path,
                        io::Error::other("it has too many entries"),
                    )
                    .into());
                }
                Ok::<_, PackageError>(())
            })?;
            limit("number of repeated paths", u64::from(is_twice), 0)?;
            Ok(Self {
                control,
                control_files,
                entries,
            })
        };
        read().map_err(|error| format!("`{}`: {}", path.display(), error_text(&error)))
    }
}

impl Converted {
    /// Compares `deb` with `daemon`, which it is said to be made from.
    ///
    /// # Errors
    ///
    /// Fails when one of them cannot be read.
    pub fn read(daemon: &Path, deb: &Path, network: &str) -> Result<Self, String> {
        let (before, after) = (Side::read(daemon)?, Side::read(deb)?);
        let value = |name: &str| before.control.get(name).unwrap_or_default().to_owned();
        let mut own = BTreeSet::new();
        let mut file_problems = Vec::new();
        for (path, entry) in &before.entries {
            if after.entries.get(path) == Some(entry) {
                own.insert(path.clone());
            } else if !is_of_the_fork(path, network) {
                let what = match after.entries.get(path) {
                    Some(_) => "is not what the daemon's package has there",
                    None => "of the daemon's package is gone",
                };
                file_problems.push(format!("`/{}` {what}", path.escape_debug()));
            }
        }
        // A ledger of the old chain that is still there would be one of the fork's.
        own.retain(|path| !is_of_the_fork(path, network));
        file_problems.truncate(PROBLEMS_MAX);
        let mut control_problems = control_problems(&before, &after);
        control_problems.truncate(PROBLEMS_MAX);
        let conffiles = after.control_files.get("conffiles").map(Vec::as_slice);
        let conffiles = String::from_utf8_lossy(conffiles.unwrap_or_default()).into_owned();
        Ok(Self {
            package: format!("{}{SUFFIX}", value("Package")),
            architecture: value("Architecture"),
            own,
            conffiles: fork_package::conffiles(&conffiles)
                .map(str::to_owned)
                .collect(),
            file_problems,
            control_problems,
            installed_size_kib: after
                .entries
                .values()
                .map(|(entry, _)| size_kib(entry))
                .sum(),
        })
    }
}

/// As `dpkg-gencontrol` counts.
fn size_kib(entry: &DataEntry) -> u64 {
    match &entry.kind {
        DataEntryKind::File { bytes } => bytes.div_ceil(KIB),
        DataEntryKind::Symlink { target } => (target.len() as u64).div_ceil(KIB),
        DataEntryKind::HardLink { .. } => 0,
        DataEntryKind::Directory | DataEntryKind::Special => 1,
    }
}

/// Whether a path is one that a fork brings or takes away.
fn is_of_the_fork(path: &str, network: &str) -> bool {
    let Some((DATA_DIRECTORY, name)) = path.rsplit_once('/') else {
        return false;
    };
    is_tarball_of(name, Role::Genesis)
        || is_tarball_of(name, Role::Staking)
        || crate::facts::is_commit_config(name)
        || name == format!("{network}.json")
        || name == format!("{network}.old.json")
}

fn control_problems(before: &Side, after: &Side) -> Vec<String> {
    let mut problems = Vec::new();
    let base = before.control.get("Package").unwrap_or_default();
    let version = after.control.get("Version").unwrap_or_default();
    let names: BTreeSet<&str> = before
        .control
        .fields()
        .chain(after.control.fields())
        .map(|(name, _)| name)
        .chain(["Conflicts", "Provides", "Replaces"])
        .collect();
    for name in names {
        let relation = match name {
            "Package" | "Version" | "Architecture" | "Installed-Size" => continue,
            "Replaces" | "Conflicts" => base.to_owned(),
            "Provides" => format!("{base} (= {version})"),
            _ => String::new(),
        };
        let old = before.control.get(name).unwrap_or_default();
        let expected = match (old, relation.as_str()) {
            (_, "") => old.to_owned(),
            ("", relation) => relation.to_owned(),
            (old, relation) => format!("{old}, {relation}"),
        };
        let found = after.control.get(name).unwrap_or_default();
        if found != expected {
            problems.push(format!(
                "{name} is `{}`, expected `{}`",
                found.escape_debug(),
                expected.escape_debug()
            ));
        }
    }
    let files: BTreeSet<&String> = before
        .control_files
        .keys()
        .chain(after.control_files.keys())
        .filter(|name| !matches!(name.as_str(), "control" | "md5sums"))
        .collect();
    for name in files {
        if before.control_files.get(name) != after.control_files.get(name) {
            problems.push(format!(
                "the control file `{}` is not the daemon's",
                name.escape_debug()
            ));
        }
    }
    problems
}
