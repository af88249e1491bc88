//! The package, judged by Debian's own tools.
#![allow(clippy::disallowed_methods)] // fixtures need no atomic writes
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod fake;
mod tools;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use fake::{Fake, Options};
use fork_types::document::{DebDocument, Document};
use fork_types::{Class, Fault};
use package_deb::{Args, DebError};
use tools::{have, run};

const PACKAGE: &str = "mina-devnet-config";
const SEEDS: &str = "https://example.org/seeds.txt";

fn args(fake: &Fake, output: &Path, more: &[&str]) -> Args {
    let mut line: Vec<&OsStr> = vec![OsStr::new("package-deb"), OsStr::new("--network-config")];
    line.push(fake.network.as_os_str());
    line.push(OsStr::new("--ledgers"));
    line.extend(fake.ledgers.iter().map(|path| path.as_os_str()));
    let fixed = [
        "--version=4.0.0-6850301",
        "--git-hash=68503010",
        "--seed-list-url",
        SEEDS,
        "--output",
    ];
    line.extend(fixed.map(OsStr::new));
    line.push(output.as_os_str());
    line.extend(more.iter().map(OsStr::new));
    Args::try_parse_from(line).unwrap()
}

fn build(root: &Path, name: &str, options: Options) -> (DebDocument, PathBuf) {
    let fake = fake::fake(&root.join("in"), options);
    let output = root.join(name);
    let document = package_deb::package(&args(&fake, &output, &[]), &|_| ()).unwrap();
    let deb = output.join(&document.file.name);
    (document, deb)
}

#[test]
fn layout_and_control_data_are_upstreams() {
    let root = tempfile::tempdir().unwrap();
    let (document, deb) = build(root.path(), "out", Options::default());
    let paths: Vec<_> = document
        .contents
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let ledger = |kind: &str, seed: u32| format!("/var/lib/coda/{kind}_ledger_{seed:064x}.tar.gz");
    assert_eq!(
        paths,
        [
            "/usr/lib/systemd/user/mina.service",
            "/var/lib/coda/config_68503010.json",
            "/var/lib/coda/devnet.json",
            "/var/lib/coda/devnet.old.json",
            &ledger("epoch", 2),
            &ledger("epoch", 3),
            &ledger("genesis", 1),
        ]
    );
    assert_eq!(document.contents[1].sha256, document.contents[2].sha256);
    assert!(document.contents.iter().all(|file| file.mode == "0644"));
    assert_eq!(document.source_date_epoch, fake::GENESIS_SECONDS);
    assert!(document.sources_verified);
    let bytes = fs::read(root.path().join("out/deb.json")).unwrap();
    assert_eq!(DebDocument::from_json(&bytes).unwrap(), document);
    let reader = fork_package::DebReader::open(&deb).unwrap();
    insta::assert_snapshot!("control", reader.control().to_string());
}

#[test]
fn equal_epoch_ledgers_are_packed_once() {
    let root = tempfile::tempdir().unwrap();
    let options = Options {
        equal_epochs: true,
        unverified: true,
    };
    let (document, _) = build(root.path(), "out", options);
    let epochs = document
        .contents
        .iter()
        .filter(|file| file.path.contains("epoch_ledger"));
    assert_eq!(epochs.count(), 1);
    assert!(!document.sources_verified);
}

#[test]
fn two_builds_are_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let (one, first) = build(root.path(), "one", Options::default());
    let (two, second) = build(other.path(), "two", Options::default());
    assert_eq!(one, two);
    assert_eq!(fs::read(first).unwrap(), fs::read(second).unwrap());

    let fake = fake::fake(&root.path().join("in"), Options::default());
    let with = |name: &str, more: &[&str]| {
        package_deb::package(&args(&fake, &root.path().join(name), more), &|_| ()).unwrap()
    };
    let later = with("later", &["--source-date-epoch", "5"]);
    assert_eq!(later.source_date_epoch, 5);
    assert_ne!(later.payload_sha256, one.payload_sha256);
    // Only the control data names the codename, so the payload is the same for each.
    let trixie = with(
        "trixie",
        &[
            "--codename",
            "trixie",
            "--build-url",
            "https://ci.example/1",
        ],
    );
    assert_eq!(trixie.payload_sha256, one.payload_sha256);
    assert_ne!(trixie.file.sha256, one.file.sha256);
}

