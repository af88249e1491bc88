//! The Mithril release process: acceptance checks.

use release_policy::Outcome;
use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use super::rejected::second;
use super::{drop_artifact, manifest, rebuilt, regular};
use crate::rows::outcome;
use crate::world::{World, commit, digest};

#[test]
fn a74_the_whole_process_ends_closed() {
    assert_eq!(regular().decision().verdict, Allow);
}

#[test]
fn a44_todays_practice_warns() {
    let mut w = regular();
    w.until("preprod", Exit);
    w.options = vec!["mismatch-warns"];
    assert_eq!(w.decision().verdict, Deny);
    w.data("mismatch", |d| d["refused"] = json!(false));
    assert_eq!(w.decision().verdict, Allow);
    w.data("mismatch", |d| d["logged"] = json!(false));
    assert_eq!(w.decision().verdict, Deny);
}

#[test]
fn a45_a_rejected_candidate_is_never_promoted_and_the_next_one_is() {
    let mut w = regular();
    w.edit("verdict", |a| a["verdict"] = json!("rejected"));
    w.before_ask("preprod", Exit, |w| {
        // A later kind word does not help.
        w.approve(
            "changed-mind",
            "release_team",
            "preprod#1",
            "qualification",
            "selected",
        );
    });
    let mut first = w.clone();
    first.until("preprod", Exit);
    assert_eq!(first.decision().verdict, Deny);
    // Without the exit, it cannot go on.
    let mut straight = w.clone();
    let at = straight.ask_position("preprod", Exit);
    straight.steps.remove(at);
    straight.until("prod", Enter);
    let decision = straight.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "stage-order")),
        (Deny, Outcome::Unmet)
    );
    // The next candidate.
    let at = w.ask_position("preprod", Exit);
    w.steps.truncate(at);
    let mut next = w.clone();
    second(&mut next, rebuilt(manifest("0.1.2-prerelease2"), 2));
    assert_eq!(
        next.decision().verdict,
        Allow,
        "{:?}",
        next.decision().reasons()
    );
    next.observe(
        "mismatch-2",
        "ci",
        "preprod#2",
        "peer-mismatch",
        json!({"served": "0.1.2", "peer": "0.2.0", "refused": true, "logged": true}),
    );
    next.observe(
        "hosted-2",
        "ci",
        "preprod#2",
        "state",
        json!({"name": "hosted-release:prerelease", "value": "0.1.2-prerelease2"}),
    );
    next.approve(
        "verdict-2",
        "release_team",
        "preprod#2",
        "qualification",
        "selected",
    );
    next.ask("preprod", Exit);
    assert_eq!(
        next.decision().verdict,
        Allow,
        "{:?}",
        next.decision().reasons()
    );
    // What was rejected does not come back by another manifest while the next one qualifies.
    let mut back = next.clone();
    back.before("verdict-2", |w| {
        w.manifest("again", "release_team", manifest("0.1.2-prerelease2"));
    });
    let decision = back.decision();
    assert_eq!(outcome(&decision, "M-08"), Outcome::Unmet);
    assert_eq!(decision.verdict, Deny);
}

#[test]
fn a16_preprod_is_not_skipped() {
    let mut w = regular();
    w.until("prod", Enter);
    for point in [Enter, Exit] {
        let at = w.ask_position("preprod", point);
        w.steps.remove(at);
    }
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(
        decision
            .reasons()
            .iter()
            .any(|reason| reason.starts_with("stage-order") && reason.contains("preprod skipped"))
    );
}

/// A release with the names of one week, by today's grammar; `suffix` is the candidate's.
fn of_week(version: &str, suffix: &str) -> World {
    let mut w = regular();
    w.options = vec!["version-by-week"];
    let candidate = format!("{version}{suffix}");
    for (key, tag) in [("manifest", candidate.as_str()), ("final", version)] {
        w.edit(key, |m| {
            m["version"] = json!(version);
            m["tag"] = json!(tag);
        });
    }
    w.data(
        "versions",
        |d| *d = json!({"crates": {"mithril-common": version}, "hosted": version}),
    );
    for name in ["aggregator", "client-macos", "client-windows"] {
        w.data("reports", |d| {
            d["binaries"][name] = json!(format!("x {version}"))
        });
    }
    w.data(
        "mismatch",
        |d| *d = json!({"served": version, "peer": "2153.9", "refused": true, "logged": true}),
    );
    w.data("hosted-candidate", |d| d["value"] = json!(candidate));
    w.until("prod", Enter);
    w
}

