//! Public keys: what they may do when, and what they signed.

use std::fmt;

use pgp::composed::{
    CleartextSignedMessage, Deserializable, DetachedSignature, PublicOrSecret, SignedPublicKey,
    SignedPublicSubKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

use super::error::{OpenPgpError, OpenPgpErrorKind};

/// Most signatures looked at in one text.
const SIGNATURES_MAX: usize = 20;

/// What a key's own signatures say of it. Times are seconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) created: u64,
    expires: Option<u64>,
    is_revoked: bool,
    is_for_signing: bool,
}

impl Facts {
    /// Why it must not sign at this time.
    pub(super) fn objection(&self, time: u64) -> Option<String> {
        if self.is_revoked {
            Some("it is revoked".to_owned())
        } else if time < self.created {
            Some(format!(
                "it was made at {}, after the time of the signature, {time} (seconds since 1970)",
                self.created
            ))
        } else if let Some(expires) = self.expires.filter(|expires| *expires <= time) {
            Some(format!(
                "it expired at {expires}, the time is {time} (seconds since 1970)"
            ))
        } else if !self.is_for_signing {
            Some("it is not for signing, and has no subkey that is".to_owned())
        } else {
            None
        }
    }

    /// Whether nothing but the purpose speaks against it.
    pub(super) fn lacks_only_signing(&self, time: u64) -> bool {
        let for_signing = Self {
            is_for_signing: true,
            ..self.clone()
        };
        for_signing.objection(time).is_none()
    }
}

/// What the self-signatures say; `None` when there is none that is valid.
pub(super) fn primary_facts(key: &SignedPublicKey) -> Option<Facts> {
    let primary = &key.primary_key;
    let certifications = key.details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.is_certification()
                && signature
                    .verify_certification(primary, Tag::UserId, &user.id)
                    .is_ok()
        })
    });
    let direct = key
        .details
        .direct_signatures
        .iter()
        .filter(|signature| signature.verify_key(primary).is_ok());
    let newest = newest(certifications.chain(direct))?;
    let is_revoked = key
        .details
        .revocation_signatures
        .iter()
        .any(|signature| signature.verify_key(primary).is_ok());
    Some(facts(
        primary,
        newest,
        is_revoked,
        newest.key_flags().sign(),
    ))
}

/// What the signatures that bind a subkey say; `None` when there is none that is valid.
pub(super) fn subkey_facts(key: &SignedPublicKey, subkey: &SignedPublicSubKey) -> Option<Facts> {
    let primary = &key.primary_key;
    let valid = |kind| {
        subkey.signatures.iter().filter(move |signature| {
            signature.typ() == Some(kind)
                && signature
                    .verify_subkey_binding(primary, &subkey.key)
                    .is_ok()
        })
    };
    let newest = newest(valid(SignatureType::SubkeyBinding))?;
    let is_revoked = valid(SignatureType::SubkeyRevocation).next().is_some();
    // Both sides must say so: else anybody could bind somebody else's key as their own.
    let agrees = newest.embedded_signature().is_some_and(|signature| {
        signature
            .verify_primary_key_binding(&subkey.key, primary)
            .is_ok()
    });
    let is_for_signing = newest.key_flags().sign() && agrees;
    Some(facts(&subkey.key, newest, is_revoked, is_for_signing))
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created())
}

fn facts(
    key: &impl KeyDetails,
    signature: &Signature,
    is_revoked: bool,
    is_for_signing: bool,
) -> Facts {
    let created = u64::from(key.created_at().as_secs());
    let lasts = signature
        .key_expiration_time()
        .map(|lasts| std::time::Duration::from(lasts).as_secs())
        .filter(|lasts| *lasts > 0);
    Facts {
        created,
        expires: lasts.map(|lasts| created.saturating_add(lasts)),
        is_revoked,
        is_for_signing,
    }
}

/// Fingerprint of the primary key, in upper-case hexadecimal.
pub(super) fn fingerprint(key: &SignedPublicKey) -> String {
    hex::encode_upper(key.primary_key.fingerprint().as_bytes())
}

/// Whose signature is believed.
#[derive(Clone)]
pub struct OpenPgpKeyring {
    keys: Vec<SignedPublicKey>,
}

/// A text that somebody in a keyring signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What was signed.
    pub text: String,
    /// Fingerprint of the primary key, in upper-case hexadecimal.
    pub fingerprint: String,
    /// When it was signed, in seconds since 1970.
    pub time: u64,
}

impl fmt::Debug for OpenPgpKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fingerprints()).finish()
    }
}

impl OpenPgpKeyring {
    pub(super) fn of(keys: Vec<SignedPublicKey>) -> Self {
        Self { keys }
    }

    /// Reads every key in `bytes`, armored or not; of secret keys, the public half. `name` says in
    /// messages where they are from.
    ///
    /// # Errors
    ///
    /// Fails when there is none, and on anything else.
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, OpenPgpError> {
        let keys = super::parse(bytes, name)?;
        let public = |key| match key {
            PublicOrSecret::Public(key) => key,
            PublicOrSecret::Secret(key) => key.to_public_key(),
        };
        Ok(Self::of(keys.into_iter().map(public).collect()))
    }

