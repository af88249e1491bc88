//! Where a run keeps things.

use std::path::PathBuf;

/// Where a run keeps things, below its output directory.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The output directory, absolute.
    pub output: PathBuf,
}

impl Layout {
    /// Artifacts of a step, by its key.
    #[must_use]
    pub fn artifacts(&self, step: &str) -> PathBuf {
        self.output.join("artifacts").join(step)
    }

    /// What one of several jobs of a step left, until it is put to the artifacts of the step.
    #[must_use]
    pub fn staged(&self, job: &str) -> PathBuf {
        self.state().join("staged").join(job)
    }

    /// Where a job leaves its artifacts while it runs.
    #[must_use]
    pub fn kept(&self, job: &str, step: &str) -> PathBuf {
        if job == step {
            self.artifacts(step)
        } else {
            self.staged(job)
        }
    }

    /// Working directory of a job.
    #[must_use]
    pub fn work(&self, job: &str) -> PathBuf {
        self.output.join("work").join(job)
    }

    /// Log of a job.
    #[must_use]
    pub fn log(&self, job: &str) -> PathBuf {
        self.output.join("logs").join(format!("{job}.log"))
    }

    /// The directory that stands first on the steps' `PATH`.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.output.join("bin")
    }

    /// What another run needs to go on from here.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.output.join("state")
    }

    /// What is known of a job that passed.
    #[must_use]
    pub fn record(&self, job: &str) -> PathBuf {
        self.state().join(format!("{job}.json"))
    }

    /// Values that steps leave for each other.
    #[must_use]
    pub fn meta_data(&self) -> PathBuf {
        self.output.join("meta-data")
    }
}
