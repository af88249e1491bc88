//! Copies an image from a layout into a registry, and gives it tags.

use std::collections::BTreeSet;
use std::path::Path;

use fork_package::oci::{self, Descriptor, Digest, Index};
use fork_package::{JSON_BYTES_MAX, Selection, StoredImage, StoredManifest, blob_path};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Method, StatusCode};

use super::error::{RegistryError, RegistryTrouble};
use super::http::{Call, Connection, Failure, Load, Right, refusal};
use super::manifest::{self, Found, named, parse};
use super::pull::{referrers_tag, required};
use super::reference::ImageReference;

/// What to push.
#[derive(Clone, Debug)]
pub struct Push<'a> {
    /// The layout.
    pub layout: &'a Path,
    /// Which image of several in it.
    pub selection: Selection<'a>,
    /// Name in the registry.
    pub repository: &'a str,
    /// Tags, in the order in which they are set.
    pub tags: &'a [String],
}

/// How a registry keeps what is attached to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// It has a list of its own.
    Api,
    /// In an index under the tag `sha256-<digest>`.
    Tag,
}

/// What became of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// What it named before.
    pub before: Option<Digest>,
}

/// An image that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<Tagged>,
    /// Digests of the attachments' manifests.
    pub attachments: Vec<Digest>,
    /// How the registry keeps them; `None` when there are none.
    pub referrers: Option<Referrers>,
    /// Blobs that were sent.
    pub blobs_sent: usize,
    /// Blobs that were there.
    pub blobs_present: usize,
    /// Bytes of the blobs that were sent.
    pub bytes_sent: u64,
}

pub(super) async fn push(
    connection: &Connection,
    push: &Push<'_>,
    note: &dyn Fn(&str),
) -> Result<Pushed, RegistryError> {
    let stored = StoredImage::open(push.layout, push.selection)?;
    let digest = stored.image.descriptor.digest.clone();
    let repository = push.repository;
    for tag in push.tags {
        current(connection, repository, tag, &digest, None).await?;
    }

    let mut pushed = Pushed {
        digest: digest.clone(),
        tags: Vec::new(),
        attachments: Vec::new(),
        referrers: None,
        blobs_sent: 0,
        blobs_present: 0,
        bytes_sent: 0,
    };
    let mut done = BTreeSet::new();
    for stored in std::iter::once(&stored.image).chain(&stored.attachments) {
        let manifest = &stored.manifest;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            if !done.insert(blob.digest.clone()) {
                continue;
            }
            if is_there(connection, repository, blob).await? {
                pushed.blobs_present += 1;
                continue;
            }
            note(&format!("pushing {} ({} bytes)", blob.digest, blob.size));
            send(connection, repository, blob, push.layout).await?;
            pushed.blobs_sent += 1;
            pushed.bytes_sent += blob.size;
        }
    }
    let image = found(&stored.image);
    manifest::put(connection, repository, &digest.to_string(), &image).await?;

    let mut unlisted = Vec::new();
    for attachment in &stored.attachments {
        let name = attachment.descriptor.digest.clone();
        let attachment = (found(attachment), entry(attachment));
        if manifest::put(connection, repository, &name.to_string(), &attachment.0).await? {
            pushed.referrers = Some(Referrers::Api);
        } else {
            unlisted.push(attachment.1);
        }
        pushed.attachments.push(name);
    }
    if !unlisted.is_empty() {
        list(connection, repository, &digest, unlisted).await?;
        pushed.referrers = Some(Referrers::Tag);
    }
    for tag in push.tags {
        note(&format!("tagging {tag}"));
        pushed
            .tags
            .push(set(connection, repository, tag, &image, None).await?);
    }
    Ok(pushed)
}

pub(super) async fn promote(
    connection: &Connection,
    repository: &str,
    digest: &Digest,
    tags: &[String],
    move_from: Option<&Digest>,
) -> Result<Vec<Tagged>, RegistryError> {
    let found = required(connection, repository, &digest.to_string()).await?;
    for tag in tags {
        current(connection, repository, tag, digest, move_from).await?;
    }
    let mut done = Vec::new();
    for tag in tags {
        done.push(set(connection, repository, tag, &found, move_from).await?);
    }
    Ok(done)
}

/// What a tag names now; an error when that is another image and not `move_from`.
async fn current(
    connection: &Connection,
    repository: &str,
    tag: &str,
    digest: &Digest,
    move_from: Option<&Digest>,
) -> Result<Option<Digest>, RegistryError> {
    let found = manifest::get(connection, repository, tag).await?;
    let before = found.map(|found| found.digest);
    match &before {
        Some(other) if other != digest && Some(other) != move_from => {
            Err(RegistryError::TagTaken {
                reference: named(connection, repository, tag),
                expected: digest.to_string(),
                found: other.to_string(),
            })
        }
        _ => Ok(before),
    }
}

/// Sets a tag, unless it is set. Looks once more right before: the protocol has no way to make the
/// registry do so.
async fn set(
    connection: &Connection,
    repository: &str,
    tag: &str,
    image: &Found,
    move_from: Option<&Digest>,
) -> Result<Tagged, RegistryError> {
    let before = current(connection, repository, tag, &image.digest, move_from).await?;
    if before.as_ref() != Some(&image.digest) {
        manifest::put(connection, repository, tag, image).await?;
    }
    Ok(Tagged {
        tag: tag.to_owned(),
        before,
    })
}

