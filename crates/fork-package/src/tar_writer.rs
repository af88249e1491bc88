//! A tar writer whose output depends on nothing but its input.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fork_fs::{FsError, Operation};
use tar::{EntryType, Header};

use crate::error::{PackageError, PackageErrorKind};

const BLOCK_BYTES: usize = 512;
/// Bytes of a name that fit in a header; longer ones get a GNU long-name record before it.
const NAME_BYTES_MAX: usize = 100;
/// Copied at a time.
const COPY_BYTES: usize = 128 << 10;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A file of so many bytes.
    File {
        /// Size.
        bytes: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Symlink {
        /// Target as it stands in the link.
        target: &'a str,
    },
    /// Another name of an earlier entry.
    HardLink {
        /// Path of the earlier entry, relative to the root.
        target: &'a str,
    },
    /// A named pipe.
    Fifo,
}

/// Owner, permissions and time of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
}

impl Attributes {
    /// Something owned by root.
    #[must_use]
    pub const fn root(mode: u32, mtime: u64) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime,
        }
    }
}

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStyle {
    /// `./usr/bin`, owner names `root`: what `dpkg-deb` writes.
    Deb,
    /// `usr/bin`, no owner names: what image layers hold.
    Layer,
}

/// Writes a tar archive; entries must come in strictly ascending order of their paths, so that a
/// parent precedes its children and no name appears twice.
#[derive(Debug)]
pub struct TarWriter<W> {
    inner: W,
    style: NameStyle,
    output: PathBuf,
    previous: Option<String>,
    /// Names of owner and group in [`NameStyle::Deb`].
    owner: (String, String),
}

impl<W: Write> TarWriter<W> {
    /// Starts an archive; `output` is the path named in write errors.
    pub fn new(inner: W, style: NameStyle, output: &Path) -> Self {
        Self {
            inner,
            style,
            output: output.to_owned(),
            previous: None,
            owner: ("root".to_owned(), "root".to_owned()),
        }
    }

    /// Sets the names of owner and group that are written from now on in [`NameStyle::Deb`]; an
    /// empty one leaves the number to speak.
    pub fn set_owner(&mut self, user: &str, group: &str) {
        self.owner = (user.to_owned(), group.to_owned());
    }

    /// Appends an entry without content.
    ///
    /// # Errors
    ///
    /// Fails when entries are out of order or the output refuses the bytes.
    pub fn append(
        &mut self,
        path: &str,
        kind: EntryKind<'_>,
        attributes: Attributes,
    ) -> Result<(), PackageError> {
        self.append_data(path, kind, attributes, &mut io::empty(), Path::new(path))
    }

    /// Appends a file with the given content.
    ///
    /// # Errors
    ///
    /// As [`TarWriter::append`].
    pub fn append_bytes(
        &mut self,
        path: &str,
        attributes: Attributes,
        mut content: &[u8],
    ) -> Result<(), PackageError> {
        let bytes = content.len() as u64;
        let kind = EntryKind::File { bytes };
        self.append_data(path, kind, attributes, &mut content, Path::new(path))
    }

    /// Appends an entry and copies its content from `data`; `data_path` is the path named in read
    /// errors.
    ///
    /// # Errors
    ///
    /// Fails when entries are out of order, when `data` is shorter or longer than the kind says,
    /// and when reading or writing fails.
    pub fn append_data(
        &mut self,
        path: &str,
        kind: EntryKind<'_>,
        attributes: Attributes,
        data: &mut dyn Read,
        data_path: &Path,
    ) -> Result<(), PackageError> {
        if let Some(previous) = self
            .previous
            .as_deref()
            .filter(|previous| *previous >= path)
        {
            return Err(PackageErrorKind::NotSorted {
                entry: path.to_owned(),
                previous: previous.to_owned(),
            }
            .into());
        }
        self.previous = Some(path.to_owned());
        let (entry_type, bytes, link) = match kind {
            EntryKind::File { bytes } => (EntryType::Regular, bytes, None),
            EntryKind::Directory => (EntryType::Directory, 0, None),
            EntryKind::Symlink { target } => (EntryType::Symlink, 0, Some(target.to_owned())),
            EntryKind::HardLink { target } => (EntryType::Link, 0, Some(self.name(target, false))),
            EntryKind::Fifo => (EntryType::Fifo, 0, None),
        };
        let name = self.name(path, entry_type == EntryType::Directory);
        self.write_header(&name, link.as_deref(), entry_type, bytes, attributes)
            .map_err(|source| self.write_error(source))?;
        self.copy(data, bytes, data_path)?;
        self.pad(bytes).map_err(|source| self.write_error(source))
    }

    /// Ends the archive and returns what it was written to.
    ///
    /// # Errors
    ///
    /// Fails when the output refuses the bytes.
    pub fn finish(mut self) -> Result<W, PackageError> {
        self.inner
            .write_all(&[0; 2 * BLOCK_BYTES])
            .map_err(|source| self.write_error(source))?;
        Ok(self.inner)
    }

    fn write_error(&self, source: io::Error) -> PackageError {
        FsError::io(Operation::Write, &self.output, source).into()
    }

    fn name(&self, path: &str, directory: bool) -> String {
        let prefix = match self.style {
            NameStyle::Deb => "./",
            NameStyle::Layer => "",
        };
        let slash = if directory && !path.is_empty() {
            "/"
        } else {
            ""
        };
        format!("{prefix}{path}{slash}")
    }

