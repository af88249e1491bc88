//! Where a run keeps things.

use std::path::PathBuf;

/// Where a run keeps things, below its output directory.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The output directory, absolute.
    pub output: PathBuf,
}

impl Layout {
    /// Artifacts of a step.
    #[must_use]
    pub fn artifacts(&self, step: &str) -> PathBuf {
        self.output.join("artifacts").join(step)
    }

    /// Working directory of a step.
    #[must_use]
    pub fn work(&self, step: &str) -> PathBuf {
        self.output.join("work").join(step)
    }

    /// Log of a step.
    #[must_use]
    pub fn log(&self, step: &str) -> PathBuf {
        self.output.join("logs").join(format!("{step}.log"))
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

    /// What is known of a step that passed.
    #[must_use]
    pub fn record(&self, step: &str) -> PathBuf {
        self.state().join(format!("{step}.json"))
    }

    /// Values that steps leave for each other.
    #[must_use]
    pub fn meta_data(&self) -> PathBuf {
        self.output.join("meta-data")
    }
}