#[test]
fn dpkg_deb_reads_it() {
    if !have(&["dpkg-deb", "ar", "md5sum"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (document, deb) = build(root.path(), "out", Options::default());
    let members = run(Command::new("ar").arg("t").arg(&deb));
    assert_eq!(members, "debian-binary\ncontrol.tar.gz\ndata.tar.gz\n");
    let field = |name: &str| run(Command::new("dpkg-deb").arg("--field").arg(&deb).arg(name));
    assert_eq!(field("Package"), format!("{PACKAGE}\n"));
    assert_eq!(field("Breaks"), "mina-devnet (<< 4.0.0-6850301)\n");
    assert_eq!(
        field("Description").lines().last(),
        Some(" Built from 68503010")
    );
    run(Command::new("dpkg-deb").arg("--info").arg(&deb));
    let contents = run(Command::new("dpkg-deb")
        .arg("--contents")
        .arg(&deb)
        .env("TZ", "UTC"));
    insta::assert_snapshot!("contents", contents);

    let unpacked = root.path().join("x");
    run(Command::new("dpkg-deb").arg("-R").arg(&deb).arg(&unpacked));
    for file in &document.contents {
        let found = fork_fs::sha256_file(&unpacked.join(&file.path[1..])).unwrap();
        assert_eq!(
            (found.sha256, found.bytes),
            (file.sha256.clone(), file.bytes)
        );
    }
    let checked = run(Command::new("md5sum")
        .args(["--strict", "-c", "DEBIAN/md5sums"])
        .current_dir(&unpacked));
    assert_eq!(checked.lines().count(), document.contents.len());
    let unit = fs::read_to_string(unpacked.join("usr/lib/systemd/user/mina.service")).unwrap();
    assert!(
        unit.contains(&format!("Environment=\"PEER_LIST_URL={SEEDS}\"\n")),
        "{unit}"
    );
    assert!(!unit.contains('@'), "{unit}");
}

#[test]
fn compressions_differ_in_nothing_but_the_packing() {
    let root = tempfile::tempdir().unwrap();
    let fake = fake::fake(&root.path().join("in"), Options::default());
    let mut listings = Vec::new();
    let mut documents = Vec::new();
    for name in ["gz", "xz", "zst"] {
        let output = root.path().join(name);
        let args = args(&fake, &output, &["--compression", name]);
        let document = package_deb::package(&args, &|_| ()).unwrap();
        let deb = output.join(&document.file.name);
        assert_eq!(document.compression.name(), name);
        let bytes = fs::read(output.join("deb.json")).unwrap();
        assert_eq!(DebDocument::from_json(&bytes).unwrap(), document);
        if have(&["dpkg-deb", "ar"]) {
            let members = run(Command::new("ar").arg("t").arg(&deb));
            let expected = format!("debian-binary\ncontrol.tar.{name}\ndata.tar.{name}\n");
            assert_eq!(members, expected);
            let dpkg_deb = |option| run(Command::new("dpkg-deb").arg(option).arg(&deb));
            listings.push(dpkg_deb("--contents") + &dpkg_deb("--field"));
        }
        documents.push(document);
    }
    listings.dedup();
    assert!(listings.len() <= 1, "{listings:?}");
    for document in &documents[1..] {
        assert_eq!(document.payload_sha256, documents[0].payload_sha256);
        assert_eq!(document.contents, documents[0].contents);
        assert_ne!(document.file.sha256, documents[0].file.sha256);
    }
}

#[test]
fn installed_size_is_what_dpkg_gencontrol_counts() {
    if !have(&["dpkg-deb", "dpkg-gencontrol"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (_, deb) = build(root.path(), "out", Options::default());
    let source = root.path().join("source");
    let tree = source.join("tree");
    fs::create_dir_all(source.join("debian")).unwrap();
    run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree));
    fs::write(
        source.join("debian/control"),
        format!("Source: x\nMaintainer: a <a@b.c>\n\nPackage: {PACKAGE}\nArchitecture: all\nDescription: x\n"),
    )
    .unwrap();
    fs::write(
        source.join("debian/changelog"),
        "x (1) unstable; urgency=low\n\n  * x\n\n -- a <a@b.c>  Thu, 01 Jan 1970 00:00:00 +0000\n",
    )
    .unwrap();
    let control = run(Command::new("dpkg-gencontrol")
        .args(["-O", "-Ptree"])
        .arg(format!("-p{PACKAGE}"))
        .current_dir(&source));
    let expected = control
        .lines()
        .find(|line| line.starts_with("Installed-Size:"))
        .unwrap();
    let ours = run(Command::new("dpkg-deb")
        .arg("--field")
        .arg(&deb)
        .arg("Installed-Size"));
    assert_eq!(expected, format!("Installed-Size: {}", ours.trim()));
}

#[test]
fn dpkg_installs_verifies_and_removes_it() {
    if !have(&["dpkg", "fakeroot"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (document, deb) = build(root.path(), "out", Options::default());
    let system = root.path().join("system");
    for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"] {
        fs::create_dir_all(system.join(directory)).unwrap();
    }
    fs::write(system.join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("fakeroot");
        command
            .arg("dpkg")
            .arg("--root")
            .arg(&system)
            .args(arguments);
        // dpkg insists on finding these for maintainer scripts, of which there are none.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        run(&mut command)
    };
    dpkg(&["--install", deb.to_str().unwrap()]);
    let status = dpkg(&["-s", PACKAGE]);
    assert!(status.contains("Status: install ok installed"), "{status}");
    let listed = dpkg(&["-L", PACKAGE]);
    for file in &document.contents {
        assert!(listed.lines().any(|line| line == file.path), "{listed}");
    }
    assert_eq!(dpkg(&["--verify", PACKAGE]), "");
    // The negative control: a changed file is told.
    fs::write(system.join("var/lib/coda/devnet.json"), "{}").unwrap();
    let mut verify = Command::new("dpkg");
    let found = verify
        .arg("--root")
        .arg(&system)
        .args(["--verify", PACKAGE])
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(
        found.contains("??5?????? ") && found.contains("/var/lib/coda/devnet.json"),
        "{found}"
    );
    dpkg(&["--purge", PACKAGE]);
    assert!(!system.join("var/lib/coda").exists());
}

/// Tags of lintian that follow from upstream's layout and control data, which this package keeps.
/// They are accepted here and not in the package: an override file would be one more file than
/// upstream's.
const LINTIAN_ACCEPTED: [(&str, &str); 4] = [
    (
        "no-changelog",
        "upstream ships no /usr/share/doc/<package> at all",
    ),
    (
        "no-copyright-file",
        "as above; the licence is in the License field",
    ),
    (
        "unknown-field",
        "License, Label, Vendor, Codename and Suite are upstream's, for its package repository",
    ),
    ("unknown-section", "upstream's Section is `base`"),
];

#[test]
fn lintian_has_nothing_new_to_say() {
    if !have(&["lintian"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let fake = fake::fake(&root.path().join("in"), Options::default());
    for compression in ["gz", "xz", "zst"] {
        let output = root.path().join(compression);
        let args = args(&fake, &output, &["--compression", compression]);
        let document = package_deb::package(&args, &|_| ()).unwrap();
        lintian_accepts(&output.join(document.file.name));
    }
}

/// The end of what lintian of Debian 12 says of zstd, which dpkg of Debian 12 reads.
const LINTIAN_WITHOUT_ZSTD: [&str; 2] = [
    "member control.tar.zst not control.tar.(gz|xz)",
    "member data.tar.zst not data.tar.(gz|xz|bz2|lzma)",
];

fn lintian_accepts(deb: &Path) {
    let output = Command::new("lintian")
        .args([
            "--allow-root",
            "--no-cfg",
            "--tag-display-limit",
            "0",
            "--fail-on",
            "none",
        ])
        .arg(deb)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: BTreeSet<&str> = text
        .lines()
        .filter(|line| !LINTIAN_WITHOUT_ZSTD.iter().any(|end| line.ends_with(end)))
        .filter_map(|line| line.split_once(": ")?.1.split_once(": "))
        .filter_map(|(_, rest)| rest.split_whitespace().next())
        .collect();
    let accepted: BTreeSet<&str> = LINTIAN_ACCEPTED.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(found, accepted, "{text}");
}

fn fails(fake: &Fake, root: &Path) -> DebError {
    let output = root.join("out");
    let error = package_deb::package(&args(fake, &output, &[]), &|_| ()).unwrap_err();
    assert!(!output.exists());
    let left: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with('.')),
        "{left:?}"
    );
    error
}

#[test]
fn every_contradiction_is_found() {
    // What is changed, in which file, and what the message must name.
    type Change = (
        &'static str,
        &'static str,
        &'static str,
        Class,
        &'static str,
    );
    let changes: [Change; 10] = [
        (
            "genesis/ledger.json",
            "\"role\": \"genesis\"",
            "\"role\": \"next\"",
            Class::Usage,
            "the next ledger was given twice",
        ),
        (
            "genesis/ledger.json",
            "\"entries\"",
            "\"entires\"",
            Class::BadInput,
            "ledger.json",
        ),
        (
            "genesis/ledger.json",
            "\"s3_data_hash\": \"",
            "\"s3_data_hash\": \"0",
            Class::Wrong,
            "s3_data_hash of the genesis ledger",
        ),
        (
            "genesis/ledger.json",
            "\"content_sha256\": \"d0",
            "\"content_sha256\": \"d1",
            Class::Wrong,
            "content_sha256 of the genesis ledger",
        ),
        (
            "staking/ledger.json",
            "\"sha256\": \"c0c0",
            "\"sha256\": \"c1c0",
            Class::Wrong,
            "candidate of the staking ledger",
        ),
        (
            "staking/ledger.json",
            "\"name\": \"epoch_",
            "\"name\": \"genesis_",
            Class::Wrong,
            "name of the staking tarball",
        ),
        (
            "network/network.json",
            "\"sources_verified\": true",
            "\"sources_verified\": false",
            Class::Wrong,
            "whether every source ledger was verified",
        ),
        (
            "network/network.json",
            "\"network\": \"devnet\",\n  \"config\"",
            "\"network\": \"Dev net\",\n  \"config\"",
            Class::BadInput,
            "network name `Dev net`",
        ),
        (
            "network/network.json",
            "859560",
            "859561",
            Class::Wrong,
            "proof.fork.global_slot_since_genesis is 859560",
        ),
        (
            "network/config.json",
            "500000",
            "500001",
            Class::Wrong,
            "config.json` has SHA-256",
        ),
    ];
    for (file, from, to, class, message) in changes {
        let root = tempfile::tempdir().unwrap();
        let inputs = root.path().join("in");
        let fake = fake::fake(&inputs, Options::default());
        let path = inputs.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}: {text}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let error = fails(&fake, root.path());
        assert_eq!(error.class(), class, "{file} {from}: {error}");
        assert!(
            error.to_string().contains(message),
            "{file} {from}: {error}"
        );
    }

    let root = tempfile::tempdir().unwrap();
    let inputs = root.path().join("in");
    let fake = fake::fake(&inputs, Options::default());
    let tarball = inputs.join(format!("genesis/genesis_ledger_{:064x}.tar.gz", 1));
    let mut bytes = fs::read(&tarball).unwrap();
    bytes[100] ^= 1;
    fs::write(&tarball, &bytes).unwrap();
    let error = fails(&fake, root.path());
    assert_eq!(error.class(), Class::Wrong);
    assert!(error.to_string().starts_with("SHA-256 is "), "{error}");
    fs::remove_file(&tarball).unwrap();
    let error = fails(&fake, root.path());
    assert_eq!(error.class(), Class::BadInput);
    assert!(error.to_string().contains("could not open"), "{error}");
}

#[test]
fn missing_inputs_and_existing_outputs_are_told() {
    let root = tempfile::tempdir().unwrap();
    let mut fake = fake::fake(&root.path().join("in"), Options::default());
    let output = root.path().join("taken");
    fs::create_dir(&output).unwrap();
    fs::write(output.join("x"), "x").unwrap();
    let error = package_deb::package(&args(&fake, &output, &[]), &|_| ()).unwrap_err();
    assert_eq!(error.class(), Class::Usage);
    assert!(error.to_string().contains("already exists"), "{error}");
    package_deb::package(&args(&fake, &output, &["--force"]), &|_| ()).unwrap();
    assert!(!output.join("x").exists());

    fake.ledgers[2] = fake.ledgers[1].clone();
    let error = fails(&fake, root.path());
    assert_eq!(error.class(), Class::Usage);
    assert!(
        error.to_string().contains("staking ledger was given twice"),
        "{error}"
    );
    fake.ledgers[2] = root.path().join("nowhere");
    let error = fails(&fake, root.path());
    assert_eq!(error.class(), Class::BadInput);
    assert!(error.to_string().contains("nowhere/ledger.json"), "{error}");
}

#[test]
fn exit_codes_and_streams_of_the_binary() {
    let root = tempfile::tempdir().unwrap();
    let fake = fake::fake(&root.path().join("in"), Options::default());
    let binary = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_package-deb"));
        command.env_remove("SOURCE_DATE_EPOCH");
        command
    };
    let full = |output: &Path| {
        let mut command = binary();
        command
            .arg("--network-config")
            .arg(&fake.network)
            .arg("--ledgers")
            .args(&fake.ledgers);
        command.args(["--version", "4.0.0-6850301", "--git-hash", "68503010"]);
        command
            .args(["--seed-list-url", SEEDS, "--format", "json", "--output"])
            .arg(output);
        command
    };
    let output = root.path().join("out");
    let stdout = run(&mut full(&output));
    let document = DebDocument::from_json(stdout.as_bytes()).unwrap();
    assert!(output.join(&document.file.name).exists());
    assert_eq!(full(&output).output().unwrap().status.code(), Some(2));
    let tarball = fake.ledgers[0].join(format!("genesis_ledger_{:064x}.tar.gz", 1));
    fs::write(tarball, "x").unwrap();
    let failed = full(&root.path().join("other")).output().unwrap();
    assert_eq!(failed.status.code(), Some(4));
    assert!(failed.stdout.is_empty());
    assert!(run(binary().arg("--version")).starts_with("package-deb "));
    assert!(run(binary().arg("--help")).contains("--seed-list-url"));
    assert_eq!(binary().output().unwrap().status.code(), Some(2));
}
