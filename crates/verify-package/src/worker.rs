//! The run: gather, check, report.

use std::time::Instant;

use fork_fs::StagedDir;
use fork_types::document::Document;
use fork_worker::{Context, ReportingArgs, Stages, Worker, WorkerResult, peak_memory_bytes};

use crate::args::{Args, Explain};
use crate::checks::{CHECKS, Finding};
use crate::claims;
use crate::daemon::{self, NodeFacts};
use crate::earlier::{Earlier, rule_ref};
use crate::error::VerifyError;
use crate::explain::explain;
use crate::facts::Facts;
use crate::html;
use crate::human::human;
use crate::reference::Reference;
use crate::report::{Outcome, ReportCheck, ReportDocument, ReportSubject};
use crate::subject::Subject;
use crate::summary;

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
        let [facts, bad] = crate::annotation::tables(&report);
        context.annotate(|| facts);
        context.annotate(|| bad);
        context.emit(&human(&report, &self.output.output), &report)?;
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
    let args = &with_package_file(args)?;
    let staged = StagedDir::create(&args.output.output, args.output.force)?;
    let reference = Reference::read(args, context)?;
    let scratch = staged.path().join(SCRATCH);
    fork_fs::create_dir_all(&scratch)?;
    stages.end("open");
    let mut facts = Facts::gather(args, reference, &scratch, &mut stages)?;
    facts.node = NodeFacts::gather(&args.node, &facts, context, &mut stages);
    let mut checks: Vec<ReportCheck> = CHECKS
        .iter()
        .flat_map(|table| table.iter())
        .filter(|check| check.is_about(&facts))
        .map(|check| {
            let earlier = facts.earlier.as_ref();
            if let Some(taken_over) = earlier.and_then(|earlier| earlier.check(check.id)) {
                return taken_over;
            }
            let started = Instant::now();
            let finding = (check.run)(&facts);
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            reported(check.id, check.proves, finding, ms)
        })
        .collect();
    stages.end("checks");
    let explanations = match args.explain {
        Explain::Never => Vec::new(),
        Explain::Auto => explain(&facts, &mut checks),
    };
    stages.end("explain");
    let mut report = report(args, &facts, checks);
    report.explanations = explanations;
    stages.end("report");
    drop(facts);
    fork_fs::remove_dir_all(&scratch)?;
    stages.end("clean-up");
    report.stages_ms = stages.into_milliseconds();
    report.peak_memory_bytes = peak_memory_bytes();
    staged.write_document(&report)?;
    let page = html::page(&report);
    fork_fs::write_atomic(&staged.path().join(html::HTML_FILE), page.as_bytes())?;
    staged.commit()?;
    Ok(report)
}

/// With the package in the directory that `--deb` may name.
fn with_package_file(args: &Args) -> Result<Args, VerifyError> {
    let mut args = args.clone();
    if let Some(directory) = args.subject.deb.take_if(|path| path.is_dir()) {
        let names = fork_fs::sorted_names(&directory)?;
        let mut packages = names
            .iter()
            .filter(|name| name.to_string_lossy().ends_with(".deb"));
        args.subject.deb = match (packages.next(), packages.next()) {
            (Some(only), None) => Some(directory.join(only)),
            (first, _) => {
                return Err(VerifyError::Directory {
                    directory,
                    found: if first.is_some() { "several" } else { "none" },
                });
            }
        };
    }
    Ok(args)
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
    let (mut proved, mut not_proved) = claims::judge(&checks);
    if facts.converted.is_some() {
        claims::of_converted(&mut proved, &mut not_proved);
    }
    let earlier = facts.earlier.as_ref();
    let taken_over = earlier.and_then(Earlier::report);
    ReportDocument {
        format: ReportDocument::FORMAT.to_owned(),
        version: ReportDocument::VERSION,
        subject: ReportSubject {
            kind: kind.name().to_owned(),
            name,
            sha256: facts
                .subject
                .as_ref()
                .ok()
                .and_then(|subject| subject.sha256.clone()),
        },
        network: facts.reference.network.name.clone(),
        candidate_sha256: facts.reference.candidate_sha256.clone(),
        rule: facts.rule.as_ref().ok().map(rule_ref),
        fork_slot_by: facts.fork_slot.as_ref().map(|(_, by)| by.clone()),
        roots,
        chain_id: crate::checks::chain_id(facts).map(|inputs| inputs.summary()),
        passed: count(Outcome::Passed),
        failed: count(Outcome::Failed),
        not_run: count(Outcome::NotRun),
        facts: summary::facts(facts),
        proved,
        not_proved,
        checks,
        daemon: daemon::report(&facts.node),
        package_report: earlier.map(Earlier::described),
        comparison: facts.comparison.clone(),
        series: taken_over.map_or_else(|| summary::series(facts), |one| one.series.clone()),
        explanations: Vec::new(),
        stages_ms: std::collections::BTreeMap::new(),
        peak_memory_bytes: None,
    }
}
