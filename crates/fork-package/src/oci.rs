//! The JSON of OCI images: index, manifest, config.
//!
//! Source: OCI image specification 1.1. Members that are not named here are kept as they are, so
//! that a base image loses nothing (Docker's `Healthcheck`, for one, is no OCI member).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image config.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer, uncompressed.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a layer, gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Docker's older name of [`INDEX`].
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's older name of [`MANIFEST`].
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's older name of [`LAYER_GZIP`].
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's older name of [`LAYER`].
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Annotation that holds a tag in an index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Media type of the config of a manifest that is no image: `{}`.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Content of the file `oci-layout`.
pub const LAYOUT_FILE: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

/// A text that is not a SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not `sha256:` and 64 lower-case hexadecimal digits")]
pub struct DigestError {
    found: String,
}

/// `sha256:` and 64 lower-case hexadecimal digits. Other algorithms exist; nobody uses them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    const PREFIX: &'static str = "sha256:";

    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = fork_fs::HashingWriter::new(std::io::sink());
        // Writing to a sink cannot fail.
        let _ = std::io::Write::write_all(&mut hasher, bytes);
        Self(format!("{}{}", Self::PREFIX, hasher.finish().1.sha256))
    }

    /// The hexadecimal part, which is also the name of the blob.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[Self::PREFIX.len()..]
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let is_digest = text.strip_prefix(Self::PREFIX).is_some_and(|hex| {
            hex.len() == 64
                && hex
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        if is_digest {
            Ok(Self(text.to_owned()))
        } else {
            Err(DigestError {
                found: text.chars().take(80).collect(),
            })
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Names a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type.
    pub media_type: String,
    /// Digest.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// What the manifest holds when it is no image, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor without platform and annotations.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Whether it says that it is no image but something attached to one.
    #[must_use]
    pub fn is_artifact(&self) -> bool {
        // Some tools repeat the type of an image's config there.
        self.artifact_type.as_deref().is_some_and(|t| t != CONFIG)
    }
}

/// What an image runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, ….
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v8`, `os.version`, ….
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `index.json`, or an index blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// [`INDEX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Manifests or further indexes.
    pub manifests: Vec<Descriptor>,
}

/// An image manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// [`MANIFEST`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it holds when it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config blob.
    pub config: Descriptor,
    /// Layer blobs, lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339 time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// `amd64`, `arm64`, ….
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `Env`, `Entrypoint`, `Cmd`, `Labels`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    /// Layers by the digest of their uncompressed tar.
    pub rootfs: RootFs,
    /// How each layer came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<History>>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `rootfs` of a config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
}

/// One step of a config's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339 time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_layer: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ImageConfig {
    /// A config without layers.
    #[must_use]
    pub fn empty(architecture: &str) -> Self {
        Self {
            created: None,
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            config: None,
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: Vec::new(),
            },
            history: None,
            other: Map::new(),
        }
    }

    /// Records a layer on top. A history is only continued when it accounts for every layer below;
    /// a partial one would be read as belonging to other layers.
    pub fn push_layer(&mut self, diff_id: Digest, history: History) {
        let steps = self.history.get_or_insert_default();
        let made = steps
            .iter()
            .filter(|step| step.empty_layer != Some(true))
            .count();
        if made == self.rootfs.diff_ids.len() {
            steps.push(history);
        }
        if steps.is_empty() {
            self.history = None;
        }
        self.rootfs.diff_ids.push(diff_id);
    }

    /// Sets a label, keeping the others.
    pub fn set_label(&mut self, name: &str, value: &str) {
        let config = self.config.get_or_insert_default();
        let labels = config.entry("Labels").or_insert(Value::Null);
        if !labels.is_object() {
            *labels = Value::Object(Map::new());
        }
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_keeps_what_it_does_not_know() {
        let text = r#"{"architecture":"arm64","os":"linux","variant":"v8","config":{"Cmd":["x"],"Healthcheck":{"Test":["y"]}},"rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"z","comment":"c","empty_layer":true}]}"#;
        let mut config: ImageConfig = serde_json::from_str(text).unwrap();
        config.set_label("a", "b");
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        config.push_layer(digest.clone(), History::default());
        let value = serde_json::to_value(&config).unwrap();
        assert_eq!(value["variant"], "v8");
        assert_eq!(value["config"]["Healthcheck"]["Test"][0], "y");
        assert_eq!(value["config"]["Labels"]["a"], "b");
        assert_eq!(value["history"].as_array().unwrap().len(), 2);
        config.history = Some(Vec::new());
        config.push_layer(digest, History::default());
        assert_eq!(config.history, None);
        assert_eq!(config.rootfs.diff_ids.len(), 2);
    }

    #[test]
    fn digests_are_checked() {
        assert!(
            format!("sha256:{}", "a".repeat(64))
                .parse::<Digest>()
                .is_ok()
        );
        for text in ["", "sha256:", "sha512:00", "sha256:../../etc"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        assert!(
            format!("sha256:{}", "A".repeat(64))
                .parse::<Digest>()
                .is_err()
        );
    }
}
