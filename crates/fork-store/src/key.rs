//! Keys of the ledger store.
//!
//! Three kinds, told apart by byte 0: hash nodes (their height, leaves 0), accounts (0xFE) and text
//! (0xFF). A path is left-aligned, most significant bit first, and padded with zero bits to the
//! width of the deepest path, so its width is the same at every height.
//!
//! Source: MinaProtocol/mina `src/lib/merkle_ledger/location.ml`,
//! `src/lib/merkle_address/merkle_address.ml`, `src/lib/merkle_ledger/database.ml`.

use std::fmt;

use fork_types::{FieldBytes, PublicKey, TokenId};

/// Byte 0 of an account's key.
pub const ACCOUNT_TAG: u8 = 0xFE;

/// Byte 0 of a text key.
pub const TEXT_TAG: u8 = 0xFF;

/// Deepest tree the layout is made for: paths of seven bytes, which keeps every shift inside 64
/// bits. Networks use 35, tests and old networks 10 and 20.
pub const DEPTH_MAX: u8 = 56;

const LAST_LOCATION: &[u8] = b"last_account_location";
const TOKEN_OWNER: &[u8] = b"$tid!";
const TOKEN_IDS: &[u8] = b"$tids!";

/// Characters of a token in a key: `0x` and 64 digits.
const TOKEN_TEXT_BYTES: usize = 66;

/// A depth the layout does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ledger tree of depth {depth} is not supported; 1 to {DEPTH_MAX} are")]
pub struct DepthError {
    /// The depth asked for.
    pub depth: u8,
}

/// Why bytes are not a key of this store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No bytes.
    #[error("empty key")]
    Empty,
    /// Byte 0 is neither a height of this tree nor a tag. A store of a deeper tree has such keys.
    #[error("byte 0 is 0x{tag:02X}, which is no height of a tree of depth {depth}")]
    Tag {
        /// Byte 0.
        tag: u8,
        /// Depth of the tree.
        depth: u8,
    },
    /// Not as wide as the tree's paths. A store of another depth has such keys.
    #[error("{found} bytes, expected {expected} in a tree of depth {depth}")]
    Length {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
        /// Depth of the tree.
        depth: u8,
    },
    /// Bits beyond the end of the path are set.
    #[error("padding bits are set")]
    Padding,
    /// A text of none of the four forms.
    #[error("unknown text key `{text}`")]
    Text {
        /// The text, escaped and cut.
        text: String,
    },
}

/// What a key names.
///
/// Not ordered: the store's order is that of the encoded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Hash node.
    Hash {
        /// Height above the leaves, which have 0.
        height: u8,
        /// Position from the left among the nodes of that height.
        index: u64,
    },
    /// Account at a leaf.
    Account {
        /// Leaf index.
        index: u64,
    },
    /// `$pk!token`: where an account is.
    Location {
        /// Owner.
        public_key: PublicKey,
        /// Token of the account.
        token_id: TokenId,
    },
    /// `$tid!token`: the account that owns a token.
    TokenOwner {
        /// The derived token.
        token_id: TokenId,
    },
    /// `$tids!pk`: tokens a public key has accounts for.
    TokenIds {
        /// Owner.
        public_key: PublicKey,
    },
    /// Highest used leaf.
    LastLocation,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash { height, index } => {
                write!(f, "hash node at height {height}, index {index}")
            }
            Self::Account { index } => write!(f, "account {index}"),
            Self::Location {
                public_key,
                token_id,
            } => write!(f, "location of {public_key}, token {token_id}"),
            Self::TokenOwner { token_id } => write!(f, "owner of token {token_id}"),
            Self::TokenIds { public_key } => write!(f, "tokens of {public_key}"),
            Self::LastLocation => f.write_str("last account location"),
        }
    }
}

/// How keys look in a tree of one depth.
///
/// The depth is nowhere in the store, so it has to come from the caller; with a wrong one, strict
/// parsing fails on the first hash key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLayout {
    depth: u8,
}

impl KeyLayout {
    /// The layout of a tree of `depth`.
    ///
    /// # Errors
    ///
    /// Fails on a depth of 0 or above [`DEPTH_MAX`].
    pub const fn new(depth: u8) -> Result<Self, DepthError> {
        if depth == 0 || depth > DEPTH_MAX {
            return Err(DepthError { depth });
        }
        Ok(Self { depth })
    }

