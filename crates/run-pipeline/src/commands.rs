//! The command lines of a plan, exactly as the shell would start them, without starting any.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::agent::{AGENT_NAME, JOB_VARIABLE, LABEL_VARIABLE, STEP_VARIABLE};
use crate::error::{PipelineError, PipelineErrorKind};
use crate::interpolate::Environment;
use crate::pipeline::{Pipeline, Plan, Step};

/// Written before a step's script: with an empty `PATH` every command is one that bash cannot find,
/// and the handler for those prints the argument vector instead (its length, then each argument,
/// with a NUL after each).
///
/// Bash carries out builtins itself. Those that reach beyond the shell are taken away, so that they
/// are printed like any command, and the rest runs in a restricted shell: no output is redirected to
/// a file, nothing is started by its path, `PATH` stays as it is. Directories that commands would have
/// made are not there, so `cd` stays.
const PREAMBLE: &str = r#"PATH=/nonexistent
cd() { :; }
command_not_found_handle() { printf '%d\0' "$#"; printf '%s\0' "$@"; }
readonly PATH SHELL ENV BASH_ENV HISTFILE
enable -n kill history fc suspend ulimit umask enable
set -r
"#;

/// Variables that make bash read files or change what it does before the first line.
const READ_BY_BASH: [&str; 6] = [
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "BASH_COMPAT",
    "BASH_XTRACEFD",
];

/// How long a script may take when none of its commands run.
const LISTING_TIME: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
/// Largest listing of a step, in bytes.
const LISTING_BYTES_MAX: u64 = 16 << 20;

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
/// Fails when bash cannot be started, on a script that fails, and with
/// [`PipelineErrorKind::Unlisted`] on one whose commands cannot be told without running it: it writes
/// to a file, prints, needs the output of a command, or names a program by its path.
pub fn step_commands(
    plan: &Plan,
    step: &Step,
    environment: &Environment,
) -> Result<Vec<Vec<String>>, PipelineError> {
    let unlisted = |reason: &str| {
        PipelineError::from(PipelineErrorKind::Unlisted {
            step: step.name.clone(),
            reason: reason.to_owned(),
        })
    };
    // Bash connects to such a file when it only reads from it.
    if ["/dev/tcp/", "/dev/udp/"]
        .iter()
        .any(|file| step.script.contains(file))
    {
        return Err(unlisted("it talks to the network itself"));
    }
    let Some(listing) = listing(plan, step, environment)? else {
        return Err(unlisted("it takes too long or prints too much"));
    };
    let message = String::from_utf8_lossy(&listing.errors);
    if let Some(line) = message.lines().find(|line| line.contains("restricted")) {
        return Err(unlisted(if line.ends_with("cannot redirect output") {
            "it writes to a file"
        } else {
            // `bash: line 7: NAME: restricted`
            line.splitn(3, ": ").last().unwrap_or(line)
        }));
    }
    if message.contains("ignored null byte") {
        return Err(unlisted("it needs the output of a command"));
    }
    if !listing.is_success {
        let reason = message.trim().to_owned();
        let step = step.name.clone();
        return Err(PipelineErrorKind::Expand { step, reason }.into());
    }
    parse(&listing.output).map_err(unlisted)
}

/// What a script did in the restricted shell.
struct Listing {
    is_success: bool,
    output: Vec<u8>,
    errors: Vec<u8>,
}

/// Runs a script in the restricted shell, in an empty directory; `None` when that takes too long.
fn listing(
    plan: &Plan,
    step: &Step,
    environment: &Environment,
) -> Result<Option<Listing>, PipelineError> {
    let shell = |source: io::Error| PipelineError::from(PipelineErrorKind::Shell { source });
    let directory = tempfile::tempdir().map_err(shell)?;
    let mut variables = environment.clone();
    variables.extend(plan.environment.clone());
    variables.extend(step.environment.clone());
    variables.retain(|name, _| {
        !READ_BY_BASH.contains(&name.as_str()) && !name.starts_with("BASH_FUNC_")
    });
    let mut child = Command::new("bash")
        .args(["-e", "-c", &format!("{PREAMBLE}{}", step.script)])
        .env_clear()
        .envs(variables)
        .env(STEP_VARIABLE, &step.step)
        .env(JOB_VARIABLE, &step.key)
        .env(LABEL_VARIABLE, &step.label)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // What bash says is looked at below.
        .env("LC_ALL", "C")
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(shell)?;
    let output = child.stdout.take().map(gathered);
    let errors = child.stderr.take().map(gathered);
    let status = wait(&mut child).map_err(shell)?;
    let bytes = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    };
    let (output, errors) = (bytes(output), bytes(errors));
    let is_whole = (output.len() as u64) < LISTING_BYTES_MAX;
    Ok(status.filter(|_| is_whole).map(|is_success| Listing {
        is_success,
        output,
        errors,
    }))
}

fn gathered(pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing from the listing, which is then malformed.
        let _ = pipe.take(LISTING_BYTES_MAX).read_to_end(&mut bytes);
        bytes
    })
}

/// Whether the shell succeeded; `None` when it had to be stopped. Nothing of it is left behind.
fn wait(child: &mut Child) -> io::Result<Option<bool>> {
    let deadline = Instant::now() + LISTING_TIME;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status.success());
        }
        if Instant::now() > deadline {
            break None;
        }
        thread::sleep(POLL);
    };
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Nobody left in the group is what one wants to hear.
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    Ok(status)
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
