//! A daemon's package converted, judged by dpkg.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

mod fake;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fake::Fake;
use fork_types::document::{DebDocument, DebFlavour, Document};
use package_deb::session::SessionReport;
use tools::{Daemon, binary, daemon, dpkg, entries, have, run, system};

const NEEDED: [&str; 3] = ["dpkg-deb", "dpkg", "fakeroot"];
/// What the fake network directory has as the old chain's config, written in another way.
const PREFORK: &str = "{ \"ledger\": { \"name\": \"devnet\" } }";

fn usual() -> Daemon {
    Daemon {
        config: PREFORK.to_owned(),
        commits: vec!["config_68503010.json"],
        control: "Conflicts: mina-devnet-automode\n",
    }
}

fn command(fake: &Fake, deb: &Path, output: &Path) -> Command {
    let mut command = binary();
    command
        .arg("--network-config")
        .arg(&fake.network)
        .arg("--ledgers");
    command
        .args(&fake.ledgers)
        .arg("--convert")
        .arg(deb)
        .arg("--output")
        .arg(output);
    command
}

struct Case {
    root: tempfile::TempDir,
    fake: Fake,
}

impl Case {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let fake = fake::fake(&root.path().join("in"), fake::Options::default());
        Self { root, fake }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn convert(&self, deb: &Path, name: &str, more: &[&str]) -> (DebDocument, PathBuf) {
        let output = self.path(name);
        let text = run(command(&self.fake, deb, &output)
            .args(["--format", "json"])
            .args(more));
        let document = DebDocument::from_json(text.as_bytes()).unwrap();
        let deb = output.join(&document.file.name);
        (document, deb)
    }
}

#[test]
fn only_what_the_fork_brings_is_new() {
    if !have(&NEEDED) {
        return;
    }
    let case = Case::new();
    let deb = daemon(case.root.path(), "daemon", &usual());
    let (document, converted) = case.convert(&deb, "out", &[]);
    assert_eq!(
        document.file.name,
        "mina-devnet-hardfork_3.3.0-68503010_amd64.deb"
    );
    assert_eq!(document.flavour, DebFlavour::Hardfork);
    assert_eq!(document.git_hash, "68503010");
    let from = document.converted.unwrap();
    assert_eq!(from.file.sha256, fork_fs::sha256_file(&deb).unwrap().sha256);
    assert_eq!(
        (from.package.as_str(), from.package_version.as_str()),
        ("mina-devnet", "3.3.0-68503010")
    );
    let names: Vec<_> = fork_fs::sorted_names(&case.path("out")).unwrap();
    assert_eq!(names.len(), 3, "{names:?}");

    let (before, after) = (entries(&deb), entries(&converted));
    let data = |name: &str| format!("var/lib/coda/{name}");
    let config = fs::read(case.fake.network.join("config.json")).unwrap();
    assert_eq!(after[&data("devnet.json")].1, config);
    assert_eq!(after[&data("config_68503010.json")].1, config);
    assert_eq!(after[&data("devnet.old.json")].1, PREFORK.as_bytes());
    let mut others = before.clone();
    for (kind, number) in [("genesis", 99), ("epoch", 99)] {
        let gone = data(&format!("{kind}_ledger_{number:064x}.tar.gz"));
        assert!(others.remove(&gone).is_some());
        assert!(!after.contains_key(&gone));
    }
    for (role, kind, number) in [
        ("genesis", "genesis", 1),
        ("staking", "epoch", 2),
        ("next", "epoch", 3),
    ] {
        let name = format!("{kind}_ledger_{number:064x}.tar.gz");
        let given = fs::read(case.path("in").join(role).join(&name)).unwrap();
        let (entry, found) = &after[&data(&name)];
        assert_eq!(*found, given);
        assert_eq!(
            (entry.mode, entry.uid, entry.user.as_str()),
            (0o644, 0, "root")
        );
        assert_eq!(entry.mtime, fake::GENESIS_SECONDS);
    }
    assert_eq!(after.len(), others.len() + 4);
    for name in ["devnet.json", "config_68503010.json"] {
        others.remove(&data(name));
    }
    for (path, (entry, content)) in &others {
        let (found, same) = &after[path];
        assert_eq!(content, same, "{path}");
        assert_eq!(
            (entry.mode, entry.uid, entry.gid, entry.mtime),
            (found.mode, found.uid, found.gid, found.mtime),
            "{path}"
        );
    }
    assert_eq!(after[&data("keys")].0.uid, 5);
    let field = |name: &str| {
        run(Command::new("dpkg-deb")
            .arg("--field")
            .arg(&converted)
            .arg(name))
        .trim_end()
        .to_owned()
    };
    assert_eq!(field("Conflicts"), "mina-devnet-automode, mina-devnet");
    assert_eq!(field("Provides"), "mina-devnet (= 3.3.0-68503010)");
    assert_eq!(field("Suite"), "unstable");
    let report = fs::read(case.path("out/session-report.json")).unwrap();
    let report = SessionReport::from_json(&report).unwrap();
    assert_eq!(report.saved.unwrap().file.sha256, document.file.sha256);
    assert_eq!(report.removed.len(), 2);

    // The same again, and with another version.
    let (_, again) = case.convert(&deb, "again", &[]);
    assert_eq!(fs::read(&converted).unwrap(), fs::read(again).unwrap());
    let (other, _) = case.convert(&deb, "other", &["--version", "4.0.0-68503010"]);
    assert_eq!(
        other.file.name,
        "mina-devnet-hardfork_4.0.0-68503010_amd64.deb"
    );
    assert_eq!(other.payload_sha256, document.payload_sha256);
}

