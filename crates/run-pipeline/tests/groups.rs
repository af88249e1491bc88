//! What runs beside what: concurrency groups and memory.
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

/// A second job inside could not make the directory.
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
        // Both could start, one of them at once.
        assert_eq!(bench.run(&["--jobs", "2"]).status.code(), Some(0));
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

#[test]
fn a_group_without_a_place_for_its_slots_is_an_error() {
    let bench = Bench::new(
        "steps: [ { key: a, command: 'true', concurrency: 1, concurrency_group: g }, { key: b, command: 'true' } ]",
    );
    let run = bench.run(&["--state", "p.yml/below-a-file"]);
    assert_eq!(run.status.code(), Some(6), "{}", text(&run.stderr));
    assert_eq!(bench.states(), ["a failed", "b passed"]);
    assert!(text(&run.stdout).contains("name another directory with --state"));
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

/// On Buildkite these would wait for ever.
#[test]
fn groups_that_wait_for_each_other_end_the_run() {
    let in_group = |group: &str| format!("concurrency: 1, concurrency_group: {group}");
    let bench = Bench::new(&format!(
        "steps:
  - {{ key: v, command: 'true', depends_on: y, {b} }}
  - {{ key: w, command: 'true', {b} }}
  - {{ key: x, command: 'true', depends_on: w, {a} }}
  - {{ key: y, command: 'true', {a} }}
  - {{ key: z, command: 'true' }}
",
        a = in_group("a"),
        b = in_group("b"),
    ));
    let run = bench.run(&[]);
    assert_eq!(run.status.code(), Some(5), "{}", text(&run.stderr));
    assert!(text(&run.stdout).contains("ordered concurrency groups wait for each other"));
    let states = bench.states();
    assert!(states.contains(&"z passed".to_owned()), "{states:?}");
    assert_eq!(
        states
            .iter()
            .filter(|state| state.ends_with("skipped"))
            .count(),
        4
    );
}
