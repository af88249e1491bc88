//! Copies an image from a registry into a layout.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use fork_fs::{AtomicFile, FsError, HashingWriter, Operation};
use fork_package::oci::{self, Descriptor, Digest, ImageConfig, Index, Manifest, Platform};
use fork_package::{
    Compression, INDEX_DEPTH_MAX, JSON_BYTES_MAX, LAYERS_MAX, LayoutWriter, Selection, blob_path,
};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::error::RegistryError;
use super::http::{Call, Connection, Failure, Right, refusal, unanswered};
use super::manifest::{self, Found, named, parse};
use super::reference::ImageReference;

/// Largest blob taken, in bytes. The largest layers there are have 20 GB.
const BLOB_BYTES_MAX: u64 = 64 << 30;
/// Most attachments of one image taken.
const ATTACHMENTS_MAX: usize = 100;

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// Digest of what the reference named: the manifest, or the index it was chosen from.
    pub top_digest: Digest,
    /// Bytes of config and layers.
    pub bytes: u64,
    /// Digests of the attachments' manifests.
    pub attachments: Vec<Digest>,
}

pub(super) async fn pull(
    connection: &Connection,
    reference: &ImageReference,
    selection: Selection<'_>,
    attachments: bool,
    directory: &Path,
    note: &dyn Fn(&str),
) -> Result<Pulled, RegistryError> {
    let wanted = reference
        .wanted()
        .ok_or_else(|| RegistryError::Unspecific {
            reference: reference.to_string(),
        })?;
    let repository = reference.repository();
    let layout = LayoutWriter::create(directory)?;
    let top = required(connection, repository, &wanted).await?;
    let top_digest = top.digest.clone();
    let (found, platform) = choose(connection, reference, selection, top).await?;
    let image: Manifest = parse(&reference.to_string(), &found.bytes)?;
    check(reference, &image)?;

    let mut total = Total::default();
    let mut blobs = Blobs {
        connection,
        reference,
        directory,
        done: BTreeSet::new(),
    };
    let bytes_needed = image
        .layers
        .iter()
        .chain([&image.config])
        .map(|one| one.size)
        .sum();
    fork_fs::require_free_space(directory, bytes_needed)?;
    blobs
        .fetch(&image.config, JSON_BYTES_MAX, &mut total)
        .await?;
    let config =
        fork_fs::read_limited(&blob_path(directory, &image.config.digest), JSON_BYTES_MAX)?;
    let config: ImageConfig = parse(&reference.to_string(), &config)?;
    if let Some(architecture) = selection.architecture
        && architecture != config.architecture
    {
        return Err(unusable(
            reference,
            format!(
                "it is for {}, not {architecture}",
                config.architecture.escape_debug()
            ),
        ));
    }
    if config.rootfs.diff_ids.len() != image.layers.len() {
        return Err(unusable(
            reference,
            "manifest and config have different numbers of layers",
        ));
    }
    for (index, layer) in image.layers.iter().enumerate() {
        note(&format!(
            "pulling layer {} of {} ({} bytes)",
            index + 1,
            image.layers.len(),
            layer.size
        ));
        blobs.fetch(layer, BLOB_BYTES_MAX, &mut total).await?;
    }
    let mut entry = store(directory, &found)?;
    entry.platform = platform.or(Some(Platform {
        architecture: config.architecture,
        os: config.os,
        other: serde_json::Map::new(),
    }));
    if let Some(tag) = reference.tag() {
        entry
            .annotations
            .insert(oci::REF_NAME.to_owned(), tag.to_owned());
    }
    let mut entries = vec![entry];
    if attachments {
        entries.extend(attached(&mut blobs, &found.digest, &mut total).await?);
    }
    let attachments = entries[1..].iter().map(|one| one.digest.clone()).collect();
    layout.put_index(entries)?;
    Ok(Pulled {
        digest: found.digest,
        top_digest,
        bytes: total.0,
        attachments,
    })
}

