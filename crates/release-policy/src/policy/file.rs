//! Reading a policy file, its options, and a file of keys.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use crate::name::{Digest, KeyId, Time};
use crate::version::Grammar;

use super::check::{self, RawGate};
use super::{
    Action, GATES_MAX, Gate, Identity, POLICY_BYTES_MAX, Policy, PolicyError, PracticeOption, Role,
    SCHEMA, Stage, VoteRules, WaiverRules, lint,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    schema: u32,
    id: String,
    process: String,
    grammar: Grammar,
    kinds: Vec<String>,
    identity: Identity,
    facts_by: String,
    manifest_by: String,
    roles: BTreeMap<String, Role>,
    vote: Option<VoteRules>,
    #[serde(default)]
    waiver: WaiverRules,
    #[serde(default)]
    names: BTreeMap<String, String>,
    stage: Vec<Spanned<Stage>>,
    gate: Vec<Spanned<RawGate>>,
    #[serde(default)]
    action: Vec<Spanned<Action>>,
    #[serde(default)]
    option: BTreeMap<String, PracticeOption>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeys {
    roles: BTreeMap<String, BTreeSet<KeyId>>,
    /// Keys that sign the head of the log; [`Keys`] has them.
    #[serde(default)]
    log: BTreeSet<KeyId>,
    /// The keys themselves, for whoever verifies signatures.
    #[serde(default)]
    public: BTreeMap<KeyId, String>,
    #[serde(default)]
    expires: BTreeMap<KeyId, Time>,
}

/// A file of keys: whose they are, and the keys themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Keys by role.
    pub roles: BTreeMap<String, BTreeSet<KeyId>>,
    /// Keys that sign the head of the log.
    pub log: BTreeSet<KeyId>,
    /// The public keys, as the files they were made from. This crate does not look into them.
    pub public: BTreeMap<KeyId, String>,
    /// When the word of a key ends to count: what is recorded then or later does not. Keys that are not
    /// in here do not end.
    pub expires: BTreeMap<KeyId, Time>,
}

impl Keys {
    /// Reads a file of keys.
    ///
    /// # Errors
    ///
    /// Refuses unknown members, malformed names of keys, and what is too large.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::Size { bytes: text.len() });
        }
        let raw: RawKeys = toml::from_str(text).map_err(|source| toml_error(text, &source))?;
        Ok(Self {
            roles: raw.roles,
            log: raw.log,
            public: raw.public,
            expires: raw.expires,
        })
    }

    /// When the key ended, if its word does not count at this time any more.
    #[must_use]
    pub fn expired(&self, key: &KeyId, at: Time) -> Option<Time> {
        self.expires.get(key).copied().filter(|end| *end <= at)
    }
}

