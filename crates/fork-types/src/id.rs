//! Identifiers: base58check newtypes with private fields, parsed once and trusted afterwards.
//!
//! Text = Base58 (Bitcoin alphabet) of version byte, payload and the first four bytes of the
//! double SHA-256 of both. Version bytes and payload layouts are those of upstream's
//! `src/lib/base58_check/version_bytes.ml`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Modulus of the Pallas base field, 32 bytes little-endian.
pub const FIELD_MODULUS_LE: [u8; 32] = [
    0x01, 0x00, 0x00, 0x00, 0xed, 0x30, 0x2d, 0x99, 0x1b, 0xf9, 0x4c, 0x09, 0xfc, 0x98, 0x46, 0x22,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40,
];

/// Longest base58 text looked at: a verification key of 1796 bytes takes about 2460 characters.
const TEXT_BYTES_MAX: usize = 4096;

/// Why a text is not the identifier it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A character outside the alphabet.
    #[error("{what} `{found}` holds a character outside the base58 alphabet")]
    Alphabet {
        /// What was expected.
        what: &'static str,
        /// The text, cut.
        found: String,
    },
    /// Wrong checksum: a typing or copying error.
    #[error("{what} `{found}` has a wrong checksum")]
    Checksum {
        /// What was expected.
        what: &'static str,
        /// The text, cut.
        found: String,
    },
    /// A good checksum, but of another kind of identifier.
    #[error("{what} `{found}` has version byte 0x{found_version:02X}, expected 0x{expected:02X}")]
    Version {
        /// What was expected.
        what: &'static str,
        /// The text, cut.
        found: String,
        /// The version byte of `what`.
        expected: u8,
        /// The version byte found.
        found_version: u8,
    },
    /// Wrong number of payload bytes.
    #[error("{what} `{found}` holds {found_bytes} payload bytes, expected {expected}")]
    Length {
        /// What was expected.
        what: &'static str,
        /// The text, cut.
        found: String,
        /// Payload bytes of `what`.
        expected: usize,
        /// Payload bytes found.
        found_bytes: usize,
    },
    /// A wrong constant byte inside the payload.
    #[error("{what} `{found}` has a wrong tag or parity byte 0x{byte:02X}")]
    Tag {
        /// What was expected.
        what: &'static str,
        /// The text, cut.
        found: String,
        /// The byte found.
        byte: u8,
    },
    /// A field element that is not below the modulus.
    #[error("{what} `{found}` is not below the field modulus")]
    NotCanonical {
        /// What was expected.
        what: &'static str,
        /// The text, cut.
        found: String,
    },
}

/// Cuts a text for an error message.
fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let mut cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        cut.push('…');
    }
    cut
}

fn checksum(data: &[u8]) -> [u8; 4] {
    let digest = Sha256::digest(Sha256::digest(data));
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Encodes `version` and `payload` as base58check text.
#[must_use]
pub fn base58check_encode(version: u8, payload: &[u8]) -> String {
    let mut data = Vec::with_capacity(payload.len() + 5);
    data.push(version);
    data.extend_from_slice(payload);
    let sum = checksum(&data);
    data.extend_from_slice(&sum);
    bs58::encode(data).into_string()
}

/// Decodes base58check text to its version byte and payload; `what` names the expected thing in
/// errors.
///
/// # Errors
///
/// Fails on characters outside the alphabet, on fewer than five bytes and on a wrong checksum.
pub fn base58check_decode_any(what: &'static str, text: &str) -> Result<(u8, Vec<u8>), IdError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(IdError::Length {
            what,
            found: shown(text),
            expected: TEXT_BYTES_MAX,
            found_bytes: text.len(),
        });
    }
    let mut data = bs58::decode(text)
        .into_vec()
        .map_err(|_| IdError::Alphabet {
            what,
            found: shown(text),
        })?;
    let Some(split) = data.len().checked_sub(4).filter(|split| *split > 0) else {
        return Err(IdError::Length {
            what,
            found: shown(text),
            expected: 5,
            found_bytes: data.len(),
        });
    };
    if checksum(&data[..split]) != data[split..] {
        return Err(IdError::Checksum {
            what,
            found: shown(text),
        });
    }
    data.truncate(split);
    let payload = data.split_off(1);
    Ok((data[0], payload))
}

