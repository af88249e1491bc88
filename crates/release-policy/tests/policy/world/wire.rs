//! Facts in the form in which they are signed.

use release_policy::Policy;
use release_policy::manifest::Manifest;
use release_policy::statement::{OWN, REFERENCE, RELEASE, TEST_RESULT};
use serde_json::{Value, json};

fn hex_of(digest: &Value) -> Value {
    json!(digest.as_str().unwrap().trim_start_matches("sha256:"))
}

/// Puts a fact into the form in which it is signed.
pub(super) fn wire(
    type_: &str,
    mut value: Value,
    scope: &Value,
    at: &Value,
    manifest: Option<&Manifest>,
) -> (String, Value) {
    match type_ {
        "manifest" => (
            RELEASE.to_owned(),
            json!({"purl": "pkg:generic/x", "forkpack": value}),
        ),
        "test" => {
            let mut notes = value["notes"].take();
            notes["for"] = scope.clone();
            if notes.get("at").is_none() {
                notes["at"] = at.clone();
            }
            let configuration = json!([{"name": "run", "annotations": notes}]);
            let failed = value.get("failed").cloned().unwrap_or_else(|| json!([]));
            (
                TEST_RESULT.to_owned(),
                json!({"result": value["result"], "configuration": configuration, "failedTests": failed}),
            )
        }
        "document" => {
            let notes = json!({"for": scope, "type": value["type"], "at": at});
            let reference = json!({"name": value["name"], "digest": {"sha256": hex_of(&value["file"])}, "annotations": notes});
            (
                REFERENCE.to_owned(),
                json!({"attester": {"id": "x"}, "references": [reference]}),
            )
        }
        other => {
            if value.get("at").is_none() {
                value["at"] = at.clone();
            }
            if other != "vote" {
                value["for"] = scope.clone();
            }
            if other == "deployment" {
                let manifest = manifest.expect("a manifest before a deployment");
                for (member, default) in [
                    ("commit", json!(manifest.commit)),
                    ("network_id", json!("net-1")),
                ] {
                    if value.get(member).is_none() {
                        value[member] = default;
                    }
                }
            }
            (format!("{OWN}{other}/v1"), value)
        }
    }
}

pub(super) fn default_subjects(
    policy: &Policy,
    type_: &str,
    predicate: &Value,
    manifest: Option<&Manifest>,
) -> Value {
    if type_ == "vote" {
        return json!([{"name": "proposal", "digest": {"sha256": hex_of(&predicate["proposal"])}}]);
    }
    let manifest = manifest.expect("a manifest before facts");
    let files_decide = matches!(
        policy.identity,
        release_policy::policy::Identity::Bit | release_policy::policy::Identity::Payload
    );
    if type_ != "manifest" && !files_decide {
        return json!([{"name": "code", "digest": {"gitCommit": manifest.commit}}]);
    }
    let mut subjects: Vec<Value> = Vec::new();
    for artifact in &manifest.artifact {
        let by_payload =
            policy.identity == release_policy::policy::Identity::Payload && type_ != "manifest";
        let digest = artifact
            .payload
            .filter(|_| by_payload)
            .unwrap_or(artifact.digest);
        subjects.push(json!({"name": artifact.name, "digest": {"sha256": digest.hex()}}));
    }
    if subjects.is_empty() {
        subjects.push(json!({"name": "code", "digest": {"gitCommit": manifest.commit}}));
    }
    json!(subjects)
}
