//! The command line.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use clap::builder::FalseyValueParser;
use clap::{Parser, ValueEnum};
use fork_fs::Operation;
use serde::Serialize;

use crate::answers::{Answer, Answers};
use crate::cache::Cache;
use crate::error::{PipelineError, PipelineErrorKind};
use crate::forecast::Limits;
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::live::Live;
use crate::memory::available_bytes;
use crate::output::{self, Existing};
use crate::pipeline::{Pipeline, Plan};
use crate::planned::{Look, fates};
use crate::preview::preview;
use crate::process::LineSink;
use crate::rehearse::{self, RehearsalArgs, Workshop};
use crate::report::BUDGET_MINUTES;
use crate::run::{Options, Reuse, milliseconds, run};
use crate::slots::Slots;
use crate::unused;
use crate::uploads;

/// Runs the Buildkite pipeline file on this machine.
///
/// Steps start as soon as the steps they depend on are done, each in a directory of its own; a step
/// that fails stops only its dependents. Workers are looked for beside this program first.
///
/// A variable that the pipeline uses, or that --env sets, may be a path relative to the current
/// directory: a value with a `/` in it that exists here is made absolute, also behind `rootfs:`,
/// `oci:` and `docker-archive:`.
///
/// `block` and `input` steps are answered with --unblock and --answer. Steps run on this machine, not
/// in the containers of a docker plugin.
///
/// The exit code is that of the step that failed first: 1 internal error, 2 usage, 3 pending (also
/// a step that waits for an answer), 4 data that contradicts other data, 5 bad input, 6 environment (also a step stopped after its
/// timeout), 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "run-pipeline", version)]
pub struct Args {
    /// The pipeline.
    #[arg(long, value_name = "FILE", default_value = "pipeline/pipeline.yml")]
    pub file: PathBuf,
    /// A variable for the pipeline and its steps; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub env: Vec<(String, String)>,
    /// Where artifacts, logs and timing.json go.
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub output: PathBuf,
    /// Replace what is in the output directory, which must be the output of a run and nothing else.
    #[arg(long)]
    pub force: bool,
    /// Go on in an output directory: a step whose script, variables, files, programs and artifacts
    /// are as they were is not run again. After a crash, an interruption, a failure or a change.
    #[arg(long, conflicts_with = "force")]
    pub resume: bool,
    /// As --resume, but run this step and everything that depends on it again; may be repeated.
    #[arg(long, value_name = "STEP", conflicts_with = "force")]
    pub from: Vec<String>,
    /// As --resume, but run only this step; what it depends on must be there; may be repeated.
    #[arg(long, value_name = "STEP", conflicts_with_all = ["force", "from"])]
    pub only: Vec<String>,
    /// Unblock this `block` or `input` step; its fields have their defaults; may be repeated. Without
    /// it the run does everything else and ends with exit code 3.
    #[arg(long, value_name = "STEP")]
    pub unblock: Vec<String>,
    /// Answer a field of a `block` or `input` step, which unblocks it; may be repeated. The answer
    /// becomes meta-data and is kept for --resume.
    #[arg(long, value_name = "STEP:FIELD=VALUE", value_parser = parse_answer)]
    pub answer: Vec<Answer>,
    /// Take results from this directory when nothing that they depend on has changed, and add new
    /// ones to it. Steps that read from the network or use meta-data are never taken from there.
    #[arg(
        long,
        value_name = "DIR",
        env = "RUN_PIPELINE_CACHE",
        hide_env_values = true
    )]
    pub cache: Option<PathBuf>,
    /// Most space for the cache, in GiB; the least recently used results go first.
    #[arg(long, value_name = "GIB", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub cache_size: u64,
    /// Most steps at a time [default: one per processor]; a step that asks an agent for more cores than
    /// this machine has runs alone.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Most memory that steps beside each other may need, in GiB, as far as it is known what they need
    /// [default: four fifths of what is available].
    #[arg(long, value_name = "GIB", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// Where runs on this machine share the slots of concurrency groups [default: run-pipeline below
    /// XDG_STATE_HOME or ~/.local/state].
    #[arg(
        long,
        value_name = "DIR",
        env = "RUN_PIPELINE_STATE",
        hide_env_values = true
    )]
    pub state: Option<PathBuf>,
    /// How long the run may take, in minutes, with the parts of it that were stopped; warns when it will
    /// take longer, and ends with exit code 4 when it did.
    #[arg(long, value_name = "MINUTES", default_value_t = BUDGET_MINUTES, value_parser = clap::value_parser!(u64).range(1..=525_600))]
    pub budget: u64,
    /// Keep the working directories of steps that passed.
    #[arg(long)]
    pub keep_work: bool,
    /// Plain lines also on a terminal.
    #[arg(long, env = "FORKPACK_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    pub plain: bool,
    /// Show the steps, their command lines, how long each will take and how much memory, and run
    /// nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// A made-up fork.
    #[command(flatten)]
    pub rehearsal: RehearsalArgs,
    /// How to print the result on standard output.
    #[arg(long, value_enum, default_value_t, env = "FORKPACK_FORMAT")]
    pub format: Format,
}

