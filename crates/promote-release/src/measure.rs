//! Reads the artifacts, now: their digests, and what is inside packages and images.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fork_fs::{FsError, HashingReader, Operation};
use fork_package::{DataEntryKind, DebReader, Image, PackageError, Selection};
use release_policy::Digest;
use release_policy::manifest::{Artifact, Manifest, Measured};

use crate::error::PromoteError;

/// Media type of a Debian package.
pub(crate) const DEB: &str = "application/vnd.debian.binary-package";
/// Media type of an image, by its manifest.
pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What an OCI layout has beside its blobs.
const LAYOUT_FILE: &str = "oci-layout";
/// Most files that are looked through in a directory of artifacts. A release of every step has about
/// a hundred.
const FILES_MAX: usize = 20_000;

/// Where the artifacts are, by name.
pub(crate) type Places = BTreeMap<String, PathBuf>;

/// Finds the artifacts of a manifest: those that were named, then those of their file name in the
/// directories (of several, the one with the digest), then any file or image layout with the digest.
pub(crate) fn find(
    manifest: &Manifest,
    named: &Places,
    directories: &[PathBuf],
) -> Result<Places, PromoteError> {
    let mut places = Places::new();
    for name in named.keys() {
        if !manifest
            .artifact
            .iter()
            .any(|artifact| artifact.name == *name)
        {
            return Err(PromoteError::usage(
                format!("the manifest has no artifact `{name}`"),
                "--artifact takes NAME=PATH with a name of the manifest",
            ));
        }
    }
    let mut files = Vec::new();
    for directory in directories {
        for (path, _) in fork_fs::list_files(directory)? {
            files.push(directory.join(path));
        }
        if files.len() > FILES_MAX {
            return Err(PromoteError::Limit {
                what: format!("files in `{}`", directory.display()),
                found: files.len() as u64,
                limit: FILES_MAX as u64,
            });
        }
    }
    let blob = Path::new("blobs").join("sha256");
    // Blobs are parts of images, never artifacts.
    let is_blob = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with(&blob));
    let layouts: Vec<&Path> = files
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name == LAYOUT_FILE))
        .filter_map(|path| path.parent())
        .collect();
    for artifact in &manifest.artifact {
        let found = match named.get(&artifact.name) {
            Some(path) => Some(path.clone()),
            None if artifact.media_type == IMAGE => layout(artifact, &layouts)?,
            None => match by_name(artifact, &files)? {
                Some(path) => Some(path),
                None => by_digest(artifact, files.iter().filter(|path| !is_blob(path)))?,
            },
        };
        if let Some(path) = found {
            places.insert(artifact.name.clone(), path);
        }
    }
    Ok(places)
}

/// The file of this name. Where several builds lie beside each other it is the one that was listed; when
/// none of them is, the first, so that the difference can be told.
fn by_name(artifact: &Artifact, files: &[PathBuf]) -> Result<Option<PathBuf>, PromoteError> {
    let mut named = files
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| *name == *artifact.name));
    let Some(first) = named.next() else {
        return Ok(None);
    };
    let others: Vec<&PathBuf> = named.collect();
    if others.is_empty() {
        return Ok(Some(first.clone()));
    }
    let all = std::iter::once(first).chain(others);
    Ok(by_digest(artifact, all)?.or_else(|| Some(first.clone())))
}

