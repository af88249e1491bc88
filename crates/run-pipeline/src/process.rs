//! One step's process: its own process group, its output line by line, its deadline.

// A log is written while the step runs and read by people at any time, so it cannot be one of
// `fork-fs`'s files that appear when they are complete.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fork_fs::{FsError, Operation};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::layout::Layout;
use crate::state::RunningNote;

/// How long a step may take to clean up after SIGTERM before SIGKILL; the agent's default is the
/// same.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How often the step is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How often its memory is looked at: walking `/proc` costs about a millisecond.
const SAMPLE: Duration = Duration::from_millis(200);
/// How long a step counts as young: until then its memory is looked at with every poll, because a
/// short step would otherwise be gone before the second look.
const YOUNG: Duration = Duration::from_secs(2);
/// How long to wait for the rest of the output of a step that ended.
const DRAIN: Duration = Duration::from_secs(2);
/// Longest line shown whole, in bytes; longer ones are broken, so that memory stays bounded.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Largest `/proc` file read, in bytes.
const PROC_BYTES_MAX: u64 = 64 << 10;

/// Where lines go: whole, one at a time, whoever writes.
#[derive(Clone)]
pub struct LineSink(Arc<Mutex<Box<dyn Write + Send>>>);

impl std::fmt::Debug for LineSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LineSink")
    }
}

impl LineSink {
    /// Lines go to `output`.
    #[must_use]
    pub fn new(output: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(output)))
    }

    /// Writes `[prefix] line`. A closed output must not stop a run, so errors are ignored; the logs
    /// in the output directory have everything.
    pub fn line(&self, prefix: &str, line: &[u8]) {
        let mut text = Vec::with_capacity(prefix.len() + line.len() + 4);
        text.extend_from_slice(b"[");
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(b"] ");
        text.extend_from_slice(line);
        text.push(b'\n');
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output.write_all(&text).and_then(|()| output.flush());
    }
}

/// Waits for a line, then becomes the script's shell. Without the line, because the runner was killed
/// before it had noted the process, nothing is done.
const GATE: &str = r#"read -r _ && exec bash -e -c "$0" </dev/null"#;

/// What to run.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// Name of the job in files.
    pub key: &'a str,
    /// Prefix of its lines.
    pub name: &'a str,
    /// The shell script.
    pub script: &'a str,
    /// Its working directory.
    pub directory: PathBuf,
    /// Variables on top of this process's own.
    pub environment: BTreeMap<String, OsString>,
    /// Its log file, appended to.
    pub log: PathBuf,
    /// The run's directories, where it is noted that the step runs.
    pub layout: &'a Layout,
    /// When to stop it.
    pub timeout: Option<Duration>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal nobody here sent.
    Killed(i32),
    /// Stopped after its timeout.
    TimedOut,
    /// Stopped because the run was.
    Interrupted,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(127) => f.write_str("exit code 127: a command was not found"),
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("stopped after its timeout"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// A process that ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// How.
    pub end: End,
    /// Largest resident set of any one of its processes, in bytes, as far as sampling saw.
    pub peak_memory_bytes: Option<u64>,
}

