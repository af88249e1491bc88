//! Versions and control data, judged by dpkg.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use std::cmp::Ordering;
use std::process::Command;

use fork_package::{PackageVersion, Paragraph};

/// Whether dpkg is here. Without it, CI fails and anybody else is told.
fn have_dpkg() -> bool {
    let found = Command::new("dpkg").arg("--version").output().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "missing on CI: dpkg"
    );
    if !found {
        eprintln!("SKIPPED: missing dpkg");
    }
    found
}

const VERSIONS: [&str; 22] = [
    "0",
    "00",
    "0~~",
    "0~~a",
    "0~",
    "0a",
    "0.1",
    "1.0~rc1",
    "1.0~rc1-1",
    "1.0",
    "1.0-0",
    "1.0-1",
    "1.0-1+b1",
    "1.0a",
    "1.0+x",
    "1.0.",
    "1.2",
    "1.10",
    "4.0.0-6850301",
    "4.0.0-mainnet-893c877",
    "3.5.0-mainnet-stop-slot-5e100ee",
    "1:0",
];

#[test]
fn versions_compare_as_dpkg_compares_them() {
    if !have_dpkg() {
        return;
    }
    let holds = |left: &str, operator: &str, right: &str| {
        let mut dpkg = Command::new("dpkg");
        dpkg.args(["--compare-versions", left, operator, right]);
        dpkg.status().unwrap().success()
    };
    for left in VERSIONS {
        for right in VERSIONS {
            let order = left
                .parse::<PackageVersion>()
                .unwrap()
                .cmp(&right.parse().unwrap());
            let operator = match order {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            assert!(holds(left, operator, right), "{left} {operator} {right}");
        }
    }
}

#[test]
fn malformed_versions_are_those_dpkg_refuses() {
    if !have_dpkg() {
        return;
    }
    for text in ["1 0", "1_0", "1-", ":1", "x:1", "4294967296:1", "1.0/2"] {
        assert!(text.parse::<PackageVersion>().is_err(), "{text}");
        let output = Command::new("dpkg")
            .args(["--validate-version", text])
            .output()
            .unwrap();
        assert!(!output.status.success(), "{text}");
    }
}

#[test]
fn a_real_status_file_reads_and_writes_the_same() {
    let Ok(text) = fork_fs::read_limited("/var/lib/dpkg/status".as_ref(), 1 << 26) else {
        eprintln!("SKIPPED: this is no Debian system");
        return;
    };
    let text = String::from_utf8(text).unwrap();
    let all = Paragraph::parse_all(&text).unwrap();
    let again: String = all.iter().map(|one| format!("{one}\n")).collect();
    // dpkg keeps blanks at the ends of lines; they carry nothing.
    let trimmed = |text: &str| {
        text.lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(trimmed(&again), trimmed(&text));
}
