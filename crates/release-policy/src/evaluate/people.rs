//! Approvals, votes and audits.

use std::collections::BTreeMap;

use crate::name::{Span, Time};
use crate::policy::Gate;
use crate::policy::check::{Board, Check};
use crate::statement::observation::{Audit, Observation};
use crate::statement::{Choice, Finding};
use crate::view::View;
use crate::vote::{Tally, count, needed};

use super::{Checked, candidate, met, none_of, papers, unmet};

pub(super) fn check(view: &View<'_>, gate: &Gate) -> Checked {
    let role = gate.signed_by.as_str();
    match &gate.check {
        Check::Waves {} => waves(view, role),
        Check::SubmittedBefore {} => submitted_before(view, role),
        Check::Verdict { verdict } => self::verdict(view, role, verdict),
        Check::Item { item, release_cut } => {
            self::item(view, role, item, *release_cut == Some(true))
        }
        Check::OtherChannels {} => {
            let tally = tally(view).map_err(|why| {
                unmet(
                    "votes on the proposal",
                    why,
                    "record the proposal and its roster",
                )
            })?;
            let ignored = tally.ignored.iter().filter(|ignored| ignored.channel);
            let channels = view
                .policy
                .vote
                .as_ref()
                .map(|vote| vote.channels.join(", "))
                .unwrap_or_default();
            none_of(
                ignored
                    .map(|ignored| format!("{}: {}", ignored.envelope, ignored.why))
                    .collect(),
                &format!("votes on {channels} only"),
                "these votes do not count",
            )
        }
        Check::Quorum {} => quorum(view),
        Check::Veto { veto_period, board } => veto(view, role, *veto_period, board.as_ref()),
        Check::AuditDecision {} => audit_decision(view, role),
        Check::AuditFindings {} => audit_findings(view, role),
        Check::AuditsClosed {} => audits_closed(view, role),
        // Other kinds go elsewhere; see `evaluate::check`.
        _ => Err(unmet(
            "a check of this kind",
            "another",
            "report this as a bug",
        )),
    }
}

fn waves(view: &View<'_>, role: &str) -> Checked {
    let expected = "each wave after the confirmation of the one before";
    let (_, proposal) = view
        .proposal()
        .map_err(|why| unmet(expected, why, "record the proposal"))?;
    let Some(planned) = proposal.waves.get(&view.stage.name) else {
        return met();
    };
    let mut started: BTreeMap<u32, Time> = BTreeMap::new();
    let mut confirmed: BTreeMap<u32, Time> = BTreeMap::new();
    for observed in view.observed(role) {
        if let Observation::Wave {
            wave,
            confirmed: done,
        } = observed.seen
        {
            let times = if done { &mut confirmed } else { &mut started };
            times.entry(wave).or_insert(observed.at);
        }
    }
    let mut wrong = Vec::new();
    for (wave, at) in &started {
        let before = wave.saturating_sub(1);
        if before > 0
            && confirmed
                .get(&before)
                .is_none_or(|confirmed| confirmed > at)
        {
            wrong.push(format!(
                "wave {wave} started before wave {before} was confirmed"
            ));
        }
    }
    for number in 1..=u32::try_from(planned.len()).unwrap_or(u32::MAX) {
        if !confirmed.contains_key(&number) {
            wrong.push(format!("wave {number} is not confirmed"));
        }
    }
    none_of(wrong, expected, "confirm the waves in their order")
}

fn submitted_before(view: &View<'_>, role: &str) -> Checked {
    let expected = "every feature submitted before the meeting, and in its record";
    let (train, on_it) = view
        .train()
        .map_err(|why| unmet(expected, why, "record the train"))?;
    let record = view.approval(role, "scope", "approved");
    let record = record.map_err(|_| {
        unmet(
            expected,
            "no record of the meeting",
            "record the approval `scope`",
        )
    })?;
    let mut wrong = Vec::new();
    for (name, feature) in &on_it {
        if feature.submitted_at >= train.meeting {
            wrong.push(format!(
                "`{name}` was submitted at {}",
                feature.submitted_at
            ));
        }
        if !record.lists.contains(name) {
            wrong.push(format!("`{name}` is not in the record"));
        }
    }
    none_of(wrong, expected, "take it out, or to the next meeting")
}

