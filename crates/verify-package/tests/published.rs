//! Real ledgers and real blocks, from the lists of the old chain to the package of the new one; every
//! published root is accepted, and refused with any one of its bits changed.
//!
//! The data is beside the project and never part of it: the directory named by `FORKPACK_SHARED`, by
//! default `../shared` beside the workspace. Without it a test prints a SKIPPED line and passes; with
//! `FORKPACK_REQUIRE_SHARED=1` it fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use fork_store::tarball_name;
use fork_types::{FieldBytes, LedgerHash, Role};
use fork_worker::{Context, OutputFormat, Stages};
use serde_json::{Value, json};
use support::{Inputs, assert_passed, deb_in, import, package};
use tempfile::TempDir;
use verify_package::{Args, CHECKS, ConfigView, Facts, Finding, Outcome, Reference};

/// The path of a shared file or folder, or `None` (and a loud line) when it is not there.
fn shared(relative: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = directory.join("reference-data").join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none_or(|value| value != "1"),
        "{relative} is not present beside the project, but FORKPACK_REQUIRE_SHARED=1"
    );
    // Not a print macro: the test harness would swallow it.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {relative} not present");
    None
}

const LOCAL_CHAIN: &str = r#"
[chain]
era = "berkeley"
slot_ms = 180000
genesis_state_timestamp = "2024-11-06T10:10:42Z"
fork_global_slot = 0
genesis_state_hash = "3NKNPUsWQbLYw4YwWxPQ6hu9vP1zrCyvoSNCAGtTHD5oZYkb6WrE"
genesis_ledger_hash = "jwf5XDUhK1mhEdSgdymmrd1v7aWCBn5QuMmvyzVfxgx6kHBEstj"
k = 290
delta = 0
slots_per_epoch = 7140
slots_per_sub_window = 7
grace_period_slots = 2160
txpool_max_size = 3000

[stop]
slot_tx_end = 40
slot_chain_end = 50
hard_fork_genesis_slot_delta = 10

[target]
slot_ms = 90000
transaction_version = 4
"#;

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> String {
    fs::write(path, content).unwrap();
    text(path)
}

/// A block of the local network and the accounts after it.
struct LocalBlock {
    state_hash: String,
    height: u64,
    root: String,
    accounts: Vec<Value>,
}

/// The genesis accounts of the local network, and every block with the accounts after it.
fn local_network(path: &Path) -> (Vec<Value>, Vec<LocalBlock>) {
    let sample: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let genesis = sample["genesis_accounts"].as_array().unwrap().clone();
    let mut ledgers = BTreeMap::from([(string(&sample["genesis_state_hash"]), genesis.clone())]);
    let mut blocks = sample["blocks"].as_array().unwrap().clone();
    blocks.sort_by_key(|block| block["height"].as_u64());
    let mut found = Vec::new();
    for block in &blocks {
        let Some(accessed) = block["accounts_accessed"].as_array() else {
            continue;
        };
        let mut accounts = ledgers[&string(&block["parent_state_hash"])].clone();
        for one in accessed {
            let index = usize::try_from(one[0].as_u64().unwrap()).unwrap();
            if index == accounts.len() {
                accounts.push(one[1].clone());
            } else {
                accounts[index] = one[1].clone();
            }
        }
        ledgers.insert(string(&block["state_hash"]), accounts.clone());
        found.push(LocalBlock {
            state_hash: string(&block["state_hash"]),
            height: block["height"].as_u64().unwrap(),
            root: string(&block["ledger_hash"]),
            accounts,
        });
    }
    (genesis, found)
}

/// The inputs for a fork after a block of the local network.
fn local_inputs(directory: &Path, blocks: &Path, genesis: &[Value], block: &LocalBlock) -> Inputs {
    let file = blocks.join(format!(
        "mainnet-{}-{}.json",
        block.height, block.state_hash
    ));
    let facts = fork_genesis::Block::from_slice(&fs::read(&file).unwrap())
        .unwrap()
        .facts();
    let epoch = |seed: String| json!({"accounts": genesis, "seed": seed});
    let fork_config = json!({
        "genesis": {"genesis_state_timestamp": "2024-11-06T13:10:42Z"},
        "proof": {"fork": {
            "state_hash": block.state_hash,
            "blockchain_length": block.height,
            "global_slot_since_genesis": 60,
        }},
        "ledger": {
            "accounts": block.accounts, "hash": block.root, "add_genesis_winner": false,
        },
        "epoch_data": {
            "staking": epoch(facts.staking_epoch.seed.to_string()),
            "next": epoch(facts.next_epoch.seed.to_string()),
        },
    });
    let network = "name = \"local\"\nnetwork_id = \"local\"\nsource_era = \"berkeley\"\ntarget_era = \"mesa\"\n";
    let prefork = json!({
        "genesis": {"genesis_state_timestamp": "2024-11-06T10:10:42Z"},
        "daemon": {"slot_tx_end": 40, "slot_chain_end": 50, "hard_fork_genesis_slot_delta": 10},
    });
    Inputs {
        network: write(
            &directory.join("network.toml"),
            format!("{network}{LOCAL_CHAIN}"),
        ),
        fork_config: write(&directory.join("fork_config.json"), fork_config.to_string()),
        block: Some(text(&file)),
        prefork: write(&directory.join("prefork.json"), prefork.to_string()),
        eras: ["berkeley", "mesa"],
        fork_slot: Some("60".to_owned()),
        timestamp: None,
    }
}

