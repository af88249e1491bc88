//! The binary: exit codes, what it prints, and how it talks to the agent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `pipeline-step` with nothing in its environment but where shells are.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline-step"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            );
        command
    }

    /// Puts an agent first on the PATH that notes its arguments and its input, then does `more`.
    fn agent(&self, more: &str) {
        fs::create_dir_all(self.path("bin")).unwrap();
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >arguments\n{more}\n");
        let file = self.path("bin/buildkite-agent");
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn good(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.envs([
            ("NETWORK", "Devnet"),
            (
                "CONFIG_JSON_GZ_URL",
                "https://user:hunter2@example.org/f.json.gz?sig=hunter2",
            ),
            ("BLOCK_URL", "gs://mina_network_block_data/devnet-1-3N.json"),
            ("PREFORK_CONFIG", "https://example.org/daemon.json"),
            ("VERSION", "4.0.0-6850301"),
            ("GIT_HASH", "68503010"),
            ("SEED_LIST_URL", "https://example.org/seeds.txt"),
            (
                "BASE_IMAGE",
                "docker.io/minaprotocol/mina-daemon:4.0.0-{codename}-generic",
            ),
            ("DUNE_PROFILE", "devnet"),
        ]);
        command
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_good_environment_is_shown_and_written() {
    let place = Place::new();
    let output = place
        .good(&["check-env", "--output", "environment"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!("environment", stdout(&output));
    let written = place.read("environment/environment.json");
    assert!(!written.contains("hunter2"), "{written}");
    let json = place
        .good(&["check-env", "--format", "json"])
        .output()
        .unwrap();
    assert_eq!(stdout(&json).trim(), written.trim());
}

#[test]
fn a_bad_environment_ends_with_two_and_writes_nothing() {
    let place = Place::new();
    let started = Instant::now();
    let mut command = place.good(&["check-env", "--output", "environment"]);
    command
        .env("GIT_HASH", "685030")
        .env("VERSION", "")
        .env("FORKPACK_ANNOTATION", "note.md");
    let output = command.output().unwrap();
    // No network: nothing to wait for.
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    insta::assert_snapshot!("refused", stderr(&output));
    assert!(!place.path("environment").exists());
    let note = place.read("note.md");
    assert!(
        note.starts_with("### pipeline-step: failed &#40;usage")
            || note.starts_with("### pipeline-step: failed (usage, exit code 2)"),
        "{note}"
    );
    assert!(note.contains("| GIT&#95;HASH | has 6 digits"), "{note}");
    let mut command = place.good(&["check-env", "--format", "json"]);
    let output = command.env("GIT_HASH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["problems"][0]["variable"], "GIT_HASH");
}

#[test]
fn the_contract_is_explained() {
    let place = Place::new();
    let output = place.command(&["check-env", "--explain"]).output().unwrap();
    insta::assert_snapshot!("explain", stdout(&output));
    let output = place
        .command(&["check-env", "--explain", "--format", "json"])
        .output()
        .unwrap();
    let contract: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(contract["variables"][0]["name"], "NETWORK");
}

fn annotate(place: &Place, status: &str, more: &[(&str, &str)]) -> Output {
    let mut command = place.command(&["annotate", "--status", status]);
    command
        .env("FORKPACK_ANNOTATION", "note.md")
        .env("BUILDKITE_STEP_KEY", "import");
    command.envs(more.iter().copied());
    command.output().unwrap()
}

#[test]
fn the_agent_gets_what_the_step_noted() {
    let place = Place::new();
    place.agent("cat >input");
    let noted = format!("### done\n\n{}\n", "x".repeat(200_000));
    fs::write(place.path("note.md"), &noted).unwrap();
    for (status, style) in [
        ("0", "success"),
        ("3", "warning"),
        ("4", "error"),
        ("130", "error"),
    ] {
        let output = annotate(&place, status, &[]);
        assert!(output.status.success());
        assert_eq!(
            (stdout(&output), stderr(&output)),
            (String::new(), String::new())
        );
        assert_eq!(
            place.read("arguments"),
            format!("annotate\n--context\nimport\n--style\n{style}\n")
        );
        assert_eq!(place.read("input"), noted);
    }
    // Jobs of one step have annotations of their own.
    annotate(&place, "0", &[("BUILDKITE_PARALLEL_JOB", "2")]);
    assert!(place.read("arguments").contains("\nimport-2\n"));
    // What was noted stays as it was.
    assert_eq!(place.read("note.md"), noted);
}

#[test]
fn a_step_never_fails_for_want_of_a_note() {
    let place = Place::new();
    // No agent at all.
    fs::write(place.path("note.md"), "x").unwrap();
    let output = annotate(&place, "0", &[]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("could not start buildkite-agent"),
        "{}",
        stderr(&output)
    );
    // An agent that fails, and one that reads nothing.
    place.agent("exit 7");
    fs::write(place.path("note.md"), "x".repeat(500_000)).unwrap();
    let output = annotate(&place, "1", &[]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("exit status: 7"),
        "{}",
        stderr(&output)
    );
    // Too large for anybody.
    fs::write(place.path("note.md"), "x".repeat(1_000_001)).unwrap();
    let output = annotate(&place, "0", &[]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("no annotation"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn without_a_note_the_agent_is_not_asked() {
    let place = Place::new();
    place.agent("");
    for file in ["no-such-file", "", "bin"] {
        let output = annotate(&place, "0", &[("FORKPACK_ANNOTATION", file)]);
        assert!(output.status.success());
        assert_eq!(stderr(&output), "", "{file}");
    }
    fs::write(place.path("empty"), "").unwrap();
    annotate(&place, "0", &[("FORKPACK_ANNOTATION", "empty")]);
    assert!(!place.path("arguments").exists());
}

#[test]
fn a_pipeline_is_printed() {
    let place = Place::new();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let pipeline = root.join("pipeline/pipeline.yml");
    let pipeline = pipeline.to_str().unwrap();
    fs::write(place.path("n.toml"), "[devnet]\nPREFORK_CONFIG = \"https://h/p\"\nVERSION = \"1\"\nGIT_HASH = \"a\"\nSEED_LIST_URL = \"u\"\nBASE_IMAGE = \"b\"\n").unwrap();
    let line = ["generate", "--file", pipeline, "--networks", "n.toml"];
    let output = place.command(&line).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("# Made by `pipeline-step generate`"));
    let json = place
        .command(&[&line[..], &["--format", "json"]].concat())
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let yaml: serde_json::Value = yaml_serde::from_slice(&output.stdout).unwrap();
    assert_eq!(yaml, json);
    fs::write(place.path("n.toml"), "[devnet]\nVERSOIN = \"1\"\n").unwrap();
    let output = place.command(&line).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(
        stderr(&output).contains("sets `VERSOIN`"),
        "{}",
        stderr(&output)
    );
    let output = place
        .command(&[
            "generate",
            "--file",
            pipeline,
            "--codenames",
            "noble,focal",
            "--shards",
            "2",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
