//! A fixture as the tools see it: read back with the library and compared with its model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use fork_genesis::{Block, Network};
use fork_ledger::account::Account;
use fork_ledger::hash::hash_accounts;
use fork_ledger::json::stream::{AccountSink, LedgerObjectSeed};
use fork_ledger::json::{
    AccountError, AccountJson, BlockAccountJson, ForkRules, VerificationKeyCache,
    from_block_account, from_fork_config, read_account_array,
};
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::migrate::{Audit, Rule};
use fork_ledger::verification_key::VkHashCache;
use fork_testkit::fixture::{
    Accounts, Files, FixtureSpec, ForkSlotStyle, LedgerModel, Mix, Model, write_fixture,
};
use fork_types::{Era, LedgerHash, Role};
use serde::Deserialize;
use serde::de::DeserializeSeed;

fn small(spec: FixtureSpec) -> FixtureSpec {
    FixtureSpec {
        accounts: 200,
        ..spec
    }
}

fn written(spec: &FixtureSpec) -> (tempfile::TempDir, Model) {
    let directory = tempfile::tempdir().unwrap();
    let model = write_fixture(spec, &directory.path().join("fixture"), false).unwrap();
    (directory, model)
}

fn read_file(path: &Path) -> Vec<u8> {
    fork_fs::read_limited(path, 64 << 20).unwrap()
}

fn read(directory: &tempfile::TempDir, name: &str) -> Vec<u8> {
    read_file(&directory.path().join("fixture").join(name))
}

fn root(era: Era, accounts: &[Account]) -> LedgerHash {
    let leaves = hash_accounts(era, accounts, &VkHashCache::new()).unwrap();
    ledger_hash(MerkleTree::new(era, era.depth(), leaves).unwrap().root())
}

fn list(era: Era, bytes: &[u8]) -> Vec<Account> {
    let keys = VerificationKeyCache::new();
    let mut accounts = Vec::new();
    read_account_array(bytes, |_, json| {
        accounts.push(from_fork_config(&json, &ForkRules::strict(era), &keys)?);
        Ok::<(), AccountError>(())
    })
    .unwrap();
    accounts
}

#[test]
fn exports_have_the_roots_and_counts_of_the_model() {
    for era in [Era::Berkeley, Era::Mesa] {
        let spec = small(FixtureSpec {
            era,
            raw_bytes: true,
            ..FixtureSpec::default()
        });
        let (directory, model) = written(&spec);
        let made = Accounts::new(&spec).unwrap();
        for (name, role, ledger) in [
            ("staged_ledger.json", Role::Genesis, model.ledgers.genesis),
            ("staking_ledger.json", Role::Staking, model.ledgers.staking),
            ("next_staking_ledger.json", Role::Next, model.ledgers.next),
        ] {
            let accounts = list(era, &read(&directory, name));
            assert_eq!(accounts.len(), usize::try_from(ledger.accounts).unwrap());
            assert_eq!(root(era, &accounts), ledger.root, "{name}");
            for (index, account) in (0..).zip(&accounts) {
                assert_eq!(*account, made.account(role, index), "{name} {index}");
            }
            assert_counts(&spec, &model, &ledger, &accounts);
        }
    }
}

/// Migrates the list and compares what the audit found with what was built in.
fn assert_counts(spec: &FixtureSpec, model: &Model, ledger: &LedgerModel, accounts: &[Account]) {
    let rule = match spec.era {
        Era::Mesa => Rule::MesaToMesa,
        _ => Rule::from_pair(Era::Berkeley, Era::Mesa, None, Some(model.fork_slot)).unwrap(),
    };
    let mut audit = Audit::default();
    for account in accounts {
        let (after, changes) = rule.migrate(account).unwrap();
        audit.record(account, &after, &changes);
    }
    audit.check_supply().unwrap();
    assert_eq!(audit.accounts, u64::from(ledger.accounts));
    assert_eq!(audit.zkapps, u64::from(ledger.zkapps));
    assert_eq!(
        audit.before.default_token,
        u128::from(ledger.total_currency_nanomina)
    );
    if spec.era == Era::Berkeley {
        assert_eq!(audit.padded_zkapps, u64::from(ledger.zkapps));
        assert_eq!(audit.untimed_changed, u64::from(ledger.untimed));
        assert_eq!(audit.timed_changed, u64::from(ledger.still_vesting));
        assert_eq!(audit.still_vesting, u64::from(ledger.still_vesting));
        assert_eq!(
            audit.still_vesting_past_cliff,
            u64::from(ledger.still_vesting_past_cliff)
        );
        assert!(ledger.still_vesting > ledger.still_vesting_past_cliff);
        assert!(ledger.still_vesting_past_cliff > 0);
        assert!(ledger.timed > ledger.still_vesting);
    }
}

