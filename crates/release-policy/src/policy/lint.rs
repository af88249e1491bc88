//! Whether a policy that reads well also makes sense.

use std::collections::BTreeSet;

use super::check::{Check, OneOrMany};
use super::{Point, Policy, VoteMode, WaiverNeed};

/// Where things stand in the file.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) stages: Vec<usize>,
    pub(super) gates: Vec<usize>,
    pub(super) actions: Vec<usize>,
}

type Wrong = (usize, String);

pub(super) fn check(policy: &Policy, lines: &Lines) -> Result<(), Wrong> {
    whole(policy).map_err(|what| (1, what))?;
    let mut seen = BTreeSet::new();
    for (stage, line) in policy.stages.iter().zip(&lines.stages) {
        let wrong = |what: String| Err((*line, format!("stage `{}` {what}", stage.name)));
        if stage.name == "*" || stage.name.is_empty() {
            return wrong("has no usable name".to_owned());
        }
        let required = stage
            .requires
            .iter()
            .chain(stage.requires_for.values().flatten());
        for other in required.chain(&stage.requires_cut) {
            // Only stages above: so there are no circles.
            if !seen.contains(other.as_str()) {
                return wrong(format!("requires `{other}`, which is no stage above it"));
            }
        }
        for kind in stage.kinds.iter().chain(stage.requires_for.keys()) {
            if !policy.kinds.contains(kind) {
                return wrong(format!("names the unknown kind of release `{kind}`"));
            }
        }
        if !seen.insert(stage.name.as_str()) {
            return wrong("is there twice".to_owned());
        }
    }
    let mut ids = BTreeSet::new();
    for (index, line) in lines.gates.iter().enumerate() {
        let id = policy.gates[index].id.as_str();
        if !ids.insert(id) {
            return Err((*line, format!("gate {id} is there twice")));
        }
        gate(policy, index).map_err(|what| (*line, format!("gate {id}: {what}")))?;
    }
    for gate in &policy.waiver.gates {
        if !ids.contains(gate.as_str()) {
            return Err((1, format!("[waiver] names the unknown gate `{gate}`")));
        }
    }
    for (action, line) in policy.actions.iter().zip(&lines.actions) {
        let wrong = |what: String| Err((*line, format!("action `{}` {what}", action.id)));
        if !seen.contains(action.stage.as_str()) {
            return wrong(format!("names the unknown stage `{}`", action.stage));
        }
        if let Some(gate) = &action.checked_by
            && !ids.contains(gate.as_str())
        {
            return wrong(format!("is checked by the unknown gate `{gate}`"));
        }
        if policy
            .actions
            .iter()
            .filter(|other| other.id == action.id)
            .count()
            > 1
        {
            return wrong("is there twice".to_owned());
        }
    }
    Ok(())
}

fn role(policy: &Policy, name: &str) -> Result<(), String> {
    if policy.roles.contains_key(name) {
        Ok(())
    } else {
        Err(format!("unknown role `{name}`"))
    }
}

fn whole(policy: &Policy) -> Result<(), String> {
    if policy.kinds.is_empty() || policy.stages.is_empty() || policy.gates.is_empty() {
        return Err("a policy needs kinds of releases, stages and gates".to_owned());
    }
    role(policy, &policy.facts_by)?;
    role(policy, &policy.manifest_by)?;
    for (name, role) in &policy.roles {
        if role.threshold == 0 {
            return Err(format!(
                "role `{name}` has threshold 0, so nobody's word would do"
            ));
        }
    }
    for need in &policy.waiver.needs {
        if let WaiverNeed::Role(name) = need {
            role(policy, name)?;
        }
    }
    if !policy.waiver.gates.is_empty()
        && !policy
            .waiver
            .needs
            .iter()
            .any(|need| matches!(need, WaiverNeed::Vote | WaiverNeed::Role(_)))
    {
        return Err(
            "[waiver] needs a vote or a role, so that a waiver has an approval of its own"
                .to_owned(),
        );
    }
    if let Some(vote) = &policy.vote {
        match (vote.mode, vote.threshold) {
            (VoteMode::Threshold, None) => return Err("[vote] needs a threshold".to_owned()),
            (VoteMode::Threshold, Some(part)) if part.den == 0 || part.num > part.den => {
                return Err(format!(
                    "the threshold {}/{} is no part",
                    part.num, part.den
                ));
            }
            _ => {}
        }
        if vote.channels.is_empty() {
            return Err("[vote] needs a channel".to_owned());
        }
    }
    Ok(())
}

