//! What leads a release: policies, keys, logs, envelopes, facts, documents and mails.

use std::collections::{BTreeMap, BTreeSet};

use fork_sign::{Envelope, PAYLOAD_TYPE, SecretKey, TrustedKeys};
use release_policy::document::{
    self, Announcement, CaptureRecord, Chains, GovernanceProposal, IncidentRecord, Plan, Proposal,
    Roster, Train,
};
use release_policy::mail::Mail;
use release_policy::policy::Keys;
use release_policy::state::State;
use release_policy::{
    Body, Digest, Entry, Evidence, Grammar, Log, Point, Policy, Question, Store, Time, Verified,
    audit, decide,
};
use serde_json::{Value, json};

use crate::shown;

const POLICIES: [&str; 5] = [
    include_str!("../../../policies/splice-sv-bugfix.toml"),
    include_str!("../../../policies/optimism-train.toml"),
    include_str!("../../../policies/mithril-release.toml"),
    include_str!("../../../policies/spacemesh-cycle.toml"),
    include_str!("../../../policies/mina-hardfork.toml"),
];
const PRACTICES: [&str; 5] = [
    include_str!("../../promote-release/practice/splice-sv-bugfix.json"),
    include_str!("../../promote-release/practice/optimism-train.json"),
    include_str!("../../promote-release/practice/mithril-release.json"),
    include_str!("../../promote-release/practice/spacemesh-cycle.json"),
    include_str!("../../promote-release/practice/mina-hardfork.json"),
];
/// Longest refusal of a document, which is no error type.
const WORDS_BYTES_MAX: usize = 8 << 10;

fn brief(words: &str) {
    assert!(words.len() <= WORDS_BYTES_MAX, "{} bytes", words.len());
}

/// A policy that is read is read the same again, with each of its options, and explains each of its rules.
pub(crate) fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Policy::parse(text) {
        Ok(policy) => {
            assert_eq!(policy.digest, Digest::of(data));
            for gate in &policy.gates {
                assert!(policy.explain(&gate.id).is_some());
                assert!(policy.roles.contains_key(&gate.signed_by));
                assert!(gate.stage == "*" || policy.stage(&gate.stage).is_some());
            }
            for option in policy.options.keys() {
                let with = Policy::parse_with(text, &[option]).expect("an option was checked");
                assert_eq!(with.digest, policy.digest);
            }
            // Nobody has a word without keys.
            let lonely = policy
                .roles
                .values()
                .any(|role| (role.keys.len() as u64) < u64::from(role.threshold));
            assert_eq!(policy.with_keys("[roles]\n").is_err(), lonely);
        }
        Err(error) => drop(shown(&error)),
    }
    match Keys::parse(text) {
        Ok(keys) => {
            let end: Time = "9999-01-01T00:00:00Z".parse().expect("a time");
            for (key, at) in &keys.expires {
                assert_eq!(keys.expired(key, *at), Some(*at));
                assert_eq!(keys.expired(key, end).is_some(), *at <= end);
            }
        }
        Err(error) => drop(shown(&error)),
    }
}

/// A log that is read is written the same; every part of it has a good chain; nothing in it makes the
/// engine stop otherwise than by an answer.
pub(crate) fn log(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    one_log(text);
    // By chance no chain is right: numbers and digests are put right.
    one_log(&chained(text));
}

fn one_log(text: &str) {
    let log = match Log::parse(text) {
        Ok(log) => log,
        Err(error) => return drop(shown(&error)),
    };
    assert_eq!(log.text(), text);
    for count in 0..log.entries().len() {
        let before = log.before(count);
        assert_eq!(
            Log::parse(&before.text()).expect("a beginning").head(),
            before.head()
        );
        assert!(before.expect_head(&log.head()).is_err());
    }
    for policy in POLICIES {
        let policy = Policy::parse(policy).expect("it ships");
        let store = Store::default();
        if let Err(error) = State::read(&policy, &log, &store) {
            shown(&error);
        }
        let problems = audit(&policy, "", text, &log.head(), &store);
        problems
            .iter()
            .for_each(|problem| brief(&problem.to_string()));
        let question = Question {
            stage: policy.stages[0].name.clone(),
            point: Point::Enter,
            now: log.entries().last().map_or_else(now, |entry| entry.at),
            measured: BTreeMap::new(),
        };
        if let Err(error) = decide(&policy, &log, &store, &question) {
            shown(&error);
        }
    }
}