#[test]
fn the_block_agrees_with_itself_and_the_ledgers() {
    for era in [Era::Berkeley, Era::Mesa] {
        let (directory, model) = written(&small(FixtureSpec {
            era,
            raw_bytes: true,
            ..FixtureSpec::default()
        }));
        let bytes = read(&directory, "block.json");
        let block = Block::from_slice(&bytes).unwrap();
        let network =
            Network::from_toml(&String::from_utf8(read(&directory, "network.toml")).unwrap())
                .unwrap();
        assert_eq!(block.problems(Some(network.chain.slot_ms)), []);
        let facts = block.facts();
        assert_eq!(facts.state_hash, model.state_hash);
        assert_eq!(facts.staged_ledger_hash, model.ledgers.genesis.root);
        assert_eq!(facts.staking_epoch.ledger_hash, model.ledgers.staking.root);
        assert_eq!(facts.next_epoch.ledger_hash, model.ledgers.next.root);
        assert_eq!(facts.blockchain_length, model.blockchain_length);
        assert_eq!(
            facts.chain_fork_slot(),
            Some(network.chain.fork_global_slot)
        );
        assert_eq!(facts.transaction_version, Some(era.txn_version()));
        assert!(facts.global_slot_since_genesis < model.fork_slot);
        assert_eq!(
            network.chain.genesis_state_hash,
            Some(facts.genesis_state_hash)
        );
        assert_eq!((network.source_era, network.target_era), (era, Era::Mesa));
        assert_accessed_accounts(
            era,
            &bytes,
            &list(era, &read(&directory, "staged_ledger.json")),
        );
    }
}

#[derive(Deserialize)]
struct BlockFile<'a> {
    #[serde(borrow)]
    data: BlockData<'a>,
}

#[derive(Deserialize)]
struct BlockData<'a> {
    #[serde(borrow)]
    accounts_accessed: Vec<(usize, BlockAccountJson<'a>)>,
}

fn assert_accessed_accounts(era: Era, block: &[u8], ledger: &[Account]) {
    let block: BlockFile<'_> = serde_json::from_slice(block).unwrap();
    assert_eq!(block.data.accounts_accessed.len(), 10);
    for (index, json) in &block.data.accounts_accessed {
        let account = from_block_account(json, era, &VerificationKeyCache::new()).unwrap();
        assert_eq!(account, ledger[*index]);
    }
}

/// The parts of a fork config and of a replayer output that are not accounts.
fn outline(bytes: &[u8]) -> serde_json::Value {
    let mut json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    remove_accounts(&mut json);
    json
}

fn remove_accounts(json: &mut serde_json::Value) {
    if let Some(object) = json.as_object_mut() {
        object.remove("accounts");
        object.values_mut().for_each(remove_accounts);
    }
}

#[test]
fn fork_configs_in_both_styles() {
    let (directory, model) = written(&small(FixtureSpec::default()));
    let block = Block::from_slice(&read(&directory, "block.json"))
        .unwrap()
        .facts();
    let epoch_data = serde_json::json!({
        "staking": {"seed": block.staking_epoch.seed},
        "next": {"seed": block.next_epoch.seed},
    });
    let mut expected = serde_json::json!({
        "genesis": {"genesis_state_timestamp": "2026-09-03T18:00:00Z"},
        "proof": {"fork": {
            "state_hash": model.state_hash,
            "blockchain_length": 548_146,
            "global_slot_since_genesis": 958_440,
        }},
        "ledger": {"hash": model.ledgers.genesis.root, "add_genesis_winner": false},
        "epoch_data": epoch_data,
    });
    assert_eq!(outline(&read(&directory, "fork_config.json")), expected);

    let (older, older_model) = written(&small(FixtureSpec {
        fork_slot_style: ForkSlotStyle::ForkBlock,
        ..FixtureSpec::default()
    }));
    assert_eq!(
        older_model, model,
        "the style is of the file, not of the fork"
    );
    expected.as_object_mut().unwrap().remove("genesis");
    expected["proof"]["fork"]["global_slot_since_genesis"] = 958_279.into();
    assert_eq!(outline(&read(&older, "fork_config.json")), expected);

    let replayer = outline(&read(&directory, "replayer_output.json"));
    assert_eq!(
        replayer["target_fork_state_hash"],
        expected["proof"]["fork"]["state_hash"]
    );
    assert_eq!(replayer["target_epoch_data"], epoch_data);
    assert_eq!(
        replayer["target_genesis_ledger"],
        serde_json::json!({"name": "release", "num_accounts": 250})
    );
}

