//! Measures `verify-package` on whole packages, as Markdown tables: time, memory and stages, beside
//! what today's script takes for a package of mainnet's size.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use fork_bench::package::{self, Package};
use fork_bench::report::{Table, gibibytes, grouped, median, megabytes, seconds};
use fork_bench::run::{self, Failure, WorkDir, say};
use serde_json::Value;

/// Measure the verification of packages, and print Markdown tables
#[derive(Debug, Parser)]
#[command(name = "verify-table", version)]
struct Args {
    /// Sizes of the genesis ledgers
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = run::accounts,
          default_value = "277307")]
    accounts: Vec<u32>,

    /// Repetitions, of which the tables show the median
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Put the data here instead of the directory for temporary files
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Keep the data
    #[arg(long)]
    keep: bool,
}

/// Minutes that `mina-verify-packaged-fork-config` takes for a package of mainnet's size, in all and by
/// stage; what it does there; the stages here in which as much or more is done; and how.
///
/// Source: MinaProtocol/mina #18153, a CI log. The parts add up to 25.5 minutes, the log says 25.9.
const SCRIPT_MINUTES: f64 = 25.9;
const SCRIPT_STAGES: [(&str, f64, &[&str], &str); 5] = [
    (
        "both genesis tools",
        9.1,
        &["ledgers"],
        "both roots of all accounts, the migration, and every entry of the stores",
    ),
    (
        "three daemon starts with exports",
        9.0,
        &[],
        "not needed: the accounts are read from the package and compared in `ledgers`",
    ),
    (
        "nine RocksDB scans",
        5.0,
        &[],
        "not needed: every entry is compared with what the accounts ask for, in `ledgers`",
    ),
    (
        "tar and downloads",
        1.4,
        &["open", "read", "unpack"],
        "reading and unpacking the package, all digests of it and of the candidate",
    ),
    (
        "setup",
        1.0,
        &["dpkg", "checks", "report", "clean-up"],
        "waiting for dpkg, the checks, the report, and removing the copies",
    ),
];

/// One run.
#[derive(Clone, Debug)]
struct Run {
    time: Duration,
    memory: u64,
    report: Value,
}

fn main() -> ExitCode {
    run::finish(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<String, Failure> {
    let work = WorkDir::create(args.work.as_deref(), "verifications", args.keep)?;
    let mut text = format!(
        "## Verification\n\n\
         `verify-package --deb`, all checks, against candidate, block, network and prefork config: three \
         ledgers, the epoch ledgers like the genesis ledger at nine places of ten. `realistic` \
         accounts are `plain` ones but for 3 % zkApps with a verification key each, 5 % timed accounts \
         and 3 % of custom tokens. Every run passes all checks that apply to a package file. `log` reads the stores as logs in \
         forkpack's own spelling, which is the default for such stores; `rocksdb` reads them with \
         RocksDB. Medians of {}. The script's {SCRIPT_MINUTES} minutes are for mainnet's 277,307 accounts \
         on its CI machine (MinaProtocol/mina #18153); they are compared with no other size.\n\n",
        args.runs
    );
    let mut table = Table::new(&[
        "accounts",
        "mix",
        "package",
        "stores read as",
        "median",
        "fastest – slowest",
        "peak memory",
        "ratio to `rocksdb`",
        "ratio to today's script",
    ]);
    let mut stages = String::new();
    let sizes = args.accounts.iter();
    let cases = sizes.flat_map(|accounts| ["plain", "realistic"].map(|mix| (*accounts, mix)));
    for (accounts, mix) in cases {
        say(&format!("{} {mix} accounts", grouped(accounts)));
        let package = package::make(&work.path().join("package"), accounts, mix)?;
        // Taking turns, so that a noisy minute hits both.
        let mut runs: [Vec<Run>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..args.runs {
            for (reading, runs) in ["auto", "rocksdb"].into_iter().zip(&mut runs) {
                runs.push(verify(&package, reading)?);
            }
        }
        let baseline = typical(&runs[1])?;
        for (name, runs) in ["log", "rocksdb"].into_iter().zip(&runs) {
            let times = runs.iter().map(|run| run.time);
            let memory: Vec<u64> = runs.iter().map(|run| run.memory).collect();
            let time = typical(runs)?;
            let script = match accounts {
                277_307 => format!("{:.0}×", SCRIPT_MINUTES * 60.0 / time.as_secs_f64()),
                _ => "–".to_owned(),
            };
            table.row(&[
                grouped(accounts),
                mix.to_owned(),
                megabytes(package.bytes),
                name.to_owned(),
                seconds(time),
                format!(
                    "{} – {}",
                    seconds(times.clone().min().unwrap_or_default()),
                    seconds(times.max().unwrap_or_default())
                ),
                gibibytes(median(&memory).unwrap_or(0)),
                format!("{:.2}×", baseline.as_secs_f64() / time.as_secs_f64()),
                script,
            ]);
        }
        if stages.is_empty() || accounts == 277_307 {
            stages = stage_table(accounts, mix, &runs[0])?;
        }
        work.discard(&package.directory)?;
    }
    text.push_str(&table.into_text());
    text.push_str(&stages);
    Ok(text)
}

fn typical(runs: &[Run]) -> Result<Duration, Failure> {
    let times: Vec<Duration> = runs.iter().map(|run| run.time).collect();
    median(&times).ok_or_else(|| "nothing was measured".into())
}

fn verify(package: &Package, reading: &str) -> Result<Run, Failure> {
    let started = Instant::now();
    let output = Command::new(run::sibling("verify-package")?)
        .arg("--deb")
        .arg(&package.deb)
        .args(["--candidate", "candidate"])
        .args(["--network", "fixture/network.toml"])
        .args(["--prefork-config", "fixture/prefork_config.json"])
        .args(["--store-reading", reading, "--format", "json"])
        .args(["--output", "report", "--force"])
        .current_dir(&package.directory)
        .stdin(Stdio::null())
        .output()?;
    let time = started.elapsed();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let report: Value = serde_json::from_slice(&output.stdout)?;
    Ok(Run {
        time,
        memory: report["peak_memory_bytes"].as_u64().unwrap_or(0),
        report,
    })
}

/// The stages of both, side by side.
fn stage_table(accounts: u32, mix: &str, runs: &[Run]) -> Result<String, Failure> {
    let stage = |name: &str| -> Result<Duration, Failure> {
        let times: Vec<Duration> = runs
            .iter()
            .map(|run| {
                let ms = run.report["stages_ms"][name].as_u64();
                ms.map(Duration::from_millis)
            })
            .collect::<Option<_>>()
            .ok_or_else(|| format!("the report has no stage `{name}`"))?;
        median(&times).ok_or_else(|| "nothing was measured".into())
    };
    let mut table = Table::new(&[
        "today's script",
        "minutes",
        "here",
        "seconds",
        "what is done",
    ]);
    for (what, minutes, names, how) in SCRIPT_STAGES {
        let mut time = Duration::ZERO;
        for name in names {
            time += stage(name)?;
        }
        let shown = match names {
            [] => "–".to_owned(),
            _ => seconds(time),
        };
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        table.row(&[
            what.to_owned(),
            format!("{minutes:.1}"),
            names.join(", "),
            shown,
            how.to_owned(),
        ]);
    }
    Ok(format!(
        "\nStages of the script (its log, minutes) and of one verification of {} {mix} accounts read as logs \
         (medians, seconds):\n\n{}",
        grouped(accounts),
        table.into_text()
    ))
}
