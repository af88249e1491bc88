//! The command line of `record`.

use std::path::PathBuf;

use clap::Subcommand;
use fork_worker::ReportingArgs;
use release_policy::Time;
use release_policy::statement::Choice;

use crate::args::{ReleaseArgs, SigningArgs, TimeArgs, pair};

/// Record a signed fact
///
/// Either an envelope that somebody signed elsewhere, or a fact that is put together from the command
/// line and signed with --key. The documents a fact is about are kept with it, byte for byte. A fact
/// that is recorded already is not recorded again.
#[derive(Clone, Debug, clap::Args)]
pub struct RecordArgs {
    /// What to record
    #[command(subcommand)]
    pub what: What,
}

/// What is recorded.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// An envelope (DSSE) that was signed elsewhere
    Evidence(EvidenceArgs),
    /// What is released: names, versions, and the digests of the artifacts
    Manifest(ManifestArgs),
    /// A document: announcement, incident, changelog, configuration, postmortem, …
    Document(DocumentArgs),
    /// A vote, from the mail it came in, or signed
    Vote(VoteArgs),
    /// Something that was seen
    Observe(ObserveArgs),
    /// What became of a network
    Deploy(DeployArgs),
    /// The outcome of a test suite
    Test(TestArgs),
    /// A clear-signed list of checksums
    Checksums(ChecksumsArgs),
    /// An agreement or verdict
    Approve(ApproveArgs),
    /// An exception from a rule
    Waive(WaiveArgs),
    /// That an attempt failed
    Fail(FailArgs),
}

/// What every fact has.
#[derive(Clone, Debug, clap::Args)]
pub struct CommonArgs {
    /// The release
    #[command(flatten)]
    pub release: ReleaseArgs,

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

/// What a fact is about.
#[derive(Clone, Debug, clap::Args)]
pub struct AboutArgs {
    /// The stage it is about; `*` for what is said of the code itself
    #[arg(long, value_name = "STAGE", default_value = "*")]
    pub stage: String,

    /// The attempt at the stage [default: the one that goes on, else the next]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,

    /// When it happened [default: when it is recorded]
    #[arg(long, value_name = "TIME")]
    pub at: Option<Time>,

    /// Write the signed envelope here and record nothing: somebody else records it
    #[arg(long, value_name = "FILE")]
    pub sign_only: Option<PathBuf>,
}

/// An envelope (DSSE) that was signed elsewhere
#[derive(Clone, Debug, clap::Args)]
pub struct EvidenceArgs {
    /// Envelope
    #[arg(long, value_name = "FILE")]
    pub envelope: PathBuf,

    /// Documents and mails it refers to
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub raw: Vec<PathBuf>,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What is released: names, versions, and the digests of the artifacts
///
/// --manifest is TOML with kind, version, commit and the rest, and [[artifact]] tables with name,
/// media_type and target. Every artifact is read, and its digests are put in; one that is given and
/// differs is refused. With --signed, every artifact must also be one of the signed manifest that
/// `sign-release` made, by digest.
#[derive(Clone, Debug, clap::Args)]
pub struct ManifestArgs {
    /// The manifest (TOML)
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,

    /// Envelope of `sign-release` that names the same artifacts, signed by the role that signs
    /// manifests
    #[arg(long, value_name = "FILE")]
    pub signed: Option<PathBuf>,

    /// Directories with the artifacts
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub artifacts: Vec<PathBuf>,

    /// An artifact: a file, or the OCI layout of an image
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    pub artifact: Vec<(String, PathBuf)>,

    /// Write the signed envelope here and record nothing
    #[arg(long, value_name = "FILE")]
    pub sign_only: Option<PathBuf>,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// A document: announcement, incident, changelog, configuration, postmortem, …
#[derive(Clone, Debug, clap::Args)]
pub struct DocumentArgs {
    /// Kind of document, as the policy names it
    #[arg(long = "type", value_name = "TYPE")]
    pub type_: String,

    /// Name of the document [default: name of the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The document
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,

    /// Other documents that this one names by digest
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub raw: Vec<PathBuf>,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// A vote, from the mail it came in, or signed
///
/// The mail says the proposal and the vote itself; the voter is looked up in the roster by address. The
/// raw mail is kept. The signature is that of the role which vouches for how the mail came.
#[derive(Clone, Debug, clap::Args)]
pub struct VoteArgs {
    /// The mail as it arrived (RFC 5322)
    #[arg(long, value_name = "FILE", required_unless_present = "choice")]
    pub mail: Option<PathBuf>,

    /// Channel the vote came in on [default: the policy's first]
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,

    /// Who votes, as in the roster [default: by the address in the mail]
    #[arg(long, value_name = "NAME")]
    pub voter: Option<String>,

