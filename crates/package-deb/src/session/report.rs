//! What changed since a package was opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fork_package::{DebTree, PackageError, Paragraph, TreeEntry, TreeKind};
use fork_types::document::{Document, FileRef};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::document::SessionDocument;

/// The report of `save` and `diff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionReport {
    /// `forkpack.deb-session-report`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The package that was opened.
    pub original: FileRef,
    /// The package that was written; none in a mere comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Saved>,
    /// Package name, as it is now.
    pub package: String,
    /// Debian version, as it is now.
    pub package_version: String,
    /// Architecture, as it is now.
    pub architecture: String,
    /// Control fields that differ.
    pub fields: Vec<FieldChange>,
    /// Control files that differ; `control` and `md5sums`, which say the rest differently, left out.
    pub control_files: Vec<ControlFileChange>,
    /// Paths that are new.
    pub added: Vec<Item>,
    /// Paths that are gone.
    pub removed: Vec<Item>,
    /// Paths whose content is another.
    pub replaced: Vec<Replaced>,
    /// Files that are gone at one path and there at another.
    pub moved: Vec<Moved>,
    /// Paths with the same content and another mode, owner or time.
    pub attributes: Vec<AttributeChange>,
    /// What is as it was.
    pub unchanged: Unchanged,
}

impl Document for SessionReport {
    const FORMAT: &'static str = "forkpack.deb-session-report";
    const VERSION: u32 = 1;
    const FILE_NAME: &'static str = "session-report.json";
}

/// A package that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The file.
    pub file: FileRef,
    /// SHA-256 of its uncompressed data tar.
    pub payload_sha256: String,
    /// Whether the file has the bytes of the original.
    pub is_original: bool,
    /// Whether its data tar has the bytes of the original's.
    pub is_original_payload: bool,
    /// Time of its members and of what was changed, seconds since 1970.
    pub source_date_epoch: u64,
}

/// A control field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldChange {
    /// The field.
    pub field: String,
    /// What it was, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A control file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlFileChange {
    /// Its name.
    pub name: String,
    /// What it was, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<FileRef>,
    /// What it is, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<FileRef>,
}

/// A path and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The path, absolute.
    pub path: String,
    /// What is there.
    pub content: Content,
    /// Permission bits, four octal digits.
    pub mode: String,
    /// Owner and group, by name where there is one.
    pub owner: String,
}

/// Content of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Content {
    /// A file.
    File {
        /// Size.
        bytes: u64,
        /// SHA-256.
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
        /// Path of the file, absolute.
        target: String,
    },
}

/// A path with other content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// The path, absolute.
    pub path: String,
    /// What was there.
    pub old: Content,
    /// What is there.
    pub new: Content,
}

/// A file at another path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Where it was, absolute.
    pub from: String,
    /// Where it is, absolute.
    pub to: String,
    /// What it is.
    pub content: Content,
}

/// Another mode, owner or time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeChange {
    /// The path, absolute.
    pub path: String,
    /// `mode`, `owner` or `time`.
    pub what: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// What is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unchanged {
    /// Files and links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Directories.
    pub directories: u64,
    /// Control files.
    pub control_files: u64,
}

fn content(entry: &TreeEntry) -> Content {
    match entry.kind.clone() {
        TreeKind::File { bytes, sha256 } => Content::File { bytes, sha256 },
        TreeKind::Directory => Content::Directory,
        TreeKind::Symlink { target } => Content::Symlink { target },
        TreeKind::HardLink { target } => Content::HardLink {
            target: format!("/{target}"),
        },
    }
}

fn owner(entry: &TreeEntry) -> String {
    let name = |name: &str, number: u64| match name {
        "" => number.to_string(),
        _ => name.to_owned(),
    };
    let owner = &entry.owner;
    format!(
        "{}:{}",
        name(&owner.user, owner.uid),
        name(&owner.group, owner.gid)
    )
}

fn item(path: &str, entry: &TreeEntry) -> Item {
    Item {
        path: format!("/{path}"),
        content: content(entry),
        mode: format!("{:04o}", entry.mode),
        owner: owner(entry),
    }
}

