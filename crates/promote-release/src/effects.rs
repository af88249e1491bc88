//! What is done after an `ALLOW`: planned by the policy, done by a program or, for the simple kinds, by
//! writing a file; looked at before, so that nothing is done twice, and afterwards; then recorded.

mod kept;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_sign::SecretKey;
use release_policy::action::{Planned, plan};
use release_policy::log::Body;
use release_policy::manifest::Manifest;
use release_policy::policy::{Executor, Identity};
use release_policy::state::{State, StateError};
use release_policy::statement::Predicate;
use release_policy::{Digest, Point, Policy, Time};
use serde::{Deserialize, Serialize};

use crate::deciding::Artifacts;
use crate::directory::{Release, read_policy_file};
use crate::error::PromoteError;
use crate::measure::{self, Places};
use crate::{page, texts};
pub(crate) use kept::differences;
use program::Program;

/// Where the executors that need no program write.
const DIRECTORY: &str = "effects";

/// Programs by the action or executor they are for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Programs {
    #[serde(default)]
    action: BTreeMap<String, Program>,
    #[serde(default)]
    executor: BTreeMap<String, Program>,
}

/// Who does what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    programs: Programs,
    /// Whether every executor writes a file, as in practice.
    practice: bool,
}

/// Something that was done.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Performed {
    pub(crate) action: String,
    pub(crate) executor: &'static str,
    pub(crate) target: String,
    pub(crate) result: String,
}

/// Name of an executor as policies have it.
pub(crate) fn name_of(executor: Executor) -> &'static str {
    match executor {
        Executor::Branch => "branch",
        Executor::Dns => "dns",
        Executor::Page => "page",
        Executor::Announce => "announce",
        Executor::Suite => "suite",
        Executor::Tag => "tag",
        Executor::Retire => "retire",
        Executor::Exec => "exec",
    }
}

/// Whether writing a file does it, when no program is named.
fn needs_no_program(executor: Executor) -> bool {
    match executor {
        Executor::Branch
        | Executor::Dns
        | Executor::Page
        | Executor::Announce
        | Executor::Retire => true,
        Executor::Suite | Executor::Tag | Executor::Exec => false,
    }
}

impl Effects {
    /// Reads the file of programs.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, PromoteError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = read_policy_file(path)?;
        let programs: Programs = toml::from_str(&text)
            .map_err(|source| PromoteError::file(path, source.message().to_owned()))?;
        for (name, program) in programs.action.iter().chain(&programs.executor) {
            if program.run.is_empty() || program.check.is_empty() {
                let problem = format!("`{name}` needs both `run` and `check`");
                return Err(PromoteError::file(path, problem));
            }
        }
        for name in programs.executor.keys() {
            let known = [
                Executor::Branch,
                Executor::Dns,
                Executor::Page,
                Executor::Announce,
                Executor::Suite,
                Executor::Tag,
                Executor::Retire,
                Executor::Exec,
            ];
            if !known.iter().any(|executor| name_of(*executor) == name) {
                return Err(PromoteError::file(path, format!("`{name}` is no executor")));
            }
        }
        Ok(Self {
            programs,
            practice: false,
        })
    }

    /// Every executor writes a file and does nothing else.
    pub(crate) fn practice() -> Self {
        Self {
            programs: Programs::default(),
            practice: true,
        }
    }

    fn program(&self, action: &str, executor: Executor) -> Option<&Program> {
        let programs = &self.programs;
        let by_name = programs.action.get(action);
        by_name.or_else(|| programs.executor.get(name_of(executor)))
    }

    fn can(&self, action: &str, executor: Executor, target: &str) -> Result<(), PromoteError> {
        if self.practice || needs_no_program(executor) || self.program(action, executor).is_some() {
            return Ok(());
        }
        Err(PromoteError::NoExecutor {
            executor: name_of(executor).to_owned(),
            target: target.to_owned(),
        })
    }

    /// Fails unless somebody is named for everything that an ALLOW there would ask for.
    pub(crate) fn require(
        &self,
        policy: &Policy,
        stage: &str,
        point: Point,
    ) -> Result<(), PromoteError> {
        let mut actions = policy.actions.iter();
        actions
            .by_ref()
            .filter(|action| action.stage == stage && action.on == point)
            .try_for_each(|action| self.can(&action.id, action.executor, &action.target))
    }

    /// Does everything that is allowed and not done, in order, and records each thing when it is seen
    /// to be done.
    pub(crate) fn perform(
        &self,
        release: &mut Release,
        artifacts: &Artifacts,
        now: Time,
        key: &SecretKey,
    ) -> Result<Vec<Performed>, PromoteError> {
        let planned = plan(&release.policy, &release.log, &release.store)
            .map_err(|source| release.state_error(source))?;
        let mut performed = Vec::new();
        for planned in planned.into_iter().filter(|one| one.done.is_none()) {
            self.can(&planned.id, planned.executor, &planned.target)?;
            let result = match self.program(&planned.id, planned.executor) {
                Some(program) => {
                    // What was allowed is done to what was decided on, also when a later command
                    // does it: another manifest may hold by then, and files may have changed.
                    let state = release.state()?;
                    let manifest = manifest_of(release, &state, &planned)?;
                    let places = measure::find(manifest, &artifacts.named, &artifacts.directories)?;
                    unchanged(release, manifest, &places)?;
                    let values = values(release, manifest, &planned, &places)?;
                    program.perform(name_of(planned.executor), &planned.target, &values)?
                }
                None => write(release, &planned)?,
            };
            let body = Body::Acted {
                action: planned.id.clone(),
                key: planned.key,
                result: result.clone(),
            };
            release.append(now, body, key)?;
            performed.push(Performed {
                action: planned.id,
                executor: name_of(planned.executor),
                target: planned.target,
                result,
            });
        }
        Ok(performed)
    }
}

