//! Running a plan: every step as soon as what it depends on is done.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fork_types::{Class, Fault};

use crate::agent;
use crate::artifacts::{Artifact, Store};
use crate::cache::Cache;
use crate::contents::Contents;
use crate::error::{PipelineError, PipelineErrorKind};
use crate::fingerprint::{Available, Context, Fingerprint};
use crate::forecast::Forecast;
use crate::history::History;
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::live::{Board, Live};
use crate::page::{PAGE_FILE, page};
use crate::pipeline::{Plan, Step};
use crate::process::{End, Ended, Invocation, LineSink, run as run_process};
use crate::report::{REPORT_FILE, RunReport, Source, State, StepReport};
use crate::state::{self, Record};

/// How often what is shown of a run is brought up to date.
const LOOK: Duration = Duration::from_millis(200);

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The output directory; it is absolute and exists.
    pub output: PathBuf,
    /// How long the run may take, in milliseconds.
    pub budget_ms: u64,
    /// Most steps at a time.
    pub jobs: usize,
    /// Keep the working directories of steps that passed.
    pub keep_work: bool,
    /// Which results of earlier runs are used.
    pub reuse: Reuse,
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
    /// Steps that run whatever there is.
    pub again: BTreeSet<String>,
    /// When not empty: only these steps run, and what they depend on must be in the output
    /// directory.
    pub only: BTreeSet<String>,
}

/// Runs a plan and writes its report.
///
/// A step that fails stops only what depends on it. The exit code of the whole is that of the step
/// that failed first; 4 when all passed and it took longer than its budget.
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
    let forecast = Forecast::new(plan, &layout);
    let runner = Runner {
        plan,
        options,
        sink,
        stop,
        board: live.board(plan, &forecast, options.budget_ms),
        layout,
        started: Instant::now(),
        contents: Contents::default(),
        available: Mutex::default(),
    };
    let _lock = state::lock(&runner.layout)?;
    runner.prepare()?;
    let (mut reports, mut exit_code) = runner.run_steps();
    let order = |report: &StepReport| plan.steps.iter().position(|step| step.key == report.key);
    reports.sort_by_key(order);
    let results = runner.results(&reports);
    let wall_ms = milliseconds(runner.started.elapsed());
    if exit_code == 0 && wall_ms > options.budget_ms {
        sink.line(
            "run-pipeline",
            b"error: the run took longer than its budget",
        );
        exit_code = Class::Wrong.exit_code();
    }
    let report = RunReport::new(exit_code, wall_ms, options.budget_ms, reports, results);
    let path = options.output.join(REPORT_FILE);
    let mut bytes = serde_json::to_vec_pretty(&report)
        .map_err(|error| PipelineError::io(fork_fs::Operation::Write, &path, error.into()))?;
    bytes.push(b'\n');
    fork_fs::write_atomic(&path, &bytes)?;
    let mut history = History::read(&runner.layout);
    let page = page(&report, &history);
    fork_fs::write_atomic(&options.output.join(PAGE_FILE), page.as_bytes())?;
    history.add(&report);
    history.write(&runner.layout)?;
    runner.tidy()?;
    if let Some(cache) = &options.reuse.cache {
        cache.prune()?;
    }
    Ok(report)
}

struct Runner<'a> {
    plan: &'a Plan,
    options: &'a Options,
    sink: &'a LineSink,
    stop: &'a AtomicBool,
    board: Board<'a>,
    layout: Layout,
    started: Instant,
    contents: Contents,
    /// What the steps that passed left.
    available: Mutex<Available>,
}

