//! One of the two packages.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fork_fs::{Digested, FsError, HashingReader, Operation};
use fork_package::{DataEntry, DataEntryKind, DebReader, PackageError, Paragraph, ar};
use fork_types::Compression;
use tempfile::NamedTempFile;

use crate::diff::ComparedDeb;
use crate::error::{DebError, DebErrorKind};

/// Most files and directories; a package of the network has eleven.
const ENTRIES_MAX: usize = 20_000;
/// Most members of the `ar` archive that are looked at.
const MEMBERS_MAX: usize = 100;
/// Files up to this size are kept to be compared by lines or members. As JSON values they may take
/// forty times as much.
pub(super) const KEPT_BYTES_MAX: u64 = 4 << 20;
/// All of them together.
const KEPT_BYTES_TOTAL_MAX: u64 = 32 << 20;
/// Largest ledger tarball that is unpacked.
const TARBALL_BYTES_MAX: u64 = 8 << 30;

/// A package, read once.
pub(super) struct Side {
    path: PathBuf,
    pub(super) file: Digested,
    pub(super) members: Vec<ar::Member>,
    pub(super) control: Paragraph,
    pub(super) control_files: BTreeMap<String, Vec<u8>>,
    pub(super) compression: Compression,
    pub(super) payload_sha256: String,
    /// Paths in the order of the package.
    pub(super) order: Vec<String>,
    pub(super) entries: BTreeMap<String, FileEntry>,
    /// Contents of small files.
    pub(super) kept: BTreeMap<String, Vec<u8>>,
}

/// A file or directory.
pub(super) struct FileEntry {
    pub(super) entry: DataEntry,
    /// SHA-256 of the content.
    pub(super) sha256: String,
}

impl Side {
    /// Reads a package.
    pub(super) fn read(path: &Path) -> Result<Self, DebError> {
        let (file, side) = rayon::join(|| fork_fs::sha256_file(path), || Self::read_content(path));
        let mut side = side?;
        side.file = file?;
        Ok(side)
    }

    fn read_content(path: &Path) -> Result<Self, DebError> {
        let reader = DebReader::open(path)?;
        let mut side = Self {
            path: path.to_owned(),
            file: Digested {
                sha256: String::new(),
                bytes: 0,
            },
            members: members(path)?,
            control: reader.control().clone(),
            control_files: reader.control_files().clone(),
            compression: reader.compression(),
            payload_sha256: String::new(),
            order: Vec::new(),
            entries: BTreeMap::new(),
            kept: BTreeMap::new(),
        };
        let mut room = KEPT_BYTES_TOTAL_MAX;
        side.payload_sha256 = reader.read_data(|entry, content| -> Result<(), DebError> {
            if side.order.len() >= ENTRIES_MAX {
                return Err(DebErrorKind::TooManyEntries {
                    path: path.to_owned(),
                    entries_max: ENTRIES_MAX,
                }
                .into());
            }
            let mut content = HashingReader::new(content);
            if let DataEntryKind::File { bytes } = entry.kind
                && bytes <= KEPT_BYTES_MAX.min(room)
            {
                let mut kept = Vec::new();
                content.read_to_end(&mut kept).map_err(unread(path))?;
                room = room.saturating_sub(bytes);
                side.kept.insert(entry.path.clone(), kept);
            } else {
                io::copy(&mut content, &mut io::sink()).map_err(unread(path))?;
            }
            side.order.push(entry.path.clone());
            let file = FileEntry {
                entry: entry.clone(),
                sha256: content.finish().sha256,
            };
            side.entries.insert(entry.path.clone(), file);
            Ok(())
        })?;
        Ok(side)
    }

    /// Copies files to `scratch`.
    pub(super) fn fetch(
        &self,
        wanted: &BTreeSet<&str>,
        scratch: &Path,
    ) -> Result<BTreeMap<String, NamedTempFile>, DebError> {
        let mut fetched = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(fetched);
        }
        let failed = |source| FsError::io(Operation::Write, scratch, source);
        DebReader::open(&self.path)?.read_data(|entry, content| -> Result<(), DebError> {
            let DataEntryKind::File { bytes } = entry.kind else {
                return Ok(());
            };
            if !wanted.contains(entry.path.as_str()) || bytes > TARBALL_BYTES_MAX {
                return Ok(());
            }
            fork_fs::require_free_space(scratch, bytes)?;
            let mut file = NamedTempFile::new_in(scratch).map_err(failed)?;
            let mut buffer = vec![0; 1 << 18];
            loop {
                let count = content.read(&mut buffer).map_err(unread(&self.path))?;
                if count == 0 {
                    break;
                }
                file.write_all(&buffer[..count]).map_err(failed)?;
            }
            fetched.insert(entry.path.clone(), file);
            Ok(())
        })?;
        Ok(fetched)
    }

    pub(super) fn compared(&self) -> ComparedDeb {
        ComparedDeb {
            path: self.path.display().to_string(),
            bytes: self.file.bytes,
            sha256: self.file.sha256.clone(),
            payload_sha256: self.payload_sha256.clone(),
        }
    }
}

fn unread(path: &Path) -> impl Fn(io::Error) -> PackageError + use<'_> {
    |source| {
        fork_package::PackageErrorKind::Archive {
            archive: path.to_owned(),
            what: "the data member".to_owned(),
            source,
        }
        .into()
    }
}

/// The headers of all members.
fn members(path: &Path) -> Result<Vec<ar::Member>, DebError> {
    let failed = unread(path);
    let mut input = BufReader::new(fork_fs::open(path)?);
    let mut members = Vec::new();
    ar::read_magic(&mut input).map_err(&failed)?;
    while let Some(member) = ar::next_member(&mut input).map_err(&failed)? {
        // Contents begin at even offsets.
        let bytes = member.bytes.saturating_add(member.bytes % 2);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        input.seek(SeekFrom::Current(bytes)).map_err(&failed)?;
        members.push(member);
        if members.len() >= MEMBERS_MAX {
            break;
        }
    }
    Ok(members)
}
