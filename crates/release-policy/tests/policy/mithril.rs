//! The Mithril release process.

mod checks;
mod rejected;

use release_policy::Point::{Close, Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use crate::rows::{Row, decides_alone, row};
use crate::world::{World, artifact, commit, digest, key};

const NOTES: &str = "# Release\n\n## Highlights\n\n## Breaking changes\n";

fn artifacts() -> serde_json::Value {
    json!([
        artifact("mithril.deb", "application/vnd.debian.binary-package", None),
        artifact("aggregator", "application/x-executable", Some("linux-x64")),
        artifact(
            "client-macos",
            "application/x-executable",
            Some("macos-arm64")
        ),
        artifact(
            "client-windows",
            "application/x-executable",
            Some("windows-x64")
        ),
        artifact("image", "application/vnd.oci.image.manifest.v1+json", None),
    ])
}

/// The same files of another build.
fn rebuilt(mut manifest: serde_json::Value, build: u32) -> serde_json::Value {
    for one in manifest["artifact"].as_array_mut().unwrap() {
        let name = one["name"].as_str().unwrap().to_owned();
        one["digest"] = json!(digest(&format!("{name}, build {build}")));
    }
    manifest["commit"] = json!(commit(build));
    manifest
}

fn names() -> Vec<String> {
    artifacts()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

fn manifest(tag: &str) -> serde_json::Value {
    json!({"kind": "regular", "base": "0.1.1", "version": "0.1.2", "tag": tag, "commit": commit(1), "built_at": "2026-06-01T00:00:00Z", "artifact": artifacts()})
}

fn before_entering(w: &mut World, stage: &str, number: u32, environment: &str) {
    let scope = format!("{stage}#{number}");
    w.observe(
        &format!("environment-{stage}"),
        "ci",
        &scope,
        "environment",
        json!({"name": environment, "credentials_for": environment}),
    );
    w.observe(
        &format!("last-{stage}"),
        "operations",
        &scope,
        "last-deployment",
        json!({"time": "2026-05-01T00:00:00Z"}),
    );
    for what in ["database", "operator-keys"] {
        w.observe(
            &format!("{what}-{stage}"),
            "operations",
            &scope,
            "backup",
            json!({"what": what, "made": "2026-05-20T00:00:00Z", "restore_tested": true}),
        );
    }
}

/// Release 0.1.2 from a commit on main to release-preprod.
pub fn regular() -> World {
    let mut w = World::new("mithril-release", "2026-06-01T08:00:00Z");
    w.with_file("template", NOTES);
    w.with_file("notes", &format!("{NOTES}\nmore\n"));
    w.with_file("process-page", "Mithril 0.1.2");
    w.with_file("networks-page", "0.1.2 on all networks");
    w.manifest("manifest", "release_team", manifest("0.1.2-prerelease1"));
    before_entering(&mut w, "testing", 1, "testing-preview");
    w.ask("testing", Enter);
    w.deploy("on-testing", "ci", "testing#1", "deployed", json!({}));
    w.ask("testing", Exit);
    w.observe("versions", "ci", "*", "versions", json!({"crates": {"mithril-common": "0.1.2", "mithril-client": "0.1.2"}, "hosted": "0.1.2"}));
    w.observe("reports", "ci", "*", "self-reports", json!({"binaries": {"aggregator": "mithril-aggregator 0.1.2", "client-macos": "mithril-client 0.1.2", "client-windows": "mithril-client 0.1.2"}}));
    let entries: serde_json::Map<_, _> = names()
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                json!(digest(&name).trim_start_matches("sha256:")),
            )
        })
        .collect();
    w.observe("checksums", "ci", "*", "checksums", json!({"file": "CHECKSUM.asc", "algorithm": "sha256", "key": key("release_team", 0), "entries": entries}));
    before_entering(&mut w, "preprod", 1, "pre-release-preview");
    w.ask("preprod", Enter);
    w.observe(
        "mismatch",
        "ci",
        "preprod#1",
        "peer-mismatch",
        json!({"served": "0.1.2", "peer": "0.2.0", "refused": true, "logged": true}),
    );
    w.observe(
        "hosted-candidate",
        "ci",
        "preprod#1",
        "state",
        json!({"name": "hosted-release:prerelease", "value": "0.1.2-prerelease1"}),
    );
    w.observe(
        "dry-run",
        "ci",
        "preprod#1",
        "publish",
        json!({"name": "mithril-client", "dry_run": true, "missing_fields": [], "ok": true}),
    );
    w.observe(
        "lock",
        "ci",
        "preprod#1",
        "figure",
        json!({"metric": "merge-lock", "value": "feature flags"}),
    );
    w.approve(
        "verdict",
        "release_team",
        "preprod#1",
        "qualification",
        "selected",
    );
    w.ask("preprod", Exit);
    w.manifest("final", "release_team", manifest("0.1.2"));
    w.doc(
        "template",
        "release_team",
        "*",
        "template",
        "templates/release-notes.md",
        "template",
    );
    w.doc(
        "notes",
        "release_team",
        "*",
        "release-notes",
        "notes",
        "notes",
    );
    before_entering(&mut w, "prod", 1, "release-preprod");
    w.ask("prod", Enter);
    let digests: serde_json::Map<_, _> = names()
        .into_iter()
        .map(|name| (name.clone(), json!(digest(&name))))
        .collect();
    w.deploy(
        "on-prod",
        "ci",
        "prod#1",
        "deployed",
        json!({"digests": digests}),
    );
    w.observe(
        "hosted-final",
        "ci",
        "prod#1",
        "state",
        json!({"name": "hosted-release:release", "value": "0.1.2"}),
    );
    w.observe(
        "published",
        "ci",
        "prod#1",
        "publish",
        json!({"name": "mithril-client", "dry_run": false, "missing_fields": [], "ok": true}),
    );
    w.ask("prod", Exit);
    for page in ["process-page", "networks-page"] {
        w.doc(page, "release_team", "*", "page", page, page);
    }
    w.observe(
        "status",
        "ci",
        "*",
        "figure",
        json!({"metric": "status-page", "value": "https://status.example.org"}),
    );
    w.ask("prod", Close);
    w
}

