//! Whole runs of small pipelines through the binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A directory with a pipeline in it.
struct Context {
    directory: tempfile::TempDir,
}

struct Run {
    output: Output,
}

impl Context {
    fn new(pipeline: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("p.yml"), pipeline).unwrap();
        Self { directory }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_run-pipeline"));
        command
            .current_dir(self.directory.path())
            .args(["--file", "p.yml", "--jobs", "8"])
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run {
            output: self.command(arguments).output().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("out/timing.json")).unwrap()).unwrap()
    }

    fn states(&self) -> Vec<String> {
        let report = self.report();
        let steps = report["steps"].as_array().unwrap();
        steps
            .iter()
            .map(|step| {
                format!(
                    "{} {}",
                    step["key"].as_str().unwrap(),
                    step["state"].as_str().unwrap()
                )
            })
            .collect()
    }
}

impl Run {
    fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }
}

/// Two steps that each wait until the other one has started can only pass side by side.
#[test]
fn independent_steps_run_at_the_same_time() {
    let context = Context::new(
        r#"
env: { MEET: "${MEET?where to meet}" }
steps:
  - { key: a, command: "touch $$MEET/a; until [ -e $$MEET/b ]; do sleep 0.02; done", timeout_in_minutes: 1 }
  - { key: b, command: "touch $$MEET/b; until [ -e $$MEET/a ]; do sleep 0.02; done", timeout_in_minutes: 1 }
"#,
    );
    fs::create_dir(context.path("meet")).unwrap();
    let run = context.run(&["--env", "MEET=./meet"]);
    assert_eq!(run.code(), 0, "{}", run.stderr());
    assert_eq!(context.states(), ["a passed", "b passed"]);
    assert!(context.path("meet/a").exists());
}

