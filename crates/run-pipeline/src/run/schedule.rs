//! Which job starts when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use fork_fs::{FileLock, Operation};
use fork_types::{Class, Fault};

use super::job::words_of;
use super::{LOOK, Runner, locked, milliseconds};
use crate::contents::digest_of;
use crate::error::PipelineError;
use crate::forecast::{Forecast, is_importer};
use crate::memory::Memory;
use crate::pipeline::{Plan, Step};
use crate::report::{State, StepReport};
use crate::uploads;

/// What is known while a run goes on.
#[derive(Default)]
struct Progress {
    /// Names of the jobs that have not started.
    waiting: Vec<String>,
    /// Those that run.
    running: Vec<Arc<Step>>,
    /// Those that ended, in the order in which they did.
    reports: Vec<StepReport>,
    /// Slots of concurrency groups, by the job that has one.
    slots: BTreeMap<String, FileLock>,
    /// Jobs that wait for a slot that another run has.
    is_waiting_for_slot: BTreeSet<String>,
    /// Of the step that failed first.
    exit_code: u8,
}

impl Progress {
    /// Keys of the steps of which a job has not ended so that others may go on.
    fn unsatisfied<'p>(&self, plan: &'p Plan) -> BTreeSet<&'p str> {
        let reports = self.reports.iter();
        let satisfied: BTreeSet<&str> = reports
            .filter(|report| report.state.is_satisfied())
            .map(|report| report.key.as_str())
            .collect();
        let jobs = plan.steps.iter();
        jobs.filter(|job| !satisfied.contains(job.key.as_str()))
            .map(|job| job.step.as_str())
            .collect()
    }

    /// Whether the limit of its concurrency group lets a job start.
    fn has_slot(&self, plan: &Plan, step: &Step) -> bool {
        let Some(wanted) = &step.concurrency else {
            return true;
        };
        let in_group = |other: &Step| {
            let concurrency = other.concurrency.as_ref();
            concurrency.is_some_and(|concurrency| concurrency.group == wanted.group)
        };
        let running = self.running.iter().filter(|other| in_group(other)).count();
        let is_next = !wanted.is_ordered
            || !plan.steps.iter().any(|other| {
                other.number < step.number && in_group(other) && self.waiting.contains(&other.key)
            });
        running < wanted.limit && is_next
    }
}

fn is_ready(step: &Step, unsatisfied: &BTreeSet<&str>) -> bool {
    let mut waits = step.depends_on.iter();
    waits.all(|key| !unsatisfied.contains(key.as_str()))
}

