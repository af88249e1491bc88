//! The running node.

use std::fmt::Write as _;

use super::safe;
use super::sections::open;
use crate::figures::grouped;
use crate::report::{NodeState, ReportDocument, ReportSample};

/// What it went through, and what its answers prove.
pub(super) fn node(page: &mut String, report: &ReportDocument) {
    let Some(node) = &report.daemon else {
        return;
    };
    open(page, "", "A running node");
    if let Some(url) = &node.url {
        let _ = writeln!(page, "<p><code>{}</code></p>", safe(url));
    }
    page.push_str("<dl class=\"facts\">\n");
    for (name, value) in [
        ("Status", &node.sync_status),
        ("Commit", &node.commit_id),
        ("Chain id", &node.chain_id),
    ] {
        if let Some(value) = value {
            let _ = writeln!(page, "<dt>{name}</dt><dd><code>{}</code></dd>", safe(value));
        }
    }
    page.push_str("</dl>\n");
    for event in &node.timeline {
        let (class, sign) = match event.state {
            NodeState::Awake => ("good", "✓"),
            NodeState::Sleeping => ("none", "–"),
            NodeState::Unreachable | NodeState::Failing => ("bad", "✗"),
        };
        let _ = writeln!(
            page,
            "<div class=\"check\"><span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span>\
             <span class=\"soft\">{} s</span> <b>{}</b><p class=\"small\">{}</p></div>",
            event.at_ms as f64 / 1000.0,
            event.state.name(),
            safe(&event.detail)
        );
    }
    if let Some(sample) = &node.sample {
        coverage(page, sample);
    }
    for export in &node.exports {
        let _ = writeln!(
            page,
            "<p class=\"small\">Export of the {} ledger, <code>{}</code>: {} accounts compared, root \
             <code>{}</code>.</p>",
            export.role,
            safe(&export.name),
            grouped(export.accounts.into()),
            export.root
        );
    }
    page.push_str("</section>\n");
}

fn coverage(page: &mut String, sample: &ReportSample) {
    let _ = writeln!(
        page,
        "<p>{}</p>\n<details><summary>The sample: {} of {} accounts of the {} ledger</summary>\n\
         <p class=\"small soft\">Drawn {} with seed <code>{}</code> ({}).</p>\n<table>\n\
         <thead><tr><th>always asked</th><th>there are</th><th>asked</th></tr></thead>\n<tbody>",
        safe(&sample.coverage.statement),
        grouped(sample.asked.into()),
        grouped(sample.accounts.into()),
        sample.role,
        grouped(sample.drawn.into()),
        safe(&sample.seed),
        safe(&sample.seed_by)
    );
    for edge in &sample.edges {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            safe(&edge.kind),
            grouped(edge.accounts.into()),
            grouped(edge.asked.into())
        );
    }
    page.push_str(
        "</tbody>\n</table>\n<table>\n<thead><tr><th>wrong accounts</th>\
         <th>probability that none was drawn</th></tr></thead>\n<tbody>\n",
    );
    for missed in &sample.coverage.missed {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td></tr>",
            grouped(missed.bad.into()),
            safe(&missed.probability)
        );
    }
    page.push_str("</tbody>\n</table>\n</details>\n");
}