/// The manifest that was decided on.
fn manifest_of<'a>(
    release: &Release,
    state: &State<'a>,
    planned: &Planned,
) -> Result<&'a Manifest, PromoteError> {
    let mut all = state.manifests.iter();
    let found = all.find(|(envelope, _)| *envelope == planned.manifest);
    let (_, manifest) = found.ok_or_else(|| release.state_error(StateError::NoManifest))?;
    Ok(manifest)
}

/// Fails unless every artifact that is handed to a program is the one that was decided on.
pub(crate) fn unchanged(
    release: &Release,
    manifest: &Manifest,
    places: &Places,
) -> Result<(), PromoteError> {
    let measured = measure::measure(manifest, places)?;
    for artifact in &manifest.artifact {
        let Some(found) = measured.get(&artifact.name) else {
            continue;
        };
        let (expected, found) = match (release.policy.identity, artifact.payload) {
            (Identity::Payload, Some(payload)) => (Some(payload), found.payload),
            _ => (Some(artifact.digest), Some(found.digest)),
        };
        if expected != found {
            let text =
                |digest: Option<Digest>| digest.map_or_else(String::new, |one| one.to_string());
            return Err(PromoteError::Wrong {
                what: format!("artifact `{}`", artifact.name),
                expected: text(expected),
                found: text(found),
            });
        }
    }
    Ok(())
}

/// Does something by writing a file; one that is as it should be stays.
fn write(release: &Release, planned: &Planned) -> Result<String, PromoteError> {
    let state = release.state()?;
    let manifest = manifest_of(release, &state, planned)?;
    let text = match planned.executor {
        Executor::Branch => format!("{}\n", manifest.commit),
        Executor::Dns => format!("{}\n", network(release)?),
        Executor::Page => page::release_page(release)?,
        Executor::Announce => texts::announcement(release)?,
        Executor::Retire => texts::retirement(release, &planned.target)?,
        Executor::Suite | Executor::Tag | Executor::Exec => {
            let lines = manifest
                .artifact
                .iter()
                .map(|artifact| format!("{}  {}\n", artifact.digest, artifact.name));
            lines.collect()
        }
    };
    let path = path_of(release, planned)?;
    // The page says what was done too, so it is written again; that harms nobody.
    let there = fork_fs::exists(&path)
        && fork_fs::read_limited(&path, crate::page::PAGE_BYTES_MAX)? == text.as_bytes();
    if !there {
        fork_fs::create_dir_all(path.parent().unwrap_or(release.root()))?;
        fork_fs::write_atomic(&path, text.as_bytes())?;
    }
    let seen = fork_fs::sha256_file(&path)?.sha256;
    let wanted = release_policy::Digest::of(text.as_bytes());
    if seen != wanted.hex() {
        return Err(PromoteError::Effect {
            what: name_of(planned.executor).to_owned(),
            target: planned.target.clone(),
            problem: format!("`{}` is not what was written", path.display()),
        });
    }
    Ok(format!("{}{wanted}", kept::WROTE))
}

