//! The output directory: `--force` removes what a run left, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod bench;

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::{Bench, text};

const PIPELINE: &str = r#"
env: { INPUT: "${INPUT:-}" }
steps: [ { key: a, command: "echo x >x", artifact_paths: x } ]
"#;

fn refused(bench: &Bench, arguments: &[&str], reason: &str) {
    let run = bench.run(arguments);
    let stderr = text(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(stderr.contains(reason), "{arguments:?}: {stderr}");
}

#[test]
fn force_removes_nothing_but_the_output_of_a_run() {
    let bench = Bench::new(PIPELINE);
    let write = |name: &str| {
        let path = bench.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "precious").unwrap();
    };
    let kept = |name: &str| assert_eq!(bench.read(name), "precious", "{name}");

    write("thesis/chapter");
    refused(
        &bench,
        &["--force", "--output", "thesis"],
        "is not the output of a run (it has no directory `state`), so --force does not remove it; name another --output",
    );
    write("thesis/state/chapter");
    refused(
        &bench,
        &["--force", "--output", "thesis"],
        "(no run leaves `chapter`)",
    );
    kept("thesis/chapter");
    kept("thesis/state/chapter");
    refused(
        &bench,
        &["--force", "--output", "."],
        "is not the output of a run",
    );
    assert!(bench.path("p.yml").exists());

    // What a run left goes, an empty directory and none are no question.
    fs::create_dir(bench.path("empty")).unwrap();
    for output in ["out", "out", "empty", "empty"] {
        let run = bench.run(&["--force", "--output", output]);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    }
    // What somebody put beside it stays.
    write("out/notes");
    refused(&bench, &["--force"], "no run leaves `notes`");
    kept("out/notes");
}

#[test]
fn force_keeps_what_the_run_needs() {
    let bench = Bench::new(PIPELINE);
    assert_eq!(bench.run(&[]).status.code(), Some(0));
    let made = "out/artifacts/a/x";
    for input in [
        format!("./{made}"),
        format!("file://{}", bench.path(made).display()),
    ] {
        refused(
            &bench,
            &["--force", "--env", &format!("INPUT={input}")],
            "is in the output directory",
        );
    }
    let set = bench
        .command(&["--force"])
        .env("INPUT", "./out/artifacts/a")
        .output()
        .unwrap();
    assert_eq!(set.status.code(), Some(2));
    assert!(
        text(&set.stderr).contains("the value of INPUT,"),
        "{}",
        text(&set.stderr)
    );

    fs::write(bench.path("out/artifacts/p.yml"), PIPELINE).unwrap();
    // Also through a link, and from within.
    std::os::unix::fs::symlink(bench.path("out"), bench.path("link")).unwrap();
    for (directory, arguments, reason) in [
        (
            "",
            ["--file", "out/artifacts/p.yml", "--output", "out"],
            "the pipeline `",
        ),
        (
            "",
            ["--file", "out/artifacts/p.yml", "--output", "link"],
            "the pipeline `",
        ),
        (
            "out/artifacts",
            ["--file", "../../p.yml", "--output", ".."],
            "the current directory `",
        ),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_run-pipeline"))
            .current_dir(bench.path(directory))
            .arg("--force")
            .args(arguments)
            .output()
            .unwrap();
        let stderr = text(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(reason), "{arguments:?}: {stderr}");
    }
    assert!(Path::new(&bench.path(made)).exists());
}

/// The switch for bars may be set to what people set switches to.
#[test]
fn progress_can_be_switched_off_in_the_environment() {
    let bench = Bench::new(PIPELINE);
    for value in ["1", "", "0", "true", "false", "yes"] {
        let run = bench
            .command(&["--force"])
            .env("FORKPACK_NO_PROGRESS", value)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(0), "{value}: {}", text(&run.stderr));
    }
}
