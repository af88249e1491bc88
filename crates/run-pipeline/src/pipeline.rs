//! The pipeline file: what of Buildkite's format is understood, and what is refused.
//!
//! Attributes that only concern machines and notices (`priority`, `notify`) are accepted and mean nothing
//! here; of `agents`, `cores` and `memory` do. Everything that decides whether or how a step runs is either implemented
//! or refused by name, never ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use yaml_serde::{Mapping, Value};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::graph;
use crate::interpolate::Environment;
use reader::StepReader;
use values::{entries, members, replace, scalar, text_of, unsupported};

mod gate;
mod matrix;
mod names;
mod outcome;
mod plugins;
mod reader;
mod values;

pub use gate::{Field, FieldKind, Gate};
pub use outcome::Retry;

/// Largest pipeline file read, in bytes; the real one has a few thousand.
pub(crate) const PIPELINE_BYTES_MAX: u64 = 1 << 20;

/// Most jobs of a run; Buildkite takes as many steps in one file.
pub(crate) const JOBS_MAX: usize = 500;

/// A pipeline as written, before its variables are known.
#[derive(Clone, Debug)]
pub struct Pipeline {
    root: Mapping,
}

/// A pipeline for one environment: variables replaced, dependencies checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Variables of the pipeline's own `env` block, for every step.
    pub environment: Environment,
    /// The jobs in an order in which each follows those it depends on. A step is one job, or several
    /// with a `matrix` or `parallelism`.
    pub steps: Vec<Step>,
    /// Keys of the steps in each group.
    pub(crate) groups: BTreeMap<String, Vec<String>>,
}

/// One job of a command step, or a step that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The name of the job in files: the step's key, or with several jobs `KEY.VALUES`.
    pub key: String,
    /// The step's key, which others name when they depend on it; `step-N` (counted from one) when the
    /// file gives none.
    pub step: String,
    /// The name of the job for people: the step's key, or with several jobs `KEY (VALUES)`.
    pub name: String,
    /// Its place in the order in which the jobs were made.
    pub number: usize,
    /// What to call it to people.
    pub label: String,
    /// The commands as one shell script.
    pub script: String,
    /// Keys of the steps it waits for.
    pub depends_on: Vec<String>,
    /// Its own variables.
    pub environment: Environment,
    /// Patterns of what it leaves for others.
    pub artifact_paths: Vec<String>,
    /// After which time it is stopped.
    pub timeout: Option<Duration>,
    /// When it is run again.
    pub retries: Vec<Retry>,
    /// Exit statuses that do not fail the run; `None` stands for any.
    pub soft_fail: Vec<Option<i64>>,
    /// Why it does not run, when the pipeline says that it does not.
    pub skip: Option<String>,
    /// How many jobs may run beside it.
    pub concurrency: Option<Concurrency>,
    /// What a person is asked, when it is no command step.
    pub gate: Option<Gate>,
    /// Processors that it asks an agent for.
    pub cores: Option<usize>,
    /// Memory that it asks an agent for, in bytes.
    pub memory_bytes: Option<u64>,
    /// Whether it would run in a container on Buildkite.
    pub in_container: bool,
    /// Key of the step that uploaded it.
    pub uploaded_by: Option<String>,
}

/// A limit on jobs that run at the same time, also in other runs on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// The group; jobs of other steps may be in it.
    pub group: String,
    /// Most jobs of the group at a time.
    pub limit: usize,
    /// Whether jobs of the group start in the order of the file.
    pub is_ordered: bool,
}

impl Step {
    fn empty(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            step: key.to_owned(),
            name: key.to_owned(),
            number: 0,
            label: key.to_owned(),
            script: String::new(),
            depends_on: Vec::new(),
            environment: Environment::new(),
            artifact_paths: Vec::new(),
            timeout: None,
            retries: Vec::new(),
            soft_fail: Vec::new(),
            skip: None,
            concurrency: None,
            gate: None,
            cores: None,
            memory_bytes: None,
            in_container: false,
            uploaded_by: None,
        }
    }

    /// Whether it is one of several jobs of its step.
    #[must_use]
    pub fn is_one_of_many(&self) -> bool {
        self.key != self.step
    }
}

impl Pipeline {
    /// Reads a pipeline file.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or is not a pipeline.
    pub fn load(path: &Path) -> Result<Self, PipelineError> {
        if !fork_fs::exists(path) {
            let path = path.to_owned();
            return Err(PipelineErrorKind::NoPipeline { path }.into());
        }
        Self::parse(&fork_fs::read_limited(path, PIPELINE_BYTES_MAX)?)
    }

    /// Parses a pipeline.
    ///
    /// # Errors
    ///
    /// Fails on anything but YAML with a mapping at the top.
    pub fn parse(bytes: &[u8]) -> Result<Self, PipelineError> {
        let mut root: Value = yaml_serde::from_slice(bytes)
            .and_then(|mut value: Value| value.apply_merge().map(|()| value))
            .map_err(|source| PipelineErrorKind::Yaml { source })?;
        match root.as_mapping_mut() {
            Some(root) => Ok(Self {
                root: std::mem::take(root),
            }),
            None => Err(PipelineError::shape("pipeline", "must be a mapping")),
        }
    }

