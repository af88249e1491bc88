//! Measures the pipeline on made-up ledgers and prints the result as Markdown.
//!
//! The worker binaries are the real ones, found beside this one:
//!
//! ```text
//! cargo build --release --workspace --bins
//! cargo run --release -p fork-bench --bin pipeline-table -- --accounts 10k,100k,1M --mainnet
//! ```

mod baseline;
mod machine;
mod table;
mod workers;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use fork_testkit::fixture::{ACCOUNTS_MIN, Mix};
use fork_types::{Role, SlotSinceGenesis};
use pasta_poseidon::Kernel;

use crate::workers::{Run, Workers};

/// Accounts of a mainnet ledger.
const MAINNET_ACCOUNTS: u32 = 277_307;

/// Slot the baseline migrates with; its time does not depend on it.
const BASELINE_FORK_SLOT: SlotSinceGenesis = SlotSinceGenesis::new(958_440);

/// Measure import and migration on made-up ledgers, and print Markdown tables
#[derive(Debug, Parser)]
#[command(name = "pipeline-table", version)]
struct Args {
    /// Sizes of the ledgers, such as 10k,100k,1M
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = count,
          default_value = "10k,100k,1M")]
    accounts: Vec<u32>,

    /// Kinds of accounts
    #[arg(long, value_enum, default_value = "plain")]
    mix: Mix,

    /// Also run three ledgers of mainnet's size, migrated in parallel
    #[arg(long)]
    mainnet: bool,

    /// Write the data here and keep it; otherwise it is beside this program and deleted
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {}", with_causes(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let workers = Workers::beside_this_program()?;
    let data = Data::new(args.keep.as_deref())?;
    let load_at_start = machine::load();
    say("measuring the baseline");
    let baseline = baseline::measure(args.mix, BASELINE_FORK_SLOT)?;
    let baseline_us = baseline.as_secs_f64() * 1e6 / f64::from(baseline::ACCOUNTS);

    let mut runs = Vec::new();
    let mut failed = None;
    for accounts in &args.accounts {
        say(&format!("{accounts} accounts"));
        match data.run(
            &workers,
            &accounts.to_string(),
            *accounts,
            args.mix,
            &[Role::Genesis],
        ) {
            Ok(run) => runs.push(run),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let mainnet = if args.mainnet && failed.is_none() {
        say(&format!("three ledgers of {MAINNET_ACCOUNTS} accounts"));
        let roles = [Role::Genesis, Role::Staking, Role::Next];
        match data.run(&workers, "mainnet", MAINNET_ACCOUNTS, args.mix, &roles) {
            Ok(run) => Some(run),
            Err(error) => {
                failed = Some(error);
                None
            }
        }
    } else {
        None
    };

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mix = match args.mix {
        Mix::Plain => "plain",
        Mix::Mixed => "mixed",
    };
    let mut text = format!(
        "## {mix} accounts, berkeley → mesa\n\n\
         `cargo run --release -p fork-bench --bin pipeline-table -- {}`\n\n\
         Machine: {}. Poseidon kernel: `{}`. Load average at the start: {load_at_start}.\n\n\
         Baseline, measured in the same run before the others: {baseline_us:.1} µs per account on \
         {} accounts, scaled to the other sizes. It is the straightforward way on one thread: \
         `serde_json::Value`, then convert, hash, migrate and hash again account by account, then \
         both trees node by node; no store. So it is compared with the hashing part \
         (read-hash-migrate and tree) only.\n\n",
        arguments.join(" "),
        machine::description(),
        Kernel::active().name(),
        baseline::ACCOUNTS,
    );
    text.push_str(&table::runs(&runs, baseline_us));
    if let Some(run) = &mainnet {
        text.push('\n');
        text.push_str(&table::mainnet(run));
    }
    std::io::stdout().write_all(text.as_bytes())?;
    failed.map_or(Ok(()), Err)
}

/// The directory of the data, removed in the end unless it is to be kept.
struct Data {
    directory: PathBuf,
    keep: bool,
}

impl Data {
    fn new(keep: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let directory = match keep {
            Some(directory) => directory.to_owned(),
            None => std::env::current_exe()?
                .with_file_name(format!("pipeline-table-data.{}", std::process::id())),
        };
        fork_fs::create_dir_all(&directory)?;
        Ok(Self {
            directory,
            keep: keep.is_some(),
        })
    }

    /// A run in a directory of its own, which takes a few kilobytes per account.
    fn run(
        &self,
        workers: &Workers,
        name: &str,
        accounts: u32,
        mix: Mix,
        roles: &[Role],
    ) -> Result<Run, Box<dyn Error>> {
        let directory = self.directory.join(name);
        fork_fs::create_dir_all(&directory)?;
        let run = workers.run(&directory, accounts, mix, roles);
        if !self.keep {
            fork_fs::remove_dir_all(&directory)?;
        }
        run
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fork_fs::remove_dir_all(&self.directory)
        {
            say(&format!("warning: {}", with_causes(&error)));
        }
    }
}

/// A number of accounts such as `10k`.
fn count(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((end, 'k')) => (&text[..end], 1_000),
        Some((end, 'M')) => (&text[..end], 1_000_000),
        _ => (text, 1),
    };
    digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|number| *number >= ACCOUNTS_MIN)
        .ok_or_else(|| format!("not a number of accounts from {ACCOUNTS_MIN} such as 10k or 1M"))
}

/// A line on stderr; a closed one does not matter.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["pipeline-table"]).unwrap();
        assert_eq!(args.accounts, [10_000, 100_000, 1_000_000]);
        for bad in ["", "k", "9", "5G", "5000M"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}
