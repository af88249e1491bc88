//! What a run that goes on would do with each job, without doing it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::answers::Answers;
use crate::artifacts::Store;
use crate::contents::Contents;
use crate::error::PipelineError;
use crate::fingerprint::{Available, Context};
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::pipeline::{Plan, Step};
use crate::state::Record;

/// What becomes of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing that it depends on has changed.
    Kept,
    /// It runs, for this reason.
    Runs(String),
    /// It runs if this job, which runs before it, leaves something else than it did.
    RunsAfter(String),
    /// It is not asked for.
    LeftOut,
}

impl Fate {
    /// Whether it may take time.
    pub(crate) const fn may_run(&self) -> bool {
        matches!(self, Self::Runs(_) | Self::RunsAfter(_))
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Self::Kept => "kept: nothing changed".to_owned(),
            Self::Runs(reason) => format!("runs again: {reason}"),
            Self::RunsAfter(other) => format!("runs again if {other} leaves something else"),
            Self::LeftOut => "left out: --only names others".to_owned(),
        }
    }
}

/// Where to look.
pub(crate) struct Look<'a> {
    pub(crate) environment: &'a Environment,
    /// Directory of the workers.
    pub(crate) programs: &'a Path,
    pub(crate) layout: &'a Layout,
    /// Steps that run again in any case.
    pub(crate) from: &'a [String],
    /// When not empty: nothing else runs.
    pub(crate) only: &'a [String],
}

/// The fate of every job that is no question to a person, by its key.
///
/// # Errors
///
/// Fails when a file that a variable names, a program or an artifact cannot be read.
pub(crate) fn fates(plan: &Plan, look: &Look<'_>) -> Result<BTreeMap<String, Fate>, PipelineError> {
    let contents = Contents::default();
    let answers = Answers::read(look.layout);
    let context = Context {
        plan,
        environment: look.environment,
        programs: look.programs,
        contents: &contents,
        answers: &answers,
    };
    let mut available = Available::new();
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.gate.is_none()) {
        let fate = fate(step, &context, look, &fates, &mut available)?;
        fates.insert(step.key.clone(), fate);
    }
    Ok(fates)
}

fn fate(
    step: &Step,
    context: &Context<'_>,
    look: &Look<'_>,
    fates: &BTreeMap<String, Fate>,
    available: &mut Available,
) -> Result<Fate, PipelineError> {
    if !look.only.is_empty() {
        return Ok(if look.only.contains(&step.step) {
            Fate::Runs("--only names it".to_owned())
        } else {
            Fate::LeftOut
        });
    }
    let ancestors = context.plan.ancestors(step);
    let again = |one: &&Step| look.from.contains(&one.step);
    if let Some(first) = std::iter::once(step)
        .chain(ancestors.iter().copied())
        .find(again)
    {
        return Ok(Fate::Runs(format!("--from names {}", first.step)));
    }
    let runs = |one: &&&Step| fates.get(&one.key).is_some_and(Fate::may_run);
    if let Some(first) = ancestors.iter().find(runs) {
        return Ok(Fate::RunsAfter(first.name.clone()));
    }
    let Some(record) = Record::read(&look.layout.record(&step.key)) else {
        let reason = "it has not passed in this output directory";
        return Ok(Fate::Runs(reason.to_owned()));
    };
    let fingerprint = context.fingerprint(step, available)?;
    if let Some(change) = fingerprint.change(&record.fingerprint) {
        return Ok(Fate::Runs(change));
    }
    let store = Store::new(look.layout.clone());
    if !store.holds(&step.step, &record.artifacts, !step.is_one_of_many())? {
        return Ok(Fate::Runs("its artifacts are not what it left".to_owned()));
    }
    let digests = record
        .artifacts
        .into_iter()
        .map(|one| (one.path, one.sha256));
    available
        .entry(step.step.clone())
        .or_default()
        .extend(digests);
    Ok(Fate::Kept)
}
