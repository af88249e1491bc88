//! The `run-pipeline` command; called as `buildkite-agent` it is the steps' stand-in for that.
//!
//! It is no `fork-worker` worker: those end at once on a signal, while this one has steps to stop
//! first.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use fork_types::{Class, Fault};
use run_pipeline::PipelineError;
use run_pipeline::agent::{AGENT_NAME, Agent};
use run_pipeline::cli::{Args, Format};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

fn main() -> ExitCode {
    let called_as = std::env::args_os().next().unwrap_or_default();
    let stdout = &mut io::stdout();
    if Path::new(&called_as).file_name() == Some(OsStr::new(AGENT_NAME)) {
        return finish("", Format::Human, Agent::parse().run(stdout));
    }
    let args = Args::parse();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            let _ = writeln!(io::stderr(), "error: could not watch for signals: {error}");
            return ExitCode::from(Class::Environment.exit_code());
        }
    }
    let format = args.format;
    let result = args.run(&stop, stdout, Box::new(io::stderr()));
    finish("failed to run the pipeline: ", format, result)
}

/// The exit code, after printing the error in the form all commands share.
fn finish(failed_to: &str, format: Format, result: Result<u8, PipelineError>) -> ExitCode {
    let error = match result {
        Ok(code) => return ExitCode::from(code),
        Err(error) => error,
    };
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let message = format!("{failed_to}{error}");
    let text = match format {
        Format::Human => {
            let all: Vec<String> = std::iter::once(message).chain(causes).collect();
            let hint = error.hint();
            let hint = hint.map_or_else(String::new, |hint| format!("\n\nhint: {hint}"));
            format!("error: {}{hint}", all.join(": "))
        }
        Format::Json => serde_json::json!({
            "error": {
                "message": message,
                "causes": causes,
                "hint": error.hint(),
                "class": error.class().name(),
                "exit_code": error.class().exit_code(),
            }
        })
        .to_string(),
    };
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(error.class().exit_code())
}
