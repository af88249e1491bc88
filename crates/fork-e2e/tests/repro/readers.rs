//! Other versions of RocksDB, older and newer than the daemon's, read what we wrote; and we read what
//! they wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fork_store::sst::open_like_daemon;
use fork_testkit::fixture::{FixtureSpec, write_account_list};
use fork_types::Role;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sha3::Sha3_256;

use crate::support::{FORK_SLOT, Place, binary, ended, root, skipped, text};

/// RocksDB of Debian 12, read through its own tool.
const LDB_VERSION: &str = "7.8.3";

/// A program with a RocksDB of its own: `READER… MODE DIRECTORY`.
struct Reader {
    rocksdb: &'static str,
    command: Vec<String>,
}

impl Reader {
    fn run(&self, mode: &str, directory: &Path) -> Command {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args([mode, text(directory)]);
        command
    }
}

/// The readers that `scripts/store-readers` makes, or `None` after a loud line. In CI they have to be
/// there.
fn readers(test: &str) -> Option<Vec<Reader>> {
    // target/release/worker
    let target = binary("inspect-ledger")
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned();
    let old = target.join("rocksdb-5.18/release/store-reader-5-18");
    let python = target.join("store-readers/bin/python");
    for path in [&old, &python] {
        if !path.exists() {
            skipped(
                test,
                &format!("{} is not there; run scripts/store-readers", path.display()),
            );
            return None;
        }
    }
    let script = root().join("compat/read_store.py");
    let of_wheel = |rocksdb, wheel: &str| Reader {
        rocksdb,
        command: vec![
            text(&python).to_owned(),
            text(&script).to_owned(),
            wheel.to_owned(),
        ],
    };
    Some(vec![
        Reader {
            rocksdb: "5.18.3",
            command: vec![text(&old).to_owned()],
        },
        of_wheel("9.8.4", "rocksdict"),
        of_wheel("10.7.5", "pyrex"),
    ])
}

fn has_ldb(test: &str) -> bool {
    match Command::new("ldb").arg("--version").output() {
        Ok(output) => {
            let version = String::from_utf8(output.stdout).unwrap();
            eprintln!("{}", version.trim());
            // Another distribution has another version, which is as good a reader.
            if !version.contains(LDB_VERSION) {
                eprintln!("this `ldb` is not the {LDB_VERSION} that the documentation names");
            }
            true
        }
        Err(_) => {
            skipped(test, "`ldb` is not there; run scripts/install-deps");
            false
        }
    }
}

