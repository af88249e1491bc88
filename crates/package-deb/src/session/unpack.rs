//! Taking a package apart.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use fork_fs::{Beneath, FsError, HashingReader, Operation, StagedDir};
use fork_package::{DataEntry, DataEntryKind, DebReader, ar, member_compression};
use fork_types::document::{Document, FileRef};
use sha2::{Digest, Sha256};

use super::document::{Attributes, EntryRecord, Original, RecordKind, SessionDocument};
use super::error::{SessionError, SessionErrorKind};
use super::store::{CONTROL, DATA, ENTRIES_MAX, copy, text_of};

/// Free space asked for, as a multiple of the package: programs pack to a third.
const SPACE_FACTOR: u64 = 3;
/// Most members of the package file.
const MEMBERS_MAX: usize = 100;

/// Opens `deb` in the new directory `target`.
///
/// # Errors
///
/// Fails on packages that are damaged, hostile or of a kind that could not be saved again (nothing
/// is left at `target` then), and when `target` exists and is not empty.
pub fn unpack(deb: &Path, target: &Path, force: bool) -> Result<SessionDocument, SessionError> {
    let staged = StagedDir::create(target, force)?;
    let document = unpack_into(deb, staged.path())?;
    staged.commit()?;
    Ok(document)
}

/// As [`unpack`], into an empty directory.
pub(crate) fn unpack_into(deb: &Path, target: &Path) -> Result<SessionDocument, SessionError> {
    let unsuitable = |problem: String| {
        SessionError::from(SessionErrorKind::Unsuitable {
            deb: deb.to_owned(),
            problem,
        })
    };
    let digested = fork_fs::sha256_file(deb)?;
    fork_fs::require_free_space(target, digested.bytes.saturating_mul(SPACE_FACTOR))?;
    let reader = DebReader::open(deb)?;
    check_members(deb)?;
    for member in [reader.control_member(), reader.data_member()] {
        if member_compression(member).is_none() {
            return Err(unsuitable(format!("`{member}` could not be written again")));
        }
    }
    let directory = Beneath::open(target)?;
    for name in [DATA, CONTROL] {
        directory.create_directories(name)?;
    }
    let write = |path: &str, executable: bool, bytes: &[u8]| -> Result<(), SessionError> {
        let mut file = directory.create_file(path, executable)?;
        let full = target.join(path);
        copy(&mut &*bytes, &full, &mut file, &full)
    };
    let mut control_files = Vec::new();
    for (name, bytes) in reader.control_files() {
        if name.contains('/') {
            return Err(unsuitable(format!(
                "its control file `{name}` lies in a directory"
            )));
        }
        control_files.push(FileRef {
            name: name.clone(),
            sha256: hex::encode(Sha256::digest(bytes)),
            bytes: bytes.len() as u64,
        });
        write(
            &format!("{CONTROL}/{name}"),
            bytes.starts_with(b"#!"),
            bytes,
        )?;
    }
    let control = reader.control();
    let field = |name: &str| control.require(name).map(str::to_owned);
    let text = reader
        .control_files()
        .get("control")
        .cloned()
        .unwrap_or_default();
    let text =
        String::from_utf8(text).map_err(|_| unsuitable("`control` is not UTF-8".to_owned()))?;
    let mut original = Original {
        file: FileRef {
            name: deb
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            sha256: digested.sha256,
            bytes: digested.bytes,
        },
        package: field("Package")?,
        package_version: field("Version")?,
        architecture: field("Architecture")?,
        mtime: reader.mtime(),
        control_member: reader.control_member().to_owned(),
        data_member: reader.data_member().to_owned(),
        payload_sha256: String::new(),
    };

    let mut entries: BTreeMap<String, EntryRecord> = BTreeMap::new();
    original.payload_sha256 = reader.read_data(|entry, content| {
        if entries.contains_key(&entry.path) {
            return Err(unsuitable(format!("it holds `/{}` twice", entry.path)));
        }
        if entries.len() >= ENTRIES_MAX {
            return Err(unsuitable(format!(
                "it has more than {ENTRIES_MAX} entries"
            )));
        }
        let record = write_entry(&directory, entry, content, &entries)?;
        entries.insert(entry.path.clone(), record);
        Ok::<_, SessionError>(())
    })?;
    mark_shared(&mut entries);

    let document = SessionDocument {
        format: SessionDocument::FORMAT.to_owned(),
        version: SessionDocument::VERSION,
        control_files,
        control: text,
        entries: entries.into_values().collect(),
        attributes: BTreeMap::new(),
        original,
    };
    write("debian-binary", false, b"2.0\n")?;
    write("metadata.env", false, metadata(deb, &document).as_bytes())?;
    write(
        SessionDocument::FILE_NAME,
        false,
        text_of(&document)?.as_bytes(),
    )?;
    Ok(document)
}

