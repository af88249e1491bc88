//! The Mina hard-fork package.

mod checks;

use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Deny, Pend};
use serde_json::json;

use crate::rows::{Row, decides_alone, row};
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
