//! The same pipeline for several networks.

use std::collections::BTreeMap;
use std::path::Path;

use fork_worker::interpolate::{Environment, interpolate};
use yaml_serde::{Mapping, Value};

use super::error::GenerateError;
use super::shell::rewrite;
use super::yaml::{FILE_BYTES_MAX, key, scalar, steps_mut};
use crate::environment::Variables;

/// The table whose variables are for all networks.
const ALL: &str = "all";

/// Most networks.
const NETWORKS_MAX: usize = 64;

/// Attributes of a step that name other steps.
const KEYS: [&str; 3] = ["key", "id", "identifier"];

/// Networks and their variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    all: Environment,
    each: BTreeMap<String, Environment>,
}

impl Networks {
    /// Reads a file: TOML when its name ends so, or else YAML.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or is not tables of variables.
    pub fn load(path: &Path) -> Result<Self, GenerateError> {
        let bytes = fork_fs::read_limited(path, FILE_BYTES_MAX)?;
        let what = format!("`{}`", path.display());
        if path.extension().is_some_and(|ending| ending == "toml") {
            Self::from_toml(&what, &bytes)
        } else {
            Self::from_yaml(&what, &bytes)
        }
    }

    /// Reads YAML; `what` is what messages call it.
    ///
    /// # Errors
    ///
    /// Fails when it is not tables of variables.
    pub fn from_yaml(what: &str, bytes: &[u8]) -> Result<Self, GenerateError> {
        let root: Value = yaml_serde::from_slice(bytes).map_err(|source| GenerateError::Yaml {
            what: what.to_owned(),
            source,
        })?;
        Self::from_value(what, &root)
    }

    /// Reads TOML; `what` is what messages call it.
    ///
    /// # Errors
    ///
    /// Fails when it is not tables of variables.
    pub fn from_toml(what: &str, bytes: &[u8]) -> Result<Self, GenerateError> {
        let toml = |source| GenerateError::Toml {
            what: what.to_owned(),
            source: Box::new(source),
        };
        let table: toml::Table = toml::from_str(&String::from_utf8_lossy(bytes)).map_err(toml)?;
        let root = yaml_serde::to_value(table).map_err(|source| GenerateError::Yaml {
            what: what.to_owned(),
            source,
        })?;
        Self::from_value(what, &root)
    }

    fn from_value(what: &str, root: &Value) -> Result<Self, GenerateError> {
        let shape = |problem: String| GenerateError::shape(what, problem);
        let Some(tables) = root.as_mapping() else {
            return Err(shape("must have a table per network".to_owned()));
        };
        let mut networks = Self::default();
        for (name, table) in tables {
            let name = scalar(name).unwrap_or_default();
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || !name.bytes().all(plain) || name.starts_with('-') {
                let problem = format!(
                    "has a table `{}`; a network's name is lower-case letters, digits and dashes",
                    name.escape_debug()
                );
                return Err(shape(problem));
            }
            let Some(table) = table.as_mapping() else {
                return Err(shape(format!("must have variables below `{name}`")));
            };
            let mut variables = Environment::new();
            for (variable, value) in table {
                let variable = scalar(variable).unwrap_or_default();
                let Some(value) = scalar(value) else {
                    return Err(shape(format!(
                        "must have a text or number at `{name}.{variable}`"
                    )));
                };
                variables.insert(variable, value);
            }
            if name == ALL {
                networks.all = variables;
            } else {
                networks.each.insert(name, variables);
            }
        }
        match networks.each.len() {
            0 => Err(shape("names no network".to_owned())),
            1..=NETWORKS_MAX => Ok(networks),
            count => Err(shape(format!(
                "names {count} networks, at most {NETWORKS_MAX} are possible"
            ))),
        }
    }

