//! Policies: one TOML file per process.
//!
//! A policy is read strictly and then checked as a whole ([`Policy::parse`]); a file that is not
//! understood to the last key decides nothing. Where practice differs from the written process, the
//! text is what the file says and practice is a named option ([`Policy::parse_with`]).

pub mod check;
mod lint;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::name::{Digest, KeyId, NameError};
use crate::version::Grammar;
use check::{Check, RawGate};

/// Largest policy that is read, in bytes.
pub const POLICY_BYTES_MAX: usize = 1 << 20;
/// Most gates of a policy.
pub const GATES_MAX: usize = 1000;
/// The version of the policy format.
pub const SCHEMA: u32 = 1;

/// Why a policy was refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Too large.
    #[error("the policy has {bytes} bytes, more than {POLICY_BYTES_MAX}")]
    Size {
        /// Its size.
        bytes: usize,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("line {line}: {message}")]
    Toml {
        /// Where.
        line: usize,
        /// What the reader says.
        message: String,
    },
    /// Understood, but it contradicts itself.
    #[error("line {line}: {what}")]
    Meaning {
        /// Where.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The option is not one of the policy's.
    #[error("the policy has no option `{option}`; it has {known}")]
    Option {
        /// The option that was asked for.
        option: String,
        /// Those there are.
        known: String,
    },
    /// With the option, the policy is no longer good.
    #[error("option `{option}`: {what}")]
    OptionMeaning {
        /// The option.
        option: String,
        /// What is wrong.
        what: String,
    },
    /// A file of keys is wrong.
    #[error("the key file is wrong: {0}")]
    Keys(String),
}

impl fork_types::Fault for PolicyError {
    fn class(&self) -> fork_types::Class {
        fork_types::Class::BadInput
    }
}

/// When a gate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// Before the release comes to the stage.
    Enter,
    /// Before the stage counts as passed.
    Exit,
    /// Before the stage's matters are closed.
    Close,
}

impl Point {
    /// As a verb: `enter`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Exit => "exit",
            Self::Close => "close",
        }
    }
}

/// What a gate whose condition does not hold does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Recorded, never blocks.
    Record,
    /// Logged.
    Warn,
    /// Not yet.
    Pend,
    /// Refused.
    Deny,
}

/// A condition without which a gate is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum When {
    /// The base version is before 1.0.
    #[serde(rename = "base < 1.0.0")]
    BaseBeforeOne,
    /// The base version is 1.0 or later.
    #[serde(rename = "base >= 1.0.0")]
    BaseFromOne,
    /// The previous network ended, in whichever way.
    #[serde(rename = "previous network ended")]
    PreviousNetworkEnded,
}

/// What stays the same across stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// The bytes of the files.
    Bit,
    /// The uncompressed content of packages; their control file may be rewritten.
    Payload,
    /// The commit.
    Commit,
    /// The fixes; releases may differ between networks.
    Containment,
    /// The features.
    FeatureSet,
}

/// Who may say something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What the role is.
    pub about: String,
    /// How many of its keys have to sign.
    pub threshold: u32,
    /// The keys. Empty in the policies that ship; [`Policy::with_keys`] adds them.
    #[serde(default)]
    pub keys: BTreeSet<KeyId>,
}

/// How votes are counted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoteRules {
    /// How it works.
    #[serde(default)]
    pub mode: VoteMode,
    /// The part of the electorate that must agree.
    pub threshold: Option<Threshold>,
    /// The channels on which votes are counted.
    pub channels: Vec<String>,
}

/// What decides a vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoteMode {
    /// More than a part of the electorate must agree; nobody has to disagree.
    #[default]
    Threshold,
    /// Silence is consent; one veto stops.
    Veto,
}

/// A part of the electorate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Numerator.
    pub num: u32,
    /// Denominator.
    pub den: u32,
    /// Whether more than this part is needed; otherwise this part is enough.
    pub strict: bool,
}

/// Which gates may be waived, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverRules {
    /// The gates.
    pub gates: Vec<String>,
    /// Everything a waiver needs.
    pub needs: Vec<WaiverNeed>,
}

/// What a waiver needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum WaiverNeed {
    /// A reason in words.
    Justification,
    /// The proposal names the deviation.
    Highlight,
    /// The vote on that proposal is won.
    Vote,
    /// This role signed it.
    Role(String),
}

impl TryFrom<String> for WaiverNeed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "justification" => Ok(Self::Justification),
            "highlight" => Ok(Self::Highlight),
            "vote" => Ok(Self::Vote),
            other => other.strip_prefix("role:").map(|role| Self::Role(role.to_owned())).ok_or_else(
                || format!("`{other}` is no need of a waiver: expected `justification`, `highlight`, `vote` or `role:NAME`"),
            ),
        }
    }
}

/// A stage of a process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Stages that must be passed before.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Instead of `requires`, for some kinds of releases.
    #[serde(default)]
    pub requires_for: BTreeMap<String, Vec<String>>,
    /// Stages whose release must be cut, nothing more.
    #[serde(default)]
    pub requires_cut: Vec<String>,
    /// The kinds of releases that may enter; empty for all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Whether a failed attempt may be followed by another one of the same release.
    #[serde(default)]
    pub iterates: bool,
    /// The environment deployments go to.
    #[serde(default)]
    pub environment: Option<String>,
}

