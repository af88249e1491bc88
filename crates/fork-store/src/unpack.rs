//! Unpacking ledger tarballs: plain files at the top, and nothing else.

use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use fork_fs::{AtomicFile, FsError, Operation};
use tar::{Archive, Entry, EntryType};

use crate::error::{StoreError, StoreErrorKind};

/// Members of a tarball. A ledger of a million accounts in RocksDB's tables has about a hundred.
pub const MEMBERS_MAX: usize = 10_000;

/// Bytes of all members together, in any case: fifty million accounts.
pub const UNPACKED_BYTES_MAX: u64 = 32 << 30;
/// Unpacked bytes that are always allowed.
const UNPACKED_BYTES_FREE: u64 = 64 << 20;
/// Unpacked bytes for one packed byte; logs of plain accounts have three, of zkApps with empty state
/// under twenty, and deflate could have a thousand.
const UNPACKED_RATIO_MAX: u64 = 100;

/// Bytes that a tarball of `packed` bytes may unpack to.
#[must_use]
pub fn unpacked_bytes_max(packed: u64) -> u64 {
    packed
        .saturating_mul(UNPACKED_RATIO_MAX)
        .saturating_add(UNPACKED_BYTES_FREE)
        .min(UNPACKED_BYTES_MAX)
}

/// Longest member name.
const NAME_BYTES_MAX: usize = 100;

/// Bytes that may follow the end of the archive; `tar` fills up to 10,240.
const TRAILER_BYTES_MAX: u64 = 1 << 20;

const BUFFER_BYTES: usize = 1 << 18;

/// Unpacks the tarball into the existing directory.
///
/// The gzip checksum at the very end is verified, which readers that stop at the end of the archive
/// do not do.
///
/// # Errors
///
/// Fails on anything but files directly at the top (with or without `./`), on names with other
/// characters than letters, digits, `.`, `-` and `_`, on a name that occurs twice, beyond the
/// limits, on damage, and when the disk refuses. Records that describe other members (long names, pax)
/// are members here like any other, so none is read into memory, and each is refused.
pub fn unpack_tarball(tarball: &Path, directory: &Path) -> Result<(), StoreError> {
    let unreadable = |source| -> StoreError {
        StoreErrorKind::Unpack {
            path: tarball.to_owned(),
            source,
        }
        .into()
    };
    let file = fork_fs::open(tarball)?;
    let bytes_max = unpacked_bytes_max(fork_fs::file_bytes(tarball)?);
    let file = io::BufReader::with_capacity(BUFFER_BYTES, file);
    let mut archive = Archive::new(MultiGzDecoder::new(file));
    let mut members = 0;
    let mut bytes_total = 0_u64;
    let mut buffer = vec![0; BUFFER_BYTES];
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        members += 1;
        if members > MEMBERS_MAX {
            let problem = format!("has more than {MEMBERS_MAX} members");
            return Err(StoreError::tarball(tarball, problem));
        }
        // Before the content is looked at: it is skipped by unpacking it.
        bytes_total = bytes_total.saturating_add(entry.size());
        if bytes_total > bytes_max {
            let problem = format!(
                "unpacks to {bytes_total} bytes or more; the limit for its size is {bytes_max}"
            );
            return Err(StoreError::tarball(tarball, problem));
        }
        let Some(name) = member_name(tarball, &entry)? else {
            continue;
        };
        let target = fork_fs::child(directory, &name)?;
        if fork_fs::exists(&target) {
            return Err(StoreError::tarball(
                tarball,
                format!("holds `{name}` twice"),
            ));
        }
        let mut file = AtomicFile::create(&target)?;
        loop {
            let count = entry.read(&mut buffer).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count])
                .map_err(|source| FsError::io(Operation::Write, &target, source))?;
        }
        file.commit()?;
    }
    let trailer = archive.into_inner().take(TRAILER_BYTES_MAX + 1);
    check_trailer(tarball, trailer, &mut buffer, &unreadable)
}

/// The name of a file to unpack, `None` for the top directory itself.
fn member_name<R: Read>(
    tarball: &Path,
    entry: &Entry<'_, R>,
) -> Result<Option<String>, StoreError> {
    let path = entry.path_bytes();
    let name = path.strip_prefix(b"./").unwrap_or(&path);
    let kind = entry.header().entry_type();
    if kind == EntryType::Directory && matches!(name, b"" | b"." | b"./") {
        return Ok(None);
    }
    if kind != EntryType::Regular {
        return Err(StoreError::tarball(
            tarball,
            format!("holds `{}`, which is no plain file", path.escape_ascii()),
        ));
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let safe = name.iter().all(plain)
        && !matches!(name, b"" | b"." | b"..")
        && name.len() <= NAME_BYTES_MAX;
    match std::str::from_utf8(name) {
        Ok(name) if safe => Ok(Some(name.to_owned())),
        _ => Err(StoreError::tarball(
            tarball,
            format!(
                "holds a member with the unsafe name `{}`",
                path.escape_ascii()
            ),
        )),
    }
}

/// Reads to the end of the compressed stream, which verifies its checksum.
fn check_trailer(
    tarball: &Path,
    mut trailer: impl Read,
    buffer: &mut [u8],
    unreadable: &dyn Fn(io::Error) -> StoreError,
) -> Result<(), StoreError> {
    let mut bytes = 0;
    loop {
        let count = trailer.read(buffer).map_err(unreadable)?;
        if count == 0 {
            return Ok(());
        }
        bytes += count as u64;
        if bytes > TRAILER_BYTES_MAX || buffer[..count].iter().any(|byte| *byte != 0) {
            return Err(StoreError::tarball(
                tarball,
                "holds something after the end of its archive",
            ));
        }
    }
}
