//! The page around the picture.

use std::fmt::Write;

use fork_worker::html::escaped;
use fork_worker::text::size;

use super::Picture;
use crate::list::{ListedCandidate, ListedDaemon};

const STYLE: &str = "
  :root { color-scheme: light dark; }
  body { margin: 1.5rem; font: 15px/1.45 system-ui, sans-serif; background: #fff; color: #1b1f24; }
  @media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; } }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-size: 13px; }
  th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0;
    border-bottom: 1px solid #8c959f66; }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
  code { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
  .bad { font-weight: 700; } .chosen { font-weight: 700; }
  ul { padding-left: 1.2rem; margin: .2rem 0; }
";

/// The page.
pub(super) fn page(picture: &Picture<'_>, svg: &str) -> String {
    let document = picture.document;
    let mut page = String::new();
    let network = escaped(&document.network);
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Fork candidates of {network}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Fork candidates of {network}</h1>\n<p>{} candidates, {} ledgers, {} in <code>{}</code></p>",
        document.candidates.len(),
        document.ledgers,
        size(document.stored_bytes),
        escaped(&document.store)
    );
    let _ = writeln!(page, "<div class=\"wide\">\n{svg}</div>");
    verdict(&mut page, picture);
    candidates(&mut page, picture);
    daemons(&mut page, &document.daemons);
    let refusals = document.refusals.iter().map(|refusal| {
        format!(
            "block {} {} from {}: {} ({})",
            refusal.blockchain_length,
            refusal.state_hash,
            refusal.daemon,
            refusal.reason,
            refusal.class
        )
    });
    section(&mut page, "Refused answers", &refusals.collect::<Vec<_>>());
    let problems = document.problems.iter().map(ToString::to_string);
    section(
        &mut page,
        "Problems in the store",
        &problems.collect::<Vec<_>>(),
    );
    page.push_str("</body>\n</html>\n");
    page
}

fn verdict(page: &mut String, picture: &Picture<'_>) {
    let document = picture.document;
    page.push_str("<h2>What the rule says</h2>\n");
    let _ = match (&document.rule, document.outcome) {
        (Some(rule), Some(outcome)) => writeln!(
            page,
            "<p><b>{outcome}</b> with slot_tx_end {}, slot_chain_end {}, {} confirmations and a \
             quorum of {}</p>",
            rule.slot_tx_end, rule.slot_chain_end, rule.confirmations, rule.quorum
        ),
        _ => writeln!(page, "<p>No fork block can be told.</p>"),
    };
    list(page, &document.selection_problems);
    if let Some(selection) = picture.selection {
        section(page, "Warnings", &selection.document.warnings);
    }
}

fn section(page: &mut String, title: &str, texts: &[String]) {
    if !texts.is_empty() {
        let _ = writeln!(page, "<h2>{}</h2>", escaped(title));
        list(page, texts);
    }
}

fn list(page: &mut String, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    page.push_str("<ul>\n");
    for text in texts {
        let _ = writeln!(page, "<li>{}</li>", escaped(text));
    }
    page.push_str("</ul>\n");
}

fn candidates(page: &mut String, picture: &Picture<'_>) {
    page.push_str(
        "<h2>Candidates</h2>\n<div class=\"wide\"><table>\n<tr><th class=\"number\">height</th>\
         <th class=\"number\">slot</th><th class=\"number\">global slot</th><th>state hash</th>\
         <th>branch</th><th>verified</th><th class=\"number\">size</th>\
         <th class=\"number\">shared ledgers</th><th>from</th><th>on the best chain of</th>\
         <th>not chosen because</th></tr>\n",
    );
    for candidate in &picture.document.candidates {
        candidate_row(page, picture, candidate);
    }
    page.push_str("</table></div>\n");
}

fn candidate_row(page: &mut String, picture: &Picture<'_>, candidate: &ListedCandidate) {
    let judged = picture.selection.and_then(|selection| {
        let mut all = selection.document.candidates.iter();
        all.find(|one| one.state_hash == candidate.state_hash)
    });
    let reasons = judged.map_or(&[][..], |one| &one.rejected_because);
    let _ = write!(
        page,
        "<tr{}>",
        if candidate.is_leading {
            " class=\"chosen\""
        } else {
            ""
        }
    );
    number(page, &candidate.blockchain_length.to_string());
    number(page, &shown(candidate.slot_since_hard_fork));
    number(page, &shown(candidate.global_slot_since_genesis));
    let _ = write!(page, "<td><code>{}</code></td>", candidate.state_hash);
    cell(page, candidate.branch.as_deref().unwrap_or("-"));
    match candidate.verified {
        true => cell(page, "yes"),
        false => page.push_str("<td class=\"bad\">NO</td>"),
    }
    number(page, &size(candidate.stored_bytes));
    number(page, &candidate.shared_ledgers.to_string());
    cell(page, &candidate.captured_from);
    cell(page, &candidate.daemons.join(", "));
    page.push_str("<td>");
    list(page, reasons);
    page.push_str("</td></tr>\n");
}

fn daemons(page: &mut String, daemons: &[ListedDaemon]) {
    page.push_str(
        "<h2>Daemons</h2>\n<div class=\"wide\"><table>\n<tr><th>daemon</th><th>status</th>\
         <th class=\"number\">tip height</th><th class=\"number\">tip slot</th><th>best tip</th>\
         <th class=\"number\">clock</th><th class=\"number\">reorganisations</th>\
         <th>does not count because it</th></tr>\n",
    );
    for daemon in daemons {
        page.push_str("<tr>");
        cell(page, &daemon.name);
        cell(page, &daemon.sync_status);
        number(page, &shown(daemon.tip_length));
        number(page, &shown(daemon.tip_slot));
        let _ = write!(page, "<td><code>{}</code></td>", shown(daemon.tip));
        number(page, &shown(daemon.clock_slot));
        number(page, &daemon.reorganisations.to_string());
        cell(page, daemon.ignored.as_deref().unwrap_or_default());
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

fn cell(page: &mut String, text: &str) {
    let _ = write!(page, "<td>{}</td>", escaped(text));
}

fn number(page: &mut String, text: &str) {
    let _ = write!(page, "<td class=\"number\">{}</td>", escaped(text));
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
