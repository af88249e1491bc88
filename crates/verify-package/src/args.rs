//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use fork_types::SlotSinceGenesis;
use fork_worker::{InputArg, OutputArgs, ReportingArgs, ScheduleArgs};

use crate::daemon::NodeArgs;

/// Prove a fork package, or say exactly what is wrong with it
///
/// Reads the package as a node would get it, recomputes every digest, name, root, slot and time from
/// its bytes and from the candidate, migrates the candidate's accounts again and compares them one by
/// one with those in the package's stores. All checks are run, whatever the others find; report.json
/// and report.html have every finding. Exit code 0: no check failed; 4: some did; 5: it is no readable
/// package.
#[derive(Clone, Debug, Parser)]
#[command(name = "verify-package", version)]
pub struct Args {
    /// What to verify.
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// Package of the daemon that --deb was converted from (`package-deb --convert`): what the fork
    /// does not bring must be this, to the byte
    #[arg(long, value_name = "DEB", requires = "deb")]
    pub converted_from: Option<PathBuf>,

    /// Candidate directory that `dump-candidates` wrote
    #[arg(long, value_name = "DIR")]
    pub candidate: PathBuf,

    /// Network: a file, or the name of one that ships
    #[arg(long, value_name = "N")]
    pub network: String,

    /// Precomputed fork block (path or URL) [default: the candidate's, when it has one]
    #[arg(long, value_name = "F")]
    pub block: Option<InputArg>,

    /// Config of the chain before the fork (path or URL)
    #[arg(long, value_name = "F")]
    pub prefork_config: Option<InputArg>,

    /// Global slot since genesis of the new genesis [default: from the stop slots or the time of the
    /// new genesis, else the candidate's scheduled slot, else the packaged config's]
    #[arg(long, value_name = "SLOT")]
    pub fork_slot: Option<SlotSinceGenesis>,

    /// The new genesis.
    #[command(flatten)]
    pub schedule: ScheduleArgs,

    /// Variant of the migration rule
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,

    /// How the stores in the tarballs are read
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub store_reading: StoreReading,

    /// Compare with a second package: deb:FILE, root:DIR, oci:DIR, docker-archive:FILE or
    /// automode:DIR, and name the first input that differs
    #[arg(long, value_name = "REF")]
    pub against: Option<AgainstRef>,

    /// Report on the package that the image was made from, a directory that this command wrote:
    /// ledgers whose files are here to the byte are not examined again
    #[arg(long, value_name = "DIR", conflicts_with_all = ["against", "daemon", "exports"])]
    pub package_report: Option<PathBuf>,

    /// Whether to look for the mistake behind a root that is wrong
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub explain: Explain,

    /// Where the report goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// A running node.
    #[command(flatten)]
    pub node: NodeArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// What to verify; exactly one.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(required = true, multiple = false)]
pub struct SubjectArgs {
    /// A Debian package, or a directory with one
    #[arg(long, value_name = "PATH")]
    pub deb: Option<PathBuf>,

    /// A root directory in which the package is installed or unpacked
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// An image in which it is installed: oci:DIR or docker-archive:FILE
    #[arg(long, value_name = "REF")]
    pub image: Option<ImageRef>,

    /// What a daemon wrote by itself: a directory with daemon.json and genesis/
    #[arg(long, value_name = "DIR")]
    pub automode: Option<PathBuf>,
}

/// How stores are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreReading {
    /// As a log, where a store is one in exactly our spelling, and with RocksDB where not or where
    /// anything is wrong
    #[default]
    Auto,
    /// With RocksDB, always: a quarter more time and three times the memory
    Rocksdb,
}

/// Whether to look for the mistake behind a root that is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Explain {
    /// The report comes at once
    Never,
    /// For every root that is wrong; minutes for large ledgers that nothing explains
    #[default]
    Auto,
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// An OCI layout.
    Oci(PathBuf),
    /// An archive of `docker save`.
    DockerArchive(PathBuf),
}

impl FromStr for ImageRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("oci", path)) if !path.is_empty() => Ok(Self::Oci(path.into())),
            Some(("docker-archive", path)) if !path.is_empty() => {
                Ok(Self::DockerArchive(path.into()))
            }
            _ => Err(format!("`{text}` is not oci:DIR or docker-archive:FILE")),
        }
    }
}

/// A second package; the same forms as the first, spelled in one argument.
#[derive(Clone, Debug)]
pub struct AgainstRef(pub SubjectArgs);

impl FromStr for AgainstRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut subject = SubjectArgs::default();
        match text.split_once(':') {
            Some(("deb", path)) if !path.is_empty() => subject.deb = Some(path.into()),
            Some(("root", path)) if !path.is_empty() => subject.root = Some(path.into()),
            Some(("automode", path)) if !path.is_empty() => subject.automode = Some(path.into()),
            Some(("oci" | "docker-archive", _)) => subject.image = Some(text.parse()?),
            _ => {
                return Err(format!(
                    "`{text}` is not deb:FILE, root:DIR, oci:DIR, docker-archive:FILE or \
                     automode:DIR"
                ));
            }
        }
        Ok(Self(subject))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
        let parse = |text: &str| Args::try_parse_from(text.split(' '));
        assert!(parse("v --deb a.deb --candidate c --network n -o o").is_ok());
        for kind in ["deb", "root", "oci", "docker-archive", "automode"] {
            let line = format!("v --deb a --candidate c --network n -o o --against {kind}:x");
            let subject = parse(&line).unwrap().against.unwrap().0;
            let (found, name) = crate::subject::Subject::describe(&subject);
            assert_eq!((found.name(), name.as_str()), (kind, "x"));
        }
        for bad in [
            "v --deb a --candidate c --network n -o o --against b.deb",
            "v --deb a --candidate c --network n -o o --against deb:",
            "v --deb a --candidate c --network n -o o --against oci:",
            "v --candidate c --network n -o o",
            "v --deb a --root b --candidate c --network n -o o",
            "v --image a:b --candidate c --network n -o o",
            "v --image oci: --candidate c --network n -o o",
            "v --deb a --candidate c -o o",
            "v --deb a --network n -o o",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
