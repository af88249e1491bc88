//! The pipeline files as they ship, run whole on one machine: killed and resumed, for several networks
//! and distributions, shared among shards, with a human's decision.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::pipeline::base_rootfs;
use crate::support::{Fixture, Place, ended, root, text};

/// Documents that tell how long something took or how much memory, and pages made from them.
const MEASURED: [&str; 3] = ["ledger.json", "report.json", "report.html"];

/// Most kills of one run.
const KILLS_MAX: usize = 40;

fn seeds() -> u64 {
    let given = std::env::var("FORKPACK_SEEDS").ok();
    given.map_or(4, |seeds| seeds.parse().unwrap())
}

/// A place with a base and a key.
fn place() -> Place {
    let place = Place::new();
    base_rootfs(&place);
    place
        .run("sign-release", &["keygen", "--output", "key"])
        .done();
    place
}

fn command(place: &Place, file: &str, output: &str, more: &[&str]) -> Command {
    let fixture = Fixture::small();
    let file = root().join("pipeline").join(file);
    let mut arguments: Vec<String> = ["--plain", "--file", text(&file), "--output", output]
        .map(str::to_owned)
        .to_vec();
    let mut set = |name: &str, value: &str| {
        arguments.extend(["--env".to_owned(), format!("{name}={value}")]);
    };
    for (name, file) in [
        ("NETWORK", "network.toml"),
        ("FORK_CONFIG_URL", "fork_config.json"),
        ("BLOCK_URL", "block.json"),
        ("PREFORK_CONFIG", "prefork_config.json"),
    ] {
        set(name, &fixture.file(file));
    }
    for (name, value) in [
        ("VERSION", "4.0.0"),
        ("GIT_HASH", "abcdef01"),
        ("SEED_LIST_URL", "https://example.org/seeds.txt"),
        ("BASE_IMAGE", "rootfs:base"),
        ("SIGNING_KEY_FILE", "./key/signing-key.pem"),
    ] {
        set(name, value);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.command("run-pipeline", &[&arguments, more].concat())
}

/// Everything the steps left, but for what was measured.
fn artifacts(output: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![output.join("artifacts")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let relative = path.strip_prefix(output).unwrap().to_owned();
            let is_measured = MEASURED.iter().any(|name| path.ends_with(name));
            let bytes = if is_measured {
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(relative, bytes);
        }
    }
    found
}

fn assert_same(expected: &Path, found: &Path, what: &str) {
    let (expected, found) = (artifacts(expected), artifacts(found));
    assert!(expected.len() > 20, "{what}");
    let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&expected), names(&found), "{what}");
    for (path, bytes) in &expected {
        assert!(found[path] == *bytes, "{what}: {} differs", path.display());
    }
}

/// Runs until `is_end` says so of a line on stderr, and kills it there with SIGKILL; whether it ended by
/// itself before.
fn run_until(mut command: Command, mut is_end: impl FnMut(&str) -> bool) -> bool {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if is_end(&line) {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        said.push_str(&line);
        said.push('\n');
    }
    assert!(child.wait().unwrap().success(), "{said}");
    true
}

/// A run that nobody disturbs, one that is killed whenever a step has passed, and some that are killed
/// anywhere.
#[test]
fn a_killed_pipeline_goes_on_to_the_same_bytes() {
    let place = place();
    ended(&mut command(&place, "pipeline.yml", "good", &[])).done();
    let good = place.path("good");

    let mut kills = 0;
    let mut more: &[&str] = &[];
    // Each run does at least one step more than the one before.
    while !run_until(
        command(&place, "pipeline.yml", "boundaries", more),
        |line| line.contains("] passed in "),
    ) {
        more = &["--resume"];
        kills += 1;
        assert!(kills < KILLS_MAX);
    }
    assert!(kills >= 8, "{kills}");
    assert_same(&good, &place.path("boundaries"), "killed between steps");

    for seed in 0..seeds() {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let output = format!("anywhere-{seed}");
        let mut more: &[&str] = &[];
        for _ in 0..3 {
            let mut left = 1 + random(30);
            if run_until(command(&place, "pipeline.yml", &output, more), |_| {
                left -= 1;
                left == 0
            }) {
                break;
            }
            // Killed before it began to write, there is nothing to go on from.
            more = match fs::exists(place.path(&format!("{output}/state"))).unwrap() {
                true => &["--resume"],
                false => &["--force"],
            };
        }
        ended(&mut command(&place, "pipeline.yml", &output, more)).done();
        assert_same(&good, &place.path(&output), &format!("seed {seed}"));
    }
}
