//! The Mina hard-fork package.

use release_policy::Outcome;
use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use crate::rows::{Row, decides_alone, outcome, row};
use crate::world::{World, artifact, commit, digest};

const CONFIG: &str = r#"{"genesis": {"genesis_state_timestamp": "2026-05-01T12:00:00Z"}, "proof": {"fork": {"state_hash": "3NK", "blockchain_length": 7, "global_slot_since_genesis": 9}}, "ledger": {"hash": "jxA"}, "epoch_data": {"staking": {"hash": "jxB"}, "next": {"hash": "jxC"}}}"#;

pub fn planned() -> World {
    let mut w = World::new("mina-hardfork", "2026-05-01T00:00:00Z");
    w.with_file("config", CONFIG);
    w.with_file(
        "test-config",
        &CONFIG
            .replace("2026-05-01T12", "2026-05-01T05")
            .replace(": 9", ": 5"),
    );
    w.with_file("facts", r#"{"state_hash": "3NK", "blockchain_length": 7, "ledger_hash": "jxA", "staking_hash": "jxB", "next_hash": "jxC"}"#);
    w.with_file("capture", "kind = \"planned\"\n");
    w.with_file("message", "The package is ready.\n");
    w.with_file(
        "announcement",
        "channel = \"forum\"\nmessage = \"{file:message}\"\n",
    );
    let mut deb = artifact(
        "mina.deb",
        "application/vnd.debian.binary-package",
        Some("deb"),
    );
    deb["payload"] = json!(digest("payload"));
    let parts = json!({"ledger-genesis": digest("ledger-genesis"), "ledger-staking": digest("ledger-staking"), "config": digest("config")});
    deb["inside"] = parts.clone();
    let mut image = artifact(
        "mina-image",
        "application/vnd.oci.image.manifest.v1+json",
        Some("image"),
    );
    image["inside"] = parts;
    let files = ["ledger-genesis", "ledger-staking", "config"]
        .map(|name| artifact(name, "application/octet-stream", None));
    let mut all = vec![deb, image];
    all.extend(files);
    w.manifest("manifest", "release_team", json!({"kind": "planned", "version": "3.0.0-mesa", "commit": commit(1), "built_at": "2026-05-01T00:00:00Z", "artifact": all}));
    w.doc("capture", "ci", "*", "capture-record", "capture", "capture");
    w.ask("package", Enter);
    w.observe(
        "ready",
        "ci",
        "package#1",
        "moment",
        json!({"name": "inputs_ready", "time": "2026-05-01T00:00:00Z"}),
    );
    w.observe(
        "packaged",
        "ci",
        "package#1",
        "moment",
        json!({"name": "package_ready", "time": "2026-05-01T05:59:00Z"}),
    );
    w.doc("config", "ci", "*", "config", "config.json", "config");
    w.doc("facts", "ci", "*", "config", "fork-facts.json", "facts");
    w.clock("2026-05-01T06:10:00Z");
    w.ask("package", Exit);
    w.doc(
        "test-config",
        "ci",
        "*",
        "config",
        "test-config.json",
        "test-config",
    );
    w.ask("seedtest", Enter);
    w.test(
        "sleeps",
        "tester",
        "seedtest#1",
        "sleeps-until-genesis",
        "PASSED",
        json!({}),
    );
    w.test(
        "genesis",
        "tester",
        "seedtest#1",
        "bootstrap-to-genesis-tip",
        "PASSED",
        json!({}),
    );
    w.test(
        "sample",
        "tester",
        "seedtest#1",
        "account-sample",
        "PASSED",
        json!({"covers": ["staged", "snarked", "staking-epoch", "next-epoch"], "seed": "42"}),
    );
    w.ask("seedtest", Exit);
    w.approve(
        "partner-1",
        "partners/0",
        "publish#1",
        "coordination",
        "approved",
    );
    w.approve(
        "partner-2",
        "partners/1",
        "publish#1",
        "coordination",
        "approved",
    );
    w.doc(
        "announcement",
        "release_team",
        "*",
        "announcement",
        "announcement",
        "announcement",
    );
    w.ask("publish", Enter);
    w.ask("publish", Exit);
    w
}

fn late(w: &mut World) {
    w.data("packaged", |d| d["time"] = json!("2026-05-01T06:00:01Z"));
}

pub fn rows() -> Vec<(World, Vec<Row>)> {
    let rows = vec![
        row("H-01", "package", Exit, Deny, "found 6 h 1 s", late),
        row(
            "H-02",
            "package",
            Exit,
            Deny,
            "ledger-staking in `mina.deb` is",
            |w| {
                w.measured.insert("mina.deb".to_owned(), json!({"inside": {"ledger-genesis": digest("ledger-genesis"), "ledger-staking": digest("other"), "config": digest("config")}}));
            },
        ),
        row(
            "H-02",
            "package",
            Exit,
            Deny,
            "`mina-image` has no config",
            |w| {
                w.measured.insert("mina-image".to_owned(), json!({"inside": {"ledger-genesis": digest("ledger-genesis"), "ledger-staking": digest("ledger-staking")}}));
            },
        ),
        row(
            "H-03",
            "package",
            Exit,
            Deny,
            "/proof/fork/blockchain_length is 7, /blockchain_length is 8",
            |w| {
                w.replace(
                    "facts",
                    "\"blockchain_length\": 7",
                    "\"blockchain_length\": 8",
                );
            },
        ),
        row("H-04", "seedtest", Exit, Deny, "it did not run", |w| {
            w.drop("sleeps");
        }),
        row("H-05", "seedtest", Exit, Deny, "it failed at", |w| {
            w.edit("genesis", |t| t["result"] = json!("FAILED"));
        }),
        row("H-06", "seedtest", Exit, Deny, "it failed at", |w| {
            w.edit("sample", |t| t["result"] = json!("FAILED"));
        }),
        row(
            "H-06",
            "seedtest",
            Exit,
            Deny,
            "nothing of next-epoch",
            |w| {
                w.edit("sample", |t| {
                    t["notes"]["covers"] = json!(["staged", "snarked", "staking-epoch"])
                });
            },
        ),
        row("H-06", "seedtest", Exit, Deny, "without its seed", |w| {
            w.edit("sample", |t| t["notes"]["seed"] = json!(null));
        }),
        row("H-07", "seedtest", Enter, Deny, "/ledger/hash", |w| {
            w.replace("test-config", "jxA", "jxZ");
        }),
        row("H-08", "publish", Enter, Pend, "1 of 2 signatures", |w| {
            w.signer("partner-2", "partners/0");
        }),
        row(
            "H-09",
            "publish",
            Enter,
            Pend,
            "no document of type `announcement`",
            |w| {
                w.drop("announcement");
            },
        ),
        row("H-10", "package", Enter, Deny, "it says `unplanned`", |w| {
            w.replace("capture", "planned", "unplanned");
        }),
    ];
    vec![(planned(), rows)]
}

#[test]
fn each_rule_decides_alone() {
    for (world, rows) in rows() {
        decides_alone(&world, &rows);
    }
}

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
fn a07_re_versioning_keeps_the_payload() {
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
fn a69_the_packaged_config_has_an_explicit_time() {
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
