//! A Debian package.

use std::path::Path;

use fork_package::{DataEntry, DataEntryKind, DebReader};

use super::{DEB_BYTES_MAX, Entry, EntryKind, Subject, SubjectError, SubjectKind, limit, spool};

/// Reads the package; files are copied to `scratch`.
pub(super) fn read(path: &Path, scratch: &Path) -> Result<Subject, SubjectError> {
    limit(
        "size of the package in bytes",
        fork_fs::file_bytes(path)?,
        DEB_BYTES_MAX,
    )?;
    let reader = DebReader::open(path)?;
    let mut subject = Subject::new(SubjectKind::Deb, path);
    subject.control = Some(reader.control().clone());
    subject.control_files = reader.control_files().keys().cloned().collect();
    subject.md5sums = reader.md5sums().map(<[u8]>::to_vec);
    reader.read_data(|entry, content| {
        let kind = kind(path, entry, content, scratch)?;
        subject.add(entry.path.clone(), described(entry, kind))
    })?;
    Ok(subject)
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
