//! Measures `dump-candidates capture`, as a Markdown table: a scripted daemon on this machine, a
//! candidate with three new ledgers, and one whose ledgers the store has already.
//!
//! The daemon's answers are files that it copies to the socket, so that what is measured is the
//! capture. A real daemon takes minutes to begin; `wait` is that time, here next to nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use fork_bench::report::{Table, gibibytes, grouped, median, megabytes, seconds};
use fork_bench::run::{self, Failure, WorkDir, say};
use stub_daemon::{Clock, Scenario, StubDaemon, World};

/// Measure the capture of candidates, and print a Markdown table
#[derive(Debug, Parser)]
#[command(name = "capture-table", version)]
struct Args {
    /// Sizes of the staged ledgers
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = run::accounts,
          default_value = "277307,1M")]
    accounts: Vec<u32>,

    /// Repetitions, of which the table shows the median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Put the data here instead of the directory for temporary files
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Keep the data
    #[arg(long)]
    keep: bool,
}

/// What one candidate took.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    answer_bytes: u64,
    wait: Duration,
    transfer: Duration,
    verify: Duration,
    store: Duration,
    new_ledgers: u64,
}

/// One capture of two candidates.
#[derive(Clone, Debug)]
struct Outcome {
    candidates: Vec<Candidate>,
    total: Duration,
    memory: u64,
}

fn main() -> ExitCode {
    run::finish(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<String, Failure> {
    let work = WorkDir::create(args.work.as_deref(), "captures", args.keep)?;
    let mut text = String::from(
        "## Capture\n\n\
         `dump-candidates capture --once` from a scripted daemon on this machine into a directory: \
         two candidates with realistic accounts, one epoch ledger like the staged one at nine places \
         of ten. The first brings three ledgers, the second has the same ones. `wait` is until the \
         answer begins and `transfer` until it ends: together the time spent waiting for the daemon. \
         `verify` is the import with all three roots, `store` is packing, writing and reading back. \
         The store has its answer while the next one comes, so the whole takes less than the sum. \
         Medians.\n\n",
    );
    let mut table = Table::new(&[
        "accounts",
        "new ledgers",
        "answer",
        "wait",
        "transfer",
        "verify",
        "store",
        "share waiting",
        "answer per second",
        "both, in all",
        "peak memory",
    ]);
    for &accounts in &args.accounts {
        say(&format!("{} accounts", grouped(accounts)));
        let place = work.path().join("captures");
        fork_fs::create_dir_all(&place)?;
        let world = Arc::new(World::build(&scenario(accounts)?, &place)?);
        let clock = Clock::manual(1012);
        let daemon = StubDaemon::start(Arc::clone(&world), 0, clock)?;
        let network = place.join("network.toml");
        fork_fs::write_atomic(&network, world.network_toml().as_bytes())?;
        let outcomes = (0..args.runs)
            .map(|_| capture(&place, &network, &daemon.url()))
            .collect::<Result<Vec<_>, _>>()?;
        for index in 0..2 {
            table.row(&row(accounts, index, &outcomes)?);
        }
        drop(daemon);
        work.discard(&place)?;
    }
    text.push_str(&table.into_text());
    Ok(text)
}

fn scenario(accounts: u32) -> Result<Scenario, Failure> {
    Ok(Scenario::from_toml(&format!(
        r#"
[network]
name = "bench"
accounts = {accounts}
mix = "realistic"
few_changes = true
changes_per_block = 0
genesis_timestamp = "2024-06-05T00:00:00Z"
slot_tx_end = 1010
slot_chain_end = 1020
genesis_slot_delta = 10

[[branch]]
name = "main"
blocks = [{{ from = 1000, to = 1009 }}]

[[daemon]]
name = "a"
follows = [{{ branch = "main" }}]
"#
    ))?)
}

fn capture(place: &Path, network: &Path, url: &str) -> Result<Outcome, Failure> {
    let store = place.join("store");
    fork_fs::remove_dir_all(&store)?;
    let started = Instant::now();
    let output = Command::new(run::sibling("dump-candidates")?)
        .args(["capture", "--once", "--format", "json", "--window", "2"])
        .args(["--pause", "0", "--daemon"])
        .arg(format!("a={url}"))
        .arg("--network")
        .arg(network)
        .arg("--store")
        .arg(&store)
        .stdin(Stdio::null())
        .output()?;
    let total = started.elapsed();
    let log = String::from_utf8(output.stderr)?;
    if !output.status.success() {
        return Err(log.into());
    }
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let candidates: Vec<Candidate> = log
        .lines()
        .filter(|line| line.starts_with("candidate "))
        .map(candidate)
        .collect::<Option<_>>()
        .ok_or("a line of the capture's log is not as expected")?;
    if candidates.len() != 2 {
        return Err(format!("{} candidates, expected 2\n{log}", candidates.len()).into());
    }
    Ok(Outcome {
        candidates,
        total,
        memory: summary["peak_memory_bytes"].as_u64().unwrap_or(0),
    })
}

fn candidate(line: &str) -> Option<Candidate> {
    let number = |name: &str| -> Option<u64> {
        let mut words = line.split(' ');
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    let time = |name| number(name).map(Duration::from_millis);
    Some(Candidate {
        answer_bytes: number("answer_bytes")?,
        wait: time("wait_ms")?,
        transfer: time("transfer_ms")?,
        verify: time("verify_ms")?,
        store: time("store_ms")?,
        new_ledgers: number("new_ledgers")?,
    })
}

fn row(accounts: u32, index: usize, outcomes: &[Outcome]) -> Result<Vec<String>, Failure> {
    let of = |value: fn(&Candidate) -> Duration| -> Result<Duration, Failure> {
        let values: Vec<Duration> = outcomes
            .iter()
            .filter_map(|outcome| outcome.candidates.get(index).map(value))
            .collect();
        median(&values).ok_or_else(|| "nothing was measured".into())
    };
    let first = outcomes
        .first()
        .and_then(|outcome| outcome.candidates.get(index))
        .ok_or("nothing was measured")?;
    let (wait, transfer) = (of(|one| one.wait)?, of(|one| one.transfer)?);
    let (verify, store) = (of(|one| one.verify)?, of(|one| one.store)?);
    let waiting = wait + transfer;
    let sum = waiting + verify + store;
    let totals: Vec<Duration> = outcomes.iter().map(|outcome| outcome.total).collect();
    let memory: Vec<u64> = outcomes.iter().map(|outcome| outcome.memory).collect();
    let total = median(&totals).unwrap_or_default();
    let rate = first.answer_bytes as f64 / sum.as_secs_f64() / 1e6;
    Ok(vec![
        grouped(accounts),
        first.new_ledgers.to_string(),
        megabytes(first.answer_bytes),
        seconds(wait),
        seconds(transfer),
        seconds(verify),
        seconds(store),
        format!("{:.0} %", 100.0 * waiting.as_secs_f64() / sum.as_secs_f64()),
        format!("{rate:.0} MB"),
        seconds(total),
        gibibytes(median(&memory).unwrap_or(0)),
    ])
}
