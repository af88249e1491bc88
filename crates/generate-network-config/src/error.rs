//! Why no config was written.

use fork_fs::FsError;
use fork_genesis::block::BlockError;
use fork_genesis::candidate::ContradictionError;
use fork_genesis::config::ConfigError;
use fork_genesis::network::NetworkError;
use fork_genesis::schedule::ScheduleError;
use fork_genesis::timestamp::TimestampError;
use fork_types::{Class, Fault, Role};
use fork_worker::InputError;

/// Two inputs that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {found} in {found_in}, expected {expected} ({expected_by})")]
pub struct ConfigProblem {
    /// What was compared.
    pub what: String,
    /// The value it should have.
    pub expected: String,
    /// Who says so.
    pub expected_by: String,
    /// The other value.
    pub found: String,
    /// Where it is.
    pub found_in: String,
}

/// Why `generate-network-config` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// An input could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
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
    /// The old chain's start is not known.
    #[error("prefork config `{name}` has no genesis.genesis_state_timestamp")]
    NoGenesisTime {
        /// Path or URL.
        name: String,
    },
    /// `--genesis-timestamp` is no time.
    #[error("--genesis-timestamp")]
    Timestamp(#[source] TimestampError),
    /// Slot and time of the new genesis do not follow.
    #[error("the schedule of the new genesis")]
    Schedule(#[from] ScheduleError),
    /// The candidate's block cannot be read.
    #[error("block of the candidate")]
    Block(#[source] Box<BlockError>),
    /// A role is missing or given twice.
    #[error("{count} of the --ledgers directories hold the {role} ledger, expected one")]
    Roles {
        /// The role.
        role: Role,
        /// How many have it.
        count: usize,
    },
    /// Candidate, ledgers and configs contradict each other.
    #[error(
        "{} contradiction(s): {}",
        .0.len(),
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Contradictions(Vec<ConfigProblem>),
    /// The same, found by the candidate's own comparisons.
    #[error(transparent)]
    Contradiction(#[from] ContradictionError),
    /// A digest in a ledger document is no digest, or the config is no JSON: a bug.
    #[error("the config could not be put together: {what}")]
    Internal {
        /// What.
        what: String,
    },
}

impl Fault for GenerateError {
    fn class(&self) -> Class {
        match self {
            Self::Input(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Network { source, .. } => source.class(),
            Self::Prefork { source, .. } => source.class(),
            Self::Schedule(error) => error.class(),
            Self::Block(error) => error.class(),
            Self::Contradiction(error) => error.class(),
            Self::NoGenesisTime { .. } => Class::BadInput,
            Self::Roles { .. } | Self::Timestamp(_) => Class::Usage,
            Self::Contradictions(_) => Class::Wrong,
            Self::Internal { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Input(error) => return error.hint(),
            Self::File(error) => return error.hint(),
            Self::Network { source, .. } => return source.hint(),
            Self::Prefork { source, .. } => return source.hint(),
            Self::Block(error) => return error.hint(),
            Self::Contradiction(error) => return error.hint(),
            Self::Schedule(error) => {
                return error.hint().or_else(|| {
                    Some(
                        "pass --genesis-timestamp, or --slot-chain-end with --genesis-slot-delta; \
                         a time is never guessed"
                            .to_owned(),
                    )
                });
            }
            Self::NoGenesisTime { .. } => {
                "pass the config that the old chain's daemons run with, not an override file"
            }
            Self::Roles { .. } => {
                "pass the output directories of migrate-ledger for genesis, staking and next"
            }
            Self::Contradictions(_) => {
                "make the ledgers again from this candidate, all with one rule and the fork slot \
                 that the schedule gives"
            }
            Self::Timestamp(_) => "write it like 2026-09-03T18:00:00Z",
            Self::Internal { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
