//! A repository in a directory: what changes, what must not, what is found, and what a kill leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

mod fake;
mod host_apt;
mod repository;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fork_sign::openpgp::OpenPgpKey;
use host_apt::{Apt, have_apt};
use repository::{KEYS, PROGRAM, command, files, key, package, publish, tree};
use tempfile::TempDir;

const NAME: &str = "mina-x-config";

/// Three dates, a day apart.
const DATES: [&str; 3] = ["1735689600", "1735776000", "1735862400"];

/// A place with packages of a few versions.
struct Rig {
    root: TempDir,
}

impl Rig {
    fn new() -> Self {
        let rig = Self {
            root: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(rig.path("debs")).unwrap();
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    fn deb(&self, version: &str) -> PathBuf {
        self.deb_with(version, "one")
    }

    /// The package in this version, with this in it.
    fn deb_with(&self, version: &str, text: &str) -> PathBuf {
        let directory = self.path("debs").join(text);
        fs::create_dir_all(&directory).unwrap();
        let files = [("/usr/share/x/file", text)];
        package(&directory, NAME, version, "", &files).0
    }

    /// Publishes versions, one run for each, a day apart.
    fn published(&self, versions: &[&str]) {
        for (version, date) in versions.iter().zip(DATES) {
            publish(
                &self.repo(),
                "stable",
                &[&self.deb(version)],
                &["--date", date],
            );
        }
    }

    fn run(&self, more: &[&str]) -> Ran {
        Ran::of(
            command(self.repo().to_str().unwrap(), "stable", more)
                .output()
                .unwrap(),
        )
    }

    /// Publishes one package by a key at the third date.
    fn publish(&self, deb: &Path, more: &[&str]) -> Ran {
        let key = key("one");
        let deb = deb.to_str().unwrap();
        let line = ["--deb", deb, "--key", &key, "--date", DATES[2]];
        self.run(&[&line[..], more].concat())
    }

    fn check(&self) -> Ran {
        self.run(&["--check", "--key", &key("one.pub"), "--date", DATES[2]])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.repo().join(name)
    }
}

/// How a run ended.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn ends(&self, code: i32, needles: &[&str]) {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{stdout}{stderr}");
        for needle in needles {
            assert!(
                stdout.contains(needle) || stderr.contains(needle),
                "{needle}: {stdout}{stderr}"
            );
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn publishing_again_changes_nothing() {
    let rig = Rig::new();
    rig.published(&["1.0", "2.0"]);
    let before = tree(&rig.repo());
    let again = rig.run(&[
        "--deb",
        rig.path("debs/one").to_str().unwrap(),
        "--key",
        &key("one"),
        "--format",
        "json",
    ]);
    again.ends(0, &[]);
    let report: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(report["state"], "unchanged");
    assert_eq!(report["written"], serde_json::json!([]));
    assert_eq!(report["packages"].as_array().unwrap().len(), 2);
    assert_eq!(report["packages"][0]["is_new"], false);
    assert!(tree(&rig.repo()) == before);
    // Nor does saying what would be done.
    let dry = rig.publish(&rig.deb("3.0"), &["--dry-run"]);
    dry.ends(0, &["would publish", "mina-x-config 3.0 all"]);
    assert!(tree(&rig.repo()) == before);
    // The same packages, key and dates give the same bytes anywhere.
    let other = Rig::new();
    other.published(&["1.0", "2.0"]);
    assert!(tree(&other.repo()) == before);
    rig.check().ends(0, &["is right (2 packages)"]);
}

#[test]
fn published_bytes_stay() {
    let rig = Rig::new();
    rig.published(&["1.0"]);
    let before = tree(&rig.repo());
    for version in ["1.0", "1.0-0"] {
        let other = rig.deb_with(version, "other");
        let digest = |path: &Path| fork_fs::sha256_file(path).unwrap().sha256;
        let (old, new) = (digest(&rig.deb("1.0")), digest(&other));
        let ran = rig.publish(&other, &[]);
        ran.ends(
            4,
            &["is published with SHA-256", &old, &new, "another version"],
        );
        assert_eq!(ran.stdout, "");
        assert!(tree(&rig.repo()) == before);
    }
    // Nor twice on one command line.
    let (one, two) = (rig.deb("2.0"), rig.deb_with("2.0", "other"));
    let ran = rig.publish(&one, &["--deb", two.to_str().unwrap()]);
    ran.ends(4, &["the same package and version with different bytes"]);
    assert!(tree(&rig.repo()) == before);
}

#[test]
fn what_somebody_else_wrote_is_not_replaced() {
    let in_release = "dists/stable/InRelease";
    let foreign = |text: &str| {
        let key = OpenPgpKey::read(&fs::read(key("one")).unwrap(), None, "key").unwrap();
        key.sign_cleartext(text, 1_735_689_600).unwrap()
    };
    type Change<'a> = &'a dyn Fn(&Rig);
    let edit = |rig: &Rig, from: &str, to: &str| {
        let path = rig.file(in_release);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    let cases: [(Change<'_>, i32, &str); 8] = [
        (&|rig| edit(rig, "amd64", "i386x"), 4, "is not believed"),
        (
            &|rig| edit(rig, "Hash", "More: x\nHash"),
            4,
            "is not believed",
        ),
        (
            &|rig| {
                fs::remove_file(rig.file(in_release)).unwrap();
            },
            4,
            "the suite is not signed",
        ),
        (
            &|rig| {
                publish(
                    &rig.path("b"),
                    "stable",
                    &[&rig.deb("1.0")],
                    &["--date", DATES[0]],
                );
                let rsa = key("rsa");
                let debs = rig.deb("3.0");
                let line = [
                    "--deb",
                    debs.to_str().unwrap(),
                    "--key",
                    &rsa,
                    "--date",
                    DATES[0],
                ];
                let other = rig.path("c");
                Ran::of(
                    command(other.to_str().unwrap(), "stable", &line)
                        .output()
                        .unwrap(),
                )
                .ends(0, &[]);
                fs::copy(other.join(in_release), rig.file(in_release)).unwrap();
            },
            4,
            "of a key that is not believed",
        ),
        (
            &|rig| {
                fs::write(rig.file(in_release), foreign("Suite: stable\nMD5Sum:\n")).unwrap();
            },
            5,
            "made by another program",
        ),
        (
            &|rig| {
                let from = rig.path("d");
                publish(&from, "other", &[&rig.deb("1.0")], &["--date", DATES[0]]);
                fs::copy(from.join("dists/other/InRelease"), rig.file(in_release)).unwrap();
            },
            4,
            "for the suite `other`",
        ),
        (
            &|rig| {
                for path in files(&rig.file("dists/stable/main/binary-amd64/by-hash")) {
                    fs::remove_file(path).unwrap();
                }
            },
            4,
            "is missing, although the signed Release names it",
        ),
        (
            &|rig| {
                for path in files(&rig.file("dists/stable/main/binary-arm64/by-hash")) {
                    fs::write(path, "Package: other\n").unwrap();
                }
            },
            4,
            "although the signed Release names it",
        ),
    ];
    for (number, (change, code, message)) in cases.into_iter().enumerate() {
        let rig = Rig::new();
        rig.published(&["1.0"]);
        change(&rig);
        let before = tree(&rig.repo());
        let ran = rig.publish(&rig.deb("2.0"), &[]);
        ran.ends(code, &[message, "nothing was changed"]);
        assert!(tree(&rig.repo()) == before, "{number}: {message}");
    }
}

#[test]
fn a_key_can_be_changed_and_time_goes_on() {
    let rig = Rig::new();
    rig.published(&["1.0", "2.0"]);
    let ran = rig.publish(&rig.deb("3.0"), &["--date", DATES[2]]);
    assert_eq!(ran.code, Some(2), "an option twice: {}", ran.stderr);
    let deb = rig.deb("3.0");
    let deb = deb.to_str().unwrap();
    let (one, rsa) = (key("one"), key("rsa"));
    rig.run(&["--deb", deb, "--key", &one, "--date", DATES[0]])
        .ends(
            4,
            &["which is after Wed, 01 Jan 2025", "apt never goes back"],
        );
    let line = ["--deb", deb, "--key", &rsa, "--date", DATES[2]];
    rig.run(&line).ends(4, &["--previous-key"]);
    let public = key("one.pub");
    let both = [&line[..], &["--previous-key", &public]].concat();
    rig.run(&both).ends(0, &["published suite stable"]);
    let check = |key: &str| rig.run(&["--check", "--key", key, "--date", DATES[2]]);
    check(&key("rsa.pub")).ends(0, &["(3 packages)"]);
    check(&public).ends(4, &["is not believed"]);
    // A suite can be signed anew, and stops being valid.
    let renew = |more: &[&str]| {
        let line = ["--renew", "--key", &rsa, "--date", DATES[2]];
        rig.run(&[&line[..], more].concat())
    };
    renew(&["--valid-days", "2", "--origin", "Example"]).ends(0, &["published"]);
    let release = fs::read_to_string(rig.file("dists/stable/Release")).unwrap();
    assert!(release.contains("Origin: Example\n"), "{release}");
    assert!(release.contains("Valid-Until: Sun, 05 Jan 2025 00:00:00 UTC\n"));
    let later = |date: &str| rig.run(&["--check", "--key", &key("rsa.pub"), "--date", date]);
    later("2025-01-04T23:59:59Z").ends(0, &["valid until Sun, 05 Jan 2025"]);
    later("2025-01-05T00:00:00Z").ends(4, &["the suite was valid until"]);
}

#[test]
fn earlier_indices_are_kept_for_readers_under_way() {
    let rig = Rig::new();
    let by_hash = rig.file("dists/stable/main/binary-amd64/by-hash/SHA256");
    let first = |rig: &Rig| {
        rig.published(&["1.0"]);
        files(&by_hash)
    };
    let first = first(&rig);
    assert_eq!(first.len(), 2);
    let mut counts = Vec::new();
    for number in 2..7 {
        let deb = rig.deb(&format!("{number}.0"));
        rig.publish(&deb, &["--keep", "2"]).ends(0, &[]);
        counts.push(files(&by_hash).len());
        assert_eq!(first.iter().all(|path| path.exists()), number <= 3);
        rig.check().ends(0, &[]);
    }
    // The present state and two before it, plain and compressed.
    assert_eq!(counts, [4, 6, 6, 6, 6]);
}

#[test]
fn architectures_and_components() {
    let rig = Rig::new();
    rig.published(&["1.0"]);
    let (deb, _) = package(
        &rig.path("debs"),
        "mina-tool",
        "1+a~b",
        "",
        &[("/usr/x", "t")],
    );
    // The same package for one architecture: dpkg-deb's control data, rewritten by the test's builder.
    let control = fork_package::DebReader::open(&deb).unwrap();
    let mut control = control.control().clone();
    control.set("Architecture", "riscv64").unwrap();
    let native = rig.path("debs/native.deb");
    let mut builder = fork_package::DebBuilder::new(control, 0);
    let bytes = fork_package::FileSource::Bytes(b"t".to_vec());
    builder.add("/usr/x", 0o644, bytes).unwrap();
    builder.write(&native).unwrap();
    rig.publish(&native, &["--component", "extra"]).ends(0, &[]);
    let index = |path: &str| {
        let text = fs::read_to_string(rig.file(&format!("dists/stable/{path}/Packages")));
        text.unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("Package: ").map(ToOwned::to_owned))
            .collect::<Vec<_>>()
    };
    let none: Vec<String> = Vec::new();
    for architecture in ["amd64", "arm64", "riscv64"] {
        assert_eq!(index(&format!("main/binary-{architecture}")), [NAME]);
    }
    assert_eq!(index("extra/binary-amd64"), none);
    assert_eq!(index("extra/binary-riscv64"), ["mina-tool"]);
    let pool = "pool/extra/m/mina-tool/mina-tool_1_2ba_7eb_riscv64.deb";
    assert!(rig.file(pool).is_file());
    let release = fs::read_to_string(rig.file("dists/stable/Release")).unwrap();
    assert!(release.contains("\nArchitectures: amd64 arm64 riscv64\nComponents: extra main\n"));
    rig.check().ends(0, &["(2 packages)"]);
}

#[test]
fn a_check_finds_every_change() {
    let rig = Rig::new();
    rig.published(&["1.0", "2.0"]);
    rig.check().ends(0, &[]);
    let good = tree(&rig.repo());
    let release = String::from_utf8(good[Path::new("dists/stable/InRelease")].clone()).unwrap();
    // What earlier states left is not part of this one.
    let part = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let listed = || {
            let lines = release.split("Forkpack-Previous").next().unwrap();
            lines.contains(name)
        };
        name.len() != 64 || listed()
    };
    let mut checked = 0;
    for (path, bytes) in &good {
        if path.ends_with(".replace.lock") || !part(path) {
            continue;
        }
        let file = rig.file(path.to_str().unwrap());
        fs::remove_file(&file).unwrap();
        rig.check().ends(4, &[]);
        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&file, changed).unwrap();
        rig.check().ends(4, &[]);
        fs::write(&file, bytes).unwrap();
        checked += 1;
    }
    // Three signed files, four indices under two names, two packages.
    assert_eq!(checked, 3 + 8 + 2);
    rig.check().ends(0, &[]);
    // What can be made again from what is signed, is.
    for name in ["Release", "Release.gpg", "main/binary-amd64/Packages.gz"] {
        fs::write(rig.file(&format!("dists/stable/{name}")), "x").unwrap();
    }
    fs::remove_file(rig.file("pool/main/m/mina-x-config/mina-x-config_2.0_all.deb")).unwrap();
    rig.check().ends(
        4,
        &[
            "Release is not what is signed",
            "Packages.gz has SHA-256",
            "2.0_all.deb is missing",
        ],
    );
    rig.publish(&rig.deb("2.0"), &[]).ends(0, &["unchanged"]);
    assert!(tree(&rig.repo()) == good);
}

#[test]
fn keys_come_from_the_environment_and_are_never_told() {
    let rig = Rig::new();
    let deb = rig.deb("1.0");
    let line = ["--deb", deb.to_str().unwrap(), "--date", DATES[0]];
    let run = |variables: &[(&str, &str)]| {
        let mut command = command(rig.repo().to_str().unwrap(), "stable", &line);
        command.envs(variables.iter().copied());
        Ran::of(command.output().unwrap())
    };
    run(&[]).ends(2, &["no key was given", "FORKPACK_APT_KEY"]);
    let armored = |name: &str| fs::read_to_string(key(name)).unwrap();
    let protected = armored("protected");
    let marker = "marker-0123456789";
    for variables in [
        &[("FORKPACK_APT_KEY", marker)][..],
        &[("FORKPACK_APT_KEY", &format!("{protected}{marker}"))],
        &[
            ("FORKPACK_APT_KEY", &protected),
            ("FORKPACK_APT_PASSPHRASE", marker),
        ],
    ] {
        let ran = run(variables);
        ran.ends(5, &["FORKPACK_APT_KEY"]);
        assert!(!ran.stderr.contains(marker), "{}", ran.stderr);
        assert!(!rig.repo().exists());
    }
    let ran = run(&[
        ("FORKPACK_APT_KEY", &protected),
        ("FORKPACK_APT_PASSPHRASE", "correct horse"),
    ]);
    ran.ends(0, &["3EB345ABCA23183492761D783C4CBC876079F0D4"]);
    let secret = protected.lines().nth(3).unwrap();
    let told = |text: &str| text.contains("correct horse") || text.contains(secret);
    assert!(!told(&ran.stdout) && !told(&ran.stderr));
    for content in tree(&rig.repo()).values() {
        assert!(!told(&String::from_utf8_lossy(content)));
    }
}

#[test]
fn one_of_two_publishers_is_told_to_come_again() {
    let rig = Rig::new();
    rig.published(&["1.0"]);
    let before = fs::read(rig.file("dists/stable/InRelease")).unwrap();
    let held = fork_fs::FileLock::take(&rig.file(".replace.lock")).unwrap();
    assert!(held.is_some());
    let ran = rig.publish(&rig.deb("2.0"), &[]);
    ran.ends(
        6,
        &["somebody else published", "run the same command again"],
    );
    assert!(fs::read(rig.file("dists/stable/InRelease")).unwrap() == before);
    drop(held);
    // The file of the lock stays, and is in nobody's way.
    rig.publish(&rig.deb("2.0"), &[]).ends(0, &[]);
    rig.check().ends(0, &["(2 packages)"]);
    let line = ["--check", "--key", &key("one.pub"), "--date", DATES[2]];
    let elsewhere = rig.path("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    Ran::of(command(elsewhere, "stable", &line).output().unwrap())
        .ends(5, &["there is no suite `stable`"]);
    assert!(!Path::new(elsewhere).exists());
}

/// The command under strace, killed as it makes the n-th of these calls.
fn killed(rig: &Rig, repo: &Path, call: &str, nth: usize) -> bool {
    let deb = rig.deb("2.0");
    let inject = format!("inject={call}:signal=KILL:when={nth}");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .args([&format!("trace={call}"), "-e", &inject, PROGRAM])
        .args(["publish", "--suite", "stable", "--repository"])
        .arg(repo)
        .arg("--deb")
        .arg(deb)
        .args(["--key", &key("one"), "--date", DATES[1]])
        .output()
        .unwrap();
    !output.status.success()
}

#[test]
fn a_kill_at_any_step_leaves_what_apt_takes() {
    let strace = Command::new("strace").arg("--version").output().is_ok();
    assert!(
        strace || std::env::var_os("CI").is_none(),
        "missing: strace"
    );
    if !have_apt() || !strace {
        eprintln!("SKIPPED: missing apt or strace");
        return;
    }
    let rig = Rig::new();
    rig.published(&["1.0"]);
    let start = rig.path("start");
    fs::rename(rig.repo(), &start).unwrap();
    let whole = rig.path("whole");
    let copy = |from: &Path, to: &Path| {
        let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(done.unwrap().success());
    };
    copy(&start, &whole);
    publish(&whole, "stable", &[&rig.deb("2.0")], &["--date", DATES[1]]);
    let whole = tree(&whole);
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    // The calls that give a file its name: between any two of them nothing changes for a reader.
    // Which of them it is depends on the machine's C library.
    let mut kills = 0;
    for call in ["link", "linkat", "rename", "renameat", "renameat2"] {
        for nth in 1.. {
            let repo = rig.path(&format!("{call}-{nth}"));
            copy(&start, &repo);
            if !killed(&rig, &repo, call, nth) {
                break;
            }
            kills += 1;
            let url = format!("file:{}", repo.display());
            let apt = Apt::new(&url, "stable", &format!("{KEYS}/one.pub.asc"));
            let versions = apt.versions(NAME);
            let versions = versions.unwrap_or_else(|said| panic!("{call} {nth}: {said}"));
            assert!(
                versions == ["1.0"] || versions == ["1.0", "2.0"],
                "{call} {nth}: {versions:?}"
            );
            *seen.entry(versions.len()).or_default() += 1;
            publish(&repo, "stable", &[&rig.deb("2.0")], &["--date", DATES[1]]);
            let mut finished = tree(&repo);
            finished.retain(|path, _| !path.to_str().unwrap().contains(".partial-"));
            assert!(finished == whole, "{call} {nth}");
            fs::remove_dir_all(&repo).unwrap();
        }
    }
    // A package, four indices under two names, three signed files.
    assert_eq!(kills, 1 + 8 + 3);
    // Kills on either side of the exchange.
    assert!(
        seen.len() == 2 && seen.values().all(|count| *count > 1),
        "{seen:?}"
    );
}

#[test]
fn help_is_as_published() {
    for command in ["publish", "upload-ledgers"] {
        let output = Command::new(PROGRAM)
            .args([command, "--help"])
            .env("COLUMNS", "100")
            .env_remove("SOURCE_DATE_EPOCH")
            .output()
            .unwrap();
        insta::assert_snapshot!(command, String::from_utf8(output.stdout).unwrap());
    }
}
