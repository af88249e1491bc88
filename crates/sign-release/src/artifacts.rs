//! The bytes behind the names: tarballs, packages and images, read and hashed again.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use fork_fs::{FsError, HashingReader, Operation};
use fork_package::{DataEntryKind, DebReader, Image, PackageError, Selection, StoredImage};
use fork_sign::{Statement, Subject};
use fork_types::document::{DebDocument, ImageDocument, PackagedFile, Tarball};
use serde::Serialize;
use sha3::{Digest, Sha3_256};

use crate::error::SignError;
use crate::manifest::Manifest;

/// Where the daemon looks for configs and ledgers.
pub(crate) const DATA_DIRECTORY: &str = "/var/lib/coda";
/// Most files hashed at a time: more would only wait for the disk.
const THREADS_MAX: usize = 4;
/// What an OCI layout has beside its blobs.
const LAYOUT_FILE: &str = "oci-layout";

/// SHA-256 of bytes in memory.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut reader = HashingReader::new(bytes);
    // Reading from memory cannot fail.
    let _ = io::copy(&mut reader, &mut io::sink());
    reader.finish().sha256
}

/// Size and digests of a file, in one pass; tarballs are hundreds of megabytes.
struct Digests {
    bytes: u64,
    sha256: String,
    sha3_256: String,
}

fn digests(path: &Path) -> Result<Digests, FsError> {
    let mut reader = HashingReader::new(fork_fs::open(path)?);
    let mut sha3 = Sha3_256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => sha3.update(&buffer[..count]),
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FsError::io(Operation::Read, path, source)),
        }
    }
    let digested = reader.finish();
    Ok(Digests {
        bytes: digested.bytes,
        sha256: digested.sha256,
        sha3_256: hex(&sha3.finalize()),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both digests of a ledger's tarball.
pub(crate) fn check_tarball(directory: &Path, tarball: &Tarball) -> Result<(), SignError> {
    let path = fork_fs::child(directory, &tarball.file.name)?;
    let found = digests(&path)?;
    let digested = fork_fs::Digested {
        sha256: found.sha256,
        bytes: found.bytes,
    };
    fork_fs::compare_file_ref(&path, &tarball.file, &digested)?;
    if found.sha3_256 == tarball.s3_data_hash {
        return Ok(());
    }
    Err(SignError::Mismatch {
        what: "SHA3-256 (s3_data_hash)".to_owned(),
        expected: tarball.s3_data_hash.clone(),
        expected_in: directory.join("ledger.json"),
        found: found.sha3_256,
        found_in: path,
    })
}

/// Files that an archive should have, ticked off while it is read.
struct Contents<'a> {
    missing: BTreeMap<&'a str, &'a PackagedFile>,
    /// The document and the archive.
    sides: (PathBuf, PathBuf),
}

impl<'a> Contents<'a> {
    fn new(files: &'a [PackagedFile], document: PathBuf, archive: PathBuf) -> Self {
        Self {
            missing: files
                .iter()
                .map(|file| (file.path.as_str(), file))
                .collect(),
            sides: (document, archive),
        }
    }

    fn mismatch(&self, what: String, expected: &str, found: &str) -> SignError {
        SignError::Mismatch {
            what,
            expected: expected.to_owned(),
            expected_in: self.sides.0.clone(),
            found: found.to_owned(),
            found_in: self.sides.1.clone(),
        }
    }

    /// A file of the archive; `None` as what the document says when it names no such file.
    fn file(&mut self, path: &str, content: &mut dyn Read) -> Result<bool, SignError> {
        let Some(file) = self.missing.remove(path) else {
            return Ok(false);
        };
        let mut content = HashingReader::new(content);
        io::copy(&mut content, &mut io::sink())
            .map_err(|source| FsError::io(Operation::Read, &self.sides.1, source))?;
        let found = content.finish().sha256;
        if found == file.sha256 {
            return Ok(true);
        }
        Err(self.mismatch(format!("SHA-256 of `{path}`"), &file.sha256, &found))
    }

    fn none_missing(self) -> Result<(), SignError> {
        match self.missing.keys().next() {
            None => Ok(()),
            Some(path) => Err(self.mismatch(format!("`{path}`"), "a file", "missing")),
        }
    }
}

/// What is inside a package; gives the codename in its control data.
pub(crate) fn check_deb(directory: &Path, document: &DebDocument) -> Result<String, SignError> {
    let path = fork_fs::child(directory, &document.file.name)?;
    let mut contents = Contents::new(&document.contents, directory.join("deb.json"), path.clone());
    let deb = DebReader::open(&path)?;
    let codename = deb.control().get("Codename").unwrap_or_default().to_owned();
    let payload_sha256 = deb.read_data(|entry, content| {
        let name = format!("/{}", entry.path);
        if entry.kind == DataEntryKind::Directory || contents.file(&name, content)? {
            return Ok(());
        }
        Err(contents.mismatch(format!("`{name}`"), "nothing", "there"))
    })?;
    if payload_sha256 != document.payload_sha256 {
        let what = "SHA-256 of the uncompressed data".to_owned();
        return Err(contents.mismatch(what, &document.payload_sha256, &payload_sha256));
    }
    contents.none_missing()?;
    Ok(codename)
}

/// What identifies an image.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) manifest_sha256: String,
    /// Of the last layer, `sha256:…`.
    pub(crate) diff_id: String,
    /// Digests of the manifests that are attached to it (SBOM, provenance), `sha256:…`, sorted.
    pub(crate) attachments: Vec<String>,
    pub(crate) architecture: String,
}

