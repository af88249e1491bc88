//! Why a key, a signature or a signed text was refused.

use fork_types::{Class, Fault};

/// An error about keys and signatures, one word wide. Nothing in it is secret.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OpenPgpError(Box<OpenPgpErrorKind>);

/// The cases of [`OpenPgpError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenPgpErrorKind {
    /// Bytes that are no key.
    #[error("{name} holds no OpenPGP key that can be read")]
    Malformed {
        /// Where the bytes are from.
        name: String,
    },
    /// A public key where a secret one is needed.
    #[error("{name} holds no secret key")]
    NotSecret {
        /// Where the key is from.
        name: String,
    },
    /// More than one secret key.
    #[error("{name} holds several secret keys")]
    Several {
        /// Where the keys are from.
        name: String,
    },
    /// A protected key, and no passphrase or another one.
    #[error("{name} is protected, and {}", if *missing { "no passphrase was given" } else { "the passphrase does not open it" })]
    Passphrase {
        /// Where the key is from.
        name: String,
        /// Whether there was none.
        missing: bool,
    },
    /// A key that must not sign.
    #[error("key {fingerprint} cannot sign: {why}")]
    Unusable {
        /// The key.
        fingerprint: String,
        /// Why not.
        why: String,
    },
    /// A time that signatures cannot have.
    #[error("{time} seconds since 1970 is no time a signature can have")]
    Time {
        /// The time.
        time: u64,
    },
    /// A text that the cleartext framework would change.
    #[error("the text to sign has blanks at the end of a line, or no line end at its end")]
    Text,
    /// Something else than a signed text.
    #[error("there is no OpenPGP signature in the right form, or more than the signed text")]
    NotSigned,
    /// A text that nobody who may has signed.
    #[error("no signature is valid; {}", problems.join(", "))]
    Signature {
        /// What is wrong with each.
        problems: Vec<String>,
    },
    /// A bug.
    #[error("a signature could not be written: {problem}")]
    Internal {
        /// What the library said; never about a secret key.
        problem: String,
    },
}

impl OpenPgpError {
    /// The case.
    #[must_use]
    pub fn kind(&self) -> &OpenPgpErrorKind {
        &self.0
    }
}

impl From<OpenPgpErrorKind> for OpenPgpError {
    fn from(kind: OpenPgpErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl Fault for OpenPgpError {
    fn class(&self) -> Class {
        match self.kind() {
            OpenPgpErrorKind::Malformed { .. }
            | OpenPgpErrorKind::NotSecret { .. }
            | OpenPgpErrorKind::Several { .. }
            | OpenPgpErrorKind::Passphrase { .. }
            | OpenPgpErrorKind::Unusable { .. }
            | OpenPgpErrorKind::Time { .. } => Class::BadInput,
            OpenPgpErrorKind::NotSigned | OpenPgpErrorKind::Signature { .. } => Class::Wrong,
            OpenPgpErrorKind::Text | OpenPgpErrorKind::Internal { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            OpenPgpErrorKind::Malformed { .. }
            | OpenPgpErrorKind::NotSecret { .. }
            | OpenPgpErrorKind::Several { .. } => {
                "write the key with `gpg --armor --export-secret-keys FINGERPRINT`"
            }
            OpenPgpErrorKind::Passphrase { .. } => {
                "put the passphrase into the environment variable FORKPACK_APT_PASSPHRASE"
            }
            OpenPgpErrorKind::Unusable { .. } => {
                "extend the key with `gpg --quick-set-expire`, or make one for signing with \
                 `gpg --quick-generate-key NAME ed25519 sign`"
            }
            OpenPgpErrorKind::Time { .. }
            | OpenPgpErrorKind::NotSigned
            | OpenPgpErrorKind::Signature { .. }
            | OpenPgpErrorKind::Text
            | OpenPgpErrorKind::Internal { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
