//! The binary.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use fork_genesis::Network;

use crate::client::ask;
use crate::scenario_text;

struct Directory {
    directory: tempfile::TempDir,
}

impl Directory {
    fn new(scenario: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("s.toml"), scenario).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stub-daemon"));
        command
            .current_dir(self.directory.path())
            .args(["--scenario", "s.toml", "--cache", "cache"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, options: &[&str]) -> Output {
        self.command(options).output().unwrap()
    }
}

#[test]
fn a_scenario_is_checked_without_running_it() {
    let directory = Directory::new(&scenario_text());
    let output = directory.run(&["--check"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "scenario rehearsal: 30 blocks on 2 branches, daemons a, b, c, 0 faults\n"
    );
    assert!(!directory.path("cache").exists());
    let directory = Directory::new(&scenario_text().replace("seed", "sead"));
    let output = directory.run(&["--check"]);
    assert_eq!(output.status.code(), Some(5));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("unknown field `sead`") && error.contains("hint: "),
        "{error}"
    );
    assert_eq!(
        Directory::new("").run(&["--daemon", "x"]).status.code(),
        Some(5)
    );
    let directory = Directory::new(&scenario_text());
    assert_eq!(directory.run(&["--daemon", "x"]).status.code(), Some(2));
}

#[test]
fn the_files_of_the_network_are_written() {
    let directory = Directory::new(&scenario_text());
    let output = directory.run(&[
        "--check",
        "--write-network",
        "network.toml",
        "--write-prefork",
        "prefork.json",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let text = std::fs::read_to_string(directory.path("network.toml")).unwrap();
    assert_eq!(Network::from_toml(&text).unwrap().name, "rehearsal");
    let text = std::fs::read_to_string(directory.path("prefork.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["daemon"]["slot_tx_end"], 393_800);
}

#[test]
fn daemons_run_until_their_slot_and_say_where() {
    let directory = Directory::new(&scenario_text());
    // 180 s in 0.1 s: fifteen slots are a second and a half.
    let mut child = directory
        .command(&[
            "--format",
            "json",
            "--speed",
            "1800",
            "--until-slot",
            "393795",
        ])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let listening: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(listening["daemons"].as_array().unwrap().len(), 3);
    assert_eq!(listening["daemons"][2]["name"], "c");
    let url = listening["daemons"][0]["url"].as_str().unwrap();
    let address = url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/graphql")
        .unwrap();
    let answer = ask(address.parse().unwrap(), "{ networkID }").json();
    assert_eq!(answer["data"]["networkID"], "mina:rehearsal");
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // The ledgers are gone.
    assert_eq!(
        std::fs::read_dir(directory.path("cache")).unwrap().count(),
        0
    );
}

#[test]
fn one_daemon_alone_with_made_up_faults() {
    let directory = Directory::new(&scenario_text());
    let output = directory.run(&["--daemon", "b", "--random-faults", "3", "--until-slot", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("b http://127.0.0.1:") && stdout.lines().count() == 1);
    let faults = String::from_utf8(output.stderr).unwrap();
    assert_eq!(crate::parse_faults(&faults).0.len(), 3);
}