fn drop_artifact(w: &mut World, name: &str) {
    for manifest in ["manifest", "final"] {
        w.edit(manifest, |m| {
            m["artifact"]
                .as_array_mut()
                .unwrap()
                .retain(|one| one["name"] != name)
        });
    }
}

pub fn rows() -> Vec<(World, Vec<Row>)> {
    let rows = vec![
        row(
            "M-01",
            "preprod",
            Enter,
            Deny,
            "hosted release: 0.1.3",
            |w| {
                w.data("versions", |d| d["hosted"] = json!("0.1.3"));
            },
        ),
        row("M-02", "preprod", Enter, Deny, "`aggregator` prints", |w| {
            w.data("reports", |d| {
                d["binaries"]["aggregator"] = json!("mithril-aggregator 0.1.20")
            });
        }),
        row("M-03", "preprod", Exit, Deny, "0.1.2 accepted 0.2.0", |w| {
            w.data("mismatch", |d| d["refused"] = json!(false));
        }),
        row(
            "M-03",
            "preprod",
            Exit,
            Deny,
            "no test with another version line",
            |w| {
                w.data("mismatch", |d| d["peer"] = json!("0.1.9"));
            },
        ),
        row(
            "M-04",
            "preprod",
            Enter,
            Deny,
            "none of testing-preview",
            |w| {
                w.data("environment-preprod", |d| d["name"] = json!("preview"));
            },
        ),
        row(
            "M-04",
            "prod",
            Enter,
            Deny,
            "credentials for `testing-preview`",
            |w| {
                w.data("environment-prod", |d| {
                    d["credentials_for"] = json!("testing-preview")
                });
            },
        ),
        row("M-05", "testing", Exit, Pend, "no record of it", |w| {
            w.drop("on-testing");
        }),
        row("M-06", "preprod", Enter, Deny, "tag `0.1.2`", |w| {
            w.edit("manifest", |m| m["tag"] = json!("0.1.2"));
        }),
        row(
            "M-06",
            "preprod",
            Enter,
            Deny,
            "it is on 0000000000000000000000000000000000000007",
            |w| {
                w.before("versions", |w| {
                    w.observe(
                        "tags",
                        "ci",
                        "*",
                        "tags",
                        json!({"tags": {"0.1.2-prerelease1": commit(7)}}),
                    );
                });
            },
        ),
        row("M-07", "preprod", Exit, Pend, "found 0.1.2", |w| {
            w.data("hosted-candidate", |d| d["value"] = json!("0.1.2"));
        }),
        row("M-08", "preprod", Exit, Deny, "0 of 1 signatures", |w| {
            w.drop("verdict");
        }),
        row("M-08", "preprod", Exit, Deny, "rejected by", |w| {
            w.before("verdict", |w| {
                w.approve(
                    "no",
                    "release_team",
                    "preprod#1",
                    "qualification",
                    "rejected",
                );
            });
        }),
        row(
            "M-09",
            "prod",
            Enter,
            Deny,
            "0000000000000000000000000000000000000002 where 0000000000000000000000000000000000000001 was selected",
            |w| {
                w.edit("final", |m| m["commit"] = json!(commit(2)));
            },
        ),
        row(
            "M-09",
            "prod",
            Enter,
            Deny,
            "it is on 0000000000000000000000000000000000000007",
            |w| {
                w.before("template", |w| {
                    w.observe(
                        "tags",
                        "ci",
                        "*",
                        "tags",
                        json!({"tags": {"0.1.2": commit(7)}}),
                    );
                });
            },
        ),
        row("M-10", "prod", Exit, Pend, "nobody looked", |w| {
            w.drop("hosted-final");
        }),
        row("M-11", "prod", Exit, Deny, "`image` runs as", |w| {
            w.edit("on-prod", |d| {
                d["digests"]["image"] = json!(digest("another build"))
            });
        }),
        row(
            "M-11",
            "prod",
            Exit,
            Deny,
            "`image`, `mithril.deb` not recorded",
            |w| {
                w.edit("on-prod", |d| {
                    let digests = d["digests"].as_object_mut().unwrap();
                    digests.remove("image");
                    digests.remove("mithril.deb");
                });
            },
        ),
        row("M-12", "prod", Enter, Deny, "found image", |w| {
            w.edit("final", |m| {
                m["artifact"][4]["digest"] = json!(digest("another build"))
            });
        }),
        row("M-13", "preprod", Enter, Deny, "sums by md5", |w| {
            w.data("checksums", |d| d["algorithm"] = json!("md5"));
        }),
        row("M-13", "preprod", Enter, Deny, "it is signed by", |w| {
            w.data("checksums", |d| d["key"] = json!(key("ci", 0)));
        }),
        row(
            "M-13",
            "preprod",
            Enter,
            Deny,
            "`image` is not in it",
            |w| {
                w.data("checksums", |d| {
                    d["entries"].as_object_mut().unwrap().remove("image");
                });
            },
        ),
        row("M-14", "prod", Enter, Deny, "no `Breaking changes`", |w| {
            w.replace("notes", "## Breaking changes", "Breaking changes");
        }),
        row(
            "M-15",
            "prod",
            Close,
            Pend,
            "`networks-page` does not name 0.1.2",
            |w| {
                w.replace("networks-page", "0.1.2", "0.1.1");
            },
        ),
        row(
            "M-16",
            "preprod",
            Enter,
            Pend,
            "database is of 2026-05-01",
            |w| {
                w.data("database-preprod", |d| {
                    d["made"] = json!("2026-05-01T00:00:00Z")
                });
            },
        ),
        row(
            "M-16",
            "testing",
            Enter,
            Pend,
            "operator-keys was never restored",
            |w| {
                w.data("operator-keys-testing", |d| {
                    d["restore_tested"] = json!(false)
                });
            },
        ),
        row(
            "M-17",
            "preprod",
            Enter,
            Deny,
            "application/vnd.debian.binary-package",
            |w| drop_artifact(w, "mithril.deb"),
        ),
        row("M-18", "preprod", Enter, Deny, "windows-x64", |w| {
            drop_artifact(w, "client-windows")
        }),
        row(
            "M-19",
            "prod",
            Exit,
            Pend,
            "`mithril-client` is not published",
            |w| {
                w.drop("published");
            },
        ),
        row("M-19", "prod", Exit, Deny, "lacks description", |w| {
            w.data("dry-run", |d| d["missing_fields"] = json!(["description"]));
        }),
        row(
            "M-20",
            "preprod",
            Enter,
            Deny,
            "mithril-common 0.1.2-prerelease1",
            |w| {
                w.data("versions", |d| *d = json!({"crates": {"mithril-common": "0.1.2-prerelease1"}, "hosted": "0.1.2-prerelease1"}));
            },
        ),
        row(
            "M-21",
            "prod",
            Close,
            Allow,
            "the figure `status-page`",
            |w| {
                w.drop("status");
            },
        ),
        row(
            "M-22",
            "preprod",
            Exit,
            Allow,
            "the figure `merge-lock`",
            |w| {
                w.drop("lock");
            },
        ),
    ];
    vec![(regular(), rows)]
}

#[test]
fn each_rule_decides_alone() {
    for (world, rows) in rows() {
        decides_alone(&world, &rows);
    }
}
