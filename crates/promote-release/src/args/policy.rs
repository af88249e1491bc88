//! Commands that need no release.

use std::path::PathBuf;

use clap::ValueEnum;
use fork_worker::ReportingArgs;
use release_policy::Time;

use super::pair;

/// Check policies
#[derive(Clone, Debug, clap::Args)]
pub struct LintArgs {
    /// Policies: files, or names of those that ship
    #[arg(value_name = "POLICY", required = true)]
    pub policies: Vec<String>,

    /// A file of keys to read them with
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Say what a rule is, and where it is written
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// Rule, such as S-19
    #[arg(value_name = "RULE")]
    pub rule: String,

    /// Policy with it: a file, or the name of one that ships [default: those that ship]
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Print the next version of a process
#[derive(Clone, Debug, clap::Args)]
pub struct NextVersionArgs {
    /// Policy: a file, or the name of one that ships
    #[arg(long, value_name = "POLICY")]
    pub policy: String,

    /// Options of the policy
    #[arg(long = "option", value_name = "NAME")]
    pub options: Vec<String>,

    /// Version to start from; of a candidate or build, the release it is of
    #[arg(long, value_name = "VERSION")]
    pub base: Option<String>,

    /// What comes next
    #[arg(long, value_enum, default_value_t)]
    pub kind: NextKind,

    /// What the changes do to users, where the process counts by that
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub change: Vec<Change>,

    /// Versions that exist already
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    pub existing: Vec<String>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NextKind {
    /// The next release
    #[default]
    Release,
    /// The next candidate or build of the release `--base`
    Candidate,
}

/// What a change does to those who use the software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Change {
    /// Repairs something
    Fix,
    /// Adds something
    Feature,
    /// Others must adapt
    Breaking,
}

/// Make the file of keys from public keys
///
/// ed25519 keys as `sign-release public-key` prints them, OpenPGP keys as `gpg --armor --export` writes
/// them. The digest of the file is pinned when a release is opened.
#[derive(Clone, Debug, clap::Args)]
pub struct KeysArgs {
    /// A public key of a role
    #[arg(long = "role", value_name = "ROLE=FILE", value_parser = pair, required = true)]
    pub roles: Vec<(String, PathBuf)>,

    /// A public key that signs the end of the log
    #[arg(long, value_name = "FILE", required = true)]
    pub log: Vec<PathBuf>,

    /// When the word of a key ends to count: a file named above, and a time as 2027-01-01T00:00:00Z.
    /// What is recorded then or later is refused. OpenPGP keys have an end of their own as well
    #[arg(long, value_name = "FILE=TIME", value_parser = end)]
    pub expires: Vec<(PathBuf, Time)>,

    /// Policy whose roles must all have keys: a file, or the name of one that ships
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,

    /// File to write; one that is there is kept
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// `FILE=TIME`.
fn end(text: &str) -> Result<(PathBuf, Time), String> {
    match text.rsplit_once('=') {
        Some((path, time)) if !path.is_empty() => {
            let time = time.parse::<Time>().map_err(|why| why.to_string())?;
            Ok((PathBuf::from(path), time))
        }
        _ => Err("expected FILE=TIME".to_owned()),
    }
}
