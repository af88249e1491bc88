//! The result of `explain`, for people and programs.

use std::fmt::Write as _;

use fork_ledger::diagnose::{
    Comparison, Diagnosis, Hypothesis, Outcome, Question, Reference, Shape,
};
use fork_types::document::SourceRef;
use fork_types::{Era, LedgerHash};
use fork_worker::InputArg;
use serde::Serialize;

use crate::args::ExplainArgs;
use crate::error::{InspectError, InspectErrorKind};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The root is the expected one.
    Expected,
    /// It is not, and it is known why.
    Explained,
    /// It is not, and nothing explains it.
    Unexplained,
}

/// What was found out about a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainReport {
    /// Version of this object.
    pub version: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// Root the ledger should have.
    pub expected_root: LedgerHash,
    /// Root of the list as asked; absent when it cannot be read so.
    pub root: Option<LedgerHash>,
    /// Era whose rules were asked for.
    pub era: Era,
    /// Depth of the tree.
    pub depth: u8,
    /// Leaves, the genesis winner included when it was added.
    pub accounts: u64,
    /// `fork` or `daemon`.
    pub loader: &'static str,
    /// Identifiers of the hypotheses that explain the expected root, the likeliest first.
    pub explanations: Vec<String>,
    /// What was tried, in order.
    pub hypotheses: Vec<HypothesisReport>,
    /// Hypotheses that came to an end.
    pub tried: usize,
    /// The reference, when it was read.
    pub reference: Option<ReferenceReport>,
    /// Permutations spent, about.
    pub permutations: u64,
    /// Permutations that might be spent.
    pub permutations_max: u64,
    /// The file.
    pub source: Option<SourceRef>,
    /// The file as it was named.
    pub file: String,
}

/// One possible mistake and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HypothesisReport {
    /// Stable name.
    pub id: String,
    /// `explains`, `other-root`, `not-found`, `no-effect`, `refused` or `skipped`.
    pub outcome: &'static str,
    /// What the expected root would be the root of.
    pub summary: String,
    /// What to do when it is so.
    pub advice: String,
    /// Root it gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<LedgerHash>,
    /// Index of the account it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Owner of that account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Places of the list tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<u64>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Permutations it would need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permutations: Option<u64>,
}

/// The list beside its reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferenceReport {
    /// The file as it was named.
    pub file: String,
    /// Why it cannot be read as the list is.
    pub refused: Option<String>,
    /// Its root.
    pub root: Option<LedgerHash>,
    /// Whether that is the expected one.
    pub root_is_expected: bool,
    /// Its leaves.
    pub accounts: u64,
    /// `same`, `extra`, `missing`, `reordered` or `changed`, from the list's point of view.
    pub shape: &'static str,
    /// Indices that differ.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<ChangedReport>,
}

/// One place where the two lists differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedReport {
    /// The index.
    pub index: u64,
    /// Owner in the list.
    pub public_key: Option<String>,
    /// Owner in the reference.
    pub reference_public_key: Option<String>,
    /// Members that differ.
    pub members: Vec<ChangedMemberReport>,
}

/// One member of an account, which the two lists do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedMemberReport {
    /// Path in account JSON.
    pub member: String,
    /// Value in the list; null when it is absent.
    pub list: Option<String>,
    /// Value in the reference; null when it is absent.
    pub reference: Option<String>,
}

