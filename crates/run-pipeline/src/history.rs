//! How long earlier runs into the same output directory took.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_fs::Operation;
use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::layout::Layout;
use crate::report::{RunReport, State};

/// Most runs remembered.
const RUNS_MAX: usize = 50;
/// Largest history read, in bytes.
const BYTES_MAX: u64 = 4 << 20;

/// One earlier run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierRun {
    /// Its exit code.
    pub exit_code: u8,
    /// Wall time of the run, in milliseconds.
    pub wall_ms: u64,
    /// Size of its fork point, in bytes, as far as it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<u64>,
    /// Wall time of the steps that it ran itself and that passed, in milliseconds.
    pub steps_ms: BTreeMap<String, u64>,
    /// Peak memory of these steps, in bytes, as far as it was seen.
    #[serde(default)]
    pub steps_memory_bytes: BTreeMap<String, u64>,
}

/// Earlier runs, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(pub Vec<EarlierRun>);

impl History {
    fn path(layout: &Layout) -> PathBuf {
        layout.state().join("history/runs.json")
    }

    /// Reads the history of an output directory; what cannot be read is forgotten.
    #[must_use]
    pub fn read(layout: &Layout) -> Self {
        let bytes = fork_fs::read_limited(&Self::path(layout), BYTES_MAX);
        let history = bytes.ok().map(|bytes| serde_json::from_slice(&bytes));
        history.and_then(Result::ok).unwrap_or_default()
    }

    /// Adds a run on a fork point of this size.
    pub fn add(&mut self, report: &RunReport, input_bytes: Option<u64>) {
        let own = |step: &&crate::report::StepReport| {
            step.state == State::Passed && step.reused.is_none() && step.attempts > 0
        };
        self.0.push(EarlierRun {
            exit_code: report.exit_code,
            wall_ms: report.wall_ms,
            input_bytes,
            steps_ms: report
                .steps
                .iter()
                .filter(own)
                .map(|step| (step.key.clone(), step.wall_ms))
                .collect(),
            steps_memory_bytes: report
                .steps
                .iter()
                .filter(own)
                .filter_map(|step| Some((step.key.clone(), step.peak_memory_bytes?)))
                .collect(),
        });
        let old = self.0.len().saturating_sub(RUNS_MAX);
        self.0.drain(..old);
    }

    /// Writes the history.
    ///
    /// # Errors
    ///
    /// Fails when the disk refuses.
    pub fn write(&self, layout: &Layout) -> Result<(), PipelineError> {
        let path = Self::path(layout);
        fork_fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        let bytes = serde_json::to_vec(self)
            .map_err(|error| PipelineError::io(Operation::Write, &path, error.into()))?;
        Ok(fork_fs::write_atomic(&path, &bytes)?)
    }

    /// What a step took, in milliseconds, and the size of the fork point, the last run first.
    pub fn times(&self, step: &str) -> impl Iterator<Item = (u64, Option<u64>)> {
        self.0
            .iter()
            .rev()
            .filter_map(move |run| Some((*run.steps_ms.get(step)?, run.input_bytes)))
    }

    /// The peak memory of a step, in bytes, and the size of the fork point, the last run first.
    pub fn memory_bytes(&self, step: &str) -> impl Iterator<Item = (u64, Option<u64>)> {
        self.0
            .iter()
            .rev()
            .filter_map(move |run| Some((*run.steps_memory_bytes.get(step)?, run.input_bytes)))
    }

    /// The quickest time of a step, and how many runs there were of it.
    #[must_use]
    pub fn quickest(&self, step: &str) -> Option<(u64, usize)> {
        let times = || self.0.iter().filter_map(|run| run.steps_ms.get(step));
        Some((*times().min()?, times().count()))
    }
}
