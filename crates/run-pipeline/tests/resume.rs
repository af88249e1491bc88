//! Going on after a crash, a failure or a change: what runs again, what does not, and that the
//! bytes are those of a run that nobody disturbed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Four steps that count how often they run, in a file outside of the run. `left` does not use B,
/// and what `right` leaves does not depend on its value.
const PIPELINE: &str = r#"
env: { A: "${A:-1}", B: "${B:-1}", COUNTS: "${COUNTS?where to count}", INPUT: "${INPUT:-}" }
steps:
  - key: start
    command:
      - echo start >>"$$COUNTS"
      - echo working
      - mkdir data
      - echo "a=$$A" >data/1
      - echo still working
      - if [ -n "$$INPUT" ]; then cat "$$INPUT" >data/2; fi
    artifact_paths: data/*
  - key: left
    depends_on: start
    command:
      - echo left >>"$$COUNTS"
      - buildkite-agent artifact download "data/*" . --step start
      - echo working
      - cat data/* >left
    artifact_paths: left
  - key: right
    depends_on: start
    command:
      - echo right >>"$$COUNTS"
      - echo "working with $$B"
      - echo right >right
    artifact_paths: right
  - key: end
    depends_on: [ left, right ]
    command:
      - echo end >>"$$COUNTS"
      - buildkite-agent artifact download left . --step left
      - buildkite-agent artifact download right . --step right
      - echo working
      - cat left right >end
    artifact_paths: end
"#;

struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::of(PIPELINE)
    }

    fn of(pipeline: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("p.yml"), pipeline).unwrap();
        fs::write(directory.path().join("counts"), "").unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_run-pipeline"));
        command
            .current_dir(self.directory.path())
            .args(["--file", "p.yml", "--env", "COUNTS=./counts"])
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs, and gives the steps that ran since the last time, sorted.
    fn ran(&self, arguments: &[&str]) -> String {
        fs::write(self.path("counts"), "").unwrap();
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let counts = fs::read_to_string(self.path("counts")).unwrap();
        let mut steps: Vec<&str> = counts.lines().collect();
        steps.sort_unstable();
        steps.join(" ")
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("out/timing.json")).unwrap()).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn artifacts(output: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![output.join("artifacts")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let relative = path.strip_prefix(output).unwrap().to_owned();
                found.insert(relative, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn only_what_changed_runs_again() {
    let bench = Bench::new();
    assert_eq!(bench.ran(&[]), "end left right start");
    assert_eq!(bench.ran(&["--resume"]), "");
    let report = bench.report();
    assert_eq!(report["steps"][3]["reused"], "output");
    assert_eq!(report["exit_code"], 0);
    assert_eq!(report["results"][0], "artifacts/end/end");

    // B is named by one step, and leaves the same bytes: nothing behind it runs.
    assert_eq!(bench.ran(&["--resume", "--env", "B=2"]), "right");
    assert_eq!(
        bench.ran(&["--resume", "--env", "B=2", "--env", "A=2"]),
        "end left start"
    );
    assert_eq!(
        fs::read_to_string(bench.path("out/artifacts/end/end")).unwrap(),
        "a=2\nright\n"
    );
    // A file that a variable names counts by its content.
    fs::write(bench.path("input"), "x\n").unwrap();
    let with_input = ["--resume", "--env", "INPUT=./input"];
    assert_eq!(bench.ran(&with_input), "end left right start");
    assert_eq!(bench.ran(&with_input), "");
    fs::write(bench.path("input"), "y\n").unwrap();
    let output = bench.run(&with_input);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("[start] runs again: the file of variable `INPUT` changed"),
        "{stderr}"
    );
    assert!(stderr.contains("[left] runs again: artifact `start/data/2` changed"));
    assert!(stderr.contains("[right] kept: nothing changed"));
}

#[test]
fn a_dry_run_says_what_steps_will_take() {
    let bench = Bench::of("steps: [ { key: a, command: mkdir x } ]");
    let dry = |bench: &Bench| text(&bench.run(&["--dry-run"]).stdout);
    assert!(dry(&bench).starts_with("a\n    mkdir x\n"));
    bench.run(&[]);
    let known = dry(&bench);
    // Its memory too, if there was time to look at it.
    assert!(known.starts_with("a, about 0."), "{known}");
}

#[test]
fn a_result_that_was_touched_is_made_again() {
    let bench = Bench::new();
    bench.ran(&[]);
    fs::write(bench.path("out/artifacts/right/right"), "wrong\n").unwrap();
    let before = bench.ran(&["--resume"]);
    assert_eq!(before, "right");
    let kept = fs::read_to_string(bench.path("out/artifacts/right/right")).unwrap();
    assert_eq!(kept, "right\n");
    fs::remove_file(bench.path("out/artifacts/end/end")).unwrap();
    assert_eq!(bench.ran(&["--resume"]), "end");
    fs::write(bench.path("out/artifacts/start/data/more"), "x").unwrap();
    assert_eq!(bench.ran(&["--resume"]), "start");
    // A record that nobody can read is none.
    fs::write(bench.path("out/state/left.json"), "{").unwrap();
    assert_eq!(bench.ran(&["--resume"]), "left");
}

#[test]
fn a_failed_run_goes_on_where_it_failed() {
    let bench = Bench::new();
    let broken = PIPELINE.replace("cat left right >end", "exit 4");
    fs::write(bench.path("p.yml"), broken).unwrap();
    assert_eq!(bench.run(&[]).status.code(), Some(4));
    fs::write(bench.path("p.yml"), PIPELINE).unwrap();
    assert_eq!(bench.ran(&["--resume"]), "end");
}

#[test]
fn parts_can_be_asked_for() {
    let bench = Bench::new();
    let early = bench.run(&["--only", "left"]);
    assert_eq!(early.status.code(), Some(2));
    let stderr = text(&early.stderr);
    assert!(
        stderr.contains(
            "[start] failed: the result of step `start` cannot be used: it has not passed in this output directory"
        ),
        "{stderr}"
    );
    assert_eq!(bench.ran(&["--only", "start"]), "start");
    assert_eq!(
        bench.ran(&["--only", "left", "--only", "right"]),
        "left right"
    );
    assert_eq!(bench.ran(&["--resume"]), "end");
    assert_eq!(bench.ran(&["--from", "left"]), "end left");
    assert_eq!(bench.ran(&["--from", "start"]), "end left right start");
    let stale = bench.run(&["--only", "left", "--env", "A=3"]);
    assert_eq!(stale.status.code(), Some(2));
    assert!(text(&stale.stderr).contains("A is `3`, was `1`"));
    let unknown = bench.run(&["--only", "middle"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        text(&unknown.stderr)
            .contains("there is no step `middle`; the steps are start, left, right, end")
    );
    // Something else is not taken for the output of a run.
    fs::create_dir(bench.path("other")).unwrap();
    fs::write(bench.path("other/file"), "x").unwrap();
    let other = bench.run(&["--resume", "--output", "other"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("is not the output of a run"));
}

/// Kills the runner after every number of lines it can print, in the middle of steps and between
/// them, and lets another one finish.
#[test]
fn killed_anywhere_the_next_run_leaves_the_same_bytes() {
    let undisturbed = Bench::new();
    undisturbed.ran(&[]);
    let expected = artifacts(&undisturbed.path("out"));
    assert_eq!(expected.len(), 4);
    let all = 40;
    for lines in 1..all {
        let bench = Bench::new();
        let mut child = bench
            .command(&[])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_long_enough = (0..lines).all(|_| seen.next().is_some());
        child.kill().unwrap();
        if child.wait().unwrap().success() || !is_long_enough {
            assert!(lines > 10, "{lines}");
            return;
        }
        let output = bench.run(&["--resume"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(
            artifacts(&bench.path("out")) == expected,
            "after {lines} lines"
        );
        // Nothing of the killed one is left behind.
        let left: Vec<_> = fs::read_dir(bench.path("out/state/running"))
            .unwrap()
            .collect();
        assert!(left.is_empty());
        assert!(!bench.path("out/work").exists());
    }
    panic!("a run prints fewer lines than {all}");
}

#[test]
fn processes_of_a_killed_run_are_stopped_first() {
    let bench = Bench::of(
        r#"
env: { COUNTS: "${COUNTS?}", LONG: "${LONG:-}" }
steps:
  - { key: a, command: [ "echo working", 'if [ -n "$$LONG" ]; then sleep 61.75; fi', "echo x >x" ], artifact_paths: x }
"#,
    );
    let mut child = bench
        .command(&["--env", "LONG=1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines {
        if line.unwrap() == "[a] working" {
            break;
        }
    }
    // While it lives, nobody else may.
    let busy = bench.run(&["--resume"]);
    assert_eq!(busy.status.code(), Some(6));
    assert!(text(&busy.stderr).contains("another run is working in"));
    assert_eq!(bench.run(&["--force"]).status.code(), Some(6));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = bench.run(&["--resume"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("[a] stopped: an earlier run that was killed left it running"),
        "{stderr}"
    );
}

#[test]
fn a_cache_serves_other_runs() {
    let bench = Bench::new();
    let cached = |output: &'static str| ["--cache", "cache", "--output", output];
    assert_eq!(bench.ran(&cached("1")), "end left right start");
    assert_eq!(bench.ran(&cached("2")), "");
    assert!(artifacts(&bench.path("1")) == artifacts(&bench.path("2")));
    // What came from the cache can be gone on from.
    assert_eq!(bench.ran(&["--resume", "--output", "2"]), "");

    // Every damage is noticed: an object that changed, and one that is gone.
    let objects = || {
        let entries = fs::read_dir(bench.path("cache/objects")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    assert_eq!(objects().len(), 3, "left and data/1 are equal");
    let right = objects()
        .into_iter()
        .find(|path| fs::read(path).unwrap() == b"right\n")
        .unwrap();
    fs::remove_file(&right).unwrap();
    assert_eq!(bench.ran(&cached("3")), "right");
    fs::remove_file(&right).unwrap();
    fs::write(&right, "wrong\n").unwrap();
    assert_eq!(bench.ran(&cached("4")), "right");
    assert!(artifacts(&bench.path("1")) == artifacts(&bench.path("4")));

    // Variants live side by side.
    let other = ["--cache", "cache", "--output", "5", "--env", "A=5"];
    assert_eq!(bench.ran(&other), "end left start");
    assert_eq!(bench.ran(&cached("6")), "");
}

#[test]
fn what_comes_from_elsewhere_is_not_cached() {
    let bench = Bench::of(
        r#"
env: { COUNTS: "${COUNTS?}", URL: "${URL?}" }
steps:
  - { key: fetch, command: [ 'echo fetch >>"$$COUNTS"', 'echo "$$URL" >x' ], artifact_paths: x }
  - { key: meta, command: [ 'echo meta >>"$$COUNTS"', "buildkite-agent meta-data set a b" ] }
  - { key: use, command: [ 'echo use >>"$$COUNTS"', "buildkite-agent artifact download x ." ], depends_on: fetch }
"#,
    );
    let arguments = |output: &'static str| {
        [
            "--cache",
            "cache",
            "--env",
            "URL=https://example.org/x",
            "--output",
            output,
        ]
    };
    assert_eq!(bench.ran(&arguments("1")), "fetch meta use");
    assert_eq!(bench.ran(&arguments("2")), "fetch meta");
    // In the same directory, the download is not repeated.
    let resumed = [&arguments("1")[..], &["--resume"]].concat();
    assert_eq!(bench.ran(&resumed), "");
}
