//! The command line.

use std::path::PathBuf;

use clap::Parser;
use fork_genesis::chain_id::ConstraintDigest;
use fork_types::StateHash;
use fork_worker::{InputArg, OutputArgs, ReportingArgs, ScheduleArgs};

/// Write the runtime config of the new chain and show how its times and slots follow
///
/// Reads a candidate and its three migrated ledgers, derives slot and time of the new genesis from
/// the stop slots of the old config (or from --genesis-timestamp; if both are there they must
/// agree), and writes the config, the hashes file and network.json. A run that fails leaves nothing
/// at --output.
#[derive(Clone, Debug, Parser)]
#[command(name = "generate-network-config", version)]
pub struct Args {
    /// Network: a file, or the name of one that ships [default: the candidate's]
    #[arg(long, value_name = "N")]
    pub network: Option<String>,

    /// Candidate directory that `dump-candidates` wrote
    #[arg(long, value_name = "DIR")]
    pub candidate: PathBuf,

    /// Directory of a migrated ledger; three of them, one of each role
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    pub ledgers: Vec<PathBuf>,

    /// Config of the chain before the fork (path or URL)
    #[arg(long, value_name = "FILE")]
    pub prefork_config: InputArg,

    /// SHA-256 the prefork config must have
    #[arg(long, value_name = "HEX", value_parser = fork_worker::parse_sha256)]
    pub sha256: Option<String>,

    /// The new genesis.
    #[command(flatten)]
    pub schedule: ScheduleArgs,

    /// State hash of the new genesis block, for the chain id
    #[arg(long, value_name = "HASH")]
    pub genesis_state_hash: Option<StateHash>,

    /// MD5 digests of the three constraint systems (merge, base, blockchain step), for the chain id
    #[arg(long, value_name = "MD5", num_args = 3)]
    pub constraint_digests: Option<Vec<ConstraintDigest>>,

    /// Where the config goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
        let parsed = Args::try_parse_from([
            "generate-network-config",
            "--candidate",
            "c",
            "--ledgers",
            "a",
            "--ledgers",
            "b",
            "c",
            "--prefork-config",
            "p",
            "--output",
            "o",
        ])
        .unwrap();
        assert_eq!(parsed.ledgers.len(), 3);
        assert!(
            Args::try_parse_from(
                "g --candidate c --ledgers a --prefork-config p -o o --unscheduled".split(' ')
            )
            .is_err(),
            "an unscheduled fork needs its time"
        );
    }
}
