//! From the JSON of a block to its values, naming the path of whatever is wrong.

use std::fmt;
use std::str::FromStr;

use fork_types::{Amount, FieldBytes, IdError, SlotSinceGenesis, SlotSinceHardFork};

use super::error::BlockError;
use super::wire::{
    BlockchainStateJson, BodyJson, ConsensusStateJson, ConstantsJson, Digits, EpochDataJson,
    FeeExcessJson, LocalStateJson, ProtocolStateJson, RegistersJson, SignedJson,
    StagedLedgerHashJson, StatementJson,
};
use crate::protocol_state::{
    BlockchainState, Body, ConsensusState, Constants, EpochData, FeeExcess, LedgerProofStatement,
    LocalState, ProtocolState, Registers, SUB_WINDOWS, Sign, Signed, StagedLedgerHash, VrfOutput,
    VrfOutputError,
};
use crate::text::shown;

type Result<T> = std::result::Result<T, BlockError>;

/// A place in the document, printed only when something is wrong there.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    name: &'p str,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            let below_nameless_root = parent.parent.is_none() && parent.name.is_empty();
            if !(below_nameless_root || self.name.starts_with('[')) {
                f.write_str(".")?;
            }
        }
        f.write_str(self.name)
    }
}

impl<'p> Path<'p> {
    /// The place all others are below; empty for the document itself.
    pub(super) const fn root(name: &'p str) -> Self {
        Self { parent: None, name }
    }

    const fn child<'c>(&'c self, name: &'c str) -> Path<'c> {
        Path {
            parent: Some(self),
            name,
        }
    }

    fn malformed(&self, found: &str, expected: &'static str) -> BlockError {
        BlockError::Malformed {
            path: self.to_string(),
            found: shown(found),
            expected,
        }
    }

    fn needed<T>(&self, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| BlockError::Missing {
            path: self.to_string(),
        })
    }

    /// A member that is an object, decoded by `decode`.
    pub(super) fn object<T, U>(
        &self,
        name: &str,
        value: Option<T>,
        decode: impl FnOnce(&Path<'_>, T) -> Result<U>,
    ) -> Result<U> {
        let path = self.child(name);
        decode(&path, path.needed(value)?)
    }

    fn id<T: FromStr<Err = IdError>>(&self, name: &str, value: Option<String>) -> Result<T> {
        let path = self.child(name);
        path.needed(value)?
            .parse()
            .map_err(|source| BlockError::Id {
                path: path.to_string(),
                source,
            })
    }

    fn flag(&self, name: &str, value: Option<bool>) -> Result<bool> {
        self.child(name).needed(value)
    }

    fn u32(&self, name: &str, value: Option<Digits>) -> Result<u32> {
        let path = self.child(name);
        path.number_u32(&path.needed(value)?)
    }

    fn number_u32(&self, Digits(text): &Digits) -> Result<u32> {
        only_digits(text)
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.malformed(text, "a decimal number below 2^32"))
    }

    pub(super) fn u64(&self, name: &str, value: Option<Digits>) -> Result<u64> {
        let path = self.child(name);
        let Digits(text) = path.needed(value)?;
        only_digits(&text)
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| path.malformed(&text, "a decimal number below 2^64"))
    }

    fn amount(&self, name: &str, value: Option<Digits>) -> Result<Amount> {
        self.u64(name, value).map(Amount::from_nanomina)
    }

    /// `0x` and 64 hexadecimal digits, most significant first: unlike every base58 text.
    fn field(&self, name: &str, value: Option<String>) -> Result<FieldBytes> {
        let path = self.child(name);
        let text = path.needed(value)?;
        text.strip_prefix("0x")
            .and_then(FieldBytes::from_be_hex)
            .ok_or_else(|| {
                path.malformed(
                    &text,
                    "0x and 64 hexadecimal digits below the field modulus",
                )
            })
    }
}

/// Sign, blanks and `+` are refused, which `parse` alone would not all do.
fn only_digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

pub(super) fn protocol_state(path: &Path<'_>, json: ProtocolStateJson) -> Result<ProtocolState> {
    Ok(ProtocolState {
        previous_state_hash: path.id("previous_state_hash", json.previous_state_hash)?,
        body: path.object("body", json.body, body)?,
    })
}

fn body(path: &Path<'_>, json: BodyJson) -> Result<Body> {
    Ok(Body {
        genesis_state_hash: path.id("genesis_state_hash", json.genesis_state_hash)?,
        blockchain_state: path.object("blockchain_state", json.blockchain_state, blockchain)?,
        consensus_state: path.object("consensus_state", json.consensus_state, consensus)?,
        constants: path.object("constants", json.constants, constants)?,
    })
}

