//! The pipeline file: what of Buildkite's format is understood, and what is refused.
//!
//! Attributes that only concern machines and notices (`agents`, `priority`, `notify`) are accepted
//! and mean nothing here. Everything that decides whether or how a step runs is either implemented
//! or refused by name, never ignored.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use yaml_serde::{Mapping, Value};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::graph;
use crate::interpolate::{Environment, interpolate};

/// Largest pipeline file read, in bytes; the real one has a few thousand.
const PIPELINE_BYTES_MAX: u64 = 1 << 20;

/// Most attempts at one step, however the file asks for more.
const ATTEMPTS_MAX: u32 = 11;

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
    /// The steps in an order in which every step follows those it depends on.
    pub steps: Vec<Step>,
}

/// One command step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The key, or `step-N` (counted from one) when the file gives none.
    pub key: String,
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
}

/// An automatic retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The exit status it is for; `None` for any but zero.
    pub exit_status: Option<i64>,
    /// How many times.
    pub limit: u32,
}

impl Pipeline {
    /// Reads a pipeline file.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or is not a pipeline.
    pub fn load(path: &Path) -> Result<Self, PipelineError> {
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
        let mut known = environment.clone();
        let mut own = Environment::new();
        for (name, value) in entries(self.root.get("env"), "env")? {
            let value = replace(&scalar(value, "env")?, &known, &format!("env `{name}`"))?;
            known.insert(name.clone(), value.clone());
            own.insert(name, value);
        }
        for (attribute, _) in members(&self.root) {
            if !["env", "steps", "agents", "notify", "priority"].contains(&attribute.as_str()) {
                return Err(unsupported("pipeline", attribute));
            }
        }
        let mut reader = StepReader {
            environment: &known,
            steps: Vec::new(),
            groups: BTreeMap::new(),
            barrier: Vec::new(),
        };
        let steps = self.root.get("steps").and_then(Value::as_sequence);
        let steps = steps.ok_or_else(|| PipelineError::shape("pipeline", "has no `steps` list"))?;
        reader.read_all(steps, &[])?;
        let StepReader {
            mut steps, groups, ..
        } = reader;
        if steps.is_empty() {
            return Err(PipelineError::shape("pipeline", "has no command step"));
        }
        for step in &mut steps {
            expand_groups(&mut step.depends_on, &groups);
        }
        Ok(Plan {
            environment: own,
            steps: graph::sorted(steps)?,
        })
    }
}

impl Plan {
    /// Every step that `step` waits for, directly or not.
    #[must_use]
    pub fn ancestors(&self, step: &Step) -> Vec<&Step> {
        let mut wanted: Vec<&str> = step.depends_on.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        // Steps are sorted, so one pass backwards sees every dependency after its dependents.
        for candidate in self.steps.iter().rev() {
            if wanted.contains(&candidate.key.as_str()) {
                wanted.extend(candidate.depends_on.iter().map(String::as_str));
                found.push(candidate);
            }
        }
        found.reverse();
        found
    }

    /// The steps nobody waits for: their artifacts are the pipeline's results.
    #[must_use]
    pub fn leaves(&self) -> Vec<&Step> {
        self.steps
            .iter()
            .filter(|step| !self.steps.iter().any(|s| s.depends_on.contains(&step.key)))
            .collect()
    }
}

struct StepReader<'a> {
    environment: &'a Environment,
    steps: Vec<Step>,
    /// Keys of the steps in each group.
    groups: BTreeMap<String, Vec<String>>,
    /// What a `wait` step makes everything after it wait for.
    barrier: Vec<String>,
}

