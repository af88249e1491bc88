//! Measures the whole pipeline on a made-up fork, from the export of a daemon to the verified and signed
//! package, as a Markdown table beside what is published of today's pipeline.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use fork_bench::report::{Table, grouped, median, seconds};
use fork_bench::run::{self, Failure, WorkDir, say};
use serde::Deserialize;

/// Measure the whole pipeline by rehearsals, and print a Markdown table
#[derive(Debug, Parser)]
#[command(name = "rehearsal-table", version)]
struct Args {
    /// Accounts of each of the three ledgers; a size may be followed by `x` and a multiple
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        default_value = "277307,277307x4"
    )]
    accounts: Vec<Size>,

    /// Repetitions, of which the table shows the median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Pipeline to run
    #[arg(long, value_name = "FILE", default_value = "pipeline/pipeline.yml")]
    file: PathBuf,

    /// Put the data here instead of the directory for temporary files
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Keep the data
    #[arg(long)]
    keep: bool,
}

/// `277307x4`
#[derive(Clone, Copy, Debug)]
struct Size {
    accounts: u32,
    multiple: u32,
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (accounts, multiple) = text.split_once('x').unwrap_or((text, "1"));
        let multiple = multiple.parse().ok().filter(|multiple| *multiple > 0);
        Ok(Self {
            accounts: run::accounts(accounts)?,
            multiple: multiple.ok_or_else(|| format!("`{text}` has no multiple behind its x"))?,
        })
    }
}

/// Today's pipeline: 55 minutes before it was reworked in the winter of 2025, about 28 since. Published
/// for the three ledgers of mainnet, without signatures; its checks run beside each other on machines of
/// their own.
const TODAY_MINUTES: (u32, u32) = (28, 55);

/// What is read of `timing.json`.
#[derive(Deserialize)]
struct Timing {
    wall_ms: u64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    key: String,
    wall_ms: u64,
    peak_memory_bytes: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    run::finish(measure(&args))
}

fn measure(args: &Args) -> Result<String, Failure> {
    let work = WorkDir::create(args.work.as_deref(), "rehearsals", args.keep)?;
    let mut text = format!(
        "## The whole pipeline\n\n\
         `run-pipeline --rehearse`: a made-up fork with three `realistic` ledgers, the epoch ledgers like the \
         genesis ledger at nine places of ten, from the daemon's export (JSON, not compressed) to the package, \
         the image, both verified, and the signed statement. The base of the image is empty. Making up the \
         fork is not counted. Steps that do not depend on each other run at the same time, so they take longer than alone and the \
         total is less than their sum. Medians of {}.\n\n",
        args.runs
    );
    let mut table = Table::new(&[
        "accounts of a ledger",
        "step",
        "median",
        "fastest – slowest",
        "peak memory",
        "today's pipeline",
        "ratio",
    ]);
    for size in &args.accounts {
        let all = grouped(size.accounts.saturating_mul(size.multiple));
        say(&format!("{all} accounts"));
        let output = work.path().join("out");
        let mut timings = Vec::new();
        for turn in 0..args.runs {
            timings.push(rehearse(&args.file, &output, *size, turn > 0)?);
        }
        let Some(first) = timings.first() else {
            continue;
        };
        for step in &first.steps {
            let same = |timing: &Timing| {
                let found = timing.steps.iter().find(|one| one.key == step.key);
                found.map(|one| (one.wall_ms, one.peak_memory_bytes))
            };
            let all_runs: Vec<_> = timings.iter().filter_map(same).collect();
            let times: Vec<u64> = all_runs.iter().map(|one| one.0).collect();
            let memory: Vec<u64> = all_runs.iter().filter_map(|one| one.1).collect();
            row(&mut table, &all, &step.key, &times, median(&memory), None);
        }
        let totals: Vec<u64> = timings.iter().map(|timing| timing.wall_ms).collect();
        let peaks = timings.iter().map(|timing| {
            let peaks = timing
                .steps
                .iter()
                .filter_map(|step| step.peak_memory_bytes);
            peaks.max().unwrap_or_default()
        });
        let peaks: Vec<u64> = peaks.collect();
        // Published for mainnet's size alone.
        let is_mainnet = size.accounts == 277_307 && size.multiple == 1;
        let today = is_mainnet.then_some(TODAY_MINUTES);
        row(&mut table, &all, "**all**", &totals, median(&peaks), today);
        fork_fs::remove_dir_all(&output)?;
    }
    text.push_str(&table.into_text());
    Ok(text)
}

fn row(
    table: &mut Table,
    accounts: &str,
    name: &str,
    times: &[u64],
    memory: Option<u64>,
    today: Option<(u32, u32)>,
) {
    let words = |ms: Option<u64>| {
        ms.map_or_else(|| "–".to_owned(), |ms| seconds(Duration::from_millis(ms)))
    };
    let middle = median(times);
    let range = format!(
        "{} – {}",
        words(times.iter().min().copied()),
        words(times.iter().max().copied())
    );
    let mebibytes = |bytes: u64| format!("{} MiB", bytes.div_ceil(1 << 20));
    let (published, ratio) = match (today, middle) {
        (Some((low, high)), Some(ms)) => {
            let times = |minutes: u32| f64::from(minutes) * 60_000.0 / ms as f64;
            (
                format!("{low}–{high} min"),
                format!("{:.0}–{:.0} x", times(low), times(high)),
            )
        }
        _ => (String::new(), String::new()),
    };
    table.row(&[
        accounts.to_owned(),
        name.to_owned(),
        words(middle),
        range,
        memory.map_or_else(|| "–".to_owned(), mebibytes),
        published,
        ratio,
    ]);
}

/// One rehearsal; the fork of an earlier one in the same place is used again.
fn rehearse(file: &Path, output: &Path, size: Size, again: bool) -> Result<Timing, Failure> {
    if again {
        // Everything but the fork.
        for name in fork_fs::sorted_names(output)? {
            if name != "rehearsal" && name != "state" {
                fork_fs::remove_all(&output.join(&name))?;
            }
        }
        fork_fs::remove_dir_all(&output.join("state"))?;
        fork_fs::create_dir_all(&output.join("state"))?;
    }
    let program = run::sibling("run-pipeline")?;
    let mut command = Command::new(&program);
    command
        .arg("--rehearse")
        .args(["--accounts", &size.accounts.to_string()])
        .args(["--multiple", &size.multiple.to_string()])
        .args(["--plain", "--file"])
        .arg(file)
        .arg("--output")
        .arg(output)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if again {
        command.arg("--resume");
    }
    let status = command.status()?;
    if !status.success() {
        let log = output.join("logs").display().to_string();
        return Err(format!("{} ended with {status}; see {log}", program.display()).into());
    }
    let bytes = fork_fs::read_limited(&output.join("timing.json"), 1 << 26)?;
    Ok(serde_json::from_slice(&bytes)?)
}
