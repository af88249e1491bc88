//! Sharing of equal verification keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::verification_key::VerificationKey;

/// Keys kept per generation. A key and its text take about 4.5 kB, so two generations of this size
/// stay below 10 MB; a ledger with more distinct keys still loads, it only shares fewer of them.
const GENERATION_KEYS_MAX: usize = 1024;

/// Hands out one copy of each verification key, however many accounts have it.
///
/// Looked up by the key's text, so that a known key costs no decoding. Bounded: when a generation
/// is full it becomes the old one, and keys nobody asked for meanwhile are forgotten. Shared
/// between threads by reference.
#[derive(Debug, Default)]
pub struct VerificationKeyCache(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<VerificationKey>>,
    old: HashMap<Box<str>, Arc<VerificationKey>>,
}

impl Generations {
    fn insert(&mut self, text: Box<str>, key: &Arc<VerificationKey>) {
        if self.young.len() >= GENERATION_KEYS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text, Arc::clone(key));
    }

    fn find(&mut self, text: &str) -> Option<Arc<VerificationKey>> {
        if let Some(key) = self.young.get(text) {
            return Some(Arc::clone(key));
        }
        let (text, key) = self.old.remove_entry(text)?;
        self.insert(text, &key);
        Some(key)
    }
}

impl VerificationKeyCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key `text` stands for, decoded by `decode` when it is not known yet.
    pub(super) fn get_or_decode<E>(
        &self,
        text: &str,
        decode: impl FnOnce() -> Result<VerificationKey, E>,
    ) -> Result<Arc<VerificationKey>, E> {
        if let Some(key) = self.generations().find(text) {
            return Ok(key);
        }
        // Decoded outside the lock; two threads meeting a new key at once may decode it twice,
        // and the second one takes the first one's copy.
        let decoded = Arc::new(decode()?);
        let mut generations = self.generations();
        if let Some(key) = generations.find(text) {
            return Ok(key);
        }
        generations.insert(text.into(), &decoded);
        Ok(decoded)
    }

    fn generations(&self) -> std::sync::MutexGuard<'_, Generations> {
        // The map is valid after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
