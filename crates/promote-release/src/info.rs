//! What is known of a release, read from its record alone: what `status` prints and pages show.

use std::collections::BTreeMap;

use release_policy::log::Body;
use release_policy::manifest::Manifest;
use release_policy::state::Progress;
use release_policy::statement::{Evidence, Predicate};
use release_policy::vote::count;
use release_policy::{Decision, Digest, KeyId, Time};
use serde::Serialize;

use crate::deciding::word;
use crate::directory::{Release, roles_by_key};
use crate::effects::name_of;
use crate::error::PromoteError;
use crate::inputs;

/// A release.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Info {
    pub(crate) format: &'static str,
    pub(crate) version: u32,
    pub(crate) release: String,
    pub(crate) process: String,
    pub(crate) policy: PolicyInfo,
    /// The time of the last entry.
    pub(crate) as_of: Option<Time>,
    pub(crate) entries: u64,
    pub(crate) log: Digest,
    /// In a few words: where it stands.
    pub(crate) stands: String,
    /// `released`, `on-its-way`, `stopped` or `failed`.
    pub(crate) standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<Manifest>,
    pub(crate) stages: Vec<StageInfo>,
    /// The last answer to each question, in the order of the log.
    pub(crate) decisions: Vec<DecisionInfo>,
    pub(crate) approvals: Vec<ApprovalInfo>,
    pub(crate) waivers: Vec<WaiverInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vote: Option<VoteInfo>,
    pub(crate) facts: Vec<FactInfo>,
    pub(crate) actions: Vec<ActionInfo>,
    /// Keys by role.
    pub(crate) keys: BTreeMap<String, Vec<KeyId>>,
}

/// Which policy.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PolicyInfo {
    pub(crate) id: String,
    pub(crate) digest: Digest,
    pub(crate) options: Vec<String>,
    pub(crate) keys: Digest,
}

/// A stage and what became of the release there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StageInfo {
    pub(crate) name: String,
    pub(crate) attempts: Vec<AttemptInfo>,
}

/// An attempt.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AttemptInfo {
    pub(crate) number: usize,
    pub(crate) entered_at: Time,
    pub(crate) progress: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) passed_at: Option<Time>,
    pub(crate) closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// An answer, with the entry it is in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DecisionInfo {
    pub(crate) entry: u64,
    pub(crate) verdict: &'static str,
    pub(crate) decision: Decision,
}

/// Who agreed to what.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ApprovalInfo {
    pub(crate) item: String,
    pub(crate) verdict: String,
    pub(crate) by: String,
    pub(crate) at: Time,
    pub(crate) stage: String,
    pub(crate) attempt: u32,
    /// Roles and keys that signed.
    pub(crate) signed_by: Vec<String>,
    pub(crate) envelope: Digest,
}

/// What is accepted although a rule says no.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WaiverInfo {
    pub(crate) gate: String,
    pub(crate) hits: Vec<String>,
    pub(crate) reason: String,
    pub(crate) risk: String,
    pub(crate) expires: Time,
    /// Whether a decision has made use of it.
    pub(crate) used: bool,
    pub(crate) signed_by: Vec<String>,
    pub(crate) envelope: Digest,
}

/// How a vote stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VoteInfo {
    pub(crate) proposal: Digest,
    pub(crate) electorate: usize,
    pub(crate) votes: BTreeMap<String, String>,
    pub(crate) won: bool,
    /// Votes that do not count, with the reason.
    pub(crate) ignored: Vec<String>,
}

/// A recorded fact.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FactInfo {
    pub(crate) entry: u64,
    pub(crate) recorded_at: Time,
    pub(crate) what: String,
    pub(crate) about: String,
    pub(crate) signed_by: Vec<String>,
    pub(crate) envelope: Digest,
}

/// Something that was to be done.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ActionInfo {
    pub(crate) action: String,
    pub(crate) executor: &'static str,
    pub(crate) target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<String>,
}

/// A word for how far an attempt has come.
fn progress(progress: Progress) -> &'static str {
    match progress {
        Progress::Deployed => "deployed",
        Progress::Testing => "testing",
        Progress::Soaking => "soaking",
        Progress::Passed => "passed",
        Progress::Failed => "failed",
        Progress::Rejected => "rejected",
        Progress::Retired => "retired",
    }
}