pub(super) fn report(
    args: &ExplainArgs,
    question: &Question,
    diagnosis: &Diagnosis,
    source: Option<SourceRef>,
) -> ExplainReport {
    let reference = match (&diagnosis.reference, &args.reference) {
        (Some(reference), Some(file)) => Some(reference_report(file, reference, diagnosis)),
        _ => None,
    };
    ExplainReport {
        version: 1,
        verdict: match (diagnosis.is_expected(), diagnosis.is_explained()) {
            (true, _) => Verdict::Expected,
            (false, true) => Verdict::Explained,
            (false, false) => Verdict::Unexplained,
        },
        expected_root: diagnosis.expected,
        root: diagnosis.given,
        era: question.reading.era,
        depth: question.depth,
        accounts: diagnosis.accounts,
        loader: args.list.loader.name(),
        explanations: diagnosis
            .explanations()
            .map(|hypothesis| hypothesis.id.clone())
            .collect(),
        hypotheses: diagnosis.hypotheses.iter().map(hypothesis).collect(),
        tried: diagnosis.tried(),
        reference,
        permutations: diagnosis.permutations,
        permutations_max: question.permutations_max,
        source,
        file: args.list.file.to_string(),
    }
}

fn hypothesis(hypothesis: &Hypothesis) -> HypothesisReport {
    let mut report = HypothesisReport {
        id: hypothesis.id.clone(),
        outcome: "",
        summary: hypothesis.summary.clone(),
        advice: hypothesis.advice.clone(),
        root: None,
        index: None,
        public_key: None,
        places: None,
        reason: None,
        permutations: None,
    };
    report.outcome = match &hypothesis.outcome {
        Outcome::Root { root, explains } => {
            report.root = Some(*root);
            if *explains { "explains" } else { "other-root" }
        }
        Outcome::Found {
            index,
            public_key,
            roots,
        } => {
            report.index = Some(*index);
            report.public_key = Some(public_key.to_string());
            report.places = Some(*roots);
            "explains"
        }
        Outcome::NotFound { roots } => {
            report.places = Some(*roots);
            "not-found"
        }
        Outcome::NoEffect => "no-effect",
        Outcome::Refused { reason } => {
            report.reason = Some(reason.clone());
            "refused"
        }
        Outcome::Skipped { permutations } => {
            report.permutations = Some(*permutations);
            "skipped"
        }
    };
    report
}

fn reference_report(
    file: &InputArg,
    reference: &Reference,
    diagnosis: &Diagnosis,
) -> ReferenceReport {
    let file = file.to_string();
    match reference {
        Reference::Refused { reason } => ReferenceReport {
            file,
            refused: Some(reason.clone()),
            root: None,
            root_is_expected: false,
            accounts: 0,
            shape: "unknown",
            differing: 0,
            differences: Vec::new(),
        },
        Reference::Compared(comparison) => compared(file, comparison, diagnosis),
    }
}

fn compared(file: String, comparison: &Comparison, diagnosis: &Diagnosis) -> ReferenceReport {
    let text = |key: Option<fork_types::PublicKey>| key.map(|key| key.to_string());
    ReferenceReport {
        file,
        refused: None,
        root: Some(comparison.root),
        root_is_expected: comparison.root == diagnosis.expected,
        accounts: comparison.accounts,
        shape: match comparison.leaves.shape {
            Shape::Same => "same",
            Shape::Extra { .. } => "extra",
            Shape::Missing { .. } => "missing",
            Shape::Reordered { .. } => "reordered",
            Shape::Changed => "changed",
        },
        differing: comparison.leaves.differing,
        differences: comparison
            .differences
            .iter()
            .map(|difference| ChangedReport {
                index: difference.index,
                public_key: text(difference.ours),
                reference_public_key: text(difference.theirs),
                members: difference
                    .members
                    .iter()
                    .map(|member| ChangedMemberReport {
                        member: member.member.clone(),
                        list: member.ours.clone(),
                        reference: member.theirs.clone(),
                    })
                    .collect(),
            })
            .collect(),
    }
}

impl ExplainReport {
    /// Fails when the root is wrong and nothing explains it.
    ///
    /// # Errors
    ///
    /// Fails with both roots, or with the reason why the list cannot be read.
    pub fn verdict(&self) -> Result<(), InspectError> {
        if self.verdict != Verdict::Unexplained {
            return Ok(());
        }
        let (file, expected) = (self.file.clone(), self.expected_root);
        Err(match self.root {
            Some(computed) => InspectErrorKind::Unexplained {
                file,
                computed,
                expected,
            },
            None => InspectErrorKind::UnexplainedReading {
                file,
                reason: self
                    .hypotheses
                    .iter()
                    .find_map(|hypothesis| hypothesis.reason.clone())
                    .unwrap_or_default(),
                expected,
            },
        }
        .into())
    }