fn verdict(view: &View<'_>, role: &str, verdict: &[String]) -> Checked {
    let (good, bad) = (verdict[0].as_str(), verdict[1].as_str());
    let expected = format!("the candidate to be {good}");
    let rejection = view.ever_said(role, "qualification", bad);
    if let (Err(_), Some(what)) = (&rejection, candidate::rejected(view)) {
        return Err(unmet(expected, what, "make the next candidate"));
    }
    // Once rejected, for ever: a later kind word does not count.
    if let Ok(rejection) = rejection {
        return Err(unmet(
            expected,
            format!("{bad} by `{}`", rejection.by),
            "make the next candidate",
        ));
    }
    match view.approval(role, "qualification", good) {
        Ok(_) => met(),
        Err((have, need)) => Err(unmet(
            expected,
            format!("{have} of {need} signatures"),
            "record the approval `qualification`",
        )),
    }
}

fn item(view: &View<'_>, role: &str, item: &str, release_cut: bool) -> Checked {
    let expected = format!("`{item}` approved by role `{role}`");
    let mut missing = Vec::new();
    match view.approval(role, item, "approved") {
        Err((have, need)) => missing.push(format!("{have} of {need} signatures")),
        Ok(approval) if release_cut && approval.date.is_none() => {
            missing.push("no date in the minutes".to_owned())
        }
        Ok(_) => {}
    }
    if release_cut && view.moment(&view.policy.facts_by, "release_cut").is_none() {
        missing.push("no release cut".to_owned());
    }
    none_of(missing, &expected, &format!("record the approval `{item}`"))
}

/// The votes on the proposal that holds now.
pub(super) fn tally(view: &View<'_>) -> Result<Tally, String> {
    let rules = view.policy.vote.as_ref().ok_or("the policy has no vote")?;
    let threshold = rules.threshold.ok_or("the policy has no threshold")?;
    let (digest, _) = view.proposal()?;
    let roster = papers::roster(view)?;
    let votes = view.votes(&view.policy.facts_by);
    Ok(count(
        digest,
        &roster,
        &rules.channels,
        threshold,
        votes,
        view.store,
    ))
}

fn quorum(view: &View<'_>) -> Checked {
    let next = "collect votes by mail on this very proposal";
    let rules = view.policy.vote.as_ref().and_then(|vote| vote.threshold);
    let Some(threshold) = rules else {
        return Err(unmet("a threshold", "none", "correct the policy"));
    };
    let expected = format!(
        "approval by {} {}/{} of the electorate",
        if threshold.strict {
            "more than"
        } else {
            "at least"
        },
        threshold.num,
        threshold.den
    );
    let tally = tally(view)
        .map_err(|why| unmet(expected.as_str(), why, "record the proposal and its roster"))?;
    if tally.won {
        return met();
    }
    let (yes, need) = (tally.approvals(), needed(threshold, tally.electorate));
    let found = format!(
        "{yes} of {}, {} missing",
        tally.electorate,
        need.saturating_sub(yes)
    );
    Err(unmet(expected, found, next))
}

fn veto(view: &View<'_>, role: &str, period: Option<Span>, board: Option<&Board>) -> Checked {
    let expected = "no veto, and a result";
    if let Some((_, why)) = &view.state.stopped {
        let next = "the release is over";
        return Err(unmet(expected, why.as_str(), next).effect(crate::policy::Effect::Deny));
    }
    let posted = || -> Result<Time, String> {
        let (_, text) = view.document(role, "governance-proposal")?;
        crate::document::read::<crate::document::GovernanceProposal>(text)
            .map(|proposal| proposal.posted_at)
    };
    let mut from = None;
    if let Some(board) = board {
        let posted = posted().map_err(|why| unmet(expected, why, "post the proposal"))?;
        from = Some(board_voted(view, role, board, posted)?);
    }
    if let Some(period) = period {
        let start = match from {
            Some(voted) => voted,
            None => posted().map_err(|why| unmet(expected, why, "post the proposal"))?,
        };
        let end = start.plus(period);
        if view.now() < end {
            let found = format!("the veto period runs until {end}");
            return Err(unmet(expected, found, "wait").until(end));
        }
        return met();
    }
    match view.approval(role, "governance-result", "approved") {
        Ok(_) => met(),
        Err(_) => Err(unmet(
            expected,
            "no result yet",
            "record the approval `governance-result`",
        )),
    }
}

