//! What a run leaves beside its results so that another one can go on from there.
//!
//! `state/<step>.json` says of a step that passed what its result depended on and what it left;
//! it is written after the artifacts are in place and removed before the step runs again.
//! `state/running/<step>.json` names the processes of a step while they run: when the runner itself
//! is killed, they are still there.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fork_fs::{FileLock, Operation};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::annotations::Note;
use crate::artifacts::Artifact;
use crate::error::{PipelineError, PipelineErrorKind};
use crate::fingerprint::Fingerprint;
use crate::layout::Layout;
use crate::pipeline::Addition;

/// Largest record read, in bytes: an image of a hundred thousand files.
const RECORD_BYTES_MAX: u64 = 64 << 20;
/// How long processes that were sent SIGKILL may take to disappear.
const KILL_TIME: Duration = Duration::from_secs(10);
/// How long to wait for the lock: a process that a killed run was just starting holds it until it has
/// become the step's shell.
const LOCK_TIME: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);
/// Largest `/proc` file read, in bytes.
const PROC_BYTES_MAX: u64 = 64 << 10;

/// A step that passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What its result depended on.
    pub fingerprint: Fingerprint,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// Largest resident set of one of its processes, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Size of the fork point it worked on, in bytes, as far as it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<u64>,
    /// What it left.
    pub artifacts: Vec<Artifact>,
    /// The steps it added to the run, one entry for each upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additions: Vec<Addition>,
    /// What it annotated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

impl Record {
    /// Reads a record; `None` when there is none or it is of no use, whatever the reason: then the
    /// step runs.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let bytes = fork_fs::read_limited(path, RECORD_BYTES_MAX).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes the record, atomically.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn write(&self, path: &Path) -> Result<(), PipelineError> {
        write_json(self, path)
    }
}

pub(crate) fn write_json(value: &impl Serialize, path: &Path) -> Result<(), PipelineError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| PipelineError::io(Operation::Write, path, error.into()))?;
    Ok(fork_fs::write_atomic(path, &bytes)?)
}

/// Takes the output directory for this process; waits a moment for it.
///
/// # Errors
///
/// Fails when another run has it, or the disk refuses.
pub fn lock(layout: &Layout) -> Result<FileLock, PipelineError> {
    let state = layout.state();
    fork_fs::create_dir_all(&state)?;
    let deadline = Instant::now() + LOCK_TIME;
    loop {
        if let Some(lock) = FileLock::take(&state.join("lock"))? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            let output = layout.output.clone();
            return Err(PipelineErrorKind::Busy { output }.into());
        }
        thread::sleep(POLL);
    }
}

/// A process group that runs a step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Running {
    /// Number of the group and of its first process.
    group: i32,
    /// When that process started, in clock ticks after `boot`: numbers are used again.
    started: u64,
    /// Which start of the machine.
    boot: String,
}

/// Notes that a step's processes run, until dropped.
#[derive(Debug)]
pub(crate) struct RunningNote(PathBuf);

impl RunningNote {
    /// Writes the note. `None` where `/proc` cannot be read; then nobody can be found later.
    pub(crate) fn write(
        layout: &Layout,
        step: &str,
        group: i32,
    ) -> Result<Option<Self>, PipelineError> {
        let (Some(started), Some(boot)) = (started(group), boot()) else {
            return Ok(None);
        };
        let directory = layout.state().join("running");
        fork_fs::create_dir_all(&directory)?;
        let path = directory.join(format!("{step}.json"));
        let running = Running {
            group,
            started,
            boot,
        };
        write_json(&running, &path)?;
        Ok(Some(Self(path)))
    }
}

impl Drop for RunningNote {
    fn drop(&mut self) {
        // A note that stays names a process that is gone, which is found out.
        let _ = fork_fs::remove_all(&self.0);
    }
}

/// Stops what an earlier run of this output directory left running because it was killed itself.
/// Returns the steps that were stopped.
///
/// # Errors
///
/// Fails when processes do not end, and when the directory cannot be read.
pub fn stop_orphans(layout: &Layout) -> Result<Vec<String>, PipelineError> {
    let directory = layout.state().join("running");
    if !fork_fs::exists(&directory) {
        return Ok(Vec::new());
    }
    let mut stopped = Vec::new();
    for name in fork_fs::sorted_names(&directory)? {
        let path = directory.join(&name);
        let note = fork_fs::read_limited(&path, RECORD_BYTES_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Running>(&bytes).ok());
        if let Some(note) = note
            && boot().as_ref() == Some(&note.boot)
            && started(note.group) == Some(note.started)
            && let Some(group) = Pid::from_raw(note.group)
        {
            let _ = kill_process_group(group, Signal::KILL);
            let deadline = Instant::now() + KILL_TIME;
            while started(note.group) == Some(note.started) {
                if Instant::now() > deadline {
                    return Err(PipelineErrorKind::Orphan { group: note.group }.into());
                }
                thread::sleep(POLL);
            }
            let step = name.to_string_lossy();
            stopped.push(step.trim_end_matches(".json").to_owned());
        }
        fork_fs::remove_all(&path)?;
    }
    Ok(stopped)
}

/// When a process started; `None` when it is gone, or only its parent has not taken notice yet.
fn started(process: i32) -> Option<u64> {
    let bytes = fork_fs::read_limited(
        &PathBuf::from(format!("/proc/{process}/stat")),
        PROC_BYTES_MAX,
    )
    .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // pid (name) state …; the start is field 22, and the name may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if ["Z", "X"].contains(&fields.next()?) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot() -> Option<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let bytes = fork_fs::read_limited(path, PROC_BYTES_MAX).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}
