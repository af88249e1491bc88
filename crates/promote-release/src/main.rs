//! `promote-release`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fork_worker::run_main::<promote_release::Args>()
}
