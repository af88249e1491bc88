//! From policy, log, facts and time to a decision: a pure function.

mod before;
mod candidate;
mod naming;
mod network;
mod outside;
mod papers;
mod people;
mod release;
mod sameness;
mod waive;

pub(crate) use outside::fill;

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Decision, GateResult, Outcome, Question, verdict_of};
use crate::log::Log;
use crate::manifest::{Artifact, Manifest, Measured};
use crate::name::{Digest, Time};
use crate::policy::check::Check;
use crate::policy::{Effect, Gate, Identity, Point, Policy, When};
use crate::state::{Progress, State, StateError};
use crate::statement::Observation;
use crate::statement::observation::NetworkEnd;
use crate::store::Store;
use crate::view::View;

/// Version of the rules in this crate. A decision is replayed by the engine that made it.
pub const ENGINE: &str = concat!("release-policy/", env!("CARGO_PKG_VERSION"));

/// Why a condition does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) expected: String,
    pub(crate) found: String,
    pub(crate) next: String,
    pub(crate) until: Option<Time>,
    pub(crate) hits: Vec<String>,
    /// Instead of the gate's own effect.
    pub(crate) effect: Option<Effect>,
}

/// A reason, in a box: most conditions hold, and what they return should be small.
pub(crate) type Unmet = Box<Reason>;

impl Reason {
    pub(crate) fn until(mut self: Box<Self>, time: Time) -> Unmet {
        self.until = Some(time);
        self
    }

    pub(crate) fn hits(mut self: Box<Self>, hits: Vec<String>) -> Unmet {
        self.hits = hits;
        self
    }

    pub(crate) fn effect(mut self: Box<Self>, effect: Effect) -> Unmet {
        self.effect = Some(effect);
        self
    }
}

/// Whether a condition holds; with a remark if there is something to say.
pub(crate) type Checked = Result<String, Unmet>;

pub(crate) fn met() -> Checked {
    Ok(String::new())
}

pub(crate) fn unmet(
    expected: impl Into<String>,
    found: impl Into<String>,
    next: impl Into<String>,
) -> Unmet {
    Box::new(Reason {
        expected: expected.into(),
        found: found.into(),
        next: next.into(),
        ..Reason::default()
    })
}

/// `met` when nothing is in the list; otherwise the list is what was found.
pub(crate) fn none_of(wrong: Vec<String>, expected: &str, next: &str) -> Checked {
    if wrong.is_empty() {
        met()
    } else {
        Err(unmet(expected, wrong.join(", "), next))
    }
}

/// Decides a question.
///
/// Nothing but the arguments is looked at, so the same arguments give the same decision for ever.
///
/// # Errors
///
/// When the question cannot be asked: the log is not of this policy, an envelope is missing, there is
/// no manifest, or the time is before the log's last entry.
pub fn decide(
    policy: &Policy,
    log: &Log,
    store: &Store,
    question: &Question,
) -> Result<Decision, StateError> {
    let state = State::read(policy, log, store)?;
    if let Some(last) = log.entries().last().map(|entry| entry.at)
        && question.now < last
    {
        return Err(StateError::Clock {
            now: question.now,
            last,
        });
    }
    let stage = policy.stage(&question.stage);
    let stage = stage.ok_or_else(|| StateError::NoStage(question.stage.clone()))?;
    let (envelope, manifest) = state.manifest()?;
    let attempt = attempt_of(&state, &stage.name, question.point);
    let view = View::new(policy, store, &state, manifest, stage, attempt, question);

    let mut gates: Vec<GateResult> = engine_gates(&view);
    for gate in policy.gates_at(&stage.name, question.point, &manifest.kind) {
        gates.push(ask(&view, gate));
    }
    stays_failed(&view, &mut gates);
    waive::apply(&view, &mut gates);
    let (verdict, until) = verdict_of(&gates);
    let moved = match view.train() {
        Ok((_, on_it)) => manifest
            .feature
            .iter()
            .filter(|name| !on_it.contains_key(*name))
            .cloned()
            .collect(),
        Err(_) => Vec::new(),
    };
    Ok(Decision {
        engine: ENGINE.to_owned(),
        policy: policy.digest,
        options: policy.options_used.clone(),
        release: state.release.clone(),
        stage: stage.name.clone(),
        attempt,
        point: question.point,
        now: question.now,
        entries: log.head().entries,
        log: log.head().last,
        manifest: envelope,
        measured: question.measured.clone(),
        verdict,
        until,
        gates,
        moved,
        not_counted: view.not_counted(),
    })
}

/// The attempt a question is about: to enter is about the next one.
fn attempt_of(state: &State<'_>, stage: &str, point: Point) -> u32 {
    let last = state.last(stage).map_or(0, |(number, _)| number);
    if point == Point::Enter {
        last + 1
    } else {
        last
    }
}

