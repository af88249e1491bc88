//! Why a document could not be imported.

use std::fmt;

use fork_ledger::json::{LedgerObjectError, StreamError};
use fork_types::{Class, Fault, IdError, Role};

use crate::fork_point::ForkPointError;
use crate::timestamp::TimestampError;

/// Why a fork config or a replayer output could not be imported.
///
/// `E` is the error of the callback that takes the accounts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError<E: std::error::Error + 'static> {
    /// The callback refused an account.
    #[error(transparent)]
    Visit(E),
    /// Not JSON, cut short, or JSON of another shape. The source has line and column.
    #[error("malformed JSON in the {document}{progress}")]
    Json {
        /// What is being read.
        document: &'static str,
        /// How far it was read.
        progress: Progress,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Reading failed.
    #[error("could not read on in the {document}{progress}")]
    Read {
        /// What is being read.
        document: &'static str,
        /// How far it was read.
        progress: Progress,
        /// What the system says.
        source: std::io::Error,
    },
    /// Much data without a complete account.
    #[error("{bytes_max} bytes of the {document} hold no complete account{progress}")]
    TooLarge {
        /// What is being read.
        document: &'static str,
        /// How far it was read.
        progress: Progress,
        /// The limit.
        bytes_max: u64,
    },
    /// A list that breaks another limit.
    #[error("the {role} ledger of the {document} could not be read")]
    List {
        /// What is being read.
        document: &'static str,
        /// Which list.
        role: Role,
        /// Which limit.
        source: StreamError<E>,
    },
    /// The daemon has no fork config yet: it answered null, or it is bootstrapping.
    #[error("the daemon has no fork config yet: {answer}")]
    NotYet {
        /// Its answer, cut.
        answer: String,
    },
    /// The daemon answered with another error.
    #[error("the document is an error of the daemon, not a fork config: {answer}")]
    DaemonError {
        /// Its answer, cut.
        answer: String,
    },
    /// A member is absent or null.
    #[error("`{path}` is missing in the {document}")]
    Missing {
        /// What is being read.
        document: &'static str,
        /// The member.
        path: &'static str,
    },
    /// A hash or seed that is not good base58check of its kind.
    #[error("`{path}` of the {document} cannot be read")]
    Id {
        /// What is being read.
        document: &'static str,
        /// The member.
        path: &'static str,
        /// What is wrong with the text.
        source: IdError,
    },
    /// A timestamp in no known form.
    #[error("`genesis.genesis_state_timestamp` of the {document} cannot be read")]
    Timestamp {
        /// What is being read.
        document: &'static str,
        /// What is wrong with it.
        source: TimestampError,
    },
    /// `proof.fork` is not a fork point.
    #[error("`proof.fork` of the {document} cannot be used")]
    ForkPoint {
        /// What is being read.
        document: &'static str,
        /// What is wrong with it.
        source: ForkPointError,
    },
    /// A ledger object that asks for accounts that are not listed, or lists none.
    #[error("the {role} ledger of the {document} is not a fork ledger")]
    LedgerObject {
        /// What is being read.
        document: &'static str,
        /// Which ledger.
        role: Role,
        /// What is wrong with it.
        source: LedgerObjectError,
    },
}

/// How far a document was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress(pub(super) Option<(Role, u32)>);

impl Progress {
    /// The list that was being read, or read last, and its complete accounts.
    #[must_use]
    pub const fn last_list(self) -> Option<(Role, u32)> {
        self.0
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some((role, accounts)) => {
                write!(f, " after {accounts} accounts of the {role} ledger")
            }
        }
    }
}

impl<E: Fault> Fault for ImportError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Visit(error) => error.class(),
            Self::List { source, .. } => source.class(),
            Self::Read { .. } => Class::Environment,
            Self::NotYet { .. } => Class::Pending,
            Self::Json { .. }
            | Self::TooLarge { .. }
            | Self::DaemonError { .. }
            | Self::Missing { .. }
            | Self::Id { .. }
            | Self::Timestamp { .. }
            | Self::ForkPoint { .. }
            | Self::LedgerObject { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Visit(error) => return error.hint(),
            Self::List { source, .. } => return source.hint(),
            Self::LedgerObject { source, .. } => return source.hint(),
            Self::Json { source, .. } if source.is_eof() => {
                "the document ends too early; it was cut while copying or dumping"
            }
            Self::NotYet { .. } => {
                "ask again once the daemon is synced and the fork block is reached"
            }
            Self::Json { .. }
            | Self::TooLarge { .. }
            | Self::Read { .. }
            | Self::DaemonError { .. }
            | Self::Missing { .. }
            | Self::Id { .. }
            | Self::Timestamp { .. }
            | Self::ForkPoint { .. } => return None,
        };
        Some(text.to_owned())
    }
}
