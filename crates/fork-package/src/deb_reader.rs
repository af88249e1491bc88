//! Reads binary packages.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use fork_compress::{Compression, ReadAhead, decoder};
use fork_fs::HashingReader;

use crate::ar;
use crate::control::Paragraph;
use crate::error::{PackageError, PackageErrorKind};
use crate::limit::{Limited, unpacked_bytes_max};
use crate::tar_reader::{DataEntry, DataEntryKind, TarReader};

/// Largest control member, compressed and uncompressed. Real ones are a few KiB; the largest in
/// Debian are a few MiB of `md5sums`.
const CONTROL_BYTES_MAX: u64 = 32 << 20;
/// Most files in a control member; Debian knows a dozen names.
const CONTROL_FILES_MAX: usize = 100;

/// A package opened for reading: control data at once, the data member streamed.
#[derive(Debug)]
pub struct DebReader {
    path: PathBuf,
    input: BufReader<File>,
    mtime: u64,
    control: Paragraph,
    control_files: BTreeMap<String, Vec<u8>>,
    control_member: ar::Member,
    data: ar::Member,
    compression: Compression,
}

impl DebReader {
    /// Opens a package and reads everything up to its data.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or is not a package of format 2.x, on control data that
    /// breaks the rules, and on other compressions than none, gzip, xz and zstd (dpkg also reads
    /// bzip2 and lzma, which no package has had for ten years).
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        let mut input = BufReader::with_capacity(1 << 18, fork_fs::open(path)?);
        let error = |what: &str, source| PackageError::archive(path, what, source);
        let malformed = |problem: &str| PackageError::malformed(path, problem);
        ar::read_magic(&mut input).map_err(|source| error("the ar header", source))?;

        let first = Self::next(path, &mut input)?;
        if first.name != "debian-binary" {
            return Err(malformed("the first member is not `debian-binary`"));
        }
        let version = Self::small(path, &mut input, &first)?;
        if !version.starts_with(b"2.") {
            return Err(PackageError::unsupported(
                path,
                format!(
                    "package format {}",
                    String::from_utf8_lossy(&version).trim_end().escape_debug()
                ),
            ));
        }

        let second = Self::next(path, &mut input)?;
        let compression = match second.name.strip_prefix("control.tar") {
            None => return Err(malformed("the second member is not `control.tar`")),
            Some(suffix) => compression_of(path, &second.name, suffix)?,
        };
        let bytes = Self::small(path, &mut input, &second)?;
        let stream = decoder(compression, bytes.as_slice())
            .map_err(|source| error("the control member", source))?;
        let control_files = read_control(path, stream)?;
        let text = control_files
            .get("control")
            .ok_or_else(|| malformed("there is no file `control` in control.tar"))?;
        let text = std::str::from_utf8(text).map_err(|_| malformed("`control` is not UTF-8"))?;
        let control = Paragraph::parse(text)?;