fn blockchain(path: &Path<'_>, json: BlockchainStateJson) -> Result<BlockchainState> {
    Ok(BlockchainState {
        staged_ledger_hash: path.object(
            "staged_ledger_hash",
            json.staged_ledger_hash,
            staged_ledger_hash,
        )?,
        genesis_ledger_hash: path.id("genesis_ledger_hash", json.genesis_ledger_hash)?,
        ledger_proof_statement: path.object(
            "ledger_proof_statement",
            json.ledger_proof_statement,
            statement,
        )?,
        timestamp_ms: path.u64("timestamp", json.timestamp)?,
        body_reference: path.object("body_reference", json.body_reference, |path, text| {
            let mut bytes = [0; 32];
            let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
            if lower && hex::decode_to_slice(&text, &mut bytes).is_ok() {
                Ok(bytes)
            } else {
                Err(path.malformed(&text, "64 lower-case hexadecimal digits"))
            }
        })?,
    })
}

fn staged_ledger_hash(path: &Path<'_>, json: StagedLedgerHashJson) -> Result<StagedLedgerHash> {
    path.object("non_snark", json.non_snark, |below, non_snark| {
        Ok(StagedLedgerHash {
            ledger_hash: below.id("ledger_hash", non_snark.ledger_hash)?,
            aux_hash: below.id("aux_hash", non_snark.aux_hash)?,
            pending_coinbase_aux: below
                .id("pending_coinbase_aux", non_snark.pending_coinbase_aux)?,
            pending_coinbase_hash: path.id("pending_coinbase_hash", json.pending_coinbase_hash)?,
        })
    })
}

fn statement(path: &Path<'_>, json: StatementJson) -> Result<LedgerProofStatement> {
    Ok(LedgerProofStatement {
        source: path.object("source", json.source, registers)?,
        target: path.object("target", json.target, registers)?,
        connecting_ledger_left: path.id("connecting_ledger_left", json.connecting_ledger_left)?,
        connecting_ledger_right: path
            .id("connecting_ledger_right", json.connecting_ledger_right)?,
        supply_increase: path.object("supply_increase", json.supply_increase, signed)?,
        fee_excess: path.object("fee_excess", json.fee_excess, fee_excess)?,
    })
}

fn fee_excess(path: &Path<'_>, items: Vec<FeeExcessJson>) -> Result<[FeeExcess; 2]> {
    let found = items.len();
    let items = <[FeeExcessJson; 2]>::try_from(items).map_err(|_| BlockError::ListLength {
        path: path.to_string(),
        expected: 2,
        found,
    })?;
    let decode = |name, json: FeeExcessJson| {
        let path = path.child(name);
        Ok(FeeExcess {
            token: path.id("token", json.token)?,
            amount: path.object("amount", json.amount, signed)?,
        })
    };
    let [left, right] = items;
    Ok([decode("[0]", left)?, decode("[1]", right)?])
}

fn registers(path: &Path<'_>, json: RegistersJson) -> Result<Registers> {
    let stack = "pending_coinbase_stack";
    path.object(stack, json.pending_coinbase_stack, |stack, stack_json| {
        stack.object("state", stack_json.state, |state, state_json| {
            Ok(Registers {
                first_pass_ledger: path.id("first_pass_ledger", json.first_pass_ledger)?,
                second_pass_ledger: path.id("second_pass_ledger", json.second_pass_ledger)?,
                coinbase_stack_data: stack.id("data", stack_json.data)?,
                coinbase_stack_init: state.id("init", state_json.init)?,
                coinbase_stack_curr: state.id("curr", state_json.curr)?,
                local_state: path.object("local_state", json.local_state, local_state)?,
            })
        })
    })
}

fn local_state(path: &Path<'_>, json: LocalStateJson) -> Result<LocalState> {
    Ok(LocalState {
        stack_frame: path.field("stack_frame", json.stack_frame)?,
        call_stack: path.field("call_stack", json.call_stack)?,
        transaction_commitment: path
            .field("transaction_commitment", json.transaction_commitment)?,
        full_transaction_commitment: path.field(
            "full_transaction_commitment",
            json.full_transaction_commitment,
        )?,
        excess: path.object("excess", json.excess, signed)?,
        supply_increase: path.object("supply_increase", json.supply_increase, signed)?,
        ledger: path.id("ledger", json.ledger)?,
        success: path.flag("success", json.success)?,
        account_update_index: path.u32("account_update_index", json.account_update_index)?,
        will_succeed: path.flag("will_succeed", json.will_succeed)?,
    })
}

