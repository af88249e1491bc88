//! The Splice SV bugfix process: acceptance checks.

use release_policy::Outcome;
use release_policy::Point::{Enter, Exit};
use release_policy::Verdict::{Allow, Deny, Pend};
use serde_json::json;

use super::{accept, after_one, bugfix, deviate, practice, skip_testnet, touch, waive};
use crate::rows::outcome;
use crate::world::{World, commit};

#[test]
fn a74_the_whole_process_ends_closed() {
    assert_eq!(bugfix().decision().verdict, Allow);
}

#[test]
fn a09_after_one_the_next_free_patch() {
    let mut w = after_one();
    w.data("releases", |d| d["versions"] = json!(["1.1.0", "1.1.1"]));
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(
        decision.reasons()[0].contains("version `1.1.2`"),
        "{:?}",
        decision.reasons()
    );
}

#[test]
fn a16_mainnet_after_devnet_alone_is_refused() {
    let mut w = bugfix();
    skip_testnet(&mut w);
    accept(&mut w, "S-06", "testnet");
    w.until("mainnet", Enter);
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "S-06").unwrap();
    assert_eq!(rule.found, "testnet skipped");
}

#[test]
fn a17_a_network_is_skipped_only_by_a_complete_waiver() {
    let skipped = || {
        let mut w = bugfix();
        skip_testnet(&mut w);
        accept(&mut w, "S-06", "testnet");
        waive(&mut w, "mainnet", "S-06", &["testnet"]);
        w.until("mainnet", Enter);
        w
    };
    // The vote was on a proposal that does not name it.
    assert_eq!(skipped().decision().verdict, Deny);
    let mut voted = skipped();
    deviate(&mut voted, "S-06");
    let decision = voted.decision();
    assert_eq!(decision.verdict, Allow, "{:?}", decision.reasons());
    assert_eq!(outcome(&decision, "S-06"), Outcome::Waived);
    // Without the vote, and after its time, it is nothing.
    let mut unvoted = voted.clone();
    unvoted.drop("vote-c");
    let decision = unvoted.decision();
    assert_eq!(decision.verdict, Deny);
    assert!(
        decision
            .reasons()
            .iter()
            .any(|reason| reason.contains("lacks the vote")),
        "{:?}",
        decision.reasons()
    );
    let mut expired = voted.clone();
    expired.edit("waiver-S-06", |w| {
        w["expires"] = json!("2026-03-02T08:00:00Z")
    });
    assert_eq!(expired.decision().verdict, Deny);
    // And S-01 cannot be waived at all.
    let mut other = voted;
    waive(&mut other, "mainnet", "S-01", &[]);
    other.replace("plan", "sv-2 = \"sv\"", "sv-2 = \"validator\"");
    let first = other.ask_position("devnet", Enter);
    other.steps.truncate(first + 1);
    assert_eq!(other.decision().verdict, Deny);
}

#[test]
fn a18_releases_may_differ_when_the_fixes_do_not() {
    let mut w = bugfix();
    w.until("mainnet", Enter);
    w.data("network-devnet", |d| d["release"] = json!("0.5.0"));
    // Cherry-picked: other commits, the same patches, and more of them.
    w.data("network-devnet", |d| {
        d["fixes"] = json!(["fix-2", "other", "fix-1"])
    });
    assert_eq!(w.decision().verdict, Allow);
    w.data("network-testnet", |d| {
        d["fixes"] = json!(["fix-2", "fix-3"])
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "S-07").unwrap();
    assert_eq!(rule.found, "fix-1 on testnet");
}

#[test]
fn a19_each_forbidden_class_alone_refuses() {
    for class in [
        "one_way_upgrade",
        "daml_model_upgrade",
        "db_schema_migration",
        "synchronizer_migration",
    ] {
        let mut w = bugfix();
        w.until("devnet", Enter);
        w.data("diff", |d| d["classes"] = json!([class]));
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny);
        assert_eq!(outcome(&decision, "S-03"), Outcome::Unmet, "{class}");
    }
    // Files show what nobody declared.
    for (file, class) in [
        (
            "apps/sv/src/main/resources/db/migration/V042__x.sql",
            "db_schema_migration",
        ),
        (
            "daml/splice-amulet/daml/Splice/Amulet.daml",
            "daml_model_upgrade",
        ),
    ] {
        let mut w = bugfix();
        w.until("devnet", Enter);
        touch(&mut w, &[file]);
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny, "{file}");
        let rule = decision.unmet().find(|gate| gate.id == "S-03").unwrap();
        assert_eq!(rule.found, class, "{file}");
    }
}

