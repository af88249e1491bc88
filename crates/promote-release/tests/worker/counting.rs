//! Facts that no rule would ever count are not recorded, and those that do not count are shown.

use std::fs;

use fork_sign::{Envelope, SecretKey};
use serde_json::json;

use crate::place::Place;

#[test]
fn what_can_never_count_is_refused_with_what_would() {
    let place = Place::built();
    let common = "--release r --log-key log.pem --now 2026-01-01T00:04:00Z";
    let log = fs::read(place.path("r/log.jsonl")).unwrap();
    let approve = format!("record approve {common} --item go --by p1");
    for (line, words) in [
        (
            format!("{approve} --key p1.pem"),
            "name the stage: build, publish",
        ),
        (
            format!("record approve {common} --item gone --by p1 --stage publish --key p1.pem"),
            "knows: go",
        ),
        (
            format!("record approve {common} --item go --by  --stage publish --key p1.pem"),
            "who decided",
        ),
        (
            format!("{approve} --stage publish --key ci.pem"),
            "role partners",
        ),
        (
            format!("record deploy {common} --event deployed --network n --key ci.pem"),
            "name the stage",
        ),
        (
            format!("record test {common} --suite s --result passed --key ci.pem"),
            "name the stage",
        ),
        (
            format!(
                "record observe {common} --kind state --data {{\"name\":\"a\",\"value\":\"b\"}} --key ci.pem"
            ),
            "`state` is of one stage",
        ),
        (
            format!(
                "record observe {common} --kind state --data {{\"name\":\"\",\"value\":\"b\"}} --stage build --key ci.pem"
            ),
            "without a name",
        ),
        (
            format!(
                "record deploy {common} --event deployed --network n --stage build --key p1.pem"
            ),
            "role ci",
        ),
        (
            format!(
                "record waive {common} --gate T-02 --reason r --risk r --expires 2027-01-01T00:00:00Z --key p1.pem"
            ),
            "cannot be waived",
        ),
        (
            format!("{approve} --key p1.pem --sign-only signed.json"),
            "name the stage",
        ),
    ] {
        let said = place.run(&line, 2);
        assert!(said.contains(words), "{line}\n{said}");
    }
    // The same in an envelope from elsewhere.
    let artifact = json!([{"name": "a.bin", "digest": {"sha256": release_policy::Digest::of(b"the artifact").hex()}}]);
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": artifact,
        "predicateType": "https://github.com/forkpack/forkpack/attestation/approval/v1",
        "predicate": {"for": {"release": "r1", "stage": "*", "attempt": 0}, "item": "go", "verdict": "approved", "by": "p1", "at": "2026-01-01T00:04:00Z"},
    });
    let mut envelope = Envelope::new(serde_json::to_vec(&statement).unwrap());
    envelope
        .sign(&SecretKey::from_seed(&[2; 32]).unwrap())
        .unwrap();
    fs::write(place.path("foreign.json"), envelope.to_json().unwrap()).unwrap();
    place.run(
        &format!("record evidence {common} --envelope foreign.json"),
        2,
    );
    assert_eq!(fs::read(place.path("r/log.jsonl")).unwrap(), log);
    assert!(!place.path("signed.json").exists());
    // What may count is recorded.
    place.run(&format!("record observe {common} --kind figure --data {{\"metric\":\"a\",\"value\":\"b\"}} --key ci.pem"), 0);
    place.run(&format!("{approve} --stage publish --key p1.pem"), 0);
}

#[test]
fn what_does_not_count_here_is_shown() {
    let place = Place::built();
    place.run("record deploy --release r --log-key log.pem --now 2026-01-01T00:04:00Z --event deployed --network n --stage build --key ci.pem", 0);
    let said = place.run("check --release r --to publish --artifacts files", 3);
    assert!(
        said.contains("not counted here: 1 of build attempt 1"),
        "{said}"
    );
}

/// The operators of MainNet owe nothing to a release that never comes there.
#[test]
fn a31_nobody_applies_a_practice() {
    let place = Place::with_keys(&[]);
    place.run("practice splice-practice splice-sv-bugfix --output out", 0);
    let at = "--now 2027-01-01T00:00:00Z";
    let said = place.output(&format!(
        "obligations --release out/splice-practice/release {at}"
    ));
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(!text.contains("apply the release"), "{text}");
    let said = place.output(&format!(
        "obligations --release out/splice-sv-bugfix/release {at}"
    ));
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("apply the release"), "{text}");
}
