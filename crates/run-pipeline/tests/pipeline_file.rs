//! The pipeline file itself: its graph, its time limits, and the command lines it starts. That the
//! workers understand those is checked where the workers are dependencies, in `fork-e2e`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::path::Path;
use std::process::Command;

use run_pipeline::{Environment, Pipeline, commands};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn pipeline() -> Pipeline {
    Pipeline::load(&root().join("pipeline/pipeline.yml")).unwrap()
}

fn environment(more: &[(&str, &str)]) -> Environment {
    [
        ("NETWORK", "devnet"),
        ("PREFORK_CONFIG", "https://example.org/prefork.json"),
        ("VERSION", "4.0.0"),
        ("GIT_HASH", "abcdef01"),
        ("SEED_LIST_URL", "https://example.org/seeds.txt"),
        ("BASE_IMAGE", "rootfs:/base"),
    ]
    .iter()
    .chain(more)
    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    .collect()
}

#[test]
fn graph_is_the_rfc_s_with_the_config_after_the_migrations() {
    let plan = pipeline().resolve(&environment(&[])).unwrap();
    let graph: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{} <- {}", step.step, step.depends_on.join(" ")))
        .collect();
    assert_eq!(
        graph,
        [
            "check-env <- ",
            "import <- check-env",
            "migrate-ledgers <- import",
            "generate-network-config <- import migrate-ledgers",
            "package-deb <- generate-network-config",
            "package-image <- package-deb",
            "verify-package <- import package-deb",
            "verify-image <- import package-image verify-package",
            "manifest <- import migrate-ledgers generate-network-config package-deb package-image \
             verify-package verify-image",
            "facts <- manifest",
        ]
    );
}

/// However slow every step is, the pipeline ends within the six hours.
#[test]
fn time_limits_along_the_longest_path_fit_the_budget() {
    let plan = pipeline().resolve(&environment(&[])).unwrap();
    let mut ends = std::collections::BTreeMap::new();
    for step in &plan.steps {
        let start = step
            .depends_on
            .iter()
            .map(|key| ends[key])
            .max()
            .unwrap_or(0);
        let limit = step.timeout.expect("every step has a limit").as_secs();
        ends.insert(step.step.clone(), start + limit);
    }
    let longest = ends.values().max().unwrap();
    assert!(*longest <= 6 * 60 * 60, "{longest} s");
}