/// Everything a page says of a release.
pub(crate) fn info(release: &Release) -> Result<Info, PromoteError> {
    let state = release.state()?;
    let policy = &release.policy;
    let roles = roles_by_key(policy);
    let signed_by = |evidence: &Evidence| -> Vec<String> {
        let of = |key: &KeyId| {
            let names = roles
                .get(key)
                .map(|names| names.join("+"))
                .unwrap_or_default();
            format!("{names} {key}")
        };
        evidence.signers.iter().map(of).collect()
    };
    let stages: Vec<StageInfo> = policy
        .stages
        .iter()
        .map(|stage| StageInfo {
            name: stage.name.clone(),
            attempts: state
                .attempts
                .get(&stage.name)
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(index, attempt)| AttemptInfo {
                    number: index + 1,
                    entered_at: attempt.entered_at,
                    progress: progress(attempt.progress),
                    passed_at: attempt.passed_at,
                    closed: attempt.closed,
                    failure: attempt
                        .failure
                        .as_ref()
                        .map(|(gate, why)| format!("{gate}: {why}")),
                })
                .collect(),
        })
        .collect();
    let decisions = decisions(release);
    let used: Vec<Digest> = decisions
        .iter()
        .flat_map(|one| one.decision.waived())
        .flat_map(|gate| gate.evidence.iter().copied())
        .collect();
    let waived: Vec<&str> = decisions
        .iter()
        .flat_map(|one| one.decision.waived())
        .map(|gate| gate.id.as_str())
        .collect();
    let mut approvals = Vec::new();
    let mut waivers = Vec::new();
    let mut facts = Vec::new();
    for fact in &state.facts {
        let evidence = fact.evidence;
        let (what, about) = described(&evidence.predicate);
        facts.push(FactInfo {
            entry: fact.seq,
            recorded_at: fact.recorded_at,
            what,
            about,
            signed_by: signed_by(evidence),
            envelope: evidence.envelope,
        });
        match &evidence.predicate {
            Predicate::Approval(approval) => approvals.push(ApprovalInfo {
                item: approval.item.clone(),
                verdict: approval.verdict.clone(),
                by: approval.by.clone(),
                at: approval.at,
                stage: approval.scope.stage.clone(),
                attempt: approval.scope.attempt,
                signed_by: signed_by(evidence),
                envelope: evidence.envelope,
            }),
            Predicate::Waiver(waiver) => waivers.push(WaiverInfo {
                gate: waiver.gate.clone(),
                hits: waiver.hits.clone(),
                reason: waiver.reason.clone(),
                risk: waiver.risk.clone(),
                expires: waiver.expires,
                used: used.contains(&evidence.envelope) || waived.contains(&waiver.gate.as_str()),
                signed_by: signed_by(evidence),
                envelope: evidence.envelope,
            }),
            _ => {}
        }
    }
    let (stands, standing) = standing(release, &stages, state.stopped.as_ref());
    let planned = release_policy::action::plan(policy, &release.log, &release.store)
        .map_err(|source| release.state_error(source))?;
    Ok(Info {
        format: "forkpack.release-info",
        version: 1,
        release: state.release.clone(),
        process: policy.process.clone(),
        policy: PolicyInfo {
            id: policy.id.clone(),
            digest: policy.digest,
            options: policy.options_used.clone(),
            keys: Digest::of(release.keys.text.as_bytes()),
        },
        as_of: release.last_time(),
        entries: release.log.head().entries,
        log: release.log.head().last,
        stands,
        standing,
        manifest: state
            .manifests
            .last()
            .map(|(_, manifest)| (*manifest).clone()),
        stages,
        decisions,
        approvals,
        waivers,
        vote: vote(release)?,
        facts,
        actions: planned
            .into_iter()
            .map(|one| ActionInfo {
                action: one.id,
                executor: name_of(one.executor),
                target: one.target,
                done: one.done,
            })
            .collect(),
        keys: policy
            .roles
            .iter()
            .map(|(name, role)| (name.clone(), role.keys.iter().cloned().collect()))
            .collect(),
    })
}

/// The last answer to each question.
fn decisions(release: &Release) -> Vec<DecisionInfo> {
    let mut last: Vec<DecisionInfo> = Vec::new();
    for entry in release.log.entries() {
        let Body::Decided { decision } = &entry.body else {
            continue;
        };
        last.retain(|one| {
            let same = &one.decision;
            (&same.stage, same.point, same.attempt)
                != (&decision.stage, decision.point, decision.attempt)
        });
        last.push(DecisionInfo {
            entry: entry.seq,
            verdict: word(decision.verdict),
            decision: decision.as_ref().clone(),
        });
    }
    last
}

