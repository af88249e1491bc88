//! Annotations: from the file the workers wrote to the agent.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fork_worker::Context;
use fork_worker::annotation::ANNOTATION_BYTES_MAX;

use crate::args::AnnotateArgs;

/// Name of the agent's command.
const AGENT: &str = "buildkite-agent";

/// How long the agent may take. The step has ended, so nobody should wait long for a note.
const AGENT_SECONDS_MAX: u64 = 60;

/// How often the agent is asked whether it is done.
const POLL: Duration = Duration::from_millis(20);

/// Most characters of an annotation's name; Buildkite takes 100.
const CONTEXT_CHARS_MAX: usize = 100;

/// How an annotation looks, by the exit status of its step.
#[must_use]
pub const fn style(status: i32) -> &'static str {
    match status {
        0 => "success",
        // Pending: not yet, and nothing wrong.
        3 => "warning",
        _ => "error",
    }
}

impl AnnotateArgs {
    /// Sends the annotation, and says on stderr why not when it cannot.
    pub(crate) fn run(&self, context: &Context) {
        if let Err(problem) = self.send() {
            context.note(&format!("no annotation: {problem}"));
        }
    }

    fn send(&self) -> Result<(), String> {
        let file = self.reporting.annotation.as_ref();
        let Some(file) = file.filter(|file| !file.is_empty()) else {
            return Ok(());
        };
        let path = Path::new(file);
        // A directory is no file either.
        match fork_fs::bytes_if_file(path) {
            Ok(Some(1..)) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
        let body =
            fork_fs::read_limited(path, ANNOTATION_BYTES_MAX).map_err(|error| error.to_string())?;
        let arguments = [
            "annotate".to_owned(),
            "--context".to_owned(),
            self.name(),
            "--style".to_owned(),
            style(self.status).to_owned(),
        ];
        run_agent(&arguments, body, Duration::from_secs(AGENT_SECONDS_MAX))
    }

    /// The annotation's name. Jobs of one step must not overwrite each other's.
    fn name(&self) -> String {
        let text = |value: &Option<OsString>| {
            let value = value.as_ref()?.to_string_lossy().into_owned();
            (!value.is_empty()).then_some(value)
        };
        let name = self.context.clone().unwrap_or_else(|| {
            let key = text(&self.step_key).unwrap_or_else(|| "pipeline-step".to_owned());
            match text(&self.parallel_job) {
                Some(job) => format!("{key}-{job}"),
                None => key,
            }
        });
        name.chars().take(CONTEXT_CHARS_MAX).collect()
    }
}

fn run_agent(arguments: &[String], body: Vec<u8>, limit: Duration) -> Result<(), String> {
    let started = Instant::now();
    let mut agent = Command::new(AGENT)
        .args(arguments)
        .stdin(Stdio::piped())
        // What it prints is no result of ours.
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("could not start {AGENT}: {error}"))?;
    let mut input = agent.stdin.take();
    // In a thread: an agent that does not read must not stop us.
    std::thread::spawn(move || {
        if let Some(input) = &mut input {
            // Its exit status says whether it had enough.
            let _ = input.write_all(&body);
        }
    });
    loop {
        match agent.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{AGENT} ended with {status}")),
            Ok(None) if started.elapsed() < limit => std::thread::sleep(POLL),
            Ok(None) => {
                // What cannot be killed is left: the step is over.
                let _ = agent.kill();
                let _ = agent.wait();
                return Err(format!("{AGENT} did not end within {} s", limit.as_secs()));
            }
            Err(error) => return Err(format!("could not wait for {AGENT}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles() {
        let all = [
            (0, "success"),
            (3, "warning"),
            (1, "error"),
            (130, "error"),
            (-1, "error"),
        ];
        for (status, expected) in all {
            assert_eq!(style(status), expected, "{status}");
        }
    }
}
