//! `package-deb diff`: each kind of difference is named, the one that explains the others first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use fork_ledger::account::Account;
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_package::{Attributes, DebBuilder, FileSource, NameStyle, Paragraph, TarWriter, ar};
use fork_store::{LedgerStoreWriter, tarball_name, write_tarball};
use fork_types::{Amount, Compression, Era, FieldBytes, PublicKey};
use serde_json::{Value, json};
use tempfile::TempDir;

const CONTROL: &str = "Package: mina-x-config\nVersion: 1\nSuite: unstable\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n";

/// A ledger: root, name and bytes of its tarball.
#[derive(Clone)]
struct Ledger {
    root: String,
    name: String,
    bytes: Vec<u8>,
}

fn ledger(prefix: &str, change: impl FnOnce(&mut Vec<Account>)) -> Ledger {
    let mut accounts: Vec<Account> = (1..=20)
        .map(|number| {
            let public_key = PublicKey::new(FieldBytes::from_u64(number), false);
            Account {
                public_key,
                balance: Amount::from_nanomina(number * 1_000_000_000),
                delegate: Some(public_key),
                ..Account::empty(Era::Mesa)
            }
        })
        .collect();
    change(&mut accounts);
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    let mut writer = LedgerStoreWriter::create(&store, 35).unwrap();
    for account in &accounts {
        writer.push_account(account).unwrap();
    }
    let leaves = hash_accounts(Era::Mesa, &accounts, &VkHashCache::new()).unwrap();
    let tree = MerkleTree::new(Era::Mesa, 35, leaves).unwrap();
    let root = ledger_hash(tree.root());
    writer.finish(&tree).unwrap();
    let tarball = directory.path().join("a.tar.gz");
    write_tarball(&store, &tarball).unwrap();
    Ledger {
        root: root.to_string(),
        name: tarball_name(prefix, &root, Era::Mesa),
        bytes: fs::read(tarball).unwrap(),
    }
}

/// What a package is made of, to be changed.
#[derive(Clone)]
struct Content {
    control: String,
    mtime: u64,
    compression: Compression,
    /// By path, with mode.
    files: BTreeMap<String, (Vec<u8>, u32)>,
}

fn content(genesis: &Ledger, epoch: &Ledger) -> Content {
    let config = json!({
        "ledger": {"hash": genesis.root, "s3_data_hash": "aa"},
        "epoch_data": {
            "staking": {"hash": epoch.root},
            "next": {"hash": epoch.root, "seed": [1, 2, 3]},
        },
    });
    let config = serde_json::to_vec_pretty(&config).unwrap();
    let path = |name: &str| format!("/var/lib/coda/{name}");
    let files = [
        (path("config_12345678.json"), config.clone()),
        (path("x.json"), config),
        (path("unit.service"), b"[Unit]\nA=1\n".to_vec()),
        (path(&genesis.name), genesis.bytes.clone()),
        (path(&epoch.name), epoch.bytes.clone()),
    ];
    Content {
        control: CONTROL.to_owned(),
        mtime: 1_700_000_000,
        compression: Compression::Gzip,
        files: files
            .into_iter()
            .map(|(path, bytes)| (path, (bytes, 0o644)))
            .collect(),
    }
}

/// The content most tests begin with.
fn plain() -> &'static Content {
    static PLAIN: OnceLock<Content> = OnceLock::new();
    PLAIN.get_or_init(|| {
        content(
            &ledger("genesis_ledger", |_| {}),
            &ledger("epoch_ledger", |_| {}),
        )
    })
}

impl Content {
    fn write(&self, path: &Path) {
        let control = Paragraph::parse(&self.control).unwrap();
        let mut deb = DebBuilder::new(control, self.mtime).compressed_with(self.compression);
        for (path, (bytes, mode)) in &self.files {
            deb.add(path, *mode, FileSource::Bytes(bytes.clone()))
                .unwrap();
        }
        deb.write(path).unwrap();
    }

    /// The path of the only file whose name begins like this.
    fn path(&self, prefix: &str) -> String {
        let mut found = self
            .files
            .keys()
            .filter(|path| path.rsplit('/').next().unwrap().starts_with(prefix));
        found.next().unwrap().clone()
    }
}

