//! The Spacemesh release cycle: acceptance checks.

use release_policy::Outcome;
use release_policy::Point::{Close, Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use super::{devnet, manifest, regular, regular_until_build_tag, soaking};
use crate::rows::outcome;
use crate::world::{Step, World, commit};

#[test]
fn a74_the_whole_cycle_ends_closed() {
    assert_eq!(regular().decision().verdict, Allow);
}

#[test]
fn a52_only_builds_start_networks() {
    for (tag, starts) in [
        ("v1.2.3+1", true),
        ("v1.2.3", false),
        ("v1.2.3-rc1", false),
        ("1.2.3+1", false),
    ] {
        let mut w = regular_until_build_tag();
        w.edit("manifest-2", |m| m["tag"] = json!(tag));
        assert_eq!(
            outcome(&w.decision(), "P-06") == Outcome::Met,
            starts,
            "{tag}"
        );
    }
}

/// The first build's network fails its smoke test, the second one goes through.
fn second_build() -> World {
    let mut w = regular();
    w.edit("smoke-1", |t| t["result"] = json!("FAILED"));
    let at = w.ask_position("devnet", Exit);
    w.steps.truncate(at);
    w.manifest("manifest-2", "release_manager", manifest("v1.2.3+2", 2));
    w.observe(
        "tags-2",
        "ci",
        "*",
        "tags",
        json!({"tags": {"v1.2.2": commit(77), "v1.2.3+1": commit(1), "v1.2.3+2": commit(2)}}),
    );
    devnet(&mut w, 2, 10);
    w
}

#[test]
fn a14_a53_a55_a_failed_build_is_followed_by_the_next_number_and_a_new_clock() {
    let w = second_build();
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, decision.attempt),
        (Allow, 2),
        "{:?}",
        decision.reasons()
    );
    // +2 without a failure, and +3 after a failed +1.
    let mut unfailed = regular_until_build_tag();
    unfailed.edit("manifest-2", |m| m["tag"] = json!("v1.2.3+2"));
    assert_eq!(outcome(&unfailed.decision(), "P-25"), Outcome::Unmet);
    let mut skipped = second_build();
    skipped.until("devnet", Enter);
    skipped.edit("manifest-2", |m| m["tag"] = json!("v1.2.3+3"));
    assert_eq!(outcome(&skipped.decision(), "P-25"), Outcome::Unmet);
    // The first network's days do not count for the second.
    let mut soon = second_build();
    let last = soon
        .steps
        .iter()
        .rposition(|step| matches!(step, Step::Clock(_)))
        .unwrap();
    soon.steps[last] = Step::Clock("2026-01-16T23:30:00Z".to_owned());
    let decision = soon.decision();
    assert_eq!(decision.verdict, Pend);
    assert_eq!(
        decision.until.map(|time| time.to_string()).as_deref(),
        Some("2026-01-17T00:00:00Z")
    );
}

#[test]
fn a66_t15_evidence_of_another_attempt_release_or_artifact_does_not_count() {
    let refused = |change: fn(&mut World)| {
        let mut w = second_build();
        change(&mut w);
        let decision = w.decision();
        (
            outcome(&decision, "P-15"),
            decision
                .not_counted
                .into_iter()
                .map(|one| one.why)
                .collect::<Vec<_>>(),
        )
    };
    let (met, why) = refused(|w| {
        w.scope("branch-2", "devnet#1");
    });
    assert_eq!(met, Outcome::Unmet);
    assert!(
        why.iter().any(|why| why == "it is of devnet attempt 1"),
        "{why:?}"
    );
    let (met, why) = refused(|w| {
        w.scope("branch-2", "testnet#2");
    });
    assert_eq!(met, Outcome::Unmet);
    assert!(why.iter().any(|why| why == "it is of testnet attempt 2"));
    // A network's state cannot be said of all networks at once.
    let (met, _) = refused(|w| {
        w.scope("branch-2", "*");
    });
    assert_eq!(met, Outcome::Unmet);
    let (met, why) = refused(|w| {
        for step in &mut w.steps {
            if let Step::Fact { key, subjects, .. } = step
                && key == "branch-2"
            {
                *subjects = Some(json!([{"name": "code", "digest": {"gitCommit": commit(1)}}]));
            }
        }
    });
    assert_eq!(met, Outcome::Unmet);
    assert!(why.iter().any(|why| why == "it is about other artifacts"));
    let (met, why) = refused(|w| {
        w.edit("branch-2", |value| {
            value["at"] = json!("2030-01-01T00:00:00Z")
        });
    });
    assert_eq!(met, Outcome::Unmet);
    assert!(
        why.iter()
            .any(|why| why == "it is dated after it was recorded")
    );
}

