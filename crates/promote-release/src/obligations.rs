//! `obligations`: who still has to do what, and until when.

use std::collections::BTreeMap;

use fork_worker::{Context, WorkerResult};
use release_policy::policy::Gate;
use release_policy::policy::check::Check;
use release_policy::state::{Attempt, Fact, Progress, State, has_signed};
use release_policy::statement::{Observation, Predicate};
use release_policy::{Point, Policy, Time};
use serde::Serialize;

use crate::args::ObligationsArgs;
use crate::directory::Release;
use crate::effects::name_of;
use crate::error::PromoteError;
use crate::{clock, inputs};

/// Something somebody has to do.
#[derive(Clone, Debug, Serialize)]
struct Obligation {
    who: String,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Time>,
    overdue: bool,
}

impl ObligationsArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let release = self.release.read()?;
        let all = obligations(&release, clock::now(self.time.now))?;
        let mut human = String::new();
        for one in &all {
            let state = match (one.done, one.overdue) {
                (Some(done), _) => format!("done {done}"),
                (None, true) => "OVERDUE".to_owned(),
                (None, false) => "open".to_owned(),
            };
            let due = one.due.map(|due| format!(", due {due}"));
            let due = due.unwrap_or_default();
            human.push_str(&format!("{state:<28} {}: {}{due}\n", one.who, one.what));
        }
        if all.is_empty() {
            human.push_str("nobody has to do anything\n");
        }
        context.emit(&human, &all)?;
        let open = all.iter().filter(|one| one.done.is_none()).count();
        if open == 0 {
            return Ok(());
        }
        let overdue = all.iter().filter(|one| one.overdue).count();
        Err(PromoteError::Open { open, overdue }.into())
    }
}

/// Everything somebody has to do: operators named by the proposal, what was allowed and is not done,
/// networks to end, postmortems to write, stages to close. A fact fulfils one only when the role has
/// signed it that a rule asks.
fn obligations(release: &Release, now: Time) -> Result<Vec<Obligation>, PromoteError> {
    let state = release.state()?;
    let policy = &release.policy;
    let mut all = Vec::new();
    let mut push = |who: &str, what: String, due: Option<Time>, done: Option<Time>| {
        all.push(Obligation {
            who: who.to_owned(),
            what,
            due,
            done,
            overdue: done.is_none() && due.is_some_and(|due| now > due),
        });
    };
    // Only a plan that is voted on binds anybody, and only where this kind of release comes to the stage
    // that is applied: a practice goes to no MainNet.
    let kind = state.manifests.last();
    let kind = kind.map_or("", |(_, manifest)| manifest.kind.as_str());
    let comes = gate(policy, |check| matches!(check, Check::Obligations {}))
        .is_some_and(|gate| comes_to(policy, gate, kind));
    let bound = comes && crate::info::info(release)?.vote.is_none_or(|vote| vote.won);
    if let Some((_, proposal)) = inputs::read_proposal(release)?.filter(|_| bound) {
        let applied = applied(policy, &state);
        for (operator, due) in &proposal.who.must {
            let done = applied.get(operator.as_str()).copied();
            push(operator, "apply the release".to_owned(), Some(*due), done);
        }
    }
    let planned = release_policy::action::plan(policy, &release.log, &release.store)
        .map_err(|source| release.state_error(source))?;
    for one in planned.iter().filter(|one| one.done.is_none()) {
        let what = format!("do `{}` for {}", one.id, one.target);
        push(name_of(one.executor), what, None, None);
    }
    let retire = gate(policy, |check| matches!(check, Check::Retired { .. }));
    for (stage, attempts) in &state.attempts {
        for (number, attempt) in (1..).zip(attempts) {
            if attempt.progress == Progress::Retired {
                let role = retire.map_or(policy.facts_by.as_str(), |gate| &gate.signed_by);
                let rule = attempt.failure.as_ref().map_or("", |(rule, _)| rule);
                let what = format!("end the network of {stage} attempt {number} ({rule})");
                push(
                    role,
                    what,
                    None,
                    retired(policy, &state, role, stage, number),
                );
            }
        }
    }
    if let Some((gate, done)) = postmortem(release, &state) {
        push(
            &gate.signed_by,
            format!("write a postmortem ({})", gate.id),
            None,
            done,
        );
    }
    let mut stages = policy.stages.iter().rev();
    if let Some(stage) = stages.find(|stage| state.passed(&stage.name).is_some()) {
        let attempt = state.passed(&stage.name);
        if let Some(gate) = retire.filter(|gate| gate.stage == stage.name) {
            let what = format!("retire the old network and archive its logs ({})", gate.id);
            let number = attempt.map_or(0, |(number, _)| number);
            let done = retired(policy, &state, &gate.signed_by, &stage.name, number);
            push(&gate.signed_by, what, None, done);
        }
        let closing: Vec<&str> = policy
            .gates_at(&stage.name, Point::Close, kind)
            .map(|gate| gate.id.as_str())
            .collect();
        if !closing.is_empty() {
            let closed = attempt.is_some_and(|(_, attempt)| attempt.closed);
            let done = closed.then(|| release.last_time()).flatten();
            let what = format!("close {} ({})", stage.name, closing.join(", "));
            push("release", what, None, done);
        }
    }
    Ok(all)
}

