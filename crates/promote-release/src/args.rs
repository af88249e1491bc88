//! The command line.

mod policy;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};
use release_policy::{Point, Time};

use crate::recording::RecordArgs;

pub use policy::{Change, ExplainArgs, KeysArgs, LintArgs, NextKind, NextVersionArgs};

/// Lead a release through its process
///
/// A policy says what a release needs before it enters, leaves or closes a stage. Facts are signed
/// statements; what happened is a hash-chained log. From these and a time every decision follows, and
/// can be made again by anybody. Nothing is done before it is allowed. The model, the files and an
/// example of each process are in docs/release-policies.md.
///
/// Exit codes: 0 allowed or done, 2 usage, 3 not yet, 4 denied or a record that does not hold, 5
/// malformed or unsigned input, 6 disk, network, or another command is writing.
#[derive(Clone, Debug, Parser)]
#[command(name = "promote-release", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check policies
    Lint(LintArgs),
    /// Say what a rule is, and where it is written
    Explain(ExplainArgs),
    /// Print the next version of a process
    NextVersion(NextVersionArgs),
    /// Make the file of keys from public keys
    Keys(KeysArgs),
    /// Open a release: pin its policy and keys, and begin its record
    Open(OpenArgs),
    /// Record a proposal, after all its sections are there
    OpenProposal(OpenProposalArgs),
    /// Record a signed fact
    Record(RecordArgs),
    /// Decide, and change nothing
    Check(CheckArgs),
    /// Decide, record the decision, and do what is then to be done
    Promote(PromoteArgs),
    /// Show where a release stands
    Status(ReadArgs),
    /// List who still has to do what, and until when
    Obligations(ObligationsArgs),
    /// Check a record, and make every decision of it again
    Audit(AuditArgs),
    /// Write the pages of releases
    InfoPage(InfoPageArgs),
    /// Write the text that announces a release
    Announcement(TextArgs),
    /// Write the frame of a postmortem of what failed
    Postmortem(TextArgs),
    /// Walk an empty release through a process, with simulated time
    Practice(PracticeArgs),
}

/// Open a release: pin its policy and keys, and begin its record
#[derive(Clone, Debug, clap::Args)]
pub struct OpenArgs {
    /// Directory of the release; must not be there yet
    #[arg(long, value_name = "DIR")]
    pub release: PathBuf,

    /// Name of the release
    #[arg(long, value_name = "NAME")]
    pub id: String,

    /// Policy: a file, or the name of one that ships
    #[arg(long, value_name = "POLICY")]
    pub policy: String,

    /// Practice that differs from the written process, by name
    #[arg(long = "option", value_name = "NAME")]
    pub options: Vec<String>,

    /// File of keys
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,

    /// How to sign
    #[command(flatten)]
    pub signing: SigningArgs,

    /// When it is
    #[command(flatten)]
    pub time: TimeArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Record a proposal, after all its sections are there
///
/// A proposal that lacks a section is refused with exit code 4, and nothing is recorded.
#[derive(Clone, Debug, clap::Args)]
pub struct OpenProposalArgs {
    /// The release
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// The proposal (TOML)
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,

    /// How to sign
    #[command(flatten)]
    pub signing: SigningArgs,

    /// When it is
    #[command(flatten)]
    pub time: TimeArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Decide, and change nothing
///
/// Prints every rule that is not met: what it wants, what there is, what to do next. On Buildkite, a
/// step with this command and `soft_fail` on exit status 3 polls a release that waits for time or
/// people.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// What to ask
    #[command(flatten)]
    pub question: QuestionArgs,

    /// Ask about a further attempt at a stage that the last attempt has entered or passed
    #[arg(long)]
    pub again: bool,

    /// When it is
    #[command(flatten)]
    pub time: TimeArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Decide, record the decision, and do what is then to be done
///
/// Nothing is done without ALLOW. What is done is checked afterwards and recorded; a run that was
/// killed is finished by the same command, and nothing is done twice. A release that was promoted
/// already stays as it is.
#[derive(Clone, Debug, clap::Args)]
pub struct PromoteArgs {
    /// What to ask
    #[command(flatten)]
    pub question: QuestionArgs,