/// The file that an effect is, when no program does it.
fn path_of(release: &Release, planned: &Planned) -> Result<PathBuf, PromoteError> {
    let ending = match planned.executor {
        Executor::Page => ".html",
        Executor::Announce => ".md",
        Executor::Branch
        | Executor::Dns
        | Executor::Retire
        | Executor::Suite
        | Executor::Tag
        | Executor::Exec => "",
    };
    let root = release.root().join(DIRECTORY);
    let directory = root.join(name_of(planned.executor));
    Ok(fork_fs::child(
        &directory,
        &format!("{}{ending}", planned.target),
    )?)
}

/// Name of the network that was deployed last, or the version where none was.
pub(crate) fn network(release: &Release) -> Result<String, PromoteError> {
    let state = release.state()?;
    let last = state
        .facts
        .iter()
        .rev()
        .find_map(|fact| match &fact.evidence.predicate {
            Predicate::Deployment(deployment) => Some(deployment.network_id.clone()),
            _ => None,
        });
    Ok(match (last, state.manifests.last()) {
        (Some(network), _) => network,
        (None, Some((_, manifest))) => manifest.version.clone(),
        (None, None) => state.release.clone(),
    })
}

/// What programs may be told, by name.
fn values(
    release: &Release,
    manifest: &Manifest,
    planned: &Planned,
    places: &Places,
) -> Result<BTreeMap<String, String>, PromoteError> {
    let grammar = release.policy.grammar;
    let version = match manifest.tag.as_deref() {
        Some(tag) => grammar.parse_tag(tag),
        None => grammar.parse(&manifest.version),
    };
    let mut values = BTreeMap::from([
        // A brace of its own, for programs that want one.
        ("open".to_owned(), "{".to_owned()),
        ("close".to_owned(), "}".to_owned()),
        ("target".to_owned(), planned.target.clone()),
        ("key".to_owned(), planned.key.hex()),
        ("release".to_owned(), release.id().to_owned()),
        ("version".to_owned(), manifest.version.clone()),
        ("commit".to_owned(), manifest.commit.to_string()),
        ("directory".to_owned(), release.root().display().to_string()),
        ("network".to_owned(), network(release)?),
    ]);
    if let Some(tag) = &manifest.tag {
        values.insert("tag".to_owned(), tag.clone());
    }
    if let Ok(version) = version {
        values.insert("oci_tag".to_owned(), version.oci_tag());
        values.insert("debian".to_owned(), version.debian());
    }
    for artifact in &manifest.artifact {
        let name = &artifact.name;
        values.insert(format!("digest:{name}"), artifact.digest.to_string());
        values.insert(format!("hex:{name}"), artifact.digest.hex());
        if let Some(path) = places.get(name) {
            values.insert(format!("file:{name}"), path.display().to_string());
        }
    }
    // Texts are files, so that programs can send them.
    for (name, executor, text) in [
        (
            "page",
            Executor::Page,
            page::release_page as fn(&Release) -> _,
        ),
        ("announcement", Executor::Announce, texts::announcement),
    ] {
        if planned.executor == executor {
            let directory = release.root().join(DIRECTORY);
            fork_fs::create_dir_all(&directory)?;
            let path: PathBuf = directory.join(format!("{name}-{}", planned.key.hex()));
            fork_fs::write_atomic(&path, text(release)?.as_bytes())?;
            values.insert(name.to_owned(), path.display().to_string());
        }
    }
    Ok(values)
}