struct Outcome {
    human: String,
    report: Value,
}

impl Outcome {
    fn first(&self) -> &str {
        self.report["first"].as_str().unwrap()
    }

    fn parts(&self) -> Vec<&str> {
        let all = self.report["differences"].as_array().unwrap();
        let mut parts: Vec<&str> = all
            .iter()
            .map(|one| one["part"].as_str().unwrap())
            .collect();
        parts.dedup();
        parts
    }
}

fn run(code: i32, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_package-deb"));
    command
        .env_remove("FORKPACK_FORMAT")
        .arg("diff")
        .args(arguments);
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    (String::from_utf8(output.stdout).unwrap(), error)
}

/// Compares two packages with the binary; the exit code must fit.
fn diff(left: &Path, right: &Path, more: &[&str]) -> Outcome {
    let scratch = TempDir::new().unwrap();
    let mut arguments = vec![left.to_str().unwrap(), right.to_str().unwrap()];
    arguments.extend(["--scratch", scratch.path().to_str().unwrap()]);
    arguments.extend(more);
    let is_equal = fs::read(left).unwrap() == fs::read(right).unwrap();
    let code = if is_equal { 0 } else { 4 };
    let (human, _) = run(code, &arguments);
    arguments.extend(["--format", "json"]);
    let report: Value = serde_json::from_str(&run(code, &arguments).0).unwrap();
    assert_eq!(report["equal"], is_equal);
    assert_eq!(
        fs::read_dir(scratch.path()).unwrap().count(),
        0,
        "left over"
    );
    Outcome { human, report }
}

fn changed(change: impl FnOnce(&mut Content)) -> Outcome {
    let (directory, left, right) = pair(change);
    let outcome = diff(&left, &right, &[]);
    drop(directory);
    outcome
}

fn pair(change: impl FnOnce(&mut Content)) -> (TempDir, PathBuf, PathBuf) {
    let directory = TempDir::new().unwrap();
    let (left, right) = (
        directory.path().join("a.deb"),
        directory.path().join("b.deb"),
    );
    plain().write(&left);
    let mut other = plain().clone();
    change(&mut other);
    other.write(&right);
    (directory, left, right)
}

#[test]
fn equal_packages_are_equal() {
    let outcome = changed(|_| {});
    assert_eq!(outcome.report["first"], Value::Null);
    assert!(outcome.human.ends_with("equal\n"), "{}", outcome.human);
}

#[test]
fn an_account_is_named_before_all_that_follows_from_it() {
    let other = ledger("genesis_ledger", |accounts| {
        accounts[7].balance = Amount::from_nanomina(5_000_000_000);
        accounts[7].delegate = None;
    });
    let epoch = ledger("epoch_ledger", |_| {});
    let outcome = changed(|right| *right = content(&other, &epoch));
    let key = PublicKey::new(FieldBytes::from_u64(8), false);
    assert_eq!(
        outcome.first(),
        format!("ledger: genesis ledger: account 7 ({key}): balance: 8 -> 5, and 1 more members")
    );
    // No file is said to be new: the ledger is the same one, under its new name.
    assert_eq!(outcome.parts(), ["ledger", "config", "md5sums"]);
    let detail = outcome.report["differences"][0]["detail"].to_string();
    assert!(detail.contains("delegate: "), "{detail}");
    assert!(detail.contains("entries: 37 changed"), "{detail}");
    let config = &outcome.report["differences"][1];
    assert_eq!(
        config["what"],
        "`/var/lib/coda/config_12345678.json`, ledger.hash"
    );
    assert_eq!(config["right"], format!("\\\"{}\\\"", other.root));
}

