//! What a choice of the fork block says, for people: the same from a candidate store and from an
//! archive.

use std::fmt::Write;
use std::path::Path;

use fork_types::document::{ChosenBy, DaemonVote, JudgedCandidate, SelectionDocument};

use crate::table::{Column, short, table, wrapped};

/// Rejected blocks that are shown: those nearest to the fork. JSON has all of them.
const SHOWN_MAX: usize = 40;

/// The decision, and why not otherwise; `output` is where the candidate was written.
#[must_use]
pub fn human(document: &SelectionDocument, output: Option<&Path>) -> String {
    // Writing to a string cannot fail.
    let mut text = String::new();
    match &document.chosen {
        Some(chosen) => {
            let by = match chosen.by {
                ChosenBy::Rule => "the rule",
                ChosenBy::HumanAndRule => "a human, and the rule agrees",
                ChosenBy::HumanOverride => "a human, against the rule",
            };
            let _ = writeln!(text, "fork block     {}", chosen.state_hash);
            let _ = writeln!(text, "height         {}", chosen.blockchain_length);
            let _ = writeln!(text, "chosen by      {by}");
            let _ = writeln!(
                text,
                "confirmations  {} ({} are needed)",
                chosen.confirmations, document.rule.confirmations
            );
            let _ = writeln!(
                text,
                "daemons        {} ({} are needed): {}",
                chosen.daemons.len(),
                document.rule.quorum,
                chosen.daemons.join(", ")
            );
        }
        None => text.push_str("fork block     none\n"),
    }
    let _ = writeln!(
        text,
        "rule           slot_tx_end {}, slot_chain_end {}",
        document.rule.slot_tx_end, document.rule.slot_chain_end
    );
    if let Some(output) = output {
        let _ = writeln!(text, "written to     {}", output.display());
    }
    let heading = match &document.chosen {
        Some(_) => "what the rule has against it",
        None => "what is in the way",
    };
    section(&mut text, heading, &document.problems);
    section(&mut text, "warnings", &document.warnings);
    if !document.daemons.is_empty() {
        let _ = writeln!(text, "\n{}", daemons(document).trim_end());
        let ignored = document.daemons.iter().filter_map(|vote| {
            let reason = vote.ignored.as_ref()?;
            Some(format!("{} does not count: it {reason}", vote.daemon))
        });
        for line in ignored {
            text.push_str(&wrapped(&line, "  "));
        }
    }
    rejected(&mut text, document);
    text
}

fn section(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{heading}:");
    for line in lines {
        text.push_str(&wrapped(line, "  "));
    }
}

fn daemons(document: &SelectionDocument) -> String {
    let columns = [
        Column::Flexible("daemon"),
        Column::Text("counts"),
        Column::Number("tip height"),
        Column::Text("best tip"),
        Column::Number("clock"),
        Column::Text("fork block"),
    ];
    let rows: Vec<Vec<String>> = document.daemons.iter().map(vote).collect();
    table(&columns, &rows)
}

fn vote(vote: &DaemonVote) -> Vec<String> {
    vec![
        vote.daemon.clone(),
        if vote.ignored.is_none() { "yes" } else { "no" }.to_owned(),
        shown(vote.tip_length),
        shown(vote.tip.map(short)),
        shown(vote.clock_slot),
        shown(vote.fork_block.map(short)),
    ]
}

/// The rejected blocks, the highest first, each with all its reasons.
fn rejected(text: &mut String, document: &SelectionDocument) {
    let chosen = document.chosen.as_ref().map(|chosen| chosen.state_hash);
    let rejected: Vec<&JudgedCandidate> = document
        .candidates
        .iter()
        .rev()
        .filter(|one| Some(one.state_hash) != chosen)
        .collect();
    if rejected.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nnot chosen:");
    for one in rejected.iter().take(SHOWN_MAX) {
        let daemons = match one.daemons.len() {
            0 => "on no best chain".to_owned(),
            1 => "on the best chain of 1 daemon".to_owned(),
            count => format!("on the best chains of {count} daemons"),
        };
        let stored = if one.is_stored {
            "stored"
        } else {
            "not stored"
        };
        let _ = writeln!(
            text,
            "  block {} at slot {}  {}  {stored}, {daemons}",
            one.blockchain_length,
            one.slot_since_hard_fork,
            short(one.state_hash)
        );
        for reason in &one.rejected_because {
            text.push_str(&wrapped(reason, "    "));
        }
    }
    let more = rejected.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        let _ = writeln!(
            text,
            "  and {more} lower ones; --format json has all of them"
        );
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
