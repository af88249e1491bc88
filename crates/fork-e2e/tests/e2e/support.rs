//! Starting workers, making fixtures, and looking at what is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use fork_testkit::fixture::{FixtureSpec, Mix, Model, write_fixture};
use serde_json::Value;
use tempfile::TempDir;

/// Slot of the new genesis in every fixture.
pub const FORK_SLOT: &str = "958440";

/// The variables that would change what a worker does.
const VARIABLES: [&str; 8] = [
    "BUILDKITE_PARALLEL_JOB",
    "BUILDKITE_PARALLEL_JOB_COUNT",
    "FORKPACK_ANNOTATION",
    "FORKPACK_FORMAT",
    "FORKPACK_NO_PROGRESS",
    "FORKPACK_SCRATCH",
    "RAYON_NUM_THREADS",
    "SOURCE_DATE_EPOCH",
];

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Whether this runs in CI, where nothing may be skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Says loudly that a test did not run; in CI that is a failure.
pub fn skipped(test: &str, reason: &str) {
    assert!(!in_ci(), "{test}: {reason}");
    eprintln!("SKIPPED {test}: {reason}");
}

/// The reference data, or `None` after a loud line.
pub fn shared(test: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("FORKPACK_SHARED")
        .filter(|value| !value.is_empty())
        .map_or_else(|| root().join("../shared"), PathBuf::from);
    if directory.join("reference-data").is_dir() {
        return Some(directory);
    }
    assert!(
        std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none_or(|value| value != "1"),
        "{test}: FORKPACK_REQUIRE_SHARED=1, but there is no reference data in {}",
        directory.display()
    );
    eprintln!(
        "SKIPPED {test}: no reference data in {} (set FORKPACK_SHARED)",
        directory.display()
    );
    None
}

/// Path of a binary.
pub fn binary(name: &str) -> PathBuf {
    let directory = std::env::var_os("FORKPACK_BIN_DIR").map_or_else(
        || {
            // target/release/deps/e2e-0123456789abcdef
            let test = std::env::current_exe().unwrap();
            test.parent().unwrap().parent().unwrap().to_owned()
        },
        PathBuf::from,
    );
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "there is no {}: run scripts/test, which builds every binary before the tests",
        path.display()
    );
    path
}

/// What a worker left behind.
pub struct Ran {
    pub line: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// stdout of a run that must have succeeded.
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.line, self.stderr);
        self.stdout
    }

    /// The run must have ended with `code` and one message with all of `needles` in it; the message
    /// is the line that starts with `error: `.
    pub fn refused(&self, code: i32, needles: &[&str]) {
        let Self {
            line,
            stdout,
            stderr,
            ..
        } = self;
        assert_eq!(self.code, Some(code), "{line}\n{stderr}");
        assert_eq!(stdout, "", "{line}: a result on stdout despite the error");
        assert!(!stderr.contains("panicked"), "{line}\n{stderr}");
        let messages: Vec<&str> = stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(messages.len(), 1, "{line}: one message\n{stderr}");
        for needle in needles {
            assert!(
                messages[0].contains(needle),
                "{line}: the message does not name `{needle}`\n{stderr}"
            );
        }
    }

    /// The hint must say `needle`.
    pub fn hints(&self, needle: &str) {
        let hint = self
            .stderr
            .lines()
            .find(|line| line.starts_with("hint: "))
            .unwrap_or_default();
        assert!(hint.contains(needle), "{}\n{}", self.line, self.stderr);
    }
}

/// A directory to work in: the current directory of every worker started in it.
pub struct Place {
    directory: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A worker that is not started yet.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary(name));
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .current_dir(self.directory.path())
            // Runs of one test share their groups with nobody.
            .env("RUN_PIPELINE_STATE", self.path(".groups"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a worker to its end.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Ran {
        ended(&mut self.command(name, arguments))
    }

    /// stdout of a worker as JSON; `--format json` is added.
    pub fn json(&self, name: &str, arguments: &[&str]) -> Value {
        let stdout = self
            .run(name, &[arguments, &["--format", "json"]].concat())
            .done();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{name}: {error}\n{stdout}"))
    }

    /// A document that a worker wrote.
    pub fn document(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(path)).unwrap()).unwrap()
    }

    /// The only tarball of a directory.
    pub fn tarball(&self, directory: &str) -> PathBuf {
        let mut found: Vec<PathBuf> = fs::read_dir(self.path(directory))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with(".tar.gz"))
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// Neither the output nor a part of one may be here.
    pub fn nothing_left(&self, output: &str) {
        let path = self.path(output);
        assert!(!path.exists(), "{} was left", path.display());
        no_partial(path.parent().unwrap());
    }
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        line: format!("{command:?}"),
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Names of a directory, sorted; none if it does not exist.
pub fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// No unfinished output may be in `directory`.
pub fn no_partial(directory: &Path) {
    let left: Vec<String> = names(directory)
        .into_iter()
        .filter(|name| name.contains(".partial"))
        .collect();
    assert!(left.is_empty(), "{} was left", left.join(", "));
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A made-up fork on disk.
pub struct Fixture {
    pub directory: PathBuf,
    pub model: Model,
}

impl Fixture {
    fn make(name: &str, spec: FixtureSpec) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let model = write_fixture(&spec, &directory, true).unwrap();
        Self { directory, model }
    }

    /// Twelve accounts: one of every kind.
    pub fn small() -> &'static Self {
        static SMALL: OnceLock<Fixture> = OnceLock::new();
        SMALL.get_or_init(|| {
            let spec = FixtureSpec {
                accounts: 12,
                ..FixtureSpec::default()
            };
            Self::make("e2e-small", spec)
        })
    }

    /// Several megabytes, some seconds of work.
    pub fn large() -> &'static Self {
        static LARGE: OnceLock<Fixture> = OnceLock::new();
        LARGE.get_or_init(|| {
            let spec = FixtureSpec {
                accounts: 12_000,
                mix: Mix::Plain,
                ..FixtureSpec::default()
            };
            Self::make("e2e-large", spec)
        })
    }

    /// Staking and next ledger are the same.
    pub fn sharing() -> &'static Self {
        static SHARING: OnceLock<Fixture> = OnceLock::new();
        SHARING.get_or_init(|| {
            let spec = FixtureSpec {
                accounts: 300,
                share_epoch_ledgers: true,
                ..FixtureSpec::default()
            };
            Self::make("e2e-sharing", spec)
        })
    }

    pub fn file(&self, name: &str) -> String {
        text(&self.directory.join(name)).to_owned()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.directory.join(name)).unwrap()).unwrap()
    }

    /// Imports fork config and block as `candidate`.
    pub fn import(&self, place: &Place) {
        place
            .run(
                "dump-candidates",
                &[
                    "import",
                    "--network",
                    &self.file("network.toml"),
                    "--fork-config",
                    &self.file("fork_config.json"),
                    "--block",
                    &self.file("block.json"),
                    "--output",
                    "candidate",
                ],
            )
            .done();
    }

    /// Migrates the three ledgers of `candidate` into `prefix-genesis`, `-staking` and `-next`.
    pub fn migrate(place: &Place, prefix: &str, slot: &str) {
        for role in ["genesis", "staking", "next"] {
            place
                .run(
                    "migrate-ledger",
                    &[
                        "--candidate",
                        "candidate",
                        "--role",
                        role,
                        "--from",
                        "berkeley",
                        "--to",
                        "mesa",
                        "--fork-slot",
                        slot,
                        "--output",
                        &format!("{prefix}-{role}"),
                    ],
                )
                .done();
        }
    }
}
