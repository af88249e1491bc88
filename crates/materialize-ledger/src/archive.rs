//! Where the archive is, on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fork_archive::{Archive, ArchiveUri, Limits};

use crate::error::{MaterializeError, MaterializeErrorKind};

/// Longest password file read, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Longest file of certificates read, in bytes: that of all public authorities has 220 kB.
const CERTIFICATE_BYTES_MAX: u64 = 4 << 20;

/// The archive's database
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Archive")]
pub struct ArchiveArgs {
    /// Database of the archive: postgresql://USER@HOST:PORT/DATABASE, or
    /// postgresql://USER@/DATABASE?host=/DIRECTORY for a socket
    ///
    /// Other users see the arguments of a process, so a password belongs into --password-file or
    /// the environment. It is in no output.
    #[arg(
        long,
        value_name = "URI",
        env = "FORKPACK_ARCHIVE_URI",
        hide_env_values = true
    )]
    pub archive_uri: Secret,

    /// File with the password, in its first line; only its owner may read it
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// The password itself, from the environment alone
    #[arg(
        long,
        env = "FORKPACK_ARCHIVE_PASSWORD",
        hide = true,
        hide_env_values = true
    )]
    pub archive_password: Option<Secret>,

    /// Seconds that one statement may take; the server ends it then
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub statement_timeout: u64,

    /// Seconds to wait for the connection
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub connect_timeout: u64,
}

/// An argument that is never shown. Anything goes, so that no error about it quotes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl ArchiveArgs {
    /// Opens the archive: one transaction, which changes nothing.
    pub(crate) fn open(&self) -> Result<Archive, MaterializeError> {
        let mut uri = ArchiveUri::parse(&self.archive_uri.0)
            .map_err(fork_archive::ArchiveError::from)
            .map_err(MaterializeErrorKind::Archive)?;
        if let Some(password) = self.password()? {
            uri = uri.with_password(password);
        }
        if let Some(path) = uri.root_certificate_file() {
            let pem = fork_fs::read_limited(path, CERTIFICATE_BYTES_MAX)?;
            uri = uri.with_root_certificates(pem);
        }
        let limits = Limits {
            connect: Duration::from_secs(self.connect_timeout),
            statement: Duration::from_secs(self.statement_timeout),
        };
        Ok(Archive::open(&uri, &limits).map_err(MaterializeErrorKind::Archive)?)
    }

    fn password(&self) -> Result<Option<String>, MaterializeError> {
        let Some(path) = &self.password_file else {
            return Ok(self.archive_password.clone().map(|secret| secret.0));
        };
        if !fork_fs::is_private(path)? {
            return Err(MaterializeErrorKind::OpenPassword { path: path.clone() }.into());
        }
        let bytes = fork_fs::read_limited(path, PASSWORD_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().next().map(str::to_owned))
    }
}
