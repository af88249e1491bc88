//! Why a seed node does not start.

use std::path::PathBuf;

use fork_fs::FsError;
use fork_genesis::config::ConfigError;
use fork_genesis::timestamp::TimestampError;
use fork_ledger::binprot::BinProtError;
use fork_store::StoreError;
use fork_types::{Class, Fault, LedgerHash, Role};

/// Why a seed node does not start, or cannot read what it serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Not exactly one config for a commit.
    #[error("`{}` has {found} of `config_<commit>.json`, expected one", .directory.display())]
    Configs {
        /// The directory.
        directory: PathBuf,
        /// How many there are.
        found: &'static str,
    },
    /// Not the config of a fork with hashes only.
    #[error("`{}` is no config of hashes", .path.display())]
    Config {
        /// The config.
        path: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
    /// A genesis time in no known form.
    #[error("the genesis time in `{}` cannot be read", .path.display())]
    Timestamp {
        /// The config.
        path: PathBuf,
        /// What is wrong.
        source: TimestampError,
    },
    /// No tarball of the name that follows from the root.
    #[error("there is no `{name}` in `{}` for the {role} ledger with root {root}", .directory.display())]
    Missing {
        /// The ledger.
        role: Role,
        /// Its root by the config.
        root: LedgerHash,
        /// The file name.
        name: String,
        /// Where it should be.
        directory: PathBuf,
    },
    /// A store that has another root node than its name says.
    #[error("the {role} ledger in `{}` has the root node {found}, expected {expected}", .path.display())]
    Root {
        /// The ledger.
        role: Role,
        /// The tarball.
        path: PathBuf,
        /// Root by the config.
        expected: LedgerHash,
        /// Root node, or what is there instead.
        found: String,
    },
    /// A store that cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry of a store that cannot be decoded.
    #[error("an account of the {role} ledger cannot be decoded")]
    Account {
        /// The ledger.
        role: Role,
        /// Why not.
        source: BinProtError,
    },
    /// A key or hash of a store that makes no sense.
    #[error("an entry of the {role} ledger cannot be decoded: {found}")]
    Entry {
        /// The ledger.
        role: Role,
        /// What is wrong.
        found: String,
    },
    /// A height, slot or time that does not fit.
    #[error("the block at height {height} does not fit: its slot or time is too large")]
    Block {
        /// Height.
        height: u32,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FsError),
    /// An export could not be written.
    #[error("the export could not be written")]
    Write(#[source] std::io::Error),
    /// JSON could not be read or printed.
    #[error("the config is not JSON")]
    Json(#[from] serde_json::Error),
}

impl Fault for SeedError {
    fn class(&self) -> Class {
        match self {
            Self::Configs { .. }
            | Self::Config { .. }
            | Self::Timestamp { .. }
            | Self::Missing { .. }
            | Self::Root { .. }
            | Self::Account { .. }
            | Self::Entry { .. }
            | Self::Block { .. }
            | Self::Json(_) => Class::BadInput,
            Self::Store(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Write(_) => Class::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Configs { .. } => Some(
                "--root is the directory in which the package is installed; its files are in \
                 var/lib/coda below it"
                    .to_owned(),
            ),
            Self::Missing { .. } => Some(
                "the name follows from the root in the config: `verify-package` says which of the \
                 two is wrong"
                    .to_owned(),
            ),
            Self::Store(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Config { .. }
            | Self::Timestamp { .. }
            | Self::Root { .. }
            | Self::Account { .. }
            | Self::Entry { .. }
            | Self::Block { .. }
            | Self::Write(_)
            | Self::Json(_) => None,
        }
    }
}
