//! The package that a session would be saved as.

use std::collections::BTreeMap;
use std::io;

use fork_fs::{BeneathKind, FsError, HashingReader, Operation};
use fork_package::{DebTree, Owner, TreeEntry, TreeKind, member_compression};

use super::document::{Attributes, SessionDocument};
use super::edit::{check_field, what};
use super::error::{SessionError, SessionErrorKind};
use super::store::{CONTROL, CONTROL_BYTES_MAX, DATA, Session};

/// Most control files; Debian knows a dozen names.
const CONTROL_FILES_MAX: usize = 100;
/// Bits that let somebody run a file, or run it as somebody else.
const RUN_BITS: u32 = 0o6111;
const READ_BITS: u32 = 0o444;
const OWNER_RUN_BIT: u32 = 0o100;

impl Session {
    /// Reads and hashes everything. What has no time of its own gets `mtime`, or else the time of the
    /// original package.
    ///
    /// The result depends on contents, on whether files may be run, on control files and on
    /// `session.json`; not on owners, modes, times and order in the session directory.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be part of a package, and on control data that breaks the rules.
    pub(crate) fn plan(&self, mtime: Option<u64>) -> Result<DebTree, SessionError> {
        let original = &self.document.original;
        let mtime = mtime.unwrap_or(original.mtime);
        let compression = |member: &str| {
            member_compression(member).ok_or_else(|| SessionErrorKind::NotASession {
                directory: self.directory.path().to_owned(),
                problem: format!(
                    "`{}` is no member that can be written",
                    member.escape_debug()
                ),
            })
        };
        let mut entries = BTreeMap::new();
        let mut shared: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, kind) in self.data()? {
            let attributes = self.document.attributes_of(&path);
            let entry = self.entry(&path, &kind, attributes, mtime)?;
            if let (TreeKind::File { .. }, Some(of)) =
                (&entry.kind, attributes.and_then(|one| one.shared.clone()))
            {
                shared.entry(of).or_default().push(path.clone());
            }
            entries.insert(path, entry);
        }
        let root = self.document.attributes_of("");
        let root = self.entry("", &BeneathKind::Directory, root, mtime)?;
        entries.insert(String::new(), root);
        for names in shared.values() {
            link(&mut entries, names);
        }
        let tree = DebTree {
            mtime,
            control_compression: compression(&original.control_member)?,
            data_compression: compression(&original.data_member)?,
            control_files: self.control_files()?,
            entries,
        };
        let control = tree.control()?;
        for field in ["Package", "Version", "Architecture"] {
            check_field(field, control.require(field)?)?;
        }
        Ok(tree)
    }

    fn entry(
        &self,
        path: &str,
        kind: &BeneathKind,
        attributes: Option<&Attributes>,
        mtime: u64,
    ) -> Result<TreeEntry, SessionError> {
        let (kind, time_of, default_mode) = match kind {
            BeneathKind::Special => {
                return Err(SessionErrorKind::Unpackable {
                    path: self.directory.path().join(DATA).join(path),
                    problem: format!("it is {}", what(kind)),
                }
                .into());
            }
            BeneathKind::Directory => (TreeKind::Directory, None, 0o755),
            BeneathKind::Symlink { target } => {
                let target = target.clone();
                (
                    TreeKind::Symlink {
                        target: target.clone(),
                    },
                    Some(target),
                    0o777,
                )
            }
            BeneathKind::File { executable, .. } => {
                let (bytes, sha256) = self.digest(path)?;
                let mode = if *executable { 0o755 } else { 0o644 };
                let time_of = Some(sha256.clone());
                (TreeKind::File { bytes, sha256 }, time_of, mode)
            }
        };
        let mut entry = TreeEntry {
            mode: attributes.map_or(default_mode, |one| one.mode),
            owner: attributes.map_or_else(Owner::root, Attributes::owner),
            mtime: attributes
                .filter(|one| one.time_of == time_of)
                .and_then(|one| one.mtime)
                .unwrap_or(mtime),
            kind,
        };
        // The one bit of a mode that a file in the session has, so somebody may have changed it.
        let may_run = entry.mode & OWNER_RUN_BIT != 0;
        if matches!(entry.kind, TreeKind::File { .. }) && may_run != (default_mode == 0o755) {
            if may_run {
                entry.mode &= !RUN_BITS;
            } else {
                entry.mode |= (entry.mode & READ_BITS) >> 2;
            }
        }
        Ok(entry)
    }

    fn digest(&self, path: &str) -> Result<(u64, String), SessionError> {
        let path = format!("{DATA}/{path}");
        let mut content = HashingReader::new(self.directory.open_file(&path)?);
        io::copy(&mut content, &mut io::sink()).map_err(|source| {
            FsError::io(Operation::Read, &self.directory.path().join(&path), source)
        })?;
        let digested = content.finish();
        Ok((digested.bytes, digested.sha256))
    }

    /// Control files by name, without the checksums, which follow from the rest.
    fn control_files(&self) -> Result<BTreeMap<String, Vec<u8>>, SessionError> {
        let mut files = BTreeMap::new();
        for (name, kind) in self.directory.list(CONTROL, CONTROL_FILES_MAX)? {
            if !matches!(kind, BeneathKind::File { .. }) {
                return Err(SessionErrorKind::Unpackable {
                    path: self.directory.path().join(CONTROL).join(&name),
                    problem: format!("it is {}", what(&kind)),
                }
                .into());
            }
            if name != "md5sums" {
                let path = format!("{CONTROL}/{name}");
                files.insert(name, self.directory.read(&path, CONTROL_BYTES_MAX)?);
            }
        }
        Ok(files)
    }
}

/// Makes names of one file of those that were that once and have the same content still.
fn link(entries: &mut BTreeMap<String, TreeEntry>, names: &[String]) {
    let mut firsts: Vec<(String, TreeEntry)> = Vec::new();
    for name in names {
        let Some(entry) = entries.get_mut(name) else {
            continue;
        };
        // One file has one time, one owner and one mode.
        let same = |one: &&(String, TreeEntry)| {
            (&one.1.kind, one.1.mode, &one.1.owner) == (&entry.kind, entry.mode, &entry.owner)
        };
        match firsts.iter().find(same) {
            Some((target, first)) => {
                let target = target.clone();
                *entry = TreeEntry {
                    kind: TreeKind::HardLink { target },
                    ..first.clone()
                };
            }
            None => firsts.push((name.clone(), entry.clone())),
        }
    }
}

impl SessionDocument {
    /// The entries of the original package.
    pub(crate) fn original_entries(&self) -> BTreeMap<String, TreeEntry> {
        let entries = self.entries.iter();
        entries
            .map(|entry| (entry.path.clone(), entry.tree_entry()))
            .collect()
    }
}
