//! The `materialize-ledger` binary.

fn main() -> std::process::ExitCode {
    fork_worker::run_main::<materialize_ledger::Args>()
}
