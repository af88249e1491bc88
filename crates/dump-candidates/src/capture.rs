//! `dump-candidates capture`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fork_daemon::{DaemonUrl, StoreUrl};
use fork_types::SlotSinceHardFork;
use fork_worker::ReportingArgs;

mod error;
mod metrics;
mod plan;
mod process;
mod run;
mod summary;
mod watch;
mod work_dir;

pub use error::CaptureError;
pub use summary::CaptureSummary;

/// Most daemons watched by one capture.
const DAEMONS_MAX: usize = 32;

/// Capture every fork candidate from running daemons into a store
///
/// Watches the best chain of each daemon. Every block from --window slots before slot_tx_end on that
/// could become the fork block, on any branch, is asked for once: block, staged ledger, both epoch
/// ledgers. The roots are recomputed and compared with the block before the candidate counts as
/// stored; an answer that contradicts itself is refused, kept aside and reported. Runs until
/// slot_chain_end, or once with --once. Killed at any moment, the same command goes on where it was.
#[derive(Clone, Debug, clap::Args)]
pub struct CaptureArgs {
    /// Network: a file, or the name of one that ships (devnet, mainnet, devnet-v1, mainnet-v1)
    #[arg(long, value_name = "N")]
    pub network: String,

    /// Store of the candidates: a directory, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX; credentials
    /// come from the environment
    #[arg(long, value_name = "URL", default_value = "candidate-store")]
    pub store: StoreUrl,

    /// Daemon to watch, such as seed1=http://10.0.0.1:3085/graphql; may be repeated
    #[arg(long = "daemon", value_name = "[NAME=]URL", required = true)]
    pub daemons: Vec<DaemonArg>,

    /// Capture what the daemons offer now, and end
    #[arg(long)]
    pub once: bool,

    /// Where answers wait until they are stored [default: STORE/.work, or forkpack-capture for a
    /// bucket]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,

    /// Slots before slot_tx_end from which on every block is captured
    #[arg(long, value_name = "SLOTS", default_value_t = 20)]
    pub window: u32,

    /// First slot without transactions, since the last hard fork [default: the network's, or the
    /// daemons']
    #[arg(long, value_name = "SLOT")]
    pub slot_tx_end: Option<SlotSinceHardFork>,

    /// First slot without blocks, since the last hard fork [default: the network's, or the daemons']
    #[arg(long, value_name = "SLOT")]
    pub slot_chain_end: Option<SlotSinceHardFork>,

    /// Time between two looks at a daemon, in seconds
    #[arg(long, value_name = "S", default_value = "20", value_parser = seconds)]
    pub poll: Duration,

    /// Time between two exports from the same daemon, in seconds
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub pause: Duration,

    /// Time a daemon may take to begin an export, in seconds
    #[arg(long, value_name = "S", default_value = "600", value_parser = seconds)]
    pub export_timeout: Duration,

    /// Longest silence in an answer, in seconds
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub idle_timeout: Duration,

    /// Time in which one request to the store is repeated until it succeeds, in seconds; the capture
    /// itself goes on trying
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub store_timeout: Duration,

    /// Slots without a new candidate, or with one that is not stored, that raise an alarm
    #[arg(long, value_name = "SLOTS", default_value_t = 10)]
    pub alarm_slots: u32,

    /// Daemons that make a majority [default: more than half]
    #[arg(long, value_name = "N")]
    pub quorum: Option<u32>,

    /// End at the first alarm, with its exit code, instead of going on
    #[arg(long, conflicts_with = "once")]
    pub exit_on_alarm: bool,

    /// Refused answers whose bodies are kept in the working directory
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub keep_refused: usize,

    /// Serve Prometheus metrics at http://ADDRESS/metrics
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    pub metrics: Option<SocketAddr>,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl CaptureArgs {
    fn work_dir(&self) -> PathBuf {
        match (&self.work_dir, &self.store) {
            (Some(path), _) => path.clone(),
            (None, StoreUrl::Local(path)) => path.join(".work"),
            (None, StoreUrl::Remote(_)) => PathBuf::from("forkpack-capture"),
        }
    }
}

/// A daemon, with the name documents and metrics call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonArg {
    /// The name; host and port when none was given.
    pub name: String,
    /// Whether the name was given.
    pub is_named: bool,
    /// The address.
    pub url: DaemonUrl,
}

impl FromStr for DaemonArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An `=` within the URL comes after `://`.
        let (name, url) = match text.split_once('=') {
            Some((name, url)) if !name.contains("://") => (Some(name), url),
            _ => (None, text),
        };
        let url: DaemonUrl = url.parse().map_err(|error| format!("{error}"))?;
        if let Some(name) = name {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty()
                || name.len() > 64
                || name.starts_with('.')
                || !name.chars().all(good)
            {
                return Err(
                    "a daemon's name has 1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.` and does not \
                     begin with a dot"
                        .to_owned(),
                );
            }
        }
        Ok(Self {
            name: name.map_or_else(|| url.host_and_port(), ToOwned::to_owned),
            is_named: name.is_some(),
            url,
        })
    }
}

/// Seconds with a fraction, from nothing to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or_else(|| format!("`{text}` is not between 0 and 86400 seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_are_named() {
        let daemon: DaemonArg = "seed1=http://10.0.0.1:3085/graphql".parse().unwrap();
        assert_eq!(daemon.name, "seed1");
        let daemon: DaemonArg = "http://10.0.0.1:3085/graphql?a=b".parse().unwrap();
        assert_eq!(
            (daemon.name.as_str(), daemon.is_named),
            ("10.0.0.1-3085", false)
        );
        for bad in [
            "a/b=http://x",
            "=http://x",
            ".x=http://y",
            "a=ftp://x",
            "nothing",
        ] {
            assert!(bad.parse::<DaemonArg>().is_err(), "{bad}");
        }
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["-1", "x", "nan", "inf", "86401"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