#[derive(Default)]
struct Total(u64);

fn unusable(reference: &ImageReference, problem: impl Into<String>) -> RegistryError {
    RegistryError::Unusable {
        reference: reference.to_string(),
        problem: problem.into(),
    }
}

/// A manifest that must be there.
pub(super) async fn required(
    connection: &Connection,
    repository: &str,
    reference: &str,
) -> Result<Found, RegistryError> {
    let found = manifest::get(connection, repository, reference).await?;
    found.ok_or_else(|| {
        let name = named(connection, repository, reference);
        let failure = Failure::new(
            super::RegistryTrouble::Missing,
            "the registry answered 404 Not Found",
        );
        connection.error(format!("read `{name}`"), 1, failure)
    })
}

/// Follows indexes to the one image that is meant; its platform as the index says it.
async fn choose(
    connection: &Connection,
    reference: &ImageReference,
    selection: Selection<'_>,
    mut found: Found,
) -> Result<(Found, Option<Platform>), RegistryError> {
    let mut platform = None;
    for _ in 0..=INDEX_DEPTH_MAX {
        if !matches!(found.media_type.as_str(), oci::INDEX | oci::DOCKER_INDEX) {
            return Ok((found, platform));
        }
        let index: Index = parse(&reference.to_string(), &found.bytes)?;
        let one = selection
            .choose(index.manifests)
            .map_err(|problem| unusable(reference, problem))?;
        let size = one.size;
        found = required(connection, reference.repository(), &one.digest.to_string()).await?;
        if found.bytes.len() as u64 != size {
            return Err(RegistryError::Differs {
                reference: reference.to_string(),
                what: format!("size of {}", one.digest),
                expected: size.to_string(),
                found: found.bytes.len().to_string(),
            });
        }
        platform = one.platform;
    }
    Err(unusable(reference, "its indexes are nested too deeply"))
}

/// Refuses what would not be read, before gigabytes of it are fetched.
fn check(reference: &ImageReference, image: &Manifest) -> Result<(), RegistryError> {
    if image.layers.len() > LAYERS_MAX {
        let count = image.layers.len();
        let problem = format!("it has {count} layers; the limit is {LAYERS_MAX}");
        return Err(unusable(reference, problem));
    }
    for layer in &image.layers {
        if Compression::of(&layer.media_type).is_none() {
            let kind = layer.media_type.escape_debug();
            return Err(unusable(
                reference,
                format!("layer type {kind} is not supported"),
            ));
        }
        if layer.size > BLOB_BYTES_MAX {
            let problem = format!(
                "a layer has {} bytes; the limit is {BLOB_BYTES_MAX}",
                layer.size
            );
            return Err(unusable(reference, problem));
        }
    }
    Ok(())
}

/// Writes a manifest into a layout; the entry that the index is to have for it.
fn store(directory: &Path, found: &Found) -> Result<Descriptor, RegistryError> {
    fork_fs::write_atomic(&blob_path(directory, &found.digest), &found.bytes)?;
    Ok(Descriptor::new(
        &found.media_type,
        found.digest.clone(),
        found.bytes.len() as u64,
    ))
}

/// Fetches what the registry says is attached to an image.
async fn attached(
    blobs: &mut Blobs<'_>,
    subject: &Digest,
    total: &mut Total,
) -> Result<Vec<Descriptor>, RegistryError> {
    let (connection, repository) = (blobs.connection, blobs.reference.repository());
    let mut entries = Vec::new();
    for descriptor in referrers(connection, repository, subject).await? {
        let found = required(connection, repository, &descriptor.digest.to_string()).await?;
        let manifest: Manifest = parse(&descriptor.digest.to_string(), &found.bytes)?;
        let about = manifest.subject.as_ref().map(|subject| &subject.digest);
        if about != Some(subject) {
            let problem = format!(
                "{} is listed as attached to it and is not",
                descriptor.digest
            );
            return Err(unusable(blobs.reference, problem));
        }
        if manifest.layers.len() > LAYERS_MAX {
            return Err(unusable(
                blobs.reference,
                "an attachment has too many files",
            ));
        }
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            blobs.fetch(blob, BLOB_BYTES_MAX, total).await?;
        }
        let mut entry = store(blobs.directory, &found)?;
        // Without a type of its own, the config's counts (image specification, "Listing referrers").
        entry.artifact_type = manifest.artifact_type.or(Some(manifest.config.media_type));
        entry.annotations = manifest.annotations;
        entries.push(entry);
    }
    Ok(entries)
}

