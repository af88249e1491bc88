//! Who signed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::envelope::{Envelope, SIGNATURES_MAX};
use crate::error::EnvelopeError;
use crate::key::{KeyId, PublicKey};

/// Most trusted keys.
pub const TRUSTED_KEYS_MAX: usize = 256;

/// Keys whose signatures count. The same key given twice is one key.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(BTreeMap<KeyId, PublicKey>);

impl TrustedKeys {
    /// No keys yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts one more key. Says whether it was not trusted yet.
    ///
    /// # Errors
    ///
    /// Fails when there are too many.
    pub fn insert(&mut self, key: PublicKey) -> Result<bool, EnvelopeError> {
        let is_new = !self.0.contains_key(key.id());
        if is_new && self.0.len() >= TRUSTED_KEYS_MAX {
            return Err(EnvelopeError::Limit {
                what: "trusted keys for the signatures",
                found: self.0.len() + 1,
                limit: TRUSTED_KEYS_MAX,
            });
        }
        self.0.insert(key.id().clone(), key);
        Ok(is_new)
    }

    /// Number of different keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of the keys, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.0.keys()
    }
}

/// What a signature is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status", content = "key")]
pub enum SignatureStatus {
    /// A trusted key's. Its label does not matter.
    Good(KeyId),
    /// It says that it is this trusted key's, and it is not: of other bytes, or damaged.
    Wrong(KeyId),
    /// Of no trusted key, and it does not say that it is. It counts for nothing and against nothing.
    Unknown {
        /// What it says whose it is, clipped; may be empty.
        label: String,
    },
}

/// Who signed an envelope.
#[derive(Clone, Debug)]
pub struct Verification<'a> {
    envelope: &'a Envelope,
    threshold: usize,
    statuses: Vec<SignatureStatus>,
    signers: BTreeSet<KeyId>,
}

impl Envelope {
    /// Finds out which trusted keys signed. `threshold` is the number of *different* trusted keys that
    /// must have; a key counts once however often it signed. Every signature is tried with every
    /// trusted key, because a label is not signed and so decides nothing.
    ///
    /// # Errors
    ///
    /// Fails when the payload is of another type than those accepted, and on a threshold of 0 or above
    /// the number of trusted keys. Missing and wrong signatures are no errors here: see
    /// [`Verification`].
    pub fn verify(
        &self,
        trusted: &TrustedKeys,
        threshold: usize,
        accepted_types: &[&str],
    ) -> Result<Verification<'_>, EnvelopeError> {
        self.require_type(accepted_types)?;
        if threshold == 0 || threshold > trusted.len() {
            return Err(EnvelopeError::Threshold {
                threshold,
                keys: trusted.len(),
            });
        }
        debug_assert!(
            self.signatures.len() <= SIGNATURES_MAX,
            "checked by reading"
        );
        let message = self.signed_bytes();
        let mut statuses = Vec::new();
        let mut signers = BTreeSet::new();
        for entry in &self.signatures {
            let labelled = trusted.0.iter().find(|(id, _)| id.as_str() == entry.label);
            let mut first = labelled.into_iter().chain(&trusted.0);
            let signer = first.find(|(_, key)| key.verifies(&message, &entry.signature));
            statuses.push(match (signer, labelled) {
                (Some((id, _)), _) => {
                    signers.insert(id.clone());
                    SignatureStatus::Good(id.clone())
                }
                (None, Some((id, _))) => SignatureStatus::Wrong(id.clone()),
                (None, None) => SignatureStatus::Unknown {
                    label: crate::statement::clipped(&entry.label),
                },
            });
        }
        Ok(Verification {
            envelope: self,
            threshold,
            statuses,
            signers,
        })
    }
}

impl<'a> Verification<'a> {
    /// The different trusted keys that signed.
    #[must_use]
    pub const fn signers(&self) -> &BTreeSet<KeyId> {
        &self.signers
    }

    /// Every signature, in the envelope's order.
    #[must_use]
    pub fn statuses(&self) -> &[SignatureStatus] {
        &self.statuses
    }

    /// How many different trusted keys had to sign.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// How many signatures of trusted keys are missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.threshold.saturating_sub(self.signers.len())
    }

    /// Whether enough different trusted keys signed.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.missing() == 0
    }

    /// Trusted keys in whose name there is a signature that is not theirs.
    #[must_use]
    pub fn wrong(&self) -> BTreeSet<&KeyId> {
        self.statuses
            .iter()
            .filter_map(|status| match status {
                SignatureStatus::Wrong(id) => Some(id),
                SignatureStatus::Good(_) | SignatureStatus::Unknown { .. } => None,
            })
            .collect()
    }

    /// The payload, when enough trusted keys signed it.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.is_met().then(|| self.envelope.unverified_payload())
    }
}
