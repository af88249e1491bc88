//! Hostile packages: the binary refuses each within limits of address space and time, says what is
//! wrong, and leaves nothing behind but the report.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use fork_package::{Attributes, DebReader, NameStyle, TarWriter, ar};
use sha2::{Digest, Sha256};
use support::{Made, Opened};
use tempfile::TempDir;
use verify_package::{Outcome, ReportDocument};

/// Address space of the program. RocksDB and two threads take 0.6 GB of it on any package.
const ADDRESS_SPACE_KIB: u64 = 3 << 19;
/// Most memory in use at once.
const MEMORY_BYTES_MAX: u64 = 512 << 20;

fn made() -> &'static Made {
    Made::once("verify-hostile")
}

/// Runs the binary with its limits; the report when there is one.
fn verify(kind: &str, subject: &str, parent: &Path) -> (Output, Option<ReportDocument>) {
    let output = parent.join("report");
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$@\"");
    let run = Command::new("timeout")
        .args(["60", "sh", "-c", &script, "sh"])
        .arg(env!("CARGO_BIN_EXE_verify-package"))
        .args([kind, subject, "--no-progress", "--force", "--candidate"])
        .arg(made().path("candidate"))
        .arg("--network")
        .arg(made().path("fixture/network.toml"))
        .arg("--prefork-config")
        .arg(made().path("fixture/prefork_config.json"))
        .arg("--output")
        .arg(&output)
        .output()
        .unwrap();
    let report = fork_fs::read_document::<ReportDocument>(&output).ok();
    (run, report.map(|(report, _)| report))
}

/// The check `id` must fail with the text, and the run with the code.
fn refused(kind: &str, subject: &str, code: i32, id: &str, expected: &str) {
    let parent = TempDir::new().unwrap();
    let (run, report) = verify(kind, subject, parent.path());
    let error = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(code), "{id} {expected}: {error}");
    let report = report.unwrap();
    let check = report.checks.iter().find(|check| check.id == id).unwrap();
    assert_eq!(check.outcome, Outcome::Failed, "{id} {expected}: {check:?}");
    let found = format!("{} {}", check.found.as_ref().unwrap(), check.detail);
    assert!(found.contains(expected), "{id} {expected}: {found}");
    assert!(found.len() < 8000, "{} bytes", found.len());
    let memory = report.peak_memory_bytes.unwrap();
    assert!(memory < MEMORY_BYTES_MAX, "{id} {expected}: {memory} bytes");
    // Neither copies nor a scratch directory, here or beside.
    let left: Vec<_> = fs::read_dir(parent.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
    let left = fork_fs::sorted_names(&parent.path().join("report")).unwrap();
    assert_eq!(left, ["report.html", "report.json"]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Gzip members may follow each other: each of these is 64 MB of zeros in 64 kB.
fn zeros(members: usize) -> Vec<u8> {
    gzip(&vec![0; 64 << 20]).repeat(members)
}

/// A header of any kind, size and name, with a right checksum.
fn header(name: &str, kind: u8, bytes: u64, link: &str) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    for (at, text) in [(100, "0000644"), (108, "0000000"), (116, "0000000")] {
        header[at..at + 7].copy_from_slice(text.as_bytes());
    }
    if bytes < 1 << 33 {
        header[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
    } else {
        header[124] = 0x80;
        header[128..136].copy_from_slice(&bytes.to_be_bytes());
    }
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A package with this data member and control member, gzipped already.
fn deb(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut deb = ar::MAGIC.to_vec();
    for (name, content) in [
        ("debian-binary", b"2.0\n".as_slice()),
        ("control.tar.gz", control),
        ("data.tar.gz", data),
    ] {
        ar::write_member(&mut deb, name, 0, content.len() as u64, &mut &*content).unwrap();
    }
    deb
}

fn control(text: &str) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new(), NameStyle::Deb, Path::new("control"));
    tar.append_bytes("control", Attributes::root(0o644, 0), text.as_bytes())
        .unwrap();
    gzip(&tar.finish().unwrap())
}

#[test]
fn hostile_archives_are_refused() {
    let package = || control("Package: mina-fixture-1-config\n");
    let data = |parts: &[Vec<u8>]| deb(&package(), &gzip(&parts.concat()));
    let end = || vec![0; 1024];
    let files = |count: usize| -> Vec<Vec<u8>> {
        (0..count)
            .map(|number| header(&format!("./{number}"), b'0', 0, ""))
            .collect()
    };
    let long_path = {
        let name = ["x".repeat(513).into_bytes(), vec![0; 511]].concat();
        data(&[
            header("n", b'L', 513, ""),
            name,
            header("cut", b'0', 0, ""),
            end(),
        ])
    };
    let fields: String = (0..600).map(|number| format!("F{number}: 1\n")).collect();
    let paragraphs = "A: 1\n\n".repeat(300_000);
    let mut cut = data(&[header("./a", b'0', 0, ""), end()]);
    cut.truncate(cut.len() - 20);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            data(&[header("../../etc/passwd", b'0', 0, ""), end()]),
            "named `../../etc/passwd`",
        ),
        (
            data(&[header("./a", b'1', 0, "../../etc/passwd"), end()]),
            "named `../../etc/passwd`",
        ),
        (
            data(&[header("./null", b'3', 0, ""), end()]),
            "a device or pipe",
        ),
        (
            data(&[header("./s", b'S', 0, ""), end()]),
            "an entry of type 'S'",
        ),
        (
            data(&[header("./x", b'x', 1 << 40, "")]),
            "the limit is 1048576",
        ),
        (
            data(&[header("./x", b'L', 5 << 30, "")]),
            "the limit is 1048576",
        ),
        (
            data(&[header("./x", b'g', u64::MAX, "")]),
            "more bytes than there are numbers for",
        ),
        (
            data(&[header("./x", b'0', 1 << 50, "")]),
            "the limit is 8589934592",
        ),
        (
            data(&[header("./x", b'1', 9, "a"), end()]),
            "is no file and has 9 bytes",
        ),
        (
            data(&files(1001)),
            "number of entries is 1000; the limit is 999",
        ),
        (long_path, "length of a path is 513; the limit is 512"),
        (
            deb(
                &package(),
                &[gzip(&header("./x", b'5', 0, "")), zeros(10)].concat(),
            ),
            "it unpacks to more than",
        ),
        (deb(&zeros(2), b""), "no file `control`"),
        (
            deb(
                &[gzip(&header("./x", b'0', 1 << 33, "")), zeros(3)].concat(),
                b"",
            ),
            "it unpacks to more than 33554432",
        ),
        (deb(&vec![0; 33 << 20], b""), "member control.tar.gz of"),
        (deb(&control(&fields), b""), "more than 500 fields"),
        (
            deb(&control(&paragraphs), b""),
            "more than 200000 paragraphs",
        ),
        (deb(&control(&"x".repeat(20 << 20)), b""), "is not a field"),
        (cut, "incomplete deflate stream"),
        (b"!<arch>\n".to_vec(), "a member is missing"),
        (b"PK\x03\x04 no archive".to_vec(), "the first bytes are not"),
    ];
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("hostile.deb");
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        refused(
            "--deb",
            path.to_str().unwrap(),
            5,
            "package.readable",
            expected,
        );
    }
    // A file as large as it likes, without a byte of it on the disk.
    let file = fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    refused(
        "--deb",
        path.to_str().unwrap(),
        5,
        "package.readable",
        "size of the package in bytes is 1099511627776",
    );
}