impl StepReader<'_> {
    fn read_all(&mut self, steps: &[Value], inherited: &[String]) -> Result<(), PipelineError> {
        for value in steps {
            let is_wait_text = value.as_str() == Some("wait");
            let mapping = value.as_mapping();
            if is_wait_text || mapping.is_some_and(|m| m.contains_key("wait")) {
                for attribute in mapping.into_iter().flat_map(Mapping::keys) {
                    if attribute.as_str() != Some("wait") {
                        return Err(unsupported("wait step", text_of(attribute)));
                    }
                }
                self.barrier = self.steps.iter().map(|step| step.key.clone()).collect();
                continue;
            }
            let Some(mapping) = mapping else {
                return Err(PipelineError::shape(
                    "steps",
                    "a step must be a mapping or `wait`",
                ));
            };
            if mapping.contains_key("group") {
                self.read_group(mapping, inherited)?;
            } else {
                let step = self.read_step(mapping, inherited)?;
                self.steps.push(step);
            }
        }
        Ok(())
    }

    fn read_group(&mut self, mapping: &Mapping, inherited: &[String]) -> Result<(), PipelineError> {
        let mut depends_on = inherited.to_vec();
        let mut key = None;
        let mut steps = None;
        for (attribute, value) in members(mapping) {
            match attribute.as_str() {
                "group" | "label" | "notify" => {}
                "key" | "id" | "identifier" => key = Some(self.text(value, "group", &attribute)?),
                "depends_on" => depends_on.extend(self.dependencies(value, "group")?),
                "steps" => steps = value.as_sequence(),
                _ => return Err(unsupported("group step", attribute)),
            }
        }
        let steps = steps.ok_or_else(|| PipelineError::shape("group step", "has no `steps`"))?;
        let first = self.steps.len();
        self.read_all(steps, &depends_on)?;
        if let Some(key) = key {
            let members = self.steps[first..].iter().map(|step| step.key.clone());
            self.groups.insert(key, members.collect());
        }
        Ok(())
    }

    fn read_step(
        &mut self,
        mapping: &Mapping,
        inherited: &[String],
    ) -> Result<Step, PipelineError> {
        let number = self.steps.len() + 1;
        let mut step = Step {
            key: format!("step-{number}"),
            label: String::new(),
            script: String::new(),
            depends_on: inherited.to_vec(),
            environment: Environment::new(),
            artifact_paths: Vec::new(),
            timeout: None,
            retries: Vec::new(),
        };
        for name in ["key", "id", "identifier"] {
            if let Some(value) = mapping.get(name) {
                step.key = self.text(value, &step.key, name)?;
            }
        }
        // The key names directories and files below.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_:".contains(c);
        if step.key.is_empty() || !step.key.chars().all(plain) {
            return Err(PipelineError::shape(
                &format!("step `{}`", step.key),
                "a key may hold letters, digits, `-`, `_` and `:` only",
            ));
        }
        let place = format!("step `{}`", step.key);
        for (attribute, value) in members(mapping) {
            match attribute.as_str() {
                "key" | "id" | "identifier" | "agents" | "priority" | "notify" => {}
                "label" | "name" => step.label = self.text(value, &place, &attribute)?,
                "command" | "commands" => {
                    step.script = self.texts(value, &place, &attribute)?.join("\n");
                }
                "depends_on" => step.depends_on.extend(self.dependencies(value, &place)?),
                "env" => {
                    for (name, value) in entries(Some(value), &place)? {
                        let value = self.text(value, &place, &name)?;
                        step.environment.insert(name, value);
                    }
                }
                "artifact_paths" => step.artifact_paths = self.texts(value, &place, &attribute)?,
                "timeout_in_minutes" => step.timeout = Some(self.minutes(value, &place)?),
                "retry" => step.retries = retries(value, &place)?,
                "type" if matches!(value.as_str(), Some("command" | "commands" | "script")) => {}
                _ => return Err(unsupported(&place, attribute)),
            }
        }
        if step.script.trim().is_empty() {
            return Err(PipelineError::shape(&place, "has no command"));
        }
        if step.label.is_empty() {
            step.label.clone_from(&step.key);
        }
        step.depends_on.extend(self.barrier.iter().cloned());
        Ok(step)
    }

    fn dependencies(&self, value: &Value, place: &str) -> Result<Vec<String>, PipelineError> {
        let one = std::slice::from_ref(value);
        let items = match value {
            Value::Null => &[],
            Value::Sequence(items) => items.as_slice(),
            _ => one,
        };
        let mut keys = Vec::new();
        for item in items {
            let Some(mapping) = item.as_mapping() else {
                keys.push(self.text(item, place, "depends_on")?);
                continue;
            };
            for (attribute, value) in entries(Some(item), place)? {
                let forgiving = attribute == "allow_failure" && value.as_bool() != Some(false);
                if forgiving || !["step", "allow_failure"].contains(&attribute.as_str()) {
                    return Err(unsupported(place, format!("depends_on.{attribute}")));
                }
            }
            let step = mapping.get("step").unwrap_or(&Value::Null);
            keys.push(self.text(step, place, "depends_on")?);
        }
        Ok(keys)
    }

    fn minutes(&self, value: &Value, place: &str) -> Result<Duration, PipelineError> {
        let text = self.text(value, place, "timeout_in_minutes")?;
        match text.parse::<u64>() {
            Ok(minutes @ 1..) => Ok(Duration::from_secs(minutes.saturating_mul(60))),
            _ => Err(PipelineError::shape(
                place,
                format!("timeout_in_minutes must be a whole number above zero, not `{text}`"),
            )),
        }
    }

    fn text(&self, value: &Value, place: &str, attribute: &str) -> Result<String, PipelineError> {
        let place = format!("{place}, {attribute}");
        replace(&scalar(value, &place)?, self.environment, &place)
    }

    fn texts(
        &self,
        value: &Value,
        place: &str,
        attribute: &str,
    ) -> Result<Vec<String>, PipelineError> {
        match value {
            Value::Sequence(items) => items
                .iter()
                .map(|item| self.text(item, place, attribute))
                .collect(),
            Value::Null => Ok(Vec::new()),
            // The agent splits a single `artifact_paths` text at semicolons.
            _ if attribute == "artifact_paths" => Ok(self
                .text(value, place, attribute)?
                .split(';')
                .map(|path| path.trim().to_owned())
                .filter(|path| !path.is_empty())
                .collect()),
            _ => Ok(vec![self.text(value, place, attribute)?]),
        }
    }
}

