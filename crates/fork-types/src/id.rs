//! Identifiers: base58check newtypes with private fields, parsed once and trusted afterwards.
//!
//! Text = Base58 (Bitcoin alphabet) of version byte, payload and the first four bytes of the
//! double SHA-256 of both. Version bytes and payload layouts are those of upstream's
//! `src/lib/base58_check/version_bytes.ml`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use crate::base58::IdText;
pub use crate::base58::check::{
    IdError, base58check_decode, base58check_decode_any, base58check_encode,
};
use crate::base58::check::{decode_id, encode_id, shown};

/// Modulus of the Pallas base field, 32 bytes little-endian.
pub const FIELD_MODULUS_LE: [u8; 32] = [
    0x01, 0x00, 0x00, 0x00, 0xed, 0x30, 0x2d, 0x99, 0x1b, 0xf9, 0x4c, 0x09, 0xfc, 0x98, 0x46, 0x22,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40,
];

/// A canonical element of the Pallas base field: 32 bytes little-endian, below the modulus.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FieldBytes([u8; 32]);

impl FieldBytes {
    /// Zero.
    pub const ZERO: Self = Self([0; 32]);

    /// One.
    pub const ONE: Self = Self::from_u64(1);

    /// A small number as a field element.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        let small = value.to_le_bytes();
        let mut bytes = [0; 32];
        let mut index = 0;
        while index < 8 {
            bytes[index] = small[index];
            index += 1;
        }
        Self(bytes)
    }

    /// Takes 32 little-endian bytes; `None` when the number is not below the modulus.
    #[must_use]
    pub const fn from_le_bytes(bytes: [u8; 32]) -> Option<Self> {
        const MODULUS: FieldBytes = FieldBytes(FIELD_MODULUS_LE);
        let (high, low) = Self(bytes).halves();
        let (modulus_high, modulus_low) = MODULUS.halves();
        if high < modulus_high || (high == modulus_high && low < modulus_low) {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// The number's high and low 128 bits, which compare faster than 32 bytes.
    const fn halves(&self) -> (u128, u128) {
        match self.0.as_chunks::<16>().0 {
            [low, high] => (u128::from_le_bytes(*high), u128::from_le_bytes(*low)),
            _ => (0, 0),
        }
    }

    /// The 32 little-endian bytes.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The little-endian bytes by reference.
    #[must_use]
    pub const fn as_le_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits of the little-endian bytes.
    #[must_use]
    pub fn to_le_hex(self) -> String {
        hex::encode(self.0)
    }

    /// 64 upper-case hexadecimal digits, most significant first, as database keys and blocks print
    /// field elements (without `0x`).
    #[must_use]
    pub fn to_be_hex_upper(self) -> String {
        let mut bytes = self.0;
        bytes.reverse();
        hex::encode_upper(bytes)
    }

    /// Parses 64 big-endian hexadecimal digits in either case, without `0x`.
    #[must_use]
    pub fn from_be_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        bytes.reverse();
        Self::from_le_bytes(bytes)
    }
}

impl fmt::Debug for FieldBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", self.to_be_hex_upper())
    }
}

impl PartialOrd for FieldBytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldBytes {
    /// Compares as integers, which is how upstream orders sets of field elements.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.halves().cmp(&other.halves())
    }
}

fn canonical(what: &'static str, text: &str, bytes: [u8; 32]) -> Result<FieldBytes, IdError> {
    FieldBytes::from_le_bytes(bytes).ok_or_else(|| IdError::NotCanonical {
        what,
        found: shown(text),
    })
}

/// Parses a text the deserializer lends, which spares each identifier of a document a `String`.
///
/// The outer error is the deserializer's; the inner one is the caller's to wrap, outside of the
/// deserializer, which would add a position to it.
fn borrowed_text<'de, T, D>(deserializer: D) -> Result<Result<T, IdError>, D::Error>
where
    T: FromStr<Err = IdError>,
    D: Deserializer<'de>,
{
    struct TextVisitor<T>(PhantomData<T>);

    impl<T: FromStr<Err = IdError>> de::Visitor<'_> for TextVisitor<T> {
        type Value = Result<T, IdError>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.parse())
        }
    }

    deserializer.deserialize_str(TextVisitor(PhantomData))
}

macro_rules! text_impls {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.text().as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                borrowed_text(deserializer)?.map_err(de::Error::custom)
            }
        }
    };
}

