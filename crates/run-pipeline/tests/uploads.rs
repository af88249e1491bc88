//! The plan while it changes: answers of persons, steps that upload steps, and what steps say.
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

/// The variable is named in the uploaded file alone, which the step fetches.
#[test]
fn an_upload_is_made_again_when_its_variables_change() {
    let bench = Bench::new(
        r#"
env: { COUNTS: "${COUNTS?}", A: "${A:-1}", B: "${B:-1}" }
steps:
  - { key: file, command: "printf 'steps: [ { key: more, command: echo %s }]' '$$A' >f", artifact_paths: f }
  - { key: up, depends_on: file, command: [ buildkite-agent artifact download f ., buildkite-agent pipeline upload f ] }
"#,
    );
    bench.ran(&["--cache", "cache"]);
    assert_eq!(bench.read("out/logs/more.log"), "1\n");
    bench.ran(&["--resume", "--env", "A=2"]);
    assert_eq!(bench.read("out/logs/more.log"), "2\n");
    // From a cache, too.
    let run = bench.run(&["--cache", "cache", "--output", "other"]);
    let stderr = text(&run.stderr);
    assert!(stderr.contains("[up] taken from the cache"), "{stderr}");
    assert!(stderr.contains("[more] taken from the cache"), "{stderr}");
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
        page.contains("<p>one &lt;b&gt;1&lt;/b&gt;</p>\n<p>more</p>"),
        "{page}"
    );
    // A step that is kept keeps what it said, one that runs again says it again.
    bench.run(&["--resume"]);
    assert_eq!(bench.read(first), "one <b>1</b>\nmore");
    bench.run(&["--resume", "--env", "A=2"]);
    assert_eq!(bench.read(first), "one <b>2</b>\nmore");
}

/// An attempt that failed leaves neither steps nor notes behind.
#[test]
fn only_the_last_attempt_counts() {
    let bench = Bench::new(
        r#"
steps:
  - key: up
    command:
      - "echo 'steps: [ { key: more, command: ls } ]' | buildkite-agent pipeline upload"
      - buildkite-agent annotate said --append
      - mkdir "$$RUN_PIPELINE_OUTPUT/once" || exit 0
      - exit 6
    retry: { automatic: [ { exit_status: 6, limit: 1 } ] }
"#,
    );
    let run = bench.run(&[]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    assert_eq!(bench.states(), ["up passed", "more passed"]);
    assert_eq!(bench.report()["steps"][0]["attempts"], 2);
    assert_eq!(bench.read("out/annotations/default.md"), "said");
}

#[test]
fn input_steps_hold_only_what_names_them() {
    let bench = Bench::new(
        r#"
env: { COUNTS: "${COUNTS?}" }
steps:
  - { input: "Who?", key: who, fields: [ { text: Name, key: name, default: nobody } ] }
  - { key: free, command: 'echo free >>"$$COUNTS"' }
  - wait
  - { key: later, command: 'echo later >>"$$COUNTS"' }
  - { key: asked, depends_on: who, command: 'buildkite-agent meta-data get name >>"$$COUNTS"' }
"#,
    );
    assert_eq!(bench.run(&[]).status.code(), Some(3));
    assert_eq!(bench.counted(), "free later");
    assert_eq!(bench.ran(&["--resume", "--unblock", "who"]), "nobody");
    // Asked again when it is named.
    assert_eq!(bench.run(&["--from", "who"]).status.code(), Some(3));
    let named = ["--from", "who", "--answer", "who:name=me"];
    assert_eq!(bench.ran(&named), "me");
}
