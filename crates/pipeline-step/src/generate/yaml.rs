//! Pipelines as YAML.

use yaml_serde::{Mapping, Value};

use super::error::GenerateError;

/// Largest file read, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file whose top is a mapping; anchors are replaced by what they stand for.
pub(super) fn parse(what: &str, bytes: &[u8]) -> Result<Value, GenerateError> {
    let value: Value = yaml_serde::from_slice(bytes)
        .and_then(|mut value: Value| value.apply_merge().map(|()| value))
        .map_err(|source| GenerateError::Yaml {
            what: what.to_owned(),
            source,
        })?;
    match value {
        Value::Mapping(_) => Ok(value),
        _ => Err(GenerateError::shape(what, "must be a mapping at the top")),
    }
}

pub(super) fn text(root: &Value) -> Result<String, GenerateError> {
    let text = yaml_serde::to_string(root).map_err(|source| GenerateError::Yaml {
        what: "the result".to_owned(),
        source,
    })?;
    Ok(format!(
        "# Made by `pipeline-step generate`: change the file it was made from.\n{text}"
    ))
}

/// The list of steps of a pipeline.
pub(super) fn steps_mut<'a>(
    root: &'a mut Value,
    what: &str,
) -> Result<&'a mut Vec<Value>, GenerateError> {
    root.get_mut("steps")
        .and_then(Value::as_sequence_mut)
        .ok_or_else(|| GenerateError::shape(what, "has no list `steps`"))
}

/// Calls `act` with every step that is a mapping, those within groups too.
pub(super) fn each_step(steps: &mut [Value], act: &mut dyn FnMut(&mut Mapping)) {
    for step in steps.iter_mut().filter_map(Value::as_mapping_mut) {
        if let Some(inner) = step.get_mut("steps").and_then(Value::as_sequence_mut) {
            each_step(inner, act);
        } else {
            act(step);
        }
    }
}

/// The key of a step, under any of its names.
pub(super) fn key(step: &Mapping) -> Option<&str> {
    ["key", "id", "identifier"]
        .iter()
        .find_map(|name| step.get(*name))
        .and_then(Value::as_str)
}

/// A scalar as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}