/// Asks one gate.
fn ask(view: &View<'_>, gate: &Gate) -> GateResult {
    let _ = view.take_used();
    let effect = gate
        .effect_for
        .get(&view.manifest.kind)
        .copied()
        .unwrap_or(gate.effect);
    let mut result = GateResult {
        id: gate.id.clone(),
        outcome: Outcome::Met,
        effect,
        expected: String::new(),
        found: String::new(),
        next: String::new(),
        until: None,
        hits: Vec::new(),
        evidence: Vec::new(),
    };
    let answer = match applies(view, gate) {
        Ok(true) => check(view, gate),
        Ok(false) => {
            result.outcome = Outcome::NotAsked;
            return result;
        }
        Err(unmet) => Err(unmet),
    };
    match answer {
        Ok(remark) => result.found = remark,
        Err(unmet) => {
            result.outcome = Outcome::Unmet;
            result.effect = unmet.effect.unwrap_or(effect);
            result.expected = unmet.expected;
            result.found = unmet.found;
            result.next = unmet.next;
            result.until = unmet.until;
            result.hits = unmet.hits;
        }
    }
    result.evidence = view.take_used();
    result
}

/// Whether a gate's `when` holds. Not to know is an answer of its own, never a no.
fn applies(view: &View<'_>, gate: &Gate) -> Result<bool, Unmet> {
    match gate.when {
        None => Ok(true),
        Some(when @ (When::BaseBeforeOne | When::BaseFromOne)) => {
            let base = view.manifest.base.as_deref().unwrap_or("");
            let base = view.policy.grammar.parse(base).map_err(|source| {
                unmet(
                    "a base version",
                    source.to_string(),
                    "name the base in the manifest",
                )
            })?;
            Ok(base.is_before_one() == (when == When::BaseBeforeOne))
        }
        Some(When::PreviousNetworkEnded) => {
            let ended = view.last_seen(&view.policy.facts_by, |seen| match seen {
                Observation::PreviousNetwork { ended } => Some(*ended),
                _ => None,
            });
            match ended {
                Some(NetworkEnd::None) => Ok(false),
                Some(NetworkEnd::Naturally | NetworkEnd::Failed) => Ok(true),
                None => Err(unmet(
                    "a record of how the previous network ended",
                    "none",
                    "record an observation `previous-network`",
                )),
            }
        }
    }
}

fn check(view: &View<'_>, gate: &Gate) -> Checked {
    use crate::policy::check::Kind;
    match gate.check.kind() {
        Kind::Scope | Kind::Artifact => release::check(view, gate),
        Kind::Version | Kind::Tag => naming::check(view, gate),
        Kind::ChangeClass
        | Kind::Coverage
        | Kind::Compat
        | Kind::Order
        | Kind::Containment
        | Kind::ConfigMatch => sameness::check(view, gate),
        Kind::Document => papers::check(view, gate),
        Kind::Approval | Kind::Vote | Kind::Audit => people::check(view, gate),
        Kind::Effect | Kind::Retire => outside::check(view, gate),
        Kind::Test | Kind::Soak | Kind::Observe | Kind::LeadTime | Kind::Cadence | Kind::Report => {
            network::check(view, gate)
        }
    }
}

/// What the engine insists on in every process: order, attempts, digests. There is no way to leave
/// these out of a policy.
fn engine_gates(view: &View<'_>) -> Vec<GateResult> {
    let mut results = Vec::new();
    let mut ask = |id: &str, answer: Checked| {
        let (outcome, unmet) = match answer {
            Ok(_) => (Outcome::Met, Unmet::default()),
            Err(unmet) => (Outcome::Unmet, unmet),
        };
        results.push(GateResult {
            id: id.to_owned(),
            outcome,
            effect: unmet.effect.unwrap_or(Effect::Deny),
            expected: unmet.expected,
            found: unmet.found,
            next: unmet.next,
            until: None,
            hits: unmet.hits,
            evidence: Vec::new(),
        });
    };
    ask("stopped", not_stopped(view));
    ask("kind", kind(view));
    ask("attempt", attempt(view));
    if view.question.point == Point::Enter {
        // A gate of kind `order` says the same, with a rule of the process behind it.
        let ruled = view
            .policy
            .gates_at(&view.stage.name, Point::Enter, &view.manifest.kind)
            .any(|gate| gate.check == Check::NoSkip {});
        if !ruled {
            ask("stage-order", no_skip(view));
        }
        if !view.stage.requires_cut.is_empty() {
            ask("release-cut", release_cut(view));
        }
    }
    ask("same-release", same_release(view));
    ask("identity", identity(view));
    results
}

