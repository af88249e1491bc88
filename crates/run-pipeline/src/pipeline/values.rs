//! Reading YAML values with places in the errors.

use yaml_serde::{Mapping, Value};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::interpolate::{Environment, interpolate};

/// The members of a mapping that may be missing.
pub(super) fn entries<'a>(
    value: Option<&'a Value>,
    place: &str,
) -> Result<Vec<(String, &'a Value)>, PipelineError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Mapping(mapping)) => Ok(members(mapping)),
        Some(_) => Err(PipelineError::shape(place, "must be a mapping")),
    }
}

pub(super) fn members(mapping: &Mapping) -> Vec<(String, &Value)> {
    mapping
        .iter()
        .map(|(name, value)| (text_of(name), value))
        .collect()
}

pub(super) fn text_of(value: &Value) -> String {
    scalar(value, "").unwrap_or_else(|_| "?".to_owned())
}

pub(super) fn scalar(value: &Value, place: &str) -> Result<String, PipelineError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        _ => Err(PipelineError::shape(place, "must be a text")),
    }
}

/// A list, or one value in place of a list of one.
pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Sequence(items) => items,
        _ => std::slice::from_ref(value),
    }
}

/// `true` or `false`; Buildkite's schema allows both as texts too.
pub(super) fn flag(value: &Value, place: &str, attribute: &str) -> Result<bool, PipelineError> {
    match (value, value.as_str()) {
        (Value::Bool(value), _) => Ok(*value),
        (_, Some("true")) => Ok(true),
        (_, Some("false")) => Ok(false),
        _ => Err(PipelineError::shape(
            place,
            format!("{attribute} must be true or false"),
        )),
    }
}

pub(super) fn replace(
    text: &str,
    environment: &Environment,
    place: &str,
) -> Result<String, PipelineError> {
    interpolate(text, environment).map_err(|source| {
        PipelineErrorKind::Interpolate {
            place: place.to_owned(),
            source,
        }
        .into()
    })
}

pub(super) fn unsupported(place: &str, attribute: impl Into<String>) -> PipelineError {
    PipelineErrorKind::Unsupported {
        place: place.to_owned(),
        attribute: attribute.into(),
    }
    .into()
}
