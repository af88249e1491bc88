//! `report.html`: the report for who has to decide, on a phone as well.
//!
//! One self-contained file, made from the document alone: no script, no font, no other file, and a
//! policy that forbids the browser to load any. Nothing is told by colour alone. The same document
//! gives the same bytes.

mod charts;
mod comparison;
mod node;
mod sections;
mod style;

use std::fmt::Write as _;

use fork_worker::html::escaped;
use fork_worker::text::clipped;

use crate::report::{Outcome, ReportDocument};

/// Name of the file beside `report.json`.
pub const HTML_FILE: &str = "report.html";

/// Longest text that is shown; the document has all of it.
const TEXT_CHARS_MAX: usize = 4000;

/// What the browser may load: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'";

/// Text within an element or attribute, not longer than people read.
fn safe(text: &str) -> String {
    escaped(&clipped(text, TEXT_CHARS_MAX))
}

/// The page of a report.
#[must_use]
pub fn page(report: &ReportDocument) -> String {
    let verdict = Verdict::of(report);
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}: {}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
        verdict.word,
        safe(&report.subject.name),
        style::STYLE
    );
    header(&mut page, report, &verdict);
    sections::facts(&mut page, report);
    sections::mistakes(&mut page, report);
    sections::failures(&mut page, report);
    comparison::comparison(&mut page, report);
    node::node(&mut page, report);
    sections::proofs(&mut page, report);
    charts::charts(&mut page, report);
    sections::checks(&mut page, report);
    sections::hashes(&mut page, report);
    sections::times(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// What the report comes to.
struct Verdict {
    class: &'static str,
    sign: &'static str,
    word: &'static str,
    sentence: String,
}

impl Verdict {
    fn of(report: &ReportDocument) -> Self {
        let mut failed = report.ids(Outcome::Failed).into_iter();
        let is_unreadable = failed.any(|id| id == "package.readable");
        let total = report.checks.len();
        let not_run = match report.not_run {
            0 => "all checks were run".to_owned(),
            1 => "1 check was not run".to_owned(),
            more => format!("{more} checks were not run"),
        };
        match report.failed {
            0 if report.passed > 0 => Self {
                class: "good",
                sign: "✓",
                word: "PASSED",
                sentence: format!("No check failed. {} passed, {not_run}.", report.passed),
            },
            0 => Self {
                class: "bad",
                sign: "✗",
                word: "NOTHING CHECKED",
                sentence: "No check was run.".to_owned(),
            },
            _ if is_unreadable => Self {
                class: "bad",
                sign: "✗",
                word: "UNREADABLE",
                sentence: "This is no package that could be verified.".to_owned(),
            },
            failed => Self {
                class: "bad",
                sign: "✗",
                word: "FAILED",
                sentence: format!("{failed} of {total} checks failed, {not_run}."),
            },
        }
    }
}

fn header(page: &mut String, report: &ReportDocument, verdict: &Verdict) {
    let Verdict {
        class,
        sign,
        word,
        sentence,
    } = verdict;
    let _ = write!(
        page,
        "<header class=\"{class}\" id=\"verdict\">\n<h1><span aria-hidden=\"true\">{sign}</span> {word}</h1>\n\
         <p>{}</p>\n<p class=\"subject\">{} <b>{}</b></p>\n</header>\n",
        safe(sentence),
        safe(&report.subject.kind),
        safe(&report.subject.name)
    );
}

#[cfg(test)]
mod tests;
