//! The documents of a candidate store: what capture saw, what it stored, what it refused, and what
//! was selected.
//!
//! A store holds every ledger once, under its root; a [`StoredCandidate`] is written last, so a
//! candidate that is listed is complete. Times are those of the machine that captured: they are
//! for people and decide nothing.

use serde::{Deserialize, Serialize};

use super::{Candidate, Document, FileRef};
use crate::era::{Era, Role};
use crate::id::{EpochSeed, LedgerHash, StateHash};
use crate::slot::{SlotSinceGenesis, SlotSinceHardFork, SlotSpan};

/// `store.json`: says that a directory or bucket prefix is a candidate store, and of which network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreDocument {
    /// `forkpack.candidate-store`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Name of the network whose candidates are in it.
    pub network: String,
}
document!(StoreDocument, "forkpack.candidate-store", 1, "store.json");

/// `ledger.json` of a stored ledger: written once, after its accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredLedger {
    /// `forkpack.stored-ledger`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Root, recomputed from the accounts under the rules of `era`.
    pub root: LedgerHash,
    /// Era whose rules give the root.
    pub era: Era,
    /// Number of accounts.
    pub accounts: u32,
    /// Sum of the balances of the default token, in nanomina, as decimal text.
    pub total_balance_nanomina: String,
    /// The account list after decompression: a JSON array in leaf order, one account a line. The
    /// name is empty.
    pub list: FileRef,
    /// The compressed list as stored; the name is relative to this document and holds the digest.
    pub stored: FileRef,
}
document!(StoredLedger, "forkpack.stored-ledger", 1, "ledger.json");

/// One captured candidate; the last thing written of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCandidate {
    /// `forkpack.stored-candidate`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// The candidate as `import` would have written it. The account lists it names are stored
    /// under the computed roots, the block under its state hash.
    pub candidate: Candidate,
    /// How it came here.
    pub captured: CaptureRecord,
}
document!(
    StoredCandidate,
    "forkpack.stored-candidate",
    1,
    "candidate.json"
);

impl StoredCandidate {
    /// Root of a ledger, which is also its place in the store. `None` in a document whose roots
    /// were not recomputed; capture writes none of these.
    #[must_use]
    pub const fn root(&self, role: Role) -> Option<LedgerHash> {
        self.candidate.ledger(role).computed_root
    }
}

/// Where a candidate came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureRecord {
    /// Name of the daemon that answered, never its credentials.
    pub daemon: String,
    /// The daemon's `version` (a commit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_version: Option<String>,
    /// The daemon's chain id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
    /// When it was stored, milliseconds since 1970.
    pub captured_at_ms: u64,
    /// Bytes of the daemon's answer.
    pub answer_bytes: u64,
    /// SHA-256 of the daemon's answer.
    pub answer_sha256: String,
    /// Milliseconds until the answer began.
    pub answer_wait_ms: u64,
    /// Milliseconds from there to its end.
    pub answer_transfer_ms: u64,
}

/// A block as a daemon's `bestChain` describes it. Only the state hash is proof of anything, and
/// only once the block is captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenBlock {
    /// State hash.
    pub state_hash: StateHash,
    /// State hash of the parent.
    pub previous_state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Slot since the last hard fork.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Root of the staged ledger.
    pub staged_ledger_hash: LedgerHash,
    /// Root of the staking epoch ledger.
    pub staking_ledger_hash: LedgerHash,
    /// Root of the next epoch ledger.
    pub next_ledger_hash: LedgerHash,
    /// Seed of the staking epoch.
    pub staking_seed: EpochSeed,
    /// Seed of the next epoch.
    pub next_seed: EpochSeed,
    /// User and zkApp commands.
    pub commands: u32,
    /// Fee transfers.
    pub fee_transfers: u32,
    /// Coinbase in nanomina, as decimal text.
    pub coinbase_nanomina: String,
}

impl SeenBlock {
    /// Whether the block changes no account: no commands, no fee transfers, no coinbase. The rule
    /// of the field's own fork test.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands == 0 && self.fee_transfers == 0 && self.coinbase_nanomina == "0"
    }
}

/// Stop slots as a daemon's running config has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenStopSlots {
    /// First slot without transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_tx_end: Option<SlotSinceHardFork>,
    /// First slot without blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_chain_end: Option<SlotSinceHardFork>,
    /// Slots from there to the new genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_fork_genesis_slot_delta: Option<SlotSpan>,
}

