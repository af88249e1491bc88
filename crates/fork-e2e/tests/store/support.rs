//! Stores to test.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use fork_daemon::store::{Digested, StoreOptions, Trouble};
use fork_daemon::{Store, StoreError};
use fork_e2e::s3::S3Server;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Amazon's smallest part.
pub const PART_BYTES: u64 = 5 << 20;

/// Options that give up soon.
pub fn options(server: &S3Server) -> StoreOptions {
    StoreOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_millis(500),
        retry_timeout: Duration::from_secs(5),
        retries_max: 4,
        backoff: Duration::from_millis(5),
        backoff_max: Duration::from_millis(40),
        resumes_max: 5,
        part_bytes: PART_BYTES,
        environment: Some(server.environment()),
    }
}

pub fn open(server: &S3Server, prefix: &str) -> Store {
    Store::open_with(&server.url(prefix).parse().unwrap(), options(server)).unwrap()
}

/// A server and a store in it, under a prefix.
pub fn remote() -> (S3Server, Store) {
    let server = S3Server::start().unwrap();
    let store = open(&server, "test/net");
    (server, store)
}

/// Bytes without a pattern that any two parts share.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

pub fn digest(bytes: &[u8]) -> Digested {
    Digested {
        sha256: hex::encode(Sha256::digest(bytes)),
        bytes: bytes.len() as u64,
    }
}

/// A file to upload, and a place for its journal.
pub struct Source {
    pub content: Vec<u8>,
    pub digest: Digested,
    pub path: PathBuf,
    pub journal: PathBuf,
    _directory: TempDir,
}

pub fn source(content: Vec<u8>) -> Source {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("source");
    std::fs::write(&path, &content).unwrap();
    Source {
        digest: digest(&content),
        content,
        path,
        journal: directory.path().join("journal.json"),
        _directory: directory,
    }
}

impl Source {
    pub fn upload(&self, store: &Store, key: &str) -> Result<(), StoreError> {
        store.upload(key, &self.path, &self.digest, &self.journal)
    }
}

pub fn read_all(store: &Store, key: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    store.reader(key).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

pub fn trouble(error: &StoreError) -> Option<Trouble> {
    match error {
        StoreError::Service { trouble, .. } => Some(*trouble),
        _ => None,
    }
}

/// An error as it is printed and as it is debugged, with all its causes.
pub fn everything(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&format!("\n{error}"));
        next = error.source();
    }
    text
}
