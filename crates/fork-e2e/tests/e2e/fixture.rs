//! `fixtures/small`: what the repository ships is what the generator makes, and the pipeline makes of
//! it what `expected/` says.

use std::fs;

use serde_json::Value;

use crate::support::{Place, root};

fn shipped(name: &str) -> String {
    root()
        .join("fixtures/small")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_generator_makes_what_is_shipped() {
    let place = Place::new();
    place
        .run(
            "generate-fixture",
            &["--accounts", "120", "--seed", "7", "--output", "small"],
        )
        .done();
    let model = place.document("small/fixture.json");
    let files = model["files"].as_array().unwrap().iter();
    for name in files
        .map(|name| name.as_str().unwrap())
        .chain(["fixture.json"])
    {
        assert!(
            fs::read(place.path("small").join(name)).unwrap() == fs::read(shipped(name)).unwrap(),
            "{name} differs from fixtures/small: generate it again, and look at what changed"
        );
    }
}

#[test]
fn the_pipeline_makes_what_is_expected() {
    let place = Place::new();
    let (network, config, block, prefork) = (
        shipped("network.toml"),
        shipped("fork_config.json"),
        shipped("block.json"),
        shipped("prefork_config.json"),
    );
    let common = ["--network", &network, "--prefork-config", &prefork];
    place
        .run(
            "dump-candidates",
            &[
                &["import"][..],
                &common,
                &["--fork-config", &config, "--block", &block],
                &["--output", "candidate"],
            ]
            .concat(),
        )
        .done();
    let model: Value = serde_json::from_slice(&fs::read(shipped("fixture.json")).unwrap()).unwrap();
    for role in ["genesis", "staking", "next"] {
        let ledger = place.json(
            "migrate-ledger",
            &[
                &["--candidate", "candidate", "--role", role][..],
                &["--from", "berkeley", "--to", "mesa", "--output", role],
            ]
            .concat(),
        );
        let expected = &model["ledgers"][role];
        assert_eq!(ledger["source"]["root"], expected["root"], "{role}");
        assert_eq!(ledger["audit"]["timed"], expected["timed"]);
        assert_eq!(ledger["audit"]["timed_changed"], expected["still_vesting"]);
        assert_eq!(ledger["audit"]["untimed_changed"], expected["untimed"]);
        assert_eq!(ledger["audit"]["padded_zkapps"], expected["zkapps"]);
        assert_eq!(ledger["rule"]["fork_slot"], model["fork_slot"]);
    }
    place
        .run(
            "generate-network-config",
            &[
                &common[..],
                &["--candidate", "candidate", "--output", "network"],
                &["--ledgers", "genesis", "staking", "next"],
            ]
            .concat(),
        )
        .done();
    for name in ["config.json", "hashes.json"] {
        let made = fs::read_to_string(place.path("network").join(name)).unwrap();
        let expected = fs::read_to_string(shipped(&format!("expected/{name}"))).unwrap();
        assert_eq!(made, expected, "{name}");
    }
}
