//! Exceptions: data with an approval of its own.

use std::collections::BTreeSet;

use crate::decision::{GateResult, Outcome};
use crate::policy::check::Check;
use crate::policy::{Effect, WaiverNeed};
use crate::state::{Fact, has_signed};
use crate::statement::Waiver;
use crate::view::View;

use super::people;

/// Turns gates that are unmet, and may be waived, and are waived properly, into waived ones.
pub(super) fn apply(view: &View<'_>, gates: &mut [GateResult]) {
    for result in gates.iter_mut() {
        let blocks = matches!(result.effect, Effect::Deny | Effect::Pend);
        if result.outcome != Outcome::Unmet
            || !blocks
            || !view.policy.waiver.gates.contains(&result.id)
        {
            continue;
        }
        // What a rule could not find out, because the facts are missing or contradict each other, is
        // nothing that anybody has agreed to.
        let check = view.policy.gate(&result.id).map(|gate| &gate.check);
        let finds = matches!(
            check,
            Some(Check::DenyClasses { .. } | Check::NoSkip {} | Check::SubsetOf { .. })
        );
        if finds && result.hits.is_empty() {
            continue;
        }
        let _ = view.take_used();
        let mut refused = Vec::new();
        for (waiver, fact) in view.waivers() {
            if waiver.gate != result.id {
                continue;
            }
            match missing(view, waiver, fact, &result.hits) {
                missing if missing.is_empty() => {
                    result.outcome = Outcome::Waived;
                    result.next = format!("waived until {}: {}", waiver.expires, waiver.reason);
                    break;
                }
                missing => refused.push(missing.join(", ")),
            }
        }
        if result.outcome == Outcome::Waived {
            result.evidence.extend(view.take_used());
            result.evidence.sort();
            result.evidence.dedup();
        } else if !refused.is_empty() {
            result.found = format!("{}; the waiver lacks {}", result.found, refused.join("; "));
        }
    }
}

/// What a waiver lacks.
pub(super) fn missing(
    view: &View<'_>,
    waiver: &Waiver,
    fact: &Fact<'_>,
    hits: &[String],
) -> Vec<String> {
    let mut missing = Vec::new();
    if waiver.expires < view.now() {
        missing.push(format!("time: it expired at {}", waiver.expires));
    }
    let named: BTreeSet<&String> = waiver.hits.iter().collect();
    for hit in hits.iter().filter(|hit| !named.contains(hit)) {
        missing.push(format!("the hit `{hit}`"));
    }
    for need in &view.policy.waiver.needs {
        match need {
            WaiverNeed::Justification => {
                if waiver.reason.trim().is_empty() || waiver.risk.trim().is_empty() {
                    missing.push("a justification".to_owned());
                }
            }
            WaiverNeed::Highlight => {
                let highlighted = view.proposal().is_ok_and(|(_, proposal)| {
                    proposal.deviations.iter().any(|deviation| {
                        deviation.gate == waiver.gate && !deviation.justification.trim().is_empty()
                    })
                });
                if !highlighted {
                    missing.push("a highlight in the proposal".to_owned());
                }
            }
            WaiverNeed::Vote => {
                if !people::tally(view).is_ok_and(|tally| tally.won) {
                    missing.push("the vote".to_owned());
                }
            }
            WaiverNeed::Role(role) => {
                let item = format!("waiver:{}", waiver.gate);
                let approved = has_signed(view.policy, role, fact.evidence)
                    || view.approval(role, &item, "approved").is_ok();
                if !approved {
                    missing.push(format!("the signatures of role `{role}`"));
                }
            }
        }
    }
    missing
}
