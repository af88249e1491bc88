//! Facts that are said again, dated anew, contradicted or signed by others, and stages that are entered
//! again, on the walks of all five processes: none of it stands in for what is missing, or makes good
//! what has failed.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use release_policy::{Decision, Point, Time, Verdict};
use serde_json::json;

use crate::world::{Run, Step, World, fact};
use crate::{mina, mithril, optimism, spacemesh, splice};

/// One thing that somebody does besides.
#[derive(Clone, Debug)]
enum Noise {
    /// A fact of the walk once more.
    Again(prop::sample::Index),
    /// The same, of another time: days before, or in the future.
    Dated(prop::sample::Index, i64),
    /// The same, of an attempt that there is not.
    Elsewhere(prop::sample::Index),
    /// The missing fact, by somebody who has no say.
    Stranger,
    /// The missing fact, of an attempt that there is not.
    OfAnother,
    /// The missing fact, dated in the future.
    Future,
    /// A question of the walk once more.
    Ask(prop::sample::Index),
    /// A stage is entered again.
    Enter(prop::sample::Index),
}

fn noise() -> impl Strategy<Value = Noise> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Noise::Again),
        (any::<prop::sample::Index>(), -40..40_i64).prop_map(|(one, days)| Noise::Dated(one, days)),
        any::<prop::sample::Index>().prop_map(Noise::Elsewhere),
        Just(Noise::Stranger),
        Just(Noise::OfAnother),
        Just(Noise::Future),
        any::<prop::sample::Index>().prop_map(Noise::Ask),
        any::<prop::sample::Index>().prop_map(Noise::Enter),
    ]
}

fn walks() -> Vec<World> {
    vec![
        spacemesh::regular(),
        mithril::regular(),
        optimism::upgrade(),
        splice::bugfix(),
        mina::planned(),
    ]
}

/// Whether a fact stands for itself, so that another of its kind says nothing it says. One look at a
/// network at another hour is another look.
fn is_of_its_own(step: &Step) -> bool {
    match step {
        Step::Fact { type_, value, .. } => *type_ != "manifest" && value["seen"]["kind"] != "visit",
        _ => false,
    }
}

/// Walks on as far as it goes, whatever is answered. The clock does not go back.
fn walk(world: &World, steps: &[Step]) -> Run {
    let mut run = world.start();
    for step in steps {
        if let Step::Clock(time) = step
            && time.parse::<Time>().unwrap() < run.now
        {
            continue;
        }
        world.step(&mut run, step);
    }
    run
}

/// Where the walk is refused for the first time, if it is.
fn refused(world: &World, steps: &[Step]) -> Option<usize> {
    let mut run = world.start();
    for (at, step) in steps.iter().enumerate() {
        world.step(&mut run, step);
        if matches!(step, Step::Ask { .. })
            && run.decisions.last().unwrap().verdict != Verdict::Allow
        {
            return Some(at);
        }
    }
    None
}

fn scoped(step: &Step, to: &str) -> Step {
    let mut step = step.clone();
    if let Step::Fact { scope, .. } = &mut step {
        *scope = match scope.split_once('#') {
            Some((stage, _)) => format!("{stage}#{to}"),
            None => scope.clone(),
        };
    }
    step
}

fn dated(step: &Step, at: &str) -> Step {
    let mut step = step.clone();
    if let Step::Fact { value, type_, .. } = &mut step {
        if *type_ == "test" {
            value["notes"]["at"] = json!(at);
        } else if *type_ != "document" {
            value["at"] = json!(at);
        }
    }
    step
}

fn pick<'a>(all: &[&'a Step], index: &prop::sample::Index) -> Option<&'a Step> {
    (!all.is_empty()).then(|| *index.get(all))
}

