//! The Spacemesh release cycle.

mod checks;
mod layers;

use release_policy::Point::{Close, Enter, Exit};
use release_policy::Verdict::{Deny, Pend};
use serde_json::json;

use crate::rows::{Row, decides_alone, row};
use crate::world::{Step, World, commit};

fn manifest(tag: &str, number: u32) -> serde_json::Value {
    json!({"kind": "regular", "base": "1.2.2", "version": "1.2.3", "tag": tag, "commit": commit(number), "built_at": "2026-01-01T00:00:00Z", "change_kinds": ["fix"]})
}

/// A whole devnet: deployment, smoke test, what follows it, and seven days.
fn devnet(w: &mut World, number: u32, day: u32) {
    let scope = format!("devnet#{number}");
    let network = format!("net-{number}");
    let build = number;
    w.observe(
        &format!("devnext-{number}"),
        "ci",
        &scope,
        "state",
        json!({"name": "branch:devnext", "value": commit(number)}),
    );
    w.ask("devnet", Enter);
    let parts = json!([
        "poet",
        "smapp",
        "tap",
        "explorer-backend",
        "explorer-frontend",
        "dashboard",
        "monitoring",
        "deployer",
        "cli-wallet"
    ]);
    w.deploy(
        &format!("deployed-{number}"),
        "ci",
        &scope,
        "deployed",
        json!({"components": parts, "network_id": network}),
    );
    w.clock(&format!("2026-01-{day:02}T00:00:00Z"));
    w.deploy(
        &format!("bootstrap-{number}"),
        "ci",
        &scope,
        "bootstrap",
        json!({"network_id": network, "at": format!("2026-01-{day:02}T00:00:00Z")}),
    );
    w.test(
        &format!("smoke-{number}"),
        "ci",
        &scope,
        "smoke",
        "PASSED",
        json!({}),
    );
    for part in ["explorer", "dashboard", "discovery"] {
        w.observe(
            &format!("{part}-{number}"),
            "ci",
            &scope,
            "state",
            json!({"name": format!("deployed:{part}"), "value": network}),
        );
    }
    w.observe(
        &format!("grpc-{number}"),
        "ci",
        &scope,
        "state",
        json!({"name": "alive:grpc", "value": network}),
    );
    w.observe(
        &format!("dns-{number}"),
        "ci",
        &scope,
        "state",
        json!({"name": format!("dns:1_2_3_{build}.net.example.test"), "value": network}),
    );
    w.with_file(
        &format!("page-{number}"),
        &format!("1.2.3 v1.2.3+{build} {}", commit(number)),
    );
    w.observe(
        &format!("info-{number}"),
        "ci",
        &scope,
        "state",
        json!({"name": "info-page:network", "value": format!("file:page-{number}")}),
    );
    w.observe(
        &format!("branch-{number}"),
        "ci",
        &scope,
        "state",
        json!({"name": "branch:devnet", "value": commit(number)}),
    );
    for window in 0..7 {
        w.clock(&format!("2026-01-{:02}T12:00:00Z", day + window));
        w.observe(
            &format!("visit-{number}-{window}"),
            "release_manager",
            &scope,
            "visit",
            json!({"note": "fine"}),
        );
    }
    w.clock(&format!("2026-01-{:02}T23:00:00Z", day + 6));
    let samples: serde_json::Map<_, _> = [10, 150, 300, 500, 650, 800, 900]
        .into_iter()
        .zip(day..)
        .map(|(layer, day)| (format!("2026-01-{day:02}T01:00:00Z"), json!(layer)))
        .collect();
    w.observe(
        &format!("layers-{number}"),
        "ci",
        &scope,
        "layers",
        json!({"samples": samples}),
    );
    w.clock(&format!("2026-01-{:02}T00:00:00Z", day + 7));
    w.ask("devnet", Exit);
}

