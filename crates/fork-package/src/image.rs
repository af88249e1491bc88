//! Images read from OCI layouts and docker archives.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fork_fs::{FsError, HashingReader, Operation};
use serde::de::DeserializeOwned;

use crate::docker_archive;
use crate::error::{PackageError, PackageErrorKind};
use crate::gzip;
use crate::limit::{Limited, UNPACKED_BYTES_MAX, unpacked_bytes_max};
use crate::oci::{self, Descriptor, Digest, ImageConfig, Index, Manifest};
use crate::tar_reader::{DataEntry, TarReader};

/// Largest JSON blob read, in bytes. Configs of images with a hundred layers have 50 kB. As values it
/// may take eighty times its size in memory.
pub const JSON_BYTES_MAX: u64 = 2 << 20;
/// Indexes inside indexes followed; `docker buildx` makes two levels.
pub const INDEX_DEPTH_MAX: usize = 4;
/// Most layers; the kernel's overlay file system stacks at most 500, Docker 127.
pub const LAYERS_MAX: usize = 500;

/// Which image of several to take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Tag or reference.
    pub tag: Option<&'a str>,
    /// `amd64`, `arm64`, ….
    pub architecture: Option<&'a str>,
}

impl Selection<'_> {
    /// The one image that is meant among the entries of an index, by architecture; the tag is not
    /// looked at. What is attached to images is none.
    ///
    /// # Errors
    ///
    /// Fails with the problem when not exactly one is left.
    pub fn choose(&self, candidates: Vec<Descriptor>) -> Result<Descriptor, String> {
        let of_platform = |one: &Descriptor| match (&one.platform, self.architecture) {
            (Some(platform), Some(wanted)) => platform.architecture == wanted,
            // buildx puts attestations beside the images, as manifests of platform `unknown`.
            (Some(platform), None) => platform.architecture != "unknown",
            (None, _) => true,
        };
        let mut fitting: Vec<Descriptor> = candidates
            .into_iter()
            .filter(|one| !one.is_artifact() && of_platform(one))
            .collect();
        fitting.dedup_by(|a, b| a.digest == b.digest);
        match (fitting.pop(), fitting.len()) {
            (Some(one), 0) => Ok(one),
            (None, _) => Err(format!("it holds no image {}", wanted(*self))),
            (Some(_), others) => Err(format!(
                "it holds {} images {}; name one",
                others + 1,
                wanted(*self)
            )),
        }
    }
}

/// Compression of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar.
    None,
    /// Gzip.
    Gzip,
}

impl Compression {
    /// The compression that a layer's media type names; `None` for what is not read here, such as
    /// zstd, encrypted layers and layers that lie elsewhere.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            oci::LAYER | oci::DOCKER_LAYER => Some(Self::None),
            oci::LAYER_GZIP | oci::DOCKER_LAYER_GZIP => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// Where a layer lies, and what it must hash to.
#[derive(Clone, Debug)]
pub struct LayerSource {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) compression: Compression,
    /// Digest of the bytes as they lie there, where the format names one.
    pub(crate) digest: Option<Digest>,
    /// Digest of the uncompressed tar.
    pub(crate) diff_id: Digest,
}

/// An image: its config and where its layers lie.
#[derive(Clone, Debug)]
pub struct Image {
    /// Manifest digest; for a docker archive, which has no manifest, the config's (the image id).
    pub digest: Digest,
    /// Config.
    pub config: ImageConfig,
    /// Layers, lowest first.
    pub layers: Vec<LayerSource>,
}

impl LayerSource {
    /// A layer that is a file of its own.
    #[must_use]
    pub fn file(
        path: PathBuf,
        bytes: u64,
        compression: Compression,
        digest: Option<Digest>,
        diff_id: Digest,
    ) -> Self {
        Self {
            path,
            offset: 0,
            bytes,
            compression,
            digest,
            diff_id,
        }
    }

