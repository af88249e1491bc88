//! The other side's tools must agree: `ldb`, `tar`, `gzip`, and RocksDB opened the way the daemon
//! opens it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use common::{accounts, copy, entries, snapshot, write};
use fork_store::log::FILE_NAMES;
use fork_store::sst::{open_like_daemon, write_sst_store};
use fork_store::{
    StoreErrorKind, StoreReader, prove_open_store, prove_store, tarball_name, write_scan,
    write_tarball,
};
use fork_types::{Class, Era, Fault};
use rust_rocksdb::{DB, Options};
use tar::EntryType;

const DEPTH: u8 = 35;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Whether `ldb` is there. In CI it has to be.
fn has_ldb(test: &str) -> bool {
    if Command::new("ldb").arg("--version").output().is_ok() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{test}: `ldb` is not there; install rocksdb-tools"
    );
    eprintln!("SKIPPED {test}: `ldb` is not there; install rocksdb-tools");
    false
}

#[test]
fn an_independent_reader_prints_the_same_text() {
    if !has_ldb("an_independent_reader_prints_the_same_text") {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    write(&directory, Era::Mesa, DEPTH, &accounts(Era::Mesa, 1000, 5));
    let before = snapshot(&directory);
    let mut ours = Vec::new();
    let summary = write_scan(&StoreReader::open(&directory).unwrap(), &mut ours).unwrap();
    assert_eq!(snapshot(&directory), before, "our reader changes nothing");
    let ours = String::from_utf8(ours).unwrap();
    assert_eq!(ours.lines().count() as u64, summary.entries);
    let theirs = run(
        "ldb",
        &["--hex", &format!("--db={}", text(&directory)), "scan"],
    )
    .replace("0x", "")
    .to_lowercase();
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn the_daemons_rocksdb_opens_a_copy_for_writing() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let list = accounts(Era::Mesa, 1500, 6);
    let summary = write(&directory, Era::Mesa, DEPTH, &list);
    let expected = entries(&StoreReader::open(&directory).unwrap());
    assert_eq!(expected.len() as u64, summary.entries);
    let opened = temporary.path().join("opened");
    copy(&directory, &opened);
    let mut options = Options::default();
    options.create_if_missing(true);
    let db = DB::open(&options, &opened).unwrap();
    let mut found = common::Entries::new();
    let mut iterator = db.raw_iterator();
    iterator.seek_to_first();
    while let Some((key, value)) = iterator.item() {
        found.insert(key.to_vec(), value.to_vec());
        iterator.next();
    }
    iterator.status().unwrap();
    assert_eq!(found, expected);
    drop(iterator);
    drop(db);
    // RocksDB has made tables of the log by now; they hold the same ledger.
    let names: Vec<String> = snapshot(&opened).into_keys().collect();
    assert!(names.iter().any(|name| name.ends_with(".sst")), "{names:?}");
    let before = snapshot(&opened);
    let proof = prove_store(&opened, Era::Mesa, DEPTH, &summary.root, 1500).unwrap();
    let ours = prove_store(&directory, Era::Mesa, DEPTH, &summary.root, 1500).unwrap();
    assert_eq!(proof, ours);
    assert_eq!(snapshot(&opened), before, "our reader changes nothing");
    let error = write_tarball(&opened, &temporary.path().join("x.tar.gz")).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            StoreErrorKind::ForeignFile { .. } | StoreErrorKind::NotAStore { .. }
        ),
        "{error}"
    );
}

#[test]
fn both_forms_of_a_store_hold_the_same() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let summary = write(&directory, Era::Mesa, DEPTH, &accounts(Era::Mesa, 900, 21));
    let content = entries(&StoreReader::open(&directory).unwrap());
    let tables = temporary.path().join("tables");
    let written = write_sst_store(&content, &tables).unwrap();
    assert_eq!(written, summary.entries);
    assert_eq!(entries(&StoreReader::open(&tables).unwrap()), content);
    prove_store(&tables, Era::Mesa, DEPTH, &summary.root, 900).unwrap();
    for path in [&directory, &tables] {
        assert_eq!(open_like_daemon(path).unwrap().entries, summary.entries);
    }
    let reversed = temporary.path().join("reversed");
    assert!(write_sst_store(content.iter().rev(), &reversed).is_err());
}

