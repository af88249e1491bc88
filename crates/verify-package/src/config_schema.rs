//! The members that a fork config may have.
//!
//! A daemon reads configs leniently: what it does not know it drops without a word, so that a misspelled
//! member is as good as none. Here every member must be one that daemons know, of the type they expect.
//! The members that make up a fork are required; the constants and settings that other tools also write
//! are optional. What would take the place of a hash (accounts, names, padding) is no part of a fork
//! config at all, since a daemon would take it first.
//!
//! Source: MinaProtocol/mina `src/lib/runtime_config/runtime_config.ml`.

use fork_genesis::config::{EpochDataSection, ForkSection, S3DataHash};
use fork_types::LedgerHash;
use serde::Deserialize;
use serde::de::{Error, IgnoredAny};

/// What a strict reading says; `is_automode` is one that a daemon wrote by itself, which need not name
/// the network.
pub(crate) fn check(bytes: &[u8], is_automode: bool) -> Result<(), String> {
    let config: Config = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let names_network = config
        .daemon
        .is_some_and(|daemon| daemon.network_id.is_some());
    if !is_automode && !names_network {
        return Err("missing field `daemon.network_id`".to_owned());
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the shape matters")]
struct Config {
    genesis: Genesis,
    proof: Proof,
    ledger: Ledger,
    epoch_data: EpochDataSection,
    daemon: Option<Daemon>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the shape matters")]
struct Genesis {
    genesis_state_timestamp: String,
    k: Option<u32>,
    delta: Option<u32>,
    slots_per_epoch: Option<u32>,
    slots_per_sub_window: Option<u32>,
    grace_period_slots: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the shape matters")]
struct Proof {
    fork: ForkSection,
    level: Option<Level>,
    sub_windows_per_window: Option<u32>,
    ledger_depth: Option<u8>,
    work_delay: Option<u32>,
    block_window_duration_ms: Option<u64>,
    supercharged_coinbase_factor: Option<u32>,
    transaction_capacity: Option<TransactionCapacity>,
    coinbase_amount: Option<String>,
    account_creation_fee: Option<String>,
    /// In templates of late 2025; older daemons drop it.
    signature_kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Full,
    Check,
    None,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only the shape matters")]
enum TransactionCapacity {
    #[serde(rename = "2_to_the", alias = "two_to_the", alias = "log_2")]
    TwoToThe(u32),
    #[serde(rename = "txns_per_second_x10")]
    PerSecond(u32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the shape matters")]
struct Ledger {
    add_genesis_winner: bool,
    hash: LedgerHash,
    s3_data_hash: S3DataHash,
    num_accounts: Option<u32>,
    balances: Option<Empty>,
}

/// A list that must be empty.
struct Empty;

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Vec::<IgnoredAny>::deserialize(deserializer)?.as_slice() {
            [] => Ok(Self),
            _ => Err(D::Error::custom("`ledger.balances` adds accounts")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only the shape matters")]
struct Daemon {
    network_id: Option<String>,
    peer_list_url: Option<String>,
    txpool_max_size: Option<u32>,
    zkapp_proof_update_cost: Option<f64>,
    zkapp_signed_single_update_cost: Option<f64>,
    zkapp_signed_pair_update_cost: Option<f64>,
    zkapp_transaction_cost_limit: Option<f64>,
    /// Takes the place of the four costs in newer daemons.
    max_zkapp_segment_per_transaction: Option<u32>,
    max_event_elements: Option<u32>,
    max_action_elements: Option<u32>,
    zkapp_cmd_limit_hardcap: Option<u32>,
    minimum_user_command_fee: Option<String>,
    sync_ledger_max_subtree_depth: Option<u32>,
    sync_ledger_default_subtree_depth: Option<u32>,
    /// Known, but the old chain's must not be here: another check's matter.
    slot_tx_end: Option<u32>,
    slot_chain_end: Option<u32>,
    hard_fork_genesis_slot_delta: Option<u32>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn smallest() -> Value {
        let epoch = |seed: &str| {
            json!({
                "seed": seed,
                "hash": "jxvdSnpgWjjERJFdcYNxChJ9F39v4tGrNSzDcaQXuXeJnicrYEP",
                "s3_data_hash": "84a349f6dd12c76b694b283975885994bcfb9117c3f41fa941e0229da3ce2a33",
            })
        };
        json!({
            "genesis": {"genesis_state_timestamp": "2024-04-09T21:00:00Z"},
            "proof": {"fork": {
                "state_hash": "3NKSvjaGSKiQuAt8BP1b1VCpLbJc9RcEFjYCaBYsJJFdrtd6tpaV",
                "blockchain_length": 296_371,
                "global_slot_since_genesis": 445_860,
            }},
            "ledger": {
                "add_genesis_winner": false,
                "hash": "jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf",
                "s3_data_hash": "e2609d4d6a09656577468145a29c89bdc5f857b1b04a0b64c2d0e9f92937d909",
            },
            "epoch_data": {
                "staking": epoch("2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijtTjd3531"),
                "next": epoch("2vaduyGw7uST2rT1HmvSxjrkZX26XnFvu4NJvCebMmLzoWaQtdGT"),
            },
            "daemon": {"network_id": "devnet"},
        })
    }

    fn read(config: &Value, is_automode: bool) -> Result<(), String> {
        check(config.to_string().as_bytes(), is_automode)
    }

    /// A change of one member: its path, and what it becomes; nothing removes it.
    fn with(pointer: &str, value: Option<Value>) -> Value {
        let mut config = smallest();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = config.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(name.to_owned(), value),
            None => parent.remove(name),
        };
        config
    }

    #[test]
    fn every_member_that_daemons_know_is_accepted() {
        assert_eq!(read(&smallest(), false), Ok(()));
        for (pointer, value) in [
            ("/genesis/k", json!(290)),
            ("/genesis/delta", json!(0)),
            ("/genesis/slots_per_epoch", json!(7140)),
            ("/genesis/slots_per_sub_window", json!(7)),
            ("/genesis/grace_period_slots", json!(2160)),
            ("/proof/level", json!("full")),
            ("/proof/level", Value::Null),
            ("/proof/sub_windows_per_window", json!(11)),
            ("/proof/ledger_depth", json!(35)),
            ("/proof/work_delay", json!(2)),
            ("/proof/block_window_duration_ms", json!(90_000)),
            ("/proof/supercharged_coinbase_factor", json!(1)),
            ("/proof/transaction_capacity", json!({"2_to_the": 7})),
            ("/proof/transaction_capacity", json!({"log_2": 7})),
            (
                "/proof/transaction_capacity",
                json!({"txns_per_second_x10": 2}),
            ),
            ("/proof/coinbase_amount", json!("720")),
            ("/proof/account_creation_fee", json!("1")),
            ("/proof/signature_kind", json!("testnet")),
            ("/ledger/num_accounts", json!(10)),
            ("/ledger/balances", json!([])),
            ("/daemon/peer_list_url", json!("https://example.org")),
            ("/daemon/txpool_max_size", json!(3000)),
            ("/daemon/zkapp_proof_update_cost", json!(10.26)),
            ("/daemon/zkapp_signed_single_update_cost", json!(9.14)),
            ("/daemon/zkapp_signed_pair_update_cost", json!(10.08)),
            ("/daemon/zkapp_transaction_cost_limit", json!(69.45)),
            ("/daemon/max_event_elements", json!(100)),
            ("/daemon/max_action_elements", json!(100)),
            ("/daemon/zkapp_cmd_limit_hardcap", json!(128)),
            ("/daemon/minimum_user_command_fee", json!("0.001")),
            ("/daemon/sync_ledger_max_subtree_depth", json!(8)),
            ("/daemon/sync_ledger_default_subtree_depth", json!(6)),
            ("/daemon/slot_tx_end", json!(1)),
            ("/daemon/slot_chain_end", json!(1)),
            ("/daemon/hard_fork_genesis_slot_delta", json!(1)),
        ] {
            let config = with(pointer, Some(value));
            assert_eq!(read(&config, false), Ok(()), "{pointer}");
        }
    }

    #[test]
    fn what_is_unknown_missing_or_of_another_type_is_refused() {
        for (pointer, value) in [
            ("/surprise", Some(json!(1))),
            ("/genesis/surprise", Some(json!(1))),
            ("/proof/surprise", Some(json!(1))),
            ("/proof/fork/surprise", Some(json!(1))),
            ("/proof/fork/genesis_slot", Some(json!(1))),
            ("/ledger/surprise", Some(json!(1))),
            ("/ledger/accounts", Some(json!([]))),
            ("/ledger/name", Some(json!("devnet"))),
            (
                "/ledger/balances",
                Some(json!([{"number": 1, "balance": "1"}])),
            ),
            ("/epoch_data/surprise", Some(json!(1))),
            ("/epoch_data/staking/accounts", Some(json!([]))),
            ("/daemon/surprise", Some(json!(1))),
            ("/daemon/peer-list-url", Some(json!("x"))),
            ("/genesis/k", Some(json!("290"))),
            ("/proof/level", Some(json!("some"))),
            ("/proof/transaction_capacity", Some(json!({}))),
            (
                "/proof/transaction_capacity",
                Some(json!({"2_to_the": 7, "log_2": 7})),
            ),
            ("/proof/fork/blockchain_length", Some(json!(-1))),
            ("/ledger/hash", Some(json!("jx"))),
            ("/ledger/s3_data_hash", Some(json!("00"))),
            ("/ledger/add_genesis_winner", Some(Value::Null)),
            ("/genesis", None),
            ("/genesis/genesis_state_timestamp", None),
            ("/proof", None),
            ("/proof/fork", None),
            ("/proof/fork/state_hash", None),
            ("/proof/fork/blockchain_length", None),
            ("/proof/fork/global_slot_since_genesis", None),
            ("/ledger", None),
            ("/ledger/hash", None),
            ("/ledger/s3_data_hash", None),
            ("/ledger/add_genesis_winner", None),
            ("/epoch_data", None),
            ("/epoch_data/next", None),
            ("/epoch_data/staking/seed", None),
            ("/epoch_data/next/hash", None),
        ] {
            for is_automode in [false, true] {
                let config = with(pointer, value.clone());
                assert!(read(&config, is_automode).is_err(), "{pointer} {value:?}");
            }
        }
    }

    #[test]
    fn only_a_daemons_own_config_may_leave_the_network_out() {
        for pointer in ["/daemon", "/daemon/network_id"] {
            assert!(read(&with(pointer, None), false).is_err(), "{pointer}");
            assert_eq!(read(&with(pointer, None), true), Ok(()), "{pointer}");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_is_refused() {
        let text = smallest().to_string();
        let twice = text.replacen(
            "\"daemon\"",
            "\"daemon\":{\"network_id\":\"x\"},\"daemon\"",
            1,
        );
        assert!(check(twice.as_bytes(), false).is_err());
        assert!(check(b"[]", true).is_err());
    }
}
