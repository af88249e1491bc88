//! What a run came to: the JSON document and the table people read.

use std::fmt::Write as _;

use serde::Serialize;

use crate::annotations::{Annotation, Note, assembled};
use crate::artifacts::Artifact;
use crate::pipeline::{Addition, Step};
use crate::spent::Earlier;

/// The whole pipeline's limit in minutes: six hours, the Foundation's requirement.
pub const BUDGET_MINUTES: u64 = 6 * 60;

/// Name of the report inside the run's output.
pub const REPORT_FILE: &str = "timing.json";

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Did its work, and its artifacts are kept.
    Passed,
    /// Ended with another exit code than 0.
    Failed,
    /// Was stopped after its time.
    TimedOut,
    /// Was stopped with the run.
    Interrupted,
    /// Did not start, because a step it depends on did not pass or the run was stopped.
    Skipped,
    /// Did not start, because the pipeline says so; what depends on it does start.
    #[serde(rename = "skipped")]
    Omitted,
    /// Ended with an exit code that the pipeline lets pass.
    SoftFailed,
    /// Waits for a person's answer.
    Blocked,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Interrupted => "interrupted",
            Self::Skipped | Self::Omitted => "skipped",
            Self::SoftFailed => "soft failed",
            Self::Blocked => "blocked",
        }
    }

    /// Whether what depends on it may start.
    #[must_use]
    pub const fn is_satisfied(self) -> bool {
        matches!(self, Self::Passed | Self::SoftFailed | Self::Omitted)
    }
}

/// Where a result comes from that was not made this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An earlier run into the same output directory.
    Output,
    /// The cache.
    Cache,
}

/// One job of a [`RunReport`].
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// The name of the job in files: the step's key, or with several jobs `KEY.VALUES`.
    pub key: String,
    /// The step's key.
    pub step: String,
    /// The name of the job for people.
    pub name: String,
    /// Key of the step that uploaded it.
    pub uploaded_by: Option<String>,
    /// Its label.
    pub label: String,
    /// Keys of the steps it waited for.
    pub depends_on: Vec<String>,
    /// How it ended.
    pub state: State,
    /// Exit code of the last attempt, when it ended by itself.
    pub exit_code: Option<i32>,
    /// Why it did not pass, in words.
    pub reason: Option<String>,
    /// Where its result comes from, when it did not run this time. Its times are then those of the
    /// run that made it.
    pub reused: Option<Source>,
    /// How many times it was started.
    pub attempts: u32,
    /// When it started, in milliseconds after the run.
    pub started_ms: Option<u64>,
    /// How long it took, in milliseconds, all attempts together; looking at what it depends on is
    /// counted.
    pub wall_ms: u64,
    /// Largest resident set of one of its processes, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Its log, relative to the output directory.
    pub log: Option<String>,
    /// What it left, below `artifacts/<step>/`.
    pub artifacts: Vec<Artifact>,
    /// What it annotated.
    #[serde(skip)]
    pub notes: Vec<Note>,
    /// The steps that it uploaded.
    #[serde(skip)]
    pub additions: Vec<Addition>,
}

impl StepReport {
    /// The report of a job that has not started.
    #[must_use]
    pub fn blank(step: &Step) -> Self {
        Self {
            key: step.key.clone(),
            step: step.step.clone(),
            name: step.name.clone(),
            uploaded_by: step.uploaded_by.clone(),
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
            notes: Vec::new(),
            additions: Vec::new(),
        }
    }

    /// How long it ran in this run, in milliseconds.
    #[must_use]
    pub fn ran_ms(&self) -> u64 {
        if self.reused.is_some() {
            return 0;
        }
        self.wall_ms
    }

    /// How it ended, or where its result comes from.
    #[must_use]
    pub const fn state_words(&self) -> &'static str {
        match self.reused {
            None => self.state.name(),
            Some(Source::Output) => "kept",
            Some(Source::Cache) => "from cache",
        }
    }

    fn ended_ms(&self) -> Option<u64> {
        Some(self.started_ms? + self.ran_ms())
    }
}

/// Keys of the jobs from the one that ended last, back along the dependency that ended last.
fn critical_path(steps: &[StepReport]) -> Vec<String> {
    let last = |wanted: &dyn Fn(&StepReport) -> bool| {
        let started = steps.iter().filter(|step| step.started_ms.is_some());
        started
            .filter(|step| wanted(step))
            .max_by_key(|step| step.ended_ms())
    };
    let mut path = Vec::new();
    let mut current = last(&|_| true);
    while let Some(step) = current {
        path.push(step.key.clone());
        current = last(&|other| step.depends_on.contains(&other.step));
    }
    path.reverse();
    path
}

/// How long a run took and may take.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Wall time of this part of it, in milliseconds.
    pub wall_ms: u64,
    /// The parts before it.
    pub earlier: Earlier,
    /// How long all of them may take, in milliseconds.
    pub budget_ms: u64,
}

/// `timing.json`.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// `forkpack.pipeline-run`.
    pub format: &'static str,
    /// Format version.
    pub version: u32,
    /// The exit code of the run.
    pub exit_code: u8,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// How long the parts of the run worked that were before this one, in milliseconds: a run that was
    /// stopped and gone on with has several.
    pub earlier_ms: u64,
    /// How long ago the first of them started, in milliseconds, when this one did.
    pub begun_before_ms: u64,
    /// How long it may take, in milliseconds.
    pub budget_ms: u64,
    /// Share of the budget used, in per cent; all parts count.
    pub budget_used_percent: f64,
    /// The steps that decided how long the run took: each waited for the one before it.
    pub critical_path: Vec<String>,
    /// What they took together, in milliseconds.
    pub critical_path_ms: u64,
    /// The jobs in dependency order.
    pub steps: Vec<StepReport>,
    /// What the steps annotated.
    pub annotations: Vec<Annotation>,
    /// The results, relative to the output directory: Debian packages, and what the steps left
    /// that nobody waits for.
    pub results: Vec<String>,
}