/// A hash whose payload is the tag 0x01 and 32 little-endian bytes. A value that most accounts
/// share can be named with its text, which is then compared instead of decoded.
macro_rules! tagged_hash {
    (
        $(#[$doc:meta])* $name:ident, $version:literal, $what:literal
        $(, $common:ident = $common_text:literal)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(FieldBytes);

        impl $name {
            /// Base58check version byte.
            pub const VERSION: u8 = $version;

            /// Wraps a field element.
            #[must_use]
            pub const fn new(field: FieldBytes) -> Self {
                Self(field)
            }

            /// The field element.
            #[must_use]
            pub const fn field(self) -> FieldBytes {
                self.0
            }

            /// The base58check text, without a heap allocation.
            #[must_use]
            pub fn text(&self) -> IdText {
                let mut payload = [1; 33];
                payload[1..].copy_from_slice(self.0.as_le_bytes());
                encode_id($version, &payload)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                $(if text == $common_text {
                    return Ok(Self::$common);
                })?
                let [tag, field @ ..]: [u8; 33] = decode_id($what, $version, text)?;
                if tag != 1 {
                    return Err(IdError::Tag {
                        what: $what,
                        found: shown(text),
                        byte: tag,
                    });
                }
                canonical($what, text, field).map(Self)
            }
        }

        text_impls!($name);
    };
}

tagged_hash! {
    /// Merkle root of a ledger (`j…`).
    LedgerHash, 0x05, "ledger hash"
}
tagged_hash! {
    /// Receipt chain hash of an account (`2m…`, `2n…`).
    ReceiptChainHash, 0x0C, "receipt chain hash"
}
tagged_hash! {
    /// Root of the pending coinbase tree. Shares the receipt chain hash's version byte upstream.
    PendingCoinbaseHash, 0x0C, "pending coinbase hash"
}
tagged_hash! {
    /// Seed of an epoch (`2va…`, `2vb…`).
    EpochSeed, 0x0D, "epoch seed"
}
tagged_hash! {
    /// Protocol state hash of a block (`3N…`).
    StateHash, 0x10, "state hash",
    DUMMY = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x"
}
tagged_hash! {
    /// Hash of a protocol state's body (`3W…`).
    StateBodyHash, 0x11, "state body hash"
}
tagged_hash! {
    /// Data half of a pending coinbase stack (`4Q…`).
    CoinbaseStackData, 0x17, "coinbase stack data"
}
tagged_hash! {
    /// State half of a pending coinbase stack (`4Y…`).
    CoinbaseStackHash, 0x18, "coinbase stack hash"
}

impl ReceiptChainHash {
    /// The empty receipt chain hash, the same in all eras: legacy Poseidon of the salt
    /// `CodaReceiptEmpty`.
    pub const EMPTY: Self = Self(FieldBytes([
        0x0b, 0x14, 0x3c, 0x06, 0x45, 0x49, 0x7a, 0x59, 0x87, 0xa7, 0xb8, 0x8f, 0x66, 0x34, 0x0e,
        0x03, 0xdb, 0x94, 0x3f, 0x0a, 0x0d, 0xf4, 0x8b, 0x69, 0xa3, 0xa8, 0x29, 0x21, 0xce, 0x97,
        0xb1, 0x0a,
    ]));
}

impl StateHash {
    /// The state hash of field element 0, which `voting_for` has by default.
    pub const DUMMY: Self = Self(FieldBytes::ZERO);
}

/// A token id (`w…`, `x…`, `y…`): a field element without a tag byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(FieldBytes);

impl TokenId {
    /// Base58check version byte.
    pub const VERSION: u8 = 0x1C;

    /// The chain's own currency: field element 1.
    pub const DEFAULT: Self = Self(FieldBytes::ONE);

    /// Text of [`TokenId::DEFAULT`], which nearly all accounts have.
    const DEFAULT_TEXT: &str = "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf";

    /// Wraps a field element.
    #[must_use]
    pub const fn new(field: FieldBytes) -> Self {
        Self(field)
    }

    /// The field element.
    #[must_use]
    pub const fn field(self) -> FieldBytes {
        self.0
    }

    /// The base58check text, without a heap allocation.
    #[must_use]
    pub fn text(&self) -> IdText {
        encode_id(Self::VERSION, self.0.as_le_bytes())
    }

    /// Parses the text of an account's `token` member: base58check, or, when the decoded bytes are
    /// too short for a checksum (fewer than five), an old decimal u64.
    ///
    /// Consequences, all upstream's: `"1"` is the default token, `"10"` is an error because 0 is
    /// not in the base58 alphabet, and a long decimal fails on its checksum. Source:
    /// MinaProtocol/mina `src/lib/mina_base/token_id.ml`, `src/lib/base58_check/base58_check.ml`.
    ///
    /// # Errors
    ///
    /// Fails when the text is neither.
    pub fn parse_account_member(text: &str) -> Result<Self, IdError> {
        // Old ledgers have this in nearly every account; the general way below builds an error first.
        if text == "1" {
            return Ok(Self::DEFAULT);
        }
        match text.parse() {
            Err(IdError::Length { found_bytes, .. }) if found_bytes < 5 => {
                let decimal = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = decimal.then(|| text.parse::<u64>().ok()).flatten();
                number
                    .map(|number| Self(FieldBytes::from_u64(number)))
                    .ok_or_else(|| IdError::Alphabet {
                        what: "token id",
                        found: shown(text),
                    })
            }
            parsed => parsed,
        }
    }
}

impl Default for TokenId {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for TokenId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == Self::DEFAULT_TEXT {
            return Ok(Self::DEFAULT);
        }
        let field = decode_id("token id", Self::VERSION, text)?;
        canonical("token id", text, field).map(Self)
    }
}

