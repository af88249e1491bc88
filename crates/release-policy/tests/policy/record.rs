//! The record: what happens to it is found, and decisions come out the same again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use release_policy::log::{Body, LogError};
use release_policy::policy::{Effect, Threshold};
use release_policy::state::StateError;
use release_policy::{
    Decision, Log, Outcome, Point, Problem, Question, Verdict, audit, decide, vote,
};
use serde_json::json;

use crate::world::{Run, Step, World};
use crate::{mina, mithril, optimism, spacemesh, splice};

fn worlds() -> Vec<World> {
    vec![
        splice::bugfix(),
        optimism::upgrade(),
        mithril::regular(),
        spacemesh::regular(),
        mina::planned(),
    ]
}

fn audited(run: &Run) -> Vec<Problem> {
    audit(
        &run.policy,
        &run.keys,
        &run.log.text(),
        &run.log.head(),
        &run.store,
    )
}

#[test]
fn a63_every_decision_comes_out_the_same_again() {
    for world in worlds() {
        let run = world.run();
        assert_eq!(audited(&run), [], "{}", world.policy);
        let text = run.log.text();
        assert_eq!(Log::parse(&text).unwrap(), run.log);
        // To the byte, and from the text alone.
        let decision = run.decisions.last().unwrap();
        let question = Question {
            stage: decision.stage.clone(),
            point: decision.point,
            now: decision.now,
            measured: decision.measured.clone(),
        };
        let before = Log::parse(&text)
            .unwrap()
            .before(usize::try_from(decision.entries).unwrap());
        let again = decide(&run.policy, &before, &run.store, &question).unwrap();
        assert_eq!(
            serde_json::to_string(&again).unwrap(),
            serde_json::to_string(decision).unwrap()
        );
    }
}

#[test]
fn a62_any_changed_byte_of_the_log_is_found() {
    let run = mina::planned().run();
    let text = run.log.text();
    let head = run.log.head();
    for position in 0..text.len() {
        for change in [0x01_u8, 0x20] {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= change;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let found = Log::parse(&changed).map(|log| log.expect_head(&head));
            assert!(!matches!(found, Ok(Ok(()))), "byte {position} of the log");
        }
    }
}

#[test]
fn a62_lines_taken_out_moved_or_cut_off_are_found() {
    let run = splice::bugfix().run();
    let text = run.log.text();
    let lines: Vec<&str> = text.lines().collect();
    let check = |lines: Vec<&str>| {
        let text: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
        audit(&run.policy, &run.keys, &text, &run.log.head(), &run.store)
    };
    assert_eq!(check(lines.clone()), []);
    for index in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(index);
        assert_ne!(check(without), [], "line {index} taken out");
        if index > 0 {
            let mut moved = lines.clone();
            moved.swap(index - 1, index);
            assert_ne!(check(moved), [], "line {index} moved");
            assert_ne!(
                check(lines[..index].to_vec()),
                [],
                "cut before line {index}"
            );
        }
        let mut twice = lines.clone();
        twice.insert(index, lines[index]);
        assert_ne!(check(twice), [], "line {index} twice");
    }
    assert!(matches!(
        Log::parse(text.trim_end()),
        Err(LogError::CutShort)
    ));
}

#[test]
fn a57_a_failure_that_is_taken_out_is_found_even_when_the_chain_is_made_again() {
    // The network stood still; somebody wants the record without that.
    let mut stalled = spacemesh::regular();
    stalled.until("devnet", Point::Exit);
    stalled.data("layers-1", |d| {
        d["samples"]["2026-01-05T01:00:00Z"] = json!(10)
    });
    let honest = stalled.run();
    assert_eq!(honest.decisions.last().unwrap().verdict, Verdict::Deny);
    let mut forged = Log::default();
    for entry in honest.log.entries() {
        let body = match &entry.body {
            Body::Decided { decision } if decision.verdict == Verdict::Deny => {
                let mut decision = decision.clone();
                decision.verdict = Verdict::Allow;
                decision.log = forged.head().last;
                decision
                    .gates
                    .iter_mut()
                    .for_each(|gate| gate.outcome = Outcome::Met);
                Body::Decided { decision }
            }
            other => other.clone(),
        };
        forged.push(entry.at, body).unwrap();
    }
    // Not the head that was signed; and if that key were theirs too, the replay says otherwise.
    assert!(matches!(
        forged.expect_head(&honest.log.head()),
        Err(LogError::Head { .. })
    ));
    let problems = audit(
        &honest.policy,
        &honest.keys,
        &forged.text(),
        &forged.head(),
        &honest.store,
    );
    assert!(
        matches!(problems.as_slice(), [Problem::Decision { .. }]),
        "{problems:?}"
    );
}

