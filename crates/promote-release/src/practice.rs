//! `practice`: an empty release walked through a process, with simulated time.
//!
//! A script says who records what when, and what is asked; everything else is real: artifacts are
//! built and read again, facts are signed and verified, decisions are made and logged, effects are
//! done. Keys come from fixed seeds, so a practice release is the same bytes every time, and its
//! signatures are worth nothing.

mod build;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fork_sign::SecretKey;
use fork_worker::{Context, WorkerResult};
use release_policy::manifest::Manifest;
use release_policy::{Digest, KeyId, Policy, Time};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::PracticeArgs;
use crate::deciding::{Artifacts, Asked, promote, word};
use crate::directory::{Opening, Release};
use crate::effects::Effects;
use crate::error::PromoteError;
use crate::fact::{self, Fact, OWN_NAMES};
use crate::info::info;
use crate::keys::{key_id, keys_text};
use crate::{inputs, page};
use script::{SCRIPTS, Script, Step};

/// How far the clock goes from one fact to the next, as in a script that names no other time.
const STEP: &str = "60s";

/// What came of a practice.
#[derive(Serialize)]
struct Practiced {
    name: String,
    policy: String,
    directory: PathBuf,
    entries: u64,
    last: Digest,
    lines: Vec<String>,
}

impl PracticeArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let all: Vec<&str> = SCRIPTS.iter().map(|(name, _)| *name).collect();
        if let Some(unknown) = self.names.iter().find(|name| !all.contains(&name.as_str())) {
            return Err(PromoteError::usage(
                format!("there is no practice of `{unknown}`"),
                format!("there are {}", all.join(", ")),
            )
            .into());
        }
        let wanted = |name: &str| self.names.is_empty() || self.names.iter().any(|one| one == name);
        let staged = fork_fs::StagedDir::create(&self.output, self.force)?;
        let mut practiced = Vec::new();
        let mut pages = Vec::new();
        for (name, text) in SCRIPTS.iter().filter(|(name, _)| wanted(name)) {
            let mut script = Script::parse(name, text)?;
            if let Some(step) = &self.before {
                script.stop_before(step).map_err(|()| {
                    PromoteError::usage(
                        format!("the practice of `{name}` has no step `{step}`"),
                        "name a fact of crates/promote-release/practice, or a question as enter:STAGE",
                    )
                })?;
            }
            let inside = staged.path().join(name);
            let walked = walk(name, &script, &inside)?;
            let release = Release::read(&inside.join(RELEASE))?;
            pages.push(info(&release)?);
            practiced.push(Practiced {
                name: (*name).to_owned(),
                policy: release.policy.id.clone(),
                directory: self.output.join(name).join(RELEASE),
                entries: release.log.head().entries,
                last: release.log.head().last,
                lines: walked,
            });
        }
        page::write_all(&staged.path().join("pages"), &pages)?;
        staged.commit()?;
        let mut human = String::new();
        for one in &practiced {
            human.push_str(&format!("{}\n", one.name));
            for line in &one.lines {
                human.push_str(&format!("  {line}\n"));
            }
            human.push_str(&format!(
                "  {} entries, {}\n\n",
                one.entries,
                one.directory.display()
            ));
        }
        human.push_str(&format!(
            "pages  {}\n",
            self.output.join("pages/index.html").display()
        ));
        context.emit(&human, &practiced)?;
        Ok(())
    }
}

/// Where a practice has its release and its artifacts.
const RELEASE: &str = "release";
const ARTIFACTS: &str = "artifacts";
const KEYS: &str = "keys";

/// A key that anybody can make.
fn practice_key(role: &str, number: usize) -> Result<SecretKey, PromoteError> {
    let seed = Digest::of(format!("forkpack practice, worth nothing: {role}/{number}").as_bytes());
    let mut bytes = [0; 32];
    // A digest has 32 bytes.
    let _ = hex::decode_to_slice(seed.hex(), &mut bytes);
    SecretKey::from_seed(&bytes).map_err(|source| PromoteError::Key {
        name: format!("the practice key of {role}"),
        source,
    })
}

/// The role whose practice key signs the end of the log.
const KEEPER: &str = "log";