    /// The report for people: the verdict on the first line.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        let _ = self.write_human(&mut text);
        text
    }

    fn write_human(&self, text: &mut String) -> std::fmt::Result {
        let explanation = |id: &&HypothesisReport| id.outcome == "explains";
        match self.verdict {
            Verdict::Expected => writeln!(text, "the root is the expected one")?,
            Verdict::Explained => match self.explanations.first() {
                Some(id) => writeln!(text, "explained: {id}")?,
                None => writeln!(text, "explained: the reference has the expected root")?,
            },
            Verdict::Unexplained => {
                writeln!(text, "none of {} hypotheses gives it", self.tried)?;
            }
        }
        let root = self
            .root
            .map_or_else(|| "unreadable as asked".to_owned(), |root| root.to_string());
        writeln!(
            text,
            "  expected  {}\n  computed  {root}\n  accounts  {}\n  era       {}\n  depth     {}\n  \
             loader    {}\n  tried     {} hypotheses, {} permutations",
            self.expected_root,
            self.accounts,
            self.era,
            self.depth,
            self.loader,
            self.tried,
            self.permutations,
        )?;
        for found in self.hypotheses.iter().filter(explanation) {
            write!(
                text,
                "\n{}\n  the expected root is that of: {}\n",
                found.id, found.summary
            )?;
            if let (Some(index), Some(key)) = (found.index, &found.public_key) {
                writeln!(text, "  the account: {index} ({key})")?;
            }
            writeln!(text, "  do: {}", found.advice)?;
        }
        for other in &self.hypotheses {
            match (other.outcome, &other.reason, other.permutations) {
                ("refused", Some(reason), _) if self.verdict == Verdict::Unexplained => {
                    writeln!(text, "not possible: {} ({reason})", other.id)?;
                }
                ("skipped", _, Some(permutations)) => writeln!(
                    text,
                    "skipped: {} (needs {permutations} permutations; --limit-hashes)",
                    other.id
                )?,
                _ => {}
            }
        }
        if let Some(reference) = &self.reference {
            reference.write_human(text)?;
        }
        Ok(())
    }
}

impl ReferenceReport {
    fn write_human(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\nreference {}", self.file)?;
        if let Some(reason) = &self.refused {
            return writeln!(text, "  cannot be read as the list is: {reason}");
        }
        let verdict = if self.root_is_expected {
            "the expected one"
        } else {
            "not the expected one"
        };
        if let Some(root) = &self.root {
            writeln!(text, "  root      {root} ({verdict})")?;
        }
        writeln!(
            text,
            "  accounts  {}\n  the list  {}, {} indices differ",
            self.accounts, self.shape, self.differing
        )?;
        for difference in &self.differences {
            let key = |key: &Option<String>| key.clone().unwrap_or_else(|| "none".to_owned());
            let (ours, theirs) = (&difference.public_key, &difference.reference_public_key);
            if ours == theirs {
                writeln!(text, "  {}  {}", difference.index, key(ours))?;
            } else {
                let (ours, theirs) = (key(ours), key(theirs));
                writeln!(text, "  {}  {ours}, reference {theirs}", difference.index)?;
            }
            for member in &difference.members {
                let value = |value: &Option<String>| value.clone().unwrap_or("absent".to_owned());
                writeln!(
                    text,
                    "      {}: {}, reference {}",
                    member.member,
                    value(&member.list),
                    value(&member.reference)
                )?;
            }
        }
        let shown = self.differences.len() as u64;
        if shown < self.differing {
            let more = self.differing - shown;
            writeln!(text, "  and {more} more; --max shows more of them")?;
        }
        Ok(())
    }
}
