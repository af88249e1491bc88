//! `session.json`: what a session directory was opened from, and what a file system cannot hold.

use std::collections::BTreeMap;

use fork_package::{Owner, TreeEntry, TreeKind};
use fork_types::document::{Document, FileRef};
use serde::{Deserialize, Serialize};

/// Largest `session.json`. Twenty thousand entries with long paths have half of it.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 32 << 20;

/// What a session knows besides the files in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionDocument {
    /// `forkpack.deb-session`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The package that was opened.
    pub original: Original,
    /// Its control files, as they were.
    pub control_files: Vec<FileRef>,
    /// Its control data, as it was.
    pub control: String,
    /// Its entries, sorted by path. Owner, mode and time of a path are these unless `attributes`
    /// says something else.
    pub entries: Vec<EntryRecord>,
    /// Owner, mode and time of paths that were inserted or moved.
    pub attributes: BTreeMap<String, Attributes>,
}

impl Document for SessionDocument {
    const FORMAT: &'static str = "forkpack.deb-session";
    const VERSION: u32 = 1;
    const FILE_NAME: &'static str = "session.json";
}

/// The package that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Original {
    /// The file.
    pub file: FileRef,
    /// Package name.
    pub package: String,
    /// Debian version.
    pub package_version: String,
    /// Architecture.
    pub architecture: String,
    /// Time of its first member, seconds since 1970.
    pub mtime: u64,
    /// Name of its control member, which says the compression.
    pub control_member: String,
    /// Name of its data member.
    pub data_member: String,
    /// SHA-256 of its uncompressed data tar.
    pub payload_sha256: String,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RecordKind {
    /// A file.
    File {
        /// Size.
        bytes: u64,
        /// SHA-256 of the content.
        sha256: String,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Text of the link.
        target: String,
    },
    /// Another name of a file.
    HardLink {
        /// Path of the file.
        target: String,
    },
}

/// An entry of the original package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRecord {
    /// Path relative to the root; empty for the root.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: RecordKind,
    /// Owner, mode and time.
    #[serde(flatten)]
    pub attributes: Attributes,
}

/// What a file of an ordinary user cannot have, or does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Permission bits, four octal digits.
    #[serde(with = "octal")]
    pub mode: u32,
    /// Number of the owner.
    pub uid: u64,
    /// Number of the group.
    pub gid: u64,
    /// Name of the owner; may be empty.
    pub user: String,
    /// Name of the group; may be empty.
    pub group: String,
    /// Time, seconds since 1970, as long as the content is the one in `time_of`. Without, and for
    /// other content, it is the time of the save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<u64>,
    /// SHA-256 of the file, or text of the link, that `mtime` belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_of: Option<String>,
    /// Path of the file that this one shared its content with in the original package; the same for
    /// all its names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// Path that it was moved from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

mod octal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let text = String::deserialize(from)?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(mode),
            _ => Err(D::Error::custom("a mode is up to four octal digits")),
        }
    }
}

impl Attributes {
    /// Something new that belongs to root.
    #[must_use]
    pub fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime: None,
            time_of: None,
            shared: None,
            from: None,
        }
    }

    /// The owner.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            uid: self.uid,
            gid: self.gid,
            user: self.user.clone(),
            group: self.group.clone(),
        }
    }
}

impl EntryRecord {
    /// The entry as it was in the original package.
    #[must_use]
    pub fn tree_entry(&self) -> TreeEntry {
        let kind = match self.kind.clone() {
            RecordKind::File { bytes, sha256 } => TreeKind::File { bytes, sha256 },
            RecordKind::Directory => TreeKind::Directory,
            RecordKind::Symlink { target } => TreeKind::Symlink { target },
            RecordKind::HardLink { target } => TreeKind::HardLink { target },
        };
        TreeEntry {
            kind,
            mode: self.attributes.mode,
            owner: self.attributes.owner(),
            mtime: self.attributes.mtime.unwrap_or_default(),
        }
    }
}

impl SessionDocument {
    /// Owner, mode and time of a path; nothing for one that was put there by hand.
    #[must_use]
    pub fn attributes_of(&self, path: &str) -> Option<&Attributes> {
        self.attributes.get(path).or_else(|| {
            let found = self
                .entries
                .binary_search_by(|entry| entry.path.as_str().cmp(path));
            found.ok().map(|index| &self.entries[index].attributes)
        })
    }
}

/// `journal.json`: an edit that has been prepared and is being carried out. Whatever command finds
/// one carries it out to its end first, so an edit is never half there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// Steps that are done.
    pub(crate) done: usize,
    /// All steps.
    pub(crate) steps: Vec<Step>,
}

impl Document for Journal {
    const FORMAT: &'static str = "forkpack.deb-session-journal";
    const VERSION: u32 = 1;
    const FILE_NAME: &'static str = "journal.json";
}

/// A step of an edit; paths are relative to the session. Doing one twice in a row is as doing it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Rename; what is at `to` is replaced, directories above it are made.
    Rename { from: String, to: String },
    /// Remove a file or link.
    Remove { path: String },
}
