//! What a step's result depends on: when none of it changed, the result need not be made again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fork_fs::Operation;
use serde::{Deserialize, Serialize};

use crate::agent::{AGENT_NAME, STEP_VARIABLE};
use crate::answers::Answers;
use crate::contents::{Contents, digest_of};
use crate::error::PipelineError;
use crate::glob::Pattern;
use crate::interpolate::Environment;
use crate::pipeline::{Plan, Step};

/// Grows when the meaning of a fingerprint changes, so that older results do not match.
const GENERATION: u32 = 2;

/// Variables that decide what workers write without a script naming them.
const READ_BY_WORKERS: [&str; 2] = ["SOURCE_DATE_EPOCH", "FORKPACK_FORMAT"];

/// Commands that read any of the pipeline's variables: what is uploaded may name them all, and the check
/// of them looks at all.
const READ_ALL_VARIABLES: [&str; 2] = ["pipeline upload", "pipeline-step check-env"];

/// What stands for the value of a secret, here and in everything that is written and said.
const SECRET: &str = "(secret)";

/// Whether a variable's name says that nobody may see its value. A file with a key in it is named
/// `..._KEY_FILE`; its path is no secret.
pub(crate) fn is_secret(name: &str) -> bool {
    if name == STEP_VARIABLE {
        return false;
    }
    let name = name.to_ascii_uppercase();
    name.ends_with("_KEY")
        || ["SECRET", "PASSWORD", "PASSPHRASE", "TOKEN", "CREDENTIAL"]
            .iter()
            .any(|word| name.contains(word))
}

/// What a step's result depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    generation: u32,
    /// The shell script.
    script: String,
    /// What it leaves for others.
    artifact_paths: Vec<String>,
    /// The variables it names, its own, and those that workers read; not the values of secrets.
    variables: BTreeMap<String, String>,
    /// Digests of the files and directories that those variables name, by variable.
    files: BTreeMap<String, String>,
    /// Variables that name something on another machine, which may have changed unseen.
    remote: BTreeSet<String>,
    /// Digests of the programs beside this one that the script calls, by name.
    programs: BTreeMap<String, String>,
    /// Digests of the artifacts it fetches, by step and path.
    artifacts: BTreeMap<String, String>,
    /// What was answered before it, by step and field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<String, String>,
}

/// What there is to fetch: path and SHA-256 of every artifact, by step.
pub(crate) type Available = BTreeMap<String, BTreeMap<String, String>>;

/// Where fingerprints are taken.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    /// Variables for every step; the plan's win over them.
    pub(crate) environment: &'a Environment,
    /// Directory of the workers.
    pub(crate) programs: &'a Path,
    pub(crate) contents: &'a Contents,
    /// What persons answered, by step and field.
    pub(crate) answers: &'a Answers,
}

impl Context<'_> {
    /// The fingerprint of a step whose dependencies left `available`.
    pub(crate) fn fingerprint(
        &self,
        step: &Step,
        available: &Available,
    ) -> Result<Fingerprint, PipelineError> {
        let variables = self.variables(step);
        let mut files = BTreeMap::new();
        let mut remote = BTreeSet::new();
        for (name, value) in &variables {
            if is_remote(value) {
                remote.insert(name.clone());
            } else if let Some(path) = named_path(value) {
                files.insert(name.clone(), self.contents.digest(&path)?);
            }
        }
        Ok(Fingerprint {
            generation: GENERATION,
            script: step.script.clone(),
            artifact_paths: step.artifact_paths.clone(),
            programs: self.programs(step)?,
            artifacts: self.artifacts(step, available)?,
            answers: self.answers(step),
            variables,
            files,
            remote,
        })
    }

    fn variables(&self, step: &Step) -> BTreeMap<String, String> {
        let mut all = self.environment.clone();
        all.extend(self.plan.environment.clone());
        let named = words(&step.script, |c| c.is_ascii_alphanumeric() || c == '_');
        let reads_all = READ_ALL_VARIABLES
            .iter()
            .any(|command| step.script.contains(command));
        all.retain(|name, _| {
            // `PATH` and the like differ between shells, and what they lead to is in `programs`.
            READ_BY_WORKERS.contains(&name.as_str())
                || (reads_all && self.plan.environment.contains_key(name))
                || (named.contains(name.as_str()) && step.script.contains(&format!("${name}")))
                || (named.contains(name.as_str()) && step.script.contains(&format!("${{{name}")))
        });
        all.extend(step.environment.clone());
        for (name, value) in &mut all {
            if is_secret(name) {
                SECRET.clone_into(value);
            }
        }
        all
    }

    /// Answers become meta-data, which a script may get in many ways: all of them count.
    fn answers(&self, step: &Step) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for key in self.plan.visible(step) {
            for (field, value) in self.answers.of(key).into_iter().flatten() {
                found.insert(format!("{key}/{field}"), value.clone());
            }
        }
        found
    }

    fn programs(&self, step: &Step) -> Result<BTreeMap<String, String>, PipelineError> {
        let mut programs = BTreeMap::new();
        for word in words(&step.script, |c| {
            c.is_ascii_alphanumeric() || c == '-' || c == '_'
        }) {
            let path = self.programs.join(word);
            if word != AGENT_NAME && path.is_file() {
                programs.insert(word.to_owned(), self.contents.digest(&path)?);
            }
        }
        Ok(programs)
    }

    /// What the script's downloads match; everything a step can see when its commands cannot be
    /// told without running it.
    fn artifacts(
        &self,
        step: &Step,
        available: &Available,
    ) -> Result<BTreeMap<String, String>, PipelineError> {
        let visible = self.plan.visible(step);
        let mut variables = self.environment.clone();
        variables.extend(self.plan.environment.clone());
        variables.extend(step.environment.clone());
        let downloads = downloads(&step.script, &variables);
        let mut found = BTreeMap::new();
        for key in visible {
            for (path, digest) in available.get(key).into_iter().flatten() {
                let wanted = downloads.as_ref().is_none_or(|downloads| {
                    downloads.iter().any(|(pattern, from)| {
                        from.as_deref().is_none_or(|from| from == key) && pattern.matches(path)
                    })
                });
                if wanted {
                    found.insert(format!("{key}/{path}"), digest.clone());
                }
            }
        }
        Ok(found)
    }
}

