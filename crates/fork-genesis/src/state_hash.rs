//! The state hash: a body's field elements and packed chunks, hashed, then hashed with the parent.
//!
//! Proved on Berkeley blocks only. Source of the order: o1-labs/mina-rust
//! `ledger/src/scan_state/protocol_state.rs`; MinaProtocol/mina `src/lib/mina_state`,
//! `src/lib/consensus/proof_of_stake.ml`.

use std::sync::LazyLock;

use fork_ledger::packing::{KimchiPacker, element, field_bytes};
use fork_types::id::StateBodyHash;
use fork_types::{PublicKey, StateHash};
use pasta_poseidon::{Fp, Instance, State, hash, prefix_state};
use sha2::{Digest, Sha256};

use crate::protocol_state::{
    Body, Constants, EpochData, LocalState, ProtocolState, Registers, Sign, Signed,
    StagedLedgerHash,
};

static BODY_STATE: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaProtoStateBody"));
static STATE_STATE: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaProtoState"));

/// Bits of a VRF output that are hashed.
const VRF_BITS: usize = 253;

/// The elements a body is hashed as: 38 field elements, then 11 packed ones.
#[must_use]
pub fn body_elements(body: &Body) -> Vec<Fp> {
    let mut elements = Vec::with_capacity(49);
    push_fields(body, &mut elements);
    push_chunks(body, &mut elements);
    elements
}

/// The hash of a body's elements.
#[must_use]
pub fn hash_body_elements(elements: &[Fp]) -> StateBodyHash {
    StateBodyHash::new(field_bytes(hash(&BODY_STATE, elements)))
}

/// The hash of a body.
#[must_use]
pub fn body_hash(body: &Body) -> StateBodyHash {
    hash_body_elements(&body_elements(body))
}

/// The state hash of a block with this parent and body.
#[must_use]
pub fn state_hash(previous: StateHash, body: StateBodyHash) -> StateHash {
    let inputs = [element(previous.field()), element(body.field())];
    StateHash::new(field_bytes(hash(&STATE_STATE, &inputs)))
}

impl ProtocolState {
    /// The state hash and the body hash.
    ///
    /// For a genesis block this is not the hash it is known by: what was hashed there is not what
    /// is printed.
    #[must_use]
    pub fn hashes(&self) -> (StateHash, StateBodyHash) {
        let body = body_hash(&self.body);
        (state_hash(self.previous_state_hash, body), body)
    }
}

/// SHA-256 over the three hashes of a staged ledger that enter the state hash only this way. The
/// ledger hash goes in big-endian, unlike in its base58 text.
#[must_use]
pub fn non_snark_digest(hashes: &StagedLedgerHash) -> [u8; 32] {
    let mut ledger_hash = hashes.ledger_hash.field().to_le_bytes();
    ledger_hash.reverse();
    Sha256::new()
        .chain_update(ledger_hash)
        .chain_update(hashes.aux_hash.bytes())
        .chain_update(hashes.pending_coinbase_aux.bytes())
        .finalize()
        .into()
}

fn push_fields(body: &Body, fields: &mut Vec<Fp>) {
    let blockchain = &body.blockchain_state;
    let consensus = &body.consensus_state;
    let statement = &blockchain.ledger_proof_statement;
    let [excess_left, excess_right] = &statement.fee_excess;
    fields.extend([
        element(body.genesis_state_hash.field()),
        element(blockchain.staged_ledger_hash.pending_coinbase_hash.field()),
        element(blockchain.genesis_ledger_hash.field()),
    ]);
    push_registers(&statement.source, fields);
    push_registers(&statement.target, fields);
    fields.extend([
        element(statement.connecting_ledger_left.field()),
        element(statement.connecting_ledger_right.field()),
        element(excess_left.token.field()),
        element(excess_right.token.field()),
    ]);
    for epoch in [&consensus.staking_epoch_data, &consensus.next_epoch_data] {
        fields.extend([
            element(epoch.seed.field()),
            element(epoch.start_checkpoint.field()),
            element(epoch.ledger_hash.field()),
            element(epoch.lock_checkpoint.field()),
        ]);
    }
    let x = |key: &PublicKey| element(key.x());
    fields.extend([
        x(&consensus.block_stake_winner),
        x(&consensus.block_creator),
        x(&consensus.coinbase_receiver),
    ]);
}

