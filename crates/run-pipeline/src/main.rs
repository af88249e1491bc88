//! The `run-pipeline` command; called as `buildkite-agent` it is the steps' stand-in for that.

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
use run_pipeline::cli::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

fn main() -> ExitCode {
    let called_as = std::env::args_os().next().unwrap_or_default();
    let stdout = &mut io::stdout();
    let result = if Path::new(&called_as).file_name() == Some(OsStr::new(AGENT_NAME)) {
        Agent::parse().run(stdout)
    } else {
        let args = Args::parse();
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
                let _ = writeln!(io::stderr(), "error: could not watch for signals: {error}");
                return ExitCode::from(Class::Environment.exit_code());
            }
        }
        args.run(&stop, stdout, Box::new(io::stderr()))
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report(&error);
            ExitCode::from(error.class().exit_code())
        }
    }
}

fn report(error: &PipelineError) {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n\nhint: {hint}"));
    }
    let _ = writeln!(io::stderr(), "{text}");
}
