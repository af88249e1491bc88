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
expected: about 0.0 s in all
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