/// Release 1.2.3, from the changelog to the end of the old testnet.
pub fn regular() -> World {
    let mut w = World::new("spacemesh-cycle", "2026-01-01T08:00:00Z");
    w.with_file(
        "before",
        "# Changelog\n\n## Unreleased\n\n- repaired x\n\n## 1.2.2 (2025-12-01)\n\n- y\n",
    );
    w.with_file(
        "after",
        "# Changelog\n\n## [1.2.3] - 2026-01-01\n\n- repaired x\n\n## 1.2.2 (2025-12-01)\n\n- y\n",
    );
    w.manifest("manifest", "release_manager", manifest("v1.2.3+1", 1));
    w.doc(
        "before",
        "release_manager",
        "*",
        "changelog-before",
        "CHANGELOG.md",
        "before",
    );
    w.doc(
        "after",
        "release_manager",
        "*",
        "changelog",
        "CHANGELOG.md",
        "after",
    );
    let mut commits = serde_json::Map::new();
    commits.insert(
        commit(1),
        json!({"subject": "Releasing v1.2.3", "files": ["CHANGELOG.md"]}),
    );
    w.observe("diff", "ci", "*", "diff", json!({"base": commit(77), "candidate": commit(1), "commits": commits, "files": ["CHANGELOG.md"]}));
    w.observe(
        "tags",
        "ci",
        "*",
        "tags",
        json!({"tags": {"v1.2.2": commit(77), "v1.2.3+1": commit(1)}}),
    );
    w.observe(
        "previous",
        "ci",
        "*",
        "previous-network",
        json!({"ended": "none"}),
    );
    w.ask("build", Enter);
    w.ask("build", Exit);
    devnet(&mut w, 1, 2);
    w.manifest("final", "release_manager", manifest("v1.2.3", 1));
    w.approve(
        "release",
        "release_manager",
        "testnet#1",
        "release",
        "approved",
    );
    w.ask("testnet", Enter);
    w.deploy(
        "testnet",
        "ci",
        "testnet#1",
        "deployed",
        json!({"network_id": "net-1"}),
    );
    w.observe(
        "testnet-dns",
        "ci",
        "testnet#1",
        "state",
        json!({"name": "dns:test.net.example.test", "value": "net-1"}),
    );
    w.with_file("testnet-page", &format!("1.2.3 v1.2.3 {}", commit(1)));
    w.observe(
        "testnet-info",
        "ci",
        "testnet#1",
        "state",
        json!({"name": "info-page:testnet", "value": "file:testnet-page"}),
    );
    w.observe(
        "testnet-branch",
        "ci",
        "testnet#1",
        "state",
        json!({"name": "branch:testnet", "value": commit(1)}),
    );
    w.with_file("message", "v1.2.3 is the testnet");
    w.observe(
        "announced",
        "ci",
        "testnet#1",
        "state",
        json!({"name": "announce:discord", "value": "file:message"}),
    );
    w.ask("testnet", Exit);
    w.observe(
        "retired",
        "operations",
        "testnet#1",
        "retired",
        json!({"nodes_running": 0, "logs": crate::world::digest("logs")}),
    );
    w.ask("testnet", Close);
    w
}

