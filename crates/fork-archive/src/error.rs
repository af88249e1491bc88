//! What can go wrong with an archive.

use std::io;

use fork_types::{Class, Era, Fault, StateHash};

use crate::branch::BranchBreak;
use crate::uri::UriError;

/// Why an archive did not give what was asked of it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ArchiveError(Box<ArchiveErrorKind>);

impl ArchiveError {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ArchiveErrorKind {
        &self.0
    }
}

impl<E: Into<ArchiveErrorKind>> From<E> for ArchiveError {
    fn from(kind: E) -> Self {
        Self(Box::new(kind.into()))
    }
}

/// The kinds of [`ArchiveError`]. No message has a password in it, or the URI it came in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveErrorKind {
    /// The URI is of no use.
    #[error("the archive's URI cannot be used")]
    Uri(#[from] UriError),
    /// Nobody answers there.
    #[error("could not connect to {server}")]
    Connect {
        /// The server.
        server: String,
        /// Why not.
        source: io::Error,
    },
    /// The server has no encryption.
    #[error("{server} does not offer TLS, which sslmode={mode} asks for")]
    NoTls {
        /// The server.
        server: String,
        /// What was asked for.
        mode: &'static str,
    },
    /// The server is not who it should be, or encrypts in no way that is known here.
    #[error("no safe connection to {server}")]
    Tls {
        /// The server.
        server: String,
        /// Why not.
        source: io::Error,
    },
    /// The connection ended in the middle.
    #[error("the connection to {server} was lost")]
    Lost {
        /// The server.
        server: String,
        /// How.
        source: io::Error,
    },
    /// What answers does not speak the protocol, or not this part of it.
    #[error("{server} sent {what}, which is no answer to what it was asked")]
    Protocol {
        /// The server.
        server: String,
        /// What came.
        what: String,
    },
    /// More of something than there can be.
    #[error("there are more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        max: u64,
    },
    /// A message beyond any limit.
    #[error("{server} sent a message of {bytes} bytes, at most {max} are read")]
    MessageTooLong {
        /// The server.
        server: String,
        /// Its length.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The server wants proof of identity in a way that is not spoken here.
    #[error("{server} asks for {method}, which is not supported")]
    Authentication {
        /// The server.
        server: String,
        /// What it asks for.
        method: &'static str,
    },
    /// The server asks for a password and none was given.
    #[error("{server} asks for a password and none was given")]
    NoPassword {
        /// The server.
        server: String,
    },
    /// The server knows no such user, or the password is another.
    #[error("{server} refused the user: {message} (SQLSTATE {code})")]
    AccessDenied {
        /// The server.
        server: String,
        /// The five characters of PostgreSQL's error code.
        code: String,
        /// Its message.
        message: String,
    },
    /// The server refused a statement.
    #[error("{server} refused to {what}: {message} (SQLSTATE {code})")]
    Refused {
        /// The server.
        server: String,
        /// What it was asked to do.
        what: &'static str,
        /// The five characters of PostgreSQL's error code.
        code: String,
        /// Its message.
        message: String,
    },
    /// No layout of an archive that is known here.
    #[error("the database {database} is {found}")]
    Schema {
        /// The database.
        database: String,
        /// What it looks like, such as `an archive of the first mainnet`.
        found: &'static str,
    },
    /// There is no block at all.
    #[error("the archive {database} has no blocks")]
    Empty {
        /// The database.
        database: String,
    },
    /// The block is not there.
    #[error("the archive has no block {wanted}")]
    NoBlock {
        /// How it was asked for.
        wanted: String,
    },
    /// Several blocks have the height.
    #[error(
        "{count} blocks have the height {height}, and not one of them alone is canonical: {hashes}"
    )]
    SeveralBlocks {
        /// The height.
        height: u32,
        /// How many.
        count: usize,
        /// Their state hashes.
        hashes: String,
    },
    /// The block is of no era that is known here.
    #[error("block {state_hash} has transaction version {version}")]
    ProtocolVersion {
        /// The block.
        state_hash: StateHash,
        /// The version.
        version: u32,
    },
    /// Blocks of an era in tables too narrow for it.
    #[error(
        "block {state_hash} is of era {era}, whose zkApp states have {needed} elements, and the tables have {width}"
    )]
    Narrow {
        /// The block.
        state_hash: StateHash,
        /// Its era.
        era: Era,
        /// Elements of that era.
        needed: usize,
        /// Elements of the tables.
        width: usize,
    },
    /// The way from the block to its genesis is interrupted.
    #[error("the branch of block {state_hash} does not reach a genesis: {stopped}")]
    Branch {
        /// The block asked for.
        state_hash: StateHash,
        /// Where it ends, and how.
        stopped: BranchBreak,
    },
    /// A value that cannot be what the column is for.
    #[error("{table}.{column} of {row} is {problem}")]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Which row.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A row that is there twice.
    #[error("{table} has {row} more than once")]
    Doubled {
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
    },
    /// A row points to one that is not there.
    #[error("{table}.{column} of {row} names row {id} of {target}, which does not exist")]
    Dangling {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Which row.
        row: String,
        /// The row that is missing.
        id: String,
        /// The table it should be in.
        target: &'static str,
    },
}