    /// Puts the steps of every network, as a group, in place of the steps, and the variables of the `env`
    /// block into each step.
    pub(super) fn apply(
        &self,
        root: &mut Value,
        variables: &Variables,
    ) -> Result<(), GenerateError> {
        const WHAT: &str = "the pipeline file";
        let steps = std::mem::take(steps_mut(root, WHAT)?);
        let block = root.as_mapping_mut().and_then(|root| root.remove("env"));
        let block = match block {
            None | Some(Value::Null) => Mapping::new(),
            Some(Value::Mapping(block)) => block,
            Some(_) => {
                return Err(GenerateError::shape(
                    WHAT,
                    "has an `env` that is no mapping",
                ));
            }
        };
        let mut keys = Vec::new();
        for step in &steps {
            if let Some(step) = step.as_mapping() {
                if step.contains_key("group") {
                    let problem = "has groups already, and a group cannot hold another";
                    return Err(GenerateError::shape(WHAT, problem));
                }
                keys.extend(key(step).map(str::to_owned));
            }
        }
        let mut groups = Vec::new();
        for (network, own) in &self.each {
            let one = One {
                network,
                keys: &keys,
                known: Environment::new(),
                block: Environment::new(),
            };
            groups.push(one.with(&block, &self.all, own, variables)?.group(&steps)?);
        }
        *steps_mut(root, WHAT)? = groups;
        Ok(())
    }
}

/// One network.
struct One<'a> {
    network: &'a str,
    keys: &'a [String],
    /// What variables are replaced by.
    known: Environment,
    /// The `env` block, replaced.
    block: Environment,
}

