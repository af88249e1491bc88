//! What happens on networks, and when: tests, time, how often.

use std::collections::BTreeSet;

use crate::document::{IncidentRecord, read};
use crate::name::{Span, Time, in_words, month_name};
use crate::policy::check::{Check, OnOver};
use crate::policy::{Effect, Gate};
use crate::samples::Series;
use crate::statement::observation::{IncidentKind, Observation};
use crate::statement::{Event, Test, TestOutcome};
use crate::view::View;

use super::{Checked, before, met, none_of, papers, unmet};

pub(super) fn check(view: &View<'_>, gate: &Gate) -> Checked {
    let role = gate.signed_by.as_str();
    match &gate.check {
        Check::PerFeature {} => per_feature(view, role),
        Check::Suite { suite, ledgers, .. } => self::suite(view, role, suite, ledgers.as_deref()),
        Check::StageEnded {
            of_stage,
            mitigation,
        } => stage_ended(view, role, of_stage, *mitigation == Some(true)),
        Check::Soak { min } => soak(view, role, *min),
        Check::OpenCritical { .. } => {
            let open = incidents(
                view.observed(role).iter().map(|observed| &observed.seen),
                |what| {
                    matches!(
                        what,
                        IncidentKind::CriticalIssue | IncidentKind::FeatureRemoved
                    )
                },
            );
            none_of(
                open,
                "a deployment without critical issue or removal",
                "deploy again; what this one showed no longer counts",
            )
        }
        Check::Backups { backup } => before::backups(view, role, backup),
        Check::Every { every } => self::every(view, role, *every),
        Check::MustAdvance {
            must_advance,
            gap_max,
            ..
        } => self::must_advance(view, role, must_advance, *gap_max),
        Check::LeadTime {
            from,
            to,
            min,
            max,
            on_over,
        } => lead_time(view, role, (from, to), *min, *max, *on_over),
        Check::MinPerMonth { min_per_month } => min_per_month_of(view, role, *min_per_month),
        Check::MaxPerMonth {
            max_per_month,
            exempt,
            spacing_min,
        } => max_per_month_of(view, role, *max_per_month, exempt, *spacing_min),
        Check::Metric { metric } => self::metric(view, role, metric),
        // Other kinds go elsewhere; see `evaluate::check`.
        _ => Err(unmet(
            "a check of this kind",
            "another",
            "report this as a bug",
        )),
    }
}

fn per_feature(view: &View<'_>, role: &str) -> Checked {
    let tests = view.tests(role);
    let combined = tests
        .iter()
        .filter(|test| test.feature.is_none())
        .map(|test| test.at)
        .min();
    let mut wrong = Vec::new();
    for feature in view.scope() {
        let own: Vec<&&Test> = tests
            .iter()
            .filter(|test| test.feature.as_deref() == Some(feature))
            .collect();
        match own.last() {
            None => wrong.push(format!("`{feature}` was not tested alone")),
            Some(test) if test.outcome == TestOutcome::Failed => {
                wrong.push(format!("`{feature}` failed alone"))
            }
            Some(test) if combined.is_some_and(|combined| test.at > combined) => {
                wrong.push(format!("`{feature}` was combined before it passed alone"));
            }
            Some(_) => {}
        }
    }
    none_of(
        wrong,
        "each feature to pass alone before it is combined",
        "test it alone",
    )
}

/// A suite passed when it passed and never failed in this attempt.
fn suite(view: &View<'_>, role: &str, suite: &str, ledgers: Option<&[String]>) -> Checked {
    let expected = format!("suite `{suite}` to pass");
    let tests = view.tests(role);
    let runs: Vec<&&Test> = tests.iter().filter(|test| test.suite == suite).collect();
    if let Some(failed) = runs.iter().find(|test| test.outcome == TestOutcome::Failed) {
        let names = if failed.failed.is_empty() {
            String::new()
        } else {
            format!(": {}", failed.failed.join(", "))
        };
        return Err(unmet(
            expected,
            format!("it failed at {}{names}", failed.at),
            "repair it and begin another attempt",
        ));
    }
    let Some(last) = runs.last() else {
        return Err(unmet(
            expected,
            "it did not run",
            "run it, and record the result",
        ));
    };
    if let Some(ledgers) = ledgers {
        let missing: Vec<String> = ledgers
            .iter()
            .filter(|ledger| !last.covers.contains(*ledger))
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Err(unmet(
                format!("{expected} for {}", ledgers.join(", ")),
                format!("nothing of {}", missing.join(", ")),
                "sample every ledger",
            ));
        }
        if last.seed.is_none() {
            return Err(unmet(
                expected,
                "a sample without its seed",
                "record the seed",
            ));
        }
    }
    met()
}

fn incidents<'a>(
    seen: impl Iterator<Item = &'a Observation>,
    counts: impl Fn(IncidentKind) -> bool,
) -> Vec<String> {
    seen.filter_map(|seen| match seen {
        Observation::Incident { id, what, .. } if counts(*what) => Some(format!("incident `{id}`")),
        _ => None,
    })
    .collect()
}

