//! Running a plan: every step as soon as what it depends on is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fork_types::Class;

use crate::agent;
use crate::annotations;
use crate::answers::Answers;
use crate::cache::Cache;
use crate::contents::Contents;
use crate::error::PipelineError;
use crate::fingerprint::Available;
use crate::forecast::{self, Forecast, Limits};
use crate::history::History;
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::live::{Board, Live};
use crate::memory::Memory;
use crate::page::{PAGE_FILE, page};
use crate::pipeline::Plan;
use crate::process::LineSink;
use crate::report::{REPORT_FILE, RunReport, StepReport, Time, budget, seconds};
use crate::slots::Slots;
use crate::spent::Spent;
use crate::state;

mod job;
mod schedule;

/// How often what is shown of a run is brought up to date.
const LOOK: Duration = Duration::from_millis(200);

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The output directory; it is absolute and exists.
    pub output: PathBuf,
    /// How long the run may take, in milliseconds.
    pub budget_ms: u64,
    /// What keeps jobs from running beside each other.
    pub limits: Limits,
    /// The time, in milliseconds since 1970.
    pub now_unix_ms: u64,
    /// Whether all parts in this directory are one run, also after one that passed.
    pub is_one: bool,
    /// Keep the working directories of steps that passed.
    pub keep_work: bool,
    /// Which results of earlier runs are used.
    pub reuse: Reuse,
    /// What persons answered.
    pub answers: Answers,
    /// What jobs that run beside each other may need of memory, in bytes; `None` for no limit.
    pub memory_bytes: Option<u64>,
    /// Slots of concurrency groups; `None` when there is no place to share them with other runs.
    pub slots: Option<Slots>,
    /// Variables for every step on top of this process's own; the pipeline's win over them.
    pub environment: Environment,
    /// This program, which the steps call as `buildkite-agent` and whose directory holds the
    /// workers.
    pub program: PathBuf,
}

/// Which results of earlier runs are used, when nothing that they depend on has changed.
#[derive(Clone, Debug, Default)]
pub struct Reuse {
    /// Those in the output directory.
    pub output: bool,
    /// Those in this cache; results of this run are added to it.
    pub cache: Option<Cache>,
    /// Keys of steps that run whatever there is, and everything that depends on them.
    pub again: BTreeSet<String>,
    /// When not empty: only these steps run, and what they depend on must be in the output
    /// directory.
    pub only: BTreeSet<String>,
    /// When `only` is not empty: these steps and what they depend on; others do not appear.
    pub wanted: BTreeSet<String>,
}

/// Runs a plan and writes its report.
///
/// A step that fails stops only what depends on it. The exit code of the whole is that of the step
/// that failed first; 3 when none did and a step waits for an answer, or soft-failed with 3; 4 when
/// all passed and it took longer than its budget, with the parts of the run that were before this one.
///
/// # Errors
///
/// Fails when the output directory cannot be written to; a failing step is no error but in the
/// report.
pub fn run(
    plan: &Plan,
    options: &Options,
    live: &Live,
    stop: &AtomicBool,
) -> Result<RunReport, PipelineError> {
    let sink = live.sink();
    let layout = Layout {
        output: options.output.clone(),
    };
    let plan = Arc::new(plan.clone());
    let forecast = Forecast::new(&plan, &layout, options.limits);
    let memory = Memory::new(&plan, &layout, options.memory_bytes);
    let _lock = state::lock(&layout)?;
    let spent = Spent::begin(&layout, options.now_unix_ms, options.is_one)?;
    let earlier = spent.earlier;
    let runner = Runner {
        plan: Mutex::new(Arc::clone(&plan)),
        options,
        sink,
        stop,
        board: live.board(plan, forecast, options.budget_ms, earlier.worked_ms),
        spent: Mutex::new(spent),
        layout,
        started: Instant::now(),
        contents: Contents::default(),
        available: Mutex::default(),
        owners: Mutex::default(),
        answers: Mutex::new(options.answers.clone()),
        is_container_noted: AtomicBool::new(false),
        memory: Mutex::new(memory),
    };
    runner.prepare()?;
    let (mut reports, mut exit_code) = runner.run_steps();
    let plan = runner.plan();
    reports.sort_by_key(|report| plan.steps.iter().position(|step| step.key == report.key));
    let results = results(&plan, &reports);
    let wall_ms = milliseconds(runner.started.elapsed());
    let worked_ms = wall_ms.saturating_add(earlier.worked_ms);
    if exit_code == 0 && worked_ms > options.budget_ms {
        let line = format!(
            "error: the run took {}, longer than its budget of {}",
            seconds(worked_ms),
            budget(options.budget_ms)
        );
        sink.line("run-pipeline", line.as_bytes());
        exit_code = Class::Wrong.exit_code();
    }
    locked(&runner.spent).end(wall_ms, exit_code)?;
    let time = Time {
        wall_ms,
        earlier,
        budget_ms: options.budget_ms,
    };
    let report = RunReport::new(exit_code, time, reports, results);
    annotations::write(&options.output, &report.annotations)?;
    let path = options.output.join(REPORT_FILE);
    let mut bytes = serde_json::to_vec_pretty(&report)
        .map_err(|error| PipelineError::io(fork_fs::Operation::Write, &path, error.into()))?;
    bytes.push(b'\n');
    fork_fs::write_atomic(&path, &bytes)?;
    let mut history = History::read(&runner.layout);
    let page = page(&report, &history);
    fork_fs::write_atomic(&options.output.join(PAGE_FILE), page.as_bytes())?;
    history.add(&report, forecast::input(&plan, &runner.layout));
    history.write(&runner.layout)?;
    runner.tidy()?;
    if let Some(cache) = &options.reuse.cache {
        cache.prune()?;
    }
    Ok(report)
}