/// The command line that verifies a package.
fn args(directory: &Path, deb: &Path, inputs: &Inputs, more: &[&str]) -> Args {
    use clap::Parser as _;
    let (deb, candidate) = (text(deb), text(&directory.join("candidate")));
    let output = text(&directory.join("report"));
    let mut arguments = vec!["verify-package", "--deb", &deb, "--candidate", &candidate];
    arguments.extend(["--network", &inputs.network]);
    arguments.extend(["--prefork-config", &inputs.prefork]);
    arguments.extend(["--output", &output]);
    arguments.extend(more);
    Args::try_parse_from(arguments).unwrap()
}

fn context() -> Context {
    Context::quiet(OutputFormat::Json)
}

/// Reads and computes everything once.
fn gather(args: &Args, scratch: &Path) -> Facts {
    let reference = Reference::read(args, &context()).unwrap();
    Facts::gather(args, reference, scratch, &mut Stages::new()).unwrap()
}

/// Identifiers of the checks that fail.
fn failed(facts: &Facts) -> BTreeSet<&'static str> {
    CHECKS
        .iter()
        .flat_map(|table| table.iter())
        .filter(|check| matches!((check.run)(facts), Finding::Failed { .. }))
        .map(|check| check.id)
        .collect()
}

/// The root with each of its bits changed; the few that are no field elements then are no roots.
fn neighbours(root: LedgerHash) -> Vec<LedgerHash> {
    let bytes = root.field().to_le_bytes();
    let flipped = (0..255).filter_map(|bit: usize| {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        FieldBytes::from_le_bytes(bytes).map(LedgerHash::new)
    });
    let flipped: Vec<LedgerHash> = flipped.collect();
    assert!(flipped.len() >= 250, "{}", flipped.len());
    flipped
}

/// What the chain says a candidate's ledger hashes to: the block, or the claim where there is none.
fn named_root(facts: &mut Facts, role: Role) -> &mut LedgerHash {
    let reference = &mut facts.reference;
    match &mut reference.block {
        Ok(block) => match role {
            Role::Genesis => &mut block.facts.staged_ledger_hash,
            Role::Staking => &mut block.facts.staking_epoch.ledger_hash,
            Role::Next => &mut block.facts.next_epoch.ledger_hash,
        },
        Err(_) => {
            let ledger = match role {
                Role::Genesis => &mut reference.candidate.staged_ledger,
                Role::Staking => &mut reference.candidate.staking_ledger,
                Role::Next => &mut reference.candidate.next_staking_ledger,
            };
            &mut ledger.claimed_root.as_mut().unwrap().root
        }
    }
}

/// Changes every bit of the root that the chain names: exactly its check fails.
fn bits_of_named_roots(facts: &mut Facts) {
    for (role, id) in Role::ALL
        .into_iter()
        .zip(["root.staged", "root.staking", "root.next"])
    {
        let right = *named_root(facts, role);
        for wrong in neighbours(right) {
            *named_root(facts, role) = wrong;
            assert_eq!(failed(facts), BTreeSet::from([id]), "{wrong}");
        }
        *named_root(facts, role) = right;
    }
    assert_eq!(failed(facts), BTreeSet::new());
}

