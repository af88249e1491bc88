//! Measures `migrate-ledger shard` and `merge` beside one run over the whole ledgers, as Markdown tables,
//! and says from which size on several machines are faster than one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use fork_bench::package::worker;
use fork_bench::report::{Table, gibibytes, grouped, median, megabytes, seconds};
use fork_bench::run::{self, Failure, WorkDir, say};
use serde_json::Value;

/// Measure ledgers in shards beside whole ones, and print Markdown tables
#[derive(Debug, Parser)]
#[command(name = "shard-table", version)]
struct Args {
    /// Sizes of the genesis ledgers; what is said about larger ones comes from the largest
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = run::accounts,
          default_value = "277307,1M")]
    accounts: Vec<u32>,

    /// Numbers of shards
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        default_value = "2,4"
    )]
    shards: Vec<u32>,

    /// Megabits per second between machines, for what is said about several of them
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    megabits: u32,

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

/// What starting a step costs that a whole run does not need, as an assumption: an agent that waits, and
/// one that is started first.
const STARTS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

const CASES: [(&str, &[&str]); 2] = [
    ("genesis", &["genesis"]),
    ("all three", &["genesis", "staking", "next"]),
];

/// What a process took.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    wall: Duration,
    processor: Duration,
    memory: u64,
}

/// One run in shards.
#[derive(Clone, Debug)]
struct Sharded {
    /// One after the other.
    shards: Vec<Cost>,
    /// From the start of all at once to the end of the last.
    together: Duration,
    merge: Cost,
    /// Bytes of all shards.
    bytes: u64,
}

