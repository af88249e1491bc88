//! The command line.

use std::path::PathBuf;

use clap::Parser;
use fork_worker::ReportingArgs;

/// Run scripted daemons for a rehearsal
///
/// Makes up a chain with several branches and its ledgers from a scenario file, and serves it over
/// GraphQL as Mina daemons would, with the faults the scenario asks for. Prints the address of each
/// daemon on stdout once all of them listen. docs/stub-daemon.md describes the scenario file.
#[derive(Clone, Debug, Parser)]
#[command(name = "stub-daemon", version)]
pub struct Args {
    /// Scenario to play
    #[arg(long, value_name = "FILE")]
    pub scenario: PathBuf,

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
        assert!(parse("stub-daemon --scenario s.toml --speed 0").is_err());
    }
}