/// What is attached to a manifest: by the registry's own list, else by the tag that stands in for it
/// (distribution specification, "Referrers Tag Schema").
pub(super) async fn referrers(
    connection: &Connection,
    repository: &str,
    subject: &Digest,
) -> Result<Vec<Descriptor>, RegistryError> {
    let name = named(connection, repository, &subject.to_string());
    let error = |(attempts, failure)| {
        connection.error(
            format!("list what is attached to `{name}`"),
            attempts,
            failure,
        )
    };
    let url = connection.url(repository, &format!("referrers/{subject}"));
    let url = url.map_err(|failure| error((0, failure)))?;
    let call = Call::new(Method::GET, url, repository, Right::Pull).accept(oci::INDEX);
    let response = connection.answer(&call).await.map_err(error)?;
    let index: Index = match response.status() {
        StatusCode::OK => {
            let body = connection.body(response, JSON_BYTES_MAX).await;
            parse(&name, &body.map_err(|failure| error((1, failure)))?)?
        }
        StatusCode::NOT_FOUND => {
            let found = manifest::get(connection, repository, &referrers_tag(subject)).await?;
            match found {
                Some(found) => parse(&name, &found.bytes)?,
                None => return Ok(Vec::new()),
            }
        }
        _ => return Err(error((1, refusal(response).await))),
    };
    if index.manifests.len() > ATTACHMENTS_MAX {
        let problem = format!(
            "it lists {} attachments; the limit is {ATTACHMENTS_MAX}",
            index.manifests.len()
        );
        return Err(error((1, Failure::malformed(problem))));
    }
    Ok(index.manifests)
}

/// Tag under which a registry without a list of its own keeps it.
pub(super) fn referrers_tag(subject: &Digest) -> String {
    subject.to_string().replace(':', "-")
}

/// Downloads of blobs into one layout.
struct Blobs<'a> {
    connection: &'a Connection,
    reference: &'a ImageReference,
    directory: &'a Path,
    done: BTreeSet<Digest>,
}

/// Why one attempt ended.
enum Broken {
    Line(Failure),
    Final(RegistryError),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Line(failure)
    }
}

