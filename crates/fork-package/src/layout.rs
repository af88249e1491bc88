//! Writes OCI image layouts.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fork_compress::Encoder;
use fork_fs::{AtomicFile, Digested, FsError, HashingReader, HashingWriter, Operation};
use serde::Serialize;

use crate::error::PackageError;
use crate::gzip;
use crate::image::{Compression, LayerSource, blob_path, require};
use crate::oci::{self, Descriptor, Digest, ImageConfig, Index, Manifest, Platform};
use crate::tar_writer::{NameStyle, TarWriter};

/// The tar of a layer while it is written.
pub type LayerTar = TarWriter<HashingWriter<Encoder<HashingWriter<AtomicFile>>>>;

/// A layer that lies in a layout.
#[derive(Clone, Debug)]
pub struct WrittenLayer {
    /// The blob.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
}

/// An OCI layout while it is being filled.
#[derive(Debug)]
pub struct LayoutWriter {
    root: PathBuf,
}

impl LayoutWriter {
    /// Starts a layout in an existing directory.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be written to.
    pub fn create(root: &Path) -> Result<Self, PackageError> {
        fork_fs::create_dir_all(&root.join("blobs").join("sha256"))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The layer as it lies in this layout.
    #[must_use]
    pub fn source(&self, layer: &WrittenLayer) -> LayerSource {
        LayerSource::file(
            blob_path(&self.root, &layer.descriptor.digest),
            layer.descriptor.size,
            if layer.descriptor.media_type == oci::LAYER {
                Compression::None
            } else {
                Compression::Gzip
            },
            Some(layer.descriptor.digest.clone()),
            layer.diff_id.clone(),
        )
    }

    /// Writes a layer: `fill` appends its entries.
    ///
    /// # Errors
    ///
    /// Fails with whatever `fill` fails with, and when the disk refuses.
    pub fn put_layer<E: From<PackageError>>(
        &self,
        fill: impl FnOnce(&mut LayerTar) -> Result<(), E>,
    ) -> Result<WrittenLayer, E> {
        let blob = self.new_blob()?;
        let label = blob.target().to_owned();
        let encoder = gzip::encoder(HashingWriter::new(blob));
        let mut tar = TarWriter::new(HashingWriter::new(encoder), NameStyle::Layer, &label);
        fill(&mut tar)?;
        let (encoder, uncompressed) = tar.finish()?.finish();
        let (blob, compressed) = encoder
            .finish()
            .map_err(|source| PackageError::from(FsError::io(Operation::Write, &label, source)))?
            .finish();
        let diff_id = self.digest(&uncompressed)?;
        let descriptor = self.commit(blob, &compressed, oci::LAYER_GZIP)?;
        Ok(WrittenLayer {
            descriptor,
            diff_id,
        })
    }

    /// Copies a layer of another image: as it is when it is compressed, compressed when it is not.
    ///
    /// # Errors
    ///
    /// Fails when the bytes are not those the other image names, and when reading or writing fails.
    pub fn copy_layer(&self, layer: &LayerSource) -> Result<WrittenLayer, PackageError> {
        let mut blob = HashingWriter::new(self.new_blob()?);
        match layer.compression {
            Compression::Gzip => {
                let mut input = layer.open_raw()?;
                self.copy(layer, &mut input, &mut blob)?;
            }
            Compression::None => {
                let mut input = HashingReader::new(layer.open_raw()?);
                let mut encoder = gzip::encoder(blob);
                self.copy(layer, &mut input, &mut encoder)?;
                layer.require_diff_id(&input.finish().sha256)?;
                blob = encoder
                    .finish()
                    .map_err(|source| FsError::io(Operation::Write, &self.root, source))?;
            }
        }
        let (blob, compressed) = blob.finish();
        if let (Compression::Gzip, Some(digest)) = (layer.compression, &layer.digest) {
            require(&layer.path, "a layer", digest, &compressed.sha256)?;
        }
        Ok(WrittenLayer {
            descriptor: self.commit(blob, &compressed, oci::LAYER_GZIP)?,
            diff_id: layer.diff_id.clone(),
        })
    }

    /// Writes config, manifest and index, which makes the layout complete; returns the manifest
    /// with its descriptor.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn finish(
        self,
        config: &ImageConfig,
        layers: &[WrittenLayer],
        tag: &str,
    ) -> Result<(Manifest, Descriptor), PackageError> {
        let (manifest, descriptor) = self.put_manifest(config, layers, tag)?;
        self.put_index(vec![descriptor.clone()])?;
        Ok((manifest, descriptor))
    }

