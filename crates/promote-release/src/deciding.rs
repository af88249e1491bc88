//! `check` and `promote`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fork_sign::SecretKey;
use fork_worker::{Context, WorkerResult};
use release_policy::action::plan;
use release_policy::log::Body;
use release_policy::state::State;
use release_policy::{Decision, Outcome, Point, Question, Time, Verdict, decide};
use serde::Serialize;

use crate::args::{CheckArgs, PromoteArgs, QuestionArgs};
use crate::directory::Release;
use crate::effects::{Effects, Performed, name_of};
use crate::error::PromoteError;
use crate::{clock, measure};

/// What `promote` has done.
#[derive(Serialize)]
struct Promoted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a Decision>,
    /// Whether the release was there before this command.
    already: bool,
    effects: &'a [Performed],
    entries: u64,
}

/// Where the artifacts of a question are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Artifacts {
    pub(crate) named: measure::Places,
    pub(crate) directories: Vec<PathBuf>,
}

impl From<&QuestionArgs> for Artifacts {
    fn from(args: &QuestionArgs) -> Self {
        Self {
            named: args.artifact.iter().cloned().collect(),
            directories: args.artifacts.clone(),
        }
    }
}

impl Artifacts {
    /// Where each artifact of the manifest that holds now is.
    pub(crate) fn places(&self, release: &Release) -> Result<measure::Places, PromoteError> {
        let state = release.state()?;
        let (_, manifest) = state
            .manifest()
            .map_err(|source| release.state_error(source))?;
        measure::find(manifest, &self.named, &self.directories)
    }

    /// Fails unless every artifact that is there is the one of the manifest.
    fn unchanged(&self, release: &Release) -> Result<(), PromoteError> {
        let places = self.places(release)?;
        let state = release.state()?;
        let (_, manifest) = state
            .manifest()
            .map_err(|source| release.state_error(source))?;
        crate::effects::unchanged(release, manifest, &places)
    }
}

/// Reads the artifacts and decides.
pub(crate) fn answer(
    release: &Release,
    artifacts: &Artifacts,
    stage: &str,
    point: Point,
    now: Time,
) -> Result<Decision, PromoteError> {
    if release.policy.stage(stage).is_none() {
        let unknown = release_policy::state::StateError::NoStage(stage.to_owned());
        return Err(release.state_error(unknown));
    }
    let places = artifacts.places(release)?;
    let state = release.state()?;
    let (_, manifest) = state
        .manifest()
        .map_err(|source| release.state_error(source))?;
    let question = Question {
        stage: stage.to_owned(),
        point,
        now,
        measured: measure::measure(manifest, &places)?,
    };
    decide(&release.policy, &release.log, &release.store, &question)
        .map_err(|source| release.state_error(source))
}

/// What `check` says: the answer, and whether it was given before.
#[derive(Serialize)]
struct CheckedOut<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    /// Whether this was allowed before, and is in the record. `promote` then does what is left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    already: bool,
    /// What was allowed with it and is not done yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_do: Vec<String>,
}

/// The answer that allowed what is asked for, when the release, as it is now, was allowed to do it.
fn allowed<'a>(
    release: &'a Release,
    stage: &str,
    point: Point,
) -> Result<Option<&'a Decision>, PromoteError> {
    if !is_there(&release.state()?, stage, point) {
        return Ok(None);
    }
    let mut entries = release.log.entries().iter().rev();
    Ok(entries.find_map(|entry| match &entry.body {
        Body::Decided { decision }
            if decision.verdict == Verdict::Allow
                && decision.stage == stage
                && decision.point == point =>
        {
            Some(decision.as_ref())
        }
        _ => None,
    }))
}

