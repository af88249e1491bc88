//! Documents without end, absurd numbers and deep nesting: refused soon, in little memory, with a
//! message that says what, and nothing is left behind.
//!
//! The input is written while it is read and would never end; the program runs with a limit on its
//! address space and on its time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// Address space of the program; it takes 0.3 GB of it without any input.
const ADDRESS_SPACE_KIB: u64 = 1 << 20;
const SECONDS_MAX: &str = "60";
/// What is said of much text without an account.
const TOO_LONG: &str = "2097152 bytes of the";

const NETWORK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/small/network.toml"
);
const BLOCK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/small/block.json"
);

/// Imports `start`, then `more` for ever, as a document of the kind.
fn import(kind: &str, start: &[u8], more: &[u8], parent: &Path) -> Output {
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$@\"");
    let mut child = Command::new("timeout")
        .args([SECONDS_MAX, "sh", "-c", &script, "sh"])
        .arg(env!("CARGO_BIN_EXE_dump-candidates"))
        .args(["import", "--network", NETWORK, "--block", BLOCK])
        .args([kind, "/dev/stdin", "--no-progress", "--output"])
        .arg(parent.join("candidate"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let more = more.repeat((64 << 10) / more.len().max(1));
    let start = start.to_vec();
    // Ends when the program does: nobody reads on.
    let writer = std::thread::spawn(move || {
        let mut going = input.write_all(&start).is_ok();
        while going && !more.is_empty() {
            going = input.write_all(&more).is_ok();
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Must be refused with the exit code for bad input and this text.
fn refused(kind: &str, start: &[u8], more: &[u8], expected: &str) {
    let parent = TempDir::new().unwrap();
    let output = import(kind, start, more, parent.path());
    let error = String::from_utf8_lossy(&output.stderr);
    let shown = String::from_utf8_lossy(&start[..start.len().min(80)]);
    assert_eq!(output.status.code(), Some(5), "{kind} {shown}: {error}");
    assert!(
        error.contains(expected),
        "{kind} {shown}: {expected}: {error}"
    );
    assert!(error.contains("/dev/stdin"), "{error}");
    assert!(error.len() < 4000, "{} bytes of error", error.len());
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0, "{shown}");
}

const LEDGER: &str = r#"{"ledger":{"accounts":["#;
const EXPORTED: &str = r#"{"target_genesis_ledger":{"accounts":["#;

#[test]
fn documents_without_end_are_refused() {
    for (kind, start) in [("--fork-config", LEDGER), ("--replayer-output", EXPORTED)] {
        let inside = |text: &str| format!("{start}{text}").into_bytes();
        for (start, more, expected) in [
            (inside(r#"{"pk":""#), "x", TOO_LONG),
            (inside(r#"{"note":["#), "0,", TOO_LONG),
            (inside(r#"{"snapp":["#), r#"{"":0},"#, TOO_LONG),
            (
                inside(r#"{"zkapp":{"app_state":["#),
                r#""","#,
                "more than 1024 elements",
            ),
            (inside(""), " ", TOO_LONG),
            (b"{\"x\":[".to_vec(), "0,", TOO_LONG),
            (b"{\"x\":[".to_vec(), "{\"a\":[]},", TOO_LONG),
            (b" ".to_vec(), "\n", TOO_LONG),
            (b"".to_vec(), "[", "expected a"),
            (b"{\"x\":".to_vec(), "[", TOO_LONG),
            (inside(r#"{"note":"#), "[", TOO_LONG),
            (inside(""), "{},", "pk"),
            (inside(""), "0,", "expected"),
            (inside(""), "[", "expected"),
            (inside(""), "\0", "expected value"),
        ] {
            refused(kind, &start, more.as_bytes(), expected);
        }
    }
}

#[test]
fn compressed_bombs_are_refused() {
    // Gzip members may follow each other: 64 kB that are 64 MB, 10,000 times.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"{").unwrap();
    encoder.write_all(&vec![b' '; 16 << 20]).unwrap();
    let first = encoder.finish().unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&vec![b' '; 64 << 20]).unwrap();
    let more = encoder.finish().unwrap();
    assert!(more.len() < 1 << 20);
    refused("--fork-config", &first, &more, TOO_LONG);
}

#[test]
fn other_inputs_without_end_are_refused() {
    for (kind, start, more, expected) in [
        (
            "--prefork-config",
            "{\"x\":[",
            "0,",
            "larger than 16777216 bytes",
        ),
        (
            "--prefork-config",
            "{\"x\":",
            "[",
            "larger than 16777216 bytes",
        ),
    ] {
        let parent = TempDir::new().unwrap();
        let fork_config = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/small/fork_config.json"
        );
        let script = format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$@\"");
        let mut child = Command::new("timeout")
            .args([SECONDS_MAX, "sh", "-c", &script, "sh"])
            .arg(env!("CARGO_BIN_EXE_dump-candidates"))
            .args(["import", "--network", NETWORK, "--block", BLOCK])
            .args(["--fork-config", fork_config, kind, "/dev/stdin"])
            .args(["--no-progress", "--output"])
            .arg(parent.path().join("candidate"))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let more = more.repeat(32 << 10);
        let mut going = input.write_all(start.as_bytes()).is_ok();
        while going {
            going = input.write_all(more.as_bytes()).is_ok();
        }
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{error}");
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
