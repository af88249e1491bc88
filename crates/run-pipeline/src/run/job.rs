//! One job: kept, taken from the cache, or run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use fork_types::{Class, Fault};

use super::{Runner, locked, milliseconds};
use crate::agent;
use crate::annotations;
use crate::artifacts::{Artifact, Store};
use crate::error::{PipelineError, PipelineErrorKind};
use crate::fingerprint::{Context, Fingerprint};
use crate::forecast;
use crate::pipeline::Step;
use crate::process::{End, Ended, Invocation, run as run_process};
use crate::report::{Source, State, StepReport};
use crate::state::Record;
use crate::uploads;

impl Runner<'_> {
    /// Runs a job or finds that it need not run: its report, and the run's exit code for it.
    pub(super) fn run_step(&self, step: &Step) -> (StepReport, u8) {
        let mut report = StepReport::blank(step);
        let started = Instant::now();
        report.started_ms = Some(milliseconds(started - self.started));
        report.log = Some(format!("logs/{}.log", step.key));
        self.sink.line(&step.name, b"started");
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
            (Some(reason), _) if report.state == State::SoftFailed => {
                format!("soft failed: {reason}")
            }
            (Some(reason), _) => format!("failed: {reason}"),
            (None, None) => format!("passed in {:.1} s", started.elapsed().as_secs_f64()),
            (None, Some(Source::Output)) => "kept: nothing changed".to_owned(),
            (None, Some(Source::Cache)) => "taken from the cache".to_owned(),
        };
        self.sink.line(&step.name, line.as_bytes());
        (report, code)
    }

    /// Runs a job, or finds that it need not run.
    fn run_or_reuse(&self, step: &Step, report: &mut StepReport) -> Result<u8, PipelineError> {
        let fingerprint = self.fingerprint(step)?;
        let code = match self.reusable(step, &fingerprint)? {
            Some((source, record)) => {
                report.state = State::Passed;
                report.reused = Some(source);
                report.wall_ms = record.wall_ms;
                report.peak_memory_bytes = record.peak_memory_bytes;
                report.artifacts = record.artifacts;
                report.additions = record.additions;
                report.notes = record.notes;
                0
            }
            None => self.run_anew(step, fingerprint, report)?,
        };
        if report.state.is_satisfied() {
            let artifacts = report.artifacts.iter();
            let digests = artifacts.map(|one| (one.path.clone(), one.sha256.clone()));
            let mut available = locked(&self.available);
            available
                .entry(step.step.clone())
                .or_default()
                .extend(digests);
        }
        Ok(code)
    }

    fn fingerprint(&self, step: &Step) -> Result<Fingerprint, PipelineError> {
        let available = locked(&self.available).clone();
        let answers = locked(&self.answers).clone();
        let context = Context {
            plan: &self.plan(),
            environment: &self.options.environment,
            programs: self.options.program.parent().unwrap_or(Path::new("/")),
            contents: &self.contents,
            answers: &answers,
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
        let must = !reuse.only.is_empty() && !reuse.only.contains(&step.step);
        let plan = self.plan();
        let mut before = plan.ancestors(step).into_iter();
        if reuse.only.contains(&step.step)
            || reuse.again.contains(&step.step)
            || before.any(|ancestor| reuse.again.contains(&ancestor.step))
        {
            return Ok(None);
        }
        let mut reason = "it has not passed in this output directory".to_owned();
        if reuse.output
            && let Some(record) = Record::read(&self.layout.record(&step.key))
        {
            match fingerprint.change(&record.fingerprint) {
                None => {
                    let store = Store::new(self.layout.clone());
                    let is_only = !step.is_one_of_many();
                    if store.holds(&step.step, &record.artifacts, is_only)? {
                        self.own(step, &record.artifacts)?;
                        return Ok(Some((Source::Output, record)));
                    }
                    "its artifacts are not what it left".clone_into(&mut reason);
                }
                Some(change) => reason = change,
            }
            let line = format!("runs again: {reason}");
            if !must {
                self.sink.line(&step.name, line.as_bytes());
            }
        }
        if must {
            let step = step.name.clone();
            return Err(PipelineErrorKind::NoResult { step, reason }.into());
        }
        let Some(cache) = reuse.cache.as_ref().filter(|_| fingerprint.is_closed()) else {
            return Ok(None);
        };
        self.forget(step)?;
        let kept = self.layout.kept(&step.key, &step.step);
        let restored = cache.restore(fingerprint, &kept)?;
        if let Some(record) = &restored {
            self.settle_artifacts(step, &record.artifacts)?;
            record.write(&self.layout.record(&step.key))?;
        }
        Ok(restored.map(|record| (Source::Cache, record)))
    }

    /// Notes that a job left these artifacts, of which no other job of the step may have one.
    fn own(&self, step: &Step, artifacts: &[Artifact]) -> Result<(), PipelineError> {
        if !step.is_one_of_many() {
            return Ok(());
        }
        let mut owners = locked(&self.owners);
        let owners = owners.entry(step.step.clone()).or_default();
        for Artifact { path, .. } in artifacts {
            if let Some(other) = owners.insert(path.clone(), step.name.clone()) {
                return Err(PipelineError::agent(format!(
                    "two jobs left the same artifact `{path}`: {other} and {}",
                    step.name
                )));
            }
        }
        Ok(())
    }

    /// Puts the artifacts of one of several jobs to those of the others.
    fn settle_artifacts(&self, step: &Step, artifacts: &[Artifact]) -> Result<(), PipelineError> {
        if !step.is_one_of_many() {
            return Ok(());
        }
        self.own(step, artifacts)?;
        let store = Store::new(self.layout.clone());
        let owners = locked(&self.owners);
        let none = BTreeMap::new();
        let owners = owners.get(&step.step).unwrap_or(&none);
        store.merge(
            &self.layout.staged(&step.key),
            &step.step,
            artifacts,
            owners,
        )
    }

    /// Removes what an earlier run left of a job.
    fn forget(&self, step: &Step) -> Result<(), PipelineError> {
        // The record first: what it says must be true at any moment.
        fork_fs::remove_all(&self.layout.record(&step.key))?;
        Ok(fork_fs::remove_dir_all(
            &self.layout.kept(&step.key, &step.step),
        )?)
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
        if report.state.is_satisfied() {
            self.settle_artifacts(step, &report.artifacts)?;
        }
        if report.state == State::Passed {
            let record = Record {
                fingerprint,
                wall_ms: milliseconds(started.elapsed()),
                peak_memory_bytes: report.peak_memory_bytes,
                input_bytes: forecast::input(&self.plan(), &self.layout),
                artifacts: report.artifacts.clone(),
                additions: report.additions.clone(),
                notes: report.notes.clone(),
            };
            record.write(&self.layout.record(&step.key))?;
            if let Some(cache) = &self.options.reuse.cache
                && record.fingerprint.is_closed()
            {
                cache.keep(&record, &self.layout.artifacts(&step.step), &step.key)?;
            }
        }
        Ok(code)
    }

    fn attempt_all(&self, step: &Step, report: &mut StepReport) -> Result<u8, PipelineError> {
        loop {
            report.attempts += 1;
            uploads::clear(&self.layout, &step.key)?;
            annotations::clear(&self.layout, &step.key)?;
            let ended = self.attempt(step)?;
            report.peak_memory_bytes = report.peak_memory_bytes.max(ended.peak_memory_bytes);
            report.notes = annotations::read(&self.layout, &step.key)?;
            let limit = retry_limit(step, ended.end);
            if report.attempts <= limit && !self.stop.load(Ordering::Relaxed) {
                let line = format!("{}; attempt {} follows", ended.end, report.attempts + 1);
                self.sink.line(&step.name, line.as_bytes());
                continue;
            }
            if let End::Exited(code) = ended.end {
                report.exit_code = Some(code);
            }
            report.state = match ended.end {
                End::Exited(0) => State::Passed,
                end if is_soft(step, end) => State::SoftFailed,
                End::TimedOut => State::TimedOut,
                End::Interrupted => State::Interrupted,
                End::Exited(_) | End::Killed(_) => State::Failed,
            };
            if report.state != State::Passed {
                report.reason = Some(ended.end.to_string());
            }
            if !report.state.is_satisfied() {
                return Ok(exit_code(ended.end));
            }
            report.additions = uploads::read(&self.layout, &step.key)?;
            report.artifacts = self.keep_artifacts(step)?;
            return Ok(0);
        }
    }

    fn attempt(&self, step: &Step) -> Result<Ended, PipelineError> {
        let directory = self.layout.work(&step.key);
        fork_fs::remove_dir_all(&directory)?;
        fork_fs::create_dir_all(&directory)?;
        let invocation = Invocation {
            key: &step.key,
            name: &step.name,
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
        let kept = self.layout.kept(&step.key, &step.step);
        let directory = self.layout.work(&step.key);
        let take = !self.options.keep_work;
        for pattern in &step.artifact_paths {
            if Store::upload(&kept, &directory, pattern, take)? == 0 {
                let line = format!("warning: no file matches artifact path `{pattern}`");
                self.sink.line(&step.name, line.as_bytes());
            }
        }
        if take {
            fork_fs::remove_dir_all(&directory)?;
        }
        Store::list(&kept)
    }

    fn environment(&self, step: &Step) -> Result<BTreeMap<String, OsString>, PipelineError> {
        let plan = self.plan();
        let mut result = BTreeMap::new();
        for source in [
            &self.options.environment,
            &plan.environment,
            &step.environment,
        ] {
            for (name, value) in source {
                result.insert(name.clone(), OsString::from(value));
            }
        }
        let visible = plan.visible(step).join(",");
        let mut set = |name: &str, value: OsString| result.insert(name.to_owned(), value);
        set(agent::VISIBLE_VARIABLE, visible.into());
        set(agent::OUTPUT_VARIABLE, self.layout.output.clone().into());
        set(agent::STEP_VARIABLE, (&step.step).into());
        set(agent::JOB_VARIABLE, (&step.key).into());
        set(agent::LABEL_VARIABLE, (&step.label).into());
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

/// Whether the pipeline lets a step end so. A step that was stopped did not end.
fn is_soft(step: &Step, end: End) -> bool {
    match end {
        End::Exited(code) => {
            let mut statuses = step.soft_fail.iter();
            statuses.any(|status| status.is_none_or(|status| status == i64::from(code)))
        }
        End::Killed(_) => step.soft_fail.contains(&None),
        End::TimedOut | End::Interrupted => false,
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

pub(super) fn words_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
