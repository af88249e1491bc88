//! Signatures: DSSE envelopes around in-toto statements, and OpenPGP for apt repositories.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

mod openpgp;

pub use openpgp::{
    KEY_BYTES_MAX, OpenPgpError, OpenPgpErrorKind, OpenPgpKey, OpenPgpKeyring, Verified,
};
