//! The signed end of a log: a statement about the log that gives its number of entries and the digest
//! of its last line, as in-toto's predicate for references.

use std::collections::BTreeSet;
use std::path::Path;

use fork_sign::{
    ENVELOPE_BYTES_MAX, Envelope, PAYLOAD_TYPE, SecretKey, Statement, Subject, TrustedKeys,
};
use release_policy::statement::REFERENCE;
use release_policy::{Digest, Head, Log};
use serde::{Deserialize, Serialize};

use crate::error::PromoteError;

/// What the statement is about.
const LOG_NAME: &str = "log.jsonl";
/// Longest list of references that is read; there is one.
const REFERENCES_MAX: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    attester: Attester,
    references: Vec<Reference>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attester {
    id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    name: String,
    digest: std::collections::BTreeMap<String, String>,
    annotations: Head,
}

/// The envelope of the head of a log.
pub(crate) fn sign(log: &Log, key: &SecretKey) -> Result<Vec<u8>, PromoteError> {
    let head = log.head();
    let whole = Digest::of(log.text().as_bytes()).hex();
    let predicate = Predicate {
        attester: Attester {
            id: format!("ed25519:{}", key.public().id()),
        },
        references: vec![Reference {
            name: "last entry".to_owned(),
            digest: [("sha256".to_owned(), head.last.hex())].into(),
            annotations: head,
        }],
    };
    let statement = Statement::new(REFERENCE, vec![Subject::new(LOG_NAME, whole)], predicate)
        .map_err(PromoteError::Write)?;
    let payload = statement.to_payload().map_err(PromoteError::Write)?;
    let mut envelope = Envelope::new(payload);
    let fault = |source| PromoteError::Envelope {
        path: LOG_NAME.into(),
        source,
    };
    envelope.sign(key).map_err(fault)?;
    envelope.to_json().map_err(fault)
}

/// Reads a head that one of the keys has signed.
pub(crate) fn read(path: &Path, keys: &TrustedKeys) -> Result<Head, PromoteError> {
    let bytes = fork_fs::read_limited(path, ENVELOPE_BYTES_MAX)?;
    let fault = |source| PromoteError::Envelope {
        path: path.to_owned(),
        source,
    };
    let envelope = Envelope::from_json(&bytes).map_err(fault)?;
    let verified = envelope.verify(keys, 1, &[PAYLOAD_TYPE]).map_err(fault)?;
    let wrong = |problem: &str| PromoteError::Signature {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let payload = verified
        .payload()
        .filter(|_| verified.wrong().is_empty())
        .ok_or_else(|| wrong("no key that `keys.toml` lists under `log` has signed it"))?;
    if !is_as_written(
        &envelope,
        &bytes,
        verified.signers().iter().map(ToString::to_string).collect(),
    ) {
        return Err(wrong("it is not as it was written"));
    }
    let statement: Statement<Predicate> = Statement::from_canonical_payload(payload, REFERENCE)
        .map_err(|source| wrong(&source.to_string()))?;
    let about_a_log = statement.subject(LOG_NAME).is_some();
    let references = &statement.predicate().references;
    match references.as_slice() {
        [reference] if about_a_log && references.len() <= REFERENCES_MAX => {
            Ok(reference.annotations)
        }
        _ => Err(wrong("it is about something else than a log")),
    }
}

/// Whether these are the bytes that were written. Names of keys are not signed, so a changed one is found
/// here alone; it would change nothing, but a record in which nothing was changed says more.
fn is_as_written(envelope: &Envelope, bytes: &[u8], signers: BTreeSet<String>) -> bool {
    #[derive(Deserialize)]
    struct Wire {
        signatures: Vec<WireSignature>,
    }
    #[derive(Deserialize)]
    struct WireSignature {
        keyid: String,
    }
    let named = serde_json::from_slice(bytes).is_ok_and(|wire: Wire| {
        let named: BTreeSet<String> = wire.signatures.into_iter().map(|one| one.keyid).collect();
        named == signers
    });
    named && envelope.to_json().is_ok_and(|written| written == bytes)
}