impl Fault for ArchiveError {
    fn class(&self) -> Class {
        match self.kind() {
            ArchiveErrorKind::Uri(error) => error.class(),
            ArchiveErrorKind::Connect { .. }
            | ArchiveErrorKind::NoTls { .. }
            | ArchiveErrorKind::Tls { .. }
            | ArchiveErrorKind::Lost { .. }
            | ArchiveErrorKind::AccessDenied { .. } => Class::Environment,
            ArchiveErrorKind::NoPassword { .. } => Class::Usage,
            ArchiveErrorKind::Refused { code, .. } => match code.get(..2) {
                // Connections, resources, limits, an operator's doing, the system; and missing rights.
                Some("08" | "53" | "54" | "57" | "58" | "25" | "40") => Class::Environment,
                Some("42") if code == "42501" => Class::Environment,
                // There is no such database.
                Some("3D") => Class::Usage,
                _ => Class::BadInput,
            },
            ArchiveErrorKind::Protocol { .. }
            | ArchiveErrorKind::MessageTooLong { .. }
            | ArchiveErrorKind::TooMany { .. }
            | ArchiveErrorKind::Authentication { .. }
            | ArchiveErrorKind::Schema { .. }
            | ArchiveErrorKind::ProtocolVersion { .. }
            | ArchiveErrorKind::Narrow { .. }
            | ArchiveErrorKind::Value { .. } => Class::BadInput,
            ArchiveErrorKind::SeveralBlocks { .. } => Class::Usage,
            ArchiveErrorKind::Empty { .. } | ArchiveErrorKind::NoBlock { .. } => Class::Pending,
            ArchiveErrorKind::Branch { stopped, .. } => stopped.class(),
            ArchiveErrorKind::Doubled { .. } | ArchiveErrorKind::Dangling { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            ArchiveErrorKind::Uri(error) => return error.hint(),
            ArchiveErrorKind::Branch { stopped, .. } => return Some(stopped.hint().to_owned()),
            ArchiveErrorKind::Connect { .. } => {
                "is the server running, and may this machine reach it? A socket is named by its \
                 directory: postgresql:///DATABASE?host=/DIRECTORY"
            }
            ArchiveErrorKind::NoTls { .. } => {
                "set up TLS on the server, or connect through a socket or a tunnel"
            }
            ArchiveErrorKind::Tls { .. } => {
                "sslrootcert must have the certificate of the authority that signed the server's, \
                 and with sslmode=verify-full the server's must be for the host in the URI"
            }
            ArchiveErrorKind::Lost { .. } => "nothing was written; run the same command again",
            ArchiveErrorKind::NoPassword { .. } | ArchiveErrorKind::AccessDenied { .. } => {
                "the password is read from --password-file, FORKPACK_ARCHIVE_PASSWORD or the URI"
            }
            ArchiveErrorKind::Refused { code, .. } if code == "57014" => {
                "the statement took longer than --statement-timeout; give it more, or look for the \
                 indexes that docs/archive.md names"
            }
            ArchiveErrorKind::Refused { code, .. } if code == "42501" => {
                "the user needs SELECT on the archive's tables, nothing more"
            }
            ArchiveErrorKind::Refused { code, .. } if code == "3D000" => {
                "the URI ends with the name of the database; `psql -l` lists those that are there"
            }
            ArchiveErrorKind::Schema { .. } => {
                "the layouts of Berkeley and Mesa are read; upgrade the schema, or name another database"
            }
            ArchiveErrorKind::Empty { .. } | ArchiveErrorKind::NoBlock { .. } => {
                "has the archive caught up? Restore a newer dump, or import the missing blocks"
            }
            ArchiveErrorKind::SeveralBlocks { .. } => "name one of them with --state-hash",
            ArchiveErrorKind::ProtocolVersion { .. } => {
                "3 is Berkeley and 4 is Mesa; no other version can be hashed"
            }
            ArchiveErrorKind::Narrow { .. } => "the schema was not upgraded for this fork",
            ArchiveErrorKind::Dangling { .. } => {
                "the database has lost rows; restore it from a dump"
            }
            ArchiveErrorKind::Doubled { .. } => {
                "the database has lost a constraint, or an index is corrupt; restore it from a dump"
            }
            ArchiveErrorKind::Authentication { .. } => {
                "scram-sha-256, md5 and trust are supported; passwords are not sent in the clear"
            }
            ArchiveErrorKind::Refused { .. }
            | ArchiveErrorKind::Protocol { .. }
            | ArchiveErrorKind::MessageTooLong { .. }
            | ArchiveErrorKind::TooMany { .. }
            | ArchiveErrorKind::Value { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