impl One<'_> {
    /// Replaces the variables of the `env` block: those it names come from the networks' file alone, so
    /// that none of one network gets into another.
    fn with(
        mut self,
        block: &Mapping,
        all: &Environment,
        own: &Environment,
        variables: &Variables,
    ) -> Result<Self, GenerateError> {
        let names: Vec<String> = block.keys().filter_map(scalar).collect();
        for (name, value) in variables {
            if let Some(value) = value.to_str().filter(|_| !names.contains(name)) {
                self.known.insert(name.clone(), value.to_owned());
            }
        }
        for (name, value) in all.iter().chain(own) {
            if !names.contains(name) {
                let what = format!("the table of `{}`", self.network);
                let problem =
                    format!("sets `{name}`, which the pipeline's `env` block does not have");
                return Err(GenerateError::shape(what, problem));
            }
            if value.starts_with("./") || value.starts_with("../") {
                let what = format!("`{name}` of `{}`", self.network);
                let problem = "is a relative path, and the steps of each network have a directory of their own: make it absolute";
                return Err(GenerateError::shape(what, problem));
            }
            self.known.insert(name.clone(), value.clone());
        }
        if names.iter().any(|name| name == "NETWORK") {
            let given = self.known.entry("NETWORK".to_owned());
            given.or_insert_with(|| self.network.to_owned());
        }
        for (name, value) in block {
            let (Some(name), Some(value)) = (scalar(name), scalar(value)) else {
                return Err(GenerateError::shape("the `env` block", "must hold texts"));
            };
            let place = format!("`{name}` of `{}`", self.network);
            let value = interpolate(&value, &self.known)
                .map_err(|source| GenerateError::Interpolate { place, source })?;
            self.known.insert(name.clone(), value.clone());
            self.block.insert(name, value);
        }
        Ok(self)
    }

    fn group(&self, steps: &[Value]) -> Result<Value, GenerateError> {
        let steps: Vec<Value> = steps
            .iter()
            .map(|step| self.step(step))
            .collect::<Result<_, _>>()?;
        let mut group = Mapping::new();
        group.insert("group".into(), self.network.into());
        group.insert("key".into(), self.network.into());
        group.insert("steps".into(), Value::Sequence(steps));
        Ok(Value::Mapping(group))
    }

    fn step(&self, step: &Value) -> Result<Value, GenerateError> {
        // `wait`, without anything else.
        let Some(step) = step.as_mapping() else {
            return Ok(step.clone());
        };
        let place = match key(step) {
            Some(key) => format!("step `{key}`"),
            None => "a step without a key".to_owned(),
        };
        let is_command = step.contains_key("command") || step.contains_key("commands");
        let mut result = Mapping::new();
        for (attribute, value) in step {
            let name = scalar(attribute).unwrap_or_default();
            let value = match name.as_str() {
                name if KEYS.contains(&name) => self.prefixed(value),
                "depends_on" => self.dependencies(value, &place)?,
                "command" | "commands" => self.commands(value, &place)?,
                "artifact_paths" => self.paths(value),
                "env" => continue,
                _ => value.clone(),
            };
            result.insert(attribute.clone(), self.replaced(&value, &place)?);
        }
        if is_command {
            let mut environment = Mapping::new();
            for (name, value) in &self.block {
                environment.insert(name.as_str().into(), escaped(value, &place)?.into());
            }
            let own = step.get("env").and_then(Value::as_mapping);
            for (name, value) in own.into_iter().flatten() {
                environment.insert(name.clone(), self.replaced(value, &place)?);
            }
            result.insert("env".into(), Value::Mapping(environment));
        }
        Ok(Value::Mapping(result))
    }

    fn own_key(&self, key: &str) -> String {
        format!("{}-{key}", self.network)
    }

    fn prefixed(&self, value: &Value) -> Value {
        value
            .as_str()
            .map_or_else(|| value.clone(), |key| self.own_key(key).into())
    }

    fn dependencies(&self, value: &Value, place: &str) -> Result<Value, GenerateError> {
        match value {
            Value::Sequence(items) => {
                let items = items.iter().map(|item| self.dependencies(item, place));
                Ok(Value::Sequence(items.collect::<Result<_, _>>()?))
            }
            Value::Mapping(item) => {
                let mut item = item.clone();
                if let Some(step) = item.get_mut("step") {
                    *step = self.dependencies(step, place)?;
                }
                Ok(Value::Mapping(item))
            }
            Value::String(key) if self.keys.contains(key) => Ok(self.own_key(key).into()),
            Value::Null => Ok(Value::Null),
            other => {
                let other = scalar(other).unwrap_or_default();
                let problem = format!("it depends on `{other}`, which the pipeline does not have");
                Err(GenerateError::mixed(place, problem))
            }
        }
    }

    /// The commands, in a directory of the network's.
    fn commands(&self, value: &Value, place: &str) -> Result<Value, GenerateError> {
        let lines: Vec<&Value> = match value {
            Value::Sequence(lines) => lines.iter().collect(),
            one => vec![one],
        };
        let network = self.network;
        let mut commands = vec![format!("mkdir -p {network} && cd {network}").into()];
        for line in lines {
            let line = scalar(line).unwrap_or_default();
            commands.push(rewrite(&line, network, self.keys, place)?.into());
        }
        Ok(Value::Sequence(commands))
    }

    fn paths(&self, value: &Value) -> Value {
        match value {
            Value::Sequence(paths) => {
                Value::Sequence(paths.iter().map(|path| self.paths(path)).collect())
            }
            Value::String(paths) => {
                let paths = paths
                    .split(';')
                    .map(str::trim)
                    .filter(|path| !path.is_empty());
                let paths: Vec<String> = paths
                    .map(|path| format!("{}/{path}", self.network))
                    .collect();
                paths.join(";").into()
            }
            other => other.clone(),
        }
    }

    /// A value with its variables replaced, written so that the upload gives exactly the same.
    fn replaced(&self, value: &Value, place: &str) -> Result<Value, GenerateError> {
        Ok(match value {
            Value::String(text) => {
                let text = interpolate(text, &self.known).map_err(|source| {
                    GenerateError::Interpolate {
                        place: format!("{place} for `{}`", self.network),
                        source,
                    }
                })?;
                escaped(&text, place)?.into()
            }
            Value::Sequence(items) => {
                let items = items.iter().map(|item| self.replaced(item, place));
                Value::Sequence(items.collect::<Result<_, _>>()?)
            }
            Value::Mapping(members) => {
                let mut result = Mapping::new();
                for (name, value) in members {
                    result.insert(name.clone(), self.replaced(value, place)?);
                }
                Value::Mapping(result)
            }
            other => other.clone(),
        })
    }
}

/// A text as it must stand in a file that is interpolated once more.
fn escaped(text: &str, place: &str) -> Result<String, GenerateError> {
    let escaped = text.replace('$', "$$");
    match interpolate(&escaped, &Environment::new()) {
        Ok(back) if back == text => Ok(escaped),
        Ok(_) | Err(_) => Err(GenerateError::Unwritable {
            place: place.to_owned(),
            text: fork_worker::text::clipped(text, 200),
        }),
    }
}
