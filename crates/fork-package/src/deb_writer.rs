//! Writes binary packages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use fork_compress::{Compression, Encoder};
use fork_fs::{AtomicFile, Digested, FsError, HashingWriter, Operation};
use fork_types::document::PackagedFile;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::ar;
use crate::control::Paragraph;
use crate::error::{PackageError, PackageErrorKind};
use crate::paths::{parents, safe_path};
use crate::tar_writer::{Attributes, EntryKind, NameStyle, TarWriter};

const DIRECTORY_MODE: u32 = 0o755;
/// Written at a time.
const COPY_BYTES: usize = 256 << 10;
/// Unit of `Installed-Size`.
const KIB: u64 = 1024;

/// Where a file's content comes from.
#[derive(Clone, Debug)]
pub enum FileSource {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file, read while the package is written.
    File(PathBuf),
}

#[derive(Clone, Debug)]
struct NewFile {
    mode: u32,
    source: FileSource,
}

/// A binary package to be written. Directories above the files are added with mode 0755; every
/// owner is root and every time the same.
#[derive(Clone, Debug)]
pub struct DebBuilder {
    control: Paragraph,
    mtime: u64,
    compression: Compression,
    member_bytes_max: u64,
    files: BTreeMap<String, NewFile>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenDeb {
    /// Digest and size of the package file.
    pub file: Digested,
    /// Files, sorted by path.
    pub contents: Vec<PackagedFile>,
    /// SHA-256 of the uncompressed data tar.
    pub payload_sha256: String,
    /// Control data as written, `Installed-Size` included.
    pub control: Paragraph,
}

struct Data {
    file: File,
    bytes: u64,
    contents: Vec<PackagedFile>,
    md5sums: String,
    payload_sha256: String,
}

impl DebBuilder {
    /// Starts a package with this control data; `mtime` (seconds since 1970) is the time of every
    /// member. `Installed-Size` is computed, whatever the control data says.
    #[must_use]
    pub fn new(control: Paragraph, mtime: u64) -> Self {
        Self {
            control,
            mtime,
            compression: Compression::Gzip,
            member_bytes_max: ar::MEMBER_BYTES_MAX,
            files: BTreeMap::new(),
        }
    }