/// Everything one daemon showed; replaced whenever it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonView {
    /// `forkpack.daemon-view`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Name of the daemon.
    pub name: String,
    /// `networkID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
    /// Chain id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
    /// `version` (a commit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_version: Option<String>,
    /// `syncStatus` at the last answer.
    pub sync_status: String,
    /// Stop slots of its running config.
    pub stop: SeenStopSlots,
    /// Slot since hard fork by the daemon's clock at the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_slot: Option<SlotSinceHardFork>,
    /// Slot by its clock when it last was in sync. Daemons go out of sync once nothing is gossiped
    /// any more, as after the chain's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_slot: Option<SlotSinceHardFork>,
    /// When it last answered, milliseconds since 1970 by the capturing machine.
    pub observed_at_ms: u64,
    /// Its best tip at the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<StateHash>,
    /// Times the best tip moved to a block that does not descend from the former one.
    pub reorganisations: u32,
    /// Every block it showed since the window opened, by height and state hash; those that left its
    /// best chain too.
    pub blocks: Vec<SeenBlock>,
}
document!(DaemonView, "forkpack.daemon-view", 1, "daemon.json");

impl DaemonView {
    /// The blocks of its best chain, tip first, as far as they were seen.
    pub fn best_chain(&self) -> impl Iterator<Item = &SeenBlock> {
        let mut next = self.tip;
        let mut left = self.blocks.len();
        std::iter::from_fn(move || {
            let hash = next.take()?;
            // A cycle cannot be: parents are named by hash. A lying daemon can still claim one.
            left = left.checked_sub(1)?;
            let block = self.blocks.iter().find(|block| block.state_hash == hash)?;
            next = Some(block.previous_state_hash);
            Some(block)
        })
    }
}

/// An answer that was refused. The body, where there was one, stays in the working directory of the
/// capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// `forkpack.refusal`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Name of the daemon.
    pub daemon: String,
    /// The block it was asked about.
    pub state_hash: StateHash,
    /// Height of that block.
    pub blockchain_length: u32,
    /// What was wrong, with its causes.
    pub reason: String,
    /// Class of the error: `wrong` for a contradiction, `bad-input` for what cannot be read.
    pub class: String,
    /// When, milliseconds since 1970.
    pub refused_at_ms: u64,
    /// The body as it came, relative to the refusal in the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<FileRef>,
}
document!(Refusal, "forkpack.refusal", 1, "refusal.json");

/// `selection.json`: which candidate is the fork block, by which rule, and why not the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectionDocument {
    /// `forkpack.selection`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Name of the network.
    pub network: String,
    /// The rule's numbers.
    pub rule: SelectionRule,
    /// The chosen block; absent in what is printed when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// Everything that kept the rule from choosing, or that a human override overrode.
    pub problems: Vec<String>,
    /// What a person should know although it decided nothing.
    pub warnings: Vec<String>,
    /// What each daemon says.
    pub daemons: Vec<DaemonVote>,
    /// Every block in question, chosen one included, by height and state hash.
    pub candidates: Vec<JudgedCandidate>,
}
document!(SelectionDocument, "forkpack.selection", 1, "selection.json");

/// The numbers of the written rule: the fork block is the last block with a slot below
/// `slot_tx_end` on the strongest chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectionRule {
    /// First slot without transactions, since the last hard fork.
    pub slot_tx_end: SlotSinceHardFork,
    /// First slot without blocks, since the last hard fork.
    pub slot_chain_end: SlotSinceHardFork,
    /// Blocks that must stand above the fork block.
    pub confirmations: u32,
    /// Daemons that must have the fork block on their best chain.
    pub quorum: u32,
}

/// The chosen block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// State hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Who chose it.
    pub by: ChosenBy,
    /// Blocks above it on the longest chain that has it.
    pub confirmations: u32,
    /// Daemons that have it on their best chain.
    pub daemons: Vec<String>,
}

/// Who chose a fork block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenBy {
    /// The written rule.
    Rule,
    /// A human, with `--state-hash`, and the rule agrees.
    HumanAndRule,
    /// A human, with `--state-hash`, although the rule chooses another block or none.
    HumanOverride,
}

/// What one daemon says about the fork block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonVote {
    /// Name of the daemon.
    pub daemon: String,
    /// Its best tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<StateHash>,
    /// Height of its best tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip_length: Option<u32>,
    /// Slot by its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_slot: Option<SlotSinceHardFork>,
    /// The last block below `slot_tx_end` on its best chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_block: Option<StateHash>,
    /// Why it does not count, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
}

/// One block that could have been the fork block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgedCandidate {
    /// State hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the last hard fork.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Whether it is stored, complete and verified.
    pub is_stored: bool,
    /// Daemons that have it on their best chain.
    pub daemons: Vec<String>,
    /// Why it was not chosen; empty for the chosen one.
    pub rejected_because: Vec<String>,
}