/// Whether a rule is ever asked of a release of this kind.
fn comes_to(policy: &Policy, gate: &Gate, kind: &str) -> bool {
    let has = |kinds: &[String]| kinds.is_empty() || kinds.iter().any(|one| one == kind);
    let mut stages = policy.stages.iter().filter(|stage| gate.is_at(&stage.name));
    has(&gate.kinds) && stages.any(|stage| has(&stage.kinds))
}

fn gate(policy: &Policy, wanted: fn(&Check) -> bool) -> Option<&Gate> {
    policy.gates.iter().find(|gate| wanted(&gate.check))
}

/// Who has applied the release, and since when: at the stage, and by the role, that the rule asks about.
fn applied<'a>(policy: &Policy, state: &State<'a>) -> BTreeMap<&'a str, Time> {
    let mut applied: BTreeMap<&str, Time> = BTreeMap::new();
    let Some(gate) = gate(policy, |check| matches!(check, Check::Obligations {})) else {
        return applied;
    };
    let attempt = state.last(&gate.stage).map_or(0, |(number, _)| number);
    for fact in &state.facts {
        if let Predicate::Observation(observed) = &fact.evidence.predicate
            && let Observation::Applied { operator } = &observed.seen
            && observed.scope.stage == gate.stage
            && observed.scope.attempt == attempt
            && has_signed(policy, &gate.signed_by, fact.evidence)
        {
            applied.entry(operator).or_insert(observed.at);
        }
    }
    applied
}

/// Since when nothing of a network runs and its logs are kept, by the word of this role.
fn retired(
    policy: &Policy,
    state: &State<'_>,
    role: &str,
    stage: &str,
    number: u32,
) -> Option<Time> {
    let seen = |fact: &Fact<'_>| match &fact.evidence.predicate {
        Predicate::Observation(observed)
            if observed.scope.stage == stage
                && observed.scope.attempt == number
                && has_signed(policy, role, fact.evidence) =>
        {
            match &observed.seen {
                Observation::Retired {
                    nodes_running,
                    logs,
                } => Some((*nodes_running == 0 && logs.is_some()).then_some(observed.at)),
                _ => None,
            }
        }
        _ => None,
    };
    // The last look counts: a network may have been started again.
    state.facts.iter().rev().find_map(seen).flatten()
}

/// The rule that asks for a postmortem when an attempt has failed, and when there was a whole one of
/// the last failure.
fn postmortem<'a>(release: &'a Release, state: &State<'_>) -> Option<(&'a Gate, Option<Time>)> {
    let policy = &release.policy;
    let gate = gate(
        policy,
        |check| matches!(check, Check::Sections { r#type, .. } if r#type == "postmortem"),
    )?;
    let Check::Sections { sections, .. } = &gate.check else {
        return None;
    };
    let failed = |attempt: &&Attempt| attempt.failure.is_some();
    let failed = state.attempts.values().flatten().filter(failed);
    let last = failed.map(|attempt| attempt.entered_at).max()?;
    let is_whole = |digest| {
        let text = release.store.text(digest)?;
        let there = release_policy::document::sections(text).ok()?;
        sections
            .iter()
            .all(|name| there.contains(name))
            .then_some(())
    };
    let written = |fact: &Fact<'_>| {
        let Predicate::Documents(documents) = &fact.evidence.predicate else {
            return None;
        };
        let mut documents = documents.iter().filter(|one| one.type_ == "postmortem");
        let whole = documents.find(|one| is_whole(one.digest).is_some())?;
        (fact.recorded_at >= last && has_signed(policy, &gate.signed_by, fact.evidence))
            .then_some(whole.at)
    };
    Some((gate, state.facts.iter().find_map(written)))
}
