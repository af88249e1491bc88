//! The Optimism release train: acceptance checks.

use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use release_policy::{Outcome, Verdict};
use serde_json::json;

use super::{incident, manifest_of, upgrade, veto};
use crate::rows::outcome;
use crate::world::{World, commit};

#[test]
fn a74_the_whole_train_arrives() {
    assert_eq!(upgrade().decision().verdict, Allow);
}

#[test]
fn a32_months_are_calendar_months_in_utc() {
    let ask = |before: &str, exempt: Option<&str>, now: &str| -> Verdict {
        let mut w = upgrade();
        w.until("betanet", Enter);
        w.data("betanets", |d| {
            d["networks"] = json!([{"at": before, "exempt": exempt}])
        });
        w.before_ask("betanet", Enter, |w| {
            w.clock(now);
        });
        w.decision().verdict
    };
    assert_eq!(
        ask("2026-01-31T23:59:59Z", None, "2026-03-01T00:00:00Z"),
        Allow
    );
    assert_eq!(
        ask("2026-02-28T23:59:59Z", None, "2026-03-01T00:00:00Z"),
        Allow
    );
    assert_eq!(
        ask("2026-03-01T00:00:00Z", None, "2026-03-31T23:59:59Z"),
        Deny
    );
    assert_eq!(
        ask(
            "2026-03-01T00:00:00Z",
            Some("critical_issue"),
            "2026-03-31T23:59:59Z"
        ),
        Allow
    );
    assert_eq!(
        ask(
            "2026-03-01T00:00:00Z",
            Some("because"),
            "2026-03-31T23:59:59Z"
        ),
        Deny
    );
}

#[test]
fn a32_a_month_without_alphanet_is_a_warning() {
    let mut w = upgrade();
    w.until("alphanet", Enter);
    w.data("alphanets", |d| {
        d["networks"] = json!([{"at": "2025-12-31T23:59:59Z"}])
    });
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "O-01")),
        (Allow, Outcome::Unmet)
    );
    let rule = decision.unmet().find(|gate| gate.id == "O-01").unwrap();
    assert_eq!(rule.effect, release_policy::policy::Effect::Warn);
    assert!(rule.found.contains("2026-01"), "{rule:?}");
}

#[test]
fn a16_no_network_of_the_train_is_skipped() {
    for (skipped, stage) in [
        ("alphanet", "betanet"),
        ("betanet", "testnet"),
        ("testnet", "mainnet"),
        ("governance", "mainnet"),
    ] {
        let mut w = upgrade();
        w.until(stage, Enter);
        for point in [Enter, Exit] {
            let at = w.ask_position(skipped, point);
            w.steps.remove(at);
        }
        // What comes between cannot be asked for either, so it is not.
        let last = w.steps.len() - 1;
        let between: Vec<usize> = (0..last)
            .filter(|index| matches!(&w.steps[*index], crate::world::Step::Ask { stage, .. } if stage == "governance" && skipped == "testnet"))
            .collect();
        for index in between.into_iter().rev() {
            w.steps.remove(index);
        }
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny, "{skipped}");
        assert!(
            decision
                .reasons()
                .iter()
                .any(|why| why.contains(skipped) && why.contains("skipped")),
            "{skipped}: {:?}",
            decision.reasons()
        );
    }
}

#[test]
fn a33_a_late_feature_moves_and_the_date_stays() {
    let mut w = upgrade();
    w.until("alphanet", Enter);
    w.replace(
        "train",
        "2026-02-09T00:00:00Z\"\ncode",
        "2026-02-09T00:00:01Z\"\ncode",
    );
    w.edit("alphanet", |d| d["activation"] = json!({"alpha": 0}));
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, decision.moved),
        (Allow, vec!["beta".to_owned()])
    );
    // It must not be switched on with this train either.
    w.edit("alphanet", |d| {
        d["activation"] = json!({"alpha": 0, "beta": 0})
    });
    assert_eq!(outcome(&w.decision(), "O-08"), Outcome::Unmet);
    // And with nothing left there is no train.
    w.replace("train", "ready_at = \"2026-02-08T00:00:00Z\"\n", "");
    assert_eq!(outcome(&w.decision(), "O-04"), Outcome::Unmet);
}