/// A package whose data member is compressed otherwise.
fn deb_of(suffix: &str, data: &[u8]) -> Vec<u8> {
    let mut deb = deb(&control("Package: mina-fixture-1-config\n"), b"");
    // The header of an empty member is the last that was written.
    deb.truncate(deb.len() - 60);
    let name = format!("data.tar.{suffix}");
    ar::write_member(&mut deb, &name, 0, data.len() as u64, &mut &*data).unwrap();
    deb
}

fn encoded(compression: fork_types::Compression, parts: &[&[u8]]) -> Vec<u8> {
    let mut encoder = fork_compress::Encoder::new(compression, Vec::new());
    for part in parts {
        encoder.write_all(part).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn hostile_xz_and_zstd_are_refused() {
    use fork_types::Compression::{Xz, Zstd};
    let whole = [header("./a", b'0', 0, ""), vec![0; 1024]].concat();
    let file = header("./x", b'5', 0, "");
    let zeros = vec![0; 64 << 20];
    let bomb = |compression| {
        encoded(
            compression,
            &[&file, &zeros, &zeros, &zeros, &zeros, &zeros],
        )
    };
    // A stream that asks for a dictionary of 2 GiB ("The .xz File Format", section 5.3.1).
    let xz_dictionary = {
        let mut stream = encoded(Xz, &[b"abc"]);
        let at = stream.windows(2).position(|two| two == [0x21, 1]).unwrap() + 2;
        stream[at] = 38;
        let header = 12..12 + 4 * (usize::from(stream[12]) + 1) - 4;
        let mut crc = flate2::Crc::new();
        crc.update(&stream[header.clone()]);
        stream[header.end..header.end + 4].copy_from_slice(&crc.sum().to_le_bytes());
        stream
    };
    // A frame with a window of 2 GiB and three bytes (RFC 8878 section 3.1.1.1).
    let zstd_window = b"\x28\xb5\x2f\xfd\x00\xa8\x19\x00\x00abc".to_vec();
    let two = |compression| encoded(compression, &[&whole]).repeat(2);
    let cut = |compression| {
        let mut bytes = encoded(compression, &[&whole]);
        bytes.truncate(bytes.len() - 9);
        bytes
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("xz", bomb(Xz), "it unpacks to more than"),
        ("zst", bomb(Zstd), "it unpacks to more than"),
        ("xz", xz_dictionary, "more memory than the limit of 80 MiB"),
        ("zst", zstd_window, "more memory than the limit of 128 MiB"),
        ("xz", two(Xz), "something follows the xz stream"),
        ("zst", two(Zstd), "something follows the zstd stream"),
        ("xz", cut(Xz), "premature eof"),
        ("zst", cut(Zstd), "incomplete frame"),
        ("xz", b"\x28\xb5\x2f\xfd".repeat(8), "this is no xz stream"),
        ("zst", b"\xfd7zXZ\0".repeat(8), "the zstd stream is damaged"),
        ("lzma", Vec::new(), "the compression of data.tar.lzma"),
    ];
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("hostile.deb");
    for (suffix, data, expected) in cases {
        fs::write(&path, deb_of(suffix, &data)).unwrap();
        let path = path.to_str().unwrap();
        refused("--deb", path, 5, "package.readable", expected);
    }
}

#[test]
fn hostile_images_are_refused() {
    let sha256 = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("oci");
    let layout = |layers: usize, layer: &[u8], diff_id: &str, index: Option<String>| {
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("blobs/sha256")).unwrap();
        let blob = |bytes: &[u8]| {
            let digest = sha256(bytes);
            fs::write(root.join("blobs/sha256").join(&digest[7..]), bytes).unwrap();
            digest
        };
        let digest = blob(layer);
        let descriptor = |kind: &str, digest: &str, bytes: usize| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{bytes}}}"#
            )
        };
        let diff_ids = vec![format!("\"{diff_id}\""); layers].join(",");
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#
        );
        let config = descriptor("config.v1+json", &blob(config.as_bytes()), config.len());
        let layer = descriptor("layer.v1.tar+gzip", &digest, layer.len());
        let layers = vec![layer; layers].join(",");
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#);
        let manifest = descriptor(
            "manifest.v1+json",
            &blob(manifest.as_bytes()),
            manifest.len(),
        );
        let index =
            index.unwrap_or_else(|| format!(r#"{{"schemaVersion":2,"manifests":[{manifest}]}}"#));
        fs::write(root.join("index.json"), index).unwrap();
        fs::write(root.join("oci-layout"), "{}").unwrap();
    };
    let image = format!("oci:{}", root.display());
    let none = sha256(b"");
    let whole = [header("./x", b'0', 0, ""), vec![0; 1024]].concat();
    let bomb = [gzip(&header("./x", b'0', 1 << 40, "")), zeros(10)].concat();
    let record = gzip(&header("./x", b'x', 1 << 40, ""));
    layout(1, &bomb, &none, None);
    refused(
        "--image",
        &image,
        5,
        "package.readable",
        "it unpacks to more than",
    );
    layout(1, &record, &none, None);
    refused(
        "--image",
        &image,
        5,
        "package.readable",
        "the limit is 1048576",
    );
    layout(501, &gzip(&whole), &sha256(&whole), None);
    refused(
        "--image",
        &image,
        5,
        "package.readable",
        "has 501 layers; the limit is 500",
    );
    layout(1, &gzip(&whole), &none, None);
    refused("--image", &image, 5, "package.readable", "has digest");
    layout(1, b"", &none, Some("[".repeat(3 << 20)));
    refused("--image", &image, 5, "package.readable", "larger than");
    layout(1, b"", &none, Some("[".repeat(1 << 20)));
    refused("--image", &image, 5, "package.readable", "index.json");

    let archive = directory.path().join("image.tar");
    let image = format!("docker-archive:{}", archive.display());
    for (bytes, expected) in [
        (zeros(10), "it unpacks to more than"),
        (header("./x", b'K', 1 << 40, ""), "the limit is 1048576"),
        (header("./x", b'0', 1 << 40, ""), "unexpected end of file"),
        (
            header("manifest.json", b'2', 0, "manifest.json"),
            "no member `manifest.json`",
        ),
        (
            header("manifest.json", b'2', 0, "../x"),
            "would leave the directory",
        ),
    ] {
        fs::write(&archive, bytes).unwrap();
        refused("--image", &image, 5, "package.readable", expected);
    }
}