/// Changes every bit of the roots in the package's config and of the root nodes in its stores.
fn bits_of_packaged_roots(facts: &mut Facts, config: &Value) {
    let target = facts.reference.network.target_era;
    for (index, role) in Role::ALL.into_iter().enumerate() {
        let store = facts.ledgers[index].store.as_mut().unwrap();
        let right = store.stored_root.unwrap();
        for wrong in neighbours(right) {
            facts.ledgers[index].store.as_mut().unwrap().stored_root = Some(wrong);
            let expected = format!("store.{role}.root");
            assert_eq!(
                failed(facts),
                BTreeSet::from([expected.as_str()]),
                "{wrong}"
            );
        }
        facts.ledgers[index].store.as_mut().unwrap().stored_root = Some(right);

        let pointer = format!("{}/hash", ConfigView::ledger_pointer(role));
        let expected_name = facts.ledgers[index].expected_name.clone();
        for wrong in neighbours(right) {
            let mut changed = config.clone();
            *changed.pointer_mut(&pointer).unwrap() = wrong.to_string().into();
            facts.config = ConfigView::read(changed.to_string().as_bytes(), false);
            facts.ledgers[index].expected_name =
                Some(tarball_name(role.tarball_prefix(), &wrong, target));
            let expected = [
                "config.ledger-hashes".to_owned(),
                format!("migration.{role}.root"),
                format!("tarball.{role}.name"),
            ];
            let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
            assert_eq!(failed(facts), expected, "{wrong}");
        }
        facts.ledgers[index].expected_name = expected_name;
        facts.config = ConfigView::read(config.to_string().as_bytes(), false);
    }
    assert_eq!(failed(facts), BTreeSet::new());
}

/// Packages, verifies, and changes every root by every bit. Gives the roots in the package.
fn end_to_end(directory: &Path, inputs: &Inputs, more: &[&str], not_run: &[&str]) -> Vec<String> {
    package(directory, inputs);
    let deb = deb_in(&directory.join("deb"));
    let args = args(directory, &deb, inputs, more);
    let report = verify_package::verify(&args, &context()).unwrap();
    assert_passed(&report, not_run);
    let config: Value =
        serde_json::from_slice(&fs::read(directory.join("network/config.json")).unwrap()).unwrap();
    let scratch = TempDir::new().unwrap();
    let mut facts = gather(&args, scratch.path());
    bits_of_named_roots(&mut facts);
    bits_of_packaged_roots(&mut facts, &config);
    let roots = report.roots.values().map(LedgerHash::to_string);
    roots.collect()
}

const NO_DATABASE: [&str; 2] = ["image.dpkg-status", "image.content"];
const NO_BLOCK: [&str; 9] = [
    "block.readable",
    "block.state-hash",
    "block.length",
    "block.slots",
    "block.seeds",
    "block.consistent",
    "block.network",
    NO_DATABASE[0],
    NO_DATABASE[1],
];

/// Where nothing names the slot of the new genesis either.
const NO_BLOCK_NO_SLOT: [&str; 10] = [
    NO_BLOCK[0],
    NO_BLOCK[1],
    NO_BLOCK[2],
    NO_BLOCK[3],
    NO_BLOCK[4],
    NO_BLOCK[5],
    NO_BLOCK[6],
    "config.fork-slot",
    NO_DATABASE[0],
    NO_DATABASE[1],
];

#[test]
fn a_real_block_with_its_real_ledgers_passes() {
    let (Some(sample), Some(blocks)) = (
        shared("sampledb-2024-11-06.json"),
        shared("blocks/berkeley-local-2024-11-06"),
    ) else {
        return;
    };
    let (genesis, found) = local_network(&sample);
    // The last canonical one.
    let block = found.last().unwrap();
    assert_eq!(block.height, 24);
    let place = TempDir::new().unwrap();
    let inputs = local_inputs(place.path(), &blocks, &genesis, block);
    end_to_end(place.path(), &inputs, &[], &NO_DATABASE);
}

#[test]
fn every_published_root_of_the_local_network_is_accepted_and_no_neighbour_is() {
    let (Some(sample), Some(blocks)) = (
        shared("sampledb-2024-11-06.json"),
        shared("blocks/berkeley-local-2024-11-06"),
    ) else {
        return;
    };
    let (genesis, found) = local_network(&sample);
    assert_eq!(found.len(), 33);
    for block in &found {
        let place = TempDir::new().unwrap();
        let inputs = local_inputs(place.path(), &blocks, &genesis, block);
        import(&inputs, &text(&place.path().join("candidate")));
        // Candidate and block are held against each other even where there is no package.
        let deb = place.path().join("none.deb");
        fs::write(&deb, "none").unwrap();
        let args = args(place.path(), &deb, &inputs, &[]);
        let mut facts = gather(&args, place.path());
        assert_eq!(
            named_root(&mut facts, Role::Genesis).to_string(),
            block.root,
            "{}",
            block.state_hash
        );
        let without = BTreeSet::from(["package.readable"]);
        assert_eq!(failed(&facts), without, "{}", block.state_hash);
        for wrong in neighbours(block.root.parse().unwrap()).iter().step_by(8) {
            *named_root(&mut facts, Role::Genesis) = *wrong;
            assert_eq!(
                failed(&facts),
                BTreeSet::from(["package.readable", "root.staged"]),
                "{wrong}"
            );
        }
    }
}

