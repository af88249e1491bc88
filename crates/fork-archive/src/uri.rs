//! Where an archive is, and who asks.

use std::fmt;
use std::path::{Path, PathBuf};

use fork_types::{Class, Fault};
use url::Url;
use zeroize::Zeroizing;

/// Port that PostgreSQL listens on when nothing else is said.
const PORT: u16 = 5432;

/// A connection URI, as `libpq` has them: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, or
/// `postgresql:///DATABASE?host=/DIRECTORY` for a socket.
///
/// `Display` and `Debug` show neither user nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct ArchiveUri {
    pub(crate) endpoint: Endpoint,
    pub(crate) user: String,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) database: String,
    pub(crate) tls: TlsMode,
    /// File with the certificates of the authorities that are trusted.
    root_certificate_file: Option<PathBuf>,
    /// What is in it.
    pub(crate) root_certificates: Option<Vec<u8>>,
}

/// How much the connection over a network is protected; a socket of this machine needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsMode {
    /// Not at all.
    Disable,
    /// Encrypted where the server can, whoever it is.
    Prefer,
    /// Encrypted, whoever it is; by a trusted authority when there are certificates of one.
    Require,
    /// A trusted authority vouches for the server, under whatever name.
    VerifyCa,
    /// A trusted authority vouches for the server under the name that is connected to.
    VerifyFull,
}

impl TlsMode {
    /// As in a URI.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    fn of(name: &str) -> Result<Self, UriError> {
        Ok(match name {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err(UriError::TlsMode),
        })
    }
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A host name or address.
    Tcp { host: String, port: u16 },
    /// The directory of a socket.
    Unix { directory: PathBuf, port: u16 },
}

/// Why a URI cannot be used. Never quotes it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Not `postgres://` or `postgresql://`.
    #[error("it does not begin with postgresql://")]
    Scheme,
    /// Not a URI.
    #[error("it is not well formed")]
    Malformed,
    /// An `@` behind the host: the password has a character that ends it.
    #[error("it has an @ behind the host, so a character of its password ends the host too early")]
    Unescaped,
    /// No database.
    #[error("it names no database")]
    NoDatabase,
    /// No host.
    #[error("it names no host and no directory of a socket")]
    NoHost,
    /// A parameter this client does not act on.
    #[error("its parameter {name} is not supported")]
    Parameter {
        /// Its name.
        name: String,
    },
    /// A mode of encryption that nobody has.
    #[error("its sslmode is none of disable, allow, prefer, require, verify-ca and verify-full")]
    TlsMode,
    /// Nothing to verify the server with.
    #[error("it asks for the server to be verified and names no sslrootcert")]
    NoRootCertificates,
    /// The certificates are none.
    #[error("its sslrootcert has no usable certificates: {problem}")]
    RootCertificates {
        /// What is wrong.
        problem: String,
    },
    /// A percent-encoded part that is not UTF-8.
    #[error("its {part} is not UTF-8")]
    NotUtf8 {
        /// Which part.
        part: &'static str,
    },
}

impl Fault for UriError {
    fn class(&self) -> Class {
        match self {
            Self::Scheme
            | Self::Malformed
            | Self::Unescaped
            | Self::NoDatabase
            | Self::NoHost
            | Self::Parameter { .. }
            | Self::TlsMode
            | Self::NoRootCertificates
            | Self::NotUtf8 { .. } => Class::Usage,
            Self::RootCertificates { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::TlsMode | Self::NoRootCertificates | Self::RootCertificates { .. } => {
                    "such as ?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt, \
                     or the certificate of the authority that your provider names"
                }
                Self::Unescaped => {
                    "in a password write / as %2F, @ as %40, ? as %3F, # as %23, or give it with \
                     --password-file"
                }
                _ => {
                    "such as postgresql://USER@HOST:5432/archive, or \
                     postgresql://USER@/archive?host=/var/run/postgresql"
                }
            }
            .to_owned(),
        )
    }
}

