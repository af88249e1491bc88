//! The answer: `ALLOW`, `PEND` or `DENY`, with every gate's reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::Measured;
use crate::name::{Digest, Time};
use crate::policy::{Effect, Point};

/// May the release go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Yes.
    Allow,
    /// Not yet: time or people are missing.
    Pend,
    /// No.
    Deny,
}

impl Verdict {
    /// The process exit code of a worker that says this.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Allow => fork_types::fault::EXIT_DONE,
            Self::Pend => fork_types::Class::Pending.exit_code(),
            Self::Deny => fork_types::Class::Wrong.exit_code(),
        }
    }
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The stage.
    pub stage: String,
    /// To enter it, to count it as passed, or to close it.
    pub point: Point,
    /// The time of the decision.
    pub now: Time,
    /// What the caller found when it read the artifacts now, by name.
    pub measured: BTreeMap<String, Measured>,
}

/// What became of one gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its condition holds.
    Met,
    /// Its condition does not hold.
    Unmet,
    /// Its condition does not hold, and a good waiver says that this is accepted.
    Waived,
    /// It is not asked in this case.
    NotAsked,
}

/// One gate's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// The rule; for what the engine itself insists on, a name in lower case.
    pub id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What it does when unmet.
    pub effect: Effect,
    /// What it wants.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What there is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// When time alone will change the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// The single things that are wrong, where a waiver has to name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<String>,
    /// The envelopes that were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Digest>,
}

/// A logged fact that was not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotCounted {
    /// Its envelope.
    pub evidence: Digest,
    /// Why.
    pub why: String,
}

/// The answer, with everything it was made from, so that it can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Version of the engine's rules.
    pub engine: String,
    /// SHA-256 of the policy file.
    pub policy: Digest,
    /// Its options.
    pub options: Vec<String>,
    /// The release.
    pub release: String,
    /// The stage.
    pub stage: String,
    /// The attempt that was asked about.
    pub attempt: u32,
    /// What was asked.
    pub point: Point,
    /// The time of the decision.
    pub now: Time,
    /// Entries of the log that were known.
    pub entries: u64,
    /// Digest of the last of them.
    pub log: Digest,
    /// Envelope of the manifest.
    pub manifest: Digest,
    /// What the artifacts were when they were read.
    pub measured: BTreeMap<String, Measured>,
    /// The answer.
    pub verdict: Verdict,
    /// For `PEND`: when time alone will change it. `None` when people are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Every gate, in the policy's order.
    pub gates: Vec<GateResult>,
    /// Features that moved to the next train.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<String>,
    /// Logged facts that were not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_counted: Vec<NotCounted>,
}

impl Decision {
    /// The gates whose condition does not hold.
    pub fn unmet(&self) -> impl Iterator<Item = &GateResult> {
        self.gates
            .iter()
            .filter(|gate| gate.outcome == Outcome::Unmet)
    }

    /// The gates that were waived.
    pub fn waived(&self) -> impl Iterator<Item = &GateResult> {
        self.gates
            .iter()
            .filter(|gate| gate.outcome == Outcome::Waived)
    }

    /// One line per unmet gate, for people.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        self.unmet()
            .map(|gate| {
                let mut line = format!(
                    "{}: expected {}, found {}",
                    gate.id, gate.expected, gate.found
                );
                if !gate.next.is_empty() {
                    line.push_str("; next: ");
                    line.push_str(&gate.next);
                }
                line
            })
            .collect()
    }
}

/// The verdict that follows from the gates, and when to ask again.
#[must_use]
pub fn verdict_of(gates: &[GateResult]) -> (Verdict, Option<Time>) {
    let unmet = || gates.iter().filter(|gate| gate.outcome == Outcome::Unmet);
    if unmet().any(|gate| gate.effect == Effect::Deny) {
        return (Verdict::Deny, None);
    }
    let waiting: Vec<Option<Time>> = unmet()
        .filter(|gate| gate.effect == Effect::Pend)
        .map(|gate| gate.until)
        .collect();
    if waiting.is_empty() {
        return (Verdict::Allow, None);
    }
    // One gate that waits for people, and no time can be named.
    let until: Option<Vec<Time>> = waiting.into_iter().collect();
    (
        Verdict::Pend,
        until.and_then(|times| times.into_iter().max()),
    )
}
