//! Base58check: base58 of version byte, payload and the first four bytes of the double SHA-256 of
//! both.
//!
//! Identifiers of good shape take a path without heap allocation ([`decode_id`], [`encode_id`]).
//! It never judges a text: whatever it does not take goes through the general functions, so that
//! each defect has one place that names it.

use sha2::digest::generic_array::GenericArray;
use sha2::{Digest, Sha256, compress256};

use super::{IdText, SHORT_BYTES};
use crate::base58;

/// Longest base58 text looked at: a verification key of 1796 bytes takes about 2460 characters.
const TEXT_BYTES_MAX: usize = 4096;

/// Bytes of the double SHA-256 that a text carries.
const CHECKSUM_BYTES: usize = 4;

/// Bytes SHA-256 takes at a time.
const SHA_BLOCK_BYTES: usize = 64;

/// What SHA-256 starts from (FIPS 180-4, 5.3.3).
const SHA_START: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

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
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let mut cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        cut.push('…');
    }
    cut
}

fn checksum(data: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(Sha256::digest(data));
    [digest[0], digest[1], digest[2], digest[3]]
}

/// As [`checksum`], of a version byte and a payload that leave room for SHA-256's padding in one
/// block.
///
/// Two bare compressions take 84 ns. Through `Digest` it is 123 ns, unless the compiler happens to
/// inline all of it: the padding is written in pieces that the compression then has to wait for.
fn short_checksum<const N: usize>(version: u8, payload: &[u8; N]) -> [u8; CHECKSUM_BYTES] {
    let mut block = [0; SHA_BLOCK_BYTES];
    block[0] = version;
    block[1..=N].copy_from_slice(payload);
    let first = compress_padded(block, N + 1);
    let mut block = [0; SHA_BLOCK_BYTES];
    for (target, word) in block.as_chunks_mut().0.iter_mut().zip(first) {
        *target = word.to_be_bytes();
    }
    compress_padded(block, 32)[0].to_be_bytes()
}

/// SHA-256 of the first `size` bytes, at most 55, with zeros behind them.
#[inline(always)]
fn compress_padded(mut block: [u8; SHA_BLOCK_BYTES], size: usize) -> [u32; 8] {
    block[size] = 0x80;
    block[SHA_BLOCK_BYTES - 8..].copy_from_slice(&(8 * size as u64).to_be_bytes());
    let mut state = SHA_START;
    compress256(&mut state, &[GenericArray::from(block)]);
    state
}

/// Encodes `version` and `payload` as base58check text.
#[must_use]
pub fn base58check_encode(version: u8, payload: &[u8]) -> String {
    let mut data = Vec::with_capacity(payload.len() + 1 + CHECKSUM_BYTES);
    data.push(version);
    data.extend_from_slice(payload);
    let sum = checksum(&data);
    data.extend_from_slice(&sum);
    base58::encode(&data)
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
    let mut data = base58::decode(text).ok_or_else(|| IdError::Alphabet {
        what,
        found: shown(text),
    })?;
    let Some(split) = data
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .filter(|split| *split > 0)
    else {
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

/// Decodes the text of an identifier with `N` payload bytes.
///
/// # Errors
///
/// As [`base58check_decode`], and on another number of payload bytes.
pub(crate) fn decode_id<const N: usize>(
    what: &'static str,
    version: u8,
    text: &str,
) -> Result<[u8; N], IdError> {
    match decode_good_id(version, text) {
        Some(payload) => Ok(payload),
        None => decode_any_id(what, version, text),
    }
}

/// The payload of a text without any defect, on the stack; `None` is no verdict. Takes 150 ns for a
/// public key, 84 ns of which are the checksum.
pub(super) fn decode_good_id<const N: usize>(version: u8, text: &str) -> Option<[u8; N]> {
    let data = base58::decode_short(text)?;
    let (zeros, data) = data.split_at_checked(id_start::<N>())?;
    let (found_version, data) = data.split_first()?;
    let (payload, sum) = data.split_first_chunk()?;
    // Only a first byte other than zero makes the text's length that of the number.
    let is_good = zeros.iter().all(|byte| *byte == 0)
        && version != 0
        && *found_version == version
        && short_checksum(version, payload) == *sum;
    is_good.then_some(*payload)
}

/// As [`decode_id`], for texts with a defect: names it.
#[cold]
fn decode_any_id<const N: usize>(
    what: &'static str,
    version: u8,
    text: &str,
) -> Result<[u8; N], IdError> {
    let payload = base58check_decode(what, version, text)?;
    <[u8; N]>::try_from(payload).map_err(|payload| IdError::Length {
        what,
        found: shown(text),
        expected: N,
        found_bytes: payload.len(),
    })
}

/// Encodes the text of an identifier, whose version byte is not zero, on the stack.
pub(crate) fn encode_id<const N: usize>(version: u8, payload: &[u8; N]) -> IdText {
    let start = id_start::<N>();
    let end = SHORT_BYTES - CHECKSUM_BYTES;
    let mut data = [0; SHORT_BYTES];
    data[start] = version;
    data[start + 1..end].copy_from_slice(payload);
    data[end..].copy_from_slice(&short_checksum(version, payload));
    base58::encode_short(&data)
}

/// Where version byte, `N` payload bytes and checksum start in a number of [`SHORT_BYTES`]; a
/// larger `N` does not compile.
const fn id_start<const N: usize>() -> usize {
    const { SHORT_BYTES - CHECKSUM_BYTES - 1 - N }
}