fn now() -> Time {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

/// The entries there are, in a chain.
fn chained(text: &str) -> String {
    let mut log = Log::default();
    for line in text.lines() {
        if let Ok(entry) = serde_json::from_str::<Entry>(line) {
            // A time before the last one is refused, which is fine.
            let _ = log.push(entry.at, entry.body);
        }
    }
    log.text()
}

/// An envelope that is read comes back, and no signature is good but over its own bytes.
pub(crate) fn envelope(data: &[u8]) {
    let envelope = match Envelope::from_json(data) {
        Ok(envelope) => envelope,
        Err(error) => return drop(shown(&error)),
    };
    let written = envelope.to_json().expect("envelopes are JSON");
    let again = Envelope::from_json(&written).expect("what was written is read");
    assert_eq!(again.signed_bytes(), envelope.signed_bytes());
    assert_eq!(again.signature_count(), envelope.signature_count());
    let key = key();
    let mut keys = TrustedKeys::new();
    keys.insert(key.public().clone()).expect("one key");
    match envelope.verify(&keys, 1, &[PAYLOAD_TYPE]) {
        Ok(verified) => {
            if let Some(payload) = verified.payload() {
                // The key has signed its own statements, and nothing that was changed.
                let signed = statements().iter().any(|one| one.as_slice() == payload);
                assert!(signed, "a signature over something else");
                evidence(payload);
            }
        }
        Err(error) => drop(shown(&error)),
    }
    evidence(envelope.unverified_payload());
}

/// A fact in a statement, a document, a mail, a version: whatever a release is told.
pub(crate) fn evidence(data: &[u8]) {
    let verified = Verified {
        envelope: Digest::of(data),
        signers: BTreeSet::new(),
        statement: data.to_vec(),
    };
    match Evidence::parse(&verified) {
        Ok(evidence) => counted(evidence),
        Err(error) => drop(shown(&error)),
    }
    if let Ok(mail) = Mail::parse(data).map_err(|why| brief(&why)) {
        if let Err(why) = mail.vote() {
            brief(&why);
        }
        let _ = mail.came_through("supervalidator-ops");
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    documents(text);
    for grammar in Grammar::ALL {
        for parsed in [
            grammar.parse(text),
            grammar.parse_tag(text),
            grammar.parse_debian(text),
            grammar.parse_oci_tag(text),
        ] {
            match parsed {
                Ok(version) => assert_eq!(grammar.parse(&version.to_string()), Ok(version)),
                Err(error) => drop(shown(&error)),
            }
        }
    }
}

fn documents(text: &str) {
    fn read<D: serde::de::DeserializeOwned>(text: &str) {
        if let Err(why) = document::read::<D>(text) {
            brief(&why);
        }
    }
    read::<Proposal>(text);
    read::<Roster>(text);
    read::<Plan>(text);
    read::<Announcement>(text);
    read::<GovernanceProposal>(text);
    read::<Train>(text);
    read::<Chains>(text);
    read::<CaptureRecord>(text);
    read::<IncidentRecord>(text);
    if let Err(why) = document::sections(text) {
        brief(&why);
    }
}

/// A fact in every process, recorded after its manifest: an answer comes out, and never ALLOW from a fact
/// that nobody has signed.
fn counted(evidence: Evidence) {
    for policy in POLICIES {
        let policy = Policy::parse(policy).expect("it ships");
        let mut store = Store::default();
        let mut log = Log::default();
        let opened = Body::Opened {
            release: "practice".to_owned(),
            policy: policy.digest,
            options: Vec::new(),
            keys: Digest::of(b""),
        };
        let recorded = Body::Recorded {
            evidence: evidence.envelope,
        };
        log.push(now(), opened).expect("the first");
        log.push(now(), recorded).expect("the second");
        store.add_evidence(evidence.clone());
        for stage in &policy.stages {
            let question = Question {
                stage: stage.name.clone(),
                point: Point::Enter,
                now: now(),
                measured: BTreeMap::new(),
            };
            // A manifest that nobody signed is none, so nothing can be asked.
            let error =
                decide(&policy, &log, &store, &question).expect_err("nobody signed anything");
            shown(&error);
        }
    }
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32]).expect("a key")
}

/// Statements with the facts of the practices.
fn statements() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for practice in PRACTICES {
        let script: Value = serde_json::from_str(practice).expect("it ships");
        for step in script["steps"].as_array().expect("steps") {
            let Some(fact) = step["fact"].as_str() else {
                continue;
            };
            let kind = step["value"]["seen"]["kind"].as_str().unwrap_or(fact);
            // One of each kind is enough.
            if seen.insert(kind.to_owned()) {
                let mut value = step["value"].clone();
                digests(&mut value);
                let statement = statement(fact, value);
                all.push(serde_json::to_vec(&statement).expect("JSON"));
            }
        }
    }
    all
}

/// Puts some digest where a script names a file.
fn digests(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("file:") || text.starts_with("artifact:") => {
            *text = Digest::of(text.as_bytes()).to_string();
        }
        Value::String(text) if text.starts_with("artifact-hex:") => {
            *text = Digest::of(text.as_bytes()).hex();
        }
        Value::String(text) if text.starts_with("key:") => {
            *text = format!("ed25519:{}", Digest::of(text.as_bytes()).hex());
        }
        Value::Array(items) => items.iter_mut().for_each(digests),
        Value::Object(members) => members.values_mut().for_each(digests),
        _ => {}
    }
}

