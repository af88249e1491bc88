//! `kill -9` at any point, and a disk that is full at any point.
//!
//! A point is a system call of the capture: strace ends the process, or fails the call, at the n-th
//! of its kind. So a seed is a point, and it is the same point each time as far as threads allow.
//! Points in the middle of an answer are chosen by the daemon's side, by bytes sent.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::{Ran, Rig, binary, in_ci, seeds, until};

/// System calls that change what a later run finds, or bring what it needs.
const CALLS: [&str; 10] = [
    "openat",
    "write",
    "fsync",
    "rename",
    "renameat2",
    "mkdir",
    "unlink",
    "rmdir",
    "flock",
    "linkat",
];

/// Whether strace works here; in CI it must.
fn strace() -> bool {
    let works = Command::new("strace")
        .args(["-e", "trace=none", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(
        works || !in_ci(),
        "strace does not work here; scripts/install-deps installs it"
    );
    if !works {
        eprintln!("SKIPPED: strace does not work here; scripts/install-deps installs it");
    }
    works
}

/// A capture of what is offered now, under strace with one injection.
fn traced(rig: &Rig, call: &str, effect: &str) -> Ran {
    let inject = format!("inject={call}:{effect}");
    let trace = format!("trace={call}");
    let program = binary("dump-candidates");
    let mut arguments = vec!["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    arguments.push(program.to_str().unwrap());
    let capture = rig.arguments(&["--once"]);
    arguments.extend(capture.iter().map(String::as_str));
    Ran::of(
        rig.command(Path::new("strace"), &arguments)
            .output()
            .unwrap(),
    )
}

/// How often a capture of everything makes each call.
fn counts() -> Vec<(&'static str, u64)> {
    CALLS
        .into_iter()
        .map(|call| {
            let rig = Rig::new(2, 1009);
            let log = rig.path("trace");
            let program = binary("dump-candidates");
            let mut arguments = vec!["-f", "-qq", "-o", log.to_str().unwrap(), "-e"];
            let trace = format!("trace={call}");
            arguments.push(&trace);
            arguments.push(program.to_str().unwrap());
            let capture = rig.arguments(&["--once"]);
            arguments.extend(capture.iter().map(String::as_str));
            let output = rig
                .command(Path::new("strace"), &arguments)
                .output()
                .unwrap();
            Ran::of(output).ends(&[0], call);
            let log = std::fs::read_to_string(log).unwrap();
            let lines = log
                .lines()
                .filter(|line| line.contains(&format!(" {call}(")));
            (call, lines.count() as u64)
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// A point for a seed, spread over all calls of a capture.
fn point(counts: &[(&'static str, u64)], seed: u64) -> (&'static str, u64) {
    // Every kind of call gets its turn, early and late ones alike.
    let (call, count) = counts[(seed % counts.len() as u64) as usize];
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    (call, 1 + mixed % count)
}

#[test]
fn killed_at_any_system_call() {
    if !strace() {
        return;
    }
    let counts = counts();
    println!("calls {counts:?}");
    assert!(counts.len() >= 5, "{counts:?}");
    for seed in seeds(120) {
        let rig = Rig::new(2, 1009);
        // Twice: the run that cleans up is killed as well.
        for step in 0..2 {
            let (call, nth) = point(&counts, seed * 2 + step);
            let what = format!("FORKPACK_SEED={seed}: killed at {call} {nth}");
            traced(&rig, call, &format!("signal=KILL:when={nth}"));
            assert!(rig.stored().is_subset(&rig.offered()), "{what}");
        }
        let what = format!("FORKPACK_SEED={seed}");
        rig.finish(2, &what);
        rig.assert_complete(&what);
    }
}

/// Every such call from the n-th on fails. Writes are not among them: the runtime writes to its own
/// wake-up descriptors, which no disk makes fail. A disk that fills up is the next test's.
#[test]
fn a_disk_that_fails_from_any_call_on() {
    if !strace() {
        return;
    }
    let counts: Vec<_> = counts()
        .into_iter()
        .filter(|(call, _)| matches!(*call, "fsync" | "mkdir" | "rename" | "renameat2" | "openat"))
        .collect();
    for seed in seeds(60) {
        let rig = Rig::new(1, 1007);
        let (call, nth) = point(&counts, seed);
        let error = if seed % 3 == 0 { "EIO" } else { "ENOSPC" };
        let what = format!("FORKPACK_SEED={seed}: {error} from {call} {nth} on");
        // Opening fails for libraries and devices too, so the code may be any of an error; but no
        // success leaves anything out.
        let ran = traced(&rig, call, &format!("error={error}:when={nth}+"));
        let stored = rig.stored();
        assert!(stored.is_subset(&rig.offered()), "{what}");
        if ran.code == Some(0) {
            assert_eq!(stored, rig.offered(), "{what}");
        }
        rig.finish(2, &what);
        rig.assert_complete(&what);
    }
}

/// The process is killed while an answer comes, at a byte the seed chooses.
#[test]
fn killed_at_any_byte_of_an_answer() {
    for seed in seeds(80) {
        let rig = Rig::new(1, 1007);
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let (operation, bytes) = match seed % 4 {
            0 => ("bestChain", mixed % 3000),
            1 => ("protocolState", mixed % 5000),
            _ => ("fork_config", mixed % 82_000),
        };
        let nth = 1 + mixed % 3;
        let what = format!("FORKPACK_SEED={seed}: killed at byte {bytes} of {operation} {nth}");
        let child = rig.capture(&["--once"]).spawn().unwrap();
        let child = Arc::new(Mutex::new(child));
        let victim = Arc::clone(&child);
        rig.daemons[0].on_request(operation, Some(nth), bytes, move |_| {
            victim.lock().unwrap().kill().unwrap();
        });
        let mut ended = None;
        until(&what, || {
            ended = child.lock().unwrap().try_wait().unwrap();
            ended.is_some()
        });
        assert!(rig.stored().is_subset(&rig.offered()), "{what}");
        rig.finish(2, &what);
        rig.assert_complete(&what);
    }
}

/// A real file system that is full after a number of bytes the seed chooses, and then grows. The store
/// is on it; with every fourth seed the working directory is too, and then the free space that is
/// required before an export is what stops it.
#[test]
fn a_full_disk() {
    let mut full = 0;
    for seed in seeds(40) {
        let mut rig = Rig::new(1, 1007);
        let disk = rig.path("disk");
        std::fs::create_dir(&disk).unwrap();
        let mount = |options: &str| {
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", options, "tmpfs"])
                .arg(&disk)
                .status()
                .is_ok_and(|status| status.success())
        };
        // From nothing at all to more than everything needs; a page is the unit.
        let kib = 4 * (1 + seed * 7 % 230);
        let what = format!("FORKPACK_SEED={seed}: a disk of {kib} KiB");
        if !mount(&format!("size={kib}k")) {
            assert!(!in_ci(), "a tmpfs cannot be mounted");
            eprintln!("SKIPPED a_full_disk: a tmpfs cannot be mounted (not root?)");
            return;
        }
        let unmount = Unmount(disk.clone());
        rig.store = "disk/store".to_owned();
        rig.store_files = disk.join("store");
        if seed % 4 == 0 {
            rig.work = "disk/work".to_owned();
        }
        // The largest of these disks hold everything.
        let codes: &[i32] = if seed % 4 != 0 && kib > 100 {
            &[0, 6]
        } else {
            &[6]
        };
        let ran = rig.once().ends(codes, &what);
        full += u32::from(ran.code == Some(6));
        assert!(rig.stored().is_subset(&rig.offered()), "{what}");
        assert!(mount("remount,size=200m"), "{what}");
        rig.finish(1, &what);
        rig.assert_complete(&what);
        drop(unmount);
    }
    println!("{full} times full");
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn two_captures_do_not_share_a_working_directory() {
    let rig = Rig::new(1, 1007);
    rig.faults(
        0,
        "[[fault]]\noperation = \"bestChain\"\naction = { stall = { after = 0 } }\n",
    );
    let mut first = rig.capture(&["--once", "--idle-timeout", "60"]);
    // The last one counts.
    let first = first.spawn().unwrap();
    until("the first capture asks", || {
        rig.daemons[0].request_count("bestChain") == 1
    });
    let second = rig.once().ends(&[6], "second");
    assert!(
        second.stderr.contains("another capture is running"),
        "{}",
        second.stderr
    );
    rig.daemons[0].release_stalls();
    Ran::of(first.wait_with_output().unwrap()).ends(&[0], "first");
    rig.assert_complete("first");
}
