//! What `--dry-run` shows, and that it does nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod bench;

use std::fs;

use bench::{Bench, text};

/// Whatever a script tries, nothing outside of its shell changes.
#[test]
fn nothing_is_carried_out() {
    let bench = Bench::new("");
    let target = bench.path("target");
    let target = target.to_str().unwrap();
    let keep = bench.path("keep");
    fs::write(&keep, "kept").unwrap();
    let attempts = [
        format!("echo x >{target}"),
        format!("echo x >>{target}"),
        format!("worker 2>{target} || true"),
        format!("worker &>{target}"),
        format!("echo x >|{target}"),
        format!("exec 3<>{target}"),
        format!("PATH=/bin:/usr/bin; touch {target}"),
        format!("/usr/bin/touch {target}"),
        format!("command -p touch {target}"),
        format!("BASH_CMDS[touch]=/usr/bin/touch; touch {target}"),
        format!("set +r; echo x >{target}"),
        format!("enable kill; builtin enable kill; kill -9 $PPID; echo x >{target}"),
        format!("f() {{ echo x >{target}; }}; f || true"),
        format!("x=$(echo x >{target}) || true"),
        format!("echo x | while read l; do echo $l >{target}; done || true"),
        format!("trap 'echo x >{target}' EXIT"),
        format!("history -w {target}; fc -l"),
        format!("exec touch {target}"),
        format!("cat <<END >{target} || true\nx\nEND"),
        ": </dev/tcp/127.0.0.1/1".to_owned(),
        "cd /; rm -rf *".to_owned(),
    ];
    for attempt in attempts {
        let script: Vec<String> = attempt
            .replace('$', "$$")
            .lines()
            .map(str::to_owned)
            .collect();
        let pipeline = serde_json::json!({
            "steps": [ { "key": "a", "command": script.join("\n") }, { "key": "b", "command": "worker b" } ]
        });
        fs::write(bench.path("p.yml"), pipeline.to_string()).unwrap();
        // Bash reads such a file before anything else.
        fs::write(bench.path("env"), format!("echo x >{target}")).unwrap();
        let environment = format!("BASH_ENV={}", bench.path("env").to_str().unwrap());
        let run = bench.run(&["--dry-run", "--env", &environment]);
        assert!(!bench.path("target").exists(), "{attempt}");
        assert!(!bench.path("out").exists(), "{attempt}");
        assert_eq!(fs::read_to_string(&keep).unwrap(), "kept", "{attempt}");
        let code = run.status.code();
        assert!(matches!(code, Some(0 | 5)), "{attempt}: {code:?}");
    }
}