/// Copies the files of a flat directory.
fn copy(source: &Path, target: &Path) {
    fs::create_dir(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
}

fn unpack(tarball: &Path, directory: &Path) {
    fs::create_dir(directory).unwrap();
    ended(Command::new("tar").args(["-xzf", text(tarball), "-C", text(directory)])).done();
}

fn pack(directory: &Path, tarball: &Path) {
    ended(Command::new("tar").args(["-czf", text(tarball), "-C", text(directory), "."])).done();
}

/// The version that RocksDB writes into the first line of its own log.
fn version(directory: &Path) -> String {
    let log = fs::read_to_string(directory.join("LOG")).unwrap();
    let (_, version) = log.split_once("RocksDB version: ").unwrap();
    version.lines().next().unwrap().trim().to_owned()
}

/// Migrates a list of Berkeley accounts to the ledger `name`.
fn migrate(place: &Place, name: &str, list: &Path) {
    let arguments = [
        "--accounts",
        text(list),
        "--role",
        "genesis",
        "--output",
        name,
    ];
    let rule = [
        "--from",
        "berkeley",
        "--to",
        "mesa",
        "--fork-slot",
        FORK_SLOT,
    ];
    let arguments = [&arguments[..], &rule, &["--unverified-source"]].concat();
    place.run("migrate-ledger", &arguments).done();
}

fn content_sha256(place: &Place, ledger: &str) -> String {
    let document = place.document(&format!("{ledger}/ledger.json"));
    document["tarball"]["content_sha256"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The three ledgers of the fixture, one of a single account, and one of 20,000 with zkApps, tokens and
/// vesting.
fn ledgers(place: &Place) -> Vec<&'static str> {
    let small = root().join("fixtures/small");
    for (name, list) in [
        ("genesis", "staged_ledger.json"),
        ("staking", "staking_ledger.json"),
        ("next", "next_staking_ledger.json"),
    ] {
        migrate(place, name, &small.join(list));
    }
    let list = fs::read_to_string(small.join("staged_ledger.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let one = place.write("one.json", format!("[{}]", list[0]));
    migrate(place, "one", &one);
    let spec = FixtureSpec {
        accounts: 20_000,
        ..FixtureSpec::default()
    };
    let list = place.path("large.json");
    write_account_list(&spec, Role::Genesis, &list).unwrap();
    migrate(place, "large", &list);
    vec!["genesis", "staking", "next", "one", "large"]
}

/// Every line, and the digest over all of them.
fn assert_text(what: &str, found: &str, ours: &str, content_sha256: &str) {
    for (number, (found, ours)) in found.lines().zip(ours.lines()).enumerate() {
        assert_eq!(found, ours, "{what}, line {}", number + 1);
    }
    assert_eq!(found.lines().count(), ours.lines().count(), "{what}");
    assert_eq!(hex::encode(Sha256::digest(found)), content_sha256, "{what}");
}

#[test]
fn other_versions_of_rocksdb_read_the_same() {
    let test = "other_versions_of_rocksdb_read_the_same";
    let (Some(readers), true) = (readers(test), has_ldb(test)) else {
        return;
    };
    let place = Place::new();
    for ledger in ledgers(&place) {
        let content = content_sha256(&place, ledger);
        let tarball = place.tarball(ledger);
        let ours = place
            .run("inspect-ledger", &["scan", text(&tarball)])
            .done();
        assert_text(ledger, &ours, &ours, &content);
        let store = place.path(&format!("{ledger}-store"));
        unpack(&tarball, &store);
        let option = format!("--db={}", text(&store));
        let theirs = ended(Command::new("ldb").args(["--hex", &option, "scan"]));
        let theirs = theirs.done().replace("0x", "").to_lowercase();
        assert_text(&format!("{ledger}, ldb"), &theirs, &ours, &content);
        for (number, reader) in readers.iter().enumerate() {
            for mode in ["read-only", "read-write"] {
                let what = format!("{ledger}, RocksDB {}, {mode}", reader.rocksdb);
                let opened = place.path(&format!("{ledger}-{number}-{mode}"));
                copy(&store, &opened);
                let theirs = ended(&mut reader.run(mode, &opened)).done();
                assert_text(&what, &theirs, &ours, &content);
                if mode == "read-write" {
                    assert_eq!(version(&opened), reader.rocksdb, "{what}");
                    let tables = fs::read_dir(&opened).unwrap().filter(|entry| {
                        let path = entry.as_ref().unwrap().path();
                        path.extension().is_some_and(|extension| extension == "sst")
                    });
                    assert!(tables.count() > 0, "{what}: the log became tables");
                }
                fs::remove_dir_all(opened).unwrap();
            }
        }
        let (entries, accounts) = (ours.lines().count(), ledger);
        eprintln!("{accounts}: {entries} entries, the same for all");
    }
}

/// Writes the entries with RocksDB 5.18.3, the last first.
fn restore(reader: &Reader, directory: &Path, lines: &[String]) {
    let mut child = reader
        .run("restore", directory)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text: Vec<&str> = lines.iter().map(String::as_str).collect();
    text.reverse();
    let text = text.join("\n") + "\n";
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(version(directory), "5.18.3");
}

fn digest(place: &Place, code: i32, paths: &[&Path], more: &[&str]) -> Value {
    let paths: Vec<&str> = paths.iter().map(|path| text(path)).collect();
    let arguments = [&["digest", "--format", "json"], &paths[..], more].concat();
    let ran = place.run("inspect-ledger", &arguments);
    assert_eq!(ran.code, Some(code), "{}\n{}", ran.line, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The same ledger as other programs write and pack it: other files, the same content.
#[test]
fn foreign_tarballs_of_a_ledger_have_its_content_digest() {
    let test = "foreign_tarballs_of_a_ledger_have_its_content_digest";
    let Some(readers) = readers(test) else {
        return;
    };
    let place = Place::new();
    migrate(
        &place,
        "ours",
        &root().join("fixtures/small/staged_ledger.json"),
    );
    let document = place.document("ours/ledger.json");
    let ours = place.tarball("ours");
    let store = place.path("store");
    unpack(&ours, &store);
    let scan = place.run("inspect-ledger", &["scan", text(&ours)]).done();
    let lines: Vec<String> = scan.lines().map(str::to_owned).collect();

    // The daemon's version, 10.5.1, makes tables of our log; 5.18.3 writes its own from nothing.
    let newer = place.path("newer");
    copy(&store, &newer);
    open_like_daemon(&newer).unwrap();
    assert_eq!(version(&newer), "10.5.1");
    let older = place.path("older");
    restore(&readers[0], &older, &lines);
    let mut changed_lines = lines.clone();
    // The last digit of the last byte of an account, which is in the middle of the text.
    let account = changed_lines
        .iter()
        .position(|line| line.starts_with("fe"))
        .unwrap();
    let line = &mut changed_lines[account];
    let digit = line.pop().unwrap();
    line.push(if digit == '0' { '1' } else { '0' });
    let changed = place.path("changed");
    restore(&readers[0], &changed, &changed_lines);
    let packed = |directory: &Path| -> PathBuf {
        let tarball = directory.with_extension("tar.gz");
        pack(directory, &tarball);
        tarball
    };
    let (newer_tarball, older_tarball) = (packed(&newer), packed(&older));
    let changed_tarball = packed(&changed);

    let all = [
        &ours,
        &newer_tarball,
        &older_tarball,
        &store,
        &newer,
        &older,
    ];
    let all = all.map(PathBuf::as_path);
    let report = digest(&place, 0, &all, &[]);
    assert_eq!(report["equal"], true);
    let mut files = Vec::new();
    for (found, path) in report["stores"].as_array().unwrap().iter().zip(all) {
        assert_eq!(found["path"], text(path));
        assert_eq!(
            found["content_sha256"],
            document["tarball"]["content_sha256"]
        );
        assert_eq!(found["entries"], document["tarball"]["entries"]);
        if path.is_dir() {
            assert_eq!(found.get("tarball"), None);
            continue;
        }
        let bytes = fs::read(path).unwrap();
        let tarball = &found["tarball"];
        assert_eq!(
            tarball["s3_data_hash"],
            hex::encode(Sha3_256::digest(&bytes))
        );
        assert_eq!(tarball["sha256"], hex::encode(Sha256::digest(&bytes)));
        assert_eq!(tarball["bytes"], bytes.len());
        files.push(tarball["s3_data_hash"].clone());
    }
    assert_eq!(files[0], document["tarball"]["s3_data_hash"]);
    files.sort_by_key(Value::to_string);
    files.dedup();
    assert_eq!(files.len(), 3, "the files differ");
    let content = content_sha256(&place, "ours");
    digest(&place, 0, &[&older_tarball], &["--expect", &content]);

    let report = digest(&place, 4, &[&ours, &older_tarball, &changed_tarball], &[]);
    assert_eq!(report["equal"], false);
    let other = report["stores"][2]["content_sha256"].as_str().unwrap();
    assert_ne!(other, content);
    digest(&place, 4, &[&changed], &["--expect", &content]);
    let ran = place.run("inspect-ledger", &["digest", text(&ours), text(&changed)]);
    assert_eq!(ran.code, Some(4));
    let said = format!(
        "error: failed to inspect: `{}` has content digest {other}, `{}` has {content}\n",
        text(&changed),
        text(&ours)
    );
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    ran.hints("inspect-ledger diff");
    assert!(
        ran.stdout
            .ends_with("different: they do not all hold the same entries\n")
    );
    let ran = place.run("inspect-ledger", &["diff", text(&ours), text(&changed)]);
    assert!(
        ran.stdout
            .starts_with("different: 1 entries changed, 0 only in A, 0 only in B")
    );

    // What RocksDB has opened for writing, an old daemon can no longer read: there is no way back.
    let ran = ended(&mut readers[0].run("read-only", &newer));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("unknown tag"), "{}", ran.stderr);
}

#[test]
fn digest_refuses_what_is_no_store() {
    let place = Place::new();
    let list = root().join("fixtures/small/staged_ledger.json");
    migrate(&place, "ours", &list);
    let tarball = place.tarball("ours");
    let bytes = fs::read(&tarball).unwrap();
    place.write("cut.tar.gz", &bytes[..bytes.len() / 2]);
    fs::create_dir(place.path("empty")).unwrap();
    for (path, needle) in [
        ("absent.tar.gz", "absent.tar.gz"),
        ("cut.tar.gz", "cut.tar.gz"),
        (
            "empty",
            "`empty` is no ledger store: it has no file `CURRENT`",
        ),
        (text(&list), "staged_ledger.json"),
    ] {
        let scratch = ["--scratch", "scratch"];
        place
            .run(
                "inspect-ledger",
                &[&["digest", path], &scratch[..]].concat(),
            )
            .refused(5, &[needle]);
    }
    // One damaged byte of the log, which RocksDB alone would forgive.
    let damaged = place.path("damaged");
    unpack(&tarball, &damaged);
    let log = damaged.join("000003.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    place
        .run(
            "inspect-ledger",
            &["digest", "damaged", "--scratch", "scratch"],
        )
        .refused(5, &["`damaged`"]);
    let left = fs::read_dir(place.path("scratch")).unwrap().count();
    assert_eq!(left, 0, "the scratch directory is empty");
    let expect = ["digest", text(&tarball), "--expect", "12"];
    assert_eq!(place.run("inspect-ledger", &expect).code, Some(2));
    assert_eq!(place.run("inspect-ledger", &["digest"]).code, Some(2));
}
