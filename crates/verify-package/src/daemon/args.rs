//! What the command line says about a node.

use std::path::PathBuf;
use std::time::Duration;

use fork_daemon::DaemonUrl;

/// Largest sample: a query of twenty accounts takes a daemon some milliseconds.
const SAMPLE_MAX: u64 = 100_000;

/// A running node to compare the package with.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Running node")]
pub struct NodeArgs {
    /// GraphQL address of a node that was started from the package, such as http://127.0.0.1:3085
    #[arg(long, value_name = "URL")]
    pub daemon: Option<DaemonUrl>,

    /// Accounts to draw from the genesis ledger, beside the first, the last, and zkApp, timed and
    /// token accounts, which are always looked at
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(..=SAMPLE_MAX))]
    pub sample: u64,

    /// Seed of the sample [default: from the SHA-256 of the packaged config]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,

    /// How long to wait for the node's genesis, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0, value_parser = parse_seconds)]
    pub boot_timeout: f64,

    /// Directory with the node's exports: staged-ledger.json, staking-epoch-ledger.json,
    /// next-epoch-ledger.json, each as `mina ledger export` prints it
    #[arg(long, value_name = "DIR")]
    pub exports: Option<PathBuf>,
}

impl NodeArgs {
    pub(crate) fn boot_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.boot_timeout)
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // A year is longer than anybody waits, and fits a duration.
        Ok(seconds) if (0.0..=31_536_000.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds from 0 to a year".to_owned()),
    }
}