impl Blobs<'_> {
    /// Streams a blob to its place in the layout, unless it is there. Goes on where a connection
    /// broke.
    async fn fetch(
        &mut self,
        blob: &Descriptor,
        bytes_max: u64,
        total: &mut Total,
    ) -> Result<(), RegistryError> {
        if blob.size > bytes_max {
            let problem = format!(
                "{} has {} bytes; the limit is {bytes_max}",
                blob.digest, blob.size
            );
            return Err(unusable(self.reference, problem));
        }
        if !self.done.insert(blob.digest.clone()) {
            return Ok(());
        }
        let target = blob_path(self.directory, &blob.digest);
        let mut output = HashingWriter::new(AtomicFile::create(&target)?);
        let mut received = 0;
        let mut attempts = 0;
        while received < blob.size || attempts == 0 {
            attempts += 1;
            match self.go_on(blob, &mut received, &mut output).await {
                Ok(()) => {}
                Err(Broken::Line(failure))
                    if failure.passing && attempts < self.connection.options.attempts_max =>
                {
                    tokio::time::sleep(self.connection.options.pause(attempts)).await;
                }
                Err(Broken::Line(failure)) => {
                    let action = format!("pull {} of `{}`", blob.digest, self.reference);
                    return Err(self.connection.error(action, attempts, failure));
                }
                Err(Broken::Final(error)) => return Err(error),
            }
        }
        let (output, digested) = output.finish();
        if digested.sha256 != blob.digest.hex() {
            let expected = blob.digest.to_string();
            let found = format!("sha256:{}", digested.sha256);
            return Err(self.differs(blob, "digest", &expected, &found));
        }
        output.commit()?;
        total.0 += digested.bytes;
        Ok(())
    }

    fn differs(&self, blob: &Descriptor, what: &str, expected: &str, found: &str) -> RegistryError {
        RegistryError::Differs {
            reference: self.reference.to_string(),
            what: format!("{what} of blob {}", blob.digest),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    /// One request for what is missing.
    async fn go_on(
        &self,
        blob: &Descriptor,
        received: &mut u64,
        output: &mut impl Write,
    ) -> Result<(), Broken> {
        let repository = self.reference.repository();
        let options = &self.connection.options;
        let url = self
            .connection
            .url(repository, &format!("blobs/{}", blob.digest))?;
        let mut call = Call::new(Method::GET, url, repository, Right::Pull);
        call.headers.push((ACCEPT_ENCODING, "identity".to_owned()));
        if *received > 0 {
            call.headers.push((RANGE, format!("bytes={received}-")));
        }
        let mut response = self.connection.once(&call).await?;
        // A server that knows no ranges sends everything again.
        let mut skip = match response.status() {
            StatusCode::OK => *received,
            StatusCode::PARTIAL_CONTENT if *received > 0 => {
                check_range(&response, *received)?;
                0
            }
            _ => return Err(refusal(response).await.into()),
        };
        let rest = blob.size - *received + skip;
        if let Some(announced) = response.content_length().filter(|bytes| *bytes != rest) {
            let expected = rest.to_string();
            return Err(Broken::Final(self.differs(
                blob,
                "announced size",
                &expected,
                &announced.to_string(),
            )));
        }
        let deadline = tokio::time::Instant::now() + options.deadline(rest);
        loop {
            let until = deadline.min(tokio::time::Instant::now() + options.idle_timeout);
            let chunk = match tokio::time::timeout_at(until, response.chunk()).await {
                Ok(chunk) => chunk.map_err(unanswered)?,
                Err(_) => {
                    let trouble = super::RegistryTrouble::Unreachable;
                    return Err(Failure::new(trouble, "nothing came for too long").into());
                }
            };
            let Some(mut chunk) = chunk else { break };
            let skipped = usize::try_from(skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
            skip -= skipped as u64;
            let _ = chunk.split_to(skipped);
            if chunk.len() as u64 > blob.size - *received {
                let expected = blob.size.to_string();
                return Err(Broken::Final(self.differs(blob, "size", &expected, "more")));
            }
            output.write_all(&chunk).map_err(|source| {
                let path = blob_path(self.directory, &blob.digest);
                Broken::Final(FsError::io(Operation::Write, &path, source).into())
            })?;
            *received += chunk.len() as u64;
        }
        if *received < blob.size {
            let trouble = super::RegistryTrouble::Unreachable;
            return Err(Failure::new(trouble, "the answer ended too early").into());
        }
        Ok(())
    }
}

/// Whether a part of a blob begins where it was asked to.
fn check_range(response: &Response, from: u64) -> Result<(), Failure> {
    let header = response.headers().get(CONTENT_RANGE);
    let text = header.and_then(|value| value.to_str().ok());
    if text.is_some_and(|text| text.starts_with(&format!("bytes {from}-"))) {
        return Ok(());
    }
    Err(Failure::malformed(
        "it sends another part than it was asked for",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_that_stands_in_for_a_list() {
        let digest = Digest::of(b"{}");
        let tag = referrers_tag(&digest);
        assert!(tag.starts_with(
            "sha256-44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        ));
        assert!(super::super::is_tag(&tag));
    }
}
