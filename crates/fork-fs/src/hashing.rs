//! Digests taken while bytes pass by.

use std::io::{self, Read, Write};
use std::path::Path;

use fork_types::document::FileRef;
use sha2::{Digest, Sha256};

use crate::error::{FsError, Operation};
use crate::open;

/// Size and digest of what went past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digested {
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Number of bytes.
    pub bytes: u64,
}

/// A reader that hashes what is read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R: Read> HashingReader<R> {
    /// Wraps a reader.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    /// Digest of what was read so far. Read to the end first.
    pub fn finish(self) -> Digested {
        Digested {
            sha256: hex::encode(self.hasher.finalize()),
            bytes: self.bytes,
        }
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// A writer that hashes what is written through it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Wraps a writer.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    /// The writer and the digest of what was written.
    pub fn finish(self) -> (W, Digested) {
        let digested = Digested {
            sha256: hex::encode(self.hasher.finalize()),
            bytes: self.bytes,
        };
        (self.inner, digested)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes a file.
///
/// # Errors
///
/// Fails when the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<Digested, FsError> {
    digest_of(open(path)?, path)
}

/// Hashes what is left of an open file; `path` is for the error.
pub(crate) fn digest_of(file: impl Read, path: &Path) -> Result<Digested, FsError> {
    let mut reader = HashingReader::new(file);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(reader.finish()),
            Ok(_) => {}
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FsError::io(Operation::Read, path, source)),
        }
    }
}

/// Names the file `name` in `directory` by its content.
///
/// # Errors
///
/// Fails when the file cannot be read.
pub fn file_ref(directory: &Path, name: &str) -> Result<FileRef, FsError> {
    let digested = sha256_file(&crate::child(directory, name)?)?;
    Ok(FileRef {
        name: name.to_owned(),
        sha256: digested.sha256,
        bytes: digested.bytes,
    })
}
