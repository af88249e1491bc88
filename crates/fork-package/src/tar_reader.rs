//! Reads tar archives that somebody else made.
//!
//! Formats: ustar, GNU (long names) and pax, as far as packages and images use them. Nothing of an
//! archive is believed before it was compared with a limit: a record that describes another one is
//! read into memory only up to [`RECORD_BYTES_MAX`], and entries and names are counted. Where tar
//! readers are known to disagree (content of links, global records that rename members, sparse
//! files, two records of a kind), the archive is refused, because what one of them unpacks another
//! would not have seen.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use tar::{EntryType, Header, PaxExtensions};

use crate::error::{PackageError, PackageErrorKind};
use crate::paths::safe_path;

const BLOCK_BYTES: usize = 512;

/// Largest record that describes the entry after it. Paths have up to 4 kB, extended attributes
/// up to 64 kB each.
pub(crate) const RECORD_BYTES_MAX: u64 = 1 << 20;
/// Longest path or link text, Linux' own limit.
pub(crate) const PATH_BYTES_MAX: usize = 4096;
/// Most entries of an archive; images of whole desktops have about 10^6.
const ENTRIES_MAX: usize = 2_000_000;
/// Paths and link texts of an archive together: 128 bytes for each of the most entries.
const NAMES_BYTES_MAX: usize = 256 << 20;

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataEntry {
    /// Path relative to the root, without slashes at either end; the root is empty.
    pub path: String,
    /// What it is.
    pub kind: DataEntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Name of the owner, empty when there is none. dpkg looks it up before it takes the number.
    pub user: String,
    /// Name of the group, empty when there is none.
    pub group: String,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
}

/// What a [`DataEntry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataEntryKind {
    /// A file of so many bytes.
    File {
        /// Size.
        bytes: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link with this text.
    Symlink {
        /// Text of the link.
        target: String,
    },
    /// Another name of an earlier file.
    HardLink {
        /// Its path relative to the root.
        target: String,
    },
    /// A device, a pipe or another thing without content; never in a package.
    Special,
}

/// A stream of entries, each with its content behind it.
#[derive(Debug)]
pub struct TarReader<'a, R> {
    source: R,
    skip: fn(&mut R, u64) -> io::Result<()>,
    archive: &'a Path,
    what: &'a str,
    /// Offset of the next byte of the source.
    position: u64,
    /// Content of the current entry that was not read.
    content: u64,
    /// Bytes that fill its last block.
    padding: u64,
    entries: usize,
    names_bytes: usize,
}

/// What records say about the entry after them.
#[derive(Default)]
struct Described {
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

/// The members of a pax record that are used.
#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
}

impl<'a, R: Read> TarReader<'a, R> {
    /// Reads `what`, which is a part of `archive`; both are for messages.
    pub fn new(source: R, archive: &'a Path, what: &'a str) -> Self {
        Self {
            source,
            skip: skip_by_reading,
            archive,
            what,
            position: 0,
            content: 0,
            padding: 0,
            entries: 0,
            names_bytes: 0,
        }
    }

