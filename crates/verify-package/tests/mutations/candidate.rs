//! The candidate's document and lists.

use std::fs;

use fork_types::{FieldBytes, ReceiptChainHash};
use serde_json::{Value, json};

use crate::case::{Row, Series, json as parsed};

/// The first account of the chain's own token.
fn of_default_token(accounts: &mut [String]) -> &mut String {
    const DEFAULT: &str = "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf";
    let is_default = |account: &&mut String| {
        let json = parsed(account);
        json.get("token").is_none_or(|token| token == DEFAULT)
    };
    accounts.iter_mut().find(is_default).unwrap()
}

fn member(account: &mut String, name: &str, value: Value) {
    let mut json = parsed(account);
    json[name] = value;
    *account = json.to_string();
}

fn any(_: &Value) -> bool {
    true
}

fn has_zkapp(account: &Value) -> bool {
    account.pointer("/zkapp/verification_key").is_some()
}

fn is_timed(account: &Value) -> bool {
    account.get("timing").is_some()
}

const KEY: &str = "B62qiTKpEPjGTSHZrtM8uXiKgn8So916pLmNJKDhKeyBQL9TDb3nvBG";

/// What follows when the candidate's accounts are others than those that were packaged.
const OTHER_LIST: &[&str] = &[
    "migration.genesis.accounts",
    "migration.genesis.root",
    "root.staged",
];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "candidate: balance", mutate: |case| case.staged(|all| member(of_default_token(all), "balance", "1.5".into())),
        failed: &["candidate.counts", "candidate.digests", "migration.genesis.accounts", "migration.genesis.root", "root.staged", "supply.genesis"] },
    Row { name: "candidate: balance, document adapted", mutate: |case| { case.staged(|all| member(of_default_token(all), "balance", "1.5".into())); case.name_staged(); },
        failed: &["candidate.counts", "migration.genesis.accounts", "migration.genesis.root", "root.staged", "supply.genesis"] },
    Row { name: "candidate: nonce", mutate: |case| { case.staged(|all| member(&mut all[0], "nonce", "77777".into())); case.name_staged(); },
        failed: &["migration.genesis.accounts", "migration.genesis.root", "root.staged"] },
    Row { name: "candidate: order", mutate: |case| { case.staged(|all| all.swap(1, 2)); case.name_staged(); },
        failed: &["migration.genesis.accounts", "migration.genesis.root", "root.staged"] },
    Row { name: "candidate: missing account", mutate: |case| { case.staged(|all| { all.pop(); }); case.name_staged(); },
        failed: &["candidate.counts", "migration.genesis.accounts", "migration.genesis.root", "root.staged", "supply.genesis"] },
    Row { name: "candidate: no JSON", mutate: |case| { fs::write(case.candidate.join("staged_ledger.json"), "[{]").unwrap(); case.name_staged(); },
        failed: &["candidate.counts"] },
    Row { name: "candidate: block is damaged", mutate: |case| fs::write(case.candidate.join("block.json"), "{}").unwrap(),
        failed: &["block.readable", "candidate.digests"] },
    Row { name: "candidate.json: seeds", mutate: |case| case.document(|value| value["seeds"]["staking"] = value["seeds"]["next"].clone()),
        failed: &["block.seeds"] },
    Row { name: "candidate.json: length", mutate: |case| case.document(|value| value["fork_block"]["blockchain_length"] = 1.into()),
        failed: &["block.length"] },
    Row { name: "candidate.json: slot", mutate: |case| case.document(|value| value["fork_block"]["global_slot_since_genesis"] = 1.into()),
        failed: &["block.slots"] },
    Row { name: "candidate.json: state hash", mutate: |case| case.document(|value| value["fork_block"]["state_hash"] = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x".into()),
        failed: &["block.state-hash"] },
    Row { name: "candidate.json: network", mutate: |case| case.document(|value| value["network"] = "other".into()),
        failed: &["candidate.network"] },
    Row { name: "candidate: empty list", mutate: |case| { case.staged(Vec::clear); case.name_staged(); },
        failed: &["candidate.counts", "+list", "supply.genesis"] },
    Row { name: "candidate: account twice", mutate: |case| { case.staged(|all| { let first = all[0].clone(); all.push(first); }); case.name_staged(); },
        failed: &["candidate.counts", "+list", "supply.genesis"] },
    Row { name: "candidate: member twice", mutate: |case| { case.staged(|all| all[0] = all[0].replacen('{', "{\"balance\":\"1\",", 1)); case.name_staged(); },
        failed: &["candidate.counts"] },
    Row { name: "candidate: no closing bracket", mutate: |case| { let path = case.candidate.join("staged_ledger.json"); let text = fs::read_to_string(&path).unwrap(); fs::write(path, text.trim_end().trim_end_matches(']')).unwrap(); case.name_staged(); },
        failed: &["candidate.counts"] },
    Row { name: "candidate: something behind the list", mutate: |case| { let path = case.candidate.join("staged_ledger.json"); let text = fs::read_to_string(&path).unwrap(); fs::write(path, text + "[]").unwrap(); case.name_staged(); },
        failed: &["candidate.counts"] },
    Row { name: "candidate: list is missing", mutate: |case| fs::remove_file(case.candidate.join("staged_ledger.json")).unwrap(),
        failed: &["candidate.counts", "candidate.digests"] },
    Row { name: "candidate: block is missing", mutate: |case| fs::remove_file(case.candidate.join("block.json")).unwrap(),
        failed: &["block.readable", "candidate.digests"] },
    Row { name: "candidate: staking and next lists in each other's place", mutate: |case| case.document(|value| {
            let (staking, next) = (value["staking_ledger"].clone(), value["next_staking_ledger"].clone());
            value["staking_ledger"] = next;
            value["next_staking_ledger"] = staking;
        }),
        failed: &["migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root", "root.next", "root.staking", "supply.next", "supply.staking"] },
    Row { name: "candidate: staged list for the next one", mutate: |case| case.document(|value| value["next_staking_ledger"] = value["staged_ledger"].clone()),
        failed: &["migration.next.accounts", "migration.next.root", "root.next", "supply.next"] },
    Row { name: "candidate: staking list, nonce", mutate: |case| { case.list("staking_ledger.json", |all| member(&mut all[3], "nonce", "5".into())); case.name_file("staking_ledger.json", "/staking_ledger/file"); },
        failed: &["migration.staking.accounts", "migration.staking.root", "root.staking"] },
    Row { name: "candidate: next list, nonce", mutate: |case| { case.list("next_staking_ledger.json", |all| member(&mut all[3], "nonce", "5".into())); case.name_file("next_staking_ledger.json", "/next_staking_ledger/file"); },
        failed: &["migration.next.accounts", "migration.next.root", "root.next"] },
    Row { name: "candidate: verification key removed", mutate: |case| case.listed(has_zkapp, |account| { account["zkapp"].as_object_mut().unwrap().remove("verification_key"); }),
        failed: &["+list"] },
    Row { name: "candidate: verification key, one bit", mutate: |case| case.listed(has_zkapp, |account| {
            let key = account["zkapp"]["verification_key"].as_str().unwrap().to_owned();
            // The key's data are behind its two small numbers.
            let at = 700;
            let other = if &key[at..=at] == "A" { "B" } else { "A" };
            account["zkapp"]["verification_key"] = format!("{}{other}{}", &key[..at], &key[at + 1..]).into();
        }),
        failed: OTHER_LIST },
    Row { name: "candidate: app state too long", mutate: |case| case.listed(has_zkapp, |account| account["zkapp"]["app_state"].as_array_mut().unwrap().push("0".into())),
        failed: &["candidate.counts"] },
    Row { name: "candidate: vesting period of 0", mutate: |case| case.listed(is_timed, |account| account["timing"]["vesting_period"] = "0".into()),
        failed: OTHER_LIST },
    // The rule makes the same of both, so that only the old chain's root tells.
    Row { name: "candidate: untimed as timed with nothing", mutate: |case| case.listed(any, |account| account["timing"] = json!({"initial_minimum_balance": "0", "cliff_time": "0", "cliff_amount": "0", "vesting_period": "1", "vesting_increment": "0"})),
        failed: &["root.staged"] },
    Row { name: "candidate: key that is no key", mutate: |case| case.listed(any, |account| account["pk"] = "B62".into()),
        failed: &["candidate.counts"] },
    Row { name: "candidate.json: digest of a list", mutate: |case| case.document(|value| value["staking_ledger"]["file"]["sha256"] = "0".repeat(64).into()),
        failed: &["candidate.digests"] },
    Row { name: "candidate.json: size of a list", mutate: |case| case.document(|value| value["staking_ledger"]["file"]["bytes"] = 1.into()),
        failed: &["candidate.digests"] },
    Row { name: "candidate.json: digest of the block", mutate: |case| case.document(|value| value["block"]["sha256"] = "0".repeat(64).into()),
        failed: &["candidate.digests"] },
    Row { name: "candidate.json: accounts", mutate: |case| case.document(|value| value["staking_ledger"]["accounts"] = 39.into()),
        failed: &["candidate.counts"] },
    Row { name: "candidate.json: sum", mutate: |case| case.document(|value| value["next_staking_ledger"]["total_balance_nanomina"] = "1".into()),
        failed: &["candidate.counts"] },
    Row { name: "candidate.json: era", mutate: |case| case.document(|value| value["source_era"] = "mesa".into()),
        failed: &["candidate.network"] },
    Row { name: "candidate.json: slot since hard fork", mutate: |case| case.document(|value| value["fork_block"]["slot_since_hard_fork"] = 1.into()),
        failed: &["block.slots"] },
    Row { name: "candidate.json: time", mutate: |case| case.document(|value| value["fork_block"]["timestamp_ms"] = 1.into()),
        failed: &["block.slots"] },
    Row { name: "candidate.json: genesis time", mutate: |case| case.document(|value| value["fork_block"]["chain_genesis_timestamp_ms"] = 1.into()),
        failed: &["block.slots"] },
    Row { name: "candidate.json: next seed", mutate: |case| case.document(|value| value["seeds"]["next"] = value["seeds"]["staking"].clone()),
        failed: &["block.seeds"] },
    // Without a block the document's claims take its place.
    Row { name: "candidate.json: claimed root, no block", mutate: |case| case.document(|value| {
            value["staged_ledger"]["claimed_root"]["root"] = value["next_staking_ledger"]["claimed_root"]["root"].clone();
            value.as_object_mut().unwrap().remove("block");
        }),
        failed: &["root.staged"] },
    Row { name: "candidate.json: seeds, no block", mutate: |case| case.document(|value| {
            value["seeds"] = json!({"staking": value["seeds"]["next"], "next": value["seeds"]["staking"]});
            value.as_object_mut().unwrap().remove("block");
        }),
        failed: &["config.epoch-seeds"] },
    Row { name: "candidate.json: length, no block", mutate: |case| case.document(|value| {
            value["fork_block"]["blockchain_length"] = 1.into();
            value.as_object_mut().unwrap().remove("block");
        }),
        failed: &["config.fork-length"] },
];

