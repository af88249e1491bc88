//! The report on a terminal of 80 columns: the fork, what failed, and last the verdict.

use std::fmt::Write as _;
use std::path::Path;

use fork_types::document::Document;
use fork_worker::text::{clipped, wrapped};

use crate::figures::mina;
use crate::html::HTML_FILE;
use crate::report::{Effect, Outcome, ReportCheck, ReportDocument, ReportLedger};

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Where values begin.
const INDENT: &str = "              ";
/// Failed checks that are shown; the file has all of them.
const FAILED_MAX: usize = 8;
/// Lines of detail of a failed check.
const DETAIL_LINES_MAX: usize = 3;
/// Longest value shown.
const VALUE_CHARS_MAX: usize = 400;
/// Longest line of detail shown.
const DETAIL_CHARS_MAX: usize = 200;

/// The report for people; `directory` is where it was written.
pub(crate) fn human(report: &ReportDocument, directory: &Path) -> String {
    let mut text = String::new();
    facts(&mut text, report);
    passed(&mut text, report);
    not_run(&mut text, report);
    comparison(&mut text, report);
    node(&mut text, report);
    let failed: Vec<_> = checks(report, Outcome::Failed).collect();
    for check in failed.iter().take(FAILED_MAX) {
        text.push('\n');
        failure(&mut text, check);
    }
    if failed.len() > FAILED_MAX {
        let rest: Vec<&str> = failed
            .iter()
            .skip(FAILED_MAX)
            .map(|one| one.id.as_str())
            .collect();
        let line = format!("{} more: {}", rest.len(), rest.join(", "));
        text.push('\n');
        labelled(&mut text, "FAILED", &line);
    }
    explanations(&mut text, report);
    text.push('\n');
    for name in [ReportDocument::FILE_NAME, HTML_FILE] {
        // Not wrapped, so that it can be copied.
        let _ = writeln!(text, "{:<14}{}", "report", directory.join(name).display());
    }
    let _ = writeln!(text, "{}", verdict(report));
    text
}

/// The last line.
fn verdict(report: &ReportDocument) -> String {
    let not_run = match report.not_run {
        0 => String::new(),
        1 => ", 1 was not run".to_owned(),
        more => format!(", {more} were not run"),
    };
    if report.failed == 0 {
        return format!("PASSED        {} checks passed{not_run}", report.passed);
    }
    let total = report.checks.len();
    format!(
        "FAILED        {} of {total} checks failed{not_run}",
        report.failed
    )
}

fn checks(report: &ReportDocument, outcome: Outcome) -> impl Iterator<Item = &ReportCheck> {
    let all = report.checks.iter();
    all.filter(move |check| check.outcome == outcome)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A value behind its label, wrapped.
fn labelled(text: &mut String, label: &str, value: &str) {
    let lines = wrapped(&plain(&clipped(value, VALUE_CHARS_MAX)), INDENT, WIDTH);
    let rest = lines.strip_prefix(INDENT).unwrap_or(&lines);
    let _ = write!(text, "{label:<14}{rest}");
}

/// Text without what would move the cursor, colour the terminal or turn the line around.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn facts(text: &mut String, report: &ReportDocument) {
    let facts = &report.facts;
    let block = &facts.fork_block;
    let subject = format!("{} {}", report.subject.kind, report.subject.name);
    labelled(text, "package", &subject);
    if let Some(sha256) = &report.subject.sha256 {
        labelled(text, "  SHA-256", sha256);
    }
    let network = format!("{}, network id {}", report.network, facts.network_id);
    labelled(text, "network", &network);
    let mut line = format!("height {}", block.blockchain_length);
    for (name, slot) in [
        ("slot", block.slot_since_hard_fork.map(|slot| slot.get())),
        (
            "global slot",
            block.global_slot_since_genesis.map(|slot| slot.get()),
        ),
    ] {
        if let Some(slot) = slot {
            let _ = write!(line, ", {name} {slot}");
        }
    }
    labelled(text, "fork block", &line);
    labelled(text, "", &block.state_hash.to_string());
    let time = facts.genesis.time.as_deref().unwrap_or("no time");
    let slot = facts.genesis.global_slot_since_genesis;
    let slot = slot.map_or_else(
        || "no slot".to_owned(),
        |slot| format!("global slot {slot}"),
    );
    labelled(text, "new genesis", &format!("{time}, {slot}"));
    if let Some(rule) = &report.rule {
        let by = report.fork_slot_by.as_deref().unwrap_or("nobody");
        let slot = rule.fork_slot;
        let slot = slot.map_or_else(String::new, |slot| format!(", fork slot {slot} by {by}"));
        labelled(text, "rule", &format!("{}{slot}", rule.name));
    }
    labelled(text, "staking seed", &facts.staking_seed.to_string());
    labelled(text, "next seed", &facts.next_seed.to_string());
    for one in &facts.ledgers {
        ledger(text, one);
    }
    if let Some(earlier) = &report.package_report {
        labelled(text, "examined", &earlier.sentence());
    }
    text.push('\n');
}

fn ledger(text: &mut String, ledger: &ReportLedger) {
    let mut line = format!(
        "{} accounts, {} MINA",
        ledger.accounts_before,
        mina(&ledger.supply_before_nanomina)
    );
    let after = match (ledger.accounts_after, &ledger.supply_after_nanomina) {
        (Some(accounts), Some(supply)) => format!("{accounts} accounts, {} MINA", mina(supply)),
        _ => "nothing".to_owned(),
    };
    if after != line {
        let _ = write!(line, "; in the package {after}");
    }
    labelled(text, ledger.role.name(), &line);
    let root = |root: Option<fork_types::LedgerHash>| {
        root.map_or_else(|| "not computed".to_owned(), |root| root.to_string())
    };
    labelled(text, "  root before", &root(ledger.root_before));
    labelled(text, "  root after", &root(ledger.root_after));
    if let Some(tarball) = &ledger.tarball {
        labelled(text, "  SHA3-256", &tarball.sha3_256);
    }
}

