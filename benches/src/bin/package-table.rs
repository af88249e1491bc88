//! Measures packaging step by step, as a Markdown table: time, memory and size, beside what the
//! usual tools take for the same in the same run.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use fork_bench::package;
use fork_bench::report::{Table, grouped, median, megabytes, seconds};
use fork_bench::run::{self, Failure, WorkDir, say};

/// Measure packaging, and print a Markdown table
#[derive(Debug, Parser)]
#[command(name = "package-table", version)]
struct Args {
    /// Size of the genesis ledger
    #[arg(long, value_name = "N", value_parser = run::accounts, default_value = "277307")]
    accounts: u32,

    /// Directory with `ledgers` and `network-config` that were made already, of so many accounts
    #[arg(long, value_name = "DIR")]
    made: Option<PathBuf>,

    /// Repetitions, of which the table shows the median. What takes more than a minute runs once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Put the data here instead of the directory for temporary files
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// Keep the data
    #[arg(long)]
    keep: bool,

    /// Pack the store in A as the tarball B and end; how the packing of a tarball is measured
    #[arg(long, num_args = 2, value_names = ["A", "B"], hide = true)]
    pack: Option<Vec<PathBuf>>,
}

/// Reports memory where it is installed.
const GNU_TIME: &str = "/usr/bin/time";
/// What takes longer is not repeated.
const REPEATED_MAX: Duration = Duration::from_secs(60);