struct Tags {
    finals_alone: Vec<String>,
    unreleased: Vec<String>,
    /// Version and the candidate's suffix; the names of some are made up.
    pairs: Vec<(String, &'static str)>,
}

fn published() -> Tags {
    let facts: toml::Table =
        toml::from_str(include_str!("../../fixtures/mithril-tags.toml")).unwrap();
    let list = |name: &str| -> Vec<String> {
        let tags = facts[name].as_array().unwrap().iter();
        tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
    };
    let number = |name: &str| usize::try_from(facts[name].as_integer().unwrap()).unwrap();
    let mut names = list("released");
    names.extend((0..number("pairs_without_a_name")).map(|n| format!("2{}01.{n}", 2 + n % 4)));
    assert_eq!(
        names
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        names.len()
    );
    let pairs: Vec<_> = names
        .into_iter()
        .map(|name| {
            let week: usize = name[..4].parse().unwrap();
            let suffix = if week < number("pre_from") {
                "-prerelease"
            } else {
                "-pre"
            };
            (name, suffix)
        })
        .collect();
    let tags = Tags {
        finals_alone: list("finals_without_candidate"),
        unreleased: list("candidates_never_released"),
        pairs,
    };
    assert_eq!(
        (
            number("finals"),
            number("candidates"),
            number("pairs_on_one_commit")
        ),
        (40, 48, 38)
    );
    assert_eq!(tags.pairs.len(), 38);
    assert_eq!(tags.pairs.len() + tags.finals_alone.len(), 40);
    assert_eq!(tags.pairs.len() + tags.unreleased.len(), 48);
    tags
}

#[test]
fn a11_the_published_pairs_are_on_one_commit() {
    let answer = |w: &World| {
        let decision = w.decision();
        (
            decision.verdict,
            outcome(&decision, "M-09"),
            decision.reasons().join("\n"),
        )
    };
    for (number, (version, suffix)) in published().pairs.into_iter().enumerate() {
        let number = u32::try_from(number).unwrap() + 10;
        // A commit of its own for each pair; today the same tag is the candidate and the release.
        for suffix in [suffix, ""] {
            let mut w = of_week(&version, suffix);
            for key in ["manifest", "final"] {
                w.edit(key, |m| m["commit"] = json!(commit(number)));
            }
            let (verdict, met, why) = answer(&w);
            assert_eq!(
                (verdict, met),
                (Allow, Outcome::Met),
                "{version}{suffix}: {why}"
            );
            // Broken: on the child of the candidate's commit, or under the name of another week.
            let mut child = w.clone();
            child.edit("final", |m| m["commit"] = json!(commit(number + 1)));
            let (verdict, met, why) = answer(&child);
            assert_eq!((verdict, met), (Deny, Outcome::Unmet), "{version}{suffix}");
            assert!(
                why.contains(&commit(number)) && why.contains(&commit(number + 1)),
                "{why}"
            );
            w.edit("final", |m| {
                m["version"] = json!("2652.9");
                m["tag"] = json!("2652.9");
            });
            assert_eq!(answer(&w).1, Outcome::Unmet, "{version}{suffix}");
        }
    }
}

#[test]
fn a11_finals_without_a_candidate_are_told() {
    for version in published().finals_alone {
        let mut w = of_week(&version, "-pre");
        for point in [Enter, Exit] {
            let at = w.ask_position("preprod", point);
            w.steps.remove(at);
        }
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny, "{version}");
        let rule = decision.unmet().find(|gate| gate.id == "M-09").unwrap();
        assert_eq!(rule.found, "nothing was selected", "{version}");
    }
}

#[test]
fn a11_candidates_that_were_replaced_are_never_promoted() {
    use release_policy::Grammar;
    use release_policy::version::next;
    for tag in published().unreleased {
        let read = Grammar::MithrilYyww.parse_tag(&tag).unwrap();
        let version = read.release().to_string();
        let suffix = if read.is_final() { "-pre" } else { "-hotfix" };
        let mut w = of_week(&version, suffix);
        w.edit("verdict", |a| a["verdict"] = json!("rejected"));
        let mut refused = w.clone();
        refused.until("preprod", Exit);
        assert_eq!(refused.decision().verdict, Deny, "{tag}");
        // Nor without asking.
        let mut straight = w.clone();
        let at = straight.ask_position("preprod", Exit);
        straight.steps.remove(at);
        let decision = straight.decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, "M-09")),
            (Deny, Outcome::Unmet),
            "{tag}"
        );
        // A rejected candidate moves the patch, and that one may come.
        let next = next::year_week(&version[..4], std::slice::from_ref(&read)).unwrap();
        assert_eq!(next.numbers(), [read.numbers()[0], read.numbers()[1] + 1]);
        let next = next.to_string();
        let at = w.ask_position("preprod", Exit);
        w.steps.truncate(at);
        let mut candidate = rebuilt(manifest(&format!("{next}-pre")), 2);
        candidate["version"] = json!(next);
        second(&mut w, candidate);
        w.data("versions-2", |d| {
            *d = json!({"crates": {"mithril-common": next}, "hosted": next})
        });
        let reports = ["aggregator", "client-macos", "client-windows"]
            .map(|name| (name, format!("x {next}")));
        let reports = std::collections::BTreeMap::from(reports);
        w.data("reports-2", |d| *d = json!({"binaries": reports}));
        let decision = w.decision();
        assert_eq!(
            (decision.verdict, decision.attempt),
            (Allow, 2),
            "{tag}: {:?}",
            decision.reasons()
        );
    }
}

