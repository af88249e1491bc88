//! Copies of files out of archives, and the digests of all files.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use fork_fs::{FsError, Operation};
use md5::Md5;
use sha2::{Digest, Sha256};
use sha3::Sha3_256;

use super::{Content, FILE_BYTES_MAX, SubjectError, limit};

const BUFFER_BYTES: usize = 1 << 18;

/// Digests of a file, lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDigests {
    /// SHA-256.
    pub sha256: String,
    /// SHA3-256, the daemon's `s3_data_hash`.
    pub sha3_256: String,
    /// MD5, which dpkg uses.
    pub md5: String,
}

/// Copies a file of `bytes` bytes out of an archive.
pub(super) fn copy(
    archive: &Path,
    name: &str,
    bytes: u64,
    source: &mut dyn Read,
    scratch: &Path,
) -> Result<Content, SubjectError> {
    limit(&format!("size of `{name}` in bytes"), bytes, FILE_BYTES_MAX)?;
    let refused = |source| FsError::io(Operation::Write, scratch, source);
    let mut file = tempfile::NamedTempFile::new_in(scratch).map_err(refused)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let room = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        match source.read(&mut buffer[..room]) {
            Ok(0) => {
                let short = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(FsError::io(Operation::Read, archive, short).into());
            }
            Ok(count) => {
                file.write_all(&buffer[..count]).map_err(refused)?;
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FsError::io(Operation::Read, archive, error).into()),
        }
    }
    let path = file.into_temp_path();
    Ok(Content {
        bytes,
        path: path.to_path_buf(),
        _spooled: Some(Arc::new(path)),
    })
}

/// A file that lies in a directory already.
pub(super) fn in_place(path: &Path, bytes: u64) -> Result<Content, SubjectError> {
    limit(
        &format!("size of `{}` in bytes", path.display()),
        bytes,
        FILE_BYTES_MAX,
    )?;
    Ok(Content {
        bytes,
        path: path.to_owned(),
        _spooled: None,
    })
}

/// All digests of a file.
pub(super) fn digest(content: &Content) -> Result<FileDigests, SubjectError> {
    let failed = |source| FsError::io(Operation::Read, content.path(), source);
    let mut input = fork_fs::open(content.path())?;
    let (mut sha256, mut sha3, mut md5) = (Sha256::new(), Sha3_256::new(), Md5::new());
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error).into()),
        };
        bytes += count as u64;
        limit("size of a file that grows", bytes, FILE_BYTES_MAX)?;
        let read = &buffer[..count];
        sha256.update(read);
        sha3.update(read);
        md5.update(read);
    }
    Ok(FileDigests {
        sha256: hex::encode(sha256.finalize()),
        sha3_256: hex::encode(sha3.finalize()),
        md5: hex::encode(md5.finalize()),
    })
}
