//! The `generate-network-config` binary.

fn main() -> std::process::ExitCode {
    fork_worker::run_main::<generate_network_config::Args>()
}