    /// Compresses both archives inside with `compression` instead of gzip.
    #[must_use]
    pub const fn compressed_with(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Adds a file at an absolute path.
    ///
    /// # Errors
    ///
    /// Fails on a path that is not absolute and normal, or was added before.
    pub fn add(&mut self, path: &str, mode: u32, source: FileSource) -> Result<(), PackageError> {
        let contents = |problem: &str| {
            PackageError::from(PackageErrorKind::Contents {
                path: path.to_owned(),
                problem: problem.to_owned(),
            })
        };
        let relative = safe_path(Path::new("package"), path.as_bytes())?;
        if relative.is_empty() || path != format!("/{relative}") {
            return Err(contents(
                "the path is not absolute and without `.` and `//`",
            ));
        }
        let file = NewFile { mode, source };
        if self.files.insert(relative, file).is_some() {
            return Err(contents("it was added twice"));
        }
        Ok(())
    }

    /// Writes the package to `target`, atomically. The data member goes through an unnamed
    /// temporary file in the same directory first, because the `ar` header before it holds its
    /// size; memory does not grow with the package.
    ///
    /// # Errors
    ///
    /// Fails when a file is also needed as a directory, when a file cannot be read or changes size
    /// meanwhile, when a member exceeds the ten digits of its size field, and when the disk refuses.
    pub fn write(mut self, target: &Path) -> Result<WrittenDeb, PackageError> {
        let directories = self.directories()?;
        let sizes = self.sizes()?;
        let data_name = format!("data.tar{}", self.compression.suffix());
        let too_large = |bytes| {
            PackageError::from(PackageErrorKind::TooLarge {
                archive: target.to_owned(),
                what: format!("member {data_name}"),
                bytes,
                bytes_max: self.member_bytes_max,
            })
        };
        // Nothing is written of what cannot fit anyway.
        let least = sizes
            .values()
            .fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        if self.compression == Compression::None && least > self.member_bytes_max {
            return Err(too_large(least));
        }
        let installed_size = installed_size_kib(sizes.values().copied(), directories.len() as u64);
        self.control.set_after(
            "Architecture",
            "Installed-Size",
            &installed_size.to_string(),
        )?;
        let mut data = self
            .write_data(target, &directories, &sizes)
            .map_err(|error| match member_too_large(&error) {
                Some(bytes) => too_large(bytes),
                None => error,
            })?;
        let control = self.control_tar(target, &data.md5sums)?;

        let write_error = |source| FsError::io(Operation::Write, target, source);
        // Written by a thread while the next bytes are hashed.
        let output = Encoder::new(Compression::None, AtomicFile::create(target)?);
        let mut output = HashingWriter::new(output);
        output.write_all(ar::MAGIC).map_err(write_error)?;
        let mut member = |name: &str, bytes: u64, content: &mut dyn Read| {
            ar::write_member(&mut output, name, self.mtime, bytes, content).map_err(write_error)
        };
        member("debian-binary", 4, &mut b"2.0\n".as_slice())?;
        member(
            &format!("control.tar{}", self.compression.suffix()),
            control.len() as u64,
            &mut control.as_slice(),
        )?;
        member(&data_name, data.bytes, &mut data.file)?;
        let (output, file) = output.finish();
        output.finish().map_err(write_error)?.commit()?;
        Ok(WrittenDeb {
            file,
            contents: data.contents,
            payload_sha256: data.payload_sha256,
            control: self.control,
        })
    }

    /// Every directory of the package, the root included, sorted.
    fn directories(&self) -> Result<Vec<String>, PackageError> {
        let mut directories = vec![String::new()];
        for path in self.files.keys() {
            for parent in parents(path) {
                if self.files.contains_key(parent) {
                    return Err(PackageErrorKind::Contents {
                        path: format!("/{path}"),
                        problem: format!("`/{parent}` is a file"),
                    }
                    .into());
                }
                directories.push(parent.to_owned());
            }
        }
        directories.sort();
        directories.dedup();
        Ok(directories)
    }

    fn sizes(&self) -> Result<BTreeMap<String, u64>, PackageError> {
        let size = |source: &FileSource| match source {
            FileSource::Bytes(bytes) => Ok(bytes.len() as u64),
            FileSource::File(path) => fork_fs::file_bytes(path),
        };
        self.files
            .iter()
            .map(|(path, file)| Ok((path.clone(), size(&file.source)?)))
            .collect()
    }

    fn write_data(
        &self,
        target: &Path,
        directories: &[String],
        sizes: &BTreeMap<String, u64>,
    ) -> Result<Data, PackageError> {
        let write_error = |source| FsError::io(Operation::Write, target, source);
        let directory = target.parent().filter(|path| !path.as_os_str().is_empty());
        let file =
            tempfile::tempfile_in(directory.unwrap_or(Path::new("."))).map_err(write_error)?;
        let member = Bounded {
            inner: file,
            bytes: 0,
            bytes_max: self.member_bytes_max,
        };
        let member = io::BufWriter::with_capacity(COPY_BYTES, member);
        let compressed = Encoder::new(self.compression, member);
        let mut tar = TarWriter::new(HashingWriter::new(compressed), NameStyle::Deb, target);
        let mut names: Vec<&str> = directories.iter().map(String::as_str).collect();
        names.extend(self.files.keys().map(String::as_str));
        names.sort_unstable();
        let mut contents = Vec::new();
        let mut md5sums = String::new();
        for name in names {
            let Some(file) = self.files.get(name) else {
                let attributes = Attributes::root(DIRECTORY_MODE, self.mtime);
                tar.append(name, EntryKind::Directory, attributes)?;
                continue;
            };
            let attributes = Attributes::root(file.mode, self.mtime);
            let bytes = sizes.get(name).copied().unwrap_or_default();
            let (sha256, md5) = match &file.source {
                FileSource::Bytes(content) => {
                    append_hashed(&mut tar, name, bytes, attributes, content.as_slice(), None)?
                }
                FileSource::File(path) => {
                    let input = fork_fs::open(path)?;
                    append_hashed(&mut tar, name, bytes, attributes, input, Some(path))?
                }
            };
            // Writing to a string cannot fail.
            let _ = writeln!(md5sums, "{md5}  {name}");
            contents.push(PackagedFile {
                path: format!("/{name}"),
                mode: format!("{:04o}", file.mode),
                bytes,
                sha256,
            });
        }
        let (compressed, payload) = tar.finish()?.finish();
        let Bounded {
            inner: mut file,
            bytes,
            ..
        } = compressed
            .finish()
            .and_then(|buffered| {
                buffered
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
            })
            .map_err(write_error)?;
        file.rewind().map_err(write_error)?;
        Ok(Data {
            file,
            bytes,
            contents,
            md5sums,
            payload_sha256: payload.sha256,
        })
    }

    fn control_tar(&self, target: &Path, md5sums: &str) -> Result<Vec<u8>, PackageError> {
        let encoder = Encoder::new(self.compression, Vec::new());
        let mut tar = TarWriter::new(encoder, NameStyle::Deb, target);
        let directory = Attributes::root(DIRECTORY_MODE, self.mtime);
        let file = Attributes::root(0o644, self.mtime);
        tar.append("", EntryKind::Directory, directory)?;
        tar.append_bytes("control", file, self.control.to_string().as_bytes())?;
        tar.append_bytes("md5sums", file, md5sums.as_bytes())?;
        tar.finish()?
            .finish()
            .map_err(|source| FsError::io(Operation::Write, target, source).into())
    }
}

/// A member that does not fit its header.
#[derive(Debug, thiserror::Error)]
#[error("the member has {bytes} bytes or more")]
struct MemberTooLarge {
    bytes: u64,
}

/// The bytes of the member that was too large, when that is what the error is about.
fn member_too_large(error: &PackageError) -> Option<u64> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<MemberTooLarge>());
        if let Some(found) = inner {
            return Some(found.bytes);
        }
        next = error.source();
    }
    None
}