#[test]
fn optional_inputs_appear_only_when_given() {
    let lines = |more: &[(&str, &str)]| -> Vec<String> {
        let all = commands(&pipeline(), &environment(more)).unwrap();
        let all: Vec<String> = all.iter().map(|command| command.join(" ")).collect();
        // Every step ends by handing on what it noted.
        let (notes, all): (Vec<String>, _) = all
            .into_iter()
            .partition(|line| line.starts_with("pipeline-step annotate "));
        assert_eq!(notes.len(), 10);
        assert!(notes.iter().all(|line| line.ends_with("--status 0")));
        let (first, rest) = all.split_first().unwrap();
        assert_eq!(first, "pipeline-step check-env --output environment");
        let (last, rest) = rest.split_last().unwrap();
        assert!(last.starts_with("pipeline-step facts --candidate candidate "));
        rest.to_vec()
    };
    let export = lines(&[("FORK_CONFIG_URL", "f.json")]);
    assert_eq!(export.len(), 8);
    assert_eq!(
        export[0],
        "dump-candidates import --network devnet --prefork-config https://example.org/prefork.json --fork-config f.json --output candidate"
    );
    assert_eq!(
        export[1],
        "migrate-ledger --candidate candidate --role genesis --role staking --role next --from berkeley --to mesa --proof log --output ledgers"
    );
    let store = lines(&[("CANDIDATE_STORE", "s3://b/c"), ("CONFIRMATIONS", "9")]);
    assert_eq!(store.len(), 8);
    assert_eq!(
        store[0],
        "dump-candidates select --network devnet --store s3://b/c --confirmations 9 --output candidate"
    );
    let archive = lines(&[
        ("ARCHIVE_URI", "postgresql://a@h/d"),
        ("ARCHIVE_PASSWORD_FILE", "/p"),
        ("ARCHIVE_GENESIS_ACCOUNTS", "g.json"),
        ("STATE_HASH", "3N"),
        ("BLOCK_URL", "b.json"),
        ("STAKING_LEDGER_URL", "s.json"),
    ]);
    assert_eq!(archive.len(), 8);
    assert_eq!(
        archive[0],
        "materialize-ledger candidate --network devnet --archive-uri postgresql://a@h/d --password-file /p --genesis-accounts g.json --state-hash 3N --prefork-config https://example.org/prefork.json --block b.json --staking-ledger s.json --output candidate"
    );
    // Today's usual names, and today's spelling.
    let today = lines(&[
        ("CONFIG_JSON_GZ_URL", "f.json"),
        ("PRECOMPUTED_FORK_BLOCK_PREFIX", "gs://b/devnet"),
        ("CODENAMES", "Bookworm"),
    ]);
    assert_eq!(
        today[0],
        "dump-candidates import --network devnet --prefork-config https://example.org/prefork.json --fork-config f.json --block-prefix gs://b/devnet --output candidate"
    );
    assert!(today[3].contains(" --codename bookworm "), "{}", today[3]);
    // Whoever names the block needs no prefix.
    let named = lines(&[
        ("FORK_CONFIG_URL", "f.json"),
        ("BLOCK_URL", "b.json"),
        ("BLOCK_PREFIX", "gs://b/devnet"),
    ]);
    assert!(!named[0].contains("prefix"), "{}", named[0]);
    let replayer = lines(&[("REPLAYER_OUTPUT_URL", "r.json"), ("BLOCK_URL", "b.json")]);
    assert_eq!(
        replayer[0],
        "dump-candidates import --network devnet --prefork-config https://example.org/prefork.json --replayer-output r.json --block b.json --output candidate"
    );
    let four = lines(&[
        ("BLOCK_URL", "b.json"),
        ("STAGED_LEDGER_URL", "1.json"),
        ("STAKING_LEDGER_URL", "2.json"),
        ("NEXT_STAKING_LEDGER_URL", "3.json"),
        ("FORK_SLOT", "77"),
        ("VARIANT", "v"),
        ("UNVERIFIED_SOURCE", "1"),
        ("GENESIS_TIMESTAMP", "2026-01-01T00:00:00Z"),
    ]);
    assert_eq!(
        four[0],
        "dump-candidates import --network devnet --prefork-config https://example.org/prefork.json --block b.json --staged-ledger 1.json --staking-ledger 2.json --next-staking-ledger 3.json --output candidate"
    );
    assert_eq!(
        four[1],
        "migrate-ledger --candidate candidate --role genesis --role staking --role next --from berkeley --to mesa --fork-slot 77 --variant v --unverified-source --proof log --output ledgers"
    );
    assert!(four[2].contains("--genesis-timestamp 2026-01-01T00:00:00Z --output"));
    let expected = "--fork-slot 77 --variant v --genesis-timestamp 2026-01-01T00:00:00Z";
    assert!(
        four[5].contains(expected) && four[6].contains(expected),
        "{four:?}"
    );
    assert_eq!(
        export[5],
        "verify-package --deb deb/bookworm --candidate candidate --network devnet --prefork-config https://example.org/prefork.json --store-reading rocksdb --output report/bookworm"
    );
    assert_eq!(
        export[7],
        "sign-release manifest --candidate candidate --ledgers ledgers/genesis --ledgers ledgers/staking --ledgers ledgers/next --network-config network-config --deb deb/* --image image/* --report report/* image-report/* --output manifest"
    );
    let signed = lines(&[
        ("FORK_CONFIG_URL", "f.json"),
        ("SIGNING_KEY_FILE", "/k e y"),
    ]);
    assert_eq!(signed[..8], export);
    assert_eq!(
        signed[8..],
        [
            "sign-release sign --manifest manifest/manifest.json --artifacts ledgers/genesis ledgers/staking ledgers/next network-config deb/* image/* --key /k e y --output manifest/manifest.intoto.json"
        ]
    );
}

/// Values with spaces, quotes and dollar signs stay one argument each.
#[test]
fn values_reach_the_workers_unchanged() {
    let nasty = "a b\"c'd$(touch x)`e`$HOME*;\nf";
    let all = commands(
        &pipeline(),
        &environment(&[
            ("NETWORK", nasty),
            ("FORK_CONFIG_URL", nasty),
            ("VERSION", nasty),
        ]),
    )
    .unwrap();
    let found = all.iter().flatten().filter(|word| *word == nasty).count();
    assert_eq!(found, 6, "{all:?}");
}

