//! Why a file is not a usable block.

use fork_types::{Class, Fault, IdError};

/// Why a file is not a usable block. Every case about a member names its path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Not JSON, cut short, or a member of the wrong JSON type. The source has line and column.
    #[error("the block is not valid JSON of a precomputed block")]
    Json {
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Reading failed.
    #[error("could not read the block")]
    Read {
        /// What the system says.
        source: std::io::Error,
    },
    /// Far more data than any block.
    #[error("the block is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// A member is absent or null.
    #[error("`{path}` is missing in the block")]
    Missing {
        /// The member.
        path: String,
    },
    /// A hash, key or token that is not good base58check of its kind.
    #[error("`{path}` of the block cannot be read")]
    Id {
        /// The member.
        path: String,
        /// What is wrong with the text.
        source: IdError,
    },
    /// Anything else in the wrong notation or range.
    #[error("`{path}` of the block is `{found}`, expected {expected}")]
    Malformed {
        /// The member.
        path: String,
        /// The text, cut.
        found: String,
        /// The notation this place has.
        expected: &'static str,
    },
    /// A list of the wrong length.
    #[error("`{path}` of the block has {found} items, expected {expected}")]
    ListLength {
        /// The member.
        path: String,
        /// Items there should be.
        expected: usize,
        /// Items found.
        found: usize,
    },
    /// A block of the original mainnet.
    #[error("this is a block of protocol v1, whose state hash is not supported")]
    UnsupportedV1,
    /// A protocol whose state hash follows other rules.
    #[error(
        "the block has transaction version {found}, whose state hash is not supported; 3 (Berkeley) \
         and 4 (Mesa) are"
    )]
    UnsupportedTransactionVersion {
        /// `protocol_version.transaction`.
        found: u32,
    },
    /// Another generation of the file format.
    #[error("the block file has version {found}, which is not supported; 3 and 4 are")]
    UnsupportedFileVersion {
        /// The wrapper's `version`.
        found: u32,
    },
}

impl Fault for BlockError {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } => Class::Environment,
            Self::Json { .. }
            | Self::TooLarge { .. }
            | Self::Missing { .. }
            | Self::Id { .. }
            | Self::Malformed { .. }
            | Self::ListLength { .. }
            | Self::UnsupportedV1
            | Self::UnsupportedTransactionVersion { .. }
            | Self::UnsupportedFileVersion { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Json { source } if source.is_eof() => "the file ends too early; fetch it again",
            Self::Id { .. } | Self::Malformed { .. } => {
                "third parties publish block files with placeholders in place of hashes; take the \
                 file from a daemon or from its upload bucket"
            }
            Self::UnsupportedTransactionVersion { found: 2 } => {
                "version 2 is an early test network of 2024, not Berkeley as released"
            }
            Self::Json { .. }
            | Self::Read { .. }
            | Self::TooLarge { .. }
            | Self::Missing { .. }
            | Self::ListLength { .. }
            | Self::UnsupportedV1
            | Self::UnsupportedTransactionVersion { .. }
            | Self::UnsupportedFileVersion { .. } => return None,
        };
        Some(text.to_owned())
    }
}