/// Variable with the directory of the pipeline file, unless it is set.
const DIRECTORY_VARIABLE: &str = "PIPELINE_DIRECTORY";

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

impl Args {
    /// Does what was asked; returns the exit code. `stop` ends the run when it becomes true.
    ///
    /// # Errors
    ///
    /// Fails when the pipeline cannot be run at all; a step that fails shows in the exit code.
    pub fn run(
        self,
        stop: &AtomicBool,
        stdout: &mut dyn Write,
        stderr: Box<dyn Write + Send>,
    ) -> Result<u8, PipelineError> {
        let here = std::env::current_dir()
            .map_err(|source| PipelineError::io(Operation::Open, Path::new("."), source))?;
        let live = Live::new(stderr, io::stderr().is_terminal() && !self.plain);
        let sink = live.sink();
        let pipeline = Pipeline::load(&self.file)?;
        let program = std::env::current_exe()
            .map_err(|source| PipelineError::io(Operation::Open, Path::new("."), source))?;
        let given = self.env.iter().map(|(name, _)| name.as_str());
        for warning in unused::warnings(&pipeline, &self.file, given) {
            sink.line("run-pipeline", warning.as_bytes());
        }
        let mut environment = self.environment(&pipeline, &here, sink);
        let output = here.join(&self.output);
        let layout = Layout {
            output: output.clone(),
        };
        let needed = |environment: &Environment| {
            let names = self.names(&pipeline);
            output::needed(&here, &self.file, environment, names.iter())
        };
        let mut rehearsed = None;
        if self.rehearsal.rehearse {
            self.rehearsal.check(&self.env)?;
            output::prepare(&output, self.existing(self.resume), &needed(&environment))?;
            let workshop = Workshop {
                layout: &layout,
                programs: program.parent().unwrap_or(Path::new("/")),
                sink,
                stop,
            };
            rehearsed = Some(self.rehearsal.prepare(&workshop, &mut environment)?);
        }
        let plan = pipeline.resolve(&environment)?;
        let is_again = self.resume || !self.from.is_empty() || !self.only.is_empty();
        // What steps uploaded last time can be named, and asks the same, this time.
        let known = if is_again {
            uploads::known(&plan, &layout)
        } else {
            plan.clone()
        };
        if self.dry_run {
            let look = Look {
                environment: &environment,
                programs: program.parent().unwrap_or(Path::new("/")),
                layout: &layout,
                from: &self.from,
                only: &self.only,
            };
            let fates = if is_again {
                fates(&known, &look)?
            } else {
                BTreeMap::new()
            };
            let limits = self.limits();
            let text = preview(&known, &environment, &layout, limits, &fates, self.format)?;
            print(stdout, &text)?;
            return Ok(0);
        }
        let (plan, reuse) = self.selected(plan, &known, &here)?;
        let mut answers = if is_again {
            Answers::read(&layout)
        } else {
            Answers::default()
        };
        answers.forget(&reuse.again);
        answers.give(&self.given(), &known)?;
        if rehearsed.is_none() {
            output::prepare(&output, self.existing(reuse.output), &needed(&environment))?;
        }
        let options = Options {
            output: output.clone(),
            limits: self.limits(),
            now_unix_ms: now_unix_ms(),
            is_one: rehearsed.is_some(),
            budget_ms: self.budget * 60_000,
            keep_work: self.keep_work,
            reuse,
            answers,
            memory_bytes: self.memory.or_else(available_bytes),
            slots: self.slots(&plan, &environment, &here, sink),
            environment,
            program,
        };
        let report = run(&plan, &options, &live, stop)?;
        let text = match self.format {
            Format::Human => {
                let mut text = report.table(&output.display().to_string());
                if let Some(rehearsed) = rehearsed {
                    text.push_str(&rehearsed.verdict(&report));
                }
                text
            }
            Format::Json => json(&report)?,
        };
        print(stdout, &text)?;
        Ok(report.exit_code)
    }