/// A list of paths that leaves out what a commit changes would hide it from every rule about paths.
#[test]
fn a19_a_diff_names_every_path_of_its_commits() {
    let hidden = "apps/src/db/migration/V9.sql";
    let mut w = bugfix();
    w.until("devnet", Enter);
    w.data("diff", |d| {
        d["commits"][commit(2)]["files"] = json!(["apps/x.scala", hidden])
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "S-03").unwrap();
    assert!(rule.found.contains(hidden), "{}", rule.found);
    let mut w = practice();
    w.data("diff", |d| {
        d["commits"][commit(2)]["files"] = json!(["apps/x.scala"])
    });
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "S-23")),
        (Deny, Outcome::Unmet)
    );
    // What two commits take back between them is in no list of differences, and hides nothing.
    let mut w = bugfix();
    w.until("devnet", Enter);
    w.data("diff", |d| {
        d["files"] = json!(["apps/x.scala", "apps/y.scala"])
    });
    assert_eq!(w.decision().verdict, Allow);
}

#[test]
fn a20_an_unlisted_commit_is_named() {
    let mut w = bugfix();
    w.until("devnet", Enter);
    w.data("diff", |d| {
        d["commits"][commit(9)] = json!({"subject": "while I was there"})
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "S-04").unwrap();
    assert_eq!(rule.found, format!("{} is not listed", commit(9)));
}

#[test]
fn a21_a_clean_dependency_is_allowed() {
    let mut w = bugfix();
    w.until("devnet", Enter);
    w.data("diff", |d| {
        d["dependencies"] = json!({"canton": {"from": "3.1", "to": "3.2", "classes": []}})
    });
    assert_eq!(w.decision().verdict, Allow);
    w.data("diff", |d| {
        d["dependencies"] = json!({"canton": {"from": "3.1", "to": "3.2"}})
    });
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "S-05")),
        (Deny, Outcome::Unmet)
    );
}

#[test]
fn a22_the_regular_calendar_is_not_edited() {
    let mut w = bugfix();
    w.until("devnet", Enter);
    // One blank more is another calendar: the digest decides.
    for edited in [
        "[[release]]\nversion = \"0.4.21\"\n",
        "[[release]]\nversion = \"0.4.20\" \n",
    ] {
        let mut w = w.clone();
        w.with_file("calendar-2", edited);
        w.edit("calendar-candidate", |d| {
            d["file"] = json!("file:calendar-2")
        });
        let decision = w.decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, "S-11")),
            (Deny, Outcome::Unmet)
        );
    }
    // And not to show it is no way around.
    w.drop("calendar-candidate");
    assert_eq!(w.decision().verdict, Deny);
}

#[test]
fn a23_each_section_of_the_proposal_is_missed() {
    let cuts = [
        ("issue", "issue = \"i\"\n"),
        ("resolution", "resolution = \"r\"\n"),
        (
            "schedule",
            "[schedule]\ndevnet = \"2026-03-03T00:00:00Z\"\nmainnet = \"2026-03-05T00:00:00Z\"\n",
        ),
        (
            "waves",
            "[waves]\nmainnet = [[\"a\"], [\"b\", \"c\", \"d\"]]\n",
        ),
        ("reconcile_release", "reconcile_release = \"0.4.20\"\n"),
        ("reconcile_notes", "reconcile_notes = \"n\"\n"),
        ("alternative", "alternative = \"wait\"\n"),
        (
            "who",
            "[who]\nmay = [\"d\"]\n[who.must]\na = \"2026-03-06T00:00:00Z\"\nb = \"2026-03-06T00:00:00Z\"\n",
        ),
        ("diff", "[diff]\n"),
    ];
    for (section, text) in cuts {
        let mut w = bugfix();
        w.until("devnet", Enter);
        let proposal = w.files.get_mut("proposal").unwrap();
        if section == "diff" {
            let commits = format!("[diff]\ncommits = [\"{}\"]\n", commit(2));
            assert!(proposal.contains(&commits));
            *proposal = proposal.replace(&commits, "");
        } else {
            assert!(proposal.contains(text), "{section}");
            *proposal = proposal.replace(text, "");
        }
        let decision = w.decision();
        assert_eq!(decision.verdict, Deny, "{section}");
        let reason = decision.unmet().find(|gate| gate.id == "S-13").unwrap();
        assert_eq!(reason.found, format!("no `{section}`"));
    }
}