#[test]
fn what_cannot_be_told_is_said() {
    let bench = Bench::new(
        r#"
steps:
  - { key: writes, command: [ "worker --a", "worker --b >file" ], parallelism: 2 }
  - { key: asks, command: 'worker "$(other)"' }
  - { key: prints, command: "echo x" }
  - { key: plain, command: [ 'if [ -z "$$NOTHING" ]; then worker "a b" 2>&1; fi', "kill 1" ] }
  - { block: "Go on?", key: gate, fields: [ { text: Name, key: name } ] }
  - { key: off, command: worker, skip: true }
"#,
    );
    let run = bench.run(&["--dry-run"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    assert_eq!(
        text(&run.stdout),
        "writes (1 of 2)
    (commands unknown before it runs: it writes to a file)
writes (2 of 2)
    (commands unknown before it runs: it writes to a file)
asks
    (commands unknown before it runs: it needs the output of a command)
prints
    (commands unknown before it runs: it prints something itself)
plain
    worker 'a b'
    kill 1
gate (after writes, asks, prints, plain)
    (waits for a person: Go on?; asks name)
off (after gate)
    (the pipeline skips it)
    worker
expected: not known
"
    );
    let json = bench.run(&["--dry-run", "--format", "json"]);
    let steps: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(steps[0]["commands"].is_null());
    assert_eq!(
        steps[4]["commands"],
        serde_json::json!([["worker", "a b"], ["kill", "1"]])
    );
}

#[test]
fn endless_scripts_are_stopped() {
    let bench = Bench::new(
        r#"
steps:
  - { key: prints, command: 'printf -v x "%01000000d"; while :; do printf "%s" "$$x"; done' }
  - { key: turns, command: 'while :; do :; done' }
"#,
    );
    let run = bench.run(&["--dry-run"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let shown = text(&run.stdout);
    assert_eq!(
        shown
            .matches("it takes too long or prints too much")
            .count(),
        2,
        "{shown}"
    );
}

#[test]
fn help_is_complete() {
    let bench = Bench::new("");
    let mut command = bench.command(&["--help"]);
    for (name, _) in std::env::vars_os() {
        command.env_remove(name);
    }
    let help = command.output().unwrap();
    insta::assert_snapshot!(text(&help.stdout));
}

/// What a step's shell has at run time, it has in the listing.
#[test]
fn steps_know_their_names() {
    let bench = Bench::new(
        r#"
steps:
  - { key: a, label: "A label", command: 'worker "$$BUILDKITE_STEP_KEY" "$$BUILDKITE_LABEL"' }
  - key: b
    matrix: [ x ]
    command: 'worker --context="$$BUILDKITE_STEP_KEY-{{matrix}}"'
"#,
    );
    let run = bench.run(&["--dry-run"]);
    assert_eq!(
        text(&run.stdout),
        "a\n    worker a 'A label'\nb (x)\n    worker --context=b-x\nexpected: not known\n"
    );
}

/// With --resume it says what will run, and counts nothing else.
#[test]
fn what_is_kept_is_told_and_not_counted() {
    let bench = Bench::new(
        r#"
env: { A: "${A:-1}" }
steps:
  - { key: first, command: "echo first >first", artifact_paths: first }
  - { key: second, command: [ 'echo "$$A" >second' ], artifact_paths: second, depends_on: first }
  - { key: third, command: [ "buildkite-agent artifact download second ." ], depends_on: second }
"#,
    );
    assert_eq!(bench.run(&[]).status.code(), Some(0));
    let dry = |arguments: &[&str]| {
        let all = [&["--dry-run"], arguments].concat();
        let shown = text(&bench.run(&all).stdout);
        let wanted = |line: &&str| line.starts_with("    (") || line.starts_with("expected");
        shown
            .lines()
            .filter(wanted)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let nothing = dry(&["--resume"]);
    assert_eq!(
        nothing,
        [
            "    (kept: nothing changed)",
            "    (commands unknown before it runs: it writes to a file)",
            "    (kept: nothing changed)",
            "    (commands unknown before it runs: it writes to a file)",
            "    (kept: nothing changed)",
            "expected: about 0.0 s in all; 3 of 3 jobs are kept",
        ]
    );
    let changed = dry(&["--resume", "--env", "A=2"]);
    assert_eq!(changed[2], "    (runs again: A is `2`, was `1`)");
    assert_eq!(
        changed[4],
        "    (runs again if second leaves something else)"
    );
    assert!(
        changed[5].ends_with("; 1 of 3 jobs are kept"),
        "{changed:?}"
    );
    let from = dry(&["--from", "second"]);
    assert_eq!(from[2], "    (runs again: --from names second)");
    assert_eq!(from[4], "    (runs again: --from names second)");
    let only = dry(&["--only", "third"]);
    assert_eq!(only[0], "    (left out: --only names others)");
    assert_eq!(only[4], "    (runs again: --only names it)");
    fs::write(bench.path("out/artifacts/first/first"), "touched").unwrap();
    let touched = dry(&["--resume"]);
    assert_eq!(
        touched[0],
        "    (runs again: its artifacts are not what it left)"
    );
    assert!(!touched[5].contains("kept"), "{touched:?}");
    // Without --resume nothing is asked of the directory.
    assert!(!dry(&[])[0].contains("again"));
}
