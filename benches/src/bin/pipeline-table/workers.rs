//! Runs of the real worker binaries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fork_bench::run::{self, Failure};
use fork_testkit::fixture::Mix;
use fork_types::document::{LedgerDocument, SourceLedger};
use fork_types::{LedgerHash, Role};
use serde::Deserialize;

/// Prints a command's peak memory; where it is missing, so are the numbers of the import.
const TIME: &str = "/usr/bin/time";

/// Slot of the new genesis that ledgers are migrated for, the one of made-up forks.
const FORK_SLOT: &str = "958440";

/// The worker binaries, and the one that measures the peers' way.
pub(crate) struct Workers {
    import: PathBuf,
    migrate: PathBuf,
    peer: PathBuf,
}

/// How `migrate-ledger` is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether the root before migration is computed as well.
    pub(crate) source_root: bool,
    /// The kernel forced on it.
    pub(crate) kernel: Option<&'static str>,
}

/// What is migrated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// A bare account list.
    List(&'a Path),
    /// A candidate, and the ledgers of it; the only one that can do without the source root.
    Candidate(&'a Path, &'a [Role]),
}

impl<'a> Source<'a> {
    /// One ledger of a candidate.
    const fn one(candidate: &'a Path, role: &'a Role) -> Self {
        Self::Candidate(candidate, std::slice::from_ref(role))
    }
}

/// One migration.
#[derive(Clone, Debug)]
pub(crate) struct Migration {
    /// Time of the whole process.
    pub(crate) time: Duration,
    /// Peak memory of the process, where it knows.
    pub(crate) memory_bytes: Option<u64>,
    /// Milliseconds per stage; of several ledgers in one process, of the first.
    pub(crate) stages_ms: BTreeMap<String, u64>,
    /// Size of the account lists.
    pub(crate) json_bytes: u64,
    /// Size of the tarballs.
    pub(crate) tarball_bytes: u64,
    /// What the first ledger was made from.
    pub(crate) source: Option<SourceLedger>,
    /// Roots after migration, in the order of the roles.
    pub(crate) roots: Vec<LedgerHash>,
}

/// The peers' way, in microseconds per account.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    pub(crate) accounts: u32,
    pub(crate) read_us: f64,
    pub(crate) migrate_us: f64,
    pub(crate) source_hashing_us: f64,
    pub(crate) target_hashing_us: f64,
}

impl Peer {
    /// Microseconds per account of the same work as a row does, without store and tarball.
    pub(crate) fn us(&self, source_root: bool) -> f64 {
        let source = if source_root {
            self.source_hashing_us
        } else {
            0.0
        };
        self.read_us + self.migrate_us + self.target_hashing_us + source
    }
}

impl Workers {
    /// The binaries in the directory of this one.
    pub(crate) fn beside_this_program() -> Result<Self, Failure> {
        Ok(Self {
            import: run::sibling("dump-candidates")?,
            migrate: run::sibling("migrate-ledger")?,
            peer: run::sibling("peer-ledger")?,
        })
    }

    /// Migrates in one process, into `output`, which is removed afterwards.
    pub(crate) fn migrate(
        &self,
        source: Source<'_>,
        settings: Settings,
        output: &Path,
    ) -> Result<Migration, Failure> {
        let started = Instant::now();
        wait(self.start(source, settings, output)?, "migrate-ledger")?;
        let time = started.elapsed();
        let documents = documents(source, output)?;
        fork_fs::remove_dir_all(output)?;
        Ok(summarized(time, &documents))
    }

