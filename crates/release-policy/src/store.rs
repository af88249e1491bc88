//! The facts and files a log refers to, by digest.

use std::collections::BTreeMap;

use crate::name::Digest;
use crate::statement::Evidence;

/// Largest document that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too large.
    #[error("file {digest} has {bytes} bytes, more than {FILE_BYTES_MAX}")]
    Size {
        /// Its digest.
        digest: Digest,
        /// Its size.
        bytes: usize,
    },
}

impl fork_types::Fault for StoreError {
    fn class(&self) -> fork_types::Class {
        fork_types::Class::BadInput
    }
}

/// Facts and files by digest. Files are named by what they are, never by what somebody says.
#[derive(Clone, Debug, Default)]
pub struct Store {
    evidence: BTreeMap<Digest, Evidence>,
    files: BTreeMap<Digest, Vec<u8>>,
}

impl Store {
    /// Adds a fact.
    pub fn add_evidence(&mut self, evidence: Evidence) {
        self.evidence.insert(evidence.envelope, evidence);
    }

    /// Adds a file and returns its digest.
    ///
    /// # Errors
    ///
    /// Refuses what is too large for a document or a mail.
    pub fn add_file(&mut self, bytes: Vec<u8>) -> Result<Digest, StoreError> {
        let digest = Digest::of(&bytes);
        if bytes.len() > FILE_BYTES_MAX {
            return Err(StoreError::Size {
                digest,
                bytes: bytes.len(),
            });
        }
        self.files.insert(digest, bytes);
        Ok(digest)
    }

    /// The fact in this envelope.
    #[must_use]
    pub fn evidence(&self, envelope: Digest) -> Option<&Evidence> {
        self.evidence.get(&envelope)
    }

    /// The bytes of this file.
    #[must_use]
    pub fn file(&self, digest: Digest) -> Option<&[u8]> {
        self.files.get(&digest).map(Vec::as_slice)
    }

    /// The text of this file; `None` when it is not there or not UTF-8.
    #[must_use]
    pub fn text(&self, digest: Digest) -> Option<&str> {
        std::str::from_utf8(self.file(digest)?).ok()
    }
}
