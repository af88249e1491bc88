//! The `ar` container of a binary package: a magic line, then members with a 60-byte header.
//!
//! Format: `deb(5)`. Header fields are decimal ASCII padded with blanks; contents are padded to an
//! even length.

use std::io::{self, Read, Write};

/// First bytes of an archive.
pub const MAGIC: &[u8; 8] = b"!<arch>\n";
/// Largest member: the size field has ten decimal digits.
pub const MEMBER_BYTES_MAX: u64 = 9_999_999_999;
/// Largest time: the field has twelve decimal digits.
pub const MTIME_MAX: u64 = 999_999_999_999;

const HEADER_BYTES: usize = 60;
const NAME_BYTES: usize = 16;

fn invalid(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.into())
}

/// Writes a member; the caller writes [`MAGIC`] first. Owner and group are 0, the mode 0644.
///
/// # Errors
///
/// Fails when the name, time or size does not fit the header, when `data` does not have exactly
/// `bytes` bytes, and when reading or writing fails.
pub fn write_member<W: Write>(
    output: &mut W,
    name: &str,
    mtime: u64,
    bytes: u64,
    data: &mut dyn Read,
) -> io::Result<()> {
    if name.len() > NAME_BYTES || bytes > MEMBER_BYTES_MAX || mtime > MTIME_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("member {name} ({bytes} bytes, time {mtime}) does not fit an ar header"),
        ));
    }
    writeln!(
        output,
        "{name:<16}{mtime:<12}{:<6}{:<6}{:<8}{bytes:<10}`",
        0, 0, "100644"
    )?;
    let copied = io::copy(&mut data.take(bytes), output)?;
    if copied != bytes {
        return Err(invalid(format!(
            "member {name} has {copied} bytes, expected {bytes}"
        )));
    }
    if bytes % 2 == 1 {
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Header of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name, without padding and without the slash some writers append.
    pub name: String,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Owner, group and mode as they stand in the header, which dpkg does not read.
    pub attributes: String,
}

/// Reads the magic line.
///
/// # Errors
///
/// Fails when the stream does not begin with it.
pub fn read_magic(input: &mut dyn Read) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if &magic == MAGIC {
        Ok(())
    } else {
        Err(invalid("no ar archive: the first bytes are not `!<arch>`"))
    }
}

/// Reads the next header; `None` at the end. The caller reads exactly `bytes` bytes afterwards and
/// then calls [`skip_padding`].
///
/// # Errors
///
/// Fails on a cut or malformed header.
pub fn next_member(input: &mut dyn Read) -> io::Result<Option<Member>> {
    let mut header = [0; HEADER_BYTES];
    let mut filled = 0;
    while filled < HEADER_BYTES {
        match input.read(&mut header[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if &header[58..] != b"`\n" {
        return Err(invalid("ar member header without its end mark"));
    }
    let field = |from: usize, to: usize| {
        std::str::from_utf8(&header[from..to])
            .map(str::trim_end)
            .map_err(|_| invalid("ar member header that is not ASCII"))
    };
    let number = |text: &str| {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(format!("ar member header with number `{text}`")));
        }
        text.parse::<u64>()
            .map_err(|error| invalid(error.to_string()))
    };
    let name = field(0, NAME_BYTES)?;
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(invalid(format!(
            "ar member with the name `{}`",
            name.escape_debug()
        )));
    }
    Ok(Some(Member {
        name: name.to_owned(),
        mtime: number(field(16, 28)?)?,
        bytes: number(field(48, 58)?)?,
        attributes: [field(28, 34)?, field(34, 40)?, field(40, 48)?].join(" "),
    }))
}

/// Skips the byte after a member of odd size.
///
/// # Errors
///
/// Fails when reading fails; a missing last byte is accepted, as `dpkg-deb` does.
pub fn skip_padding(input: &mut dyn Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut input.take(bytes % 2), &mut io::sink()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_round_trip() {
        let mut archive = MAGIC.to_vec();
        write_member(
            &mut archive,
            "debian-binary",
            5,
            4,
            &mut b"2.0\n".as_slice(),
        )
        .unwrap();
        write_member(&mut archive, "odd", 6, 3, &mut b"abc".as_slice()).unwrap();
        assert_eq!(archive.len(), 8 + 60 + 4 + 60 + 4);
        let mut input = archive.as_slice();
        read_magic(&mut input).unwrap();
        let mut seen = Vec::new();
        while let Some(member) = next_member(&mut input).unwrap() {
            let mut content = vec![0; usize::try_from(member.bytes).unwrap()];
            input.read_exact(&mut content).unwrap();
            skip_padding(&mut input, member.bytes).unwrap();
            seen.push((member.name, member.mtime, content));
        }
        assert_eq!(
            seen,
            [
                ("debian-binary".to_owned(), 5, b"2.0\n".to_vec()),
                ("odd".to_owned(), 6, b"abc".to_vec()),
            ]
        );
    }

    #[test]
    fn limits_of_the_header_are_respected() {
        let mut sink = io::sink();
        let mut endless = io::repeat(0);
        for (name, mtime, bytes) in [
            ("data.tar.gz", 0, MEMBER_BYTES_MAX + 1),
            ("data.tar.gz", MTIME_MAX + 1, 0),
            ("a-name-of-17-bytes", 0, 0),
        ] {
            let error = write_member(&mut sink, name, mtime, bytes, &mut endless).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        assert!(read_magic(&mut b"!<arch>x".as_slice()).is_err());
        let mut archive = Vec::new();
        write_member(&mut archive, "a", 0, 0, &mut io::empty()).unwrap();
        assert!(next_member(&mut &archive[..59]).is_err());
        for (at, byte) in [(58, b'x'), (48, b'-'), (16, b' '), (0, b'/'), (0, b' ')] {
            let mut bad = archive.clone();
            bad[at] = byte;
            assert!(next_member(&mut bad.as_slice()).is_err(), "{at}");
        }
    }
}
