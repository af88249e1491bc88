//! `package-deb publish` into a bucket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fork_e2e::s3::{Fault, S3Server};

use crate::host_apt::{Apt, have_apt};
use crate::support::{KEYS, NAME, Ran, command, deb, run};

const DATES: [&str; 3] = ["1735689600", "1735776000", "1735862400"];

struct Rig {
    server: S3Server,
    directory: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        Self {
            server: S3Server::start().unwrap(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The command line that publishes a version under a prefix.
    fn line(&self, prefix: &str, version: &str, date: &str) -> Vec<String> {
        let deb = deb(self.path(), version);
        let key = format!("{KEYS}/one.asc");
        [
            "publish",
            "--repository",
            &self.server.url(prefix),
            "--suite",
            "stable",
            "--deb",
            deb.to_str().unwrap(),
            "--key",
            &key,
            "--date",
            date,
        ]
        .map(ToOwned::to_owned)
        .to_vec()
    }

    fn command(&self, line: &[String]) -> Command {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        command(&self.server, self.path(), &line)
    }

    fn publish(&self, prefix: &str, version: &str, date: &str) -> Ran {
        let line = self.line(prefix, version, date);
        Ran::of(self.command(&line).output().unwrap())
    }

    fn check(&self, prefix: &str) -> Ran {
        let url = self.server.url(prefix);
        let key = format!("{KEYS}/one.pub.asc");
        let line = ["publish", "--repository", &url, "--suite", "stable"];
        run(
            &self.server,
            self.path(),
            &[&line[..], &["--check", "--key", &key, "--date", DATES[2]]].concat(),
        )
    }

    /// What apt finds in the bucket's directory.
    fn versions(&self, prefix: &str) -> Result<Vec<String>, String> {
        let path = self.server.object_path(prefix);
        let url = format!("file:{}", path.display());
        Apt::new(&url, "stable", &format!("{KEYS}/one.pub.asc")).versions(NAME)
    }

    /// Every object under a prefix.
    fn objects(&self, prefix: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.server.object_path(prefix);
        let mut objects = BTreeMap::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in directory.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_owned();
                    objects.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        objects
    }

    /// Copies the objects under one prefix to another, as they are.
    fn copy(&self, from: &str, to: &str) {
        for (name, bytes) in self.objects(from) {
            let path = self.server.object_path(to).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

fn send(pid: &AtomicU32, signal: &str) {
    // The process is started before its number is known here.
    while pid.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let pid = pid.load(Ordering::SeqCst).to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_bucket_is_a_repository() {
    let rig = Rig::new();
    rig.publish("apt", "1.0", DATES[0]).ends(0, &["published"]);
    rig.publish("apt", "2.0", DATES[1]).ends(0, &["published"]);
    let before = rig.objects("apt");
    rig.server.forget();
    let again = rig.publish("apt", "2.0", DATES[2]);
    again.ends(0, &["unchanged"]);
    assert!(rig.objects("apt") == before);
    let writing = ["put", "part", "begin", "complete", "delete"];
    assert!(writing.iter().all(|kind| rig.server.count(kind) == 0));
    rig.check("apt").ends(0, &["(2 packages)"]);
    // The same bytes as in a directory, whatever the store.
    let directory = rig.path().join("directory");
    for (version, date) in [("1.0", DATES[0]), ("2.0", DATES[1])] {
        let mut line = rig.line("apt", version, date);
        line[2] = directory.to_str().unwrap().to_owned();
        Ran::of(rig.command(&line).output().unwrap()).ends(0, &[]);
    }
    for (name, bytes) in &before {
        assert!(&std::fs::read(directory.join(name)).unwrap() == bytes);
    }
    if have_apt() {
        assert_eq!(rig.versions("apt").unwrap(), ["1.0", "2.0"]);
    }
}

#[test]
fn a_kill_at_any_request_leaves_what_apt_takes() {
    if !have_apt() {
        return;
    }
    let rig = Rig::new();
    rig.publish("start", "1.0", DATES[0]).ends(0, &[]);
    rig.copy("start", "whole");
    rig.server.forget();
    rig.publish("whole", "2.0", DATES[1]).ends(0, &[]);
    let whole = rig.objects("whole");
    // Requests that change nothing lie between those that do: a kill before a write is enough.
    let writes = rig.server.count("put");
    assert_eq!(writes, 1 + 4 + 1 + 4 + 2);
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for nth in 1..=writes {
        // Before the request is carried out, and after.
        for fault in [Fault::Reset, Fault::ResetAfter] {
            let prefix = format!("run-{nth}-{fault:?}");
            rig.copy("start", &prefix);
            let line = rig.line(&prefix, "2.0", DATES[1]);
            let pid = Arc::new(AtomicU32::new(0));
            let (its, mut met) = (pid.clone(), 0);
            rig.server.hook(move |seen| {
                met += usize::from(seen.kind() == "put");
                let now = seen.kind() == "put" && met == nth;
                now.then(|| {
                    send(&its, "-KILL");
                    fault
                })
            });
            let mut child = rig.command(&line).spawn().unwrap();
            pid.store(child.id(), Ordering::SeqCst);
            assert!(!child.wait().unwrap().success(), "{prefix}");
            rig.server.unhook();
            let versions = rig.versions(&prefix);
            let versions = versions.unwrap_or_else(|said| panic!("{prefix}: {said}"));
            assert!(
                versions == ["1.0"] || versions == ["1.0", "2.0"],
                "{prefix}: {versions:?}"
            );
            *seen.entry(versions.len()).or_default() += 1;
            rig.publish(&prefix, "2.0", DATES[1]).ends(0, &[]);
            assert!(rig.objects(&prefix) == whole, "{prefix}");
        }
    }
    assert!(seen.len() == 2, "{seen:?}");
}

#[test]
fn of_two_publishers_neither_is_lost() {
    let rig = Rig::new();
    rig.publish("apt", "1.0", DATES[0]).ends(0, &[]);
    // The first stops after its last index, just before it would exchange InRelease.
    let line = rig.line("apt", "2.0", DATES[1]);
    let pid = Arc::new(AtomicU32::new(0));
    let (stopped, waits) = mpsc::channel();
    let (its, mut met) = (pid.clone(), 0);
    rig.server.hook(move |seen| {
        met += usize::from(seen.kind() == "put" && seen.path.contains("/by-hash/"));
        if met == 4 {
            met += 1;
            send(&its, "-STOP");
            stopped.send(()).unwrap();
        }
        None
    });
    let first = rig.command(&line).spawn().unwrap();
    pid.store(first.id(), Ordering::SeqCst);
    waits.recv_timeout(Duration::from_secs(60)).unwrap();
    rig.server.unhook();
    let second = rig.publish("apt", "3.0", DATES[1]);
    send(&pid, "-CONT");
    let first = Ran::of(first.wait_with_output().unwrap());
    second.ends(0, &["published"]);
    first.ends(
        6,
        &["somebody else published", "run the same command again"],
    );
    rig.check("apt").ends(0, &["(2 packages)"]);
    rig.publish("apt", "2.0", DATES[1]).ends(0, &["published"]);
    rig.check("apt").ends(0, &["(3 packages)"]);
    if have_apt() {
        assert_eq!(rig.versions("apt").unwrap(), ["1.0", "2.0", "3.0"]);
    }
}

#[test]
fn of_copies_the_later_state_stays_whoever_is_slower() {
    let rig = Rig::new();
    rig.publish("apt", "1.0", DATES[0]).ends(0, &[]);
    // The first stops between the exchange and the plain copies.
    let line = rig.line("apt", "2.0", DATES[1]);
    let pid = Arc::new(AtomicU32::new(0));
    let (stopped, waits) = mpsc::channel();
    let (its, mut met) = (pid.clone(), false);
    rig.server.hook(move |seen| {
        if !met && seen.kind() == "put" && seen.path.ends_with("/binary-amd64/Packages") {
            met = true;
            send(&its, "-STOP");
            stopped.send(()).unwrap();
        }
        None
    });
    let first = rig.command(&line).spawn().unwrap();
    pid.store(first.id(), Ordering::SeqCst);
    waits.recv_timeout(Duration::from_secs(60)).unwrap();
    rig.server.unhook();
    let second = rig.publish("apt", "3.0", DATES[1]);
    send(&pid, "-CONT");
    let first = Ran::of(first.wait_with_output().unwrap());
    second.ends(0, &["published"]);
    first.ends(0, &["published"]);
    rig.check("apt").ends(0, &["(3 packages)"]);
}

#[test]
fn a_bucket_that_fails_is_an_error_and_passing_trouble_is_none() {
    let rig = Rig::new();
    rig.server.break_requests("*", 3, 3, Fault::Status(503));
    rig.publish("apt", "1.0", DATES[0]).ends(0, &["published"]);
    rig.server
        .break_requests("put", 0, usize::MAX, Fault::Status(403));
    rig.publish("apt", "2.0", DATES[1])
        .ends(6, &["could not upload", "AWS_ACCESS_KEY_ID"]);
    rig.server.unhook();
    rig.check("apt").ends(0, &["(1 packages)"]);
}
