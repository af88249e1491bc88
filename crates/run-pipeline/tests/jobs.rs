//! Steps of several jobs, and the plan while it changes: whole runs of small pipelines through the
//! binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod bench;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

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
    assert_eq!(report["version"], 3);
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
env: { CODE: "${CODE:-3}" }
steps:
  - { key: soft, command: [ echo x >x, exit $$CODE ], soft_fail: [ { exit_status: 3 }, { exit_status: 4 } ], artifact_paths: x }
  - { key: after, command: [ buildkite-agent artifact download x ., test -e x ], depends_on: soft }
  - { key: left-out, command: exit 1, skip: true }
  - { key: behind, command: 'true', depends_on: left-out }
"#,
    );
    // Not yet: that is what 3 means, whoever it stops.
    let run = bench.run(&[]);
    assert_eq!(run.status.code(), Some(3), "{}", text(&run.stderr));
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
    let page = bench.read("out/timing.html");
    assert!(page.contains("Pipeline run: pending"), "{page}");
    // It runs again, and the other one needs not.
    let again = bench.run(&["--resume", "--env", "CODE=4"]);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(bench.states(), states);
    assert!(text(&again.stderr).contains("[after] kept"));
    let hard = bench.run(&["--resume", "--env", "CODE=5"]);
    assert_eq!(hard.status.code(), Some(5));
    assert_eq!(bench.states()[..2], ["soft failed", "after skipped"]);
}

const GATE: &str = r#"
env: { COUNTS: "${COUNTS?}", A: "${A:-1}" }
steps:
  - { key: make, command: [ 'echo make >>"$$COUNTS"', 'echo "$$A" >made' ], artifact_paths: made }
  - block: ":rocket: Publish?"
    key: approve
    prompt: Publish this package?
    allowed_teams: [ release ]
    fields:
      - { text: Name, key: release-name, format: "[a-z ]+" }
      - { select: Suite, key: suite, default: unstable, options: [ { label: U, value: unstable }, { label: S, value: stable } ] }
  - key: publish
    command:
      - 'echo "publish $(buildkite-agent meta-data get release-name) to $(buildkite-agent meta-data get suite)" >>"$$COUNTS"'
  - { key: other, command: 'echo other >>"$$COUNTS"', depends_on: make }
"#;

#[test]
fn a_block_step_waits_for_an_answer_and_remembers_it() {
    let bench = Bench::new(GATE);
    // Everything else is done; the message says how to go on.
    let run = bench.run(&[]);
    assert_eq!(run.status.code(), Some(3), "{}", text(&run.stderr));
    assert_eq!(bench.counted(), "make other");
    let stderr = text(&run.stderr);
    let how = "go on with --resume --answer approve:release-name=VALUE";
    assert!(stderr.contains(how), "{stderr}");
    assert!(stderr.contains("Publish this package?"));
    assert_eq!(
        bench.states(),
        [
            "make passed",
            "approve blocked",
            "publish skipped",
            "other passed"
        ]
    );
    assert_eq!(bench.run(&["--resume"]).status.code(), Some(3));
    // Wrong answers are wrong uses, before anything runs.
    for (wrong, reason) in [
        (["--answer", "approve:release-name=X"], "is not of the form"),
        (
            ["--answer", "approve:colour=red"],
            "the fields are release-name, suite",
        ),
        (["--answer", "approve:suite=beta"], "needs an answer"),
        (
            ["--unblock", "approve"],
            "field `release-name` (Name) needs an answer",
        ),
        (["--unblock", "make"], "steps that do are approve"),
    ] {
        let run = bench.run(&["--resume", wrong[0], wrong[1]]);
        assert_eq!(run.status.code(), Some(2), "{wrong:?}");
        assert!(text(&run.stderr).contains(reason), "{}", text(&run.stderr));
    }
    let answer = ["--resume", "--answer", "approve:release-name=a b"];
    assert_eq!(bench.ran(&answer), "publish a b to unstable");
    assert_eq!(bench.states()[1], "approve passed");
    // The answer is part of what the step behind it depends on.
    assert_eq!(bench.ran(&["--resume"]), "");
    let other = [
        "--resume",
        "--answer",
        "approve:release-name=c",
        "--answer",
        "approve:suite=stable",
    ];
    assert_eq!(bench.ran(&other), "publish c to stable");
    // Who said yes to one package has not said yes to another one.
    let run = bench.run(&["--resume", "--env", "A=2"]);
    assert_eq!(run.status.code(), Some(3));
    assert_eq!(bench.counted(), "make");
    assert!(
        text(&run.stderr).contains("was about other artifacts"),
        "{}",
        text(&run.stderr)
    );
    let again = [
        "--resume",
        "--env",
        "A=2",
        "--answer",
        "approve:release-name=d",
    ];
    assert_eq!(bench.ran(&again), "publish d to unstable");
    // A new run asks anew; answers may come before the question.
    let all = ["--force", "--answer", "approve:release-name=e"];
    assert_eq!(bench.ran(&all), "make other publish e to unstable");
    assert!(bench.run(&["--force"]).status.code() == Some(3));
}