fn standing(
    release: &Release,
    stages: &[StageInfo],
    stopped: Option<&(String, String)>,
) -> (String, &'static str) {
    if let Some((gate, why)) = stopped {
        return (format!("stopped by {gate}: {why}"), "stopped");
    }
    let last = stages
        .iter()
        .rev()
        .find_map(|stage| Some((stage, stage.attempts.last()?)));
    let Some((stage, attempt)) = last else {
        return ("opened".to_owned(), "on-its-way");
    };
    let is_last = release
        .policy
        .stages
        .last()
        .is_some_and(|one| one.name == stage.name);
    let times = if attempt.number > 1 {
        format!(", attempt {}", attempt.number)
    } else {
        String::new()
    };
    if attempt.closed {
        return (
            format!("{} closed{times}", stage.name),
            if is_last { "released" } else { "on-its-way" },
        );
    }
    let standing = match attempt.progress {
        "passed" if is_last => "released",
        "failed" | "rejected" | "retired" => "failed",
        _ => "on-its-way",
    };
    (
        format!("{} {}{times}", stage.name, attempt.progress),
        standing,
    )
}

fn vote(release: &Release) -> Result<Option<VoteInfo>, PromoteError> {
    let state = release.state()?;
    let (Some(proposal), Some(roster)) = inputs::proposal(release)? else {
        return Ok(None);
    };
    let Some((rules, threshold)) = release
        .policy
        .vote
        .as_ref()
        .and_then(|rules| Some((rules, rules.threshold?)))
    else {
        return Ok(None);
    };
    let votes = state
        .facts
        .iter()
        .filter_map(|fact| match &fact.evidence.predicate {
            Predicate::Vote(vote) => Some((fact.evidence.envelope, vote)),
            _ => None,
        });
    let tally = count(
        proposal,
        &roster,
        &rules.channels,
        threshold,
        votes,
        &release.store,
    );
    Ok(Some(VoteInfo {
        proposal,
        electorate: tally.electorate,
        votes: tally
            .votes
            .iter()
            .map(|(voter, vote)| (voter.clone(), format!("{:?}", vote.choice).to_lowercase()))
            .collect(),
        won: tally.won,
        ignored: tally
            .ignored
            .iter()
            .map(|one| format!("{}: {}", one.envelope, one.why))
            .collect(),
    }))
}

/// A fact in a few words, and what it is about.
pub(crate) fn described(predicate: &Predicate) -> (String, String) {
    let about = |scope: &release_policy::statement::Scope| {
        if scope.stage == "*" {
            "the code".to_owned()
        } else {
            format!("{} {}", scope.stage, scope.attempt)
        }
    };
    match predicate {
        Predicate::Manifest(manifest) => (
            format!("manifest {}", manifest.version),
            "the code".to_owned(),
        ),
        Predicate::Test(test) => (
            format!(
                "test `{}` {}",
                test.suite,
                format!("{:?}", test.outcome).to_lowercase()
            ),
            about(&test.scope),
        ),
        Predicate::Documents(documents) => {
            let names: Vec<String> = documents
                .iter()
                .map(|document| format!("{} `{}`", document.type_, document.name))
                .collect();
            let scope = documents.first().map(|document| about(&document.scope));
            (names.join(", "), scope.unwrap_or_default())
        }
        Predicate::Vote(vote) => (
            format!("vote of {}: {:?}", vote.voter, vote.choice).to_lowercase(),
            format!("proposal {}", vote.proposal),
        ),
        Predicate::Approval(approval) => (
            format!(
                "`{}` {} by {}",
                approval.item, approval.verdict, approval.by
            ),
            about(&approval.scope),
        ),
        Predicate::Waiver(waiver) => (format!("waiver of {}", waiver.gate), about(&waiver.scope)),
        Predicate::Observation(observed) => {
            let kind = serde_json::to_value(&observed.seen)
                .ok()
                .and_then(|value| Some(value.get("kind")?.as_str()?.to_owned()))
                .unwrap_or_default();
            (format!("seen: {kind}"), about(&observed.scope))
        }
        Predicate::Deployment(deployment) => {
            let event = format!("{:?}", deployment.event).to_lowercase();
            (
                format!("{event} on {}", deployment.network_id),
                about(&deployment.scope),
            )
        }
    }
}
