//! The objects of the answers. Numbers wider than 32 bits, slots and heights are strings, as on a
//! daemon's wire.

use fork_genesis::GenesisTimestamp;
use fork_genesis::protocol_state::EpochData;
use fork_ledger::account::{Auth, Permissions, Timing};
use fork_ledger::packing::field_bytes;
use fork_types::FieldBytes;
use serde_json::{Value, json};

use super::GraphqlError;
use super::resolve::Asked;
use crate::world::{Leaf, WorldBlock};

/// Fee for a new account in nanomina.
const ACCOUNT_CREATION_FEE: &str = "1000000000";

/// Coinbase in nanomina.
const COINBASE: &str = "720000000000";

fn text(value: impl std::fmt::Display) -> Value {
    Value::from(value.to_string())
}

fn nanomina(amount: fork_types::Amount) -> Value {
    text(amount.nanomina())
}

/// How far a daemon's clock is from everybody else's, in seconds.
pub(super) fn time_offset_seconds(asked: &Asked<'_>) -> i64 {
    let slot_ms = i64::try_from(asked.world.scenario().network.slot_ms).unwrap_or(i64::MAX);
    let skew = i64::from(asked.spec().clock_skew);
    skew.saturating_mul(slot_ms) / 1000
}

fn consensus_time(asked: &Asked<'_>, slot: u32) -> Value {
    let network = &asked.world.scenario().network;
    let start = u64::from(slot)
        .saturating_mul(network.slot_ms)
        .saturating_add(network.genesis_timestamp.ms());
    json!({
        // `slots_per_epoch` is never 0 in a scenario.
        "epoch": text(slot.checked_div(network.slots_per_epoch).unwrap_or(0)),
        "slot": text(slot.checked_rem(network.slots_per_epoch).unwrap_or(0)),
        "globalSlot": text(slot),
        "startTime": text(start),
        "endTime": text(start.saturating_add(network.slot_ms)),
    })
}

pub(super) fn daemon_status(asked: &Asked<'_>) -> Value {
    let world = asked.world;
    let spec = asked.spec();
    let network = &world.scenario().network;
    let tip = asked.view.tip().map(|tip| &world.blocks()[tip]);
    let received = tip.map_or(0, WorldBlock::height);
    let now = asked.slot.saturating_add_signed(spec.clock_skew);
    let epoch_ms = network
        .slot_ms
        .saturating_mul(u64::from(network.slots_per_epoch));
    let peers: Vec<Value> = (1..=spec.peers)
        .map(|number| {
            json!({
                "peerId": format!("12D3KooWStubPeer{number}"),
                // Addresses for documentation, which nobody has.
                "host": format!("192.0.2.{}", number % 256),
                "libp2pPort": 8302,
            })
        })
        .collect();
    json!({
        "numAccounts": tip.map(|_| world.accounts()),
        "blockchainLength": tip.map(WorldBlock::height),
        "highestBlockLengthReceived": received,
        "highestUnvalidatedBlockLengthReceived": received,
        "uptimeSecs": asked.uptime_seconds,
        "ledgerMerkleRoot": tip.map(|tip| text(tip.facts.staged_ledger_hash)),
        "stateHash": tip.map(|tip| text(tip.state_hash())),
        "chainId": world.chain_id(asked.daemon),
        "commitId": world.commit_id(asked.daemon),
        "confDir": format!("/stub/{}/.mina-config", spec.name),
        "peers": peers,
        "syncStatus": asked.view.state.name(),
        "consensusTimeNow": consensus_time(asked, now),
        "consensusTimeBestTip": tip.map(|tip| consensus_time(asked, tip.slot())),
        "globalSlotSinceGenesisBestTip": tip.map(|tip| tip.facts.global_slot_since_genesis.get()),
        "consensusMechanism": "proof_of_stake",
        "consensusConfiguration": {
            "delta": network.delta,
            "k": network.k,
            "slotsPerEpoch": network.slots_per_epoch,
            "slotDuration": network.slot_ms,
            "epochDuration": epoch_ms,
            "acceptableNetworkDelay": u64::from(network.delta).saturating_mul(network.slot_ms),
            "genesisStateTimestamp": text(network.genesis_timestamp),
        },
        "addrsAndPorts": {
            "externalIp": spec.listen.ip().to_string(),
            "bindIp": "0.0.0.0",
            "libp2pPort": 8302,
            "clientPort": 8301,
            "peer": null,
        },
        "metrics": {
            "blockProductionDelay": [],
            "transactionPoolDiffReceived": 0,
            "transactionPoolDiffBroadcasted": 0,
            "transactionsAddedToPool": 0,
            "transactionPoolSize": 0,
            "snarkPoolDiffReceived": 0,
            "snarkPoolDiffBroadcasted": 0,
            "pendingSnarkWork": 0,
            "snarkPoolSize": 0,
        },
    })
}

pub(super) fn genesis_constants(asked: &Asked<'_>) -> Value {
    constants(asked.world.scenario().network.genesis_timestamp)
}