const UPLOADS: &str = r#"
env: { COUNTS: "${COUNTS?}", A: "${A:-1}" }
steps:
  - key: generate
    command:
      - echo generate >>"$$COUNTS"
      - echo working
      - |
        cat >more.yml <<'END'
        env: { FROM: "upload $$A" }
        steps:
          - key: made
            command:
              - echo made-$$$$ONE >>"$$$$COUNTS"
              - echo working
              - echo "$$$$FROM {{matrix}}" >made-{{matrix}}
            env: { ONE: "{{matrix}}" }
            matrix: [ x, y ]
            artifact_paths: made-*
          - command: 'echo "steps: [ { key: deep, command: echo deep >>$(printenv COUNTS) } ]" | buildkite-agent pipeline upload'
        END
      - buildkite-agent pipeline upload more.yml
      - echo done
  - key: collect
    depends_on: generate
    command:
      - echo collect >>"$$COUNTS"
      - buildkite-agent artifact download "made-*" .
      - cat made-* >all
    artifact_paths: all
"#;

#[test]
fn steps_can_upload_steps() {
    let bench = Bench::new(UPLOADS);
    assert_eq!(bench.ran(&[]), "collect deep generate made-x made-y");
    assert_eq!(
        bench.read("out/artifacts/collect/all"),
        "upload 1 x\nupload 1 y\n"
    );
    let report = bench.report();
    let steps = report["steps"].as_array().unwrap();
    let of = |key: &str| steps.iter().find(|step| step["key"] == key).unwrap();
    assert_eq!(of("made.x")["uploaded_by"], "generate");
    assert_eq!(of("deep")["uploaded_by"], "generate.step-2");
    assert_eq!(of("made.y")["depends_on"], serde_json::json!(["generate"]));
    // What depends on the step depends on what it uploads.
    let waits = of("collect")["depends_on"].as_array().unwrap();
    assert!(waits.iter().any(|key| key == "made"), "{waits:?}");
    // A step that is kept uploads what it uploaded.
    assert_eq!(bench.ran(&["--resume"]), "");
    assert_eq!(
        bench.report()["steps"].as_array().unwrap().len(),
        steps.len()
    );
    fs::remove_file(bench.path("out/artifacts/made/made-y")).unwrap();
    assert_eq!(bench.ran(&["--resume"]), "made-y");
    assert_eq!(bench.ran(&["--from", "made"]), "collect made-x made-y");
    assert_eq!(bench.ran(&["--only", "deep"]), "deep");
    let dry = text(&bench.run(&["--dry-run", "--resume"]).stdout);
    assert!(dry.contains("made (y) (after generate)"), "{dry}");
    assert_eq!(
        bench.ran(&["--resume", "--env", "A=2"]),
        "collect generate made-x made-y"
    );
    assert_eq!(
        bench.read("out/artifacts/collect/all"),
        "upload 2 x\nupload 2 y\n"
    );
}

