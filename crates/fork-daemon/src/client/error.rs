//! Every way a daemon can fail to answer.

use std::time::Duration;

use fork_types::{Class, Fault};

/// Why a daemon gave no answer that can be used. Addresses in it are without credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The system gives no threads.
    #[error("the network threads could not be started")]
    Runtime(#[source] std::io::Error),
    /// TLS could not be set up.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
    /// No connection, or it ended before the header of an answer.
    #[error("`{daemon}` could not be asked for {field}")]
    Connection {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// Why not.
        source: reqwest::Error,
    },
    /// Nothing came for too long.
    #[error("`{daemon}` was silent for {} s while it was asked for {field}", .limit.as_secs_f64())]
    Timeout {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// The deadline that passed.
        limit: Duration,
    },
    /// The connection ended within the answer.
    #[error(
        "the answer of `{daemon}` to {field} was cut after {received} bytes{}",
        of_promised(*.promised)
    )]
    Cut {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// Bytes of the body that came.
        received: u64,
        /// Bytes the header promised.
        promised: Option<u64>,
        /// What the connection said.
        source: reqwest::Error,
    },
    /// An HTTP status that is no success.
    #[error("`{daemon}` answered HTTP {status} to {field}")]
    Status {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// The status.
        status: u16,
        /// Seconds after which it wants to be asked again.
        retry_after_s: Option<u64>,
    },
    /// More bytes than any good answer has.
    #[error("the answer of `{daemon}` to {field} has more than {bytes_max} bytes")]
    TooLarge {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// The limit.
        bytes_max: u64,
    },
    /// The body is no JSON, or not the shape the schema has.
    #[error("the answer of `{daemon}` to {field} cannot be read ({found})")]
    Json {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// How the body begins.
        found: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A value that cannot be.
    #[error("`{daemon}` answered {field} with {member} {found}, expected {expected}")]
    Value {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// The member.
        member: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The daemon says that it is not in sync yet.
    #[error("`{daemon}` is not ready to answer {field}: {message}")]
    NotReady {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// What it says.
        message: String,
    },
    /// The answer is null although the schema says it never is.
    #[error("`{daemon}` answered {field} with null")]
    Null {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
    },
    /// GraphQL errors, or an error inside data.
    #[error("`{daemon}` refused {field}: {message}")]
    Refused {
        /// The daemon.
        daemon: String,
        /// What was asked for.
        field: &'static str,
        /// What it says.
        message: String,
    },
    /// What came could not be kept.
    #[error("the answer could not be written to the disk")]
    Write(#[source] std::io::Error),
}

fn of_promised(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(" of {bytes}"))
}

impl Fault for DaemonError {
    fn class(&self) -> Class {
        match self {
            Self::Runtime(_)
            | Self::Client(_)
            | Self::Connection { .. }
            | Self::Timeout { .. }
            | Self::Cut { .. }
            | Self::Write(_) => Class::Environment,
            Self::Status { status, .. } => match status {
                408 | 425 | 429 | 500..=599 => Class::Environment,
                _ => Class::BadInput,
            },
            Self::NotReady { .. } | Self::Null { .. } => Class::Pending,
            Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Value { .. }
            | Self::Refused { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Connection { .. } => {
                "is the daemon running, and is its REST port (3085) open to this machine? Only the \
                 machine itself may ask unless the daemon was started with --insecure-rest-server"
            }
            Self::Timeout { .. } => {
                "a daemon under load takes minutes for an export: raise --export-timeout, or ask \
                 another daemon"
            }
            Self::Status { status: 413, .. } => {
                "a proxy before the daemon limits the size of answers; ask the daemon's own port"
            }
            Self::Status { status: 404, .. } => "the path of the address should be /graphql",
            Self::Client(_) => "install the system's CA certificates (package ca-certificates)",
            Self::Refused { .. } => {
                "the block may have left the daemon's frontier, or the daemon is of another version"
            }
            Self::NotReady { .. } | Self::Null { .. } => {
                "wait until `mina client status` says Synced"
            }
            Self::Write(_) => "free some space in --work-dir",
            Self::Runtime(_)
            | Self::Cut { .. }
            | Self::Status { .. }
            | Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Value { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