/// Decodes base58check text whose version byte must be `version`.
///
/// # Errors
///
/// As [`base58check_decode_any`], and on another version byte.
pub fn base58check_decode(what: &'static str, version: u8, text: &str) -> Result<Vec<u8>, IdError> {
    let (found_version, payload) = base58check_decode_any(what, text)?;
    if found_version != version {
        return Err(IdError::Version {
            what,
            found: shown(text),
            expected: version,
            found_version,
        });
    }
    Ok(payload)
}

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
    pub fn from_le_bytes(bytes: [u8; 32]) -> Option<Self> {
        bytes
            .iter()
            .rev()
            .lt(FIELD_MODULUS_LE.iter().rev())
            .then_some(Self(bytes))
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
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

fn length_checked<const N: usize>(
    what: &'static str,
    text: &str,
    payload: Vec<u8>,
) -> Result<[u8; N], IdError> {
    <[u8; N]>::try_from(payload).map_err(|payload| IdError::Length {
        what,
        found: shown(text),
        expected: N,
        found_bytes: payload.len(),
    })
}

fn canonical(what: &'static str, text: &str, bytes: &[u8]) -> Result<FieldBytes, IdError> {
    <[u8; 32]>::try_from(bytes)
        .ok()
        .and_then(FieldBytes::from_le_bytes)
        .ok_or_else(|| IdError::NotCanonical {
            what,
            found: shown(text),
        })
}

macro_rules! text_impls {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// A hash whose payload is the tag 0x01 and 32 little-endian bytes.
macro_rules! tagged_hash {
    ($(#[$doc:meta])* $name:ident, $version:literal, $what:literal) => {
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
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut payload = [1; 33];
                payload[1..].copy_from_slice(self.0.as_le_bytes());
                f.write_str(&base58check_encode($version, &payload))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let payload = base58check_decode($what, $version, text)?;
                let payload: [u8; 33] = length_checked($what, text, payload)?;
                if payload[0] != 1 {
                    return Err(IdError::Tag {
                        what: $what,
                        found: shown(text),
                        byte: payload[0],
                    });
                }
                canonical($what, text, &payload[1..]).map(Self)
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
    StateHash, 0x10, "state hash"
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

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base58check_encode(Self::VERSION, self.0.as_le_bytes()))
    }
}

impl FromStr for TokenId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let payload = base58check_decode("token id", Self::VERSION, text)?;
        let payload: [u8; 32] = length_checked("token id", text, payload)?;
        canonical("token id", text, &payload).map(Self)
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
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base58check_encode($version, &self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let payload = base58check_decode($what, $version, text)?;
                length_checked($what, text, payload).map(Self)
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
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut payload = [1; 35];
        payload[2..34].copy_from_slice(self.x.as_le_bytes());
        payload[34] = u8::from(self.is_odd);
        f.write_str(&base58check_encode(Self::VERSION, &payload))
    }
}

impl FromStr for PublicKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        const WHAT: &str = "public key";
        let payload = base58check_decode(WHAT, Self::VERSION, text)?;
        let payload: [u8; 35] = length_checked(WHAT, text, payload)?;
        let tag = |byte| IdError::Tag {
            what: WHAT,
            found: shown(text),
            byte,
        };
        if let Some(byte) = payload[..2].iter().find(|byte| **byte != 1) {
            return Err(tag(*byte));
        }
        if payload[34] > 1 {
            return Err(tag(payload[34]));
        }
        Ok(Self {
            x: canonical(WHAT, text, &payload[2..34])?,
            is_odd: payload[34] == 1,
        })
    }
}