    /// This process's variables and those given, with relative paths made absolute.
    fn environment(&self, pipeline: &Pipeline, here: &Path, sink: &LineSink) -> Environment {
        let mut environment: Environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        if self.rehearsal.rehearse {
            let names = pipeline.replaced_names().into_iter();
            let mut names: BTreeSet<String> = names.chain(pipeline.variables()).collect();
            names.remove(DIRECTORY_VARIABLE);
            let ignored = rehearse::ignore(&mut environment, names);
            if !ignored.is_empty() {
                let names = ignored.join(", ");
                let line = format!(
                    "a rehearsal ignores what the shell has set: {names}; --env gives it variables"
                );
                sink.line("run-pipeline", line.as_bytes());
            }
        }
        environment.extend(self.env.iter().cloned());
        // Where steps that upload more of them find pipeline files; on Buildkite, in the checkout.
        if let Some(directory) = here.join(&self.file).parent().and_then(Path::to_str) {
            environment
                .entry(DIRECTORY_VARIABLE.to_owned())
                .or_insert_with(|| directory.to_owned());
        }
        for name in self.names(pipeline) {
            if let Some(value) = environment.get_mut(&name)
                && let Some(absolute) = absolute(value, here)
            {
                sink.line(
                    "run-pipeline",
                    format!("{name}: {value} is {absolute}").as_bytes(),
                );
                *value = absolute;
            }
        }
        environment
    }

    /// Names of the variables that the pipeline uses or that were given.
    fn names(&self, pipeline: &Pipeline) -> BTreeSet<String> {
        let given = self.env.iter().map(|(name, _)| name.clone());
        pipeline.variables().into_iter().chain(given).collect()
    }

    fn limits(&self) -> Limits {
        Limits {
            jobs: self.jobs.map_or_else(processors, usize::from),
            cores: processors(),
        }
    }

    /// What to do with an output directory that is not empty.
    const fn existing(&self, go_on: bool) -> Existing {
        match (go_on, self.force) {
            (true, _) => Existing::GoOn,
            (false, true) => Existing::Replace,
            (false, false) => Existing::Refuse,
        }
    }

    /// The slots that runs on this machine share; said when there is no place for them.
    fn slots(
        &self,
        plan: &Plan,
        environment: &Environment,
        here: &Path,
        sink: &LineSink,
    ) -> Option<Slots> {
        let of = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let state = match (&self.state, of("XDG_STATE_HOME"), of("HOME")) {
            (Some(state), ..) => here.join(state),
            (None, Some(state), _) => Path::new(state).join("run-pipeline"),
            (None, None, Some(home)) => Path::new(home).join(".local/state/run-pipeline"),
            (None, None, None) => {
                if plan.steps.iter().any(|step| step.concurrency.is_some()) {
                    sink.line(
                        "run-pipeline",
                        b"warning: concurrency groups hold in this run only; name a directory with --state",
                    );
                }
                return None;
            }
        };
        Some(Slots::new(&state))
    }

    /// The answers of the command line.
    fn given(&self) -> Vec<Answer> {
        let unblocked = self.unblock.iter().map(|step| Answer {
            step: step.clone(),
            field: None,
            value: String::new(),
        });
        unblocked.chain(self.answer.iter().cloned()).collect()
    }

    /// What to run of the plan, and which results to use. `known` is the plan with what steps uploaded
    /// in an earlier run.
    fn selected(
        &self,
        mut plan: Plan,
        known: &Plan,
        here: &Path,
    ) -> Result<(Plan, Reuse), PipelineError> {
        let keys = |wanted: &[String]| -> Result<BTreeSet<String>, PipelineError> {
            for key in wanted {
                if !known.steps.iter().any(|step| step.step == *key) {
                    let mut names: Vec<&str> = Vec::new();
                    for step in &known.steps {
                        if !names.contains(&step.step.as_str()) {
                            names.push(&step.step);
                        }
                    }
                    let names = names.join(", ");
                    return Err(PipelineErrorKind::Usage {
                        reason: format!("there is no step `{key}`; the steps are {names}"),
                    }
                    .into());
                }
            }
            Ok(wanted.iter().cloned().collect())
        };
        let again = keys(&self.from)?;
        let only = keys(&self.only)?;
        let mut wanted = only.clone();
        if !only.is_empty() {
            for step in known.steps.iter().filter(|step| only.contains(&step.step)) {
                wanted.extend(known.visible(step).into_iter().map(str::to_owned));
            }
            plan.steps.retain(|step| wanted.contains(&step.step));
        }
        let cache = match &self.cache {
            None => None,
            Some(root) => Some(Cache::open(&here.join(root), self.cache_size << 30)?),
        };
        let reuse = Reuse {
            output: self.resume || !again.is_empty() || !only.is_empty(),
            cache,
            again,
            only,
            wanted,
        };
        Ok((plan, reuse))
    }
}

