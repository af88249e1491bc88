//! OpenPGP signatures as apt checks them (RFC 9580; `apt-secure(8)`).
//!
//! [`OpenPgpKey`] signs a text within the cleartext signature framework (`InRelease`) and detached
//! (`Release.gpg`); [`OpenPgpKeyring`] verifies both. Keys are what `gpg --export` and
//! `gpg --export-secret-keys` write, armored or not, of the kinds ed25519 and RSA. The time of a
//! signature is an argument, and nothing random goes into it: the same text, key and time give the
//! same bytes.
//!
//! Nothing of a secret key or passphrase gets into a message: what the library says of a key that it
//! cannot read is dropped.

mod certificate;
mod error;

use std::fmt;

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, PublicOrSecret, SignedPublicKey,
    SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails, KeyVersion, Password, Timestamp};

pub use self::certificate::{OpenPgpKeyring, Verified};
pub use self::error::{OpenPgpError, OpenPgpErrorKind};

use self::certificate::{Facts, primary_facts, subkey_facts};

/// Largest key file in bytes. One key with a dozen user ids has a few KiB.
pub const KEY_BYTES_MAX: u64 = 1 << 20;

/// Most keys in a file.
const KEYS_MAX: usize = 100;

/// A secret key that signs.
pub struct OpenPgpKey {
    name: String,
    key: SignedSecretKey,
    public: SignedPublicKey,
    passphrase: Password,
}

impl fmt::Debug for OpenPgpKey {
    /// Only what is public.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenPgpKey({})", self.fingerprint())
    }
}

impl OpenPgpKey {
    /// Reads the one secret key in `bytes`; `name` says in messages where it is from. The passphrase
    /// is used where the key is protected by one.
    ///
    /// # Errors
    ///
    /// Fails on anything else than one secret key.
    pub fn read(bytes: &[u8], passphrase: Option<&str>, name: &str) -> Result<Self, OpenPgpError> {
        let mut secret = Vec::new();
        for key in parse(bytes, name)? {
            match key {
                PublicOrSecret::Secret(key) => secret.push(key),
                PublicOrSecret::Public(_) => {}
            }
        }
        let mut secret = secret.into_iter();
        match (secret.next(), secret.next()) {
            (Some(key), None) => Ok(Self {
                name: name.to_owned(),
                public: key.to_public_key(),
                key,
                passphrase: passphrase.map_or_else(Password::empty, Password::from),
            }),
            (None, _) => Err(OpenPgpErrorKind::NotSecret {
                name: name.to_owned(),
            }
            .into()),
            (Some(_), Some(_)) => Err(OpenPgpErrorKind::Several {
                name: name.to_owned(),
            }
            .into()),
        }
    }

    /// Fingerprint of the primary key, in upper-case hexadecimal as gpg shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        certificate::fingerprint(&self.public)
    }

    /// The public key alone.
    #[must_use]
    pub fn keyring(&self) -> OpenPgpKeyring {
        OpenPgpKeyring::of(vec![self.public.clone()])
    }

    /// The public key alone, armored: what apt's `signed-by` takes.
    ///
    /// # Errors
    ///
    /// Fails only on a bug.
    pub fn public_key(&self) -> Result<String, OpenPgpError> {
        self.public
            .to_armored_string(ArmorOptions::default())
            .map_err(|error| internal(&error))
    }

    /// The text with its signature in the cleartext signature framework: `InRelease`.
    ///
    /// `time` is that of the signature, in seconds since 1970. The signature covers the text without
    /// its last line end, as gpg has it.
    ///
    /// # Errors
    ///
    /// Fails when the key cannot sign at that time (not made yet, expired, revoked, not for signing,
    /// or protected by another passphrase), and on a text with blanks at a line's end or carriage
    /// returns, which the framework does not preserve.
    pub fn sign_cleartext(&self, text: &str, time: u64) -> Result<String, OpenPgpError> {
        let body = text.strip_suffix('\n').ok_or(OpenPgpErrorKind::Text)?;
        let kept = |line: &str| line.trim_end() == line && !line.contains('\r');
        if !body.split('\n').all(kept) {
            return Err(OpenPgpErrorKind::Text.into());
        }
        let signer = self.signer(time)?;
        let config = config(&signer, SignatureType::Text, time)?;
        let signed = CleartextSignedMessage::new(body, config, &signer, &self.passphrase)
            .and_then(|message| message.to_armored_string(ArmorOptions::default()))
            .map_err(|_| self.refused())?;
        let verified = self.keyring().verify_cleartext(&signed, Some(time))?;
        if verified.text != text {
            return Err(OpenPgpErrorKind::Text.into());
        }
        Ok(signed)
    }

    /// A detached signature of the text, armored: `Release.gpg`.
    ///
    /// # Errors
    ///
    /// As [`Self::sign_cleartext`], for any text.
    pub fn sign_detached(&self, text: &str, time: u64) -> Result<String, OpenPgpError> {
        let signer = self.signer(time)?;
        let signature = config(&signer, SignatureType::Binary, time)?
            .sign(&signer, &self.passphrase, text.as_bytes())
            .map_err(|_| self.refused())?;
        let armored = DetachedSignature::new(signature)
            .to_armored_string(ArmorOptions::default())
            .map_err(|error| internal(&error))?;
        self.keyring().verify_detached(text, &armored, Some(time))?;
        Ok(armored)
    }

    /// Checks that the key can sign at this time, without signing anything.
    ///
    /// # Errors
    ///
    /// As [`Self::sign_cleartext`].
    pub fn check(&self, time: u64) -> Result<(), OpenPgpError> {
        self.sign_detached("", time).map(drop)
    }

    /// The key that signs at this time: as gpg chooses, the newest subkey for signing, or else the
    /// primary key.
    fn signer(&self, time: u64) -> Result<Signer<'_>, OpenPgpError> {
        let unusable = |why: String| -> OpenPgpError {
            OpenPgpErrorKind::Unusable {
                fingerprint: self.fingerprint(),
                why,
            }
            .into()
        };
        let primary = primary_facts(&self.public)
            .ok_or_else(|| unusable("its own signatures do not fit it".to_owned()))?;
        // A subkey is worth nothing without its primary key.
        if let Some(why) = primary
            .objection(time)
            .filter(|_| !primary.lacks_only_signing(time))
        {
            return Err(unusable(why));
        }
        let mut best: Option<(Facts, Signer<'_>)> = None;
        for subkey in &self.key.secret_subkeys {
            let facts = subkey_facts(&self.public, &subkey.signed_public_key());
            let Some(facts) = facts.filter(|facts| facts.objection(time).is_none()) else {
                continue;
            };
            if is_supported(&subkey.key)
                && best
                    .as_ref()
                    .is_none_or(|(best, _)| best.created < facts.created)
            {
                let protected = subkey.key.secret_params().is_encrypted();
                best = Some((facts, Signer::new(&subkey.key, protected)));
            }
        }
        let signer = match best {
            Some((_, signer)) => signer,
            None => {
                if let Some(why) = primary.objection(time) {
                    return Err(unusable(why));
                }
                if !is_supported(&self.key.primary_key) {
                    return Err(unusable("it is neither ed25519 nor RSA".to_owned()));
                }
                let protected = self.key.primary_key.secret_params().is_encrypted();
                Signer::new(&self.key.primary_key, protected)
            }
        };
        if signer.protected && self.passphrase.read().is_empty() {
            return Err(OpenPgpErrorKind::Passphrase {
                name: self.name.clone(),
                missing: true,
            }
            .into());
        }
        Ok(signer)
    }

    /// Why the key did not sign although it could have: what the library says may be about the secret.
    fn refused(&self) -> OpenPgpError {
        OpenPgpErrorKind::Passphrase {
            name: self.name.clone(),
            missing: false,
        }
        .into()
    }
}