#[test]
fn a12_the_final_tag_on_a_child_commit_is_refused_with_both_commits() {
    let mut w = regular();
    w.until("prod", Enter);
    w.edit("final", |m| m["commit"] = json!(commit(2)));
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "M-09").unwrap();
    assert!(
        rule.found.contains(&commit(1)) && rule.found.contains(&commit(2)),
        "{rule:?}"
    );
}

#[test]
fn a43_one_version_in_every_crate_and_binary() {
    let mut w = regular();
    w.until("preprod", Enter);
    assert_eq!(w.decision().verdict, Allow);
    let mut crates = w.clone();
    crates.data("versions", |d| {
        d["crates"]["mithril-client"] = json!("0.1.1")
    });
    let decision = crates.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(
        decision
            .reasons()
            .iter()
            .any(|why| why.starts_with("M-01") && why.contains("mithril-client 0.1.1"))
    );
    for (binary, prints) in [
        ("aggregator", "mithril-aggregator 0.1.1"),
        ("client-macos", "v0.1.2-dirty"),
        ("client-windows", ""),
    ] {
        let mut w = w.clone();
        w.data("reports", |d| d["binaries"][binary] = json!(prints));
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny);
        assert!(
            decision
                .reasons()
                .iter()
                .any(|why| why.starts_with("M-02") && why.contains(binary)),
            "{prints}"
        );
    }
}

#[test]
fn a46_crates_say_the_final_version_at_the_candidate() {
    let mut w = regular();
    w.until("preprod", Enter);
    let says = |version: &str| {
        let mut w = w.clone();
        w.data(
            "versions",
            |d| *d = json!({"crates": {"mithril-common": version}, "hosted": version}),
        );
        w.decision()
    };
    assert_eq!(says("0.1.2").verdict, Allow);
    let decision = says("0.1.2-prerelease1");
    assert_eq!(
        (decision.verdict, outcome(&decision, "M-20")),
        (Deny, Outcome::Unmet)
    );
}

#[test]
fn a48_t9_the_same_tag_on_another_image_is_another_image() {
    let another = digest("the second workflow built it again");
    // Built again under the same tag, and listed so.
    let mut listed = regular();
    listed.until("prod", Enter);
    listed.edit("final", |m| m["artifact"][4]["digest"] = json!(another));
    let decision = listed.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "M-12")),
        (Deny, Outcome::Unmet)
    );
    // Listed as it was, and what the tag gives now is another image.
    let mut pulled = regular();
    pulled.until("prod", Enter);
    let decision_before = pulled.decision();
    assert_eq!(decision_before.verdict, Allow);
    let mut run = pulled.run();
    let mut measured = pulled.measured(run.manifest.as_ref().unwrap());
    measured.get_mut("image").unwrap().digest = another.parse().unwrap();
    run.log = run
        .log
        .before(usize::try_from(decision_before.entries).unwrap());
    let question = release_policy::Question {
        stage: "prod".to_owned(),
        point: Enter,
        now: run.now,
        measured,
    };
    let decision = release_policy::decide(&run.policy, &run.log, &run.store, &question).unwrap();
    assert_eq!(
        (decision.verdict, outcome(&decision, "identity")),
        (Deny, Outcome::Unmet)
    );
    // And what runs in the end is compared by digest too.
    let mut runs = regular();
    runs.until("prod", Exit);
    runs.edit("on-prod", |d| d["digests"]["image"] = json!(another));
    assert_eq!(outcome(&runs.decision(), "M-11"), Outcome::Unmet);
}

#[test]
fn a49_backups_are_newer_than_the_last_deployment() {
    for stage in ["testing", "preprod", "prod"] {
        for what in ["database", "operator-keys"] {
            let made = |time: &str| {
                let mut w = regular();
                w.until(stage, Enter);
                w.data(&format!("{what}-{stage}"), |d| d["made"] = json!(time));
                let decision = w.decision();
                (decision.verdict, outcome(&decision, "M-16"))
            };
            assert_eq!(
                made("2026-05-01T00:00:01Z"),
                (Allow, Outcome::Met),
                "{what} of {stage}"
            );
            assert_eq!(
                made("2026-05-01T00:00:00Z"),
                (Pend, Outcome::Unmet),
                "{what} of {stage}"
            );
            assert_eq!(
                made("2026-04-30T00:00:00Z"),
                (Pend, Outcome::Unmet),
                "{what} of {stage}"
            );
        }
    }
}

#[test]
fn a50_every_artifact_is_there() {
    for (missing, rule) in [
        ("mithril.deb", "M-17"),
        ("client-windows", "M-18"),
        ("client-macos", "M-18"),
        ("aggregator", "M-18"),
    ] {
        let mut w = regular();
        drop_artifact(&mut w, missing);
        w.until("preprod", Enter);
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny, "{missing}");
        assert_eq!(outcome(&decision, rule), Outcome::Unmet, "{missing}");
    }
}
