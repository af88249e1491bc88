//! The `stub-daemon` binary.

fn main() -> std::process::ExitCode {
    fork_worker::run_main::<stub_daemon::Args>()
}
