//! `lint`, `explain`, `next-version`, `keys`, `open` and `open-proposal`.

use std::path::{Path, PathBuf};

use fork_worker::{Context, WorkerResult};
use release_policy::policy::check::Check;
use release_policy::store::FILE_BYTES_MAX;
use release_policy::version::next::{self, ChangeKind};
use release_policy::{Digest, Grammar, Policy, Version};
use serde::Serialize;
use serde_json::json;

use crate::args::{
    Change, ExplainArgs, KeysArgs, LintArgs, NextKind, NextVersionArgs, OpenArgs, OpenProposalArgs,
};
use crate::directory::{Opening, Release, read_policy_file};
use crate::error::PromoteError;
use crate::inputs::{self, SHIPPED};
use crate::keys::{PinnedKeys, write_keys};
use crate::{clock, recording};

/// What a policy has.
#[derive(Serialize)]
struct Linted {
    path: PathBuf,
    id: String,
    process: String,
    digest: Digest,
    stages: Vec<String>,
    gates: usize,
    options: Vec<String>,
}

impl LintArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let mut all = Vec::new();
        for name in &self.policies {
            let (path, _, policy) = inputs::policy(name, &[])?;
            let policy = match &self.keys {
                Some(keys) => with_keys(policy, keys)?,
                None => policy,
            };
            all.push(Linted {
                path,
                id: policy.id,
                process: policy.process,
                digest: policy.digest,
                stages: policy.stages.into_iter().map(|stage| stage.name).collect(),
                gates: policy.gates.len(),
                options: policy.options.into_keys().collect(),
            });
        }
        let lines: Vec<String> = all
            .iter()
            .map(|one| {
                format!(
                    "ok  {}  {} rules, stages {}, {}",
                    one.id,
                    one.gates,
                    one.stages.join(" "),
                    one.digest
                )
            })
            .collect();
        context.emit(&lines.join("\n"), &all)?;
        Ok(())
    }
}

fn with_keys(policy: Policy, path: &Path) -> Result<Policy, PromoteError> {
    let text = read_policy_file(path)?;
    PinnedKeys::parse(path, text.clone())?;
    policy
        .with_keys(&text)
        .map_err(|source| PromoteError::Policy {
            path: path.to_owned(),
            source,
        })
}

impl ExplainArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let names: Vec<String> = match &self.policy {
            Some(name) => vec![name.clone()],
            None => SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect(),
        };
        for name in &names {
            let (_, _, policy) = inputs::policy(name, &[])?;
            let (Some(text), Some(gate)) = (policy.explain(&self.rule), policy.gate(&self.rule))
            else {
                continue;
            };
            let object = json!({
                "rule": gate.id,
                "policy": policy.id,
                "title": gate.title,
                "explain": gate.explain,
                "source": gate.source,
                "stage": gate.stage,
                "on": gate.on,
                "effect": gate.effect,
                "signed_by": gate.signed_by,
                "may_be_waived": policy.waiver.gates.contains(&gate.id),
            });
            context.emit(&text, &object)?;
            return Ok(());
        }
        Err(PromoteError::usage(
            format!("no rule `{}` in {}", self.rule, names.join(", ")),
            "rules are called like S-19; names in lower case are the engine's own, and are in docs/release-policies.md",
        )
        .into())
    }
}

impl NextVersionArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let (_, _, policy) = inputs::policy(&self.policy, &self.options)?;
        let next = self.next(policy.grammar)?;
        let object = json!({
            "version": next.to_string(),
            "tag": next.tag(),
            "debian": next.debian(),
            "oci_tag": next.oci_tag(),
            "dns": next.dns(),
        });
        context.emit(&next.to_string(), &object)?;
        Ok(())
    }

    fn next(&self, grammar: Grammar) -> Result<Version, PromoteError> {
        let existing = self
            .existing
            .iter()
            .map(|text| grammar.parse(text))
            .collect::<Result<Vec<_>, _>>()?;
        let base = || -> Result<Version, PromoteError> {
            let text = self.base.as_deref().ok_or_else(|| {
                PromoteError::usage(
                    format!("a version of `{}` follows from another one", grammar.name()),
                    "name it with --base",
                )
            })?;
            Ok(grammar.parse(text)?)
        };
        let changes: Vec<ChangeKind> = self
            .change
            .iter()
            .map(|change| match change {
                Change::Fix => ChangeKind::Fix,
                Change::Feature => ChangeKind::Feature,
                Change::Breaking => ChangeKind::Breaking,
            })
            .collect();
        let none = || {
            Err(PromoteError::usage(
                format!("`{}` does not say what comes next", grammar.name()),
                "a version of this process is chosen by people",
            ))
        };
        Ok(match (grammar, self.kind) {
            (Grammar::SpliceBugfix, _) => next::splice(&base()?, &existing)?,
            (Grammar::MithrilPrerelease, _) => next::mithril_candidate(&base()?, &existing)?,
            (Grammar::MithrilYyww, _) => {
                let week = self.base.as_deref().unwrap_or_default();
                next::year_week(week.split('.').next().unwrap_or_default(), &existing)?
            }
            (Grammar::SemverBuildNumber | Grammar::SemverPre, NextKind::Candidate) => {
                next::build(&base()?, &existing)?
            }
            (Grammar::SemverBuildNumber | Grammar::SemverPre, NextKind::Release) => {
                next::bumped(&base()?, &changes)?
            }
            (Grammar::OpUpgrade, _) => next::upgrade(&existing)?,
            (Grammar::DebianSemver, _) => return none(),
        })
    }
}

