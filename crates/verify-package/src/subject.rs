//! What is verified: the files of a package, wherever they lie.

mod deb;
mod directory;
mod image;
mod spool;
mod tasks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fork_fs::FsError;
use fork_package::{PackageError, Paragraph};
use fork_types::Role;

use crate::args::{ImageRef, SubjectArgs};
use crate::tarball::TarballFacts;
use tasks::Tasks;

pub use spool::FileDigests;

/// Directory of configs and ledgers, relative to the root.
pub(crate) const DATA_DIRECTORY: &str = "var/lib/coda";
/// The systemd unit.
pub(crate) const UNIT: &str = "usr/lib/systemd/user/mina.service";
/// Entries of a package. A real one has fifteen.
pub(crate) const ENTRIES_MAX: usize = 1000;
/// Longest path; the longest real one has 100 bytes.
pub(crate) const PATH_BYTES_MAX: usize = 512;
/// Largest file. The tarball of ten million accounts has 3 GB.
pub(crate) const FILE_BYTES_MAX: u64 = 8 << 30;
/// Largest package. Beyond it not even a digest is taken.
pub(crate) const DEB_BYTES_MAX: u64 = 16 << 30;
/// Largest config that is read. The packaged ones have 2 kB, one with accounts in it some MB.
pub(crate) const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// Which form a package has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// A Debian package.
    Deb,
    /// A directory with an installed or unpacked package.
    Root,
    /// An OCI layout.
    Oci,
    /// An archive of `docker save`.
    DockerArchive,
    /// What a daemon wrote by itself.
    Automode,
}

impl SubjectKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Root => "root",
            Self::Oci => "oci",
            Self::DockerArchive => "docker-archive",
            Self::Automode => "automode",
        }
    }

    /// Whether it is an image.
    #[must_use]
    pub const fn is_image(self) -> bool {
        matches!(self, Self::Oci | Self::DockerArchive)
    }
}

/// What lies at a path.
#[derive(Debug)]
pub enum EntryKind {
    /// A file, and where its content can be read.
    File(Content),
    /// A directory.
    Directory,
    /// Anything else: a link, a device.
    Other(String),
}

/// Content of a file.
#[derive(Clone, Debug)]
pub struct Content {
    /// Size.
    pub bytes: u64,
    path: PathBuf,
    /// Removes the copy.
    _spooled: Option<Arc<tempfile::TempPath>>,
}

/// One path of a package.
#[derive(Debug)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
}

/// What dpkg's database in a root or image says of the package.
#[derive(Debug, Default)]
pub struct DpkgRecord {
    /// Whether there is a status file at all.
    pub has_status: bool,
    /// The `.list` file.
    pub list: Option<Vec<u8>>,
    /// Packages of this kind that it names.
    pub packages: Vec<String>,
    /// Names of the files that it keeps about the package.
    pub info_files: Vec<String>,
}

/// A package that was read.
#[derive(Debug)]
pub struct Subject {
    /// Its form.
    pub kind: SubjectKind,
    /// Last component of its path.
    pub name: String,
    /// Paths relative to the root. In roots and images only those a config package is about.
    pub entries: BTreeMap<String, Entry>,
    /// Paths that occur more than once.
    pub duplicates: Vec<String>,
    /// Control data: of the package, or from dpkg's status.
    pub control: Option<Paragraph>,
    /// Names of the control files.
    pub control_files: Vec<String>,
    /// What the archive of a package file holds besides its three members.
    pub other_members: Vec<String>,
    /// Checksums that came with it.
    pub md5sums: Option<Vec<u8>>,
    /// dpkg's database.
    pub dpkg: DpkgRecord,
    /// Who has to own the files.
    pub owner: (u64, u64),
    /// Digests of all files.
    pub digests: BTreeMap<String, FileDigests>,
    /// SHA-256 of the Debian package itself, or of an OCI layout's manifest.
    pub sha256: Option<String>,
}

/// Why a package cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// The archive or image.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A file.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// More than any package has.
    #[error("{what} is {found}; the limit is {max}")]
    Limit {
        /// What.
        what: String,
        /// How much.
        found: u64,
        /// How much is allowed.
        max: u64,
    },
    /// It is something else.
    #[error("{problem}")]
    Shape {
        /// What is wrong.
        problem: String,
    },
}

impl SubjectError {
    /// The message with all its causes.
    #[must_use]
    pub fn full_text(&self) -> String {
        error_text(self)
    }
}

/// A message with its causes, separated by colons.
pub(crate) fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Content {
    /// Where the content can be read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Entry {
    /// Its content, when it is a file.
    #[must_use]
    pub const fn file(&self) -> Option<&Content> {
        match &self.kind {
            EntryKind::File(content) => Some(content),
            EntryKind::Directory | EntryKind::Other(_) => None,
        }
    }
}

