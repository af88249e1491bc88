//! The life of a package under a real apt, from a signed repository, in a container.
//!
//! Needs what `docker` says: root, debootstrap's result and an engine of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

#[path = "../../package-image/tests/docker/mod.rs"]
mod docker;
mod fake;
mod repository;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use docker::{Engine, have, rootfs, run};
use repository::{KEYS, Server, config_package, package, publish};

const OLD: &str = "3.5.0-stop-slot-5e100ee";
const FIRST: &str = "4.0.0-6850301";
const SECOND: &str = "4.0.1-6850302";

/// What no package owns and every apt changes.
const CACHES: &str = "/proc /sys /dev /run /tmp /repo /script /var/lib/apt /var/cache/apt \
                      /var/lib/dpkg /var/log /etc/apt";

/// The start of the script: functions, and where apt looks.
const FUNCTIONS: &str = include_str!("apt.sh");

fn script(port: u16) -> String {
    let mut script = format!("CACHES=\"{CACHES}\"\n{FUNCTIONS}");
    let mut line = |text: &str| {
        script.push_str(text);
        script.push('\n');
    };
    // First from the directory, then over http.
    for (round, base) in [
        "file:/repo/good".to_owned(),
        format!("http://127.0.0.1:{port}/good"),
    ]
    .iter()
    .enumerate()
    {
        line(&format!(
            "echo 'deb [signed-by=/repo/one.pub.asc] {base} stable main' >/etc/apt/sources.list"
        ));
        line("get update");
        for (name, command) in [
            ("prefork", format!("install mina-devnet={OLD}")),
            (
                "postfork",
                format!("install mina-devnet-config={FIRST} mina-devnet={FIRST}"),
            ),
            ("upgraded", "dist-upgrade".to_owned()),
            (
                "downgraded",
                format!(
                    "install --allow-downgrades mina-devnet-config={FIRST} mina-devnet={FIRST}"
                ),
            ),
            ("removed", "remove mina-devnet-config".to_owned()),
            ("purged", "purge mina-devnet-config mina-devnet".to_owned()),
        ] {
            line(&format!("get {command}"));
            line(&format!("state {name}-{round}"));
        }
    }
    // The config alone: what replaces the files of the old package removes it.
    line(
        "echo 'deb [signed-by=/repo/one.pub.asc] file:/repo/good alone main' >/etc/apt/sources.list",
    );
    line("get update");
    line(&format!("get install mina-devnet={OLD}"));
    line("get install mina-devnet-config");
    line("state alone");
    line("get purge mina-devnet-config");
    line("state nothing");
    for name in ["packages", "inrelease", "unsigned", "pool"] {
        line(&format!(
            "refused {name} file:/repo/{name} one.pub.asc {FIRST}"
        ));
    }
    for name in ["packages", "pool"] {
        line(&format!(
            "refused {name}-http http://127.0.0.1:{port}/{name} one.pub.asc {FIRST}"
        ));
    }
    line(&format!(
        "refused other-key file:/repo/good rsa.pub.asc {FIRST}"
    ));
    line("state end");
    script
}

/// A repository with everything, and copies of it that somebody changed.
fn repositories(root: &Path) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let work = root.join("work");
    fs::create_dir_all(&work).unwrap();
    let repo = root.join("repo");
    let good = repo.join("good");
    fs::create_dir_all(&good).unwrap();
    let mut contents = BTreeMap::new();
    let overlap = [
        ("/var/lib/coda/devnet.json", "old"),
        ("/var/lib/coda/config_5e100ee0.json", "old"),
        ("/usr/lib/systemd/user/mina.service", "old"),
        ("/usr/bin/mina-of-before", "old"),
    ];
    let (old, files) = package(&work, "mina-devnet", OLD, "", &overlap);
    contents.insert(OLD, files);
    let meta = |version| {
        let depends = "Depends: mina-devnet-config\n";
        package(&work, "mina-devnet", version, depends, &[]).0
    };
    let (first, files) = config_package(&work, FIRST, "68503010");
    contents.insert(FIRST, files);
    let (second, files) = config_package(&work, SECOND, "68503020");
    contents.insert(SECOND, files);
    let at = |date: &str, suite: &str, debs: &[&Path]| {
        publish(&good, suite, debs, &["--date", date]);
    };
    at("2025-01-01T00:00:00Z", "stable", &[&old]);
    at("2025-01-02T00:00:00Z", "stable", &[&first, &meta(FIRST)]);
    at("2025-01-03T00:00:00Z", "stable", &[&second, &meta(SECOND)]);
    at("2025-01-03T00:00:00Z", "alone", &[&old, &second]);
    for name in ["one", "rsa"] {
        let key = format!("{name}.pub.asc");
        fs::copy(Path::new(KEYS).join(&key), repo.join(&key)).unwrap();
    }
    for name in ["packages", "inrelease", "unsigned", "pool"] {
        let copy = repo.join(name);
        run(Command::new("cp").arg("-a").arg(&good).arg(&copy));
        let stable = copy.join("dists/stable");
        match name {
            "packages" => {
                for path in repository::files(&stable.join("main")) {
                    flip(&path);
                }
            }
            "inrelease" => {
                for file in ["InRelease", "Release"] {
                    replace(&stable.join(file), "2025", "2024");
                }
            }
            "unsigned" => {
                fs::remove_file(stable.join("InRelease")).unwrap();
                fs::remove_file(stable.join("Release.gpg")).unwrap();
            }
            _ => {
                for path in repository::files(&copy.join("pool")) {
                    flip(&path);
                }
            }
        }
    }
    contents
}

