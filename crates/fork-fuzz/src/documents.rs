//! Small documents, read whole.

use fork_genesis::config::{PreforkConfig, RuntimeConfig};
use fork_genesis::{Block, Network};
use fork_ledger::json::{BlockAccountJson, VerificationKeyCache, from_block_account};
use fork_types::Era;
use fork_types::document::{
    Candidate, DaemonView, DebDocument, Document, ImageDocument, LedgerDocument, NetworkDocument,
    Refusal, SelectionDocument, StoreDocument, StoredLedger,
};

use crate::shown;

/// A block's facts come back from the block as it is written.
pub(crate) fn block(data: &[u8]) {
    match Block::from_slice(data) {
        Ok(block) => {
            let facts = block.facts();
            let json = serde_json::to_vec(&block.to_block_json()).expect("blocks are JSON");
            let again = Block::from_slice(&json).expect("what was written is read");
            assert_eq!(again.facts(), facts);
        }
        Err(error) => drop(shown(&error)),
    }
    let Ok(account) = serde_json::from_slice::<BlockAccountJson<'_>>(data) else {
        return;
    };
    for era in [Era::Berkeley, Era::Mesa] {
        if let Err(error) = from_block_account(&account, era, &VerificationKeyCache::new()) {
            shown(&error);
        }
    }
}

/// Nothing to compare with but itself.
pub(crate) fn prefork_config(data: &[u8]) {
    if let Err(error) = PreforkConfig::from_json(data) {
        shown(&error);
    }
}

/// A config comes back from the config as it is written.
pub(crate) fn runtime_config(data: &[u8]) {
    match RuntimeConfig::from_json(data) {
        Ok(config) => {
            let json = config.to_json().expect("configs are JSON");
            assert_eq!(RuntimeConfig::from_json(&json).ok(), Some(config));
        }
        Err(error) => drop(shown(&error)),
    }
}

/// Nothing to compare with but itself.
pub(crate) fn network(data: &[u8]) {
    if let Err(error) = Network::named("./network.toml", Some(data)) {
        shown(&error);
    }
}

/// Every document comes back from the document as it is written.
pub(crate) fn document(data: &[u8]) {
    returns::<Candidate>(data);
    returns::<LedgerDocument>(data);
    returns::<NetworkDocument>(data);
    returns::<DebDocument>(data);
    returns::<ImageDocument>(data);
    returns::<StoreDocument>(data);
    returns::<StoredLedger>(data);
    returns::<DaemonView>(data);
    returns::<Refusal>(data);
    returns::<SelectionDocument>(data);
}

pub(crate) fn returns<D: Document>(data: &[u8]) {
    match D::from_json(data) {
        Ok(document) => {
            let json = document.to_json().expect("documents are JSON");
            let again = D::from_json(&json).expect("what was written is read");
            assert_eq!(again.to_json().expect("documents are JSON"), json);
        }
        Err(error) => drop(shown(&error)),
    }
}