fn not_stopped(view: &View<'_>) -> Checked {
    match &view.state.stopped {
        None => met(),
        Some((gate, why)) => Err(unmet(
            "a release that was not stopped",
            format!("{gate}: {why}"),
            "the release is over; open another one",
        )),
    }
}

fn kind(view: &View<'_>) -> Checked {
    let kind = &view.manifest.kind;
    if !view.policy.kinds.contains(kind) {
        let expected = format!("a release of kind {}", view.policy.kinds.join(" or "));
        return Err(unmet(
            expected,
            format!("kind `{kind}`"),
            "correct the manifest",
        ));
    }
    if view.stage.kinds.is_empty() || view.stage.kinds.contains(kind) {
        return met();
    }
    let expected = format!(
        "for {}, a release of kind {}",
        view.stage.name,
        view.stage.kinds.join(" or ")
    );
    Err(unmet(
        expected,
        format!("kind `{kind}`"),
        "this release never comes to this stage",
    ))
}

fn attempt(view: &View<'_>) -> Checked {
    let stage = &view.stage.name;
    let last = view.state.last(stage);
    let failed = |found: &str| {
        let failure = last.and_then(|(_, attempt)| attempt.failure.as_ref());
        let why = failure.map_or_else(String::new, |(gate, why)| format!(" ({gate}: {why})"));
        format!("{found}{why}")
    };
    match (view.question.point, last) {
        (Point::Enter, None) => met(),
        (Point::Enter, Some((number, attempt))) if attempt.is_open() => Err(unmet(
            format!("{stage} to be free"),
            format!("attempt {number} is going on"),
            "go on with it: `promote` does what is left of entering, then ask for the exit; only a recorded failure makes room for another attempt, and this one is lost then",
        )),
        (Point::Enter, Some(_)) if view.stage.iterates => met(),
        (Point::Enter, Some((number, _))) => Err(unmet(
            format!("one attempt at {stage} for each release"),
            failed(&format!("attempt {number} is over")),
            "make a new release",
        )),
        (Point::Exit | Point::Close, None) => Err(unmet(
            format!("{stage} to be entered"),
            "it was not",
            format!("enter {stage} first"),
        )),
        // A gate that ended the attempt answers for itself; only a failure somebody recorded by hand
        // has no gate.
        (Point::Exit, Some((number, attempt))) => match attempt.progress {
            Progress::Deployed | Progress::Testing | Progress::Soaking => met(),
            Progress::Passed => Err(unmet(
                "an attempt that is going on",
                format!("attempt {number} passed already"),
                "",
            )),
            Progress::Failed | Progress::Rejected | Progress::Retired => {
                let by_gate = attempt.failure.as_ref().is_some_and(|(gate, _)| {
                    view.policy
                        .gate(gate)
                        .is_some_and(|gate| gate.on == Point::Exit)
                });
                if by_gate {
                    return met();
                }
                Err(unmet(
                    "an attempt that is going on",
                    failed(&format!("attempt {number} failed")),
                    format!("enter {stage} again"),
                ))
            }
        },
        (Point::Close, Some((number, attempt))) if !attempt.is_passed() => Err(unmet(
            format!("{stage} to be passed"),
            failed(&format!("attempt {number} is not")),
            format!("exit {stage} first"),
        )),
        (Point::Close, Some((_, attempt))) if attempt.closed => {
            Err(unmet(format!("{stage} to be open"), "it is closed", ""))
        }
        (Point::Close, Some(_)) => met(),
    }
}

/// An attempt that a gate has ended is not asked for again by `attempt`, because that gate says so with
/// more words. Should it have nothing to say any more, the attempt is over all the same.
fn stays_failed(view: &View<'_>, gates: &mut [GateResult]) {
    let last = view.state.last(&view.stage.name);
    let (Point::Exit, Some((number, attempt))) = (view.question.point, last) else {
        return;
    };
    let Some((ended_by, why)) = attempt.failure.as_ref() else {
        return;
    };
    let silent = gates
        .iter()
        .find(|gate| gate.id == *ended_by)
        .is_none_or(|gate| matches!(gate.outcome, Outcome::Met | Outcome::NotAsked));
    if let Some(result) = gates.iter_mut().find(|gate| gate.id == "attempt")
        && silent
        && result.outcome == Outcome::Met
    {
        result.outcome = Outcome::Unmet;
        result.expected = "an attempt that is going on".to_owned();
        result.found = format!("attempt {number} failed ({ended_by}: {why})");
        result.next = format!("enter {} again", view.stage.name);
    }
}