fn push_registers(registers: &Registers, fields: &mut Vec<Fp>) {
    let local = &registers.local_state;
    fields.extend([
        element(registers.first_pass_ledger.field()),
        element(registers.second_pass_ledger.field()),
        element(registers.coinbase_stack_data.field()),
        element(registers.coinbase_stack_init.field()),
        element(registers.coinbase_stack_curr.field()),
        element(local.stack_frame),
        element(local.call_stack),
        element(local.transaction_commitment),
        element(local.full_transaction_commitment),
        element(local.ledger.field()),
    ]);
}

fn push_chunks(body: &Body, elements: &mut Vec<Fp>) {
    let blockchain = &body.blockchain_state;
    let consensus = &body.consensus_state;
    let statement = &blockchain.ledger_proof_statement;
    let mut packer = KimchiPacker::new(elements);
    push_constants(&body.constants, &mut packer);
    push_bits(
        &non_snark_digest(&blockchain.staged_ledger_hash),
        256,
        &mut packer,
    );
    push_local_state(&statement.source.local_state, &mut packer);
    push_local_state(&statement.target.local_state, &mut packer);
    push_signed(&statement.supply_increase, &mut packer);
    for excess in &statement.fee_excess {
        push_signed(&excess.amount, &mut packer);
    }
    push_u64(blockchain.timestamp_ms, &mut packer);
    push_bits(&blockchain.body_reference, 256, &mut packer);
    push_u32(consensus.blockchain_length, &mut packer);
    push_u32(consensus.epoch_count, &mut packer);
    push_u32(consensus.min_window_density, &mut packer);
    for density in consensus.sub_window_densities {
        push_u32(density, &mut packer);
    }
    push_bits(consensus.last_vrf_output.bytes(), VRF_BITS, &mut packer);
    push_u64(consensus.total_currency.nanomina(), &mut packer);
    push_u32(consensus.slot_since_hard_fork.get(), &mut packer);
    push_u32(consensus.slot_slots_per_epoch, &mut packer);
    push_u32(consensus.global_slot_since_genesis.get(), &mut packer);
    packer.push_bit(consensus.has_ancestor_in_same_checkpoint_window);
    packer.push_bit(consensus.supercharge_coinbase);
    push_epoch(&consensus.staking_epoch_data, &mut packer);
    push_epoch(&consensus.next_epoch_data, &mut packer);
    packer.push_bit(consensus.block_stake_winner.is_odd());
    packer.push_bit(consensus.block_creator.is_odd());
    packer.push_bit(consensus.coinbase_receiver.is_odd());
    packer.finish();
}

/// The order is not that of the JSON.
fn push_constants(constants: &Constants, packer: &mut KimchiPacker<'_>) {
    push_u32(constants.k, packer);
    push_u32(constants.delta, packer);
    push_u32(constants.slots_per_epoch, packer);
    push_u32(constants.slots_per_sub_window, packer);
    push_u32(constants.grace_period_slots, packer);
    push_u64(constants.genesis_state_timestamp_ms, packer);
}

fn push_local_state(local: &LocalState, packer: &mut KimchiPacker<'_>) {
    push_signed(&local.excess, packer);
    push_signed(&local.supply_increase, packer);
    push_u32(local.account_update_index, packer);
    packer.push_bit(local.success);
    packer.push_bit(local.will_succeed);
}

/// The length comes before the currency, unlike in the JSON.
fn push_epoch(epoch: &EpochData, packer: &mut KimchiPacker<'_>) {
    push_u32(epoch.epoch_length, packer);
    push_u64(epoch.total_currency.nanomina(), packer);
}

fn push_signed(signed: &Signed, packer: &mut KimchiPacker<'_>) {
    push_u64(signed.magnitude.nanomina(), packer);
    packer.push_bit(signed.sign == Sign::Positive);
}

fn push_u32(value: u32, packer: &mut KimchiPacker<'_>) {
    packer.push(u128::from(value), 32);
}

fn push_u64(value: u64, packer: &mut KimchiPacker<'_>) {
    packer.push(u128::from(value), 64);
}

/// Adds the first `count` bits, least significant first in each byte. Each is a chunk of its own:
/// packing is greedy, so whole bytes would pack differently.
fn push_bits(bytes: &[u8; 32], count: usize, packer: &mut KimchiPacker<'_>) {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    for bit in bits.take(count) {
        packer.push_bit(bit);
    }
}

#[cfg(test)]
mod tests;
