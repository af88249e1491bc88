//! Every JSON output against its published schema, by a validator that is not ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::CommandFactory;
use fork_sign::Envelope;
use serde_json::{Value, json};

use crate::place::Place;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `scripts/check-json-schema`, whose tools may be missing where there is no package index.
fn validate(schema: &str, documents: &[(String, PathBuf)]) -> Option<Output> {
    let mut command = Command::new(root().join("scripts/check-json-schema"));
    command.arg(root().join("docs/schemas").join(schema));
    for (name, path) in documents {
        command.arg(format!("{name}={}", path.display()));
    }
    let output = command.output().unwrap();
    if output.status.code() == Some(6) {
        assert!(
            std::env::var_os("CI").is_none(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        eprintln!("NOT TESTED: JSON schemas, because their validator cannot be had");
        return None;
    }
    Some(output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the commands print, each under the name of its definition.
struct Outputs {
    directory: PathBuf,
    documents: Vec<(String, PathBuf)>,
}

impl Outputs {
    fn keep(&mut self, name: &str, value: &Value) {
        let path = self
            .directory
            .join(format!("{name}-{}.json", self.documents.len()));
        fs::write(&path, serde_json::to_string(value).unwrap()).unwrap();
        self.documents.push((name.to_owned(), path));
    }
}

/// A release that has everything: facts of every sort, votes, waivers, effects, refusals.
fn outputs(place: &Place) -> Outputs {
    let directory = place.path("outputs");
    fs::create_dir(&directory).unwrap();
    let mut all = Outputs {
        directory,
        documents: Vec::new(),
    };
    let mut run = |name: &str, line: &str| {
        let value = place.json(line);
        all.keep(name, &value);
    };
    let time = |minute: u32| format!("--now 2026-01-01T00:{minute:02}:00Z");
    run(
        "lint",
        "lint mina-hardfork splice-sv-bugfix optimism-train mithril-release spacemesh-cycle",
    );
    for rule in ["S-19", "O-21", "M-09", "P-16", "H-01"] {
        run("explain", &format!("explain {rule}"));
    }
    run(
        "next-version",
        "next-version --policy splice-sv-bugfix --base 0.4.18",
    );
    run(
        "next-version",
        "next-version --policy spacemesh-cycle --base 1.2.3 --kind candidate",
    );
    run(
        "keys",
        "keys --role ci=ci.pub --role partners=p1.pub --role partners=p2.pub --log log.pub --expires p2.pub=2030-01-01T00:00:00Z --output keys-2.toml",
    );
    run(
        "open",
        &format!(
            "open --release s --id s1 --policy policy.toml --keys keys-2.toml --log-key log.pem {}",
            time(0)
        ),
    );
    run(
        "record",
        &format!(
            "record manifest --release r --manifest manifest.toml --artifacts files --key ci.pem --log-key log.pem {}",
            time(1)
        ),
    );
    run(
        "record",
        &format!(
            "record approve --release r --stage publish --item go --by p1 --key p1.pem --sign-only p1.json {}",
            time(1)
        ),
    );
    run(
        "check",
        &format!(
            "check --release r --to publish --artifacts files {}",
            time(2)
        ),
    );
    run(
        "check",
        &format!("check --release r --to publish {}", time(2)),
    );
    for (point, minute) in [("enter", 2), ("exit", 3)] {
        run(
            "promote",
            &format!(
                "promote --release r --to build --on {point} --artifacts files --log-key log.pem {}",
                time(minute)
            ),
        );
    }
    run(
        "promote",
        &format!(
            "promote --release r --to build --artifacts files --log-key log.pem {}",
            time(4)
        ),
    );
    run(
        "promote",
        &format!(
            "promote --release r --to publish --artifacts files --log-key log.pem --effects effects.toml {}",
            time(4)
        ),
    );
    for (who, minute) in [("p1", 5), ("p2", 6)] {
        run(
            "record",
            &format!(
                "record approve --release r --stage publish --item go --by {who} --key {who}.pem --log-key log.pem {}",
                time(minute)
            ),
        );
    }
    run("obligations", "obligations --release r");
    // Allowed, and nothing done yet; then allowed and done.
    place.write("broken.toml", "[executor.suite]\nrun = [\"false\"]\ncheck = [\"false\"]\n[executor.tag]\nrun = [\"false\"]\ncheck = [\"false\"]\n");
    place.run(
        &format!(
            "promote --release r --to publish --artifacts files --log-key log.pem --effects broken.toml {}",
            time(7)
        ),
        6,
    );
    let again = format!(
        "check --release r --to publish --artifacts files {}",
        time(7)
    );
    run("check", &again);
    run(
        "promote",
        &format!(
            "promote --release r --to publish --artifacts files --log-key log.pem --effects effects.toml {}",
            time(7)
        ),
    );
    run("check", &again);
    for name in ["status", "audit", "announcement", "postmortem"] {
        run(name, &format!("{name} --release r"));
    }
    run("practice", "practice --output out");
    run(
        "info-page",
        "info-page --release r out/mina-hardfork/release --out pages",
    );
    // Releases of every process: with a vote, waivers, failures and things that are owed.
    let mut names: Vec<_> = fs::read_dir(place.path("out"))
        .unwrap()
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "pages")
        .collect();
    names.sort();
    for name in &names {
        for command in ["status", "audit", "obligations", "postmortem"] {
            run(command, &format!("{command} --release out/{name}/release"));
        }
    }
    run(
        "practice",
        "practice splice-sv-bugfix --before proposal --output early",
    );
    let early = "--release early/splice-sv-bugfix/release --key early/splice-sv-bugfix/keys/maintainer-0.pem --log-key early/splice-sv-bugfix/keys/log-0.pem";
    let raw = place.path("out/splice-sv-bugfix/release/raw");
    let proposal = fs::read_dir(raw)
        .unwrap()
        .map(|one| one.unwrap().path())
        .find(|path| {
            fs::read_to_string(path)
                .unwrap()
                .contains("reconcile_release")
        })
        .unwrap();
    run(
        "open-proposal",
        &format!("open-proposal {early} --file {}", proposal.display()),
    );
    for path in fs::read_dir(place.path("pages")).unwrap() {
        let path = path.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            all.documents.push(("status".to_owned(), path));
        }
    }
    all
}

#[test]
fn a67_every_json_output_is_as_its_schema_says() {
    let place = Place::opened();
    place.write("effects.toml", "[executor.suite]\nrun = [\"touch\", \"suite\"]\ncheck = [\"test\", \"-e\", \"suite\"]\n[executor.tag]\nrun = [\"touch\", \"tag\"]\ncheck = [\"test\", \"-e\", \"tag\"]\n");
    let all = outputs(&place);
    // Each command has its definition, and each definition of a command was looked at.
    let commands: BTreeSet<String> = promote_release::Args::command()
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    let seen: BTreeSet<String> = all.documents.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(seen, commands);
    let Some(output) = validate("promote-release.json", &all.documents) else {
        return;
    };
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    // A schema that lets everything through is none.
    let (_, check) = all
        .documents
        .iter()
        .find(|(name, _)| name == "check")
        .unwrap();
    let good: Value = serde_json::from_slice(&fs::read(check).unwrap()).unwrap();
    let broken: [fn(&mut Value); 5] = [
        |one| one["verdict"] = json!("MAYBE"),
        |one| one["more"] = json!(1),
        |one| {
            one.as_object_mut().unwrap().remove("gates");
        },
        |one| one["now"] = json!("2026-01-01T01:00:00+01:00"),
        |one| one["gates"][0]["outcome"] = json!("passed"),
    ];
    for change in broken {
        let mut bad = good.clone();
        change(&mut bad);
        let path = place.path("bad.json");
        fs::write(&path, bad.to_string()).unwrap();
        let output = validate("promote-release.json", &[("check".to_owned(), path)]).unwrap();
        assert_eq!(output.status.code(), Some(4), "{bad}");
    }
}

/// Lines of logs and the predicates of our own, of every practice.
#[test]
fn a67_records_are_as_their_schema_says() {
    let place = Place::with_keys(&[]);
    place.run("practice --output out", 0);
    let own = "https://github.com/forkpack/forkpack/attestation/";
    let mut documents = Vec::new();
    let mut kinds = BTreeSet::new();
    let mut predicates = BTreeSet::new();
    fs::create_dir(place.path("predicates")).unwrap();
    for practice in fs::read_dir(place.path("out")).unwrap() {
        let release = practice.unwrap().path().join("release");
        if !release.exists() {
            continue;
        }
        documents.push(("entry".to_owned(), release.join("log.jsonl")));
        for evidence in fs::read_dir(release.join("evidence")).unwrap() {
            let bytes = fs::read(evidence.unwrap().path()).unwrap();
            let envelope = Envelope::from_json(&bytes).unwrap();
            let statement: Value = serde_json::from_slice(envelope.unverified_payload()).unwrap();
            let Some(name) = statement["predicateType"]
                .as_str()
                .unwrap()
                .strip_prefix(own)
            else {
                continue;
            };
            let name = name.strip_suffix("/v1").unwrap();
            if let Some(kind) = statement["predicate"]["seen"]["kind"].as_str() {
                kinds.insert(kind.to_owned());
            }
            predicates.insert(name.to_owned());
            let path = place.path(&format!("predicates/{}.json", documents.len()));
            fs::write(&path, statement["predicate"].to_string()).unwrap();
            documents.push((name.to_owned(), path));
        }
    }
    assert!(kinds.len() >= 20, "{kinds:?}");
    assert_eq!(
        predicates.iter().map(String::as_str).collect::<Vec<_>>(),
        ["approval", "deployment", "observation", "vote"]
    );
    // The sixth, a decision, is in the log; a waiver as the command line writes it.
    let waiver = place.path("waiver.json");
    fs::write(&waiver, json!({"for": {"release": "r", "stage": "*", "attempt": 0}, "gate": "H-01", "hits": [], "reason": "a", "risk": "b", "at": "2026-01-01T00:00:00Z", "expires": "2026-01-02T00:00:00Z"}).to_string()).unwrap();
    documents.push(("waiver".to_owned(), waiver));
    let Some(output) = validate("release-record.json", &documents) else {
        return;
    };
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let bad = place.path("bad.json");
    fs::write(&bad, "{\"wave\": 1}").unwrap();
    let output = validate("release-record.json", &[("observation".to_owned(), bad)]).unwrap();
    assert_eq!(output.status.code(), Some(4));
}
