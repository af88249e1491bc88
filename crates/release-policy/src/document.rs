//! Documents that a machine has to understand: TOML, read strictly.
//!
//! What only people read (an incident in words, an announcement on a web page) needs no form but its
//! digest. Release notes and changelogs are Markdown.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::name::{Commit, Digest, Time};

/// Reads a document.
///
/// # Errors
///
/// In words, with the place: the caller makes a reason of it.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|source| {
        let start = source.span().map_or(0, |span| span.start);
        let line = text
            .as_bytes()
            .iter()
            .take(start)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("line {line}: {}", source.message())
    })
}

/// The sections of a document that are there and say something, for documents that must have
/// certain ones.
///
/// # Errors
///
/// When the text is not TOML.
pub fn sections(text: &str) -> Result<BTreeSet<String>, String> {
    let table: toml::Table = read(text)?;
    let says = |value: &toml::Value| match value {
        toml::Value::String(text) => !text.trim().is_empty(),
        toml::Value::Array(items) => !items.is_empty(),
        toml::Value::Table(table) => !table.is_empty(),
        _ => true,
    };
    Ok(table
        .into_iter()
        .filter(|(_, value)| says(value))
        .map(|(key, _)| key)
        .collect())
}

/// A proposal to the operators. Sections may be missing here; a gate says which must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proposal {
    /// What is wrong.
    pub issue: String,
    /// What repairs it.
    pub resolution: String,
    /// The commits.
    pub diff: ProposedDiff,
    /// When it comes to which network.
    pub schedule: BTreeMap<String, Time>,
    /// Operators by wave and network, when some go first.
    pub waves: BTreeMap<String, Vec<Vec<String>>>,
    /// Who must, and who may, apply it.
    pub who: Who,
    /// The regular release that will contain the fix.
    pub reconcile_release: String,
    /// Notes for that later upgrade.
    pub reconcile_notes: String,
    /// The best alternative.
    pub alternative: String,
    /// Risks that are accepted, each by name.
    pub risk_acceptance: Vec<AcceptedRisk>,
    /// Deviations from the process, each by rule.
    pub deviations: Vec<Deviation>,
    /// SHA-256 of the roster: the electorate is frozen with the proposal.
    pub roster: Option<Digest>,
}

/// What a proposal would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProposedDiff {
    /// Every commit.
    pub commits: BTreeSet<Commit>,
}

/// Who has to do something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Who {
    /// Those who must apply it, and until when.
    pub must: BTreeMap<String, Time>,
    /// Those who may.
    pub may: Vec<String>,
}

/// A risk that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedRisk {
    /// The rule.
    pub gate: String,
    /// What exactly.
    pub hit: String,
    /// The risk, in words.
    pub text: String,
}

/// A deviation from the process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The rule.
    pub gate: String,
    /// Why.
    pub justification: String,
}

/// The electorate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Mail addresses by operator, in lower case. One operator has one vote, however many nodes.
    pub operators: BTreeMap<String, Vec<String>>,
}

/// Who is to get what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Nodes, by name, with their audience.
    pub targets: BTreeMap<String, String>,
    /// Steps, by name, with their audience.
    #[serde(default)]
    pub steps: BTreeMap<String, String>,
}

/// That something was announced.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// Where.
    pub channel: String,
    /// The networks whose operators got it.
    #[serde(default)]
    pub networks: BTreeSet<String>,
    /// SHA-256 of the message as it was sent.
    pub message: Digest,
}

/// A proposal to token holders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GovernanceProposal {
    /// Its number.
    pub number: u32,
    /// When it was posted.
    pub posted_at: Time,
    /// Where it is.
    pub url: String,
}

/// A release train.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// What is not ready then moves to the next train.
    pub cut_off: Time,
    /// The planning meeting.
    pub meeting: Time,
    /// The features.
    pub feature: BTreeMap<String, TrainFeature>,
}

/// A feature that wants to be on a train.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainFeature {
    /// `L1` or `L2`.
    pub layer: String,
    /// When it was submitted.
    pub submitted_at: Time,
    /// When it was ready; absent while it is not.
    #[serde(default)]
    pub ready_at: Option<Time>,
    /// The commit that was marked complete.
    #[serde(default)]
    pub code_complete: Option<Commit>,
}

/// A list of chains.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chains {
    /// Their names.
    pub chains: BTreeSet<String>,
}

/// How a fork came about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureRecord {
    /// `planned` or `unplanned`.
    pub kind: String,
    /// The replay that recomputed the ledgers of an unplanned fork.
    #[serde(default)]
    pub replayer: Option<Replay>,
}

/// A replay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// When it started.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
    /// SHA-256 of what it wrote.
    pub output: Digest,
}

/// An incident that a bugfix release answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentRecord {
    /// When it was decided to make a bugfix release.
    pub decided_at: Time,
    /// The threat to the main network.
    pub threat: String,
    /// Why a bugfix release is the recommended option.
    pub recommendation: String,
}
