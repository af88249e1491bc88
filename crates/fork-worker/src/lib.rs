//! What the worker binaries share.
//!
//! A worker is a clap struct that implements [`Worker`]; its `main` is one line, [`run_main`]. This
//! crate parses arguments, installs the signal handler, shows progress (bars only on a terminal),
//! prints the result on stdout and errors on stderr in one place, and turns the error's class into
//! the documented exit code. [`input`] opens paths and URLs, compressed or not, and hashes what it
//! reads. [`html`], [`markdown`] and [`text`] have the little that pages and tables need, and
//! [`interpolate`] is how variables get into a pipeline file.
//!
//! With `FORKPACK_ANNOTATION=FILE` every worker adds a section of Markdown to that file when it ends,
//! however it ends; [`Context::annotate`] is for what it should say.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod annotation;
pub mod html;
pub mod input;
pub mod interpolate;
pub mod markdown;
mod print;
mod progress;
mod schedule;
pub mod selection;
mod stages;
pub mod table;
pub mod text;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, ValueEnum};
use fork_types::{Class, Fault};
use serde::Serialize;

pub use input::{Input, InputArg, InputError, parse_sha256};
pub use progress::{Progress, Unit};
pub use schedule::ScheduleArgs;
pub use stages::{Stages, peak_memory_bytes};

/// How a worker talks; the same in all of them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Reporting")]
pub struct ReportingArgs {
    /// Form of the result on stdout
    #[arg(long, value_enum, default_value_t, env = "FORKPACK_FORMAT")]
    pub format: OutputFormat,

    /// Hide progress bars (they are hidden anyway when stderr is not a terminal)
    #[arg(long, env = "FORKPACK_NO_PROGRESS", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_progress: bool,

    /// Add what the run did to this file, as Markdown
    // Hidden: it is for the pipeline, which sets the variable for all steps.
    #[arg(long, value_name = "FILE", env = annotation::VARIABLE, hide = true)]
    pub annotation: Option<OsString>,
}

/// Form of the result on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Human,
    /// One JSON object
    Json,
}

/// An output directory, the same option in every worker that writes one.
#[derive(Args, Clone, Debug)]
pub struct OutputArgs {
    /// Directory to create; it must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    pub output: std::path::PathBuf,

    /// Replace the output directory if it is not empty
    #[arg(long)]
    pub force: bool,
}

/// Any error a worker can end with.
pub type BoxedFault = Box<dyn Fault>;

/// A worker's result.
pub type WorkerResult = Result<(), WorkerError>;

/// The error a worker ends with; anything that is a [`Fault`] converts into it.
#[derive(Debug)]
pub struct WorkerError(pub BoxedFault);

impl<F: Fault> From<F> for WorkerError {
    fn from(fault: F) -> Self {
        Self(Box::new(fault))
    }
}

/// One binary of the pipeline.
pub trait Worker: Parser {
    /// Name of the binary.
    const NAME: &'static str;
    /// What an error message begins with, such as `failed to migrate`.
    const FAILED_TO: &'static str;

    /// What the error message of this very run begins with, where commands differ.
    fn failed_to(&self) -> &'static str {
        Self::FAILED_TO
    }

    /// How this run talks.
    fn reporting(&self) -> &ReportingArgs;

    /// Whether the run is told of in the pipeline's annotation, when there is one.
    fn is_annotated(&self) -> bool {
        true
    }

    /// Does the work.
    ///
    /// # Errors
    ///
    /// Ends with any [`Fault`]; its class is the exit code.
    fn run(self, context: &Context) -> WorkerResult;
}

/// What a running worker is given.
#[derive(Debug)]
pub struct Context {
    format: OutputFormat,
    bars: bool,
    annotation: Option<annotation::Annotation>,
}

impl Context {
    /// A context that shows no bars, for tests and benches.
    #[must_use]
    pub const fn quiet(format: OutputFormat) -> Self {
        Self {
            format,
            bars: false,
            annotation: None,
        }
    }

    fn new(reporting: &ReportingArgs, annotation: Option<annotation::Annotation>) -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        Self {
            format: reporting.format,
            bars: terminal && !reporting.no_progress,
            annotation,
        }
    }

    /// The form of the result.
    #[must_use]
    pub const fn format(&self) -> OutputFormat {
        self.format
    }

    /// A progress bar on stderr; `total` is unknown when 0.
    #[must_use]
    pub fn progress(&self, label: &str, total: u64, unit: Unit) -> Progress {
        Progress::new(self.bars, label, total, unit)
    }

    /// Prints the result: `human` as it is, or `json` as one object.
    ///
    /// # Errors
    ///
    /// Fails when stdout is closed.
    pub fn emit<T: Serialize + ?Sized>(&self, human: &str, json: &T) -> Result<(), OutputError> {
        if let Some(annotation) = &self.annotation {
            annotation.said(human);
        }
        match self.format {
            OutputFormat::Human => print::stdout(human.trim_end()),
            OutputFormat::Json => print::stdout(&serde_json::to_string_pretty(json)?),
        }
    }

    /// Adds a table to the pipeline's annotation, when there is one. Without any, the annotation has
    /// the result as people see it. The table is made only when it is wanted.
    pub fn annotate(&self, table: impl FnOnce() -> markdown::Table) {
        if let Some(annotation) = &self.annotation {
            annotation.add(table());
        }
    }

    /// Says something on stderr that is neither result nor error.
    pub fn note(&self, text: &str) {
        print::stderr(text);
    }
}