fn by_digest<'a>(
    artifact: &Artifact,
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<Option<PathBuf>, PromoteError> {
    for path in files {
        // Sizes tell most files apart without reading them.
        if fork_fs::file_bytes(path)? == artifact.size
            && fork_fs::sha256_file(path)?.sha256 == artifact.digest.hex()
        {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

/// The layout with this image; when there is none, the only layout there is, so that the difference
/// can be told.
fn layout(artifact: &Artifact, layouts: &[&Path]) -> Result<Option<PathBuf>, PromoteError> {
    for directory in layouts {
        let image = Image::open_layout(directory, Selection::default())?;
        if image.digest.hex() == artifact.digest.hex() {
            return Ok(Some((*directory).to_owned()));
        }
    }
    Ok(match layouts {
        [only] => Some((*only).to_owned()),
        _ => None,
    })
}

/// Reads every artifact that is there. One that is not is missing in the result too, and the engine
/// says so.
pub(crate) fn measure(
    manifest: &Manifest,
    places: &Places,
) -> Result<BTreeMap<String, Measured>, PromoteError> {
    let mut measured = BTreeMap::new();
    for artifact in &manifest.artifact {
        let Some(path) = places.get(&artifact.name) else {
            continue;
        };
        let (mut found, inside) = read(path, &artifact.media_type)?;
        // Files within are told by what they are: every listed one that is there, under its name.
        let listed = manifest
            .artifact
            .iter()
            .map(|one| (&one.name, one.digest))
            .chain(artifact.inside.iter().map(|(name, digest)| (name, *digest)));
        found.inside = listed
            .filter(|(_, digest)| inside.contains(&digest.hex()))
            .map(|(name, digest)| (name.clone(), digest))
            .collect();
        measured.insert(artifact.name.clone(), found);
    }
    Ok(measured)
}

/// What one file, package or image is, and the digests of the files within it.
pub(crate) fn read(
    path: &Path,
    media_type: &str,
) -> Result<(Measured, BTreeSet<String>), PromoteError> {
    let mut inside = BTreeSet::new();
    let (digest, payload) = match media_type {
        IMAGE => (image(path, &mut inside)?, None),
        DEB => {
            let payload = DebReader::open(path)?
                .read_data(|entry, content| add(path, &entry.kind, content, &mut inside))?;
            (
                fork_fs::sha256_file(path)?.sha256,
                Some(digest_of(&payload)?),
            )
        }
        _ => (fork_fs::sha256_file(path)?.sha256, None),
    };
    let measured = Measured {
        digest: digest_of(&digest)?,
        payload,
        inside: BTreeMap::new(),
    };
    Ok((measured, inside))
}

fn digest_of(hex: &str) -> Result<Digest, PromoteError> {
    format!("sha256:{hex}")
        .parse()
        .map_err(|_| PromoteError::input(format!("`{hex}`"), "it is no SHA-256"))
}

fn add(
    path: &Path,
    kind: &DataEntryKind,
    content: &mut dyn Read,
    inside: &mut BTreeSet<String>,
) -> Result<(), PackageError> {
    if !matches!(kind, DataEntryKind::File { .. }) {
        return Ok(());
    }
    let mut content = HashingReader::new(content);
    io::copy(&mut content, &mut io::sink())
        .map_err(|source| FsError::io(Operation::Read, path, source))?;
    inside.insert(content.finish().sha256);
    Ok(())
}

/// The digest of an image's manifest, after every layer was found to be what the manifest says.
fn image(directory: &Path, inside: &mut BTreeSet<String>) -> Result<String, PromoteError> {
    let image = Image::open_layout(directory, Selection::default())?;
    for layer in &image.layers {
        let expected = layer
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let found = fork_fs::sha256_file(layer.path())?.sha256;
        if found != expected {
            return Err(PromoteError::Digest {
                path: layer.path().to_owned(),
                expected: format!("sha256:{expected}"),
                found: format!("sha256:{found}"),
            });
        }
        layer.read_entries(|entry, content| add(layer.path(), &entry.kind, content, inside))?;
    }
    Ok(image.digest.hex().to_owned())
}

/// The size that a manifest gives for an artifact: of the file, or of the image's manifest.
pub(crate) fn size(path: &Path, media_type: &str, digest: Digest) -> Result<u64, PromoteError> {
    let path = if media_type == IMAGE {
        path.join("blobs").join("sha256").join(digest.hex())
    } else {
        path.to_owned()
    };
    Ok(fork_fs::file_bytes(&path)?)
}
