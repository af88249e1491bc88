//! Why a run ends with another code than 0.

use fork_fs::FsError;
use fork_genesis::block::BlockError;
use fork_genesis::config::ConfigError;
use fork_genesis::network::NetworkError;
use fork_ledger::migrate::RuleError;
use fork_types::{Class, Fault};
use fork_worker::InputError;

/// What stopped a verification, or what it found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A file of the reference, or the output.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// An input of the command line.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The network.
    #[error("network `{name}` cannot be used")]
    Network {
        /// As given.
        name: String,
        /// What is wrong.
        source: NetworkError,
    },
    /// A block that was named on the command line and cannot be read.
    #[error("block `{name}` cannot be used")]
    Block {
        /// As given.
        name: String,
        /// What is wrong.
        source: Box<BlockError>,
    },
    /// The config of the chain before the fork.
    #[error("prefork config `{name}` cannot be used")]
    Prefork {
        /// As given.
        name: String,
        /// What is wrong.
        source: ConfigError,
    },
    /// No migration rule follows from eras, variant and slot.
    #[error("no migration rule can be chosen")]
    Rule {
        /// Why.
        source: RuleError,
    },
    /// Checks failed.
    #[error("{failed} of {total} checks failed: {ids}")]
    Failed {
        /// How many.
        failed: usize,
        /// Of how many.
        total: usize,
        /// Which.
        ids: String,
    },
    /// It is no package.
    #[error("the package cannot be read: {problem}")]
    Unreadable {
        /// Why.
        problem: String,
    },
}

impl Fault for VerifyError {
    fn class(&self) -> Class {
        match self {
            Self::Fs(error) => error.class(),
            Self::Input(error) => error.class(),
            Self::Network { source, .. } => source.class(),
            Self::Block { .. } | Self::Unreadable { .. } => Class::BadInput,
            Self::Prefork { source, .. } => source.class(),
            Self::Rule { .. } => Class::Usage,
            Self::Failed { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(error) => error.hint(),
            Self::Input(error) => error.hint(),
            Self::Network { source, .. } => source.hint(),
            Self::Failed { .. } | Self::Unreadable { .. } => Some(
                "report.html and report.json in the output directory have every check with what was expected and found"
                    .to_owned(),
            ),
            Self::Block { .. } | Self::Prefork { .. } | Self::Rule { .. } => None,
        }
    }
}