/// A secret key of either kind, that the library can sign with.
#[derive(Debug)]
struct Signer<'a> {
    key: &'a dyn pgp::types::SigningKey,
    protected: bool,
}

impl<'a> Signer<'a> {
    fn new(key: &'a dyn pgp::types::SigningKey, protected: bool) -> Self {
        Self { key, protected }
    }
}

impl KeyDetails for Signer<'_> {
    fn version(&self) -> KeyVersion {
        self.key.version()
    }

    fn legacy_key_id(&self) -> pgp::types::KeyId {
        self.key.legacy_key_id()
    }

    fn fingerprint(&self) -> pgp::types::Fingerprint {
        self.key.fingerprint()
    }

    fn algorithm(&self) -> PublicKeyAlgorithm {
        self.key.algorithm()
    }

    fn created_at(&self) -> Timestamp {
        self.key.created_at()
    }

    fn legacy_v3_expiration_days(&self) -> Option<u16> {
        self.key.legacy_v3_expiration_days()
    }

    fn public_params(&self) -> &pgp::types::PublicParams {
        self.key.public_params()
    }
}

impl pgp::types::SigningKey for Signer<'_> {
    fn sign(
        &self,
        passphrase: &Password,
        hash: HashAlgorithm,
        data: &[u8],
    ) -> pgp::errors::Result<pgp::types::SignatureBytes> {
        self.key.sign(passphrase, hash, data)
    }

    fn hash_alg(&self) -> HashAlgorithm {
        self.key.hash_alg()
    }
}

/// What a signature says besides the text: its time and whose it is.
fn config(
    signer: &Signer<'_>,
    kind: SignatureType,
    time: u64,
) -> Result<SignatureConfig, OpenPgpError> {
    let time = u32::try_from(time).map_err(|_| OpenPgpErrorKind::Time { time })?;
    let subpacket = |data| Subpacket::regular(data).map_err(|error| internal(&error));
    let mut config = SignatureConfig::v4(kind, signer.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        subpacket(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            time,
        )))?,
        subpacket(SubpacketData::IssuerFingerprint(signer.fingerprint()))?,
    ];
    config.unhashed_subpackets = vec![subpacket(SubpacketData::IssuerKeyId(
        signer.legacy_key_id(),
    ))?];
    Ok(config)
}

fn is_supported(key: &impl KeyDetails) -> bool {
    // Later versions put random bytes into signatures, and no apt so far reads them.
    key.version() == KeyVersion::V4
        && matches!(
            key.algorithm(),
            PublicKeyAlgorithm::RSA
                | PublicKeyAlgorithm::RSASign
                | PublicKeyAlgorithm::EdDSALegacy
                | PublicKeyAlgorithm::Ed25519
        )
}

/// The keys in a file.
fn parse(bytes: &[u8], name: &str) -> Result<Vec<PublicOrSecret>, OpenPgpError> {
    let malformed = || -> OpenPgpError {
        OpenPgpErrorKind::Malformed {
            name: name.to_owned(),
        }
        .into()
    };
    if bytes.len() as u64 > KEY_BYTES_MAX {
        return Err(malformed());
    }
    let (keys, _) = PublicOrSecret::from_reader_many(bytes).map_err(|_| malformed())?;
    let keys: Vec<_> = keys
        .take(KEYS_MAX)
        .collect::<Result<_, _>>()
        .map_err(|_| malformed())?;
    if keys.is_empty() {
        return Err(malformed());
    }
    Ok(keys)
}

fn internal(error: &pgp::errors::Error) -> OpenPgpError {
    OpenPgpErrorKind::Internal {
        problem: error.to_string(),
    }
    .into()
}
