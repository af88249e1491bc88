//! `pipeline-step` on real runs: the facts, what the workers noted, and a generated pipeline that runs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::signing::{ALICE, manifest_line};
use crate::support::{Fixture, Place, names, no_partial, text};

/// The directories of a release, as `facts` is told of them.
const RUN: [&str; 16] = [
    "facts",
    "--candidate",
    "candidate",
    "--ledgers",
    "ledgers/next",
    "ledgers/genesis",
    "ledgers/staking",
    "--network-config",
    "config",
    "--deb",
    "deb",
    "--image",
    "image",
    "--report",
    "report",
    "image-report",
];

/// The documents that `facts` needs, and nothing else of a release.
const DOCUMENTS: [&str; 11] = [
    "candidate/candidate.json",
    "ledgers/genesis/ledger.json",
    "ledgers/staking/ledger.json",
    "ledgers/next/ledger.json",
    "config/network.json",
    "deb/deb.json",
    "image/image.json",
    "report/report.json",
    "image-report/report.json",
    "manifest/manifest.json",
    "manifest/manifest.intoto.json",
];

fn facts_line(output: &'static str) -> Vec<&'static str> {
    [&RUN[..], &["--manifest", "manifest", "--output", output]].concat()
}

/// A signed release.
fn release() -> Place {
    let place = ALICE.build(|_| {});
    place.run("sign-release", &manifest_line("manifest")).done();
    place
        .run("sign-release", &["keygen", "--output", "key"])
        .done();
    let mut line = vec![
        "sign",
        "--manifest",
        "manifest/manifest.json",
        "--artifacts",
    ];
    line.extend([
        "ledgers/genesis",
        "ledgers/staking",
        "ledgers/next",
        "config",
        "deb",
        "image",
    ]);
    line.extend(["--key", "key/signing-key.pem"]);
    line.extend(["--output", "manifest/manifest.intoto.json"]);
    place.run("sign-release", &line).done();
    place
}

/// The documents of a release alone, as a step would have fetched them.
fn documents_of(release: &Place) -> Place {
    let place = Place::new();
    for name in DOCUMENTS {
        let to = place.path(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(release.path(name), to).unwrap();
    }
    place
}

#[test]
fn the_fork_is_on_one_screen() {
    let release = release();
    let place = documents_of(&release);
    let screen = place.run("pipeline-step", &facts_line("facts")).done();
    assert_eq!(
        names(&place.path("facts")),
        ["facts.json", "facts.md", "facts.txt"]
    );
    assert_eq!(
        fs::read_to_string(place.path("facts/facts.txt")).unwrap(),
        screen
    );
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines.len() <= 50, "{screen}");
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    let model = &Fixture::small().model;
    let deb = place.document("deb/deb.json");
    let image = place.document("image/image.json");
    let digest = image["manifest_digest"]
        .as_str()
        .unwrap()
        .trim_start_matches("sha256:");
    let key = fs::read_to_string(place.path("manifest/manifest.intoto.json")).unwrap();
    let key: Value = serde_json::from_str(&key).unwrap();
    for needle in [
        &model.ledgers.genesis.root.to_string(),
        &model.ledgers.staking.root.to_string(),
        &model.ledgers.next.root.to_string(),
        deb["file"]["sha256"].as_str().unwrap(),
        digest,
        key["signatures"][0]["keyid"].as_str().unwrap(),
        "958440 since genesis",
        "2026-09-03T18:00:00Z",
        "chain end     slot 393900 since last fork",
        "no warnings",
        "verification  passed: ",
    ] {
        assert!(screen.contains(needle), "no {needle} in\n{screen}");
    }
    let facts = place.document("facts/facts.json");
    assert_eq!(facts["warnings"], serde_json::json!([]));
    assert!(
        facts["comparisons"].as_u64().unwrap() >= 60,
        "{}",
        facts["comparisons"]
    );
    let markdown = fs::read_to_string(place.path("facts/facts.md")).unwrap();
    assert!(markdown.contains(digest), "{markdown}");
    // What a person should know comes first.
    let mut candidate = place.document("candidate/candidate.json");
    candidate["warnings"] = serde_json::json!(["look here"]);
    let bare = documents_of(&release);
    let name = "candidate/candidate.json";
    fs::write(bare.path(name), candidate.to_string()).unwrap();
    let line = [&RUN[..13], &["--output", "facts"]].concat();
    bare.run("pipeline-step", &line)
        .refused(4, &["candidate/candidate.json", "ledger.json"]);
    let bare = documents_of(&release);
    let unverified = bare.run("pipeline-step", &line).done();
    let second = unverified.lines().nth(1).unwrap();
    assert!(
        second.starts_with("!!  the package ") && second.contains("was not verified"),
        "{unverified}"
    );
}

/// One value changed in one document: exit code 4, and both documents by name.
#[test]
fn documents_that_contradict_each_other_are_named() {
    let release = release();
    let other_root = Fixture::small().model.ledgers.next.root.to_string();
    let digest = "0a".repeat(32);
    let cases: [(&str, &str, Value, &str); 14] = [
        (
            "ledgers/genesis/ledger.json",
            "/target/root",
            other_root.as_str().into(),
            "config/network.json",
        ),
        (
            "ledgers/staking/ledger.json",
            "/source/root",
            other_root.as_str().into(),
            "candidate/candidate.json",
        ),
        (
            "ledgers/next/ledger.json",
            "/source/accounts",
            7.into(),
            "candidate/candidate.json",
        ),
        (
            "ledgers/genesis/ledger.json",
            "/candidate/sha256",
            digest.as_str().into(),
            "candidate/candidate.json",
        ),
        (
            "ledgers/staking/ledger.json",
            "/rule/fork_slot",
            7.into(),
            "ledgers/genesis/ledger.json",
        ),
        (
            "ledgers/next/ledger.json",
            "/tarball/file/sha256",
            digest.as_str().into(),
            "config/network.json",
        ),
        (
            "ledgers/next/ledger.json",
            "/tarball/s3_data_hash",
            digest.as_str().into(),
            "config/network.json",
        ),
        (
            "config/network.json",
            "/fork/blockchain_length",
            7.into(),
            "candidate/candidate.json",
        ),
        (
            "deb/deb.json",
            "/network_document_sha256",
            digest.as_str().into(),
            "config/network.json",
        ),
        (
            "deb/deb.json",
            "/file/sha256",
            digest.as_str().into(),
            "image/image.json",
        ),
        (
            "image/image.json",
            "/manifest_digest",
            format!("sha256:{digest}").into(),
            "image-report/report.json",
        ),
        (
            "report/report.json",
            "/candidate_sha256",
            digest.as_str().into(),
            "candidate/candidate.json",
        ),
        (
            "report/report.json",
            "/roots/genesis",
            other_root.as_str().into(),
            "ledgers/genesis/ledger.json",
        ),
        (
            "report/report.json",
            "/subject/sha256",
            digest.as_str().into(),
            "deb/deb.json",
        ),
    ];
    for (name, pointer, value, other) in cases {
        let place = documents_of(&release);
        let mut document = place.document(name);
        let member = document
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{name} {pointer}"));
        assert_ne!(*member, value);
        *member = value;
        fs::write(place.path(name), document.to_string()).unwrap();
        place
            .run("pipeline-step", &facts_line("facts"))
            .refused(4, &[name, other]);
        place.nothing_left("facts");
    }
    // Every file of the package.
    let place = documents_of(&release);
    let mut deb = place.document("deb/deb.json");
    let count = deb["contents"].as_array().unwrap().len();
    let ledgers: Vec<usize> = (0..count)
        .filter(|index| {
            deb["contents"][index]["path"]
                .as_str()
                .unwrap()
                .contains("_ledger_")
        })
        .collect();
    assert!(ledgers.len() >= 2);
    for index in ledgers {
        deb["contents"][index]["sha256"] = digest.as_str().into();
    }
    fs::write(place.path("deb/deb.json"), deb.to_string()).unwrap();
    place.run("pipeline-step", &facts_line("facts")).refused(
        4,
        &[
            "deb/deb.json",
            "config/network.json",
            "/var/lib/coda/genesis_ledger_",
        ],
    );
    // A signature over something else.
    let place = documents_of(&release);
    let mut manifest = fs::read_to_string(place.path("manifest/manifest.json")).unwrap();
    manifest.push('\n');
    fs::write(place.path("manifest/manifest.json"), manifest).unwrap();
    place.run("pipeline-step", &facts_line("facts")).refused(
        4,
        &["manifest/manifest.json", "manifest/manifest.intoto.json"],
    );
    // A verification that failed is no contradiction: the facts are written, and the step fails.
    let place = documents_of(&release);
    let mut report = place.document("report/report.json");
    report["checks"][0]["outcome"] = "failed".into();
    fs::write(place.path("report/report.json"), report.to_string()).unwrap();
    let ran = place.run("pipeline-step", &facts_line("facts"));
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(
        ran.stdout.lines().nth(1).unwrap().contains("FAILED"),
        "{}",
        ran.stdout
    );
    assert!(place.path("facts/facts.json").exists());
    // Two of one role.
    let place = documents_of(&release);
    let mut line = facts_line("facts");
    line[4] = "ledgers/genesis";
    place
        .run("pipeline-step", &line)
        .refused(2, &["genesis, genesis, staking"]);
}

#[test]
fn every_worker_notes_what_it_did() {
    let place = ALICE.noting().build(|_| {});
    let with = |name: &str, arguments: &[&str]| {
        let mut command = place.command(name, arguments);
        command.env("FORKPACK_ANNOTATION", "annotation.md");
        crate::support::ended(&mut command)
    };
    with("sign-release", &manifest_line("manifest")).done();
    let noted = || fs::read_to_string(place.path("annotation.md")).unwrap();
    let note = noted();
    let headings: Vec<&str> = note
        .lines()
        .filter(|line| line.starts_with("### "))
        .collect();
    assert_eq!(
        headings,
        [
            "### dump-candidates: done",
            "### migrate-ledger: done",
            "### generate-network-config: done",
            "### package-deb: done",
            "### package-image: done",
            "### verify-package: done",
            "### verify-package: done",
            "### sign-release: done",
        ]
    );
    let roots = &Fixture::small().model.ledgers;
    let deb = place.document("deb/deb.json");
    let image = place.document("image/image.json");
    let digest = image["manifest_digest"]
        .as_str()
        .unwrap()
        .replace(':', "&#58;");
    let ledger = place.document("ledgers/next/ledger.json");
    for needle in [
        &roots.genesis.root.to_string(),
        &roots.next.root.to_string(),
        ledger["target"]["root"].as_str().unwrap(),
        ledger["tarball"]["s3_data_hash"].as_str().unwrap(),
        deb["file"]["sha256"].as_str().unwrap(),
        &digest,
        "| verdict | passed |",
    ] {
        assert!(note.contains(needle), "no {needle} in\n{note}");
    }
    assert_eq!(note.matches(" of memory\n").count(), 8, "{note}");
    // What failed says why: a check, a broken input, a command line.
    let package = place
        .path("deb")
        .join(deb["file"]["name"].as_str().unwrap());
    let mut bytes = fs::read(&package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(place.path("changed.deb"), bytes).unwrap();
    let network = Fixture::small().file("network.toml");
    let prefork = Fixture::small().file("prefork_config.json");
    let mut line = vec![
        "--deb",
        "changed.deb",
        "--candidate",
        "candidate",
        "--network",
        &network,
    ];
    line.extend(["--prefork-config", &prefork, "--output", "changed-report"]);
    let ran = with("verify-package", &line);
    assert!(matches!(ran.code, Some(4 | 5)), "{}", ran.stderr);
    let note = noted();
    assert!(note.contains("### verify-package: failed ("), "{note}");
    assert!(note.contains("| verdict | FAILED |"), "{note}");
    let ran = with(
        "package-deb",
        &["--network-config", "nowhere", "--output", "x"],
    );
    assert_eq!(ran.code, Some(2));
    assert!(
        noted().contains("### package-deb: failed (usage, exit code 2)"),
        "{}",
        noted()
    );
    let mut line = vec![
        "--network-config",
        "nowhere",
        "--version",
        "4.0.0",
        "--output",
        "x",
    ];
    line.extend([
        "--git-hash",
        "abcdef01",
        "--seed-list-url",
        "https://example.org/s",
    ]);
    line.extend([
        "--ledgers",
        "ledgers/genesis",
        "ledgers/staking",
        "ledgers/next",
    ]);
    let ran = with("package-deb", &line);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    let note = noted();
    assert!(
        note.contains("### package-deb: failed (bad-input, exit code 5)"),
        "{note}"
    );
    assert!(note.contains("nowhere"), "{note}");
    // Nothing is noted for what is asked only.
    let before = noted();
    with("package-deb", &["--help"]).done();
    assert_eq!(noted(), before);
    no_partial(&place.path(""));
}

/// The pipeline of two networks: each step sees the artifacts and meta-data of its own.
#[test]
fn networks_of_a_generated_pipeline_do_not_mix() {
    let place = Place::new();
    place.write(
        "pipeline.yml",
        r#"
env:
  NETWORK: "${NETWORK?the network}"
  VALUE: "${VALUE:-${OLD_VALUE:-}}"
  OLD_VALUE: "${OLD_VALUE:-}"
steps:
  - key: make
    command:
      - mkdir out
      - printf '%s' "$$NETWORK:$$VALUE" >out/value
      - buildkite-agent meta-data set done "$$NETWORK"
    artifact_paths: out/*
  - key: use
    depends_on: make
    command:
      - trap 'pipeline-step annotate --status "$$?"' EXIT
      - buildkite-agent artifact download "out/*" .
      - buildkite-agent artifact download "out/*" . --step make
      - test "$$(cat out/value)" = "$$NETWORK:$$VALUE"
      - test "$$(buildkite-agent meta-data get done)" = "$$NETWORK"
      - mkdir result
      - cp out/value result/
    artifact_paths: result/*
"#,
    );
    place.write(
        "networks.yml",
        "devnet: { OLD_VALUE: 'a $b ${c} \"d\"' }\nmainnet: { VALUE: 7 }\n",
    );
    let line = [
        "generate",
        "--file",
        "pipeline.yml",
        "--networks",
        "networks.yml",
    ];
    let generated = place.run("pipeline-step", &line).done();
    place.write("generated.yml", generated);
    let line = [
        "--file",
        "generated.yml",
        "--output",
        "out",
        "--env",
        "VALUE=stray",
    ];
    place.run("run-pipeline", &line).done();
    let kept = |step: &str, path: &str| {
        let path = place.path(&format!("out/artifacts/{step}/{path}"));
        fs::read_to_string(Path::new(text(&path))).unwrap()
    };
    assert_eq!(
        kept("devnet-use", "devnet/result/value"),
        "devnet:a $b ${c} \"d\""
    );
    assert_eq!(kept("mainnet-use", "mainnet/result/value"), "mainnet:7");
}
