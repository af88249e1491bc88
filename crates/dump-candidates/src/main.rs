//! The `dump-candidates` binary.

fn main() -> std::process::ExitCode {
    fork_worker::run_main::<dump_candidates::Args>()
}
