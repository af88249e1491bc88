//! Sessions, judged by Debian's own tools.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

#[allow(dead_code, reason = "other test files use the rest")]
mod fake;
mod tools;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use fork_types::document::Document;
use fork_types::{Class, Fault};
use package_deb::session::{Session, SessionErrorKind, SessionReport, unpack};
use tools::{Daemon, binary, daemon, dpkg, entries, have, run, system};

const NEEDED: [&str; 3] = ["dpkg-deb", "dpkg", "fakeroot"];

fn given(root: &Path) -> PathBuf {
    let what = Daemon {
        config: "{\"ledger\":{\"name\":\"devnet\"}}".to_owned(),
        commits: vec!["config_68503010.json"],
        control: "Depends: libc6\nConflicts: mina-devnet-automode\n",
    };
    daemon(root, "given", &what)
}

fn open(deb: &Path, directory: &Path) -> Session {
    unpack(deb, directory, false).unwrap();
    Session::open(directory).unwrap()
}

/// Lines of `dpkg-deb --contents`, sorted by path.
fn listed(deb: &Path) -> Vec<String> {
    let text = run(Command::new("dpkg-deb").arg("-c").arg(deb).env("TZ", "UTC"));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_by_key(|line| line.splitn(6, ' ').last().map(str::to_owned));
    lines.sort_by(|one, other| one.rsplit("./").next().cmp(&other.rsplit("./").next()));
    lines
}

