//! What can be wrong with keys, envelopes and statements. None of the messages has any part of a key
//! file in it, and none wraps an error that could.

use fork_types::{Class, Fault};

/// A key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM.
    #[error(
        "it is not one PEM block and nothing else: `-----BEGIN {expected}-----`, base64, `-----END {expected}-----`"
    )]
    NotPem {
        /// What should be there.
        expected: &'static str,
    },
    /// Another kind of PEM.
    #[error("it is {found}, expected a PEM block `{expected}`")]
    Kind {
        /// What should be there.
        expected: &'static str,
        /// What is there, in words.
        found: &'static str,
    },
    /// Damaged, or of another algorithm.
    #[error("its content is no ed25519 key (RFC 8410)")]
    Malformed,
    /// A point that makes signatures anybody can forge, or a second spelling of one.
    #[error("it is a weak or oddly encoded public key, of which no honest one is")]
    Weak,
    /// A key that could not be written; a bug.
    #[error("the key could not be encoded")]
    Encode,
}

impl Fault for KeyError {
    fn class(&self) -> Class {
        match self {
            Self::NotPem { .. } | Self::Kind { .. } | Self::Malformed | Self::Weak => {
                Class::BadInput
            }
            Self::Encode => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Kind {
                found: "an encrypted private key",
                ..
            } => "decrypt it to memory or a protected file: openssl pkey -in KEY",
            Self::Kind {
                expected: "PUBLIC KEY",
                found: "a private key",
            } => {
                "never hand out a private key; its public half: openssl pkey -in KEY -pubout, or sign-release public-key"
            }
            Self::NotPem { .. } | Self::Kind { .. } | Self::Malformed => {
                "keys are made by `sign-release keygen` or `openssl genpkey -algorithm ed25519`"
            }
            Self::Weak | Self::Encode => return None,
        };
        Some(hint.to_owned())
    }
}

/// An envelope that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Beyond a limit.
    #[error("{what} of the envelope: {found}, the limit is {limit}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// Not JSON, not of this shape, a member twice, or an unknown one.
    #[error("it is no DSSE envelope")]
    Json(#[source] serde_json::Error),
    /// Not base64, or not the only spelling of its bytes.
    #[error("`{member}` is not base64 in its only spelling (RFC 4648, with padding)")]
    Base64 {
        /// Which member.
        member: &'static str,
    },
    /// A payload of another kind.
    #[error("the payload is of type `{found}`, expected {expected}")]
    PayloadType {
        /// What is accepted.
        expected: String,
        /// What was found, clipped.
        found: String,
    },
    /// Envelopes about different things.
    #[error("the two envelopes are not about the same bytes: {what} differs")]
    Different {
        /// What differs.
        what: &'static str,
    },
    /// A threshold nobody can mean.
    #[error("threshold {threshold} with {keys} trusted keys")]
    Threshold {
        /// What was asked for.
        threshold: usize,
        /// Distinct keys given.
        keys: usize,
    },
}

impl Fault for EnvelopeError {
    fn class(&self) -> Class {
        match self {
            Self::Limit { .. } | Self::Json(_) | Self::Base64 { .. } | Self::PayloadType { .. } => {
                Class::BadInput
            }
            Self::Different { .. } => Class::Wrong,
            Self::Threshold { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Threshold { .. } => {
                "a threshold is at least 1 and at most the number of different trusted keys"
            }
            Self::Different { .. } => {
                "signatures only join over the same payload: compare the two statements first"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// A statement that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// No JSON, or not of this shape.
    #[error("it is no in-toto statement of the expected shape")]
    NotJson(#[source] serde_json::Error),
    /// A number with more than one spelling.
    #[error("number {found} has no canonical form: only integers up to 2^53 - 1 have")]
    Number {
        /// The number.
        found: String,
    },
    /// Another kind of statement.
    #[error("`{member}` is `{found}`, expected `{expected}`")]
    Type {
        /// `_type` or `predicateType`.
        member: &'static str,
        /// What it should be.
        expected: String,
        /// What it is, clipped.
        found: String,
    },
    /// Subjects that name nothing, or one thing twice.
    #[error("subject {index}: {problem}")]
    Subject {
        /// Its index.
        index: usize,
        /// What is wrong.
        problem: String,
    },
    /// None, or too many.
    #[error("it has {found} subjects, expected 1 to {limit}")]
    Subjects {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A second spelling of the same facts.
    #[error("it is not canonical JSON (RFC 8785): byte {at} differs from its only spelling")]
    NotCanonical {
        /// Index of the first byte that differs.
        at: usize,
    },
}

impl Fault for StatementError {
    fn class(&self) -> Class {
        Class::BadInput
    }
}
