//! The command line.

use clap::{ArgGroup, Parser, Subcommand};
use fork_types::{LedgerHash, StateHash};
use fork_worker::{Context, InputArg, OutputArgs, ReportingArgs, Worker, WorkerResult};

use crate::archive::ArchiveArgs;
use crate::candidate::CandidateArgs;
use crate::list::ListArgs;
use crate::populate::PopulateArgs;
use crate::select::SelectArgs;
use crate::snarked::SnarkedArgs;

/// Take any ledger at any block from an archive database, proved by its root
#[derive(Clone, Debug, Parser)]
#[command(name = "materialize-ledger", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write the staged ledger after a block
    ///
    /// The block may be canonical, pending or orphaned. Its accounts are read in one read-only
    /// transaction, in leaf order, and written as a list while their root is computed. The list
    /// appears at --output only when that root is the block's; otherwise the exit code is 4 (or 3,
    /// when something is missing in the archive), the likely reason is printed, and nothing is left.
    Staged(Box<StagedArgs>),

    /// Write SQL that gives an archive the accounts of a genesis block it has no rows of
    ///
    /// For an archive that was started without the network's configuration, or was running before that
    /// of a fork existed. The accounts are proved by their root first. The SQL is one transaction for
    /// psql: it refuses a block that is not there or has another root, changes no row that is there,
    /// and may be run again. Afterwards `staged` proves the block without --genesis-accounts.
    Populate(Box<PopulateArgs>),

    /// Write a ledger known by its root, such as an epoch ledger
    ///
    /// Epoch ledgers are snarked ledgers: mostly the staged ledger of some block, and else the ledger
    /// after a part of a block's transactions, which is then put together. Nothing appears at --output
    /// unless its root is the one asked for. Ends with exit code 3 when the archive has no trace of
    /// it, with 4 when the blocks it lies in do not give it.
    Snarked(Box<SnarkedArgs>),
    /// Write the candidate of a fork block: its three ledgers, seeds and facts
    ///
    /// The directory is one like `dump-candidates import` writes, and every later step takes it. Each
    /// ledger is proved by its own root. When an epoch ledger is not in the archive the exit code is
    /// 3, the message says which root is missing and where the ledger must lie, and nothing is left:
    /// a candidate has three ledgers. --staking-ledger and --next-staking-ledger complete it.
    Candidate(Box<CandidateArgs>),
    /// Show the blocks of an archive
    ///
    /// The highest first: state hash, what the archive calls it, slot, transactions, account rows,
    /// roots, and how many blocks stand above it. --format json has all values of each.
    List(Box<ListArgs>),
    /// Choose the fork block by the written rule
    ///
    /// The fork block is the last block below slot_tx_end on the strongest chain, once enough blocks
    /// stand above it, all of them empty, and once slot_chain_end has passed. Every rejected block is
    /// listed with the reasons; a tie is never broken. Ends with exit code 3 while time may help, with
    /// 4 when only a human can. The state hash it prints is what `candidate` takes.
    Select(Box<SelectArgs>),
}

/// What `staged` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(group(ArgGroup::new("block").required(true).args(["state_hash", "height", "ledger_hash"])))]
pub struct StagedArgs {
    /// State hash of the block
    #[arg(long, value_name = "HASH")]
    pub state_hash: Option<StateHash>,

    /// Height of the block: the only one there, or the only canonical one
    #[arg(long, value_name = "N")]
    pub height: Option<u32>,

    /// Root of a staged ledger: that of the lowest block that has it
    ///
    /// An epoch ledger is usually, not always, the staged ledger of an earlier block. When no block
    /// has it the exit code is 3.
    #[arg(long, value_name = "ROOT")]
    pub ledger_hash: Option<LedgerHash>,

    /// Genesis accounts of the chain, for an archive that lacks them
    ///
    /// An account list or a dump; a daemon's configuration that has the accounts in it, or whose
    /// ledger tarball lies beside it; a ledger tarball or a directory that migrate-ledger wrote; a
    /// candidate, whose staged ledger is migrated when the chain is of the next era. They are proved
    /// first: their root must be that of the chain's genesis block.
    #[arg(long, value_name = "PATH")]
    pub genesis_accounts: Option<InputArg>,

    /// Compare the ledger with this one, account by account: an account list or a dump
    ///
    /// A difference ends with exit code 4, and the first differing account is shown.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<InputArg>,

    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveArgs,

    /// Where the list goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl Worker for Args {
    const NAME: &'static str = "materialize-ledger";
    const FAILED_TO: &'static str = "failed to materialize";

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Staged(staged) => &staged.reporting,
            Command::Populate(populate) => &populate.reporting,
            Command::Snarked(snarked) => &snarked.reporting,
            Command::Candidate(candidate) => &candidate.reporting,
            Command::List(list) => &list.reporting,
            Command::Select(select) => &select.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match &self.command {
            Command::Staged(staged) => {
                let document = staged.run(context)?;
                context.emit(&staged.summary(&document), &document)?;
            }
            Command::Populate(populate) => {
                let report = populate.run(context)?;
                context.emit(&populate.summary(&report), &report)?;
            }
            Command::Snarked(snarked) => {
                let document = snarked.run(context)?;
                context.emit(&snarked.summary(&document), &document)?;
            }
            Command::Candidate(candidate) => {
                let (document, origins) = candidate.run(context)?;
                context.emit(&candidate.summary(&document, &origins), &document)?;
            }
            Command::List(list) => {
                let document = list.run(context)?;
                context.emit(&ListArgs::summary(&document), &document)?;
            }
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
    fn passwords_are_not_shown() {
        let parsed = Args::try_parse_from([
            "materialize-ledger",
            "staged",
            "--archive-uri",
            "postgres://u:hunter2@h/d",
            "--archive-password",
            "hunter2",
            "--height",
            "1",
            "--output",
            "o",
        ]);
        let shown = format!("{:?}", parsed.unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