pub(super) fn constants(genesis: GenesisTimestamp) -> Value {
    json!({
        "accountCreationFee": ACCOUNT_CREATION_FEE,
        "coinbase": COINBASE,
        "genesisTimestamp": text(genesis),
    })
}

/// What is known of an account that is only named.
fn named_account(key: impl std::fmt::Display) -> Value {
    json!({ "publicKey": text(key) })
}

pub(super) fn block(block: &WorldBlock) -> Value {
    let facts = &block.facts;
    let state = &block.block.protocol_state.body;
    let blockchain = &state.blockchain_state;
    let consensus = &state.consensus_state;
    let commands: Vec<Value> = (0..block.commands)
        .map(|number| {
            json!({
                "id": format!("stub-{}-{number}", facts.blockchain_length),
                "hash": format!("stub-{}-{number}", facts.state_hash),
                "kind": "PAYMENT",
                "nonce": number,
                "fee": "1000000",
                "amount": "1",
                "memo": "",
                "failureReason": null,
            })
        })
        .collect();
    json!({
        "creator": text(consensus.block_creator),
        "creatorAccount": named_account(consensus.block_creator),
        "winnerAccount": named_account(consensus.block_stake_winner),
        "stateHash": text(facts.state_hash),
        "commandTransactionCount": block.commands,
        "snarkJobs": [],
        "transactions": {
            "userCommands": commands,
            "zkappCommands": [],
            "feeTransfer": [],
            "coinbase": nanomina(block.coinbase),
            "coinbaseReceiverAccount": (block.coinbase.nanomina() > 0)
                .then(|| named_account(consensus.coinbase_receiver)),
        },
        "protocolState": {
            "previousStateHash": text(facts.previous_state_hash),
            "blockchainState": {
                "date": text(facts.timestamp_ms),
                "utcDate": text(facts.timestamp_ms),
                "snarkedLedgerHash": text(facts.snarked_ledger_hash),
                "stagedLedgerHash": text(facts.staged_ledger_hash),
                "stagedLedgerAuxHash": text(blockchain.staged_ledger_hash.aux_hash),
                "stagedLedgerPendingCoinbaseAux":
                    text(blockchain.staged_ledger_hash.pending_coinbase_aux),
                "stagedLedgerPendingCoinbaseHash":
                    text(blockchain.staged_ledger_hash.pending_coinbase_hash),
                "stagedLedgerProofEmitted": false,
                "bodyReference": "00".repeat(32),
            },
            "consensusState": {
                "blockchainLength": text(facts.blockchain_length),
                "blockHeight": text(facts.blockchain_length),
                "epochCount": text(consensus.epoch_count),
                "minWindowDensity": text(consensus.min_window_density),
                "lastVrfOutput": hex(consensus.last_vrf_output.bytes()),
                "totalCurrency": nanomina(consensus.total_currency),
                "stakingEpochData": epoch_data(&facts.staking_epoch),
                "nextEpochData": epoch_data(&facts.next_epoch),
                "hasAncestorInSameCheckpointWindow":
                    consensus.has_ancestor_in_same_checkpoint_window,
                "slot": text(facts.slot_since_hard_fork),
                "slotSinceGenesis": text(facts.global_slot_since_genesis),
                "epoch": text(consensus.epoch_count),
                "superchargedCoinbase": consensus.supercharge_coinbase,
                "blockStakeWinner": text(consensus.block_stake_winner),
                "blockCreator": text(consensus.block_creator),
                "coinbaseReceiever": text(consensus.coinbase_receiver),
            },
        },
    })
}

fn epoch_data(epoch: &EpochData) -> Value {
    json!({
        "ledger": {
            "hash": text(epoch.ledger_hash),
            "totalCurrency": nanomina(epoch.total_currency),
        },
        "seed": text(epoch.seed),
        "startCheckpoint": text(epoch.start_checkpoint),
        "lockCheckpoint": text(epoch.lock_checkpoint),
        "epochLength": text(epoch.epoch_length),
    })
}

/// The `protocol_state` member of a block file, as a text.
pub(super) fn protocol_state_text(block: &WorldBlock) -> Result<Value, GraphqlError> {
    let failed = |source: serde_json::Error| GraphqlError(source.to_string());
    let mut json = serde_json::to_value(block.block.to_block_json()).map_err(failed)?;
    let state = match json.get_mut("data") {
        Some(data) => data["protocol_state"].take(),
        None => json["protocol_state"].take(),
    };
    Ok(text(state))
}

