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

/// Two networks, two distributions, two architectures, three machines for each migration, from one call:
/// what comes out for one of them is what the plain pipeline makes.
#[test]
fn many_at_once_are_what_each_is_alone() {
    let place = place();
    for architecture in ["amd64", "arm64"] {
        for codename in ["bookworm", "noble"] {
            let system = format!("bases/{codename}-{architecture}/var/lib/dpkg");
            fs::create_dir_all(place.path(&system).join("info")).unwrap();
            place.write(&format!("{system}/arch"), format!("{architecture}\n"));
            let status = format!(
                "Package: dpkg\nStatus: install ok installed\nArchitecture: {architecture}\nVersion: 1.21.22\n\n"
            );
            place.write(&format!("{system}/status"), status);
        }
    }
    let bases = "rootfs:bases/{codename}-{architecture}";
    let base = format!("BASE_IMAGE={bases}");
    let alone = ["--env", &base];
    ended(&mut command(&place, "pipeline.yml", "alone", &alone)).done();

    // Each network has what its own table says, and nothing else: no variable of one gets to the other.
    let fixture = Fixture::small();
    let mut networks = "[all]\nGIT_HASH = \"abcdef01\"\n".to_owned();
    for (name, value) in [
        ("NETWORK", fixture.file("network.toml")),
        ("FORK_CONFIG_URL", fixture.file("fork_config.json")),
        ("BLOCK_URL", fixture.file("block.json")),
        ("PREFORK_CONFIG", fixture.file("prefork_config.json")),
        ("SEED_LIST_URL", "https://example.org/seeds.txt".to_owned()),
        (
            "BASE_IMAGE",
            format!(
                "rootfs:{}/{{codename}}-{{architecture}}",
                text(&place.path("bases"))
            ),
        ),
    ] {
        networks.push_str(&format!("{name} = {value:?}\n"));
    }
    let key = place.path("key/signing-key.pem");
    networks.push_str(&format!(
        "[one]\nVERSION = \"4.0.0\"\nSIGNING_KEY_FILE = {:?}\n[two]\nVERSION = \"5.0.0\"\n",
        text(&key)
    ));
    place.write("networks.toml", networks);
    let more = [
        "--env",
        "NETWORKS=./networks.toml",
        "--env",
        "CODENAMES=Bookworm,Noble",
        "--env",
        "ARCHITECTURES=amd64,arm64",
        "--env",
        "SHARDS=3",
    ];
    let said = ended(&mut command(&place, "networks.yml", "all", &more)).done();
    assert!(said.contains("one-migrate-shards (3 of 3)"), "{said}");
    assert!(said.contains("two-verify-image (noble, arm64)"), "{said}");
    let read = |path: &str| fs::read(place.path(path)).unwrap();
    let tarball = |directory: &str| {
        let path = place.tarball(directory);
        (
            path.file_name().unwrap().to_owned(),
            fs::read(path).unwrap(),
        )
    };
    for role in ["genesis", "staking", "next"] {
        let expected = tarball(&format!("alone/artifacts/migrate-ledgers/ledgers/{role}"));
        for network in ["one", "two"] {
            let steps = format!("all/artifacts/{network}-migrate-ledgers/{network}");
            assert!(
                tarball(&format!("{steps}/ledgers/{role}")) == expected,
                "{network} {role}"
            );
        }
    }
    let document = place.document("alone/artifacts/package-deb/deb/bookworm/deb.json");
    let deb = document["file"]["name"].as_str().unwrap();
    assert!(
        read(&format!("alone/artifacts/package-deb/deb/bookworm/{deb}"))
            == read(&format!(
                "all/artifacts/one-package-deb/one/deb/bookworm/{deb}"
            ))
    );
    let digest =
        |path: &str| place.document(&format!("{path}/image.json"))["manifest_digest"].clone();
    assert_eq!(
        digest("alone/artifacts/package-image/image/bookworm-amd64"),
        digest("all/artifacts/one-package-image/one/image/bookworm-amd64")
    );
    // One statement for each network, over all of its packages; only one of them has a key.
    let manifest = |network: &str, name: &str| {
        place.path(&format!(
            "all/artifacts/{network}-manifest/{network}/manifest/{name}"
        ))
    };
    let one: serde_json::Value =
        serde_json::from_slice(&fs::read(manifest("one", "manifest.json")).unwrap()).unwrap();
    assert_eq!(
        one["predicate"]["further_packages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        one["predicate"]["further_images"].as_array().unwrap().len(),
        3
    );
    assert!(manifest("one", "manifest.intoto.json").exists());
    assert!(manifest("two", "manifest.json").exists());
    assert!(!manifest("two", "manifest.intoto.json").exists());
}

/// Sends SIGINT, as Ctrl-C does, when `is_time` says so of a line on stderr; what it said, and its exit code.
fn interrupted_when(mut command: Command, is_time: impl Fn(&str) -> bool) -> (String, Option<i32>) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut is_told = false;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if !is_told && is_time(&line) {
            let id = child.id().to_string();
            let told = Command::new("kill").args(["-INT", &id]).status();
            is_told = told.unwrap().success();
        }
        said.push_str(&line);
        said.push('\n');
    }
    assert!(is_told, "{said}");
    (said, child.wait().unwrap().code())
}

