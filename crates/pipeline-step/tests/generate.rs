//! Generated pipelines mean what the file means, for each network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_step::environment::Variables;
use pipeline_step::generate::{GenerateError, Networks, Wishes, generate};
use run_pipeline::{Environment, Pipeline, commands};
use yaml_serde::Value;

const NETWORKS: &str = r#"
[all]
VERSION = "4.0.0"
GIT_HASH = "abcdef01"
SEED_LIST_URL = "https://example.org/seeds.txt"
BASE_IMAGE = "oci:/base $HOME"

[devnet]
PREFORK_CONFIG = "https://example.org/devnet.json"
FORK_CONFIG_URL = "/exports/a \"b\" `c` $d ${e}"
CONFIRMATIONS = 7

[mainnet]
PREFORK_CONFIG = "https://example.org/mainnet.json"
CANDIDATE_STORE = "s3://forks/mainnet"
VERSION = "4.0.1"
"#;

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).to_owned()
}

fn pipeline_file() -> Vec<u8> {
    fs::read(root().join("pipeline/pipeline.yml")).unwrap()
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn text(value: &Value) -> String {
    yaml_serde::to_string(value).unwrap()
}

fn networks() -> Networks {
    Networks::from_toml("networks", NETWORKS.as_bytes()).unwrap()
}

fn for_networks(variables: &Variables) -> String {
    let networks = networks();
    let wishes = Wishes {
        networks: Some(&networks),
        ..Wishes::default()
    };
    text(&generate(&pipeline_file(), &wishes, variables).unwrap())
}

/// Every step of a network has the variables that the file alone would have given it, waits for the same
/// steps, and takes artifacts of its network only.
#[test]
fn each_network_gets_the_pipeline_of_its_own() {
    // Of another network, in the environment of whoever generates: it must get nowhere.
    let stray = [("REPLAYER_OUTPUT_URL".to_owned(), "https://stray".into())].into();
    let generated = for_networks(&stray);
    assert!(!generated.contains("stray"));
    // At upload there is an environment too.
    let upload = environment(&[
        ("FORK_CONFIG_URL", "https://stray"),
        ("d", "stray"),
        ("HOME", "/h"),
    ]);
    let plan = Pipeline::parse(generated.as_bytes())
        .unwrap()
        .resolve(&upload)
        .unwrap();
    let common = [
        ("GIT_HASH", "abcdef01"),
        ("SEED_LIST_URL", "https://example.org/seeds.txt"),
        ("BASE_IMAGE", "oci:/base $HOME"),
    ];
    let of_network = [
        (
            "devnet",
            vec![
                ("NETWORK", "devnet"),
                ("VERSION", "4.0.0"),
                ("PREFORK_CONFIG", "https://example.org/devnet.json"),
                ("FORK_CONFIG_URL", "/exports/a \"b\" `c` $d ${e}"),
                ("CONFIRMATIONS", "7"),
            ],
        ),
        (
            "mainnet",
            vec![
                ("NETWORK", "mainnet"),
                ("VERSION", "4.0.1"),
                ("PREFORK_CONFIG", "https://example.org/mainnet.json"),
                ("CANDIDATE_STORE", "s3://forks/mainnet"),
            ],
        ),
    ];
    let alone = Pipeline::parse(&pipeline_file()).unwrap();
    let mut seen = 0;
    for (network, own) in of_network {
        let given = environment(&[&common[..], &own].concat());
        let single = alone.resolve(&given).unwrap();
        for step in &single.steps {
            let key = format!("{network}-{}", step.key);
            let twin = plan.steps.iter().find(|twin| twin.key == key).unwrap();
            seen += 1;
            let keys: Vec<String> = step
                .depends_on
                .iter()
                .map(|key| format!("{network}-{key}"))
                .collect();
            assert_eq!(twin.depends_on, keys, "{key}");
            assert_eq!(twin.environment, single.environment, "{key}");
            let paths: Vec<String> = step
                .artifact_paths
                .iter()
                .map(|path| format!("{network}/{path}"))
                .collect();
            assert_eq!(twin.artifact_paths, paths, "{key}");
            assert_eq!(
                (twin.timeout, &twin.retries),
                (step.timeout, &step.retries),
                "{key}"
            );
            let first = format!("mkdir -p {network} && cd {network}\n");
            let script = twin.script.strip_prefix(&first).unwrap();
            let pairs: Vec<_> = step.script.lines().zip(script.lines()).collect();
            assert_eq!(pairs.len(), step.script.lines().count());
            assert_eq!(pairs.len(), script.lines().count());
            for (before, after) in pairs {
                if before.contains("artifact download") {
                    assert!(after.contains(&format!(" \"{network}/")), "{after}");
                    assert!(!after.contains(" . "), "{after}");
                    assert!(
                        !after.contains("--step") || after.contains(&format!("--step {network}-"))
                    );
                } else {
                    assert_eq!(before, after, "{key}");
                }
            }
        }
    }
    assert_eq!(seen, plan.steps.len(), "nothing else is in it");
}

/// The workers' command lines are those of the single pipeline.
#[test]
fn workers_are_called_the_same() {
    let generated = Pipeline::parse(for_networks(&Variables::new()).as_bytes()).unwrap();
    let all = commands(&generated, &Environment::new()).unwrap();
    let imports: Vec<String> = all
        .iter()
        .filter(|command| command[0] == "dump-candidates")
        .map(|command| command.join(" "))
        .collect();
    assert_eq!(
        imports,
        [
            "dump-candidates import --network devnet --prefork-config https://example.org/devnet.json \
             --fork-config /exports/a \"b\" `c` $d ${e} --output candidate",
            "dump-candidates select --network mainnet --store s3://forks/mainnet --output candidate",
        ]
    );
}

#[test]
fn is_a_valid_buildkite_pipeline() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("generated.yml");
    fs::write(&file, for_networks(&Variables::new())).unwrap();
    let output = Command::new(root().join("scripts/check-pipeline-schema"))
        .arg(&file)
        .output()
        .unwrap();
    // 6: the machine lacks Python or the network. That is excusable on a desk, not in CI.
    if output.status.code() == Some(6) && std::env::var_os("CI").is_none() {
        return;
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const SMALL: &str = r#"
env:
  NETWORK: "${NETWORK:-}"
  CODENAME: "${CODENAME:-bookworm}"
steps:
  - key: import
    command: echo "$$NETWORK ${QUEUE:-none}"
    artifact_paths: a/*;b/*
  - key: migrate-ledgers
    depends_on: import
    command: echo migrate
  - wait
  - key: package-deb
    depends_on: [ { step: migrate-ledgers } ]
    env: { NAME: "${CODENAME}" }
    matrix:
      setup:
        codename: [ "${CODENAME}" ]
        architecture: [ amd64 ]
    commands:
      - echo "{{matrix.codename}}"
"#;

const SHARDED: &str = r#"
steps:
  - key: migrate-shards
    depends_on: import
    command: echo "$$BUILDKITE_PARALLEL_JOB"
    parallelism: 1
  - key: migrate-ledgers
    depends_on: [ import, migrate-shards ]
    command: echo join
"#;

fn small(wishes: &Wishes<'_>) -> Result<String, GenerateError> {
    let variables = [("QUEUE".to_owned(), "large".into())].into();
    generate(SMALL.as_bytes(), wishes, &variables).map(|value| text(&value))
}

#[test]
fn lists_and_shards_and_networks_together() {
    let codenames = ["bookworm".to_owned(), "noble".to_owned()];
    let architectures = ["amd64".to_owned(), "arm64".to_owned()];
    let networks = Networks::from_yaml("n", b"devnet: {}\nmainnet: { CODENAME: focal }\n").unwrap();
    let wishes = Wishes {
        codenames: &codenames,
        architectures: &architectures,
        shards: Some((3, SHARDED.as_bytes())),
        networks: Some(&networks),
    };
    insta::assert_snapshot!("together", small(&wishes).unwrap());
}

#[test]
fn nothing_wished_nothing_changed() {
    let before: Value = yaml_serde::from_str(SMALL).unwrap();
    let after: Value = yaml_serde::from_str(&small(&Wishes::default()).unwrap()).unwrap();
    assert_eq!(before, after);
}

#[test]
fn mistakes_are_told() {
    let names = ["a".to_owned()];
    let no_matrix = generate(
        b"steps: [ { key: a, command: x } ]",
        &Wishes {
            codenames: &names,
            ..Wishes::default()
        },
        &Variables::new(),
    );
    assert!(
        no_matrix
            .unwrap_err()
            .to_string()
            .contains("matrix.setup.codename")
    );
    for (sharded, needle) in [
        (
            "steps: [ { key: a, command: x } ]",
            "0 steps with the key `migrate-shards`",
        ),
        (
            "steps: [ { key: migrate-shards, command: x } ]",
            "0 steps with the key `migrate-ledgers`",
        ),
        ("nothing: 1", "no list `steps`"),
        (
            "steps: [ { key: migrate-shards, command: x }, { key: migrate-ledgers, command: x }, { key: import, command: x } ]",
            "a step `import`, and so has the pipeline",
        ),
    ] {
        let wishes = Wishes {
            shards: Some((2, sharded.as_bytes())),
            ..Wishes::default()
        };
        let error = small(&wishes).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    for (networks, needle) in [
        ("devnet: { NETWROK: x }", "sets `NETWROK`"),
        ("devnet: { NETWORK: ./x.toml }", "relative path"),
        // A `$` within braces: agents differ.
        (
            "devnet: { NETWORK: \"${a$b}\" }",
            "agents do not read alike",
        ),
        ("devnet: { NETWORK: 'a\\$b' }", "agents do not read alike"),
    ] {
        let networks = Networks::from_yaml("n", networks.as_bytes()).unwrap();
        let wishes = Wishes {
            networks: Some(&networks),
            ..Wishes::default()
        };
        let error = small(&wishes).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    for (networks, needle) in [
        ("{}", "names no network"),
        ("all: { A: 1 }", "names no network"),
        ("Dev net: {}", "lower-case"),
        ("devnet: [1]", "must have variables below `devnet`"),
        ("devnet: { A: [1] }", "devnet.A"),
        ("3", "a table per network"),
    ] {
        let error = Networks::from_yaml("n", networks.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(needle), "{networks}: {error}");
    }
}