fn found(stored: &StoredManifest) -> Found {
    Found {
        media_type: stored.descriptor.media_type.clone(),
        digest: stored.descriptor.digest.clone(),
        bytes: stored.bytes.clone(),
    }
}

/// An attachment's entry in a list of them.
fn entry(stored: &StoredManifest) -> Descriptor {
    let mut entry = Descriptor::new(
        &stored.descriptor.media_type,
        stored.descriptor.digest.clone(),
        stored.descriptor.size,
    );
    entry
        .artifact_type
        .clone_from(&stored.manifest.artifact_type);
    entry.annotations.clone_from(&stored.manifest.annotations);
    entry
}

/// Adds attachments to the index that stands in for the registry's list. What others put there stays.
async fn list(
    connection: &Connection,
    repository: &str,
    subject: &Digest,
    entries: Vec<Descriptor>,
) -> Result<(), RegistryError> {
    let tag = referrers_tag(subject);
    let mut index = match manifest::get(connection, repository, &tag).await? {
        Some(found) => parse(&named(connection, repository, &tag), &found.bytes)?,
        None => Index {
            schema_version: 2,
            media_type: Some(oci::INDEX.to_owned()),
            manifests: Vec::new(),
        },
    };
    let before = index.manifests.len();
    for entry in entries {
        if !index.manifests.iter().any(|one| one.digest == entry.digest) {
            index.manifests.push(entry);
        }
    }
    if index.manifests.len() == before {
        return Ok(());
    }
    let failed = |problem: String| {
        let action = format!("store `{}`", named(connection, repository, &tag));
        connection.error(action, 0, Failure::malformed(problem))
    };
    let bytes = serde_json::to_vec(&index).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > JSON_BYTES_MAX {
        return Err(failed("the list of attachments is too long".to_owned()));
    }
    let index = Found {
        media_type: oci::INDEX.to_owned(),
        digest: Digest::of(&bytes),
        bytes,
    };
    manifest::put(connection, repository, &tag, &index).await?;
    Ok(())
}

/// Whether the registry has a blob, of the right size.
async fn is_there(
    connection: &Connection,
    repository: &str,
    blob: &Descriptor,
) -> Result<bool, RegistryError> {
    let error = |(attempts, failure)| {
        let action = format!(
            "look for {} in `{}/{repository}`",
            blob.digest, connection.name
        );
        connection.error(action, attempts, failure)
    };
    let url = connection.url(repository, &format!("blobs/{}", blob.digest));
    let url = url.map_err(|failure| error((0, failure)))?;
    // With the right to push, so that one token serves all of it.
    let call = Call::new(Method::HEAD, url, repository, Right::Push);
    let response = connection.answer(&call).await.map_err(error)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(false),
        _ => return Err(error((1, refusal(response).await))),
    }
    let header = response.headers().get(CONTENT_LENGTH);
    let bytes = header.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match bytes {
        Some(bytes) if bytes != blob.size => Err(RegistryError::Differs {
            reference: format!("{}/{repository}@{}", connection.name, blob.digest),
            what: "size of the blob".to_owned(),
            expected: blob.size.to_string(),
            found: bytes.to_string(),
        }),
        _ => Ok(true),
    }
}

/// Sends a blob, and asks whether it is there.
async fn send(
    connection: &Connection,
    repository: &str,
    blob: &Descriptor,
    layout: &Path,
) -> Result<(), RegistryError> {
    let error = |attempts, failure| {
        let action = format!("push {} to `{}/{repository}`", blob.digest, connection.name);
        connection.error(action, attempts, failure)
    };
    let path = blob_path(layout, &blob.digest);
    let bytes = fork_fs::file_bytes(&path)?;
    if bytes != blob.size {
        return Err(RegistryError::Differs {
            reference: layout.display().to_string(),
            what: format!("size of blob {}", blob.digest),
            expected: blob.size.to_string(),
            found: bytes.to_string(),
        });
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        // Each attempt is an upload of its own: the registry forgets those that broke.
        let failure = match upload(connection, repository, blob, &path).await {
            Ok(()) => break,
            Err(failure) => failure,
        };
        if !failure.passing || attempts >= connection.options.attempts_max {
            return Err(error(attempts, failure));
        }
        tokio::time::sleep(connection.options.pause(attempts)).await;
    }
    if is_there(connection, repository, blob).await? {
        return Ok(());
    }
    let problem = "the registry took it and does not have it";
    Err(error(
        attempts,
        Failure::new(RegistryTrouble::Malformed, problem),
    ))
}

async fn upload(
    connection: &Connection,
    repository: &str,
    blob: &Descriptor,
    path: &Path,
) -> Result<(), Failure> {
    let url = connection.url(repository, "blobs/uploads/")?;
    let call = Call::new(Method::POST, url, repository, Right::Push);
    let response = connection.once(&call).await?;
    if response.status() != StatusCode::ACCEPTED {
        return Err(refusal(response).await);
    }
    let mut url = connection.location(&response)?;
    url.query_pairs_mut()
        .append_pair("digest", &blob.digest.to_string());
    let mut call = Call::new(Method::PUT, url, repository, Right::Push);
    call.load = Load::File {
        path,
        bytes: blob.size,
    };
    let response = connection.once(&call).await?;
    if response.status() != StatusCode::CREATED {
        return Err(refusal(response).await);
    }
    Ok(())
}

impl Pushed {
    /// The image by digest.
    #[must_use]
    pub fn reference(&self, repository: &ImageReference) -> ImageReference {
        repository.pinned(self.digest.clone())
    }
}