/// Ctrl-C stops the run at once, keeps what passed, and the next run makes the rest, to the same bytes.
#[test]
fn an_interrupted_pipeline_goes_on_to_the_same_bytes() {
    let place = place();
    ended(&mut command(&place, "pipeline.yml", "good", &[])).done();
    for (output, moment) in [
        ("early", "[import] started"),
        ("middle", "[generate-network-config] started"),
        ("late", "[manifest] started"),
    ] {
        let (said, code) = interrupted_when(command(&place, "pipeline.yml", output, &[]), |line| {
            line == moment
        });
        // A step may end before it is stopped; then nothing that waits for it starts.
        assert_eq!(code, Some(130), "{output}: {said}");
        let resumed = ended(&mut command(&place, "pipeline.yml", output, &["--resume"]));
        assert!(
            resumed.stderr.contains("[check-env] kept: nothing changed"),
            "{output}"
        );
        assert!(
            resumed.stdout.contains("working time: "),
            "{}",
            resumed.stdout
        );
        resumed.done();
        assert_same(&place.path("good"), &place.path(output), output);
    }
}

/// A rehearsal of a small fork, from nothing to the verdict, stopped while the fork is made and once more
/// while it is migrated.
#[test]
fn a_rehearsal_is_a_whole_run() {
    let place = Place::new();
    let file = root().join("pipeline/pipeline.yml");
    let rehearsal = |more: &[&str]| {
        let common = [
            "--plain",
            "--file",
            text(&file),
            "--output",
            "out",
            "--rehearse",
        ];
        let mut command = place.command("run-pipeline", &[&common[..], more].concat());
        // What the shell of a release engineer may have set.
        command
            .env("SIGNING_KEY_FILE", "/etc/forkpack/release.pem")
            .env("FORK_SLOT", "77")
            .env("NETWORK", "mainnet")
            .env("CONFIG_JSON_GZ_URL", "https://example.org/none.json.gz")
            .env("FORKPACK_NO_PROGRESS", "1");
        command
    };
    let size = ["--accounts", "1k", "--multiple", "2", "--seed", "3"];
    let (said, code) = interrupted_when(rehearsal(&size), |line| {
        line.contains("making up a fork with three ledgers of 2,000 accounts")
    });
    assert_eq!(code, Some(130), "{said}");
    assert!(
        said.contains("a rehearsal ignores what the shell has set: "),
        "{said}"
    );
    let (said, code) = interrupted_when(rehearsal(&["--resume"]), |line| {
        line == "[migrate-ledgers] started"
    });
    assert_eq!(code, Some(130), "{said}");
    let resumed = ended(&mut rehearsal(&["--resume"]));
    assert!(
        resumed.stderr.contains("[import] kept: nothing changed"),
        "{}",
        resumed.stderr
    );
    let stdout = resumed.done();
    assert!(
        stdout.contains("rehearsal: three ledgers of 2,000 accounts took "),
        "{stdout}"
    );
    assert!(
        stdout.contains(", which fits into the budget of 6 h ("),
        "{stdout}"
    );
    // Signed, with the key that was made up for it.
    let manifest = "out/artifacts/manifest/manifest/manifest.intoto.json";
    let trusted = "out/rehearsal/key";
    place
        .run(
            "sign-release",
            &[
                "verify",
                "--manifest",
                manifest,
                "--trusted",
                trusted,
                "--threshold",
                "1",
            ],
        )
        .done();
}
