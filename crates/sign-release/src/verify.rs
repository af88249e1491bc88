//! `verify`: who signed, and whether the artefacts are those of the statement.

use fork_sign::{PAYLOAD_TYPE, SignatureStatus};
use fork_worker::{Context, WorkerResult};
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::artifacts::{CheckedArtifact, Found, check_artifacts, sha256};
use crate::error::SignError;
use crate::files::Signed;
use crate::keys::read_trusted;
use crate::manifest::Manifest;
use crate::show::{plain, summary};
use crate::signing::require;

/// What was found.
#[derive(Serialize)]
struct Verified<'a> {
    statement_sha256: String,
    threshold: usize,
    threshold_met: bool,
    signers: Vec<&'a str>,
    signatures: &'a [SignatureStatus],
    artifacts: &'a [CheckedArtifact],
    manifest: &'a Manifest,
}

impl VerifyArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let signed = Signed::read(&self.manifest)?;
        let trusted = read_trusted(&self.trusted)?;
        let verification = signed
            .envelope
            .verify(&trusted, usize::from(self.threshold), &[PAYLOAD_TYPE])
            .map_err(|source| SignError::Envelope {
                path: self.manifest.clone(),
                source,
            })?;
        let note = |text: &str| context.note(text);
        let artifacts = check_artifacts(&signed.statement, &self.artifacts, &note)?;
        let verified = Verified {
            statement_sha256: sha256(signed.envelope.unverified_payload()),
            threshold: verification.threshold(),
            threshold_met: verification.is_met(),
            signers: verification
                .signers()
                .iter()
                .map(fork_sign::KeyId::as_str)
                .collect(),
            signatures: verification.statuses(),
            artifacts: &artifacts,
            manifest: signed.statement.predicate(),
        };
        let human = format!("{}\n{}", summary(&signed.statement), human(&verified));
        context.emit(&human, &verified)?;
        if let Some(key) = verification.wrong().into_iter().next() {
            let key = key.to_string();
            return Err(SignError::WrongSignature { key }.into());
        }
        require(&artifacts, false)?;
        if !verification.is_met() {
            return Err(SignError::Threshold {
                found: verification.signers().len(),
                threshold: verification.threshold(),
            }
            .into());
        }
        require(&artifacts, self.all)?;
        Ok(())
    }
}

fn human(verified: &Verified<'_>) -> String {
    let mut text = "\nsignatures\n".to_owned();
    for status in verified.signatures {
        text.push_str(&match status {
            SignatureStatus::Good(key) => format!("  good     {key}\n"),
            SignatureStatus::Wrong(key) => format!("  WRONG    {key}\n"),
            SignatureStatus::Unknown { label } => format!("  unknown  {label} (not trusted)\n"),
        });
    }
    text.push_str(&format!(
        "  {} of {} needed: {}\n\nartefacts\n",
        verified.signers.len(),
        verified.threshold,
        if verified.threshold_met {
            "enough"
        } else {
            "NOT ENOUGH"
        },
    ));
    for artifact in verified.artifacts {
        let name = plain(&artifact.name);
        text.push_str(&match &artifact.found {
            Found::Checked => format!("  checked      {name}\n"),
            Found::Missing => format!("  not present  {name}\n"),
            Found::Differs { problem, .. } => {
                format!("  DIFFERS      {name}: {}\n", plain(problem))
            }
        });
    }
    text.push_str(&format!(
        "\nstatement SHA-256 {}",
        verified.statement_sha256
    ));
    text
}