        let data = Self::next(path, &mut input)?;
        let compression = match data.name.strip_prefix("data.tar") {
            None => return Err(malformed("the third member is not `data.tar`")),
            Some(suffix) => compression_of(path, &data.name, suffix)?,
        };
        Ok(Self {
            path: path.to_owned(),
            input,
            mtime: first.mtime,
            control,
            control_files,
            control_member: second,
            data,
            compression,
        })
    }

    /// Control data.
    #[must_use]
    pub fn control(&self) -> &Paragraph {
        &self.control
    }

    /// Files of the control member by name: `control`, `md5sums`, maintainer scripts, ….
    #[must_use]
    pub fn control_files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.control_files
    }

    /// The `md5sums` file.
    #[must_use]
    pub fn md5sums(&self) -> Option<&[u8]> {
        self.control_files.get("md5sums").map(Vec::as_slice)
    }

    /// The control and the data member, as the `ar` headers describe them.
    #[must_use]
    pub const fn members(&self) -> [&ar::Member; 2] {
        [&self.control_member, &self.data]
    }

    /// Compression of the data member.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Name of the control member, whose end says how it is compressed.
    #[must_use]
    pub fn control_member(&self) -> &str {
        &self.control_member.name
    }

    /// Name of the data member, whose end says how it is compressed.
    #[must_use]
    pub fn data_member(&self) -> &str {
        &self.data.name
    }

    /// Time of the first member, seconds since 1970.
    #[must_use]
    pub fn mtime(&self) -> u64 {
        self.mtime
    }

    /// Streams the data member: `each` gets every entry with a reader of its content. Returns the
    /// SHA-256 of the uncompressed data tar.
    ///
    /// # Errors
    ///
    /// Fails on damaged data, on names that leave the root, on entries that are neither files,
    /// directories nor links, and with whatever `each` fails with.
    pub fn read_data<E: From<PackageError>>(
        self,
        mut each: impl FnMut(&DataEntry, &mut dyn Read) -> Result<(), E>,
    ) -> Result<String, E> {
        let name = self.data.name.clone();
        let error = |source| PackageError::archive(&self.path, name.as_str(), source);
        let bytes_max = unpacked_bytes_max(self.data.bytes);
        let member = self.input.take(self.data.bytes);
        // Damage is found by the decoder, which reads ahead in a thread of its own.
        let stream = decoder(self.compression, member)
            .map(|stream| Limited::new(stream, bytes_max))
            .map_err(error)?;
        let mut stream = HashingReader::new(ReadAhead::new(stream).map_err(error)?);
        let mut tar = TarReader::new(&mut stream, &self.path, &name);
        while let Some(entry) = tar.advance()? {
            if entry.kind == DataEntryKind::Special {
                let feature = format!("a device or pipe (`{}`)", entry.path);
                return Err(PackageError::unsupported(&self.path, feature).into());
            }
            each(&entry, &mut tar.content())?;
        }
        // The digest covers the end of the archive too.
        io::copy(&mut stream, &mut io::sink()).map_err(error)?;
        Ok(stream.finish().sha256)
    }

    fn next(path: &Path, input: &mut dyn Read) -> Result<ar::Member, PackageError> {
        ar::next_member(input)
            .map_err(|source| PackageError::archive(path, "an ar member header", source))?
            .ok_or_else(|| PackageError::malformed(path, "a member is missing at the end"))
    }

    fn small(
        path: &Path,
        input: &mut dyn Read,
        member: &ar::Member,
    ) -> Result<Vec<u8>, PackageError> {
        if member.bytes > CONTROL_BYTES_MAX {
            return Err(PackageErrorKind::TooLarge {
                archive: path.to_owned(),
                what: format!("member {}", member.name),
                bytes: member.bytes,
                bytes_max: CONTROL_BYTES_MAX,
            }
            .into());
        }
        let error = |source| PackageError::archive(path, format!("member {}", member.name), source);
        let mut bytes = Vec::new();
        input
            .take(member.bytes)
            .read_to_end(&mut bytes)
            .map_err(error)?;
        if bytes.len() as u64 != member.bytes {
            return Err(error(io::ErrorKind::UnexpectedEof.into()));
        }
        ar::skip_padding(input, member.bytes).map_err(error)?;
        Ok(bytes)
    }
}

/// The compression that the name of a member says.
fn compression_of(path: &Path, member: &str, suffix: &str) -> Result<Compression, PackageError> {
    Compression::ALL
        .into_iter()
        .find(|one| one.suffix() == suffix)
        .ok_or_else(|| PackageError::unsupported(path, format!("the compression of {member}")))
}