/// Manifest, config and every layer of an image as they lie on the disk, and the package's files in
/// the last one.
pub(crate) fn check_image(directory: &Path, document: &ImageDocument) -> Result<Layout, SignError> {
    let path = directory.join("image.json");
    let layout = read_layout(directory)?;
    let contents = Contents::new(&document.contents, path, directory.to_owned());
    let digest = format!("sha256:{}", layout.0.manifest_sha256);
    if digest != document.manifest_digest {
        let what = "digest of the manifest".to_owned();
        return Err(contents.mismatch(what, &document.manifest_digest, &digest));
    }
    let mut expected: Vec<&str> = document
        .attachments
        .iter()
        .map(|one| one.manifest_digest.as_str())
        .collect();
    expected.sort_unstable();
    if expected != layout.0.attachments {
        let what = "digests of what is attached to the image".to_owned();
        let found = layout.0.attachments.join(", ");
        return Err(contents.mismatch(what, &expected.join(", "), &found));
    }
    let mut contents = contents;
    let Some(layer) = layout.1.layers.last() else {
        return Err(contents.mismatch("number of layers".to_owned(), "at least 1", "0"));
    };
    let blob = layer.path().file_name().unwrap_or_default();
    let blob = format!("sha256:{}", blob.to_string_lossy());
    if blob != document.package_layer_digest {
        let what = "digest of the last layer".to_owned();
        return Err(contents.mismatch(what, &document.package_layer_digest, &blob));
    }
    // The callback can only fail as the archive does; what else goes wrong is kept here.
    let mut failure = None;
    layer.read_entries(|entry, content| {
        if failure.is_none() {
            let name = format!("/{}", entry.path);
            failure = contents.file(&name, content).err();
        }
        Ok::<(), PackageError>(())
    })?;
    match failure {
        Some(error) => Err(error),
        None => contents.none_missing().map(|()| layout.0),
    }
}

/// Reads a layout and hashes its layers, and what is attached to the image.
fn read_layout(directory: &Path) -> Result<(Layout, Image), SignError> {
    let image = Image::open_layout(directory, Selection::default())?;
    for layer in &image.layers {
        check_blob(directory, "a layer", layer.path())?;
    }
    let mut attachments = Vec::new();
    for attached in StoredImage::open(directory, Selection::default())?.attachments {
        let blobs = std::iter::once(&attached.manifest.config).chain(&attached.manifest.layers);
        for blob in blobs {
            let path = directory.join("blobs/sha256").join(blob.digest.hex());
            check_blob(directory, "what is attached to the image", &path)?;
        }
        attachments.push(attached.descriptor.digest.to_string());
    }
    attachments.sort_unstable();
    let diff_id = image.layers.last().map(|layer| layer.diff_id().to_string());
    let layout = Layout {
        manifest_sha256: image.digest.hex().to_owned(),
        diff_id: diff_id.unwrap_or_default(),
        attachments,
        architecture: image.config.architecture.clone(),
    };
    Ok((layout, image))
}

/// A blob's name is its digest.
fn check_blob(directory: &Path, what: &str, path: &Path) -> Result<(), SignError> {
    let expected = path.file_name().unwrap_or_default().to_string_lossy();
    let found = fork_fs::sha256_file(path)?.sha256;
    if found == expected {
        return Ok(());
    }
    Err(SignError::Mismatch {
        what: format!("SHA-256 of {what}"),
        expected: expected.into_owned(),
        expected_in: directory.join("index.json"),
        found,
        found_in: path.to_owned(),
    })
}

/// What became of a subject in the directories given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Found {
    /// It is there, and has the digests of the statement.
    Checked,
    /// It is in none of the directories.
    Missing,
    /// Something of its name is there, and is something else.
    Differs {
        /// Where.
        path: PathBuf,
        /// What differs, with both values.
        problem: String,
    },
}

/// A subject and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedArtifact {
    /// Name of the subject.
    pub name: String,
    /// What became of it.
    #[serde(flatten)]
    pub found: Found,
}

