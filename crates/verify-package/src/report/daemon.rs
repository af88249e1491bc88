//! What a report says about a running node.

use fork_types::{LedgerHash, Role};
use serde::{Deserialize, Serialize};

/// A running node, or exports of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportNode {
    /// Its GraphQL address, without credentials; absent when only exports were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The last sync status it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_status: Option<String>,
    /// Its chain id. It is recorded, not compared: parts of it are known to daemons alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
    /// The commit it was built from, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    /// What it went through while it was watched, oldest first.
    pub timeline: Vec<ReportEvent>,
    /// The accounts that were asked for; absent when none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<ReportSample>,
    /// Exports that were read to their end.
    pub exports: Vec<ReportExport>,
}

/// A change in what a node does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportEvent {
    /// Milliseconds since watching began.
    pub at_ms: u64,
    /// What it did from then on.
    pub state: NodeState,
    /// In its words, or its best tip.
    pub detail: String,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Nobody answers.
    Unreachable,
    /// It answers, and has no best tip yet.
    Sleeping,
    /// It has a best tip.
    Awake,
    /// It answers what cannot be used.
    Failing,
}

impl NodeState {
    /// The word of the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Sleeping => "sleeping",
            Self::Awake => "awake",
            Self::Failing => "failing",
        }
    }
}

/// Accounts that were compared with what a node shows of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportSample {
    /// The ledger.
    pub role: Role,
    /// Seed of the sample, as decimal text because JSON's numbers are not wide enough.
    pub seed: String,
    /// Where the seed is from.
    pub seed_by: String,
    /// N: accounts of the ledger.
    pub accounts: u64,
    /// n: accounts drawn, each with the same probability, no two the same.
    pub drawn: u64,
    /// Accounts that are looked at because of what they are; some of them may have been drawn, too.
    pub edges: Vec<ReportEdge>,
    /// Different accounts asked for.
    pub asked: u64,
    /// What the drawn accounts prove.
    pub coverage: ReportCoverage,
}

/// A kind of accounts that is always looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportEdge {
    /// `first`, `last`, `zkapp`, `timed` or `token`.
    pub kind: String,
    /// Accounts of this kind in the ledger.
    pub accounts: u64,
    /// How many of them were asked for: all, or a drawn part of those beyond the limit.
    pub asked: u64,
}

/// What a sample proves about the accounts it did not draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportCoverage {
    /// For numbers of bad accounts, the probability that none of them was drawn.
    pub missed: Vec<ReportMissed>,
    /// The fewest bad accounts of which at least one is drawn with a probability of 99 %; absent when
    /// nothing was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_99: Option<u64>,
    /// The same in a sentence.
    pub statement: String,
}

/// The probability to miss some bad accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportMissed {
    /// k: bad accounts.
    pub bad: u64,
    /// Probability that none is drawn, with nine decimals, rounded up.
    pub probability: String,
}

/// An export that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportExport {
    /// Which ledger.
    pub role: Role,
    /// File name.
    pub name: String,
    /// Accounts in it, all of which were compared.
    pub accounts: u64,
    /// Root recomputed from them.
    pub root: LedgerHash,
}
