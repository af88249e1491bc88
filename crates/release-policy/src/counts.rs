//! Facts that no rule of a policy will ever look at: most often a slip of whoever recorded them.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::Policy;
use crate::policy::check::{Check, Kind};
use crate::state::{has_signed, scope_of};
use crate::statement::{Evidence, Observation, Predicate};

/// Why a fact can count nowhere, and what would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Never {
    /// What is wrong with it.
    pub why: String,
    /// What to say instead.
    pub instead: String,
}

/// Says whether a fact is one that no rule can count: about no stage, of a thing that the policy does
/// not know, or by nobody whose word is asked.
///
/// Whether a fact that may count does so is another question, of the stage, the attempt and the
/// artifacts at the time of each decision.
#[must_use]
pub fn never_counts(policy: &Policy, evidence: &Evidence) -> Option<Never> {
    let predicate = &evidence.predicate;
    about_no_stage(policy, predicate)
        .or_else(|| unknown(policy, predicate))
        .or_else(|| by_nobody(policy, evidence))
}

fn never(why: impl Into<String>, instead: impl Into<String>) -> Option<Never> {
    Some(Never {
        why: why.into(),
        instead: instead.into(),
    })
}

fn about_no_stage(policy: &Policy, predicate: &Predicate) -> Option<Never> {
    let scope = scope_of(predicate)?;
    let stages: Vec<&str> = policy
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    let stages = stages.join(", ");
    if scope.stage == "*" {
        let what = name_of(predicate);
        return (!may_be_everywhere(predicate))
            .then(|| {
                never(
                    format!("{what} is of one stage, not of all"),
                    format!("name the stage: {stages}"),
                )
            })
            .flatten();
    }
    if policy.stage(&scope.stage).is_none() {
        return never(
            format!("there is no stage `{}`", scope.stage),
            format!("name a stage: {stages}"),
        );
    }
    if scope.attempt == 0 {
        return never("attempts are counted from 1", "name the attempt");
    }
    None
}

/// What kind of fact, in words.
fn name_of(predicate: &Predicate) -> String {
    match predicate {
        Predicate::Manifest(_) => "a manifest".to_owned(),
        Predicate::Test(_) => "a test result".to_owned(),
        Predicate::Documents(_) => "a document".to_owned(),
        Predicate::Vote(_) => "a vote".to_owned(),
        Predicate::Approval(_) => "an approval".to_owned(),
        Predicate::Waiver(_) => "a waiver".to_owned(),
        Predicate::Deployment(_) => "a deployment".to_owned(),
        Predicate::Observation(observed) => {
            format!("an observation `{}`", observed.seen.kind())
        }
    }
}

fn unknown(policy: &Policy, predicate: &Predicate) -> Option<Never> {
    match predicate {
        Predicate::Approval(approval) => {
            if approval.by.trim().is_empty() {
                return never("an approval by nobody", "say by name who decided");
            }
            let known = approvals(policy);
            if known.contains_key(approval.item.as_str()) {
                return None;
            }
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            never(
                format!("no rule asks for the approval `{}`", approval.item),
                format!("the policy `{}` knows: {}", policy.id, listed(&names)),
            )
        }
        Predicate::Waiver(waiver) if !policy.waiver.gates.contains(&waiver.gate) => {
            let names: Vec<&str> = policy.waiver.gates.iter().map(String::as_str).collect();
            never(
                format!("the rule `{}` cannot be waived", waiver.gate),
                format!(
                    "the policy `{}` lets these be waived: {}",
                    policy.id,
                    listed(&names)
                ),
            )
        }
        Predicate::Test(test) => {
            let mut suites = BTreeSet::new();
            for gate in &policy.gates {
                match &gate.check {
                    Check::Suite { suite, .. } => {
                        suites.insert(suite.as_str());
                    }
                    // Any suite counts for these.
                    Check::PerFeature {} | Check::StageEnded { .. } => return None,
                    _ => {}
                }
            }
            // A policy that asks for no test takes any as a remark.
            if suites.is_empty() || suites.contains(test.suite.as_str()) {
                return None;
            }
            let names: Vec<&str> = suites.into_iter().collect();
            never(
                format!("no rule asks for the suite `{}`", test.suite),
                format!("the policy `{}` knows: {}", policy.id, listed(&names)),
            )
        }
        Predicate::Deployment(deployment) if deployment.network_id.trim().is_empty() => {
            never("a deployment of no network", "name the network")
        }
        Predicate::Observation(observed) => {
            let empty = |what: &str, text: &str| {
                let why = format!("{} without {what}", name_of(predicate));
                text.trim()
                    .is_empty()
                    .then(|| never(why, format!("say {what}")))
                    .flatten()
            };
            match &observed.seen {
                Observation::Failure { cause } => empty("a cause", cause),
                Observation::Applied { operator } => empty("an operator", operator),
                Observation::State { name, .. } | Observation::Moment { name, .. } => {
                    empty("a name", name)
                }
                Observation::Incident { id, .. } => empty("a name", id),
                _ => None,
            }
        }
        _ => None,
    }
}