    /// Compression of the bytes as they lie there.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Digest of the uncompressed tar.
    #[must_use]
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// The file that holds the layer, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes as they lie there.
    pub(crate) fn open_raw(&self) -> Result<impl Read + use<>, PackageError> {
        let mut file = fork_fs::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))
            .map_err(|source| FsError::io(Operation::Read, &self.path, source))?;
        Ok(BufReader::with_capacity(1 << 18, file.take(self.bytes)))
    }

    /// The uncompressed tar.
    pub(crate) fn open_tar(&self) -> Result<Box<dyn Read>, PackageError> {
        let raw = self.open_raw()?;
        Ok(match self.compression {
            Compression::None => Box::new(raw),
            Compression::Gzip => Box::new(gzip::decoder(raw)),
        })
    }

    /// Streams the entries of the layer, and proves at the end that it is the layer the config
    /// names.
    ///
    /// # Errors
    ///
    /// Fails on damaged or hostile archives, on another digest than the config's, and with
    /// whatever `each` fails with.
    pub fn read_entries(
        &self,
        mut each: impl FnMut(DataEntry, &mut dyn Read) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        const WHAT: &str = "a layer";
        let error = |source| PackageError::archive(&self.path, WHAT, source);
        let bytes_max = match self.compression {
            Compression::None => UNPACKED_BYTES_MAX,
            Compression::Gzip => unpacked_bytes_max(self.bytes),
        };
        let mut stream = HashingReader::new(Limited::new(self.open_tar()?, bytes_max));
        let mut tar = TarReader::new(&mut stream, &self.path, WHAT);
        while let Some(entry) = tar.advance()? {
            each(entry, &mut tar.content())?;
        }
        io::copy(&mut stream, &mut io::sink()).map_err(error)?;
        self.require_diff_id(&stream.finish().sha256)
    }

    pub(crate) fn require_diff_id(&self, sha256: &str) -> Result<(), PackageError> {
        require(&self.path, "a layer (uncompressed)", &self.diff_id, sha256)
    }
}

pub(crate) fn require(
    archive: &Path,
    what: &str,
    expected: &Digest,
    sha256: &str,
) -> Result<(), PackageError> {
    if expected.hex() == sha256 {
        return Ok(());
    }
    Err(PackageErrorKind::Digest {
        archive: archive.to_owned(),
        what: what.to_owned(),
        expected: expected.to_string(),
        found: format!("sha256:{sha256}"),
    }
    .into())
}

pub(crate) fn parse_json<T: DeserializeOwned>(
    archive: &Path,
    what: &str,
    bytes: &[u8],
) -> Result<T, PackageError> {
    serde_json::from_slice(bytes).map_err(|source| {
        PackageErrorKind::Json {
            archive: archive.to_owned(),
            what: what.to_owned(),
            source,
        }
        .into()
    })
}

impl Image {
    /// Reads an image from an OCI layout directory. Layer contents are checked when they are read.
    ///
    /// # Errors
    ///
    /// Fails when the directory is no layout, when it holds several images and the selection does
    /// not leave one, on digests that do not match, and on layers that are neither plain nor gzip.
    pub fn open_layout(directory: &Path, selection: Selection<'_>) -> Result<Self, PackageError> {
        fork_fs::read_limited(&directory.join("oci-layout"), JSON_BYTES_MAX)?;
        let bytes = fork_fs::read_limited(&directory.join("index.json"), JSON_BYTES_MAX)?;
        let index: Index = parse_json(directory, "index.json", &bytes)?;
        let candidates = tagged(index.manifests, selection);
        let descriptor = resolve(directory, candidates, selection, 0)?;
        let manifest: Manifest = read_blob(directory, "manifest", &descriptor)?;
        let config: ImageConfig = read_blob(directory, "config", &manifest.config)?;
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            return Err(PackageError::malformed(
                directory,
                format!(
                    "the manifest has {} layers, the config {}",
                    manifest.layers.len(),
                    config.rootfs.diff_ids.len()
                ),
            ));
        }
        check_layers(directory, manifest.layers.len())?;
        let layers = manifest
            .layers
            .into_iter()
            .zip(&config.rootfs.diff_ids)
            .map(|(layer, diff_id)| layer_source(directory, layer, diff_id))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            digest: descriptor.digest,
            config,
            layers,
        })
    }

    /// Reads an image from the output of `docker save`, older or OCI-style, plain or gzipped. A
    /// gzipped one is unpacked to an unnamed temporary file's worth of space in `scratch`.
    ///
    /// # Errors
    ///
    /// As [`Image::open_layout`].
    pub fn open_docker_archive(
        file: &Path,
        scratch: &Path,
        selection: Selection<'_>,
    ) -> Result<Self, PackageError> {
        docker_archive::open(file, scratch, selection)
    }
}