/// `value` with its relative path made absolute, when it clearly is one: it exists, and it has a
/// `/` in it or a prefix that only paths have.
fn absolute(value: &str, here: &Path) -> Option<String> {
    let (prefix, path) = ["rootfs:", "oci:", "docker-archive:"]
        .iter()
        .find_map(|prefix| Some((*prefix, value.strip_prefix(prefix)?)))
        .unwrap_or(("", value));
    let clear = !prefix.is_empty() || path.contains('/');
    if !clear || path.is_empty() || Path::new(path).is_absolute() {
        return None;
    }
    let full: PathBuf = here.join(path).components().collect();
    // With a placeholder, such as `{codename}`, what is before it must be there.
    let known = path.split_once('{').map_or(path, |(before, _)| {
        before.rsplit_once('/').map_or("", |(parent, _)| parent)
    });
    if !fork_fs::exists(&here.join(known)) {
        return None;
    }
    Some(format!("{prefix}{}", full.to_str()?))
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn parse_answer(text: &str) -> Result<Answer, String> {
    // Values may have anything in them, keys of steps a colon, keys of fields neither.
    let parts = text.split_once('=').and_then(|(field, value)| {
        let (step, field) = field.rsplit_once(':')?;
        (!step.is_empty() && !field.is_empty()).then(|| Answer {
            step: step.to_owned(),
            field: Some(field.to_owned()),
            value: value.to_owned(),
        })
    });
    parts.ok_or_else(|| "expected STEP:FIELD=VALUE".to_owned())
}

/// GiB, as bytes; thousandths count.
fn parse_memory(text: &str) -> Result<u64, String> {
    const GIB_MAX: f64 = 1_048_576.0;
    match text.parse::<f64>() {
        Ok(gib) if gib > 0.0 && gib <= GIB_MAX => {
            // In range, and whole MiB are exact enough.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let mebibytes = (gib * 1024.0).ceil() as u64;
            Ok(mebibytes << 20)
        }
        _ => Err("expected a number above zero".to_owned()),
    }
}

/// The time, in milliseconds since 1970: how long ago a run began is about the world, not about bytes.
#[allow(clippy::disallowed_methods)]
fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, milliseconds)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, PipelineError> {
    let mut text =
        serde_json::to_string_pretty(value).map_err(|error| print_error(error.into()))?;
    text.push('\n');
    Ok(text)
}

fn print(stdout: &mut dyn Write, text: &str) -> Result<(), PipelineError> {
    stdout.write_all(text.as_bytes()).map_err(print_error)
}

fn print_error(source: io::Error) -> PipelineError {
    PipelineError::io(Operation::Write, Path::new("standard output"), source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Args::command().debug_assert();
        crate::agent::Agent::command().debug_assert();
        let args = Args::try_parse_from(["run-pipeline", "--env", "A=b=c", "--env", "E="]).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(args.env, [pair("A", "b=c"), pair("E", "")]);
        assert!(Args::try_parse_from(["run-pipeline", "--env", "A"]).is_err());
        assert!(Args::try_parse_from(["run-pipeline", "--jobs", "0"]).is_err());
    }

    #[test]
    fn answers_and_sizes_are_read() {
        let answer = parse_answer("a:b:field=x=y:z").unwrap();
        assert_eq!(answer.step, "a:b");
        assert_eq!(answer.field.as_deref(), Some("field"));
        assert_eq!(answer.value, "x=y:z");
        for wrong in ["a=b", "a:b", ":b=c", "a:=c", ""] {
            assert!(parse_answer(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_memory("1.5"), Ok(1_536 << 20));
        for wrong in ["0", "-1", "x", "inf", "NaN", "1e30"] {
            assert!(parse_memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_clear_paths_become_absolute() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        std::fs::create_dir_all(here.join("devnet/base")).unwrap();
        let expect = |value: &str| {
            absolute(value, here).map(|text| text.replace(here.to_str().unwrap(), "@"))
        };
        assert_eq!(expect("devnet"), None, "may be the name of a network");
        assert_eq!(expect("./devnet").as_deref(), Some("@/devnet"));
        assert_eq!(expect("devnet/base").as_deref(), Some("@/devnet/base"));
        assert_eq!(
            expect("rootfs:devnet/base").as_deref(),
            Some("rootfs:@/devnet/base")
        );
        assert_eq!(expect("rootfs:devnet").as_deref(), Some("rootfs:@/devnet"));
        assert_eq!(
            expect("rootfs:devnet/{codename}-{architecture}").as_deref(),
            Some("rootfs:@/devnet/{codename}-{architecture}")
        );
        assert_eq!(expect("rootfs:missing/{codename}"), None);
        assert_eq!(expect("devnet/missing"), None);
        assert_eq!(expect("https://example.org/a"), None);
        assert_eq!(expect("/"), None);
    }
}
