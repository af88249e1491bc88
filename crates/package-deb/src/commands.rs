//! What `package-deb` does besides building a package.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};

use crate::diff::DiffArgs;
use crate::publish::PublishArgs;
use crate::session::SessionArgs;
use crate::upload::UploadLedgersArgs;

/// Change, compare and publish Debian packages
///
/// Without a command, `package-deb` builds one; see `package-deb --help`.
#[derive(Clone, Debug, Parser)]
#[command(name = "package-deb", version)]
pub struct Commands {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Take a package apart, change it, and put it together again
    Session(Box<SessionArgs>),
    #[allow(
        missing_docs,
        reason = "clap would show this instead of the arguments' own text"
    )]
    Publish(Box<PublishArgs>),
    #[allow(
        missing_docs,
        reason = "clap would show this instead of the arguments' own text"
    )]
    UploadLedgers(Box<UploadLedgersArgs>),
    /// Say what differs between two packages
    Diff(Box<DiffArgs>),
}

/// Whether the command line begins with one of [`Command`]'s names. Building has no name of its own
/// (the command contract gives it bare options), so the first word decides which parser reads it.
pub fn is_command(arguments: impl IntoIterator<Item = OsString>) -> bool {
    fork_worker::is_command::<Commands>(arguments)
}

impl Worker for Commands {
    const NAME: &'static str = "package-deb";
    const FAILED_TO: &'static str = "failed";

    fn failed_to(&self) -> &'static str {
        match &self.command {
            Command::Session(_) => "failed to change the package",
            Command::Publish(_) => "failed to publish",
            Command::UploadLedgers(_) => "failed to upload ledgers",
            Command::Diff(_) => "failed to compare packages",
        }
    }

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Session(args) => args.reporting(),
            Command::Publish(args) => &args.reporting,
            Command::UploadLedgers(args) => &args.reporting,
            Command::Diff(args) => &args.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Command::Session(args) => args.run(context),
            Command::Publish(args) => args.run(context),
            Command::UploadLedgers(args) => args.run(context),
            Command::Diff(args) => args.run(context),
        }
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
        assert!(is(&["package-deb", "session", "open"]));
        assert!(is(&["package-deb", "help", "diff"]));
        assert!(!is(&["package-deb"]));
        assert!(!is(&["package-deb", "--help"]));
        assert!(!is(&["package-deb", "--output", "session"]));
    }
}
