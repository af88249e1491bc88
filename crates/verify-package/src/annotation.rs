//! What the pipeline's annotation says of a verification.

use fork_worker::markdown::Table;

use crate::report::{Outcome, ReportDocument};

/// The verdict, and every check that failed.
pub(crate) fn tables(report: &ReportDocument) -> [Table; 2] {
    let verdict = if report.failed == 0 {
        "passed"
    } else {
        "FAILED"
    };
    let subject = &report.subject;
    let mut facts = Table::of_facts()
        .fact("verdict", verdict)
        .fact("subject", format!("{} {}", subject.kind, subject.name))
        .fact("checks passed", report.passed)
        .fact("checks failed", report.failed)
        .fact("checks not run", report.not_run);
    for (role, root) in &report.roots {
        facts = facts.fact(&format!("{role} root"), root);
    }
    for (mistake, advice, _) in report.mistakes() {
        facts = facts.fact("known mistake", format!("{mistake}: {advice}"));
    }
    let mut bad = Table::new(["check", "outcome", "expected", "found", "detail"]);
    for check in &report.checks {
        let outcome = match check.outcome {
            Outcome::Passed => continue,
            Outcome::Failed => "failed",
            Outcome::NotRun => "not run",
        };
        bad.push(&[
            check.id.clone(),
            outcome.to_owned(),
            check.expected.clone().unwrap_or_default(),
            check.found.clone().unwrap_or_default(),
            check.detail.clone(),
        ]);
    }
    [facts, bad]
}
