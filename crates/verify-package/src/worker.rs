//! The run: gather, check, report.

use std::fmt::Write as _;
use std::time::Instant;

use fork_fs::StagedDir;
use fork_types::Role;
use fork_types::document::{Document, RuleRef};
use fork_worker::{Context, ReportingArgs, Stages, Worker, WorkerResult, peak_memory_bytes};

use crate::args::Args;
use crate::checks::{CHECKS, Finding};
use crate::error::VerifyError;
use crate::facts::Facts;
use crate::reference::Reference;
use crate::report::{Outcome, ReportCheck, ReportDocument, ReportSubject};
use crate::subject::{DEB_BYTES_MAX, Subject, SubjectKind};

/// Name of the directory for copies, which is gone before the output appears.
const SCRATCH: &str = "scratch";
/// Identifier of the check that decides between the exit codes 4 and 5.
const READABLE: &str = "package.readable";

impl Worker for Args {
    const NAME: &'static str = "verify-package";
    const FAILED_TO: &'static str = "verification failed";

    fn reporting(&self) -> &ReportingArgs {
        &self.reporting
    }

    fn run(self, context: &Context) -> WorkerResult {
        let report = verify(&self, context)?;
        context.emit(&human(&report), &report)?;
        verdict(&report)?;
        Ok(())
    }
}

/// Verifies and writes the report, whatever it says.
///
/// # Errors
///
/// Fails when the reference cannot be read or the output cannot be written. A package that is wrong
/// or unreadable is no error here.
pub fn verify(args: &Args, context: &Context) -> Result<ReportDocument, VerifyError> {
    let mut stages = Stages::new();
    let staged = StagedDir::create(&args.output.output, args.output.force)?;
    let reference = Reference::read(args, context)?;
    let scratch = staged.path().join(SCRATCH);
    fork_fs::create_dir_all(&scratch)?;
    stages.end("open");
    let facts = Facts::gather(args, reference, &scratch, &mut stages)?;
    let checks: Vec<ReportCheck> = CHECKS
        .iter()
        .flat_map(|table| table.iter())
        .map(|check| {
            let started = Instant::now();
            let finding = (check.run)(&facts);
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            reported(check.id, check.proves, finding, ms)
        })
        .collect();
    stages.end("checks");
    let mut report = report(args, &facts, checks);
    drop(facts);
    fork_fs::remove_dir_all(&scratch)?;
    stages.end("clean-up");
    report.stages_ms = stages.into_milliseconds();
    report.peak_memory_bytes = peak_memory_bytes();
    staged.write_document(&report)?;
    staged.commit()?;
    Ok(report)
}

/// What the exit code says: an error unless no check failed.
fn verdict(report: &ReportDocument) -> Result<(), VerifyError> {
    let failed = report.ids(Outcome::Failed);
    let unreadable = report
        .checks
        .iter()
        .find(|check| check.id == READABLE && check.outcome == Outcome::Failed);
    if let Some(check) = unreadable {
        return Err(VerifyError::Unreadable {
            problem: check.found.clone().unwrap_or_default(),
        });
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(VerifyError::Failed {
        failed: failed.len(),
        total: report.checks.len(),
        ids: failed.join(", "),
    })
}

fn reported(id: &str, proves: &str, finding: Finding, ms: u64) -> ReportCheck {
    let (outcome, detail, wrong) = match finding {
        Finding::Passed { detail } => (Outcome::Passed, detail, None),
        Finding::NotRun { why } => (Outcome::NotRun, why, None),
        Finding::Failed {
            expected,
            found,
            place,
            detail,
        } => (Outcome::Failed, detail, Some((expected, found, place))),
    };
    let (expected, found, place) = match wrong {
        Some((expected, found, place)) => (Some(expected), Some(found), Some(place)),
        None => (None, None, None),
    };
    ReportCheck {
        id: id.to_owned(),
        proves: proves.to_owned(),
        outcome,
        detail,
        expected,
        found,
        place,
        ms,
    }
}

fn report(args: &Args, facts: &Facts, checks: Vec<ReportCheck>) -> ReportDocument {
    let (kind, name) = Subject::describe(&args.subject);
    let file = match kind {
        SubjectKind::Deb => args.subject.deb.as_deref(),
        _ => None,
    };
    let count = |outcome| {
        checks
            .iter()
            .filter(|check| check.outcome == outcome)
            .count()
    };
    let roots = facts
        .ledgers
        .iter()
        .filter_map(|ledger| {
            let proof = ledger.store.as_ref().ok()?.proof.as_ref()?;
            Some((ledger.role, proof.root))
        })
        .collect();
    ReportDocument {
        format: ReportDocument::FORMAT.to_owned(),
        version: ReportDocument::VERSION,
        subject: ReportSubject {
            kind: kind.name().to_owned(),
            name,
            sha256: file
                .filter(|path| fork_fs::file_bytes(path).is_ok_and(|bytes| bytes <= DEB_BYTES_MAX))
                .and_then(|path| fork_fs::sha256_file(path).ok())
                .map(|digested| digested.sha256),
        },
        network: facts.reference.network.name.clone(),
        candidate_sha256: facts.reference.candidate_sha256.clone(),
        rule: facts.rule.as_ref().ok().map(|rule| RuleRef {
            name: rule.name().to_owned(),
            from: rule.source(),
            to: rule.target(),
            fork_slot: rule.fork_slot(),
            variant: rule.name().split_once('/').map(|(_, name)| name.to_owned()),
        }),
        fork_slot_by: facts.fork_slot.as_ref().map(|(_, by)| by.clone()),
        roots,
        chain_id: crate::checks::chain_id(facts).map(|inputs| inputs.summary()),
        passed: count(Outcome::Passed),
        failed: count(Outcome::Failed),
        not_run: count(Outcome::NotRun),
        checks,
        stages_ms: std::collections::BTreeMap::new(),
        peak_memory_bytes: None,
    }
}

/// The report for people: what failed first.
fn human(report: &ReportDocument) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} {}: {} passed, {} failed, {} not run",
        report.subject.kind, report.subject.name, report.passed, report.failed, report.not_run
    );
    if let Some(rule) = &report.rule {
        let slot = rule
            .fork_slot
            .map(|slot| {
                let by = report.fork_slot_by.as_deref().unwrap_or("nobody");
                format!(", fork slot {slot} by {by}")
            })
            .unwrap_or_default();
        let _ = writeln!(text, "rule {}{slot}", rule.name);
    }
    for role in Role::ALL {
        if let Some(root) = report.roots.get(&role) {
            let _ = writeln!(text, "{role} root {root}");
        }
    }
    for (outcome, label) in [
        (Outcome::Failed, "FAILED "),
        (Outcome::NotRun, "not run"),
        (Outcome::Passed, "passed "),
    ] {
        for check in report.checks.iter().filter(|one| one.outcome == outcome) {
            let _ = writeln!(text, "{label} {:<34} {}", check.id, first_line(check));
            if outcome == Outcome::Failed {
                for (name, value) in [
                    ("expected", &check.expected),
                    ("found", &check.found),
                    ("in", &check.place),
                ] {
                    let value = value.as_deref().unwrap_or_default();
                    let _ = writeln!(text, "          {name:<9}{value}");
                }
                for line in check.detail.lines() {
                    let _ = writeln!(text, "          {line}");
                }
            }
        }
    }
    text
}

fn first_line(check: &ReportCheck) -> &str {
    match check.outcome {
        Outcome::Failed => &check.proves,
        Outcome::Passed | Outcome::NotRun => check.detail.lines().next().unwrap_or_default(),
    }
}
