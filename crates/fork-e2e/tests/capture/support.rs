//! A rig: a world, its daemons, a store, and the capture under test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fork_types::StateHash;
use fork_types::document::{Document, Refusal, StoredCandidate, StoredLedger};
use serde_json::Value;
use sha2::{Digest, Sha256};
use stub_daemon::{Clock, Faults, Scenario, StubDaemon, World};
use tempfile::TempDir;

/// First slot of the window of every rig: `slot_tx_end` less [`WINDOW`].
pub const WINDOW: u32 = 6;

/// A small chain with a side branch; transactions end at slot 1010.
const SCENARIO: &str = r#"
[network]
name = "capture-test"
seed = 11
accounts = 24
mix = "mixed"
changes_per_block = 2
genesis_timestamp = "2024-06-05T00:00:00Z"
fork_global_slot = 5000
start_height = 700
slot_tx_end = 1010
slot_chain_end = 1020
genesis_slot_delta = 10

[[branch]]
name = "main"
blocks = [{ from = 1000, to = 1007 }, { from = 1011, to = 1018 }]

[[branch]]
name = "side"
parent = { branch = "main", slot = 1006 }
blocks = [{ from = 1008, to = 1009 }, { from = 1012 }]

[[daemon]]
name = "a"
follows = [{ branch = "main" }]

[[daemon]]
name = "b"
follows = [
    { branch = "main" },
    { from = 1008, branch = "side" },
    { from = 1014, branch = "main" },
]
"#;

/// The world of [`SCENARIO`], built once.
pub fn world() -> Arc<World> {
    static WORLD: OnceLock<(Arc<World>, TempDir)> = OnceLock::new();
    let (world, _) = WORLD.get_or_init(|| {
        let cache = tempfile::tempdir().unwrap();
        let scenario = Scenario::from_toml(SCENARIO).unwrap();
        let world = World::build(&scenario, cache.path()).unwrap();
        (Arc::new(world), cache)
    });
    Arc::clone(world)
}

/// A directory in memory where there is one: what is tested here is which calls are made in which
/// order, and a disk takes milliseconds for each of thousands of flushes.
fn memory_directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Whether this runs in CI, where nothing may be skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// The seeds of a test, of which there are `count`. `FORKPACK_SEED=N` runs that one, as a failure
/// prints it; `FORKPACK_SEEDS=N` runs at most so many.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| {
        let value = std::env::var(name).ok()?;
        Some(
            value
                .parse::<u64>()
                .unwrap_or_else(|_| panic!("{name}={value}")),
        )
    };
    let seeds = match number("FORKPACK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FORKPACK_SEEDS").unwrap_or(count).min(count),
    };
    println!("seeds {seeds:?}");
    seeds
}

/// Path of a binary.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(name);
    assert!(
        path.is_file(),
        "there is no {}: run scripts/test, which builds every binary before the tests",
        path.display()
    );
    path
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The run must have ended with one of these codes, and without a panic.
    #[track_caller]
    pub fn ends(self, codes: &[i32], what: &str) -> Self {
        assert!(
            self.code.is_some_and(|code| codes.contains(&code)),
            "{what}: exit code {:?}, expected one of {codes:?}\n{}\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{what}\n{}", self.stderr);
        self
    }
}

/// A world, its daemons and a store.
pub struct Rig {
    pub directory: TempDir,
    pub world: Arc<World>,
    pub clock: Clock,
    pub daemons: Vec<StubDaemon>,
    /// Given to every worker.
    pub environment: Vec<(String, String)>,
    pub store: String,
    /// The working directory, in the rig's.
    pub work: String,
    /// Where the store's objects are as files.
    pub store_files: PathBuf,
}

impl Rig {
    /// The first `daemons` daemons of the small world, at a slot.
    pub fn new(daemons: usize, slot: u32) -> Self {
        Self::of(world(), daemons, slot)
    }

    pub fn of(world: Arc<World>, daemons: usize, slot: u32) -> Self {
        Self::with(world, &(0..daemons).collect::<Vec<_>>(), slot)
    }

    /// One daemon of a world.
    pub fn of_one(world: Arc<World>, daemon: usize, slot: u32) -> Self {
        Self::with(world, &[daemon], slot)
    }

