//! ed25519 keys and their files.

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    ALGORITHM_ID, ALGORITHM_OID, DecodePublicKey, EncodePublicKey, PrivateKeyInfo, SecretDocument,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::KeyError;

/// Largest key file, in bytes. Real ones have 119 (private) and 113 (public).
pub const KEY_BYTES_MAX: u64 = 16 << 10;

/// What stands before the seed inside a key file: an octet string of 32 bytes (RFC 8410, 7).
const SEED_HEADER: [u8; 2] = [0x04, 0x20];
const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// Name of a key: the lower-case hexadecimal SHA-256 of its public key as DER
/// (SubjectPublicKeyInfo), which is what `openssl pkey -pubin -outform DER | sha256sum` prints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// The 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    /// Reads a PEM file with a public key: `BEGIN PUBLIC KEY`, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    ///
    /// Fails on anything else, on text before or after it, and on keys that are points of small
    /// order or not in their only encoding: under such keys one signature fits many messages, or one
    /// key has two names.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let text = one_block(pem, PUBLIC)?;
        let key = VerifyingKey::from_public_key_pem(text).map_err(|_| KeyError::Malformed)?;
        Self::new(key)
    }

    fn new(key: VerifyingKey) -> Result<Self, KeyError> {
        if key.is_weak() || key.to_edwards().compress().to_bytes() != key.to_bytes() {
            return Err(KeyError::Weak);
        }
        let der = key.to_public_key_der().map_err(|_| KeyError::Encode)?;
        let id = KeyId(hex::encode(Sha256::digest(der.as_bytes())));
        Ok(Self { key, id })
    }

    /// The key as a PEM file.
    ///
    /// # Errors
    ///
    /// Never with a key that could be made at all; encoders can fail by their type.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.key
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| KeyError::Encode)
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Whether `signature` is this key's over `message`, by the strict rules: no signature has a
    /// second spelling, and none with a component of small order counts.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

/// A private key. Its bytes are overwritten when it is dropped, and [`fmt::Debug`] shows only whose
/// it is.
pub struct SecretKey {
    key: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// Reads a PEM file with a private key: `BEGIN PRIVATE KEY` (PKCS#8), as `openssl genpkey
    /// -algorithm ed25519` writes it. The caller's copy of the text is the caller's to overwrite.
    ///
    /// # Errors
    ///
    /// Fails on anything else, on text before or after it, and when the file also names a public key
    /// that is another's. No message has a part of the key in it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let text = one_block(pem, PRIVATE)?;
        // The library's own reader leaves a copy of the seed on the stack.
        let (_, document) = SecretDocument::from_pem(text).map_err(|_| KeyError::Malformed)?;
        let info =
            PrivateKeyInfo::try_from(document.as_bytes()).map_err(|_| KeyError::Malformed)?;
        if info.algorithm.oid != ALGORITHM_OID || info.algorithm.parameters.is_some() {
            return Err(KeyError::Malformed);
        }
        let seed = info
            .private_key
            .strip_prefix(&SEED_HEADER)
            .ok_or(KeyError::Malformed)?;
        let seed: Zeroizing<[u8; 32]> =
            Zeroizing::new(seed.try_into().map_err(|_| KeyError::Malformed)?);
        let key = Self::from_seed(&seed)?;
        let own = key.public.key.as_bytes();
        if info.public_key.is_some_and(|named| named != own) {
            return Err(KeyError::Malformed);
        }
        Ok(key)
    }

    /// The key of a seed (RFC 8032, 5.1.5): 32 bytes that nobody can guess. Where they come from is
    /// the caller's affair, and so is overwriting them.
    ///
    /// # Errors
    ///
    /// Never with a seed of real random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(SigningKey::from_bytes(seed))
    }

    fn new(key: SigningKey) -> Result<Self, KeyError> {
        let public = PublicKey::new(key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// The key as a PEM file, in the form that OpenSSL writes: PKCS#8 version 1, without the public
    /// key, which older readers stumble over.
    ///
    /// # Errors
    ///
    /// As [`PublicKey::to_pem`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let mut bytes = Zeroizing::new([0; 34]);
        bytes[..2].copy_from_slice(&SEED_HEADER);
        bytes[2..].copy_from_slice(self.key.as_bytes());
        let info = PrivateKeyInfo::new(ALGORITHM_ID, bytes.as_slice());
        SecretDocument::encode_msg(&info)
            .and_then(|document| document.to_pem(PRIVATE, LineEnding::LF))
            .map_err(|_| KeyError::Encode)
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its signature over `message`: the same one every time (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("id", &self.public.id)
            .finish_non_exhaustive()
    }
}

/// The text of a file that is one PEM block of this kind and nothing else. The decoder would pass
/// over text before the block; a key file with a second key in it must not be half read.
fn one_block<'a>(pem: &'a [u8], expected: &'static str) -> Result<&'a str, KeyError> {
    let not_pem = KeyError::NotPem { expected };
    let text = std::str::from_utf8(pem)
        .map_err(|_| not_pem.clone())?
        .trim_ascii();
    if let Some(found) = kind(text).filter(|(label, _)| *label != expected) {
        return Err(KeyError::Kind {
            expected,
            found: found.1,
        });
    }
    let rest = text
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.strip_prefix(expected))
        .and_then(|rest| rest.strip_prefix("-----"))
        .and_then(|rest| rest.strip_suffix("-----"))
        .and_then(|rest| rest.strip_suffix(expected))
        .and_then(|rest| rest.strip_suffix("-----END "))
        .ok_or_else(|| not_pem.clone())?;
    if rest.contains('-') {
        return Err(not_pem);
    }
    Ok(text)
}

/// What a PEM file begins with, if it is something known, in words that name no content.
fn kind(text: &str) -> Option<(&'static str, &'static str)> {
    let label = text.strip_prefix("-----BEGIN ")?;
    [
        (PRIVATE, "a private key"),
        (PUBLIC, "a public key"),
        ("ENCRYPTED PRIVATE KEY", "an encrypted private key"),
        ("OPENSSH PRIVATE KEY", "a private key of OpenSSH"),
        ("EC PRIVATE KEY", "an ECDSA private key"),
        ("RSA PRIVATE KEY", "an RSA private key"),
        ("CERTIFICATE", "a certificate"),
        ("PGP PRIVATE KEY BLOCK", "an OpenPGP private key"),
        ("PGP PUBLIC KEY BLOCK", "an OpenPGP public key"),
    ]
    .into_iter()
    .find(|(known, _)| {
        label
            .strip_prefix(known)
            .is_some_and(|rest| rest.starts_with("-----"))
    })
}
