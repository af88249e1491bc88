//! Keys: the pinned public ones by role, and the secret ones that sign.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use fork_fs::{FsError, Operation};
use fork_sign::openpgp::OpenPgpKeyring;
use fork_sign::{KEY_BYTES_MAX, PublicKey, SecretKey, TrustedKeys};
use release_policy::policy::Keys;
use release_policy::{KeyId, Time};
use zeroize::Zeroizing;

use crate::error::PromoteError;

/// Variable with the text of the key that signs statements.
pub(crate) const KEY_VARIABLE: &str = "FORKPACK_SIGNING_KEY";
/// Variable with the text of the key that signs the head of the log.
pub(crate) const LOG_KEY_VARIABLE: &str = "FORKPACK_LOG_KEY";
/// What the keys of `fork-sign` begin with in a file of keys.
const ED25519: &str = "ed25519:";
/// What OpenPGP fingerprints begin with there.
const OPENPGP: &str = "openpgp:";
/// Largest OpenPGP certificate in a file of keys, in bytes.
const CERTIFICATE_BYTES_MAX: u64 = 256 << 10;

/// The name of a key as policies and logs have it.
pub(crate) fn key_id(id: &fork_sign::KeyId) -> Result<KeyId, PromoteError> {
    format!("{ED25519}{id}")
        .parse()
        .map_err(|_| PromoteError::input(format!("key {id}"), "it has no name"))
}

/// The keys of one release, with the keys themselves.
#[derive(Debug)]
pub(crate) struct PinnedKeys {
    /// The file as it was read.
    pub(crate) text: String,
    /// Whose they are.
    pub(crate) keys: Keys,
    /// Every key of every role: who signs is found first, whether it counts is asked later.
    pub(crate) all: TrustedKeys,
    /// Keys that sign the head of the log.
    pub(crate) log: TrustedKeys,
    openpgp: BTreeMap<KeyId, OpenPgpKeyring>,
}

impl PinnedKeys {
    /// Reads a file of keys and checks each key against its name.
    pub(crate) fn parse(path: &Path, text: String) -> Result<Self, PromoteError> {
        let keys = Keys::parse(&text).map_err(|source| PromoteError::Policy {
            path: path.to_owned(),
            source,
        })?;
        let wrong = |problem: String| PromoteError::Keys {
            path: path.to_owned(),
            problem,
        };
        let mut pinned = Self {
            text,
            keys,
            all: TrustedKeys::new(),
            log: TrustedKeys::new(),
            openpgp: BTreeMap::new(),
        };
        if pinned.keys.log.is_empty() {
            return Err(wrong(
                "`log` lists no key, so nobody could sign the record".to_owned(),
            ));
        }
        let used: BTreeSet<&KeyId> = pinned
            .keys
            .roles
            .values()
            .flatten()
            .chain(&pinned.keys.log)
            .collect();
        let mut named = pinned.keys.public.keys().chain(pinned.keys.expires.keys());
        if let Some(idle) = named.find(|id| !used.contains(id)) {
            return Err(wrong(format!("{idle} is there and has no role")));
        }
        for id in used {
            let public = pinned.keys.public.get(id);
            let public = public.ok_or_else(|| wrong(format!("`[public]` has no {id}")))?;
            let name = id.to_string();
            if let Some(fingerprint) = name.strip_prefix(OPENPGP) {
                if pinned.keys.log.contains(id) {
                    return Err(wrong(format!(
                        "{id} cannot sign the record; use an ed25519 key"
                    )));
                }
                let ring = certificate(public.as_bytes(), &name)?;
                if ring.fingerprints() != [fingerprint.to_ascii_uppercase()] {
                    return Err(wrong(format!("the key under {id} is another one")));
                }
                pinned.openpgp.insert(id.clone(), ring);
                continue;
            }
            let key =
                PublicKey::from_pem(public.as_bytes()).map_err(|source| PromoteError::Key {
                    name: name.clone(),
                    source,
                })?;
            if key_id(key.id())? != *id {
                return Err(wrong(format!(
                    "the key under {id} is {ED25519}{}",
                    key.id()
                )));
            }
            let full = |source| PromoteError::Envelope {
                path: path.to_owned(),
                source,
            };
            if pinned.keys.log.contains(id) {
                pinned.log.insert(key.clone()).map_err(full)?;
            }
            if pinned.keys.roles.values().any(|keys| keys.contains(id)) {
                pinned.all.insert(key).map_err(full)?;
            }
        }
        Ok(pinned)
    }

    /// The keys that may sign the head of a log whose last entry is of this time.
    pub(crate) fn log_at(&self, at: Time) -> Result<TrustedKeys, PromoteError> {
        let mut keys = TrustedKeys::new();
        let good = |id: &&KeyId| self.keys.expired(id, at).is_none();
        for id in self.keys.log.iter().filter(good) {
            let name = id.to_string();
            let pem = self.keys.public.get(id).map_or("", String::as_str);
            let key = PublicKey::from_pem(pem.as_bytes())
                .map_err(|source| PromoteError::Key { name, source })?;
            let fault = |source| PromoteError::Envelope {
                path: "keys.toml".into(),
                source,
            };
            keys.insert(key).map_err(fault)?;
        }
        Ok(keys)
    }