    /// Depth of the tree.
    #[must_use]
    pub const fn depth(self) -> u8 {
        self.depth
    }

    /// Most accounts the tree can hold.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        1 << self.depth
    }

    /// Bytes of a hash or account key, and of a location.
    #[must_use]
    pub const fn path_key_bytes(self) -> usize {
        1 + self.path_bytes()
    }

    const fn path_bytes(self) -> usize {
        self.depth.div_ceil(8) as usize
    }

    /// Bits behind a path of `length` bits.
    const fn padding_bits(self, length: u8) -> u32 {
        8 * self.path_bytes() as u32 - length as u32
    }

    fn push_path(self, tag: u8, length: u8, index: u64, out: &mut Vec<u8>) {
        let path = index << self.padding_bits(length);
        out.push(tag);
        out.extend_from_slice(&path.to_be_bytes()[8 - self.path_bytes()..]);
    }

    /// Appends the bytes of `key`. An index beyond the tree gives bytes that do not parse.
    pub fn encode(self, key: &Key, out: &mut Vec<u8>) {
        match key {
            Key::Hash { height, index } => {
                let length = self.depth.saturating_sub(*height);
                self.push_path(*height, length, *index, out);
            }
            Key::Account { index } => self.encode_location(*index, out),
            Key::Location {
                public_key,
                token_id,
            } => push_location_key(public_key.text().as_str(), token_id, out),
            Key::TokenOwner { token_id } => {
                out.push(TEXT_TAG);
                out.extend_from_slice(TOKEN_OWNER);
                push_token(token_id, out);
            }
            Key::TokenIds { public_key } => push_token_ids_key(public_key.text().as_str(), out),
            Key::LastLocation => {
                out.push(TEXT_TAG);
                out.extend_from_slice(LAST_LOCATION);
            }
        }
    }

    /// The bytes of `key`.
    #[must_use]
    pub fn bytes(self, key: &Key) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(key, &mut out);
        out
    }

    /// Appends the location of the account at leaf `index`: the key of the account, which is also
    /// the value of the records that point to it.
    pub fn encode_location(self, index: u64, out: &mut Vec<u8>) {
        self.push_path(ACCOUNT_TAG, self.depth, index, out);
    }

    /// Parses a location, which is an account's key.
    ///
    /// # Errors
    ///
    /// Fails as [`Self::parse`], and on the key of anything else.
    pub fn parse_location(self, bytes: &[u8]) -> Result<u64, KeyError> {
        let (tag, _) = bytes.split_first().ok_or(KeyError::Empty)?;
        if *tag != ACCOUNT_TAG {
            return Err(KeyError::Tag {
                tag: *tag,
                depth: self.depth,
            });
        }
        self.parse_path(self.depth, bytes)
    }

    /// Parses a key: exact length, zero padding, one of the known texts.
    ///
    /// Stricter than upstream, which ignores padding and takes any text: two spellings of one key
    /// would be two entries.
    ///
    /// # Errors
    ///
    /// Fails on anything [`Self::encode`] does not produce.
    pub fn parse(self, bytes: &[u8]) -> Result<Key, KeyError> {
        let (tag, text) = bytes.split_first().ok_or(KeyError::Empty)?;
        match *tag {
            TEXT_TAG => parse_text(text).ok_or_else(|| KeyError::Text { text: shown(text) }),
            ACCOUNT_TAG => Ok(Key::Account {
                index: self.parse_path(self.depth, bytes)?,
            }),
            height if height <= self.depth => Ok(Key::Hash {
                height,
                index: self.parse_path(self.depth - height, bytes)?,
            }),
            tag => Err(KeyError::Tag {
                tag,
                depth: self.depth,
            }),
        }
    }

    fn parse_path(self, length: u8, bytes: &[u8]) -> Result<u64, KeyError> {
        if bytes.len() != self.path_key_bytes() {
            return Err(KeyError::Length {
                expected: self.path_key_bytes(),
                found: bytes.len(),
                depth: self.depth,
            });
        }
        let path = bytes[1..]
            .iter()
            .fold(0, |path: u64, byte| path << 8 | u64::from(*byte));
        let padding = self.padding_bits(length);
        let index = path >> padding;
        if index << padding != path {
            return Err(KeyError::Padding);
        }
        Ok(index)
    }
}

