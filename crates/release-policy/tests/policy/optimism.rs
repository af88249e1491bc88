//! The Optimism release train.

mod again;
mod checks;

use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use crate::rows::{Row, decides_alone, row};
use crate::world::{World, commit};

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
