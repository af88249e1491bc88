//! Blocks made up for fixtures and stub daemons.

use fork_types::id::{PendingCoinbaseAux, PendingCoinbaseHash, StagedLedgerAuxHash};
use fork_types::{
    Amount, FieldBytes, LedgerHash, PublicKey, SlotSinceGenesis, SlotSinceHardFork, StateHash,
};

use super::{Block, ProtocolVersion};
use crate::protocol_state::{
    BlockchainState, Body, ConsensusState, Constants, EpochData, FeeExcess, LedgerProofStatement,
    ProtocolState, Registers, SUB_WINDOWS, Signed, StagedLedgerHash, VrfOutput,
};

/// What a made-up block is to say; the rest follows from it or is filled with constants.
#[derive(Clone, Debug)]
pub struct SyntheticBlock {
    /// Parent.
    pub previous_state_hash: StateHash,
    /// Genesis of the chain.
    pub genesis_state_hash: StateHash,
    /// Genesis ledger of the chain.
    pub genesis_ledger_hash: LedgerHash,
    /// Staged ledger after the block.
    pub staged_ledger_hash: LedgerHash,
    /// Snarked ledger.
    pub snarked_ledger_hash: LedgerHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the chain's genesis.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Slot of the chain's genesis since the first genesis.
    pub chain_fork_slot: SlotSinceGenesis,
    /// Slot time of the chain in milliseconds.
    pub slot_ms: u64,
    /// Constants of the chain.
    pub constants: Constants,
    /// The staking epoch.
    pub staking_epoch: EpochData,
    /// The next epoch.
    pub next_epoch: EpochData,
    /// Currency in the snarked ledger, nanomina.
    pub total_currency: Amount,
    /// Producer, winner and receiver.
    pub block_creator: PublicKey,
    /// 3 for Berkeley, 4 for Mesa.
    pub transaction_version: u32,
}

impl SyntheticBlock {
    /// The block: consistent with itself, so that [`Block::problems`] finds nothing.
    ///
    /// `None` when a slot or time does not fit, or `slots_per_epoch` is 0.
    #[must_use]
    pub fn build(&self) -> Option<Block> {
        let slot = self.slot_since_hard_fork;
        let timestamp_ms = self
            .slot_ms
            .checked_mul(u64::from(slot.get()))?
            .checked_add(self.constants.genesis_state_timestamp_ms)?;
        let consensus_state = ConsensusState {
            blockchain_length: self.blockchain_length,
            epoch_count: slot.get().checked_div(self.constants.slots_per_epoch)?,
            min_window_density: self.constants.slots_per_sub_window,
            sub_window_densities: [self.constants.slots_per_sub_window; SUB_WINDOWS],
            last_vrf_output: VrfOutput::default(),
            total_currency: self.total_currency,
            slot_since_hard_fork: slot,
            slot_slots_per_epoch: self.constants.slots_per_epoch,
            global_slot_since_genesis: self.chain_fork_slot.checked_add(slot)?,
            staking_epoch_data: self.staking_epoch.clone(),
            next_epoch_data: self.next_epoch.clone(),
            has_ancestor_in_same_checkpoint_window: true,
            block_stake_winner: self.block_creator,
            block_creator: self.block_creator,
            coinbase_receiver: self.block_creator,
            supercharge_coinbase: false,
        };
        Some(Block {
            file_version: Some(self.transaction_version.min(4)),
            protocol_version: Some(ProtocolVersion {
                transaction: self.transaction_version,
                network: 0,
                patch: 0,
            }),
            scheduled_time_ms: Some(timestamp_ms),
            protocol_state: ProtocolState {
                previous_state_hash: self.previous_state_hash,
                body: Body {
                    genesis_state_hash: self.genesis_state_hash,
                    blockchain_state: self.blockchain_state(timestamp_ms),
                    consensus_state,
                    constants: self.constants,
                },
            },
        })
    }

    fn blockchain_state(&self, timestamp_ms: u64) -> BlockchainState {
        BlockchainState {
            staged_ledger_hash: StagedLedgerHash {
                ledger_hash: self.staged_ledger_hash,
                aux_hash: StagedLedgerAuxHash::new([0; 32]),
                pending_coinbase_aux: PendingCoinbaseAux::new([0; 32]),
                pending_coinbase_hash: PendingCoinbaseHash::new(FieldBytes::ZERO),
            },
            genesis_ledger_hash: self.genesis_ledger_hash,
            ledger_proof_statement: LedgerProofStatement {
                source: Registers::at_rest(self.genesis_ledger_hash),
                target: Registers::at_rest(self.snarked_ledger_hash),
                connecting_ledger_left: self.genesis_ledger_hash,
                connecting_ledger_right: self.snarked_ledger_hash,
                supply_increase: Signed::ZERO,
                fee_excess: [FeeExcess::ZERO; 2],
            },
            timestamp_ms,
            body_reference: [0; 32],
        }
    }
}
