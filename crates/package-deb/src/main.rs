//! `package-deb`: see the library.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use package_deb::{Args, Commands};

fn main() -> ExitCode {
    if package_deb::program_version_wanted(std::env::args_os()) {
        let version = Args::command().render_version();
        return match std::io::stdout().write_all(version.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(fork_types::Class::Environment.exit_code()),
        };
    }
    if package_deb::is_command(std::env::args_os()) {
        return fork_worker::run_main::<Commands>();
    }
    fork_worker::run_main::<Args>()
}