    fn write_header(
        &mut self,
        name: &str,
        link: Option<&str>,
        entry_type: EntryType,
        bytes: u64,
        attributes: Attributes,
    ) -> io::Result<()> {
        self.long_record(EntryType::GNULongName, name)?;
        if let Some(link) = link {
            self.long_record(EntryType::GNULongLink, link)?;
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(entry_type);
        header.set_mode(attributes.mode & 0o7777);
        header.set_uid(attributes.uid);
        header.set_gid(attributes.gid);
        header.set_mtime(attributes.mtime);
        header.set_size(bytes);
        if self.style == NameStyle::Deb {
            header.set_username(&self.owner.0)?;
            header.set_groupname(&self.owner.1)?;
        }
        self.put_header(header, name, link.unwrap_or_default())
    }

    fn put_header(&mut self, mut header: Header, name: &str, link: &str) -> io::Result<()> {
        let old = header.as_old_mut();
        cut_into(&mut old.name, name);
        cut_into(&mut old.linkname, link);
        header.set_cksum();
        self.inner.write_all(header.as_bytes())
    }

    /// Writes `text` in a record of its own when it does not fit in a header.
    fn long_record(&mut self, entry_type: EntryType, text: &str) -> io::Result<()> {
        if text.len() <= NAME_BYTES_MAX {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(entry_type);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let bytes = text.len() as u64 + 1;
        header.set_size(bytes);
        self.put_header(header, "././@LongLink", "")?;
        self.inner.write_all(text.as_bytes())?;
        self.inner.write_all(&[0])?;
        self.pad(bytes)
    }

    fn copy(
        &mut self,
        data: &mut dyn Read,
        bytes: u64,
        data_path: &Path,
    ) -> Result<(), PackageError> {
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(bytes).unwrap_or(COPY_BYTES) + 1)];
        let mut copied = 0;
        loop {
            let count = match data.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(FsError::io(Operation::Read, data_path, source).into()),
            };
            copied += count as u64;
            if copied > bytes {
                break;
            }
            self.inner
                .write_all(&buffer[..count])
                .map_err(|source| self.write_error(source))?;
        }
        if copied != bytes {
            return Err(PackageErrorKind::SizeChanged {
                path: data_path.to_owned(),
                expected: bytes,
                found: copied,
            }
            .into());
        }
        Ok(())
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        let used = usize::try_from(bytes % BLOCK_BYTES as u64).unwrap_or_default();
        if used == 0 {
            return Ok(());
        }
        self.inner.write_all(&[0; BLOCK_BYTES][used..])
    }
}

/// Fills a header field; what does not fit stands in the long record before it.
fn cut_into(field: &mut [u8; NAME_BYTES_MAX], text: &str) {
    let count = text.len().min(NAME_BYTES_MAX);
    field[..count].copy_from_slice(&text.as_bytes()[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> TarWriter<Vec<u8>> {
        TarWriter::new(Vec::new(), NameStyle::Deb, Path::new("out.tar"))
    }

    #[test]
    fn entries_read_back() {
        let long = format!("d/{}", "x".repeat(150));
        let mut tar = writer();
        let root = Attributes::root(0o755, 7);
        tar.append("", EntryKind::Directory, root).unwrap();
        tar.append("d", EntryKind::Directory, root).unwrap();
        tar.append_bytes("d/a", Attributes::root(0o644, 7), b"hello")
            .unwrap();
        tar.append("d/l", EntryKind::Symlink { target: "../a" }, root)
            .unwrap();
        tar.append("d/m", EntryKind::HardLink { target: "d/a" }, root)
            .unwrap();
        tar.append_bytes(&long, root, b"").unwrap();
        let bytes = tar.finish().unwrap();
        assert_eq!(bytes.len() % BLOCK_BYTES, 0);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            names.push(String::from_utf8(entry.path_bytes().into_owned()).unwrap());
            assert_eq!(entry.header().mtime().unwrap(), 7);
            assert_eq!(entry.header().username().unwrap(), Some("root"));
            if names.last().unwrap() == "./d/a" {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                assert_eq!(text, "hello");
            }
            if names.last().unwrap() == "./d/m" {
                assert_eq!(entry.link_name_bytes().unwrap().as_ref(), b"./d/a");
            }
        }
        let long = format!("./{long}");
        assert_eq!(names, ["./", "./d/", "./d/a", "./d/l", "./d/m", &long]);
    }

    #[test]
    fn order_and_sizes_are_enforced() {
        let mut tar = writer();
        let attributes = Attributes::root(0o644, 0);
        tar.append_bytes("b", attributes, b"").unwrap();
        for again in ["b", "a"] {
            let error = tar.append_bytes(again, attributes, b"").unwrap_err();
            assert!(matches!(error.kind(), PackageErrorKind::NotSorted { .. }));
        }
        for bytes in [1, 3] {
            let error = writer()
                .append_data(
                    "c",
                    EntryKind::File { bytes },
                    attributes,
                    &mut b"xx".as_slice(),
                    Path::new("c"),
                )
                .unwrap_err();
            assert!(matches!(error.kind(), PackageErrorKind::SizeChanged { .. }));
        }
    }
}
