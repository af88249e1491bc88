//! The command line.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};

use crate::environment::Variables;

/// What a pipeline needs besides its work
#[derive(Clone, Debug, Parser)]
#[command(name = "pipeline-step", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check the variables the pipeline was started with, all of them at once
    CheckEnv(CheckEnvArgs),
    /// Hand what the step noted to the agent
    Annotate(AnnotateArgs),
    /// Hold the documents of a run against each other, and put the fork on one screen
    Facts(FactsArgs),
    /// Print a pipeline for several networks, distributions or machines
    Generate(GenerateArgs),
}

/// Check the variables the pipeline was started with, all of them at once
///
/// Holds the environment against the contract: what must be set is set, no two contradict each other,
/// values have the right form, files and directories on this machine are there. Everything that is
/// wrong is told, each with what to do about it; then the exit code is 2. Uses no network.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckEnvArgs {
    /// Print the contract instead: every variable with its form and an example
    #[arg(long, conflicts_with = "output")]
    pub explain: bool,

    /// With --explain: as Markdown
    #[arg(long, requires = "explain")]
    pub markdown: bool,

    /// Directory to write environment.json to; it must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace the output directory if it is not empty
    #[arg(long, requires = "output")]
    pub force: bool,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Hand what the step noted to the agent
///
/// Runs `buildkite-agent annotate` with the file that FORKPACK_ANNOTATION names, and to which the
/// workers of the step added. Does nothing when there is no such file. It never fails: a step must not
/// fail for want of a note. As a step's first line: trap 'pipeline-step annotate --status "$?"' EXIT
#[derive(Clone, Debug, clap::Args)]
pub struct AnnotateArgs {
    /// Exit status of the step: 0 is a success, 3 a warning, anything else an error
    #[arg(long, value_name = "N")]
    pub status: i32,

    /// Name of the annotation; a later one of the same name replaces it [default: the step's key,
    /// with the number of the parallel job]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Key of the step
    #[arg(long, hide = true, env = "BUILDKITE_STEP_KEY", hide_env_values = true)]
    pub step_key: Option<OsString>,

    /// Number of the parallel job
    #[arg(
        long,
        hide = true,
        env = "BUILDKITE_PARALLEL_JOB",
        hide_env_values = true
    )]
    pub parallel_job: Option<OsString>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Hold the documents of a run against each other, and put the fork on one screen
///
/// Reads only the documents in the directories (candidate.json, ledger.json, network.json, deb.json,
/// image.json, report.json, manifest.json and its envelope), no artefact. Documents that contradict
/// each other, or a report with failed checks, end with exit code 4. What a person should know comes first. Writes facts.txt,
/// facts.md and facts.json.
#[derive(Clone, Debug, clap::Args)]
pub struct FactsArgs {
    /// Directory that `dump-candidates` wrote
    #[arg(long, value_name = "DIR")]
    pub candidate: PathBuf,

    /// Directories that `migrate-ledger` wrote: genesis, staking and next, in any order
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub ledgers: Vec<PathBuf>,

    /// Directory that `generate-network-config` wrote
    #[arg(long, value_name = "DIR")]
    pub network_config: PathBuf,

    /// Directories that `package-deb` wrote
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub deb: Vec<PathBuf>,

    /// Directories that `package-image` wrote
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub image: Vec<PathBuf>,

    /// Directories that `verify-package` wrote
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub report: Vec<PathBuf>,

    /// Directory that `sign-release manifest` wrote
    #[arg(long, value_name = "DIR")]
    pub manifest: Option<PathBuf>,

    /// Directory to create; it must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// Replace the output directory if it is not empty
    #[arg(long)]
    pub force: bool,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Print a pipeline for several networks, distributions or machines
///
/// Reads a pipeline file and prints it changed, for `buildkite-agent pipeline upload`. Lists in a
/// matrix are replaced; with --networks, all steps are repeated for each network as a group of their
/// own, with keys and artifacts that do not mix; with --shards, the ledgers are migrated on several
/// machines.
#[derive(Clone, Debug, clap::Args)]
pub struct GenerateArgs {
    /// Pipeline file
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,

    /// TOML or YAML file with a table of variables per network; what stands in the table `all` is for
    /// all of them
    #[arg(long, value_name = "FILE")]
    pub networks: Option<PathBuf>,

    /// Codenames of distributions, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = word)]
    pub codenames: Vec<String>,

    /// Architectures, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = word)]
    pub architectures: Vec<String>,

    /// Machines to migrate the ledgers on
    #[arg(long, value_name = "N", requires = "sharded")]
    pub shards: Option<NonZeroU16>,

    /// File with the steps that replace `migrate-ledgers`
    #[arg(long, value_name = "FILE", requires = "shards")]
    pub sharded: Option<PathBuf>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// A codename or architecture; upper case, as upstream writes it, is taken for lower case.
fn word(text: &str) -> Result<String, String> {
    let lower = text.trim().to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if lower.is_empty() || !lower.bytes().all(plain) {
        return Err("must be letters and digits".to_owned());
    }
    Ok(lower)
}

/// Variables of this process, for the commands that are about them.
pub(crate) fn process_variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect()
}

impl Worker for Args {
    const NAME: &'static str = "pipeline-step";
    const FAILED_TO: &'static str = "failed";

    fn failed_to(&self) -> &'static str {
        match &self.command {
            Command::CheckEnv(_) => "the environment cannot be used",
            Command::Annotate(_) => "failed to annotate",
            Command::Facts(_) => "failed to put the facts together",
            Command::Generate(_) => "failed to generate the pipeline",
        }
    }

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::CheckEnv(args) => &args.reporting,
            Command::Annotate(args) => &args.reporting,
            Command::Facts(args) => &args.reporting,
            Command::Generate(args) => &args.reporting,
        }
    }

    fn is_annotated(&self) -> bool {
        match &self.command {
            Command::CheckEnv(args) => !args.explain,
            Command::Facts(_) => true,
            // The one sends the annotation; what the other prints is a file, no result.
            Command::Annotate(_) | Command::Generate(_) => false,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Command::CheckEnv(args) => args.run(&process_variables(), context),
            Command::Annotate(args) => {
                args.run(context);
                Ok(())
            }
            Command::Facts(args) => args.run(context),
            Command::Generate(args) => args.run(&process_variables(), context),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn help_is_as_published() {
        Args::command().debug_assert();
        let mut command = Args::command().term_width(100);
        command.build();
        insta::assert_snapshot!("help", command.render_long_help());
        for name in ["check-env", "annotate", "facts", "generate"] {
            let subcommand = command.find_subcommand_mut(name).unwrap();
            insta::assert_snapshot!(
                format!("help-{name}"),
                subcommand.render_long_help().to_string()
            );
        }
    }

    #[test]
    fn names_may_be_spelled_as_upstream_does() {
        let parse = |line: &str| Args::try_parse_from(line.split(' '));
        let line = "pipeline-step generate --file p --codenames Bookworm,Jammy";
        let Command::Generate(args) = parse(line).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(args.codenames, ["bookworm", "jammy"]);
        for bad in ["a,,b", "a;b", "../a"] {
            let line = format!("pipeline-step generate --file p --codenames {bad}");
            assert!(parse(&line).is_err(), "{bad}");
        }
        assert!(parse("pipeline-step generate --file p --shards 3").is_err());
        assert!(parse("pipeline-step generate --file p --shards 0 --sharded s").is_err());
    }
}