fn by_nobody(policy: &Policy, evidence: &Evidence) -> Option<Never> {
    let asked: BTreeSet<&str> = match &evidence.predicate {
        // Signatures for these are collected, be it in one statement or in several.
        Predicate::Approval(approval) => approvals(policy)
            .remove(approval.item.as_str())
            .unwrap_or_default(),
        Predicate::Manifest(_) => BTreeSet::from([policy.manifest_by.as_str()]),
        Predicate::Waiver(_) => return None,
        Predicate::Test(_)
        | Predicate::Documents(_)
        | Predicate::Vote(_)
        | Predicate::Observation(_)
        | Predicate::Deployment(_) => {
            let seen = |kind| !matches!(kind, Kind::Approval);
            let gates = policy.gates.iter().filter(|gate| seen(gate.check.kind()));
            let waves = policy
                .gates
                .iter()
                .filter(|gate| gate.check == Check::Waves {});
            let roles = gates.chain(waves).map(|gate| gate.signed_by.as_str());
            roles.chain([policy.facts_by.as_str()]).collect()
        }
    };
    let collected = matches!(evidence.predicate, Predicate::Approval(_));
    let good = asked.iter().any(|role| {
        if collected {
            let keys = policy.roles.get(*role).map(|role| &role.keys);
            return keys.is_some_and(|keys| !keys.is_disjoint(&evidence.signers));
        }
        has_signed(policy, role, evidence)
    });
    // Anybody with a role may say that an attempt failed.
    let is_failure = matches!(
        &evidence.predicate,
        Predicate::Observation(observed) if matches!(observed.seen, Observation::Failure { .. })
    );
    let by_any = || {
        policy
            .roles
            .keys()
            .any(|role| has_signed(policy, role, evidence))
    };
    if good || (is_failure && by_any()) {
        return None;
    }
    let names: Vec<&str> = asked.into_iter().collect();
    never(
        format!(
            "{} by a key whose word no rule asks for here",
            name_of(&evidence.predicate)
        ),
        format!(
            "sign it for the role {}, with as many keys as it has to",
            names.join(" or ")
        ),
    )
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Everything a policy asks to be approved, with the roles that may.
fn approvals(policy: &Policy) -> BTreeMap<String, BTreeSet<&str>> {
    let mut items: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut add = |item: &str, role| {
        items.entry(item.to_owned()).or_default().insert(role);
    };
    for gate in &policy.gates {
        let role = gate.signed_by.as_str();
        match &gate.check {
            Check::Item { item, .. } => add(item, role),
            Check::Verdict { .. } => add("qualification", role),
            Check::SubmittedBefore {} => add("scope", role),
            Check::Prepared { .. } => add("artifacts", role),
            Check::Veto { .. } => add("governance-result", role),
            Check::FinalTag {
                approved_by: Some(by),
                ..
            } => add("release", by),
            _ => {}
        }
    }
    for gate in &policy.waiver.gates {
        for role in policy.waiver.roles() {
            add(&format!("waiver:{gate}"), role);
        }
    }
    items
}

/// What may be said of a release as a whole. What happens on a network may not.
pub(crate) fn may_be_everywhere(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::Documents(_) | Predicate::Waiver(_) | Predicate::Vote(_) => true,
        Predicate::Observation(observed) => match &observed.seen {
            Observation::Diff(_)
            | Observation::Releases { .. }
            | Observation::Tags { .. }
            | Observation::Ancestry { .. }
            | Observation::Versions { .. }
            | Observation::SelfReports { .. }
            | Observation::Checksums { .. }
            | Observation::Reconciled { .. }
            | Observation::Figure { .. }
            | Observation::PreviousNetwork { .. } => true,
            Observation::History { .. }
            | Observation::Network { .. }
            | Observation::Environment { .. }
            | Observation::PeerMismatch { .. }
            | Observation::Backup { .. }
            | Observation::LastDeployment { .. }
            | Observation::Audit(_)
            | Observation::Incident { .. }
            | Observation::Layers { .. }
            | Observation::Visit { .. }
            | Observation::Wave { .. }
            | Observation::Applied { .. }
            | Observation::State { .. }
            | Observation::Publish { .. }
            | Observation::Moment { .. }
            | Observation::Retired { .. }
            | Observation::Failure { .. } => false,
        },
        Predicate::Approval(_)
        | Predicate::Manifest(_)
        | Predicate::Test(_)
        | Predicate::Deployment(_) => false,
    }
}