/// Role, published Berkeley root, derived Mesa root of the default variant at slot 859560.
const DEVNET: [(&str, &str); 3] = [
    (
        "jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf",
        "jxdQwCk1stH3A2dDxNQRQZ9oVRexzM1BSapBhq9RJJFM8rnKWyZ",
    ),
    (
        "jxvdSnpgWjjERJFdcYNxChJ9F39v4tGrNSzDcaQXuXeJnicrYEP",
        "jwURBRSJJcEthXveKgZnoL9T3N7XJLG1i2JzwgL6RjD9s74k8HJ",
    ),
    (
        "jxjmYHK1tnGy5S6CDaLDTRrDbw17DmtEd6Jnw3L86QSsLm15w5g",
        "jxiiy7vVs4cBtat9rSaygK9q9xjd5BdQATL4pAt8WVro8mjA1EE",
    ),
];

const DEVNET_V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../networks/devnet-v1.toml");

#[test]
fn the_devnet_release_of_2024_passes_and_has_the_published_config() {
    let (Some(fork_config), Some(published)) = (
        shared("devnet-hardfork-2024-04-full.json.gz"),
        shared("config-devnet.json"),
    ) else {
        return;
    };
    let place = TempDir::new().unwrap();
    let prefork = json!({"genesis": {"genesis_state_timestamp": "2021-09-23 17:00:00-07:00"}});
    let inputs = Inputs {
        network: DEVNET_V1.to_owned(),
        fork_config: text(&fork_config),
        block: None,
        prefork: write(&place.path().join("prefork.json"), prefork.to_string()),
        eras: ["berkeley", "berkeley"],
        fork_slot: None,
        timestamp: Some("2024-04-09T21:00:00Z".to_owned()),
    };
    let roots = end_to_end(place.path(), &inputs, &[], &NO_BLOCK_NO_SLOT);
    assert_eq!(roots, DEVNET.map(|(berkeley, _)| berkeley));
    // The config that was released then, with the digests of other tarballs, is of the right shape and
    // names the same fork.
    let released = fs::read(&published).unwrap();
    let view = ConfigView::read(&released, false).unwrap();
    assert_eq!(view.strict, Ok(()));
    let ours = fs::read(place.path().join("network/config.json")).unwrap();
    let ours = ConfigView::read(&ours, false).unwrap();
    for pointer in [
        "/genesis/genesis_state_timestamp",
        "/proof/fork",
        "/ledger/hash",
        "/ledger/add_genesis_winner",
        "/epoch_data/staking/hash",
        "/epoch_data/staking/seed",
        "/epoch_data/next/hash",
        "/epoch_data/next/seed",
        "/daemon",
    ] {
        assert_eq!(ours.at(pointer), view.at(pointer), "{pointer}");
    }
}

#[test]
fn the_devnet_lists_pass_on_their_way_to_mesa() {
    let Some(fork_config) = shared("devnet-hardfork-2024-04-full.json.gz") else {
        return;
    };
    let place = TempDir::new().unwrap();
    let network = fs::read_to_string(DEVNET_V1)
        .unwrap()
        .replace("target_era = \"berkeley\"", "target_era = \"mesa\"")
        .replace("transaction_version = 3", "transaction_version = 4");
    let prefork = json!({"genesis": {"genesis_state_timestamp": "2021-09-23 17:00:00-07:00"}});
    let inputs = Inputs {
        network: write(&place.path().join("network.toml"), network),
        fork_config: text(&fork_config),
        block: None,
        prefork: write(&place.path().join("prefork.json"), prefork.to_string()),
        eras: ["berkeley", "mesa"],
        fork_slot: Some("859560".to_owned()),
        timestamp: None,
    };
    package_at(place.path(), &inputs, 859_560);
    let deb = deb_in(&place.path().join("deb"));
    let args = args(place.path(), &deb, &inputs, &["--fork-slot", "859560"]);
    let report = verify_package::verify(&args, &context()).unwrap();
    assert_passed(&report, &NO_BLOCK);
    let roots: Vec<String> = report.roots.values().map(LedgerHash::to_string).collect();
    assert_eq!(roots, DEVNET.map(|(_, mesa)| mesa));
}

