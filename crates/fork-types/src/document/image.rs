//! What `package-image` writes.

use serde::{Deserialize, Serialize};

use super::{Document, FileRef, PackagedFile};

/// `image.json`: a container image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDocument {
    /// `forkpack.image`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Digest of the image manifest, `sha256:…`.
    pub manifest_digest: String,
    /// Digest of the image config, `sha256:…`.
    pub config_digest: String,
    /// Tag the image carries in its index.
    pub tag: String,
    /// That tag with the beginning of the manifest digest behind it: no other image can have it.
    /// Empty in version 1.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unique_tag: String,
    /// Kind and digest of the base.
    pub base: ImageBase,
    /// Digest of the compressed layer that holds the package, `sha256:…`.
    pub package_layer_digest: String,
    /// The package inside.
    pub deb: FileRef,
    /// Docker archive written beside the layout, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_archive: Option<FileRef>,
    /// Files of the package as they lie in the image.
    pub contents: Vec<PackagedFile>,
    /// What is attached to the image; nothing in version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<ImageAttachment>,
    /// Repeated from the package document.
    pub sources_verified: bool,
}
document!(ImageDocument, "forkpack.image", 2, "image.json");

/// A file that is attached to an image: a manifest of its own names the image as its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageAttachment {
    /// Media type of the file, such as `application/spdx+json`.
    pub artifact_type: String,
    /// Digest of the attachment's manifest, `sha256:…`.
    pub manifest_digest: String,
    /// Digest of the file, `sha256:…`.
    pub digest: String,
    /// Size of the file in bytes.
    pub bytes: u64,
}

/// What an image was built on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageBase {
    /// `oci`, `docker-archive`, `rootfs` or `registry`.
    pub kind: String,
    /// Where it came from, of a registry: name, tag if one was given, and the digest of what that
    /// named (of an index, when it is one of several architectures).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Manifest digest of the base, or of the layer made from a root file system.
    pub digest: String,
    /// Operating system as the base says it (`PRETTY_NAME`), if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
}