/// Keys for every role, and their files.
fn keys(policy: &Policy, directory: &Path) -> Result<String, PromoteError> {
    let mut roles: BTreeMap<&str, BTreeSet<KeyId>> = BTreeMap::new();
    let mut public: BTreeMap<KeyId, String> = BTreeMap::new();
    let mut make = |role: &str, number: usize| -> Result<KeyId, PromoteError> {
        let key = practice_key(role, number)?;
        let id = key_id(key.public().id())?;
        let fault = |source| PromoteError::Key {
            name: format!("the practice key of {role}"),
            source,
        };
        public.insert(id.clone(), key.public().to_pem().map_err(fault)?);
        let pem = key.to_pem().map_err(fault)?;
        fork_fs::write_atomic(
            &directory.join(format!("{role}-{number}.pem")),
            pem.as_bytes(),
        )?;
        Ok(id)
    };
    fork_fs::create_dir_all(directory)?;
    for (name, role) in &policy.roles {
        for number in 0..role.threshold as usize {
            let id = make(name, number)?;
            roles.entry(name).or_default().insert(id);
        }
    }
    let log = BTreeSet::from([make(KEEPER, 0)?]);
    Ok(keys_text(&roles, &log, &public, &BTreeMap::new()))
}

/// Walks one script; returns what happened, a line each.
pub(crate) fn walk(name: &str, script: &Script, root: &Path) -> Result<Vec<String>, PromoteError> {
    let wrong = |problem: String| PromoteError::Practice {
        policy: name.to_owned(),
        problem,
    };
    let (policy_path, text, policy) = inputs::policy(&script.policy, &script.options)?;
    let keys_path = root.join(KEYS).join("keys.toml");
    let keys = keys(&policy, &root.join(KEYS))?;
    fork_fs::write_atomic(&keys_path, keys.as_bytes())?;
    let Some(Step::Clock { clock: start }) = script.steps.first() else {
        return Err(wrong("it does not begin with a time".to_owned()));
    };
    let release_root = root.join(RELEASE);
    let log_key = practice_key(KEEPER, 0)?;
    let opening = Opening {
        id: name,
        policy: (&policy_path, text),
        options: &script.options,
        keys: (&keys_path, keys),
        now: *start,
    };
    Release::create(&release_root, &opening, &log_key)?;
    let artifacts = root.join(ARTIFACTS);
    let mut practice = Practice {
        name,
        script,
        release: Release::read_to_write(&release_root)?,
        digests: build::build(script, &artifacts)?,
        artifacts,
        log_key,
        now: *start,
        manifest: None,
        lines: Vec::new(),
    };
    for file in script.files.keys() {
        let bytes = script.file_text(file).map_err(wrong)?.into_bytes();
        practice.release.add_raw(&format!("{file}.txt"), bytes)?;
    }
    for step in &script.steps {
        practice.step(step)?;
    }
    Ok(practice.lines)
}

/// A practice that goes on.
struct Practice<'a> {
    name: &'a str,
    script: &'a Script,
    release: Release,
    artifacts: PathBuf,
    /// Digests of the built artifacts.
    digests: BTreeMap<String, Digest>,
    log_key: SecretKey,
    now: Time,
    manifest: Option<Manifest>,
    lines: Vec<String>,
}