    /// Begin a further attempt at a stage that the last attempt has passed
    #[arg(long)]
    pub again: bool,

    /// Programs that do what is to be done (TOML)
    #[arg(long, value_name = "FILE")]
    pub effects: Option<PathBuf>,

    /// How to sign
    #[command(flatten)]
    pub signing: SigningArgs,

    /// When it is
    #[command(flatten)]
    pub time: TimeArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// A command that only reads.
#[derive(Clone, Debug, clap::Args)]
pub struct ReadArgs {
    /// The release
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// List who still has to do what, and until when
///
/// Exit code 3 while anything is open.
#[derive(Clone, Debug, clap::Args)]
pub struct ObligationsArgs {
    /// The release
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// When it is
    #[command(flatten)]
    pub time: TimeArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Check a record, and make every decision of it again
///
/// Reads nothing but the files of the release: the chain, its signed end, the signature and digest of
/// every fact and document, and every decision from what stood before it. Exit code 4 when anything
/// is not as it should be. Needs no key and no network. Whoever could sign the end of the log could
/// also take back the last entries: compare with an end that you kept (--seen).
#[derive(Clone, Debug, clap::Args)]
pub struct AuditArgs {
    /// The release
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// An earlier end of this log, which must be on its way: a signed one (log.head.intoto.json), or the
    /// digest of an entry as `status` and `audit` print it
    #[arg(long, value_name = "FILE|DIGEST")]
    pub seen: Vec<PathBuf>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Write the pages of releases
///
/// One HTML page and one JSON document for each release, and an index. They follow from the records
/// alone: the same records give the same bytes. The pages need nothing else, and run no scripts.
#[derive(Clone, Debug, clap::Args)]
pub struct InfoPageArgs {
    /// Directories of releases
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub release: Vec<PathBuf>,

    /// Directory for the pages; pages of the same names are replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// A text made from a record.
#[derive(Clone, Debug, clap::Args)]
pub struct TextArgs {
    /// The release
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// File to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Walk an empty release through a process, with simulated time
///
/// Builds empty artifacts, signs with keys that are worth nothing, and runs the real commands on them,
/// from the opening to the end: a rehearsal, an example, and a test of the process. The release it
/// leaves can be looked at with status, audit and info-page.
#[derive(Clone, Debug, clap::Args)]
pub struct PracticeArgs {
    /// Processes [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Stop before this: a fact by its name, or a question as `enter:STAGE`. What is left is a release
    /// on its way, with its keys and artifacts beside it
    #[arg(long, value_name = "STEP")]
    pub before: Option<String>,

    /// Directory to create for the releases; it must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// Replace the directory if it is not empty
    #[arg(long)]
    pub force: bool,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// The release.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseArgs {
    /// Directory of the release
    #[arg(long, value_name = "DIR")]
    pub release: PathBuf,

    /// The policy you expect; another one ends with exit code 4
    #[arg(long, value_name = "POLICY")]
    pub expect_policy: Option<String>,

    /// The file of keys you expect; another one ends with exit code 4
    #[arg(long, value_name = "FILE")]
    pub expect_keys: Option<PathBuf>,
}

/// What to ask.
#[derive(Clone, Debug, clap::Args)]
pub struct QuestionArgs {
    /// The release
    #[command(flatten)]
    pub release: ReleaseArgs,

    /// Stage
    #[arg(long, value_name = "STAGE")]
    pub to: String,

    /// To enter the stage, to count it as passed, or to close its matters
    #[arg(long, value_enum, default_value_t)]
    pub on: On,

    /// Directories with the artifacts, found by name or by what they are
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub artifacts: Vec<PathBuf>,

    /// An artifact: a file, or the OCI layout of an image
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    pub artifact: Vec<(String, PathBuf)>,
}

/// When a gate is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum On {
    /// To come to the stage
    #[default]
    Enter,
    /// To count the stage as passed
    Exit,
    /// To close the stage's matters
    Close,
}

impl From<On> for Point {
    fn from(on: On) -> Self {
        match on {
            On::Enter => Self::Enter,
            On::Exit => Self::Exit,
            On::Close => Self::Close,
        }
    }
}

/// When it is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TimeArgs {
    /// Time of the command, as 2026-05-01T06:10:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub now: Option<Time>,
}

/// How to sign.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SigningArgs {
    /// Private keys that sign the fact [default: the text in FORKPACK_SIGNING_KEY]
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,