/// Kills the runner after every number of lines it can print, and lets another one finish.
#[test]
fn killed_anywhere_jobs_and_uploads_come_out_the_same() {
    let all = 60;
    // Several lines at a time: the points in between are like their neighbours.
    // The first line comes before anything is written, answers included.
    for lines in (2..all).step_by(3) {
        let bench = Bench::new(
            &UPLOADS
                .replace(
                    "  - key: collect\n",
                    "  - { block: ok, key: ok }\n  - key: collect\n",
                )
                .replace("depends_on: generate\n", "depends_on: [ generate, ok ]\n"),
        );
        let mut child = bench
            .command(&["--unblock", "ok"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_long_enough = (0..lines).all(|_| seen.next().is_some());
        child.kill().unwrap();
        if child.wait().unwrap().success() || !is_long_enough {
            assert!(lines > 15, "{lines}");
            return;
        }
        let run = bench.run(&["--resume"]);
        assert_eq!(run.status.code(), Some(0), "{lines}: {}", text(&run.stderr));
        assert_eq!(
            bench.read("out/artifacts/collect/all"),
            "upload 1 x\nupload 1 y\n"
        );
        assert!(bench.report()["steps"].as_array().unwrap().len() == 7);
        assert!(!bench.path("out/work").exists());
    }
    panic!("a run prints fewer lines than {all}");
}

#[test]
fn uploads_that_do_not_fit_fail_their_step() {
    let upload = |pipeline: &str, more: &str| {
        format!(
            "steps:\n  - key: up\n    command: |\n      buildkite-agent pipeline upload {more}<<'END'\n      {pipeline}\n      END\n  - {{ key: after, command: 'true', depends_on: up }}\n"
        )
    };
    for (pipeline, more, code, reason) in [
        (
            "steps: [ { key: after, command: x } ]",
            "",
            5,
            "two steps have the key `after`",
        ),
        (
            "steps: [ { key: a, command: x, depends_on: z } ]",
            "",
            5,
            "step `a` depends on `z`",
        ),
        (
            "steps: [ { key: a, command: x, depends_on: after } ]",
            "",
            5,
            "steps wait for each other",
        ),
        (
            "steps: [ { key: a, command: x, if: y } ]",
            "",
            5,
            "attribute `if` is not supported",
        ),
        (
            "steps: [ { command: x, parallelism: 499 } ]",
            "",
            5,
            "more than 500 jobs",
        ),
        (
            "steps: [ { key: a, command: x } ]",
            "--replace ",
            2,
            "--replace is not supported",
        ),
        ("", "", 2, "standard input is empty"),
        (
            "steps: [ { key: a, command: echo $$MY_TOKEN } ]",
            "",
            2,
            "the value of the secret `MY_TOKEN`",
        ),
    ] {
        let bench = Bench::new(&upload(pipeline, more));
        let run = bench.run(&["--env", "MY_TOKEN=hunter22"]);
        let stderr = text(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{pipeline}: {stderr}");
        assert!(stderr.contains(reason), "{pipeline}: {stderr}");
        assert_eq!(bench.states(), ["up failed", "after skipped"]);
        // It is not taken for done the next time.
        assert_eq!(
            bench
                .run(&["--resume", "--env", "MY_TOKEN=hunter22"])
                .status
                .code(),
            Some(code)
        );
    }
    // As it is written, or with what the step knows.
    let kept = "steps: [ { key: a, command: 'echo \"<$$MY_TOKEN>\"' } ]";
    let bench = Bench::new(&upload(kept, "--no-interpolation "));
    assert_eq!(
        bench.run(&["--env", "MY_TOKEN=hunter22"]).status.code(),
        Some(0)
    );
    assert!(bench.read("out/logs/a.log").contains("<hunter22>"));
}

#[test]
fn uploads_end_somewhere() {
    // Each step uploads one that does the same.
    let bench = Bench::new(
        r#"
steps:
  - key: d0
    env: { DEPTH: "0" }
    command: &self |
      next=$((DEPTH + 1))
      printf 'steps: [ { key: d%s, env: { DEPTH: "%s" }, command: "%s" } ]' "$$next" "$$next" 'bash \"$$RUN_PIPELINE_OUTPUT/../self\"' | buildkite-agent pipeline upload --no-interpolation
"#,
    );
    let script = "next=$((DEPTH + 1))\nprintf 'steps: [ { key: d%s, env: { DEPTH: \"%s\" }, command: \"%s\" } ]' \"$next\" \"$next\" 'bash \\\"$RUN_PIPELINE_OUTPUT/../self\\\"' | buildkite-agent pipeline upload --no-interpolation\n";
    fs::write(bench.path("self"), script).unwrap();
    let run = bench.run(&[]);
    let stderr = text(&run.stderr);
    assert_eq!(run.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains("[d8] failed: step `d8`, pipeline upload: uploads lie more than 8 deep"),
        "{stderr}"
    );
    assert_eq!(bench.states().len(), 9);
}

#[test]
fn annotations_are_shown_and_kept() {
    let bench = Bench::new(
        r#"
env: { A: "${A:-1}" }
steps:
  - key: one
    command:
      - buildkite-agent annotate "one <b>$$A</b>" --context "a b/c" --style warning
      - printf '\nmore' | buildkite-agent annotate --context "a b/c" --append
  - { key: two, command: buildkite-agent annotate two, depends_on: one }
  - { key: three, command: 'buildkite-agent annotate "$(head -c 1100000 /dev/zero | tr "\\0" x)" || head -c 1100000 /dev/zero | buildkite-agent annotate' }
"#,
    );
    let run = bench.run(&[]);
    assert_eq!(run.status.code(), Some(2), "{}", text(&run.stderr));
    let first = "out/annotations/a%20b%2fc.md";
    assert_eq!(bench.read(first), "one <b>1</b>\nmore");
    assert_eq!(bench.read("out/annotations/default.md"), "two");
    assert!(text(&run.stderr).contains("standard input has more than 1048576 bytes"));
    let report = bench.report();
    assert_eq!(
        report["annotations"][0],
        serde_json::json!({ "context": "a b/c", "style": "warning", "path": "annotations/a%20b%2fc.md", "steps": ["one"] })
    );
    let page = bench.read("out/timing.html");
    assert!(
        page.contains("<pre>one &lt;b&gt;1&lt;/b&gt;\nmore</pre>"),
        "{page}"
    );
    // A step that is kept keeps what it said, one that runs again says it again.
    bench.run(&["--resume"]);
    assert_eq!(bench.read(first), "one <b>1</b>\nmore");
    bench.run(&["--resume", "--env", "A=2"]);
    assert_eq!(bench.read(first), "one <b>2</b>\nmore");
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

/// Each job notes that it is there and looks whether another one is; the pipe blocks until the other
/// end is opened, so both are known to have come that far.
#[test]
fn a_concurrency_group_is_entered_by_as_many_as_it_says() {
    let bench = Bench::new(
        r#"
env: { COUNTS: "${COUNTS?}" }
steps:
  - key: t
    command:
      - mkdir "$$RUN_PIPELINE_OUTPUT/inside"
      - echo "in $$BUILDKITE_PARALLEL_JOB" >>"$$COUNTS"
      - rmdir "$$RUN_PIPELINE_OUTPUT/inside"
    parallelism: 6
    concurrency: 1
    concurrency_group: only-one
"#,
    );
    let run = bench.run(&["--jobs", "6"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    // In the order in which they were made.
    assert_eq!(bench.read("counts"), "in 0\nin 1\nin 2\nin 3\nin 4\nin 5\n");
}

/// The job that comes first in the file starts first, though it is ready last.
#[test]
fn ordered_groups_keep_the_order_of_the_file() {
    let pipeline = |method: &str| {
        format!(
            r#"
env: {{ COUNTS: "${{COUNTS?}}" }}
steps:
  - {{ key: before, command: 'true' }}
  - {{ key: first, command: 'echo first >>"$$COUNTS"', depends_on: before, concurrency: 1, concurrency_group: g, concurrency_method: {method} }}
  - {{ key: second, command: 'echo second >>"$$COUNTS"', concurrency: 1, concurrency_group: g, concurrency_method: {method} }}
"#
        )
    };
    for (method, order) in [("ordered", "first\nsecond\n"), ("eager", "second\nfirst\n")] {
        let bench = Bench::new(&pipeline(method));
        // One at a time: `before` is then alone, and what follows it is decided by the group.
        let jobs = if method == "ordered" { "1" } else { "2" };
        assert_eq!(bench.run(&["--jobs", jobs]).status.code(), Some(0));
        assert_eq!(bench.read("counts"), order, "{method}");
    }
}

/// One run holds the group until the other one has said that it waits.
#[test]
fn two_runs_share_a_concurrency_group() {
    let bench = Bench::new(
        r#"
env: { PIPE: "${PIPE:-}", COUNTS: "${COUNTS?}" }
steps:
  - key: publish
    command:
      - echo inside
      - if [ -n "$$PIPE" ]; then read -r x <"$$PIPE"; fi
      - echo published >>"$$COUNTS"
    concurrency: 1
    concurrency_group: publish
"#,
    );
    let pipe = bench.path("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let until = |child: &mut std::process::Child, wanted: &str| {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let found = lines.any(|line| line.unwrap().contains(wanted));
        assert!(found, "{wanted}");
        lines
    };
    let spawn = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut first = spawn(&["--output", "1", "--env", "PIPE=./pipe"]);
    let _rest = until(&mut first, "[publish] inside");
    let mut second = spawn(&["--output", "2"]);
    let waits = "[publish] waits: another run on this machine has concurrency group `publish`";
    let _other_rest = until(&mut second, waits);
    assert_eq!(bench.read("counts"), "");
    fs::write(&pipe, "go\n").unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    assert_eq!(bench.counted(), "published published");
    // A run that waits can be stopped.
    let mut first = spawn(&["--output", "3", "--env", "PIPE=./pipe"]);
    let _rest = until(&mut first, "[publish] inside");
    let mut second = spawn(&["--output", "4"]);
    let _other_rest = until(&mut second, waits);
    let id = second.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(second.wait().unwrap().code(), Some(130));
    fs::write(&pipe, "go\n").unwrap();
    assert!(first.wait().unwrap().success());
}

/// What a job needed last time decides what may run beside it this time.
#[test]
fn jobs_that_do_not_fit_together_run_after_each_other() {
    let bench = Bench::new(
        r#"
env: { AGAIN: "${AGAIN:-}" }
steps:
  - { key: a, command: [ 'echo $$AGAIN', 'x=$(head -c 30000000 /dev/zero | tr "\\0" x)', 'mkdir "$$RUN_PIPELINE_OUTPUT/inside"', 'x=$(head -c 30000000 /dev/zero | tr "\\0" y)', 'rmdir "$$RUN_PIPELINE_OUTPUT/inside"' ] }
  - { key: b, command: [ 'echo $$AGAIN', 'x=$(head -c 30000000 /dev/zero | tr "\\0" x)', 'mkdir "$$RUN_PIPELINE_OUTPUT/inside"', 'x=$(head -c 30000000 /dev/zero | tr "\\0" y)', 'rmdir "$$RUN_PIPELINE_OUTPUT/inside"' ] }
"#,
    );
    let run = bench.run(&["--jobs", "1"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let report = bench.report();
    let peak = report["steps"][0]["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak > 30_000_000, "{peak}");
    // Both at a time would make the directory of the other one.
    let run = bench.run(&[
        "--resume", "--jobs", "2", "--env", "AGAIN=1", "--memory", "0.04",
    ]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let starts = |report: &serde_json::Value, index: usize| {
        report["steps"][index]["started_ms"].as_u64().unwrap()
    };
    let report = bench.report();
    let first_end = starts(&report, 0) + report["steps"][0]["wall_ms"].as_u64().unwrap();
    assert!(starts(&report, 1) >= first_end, "{report}");
    let run = bench.run(&[
        "--resume", "--jobs", "2", "--env", "AGAIN=2", "--memory", "0.01",
    ]);
    assert!(
        text(&run.stderr).contains("[a] warning: it is expected to need"),
        "{}",
        text(&run.stderr)
    );
}
