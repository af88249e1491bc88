//! The Splice SV bugfix process.

mod checks;
mod waived;

use release_policy::Point::{Close, Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use crate::rows::{Row, decides_alone, row};
use crate::world::{World, commit};

/// A bugfix on top of 0.4.18, from the incident to the return to the regular releases.
pub fn bugfix() -> World {
    let mut w = World::new("splice-sv-bugfix", "2026-03-02T08:00:00Z");
    w.with_file("incident", "decided_at = \"2026-03-01T08:00:00Z\"\nthreat = \"MainNet may halt\"\nrecommendation = \"waiting is worse\"\n");
    w.with_file("plan", "[targets]\nsv-1 = \"sv\"\nsv-2 = \"sv\"\n");
    w.with_file("roster", "[operators]\na = [\"a@example.org\"]\nb = [\"b@example.org\"]\nc = [\"c@example.org\"]\nd = [\"d@example.org\"]\n");
    w.with_file(
        "proposal",
        &format!(
            "issue = \"i\"\nresolution = \"r\"\nreconcile_release = \"0.4.20\"\nreconcile_notes = \"n\"\nalternative = \"wait\"\nroster = \"{{file:roster}}\"\n[diff]\ncommits = [\"{}\"]\n[schedule]\ndevnet = \"2026-03-03T00:00:00Z\"\nmainnet = \"2026-03-05T00:00:00Z\"\n[waves]\nmainnet = [[\"a\"], [\"b\", \"c\", \"d\"]]\n[who]\nmay = [\"d\"]\n[who.must]\na = \"2026-03-06T00:00:00Z\"\nb = \"2026-03-06T00:00:00Z\"\n",
            commit(2)
        ),
    );
    w.with_file("calendar", "[[release]]\nversion = \"0.4.20\"\n");
    w.with_file("mail-announcement", "From: m@example.org\nList-Id: <supervalidator-ops.lists.example.org>\nSubject: Bugfix\n\nPlease read.\n");
    w.with_file("announcement", "channel = \"email:supervalidator-ops\"\nnetworks = [\"devnet\", \"mainnet\"]\nmessage = \"{file:mail-announcement}\"\n");
    w.manifest("manifest", "maintainer", json!({"kind": "bugfix", "base": "0.4.18", "version": "0.4.19-bugfix.preview", "commit": commit(2), "built_at": "2026-03-01T20:00:00Z", "fix_set": ["fix-1", "fix-2"]}));
    w.doc("plan", "engine", "*", "plan", "plan", "plan");
    w.doc(
        "incident",
        "maintainer",
        "*",
        "incident",
        "incident",
        "incident",
    );
    w.doc(
        "proposal",
        "maintainer",
        "*",
        "proposal",
        "proposal",
        "proposal",
    );
    let mut commits = serde_json::Map::new();
    commits.insert(
        commit(2),
        json!({"subject": "fix", "files": ["apps/x.scala"]}),
    );
    // The engine reads the commits, the maintainers classify the same diff.
    w.observe("diff", "engine+maintainer", "*", "diff", json!({"base": commit(1), "candidate": commit(2), "commits": commits, "files": ["apps/x.scala"]}));
    w.observe(
        "releases",
        "engine",
        "*",
        "releases",
        json!({"versions": ["0.4.17", "0.4.18", "1.1.0"]}),
    );
    w.doc(
        "calendar-base",
        "engine",
        "*",
        "config",
        "regular-calendar.toml@base",
        "calendar",
    );
    w.doc(
        "calendar-candidate",
        "engine",
        "*",
        "config",
        "regular-calendar.toml@candidate",
        "calendar",
    );
    for voter in ["a", "b", "c"] {
        w.vote(voter, "approve");
    }
    for stage in ["devnet", "testnet"] {
        w.ask(stage, Enter);
        w.ask(stage, Exit);
    }
    for network in ["devnet", "testnet"] {
        w.observe(&format!("network-{network}"), "engine", "mainnet#1", "network", json!({"network": network, "release": "0.4.19-bugfix.preview", "fixes": ["fix-1", "fix-2", "fix-3"]}));
    }
    w.doc(
        "announcement",
        "maintainer",
        "*",
        "announcement",
        "announcement",
        "announcement",
    );
    w.approve(
        "artifacts",
        "maintainer",
        "mainnet#1",
        "artifacts",
        "approved",
    );
    w.ask("mainnet", Enter);
    for (key, wave, confirmed) in [
        ("start-1", 1, false),
        ("confirm-1", 1, true),
        ("start-2", 2, false),
        ("confirm-2", 2, true),
    ] {
        w.observe(
            key,
            "engine",
            "mainnet#1",
            "wave",
            json!({"wave": wave, "confirmed": confirmed}),
        );
    }
    w.ask("mainnet", Exit);
    w.observe(
        "applied-a",
        "engine",
        "mainnet#1",
        "applied",
        json!({"operator": "a"}),
    );
    w.observe(
        "applied-b",
        "engine",
        "mainnet#1",
        "applied",
        json!({"operator": "b"}),
    );
    w.observe(
        "reconciled",
        "engine",
        "*",
        "reconciled",
        json!({"version": "0.4.20", "fixes": ["fix-1", "fix-2", "more"]}),
    );
    w.ask("mainnet", Close);
    w
}

/// The same from 1.1.0 on.
fn after_one() -> World {
    let mut w = bugfix();
    w.edit("manifest", |m| {
        m["base"] = json!("1.1.0");
        m["version"] = json!("1.1.1");
    });
    w.until("devnet", Enter);
    w
}

/// The one commit, and so the diff, changes these paths.
fn touch(w: &mut World, files: &[&str]) {
    w.data("diff", |d| {
        d["files"] = json!(files);
        d["commits"][commit(2)]["files"] = json!(files);
    });
}

fn practice() -> World {
    let mut w = bugfix();
    w.edit("manifest", |m| m["kind"] = json!("practice"));
    touch(&mut w, &["VERSION", "docs/release_notes/0.4.19.rst"]);
    let first = w.ask_position("devnet", Enter);
    w.steps.truncate(first);
    w.ask("testnet", Enter);
    w
}

fn accept(w: &mut World, gate: &str, hit: &str) {
    let text = w.files.get_mut("proposal").unwrap();
    text.push_str(&format!(
        "[[risk_acceptance]]\ngate = \"{gate}\"\nhit = \"{hit}\"\ntext = \"known\"\n"
    ));
}

fn deviate(w: &mut World, gate: &str) {
    let text = w.files.get_mut("proposal").unwrap();
    text.push_str(&format!(
        "[[deviations]]\ngate = \"{gate}\"\njustification = \"because\"\n"
    ));
}

fn waive(w: &mut World, stage: &str, gate: &str, hits: &[&str]) {
    let value = json!({"gate": gate, "hits": hits, "reason": "r", "risk": "k", "expires": "2026-04-01T00:00:00Z"});
    w.before_ask(stage, Enter, |w| {
        w.fact(
            &format!("waiver-{gate}"),
            "maintainer",
            "*",
            "waiver",
            value,
        );
    });
}

fn skip_testnet(w: &mut World) {
    for point in [Enter, Exit] {
        let at = w.ask_position("testnet", point);
        w.steps.remove(at);
    }
}

pub fn rows() -> Vec<(World, Vec<Row>)> {
    let main = vec![
        row("S-01", "devnet", Enter, Deny, "`v-1` for validator", |w| {
            w.replace(
                "plan",
                "sv-2 = \"sv\"",
                "sv-2 = \"sv\"\nv-1 = \"validator\"",
            );
        }),
        row("S-02", "devnet", Enter, Pend, "no `threat`", |w| {
            w.replace("incident", "MainNet may halt", " ");
        }),
        row("S-03", "devnet", Enter, Deny, "one_way_upgrade", |w| {
            w.data("diff", |d| d["classes"] = json!(["one_way_upgrade"]));
            accept(w, "S-03", "one_way_upgrade");
        }),
        // Paths show what nobody declared.
        row("S-03", "devnet", Enter, Deny, "db_schema_migration", |w| {
            touch(w, &["apps/src/db/migration/V9.sql"]);
            accept(w, "S-03", "db_schema_migration");
        }),
        row("S-04", "devnet", Enter, Deny, "is not listed", |w| {
            w.data("diff", |d| {
                d["commits"][commit(9)] = json!({"subject": "and this"})
            });
        }),
        row("S-04", "devnet", Enter, Deny, "is missing", |w| {
            w.replace(
                "proposal",
                "commits = [",
                &format!("commits = [\"{}\", ", commit(7)),
            );
        }),
        row(
            "S-05",
            "devnet",
            Enter,
            Deny,
            "`canton` 3.1 to 3.2 is not classified",
            |w| {
                w.data("diff", |d| {
                    d["dependencies"] = json!({"canton": {"from": "3.1", "to": "3.2"}})
                });
            },
        ),
        row(
            "S-05",
            "devnet",
            Enter,
            Deny,
            "`canton`: one_way_upgrade",
            |w| {
                w.data("diff", |d| d["dependencies"] = json!({"canton": {"from": "3.1", "to": "3.2", "classes": ["one_way_upgrade"]}}));
            },
        ),
        row("S-06", "mainnet", Enter, Deny, "testnet skipped", |w| {
            skip_testnet(w);
            accept(w, "S-06", "testnet");
        }),
        row("S-07", "mainnet", Enter, Deny, "fix-2 on testnet", |w| {
            w.data("network-testnet", |d| d["fixes"] = json!(["fix-1"]));
            accept(w, "S-07", "fix-2 on testnet");
        }),
        row(
            "S-08",
            "mainnet",
            Enter,
            Deny,
            "lacks a highlight in the proposal",
            |w| waive(w, "mainnet", "S-06", &[]),
        ),
        row(
            "S-09",
            "devnet",
            Enter,
            Deny,
            "version `0.4.19-bugfix.preview`",
            |w| {
                w.edit("manifest", |m| {
                    m["version"] = json!("0.4.19-bugfix.preview.2")
                });
            },
        ),
        row("S-11", "devnet", Enter, Deny, "to be equal", |w| {
            w.with_file("calendar-2", "[[release]]\nversion = \"0.4.21\"\n");
            w.edit("calendar-candidate", |d| {
                d["file"] = json!("file:calendar-2")
            });
        }),
        row("S-12", "devnet", Enter, Allow, "decided_at", |w| {
            w.replace("incident", "decided_at", "decided_about");
        }),
        row("S-13", "devnet", Enter, Deny, "no `alternative`", |w| {
            w.replace("proposal", "\"wait\"", "\"\"");
        }),
        row(
            "S-14",
            "devnet",
            Enter,
            Deny,
            "S-03 one_way_upgrade is not named",
            |w| {
                w.data("diff", |d| d["classes"] = json!(["one_way_upgrade"]));
                deviate(w, "S-03");
                waive(w, "devnet", "S-03", &["one_way_upgrade"]);
            },
        ),
        row(
            "S-15",
            "mainnet",
            Enter,
            Pend,
            "no document of type `announcement`",
            |w| {
                w.drop("announcement");
            },
        ),
        row(
            "S-15",
            "mainnet",
            Enter,
            Pend,
            "did not pass through the list",
            |w| {
                w.replace(
                    "mail-announcement",
                    "List-Id: <supervalidator-ops",
                    "List-Id: <other",
                );
            },
        ),
        row(
            "S-15",
            "mainnet",
            Enter,
            Pend,
            "operators of mainnet did not get it",
            |w| {
                w.replace("announcement", ", \"mainnet\"", "");
            },
        ),
        row(
            "S-16",
            "mainnet",
            Enter,
            Deny,
            "a build is no approval",
            |w| {
                w.edit("artifacts", |a| a["verdict"] = json!("prepared"));
            },
        ),
        row(
            "S-17",
            "mainnet",
            Enter,
            Allow,
            "`a` approves with other answers",
            |w| {
                let (_, mail) = w
                    .files
                    .iter_mut()
                    .find(|(name, _)| name.starts_with("mail-a-"))
                    .unwrap();
                mail.push_str("Answers: yes/no/yes\n");
            },
        ),
        row(
            "S-18",
            "mainnet",
            Enter,
            Allow,
            "`chat:ops` is no channel for votes",
            |w| {
                w.before_ask("mainnet", Enter, |w| {
                w.fact("chat", "engine", "*", "vote", json!({"proposal": "file:proposal", "voter": "d", "choice": "approve", "channel": "chat:ops"}));
            });
            },
        ),
        row("S-19", "mainnet", Enter, Pend, "2 of 4, 1 missing", |w| {
            w.drop("vote-c");
        }),
        row("S-20", "mainnet", Close, Pend, "b due 2026-03-06", |w| {
            w.drop("applied-b");
        }),
        row(
            "S-20",
            "mainnet",
            Close,
            Pend,
            "b overdue since 2026-03-06",
            |w| {
                w.drop("applied-b");
                w.before_ask("mainnet", Close, |w| {
                    w.clock("2026-03-07T00:00:00Z");
                });
            },
        ),
        row(
            "S-21",
            "mainnet",
            Exit,
            Pend,
            "wave 2 started before wave 1 was confirmed",
            |w| {
                w.drop("confirm-1");
                w.before_ask("mainnet", Exit, |w| {
                    w.observe(
                        "confirm-1",
                        "engine",
                        "mainnet#1",
                        "wave",
                        json!({"wave": 1, "confirmed": true}),
                    );
                });
            },
        ),
        row("S-22", "mainnet", Close, Deny, "0.4.20 lacks fix-2", |w| {
            w.data("reconciled", |d| d["fixes"] = json!(["fix-1"]));
        }),
        row("S-22", "mainnet", Close, Deny, "no later release", |w| {
            w.data("reconciled", |d| d["version"] = json!("0.4.18"));
        }),
        row("S-24", "devnet", Exit, Deny, "is not there", |w| {
            w.before_ask("devnet", Exit, |w| {
                w.fact(
                    "lost",
                    "engine",
                    "*",
                    "document",
                    json!({"type": "minutes", "name": "m", "file": crate::world::digest("lost")}),
                );
            });
        }),
        row(
            "S-24",
            "devnet",
            Exit,
            Deny,
            "says something else than its record",
            |w| {
                let (_, mail) = w
                    .files
                    .iter_mut()
                    .find(|(name, _)| name.starts_with("mail-c-"))
                    .unwrap();
                *mail = mail.replace("APPROVE", "REJECT");
            },
        ),
    ];
    let later = vec![row("S-10", "devnet", Enter, Deny, "version `1.1.1`", |w| {
        w.edit("manifest", |m| m["version"] = json!("1.1.3"));
    })];
    let practice_rows = vec![row("S-23", "testnet", Enter, Deny, "apps/x.scala", |w| {
        touch(w, &["VERSION", "apps/x.scala"]);
    })];
    vec![
        (bugfix(), main),
        (after_one(), later),
        (practice(), practice_rows),
    ]
}

#[test]
fn each_rule_decides_alone() {
    for (world, rows) in rows() {
        decides_alone(&world, &rows);
    }
}
