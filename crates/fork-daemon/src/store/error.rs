//! Why a store failed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use fork_fs::FsError;
use fork_types::{Class, Fault};

/// What was asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reading an object.
    Read,
    /// Asking for an object's size.
    Look,
    /// Listing objects.
    List,
    /// Storing a new object.
    Create,
    /// Replacing an object.
    Replace,
    /// Uploading a file.
    Upload,
    /// Removing an object.
    Remove,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Look => "look for",
            Self::List => "list",
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Upload => "upload",
            Self::Remove => "remove",
        })
    }
}

/// What kind of trouble a storage service made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No answer, or one that says "try again".
    Unreachable,
    /// There is no such bucket.
    NoBucket,
    /// The object, or the upload it is made from, is not there.
    Missing,
    /// There is an object of that name.
    Exists,
    /// The credentials do not suffice.
    Denied,
    /// There are no credentials, or the service that hands them out does not.
    Credentials,
    /// The request was refused for another reason.
    Refused,
}

/// What a storage service or the line said, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(pub(crate) String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

/// Why a store failed. Nothing in it is or repeats a credential: what a server or a library says is
/// taken over only after every secret value of the environment was cut out of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A local store's file, the file to upload, or the journal.
    #[error(transparent)]
    File(#[from] FsError),
    /// A name that is none.
    #[error("`{key}` cannot be the name of an object: {rule}")]
    Key {
        /// The name.
        key: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// Settings in the environment that contradict each other or cannot be read.
    #[error("the settings for the store `{store}` cannot be used")]
    Settings {
        /// The store.
        store: String,
        /// What is wrong with them.
        source: Cause,
    },
    /// A storage service did not do as it was asked.
    #[error("could not {action} `{key}` in the store `{store}` (attempts: {attempts})")]
    Service {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// What was asked.
        action: Action,
        /// What kind of trouble it made.
        trouble: Trouble,
        /// How often it was asked.
        attempts: u32,
        /// What it said.
        source: Cause,
    },
    /// An object beyond the limit for its kind.
    #[error(
        "`{key}` in the store `{store}` has {bytes} bytes, more than {bytes_max}, the limit for such an object"
    )]
    TooLarge {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// An object that was replaced or removed while it was read.
    #[error("`{key}` in the store `{store}` changed while it was read")]
    Changed {
        /// The store.
        store: String,
        /// The object.
        key: String,
    },
    /// An object that is there, with other content than its name says.
    #[error(
        "`{key}` is in the store `{store}` already and has {what} {found}, expected {expected}"
    )]
    Differs {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// What differs: `size` or `SHA-256`.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// An object that came back as something else than was sent.
    #[error(
        "`{key}` was read back from the store `{store}` with SHA-256 {found}, expected {expected}"
    )]
    Damaged {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// Digest of what was sent.
        expected: String,
        /// Digest of what came back.
        found: String,
    },
    /// A file to upload that is not what the caller says.
    #[error("`{}` has SHA-256 {found}, expected {expected}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Digest the caller named.
        expected: String,
        /// Digest of the file.
        found: String,
    },
    /// No threads.
    #[error("could not start the threads that talk to the network")]
    Threads(#[source] io::Error),
}

impl Fault for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Key { .. } | Self::TooLarge { .. } => Class::BadInput,
            // Whatever the service said no to (a name, a right, a region), the command line was
            // fine: it works as soon as the service is set up for it.
            Self::Settings { .. }
            | Self::Service { .. }
            | Self::Changed { .. }
            | Self::Threads(_) => Class::Environment,
            Self::Differs { .. } | Self::Damaged { .. } | Self::Source { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Key { .. } | Self::TooLarge { .. } | Self::Threads(_) => return None,
            Self::Settings { source, .. } if source.0.contains("CA certificates") => {
                "install the system's CA certificates (package ca-certificates), or name a file \
                 of them in SSL_CERT_FILE"
            }
            Self::Settings { store, .. } if is_google(store) => {
                "check the environment variables that begin with GOOGLE_"
            }
            Self::Settings { .. } => "check the environment variables that begin with AWS_",
            Self::Service { store, trouble, .. } => match trouble {
                Trouble::Unreachable => {
                    "the service did not answer in time; run the same command again, what is \
                     stored already stays"
                }
                Trouble::NoBucket => "create the bucket, or check the URL",
                Trouble::Missing => "somebody else removed it; run the same command again",
                Trouble::Exists => "run the same command again",
                Trouble::Denied | Trouble::Credentials => return Some(credentials_hint(store)),
                Trouble::Refused => {
                    "check the URL, the region and the endpoint (one without TLS needs \
                     AWS_ALLOW_HTTP=true); the service must know conditional writes \
                     (If-None-Match: *, If-Match)"
                }
            },
            Self::Changed { .. } => "run the same command again",
            Self::Differs { .. } => {
                "nothing was changed; find out who stored it, and remove it by hand if it is wrong"
            }
            Self::Damaged { .. } => {
                "the object was removed; run the same command again, and distrust the disk or the \
                 line if this happens twice"
            }
            Self::Source { .. } => {
                "the file changed since it was written; run the step that made it again"
            }
        };
        Some(hint.to_owned())
    }
}

fn is_google(store: &str) -> bool {
    store.starts_with("gs://")
}

fn credentials_hint(store: &str) -> String {
    if is_google(store) {
        "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to a key file of an account \
         that may read, write, list and delete there"
    } else {
        "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN if there is one, \
         AWS_REGION and AWS_ENDPOINT_URL for an account that may read, write, list and delete \
         there (~/.aws is not read), or run where a role is attached; check the clock as well"
    }
    .to_owned()
}

impl StoreError {
    /// As an error of a reader; the store's own error is inside. The kind tells an unreachable store
    /// from damaged data, for callers that look no deeper.
    pub(super) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::Service {
                trouble: Trouble::Denied | Trouble::Credentials,
                ..
            } => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::ConnectionAborted,
        };
        io::Error::new(kind, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stay_small_and_say_their_cause_once() {
        assert!(size_of::<StoreError>() < 128);
        let error = StoreError::Service {
            store: "gs://bucket".to_owned(),
            key: "a/b".to_owned(),
            action: Action::Upload,
            trouble: Trouble::Denied,
            attempts: 1,
            source: Cause("the server answered 403".to_owned()),
        };
        assert_eq!(
            error.to_string(),
            "could not upload `a/b` in the store `gs://bucket` (attempts: 1)"
        );
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the server answered 403");
        assert!(
            error
                .hint()
                .unwrap()
                .contains("GOOGLE_APPLICATION_CREDENTIALS")
        );
        assert_eq!(error.class(), Class::Environment);
        let error = error.into_io();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(
            error
                .get_ref()
                .is_some_and(|inner| inner.is::<StoreError>())
        );
    }
}
