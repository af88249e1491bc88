//! A candidate store: which object is where, and in which order they are written.
//!
//! ```text
//! store.json                               what this is, and of which network
//! ledgers/ROOT/SHA256.json.zst             the accounts of one ledger, stored once
//! ledgers/ROOT/ledger.json                 written after them
//! blocks/STATE_HASH.json                   the block as captured
//! candidates/STATE_HASH.json               written last: what is listed is complete
//! daemons/NAME.json                        what a daemon showed; replaced whenever it changes
//! refusals/STATE_HASH-NAME-SHA256.json     why an answer was refused
//! ```

use std::io::Read;
use std::path::Path;

use fork_daemon::{Store, StoreError};
use fork_fs::Digested;
use fork_types::document::{
    DOCUMENT_BYTES_MAX, DaemonView, Document, DocumentError, FileRef, Refusal, StoreDocument,
    StoredCandidate, StoredLedger,
};
use fork_types::{Class, Fault, LedgerHash, StateHash};

/// Largest block stored, in bytes.
const BLOCK_BYTES_MAX: u64 = fork_genesis::block::BLOCK_BYTES_MAX;

/// Why a candidate store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The store itself failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document in it is none.
    #[error("`{key}` in the store `{store}`")]
    Document {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// There is no candidate store.
    #[error("there is no candidate store at `{store}`")]
    Missing {
        /// The store.
        store: String,
    },
    /// The store is another network's.
    #[error("the store `{store}` holds candidates of network `{found}`, expected `{expected}`")]
    Network {
        /// The store.
        store: String,
        /// Network asked for.
        expected: String,
        /// Network of the store.
        found: String,
    },
    /// An object that a document names is not there.
    #[error("`{key}` is missing in the store `{store}`, although `{named_by}` names it")]
    Incomplete {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// The document that names it.
        named_by: String,
    },
    /// An object differs from what a document says about it.
    #[error("`{key}` in the store `{store}` has {what} {found}, expected {expected}")]
    Differs {
        /// The store.
        store: String,
        /// The object.
        key: String,
        /// What differs, such as `SHA-256`.
        what: &'static str,
        /// What the document says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A document that cannot be written: a bug.
    #[error("could not print `{key}`")]
    Print {
        /// The object.
        key: String,
        /// Why not.
        source: serde_json::Error,
    },
}

impl Fault for CatalogError {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Document { .. } | Self::Missing { .. } => Class::BadInput,
            Self::Network { .. } | Self::Incomplete { .. } | Self::Differs { .. } => Class::Wrong,
            Self::Print { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Document { .. } | Self::Print { .. } => None,
            Self::Missing { .. } => Some(
                "check --store; `dump-candidates capture` with the same --store makes one".to_owned(),
            ),
            Self::Network { .. } => Some("check --network and --store".to_owned()),
            Self::Incomplete { .. } | Self::Differs { .. } => Some(
                "somebody changed the store after the capture; remove the candidate's document and \
                 capture it again while the daemons still have the block"
                    .to_owned(),
            ),
        }
    }
}

/// A candidate store.
#[derive(Debug)]
pub struct Catalog {
    store: Store,
    network: String,
}

impl Catalog {
    /// Opens the store of a network, and makes it one when `create` says so.
    ///
    /// # Errors
    ///
    /// Fails when there is none, when it is another network's, and when it cannot be reached.
    pub fn open(store: Store, network: Option<&str>, create: bool) -> Result<Self, CatalogError> {
        if create {
            // What a capture that was killed left half-written in a directory.
            store.clean()?;
        }
        let key = StoreDocument::FILE_NAME;
        let found: Option<StoreDocument> = read_document(&store, key)?;
        let found = match (found, network) {
            (Some(found), _) => found,
            (None, Some(network)) if create => {
                let document = StoreDocument {
                    format: StoreDocument::format(),
                    version: StoreDocument::version(),
                    network: network.to_owned(),
                };
                store.create(key, &print(key, &document)?)?;
                // Somebody else may have been first.
                read_document(&store, key)?.unwrap_or(document)
            }
            (None, _) => {
                return Err(CatalogError::Missing {
                    store: store.to_string(),
                });
            }
        };
        if let Some(expected) = network.filter(|expected| *expected != found.network) {
            return Err(CatalogError::Network {
                store: store.to_string(),
                expected: expected.to_owned(),
                found: found.network,
            });
        }
        Ok(Self {
            store,
            network: found.network,
        })
    }

