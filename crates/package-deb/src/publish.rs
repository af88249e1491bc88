//! `package-deb publish`.

mod check;
mod error;
mod key;
mod plan;
mod report;
mod site;
mod write;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fork_daemon::{Store, StoreUrl};
use fork_fs::Digested;
use fork_package::apt::{Entry, is_architecture_name, is_suite_name};
use fork_package::{DebReader, PackageError};
use fork_worker::{Context, ReportingArgs, UsageError, WorkerResult};

pub use self::error::{PublishError, PublishedOtherwise};
pub use self::report::{CheckReport, PublishReport, PublishedPackage};

use self::plan::{Given, Plan, Settings};
use self::site::Site;

/// Most packages published at once.
const PACKAGES_MAX: usize = 1000;

/// Longest time a suite may stay valid, in days.
const VALID_DAYS_MAX: u32 = 3660;

/// Publish packages in a signed apt repository
///
/// The repository is a directory or a bucket with pool/ and dists/, signed by --key; a suite that is
/// not there yet begins with the first packages. What is published already stays, and must be signed
/// by the same key. A package whose name, version and architecture are published already with other
/// bytes is refused; with the same bytes it is left alone, so publishing again changes nothing. What
/// apt reads is exchanged in one step after everything it names is there: a reader sees the state
/// before or after, and a run that was killed is finished by the same command. Of two publishers at
/// the same time one is told to run again (exit code 6). There is no lock that anybody would have to
/// clear.
#[derive(Clone, Debug, clap::Args)]
pub struct PublishArgs {
    /// Repository: a directory, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX; credentials come from the
    /// environment
    #[arg(long, value_name = "URL")]
    pub repository: StoreUrl,

    /// Suite: the second word of a line in apt's list of sources
    #[arg(long, value_name = "NAME", value_parser = suite_name)]
    pub suite: String,

    /// Component: the third word there
    #[arg(long, value_name = "NAME", value_parser = suite_name, default_value = "main")]
    pub component: String,