/// The result could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// stdout is closed or full.
    #[error("could not write the result to standard output")]
    Stdout(#[from] std::io::Error),
    /// The result is no JSON: a bug.
    #[error("could not turn the result into JSON")]
    Json(#[from] serde_json::Error),
}

impl Fault for OutputError {
    fn class(&self) -> Class {
        match self {
            Self::Stdout(_) => Class::Environment,
            Self::Json(_) => Class::Internal,
        }
    }
}

/// A command line that contradicts itself in a way clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    message: String,
    hint: Option<String>,
}

impl UsageError {
    /// A message and what to do about it.
    #[must_use]
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl Fault for UsageError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Parses the process's arguments and runs the worker: the whole of a worker's `main`.
#[must_use]
pub fn run_main<W: Worker>() -> ExitCode {
    ExitCode::from(run::<W>(std::env::args_os().collect()))
}

/// Whether the command line begins with one of a parser's subcommands, or with `help`: how a worker
/// whose usual task has no name of its own tells which of its parsers is meant.
pub fn is_command<C: clap::CommandFactory>(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let Some(first) = arguments.into_iter().nth(1) else {
        return false;
    };
    first == "help"
        || C::command()
            .get_subcommands()
            .any(|command| first == command.get_name())
}

fn run<W: Worker>(arguments: Vec<OsString>) -> u8 {
    let worker = match W::try_parse_from(arguments) {
        Ok(worker) => worker,
        Err(error) => {
            // clap prints help and version to stdout with code 0, everything else to stderr.
            let plain = error.to_string();
            if print::without_passwords(&plain) == plain {
                let _ = error.print();
            } else {
                print::stderr(plain.trim_end());
            }
            let code = u8::try_from(error.exit_code()).unwrap_or(Class::Usage.exit_code());
            if code != fork_types::fault::EXIT_DONE {
                // There are no arguments to find the file in.
                let file = std::env::var_os(annotation::VARIABLE);
                annotation::refused(file, W::NAME, &error.to_string());
            }
            return code;
        }
    };
    end_on_signals();
    let reporting = worker.reporting();
    let file = reporting.annotation.as_ref();
    let annotation = annotation::Annotation::new(file.filter(|_| worker.is_annotated()), W::NAME);
    let context = Context::new(reporting, annotation);
    let format = context.format();
    let failed_to = worker.failed_to();
    let outcome = match check_kernel() {
        Ok(()) => worker.run(&context),
        Err(error) => Err(error.into()),
    };
    if INTERRUPTED.load(Ordering::SeqCst) {
        // Its files are being removed under it, so whatever it says now is not the reason; the
        // signal's thread ends the process.
        loop {
            std::thread::park();
        }
    }
    if let Some(annotation) = &context.annotation {
        let fault = outcome.as_ref().err().map(|error| error.0.as_ref());
        annotation.end(failed_to, fault);
    }
    match outcome {
        Ok(()) => fork_types::fault::EXIT_DONE,
        Err(WorkerError(fault)) => {
            print::fault(failed_to, fault.as_ref(), format);
            fault.class().exit_code()
        }
    }
}

/// Whether the Poseidon kernel that the environment names, if it does, works here. The libraries
/// would pass over one that does not, because the results are the same; but who names one wants to
/// know.
fn check_kernel() -> Result<(), UsageError> {
    if std::env::var_os("FORKPACK_KERNEL").is_none_or(|name| name.is_empty()) {
        return Ok(());
    }
    pasta_poseidon::Kernel::check().map(drop).map_err(|error| {
        UsageError::new(
            error.to_string(),
            "unset FORKPACK_KERNEL: the fastest kernel that works here is then used",
        )
    })
}

/// Set as soon as a signal asks the process to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// On SIGINT, SIGTERM or SIGHUP, removes what is unfinished and ends the process with 130.
fn end_on_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return;
    };
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            fork_fs::remove_unfinished();
            print::stderr("interrupted; nothing half-written was left");
            std::process::exit(i32::from(Class::Interrupted.exit_code()));
        }
    });
}
