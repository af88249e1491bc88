//! Why a stub daemon could not be started.

use std::net::SocketAddr;

use fork_fs::FsError;
use fork_genesis::network::NetworkError;
use fork_genesis::schedule::ScheduleError;
use fork_ledger::hash::HashError;
use fork_ledger::merkle::MerkleError;
use fork_testkit::fixture::FixtureError;
use fork_types::{Class, Fault};

use crate::seed::SeedError;

/// Why a stub daemon could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StubError {
    /// Not TOML, or not of the shape of a scenario.
    #[error("the scenario is not valid")]
    Toml {
        /// What is wrong, with line and column.
        source: toml::de::Error,
    },
    /// Parts of the scenario that do not fit each other.
    #[error("{place} of the scenario is {found}, expected {expected}")]
    Scenario {
        /// The member.
        place: String,
        /// What it says.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// No daemon of that name.
    #[error("the scenario has no daemon `{name}`")]
    UnknownDaemon {
        /// As given.
        name: String,
    },
    /// A fault script that TOML cannot express.
    #[error("the fault script cannot be printed")]
    Print {
        /// Why not.
        source: toml::ser::Error,
    },
    /// The network description that follows from the scenario is not valid.
    #[error("the scenario gives no valid network")]
    Network(#[from] NetworkError),
    /// The stop slots give no schedule.
    #[error("the stop slots of the scenario give no schedule")]
    Schedule(#[from] ScheduleError),
    /// The accounts could not be made up.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// An account that cannot be hashed: a bug.
    #[error("a made-up account cannot be hashed")]
    Hash(#[from] HashError),
    /// More accounts than a ledger has room for.
    #[error("the made-up ledger has no root")]
    Merkle(#[from] MerkleError),
    /// A cache file could not be written or read.
    #[error(transparent)]
    File(#[from] FsError),
    /// A slot or time of a block does not fit.
    #[error("block {height} in slot {slot} does not fit: its slot or time is too large")]
    Block {
        /// Height.
        height: u32,
        /// Slot since the hard fork.
        slot: u32,
    },
    /// The address cannot be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A seed node that cannot start.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// A document could not be printed: a bug.
    #[error("a document cannot be printed")]
    Json(#[from] serde_json::Error),
}

impl StubError {
    pub(crate) fn scenario(
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Scenario {
            place: place.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

impl Fault for StubError {
    fn class(&self) -> Class {
        match self {
            Self::Toml { .. } | Self::Scenario { .. } | Self::Print { .. } | Self::Block { .. } => {
                Class::BadInput
            }
            Self::UnknownDaemon { .. } => Class::Usage,
            Self::Network(error) => error.class(),
            Self::Schedule(error) => error.class(),
            Self::Fixture(error) => error.class(),
            Self::Merkle(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Seed(error) => error.class(),
            Self::Listen { .. } => Class::Environment,
            Self::Hash(_) | Self::Json(_) => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Toml { .. } | Self::Scenario { .. } => Some(
                "docs/stub-daemon.md describes every member; scenarios/planned-fork.toml is a whole \
                 scenario"
                    .to_owned(),
            ),
            Self::UnknownDaemon { .. } => {
                Some("name one of the scenario's `[[daemon]]` tables".to_owned())
            }
            Self::Listen { .. } => {
                Some("choose another `listen` address; port 0 takes any free one".to_owned())
            }
            Self::Network(error) => error.hint(),
            Self::Schedule(error) => error.hint(),
            Self::Fixture(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Seed(error) => error.hint(),
            Self::Print { .. }
            | Self::Hash(_)
            | Self::Merkle(_)
            | Self::Block { .. }
            | Self::Json(_) => None,
        }
    }
}