fn stage_ended(view: &View<'_>, role: &str, stage: &str, mitigation: bool) -> Checked {
    let expected = format!("{stage} ended without incident, all tests passed");
    let mut wrong = Vec::new();
    let observed = view.observed_at(role, stage);
    if mitigation {
        wrong.extend(incidents(
            observed.iter().map(|observed| &observed.seen),
            |what| what != IncidentKind::MajorIssue,
        ));
        for one in &observed {
            if let Observation::Incident {
                id,
                what: IncidentKind::MajorIssue,
                mitigation,
                ..
            } = &one.seen
                && mitigation
                    .as_ref()
                    .is_none_or(|text| text.trim().is_empty())
            {
                wrong.push(format!("major issue `{id}` without mitigation"));
            }
        }
    } else {
        wrong.extend(incidents(
            observed.iter().map(|observed| &observed.seen),
            |_| true,
        ));
    }
    let tests = view.tests_at(role, stage);
    if tests.is_empty() {
        wrong.push("no test ran".to_owned());
    }
    // A suite may be run again within an attempt; what counts is that none of them failed.
    let failed: BTreeSet<&str> = tests
        .iter()
        .filter(|test| test.outcome == TestOutcome::Failed)
        .map(|test| test.suite.as_str())
        .collect();
    wrong.extend(
        failed
            .into_iter()
            .map(|suite| format!("suite `{suite}` failed")),
    );
    if view.deployment_at(role, stage, Event::Ended).is_none() {
        wrong.push("it has not ended".to_owned());
    }
    none_of(wrong, &expected, &format!("finish {stage} first"))
}

fn soak(view: &View<'_>, role: &str, min: Span) -> Checked {
    let expected = format!("{min} on this network");
    let start = start_of(view, role, &expected)?;
    // A network that was there before cannot be the one of this attempt.
    if let Some((_, attempt)) = view.state.last(&view.stage.name)
        && start < attempt.entered_at
    {
        let found = format!("a network of {}, before the stage was entered", start);
        return Err(unmet(expected, found, "start this attempt's own network"));
    }
    let end = start.plus(min);
    if view.now() >= end {
        return met();
    }
    let found = format!("{} since {}", in_words(view.now().since(start)), start);
    Err(unmet(expected, found, format!("ask again at {end}")).until(end))
}

/// One visit in each window since the network started, the last complete one included.
fn every(view: &View<'_>, role: &str, every: Span) -> Checked {
    let expected = format!("a look at the network every {every}");
    let start = start_of(view, &view.policy.facts_by, &expected)?;
    let window = every.duration().as_secs().max(1);
    let number = |time: Time| time.since(start).as_secs().div_euclid(window);
    // Written down within a window's time: nobody can have looked last week.
    let visited: BTreeSet<i64> = view
        .seen_promptly(role, every, |seen| {
            matches!(seen, Observation::Visit { .. }).then_some(())
        })
        .into_iter()
        .map(|(at, ())| number(at))
        .collect();
    let windows = number(view.now());
    let missing = (0..windows).filter(|window| !visited.contains(window));
    // A network that stood for years would otherwise make a long line.
    let missing: Vec<String> = missing
        .take(31)
        .map(|window| format!("day {} missing", window + 1))
        .collect();
    none_of(
        missing,
        &expected,
        "what was not seen cannot be seen later; begin another attempt",
    )
}

/// When the network of this attempt started. Said twice, the later time holds: nothing that is recorded
/// afterwards makes a network older.
fn start_of(view: &View<'_>, role: &str, expected: &str) -> Result<Time, super::Unmet> {
    view.bootstrap(role).ok_or_else(|| {
        unmet(
            expected,
            "no start of the network",
            "record the deployment event `bootstrap`",
        )
    })
}

/// Whether a value rose from sample to sample, all the time the network has been there.
fn must_advance(view: &View<'_>, role: &str, what: &str, gap_max: Span) -> Checked {
    let expected = format!("`{what}` to advance, without a serious incident");
    let start = start_of(view, &view.policy.facts_by, &expected)?;
    let observed = view.observed(role);
    let mut wrong = incidents(observed.iter().map(|observed| &observed.seen), |what| {
        what == IncidentKind::Serious
    });
    let series = Series::of(start, view.layers(role).into_iter());
    wrong.extend(series.conflicts());
    if let Some((from, to)) = series.stalled() {
        wrong.push(format!("it stood still from {from} to {to}"));
    }
    let next = if wrong.is_empty() {
        "record the samples that are missing"
    } else {
        "retire the network"
    };
    if series.count() < 2 {
        wrong.push("fewer than two samples".to_owned());
    } else {
        wrong.extend(series.gaps(start, view.now(), gap_max));
    }
    none_of(wrong, &expected, next)
}