text_impls!(TokenId);

/// 32 opaque bytes in base58check: no tag and no range check, because they are not field elements.
macro_rules! opaque_hash {
    ($(#[$doc:meta])* $name:ident, $version:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Base58check version byte.
            pub const VERSION: u8 = $version;

            /// Wraps the bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn bytes(self) -> [u8; 32] {
                self.0
            }

            /// The base58check text, without a heap allocation.
            #[must_use]
            pub fn text(&self) -> IdText {
                encode_id($version, &self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                decode_id($what, $version, text).map(Self)
            }
        }

        text_impls!($name);
    };
}

opaque_hash! {
    /// Auxiliary hash of a staged ledger (`U…` to `W…`).
    StagedLedgerAuxHash, 0x0E, "staged ledger aux hash"
}
opaque_hash! {
    /// Auxiliary hash of the pending coinbases (`W…` to `Y…`).
    PendingCoinbaseAux, 0x0F, "pending coinbase aux hash"
}

/// Memo of a command (`E4…`): 34 bytes, of which the first two say kind and length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Memo([u8; Self::BYTES]);

impl Memo {
    /// Base58check version byte.
    pub const VERSION: u8 = 0x14;

    /// Bytes of a memo.
    pub const BYTES: usize = 34;

    /// Wraps the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they are hashed.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The base58check text, without a heap allocation.
    #[must_use]
    pub fn text(&self) -> IdText {
        encode_id(Self::VERSION, &self.0)
    }
}

impl FromStr for Memo {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        decode_id("memo", Self::VERSION, text).map(Self)
    }
}

text_impls!(Memo);

/// A compressed public key (`B62…`): the x coordinate and the parity of y.
///
/// That the point is on the curve is not checked: hashing does not need it, and the empty account
/// has x = 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PublicKey {
    x: FieldBytes,
    is_odd: bool,
}

impl PublicKey {
    /// Base58check version byte.
    pub const VERSION: u8 = 0xCB;

    /// Characters of every key's text: version byte and tags fix the size of the number.
    pub const TEXT_BYTES: usize = 55;

    /// The key of the empty account, and what "no delegate" is hashed as.
    pub const EMPTY: Self = Self {
        x: FieldBytes::ZERO,
        is_odd: false,
    };

    /// Wraps a coordinate and a parity.
    #[must_use]
    pub const fn new(x: FieldBytes, is_odd: bool) -> Self {
        Self { x, is_odd }
    }

    /// The x coordinate.
    #[must_use]
    pub const fn x(&self) -> FieldBytes {
        self.x
    }

    /// Whether y is odd.
    #[must_use]
    pub const fn is_odd(&self) -> bool {
        self.is_odd
    }

    /// The base58check text, without a heap allocation; always [`PublicKey::TEXT_BYTES`] long.
    #[must_use]
    pub fn text(&self) -> IdText {
        let mut payload = [1; 35];
        payload[2..34].copy_from_slice(self.x.as_le_bytes());
        payload[34] = u8::from(self.is_odd);
        encode_id(Self::VERSION, &payload)
    }
}

impl FromStr for PublicKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        const WHAT: &str = "public key";
        let payload: [u8; 35] = decode_id(WHAT, Self::VERSION, text)?;
        let [first_tag, second_tag, x @ .., parity] = payload;
        for (byte, is_good) in [
            (first_tag, first_tag == 1),
            (second_tag, second_tag == 1),
            (parity, parity <= 1),
        ] {
            if !is_good {
                return Err(IdError::Tag {
                    what: WHAT,
                    found: shown(text),
                    byte,
                });
            }
        }
        Ok(Self {
            x: canonical(WHAT, text, x)?,
            is_odd: parity == 1,
        })
    }
}

text_impls!(PublicKey);

#[cfg(test)]
mod tests;