#[test]
fn a55_168_hours_and_not_a_minute_less() {
    let at = |time: &str| {
        let mut w = soaking();
        let last = w
            .steps
            .iter()
            .rposition(|step| matches!(step, Step::Clock(_)))
            .unwrap();
        w.steps[last] = Step::Clock(time.to_owned());
        w.decision().verdict
    };
    assert_eq!(at("2026-01-08T23:59:00Z"), Pend);
    assert_eq!(at("2026-01-09T00:00:00Z"), Allow);
}

#[test]
fn a56_two_visits_on_one_day_do_not_fill_a_gap() {
    let mut w = soaking();
    w.drop("visit-1-3");
    w.before("visit-1-5", |w| {
        w.observe(
            "extra",
            "release_manager",
            "devnet#1",
            "visit",
            json!({"note": "again"}),
        );
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(decision.reasons()[0].contains("day 4 missing"));
    let mut w = soaking();
    w.drop("visit-1-3");
    assert_eq!(w.decision().verdict, Deny);
}

#[test]
fn a_visit_is_written_down_in_time() {
    let mut w = soaking();
    w.edit("visit-1-4", |visit| {
        visit["at"] = json!("2026-01-05T12:00:00Z")
    });
    w.drop("visit-1-3");
    // Day 4 is there by its date, and was written down a day late; and day 5 has none.
    let decision = w.decision();
    assert!(
        decision.reasons()[0].contains("day 4 missing, day 5 missing"),
        "{:?}",
        decision.reasons()
    );
}

#[test]
fn p16_the_network_is_this_attempts_own() {
    let mut w = soaking();
    w.edit("bootstrap-1", |start| {
        start["at"] = json!("2025-12-20T00:00:00Z")
    });
    let decision = w.decision();
    let soak = decision
        .gates
        .iter()
        .find(|gate| gate.id == "P-16")
        .unwrap();
    assert!(
        soak.found.contains("before the stage was entered"),
        "{soak:?}"
    );
}

#[test]
fn a58_actions_come_in_order_and_once() {
    let mut w = regular();
    w.until("testnet", Enter);
    let mut run = w.run();
    let plan = |run: &crate::world::Run| {
        release_policy::action::plan(&run.policy, &run.log, &run.store).unwrap()
    };
    let planned = plan(&run);
    let ids: Vec<&str> = planned.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "devnext",
            "testnet-dns",
            "testnet-page",
            "testnet-branch",
            "testnet-announcement"
        ]
    );
    for one in &planned {
        let body = release_policy::Body::Acted {
            action: one.id.clone(),
            key: one.key,
            result: "done".to_owned(),
        };
        run.log.push(run.now, body).unwrap();
    }
    assert!(
        plan(&run)
            .iter()
            .all(|one| one.done.as_deref() == Some("done"))
    );
}