    /// A vote without a mail
    #[arg(
        long,
        value_enum,
        value_name = "CHOICE",
        conflicts_with = "mail",
        requires = "voter"
    )]
    pub choice: Option<ChoiceArg>,

    /// Write the signed envelope here and record nothing
    #[arg(long, value_name = "FILE")]
    pub sign_only: Option<PathBuf>,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What a voter wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ChoiceArg {
    /// For the proposal
    Approve,
    /// Against it
    Reject,
    /// Takes an earlier vote back
    Withdraw,
    /// Stops the release for good
    Veto,
}

impl From<ChoiceArg> for Choice {
    fn from(choice: ChoiceArg) -> Self {
        match choice {
            ChoiceArg::Approve => Self::Approve,
            ChoiceArg::Reject => Self::Reject,
            ChoiceArg::Withdraw => Self::Withdraw,
            ChoiceArg::Veto => Self::Veto,
        }
    }
}

/// Something that was seen
#[derive(Clone, Debug, clap::Args)]
pub struct ObserveArgs {
    /// Kind of observation: diff, releases, backup, audit, incident, layers, visit, state, moment, …
    #[arg(long, value_name = "KIND")]
    pub kind: String,

    /// What was seen, as JSON; `@FILE` for a file
    #[arg(long, value_name = "JSON")]
    pub data: String,

    /// Documents it refers to
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub raw: Vec<PathBuf>,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What became of a network
#[derive(Clone, Debug, clap::Args)]
pub struct DeployArgs {
    /// What happened: deployed, bootstrap, activated, ended
    #[arg(long, value_name = "EVENT")]
    pub event: String,

    /// Name of the network
    #[arg(long, value_name = "NAME")]
    pub network: String,

    /// What else is known of it, as JSON (components, digests, activation, identity, …); `@FILE` for a
    /// file
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub data: String,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The outcome of a test suite
///
/// With --report, the outcome is that of a report.json of `verify-package`, which must be about one of
/// the release's artifacts by digest; the report is kept.
#[derive(Clone, Debug, clap::Args)]
pub struct TestArgs {
    /// Name of the suite
    #[arg(long, value_name = "NAME")]
    pub suite: String,

    /// Outcome: passed, warned or failed
    #[arg(long, value_name = "RESULT", required_unless_present = "report", conflicts_with = "report",
          value_parser = ["passed", "warned", "failed"])]
    pub result: Option<String>,

    /// Report of `verify-package` (report.json)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Checks of the report that must have run and passed; an ending `*` stands for any of a group
    /// [default: any]
    #[arg(long, value_name = "CHECK", value_delimiter = ',', requires = "report")]
    pub check: Vec<String>,

    /// Tests that failed
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub failed: Vec<String>,

    /// The one feature that was tested
    #[arg(long, value_name = "NAME")]
    pub feature: Option<String>,

    /// What was covered
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub covers: Vec<String>,

    /// Seed of a random sample
    #[arg(long, value_name = "SEED")]
    pub seed: Option<String>,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// A clear-signed list of checksums
///
/// As `sha256sum` writes and `gpg --clearsign` signs it, by an OpenPGP key of the role that the policy
/// names. Only the signed text counts: anything before or after it, a list by MD5, an expired or
/// unknown key are refused.
#[derive(Clone, Debug, clap::Args)]
pub struct ChecksumsArgs {
    /// The list
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// An agreement or verdict
///
/// What a block step of a pipeline collected is only input: this signs it, and the signature is what
/// counts.
#[derive(Clone, Debug, clap::Args)]
pub struct ApproveArgs {
    /// What is agreed to, as the policy names it
    #[arg(long, value_name = "ITEM")]
    pub item: String,

    /// The verdict
    #[arg(long, value_name = "WORD", default_value = "approved")]
    pub verdict: String,

    /// Who decided, by name
    #[arg(long, value_name = "NAME")]
    pub by: String,

    /// What the decision lists, such as features
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub lists: Vec<String>,

    /// The date that was decided
    #[arg(long, value_name = "TIME")]
    pub date: Option<Time>,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// An exception from a rule
#[derive(Clone, Debug, clap::Args)]
pub struct WaiveArgs {
    /// The rule
    #[arg(long, value_name = "RULE")]
    pub gate: String,

    /// What exactly is excepted
    #[arg(long, value_name = "HIT")]
    pub hit: Vec<String>,

    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,

    /// What may go wrong
    #[arg(long, value_name = "TEXT")]
    pub risk: String,

    /// Until when it may be used
    #[arg(long, value_name = "TIME")]
    pub expires: Time,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}

/// That an attempt failed
#[derive(Clone, Debug, clap::Args)]
pub struct FailArgs {
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub cause: String,

    /// What it is about
    #[command(flatten)]
    pub about: AboutArgs,

    /// What every fact has
    #[command(flatten)]
    pub common: CommonArgs,
}
