//! What is known of the layers of a network while it simmers.

use release_policy::Outcome;
use release_policy::Point::Exit;
use release_policy::Verdict::{Allow, Deny};
use serde_json::{Value, json};

use super::soaking;
use crate::rows::outcome;
use crate::world::World;

/// The network of `soaking` starts on the 2nd at midnight and is asked about on the 9th.
fn with(samples: Value) -> World {
    let mut w = soaking();
    w.data("layers-1", |d| d["samples"] = samples);
    w
}

fn found(w: &World) -> (Outcome, String) {
    let decision = w.decision();
    let gate = decision
        .gates
        .iter()
        .find(|gate| gate.id == "P-18")
        .unwrap();
    (gate.outcome, gate.found.clone())
}

#[test]
fn samples_cover_the_whole_time_on_the_network() {
    assert_eq!(soaking().decision().verdict, Allow);
    for (samples, words) in [
        (
            json!({"2026-01-02T00:00:01Z": 1, "2026-01-02T00:00:02Z": 2}),
            "no sample from 2026-01-02T00:00:02Z to 2026-01-09T00:00:00Z",
        ),
        // Neither before the network was there, nor after the record was written.
        (
            json!({"2019-01-01T00:00:00Z": 1, "2039-01-01T00:00:00Z": 2}),
            "fewer than two samples",
        ),
        (
            json!({"2026-01-04T00:00:00Z": 1, "2026-01-05T00:00:00Z": 2, "2026-01-06T00:00:00Z": 3, "2026-01-07T00:00:00Z": 4, "2026-01-08T00:00:00Z": 5}),
            "no sample from 2026-01-02T00:00:00Z to 2026-01-04T00:00:00Z",
        ),
    ] {
        let w = with(samples);
        assert_eq!(w.decision().verdict, Deny, "{words}");
        let (outcome, found) = found(&w);
        assert_eq!((outcome, found.as_str()), (Outcome::Unmet, words));
    }
    for (day, met) in [(4, false), (2, true)] {
        let mut w = soaking();
        w.data("layers-1", |d| {
            let samples = d["samples"].as_object_mut().unwrap();
            samples.remove(&format!("2026-01-{day:02}T01:00:00Z"));
            if met {
                samples.insert("2026-01-02T23:59:59Z".to_owned(), json!(20));
            }
        });
        assert_eq!(found(&w).0 == Outcome::Met, met, "without day {day}");
    }
}

#[test]
fn what_several_facts_say_is_taken_together() {
    let day = |day: u32| format!("2026-01-{day:02}T01:00:00Z");
    let mut w = with(json!({day(2): 10, day(3): 150, day(4): 300}));
    w.observe(
        "layers-b",
        "ci",
        "devnet#1",
        "layers",
        json!({"samples": {day(5): 300, day(6): 310, day(7): 400, day(8): 500}}),
    );
    let at = w.ask_position("devnet", Exit);
    let ask = w.steps.remove(at);
    w.steps.push(ask);
    let run = w.run();
    assert_eq!(
        found(&w).1,
        format!("it stood still from {} to {}", day(4), day(5))
    );
    let state = release_policy::state::State::read(&run.policy, &run.log, &run.store).unwrap();
    let (_, attempt) = state.last("devnet").unwrap();
    assert_eq!(attempt.progress, release_policy::state::Progress::Retired);
    // It is final: neither another number for the same moment nor all that follows helps.
    let mut again = w.clone();
    again.before_ask("devnet", Exit, |w| {
        w.observe(
            "layers-c",
            "ci",
            "devnet#1",
            "layers",
            json!({"samples": {day(5): 305}}),
        );
    });
    let decision = again.decision();
    assert_eq!(decision.verdict, Deny);
    assert_eq!(outcome(&decision, "P-18"), Outcome::Unmet);
}

#[test]
fn one_moment_has_one_layer() {
    let mut w = soaking();
    w.before_ask("devnet", Exit, |w| {
        w.observe(
            "twice",
            "ci",
            "devnet#1",
            "layers",
            json!({"samples": {"2026-01-05T01:00:00Z": 520}}),
        );
    });
    let (unmet, words) = found(&w);
    assert_eq!(
        (unmet, words.as_str()),
        (Outcome::Unmet, "500 and 520 at 2026-01-05T01:00:00Z")
    );
    // The same again is no news.
    w.data("twice", |d| {
        d["samples"]["2026-01-05T01:00:00Z"] = json!(500)
    });
    assert_eq!(w.decision().verdict, Allow);
}

/// A network that is said to have started earlier than before has not simmered for longer.
#[test]
fn an_earlier_start_does_not_shorten_the_soak() {
    let mut w = soaking();
    let last = w
        .steps
        .iter()
        .rposition(|step| matches!(step, crate::world::Step::Clock(_)))
        .unwrap();
    w.steps[last] = crate::world::Step::Clock("2026-01-08T23:59:30Z".to_owned());
    assert_eq!(outcome(&w.decision(), "P-16"), Outcome::Unmet);
    w.before("layers-1", |w| {
        w.deploy(
            "earlier",
            "ci",
            "devnet#1",
            "bootstrap",
            json!({"network_id": "net-1", "at": "2026-01-01T23:00:00Z"}),
        );
    });
    assert_eq!(outcome(&w.decision(), "P-16"), Outcome::Unmet);
}
