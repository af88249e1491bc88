//! Manifests of a registry: read, written, read back.

use bytes::Bytes;
use fork_package::JSON_BYTES_MAX;
use fork_package::oci::{self, Digest};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::error::RegistryError;
use super::http::{Call, Connection, Failure, Load, Right, refusal};
use crate::store::Cause;

/// Types that are taken.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A manifest or index, as the registry has it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
}

/// `HOST/NAME:TAG` or `HOST/NAME@DIGEST`, for messages.
pub(super) fn named(connection: &Connection, repository: &str, reference: &str) -> String {
    let sign = if reference.contains(':') { '@' } else { ':' };
    format!("{}/{repository}{sign}{reference}", connection.name)
}

/// Reads the manifest that a tag or digest names; `None` when there is none.
pub(super) async fn get(
    connection: &Connection,
    repository: &str,
    reference: &str,
) -> Result<Option<Found>, RegistryError> {
    let name = named(connection, repository, reference);
    let error = |(attempts, failure)| connection.error(format!("read `{name}`"), attempts, failure);
    let url = connection.url(repository, &format!("manifests/{reference}"));
    let url = url.map_err(|failure| error((0, failure)))?;
    let call = Call::new(Method::GET, url, repository, Right::Pull).accept(ACCEPTED);
    let response = connection.answer(&call).await.map_err(error)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        _ => return Err(error((1, refusal(response).await))),
    }
    let headers = response.headers().clone();
    let body = connection.body(response, JSON_BYTES_MAX).await;
    let bytes = body.map_err(|failure| error((1, failure)))?;
    let digest = Digest::of(&bytes);
    // The registry's own word, and the name it was asked by, must be true.
    let said = header(&headers, "docker-content-digest").filter(|said| said.starts_with("sha256:"));
    let asked = reference.contains(':').then_some(reference);
    for expected in [said, asked].into_iter().flatten() {
        if expected != digest.to_string() {
            return Err(RegistryError::Differs {
                reference: name,
                what: "digest of the manifest".to_owned(),
                expected: expected.chars().take(80).collect(),
                found: digest.to_string(),
            });
        }
    }
    let media_type = media_type(&headers, &bytes).map_err(|failure| error((1, failure)))?;
    Ok(Some(Found {
        media_type,
        digest,
        bytes,
    }))
}

/// Stores a manifest under a tag or its digest and reads it back. Says whether the registry keeps
/// what is attached to manifests by itself (it says so when it is given such a manifest).
pub(super) async fn put(
    connection: &Connection,
    repository: &str,
    reference: &str,
    manifest: &Found,
) -> Result<bool, RegistryError> {
    let name = named(connection, repository, reference);
    let error =
        |(attempts, failure)| connection.error(format!("store `{name}`"), attempts, failure);
    let url = connection.url(repository, &format!("manifests/{reference}"));
    let url = url.map_err(|failure| error((0, failure)))?;
    let mut call = Call::new(Method::PUT, url, repository, Right::Push);
    call.headers
        .push((CONTENT_TYPE, manifest.media_type.clone()));
    call.load = Load::Bytes(Bytes::from(manifest.bytes.clone()));
    let response = connection.answer(&call).await.map_err(error)?;
    if response.status() != StatusCode::CREATED {
        return Err(error((1, refusal(response).await)));
    }
    let keeps_referrers = response.headers().contains_key("oci-subject");
    let found = get(connection, repository, reference).await?;
    let found = found.map_or_else(|| "missing".to_owned(), |found| found.digest.to_string());
    if found != manifest.digest.to_string() {
        return Err(RegistryError::Differs {
            reference: name,
            what: "digest read back".to_owned(),
            expected: manifest.digest.to_string(),
            found,
        });
    }
    Ok(keeps_referrers)
}

/// As JSON, with the error of an answer that is none.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    name: &str,
    bytes: &[u8],
) -> Result<T, RegistryError> {
    serde_json::from_slice(bytes).map_err(|error| RegistryError::Service {
        action: format!("read `{name}`"),
        trouble: super::RegistryTrouble::Malformed,
        attempts: 1,
        source: Cause(
            format!("it is no manifest: {error}")
                .chars()
                .take(400)
                .collect(),
        ),
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
}

/// The type of a manifest, which the body repeats; the two must not mean different things.
fn media_type(headers: &HeaderMap, bytes: &[u8]) -> Result<String, Failure> {
    let said = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    let inside: Typed = serde_json::from_slice(bytes)
        .map_err(|_| Failure::malformed("the answer is no JSON object"))?;
    let known = |kind: &str| {
        [
            oci::INDEX,
            oci::MANIFEST,
            oci::DOCKER_INDEX,
            oci::DOCKER_MANIFEST,
        ]
        .contains(&kind)
    };
    let kind = inside.media_type.as_deref().unwrap_or(said);
    if !known(kind) || (said != kind && known(said)) {
        let problem = format!(
            "a manifest of type `{}`, sent as `{}`",
            kind.escape_debug(),
            said.escape_debug()
        );
        return Err(Failure::malformed(
            problem.chars().take(200).collect::<String>(),
        ));
    }
    Ok(kind.to_owned())
}
