//! Writes packages of every kind: links, owners, modes, times, maintainer scripts.
//!
//! [`crate::DebBuilder`] writes the packages that are made here. This writes what somebody else made
//! and was changed: it keeps what it is told, and adds only what follows from the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use fork_compress::{Compression, Encoder};
use fork_fs::{AtomicFile, Digested, FsError, HashingWriter, Operation};

use crate::ar;
use crate::control::Paragraph;
use crate::deb_writer::append_hashed;
use crate::error::{PackageError, PackageErrorKind};
use crate::paths::safe_path;
use crate::tar_writer::{Attributes, EntryKind, NameStyle, TarWriter};

/// Unit of `Installed-Size`.
const KIB: u64 = 1024;
/// Longest name of an owner that a tar header holds.
const OWNER_BYTES_MAX: usize = 32;
/// Control files that dpkg runs, which must therefore be executable.
const SCRIPTS: [&str; 5] = ["config", "postinst", "postrm", "preinst", "prerm"];

/// The compression that the end of a member's name says, such as `data.tar.gz`.
#[must_use]
pub fn member_compression(name: &str) -> Option<Compression> {
    let (_, rest) = name.split_once(".tar")?;
    Compression::ALL
        .into_iter()
        .find(|one| rest == one.suffix())
}

/// Whom an entry belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Number of the user.
    pub uid: u64,
    /// Number of the group.
    pub gid: u64,
    /// Name of the user, which dpkg looks up first; may be empty.
    pub user: String,
    /// Name of the group; may be empty.
    pub group: String,
}

impl Owner {
    /// `root:root`.
    #[must_use]
    pub fn root() -> Self {
        Self {
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
        }
    }
}

/// What a [`TreeEntry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeKind {
    /// A file.
    File {
        /// Size.
        bytes: u64,
        /// SHA-256 of the content.
        sha256: String,
    },
    /// A directory.
    Directory,
    /// A symbolic link with this text.
    Symlink {
        /// Text of the link.
        target: String,
    },
    /// Another name of the file at a path that sorts before this one.
    HardLink {
        /// That path.
        target: String,
    },
}

/// A path of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// What it is.
    pub kind: TreeKind,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Whom it belongs to.
    pub owner: Owner,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
}

/// A whole package without the content of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebTree {
    /// Time of the members and control files, seconds since 1970.
    pub mtime: u64,
    /// Compression of the control member.
    pub control_compression: Compression,
    /// Compression of the data member.
    pub data_compression: Compression,
    /// Control files by name, without `md5sums`, which is computed. `control` must be there; its
    /// `Installed-Size` is computed as well.
    pub control_files: BTreeMap<String, Vec<u8>>,
    /// Paths relative to the root, which is the empty path; every directory of a path must be there.
    pub entries: BTreeMap<String, TreeEntry>,
}

/// Gives the content of the file at a path.
pub type OpenContent<'a> = &'a mut dyn FnMut(&str) -> Result<Box<dyn Read>, PackageError>;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenTree {
    /// Digest and size of the package file.
    pub file: Digested,
    /// SHA-256 of the uncompressed data tar.
    pub payload_sha256: String,
    /// Control files as written, `md5sums` included.
    pub control_files: BTreeMap<String, Vec<u8>>,
}

/// Paths of a `conffiles` file, relative to the root. Those that dpkg is to remove on an upgrade are
/// left out: they are not in the package.
pub fn conffiles(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let path = line.trim_end().strip_prefix('/')?;
        (!path.is_empty()).then_some(path)
    })
}

struct Data {
    file: File,
    bytes: u64,
    md5sums: String,
    payload_sha256: String,
}

impl DebTree {
    /// `Installed-Size` as `dpkg-gencontrol` counts it: files and links in KiB rounded up (a file
    /// with several names once), and one KiB for each directory.
    #[must_use]
    pub fn installed_size_kib(&self) -> u64 {
        self.entries
            .values()
            .map(|entry| match &entry.kind {
                TreeKind::File { bytes, .. } => bytes.div_ceil(KIB),
                TreeKind::Symlink { target } => (target.len() as u64).div_ceil(KIB),
                TreeKind::HardLink { .. } => 0,
                TreeKind::Directory => 1,
            })
            .sum()
    }