/// Runs a script as an agent does, `bash -e -c`, and leaves no process of it behind.
///
/// # Errors
///
/// Fails when the shell cannot be started or the log not be written.
pub fn run(
    invocation: &Invocation<'_>,
    sink: &LineSink,
    stop: &AtomicBool,
) -> Result<Ended, PipelineError> {
    let shell = |source| PipelineError::from(PipelineErrorKind::Shell { source });
    let log = File::options()
        .create(true)
        .append(true)
        .open(&invocation.log)
        .map_err(|source| FsError::io(Operation::Create, &invocation.log, source))?;
    // One pipe for both keeps the order in which the step wrote.
    let (reader, writer) = io::pipe().map_err(shell)?;
    let second = writer.try_clone().map_err(shell)?;
    let mut child = Command::new("bash")
        .args(["-c", GATE, invocation.script])
        .current_dir(&invocation.directory)
        .envs(&invocation.environment)
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(second)
        .process_group(0)
        .spawn()
        .map_err(shell)?;
    let lines = forward(reader, invocation.name.to_owned(), sink.clone(), log);
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let note = group.map(|group| {
        RunningNote::write(
            invocation.layout,
            invocation.key,
            group.as_raw_nonzero().get(),
        )
    });
    let opened = |child: &mut Child| match child.stdin.take() {
        Some(mut gate) => gate.write_all(b"\n").map_err(shell),
        None => Ok(()),
    };
    let note = match note
        .transpose()
        .and_then(|note| opened(&mut child).map(|()| note))
    {
        Ok(note) => note.flatten(),
        Err(error) => {
            signal(group, Signal::KILL);
            // It is gone in a moment, and nobody asks how it ended.
            let _ = child.wait();
            return Err(error);
        }
    };
    let mut peak = None;
    let waited = wait(&mut child, group, invocation.timeout, stop, &mut peak);
    // Whatever the script left in the background would hold the pipe and outlive the run.
    signal(group, Signal::KILL);
    drop(note);
    let drained = Instant::now() + DRAIN;
    while !lines.is_finished() && Instant::now() < drained {
        thread::sleep(POLL);
    }
    Ok(Ended {
        end: waited.map_err(shell)?,
        peak_memory_bytes: peak,
    })
}

fn wait(
    child: &mut Child,
    group: Option<Pid>,
    timeout: Option<Duration>,
    stop: &AtomicBool,
    peak: &mut Option<u64>,
) -> io::Result<End> {
    let started = Instant::now();
    let mut sampled: Option<Instant> = None;
    // Why it was told to stop, and when.
    let mut stopped: Option<(End, Instant)> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(stopped.map_or_else(|| end_of(status), |(end, _)| end));
        }
        match stopped {
            Some((_, since)) if since.elapsed() > STOP_GRACE => signal(group, Signal::KILL),
            Some(_) => {}
            None => {
                let end = if stop.load(Ordering::Relaxed) {
                    Some(End::Interrupted)
                } else if timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
                    Some(End::TimedOut)
                } else {
                    None
                };
                if let Some(end) = end {
                    signal(group, Signal::TERM);
                    stopped = Some((end, Instant::now()));
                }
            }
        }
        let young = started.elapsed() < YOUNG;
        if young || sampled.is_none_or(|last| last.elapsed() >= SAMPLE) {
            *peak = (*peak).max(group.and_then(peak_memory_bytes));
            sampled = Some(Instant::now());
        }
        thread::sleep(POLL);
    }
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => End::Killed(signal.unwrap_or_default()),
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // Nobody left in the group is what one wants to hear.
        let _ = kill_process_group(group, signal);
    }
}

fn forward(reader: PipeReader, key: String, sink: LineSink, mut log: File) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut reader)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            sink.line(&key, &line);
            line.push(b'\n');
            let _ = log.write_all(&line);
        }
    })
}

/// Largest `VmHWM` among the processes of a group.
fn peak_memory_bytes(group: Pid) -> Option<u64> {
    let group = group.as_raw_nonzero().to_string();
    fork_fs::sorted_names(Path::new("/proc"))
        .ok()?
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|process| {
            // pid (name) state parent group …; the name may hold anything, even parentheses.
            proc_text(process, "stat").is_some_and(|stat| {
                let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
                fields.and_then(|fields| fields.split_whitespace().nth(2)) == Some(&group)
            })
        })
        .filter_map(|process| {
            let status = proc_text(process, "status")?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kibibytes.checked_mul(1024)
        })
        .max()
}

fn proc_text(process: &str, file: &str) -> Option<String> {
    let path = Path::new("/proc").join(process).join(file);
    let bytes = fork_fs::read_limited(&path, PROC_BYTES_MAX).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
