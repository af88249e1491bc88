//! The order of the jobs.

use std::collections::BTreeSet;

use crate::error::{PipelineError, PipelineErrorKind};
use crate::pipeline::Step;

/// Sorts the jobs so that each follows those it depends on; otherwise in the order given.
///
/// # Errors
///
/// Fails on a key used twice, a dependency that is no key, and a cycle, which it spells out. Jobs of
/// an ordered concurrency group wait for each other too.
pub fn sorted(mut steps: Vec<Step>) -> Result<Vec<Step>, PipelineError> {
    for (index, step) in steps.iter().enumerate() {
        if steps[..index].iter().any(|other| other.key == step.key) {
            return Err(PipelineErrorKind::DuplicateKey {
                key: step.key.clone(),
            }
            .into());
        }
        for dependency in &step.depends_on {
            if !steps.iter().any(|other| other.step == *dependency) {
                return Err(PipelineErrorKind::UnknownDependency {
                    step: step.step.clone(),
                    dependency: dependency.clone(),
                }
                .into());
            }
        }
    }
    let mut result: Vec<Step> = Vec::with_capacity(steps.len());
    while !steps.is_empty() {
        let left: BTreeSet<&str> = steps.iter().map(|step| step.step.as_str()).collect();
        let ready = |step: &Step| {
            let mut waits = step.depends_on.iter();
            waits.all(|key| !left.contains(key.as_str()))
        };
        match steps.iter().position(ready) {
            Some(index) => result.push(steps.remove(index)),
            None => return Err(cycle(&steps)),
        }
    }
    check_order(&result)?;
    Ok(result)
}

/// Every step left waits for another one that is left, so walking along ends where it has been.
fn cycle(steps: &[Step]) -> PipelineError {
    let mut path: Vec<String> = Vec::new();
    let mut current = steps.first();
    while let Some(step) = current {
        if let Some(start) = path.iter().position(|key| *key == step.step) {
            path.drain(..start);
            path.push(step.step.clone());
            break;
        }
        path.push(step.step.clone());
        current = steps
            .iter()
            .find(|other| step.depends_on.contains(&other.step));
    }
    PipelineErrorKind::Cycle { steps: path }.into()
}

/// In an ordered group no job may depend on one that was made after it: neither would ever start.
fn check_order(steps: &[Step]) -> Result<(), PipelineError> {
    let ordered = |step: &&Step| step.concurrency.as_ref().is_some_and(|one| one.is_ordered);
    for step in steps.iter().filter(ordered) {
        let group = step.concurrency.as_ref().map(|one| &one.group);
        let mut wanted: BTreeSet<&str> = step.depends_on.iter().map(String::as_str).collect();
        // Sorted: one pass backwards sees every dependency after its dependents.
        for other in steps.iter().rev() {
            if !wanted.contains(other.step.as_str()) {
                continue;
            }
            wanted.extend(other.depends_on.iter().map(String::as_str));
            let same = other.concurrency.as_ref().map(|one| &one.group) == group;
            if same && other.number > step.number {
                let steps = [&step.name, &other.name, &step.name].map(Clone::clone);
                return Err(PipelineErrorKind::Cycle {
                    steps: steps.into(),
                }
                .into());
            }
        }
    }
    Ok(())
}
