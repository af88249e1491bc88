//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use fork_types::Era;
use fork_worker::ReportingArgs;

use crate::seed::SeedFault;

/// Run scripted daemons for a rehearsal
///
/// Makes up a chain with several branches and its ledgers from a scenario file, and serves it over
/// GraphQL as Mina daemons would, with the faults the scenario asks for. Prints the address of each
/// daemon on stdout once all of them listen. docs/stub-daemon.md describes the scenario file.
#[derive(Clone, Debug, Parser)]
#[command(name = "stub-daemon", version, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
pub struct Args {
    /// What else it can play.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Scenario to play
    #[arg(long, value_name = "FILE", required = true)]
    pub scenario: Option<PathBuf>,

    /// Start this daemon only; may be given several times [default: all of the scenario]
    #[arg(long = "daemon", value_name = "NAME")]
    pub daemons: Vec<String>,

    /// Write the network file of the made-up chain, for the --network of the other tools
    #[arg(long, value_name = "FILE")]
    pub write_network: Option<PathBuf>,

    /// Write the config its daemons run with, for --prefork-config
    #[arg(long, value_name = "FILE")]
    pub write_prefork: Option<PathBuf>,

    /// How many times faster than real slots time goes [default: what the scenario says]
    #[arg(long, value_name = "FACTOR", value_parser = parse_speed)]
    pub speed: Option<f64>,

    /// End when the clock has reached this slot (since the hard fork)
    #[arg(long, value_name = "SLOT")]
    pub until_slot: Option<u32>,

    /// Directory for the ledgers while the daemons run [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,

    /// Add this many faults made up from --fault-seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub random_faults: usize,

    /// Seed of made-up faults
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub fault_seed: u64,

    /// Check the scenario and stop; with --write-network and --write-prefork the ledgers are made,
    /// too
    #[arg(long)]
    pub check: bool,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Without a scenario: a node of the new chain.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Play a seed node of the new chain that has nothing but an installed package
    ///
    /// Reads the one config_<commit>.json, finds the ledgers by the names that follow from its
    /// hashes, sleeps until the genesis time, and serves them with the genesis block as its best tip.
    Seed(SeedArgs),
    /// Export the ledgers of such a node to files, as `mina ledger export` prints them
    Export(ExportArgs),
}

/// Which package, and what goes wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct PackageArgs {
    /// Root directory in which the package is installed
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,

    /// Era of the ledgers: berkeley or mesa
    #[arg(long, value_name = "ERA")]
    pub era: Era,

    /// What goes wrong: balance:LEAF, path:LEAF, absent:LEAF, height:N, blocks:N, ledger:ROLE,
    /// never-wakes, accounts-in-config; may be given several times
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<SeedFault>,

    /// Directory for unpacked ledgers while it runs [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

/// A seed node.
#[derive(Clone, Debug, clap::Args)]
pub struct SeedArgs {
    /// The package.
    #[command(flatten)]
    pub package: PackageArgs,

    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3085")]
    pub listen: SocketAddr,

    /// How long before the genesis time of the config it is started, in seconds of that time
    // Milliseconds of 49 days are all that the clock holds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=4_000_000))]
    pub before_genesis: u32,

    /// Let that time begin with the first request, so that whoever asks sees the sleep
    #[arg(long)]
    pub from_first_request: bool,

    /// How many times faster time goes
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = parse_speed)]
    pub speed: f64,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Exports.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// The package.
    #[command(flatten)]
    pub package: PackageArgs,

    /// Directory for staged-ledger.json, staking-epoch-ledger.json and next-epoch-ledger.json
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 && speed <= 1e9 => Ok(speed),
        _ => Err("expected a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_scenario_is_required() {
        let parse = |text: &str| Args::try_parse_from(text.split(' '));
        assert!(parse("stub-daemon --scenario s.toml --daemon a --daemon b --speed 60").is_ok());
        assert!(parse("stub-daemon").is_err());
        assert!(parse("stub-daemon seed --era mesa --fault path:3 --fault never-wakes").is_ok());
        assert!(parse("stub-daemon seed --fault path:3").is_err());
        assert!(parse("stub-daemon seed --era mesa --fault path").is_err());
        assert!(parse("stub-daemon --scenario s.toml seed --era mesa").is_err());
        assert!(parse("stub-daemon export --era mesa --root r -o d").is_ok());
        assert!(parse("stub-daemon --scenario s.toml --speed 0").is_err());
    }
}
