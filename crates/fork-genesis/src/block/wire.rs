//! A precomputed block as JSON: every member optional, so that a missing one can be named by its
//! path, and texts undecoded.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A decimal number, written as a string; a bare integer is read as well.
#[derive(Clone, Debug)]
pub struct Digits(pub(super) String);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DigitsVisitor;
        impl Visitor<'_> for DigitsVisitor {
            type Value = Digits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number in a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digits, E> {
                Ok(Digits(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Digits, E> {
                Ok(Digits(number.to_string()))
            }
        }
        deserializer.deserialize_any(DigitsVisitor)
    }
}

/// Objects whose unknown members are skipped without being looked at, not even as UTF-8.
macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$attribute])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $field: Option<$type>,
            )*
        }
    )*};
}

/// `{"version", "data"}`, or the members of `data` themselves.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct BlockJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<DataJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheduled_time: Option<Digits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol_state: Option<ProtocolStateJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol_version: Option<ProtocolVersionJson>,
}

wire! {
    /// `data`.
    DataJson {
        scheduled_time: Digits,
        protocol_state: ProtocolStateJson,
        protocol_version: ProtocolVersionJson,
    }
    /// `protocol_version`.
    ProtocolVersionJson {
        transaction: u32,
        network: u32,
        patch: u32,
    }
    /// `protocol_state`.
    ProtocolStateJson {
        previous_state_hash: String,
        body: BodyJson,
    }
    /// `body`.
    BodyJson {
        genesis_state_hash: String,
        blockchain_state: BlockchainStateJson,
        consensus_state: ConsensusStateJson,
        constants: ConstantsJson,
    }
    /// `blockchain_state`.
    BlockchainStateJson {
        staged_ledger_hash: StagedLedgerHashJson,
        genesis_ledger_hash: String,
        ledger_proof_statement: StatementJson,
        timestamp: Digits,
        body_reference: String,
    }
    /// `staged_ledger_hash`.
    StagedLedgerHashJson {
        non_snark: NonSnarkJson,
        pending_coinbase_hash: String,
    }
    /// `non_snark`.
    NonSnarkJson {
        ledger_hash: String,
        aux_hash: String,
        pending_coinbase_aux: String,
    }
    /// `pending_coinbase_stack`.
    StackJson {
        data: String,
        state: StackStateJson,
    }
    /// `state` of a stack.
    StackStateJson {
        init: String,
        curr: String,
    }
    /// `source`, `target`.
    RegistersJson {
        first_pass_ledger: String,
        second_pass_ledger: String,
        pending_coinbase_stack: StackJson,
        local_state: LocalStateJson,
    }
    /// An amount and its sign.
    SignedJson {
        magnitude: Digits,
        sgn: Vec<String>,
    }
    /// An item of `fee_excess`.
    FeeExcessJson {
        token: String,
        amount: SignedJson,
    }
    /// `consensus_state`.
    ConsensusStateJson {
        blockchain_length: Digits,
        epoch_count: Digits,
        min_window_density: Digits,
        sub_window_densities: Vec<Digits>,
        last_vrf_output: String,
        total_currency: Digits,
        /// Berkeley and later.
        curr_global_slot_since_hard_fork: SlotJson,
        /// v1; its presence is how v1 is recognised.
        #[serde(skip_serializing)]
        curr_global_slot: de::IgnoredAny,
        global_slot_since_genesis: Digits,
        staking_epoch_data: EpochDataJson,
        next_epoch_data: EpochDataJson,
        has_ancestor_in_same_checkpoint_window: bool,
        block_stake_winner: String,
        block_creator: String,
        coinbase_receiver: String,
        supercharge_coinbase: bool,
    }
    /// `curr_global_slot_since_hard_fork`.
    SlotJson {
        slot_number: Digits,
        slots_per_epoch: Digits,
    }
    /// `staking_epoch_data`, `next_epoch_data`.
    EpochDataJson {
        ledger: EpochLedgerJson,
        seed: String,
        start_checkpoint: String,
        lock_checkpoint: String,
        epoch_length: Digits,
    }
    /// `ledger` of an epoch.
    EpochLedgerJson {
        hash: String,
        total_currency: Digits,
    }
    /// `constants`.
    ConstantsJson {
        k: Digits,
        slots_per_epoch: Digits,
        slots_per_sub_window: Digits,
        grace_period_slots: Digits,
        delta: Digits,
        genesis_state_timestamp: Digits,
    }
}

/// `ledger_proof_statement`. `sok_digest` is null here in real blocks and enters no hash.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct StatementJson {
    pub(super) source: Option<RegistersJson>,
    pub(super) target: Option<RegistersJson>,
    pub(super) connecting_ledger_left: Option<String>,
    pub(super) connecting_ledger_right: Option<String>,
    pub(super) supply_increase: Option<SignedJson>,
    pub(super) fee_excess: Option<Vec<FeeExcessJson>>,
    #[serde(skip_deserializing)]
    pub(super) sok_digest: (),
}

/// `local_state`. `failure_status_tbl` is empty in real blocks and enters no hash.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LocalStateJson {
    pub(super) stack_frame: Option<String>,
    pub(super) call_stack: Option<String>,
    pub(super) transaction_commitment: Option<String>,
    pub(super) full_transaction_commitment: Option<String>,
    pub(super) excess: Option<SignedJson>,
    pub(super) supply_increase: Option<SignedJson>,
    pub(super) ledger: Option<String>,
    pub(super) success: Option<bool>,
    pub(super) account_update_index: Option<Digits>,
    #[serde(skip_deserializing)]
    pub(super) failure_status_tbl: [(); 0],
    pub(super) will_succeed: Option<bool>,
}