/// The same layer may be named any number of times, and each time is read.
pub(crate) fn check_layers(archive: &Path, count: usize) -> Result<(), PackageError> {
    if count <= LAYERS_MAX {
        return Ok(());
    }
    Err(PackageError::malformed(
        archive,
        format!("the image has {count} layers; the limit is {LAYERS_MAX}"),
    ))
}

fn layer_source(
    directory: &Path,
    layer: Descriptor,
    diff_id: &Digest,
) -> Result<LayerSource, PackageError> {
    let compression = Compression::of(&layer.media_type).ok_or_else(|| {
        let feature = format!("layer type {}", layer.media_type.escape_debug());
        PackageError::unsupported(directory, feature)
    })?;
    let path = blob_path(directory, &layer.digest);
    let bytes = fork_fs::file_bytes(&path)?;
    if bytes != layer.size {
        return Err(PackageErrorKind::SizeChanged {
            path,
            expected: layer.size,
            found: bytes,
        }
        .into());
    }
    Ok(LayerSource::file(
        path,
        bytes,
        compression,
        Some(layer.digest),
        diff_id.clone(),
    ))
}

/// Where a layout keeps a blob.
#[must_use]
pub fn blob_path(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("blobs").join("sha256").join(digest.hex())
}

/// The entries with the tag that is wanted, or all.
pub(crate) fn tagged(mut entries: Vec<Descriptor>, selection: Selection<'_>) -> Vec<Descriptor> {
    if let Some(tag) = selection.tag {
        let is_it = |one: &Descriptor| one.annotations.get(oci::REF_NAME).is_some_and(|n| n == tag);
        entries.retain(is_it);
    }
    entries
}

fn read_blob<T: DeserializeOwned>(
    directory: &Path,
    what: &str,
    descriptor: &Descriptor,
) -> Result<T, PackageError> {
    parse_json(directory, what, &read_bytes(directory, what, descriptor)?)
}

/// A small blob whose digest was checked.
pub(crate) fn read_bytes(
    directory: &Path,
    what: &str,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, PackageError> {
    let bytes = fork_fs::read_limited(&blob_path(directory, &descriptor.digest), JSON_BYTES_MAX)?;
    let mut reader = HashingReader::new(bytes.as_slice());
    // Reading from memory cannot fail.
    let _ = io::copy(&mut reader, &mut io::sink());
    require(directory, what, &descriptor.digest, &reader.finish().sha256)?;
    Ok(bytes)
}

/// Picks the one manifest that is meant, following indexes.
pub(crate) fn resolve(
    directory: &Path,
    candidates: Vec<Descriptor>,
    selection: Selection<'_>,
    depth: usize,
) -> Result<Descriptor, PackageError> {
    let one = selection
        .choose(candidates)
        .map_err(|problem| PackageError::malformed(directory, problem))?;
    match one.media_type.as_str() {
        oci::MANIFEST | oci::DOCKER_MANIFEST => Ok(one),
        oci::INDEX | oci::DOCKER_INDEX if depth < INDEX_DEPTH_MAX => {
            let index: Index = read_blob(directory, "index", &one)?;
            resolve(directory, index.manifests, selection, depth + 1)
        }
        other => Err(PackageError::unsupported(
            directory,
            format!("a manifest of type {}", other.escape_debug()),
        )),
    }
}

/// A selection in words.
pub(crate) fn wanted(selection: Selection<'_>) -> String {
    format!(
        "with tag {} for architecture {}",
        selection.tag.unwrap_or("any"),
        selection.architecture.unwrap_or("any")
    )
}