    /// Names of the variables in the pipeline's `env` block.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        let block = self.root.get("env").and_then(Value::as_mapping);
        block.map_or_else(Vec::new, |block| block.keys().map(text_of).collect())
    }

    /// Names of the variables that are replaced when the file is read.
    #[must_use]
    pub fn replaced_names(&self) -> BTreeSet<String> {
        names::replaced(&self.root)
    }

    /// Every word of the file that could be the name of a variable.
    #[must_use]
    pub fn words(&self) -> BTreeSet<String> {
        names::words(&self.root)
    }

    /// Replaces the variables and checks the graph.
    ///
    /// The `env` block comes first, in its own order, and its values are known to the rest of the
    /// file. Values never become YAML: a quote or a line break in one changes nothing else.
    ///
    /// # Errors
    ///
    /// Fails on a missing required variable, an attribute that is not supported, a key used twice,
    /// an unknown dependency and steps that wait for each other.
    pub fn resolve(&self, environment: &Environment) -> Result<Plan, PipelineError> {
        let Read {
            environment,
            mut steps,
            groups,
        } = self.read(Some(environment), String::new(), 0)?;
        for (number, step) in steps.iter_mut().enumerate() {
            step.number = number;
            expand_groups(&mut step.depends_on, &groups);
        }
        Ok(Plan {
            environment,
            steps: graph::sorted(steps)?,
            groups,
        })
    }

    /// Reads the pipeline as one that is added to a run. Keys of steps without one begin with
    /// `prefix` and are counted on from `count`. Without an `environment` variables stay as written.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::resolve`], but dependencies are not looked up: they may name steps of the
    /// run.
    pub fn addition(
        &self,
        environment: Option<&Environment>,
        prefix: &str,
        count: usize,
    ) -> Result<Addition, PipelineError> {
        let Read {
            environment,
            mut steps,
            groups,
        } = self.read(environment, prefix.to_owned(), count)?;
        for step in &mut steps {
            let mut all = environment.clone();
            all.append(&mut step.environment);
            step.environment = all;
        }
        Ok(Addition { steps, groups })
    }

    /// The `env` block and the steps, in the order of the file.
    fn read(
        &self,
        environment: Option<&Environment>,
        prefix: String,
        count: usize,
    ) -> Result<Read, PipelineError> {
        let mut known = environment.cloned();
        let mut own = Environment::new();
        for (name, value) in entries(self.root.get("env"), "env")? {
            let mut value = scalar(value, "env")?;
            if let Some(known) = &mut known {
                value = replace(&value, known, &format!("env `{name}`"))?;
                known.insert(name.clone(), value.clone());
            }
            own.insert(name, value);
        }
        for (attribute, _) in members(&self.root) {
            if !["env", "steps", "agents", "notify", "priority"].contains(&attribute.as_str()) {
                return Err(unsupported("pipeline", attribute));
            }
        }
        let steps = self.root.get("steps").and_then(Value::as_sequence);
        let steps = steps.ok_or_else(|| PipelineError::shape("pipeline", "has no `steps` list"))?;
        let mut reader = StepReader::new(known.as_ref(), prefix, count);
        reader.read_all(steps, None)?;
        let StepReader { steps, groups, .. } = reader;
        if steps.is_empty() {
            return Err(PipelineError::shape("pipeline", "has no command step"));
        }
        Ok(Read {
            environment: own,
            steps,
            groups,
        })
    }
}

/// What a file holds.
struct Read {
    environment: Environment,
    steps: Vec<Step>,
    groups: BTreeMap<String, Vec<String>>,
}

/// Steps that a step adds to the run it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    /// Its jobs, in the order of the file.
    pub steps: Vec<Step>,
    /// Keys of the steps in each group.
    pub groups: BTreeMap<String, Vec<String>>,
}

impl Plan {
    /// Every job that `step` waits for, directly or not.
    #[must_use]
    pub fn ancestors(&self, step: &Step) -> Vec<&Step> {
        let mut wanted: BTreeSet<&str> = step.depends_on.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        // Steps are sorted, so one pass backwards sees every dependency after its dependents.
        for candidate in self.steps.iter().rev() {
            if wanted.contains(candidate.step.as_str()) {
                wanted.extend(candidate.depends_on.iter().map(String::as_str));
                found.push(candidate);
            }
        }
        found.reverse();
        found
    }

    /// Keys of the steps whose artifacts `step` sees, each once.
    #[must_use]
    pub fn visible(&self, step: &Step) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for ancestor in self.ancestors(step) {
            if !keys.contains(&ancestor.step.as_str()) {
                keys.push(&ancestor.step);
            }
        }
        keys
    }

    /// The jobs nobody waits for: their artifacts are the pipeline's results.
    #[must_use]
    pub fn leaves(&self) -> Vec<&Step> {
        self.steps
            .iter()
            .filter(|step| {
                let mut others = self.steps.iter();
                step.gate.is_none() && !others.any(|other| other.depends_on.contains(&step.step))
            })
            .collect()
    }
}

pub(crate) fn expand_groups(keys: &mut Vec<String>, groups: &BTreeMap<String, Vec<String>>) {
    let mut expanded: Vec<String> = Vec::new();
    for key in keys.drain(..) {
        let members = groups.get(&key).cloned().unwrap_or_else(|| vec![key]);
        for member in members {
            if !expanded.contains(&member) {
                expanded.push(member);
            }
        }
    }
    *keys = expanded;
}

#[cfg(test)]
mod tests;
