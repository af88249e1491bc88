//! The pipeline file and its workers fit together, and the same input gives the same bytes.

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use run_pipeline::{Environment, Pipeline, commands};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{FORK_SLOT, Fixture, Place, names, no_partial, root, text};

/// The ways to give the fork point.
const SOURCES: [&[(&str, &str)]; 10] = [
    &[
        ("ARCHIVE_URI", "postgresql://a@/d?host=/run/p q"),
        ("ARCHIVE_PASSWORD_FILE", "./a password"),
        (
            "STATE_HASH",
            "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP",
        ),
        ("BLOCK_URL", "block.json"),
        ("NEXT_STAKING_LEDGER_URL", "next.json"),
    ],
    &[("CANDIDATE_STORE", "./mesa fork")],
    &[
        ("CANDIDATE_STORE", "./store"),
        (
            "STATE_HASH",
            "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP",
        ),
        ("CONFIRMATIONS", "7"),
    ],
    &[("FORK_CONFIG_URL", "https://example.org/fork config.json.gz")],
    &[
        ("FORK_CONFIG_URL", "gs://bucket/fork.json"),
        ("PRECOMPUTED_FORK_BLOCK_PREFIX", "gs://blocks/a net"),
    ],
    &[
        ("FORK_CONFIG_URL", "gs://bucket/fork.json"),
        ("BLOCK_URL", "s3://bucket/block.json"),
    ],
    &[
        ("REPLAYER_OUTPUT_URL", "replayer.json"),
        ("BLOCK_URL", "block.json"),
    ],
    &[("REPLAYER_OUTPUT_URL", "file:///replayer.json.zst")],
    &[
        ("BLOCK_URL", "block.json"),
        ("STAGED_LEDGER_URL", "staged.json"),
        ("STAKING_LEDGER_URL", "staking.json"),
        ("NEXT_STAKING_LEDGER_URL", "next.json"),
    ],
    &[("FORK_CONFIG_URL", "$(touch x) \"'`; *")],
];

/// What may be given besides.
const OPTIONS: [&[(&str, &str)]; 4] = [
    &[],
    &[
        ("FORK_SLOT", "958440"),
        ("VARIANT", "untimed-stays"),
        ("UNVERIFIED_SOURCE", "1"),
    ],
    &[
        ("GENESIS_TIMESTAMP", "2026-09-03 18:00:00Z"),
        ("SLOT_CHAIN_END", "393900"),
        ("GENESIS_SLOT_DELTA", "60"),
        ("FROM_ERA", "mesa"),
        ("TO_ERA", "mesa"),
    ],
    &[
        ("NETWORK", "networks/devnet.toml"),
        ("BASE_IMAGE", "docker-archive:/a b.tar"),
    ],
];