#[test]
fn a_package_without_the_networks_config_gets_the_given_one_as_the_old() {
    if !have(&NEEDED) {
        return;
    }
    let case = Case::new();
    let deb = daemon(case.root.path(), "daemon", &usual());
    let script = "set -e; \"$BIN\" session open \"$1\" s; \"$BIN\" session remove s /var/lib/coda/devnet.json; \"$BIN\" session save s bare.deb";
    run(Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&deb)
        .env("BIN", env!("CARGO_BIN_EXE_package-deb"))
        .env_remove("SOURCE_DATE_EPOCH")
        .current_dir(case.root.path()));
    let (_, converted) = case.convert(&case.path("bare.deb"), "out", &[]);
    let prefork = fs::read(case.fake.network.join("prefork.json")).unwrap();
    assert_eq!(
        entries(&converted)["var/lib/coda/devnet.old.json"].1,
        prefork
    );
}

#[test]
fn what_cannot_be_converted_is_refused() {
    if !have(&NEEDED) {
        return;
    }
    let case = Case::new();
    let with = |commits: &[&'static str], config: &str| Daemon {
        commits: commits.to_vec(),
        config: config.to_owned(),
        ..Daemon::default()
    };
    let other = "{ \"ledger\": { \"name\": \"mainnet\" } }";
    for (number, (what, code, message)) in [
        (with(&["config_6850301.json"], PREFORK), 5, "`/var/lib/coda/config_6850301.json` must be exactly 8 lower-case hexadecimal digits, found 7"),
        (with(&["config_685030100.json"], PREFORK), 5, "config_685030100.json"),
        (with(&["config_6850301G.json"], PREFORK), 5, "config_6850301G.json"),
        (with(&["config_68503010.json", "config_78503010.json"], PREFORK), 5, "configs for two commits"),
        (with(&[], PREFORK), 5, "no `/var/lib/coda/config_<commit>.json`"),
        (with(&["config_68503010.json"], other), 4, "is not the config of the old chain"),
        (with(&["config_68503010.json"], "{"), 5, "is not a JSON file"),
    ]
    .into_iter()
    .enumerate()
    {
        let deb = daemon(case.root.path(), &format!("daemon{number}"), &what);
        let output = command(&case.fake, &deb, &case.path("out")).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(message), "{text}");
        assert!(!case.path("out").exists());
    }
    let deb = daemon(case.root.path(), "daemon", &usual());
    let (_, converted) = case.convert(&deb, "out", &[]);
    let twice = command(&case.fake, &converted, &case.path("twice"))
        .output()
        .unwrap();
    let text = String::from_utf8(twice.stderr).unwrap();
    assert_eq!(twice.status.code(), Some(5), "{text}");
    assert!(text.contains("a converted package already"), "{text}");
    for option in [
        "--git-hash=68503010",
        "--seed-list-url=https://example.org/s",
        "--codename=bookworm",
        "--suite=stable",
        "--build-url=https://ci.example/1",
        "--version=1:4",
    ] {
        let output = command(&case.fake, &deb, &case.path("none"))
            .arg(option)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}");
    }
    let left: Vec<_> = fs::read_dir(case.root.path())
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().contains("partial")),
        "{left:?}"
    );
}