/// Looks for the subjects of a statement in directories and hashes what it finds. A file is found by
/// its name, directly in a directory; an image is a directory that is an OCI layout.
///
/// # Errors
///
/// Fails when something that is there cannot be read. Files that differ are no error here.
pub fn check_artifacts(
    statement: &Statement<Manifest>,
    directories: &[PathBuf],
    note: &(dyn Fn(&str) + Sync),
) -> Result<Vec<CheckedArtifact>, SignError> {
    // Packages and images are large, and hashing one after the other would use one core.
    let next = AtomicUsize::new(0);
    let work = || {
        let mut checked = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(subject) = statement.subjects().get(index) else {
                return checked;
            };
            checked.push((index, check_subject(statement, subject, directories, note)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut checked: Vec<(usize, Result<CheckedArtifact, SignError>)> =
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.min(THREADS_MAX))
                .map(|_| scope.spawn(work))
                .collect();
            let own = work();
            let joined = others.into_iter().flat_map(|other| match other.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            own.into_iter().chain(joined).collect()
        });
    // Of several errors, the first one in the statement, whoever was quicker.
    checked.sort_by_key(|(index, _)| *index);
    checked.into_iter().map(|(_, one)| one).collect()
}

/// One subject in all directories.
fn check_subject(
    statement: &Statement<Manifest>,
    subject: &Subject,
    directories: &[PathBuf],
    note: &(dyn Fn(&str) + Sync),
) -> Result<CheckedArtifact, SignError> {
    let manifest = statement.predicate();
    let is_image = manifest.images().any(|image| image.name == subject.name);
    let mut found = Found::Missing;
    for directory in directories {
        let one = if is_image {
            check_layout(statement, subject, directory, note)?
        } else {
            check_file(statement, subject, directory, note)?
        };
        match one {
            Found::Missing => {}
            Found::Checked => found = Found::Checked,
            Found::Differs { .. } => {
                found = one;
                break;
            }
        }
    }
    Ok(CheckedArtifact {
        name: subject.name.clone(),
        found,
    })
}

/// Whether what was found is another subject: files of packages for several distributions have one
/// name, and every image is found where any of them is looked for.
fn is_another(statement: &Statement<Manifest>, subject: &Subject, sha256: &str) -> bool {
    let others = statement.subjects().iter();
    let mut others = others.filter(|other| other.name != subject.name);
    let is_it = |other: &Subject| other.digest.get("sha256").is_some_and(|one| one == sha256);
    subject.name.contains('/') && !is_it(subject) && others.any(is_it)
}

fn check_file(
    statement: &Statement<Manifest>,
    subject: &Subject,
    directory: &Path,
    note: &(dyn Fn(&str) + Sync),
) -> Result<Found, SignError> {
    // `CODENAME/FILE`, where there are several.
    let name = subject.name.rsplit('/').next().unwrap_or_default();
    let path = fork_fs::child(directory, name)?;
    // An empty directory name is the statement's affair, a missing directory the caller's.
    fork_fs::sorted_names(directory)?;
    if !fork_fs::exists(&path) {
        return Ok(Found::Missing);
    }
    note(&format!("hashing {}", subject.name));
    let found = digests(&path)?;
    if is_another(statement, subject, &found.sha256) {
        return Ok(Found::Missing);
    }
    let problem = subject.digest.iter().find_map(|(algorithm, expected)| {
        let found = match algorithm.as_str() {
            "sha256" => &found.sha256,
            "sha3_256" => &found.sha3_256,
            _ => return Some(format!("digest `{algorithm}` is not known here")),
        };
        let words = format!("{algorithm} is {found}, expected {expected}");
        (found != expected).then_some(words)
    });
    Ok(match problem {
        None => Found::Checked,
        Some(problem) => Found::Differs { path, problem },
    })
}

fn check_layout(
    statement: &Statement<Manifest>,
    subject: &Subject,
    directory: &Path,
    note: &(dyn Fn(&str) + Sync),
) -> Result<Found, SignError> {
    if !fork_fs::exists(&directory.join(LAYOUT_FILE)) {
        return Ok(Found::Missing);
    }
    note(&format!("hashing {}", subject.name));
    let differs = |problem| Found::Differs {
        path: directory.to_owned(),
        problem,
    };
    let layout = match read_layout(directory) {
        Ok((layout, _)) => layout,
        Err(SignError::Mismatch {
            what,
            expected,
            found,
            ..
        }) => return Ok(differs(format!("{what} is {found}, expected {expected}"))),
        Err(SignError::Package(error)) if is_wrong(&error) => {
            return Ok(differs(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    if is_another(statement, subject, &layout.manifest_sha256) {
        return Ok(Found::Missing);
    }
    let expected = subject.digest.get("sha256").cloned().unwrap_or_default();
    if layout.manifest_sha256 == expected {
        let attached = serde_json::Value::from(layout.attachments);
        return Ok(match subject.annotations.get("attachments") {
            Some(expected) if *expected != attached => differs(format!(
                "what is attached to it is {attached}, expected {expected}"
            )),
            _ => Found::Checked,
        });
    }
    Ok(differs(format!(
        "the manifest's sha256 is {}, expected {expected}",
        layout.manifest_sha256
    )))
}

fn is_wrong(error: &PackageError) -> bool {
    use fork_types::{Class, Fault};
    error.class() == Class::Wrong
}