    /// Writes the package to `target`, atomically. `open` gives the content of the file at a path;
    /// it is compared with its size and digest. Memory does not grow with the package.
    ///
    /// # Errors
    ///
    /// Fails on entries that dpkg could not unpack in their order, on conffiles that are not files
    /// of the package, on content that is not what its entry says, and when the disk refuses.
    pub fn write(&self, target: &Path, open: OpenContent<'_>) -> Result<WrittenTree, PackageError> {
        self.check()?;
        let mut data = self.write_data(target, open)?;
        let mut control_files = self.control_files.clone();
        let mut control = self.control()?;
        let size = self.installed_size_kib().to_string();
        control.set_after("Architecture", "Installed-Size", &size)?;
        control_files.insert("control".to_owned(), control.to_string().into_bytes());
        control_files.insert("md5sums".to_owned(), data.md5sums.into_bytes());
        let control = self.control_tar(target, &control_files)?;

        let write_error = |source| FsError::io(Operation::Write, target, source);
        let mut output = HashingWriter::new(AtomicFile::create(target)?);
        output.write_all(ar::MAGIC).map_err(write_error)?;
        let mut member = |name: &str, bytes: u64, content: &mut dyn Read| {
            if bytes > ar::MEMBER_BYTES_MAX {
                return Err(PackageError::from(PackageErrorKind::TooLarge {
                    archive: target.to_owned(),
                    what: format!("member {name}"),
                    bytes,
                    bytes_max: ar::MEMBER_BYTES_MAX,
                }));
            }
            ar::write_member(&mut output, name, self.mtime, bytes, content)
                .map_err(|source| write_error(source).into())
        };
        let name =
            |stem: &str, compression: Compression| format!("{stem}.tar{}", compression.suffix());
        member("debian-binary", 4, &mut b"2.0\n".as_slice())?;
        member(
            &name("control", self.control_compression),
            control.len() as u64,
            &mut control.as_slice(),
        )?;
        member(
            &name("data", self.data_compression),
            data.bytes,
            &mut data.file,
        )?;
        let (output, file) = output.finish();
        output.commit()?;
        Ok(WrittenTree {
            file,
            payload_sha256: data.payload_sha256,
            control_files,
        })
    }

