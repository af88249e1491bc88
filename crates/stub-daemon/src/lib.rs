//! Scripted daemons: Mina's GraphQL subset over real HTTP, for tests and rehearsals.
//!
//! A [`Scenario`] says which blocks there are on which branches, which daemon follows which branch
//! when, and what goes wrong. [`World::build`] makes it real: ledgers with real roots, blocks whose
//! state hash can be recomputed, a network file. A [`StubDaemon`] serves one daemon of it on a socket
//! at the time a [`Clock`] says it is. Ledgers are printed once into files; answers are copied from
//! there, byte for byte under the control of the [`Faults`].
//!
//! ```no_run
//! use std::sync::Arc;
//! use stub_daemon::{Clock, Scenario, StubDaemon, World};
//!
//! # fn main() -> Result<(), stub_daemon::StubError> {
//! let scenario = Scenario::from_toml(include_str!("../scenarios/planned-fork.toml"))?;
//! let world = Arc::new(World::build(&scenario, "target".as_ref())?);
//! let clock = Clock::manual(world.start_slot());
//! let daemon = StubDaemon::start(Arc::clone(&world), 0, clock.clone())?;
//! // Ask `daemon.url()` …
//! clock.advance();
//! daemon.kill();
//! daemon.restart();
//! assert!(daemon.concurrent_heavy_max() <= 1);
//! # Ok(()) }
//! ```
//!
//! A [`SeedDaemon`] is another thing: it has no scenario but an installed package, loads the ledgers
//! that the package's config names from the disk, sleeps until the genesis time and serves them.
//!
//! Nothing here is a daemon: there are no peers, no transactions and no proofs, and the accounts of a
//! scenario are those of `fork-testkit`. `docs/stub-daemon.md` describes the scenario file and every fault.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod args;
mod body;
mod clock;
mod error;
mod graphql;
pub mod scenario;
pub mod seed;
mod seed_worker;
mod server;
mod worker;
mod world;

pub use args::{Args, Command, ExportArgs, PackageArgs, SeedArgs};
pub use clock::Clock;
pub use error::StubError;
pub use scenario::{Action, Fault, FaultLimits, Faults, Operation, Scenario};
pub use seed::{Seed, SeedError, SeedFault, SeedSpec};
pub use server::{HookEvent, RequestLog, SeedDaemon, SeedTime, StubDaemon};
pub use world::{View, World, WorldBlock};