/// Counts what is written, and stops where it would not fit any more.
struct Bounded<W> {
    inner: W,
    bytes: u64,
    bytes_max: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.bytes.saturating_add(bytes.len() as u64);
        if needed > self.bytes_max {
            return Err(io::Error::other(MemberTooLarge { bytes: needed }));
        }
        let count = self.inner.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// `Installed-Size` as `dpkg-gencontrol` counts it: each file in KiB rounded up, and one KiB for
/// each directory, the root included.
pub fn installed_size_kib(file_bytes: impl Iterator<Item = u64>, directories: u64) -> u64 {
    file_bytes.map(|bytes| bytes.div_ceil(KIB)).sum::<u64>() + directories
}

/// Appends a file and returns its SHA-256 and MD5 in hexadecimal.
pub(crate) fn append_hashed<W: Write>(
    tar: &mut TarWriter<W>,
    name: &str,
    bytes: u64,
    attributes: Attributes,
    input: impl Read,
    path: Option<&Path>,
) -> Result<(String, String), PackageError> {
    let mut input = TwoDigests {
        inner: input,
        sha256: Sha256::new(),
        md5: Md5::new(),
    };
    let path = path.unwrap_or(Path::new(name));
    tar.append_data(
        name,
        EntryKind::File { bytes },
        attributes,
        &mut input,
        path,
    )?;
    Ok((
        hex::encode(input.sha256.finalize()),
        hex::encode(input.md5.finalize()),
    ))
}

/// Hashes what is read through it: SHA-256 for the documents, MD5 because `dpkg --verify` reads
/// nothing else.
struct TwoDigests<R> {
    inner: R,
    sha256: Sha256,
    md5: Md5,
}

impl<R: Read> Read for TwoDigests<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.md5.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deb_reader::DebReader;
    use crate::tar_reader::DataEntryKind;

    fn builder() -> DebBuilder {
        let control = Paragraph::parse("Package: a\nVersion: 1\nArchitecture: all\n").unwrap();
        DebBuilder::new(control, 1_700_000_000)
    }

