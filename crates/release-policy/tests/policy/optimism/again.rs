//! What a further attempt may not take over.

use release_policy::Outcome;
use release_policy::Point::Enter;
use release_policy::Verdict::{Allow, Deny};
use serde_json::json;

use super::upgrade;
use crate::rows::outcome;

/// The networks of this very release are earlier networks, too.
#[test]
fn a35_the_next_attempt_is_a_new_network() {
    let mut w = upgrade();
    w.until("alphanet", Enter);
    w.observe(
        "failed",
        "release_team",
        "alphanet#1",
        "failure",
        json!({"cause": "forked"}),
    );
    for name in ["alphanets", "scope", "alphanet"] {
        w.repeat(name, &format!("{name}-2"))
            .scope(&format!("{name}-2"), "alphanet#2");
    }
    w.ask("alphanet", Enter);
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "O-07")),
        (Deny, Outcome::Unmet)
    );
    for (one, other) in [("genesis_hash", "chain_id"), ("chain_id", "genesis_hash")] {
        let mut half = w.clone();
        half.edit("alphanet-2", |d| d["identity"][one] = json!("0xcc"));
        let decision = half.decision();
        let rule = decision.unmet().find(|gate| gate.id == "O-07").unwrap();
        assert!(rule.found.starts_with(other), "{}", rule.found);
    }
    w.edit("alphanet-2", |d| {
        d["identity"] = json!({"genesis_hash": "0xcc", "chain_id": "903"})
    });
    assert_eq!(w.decision().verdict, Allow, "{:?}", w.decision().reasons());
}
