//! What the report says about a node.

use std::fmt::Write as _;

use super::{NodeFacts, export_name};
use crate::report::{ReportExport, ReportNode};

/// The member of the report; absent when there was no node.
pub(crate) fn report(node: &NodeFacts) -> Option<ReportNode> {
    if !node.is_asked() {
        return None;
    }
    let exports = node.exports.iter().flatten();
    let mut report = ReportNode {
        exports: exports
            .filter_map(|(role, export)| {
                let export = export.as_ref().ok()?;
                Some(ReportExport {
                    role: *role,
                    name: export_name(*role).to_owned(),
                    accounts: export.accounts,
                    root: export.root,
                })
            })
            .collect(),
        ..ReportNode::default()
    };
    if let Some(asked) = &node.asked {
        report.url = Some(asked.url.clone());
        if let Some(status) = &asked.status {
            report.sync_status = Some(status.sync_status.clone());
            report.chain_id.clone_from(&status.chain_id);
            report.commit_id.clone_from(&status.commit_id);
        }
        report.timeline.clone_from(&asked.timeline);
        report.sample.clone_from(&asked.sample);
    }
    Some(report)
}

/// The same for people, a line each.
pub(crate) fn human(node: &ReportNode) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(url) = &node.url {
        let _ = writeln!(text, "daemon {url}");
    }
    for event in &node.timeline {
        let _ = writeln!(
            text,
            "  {:>9.3} s {}: {}",
            event.at_ms as f64 / 1000.0,
            event.state.name(),
            event.detail
        );
    }
    if let Some(sample) = &node.sample {
        let _ = writeln!(
            text,
            "  sample: seed {} ({}), {} accounts asked for",
            sample.seed, sample.seed_by, sample.asked
        );
        let _ = writeln!(text, "  coverage: {}", sample.coverage.statement);
    }
    text
}
