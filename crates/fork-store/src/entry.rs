//! Entries: a key and what its value says.

use std::fmt;

use fork_ledger::binprot::{
    BinProtError, account_id_bytes, decode_account_id, decode_token_ids, encode_token_ids,
};
use fork_types::{FieldBytes, LedgerHash, PublicKey, TokenId};

use crate::key::{Key, KeyError, KeyLayout};

/// Why bytes are not an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A hash that is not 32 bytes. Stores of the original mainnet have 34.
    #[error("{found} bytes of hash, expected 32")]
    HashLength {
        /// Bytes found.
        found: usize,
    },
    /// A hash that is no field element.
    #[error("the hash is not below the field modulus")]
    NotCanonical,
    /// A location that is not the key of an account.
    #[error("malformed location")]
    Location(#[source] KeyError),
    /// An account id or a set of tokens.
    #[error(transparent)]
    BinProt(#[from] BinProtError),
    /// An empty set of tokens: upstream removes the record then.
    #[error("a set of tokens without tokens")]
    NoTokens,
}

/// A decoded entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// Hash node.
    Hash {
        /// Height above the leaves.
        height: u8,
        /// Position from the left.
        index: u64,
        /// The hash.
        hash: FieldBytes,
    },
    /// Account, not decoded: its form depends on the era, which is not in the store.
    Account {
        /// Leaf index.
        index: u64,
        /// bin_prot bytes.
        bytes: &'a [u8],
    },
    /// Where an account is.
    Location {
        /// Owner.
        public_key: PublicKey,
        /// Token of the account.
        token_id: TokenId,
        /// Leaf index.
        index: u64,
    },
    /// The account that owns a token.
    TokenOwner {
        /// The derived token.
        token_id: TokenId,
        /// Key of the owner.
        public_key: PublicKey,
        /// Token of the owner's account.
        parent: TokenId,
    },
    /// Tokens a public key has accounts for.
    TokenIds {
        /// Owner.
        public_key: PublicKey,
        /// The tokens, ascending as integers, at least one.
        tokens: Vec<TokenId>,
    },
    /// Highest used leaf.
    LastLocation {
        /// Leaf index.
        index: u64,
    },
}

impl<'a> Entry<'a> {
    /// Decodes an entry strictly.
    ///
    /// # Errors
    ///
    /// Fails on a key or value that [`Self::encode`] does not produce.
    pub fn decode(layout: KeyLayout, key: &[u8], value: &'a [u8]) -> Result<Self, EntryError> {
        let location = || layout.parse_location(value).map_err(EntryError::Location);
        Ok(match layout.parse(key)? {
            Key::Hash { height, index } => Self::Hash {
                height,
                index,
                hash: decode_hash(value)?,
            },
            Key::Account { index } => Self::Account {
                index,
                bytes: value,
            },
            Key::Location {
                public_key,
                token_id,
            } => Self::Location {
                public_key,
                token_id,
                index: location()?,
            },
            Key::TokenOwner { token_id } => {
                let (public_key, parent) = decode_account_id(value)?;
                Self::TokenOwner {
                    token_id,
                    public_key,
                    parent,
                }
            }
            Key::TokenIds { public_key } => {
                let tokens = decode_token_ids(value)?;
                if tokens.is_empty() {
                    return Err(EntryError::NoTokens);
                }
                Self::TokenIds { public_key, tokens }
            }
            Key::LastLocation => Self::LastLocation { index: location()? },
        })
    }

    /// What the entry is about.
    #[must_use]
    pub fn key(&self) -> Key {
        match *self {
            Self::Hash { height, index, .. } => Key::Hash { height, index },
            Self::Account { index, .. } => Key::Account { index },
            Self::Location {
                public_key,
                token_id,
                ..
            } => Key::Location {
                public_key,
                token_id,
            },
            Self::TokenOwner { token_id, .. } => Key::TokenOwner { token_id },
            Self::TokenIds { public_key, .. } => Key::TokenIds { public_key },
            Self::LastLocation { .. } => Key::LastLocation,
        }
    }

