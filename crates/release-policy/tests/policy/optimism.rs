//! The Optimism release train.

use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use release_policy::{Outcome, Verdict};
use serde_json::json;

use crate::world::{Row, World, commit, decides_alone, outcome, row};

/// Upgrade 17 with one L1 and one L2 feature, from alphanet to mainnet.
pub fn upgrade() -> World {
    let mut w = World::new("optimism-train", "2026-02-10T08:00:00Z");
    w.with_file(
        "train",
        &format!(
            "cut_off = \"2026-02-09T00:00:00Z\"\nmeeting = \"2026-02-05T00:00:00Z\"\n[feature.alpha]\nlayer = \"L1\"\nsubmitted_at = \"2026-02-01T00:00:00Z\"\nready_at = \"2026-02-08T00:00:00Z\"\ncode_complete = \"{c}\"\n[feature.beta]\nlayer = \"L2\"\nsubmitted_at = \"2026-02-02T00:00:00Z\"\nready_at = \"2026-02-09T00:00:00Z\"\ncode_complete = \"{c}\"\n",
            c = commit(1)
        ),
    );
    w.with_file(
        "chains",
        "chains = [\"op\", \"base\", \"mode\", \"zora\", \"unichain\"]\n",
    );
    w.with_file("testnet-config", "{\"chain_id\": 11155420, \"gas\": 30}");
    w.with_file("mainnet-config", "{\"chain_id\": 10, \"gas\": 30}");
    w.with_file("governance", "number = 17\nposted_at = \"2026-03-05T00:00:00Z\"\nurl = \"https://vote.example.org/17\"\n");
    let all = json!(["alpha", "beta"]);
    w.manifest("manifest", "release_team", json!({"kind": "hardfork", "base": "upgrade-16", "version": "upgrade-17", "commit": commit(2), "built_at": "2026-02-09T00:00:00Z", "feature": all, "fork_name": "jovian"}));
    w.doc("train", "release_team", "*", "train", "train", "train");
    w.observe(
        "ancestry",
        "release_team",
        "*",
        "ancestry",
        json!({"commit": commit(2), "contains": [commit(1)]}),
    );
    // Alphanet.
    let networks = json!([{"at": "2026-01-15T00:00:00Z", "identity": {"genesis_hash": "0xaa", "chain_id": "901"}}]);
    w.observe(
        "alphanets",
        "release_team",
        "alphanet#1",
        "history",
        json!({"networks": networks, "upgrades": [16]}),
    );
    let approval = json!({"item": "scope", "verdict": "approved", "by": "meeting", "lists": all});
    w.fact("scope", "planning", "alphanet#1", "approval", approval);
    w.deploy("alphanet", "release_team", "alphanet#1", "deployed", json!({"activation": {"alpha": 0, "beta": 0}, "identity": {"genesis_hash": "0xbb", "chain_id": "902"}}));
    w.ask("alphanet", Enter);
    for feature in ["alpha", "beta"] {
        w.test(
            &format!("alone-{feature}"),
            "feature_team",
            "alphanet#1",
            "feature",
            "PASSED",
            json!({"feature": feature}),
        );
    }
    w.test(
        "alphanet-test",
        "feature_team",
        "alphanet#1",
        "acceptance",
        "PASSED",
        json!({}),
    );
    w.ask("alphanet", Exit);
    // Betanet.
    w.observe(
        "betanets",
        "release_team",
        "betanet#1",
        "history",
        json!({"networks": [{"at": "2026-01-20T00:00:00Z"}], "upgrades": [15, 16]}),
    );
    w.ask("betanet", Enter);
    w.deploy("betanet", "release_team", "betanet#1", "deployed", json!({"started_on": "upgrade-16", "activation": {"alpha": 100, "beta": 100}, "upgrade_tx": "0x1"}));
    w.observe("audit-alpha", "security", "betanet#1", "audit", json!({"feature": "alpha", "required": true, "report": crate::world::digest("report"), "closed": true}));
    w.observe(
        "audit-beta",
        "security",
        "betanet#1",
        "audit",
        json!({"feature": "beta", "required": false, "reason": "no new code", "closed": true}),
    );
    w.test(
        "betanet-test",
        "release_team",
        "betanet#1",
        "acceptance",
        "PASSED",
        json!({}),
    );
    w.ask("betanet", Exit);
    w.deploy("ended", "release_team", "betanet#1", "ended", json!({}));
    // Testnet.
    w.clock("2026-03-02T00:00:00Z");
    w.observe(
        "cut",
        "release_team",
        "testnet#1",
        "moment",
        json!({"name": "release_cut", "time": "2026-03-02T00:00:00Z"}),
    );
    w.observe(
        "activation",
        "release_team",
        "testnet#1",
        "moment",
        json!({"name": "activation", "time": "2026-03-16T00:00:00Z"}),
    );
    w.doc(
        "testnet-config",
        "release_team",
        "*",
        "config",
        "testnet",
        "testnet-config",
    );
    w.doc(
        "mainnet-config",
        "release_team",
        "*",
        "config",
        "mainnet",
        "mainnet-config",
    );
    w.approve(
        "agenda",
        "planning",
        "testnet#1",
        "testnet-activation",
        "approved",
    );
    w.approve(
        "readiness",
        "protocol",
        "testnet#1",
        "readiness",
        "approved",
    );
    w.ask("testnet", Enter);
    w.doc(
        "chains",
        "release_team",
        "*",
        "list",
        "chains/sepolia-superchain.toml",
        "chains",
    );
    // Governance, in parallel.
    w.clock("2026-03-05T01:00:00Z");
    w.doc(
        "governance",
        "governance",
        "*",
        "governance-proposal",
        "17",
        "governance",
    );
    w.ask("governance", Enter);
    w.clock("2026-03-16T00:00:00Z");
    w.deploy(
        "testnet",
        "release_team",
        "testnet#1",
        "deployed",
        json!({"components": ["op", "base", "mode", "zora", "unichain"]}),
    );
    w.deploy(
        "activated",
        "release_team",
        "testnet#1",
        "activated",
        json!({}),
    );
    w.ask("testnet", Exit);
    w.approve(
        "result",
        "governance",
        "governance#1",
        "governance-result",
        "approved",
    );
    w.ask("governance", Exit);
    // Mainnet.
    w.clock("2026-03-20T00:00:00Z");
    w.observe(
        "mainnet-cut",
        "release_team",
        "mainnet#1",
        "moment",
        json!({"name": "release_cut", "time": "2026-03-20T00:00:00Z"}),
    );
    let minutes = json!({"item": "mainnet-activation-date", "verdict": "approved", "by": "meeting", "date": "2026-04-01T16:00:01Z"});
    w.fact("minutes", "planning", "mainnet#1", "approval", minutes);
    w.ask("mainnet", Enter);
    w
}

