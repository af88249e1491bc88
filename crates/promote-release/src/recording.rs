//! `record`: facts from envelopes, or from what a command line says and a key signs.

mod args;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fork_sign::{ENVELOPE_BYTES_MAX, SecretKey};
use fork_worker::{Context, ReportingArgs, WorkerResult};
use release_policy::mail::Mail;
use release_policy::manifest::Manifest;
use release_policy::statement::{Choice, Scope};
use release_policy::store::FILE_BYTES_MAX;
use release_policy::{Digest, Evidence, Time, never_counts};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::SigningArgs;
use crate::directory::Release;
use crate::error::PromoteError;
use crate::fact::{Fact, OWN_NAMES, envelope};
use crate::{clock, inputs};

use args::{AboutArgs, CommonArgs, ManifestArgs, TestArgs, VoteArgs};
pub use args::{RecordArgs, What};

/// Largest JSON text that an option takes, in bytes.
const DATA_BYTES_MAX: u64 = 1 << 20;

/// A fact, ready to be signed.
struct Draft {
    fact: Fact,
    scope: Scope,
    at: Time,
    raw: Vec<(String, Vec<u8>)>,
    sign_only: Option<PathBuf>,
}

/// What was recorded.
#[derive(Serialize)]
struct Recorded {
    release: String,
    envelope: Digest,
    new: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    entries: u64,
}

impl What {
    fn common(&self) -> &CommonArgs {
        match self {
            Self::Evidence(args) => &args.common,
            Self::Manifest(args) => &args.common,
            Self::Document(args) => &args.common,
            Self::Vote(args) => &args.common,
            Self::Observe(args) => &args.common,
            Self::Deploy(args) => &args.common,
            Self::Test(args) => &args.common,
            Self::Checksums(args) => &args.common,
            Self::Approve(args) => &args.common,
            Self::Waive(args) => &args.common,
            Self::Fail(args) => &args.common,
        }
    }
}

impl RecordArgs {
    pub(crate) fn reporting(&self) -> &ReportingArgs {
        &self.what.common().reporting
    }

    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let common = self.what.common();
        let now = clock::now(common.time.now);
        let mut release = Release::read_to_write(&common.release.release)?;
        common.release.expect(&release)?;
        let signers = common.signing.signers()?;
        let recorded = if let What::Evidence(args) = &self.what {
            let log_key = common.signing.log_key(&release, &signers)?;
            let bytes = fork_fs::read_limited(&args.envelope, ENVELOPE_BYTES_MAX)?;
            let evidence =
                crate::directory::read_evidence(&args.envelope, &bytes, &release.keys, now)?;
            may_count(&release, &evidence)?;
            for (name, bytes) in raw_files(&args.raw)? {
                release.add_raw(&name, bytes)?;
            }
            record(&mut release, &args.envelope, &bytes, now, &log_key)?
        } else {
            let draft = self.what.draft(&release, now)?;
            write(&mut release, draft, &signers, &common.signing, now)?
        };
        let human = match (&recorded.file, recorded.new) {
            (Some(file), _) => format!(
                "signed    {}\nenvelope  {}",
                file.display(),
                recorded.envelope
            ),
            (None, true) => format!(
                "recorded  {}\nentries   {}",
                recorded.envelope, recorded.entries
            ),
            (None, false) => format!("recorded  {} (it was there already)", recorded.envelope),
        };
        context.emit(&human, &recorded)?;
        Ok(())
    }
}

fn record(
    release: &mut Release,
    path: &Path,
    bytes: &[u8],
    now: Time,
    log_key: &SecretKey,
) -> Result<Recorded, PromoteError> {
    let (envelope, new) = release.record(path, bytes, now, log_key)?;
    Ok(Recorded {
        release: release.id().to_owned(),
        envelope,
        new,
        file: None,
        entries: release.log.head().entries,
    })
}

