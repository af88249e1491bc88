//! `package-deb upload`.

use fork_worker::{Context, ReportingArgs, WorkerResult};

/// Upload ledger tarballs to the bucket daemons download them from
#[derive(Clone, Debug, clap::Args)]
pub struct UploadLedgersArgs {
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl UploadLedgersArgs {
    pub(crate) fn run(&self, _context: &Context) -> WorkerResult {
        Ok(())
    }
}