fn veto(w: &mut World, stage: &str, point: release_policy::Point) {
    w.before_ask(stage, point, |w| {
        w.fact("veto", "governance", "*", "vote", json!({"proposal": "file:governance", "voter": "citizens", "choice": "veto", "channel": "signed"}));
    });
}

fn incident(w: &mut World, what: &str) {
    let data = json!({"id": "i-1", "what": what});
    w.before("betanet-test", |w| {
        w.observe("incident", "release_team", "betanet#1", "incident", data);
    });
}

pub fn rows() -> Vec<(World, Vec<Row>)> {
    let rows = vec![
        row("O-01", "alphanet", Enter, Allow, "found 2025-12", |w| {
            w.data(
                "alphanets",
                |d| {
                    d["networks"] =
                        json!([{"at": "2025-11-30T00:00:00Z"}, {"at": "2026-01-01T00:00:00Z"}])
                },
            );
        }),
        row("O-02", "alphanet", Enter, Allow, "beta not ready", |w| {
            w.replace(
                "train",
                "2026-02-09T00:00:00Z\"\ncode",
                "2026-02-09T00:00:01Z\"\ncode",
            );
            w.edit("alphanet", |d| d["activation"] = json!({"alpha": 0}));
        }),
        row(
            "O-02",
            "alphanet",
            Enter,
            Deny,
            "a cut-off that never moves",
            |w| {
                w.with_file(
                    "train-2",
                    &w.files["train"].replace("cut_off = \"2026-02-09", "cut_off = \"2026-02-10"),
                );
                w.before("ancestry", |w| {
                    w.doc("train-2", "release_team", "*", "train", "train", "train-2");
                });
            },
        ),
        row(
            "O-03",
            "alphanet",
            Exit,
            Deny,
            "`beta` was not tested alone",
            |w| {
                w.drop("alone-beta");
            },
        ),
        row("O-04", "alphanet", Enter, Deny, "`beta` of layer L3", |w| {
            w.replace("train", "L2", "L3");
        }),
        row(
            "O-05",
            "alphanet",
            Enter,
            Deny,
            "`beta` was submitted at",
            |w| {
                w.replace("train", "2026-02-02T00:00:00Z", "2026-02-05T00:00:00Z");
            },
        ),
        row(
            "O-05",
            "alphanet",
            Enter,
            Deny,
            "`beta` is not in the record",
            |w| {
                w.edit("scope", |a| a["lists"] = json!(["alpha"]));
            },
        ),
        row("O-06", "alphanet", Enter, Deny, "lacks", |w| {
            w.data("ancestry", |d| d["contains"] = json!([commit(5)]));
        }),
        row(
            "O-07",
            "alphanet",
            Enter,
            Deny,
            "genesis_hash 0xaa was used before",
            |w| {
                w.edit("alphanet", |d| {
                    d["identity"]["genesis_hash"] = json!("0xaa")
                });
            },
        ),
        row(
            "O-08",
            "alphanet",
            Enter,
            Deny,
            "`beta` activates at 5",
            |w| {
                w.edit("alphanet", |d| d["activation"]["beta"] = json!(5));
            },
        ),
        row("O-09", "alphanet", Exit, Deny, "it failed at", |w| {
            w.edit("alphanet-test", |t| t["result"] = json!("FAILED"));
        }),
        row("O-10", "betanet", Enter, Deny, "gamma", |w| {
            let mut value = manifest_of(w);
            value["feature"] = json!(["alpha", "beta", "gamma"]);
            w.before_ask("betanet", Enter, |w| {
                w.manifest("manifest-2", "release_team", value);
            });
        }),
        row(
            "O-11",
            "betanet",
            Enter,
            Deny,
            "1 in 2026-02 already",
            |w| {
                w.data("betanets", |d| {
                    d["networks"] = json!([{"at": "2026-02-01T00:00:00Z"}])
                });
            },
        ),
        row("O-12", "betanet", Enter, Deny, "a number above 17", |w| {
            w.data("betanets", |d| d["upgrades"] = json!([17]));
        }),
        row("O-13", "betanet", Enter, Deny, "none", |w| {
            w.edit("manifest", |m| m["fork_name"] = json!(null));
        }),
        row("O-13", "betanet", Enter, Deny, "no L2 change", |w| {
            w.replace("train", "L2", "L1");
        }),
        row(
            "O-14",
            "betanet",
            Exit,
            Deny,
            "`beta` is active at genesis",
            |w| {
                w.edit("betanet", |d| d["activation"]["beta"] = json!(0));
            },
        ),
        row(
            "O-14",
            "betanet",
            Exit,
            Deny,
            "no upgrade transaction",
            |w| {
                w.edit("betanet", |d| d["upgrade_tx"] = json!(null));
            },
        ),
        row("O-15", "betanet", Exit, Pend, "`beta` is undecided", |w| {
            w.drop("audit-beta");
        }),
        row(
            "O-16",
            "betanet",
            Exit,
            Deny,
            "`f-1` in `alpha`: deploy the repair",
            |w| {
                w.data("audit-alpha", |d| {
                    d["findings"] = json!([{"id": "f-1", "fix": true, "high": false}])
                });
            },
        ),
        row(
            "O-16",
            "betanet",
            Exit,
            Deny,
            "`f-1` in `alpha`: remove the feature",
            |w| {
                w.data("audit-alpha", |d| {
                    d["findings"] = json!([{"id": "f-1", "fix": true, "high": true}])
                });
            },
        ),
        row("O-17", "betanet", Exit, Deny, "it failed at", |w| {
            w.edit("betanet-test", |t| t["result"] = json!("FAILED"));
        }),
        row("O-18", "betanet", Exit, Pend, "incident `i-1`", |w| {
            incident(w, "critical_issue")
        }),
        row("O-19", "testnet", Enter, Deny, "it has not ended", |w| {
            w.drop("ended");
        }),
        row("O-19", "testnet", Enter, Deny, "incident `i-1`", |w| {
            incident(w, "major_issue")
        }),
        row(
            "O-20",
            "testnet",
            Enter,
            Deny,
            "the audit of `alpha` is open",
            |w| {
                w.data("audit-alpha", |d| d["closed"] = json!(false));
            },
        ),
        row(
            "O-21",
            "testnet",
            Enter,
            Deny,
            "found 13 d 23 h 59 m",
            |w| {
                w.data("activation", |d| d["time"] = json!("2026-03-15T23:59:00Z"));
            },
        ),
        row("O-22", "testnet", Exit, Pend, "found zora", |w| {
            w.edit("testnet", |d| {
                d["components"] = json!(["op", "base", "mode", "unichain"])
            });
        }),
        row("O-23", "testnet", Enter, Deny, "/gas: 30 and 31", |w| {
            w.replace("testnet-config", "30", "31");
        }),
        row("O-24", "testnet", Enter, Pend, "0 of 1 signatures", |w| {
            w.drop("agenda");
        }),
        row("O-25", "testnet", Enter, Pend, "0 of 1 signatures", |w| {
            w.signer("readiness", "planning");
        }),
        row(
            "O-26",
            "governance",
            Enter,
            Pend,
            "no document of type `governance-proposal`",
            |w| {
                w.drop("governance");
            },
        ),
        row("O-26", "governance", Enter, Deny, "number 18", |w| {
            w.replace("governance", "17\npost", "18\npost");
        }),
        row("O-27", "governance", Exit, Pend, "no result yet", |w| {
            w.drop("result");
        }),
        row("O-28", "mainnet", Enter, Deny, "no record of it", |w| {
            w.drop("activated");
        }),
        row(
            "O-29",
            "mainnet",
            Enter,
            Pend,
            "no date in the minutes",
            |w| {
                w.edit("minutes", |a| a["date"] = json!(null));
            },
        ),
        row("O-29", "mainnet", Enter, Pend, "no release cut", |w| {
            w.drop("mainnet-cut");
        }),
        row("O-30", "mainnet", Enter, Deny, "governance skipped", |w| {
            let at = w.ask_position("governance", Exit);
            w.steps.remove(at);
        }),
    ];
    vec![(upgrade(), rows)]
}

fn manifest_of(w: &World) -> serde_json::Value {
    w.steps
        .iter()
        .find_map(|step| match step {
            crate::world::Step::Fact { key, value, .. } if key == "manifest" => Some(value.clone()),
            _ => None,
        })
        .unwrap()
}

#[test]
fn each_rule_decides_alone() {
    for (world, rows) in rows() {
        decides_alone(&world, &rows);
    }
}

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
fn a41_allowed_pointers_may_differ() {
    let mut w = upgrade();
    w.until("testnet", Enter);
    w.replace(
        "testnet-config",
        "\"gas\"",
        "\"addresses\": {\"x\": 1}, \"gas\"",
    );
    assert_eq!(w.decision().verdict, Allow);
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
