//! Steps of several jobs, and what else decides about a step: whole runs of small pipelines through
//! the binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod bench;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bench::{Bench, text};

/// A matrix that leaves a file per combination, a step that puts them together.
const MATRIX: &str = r#"
env: { COUNTS: "${COUNTS?}", A: "${A:-1}" }
steps:
  - key: image
    label: "image {{matrix.os}}"
    command:
      - 'echo "image-{{matrix.os}}-{{matrix.arch}}" >>"$$COUNTS"'
      - mkdir out
      - 'echo "$$A {{matrix.os}} $$ARCH" >out/{{matrix.os}}-{{matrix.arch}}'
    env: { ARCH: "{{matrix.arch}}" }
    artifact_paths: out/*
    matrix:
      setup: { os: [ bookworm, noble ], arch: [ amd64, arm64 ] }
      adjustments: [ { with: { os: noble, arch: arm64 }, skip: "no base" } ]
  - key: all
    depends_on: image
    command:
      - echo all >>"$$COUNTS"
      - buildkite-agent artifact download "out/*" . --step image
      - cat out/* >all
    artifact_paths: all
"#;

const ALL: &str = "1 bookworm amd64\n1 bookworm arm64\n1 noble amd64\n";

#[test]
fn the_jobs_of_a_matrix_leave_their_artifacts_together() {
    let bench = Bench::new(MATRIX);
    assert_eq!(
        bench.ran(&[]),
        "all image-bookworm-amd64 image-bookworm-arm64 image-noble-amd64"
    );
    assert_eq!(bench.read("out/artifacts/all/all"), ALL);
    assert_eq!(
        bench.states(),
        [
            "image (bookworm, amd64) passed",
            "image (bookworm, arm64) passed",
            "image (noble, amd64) passed",
            "image (noble, arm64) skipped",
            "all passed"
        ]
    );
    let report = bench.report();
    assert_eq!(report["version"], 4);
    assert_eq!(report["steps"][1]["key"], "image.bookworm-arm64");
    assert_eq!(report["steps"][1]["step"], "image");
    assert_eq!(report["steps"][1]["label"], "image bookworm");
    assert_eq!(report["steps"][1]["log"], "logs/image.bookworm-arm64.log");
    assert_eq!(
        report["steps"][3]["reason"],
        "the pipeline skips it: no base"
    );
    assert!(
        bench
            .read("out/timing.html")
            .contains("image (noble, amd64)")
    );
    // Nothing is done twice, and a touched artifact is made by the job that left it.
    assert_eq!(bench.ran(&["--resume"]), "");
    fs::write(bench.path("out/artifacts/image/out/noble-amd64"), "x").unwrap();
    fs::write(bench.path("out/artifacts/image/out/stray"), "x").unwrap();
    assert_eq!(bench.ran(&["--resume"]), "image-noble-amd64");
    assert!(!bench.path("out/artifacts/image/out/stray").exists());
    assert_eq!(bench.ran(&["--from", "all"]), "all");
    assert_eq!(
        bench.ran(&["--only", "image"]),
        "image-bookworm-amd64 image-bookworm-arm64 image-noble-amd64"
    );
    // One element less: what its job left is gone.
    let less = MATRIX
        .replace("[ bookworm, noble ]", "[ bookworm ]")
        .replace(
            "{ with: { os: noble, arch: arm64 }, skip: \"no base\" }",
            "",
        );
    fs::write(bench.path("p.yml"), less).unwrap();
    assert_eq!(bench.ran(&["--resume"]), "all");
    assert_eq!(
        bench.read("out/artifacts/all/all"),
        "1 bookworm amd64\n1 bookworm arm64\n"
    );
}

/// One job is done and one is stopped: only that one runs again.
#[test]
fn an_interrupted_matrix_goes_on_with_the_jobs_that_are_left() {
    let bench = Bench::new(
        r#"
env: { COUNTS: "${COUNTS?}" }
steps:
  - key: t
    command:
      - 'echo {{matrix}} >>"$$COUNTS"'
      - 'if [ {{matrix}} = slow ]; then echo here; read -r x <"$$RUN_PIPELINE_OUTPUT/../pipe"; fi'
      - echo {{matrix}} >{{matrix}}
    matrix: [ quick, slow ]
    artifact_paths: "*"
  - { key: all, depends_on: t, command: [ "buildkite-agent artifact download '*' .", cat quick slow ] }
"#,
    );
    let pipe = bench.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let mut child = bench
        .command(&["--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "[t (slow)] here"));
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(
        bench.states(),
        ["t (quick) passed", "t (slow) interrupted", "all skipped"]
    );
    // Now it is a file, which can be read at once.
    fs::remove_file(&pipe).unwrap();
    fs::write(&pipe, "go\n").unwrap();
    assert_eq!(bench.ran(&["--resume"]), "slow");
    assert_eq!(bench.read("out/logs/all.log").lines().last(), Some("slow"));
}

#[test]
fn a_cache_knows_the_jobs_of_a_matrix() {
    let bench = Bench::new(MATRIX);
    bench.ran(&["--cache", "cache", "--output", "1"]);
    assert_eq!(bench.ran(&["--cache", "cache", "--output", "2"]), "");
    assert_eq!(bench.read("2/artifacts/all/all"), ALL);
    assert_eq!(bench.ran(&["--resume", "--output", "2"]), "");
}

#[test]
fn two_jobs_must_not_leave_the_same_artifact() {
    let bench = Bench::new(
        "steps: [ { key: t, command: 'echo $$BUILDKITE_PARALLEL_JOB of $$BUILDKITE_PARALLEL_JOB_COUNT >same', parallelism: 2, artifact_paths: same }, { key: after, command: x, depends_on: t } ]",
    );
    let run = bench.run(&["--jobs", "1"]);
    assert_eq!(run.status.code(), Some(2));
    let stderr = text(&run.stderr);
    assert!(
        stderr.contains("[t (2 of 2)] failed: buildkite-agent: two jobs left the same artifact `same`: t (1 of 2) and t (2 of 2)"),
        "{stderr}"
    );
    assert_eq!(bench.read("out/artifacts/t/same"), "0 of 2\n");
    assert_eq!(bench.states()[2], "after skipped");
}

#[test]
fn what_fails_softly_stops_nobody() {
    let bench = Bench::new(
        r#"
env: { CODE: "${CODE:-3}", LAST: "${LAST:-0}" }
steps:
  - { key: soft, command: [ echo x >x, exit $$CODE ], soft_fail: [ { exit_status: 3 }, { exit_status: 4 } ], artifact_paths: x }
  - { key: after, command: [ buildkite-agent artifact download x ., test -e x, exit $$LAST ], depends_on: soft, soft_fail: true }
  - { key: left-out, command: exit 1, skip: true }
  - { key: behind, command: 'true', depends_on: left-out }
"#,
    );
    // Not yet: that is what 3 means, unless what waited for it has passed.
    for (last, code) in [("0", 0), ("1", 3), ("3", 3)] {
        let run = bench.run(&["--force", "--env", &format!("LAST={last}")]);
        assert_eq!(run.status.code(), Some(code), "{}", text(&run.stderr));
    }
    let page = bench.read("out/timing.html");
    assert!(page.contains("Pipeline run: pending"), "{page}");
    let run = bench.run(&["--force"]);
    let states = bench.states();
    assert_eq!(
        states,
        [
            "soft soft-failed",
            "after passed",
            "left-out skipped",
            "behind passed"
        ]
    );
    assert!(
        text(&run.stdout).contains("soft failed"),
        "{}",
        text(&run.stdout)
    );
    // It runs again, and the other one needs not.
    let again = bench.run(&["--resume", "--env", "CODE=4"]);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(bench.states(), states);
    assert!(text(&again.stderr).contains("[after] kept"));
    let hard = bench.run(&["--resume", "--env", "CODE=5"]);
    assert_eq!(hard.status.code(), Some(5));
    assert_eq!(bench.states()[..2], ["soft failed", "after skipped"]);
}

#[test]
fn a_docker_plugin_is_noted_once() {
    let bench = Bench::new(
        r#"
steps:
  - { key: a, command: 'test "$$X" = y', plugins: [ { "docker#v5.13.0": { image: "example.org/x", environment: [ "X=y" ] } } ] }
  - { key: b, command: 'true', plugins: [ "docker#0123456789abcdef0123456789abcdef01234567" ] }
"#,
    );
    let run = bench.run(&[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let noted = text(&run.stderr)
        .matches("images of the docker plugin are not used")
        .count();
    assert_eq!(noted, 1);
}

#[test]
fn digests_of_artifacts_can_be_asked_for() {
    let bench = Bench::new(
        r#"
steps:
  - { key: a, command: printf x >x, artifact_paths: x }
  - { key: b, command: [ 'test "$(buildkite-agent artifact shasum x --sha256)" = 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881', buildkite-agent artifact shasum x ], depends_on: a }
"#,
    );
    let run = bench.run(&[]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("artifact shasum without --sha256 is not supported"));
}

#[test]
fn a_file_may_become_a_directory_unless_another_job_left_it() {
    let pipeline = |script: &str| {
        format!(
            "steps: [ {{ key: t, command: '{script}', matrix: [ a, b ], artifact_paths: x/**/* }} ]"
        )
    };
    let bench = Bench::new(&pipeline("mkdir x; echo 1 >x/{{matrix}}"));
    assert_eq!(bench.run(&[]).status.code(), Some(0));
    let deeper = pipeline("mkdir -p x/{{matrix}}; echo 2 >x/{{matrix}}/f");
    for (script, file) in [
        (deeper, "x/b/f"),
        (pipeline("mkdir x; echo 3 >x/{{matrix}}"), "x/b"),
    ] {
        fs::write(bench.path("p.yml"), script).unwrap();
        let run = bench.run(&["--resume"]);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
        assert!(bench.path("out/artifacts/t").join(file).is_file());
    }
    let both = "mkdir x; if [ {{matrix}} = a ]; then echo >x/y; else mkdir x/y; echo >x/y/z; fi";
    fs::write(bench.path("p.yml"), pipeline(both)).unwrap();
    let run = bench.run(&["--resume", "--jobs", "1"]);
    assert_eq!(run.status.code(), Some(2));
    let stderr = text(&run.stderr);
    assert!(
        stderr.contains("artifact `x/y/z` and one that t (a) left"),
        "{stderr}"
    );
}

/// A step that asks an agent for more cores than there are runs alone; what fits runs side by side.
#[test]
fn processors_that_steps_ask_for_limit_how_many_run_at_once() {
    let bench = Bench::new(
        r#"
steps:
  - { key: a, command: &alone [ 'echo "start $$BUILDKITE_STEP_KEY" >>"$$COUNTS"', 'echo "end $$BUILDKITE_STEP_KEY" >>"$$COUNTS"' ], agents: { cores: 4096 } }
  - { key: b, command: *alone, agents: { cores: "4096" } }
  - { key: c, command: *alone, agents: [ "cores=4096" ] }
"#,
    );
    let run = bench.run(&["--jobs", "8"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let counts = bench.read("counts");
    let lines: Vec<&str> = counts.lines().collect();
    assert_eq!(
        lines,
        ["start a", "end a", "start b", "end b", "start c", "end c"]
    );
}