struct Runner<'a> {
    /// Grows when steps upload steps.
    plan: Mutex<Arc<Plan>>,
    options: &'a Options,
    sink: &'a LineSink,
    stop: &'a AtomicBool,
    board: Board,
    layout: Layout,
    started: Instant,
    contents: Contents,
    /// What the steps that passed left.
    available: Mutex<Available>,
    /// Of steps with several jobs: which job left which artifact, by step and path.
    owners: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    answers: Mutex<Answers>,
    is_container_noted: AtomicBool,
    memory: Mutex<Memory>,
    spent: Mutex<Spent>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runner<'_> {
    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&locked(&self.plan))
    }

    fn prepare(&self) -> Result<(), PipelineError> {
        let bin = self.layout.bin();
        for directory in ["artifacts", "logs", "work"] {
            fork_fs::create_dir_all(&self.options.output.join(directory))?;
        }
        for step in state::stop_orphans(&self.layout)? {
            self.sink.line(
                &step,
                b"stopped: an earlier run that was killed left it running",
            );
        }
        self.options.answers.write(&self.layout)?;
        self.note_containers(&self.plan());
        // What a run that was killed left.
        for directory in ["staged", "uploads", "notes"] {
            fork_fs::remove_dir_all(&self.layout.state().join(directory))?;
        }
        fork_fs::remove_dir_all(&bin)?;
        fork_fs::create_dir_all(&bin)?;
        let link = bin.join(agent::AGENT_NAME);
        std::os::unix::fs::symlink(&self.options.program, &link)
            .map_err(|source| PipelineError::io(fork_fs::Operation::Create, &link, source))
    }

    /// Says once that images of plugins are not used.
    fn note_containers(&self, plan: &Plan) {
        let in_container = plan.steps.iter().any(|step| step.in_container);
        if in_container && !self.is_container_noted.swap(true, Ordering::Relaxed) {
            self.sink.line(
                "run-pipeline",
                b"images of the docker plugin are not used: the steps run on this machine",
            );
        }
    }

    /// Removes what only running steps need; working directories of steps that failed stay.
    fn tidy(&self) -> Result<(), PipelineError> {
        fork_fs::remove_dir_all(&self.layout.bin())?;
        for directory in ["staged", "uploads", "notes"] {
            fork_fs::remove_dir_all(&self.layout.state().join(directory))?;
        }
        let work = self.options.output.join("work");
        if fork_fs::sorted_names(&work)?.is_empty() {
            fork_fs::remove_dir_all(&work)?;
        }
        Ok(())
    }
}

fn results(plan: &Plan, reports: &[StepReport]) -> Vec<String> {
    let leaves = plan.leaves();
    let mut results: Vec<String> = Vec::new();
    for report in reports {
        let leaf = leaves.iter().any(|step| step.key == report.key);
        for artifact in &report.artifacts {
            // A leaf's artifacts by their top-level names: an image is one directory of many
            // blobs.
            let name = if artifact.path.ends_with(".deb") || artifact.path.ends_with(".tar") {
                &artifact.path
            } else if leaf {
                artifact.path.split('/').next().unwrap_or(&artifact.path)
            } else {
                continue;
            };
            let result = format!("artifacts/{}/{name}", report.step);
            if !results.contains(&result) {
                results.push(result);
            }
        }
    }
    results
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
