//! The Mina hard-fork package: acceptance checks.

use release_policy::Outcome;
use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use super::{late, planned};
use crate::rows::outcome;
use crate::world::{World, digest};

#[test]
fn a74_the_whole_process_ends_published() {
    assert_eq!(planned().decision().verdict, Allow);
}

#[test]
fn a05_a_changed_artifact_is_refused_by_name() {
    for name in ["mina.deb", "mina-image", "ledger-staking", "config"] {
        let mut w = planned();
        w.until("package", Enter);
        w.measured
            .insert(name.to_owned(), json!({"digest": digest("flipped")}));
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny);
        assert!(
            decision.reasons()[0].contains(&format!("`{name}` is sha256:")),
            "{:?}",
            decision.reasons()
        );
    }
}

#[test]
fn a07_t8_re_versioning_keeps_the_payload() {
    let mut w = planned();
    w.until("package", Enter);
    w.measured.insert(
        "mina.deb".to_owned(),
        json!({"digest": digest("re-versioned")}),
    );
    assert_eq!(w.decision().verdict, Deny);
    w.options = vec!["reversioned-package"];
    assert_eq!(w.decision().verdict, Allow);
    w.measured.insert(
        "mina.deb".to_owned(),
        json!({"digest": digest("re-versioned"), "payload": digest("changed inside")}),
    );
    assert_eq!(w.decision().verdict, Deny);
}

#[test]
fn what_was_tested_is_what_is_published() {
    let other =
        |stage: &str, point| {
            let mut w = planned();
            let Some(crate::world::Step::Fact { value, .. }) = w.steps.iter().find(
                |step| matches!(step, crate::world::Step::Fact { key, .. } if key == "manifest"),
            ) else {
                panic!()
            };
            let mut value = value.clone();
            value["artifact"][0]["digest"] = json!(digest("another package"));
            w.before_ask(stage, point, |w| {
                w.manifest("swapped", "release_team", value);
            });
            w.until(stage, point);
            w.decision()
        };
    for (stage, point) in [
        ("publish", Enter),
        ("seedtest", Exit),
        ("seedtest", Enter),
        ("package", Exit),
    ] {
        let decision = other(stage, point);
        assert_eq!(decision.verdict, Deny, "{stage}");
        assert_eq!(
            outcome(&decision, "same-release"),
            Outcome::Unmet,
            "{stage}"
        );
    }
}

#[test]
fn a69_t13_the_packaged_config_has_an_explicit_time() {
    let mut w = planned();
    w.until("seedtest", Enter);
    w.replace("config", "\"2026-05-01T12:00:00Z\"", "null");
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(
        decision.reasons()[0].contains("no explicit time"),
        "{:?}",
        decision.reasons()
    );
    // What is made up at start is no time: "now", or a slot.
    for made_up in ["\"now\"", "\"in 10 minutes\"", "1777636800"] {
        let mut w = planned();
        w.until("seedtest", Enter);
        w.replace("config", "\"2026-05-01T12:00:00Z\"", made_up);
        assert_eq!(outcome(&w.decision(), "H-07"), Outcome::Unmet, "{made_up}");
    }
}

#[test]
fn a69_a_third_difference_of_the_test_config_is_refused() {
    let mut w = planned();
    w.until("seedtest", Enter);
    assert_eq!(w.decision().verdict, Allow);
    for (from, to, pointer) in [
        ("jxA", "jxZ", "/ledger/hash"),
        (
            "\"blockchain_length\": 7",
            "\"blockchain_length\": 8",
            "/proof/fork/blockchain_length",
        ),
        (
            "\"proof\": {",
            "\"proof\": {\"block_window_duration_ms\": 20000, ",
            "/proof/block_window_duration_ms",
        ),
    ] {
        let mut w = w.clone();
        w.replace("test-config", from, to);
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny, "{pointer}");
        let rule = decision.unmet().find(|gate| gate.id == "H-07").unwrap();
        assert!(rule.found.contains(pointer), "{rule:?}");
    }
}

#[test]
fn a06_what_lies_inside_is_what_is_listed() {
    for (holder, part) in [
        ("mina.deb", "ledger-genesis"),
        ("mina.deb", "config"),
        ("mina-image", "ledger-staking"),
        ("mina-image", "config"),
    ] {
        let mut w = planned();
        w.until("package", Exit);
        let mut inside = json!({"ledger-genesis": digest("ledger-genesis"), "ledger-staking": digest("ledger-staking"), "config": digest("config")});
        inside[part] = json!(digest("another"));
        w.measured
            .insert(holder.to_owned(), json!({"inside": inside}));
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny);
        let rule = decision.unmet().find(|gate| gate.id == "H-02").unwrap();
        assert!(
            rule.found.contains(&format!("{part} in `{holder}` is ")),
            "{rule:?}"
        );
    }
}

