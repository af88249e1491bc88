//! Packages and the archives they are made of.

use std::io::{Cursor, Read};
use std::path::Path;

use fork_package::{DataEntry, DataEntryKind, DebReader, PackageError, Paragraph, TarReader, ar};

use crate::repair::with_checksums;
use crate::shown;

/// A member comes back from the member as it is written.
pub(crate) fn ar(data: &[u8]) {
    let mut input = data;
    if ar::read_magic(&mut input).is_err() {
        return;
    }
    while let Ok(Some(member)) = ar::next_member(&mut input) {
        let mut content = Vec::new();
        let read = (&mut input).take(member.bytes).read_to_end(&mut content);
        if read.expect("memory can be read") as u64 != member.bytes {
            break;
        }
        assert!(member.name.len() <= 16);
        let mut written = Vec::new();
        ar::write_member(
            &mut written,
            &member.name,
            member.mtime,
            member.bytes,
            &mut content.as_slice(),
        )
        .expect("what a header says fits a header");
        let again = ar::next_member(&mut written.as_slice());
        let again = again.expect("what was written is read");
        // Owner and mode are read as they are and written as those of root.
        let facts = |member: &ar::Member| (member.name.clone(), member.mtime, member.bytes);
        assert_eq!(again.as_ref().map(facts), Some(facts(&member)));
        ar::skip_padding(&mut input, member.bytes).expect("memory can be read");
    }
}

/// What is printed of a paragraph is read as the same.
pub(crate) fn control(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Paragraph::parse_all(&text) {
        Ok(all) => {
            for paragraph in all {
                let printed = paragraph.to_string();
                assert_eq!(Paragraph::parse(&printed).ok(), Some(paragraph));
            }
        }
        Err(error) => drop(shown(&error)),
    }
}

/// Reading and seeking find the same entries; no name leaves the root.
pub(crate) fn tar(data: &[u8]) {
    let repaired = with_checksums(data);
    for bytes in [data, &repaired] {
        let path = Path::new("archive");
        let read = entries(TarReader::new(bytes, path, "data"));
        let sought = entries(TarReader::seekable(Cursor::new(bytes), path, "data"));
        assert_eq!(read, sought);
    }
}

fn entries<R: Read>(mut tar: TarReader<'_, R>) -> Result<Vec<(DataEntry, Vec<u8>)>, String> {
    let mut entries = Vec::new();
    let text = |error: PackageError| shown(&error);
    while let Some(entry) = tar.advance().map_err(text)? {
        check(&entry);
        let mut content = Vec::new();
        tar.content()
            .read_to_end(&mut content)
            .map_err(|error| format!("could not read data of `archive`: {error}"))?;
        if let DataEntryKind::File { bytes } = entry.kind {
            assert_eq!(content.len() as u64, bytes);
        } else {
            assert!(content.is_empty());
        }
        entries.push((entry, content));
    }
    Ok(entries)
}

pub(crate) fn check(entry: &DataEntry) {
    inside(&entry.path);
    match &entry.kind {
        DataEntryKind::HardLink { target } => inside(target),
        DataEntryKind::Symlink { target } => assert!(target.len() <= 4096),
        DataEntryKind::File { .. } | DataEntryKind::Directory | DataEntryKind::Special => {}
    }
    assert!(entry.mode <= 0o7777);
}

fn inside(path: &str) {
    assert!(path.len() <= 4096);
    assert!(!path.starts_with('/') && !path.ends_with('/'));
    assert!(path.is_empty() || path.split('/').all(|part| !matches!(part, "" | "." | "..")));
    assert!(!path.contains(['\0', '\n']));
}

/// A package is read to its end or refused.
pub(crate) fn deb(data: &[u8]) {
    let repaired = with_checksums(data);
    for bytes in [data, &repaired] {
        let file = crate::seeds::file(bytes);
        let reader = match DebReader::open(file.path()) {
            Ok(reader) => reader,
            Err(error) => {
                shown(&error);
                continue;
            }
        };
        let read = reader.read_data(|entry, content| {
            check(entry);
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|error| {
                PackageError::from(fork_package::PackageErrorKind::Control {
                    problem: error.to_string(),
                })
            })?;
            Ok::<(), PackageError>(())
        });
        if let Err(error) = read {
            shown(&error);
        }
    }
}