impl Runner<'_> {
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
        // What a run that was killed left.
        fork_fs::remove_dir_all(&bin)?;
        fork_fs::create_dir_all(&bin)?;
        let link = bin.join(agent::AGENT_NAME);
        std::os::unix::fs::symlink(&self.options.program, &link)
            .map_err(|source| PipelineError::io(fork_fs::Operation::Create, &link, source))
    }

    /// Removes what only running steps need; working directories of steps that failed stay.
    fn tidy(&self) -> Result<(), PipelineError> {
        fork_fs::remove_dir_all(&self.layout.bin())?;
        let work = self.options.output.join("work");
        if fork_fs::sorted_names(&work)?.is_empty() {
            fork_fs::remove_dir_all(&work)?;
        }
        Ok(())
    }

    /// Runs everything; returns the reports in the order in which the steps ended.
    fn run_steps(&self) -> (Vec<StepReport>, u8) {
        let mut waiting: Vec<&Step> = self.plan.steps.iter().collect();
        let mut reports: Vec<StepReport> = Vec::new();
        let mut exit_code = 0;
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let mut running = 0;
            loop {
                // Skipping one step may be what another one waits for, so until nothing changes.
                while let Some(report) = self.skip_one(&mut waiting, &reports) {
                    self.sink.line(&report.key, b"skipped");
                    self.board.end(&report.key);
                    reports.push(report);
                }
                while running < self.options.jobs.max(1) {
                    let passed = |key: &String| {
                        let report = reports.iter().find(|report| report.key == *key);
                        report.is_some_and(|report| report.state == State::Passed)
                    };
                    let ready = |step: &&Step| step.depends_on.iter().all(passed);
                    let Some(index) = waiting.iter().position(ready) else {
                        break;
                    };
                    let step = waiting.remove(index);
                    let sender = sender.clone();
                    running += 1;
                    self.board.start(&step.key);
                    scope.spawn(move || {
                        // The receiver lives as long as the scope.
                        let _ = sender.send(self.run_step(step));
                    });
                }
                if running == 0 {
                    break;
                }
                let (report, code) = loop {
                    if let Some(warning) = self.board.look() {
                        self.sink.line("run-pipeline", warning.as_bytes());
                    }
                    // The sender above keeps the channel open, so this is about time alone.
                    if let Ok(ended) = receiver.recv_timeout(LOOK) {
                        break ended;
                    }
                };
                running -= 1;
                self.board.end(&report.key);
                if exit_code == 0 {
                    exit_code = code;
                }
                reports.push(report);
            }
        });
        if self.stop.load(Ordering::Relaxed) {
            exit_code = Class::Interrupted.exit_code();
        }
        (reports, exit_code)
    }

    fn skip_one(&self, waiting: &mut Vec<&Step>, reports: &[StepReport]) -> Option<StepReport> {
        let obstacle = |step: &Step| {
            if self.stop.load(Ordering::Relaxed) {
                return Some("the run was stopped".to_owned());
            }
            let failed = reports.iter().find(|report| {
                report.state != State::Passed && step.depends_on.contains(&report.key)
            });
            failed.map(|report| format!("needs {}", report.key))
        };
        let (index, reason) = waiting
            .iter()
            .enumerate()
            .find_map(|(index, step)| Some((index, obstacle(step)?)))?;
        let mut report = blank(waiting.remove(index));
        report.reason = Some(reason);
        Some(report)
    }

    fn run_step(&self, step: &Step) -> (StepReport, u8) {
        let mut report = blank(step);
        let started = Instant::now();
        report.started_ms = Some(milliseconds(started - self.started));
        report.log = Some(format!("logs/{}.log", step.key));
        self.sink.line(&step.key, b"started");
        let code = match self.run_or_reuse(step, &mut report) {
            Ok(code) => code,
            Err(error) => {
                report.state = State::Failed;
                report.reason = Some(words_of(&error));
                error.class().exit_code()
            }
        };
        if report.reused.is_none() {
            report.wall_ms = milliseconds(started.elapsed());
        }
        let line = match (&report.reason, report.reused) {
            (Some(reason), _) => format!("failed: {reason}"),
            (None, None) => format!("passed in {:.1} s", started.elapsed().as_secs_f64()),
            (None, Some(Source::Output)) => "kept: nothing changed".to_owned(),
            (None, Some(Source::Cache)) => "taken from the cache".to_owned(),
        };
        self.sink.line(&step.key, line.as_bytes());
        (report, code)
    }

    /// Runs a step, or finds that it need not run.
    fn run_or_reuse(&self, step: &Step, report: &mut StepReport) -> Result<u8, PipelineError> {
        let fingerprint = self.fingerprint(step)?;
        let code = match self.reusable(step, &fingerprint)? {
            Some((source, record)) => {
                report.state = State::Passed;
                report.reused = Some(source);
                report.wall_ms = record.wall_ms;
                report.peak_memory_bytes = record.peak_memory_bytes;
                report.artifacts = record.artifacts;
                0
            }
            None => self.run_anew(step, fingerprint, report)?,
        };
        if code == 0 {
            let artifacts = report.artifacts.iter();
            let digests = artifacts.map(|one| (one.path.clone(), one.sha256.clone()));
            let mut available = self
                .available
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            available.insert(step.key.clone(), digests.collect());
        }
        Ok(code)
    }

    fn fingerprint(&self, step: &Step) -> Result<Fingerprint, PipelineError> {
        let available = self
            .available
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let available = available.clone();
        let context = Context {
            plan: self.plan,
            environment: &self.options.environment,
            programs: self.options.program.parent().unwrap_or(Path::new("/")),
            contents: &self.contents,
        };
        context.fingerprint(step, &available)
    }

    /// A result that can be used as it is. Says why when there is one that cannot.
    fn reusable(
        &self,
        step: &Step,
        fingerprint: &Fingerprint,
    ) -> Result<Option<(Source, Record)>, PipelineError> {
        let reuse = &self.options.reuse;
        let must = !reuse.only.is_empty() && !reuse.only.contains(&step.key);
        if reuse.only.contains(&step.key) || reuse.again.contains(&step.key) {
            return Ok(None);
        }
        let mut reason = "it has not passed in this output directory".to_owned();
        if reuse.output
            && let Some(record) = Record::read(&self.layout.record(&step.key))
        {
            match fingerprint.change(&record.fingerprint) {
                None => {
                    let store = Store::new(self.layout.clone());
                    if store.holds(&step.key, &record.artifacts)? {
                        return Ok(Some((Source::Output, record)));
                    }
                    "its artifacts are not what it left".clone_into(&mut reason);
                }
                Some(change) => reason = change,
            }
            let line = format!("runs again: {reason}");
            if !must {
                self.sink.line(&step.key, line.as_bytes());
            }
        }
        if must {
            let step = step.key.clone();
            return Err(PipelineErrorKind::NoResult { step, reason }.into());
        }
        let Some(cache) = reuse.cache.as_ref().filter(|_| fingerprint.is_closed()) else {
            return Ok(None);
        };
        self.forget(step)?;
        let restored = cache.restore(fingerprint, &self.layout, &step.key)?;
        if let Some(record) = &restored {
            record.write(&self.layout.record(&step.key))?;
        }
        Ok(restored.map(|record| (Source::Cache, record)))
    }

    /// Removes what an earlier run left of a step.
    fn forget(&self, step: &Step) -> Result<(), PipelineError> {
        // The record first: what it says must be true at any moment.
        fork_fs::remove_all(&self.layout.record(&step.key))?;
        Store::new(self.layout.clone()).clear(&step.key)
    }

    fn run_anew(
        &self,
        step: &Step,
        fingerprint: Fingerprint,
        report: &mut StepReport,
    ) -> Result<u8, PipelineError> {
        self.forget(step)?;
        fork_fs::remove_all(&self.layout.log(&step.key))?;
        let started = Instant::now();
        let code = self.attempt_all(step, report)?;
        if code == 0 {
            let record = Record {
                fingerprint,
                wall_ms: milliseconds(started.elapsed()),
                peak_memory_bytes: report.peak_memory_bytes,
                artifacts: report.artifacts.clone(),
            };
            record.write(&self.layout.record(&step.key))?;
            if let Some(cache) = &self.options.reuse.cache
                && record.fingerprint.is_closed()
            {
                cache.keep(&record, &self.layout, &step.key)?;
            }
        }
        Ok(code)
    }

    fn attempt_all(&self, step: &Step, report: &mut StepReport) -> Result<u8, PipelineError> {
        loop {
            report.attempts += 1;
            let ended = self.attempt(step)?;
            report.peak_memory_bytes = report.peak_memory_bytes.max(ended.peak_memory_bytes);
            let limit = retry_limit(step, ended.end);
            if report.attempts <= limit && !self.stop.load(Ordering::Relaxed) {
                let line = format!(
                    "{}; attempt {} follows",
                    words(ended.end),
                    report.attempts + 1
                );
                self.sink.line(&step.key, line.as_bytes());
                continue;
            }
            if let End::Exited(code) = ended.end {
                report.exit_code = Some(code);
            }
            if ended.end == End::Exited(0) {
                report.artifacts = self.keep_artifacts(step)?;
                report.state = State::Passed;
                return Ok(0);
            }
            report.state = match ended.end {
                End::TimedOut => State::TimedOut,
                End::Interrupted => State::Interrupted,
                End::Exited(_) | End::Killed(_) => State::Failed,
            };
            report.reason = Some(words(ended.end));
            return Ok(exit_code(ended.end));
        }
    }

    fn attempt(&self, step: &Step) -> Result<Ended, PipelineError> {
        let directory = self.layout.work(&step.key);
        fork_fs::remove_dir_all(&directory)?;
        fork_fs::create_dir_all(&directory)?;
        let invocation = Invocation {
            key: &step.key,
            script: &step.script,
            directory,
            environment: self.environment(step)?,
            log: self.layout.log(&step.key),
            layout: &self.layout,
            timeout: step.timeout,
        };
        run_process(&invocation, self.sink, self.stop)
    }

    fn keep_artifacts(&self, step: &Step) -> Result<Vec<Artifact>, PipelineError> {
        let store = Store::new(self.layout.clone());
        let directory = self.layout.work(&step.key);
        let take = !self.options.keep_work;
        for pattern in &step.artifact_paths {
            if store.upload(&step.key, &directory, pattern, take)? == 0 {
                let line = format!("warning: no file matches artifact path `{pattern}`");
                self.sink.line(&step.key, line.as_bytes());
            }
        }
        if take {
            fork_fs::remove_dir_all(&directory)?;
        }
        store.list(&step.key)
    }

    fn environment(&self, step: &Step) -> Result<BTreeMap<String, OsString>, PipelineError> {
        let mut result = BTreeMap::new();
        for source in [
            &self.options.environment,
            &self.plan.environment,
            &step.environment,
        ] {
            for (name, value) in source {
                result.insert(name.clone(), OsString::from(value));
            }
        }
        let visible: Vec<&str> = self
            .plan
            .ancestors(step)
            .iter()
            .map(|step| step.key.as_str())
            .collect();
        let mut set = |name: &str, value: OsString| result.insert(name.to_owned(), value);
        set(agent::VISIBLE_VARIABLE, visible.join(",").into());
        set(agent::OUTPUT_VARIABLE, self.layout.output.clone().into());
        set(agent::STEP_VARIABLE, (&step.key).into());
        set("BUILDKITE_LABEL", (&step.label).into());
        let path = self.path()?;
        set("PATH", path);
        Ok(result)
    }

    /// The stand-in first, then the workers beside this program, then whatever was there.
    fn path(&self) -> Result<OsString, PipelineError> {
        let old = match self.options.environment.get("PATH") {
            Some(path) => OsString::from(path),
            None => std::env::var_os("PATH").unwrap_or_default(),
        };
        let workers = self.options.program.parent().unwrap_or(Path::new("/"));
        let directories = [self.layout.bin(), workers.to_owned()];
        std::env::join_paths(directories.into_iter().chain(std::env::split_paths(&old))).map_err(
            |_| {
                PipelineErrorKind::Usage {
                    reason: "a directory with `:` in its name cannot be on PATH".to_owned(),
                }
                .into()
            },
        )
    }

    fn results(&self, reports: &[StepReport]) -> Vec<String> {
        let leaves = self.plan.leaves();
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
                let result = format!("artifacts/{}/{name}", report.key);
                if !results.contains(&result) {
                    results.push(result);
                }
            }
        }
        results
    }
}