fn main() -> ExitCode {
    run::finish(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<String, Failure> {
    let work = WorkDir::create(args.work.as_deref(), "shards", args.keep)?;
    let cores = u32::try_from(std::thread::available_parallelism()?.get())?;
    let mut text = format!(
        "## Sharding\n\n\
         `migrate-ledger shard` and `merge` as processes on this machine ({cores} cores), beside one run \
         of `migrate-ledger` over the same ledgers (`realistic` accounts, both roots, `--proof log`; the \
         epoch ledgers like the genesis ledger at nine places of ten). Every merge gave the tarballs of \
         the whole run. *Shard* is the slowest of the shards, each with the machine to itself; *together* \
         is what all of them take when they run at once on this one machine. *Processor* is time in user \
         and kernel mode, on all cores together. Medians of {}.\n\n",
        args.runs
    );
    let mut table = Table::new(&[
        "accounts",
        "ledgers",
        "shards",
        "whole run",
        "shard",
        "together",
        "merge",
        "moved",
        "processor: whole",
        "shard",
        "merge",
        "shards and merge",
        "peak memory: whole, shard, merge",
    ]);
    let mut crossings = String::new();
    for accounts in &args.accounts {
        say(&format!("{} accounts", grouped(*accounts)));
        let directory = work.path().join("fork");
        import(&directory, *accounts)?;
        let mut crossing = Table::new(&[
            "ledgers",
            "machines",
            "whole run",
            "shard, moving, merge",
            "gained per million accounts",
            "pays from (5 s per step)",
            "pays from (60 s per step)",
        ]);
        for (name, roles) in CASES {
            let mut whole = Vec::new();
            let mut sharded: Vec<Vec<Sharded>> = vec![Vec::new(); args.shards.len()];
            // Taking turns, so that a noisy minute hits all.
            for _ in 0..args.runs {
                whole.push(whole_run(&directory, roles)?);
                for (of, runs) in args.shards.iter().zip(&mut sharded) {
                    runs.push(in_shards(&directory, roles, *of)?);
                }
            }
            let one = typical(&whole)?;
            for (of, runs) in args.shards.iter().zip(&sharded) {
                let slowest: Vec<Cost> = runs.iter().filter_map(slowest).collect();
                let merges: Vec<Cost> = runs.iter().map(|run| run.merge).collect();
                let together: Vec<Duration> = runs.iter().map(|run| run.together).collect();
                let processor: Vec<Duration> = runs.iter().map(processor).collect();
                let (shard, merge) = (typical(&slowest)?, typical(&merges)?);
                let bytes = runs.first().map_or(0, |run| run.bytes);
                table.row(&[
                    grouped(*accounts),
                    name.to_owned(),
                    of.to_string(),
                    seconds(one.wall),
                    seconds(shard.wall),
                    seconds(median(&together).unwrap_or_default()),
                    seconds(merge.wall),
                    megabytes(bytes),
                    seconds(one.processor),
                    seconds(shard.processor),
                    seconds(merge.processor),
                    seconds(median(&processor).unwrap_or_default()),
                    format!(
                        "{}, {}, {}",
                        gibibytes(one.memory),
                        gibibytes(shard.memory),
                        gibibytes(merge.memory)
                    ),
                ]);
                // Of the slowest shard; that of the merge likewise.
                let busy = |cost: Cost| cost.processor / cores;
                let one = busy(one);
                let many = busy(shard) + busy(merge) + moving(bytes, *of, args.megabits);
                let gained = one.as_secs_f64() - many.as_secs_f64();
                let per_account = gained / f64::from(*accounts);
                let mut row = vec![
                    name.to_owned(),
                    of.to_string(),
                    seconds(one),
                    seconds(many),
                    format!("{:.2} s", per_account * 1e6),
                ];
                row.extend(STARTS.map(|start| pays_from(per_account, start)));
                crossing.row(&row);
            }
        }
        crossings = format!(
            "\nSeveral machines like this one beside one, with {} accounts: processor time of the slowest \
             shard and of the merge, divided by {cores} cores, and that shard's bytes up and all bytes \
             down at {} Mbit/s. The candidate goes to every machine, as it goes to one; what one step more costs (its start, its checkout, its \
             programs) is an assumption. *Pays from* is the number of accounts at which what is gained \
             makes up for one such step.\n\n{}",
            grouped(*accounts),
            args.megabits,
            crossing.into_text()
        );
        work.discard(&directory)?;
    }
    text.push_str(&table.into_text());
    text.push_str(&crossings);
    Ok(text)
}

/// The size from which on several machines are faster, if there is one.
fn pays_from(gained_per_account: f64, start: Duration) -> String {
    if gained_per_account <= 0.0 {
        return "never".to_owned();
    }
    format!("{:.1} M", start.as_secs_f64() / gained_per_account / 1e6)
}

/// Every machine sends its shard, at once; the last one fetches all.
fn moving(bytes: u64, of: u32, megabits: u32) -> Duration {
    let bytes = bytes as f64 * (1.0 + 1.0 / f64::from(of.max(1)));
    Duration::from_secs_f64(bytes * 8.0 / (f64::from(megabits) * 1e6))
}

fn slowest(run: &Sharded) -> Option<Cost> {
    run.shards.iter().copied().max_by_key(|shard| shard.wall)
}

fn processor(run: &Sharded) -> Duration {
    let shards: Duration = run.shards.iter().map(|shard| shard.processor).sum();
    shards + run.merge.processor
}

fn typical(runs: &[Cost]) -> Result<Cost, Failure> {
    let all = |value: fn(&Cost) -> u64| median(&runs.iter().map(value).collect::<Vec<_>>());
    let time = |value: fn(&Cost) -> Duration| median(&runs.iter().map(value).collect::<Vec<_>>());
    let nothing = "nothing was measured";
    Ok(Cost {
        wall: time(|run| run.wall).ok_or(nothing)?,
        processor: time(|run| run.processor).ok_or(nothing)?,
        memory: all(|run| run.memory).ok_or(nothing)?,
    })
}

/// Makes a candidate and removes what it was made of.
fn import(directory: &Path, accounts: u32) -> Result<(), Failure> {
    fork_fs::create_dir_all(directory)?;
    let accounts = accounts.to_string();
    let fixture = [
        "--accounts",
        &accounts,
        "--mix",
        "realistic",
        "--few-changes",
        "--files",
        "fork-config",
        "--output",
        "fixture",
    ];
    worker(directory, "generate-fixture", &fixture)?;
    let import = [
        "import",
        "--network",
        "fixture/network.toml",
        "--fork-config",
        "fixture/fork_config.json",
        "--block",
        "fixture/block.json",
        "--output",
        "candidate",
    ];
    worker(directory, "dump-candidates", &import)?;
    fork_fs::remove_dir_all(&directory.join("fixture"))?;
    Ok(())
}

fn source<'a>(roles: &[&'a str]) -> Vec<&'a str> {
    let mut options = vec!["--candidate", "candidate"];
    for role in roles {
        options.extend(["--role", role]);
    }
    options.extend(["--from", "berkeley", "--to", "mesa", "--force"]);
    options
}

