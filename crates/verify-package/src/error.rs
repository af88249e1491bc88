//! Why a run ends with another code than 0.

use std::path::PathBuf;

use fork_fs::FsError;
use fork_genesis::block::BlockError;
use fork_genesis::config::ConfigError;
use fork_genesis::network::NetworkError;
use fork_genesis::schedule::ScheduleError;
use fork_genesis::timestamp::TimestampError;
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
    /// A directory in which it is not clear what to verify.
    #[error("`{}` must have one file `*.deb`, found {found}", directory.display())]
    Directory {
        /// As given.
        directory: PathBuf,
        /// What is there.
        found: &'static str,
    },
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
    /// The time of the new genesis on the command line.
    #[error("the time of the new genesis cannot be used")]
    Timestamp(#[source] TimestampError),
    /// The schedule on the command line.
    #[error("the given schedule of the new genesis cannot be")]
    Schedule {
        /// Why.
        source: ScheduleError,
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
            Self::Block { .. } | Self::Unreadable { .. } | Self::Directory { .. } => {
                Class::BadInput
            }
            Self::Prefork { source, .. } => source.class(),
            Self::Rule { .. } | Self::Timestamp(_) | Self::Schedule { .. } => Class::Usage,
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
            Self::Timestamp(_) => Some("write it with its zone: 2026-09-03T14:00:00Z".to_owned()),
            Self::Schedule { source } => source.hint(),
            Self::Directory { .. } => Some("name the package itself: --deb FILE".to_owned()),
            Self::Block { .. } | Self::Prefork { .. } | Self::Rule { .. } => None,
        }
    }
}
