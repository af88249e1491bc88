//! `verify-package`: see the library.

use std::process::ExitCode;

use verify_package::Args;

fn main() -> ExitCode {
    fork_worker::run_main::<Args>()
}