#[test]
fn a34_a_feature_passes_the_alphanet_first() {
    let mut w = upgrade();
    w.until("betanet", Enter);
    let mut more = manifest_of(&w);
    more["feature"] = json!(["alpha", "beta", "gamma"]);
    w.before_ask("betanet", Enter, |w| {
        w.manifest("manifest-2", "release_team", more);
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "O-10").unwrap();
    assert_eq!(rule.found, "gamma");
    // And each one alone before that.
    let mut w = upgrade();
    w.until("alphanet", Exit);
    w.edit("alone-beta", |t| t["result"] = json!("FAILED"));
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(
        decision
            .reasons()
            .iter()
            .any(|why| why.starts_with("O-03") && why.contains("beta")),
        "{:?}",
        decision.reasons()
    );
}

#[test]
fn a35_an_alphanet_is_a_new_network() {
    for (field, used) in [("genesis_hash", "0xaa"), ("chain_id", "901")] {
        let mut w = upgrade();
        w.until("alphanet", Enter);
        w.edit("alphanet", |d| d["identity"][field] = json!(used));
        let decision = w.decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, "O-07")),
            (Deny, Outcome::Unmet),
            "{field}"
        );
        // Not to say what it is is no way around.
        w.edit("alphanet", |d| {
            d["identity"].as_object_mut().unwrap().remove(field);
        });
        assert_eq!(outcome(&w.decision(), "O-07"), Outcome::Unmet, "no {field}");
    }
}

#[test]
fn a36_alphanets_activate_at_genesis_and_betanets_after() {
    let mut w = upgrade();
    w.until("alphanet", Enter);
    w.edit("alphanet", |d| d["activation"]["beta"] = json!(1));
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "O-08")),
        (Deny, Outcome::Unmet)
    );
    let mut w = upgrade();
    w.until("betanet", Exit);
    w.edit("betanet", |d| d["activation"]["alpha"] = json!(0));
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "O-14")),
        (Deny, Outcome::Unmet)
    );
    let mut w = upgrade();
    w.until("betanet", Exit);
    w.edit("betanet", |d| d["started_on"] = json!("upgrade-17"));
    assert_eq!(
        outcome(&w.decision(), "O-14"),
        Outcome::Unmet,
        "it begins on the old version"
    );
}

#[test]
fn a37_upgrade_numbers_and_fork_names() {
    let betanet = |change: fn(&mut World), rule: &str| {
        let mut w = upgrade();
        w.until("betanet", Enter);
        change(&mut w);
        let decision = w.decision();
        (decision.verdict, outcome(&decision, rule))
    };
    let refused = (Deny, Outcome::Unmet);
    let used = |w: &mut World| {
        w.data("betanets", |d| d["upgrades"] = json!([16, 17]));
    };
    assert_eq!(betanet(used, "O-12"), refused, "reused");
    let lower = |w: &mut World| {
        w.data("betanets", |d| d["upgrades"] = json!([18]));
    };
    assert_eq!(betanet(lower, "O-12"), refused, "lower");
    let unnamed = |w: &mut World| {
        w.edit("manifest", |m| m["fork_name"] = json!(null));
    };
    assert_eq!(
        betanet(unnamed, "O-13"),
        refused,
        "an L2 change without a name"
    );
    let named = |w: &mut World| {
        w.replace("train", "L2", "L1");
    };
    assert_eq!(
        betanet(named, "O-13"),
        refused,
        "a name without an L2 change"
    );
    let neither = |w: &mut World| {
        unnamed_l1(w);
    };
    assert_eq!(betanet(neither, "O-13"), (Allow, Outcome::Met));
    // The proposal has the same number.
    let mut w = upgrade();
    w.until("governance", Enter);
    w.replace("governance", "number = 17", "number = 16");
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "O-26")),
        (Deny, Outcome::Unmet)
    );
}

fn unnamed_l1(w: &mut World) {
    w.replace("train", "L2", "L1");
    w.edit("manifest", |m| m["fork_name"] = json!(null));
}

#[test]
fn a38_an_open_audit_keeps_off_the_testnet_and_a_small_finding_costs_an_attempt() {
    let mut w = upgrade();
    w.until("testnet", Enter);
    w.data("audit-alpha", |d| d["closed"] = json!(false));
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "O-20")),
        (Deny, Outcome::Unmet)
    );
    // A finding of low risk: the repair is deployed as the next attempt, and the old results are void.
    let mut w = upgrade();
    w.data("audit-alpha", |d| {
        d["findings"] = json!([{"id": "f-1", "fix": true, "high": false}])
    });
    let at = w.ask_position("betanet", Exit);
    w.steps.truncate(at);
    let mut repaired = manifest_of(&w);
    repaired["commit"] = json!(commit(3));
    w.manifest("manifest-2", "release_team", repaired);
    w.doc(
        "train-again",
        "release_team",
        "*",
        "train",
        "train",
        "train",
    );
    w.observe(
        "betanets-2",
        "release_team",
        "betanet#2",
        "history",
        json!({"networks": [{"at": "2026-01-20T00:00:00Z"}], "upgrades": [16]}),
    );
    w.ask("betanet", Enter);
    w.ask("betanet", Exit);
    let decision = w.decision();
    assert_eq!((decision.verdict, decision.attempt), (Deny, 2));
    for id in ["O-14", "O-15", "O-17"] {
        assert_eq!(outcome(&decision, id), Outcome::Unmet, "{id}");
    }
}

