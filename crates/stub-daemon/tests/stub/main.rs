//! Daemons on real sockets, asked by a client that sees every byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod client;
mod command;
mod control;
mod faults;
mod ledgers;

use std::sync::{Arc, LazyLock};

use stub_daemon::{Clock, Fault, Faults, Scenario, StubDaemon, World};

/// The shipped rehearsal without its faults, and with small ledgers.
fn scenario_text() -> String {
    let text = include_str!("../../scenarios/planned-fork.toml");
    let faults = text.find("# The first attempt").unwrap();
    text[..faults].replace("accounts = 1000", "accounts = 60")
}

fn build(text: &str) -> Arc<World> {
    let scenario = Scenario::from_toml(text).unwrap();
    Arc::new(World::build(&scenario, tempfile::tempdir().unwrap().path()).unwrap())
}

/// One world for all tests: making it is most of the work.
static WORLD: LazyLock<Arc<World>> = LazyLock::new(|| build(&scenario_text()));

/// Daemon `a` in the first slot without transactions, with these faults.
fn daemon(faults: &str) -> StubDaemon {
    let daemon = StubDaemon::start(Arc::clone(&WORLD), 0, Clock::manual(393_801)).unwrap();
    if !faults.is_empty() {
        daemon.set_faults(parse_faults(faults));
    }
    daemon
}

fn parse_faults(text: &str) -> Faults {
    #[derive(serde::Deserialize)]
    struct Script {
        fault: Vec<Fault>,
    }
    let script: Script = toml::from_str(text).unwrap();
    Faults(script.fault)
}