/// Fails when no rule can ever count the fact: it would look recorded, and help nobody.
fn may_count(release: &Release, evidence: &Evidence) -> Result<(), PromoteError> {
    match never_counts(&release.policy, evidence) {
        None => Ok(()),
        Some(never) => Err(PromoteError::usage(
            format!("it would never count: {}", never.why),
            never.instead,
        )),
    }
}

/// Signs a fact and records it, or writes it for somebody else to record.
fn write(
    release: &mut Release,
    draft: Draft,
    signers: &[SecretKey],
    signing: &SigningArgs,
    now: Time,
) -> Result<Recorded, PromoteError> {
    if signers.is_empty() {
        return Err(PromoteError::NoKey {
            what: "the fact",
            variable: crate::keys::KEY_VARIABLE,
        });
    }
    let state = release.state()?;
    let manifest = state.manifest().ok().map(|(_, manifest)| manifest.clone());
    let statement =
        draft
            .fact
            .statement(&release.policy, manifest.as_ref(), &draft.scope, draft.at)?;
    let bytes = envelope(statement, signers)?;
    let name = Path::new("the signed statement");
    if let Some(file) = draft.sign_only {
        // It has to be good for whoever records it.
        let evidence = crate::directory::read_evidence(name, &bytes, &release.keys, now)?;
        may_count(release, &evidence)?;
        fork_fs::write_atomic(&file, &bytes)?;
        return Ok(Recorded {
            release: release.id().to_owned(),
            envelope: evidence.envelope,
            new: false,
            file: Some(file),
            entries: release.log.head().entries,
        });
    }
    let log_key = signing.log_key(release, signers)?;
    let evidence = crate::directory::read_evidence(name, &bytes, &release.keys, now)?;
    may_count(release, &evidence)?;
    for (name, bytes) in draft.raw {
        release.add_raw(&name, bytes)?;
    }
    record(release, name, &bytes, now, &log_key)
}

/// Records a document under the first role that signs: used by `open-proposal`.
pub(crate) fn document_draft(
    release: &mut Release,
    type_: &str,
    name: &str,
    bytes: Vec<u8>,
    signing: &SigningArgs,
    now: Time,
) -> Result<Digest, PromoteError> {
    let draft = Draft {
        fact: Fact::Document {
            type_: type_.to_owned(),
            name: name.to_owned(),
            digest: Digest::of(&bytes),
        },
        scope: crate::fact::scope(release.id(), "*")?,
        at: now,
        raw: vec![(name.to_owned(), bytes)],
        sign_only: None,
    };
    let signers = signing.signers()?;
    Ok(write(release, draft, &signers, signing, now)?.envelope)
}

