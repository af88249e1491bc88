//! The packaged config, and the command line.

use serde_json::Value;

use crate::case::Row;

fn swap(config: &mut Value, member: &str) {
    let at = |epoch: &str| format!("/epoch_data/{epoch}/{member}");
    let staking = config.pointer(&at("staking")).unwrap().clone();
    let next = config.pointer(&at("next")).unwrap().clone();
    *config.pointer_mut(&at("staking")).unwrap() = next;
    *config.pointer_mut(&at("next")).unwrap() = staking;
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "config: seed", mutate: |case| case.opened.config(|config| config["epoch_data"]["staking"]["seed"] = config["epoch_data"]["next"]["seed"].clone()),
        failed: &["config.epoch-seeds"] },
    Row { name: "config: seeds swapped", mutate: |case| case.opened.config(|config| swap(config, "seed")),
        failed: &["config.epoch-seeds"] },
    Row { name: "config: epoch hashes swapped", mutate: |case| case.opened.config(|config| swap(config, "hash")),
        failed: &["migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root", "supply.next", "supply.staking", "tarball.next.s3-data-hash", "tarball.staking.s3-data-hash"] },
    Row { name: "config: epoch ledgers swapped", mutate: |case| case.opened.config(|config| { swap(config, "hash"); swap(config, "s3_data_hash"); }),
        failed: &["migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root", "supply.next", "supply.staking"] },
    Row { name: "config: another root", mutate: |case| case.opened.config(|config| config["ledger"]["hash"] = config["epoch_data"]["next"]["hash"].clone()),
        failed: &["config.ledger-hashes", "migration.genesis.root", "tarball.genesis.name"] },
    Row { name: "config: another s3_data_hash", mutate: |case| case.opened.config(|config| config["ledger"]["s3_data_hash"] = "0".repeat(64).into()),
        failed: &["tarball.genesis.s3-data-hash"] },
    Row { name: "config: length", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["blockchain_length"] = 1.into()),
        failed: &["config.fork-length"] },
    Row { name: "config: state hash", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["state_hash"] = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x".into()),
        failed: &["config.fork-state-hash"] },
    Row { name: "config: slot", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["global_slot_since_genesis"] = 958_441.into()),
        failed: &["config.fork-slot", "config.slot-from-timestamp", "config.timestamp-from-slot"] },
    Row { name: "config: timestamp", mutate: |case| case.opened.config(|config| config["genesis"]["genesis_state_timestamp"] = "2026-09-03T18:00:01Z".into()),
        failed: &["config.slot-from-timestamp", "config.timestamp-from-slot"] },
    Row { name: "config: genesis winner", mutate: |case| case.opened.config(|config| config["ledger"]["add_genesis_winner"] = true.into()),
        failed: &["config.no-genesis-winner"] },
    Row { name: "config: stop slot", mutate: |case| case.opened.config(|config| config["daemon"]["slot_tx_end"] = 1.into()),
        failed: &["config.no-stale-stop-slots"] },
    Row { name: "config: network id", mutate: |case| case.opened.config(|config| config["daemon"]["network_id"] = "other".into()),
        failed: &["config.network-id"] },
    Row { name: "config: unknown member", mutate: |case| case.opened.config(|config| config["surprise"] = 1.into()),
        failed: &["config.schema"] },
    Row { name: "config: unknown member of daemon", mutate: |case| case.opened.config(|config| config["daemon"]["network-id"] = "x".into()),
        failed: &["config.schema"] },
    Row { name: "config: unknown member of fork", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["genesis_slot"] = 1.into()),
        failed: &["config.schema"] },
    Row { name: "config: accounts beside the root", mutate: |case| case.opened.config(|config| config["ledger"]["accounts"] = serde_json::json!([])),
        failed: &["config.schema"] },
    Row { name: "config: name of a ledger beside the root", mutate: |case| case.opened.config(|config| config["ledger"]["name"] = "mainnet".into()),
        failed: &["config.schema"] },
    Row { name: "config: added balances", mutate: |case| case.opened.config(|config| config["ledger"]["balances"] = serde_json::json!([{"number": 1, "balance": "5"}])),
        failed: &["config.schema"] },
    Row { name: "config: no network id", mutate: |case| case.opened.config(|config| { config.as_object_mut().unwrap().remove("daemon"); }),
        failed: &["config.network-id", "config.schema"] },
    Row { name: "config: no seed", mutate: |case| case.opened.config(|config| { config["epoch_data"]["next"].as_object_mut().unwrap().remove("seed"); }),
        failed: &["config.epoch-seeds", "config.schema"] },
    Row { name: "config: number as text", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["blockchain_length"] = "548146".into()),
        failed: &["config.schema"] },
    Row { name: "config: k", mutate: |case| case.opened.config(|config| config["genesis"]["k"] = 291.into()),
        failed: &["config.constants"] },
    Row { name: "config: slot time of the old chain", mutate: |case| case.opened.config(|config| config["proof"]["block_window_duration_ms"] = 180_000.into()),
        failed: &["config.constants"] },
    Row { name: "config: depth", mutate: |case| case.opened.config(|config| config["proof"]["ledger_depth"] = 20.into()),
        failed: &["config.constants"] },
    Row { name: "config: number of accounts", mutate: |case| case.opened.config(|config| config["ledger"]["num_accounts"] = 41.into()),
        failed: &["config.constants"] },
    Row { name: "config: proofs are not checked", mutate: |case| case.opened.config(|config| config["proof"]["level"] = "none".into()),
        failed: &["config.constants"] },
    Row { name: "config: pool size", mutate: |case| case.opened.config(|config| config["daemon"]["txpool_max_size"] = 1.into()),
        failed: &["config.constants"] },
    Row { name: "config: no JSON", mutate: |case| for path in case.opened.config_paths() { case.opened.files.get_mut(&path).unwrap().0 = b"{".to_vec(); },
        failed: &["config.readable"] },
    Row { name: "config: one copy", mutate: |case| case.opened.files.get_mut("/var/lib/coda/config_68503010.json").unwrap().0.push(b' '),
        failed: &["config.copies"] },
    Row { name: "old config", mutate: |case| { let path = case.opened.files.keys().find(|path| path.ends_with(".old.json")).unwrap().clone(); case.opened.files.get_mut(&path).unwrap().0.push(b' '); },
        failed: &["config.old-config"] },
    Row { name: "command line: variant", mutate: |case| case.more = vec!["--variant".to_owned(), "no-vesting".to_owned()],
        failed: &["migration.genesis.accounts", "migration.genesis.root", "migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root"] },
    Row { name: "command line: fork slot", mutate: |case| case.more = vec!["--fork-slot".to_owned(), "900000".to_owned()],
        failed: &["config.fork-slot", "migration.genesis.accounts", "migration.genesis.root", "migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root"] },
    Row { name: "command line: network", mutate: |case| case.network = Some("mainnet".to_owned()),
        failed: &["block.network", "candidate.network", "config.network-id", "package.control", "package.files"] },
];