#[test]
fn an_audit_finds_what_is_missing_or_was_never_allowed() {
    let run = splice::bugfix().run();
    for entry in run.log.entries() {
        if let Body::Recorded { evidence } = &entry.body {
            let mut store = release_policy::Store::default();
            for other in run.log.entries() {
                match &other.body {
                    Body::Recorded { evidence: other } if other != evidence => {
                        store.add_evidence(run.store.evidence(*other).unwrap().clone())
                    }
                    _ => {}
                }
            }
            let problems = audit(
                &run.policy,
                &run.keys,
                &run.log.text(),
                &run.log.head(),
                &store,
            );
            assert!(
                problems
                    .iter()
                    .any(|problem| matches!(problem, Problem::Missing { .. }))
            );
        }
    }
    // Other keys, another policy, an action nobody allowed.
    let problems = audit(
        &run.policy,
        "[roles]\n",
        &run.log.text(),
        &run.log.head(),
        &run.store,
    );
    assert!(
        problems
            .iter()
            .any(|problem| matches!(problem, Problem::Opened { what: "keys", .. }))
    );
    let mut acted = run.clone();
    let body = Body::Acted {
        action: "dns".to_owned(),
        key: release_policy::Digest::of(b"x"),
        result: "done".to_owned(),
    };
    acted.log.push(acted.now, body).unwrap();
    assert!(matches!(
        audited(&acted).as_slice(),
        [Problem::Action { .. }]
    ));
}

#[test]
fn a_changed_file_changes_what_is_found() {
    for world in [splice::bugfix(), mina::planned()] {
        let run = world.run();
        for name in world.files.keys() {
            let mut changed = run.clone();
            let mut store = release_policy::Store::default();
            for entry in run.log.entries() {
                if let Body::Recorded { evidence } = &entry.body {
                    store.add_evidence(run.store.evidence(*evidence).unwrap().clone());
                }
            }
            for other in world.files.keys() {
                let mut bytes = world.file_text(other).into_bytes();
                if other == name {
                    bytes[0] ^= 1;
                }
                store.add_file(bytes).unwrap();
            }
            changed.store = store;
            assert_ne!(audited(&changed), [], "{name}");
        }
    }
}

#[test]
fn a64_time_does_not_go_backwards() {
    let world = mina::planned();
    let mut run = world.run();
    let question = Question {
        stage: "publish".to_owned(),
        point: Point::Close,
        now: "2020-01-01T00:00:00Z".parse().unwrap(),
        measured: BTreeMap::new(),
    };
    assert!(matches!(
        decide(&run.policy, &run.log, &run.store, &question),
        Err(StateError::Clock { .. })
    ));
    let at = question.now;
    assert!(matches!(
        run.log.push(
            at,
            Body::Acted {
                action: "x".to_owned(),
                key: release_policy::Digest::of(b""),
                result: String::new()
            }
        ),
        Err(LogError::Clock { .. })
    ));
}

#[test]
fn a24_t10_two_thirds_are_counted_in_whole_numbers() {
    let strict = Threshold {
        num: 2,
        den: 3,
        strict: true,
    };
    for n in 1..=40_usize {
        let floor = 2 * n / 3;
        assert!(!vote::passes(strict, floor, n), "{floor} of {n}");
        assert!(vote::passes(strict, floor + 1, n), "{} of {n}", floor + 1);
        assert_eq!(vote::needed(strict, n), floor + 1);
        // The vote on the ledger needs one less exactly when n is a multiple of 3.
        let faulty = (n - 1) / 3;
        let on_ledger = (n + faulty + 1).div_ceil(2);
        assert_eq!(
            vote::needed(strict, n) - on_ledger,
            usize::from(n % 3 == 0),
            "{n}"
        );
    }
    assert!(!vote::passes(strict, 0, 0));
    assert!(vote::passes(
        Threshold {
            strict: false,
            ..strict
        },
        2,
        3
    ));
}

