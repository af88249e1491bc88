//! What the binary does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fork_worker::{Context, OutputFormat, ReportingArgs, Worker, WorkerResult};
use serde::Serialize;

use crate::args::{Args, Command};
use crate::clock::Clock;
use crate::error::StubError;
use crate::scenario::{FaultLimits, Faults, Scenario};
use crate::server::StubDaemon;
use crate::world::World;

/// Largest scenario file.
const SCENARIO_BYTES_MAX: u64 = 1 << 20;

/// How often the clock is compared with `--until-slot`.
const POLL: Duration = Duration::from_millis(50);

/// What `--check` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct CheckReport {
    network: String,
    branches: usize,
    blocks: usize,
    daemons: Vec<String>,
    faults: usize,
}

/// What is said once the daemons listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Listening {
    network: String,
    start_slot: u32,
    daemons: Vec<ListeningDaemon>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ListeningDaemon {
    name: String,
    url: String,
}

impl Worker for Args {
    const NAME: &'static str = "stub-daemon";
    const FAILED_TO: &'static str = "failed to run the stub daemons";

    fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            None => &self.reporting,
            Some(Command::Seed(args)) => &args.reporting,
            Some(Command::Export(args)) => &args.reporting,
        }
    }

    fn run(self, context: &Context) -> WorkerResult {
        match self.command {
            Some(Command::Seed(args)) => return args.serve(context),
            Some(Command::Export(args)) => return args.export(context),
            None => {}
        }
        let path = self.scenario.as_deref().unwrap_or(Path::new(""));
        let bytes = fork_fs::read_limited(path, SCENARIO_BYTES_MAX)?;
        let scenario = Scenario::from_toml(&String::from_utf8_lossy(&bytes))?;
        let scenario = self.with_random_faults(scenario, context)?;
        let chosen = self.chosen(&scenario)?;
        let writes = self.write_network.is_some() || self.write_prefork.is_some();
        if self.check && !writes {
            return check(&scenario, context);
        }
        let cache = self.cache.clone().unwrap_or_else(std::env::temp_dir);
        fork_fs::create_dir_all(&cache)?;
        let world = Arc::new(World::build(&scenario, &cache)?);
        self.write_files(&world)?;
        if self.check {
            return check(&scenario, context);
        }
        let speed = self.speed.unwrap_or(scenario.time.speed);
        let clock = Clock::running(world.start_slot(), scenario.network.slot_ms, speed);
        let daemons = chosen
            .into_iter()
            .map(|daemon| StubDaemon::start(Arc::clone(&world), daemon, clock.clone()))
            .collect::<Result<Vec<_>, StubError>>()?;
        say_listening(&world, &daemons, context)?;
        while self.until_slot.is_none_or(|until| clock.slot() < until) {
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Args {
    /// The scenario with made-up faults, which are shown so that they can be kept.
    fn with_random_faults(
        &self,
        scenario: Scenario,
        context: &Context,
    ) -> Result<Scenario, StubError> {
        if self.random_faults == 0 {
            return Ok(scenario);
        }
        let limits = FaultLimits {
            daemons: scenario
                .daemons
                .iter()
                .map(|daemon| daemon.name.clone())
                .collect(),
            ..FaultLimits::default()
        };
        let faults = Faults::random(self.fault_seed, self.random_faults, &limits);
        context.note(&faults.to_toml()?);
        scenario.with_faults(faults)
    }

    /// Positions of the daemons to start.
    fn chosen(&self, scenario: &Scenario) -> Result<Vec<usize>, StubError> {
        if self.daemons.is_empty() {
            return Ok((0..scenario.daemons.len()).collect());
        }
        self.daemons
            .iter()
            .map(|name| {
                scenario
                    .daemon_index(name)
                    .ok_or_else(|| StubError::UnknownDaemon { name: name.clone() })
            })
            .collect()
    }

    fn write_files(&self, world: &World) -> Result<(), StubError> {
        if let Some(path) = &self.write_network {
            fork_fs::write_atomic(path, world.network_toml().as_bytes())?;
        }
        if let Some(path) = &self.write_prefork {
            write_json(path, &world.prefork_config())?;
        }
        Ok(())
    }
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), StubError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    fork_fs::write_atomic(path, &bytes)?;
    Ok(())
}

fn check(scenario: &Scenario, context: &Context) -> WorkerResult {
    let report = CheckReport {
        network: scenario.network.name.clone(),
        branches: scenario.branches.len(),
        blocks: scenario.plan()?.blocks.len(),
        daemons: scenario
            .daemons
            .iter()
            .map(|daemon| daemon.name.clone())
            .collect(),
        faults: scenario.faults.len(),
    };
    let human = format!(
        "scenario {}: {} blocks on {} branches, daemons {}, {} faults",
        report.network,
        report.blocks,
        report.branches,
        report.daemons.join(", "),
        report.faults
    );
    context.emit(&human, &report)?;
    Ok(())
}

fn say_listening(world: &World, daemons: &[StubDaemon], context: &Context) -> WorkerResult {
    let listening = Listening {
        network: world.scenario().network.name.clone(),
        start_slot: world.start_slot(),
        daemons: daemons
            .iter()
            .map(|daemon| ListeningDaemon {
                name: daemon.name().to_owned(),
                url: daemon.url(),
            })
            .collect(),
    };
    let text = match context.format() {
        OutputFormat::Human => listening
            .daemons
            .iter()
            .map(|daemon| format!("{} {}", daemon.name, daemon.url))
            .collect::<Vec<_>>()
            .join("\n"),
        OutputFormat::Json => serde_json::to_string(&listening).map_err(StubError::from)?,
    };
    // Whoever waits for this line reads one line, so it is not indented.
    Context::quiet(OutputFormat::Human).emit(&text, &())?;
    Ok(())
}