/// `$pk!token` from the key's text, which callers have already made.
pub(crate) fn push_location_key(public_key: &str, token_id: &TokenId, out: &mut Vec<u8>) {
    out.push(TEXT_TAG);
    out.push(b'$');
    out.extend_from_slice(public_key.as_bytes());
    out.push(b'!');
    push_token(token_id, out);
}

/// `$tids!pk` from the key's text.
pub(crate) fn push_token_ids_key(public_key: &str, out: &mut Vec<u8>) {
    out.push(TEXT_TAG);
    out.extend_from_slice(TOKEN_IDS);
    out.extend_from_slice(public_key.as_bytes());
}

/// Tokens in keys are big-endian text, in values little-endian bytes.
fn push_token(token_id: &TokenId, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    push_hex_upper(token_id.field().as_le_bytes().iter().rev(), out);
}

fn push_hex_upper<'a>(bytes: impl Iterator<Item = &'a u8>, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        let digit = |value: u8| DIGITS[usize::from(value & 15)];
        out.extend_from_slice(&[digit(byte >> 4), digit(*byte)]);
    }
}

fn parse_token(text: &[u8]) -> Option<TokenId> {
    if text.len() != TOKEN_TEXT_BYTES {
        return None;
    }
    let digits = text.strip_prefix(b"0x")?;
    if digits.iter().any(u8::is_ascii_lowercase) {
        return None;
    }
    FieldBytes::from_be_hex(std::str::from_utf8(digits).ok()?).map(TokenId::new)
}

fn parse_public_key(text: &[u8]) -> Option<PublicKey> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn parse_text(text: &[u8]) -> Option<Key> {
    if text == LAST_LOCATION {
        return Some(Key::LastLocation);
    }
    if let Some(token) = text.strip_prefix(TOKEN_OWNER) {
        let token_id = parse_token(token)?;
        return Some(Key::TokenOwner { token_id });
    }
    if let Some(public_key) = text.strip_prefix(TOKEN_IDS) {
        let public_key = parse_public_key(public_key)?;
        return Some(Key::TokenIds { public_key });
    }
    let pair = text.strip_prefix(b"$")?;
    let separator = pair.iter().position(|byte| *byte == b'!')?;
    Some(Key::Location {
        public_key: parse_public_key(&pair[..separator])?,
        token_id: parse_token(&pair[separator + 1..])?,
    })
}

