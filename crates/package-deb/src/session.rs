//! `package-deb session`.

use fork_worker::{Context, ReportingArgs, WorkerResult};

/// Take a package apart, change it, and put it together again
#[derive(Clone, Debug, clap::Args)]
pub struct SessionArgs {
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl SessionArgs {
    pub(crate) fn run(&self, _context: &Context) -> WorkerResult {
        Ok(())
    }
}