/// When the board's vote was over, with enough votes and most of them for it.
fn board_voted(
    view: &View<'_>,
    role: &str,
    board: &Board,
    posted: Time,
) -> Result<Time, super::Unmet> {
    let expected = format!(
        "{} of {} seats to vote, most of them for it, within {}",
        board.votes_min, board.seats, board.max
    );
    let end = posted.plus(board.max);
    let mut votes: BTreeMap<&str, Choice> = BTreeMap::new();
    let mut last = posted;
    for (_, vote) in view.votes(role) {
        if vote.at <= end
            && vote.at >= posted
            && matches!(vote.choice, Choice::Approve | Choice::Reject)
        {
            votes.insert(&vote.voter, vote.choice);
            last = last.max(vote.at);
        }
    }
    let yes = votes
        .values()
        .filter(|choice| **choice == Choice::Approve)
        .count();
    let enough = votes.len() >= board.votes_min as usize && votes.len() <= board.seats as usize;
    if enough && 2 * yes > votes.len() {
        return Ok(last);
    }
    let found = format!("{} votes, {yes} of them for it", votes.len());
    let open = view.now() <= end && votes.len() < board.seats as usize;
    let effect = if open {
        crate::policy::Effect::Pend
    } else {
        crate::policy::Effect::Deny
    };
    Err(unmet(
        expected,
        found,
        "the vote starts again with any change of the code",
    )
    .effect(effect))
}

/// The last word on each feature's audit, from every stage so far.
fn audits<'a>(view: &View<'a>, role: &str) -> BTreeMap<&'a str, &'a Audit> {
    let mut last = BTreeMap::new();
    let earlier = view
        .policy
        .stages
        .iter()
        .filter(|stage| stage.name != view.stage.name);
    let mut all: Vec<_> = earlier
        .flat_map(|stage| view.observed_at(role, &stage.name))
        .collect();
    all.extend(view.observed(role));
    all.sort_by_key(|observed| observed.at);
    for observed in all {
        if let Observation::Audit(audit) = &observed.seen {
            last.insert(audit.feature.as_str(), audit);
        }
    }
    last
}

fn audit_decision(view: &View<'_>, role: &str) -> Checked {
    let audits = audits(view, role);
    let mut wrong = Vec::new();
    for feature in view.scope() {
        match audits.get(feature) {
            None => wrong.push(format!("`{feature}` is undecided")),
            Some(audit) if audit.required && audit.report.is_none() => {
                wrong.push(format!("`{feature}` has no report"));
            }
            Some(audit)
                if !audit.required
                    && audit
                        .reason
                        .as_ref()
                        .is_none_or(|reason| reason.trim().is_empty()) =>
            {
                wrong.push(format!("`{feature}` needs none, without a reason"));
            }
            Some(_) => {}
        }
    }
    none_of(
        wrong,
        "for each feature: an audit report, or why none is needed",
        "ask security to decide",
    )
}

fn audit_findings(view: &View<'_>, role: &str) -> Checked {
    let expected = "no finding that needs work in this deployment";
    let mut wrong = Vec::new();
    let scope = view.scope();
    let open = |finding: &&Finding| finding.fix && finding.fixed_in.is_none();
    // Findings of this deployment void it, even if they are repaired later: the repair is not in it.
    for observed in view.observed(role) {
        if let Observation::Audit(audit) = &observed.seen
            && scope.contains(&audit.feature.as_str())
        {
            for finding in audit.findings.iter().filter(open) {
                let what = if finding.high {
                    "remove the feature"
                } else {
                    "deploy the repair"
                };
                wrong.push(format!("`{}` in `{}`: {what}", finding.id, audit.feature));
            }
        }
    }
    // A feature with a high risk goes, it is not repaired on this train.
    let all = view
        .state
        .facts
        .iter()
        .filter_map(|fact| match &fact.evidence.predicate {
            crate::statement::Predicate::Observation(observed)
                if observed.scope.release == view.state.release =>
            {
                crate::state::has_signed(view.policy, role, fact.evidence).then_some(&observed.seen)
            }
            _ => None,
        });
    for seen in all {
        if let Observation::Audit(audit) = seen
            && scope.contains(&audit.feature.as_str())
        {
            let high = audit
                .findings
                .iter()
                .filter(|finding| finding.fix && finding.high);
            for finding in high {
                let line = format!(
                    "`{}` in `{}`: remove the feature",
                    finding.id, audit.feature
                );
                if !wrong.contains(&line) {
                    wrong.push(line);
                }
            }
        }
    }
    none_of(
        wrong,
        expected,
        "enter the stage again without what was found",
    )
}

fn audits_closed(view: &View<'_>, role: &str) -> Checked {
    let audits = audits(view, role);
    let mut wrong = Vec::new();
    for feature in &view.manifest.feature {
        match audits.get(feature.as_str()) {
            None => wrong.push(format!("`{feature}` is undecided")),
            Some(audit) if !audit.closed => wrong.push(format!("the audit of `{feature}` is open")),
            Some(_) => {}
        }
    }
    none_of(
        wrong,
        "all audits closed before the testnet",
        "wait for the audits",
    )
}