pub fn rows() -> Vec<(World, Vec<Row>)> {
    let rows = vec![
        row("P-01", "build", Enter, Deny, "an empty section", |w| {
            w.replace("before", "- repaired x\n", "");
        }),
        row("P-02", "build", Enter, Deny, "version `1.3.0`", |w| {
            w.edit("manifest", |m| {
                m["change_kinds"] = json!(["fix", "feature"])
            });
        }),
        row("P-03", "build", Enter, Deny, "`1.2.3`", |w| {
            w.replace("after", "## [1.2.3] - 2026-01-01", "## [1.2.3]");
        }),
        row(
            "P-03",
            "build",
            Enter,
            Deny,
            "`Unreleased` still has something",
            |w| {
                w.replace(
                    "after",
                    "## [1.2.3]",
                    "## Unreleased\n\n- more\n\n## [1.2.3]",
                );
            },
        ),
        row(
            "P-04",
            "build",
            Enter,
            Deny,
            "`Release v1.2.3` with the changelog",
            |w| {
                w.data("diff", |d| {
                    d["commits"][commit(1)]["subject"] = json!("Release v1.2.3")
                });
            },
        ),
        row("P-04", "build", Enter, Deny, "without the changelog", |w| {
            w.data("diff", |d| d["commits"][commit(1)]["files"] = json!([]));
        }),
        row(
            "P-05",
            "build",
            Enter,
            Deny,
            "expected tag `v1.2.3+1`",
            |w| {
                w.edit("manifest", |m| m["tag"] = json!("v1.2.3+2"));
            },
        ),
        row("P-05", "build", Enter, Deny, "it is on", |w| {
            w.data("tags", |d| d["tags"]["v1.2.3+1"] = json!(commit(9)));
        }),
        row(
            "P-07",
            "devnet",
            Enter,
            Deny,
            "`branch:devnext` to be",
            |w| {
                w.data("devnext-1", |d| d["value"] = json!(commit(77)));
            },
        ),
        row("P-08", "devnet", Exit, Pend, "found tap", |w| {
            w.edit("deployed-1", |d| {
                d["components"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|part| part != "tap")
            });
        }),
        row("P-10", "devnet", Exit, Pend, "dashboard is missing", |w| {
            w.drop("dashboard-1");
        }),
        row(
            "P-11",
            "devnet",
            Exit,
            Pend,
            "discovery serves net-0",
            |w| {
                w.data("discovery-1", |d| d["value"] = json!("net-0"));
            },
        ),
        row("P-12", "devnet", Exit, Pend, "grpc does not answer", |w| {
            w.drop("grpc-1");
        }),
        row(
            "P-13",
            "devnet",
            Exit,
            Pend,
            "`dns:1_2_3_1.net.example.test` to be net-1",
            |w| {
                w.drop("dns-1");
            },
        ),
        row("P-14", "devnet", Exit, Pend, "no `v1.2.3+1`", |w| {
            w.replace("page-1", "v1.2.3+1", "v1.2.3+0");
        }),
        row("P-15", "devnet", Exit, Pend, "nobody looked", |w| {
            w.drop("branch-1");
        }),
        row("P-17", "devnet", Exit, Deny, "day 4 missing", |w| {
            w.drop("visit-1-3");
        }),
        row("P-18", "devnet", Exit, Deny, "it stood still from", |w| {
            w.data("layers-1", |d| {
                d["samples"]["2026-01-05T01:00:00Z"] = json!(10)
            });
        }),
        row(
            "P-18",
            "devnet",
            Exit,
            Deny,
            "incident `lost-quorum`",
            |w| {
                w.before("layers-1", |w| {
                    w.observe(
                        "incident",
                        "ci",
                        "devnet#1",
                        "incident",
                        json!({"id": "lost-quorum", "what": "serious"}),
                    );
                });
            },
        ),
        row("P-19", "testnet", Enter, Deny, "was soaked", |w| {
            // What was approved is another commit than what simmered.
            w.edit("final", |m| m["commit"] = json!(commit(8)));
        }),
        row(
            "P-19",
            "testnet",
            Enter,
            Deny,
            "it is on 0000000000000000000000000000000000000008",
            |w| {
                w.before("release", |w| {
                    w.observe(
                        "tags-2",
                        "ci",
                        "*",
                        "tags",
                        json!({"tags": {"v1.2.3": commit(8)}}),
                    );
                });
            },
        ),
        row("P-19", "testnet", Enter, Deny, "0 of 1 approvals", |w| {
            w.drop("release");
        }),
        row("P-20", "testnet", Exit, Pend, "found net-0", |w| {
            w.data("testnet-dns", |d| d["value"] = json!("net-0"));
        }),
        row("P-21", "testnet", Exit, Pend, "it is not published", |w| {
            w.drop("testnet-info");
        }),
        row("P-22", "testnet", Exit, Pend, "nobody looked", |w| {
            w.drop("testnet-branch");
        }),
        row("P-23", "testnet", Exit, Pend, "is not there", |w| {
            w.data("announced", |d| {
                d["value"] = json!(crate::world::digest("lost"))
            });
        }),
        row("P-24", "testnet", Close, Pend, "1 nodes run", |w| {
            w.data("retired", |d| d["nodes_running"] = json!(1));
        }),
        row(
            "P-24",
            "testnet",
            Close,
            Pend,
            "no archive of the logs",
            |w| {
                w.data("retired", |d| d["logs"] = json!(null));
            },
        ),
        row(
            "P-25",
            "devnet",
            Enter,
            Deny,
            "1 earlier builds and 0 failed deployments",
            |w| {
                w.data("tags", |d| d["tags"]["v1.2.3+9"] = json!(commit(9)));
            },
        ),
        row("P-26", "build", Enter, Deny, "no `next_plan`", |w| {
            w.data("previous", |d| d["ended"] = json!("failed"));
            w.with_file("postmortem", "issues = \"i\"\nresponse = \"r\"\n");
            w.before("previous", |w| {
                w.doc(
                    "postmortem",
                    "release_manager",
                    "*",
                    "postmortem",
                    "postmortem",
                    "postmortem",
                );
            });
        }),
        row(
            "P-26",
            "build",
            Enter,
            Deny,
            "no document of type `postmortem`",
            |w| {
                w.data("previous", |d| d["ended"] = json!("naturally"));
            },
        ),
        row(
            "P-26",
            "build",
            Enter,
            Deny,
            "how the previous network ended",
            |w| {
                w.drop("previous");
            },
        ),
    ];
    // A release's tag where a build's belongs also has no build number to count, so P-25 would speak
    // too; with a failed smoke test the parts after it have nothing to come after.
    vec![
        (regular(), rows),
        (
            soaking(),
            vec![row(
                "P-16",
                "devnet",
                Exit,
                Pend,
                "6 d 23 h 59 m since",
                |w| {
                    let last = w
                        .steps
                        .iter()
                        .rposition(|step| matches!(step, Step::Clock(_)))
                        .unwrap();
                    w.steps[last] = Step::Clock("2026-01-08T23:59:00Z".to_owned());
                },
            )],
        ),
        (
            regular_until_build_tag(),
            vec![row("P-06", "devnet", Enter, Deny, "`v1.2.3`", |w| {
                w.edit("manifest-2", |m| m["tag"] = json!("v1.2.3"));
            })],
        ),
        (
            smoked(),
            vec![row("P-09", "devnet", Exit, Deny, "it failed at", |w| {
                w.before("layers-1", |w| {
                    w.test(
                        "smoke-again",
                        "ci",
                        "devnet#1",
                        "smoke",
                        "FAILED",
                        json!({}),
                    );
                });
            })],
        ),
    ]
}

fn soaking() -> World {
    let mut w = regular();
    w.until("devnet", Exit);
    w
}

fn smoked() -> World {
    soaking()
}

fn regular_until_build_tag() -> World {
    let mut w = regular();
    w.until("devnet", Enter);
    w.before("devnext-1", |w| {
        w.manifest("manifest-2", "release_manager", manifest("v1.2.3+1", 1));
    });
    w
}

#[test]
fn each_rule_decides_alone() {
    for (world, rows) in rows() {
        decides_alone(&world, &rows);
    }
}