    /// Name of the network.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The store as text, without credentials.
    #[must_use]
    pub fn location(&self) -> String {
        self.store.to_string()
    }

    /// Every candidate, by height and state hash.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read, or a document in it is malformed.
    pub fn candidates(&self) -> Result<Vec<StoredCandidate>, CatalogError> {
        let mut all: Vec<StoredCandidate> = self.documents("candidates/")?;
        all.sort_by_key(|stored| {
            let block = &stored.candidate.fork_block;
            (block.blockchain_length, block.state_hash.to_string())
        });
        Ok(all)
    }

    /// One candidate.
    ///
    /// # Errors
    ///
    /// As [`Self::candidates`].
    pub fn candidate(&self, hash: StateHash) -> Result<Option<StoredCandidate>, CatalogError> {
        read_document(&self.store, &candidate_key(hash))
    }

    /// What every daemon showed, by name.
    ///
    /// # Errors
    ///
    /// As [`Self::candidates`].
    pub fn views(&self) -> Result<Vec<DaemonView>, CatalogError> {
        let mut all: Vec<DaemonView> = self.documents("daemons/")?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// What one daemon showed.
    ///
    /// # Errors
    ///
    /// As [`Self::candidates`].
    pub fn view(&self, name: &str) -> Result<Option<DaemonView>, CatalogError> {
        read_document(&self.store, &view_key(name))
    }

    /// What was refused.
    ///
    /// # Errors
    ///
    /// As [`Self::candidates`].
    pub fn refusals(&self) -> Result<Vec<Refusal>, CatalogError> {
        let mut all: Vec<Refusal> = self.documents("refusals/")?;
        all.sort_by_key(|refusal| refusal.refused_at_ms);
        Ok(all)
    }

    /// The ledger with a root.
    ///
    /// # Errors
    ///
    /// As [`Self::candidates`].
    pub fn ledger(&self, root: LedgerHash) -> Result<Option<StoredLedger>, CatalogError> {
        read_document(&self.store, &ledger_key(root))
    }

    /// Size of the compressed accounts of a ledger, if they are there.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub fn stored_bytes(&self, ledger: &StoredLedger) -> Result<Option<u64>, CatalogError> {
        Ok(self.store.size(&accounts_key(ledger))?)
    }

    /// The compressed accounts of a ledger.
    ///
    /// # Errors
    ///
    /// Fails when they are not there, or the store cannot be read.
    pub fn accounts(&self, ledger: &StoredLedger) -> Result<Box<dyn Read + Send>, CatalogError> {
        let key = accounts_key(ledger);
        self.store
            .reader(&key)?
            .ok_or_else(|| CatalogError::Incomplete {
                store: self.location(),
                key,
                named_by: ledger_key(ledger.root),
            })
    }

