//! `pipeline-step`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fork_worker::run_main::<pipeline_step::Args>()
}