impl Practice<'_> {
    fn wrong(&self, problem: impl Into<String>) -> PromoteError {
        PromoteError::Practice {
            policy: self.name.to_owned(),
            problem: problem.into(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), PromoteError> {
        match step {
            Step::Clock { clock } => {
                self.now = *clock;
                Ok(())
            }
            Step::Fact {
                fact,
                name,
                by,
                scope,
                value,
            } => self.record(fact, name, by, scope, value.clone()),
            Step::Ask { ask, point, expect } => {
                let asked = Asked {
                    artifacts: Artifacts {
                        named: BTreeMap::new(),
                        directories: vec![self.artifacts.clone()],
                    },
                    stage: ask,
                    point: *point,
                    again: false,
                    now: self.now,
                };
                let effects = Effects::practice();
                let done = promote(&mut self.release, &asked, &effects, &self.log_key)?;
                let Some(decision) = done.decision else {
                    return Err(self.wrong(format!("{} {ask} was done already", point.name())));
                };
                let found = word(decision.verdict);
                self.lines.push(format!(
                    "{}  {found:<5} {} {ask}, attempt {}",
                    self.now,
                    point.name(),
                    decision.attempt
                ));
                let reasons = decision.reasons();
                for reason in &reasons {
                    self.lines.push(format!("                      {reason}"));
                }
                for one in &done.effects {
                    self.lines.push(format!(
                        "                      {} {}",
                        one.executor, one.target
                    ));
                }
                if found != expect.as_str() {
                    return Err(self.wrong(format!(
                        "{} {ask} is {found} where the script says {expect}: {}",
                        point.name(),
                        reasons.join("; ")
                    )));
                }
                Ok(())
            }
        }
    }

    fn record(
        &mut self,
        kind: &str,
        name: &str,
        by: &[String],
        scope: &str,
        mut value: Value,
    ) -> Result<(), PromoteError> {
        let step = STEP
            .parse()
            .map_err(|_| self.wrong("the step is no span"))?;
        self.now = self.now.plus(step);
        if kind == "manifest" {
            let directory = [build::of_build(&self.artifacts, build::number(&value))];
            build::strip(&mut value);
            inputs::complete(value.get_mut("artifact"), &BTreeMap::new(), &directory)?;
            value["release_id"] = json!(self.name);
        }
        self.resolve(&mut value)?;
        let fact = self.fact(kind, value)?;
        if let Fact::Manifest(manifest) = &fact {
            self.manifest = Some(manifest.as_ref().clone());
        }
        let scope = fact::scope(self.name, scope)?;
        let policy = &self.release.policy;
        let statement = fact.statement(policy, self.manifest.as_ref(), &scope, self.now)?;
        let mut signers = Vec::new();
        for one in by {
            let (role, number) = one.split_once('/').unwrap_or((one, "0"));
            let number = number
                .parse()
                .map_err(|_| self.wrong(format!("`{one}` is no key")))?;
            signers.push(practice_key(role, number)?);
        }
        let envelope = fact::envelope(statement, &signers)?;
        let path = Path::new(name);
        self.release
            .record(path, &envelope, self.now, &self.log_key)?;
        Ok(())
    }

    fn fact(&self, kind: &str, mut value: Value) -> Result<Fact, PromoteError> {
        let bad = |why: serde_json::Error| self.wrong(format!("a {kind}: {why}"));
        let text =
            |value: &Value, member: &str| value[member].as_str().unwrap_or_default().to_owned();
        Ok(match kind {
            "manifest" => Fact::Manifest(Box::new(serde_json::from_value(value).map_err(bad)?)),
            "test" => Fact::Test {
                result: text(&value, "result"),
                failed: match value.get_mut("failed") {
                    Some(failed) => serde_json::from_value(failed.take()).map_err(bad)?,
                    None => Vec::new(),
                },
                notes: value["notes"].take(),
            },
            "document" => Fact::Document {
                type_: text(&value, "type"),
                name: text(&value, "name"),
                digest: serde_json::from_value(value["file"].take()).map_err(bad)?,
            },
            other => {
                let name = OWN_NAMES.iter().find(|name| **name == other);
                let name = name.ok_or_else(|| self.wrong(format!("`{other}` is no fact")))?;
                if other == "deployment"
                    && let Some(members) = value.as_object_mut()
                {
                    let commit = self
                        .manifest
                        .as_ref()
                        .map(|manifest| json!(manifest.commit));
                    members
                        .entry("commit")
                        .or_insert(commit.unwrap_or_default());
                    members.entry("network_id").or_insert(json!("net-1"));
                }
                Fact::Own { name, value }
            }
        })
    }

    /// Puts digests where the script has `file:NAME`, `artifact:NAME` and `artifact-hex:NAME` (of another
    /// build, `artifact:BUILD/NAME`), and keys where it has `key:ROLE/N`.
    fn resolve(&self, value: &mut Value) -> Result<(), PromoteError> {
        match value {
            Value::String(text) => {
                let Some((kind, name)) = text.split_once(':') else {
                    return Ok(());
                };
                let artifact = |name: &str| {
                    let found = self.digests.get(name).copied();
                    found.ok_or_else(|| self.wrong(format!("there is no artifact `{name}`")))
                };
                *text = match kind {
                    "file" => {
                        let text = self.script.file_text(name).map_err(|why| self.wrong(why))?;
                        Digest::of(text.as_bytes()).to_string()
                    }
                    "artifact" => artifact(name)?.to_string(),
                    "artifact-hex" => artifact(name)?.hex(),
                    "key" => {
                        let (role, _) = name.split_once('/').unwrap_or((name, "0"));
                        key_id(practice_key(role, 0)?.public().id())?.to_string()
                    }
                    _ => return Ok(()),
                };
            }
            Value::Array(items) => {
                for item in items {
                    self.resolve(item)?;
                }
            }
            Value::Object(members) => {
                for item in members.values_mut() {
                    self.resolve(item)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