fn blank(step: &Step) -> StepReport {
    StepReport {
        key: step.key.clone(),
        label: step.label.clone(),
        depends_on: step.depends_on.clone(),
        state: State::Skipped,
        exit_code: None,
        reason: None,
        reused: None,
        attempts: 0,
        started_ms: None,
        wall_ms: 0,
        peak_memory_bytes: None,
        log: None,
        artifacts: Vec::new(),
    }
}

/// Only a step that ended by itself is tried again: lost agents, which pipelines write as -1, do
/// not exist here, and what took too long once will again.
fn retry_limit(step: &Step, end: End) -> u32 {
    let code = match end {
        End::Exited(0) | End::Interrupted | End::Killed(_) | End::TimedOut => return 0,
        End::Exited(code) => i64::from(code),
    };
    step.retries
        .iter()
        .find(|retry| retry.exit_status.is_none_or(|status| status == code))
        .map_or(0, |retry| retry.limit)
}

fn words(end: End) -> String {
    match end {
        End::Exited(127) => "exit code 127: a command was not found".to_owned(),
        End::Exited(code) => format!("exit code {code}"),
        End::Killed(signal) => format!("killed by signal {signal}"),
        End::TimedOut => "stopped after its timeout".to_owned(),
        End::Interrupted => "interrupted".to_owned(),
    }
}

/// The run's exit code for a step that ended so.
fn exit_code(end: End) -> u8 {
    let class = match end {
        End::Exited(code @ (0..=6 | 130)) => return u8::try_from(code).unwrap_or(1),
        // The shell's own codes for a command that cannot be run.
        End::Exited(126 | 127) => Class::Environment,
        // Nobody here sent that signal; most often the kernel ran out of memory.
        End::Killed(_) | End::TimedOut => Class::Environment,
        End::Interrupted => Class::Interrupted,
        End::Exited(_) => Class::Internal,
    };
    class.exit_code()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn words_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
