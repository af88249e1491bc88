//! What a layout holds of one image, byte for byte.

use std::path::Path;

use crate::error::PackageError;
use crate::image::{self, JSON_BYTES_MAX, Selection};
use crate::oci::{Descriptor, Index, Manifest};

/// Most attachments of one image that are looked at.
const ATTACHMENTS_MAX: usize = 100;

/// A manifest as it lies in a layout.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    /// Its entry in the index.
    pub descriptor: Descriptor,
    /// Its bytes, whose digest was checked.
    pub bytes: Vec<u8>,
    /// What they say.
    pub manifest: Manifest,
}

/// An image in a layout, and what is attached to it.
#[derive(Clone, Debug)]
pub struct StoredImage {
    /// The image's manifest.
    pub image: StoredManifest,
    /// Manifests in the layout whose subject is the image, in the order of the index.
    pub attachments: Vec<StoredManifest>,
}

impl StoredImage {
    /// Reads the manifests. The blobs they name are not looked at.
    ///
    /// # Errors
    ///
    /// Fails when the directory is no layout, when it holds several images and the selection does not
    /// leave one, and on digests that do not match.
    pub fn open(directory: &Path, selection: Selection<'_>) -> Result<Self, PackageError> {
        fork_fs::read_limited(&directory.join("oci-layout"), JSON_BYTES_MAX)?;
        let bytes = fork_fs::read_limited(&directory.join("index.json"), JSON_BYTES_MAX)?;
        let index: Index = image::parse_json(directory, "index.json", &bytes)?;
        let (artifacts, images): (Vec<_>, Vec<_>) = index
            .manifests
            .into_iter()
            .partition(Descriptor::is_artifact);
        let images = image::tagged(images, selection);
        let chosen = image::resolve(directory, images, selection, 0)?;
        let image = read(directory, chosen)?;
        if artifacts.len() > ATTACHMENTS_MAX {
            let problem = format!(
                "it has {} attachments; the limit is {ATTACHMENTS_MAX}",
                artifacts.len()
            );
            return Err(PackageError::malformed(directory, problem));
        }
        let mut attachments = Vec::new();
        for descriptor in artifacts {
            let one = read(directory, descriptor)?;
            let subject = one.manifest.subject.as_ref();
            if subject.is_some_and(|subject| subject.digest == image.descriptor.digest) {
                attachments.push(one);
            }
        }
        Ok(Self { image, attachments })
    }
}

fn read(directory: &Path, descriptor: Descriptor) -> Result<StoredManifest, PackageError> {
    let bytes = image::read_bytes(directory, "manifest", &descriptor)?;
    let manifest: Manifest = image::parse_json(directory, "manifest", &bytes)?;
    image::check_layers(directory, manifest.layers.len())?;
    Ok(StoredManifest {
        descriptor,
        bytes,
        manifest,
    })
}
