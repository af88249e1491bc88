//! Where an archive is, and who asks.

use std::fmt;
use std::path::PathBuf;

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
    /// Encryption that this client does not have.
    #[error("it asks for TLS")]
    Tls,
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
            | Self::NoDatabase
            | Self::NoHost
            | Self::Parameter { .. }
            | Self::Tls
            | Self::NotUtf8 { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Tls => {
                    "connect through a local socket, an SSH tunnel or the provider's proxy, with \
                     sslmode=disable"
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
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "host" => host = value.into_owned(),
                "port" => port = value.parse().map_err(|_| UriError::Malformed)?,
                "user" => user = value.into_owned(),
                "password" => password = Some(Ok(value.into_owned())),
                "dbname" => database = value.into_owned(),
                "sslmode" => match value.as_ref() {
                    "disable" | "allow" | "prefer" => {}
                    _ => return Err(UriError::Tls),
                },
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
        })
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
            ("postgres:///d", UriError::NoHost),
            ("h/d", UriError::Malformed),
            ("postgres://h/d?sslmode=verify-full", UriError::Tls),
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
            "postgres://u:hunter2@h/d?sslmode=require",
            "postgres://u:hunter2@h:99999999/d",
        ] {
            let error = ArchiveUri::parse(text).unwrap_err();
            let shown = format!("{error} {error:?} {:?}", error.hint());
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