fn statement(fact: &str, mut value: Value) -> Value {
    let scope = json!({"release": "practice", "stage": "*", "attempt": 0});
    let at = json!("2026-01-01T00:00:00Z");
    let hex = |value: &Value| {
        json!(
            value
                .as_str()
                .unwrap_or_default()
                .trim_start_matches("sha256:")
        )
    };
    let mut subjects = vec![json!({"name": "code", "digest": {"gitCommit": "0".repeat(40)}})];
    let (type_, predicate) = match fact {
        "manifest" => {
            // A manifest is about all of its artifacts.
            let artifacts = value["artifact"].as_array().into_iter().flatten();
            subjects.extend(artifacts.map(|artifact| {
                json!({"name": artifact["name"], "digest": {"sha256": hex(&artifact["digest"])}})
            }));
            value["release_id"] = json!("practice");
            value["commit"] = json!("0".repeat(40));
            (
                "https://in-toto.io/attestation/release/v0.1".to_owned(),
                json!({"purl": "pkg:generic/x", "forkpack": value}),
            )
        }
        "test" => {
            let mut notes = value["notes"].take();
            notes["for"] = scope;
            notes["at"] = at;
            let predicate = json!({"result": value["result"], "configuration": [{"name": "run", "annotations": notes}], "failedTests": []});
            (
                "https://in-toto.io/attestation/test-result/v0.1".to_owned(),
                predicate,
            )
        }
        "document" => {
            let notes = json!({"for": scope, "type": value["type"], "at": at});
            let predicate = json!({"attester": {"id": "x"}, "references": [{"name": value["name"], "digest": {"sha256": hex(&value["file"])}, "annotations": notes}]});
            (
                "https://in-toto.io/attestation/reference/v0.1".to_owned(),
                predicate,
            )
        }
        other => {
            value["at"] = at;
            if other != "vote" {
                value["for"] = scope;
            }
            if other == "deployment" {
                value["commit"] = json!("0".repeat(40));
                value["network_id"] = json!("net-1");
            }
            (
                format!("{}{other}/v1", release_policy::statement::OWN),
                value,
            )
        }
    };
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": type_, "predicate": predicate})
}

pub(crate) fn policies() -> Vec<Vec<u8>> {
    let keys = format!(
        "log = [\"ed25519:{0}\"]\n[roles]\nci = [\"ed25519:{0}\"]\n[expires]\n\"ed25519:{0}\" = \"2026-01-01T00:00:00Z\"\n[public]\n\"ed25519:{0}\" = '''x'''\n",
        "0".repeat(64)
    );
    let mut all: Vec<Vec<u8>> = POLICIES.map(|text| text.as_bytes().to_vec()).to_vec();
    all.push(keys.into_bytes());
    all
}

pub(crate) fn logs() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for text in POLICIES {
        let policy = Policy::parse(text).expect("it ships");
        let mut store = Store::default();
        let mut log = Log::default();
        let opened = Body::Opened {
            release: "practice".to_owned(),
            policy: policy.digest,
            options: Vec::new(),
            keys: Digest::of(b""),
        };
        log.push(now(), opened).expect("the first");
        // With a key in every role, so that there is a decision.
        let id = format!("ed25519:{}", "0".repeat(64));
        let mut signed = policy.clone();
        for role in signed.roles.values_mut() {
            role.threshold = 1;
            role.keys = [id.parse().expect("a key")].into();
        }
        for statement in statements() {
            let verified = Verified {
                envelope: Digest::of(&statement),
                signers: [id.parse().expect("a key")].into(),
                statement,
            };
            let evidence = Evidence::parse(&verified).expect("it is right");
            let recorded = Body::Recorded {
                evidence: evidence.envelope,
            };
            store.add_evidence(evidence);
            log.push(now(), recorded).expect("the next");
        }
        let question = Question {
            stage: policy.stages[0].name.clone(),
            point: Point::Enter,
            now: now(),
            measured: BTreeMap::new(),
        };
        let decision = decide(&signed, &log, &store, &question).expect("there is a manifest");
        log.push(
            now(),
            Body::Decided {
                decision: Box::new(decision),
            },
        )
        .expect("the next");
        let acted = Body::Acted {
            action: "page".to_owned(),
            key: Digest::of(b"key"),
            result: "done".to_owned(),
        };
        log.push(now(), acted).expect("the last");
        all.push(log.text().into_bytes());
    }
    all
}

pub(crate) fn envelopes() -> Vec<Vec<u8>> {
    let sign = |statement: Vec<u8>| {
        let mut envelope = Envelope::new(statement);
        envelope.sign(&key()).expect("a signature");
        envelope.to_json().expect("JSON")
    };
    statements().into_iter().map(sign).collect()
}

pub(crate) fn facts() -> Vec<Vec<u8>> {
    let mut all = statements();
    for practice in PRACTICES {
        let script: Value = serde_json::from_str(practice).expect("it ships");
        for (_, text) in script["files"].as_object().expect("files") {
            all.push(text.as_str().unwrap_or_default().as_bytes().to_vec());
        }
    }
    for version in [
        "0.4.19-bugfix.preview.2",
        "upgrade-17",
        "0.1.2-prerelease10",
        "2617.0-pre",
        "v1.2.3+1",
        "1:3.0.0~beta+2-1",
    ] {
        all.push(version.as_bytes().to_vec());
    }
    all
}