pub(super) fn account(leaf: &Leaf, tip: &WorldBlock) -> Value {
    let account = &leaf.account;
    let path: Vec<Value> = leaf
        .path
        .iter()
        .enumerate()
        .map(|(height, sibling)| {
            // `left` says that the way up comes from the left, so the sibling is on the right.
            let from_left = (u64::from(leaf.index) >> height) & 1 == 0;
            let sibling = decimal(*sibling);
            if from_left {
                json!({ "left": sibling, "right": null })
            } else {
                json!({ "left": null, "right": sibling })
            }
        })
        .collect();
    let timing = match &account.timing {
        Timing::Untimed => json!({
            "initialMinimumBalance": null,
            "cliffTime": null,
            "cliffAmount": null,
            "vestingPeriod": null,
            "vestingIncrement": null,
        }),
        Timing::Timed(vesting) => json!({
            "initialMinimumBalance": nanomina(vesting.initial_minimum_balance),
            "cliffTime": text(vesting.cliff_time),
            "cliffAmount": nanomina(vesting.cliff_amount),
            "vestingPeriod": text(vesting.vesting_period),
            "vestingIncrement": nanomina(vesting.vesting_increment),
        }),
    };
    let zkapp = account.zkapp.as_deref();
    let key = zkapp.and_then(|zkapp| zkapp.verification_key.as_ref());
    let zkapp_state = account.zkapp.as_ref().map(|zkapp| {
        zkapp
            .app_state
            .iter()
            .map(|field| decimal(*field))
            .collect::<Vec<String>>()
    });
    json!({
        "publicKey": text(account.public_key),
        "token": text(account.token_id),
        "tokenId": text(account.token_id),
        "tokenSymbol": String::from_utf8_lossy(account.token_symbol.as_bytes()),
        "balance": {
            "total": nanomina(account.balance),
            "unknown": nanomina(account.balance),
            "liquid": null,
            "locked": null,
            "blockHeight": text(tip.height()),
            "stateHash": text(tip.state_hash()),
        },
        "nonce": text(account.nonce),
        "inferredNonce": text(account.nonce),
        "delegate": account.delegate.map(text),
        "delegateAccount": account.delegate.map(named_account),
        "receiptChainHash": text(account.receipt_chain_hash),
        "votingFor": text(account.voting_for),
        "timing": timing,
        "permissions": permissions(&account.permissions),
        "zkappState": zkapp_state,
        "actionState": zkapp.map(|zkapp| {
            let states = zkapp.action_state.iter();
            states.map(|field| decimal(*field)).collect::<Vec<String>>()
        }),
        "verificationKey": key.map(|key| json!({ "hash": decimal(field_bytes(key.hash())) })),
        "zkappUri": zkapp.map(|zkapp| String::from_utf8_lossy(&zkapp.zkapp_uri)),
        "provedState": zkapp.map(|zkapp| zkapp.proved_state),
        "index": leaf.index,
        "leafHash": decimal(leaf.hash),
        "merklePath": path,
    })
}

/// Permissions in the schema's words.
fn permissions(permissions: &Permissions) -> Value {
    let word = |auth: Auth| match auth {
        Auth::None => "None",
        Auth::Either => "Either",
        Auth::Proof => "Proof",
        Auth::Signature => "Signature",
        Auth::Impossible => "Impossible",
    };
    json!({
        "editState": word(permissions.edit_state),
        "access": word(permissions.access),
        "send": word(permissions.send),
        "receive": word(permissions.receive),
        "setDelegate": word(permissions.set_delegate),
        "setPermissions": word(permissions.set_permissions),
        "setVerificationKey": {
            "auth": word(permissions.set_verification_key),
            "txnVersion": text(permissions.set_verification_key_txn_version),
        },
        "setZkappUri": word(permissions.set_zkapp_uri),
        "editActionState": word(permissions.edit_action_state),
        "setTokenSymbol": word(permissions.set_token_symbol),
        "incrementNonce": word(permissions.increment_nonce),
        "setVotingFor": word(permissions.set_voting_for),
        "setTiming": word(permissions.set_timing),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field element in decimal digits.
fn decimal(field: FieldBytes) -> String {
    /// 10^9: nine digits at a time.
    const GROUP: u64 = 1_000_000_000;
    let mut limbs: Vec<u64> = field
        .to_le_bytes()
        .as_chunks::<4>()
        .0
        .iter()
        .rev()
        .map(|bytes| u64::from(u32::from_le_bytes(*bytes)))
        .collect();
    let mut groups = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest = 0;
        for limb in &mut limbs {
            let value = (rest << 32) | *limb;
            *limb = value / GROUP;
            rest = value % GROUP;
        }
        groups.push(rest);
    }
    let Some(first) = groups.pop() else {
        return "0".to_owned();
    };
    let mut digits = first.to_string();
    for group in groups.iter().rev() {
        digits.push_str(&format!("{group:09}"));
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_elements_are_decimal() {
        assert_eq!(decimal(FieldBytes::ZERO), "0");
        assert_eq!(
            decimal(FieldBytes::from_u64(u64::MAX)),
            u64::MAX.to_string()
        );
        assert_eq!(decimal(FieldBytes::from_u64(1_000_000_000)), "1000000000");
        let largest = FieldBytes::from_be_hex(
            "40000000000000000000000000000000224698FC094CF91B992D30ED00000000",
        )
        .unwrap();
        assert_eq!(
            decimal(largest),
            "28948022309329048855892746252171976963363056481941560715954676764349967630336"
        );
    }
}