#[test]
fn a_ledger_that_is_packed_otherwise_is_told_apart() {
    // What an archiver would do: another time in the gzip header, other compression.
    let outcome = changed(|right| {
        let path = right.path("genesis_ledger");
        let bytes = &mut right.files.get_mut(&path).unwrap().0;
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..])
            .read_to_end(&mut tar)
            .unwrap();
        let mut encoder = flate2::GzBuilder::new()
            .mtime(5)
            .write(Vec::new(), flate2::Compression::best());
        encoder.write_all(&tar).unwrap();
        *bytes = encoder.finish().unwrap();
    });
    let first = outcome.report["differences"][0]["what"].as_str().unwrap();
    assert!(first.starts_with("checksum of"), "{first}");
    let packing = outcome.report["differences"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(packing["part"], "packing");
    assert!(
        packing["what"]
            .as_str()
            .unwrap()
            .starts_with("genesis ledger: the same ")
    );
    let detail = packing["detail"].to_string();
    assert!(detail.contains("gzip header, time: 0 -> 5"), "{detail}");
    assert!(
        detail.contains("compression: the same archive in"),
        "{detail}"
    );
}

#[test]
fn a_ledger_that_cannot_be_read_is_told() {
    let outcome = changed(|right| {
        let path = right.path("epoch_ledger");
        right.files.get_mut(&path).unwrap().0.truncate(500);
    });
    let first = outcome.first();
    assert!(
        first.starts_with("ledger: staking ledger: what they hold was not compared: "),
        "{first}"
    );
}

#[test]
fn values_files_and_attributes_are_named() {
    let config = |change: fn(&mut Value)| {
        changed(move |right| {
            let path = right.path("x.json");
            let mut value: Value = serde_json::from_slice(&right.files[&path].0).unwrap();
            change(&mut value);
            right.files.get_mut(&path).unwrap().0 = serde_json::to_vec_pretty(&value).unwrap();
        })
    };
    let outcome = config(|value| value["epoch_data"]["next"]["seed"][1] = json!("two"));
    assert_eq!(
        outcome.first(),
        "config: `/var/lib/coda/x.json`, epoch_data.next.seed[1]: 2 -> \\\"two\\\""
    );
    let outcome = config(|value| value["proof"] = json!({"fork": 1}));
    assert_eq!(
        outcome.first(),
        "config: `/var/lib/coda/x.json`, proof: only in B"
    );
    let outcome = changed(|right| {
        let path = right.path("x.json");
        let bytes = &mut right.files.get_mut(&path).unwrap().0;
        let value: Value = serde_json::from_slice(bytes).unwrap();
        *bytes = serde_json::to_vec(&value).unwrap();
    });
    assert_eq!(outcome.parts(), ["md5sums", "packing"]);
    let outcome = changed(|right| {
        let path = right.path("unit.service");
        right.files.get_mut(&path).unwrap().0 = b"[Unit]\nA=2\n".to_vec();
    });
    assert_eq!(
        outcome.first(),
        "file: `/var/lib/coda/unit.service`, line 2: A=1 -> A=2"
    );
    let outcome = changed(|right| {
        right
            .files
            .insert("/usr/new".to_owned(), (b"x".to_vec(), 0o644));
    });
    assert!(
        outcome.first().starts_with("file: `/usr"),
        "{}",
        outcome.first()
    );
    assert!(
        outcome.first().ends_with("only in B"),
        "{}",
        outcome.first()
    );
    let outcome = changed(|right| {
        let path = right.path("unit.service");
        right.files.get_mut(&path).unwrap().1 = 0o600;
    });
    assert_eq!(
        outcome.first(),
        "attributes: mode of `/var/lib/coda/unit.service`: 0644 -> 0600"
    );
    let outcome = changed(|right| right.mtime += 1);
    assert_eq!(
        outcome.first(),
        "attributes: time of 9 files and directories: 1700000000 -> 1700000001"
    );
    assert_eq!(outcome.parts(), ["attributes", "container"]);
    let outcome = changed(|right| {
        right.control = right
            .control
            .replace("Suite: unstable", "Suite: stable\nNew: 1");
    });
    assert_eq!(
        outcome.first(),
        "control: field `Suite`: unstable -> stable"
    );
    assert!(outcome.human.contains("field `New`"), "{}", outcome.human);
}

