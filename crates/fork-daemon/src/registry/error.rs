//! Why a registry failed.

use std::fmt;

use fork_fs::FsError;
use fork_package::PackageError;
use fork_types::{Class, Fault};

use crate::store::Cause;

/// What kind of trouble a registry made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryTrouble {
    /// No answer, or one that says "try again".
    Unreachable,
    /// The credentials do not suffice, or there are none.
    Denied,
    /// There is no such image or blob.
    Missing,
    /// The request was refused for another reason.
    Refused,
    /// The answer makes no sense.
    Malformed,
}

impl fmt::Display for RegistryTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "it cannot be reached",
            Self::Denied => "access is denied",
            Self::Missing => "it is not there",
            Self::Refused => "the request was refused",
            Self::Malformed => "the answer makes no sense",
        })
    }
}

/// Why a registry failed. Nothing in it is or repeats a credential: what a server says is taken over
/// only after every secret was cut out of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A local file.
    #[error(transparent)]
    File(#[from] FsError),
    /// The layout to push from.
    #[error(transparent)]
    Layout(#[from] PackageError),
    /// Settings that contradict each other or cannot be read.
    #[error("the credentials for `{registry}` cannot be used")]
    Settings {
        /// The registry.
        registry: String,
        /// What is wrong with them.
        source: Cause,
    },
    /// A reference that leaves open what is meant.
    #[error("`{reference}` has neither tag nor digest")]
    Unspecific {
        /// The reference.
        reference: String,
    },
    /// A registry did not do as it was asked.
    #[error("could not {action} (attempts: {attempts}): {trouble}")]
    Service {
        /// What was asked.
        action: String,
        /// What kind of trouble it made.
        trouble: RegistryTrouble,
        /// How often it was asked.
        attempts: u32,
        /// What it said.
        source: Cause,
    },
    /// Not the one image that is meant.
    #[error("`{reference}` cannot be used: {problem}")]
    Unusable {
        /// The reference.
        reference: String,
        /// Why not.
        problem: String,
    },
    /// Content that is not what its name says.
    #[error("{what} of `{reference}` is {found}, expected {expected}")]
    Differs {
        /// The image.
        reference: String,
        /// The part.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A tag that names another image.
    #[error("tag `{reference}` names {found} already, not {expected}")]
    TagTaken {
        /// The tag with its repository.
        reference: String,
        /// The digest it was to get.
        expected: String,
        /// The digest it has.
        found: String,
    },
    /// No threads, or no TLS.
    #[error("could not set up the connection to registries: {0}")]
    Setup(String),
}

impl Fault for RegistryError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Layout(error) => error.class(),
            Self::Settings { .. } | Self::Unspecific { .. } => Class::Usage,
            Self::Service { trouble, .. } => match trouble {
                RegistryTrouble::Unreachable
                | RegistryTrouble::Denied
                | RegistryTrouble::Refused => Class::Environment,
                RegistryTrouble::Missing | RegistryTrouble::Malformed => Class::BadInput,
            },
            Self::Unusable { .. } => Class::BadInput,
            Self::Differs { .. } | Self::TagTaken { .. } => Class::Wrong,
            Self::Setup(_) => Class::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Layout(error) => return error.hint(),
            Self::Settings { .. } => {
                "set FORKPACK_REGISTRY_USER and FORKPACK_REGISTRY_PASSWORD, or \
                 FORKPACK_REGISTRY_TOKEN, or name a file with --registry-config"
            }
            Self::Unspecific { .. } => "write HOST/NAME:TAG or HOST/NAME@sha256:DIGEST",
            Self::Service { trouble, .. } => match trouble {
                RegistryTrouble::Unreachable => {
                    "run the same command again, what the registry has already is not sent again; \
                     a registry without TLS needs --insecure-registry"
                }
                RegistryTrouble::Denied => {
                    "set FORKPACK_REGISTRY_USER and FORKPACK_REGISTRY_PASSWORD, or \
                     FORKPACK_REGISTRY_TOKEN, for an account that may do this, or name a file that \
                     `docker login` wrote with --registry-config (credential helpers are not run); \
                     many registries say so of repositories that do not exist, too"
                }
                RegistryTrouble::Missing => "check host, name and tag",
                RegistryTrouble::Refused => "check whether the registry takes OCI images there",
                RegistryTrouble::Malformed => {
                    "check the host: this does not look like a container registry"
                }
            },
            Self::Unusable { .. } => "name another image, or one of several with --architecture",
            Self::Differs { .. } => {
                "the registry or the line damages what it is given; do not use this image"
            }
            Self::TagTaken { .. } => {
                "nothing was changed; use another tag, or move this one with `package-image promote \
                 --move-from DIGEST`"
            }
            Self::Setup(_) => return None,
        };
        Some(hint.to_owned())
    }
}
