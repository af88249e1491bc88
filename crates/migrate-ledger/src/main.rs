//! The `migrate-ledger` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    if migrate_ledger::is_command(std::env::args_os()) {
        return fork_worker::run_main::<migrate_ledger::Commands>();
    }
    fork_worker::run_main::<migrate_ledger::Args>()
}
