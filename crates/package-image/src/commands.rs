//! What `package-image` does besides building an image.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};

use crate::remote::{PromoteArgs, PullArgs, PushArgs};

/// Push, pull and tag images in registries
///
/// Without a command, `package-image` builds an image; see `package-image --help`. Credentials come
/// from the environment, FORKPACK_REGISTRY_USER and FORKPACK_REGISTRY_PASSWORD or
/// FORKPACK_REGISTRY_TOKEN, or from a file that `docker login` wrote (--registry-config).
#[derive(Clone, Debug, Parser)]
#[command(name = "package-image", version)]
pub struct Commands {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Copy an image from a layout into a registry
    ///
    /// What is attached to the image in the layout goes along. Blobs that are there are not sent
    /// again; manifests are read back; the tags are set last. A tag that names another image already
    /// is not moved: exit code 4, before anything is sent.
    Push(PushArgs),
    /// Copy an image from a registry into a layout
    ///
    /// Every digest is checked. The directory appears when all is there.
    Pull(PullArgs),
    /// Give tags to an image that is in a registry
    ///
    /// The image is named by its digest, so nothing is rebuilt and nothing is sent. A tag that names
    /// another image already is moved only with --move-from: exit code 4 otherwise, before any tag is
    /// set. What is done already is left alone, so the same command can be run again.
    Promote(PromoteArgs),
}

/// Whether the command line begins with one of [`Command`]'s names. Building has no name of its own
/// (the command contract gives it bare options), so the first word decides which parser reads it.
pub fn is_command(arguments: impl IntoIterator<Item = OsString>) -> bool {
    fork_worker::is_command::<Commands>(arguments)
}

impl Worker for Commands {
    const NAME: &'static str = "package-image";
    const FAILED_TO: &'static str = "failed";

    fn failed_to(&self) -> &'static str {
        match &self.command {
            Command::Push(_) => "failed to push the image",
            Command::Pull(_) => "failed to pull the image",
            Command::Promote(_) => "failed to promote the image",
        }
    }

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Push(args) => &args.reporting,
            Command::Pull(args) => &args.reporting,
            Command::Promote(args) => &args.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Command::Push(args) => args.run(context),
            Command::Pull(args) => args.run(context),
            Command::Promote(args) => args.run(context),
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
        assert!(is(&["package-image", "push", "dir"]));
        assert!(is(&["package-image", "help", "pull"]));
        assert!(!is(&["package-image"]));
        assert!(!is(&["package-image", "--help"]));
        assert!(!is(&["package-image", "--output", "push"]));
    }

    #[test]
    fn help_is_as_published() {
        let mut command = Commands::command().term_width(100);
        command.build();
        for name in ["push", "pull", "promote"] {
            let command = command.find_subcommand_mut(name).unwrap();
            insta::assert_snapshot!(format!("help-{name}"), command.render_long_help());
        }
    }

    #[test]
    fn bad_values_are_usage_errors() {
        for (line, message) in [
            ("push d h/a:1", "names no image in a registry"),
            (
                "push d localhost/a@sha256:00",
                "names no image in a registry",
            ),
            ("pull localhost/a", "required arguments were not provided"),
            ("promote localhost/a:1 x", "needs a digest"),
            (
                &format!("promote localhost/a@sha256:{} -x", "0".repeat(64)),
                "unexpected argument '-x'",
            ),
            (
                &format!("promote localhost/a@sha256:{}", "0".repeat(64)),
                "required arguments were not provided",
            ),
        ] {
            let line = std::iter::once("package-image").chain(line.split(' '));
            let error = Commands::try_parse_from(line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(message), "{message}: {error}");
        }
    }
}
