//! The format of `docker save` and `docker load`.
//!
//! `manifest.json` names the config and the layers by their paths in the archive. Older archives
//! hold `<id>/layer.tar`, where a layer used twice is a link; newer ones hold OCI blobs and an
//! `index.json` besides. Reading by `manifest.json` covers both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fork_fs::{AtomicFile, FsError, HashingReader, HashingWriter, Operation};
use fork_types::document::FileRef;
use serde::{Deserialize, Serialize};

use crate::error::{PackageError, PackageErrorKind};
use crate::gzip;
use crate::image::{
    Compression, Image, JSON_BYTES_MAX, LayerSource, Selection, blob_path, check_layers,
    parse_json, require, wanted,
};
use crate::limit::{Limited, unpacked_bytes_max};
use crate::oci::{Digest, ImageConfig, Manifest};
use crate::tar_reader::{DataEntryKind, TarReader};
use crate::tar_writer::{Attributes, EntryKind, NameStyle, TarWriter};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Links followed to find a layer; `docker save` writes one.
const LINKS_MAX: usize = 8;
/// Most members of an archive; four for each layer, and a few more.
const MEMBERS_MAX: usize = 10_000;
/// Most images in an archive.
const IMAGES_MAX: usize = 100;

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ArchivedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Debug)]
enum Place {
    File { offset: u64, bytes: u64 },
    Link(String),
}

struct Members {
    archive: PathBuf,
    places: BTreeMap<String, Place>,
}

/// Writes an archive that `docker load` and its relatives read; `root` is the complete layout,
/// `reference` is `name:tag`, `mtime` the time of every member. Layers stay compressed.
///
/// # Errors
///
/// Fails when a blob cannot be read or the disk refuses.
pub fn write_docker_archive(
    root: &Path,
    manifest: &Manifest,
    reference: &str,
    mtime: u64,
    target: &Path,
) -> Result<FileRef, PackageError> {
    let member = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let image = ArchivedImage {
        config: member(&manifest.config.digest),
        repo_tags: Some(vec![reference.to_owned()]),
        layers: manifest
            .layers
            .iter()
            .map(|layer| member(&layer.digest))
            .collect(),
    };
    let json = serde_json::to_vec(&[image])
        .map_err(|source| FsError::io(Operation::Write, target, source.into()))?;
    let blobs: BTreeSet<&Digest> = manifest
        .layers
        .iter()
        .chain([&manifest.config])
        .map(|descriptor| &descriptor.digest)
        .collect();

    let output = HashingWriter::new(AtomicFile::create(target)?);
    let mut tar = TarWriter::new(output, NameStyle::Layer, target);
    let directory = Attributes::root(0o755, mtime);
    let file = Attributes::root(0o644, mtime);
    tar.append("blobs", EntryKind::Directory, directory)?;
    tar.append("blobs/sha256", EntryKind::Directory, directory)?;
    for digest in blobs {
        let path = blob_path(root, digest);
        let bytes = fork_fs::file_bytes(&path)?;
        let mut input = HashingReader::new(fork_fs::open(&path)?);
        tar.append_data(
            &member(digest),
            EntryKind::File { bytes },
            file,
            &mut input,
            &path,
        )?;
        require(&path, "a blob", digest, &input.finish().sha256)?;
    }
    tar.append_bytes("manifest.json", file, &json)?;
    let (output, digested) = tar.finish()?.finish();
    output.commit()?;
    Ok(FileRef {
        name: target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        sha256: digested.sha256,
        bytes: digested.bytes,
    })
}

pub(crate) fn open(
    file: &Path,
    scratch: &Path,
    selection: Selection<'_>,
) -> Result<Image, PackageError> {
    let members = Members::index(&plain(file, scratch)?)?;
    let images: Vec<ArchivedImage> =
        parse_json(file, "manifest.json", &members.json("manifest.json")?)?;
    if images.len() > IMAGES_MAX {
        let problem = format!("it has {} images; the limit is {IMAGES_MAX}", images.len());
        return Err(PackageError::malformed(file, problem));
    }
    let mut fitting: Vec<(ArchivedImage, ImageConfig, Digest)> = Vec::new();
    for image in images {
        let tagged = selection.tag.is_none_or(|tag| {
            image
                .repo_tags
                .iter()
                .flatten()
                .any(|name| name == tag || name.rsplit_once(':').is_some_and(|(_, t)| t == tag))
        });
        let bytes = members.json(&image.config)?;
        let config: ImageConfig = parse_json(file, &image.config, &bytes)?;
        let right = selection
            .architecture
            .is_none_or(|wanted| config.architecture == wanted);
        if tagged && right {
            let digest = config_digest(file, &image.config, &bytes)?;
            fitting.push((image, config, digest));
        }
    }
    let (image, config, digest) = match (fitting.pop(), fitting.len()) {
        (Some(one), 0) => one,
        (found, others) => {
            let count = others + usize::from(found.is_some());
            return Err(PackageError::malformed(
                file,
                format!("it holds {count} images {}; name one", wanted(selection)),
            ));
        }
    };
    if image.layers.len() != config.rootfs.diff_ids.len() {
        return Err(PackageError::malformed(
            file,
            format!(
                "manifest.json has {} layers, the config {}",
                image.layers.len(),
                config.rootfs.diff_ids.len()
            ),
        ));
    }
    check_layers(file, image.layers.len())?;
    let layers = image
        .layers
        .iter()
        .zip(&config.rootfs.diff_ids)
        .map(|(name, diff_id)| members.layer(name, diff_id))
        .collect::<Result<_, _>>()?;
    Ok(Image {
        digest,
        config,
        layers,
    })
}

