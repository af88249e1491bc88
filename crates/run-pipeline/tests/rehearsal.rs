//! A rehearsal, with programs of our own in place of those that make up the fork: what it takes from the
//! shell and from --env, and what becomes of it when it is stopped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod bench;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench::{Bench, text};

const PIPELINE: &str = r#"
env:
  NETWORK: "${NETWORK:-${NETWORK_NAME:-}}"
  FORK_CONFIG_URL: "${FORK_CONFIG_URL:-${CONFIG_JSON_GZ_URL:-}}"
  BASE_IMAGE: "${BASE_IMAGE:-}"
  FORK_SLOT: "${FORK_SLOT:-}"
  SIGNING_KEY_FILE: "${SIGNING_KEY_FILE:-}"
steps:
  - key: show
    command:
      - echo "network=$$NETWORK config=$$FORK_CONFIG_URL base=$$BASE_IMAGE slot=$$FORK_SLOT key=$$SIGNING_KEY_FILE" >shown
      - echo "old=$$NETWORK_NAME$$CONFIG_JSON_GZ_URL kept=$$KEPT" >>shown
    artifact_paths: shown
"#;

/// Writes its arguments down; waits for the file `go` when there is `wait`.
const GENERATOR: &str = r#"#!/bin/bash
echo "$*" >>"$(dirname "$0")/../counts"
echo "at work" >&2
while [ -e "$(dirname "$0")/../wait" ]; do sleep 0.05; done
while [ "$1" != --output ]; do shift; done
mkdir -p "$2"
for name in network.toml fork_config.json block.json prefork_config.json; do echo x >"$2/$name"; done
"#;

const SIGNER: &str = "#!/bin/bash\nmkdir -p \"$3\" && echo x >\"$3/signing-key.pem\"\n";

