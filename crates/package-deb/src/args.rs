//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use fork_package::PackageVersion;
use fork_types::Compression;
use fork_worker::{OutputArgs, ReportingArgs};

/// Suites the network's package repositories have (`scripts/debian/builder-helpers.sh` upstream
/// checks against the same list).
pub const SUITES: [&str; 12] = [
    "unstable",
    "develop",
    "compatible",
    "master",
    "itn",
    "umt",
    "umt-mainnet",
    "devnet",
    "alpha",
    "beta",
    "experimental",
    "stable",
];

/// Pack the post-fork config and ledgers of a network as a Debian package
///
/// Writes `mina-<network>-config_<version>_all.deb` and `deb.json` to a new directory. Before that,
/// every ledger and tarball is compared with the network config that names it; a difference stops
/// the run. The same input gives the same bytes. A run that is interrupted leaves nothing at the
/// output path.
///
/// With `--convert`, the config and ledgers are put into a daemon's package instead, which becomes
/// `<its name>-hardfork`; everything else in it stays as it is, byte for byte.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "package-deb",
    version,
    disable_version_flag = true,
    override_usage = "package-deb [OPTIONS] --network-config <DIR> --ledgers <DIR>... --version <VERSION> --git-hash <HASH> --seed-list-url <URL> --output <DIR>\n       package-deb [OPTIONS] --network-config <DIR> --ledgers <DIR>... --convert <DEB> --output <DIR>",
    after_help = "Commands for packages that exist: package-deb session|publish|upload-ledgers|diff --help"
)]
pub struct Args {
    /// Directory that `generate-network-config` wrote
    #[arg(long, value_name = "DIR")]
    pub network_config: PathBuf,

    /// Directories that `migrate-ledger` wrote: genesis, staking and next, in any order
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub ledgers: Vec<PathBuf>,

    /// Package of a daemon to convert; the commit is taken from the config in it
    #[arg(long, value_name = "DEB")]
    pub convert: Option<PathBuf>,

    /// Debian version of the package, without an epoch; with --convert, the default is the daemon's
    // The command contract gives `--version` to the package; alone on the command line it still
    // prints this program's version (see `program_version_wanted`).
    #[arg(long = "version", id = "package-version", value_name = "VERSION", value_parser = version, required_unless_present = "convert")]
    pub package_version: Option<PackageVersion>,

    /// Git commit of the daemon that will load the config by itself: its first 8 hexadecimal digits
    #[arg(
        long,
        value_name = "HASH",
        required_unless_present = "convert",
        conflicts_with = "convert"
    )]
    pub git_hash: Option<GitHash>,

    /// Where to write
    #[command(flatten)]
    pub output: OutputArgs,

    /// URL of the network's seed list, for the systemd unit
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "convert",
        conflicts_with = "convert"
    )]
    pub seed_list_url: Option<SeedListUrl>,

    /// Distribution codename to put into the control data
    #[arg(
        long,
        value_name = "NAME",
        default_value = "bookworm",
        conflicts_with = "convert"
    )]
    pub codename: Codename,

    /// Suite to put into the control data
    #[arg(long, value_name = "NAME", default_value = "unstable", value_parser = SUITES, conflicts_with = "convert")]
    pub suite: String,

    /// Build URL to put into the description; nobody else can rebuild the same bytes then
    #[arg(long, value_name = "URL", value_parser = one_line, conflicts_with = "convert")]
    pub build_url: Option<String>,

    /// Compression of the package: gz, xz or zst. Its content is the same; ledgers are compressed
    /// already, so the size is nearly the same too. Packages of the network are gz. With --convert, it
    /// stays what it is
    #[arg(long, value_name = "NAME", default_value_t = Compression::Gzip, value_parser = compression, conflicts_with = "convert")]
    pub compression: Compression,

    /// Time of every file in the package, seconds since 1970 [default: the genesis time]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true, value_parser = seconds)]
    pub source_date_epoch: Option<u64>,

    /// Print the version of this program
    #[arg(short = 'V', long = "program-version", action = clap::ArgAction::Version)]
    pub program_version: Option<bool>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Whether the command line asks for this program's version and nothing else: `--version` takes a
/// value here, but every command answers to a bare `--version` as well.
pub fn program_version_wanted(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let mut arguments = arguments.into_iter().skip(1);
    arguments.next().is_some_and(|first| first == "--version") && arguments.next().is_none()
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ValueError {
    problem: String,
}

fn refuse<T>(problem: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError {
        problem: problem.into(),
    })
}

/// First eight hexadecimal digits of a git commit, which is what the daemon looks for in
/// `config_<hash>.json`; seven or nine would never be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHash(String);

impl FromStr for GitHash {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.len() == 8
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Ok(Self(text.to_owned()));
        }
        refuse(format!(
            "must be exactly 8 lower-case hexadecimal digits, found {} characters",
            text.chars().count()
        ))
    }
}

