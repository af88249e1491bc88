//! The order of the steps.

use crate::error::{PipelineError, PipelineErrorKind};
use crate::pipeline::Step;

/// Sorts the steps so that each follows those it depends on; otherwise in the file's order.
///
/// # Errors
///
/// Fails on a key used twice, a dependency that is no key, and a cycle, which it spells out.
pub fn sorted(mut steps: Vec<Step>) -> Result<Vec<Step>, PipelineError> {
    for (index, step) in steps.iter().enumerate() {
        if steps[..index].iter().any(|other| other.key == step.key) {
            return Err(PipelineErrorKind::DuplicateKey {
                key: step.key.clone(),
            }
            .into());
        }
        for dependency in &step.depends_on {
            if !steps.iter().any(|other| other.key == *dependency) {
                return Err(PipelineErrorKind::UnknownDependency {
                    step: step.key.clone(),
                    dependency: dependency.clone(),
                }
                .into());
            }
        }
    }
    let mut result: Vec<Step> = Vec::with_capacity(steps.len());
    while !steps.is_empty() {
        let ready = |step: &Step| {
            step.depends_on
                .iter()
                .all(|key| result.iter().any(|done| done.key == *key))
        };
        match steps.iter().position(ready) {
            Some(index) => result.push(steps.remove(index)),
            None => return Err(cycle(&steps)),
        }
    }
    Ok(result)
}

/// Every step left waits for another one that is left, so walking along ends where it has been.
fn cycle(steps: &[Step]) -> PipelineError {
    let mut path: Vec<String> = Vec::new();
    let mut current = steps.first();
    while let Some(step) = current {
        if let Some(start) = path.iter().position(|key| *key == step.key) {
            path.drain(..start);
            path.push(step.key.clone());
            break;
        }
        path.push(step.key.clone());
        current = steps
            .iter()
            .find(|other| step.depends_on.contains(&other.key));
    }
    PipelineErrorKind::Cycle { steps: path }.into()
}