    /// The OpenPGP certificates of a role, together.
    pub(crate) fn keyring(&self, role: &str) -> Option<OpenPgpKeyring> {
        let mut rings = self
            .keys
            .roles
            .get(role)?
            .iter()
            .filter_map(|id| self.openpgp.get(id))
            .cloned();
        let mut all = rings.next()?;
        rings.for_each(|ring| all.extend(ring));
        Some(all)
    }
}

fn certificate(bytes: &[u8], name: &str) -> Result<OpenPgpKeyring, PromoteError> {
    OpenPgpKeyring::read(bytes, name).map_err(|source| PromoteError::OpenPgp {
        name: name.to_owned(),
        source,
    })
}

/// Makes the text of a file of keys from files of public keys by role.
pub(crate) fn write_keys(
    roles: &[(String, PathBuf)],
    log: &[PathBuf],
    ends: &[(PathBuf, Time)],
) -> Result<String, PromoteError> {
    let mut lists: BTreeMap<&str, BTreeSet<KeyId>> = BTreeMap::new();
    let mut public: BTreeMap<KeyId, String> = BTreeMap::new();
    for (role, path) in roles {
        let (id, text) = public_key(path)?;
        lists.entry(role).or_default().insert(id.clone());
        public.insert(id, text);
    }
    let mut heads = BTreeSet::new();
    for path in log {
        let (id, text) = public_key(path)?;
        heads.insert(id.clone());
        public.insert(id, text);
    }
    let mut expires = BTreeMap::new();
    for (path, end) in ends {
        let (id, _) = public_key(path)?;
        if !public.contains_key(&id) {
            return Err(PromoteError::usage(
                format!(
                    "`{}` ends, and is no key of --role or --log",
                    path.display()
                ),
                "name it there too",
            ));
        }
        expires.insert(id, *end);
    }
    Ok(keys_text(&lists, &heads, &public, &expires))
}

/// A file of keys.
pub(crate) fn keys_text(
    roles: &BTreeMap<&str, BTreeSet<KeyId>>,
    log: &BTreeSet<KeyId>,
    public: &BTreeMap<KeyId, String>,
    expires: &BTreeMap<KeyId, Time>,
) -> String {
    let list = |ids: &BTreeSet<KeyId>| {
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
        format!("[{}]", ids.join(", "))
    };
    let mut text =
        "# Whose word counts in this release. Its digest is in the first entry of the log.\n"
            .to_owned();
    text.push_str(&format!("log = {}\n\n[roles]\n", list(log)));
    for (role, ids) in roles {
        text.push_str(&format!("{role} = {}\n", list(ids)));
    }
    if !expires.is_empty() {
        text.push_str("\n[expires]\n");
        for (id, end) in expires {
            text.push_str(&format!("\"{id}\" = \"{end}\"\n"));
        }
    }
    text.push_str("\n[public]\n");
    for (id, pem) in public {
        text.push_str(&format!("\"{id}\" = '''\n{}\n'''\n", pem.trim()));
    }
    text
}

/// A public key of either kind, with its name.
fn public_key(path: &Path) -> Result<(KeyId, String), PromoteError> {
    let bytes = fork_fs::read_limited(path, CERTIFICATE_BYTES_MAX)?;
    let not_text = || PromoteError::Text {
        path: path.to_owned(),
    };
    let text = String::from_utf8(bytes).map_err(|_| not_text())?;
    if text.contains("'''") {
        return Err(PromoteError::file(path, "it is no key"));
    }
    let name = path.display().to_string();
    if text.contains("BEGIN PGP PUBLIC KEY BLOCK") {
        let ring = certificate(text.as_bytes(), &name)?;
        let fingerprints = ring.fingerprints();
        let [fingerprint] = fingerprints.as_slice() else {
            return Err(PromoteError::file(
                path,
                "it holds several keys, expected one",
            ));
        };
        let id = format!("{OPENPGP}{}", fingerprint.to_ascii_lowercase());
        let id = id
            .parse()
            .map_err(|_| PromoteError::file(path, "its fingerprint has an unknown length"))?;
        return Ok((id, text));
    }
    let key = PublicKey::from_pem(text.as_bytes()).map_err(|source| PromoteError::Key {
        name: format!("`{name}`"),
        source,
    })?;
    Ok((key_id(key.id())?, text))
}

/// The secret keys in files, or the one in a variable when no file is named. What was read is
/// overwritten.
pub(crate) fn secrets(
    files: &[PathBuf],
    variable: &'static str,
) -> Result<Vec<SecretKey>, PromoteError> {
    let mut keys = Vec::new();
    for path in files {
        keys.push(secret(&format!("`{}`", path.display()), &read_pem(path)?)?);
    }
    // No option of clap: it would be one of the command line too, which every process list shows.
    if keys.is_empty()
        && let Some(text) = std::env::var_os(variable).filter(|text: &OsString| !text.is_empty())
    {
        let text = Zeroizing::new(text.into_vec());
        keys.push(secret(&format!("the variable {variable}"), &text)?);
    }
    Ok(keys)
}

fn secret(name: &str, pem: &[u8]) -> Result<SecretKey, PromoteError> {
    SecretKey::from_pem(pem).map_err(|source| PromoteError::Key {
        name: name.to_owned(),
        source,
    })
}

/// A key file. The buffer never grows, because growing leaves a copy behind.
fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, PromoteError> {
    let most = KEY_BYTES_MAX + 1;
    let capacity = usize::try_from(most + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    fork_fs::open(path)?
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|source| FsError::io(Operation::Read, path, source))?;
    Ok(bytes)
}