fn start(directory: &Path, arguments: &[&str]) -> Result<Child, Failure> {
    Ok(Command::new(run::sibling("migrate-ledger")?)
        .args(arguments)
        .args(["--format", "json"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?)
}

/// What a process says when it is done.
fn ended(child: Child) -> Result<Value, Failure> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs `migrate-ledger` to its end; gives what it says as well.
fn timed(directory: &Path, arguments: &[&str]) -> Result<(Cost, Value), Failure> {
    let before = processor_of_children()?;
    let started = Instant::now();
    let said = ended(start(directory, arguments)?)?;
    let wall = started.elapsed();
    let first = said.get(0).unwrap_or(&said);
    let cost = Cost {
        wall,
        processor: processor_of_children()?.saturating_sub(before),
        memory: first["peak_memory_bytes"].as_u64().unwrap_or(0),
    };
    Ok((cost, said))
}

/// Time in user and kernel mode of all processes that were started here and have ended, in
/// hundredths of a second (`proc(5)`, `stat`).
fn processor_of_children() -> Result<Duration, Failure> {
    let text = fork_fs::read_limited(Path::new("/proc/self/stat"), 1 << 16)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    // The name in parentheses may hold anything; `cutime` and `cstime` are the 14th and 15th behind it.
    let (_, fields) = text.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(13).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 10))
}

fn whole_run(directory: &Path, roles: &[&str]) -> Result<Cost, Failure> {
    let arguments = [&source(roles)[..], &["--output", "whole"]].concat();
    Ok(timed(directory, &arguments)?.0)
}

fn in_shards(directory: &Path, roles: &[&str], of: u32) -> Result<Sharded, Failure> {
    let common = source(roles);
    let names: Vec<String> = (1..=of).map(|number| format!("shard-{number}")).collect();
    let numbers: Vec<String> = (1..=of).map(|number| format!("{number}/{of}")).collect();
    let arguments: Vec<Vec<&str>> = names
        .iter()
        .zip(&numbers)
        .map(|(name, number)| {
            [&["shard", "--shard", number, "--output", name], &common[..]].concat()
        })
        .collect();
    let started = Instant::now();
    let mut children = Vec::with_capacity(arguments.len());
    for arguments in &arguments {
        children.push(start(directory, arguments)?);
    }
    for child in children {
        ended(child)?;
    }
    let together = started.elapsed();
    let mut shards = Vec::with_capacity(arguments.len());
    let mut bytes = 0;
    for (arguments, name) in arguments.iter().zip(&names) {
        shards.push(timed(directory, arguments)?.0);
        for file in fork_fs::sorted_names(&directory.join(name))? {
            bytes += fork_fs::file_bytes(&directory.join(name).join(file))?;
        }
    }
    let mut merge = vec!["merge", "--shards"];
    merge.extend(names.iter().map(String::as_str));
    merge.extend(["--candidate", "candidate", "--output", "merged", "--force"]);
    let (merge, said) = timed(directory, &merge)?;
    compare(directory, roles, &said)?;
    for name in &names {
        fork_fs::remove_dir_all(&directory.join(name))?;
    }
    Ok(Sharded {
        shards,
        together,
        merge,
        bytes,
    })
}

/// Compares the tarballs that a merge names with those of the whole run before it.
fn compare(directory: &Path, roles: &[&str], merged: &Value) -> Result<(), Failure> {
    for (place, role) in roles.iter().enumerate() {
        let whole = directory.join("whole");
        let whole = match roles {
            [_] => whole,
            _ => whole.join(role),
        };
        let bytes = fork_fs::read_limited(&whole.join("ledger.json"), 1 << 20)?;
        let whole: Value = serde_json::from_slice(&bytes)?;
        let merged = match roles {
            [_] => merged,
            _ => &merged[place],
        };
        if whole["tarball"] != merged["tarball"] {
            return Err(format!("the merged {role} ledger is another one").into());
        }
    }
    Ok(())
}
