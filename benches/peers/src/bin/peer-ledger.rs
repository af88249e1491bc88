//! Measures a whole ledger done as other tools do it, and prints the result as JSON.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fork_bench_peers::ledger::{Measured, measure};
use fork_ledger::hash::hash_accounts;
use fork_ledger::json::write_account_json;
use fork_ledger::merkle::RootBuilder;
use fork_ledger::migrate::Rule;
use fork_ledger::verification_key::VkHashCache;
use fork_testkit::fixture::{Accounts, FixtureSpec, Mix};
use fork_types::{Era, Role, SlotSinceGenesis};
use serde::Serialize;

/// Slot the accounts are migrated for; the time does not depend on it.
const FORK_SLOT: SlotSinceGenesis = SlotSinceGenesis::new(958_440);

/// Measure a made-up ledger the way other tools do it
#[derive(Debug, Parser)]
#[command(name = "peer-ledger", version)]
struct Args {
    /// Accounts; the time per account hardly depends on their number
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    accounts: u32,

    /// Kinds of accounts
    #[arg(long, value_enum, default_value = "plain")]
    mix: Mix,

    /// Repetitions; the result is the median of each part
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Medians, in microseconds per account.
#[derive(Serialize)]
struct Report {
    accounts: u32,
    read_us: f64,
    migrate_us: f64,
    source_hashing_us: f64,
    target_hashing_us: f64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let spec = FixtureSpec {
        accounts: args.accounts,
        mix: args.mix,
        ..FixtureSpec::default()
    };
    let made = Accounts::new(&spec)?;
    let rule = Rule::from_pair(Era::Berkeley, Era::Mesa, None, Some(FORK_SLOT))?;
    let text = list(&made);
    let runs = (0..args.runs)
        .map(|_| measure(&text, rule))
        .collect::<Result<Vec<_>, _>>()?;
    check(&made, rule, &runs)?;
    let median = |part: fn(&Measured) -> Duration| {
        let mut times: Vec<Duration> = runs.iter().map(part).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e6 / f64::from(args.accounts)
    };
    let report = Report {
        accounts: args.accounts,
        read_us: median(|run| run.read),
        migrate_us: median(|run| run.migrate),
        source_hashing_us: median(|run| run.source_hashing),
        target_hashing_us: median(|run| run.target_hashing),
    };
    let mut json = serde_json::to_vec(&report)?;
    json.push(b'\n');
    std::io::stdout().write_all(&json)?;
    Ok(())
}

fn list(accounts: &Accounts) -> Vec<u8> {
    let mut text = Vec::new();
    for index in 0..accounts.len(Role::Genesis) {
        text.push(if index == 0 { b'[' } else { b',' });
        write_account_json(&accounts.account(Role::Genesis, index), &mut text);
    }
    text.push(b']');
    text
}

/// A time counts only for the right result: the roots must be the library's.
fn check(made: &Accounts, rule: Rule, runs: &[Measured]) -> Result<(), Box<dyn Error>> {
    let keys = VkHashCache::new();
    let source: Vec<_> = (0..made.len(Role::Genesis))
        .map(|index| made.account(Role::Genesis, index))
        .collect();
    let target = source
        .iter()
        .map(|account| rule.migrate(account).map(|(account, _)| account))
        .collect::<Result<Vec<_>, _>>()?;
    let mut roots = Vec::new();
    for (era, accounts) in [(rule.source(), &source), (rule.target(), &target)] {
        let mut root = RootBuilder::new(era, era.depth());
        root.extend_from_slice(&hash_accounts(era, accounts, &keys)?)?;
        roots.push(root.finish());
    }
    let right = |run: &Measured| [run.source_root, run.target_root] == roots[..];
    if runs.iter().all(right) {
        Ok(())
    } else {
        Err("the peer's roots differ from the library's".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        Args::command().debug_assert();
    }
}
