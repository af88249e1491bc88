//! `manifest`, `sign` and `merge`.

use std::path::PathBuf;

use fork_fs::StagedDir;
use fork_sign::Statement;
use fork_worker::{Context, UsageError, WorkerResult};
use serde::Serialize;

use crate::args::{ManifestArgs, MergeArgs, SignArgs};
use crate::artifacts::{CheckedArtifact, Found, check_artifacts, sha256};
use crate::collect::{Release, collect};
use crate::error::SignError;
use crate::files::{FILE_NAME, Signed, same};
use crate::keys::read_secret;
use crate::manifest::Manifest;
use crate::show::{plain, summary};

/// What was written.
#[derive(Serialize)]
struct Written<'a> {
    file: PathBuf,
    /// Of the statement's bytes: what two builders compare.
    statement_sha256: String,
    signatures: usize,
    statement: &'a Statement<Manifest>,
}

impl ManifestArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let release = Release {
            candidate: &self.candidate,
            ledgers: &self.ledgers,
            network_config: &self.network_config,
            debs: &self.deb,
            images: &self.image,
            reports: &self.report,
        };
        let statement = collect(&release, &|text| context.note(text))?;
        let payload = statement.to_payload().map_err(SignError::Write)?;
        fork_fs::write_atomic(&staged.path().join(FILE_NAME), &payload)?;
        staged.commit()?;
        let written = Written {
            file: self.file(),
            statement_sha256: sha256(&payload),
            signatures: 0,
            statement: &statement,
        };
        let human = format!(
            "{}\nstatement  {}\nSHA-256    {}",
            summary(&statement),
            written.file.display(),
            written.statement_sha256
        );
        let [facts, subjects] = crate::annotation::tables(
            written.statement,
            &written.statement_sha256,
            written.signatures,
            None,
        );
        context.annotate(|| facts);
        context.annotate(|| subjects);
        context.emit(&human, &written)?;
        Ok(())
    }
}

impl SignArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        self.output.check()?;
        let mut signed = Signed::read(&self.manifest)?;
        if let Some(rebuilt) = &self.rebuilt {
            let own = Signed::read(rebuilt)?;
            same((&self.manifest, &signed), (rebuilt, &own))?;
        }
        let secret = read_secret(self.key.as_deref())?;
        if !self.unchecked {
            let note = |text: &str| context.note(text);
            let checked = check_artifacts(&signed.statement, &self.artifacts, &note)?;
            require(&checked, true)?;
        }
        let envelope_fault = |source| SignError::Envelope {
            path: self.manifest.clone(),
            source,
        };
        let is_new = signed.envelope.sign(&secret).map_err(envelope_fault)?;
        self.output.write(&signed.envelope)?;
        let written = written(&signed, self.output.output.clone());
        let human = format!(
            "{}\nkey        {}{}\nsignatures {}\nenvelope   {}\nstatement  SHA-256 {}",
            summary(&signed.statement),
            secret.public().id(),
            if is_new { "" } else { " (had signed before)" },
            written.signatures,
            written.file.display(),
            written.statement_sha256,
        );
        let [facts, subjects] = crate::annotation::tables(
            written.statement,
            &written.statement_sha256,
            written.signatures,
            Some(secret.public().id().as_str()),
        );
        context.annotate(|| facts);
        context.annotate(|| subjects);
        context.emit(&human, &written)?;
        Ok(())
    }
}

impl MergeArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        self.output.check()?;
        let Some((first, others)) = self.envelopes.split_first() else {
            let hint = "name two or more";
            return Err(UsageError::new("there are no envelopes to merge", hint).into());
        };
        let mut signed = Signed::read(first)?;
        for path in others {
            let other = Signed::read(path)?;
            same((first, &signed), (path, &other))?;
            signed
                .envelope
                .merge(&other.envelope)
                .map_err(|source| SignError::Envelope {
                    path: path.clone(),
                    source,
                })?;
        }
        self.output.write(&signed.envelope)?;
        let written = written(&signed, self.output.output.clone());
        let human = format!(
            "signatures {}\nenvelope   {}\nstatement  SHA-256 {}",
            written.signatures,
            written.file.display(),
            written.statement_sha256,
        );
        let [facts, subjects] = crate::annotation::tables(
            written.statement,
            &written.statement_sha256,
            written.signatures,
            None,
        );
        context.annotate(|| facts);
        context.annotate(|| subjects);
        context.emit(&human, &written)?;
        Ok(())
    }
}

fn written(signed: &Signed, file: PathBuf) -> Written<'_> {
    Written {
        file,
        statement_sha256: sha256(signed.envelope.unverified_payload()),
        signatures: signed.envelope.signature_count(),
        statement: &signed.statement,
    }
}

/// Fails when an artefact differs, and, when all are demanded, when one is not there.
pub(crate) fn require(checked: &[CheckedArtifact], all: bool) -> Result<(), SignError> {
    let mut differing = checked.iter().filter_map(|artifact| match &artifact.found {
        Found::Differs { path, problem } => {
            Some(plain(&format!("`{}`: {problem}", path.display())))
        }
        Found::Checked | Found::Missing => None,
    });
    if let Some(first) = differing.next() {
        return Err(SignError::Artifacts {
            count: 1 + differing.count(),
            first,
        });
    }
    let missing: Vec<&str> = checked
        .iter()
        .filter(|artifact| artifact.found == Found::Missing)
        .map(|artifact| artifact.name.as_str())
        .collect();
    if !all || missing.is_empty() {
        return Ok(());
    }
    Err(SignError::Missing {
        count: missing.len(),
        total: checked.len(),
        names: plain(&missing.join(", ")),
    })
}
