//! `package-deb diff`.

use fork_worker::{Context, ReportingArgs, WorkerResult};

/// Say what differs between two packages
#[derive(Clone, Debug, clap::Args)]
pub struct DiffArgs {
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl DiffArgs {
    pub(crate) fn run(&self, _context: &Context) -> WorkerResult {
        Ok(())
    }
}
