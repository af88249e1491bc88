use std::io::Cursor;

use super::*;

/// A member: header, content, padding.
fn member(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    sized(name, kind, content.len() as u64, content)
}

/// The same with a size that need not be right.
fn sized(name: &[u8], kind: u8, bytes: u64, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(EntryType::new(kind));
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(3);
    if kind == b'1' || kind == b'2' {
        header.as_old_mut().linkname[..6].copy_from_slice(b"target");
    }
    header.set_cksum();
    let mut all = header.as_bytes().to_vec();
    all.extend_from_slice(content);
    all.resize(all.len().next_multiple_of(512), 0);
    all
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while format!("{length}{rest}").len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

type Found = Vec<(DataEntry, Vec<u8>)>;

fn read_all<R: Read>(mut tar: TarReader<'_, R>) -> Result<Found, PackageError> {
    let mut found = Vec::new();
    while let Some(entry) = tar.advance()? {
        let mut content = Vec::new();
        tar.content()
            .read_to_end(&mut content)
            .map_err(|source| PackageError::archive(Path::new("a"), "content", source))?;
        found.push((entry, content));
    }
    Ok(found)
}

/// Reads in both ways, which must say the same.
fn read(parts: &[Vec<u8>]) -> Result<Found, PackageError> {
    let bytes = parts.concat();
    let read = read_all(TarReader::new(bytes.as_slice(), Path::new("a"), "b"));
    let cursor = Cursor::new(bytes.as_slice());
    let sought = read_all(TarReader::seekable(cursor, Path::new("a"), "b"));
    match (&read, &sought) {
        (Ok(read), Ok(sought)) => assert_eq!(read, sought),
        (Err(read), Err(sought)) => assert_eq!(read.to_string(), sought.to_string()),
        other => panic!("{other:?}"),
    }
    read
}

fn text(result: Result<Found, PackageError>) -> String {
    let error = result.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[test]
fn plain_long_and_pax_names_are_read() {
    let long = [b'x'; 300];
    let found = read(&[
        member(b"./d/", b'5', b""),
        member(b"d/f", b'0', b"content"),
        member(b"x", b'L', &[&long[..], &[0]].concat()),
        member(b"cut", b'0', b"1"),
        member(
            b"x",
            b'x',
            &[pax("path", "p/q"), pax("size", "3"), pax("mtime", "1.5")].concat(),
        ),
        sized(b"other", b'0', 0, b"abc"),
        member(b"g", b'g', &pax("comment", "0123")),
        member(b"s", b'2', b""),
        member(b"h", b'1', b""),
        end(),
    ])
    .unwrap();
    let paths: Vec<&str> = found.iter().map(|(entry, _)| entry.path.as_str()).collect();
    let long = String::from_utf8(long.to_vec()).unwrap();
    assert_eq!(paths, ["d", "d/f", &long, "p/q", "s", "h"]);
    assert_eq!(found[1].1, b"content");
    assert_eq!(found[3].1, b"abc");
    assert_eq!(found[3].0.kind, DataEntryKind::File { bytes: 3 });
    let target = || "target".to_owned();
    assert_eq!(found[4].0.kind, DataEntryKind::Symlink { target: target() });
    assert_eq!(
        found[5].0.kind,
        DataEntryKind::HardLink { target: target() }
    );
    assert_eq!(
        (
            found[1].0.mode,
            found[1].0.uid,
            found[1].0.gid,
            found[1].0.mtime
        ),
        (0o644, 1, 2, 3)
    );
}

#[test]
fn an_archive_may_end_without_its_end_mark() {
    assert_eq!(read(&[]).unwrap(), []);
    assert_eq!(read(&[member(b"a", b'0', b"1")]).unwrap().len(), 1);
}

#[test]
fn hostile_archives_are_refused() {
    let good = || member(b"a", b'0', b"1");
    let record = |kind| sized(b"r", kind, 1 << 40, b"");
    let long = vec![b'x'; PATH_BYTES_MAX + 1];
    let mut broken = good();
    broken[0] ^= 1;
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        (
            "has 1099511627776 bytes; the limit is 1048576",
            vec![record(b'L')],
        ),
        (
            "has 1099511627776 bytes; the limit is 1048576",
            vec![record(b'K')],
        ),
        (
            "has 1099511627776 bytes; the limit is 1048576",
            vec![record(b'x')],
        ),
        (
            "has 1099511627776 bytes; the limit is 1048576",
            vec![record(b'g')],
        ),
        (
            "has 4097 bytes; the limit is 4096",
            vec![member(b"r", b'L', &long), good()],
        ),
        ("has 4097 bytes; the limit is 4096", {
            let long = String::from_utf8(long.clone()).unwrap();
            vec![member(b"r", b'x', &pax("path", &long)), good()]
        }),
        ("describes nothing", vec![member(b"r", b'L', b"n"), end()]),
        (
            "two records describe",
            vec![member(b"r", b'L', b"n"), member(b"r", b'L', b"m"), good()],
        ),
        ("two long names", {
            vec![
                member(b"r", b'L', b"n"),
                member(b"r", b'x', &pax("path", "m")),
                good(),
            ]
        }),
        ("two records describe", {
            vec![
                member(b"r", b'x', &[pax("uid", "1"), pax("uid", "2")].concat()),
                good(),
            ]
        }),
        (
            "`size` that is no number",
            vec![member(b"r", b'x', &pax("size", "-1")), good()],
        ),
        (
            "sparse",
            vec![member(b"r", b'x', &pax("GNU.sparse.major", "1")), good()],
        ),
        (
            "changes its members",
            vec![member(b"r", b'g', &pax("path", "m")), good()],
        ),
        ("type 'S'", vec![member(b"s", b'S', b"")]),
        ("has 3 bytes of content", vec![member(b"l", b'1', b"abc")]),
        ("has 3 bytes of content", vec![member(b"d", b'5', b"abc")]),
        (
            "would leave the directory",
            vec![member(b"../a", b'0', b"")],
        ),
        (
            "would leave the directory",
            vec![member(b"r", b'x', &pax("path", "/../a")), good()],
        ),
        ("wrong checksum", vec![broken]),
        ("unexpected end of file", vec![sized(b"a", b'0', 2, b"")]),
        (
            "unexpected end of file",
            vec![sized(b"a", b'0', u64::MAX / 4, b"1"), good()],
        ),
        (
            "more bytes than there are numbers",
            vec![sized(b"a", b'0', u64::MAX, b"")],
        ),
        ("unexpected end of file", vec![good()[..700].to_vec()]),
        ("unexpected end of file", vec![good(), vec![1; 511]]),
    ];
    for (expected, parts) in cases {
        let text = text(read(&parts));
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(text.contains("`a`"), "{text}");
    }
}

#[test]
fn endless_archives_end() {
    /// A source that repeats one member for ever, and counts.
    struct Endless(Vec<u8>, usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let at = self.1 % self.0.len();
            let count = buffer.len().min(self.0.len() - at);
            buffer[..count].copy_from_slice(&self.0[at..at + count]);
            self.1 += count;
            Ok(count)
        }
    }
    let mut tar = TarReader::new(Endless(member(b"a", b'0', b""), 0), Path::new("a"), "b");
    let error = loop {
        match tar.advance() {
            Ok(entry) => assert!(entry.is_some()),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("more than 2000000 entries"));
    let long = member(b"r", b'L', &[b'x'; PATH_BYTES_MAX]);
    let both = [long, member(b"a", b'0', b"")].concat();
    let mut tar = TarReader::new(Endless(both, 0), Path::new("a"), "b");
    let error = loop {
        match tar.advance() {
            Ok(entry) => assert!(entry.is_some()),
            Err(error) => break error,
        }
    };
    assert!(
        error
            .to_string()
            .contains("names of its members have more than"),
        "{error}"
    );
}
