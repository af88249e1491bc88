//! `package-image`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fork_worker::run_main::<package_image::Args>()
}
