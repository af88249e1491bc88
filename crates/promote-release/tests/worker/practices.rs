//! Every practice, as the demo command walks it.

use std::fs;

use crate::place::Place;

/// Each process from end to end and once into a failure, on built packages and images, with signatures,
/// decisions and effects as in earnest; what the script says must come out. A practice is the same
/// bytes every time.
#[test]
fn a74_every_practice_goes_as_it_is_written() {
    let place = Place::with_keys(&[]);
    let practiced = place.json("practice --output out");
    let practiced = practiced.as_array().unwrap();
    assert_eq!(practiced.len(), 11);
    for policy in [
        "mina-hardfork",
        "mithril-release",
        "optimism-train",
        "spacemesh-cycle",
        "splice-sv-bugfix",
    ] {
        let of = practiced
            .iter()
            .filter(|one| one["policy"] == policy)
            .count();
        assert!(of >= 2, "{policy}: a good end and a bad one");
    }
    place.run(
        "practice mina-hardfork splice-sv-bugfix-failure --output again",
        0,
    );
    for one in practiced {
        let name = one["name"].as_str().unwrap();
        let release = format!("out/{name}/release");
        place.run(&format!("audit --release {release}"), 0);
        let again = place.path(&format!("again/{name}/release/log.jsonl"));
        if again.exists() {
            let log = fs::read(place.path(&format!("{release}/log.jsonl"))).unwrap();
            assert_eq!(log, fs::read(again).unwrap(), "{name}");
        }
        // A practice release goes nowhere without a key of the practice.
        let line = format!(
            "record fail --release {release} --stage publish --cause x --key ci.pem --log-key log.pem"
        );
        assert_ne!(place.output(&line).status.code(), Some(0), "{name}");
    }
    let lines = |name: &str| {
        let one = practiced.iter().find(|one| one["name"] == name).unwrap();
        one["lines"].to_string()
    };
    assert!(lines("splice-sv-bugfix-failure").contains("PEND  enter mainnet"));
    assert!(lines("optimism-train-failure").contains("vetoed"));
    assert!(lines("spacemesh-cycle-failure").contains("ALLOW exit devnet, attempt 2"));
    // Pages follow from the records alone.
    place.run(
        "info-page --release out/mina-hardfork/release out/splice-sv-bugfix/release --out a",
        0,
    );
    place.run(
        "info-page --release out/mina-hardfork/release out/splice-sv-bugfix/release --out b",
        0,
    );
    for name in [
        "index.html",
        "mina-hardfork.html",
        "mina-hardfork.json",
        "splice-sv-bugfix.html",
    ] {
        let page = fs::read(place.path(&format!("a/{name}"))).unwrap();
        assert_eq!(
            page,
            fs::read(place.path(&format!("b/{name}"))).unwrap(),
            "{name}"
        );
    }
    let page = fs::read_to_string(place.path("a/splice-sv-bugfix.html")).unwrap();
    for words in [
        "0.4.19-bugfix.preview",
        "S-19",
        "3 of 4 approve",
        "How to verify",
        "ed25519:",
    ] {
        assert!(page.contains(words), "{words}");
    }
}