#[test]
fn a68_the_seed_test_sleeps_starts_and_serves_what_was_captured() {
    let mut w = planned();
    w.until("seedtest", Exit);
    assert_eq!(w.decision().verdict, Allow);
    for (test, rule) in [("sleeps", "H-04"), ("genesis", "H-05"), ("sample", "H-06")] {
        let mut missing = w.clone();
        missing.drop(test);
        let decision = missing.decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, rule)),
            (Deny, Outcome::Unmet),
            "no {test}"
        );
        let mut failed = w.clone();
        failed.edit(test, |t| t["result"] = json!("FAILED"));
        let decision = failed.decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, rule)),
            (Deny, Outcome::Unmet),
            "{test} failed"
        );
        // Nor does a test count that another role ran.
        let mut by = w.clone();
        by.signer(test, "ci");
        assert_eq!(
            outcome(&by.decision(), rule),
            Outcome::Unmet,
            "{test} by ci"
        );
    }
    // One wrong balance of one ledger.
    w.edit("sample", |t| {
        t["result"] = json!("FAILED");
        t["failed"] = json!(["balance of account 7 of staking-epoch"]);
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(
        decision
            .reasons()
            .iter()
            .any(|why| why.contains("account 7 of staking-epoch")),
        "{:?}",
        decision.reasons()
    );
}

#[test]
fn a70_six_hours() {
    let ask = |change: fn(&mut World)| {
        let mut w = planned();
        w.until("package", Exit);
        change(&mut w);
        w.decision()
    };
    assert_eq!(ask(|_| {}).verdict, Allow);
    assert_eq!(ask(late).verdict, Deny);
    let waived = |by: &str| {
        let mut w = planned();
        w.until("package", Exit);
        late(&mut w);
        let value = json!({"gate": "H-01", "reason": "slow disk", "risk": "none", "expires": "2026-06-01T00:00:00Z"});
        w.before("config", |w| {
            w.fact("waiver", by, "*", "waiver", value);
        });
        w.decision()
    };
    assert_eq!(waived("partners/0").verdict, Deny);
    let decision = waived("partners/0+partners/1");
    assert_eq!(decision.verdict, Allow, "{:?}", decision.reasons());
    assert_eq!(outcome(&decision, "H-01"), Outcome::Waived);
    assert_eq!(decision.waived().count(), 1);
    // An emergency is not refused for being slow.
    let mut w = planned();
    w.edit("manifest", |m| m["kind"] = json!("unplanned"));
    w.with_file("replay", "ledgers");
    w.with_file("capture", "kind = \"unplanned\"\n[replayer]\nstarted = \"2026-04-30T20:00:00Z\"\nended = \"2026-04-30T23:59:00Z\"\noutput = \"{file:replay}\"\n");
    late(&mut w);
    w.until("package", Exit);
    let decision = w.decision();
    assert_eq!(decision.verdict, Allow, "{:?}", decision.reasons());
    assert_eq!(outcome(&decision, "H-01"), Outcome::Unmet);
}

#[test]
fn h10_an_unplanned_fork_needs_its_replay_in_four_hours() {
    let mut w = planned();
    w.until("package", Enter);
    w.edit("manifest", |m| m["kind"] = json!("unplanned"));
    w.with_file("capture", "kind = \"unplanned\"\n");
    assert!(w.decision().reasons()[0].contains("no replay"));
    w.with_file("replay", "ledgers");
    w.with_file("capture", "kind = \"unplanned\"\n[replayer]\nstarted = \"2026-04-30T20:00:00Z\"\nended = \"2026-05-01T00:00:01Z\"\noutput = \"{file:replay}\"\n");
    assert!(w.decision().reasons()[0].contains("took 4 h 1 s"));
}

/// Who agreed may think better of it until the question is asked; the last word of each counts.
#[test]
fn h08_an_agreement_can_be_taken_back() {
    let mut w = planned();
    w.until("publish", Enter);
    w.before_ask("publish", Enter, |w| {
        w.approve("no", "partners/1", "publish#1", "coordination", "rejected");
    });
    let decision = w.decision();
    let rule = decision
        .unmet()
        .find(|gate| gate.id == "H-08")
        .map(|gate| gate.found.as_str());
    assert_eq!((decision.verdict, rule), (Pend, Some("1 of 2 signatures")));
    w.before_ask("publish", Enter, |w| {
        w.approve("yes", "partners/1", "publish#1", "coordination", "approved");
    });
    assert_eq!(w.decision().verdict, Allow, "{:?}", w.decision().reasons());
}
