//! What an archive says of a block, for comparisons.

use fork_archive::{ArchiveBlock, Branch};
use fork_genesis::archive::{ArchiveFacts, ArchiveGenesis};
use fork_genesis::import::ImportedLedger;
use fork_ledger::json::LedgerObjectMeta;

/// What the archive says, in the form that is compared.
pub(crate) fn facts(block: &ArchiveBlock, branch: &Branch) -> ArchiveFacts {
    let ledger = |root| ImportedLedger {
        accounts: 0,
        claimed_root: Some(root),
        meta: LedgerObjectMeta::default(),
    };
    ArchiveFacts {
        state_hash: block.state_hash,
        previous_state_hash: block.parent_hash,
        blockchain_length: block.height,
        global_slot_since_genesis: block.slot_since_genesis,
        slot_since_hard_fork: block.slot_since_hard_fork,
        timestamp_ms: block.timestamp_ms,
        transaction_version: block.transaction_version,
        snarked_ledger_hash: block.snarked_ledger_hash,
        genesis: ArchiveGenesis {
            state_hash: branch.genesis.state_hash,
            ledger_hash: branch.genesis.ledger_hash,
            timestamp_ms: branch.genesis.timestamp_ms,
        },
        staking_seed: block.staking_epoch.seed,
        next_seed: block.next_epoch.seed,
        staged: ledger(block.ledger_hash),
        staking: ledger(block.staking_epoch.ledger_hash),
        next: ledger(block.next_epoch.ledger_hash),
        warnings: warnings(block, branch),
    }
}

/// The seeds of a chain that began with its own, and nobody says with which.
pub(super) fn unknown_first(branch: &Branch) -> String {
    format!(
        "the seeds of the chain's first block {} are what the archive says, and all seeds follow from \
         them: --prefork-config or --block would prove them",
        branch.genesis.state_hash
    )
}

fn warnings(block: &ArchiveBlock, branch: &Branch) -> Vec<String> {
    let undecided = branch.blocks - branch.canonical.min(branch.blocks);
    if undecided == 0 {
        return Vec::new();
    }
    vec![format!(
        "the archive calls block {} {} and does not call {undecided} of the {} blocks of its branch \
         canonical",
        block.state_hash,
        block.status.name(),
        branch.blocks
    )]
}
