//! What `stub-daemon seed` and `stub-daemon export` do.

use std::io::{BufWriter, Write as _};
use std::time::Duration;

use fork_fs::{AtomicFile, StagedDir};
use fork_types::Role;
use fork_worker::{Context, OutputFormat, WorkerResult};
use serde::Serialize;

use crate::args::{ExportArgs, PackageArgs, SeedArgs};
use crate::clock::Clock;
use crate::error::StubError;
use crate::seed::{Seed, SeedError, SeedSpec};
use crate::server::{SeedDaemon, SeedTime};

/// How often it is looked whether the genesis has come, to say so.
const POLL: Duration = Duration::from_millis(20);

/// What is said once it listens, and again once it is awake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct SeedState {
    state: &'static str,
    url: String,
    ledgers: Vec<String>,
}

/// What an export says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Exported {
    files: Vec<String>,
    accounts: u64,
}

impl PackageArgs {
    /// Loads the package; the directory goes away with the second value.
    fn load(&self) -> Result<(Seed, StagedDir), StubError> {
        let cache = self.cache.clone().unwrap_or_else(std::env::temp_dir);
        // Never committed, so it goes with this value or with the signal that ends the process.
        let scratch = StagedDir::create(&cache.join("stub-daemon-seed"), false)?;
        let seed = Seed::load(&SeedSpec {
            root: self.root.clone(),
            era: self.era,
            scratch: scratch.path().to_owned(),
            faults: self.faults.clone(),
        })?;
        Ok((seed, scratch))
    }
}

impl SeedArgs {
    /// Serves until a signal.
    pub(crate) fn serve(self, context: &Context) -> WorkerResult {
        let (seed, _scratch) = self.package.load()?;
        let ledgers = Role::ALL.map(|role| seed.ledger(role).path().display().to_string());
        let time = SeedTime {
            clock: Clock::running(0, 1, self.speed),
            genesis_ms: self.before_genesis.saturating_mul(1000),
            from_first_request: self.from_first_request,
        };
        let daemon = SeedDaemon::start(seed, self.listen, time)?;
        let say = |state| -> WorkerResult {
            let said = SeedState {
                state,
                url: daemon.url(),
                ledgers: ledgers.to_vec(),
            };
            let text = match context.format() {
                OutputFormat::Human => format!("{state} {}", said.url),
                OutputFormat::Json => serde_json::to_string(&said).map_err(StubError::from)?,
            };
            // Whoever waits for this line reads one line, so it is not indented.
            Context::quiet(OutputFormat::Human).emit(&text, &())?;
            Ok(())
        };
        if !daemon.is_awake() {
            say("sleeping")?;
            while !daemon.is_awake() {
                std::thread::sleep(POLL);
            }
        }
        say("awake")?;
        loop {
            // A signal ends the process.
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}

impl ExportArgs {
    /// Writes the three exports.
    pub(crate) fn export(self, context: &Context) -> WorkerResult {
        let (seed, _scratch) = self.package.load()?;
        fork_fs::create_dir_all(&self.output)?;
        let mut exported = Exported {
            files: Vec::new(),
            accounts: 0,
        };
        for role in Role::ALL {
            let name = export_name(role);
            let file = AtomicFile::create(&self.output.join(name)).map_err(StubError::from)?;
            let mut file = BufWriter::new(file);
            exported.accounts += seed.export(role, &mut file).map_err(StubError::from)?;
            let failed = |source| StubError::Seed(SeedError::Write(source));
            file.flush().map_err(failed)?;
            let file = file
                .into_inner()
                .map_err(|error| failed(error.into_error()))?;
            file.commit().map_err(StubError::from)?;
            exported.files.push(name.to_owned());
        }
        let human = format!(
            "{} accounts in {}",
            exported.accounts,
            exported.files.join(", ")
        );
        context.emit(&human, &exported)?;
        Ok(())
    }
}

/// The file of an export: the words of `mina ledger export`.
const fn export_name(role: Role) -> &'static str {
    match role {
        Role::Genesis => "staged-ledger.json",
        Role::Staking => "staking-epoch-ledger.json",
        Role::Next => "next-epoch-ledger.json",
    }
}
