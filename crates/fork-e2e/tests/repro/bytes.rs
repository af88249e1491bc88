//! Where two trees of files differ first, and what that place is.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Members of documents that are measurements, or say how something was computed and not what: the
/// only ones that may differ. `*` is any element of a list.
const MEASURED: [(&str, &[&str]); 2] = [
    ("ledger.json", &["stages_ms", "peak_memory_bytes", "kernel"]),
    (
        "report.json",
        &["stages_ms", "peak_memory_bytes", "checks/*/ms"],
    ),
];

/// Files by their path below a directory.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// Reads every file below `directory`.
pub fn tree(directory: &Path) -> Tree {
    fn walk(directory: &Path, prefix: &str, found: &mut Tree) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = Tree::new();
    walk(directory, "", &mut found);
    found
}

/// What must be equal of a file: all of it but measurements.
pub fn pure(path: &str, bytes: &[u8]) -> Vec<u8> {
    let name = path.rsplit('/').next().unwrap();
    if name == "report.html" {
        return pure_page(bytes);
    }
    let Some((_, members)) = MEASURED.iter().find(|(document, _)| *document == name) else {
        return bytes.to_vec();
    };
    let mut document: Value = serde_json::from_slice(bytes).unwrap();
    for member in *members {
        blank(&mut document, &member.split('/').collect::<Vec<_>>());
    }
    serde_json::to_vec_pretty(&document).unwrap()
}

/// Replaces the member's value. It has to be there, and the names of stages have to be the same.
fn blank(value: &mut Value, path: &[&str]) {
    match (path, value) {
        ([], Value::Object(members)) => members.values_mut().for_each(|value| blank(value, &[])),
        ([], value) => *value = Value::Null,
        (["*", rest @ ..], Value::Array(elements)) => {
            elements.iter_mut().for_each(|value| blank(value, rest));
        }
        ([name, rest @ ..], Value::Object(members)) => {
            blank(members.get_mut(*name).unwrap(), rest);
        }
        (path, value) => panic!("no {path:?} in {value}"),
    }
}

/// The page without the values of the list that is under the heading for what the run took.
fn pure_page(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    let measured = |line: &str| {
        line.starts_with("<dt>") && (line.ends_with(" s</dd>") || line.ends_with("MB</dd>"))
    };
    let mut blanked = 0;
    let mut pure = String::new();
    for line in text.lines() {
        if measured(line) {
            blanked += 1;
            pure.push_str(line.split_once("<dd>").unwrap().0);
        } else {
            pure.push_str(line);
        }
        pure.push('\n');
    }
    assert!((5..30).contains(&blanked), "{blanked} measured lines");
    pure.into_bytes()
}

/// Directories in the order in which steps write them: a difference is named where it came from.
const STEPS: [&str; 5] = ["candidate/", "ledgers/", "network-config/", "deb/", "image"];

/// Documents and indexes repeat the digests of what lies beside them, so they come last of a step.
fn rank(path: &str) -> (usize, bool, &str) {
    let step = STEPS.iter().position(|step| path.starts_with(step));
    let repeats = path.ends_with(".json") || path.contains("/blobs/");
    (step.unwrap_or(STEPS.len()), repeats, path)
}

/// The first difference of two trees, in words.
pub fn first_difference(left: &Tree, right: &Tree) -> Option<String> {
    let mut paths: Vec<&String> = left.keys().chain(right.keys()).collect();
    paths.sort_by_key(|path| rank(path));
    for path in paths {
        let (Some(left), Some(right)) = (left.get(path), right.get(path)) else {
            return Some(format!("{path} is there only once"));
        };
        let (left, right) = (pure(path, left), pure(path, right));
        if left != right {
            return Some(explain(path, &left, &right));
        }
    }
    None
}

/// What is inside of a file, if it is a container that is known here.
enum Container {
    /// What it decompresses to.
    Compressed(&'static str, Vec<u8>),
    /// Name, header and content of every member; and the fields of a header, by their ends.
    Archive(Vec<Member>, &'static [(usize, &'static str)]),
}

