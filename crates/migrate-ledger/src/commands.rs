//! What `migrate-ledger` does besides migrating whole ledgers.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};

use crate::finish::report;
use crate::merge::MergeArgs;
use crate::shard::{ShardArgs, summary};

/// Migrate ledgers in parts, on several machines
///
/// Without a command, `migrate-ledger` migrates whole ledgers; see `migrate-ledger --help`.
#[derive(Clone, Debug, Parser)]
#[command(name = "migrate-ledger", version)]
pub struct Commands {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    #[allow(
        missing_docs,
        reason = "clap would show this instead of the arguments' own text"
    )]
    Shard(Box<ShardArgs>),
    #[allow(
        missing_docs,
        reason = "clap would show this instead of the arguments' own text"
    )]
    Merge(Box<MergeArgs>),
}

/// Whether the command line begins with one of [`Command`]'s names. Migrating whole ledgers has no name
/// of its own (the command contract gives it bare options), so the first word decides which parser
/// reads it.
pub fn is_command(arguments: impl IntoIterator<Item = OsString>) -> bool {
    fork_worker::is_command::<Commands>(arguments)
}

impl Worker for Commands {
    const NAME: &'static str = "migrate-ledger";
    const FAILED_TO: &'static str = "failed";

    fn failed_to(&self) -> &'static str {
        match &self.command {
            Command::Shard(_) => "failed to migrate a shard",
            Command::Merge(_) => "failed to merge shards",
        }
    }

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Shard(args) => &args.reporting,
            Command::Merge(args) => &args.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Command::Shard(args) => {
                let document = args.make(context)?;
                context.emit(&summary(&document, &args.output.output), &document)?;
            }
            Command::Merge(args) => {
                let documents = args.merge(context)?;
                report(&documents, &args.output.output, context)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_first_word_decides() {
        Commands::command().debug_assert();
        let is = |words: &[&str]| is_command(words.iter().map(Into::into));
        assert!(is(&["migrate-ledger", "shard", "--shard", "1/2"]));
        assert!(is(&["migrate-ledger", "merge"]));
        assert!(is(&["migrate-ledger", "help", "merge"]));
        assert!(!is(&["migrate-ledger"]));
        assert!(!is(&["migrate-ledger", "--help"]));
        assert!(!is(&["migrate-ledger", "--output", "shard"]));
    }

    #[test]
    fn help_is_as_published() {
        let mut commands = Commands::command().term_width(100);
        for command in commands.get_subcommands_mut() {
            let name = command.get_name().to_owned();
            // The test's own environment is no part of the help.
            *command = command
                .clone()
                .term_width(100)
                .mut_args(|arg| arg.hide_env_values(true));
            insta::assert_snapshot!(format!("help-{name}"), command.render_long_help());
        }
    }
}
