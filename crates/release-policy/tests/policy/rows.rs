//! Tables of breaks: which rule alone then decides.

use release_policy::{Decision, Outcome, Point, Verdict};

use crate::world::World;

/// One way to break a release: which rule alone then decides, and how.
pub struct Row {
    pub id: &'static str,
    pub stage: &'static str,
    pub point: Point,
    pub verdict: Verdict,
    /// Words of the reason.
    pub words: &'static str,
    pub breaks: fn(&mut World),
}

pub fn row(
    id: &'static str,
    stage: &'static str,
    point: Point,
    verdict: Verdict,
    words: &'static str,
    breaks: fn(&mut World),
) -> Row {
    Row {
        id,
        stage,
        point,
        verdict,
        words,
        breaks,
    }
}

/// Checks each row: without the break the answer is ALLOW and the rule is met; with it, this rule and
/// no other is unmet.
pub fn decides_alone(world: &World, rows: &[Row]) {
    let mut failures = Vec::new();
    for row in rows {
        let mut whole = world.clone();
        whole.until(row.stage, row.point);
        let decision = whole.decision();
        if decision.verdict != Verdict::Allow {
            failures.push(format!(
                "{}: the whole release is {:?}:\n{}",
                row.id,
                decision.verdict,
                decision.reasons().join("\n")
            ));
            continue;
        }
        let mut broken = world.clone();
        (row.breaks)(&mut broken);
        broken.until(row.stage, row.point);
        let decision = broken.decision();
        let unmet: Vec<&str> = decision.unmet().map(|gate| gate.id.as_str()).collect();
        let reasons = decision.reasons().join("\n");
        if unmet != [row.id] || decision.verdict != row.verdict || !reasons.contains(row.words) {
            failures.push(format!(
                "{} `{}`: {:?} by {unmet:?}:\n{reasons}",
                row.id, row.words, decision.verdict
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

pub fn outcome(decision: &Decision, id: &str) -> Outcome {
    decision
        .gates
        .iter()
        .find(|gate| gate.id == id)
        .unwrap_or_else(|| panic!("no gate {id}"))
        .outcome
}