impl KeysArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        if fork_fs::exists(&self.output) {
            let path = self.output.clone();
            return Err(PromoteError::Exists { path }.into());
        }
        let text = write_keys(&self.roles, &self.log, &self.expires)?;
        let pinned = PinnedKeys::parse(&self.output, text.clone())?;
        if let Some(name) = &self.policy {
            let (_, _, policy) = inputs::policy(name, &[])?;
            policy
                .with_keys(&text)
                .map_err(|source| PromoteError::Policy {
                    path: self.output.clone(),
                    source,
                })?;
        }
        fork_fs::write_atomic(&self.output, text.as_bytes())?;
        let digest = Digest::of(text.as_bytes());
        let human = format!("keys    {}\ndigest  {digest}", self.output.display());
        let object = json!({
            "file": self.output,
            "digest": digest,
            "roles": pinned.keys.roles,
            "log": pinned.keys.log,
            "expires": pinned.keys.expires,
        });
        context.emit(&human, &object)?;
        Ok(())
    }
}

impl OpenArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let (path, text) = inputs::policy_text(&self.policy)?;
        let keys = read_policy_file(&self.keys)?;
        let pinned = PinnedKeys::parse(&self.keys, keys.clone())?;
        let signers = self.signing.signers()?;
        let key = self.signing.log_key_of(&pinned, &signers)?;
        let opening = Opening {
            id: &self.id,
            policy: (&path, text),
            options: &self.options,
            keys: (&self.keys, keys),
            now: clock::now(self.time.now),
        };
        Release::create(&self.release, &opening, &key)?;
        let release = Release::read(&self.release)?;
        let human = format!(
            "opened  {} ({})\npolicy  {} {}\nkeys    {}",
            self.release.display(),
            self.id,
            release.policy.id,
            release.policy.digest,
            Digest::of(release.keys.text.as_bytes())
        );
        let object = json!({
            "release": self.id,
            "directory": self.release,
            "policy": release.policy.digest,
            "options": release.policy.options_used,
            "keys": Digest::of(release.keys.text.as_bytes()),
        });
        context.emit(&human, &object)?;
        Ok(())
    }
}

impl OpenProposalArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let mut release = Release::read_to_write(&self.release.release)?;
        self.release.expect(&release)?;
        let now = clock::now(self.time.now);
        let bytes = fork_fs::read_limited(&self.file, FILE_BYTES_MAX as u64)?;
        require_sections(&release, &bytes)?;
        let name = self.file.display().to_string();
        let digest = Digest::of(&bytes);
        let envelope =
            recording::document_draft(&mut release, "proposal", &name, bytes, &self.signing, now)?;
        let human = format!("proposal  {digest}\nrecorded  {envelope}");
        context.emit(&human, &json!({"proposal": digest, "envelope": envelope}))?;
        Ok(())
    }
}

/// Fails with the missing sections of a proposal, if the policy asks for any.
fn require_sections(release: &Release, bytes: &[u8]) -> Result<(), PromoteError> {
    let gate = release
        .policy
        .gates
        .iter()
        .find_map(|gate| match &gate.check {
            Check::Sections { r#type, sections } if r#type == "proposal" => Some((gate, sections)),
            _ => None,
        });
    let Some((gate, wanted)) = gate else {
        return Err(PromoteError::usage(
            format!("the policy `{}` has no proposals", release.policy.id),
            "record it as a document",
        ));
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| PromoteError::input("the proposal", "it is not UTF-8"))?;
    release_policy::document::read::<release_policy::document::Proposal>(text)
        .map_err(|why| PromoteError::input("the proposal", why))?;
    let there = release_policy::document::sections(text)
        .map_err(|why| PromoteError::input("the proposal", why))?;
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|name| !there.contains(*name))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(PromoteError::Wrong {
        what: format!("the proposal ({})", gate.id),
        expected: format!("all sections of {}", wanted.join(", ")),
        found: format!("without {}", missing.join(", ")),
    })
}