    #[test]
    fn reads_back_and_repeats() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("input");
        fork_fs::write_atomic(&input, &[7; 2000]).unwrap();
        let write = |name: &str| {
            let mut deb = builder();
            deb.add("/var/lib/b", 0o644, FileSource::File(input.clone()))
                .unwrap();
            deb.add("/usr/a", 0o755, FileSource::Bytes(b"a".to_vec()))
                .unwrap();
            deb.write(&directory.path().join(name)).unwrap()
        };
        let written = write("one.deb");
        assert_eq!(written, write("two.deb"));
        // 2000 bytes are two KiB, one byte is one, and there are four directories.
        assert_eq!(written.control.get("Installed-Size"), Some("7"));
        assert_eq!(written.contents[0].path, "/usr/a");
        assert_eq!(written.contents[0].mode, "0755");

        let reader = DebReader::open(&directory.path().join("one.deb")).unwrap();
        assert_eq!(reader.control(), &written.control);
        assert_eq!(reader.mtime(), 1_700_000_000);
        let md5sums = String::from_utf8(reader.md5sums().unwrap().to_vec()).unwrap();
        assert!(md5sums.starts_with("0cc175b9c0f1b6a831c399e269772661  usr/a\n"));
        let mut paths = Vec::new();
        let payload = reader
            .read_data(|entry, content| {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).unwrap();
                if let DataEntryKind::File { bytes: expected } = entry.kind {
                    assert_eq!(bytes.len() as u64, expected);
                }
                paths.push(entry.path.clone());
                Ok::<(), PackageError>(())
            })
            .unwrap();
        assert_eq!(payload, written.payload_sha256);
        assert_eq!(paths, ["", "usr", "usr/a", "var", "var/lib", "var/lib/b"]);
    }

    #[test]
    fn a_member_that_does_not_fit_its_header_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.deb");
        let found = |deb: DebBuilder| {
            let error = deb.write(&target).unwrap_err();
            assert_eq!(fork_fs::sorted_names(directory.path()).unwrap().len(), 0);
            error.to_string()
        };
        // Ten gigabytes of nothing, of which none is read.
        let sparse = tempfile::NamedTempFile::new().unwrap();
        sparse.as_file().set_len(ar::MEMBER_BYTES_MAX + 1).unwrap();
        let mut deb = builder().compressed_with(Compression::None);
        deb.add("/a", 0o644, FileSource::File(sparse.path().to_owned()))
            .unwrap();
        assert!(
            found(deb).contains("member data.tar of"),
            "the size is known before"
        );
        // What a compression makes of a file is known when it is made.
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..3 << 20)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
            let mut deb = builder().compressed_with(compression);
            deb.member_bytes_max = 2 << 20;
            deb.add("/a", 0o644, FileSource::Bytes(noise.clone()))
                .unwrap();
            let text = found(deb);
            let member = format!("member data.tar{} of `", compression.suffix());
            assert!(text.contains(&member), "{text}");
            assert!(text.ends_with("the limit is 2097152"), "{text}");
        }
    }

    #[test]
    fn impossible_contents_are_refused() {
        let mut deb = builder();
        let empty = || FileSource::Bytes(Vec::new());
        for path in ["", "/", "a", "/a/../b", "//a", "/a/"] {
            assert!(deb.add(path, 0o644, empty()).is_err(), "{path}");
        }
        deb.add("/a", 0o644, empty()).unwrap();
        assert!(deb.add("/a", 0o644, empty()).is_err());
        deb.add("/a/b", 0o644, empty()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let error = deb.write(&directory.path().join("a.deb")).unwrap_err();
        assert!(matches!(error.kind(), PackageErrorKind::Contents { .. }));
        let mut deb = builder();
        deb.add("/a", 0o644, FileSource::File("/nonexistent/file".into()))
            .unwrap();
        let error = deb.write(&directory.path().join("a.deb")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/file"));
        assert_eq!(fork_fs::sorted_names(directory.path()).unwrap().len(), 0);
    }
}
