//! The migration on several machines.

use yaml_serde::Value;

use super::error::GenerateError;
use super::yaml::{each_step, key, parse, steps_mut};

/// The step that is replaced. One of the new ones has this key as well, for those who wait for it.
const REPLACED: &str = "migrate-ledgers";

/// The step that runs on several machines.
const PARALLEL: &str = "migrate-shards";

/// Replaces the step `migrate-ledgers` by the steps of another file, of which `migrate-shards` runs
/// `count` times.
pub(super) fn apply(root: &mut Value, count: u16, sharded: &[u8]) -> Result<(), GenerateError> {
    const WHAT: &str = "the file with the sharded steps";
    let mut sharded = parse(WHAT, sharded)?;
    let new = std::mem::take(steps_mut(&mut sharded, WHAT)?);
    let mut new = new;
    let mut keys = Vec::new();
    each_step(&mut new, &mut |step| {
        let key = key(step).unwrap_or_default().to_owned();
        if key == PARALLEL {
            step.insert("parallelism".into(), count.into());
        }
        keys.push(key);
    });
    for wanted in [PARALLEL, REPLACED] {
        let found = keys.iter().filter(|key| *key == wanted).count();
        if found != 1 {
            let problem = format!("has {found} steps with the key `{wanted}`, expected one");
            return Err(GenerateError::shape(WHAT, problem));
        }
    }
    let steps = steps_mut(root, "the pipeline file")?;
    let mut known = Vec::new();
    each_step(steps, &mut |step| {
        known.extend(key(step).map(str::to_owned))
    });
    if let Some(twice) = keys
        .iter()
        .find(|key| *key != REPLACED && known.contains(key))
    {
        let problem = format!("has a step `{twice}`, and so has the pipeline");
        return Err(GenerateError::shape(WHAT, problem));
    }
    let position = steps
        .iter()
        .position(|step| step.as_mapping().and_then(key) == Some(REPLACED));
    let Some(position) = position else {
        return Err(GenerateError::NoPlace {
            problem: format!("the pipeline has no step `{REPLACED}` that could be sharded"),
        });
    };
    steps.splice(position..=position, new);
    Ok(())
}
