//! Precomputed blocks: reading them, and what they say about a fork.
//!
//! A block file does not hold the block's own state hash; it is recomputed here and compared with
//! what somebody claims ([`ForkBlockFacts::check_name`]). Only the protocol state and the versions
//! are read. Daemons write raw bytes that are not UTF-8 elsewhere in the file, so a file is never
//! text here.

use std::io::Read;

use fork_types::id::StateBodyHash;
use fork_types::{Amount, LedgerHash, SlotSinceGenesis, SlotSinceHardFork, StateHash};

use crate::protocol_state::{Constants, EpochData, ProtocolState};

mod check;
mod decode;
mod encode;
mod error;
mod synthetic;
mod wire;

pub use check::BlockProblem;
pub use error::BlockError;
pub use synthetic::SyntheticBlock;
pub use wire::BlockJson;

/// Largest block file read, in bytes. The largest seen has 4 MB.
pub const BLOCK_BYTES_MAX: u64 = 64 << 20;

/// `protocol_version.transaction` of Berkeley.
const BERKELEY_TRANSACTION_VERSION: u32 = 3;

/// Highest transaction version of a Mesa network: test networks ran with 5.
const MESA_TRANSACTION_VERSION_MAX: u32 = 5;

/// A precomputed block, as far as forks are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// `version` of the wrapper; absent in files without one.
    pub file_version: Option<u32>,
    /// Protocol version, when the file has it.
    pub protocol_version: Option<ProtocolVersion>,
    /// When the producer meant to publish, milliseconds since 1970.
    pub scheduled_time_ms: Option<u64>,
    /// The protocol state.
    pub protocol_state: ProtocolState,
}

/// Version of the protocol a block was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolVersion {
    /// Transaction version: 3 in Berkeley, 4 in Mesa.
    pub transaction: u32,
    /// Network version.
    pub network: u32,
    /// Patch.
    pub patch: u32,
}

/// How far the state hash computed here can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashRule {
    /// Reproduces published hashes of Berkeley blocks.
    Proved,
    /// A Mesa block: the Berkeley rule is assumed to hold, no published hash was ever reproduced. A
    /// difference does not prove the block wrong.
    UnverifiedForMesa,
}

/// What a block says about the fork it may be the last block before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkBlockFacts {
    /// State hash, recomputed.
    pub state_hash: StateHash,
    /// Hash of the body, recomputed.
    pub body_hash: StateBodyHash,
    /// How far `state_hash` can be trusted.
    pub hash_rule: HashRule,
    /// Whether this is the first block of a chain (its slot since hard fork is 0). The state hash
    /// of a genesis block cannot be recomputed from what is printed.
    pub is_genesis: bool,
    /// State hash of the parent.
    pub previous_state_hash: StateHash,
    /// Genesis state hash of the chain.
    pub genesis_state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// The block's own slot since genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// The block's own slot since the last hard fork.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Root of the staged ledger: what an export must hash to.
    pub staged_ledger_hash: LedgerHash,
    /// Root of the snarked ledger, which lags behind the staged one.
    pub snarked_ledger_hash: LedgerHash,
    /// Root of the chain's genesis ledger.
    pub genesis_ledger_hash: LedgerHash,
    /// The staking epoch.
    pub staking_epoch: EpochData,
    /// The next epoch.
    pub next_epoch: EpochData,
    /// Currency in the snarked ledger, nanomina. Not to be compared with the staged ledger.
    pub total_currency: Amount,
    /// Time of the block's slot, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// When the producer meant to publish, milliseconds since 1970.
    pub scheduled_time_ms: Option<u64>,
    /// Constants of the chain.
    pub constants: Constants,
    /// `protocol_version.transaction`, when the file has it.
    pub transaction_version: Option<u32>,
    /// `version` of the wrapper, when there is one.
    pub file_version: Option<u32>,
}

/// Outcome of comparing a block's computed state hash with a claimed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameCheck {
    /// Equal.
    Matches,
    /// Different: the block is not the one it is said to be.
    Differs,
    /// A genesis block, whose hash cannot be recomputed.
    GenesisCannotBeChecked,
    /// Different, but the rule is not verified for Mesa, so nothing follows.
    UnverifiedForMesa,
}