impl RunReport {
    /// Builds a report.
    #[must_use]
    pub fn new(exit_code: u8, time: Time, steps: Vec<StepReport>, results: Vec<String>) -> Self {
        let notes: Vec<(&str, &[Note])> = steps
            .iter()
            .map(|step| (step.step.as_str(), step.notes.as_slice()))
            .collect();
        let annotations = assembled(&notes);
        // Hundredths of a per cent, in integers: the document is the same on every machine.
        let critical_path = critical_path(&steps);
        let critical_path_ms = steps
            .iter()
            .filter(|step| critical_path.contains(&step.key))
            .map(StepReport::ran_ms)
            .sum();
        let Time {
            wall_ms,
            earlier,
            budget_ms,
        } = time;
        let worked_ms = wall_ms.saturating_add(earlier.worked_ms);
        let hundredths = worked_ms.saturating_mul(10_000) / budget_ms.max(1);
        Self {
            format: "forkpack.pipeline-run",
            version: 4,
            exit_code,
            wall_ms,
            earlier_ms: earlier.worked_ms,
            begun_before_ms: earlier.begun_ms,
            budget_ms,
            budget_used_percent: f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0,
            critical_path,
            critical_path_ms,
            steps,
            annotations,
            results,
        }
    }

    /// Names of the jobs of the critical path.
    #[must_use]
    pub fn path_words(&self, separator: &str) -> String {
        let mut names: Vec<&str> = Vec::new();
        for key in &self.critical_path {
            let step = self.steps.iter().find(|step| step.key == *key);
            names.push(step.map_or(key, |step| &step.name));
        }
        names.join(separator)
    }

    /// How long all parts of the run worked, in milliseconds.
    #[must_use]
    pub const fn worked_ms(&self) -> u64 {
        self.wall_ms.saturating_add(self.earlier_ms)
    }

    /// What counts beside this part, if anything does.
    #[must_use]
    pub fn earlier_words(&self) -> Option<String> {
        (self.earlier_ms > 0).then(|| {
            format!(
                "{} with the parts of this run before, which count; the first began {} before this one",
                seconds(self.worked_ms()),
                long(self.begun_before_ms)
            )
        })
    }

    /// How the run ended, in a word.
    #[must_use]
    pub const fn verdict(&self) -> &'static str {
        match self.exit_code {
            0 => "passed",
            3 => "pending",
            _ => "failed",
        }
    }

    /// The table, and where the results are.
    #[must_use]
    pub fn table(&self, output: &str) -> String {
        let width = self
            .steps
            .iter()
            .map(|step| step.name.chars().count())
            .max();
        let width = width.unwrap_or_default().max(5);
        let mut text = format!(
            "{:width$}  {:11}  {:>9}  {:>9}\n",
            "step", "state", "time", "memory"
        );
        for step in &self.steps {
            let memory = step.peak_memory_bytes.map_or_else(String::new, mebibytes);
            let state = step.state_words();
            let time = match step.state {
                State::Skipped | State::Omitted | State::Blocked => String::new(),
                _ => seconds(step.wall_ms),
            };
            let _ = write!(
                text,
                "{:width$}  {state:11}  {time:>9}  {memory:>9}",
                step.name
            );
            if let Some(reason) = &step.reason {
                let _ = write!(text, "  {reason}");
            }
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "{:width$}  {:11}  {:>9}  {:>8}% of the {} budget",
            "total",
            self.verdict(),
            seconds(self.wall_ms),
            format!("{:.2}", self.budget_used_percent),
            budget(self.budget_ms),
        );
        if let Some(words) = self.earlier_words() {
            let _ = writeln!(text, "working time: {words}");
        }
        if self.critical_path.len() > 1 {
            let _ = writeln!(
                text,
                "critical path: {} ({})",
                self.path_words(" -> "),
                seconds(self.critical_path_ms)
            );
        }
        // What went well can be read in the page; what did not is named here.
        let is_calm = |note: &&Annotation| !["warning", "error"].contains(&note.style.as_str());
        match self.annotations.iter().filter(is_calm).count() {
            0 => {}
            count => {
                let _ = writeln!(text, "annotations: {count} in {output}/annotations");
            }
        }
        for note in self.annotations.iter().filter(|note| !is_calm(note)) {
            let _ = writeln!(text, "annotation: {output}/{} [{}]", note.path, note.style);
        }
        for result in &self.results {
            let _ = writeln!(text, "result: {output}/{result}");
        }
        let hint = match self.exit_code {
            0 => return text,
            // The same command would say the same.
            2 => "what passed is kept: correct the command, and go on with it and --resume",
            _ => "what passed is kept: go on with the same command and --resume",
        };
        let _ = writeln!(text, "{hint}");
        text
    }
}

/// A budget in words: `6 h`, `90 min`.
pub(crate) fn budget(milliseconds: u64) -> String {
    match milliseconds / 60_000 {
        minutes if minutes > 0 && minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    }
}

/// A long time, roughly: `3 min`, `26 h`.
fn long(milliseconds: u64) -> String {
    match milliseconds / 60_000 {
        0 => seconds(milliseconds),
        minutes @ 1..120 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}

pub(crate) fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
