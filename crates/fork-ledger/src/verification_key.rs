//! Side-loaded verification keys: 1796 bytes, their layout and their hash.
//!
//! Source: o1-labs/mina-rust `mina-p2p-messages/src/v2/generated.rs`, `ledger/src/account/account.rs`.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use fork_types::{Class, Fault};
use pasta_poseidon::{Fp, Instance, State, hash_batch, prefix_state};

use crate::packing::KimchiPacker;

/// Length of a verification key in bytes.
pub const VERIFICATION_KEY_BYTES: usize = 1796;

/// Hash that an account without a key is hashed with: the hash of the dummy key, whose two
/// enumerations are 2 and whose 28 points are all the generator. The same in Berkeley and Mesa.
pub const DUMMY_KEY_HASH: Fp = Fp::from_le_bytes_reduced(&[
    0xd6, 0xda, 0x18, 0xe4, 0x09, 0x1f, 0xbc, 0xd8, 0x68, 0x43, 0x60, 0x4f, 0xb8, 0xff, 0x2d, 0x96,
    0x13, 0xe7, 0x6f, 0xa1, 0x6c, 0x49, 0xb0, 0x26, 0x3a, 0x15, 0x66, 0xa8, 0xe7, 0x18, 0x80, 0x07,
]);

/// Bytes of one coordinate.
const COORDINATE_BYTES: usize = 32;

/// The three runs of points: 7 sigma commitments, 15 coefficient commitments, and generic, psm,
/// complete_add, mul, emul and endomul_scalar.
const POINTS: [Range<usize>; 3] = [2..450, 451..1411, 1412..VERIFICATION_KEY_BYTES];

/// Offsets of the zero bytes that end the first two runs, which are vectors.
const VECTOR_ENDS: [usize; 2] = [450, 1411];

/// Field elements hashed: two coordinates of 28 points and one packed element.
const HASHED_ELEMENTS: usize = 57;

static PREFIX: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaSideLoadedVk"));

/// A side-loaded verification key, checked for layout and canonical coordinates.
///
/// That its points are on the curve is not checked; neither hashing nor storing needs it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerificationKey {
    bytes: Box<[u8; VERIFICATION_KEY_BYTES]>,
}

/// Why bytes are not a verification key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationKeyError {
    /// Not 1796 bytes.
    #[error("a verification key has {VERIFICATION_KEY_BYTES} bytes, found {found}")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// One of the two leading enumerations is not 0, 1 or 2.
    #[error("{what} of a verification key is {byte}, expected 0, 1 or 2")]
    Enumeration {
        /// Which enumeration.
        what: &'static str,
        /// The byte found.
        byte: u8,
    },
    /// A vector of points does not end with a zero byte.
    #[error("byte {offset} of a verification key, which ends a vector, is {byte}, expected 0")]
    VectorEnd {
        /// Offset from the start, counted from 0.
        offset: usize,
        /// The byte found.
        byte: u8,
    },
    /// A coordinate that is not below the field modulus.
    #[error("the coordinate at byte {offset} of a verification key is not below the field modulus")]
    NotCanonical {
        /// Offset from the start, counted from 0.
        offset: usize,
    },
}

impl Fault for VerificationKeyError {
    fn class(&self) -> Class {
        match self {
            Self::Length { .. }
            | Self::Enumeration { .. }
            | Self::VectorEnd { .. }
            | Self::NotCanonical { .. } => Class::BadInput,
        }
    }
}