impl fmt::Display for GitHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Codename of a distribution: lower-case letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codename(String);

impl FromStr for Codename {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Ok(Self(text.to_owned()));
        }
        refuse("must be lower-case letters")
    }
}

impl fmt::Display for Codename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An `http` or `https` URL that can stand in a systemd unit without quoting surprises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedListUrl(String);

impl SeedListUrl {
    /// The URL as systemd reads it back: `%` begins a specifier there and is doubled.
    #[must_use]
    pub fn for_unit(&self) -> String {
        self.0.replace('%', "%%")
    }
}

impl FromStr for SeedListUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\$`".contains(&byte);
        if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(plain) {
            return refuse("must be an http or https URL without blanks, quotes, `\\` and `$`");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SeedListUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn version(text: &str) -> Result<PackageVersion, ValueError> {
    let version: PackageVersion = match text.parse() {
        Ok(version) => version,
        Err(error) => {
            let error: fork_package::version::VersionError = error;
            return refuse(error.to_string());
        }
    };
    if version.has_epoch() {
        return refuse("an epoch cannot be part of a file name");
    }
    Ok(version)
}

fn compression(text: &str) -> Result<Compression, ValueError> {
    match text.parse() {
        Ok(Compression::None) | Err(_) => refuse("must be gz, xz or zst"),
        Ok(compression) => Ok(compression),
    }
}

fn one_line(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("must be printable ASCII without blanks");
    }
    Ok(text.to_owned())
}

pub(crate) fn seconds(text: &str) -> Result<u64, ValueError> {
    // What an ar header's twelve digits and a tar header's eleven octal digits can both hold.
    const SECONDS_MAX: u64 = 0o77_777_777_777;
    match text.parse() {
        Ok(seconds) if seconds <= SECONDS_MAX => Ok(seconds),
        _ => refuse(format!("must be a number of seconds up to {SECONDS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    const GOOD: [&str; 13] = [
        "package-deb",
        "--network-config",
        "network",
        "--ledgers",
        "genesis",
        "staking",
        "next",
        "--version=4.0.0-6850301",
        "--git-hash=68503010",
        "--seed-list-url=https://example.org/seeds.txt",
        "--output",
        "out",
        "--force",
    ];

    fn with(option: &str) -> Result<Args, clap::Error> {
        let name = option.split('=').next().unwrap_or(option);
        let kept = GOOD
            .iter()
            .filter(|one| !one.starts_with(&format!("{name}=")));
        Args::try_parse_from(kept.chain([&option]))
    }

    #[test]
    fn command_is_consistent() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(GOOD).unwrap();
        assert_eq!(args.ledgers.len(), 3);
        assert_eq!(args.suite, "unstable");
    }

    #[test]
    fn help_is_as_published() {
        let help = Args::command().term_width(100).render_long_help();
        insta::assert_snapshot!("help", help);
    }

    #[test]
    fn bad_values_are_usage_errors() {
        for (option, message) in [
            (
                "--git-hash=6850301",
                "exactly 8 lower-case hexadecimal digits, found 7",
            ),
            (
                "--git-hash=6850301A",
                "exactly 8 lower-case hexadecimal digits",
            ),
            ("--git-hash=685030111", "found 9 characters"),
            ("--version=v4", "does not start with a digit"),
            (
                "--version=1:4.0.0",
                "an epoch cannot be part of a file name",
            ),
            ("--version=4_0", "only letters, digits"),
            ("--suite=nightly", "possible values: unstable, develop"),
            ("--codename=Bookworm", "lower-case letters"),
            ("--seed-list-url=ftp://example.org", "http or https URL"),
            ("--seed-list-url=https://a b", "http or https URL"),
            ("--build-url=a b", "printable ASCII"),
            ("--source-date-epoch=-1", "number of seconds"),
            ("--compression=lzma", "must be gz, xz or zst"),
            ("--compression=none", "must be gz, xz or zst"),
        ] {
            let error = with(option).unwrap_err();
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::ValueValidation | ErrorKind::InvalidValue
                ),
                "{option}"
            );
            assert_eq!(error.exit_code(), 2, "{option}");
            assert!(error.to_string().contains(message), "{option}: {error}");
        }
    }

    #[test]
    fn a_bare_version_is_the_programs() {
        let wanted = |arguments: &[&str]| program_version_wanted(arguments.iter().map(Into::into));
        assert!(wanted(&["package-deb", "--version"]));
        assert!(!wanted(&["package-deb", "--version", "4.0.0"]));
        assert!(!wanted(&["package-deb"]));
        let error = Args::try_parse_from(["package-deb", "-V"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayVersion);
    }

    #[test]
    fn percent_signs_are_doubled_for_systemd() {
        let url: SeedListUrl = "https://example.org/a%20b".parse().unwrap();
        assert_eq!(url.for_unit(), "https://example.org/a%%20b");
    }
}
