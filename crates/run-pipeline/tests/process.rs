//! Deadlines and what is left behind. Through the library: a pipeline counts in minutes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use run_pipeline::process::{End, Ended, Invocation, LineSink, run};

fn run_script(script: &str, timeout: Option<Duration>) -> (Ended, String) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let invocation = Invocation {
        key: "step",
        name: "step",
        script,
        directory: directory.path().to_owned(),
        environment: [].into(),
        log: log.clone(),
        layout: &run_pipeline::Layout {
            output: directory.path().to_owned(),
        },
        timeout,
    };
    let sink = LineSink::new(Box::new(std::io::sink()));
    let ended = run(&invocation, &sink, &AtomicBool::new(false)).unwrap();
    (ended, std::fs::read_to_string(log).unwrap())
}

#[test]
fn a_timeout_ends_the_whole_process_group() {
    let started = Instant::now();
    let (ended, log) = run_script(
        "trap 'echo asked' TERM; (sleep 60.25; echo never) & wait; wait",
        Some(Duration::from_millis(300)),
    );
    assert_eq!(ended.end, End::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(log, "asked\n");
}

#[test]
fn background_processes_do_not_outlive_their_step() {
    let started = Instant::now();
    let (ended, log) = run_script("sleep 60.75 & echo done", None);
    assert_eq!(ended.end, End::Exited(0));
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(log, "done\n");
}

#[test]
fn signals_are_told_apart_from_exit_codes() {
    assert_eq!(run_script("kill -KILL $$", None).0.end, End::Killed(9));
    assert_eq!(run_script("exit 9", None).0.end, End::Exited(9));
    assert_eq!(
        run_script("false; echo not reached", None).0.end,
        End::Exited(1)
    );
}

#[test]
fn overlong_lines_are_broken_not_gathered() {
    let (_, log) = run_script("head -c 200000 /dev/zero | tr '\\0' x", None);
    assert_eq!(log.matches('x').count(), 200_000);
    assert!(log.lines().all(|line| line.len() <= 64 << 10));
}

#[test]
fn memory_is_seen_on_linux() {
    // It holds the memory until the timeout ends it, so that there is time to look.
    let script = "x=$(head -c 8000000 /dev/zero | tr '\\0' x); sleep 60";
    let (ended, _) = run_script(script, Some(Duration::from_secs(5)));
    assert!(ended.peak_memory_bytes.unwrap() > 8_000_000, "{ended:?}");
}
