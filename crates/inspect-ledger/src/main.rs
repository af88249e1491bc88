//! `inspect-ledger`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fork_worker::run_main::<inspect_ledger::InspectLedger>()
}
