//! Policies: one TOML file per process.
//!
//! A policy is read strictly and then checked as a whole ([`Policy::parse`]); a file that is not
//! understood to the last key decides nothing. Where practice differs from the written process, the
//! text is what the file says and practice is a named option ([`Policy::parse_with`]).

pub mod check;
mod file;
mod lint;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::{Digest, KeyId};
use crate::version::Grammar;
use check::Check;

pub use file::Keys;

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

impl WaiverRules {
    /// The roles that have to sign one.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.needs.iter().filter_map(|need| match need {
            WaiverNeed::Role(role) => Some(role.as_str()),
            WaiverNeed::Justification | WaiverNeed::Highlight | WaiverNeed::Vote => None,
        })
    }
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

impl Gate {
    /// Whether it belongs to a stage.
    #[must_use]
    pub fn is_at(&self, stage: &str) -> bool {
        self.stage == "*" || self.stage == stage
    }
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
    /// Who does it: `branch`, `dns`, `page`, `announce`, `suite`, `tag`, `retire`, `exec`.
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
    /// Orders the networks that a newer one replaces to be ended.
    Retire,
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
    /// Parameters by gate; the pseudo-gate `policy` has `grammar`, `identity` and `vote`.
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

impl Policy {
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
                && gate.is_at(stage)
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