impl Block {
    /// Reads a block that is in memory, with or without the `{"version", "data"}` wrapper.
    ///
    /// Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// Fails on anything malformed, with the path of the member; on v1 blocks, and on protocol
    /// versions whose hash rule is another one.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BlockError> {
        serde_json::from_slice::<BlockJson>(bytes)
            .map_err(|source| BlockError::Json { source })?
            .decode()
    }

    /// Reads a block from `source`, at most [`BLOCK_BYTES_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// As [`Block::from_slice`], and when reading fails.
    pub fn from_reader(source: impl Read) -> Result<Self, BlockError> {
        let mut bytes = Vec::new();
        source
            .take(BLOCK_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| BlockError::Read { source })?;
        if bytes.len() as u64 > BLOCK_BYTES_MAX {
            return Err(BlockError::TooLarge {
                bytes_max: BLOCK_BYTES_MAX,
            });
        }
        Self::from_slice(&bytes)
    }

    /// The block as the JSON of a precomputed block file, without the members that are not read
    /// here (proof, diff, accounts).
    #[must_use]
    pub fn to_block_json(&self) -> BlockJson {
        let scheduled_time = self.scheduled_time_ms.map(encode::digits);
        let protocol_state = Some(encode::protocol_state(&self.protocol_state));
        let protocol_version = self
            .protocol_version
            .map(|version| wire::ProtocolVersionJson {
                transaction: Some(version.transaction),
                network: Some(version.network),
                patch: Some(version.patch),
            });
        match self.file_version {
            None => BlockJson {
                version: None,
                data: None,
                scheduled_time,
                protocol_state,
                protocol_version,
            },
            Some(version) => BlockJson {
                version: Some(version),
                data: Some(wire::DataJson {
                    scheduled_time,
                    protocol_state,
                    protocol_version,
                }),
                ..BlockJson::default()
            },
        }
    }

    /// Recomputes the hashes and collects what matters for a fork.
    #[must_use]
    pub fn facts(&self) -> ForkBlockFacts {
        let (state_hash, body_hash) = self.protocol_state.hashes();
        let body = &self.protocol_state.body;
        let blockchain = &body.blockchain_state;
        let consensus = &body.consensus_state;
        ForkBlockFacts {
            state_hash,
            body_hash,
            hash_rule: self.hash_rule(),
            is_genesis: consensus.slot_since_hard_fork.get() == 0,
            previous_state_hash: self.protocol_state.previous_state_hash,
            genesis_state_hash: body.genesis_state_hash,
            blockchain_length: consensus.blockchain_length,
            global_slot_since_genesis: consensus.global_slot_since_genesis,
            slot_since_hard_fork: consensus.slot_since_hard_fork,
            staged_ledger_hash: blockchain.staged_ledger_hash.ledger_hash,
            snarked_ledger_hash: blockchain.ledger_proof_statement.target.first_pass_ledger,
            genesis_ledger_hash: blockchain.genesis_ledger_hash,
            staking_epoch: consensus.staking_epoch_data.clone(),
            next_epoch: consensus.next_epoch_data.clone(),
            total_currency: consensus.total_currency,
            timestamp_ms: blockchain.timestamp_ms,
            scheduled_time_ms: self.scheduled_time_ms,
            constants: body.constants,
            transaction_version: self.protocol_version.map(|version| version.transaction),
            file_version: self.file_version,
        }
    }

    /// A file without any version is read as Berkeley: nothing else has its shape and no versions.
    fn hash_rule(&self) -> HashRule {
        let transaction = self.protocol_version.map(|version| version.transaction);
        match transaction.or(self.file_version) {
            None | Some(BERKELEY_TRANSACTION_VERSION) => HashRule::Proved,
            Some(_) => HashRule::UnverifiedForMesa,
        }
    }
}

impl BlockJson {
    fn decode(self) -> Result<Block, BlockError> {
        let Self {
            version: file_version,
            data,
            scheduled_time,
            protocol_state,
            protocol_version,
        } = self;
        let (root, scheduled_time, protocol_state, protocol_version) = match data {
            Some(data) => (
                "data",
                data.scheduled_time,
                data.protocol_state,
                data.protocol_version,
            ),
            None => ("", scheduled_time, protocol_state, protocol_version),
        };
        // The versions come first: what follows is only known to be an error where they are good.
        let protocol_version = protocol_version
            .map(|json| known_version(&json))
            .transpose()?
            .flatten();
        if let Some(found) = file_version.filter(|version| !matches!(version, 3 | 4)) {
            return Err(BlockError::UnsupportedFileVersion { found });
        }
        let root = decode::Path::root(root);
        Ok(Block {
            file_version,
            protocol_version,
            scheduled_time_ms: scheduled_time
                .map(|digits| root.u64("scheduled_time", Some(digits)))
                .transpose()?,
            protocol_state: root.object(
                "protocol_state",
                protocol_state,
                decode::protocol_state,
            )?,
        })
    }
}

/// `None` when the object does not say a transaction version.
fn known_version(json: &wire::ProtocolVersionJson) -> Result<Option<ProtocolVersion>, BlockError> {
    let Some(transaction) = json.transaction else {
        return Ok(None);
    };
    if !(BERKELEY_TRANSACTION_VERSION..=MESA_TRANSACTION_VERSION_MAX).contains(&transaction) {
        return Err(BlockError::UnsupportedTransactionVersion { found: transaction });
    }
    Ok(Some(ProtocolVersion {
        transaction,
        network: json.network.unwrap_or(0),
        patch: json.patch.unwrap_or(0),
    }))
}

impl ForkBlockFacts {
    /// Compares the computed state hash with the one the block is known by.
    #[must_use]
    pub fn check_name(&self, claimed: StateHash) -> NameCheck {
        if self.is_genesis {
            NameCheck::GenesisCannotBeChecked
        } else if self.state_hash == claimed {
            NameCheck::Matches
        } else {
            match self.hash_rule {
                HashRule::Proved => NameCheck::Differs,
                HashRule::UnverifiedForMesa => NameCheck::UnverifiedForMesa,
            }
        }
    }

    /// Slot since genesis of the chain's own genesis: 0 on a chain that never forked.
    ///
    /// `None` when the block's two slots contradict each other.
    #[must_use]
    pub fn chain_fork_slot(&self) -> Option<SlotSinceGenesis> {
        self.global_slot_since_genesis
            .get()
            .checked_sub(self.slot_since_hard_fork.get())
            .map(SlotSinceGenesis::new)
    }
}

/// The claimed height and state hash in the name of a block file,
/// `<network>-<height>-<state hash>.json`. The network part is unreliable and ignored.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<(u32, StateHash)> {
    let mut parts = name.strip_suffix(".json")?.rsplitn(3, '-');
    let state_hash = parts.next()?.parse().ok()?;
    let height = parts.next()?.parse().ok()?;
    parts.next().map(|_network| (height, state_hash))
}

#[cfg(test)]
pub(crate) mod tests;