    /// Control data as it was given.
    ///
    /// # Errors
    ///
    /// Fails when there is none, and when it breaks the rules.
    pub fn control(&self) -> Result<Paragraph, PackageError> {
        let bytes = self
            .control_files
            .get("control")
            .ok_or_else(|| PackageError::control("there is no control file `control`"))?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| PackageError::control("control data is not UTF-8"))?;
        Paragraph::parse(text)
    }

    /// Paths of the conffiles.
    ///
    /// # Errors
    ///
    /// Fails when the list is not UTF-8.
    fn conffiles(&self) -> Result<BTreeSet<&str>, PackageError> {
        let bytes = self.control_files.get("conffiles").map(Vec::as_slice);
        let text = std::str::from_utf8(bytes.unwrap_or_default())
            .map_err(|_| PackageError::control("`conffiles` is not UTF-8"))?;
        Ok(conffiles(text).collect())
    }

    fn check(&self) -> Result<(), PackageError> {
        let refuse = |path: &str, problem: String| -> Result<(), PackageError> {
            Err(PackageErrorKind::Contents {
                path: format!("/{path}"),
                problem,
            }
            .into())
        };
        for (path, entry) in &self.entries {
            if safe_path(Path::new("package"), path.as_bytes())? != *path {
                return refuse(path, "it is not a plain path".to_owned());
            }
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let is_directory = |path: &str| {
                let entry = self.entries.get(path);
                entry.is_some_and(|entry| entry.kind == TreeKind::Directory)
            };
            if !is_directory(parent) {
                return refuse(path, format!("`/{parent}` is no directory of the package"));
            }
            if let TreeKind::HardLink { target } = &entry.kind {
                let kind = self.entries.get(target).map(|entry| &entry.kind);
                if target >= path || !matches!(kind, Some(TreeKind::File { .. })) {
                    return refuse(path, format!("`/{target}` is no file before it"));
                }
            }
            for name in [&entry.owner.user, &entry.owner.group] {
                if name.len() > OWNER_BYTES_MAX || name.contains(['\0', '\n', '\u{fffd}']) {
                    let name = name.escape_debug();
                    return refuse(path, format!("`{name}` is no name of an owner"));
                }
            }
        }
        for path in self.conffiles()? {
            let kind = self.entries.get(path).map(|entry| &entry.kind);
            if !matches!(
                kind,
                Some(TreeKind::File { .. } | TreeKind::HardLink { .. })
            ) {
                return Err(PackageErrorKind::Conffile {
                    path: format!("/{}", path.escape_debug()),
                }
                .into());
            }
        }
        Ok(())
    }

    fn write_data(&self, target: &Path, open: OpenContent<'_>) -> Result<Data, PackageError> {
        let write_error = |source| FsError::io(Operation::Write, target, source);
        let directory = target.parent().filter(|path| !path.as_os_str().is_empty());
        let file =
            tempfile::tempfile_in(directory.unwrap_or(Path::new("."))).map_err(write_error)?;
        let compressed = Encoder::new(self.data_compression, io::BufWriter::new(file));
        let mut tar = TarWriter::new(HashingWriter::new(compressed), NameStyle::Deb, target);
        let conffiles = self.conffiles()?;
        let mut md5_of = BTreeMap::new();
        let mut md5sums = String::new();
        for (path, entry) in &self.entries {
            tar.set_owner(&entry.owner.user, &entry.owner.group);
            let attributes = Attributes {
                mode: entry.mode,
                uid: entry.owner.uid,
                gid: entry.owner.gid,
                mtime: entry.mtime,
            };
            let md5 = match &entry.kind {
                TreeKind::Directory => {
                    tar.append(path, EntryKind::Directory, attributes)?;
                    continue;
                }
                TreeKind::Symlink { target } => {
                    tar.append(path, EntryKind::Symlink { target }, attributes)?;
                    continue;
                }
                TreeKind::HardLink { target } => {
                    tar.append(path, EntryKind::HardLink { target }, attributes)?;
                    md5_of.get(target.as_str()).cloned().unwrap_or_default()
                }
                TreeKind::File { bytes, sha256 } => {
                    let input = open(path)?;
                    let (found, md5) =
                        append_hashed(&mut tar, path, *bytes, attributes, input, None)?;
                    if found != *sha256 {
                        return Err(PackageErrorKind::Digest {
                            archive: target.to_owned(),
                            what: format!("`/{path}`, which changed while it was packed,"),
                            expected: sha256.clone(),
                            found,
                        }
                        .into());
                    }
                    md5_of.insert(path.as_str(), md5.clone());
                    md5
                }
            };
            // dpkg keeps the checksums of conffiles itself, as dh_md5sums knows.
            if !conffiles.contains(path.as_str()) {
                // Writing to a string cannot fail.
                let _ = writeln!(md5sums, "{md5}  {path}");
            }
        }
        let (compressed, payload) = tar.finish()?.finish();
        let mut file = compressed
            .finish()
            .and_then(|buffered| {
                buffered
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
            })
            .map_err(write_error)?;
        let bytes = file
            .stream_position()
            .and_then(|bytes| file.rewind().map(|()| bytes))
            .map_err(write_error)?;
        Ok(Data {
            file,
            bytes,
            md5sums,
            payload_sha256: payload.sha256,
        })
    }

    fn control_tar(
        &self,
        target: &Path,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<u8>, PackageError> {
        let encoder = Encoder::new(self.control_compression, Vec::new());
        let mut tar = TarWriter::new(encoder, NameStyle::Deb, target);
        let directory = Attributes::root(0o755, self.mtime);
        tar.append("", EntryKind::Directory, directory)?;
        for (name, bytes) in files {
            let is_script = SCRIPTS.contains(&name.as_str());
            let mode = if is_script { 0o755 } else { 0o644 };
            tar.append_bytes(name, Attributes::root(mode, self.mtime), bytes)?;
        }
        tar.finish()?
            .finish()
            .map_err(|source| FsError::io(Operation::Write, target, source).into())
    }
}
