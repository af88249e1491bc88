//! What was rejected or failed, and what may follow it.

use release_policy::Outcome;
use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use super::{before_entering, manifest, rebuilt, regular};
use crate::rows::outcome;
use crate::world::{World, commit};

/// Another candidate: to testing, and before preprod as attempt 2.
pub(super) fn second(w: &mut World, next: serde_json::Value) {
    let entries: serde_json::Map<_, _> = next["artifact"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let hex = one["digest"]
                .as_str()
                .unwrap()
                .trim_start_matches("sha256:");
            (one["name"].as_str().unwrap().to_owned(), json!(hex))
        })
        .collect();
    w.manifest("manifest-2", "release_team", next);
    before_entering(w, "testing", 2, "testing-preview");
    backed_up(w, "testing-2", "testing#2", "2026-06-01T08:15:00Z");
    w.ask("testing", Enter);
    w.deploy("on-testing-2", "ci", "testing#2", "deployed", json!({}));
    w.ask("testing", Exit);
    for name in ["versions", "reports", "checksums"] {
        w.repeat(name, &format!("{name}-2"));
    }
    w.data("checksums-2", |d| d["entries"] = json!(entries));
    before_entering(w, "preprod", 2, "pre-release-preview");
    backed_up(w, "preprod-2", "preprod#2", "2026-06-01T08:15:00Z");
    w.ask("preprod", Enter);
}

fn backed_up(w: &mut World, key: &str, scope: &str, made: &str) {
    for what in ["database", "operator-keys"] {
        w.observe(
            &format!("{what}-{key}"),
            "operations",
            scope,
            "backup",
            json!({"what": what, "made": made, "restore_tested": true}),
        );
    }
}

#[test]
fn a45_nothing_of_a_rejected_candidate_comes_back() {
    let mut w = regular();
    w.edit("verdict", |a| a["verdict"] = json!("rejected"));
    let at = w.ask_position("preprod", Exit);
    w.steps.truncate(at);
    let mut extra = rebuilt(manifest("0.1.2-prerelease2"), 2);
    extra["artifact"][0]["digest"] = manifest("")["artifact"][0]["digest"].clone();
    let same_files = {
        let mut next = manifest("0.1.2-prerelease2");
        next["commit"] = json!(commit(2));
        next
    };
    let same_commit = {
        let mut next = rebuilt(manifest("0.1.2-prerelease2"), 2);
        next["commit"] = json!(commit(1));
        next
    };
    for (next, words) in [
        (
            manifest("0.1.2-prerelease1"),
            "`0.1.2-prerelease1` was rejected",
        ),
        (
            rebuilt(manifest("0.1.2-prerelease1"), 2),
            "`0.1.2-prerelease1` was rejected",
        ),
        (same_commit, "was rejected"),
        (
            same_files,
            "the artifacts of `0.1.2-prerelease1` were rejected",
        ),
        (
            rebuilt(manifest("0.1.2-prerelease3"), 2),
            "tag `0.1.2-prerelease2`",
        ),
        (
            rebuilt(manifest("0.1.2-prerelease10"), 2),
            "tag `0.1.2-prerelease2`",
        ),
    ] {
        let mut next_one = w.clone();
        let tag = next["tag"].as_str().unwrap().to_owned();
        second(&mut next_one, next);
        let decision = next_one.decision();
        let reasons = decision.reasons().join("\n");
        assert_eq!(decision.verdict, Deny, "{tag}");
        assert_eq!(outcome(&decision, "M-06"), Outcome::Unmet, "{tag}");
        assert!(reasons.contains(words), "{tag}: {reasons}");
    }
    // One file that came out the same is no rejected candidate.
    let mut shared = w.clone();
    second(&mut shared, extra);
    assert_eq!(
        shared.decision().verdict,
        Allow,
        "{:?}",
        shared.decision().reasons()
    );
    // Not even when the attempt had failed before it was rejected, or the next manifest was there.
    for (before, moved) in [("verdict", false), ("verdict", true)] {
        let mut late = w.clone();
        late.before(before, |w| {
            if moved {
                w.manifest(
                    "early",
                    "release_team",
                    rebuilt(manifest("0.1.2-prerelease2"), 2),
                );
            } else {
                w.observe(
                    "failed",
                    "ci",
                    "preprod#1",
                    "failure",
                    json!({"cause": "a disk"}),
                );
            }
        });
        if moved {
            let subject = manifest("")["artifact"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| json!({"name": one["name"], "digest": {"sha256": one["digest"].as_str().unwrap().trim_start_matches("sha256:")}}))
                .collect();
            late.subjects("verdict", serde_json::Value::Array(subject));
        }
        second(&mut late, manifest("0.1.2-prerelease1"));
        let decision = late.decision();
        assert_eq!(outcome(&decision, "M-06"), Outcome::Unmet, "moved: {moved}");
    }
}

/// A machine that broke is no verdict: the same candidate may be deployed again.
#[test]
fn a45_a_failed_deployment_is_no_rejection() {
    let mut w = regular();
    w.drop("verdict");
    let at = w.ask_position("preprod", Exit);
    w.steps.truncate(at);
    w.observe(
        "failed",
        "ci",
        "preprod#1",
        "failure",
        json!({"cause": "a disk"}),
    );
    before_entering(&mut w, "preprod", 2, "pre-release-preview");
    backed_up(&mut w, "preprod-2", "preprod#2", "2026-06-01T08:15:00Z");
    w.ask("preprod", Enter);
    assert_eq!(w.decision().verdict, Allow, "{:?}", w.decision().reasons());
}

/// What was deployed within this release counts, whatever is said of the environment.
#[test]
fn a49_the_record_knows_the_last_deployment_itself() {
    for claim in [json!(null), json!("2020-01-01T00:00:00Z")] {
        let mut w = regular();
        w.drop("verdict");
        let at = w.ask_position("preprod", Exit);
        w.steps.truncate(at);
        w.observe(
            "failed",
            "ci",
            "preprod#1",
            "failure",
            json!({"cause": "a disk"}),
        );
        before_entering(&mut w, "preprod", 2, "pre-release-preview");
        w.data("last-preprod", |d| d["time"] = claim.clone());
        w.ask("preprod", Enter);
        let decision = w.decision();
        assert_eq!(outcome(&decision, "M-16"), Outcome::Unmet, "{claim}");
        assert_eq!(decision.verdict, Pend);
        // As late as the attempt began is too early; later is good.
        let entered = w
            .run()
            .log
            .entries()
            .iter()
            .find_map(|entry| match &entry.body {
                release_policy::Body::Decided { decision } if decision.stage == "preprod" => {
                    Some(entry.at)
                }
                _ => None,
            });
        let entered = entered.unwrap();
        for (made, met) in [
            (entered, Outcome::Unmet),
            (entered.plus("1s".parse().unwrap()), Outcome::Met),
        ] {
            let mut saved = w.clone();
            for name in ["database-preprod", "operator-keys-preprod"] {
                saved.data(name, |d| d["made"] = json!(made));
            }
            assert_eq!(outcome(&saved.decision(), "M-16"), met, "{made}");
        }
    }
}