fn lead_time(
    view: &View<'_>,
    role: &str,
    (from, to): (&str, &str),
    min: Option<Span>,
    max: Option<Span>,
    on_over: Option<OnOver>,
) -> Checked {
    let limits = [
        min.map(|min| format!("at least {min}")),
        max.map(|max| format!("at most {max}")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    let expected = format!("{} from {from} to {to}", limits.join(" and "));
    let moment = |name: &str| {
        view.moment(role, name).ok_or_else(|| {
            unmet(
                expected.as_str(),
                format!("no moment `{name}`"),
                "record it",
            )
        })
    };
    let took = moment(to)?.since(moment(from)?);
    let found = in_words(took);
    if took.is_negative() || min.is_some_and(|min| took < min.duration()) {
        return Err(unmet(expected, found, "choose a later time").effect(Effect::Deny));
    }
    if max.is_some_and(|max| took > max.duration()) {
        let unmet = unmet(expected, found, "say why it took longer");
        return Err(match on_over {
            Some(OnOver::Deny) => unmet.effect(Effect::Deny),
            Some(OnOver::Warn) => unmet.effect(Effect::Warn),
            None => unmet,
        });
    }
    met()
}

/// Earlier networks of this stage: those of other releases from the record, and this release's own.
fn deployments(view: &View<'_>, role: &str) -> Result<Vec<(Time, Option<String>)>, super::Unmet> {
    let networks = view.last_seen(role, |seen| match seen {
        Observation::History { networks, .. } => Some(networks),
        _ => None,
    });
    let networks = networks.ok_or_else(|| {
        unmet(
            "the earlier networks of this stage",
            "none recorded",
            "record the history",
        )
    })?;
    let mut all: Vec<(Time, Option<String>)> = networks
        .iter()
        .map(|network| (network.at, network.exempt.clone()))
        .collect();
    let mut exempt: Option<String> = None;
    for attempt in view
        .state
        .attempts
        .get(&view.stage.name)
        .into_iter()
        .flatten()
    {
        all.push((attempt.entered_at, exempt.take()));
        exempt.clone_from(&attempt.exempts);
    }
    all.sort();
    Ok(all)
}

fn min_per_month_of(view: &View<'_>, role: &str, min: u32) -> Checked {
    let all = deployments(view, role)?;
    let Some((first, _)) = all.first() else {
        return met();
    };
    let mut missed = Vec::new();
    // The month of this one is served by this one.
    for month in first.month()..view.now().month() {
        if all.iter().filter(|(at, _)| at.month() == month).count() < min as usize {
            missed.push(month_name(month));
        }
    }
    none_of(
        missed,
        &format!("{min} in each calendar month"),
        "the train was missed; the next one leaves on time",
    )
}

fn max_per_month_of(
    view: &View<'_>,
    role: &str,
    max: u32,
    exempt: &[String],
    spacing: Option<Span>,
) -> Checked {
    let all = deployments(view, role)?;
    // This one may itself be the redeployment after an incident.
    let own = view
        .state
        .last(&view.stage.name)
        .and_then(|(_, attempt)| attempt.exempts.as_ref());
    if own.is_some_and(|reason| exempt.contains(reason)) {
        return met();
    }
    let counted: Vec<Time> = all
        .iter()
        .filter(|(_, reason)| {
            reason
                .as_ref()
                .is_none_or(|reason| !exempt.contains(reason))
        })
        .map(|(at, _)| *at)
        .collect();
    let this_month = counted
        .iter()
        .filter(|at| at.month() == view.now().month())
        .count();
    let month = month_name(view.now().month());
    // With a spacing, today's practice, the spacing alone decides.
    if let Some(spacing) = spacing {
        return match counted.last() {
            Some(last) if view.now() < last.plus(spacing) => {
                let found = format!("the last one at {last}");
                Err(unmet(format!("{spacing} between two"), found, "wait")
                    .until(last.plus(spacing)))
            }
            _ => met(),
        };
    }
    if this_month < max as usize {
        return met();
    }
    Err(unmet(
        format!("at most {max} in a calendar month"),
        format!("{this_month} in {month} already"),
        "wait for the next month",
    ))
}

fn metric(view: &View<'_>, role: &str, metric: &str) -> Checked {
    match metric {
        "decision-to-cut" => {
            let expected = "the time from decision to cut";
            let (_, text) = view
                .document(role, "incident")
                .map_err(|why| unmet(expected, why, "record the incident"))?;
            let incident: IncidentRecord =
                read(text).map_err(|why| unmet(expected, why, "correct the incident"))?;
            Ok(format!(
                "{} from decision to cut",
                in_words(view.manifest.built_at.since(incident.decided_at))
            ))
        }
        "voter-criteria" => {
            let odd = papers::answers_differ(view);
            none_of(
                odd,
                "approvals with the answers yes/no/no, where given",
                "read these votes again",
            )
        }
        other => {
            let value = view.last_seen(role, |seen| match seen {
                Observation::Figure { metric, value } if metric == other => Some(value),
                _ => None,
            });
            match value {
                Some(value) => Ok(value.clone()),
                None => Err(unmet(format!("the figure `{other}`"), "none", "record it")),
            }
        }
    }
}
