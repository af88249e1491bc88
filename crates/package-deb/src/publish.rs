//! `package-deb publish`.

use fork_worker::{Context, ReportingArgs, WorkerResult};

/// Publish packages in a signed apt repository
#[derive(Clone, Debug, clap::Args)]
pub struct PublishArgs {
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl PublishArgs {
    pub(crate) fn run(&self, _context: &Context) -> WorkerResult {
        Ok(())
    }
}