fn environment(more: [&[(&str, &str)]; 2]) -> Environment {
    let common: &[(&str, &str)] = &[
        ("NETWORK", "devnet"),
        ("PREFORK_CONFIG", "https://example.org/prefork.json"),
        ("VERSION", "4.0.0-fork1"),
        ("GIT_HASH", "abcdef01"),
        ("SEED_LIST_URL", "https://example.org/seeds.txt"),
        ("BASE_IMAGE", "oci:/base"),
        ("SIGNING_KEY_FILE", "/keys/release key.pem"),
    ];
    [common, more[0], more[1]]
        .concat()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn parse(command: &[String]) -> Result<(), clap::Error> {
    match command[0].as_str() {
        "dump-candidates" => dump_candidates::Args::try_parse_from(command).map(drop),
        "migrate-ledger" if migrate_ledger::is_command(command.iter().map(Into::into)) => {
            migrate_ledger::Commands::try_parse_from(command).map(drop)
        }
        "migrate-ledger" => migrate_ledger::Args::try_parse_from(command).map(drop),
        "generate-network-config" => {
            generate_network_config::Args::try_parse_from(command).map(drop)
        }
        "package-deb" => package_deb::Args::try_parse_from(command).map(drop),
        "package-image" => package_image::Args::try_parse_from(command).map(drop),
        "verify-package" => verify_package::Args::try_parse_from(command).map(drop),
        "sign-release" => sign_release::Args::try_parse_from(command).map(drop),
        "materialize-ledger" => materialize_ledger::Args::try_parse_from(command).map(drop),
        "pipeline-step" => pipeline_step::Args::try_parse_from(command).map(drop),
        other => panic!("`{other}` is no worker"),
    }
}

/// The line that reads the inputs.
fn import(all: &[Vec<String>]) -> &[String] {
    let found = all
        .iter()
        .find(|line| ["dump-candidates", "materialize-ledger"].contains(&line[0].as_str()));
    found.unwrap()
}

#[test]
fn every_worker_understands_its_line_of_the_pipeline() {
    let pipeline = Pipeline::load(&root().join("pipeline/pipeline.yml")).unwrap();
    for source in SOURCES {
        for options in OPTIONS {
            let all = commands(&pipeline, &environment([source, options])).unwrap();
            let workers: Vec<&str> = all
                .iter()
                .filter(|command| command[1] != "annotate")
                .map(|command| command[0].as_str())
                .collect();
            assert_eq!(
                workers,
                [
                    "pipeline-step",
                    match source[0].0 {
                        "ARCHIVE_URI" => "materialize-ledger",
                        _ => "dump-candidates",
                    },
                    "migrate-ledger",
                    "generate-network-config",
                    "package-deb",
                    "package-image",
                    "verify-package",
                    "verify-package",
                    "sign-release",
                    "sign-release",
                    "pipeline-step",
                ]
            );
            for command in &all {
                parse(command).unwrap_or_else(|error| panic!("{command:?}\n{error}"));
            }
            // Whatever is in a value, it arrives as one argument.
            for (_, value) in source {
                assert!(
                    import(&all).iter().any(|argument| argument == value),
                    "{:?}",
                    import(&all)
                );
            }
        }
    }
    // Without a source, and with two of them, the worker refuses.
    let both: &[(&str, &str)] = &[("FORK_CONFIG_URL", "f"), ("REPLAYER_OUTPUT_URL", "r")];
    for source in [&[], both] {
        let all = commands(&pipeline, &environment([source, &[]])).unwrap();
        assert!(parse(import(&all)).is_err(), "{:?}", import(&all));
    }
}

/// The other files: a choice, several networks, and the shards that take the place of a step.
#[test]
fn the_workers_understand_the_other_pipelines() {
    let files = ["choose.yml", "networks.yml", "sharded-migration.yml"];
    let mut called = std::collections::BTreeSet::new();
    for file in files {
        let mut text = fs::read_to_string(root().join("pipeline").join(file)).unwrap();
        if file == "sharded-migration.yml" {
            text = text.replace("steps:\n", "steps:\n  - { key: import, command: 'true' }\n");
        }
        // Where the output of a command goes is no part of its line, and one that is asked for a value
        // cannot be listed.
        text = text.replace(" >generated.yml", "");
        let text: String = text
            .lines()
            .filter(|line| !line.contains("meta-data get") && !line.contains(">>"))
            .map(|line| format!("{line}\n"))
            .collect();
        let pipeline = Pipeline::parse(text.as_bytes()).unwrap();
        for options in OPTIONS {
            let mut environment = environment([SOURCES[1], options]);
            for (name, value) in [
                ("NETWORKS", "./net works.toml"),
                ("CODENAMES", "bookworm,noble"),
                ("ARCHITECTURES", "amd64,arm64"),
                ("SHARDS", "4"),
                ("CONFIRMATIONS", "7"),
                ("BUILDKITE_PARALLEL_JOB", "1"),
                ("BUILDKITE_PARALLEL_JOB_COUNT", "2"),
            ] {
                environment.insert(name.to_owned(), value.to_owned());
            }
            // What the whole pipeline's `env` block sets.
            for (name, value) in [("FROM_ERA", "berkeley"), ("TO_ERA", "mesa")] {
                environment
                    .entry(name.to_owned())
                    .or_insert_with(|| value.to_owned());
            }
            for command in commands(&pipeline, &environment).unwrap() {
                parse(&command).unwrap_or_else(|error| panic!("{file}: {command:?}\n{error}"));
                called.insert(command[..2].join(" "));
            }
        }
    }
    let called: Vec<&str> = called.iter().map(String::as_str).collect();
    assert_eq!(
        called,
        [
            "dump-candidates list",
            "migrate-ledger merge",
            "migrate-ledger shard",
            "pipeline-step annotate",
            "pipeline-step generate",
        ]
    );
}

/// What must not depend on the kind of source.
fn essence(place: &Place, output: &str) -> Vec<Value> {
    let candidate = place.document(&format!("{output}/candidate.json"));
    let mut essence = vec![
        candidate["network"].clone(),
        candidate["source_era"].clone(),
        candidate["fork_block"]["state_hash"].clone(),
        candidate["fork_block"]["blockchain_length"].clone(),
        candidate["seeds"].clone(),
    ];
    for name in ["staged_ledger", "staking_ledger", "next_staking_ledger"] {
        let ledger = &candidate[name];
        for member in [
            "file",
            "accounts",
            "computed_root",
            "total_balance_nanomina",
        ] {
            assert!(!ledger[member].is_null(), "{output}: {name}.{member}");
            essence.push(ledger[member].clone());
        }
        let list = format!("{output}/{}", ledger["file"]["name"].as_str().unwrap());
        let bytes = fs::read(place.path(&list)).unwrap();
        assert_eq!(
            ledger["file"]["sha256"],
            hex::encode(Sha256::digest(bytes)),
            "{list}"
        );
    }
    essence
}

/// A prefix finds the block that the fork config claims, and nothing in the candidate says how.
#[test]
fn a_block_is_found_by_its_prefix() {
    let fixture = Fixture::small();
    let place = Place::new();
    let (network, config) = (
        fixture.file("network.toml"),
        fixture.file("fork_config.json"),
    );
    let answer: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    let fork = answer.pointer("/data/fork_config").unwrap_or(&answer);
    let fork = &fork["proof"]["fork"];
    let name = format!(
        "blocks-{}-{}.json",
        fork["blockchain_length"],
        fork["state_hash"].as_str().unwrap()
    );
    fs::copy(fixture.file("block.json"), place.path(&name)).unwrap();
    let import = |output: &str, block: [&str; 2]| {
        let common = ["import", "--network", &network, "--fork-config", &config];
        let all = [&common[..], &block, &["--output", output]].concat();
        place.run("dump-candidates", &all)
    };
    import("named", ["--block", &name]).done();
    import("found", ["--block-prefix", "blocks"]).done();
    for file in ["candidate.json", "block.json"] {
        let read = |output: &str| fs::read(place.path(output).join(file)).unwrap();
        assert!(read("named") == read("found"), "{file}");
    }
    let missing = import("none", ["--block-prefix", "others"]);
    assert_ne!(missing.code, Some(0));
    assert!(missing.stderr.contains("others-"), "{}", missing.stderr);
    // What lies there and is another block is refused.
    fs::write(place.path(&name), "{}").unwrap();
    let wrong = import("wrong", ["--block-prefix", "blocks"]);
    assert_ne!(wrong.code, Some(0));
}

#[test]
fn every_kind_of_source_gives_the_same_candidate() {
    for fixture in [Fixture::small(), Fixture::sharing()] {
        let file = |name: &str| fixture.file(name);
        let place = Place::new();
        let sources = [
            (
                "config",
                vec!["--fork-config".to_owned(), file("fork_config.json")],
            ),
            (
                "config-and-block",
                vec![
                    "--fork-config".to_owned(),
                    file("fork_config.json"),
                    "--block".to_owned(),
                    file("block.json"),
                ],
            ),
            (
                "files",
                vec![
                    "--block".to_owned(),
                    file("block.json"),
                    "--staged-ledger".to_owned(),
                    file("staged_ledger.json"),
                    "--staking-ledger".to_owned(),
                    file("staking_ledger.json"),
                    "--next-staking-ledger".to_owned(),
                    file("next_staking_ledger.json"),
                ],
            ),
            (
                "replayer",
                vec![
                    "--replayer-output".to_owned(),
                    file("replayer_output.json"),
                    "--block".to_owned(),
                    file("block.json"),
                ],
            ),
        ];
        let network = file("network.toml");
        for (output, arguments) in &sources {
            let mut all = vec!["import", "--network", &network, "--output", output];
            all.extend(arguments.iter().map(String::as_str));
            place.run("dump-candidates", &all).done();
        }
        let expected = essence(&place, "config");
        for (output, _) in &sources {
            assert_eq!(essence(&place, output), expected, "{output}");
        }
        let candidate = place.document("config/candidate.json");
        let ledgers = &fixture.model.ledgers;
        for (name, root) in [
            ("staged_ledger", ledgers.genesis.root),
            ("staking_ledger", ledgers.staking.root),
            ("next_staking_ledger", ledgers.next.root),
        ] {
            assert_eq!(candidate[name]["computed_root"], root.to_string(), "{name}");
        }
        no_partial(&place.path(""));
    }
}

#[test]
fn equal_epoch_ledgers_share_a_tarball() {
    let place = Place::new();
    Fixture::sharing().import(&place);
    Fixture::migrate(&place, "ledger", FORK_SLOT);
    let staking = place.tarball("ledger-staking");
    let next = place.tarball("ledger-next");
    assert_eq!(staking.file_name(), next.file_name());
    assert_eq!(fs::read(&staking).unwrap(), fs::read(&next).unwrap());
    let tarball =
        |role: &str| place.document(&format!("ledger-{role}/ledger.json"))["tarball"].clone();
    assert_eq!(tarball("staking"), tarball("next"));
    assert_ne!(tarball("staking"), tarball("genesis"));
}

/// However many threads there are.
#[test]
fn a_migration_gives_the_same_bytes_again() {
    let place = Place::new();
    Fixture::sharing().import(&place);
    let mut runs: Vec<(PathBuf, Value)> = Vec::new();
    for threads in ["1", "2", "5"] {
        let output = format!("with-{threads}");
        let mut command = place.command(
            "migrate-ledger",
            &[
                "--candidate",
                "candidate",
                "--role",
                "genesis",
                "--from",
                "berkeley",
                "--to",
                "mesa",
                "--fork-slot",
                FORK_SLOT,
                "--output",
                &output,
            ],
        );
        let status = command
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap()
            .status;
        assert!(status.success());
        let mut document = place.document(&format!("{output}/ledger.json"));
        // Measurements are the only members that may differ.
        document["stages_ms"] = Value::Null;
        document["peak_memory_bytes"] = Value::Null;
        runs.push((place.tarball(&output), document));
    }
    let (tarball, document) = &runs[0];
    for (other, found) in &runs[1..] {
        assert_eq!(tarball.file_name(), other.file_name());
        assert_eq!(fs::read(tarball).unwrap(), fs::read(other).unwrap());
        assert_eq!(document, found);
    }
}

#[test]
fn every_command_speaks_json() {
    let fixture = Fixture::small();
    let place = Place::new();
    let file = |name: &str| fixture.file(name);
    let candidate = place.json(
        "dump-candidates",
        &[
            "import",
            "--network",
            &file("network.toml"),
            "--fork-config",
            &file("fork_config.json"),
            "--block",
            &file("block.json"),
            "--output",
            "candidate",
        ],
    );
    assert_eq!(candidate, place.document("candidate/candidate.json"));
    for role in ["genesis", "staking", "next"] {
        let output = format!("ledger-{role}");
        let ledger = place.json(
            "migrate-ledger",
            &[
                "--candidate",
                "candidate",
                "--role",
                role,
                "--from",
                "berkeley",
                "--to",
                "mesa",
                "--fork-slot",
                FORK_SLOT,
                "--output",
                &output,
            ],
        );
        assert_eq!(ledger, place.document(&format!("{output}/ledger.json")));
    }
    let network = place.json(
        "generate-network-config",
        &[
            "--network",
            &file("network.toml"),
            "--candidate",
            "candidate",
            "--ledgers",
            "ledger-genesis",
            "ledger-staking",
            "ledger-next",
            "--prefork-config",
            &file("prefork_config.json"),
            "--output",
            "config",
        ],
    );
    assert_eq!(network, place.document("config/network.json"));
    let deb = place.json(
        "package-deb",
        &[
            "--network-config",
            "config",
            "--ledgers",
            "ledger-genesis",
            "--ledgers",
            "ledger-staking",
            "--ledgers",
            "ledger-next",
            "--version",
            "4.0.0",
            "--git-hash",
            "abcdef01",
            "--seed-list-url",
            "https://example.org/seeds.txt",
            "--output",
            "deb",
        ],
    );
    assert_eq!(deb, place.document("deb/deb.json"));
    base_rootfs(&place);
    let image = place.json(
        "package-image",
        &["--deb", "deb", "--base", "rootfs:base", "--output", "image"],
    );
    assert_eq!(image, place.document("image/image.json"));
    assert!(names(&place.path("image")).contains(&"index.json".to_owned()));
    let network_file = file("network.toml");
    let prefork_config = file("prefork_config.json");
    let mut verify = vec!["--candidate", "candidate", "--network", &network_file];
    verify.extend(["--prefork-config", &prefork_config, "--output", "report"]);
    let report = place.json("verify-package", &[&["--deb", "deb"], &verify[..]].concat());
    assert_eq!(report, place.document("report/report.json"));
    assert_eq!(report["failed"], 0, "{report}");

    let tarball = place.tarball("ledger-genesis");
    let root = network["ledgers"][0]["hash"].as_str().unwrap();
    place.json(
        "inspect-ledger",
        &["hash", "--era", "berkeley", &file("staged_ledger.json")],
    );
    place.json("inspect-ledger", &["block", &file("block.json")]);
    place.json("inspect-ledger", &["diff", text(&tarball), text(&tarball)]);
    place.json(
        "inspect-ledger",
        &[
            "tarball-name",
            root,
            "--era",
            "mesa",
            "--prefix",
            "genesis_ledger",
        ],
    );
    let accounts = [
        "accounts",
        "--era",
        "berkeley",
        &file("staged_ledger.json"),
        "--format",
        "json",
    ];
    let lines = place.run("inspect-ledger", &accounts).done();
    assert_eq!(lines.lines().count(), 12);
    for line in lines.lines() {
        let account: Value = serde_json::from_str(line).unwrap();
        assert!(account.is_object(), "{line}");
    }

    let pipeline = self::root()
        .join("pipeline/pipeline.yml")
        .canonicalize()
        .unwrap();
    let variables: Vec<String> = environment([SOURCES[0], &[]])
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut arguments = vec!["--dry-run", "--file", text(&pipeline)];
    arguments.extend(variables.iter().flat_map(|variable| ["--env", variable]));
    let plan = place.json("run-pipeline", &arguments);
    assert_eq!(plan.as_array().map(Vec::len), Some(10));
    no_partial(&place.path(""));
}

/// The least a root file system needs to take a package.
pub fn base_rootfs(place: &Place) {
    for directory in ["base/var/lib/dpkg/info", "base/etc", "base/usr/bin"] {
        fs::create_dir_all(place.path(directory)).unwrap();
    }
    place.write(
        "base/var/lib/dpkg/status",
        "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\n",
    );
    place.write("base/var/lib/dpkg/arch", "amd64\n");
}

#[test]
fn every_command_fails_in_json() {
    let place = Place::new();
    let network = Fixture::small().file("network.toml");
    let lines: [(&str, i32, Vec<&str>); 7] = [
        (
            "dump-candidates",
            5,
            vec![
                "import",
                "--network",
                &network,
                "--fork-config",
                "nowhere",
                "--output",
                "out",
            ],
        ),
        (
            "migrate-ledger",
            5,
            vec![
                "--candidate",
                "nowhere",
                "--role",
                "genesis",
                "--from",
                "berkeley",
                "--to",
                "mesa",
                "--fork-slot",
                FORK_SLOT,
                "--output",
                "out",
            ],
        ),
        (
            "generate-network-config",
            5,
            vec![
                "--network",
                &network,
                "--candidate",
                "nowhere",
                "--ledgers",
                "a",
                "b",
                "c",
                "--prefork-config",
                "p",
                "--output",
                "out",
            ],
        ),
        (
            "package-deb",
            5,
            vec![
                "--network-config",
                "nowhere",
                "--ledgers",
                "a",
                "--version",
                "4.0.0",
                "--git-hash",
                "abcdef01",
                "--seed-list-url",
                "https://example.org/s",
                "--output",
                "out",
            ],
        ),
        (
            "package-image",
            5,
            vec![
                "--deb",
                "nowhere",
                "--base",
                "rootfs:base",
                "--output",
                "out",
            ],
        ),
        (
            "inspect-ledger",
            5,
            vec!["hash", "--era", "mesa", "nowhere"],
        ),
        (
            "run-pipeline",
            5,
            vec!["--file", "nowhere", "--output", "out"],
        ),
    ];
    for (name, code, arguments) in lines {
        let ran = place.run(name, &[&arguments[..], &["--format", "json"]].concat());
        place.nothing_left("out");
        assert_eq!(ran.code, Some(code), "{}\n{}", ran.line, ran.stderr);
        assert_eq!(ran.stdout, "", "{}", ran.line);
        let last = ran.stderr.lines().last().unwrap_or_default();
        let object: Value = serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", ran.line, ran.stderr));
        let error = &object["error"];
        assert_eq!(error["exit_code"], code, "{last}");
        assert_eq!(error["class"], "bad-input", "{last}");
        let words = format!("{} {}", error["message"], error["causes"]);
        assert!(words.contains("nowhere"), "{last}");
    }
}
