//! Why nothing was imported.

use fork_fs::FsError;
use fork_genesis::block::BlockError;
use fork_genesis::candidate::ContradictionError;
use fork_genesis::config::ConfigError;
use fork_genesis::import::ImportError;
use fork_genesis::network::NetworkError;
use fork_genesis::schedule::ScheduleError;
use fork_ledger::hash::HashError;
use fork_ledger::json::{ListedAccountError, StreamError};
use fork_ledger::merkle::MerkleError;
use fork_types::{Class, Fault, Role};
use fork_worker::InputError;

/// What stopped the writing of an account list.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// An account that cannot be read.
    #[error(transparent)]
    Account(#[from] ListedAccountError),
    /// An account that cannot be hashed.
    #[error("an account from {first} on cannot be hashed")]
    Hash {
        /// Leaf index of the first account of the batch.
        first: u32,
        /// Why not.
        source: HashError,
    },
    /// The tree is too small.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// The list could not be written.
    #[error(transparent)]
    File(#[from] FsError),
    /// A list without accounts.
    #[error("the ledger has no accounts")]
    Empty,
    /// More accounts than a ledger can have.
    #[error("the ledger has more than 2^32 - 1 accounts")]
    TooManyAccounts,
}

impl Fault for SinkError {
    fn class(&self) -> Class {
        match self {
            Self::Account(error) => error.class(),
            Self::Hash { source, .. } => source.class(),
            Self::Merkle(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Empty | Self::TooManyAccounts => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Account(error) => error.hint(),
            Self::Hash { source, .. } => source.hint(),
            Self::Merkle(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Empty => Some(
                "an empty ledger cannot be forked from; dump it again when the daemon is in sync"
                    .to_owned(),
            ),
            Self::TooManyAccounts => None,
        }
    }
}

/// A [`SinkError`] and the ledger it is about.
#[derive(Debug, thiserror::Error)]
#[error("{role} ledger")]
pub struct LedgerError {
    /// Which ledger.
    pub role: Role,
    /// What is wrong.
    pub source: SinkError,
}

impl Fault for LedgerError {
    fn class(&self) -> Class {
        self.source.class()
    }

    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

/// Why `dump-candidates` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// An input could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// A fork config or replayer output that cannot be used.
    #[error("`{name}`")]
    Import {
        /// Path or URL.
        name: String,
        /// What is wrong.
        source: Box<ImportError<LedgerError>>,
    },
    /// An account list that cannot be used.
    #[error("`{name}`")]
    List {
        /// Path or URL.
        name: String,
        /// What is wrong.
        source: Box<StreamError<LedgerError>>,
    },
    /// A block that cannot be used.
    #[error("block `{name}`")]
    Block {
        /// Path or URL.
        name: String,
        /// What is wrong.
        source: Box<BlockError>,
    },
    /// A network file that cannot be used.
    #[error("network `{name}`")]
    Network {
        /// File or name.
        name: String,
        /// What is wrong.
        source: NetworkError,
    },
    /// A config that cannot be used.
    #[error("prefork config `{name}`")]
    Prefork {
        /// Path or URL.
        name: String,
        /// What is wrong.
        source: ConfigError,
    },
    /// The prefork config's stop slots contradict themselves.
    #[error("the stop slots of the prefork config cannot be used")]
    Schedule(#[from] ScheduleError),
    /// A replayer output names no height.
    #[error("the replayer output does not say the height of the fork block")]
    NoHeight,
    /// Nothing to import from.
    #[error("none of --fork-config, --replayer-output and --staged-ledger is given")]
    NoSource,
    /// The inputs contradict each other.
    #[error(transparent)]
    Contradiction(#[from] ContradictionError),
}

impl Fault for DumpError {
    fn class(&self) -> Class {
        match self {
            Self::Input(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Import { source, .. } => source.class(),
            Self::List { source, .. } => source.class(),
            Self::Block { source, .. } => source.class(),
            Self::Network { source, .. } => source.class(),
            Self::Prefork { source, .. } => source.class(),
            Self::Schedule(error) => error.class(),
            Self::Contradiction(error) => error.class(),
            Self::NoHeight | Self::NoSource => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Input(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Import { source, .. } => source.hint(),
            Self::List { source, .. } => source.hint(),
            Self::Block { source, .. } => source.hint(),
            Self::Network { source, .. } => source.hint(),
            Self::Prefork { source, .. } => source.hint(),
            Self::Schedule(error) => error.hint(),
            Self::Contradiction(error) => error.hint(),
            Self::NoSource => None,
            Self::NoHeight => Some(
                "give the fork block with --block, or its height with --blockchain-length"
                    .to_owned(),
            ),
        }
    }
}