/// Hashes a config; a name that holds a digest must hold this one.
fn config_digest(file: &Path, name: &str, bytes: &[u8]) -> Result<Digest, PackageError> {
    let mut hasher = HashingWriter::new(io::sink());
    // Writing to a sink cannot fail.
    let _ = hasher.write_all(bytes);
    let sha256 = hasher.finish().1.sha256;
    let named = name.rsplit('/').next().unwrap_or(name);
    let named = named.strip_suffix(".json").unwrap_or(named);
    if let Ok(named) = format!("sha256:{named}").parse() {
        require(file, name, &named, &sha256)?;
    }
    format!("sha256:{sha256}")
        .parse()
        .map_err(|error: crate::oci::DigestError| PackageError::malformed(file, error.to_string()))
}

/// A path to the archive as a plain tar: the file itself, or an unpacked copy in `scratch`.
fn plain(file: &Path, scratch: &Path) -> Result<PathBuf, PackageError> {
    let mut input = fork_fs::open(file)?;
    let mut magic = Vec::new();
    let read_error = |source| FsError::io(Operation::Read, file, source);
    (&mut input)
        .take(ZSTD_MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .and_then(|_| input.rewind())
        .map_err(read_error)?;
    if magic == ZSTD_MAGIC {
        return Err(PackageError::unsupported(file, "zstd compression"));
    }
    if !magic.starts_with(&GZIP_MAGIC) {
        return Ok(file.to_owned());
    }
    let path = scratch.join("base.tar");
    let mut output = AtomicFile::create(&path)?;
    let bytes_max = unpacked_bytes_max(fork_fs::file_bytes(file)?);
    let mut decoder = Limited::new(gzip::decoder(BufReader::new(input)), bytes_max);
    io::copy(&mut decoder, &mut output)
        .map_err(|source| PackageError::archive(file, "the gzip stream", source))?;
    output.commit()?;
    Ok(path)
}

impl Members {
    fn index(archive: &Path) -> Result<Self, PackageError> {
        let mut tar = TarReader::seekable(fork_fs::open(archive)?, archive, "the member list");
        let mut places = BTreeMap::new();
        while let Some(entry) = tar.advance()? {
            if places.len() >= MEMBERS_MAX {
                let problem = format!("it has more than {MEMBERS_MAX} members");
                return Err(PackageError::malformed(archive, problem));
            }
            let place = match entry.kind {
                DataEntryKind::File { bytes } => Place::File {
                    offset: tar.content_position(),
                    bytes,
                },
                DataEntryKind::HardLink { target } => Place::Link(target),
                DataEntryKind::Symlink { target } => {
                    Place::Link(linked(archive, &entry.path, &target)?)
                }
                DataEntryKind::Directory | DataEntryKind::Special => continue,
            };
            places.insert(entry.path, place);
        }
        Ok(Self {
            archive: archive.to_owned(),
            places,
        })
    }

    fn find(&self, name: &str) -> Result<(u64, u64), PackageError> {
        let mut path = crate::safe_path(&self.archive, name.as_bytes())?;
        for _ in 0..LINKS_MAX {
            match self.places.get(&path) {
                Some(Place::File { offset, bytes }) => return Ok((*offset, *bytes)),
                Some(Place::Link(target)) => path.clone_from(target),
                None => break,
            }
        }
        Err(PackageError::malformed(
            &self.archive,
            format!("there is no member `{}`", name.escape_debug()),
        ))
    }

    fn open(&self, offset: u64, bytes: u64) -> Result<io::Take<File>, PackageError> {
        let mut file = fork_fs::open(&self.archive)?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|source| FsError::io(Operation::Read, &self.archive, source))?;
        Ok(file.take(bytes))
    }

    fn json(&self, name: &str) -> Result<Vec<u8>, PackageError> {
        let (offset, bytes) = self.find(name)?;
        if bytes > JSON_BYTES_MAX {
            return Err(PackageErrorKind::TooLarge {
                archive: self.archive.clone(),
                what: name.escape_debug().to_string(),
                bytes,
                bytes_max: JSON_BYTES_MAX,
            }
            .into());
        }
        let mut content = Vec::new();
        self.open(offset, bytes)?
            .read_to_end(&mut content)
            .map_err(|source| FsError::io(Operation::Read, &self.archive, source))?;
        Ok(content)
    }

    fn layer(&self, name: &str, diff_id: &Digest) -> Result<LayerSource, PackageError> {
        let (offset, bytes) = self.find(name)?;
        let mut magic = Vec::new();
        self.open(offset, bytes.min(ZSTD_MAGIC.len() as u64))?
            .read_to_end(&mut magic)
            .map_err(|source| FsError::io(Operation::Read, &self.archive, source))?;
        if magic == ZSTD_MAGIC {
            return Err(PackageError::unsupported(&self.archive, "zstd layers"));
        }
        Ok(LayerSource {
            path: self.archive.clone(),
            offset,
            bytes,
            compression: if magic.starts_with(&GZIP_MAGIC) {
                Compression::Gzip
            } else {
                Compression::None
            },
            digest: None,
            diff_id: diff_id.clone(),
        })
    }
}

/// Resolves the text of a symbolic link at `path` inside the archive.
fn linked(archive: &Path, path: &str, target: &str) -> Result<String, PackageError> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_some() => {}
            ".." => {
                return Err(PackageErrorKind::UnsafePath {
                    archive: archive.to_owned(),
                    member: format!("{path} -> {target}"),
                }
                .into());
            }
            plain => parts.push(plain),
        }
    }
    crate::safe_path(archive, parts.join("/").as_bytes())
}