    /// The next entry; `None` at the end of the archive. What was not read of the content of the
    /// one before is skipped.
    ///
    /// # Errors
    ///
    /// Fails on damage, on names that leave the root, on archives that tar readers disagree about,
    /// and beyond the limits.
    pub fn advance(&mut self) -> Result<Option<DataEntry>, PackageError> {
        let mut described = Described::default();
        let mut is_described = false;
        loop {
            let Some(header) = self.header()? else {
                if is_described {
                    return Err(self.malformed("it ends with a record that describes nothing"));
                }
                return Ok(None);
            };
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => {
                    let name = self.long_name()?;
                    self.once(described.long_path.replace(name).is_some())?;
                }
                EntryType::GNULongLink => {
                    let name = self.long_name()?;
                    self.once(described.long_link.replace(name).is_some())?;
                }
                EntryType::XHeader => {
                    let pax = self.pax()?;
                    self.once(described.pax.replace(pax).is_some())?;
                }
                EntryType::XGlobalHeader => {
                    self.global_pax()?;
                    continue;
                }
                _ => return self.entry(&header, described).map(Some),
            }
            is_described = true;
        }
    }

    /// The content of the current entry.
    pub fn content(&mut self) -> impl Read {
        Content(self)
    }

    /// Where the content of the current entry begins, in bytes from the start of the source.
    #[must_use]
    pub fn content_position(&self) -> u64 {
        self.position
    }

    /// The source, behind what was read of it.
    #[must_use]
    pub fn into_source(self) -> R {
        self.source
    }

    fn entry(&mut self, header: &Header, described: Described) -> Result<DataEntry, PackageError> {
        let Described {
            long_path,
            long_link,
            pax,
        } = described;
        let pax = pax.unwrap_or_default();
        if long_path.is_some() && pax.path.is_some() || long_link.is_some() && pax.link.is_some() {
            return Err(self.malformed("a member has two long names"));
        }
        let name = long_path
            .or(pax.path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        self.check_name(&name)?;
        let path = safe_path(self.archive, &name)?;
        let error = |source| self.failed(format!("the header of `{path}`"), source);
        let said = header.entry_size().map_err(error)?;
        let bytes = pax.size.unwrap_or(said);
        let mode = header.mode().map_err(error)? & 0o7777;
        let uid = pax.uid.map_or_else(|| header.uid(), Ok).map_err(error)?;
        let gid = pax.gid.map_or_else(|| header.gid(), Ok).map_err(error)?;
        let mtime = header.mtime().map_err(error)?;
        let name =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let user = name(header.username_bytes());
        let group = name(header.groupname_bytes());
        let link = long_link
            .or(pax.link)
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        if let Some(link) = &link {
            self.check_name(link)?;
        }
        let kind = self.kind(header.entry_type(), &path, bytes, link)?;
        if bytes > 0 && !matches!(kind, DataEntryKind::File { .. }) {
            return Err(self.malformed(&format!(
                "`{path}` is no file and has {bytes} bytes of content"
            )));
        }
        self.begin_content(bytes)?;
        Ok(DataEntry {
            path,
            kind,
            mode,
            uid,
            gid,
            user,
            group,
            mtime,
        })
    }

    fn kind(
        &self,
        kind: EntryType,
        path: &str,
        bytes: u64,
        link: Option<Vec<u8>>,
    ) -> Result<DataEntryKind, PackageError> {
        let target = || -> Result<String, PackageError> {
            let link =
                link.ok_or_else(|| self.malformed(&format!("link `{path}` has no target")))?;
            String::from_utf8(link)
                .map_err(|_| self.malformed(&format!("the target of link `{path}` is not UTF-8")))
        };
        Ok(match kind {
            EntryType::Regular | EntryType::Continuous => DataEntryKind::File { bytes },
            EntryType::Directory => DataEntryKind::Directory,
            EntryType::Symlink => DataEntryKind::Symlink { target: target()? },
            EntryType::Link => DataEntryKind::HardLink {
                target: safe_path(self.archive, target()?.as_bytes())?,
            },
            EntryType::Char | EntryType::Block | EntryType::Fifo => DataEntryKind::Special,
            other => {
                let kind = char::from(other.as_byte());
                let feature = format!("an entry of type {kind:?} (`{path}`)");
                return Err(PackageError::unsupported(self.archive, feature));
            }
        })
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>, PackageError> {
        let unread = self.content.saturating_add(self.padding);
        (self.skip)(&mut self.source, unread).map_err(|source| self.broken(source))?;
        self.position = self.position.saturating_add(unread);
        (self.content, self.padding) = (0, 0);
        let mut block = [0; BLOCK_BYTES];
        let filled = fill(&mut self.source, &mut block).map_err(|source| self.broken(source))?;
        self.position = self.position.saturating_add(filled as u64);
        match filled {
            0 => return Ok(None),
            BLOCK_BYTES => {}
            _ => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            return Err(self.malformed(&format!("it has more than {ENTRIES_MAX} entries")));
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        let expected = header
            .cksum()
            .map_err(|source| self.failed("a member header".to_owned(), source))?;
        // The sum counts its own eight bytes as blanks.
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        if sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..]) != expected {
            return Err(self.malformed("a member header has a wrong checksum"));
        }
        if is_record(header.entry_type()) {
            let bytes = header
                .entry_size()
                .map_err(|source| self.failed("a member header".to_owned(), source))?;
            self.begin_content(bytes)?;
        }
        Ok(Some(header))
    }

    fn begin_content(&mut self, bytes: u64) -> Result<(), PackageError> {
        let padding = bytes.wrapping_neg() % BLOCK_BYTES as u64;
        if bytes.checked_add(padding).is_none() {
            return Err(self.malformed("a member has more bytes than there are numbers for"));
        }
        (self.content, self.padding) = (bytes, padding);
        Ok(())
    }

    /// The content of a record that describes the next entry.
    fn record(&mut self) -> Result<Vec<u8>, PackageError> {
        let bytes = self.content;
        if bytes > RECORD_BYTES_MAX {
            return Err(PackageErrorKind::TooLarge {
                archive: self.archive.to_owned(),
                what: format!("a record that describes a member, in {},", self.what),
                bytes,
                bytes_max: RECORD_BYTES_MAX,
            }
            .into());
        }
        let mut content = Vec::new();
        let read = Content(self).read_to_end(&mut content);
        match read {
            Ok(count) if count as u64 == bytes => Ok(content),
            Ok(_) => Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
            Err(source) => Err(self.broken(source)),
        }
    }

    fn long_name(&mut self) -> Result<Vec<u8>, PackageError> {
        let mut name = self.record()?;
        if name.last() == Some(&0) {
            name.pop();
        }
        self.check_name(&name)?;
        Ok(name)
    }

    fn pax(&mut self) -> Result<Pax, PackageError> {
        let record = self.record()?;
        let mut pax = Pax::default();
        for member in PaxExtensions::new(&record) {
            let member = member.map_err(|source| self.failed("a pax record".to_owned(), source))?;
            let value = member.value_bytes();
            let number = || {
                std::str::from_utf8(value)
                    .ok()
                    .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|text| text.parse().ok())
            };
            let key = member.key().unwrap_or_default();
            let is_repeated = match key {
                "path" => pax.path.replace(value.to_vec()).is_some(),
                "linkpath" => pax.link.replace(value.to_vec()).is_some(),
                "size" | "uid" | "gid" => {
                    let number = number().ok_or_else(|| {
                        self.malformed(&format!("a pax record has a `{key}` that is no number"))
                    })?;
                    match key {
                        "size" => pax.size.replace(number),
                        "uid" => pax.uid.replace(number),
                        _ => pax.gid.replace(number),
                    }
                    .is_some()
                }
                _ if key.starts_with("GNU.sparse") => {
                    return Err(PackageError::unsupported(self.archive, "sparse members"));
                }
                _ => false,
            };
            self.once(is_repeated)?;
        }
        Ok(pax)
    }

    /// Global records are comments here; what they would do to every member after them, no two
    /// readers agree about.
    fn global_pax(&mut self) -> Result<(), PackageError> {
        let Pax {
            path,
            link,
            size,
            uid,
            gid,
        } = self.pax()?;
        if path.is_some() || link.is_some() || size.is_some() || uid.is_some() || gid.is_some() {
            return Err(PackageError::unsupported(
                self.archive,
                "a global record that changes its members",
            ));
        }
        Ok(())
    }

    fn once(&self, is_repeated: bool) -> Result<(), PackageError> {
        if is_repeated {
            return Err(self.malformed("two records describe the same member"));
        }
        Ok(())
    }

    fn check_name(&mut self, name: &[u8]) -> Result<(), PackageError> {
        if name.len() > PATH_BYTES_MAX {
            return Err(PackageErrorKind::TooLarge {
                archive: self.archive.to_owned(),
                what: format!("the name of a member, in {},", self.what),
                bytes: name.len() as u64,
                bytes_max: PATH_BYTES_MAX as u64,
            }
            .into());
        }
        self.names_bytes += name.len();
        if self.names_bytes > NAMES_BYTES_MAX {
            return Err(self.malformed(&format!(
                "the names of its members have more than {NAMES_BYTES_MAX} bytes"
            )));
        }
        Ok(())
    }

    fn malformed(&self, problem: &str) -> PackageError {
        PackageError::malformed(self.archive, format!("{}: {problem}", self.what))
    }

    fn broken(&self, source: io::Error) -> PackageError {
        PackageError::archive(self.archive, self.what, source)
    }

    fn failed(&self, what: String, source: io::Error) -> PackageError {
        PackageError::archive(self.archive, what, source)
    }
}

impl<'a, R: Read + Seek> TarReader<'a, R> {
    /// As [`Self::new`], for a source that can be skipped in without reading.
    pub fn seekable(source: R, archive: &'a Path, what: &'a str) -> Self {
        Self {
            skip: skip_by_seeking,
            ..Self::new(source, archive, what)
        }
    }
}

struct Content<'r, 'a, R>(&'r mut TarReader<'a, R>);

impl<R: Read> Read for Content<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.0.content).unwrap_or(usize::MAX);
        let room = room.min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let count = self.0.source.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.content -= count as u64;
        self.0.position += count as u64;
        Ok(count)
    }
}

const fn is_record(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader
    )
}

/// Reads until the buffer is full or the source has no more.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn skip_by_reading<R: Read>(source: &mut R, bytes: u64) -> io::Result<()> {
    if io::copy(&mut source.by_ref().take(bytes), &mut io::sink())? == bytes {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn skip_by_seeking<R: Seek>(source: &mut R, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let at = source.stream_position()?.checked_add(bytes);
    let end = source.seek(SeekFrom::End(0))?;
    match at {
        Some(at) if at <= end => source.seek(SeekFrom::Start(at)).map(|_| ()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests;
