//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use fork_worker::{Context, OutputArgs, ReportingArgs, Worker, WorkerResult};

use crate::files::FILE_NAME;

/// Sign a release, and check who signed it
///
/// One statement names every artefact of a fork by its digests and says what is known of the fork. It
/// follows from the inputs alone: whoever builds the same gets the same bytes, and signs them. Formats
/// and a walk-through are in docs/signing.md.
#[derive(Clone, Debug, Parser)]
#[command(name = "sign-release", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check a release, and write the statement over all of it
    Manifest(Box<ManifestArgs>),
    /// Sign a statement, alone or beside others
    Sign(Box<SignArgs>),
    /// Bring signatures over the same statement together
    Merge(Box<MergeArgs>),
    /// Check who signed, and the artefacts
    Verify(Box<VerifyArgs>),
    /// Show a statement, without believing it
    Show(Box<ShowArgs>),
    /// Make a key
    Keygen(Box<KeygenArgs>),
    /// Print the public half of a key
    PublicKey(Box<PublicKeyArgs>),
}

/// Check a release, and write the statement over all of it
///
/// Reads the documents of the steps, hashes every file they name, looks into package and image, and
/// compares the documents with each other. Anything that does not belong together, and any report
/// with a failed check or about other files, ends with exit code 4. Writes manifest.json.
#[derive(Clone, Debug, clap::Args)]
pub struct ManifestArgs {
    /// What `dump-candidates` wrote
    #[arg(long, value_name = "DIR")]
    pub candidate: PathBuf,

    /// What `migrate-ledger` wrote: the directories of all three ledgers
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub ledgers: Vec<PathBuf>,

    /// What `generate-network-config` wrote
    #[arg(long, value_name = "DIR")]
    pub network_config: PathBuf,

    /// What `package-deb` wrote; one directory for each codename, if there are several
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub deb: Vec<PathBuf>,

    /// What `package-image` wrote; one directory for each codename and architecture
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub image: Vec<PathBuf>,

    /// What `verify-package` wrote, for the package and for the image [default: the statement says
    /// that they are not verified]
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub report: Vec<PathBuf>,

    /// Where to write
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Sign a statement, alone or beside others
///
/// Hashes the artefacts first: all of them must be there. Signing the same statement twice with one
/// key changes nothing.
///
/// The key is an ed25519 key in PEM (PKCS#8), as `sign-release keygen` and `openssl genpkey -algorithm
/// ed25519` write it. Without --key its text is taken from the variable FORKPACK_SIGNING_KEY.
#[derive(Clone, Debug, clap::Args)]
pub struct SignArgs {
    /// Statement (manifest.json), or envelope that others signed
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,

    /// Directories with the artefacts: those of the steps, or one with all files
    #[arg(long, value_name = "DIR", num_args = 1.., required_unless_present = "unchecked")]
    pub artifacts: Vec<PathBuf>,

    /// Sign without looking at any artefact
    #[arg(long, conflicts_with = "artifacts")]
    pub unchecked: bool,

    /// Statement or envelope of your own build; it must say the same, or the first difference is told
    #[arg(long, value_name = "FILE")]
    pub rebuilt: Option<PathBuf>,

    /// Private key [default: the text in FORKPACK_SIGNING_KEY]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Where the envelope goes
    #[command(flatten)]
    pub output: FileOutputArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Bring signatures over the same statement together
///
/// The order of the envelopes says nothing: the same signatures give the same file. Envelopes over
/// different statements end with exit code 4 and the first difference.
#[derive(Clone, Debug, clap::Args)]
pub struct MergeArgs {
    /// Envelopes
    #[arg(value_name = "FILE", num_args = 2.., required = true)]
    pub envelopes: Vec<PathBuf>,

    /// Where the envelope goes
    #[command(flatten)]
    pub output: FileOutputArgs,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Check who signed, and the artefacts
///
/// Needs no network. Exit code 0: enough different trusted keys signed, and every artefact that is
/// there is the one of the statement. 3: only signatures are missing, or with --all artefacts. 4: a
/// signature in the name of a trusted key is not its, or an artefact differs. Signatures by keys that
/// are not trusted are shown and count for nothing.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Envelope
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,

    /// Trusted public keys: files, or directories of *.pub files
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required = true)]
    pub trusted: Vec<PathBuf>,

    /// How many different trusted keys must have signed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threshold: u16,

    /// Directories with artefacts to check
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub artifacts: Vec<PathBuf>,

    /// Demand that every artefact is there
    #[arg(long, requires = "artifacts")]
    pub all: bool,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Show a statement, without believing it
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// Statement or envelope
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Make a key
///
/// Writes signing-key.pem, which only its owner can read, and signing-key.pub. A key that is there is
/// never overwritten.
#[derive(Clone, Debug, clap::Args)]
pub struct KeygenArgs {
    /// Directory for the two files; made if it is not there
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Print the public half of a key
#[derive(Clone, Debug, clap::Args)]
pub struct PublicKeyArgs {
    /// Private key [default: the text in FORKPACK_SIGNING_KEY]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// An output file, the same option in every command that writes one.
#[derive(Clone, Debug, clap::Args)]
pub struct FileOutputArgs {
    /// File to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}

impl ManifestArgs {
    /// Where the statement goes.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.output.output.join(FILE_NAME)
    }
}

impl Worker for Args {
    const NAME: &'static str = "sign-release";
    const FAILED_TO: &'static str = "failed";

    fn failed_to(&self) -> &'static str {
        match &self.command {
            Command::Manifest(_) => "failed to write the manifest",
            Command::Sign(_) => "failed to sign",
            Command::Merge(_) => "failed to merge",
            Command::Verify(_) => "verification failed",
            Command::Show(_) => "failed to show the manifest",
            Command::Keygen(_) => "failed to make a key",
            Command::PublicKey(_) => "failed to print the public key",
        }
    }

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            Command::Manifest(args) => &args.reporting,
            Command::Sign(args) => &args.reporting,
            Command::Merge(args) => &args.reporting,
            Command::Verify(args) => &args.reporting,
            Command::Show(args) => &args.reporting,
            Command::Keygen(args) => &args.reporting,
            Command::PublicKey(args) => &args.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Command::Manifest(args) => args.run(context),
            Command::Sign(args) => args.run(context),
            Command::Merge(args) => args.run(context),
            Command::Verify(args) => args.run(context),
            Command::Show(args) => args.run(context),
            Command::Keygen(args) => args.run(context),
            Command::PublicKey(args) => args.run(context),
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
        for name in [
            "manifest",
            "sign",
            "merge",
            "verify",
            "show",
            "keygen",
            "public-key",
        ] {
            let subcommand = command.find_subcommand_mut(name).unwrap();
            insta::assert_snapshot!(
                format!("help-{name}"),
                subcommand.render_long_help().to_string()
            );
        }
    }

    #[test]
    fn nobody_signs_unseen_by_accident() {
        let parse = |line: &str| Args::try_parse_from(line.split(' '));
        let sign = "sign-release sign --manifest m --output o";
        assert!(parse(sign).is_err());
        assert!(parse(&format!("{sign} --artifacts a b")).is_ok());
        assert!(parse(&format!("{sign} --unchecked")).is_ok());
        assert!(parse(&format!("{sign} --unchecked --artifacts a")).is_err());
        let verify = "sign-release verify --manifest m --trusted a b --threshold";
        assert!(parse(&format!("{verify} 2")).is_ok());
        assert!(parse(&format!("{verify} 0")).is_err());
        assert!(parse(&format!("{verify} 1 --all")).is_err());
    }
}