fn retries(value: &Value, place: &str) -> Result<Vec<Retry>, PipelineError> {
    let mut found = Vec::new();
    for (attribute, value) in entries(Some(value), place)? {
        match (attribute.as_str(), value) {
            // A person's retry button does not exist here.
            ("manual", _) | ("automatic", Value::Bool(false)) => {}
            ("automatic", Value::Bool(true)) => found.push(Retry {
                exit_status: None,
                limit: 2,
            }),
            ("automatic", Value::Sequence(items)) => {
                for item in items {
                    found.extend(retry(item, place)?);
                }
            }
            ("automatic", item) => found.extend(retry(item, place)?),
            _ => return Err(unsupported(place, format!("retry.{attribute}"))),
        }
    }
    Ok(found)
}

fn retry(value: &Value, place: &str) -> Result<Vec<Retry>, PipelineError> {
    let mut statuses = vec![None];
    let mut limit = 2;
    for (attribute, value) in entries(Some(value), place)? {
        let wrong = || PipelineError::shape(place, format!("retry.{attribute} is malformed"));
        match (attribute.as_str(), value) {
            ("exit_status", Value::String(text)) if text == "*" => statuses = vec![None],
            ("exit_status", Value::Sequence(items)) => {
                statuses = items.iter().map(Value::as_i64).collect();
                if statuses.contains(&None) {
                    return Err(wrong());
                }
            }
            ("exit_status", value) => statuses = vec![Some(value.as_i64().ok_or_else(wrong)?)],
            ("limit", value) => {
                let wanted = value.as_u64().ok_or_else(wrong)?;
                limit = u32::try_from(wanted).map_or(ATTEMPTS_MAX, |limit| limit.min(ATTEMPTS_MAX));
            }
            _ => return Err(unsupported(place, format!("retry.automatic.{attribute}"))),
        }
    }
    Ok(statuses
        .into_iter()
        .map(|exit_status| Retry { exit_status, limit })
        .collect())
}

fn expand_groups(keys: &mut Vec<String>, groups: &BTreeMap<String, Vec<String>>) {
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

fn entries<'a>(
    value: Option<&'a Value>,
    place: &str,
) -> Result<Vec<(String, &'a Value)>, PipelineError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Mapping(mapping)) => Ok(members(mapping)),
        Some(_) => Err(PipelineError::shape(place, "must be a mapping")),
    }
}

fn members(mapping: &Mapping) -> Vec<(String, &Value)> {
    mapping
        .iter()
        .map(|(name, value)| (text_of(name), value))
        .collect()
}

fn text_of(value: &Value) -> String {
    scalar(value, "").unwrap_or_else(|_| "?".to_owned())
}

fn scalar(value: &Value, place: &str) -> Result<String, PipelineError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        _ => Err(PipelineError::shape(place, "must be a text")),
    }
}

fn replace(text: &str, environment: &Environment, place: &str) -> Result<String, PipelineError> {
    interpolate(text, environment).map_err(|source| {
        PipelineErrorKind::Interpolate {
            place: place.to_owned(),
            source,
        }
        .into()
    })
}

fn unsupported(place: &str, attribute: String) -> PipelineError {
    PipelineErrorKind::Unsupported {
        place: place.to_owned(),
        attribute,
    }
    .into()
}

#[cfg(test)]
mod tests;
