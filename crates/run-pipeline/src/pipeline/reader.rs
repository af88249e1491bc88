//! From the YAML of a pipeline to steps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use yaml_serde::{Mapping, Value};

use super::matrix::{self, Matrix};
use super::values::{entries, items, members, replace, scalar, text_of, unsupported};
use super::{Concurrency, JOBS_MAX, Step, outcome, plugins};
use crate::error::{PipelineError, PipelineErrorKind};
use crate::interpolate::Environment;

/// Reads what a step asks an agent for: `cores`, and `memory` in GB. Whatever else agents are told by
/// means nothing on one machine.
fn agents(value: &Value, step: &mut Step) {
    let tags = match value {
        Value::Mapping(tags) => tags
            .iter()
            .map(|(name, value)| (text_of(name), text_of(value)))
            .collect(),
        _ => items(value)
            .iter()
            .filter_map(|tag| {
                let (name, value) = tag.as_str()?.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect::<Vec<_>>(),
    };
    for (name, value) in tags {
        let number = value.trim().parse().ok().filter(|number| *number > 0);
        match name.as_str() {
            "cores" => step.cores = number.and_then(|number| usize::try_from(number).ok()),
            "memory" => {
                step.memory_bytes = number.map(|number: u64| number.saturating_mul(1_000_000_000));
            }
            _ => {}
        }
    }
}

/// Reads the steps of one file.
pub(super) struct StepReader<'a> {
    /// What variables are replaced by; `None` to leave them.
    pub(super) environment: Option<&'a Environment>,
    /// What comes before `step-N` in the keys of steps that have none.
    pub(super) prefix: String,
    /// How many steps there were before, in files of the same prefix.
    pub(super) count: usize,
    pub(super) steps: Vec<Step>,
    /// Keys of the steps in each group.
    pub(super) groups: BTreeMap<String, Vec<String>>,
    /// What a `wait` or `block` step makes everything after it wait for.
    barrier: Vec<String>,
    keys: BTreeSet<String>,
}

/// A step as far as its key and dependencies go.
struct Head {
    key: String,
    place: String,
    depends_on: Vec<String>,
    is_explicit: bool,
}

impl<'a> StepReader<'a> {
    pub(super) fn new(environment: Option<&'a Environment>, prefix: String, count: usize) -> Self {
        Self {
            environment,
            prefix,
            count,
            steps: Vec::new(),
            groups: BTreeMap::new(),
            barrier: Vec::new(),
            keys: BTreeSet::new(),
        }
    }

    /// Reads the steps in `steps`; `inherited` is what the group around them depends on.
    pub(super) fn read_all(
        &mut self,
        steps: &[Value],
        inherited: Option<&[String]>,
    ) -> Result<(), PipelineError> {
        for value in steps {
            let bare = value.as_str();
            let empty = Mapping::new();
            let mapping = match (value.as_mapping(), bare) {
                (Some(mapping), _) => mapping,
                (None, Some("wait" | "block" | "input")) => &empty,
                _ => {
                    let reason = "a step must be a mapping, `wait`, `block` or `input`";
                    return Err(PipelineError::shape("steps", reason));
                }
            };
            let is = |kind: &str| bare == Some(kind) || mapping.contains_key(kind);
            if is("wait") {
                for attribute in mapping.keys() {
                    if attribute.as_str() != Some("wait") {
                        return Err(unsupported("wait step", text_of(attribute)));
                    }
                }
                self.barrier = self.all_before();
            } else if is("block") || is("input") {
                self.read_gate(mapping, inherited, is("input"))?;
            } else if mapping.contains_key("group") {
                self.read_group(mapping, inherited)?;
            } else {
                self.read_step(mapping, inherited)?;
            }
            if self.steps.len() > JOBS_MAX {
                let reason = format!("makes more than {JOBS_MAX} jobs");
                return Err(PipelineError::shape("pipeline", reason));
            }
        }
        Ok(())
    }

    /// Keys of the steps that a `wait` here waits for: nothing waits for an `input` step by its place.
    fn all_before(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for step in &self.steps {
            if !keys.contains(&step.step) && !step.gate.as_ref().is_some_and(|gate| gate.is_input) {
                keys.push(step.step.clone());
            }
        }
        keys
    }

    fn read_group(
        &mut self,
        mapping: &Mapping,
        inherited: Option<&[String]>,
    ) -> Result<(), PipelineError> {
        let mut depends_on = inherited.map(<[String]>::to_vec);
        let mut key = None;
        let mut steps = None;
        for (attribute, value) in members(mapping) {
            match attribute.as_str() {
                "group" | "label" | "notify" => {}
                "key" | "id" | "identifier" => key = Some(self.text(value, "group", &attribute)?),
                "depends_on" => {
                    let more = self.dependencies(value, "group")?;
                    depends_on.get_or_insert_default().extend(more);
                }
                "steps" => steps = value.as_sequence(),
                _ => return Err(unsupported("group step", attribute)),
            }
        }
        let steps = steps.ok_or_else(|| PipelineError::shape("group step", "has no `steps`"))?;
        let first = self.steps.len();
        self.read_all(steps, depends_on.as_deref())?;
        if let Some(key) = key {
            let mut keys: Vec<String> = Vec::new();
            for step in &self.steps[first..] {
                if !keys.contains(&step.step) {
                    keys.push(step.step.clone());
                }
            }
            self.groups.insert(key, keys);
        }
        Ok(())
    }

    /// Key and dependencies of a step of any kind.
    fn head(
        &mut self,
        mapping: &Mapping,
        inherited: Option<&[String]>,
    ) -> Result<Head, PipelineError> {
        self.count += 1;
        let mut key = format!("{}step-{}", self.prefix, self.count);
        for name in ["key", "id", "identifier"] {
            if let Some(value) = mapping.get(name) {
                key = self.text(value, &key, name)?;
                // The key names directories and files below.
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_:".contains(c);
                if key.is_empty() || !key.chars().all(plain) {
                    return Err(PipelineError::shape(
                        &format!("step `{key}`"),
                        "a key may hold letters, digits, `-`, `_` and `:` only",
                    ));
                }
            }
        }
        if !self.keys.insert(key.clone()) {
            return Err(PipelineErrorKind::DuplicateKey { key }.into());
        }
        let place = format!("step `{key}`");
        let mut depends_on = inherited.unwrap_or_default().to_vec();
        let own = mapping.get("depends_on");
        if let Some(value) = own {
            depends_on.extend(self.dependencies(value, &place)?);
        }
        Ok(Head {
            key,
            place,
            depends_on,
            is_explicit: own.is_some() || inherited.is_some(),
        })
    }

    fn read_gate(
        &mut self,
        mapping: &Mapping,
        inherited: Option<&[String]>,
        is_input: bool,
    ) -> Result<(), PipelineError> {
        let head = self.head(mapping, inherited)?;
        let mut step = Step::empty(&head.key);
        step.gate = Some(self.gate(mapping, is_input, &head.place)?);
        for name in ["block", "input", "label", "name"] {
            if let Some(value) = mapping.get(name) {
                let label = self.text(value, &head.place, name)?;
                if !label.is_empty() {
                    step.label = label;
                }
            }
        }
        step.depends_on = head.depends_on;
        if !is_input {
            if head.is_explicit {
                self.barrier.push(head.key.clone());
            } else {
                step.depends_on = self.all_before();
                self.barrier = vec![head.key.clone()];
            }
        }
        self.steps.push(step);
        Ok(())
    }

    fn read_step(
        &mut self,
        mapping: &Mapping,
        inherited: Option<&[String]>,
    ) -> Result<(), PipelineError> {
        let head = self.head(mapping, inherited)?;
        let place = head.place.as_str();
        let mut step = Step::empty(&head.key);
        step.label.clear();
        step.depends_on = head.depends_on;
        let mut jobs = None;
        let mut parallelism = None;
        for (attribute, value) in members(mapping) {
            match attribute.as_str() {
                "agents" => agents(value, &mut step),
                "key" | "id" | "identifier" | "priority" | "notify" | "depends_on"
                | "concurrency" | "concurrency_group" | "concurrency_method" => {}
                "label" | "name" => step.label = self.text(value, place, &attribute)?,
                "command" | "commands" => {
                    step.script = self.texts(value, place, &attribute)?.join("\n");
                }
                "env" => {
                    for (name, value) in entries(Some(value), place)? {
                        let value = self.text(value, place, &name)?;
                        step.environment.insert(name, value);
                    }
                }
                "artifact_paths" => step.artifact_paths = self.texts(value, place, &attribute)?,
                "timeout_in_minutes" => step.timeout = Some(self.minutes(value, place)?),
                "retry" => step.retries = outcome::retries(value, place)?,
                "soft_fail" => step.soft_fail = outcome::soft_fail(value, place)?,
                "skip" => step.skip = outcome::skip(value, place)?,
                "matrix" => jobs = Some(Matrix::read(value, self, place)?),
                "parallelism" => parallelism = Some(self.number(value, place, &attribute)?),
                "plugins" => plugins::read(value, &mut step, self, place)?,
                "type" if matches!(value.as_str(), Some("command" | "commands" | "script")) => {}
                _ => return Err(unsupported(place, attribute)),
            }
        }
        step.concurrency = self.concurrency(mapping, place)?;
        if step.script.trim().is_empty() {
            return Err(PipelineError::shape(place, "has no command"));
        }
        if step.label.is_empty() {
            step.label.clone_from(&step.key);
        }
        if !head.is_explicit {
            step.depends_on.extend(self.barrier.iter().cloned());
        }
        let group = step.concurrency.as_ref().map(|one| one.group.as_str());
        let elsewhere = step.depends_on.iter().chain(&step.artifact_paths);
        if jobs.is_some()
            && let Some(text) = elsewhere
                .map(String::as_str)
                .chain(group)
                .find(|text| matrix::has_token(text))
        {
            return Err(PipelineError::shape(
                place,
                format!(
                    "`{text}`: values of a matrix can be used in command, label, env, plugins and agents only"
                ),
            ));
        }
        match (jobs, parallelism) {
            (Some(_), Some(_)) => {
                let reason = "matrix and parallelism cannot be used together";
                return Err(PipelineError::shape(place, reason));
            }
            (Some(matrix), None) => self.steps.extend(matrix.jobs(&step, place)?),
            (None, Some(count)) => self.steps.extend(matrix::parallel_jobs(&step, count)),
            (None, None) => self.steps.push(step),
        }
        Ok(())
    }

    fn concurrency(
        &self,
        mapping: &Mapping,
        place: &str,
    ) -> Result<Option<Concurrency>, PipelineError> {
        let of = |name: &str| mapping.get(name);
        let wrong = |reason: &str| Err(PipelineError::shape(place, reason));
        let (limit, group) = match (of("concurrency"), of("concurrency_group")) {
            (None, None) if of("concurrency_method").is_none() => return Ok(None),
            (Some(limit), Some(group)) => (limit, group),
            _ => return wrong("concurrency and concurrency_group go together"),
        };
        let is_ordered = match of("concurrency_method").map(Value::as_str) {
            None | Some(Some("ordered")) => true,
            Some(Some("eager")) => false,
            Some(_) => return wrong("concurrency_method must be ordered or eager"),
        };
        let group = self.text(group, place, "concurrency_group")?;
        if group.is_empty() {
            return wrong("concurrency_group is empty");
        }
        Ok(Some(Concurrency {
            limit: self.number(limit, place, "concurrency")?,
            group,
            is_ordered,
        }))
    }

    fn dependencies(&self, value: &Value, place: &str) -> Result<Vec<String>, PipelineError> {
        let mut keys = Vec::new();
        for item in items(value) {
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

    /// A number of jobs.
    fn number(&self, value: &Value, place: &str, attribute: &str) -> Result<usize, PipelineError> {
        let text = self.text(value, place, attribute)?;
        match text.parse::<usize>() {
            Ok(number @ 1..=JOBS_MAX) => Ok(number),
            _ => Err(PipelineError::shape(
                place,
                format!("{attribute} must be a whole number from 1 to {JOBS_MAX}, not `{text}`"),
            )),
        }
    }

    /// The elements of a dimension of a matrix.
    pub(super) fn elements(
        &self,
        value: &Value,
        place: &str,
    ) -> Result<Vec<String>, PipelineError> {
        let each = items(value).iter();
        each.map(|item| self.text(item, place, "matrix")).collect()
    }

    pub(super) fn replaced(&self, text: &str, place: &str) -> Result<String, PipelineError> {
        match self.environment {
            Some(environment) => replace(text, environment, place),
            None => Ok(text.to_owned()),
        }
    }

    pub(super) fn text(
        &self,
        value: &Value,
        place: &str,
        attribute: &str,
    ) -> Result<String, PipelineError> {
        let place = format!("{place}, {attribute}");
        self.replaced(&scalar(value, &place)?, &place)
    }

    pub(super) fn texts(
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
