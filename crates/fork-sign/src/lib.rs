//! Signatures over facts.
//!
//! - [`Statement`]: an in-toto Statement v1, which says something (its predicate) about artefacts (its
//!   subjects), as canonical JSON: the same facts give the same bytes, whoever writes them.
//! - [`Envelope`]: a DSSE envelope around such bytes. Any number of people sign the same bytes;
//!   signatures are added ([`Envelope::sign`]) and brought together ([`Envelope::merge`]).
//! - [`TrustedKeys`], [`Envelope::verify`]: how many *distinct* trusted keys signed.
//! - [`openpgp`]: signatures as apt checks them.
//! - [`SecretKey`], [`PublicKey`]: ed25519, in the PEM files that OpenSSL writes and reads.
//!
//! Nothing here reads files, a clock or the environment, or makes random numbers: seeds and keys are
//! arguments. Nothing is trusted because it is inside an envelope: keys come from outside, and a key
//! id in an envelope is a label that decides nothing.
//!
//! Sources: DSSE protocol 1.0 (`secure-systems-lab/dsse`), in-toto attestation framework v1, RFC 8032
//! (ed25519, checked strictly), RFC 8410 and 5208 (key files), RFC 8785 (canonical JSON).
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

mod canonical;
mod envelope;
mod error;
mod key;
pub mod openpgp;
mod statement;
mod verify;

pub use canonical::canonical_json;
pub use envelope::{ENVELOPE_BYTES_MAX, Envelope, PAYLOAD_TYPE, SIGNATURES_MAX, pae};
pub use error::{EnvelopeError, KeyError, StatementError};
pub use key::{KEY_BYTES_MAX, KeyId, PublicKey, SecretKey};
pub use statement::{STATEMENT_TYPE, SUBJECTS_MAX, Statement, Subject};
pub use verify::{SignatureStatus, TRUSTED_KEYS_MAX, TrustedKeys, Verification};
