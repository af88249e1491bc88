//! Signatures: DSSE envelopes around in-toto statements, and OpenPGP for apt repositories.