#[test]
fn a38_a_finding_voids_the_deployment_and_the_next_one_counts() {
    let mut w = upgrade();
    w.until("betanet", Exit);
    w.data("audit-alpha", |d| {
        d["findings"] = json!([{"id": "f-1", "fix": true, "high": true}])
    });
    assert_eq!(w.decision().verdict, Deny);
    // The feature is removed; the same month is no hindrance, because a removal is exempt.
    let at = w.ask_position("betanet", Exit);
    w.steps.truncate(at);
    let mut without = manifest_of(&w);
    without["feature"] = json!(["beta"]);
    without["commit"] = json!(commit(3));
    w.manifest("manifest-2", "release_team", without);
    w.doc(
        "train-again",
        "release_team",
        "*",
        "train",
        "train",
        "train",
    );
    w.observe(
        "betanets-2",
        "release_team",
        "betanet#2",
        "history",
        json!({"networks": [{"at": "2026-01-20T00:00:00Z"}], "upgrades": [16]}),
    );
    w.ask("betanet", Enter);
    w.ask("betanet", Exit);
    let decision = w.decision();
    assert_eq!(decision.attempt, 2);
    // Nothing of the first attempt counts.
    for id in ["O-14", "O-15", "O-17"] {
        assert_eq!(outcome(&decision, id), Outcome::Unmet, "{id}");
    }
    let at = w.ask_position("betanet", Exit);
    w.steps.truncate(at);
    w.deploy(
        "betanet-2",
        "release_team",
        "betanet#2",
        "deployed",
        json!({"started_on": "upgrade-16", "activation": {"beta": 90}, "upgrade_tx": "0x2"}),
    );
    w.observe(
        "audit-beta-2",
        "security",
        "betanet#2",
        "audit",
        json!({"feature": "beta", "required": false, "reason": "no new code", "closed": true}),
    );
    w.test(
        "betanet-test-2",
        "release_team",
        "betanet#2",
        "acceptance",
        "PASSED",
        json!({}),
    );
    w.ask("betanet", Exit);
    assert_eq!(w.decision().verdict, Allow, "{:?}", w.decision().reasons());
}

#[test]
fn the_testnet_has_the_features_of_the_betanet() {
    let mut w = upgrade();
    w.until("testnet", Enter);
    let mut fewer = manifest_of(&w);
    fewer["feature"] = json!(["alpha"]);
    w.before_ask("testnet", Enter, |w| {
        w.manifest("manifest-2", "release_team", fewer);
    });
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "same-release")),
        (Deny, Outcome::Unmet)
    );
}

#[test]
fn a39_lead_time_includes_both_ends() {
    let ask = |time: &str| {
        let mut w = upgrade();
        w.until("testnet", Enter);
        w.data("activation", |d| d["time"] = json!(time));
        let decision = w.decision();
        (decision.verdict, outcome(&decision, "O-21"))
    };
    assert_eq!(ask("2026-03-15T23:59:59Z"), (Deny, Outcome::Unmet));
    assert_eq!(ask("2026-03-16T00:00:00Z"), (Allow, Outcome::Met));
    assert_eq!(ask("2026-03-23T00:00:00Z"), (Allow, Outcome::Met));
    assert_eq!(ask("2026-03-23T00:00:01Z"), (Allow, Outcome::Unmet));
    assert_eq!(ask("2026-03-01T00:00:00Z"), (Deny, Outcome::Unmet));
}

#[test]
fn a40_every_chain_of_the_superchain() {
    let chains = ["op", "base", "mode", "zora", "unichain"];
    for missing in chains {
        let mut w = upgrade();
        w.until("testnet", Exit);
        let others: Vec<&str> = chains
            .into_iter()
            .filter(|chain| *chain != missing)
            .collect();
        w.edit("testnet", |d| d["components"] = json!(others));
        let decision = w.decision();
        assert_eq!(decision.verdict, Pend, "{missing}");
        let rule = decision.unmet().find(|gate| gate.id == "O-22").unwrap();
        assert_eq!(rule.found, missing);
    }
}

#[test]
fn a41_allowed_pointers_may_differ() {
    let mut w = upgrade();
    w.until("testnet", Enter);
    w.replace(
        "testnet-config",
        "\"gas\"",
        "\"addresses\": {\"x\": 1}, \"gas\"",
    );
    assert_eq!(w.decision().verdict, Allow);
    w.replace("testnet-config", "30", "31");
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "O-23").unwrap();
    assert_eq!(rule.found, "/gas: 30 and 31");
}

