//! What is attached to an image: the list of what is in it, and how it came to be.

use std::collections::BTreeMap;

use fork_fs::{FsError, Operation};
use fork_package::LayoutWriter;
use fork_package::oci::{Descriptor, Digest};
use fork_types::document::{ImageAttachment, ImageBase};

use crate::dpkg::Database;
use crate::error::ImageError;
use crate::payload::Payload;
use crate::{provenance, sbom};

/// Annotation with the time of an attachment (OCI image specification).
const CREATED: &str = "org.opencontainers.image.created";
/// Annotation with the predicate of an attached statement, which tools look for.
const PREDICATE: &str = "in-toto.io/predicate-type";

/// What is known of an image once its manifest is written.
pub struct Facts<'a> {
    /// The package inside.
    pub payload: &'a Payload,
    /// dpkg's database in the base.
    pub database: &'a Database<'a>,
    /// The base.
    pub base: &'a ImageBase,
    /// Digest of the base.
    pub base_digest: &'a Digest,
    /// `amd64`, `arm64`, ….
    pub architecture: &'a str,
    /// Digest of the image's manifest.
    pub manifest_digest: &'a Digest,
    /// Time of the image, seconds since 1970.
    pub seconds: u64,
    /// The same, as RFC 3339.
    pub created: &'a str,
}

/// Attaches what describes the image; the entries for the index, and what the document says of them.
///
/// # Errors
///
/// Fails when the base's data is not understood, and when the disk refuses.
pub fn attach(
    layout: &LayoutWriter,
    image: &Descriptor,
    facts: &Facts<'_>,
) -> Result<(Vec<Descriptor>, Vec<ImageAttachment>), ImageError> {
    let no_json = |source: serde_json::Error| {
        FsError::io(
            Operation::Write,
            std::path::Path::new("attachment"),
            source.into(),
        )
    };
    let sbom = sbom::document(facts)?;
    let sbom = serde_json::to_vec(&sbom).map_err(no_json)?;
    let statement = provenance::statement(facts).map_err(no_json)?;
    let mut entries = Vec::new();
    let mut attachments = Vec::new();
    for (kind, content, predicate) in [
        (sbom::MEDIA_TYPE, sbom, None),
        (
            provenance::MEDIA_TYPE,
            statement,
            Some(provenance::PREDICATE_TYPE),
        ),
    ] {
        let mut annotations = BTreeMap::from([(CREATED.to_owned(), facts.created.to_owned())]);
        annotations.extend(predicate.map(|value| (PREDICATE.to_owned(), value.to_owned())));
        let (entry, file) = layout.put_attachment(image, kind, &content, annotations)?;
        attachments.push(ImageAttachment {
            artifact_type: kind.to_owned(),
            manifest_digest: entry.digest.to_string(),
            digest: file.digest.to_string(),
            bytes: file.size,
        });
        entries.push(entry);
    }
    Ok((entries, attachments))
}
