//! The command lines of a plan, exactly as the shell would start them, without starting any.

use std::io;
use std::process::{Command, Stdio};

use crate::agent::AGENT_NAME;
use crate::error::{PipelineError, PipelineErrorKind};
use crate::interpolate::Environment;
use crate::pipeline::{Pipeline, Plan, Step};

/// Written before a step's script: with an empty `PATH` every command is one that bash cannot find,
/// and the handler for those prints the argument vector instead (its length, then each argument,
/// with a NUL after each). Directories that commands would have made are not there, so `cd` stays.
const PREAMBLE: &str = r#"PATH=/nonexistent
cd() { :; }
command_not_found_handle() { printf '%d\0' "$#"; printf '%s\0' "$@"; }
"#;

/// Every worker command line of a pipeline for one environment, in dependency order; calls of
/// `buildkite-agent` are left out.
///
/// Shell builtins (tests, arrays, assignments) are carried out, so optional inputs appear as they
/// would.
///
/// # Errors
///
/// Fails as [`Pipeline::resolve`] and [`step_commands`].
pub fn commands(
    pipeline: &Pipeline,
    environment: &Environment,
) -> Result<Vec<Vec<String>>, PipelineError> {
    let plan = pipeline.resolve(environment)?;
    let mut all = Vec::new();
    for step in &plan.steps {
        all.extend(step_commands(&plan, step, environment)?);
    }
    all.retain(|command| command.first().is_none_or(|name| name != AGENT_NAME));
    Ok(all)
}

/// Every command line of one step, those of `buildkite-agent` included.
///
/// # Errors
///
/// Fails when bash cannot be started, and on a script whose commands cannot be told without
/// running it: one that fails, prints, or names a program by its path.
pub fn step_commands(
    plan: &Plan,
    step: &Step,
    environment: &Environment,
) -> Result<Vec<Vec<String>>, PipelineError> {
    let output = Command::new("bash")
        .args(["-e", "-c", &format!("{PREAMBLE}{}", step.script)])
        .env_clear()
        .envs(environment)
        .envs(&plan.environment)
        .envs(&step.environment)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .output()
        .map_err(|source: io::Error| PipelineErrorKind::Shell { source })?;
    let error = |reason: String| PipelineErrorKind::Expand {
        step: step.key.clone(),
        reason,
    };
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(error(message.trim().to_owned()).into());
    }
    parse(&output.stdout).map_err(|reason| error(reason.to_owned()).into())
}

fn parse(bytes: &[u8]) -> Result<Vec<Vec<String>>, &'static str> {
    const MALFORMED: &str = "it prints something itself";
    let text = std::str::from_utf8(bytes).map_err(|_| "an argument is not UTF-8")?;
    let mut fields = text.split_terminator('\0');
    let mut commands = Vec::new();
    while let Some(count) = fields.next() {
        let count: usize = count.parse().map_err(|_| MALFORMED)?;
        let command: Vec<String> = fields.by_ref().take(count).map(str::to_owned).collect();
        if command.len() != count || count == 0 {
            return Err(MALFORMED);
        }
        commands.push(command);
    }
    Ok(commands)
}