pub(crate) fn raw_files(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, PromoteError> {
    paths
        .iter()
        .map(|path| {
            let bytes = fork_fs::read_limited(path, FILE_BYTES_MAX as u64)?;
            Ok((path.display().to_string(), bytes))
        })
        .collect()
}

/// JSON in an option, or in a file behind `@`.
fn data(text: &str) -> Result<Value, PromoteError> {
    let (name, bytes) = match text.strip_prefix('@') {
        Some(path) => (
            format!("`{path}`"),
            fork_fs::read_limited(Path::new(path), DATA_BYTES_MAX)?,
        ),
        None => ("--data".to_owned(), text.as_bytes().to_vec()),
    };
    serde_json::from_slice(&bytes).map_err(|source| PromoteError::input(name, source.to_string()))
}

impl AboutArgs {
    /// The scope: of the attempt that goes on at the stage, or is over and passed; else of the next.
    fn scope(&self, release: &Release) -> Result<Scope, PromoteError> {
        let stage = self.stage.clone();
        if stage == "*" {
            if self.attempt.is_some() {
                return Err(PromoteError::usage(
                    "--attempt without --stage",
                    "name the stage, or leave both out",
                ));
            }
            return crate::fact::scope(release.id(), "*");
        }
        if release.policy.stage(&stage).is_none() {
            return Err(release.state_error(release_policy::state::StateError::NoStage(stage)));
        }
        let state = release.state()?;
        let attempt = self.attempt.unwrap_or_else(|| match state.last(&stage) {
            Some((number, attempt)) if attempt.is_open() || attempt.is_passed() => number,
            Some((number, _)) => number + 1,
            None => 1,
        });
        Ok(Scope {
            release: release.id().to_owned(),
            stage,
            attempt,
        })
    }

    fn draft(
        &self,
        release: &Release,
        now: Time,
        fact: Fact,
        raw: Vec<(String, Vec<u8>)>,
    ) -> Result<Draft, PromoteError> {
        Ok(Draft {
            fact,
            scope: self.scope(release)?,
            at: self.at.unwrap_or(now),
            raw,
            sign_only: self.sign_only.clone(),
        })
    }
}

fn own(name: &'static str, value: Value) -> Fact {
    debug_assert!(OWN_NAMES.contains(&name), "a predicate of ours");
    Fact::Own { name, value }
}

fn observation(kind: &str, data: Value) -> Fact {
    own("observation", json!({"seen": {"kind": kind, "data": data}}))
}

impl What {
    fn draft(&self, release: &Release, now: Time) -> Result<Draft, PromoteError> {
        match self {
            Self::Evidence(_) => Err(PromoteError::usage("an envelope is no draft", "")),
            Self::Manifest(args) => args.draft(release, now),
            Self::Vote(args) => args.draft(release, now),
            Self::Document(args) => {
                let mut raw = raw_files(&[vec![args.file.clone()], args.raw.clone()].concat())?;
                let digest = Digest::of(&raw[0].1);
                let name = args.file.file_name().unwrap_or_default().to_string_lossy();
                let name = args.name.clone().unwrap_or_else(|| name.into_owned());
                raw.rotate_left(1);
                let type_ = args.type_.clone();
                let fact = Fact::Document {
                    type_,
                    name,
                    digest,
                };
                args.about.draft(release, now, fact, raw)
            }
            Self::Observe(args) => {
                let fact = observation(&args.kind, data(&args.data)?);
                args.about.draft(release, now, fact, raw_files(&args.raw)?)
            }
            Self::Deploy(args) => {
                let mut value = data(&args.data)?;
                let state = release.state()?;
                let manifest = state
                    .manifest()
                    .map_err(|source| release.state_error(source))?
                    .1;
                let members = value
                    .as_object_mut()
                    .ok_or_else(|| PromoteError::input("--data", "expected a JSON object"))?;
                members.insert("event".to_owned(), json!(args.event));
                members.insert("network_id".to_owned(), json!(args.network));
                members
                    .entry("commit")
                    .or_insert_with(|| json!(manifest.commit));
                args.about
                    .draft(release, now, own("deployment", value), Vec::new())
            }
            Self::Test(args) => args.draft(release, now),
            Self::Checksums(args) => {
                let bytes = fork_fs::read_limited(&args.file, FILE_BYTES_MAX as u64)?;
                let seen = inputs::checksums(release, &args.file, &bytes, now)?;
                let raw = vec![(args.file.display().to_string(), bytes)];
                args.about
                    .draft(release, now, observation("checksums", seen), raw)
            }
            Self::Approve(args) => {
                let mut value = json!({
                    "item": args.item,
                    "verdict": args.verdict,
                    "by": args.by,
                    "lists": args.lists,
                });
                if let Some(date) = args.date {
                    value["date"] = json!(date);
                }
                args.about
                    .draft(release, now, own("approval", value), Vec::new())
            }
            Self::Waive(args) => {
                let value = json!({
                    "gate": args.gate,
                    "hits": args.hit,
                    "reason": args.reason,
                    "risk": args.risk,
                    "expires": args.expires,
                });
                args.about
                    .draft(release, now, own("waiver", value), Vec::new())
            }
            Self::Fail(args) => {
                if args.about.stage == "*" {
                    return Err(PromoteError::usage(
                        "an attempt at which stage failed?",
                        "name it with --stage",
                    ));
                }
                let fact = observation("failure", json!({"cause": args.cause}));
                args.about.draft(release, now, fact, Vec::new())
            }
        }
    }
}

impl TestArgs {
    fn draft(&self, release: &Release, now: Time) -> Result<Draft, PromoteError> {
        let mut raw = Vec::new();
        let (result, failed) = match (&self.report, &self.result) {
            (Some(path), _) => {
                let bytes = fork_fs::read_limited(path, FILE_BYTES_MAX as u64)?;
                let found = inputs::report(release, path, &bytes, &self.check)?;
                raw.push((path.display().to_string(), bytes));
                found
            }
            (None, result) => (
                result.clone().unwrap_or_default().to_ascii_uppercase(),
                self.failed.clone(),
            ),
        };
        let covers: BTreeSet<&String> = self.covers.iter().collect();
        let mut notes = json!({"suite": self.suite, "covers": covers});
        if let Some(feature) = &self.feature {
            notes["feature"] = json!(feature);
        }
        if let Some(seed) = &self.seed {
            notes["seed"] = json!(seed);
        }
        let fact = Fact::Test {
            result,
            failed,
            notes,
        };
        self.about.draft(release, now, fact, raw)
    }
}

impl ManifestArgs {
    fn draft(&self, release: &Release, now: Time) -> Result<Draft, PromoteError> {
        let places: BTreeMap<String, PathBuf> = self.artifact.iter().cloned().collect();
        let manifest: Manifest =
            inputs::manifest(release, &self.manifest, &places, &self.artifacts)?;
        if let Some(signed) = &self.signed {
            inputs::compare_with_signed(release, &manifest, signed)?;
        }
        Ok(Draft {
            fact: Fact::Manifest(Box::new(manifest)),
            scope: crate::fact::scope(release.id(), "*")?,
            at: now,
            raw: Vec::new(),
            sign_only: self.sign_only.clone(),
        })
    }
}

impl VoteArgs {
    fn draft(&self, release: &Release, now: Time) -> Result<Draft, PromoteError> {
        let (proposal, roster) = inputs::proposal(release)?;
        let channel = match (&self.channel, &release.policy.vote) {
            (Some(channel), _) => channel.clone(),
            (None, Some(rules)) => rules.channels.first().cloned().unwrap_or_default(),
            (None, None) => {
                return Err(PromoteError::usage(
                    format!("the policy `{}` has no vote", release.policy.id),
                    "record an approval, or a veto with --channel",
                ));
            }
        };
        let mut raw = Vec::new();
        let mut value = json!({"proposal": proposal, "channel": channel});
        let (voter, choice): (String, Choice) = match (&self.mail, self.choice) {
            (Some(path), _) => {
                let bytes = fork_fs::read_limited(path, FILE_BYTES_MAX as u64)?;
                let unreadable = |why: String| PromoteError::file(path, why);
                let said = Mail::parse(&bytes)
                    .and_then(|mail| mail.vote())
                    .map_err(unreadable)?;
                let by_address = || {
                    let operators = &roster.as_ref()?.operators;
                    let found = operators.iter().find(|(_, all)| all.contains(&said.from));
                    found.map(|(name, _)| name.clone())
                };
                let voter = self.voter.clone().or_else(by_address).ok_or_else(|| {
                    PromoteError::file(path, format!("`{}` is in no roster", said.from))
                })?;
                value["proposal"] = json!(said.proposal);
                value["raw"] = json!(Digest::of(&bytes));
                raw.push((path.display().to_string(), bytes));
                (voter, said.choice)
            }
            (None, Some(choice)) => (self.voter.clone().unwrap_or_default(), choice.into()),
            (None, None) => {
                return Err(PromoteError::usage(
                    "neither --mail nor --choice",
                    "name the mail, or the choice",
                ));
            }
        };
        value["voter"] = json!(voter);
        value["choice"] = json!(choice);
        Ok(Draft {
            fact: own("vote", value),
            scope: crate::fact::scope(release.id(), "*")?,
            at: now,
            raw,
            sign_only: self.sign_only.clone(),
        })
    }
}