impl Policy {
    /// Reads a policy as the written process has it, and checks it as a whole: every option too.
    ///
    /// # Errors
    ///
    /// Names the line of the first thing that is not understood or contradicts something.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy = Self::read(text)?;
        for option in policy.options.keys() {
            Self::parse_with(text, &[option.as_str()])?;
        }
        Ok(policy)
    }

    /// Reads a policy with some of its options.
    ///
    /// # Errors
    ///
    /// As [`Policy::parse`]; also for an option that the policy does not have.
    pub fn parse_with(text: &str, options: &[&str]) -> Result<Self, PolicyError> {
        let written = Self::read(text)?;
        if options.is_empty() {
            return Ok(written);
        }
        let toml_error = |source: toml::de::Error| toml_error(text, &source);
        let mut table: toml::Table = toml::from_str(text).map_err(toml_error)?;
        for option in options {
            let Some(practice) = written.options.get(*option) else {
                let known: Vec<&str> = written.options.keys().map(String::as_str).collect();
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                return Err(PolicyError::Option {
                    option: (*option).to_owned(),
                    known,
                });
            };
            let wrong = |what: String| PolicyError::OptionMeaning {
                option: (*option).to_owned(),
                what,
            };
            for (gate, set) in &practice.set {
                let target = if gate == "policy" {
                    Some(&mut table)
                } else {
                    gate_table(&mut table, gate)
                };
                let target = target.ok_or_else(|| wrong(format!("there is no gate `{gate}`")))?;
                for (key, value) in set {
                    if gate == "policy" && !matches!(key.as_str(), "grammar" | "identity" | "vote")
                    {
                        return Err(wrong(format!("`policy.{key}` cannot be an option")));
                    }
                    target.insert(key.clone(), value.clone());
                }
            }
        }
        let wrong = |what: String| PolicyError::OptionMeaning {
            option: options.join(", "),
            what,
        };
        let again = toml::to_string(&table).map_err(|source| wrong(source.to_string()))?;
        let mut policy = Self::read(&again).map_err(|source| match source {
            // Lines of the merged text mean nothing to anybody.
            PolicyError::Toml { message, .. } => wrong(message),
            PolicyError::Meaning { what, .. } => wrong(what),
            other => other,
        })?;
        policy.digest = written.digest;
        policy.options_used = options.iter().map(|option| (*option).to_owned()).collect();
        policy.options_used.sort();
        Ok(policy)
    }

    fn read(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::Size { bytes: text.len() });
        }
        let raw: RawPolicy = toml::from_str(text).map_err(|source| toml_error(text, &source))?;
        let at = |start: usize| line_of(text, start);
        let wrong = |line, what| PolicyError::Meaning { line, what };
        if raw.schema != SCHEMA {
            let what = format!(
                "schema {} is not known; this build reads {SCHEMA}",
                raw.schema
            );
            return Err(wrong(1, what));
        }
        if raw.gate.len() > GATES_MAX {
            return Err(wrong(
                1,
                format!("{} gates are more than {GATES_MAX}", raw.gate.len()),
            ));
        }
        let mut lines = lint::Lines::default();
        let mut gates = Vec::new();
        for spanned in raw.gate {
            let line = at(spanned.span().start);
            let mut gate = spanned.into_inner();
            let params = gate.params();
            let check = check::pick(gate.kind, params)
                .map_err(|what| wrong(line, format!("gate {}: {what}", gate.id)))?;
            lines.gates.push(line);
            gates.push(Gate {
                id: gate.id,
                title: gate.title,
                explain: gate.explain,
                source: gate.source,
                stage: gate.stage,
                on: gate.on,
                check,
                effect: gate.effect,
                effect_for: gate.effect_for,
                kinds: gate.kinds,
                when: gate.when,
                signed_by: gate.signed_by.unwrap_or_else(|| raw.facts_by.clone()),
            });
        }
        lines.stages = raw
            .stage
            .iter()
            .map(|stage| at(stage.span().start))
            .collect();
        lines.actions = raw
            .action
            .iter()
            .map(|action| at(action.span().start))
            .collect();
        let policy = Self {
            digest: Digest::of(text.as_bytes()),
            options_used: Vec::new(),
            id: raw.id,
            process: raw.process,
            grammar: raw.grammar,
            kinds: raw.kinds,
            identity: raw.identity,
            facts_by: raw.facts_by,
            manifest_by: raw.manifest_by,
            roles: raw.roles,
            vote: raw.vote,
            waiver: raw.waiver,
            names: raw.names,
            stages: raw.stage.into_iter().map(Spanned::into_inner).collect(),
            gates,
            actions: raw.action.into_iter().map(Spanned::into_inner).collect(),
            options: raw.option,
        };
        lint::check(&policy, &lines).map_err(|(line, what)| wrong(line, what))?;
        Ok(policy)
    }

    /// Gives the roles their keys, from a TOML file with a table `roles` of lists of keys. Policies
    /// ship without keys: whose they are differs from release to release, and is pinned by digest in
    /// the first entry of its log.
    ///
    /// # Errors
    ///
    /// Refuses an unknown role, a malformed key, and a role with fewer keys than its threshold.
    pub fn with_keys(mut self, text: &str) -> Result<Self, PolicyError> {
        for (name, keys) in Keys::parse(text)?.roles {
            let role = self.roles.get_mut(&name);
            let role =
                role.ok_or_else(|| PolicyError::Keys(format!("there is no role `{name}`")))?;
            role.keys.extend(keys);
        }
        for (name, role) in &self.roles {
            if role.keys.len() < role.threshold as usize {
                return Err(PolicyError::Keys(format!(
                    "role `{name}` needs {} keys and has {}",
                    role.threshold,
                    role.keys.len()
                )));
            }
        }
        Ok(self)
    }
}

fn gate_table<'a>(table: &'a mut toml::Table, id: &str) -> Option<&'a mut toml::Table> {
    let gates = table.get_mut("gate")?.as_array_mut()?;
    gates
        .iter_mut()
        .filter_map(toml::Value::as_table_mut)
        .find(|gate| gate.get("id").and_then(toml::Value::as_str) == Some(id))
}

fn toml_error(text: &str, source: &toml::de::Error) -> PolicyError {
    let start = source.span().map_or(0, |span| span.start);
    PolicyError::Toml {
        line: line_of(text, start),
        message: source.message().to_owned(),
    }
}

fn line_of(text: &str, start: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(start)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}
