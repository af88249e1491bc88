//! What an archive database says about a fork block.
//!
//! An archive keeps most of a block, but not all that its state hash goes over: the hash is a claim
//! here, like every other value, until a block file proves it.

use fork_types::{EpochSeed, LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash};

use crate::import::ImportedLedger;

/// A fork block as an archive has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFacts {
    /// State hash, which the archive cannot prove.
    pub state_hash: StateHash,
    /// State hash of the parent.
    pub previous_state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Slot since the last hard fork.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// `protocol_version.transaction`.
    pub transaction_version: u32,
    /// Root of the snarked ledger.
    pub snarked_ledger_hash: LedgerHash,
    /// The chain's first block, where the branch of the fork block ends.
    pub genesis: ArchiveGenesis,
    /// Seed of the staking epoch.
    pub staking_seed: EpochSeed,
    /// Seed of the next epoch.
    pub next_seed: EpochSeed,
    /// The staged ledger, with the root the archive claims.
    pub staged: ImportedLedger,
    /// The staking ledger, with the root the archive claims.
    pub staking: ImportedLedger,
    /// The next ledger, with the root the archive claims.
    pub next: ImportedLedger,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// The first block of a chain as an archive has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveGenesis {
    /// State hash.
    pub state_hash: StateHash,
    /// Root of the genesis ledger.
    pub ledger_hash: LedgerHash,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
}

impl ArchiveFacts {
    /// The ledger of a role.
    #[must_use]
    pub const fn ledger(&self, role: Role) -> &ImportedLedger {
        match role {
            Role::Genesis => &self.staged,
            Role::Staking => &self.staking,
            Role::Next => &self.next,
        }
    }
}