impl Subject {
    /// Reads whichever form the command line names; copies and unpacked files go to `scratch`. If it
    /// `unpacks`, it gives the ledgers' tarballs, unpacked, by path: all of a package that has three.
    ///
    /// # Errors
    ///
    /// Fails on anything that is damaged, hostile, or not of the form.
    pub fn read(
        args: &SubjectArgs,
        network: &str,
        scratch: &Path,
        unpacks: bool,
    ) -> Result<(Self, BTreeMap<String, TarballFacts>), SubjectError> {
        let tasks = Tasks::new(scratch, unpacks);
        let mut sha256 = None;
        let read = rayon::scope(|scope| {
            let is_small = |path: &&PathBuf| {
                fork_fs::file_bytes(path).is_ok_and(|bytes| bytes <= DEB_BYTES_MAX)
            };
            if let Some(deb) = args.deb.as_ref().filter(is_small) {
                let sha256 = &mut sha256;
                scope.spawn(move |_| *sha256 = Some(fork_fs::sha256_file(deb)));
            }
            let mut start = |path: &str, content: &Content| tasks.start(scope, path, content);
            let subject = Self::read_files(args, network, scratch, &mut start)?;
            if subject.kind != SubjectKind::Deb {
                for (path, entry) in &subject.entries {
                    entry.file().into_iter().for_each(|file| start(path, file));
                }
            }
            Ok::<_, SubjectError>(subject)
        });
        let mut subject = read?;
        let (digests, tarballs) = tasks.finish()?;
        subject.digests = digests;
        if let Some(digested) = sha256.transpose()? {
            subject.sha256 = Some(digested.sha256);
        }
        Ok((subject, tarballs))
    }

    /// Reads the files. `start` gets those of a Debian package when they are there.
    fn read_files(
        args: &SubjectArgs,
        network: &str,
        scratch: &Path,
        start: &mut dyn FnMut(&str, &Content),
    ) -> Result<Self, SubjectError> {
        let package = format!("mina-{network}-config");
        let subject = if let Some(path) = &args.deb {
            deb::read(path, scratch, start)?
        } else if let Some(path) = &args.root {
            directory::read_root(path, &package)?
        } else if let Some(reference) = &args.image {
            image::read(reference, &package, scratch)?
        } else if let Some(path) = &args.automode {
            directory::read_automode(path)?
        } else {
            return Err(SubjectError::Shape {
                problem: "nothing to verify was named".to_owned(),
            });
        };
        Ok(subject)
    }

    fn new(kind: SubjectKind, path: &Path) -> Self {
        Self {
            kind,
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            entries: BTreeMap::new(),
            duplicates: Vec::new(),
            control: None,
            control_files: Vec::new(),
            other_members: Vec::new(),
            md5sums: None,
            dpkg: DpkgRecord::default(),
            owner: (0, 0),
            digests: BTreeMap::new(),
            sha256: None,
        }
    }

    /// Adds a path; a second one of that name is noted.
    fn add(&mut self, path: String, entry: Entry) -> Result<(), SubjectError> {
        limit(
            "number of entries",
            self.entries.len() as u64,
            ENTRIES_MAX as u64 - 1,
        )?;
        limit("length of a path", path.len() as u64, PATH_BYTES_MAX as u64)?;
        if self.entries.contains_key(&path) {
            limit(
                "number of repeated paths",
                self.duplicates.len() as u64,
                100,
            )?;
            self.duplicates.push(path.clone());
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// The form's directory of configs.
    #[must_use]
    pub fn data_directory(&self) -> &'static str {
        match self.kind {
            SubjectKind::Automode => "",
            SubjectKind::Deb
            | SubjectKind::Root
            | SubjectKind::Oci
            | SubjectKind::DockerArchive => DATA_DIRECTORY,
        }
    }

    /// Paths of the files directly in `directory`, with their names.
    pub fn files_in<'a>(
        &'a self,
        directory: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Content)> {
        self.entries.iter().filter_map(move |(path, entry)| {
            let content = entry.file()?;
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == directory).then_some((path.as_str(), name, content))
        })
    }

    /// The tarballs of a role by their names: path, name, content.
    pub fn tarballs(&self, role: Role) -> impl Iterator<Item = (&str, &str, &Content)> {
        let directory = match self.kind {
            SubjectKind::Automode => "genesis",
            SubjectKind::Deb
            | SubjectKind::Root
            | SubjectKind::Oci
            | SubjectKind::DockerArchive => DATA_DIRECTORY,
        };
        self.files_in(directory)
            .filter(move |(_, name, _)| is_tarball_of(name, role))
    }

    /// A reference to an image or file in words.
    #[must_use]
    pub fn describe(args: &SubjectArgs) -> (SubjectKind, String) {
        let (kind, path) = match args {
            SubjectArgs {
                deb: Some(path), ..
            } => (SubjectKind::Deb, path),
            SubjectArgs {
                root: Some(path), ..
            } => (SubjectKind::Root, path),
            SubjectArgs {
                image: Some(ImageRef::Oci(path)),
                ..
            } => (SubjectKind::Oci, path),
            SubjectArgs {
                image: Some(ImageRef::DockerArchive(path)),
                ..
            } => (SubjectKind::DockerArchive, path),
            SubjectArgs {
                automode: Some(path),
                ..
            } => (SubjectKind::Automode, path),
            _ => return (SubjectKind::Deb, String::new()),
        };
        let name = path.file_name().unwrap_or_default();
        (kind, name.to_string_lossy().into_owned())
    }
}

/// Whether a file name is `<prefix>_<64 hexadecimal digits>.tar.gz` of the role.
pub(crate) fn is_tarball_of(name: &str, role: Role) -> bool {
    name.strip_prefix(role.tarball_prefix())
        .and_then(|rest| rest.strip_prefix('_'))
        .and_then(|rest| rest.strip_suffix(".tar.gz"))
        .is_some_and(|digits| is_hex(digits, 64))
}

/// Whether a text is so many lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Refuses what is beyond a limit.
pub(crate) fn limit(what: &str, found: u64, max: u64) -> Result<(), SubjectError> {
    if found <= max {
        return Ok(());
    }
    Err(SubjectError::Limit {
        what: what.to_owned(),
        found,
        max,
    })
}