/// Patterns and steps of a script's downloads, as they are written, but for variables; `None` when one
/// of them is not plain words. The script is not run for this: it may do anything.
fn downloads(script: &str, variables: &Environment) -> Option<Vec<(Pattern, Option<String>)>> {
    const CALL: [&str; 3] = [AGENT_NAME, "artifact", "download"];
    let mut downloads = Vec::new();
    for line in script.lines() {
        if !line.contains(AGENT_NAME) {
            continue;
        }
        // A script that sets a variable itself may mean another value.
        let is_set = |name: &str| script.contains(&format!("{name}="));
        let known = |name: &str| variables.get(name).filter(|_| !is_set(name));
        let words = plain_words(line, &known)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (query, from) = match words.strip_prefix(&CALL) {
            // Another one of the agent's commands, if it is at the beginning of the line.
            None if words.first() == Some(&AGENT_NAME) => continue,
            Some([query, _]) => (query, None),
            Some([query, _, "--step", from]) => (query, Some((*from).to_owned())),
            _ => return None,
        };
        downloads.push((Pattern::parse(query).ok()?, from));
    }
    Some(downloads)
}

/// The words of a line in which the shell would change nothing but take quotes away, and replace
/// variables between double quotes.
fn plain_words<'a>(line: &str, known: &impl Fn(&str) -> Option<&'a String>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first)?,
            _ => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        let word = match first {
            '"' => with_values(word, known)?,
            _ => word.to_owned(),
        };
        let is_active = |c: char| match first {
            '\'' | '"' => false,
            _ => "$`\\\"'*?[]{}()<>|&;~#!".contains(c),
        };
        if word.contains(is_active) || !after.is_empty() && !after.starts_with(char::is_whitespace)
        {
            return None;
        }
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

/// What stands between double quotes, with the values of `$NAME`; `None` when there is anything else
/// that the shell would replace, or a name that is not known.
fn with_values<'a>(word: &str, known: &impl Fn(&str) -> Option<&'a String>) -> Option<String> {
    let mut parts = word.split('$');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, after) = part.split_at(part.find(|c| !is_name(c)).unwrap_or(part.len()));
        text.push_str(known(name)?);
        text.push_str(after);
    }
    (!word.contains(['`', '\\'])).then_some(text)
}

fn words(script: &str, is_part: impl Fn(char) -> bool) -> BTreeSet<&str> {
    script
        .split(|c| !is_part(c))
        .filter(|word| !word.is_empty())
        .collect()
}

fn is_remote(value: &str) -> bool {
    ["http://", "https://", "s3://", "gs://", "docker://"]
        .iter()
        .any(|scheme| value.starts_with(scheme))
}

/// The file or directory that a value names, also behind `rootfs:` and the like. Only absolute
/// paths: steps run in directories of their own.
fn named_path(value: &str) -> Option<PathBuf> {
    let path = ["rootfs:", "oci:", "docker-archive:", "file://"]
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix))
        .unwrap_or(value);
    let path = Path::new(path);
    let is_there =
        path.is_absolute() && path != Path::new("/") && (path.is_dir() || path.is_file());
    is_there.then(|| path.to_owned())
}

