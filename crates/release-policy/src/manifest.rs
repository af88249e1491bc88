//! What is released: names, versions and digests, signed before anything is decided.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{Commit, Digest, Time};
use crate::version::next::ChangeKind;

/// The signed manifest of one release, as it is now. A later one replaces it: a final tag on the
/// commit of the candidate, the next build after a failed deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Manifest {
    /// Name of the release; it never changes.
    pub release_id: String,
    /// One of the policy's kinds.
    pub kind: String,
    /// Version the release starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Its version, in the policy's grammar.
    pub version: String,
    /// Its git tag. `None` where the process has no tag yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The commit it was built from.
    pub commit: Commit,
    /// When it was built (the release cut).
    pub built_at: Time,
    /// Its files and images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifact: Vec<Artifact>,
    /// `git patch-id --stable` of every fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fix_set: Vec<String>,
    /// Names of its features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature: Vec<String>,
    /// What its changes do to users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change_kinds: Vec<ChangeKind>,
    /// Name of the hard fork, for a release with a change of the L2 protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork_name: Option<String>,
}

/// A file, package or image of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// File name, or name of the image.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// SHA-256 of the file, or the digest of the image's manifest.
    pub digest: Digest,
    /// SHA-256 of the uncompressed `data.tar` of a Debian package, which re-versioning leaves alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Digest>,
    /// Bytes.
    pub size: u64,
    /// What it is for: `linux-x64`, `windows-x64`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Files within it that the policy compares, by name: `config`, `ledger-genesis`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inside: BTreeMap<String, Digest>,
}

/// What the caller found when it read an artifact at promotion time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// SHA-256 of the file, or the digest of the image's manifest.
    pub digest: Digest,
    /// SHA-256 of the uncompressed `data.tar`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Digest>,
    /// Files within it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inside: BTreeMap<String, Digest>,
}