struct Member {
    name: String,
    header: Vec<u8>,
    content: Vec<u8>,
}

const TAR_FIELDS: [(usize, &str); 12] = [
    (100, "name"),
    (108, "mode"),
    (116, "owner's number"),
    (124, "group's number"),
    (136, "size"),
    (148, "time"),
    (156, "checksum"),
    (157, "kind"),
    (257, "link"),
    (265, "format"),
    (297, "owner's name"),
    (512, "group's name or later"),
];

const AR_FIELDS: [(usize, &str); 6] = [
    (16, "name"),
    (28, "time"),
    (34, "owner's number"),
    (40, "group's number"),
    (48, "mode"),
    (60, "size"),
];

fn open(bytes: &[u8]) -> Option<Container> {
    let mut content = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut reader = flate2::read::MultiGzDecoder::new(bytes);
        reader.read_to_end(&mut content).unwrap();
        return Some(Container::Compressed("gzip", content));
    }
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Some(Container::Compressed(
            "zstd",
            zstd::decode_all(bytes).unwrap(),
        ));
    }
    if bytes.starts_with(b"\xfd7zXZ\0") {
        return Some(Container::Compressed("xz", filtered("xz", &["-dc"], bytes)));
    }
    if bytes.starts_with(b"!<arch>\n") {
        return Some(Container::Archive(ar_members(bytes), &AR_FIELDS));
    }
    if bytes.len() >= 512 && bytes[257..262] == *b"ustar" {
        return Some(Container::Archive(tar_members(bytes), &TAR_FIELDS));
    }
    None
}

fn filtered(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

fn field(header: &[u8], range: std::ops::Range<usize>) -> String {
    let text = String::from_utf8_lossy(&header[range]);
    text.trim_matches(['\0', ' ']).to_owned()
}

fn tar_members(bytes: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 512 && rest[0] != 0 {
        let (header, behind) = rest.split_at(512);
        let size = usize::from_str_radix(&field(header, 124..136), 8).unwrap();
        members.push(Member {
            name: field(header, 0..100),
            header: header.to_vec(),
            content: behind[..size].to_vec(),
        });
        rest = &behind[size.next_multiple_of(512)..];
    }
    members
}

fn ar_members(bytes: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut rest = &bytes[8..];
    while rest.len() >= 60 {
        let (header, behind) = rest.split_at(60);
        let size: usize = field(header, 48..58).parse().unwrap();
        members.push(Member {
            name: field(header, 0..16),
            header: header.to_vec(),
            content: behind[..size].to_vec(),
        });
        rest = &behind[size.next_multiple_of(2).min(behind.len())..];
    }
    members
}

/// Where two files differ first, as deep inside as can be seen.
pub fn explain(path: &str, left: &[u8], right: &[u8]) -> String {
    match (open(left), open(right)) {
        (Some(Container::Compressed(kind, left)), Some(Container::Compressed(_, right))) => {
            if left == right {
                return format!("{path}: the {kind} stream differs, not what is in it");
            }
            explain(&format!("{path} > {kind}"), &left, &right)
        }
        (Some(Container::Archive(left, fields)), Some(Container::Archive(right, _))) => {
            explain_members(path, &left, &right, fields)
        }
        _ => {
            let offset = first_offset(left, right);
            let (left, right) = (around(left, offset), around(right, offset));
            format!("{path}, byte {offset}: `{left}` and `{right}`")
        }
    }
}

fn explain_members(
    path: &str,
    left: &[Member],
    right: &[Member],
    fields: &[(usize, &str)],
) -> String {
    for (left, right) in left.iter().zip(right) {
        let path = format!("{path} > {}", left.name);
        // The content first: when it differs, sizes and checksums do too.
        if left.name == right.name && left.content != right.content {
            return explain(&path, &left.content, &right.content);
        }
        if left.header != right.header {
            let offset = first_offset(&left.header, &right.header);
            let index = fields.iter().position(|(end, _)| offset < *end).unwrap();
            let start = if index == 0 { 0 } else { fields[index - 1].0 };
            let (end, name) = fields[index];
            let (left, right) = (
                field(&left.header, start..end),
                field(&right.header, start..end),
            );
            return format!("{path}, {name} in its header: `{left}` and `{right}`");
        }
    }
    match left.len().cmp(&right.len()) {
        std::cmp::Ordering::Equal => format!("{path}: what follows its members"),
        _ => format!("{path}: {} and {} members", left.len(), right.len()),
    }
}

fn first_offset(left: &[u8], right: &[u8]) -> usize {
    let differs = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right);
    differs.unwrap_or(left.len().min(right.len()))
}

