//! What `list` says, for people.

use std::fmt::Write;

use fork_worker::text::size;

use super::document::{ListDocument, ListedCandidate, ListedDaemon};
use fork_worker::table::{Column, short, table, wrapped};

/// What stands where nothing is known.
const NOTHING: &str = "-";

/// The whole listing.
pub(super) fn human(document: &ListDocument) -> String {
    // Writing to a string cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} candidates, {} ledgers, {} in {} (network {})",
        document.candidates.len(),
        document.ledgers,
        size(document.stored_bytes),
        document.store,
        document.network
    );
    if !document.candidates.is_empty() {
        let _ = writeln!(text, "\n{}", candidates(document).trim_end());
    }
    let _ = writeln!(text, "\n{}", verdict(document).trim_end());
    if !document.daemons.is_empty() {
        let _ = writeln!(text, "\n{}", daemons(&document.daemons).trim_end());
        for daemon in &document.daemons {
            if let Some(reason) = &daemon.ignored {
                let line = format!("{} does not count: it {reason}", daemon.name);
                text.push_str(&wrapped(&line, "  "));
            }
        }
    }
    if !document.refusals.is_empty() {
        let _ = writeln!(text, "\nrefused answers: {}", document.refusals.len());
        for refusal in &document.refusals {
            let line = format!(
                "block {} ({}) from {}: {} ({})",
                refusal.blockchain_length,
                short(refusal.state_hash),
                refusal.daemon,
                refusal.reason,
                refusal.class
            );
            text.push_str(&wrapped(&line, "  "));
        }
    }
    if !document.problems.is_empty() {
        let _ = writeln!(text, "\nproblems in the store: {}", document.problems.len());
        for problem in &document.problems {
            text.push_str(&wrapped(&problem.to_string(), "  "));
        }
    } else if document.checked {
        text.push_str("\nevery stored object was read again and is what its document says\n");
    }
    text
}

/// What `select` would say.
fn verdict(document: &ListDocument) -> String {
    let mut text = String::new();
    match (&document.rule, document.outcome) {
        (Some(rule), Some(outcome)) => {
            let _ = writeln!(
                text,
                "select with slot_tx_end {}, slot_chain_end {}, {} confirmations and a quorum of {}: \
                 {outcome}",
                rule.slot_tx_end, rule.slot_chain_end, rule.confirmations, rule.quorum
            );
        }
        _ => text.push_str("no fork block can be told:\n"),
    }
    for problem in &document.selection_problems {
        text.push_str(&wrapped(problem, "  "));
    }
    text
}

fn candidates(document: &ListDocument) -> String {
    let columns = [
        Column::Number("height"),
        Column::Number("slot"),
        Column::Number("global slot"),
        Column::Text("state hash"),
        Column::Text("branch"),
        Column::Text("verified"),
        Column::Number("size"),
        Column::Number("shared"),
        Column::Flexible("from"),
        Column::Flexible("on the best chain of"),
    ];
    let rows: Vec<Vec<String>> = document.candidates.iter().map(row).collect();
    table(&columns, &rows)
}

fn row(candidate: &ListedCandidate) -> Vec<String> {
    let mark = if candidate.is_leading { " *" } else { "" };
    vec![
        candidate.blockchain_length.to_string(),
        shown(candidate.slot_since_hard_fork),
        shown(candidate.global_slot_since_genesis),
        format!("{}{mark}", short(candidate.state_hash)),
        shown(candidate.branch.as_ref()),
        if candidate.verified { "yes" } else { "NO" }.to_owned(),
        size(candidate.stored_bytes),
        candidate.shared_ledgers.to_string(),
        candidate.captured_from.clone(),
        match candidate.daemons.is_empty() {
            true => "none".to_owned(),
            false => candidate.daemons.join(", "),
        },
    ]
}

fn daemons(daemons: &[ListedDaemon]) -> String {
    let columns = [
        Column::Flexible("daemon"),
        Column::Text("status"),
        Column::Number("tip height"),
        Column::Number("tip slot"),
        Column::Text("best tip"),
        Column::Number("clock"),
        Column::Number("reorganisations"),
        Column::Number("blocks seen"),
    ];
    let rows: Vec<Vec<String>> = daemons
        .iter()
        .map(|daemon| {
            vec![
                daemon.name.clone(),
                daemon.sync_status.clone(),
                shown(daemon.tip_length),
                shown(daemon.tip_slot),
                shown(daemon.tip.map(short)),
                shown(daemon.clock_slot),
                daemon.reorganisations.to_string(),
                daemon.blocks.to_string(),
            ]
        })
        .collect();
    table(&columns, &rows)
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}
