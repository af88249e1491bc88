//! How two tarballs differ that hold the same entries.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use fork_fs::{FsError, HashingReader, Operation};
use tar::{Archive, Entry};

use crate::error::{StoreError, StoreErrorKind};
use crate::unpack::{MEMBERS_MAX, unpacked_bytes_max};

/// Fixed part of a gzip header, RFC 1952 section 2.3.
const GZIP_HEADER_BYTES: usize = 10;
/// Differences that are told.
const TOLD_MAX: usize = 20;
const BUFFER_BYTES: usize = 1 << 18;

/// A tarball, as far as it is packing.
struct Packing {
    bytes: u64,
    gzip_header: [u8; GZIP_HEADER_BYTES],
    members: Vec<Member>,
    /// SHA-256 of the archive.
    sha256: String,
}

/// A member: its name, what its header says by name, and the digest of its content.
struct Member {
    name: String,
    attributes: Vec<(&'static str, String)>,
    sha256: String,
}

/// What differs in the packing of two tarballs, from the outside in: gzip header, order and names of the
/// members, their headers and bytes, and the compressed stream itself.
///
/// # Errors
///
/// Fails on damage and beyond the limits of [`unpack_tarball`](crate::unpack_tarball).
pub fn packing_differences(left: &Path, right: &Path) -> Result<Vec<String>, StoreError> {
    let (left, right) = rayon::join(|| Packing::read(left), || Packing::read(right));
    let (left, right) = (left?, right?);
    let mut found = Vec::new();
    for (name, bytes) in [
        ("flags", 3..4),
        ("time", 4..8),
        ("extra flags", 8..9),
        ("operating system", 9..10),
    ] {
        let value = |one: &Packing| {
            let bytes = one.gzip_header[bytes.clone()].iter().rev();
            bytes.fold(0_u32, |value, byte| value << 8 | u32::from(*byte))
        };
        differs(
            &mut found,
            &format!("gzip header, {name}"),
            &value(&left).to_string(),
            &value(&right).to_string(),
        );
    }
    let names = |one: &Packing| {
        let names = one.members.iter().map(|member| member.name.as_str());
        names.take(TOLD_MAX).collect::<Vec<_>>().join(", ")
    };
    differs(
        &mut found,
        "names and order of the members",
        &names(&left),
        &names(&right),
    );
    for member in &left.members {
        let mut same_name = right.members.iter();
        let Some(other) = same_name.find(|other| other.name == member.name) else {
            continue;
        };
        for ((name, here), (_, there)) in member.attributes.iter().zip(&other.attributes) {
            differs(
                &mut found,
                &format!("{} of `{}`", name, member.name),
                here,
                there,
            );
        }
        if member.sha256 != other.sha256 {
            found.push(format!(
                "bytes of `{}`: the same entries, written otherwise",
                member.name
            ));
        }
    }
    if left.sha256 == right.sha256 {
        found.push(format!(
            "compression: the same archive in {} and {} bytes",
            left.bytes, right.bytes
        ));
    } else if found.is_empty() {
        found.push("unused bytes of the archives".to_owned());
    }
    found.truncate(TOLD_MAX);
    Ok(found)
}

fn differs(found: &mut Vec<String>, what: &str, left: &str, right: &str) {
    if left != right {
        found.push(format!("{what}: {left} -> {right}"));
    }
}

impl Packing {
    fn read(path: &Path) -> Result<Self, StoreError> {
        let unreadable = |source| -> StoreError {
            StoreErrorKind::Unpack {
                path: path.to_owned(),
                source,
            }
            .into()
        };
        let mut gzip_header = [0; GZIP_HEADER_BYTES];
        fork_fs::open(path)?
            .read_exact(&mut gzip_header)
            .map_err(unreadable)?;
        let bytes = fork_fs::file_bytes(path)?;
        let bytes_max = unpacked_bytes_max(bytes);
        let file = BufReader::with_capacity(BUFFER_BYTES, fork_fs::open(path)?);
        let mut stream = HashingReader::new(MultiGzDecoder::new(file).take(bytes_max));
        let mut members = Vec::new();
        let mut archive = Archive::new(&mut stream);
        for entry in archive.entries().map_err(unreadable)?.raw(true) {
            if members.len() >= MEMBERS_MAX {
                let problem = format!("has more than {MEMBERS_MAX} members");
                return Err(StoreError::tarball(path, problem));
            }
            members.push(member(entry.map_err(unreadable)?).map_err(unreadable)?);
        }
        io::copy(&mut stream, &mut io::sink())
            .map_err(|source| FsError::io(Operation::Read, path, source))?;
        Ok(Self {
            bytes,
            gzip_header,
            members,
            sha256: stream.finish().sha256,
        })
    }
}

fn member<R: Read>(mut entry: Entry<'_, R>) -> io::Result<Member> {
    let header = entry.header();
    let text = |bytes: Option<&[u8]>| bytes.unwrap_or_default().escape_ascii().to_string();
    let attributes = vec![
        ("kind", format!("{:?}", header.entry_type())),
        ("mode", format!("{:04o}", header.mode()?)),
        ("owner", header.uid()?.to_string()),
        ("group", header.gid()?.to_string()),
        ("name of the owner", text(header.username_bytes())),
        ("name of the group", text(header.groupname_bytes())),
        ("time", header.mtime()?.to_string()),
        ("size", header.entry_size()?.to_string()),
        ("format of the header", format(header).to_owned()),
    ];
    let name = entry.path_bytes().escape_ascii().to_string();
    let mut content = HashingReader::new(&mut entry);
    io::copy(&mut content, &mut io::sink())?;
    let sha256 = content.finish().sha256;
    Ok(Member {
        name,
        attributes,
        sha256,
    })
}

fn format(header: &tar::Header) -> &'static str {
    if header.as_gnu().is_some() {
        "gnu"
    } else if header.as_ustar().is_some() {
        "ustar"
    } else {
        "old"
    }
}