#[test]
fn compression_is_all_that_differs() {
    for (compression, name) in [(Compression::Xz, "xz"), (Compression::Zstd, "zst")] {
        let outcome = changed(|right| right.compression = compression);
        assert_eq!(
            outcome.first(),
            format!("packing: compression of the data archive: gz -> {name}")
        );
        assert_eq!(outcome.report["differences"].as_array().unwrap().len(), 1);
        let (left, right) = (&outcome.report["left"], &outcome.report["right"]);
        assert_eq!(left["payload_sha256"], right["payload_sha256"]);
    }
}

#[test]
fn scripts_members_and_bytes_of_compression_are_named() {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, level: u32, script: &str, last: &str| {
        let pack = |files: &[(&str, &[u8])]| {
            let mut tar = TarWriter::new(Vec::new(), NameStyle::Deb, Path::new("x"));
            for (name, bytes) in files {
                tar.append_bytes(name, Attributes::root(0o644, 5), bytes)
                    .unwrap();
            }
            let level = flate2::Compression::new(level);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&tar.finish().unwrap()).unwrap();
            encoder.finish().unwrap()
        };
        let control = pack(&[
            ("control", CONTROL.as_bytes()),
            ("postinst", script.as_bytes()),
        ]);
        let words = "some words that repeat, ".repeat(500);
        let data = pack(&[("a", words.as_bytes())]);
        let mut bytes = ar::MAGIC.to_vec();
        for (name, content) in [
            ("debian-binary", b"2.0\n".as_slice()),
            ("control.tar.gz", &control),
            ("data.tar.gz", &data),
            (last, b""),
        ] {
            if !name.is_empty() {
                ar::write_member(&mut bytes, name, 0, content.len() as u64, &mut &*content)
                    .unwrap();
            }
        }
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let plain = write("a.deb", 1, "#!/bin/sh\nset -e\n", "");
    let outcome = diff(&plain, &write("b.deb", 1, "#!/bin/sh\nrm -r /\n", ""), &[]);
    assert_eq!(
        outcome.first(),
        "script: control file `postinst`, line 2: set -e -> rm -r /"
    );
    let outcome = diff(
        &plain,
        &write("c.deb", 1, "#!/bin/sh\nset -e\n", "_gpg"),
        &[],
    );
    assert_eq!(
        outcome.first(),
        "container: names and order of the members: debian-binary, control.tar, data.tar -> debian-binary, control.tar, data.tar, _gpg"
    );
    let outcome = diff(&plain, &write("d.deb", 9, "#!/bin/sh\nset -e\n", ""), &[]);
    assert_eq!(
        outcome.first(),
        "packing: compressed bytes of archives that hold the same"
    );
}

#[test]
fn the_list_is_bounded_and_errors_have_their_codes() {
    let (directory, left, right) = pair(|right| {
        for number in 0..30 {
            let path = format!("/usr/share/{number}");
            right.files.insert(path, (b"x".to_vec(), 0o644));
        }
    });
    let outcome = diff(&left, &right, &["--max", "3"]);
    let listed = outcome.report["differences"].as_array().unwrap().len();
    assert!(listed <= 9, "{listed}");
    assert!(outcome.report["not_listed"].as_u64().unwrap() >= 50);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (a, b) = (text(&left), text(&right));
    // Two packages in a directory, none, no file, no package.
    let (_, error) = run(2, &[&a, &text(directory.path())]);
    assert!(error.contains("holds several of the packages"), "{error}");
    let empty = TempDir::new().unwrap();
    run(2, &[&text(empty.path()), &a]);
    fs::copy(&left, empty.path().join("only.deb")).unwrap();
    run(0, &[&text(empty.path()), &a]);
    run(5, &[&a, &text(&empty.path().join("absent.deb"))]);
    fs::write(empty.path().join("only.deb"), "no package").unwrap();
    run(5, &[&a, &text(empty.path())]);
    run(2, &[&a]);
    let (_, error) = run(4, &[&a, &b]);
    assert!(error.contains("places"), "{error}");
}

#[test]
fn help_is_as_published() {
    let (help, _) = run(0, &["--help"]);
    insta::assert_snapshot!("diff-help", help);
}