text_impls!(PublicKey);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINNER: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";

    #[test]
    fn published_encodings() {
        assert_eq!(
            LedgerHash::new(FieldBytes::ZERO).to_string(),
            "jw6bz2wud1N6itRUHZ5ypo3267stk4UgzkiuWtAMPRZo9g4Udyd"
        );
        assert_eq!(
            LedgerHash::new(FieldBytes::ONE).to_string(),
            "jw73XZp5bcaVCnVTK7qr817gnCfLxfkjuwyCJhmrN4eL3sqWXkX"
        );
        assert_eq!(
            StateHash::DUMMY.to_string(),
            "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x"
        );
        assert_eq!(
            StateBodyHash::new(FieldBytes::ZERO).to_string(),
            "3WtfTvMk1U11nw3e7CHoXuvt1JXhumKCeJEHcy3JF8U7B85vFaXf"
        );
        assert_eq!(
            EpochSeed::new(FieldBytes::ZERO).to_string(),
            "2va9BGv9JrLTtrzZttiEMDYw1Zj6a6EHzXjmP9evHDTG3oEquURA"
        );
        assert_eq!(
            TokenId::DEFAULT.to_string(),
            "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf"
        );
        assert_eq!(
            ReceiptChainHash::EMPTY.to_string(),
            "2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQe"
        );
        let winner: PublicKey = WINNER.parse().unwrap();
        assert_eq!(
            winner.x().to_le_hex(),
            "0f48c65bd25f85f3e4ea4efebeb75b797bd743603be04b4ead845698b76bd331"
        );
        assert!(!winner.is_odd());
        assert_eq!(winner.to_string(), WINNER);
    }

    #[test]
    fn each_defect_has_its_own_error() {
        let parse = |text: &str| text.parse::<LedgerHash>();
        let encode = |payload: &[u8]| base58check_encode(0x05, payload);
        assert!(matches!(parse("j0"), Err(IdError::Alphabet { .. })));
        assert!(matches!(parse(""), Err(IdError::Length { .. })));
        assert!(matches!(
            parse("jw6bz2wud1N6itRUHZ5ypo3267stk4UgzkiuWtAMPRZo9g4Udye"),
            Err(IdError::Checksum { .. })
        ));
        assert!(matches!(
            parse(&StateHash::DUMMY.to_string()),
            Err(IdError::Version {
                expected: 5,
                found_version: 16,
                ..
            })
        ));
        assert!(matches!(
            parse(&encode(&[1; 32])),
            Err(IdError::Length { .. })
        ));
        assert!(matches!(
            parse(&encode(&[2; 33])),
            Err(IdError::Tag { byte: 2, .. })
        ));
        let mut modulus = vec![1];
        modulus.extend_from_slice(&FIELD_MODULUS_LE);
        assert!(matches!(
            parse(&encode(&modulus)),
            Err(IdError::NotCanonical { .. })
        ));
        modulus[1] = 0;
        assert!(parse(&encode(&modulus)).is_ok(), "p - 1 is an element");
        let mut key = [1; 35];
        key[34] = 2;
        assert!(matches!(
            base58check_encode(0xCB, &key).parse::<PublicKey>(),
            Err(IdError::Tag { byte: 2, .. })
        ));
    }

    #[test]
    fn account_token_member() {
        assert_eq!(TokenId::parse_account_member("1"), Ok(TokenId::DEFAULT));
        assert_eq!(
            TokenId::parse_account_member("2"),
            Ok(TokenId::new(FieldBytes::from_u64(2)))
        );
        assert!(TokenId::parse_account_member("10").is_err());
        assert!(TokenId::parse_account_member("").is_err());
        assert!(TokenId::parse_account_member("Z").is_err());
        assert!(TokenId::parse_account_member("12345678912345").is_err());
    }

    proptest! {
        #[test]
        fn texts_round_trip(mut bytes: [u8; 32], is_odd: bool) {
            bytes[31] &= 0x3f;
            let field = FieldBytes::from_le_bytes(bytes).unwrap();
            let key = PublicKey::new(field, is_odd);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            let hash = LedgerHash::new(field);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
            let token = TokenId::new(field);
            prop_assert_eq!(token.to_string().parse(), Ok(token));
            prop_assert_eq!(FieldBytes::from_be_hex(&field.to_be_hex_upper()), Some(field));
        }
    }
}