    /// The value's bytes.
    #[must_use]
    pub fn value(&self, layout: KeyLayout) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Hash { hash, .. } => out.extend_from_slice(hash.as_le_bytes()),
            Self::Account { bytes, .. } => out.extend_from_slice(bytes),
            Self::Location { index, .. } | Self::LastLocation { index } => {
                layout.encode_location(*index, &mut out);
            }
            Self::TokenOwner {
                public_key, parent, ..
            } => out = account_id_bytes(public_key, parent),
            Self::TokenIds { tokens, .. } => encode_token_ids(tokens, &mut out),
        }
        out
    }

    /// Key and value bytes.
    #[must_use]
    pub fn encode(&self, layout: KeyLayout) -> (Vec<u8>, Vec<u8>) {
        (layout.bytes(&self.key()), self.value(layout))
    }
}

impl fmt::Display for Entry<'_> {
    /// Says what the value holds, without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash { hash, .. } => write!(f, "{}", LedgerHash::new(*hash)),
            Self::Account { bytes, .. } => write!(f, "{} bytes of account", bytes.len()),
            Self::Location { index, .. } | Self::LastLocation { index } => {
                write!(f, "account {index}")
            }
            Self::TokenOwner {
                public_key, parent, ..
            } => write!(f, "account of {public_key}, token {parent}"),
            Self::TokenIds { tokens, .. } => {
                const SHOWN_MAX: usize = 4;
                write!(f, "{} token(s)", tokens.len())?;
                for token in tokens.iter().take(SHOWN_MAX) {
                    write!(f, " {token}")?;
                }
                if tokens.len() > SHOWN_MAX {
                    f.write_str(" …")?;
                }
                Ok(())
            }
        }
    }
}

fn decode_hash(value: &[u8]) -> Result<FieldBytes, EntryError> {
    let bytes =
        <[u8; 32]>::try_from(value).map_err(|_| EntryError::HashLength { found: value.len() })?;
    FieldBytes::from_le_bytes(bytes).ok_or(EntryError::NotCanonical)
}

/// Names an entry for a person, whatever its bytes are.
pub(crate) fn describe_key(layout: KeyLayout, key: &[u8]) -> String {
    match layout.parse(key) {
        Ok(key) => key.to_string(),
        Err(error) => format!("key {} ({error})", shown_hex(key)),
    }
}

/// Says what a value holds, whatever its bytes are.
pub(crate) fn describe_value(layout: KeyLayout, key: &[u8], value: &[u8]) -> String {
    match Entry::decode(layout, key, value) {
        Ok(entry) => entry.to_string(),
        Err(error) => format!("{} ({error})", shown_hex(value)),
    }
}

/// Hexadecimal digits, cut.
fn shown_hex(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 80;
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let mut text = hex::encode(cut);
    if cut.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_round_trip_and_defects_are_named() {
        let layout = KeyLayout::new(35).unwrap();
        let public_key = PublicKey::new(FieldBytes::from_u64(7), true);
        let token = |number| TokenId::new(FieldBytes::from_u64(number));
        let entries = [
            Entry::Hash {
                height: 3,
                index: 9,
                hash: FieldBytes::from_u64(5),
            },
            Entry::Account {
                index: 4,
                bytes: b"any",
            },
            Entry::Location {
                public_key,
                token_id: token(1),
                index: 77,
            },
            Entry::TokenOwner {
                token_id: token(9),
                public_key,
                parent: token(1),
            },
            Entry::TokenIds {
                public_key,
                tokens: vec![token(1), token(256)],
            },
            Entry::LastLocation { index: 12 },
        ];
        for entry in entries {
            let (key, value) = entry.encode(layout);
            assert_eq!(Entry::decode(layout, &key, &value).unwrap(), entry);
            assert_eq!(layout.parse(&key), Ok(entry.key()));
        }
        let node = layout.bytes(&Key::Hash {
            height: 0,
            index: 0,
        });
        let decode = |key: &[u8], value: &[u8]| Entry::decode(layout, key, value).unwrap_err();
        assert!(matches!(
            decode(&node, &[0; 34]),
            EntryError::HashLength { found: 34 }
        ));
        assert!(matches!(
            decode(&node, &[0xff; 32]),
            EntryError::NotCanonical
        ));
        let last = layout.bytes(&Key::LastLocation);
        assert!(matches!(decode(&last, &node), EntryError::Location(_)));
        let tokens = layout.bytes(&Key::TokenIds { public_key });
        assert!(matches!(decode(&tokens, &[0]), EntryError::NoTokens));
        assert!(matches!(decode(&tokens, &[1]), EntryError::BinProt(_)));
    }
}
