//! Ledger tarballs: names, and deterministic bytes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use blake2::Blake2b;
use blake2::digest::consts::U32;
use fork_compress::gzip::{self, Search};
use fork_fs::{AtomicFile, FsError, Operation};
use fork_ledger::binprot::empty_account_bytes;
use fork_types::{Era, LedgerHash};
use sha2::Sha256;
use sha3::{Digest, Sha3_256};
use tar::{EntryType, Header};

use crate::error::{StoreError, StoreErrorKind};
use crate::log::FILE_NAMES;

const TAR_BLOCK_BYTES: usize = 512;

/// Bytes read at a time where a whole file passes by.
const READ_BYTES: usize = 1 << 18;

/// File name of a ledger's tarball: `<prefix>_`, BLAKE2b-256 over the root's text and the empty
/// account of `era`, `.tar.gz`. The daemon looks for exactly this name.
///
/// `prefix` is [`Role::tarball_prefix`](fork_types::Role::tarball_prefix). `era` is the era of the
/// daemon that will read it: the same root has another name in another era.
///
/// Source: MinaProtocol/mina `src/lib/genesis_ledger_helper/genesis_ledger_helper.ml`.
///
/// # Examples
///
/// ```
/// use fork_store::tarball_name;
/// use fork_types::Era;
///
/// let root = "jwNw4qb6tnNhpQNxiMLem9WumxZTwmbSx3fYXW4FP3hZRkoQJSE".parse().unwrap();
/// assert_eq!(
///     tarball_name("genesis_ledger", &root, Era::Berkeley),
///     "genesis_ledger_5605a5a45c8ef6aac8fa88d5228640c00c16247a93cbeb55e2c95fd4782e88d2.tar.gz"
/// );
/// ```
#[must_use]
pub fn tarball_name(prefix: &str, root: &LedgerHash, era: Era) -> String {
    let mut hasher = Blake2b::<U32>::new();
    hasher.update(root.to_string());
    hasher.update(empty_account_bytes(era));
    format!("{prefix}_{}.tar.gz", hex::encode(hasher.finalize()))
}

/// Size and digests of a tarball.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarballSummary {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// SHA3-256, lower-case hexadecimal: `s3_data_hash` of the network config.
    pub s3_data_hash: String,
}

/// Packs the log-only store in `store` into the file `target`, reading it once and taking both
/// digests as the bytes pass by. Uses all threads of the current rayon pool.
///
/// Equal stores give equal bytes, on any machine and any number of threads: fixed member order,
/// times, owners and modes, and a compressor that is part of this workspace. A test pins the bytes, so
/// that a change which changes every `s3_data_hash` is noticed.
///
/// # Errors
///
/// Fails when the directory is not exactly a log-only store (reading one with other programs may
/// have added files whose bytes differ from run to run), and when the disk refuses; then `target`
/// is as it was.
pub fn write_tarball(store: &Path, target: &Path) -> Result<TarballSummary, StoreError> {
    check_files(store)?;
    let mut file = AtomicFile::create(target)?;
    let mut sha256 = Sha256::new();
    let mut sha3 = Sha3_256::new();
    let mut bytes = 0;
    let archive = Archive::new(store)?;
    let packed = gzip::compress(
        archive,
        Search::Everywhere,
        |part| -> Result<(), PackError> {
            file.write_all(part)
                .map_err(|source| file.write_error(source))?;
            sha256.update(part);
            sha3.update(part);
            bytes += part.len() as u64;
            Ok(())
        },
    );
    match packed {
        Ok(()) => {}
        Err(PackError::Write(error)) => return Err(error.into()),
        Err(PackError::Defective) => {
            return Err(StoreErrorKind::Compressor {
                path: target.to_owned(),
            }
            .into());
        }
        Err(PackError::Read(source)) => {
            return Err(FsError::io(Operation::Read, store, source).into());
        }
    }
    file.commit()?;
    Ok(TarballSummary {
        bytes,
        sha256: hex::encode(sha256.finalize()),
        s3_data_hash: hex::encode(sha3.finalize()),
    })
}

/// Takes the digests of a tarball that lies on the disk, whoever packed it.
///
/// # Errors
///
/// Fails when the file cannot be read.
pub fn digest_tarball(path: &Path) -> Result<TarballSummary, StoreError> {
    let mut file = fork_fs::open(path)?;
    let mut sha256 = Sha256::new();
    let mut sha3 = Sha3_256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(FsError::io(Operation::Read, path, source).into()),
        };
        sha256.update(&buffer[..count]);
        sha3.update(&buffer[..count]);
        bytes += count as u64;
    }
    Ok(TarballSummary {
        bytes,
        sha256: hex::encode(sha256.finalize()),
        s3_data_hash: hex::encode(sha3.finalize()),
    })
}

/// Which side of the compressor failed, or that it did itself.
enum PackError {
    Read(io::Error),
    Write(FsError),
    Defective,
}

impl From<gzip::Defective> for PackError {
    fn from(_: gzip::Defective) -> Self {
        Self::Defective
    }
}

impl From<io::Error> for PackError {
    fn from(source: io::Error) -> Self {
        Self::Read(source)
    }
}

impl From<FsError> for PackError {
    fn from(error: FsError) -> Self {
        Self::Write(error)
    }
}

fn check_files(store: &Path) -> Result<(), StoreError> {
    let names = fork_fs::sorted_names(store)?;
    for expected in FILE_NAMES {
        if !names.iter().any(|name| name == expected) {
            return Err(StoreErrorKind::NotAStore {
                path: store.to_owned(),
                missing: expected,
            }
            .into());
        }
    }
    let foreign = |name: &&std::ffi::OsString| !FILE_NAMES.iter().any(|known| *name == known);
    match names.iter().find(foreign) {
        Some(name) => Err(StoreErrorKind::ForeignFile {
            path: store.to_owned(),
            name: name.to_string_lossy().into_owned(),
        }
        .into()),
        None => Ok(()),
    }
}