/// Every member of an account in the candidate's list, the document adapted.
#[rustfmt::skip]
pub const SERIES: &[Series] = &[
    Series { name: "candidate: permission", items: &[
            "edit_state", "access", "send", "receive", "set_delegate", "set_permissions", "set_zkapp_uri",
            "edit_action_state", "set_token_symbol", "increment_nonce", "set_voting_for", "set_timing",
        ],
        mutate: |case, name| case.listed(any, |account| {
            let now = &mut account["permissions"][name];
            *now = if *now == "impossible" { "none" } else { "impossible" }.into();
        }),
        failed: OTHER_LIST },
    Series { name: "candidate: permission to set the verification key", items: &["auth", "txn_version"],
        mutate: |case, name| case.listed(any, |account| {
            let now = &mut account["permissions"]["set_verification_key"][name];
            *now = if name == "txn_version" { "1" } else if *now == "impossible" { "none" } else { "impossible" }.into();
        }),
        failed: OTHER_LIST },
    Series { name: "candidate: app state element", items: &["0", "1", "2", "3", "4", "5", "6", "7"],
        mutate: |case, index| case.listed(has_zkapp, |account| account["zkapp"]["app_state"][index.parse::<usize>().unwrap()] = "424242".into()),
        failed: OTHER_LIST },
    Series { name: "candidate: action state element", items: &["0", "1", "2", "3", "4"],
        mutate: |case, index| case.listed(has_zkapp, |account| account["zkapp"]["action_state"][index.parse::<usize>().unwrap()] = "424242".into()),
        failed: OTHER_LIST },
    Series { name: "candidate: zkApp", items: &["zkapp_version", "last_action_slot", "proved_state", "zkapp_uri"],
        mutate: |case, name| case.listed(has_zkapp, |account| {
            let now = account["zkapp"][name].clone();
            account["zkapp"][name] = match now {
                Value::Bool(now) => (!now).into(),
                Value::Number(_) => 7.into(),
                _ => "7".into(),
            };
        }),
        failed: OTHER_LIST },
    Series { name: "candidate: vesting", items: &["initial_minimum_balance", "cliff_time", "cliff_amount", "vesting_period", "vesting_increment"],
        mutate: |case, name| case.listed(is_timed, |account| account["timing"][name] = "3".into()),
        failed: OTHER_LIST },
    Series { name: "candidate: member", items: &["pk", "delegate", "token_symbol", "receipt_chain_hash", "voting_for"],
        mutate: |case, name| case.listed(any, |account| account[name] = match name {
            "pk" | "delegate" => KEY.into(),
            "token_symbol" => "X".into(),
            "receipt_chain_hash" => ReceiptChainHash::new(FieldBytes::from_u64(5)).to_string().into(),
            _ => "3NLXx82YjPtcE2hWDY53xRbJWcLDWGSXuYioS7CyDPi6bPmRTP5G".into(),
        }),
        failed: OTHER_LIST },
];

/// Names for the table.
pub const OTHER: &[&str] = OTHER_LIST;