#[test]
fn rocksdb_reads_a_record_that_starts_with_seven_bytes_left() {
    // 4,096 entries of 7 or 8 bytes behind 12 of batch header fill a block but for 7 bytes, where
    // the next record puts an empty first fragment.
    let content: common::Entries = (0..5000_u32)
        .map(|number| {
            (
                number.to_be_bytes().to_vec(),
                vec![9; usize::from(number < 4070)],
            )
        })
        .collect();
    let temporary = tempfile::tempdir().unwrap();
    common::write_entries(temporary.path(), &content);
    let log = common::log_bytes(temporary.path());
    let header = &log[32_761..32_768];
    assert_eq!(header[4..], [0, 0, 2], "length 0, kind first");
    let store = StoreReader::open(temporary.path()).unwrap();
    assert_eq!(entries(&store), content);
    if has_ldb("rocksdb_reads_a_record_that_starts_with_seven_bytes_left") {
        let database = format!("--db={}", text(temporary.path()));
        let lines = run("ldb", &["--hex", &database, "scan"]).lines().count();
        assert_eq!(lines, content.len());
    }
}

#[test]
fn a_record_longer_than_many_blocks_is_read() {
    // The `$tids!` record of a public key with 65,536 tokens.
    let content = common::Entries::from([
        (vec![1], vec![7; 32 << 16]),
        (vec![2], vec![8; 32 << 16]),
        (vec![3], vec![9; 32 << 16]),
        (vec![4], vec![]),
    ]);
    let temporary = tempfile::tempdir().unwrap();
    common::write_entries(temporary.path(), &content);
    let store = StoreReader::open(temporary.path()).unwrap();
    assert_eq!(entries(&store), content);
}

#[test]
fn tarballs_are_deterministic_and_readable_by_gnu_tar() {
    let temporary = tempfile::tempdir().unwrap();
    let list = accounts(Era::Mesa, 3000, 8);
    let build = |name: &str| {
        let directory = temporary.path().join(name);
        let summary = write(&directory, Era::Mesa, DEPTH, &list);
        let tarball = temporary.path().join(format!(
            "{name}.{}",
            tarball_name("genesis_ledger", &summary.root, Era::Mesa)
        ));
        let written = write_tarball(&directory, &tarball).unwrap();
        (tarball, written, summary)
    };
    let on_threads = |threads, name: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| build(name))
    };
    let (tarball, written, summary) = on_threads(1, "first");
    let (again, written_again, _) = on_threads(5, "second");
    let bytes = std::fs::read(&tarball).unwrap();
    assert_eq!(bytes, std::fs::read(again).unwrap());
    assert_eq!(written, written_again);
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

    run("gzip", &["-t", text(&tarball)]);
    // A reader that knows only one member per file sees the whole archive.
    let mut one_member = flate2::bufread::GzDecoder::new(&bytes[..]);
    let unpacked_bytes = std::io::copy(&mut one_member, &mut std::io::sink()).unwrap();
    assert!(unpacked_bytes > 2 * 1_048_560, "several chunks");
    assert!(one_member.into_inner().is_empty());
    if Command::new("python3").arg("--version").output().is_ok() {
        let script = "import gzip, sys; print(len(gzip.open(sys.argv[1]).read()))";
        let length = run("python3", &["-c", script, text(&tarball)]);
        assert_eq!(length.trim(), unpacked_bytes.to_string());
    }
    let listing = run("tar", &["--utc", "-tvzf", text(&tarball)]);
    let lines: Vec<Vec<&str>> = listing
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let names: Vec<&str> = lines.iter().map(|line| line[5]).collect();
    assert_eq!(
        names,
        ["./", "./000003.log", "./CURRENT", "./MANIFEST-000001"]
    );
    for line in &lines {
        let mode = if line[5] == "./" {
            "drwxr-xr-x"
        } else {
            "-rw-r--r--"
        };
        assert_eq!(line[..2], [mode, "root/root"]);
        assert_eq!(line[3..5], ["1970-01-01", "00:00"]);
    }
    let digest = run("sha256sum", &[text(&tarball)]);
    assert!(digest.starts_with(&written.sha256));
    if let Ok(output) = Command::new("openssl")
        .args(["dgst", "-sha3-256", "-r", text(&tarball)])
        .output()
    {
        let digest = String::from_utf8(output.stdout).unwrap();
        assert!(digest.starts_with(&written.s3_data_hash), "{digest}");
    }
    let unpacked = temporary.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    run("tar", &["-C", text(&unpacked), "-xzf", text(&tarball)]);
    assert_eq!(
        snapshot(&unpacked),
        snapshot(&temporary.path().join("first"))
    );

    let scratch = temporary.path().join("scratch");
    let reader = StoreReader::open_tarball(&tarball, &scratch).unwrap();
    prove_open_store(&reader, Era::Mesa, DEPTH, &summary.root, 3000).unwrap();
    assert_eq!(reader.path(), tarball);
    drop(reader);
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);

    // What tar itself packs, as upstream does, is read as well.
    let theirs = temporary.path().join("theirs.tar.gz");
    run("tar", &["-C", text(&unpacked), "-czf", text(&theirs), "."]);
    let reader = StoreReader::open_any(&theirs, &scratch).unwrap();
    prove_open_store(&reader, Era::Mesa, DEPTH, &summary.root, 3000).unwrap();
}