fn bench() -> Bench {
    let bench = Bench::new(PIPELINE);
    fs::create_dir(bench.path("bin")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_run-pipeline"));
    install(program, &bench.path("bin/run-pipeline"));
    for (name, script) in [("generate-fixture", GENERATOR), ("sign-release", SIGNER)] {
        program_of(&bench, name, script);
    }
    bench
}

fn program_of(bench: &Bench, name: &str, script: &str) {
    let text = bench.path("script");
    fs::write(&text, script).unwrap();
    install(&text, &bench.path("bin").join(name));
}

/// A program that this process had open for writing could not be started while another test's child
/// still has it.
fn install(from: &Path, to: &Path) {
    let mut install = Command::new("install");
    let status = install.args(["-m", "755"]).args([from, to]).status();
    assert!(status.unwrap().success());
}

fn rehearse(bench: &Bench, arguments: &[&str]) -> Command {
    let plain = bench.command(&[]);
    let mut command = Command::new(bench.path("bin/run-pipeline"));
    command
        .current_dir(bench.path(""))
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .args(["--file", "p.yml", "--rehearse"])
        .args(arguments);
    command
}

#[test]
fn what_the_shell_has_set_is_ignored() {
    let bench = bench();
    let run = rehearse(
        &bench,
        &["--accounts", "10", "--env", "BASE_IMAGE=oci:/mine"],
    )
    .env("SIGNING_KEY_FILE", "/etc/forkpack/release.pem")
    .env("FORK_SLOT", "77")
    .env("BASE_IMAGE", "oci:/theirs")
    .env("NETWORK_NAME", "devnet")
    .env("CONFIG_JSON_GZ_URL", "https://example.org/a.json.gz")
    .env("KEPT", "yes")
    .output()
    .unwrap();
    let stderr = text(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{stderr}");
    let fork = bench.path("out/rehearsal/fork").display().to_string();
    let key = bench.path("out/rehearsal/key/signing-key.pem");
    assert_eq!(
        bench.read("out/artifacts/show/shown"),
        format!(
            "network={fork}/network.toml config={fork}/fork_config.json base=oci:/mine slot= key={}\nold= kept=yes\n",
            key.display()
        )
    );
    let note = "a rehearsal ignores what the shell has set: BASE_IMAGE, CONFIG_JSON_GZ_URL, FORK_SLOT, NETWORK_NAME, SIGNING_KEY_FILE;";
    assert_eq!(stderr.matches(note).count(), 1, "{stderr}");
    assert!(
        text(&run.stdout).contains("rehearsal: three ledgers of 10 accounts took "),
        "{}",
        text(&run.stdout)
    );
}

/// What the verdict is about cannot come from elsewhere.
#[test]
fn what_is_forked_cannot_be_given() {
    let bench = bench();
    for name in [
        "FORK_CONFIG_URL",
        "CONFIG_JSON_GZ_URL",
        "BLOCK_URL",
        "CANDIDATE_STORE",
        "NETWORK",
    ] {
        let run = rehearse(&bench, &["--env", &format!("{name}=x")])
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "{name}");
        let stderr = text(&run.stderr);
        assert!(
            stderr.contains(&format!("{name} says what is forked")),
            "{stderr}"
        );
        assert!(!bench.path("out").exists());
    }
    let empty = rehearse(&bench, &["--accounts", "10", "--env", "BLOCK_URL="])
        .output()
        .unwrap();
    assert_eq!(empty.status.code(), Some(0), "{}", text(&empty.stderr));
}

#[test]
fn stopped_while_the_fork_is_made_it_goes_on_with_the_same_fork() {
    let bench = bench();
    fs::write(bench.path("wait"), "").unwrap();
    let mut child = rehearse(&bench, &["--accounts", "100k", "--seed", "9"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "[rehearsal] at work"));
    let stopped = Instant::now();
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        stopped.elapsed() < Duration::from_secs(5),
        "it is stopped at once"
    );
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let rest = rest.join("\n");
    assert!(
        rest.contains("interrupted while the fork was made up\n\nhint: go on with the same command and --resume"),
        "{rest}"
    );
    fs::remove_file(bench.path("wait")).unwrap();

    // Another size is another rehearsal.
    let other = rehearse(&bench, &["--resume", "--accounts", "20"])
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(
        text(&other.stderr).contains("is of a fork with 100,000 accounts and seed 9"),
        "{}",
        text(&other.stderr)
    );
    // Without one it is the same.
    fs::write(bench.path("counts"), "").unwrap();
    let resumed = rehearse(&bench, &["--resume"]).output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed.stderr));
    let counts = bench.read("counts");
    assert!(
        counts.starts_with("--accounts 100000 --seed 9 "),
        "{counts}"
    );
    assert!(text(&resumed.stdout).contains("three ledgers of 100,000 accounts"));
    // Made once.
    fs::write(bench.path("counts"), "").unwrap();
    let again = rehearse(&bench, &["--resume"]).output().unwrap();
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(bench.read("counts"), "");
}

#[test]
fn a_program_that_fails_is_named_with_what_it_said() {
    let bench = bench();
    let failing = "#!/bin/bash\necho no luck >&2\nexit 5\n";
    program_of(&bench, "generate-fixture", failing);
    let run = rehearse(&bench, &[]).output().unwrap();
    assert_eq!(run.status.code(), Some(6));
    let stderr = text(&run.stderr);
    assert!(stderr.contains("[rehearsal] no luck\n"), "{stderr}");
    assert!(
        stderr.contains("`generate-fixture` could not make what the rehearsal needs: exit code 5"),
        "{stderr}"
    );
    assert!(
        stderr.contains("hint: what it said stands above"),
        "{stderr}"
    );
    fs::remove_file(bench.path("bin/generate-fixture")).unwrap();
    let run = rehearse(&bench, &["--resume"]).output().unwrap();
    assert_eq!(run.status.code(), Some(6));
    let stderr = text(&run.stderr);
    assert!(
        stderr.contains("hint: build the whole workspace"),
        "{stderr}"
    );
}

#[test]
fn another_run_s_output_is_no_rehearsal() {
    let bench = bench();
    assert_eq!(bench.run(&[]).status.code(), Some(0));
    let run = rehearse(&bench, &["--resume"]).output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("is the output of a run that was no rehearsal"));
}