impl CheckArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let release = self.question.release.read()?;
        let now = clock::now(self.time.now);
        let artifacts = Artifacts::from(&self.question);
        let point = self.question.on.into();
        let before = allowed(&release, &self.question.to, point)?;
        if let Some(decision) = before.filter(|_| !self.again) {
            // What was allowed is what was decided on, and not whatever lies there now.
            artifacts.unchanged(&release)?;
            let planned = plan(&release.policy, &release.log, &release.store)
                .map_err(|source| release.state_error(source))?;
            let to_do: Vec<String> = planned
                .iter()
                .filter(|one| one.done.is_none())
                .filter(|one| one.stage == decision.stage && one.point == point)
                .map(|one| format!("{} {}", name_of(one.executor), one.target))
                .collect();
            let mut human = format!(
                "ALLOW  {} {} of {}, attempt {}: allowed already, at {}\n",
                point.name(),
                decision.stage,
                decision.release,
                decision.attempt,
                decision.now
            );
            for one in &to_do {
                human.push_str(&format!("  to do {one}: `promote` again does it\n"));
            }
            let already = true;
            let out = CheckedOut {
                decision,
                already,
                to_do,
            };
            context.emit(&human, &out)?;
            return Ok(());
        }
        let decision = answer(&release, &artifacts, &self.question.to, point, now)?;
        let out = CheckedOut {
            decision: &decision,
            already: false,
            to_do: Vec::new(),
        };
        context.emit(&words(&decision), &out)?;
        Ok(verdict(&decision)?)
    }
}

impl PromoteArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let mut release = Release::read_to_write(&self.question.release.release)?;
        self.question.release.expect(&release)?;
        let now = clock::now(self.time.now);
        let signers = self.signing.signers()?;
        let key = self.signing.log_key(&release, &signers)?;
        let effects = Effects::read(self.effects.as_deref())?;
        let asked = Asked {
            artifacts: Artifacts::from(&self.question),
            stage: &self.question.to,
            point: self.question.on.into(),
            again: self.again,
            now,
        };
        let done = promote(&mut release, &asked, &effects, &key)?;
        let mut human = match &done.decision {
            Some(decision) => words(decision),
            None => format!(
                "ALLOW  {} {}: done already\n",
                asked.point.name(),
                asked.stage
            ),
        };
        for one in &done.effects {
            human.push_str(&format!(
                "{} {}: {}\n",
                one.executor, one.target, one.result
            ));
        }
        let promoted = Promoted {
            decision: done.decision.as_ref(),
            already: done.decision.is_none(),
            effects: &done.effects,
            entries: release.log.head().entries,
        };
        context.emit(&human, &promoted)?;
        match &done.decision {
            Some(decision) => Ok(verdict(decision)?),
            None => Ok(()),
        }
    }
}

/// What is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) artifacts: Artifacts,
    pub(crate) stage: &'a str,
    pub(crate) point: Point,
    pub(crate) again: bool,
    pub(crate) now: Time,
}

/// What came of it.
pub(crate) struct Done {
    /// `None` when the release was there already.
    pub(crate) decision: Option<Decision>,
    pub(crate) effects: Vec<Performed>,
}

/// Decides, records the decision, and does what is to be done; first of all what an earlier command
/// left undone.
pub(crate) fn promote(
    release: &mut Release,
    asked: &Asked<'_>,
    effects: &Effects,
    key: &SecretKey,
) -> Result<Done, PromoteError> {
    // Before anything is done that could not be recorded then.
    crate::directory::require_log_key(&release.keys, key)?;
    crate::directory::require_not_expired(&release.keys, key, asked.now)?;
    let mut performed = effects.perform(release, &asked.artifacts, asked.now, key)?;
    if !asked.again && is_there(&release.state()?, asked.stage, asked.point) {
        performed.extend(effects.repair(release, asked, key)?);
        return Ok(Done {
            decision: None,
            effects: performed,
        });
    }
    let decision = answer(
        release,
        &asked.artifacts,
        asked.stage,
        asked.point,
        asked.now,
    )?;
    if decision.verdict == Verdict::Allow {
        // Before anything is recorded: a decision that nobody can carry out helps nobody.
        effects.require(&release.policy, asked.stage, asked.point)?;
    }
    if decision.verdict == Verdict::Allow || !says_the_same(release, &decision) {
        let body = Body::Decided {
            decision: Box::new(decision.clone()),
        };
        release.append(asked.now, body, key)?;
    }
    if decision.verdict == Verdict::Allow {
        performed.extend(effects.perform(release, &asked.artifacts, asked.now, key)?);
    }
    Ok(Done {
        decision: Some(decision),
        effects: performed,
    })
}