#[test]
fn hostile_configs_are_refused() {
    let good = Opened::read(&made().deb());
    let text = String::from_utf8(good.files[&good.config_paths()[0]].0.clone()).unwrap();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("hostile.deb");
    let many = "0,".repeat(7 << 20);
    let objects = "{\"\":0},".repeat(2 << 20);
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (
            format!("[{many}0]").into_bytes(),
            "config.readable",
            "more than 100000 values",
        ),
        (
            format!("{{\"x\":[{objects}0]}}").into_bytes(),
            "config.readable",
            "more than 100000 values",
        ),
        (
            "[".repeat(15 << 20).into_bytes(),
            "config.readable",
            "recursion limit",
        ),
        (vec![b' '; 17 << 20], "config.readable", "larger than"),
        (b"NaN".to_vec(), "config.readable", "expected value"),
        (
            text.replacen("548146", "1e999", 1).into_bytes(),
            "config.readable",
            "",
        ),
        (
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            "config.readable",
            "expected value",
        ),
        (
            text.replacen("ledger", "\\ud800", 1).into_bytes(),
            "config.readable",
            "",
        ),
        (
            text.replacen("{", &format!("{{\"{}\":1,", "x".repeat(9 << 20)), 1)
                .into_bytes(),
            "config.schema",
            "unknown field",
        ),
    ];
    for (bytes, id, expected) in cases {
        let mut package = Opened::read(&made().deb());
        for path in package.config_paths() {
            package.files.get_mut(&path).unwrap().0.clone_from(&bytes);
        }
        package.write(&path);
        if expected.is_empty() && bytes == text.as_bytes() {
            panic!("nothing was changed");
        }
        refused("--deb", path.to_str().unwrap(), 4, id, expected);
    }
}

