//! How the image came to be, as a statement that others can check and sign: in-toto Statement v1 with
//! the predicate SLSA Provenance v1.
//!
//! Sources: in-toto attestation framework, "Statement layer" v1; SLSA v1.0, "Provenance". No time of
//! day is in it: the same image has the same statement whoever builds it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::describe::Facts;

/// Media type of the statement.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";
/// Type of the predicate.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// Type of the statement.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// What the parameters mean, and how the same image is built again: docs/images.md.
const BUILD_TYPE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/build-types/image/v1");
/// Who built it.
const BUILDER: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/package-image/v",
    env!("CARGO_PKG_VERSION")
);

type Digests = BTreeMap<&'static str, String>;

#[derive(Serialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource<'a>>,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: Provenance<'a>,
}

/// A resource descriptor.
#[derive(Serialize)]
struct Resource<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    digest: Digests,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provenance<'a> {
    build_definition: BuildDefinition<'a>,
    run_details: RunDetails,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition<'a> {
    build_type: &'static str,
    external_parameters: Parameters<'a>,
    internal_parameters: BTreeMap<String, String>,
    resolved_dependencies: Vec<Resource<'a>>,
}

/// The options that decide what comes out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'a> {
    deb: &'a str,
    base: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_reference: Option<&'a str>,
    architecture: &'a str,
    source_date_epoch: u64,
}

#[derive(Serialize)]
struct RunDetails {
    builder: Builder,
}

#[derive(Serialize)]
struct Builder {
    id: &'static str,
    version: BTreeMap<&'static str, &'static str>,
}

/// The statement about an image.
///
/// # Errors
///
/// Fails only when a value cannot be JSON, which none here can.
pub fn statement(facts: &Facts<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let sha256 = |hex: &str| Digests::from([("sha256", hex.to_owned())]);
    let payload = facts.payload;
    let payload_sha256 = payload.document.as_ref().map(|one| &one.payload_sha256);
    let package = Resource {
        name: &payload.file.name,
        uri: None,
        digest: sha256(&payload.file.sha256),
        annotations: payload_sha256
            .map(|sha256| ("payload_sha256", sha256.as_str()))
            .into_iter()
            .collect(),
    };
    let base = Resource {
        name: "base",
        uri: facts
            .base
            .reference
            .as_ref()
            .map(|name| format!("docker://{name}")),
        digest: sha256(facts.base_digest.hex()),
        annotations: BTreeMap::new(),
    };
    let statement = Statement {
        kind: STATEMENT_TYPE,
        subject: vec![Resource {
            name: &payload.name,
            uri: None,
            digest: sha256(facts.manifest_digest.hex()),
            annotations: BTreeMap::new(),
        }],
        predicate_type: PREDICATE_TYPE,
        predicate: Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE,
                external_parameters: Parameters {
                    deb: &payload.file.name,
                    base: &facts.base.kind,
                    base_reference: facts.base.reference.as_deref(),
                    architecture: facts.architecture,
                    source_date_epoch: facts.seconds,
                },
                internal_parameters: BTreeMap::new(),
                resolved_dependencies: vec![package, base],
            },
            run_details: RunDetails {
                builder: Builder {
                    id: BUILDER,
                    version: BTreeMap::from([("package-image", env!("CARGO_PKG_VERSION"))]),
                },
            },
        },
    };
    serde_json::to_vec(&statement)
}