/// The tar archive of a store, as a stream.
struct Archive {
    /// What is still to come, the next part last.
    parts: Vec<Part>,
}

enum Part {
    /// Headers and padding.
    Bytes(io::Cursor<Vec<u8>>),
    /// A file, and the bytes of it that are still to come.
    File(File, u64),
}

impl Archive {
    fn new(store: &Path) -> Result<Self, StoreError> {
        let mut bytes = header("./", EntryType::Directory, 0o755, 0, store)?;
        let mut parts = Vec::new();
        for name in FILE_NAMES {
            let path = store.join(name);
            let file = fork_fs::open(&path)?;
            let size = fork_fs::file_bytes(&path)?;
            let member = format!("./{name}");
            bytes.extend(header(&member, EntryType::Regular, 0o644, size, store)?);
            parts.push(Part::Bytes(io::Cursor::new(std::mem::take(&mut bytes))));
            parts.push(Part::File(file, size));
            bytes.resize((size as usize).wrapping_neg() % TAR_BLOCK_BYTES, 0);
        }
        // Two blocks of zeros end an archive.
        bytes.resize(bytes.len() + 2 * TAR_BLOCK_BYTES, 0);
        parts.push(Part::Bytes(io::Cursor::new(bytes)));
        parts.reverse();
        Ok(Self { parts })
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = match self.parts.last_mut() {
                None => return Ok(0),
                Some(Part::Bytes(bytes)) => bytes.read(buffer)?,
                Some(Part::File(file, left)) => read_file(file, left, buffer)?,
            };
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.parts.pop();
        }
    }
}

/// Reads on in a file whose size is promised in a header already; 0 at its end.
fn read_file(file: &mut File, left: &mut u64, buffer: &mut [u8]) -> io::Result<usize> {
    if *left == 0 {
        // Whoever appends to it now would make every digest wrong.
        return match file.read(&mut [0])? {
            0 => Ok(0),
            _ => Err(io::Error::other("a file grows while it is packed")),
        };
    }
    let wanted = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    let count = file.read(&mut buffer[..wanted])?;
    if count == 0 && wanted > 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    *left -= count as u64;
    Ok(count)
}

/// A member's header. By hand, because the tar crate drops the `./` that upstream's members start
/// with.
fn header(
    name: &str,
    kind: EntryType,
    mode: u32,
    size: u64,
    store: &Path,
) -> Result<Vec<u8>, StoreError> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    for named in [header.set_username("root"), header.set_groupname("root")] {
        named.map_err(|source| FsError::io(Operation::Read, store, source))?;
    }
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        // The first three are published, the others were computed from the rule.
        let cases = [
            (
                "genesis_ledger",
                "jwNw4qb6tnNhpQNxiMLem9WumxZTwmbSx3fYXW4FP3hZRkoQJSE",
                Era::Berkeley,
                "5605a5a45c8ef6aac8fa88d5228640c00c16247a93cbeb55e2c95fd4782e88d2",
            ),
            (
                "epoch_ledger",
                "jwbFn9V1eyDa5AgLkHAwsVffHSjLLhfw8WpKYM6bJiKXb5Uhbti",
                Era::Mesa,
                "2051e48942a85d0a7862124aae7aae84899a1c38028bc7201c8f4fe16904f99b",
            ),
            (
                "epoch_ledger",
                "jxUYRdFcuDDMyEtRXkAEo74EFpFSAjcVf6pBX9j56siW7rFZFRq",
                Era::Mesa,
                "508eb7483a18650ccf5c9b31b443dc2877459e628279a30de3d490fb18cf5cd6",
            ),
            (
                "genesis_ledger",
                "jwrCSCRNpNx3ZBh6D4bUAnZtqPacKXXe6veGC9kQfHrxWqmEbJS",
                Era::Mesa,
                "e4b922d4b44b62973b5f75a18d2e32305fe81ed76ec4a49b250e1987e169cf00",
            ),
            (
                "genesis_ledger",
                "jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf",
                Era::Berkeley,
                "7f8e3c72be57f296e86e1083379c7a09c6131b1567510cf0019eb4aff8b87813",
            ),
            (
                "epoch_ledger",
                "jxsAidvKvEQJMC7Z2wkLrFGzCqUxpFMRhAj4K5o49eiFLhKSyXL",
                Era::Berkeley,
                "82619d51bb47dd83842a53e9434bfc87b7f1de4415a395794d4c0a4896023cb4",
            ),
            (
                "epoch_ledger",
                "jwgzfxD5rEnSP3k4UiZu2569FfhJ1SRUvabfTz21e4btwBHg3jq",
                Era::Berkeley,
                "483b69f153596592f3dd9b385c5fe50e77d103bad1a12d800e9ec1ee56828301",
            ),
            (
                "genesis_ledger",
                "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982",
                Era::Berkeley,
                "3d1c6401893c5684eae0ebfae6ee17e1a7f51a269f1c791f1b07fa5e993c6d1d",
            ),
            (
                "genesis_ledger",
                "jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC",
                Era::Mesa,
                "28daf095d0bf019f87ac878ba5b6a31e00f6e877f1bca635189e00205e22b788",
            ),
        ];
        for (prefix, root, era, digest) in cases {
            let root: LedgerHash = root.parse().unwrap();
            assert_eq!(
                tarball_name(prefix, &root, era),
                format!("{prefix}_{digest}.tar.gz"),
                "{root}"
            );
        }
    }
}