fn read_control(path: &Path, input: impl Read) -> Result<BTreeMap<String, Vec<u8>>, PackageError> {
    const WHAT: &str = "the control member";
    let mut files = BTreeMap::new();
    let mut tar = TarReader::new(Limited::new(input, CONTROL_BYTES_MAX), path, WHAT);
    while let Some(entry) = tar.advance()? {
        match entry.kind {
            DataEntryKind::File { .. } => {}
            DataEntryKind::Directory if entry.path.is_empty() => continue,
            // dpkg would follow a link, and run what it leads to.
            _ => {
                let problem = format!("`{}` in {WHAT} is no file", entry.path);
                return Err(PackageError::malformed(path, problem));
            }
        }
        if files.len() >= CONTROL_FILES_MAX {
            let problem = format!("{WHAT} has more than {CONTROL_FILES_MAX} files");
            return Err(PackageError::malformed(path, problem));
        }
        let mut bytes = Vec::new();
        tar.content()
            .read_to_end(&mut bytes)
            .map_err(|source| PackageError::archive(path, WHAT, source))?;
        if files.contains_key(&entry.path) {
            let problem = format!("{WHAT} holds `{}` twice", entry.path);
            return Err(PackageError::malformed(path, problem));
        }
        files.insert(entry.path, bytes);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tar::EntryType;

    use super::*;
    use crate::gzip;

    fn tar_of(name: &str, entry_type: EntryType) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(entry_type);
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend([0; 1024]);
        bytes
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = gzip::encoder(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzipped(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        gzip::decoder(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    fn control() -> Vec<u8> {
        let mut tar = crate::TarWriter::new(Vec::new(), crate::NameStyle::Deb, Path::new("c"));
        tar.append_bytes(
            "control",
            crate::Attributes::root(0o644, 0),
            b"Package: a\n",
        )
        .unwrap();
        zipped(&tar.finish().unwrap())
    }

    fn read(members: &[(&str, &[u8])]) -> Result<String, PackageError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.deb");
        let mut bytes = ar::MAGIC.to_vec();
        for (name, content) in members {
            ar::write_member(&mut bytes, name, 0, content.len() as u64, &mut &**content).unwrap();
        }
        fork_fs::write_atomic(&path, &bytes).unwrap();
        DebReader::open(&path)?.read_data(|_, _| Ok(()))
    }

    #[test]
    fn hostile_and_damaged_packages_are_refused() {
        let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
        let control = control();
        let control: (&str, &[u8]) = ("control.tar.gz", &control);
        let good = zipped(&tar_of("./a", EntryType::Regular));
        read(&[version, control, ("data.tar.gz", &good)]).unwrap();
        let raw = tar_of("./a", EntryType::Regular);
        read(&[version, control, ("data.tar", &raw)]).unwrap();

        let kind = |members: &[(&str, &[u8])]| format!("{:?}", read(members).unwrap_err().kind());
        assert!(kind(&[version, control]).starts_with("Malformed"));
        assert!(kind(&[control]).starts_with("Malformed"));
        assert!(kind(&[("debian-binary", b"3.0\n"), control]).starts_with("Unsupported"));
        assert!(kind(&[version, ("control.tar.lzma", b"x")]).starts_with("Unsupported"));
        assert!(kind(&[version, control, ("data.tar.bz2", b"x")]).starts_with("Unsupported"));
        for suffix in ["gz", "xz", "zst"] {
            let name = format!("control.tar.{suffix}");
            let found = kind(&[version, (&name, b"x")]);
            assert!(found.starts_with("Archive"), "{name}: {found}");
            let name = format!("data.tar.{suffix}");
            let found = kind(&[version, control, (&name, b"x")]);
            assert!(found.starts_with("Archive"), "{name}: {found}");
        }
        for (name, kinds) in [
            ("postinst", [EntryType::Symlink, EntryType::Link]),
            ("control", [EntryType::Regular, EntryType::Regular]),
        ] {
            for entry in kinds {
                let mut tar = gunzipped(control.1);
                tar.splice(..0, tar_of(name, entry)[..512].iter().copied());
                let bad = zipped(&tar);
                let found = kind(&[version, ("control.tar.gz", &bad)]);
                assert!(found.starts_with("Malformed"), "{name}: {found}");
            }
        }
        let up = zipped(&tar_of("../a", EntryType::Regular));
        assert!(kind(&[version, control, ("data.tar.gz", &up)]).starts_with("UnsafePath"));
        let device = zipped(&tar_of("./a", EntryType::Char));
        assert!(kind(&[version, control, ("data.tar.gz", &device)]).starts_with("Unsupported"));
        let cut = &good[..good.len() - 9];
        assert!(kind(&[version, control, ("data.tar.gz", cut)]).starts_with("Archive"));
    }
}
