//! Measures the two forms a ledger store can have, as a Markdown table: the log alone, and sorted
//! SST files ingested by RocksDB.
//!
//! What counts is what every node pays: unpacking, the first open (which replays a log) and memory.

mod form;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use fork_bench::machine;
use fork_bench::report::{Table, grouped, median, megabytes, seconds};
use fork_bench::run::{self, Failure, WorkDir, say};
use serde::{Deserialize, Serialize};

use crate::form::{Form, Ledger};

/// Measure the forms of a ledger store, and print a Markdown table
#[derive(Debug, Parser)]
#[command(name = "store-forms", version)]
struct Args {
    /// Sizes of the ledgers
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

    /// Open this store as a daemon does, in this process alone, and print what it took as JSON
    #[arg(long, value_name = "DIR", hide = true)]
    open: Option<PathBuf>,
}

/// One opening as a daemon does it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Opening {
    entries: u64,
    open_ms: f64,
    scan_ms: f64,
    peak_memory_bytes: Option<u64>,
}

impl Opening {
    fn open(&self) -> Duration {
        Duration::from_secs_f64(self.open_ms / 1e3)
    }

    fn scan(&self) -> Duration {
        Duration::from_secs_f64(self.scan_ms / 1e3)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    run::finish(match &args.open {
        Some(directory) => open(directory),
        None => measure(&args),
    })
}

/// In a process of its own, so that its peak memory is that of the opening.
fn open(directory: &Path) -> Result<String, Failure> {
    let opened = fork_store::sst::open_like_daemon(directory)?;
    let opening = Opening {
        entries: opened.entries,
        open_ms: opened.open.as_secs_f64() * 1e3,
        scan_ms: opened.scan.as_secs_f64() * 1e3,
        peak_memory_bytes: machine::peak_memory_bytes(),
    };
    Ok(serde_json::to_string(&opening)?)
}

fn measure(args: &Args) -> Result<String, Failure> {
    let work = WorkDir::create(args.work.as_deref(), "stores", args.keep)?;
    let mut text = String::from(
        "## Forms of a ledger store\n\n\
         Plain accounts. Written from entries in memory, in key order, by one thread, without waiting \
         for the disk; packed and unpacked by ordinary `tar -czf` and `tar -xzf`; opened for reading and writing in a process of its own, as a daemon does, and \
         every entry read. The first opening of a log turns it into SST files; the second is what \
         every later start costs. Medians.\n\n",
    );
    let mut table = Table::new(&[
        "accounts",
        "form",
        "write",
        "size",
        "tar.gz",
        "unpack",
        "first open",
        "scan",
        "peak memory",
        "size after",
        "second open",
        "scan",
        "peak memory",
    ]);
    for accounts in &args.accounts {
        say(&format!("{} accounts", grouped(*accounts)));
        let ledger = Ledger::new(*accounts, &work.path().join("made"))?;
        for form in Form::ALL {
            let outcomes = (0..args.runs)
                .map(|_| contest(&work, form, &ledger))
                .collect::<Result<Vec<_>, _>>()?;
            table.row(&cells(*accounts, form, &outcomes));
        }
    }
    text.push_str(&table.into_text());
    text.push('\n');
    text.push_str(form::READERS);
    Ok(text)
}

/// One form of one ledger, once.
struct Outcome {
    write: Duration,
    bytes: u64,
    tarball_bytes: u64,
    unpack: Duration,
    first: Opening,
    bytes_after: u64,
    second: Opening,
}

fn contest(work: &WorkDir, form: Form, ledger: &Ledger) -> Result<Outcome, Failure> {
    let directory = work.path().join(form.name());
    fork_fs::remove_dir_all(&directory)?;
    let (store, unpacked) = (directory.join("store"), directory.join("unpacked"));
    fork_fs::create_dir_all(&unpacked)?;
    let started = Instant::now();
    form.write(ledger, &store)?;
    let write = started.elapsed();
    let bytes = directory_bytes(&store)?;
    let tarball = directory.join("store.tar.gz");
    tar(&["-czf"], &tarball, &store, Some("."))?;
    let started = Instant::now();
    tar(&["-xzf"], &tarball, &unpacked, None)?;
    let unpack = started.elapsed();
    let first = open_in_child(&unpacked)?;
    let bytes_after = directory_bytes(&unpacked)?;
    let second = open_in_child(&unpacked)?;
    if first.entries != second.entries || first.entries < u64::from(ledger.accounts()) {
        return Err("a store has not the entries that were written".into());
    }
    let tarball_bytes = fork_fs::file_bytes(&tarball)?;
    work.discard(&directory)?;
    Ok(Outcome {
        write,
        bytes,
        tarball_bytes,
        unpack,
        first,
        bytes_after,
        second,
    })
}

fn tar(
    options: &[&str],
    tarball: &Path,
    directory: &Path,
    members: Option<&str>,
) -> Result<(), Failure> {
    let status = Command::new("tar")
        .args(options)
        .arg(tarball)
        .arg("-C")
        .arg(directory)
        .args(members)
        .stdin(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("tar ended with {status}").into())
    }
}

fn open_in_child(directory: &Path) -> Result<Opening, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .arg("--open")
        .arg(directory)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("opening the store ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn directory_bytes(directory: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for name in fork_fs::sorted_names(directory)? {
        bytes += fork_fs::file_bytes(&directory.join(name))?;
    }
    Ok(bytes)
}

fn cells(accounts: u32, form: Form, outcomes: &[Outcome]) -> Vec<String> {
    let time = |part: fn(&Outcome) -> Duration| {
        let times: Vec<Duration> = outcomes.iter().map(part).collect();
        seconds(median(&times).unwrap_or_default())
    };
    let size = |part: fn(&Outcome) -> Option<u64>| {
        let sizes: Vec<u64> = outcomes.iter().filter_map(part).collect();
        median(&sizes).map(megabytes).unwrap_or_default()
    };
    vec![
        grouped(accounts),
        form.title().to_owned(),
        time(|outcome| outcome.write),
        size(|outcome| Some(outcome.bytes)),
        size(|outcome| Some(outcome.tarball_bytes)),
        time(|outcome| outcome.unpack),
        time(|outcome| outcome.first.open()),
        time(|outcome| outcome.first.scan()),
        size(|outcome| outcome.first.peak_memory_bytes),
        size(|outcome| Some(outcome.bytes_after)),
        time(|outcome| outcome.second.open()),
        time(|outcome| outcome.second.scan()),
        size(|outcome| outcome.second.peak_memory_bytes),
    ]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        Args::command().debug_assert();
    }
}