/// The whole electorate of `n`, and `yes` of them.
fn voted(n: usize, yes: usize) -> World {
    let mut w = bugfix();
    w.until("mainnet", Enter);
    for voter in ["a", "b", "c"] {
        w.drop(&format!("vote-{voter}"));
    }
    let operators: String = (0..n)
        .map(|k| format!("v{k} = [\"v{k}@example.org\"]\n"))
        .collect();
    w.with_file("roster", &format!("[operators]\n{operators}"));
    w.before("announcement", |w| {
        for k in 0..yes {
            w.vote(&format!("v{k}"), "approve");
        }
    });
    w
}

#[test]
fn a24_two_thirds_of_every_electorate_up_to_forty() {
    for n in 1..=40 {
        let floor = 2 * n / 3;
        let decision = voted(n, floor).decision();
        assert_eq!(
            (decision.verdict, outcome(&decision, "S-19")),
            (Pend, Outcome::Unmet),
            "{floor} of {n}"
        );
        let decision = voted(n, floor + 1).decision();
        assert_eq!(
            decision.verdict,
            Allow,
            "{} of {n}: {:?}",
            floor + 1,
            decision.reasons()
        );
    }
}

/// The option has the formula of the ledger, for every size.
#[test]
fn a24_t10_todays_vote_is_that_of_the_ledger() {
    for n in 1..=40_usize {
        let faulty = (n - 1) / 3;
        let needed = (n + faulty + 1).div_ceil(2);
        for (yes, expected) in [(needed - 1, Pend), (needed, Allow)] {
            let mut w = voted(n, yes);
            w.options = vec!["vote-as-on-ledger"];
            assert_eq!(w.decision().verdict, expected, "{yes} of {n}");
        }
    }
}

#[test]
fn a19_todays_name_of_a_migration_is_denied_when_asked_for() {
    let mut w = bugfix();
    w.until("devnet", Enter);
    w.data("diff", |d| {
        d["classes"] = json!(["logical_synchronizer_upgrade"])
    });
    assert_eq!(w.decision().verdict, Allow);
    w.options = vec!["logical-synchronizer-upgrade"];
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "S-03")),
        (Deny, Outcome::Unmet)
    );
}

#[test]
fn a25_vote_hygiene() {
    let ask = |change: fn(&mut World)| {
        let mut w = bugfix();
        w.until("mainnet", Enter);
        change(&mut w);
        w.decision()
    };
    let without_c = |w: &mut World| {
        w.drop("vote-c");
    };
    // A second vote of the same operator counts once.
    let decision = ask(|w| {
        w.drop("vote-c");
        w.before("announcement", |w| {
            w.vote("a", "approve");
        });
    });
    assert_eq!(decision.verdict, Pend);
    // Nobody outside of the roster counts.
    let decision = ask(|w| {
        w.drop("vote-c");
        w.before("announcement", |w| {
            w.vote("zz", "approve");
        });
    });
    assert_eq!(decision.verdict, Pend);
    // Withdrawn before the threshold: not counted. After it: too late.
    let decision = ask(|w| {
        w.before("vote-c", |w| {
            w.vote("a", "withdraw");
        });
    });
    assert_eq!(decision.verdict, Pend);
    let decision = ask(|w| {
        w.before("announcement", |w| {
            w.vote("a", "withdraw");
        });
    });
    assert_eq!(decision.verdict, Allow);
    let mut w = bugfix();
    w.until("mainnet", Enter);
    without_c(&mut w);
    assert_eq!(w.decision().verdict, Pend);
}

#[test]
fn a26_only_mails_through_the_list_in_own_words_are_votes() {
    let broken: [(&str, &str, &str); 4] = [
        (
            "List-Id: <supervalidator-ops.lists.example.org>\n",
            "",
            "did not pass through the list",
        ),
        ("Vote: APPROVE", "> Vote: APPROVE", "no line `Vote:`"),
        (
            "Proposal: {file:proposal}",
            "> Proposal: {file:proposal}",
            "names no proposal",
        ),
        (
            "<c@example.org>",
            "<mallory@example.org>",
            "is no address of `c`",
        ),
    ];
    for (from, to, why) in broken {
        let mut w = bugfix();
        w.until("mainnet", Enter);
        let (_, mail) = w
            .files
            .iter_mut()
            .find(|(name, _)| name.starts_with("mail-c-"))
            .unwrap();
        assert!(mail.contains(from), "{mail}");
        *mail = mail.replace(from, to);
        let first = w.ask_position("mainnet", Enter);
        w.steps.truncate(first);
        // S-24 refuses to leave DevNet over such a mail, so ask for MainNet's gate alone.
        w.steps
            .retain(|step| !matches!(step, crate::world::Step::Ask { .. }));
        w.ask("mainnet", Enter);
        let decision = w.decision();
        assert_eq!(outcome(&decision, "S-19"), Outcome::Unmet, "{why}");
        let run = w.run();
        let roster = toml::from_str(&w.files["roster"]).unwrap();
        let rules = run.policy.vote.clone().unwrap();
        let proposal = w.file_text("proposal");
        let proposal = release_policy::Digest::of(proposal.as_bytes());
        let state = release_policy::state::State::read(&run.policy, &run.log, &run.store).unwrap();
        let votes = state
            .facts
            .iter()
            .filter_map(|fact| match &fact.evidence.predicate {
                release_policy::statement::Predicate::Vote(vote) => {
                    Some((fact.evidence.envelope, vote))
                }
                _ => None,
            });
        let tally = release_policy::vote::count(
            proposal,
            &roster,
            &rules.channels,
            rules.threshold.unwrap(),
            votes,
            &run.store,
        );
        assert!(
            tally
                .ignored
                .iter()
                .any(|ignored| ignored.why.contains(why)),
            "{why}: {:?}",
            tally.ignored
        );
    }
}