    /// Migrates each ledger of a candidate in a process of its own, all at once.
    pub(crate) fn migrate_apart(
        &self,
        candidate: &Path,
        roles: &[Role],
        settings: Settings,
        output: &Path,
    ) -> Result<Migration, Failure> {
        fork_fs::create_dir_all(output)?;
        let started = Instant::now();
        let running = roles
            .iter()
            .map(|role| {
                self.start(
                    Source::one(candidate, role),
                    settings,
                    &output.join(role.to_string()),
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        for child in running {
            wait(child, "migrate-ledger")?;
        }
        let time = started.elapsed();
        let mut found = Vec::new();
        for role in roles {
            found.extend(documents(
                Source::one(candidate, role),
                &output.join(role.to_string()),
            )?);
        }
        fork_fs::remove_dir_all(output)?;
        let mut summary = summarized(time, &found);
        // All of them are in memory at the same time.
        summary.memory_bytes = found
            .iter()
            .map(|document| document.peak_memory_bytes)
            .sum();
        Ok(summary)
    }

    fn start(
        &self,
        source: Source<'_>,
        settings: Settings,
        output: &Path,
    ) -> Result<Child, Failure> {
        let mut command = Command::new(&self.migrate);
        match source {
            Source::List(path) => {
                command.arg("--accounts").arg(path);
                command.args(["--role", "genesis", "--unverified-source"]);
            }
            Source::Candidate(path, roles) => {
                command.arg("--candidate").arg(path);
                for role in roles {
                    command.args(["--role", &role.to_string()]);
                }
            }
        }
        command.args(["--from", "berkeley", "--to", "mesa"]);
        command.args(["--fork-slot", FORK_SLOT]);
        if !settings.source_root {
            command.arg("--skip-source-root");
        }
        // Not inherited: a row says which kernel it is about.
        match settings.kernel {
            Some(kernel) => command.env("FORKPACK_KERNEL", kernel),
            None => command.env_remove("FORKPACK_KERNEL"),
        };
        Ok(command
            .arg("--output")
            .arg(output)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?)
    }

    /// Imports a made-up fork into `candidate`; gives time and peak memory.
    pub(crate) fn import(
        &self,
        fixture: &Path,
        candidate: &Path,
    ) -> Result<(Duration, Option<u64>), Failure> {
        let report = fixture.join("import-memory");
        let timed = fork_fs::exists(Path::new(TIME));
        let mut command = if timed {
            let mut command = Command::new(TIME);
            command.args(["-f", "%M", "-o"]).arg(&report);
            command.arg(&self.import);
            command
        } else {
            Command::new(&self.import)
        };
        command.arg("import");
        for (option, name) in [
            ("--network", "network.toml"),
            ("--fork-config", "fork_config.json"),
            ("--block", "block.json"),
            ("--prefork-config", "prefork_config.json"),
        ] {
            command.arg(option).arg(fixture.join(name));
        }
        command.arg("--output").arg(candidate);
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        wait(child, "dump-candidates")?;
        let elapsed = started.elapsed();
        Ok((elapsed, timed.then(|| memory_of(&report)).flatten()))
    }

    /// Measures the peers' way.
    pub(crate) fn peer(&self, mix: Mix, accounts: u32, runs: u32) -> Result<Peer, Failure> {
        let output = Command::new(&self.peer)
            .args(["--mix", mix_argument(mix)])
            .args(["--accounts", &accounts.to_string()])
            .args(["--runs", &runs.to_string()])
            .env_remove("FORKPACK_KERNEL")
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("peer-ledger ended with {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// A kind of accounts on the command line.
pub(crate) const fn mix_argument(mix: Mix) -> &'static str {
    match mix {
        Mix::Plain => "plain",
        Mix::Mixed => "mixed",
        Mix::Realistic => "realistic",
    }
}

/// The documents that a migration left: of several ledgers, each has a directory.
fn documents(source: Source<'_>, output: &Path) -> Result<Vec<LedgerDocument>, Failure> {
    let directories = match source {
        Source::List(_) | Source::Candidate(_, [_]) => vec![output.to_owned()],
        Source::Candidate(_, roles) => roles
            .iter()
            .map(|role| output.join(role.to_string()))
            .collect(),
    };
    directories
        .iter()
        .map(|directory| Ok(fork_fs::read_document::<LedgerDocument>(directory)?.0))
        .collect()
}

fn summarized(time: Duration, documents: &[LedgerDocument]) -> Migration {
    Migration {
        time,
        memory_bytes: documents
            .iter()
            .filter_map(|document| document.peak_memory_bytes)
            .max(),
        stages_ms: documents
            .first()
            .map(|document| document.stages_ms.clone())
            .unwrap_or_default(),
        source: documents.first().map(|document| document.source.clone()),
        json_bytes: documents
            .iter()
            .map(|document| document.source.file.bytes)
            .sum(),
        tarball_bytes: documents
            .iter()
            .map(|document| document.tarball.file.bytes)
            .sum(),
        roots: documents
            .iter()
            .map(|document| document.target.root)
            .collect(),
    }
}

fn wait(mut child: Child, name: &str) -> Result<(), Failure> {
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name} ended with {status}").into())
    }
}

/// Bytes, from the kibibytes that `time` wrote.
fn memory_of(report: &Path) -> Option<u64> {
    let text = String::from_utf8(fork_fs::read_limited(report, 1 << 16).ok()?).ok()?;
    let kibibytes: u64 = text.lines().next_back()?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
