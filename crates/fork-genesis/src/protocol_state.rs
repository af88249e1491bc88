//! The protocol state of a block, decoded.
//!
//! Every member that enters the state hash is here and nothing else. Names follow the JSON of
//! precomputed blocks; sources are o1-labs/mina-rust `ledger/src/scan_state/protocol_state.rs` and
//! MinaProtocol/mina `src/lib/mina_state/protocol_state.ml`.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use fork_ledger::packing::field_bytes;
use fork_types::id::{
    CoinbaseStackData, CoinbaseStackHash, PendingCoinbaseAux, PendingCoinbaseHash,
    StagedLedgerAuxHash,
};
use fork_types::{
    Amount, EpochSeed, FieldBytes, LedgerHash, PublicKey, SlotSinceGenesis, SlotSinceHardFork,
    StateHash, TokenId,
};
use pasta_poseidon::{Instance, salt};

/// Number of sub-windows of the density window, a constant of the protocol.
pub const SUB_WINDOWS: usize = 11;

/// A protocol state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolState {
    /// State hash of the parent block.
    pub previous_state_hash: StateHash,
    /// The rest.
    pub body: Body,
}

/// The body of a protocol state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// State hash of the genesis block of the chain; in a genesis block itself the printed value is
    /// not the one that was hashed.
    pub genesis_state_hash: StateHash,
    /// Ledgers and time.
    pub blockchain_state: BlockchainState,
    /// Length, slots and epochs.
    pub consensus_state: ConsensusState,
    /// Constants of the chain.
    pub constants: Constants,
}

/// The ledger half of a protocol state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockchainState {
    /// The staged ledger after the block.
    pub staged_ledger_hash: StagedLedgerHash,
    /// Root of the chain's genesis ledger.
    pub genesis_ledger_hash: LedgerHash,
    /// What the last ledger proof states.
    pub ledger_proof_statement: LedgerProofStatement,
    /// Time of the block's slot, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Digest of the block's body.
    pub body_reference: [u8; 32],
}

/// The four hashes of a staged ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedLedgerHash {
    /// Root of the accounts: what an export of the staged ledger must hash to.
    pub ledger_hash: LedgerHash,
    /// Digest of the scan state, opaque.
    pub aux_hash: StagedLedgerAuxHash,
    /// Digest of the pending coinbases, opaque.
    pub pending_coinbase_aux: PendingCoinbaseAux,
    /// Root of the pending coinbase tree.
    pub pending_coinbase_hash: PendingCoinbaseHash,
}

/// The statement of a ledger proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerProofStatement {
    /// Before.
    pub source: Registers,
    /// After; its first-pass ledger is the snarked ledger.
    pub target: Registers,
    /// Ledger joining the statement to the one before.
    pub connecting_ledger_left: LedgerHash,
    /// Ledger joining the statement to the one after.
    pub connecting_ledger_right: LedgerHash,
    /// Currency created, nanomina.
    pub supply_increase: Signed,
    /// Fees not yet paid out, per token.
    pub fee_excess: [FeeExcess; 2],
}

/// The registers of the transaction machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Ledger of the first pass.
    pub first_pass_ledger: LedgerHash,
    /// Ledger of the second pass.
    pub second_pass_ledger: LedgerHash,
    /// Coinbases of the stack.
    pub coinbase_stack_data: CoinbaseStackData,
    /// First state hash of the stack.
    pub coinbase_stack_init: CoinbaseStackHash,
    /// Last state hash of the stack.
    pub coinbase_stack_curr: CoinbaseStackHash,
    /// State inside a zkApp command.
    pub local_state: LocalState,
}

/// The state of the transaction machine inside a zkApp command. All blocks seen have the empty
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalState {
    /// Hash of the frame.
    pub stack_frame: FieldBytes,
    /// Hash of the call stack.
    pub call_stack: FieldBytes,
    /// Commitment to the command.
    pub transaction_commitment: FieldBytes,
    /// Commitment with memo and fee payer.
    pub full_transaction_commitment: FieldBytes,
    /// Excess, nanomina.
    pub excess: Signed,
    /// Supply increase, nanomina.
    pub supply_increase: Signed,
    /// Ledger, 0 outside of a command.
    pub ledger: LedgerHash,
    /// Whether everything succeeded so far.
    pub success: bool,
    /// Position in the command.
    pub account_update_index: u32,
    /// Whether the command was announced to succeed.
    pub will_succeed: bool,
}

/// Direction of a [`Signed`] amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sign {
    /// `["Pos"]`.
    #[default]
    Positive,
    /// `["Neg"]`.
    Negative,
}

/// An amount with a sign. Zero has two forms that hash differently, as upstream does not normalise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Nanomina.
    pub magnitude: Amount,
    /// Direction.
    pub sign: Sign,
}

/// Fees of one token not yet paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeExcess {
    /// The token.
    pub token: TokenId,
    /// How much, nanomina.
    pub amount: Signed,
}

