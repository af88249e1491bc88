//! `package-image`: see the library.

use std::process::ExitCode;

use package_image::{Args, Commands};

fn main() -> ExitCode {
    if package_image::is_command(std::env::args_os()) {
        return fork_worker::run_main::<Commands>();
    }
    fork_worker::run_main::<Args>()
}