fn signed(path: &Path<'_>, json: SignedJson) -> Result<Signed> {
    Ok(Signed {
        magnitude: path.amount("magnitude", json.magnitude)?,
        sign: path.object("sgn", json.sgn, |path, words| match words.as_slice() {
            [word] if word == "Pos" => Ok(Sign::Positive),
            [word] if word == "Neg" => Ok(Sign::Negative),
            words => Err(path.malformed(&words.join(", "), "[\"Pos\"] or [\"Neg\"]")),
        })?,
    })
}

fn consensus(path: &Path<'_>, json: ConsensusStateJson) -> Result<ConsensusState> {
    if json.curr_global_slot.is_some() && json.curr_global_slot_since_hard_fork.is_none() {
        return Err(BlockError::UnsupportedV1);
    }
    let slot = "curr_global_slot_since_hard_fork";
    let (slot_since_hard_fork, slot_slots_per_epoch) =
        path.object(slot, json.curr_global_slot_since_hard_fork, |path, json| {
            Ok((
                SlotSinceHardFork::new(path.u32("slot_number", json.slot_number)?),
                path.u32("slots_per_epoch", json.slots_per_epoch)?,
            ))
        })?;
    Ok(ConsensusState {
        blockchain_length: path.u32("blockchain_length", json.blockchain_length)?,
        epoch_count: path.u32("epoch_count", json.epoch_count)?,
        min_window_density: path.u32("min_window_density", json.min_window_density)?,
        sub_window_densities: path.object(
            "sub_window_densities",
            json.sub_window_densities,
            densities,
        )?,
        last_vrf_output: path.object("last_vrf_output", json.last_vrf_output, vrf_output)?,
        total_currency: path.amount("total_currency", json.total_currency)?,
        slot_since_hard_fork,
        slot_slots_per_epoch,
        global_slot_since_genesis: SlotSinceGenesis::new(
            path.u32("global_slot_since_genesis", json.global_slot_since_genesis)?,
        ),
        staking_epoch_data: path.object("staking_epoch_data", json.staking_epoch_data, epoch)?,
        next_epoch_data: path.object("next_epoch_data", json.next_epoch_data, epoch)?,
        has_ancestor_in_same_checkpoint_window: path.flag(
            "has_ancestor_in_same_checkpoint_window",
            json.has_ancestor_in_same_checkpoint_window,
        )?,
        block_stake_winner: path.id("block_stake_winner", json.block_stake_winner)?,
        block_creator: path.id("block_creator", json.block_creator)?,
        coinbase_receiver: path.id("coinbase_receiver", json.coinbase_receiver)?,
        supercharge_coinbase: path.flag("supercharge_coinbase", json.supercharge_coinbase)?,
    })
}

fn densities(path: &Path<'_>, items: Vec<Digits>) -> Result<[u32; SUB_WINDOWS]> {
    let numbers = items
        .iter()
        .map(|digits| path.number_u32(digits))
        .collect::<Result<Vec<u32>>>()?;
    numbers
        .try_into()
        .map_err(|numbers: Vec<u32>| BlockError::ListLength {
            path: path.to_string(),
            expected: SUB_WINDOWS,
            found: numbers.len(),
        })
}

/// A text that decodes to 38 bytes is a base58check payload re-encoded by a third-party tool, not
/// something to take 32 bytes of.
fn vrf_output(path: &Path<'_>, text: String) -> Result<VrfOutput> {
    text.parse()
        .map_err(|error: VrfOutputError| path.malformed(&text, error.0))
}

fn epoch(path: &Path<'_>, json: EpochDataJson) -> Result<EpochData> {
    path.object("ledger", json.ledger, |below, ledger| {
        Ok(EpochData {
            ledger_hash: below.id("hash", ledger.hash)?,
            total_currency: below.amount("total_currency", ledger.total_currency)?,
            seed: path.id("seed", json.seed)?,
            start_checkpoint: path.id("start_checkpoint", json.start_checkpoint)?,
            lock_checkpoint: path.id("lock_checkpoint", json.lock_checkpoint)?,
            epoch_length: path.u32("epoch_length", json.epoch_length)?,
        })
    })
}

fn constants(path: &Path<'_>, json: ConstantsJson) -> Result<Constants> {
    Ok(Constants {
        k: path.u32("k", json.k)?,
        slots_per_epoch: path.u32("slots_per_epoch", json.slots_per_epoch)?,
        slots_per_sub_window: path.u32("slots_per_sub_window", json.slots_per_sub_window)?,
        grace_period_slots: path.u32("grace_period_slots", json.grace_period_slots)?,
        delta: path.u32("delta", json.delta)?,
        genesis_state_timestamp_ms: path
            .u64("genesis_state_timestamp", json.genesis_state_timestamp)?,
    })
}