    /// Packages, or directories of which every *.deb is published
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present_any = ["renew", "check"])]
    pub deb: Vec<PathBuf>,

    /// File with the OpenPGP secret key that signs, as gpg --export-secret-keys writes it (with
    /// --check, the public key will do) [default: the key in the environment variable
    /// FORKPACK_APT_KEY]. Its passphrase is taken from FORKPACK_APT_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// File with the public key of somebody else who may have signed what is there now, as after a
    /// change of keys
    #[arg(long, value_name = "FILE")]
    pub previous_key: Vec<PathBuf>,

    /// Architectures that get an index with the packages for `all`, besides those of the suite and
    /// of the packages
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = architecture,
          default_value = "amd64,arm64")]
    pub architectures: Vec<String>,

    /// Origin of the suite, for apt's pinning [default: as it is]
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    pub origin: Option<String>,

    /// Label of the suite [default: as it is]
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    pub label: Option<String>,

    /// Days after which apt no longer takes the suite, unless it was published or renewed since
    /// [default: as it is, or for ever]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(VALID_DAYS_MAX)))]
    pub valid_days: Option<u32>,

    /// Time of the suite and of its signatures: seconds since 1970, or like 2026-09-03T12:00:00Z
    /// [default: now]
    #[arg(long, value_name = "TIME", env = "SOURCE_DATE_EPOCH", hide_env_values = true, value_parser = time)]
    pub date: Option<u64>,

    /// Earlier states of the indices that are kept for readers that began with them
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub keep: u32,

    /// Sign the suite again even if nothing else changes: for a new date or another key
    #[arg(long)]
    pub renew: bool,

    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Read the suite back and check every signature, digest and package; change nothing
    #[arg(long, conflicts_with_all = ["deb", "renew", "dry_run"])]
    pub check: bool,

    /// Where it is remembered how far large uploads into a bucket are
    #[arg(long, value_name = "DIR", default_value = "forkpack-publish")]
    pub work_dir: PathBuf,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl PublishArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let store = Store::open(&self.repository)?;
        let site = Site {
            store: &store,
            suite: &self.suite,
        };
        let date = self.date.unwrap_or_else(now);
        if self.check {
            let keyring = self.keyring()?;
            let report = check::check(&site, &keyring, date, &|text| context.note(text))?;
            context.emit(&report.human(), &report)?;
            return match report.problems.len() {
                0 => Ok(()),
                problems => Err(PublishError::Problems {
                    repository: store.to_string(),
                    problems,
                }
                .into()),
            };
        }
        let key = key::secret(self.key.as_deref())?;
        key.check(date)?;
        let mut keyring = key.keyring();
        key::extend(&mut keyring, &self.previous_key)?;
        let given = self.given(&|text| context.note(text))?;
        let state = site.read(&keyring)?;
        let plan = Plan::make(&self.settings(date), state, given, &store)?;
        let mut report = PublishReport::new(&store, self, &plan, &key);
        if !self.dry_run {
            let note = |text: &str| context.note(text);
            report.written = write::carry_out(&site, &plan, &key, &keyring, &self.work_dir, &note)?;
        }
        context.emit(&report.human(), &report)?;
        Ok(())
    }

    fn settings(&self, date: u64) -> Settings<'_> {
        Settings {
            suite: &self.suite,
            component: &self.component,
            architectures: &self.architectures,
            origin: self.origin.as_deref(),
            label: self.label.as_deref(),
            valid_seconds: self.valid_days.map(|days| u64::from(days) * 86_400),
            date,
            keep: self.keep,
            renew: self.renew,
        }
    }

    fn keyring(&self) -> Result<fork_sign::openpgp::OpenPgpKeyring, PublishError> {
        let mut keyring = key::public(self.key.as_deref())?;
        key::extend(&mut keyring, &self.previous_key)?;
        Ok(keyring)
    }

    /// The packages to publish, read to their ends.
    fn given(&self, note: &dyn Fn(&str)) -> Result<Vec<Given>, PublishError> {
        let mut given = Vec::new();
        for path in self.packages()? {
            note(&format!("reading {}", path.display()));
            let reader = DebReader::open(&path)?;
            let control = reader.control().clone();
            reader.read_data(|_, _| Ok::<(), PackageError>(()))?;
            let digest: Digested = fork_fs::sha256_file(&path)?;
            let entry = Entry::new(&control, &digest, &self.component).map_err(|source| {
                PublishError::Control {
                    path: path.clone(),
                    source,
                }
            })?;
            given.push(Given {
                entry,
                path,
                digest,
            });
        }
        Ok(given)
    }

    fn packages(&self) -> Result<Vec<PathBuf>, PublishError> {
        let mut packages = Vec::new();
        for path in &self.deb {
            if fork_fs::bytes_if_file(path)?.is_some() {
                packages.push(path.clone());
                continue;
            }
            let before = packages.len();
            for name in fork_fs::sorted_names(path)? {
                if Path::new(&name).extension().is_some_and(|end| end == "deb") {
                    packages.push(path.join(name));
                }
            }
            if packages.len() == before {
                return Err(PublishError::NoPackage { path: path.clone() });
            }
        }
        if packages.len() > PACKAGES_MAX {
            return Err(PublishError::Usage(UsageError::new(
                format!("{} packages are more than {PACKAGES_MAX}", packages.len()),
                "publish them in several runs",
            )));
        }
        Ok(packages)
    }
}

/// Seconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "when something was published is a fact about this run; --date makes it an input"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn suite_name(text: &str) -> Result<String, String> {
    if is_suite_name(text) {
        return Ok(text.to_owned());
    }
    Err("letters, digits, `.` and `-` only, and at most 60 of them".to_owned())
}

fn architecture(text: &str) -> Result<String, String> {
    if is_architecture_name(text) && text != fork_package::apt::ALL {
        return Ok(text.to_owned());
    }
    Err("not the name of one architecture, such as amd64".to_owned())
}

fn one_line(text: &str) -> Result<String, String> {
    let plain = |c: char| !c.is_control();
    if text.trim() == text && !text.is_empty() && text.len() <= 100 && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err("one line of at most 100 bytes, without blanks around it".to_owned())
}

/// Seconds since 1970, up to the last that a signature can have.
fn time(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<u64>().ok().or_else(|| {
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_second()).ok()
    });
    seconds
        .filter(|seconds| u32::try_from(*seconds).is_ok())
        .ok_or_else(|| "neither seconds since 1970 nor a time like 2026-09-03T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        assert_eq!(time("2026-08-19T18:00:00Z"), Ok(1_787_162_400));
        assert_eq!(time("5"), Ok(5));
        for text in ["-1", "4294967296", "tomorrow", ""] {
            assert!(time(text).is_err(), "{text}");
        }
        for text in ["", "a/b", "..", "a b", "a_b"] {
            assert!(suite_name(text).is_err(), "{text}");
        }
        assert!(architecture("all").is_err() && architecture("arm64").is_ok());
        assert!(one_line("a\nb").is_err() && one_line("o1 Labs").is_ok());
    }
}