/// The step that this noise is, on a walk in which something may be missing.
fn step(of: &Noise, known: &[Step], missing: Option<&Step>) -> Option<Step> {
    let facts: Vec<&Step> = known.iter().filter(|step| is_of_its_own(step)).collect();
    let asks: Vec<&Step> = known
        .iter()
        .filter(|step| matches!(step, Step::Ask { .. }))
        .collect();
    match of {
        Noise::Again(index) => pick(&facts, index).cloned(),
        Noise::Dated(index, days) => {
            let one = pick(&facts, index)?;
            let clock = known.iter().rev().find_map(|step| match step {
                Step::Clock(time) => time.parse::<Time>().ok(),
                _ => None,
            })?;
            let span = format!("{}h", days.unsigned_abs() * 24 + 1);
            let at = if *days < 0 {
                // Far enough in the past, whatever the walk's clock says.
                "2025-12-01T00:00:00Z"
                    .parse::<Time>()
                    .unwrap()
                    .plus(span.parse().unwrap())
            } else {
                clock.plus(span.parse().unwrap())
            };
            Some(dated(one, &at.to_string()))
        }
        Noise::Elsewhere(index) => {
            let one = pick(&facts, index)?;
            Some(scoped(one, "7"))
        }
        Noise::Stranger => {
            let mut step = missing?.clone();
            if let Step::Fact { signers, .. } = &mut step {
                *signers = vec![("stranger".to_owned(), 0)];
            }
            Some(step)
        }
        Noise::OfAnother => {
            let step = missing?;
            let has_stage = matches!(step, Step::Fact { scope, .. } if scope.contains('#'));
            has_stage.then(|| scoped(step, "7"))
        }
        Noise::Future => {
            let step = missing?;
            let has_time = matches!(step, Step::Fact { type_, .. } if !matches!(*type_, "document" | "manifest"));
            has_time.then(|| dated(step, "2099-01-01T00:00:00Z"))
        }
        Noise::Ask(index) => pick(&asks, index).cloned(),
        Noise::Enter(index) => {
            let ask = pick(&asks, index)?;
            let Step::Ask { stage, .. } = ask else {
                return None;
            };
            Some(Step::Ask {
                stage: stage.clone(),
                point: Point::Enter,
            })
        }
    }
}

/// Puts noise between two places of a walk.
fn disturb(
    runner: &mut TestRunner,
    steps: &[Step],
    (from, to): (usize, usize),
    missing: Option<&Step>,
) -> (Vec<Step>, Vec<Noise>) {
    let count = prop::collection::vec((noise(), any::<prop::sample::Index>()), 1..7);
    let chosen = count.new_tree(runner).unwrap().current();
    let mut all = steps[..=to].to_vec();
    let mut made = Vec::new();
    for (one, place) in chosen {
        let room = all.len() - 1 - from;
        let at = from + if room == 0 { 0 } else { place.index(room + 1) };
        if let Some(step) = step(&one, &steps[..from.max(1)], missing) {
            all.insert(at, step);
            made.push(one);
        }
    }
    (all, made)
}

fn allowed<'a>(run: &'a Run, stage: &str, point: Point, attempt: u32) -> Option<&'a Decision> {
    run.decisions.iter().find(|decision| {
        decision.verdict == Verdict::Allow
            && decision.stage == stage
            && decision.point == point
            && decision.attempt == attempt
    })
}

