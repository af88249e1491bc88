//! The command line.

use crate::capture::CaptureArgs;
use crate::list::ListArgs;
use crate::select::SelectArgs;
use clap::{ArgGroup, Parser, Subcommand};
use fork_types::{Era, StateHash};
use fork_worker::{Context, InputArg, OutputArgs, ReportingArgs, Worker, WorkerResult};

/// Capture or import fork state, and turn it into a checked candidate directory
#[derive(Clone, Debug, Parser)]
#[command(name = "dump-candidates", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Import a fork config, the RFC's four files or a replayer output
    Import(Box<ImportArgs>),
    /// Capture every fork candidate from running daemons into a store
    Capture(Box<CaptureArgs>),
    /// Show what is stored, and the branches around the fork
    List(Box<ListArgs>),
    /// Apply the written rule, and write the candidate it chooses
    Select(Box<SelectArgs>),
}

/// Import a fork config, the RFC's four files or a replayer output
///
/// Inputs are paths or URLs (file, http, https, s3, gs), plain, gzip or zstd, and are streamed. The
/// roots of the three ledgers and the block's state hash are recomputed and compared with every
/// claim; a contradiction ends with exit code 4 and nothing is left at --output.
#[derive(Clone, Debug, clap::Args)]
#[command(group(ArgGroup::new("source").required(true).args([
    "fork_config", "replayer_output", "staged_ledger",
])))]
pub struct ImportArgs {
    /// Network: a file, or the name of one that ships (devnet, mainnet, devnet-v1, mainnet-v1)
    #[arg(long, value_name = "N")]
    pub network: String,

    /// Answer of the daemon's fork_config query
    #[arg(long, value_name = "F")]
    pub fork_config: Option<InputArg>,

    /// Output of mina-replayer
    #[arg(long, value_name = "F")]
    pub replayer_output: Option<InputArg>,

    /// Precomputed fork block
    #[arg(long, value_name = "F")]
    pub block: Option<InputArg>,

    /// Where the precomputed fork block is: at PREFIX-HEIGHT-STATE_HASH.json, with the height and the
    /// state hash that the fork config claims
    #[arg(
        long,
        value_name = "PREFIX",
        conflicts_with_all = ["block", "replayer_output", "staged_ledger"]
    )]
    pub block_prefix: Option<InputArg>,

    /// Staged ledger of the fork block (with the block and both epoch ledgers)
    #[arg(long, value_name = "F", requires_all = ["block", "staking_ledger", "next_staking_ledger"])]
    pub staged_ledger: Option<InputArg>,

    /// Staking epoch ledger
    #[arg(long, value_name = "F", requires = "staged_ledger")]
    pub staking_ledger: Option<InputArg>,

    /// Next epoch ledger
    #[arg(long, value_name = "F", requires = "staged_ledger")]
    pub next_staking_ledger: Option<InputArg>,

    /// Config of the chain before the fork; adds its facts to the comparisons
    #[arg(long, value_name = "F")]
    pub prefork_config: Option<InputArg>,

    /// SHA-256 the fork config or replayer output must have, as fetched
    #[arg(long, value_name = "HEX", value_parser = fork_worker::parse_sha256)]
    pub sha256: Option<String>,

    /// Era whose rules the ledgers' roots follow [default: the network's]
    #[arg(long, value_name = "ERA")]
    pub era: Option<Era>,

    /// State hash the fork block must have
    #[arg(long, value_name = "HASH")]
    pub expect_state_hash: Option<StateHash>,

    /// Height of the fork block, for a replayer output without a block
    #[arg(long, value_name = "N")]
    pub blockchain_length: Option<u32>,

    /// Fill missing permissions, receipt chain hash and vote with their defaults when hashing
    #[arg(long)]
    pub ignore_missing: bool,

    /// Do not recompute the roots; only what is claimed is recorded
    #[arg(long)]
    pub skip_roots: bool,

    /// Where the candidate goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl Worker for Args {
    const NAME: &'static str = "dump-candidates";
    const FAILED_TO: &'static str = "failed";

    fn failed_to(&self) -> &'static str {
        match &self.command {
            Command::Import(_) => "failed to import",
            Command::Capture(_) => "failed to capture",
            Command::List(_) => "failed to list",
            Command::Select(_) => "failed to select",
        }
    }

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Import(import) => &import.reporting,
            Command::Capture(capture) => &capture.reporting,
            Command::List(list) => &list.reporting,
            Command::Select(select) => &select.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match &self.command {
            Command::Import(import) => {
                let candidate = import.import(context)?;
                context.annotate(|| crate::annotation::table(&candidate));
                let text = crate::import::summary(&candidate, &import.output.output);
                context.emit(&text, &candidate)?;
            }
            Command::Capture(capture) => {
                let (summary, error) = capture.capture(context)?;
                context.emit(&summary.human(), &summary)?;
                if let Some(error) = error {
                    return Err(error.into());
                }
            }
            Command::List(list) => list.run(context)?,
            Command::Select(select) => select.run(context)?,
        }
        Ok(())
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
    fn one_kind_of_source_is_required() {
        let parse = |text: &str| Args::try_parse_from(text.split_whitespace());
        for good in [
            "dump-candidates import --network devnet --output o --fork-config f",
            "dump-candidates import --network devnet --output o --fork-config f --block b",
            "dump-candidates import --network devnet --output o --fork-config f --block-prefix gs://b/d",
            "dump-candidates import --network devnet --output o --replayer-output f",
            "dump-candidates import --network devnet --output o --block b --staged-ledger a \
             --staking-ledger b --next-staking-ledger c",
        ] {
            parse(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [
            "dump-candidates import --network devnet --output o",
            "dump-candidates import --output o --fork-config f",
            "dump-candidates import --network devnet --output o --block b",
            "dump-candidates import --network devnet --output o --fork-config f --replayer-output r",
            "dump-candidates import --network devnet --output o --staged-ledger a",
            "dump-candidates import --network devnet --output o --fork-config f --block b --block-prefix p",
            "dump-candidates import --network devnet --output o --replayer-output f --block-prefix p",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