/// Changes one byte in the middle.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

/// The lines of the sections of the script's output.
fn sections(output: &str) -> BTreeMap<String, Vec<String>> {
    let mut sections = BTreeMap::new();
    let mut name = String::new();
    for line in output.lines() {
        if let Some(next) = line.strip_prefix("### ") {
            name = next.to_owned();
            sections.insert(name.clone(), Vec::new());
        } else if let Some(lines) = sections.get_mut(&name) {
            lines.push(line.to_owned());
        }
    }
    sections
}

/// What a section must be when these files, by digest, and packages are there.
fn expected(
    base: &Path,
    files: &BTreeMap<String, String>,
    packages: &[(&str, &str)],
    owned: &[&BTreeMap<String, String>],
) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (path, sha256) in files {
        lines.insert(format!("new {path} {sha256}"));
        for parent in Path::new(path).ancestors().skip(1) {
            if !base.join(parent.strip_prefix("/").unwrap()).exists() {
                lines.insert(format!("new {}/", parent.display()));
            }
        }
    }
    for (package, version) in packages {
        lines.insert(format!("dpkg {package} {version} installed"));
    }
    for path in owned.iter().flat_map(|files| files.keys()) {
        lines.insert(format!("owned {path}"));
    }
    lines
}

#[test]
fn a_package_lives_under_apt() {
    if !have(&["dockerd", "docker", "tar", "cp"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let contents = repositories(root.path());
    let server = Server::start(&root.path().join("repo"));
    let script_path = root.path().join("script");
    fs::write(&script_path, script(server.port())).unwrap();

    let engine = Engine::start();
    let base = rootfs();
    let archive = root.path().join("base.tar");
    run(Command::new("tar")
        .args(["--numeric-owner", "-C"])
        .arg(&base)
        .arg("-cf")
        .arg(&archive)
        .arg("."));
    engine.docker(&["import", archive.to_str().unwrap(), "base"]);
    let mount = |path: &Path, at: &str| format!("{}:{at}:ro", path.display());
    let output = engine.docker(&[
        "run",
        "--rm",
        "--network",
        "host",
        "-v",
        &mount(&root.path().join("repo"), "/repo"),
        "-v",
        &mount(&script_path, "/script"),
        "base",
        "/bin/sh",
        "/script",
    ]);
    let sections = sections(&output);

    let of = |version: &str| &contents[version];
    let none = BTreeMap::new();
    let config = |version: &'static str| ("mina-devnet-config", version);
    let meta = |version: &'static str| ("mina-devnet", version);
    let states = |round: usize| {
        [
            ("prefork", of(OLD), vec![meta(OLD)]),
            ("postfork", of(FIRST), vec![config(FIRST), meta(FIRST)]),
            ("upgraded", of(SECOND), vec![config(SECOND), meta(SECOND)]),
            ("downgraded", of(FIRST), vec![config(FIRST), meta(FIRST)]),
            ("removed", &none, vec![]),
            ("purged", &none, vec![]),
        ]
        .map(|(name, files, packages)| (format!("{name}-{round}"), files, packages))
    };
    let mut all: Vec<_> = states(0).into_iter().chain(states(1)).collect();
    all.push(("alone".to_owned(), of(SECOND), vec![config(SECOND)]));
    all.push(("nothing".to_owned(), &none, vec![]));
    all.push(("end".to_owned(), &none, vec![]));
    for (name, files, packages) in all {
        let found = sections.get(&name).unwrap_or_else(|| panic!("{output}"));
        let found: BTreeSet<String> = found.iter().cloned().collect();
        let expected = expected(&base, files, &packages, &[files]);
        assert_eq!(found, expected, "{name}\n{output}");
    }
    for (name, messages) in [
        ("packages", &["Hash Sum mismatch"][..]),
        ("inrelease", &["BADSIG", "is not signed"]),
        ("unsigned", &["is not signed"]),
        ("pool", &["Hash Sum mismatch"]),
        ("packages-http", &["Hash Sum mismatch"]),
        ("pool-http", &["Hash Sum mismatch"]),
        ("other-key", &["NO_PUBKEY"]),
    ] {
        let found = sections[name].join("\n");
        assert!(!found.contains("NOT REFUSED"), "{name}: {found}");
        for message in messages {
            assert!(found.contains(message), "{name}: {found}");
        }
    }
    // The indices came under their digests.
    let seen = server.seen();
    assert!(
        seen.iter()
            .any(|path| path.starts_with("/good/dists/stable/main/binary-")
                && path.contains("/by-hash/SHA256/"))
    );
}
