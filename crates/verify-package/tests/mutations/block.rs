//! The fork block: one member at a time, the candidate's document naming the block as it is.

use serde_json::Value;

use crate::case::{Row, Series};

/// Any change of the state makes it another block, which neither candidate nor config name.
const OTHER_BLOCK: &[&str] = &["block.state-hash", "config.fork-state-hash"];

const LEDGER: &str = "jwjhptPyvTf5cxvXihDBjinjcxRnjmHBHRZvnJUg2WNjTAkYffs";
const STATE: &str = "3NLoKn22eMnyQ7rxh5pxB6vBA3XhSAhhrf7akdqS6HbAKD14Dh1d";
const SEED: &str = "2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijtTjd3531";

/// A number one higher.
fn higher(value: &mut Value) {
    let number: u64 = value.as_str().unwrap().parse().unwrap();
    *value = (number + 1).to_string().into();
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "block: no JSON", mutate: |case| { std::fs::write(case.candidate.join("block.json"), "{").unwrap(); case.name_file("block.json", "/block"); },
        failed: &["block.readable"] },
    Row { name: "block: no protocol state", mutate: |case| case.block(|block| { block["data"].as_object_mut().unwrap().remove("protocol_state"); }),
        failed: &["block.readable"] },
    Row { name: "block: previous state hash", mutate: |case| case.state("/previous_state_hash", |value| *value = STATE.into()),
        failed: OTHER_BLOCK },
    Row { name: "block: staged ledger hash", mutate: |case| case.state("/body/blockchain_state/staged_ledger_hash/non_snark/ledger_hash", |value| *value = LEDGER.into()),
        failed: &["+block", "root.staged"] },
    Row { name: "block: snarked ledger hash", mutate: |case| case.state("/body/blockchain_state/ledger_proof_statement/target/first_pass_ledger", |value| *value = "jxfEqWczH5Z3KBnJaewNdeFbe5hEWQZF6E7vFzNrTSmY3dRdujq".into()),
        failed: OTHER_BLOCK },
    Row { name: "block: staking ledger hash", mutate: |case| case.state("/body/consensus_state/staking_epoch_data/ledger/hash", |value| *value = LEDGER.into()),
        failed: &["+block", "root.staking"] },
    Row { name: "block: next ledger hash", mutate: |case| case.state("/body/consensus_state/next_epoch_data/ledger/hash", |value| *value = LEDGER.into()),
        failed: &["+block", "root.next"] },
    Row { name: "block: epoch ledgers swapped", mutate: |case| case.state("/body/consensus_state", |state| {
            let staking = state["staking_epoch_data"]["ledger"].clone();
            state["staking_epoch_data"]["ledger"] = state["next_epoch_data"]["ledger"].clone();
            state["next_epoch_data"]["ledger"] = staking;
        }),
        failed: &["+block", "root.next", "root.staking"] },
    Row { name: "block: staking seed", mutate: |case| case.state("/body/consensus_state/staking_epoch_data/seed", |value| *value = SEED.into()),
        failed: &["+block", "block.seeds", "config.epoch-seeds"] },
    Row { name: "block: next seed", mutate: |case| case.state("/body/consensus_state/next_epoch_data/seed", |value| *value = SEED.into()),
        failed: &["+block", "block.seeds", "config.epoch-seeds"] },
    Row { name: "block: genesis ledger hash", mutate: |case| case.state("/body/blockchain_state/genesis_ledger_hash", |value| *value = LEDGER.into()),
        failed: &["+block", "block.network"] },
    Row { name: "block: genesis state hash", mutate: |case| case.state("/body/genesis_state_hash", |value| *value = STATE.into()),
        failed: &["+block", "block.network"] },
    Row { name: "block: length", mutate: |case| case.state("/body/consensus_state/blockchain_length", higher),
        failed: &["+block", "block.length", "config.fork-length"] },
    Row { name: "block: slot since genesis", mutate: |case| case.state("/body/consensus_state/global_slot_since_genesis", higher),
        failed: &["+block", "block.network", "block.slots"] },
    Row { name: "block: slot since hard fork", mutate: |case| case.state("/body/consensus_state/curr_global_slot_since_hard_fork/slot_number", higher),
        failed: &["+block", "block.network", "block.slots"] },
    Row { name: "block: slots per epoch beside the slot", mutate: |case| case.state("/body/consensus_state/curr_global_slot_since_hard_fork/slots_per_epoch", higher),
        failed: &["+block", "block.consistent"] },
    Row { name: "block: epoch count", mutate: |case| case.state("/body/consensus_state/epoch_count", higher),
        failed: &["+block", "block.consistent"] },
    Row { name: "block: timestamp", mutate: |case| case.state("/body/blockchain_state/timestamp", higher),
        failed: &["+block", "block.consistent", "block.slots"] },
    Row { name: "block: genesis time", mutate: |case| case.state("/body/constants/genesis_state_timestamp", higher),
        failed: &["+block", "block.network", "block.slots"] },
    Row { name: "block: of another protocol version", mutate: |case| case.block(|block| block["data"]["protocol_version"]["transaction"] = 2.into()),
        failed: &["block.readable"] },
    // Real block of another chain, as far as the members that are compared go.
    Row { name: "block: of another chain", mutate: |case| case.state("", |state| {
            state["body"]["genesis_state_hash"] = STATE.into();
            state["body"]["blockchain_state"]["genesis_ledger_hash"] = LEDGER.into();
            higher(&mut state["body"]["constants"]["genesis_state_timestamp"]);
            for (pointer, value) in [
                ("/body/blockchain_state/staged_ledger_hash/non_snark/ledger_hash", LEDGER),
                ("/body/consensus_state/staking_epoch_data/ledger/hash", LEDGER),
                ("/body/consensus_state/next_epoch_data/ledger/hash", LEDGER),
                ("/body/consensus_state/staking_epoch_data/seed", SEED),
            ] {
                *state.pointer_mut(pointer).unwrap() = value.into();
            }
        }),
        failed: &["+block", "block.network", "block.seeds", "block.slots", "config.epoch-seeds", "root.next", "root.staged", "root.staking"] },
    Row { name: "block: named by the candidate, not by the config", mutate: |case| {
            case.state("/previous_state_hash", |value| *value = STATE.into());
            case.name_state();
        },
        failed: &["config.fork-state-hash"] },
];