#[test]
fn hostile_tarballs_are_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("hostile.deb");
    let current = || {
        [
            header("CURRENT", b'0', 16, ""),
            b"MANIFEST-000001\n".to_vec(),
            vec![0; 496],
        ]
        .concat()
    };
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (
            [gzip(&header("000003.log", b'0', 1 << 40, "")), zeros(1)].concat(),
            "gzip",
            "something follows",
        ),
        (
            gzip_of_zeros(&header("000003.log", b'0', 1 << 32, ""), 4),
            "gzip",
            "it unpacks to more than",
        ),
        (
            gzip(&header("x", b'x', 1 << 40, "")),
            "tar",
            "is no file of a store",
        ),
        (
            gzip(&[header("x", b'x', 0, ""), current(), vec![0; 1024]].concat()),
            "tar",
            "is no file of a store",
        ),
        (
            gzip(&[header("../CURRENT", b'0', 0, ""), vec![0; 1024]].concat()),
            "tar",
            "is no file of a store",
        ),
        (
            gzip(&[header("CURRENT", b'2', 0, "/etc/passwd"), vec![0; 1024]].concat()),
            "tar",
            "is no file of a store",
        ),
        (
            gzip(&[current(), current(), vec![0; 1024]].concat()),
            "tar",
            "is there twice",
        ),
        (
            gzip(
                &[
                    header("IDENTITY", b'0', 5000, ""),
                    vec![7; 5120],
                    vec![0; 1024],
                ]
                .concat(),
            ),
            "tar",
            "`IDENTITY` has 5000 bytes",
        ),
    ];
    for (bytes, check, expected) in cases {
        let mut package = Opened::read(&made().deb());
        package.replace_tarball("ledger", bytes);
        package.write(&path);
        let id = format!("tarball.genesis.{check}");
        refused("--deb", path.to_str().unwrap(), 4, &id, expected);
    }
    // A manifest that keeps RocksDB busy for ever.
    let fragment = |kind: u8| vec![0, 0, 0, 0, 4, 0, kind, 1, 2, 3, 4];
    let manifest = [fragment(1), fragment(5)].concat();
    let mut member = header("MANIFEST-000001", b'0', manifest.len() as u64, "");
    member.extend(manifest);
    member.resize(1024, 0);
    let mut package = Opened::read(&made().deb());
    package.replace_tarball("ledger", gzip(&[current(), member, vec![0; 1024]].concat()));
    package.write(&path);
    let id = "store.genesis.accounts";
    refused(
        "--deb",
        path.to_str().unwrap(),
        4,
        id,
        "has type 5, expected 1 to 4",
    );
}

/// One gzip member: some bytes, and so many times 64 MB of zeros.
fn gzip_of_zeros(start: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(start).unwrap();
    let zeros = vec![0; 64 << 20];
    for _ in 0..times {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// The limits are far enough from what is real.
#[test]
fn a_real_package_stays_below_the_limits() {
    let parent = TempDir::new().unwrap();
    let deb = made().deb();
    let (run, report) = verify("--deb", deb.to_str().unwrap(), parent.path());
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(report.unwrap().peak_memory_bytes.unwrap() < MEMORY_BYTES_MAX);
    let reader = DebReader::open(&deb).unwrap();
    let mut entries = 0;
    reader
        .read_data::<fork_package::PackageError>(|_, _| {
            entries += 1;
            Ok(())
        })
        .unwrap();
    assert!(entries < 100);
}