impl ArchiveUri {
    /// Whether it has a password in it.
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Parses a URI.
    ///
    /// # Errors
    ///
    /// Fails on anything but one PostgreSQL server, and on parameters that would be ignored.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        // `USER@/DATABASE?host=…` is how libpq names a socket and a user; the standard wants a host
        // behind a user.
        let (before, after) = text.split_once("://").ok_or(UriError::Malformed)?;
        let authority_end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, path) = after.split_at(authority_end);
        // No database of an archive has an @ in its name; a password often has one of / ? #.
        let names = match path.strip_prefix('?') {
            Some(query) => query,
            None => path.split('?').next().unwrap_or_default(),
        };
        if names.contains('@') || authority.contains('#') {
            return Err(UriError::Unescaped);
        }
        let has_host = !authority.ends_with('@');
        let host = if has_host { "" } else { "localhost" };
        let url = Url::parse(&format!("{before}://{authority}{host}{path}"))
            .map_err(|_| UriError::Malformed)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(UriError::Scheme);
        }
        let named_host = url.host_str().filter(|_| has_host);
        let mut host = decoded(named_host.unwrap_or_default(), "host")?;
        let mut port = url.port().unwrap_or(PORT);
        let mut user = decoded(url.username(), "user")?;
        let mut password = url.password().map(|text| decoded(text, "password"));
        let mut database = decoded(url.path().trim_start_matches('/'), "database")?;
        // The default of libpq.
        let mut tls = TlsMode::Prefer;
        let mut root_certificate_file = None;
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "host" => host = value.into_owned(),
                "port" => port = value.parse().map_err(|_| UriError::Malformed)?,
                "user" => user = value.into_owned(),
                "password" => password = Some(Ok(value.into_owned())),
                "dbname" => database = value.into_owned(),
                "sslmode" => tls = TlsMode::of(&value)?,
                "sslrootcert" => root_certificate_file = Some(PathBuf::from(value.as_ref())),
                _ => {
                    return Err(UriError::Parameter {
                        name: name.chars().take(40).collect(),
                    });
                }
            }
        }
        if database.is_empty() {
            return Err(UriError::NoDatabase);
        }
        let verifies = matches!(tls, TlsMode::VerifyCa | TlsMode::VerifyFull);
        if verifies && root_certificate_file.is_none() {
            return Err(UriError::NoRootCertificates);
        }
        let endpoint = if host.is_empty() {
            return Err(UriError::NoHost);
        } else if host.starts_with('/') {
            let directory = PathBuf::from(host);
            Endpoint::Unix { directory, port }
        } else {
            let host = host.trim_matches(['[', ']']).to_owned();
            Endpoint::Tcp { host, port }
        };
        Ok(Self {
            endpoint,
            // The role that archives are made and dumped with.
            user: if user.is_empty() {
                "postgres".to_owned()
            } else {
                user
            },
            password: password.transpose()?.map(Zeroizing::new),
            database,
            tls,
            root_certificate_file,
            root_certificates: None,
        })
    }

    /// File with the certificates of trusted authorities, whose content is for
    /// [`Self::with_root_certificates`].
    #[must_use]
    pub fn root_certificate_file(&self) -> Option<&Path> {
        self.root_certificate_file.as_deref()
    }

    /// The same with the content of its file of certificates, in PEM.
    #[must_use]
    pub fn with_root_certificates(self, pem: Vec<u8>) -> Self {
        Self {
            root_certificates: Some(pem),
            ..self
        }
    }

    /// The same with this password in place of its own.
    #[must_use]
    pub fn with_password(self, password: String) -> Self {
        Self {
            password: Some(Zeroizing::new(password)),
            ..self
        }
    }

    /// Name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }
}

impl fmt::Display for ArchiveUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint, self.database)
    }
}

impl fmt::Debug for ArchiveUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchiveUri({self})")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { directory, port } => write!(f, "{}:{port}", directory.display()),
        }
    }
}

/// Resolves `%xx`.
fn decoded(text: &str, part: &'static str) -> Result<String, UriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2).ok_or(UriError::Malformed)?;
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).map_err(|_| UriError::Malformed)?;
            bytes.extend(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| UriError::NotUtf8 { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_sockets() {
        let uri = ArchiveUri::parse("postgres://u:p%40s@db.example:6000/arch?sslmode=disable");
        let uri = uri.unwrap();
        assert_eq!(uri.to_string(), "db.example:6000/arch");
        assert_eq!(format!("{uri:?}"), "ArchiveUri(db.example:6000/arch)");
        assert_eq!(uri.user, "u");
        assert_eq!(uri.password.as_ref().unwrap().as_str(), "p@s");
        for socket in [
            "postgresql:///arch?host=/run/pg&port=5433",
            "postgresql://%2Frun%2Fpg:5433/arch",
        ] {
            let uri = ArchiveUri::parse(socket).unwrap();
            assert_eq!(uri.to_string(), "/run/pg:5433/arch", "{socket}");
            assert_eq!((uri.user.as_str(), uri.password), ("postgres", None));
        }
        let user = ArchiveUri::parse("postgresql://me:x@/arch?host=/run/pg").unwrap();
        assert_eq!(user.to_string(), "/run/pg:5432/arch");
        assert_eq!(user.user, "me");
        assert_eq!(
            ArchiveUri::parse("postgresql://me@/arch"),
            Err(UriError::NoHost)
        );
        let six = ArchiveUri::parse("postgres://[::1]/a").unwrap();
        assert_eq!(six.to_string(), "::1:5432/a");
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (text, error) in [
            ("mysql://h/d", UriError::Scheme),
            ("postgres://h", UriError::NoDatabase),
            ("postgres://u:1234/5678@h/d", UriError::Unescaped),
            ("postgres://u:1234?5678@h/d", UriError::Unescaped),
            ("postgres://u:1234#5678@h/d", UriError::Unescaped),
            ("postgres:///d", UriError::NoHost),
            ("h/d", UriError::Malformed),
            (
                "postgres://h/d?sslmode=verify-full",
                UriError::NoRootCertificates,
            ),
            ("postgres://h/d?sslmode=of-course", UriError::TlsMode),
            (
                "postgres://h/d?target_session_attrs=any",
                UriError::Parameter {
                    name: "target_session_attrs".to_owned(),
                },
            ),
            ("postgres://h/d?port=x", UriError::Malformed),
            ("postgres://%ff@h/d", UriError::NotUtf8 { part: "user" }),
        ] {
            let found = ArchiveUri::parse(text).unwrap_err();
            assert_eq!(found, error, "{text}");
        }
    }

    #[test]
    fn no_error_quotes_a_password() {
        for text in [
            "postgres://u:hunter2@h",
            "hunter2",
            "postgres://u:hunter2@h/d?sslmode=hunter2",
            "postgres://u:hunter2@h:99999999/d",
            "postgres://u:hunter2/@h/d",
        ] {
            let error = ArchiveUri::parse(text).unwrap_err();
            let shown = format!("{error} {error:?} {:?}", error.hint());
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