/// A gzipped tar with the given members.
fn tarball(path: &Path, members: &[(&[u8], EntryType, &[u8])]) {
    let file = std::fs::File::create(path).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for (name, kind, data) in members {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        if !kind.is_file() {
            header.set_link_name("CURRENT").unwrap();
        }
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        gzip.write_all(data).unwrap();
        gzip.write_all(&vec![0; data.len().wrapping_neg() % 512])
            .unwrap();
    }
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap();
}

#[test]
fn hostile_tarballs_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("hostile.tar.gz");
    let scratch = temporary.path().join("scratch");
    let file = EntryType::Regular;
    let cases: [(&[u8], EntryType); 12] = [
        (b"../outside", file),
        (b"/tmp/outside", file),
        (b"./../outside", file),
        (b"a/b", file),
        (b"././a", file),
        (b"..", file),
        (b".", file),
        (b"na me", file),
        (b"link", EntryType::Symlink),
        (b"link", EntryType::Link),
        (b"sub", EntryType::Directory),
        (b"fifo", EntryType::Fifo),
    ];
    for (name, kind) in cases {
        tarball(&path, &[(b"CURRENT", file, b"x"), (name, kind, b"")]);
        let error = StoreReader::open_tarball(&path, &scratch).unwrap_err();
        assert!(
            matches!(error.kind(), StoreErrorKind::Tarball { .. }),
            "{}: {error}",
            name.escape_ascii()
        );
        assert_eq!(error.class(), Class::BadInput);
    }
    tarball(&path, &[(b"a", file, b"1"), (b"./a", file, b"2")]);
    let error = StoreReader::open_tarball(&path, &scratch).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    assert!(!temporary.path().join("outside").exists());
}

#[test]
fn damaged_tarballs_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let summary = write(&directory, Era::Mesa, DEPTH, &accounts(Era::Mesa, 50, 2));
    let path = temporary.path().join("ledger.tar.gz");
    write_tarball(&directory, &path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let prove = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let reader = StoreReader::open_tarball(&path, temporary.path())?;
        prove_open_store(&reader, Era::Mesa, DEPTH, &summary.root, 50)
    };
    prove(&good).unwrap();
    for position in [0, 1, 12, good.len() / 2, good.len() - 8, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[position] ^= 1;
        let error = prove(&bytes).unwrap_err();
        assert_eq!(error.class(), Class::BadInput, "byte {position}: {error}");
    }
    for length in [0, 5, good.len() / 2, good.len() - 4, good.len() - 1] {
        assert!(prove(&good[..length]).is_err(), "cut to {length} bytes");
    }
    let mut longer = good.clone();
    longer.extend_from_slice(b"more");
    assert!(prove(&longer).is_err());
    // A second gzip member is allowed, but only with zeros.
    let mut member = flate2::write::GzEncoder::new(good.clone(), flate2::Compression::fast());
    member.write_all(&[0; 512]).unwrap();
    prove(&member.finish().unwrap()).unwrap();
    let mut member = flate2::write::GzEncoder::new(good.clone(), flate2::Compression::fast());
    member.write_all(b"hidden").unwrap();
    assert!(prove(&member.finish().unwrap()).is_err());
}

#[test]
fn only_whole_log_only_stores_are_packed() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    write(&directory, Era::Mesa, DEPTH, &accounts(Era::Mesa, 3, 2));
    let target = temporary.path().join("out.tar.gz");
    for name in FILE_NAMES {
        let partial = temporary.path().join(format!("without-{name}"));
        copy(&directory, &partial);
        std::fs::remove_file(partial.join(name)).unwrap();
        let error = write_tarball(&partial, &target).unwrap_err();
        assert!(
            matches!(error.kind(), StoreErrorKind::NotAStore { missing, .. }
            if *missing == name)
        );
    }
    std::fs::write(directory.join("LOG"), b"").unwrap();
    let error = write_tarball(&directory, &target).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::ForeignFile { name, .. } if name == "LOG"));
    assert!(!target.exists());
}
