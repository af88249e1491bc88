//! What is known of an upload in parts, so that it can go on after a crash.

use std::path::Path;

use fork_fs::{Digested, FsError, Operation};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "forkpack-upload-journal";
const VERSION: u32 = 1;

/// The most that is read: 10,000 parts of some 200 bytes each.
const BYTES_MAX: u64 = 8 << 20;

/// The journal of one upload.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    format: String,
    version: u32,
    /// The store, as text.
    pub(super) store: String,
    /// The object.
    pub(super) key: String,
    sha256: String,
    bytes: u64,
    part_bytes: u64,
    /// The service's name for the upload. Useless without credentials.
    pub(super) upload: String,
    parts: Vec<Part>,
}

/// A part that the service has.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    index: u64,
    /// Digest of the part as it was sent: the file may have changed since.
    sha256: String,
    /// The service's name for the part.
    id: String,
}

impl Journal {
    /// Begins a journal.
    pub(super) fn new(
        store: &str,
        key: &str,
        digest: &Digested,
        part_bytes: u64,
        upload: String,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            store: store.to_owned(),
            key: key.to_owned(),
            sha256: digest.sha256.clone(),
            bytes: digest.bytes,
            part_bytes,
            upload,
            parts: Vec::new(),
        }
    }

    /// Reads a journal. One that is missing, damaged or of another version is none: everything in it
    /// can be sent again.
    pub(super) fn load(path: &Path) -> Option<Self> {
        let bytes = fork_fs::read_limited(path, BYTES_MAX).ok()?;
        let journal: Self = serde_json::from_slice(&bytes).ok()?;
        (journal.format == FORMAT && journal.version == VERSION).then_some(journal)
    }

    /// Whether it is the journal of this upload.
    pub(super) fn is_of(&self, store: &str, key: &str, digest: &Digested, part_bytes: u64) -> bool {
        let Self {
            format: _,
            version: _,
            store: its_store,
            key: its_key,
            sha256,
            bytes,
            part_bytes: its_part_bytes,
            upload: _,
            parts: _,
        } = self;
        its_store == store
            && its_key == key
            && *sha256 == digest.sha256
            && *bytes == digest.bytes
            && *its_part_bytes == part_bytes
    }

    /// Writes it, atomically.
    pub(super) fn save(&self, path: &Path) -> Result<(), FsError> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| FsError::io(Operation::Write, path, error.into()))?;
        fork_fs::write_atomic(path, &bytes)
    }

    /// Whether the service has this part with this content.
    pub(super) fn has(&self, index: u64, sha256: &str) -> bool {
        self.parts
            .iter()
            .any(|part| part.index == index && part.sha256 == sha256)
    }

    /// Remembers a part.
    pub(super) fn add(&mut self, index: u64, sha256: String, id: String) {
        self.parts.retain(|part| part.index != index);
        self.parts.push(Part { index, sha256, id });
    }

    /// The service's names of all `count` parts in their order, if they are all there.
    pub(super) fn ids(&self, count: u64) -> Option<Vec<String>> {
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        parts.sort_by_key(|part| part.index);
        parts.retain(|part| part.index < count);
        (parts.len() as u64 == count).then(|| parts.iter().map(|part| part.id.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_and_knows_its_upload() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.json");
        assert_eq!(Journal::load(&path), None);
        let digest = Digested {
            sha256: "ab".to_owned(),
            bytes: 7,
        };
        let mut journal = Journal::new("s3://b", "k", &digest, 5, "id".to_owned());
        journal.add(1, "d1".to_owned(), "e1".to_owned());
        assert_eq!(journal.ids(2), None);
        journal.add(0, "d0".to_owned(), "e0".to_owned());
        journal.add(1, "d2".to_owned(), "e2".to_owned());
        journal.save(&path).unwrap();
        let read = Journal::load(&path).unwrap();
        assert_eq!(read, journal);
        assert_eq!(read.ids(2).unwrap(), ["e0", "e2"]);
        assert!(read.has(1, "d2") && !read.has(1, "d1") && !read.has(2, "d2"));
        assert!(read.is_of("s3://b", "k", &digest, 5));
        assert!(!read.is_of("s3://b", "k", &digest, 6));
        assert!(!read.is_of("s3://c", "k", &digest, 5));
        let other = Digested { bytes: 8, ..digest };
        assert!(!read.is_of("s3://b", "k", &other, 5));
        let text = String::from_utf8(fork_fs::read_limited(&path, 9999).unwrap()).unwrap();
        for damaged in [
            &text[..text.len() - 1],
            &text.replace("\"version\":1", "\"version\":2"),
            &text.replace("forkpack-upload-journal", "else"),
            &text.replace("\"bytes\"", "\"byte\""),
        ] {
            fork_fs::write_atomic(&path, damaged.as_bytes()).unwrap();
            assert_eq!(Journal::load(&path), None, "{damaged}");
        }
    }
}