    /// Adds the keys of another keyring.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
    }

    /// Fingerprints of the keys, in upper-case hexadecimal.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(fingerprint).collect()
    }

    /// Verifies a text in the cleartext signature framework (`InRelease`) and gives back what was
    /// signed. The key must have been valid when it signed, and at `time` (seconds since 1970) too
    /// if that is given.
    ///
    /// # Errors
    ///
    /// Fails when there is anything before or after the signed text and its signature, and when no
    /// signature is valid.
    pub fn verify_cleartext(
        &self,
        message: &str,
        time: Option<u64>,
    ) -> Result<Verified, OpenPgpError> {
        let (message, _) = CleartextSignedMessage::from_string(message)
            .map_err(|_| OpenPgpErrorKind::NotSigned)?;
        let normalized = message.signed_text();
        let text = format!("{}\n", normalized.replace("\r\n", "\n"));
        if text.contains('\r') {
            return Err(OpenPgpErrorKind::NotSigned.into());
        }
        self.verify(message.signatures(), normalized.as_bytes(), text, time)
    }

    /// Verifies a detached signature (`Release.gpg`), as [`Self::verify_cleartext`].
    ///
    /// # Errors
    ///
    /// As [`Self::verify_cleartext`].
    pub fn verify_detached(
        &self,
        text: &str,
        signature: &str,
        time: Option<u64>,
    ) -> Result<Verified, OpenPgpError> {
        let (signatures, _) = DetachedSignature::from_string_many(signature)
            .map_err(|_| OpenPgpErrorKind::NotSigned)?;
        let signatures: Vec<Signature> = signatures
            .take(SIGNATURES_MAX)
            .map(|signature| signature.map(|signature| signature.signature))
            .collect::<Result<_, _>>()
            .map_err(|_| OpenPgpErrorKind::NotSigned)?;
        self.verify(&signatures, text.as_bytes(), text.to_owned(), time)
    }

    fn verify(
        &self,
        signatures: &[Signature],
        data: &[u8],
        text: String,
        time: Option<u64>,
    ) -> Result<Verified, OpenPgpError> {
        if signatures.is_empty() || signatures.len() > SIGNATURES_MAX {
            return Err(OpenPgpErrorKind::NotSigned.into());
        }
        let mut problems = Vec::new();
        for signature in signatures {
            match self.verify_one(signature, data, time) {
                Ok((fingerprint, time)) => {
                    return Ok(Verified {
                        text,
                        fingerprint,
                        time,
                    });
                }
                Err(problem) => problems.push(problem),
            }
        }
        Err(OpenPgpErrorKind::Signature { problems }.into())
    }

    /// Whose signature it is, and when it was made; or why it does not count.
    fn verify_one(
        &self,
        signature: &Signature,
        data: &[u8],
        time: Option<u64>,
    ) -> Result<(String, u64), String> {
        let issuer = issuer(signature);
        let strong = matches!(
            signature.hash_alg(),
            Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512)
        );
        if !strong {
            return Err(format!("the one by {issuer} uses a weak digest"));
        }
        let made = signature
            .created()
            .map(|created| u64::from(created.as_secs()))
            .ok_or_else(|| format!("the one by {issuer} has no time"))?;
        if !matches!(
            signature.typ(),
            Some(SignatureType::Text | SignatureType::Binary)
        ) {
            return Err(format!("the one by {issuer} is not of a text"));
        }
        let lasts = signature
            .signature_expiration_time()
            .map(|lasts| std::time::Duration::from(lasts).as_secs())
            .filter(|lasts| *lasts > 0);
        let expires = lasts.map(|lasts| made.saturating_add(lasts));
        if matches!((expires, time), (Some(expires), Some(time)) if expires <= time) {
            return Err(format!("the one by {issuer} has expired"));
        }
        for key in &self.keys {
            let Some(primary) = primary_facts(key) else {
                continue;
            };
            let facts = if fits(signature, &key.primary_key, data) {
                Some(primary.clone())
            } else {
                key.public_subkeys
                    .iter()
                    .find(|subkey| fits(signature, &subkey.key, data))
                    .and_then(|subkey| subkey_facts(key, subkey))
            };
            let Some(facts) = facts else {
                continue;
            };
            for time in std::iter::once(made).chain(time) {
                let objection = facts.objection(time).or_else(|| {
                    primary
                        .objection(time)
                        .filter(|_| !primary.lacks_only_signing(time))
                });
                if let Some(objection) = objection {
                    return Err(format!(
                        "key {} does not count: {objection}",
                        fingerprint(key)
                    ));
                }
            }
            return Ok((fingerprint(key), made));
        }
        Err(format!(
            "the one by {issuer} does not fit the text, or is of a key that is not believed"
        ))
    }
}

fn fits(signature: &Signature, key: &impl VerifyingKey, data: &[u8]) -> bool {
    signature.verify(key, data).is_ok()
}

/// Who a signature says it is by.
fn issuer(signature: &Signature) -> String {
    if let Some(fingerprint) = signature.issuer_fingerprint().first() {
        return hex::encode_upper(fingerprint.as_bytes());
    }
    signature.issuer_key_id().first().map_or_else(
        || "nobody".to_owned(),
        |id| hex::encode_upper(AsRef::<[u8]>::as_ref(id)),
    )
}