impl VerificationKey {
    /// Checks the bytes of a key as stored in ledgers (and, in base64, in account JSON).
    ///
    /// # Errors
    ///
    /// Fails on another length, an enumeration above 2, a vector without its closing zero and a
    /// coordinate that is not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerificationKeyError> {
        let bytes: Box<[u8; VERIFICATION_KEY_BYTES]> = Box::new(
            bytes
                .try_into()
                .map_err(|_| VerificationKeyError::Length { found: bytes.len() })?,
        );
        let enumerations = ["max_proofs_verified", "actual_wrap_domain_size"];
        for (what, byte) in enumerations.into_iter().zip(*bytes) {
            if byte > 2 {
                return Err(VerificationKeyError::Enumeration { what, byte });
            }
        }
        for offset in VECTOR_ENDS {
            if bytes[offset] != 0 {
                return Err(VerificationKeyError::VectorEnd {
                    offset,
                    byte: bytes[offset],
                });
            }
        }
        for (offset, coordinate) in coordinates(&bytes) {
            if Fp::from_le_bytes(coordinate).is_none() {
                return Err(VerificationKeyError::NotCanonical { offset });
            }
        }
        Ok(Self { bytes })
    }

    /// The bytes as stored in the ledger.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; VERIFICATION_KEY_BYTES] {
        &self.bytes
    }

    /// The hash of the key, as it enters the hash of a zkApp.
    ///
    /// Costs 29 permutations, more than the rest of an account; see [`VkHashCache`].
    #[must_use]
    pub fn hash(&self) -> Fp {
        hash_keys([self].into_iter())[0]
    }

    fn push_elements(&self, elements: &mut Vec<Fp>) {
        elements
            .extend(coordinates(&self.bytes).map(|(_, bytes)| Fp::from_le_bytes_reduced(bytes)));
        let mut packer = KimchiPacker::new(elements);
        for enumeration in &self.bytes[..2] {
            // One-hot: 0 is 1,0,0.
            for value in 0..3 {
                packer.push_bit(*enumeration == value);
            }
        }
        packer.finish();
    }
}

impl fmt::Debug for VerificationKey {
    /// The first bytes are enough to tell keys apart; all 1796 would drown every other field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({}…)", hex::encode(&self.bytes[..16]))
    }
}

/// Every coordinate with its offset, in byte order.
fn coordinates(
    bytes: &[u8; VERIFICATION_KEY_BYTES],
) -> impl Iterator<Item = (usize, &[u8; COORDINATE_BYTES])> {
    POINTS.into_iter().flat_map(move |range| {
        let offsets = range.clone().step_by(COORDINATE_BYTES);
        offsets.zip(bytes[range].as_chunks().0)
    })
}

/// Hashes of keys, all at once.
fn hash_keys<'k>(keys: impl ExactSizeIterator<Item = &'k VerificationKey>) -> Vec<Fp> {
    let mut hashes = vec![Fp::ZERO; keys.len()];
    let mut elements = Vec::with_capacity(HASHED_ELEMENTS * keys.len());
    for key in keys {
        key.push_elements(&mut elements);
    }
    hash_batch(&PREFIX, HASHED_ELEMENTS, &elements, &mut hashes);
    hashes
}

/// Remembers the hashes of verification keys, because thousands of accounts share one key.
///
/// Holds at most [`VkHashCache::KEYS_MAX`] keys (under 16 MB) and forgets them all when one more
/// comes; whatever it holds, the hashes are the same. Shared between threads by reference.
#[derive(Debug, Default)]
pub struct VkHashCache(Mutex<HashMap<Arc<VerificationKey>, Fp>>);

impl VkHashCache {
    /// Most keys held.
    pub const KEYS_MAX: usize = 8192;

    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash of `key`.
    #[must_use]
    pub fn hash(&self, key: &Arc<VerificationKey>) -> Fp {
        self.hashes(std::slice::from_ref(&key))[0]
    }

