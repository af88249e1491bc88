//! A directory as a store.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fork_fs::{AtomicFile, Digested, FsError, HashingReader, Operation};

use super::{Entry, StoreError, sha256_hex};

/// Bytes copied at once.
const BUFFER_BYTES: usize = 1 << 18;

/// Objects as files: the key is the path.
///
/// A file is flushed and read back before it gets its final name, so what has a final name was
/// right when it got it.
#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
}

impl Local {
    /// Creates nothing: a store that is only read must not appear.
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        if fork_fs::bytes_if_file(root)?.is_some() {
            let source = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(FsError::io(Operation::ReadDirectory, root, source).into());
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn store(&self) -> String {
        self.root.display().to_string()
    }

    pub(super) fn read(&self, key: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut reader) = self.file(key)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        (&mut reader.file)
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| FsError::io(Operation::Read, &reader.path, source))?;
        if bytes.len() as u64 > bytes_max {
            return Err(StoreError::TooLarge {
                store: self.store(),
                key: key.to_owned(),
                bytes: fork_fs::file_bytes(&reader.path)?,
                bytes_max,
            });
        }
        Ok(Some(bytes))
    }

    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(fork_fs::bytes_if_file(&self.root.join(key))?)
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let files = fork_fs::list_files(&self.root.join(prefix))?;
        Ok(files
            .into_iter()
            .filter_map(|(path, bytes)| {
                let key = format!("{prefix}{}", path.to_str()?);
                Some(Entry { key, bytes })
            })
            .collect())
    }

    pub(super) fn file(&self, key: &str) -> Result<Option<LocalReader>, StoreError> {
        let path = self.root.join(key);
        Ok(fork_fs::open_if_file(&path)?.map(|file| LocalReader { file, path }))
    }

    /// Writes the content to an unfinished file and reads it back.
    fn write(&self, key: &str, bytes: &[u8]) -> Result<AtomicFile, StoreError> {
        let mut file = self.begin(key)?;
        file.write_all(bytes)
            .map_err(|source| file.write_error(source))?;
        self.check(key, &mut file, &sha256_hex(bytes))?;
        Ok(file)
    }

    fn begin(&self, key: &str) -> Result<AtomicFile, StoreError> {
        let path = self.root.join(key);
        if let Some(parent) = path.parent() {
            fork_fs::create_dir_all_flushed(parent)?;
        }
        Ok(AtomicFile::create(&path)?)
    }

    fn check(&self, key: &str, file: &mut AtomicFile, expected: &str) -> Result<(), StoreError> {
        let found = file.read_back()?;
        if found.sha256 == expected {
            return Ok(());
        }
        Err(StoreError::Damaged {
            store: self.store(),
            key: key.to_owned(),
            expected: expected.to_owned(),
            found: found.sha256,
        })
    }

    pub(super) fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        // Saves the writing; whoever creates it after this loses at the commit.
        if self.size(key)?.is_some() {
            return Ok(false);
        }
        Ok(self.write(key, bytes)?.commit_new()?)
    }

    pub(super) fn replace(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.write(key, bytes)?.commit()?)
    }

    pub(super) fn upload(
        &self,
        key: &str,
        source: &Path,
        digest: &Digested,
    ) -> Result<(), StoreError> {
        if self.compare(key, digest)? {
            return Ok(());
        }
        let target = self.root.join(key);
        fork_fs::require_free_space(&target, digest.bytes)?;
        let mut reader = HashingReader::new(fork_fs::open(source)?);
        let mut file = self.begin(key)?;
        copy(&mut reader, source, &mut file)?;
        super::compare_source(source, digest, reader.finish())?;
        self.check(key, &mut file, &digest.sha256)?;
        if !file.commit_new()? {
            // Somebody else stored it meanwhile.
            self.compare(key, digest)?;
        }
        Ok(())
    }

    /// Whether the object is there; an error when it is with another content.
    fn compare(&self, key: &str, digest: &Digested) -> Result<bool, StoreError> {
        let Some(bytes) = self.size(key)? else {
            return Ok(false);
        };
        super::compare_size(&self.store(), key, digest, bytes)?;
        let found = fork_fs::sha256_file(&self.root.join(key))?;
        super::compare_digest(&self.store(), key, digest, found)?;
        Ok(true)
    }

    pub(super) fn remove(&self, key: &str) -> Result<(), StoreError> {
        fork_fs::remove_file(&self.root.join(key))?;
        Ok(())
    }

    pub(super) fn clean(&self) -> Result<u64, StoreError> {
        Ok(fork_fs::remove_abandoned(&self.root)?)
    }
}

/// Copies a file, telling errors of the one side from those of the other.
fn copy(reader: &mut impl Read, source: &Path, file: &mut AtomicFile) -> Result<(), FsError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FsError::io(Operation::Read, source, error)),
        };
        file.write_all(&buffer[..count])
            .map_err(|error| file.write_error(error))?;
    }
}

/// A file whose read errors name it.
#[derive(Debug)]
pub(super) struct LocalReader {
    file: File,
    path: PathBuf,
}

impl Read for LocalReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|source| {
            let kind = source.kind();
            io::Error::new(kind, FsError::io(Operation::Read, &self.path, source))
        })
    }
}
