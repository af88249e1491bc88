//! The tarball of a ledger: its gzip stream, its archive, and the store inside.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::GzDecoder;
use fork_fs::{FsError, Operation};
use fork_store::{is_store_file, store_file_bytes_max, unpacked_bytes_max};
use tar::{Archive, EntryType};
use tempfile::TempDir;

use crate::subject::{Content, SubjectError};

/// Members of a tarball. A ledger of a million accounts in RocksDB's tables has about a hundred.
const MEMBERS_MAX: usize = 10_000;
/// Longest member name.
const NAME_BYTES_MAX: usize = 100;
/// Bytes that may follow the end of the archive; `tar` fills up to 10,240.
const TRAILER_BYTES_MAX: u64 = 1 << 20;
/// Unexpected members that are listed.
const LISTED_MAX: usize = 10;

const BUFFER_BYTES: usize = 1 << 18;

/// What a tarball was found to be.
#[derive(Debug)]
pub struct TarballFacts {
    /// What is wrong with the gzip stream.
    pub gzip_problem: Option<String>,
    /// What is wrong with the archive; empty when it is right.
    pub tar_problems: Vec<String>,
    /// Names of the files inside.
    pub members: Vec<String>,
    /// Bytes of the archive, unpacked.
    pub unpacked_bytes: u64,
    directory: TempDir,
}

impl TarballFacts {
    /// Unpacks a tarball into a directory inside `scratch`, with everything that is wrong about it.
    ///
    /// # Errors
    ///
    /// Fails only when the disk does.
    pub fn read(content: &Content, scratch: &Path) -> Result<Self, SubjectError> {
        let failed = |source| FsError::io(Operation::CreateDirectory, scratch, source);
        let mut facts = Self {
            gzip_problem: None,
            tar_problems: Vec::new(),
            members: Vec::new(),
            unpacked_bytes: 0,
            directory: TempDir::new_in(scratch).map_err(failed)?,
        };
        let file = BufReader::with_capacity(BUFFER_BYTES, fork_fs::open(content.path())?);
        let mut stream = Stream {
            inner: GzDecoder::new(file),
            bytes: 0,
            bytes_max: unpacked_bytes_max(content.bytes),
            problem: None,
        };
        facts.unpack(&mut stream)?;
        facts.end(stream);
        Ok(facts)
    }

    /// The directory with the store.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn problem(&mut self, problem: String) {
        if self.tar_problems.len() < LISTED_MAX {
            self.tar_problems.push(problem);
        }
    }

    /// Unpacks what belongs into a store. Errors of the stream are found in it afterwards.
    fn unpack(&mut self, stream: &mut Stream) -> Result<(), SubjectError> {
        let mut archive = Archive::new(stream);
        let entries = match archive.entries() {
            // Extension records are given as entries, so that none is read into memory.
            Ok(entries) => entries.raw(true),
            Err(error) => {
                self.problem(error.to_string());
                return Ok(());
            }
        };
        for (number, entry) in entries.enumerate() {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.problem(error.to_string());
                    return Ok(());
                }
            };
            if number >= MEMBERS_MAX {
                self.problem(format!("more than {MEMBERS_MAX} members"));
                return Ok(());
            }
            let path = entry.path_bytes().into_owned();
            let name = path.strip_prefix(b"./").unwrap_or(&path);
            let kind = entry.header().entry_type();
            if kind == EntryType::Directory && matches!(name, b"" | b"." | b"./") {
                continue;
            }
            let Some(name) = store_file(name).filter(|_| kind == EntryType::Regular) else {
                self.problem(format!(
                    "`{}` is no file of a store",
                    path.escape_ascii()
                        .to_string()
                        .chars()
                        .take(200)
                        .collect::<String>()
                ));
                continue;
            };
            if self.members.iter().any(|member| member == name) {
                self.problem(format!("`{name}` is there twice"));
                continue;
            }
            self.members.push(name.to_owned());
            let mode = entry.header().mode().unwrap_or(0) & 0o777;
            if mode & 0o444 != 0o444 {
                self.problem(format!(
                    "`{name}` has mode {mode:04o} and cannot be read by all"
                ));
            }
            let (bytes, bytes_max) = (entry.size(), store_file_bytes_max(name));
            if bytes > bytes_max {
                self.problem(format!(
                    "`{name}` has {bytes} bytes; the limit for such a file is {bytes_max}"
                ));
                continue;
            }
            if !self.copy(name, &mut entry)? {
                return Ok(());
            }
        }
        for needed in ["CURRENT", "MANIFEST-"] {
            if !self.members.iter().any(|name| name.starts_with(needed)) {
                self.problem(format!("there is no `{needed}` file, so it is no store"));
            }
        }
        Ok(())
    }

    /// Copies a member to the disk; false when the stream broke off.
    fn copy(&mut self, name: &str, source: &mut dyn Read) -> Result<bool, SubjectError> {
        let target = self.directory.path().join(name);
        let refused = |source| SubjectError::from(FsError::io(Operation::Write, &target, source));
        // Nothing here outlives the run, so nothing is flushed.
        let mut file = tempfile::Builder::new()
            .prefix(name)
            .suffix("")
            .rand_bytes(0)
            .tempfile_in(self.directory.path())
            .map_err(refused)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => file.write_all(&buffer[..count]).map_err(refused)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let problem = format!("`{name}` breaks off: {error}");
                    self.problem(problem);
                    return Ok(false);
                }
            }
        }
        file.keep()
            .map_err(|error| FsError::io(Operation::Write, &target, error.error))?;
        Ok(true)
    }

    /// Reads to the end of the stream, which verifies its checksum, and looks behind it.
    fn end(&mut self, mut stream: Stream) {
        let mut buffer = vec![0; BUFFER_BYTES];
        let (mut bytes, mut is_zero) = (0, true);
        while stream.problem.is_none() {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    bytes += count as u64;
                    is_zero &= buffer[..count].iter().all(|byte| *byte == 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if stream.problem.is_none() && (!is_zero || bytes > TRAILER_BYTES_MAX) {
            self.problem("something follows the end of the archive".to_owned());
        }
        self.unpacked_bytes = stream.bytes;
        self.gzip_problem = stream.problem.or_else(|| {
            let mut behind = stream.inner.into_inner();
            match behind.fill_buf() {
                Ok([]) => None,
                Ok(_) => Some("something follows the first gzip member".to_owned()),
                Err(error) => Some(error.to_string()),
            }
        });
        if self.gzip_problem.is_some() {
            // What the archive looks like is only a consequence.
            self.tar_problems.clear();
        }
    }
}

/// A name as RocksDB gives one to a file of a database.
fn store_file(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    (is_store_file(name) && name.len() <= NAME_BYTES_MAX).then_some(name)
}

/// The unpacked bytes, counted; what goes wrong with them is kept.
struct Stream {
    inner: GzDecoder<BufReader<std::fs::File>>,
    bytes: u64,
    bytes_max: u64,
    problem: Option<String>,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                self.bytes += count as u64;
                if self.bytes > self.bytes_max {
                    let problem = format!("it unpacks to more than {} bytes", self.bytes_max);
                    self.problem = Some(problem.clone());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                }
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.problem = Some(error.to_string());
                }
                Err(error)
            }
        }
    }
}
