//! A suite in a store: where its files are, and its state.

use std::collections::BTreeMap;

use fork_daemon::Store;
use fork_daemon::store::Version;
use fork_package::apt::{Index, IndexRef, Release};
use fork_sign::openpgp::{OpenPgpKeyring, Verified};
use sha2::{Digest, Sha256};

use super::PublishError;

/// Largest Release file. A suite of ten components for ten architectures has 30 KiB.
const RELEASE_BYTES_MAX: u64 = 1 << 20;

/// Largest index. Debian's own has 50 MiB.
const INDEX_BYTES_MAX: u64 = 128 << 20;

/// A suite in a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    pub(super) store: &'a Store,
    pub(super) suite: &'a str,
}

/// What is published.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Which state of InRelease this is.
    pub(super) version: Version,
    pub(super) signed: Verified,
    pub(super) release: Release,
}

impl Site<'_> {
    /// Name of the object that the suite has under this path.
    pub(super) fn key(&self, path: &str) -> String {
        format!("dists/{}/{path}", self.suite)
    }

    /// Name of the object that an index is under its digest.
    pub(super) fn by_hash(&self, path: &str, sha256: &str) -> String {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        self.key(&format!("{directory}/by-hash/SHA256/{sha256}"))
    }

    /// A small file of the suite.
    pub(super) fn read_text(&self, path: &str) -> Result<Option<String>, PublishError> {
        let key = self.key(path);
        let bytes = self.store.read(&key, RELEASE_BYTES_MAX)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The state of the suite as it is signed; `None` when there is no such suite.
    pub(super) fn read(&self, keyring: &OpenPgpKeyring) -> Result<Option<State>, PublishError> {
        let key = self.key("InRelease");
        let store = || self.store.to_string();
        let Some((bytes, version)) = self.store.read_version(&key, RELEASE_BYTES_MAX)? else {
            // Somebody's unsigned suite: readers that take it would see it disappear.
            let key = self.key("Release");
            return match self.store.size(&key)? {
                None => Ok(None),
                Some(_) => Err(PublishError::Unsigned {
                    store: store(),
                    key,
                }),
            };
        };
        let text = String::from_utf8_lossy(&bytes);
        let signed = match keyring.verify_cleartext(&text, None) {
            Ok(signed) => signed,
            Err(source) => {
                return Err(PublishError::Signature {
                    store: store(),
                    key,
                    source,
                });
            }
        };
        let release = match Release::parse(&signed.text) {
            Ok(release) => release,
            Err(source) => {
                return Err(PublishError::Foreign {
                    store: store(),
                    key,
                    source,
                });
            }
        };
        if release.suite != self.suite {
            return Err(PublishError::Contradiction {
                store: store(),
                key,
                problem: format!("for the suite `{}`", release.suite),
            });
        }
        Ok(Some(State {
            version,
            signed,
            release,
        }))
    }

    /// An index file, as the signed Release names it.
    pub(super) fn read_index(&self, path: &str, index: &IndexRef) -> Result<Vec<u8>, PublishError> {
        let key = self.by_hash(path, &index.sha256);
        let bytes = self.store.read(&key, INDEX_BYTES_MAX)?;
        let problem = match &bytes {
            None => "is missing".to_owned(),
            Some(bytes) => match mismatch(bytes, index) {
                None => return Ok(bytes.clone()),
                Some(problem) => problem,
            },
        };
        Err(PublishError::Index {
            store: self.store.to_string(),
            key,
            problem,
        })
    }

    /// Every package of each component.
    pub(super) fn read_components(
        &self,
        release: &Release,
    ) -> Result<BTreeMap<String, Index>, PublishError> {
        let mut components: BTreeMap<String, Index> = release
            .components
            .iter()
            .map(|name| (name.clone(), Index::default()))
            .collect();
        for (path, index) in &release.indices {
            let key = self.by_hash(path, &index.sha256);
            let foreign = |source| PublishError::Foreign {
                store: self.store.to_string(),
                key: key.clone(),
                source,
            };
            let known = path.split_once('/').and_then(|(component, rest)| {
                let rest = rest.strip_prefix("binary-")?;
                let (_, name) = rest.split_once('/')?;
                Some((components.get_mut(component)?, name))
            });
            let (component, name) = match known {
                Some((component, name @ ("Packages" | "Packages.gz"))) => (component, name),
                _ => {
                    return Err(PublishError::Contradiction {
                        store: self.store.to_string(),
                        key: self.key("InRelease"),
                        problem: format!("it names `{path}`, which is not written here"),
                    });
                }
            };
            if name != "Packages" {
                continue;
            }
            let text = self.read_index(path, index)?;
            let text = String::from_utf8_lossy(&text);
            for entry in Index::parse(&text).map_err(foreign)?.entries() {
                component.add(entry.clone());
            }
        }
        Ok(components)
    }
}

/// How bytes differ from what a signed Release says.
pub(super) fn mismatch(bytes: &[u8], index: &IndexRef) -> Option<String> {
    let sha256 = hex::encode(Sha256::digest(bytes));
    if sha256 != index.sha256 || bytes.len() as u64 != index.bytes {
        return Some(format!(
            "has SHA-256 {sha256} and {} bytes, expected {} and {}",
            bytes.len(),
            index.sha256,
            index.bytes
        ));
    }
    None
}