/// Members that nothing but the state hash knows.
#[rustfmt::skip]
pub const SERIES: &[Series] = &[
    Series { name: "block: number", items: &[
            "/body/consensus_state/total_currency",
            "/body/consensus_state/min_window_density",
            "/body/consensus_state/sub_window_densities/0",
            "/body/consensus_state/staking_epoch_data/ledger/total_currency",
            "/body/consensus_state/staking_epoch_data/epoch_length",
            "/body/consensus_state/next_epoch_data/ledger/total_currency",
            "/body/consensus_state/next_epoch_data/epoch_length",
            "/body/blockchain_state/ledger_proof_statement/supply_increase/magnitude",
        ],
        mutate: |case, pointer| case.state(pointer, higher),
        failed: OTHER_BLOCK },
    Series { name: "block: constant", items: &["k", "slots_per_sub_window", "grace_period_slots", "delta"],
        mutate: |case, name| case.state(&format!("/body/constants/{name}"), higher),
        failed: &["block.network", "block.state-hash", "config.fork-state-hash"] },
    Series { name: "block: state hash", items: &[
            "/body/consensus_state/staking_epoch_data/start_checkpoint",
            "/body/consensus_state/staking_epoch_data/lock_checkpoint",
            "/body/consensus_state/next_epoch_data/start_checkpoint",
            "/body/consensus_state/next_epoch_data/lock_checkpoint",
        ],
        mutate: |case, pointer| case.state(pointer, |value| *value = STATE.into()),
        failed: OTHER_BLOCK },
    Series { name: "block: ledger hash", items: &[
            "/body/blockchain_state/ledger_proof_statement/source/first_pass_ledger",
            "/body/blockchain_state/ledger_proof_statement/source/second_pass_ledger",
            "/body/blockchain_state/ledger_proof_statement/connecting_ledger_left",
        ],
        mutate: |case, pointer| case.state(pointer, |value| *value = LEDGER.into()),
        failed: OTHER_BLOCK },
    Series { name: "block: yes or no", items: &[
            "/body/consensus_state/has_ancestor_in_same_checkpoint_window",
            "/body/consensus_state/supercharge_coinbase",
            "/body/blockchain_state/ledger_proof_statement/target/local_state/success",
        ],
        mutate: |case, pointer| case.state(pointer, |value| *value = (!value.as_bool().unwrap()).into()),
        failed: OTHER_BLOCK },
    Series { name: "block: key", items: &["block_stake_winner", "block_creator", "coinbase_receiver"],
        mutate: |case, name| case.state(&format!("/body/consensus_state/{name}"), |value| *value = "B62qiTKpEPjGTSHZrtM8uXiKgn8So916pLmNJKDhKeyBQL9TDb3nvBG".into()),
        failed: OTHER_BLOCK },
];

/// Names for the table.
pub const OTHER: &[&str] = OTHER_BLOCK;