    /// The hashes of `keys`, in their order. Those not known yet are hashed as one batch.
    #[must_use]
    pub fn hashes(&self, keys: &[&Arc<VerificationKey>]) -> Vec<Fp> {
        let mut hashes = vec![Fp::ZERO; keys.len()];
        // Where each unknown key is wanted: a batch often holds the same new key several times.
        let mut unknown: HashMap<&VerificationKey, Vec<usize>> = HashMap::new();
        {
            let known = self.known();
            for (index, key) in keys.iter().enumerate() {
                match known.get(*key) {
                    Some(hash) => hashes[index] = *hash,
                    None => unknown.entry(key).or_default().push(index),
                }
            }
        }
        if unknown.is_empty() {
            return hashes;
        }
        // Outside the lock: other threads need not wait for these keys.
        let computed = hash_keys(unknown.keys().copied());
        let mut known = self.known();
        if known.len() + unknown.len() > Self::KEYS_MAX {
            known.clear();
        }
        for (indices, hash) in unknown.values().zip(computed) {
            for index in indices {
                hashes[*index] = hash;
            }
            if let Some(first) = indices.first() {
                known.insert(Arc::clone(keys[*first]), hash);
            }
        }
        hashes
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<VerificationKey>, Fp>> {
        // The map is valid between any two statements, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATOR_Y: &str =
        "12418654782883325593414442427049395787963493412651469444558597405572177144507";

    fn dummy_bytes() -> [u8; VERIFICATION_KEY_BYTES] {
        let mut bytes = [0; VERIFICATION_KEY_BYTES];
        bytes[..2].fill(2);
        let y = Fp::from_decimal(GENERATOR_Y).unwrap();
        for range in POINTS {
            for point in bytes[range].as_chunks_mut::<64>().0 {
                point[..32].copy_from_slice(&Fp::ONE.to_le_bytes());
                point[32..].copy_from_slice(&y.to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn the_dummy_key_hashes_to_the_published_value() {
        let key = VerificationKey::from_bytes(&dummy_bytes()).unwrap();
        assert_eq!(key.hash(), DUMMY_KEY_HASH);
        assert_eq!(
            DUMMY_KEY_HASH.to_decimal(),
            "3392518251768960475377392625298437850623664973002200885669375116181514017494"
        );
        assert_eq!(key.as_bytes(), &dummy_bytes());
        assert_eq!(
            format!("{key:?}"),
            "VerificationKey(02020100000000000000000000000000…)"
        );
    }

    #[test]
    fn the_layout_covers_every_byte() {
        let points: usize = POINTS.iter().map(|range| range.len() / 64).sum();
        assert_eq!(points, 28);
        assert_eq!(coordinates(&dummy_bytes()).count() + 1, HASHED_ELEMENTS);
        let covered: usize = POINTS.iter().map(Range::len).sum();
        assert_eq!(covered + VECTOR_ENDS.len() + 2, VERIFICATION_KEY_BYTES);
        for (ended, end) in POINTS.iter().zip(VECTOR_ENDS) {
            assert_eq!(ended.end, end);
        }
    }

    #[test]
    fn each_defect_has_its_own_error() {
        type Error = VerificationKeyError;
        let changed = |offset: usize, byte: u8| {
            let mut bytes = dummy_bytes();
            bytes[offset] = byte;
            VerificationKey::from_bytes(&bytes).unwrap_err()
        };
        for found in [0, 1795] {
            assert_eq!(
                VerificationKey::from_bytes(&dummy_bytes()[..found]),
                Err(Error::Length { found })
            );
        }
        for (offset, what) in ["max_proofs_verified", "actual_wrap_domain_size"]
            .into_iter()
            .enumerate()
        {
            assert_eq!(changed(offset, 3), Error::Enumeration { what, byte: 3 });
        }
        for offset in VECTOR_ENDS {
            assert_eq!(changed(offset, 1), Error::VectorEnd { offset, byte: 1 });
        }
        for (offset, _) in coordinates(&dummy_bytes()) {
            assert_eq!(
                changed(offset + 31, 0x41),
                Error::NotCanonical { offset },
                "top byte of the coordinate at {offset}"
            );
        }
    }

    #[test]
    fn every_byte_that_may_change_changes_the_hash() {
        let original = VerificationKey::from_bytes(&dummy_bytes()).unwrap();
        let offsets = coordinates(original.as_bytes()).map(|(offset, _)| offset);
        for offset in offsets.chain([0, 1]) {
            let mut bytes = dummy_bytes();
            bytes[offset] ^= if offset < 2 { 2 } else { 1 };
            let changed = VerificationKey::from_bytes(&bytes).unwrap();
            assert_ne!(changed.hash(), original.hash(), "offset {offset}");
        }
    }

    #[test]
    fn the_cache_gives_hashes_and_stays_bounded() {
        let cache = VkHashCache::new();
        let mut bytes = dummy_bytes();
        let dummy = Arc::new(VerificationKey::from_bytes(&bytes).unwrap());
        assert_eq!(cache.hash(&dummy), DUMMY_KEY_HASH);
        assert_eq!(cache.hash(&dummy), DUMMY_KEY_HASH);
        assert_eq!(cache.known().len(), 1);

        // Filled without hashing, which would take seconds.
        for number in 1..VkHashCache::KEYS_MAX as u64 {
            bytes[2..10].copy_from_slice(&number.wrapping_add(7).to_le_bytes());
            let key = Arc::new(VerificationKey::from_bytes(&bytes).unwrap());
            cache.known().insert(key, Fp::ZERO);
        }
        assert_eq!(cache.known().len(), VkHashCache::KEYS_MAX);
        bytes[2..10].copy_from_slice(&6_u64.to_le_bytes());
        let one_more = Arc::new(VerificationKey::from_bytes(&bytes).unwrap());
        assert_eq!(cache.hash(&one_more), one_more.hash());
        assert_eq!(cache.known().len(), 1);
    }
}