    /// Private key that signs the end of the log [default: the text in FORKPACK_LOG_KEY, else a key of
    /// --key that may]
    #[arg(long, value_name = "FILE")]
    pub log_key: Option<PathBuf>,
}

/// `NAME=PATH`.
pub(crate) fn pair(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(path)))
        }
        _ => Err("expected NAME=PATH".to_owned()),
    }
}

impl Worker for Args {
    const NAME: &'static str = "promote-release";
    const FAILED_TO: &'static str = "failed";

    fn failed_to(&self) -> &'static str {
        match &self.command {
            Command::Lint(_) => "the policy is not good",
            Command::Explain(_) => "failed to explain the rule",
            Command::NextVersion(_) => "failed to name the next version",
            Command::Keys(_) => "failed to write the keys",
            Command::Open(_) => "failed to open the release",
            Command::OpenProposal(_) => "failed to open the proposal",
            Command::Record(_) => "failed to record",
            Command::Check(_) => "not allowed",
            Command::Promote(_) => "not promoted",
            Command::Status(_) => "failed to show the release",
            Command::Obligations(_) => "obligations",
            Command::Audit(_) => "audit failed",
            Command::InfoPage(_) => "failed to write the pages",
            Command::Announcement(_) => "failed to write the announcement",
            Command::Postmortem(_) => "failed to write the postmortem",
            Command::Practice(_) => "practice failed",
        }
    }

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Lint(args) => &args.reporting,
            Command::Explain(args) => &args.reporting,
            Command::NextVersion(args) => &args.reporting,
            Command::Keys(args) => &args.reporting,
            Command::Open(args) => &args.reporting,
            Command::OpenProposal(args) => &args.reporting,
            Command::Record(args) => args.reporting(),
            Command::Check(args) => &args.reporting,
            Command::Promote(args) => &args.reporting,
            Command::Status(args) => &args.reporting,
            Command::Obligations(args) => &args.reporting,
            Command::Audit(args) => &args.reporting,
            Command::InfoPage(args) => &args.reporting,
            Command::Announcement(args) | Command::Postmortem(args) => &args.reporting,
            Command::Practice(args) => &args.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Command::Lint(args) => args.run(context),
            Command::Explain(args) => args.run(context),
            Command::NextVersion(args) => args.run(context),
            Command::Keys(args) => args.run(context),
            Command::Open(args) => args.run(context),
            Command::OpenProposal(args) => args.run(context),
            Command::Record(args) => args.run(context),
            Command::Check(args) => args.run(context),
            Command::Promote(args) => args.run(context),
            Command::Status(args) => args.run(context),
            Command::Obligations(args) => args.run(context),
            Command::Audit(args) => args.run(context),
            Command::InfoPage(args) => args.run(context),
            Command::Announcement(args) => args.announcement(context),
            Command::Postmortem(args) => args.postmortem(context),
            Command::Practice(args) => args.run(context),
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
        let names: Vec<String> = command
            .get_subcommands()
            .map(|one| one.get_name().to_owned())
            .filter(|name| name != "help")
            .collect();
        for name in names {
            let subcommand = command.find_subcommand_mut(&name).unwrap();
            let mut text = subcommand.render_long_help().to_string();
            let deeper: Vec<String> = subcommand
                .get_subcommands()
                .map(|one| one.get_name().to_owned())
                .filter(|name| name != "help")
                .collect();
            for one in deeper {
                let help = subcommand.find_subcommand_mut(&one).unwrap();
                text.push_str(&format!("\n=== {one}\n\n{}", help.render_long_help()));
            }
            insta::assert_snapshot!(format!("help-{name}"), text);
        }
    }

    #[test]
    fn pairs_have_both_parts() {
        assert_eq!(pair("a=b=c").unwrap(), ("a".to_owned(), "b=c".into()));
        for text in ["a", "=a", "a=", ""] {
            assert!(pair(text).is_err(), "{text}");
        }
    }
}