    /// The captured block.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub fn block(&self, hash: StateHash) -> Result<Option<Vec<u8>>, CatalogError> {
        Ok(self.store.read(&block_key(hash), BLOCK_BYTES_MAX)?)
    }

    /// Stores what a daemon showed.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses.
    pub fn put_view(&self, view: &DaemonView) -> Result<(), CatalogError> {
        let key = view_key(&view.name);
        Ok(self.store.replace(&key, &print(&key, view)?)?)
    }

    /// Stores the compressed accounts at `path` and then their document, unless a ledger with this
    /// root is there already; returns the one that is. `journal` remembers a half-done upload.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses or gives back other bytes than it was given.
    pub fn put_ledger(
        &self,
        ledger: &StoredLedger,
        path: &Path,
        journal: &Path,
    ) -> Result<StoredLedger, CatalogError> {
        if let Some(found) = self.complete_ledger(ledger.root)? {
            return Ok(found);
        }
        let digest = Digested {
            sha256: ledger.stored.sha256.clone(),
            bytes: ledger.stored.bytes,
        };
        self.store
            .upload(&accounts_key(ledger), path, &digest, journal)?;
        let key = ledger_key(ledger.root);
        if self.store.create(&key, &print(&key, ledger)?)? {
            return Ok(ledger.clone());
        }
        let found = self.ledger(ledger.root)?.unwrap_or_else(|| ledger.clone());
        if found.stored.name != ledger.stored.name {
            // Another capture stored the same ledger in other bytes at the same time; once is enough.
            self.store.remove(&accounts_key(ledger))?;
        }
        Ok(found)
    }

    /// The ledger with a root, when its accounts are there too.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read, and when the accounts have another size than the
    /// document says.
    pub fn complete_ledger(&self, root: LedgerHash) -> Result<Option<StoredLedger>, CatalogError> {
        let Some(ledger) = self.ledger(root)? else {
            return Ok(None);
        };
        let key = accounts_key(&ledger);
        match self.store.size(&key)? {
            Some(bytes) if bytes == ledger.stored.bytes => Ok(Some(ledger)),
            Some(bytes) => Err(CatalogError::Differs {
                store: self.location(),
                key,
                what: "size",
                expected: ledger.stored.bytes.to_string(),
                found: bytes.to_string(),
            }),
            None => Err(CatalogError::Incomplete {
                store: self.location(),
                key,
                named_by: ledger_key(root),
            }),
        }
    }

    /// Stores a block.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses, or has another block under this state hash.
    pub fn put_block(&self, hash: StateHash, block: &[u8]) -> Result<(), CatalogError> {
        self.store.create(&block_key(hash), block)?;
        Ok(())
    }

    /// Lists a candidate; everything it names must be stored. Says whether it was new.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses.
    pub fn put_candidate(&self, candidate: &StoredCandidate) -> Result<bool, CatalogError> {
        let key = candidate_key(candidate.candidate.fork_block.state_hash);
        Ok(self.store.create(&key, &print(&key, candidate)?)?)
    }

    /// Stores why an answer was refused.
    ///
    /// # Errors
    ///
    /// Fails when the store refuses.
    pub fn put_refusal(&self, refusal: &Refusal, name: &str) -> Result<(), CatalogError> {
        let key = format!("refusals/{name}.json");
        self.store.create(&key, &print(&key, refusal)?)?;
        Ok(())
    }

    fn documents<D: Document>(&self, prefix: &str) -> Result<Vec<D>, CatalogError> {
        let mut all = Vec::new();
        for entry in self.store.list(prefix)? {
            // One that vanished since was no part of the store.
            all.extend(read_document(&self.store, &entry.key)?);
        }
        Ok(all)
    }
}

/// Name of a ledger's compressed accounts beside its document.
#[must_use]
pub fn stored_name(sha256: &str) -> String {
    format!("{sha256}.json.zst")
}

/// What a [`StoredLedger`] says of the list after decompression.
#[must_use]
pub fn list_ref(list: &FileRef) -> FileRef {
    FileRef {
        name: String::new(),
        ..list.clone()
    }
}

fn candidate_key(hash: StateHash) -> String {
    format!("candidates/{hash}.json")
}

fn block_key(hash: StateHash) -> String {
    format!("blocks/{hash}.json")
}

fn ledger_key(root: LedgerHash) -> String {
    format!("ledgers/{root}/{}", StoredLedger::FILE_NAME)
}

fn accounts_key(ledger: &StoredLedger) -> String {
    format!("ledgers/{}/{}", ledger.root, ledger.stored.name)
}

fn view_key(name: &str) -> String {
    format!("daemons/{name}.json")
}

fn print<D: Document>(key: &str, document: &D) -> Result<Vec<u8>, CatalogError> {
    document.to_json().map_err(|source| CatalogError::Print {
        key: key.to_owned(),
        source,
    })
}

fn read_document<D: Document>(store: &Store, key: &str) -> Result<Option<D>, CatalogError> {
    let Some(bytes) = store.read(key, DOCUMENT_BYTES_MAX)? else {
        return Ok(None);
    };
    D::from_json(&bytes)
        .map(Some)
        .map_err(|source| CatalogError::Document {
            store: store.to_string(),
            key: key.to_owned(),
            source,
        })
}