impl Fingerprint {
    /// Whether everything it depends on is here: then equal fingerprints mean equal inputs.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Meta-data goes around artifacts, so what a step sets or gets is not in here. Steps behind an
        // answer are a person's decision of this run.
        self.remote.is_empty() && self.answers.is_empty() && !self.script.contains("meta-data")
    }

    /// SHA-256 over all of it, the name of the result in a cache.
    ///
    /// # Errors
    ///
    /// Fails as the JSON writer does.
    pub fn digest(&self) -> Result<String, PipelineError> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            PipelineError::io(Operation::Write, Path::new("fingerprint"), error.into())
        })?;
        Ok(digest_of(&bytes).sha256)
    }

    /// What changed since `before`, in words; `None` when nothing did.
    #[must_use]
    pub fn change(&self, before: &Self) -> Option<String> {
        if self == before {
            return None;
        }
        let list = |what: &str, now: &BTreeMap<String, String>, then: &BTreeMap<String, String>| {
            let names: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
            let name = names
                .into_iter()
                .find(|name| now.get(*name) != then.get(*name))?;
            Some(match (now.get(name), then.get(name)) {
                (Some(_), None) => format!("{what} `{name}` is new"),
                (None, _) => format!("{what} `{name}` is gone"),
                (Some(now), Some(then)) if what == "variable" => {
                    format!("{name} is `{now}`, was `{then}`")
                }
                _ => format!("{what} `{name}` changed"),
            })
        };
        // The likeliest cause first: a file that changed explains the artifacts that did.
        list("variable", &self.variables, &before.variables)
            .or_else(|| list("the file of variable", &self.files, &before.files))
            .or_else(|| list("program", &self.programs, &before.programs))
            .or_else(|| list("artifact", &self.artifacts, &before.artifacts))
            .or_else(|| list("answer", &self.answers, &before.answers))
            .or_else(|| Some("the step itself changed in the pipeline file".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;

    const PIPELINE: &str = r#"
env: { A: "${A:-}", B: "${B:-}", LONG: "${LONG:-}" }
steps:
  - { key: one, command: "tool --a \"$$A\" \"$${LONG}\"", artifact_paths: x }
  - { key: other, command: "touch y", artifact_paths: y }
  - key: two
    depends_on: [ one, other ]
    command:
      - buildkite-agent artifact download "x/*" . --step one
      - tool
"#;

    struct Bench {
        directory: tempfile::TempDir,
        environment: Environment,
        available: Available,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fork_fs::write_atomic(&directory.path().join("tool"), b"1").unwrap();
            let artifacts =
                |path: &str, digest: &str| BTreeMap::from([(path.to_owned(), digest.to_owned())]);
            Self {
                directory,
                environment: Environment::new(),
                available: BTreeMap::from([
                    ("one".to_owned(), artifacts("x/1", "11")),
                    ("other".to_owned(), artifacts("y", "22")),
                ]),
            }
        }

        fn of(&self, step: &str) -> Fingerprint {
            let pipeline = Pipeline::parse(PIPELINE.as_bytes()).unwrap();
            let plan = pipeline.resolve(&self.environment).unwrap();
            let step = plan.steps.iter().find(|one| one.key == step).unwrap();
            let context = Context {
                plan: &plan,
                environment: &self.environment,
                programs: self.directory.path(),
                contents: &Contents::default(),
                answers: &Answers::default(),
            };
            context.fingerprint(step, &self.available).unwrap()
        }

        fn set(&mut self, name: &str, value: &str) {
            self.environment.insert(name.to_owned(), value.to_owned());
        }
    }

    #[test]
    fn only_what_a_step_uses_counts() {
        let mut bench = Bench::new();
        let (one, two) = (bench.of("one"), bench.of("two"));
        assert!(one.is_closed());
        bench.set("B", "b");
        bench.set("PATH", "/somewhere");
        assert_eq!(bench.of("one").change(&one), None);
        bench.set("A", "a");
        assert_eq!(bench.of("one").change(&one).unwrap(), "A is `a`, was ``");
        assert_eq!(bench.of("two").change(&two), None);
        bench.set("A", "");
        bench.set("LONG", "l");
        assert_eq!(bench.of("one").change(&one).unwrap(), "LONG is `l`, was ``");
        bench.set("LONG", "");
        bench.set("SOURCE_DATE_EPOCH", "1");
        let change = bench.of("two").change(&two).unwrap();
        assert_eq!(change, "variable `SOURCE_DATE_EPOCH` is new");
    }

    #[test]
    fn secrets_are_neither_kept_nor_compared() {
        let pipeline = r#"steps: [ { key: a, command: 'tool "$$AWS_SECRET" "$$SIGNING_KEY" $$SIGNING_KEY_FILE' } ]"#;
        let of = |secret: &str| {
            let names = ["AWS_SECRET", "SIGNING_KEY", "FORKPACK_APT_KEY"];
            let mut environment: Environment = names
                .map(|name| (name.to_owned(), secret.to_owned()))
                .into();
            environment.insert("SIGNING_KEY_FILE".to_owned(), "here".to_owned());
            let plan = Pipeline::parse(pipeline.as_bytes()).unwrap();
            let plan = plan.resolve(&environment).unwrap();
            let directory = tempfile::tempdir().unwrap();
            let context = Context {
                plan: &plan,
                environment: &environment,
                programs: directory.path(),
                contents: &Contents::default(),
                answers: &Answers::default(),
            };
            context
                .fingerprint(&plan.steps[0], &Available::new())
                .unwrap()
        };
        let one = of("hunter2");
        let text = serde_json::to_string(&one).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains(r#""SIGNING_KEY_FILE":"here""#), "{text}");
        assert_eq!(of("other").change(&one), None);
    }

    #[test]
    fn downloads_are_read_and_never_run() {
        let of = |script: &str| {
            let variables = [("NAME".to_owned(), "a".to_owned())].into();
            let downloads = downloads(script, &variables)?;
            let matches = |path: &str| downloads.iter().any(|(pattern, _)| pattern.matches(path));
            let from = downloads
                .iter()
                .map(|(_, from)| from.clone())
                .collect::<Vec<_>>();
            Some((matches("a/b"), matches("c"), from))
        };
        let line = "buildkite-agent artifact download";
        let a = Some("a".to_owned());
        assert_eq!(of("echo x >y"), Some((false, false, vec![])));
        assert_eq!(
            of(&format!("{line} \"a/*\" . --step a")),
            Some((true, false, vec![a]))
        );
        let two = format!("{line} 'a/*' .\necho $X\n  {line} c .");
        assert_eq!(of(&two), Some((true, true, vec![None, None])));
        let variable = format!("{line} \"$NAME/*\" .");
        assert_eq!(of(&variable), Some((true, false, vec![None])));
        let other = "buildkite-agent annotate \"a b\"";
        assert_eq!(of(other), Some((false, false, vec![])));
        for unclear in [
            format!("{line} \"$A\" ."),
            format!("NAME=b\n{line} \"$NAME/*\" ."),
            format!("{line} \"${{NAME}}/*\" ."),
            format!("{line} \"$(NAME)/*\" ."),
            format!("{line} \"`NAME`/*\" ."),
            format!("{line} a/* ."),
            format!("{line} a . --step a --more"),
            format!("{line} a . || true"),
            format!("if {line} a .; then"),
            "buildkite-agent annotate \"$A\"".to_owned(),
            format!("{line} \"a"),
        ] {
            assert_eq!(of(&unclear), None, "{unclear}");
        }
    }

    #[test]
    fn programs_artifacts_and_files_count() {
        let mut bench = Bench::new();
        let (one, two) = (bench.of("one"), bench.of("two"));
        let tool = bench.directory.path().join("tool");
        fork_fs::write_atomic(&tool, b"2").unwrap();
        assert_eq!(
            bench.of("one").change(&one).unwrap(),
            "program `tool` changed"
        );
        fork_fs::write_atomic(&tool, b"1").unwrap();
        // It depends on `other` as well, but fetches nothing of it.
        bench.available.get_mut("other").unwrap().clear();
        assert_eq!(bench.of("two").change(&two), None);
        let x = bench.available.get_mut("one").unwrap();
        x.insert("x/1".to_owned(), "33".to_owned());
        let change = bench.of("two").change(&two).unwrap();
        assert_eq!(change, "artifact `one/x/1` changed");

        let file = bench.directory.path().join("file");
        fork_fs::write_atomic(&file, b"1").unwrap();
        bench.set("A", file.to_str().unwrap());
        let before = bench.of("one");
        fork_fs::write_atomic(&file, b"2").unwrap();
        let after = bench.of("one");
        let change = after.change(&before).unwrap();
        assert_eq!(change, "the file of variable `A` changed");
        assert_ne!(after.digest().unwrap(), before.digest().unwrap());
        bench.set("A", "https://example.org/x");
        assert!(!bench.of("one").is_closed());
    }
}