#[test]
fn a59_not_closed_before_the_old_network_is_gone() {
    let mut w = regular();
    w.drop("retired");
    assert_eq!(w.decision().verdict, Pend);
    for (member, value) in [("nodes_running", json!(1)), ("logs", json!(null))] {
        let mut w = regular();
        w.data("retired", |d| d[member] = value);
        let decision = w.decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, "P-24")),
            (Pend, Outcome::Unmet),
            "{member}"
        );
        let run = w.run();
        let state = release_policy::state::State::read(&run.policy, &run.log, &run.store).unwrap();
        assert!(
            state.attempts["testnet"]
                .iter()
                .all(|attempt| !attempt.closed),
            "{member}"
        );
    }
}

#[test]
fn a12_the_final_tag_on_another_commit_than_the_build_is_refused_with_both() {
    let mut w = regular();
    w.until("testnet", Enter);
    w.edit("final", |m| m["commit"] = json!(commit(8)));
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "P-19").unwrap();
    assert!(
        rule.found.contains(&commit(1)) && rule.found.contains(&commit(8)),
        "{rule:?}"
    );
}

#[test]
fn a51_the_changelog_names_the_release_in_its_own_commit() {
    let refused = |rule: &str, change: &dyn Fn(&mut World)| {
        let mut w = regular();
        w.until("build", Enter);
        change(&mut w);
        let decision = w.decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, rule)),
            (Deny, Outcome::Unmet),
            "{:?}",
            decision.reasons()
        );
    };
    for heading in [
        "## Unreleased",
        "## [1.2.3]",
        "## 1.2.3 (soon)",
        "## [1.2.4] - 2026-01-01",
    ] {
        refused("P-03", &|w| {
            w.replace("after", "## [1.2.3] - 2026-01-01", heading);
        });
    }
    for subject in [
        "Releasing 1.2.3",
        "Release v1.2.3",
        "Releasing v1.2.3.",
        "Releasing v1.2.30",
    ] {
        refused("P-04", &|w| {
            w.data("diff", |d| {
                d["commits"][commit(1)]["subject"] = json!(subject)
            });
        });
    }
}

#[test]
fn a53_nothing_comes_after_a_failed_smoke_test() {
    let mut w = soaking();
    w.edit("smoke-1", |t| t["result"] = json!("FAILED"));
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "P-09")),
        (Deny, Outcome::Unmet)
    );
    // Explorer and dashboard are there for nothing: they come after a smoke test that passed.
    assert_eq!(outcome(&decision, "P-10"), Outcome::Unmet);
    let run = w.run();
    let state = release_policy::state::State::read(&run.policy, &run.log, &run.store).unwrap();
    let (number, attempt) = state.last("devnet").unwrap();
    assert_eq!(
        (number, attempt.progress),
        (1, release_policy::state::Progress::Failed)
    );
    // Of what the policy does, only what came before it was allowed.
    let planned = release_policy::action::plan(&run.policy, &run.log, &run.store).unwrap();
    let ids: Vec<&str> = planned.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["devnext"]);
}

#[test]
fn a54_each_part_after_the_deployment_is_named_when_it_is_missing() {
    for (missing, rule, named) in [
        ("explorer-1", "P-10", "explorer"),
        ("dashboard-1", "P-10", "dashboard"),
        ("discovery-1", "P-11", "discovery"),
        ("grpc-1", "P-12", "grpc"),
        ("dns-1", "P-13", "dns:1_2_3_1.net.example.test"),
        ("info-1", "P-14", "page `network`"),
        ("branch-1", "P-15", "branch:devnet"),
    ] {
        let mut w = soaking();
        w.drop(missing);
        let decision = w.decision();
        assert_eq!(decision.verdict, Pend, "{missing}");
        let unmet: Vec<_> = decision.unmet().collect();
        assert_eq!(unmet.len(), 1, "{missing}");
        assert_eq!(unmet[0].id, rule);
        assert!(
            unmet[0].expected.contains(named) || unmet[0].found.contains(named),
            "{missing}: {unmet:?}"
        );
    }
    // The name is of the build: without its number it is another network's.
    let mut w = soaking();
    w.data("dns-1", |d| d["name"] = json!("dns:1_2_3.net.example.test"));
    assert_eq!(outcome(&w.decision(), "P-13"), Outcome::Unmet);
    assert_eq!(regular().decision().point, Close);
}

