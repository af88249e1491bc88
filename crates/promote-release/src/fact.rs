//! Facts in the form in which they are signed.

use fork_sign::{Envelope, SecretKey, canonical_json};
use release_policy::manifest::Manifest;
use release_policy::policy::Identity;
use release_policy::statement::{OWN, REFERENCE, RELEASE, STATEMENT_TYPE, Scope, TEST_RESULT};
use release_policy::{Digest, Policy, Time};
use serde_json::{Value, json};

use crate::error::PromoteError;

/// A fact that is to be signed.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// What is released.
    Manifest(Box<Manifest>),
    /// A test run.
    Test {
        /// `PASSED`, `WARNED` or `FAILED`.
        result: String,
        /// Tests that failed.
        failed: Vec<String>,
        /// The annotations of its configuration, without scope and time.
        notes: Value,
    },
    /// A document.
    Document {
        /// What kind.
        type_: String,
        /// Its name.
        name: String,
        /// Its digest.
        digest: Digest,
    },
    /// One of forkpack's own predicates, without scope and time: `observation`, `approval`, ….
    Own {
        /// Its name.
        name: &'static str,
        /// Its members.
        value: Value,
    },
}

/// The names of forkpack's own predicates.
pub(crate) const OWN_NAMES: [&str; 5] = ["approval", "deployment", "observation", "vote", "waiver"];

/// What a fact is about: a scope as `devnet#1` or `*`.
pub(crate) fn scope(release: &str, text: &str) -> Result<Scope, PromoteError> {
    let (stage, attempt) = text.split_once('#').unwrap_or((text, "0"));
    let attempt = attempt.parse().map_err(|_| {
        PromoteError::input(
            format!("`{text}`"),
            "it is no scope such as `devnet#1` or `*`",
        )
    })?;
    Ok(Scope {
        release: release.to_owned(),
        stage: stage.to_owned(),
        attempt,
    })
}

impl Fact {
    /// The statement's bytes.
    pub(crate) fn statement(
        &self,
        policy: &Policy,
        manifest: Option<&Manifest>,
        scope: &Scope,
        at: Time,
    ) -> Result<Vec<u8>, PromoteError> {
        let (predicate_type, predicate) = self.predicate(scope, at);
        let subject = self.subjects(policy, manifest)?;
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": subject,
            "predicateType": predicate_type,
            "predicate": predicate,
        });
        canonical_json(&statement).map_err(PromoteError::Write)
    }

    fn predicate(&self, scope: &Scope, at: Time) -> (String, Value) {
        match self {
            Self::Manifest(manifest) => {
                let purl = format!("pkg:generic/{}@{}", manifest.release_id, manifest.version);
                let predicate =
                    json!({"purl": purl, "packageId": manifest.release_id, "forkpack": manifest});
                (RELEASE.to_owned(), predicate)
            }
            Self::Test {
                result,
                failed,
                notes,
            } => {
                let mut notes = notes.clone();
                fill(&mut notes, scope, at);
                let predicate = json!({
                    "result": result,
                    "configuration": [{"name": "run", "annotations": notes}],
                    "failedTests": failed,
                });
                (TEST_RESULT.to_owned(), predicate)
            }
            Self::Document {
                type_,
                name,
                digest,
            } => {
                let mut notes = json!({"type": type_});
                fill(&mut notes, scope, at);
                let predicate = json!({
                    "attester": {"id": scope.release},
                    "references": [{
                        "name": name,
                        "digest": {"sha256": digest.hex()},
                        "annotations": notes,
                    }],
                });
                (REFERENCE.to_owned(), predicate)
            }
            Self::Own { name, value } => {
                let mut value = value.clone();
                fill(&mut value, scope, at);
                // A vote is about its proposal alone.
                if *name == "vote"
                    && let Some(members) = value.as_object_mut()
                {
                    members.remove("for");
                }
                (format!("{OWN}{name}/v1"), value)
            }
        }
    }

    /// A vote is about its proposal; a manifest about its artifacts; everything else about what the
    /// policy identifies a release by.
    fn subjects(
        &self,
        policy: &Policy,
        manifest: Option<&Manifest>,
    ) -> Result<Value, PromoteError> {
        if let Self::Own {
            name: "vote",
            value,
        } = self
        {
            let proposal = value
                .get("proposal")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let hex = proposal.trim_start_matches("sha256:");
            return Ok(json!([{"name": "proposal", "digest": {"sha256": hex}}]));
        }
        let own = match self {
            Self::Manifest(manifest) => Some(manifest.as_ref()),
            _ => None,
        };
        let manifest = own.or(manifest).ok_or_else(|| {
            PromoteError::usage(
                "there is no manifest yet, so the fact would be about nothing",
                "record the manifest first",
            )
        })?;
        let code = || json!([{"name": "code", "digest": {"gitCommit": manifest.commit}}]);
        let files_decide = matches!(policy.identity, Identity::Bit | Identity::Payload);
        if (own.is_none() && !files_decide) || manifest.artifact.is_empty() {
            return Ok(code());
        }
        let subjects: Vec<Value> = manifest
            .artifact
            .iter()
            .map(|artifact| {
                let by_payload = policy.identity == Identity::Payload && own.is_none();
                let payload = artifact.payload.filter(|_| by_payload);
                let digest = payload.unwrap_or(artifact.digest);
                json!({"name": artifact.name, "digest": {"sha256": digest.hex()}})
            })
            .collect();
        Ok(Value::Array(subjects))
    }
}

/// Puts in what every fact says, unless it says it itself.
fn fill(value: &mut Value, scope: &Scope, at: Time) {
    if let Some(members) = value.as_object_mut() {
        members.entry("for").or_insert_with(
            || json!({"release": scope.release, "stage": scope.stage, "attempt": scope.attempt}),
        );
        members.entry("at").or_insert_with(|| json!(at));
    }
}

/// Signs a statement.
pub(crate) fn envelope(statement: Vec<u8>, keys: &[SecretKey]) -> Result<Vec<u8>, PromoteError> {
    let mut envelope = Envelope::new(statement);
    let fault = |source| PromoteError::Envelope {
        path: "the statement".into(),
        source,
    };
    for key in keys {
        envelope.sign(key).map_err(fault)?;
    }
    envelope.to_json().map_err(fault)
}
