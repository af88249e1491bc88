//! From the values of a block to its JSON, in the member names and notations daemons write.

use fork_types::FieldBytes;

use super::wire::{
    BlockchainStateJson, BodyJson, ConsensusStateJson, ConstantsJson, Digits, EpochDataJson,
    EpochLedgerJson, FeeExcessJson, LocalStateJson, NonSnarkJson, ProtocolStateJson, RegistersJson,
    SignedJson, SlotJson, StackJson, StackStateJson, StagedLedgerHashJson, StatementJson,
};
use crate::protocol_state::{
    BlockchainState, ConsensusState, Constants, EpochData, FeeExcess, LedgerProofStatement,
    LocalState, ProtocolState, Registers, Sign, Signed,
};

pub(super) fn digits(value: impl std::fmt::Display) -> Digits {
    Digits(value.to_string())
}

fn text(value: impl std::fmt::Display) -> Option<String> {
    Some(value.to_string())
}

pub(super) fn protocol_state(state: &ProtocolState) -> ProtocolStateJson {
    let ProtocolState {
        previous_state_hash,
        body,
    } = state;
    ProtocolStateJson {
        previous_state_hash: text(previous_state_hash),
        body: Some(BodyJson {
            genesis_state_hash: text(body.genesis_state_hash),
            blockchain_state: Some(blockchain(&body.blockchain_state)),
            consensus_state: Some(consensus(&body.consensus_state)),
            constants: Some(constants(&body.constants)),
        }),
    }
}

fn blockchain(state: &BlockchainState) -> BlockchainStateJson {
    let hashes = &state.staged_ledger_hash;
    BlockchainStateJson {
        staged_ledger_hash: Some(StagedLedgerHashJson {
            non_snark: Some(NonSnarkJson {
                ledger_hash: text(hashes.ledger_hash),
                aux_hash: text(hashes.aux_hash),
                pending_coinbase_aux: text(hashes.pending_coinbase_aux),
            }),
            pending_coinbase_hash: text(hashes.pending_coinbase_hash),
        }),
        genesis_ledger_hash: text(state.genesis_ledger_hash),
        ledger_proof_statement: Some(statement(&state.ledger_proof_statement)),
        timestamp: Some(digits(state.timestamp_ms)),
        body_reference: Some(hex::encode(state.body_reference)),
    }
}

fn statement(statement: &LedgerProofStatement) -> StatementJson {
    StatementJson {
        source: Some(registers(&statement.source)),
        target: Some(registers(&statement.target)),
        connecting_ledger_left: text(statement.connecting_ledger_left),
        connecting_ledger_right: text(statement.connecting_ledger_right),
        supply_increase: Some(signed(&statement.supply_increase)),
        fee_excess: Some(statement.fee_excess.iter().map(fee_excess).collect()),
        sok_digest: (),
    }
}

fn fee_excess(excess: &FeeExcess) -> FeeExcessJson {
    FeeExcessJson {
        token: text(excess.token),
        amount: Some(signed(&excess.amount)),
    }
}

fn registers(registers: &Registers) -> RegistersJson {
    RegistersJson {
        first_pass_ledger: text(registers.first_pass_ledger),
        second_pass_ledger: text(registers.second_pass_ledger),
        pending_coinbase_stack: Some(StackJson {
            data: text(registers.coinbase_stack_data),
            state: Some(StackStateJson {
                init: text(registers.coinbase_stack_init),
                curr: text(registers.coinbase_stack_curr),
            }),
        }),
        local_state: Some(local_state(&registers.local_state)),
    }
}

fn local_state(local: &LocalState) -> LocalStateJson {
    let field = |value: FieldBytes| Some(format!("0x{}", value.to_be_hex_upper()));
    LocalStateJson {
        stack_frame: field(local.stack_frame),
        call_stack: field(local.call_stack),
        transaction_commitment: field(local.transaction_commitment),
        full_transaction_commitment: field(local.full_transaction_commitment),
        excess: Some(signed(&local.excess)),
        supply_increase: Some(signed(&local.supply_increase)),
        ledger: text(local.ledger),
        success: Some(local.success),
        account_update_index: Some(digits(local.account_update_index)),
        failure_status_tbl: [],
        will_succeed: Some(local.will_succeed),
    }
}

fn signed(signed: &Signed) -> SignedJson {
    let word = match signed.sign {
        Sign::Positive => "Pos",
        Sign::Negative => "Neg",
    };
    SignedJson {
        magnitude: Some(digits(signed.magnitude.nanomina())),
        sgn: Some(vec![word.to_owned()]),
    }
}

fn consensus(state: &ConsensusState) -> ConsensusStateJson {
    ConsensusStateJson {
        blockchain_length: Some(digits(state.blockchain_length)),
        epoch_count: Some(digits(state.epoch_count)),
        min_window_density: Some(digits(state.min_window_density)),
        sub_window_densities: Some(state.sub_window_densities.iter().map(digits).collect()),
        last_vrf_output: Some(state.last_vrf_output.to_string()),
        total_currency: Some(digits(state.total_currency.nanomina())),
        curr_global_slot_since_hard_fork: Some(SlotJson {
            slot_number: Some(digits(state.slot_since_hard_fork)),
            slots_per_epoch: Some(digits(state.slot_slots_per_epoch)),
        }),
        curr_global_slot: None,
        global_slot_since_genesis: Some(digits(state.global_slot_since_genesis)),
        staking_epoch_data: Some(epoch(&state.staking_epoch_data)),
        next_epoch_data: Some(epoch(&state.next_epoch_data)),
        has_ancestor_in_same_checkpoint_window: Some(state.has_ancestor_in_same_checkpoint_window),
        block_stake_winner: text(state.block_stake_winner),
        block_creator: text(state.block_creator),
        coinbase_receiver: text(state.coinbase_receiver),
        supercharge_coinbase: Some(state.supercharge_coinbase),
    }
}

fn epoch(epoch: &EpochData) -> EpochDataJson {
    EpochDataJson {
        ledger: Some(EpochLedgerJson {
            hash: text(epoch.ledger_hash),
            total_currency: Some(digits(epoch.total_currency.nanomina())),
        }),
        seed: text(epoch.seed),
        start_checkpoint: text(epoch.start_checkpoint),
        lock_checkpoint: text(epoch.lock_checkpoint),
        epoch_length: Some(digits(epoch.epoch_length)),
    }
}

fn constants(constants: &Constants) -> ConstantsJson {
    ConstantsJson {
        k: Some(digits(constants.k)),
        slots_per_epoch: Some(digits(constants.slots_per_epoch)),
        slots_per_sub_window: Some(digits(constants.slots_per_sub_window)),
        grace_period_slots: Some(digits(constants.grace_period_slots)),
        delta: Some(digits(constants.delta)),
        genesis_state_timestamp: Some(digits(constants.genesis_state_timestamp_ms)),
    }
}
