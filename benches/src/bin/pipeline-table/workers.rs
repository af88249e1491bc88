//! Runs of the real worker binaries on a made-up fork.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fork_testkit::fixture::{Files, FixtureSpec, Mix, Model, write_fixture};
use fork_types::Role;
use fork_types::document::LedgerDocument;

/// Prints a command's peak memory; where it is missing, so are the numbers of the import.
const TIME: &str = "/usr/bin/time";

/// The worker binaries.
pub(crate) struct Workers {
    import: PathBuf,
    migrate: PathBuf,
}

/// An import and the migrations after it.
pub(crate) struct Run {
    /// Accounts of the genesis ledger.
    pub(crate) accounts: u32,
    /// Time of the import, which reads and hashes all three ledgers.
    pub(crate) import: Duration,
    /// Peak memory of the import.
    pub(crate) import_memory_bytes: Option<u64>,
    /// Time of the migrations; they run in parallel.
    pub(crate) migrate: Duration,
    /// Documents of the migrated ledgers.
    pub(crate) ledgers: Vec<LedgerDocument>,
    /// Size of the fork config, which holds all three ledgers.
    pub(crate) fork_config_bytes: u64,
    /// Load averages when it began and when it ended.
    pub(crate) load: [String; 2],
}

impl Workers {
    /// The binaries in the directory of this one.
    pub(crate) fn beside_this_program() -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let find = |name: &str| {
            let path = program.with_file_name(name);
            if fork_fs::exists(&path) {
                Ok(path)
            } else {
                Err(format!(
                    "{} does not exist: run `cargo build --release --workspace --bins` first",
                    path.display()
                ))
            }
        };
        Ok(Self {
            import: find("dump-candidates")?,
            migrate: find("migrate-ledger")?,
        })
    }

    /// Makes up a fork in `directory`, imports it and migrates the ledgers of `roles`, all at once.
    pub(crate) fn run(
        &self,
        directory: &Path,
        accounts: u32,
        mix: Mix,
        roles: &[Role],
    ) -> Result<Run, Box<dyn Error>> {
        let fixture = directory.join("fixture");
        let spec = FixtureSpec {
            accounts,
            mix,
            files: Files::ForkConfig,
            ..FixtureSpec::default()
        };
        let model = write_fixture(&spec, &fixture, true)?;
        let fork_config = fixture.join("fork_config.json");
        let fork_config_bytes = fork_fs::file_bytes(&fork_config)?;
        let candidate = directory.join("candidate");
        let load_before = crate::machine::load();

        let (import, import_memory_bytes) = self.import(directory, &fixture, &candidate)?;
        let started = Instant::now();
        let running = roles
            .iter()
            .map(|role| self.start_migration(directory, &candidate, *role, &model))
            .collect::<Result<Vec<_>, _>>()?;
        for child in running {
            wait(child, "migrate-ledger")?;
        }
        let migrate = started.elapsed();

        let ledgers = roles
            .iter()
            .map(|role| fork_fs::read_document(&directory.join(role.to_string())))
            .map(|read| read.map(|(document, _)| document))
            .collect::<Result<Vec<LedgerDocument>, _>>()?;
        Ok(Run {
            accounts,
            import,
            import_memory_bytes,
            migrate,
            ledgers,
            fork_config_bytes,
            load: [load_before, crate::machine::load()],
        })
    }

    fn import(
        &self,
        directory: &Path,
        fixture: &Path,
        candidate: &Path,
    ) -> Result<(Duration, Option<u64>), Box<dyn Error>> {
        let mut arguments: Vec<OsString> = vec!["import".into()];
        for (option, name) in [
            ("--network", "network.toml"),
            ("--fork-config", "fork_config.json"),
            ("--block", "block.json"),
            ("--prefork-config", "prefork_config.json"),
        ] {
            arguments.extend([option.into(), fixture.join(name).into()]);
        }
        arguments.extend(["--output".into(), candidate.into()]);

        let report = directory.join("import-memory");
        let timed = fork_fs::exists(Path::new(TIME));
        let mut command = if timed {
            let mut command = Command::new(TIME);
            command.args(["-f", "%M", "-o"]).arg(&report);
            command.arg(&self.import);
            command
        } else {
            Command::new(&self.import)
        };
        let started = Instant::now();
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        wait(child, "dump-candidates")?;
        let elapsed = started.elapsed();
        let memory = timed.then(|| memory_of(&report)).flatten();
        Ok((elapsed, memory))
    }

    fn start_migration(
        &self,
        directory: &Path,
        candidate: &Path,
        role: Role,
        model: &Model,
    ) -> Result<Child, Box<dyn Error>> {
        let child = Command::new(&self.migrate)
            .arg("--candidate")
            .arg(candidate)
            .args(["--role", &role.to_string()])
            .args(["--from", "berkeley", "--to", "mesa"])
            .args(["--fork-slot", &model.fork_slot.to_string()])
            .arg("--output")
            .arg(directory.join(role.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(child)
    }
}

fn wait(mut child: Child, name: &str) -> Result<(), Box<dyn Error>> {
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