/// A package that needs the daemon's, in its version.
fn dependent(root: &Path) -> PathBuf {
    let tree = root.join("dependent");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = "Package: needs-mina\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDepends: mina-devnet (= 3.3.0-68503010)\nDescription: x\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let deb = root.join("dependent.deb");
    run(Command::new("dpkg-deb")
        .arg("-Zgzip")
        .arg("-b")
        .arg(&tree)
        .arg(&deb));
    deb
}

#[test]
fn dpkg_upgrades_from_the_base_package() {
    if !have(&NEEDED) {
        return;
    }
    let case = Case::new();
    let deb = daemon(case.root.path(), "daemon", &usual());
    let (document, converted) = case.convert(&deb, "out", &[]);
    let needs = dependent(case.root.path());
    let system = system(case.root.path());
    let good = |arguments: &[&str]| {
        let (is_good, text) = dpkg(&system, arguments);
        assert!(is_good, "{arguments:?}: {text}");
        text
    };
    let (deb, converted) = (deb.to_str().unwrap(), converted.to_str().unwrap());
    good(&["-i", deb]);
    good(&["-i", needs.to_str().unwrap()]);
    // The operator has changed the conffile.
    let conffile = system.join("etc/mina.conf");
    fs::write(&conffile, "changed").unwrap();
    let text = good(&["--force-confold", "--auto-deconfigure", "-i", converted]);
    assert!(text.contains("in favour of mina-devnet-hardfork"), "{text}");
    let status = |package: &str| dpkg(&system, &["-s", package]).1;
    assert!(status("mina-devnet-hardfork").contains("install ok installed"));
    assert!(
        !status("mina-devnet").contains("ok installed"),
        "{}",
        status("mina-devnet")
    );
    assert!(status("needs-mina").contains("install ok installed"));
    let (_, audit) = dpkg(&system, &["--audit"]);
    assert_eq!(audit, "");
    assert_eq!(fs::read(&conffile).unwrap(), b"changed");
    let (_, problems) = dpkg(&system, &["--verify", "mina-devnet-hardfork"]);
    assert_eq!(problems, "??5?????? c /etc/mina.conf\n");
    for file in &document.contents {
        assert!(system.join(&file.path[1..]).exists(), "{}", file.path);
    }
    let old = format!("var/lib/coda/genesis_ledger_{:064x}.tar.gz", 99);
    assert!(!system.join(&old).exists());

    // What is left of the base package can be purged and takes nothing along.
    good(&["--purge", "mina-devnet"]);
    assert!(conffile.exists());
    assert!(system.join("usr/local/bin/mina").exists());
    let (_, problems) = dpkg(&system, &["--verify", "mina-devnet-hardfork"]);
    assert_eq!(problems, "??5?????? c /etc/mina.conf\n");

    // Back to the base package only by removing this one: it does not know this one.
    let (is_good, text) = dpkg(&system, &["-i", deb]);
    assert!(!is_good && text.contains("conflict"), "{text}");
    good(&["--remove", "needs-mina"]);
    good(&["--purge", "mina-devnet-hardfork"]);
    assert!(!system.join("usr/local/bin/mina").exists());
    assert!(!system.join("var/lib/coda").exists());
    good(&["-i", deb]);
}