#[test]
fn the_fork_config_has_the_accounts_of_the_exports() {
    let (directory, model) = written(&small(FixtureSpec::default()));
    let config: BTreeMap<String, Box<serde_json::Value>> =
        serde_json::from_slice(&read(&directory, "fork_config.json")).unwrap();
    let ledger = config["ledger"].to_string();
    let mut count = 0;
    let mut sink = AccountSink::new(|_, _: AccountJson<'_>| {
        count += 1;
        Ok::<(), AccountError>(())
    });
    let mut json = serde_json::Deserializer::from_str(&ledger);
    let meta = LedgerObjectSeed::new(&mut sink).deserialize(&mut json);
    let meta = sink.finish(meta).unwrap();
    fork_ledger::json::ledger_object::check_fork_shape(&meta).unwrap();
    assert_eq!(meta.hash, Some(model.ledgers.genesis.root.to_string()));
    assert_eq!(count, 200);
    let export: serde_json::Value =
        serde_json::from_slice(&read(&directory, "staged_ledger.json")).unwrap();
    assert_eq!(config["ledger"]["accounts"], export);
}

#[test]
fn prefork_config_and_network_lead_to_the_scheduled_fork() {
    let (directory, model) = written(&small(FixtureSpec::default()));
    let config: serde_json::Value =
        serde_json::from_slice(&read(&directory, "prefork_config.json")).unwrap();
    let number = |pointer: &str| config.pointer(pointer).unwrap().as_u64().unwrap();
    let scheduled =
        number("/daemon/slot_chain_end") + number("/daemon/hard_fork_genesis_slot_delta");
    assert_eq!(
        number("/proof/fork/global_slot_since_genesis") + scheduled,
        u64::from(model.fork_slot.get())
    );
    assert_eq!(model.genesis_timestamp, "2026-09-03T18:00:00Z");
    assert_eq!(
        config["genesis"]["genesis_state_timestamp"],
        "2024-06-05T00:00:00Z"
    );
}

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fork_fs::sorted_names(directory)
        .unwrap()
        .into_iter()
        .map(|name| {
            let bytes = read_file(&directory.join(&name));
            (name.into_string().unwrap(), bytes)
        })
        .collect()
}

#[test]
fn same_spec_same_bytes() {
    let spec = small(FixtureSpec {
        gzip: true,
        ..FixtureSpec::default()
    });
    let (one, model) = written(&spec);
    let (two, _) = written(&spec);
    let one = contents(&one.path().join("fixture"));
    assert_eq!(one, contents(&two.path().join("fixture")));
    let mut names = model.files.clone();
    names.push("fixture.json".to_owned());
    names.sort();
    assert_eq!(one.keys().cloned().collect::<Vec<_>>(), names);
}

#[test]
fn compressed_configs_hold_the_same() {
    let spec = small(FixtureSpec {
        files: Files::ForkConfig,
        mix: Mix::Plain,
        ..FixtureSpec::default()
    });
    let (plain, model) = written(&spec);
    assert_eq!(
        model.files,
        [
            "fork_config.json",
            "block.json",
            "network.toml",
            "prefork_config.json"
        ]
    );
    let (gzip, _) = written(&FixtureSpec { gzip: true, ..spec });
    let mut unpacked = Vec::new();
    GzDecoder::new(&read(&gzip, "fork_config.json.gz")[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, read(&plain, "fork_config.json"));
}

#[test]
fn shared_epoch_ledgers_have_one_root() {
    let (_, apart) = written(&small(FixtureSpec::default()));
    assert_ne!(apart.ledgers.staking.root, apart.ledgers.next.root);
    let (directory, shared) = written(&small(FixtureSpec {
        share_epoch_ledgers: true,
        ..FixtureSpec::default()
    }));
    assert_eq!(shared.ledgers.staking, shared.ledgers.next);
    assert_eq!(
        read(&directory, "staking_ledger.json"),
        read(&directory, "next_staking_ledger.json")
    );
}

#[test]
fn an_existing_directory_is_not_touched() {
    let (directory, _) = written(&small(FixtureSpec::default()));
    let output = directory.path().join("fixture");
    let before = contents(&output);
    assert!(write_fixture(&small(FixtureSpec::default()), &output, false).is_err());
    assert_eq!(contents(&output), before);
    let seed_2 = small(FixtureSpec {
        seed: 2,
        ..FixtureSpec::default()
    });
    write_fixture(&seed_2, &output, true).unwrap();
    assert_ne!(contents(&output), before);
}

/// Pinned, so that a change of the generator does not go unnoticed: fixtures elsewhere depend on
/// the bytes.
#[test]
fn roots_never_change() {
    let spec = FixtureSpec {
        accounts: 100,
        files: Files::ForkConfig,
        ..FixtureSpec::default()
    };
    let (_, model) = written(&spec);
    assert_eq!(
        model.ledgers.genesis.root.to_string(),
        "jxMyT1EBnyQcpNi354kjcRvCDUjCPfoKkuhjtSDidWFfvVRYqNb"
    );
}