#[test]
fn all_are_valid_buildkite_pipelines() {
    let mut files = 0;
    for entry in std::fs::read_dir(root().join("pipeline")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yml") {
            continue;
        }
        files += 1;
        let output = Command::new(root().join("scripts/check-pipeline-schema"))
            .arg(&path)
            .output()
            .unwrap();
        // 6: the machine lacks Python or the network. That is excusable on a desk, not in CI.
        if output.status.code() == Some(6) && std::env::var_os("CI").is_none() {
            return;
        }
        assert!(
            output.status.success(),
            "{}: {}{}",
            path.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(files >= 5, "{files}");
}

/// What a step reads by the path in a variable, its container has: read-only, each at a place of its own,
/// also when nothing is set.
#[test]
fn files_of_the_agent_are_mounted_where_they_are_read() {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(root().join("pipeline")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
        let steps = file["steps"].as_sequence().unwrap();
        for step in steps.iter().filter(|step| step.get("command").is_some()) {
            let key = step["key"].as_str().unwrap();
            let place = format!("{}: {key}", path.display());
            let options = &step["plugins"][0]["docker#v5.13.0"];
            let texts = |value: &yaml_serde::Value| -> Vec<String> {
                let items = value.as_sequence().map_or(&[][..], |items| items);
                items
                    .iter()
                    .map(|item| item.as_str().unwrap().to_owned())
                    .collect()
            };
            let volumes = texts(&options["volumes"]);
            let script = texts(&step["command"]).join("\n");
            let words = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let mut names: Vec<String> = words
                .filter(|word| word.ends_with("_FILE"))
                .map(str::to_owned)
                .collect();
            let passed = texts(&options["environment"]);
            names.extend(
                passed
                    .into_iter()
                    .filter(|name| name == "GOOGLE_APPLICATION_CREDENTIALS"),
            );
            names.sort();
            names.dedup();
            for name in names {
                let (begin, middle) = (format!("${{{name}"), format!(":${{{name}"));
                let is_mount = |volume: &&String| {
                    volume.starts_with(&begin)
                        && volume.contains(&middle)
                        && volume.ends_with(":ro")
                };
                assert_eq!(
                    volumes.iter().filter(is_mount).count(),
                    1,
                    "{place}: {name}"
                );
                seen.push(format!("{key} {name}"));
            }
            let none = Environment::from(
                ["RELEASE", "ARTIFACTS", "LOG_KEY_FILE"]
                    .map(|name| (name.to_owned(), format!("/{name}"))),
            );
            let mut places: Vec<String> = volumes
                .iter()
                .map(|volume| {
                    let volume = run_pipeline::interpolate(volume, &none).unwrap();
                    volume.split(':').nth(1).unwrap().to_owned()
                })
                .collect();
            let count = places.len();
            places.sort();
            places.dedup();
            assert_eq!(places.len(), count, "{place}: {places:?}");
        }
    }
    for expected in [
        "import ARCHIVE_PASSWORD_FILE",
        "import GOOGLE_APPLICATION_CREDENTIALS",
        "verify-package GOOGLE_APPLICATION_CREDENTIALS",
        "manifest SIGNING_KEY_FILE",
        "candidates GOOGLE_APPLICATION_CREDENTIALS",
        "promote EFFECTS_FILE",
        "promote LOG_KEY_FILE",
        "record APPROVER_KEY_FILE",
    ] {
        assert!(
            seen.iter().any(|one| one == expected),
            "{expected}: {seen:?}"
        );
    }
}

/// Only what may go away by itself is tried again: the workers' class for the environment, a lost or
/// stopped agent, an engine that could not start. Plugins are pinned, and a step that signs is alone.
#[test]
fn retries_are_for_the_environment_and_plugins_are_pinned() {
    for entry in std::fs::read_dir(root().join("pipeline")).unwrap() {
        let path = entry.unwrap().path();
        let environment = environment(&[
            ("CANDIDATE_STORE", "store"),
            ("RELEASE", "/release"),
            ("STAGE", "publish"),
            ("ARTIFACTS", "/artifacts"),
            ("LOG_KEY_FILE", "/log.pem"),
        ]);
        let mut text = std::fs::read_to_string(&path).unwrap();
        // A part of a pipeline lacks the steps that it depends on.
        let is_part = path.ends_with("sharded-migration.yml");
        if is_part {
            text = text.replace("steps:\n", "steps:\n  - { key: import, command: x }\n");
        }
        let pipeline = Pipeline::parse(text.as_bytes()).unwrap();
        let plan = pipeline.resolve(&environment).unwrap();
        let own = |step: &&run_pipeline::Step| !(is_part && step.key == "import");
        for step in plan
            .steps
            .iter()
            .filter(own)
            .filter(|step| step.gate.is_none())
        {
            let place = format!("{}: {}", path.display(), step.key);
            let retried: Vec<Option<i64>> =
                step.retries.iter().map(|retry| retry.exit_status).collect();
            let expected = [6, -1, 255, 125].map(Some);
            assert_eq!(retried, expected, "{place}");
            assert!(
                step.in_container,
                "{place} does not run in the pinned image"
            );
            assert!(step.timeout.is_some(), "{place} has no limit");
        }
        for line in text
            .lines()
            .filter(|line| line.trim().starts_with("- docker#"))
        {
            assert_eq!(line.trim(), "- docker#v5.13.0:", "{}", path.display());
        }
    }
    let plan = pipeline().resolve(&environment(&[])).unwrap();
    let manifest = plan
        .steps
        .iter()
        .find(|step| step.key == "manifest")
        .unwrap();
    let alone = manifest.concurrency.as_ref().unwrap();
    assert_eq!(
        (alone.limit, alone.group.as_str()),
        (1, "forkpack/manifest/devnet")
    );
}
