//! Why a capture ended otherwise than well.

use fork_daemon::DaemonError;
use fork_fs::FsError;
use fork_genesis::network::NetworkError;
use fork_types::{Class, Fault};

use crate::catalog::CatalogError;

/// Most problems repeated in the message; the summary on stdout has all of them.
const SHOWN_MAX: usize = 3;

/// Why `dump-candidates capture` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// A file of the capture itself.
    #[error(transparent)]
    File(#[from] FsError),
    /// The store.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A daemon, before anything was captured.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// A network file that cannot be used.
    #[error("network `{name}`")]
    Network {
        /// File or name.
        name: String,
        /// What is wrong.
        source: NetworkError,
    },
    /// The options contradict themselves.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// Another capture uses the working directory.
    #[error("another capture is running in `{path}`")]
    Running {
        /// The working directory.
        path: String,
    },
    /// The metrics cannot be served.
    #[error("metrics cannot be served at {address}")]
    Metrics {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Not everything that was offered is stored, or something should wake somebody.
    #[error("{} problem(s): {}", .problems.len(), listed(.problems))]
    Problems {
        /// All of them, worst first.
        problems: Vec<Problem>,
    },
}

/// Something that is not as it should be at the end of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Who has to act.
    pub class: Class,
    /// What it is.
    pub text: String,
}

impl Problem {
    /// The order in which problems decide the exit code: a contradiction before what may pass.
    pub(crate) const fn rank(&self) -> u8 {
        match self.class {
            Class::Internal => 0,
            Class::Wrong => 1,
            Class::Environment => 2,
            Class::BadInput => 3,
            Class::Pending => 4,
            Class::Usage | Class::Interrupted => 5,
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    let mut text: Vec<&str> = problems
        .iter()
        .take(SHOWN_MAX)
        .map(|problem| problem.text.as_str())
        .collect();
    if problems.len() > SHOWN_MAX {
        text.push("and more, see above");
    }
    text.join("; ")
}

impl Fault for CaptureError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Catalog(error) => error.class(),
            Self::Daemon(error) => error.class(),
            Self::Network { source, .. } => source.class(),
            Self::Usage { .. } => Class::Usage,
            Self::Running { .. } | Self::Metrics { .. } => Class::Environment,
            Self::Problems { problems } => problems
                .first()
                .map_or(Class::Internal, |problem| problem.class),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Catalog(error) => return error.hint(),
            Self::Daemon(error) => return error.hint(),
            Self::Network { source, .. } => return source.hint(),
            Self::Usage { hint, .. } => hint,
            Self::Running { .. } => {
                "wait for it to end, or give this one another --work-dir; both may use one store"
            }
            Self::Metrics { .. } => "choose another --metrics address",
            Self::Problems { .. } => match self.class() {
                Class::Wrong => {
                    "nothing wrong was stored. `dump-candidates list` shows what was refused and \
                     who disagrees; docs/runbook-planned-fork.md says what each alarm means"
                }
                Class::Pending => "run the same command again later",
                _ => {
                    "what is stored stays, and what arrived waits in the working directory; run \
                     the same command again"
                }
            },
        };
        Some(hint.to_owned())
    }
}