/// Cuts and escapes a text key for an error message.
fn shown(text: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 160;
    let cut = &text[..text.len().min(SHOWN_BYTES_MAX)];
    let mut shown = cut.escape_ascii().to_string();
    if cut.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layout(depth: u8) -> KeyLayout {
        KeyLayout::new(depth).unwrap()
    }

    fn hex_of(depth: u8, key: &Key) -> String {
        hex::encode(layout(depth).bytes(key))
    }

    #[test]
    fn worked_keys() {
        let account = |index| Key::Account { index };
        let node = |height, index| Key::Hash { height, index };
        let cases = [
            (35, account(0), "fe0000000000"),
            (35, account(1), "fe0000000020"),
            (35, account(228_173), "fe00006f69a0"),
            (35, node(0, 0), "000000000000"),
            (35, node(0, 1), "000000000020"),
            (35, node(1, 1), "010000000040"),
            (35, node(34, 1), "228000000000"),
            (35, node(35, 0), "230000000000"),
            (20, node(0, 1), "00000010"),
            (20, node(1, 1), "01000020"),
            (20, node(20, 0), "14000000"),
            (20, account(6403), "fe019030"),
            (20, node(0, 6403), "00019030"),
        ];
        for (depth, key, expected) in cases {
            assert_eq!(hex_of(depth, &key), expected, "{key} at depth {depth}");
            let bytes = hex::decode(expected).unwrap();
            assert_eq!(layout(depth).parse(&bytes), Ok(key));
        }
    }

    #[test]
    fn text_keys_have_the_published_lengths() {
        let public_key: PublicKey = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg"
            .parse()
            .unwrap();
        let token_id = TokenId::DEFAULT;
        let bytes = |key| layout(35).bytes(&key);
        let location = Key::Location {
            public_key,
            token_id,
        };
        assert_eq!(bytes(location).len(), 124);
        assert!(
            bytes(location).ends_with(
                b"XXgg!0x0000000000000000000000000000000000000000000000000000000000000001"
                    .strip_prefix(b"X")
                    .unwrap()
            )
        );
        assert_eq!(bytes(Key::TokenIds { public_key }).len(), 62);
        assert_eq!(bytes(Key::TokenOwner { token_id }).len(), 72);
        assert_eq!(bytes(Key::LastLocation).len(), 22);
    }

    #[test]
    fn other_spellings_are_refused() {
        let parse = |text: &str| layout(35).parse(&hex::decode(text).unwrap());
        assert_eq!(parse(""), Err(KeyError::Empty));
        assert_eq!(parse("fe0000000001"), Err(KeyError::Padding));
        assert_eq!(parse("010000000020"), Err(KeyError::Padding));
        assert_eq!(parse("230000000001"), Err(KeyError::Padding));
        assert!(matches!(
            parse("240000000000"),
            Err(KeyError::Tag { tag: 36, .. })
        ));
        assert!(matches!(
            parse("fd0000000000"),
            Err(KeyError::Tag { tag: 253, .. })
        ));
        assert!(matches!(
            parse("fe00000000"),
            Err(KeyError::Length { found: 5, .. })
        ));
        assert!(matches!(
            parse("00000000000000"),
            Err(KeyError::Length { .. })
        ));
        let digits = |digit: &str| digit.repeat(64);
        for text in [
            "last_account_locatio".to_owned(),
            "free_list".to_owned(),
            format!("$tid!{}", digits("0")),
            format!("$tid!0x{}", digits("a")),
            format!("$tid!0x{}", digits("F")),
            format!("$tid!0x{}", digits("0x")),
            "$tids!B62".to_owned(),
            "$B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg!1".to_owned(),
        ] {
            let mut bytes = vec![TEXT_TAG];
            bytes.extend_from_slice(text.as_bytes());
            assert!(
                matches!(layout(35).parse(&bytes), Err(KeyError::Text { .. })),
                "{text}"
            );
        }
        assert!(KeyLayout::new(0).is_err());
        assert!(KeyLayout::new(DEPTH_MAX + 1).is_err());
    }

    fn field() -> impl Strategy<Value = FieldBytes> {
        any::<[u8; 32]>().prop_map(|mut bytes| {
            bytes[31] &= 0x3f;
            FieldBytes::from_le_bytes(bytes).unwrap_or_default()
        })
    }

    /// A depth and a key of that tree.
    fn any_key() -> impl Strategy<Value = (u8, Key)> {
        (
            1..=DEPTH_MAX,
            any::<u64>(),
            any::<u8>(),
            field(),
            field(),
            any::<bool>(),
            0_u8..6,
        )
            .prop_map(|(depth, index, height, x, token, is_odd, kind)| {
                let height = height % (depth + 1);
                let public_key = PublicKey::new(x, is_odd);
                let token_id = TokenId::new(token);
                let key = match kind {
                    0 => Key::Hash {
                        height,
                        index: index % (1 << (depth - height)),
                    },
                    1 => Key::Account {
                        index: index % (1 << depth),
                    },
                    2 => Key::Location {
                        public_key,
                        token_id,
                    },
                    3 => Key::TokenOwner { token_id },
                    4 => Key::TokenIds { public_key },
                    _ => Key::LastLocation,
                };
                (depth, key)
            })
    }

    proptest! {
        #[test]
        fn keys_round_trip((depth, key) in any_key()) {
            prop_assert_eq!(layout(depth).parse(&layout(depth).bytes(&key)), Ok(key));
        }

        #[test]
        fn what_parses_is_what_is_encoded(
            (depth, key) in any_key(),
            position: prop::sample::Index,
            bit in 0_u32..8,
        ) {
            let mut bytes = layout(depth).bytes(&key);
            let position = position.index(bytes.len());
            bytes[position] ^= 1 << bit;
            if let Ok(parsed) = layout(depth).parse(&bytes) {
                prop_assert_eq!(layout(depth).bytes(&parsed), bytes);
            }
        }

        #[test]
        fn accounts_are_ordered_by_index(depth in 1..=DEPTH_MAX, a: u64, b: u64) {
            let capacity = layout(depth).capacity();
            let (a, b) = (a % capacity, b % capacity);
            let key = |index| layout(depth).bytes(&Key::Account { index });
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }
    }
}