#[test]
fn nothing_stands_in_for_a_fact_that_is_missing() {
    let walks = walks();
    let mut runner = TestRunner::deterministic();
    let mut tried = 0;
    for round in 0..400 {
        let world = &walks[round % walks.len()];
        let facts: Vec<usize> = (0..world.steps.len())
            .filter(|at| is_of_its_own(&world.steps[*at]))
            .collect();
        let index = any::<prop::sample::Index>().new_tree(&mut runner).unwrap();
        let gone = *index.current().get(&facts);
        let mut steps = world.steps.clone();
        let missing = steps.remove(gone);
        let Some(target) = refused(world, &steps) else {
            continue;
        };
        tried += 1;
        let Step::Ask { stage, point } = &steps[target] else {
            panic!("no question")
        };
        let (disturbed, made) = disturb(&mut runner, &steps, (gone, target), Some(&missing));
        let run = walk(world, &disturbed);
        // Of a further attempt, too: what was missing in the first is missing there.
        for attempt in 1..9 {
            if let Some(decision) = allowed(&run, stage, *point, attempt) {
                panic!(
                    "{} without {missing:?}: {} {stage} attempt {attempt} after {made:?}: {:?}",
                    world.policy,
                    point.name(),
                    decision.reasons()
                );
            }
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn nothing_makes_a_failed_attempt_good() {
    let walks = walks();
    let mut runner = TestRunner::deterministic();
    let mut tried = 0;
    for round in 0..200 {
        let world = &walks[round % walks.len()];
        let exits: Vec<(usize, &String)> = world
            .steps
            .iter()
            .enumerate()
            .filter_map(|(at, step)| match step {
                Step::Ask { stage, point } if *point == Point::Exit => Some((at, stage)),
                _ => None,
            })
            .collect();
        let index = any::<prop::sample::Index>().new_tree(&mut runner).unwrap();
        let (target, stage) = *index.current().get(&exits);
        let policy = world.start().policy;
        let failed = fact(
            "failed",
            &policy.facts_by,
            &format!("{stage}#1"),
            "observation",
            json!({"seen": {"kind": "failure", "data": {"cause": "it broke"}}}),
        );
        let mut steps = world.steps.clone();
        steps.insert(target, failed);
        let (disturbed, made) = disturb(&mut runner, &steps, (target + 1, target + 1), None);
        let run = walk(world, &disturbed);
        tried += 1;
        assert!(
            allowed(&run, stage, Point::Exit, 1).is_none(),
            "{}: exit {stage} after {made:?}",
            world.policy
        );
    }
    assert!(tried == 200, "{tried}");
}

/// Everything that was said of a failed attempt, said again of the next one: what has to be new then is
/// not, be it a network, a build, a backup or a candidate.
#[test]
fn a_further_attempt_needs_something_new() {
    let mut runner = TestRunner::deterministic();
    let rejected = json!({"item": "qualification", "verdict": "rejected", "by": "A. Person"});
    let failed = json!({"seen": {"kind": "failure", "data": {"cause": "it broke"}}});
    for (world, stage, end) in [
        (
            spacemesh::regular(),
            "devnet",
            ("ci", "observation", &failed),
        ),
        (
            mithril::regular(),
            "testing",
            ("ci", "observation", &failed),
        ),
        (
            mithril::regular(),
            "preprod",
            ("ci", "observation", &failed),
        ),
        (
            mithril::regular(),
            "preprod",
            ("release_team", "approval", &rejected),
        ),
        (
            optimism::upgrade(),
            "alphanet",
            ("release_team", "observation", &failed),
        ),
        (
            optimism::upgrade(),
            "betanet",
            ("release_team", "observation", &failed),
        ),
    ] {
        let exit = world.ask_position(stage, Point::Exit);
        let first = format!("{stage}#1");
        let of_stage: Vec<Step> = world.steps[..exit]
            .iter()
            .filter(|step| matches!(step, Step::Fact { scope, .. } if *scope == first))
            .map(|step| scoped(step, "2"))
            .collect();
        for _ in 0..40 {
            let order = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
            let mut steps = world.steps[..exit].to_vec();
            steps.push(fact("ended", end.0, &first, end.1, end.2.clone()));
            steps.extend(of_stage.iter().cloned());
            for index in order.new_tree(&mut runner).unwrap().current() {
                steps.push(index.get(&of_stage).clone());
            }
            for point in [Point::Enter, Point::Exit] {
                steps.push(Step::Ask {
                    stage: stage.to_owned(),
                    point,
                });
            }
            let run = walk(&world, &steps);
            for point in [Point::Enter, Point::Exit] {
                assert!(
                    allowed(&run, stage, point, 2).is_none(),
                    "{}: {} {stage} again after {:?}",
                    world.policy,
                    point.name(),
                    end.2
                );
            }
        }
    }
}

/// A network that stood still, and then other numbers for the same hours, as often as anybody likes.
#[test]
fn no_other_numbers_make_a_network_advance() {
    let world = spacemesh::regular();
    let mut runner = TestRunner::deterministic();
    let exit = world.ask_position("devnet", Point::Exit);
    let layers = |hours: u64, layer: u64| {
        let at = "2026-01-02T00:00:00Z".parse::<Time>().unwrap();
        let at = at.plus(format!("{hours}h").parse().unwrap());
        fact(
            "numbers",
            "ci",
            "devnet#1",
            "observation",
            json!({"seen": {"kind": "layers", "data": {"samples": {at.to_string(): layer}}}}),
        )
    };
    for _ in 0..60 {
        let stall = (
            1..160_u64,
            1..100_u64,
            prop::collection::vec((1..168_u64, 0..2000_u64), 0..6),
        );
        let (hour, layer, others) = stall.new_tree(&mut runner).unwrap().current();
        let mut steps = world.steps[..exit].to_vec();
        // Between two samples of the walk, lower than what was there before.
        steps.push(layers(hour + 2, layer + 2000));
        steps.push(layers(hour + 3, layer));
        steps.push(layers(hour + 3, layer + 2001));
        for (hour, layer) in others {
            steps.push(layers(hour, layer));
        }
        steps.push(world.steps[exit].clone());
        let run = walk(&world, &steps);
        assert!(allowed(&run, "devnet", Point::Exit, 1).is_none());
    }
}
