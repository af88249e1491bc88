//! What an exit code of a step means: tried again, or let pass.

use serde::{Deserialize, Serialize};
use yaml_serde::Value;

use super::values::{entries, flag, unsupported};
use crate::error::PipelineError;

/// Most attempts at one step, however the file asks for more.
const ATTEMPTS_MAX: u32 = 11;

/// An automatic retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The exit status it is for; `None` for any but zero.
    pub exit_status: Option<i64>,
    /// How many times.
    pub limit: u32,
}

pub(super) fn retries(value: &Value, place: &str) -> Result<Vec<Retry>, PipelineError> {
    let mut found = Vec::new();
    for (attribute, value) in entries(Some(value), place)? {
        match (attribute.as_str(), value) {
            // A person's retry button does not exist here.
            ("manual", _) | ("automatic", Value::Bool(false)) => {}
            ("automatic", Value::Bool(true)) => found.push(Retry {
                exit_status: None,
                limit: 2,
            }),
            ("automatic", Value::Sequence(items)) => {
                for item in items {
                    found.extend(retry(item, place)?);
                }
            }
            ("automatic", item) => found.extend(retry(item, place)?),
            _ => return Err(unsupported(place, format!("retry.{attribute}"))),
        }
    }
    Ok(found)
}

fn retry(value: &Value, place: &str) -> Result<Vec<Retry>, PipelineError> {
    let mut statuses = vec![None];
    let mut limit = 2;
    for (attribute, value) in entries(Some(value), place)? {
        let wrong = || PipelineError::shape(place, format!("retry.{attribute} is malformed"));
        match (attribute.as_str(), value) {
            ("exit_status", Value::String(text)) if text == "*" => statuses = vec![None],
            ("exit_status", Value::Sequence(items)) => {
                statuses = items.iter().map(Value::as_i64).collect();
                if statuses.contains(&None) {
                    return Err(wrong());
                }
            }
            ("exit_status", value) => statuses = vec![Some(value.as_i64().ok_or_else(wrong)?)],
            ("limit", value) => {
                let wanted = value.as_u64().ok_or_else(wrong)?;
                limit = u32::try_from(wanted).map_or(ATTEMPTS_MAX, |limit| limit.min(ATTEMPTS_MAX));
            }
            _ => return Err(unsupported(place, format!("retry.automatic.{attribute}"))),
        }
    }
    Ok(statuses
        .into_iter()
        .map(|exit_status| Retry { exit_status, limit })
        .collect())
}

/// The exit statuses that do not fail the build; `None` stands for any.
pub(super) fn soft_fail(value: &Value, place: &str) -> Result<Vec<Option<i64>>, PipelineError> {
    let Value::Sequence(items) = value else {
        let always = flag(value, place, "soft_fail")?;
        return Ok(if always { vec![None] } else { Vec::new() });
    };
    let mut statuses = Vec::new();
    for item in items {
        let members = entries(Some(item), place)?;
        let [(attribute, status)] = members.as_slice() else {
            let reason = "each entry of soft_fail must have one exit_status";
            return Err(PipelineError::shape(place, reason));
        };
        if attribute != "exit_status" {
            return Err(unsupported(place, format!("soft_fail.{attribute}")));
        }
        let wrong = || PipelineError::shape(place, "soft_fail.exit_status is malformed");
        statuses.push(match status.as_str() {
            Some("*") => None,
            _ => Some(status.as_i64().ok_or_else(wrong)?),
        });
    }
    Ok(statuses)
}

/// Why a step is not to run; `None` when it is.
pub(super) fn skip(value: &Value, place: &str) -> Result<Option<String>, PipelineError> {
    match (value, value.as_str()) {
        (Value::Bool(false) | Value::Null, _) => Ok(None),
        (Value::Bool(true), _) => Ok(Some("the pipeline skips it".to_owned())),
        // Buildkite takes any text for a reason, also one that was meant to say the opposite.
        (_, Some(reason)) if !["", "true", "false"].contains(&reason) => {
            Ok(Some(format!("the pipeline skips it: {reason}")))
        }
        _ => Err(PipelineError::shape(
            place,
            "skip must be true, false or a reason (without quotes around true and false)",
        )),
    }
}