/// Refuses packages with members that a save would lose. dpkg ignores them; signatures are such, and
/// would be wrong after any change.
fn check_members(deb: &Path) -> Result<(), SessionError> {
    let failed = |source| FsError::io(Operation::Read, deb, source);
    let mut input = std::io::BufReader::new(fork_fs::open(deb)?);
    ar::read_magic(&mut input).map_err(failed)?;
    for number in 0..MEMBERS_MAX {
        let Some(member) = ar::next_member(&mut input).map_err(failed)? else {
            break;
        };
        if number >= 3 {
            return Err(SessionErrorKind::Unsuitable {
                deb: deb.to_owned(),
                problem: format!(
                    "a save would lose its member `{}`",
                    member.name.escape_debug()
                ),
            }
            .into());
        }
        let bytes = member.bytes.saturating_add(member.bytes % 2);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        input.seek_relative(bytes).map_err(failed)?;
    }
    Ok(())
}

/// Writes an entry and returns what is to be remembered of it.
fn write_entry(
    directory: &Beneath,
    entry: &DataEntry,
    content: &mut dyn Read,
    entries: &BTreeMap<String, EntryRecord>,
) -> Result<EntryRecord, SessionError> {
    let path = format!("{DATA}/{}", entry.path);
    let path = path.trim_end_matches('/');
    if let (Some((parent, _)), false) = (path.rsplit_once('/'), entry.path.is_empty()) {
        directory.create_directories(parent)?;
    }
    let (kind, time_of) = match &entry.kind {
        DataEntryKind::Directory => {
            directory.create_directories(path)?;
            (RecordKind::Directory, None)
        }
        DataEntryKind::Symlink { target } => {
            directory.symlink(target, path)?;
            let target = target.clone();
            (
                RecordKind::Symlink {
                    target: target.clone(),
                },
                Some(target),
            )
        }
        DataEntryKind::HardLink { target } => {
            let Some(RecordKind::File { sha256, .. }) = entries.get(target).map(|one| &one.kind)
            else {
                return Err(malformed(
                    directory,
                    &entry.path,
                    &format!("it is a link to `/{target}`, which is no file before it"),
                ));
            };
            directory.hard_link(&format!("{DATA}/{target}"), path)?;
            let target = target.clone();
            (RecordKind::HardLink { target }, Some(sha256.clone()))
        }
        DataEntryKind::File { .. } => {
            let mut file = directory.create_file(path, entry.mode & 0o100 != 0)?;
            let mut content = HashingReader::new(content);
            let full = directory.path().join(path);
            copy(&mut content, &full, &mut file, &full)?;
            let digested = content.finish();
            let kind = RecordKind::File {
                bytes: digested.bytes,
                sha256: digested.sha256.clone(),
            };
            (kind, Some(digested.sha256))
        }
        DataEntryKind::Special => {
            return Err(malformed(directory, &entry.path, "it is a device or pipe"));
        }
    };
    Ok(EntryRecord {
        path: entry.path.clone(),
        kind,
        attributes: Attributes {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.clone(),
            group: entry.group.clone(),
            mtime: Some(entry.mtime),
            time_of,
            shared: None,
            from: None,
        },
    })
}

fn malformed(directory: &Beneath, path: &str, problem: &str) -> SessionError {
    SessionErrorKind::Unpackable {
        path: directory.path().join(DATA).join(path),
        problem: problem.to_owned(),
    }
    .into()
}

/// Notes at all names of a file with several that they share it.
fn mark_shared(entries: &mut BTreeMap<String, EntryRecord>) {
    let links: Vec<(String, String)> = entries
        .values()
        .filter_map(|entry| match &entry.kind {
            RecordKind::HardLink { target } => Some((entry.path.clone(), target.clone())),
            _ => None,
        })
        .collect();
    for (path, target) in links {
        for name in [&path, &target] {
            if let Some(entry) = entries.get_mut(name) {
                entry.attributes.shared = Some(target.clone());
            }
        }
    }
}

/// What upstream's scripts note in `metadata.env`; for people and for those scripts, not read here.
fn metadata(deb: &Path, document: &SessionDocument) -> String {
    let original = &document.original;
    let compression = |member: &str| match member.rsplit_once(".tar.") {
        Some((_, suffix)) => suffix.to_owned(),
        None => "none".to_owned(),
    };
    let input = std::path::absolute(deb).unwrap_or_else(|_| deb.to_owned());
    let mut text = "# Debian package session; session.json beside it has the rest\n".to_owned();
    for (name, value) in [
        ("INPUT_DEB", input.to_string_lossy().into_owned()),
        ("INPUT_SHA256", original.file.sha256.clone()),
        ("DATA_COMPRESS", compression(&original.data_member)),
        ("CONTROL_COMPRESS", compression(&original.control_member)),
        ("PACKAGE_NAME", original.package.clone()),
        ("PACKAGE_VERSION", original.package_version.clone()),
        ("PACKAGE_ARCH", original.architecture.clone()),
    ] {
        // The quoting of shells: nothing inside single quotes is special.
        text.push_str(&format!("{name}='{}'\n", value.replace('\'', "'\\''")));
    }
    text
}