fn gate(policy: &Policy, index: usize) -> Result<(), String> {
    let gate = &policy.gates[index];
    if gate.stage != "*" && policy.stage(&gate.stage).is_none() {
        return Err(format!("unknown stage `{}`", gate.stage));
    }
    role(policy, &gate.signed_by)?;
    for kind in gate.kinds.iter().chain(gate.effect_for.keys()) {
        if !policy.kinds.contains(kind) {
            return Err(format!("unknown kind of release `{kind}`"));
        }
    }
    for (text, name) in [
        (&gate.title, "title"),
        (&gate.explain, "explain"),
        (&gate.source, "source"),
    ] {
        if text.trim().is_empty() {
            return Err(format!("`{name}` is empty"));
        }
    }
    let stages: Vec<&String> = match &gate.check {
        Check::CandidateTag { commit_in: stage }
        | Check::SameDigest {
            same_digest_as: stage,
        }
        | Check::Activated {
            activated: stage, ..
        }
        | Check::FeaturesPassed {
            features_passed_in: stage,
        }
        | Check::StageEnded {
            of_stage: stage, ..
        }
        | Check::Publish {
            dry_run_in: stage, ..
        } => vec![stage],
        Check::SubsetOf { subset_of } => subset_of.iter().collect(),
        _ => Vec::new(),
    };
    for stage in stages {
        if policy.stage(stage).is_none() {
            return Err(format!("unknown stage `{stage}`"));
        }
    }
    let gates: Vec<&String> = match &gate.check {
        Check::Covers { section_covers } => section_covers.hits_of.iter().collect(),
        Check::Deployed {
            after: Some(gate), ..
        } => vec![gate],
        _ => Vec::new(),
    };
    for other in gates {
        if policy.gate(other).is_none() {
            return Err(format!("unknown gate `{other}`"));
        }
    }
    match &gate.check {
        Check::FinalTag {
            approved_by: Some(name),
            ..
        } => role(policy, name)?,
        Check::FinalTag { same_commit_as, .. }
            if !matches!(same_commit_as.as_str(), "selected" | "soaked") =>
        {
            return Err(format!(
                "`same_commit_as = \"{same_commit_as}\"` means nothing"
            ));
        }
        Check::Quorum {} | Check::OtherChannels {} | Check::Veto { .. }
            if policy.vote.is_none() =>
        {
            return Err("needs the table [vote]".to_owned());
        }
        Check::Components {
            of: OneOrMany::Many(parts),
        } if parts.is_empty() => {
            return Err("an empty list of parts".to_owned());
        }
        Check::Verdict { verdict } if verdict.len() != 2 => {
            return Err("`verdict` has a good and a bad word".to_owned());
        }
        Check::Dns { dns } => {
            if let Some(name) = dns
                .strip_prefix("{names.")
                .and_then(|rest| rest.strip_suffix('}'))
                && !policy.names.contains_key(name)
            {
                return Err(format!("`[names]` has no `{name}`"));
            }
        }
        Check::MinPerMonth { min_per_month: 0 }
        | Check::MaxPerMonth {
            max_per_month: 0, ..
        } => {
            return Err("never is no cadence".to_owned());
        }
        Check::LeadTime {
            min: None,
            max: None,
            ..
        } => {
            return Err("neither `min` nor `max`".to_owned());
        }
        Check::Soak { .. } | Check::Every { .. } | Check::MustAdvance { .. }
            if gate.on == Point::Enter =>
        {
            return Err("time on a network cannot be asked for before it starts".to_owned());
        }
        _ => {}
    }
    Ok(())
}