/// One step: what we run, and what is usual.
struct Step {
    name: &'static str,
    ours: Job,
    baseline: Option<(&'static str, Job)>,
}

/// A command, where its output lies, and the exit code it ends with.
struct Job {
    program: PathBuf,
    arguments: Vec<String>,
    output: Option<PathBuf>,
    code: i32,
}

#[derive(Clone, Copy)]
struct Measured {
    time: Duration,
    /// Of all threads and processes.
    processor: Option<Duration>,
    memory: Option<u64>,
    bytes: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    run::finish(match &args.pack {
        Some(paths) => pack(paths),
        None => measure(&args),
    })
}

fn pack(paths: &[PathBuf]) -> Result<String, Failure> {
    let [store, target] = paths else {
        return Err("two paths are needed".into());
    };
    let summary = fork_store::write_tarball(store, target)?;
    Ok(format!("{}\n", summary.s3_data_hash))
}

fn measure(args: &Args) -> Result<String, Failure> {
    let work = WorkDir::create(args.work.as_deref(), "packaging", args.keep)?;
    let made = match &args.made {
        Some(made) => made.clone(),
        None => package::make(&work.path().join("package"), args.accounts, "realistic")?.directory,
    };
    let scratch = work.path().join("scratch");
    fork_fs::create_dir_all(&scratch)?;
    let mut table = Table::new(&[
        "step",
        "median",
        "fastest – slowest",
        "processor time",
        "peak memory",
        "size",
        "baseline",
        "its median",
        "its processor time",
        "its memory",
        "its size",
        "ratio",
    ]);
    for step in steps(&made, &scratch)? {
        say(step.name);
        // Taking turns, so that a noisy minute hits both.
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..args.runs {
            ours.push(step.ours.run()?);
            if let Some((_, baseline)) = &step.baseline
                && theirs.iter().all(|one: &Measured| one.time < REPEATED_MAX)
            {
                theirs.push(baseline.run()?);
            }
        }
        table.row(&row(&step, &ours, &theirs)?);
    }
    Ok(format!(
        "## Packaging\n\n\
         Three ledgers of {} `realistic` accounts, the epoch ledgers like the genesis ledger at nine \
         places of ten; each tarball is measured once, the package holds all three. Baselines work on the \
         same tree in the same run, in turns: `tar | gzip -6`, `dpkg-deb --root-owner-group --build` with \
         the compression named (its default level), GNU tar and gzip of the installed files for the layer \
         of an image, and `cmp` of both data archives as `dpkg-deb --fsys-tarfile` unpacks them. `package-deb` also \
         reads and compares all digests of its inputs, and reads the package back; `dpkg-deb` does neither. \
         Processor time is that of all threads and processes; peak memory of a baseline is that of its largest process. Medians of {}; a baseline of more \
         than a minute runs once.\n\n{}",
        grouped(args.accounts),
        args.runs,
        table.into_text()
    ))
}

fn row(step: &Step, ours: &[Measured], theirs: &[Measured]) -> Result<Vec<String>, Failure> {
    let typical = |runs: &[Measured]| {
        let times: Vec<Duration> = runs.iter().map(|one| one.time).collect();
        median(&times)
    };
    let memory = |runs: &[Measured]| {
        let all: Vec<u64> = runs.iter().filter_map(|one| one.memory).collect();
        let mebibytes = |bytes| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
        median(&all).map_or_else(|| "–".to_owned(), mebibytes)
    };
    let processor = |runs: &[Measured]| {
        let all: Vec<Duration> = runs.iter().filter_map(|one| one.processor).collect();
        median(&all).map_or_else(|| "–".to_owned(), seconds)
    };
    let size = |runs: &[Measured]| {
        let bytes = runs.first().and_then(|one| one.bytes);
        bytes.map_or_else(|| "–".to_owned(), megabytes)
    };
    let time = typical(ours).ok_or("nothing was measured")?;
    let all = ours.iter().map(|one| one.time);
    let mut row = vec![
        step.name.to_owned(),
        seconds(time),
        format!(
            "{} – {}",
            seconds(all.clone().min().unwrap_or_default()),
            seconds(all.max().unwrap_or_default())
        ),
        processor(ours),
        memory(ours),
        size(ours),
    ];
    match (&step.baseline, typical(theirs)) {
        (Some((name, _)), Some(baseline)) => row.extend([
            format!("`{name}`"),
            seconds(baseline),
            processor(theirs),
            memory(theirs),
            size(theirs),
            format!("{:.1}×", baseline.as_secs_f64() / time.as_secs_f64()),
        ]),
        _ => row.extend(["–"; 6].map(str::to_owned)),
    }
    Ok(row)
}

/// All steps, with what they need made before.
fn steps(made: &Path, scratch: &Path) -> Result<Vec<Step>, Failure> {
    let path = |name: &str| scratch.join(name).display().to_string();
    let tarball = tarball(&made.join("ledgers/genesis"))?;
    let store = scratch.join("store");
    fork_fs::create_dir_all(&store)?;
    fork_store::unpack_tarball(&tarball, &store)?;
    let itself = std::env::current_exe()?;
    let shell = |script: String, output: &str| Job {
        program: "/bin/bash".into(),
        arguments: vec!["-c".to_owned(), format!("set -o pipefail; {script}")],
        output: Some(scratch.join(output)),
        code: 0,
    };
    let mut steps = vec![Step {
        name: "tarball of a ledger",
        ours: Job {
            program: itself,
            arguments: vec!["--pack".to_owned(), path("store"), path("ours.tar.gz")],
            output: Some(scratch.join("ours.tar.gz")),
            code: 0,
        },
        baseline: Some((
            "tar | gzip -6",
            shell(
                format!(
                    "tar c -C {} . | gzip -6 > {}",
                    path("store"),
                    path("theirs.tar.gz")
                ),
                "theirs.tar.gz",
            ),
        )),
    }];
    for (compression, baseline) in [
        ("gz", "dpkg-deb -Zgzip"),
        ("xz", "dpkg-deb -Zxz"),
        ("zst", "dpkg-deb -Zzstd"),
    ] {
        let output = scratch.join(compression);
        let job = build(made, &output, compression)?;
        // Once before: it is unpacked for the baseline, and its name is needed.
        job.run()?;
        let deb = deb_in(&output)?;
        if compression == "gz" {
            let unpacked = Job {
                program: "dpkg-deb".into(),
                arguments: ["-R", &deb.display().to_string(), &path("tree")]
                    .map(str::to_owned)
                    .into(),
                output: None,
                code: 0,
            };
            unpacked.run()?;
        }
        let script = format!(
            "{} --root-owner-group --build {} {}",
            baseline,
            path("tree"),
            path("theirs.deb")
        );
        steps.push(Step {
            name: match compression {
                "gz" => "package, gz",
                "xz" => "package, xz",
                _ => "package, zst",
            },
            ours: Job {
                output: Some(deb),
                ..job
            },
            baseline: Some((baseline, shell(script, "theirs.deb"))),
        });
    }
    steps.extend(others(made, scratch, &shell)?);
    Ok(steps)
}

fn others(
    made: &Path,
    scratch: &Path,
    shell: &dyn Fn(String, &str) -> Job,
) -> Result<Vec<Step>, Failure> {
    let path = |name: &str| scratch.join(name).display().to_string();
    let base = scratch.join("base");
    fork_fs::create_dir_all(&base.join("var/lib/dpkg/info"))?;
    fork_fs::create_dir_all(&base.join("etc"))?;
    fork_fs::write_atomic(&base.join("etc/os-release"), b"PRETTY_NAME=\"Base\"\n")?;
    fork_fs::write_atomic(&base.join("var/lib/dpkg/arch"), b"amd64\n")?;
    fork_fs::write_atomic(
        &base.join("var/lib/dpkg/status"),
        b"Package: dpkg\nStatus: install ok installed\nMaintainer: A <a@example.org>\nArchitecture: amd64\nVersion: 1.21.22\nDescription: dpkg\n\n",
    )?;
    let image = Job {
        program: run::sibling("package-image")?,
        arguments: vec![
            "--deb".to_owned(),
            path("gz"),
            "--base".to_owned(),
            format!("rootfs:{}", base.display()),
            "--output".to_owned(),
            path("image"),
            "--force".to_owned(),
        ],
        output: None,
        code: 0,
    };
    let (gz, xz) = (
        deb_in(&scratch.join("gz"))?.display().to_string(),
        deb_in(&scratch.join("xz"))?.display().to_string(),
    );
    let diff = |left: &str, right: &str, code| -> Result<Job, Failure> {
        Ok(Job {
            program: run::sibling("package-deb")?,
            arguments: ["diff", left, right, "--scratch", &path("")]
                .map(str::to_owned)
                .into(),
            output: None,
            code,
        })
    };
    let cmp = |left: &str, right: &str| Job {
        output: None,
        ..shell(
            format!("cmp <(dpkg-deb --fsys-tarfile {left}) <(dpkg-deb --fsys-tarfile {right})"),
            "",
        )
    };
    let ledger = |role: &str| -> Result<String, Failure> {
        Ok(tarball(&made.join("ledgers").join(role))?
            .display()
            .to_string())
    };
    Ok(vec![
        Step {
            name: "image",
            ours: image,
            baseline: Some((
                "tar | gzip -6",
                shell(
                    format!(
                        "tar c -C {} var usr | gzip -6 > {}",
                        path("tree"),
                        path("layer.tar.gz")
                    ),
                    "layer.tar.gz",
                ),
            )),
        },
        Step {
            name: "diff, same package",
            ours: diff(&gz, &gz, 0)?,
            baseline: Some(("cmp", cmp(&gz, &gz))),
        },
        Step {
            name: "diff, gz and xz",
            ours: diff(&gz, &xz, 4)?,
            baseline: Some(("cmp", cmp(&gz, &xz))),
        },
        Step {
            name: "diff of two ledgers",
            ours: Job {
                program: run::sibling("inspect-ledger")?,
                arguments: vec![
                    "diff".to_owned(),
                    ledger("genesis")?,
                    ledger("staking")?,
                    "--scratch".to_owned(),
                    path(""),
                ],
                output: None,
                code: 4,
            },
            baseline: None,
        },
    ])
}

fn build(made: &Path, output: &Path, compression: &str) -> Result<Job, Failure> {
    let mut arguments = vec!["--network-config".to_owned()];
    arguments.push(made.join("network-config").display().to_string());
    for role in ["genesis", "staking", "next"] {
        arguments.push("--ledgers".to_owned());
        arguments.push(made.join("ledgers").join(role).display().to_string());
    }
    let fixed = ["--version", "0.1.0", "--git-hash", "0123abcd"];
    arguments.extend(fixed.map(str::to_owned));
    arguments.extend(["--seed-list-url", "https://example.org/seeds.txt"].map(str::to_owned));
    arguments.extend(["--compression", compression, "--force", "--output"].map(str::to_owned));
    arguments.push(output.display().to_string());
    Ok(Job {
        program: run::sibling("package-deb")?,
        arguments,
        output: None,
        code: 0,
    })
}

fn tarball(directory: &Path) -> Result<PathBuf, Failure> {
    named(directory, ".tar.gz")
}

fn deb_in(directory: &Path) -> Result<PathBuf, Failure> {
    named(directory, ".deb")
}

fn named(directory: &Path, end: &str) -> Result<PathBuf, Failure> {
    let names = fork_fs::sorted_names(directory)?;
    let mut names = names.into_iter();
    let name = names.find(|name| name.to_string_lossy().ends_with(end));
    let name = name.ok_or_else(|| format!("{} has no {end}", directory.display()))?;
    Ok(directory.join(name))
}

impl Job {
    fn run(&self) -> Result<Measured, Failure> {
        let is_timed = fork_fs::exists(Path::new(GNU_TIME));
        let mut command = Command::new(if is_timed {
            Path::new(GNU_TIME)
        } else {
            &self.program
        });
        if is_timed {
            // Its line is the last one on stderr.
            command.args(["-f", "%U %S %M"]).arg(&self.program);
        }
        let started = Instant::now();
        let output = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .env_remove("SOURCE_DATE_EPOCH")
            .output()?;
        let time = started.elapsed();
        let error = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(self.code) {
            return Err(format!("{}: {error}", self.program.display()).into());
        }
        let line = error.lines().next_back().unwrap_or_default();
        let said: Vec<f64> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let (processor, memory) = match said.as_slice() {
            [user, system, kibibytes] if is_timed => (
                Some(Duration::from_secs_f64(user + system)),
                Some(*kibibytes as u64 * 1024),
            ),
            _ => (None, None),
        };
        let bytes = self
            .output
            .as_deref()
            .map(fork_fs::file_bytes)
            .transpose()?;
        Ok(Measured {
            time,
            processor,
            memory,
            bytes,
        })
    }
}