#[test]
fn a67_verdicts_have_the_published_exit_codes() {
    assert_eq!(
        [Verdict::Allow, Verdict::Pend, Verdict::Deny].map(Verdict::exit_code),
        [0, 3, 4]
    );
}

/// By question, the facts it needs, both as indices of steps.
type Needed = BTreeMap<usize, BTreeSet<usize>>;

/// The facts without which a question is not answered with ALLOW, by question.
fn needed(world: &World) -> Needed {
    let mut needed: Needed = BTreeMap::new();
    for (without, step) in world.steps.iter().enumerate() {
        if !matches!(step, Step::Fact { .. }) {
            continue;
        }
        let kept: BTreeSet<usize> = (0..world.steps.len())
            .filter(|index| *index != without)
            .collect();
        for (index, decision) in answers(world, &kept, 0) {
            if decision.verdict != Verdict::Allow {
                needed.entry(index).or_default().insert(without);
            }
        }
    }
    needed
}

/// Runs some of the steps and answers every question, `later` hours later than it was asked. The
/// release goes on only where the answer in time is ALLOW.
fn answers(world: &World, kept: &BTreeSet<usize>, later: u32) -> Vec<(usize, Decision)> {
    let mut run = world.start();
    let mut found = Vec::new();
    for (index, step) in world.steps.iter().enumerate() {
        if !kept.contains(&index) && !matches!(step, Step::Clock(_)) {
            continue;
        }
        // A fact before any manifest has no subject to be about.
        if matches!(step, Step::Fact { type_, .. } if *type_ != "manifest")
            && run.manifest.is_none()
        {
            continue;
        }
        if let Step::Ask { stage, point } = step {
            if run.manifest.is_none() {
                continue;
            }
            let mut future = run.clone();
            future.now = future.now.plus(format!("{}h", later + 1).parse().unwrap());
            found.push((
                index,
                world.answer(if later == 0 { &run } else { &future }, stage, *point),
            ));
        }
        world.step(&mut run, step);
    }
    found
}

fn subsets() -> impl Strategy<Value = (usize, Vec<bool>, u32)> {
    (
        0..5_usize,
        prop::collection::vec(prop::bool::weighted(0.93), 120),
        0_u32..20_000,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is left out, in facts or in questions: nobody comes to a stage whose gates are not
    /// met, and time alone does not help.
    #[test]
    fn no_sequence_of_commands_gets_past_a_gate((which, keep, later) in subsets()) {
        static NEEDED: std::sync::OnceLock<Vec<(World, Needed)>> = std::sync::OnceLock::new();
        let known = NEEDED.get_or_init(|| worlds().into_iter().map(|world| { let found = needed(&world); (world, found) }).collect());
        let (world, needed) = &known[which];
        let kept: BTreeSet<usize> = (0..world.steps.len()).filter(|index| keep[index % keep.len()]).collect();
        let mut passed: BTreeSet<(String, Point)> = BTreeSet::new();
        for (index, decision) in answers(world, &kept, 0) {
            let blocked = decision.unmet().any(|gate| matches!(gate.effect, Effect::Deny | Effect::Pend));
            prop_assert_eq!(decision.verdict == Verdict::Allow, !blocked);
            if decision.verdict != Verdict::Allow {
                continue;
            }
            let missing: Vec<&usize> = needed.get(&index).into_iter().flatten().filter(|step| !kept.contains(step)).collect();
            prop_assert!(missing.is_empty(), "{} {:?} without {:?}", decision.stage, decision.point, missing.iter().map(|step| &world.steps[**step]).collect::<Vec<_>>());
            if decision.point == Point::Enter {
                let stage = policy_of(world).stage(&decision.stage).unwrap().clone();
                for required in stage.requires {
                    prop_assert!(passed.contains(&(required.clone(), Point::Exit)), "{} before {required}", stage.name);
                }
            } else {
                prop_assert!(passed.contains(&(decision.stage.clone(), Point::Enter)));
            }
            passed.insert((decision.stage, decision.point));
        }
        for (index, decision) in answers(world, &kept, later) {
            let missing = needed.get(&index).into_iter().flatten().any(|step| !kept.contains(step));
            prop_assert!(!(missing && decision.verdict == Verdict::Allow), "{} {:?} after {later} h", decision.stage, decision.point);
        }
    }
}

fn policy_of(world: &World) -> release_policy::Policy {
    release_policy::Policy::parse(&crate::world::policy_text(world.policy)).unwrap()
}