#[test]
fn a27_an_amended_proposal_starts_at_zero() {
    let mut w = bugfix();
    w.until("mainnet", Enter);
    w.with_file(
        "amended",
        &(w.files["proposal"].clone() + "# one more word\n"),
    );
    w.before("announcement", |w| {
        w.doc(
            "proposal-2",
            "maintainer",
            "*",
            "proposal",
            "proposal",
            "amended",
        );
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Pend);
    assert!(
        decision
            .reasons()
            .iter()
            .any(|reason| reason.contains("0 of 4, 3 missing")),
        "{:?}",
        decision.reasons()
    );
}

#[test]
fn a30_t11_a_release_cut_before_the_fix_does_not_close() {
    // 0.4.19 sorts above the preview, and has not the fix.
    let mut w = bugfix();
    w.data("reconciled", |d| {
        *d = json!({"version": "0.4.19", "fixes": ["other"]})
    });
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    let rule = decision.unmet().find(|gate| gate.id == "S-22").unwrap();
    assert_eq!(rule.found, "0.4.19 lacks fix-1, 0.4.19 lacks fix-2");
    w.data("reconciled", |d| {
        *d = json!({"version": "0.4.20", "fixes": ["fix-1", "fix-2"]})
    });
    assert_eq!(w.decision().verdict, Allow);
}

#[test]
fn a28_a_release_is_not_closed_while_somebody_owes_it() {
    let mut w = bugfix();
    w.drop("applied-b");
    let decision = w.decision();
    assert_eq!(decision.verdict, Pend);
    let rule = decision.unmet().find(|gate| gate.id == "S-20").unwrap();
    assert!(rule.found.starts_with("b due "), "{rule:?}");
}

#[test]
fn a29_a_wave_waits_for_the_one_before() {
    let mut w = bugfix();
    w.until("mainnet", Exit);
    let mut unconfirmed = w.clone();
    unconfirmed.drop("confirm-1");
    let decision = unconfirmed.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "S-21")),
        (Pend, Outcome::Unmet)
    );
    // A confirmation of another attempt is none.
    let mut other = w.clone();
    other.scope("confirm-1", "mainnet#2");
    assert_eq!(outcome(&other.decision(), "S-21"), Outcome::Unmet);
    w.drop("confirm-2");
    let decision = w.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "S-21")),
        (Pend, Outcome::Unmet)
    );
}

#[test]
fn a31_practice_is_for_testnet_only() {
    assert_eq!(practice().decision().verdict, Allow);
    let mut code = practice();
    touch(&mut code, &["VERSION", "apps/x.scala"]);
    let decision = code.decision();
    assert_eq!(
        (decision.verdict, outcome(&decision, "S-23")),
        (Deny, Outcome::Unmet)
    );
    // With every vote there is.
    let mut w = practice();
    w.before("calendar-base", |w| {
        w.vote("d", "approve");
    });
    w.ask("testnet", Exit);
    w.approve(
        "artifacts",
        "maintainer",
        "mainnet#1",
        "artifacts",
        "approved",
    );
    w.ask("mainnet", Enter);
    let decision = w.decision();
    assert_eq!(decision.verdict, Deny);
    assert_eq!(outcome(&decision, "kind"), Outcome::Unmet);
}

#[test]
fn evidence_of_the_wrong_role_does_not_count() {
    let mut w = bugfix();
    w.signer("proposal", "engine").until("devnet", Enter);
    assert_eq!(w.decision().verdict, Deny);
}
