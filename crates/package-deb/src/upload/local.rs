//! The tarballs to upload, compared with their documents.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use fork_fs::{Digested, FsError, Operation};
use fork_types::Role;
use fork_types::document::LedgerDocument;
use sha2::Sha256;
use sha3::{Digest, Sha3_256};

use super::UploadError;

const BUFFER_BYTES: usize = 1 << 18;

/// Both digests of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Lower-case hexadecimal SHA3-256, as daemons check it.
    pub s3_data_hash: String,
    /// Size.
    pub bytes: u64,
}

impl Digests {
    pub(super) fn digested(&self) -> Digested {
        Digested {
            sha256: self.sha256.clone(),
            bytes: self.bytes,
        }
    }
}

/// A tarball on this machine.
#[derive(Clone, Debug)]
pub(super) struct LocalLedger {
    pub(super) roles: Vec<Role>,
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) digests: Digests,
    pub(super) content_sha256: String,
}

/// Reads the documents, and compares each tarball with its own. A tarball that two roles share is one.
pub(super) fn read(
    directories: &[PathBuf],
    note: &dyn Fn(&str),
) -> Result<Vec<LocalLedger>, UploadError> {
    let mut ledgers: Vec<LocalLedger> = Vec::new();
    for directory in directories {
        let (document, _) = fork_fs::read_document::<LedgerDocument>(directory)?;
        let tarball = document.tarball;
        if tarball.file.name.contains('/') {
            return Err(UploadError::Name {
                directory: directory.clone(),
                name: tarball.file.name,
            });
        }
        note(&format!(
            "comparing {} with its document",
            tarball.file.name
        ));
        let path = fork_fs::child(directory, &tarball.file.name)?;
        let read = |source| FsError::io(Operation::Read, &path, source);
        let digests = digests(&mut fork_fs::open(&path)?, &mut io::sink()).map_err(read)?;
        fork_fs::compare_file_ref(&path, &tarball.file, &digests.digested())?;
        if digests.s3_data_hash != tarball.s3_data_hash {
            return Err(UploadError::Document {
                path,
                expected: tarball.s3_data_hash,
                found: digests.s3_data_hash,
            });
        }
        let same = ledgers
            .iter_mut()
            .find(|ledger| ledger.name == tarball.file.name);
        match same {
            None => ledgers.push(LocalLedger {
                roles: vec![document.role],
                name: tarball.file.name,
                path,
                digests,
                content_sha256: tarball.content_sha256,
            }),
            Some(first) if first.digests == digests => first.roles.push(document.role),
            Some(first) => {
                return Err(UploadError::Twice {
                    first: first.path.clone(),
                    second: path,
                });
            }
        }
    }
    Ok(ledgers)
}

/// Copies bytes and hashes them both ways.
pub(super) fn digests(reader: &mut dyn Read, sink: &mut dyn Write) -> io::Result<Digests> {
    let mut sha256 = Sha256::new();
    let mut sha3 = Sha3_256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = buffer.get(..count).unwrap_or_default();
        sha256.update(read);
        sha3.update(read);
        sink.write_all(read)?;
        bytes += count as u64;
    }
    Ok(Digests {
        sha256: hex::encode(sha256.finalize()),
        s3_data_hash: hex::encode(sha3.finalize()),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_digests_of_published_vectors() {
        // FIPS 180-4 and FIPS 202, of "abc".
        let found = digests(&mut &b"abc"[..], &mut io::sink()).unwrap();
        assert_eq!(
            found.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            found.s3_data_hash,
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
        );
        assert_eq!(found.bytes, 3);
    }
}
