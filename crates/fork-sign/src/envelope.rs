//! DSSE envelopes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

use crate::error::EnvelopeError;
use crate::key::SecretKey;
use crate::statement::clipped;

/// Type of a payload that is an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Largest envelope file, in bytes. A release's has a few dozen KiB.
pub const ENVELOPE_BYTES_MAX: u64 = 16 << 20;
/// Most signatures of an envelope. Each is tried with every trusted key.
pub const SIGNATURES_MAX: usize = 64;
/// Largest signature, in bytes. Those of ed25519 have 64; others may lie beside them.
const SIGNATURE_BYTES_MAX: usize = 4096;
/// Longest key id, in bytes. Ours have 64.
const LABEL_BYTES_MAX: usize = 256;
/// Longest payload type, in bytes.
const TYPE_BYTES_MAX: usize = 256;

/// The bytes that are signed (DSSE's "pre-authentication encoding"): type and payload, each after its
/// length, so that no part can pass for another.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// A payload, what type it has, and signatures over both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    /// Sorted, without doubles: their order says nothing.
    pub(crate) signatures: Vec<Entry>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// What it says whose it is; empty when it says nothing. Not signed.
    pub(crate) label: String,
    pub(crate) signature: Vec<u8>,
}

/// The JSON form. DSSE would have readers pass over members they do not know. Nothing else writes
/// these files, and a misspelt member is a mistake, so they are refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// An envelope nobody has signed yet, around a statement.
    #[must_use]
    pub fn new(payload: Vec<u8>) -> Self {
        Self {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload,
            signatures: Vec::new(),
        }
    }

    /// Reads the JSON form. Base64 may be of either alphabet, as DSSE demands, but in its only
    /// spelling.
    ///
    /// # Errors
    ///
    /// Fails on what is no envelope, has unknown members, a member twice or anything after it, and on
    /// anything beyond the limits.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let most = usize::try_from(ENVELOPE_BYTES_MAX).unwrap_or(usize::MAX);
        limit("size in bytes", bytes.len(), most)?;
        let wire: Wire = serde_json::from_slice(bytes).map_err(EnvelopeError::Json)?;
        limit(
            "length of the payload's type",
            wire.payload_type.len(),
            TYPE_BYTES_MAX,
        )?;
        limit(
            "number of signatures",
            wire.signatures.len(),
            SIGNATURES_MAX,
        )?;
        let signatures = wire
            .signatures
            .into_iter()
            .map(|entry| {
                limit("length of a key id", entry.keyid.len(), LABEL_BYTES_MAX)?;
                let signature = decoded("sig", &entry.sig)?;
                limit(
                    "size of a signature in bytes",
                    signature.len(),
                    SIGNATURE_BYTES_MAX,
                )?;
                Ok(Entry {
                    label: entry.keyid,
                    signature,
                })
            })
            .collect::<Result<_, _>>()?;
        let mut envelope = Self {
            payload_type: wire.payload_type,
            payload: decoded("payload", &wire.payload)?,
            signatures,
        };
        envelope.sort();
        Ok(envelope)
    }

    /// The JSON form, indented, with a final newline. The same payload and signatures give the same
    /// bytes, in whatever order they came together.
    ///
    /// # Errors
    ///
    /// Never: it is text and lists of text.
    pub fn to_json(&self) -> Result<Vec<u8>, EnvelopeError> {
        let wire = Wire {
            payload: STANDARD.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self
                .signatures
                .iter()
                .map(|entry| WireEntry {
                    keyid: entry.label.clone(),
                    sig: STANDARD.encode(&entry.signature),
                })
                .collect(),
        };
        let mut bytes = serde_json::to_vec_pretty(&wire).map_err(EnvelopeError::Json)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Type of the payload, as the envelope says. It is signed with it.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload, whoever wrote it and whether anybody signed it.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Number of signatures, good or not.
    #[must_use]
    pub fn signature_count(&self) -> usize {
        self.signatures.len()
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// Adds the key's signature. Says whether it was not there yet.
    ///
    /// # Errors
    ///
    /// Fails when the envelope is full, or of another type than a statement's.
    pub fn sign(&mut self, key: &SecretKey) -> Result<bool, EnvelopeError> {
        self.require_type(&[PAYLOAD_TYPE])?;
        let entry = Entry {
            label: key.public().id().to_string(),
            signature: key.sign(&self.signed_bytes()).to_vec(),
        };
        if self.signatures.contains(&entry) {
            return Ok(false);
        }
        limit(
            "number of signatures",
            self.signatures.len() + 1,
            SIGNATURES_MAX,
        )?;
        self.signatures.push(entry);
        self.sort();
        Ok(true)
    }

    /// Takes over the signatures of another envelope around the same payload. Says how many were not
    /// here yet.
    ///
    /// # Errors
    ///
    /// Fails when payload or type differ, and when there are too many signatures.
    pub fn merge(&mut self, other: &Self) -> Result<usize, EnvelopeError> {
        if self.payload_type != other.payload_type {
            return Err(EnvelopeError::Different {
                what: "the payload's type",
            });
        }
        if self.payload != other.payload {
            return Err(EnvelopeError::Different {
                what: "the payload",
            });
        }
        let before = self.signatures.len();
        let mut all = self.clone();
        all.signatures.extend_from_slice(&other.signatures);
        all.sort();
        limit("number of signatures", all.signatures.len(), SIGNATURES_MAX)?;
        *self = all;
        Ok(self.signatures.len() - before)
    }

    pub(crate) fn require_type(&self, accepted: &[&str]) -> Result<(), EnvelopeError> {
        if accepted.contains(&self.payload_type.as_str()) {
            return Ok(());
        }
        let accepted: Vec<String> = accepted.iter().map(|one| format!("`{one}`")).collect();
        Err(EnvelopeError::PayloadType {
            expected: accepted.join(" or "),
            found: clipped(&self.payload_type),
        })
    }

    fn sort(&mut self) {
        self.signatures.sort();
        self.signatures.dedup();
    }
}

/// Bytes of a base64 text. The two alphabets differ in two characters, and a text has them from one.
fn decoded(member: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    let alphabet = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    alphabet
        .decode(text)
        .map_err(|_| EnvelopeError::Base64 { member })
}

fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), EnvelopeError> {
    if found > limit {
        return Err(EnvelopeError::Limit { what, found, limit });
    }
    Ok(())
}
