//! Account lists with too many accounts and with odd values, through the binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

const KEY: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";

/// Reads `start`, then `more` for ever unless it is empty, in at most 1 GB of address space.
fn hash(arguments: &[&str], start: &[u8], more: &[u8]) -> Output {
    let mut child = Command::new("timeout")
        .args(["60", "sh", "-c", "ulimit -v 1048576; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_inspect-ledger"))
        .arg("hash")
        .args(arguments)
        .args(["--no-progress", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let (start, more) = (start.to_vec(), more.to_vec());
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

/// Must be refused with the exit code for bad input and these texts.
fn refused(arguments: &[&str], start: &[u8], more: &[u8], expected: &[&str]) {
    let output = hash(arguments, start, more);
    let error = String::from_utf8_lossy(&output.stderr);
    let shown = String::from_utf8_lossy(&start[..start.len().min(300)]);
    assert_eq!(output.status.code(), Some(5), "{shown}: {error}");
    for expected in expected {
        assert!(error.contains(expected), "{shown}: {expected}: {error}");
    }
    assert!(error.len() < 4000, "{} bytes of error", error.len());
}

/// A list without end of good accounts ends where the tree has no room for more, in the memory of a
/// few batches.
#[test]
fn a_list_without_end_ends_at_the_capacity_of_the_tree() {
    let accounts = format!("{{\"pk\":\"{KEY}\",\"balance\":\"1\"}},").repeat(1000);
    for (arguments, expected) in [
        (
            ["--era", "mesa", "--depth", "16", "--ignore-missing"].as_slice(),
            "a tree of depth 16 has no room for",
        ),
        (
            &["--era", "v1", "--depth", "14"],
            "a tree of depth 14 has no room for",
        ),
    ] {
        refused(arguments, b"[", accounts.as_bytes(), &[expected]);
    }
}

#[test]
fn odd_values_are_refused_by_name() {
    let digits = "9".repeat(400);
    let many = "9".repeat(1_500_000);
    let quoted = |text: &str| format!("\"{text}\"");
    let cases: Vec<(&str, String, &str)> = vec![
        ("balance", quoted("NaN"), "balance"),
        ("balance", quoted("Infinity"), "balance"),
        ("balance", quoted("1e999"), "balance"),
        ("balance", quoted("1e3"), "balance"),
        ("balance", quoted("-0"), "balance"),
        ("balance", quoted("-1"), "balance"),
        ("balance", quoted("+1"), "balance"),
        ("balance", quoted("0x10"), "balance"),
        ("balance", quoted(" 1"), "balance"),
        ("balance", quoted("."), "balance"),
        ("balance", quoted("18446744073.709551616"), "balance"),
        ("balance", quoted(&digits), "balance"),
        ("balance", quoted(&many), "balance"),
        ("balance", "NaN".to_owned(), "expected value"),
        ("balance", "1e999".to_owned(), "number out of range"),
        ("balance", "[]".to_owned(), "balance"),
        ("nonce", quoted("4294967296"), "nonce"),
        ("nonce", quoted("1e3"), "nonce"),
        ("nonce", quoted(&digits), "nonce"),
        ("nonce", quoted(&many), "nonce"),
        ("pk", quoted(&many), "pk"),
        ("pk", quoted(""), "pk"),
        ("token", quoted(&digits), "token"),
        ("receipt_chain_hash", quoted(&many), "receipt_chain_hash"),
        (
            "zkapp",
            format!("{{\"app_state\":[{}]}}", quoted(&many)),
            "zkapp",
        ),
        ("zkapp", "{\"verification_key\":\"A\"}".to_owned(), "zkapp"),
        (
            "zkapp",
            "{\"last_action_slot\":4294967296}".to_owned(),
            "last_action_slot",
        ),
        (
            "zkapp",
            "{\"last_action_slot\":1e3}".to_owned(),
            "last_action_slot",
        ),
        (
            "zkapp",
            "{\"last_action_slot\":-0}".to_owned(),
            "last_action_slot",
        ),
        (
            "zkapp",
            "{\"last_action_slot\":1.0}".to_owned(),
            "last_action_slot",
        ),
        ("timing", "{\"cliff_time\":\"-1\"}".to_owned(), "timing"),
        ("note", "[".repeat(200), "expected value"),
        ("pk", quoted("\\ud800"), "hex escape"),
        ("note", quoted("\u{1}"), "control character"),
        ("pk", format!("{}, \"pk\": \"x\"", quoted(KEY)), "pk"),
    ];
    for (member, value, expected) in cases {
        let members: Vec<String> = [("pk", quoted(KEY)), ("balance", quoted("1"))]
            .into_iter()
            .filter(|(name, _)| *name != member)
            .chain([(member, value)])
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        let list = format!("[{{{}}}]", members.join(", "));
        let arguments = ["--era", "berkeley", "--ignore-missing"];
        refused(&arguments, list.as_bytes(), b"", &[expected, "/dev/stdin"]);
    }
}

#[test]
fn odd_bytes_are_refused() {
    let arguments = ["--era", "berkeley", "--ignore-missing"];
    let good = format!("[{{\"pk\":\"{KEY}\",\"balance\":\"1\"}}]");
    assert_eq!(
        hash(&arguments, good.as_bytes(), b"").status.code(),
        Some(0)
    );
    let marked = [b"\xef\xbb\xbf".as_slice(), good.as_bytes()].concat();
    let invalid = good.replace("\"pk\"", "\"p\u{e9}\"").into_bytes();
    let latin: Vec<u8> = invalid
        .iter()
        .copied()
        .filter(|byte| *byte != 0xc3)
        .collect();
    for (bytes, expected) in [
        (latin, "line 1 column"),
        (
            good.replace("[{", "{[").into_bytes(),
            "key must be a string",
        ),
        (good.replace("}]", "},]").into_bytes(), "trailing comma"),
        (good.replace("}]", "}").into_bytes(), "EOF while parsing"),
        (format!("{good}{good}").into_bytes(), "trailing characters"),
    ] {
        refused(&arguments, &bytes, b"", &[expected]);
    }
    // Text before the array is what `snarked-ledger` prints; a byte order mark is such a text.
    assert_eq!(hash(&arguments, &marked, b"").status.code(), Some(0));
}
