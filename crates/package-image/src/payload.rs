//! The package to install: its control data, and its files at hand in any order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fork_fs::{FsError, HashingReader, Operation};
use fork_package::version::VersionError;
use fork_package::{
    DataEntry, DataEntryKind, DebReader, PackageError, PackageErrorKind, PackageVersion, Paragraph,
};
use fork_types::document::{DebDocument, Document, FileRef, PackagedFile};
use sha1::{Digest as _, Sha1};

use crate::error::{ImageError, ImageErrorKind};

/// A package, read once: contents lie unpacked in an unnamed temporary file, because the layer
/// needs them in another order than the package may have them.
#[derive(Debug)]
pub struct Payload {
    /// The package file.
    pub file: FileRef,
    /// Its document, when it came with one.
    pub document: Option<DebDocument>,
    /// Package name.
    pub name: String,
    /// Version.
    pub version: PackageVersion,
    /// Control data.
    pub control: Paragraph,
    /// `md5sums`, as it lies in the package.
    pub md5sums: Option<Vec<u8>>,
    /// Names of all control files.
    pub control_files: Vec<String>,
    /// Time of the package, seconds since 1970.
    pub mtime: u64,
    /// Paths in the order of the package, the root as an empty string.
    pub order: Vec<String>,
    /// Entries by path.
    pub entries: BTreeMap<String, PayloadEntry>,
    spool: File,
    path: PathBuf,
}

/// One entry of a package.
#[derive(Clone, Debug)]
pub struct PayloadEntry {
    /// What it is.
    pub entry: DataEntry,
    /// SHA-256 of its content, for files.
    pub sha256: String,
    /// SHA-1 of its content, for files: SPDX wants one.
    pub sha1: String,
    offset: u64,
}

impl Payload {
    /// Reads a package file, or the one in a directory that `package-deb` wrote. A document beside
    /// the file that names it is used too.
    ///
    /// # Errors
    ///
    /// Fails on unreadable or malformed packages, and on any difference to the document.
    pub fn read(deb: &Path, scratch: &Path) -> Result<Self, ImageError> {
        let (path, file, document) = locate(deb)?;
        let reader = DebReader::open(&path)?;
        let control = reader.control().clone();
        let name = control.require("Package")?.to_owned();
        let version = control.require("Version")?;
        let version: PackageVersion = version.parse().map_err(|error: VersionError| {
            PackageError::from(PackageErrorKind::Control {
                problem: error.to_string(),
            })
        })?;
        let mut spool = tempfile::tempfile_in(scratch)
            .map_err(|source| FsError::io(Operation::Create, scratch, source))?;
        let mut order = Vec::new();
        let mut entries = BTreeMap::new();
        let mut offset = 0;
        let md5sums = reader.md5sums().map(<[u8]>::to_vec);
        let control_files = reader.control_files().keys().cloned().collect();
        let mtime = reader.mtime();
        let payload_sha256 = reader.read_data(|entry, content| {
            let mut content = HashingReader::new(content);
            let sha1 = copy(&mut content, &mut spool, &path, scratch)?;
            let content = content.finish();
            order.push(entry.path.clone());
            let payload = PayloadEntry {
                entry: entry.clone(),
                sha256: content.sha256,
                sha1,
                offset,
            };
            offset += content.bytes;
            if entries.insert(entry.path.clone(), payload).is_some() {
                return Err(ImageError::from(ImageErrorKind::Refused {
                    package: name.clone(),
                    problem: format!("`/{}` is in the package twice", entry.path),
                }));
            }
            Ok(())
        })?;
        let payload = Self {
            file,
            document,
            name,
            version,
            control,
            md5sums,
            control_files,
            mtime,
            order,
            entries,
            spool,
            path,
        };
        payload.check_document(&payload_sha256)?;
        Ok(payload)
    }

    /// A reader of an entry's content.
    ///
    /// # Errors
    ///
    /// Fails when the temporary file cannot be read.
    pub fn content(&self, entry: &PayloadEntry) -> Result<impl Read + '_, ImageError> {
        let bytes = match entry.entry.kind {
            DataEntryKind::File { bytes } => bytes,
            _ => 0,
        };
        let mut spool = &self.spool;
        spool
            .seek(SeekFrom::Start(entry.offset))
            .map_err(|source| FsError::io(Operation::Read, &self.path, source))?;
        Ok(spool.take(bytes))
    }

    /// Files (not directories and links), sorted by path, as the documents list them.
    #[must_use]
    pub fn contents(&self) -> Vec<PackagedFile> {
        self.entries
            .iter()
            .filter_map(|(path, payload)| match payload.entry.kind {
                DataEntryKind::File { bytes } => Some(PackagedFile {
                    path: format!("/{path}"),
                    mode: format!("{:04o}", payload.entry.mode),
                    bytes,
                    sha256: payload.sha256.clone(),
                }),
                _ => None,
            })
            .collect()
    }

    fn check_document(&self, payload_sha256: &str) -> Result<(), ImageError> {
        let Some(document) = &self.document else {
            return Ok(());
        };
        let same = |what, expected: &str, found: &str| {
            if expected == found {
                return Ok(());
            }
            Err(ImageError::from(ImageErrorKind::Mismatch {
                what,
                path: self.path.clone(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            }))
        };
        same("package name", &document.package, &self.name)?;
        same("version", &document.package_version, self.version.as_str())?;
        let architecture = self.control.require("Architecture")?;
        same("architecture", &document.architecture, architecture)?;
        same("payload SHA-256", &document.payload_sha256, payload_sha256)?;
        let list = |files: &[PackagedFile]| {
            let lines = files
                .iter()
                .map(|file| format!("{} {}", file.mode, file.path));
            lines.collect::<Vec<_>>().join(", ")
        };
        same(
            "list of files",
            &list(&document.contents),
            &list(&self.contents()),
        )
    }
}

fn locate(deb: &Path) -> Result<(PathBuf, FileRef, Option<DebDocument>), ImageError> {
    if deb.is_dir() {
        let (document, _) = fork_fs::read_document::<DebDocument>(deb)?;
        let path = fork_fs::verify_file_ref(deb, &document.file)?;
        return Ok((path, document.file.clone(), Some(document)));
    }
    let directory = deb.parent().unwrap_or(Path::new(""));
    let name = deb
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if fork_fs::exists(&directory.join(DebDocument::FILE_NAME)) {
        let (document, _) = fork_fs::read_document::<DebDocument>(directory)?;
        if document.file.name == name {
            let path = fork_fs::verify_file_ref(directory, &document.file)?;
            return Ok((path, document.file.clone(), Some(document)));
        }
    }
    let digested = fork_fs::sha256_file(deb)?;
    let file = FileRef {
        name,
        sha256: digested.sha256,
        bytes: digested.bytes,
    };
    Ok((deb.to_owned(), file, None))
}

/// Copies a file's content; returns its SHA-1.
fn copy(
    content: &mut impl Read,
    spool: &mut File,
    path: &Path,
    scratch: &Path,
) -> Result<String, FsError> {
    let mut buffer = vec![0; 1 << 17];
    let mut sha1 = Sha1::new();
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(format!("{:x}", sha1.finalize())),
            Ok(count) => {
                sha1.update(&buffer[..count]);
                spool
                    .write_all(&buffer[..count])
                    .map_err(|source| FsError::io(Operation::Write, scratch, source))?;
            }
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FsError::io(Operation::Read, path, source)),
        }
    }
}