#[test]
fn a42_a_veto_stops_for_ever() {
    let mut w = upgrade();
    w.until("governance", Exit);
    veto(&mut w, "governance", Exit);
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert_eq!(outcome(&decision, "O-27"), Outcome::Unmet);
    // The result that came in later changes nothing, nor does another manifest, nor another stage.
    let mut later = upgrade();
    later.until("mainnet", Enter);
    veto(&mut later, "mainnet", Enter);
    let mut again = manifest_of(&later);
    again["commit"] = json!(commit(9));
    later.before_ask("mainnet", Enter, |w| {
        w.manifest("manifest-2", "release_team", again);
    });
    let decision = later.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "stopped")),
        (Deny, Outcome::Unmet)
    );
    // A veto of somebody who has none is nothing.
    let mut other = upgrade();
    other.until("mainnet", Enter);
    veto(&mut other, "mainnet", Enter);
    other.signer("veto", "planning");
    assert_eq!(other.decision().verdict, Allow);
}

#[test]
fn a42_jovian_with_todays_options() {
    // Sepolia 2025-11-19T16:00:01Z, mainnet planned 2025-12-02T16:00:01Z.
    let mut w = upgrade();
    w.options = vec!["lead-time-7d", "mainnet-after-7d", "veto-7d"];
    w.drop("result");
    w.data("activation", |d| d["time"] = json!("2026-03-11T00:00:00Z"));
    let clock = |w: &mut World, from: &str, to: &str| {
        for step in &mut w.steps {
            if let crate::world::Step::Clock(time) = step
                && time == from
            {
                *time = to.to_owned();
            }
        }
    };
    // 13 days between the activations, as planned for Jovian; the proposal was posted before.
    clock(&mut w, "2026-03-16T00:00:00Z", "2026-03-12T16:00:01Z");
    clock(&mut w, "2026-03-20T00:00:00Z", "2026-03-25T16:00:01Z");
    w.data("mainnet-cut", |d| d["time"] = json!("2026-03-20T16:00:01Z"));
    let decision = w.decision();
    assert_eq!(decision.verdict, Allow, "{:?}", decision.reasons());
    // As written, 13 days are fine for mainnet but 9 are not for the testnet.
    w.options = vec![];
    w.until("testnet", Enter);
    assert_eq!(w.decision().verdict, Deny);
    // With the options, five days between the activations are too few, and time alone will do.
    let mut soon = upgrade();
    soon.options = vec!["mainnet-after-7d"];
    let decision = soon.decision();
    assert_eq!(decision.verdict, Pend);
    assert!(
        decision
            .until
            .is_some_and(|until| until.to_string().starts_with("2026-03-23T00:")),
        "{:?}",
        decision.until
    );
}

#[test]
fn the_board_votes_and_then_the_veto_period_runs() {
    let mut w = upgrade();
    w.options = vec!["board-then-veto-7d"];
    w.until("governance", Exit);
    w.drop("result");
    let vote = |w: &mut World, seat: u32, choice: &str| {
        let value = json!({"proposal": "file:governance", "voter": format!("seat-{seat}"), "choice": choice, "channel": "signed"});
        w.before("testnet", |w| {
            w.fact(&format!("seat-{seat}"), "governance", "*", "vote", value);
        });
    };
    // The votes are before the clock of the testnet's activation.
    let at = w.steps.iter().position(|step| matches!(step, crate::world::Step::Clock(time) if time == "2026-03-16T00:00:00Z")).unwrap();
    w.steps.insert(
        at,
        crate::world::Step::Clock("2026-03-06T00:00:00Z".to_owned()),
    );
    let clock = w.steps.remove(at + 1);
    for seat in 1..=4 {
        vote(&mut w, seat, "approve");
    }
    let without_fifth = w.decision();
    assert_eq!(outcome(&without_fifth, "O-27"), Outcome::Unmet);
    vote(&mut w, 5, "reject");
    assert_eq!(w.decision().verdict, Pend);
    let end = w.ask_position("governance", Exit);
    w.steps.insert(end, clock);
    assert_eq!(w.decision().verdict, Allow, "{:?}", w.decision().reasons());
}

#[test]
fn options_change_one_rule_each() {
    let mut w = upgrade();
    incident(&mut w, "major_issue");
    w.data("incident", |d| d["mitigation"] = json!("watch it"));
    w.until("testnet", Enter);
    assert_eq!(w.decision().verdict, Deny);
    w.options = vec!["mitigations"];
    assert_eq!(w.decision().verdict, Allow, "{:?}", w.decision().reasons());
    let mut w = upgrade();
    w.options = vec!["betanet-every-3-weeks"];
    w.until("betanet", Enter);
    w.data("betanets", |d| {
        d["networks"] = json!([{"at": "2026-01-22T00:00:00Z"}])
    });
    assert_eq!(w.decision().verdict, Deny);
    w.data("betanets", |d| {
        d["networks"] = json!([{"at": "2026-01-20T00:00:00Z"}])
    });
    assert_eq!(w.decision().verdict, Allow);
}
