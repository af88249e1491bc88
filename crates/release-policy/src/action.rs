//! What is to be done after an `ALLOW`: a plan, with keys that make doing it twice harmless.

use crate::decision::Verdict;
use crate::evaluate::fill;
use crate::log::{Body, Log};
use crate::name::Digest;
use crate::policy::{Executor, Point, Policy};
use crate::state::{State, StateError};
use crate::store::Store;

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The action of the policy.
    pub id: String,
    /// The stage that was allowed.
    pub stage: String,
    /// What of it was allowed.
    pub point: Point,
    /// Who does it.
    pub executor: Executor,
    /// What it is done to.
    pub target: String,
    /// The same for the same thing: release, stage, attempt, action and target. It is recorded when
    /// the action is done, and tells a second run that it was.
    pub key: Digest,
    /// Envelope of the manifest that was decided on.
    pub manifest: Digest,
    /// What came of it, if it is done.
    pub done: Option<String>,
    /// The rule that then asks whether it is so.
    pub checked_by: Option<String>,
}

/// What has to be done because of the decisions in a log, in order, done or not.
///
/// # Errors
///
/// As [`State::read`].
pub fn plan(policy: &Policy, log: &Log, store: &Store) -> Result<Vec<Planned>, StateError> {
    let state = State::read(policy, log, store)?;
    let mut planned = Vec::new();
    for entry in log.entries() {
        let Body::Decided { decision } = &entry.body else {
            continue;
        };
        if decision.verdict != Verdict::Allow {
            continue;
        }
        let manifest = state
            .manifests
            .iter()
            .find(|(envelope, _)| *envelope == decision.manifest);
        let Some((_, manifest)) = manifest else {
            continue;
        };
        let version = match manifest.tag.as_deref() {
            Some(tag) => policy.grammar.parse_tag(tag),
            None => policy.grammar.parse(&manifest.version),
        };
        for action in &policy.actions {
            if action.stage != decision.stage || action.on != decision.point {
                continue;
            }
            // A name that cannot be filled in is shown as it stands; the executor refuses it.
            let filled = version
                .as_ref()
                .ok()
                .and_then(|version| fill(&policy.names, version, &action.target));
            let target = filled.unwrap_or_else(|| action.target.clone());
            let attempt = decision.attempt.to_string();
            let parts = [
                &decision.release,
                &decision.stage,
                &attempt,
                &action.id,
                &target,
            ];
            // Lengths keep `ab`+`c` and `a`+`bc` apart.
            let text: String = parts
                .iter()
                .map(|part| format!("{}:{part}\n", part.len()))
                .collect();
            let key = Digest::of(text.as_bytes());
            planned.push(Planned {
                id: action.id.clone(),
                stage: decision.stage.clone(),
                point: decision.point,
                executor: action.executor,
                target,
                key,
                manifest: decision.manifest,
                done: state.acted.get(&key).cloned(),
                checked_by: action.checked_by.clone(),
            });
        }
    }
    Ok(planned)
}
