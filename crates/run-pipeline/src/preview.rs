//! What `--dry-run` shows: the jobs of a plan, and what is known of them before they run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::{Format, json};
use crate::commands::step_commands;
use crate::error::{PipelineError, PipelineErrorKind};
use crate::forecast::{Forecast, Limits};
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::memory::{Memory, gibibytes};
use crate::pipeline::{Plan, Step};
use crate::planned::Fate;
use crate::report::seconds;

/// What `--dry-run` shows of a step.
#[derive(Debug, Serialize)]
struct PlannedStep<'a> {
    key: &'a str,
    step: &'a str,
    name: &'a str,
    label: &'a str,
    depends_on: &'a [String],
    timeout_minutes: Option<u64>,
    artifact_paths: &'a [String],
    /// What it will take, in milliseconds, as far as that is known.
    expected_ms: Option<u64>,
    /// Its peak memory, in bytes, as far as that is known.
    expected_memory_bytes: Option<u64>,
    /// What becomes of it in a run that goes on; absent in one that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<String>,
    /// Its command lines; `None` when they cannot be told without running it.
    commands: Option<Vec<Vec<String>>>,
    /// Why there are none, or what is asked.
    note: Option<String>,
}

/// The plan as text or JSON; `fates` says what becomes of the jobs in a run that goes on.
///
/// # Errors
///
/// Fails as [`step_commands`], but not on steps whose commands cannot be told.
pub(crate) fn preview(
    plan: &Plan,
    environment: &Environment,
    layout: &Layout,
    limits: Limits,
    fates: &BTreeMap<String, Fate>,
    format: Format,
) -> Result<String, PipelineError> {
    let forecast = Forecast::new(plan, layout, limits);
    let memory = Memory::new(plan, layout, None);
    let mut steps = Vec::new();
    for step in &plan.steps {
        let (commands, note) = match step_commands(plan, step, environment) {
            Ok(commands) => (Some(commands), planned_note(step)),
            Err(error) => match error.kind() {
                PipelineErrorKind::Unlisted { reason, .. } => {
                    let note = format!("commands unknown before it runs: {reason}");
                    (None, Some(note))
                }
                _ => return Err(error),
            },
        };
        steps.push(PlannedStep {
            key: &step.key,
            step: &step.step,
            name: &step.name,
            label: &step.label,
            depends_on: &step.depends_on,
            timeout_minutes: step.timeout.map(|timeout| timeout.as_secs() / 60),
            expected_ms: forecast.of(&step.key),
            expected_memory_bytes: memory.of(&step.key),
            artifact_paths: &step.artifact_paths,
            resume: fates.get(&step.key).map(Fate::words),
            commands,
            note,
        });
    }
    Ok(match format {
        Format::Json => json(&steps)?,
        Format::Human => {
            let stays = |key: &str| fates.get(key).is_some_and(|fate| !fate.may_run());
            let all = forecast.remaining(plan, &BTreeMap::new(), stays);
            let steps: String = steps.iter().map(PlannedStep::text).collect();
            let kept = match fates.values().filter(|fate| **fate == Fate::Kept).count() {
                0 => String::new(),
                kept => format!("; {kept} of {} jobs are kept", fates.len()),
            };
            let in_all = if all.known > 0 || all.unknown == 0 {
                " in all"
            } else {
                ""
            };
            format!("{steps}expected: {}{in_all}{kept}\n", all.words())
        }
    })
}

impl PlannedStep<'_> {
    fn text(&self) -> String {
        let mut text = self.name.to_owned();
        if !self.depends_on.is_empty() {
            text.push_str(&format!(" (after {})", self.depends_on.join(", ")));
        }
        if let Some(expected) = self.expected_ms {
            let _ = write!(text, ", about {}", seconds(expected));
        }
        if let Some(bytes) = self.expected_memory_bytes {
            let _ = write!(text, ", {}", gibibytes(bytes));
        }
        text.push('\n');
        if let Some(resume) = &self.resume {
            let _ = writeln!(text, "    ({resume})");
        }
        if let Some(note) = &self.note {
            let _ = writeln!(text, "    ({note})");
        }
        for command in self.commands.iter().flatten() {
            let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
            text.push_str(&format!("    {}\n", words.join(" ")));
        }
        text
    }
}

/// What is to be known of a step before it runs.
fn planned_note(step: &Step) -> Option<String> {
    if step.skip.is_some() {
        return step.skip.clone();
    }
    let gate = step.gate.as_ref()?;
    let fields: Vec<&str> = gate.fields.iter().map(|field| field.key.as_str()).collect();
    Some(match fields.as_slice() {
        [] => format!("waits for a person: {}", step.label),
        _ => format!(
            "waits for a person: {}; asks {}",
            step.label,
            fields.join(", ")
        ),
    })
}

/// A word as one would type it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("a-b=c"), "a-b=c");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
    }
}