impl Runner<'_> {
    /// Runs everything; returns the reports in the order in which the jobs ended, and the exit code.
    pub(super) fn run_steps(&self) -> (Vec<StepReport>, u8) {
        let mut now = Progress {
            waiting: self
                .plan()
                .steps
                .iter()
                .map(|step| step.key.clone())
                .collect(),
            ..Progress::default()
        };
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            loop {
                // Skipping one step may be what another one waits for, so until nothing changes.
                while let Some((name, line, report)) = self.settle_one(&mut now) {
                    self.sink.line(&name, line.as_bytes());
                    self.board.end(&report.key);
                    if report.state == State::Failed && now.exit_code == 0 {
                        now.exit_code = Class::Environment.exit_code();
                    }
                    now.reports.push(report);
                }
                while let Some(step) = self.next(&mut now) {
                    let step = Arc::new(step);
                    self.board.start(&step);
                    now.running.push(Arc::clone(&step));
                    let sender = sender.clone();
                    scope.spawn(move || {
                        // The receiver lives as long as the scope.
                        let _ = sender.send(self.run_step(&step));
                    });
                }
                if now.running.is_empty() && now.is_waiting_for_slot.is_empty() {
                    self.give_up(&mut now);
                    break;
                }
                if let Some(warning) = self.board.look() {
                    self.sink.line("run-pipeline", warning.as_bytes());
                }
                locked(&self.spent).note();
                // The sender above keeps the channel open, so this is about time alone.
                let Ok((mut report, mut code)) = receiver.recv_timeout(LOOK) else {
                    continue;
                };
                now.running.retain(|step| step.key != report.key);
                now.slots.remove(&report.key);
                if report.state.is_satisfied()
                    && let Err(error) = self.adopt(&mut now, &report)
                {
                    code = error.class().exit_code();
                    report.state = State::Failed;
                    report.reason = Some(words_of(&error));
                    let line = format!("failed: {}", words_of(&error));
                    self.sink.line(&report.name, line.as_bytes());
                    // It must run again, and its uploads be adopted, before it counts as passed.
                    let _ = fork_fs::remove_all(&self.layout.record(&report.key));
                }
                self.board.end(&report.key);
                self.look_at_input(&report);
                if now.exit_code == 0 {
                    now.exit_code = code;
                }
                now.reports.push(report);
                self.sweep(&now);
            }
        });
        let exit_code = self.exit_code(&now);
        (now.reports, exit_code)
    }

    /// Ends jobs that wait for each other in a circle of ordered concurrency groups, which Buildkite
    /// would leave waiting for ever.
    fn give_up(&self, now: &mut Progress) {
        let plan = self.plan();
        for key in std::mem::take(&mut now.waiting) {
            let Some(step) = plan.steps.iter().find(|step| step.key == key) else {
                continue;
            };
            let mut report = StepReport::blank(step);
            let reason = "jobs of ordered concurrency groups wait for each other";
            report.reason = Some(reason.to_owned());
            self.sink
                .line(&step.name, format!("skipped: {reason}").as_bytes());
            self.board.end(&step.key);
            now.reports.push(report);
            if now.exit_code == 0 {
                now.exit_code = Class::BadInput.exit_code();
            }
        }
    }

    fn exit_code(&self, now: &Progress) -> u8 {
        if self.stop.load(Ordering::Relaxed) {
            return Class::Interrupted.exit_code();
        }
        let pending = Class::Pending.exit_code();
        let plan = self.plan();
        // What was pending before and is not any more: a step that waited for it has passed.
        let passed_since = |report: &StepReport| {
            plan.steps.iter().any(|step| {
                let passed = |other: &StepReport| {
                    other.key == step.key && other.state == State::Passed && step.gate.is_none()
                };
                now.reports.iter().any(passed)
                    && plan.ancestors(step).iter().any(|one| one.key == report.key)
            })
        };
        let waits = |report: &StepReport| match report.state {
            State::Blocked => true,
            State::SoftFailed => {
                report.exit_code == Some(i32::from(pending)) && !passed_since(report)
            }
            _ => false,
        };
        match now.exit_code {
            0 if now.reports.iter().any(waits) => pending,
            code => code,
        }
    }

    /// The next job to start, if one can.
    fn next(&self, now: &mut Progress) -> Option<Step> {
        if now.running.len() >= self.options.limits.jobs.max(1) || self.stop.load(Ordering::Relaxed)
        {
            return None;
        }
        let plan = self.plan();
        let unsatisfied = now.unsatisfied(&plan);
        for step in &plan.steps {
            let can_start = now.waiting.contains(&step.key)
                && step.gate.is_none()
                && is_ready(step, &unsatisfied)
                && self
                    .options
                    .limits
                    .allow(step, now.running.iter().map(Arc::as_ref))
                && now.has_slot(&plan, step);
            if !can_start || !self.has_memory(step, now) || !self.takes_slot(step, now) {
                continue;
            }
            now.waiting.retain(|key| *key != step.key);
            now.is_waiting_for_slot.remove(&step.key);
            if let Some(warning) = locked(&self.memory).warning(&step.key) {
                self.sink.line(&step.name, warning.as_bytes());
            }
            return Some(step.clone());
        }
        None
    }

    fn has_memory(&self, step: &Step, now: &Progress) -> bool {
        let running = now.running.iter().map(|step| step.key.as_str());
        locked(&self.memory).fits(&step.key, running)
    }

    /// Takes the slot of the job's concurrency group, which other runs on the machine may have.
    fn takes_slot(&self, step: &Step, now: &mut Progress) -> bool {
        let (Some(slots), Some(concurrency)) = (&self.options.slots, &step.concurrency) else {
            return true;
        };
        match slots.take(concurrency) {
            Ok(Some(lock)) => {
                now.slots.insert(step.key.clone(), lock);
                true
            }
            Ok(None) => {
                if now.is_waiting_for_slot.insert(step.key.clone()) {
                    let line = format!(
                        "waits: another run on this machine has concurrency group `{}`",
                        concurrency.group
                    );
                    self.sink.line(&step.name, line.as_bytes());
                }
                false
            }
            // It worked a moment ago. Without a slot the promise to other runs would be broken, so the
            // job waits until the disk is well again or the run is stopped.
            Err(error) => {
                if now.is_waiting_for_slot.insert(step.key.clone()) {
                    let line = format!("waits: {}", words_of(&error));
                    self.sink.line(&step.name, line.as_bytes());
                }
                false
            }
        }
    }

    /// Ends one of the jobs that will not start, or a step that waits for a person: its name, what to
    /// say and its report.
    fn settle_one(&self, now: &mut Progress) -> Option<(String, String, StepReport)> {
        let plan = self.plan();
        let mut steps = plan
            .steps
            .iter()
            .filter(|step| now.waiting.contains(&step.key));
        let unsatisfied = now.unsatisfied(&plan);
        let mut failed: BTreeMap<&str, &str> = BTreeMap::new();
        for report in &now.reports {
            if !report.state.is_satisfied() {
                failed.entry(&report.step).or_insert(&report.name);
            }
        }
        let (step, state, reason) = steps.find_map(|step| {
            let (state, reason) = self.settled(step, &unsatisfied, &failed, &plan)?;
            Some((step, state, reason))
        })?;
        now.waiting.retain(|key| *key != step.key);
        now.is_waiting_for_slot.remove(&step.key);
        let mut report = StepReport::blank(step);
        report.state = state;
        let line = match (state, &reason) {
            (State::Passed, _) => {
                let teams = step.gate.iter().flat_map(|gate| &gate.allowed_teams);
                let teams: Vec<&str> = teams.map(String::as_str).collect();
                match teams.as_slice() {
                    [] => "unblocked".to_owned(),
                    _ => format!(
                        "unblocked; whether that was one of {} cannot be checked here",
                        teams.join(", ")
                    ),
                }
            }
            (State::Failed, Some(reason)) => format!("failed: {reason}"),
            (State::Blocked, Some(reason)) => format!("blocked: {reason}"),
            (State::Omitted, Some(reason)) => format!("skipped: {reason}"),
            _ => "skipped".to_owned(),
        };
        if matches!(state, State::Passed | State::Blocked) {
            report.started_ms = Some(milliseconds(self.started.elapsed()));
        }
        report.reason = reason;
        Some((step.name.clone(), line, report))
    }

    fn settled(
        &self,
        step: &Step,
        unsatisfied: &BTreeSet<&str>,
        failed: &BTreeMap<&str, &str>,
        plan: &Plan,
    ) -> Option<(State, Option<String>)> {
        if self.stop.load(Ordering::Relaxed) {
            return Some((State::Skipped, Some("the run was stopped".to_owned())));
        }
        let mut needed = step.depends_on.iter();
        if let Some(name) = needed.find_map(|key| failed.get(key.as_str())) {
            return Some((State::Skipped, Some(format!("needs {name}"))));
        }
        let is_ready = || is_ready(step, unsatisfied);
        if let Some(reason) = &step.skip {
            return is_ready().then(|| (State::Omitted, Some(reason.clone())));
        }
        if !is_ready() {
            return None;
        }
        if step.gate.is_none() {
            let slots = self.options.slots.as_ref();
            let slots = slots.filter(|_| step.concurrency.is_some());
            let error = slots.and_then(|slots| slots.check().err())?;
            let reason = words_of(&error);
            let reason = format!("{reason}; name another directory with --state");
            return Some((State::Failed, Some(reason)));
        }
        let taken = match self.about(step, plan) {
            Ok(about) => locked(&self.answers).take(step, &about),
            Err(error) => return Some((State::Failed, Some(words_of(&error)))),
        };
        Some(match taken {
            Err(reason) => (State::Blocked, Some(reason)),
            Ok(values) => match self.set_answers(&values) {
                Ok(()) => (State::Passed, None),
                Err(error) => (State::Failed, Some(words_of(&error))),
            },
        })
    }

    /// Digest of everything that a step depends on.
    fn about(&self, step: &Step, plan: &Plan) -> Result<String, PipelineError> {
        let available = locked(&self.available);
        let visible = plan.visible(step);
        let seen: BTreeMap<_, _> = available
            .iter()
            .filter(|(key, _)| visible.contains(&key.as_str()))
            .collect();
        let bytes = serde_json::to_vec(&seen).map_err(|error| {
            PipelineError::io(Operation::Write, Path::new("artifacts"), error.into())
        })?;
        Ok(digest_of(&bytes).sha256)
    }

    fn set_answers(&self, values: &BTreeMap<String, String>) -> Result<(), PipelineError> {
        for (field, value) in values {
            crate::agent::set_meta_data(&self.layout, field, value)?;
        }
        locked(&self.answers).write(&self.layout)
    }

    /// Takes over the steps that a job uploaded.
    fn adopt(&self, now: &mut Progress, report: &StepReport) -> Result<(), PipelineError> {
        let plan = self.plan();
        let Some(step) = plan.steps.iter().find(|step| step.key == report.key) else {
            return Ok(());
        };
        if report.additions.is_empty() {
            return Ok(());
        }
        let mut adopted = uploads::adopted(&plan, step, &report.additions)?;
        let wanted = &self.options.reuse.wanted;
        if !self.options.reuse.only.is_empty() {
            adopted.steps.retain(|step| wanted.contains(&step.step));
            let left: Vec<String> = adopted.steps.iter().map(|step| step.step.clone()).collect();
            for step in &mut adopted.steps {
                step.depends_on.retain(|key| left.contains(key));
            }
        }
        let mut count = 0;
        for step in &adopted.steps {
            if !plan.steps.iter().any(|known| known.key == step.key) {
                now.waiting.push(step.key.clone());
                count += 1;
            }
        }
        let line = format!("uploaded {count} jobs");
        self.sink.line(&report.name, line.as_bytes());
        let adopted = Arc::new(adopted);
        self.note_containers(&adopted);
        *locked(&self.plan) = adopted;
        self.expect_anew();
        Ok(())
    }

    /// When the fork point has come, its size is known, and with it what everything will take.
    fn look_at_input(&self, report: &StepReport) {
        let plan = self.plan();
        let step = plan.steps.iter().find(|step| step.key == report.key);
        if report.state == State::Passed && step.is_some_and(is_importer) {
            self.expect_anew();
        }
    }

    fn expect_anew(&self) {
        let plan = self.plan();
        let forecast = Forecast::new(&plan, &self.layout, self.options.limits);
        let limit = self.options.memory_bytes;
        *locked(&self.memory) = Memory::new(&plan, &self.layout, limit);
        self.board.change(plan, forecast);
    }

    /// When the last of several jobs of a step has ended, what none of them left is removed.
    fn sweep(&self, now: &Progress) {
        let Some(report) = now.reports.last() else {
            return;
        };
        let plan = self.plan();
        if report.key == report.step || now.unsatisfied(&plan).contains(report.step.as_str()) {
            return;
        }
        let store = crate::artifacts::Store::new(self.layout.clone());
        let owners = locked(&self.owners);
        let none = BTreeMap::new();
        let left = owners.get(&report.step).unwrap_or(&none);
        if let Err(error) = store.sweep(&report.step, left) {
            let line = format!("warning: {}", words_of(&error));
            self.sink.line(&report.name, line.as_bytes());
        }
    }
}