    /// Writes config and manifest; returns the manifest and the entry that the index is to have for
    /// it. [`Self::put_index`] makes the layout complete.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn put_manifest(
        &self,
        config: &ImageConfig,
        layers: &[WrittenLayer],
        tag: &str,
    ) -> Result<(Manifest, Descriptor), PackageError> {
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(oci::MANIFEST.to_owned()),
            artifact_type: None,
            config: self.put_json(config, oci::CONFIG)?,
            layers: layers
                .iter()
                .map(|layer| layer.descriptor.clone())
                .collect(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let mut descriptor = self.put_json(&manifest, oci::MANIFEST)?;
        descriptor.platform = Some(Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            other: config
                .other
                .get("variant")
                .map(|variant| ("variant".to_owned(), variant.clone()))
                .into_iter()
                .collect(),
        });
        descriptor
            .annotations
            .insert(oci::REF_NAME.to_owned(), tag.to_owned());
        Ok((manifest, descriptor))
    }

    /// Attaches a file to a manifest: a manifest of its own that names the other as its subject (OCI
    /// image specification 1.1). Returns the entry that the index is to have for it, and the file's
    /// descriptor.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn put_attachment(
        &self,
        subject: &Descriptor,
        artifact_type: &str,
        content: &[u8],
        annotations: BTreeMap<String, String>,
    ) -> Result<(Descriptor, Descriptor), PackageError> {
        let file = self.put_bytes(content, artifact_type)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(oci::MANIFEST.to_owned()),
            artifact_type: Some(artifact_type.to_owned()),
            config: self.put_bytes(b"{}", oci::EMPTY)?,
            layers: vec![file.clone()],
            subject: Some(Descriptor::new(
                &subject.media_type,
                subject.digest.clone(),
                subject.size,
            )),
            annotations: annotations.clone(),
        };
        let mut descriptor = self.put_json(&manifest, oci::MANIFEST)?;
        descriptor.artifact_type = manifest.artifact_type;
        descriptor.annotations = annotations;
        Ok((descriptor, file))
    }

    /// Writes the index, which makes the layout complete.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn put_index(self, manifests: Vec<Descriptor>) -> Result<(), PackageError> {
        let index = Index {
            schema_version: 2,
            media_type: Some(oci::INDEX.to_owned()),
            manifests,
        };
        let index = self.json(&index)?;
        fork_fs::write_atomic(&self.root.join("index.json"), &index)?;
        fork_fs::write_atomic(&self.root.join("oci-layout"), oci::LAYOUT_FILE.as_bytes())?;
        Ok(())
    }

    fn new_blob(&self) -> Result<AtomicFile, PackageError> {
        Ok(AtomicFile::create(
            &self.root.join("blobs").join("sha256").join("new"),
        )?)
    }

    fn digest(&self, digested: &Digested) -> Result<Digest, PackageError> {
        format!("sha256:{}", digested.sha256)
            .parse()
            .map_err(|error: oci::DigestError| {
                PackageError::malformed(&self.root, error.to_string())
            })
    }

    fn commit(
        &self,
        mut blob: AtomicFile,
        digested: &Digested,
        media_type: &str,
    ) -> Result<Descriptor, PackageError> {
        let digest = self.digest(digested)?;
        blob.retarget(&blob_path(&self.root, &digest));
        blob.commit()?;
        Ok(Descriptor::new(media_type, digest, digested.bytes))
    }

    fn json(&self, value: &impl Serialize) -> Result<Vec<u8>, PackageError> {
        serde_json::to_vec(value)
            .map_err(|source| FsError::io(Operation::Write, &self.root, source.into()).into())
    }

    fn put_json(
        &self,
        value: &impl Serialize,
        media_type: &str,
    ) -> Result<Descriptor, PackageError> {
        self.put_bytes(&self.json(value)?, media_type)
    }

    fn put_bytes(&self, bytes: &[u8], media_type: &str) -> Result<Descriptor, PackageError> {
        let mut blob = HashingWriter::new(self.new_blob()?);
        blob.write_all(bytes)
            .map_err(|source| FsError::io(Operation::Write, &self.root, source))?;
        let (blob, digested) = blob.finish();
        self.commit(blob, &digested, media_type)
    }

    fn copy(
        &self,
        layer: &LayerSource,
        input: &mut impl Read,
        output: &mut impl Write,
    ) -> Result<(), PackageError> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => output
                    .write_all(&buffer[..count])
                    .map_err(|source| FsError::io(Operation::Write, &self.root, source))?,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(FsError::io(Operation::Read, &layer.path, source).into());
                }
            }
        }
    }
}