#[test]
fn a60_no_network_after_a_failed_one_without_its_postmortem() {
    let sections = ["issues", "response", "next_plan"];
    let with = |there: &[&str]| {
        let mut w = regular();
        w.until("build", Enter);
        w.data("previous", |d| d["ended"] = json!("failed"));
        let text: String = there
            .iter()
            .map(|name| format!("{name} = \"x\"\n"))
            .collect();
        w.with_file("postmortem", &text);
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
        w
    };
    assert_eq!(with(&sections).decision().verdict, Allow);
    for missing in sections {
        let others: Vec<&str> = sections
            .into_iter()
            .filter(|name| *name != missing)
            .collect();
        let decision = with(&others).decision();
        assert_eq!(decision.verdict, Deny);
        let rule = decision.unmet().find(|gate| gate.id == "P-26").unwrap();
        assert_eq!(rule.found, format!("no `{missing}`"));
    }
    let mut none = with(&sections);
    none.drop("postmortem");
    let decision = none.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "P-26")),
        (Deny, Outcome::Unmet)
    );
}

/// Today's builds: one `-pre` of each version, and the next patch after a failed deployment.
#[test]
fn a14_todays_builds_raise_the_patch() {
    let today = |w: &mut World| {
        w.options = vec!["pre-tags"];
        w.edit("manifest", |m| m["tag"] = json!("v1.2.3-pre"));
        w.data("tags", |d| {
            d["tags"] = json!({"v1.2.2": commit(77), "v1.2.3-pre": commit(1)})
        });
    };
    let mut w = regular();
    today(&mut w);
    w.until("devnet", Enter);
    assert_eq!(w.decision().verdict, Allow, "{:?}", w.decision().reasons());
    // Numbers are no names of builds then, as `-pre` is none in the written process.
    let mut numbered = w.clone();
    numbered.edit("manifest", |m| m["tag"] = json!("v1.2.3+1"));
    numbered.until("build", Enter);
    assert_eq!(outcome(&numbered.decision(), "P-05"), Outcome::Unmet);
    let mut written = w.clone();
    written.options.clear();
    written.until("build", Enter);
    assert_eq!(outcome(&written.decision(), "P-05"), Outcome::Unmet);
    // The first build fails its smoke test.
    let second = |tag: &str, version: &str, existing: &[&str]| {
        let mut w = second_build();
        today(&mut w);
        w.until("devnet", Enter);
        w.edit("manifest-2", |m| {
            m["tag"] = json!(tag);
            m["version"] = json!(version);
        });
        let tags: serde_json::Map<_, _> = existing
            .iter()
            .map(|tag| ((*tag).to_owned(), json!(commit(2))))
            .collect();
        w.data("tags-2", |d| d["tags"] = json!(tags));
        outcome(&w.decision(), "P-25")
    };
    let tags = ["v1.2.2", "v1.2.3-pre", "v1.2.4-pre"];
    assert_eq!(second("v1.2.4-pre", "1.2.4", &tags), Outcome::Met);
    assert_eq!(second("v1.2.3-pre", "1.2.3", &tags), Outcome::Unmet);
    assert_eq!(second("v1.2.5-pre", "1.2.5", &tags), Outcome::Unmet);
    // A build that nobody says has failed.
    let more = ["v1.2.2", "v1.2.3-pre", "v1.2.4-pre", "v1.2.5-pre"];
    assert_eq!(second("v1.2.4-pre", "1.2.4", &more), Outcome::Unmet);
    // Builds of other lines are no matter of this release.
    let other = [
        "v1.1.9-pre",
        "v1.2.1-pre",
        "v1.2.3-pre",
        "v1.2.4-pre",
        "v1.3.0-pre",
    ];
    assert_eq!(second("v1.2.4-pre", "1.2.4", &other), Outcome::Met);
}
