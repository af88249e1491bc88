//! Measures migrations of made-up ledgers and prints the result as Markdown.
//!
//! The worker binaries are the real ones, found beside this one, and so is the one that measures the
//! peers' way. `scripts/bench` builds and runs all of them.

mod candidate;
mod hashing;
mod rows;
mod table;
mod three;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fork_bench::run::{Failure, WorkDir, say};
use fork_bench::{machine, run};
use fork_testkit::fixture::Mix;
use pasta_poseidon::Kernel;

use crate::rows::{Ledger, Plan};
use crate::workers::{Peer, Workers};

/// Accounts of a mainnet ledger.
const MAINNET_ACCOUNTS: &str = "277307";

/// Measure migrations of made-up ledgers, and print Markdown tables
#[derive(Debug, Parser)]
#[command(name = "pipeline-table", version)]
struct Args {
    /// Sizes of the ledgers of plain accounts
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = run::accounts,
          default_value = "10k,100k,1M")]
    accounts: Vec<u32>,

    /// Sizes of the ledgers with zkApps, timed accounts and custom tokens
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = run::accounts)]
    realistic: Vec<u32>,

    /// Largest ledger that is also migrated with the portable kernel forced, and hashed by itself
    #[arg(long, value_name = "N", value_parser = run::accounts, default_value = "1M")]
    portable_max: u32,

    /// Also migrate three ledgers of one fork config, each about this large
    #[arg(long, value_name = "N", value_parser = run::accounts, num_args = 0..=1,
          default_missing_value = MAINNET_ACCOUNTS)]
    mainnet: Option<u32>,

    /// Repetitions, of which the table shows the median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Repetitions for ledgers of more than a million accounts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    large_runs: u32,

    /// Accounts that the peers' way is measured on
    #[arg(long, value_name = "N", value_parser = run::accounts, default_value = "10k")]
    peer_accounts: u32,

    /// Put the data here instead of the directory for temporary files
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Keep the data
    #[arg(long)]
    keep: bool,

    /// Only hash so many accounts in this process and print the times as JSON
    #[arg(long, value_name = "N", value_parser = run::accounts, hide = true)]
    hash: Option<u32>,

    /// Kind of accounts to hash
    #[arg(long, value_enum, default_value = "plain", hide = true)]
    hash_mix: Mix,
}

fn main() -> ExitCode {
    let args = Args::parse();
    run::finish(match args.hash {
        Some(accounts) => hashing::in_this_process(args.hash_mix, accounts),
        None => measure(&args),
    })
}

fn measure(args: &Args) -> Result<String, Failure> {
    let workers = Workers::beside_this_program()?;
    let work = WorkDir::create(args.work.as_deref(), "pipeline", args.keep)?;
    let load = machine::load();
    let mixes: &[Mix] = if args.realistic.is_empty() {
        &[Mix::Plain]
    } else {
        &[Mix::Plain, Mix::Realistic]
    };
    let plan = Plan {
        portable_accounts_max: args.portable_max,
        runs: args.runs,
        large_runs: args.large_runs,
    };

    let hashed: Vec<(Mix, u32)> = sizes(args)
        .filter(|(_, accounts)| *accounts <= args.portable_max)
        .collect();
    let mut text = hashing::table(&hashed, args.runs)?;
    let before = peers(args, &workers, mixes)?;
    let ledgers = sizes(args)
        .map(|(mix, accounts)| rows::measure(&workers, &work, &plan, mix, accounts))
        .collect::<Result<Vec<Ledger>, _>>()?;
    let three = match args.mainnet {
        Some(accounts) => Some(three::measure(&workers, &work, &plan, accounts)?),
        None => None,
    };
    let after = peers(args, &workers, mixes)?;
    let peers: Vec<(Mix, Peer)> = before
        .iter()
        .zip(&after)
        .map(|((mix, before), (_, after))| (*mix, faster(*before, *after)))
        .collect();

    text.push_str(&format!(
        "## Whole ledgers\n\n\
         `migrate-ledger` from berkeley to mesa, from the first byte of JSON to the finished tarball: \
         reading, migrating, hashing, store, proof of the store, compression, digests. Kernel in use \
         unless said otherwise: `{}`. Load average before: {load}, after: {}. Inputs are in the page \
         cache. Medians of {} runs ({} above a million accounts); the contestants for one ledger take \
         turns.\n\n",
        Kernel::active().name(),
        machine::load(),
        args.runs,
        args.large_runs,
    ));
    text.push_str(&table::peers(&peers));
    text.push_str(&table::ledgers(&ledgers, &peers));
    if let Some(three) = &three {
        text.push_str(&table::three(three, &peers));
        text.push_str(&table::extrapolation(three, &ledgers));
    }
    Ok(text)
}

/// Every ledger that was asked for.
fn sizes(args: &Args) -> impl Iterator<Item = (Mix, u32)> {
    let plain = args.accounts.iter().map(|size| (Mix::Plain, *size));
    plain.chain(args.realistic.iter().map(|size| (Mix::Realistic, *size)))
}

fn peers(args: &Args, workers: &Workers, mixes: &[Mix]) -> Result<Vec<(Mix, Peer)>, Failure> {
    say("measuring the peers' way");
    mixes
        .iter()
        .map(|mix| Ok((*mix, workers.peer(*mix, args.peer_accounts, args.runs)?)))
        .collect()
}

/// Of the two, measured before and after everything else, the one that makes the ratios smaller.
fn faster(before: Peer, after: Peer) -> Peer {
    if before.us(true) <= after.us(true) {
        before
    } else {
        after
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["pipeline-table", "--mainnet"]).unwrap();
        assert_eq!(args.accounts, [10_000, 100_000, 1_000_000]);
        assert_eq!(args.mainnet, Some(277_307));
    }
}