#[test]
fn what_is_not_touched_stays() {
    if !have(&NEEDED) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let deb = given(root.path());
    let directory = root.path().join("s");
    let saved = root.path().join("saved.deb");
    let report = open(&deb, &directory).save(&saved, false, None).unwrap();
    let fields: Vec<&str> = report.fields.iter().map(|one| one.field.as_str()).collect();
    assert_eq!((fields, report.changes()), (vec!["Installed-Size"], 1));
    // The setuid program is no setuid program of whoever opened the package.
    let helper = fs::metadata(directory.join("data/usr/local/bin/helper")).unwrap();
    assert_eq!(helper.permissions().mode() & 0o7777, 0o755);
    let (before, after) = (entries(&deb), entries(&saved));
    let keys = &after["var/lib/coda/keys"].0;
    assert_eq!(
        (keys.uid, keys.gid, keys.mode, keys.mtime),
        (5, 60, 0o600, 1_600_000_000)
    );
    assert_eq!(after["usr/local/bin/helper"].0.mode, 0o4755);
    let kinds = |all: &std::collections::BTreeMap<String, (fork_package::DataEntry, Vec<u8>)>| {
        all.values()
            .map(|(entry, _)| {
                (
                    entry.path.clone(),
                    entry.mode,
                    entry.uid,
                    entry.user.clone(),
                    entry.mtime,
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&before), kinds(&after));
    assert_eq!(listed(&deb).len(), listed(&saved).len());
    // dpkg reads the same files and scripts out of both.
    for (name, deb) in [("x1", &deb), ("x2", &saved)] {
        run(Command::new("fakeroot")
            .args(["dpkg-deb", "-R"])
            .arg(deb)
            .arg(root.path().join(name)));
    }
    let diff = Command::new("diff")
        .args([
            "-r",
            "--no-dereference",
            "--exclude=control",
            "--exclude=md5sums",
        ])
        .arg(root.path().join("x1"))
        .arg(root.path().join("x2"))
        .output()
        .unwrap();
    assert!(
        diff.status.success(),
        "{}",
        String::from_utf8_lossy(&diff.stdout)
    );
    let checked = run(Command::new("md5sum")
        .args(["--strict", "-c", "DEBIAN/md5sums"])
        .current_dir(root.path().join("x2")));
    assert_eq!(checked.lines().count(), 9, "{checked}");
    assert!(
        !checked.contains("mina.conf"),
        "conffiles have no checksum there: {checked}"
    );
    // What was saved is what a save of it gives.
    let again = root.path().join("again.deb");
    let second = root.path().join("s2");
    let report = open(&saved, &second).save(&again, false, None).unwrap();
    assert_eq!(report.changes(), 0, "{}", report.human());
    assert!(report.saved.unwrap().is_original);
    assert_eq!(fs::read(&saved).unwrap(), fs::read(&again).unwrap());
}

#[test]
fn a_package_of_ours_is_saved_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let fake = fake::fake(&root.path().join("in"), fake::Options::default());
    let mut command = binary();
    command
        .arg("--network-config")
        .arg(&fake.network)
        .arg("--ledgers");
    command
        .args(&fake.ledgers)
        .args(["--version=4.0.0", "--git-hash=68503010"]);
    command.args(["--seed-list-url=https://example.org/s", "--output"]);
    run(command.arg(root.path().join("out")));
    let deb = root.path().join("out/mina-devnet-config_4.0.0_all.deb");
    let directory = root.path().join("s");
    let saved = root.path().join("saved.deb");
    let report = open(&deb, &directory).save(&saved, false, None).unwrap();
    assert!(report.saved.unwrap().is_original);
    assert_eq!(fs::read(&deb).unwrap(), fs::read(&saved).unwrap());
}

fn edits(root: &Path, deb: &Path, name: &str, umask: &str, reversed: bool) -> Vec<u8> {
    let directory = root.join(name);
    let session = directory.to_str().unwrap();
    let config = root.join("new.json");
    let tarball = root.join("ledger.tar.gz");
    let mut commands = vec![
        format!("insert {session} /var/lib/coda/ {}", tarball.display()),
        format!(
            "replace {session} '/var/lib/coda/config_*.json' {}",
            config.display()
        ),
        format!("remove {session} '/var/lib/coda/*_ledger_*.tar.gz'"),
        format!("update-control {session} Homepage https://example.org/"),
    ];
    if reversed {
        commands.reverse();
    }
    // Removing takes the new tarball too, unless it comes after.
    commands.retain(|command| !command.starts_with("remove"));
    commands.insert(
        0,
        format!("remove {session} '/var/lib/coda/*_ledger_*.tar.gz'"),
    );
    let binary = env!("CARGO_BIN_EXE_package-deb");
    let mut script = format!(
        "umask {umask}; set -e; {binary} session open {} {session}\n",
        deb.display()
    );
    for command in commands {
        script.push_str(&format!("{binary} session {command}\n"));
    }
    script.push_str(&format!("find {session}/data -exec touch -h {{}} +\n"));
    script.push_str(&format!("{binary} session save {session} {session}.deb\n"));
    run(Command::new("sh")
        .args(["-c", &script])
        .env_remove("SOURCE_DATE_EPOCH"));
    let mode = fs::metadata(format!("{session}.deb"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
    fs::read(format!("{session}.deb")).unwrap()
}

#[test]
fn equal_contents_give_equal_bytes() {
    if !have(&NEEDED) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let deb = given(root.path());
    fs::write(root.path().join("new.json"), "{}").unwrap();
    fs::write(root.path().join("ledger.tar.gz"), "new ledger").unwrap();
    let one = edits(root.path(), &deb, "one", "000", false);
    let two = edits(root.path(), &deb, "other/place/two", "077", true);
    assert_eq!(one, two);

    // By hand, with the tools of a shell, the same is got.
    let directory = root.path().join("hand");
    drop(open(&deb, &directory));
    let script = "set -e; cd data/var/lib/coda; rm *_ledger_*.tar.gz; umask 027; cp ../../../../../ledger.tar.gz .; cat ../../../../../new.json > config_68503010.json; cd ../../../../control; sed -i '$a Homepage: https://example.org/' control";
    run(Command::new("sh")
        .args(["-c", script])
        .current_dir(&directory));
    let saved = root.path().join("hand.deb");
    Session::open(&directory)
        .unwrap()
        .save(&saved, false, None)
        .unwrap();
    assert_eq!(fs::read(&saved).unwrap(), one);

    // Another time is another package, and only what changed has it.
    let later = root.path().join("later.deb");
    let report = Session::open(&directory)
        .unwrap()
        .save(&later, false, Some(1_700_000_000));
    assert_eq!(
        report.unwrap().saved.unwrap().source_date_epoch,
        1_700_000_000
    );
    let later = entries(&later);
    assert_eq!(later["var/lib/coda/ledger.tar.gz"].0.mtime, 1_700_000_000);
    assert_eq!(
        later["var/lib/coda/config_68503010.json"].0.mtime,
        1_700_000_000
    );
    assert_eq!(later["usr/local/bin/mina"].0.mtime, 1_600_000_000);
}

#[test]
fn the_report_says_what_changed_and_what_did_not() {
    if !have(&NEEDED) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let deb = given(root.path());
    let directory = root.path().join("s");
    let mut session = open(&deb, &directory);
    fs::write(root.path().join("new.json"), "{}").unwrap();
    let new = root.path().join("new.json");
    session
        .rename("/var/lib/coda/devnet.json", "/var/lib/coda/devnet.old.json")
        .unwrap();
    session
        .insert(
            "/var/lib/coda/devnet.json",
            false,
            std::slice::from_ref(&new),
            None,
        )
        .unwrap();
    session.replace("/etc/mina.conf", &new).unwrap();
    session
        .remove(&["/var/lib/coda/genesis_*".to_owned()])
        .unwrap();
    session.reversion("3.3.0-68503011").unwrap();
    let all = [
        package_deb::session::RelationField::Replaces,
        package_deb::session::RelationField::Conflicts,
        package_deb::session::RelationField::Provides,
    ];
    session
        .rename_package("mina-devnet-hardfork", &all)
        .unwrap();
    drop(session);
    // By hand: a link, a program that may not be run any more, and a script.
    symlink("mina", directory.join("data/usr/local/bin/new-link")).unwrap();
    let helper = directory.join("data/usr/local/bin/helper");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(directory.join("control/prerm"), "#!/bin/sh\n").unwrap();
    let output = root.path().join("out");
    fs::create_dir(&output).unwrap();
    let human = run(binary()
        .args(["session", "save"])
        .args([&directory, &output]));
    let stable: String = human
        .lines()
        .map(|line| match line.trim_start() {
            rest if rest.starts_with("SHA-256") || rest.starts_with("payload") => {
                format!("        {} [digest]\n", rest.split(' ').next().unwrap())
            }
            _ if line.starts_with("opened") || line.starts_with("saved") => {
                format!("{} [bytes]\n", line.split(" (").next().unwrap())
            }
            _ => format!("{line}\n"),
        })
        .collect();
    insta::assert_snapshot!("report", stable);
    let json = run(binary()
        .args(["session", "diff", "--format", "json"])
        .arg(&directory));
    let report = SessionReport::from_json(json.as_bytes()).unwrap();
    assert!(report.saved.is_none());
    assert_eq!(report.moved[0].to, "/var/lib/coda/devnet.old.json");
    let coded = binary()
        .args(["session", "status", "--exit-code"])
        .arg(&directory)
        .output()
        .unwrap();
    assert_eq!(coded.status.code(), Some(4));

    let saved = output.join("mina-devnet-hardfork_3.3.0-68503011_amd64.deb");
    let field = |name: &str| {
        run(Command::new("dpkg-deb")
            .arg("--field")
            .arg(&saved)
            .arg(name))
        .trim_end()
        .to_owned()
    };
    assert_eq!(field("Conflicts"), "mina-devnet-automode, mina-devnet");
    assert_eq!(field("Replaces"), "mina-devnet");
    assert_eq!(field("Provides"), "mina-devnet (= 3.3.0-68503011)");
    run(Command::new("dpkg-deb").arg("-I").arg(&saved));
    // It can be installed, and dpkg finds it whole.
    let system = system(root.path());
    let (installed, text) = dpkg(&system, &["--force-depends", "-i", saved.to_str().unwrap()]);
    assert!(installed, "{text}");
    let (_, text) = dpkg(&system, &["--verify", "mina-devnet-hardfork"]);
    assert_eq!(text, "");
}

#[test]
fn nothing_leaves_the_session() {
    if !have(&NEEDED) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let deb = given(root.path());
    let outside = root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("mina"), "secret").unwrap();
    let new = root.path().join("new");
    fs::write(&new, "new").unwrap();
    let directory = root.path().join("s");
    let mut session = open(&deb, &directory);
    // A directory of the package is replaced by a link while the session is open.
    let bin = directory.join("data/usr/local/bin");
    fs::rename(&bin, directory.join("aside")).unwrap();
    symlink(&outside, &bin).unwrap();
    let files = [new.clone()];
    let is_link = |error: package_deb::session::SessionError| {
        assert_eq!(error.class(), Class::BadInput);
        assert!(error.to_string().contains("symbolic link"), "{error}");
    };
    is_link(
        session
            .insert("/usr/local/bin/", false, &files, None)
            .unwrap_err(),
    );
    is_link(
        session
            .insert("/usr/local/bin/x/y", false, &files, None)
            .unwrap_err(),
    );
    is_link(
        session
            .rename("/usr/local/bin/mina", "/usr/mina")
            .unwrap_err(),
    );
    is_link(
        session
            .rename("/etc/mina.conf", "/usr/local/bin/conf")
            .unwrap_err(),
    );
    // Patterns do not see through it.
    for pattern in ["/usr/local/bin/mina", "/usr/local/bin/*", "/**/mina"] {
        let error = session.replace(pattern, &new).unwrap_err();
        assert!(
            matches!(error.kind(), SessionErrorKind::NoMatch { .. }),
            "{error}"
        );
        let error = session.remove(&[pattern.to_owned()]).unwrap_err();
        assert!(
            matches!(error.kind(), SessionErrorKind::NoMatch { .. }),
            "{error}"
        );
    }
    // Packed, it is a link, and nothing of what is behind it.
    let saved = root.path().join("saved.deb");
    let report = session.save(&saved, false, None).unwrap();
    assert!(
        report
            .removed
            .iter()
            .any(|item| item.path == "/usr/local/bin/mina")
    );
    assert!(
        !entries(&saved)
            .values()
            .any(|(_, content)| content == b"secret")
    );
    let names: Vec<_> = fs::read_dir(&outside).unwrap().collect();
    assert_eq!(names.len(), 1);
    assert_eq!(fs::read(outside.join("mina")).unwrap(), b"secret");
    drop(session);

    // Nor do control files and the session's own.
    for name in ["control/control", "session.json"] {
        let path = directory.join(name);
        let aside = outside.join("aside");
        fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        let result = Session::open(&directory).and_then(|session| session.report(None));
        assert!(result.is_err(), "{name}");
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    run(Command::new("mkfifo").arg(directory.join("data/pipe")));
    let error = Session::open(&directory).unwrap().report(None).unwrap_err();
    assert!(
        matches!(error.kind(), SessionErrorKind::Unpackable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("data/pipe"), "{error}");
    let link = root.path().join("link");
    symlink(&directory, &link).unwrap();
    assert!(
        Session::open(&link)
            .unwrap_err()
            .to_string()
            .contains("symbolic link")
    );
}

#[test]
fn versions_say_how_they_sort_and_fields_can_be_read() {
    if !have(&NEEDED) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let deb = given(root.path());
    let s = root.path().join("s");
    drop(open(&deb, &s));
    let command = |arguments: &[&str]| {
        let (name, rest) = arguments.split_first().unwrap();
        run(binary().args(["session", name]).arg(&s).args(rest))
    };
    assert_eq!(
        command(&["reversion", "3.3.0-9"]),
        "Version: 3.3.0-68503010 -> 3.3.0-9 (a downgrade, which apt installs only when told to)\n"
    );
    assert!(command(&["reversion", "3.3.0-10"]).contains("(an upgrade)"));
    assert!(command(&["reversion", "0:3.3.0-10"]).contains("(the same version to dpkg)"));
    assert_eq!(command(&["read-field", "version"]), "0:3.3.0-10\n");
    assert_eq!(
        command(&["replace-suite", "stable"]),
        "Suite: unstable -> stable\n"
    );
    let json = command(&["reversion", "4", "--format", "json"]);
    assert!(json.contains("\"order\": \"upgrade\""), "{json}");
    // The usual name has no epoch.
    command(&["reversion", "1:4.0"]);
    let output = root.path().join("out");
    fs::create_dir(&output).unwrap();
    let report = root.path().join("report.json");
    command(&[
        "save",
        output.to_str().unwrap(),
        "--report",
        report.to_str().unwrap(),
    ]);
    assert!(output.join("mina-devnet_4.0_amd64.deb").exists());
    let report = SessionReport::from_json(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report.fields[0].new.as_deref(), Some("1:4.0"));
}