/// A little of the text before and behind.
fn around(bytes: &[u8], offset: usize) -> String {
    let (start, end) = (offset.saturating_sub(24), bytes.len().min(offset + 24));
    bytes[start..end].escape_ascii().to_string()
}

/// Where one of the words is in a file, or in what is packed in it.
pub fn find_word(path: &str, bytes: &[u8], words: &[String]) -> Option<String> {
    for word in words {
        let mut windows = bytes.windows(word.len());
        if let Some(offset) = windows.position(|window| window == word.as_bytes()) {
            return Some(format!("`{word}` is in {path}, byte {offset}"));
        }
    }
    match open(bytes)? {
        Container::Compressed(kind, content) => {
            find_word(&format!("{path} > {kind}"), &content, words)
        }
        Container::Archive(members, _) => members.iter().find_map(|member| {
            let path = format!("{path} > {}", member.name);
            find_word(&path, &member.content, words)
        }),
    }
}

mod tests {
    use super::*;

    fn archive(time: u64, owner: u64, content: &[u8]) -> Vec<u8> {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        for (name, content) in [("first", &b"same"[..]), ("second", content)] {
            let mut header = tar::Header::new_ustar();
            header.set_mtime(time);
            header.set_uid(owner);
            header.set_gid(0);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// What is inside of containers is named, not the compressed byte that differs by accident.
    #[test]
    fn a_difference_is_named_where_it_is() {
        let reference = archive(0, 0, b"planted at 10:00");
        for (other, expected) in [
            (
                archive(1_795_308_345, 0, b"planted at 10:00"),
                "a.tar.gz > gzip > first, time in its header: `00000000000` and `15300435471`",
            ),
            (
                archive(0, 54321, b"planted at 10:00"),
                "a.tar.gz > gzip > first, owner's number in its header: `0000000` and `0152061`",
            ),
            (
                archive(0, 0, b"planted at 12:00"),
                "a.tar.gz > gzip > second, byte 12: `planted at 10:00` and `planted at 12:00`",
            ),
        ] {
            assert_eq!(explain("a.tar.gz", &reference, &other), expected);
            let (left, right) = (reference.clone(), other);
            let trees = [left, right].map(|bytes| Tree::from([("a.tar.gz".to_owned(), bytes)]));
            assert_eq!(first_difference(&trees[0], &trees[1]).unwrap(), expected);
            assert_eq!(first_difference(&trees[0], &trees[0]), None);
        }
        let words = ["at 10:00".to_owned()];
        assert_eq!(
            find_word("a.tar.gz", &reference, &words).unwrap(),
            "`at 10:00` is in a.tar.gz > gzip, byte 1544"
        );
        assert_eq!(
            find_word("a.tar.gz", &reference, &["absent".to_owned()]),
            None
        );
        let one = Tree::from([("only".to_owned(), Vec::new())]);
        assert!(
            first_difference(&Tree::new(), &one)
                .unwrap()
                .contains("only")
        );
    }

    /// Nothing but the named members is forgiven.
    #[test]
    fn measurements_are_members_with_names() {
        let document = |ms: u32, root: &str| {
            let text = format!(
                r#"{{"stages_ms":{{"store":{ms}}},"peak_memory_bytes":{ms},"kernel":"k{ms}","root":"{root}"}}"#
            );
            pure("ledgers/genesis/ledger.json", text.as_bytes())
        };
        assert_eq!(document(1, "a"), document(2, "a"));
        assert_ne!(document(1, "a"), document(1, "b"));
        assert_eq!(pure("other.json", b"{}"), b"{}");
    }
}