/// Whether the release, as it is now, was allowed to do this before.
fn is_there(state: &State<'_>, stage: &str, point: Point) -> bool {
    let Some((_, attempt)) = state.last(stage) else {
        return false;
    };
    let same = attempt.manifest + 1 == state.manifests.len();
    same && match point {
        Point::Enter => attempt.is_open() || attempt.is_passed(),
        Point::Exit => attempt.is_passed(),
        Point::Close => attempt.closed,
    }
}

/// Whether the last entry refused the same for the same reasons. A build that polls for a week would
/// otherwise fill the record.
fn says_the_same(release: &Release, decision: &Decision) -> bool {
    let Some(Body::Decided { decision: last }) =
        release.log.entries().last().map(|entry| &entry.body)
    else {
        return false;
    };
    last.stage == decision.stage
        && last.point == decision.point
        && last.verdict == decision.verdict
        && last
            .unmet()
            .map(|gate| &gate.id)
            .eq(decision.unmet().map(|gate| &gate.id))
}

/// The exit code of an answer, as an error that says why.
pub(crate) fn verdict(decision: &Decision) -> Result<(), PromoteError> {
    let gates = |blocking: bool| {
        let ids: Vec<&str> = decision
            .unmet()
            .filter(|gate| (gate.effect == release_policy::policy::Effect::Deny) == blocking)
            .map(|gate| gate.id.as_str())
            .collect();
        ids.join(", ")
    };
    let (verb, stage) = (decision.point.name(), decision.stage.clone());
    match decision.verdict {
        Verdict::Allow => Ok(()),
        Verdict::Deny => Err(PromoteError::Denied {
            verb,
            stage,
            gates: gates(true),
        }),
        Verdict::Pend => Err(PromoteError::Pending {
            verb,
            stage,
            gates: gates(false),
            until: decision
                .until
                .map_or_else(String::new, |until| format!(" until {until}")),
        }),
    }
}

/// A word for an answer, as it is written everywhere.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "ALLOW",
        Verdict::Pend => "PEND",
        Verdict::Deny => "DENY",
    }
}

/// What a gate that is not met does, in a word.
pub(crate) fn effect_word(effect: release_policy::policy::Effect) -> &'static str {
    use release_policy::policy::Effect;
    match effect {
        Effect::Record => "record",
        Effect::Warn => "warn",
        Effect::Pend => "PEND",
        Effect::Deny => "DENY",
    }
}

/// An answer for people.
pub(crate) fn words(decision: &Decision) -> String {
    let mut text = format!(
        "{}  {} {} of {}, attempt {}, at {}\n",
        word(decision.verdict),
        decision.point.name(),
        decision.stage,
        decision.release,
        decision.attempt,
        decision.now
    );
    for gate in decision.unmet() {
        text.push_str(&format!(
            "  {:<4} {:<6} expected {}\n",
            gate.id,
            effect_word(gate.effect),
            gate.expected
        ));
        text.push_str(&format!("              found {}\n", gate.found));
        if !gate.next.is_empty() {
            text.push_str(&format!("              next: {}\n", gate.next));
        }
        if let Some(until) = gate.until {
            text.push_str(&format!("              ask again at {until}\n"));
        }
    }
    for gate in decision.waived() {
        text.push_str(&format!("  {:<4} waived {}\n", gate.id, gate.found));
    }
    let met: Vec<&str> = decision
        .gates
        .iter()
        .filter(|gate| gate.outcome == Outcome::Met)
        .map(|gate| gate.id.as_str())
        .collect();
    text.push_str(&format!("  met  {}\n", met.join(" ")));
    if !decision.moved.is_empty() {
        text.push_str(&format!(
            "  moved to the next train: {}\n",
            decision.moved.join(", ")
        ));
    }
    // Facts of other stages are no news, but that there are some is.
    let (elsewhere, refused): (Vec<_>, Vec<_>) = decision
        .not_counted
        .iter()
        .partition(|one| one.why.starts_with("it is of "));
    for one in refused {
        text.push_str(&format!("  not counted: {} ({})\n", one.evidence, one.why));
    }
    let mut scopes: BTreeMap<&str, usize> = BTreeMap::new();
    for one in elsewhere {
        *scopes.entry(one.why.as_str()).or_default() += 1;
    }
    for (why, count) in scopes {
        let of = why.trim_start_matches("it is of ");
        text.push_str(&format!("  not counted here: {count} of {of}\n"));
    }
    text
}