    fn with(world: Arc<World>, daemons: &[usize], slot: u32) -> Self {
        let directory = memory_directory();
        fs::write(directory.path().join("network.toml"), world.network_toml()).unwrap();
        let clock = Clock::manual(slot);
        let daemons = daemons
            .iter()
            .map(|&daemon| StubDaemon::start(Arc::clone(&world), daemon, clock.clone()).unwrap())
            .collect();
        let store_files = directory.path().join("store");
        Self {
            store_files,
            directory,
            world,
            clock,
            daemons,
            environment: Vec::new(),
            store: "store".to_owned(),
            work: "work".to_owned(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn faults(&self, daemon: usize, toml: &str) {
        self.daemons[daemon].set_faults(faults(toml));
    }

    /// What a daemon answers to a bare `fork_config`, over a socket and without our client.
    pub fn export(&self, daemon: usize) -> Vec<u8> {
        let body = r#"{"query":"{ fork_config }"}"#;
        let mut stream = TcpStream::connect(self.daemons[daemon].address()).unwrap();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        answer.split_off(end.unwrap() + 4)
    }

    /// Somebody restarts what was killed.
    pub fn heal(&self) {
        for daemon in &self.daemons {
            daemon.release_stalls();
            if !daemon.is_listening() {
                daemon.restart();
            }
        }
    }

    /// A worker in the rig's directory.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Arguments of a capture from all daemons that does not wait for anything.
    pub fn arguments(&self, more: &[&str]) -> Vec<String> {
        let window = WINDOW.to_string();
        let mut arguments = vec!["capture".to_owned()];
        for (name, value) in [
            ("--network", "network.toml"),
            ("--store", &self.store),
            ("--work-dir", &self.work),
            ("--window", &window),
            ("--pause", "0"),
            ("--poll", "0.05"),
            ("--idle-timeout", "0.5"),
            ("--export-timeout", "0.5"),
            ("--store-timeout", "0.3"),
        ] {
            if !more.contains(&name) {
                arguments.extend([name.to_owned(), value.to_owned()]);
            }
        }
        for daemon in &self.daemons {
            arguments.push("--daemon".to_owned());
            arguments.push(format!("{}={}", daemon.name(), daemon.url()));
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        arguments
    }

    pub fn capture(&self, more: &[&str]) -> Command {
        let arguments = self.arguments(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.command(&binary("dump-candidates"), &arguments)
    }

    /// Captures what is offered now.
    pub fn once(&self) -> Ran {
        Ran::of(self.capture(&["--once"]).output().unwrap())
    }

    /// Captures until nothing is missing, at most `runs` times.
    #[track_caller]
    pub fn finish(&self, runs: usize, what: &str) {
        let mut last = None;
        for _ in 0..runs {
            let ran = self.once();
            if ran.code == Some(0) {
                return;
            }
            last = Some(ran);
        }
        panic!("{what}: still not done after {runs} runs: {last:?}");
    }

    pub fn list(&self, more: &[&str]) -> Ran {
        let mut arguments = vec!["list", "--store", &self.store];
        arguments.extend(more);
        let mut command = self.command(&binary("dump-candidates"), &arguments);
        Ran::of(command.output().unwrap())
    }

    /// The candidates that the daemons offered until now.
    pub fn offered(&self) -> BTreeSet<StateHash> {
        let mut all = BTreeSet::new();
        for (index, _) in self.daemons.iter().enumerate() {
            for block in self.world.offered(index) {
                let block = &self.world.blocks()[block];
                let slot = block.facts.slot_since_hard_fork.get();
                if (1010 - WINDOW..1010).contains(&slot) && slot <= self.clock.slot() {
                    all.insert(block.facts.state_hash);
                }
            }
        }
        all
    }

    /// What is in the local store, looked at without any of the code that wrote it.
    pub fn stored(&self) -> BTreeSet<StateHash> {
        check_store(&self.store_files, &self.world)
    }

    /// Everything offered is stored, and nothing else; nothing is left in the working directory; the
    /// worker's own check agrees.
    #[track_caller]
    pub fn assert_complete(&self, what: &str) {
        assert_eq!(self.stored(), self.offered(), "{what}");
        for name in ["jobs", "ready", "packed", "uploads"] {
            let left: Vec<_> = fs::read_dir(self.path(&self.work).join(name))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert!(left.is_empty(), "{what}: {name} has {left:?}");
        }
        let list = self.list(&["--check", "--format", "json"]);
        list.ends(&[0], what);
    }
}

/// A fault script.
pub fn faults(toml: &str) -> Faults {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        fault: Vec<stub_daemon::Fault>,
    }
    let file: File = toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    Faults(file.fault)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

/// Reads a local store as anybody would, with zstd and a JSON parser, and returns the candidates in
/// it. Every candidate is complete, every ledger is there once and is the world's, every file belongs
/// to something, and nothing half-written has a final name.
pub fn check_store(store: &Path, world: &World) -> BTreeSet<StateHash> {
    let mut ledgers = BTreeMap::new();
    let mut candidates = BTreeMap::new();
    let mut blocks = BTreeSet::new();
    let mut lists = BTreeSet::new();
    for path in files(store) {
        let name = path.strip_prefix(store).unwrap().to_str().unwrap();
        let parts: Vec<&str> = name.split('/').collect();
        // Half-written, and never under a final name; or the test server's own.
        if parts.iter().any(|part| part.starts_with('.')) {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        match parts.as_slice() {
            ["store.json"] | ["daemons", _] => {
                serde_json::from_slice::<Value>(&bytes).unwrap();
            }
            ["refusals", _] => {
                Refusal::from_json(&bytes).unwrap();
            }
            ["ledgers", root, "ledger.json"] => {
                let ledger = StoredLedger::from_json(&bytes).unwrap();
                assert_eq!(ledger.root.to_string(), *root);
                ledgers.insert(ledger.root, ledger);
            }
            ["ledgers", _, _] => {
                lists.insert(name.to_owned());
                let digest = hex::encode(Sha256::digest(&bytes));
                assert!(name.ends_with(&format!("/{digest}.json.zst")), "{name}");
            }
            ["blocks", hash] => {
                blocks.insert(hash.strip_suffix(".json").unwrap().to_owned());
            }
            ["candidates", hash] => {
                let stored = StoredCandidate::from_json(&bytes).unwrap();
                let found = stored.candidate.fork_block.state_hash;
                assert_eq!(format!("{found}.json"), *hash);
                candidates.insert(found, stored);
            }
            _ => panic!("{name} does not belong in a store"),
        }
    }
    let mut used = BTreeSet::new();
    for (hash, stored) in &candidates {
        assert!(blocks.contains(&hash.to_string()), "block of {hash}");
        let index = world.block_index(*hash).unwrap();
        let facts = &world.blocks()[index].facts;
        let candidate = &stored.candidate;
        for (ledger, root) in [
            (&candidate.staged_ledger, facts.staged_ledger_hash),
            (&candidate.staking_ledger, facts.staking_epoch.ledger_hash),
            (&candidate.next_staking_ledger, facts.next_epoch.ledger_hash),
        ] {
            assert_eq!(ledger.computed_root, Some(root), "{hash}");
            let stored = &ledgers[&root];
            let name = format!("ledgers/{root}/{}", stored.stored.name);
            let packed = fs::read(store.join(&name)).unwrap();
            assert_eq!(packed.len() as u64, stored.stored.bytes);
            let list = zstd::stream::decode_all(packed.as_slice()).unwrap();
            let digest = hex::encode(Sha256::digest(&list));
            assert_eq!(digest, ledger.file.sha256, "{name}");
            // Token symbols may hold bytes that are no UTF-8; the lines are counted instead.
            let lines = list.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(lines, ledger.accounts as usize + 2, "{name}");
            used.insert(name);
        }
        assert_eq!(candidate.seeds.staking, facts.staking_epoch.seed);
        assert_eq!(candidate.seeds.next, facts.next_epoch.seed);
        assert!(candidate.fork_block.state_hash_recomputed);
    }
    // A ledger without a candidate yet is fine, two files of one ledger are not.
    assert_eq!(
        lists.len(),
        lists
            .iter()
            .map(|name| &name[..60])
            .collect::<BTreeSet<_>>()
            .len()
    );
    assert!(used.is_subset(&lists));
    candidates.into_keys().collect()
}

/// Waits for something another process does; the limit is for a broken test only.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !done() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{what} never happened"
        );
        std::thread::yield_now();
    }
}
