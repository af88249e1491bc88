//! The one place that prints.

use std::error::Error;
use std::io::{self, Write};

use fork_types::Fault;

use crate::{OutputError, OutputFormat};

pub(crate) fn stdout(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

pub(crate) fn stderr(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The message and every cause, each once.
pub(crate) fn chain(fault: &dyn Fault) -> Vec<String> {
    let mut lines = vec![fault.to_string()];
    let mut cause: Option<&dyn Error> = fault.source();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    lines
}

/// Prints an error: for people `error: failed to …: cause: cause`, a blank line and the hint; with
/// `--format json` one JSON object on stderr.
pub(crate) fn fault(failed_to: &str, fault: &dyn Fault, format: OutputFormat) {
    let chain = chain(fault);
    match format {
        OutputFormat::Human => {
            stderr(&format!("error: {failed_to}: {}", chain.join(": ")));
            if let Some(hint) = fault.hint() {
                stderr(&format!("\nhint: {hint}"));
            }
        }
        OutputFormat::Json => {
            let object = serde_json::json!({
                "error": {
                    "message": format!("{failed_to}: {}", chain[0]),
                    "causes": chain[1..],
                    "hint": fault.hint(),
                    "class": fault.class().name(),
                    "exit_code": fault.class().exit_code(),
                }
            });
            stderr(&object.to_string());
        }
    }
}