impl Stage {
    /// The stages that a release of this kind must have passed.
    #[must_use]
    pub fn requires_of(&self, kind: &str) -> &[String] {
        self.requires_for.get(kind).unwrap_or(&self.requires)
    }
}

/// A rule as it is applied at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The rule.
    pub id: String,
    /// The rule in a few words.
    pub title: String,
    /// Why it is there and what it asks for.
    pub explain: String,
    /// Where it is written.
    pub source: String,
    /// The stage, or `*` for all.
    pub stage: String,
    /// When it is asked.
    pub on: Point,
    /// What it looks at.
    pub check: Check,
    /// What it does when its condition does not hold.
    pub effect: Effect,
    /// The same, for some kinds of releases.
    pub effect_for: BTreeMap<String, Effect>,
    /// The kinds of releases it applies to; empty for all.
    pub kinds: Vec<String>,
    /// A condition without which it is not asked.
    pub when: Option<When>,
    /// The role whose word counts.
    pub signed_by: String,
}

/// Something to be done after an `ALLOW`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Its name.
    pub id: String,
    /// The stage.
    pub stage: String,
    /// After the release was allowed to do this.
    pub on: Point,
    /// Who does it: `branch`, `dns`, `page`, `announce`, `suite`, `tag`, `exec`.
    pub executor: Executor,
    /// What it is done to, with `{version}`, `{tag}` and the names of the policy.
    pub target: String,
    /// The rule that then asks whether it is so.
    #[serde(default)]
    pub checked_by: Option<String>,
}

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// Moves a git branch.
    Branch,
    /// Points a DNS name at a network.
    Dns,
    /// Writes a page.
    Page,
    /// Sends a message.
    Announce,
    /// Moves a package into a suite of an apt repository.
    Suite,
    /// Gives an image a tag.
    Tag,
    /// Runs a program and records what it says.
    Exec,
}

/// Practice that differs from the written process.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PracticeOption {
    /// What is different.
    pub explain: String,
    /// Where it is seen.
    pub source: String,
    /// Parameters by gate; the pseudo-gate `policy` has `grammar` and `identity`.
    pub set: BTreeMap<String, toml::Table>,
}

/// A process as a policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// SHA-256 of its file.
    pub digest: Digest,
    /// The options it was read with.
    pub options_used: Vec<String>,
    /// Its name.
    pub id: String,
    /// The process.
    pub process: String,
    /// How versions are written.
    pub grammar: Grammar,
    /// The kinds of releases.
    pub kinds: Vec<String>,
    /// What stays the same across stages.
    pub identity: Identity,
    /// The role whose word counts where a gate names none.
    pub facts_by: String,
    /// The role that signs manifests.
    pub manifest_by: String,
    /// Who may say what.
    pub roles: BTreeMap<String, Role>,
    /// How votes are counted.
    pub vote: Option<VoteRules>,
    /// What may be waived.
    pub waiver: WaiverRules,
    /// Patterns of names.
    pub names: BTreeMap<String, String>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// The gates, in the file's order.
    pub gates: Vec<Gate>,
    /// What is done after an `ALLOW`.
    pub actions: Vec<Action>,
    /// Practice that differs, by name.
    pub options: BTreeMap<String, PracticeOption>,
}

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
                    if gate == "policy" && !matches!(key.as_str(), "grammar" | "identity") {
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
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::Size { bytes: text.len() });
        }
        let raw: RawKeys = toml::from_str(text).map_err(|source| toml_error(text, &source))?;
        for (name, keys) in raw.roles {
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

    /// The stage of this name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// The gate of this rule.
    #[must_use]
    pub fn gate(&self, id: &str) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.id == id)
    }

    /// The gates that are asked there, for a release of this kind, in the file's order.
    pub fn gates_at<'a>(
        &'a self,
        stage: &'a str,
        point: Point,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a Gate> {
        self.gates.iter().filter(move |gate| {
            gate.on == point
                && (gate.stage == "*" || gate.stage == stage)
                && (gate.kinds.is_empty() || gate.kinds.iter().any(|name| name == kind))
        })
    }

    /// What a rule is, in words: for `explain RULE`.
    #[must_use]
    pub fn explain(&self, id: &str) -> Option<String> {
        let gate = self.gate(id)?;
        let stage = if gate.stage == "*" {
            "every stage"
        } else {
            &gate.stage
        };
        let waived = self.waiver.gates.contains(&gate.id);
        Some(format!(
            "{id}: {}\n\n{}\n\nasked: {} of {stage}\nkind: {}\nwhen it does not hold: {}{}\nwhose word counts: {}\nsource: {}\n",
            gate.title,
            gate.explain,
            gate.on.name(),
            check::name_of(gate.check.kind()),
            effect_words(gate.effect),
            if waived { " (may be waived)" } else { "" },
            gate.signed_by,
            gate.source,
        ))
    }
}

fn effect_words(effect: Effect) -> &'static str {
    match effect {
        Effect::Deny => "DENY",
        Effect::Pend => "PEND",
        Effect::Warn => "a warning",
        Effect::Record => "it is recorded",
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

impl From<NameError> for PolicyError {
    fn from(source: NameError) -> Self {
        Self::Keys(source.to_string())
    }
}