impl SessionReport {
    /// Compares what a session would be saved as with what it was opened from.
    pub(crate) fn new(document: &SessionDocument, tree: &DebTree) -> Result<Self, PackageError> {
        let mut control = tree.control()?;
        let size = tree.installed_size_kib().to_string();
        control.set_after("Architecture", "Installed-Size", &size)?;
        let field = |name: &str| control.get(name).unwrap_or_default().to_owned();
        let mut report = Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            original: document.original.file.clone(),
            saved: None,
            package: field("Package"),
            package_version: field("Version"),
            architecture: field("Architecture"),
            fields: field_changes(&Paragraph::parse(&document.control)?, &control),
            control_files: Vec::new(),
            added: Vec::new(),
            removed: Vec::new(),
            replaced: Vec::new(),
            moved: Vec::new(),
            attributes: Vec::new(),
            unchanged: Unchanged::default(),
        };
        report.compare_control_files(document, tree);
        report.compare_entries(&document.original_entries(), &tree.entries);
        report.find_moves(document, &tree.entries);
        Ok(report)
    }

    fn compare_control_files(&mut self, document: &SessionDocument, tree: &DebTree) {
        let is_compared = |name: &str| !matches!(name, "control" | "md5sums");
        let old: BTreeMap<&str, &FileRef> = document
            .control_files
            .iter()
            .map(|file| (file.name.as_str(), file))
            .collect();
        let new: BTreeMap<&str, FileRef> = tree
            .control_files
            .iter()
            .map(|(name, bytes)| {
                let file = FileRef {
                    name: name.clone(),
                    sha256: hex::encode(Sha256::digest(bytes)),
                    bytes: bytes.len() as u64,
                };
                (name.as_str(), file)
            })
            .collect();
        let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        for name in names.into_iter().filter(|name| is_compared(name)) {
            let (old, new) = (old.get(name).copied(), new.get(name));
            if old == new {
                self.unchanged.control_files += 1;
            } else {
                self.control_files.push(ControlFileChange {
                    name: name.to_owned(),
                    old: old.cloned(),
                    new: new.cloned(),
                });
            }
        }
    }

    fn compare_entries(
        &mut self,
        old: &BTreeMap<String, TreeEntry>,
        new: &BTreeMap<String, TreeEntry>,
    ) {
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for path in paths {
            match (old.get(path), new.get(path)) {
                (Some(old), Some(new)) if old.kind != new.kind => self.replaced.push(Replaced {
                    path: format!("/{path}"),
                    old: content(old),
                    new: content(new),
                }),
                (Some(old), Some(new)) => {
                    self.compare_attributes(path, old, new);
                    match &new.kind {
                        TreeKind::Directory => self.unchanged.directories += 1,
                        TreeKind::File { bytes, .. } => {
                            self.unchanged.files += 1;
                            self.unchanged.bytes += bytes;
                        }
                        TreeKind::Symlink { .. } | TreeKind::HardLink { .. } => {
                            self.unchanged.files += 1;
                        }
                    }
                }
                (Some(old), None) => self.removed.push(item(path, old)),
                (None, Some(new)) => self.added.push(item(path, new)),
                (None, None) => {}
            }
        }
    }

    fn compare_attributes(&mut self, path: &str, old: &TreeEntry, new: &TreeEntry) {
        for (what, old, new) in [
            (
                "mode",
                format!("{:04o}", old.mode),
                format!("{:04o}", new.mode),
            ),
            ("owner", owner(old), owner(new)),
            ("time", old.mtime.to_string(), new.mtime.to_string()),
        ] {
            if old != new {
                self.attributes.push(AttributeChange {
                    path: format!("/{path}"),
                    what: what.to_owned(),
                    old,
                    new,
                });
            }
        }
    }

    /// Takes out of the added and the removed what is the same file at another path.
    fn find_moves(&mut self, document: &SessionDocument, new: &BTreeMap<String, TreeEntry>) {
        self.take_from_replaced(document, new);
        let mut added = Vec::new();
        for item in std::mem::take(&mut self.added) {
            let is_file = matches!(&item.content, Content::File { bytes, .. } if *bytes > 0);
            let relative = item.path.trim_start_matches('/');
            let known = document.attributes.get(relative);
            let known = known.and_then(|one| one.from.as_deref());
            let is_it = |one: &Item| is_file && one.content == item.content;
            let is_known = |one: &Item| known == Some(one.path.trim_start_matches('/'));
            let mut removed = self.removed.iter();
            let found = removed
                .position(|one| is_it(one) && is_known(one))
                .or_else(|| self.removed.iter().position(is_it));
            let Some(index) = found else {
                added.push(item);
                continue;
            };
            let from = self.removed.remove(index);
            for (what, old, new) in [
                ("mode", &from.mode, &item.mode),
                ("owner", &from.owner, &item.owner),
            ] {
                if old != new {
                    self.attributes.push(AttributeChange {
                        path: item.path.clone(),
                        what: what.to_owned(),
                        old: old.clone(),
                        new: new.clone(),
                    });
                }
            }
            self.moved.push(Moved {
                from: from.path,
                to: item.path,
                content: item.content,
            });
        }
        self.added = added;
    }

    /// Where a file was moved and another one was put in its place, the old place counts as free.
    fn take_from_replaced(
        &mut self,
        document: &SessionDocument,
        new: &BTreeMap<String, TreeEntry>,
    ) {
        let froms: BTreeMap<&str, &str> = document
            .attributes
            .iter()
            .filter_map(|(to, attributes)| Some((attributes.from.as_deref()?, to.as_str())))
            .collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        self.replaced.retain(|change| {
            let from = change.path.trim_start_matches('/');
            let moved = froms.get(from).and_then(|to| Some((*to, new.get(*to)?)));
            match (moved, new.get(from)) {
                (Some((to, moved)), Some(entry)) if content(moved) == change.old => {
                    added.push(item(from, entry));
                    removed.push(Item {
                        path: change.path.clone(),
                        ..item(to, moved)
                    });
                    false
                }
                _ => true,
            }
        });
        self.added.extend(added);
        self.removed.extend(removed);
        self.added.sort_by(|one, other| one.path.cmp(&other.path));
        self.removed.sort_by(|one, other| one.path.cmp(&other.path));
    }

    /// How many things changed.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.fields.len()
            + self.control_files.len()
            + self.added.len()
            + self.removed.len()
            + self.replaced.len()
            + self.moved.len()
            + self.attributes.len()
    }

    /// The report for people.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_human(&mut text);
        plain(&text)
    }

    fn write_human(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "opened  {} ({} bytes)\n        SHA-256 {}",
            self.original.name, self.original.bytes, self.original.sha256
        )?;
        if let Some(saved) = &self.saved {
            let (name, bytes) = (&saved.file.name, saved.file.bytes);
            writeln!(text, "saved   {name} ({bytes} bytes)")?;
            writeln!(text, "        SHA-256 {}", saved.file.sha256)?;
            writeln!(text, "        payload {}", saved.payload_sha256)?;
            let same = match (saved.is_original, saved.is_original_payload) {
                (true, _) => "the bytes of the original",
                (false, true) => "other bytes than the original, the same payload",
                (false, false) => "other bytes than the original, another payload",
            };
            writeln!(text, "        {same}")?;
        }
        for change in &self.fields {
            let shown = |value: &Option<String>| match value {
                Some(value) => value.replace('\n', "\\n"),
                None => "(none)".to_owned(),
            };
            let (old, new) = (shown(&change.old), shown(&change.new));
            writeln!(text, "field   {}: {old} -> {new}", change.field)?;
        }
        for change in &self.control_files {
            let shown = |file: &Option<FileRef>| match file {
                Some(file) => format!("{} bytes", file.bytes),
                None => "(none)".to_owned(),
            };
            let (old, new) = (shown(&change.old), shown(&change.new));
            writeln!(text, "control {}: {old} -> {new}", change.name)?;
        }
        for item in &self.added {
            let (path, mode) = (&item.path, &item.mode);
            writeln!(
                text,
                "added   {path}: {}, {mode} {}",
                words(&item.content),
                item.owner
            )?;
        }
        for item in &self.removed {
            writeln!(text, "removed {}: {}", item.path, words(&item.content))?;
        }
        for change in &self.replaced {
            let (old, new) = (words(&change.old), words(&change.new));
            writeln!(text, "changed {}: {old} -> {new}", change.path)?;
        }
        for change in &self.moved {
            let (from, to) = (&change.from, &change.to);
            writeln!(text, "moved   {from} -> {to}: {}", words(&change.content))?;
        }
        for change in &self.attributes {
            let (path, what) = (&change.path, &change.what);
            writeln!(text, "{what:<7} {path}: {} -> {}", change.old, change.new)?;
        }
        let same = &self.unchanged;
        writeln!(
            text,
            "{} changed; as before: {} files ({} bytes), {} directories, {} control files",
            self.changes(),
            same.files,
            same.bytes,
            same.directories,
            same.control_files
        )
    }
}

/// A text for a terminal: names in a package may hold what terminals obey.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for one in text.chars() {
        if one.is_control() && one != '\n' {
            plain.extend(one.escape_default());
        } else {
            plain.push(one);
        }
    }
    plain
}

/// Content in words; digests are cut as git cuts them, the whole ones are in the JSON form.
fn words(content: &Content) -> String {
    match content {
        Content::File { bytes, sha256 } => {
            format!("{bytes} bytes {}", sha256.get(..12).unwrap_or(sha256))
        }
        Content::Directory => "directory".to_owned(),
        Content::Symlink { target } => format!("link to {}", target.escape_debug()),
        Content::HardLink { target } => format!("another name of {target}"),
    }
}

fn field_changes(old: &Paragraph, new: &Paragraph) -> Vec<FieldChange> {
    let change = |name: &str| FieldChange {
        field: name.to_owned(),
        old: old.get(name).map(str::to_owned),
        new: new.get(name).map(str::to_owned),
    };
    let gone = old.fields().filter(|(name, _)| new.get(name).is_none());
    new.fields()
        .chain(gone)
        .map(|(name, _)| change(name))
        .filter(|change| change.old != change.new)
        .collect()
}
