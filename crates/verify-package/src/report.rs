//! `report.json`.

mod daemon;
mod data;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeMap;

use fork_types::document::{ChainIdSummary, Document, RuleRef};
use fork_types::{LedgerHash, Role};
use serde::{Deserialize, Serialize};

pub use daemon::{
    NodeState, ReportCoverage, ReportEdge, ReportEvent, ReportExport, ReportMissed, ReportNode,
    ReportSample,
};
pub use data::{
    Effect, Part, ReportComparison, ReportCurves, ReportDifference, ReportFacts, ReportFile,
    ReportForkBlock, ReportGap, ReportGenesis, ReportInput, ReportLedger, ReportLedgerSeries,
    ReportSeries, ReportTarball,
};

use crate::explain::Explanation;

/// `report.json`: every check of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportDocument {
    /// `forkpack.report`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// What was verified.
    pub subject: ReportSubject,
    /// Name of the network file.
    pub network: String,
    /// SHA-256 of the candidate's document.
    pub candidate_sha256: String,
    /// The migration rule that was applied again; absent when none could be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleRef>,
    /// Who names the slot of the new genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_slot_by: Option<String>,
    /// Roots recomputed from the stores, as far as they could be.
    pub roots: BTreeMap<Role, LedgerHash>,
    /// Inputs of the chain id; absent when the config has no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<ChainIdSummary>,
    /// Number of checks that passed.
    pub passed: usize,
    /// Number of checks that failed.
    pub failed: usize,
    /// Number of checks for which something was missing.
    pub not_run: usize,
    /// The fork on one screen.
    pub facts: ReportFacts,
    /// What follows from the checks that passed, in sentences.
    pub proved: Vec<String>,
    /// What does not follow from any of them, or was not checked this time and why.
    pub not_proved: Vec<String>,
    /// All checks, in the order of the registry.
    pub checks: Vec<ReportCheck>,
    /// The running node that the package was compared with; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<ReportNode>,
    /// The report on the package that this was made from; absent when none was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_report: Option<ReportEarlier>,
    /// A second package beside this one; absent when none was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<ReportComparison>,
    /// Charts of the ledgers before and after.
    pub series: ReportSeries,
    /// Which known mistake gives each root that is wrong, as far as that was looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explanations: Vec<Explanation>,
    /// Wall time per stage in milliseconds; nearly all work is done before the checks.
    pub stages_ms: BTreeMap<String, u64>,
    /// Peak resident memory of the process in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

impl Document for ReportDocument {
    const FORMAT: &'static str = "forkpack.report";
    const VERSION: u32 = 1;
    const FILE_NAME: &'static str = "report.json";
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportSubject {
    /// `deb`, `root`, `oci`, `docker-archive` or `automode`.
    pub kind: String,
    /// Last component of its path.
    pub name: String,
    /// SHA-256 of the file, when it is one; of the manifest, when it is an OCI layout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A report on the package that something was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportEarlier {
    /// What it is about.
    pub subject: ReportSubject,
    /// SHA-256 of its document.
    pub report_sha256: String,
    /// Why it was of no use and everything was examined again; absent when its findings about the
    /// ledgers were taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

impl ReportEarlier {
    /// What came of it, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let ReportSubject { kind, name, .. } = &self.subject;
        match &self.why_not {
            None => format!(
                "config and ledger tarballs are, to the byte, those of the {kind} {name}; the ledgers were examined there, and not again"
            ),
            Some(why) => format!(
                "the report on the {kind} {name} is not about these ledgers, so they were examined again: {why}"
            ),
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportCheck {
    /// Stable identifier.
    pub id: String,
    /// What it means when it passes.
    pub proves: String,
    /// What happened.
    pub outcome: Outcome,
    /// What agreed, what was missing, or more about what is wrong.
    pub detail: String,
    /// What should be, of a failed check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is, of a failed check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Where that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Wall time of the check itself in milliseconds.
    pub ms: u64,
}

/// Outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Compared, and as it should be.
    Passed,
    /// Compared, and wrong.
    Failed,
    /// Something was missing.
    NotRun,
}

impl ReportCheck {
    /// The group it is in: its identifier up to the first point.
    #[must_use]
    pub fn group(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }
}

impl ReportDocument {
    /// The known mistakes that give wrong roots: each with what to do about it, and the checks it
    /// explains.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&str, &str, Vec<&str>)> {
        let mut known: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for one in &self.explanations {
            let Some(mistake) = &one.mistake else {
                continue;
            };
            match known.iter_mut().find(|(name, _, _)| name == mistake) {
                Some((_, _, checks)) => checks.push(&one.check),
                None => {
                    let advice = one.advice.as_deref().unwrap_or(&one.text);
                    known.push((mistake, advice, vec![&one.check]));
                }
            }
        }
        known
    }

    /// Identifiers of the checks with an outcome, in order.
    #[must_use]
    pub fn ids(&self, outcome: Outcome) -> Vec<&str> {
        self.checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .map(|check| check.id.as_str())
            .collect()
    }
}