#[test]
fn artifacts_go_from_step_to_step_and_become_results() {
    let context = Context::new(
        r#"
steps:
  - key: make
    command: [ "mkdir -p data/x", "echo one >data/x/1", "echo two >data/2", "echo no >other" ]
    artifact_paths: data/**/*
  - key: use
    depends_on: make
    command:
      - test ! -e data
      - buildkite-agent artifact download "data/**/*" . --step make
      - test ! -e other
      - mkdir result
      - cat data/x/1 data/2 >result/all.deb
      - buildkite-agent meta-data set done yes
      - test "$(buildkite-agent meta-data get done)" = yes
      - buildkite-agent annotate hello --style info
      - echo "from a file" | buildkite-agent annotate --context file --style success
    artifact_paths: result/*
"#,
    );
    let run = context.run(&[]);
    assert_eq!(run.code(), 0, "{}", run.stderr());
    let kept = context.path("out/artifacts/use/result/all.deb");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "one\ntwo\n");
    assert!(
        run.stdout()
            .contains(&format!("result: {}", kept.display())),
        "{}",
        run.stdout()
    );
    assert!(run.stdout().contains("% of the 6 h budget"));
    let log = fs::read_to_string(context.path("out/logs/use.log")).unwrap();
    assert!(log.contains("hello"), "{log}");
    assert!(log.contains("note file [success]: from a file"), "{log}");
    let report = context.report();
    assert_eq!(report["steps"][0]["artifacts"][1]["path"], "data/x/1");
    assert_eq!(report["steps"][0]["artifacts"][1]["bytes"], 4);
    let mut left = fs::read_dir(context.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    left.sort();
    assert_eq!(
        left,
        [
            "annotations",
            "artifacts",
            "logs",
            "meta-data",
            "state",
            "timing.html",
            "timing.json"
        ]
    );
}

#[test]
fn artifacts_of_other_steps_are_not_visible() {
    let context = Context::new(
        r"
steps:
  - { key: a, command: echo x >f, artifact_paths: f }
  - { key: b, command: [ 'while ! [ -e $$RUN_PIPELINE_OUTPUT/artifacts/a/f ]; do sleep 0.02; done', buildkite-agent artifact download f . --step a ] }
  - { key: c, command: buildkite-agent artifact download g ., depends_on: a }
",
    );
    let run = context.run(&[]);
    assert_eq!(run.code(), 2);
    assert_eq!(context.states(), ["a passed", "b failed", "c failed"]);
    assert!(
        run.stderr()
            .contains("[b] error: buildkite-agent: this step does not depend on `a`")
    );
    assert!(
        run.stderr()
            .contains("[c] error: buildkite-agent: no artifact of `a` matches `g`")
    );
}

#[test]
fn a_failing_step_stops_only_its_dependents() {
    let context = Context::new(
        r"
steps:
  - { key: bad, command: [ echo before, exit 4, echo after ] }
  - { key: child, command: 'true', depends_on: bad }
  - { key: grandchild, command: 'true', depends_on: child }
  - { key: other, command: sleep 0.3 }
  - { key: later, command: exit 5, depends_on: other }
",
    );
    let run = context.run(&[]);
    assert_eq!(run.code(), 4, "the step that failed first decides");
    assert_eq!(
        context.states(),
        [
            "bad failed",
            "child skipped",
            "grandchild skipped",
            "other passed",
            "later failed"
        ]
    );
    assert!(run.stderr().contains("[bad] before\n"));
    assert!(!run.stderr().contains("after\n"));
    assert!(run.stdout().contains("needs bad"));
    assert!(context.path("out/work/bad").exists(), "kept for inspection");
}

#[test]
fn commands_that_do_not_exist_are_the_environment_s_fault() {
    let context = Context::new("steps: [ { key: a, command: no-such-worker } ]");
    let run = context.run(&[]);
    assert_eq!(run.code(), 6);
    assert!(run.stdout().contains("a command was not found"));
}

#[test]
fn retries_only_what_the_pipeline_names() {
    let context = Context::new(
        r#"
steps:
  - key: flaky
    command: [ 'n=$(cat "$$RUN_PIPELINE_OUTPUT/n" || echo 0)', 'echo $((n + 1)) >"$$RUN_PIPELINE_OUTPUT/n"', '[ $$n = 2 ] || exit 6' ]
    retry: { automatic: [ { exit_status: 6, limit: 2 } ] }
  - { key: wrong, command: exit 4, depends_on: flaky, retry: { automatic: [ { exit_status: 6 } ] } }
"#,
    );
    let run = context.run(&[]);
    assert_eq!(run.code(), 4, "{}", run.stderr());
    let report = context.report();
    assert_eq!(report["steps"][0]["attempts"], 3);
    assert_eq!(report["steps"][1]["attempts"], 1);
}

/// Long lines from two processes of two steps never mix.
#[test]
fn lines_are_whole_and_prefixed() {
    let context = Context::new(
        r#"
steps:
  - { key: a, command: 'for i in {1..300}; do printf "%0999d\n" 1; done' }
  - { key: b, command: 'for i in {1..300}; do printf "%0999d\n" 2 >&2; done' }
"#,
    );
    let run = context.run(&[]);
    assert_eq!(run.code(), 0);
    let zeros = "0".repeat(998);
    for (key, digit) in [("a", 1), ("b", 2)] {
        let line = format!("[{key}] {zeros}{digit}");
        assert_eq!(run.stderr().lines().filter(|l| **l == line).count(), 300);
    }
    assert_eq!(run.stderr().lines().count(), 604);
}

#[test]
fn json_goes_to_standard_output_alone() {
    let context = Context::new("steps: [ { key: a, command: echo hello } ]");
    let run = context.run(&["--format", "json"]);
    let report: Value = serde_json::from_slice(&run.output.stdout).unwrap();
    assert_eq!(report["format"], "forkpack.pipeline-run");
    assert_eq!(report["budget_ms"], 21_600_000);
    assert_eq!(report["steps"][0]["state"], "passed");
    assert_eq!(report, context.report());
}

#[test]
fn dry_run_shows_command_lines_and_writes_nothing() {
    let context = Context::new(
        "env: { N: '${N?name}' }\nsteps: [ { key: a, command: [ 'o=()', 'o+=(--x \"$$N\")', 'worker \"$${o[@]}\"' ] } ]",
    );
    let run = context.run(&["--dry-run", "--env", "N=two words"]);
    assert_eq!(run.code(), 0, "{}", run.stderr());
    assert_eq!(
        run.stdout(),
        "a\n    worker --x 'two words'\nexpected: not known\n"
    );
    assert!(!context.path("out").exists());
}

#[test]
fn refuses_before_it_starts() {
    let context = Context::new("env: { A: '${A:?the network}' }\nsteps: [ { command: touch x } ]");
    let run = context.run(&[]);
    assert_eq!(run.code(), 2);
    assert_eq!(
        run.stderr(),
        "error: failed to run the pipeline: env `A`: `A` is not set: the network\n\nhint: pass --env A=VALUE\n"
    );
    let cycle =
        "steps: [ { key: a, command: x, depends_on: b }, { key: b, command: x, depends_on: a } ]";
    assert_eq!(Context::new(cycle).run(&[]).code(), 5);

    let context = Context::new("steps: [ { key: a, command: 'true' } ]");
    assert_eq!(context.run(&[]).code(), 0);
    let again = context.run(&[]);
    assert_eq!(again.code(), 2);
    assert!(
        again.stderr().contains("is not empty"),
        "{}",
        again.stderr()
    );
    assert_eq!(context.run(&["--force"]).code(), 0);
}

/// Interrupting the run reaches the steps, whatever they started, and leaves nothing running.
#[test]
fn interruption_stops_the_steps_and_exits_130() {
    let context = Context::new(
        r#"
steps:
  - { key: a, command: [ 'trap "echo cleaning; exit 1" TERM', 'sleep 61.5 & touch "$$RUN_PIPELINE_OUTPUT/started"; wait' ] }
  - { key: b, command: 'true', depends_on: a }
"#,
    );
    let mut child = context
        .command(&[])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !context.path("out/started").exists() {
        assert!(Instant::now() < deadline, "the step did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(context.states(), ["a interrupted", "b skipped"]);
    let log = fs::read_to_string(context.path("out/logs/a.log")).unwrap();
    assert!(log.contains("cleaning"), "{log}");
    let left = Command::new("pgrep")
        .args(["-fx", "sleep 61.5"])
        .output()
        .unwrap();
    assert!(left.stdout.is_empty(), "the sleeper is still there");
}

#[test]
fn the_parts_of_a_stopped_run_share_one_budget() {
    let context = Context::new(
        "env: { GO: '${GO:-}' }\nsteps: [ { key: a, command: [ 'echo working', 'test -n \"$$GO\"' ] } ]",
    );
    assert_eq!(context.run(&["--budget", "1"]).code(), 1);
    let spent = context.path("out/state/history/spent.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&spent).unwrap()).unwrap();
    assert_eq!(document["exit_code"], 1);
    // As if it had worked for 50 seconds, three hours ago.
    document["last_ms"] = 50_000.into();
    let first = document["first_unix_ms"].as_u64().unwrap();
    document["first_unix_ms"] = (first - 3 * 3_600_000).into();
    fs::write(&spent, document.to_string()).unwrap();

    let within = context.run(&["--budget", "1", "--resume"]);
    assert_eq!(within.code(), 1);
    let report = context.report();
    assert_eq!(report["earlier_ms"], 50_000);
    let percent = report["budget_used_percent"].as_f64().unwrap();
    assert!((83.0..100.0).contains(&percent), "{percent}");
    let stdout = within.stdout();
    assert!(stdout.contains("working time: 50."), "{stdout}");
    assert!(
        stdout.contains("the first began 3 h before this one"),
        "{stdout}"
    );

    document["earlier_ms"] = 50_000.into();
    document["last_ms"] = 11_000.into();
    fs::write(&spent, document.to_string()).unwrap();
    let over = context.run(&["--budget", "1", "--resume", "--env", "GO=1"]);
    assert_eq!(over.code(), 4, "{}", over.stderr());
    assert!(
        over.stderr().contains("error: the run took 61."),
        "{}",
        over.stderr()
    );
    assert!(over.stderr().contains("longer than its budget of 1 min"));
    // The step passed, the budget did not. With a larger one the run passes, and is over.
    assert_eq!(context.states(), ["a passed"]);
    let larger = context.run(&["--resume", "--env", "GO=1"]);
    assert_eq!(larger.code(), 0);
    assert!(context.report()["earlier_ms"].as_u64().unwrap() > 61_000);
    assert_eq!(context.run(&["--resume", "--env", "GO=1"]).code(), 0);
    assert_eq!(context.report()["earlier_ms"], 0);
    // Beginning again begins the time, too.
    assert_eq!(context.run(&["--force", "--env", "GO=1"]).code(), 0);
    assert_eq!(context.report()["earlier_ms"], 0);
}

#[test]
fn a_run_that_will_take_too_long_says_so_at_once() {
    let context = Context::new("steps: [ { key: a, command: 'true' } ]");
    assert_eq!(context.run(&[]).code(), 0);
    let runs = context.path("out/state/history/runs.json");
    let text = fs::read_to_string(&runs).unwrap();
    let mut history: Value = serde_json::from_str(&text).unwrap();
    history[0]["steps_ms"]["a"] = 90_000.into();
    fs::remove_file(context.path("out/state/a.json")).unwrap();
    fs::write(&runs, history.to_string()).unwrap();
    let run = context.run(&["--resume", "--budget", "1"]);
    assert_eq!(run.code(), 0, "{}", run.stderr());
    assert!(
        run.stderr().contains(
            "[run-pipeline] warning: this run will take about 90.0 s, and its budget is 60.0 s"
        ),
        "{}",
        run.stderr()
    );
}

#[test]
fn hints_say_what_helps() {
    let context = Context::new("steps: [ { key: a, command: exit 2 } ]");
    let run = context.run(&[]);
    assert_eq!(run.code(), 2);
    assert!(
        run.stdout().ends_with(
            "what passed is kept: correct the command, and go on with it and --resume\n"
        ),
        "{}",
        run.stdout()
    );
    let without = Command::new(env!("CARGO_BIN_EXE_run-pipeline"))
        .current_dir(context.path(""))
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(5));
    assert_eq!(
        String::from_utf8_lossy(&without.stderr),
        "error: failed to run the pipeline: there is no pipeline `pipeline/pipeline.yml`\n\nhint: name it with --file, or start in the checkout that has it\n"
    );
    let misspelt = context.run(&["--resume", "--env", "NETWROK=devnet"]);
    assert!(
        misspelt
            .stderr()
            .contains("warning: nothing in the pipeline uses NETWROK\n"),
        "{}",
        misspelt.stderr()
    );
}
