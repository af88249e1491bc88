//! A Debian package.

use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use fork_fs::{FsError, Operation};
use fork_package::{DataEntry, DataEntryKind, DebReader, ar};

use super::{
    Content, DEB_BYTES_MAX, ENTRIES_MAX, Entry, EntryKind, Subject, SubjectError, SubjectKind,
    limit, spool,
};

/// Reads the package; files are copied to `scratch`, and `start` gets each when it is there.
pub(super) fn read(
    path: &Path,
    scratch: &Path,
    start: &mut dyn FnMut(&str, &Content),
) -> Result<Subject, SubjectError> {
    limit(
        "size of the package in bytes",
        fork_fs::file_bytes(path)?,
        DEB_BYTES_MAX,
    )?;
    let reader = DebReader::open(path)?;
    let mut subject = Subject::new(SubjectKind::Deb, path);
    subject.other_members = other_members(path)?;
    subject.control = Some(reader.control().clone());
    subject.control_files = reader.control_files().keys().cloned().collect();
    subject.md5sums = reader.md5sums().map(<[u8]>::to_vec);
    reader.read_data(|entry, content| {
        let kind = kind(path, entry, content, scratch)?;
        if let EntryKind::File(file) = &kind {
            start(&entry.path, file);
        }
        subject.add(entry.path.clone(), described(entry, kind))
    })?;
    Ok(subject)
}

/// What follows the three members of a package. dpkg installs such a package without looking at it.
fn other_members(path: &Path) -> Result<Vec<String>, SubjectError> {
    let failed = |source| FsError::io(Operation::Read, path, source);
    let mut input = BufReader::new(fork_fs::open(path)?);
    let mut others = Vec::new();
    ar::read_magic(&mut input).map_err(failed)?;
    for number in 0..ENTRIES_MAX {
        let member = match ar::next_member(&mut input) {
            Ok(Some(member)) => member,
            Ok(None) => break,
            Err(error) => {
                others.push(format!("no member: {error}"));
                break;
            }
        };
        // Contents begin at even offsets.
        let bytes = member.bytes.saturating_add(member.bytes % 2);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        input.seek(SeekFrom::Current(bytes)).map_err(failed)?;
        if number >= 3 {
            others.push(format!("a member `{}`", member.name.escape_debug()));
        }
    }
    Ok(others)
}

/// What an entry of an archive is; the content of files is copied.
pub(super) fn kind(
    archive: &Path,
    entry: &DataEntry,
    content: &mut dyn std::io::Read,
    scratch: &Path,
) -> Result<EntryKind, SubjectError> {
    Ok(match &entry.kind {
        DataEntryKind::File { bytes } => {
            EntryKind::File(spool::copy(archive, &entry.path, *bytes, content, scratch)?)
        }
        DataEntryKind::Directory => EntryKind::Directory,
        DataEntryKind::Symlink { target } => {
            EntryKind::Other(format!("a symbolic link to `{}`", target.escape_debug()))
        }
        DataEntryKind::HardLink { target } => {
            EntryKind::Other(format!("a hard link to `{}`", target.escape_debug()))
        }
        DataEntryKind::Special => EntryKind::Other("a device or pipe".to_owned()),
    })
}

pub(super) fn described(entry: &DataEntry, kind: EntryKind) -> Entry {
    Entry {
        kind,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
    }
}