/// Packages with the time that a slot has on the old chain's clock.
fn package_at(directory: &Path, inputs: &Inputs, slot: u64) {
    // Slot 0 is 2021-09-24T00:00:00Z.
    let start = 1_632_441_600_000 + slot * 180_000;
    let time = fork_genesis::GenesisTimestamp::from_ms(start).unwrap();
    let inputs = Inputs {
        timestamp: Some(time.to_string()),
        network: inputs.network.clone(),
        fork_config: inputs.fork_config.clone(),
        block: None,
        prefork: inputs.prefork.clone(),
        eras: inputs.eras,
        fork_slot: inputs.fork_slot.clone(),
    };
    package(directory, &inputs);
}

#[test]
fn the_v1_list_passes_on_its_way_to_berkeley() {
    const ROOT: &str = "jx7buQVWFLsXTtzRgSxbYcT8EYLS8KCZbLrfDcJxMtyy4thw2Ee";
    let Some(list) = shared(&format!("mainnet-0-{ROOT}.json")) else {
        return;
    };
    let mut accounts = String::new();
    fs::File::open(list)
        .unwrap()
        .read_to_string(&mut accounts)
        .unwrap();
    let accounts: Value = serde_json::from_str(&accounts).unwrap();
    let epoch = |seed: &str| json!({"accounts": accounts, "seed": seed, "hash": ROOT});
    let fork_config = json!({
        "proof": {"fork": {
            "state_hash": "3NK4BpDSekaqsG6tx8Nse2zJchRft2JpnbvMiog55WCr5xJZaKeP",
            "blockchain_length": 359_604,
            "global_slot_since_genesis": 564_480,
        }},
        "ledger": {"accounts": accounts, "hash": ROOT, "add_genesis_winner": false},
        "epoch_data": {
            "staking": epoch("2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijtTjd3531"),
            "next": epoch("2vaduyGw7uST2rT1HmvSxjrkZX26XnFvu4NJvCebMmLzoWaQtdGT"),
        },
    });
    let place = TempDir::new().unwrap();
    let network = fs::read_to_string(DEVNET_V1)
        .unwrap()
        .replace("source_era = \"berkeley\"", "source_era = \"v1\"");
    let prefork = json!({"genesis": {"genesis_state_timestamp": "2021-09-23 17:00:00-07:00"}});
    let start = 1_632_441_600_000 + 564_480 * 180_000;
    let time = fork_genesis::GenesisTimestamp::from_ms(start).unwrap();
    let inputs = Inputs {
        network: write(&place.path().join("network.toml"), network),
        fork_config: write(
            &place.path().join("fork_config.json"),
            fork_config.to_string(),
        ),
        block: None,
        prefork: write(&place.path().join("prefork.json"), prefork.to_string()),
        eras: ["v1", "berkeley"],
        fork_slot: None,
        timestamp: Some(time.to_string()),
    };
    let roots = end_to_end(place.path(), &inputs, &[], &NO_BLOCK_NO_SLOT);
    let berkeley = "jxEEqz2SqzXGNwA6JaWASxQKydVcC97Fo3VKKRctwQdT5qzzJR7";
    assert_eq!(roots, [berkeley; 3]);
}

/// A root that is not the accounts' is refused however it is written.
#[test]
fn a_report_of_a_wrong_root_names_the_check() {
    let Some(sample) = shared("sampledb-2024-11-06.json") else {
        return;
    };
    let Some(blocks) = shared("blocks/berkeley-local-2024-11-06") else {
        return;
    };
    let (genesis, found) = local_network(&sample);
    let place = TempDir::new().unwrap();
    let inputs = local_inputs(place.path(), &blocks, &genesis, &found[5]);
    package(place.path(), &inputs);
    let deb = deb_in(&place.path().join("deb"));
    // The block before it: another ledger, another state, another height.
    let other = &found[3];
    let name = format!("mainnet-{}-{}.json", other.height, other.state_hash);
    let block = text(&blocks.join(name));
    let args = args(place.path(), &deb, &inputs, &["--block", &block]);
    let report = verify_package::verify(&args, &context()).unwrap();
    let failed: BTreeSet<&str> = report.ids(Outcome::Failed).into_iter().collect();
    for id in [
        "block.state-hash",
        "block.length",
        "block.slots",
        "root.staged",
    ] {
        assert!(failed.contains(id), "{failed:?}");
    }
    assert!(
        !failed
            .iter()
            .any(|id| id.starts_with("store.") || id.starts_with("migration."))
    );
}
