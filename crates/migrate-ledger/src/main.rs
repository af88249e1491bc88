//! The `migrate-ledger` binary.

fn main() -> std::process::ExitCode {
    fork_worker::run_main::<migrate_ledger::Args>()
}