/// The consensus half of a protocol state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusState {
    /// Height of the block.
    pub blockchain_length: u32,
    /// Number of the epoch since the last hard fork.
    pub epoch_count: u32,
    /// Lowest window density so far.
    pub min_window_density: u32,
    /// Blocks per sub-window.
    pub sub_window_densities: [u32; SUB_WINDOWS],
    /// Output of the block's VRF.
    pub last_vrf_output: VrfOutput,
    /// Currency in the snarked ledger, nanomina; it does not belong to the staged ledger.
    pub total_currency: Amount,
    /// The block's slot.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Slots per epoch as the slot carries it.
    pub slot_slots_per_epoch: u32,
    /// The block's slot counted across forks.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// The epoch leaders are drawn from.
    pub staking_epoch_data: EpochData,
    /// The epoch after.
    pub next_epoch_data: EpochData,
    /// Whether the parent is in the same checkpoint window.
    pub has_ancestor_in_same_checkpoint_window: bool,
    /// Owner of the stake that won.
    pub block_stake_winner: PublicKey,
    /// Producer.
    pub block_creator: PublicKey,
    /// Receiver of the coinbase.
    pub coinbase_receiver: PublicKey,
    /// Whether the coinbase was doubled.
    pub supercharge_coinbase: bool,
}

/// What a block says about an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochData {
    /// Root of the epoch's ledger.
    pub ledger_hash: LedgerHash,
    /// Currency in that ledger, nanomina.
    pub total_currency: Amount,
    /// Seed of the epoch's VRF.
    pub seed: EpochSeed,
    /// First checkpoint.
    pub start_checkpoint: StateHash,
    /// Last checkpoint.
    pub lock_checkpoint: StateHash,
    /// Blocks in the epoch so far.
    pub epoch_length: u32,
}

/// Constants of a chain as its blocks carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// Confirmations that make a block final.
    pub k: u32,
    /// Slots per epoch.
    pub slots_per_epoch: u32,
    /// Slots per sub-window.
    pub slots_per_sub_window: u32,
    /// Slots before densities count.
    pub grace_period_slots: u32,
    /// Slots a block may be late.
    pub delta: u32,
    /// Genesis time, milliseconds since 1970.
    pub genesis_state_timestamp_ms: u64,
}

/// Output of a VRF, truncated to 253 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VrfOutput([u8; 32]);

impl VrfOutput {
    /// Takes 32 bytes; `None` when one of the three bits above bit 252 is set, because those are
    /// not hashed and would go unnoticed.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Option<Self> {
        if bytes[31] >> 5 == 0 {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A text that is no VRF output; what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct VrfOutputError(pub(crate) &'static str);

/// URL-safe base64 with padding, as blocks and archives write it.
impl fmt::Display for VrfOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE.encode(self.0))
    }
}

/// From URL-safe base64 with padding, as blocks and archives write it.
impl FromStr for VrfOutput {
    type Err = VrfOutputError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        URL_SAFE
            .decode(text)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(Self::new)
            .ok_or(VrfOutputError("URL-safe base64 of 32 bytes below 2^253"))
    }
}

/// Hash of the empty call frame, the same in all blocks seen.
static EMPTY_STACK_FRAME: LazyLock<FieldBytes> = LazyLock::new(|| {
    FieldBytes::from_be_hex("0641662E94D68EC970D0AFC059D02729BBF4A2CD88C548CCD9FB1E26E570C66C")
        .unwrap_or_default()
});

impl Signed {
    /// Plus zero.
    pub const ZERO: Self = Self {
        magnitude: Amount::ZERO,
        sign: Sign::Positive,
    };
}

impl FeeExcess {
    /// Nothing, in the default token.
    pub const ZERO: Self = Self {
        token: TokenId::DEFAULT,
        amount: Signed::ZERO,
    };
}

impl LocalState {
    /// The state outside of any zkApp command, for making blocks. Reading hashes what the block
    /// says instead.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            stack_frame: *EMPTY_STACK_FRAME,
            call_stack: FieldBytes::ZERO,
            transaction_commitment: FieldBytes::ZERO,
            full_transaction_commitment: FieldBytes::ZERO,
            excess: Signed::ZERO,
            supply_increase: Signed::ZERO,
            ledger: LedgerHash::new(FieldBytes::ZERO),
            success: true,
            account_update_index: 0,
            will_succeed: true,
        }
    }
}

impl Registers {
    /// Registers at rest on `ledger`, with an empty coinbase stack; for making blocks.
    #[must_use]
    pub fn at_rest(ledger: LedgerHash) -> Self {
        Self {
            first_pass_ledger: ledger,
            second_pass_ledger: ledger,
            coinbase_stack_data: CoinbaseStackData::new(field_bytes(salt(
                Instance::Kimchi,
                "CoinbaseStack",
            ))),
            coinbase_stack_init: CoinbaseStackHash::new(FieldBytes::ZERO),
            coinbase_stack_curr: CoinbaseStackHash::new(FieldBytes::ZERO),
            local_state: LocalState::empty(),
        }
    }
}