/// Whether every stage that is required was passed.
fn no_skip(view: &View<'_>) -> Checked {
    let missing: Vec<String> = view
        .stage
        .requires_of(&view.manifest.kind)
        .iter()
        .filter(|stage| view.state.passed(stage).is_none())
        .cloned()
        .collect();
    if missing.is_empty() {
        return met();
    }
    let expected = format!(
        "{} passed before {}",
        view.stage.requires_of(&view.manifest.kind).join(", "),
        view.stage.name
    );
    let next = format!("pass {} first", missing.join(", "));
    Err(unmet(expected, format!("{} skipped", missing.join(", ")), next).hits(missing))
}

fn release_cut(view: &View<'_>) -> Checked {
    let missing: Vec<String> = view
        .stage
        .requires_cut
        .iter()
        .filter(|stage| view.state.last(stage).is_none())
        .cloned()
        .collect();
    none_of(
        missing,
        "the release to be cut for these stages",
        "cut it and enter the stage",
    )
}

/// Whether what is released is still what was asked about before: at this stage when it was entered,
/// and at the stages it has passed. A manifest may be replaced; what the gates of earlier stages were
/// asked about may not, or they would have been asked about something else.
fn same_release(view: &View<'_>) -> Checked {
    let stage = &view.stage.name;
    let mut wrong = Vec::new();
    let mut compare = |name: &str, index: usize, whole: bool| {
        if let Some((_, before)) = view.state.manifests.get(index)
            && let Some(what) = changed(view.policy.identity, before, view.manifest, whole)
        {
            wrong.push(format!("{what} since {name}"));
        }
    };
    if view.question.point == Point::Enter {
        // Where a rule of the process says what has to stay the same, it alone says so. And a further
        // attempt is there because something had to change.
        let ruled = view
            .policy
            .gates_at(stage, Point::Enter, &view.manifest.kind)
            .any(|gate| {
                matches!(
                    gate.check,
                    Check::CandidateTag { .. }
                        | Check::FinalTag { .. }
                        | Check::SubsetOf { .. }
                        | Check::FeaturesPassed { .. }
                )
            });
        for before in view
            .stage
            .requires_of(&view.manifest.kind)
            .iter()
            .filter(|_| !ruled && view.attempt == 1)
        {
            if let Some((_, attempt)) = view.state.passed(before) {
                compare(before, attempt.manifest, false);
            }
        }
    } else if let Some((_, attempt)) = view.state.last(stage) {
        compare(stage, attempt.manifest, true);
    }
    none_of(
        wrong,
        "the release that was asked about before",
        "begin again with what changed",
    )
}

/// What of a release has changed; `whole` is asked within a stage, where nothing may.
fn changed(
    identity: Identity,
    before: &Manifest,
    now: &Manifest,
    whole: bool,
) -> Option<&'static str> {
    let files = |manifest: &Manifest| -> BTreeMap<String, Digest> {
        let digest = |artifact: &Artifact| match (identity, artifact.payload) {
            (Identity::Payload, Some(payload)) => payload,
            _ => artifact.digest,
        };
        manifest
            .artifact
            .iter()
            .map(|one| (one.name.clone(), digest(one)))
            .collect()
    };
    let files_decide = matches!(identity, Identity::Bit | Identity::Payload);
    if files_decide && files(before) != files(now) {
        return Some("other artifacts");
    }
    if (whole || files_decide || identity == Identity::Commit) && before.commit != now.commit {
        return Some("another commit");
    }
    let features =
        |manifest: &Manifest| -> BTreeSet<String> { manifest.feature.iter().cloned().collect() };
    if identity == Identity::FeatureSet && features(before) != features(now) {
        return Some("other features");
    }
    (before.kind != now.kind).then_some("another kind")
}

/// Whether the artifacts are, now, what the manifest says.
fn identity(view: &View<'_>) -> Checked {
    let mut wrong = Vec::new();
    for artifact in &view.manifest.artifact {
        match view.question.measured.get(&artifact.name) {
            None => wrong.push(format!("`{}` was not read", artifact.name)),
            Some(measured) => {
                let (expected, found) = identities(view.policy.identity, artifact, measured);
                if expected != found {
                    let found =
                        found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
                    wrong.push(format!("`{}` is {found}", artifact.name));
                }
            }
        }
    }
    none_of(
        wrong,
        "the artifacts of the manifest, digest by digest",
        "promote what was signed, or sign another manifest",
    )
}

fn identities(
    identity: Identity,
    artifact: &Artifact,
    measured: &Measured,
) -> (Option<Digest>, Option<Digest>) {
    match (identity, artifact.payload) {
        (Identity::Payload, Some(payload)) => (Some(payload), measured.payload),
        _ => (Some(artifact.digest), Some(measured.digest)),
    }
}
