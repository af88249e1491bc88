//! What the report says about a node.

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