/// How many checks of each group passed.
fn passed(text: &mut String, report: &ReportDocument) {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for check in checks(report, Outcome::Passed) {
        let group = check.group();
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, count)) => *count += 1,
            None => groups.push((group, 1)),
        }
    }
    let groups: Vec<String> = groups
        .iter()
        .map(|(group, count)| format!("{group} {count}"))
        .collect();
    if !groups.is_empty() {
        labelled(text, "passed", &groups.join(", "));
    }
}

/// What was not run; checks for which the same was missing share a line.
fn not_run(text: &mut String, report: &ReportDocument) {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for check in checks(report, Outcome::NotRun) {
        let reason = first_line(&check.detail);
        match reasons.iter_mut().find(|(found, _)| *found == reason) {
            Some((_, ids)) => ids.push(&check.id),
            None => reasons.push((reason, vec![&check.id])),
        }
    }
    for (reason, ids) in reasons {
        labelled(text, "not run", &format!("{}: {reason}", ids.join(", ")));
    }
}

fn comparison(text: &mut String, report: &ReportDocument) {
    let Some(comparison) = &report.comparison else {
        return;
    };
    text.push('\n');
    let subject = &comparison.subject;
    labelled(
        text,
        "against",
        &format!("{} {}", subject.kind, subject.name),
    );
    if let Some(problem) = &comparison.problem {
        labelled(text, "", problem);
    }
    labelled(text, "", &comparison.summary);
    for one in &comparison.differences {
        if one.effect == Effect::Harmless {
            let line = format!("{}: {}", one.input, one.meaning);
            labelled(text, "  harmless", &line);
        }
    }
    if let Some(first) = &comparison.first {
        labelled(text, "  first", first);
    }
}

fn node(text: &mut String, report: &ReportDocument) {
    let Some(node) = &report.daemon else {
        return;
    };
    text.push('\n');
    labelled(
        text,
        "daemon",
        node.url.as_deref().unwrap_or("exports only"),
    );
    for event in &node.timeline {
        let seconds = event.at_ms as f64 / 1000.0;
        let line = format!("{}: {}", event.state.name(), event.detail);
        labelled(text, &format!("  {seconds:.1} s"), &line);
    }
    if let Some(sample) = &node.sample {
        let line = format!(
            "seed {} ({}), {} accounts asked for",
            sample.seed, sample.seed_by, sample.asked
        );
        labelled(text, "  sample", &line);
        labelled(text, "  coverage", &sample.coverage.statement);
    }
    for export in &node.exports {
        let line = format!("{}: {} accounts", export.name, export.accounts);
        labelled(text, "  export", &line);
    }
}

/// Which known mistakes give the wrong roots: what to do next, above the verdict.
fn explanations(text: &mut String, report: &ReportDocument) {
    for (mistake, advice, checks) in report.mistakes() {
        text.push('\n');
        labelled(text, "MISTAKE", mistake);
        let line = format!("It gives what {} found.", checks.join(", "));
        labelled(text, "", &line);
        labelled(text, "  do", advice);
    }
}

fn failure(text: &mut String, check: &ReportCheck) {
    labelled(text, "FAILED", &check.id);
    labelled(text, "", &format!("It should prove: {}", check.proves));
    for (name, value) in [
        ("  expected", &check.expected),
        ("  found", &check.found),
        ("  in", &check.place),
    ] {
        labelled(text, name, value.as_deref().unwrap_or_default());
    }
    for line in check.detail.lines().take(DETAIL_LINES_MAX) {
        labelled(text, "", &clipped(line, DETAIL_CHARS_MAX));
    }
    let lines = check.detail.lines().count();
    if lines > DETAIL_LINES_MAX {
        let rest = lines - DETAIL_LINES_MAX;
        let lines = if rest == 1 { "line" } else { "lines" };
        labelled(text, "", &format!("and {rest} {lines} more"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_verdict_is_the_last_line_and_words_fit_the_terminal() {
        for (report, last) in [
            (sample::passed(), "PASSED        86 checks passed"),
            (sample::failed(), "FAILED        1 of 86 checks failed"),
        ] {
            let text = human(&report, Path::new("out"));
            assert!(text.lines().last().unwrap().starts_with(last), "{text}");
            let long: Vec<&str> = text
                .lines()
                .filter(|line| line.chars().count() > WIDTH)
                .collect();
            assert_eq!(long, [""; 0]);
            assert!(text.contains("\nreport        out/report.html\n"));
        }
        let text = human(&sample::failed(), Path::new("out"));
        let failure = "FAILED        config.fork-slot\n";
        assert!(text.contains(failure), "{text}");
        assert!(
            text.contains("  expected    958440\n  found       958441\n"),
            "{text}"
        );
        assert!(
            text.contains("  first       fork.global_slot_since_genesis\n"),
            "{text}"
        );
        let mistake = "MISTAKE       untimed-becomes-timed\n              It gives what \
                       migration.genesis.root, migration.next.root found.\n  do          agree on";
        assert!(text.contains(mistake), "{text}");
        // A report that goes on and on stays readable.
        let text = human(&sample::hostile(), Path::new("out"));
        assert!(text.lines().count() < 150, "{}", text.lines().count());
        assert!(!text.contains('\u{202e}'), "direction marks");
    }
}
