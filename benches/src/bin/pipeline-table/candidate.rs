//! A candidate with one ledger, as an import would have left it.

use std::path::Path;

use fork_bench::run::Failure;
use fork_types::document::{
    Candidate, CandidateLedger, ClaimedRoot, Document, EpochSeeds, ForkBlock, SourceLedger,
};
use fork_types::{EpochSeed, Era, FieldBytes, StateHash};

/// Writes the document of a candidate whose account list, in the same directory, is the one that a
/// migration read and computed the root of. Only candidates can be migrated without computing it
/// again, and importing three ledgers to measure one would take longer than what is measured.
///
/// What the migration of the genesis ledger does not look at is made up: the other two ledgers are
/// the same, and the fork block is nobody's.
pub(crate) fn write(directory: &Path, source: &SourceLedger) -> Result<(), Failure> {
    let ledger = CandidateLedger {
        file: source.file.clone(),
        accounts: source.accounts,
        claimed_root: Some(ClaimedRoot {
            root: source.root,
            by: "block".to_owned(),
        }),
        computed_root: Some(source.root),
        total_balance_nanomina: "0".to_owned(),
    };
    let candidate = Candidate {
        format: Candidate::format(),
        version: Candidate::version(),
        network: "bench".to_owned(),
        source_era: Era::Berkeley,
        fork_block: ForkBlock {
            state_hash: StateHash::DUMMY,
            state_hash_recomputed: false,
            blockchain_length: 1,
            global_slot_since_genesis: None,
            slot_since_hard_fork: None,
            timestamp_ms: None,
            chain_genesis_timestamp_ms: None,
        },
        scheduled: None,
        seeds: EpochSeeds {
            staking: EpochSeed::new(FieldBytes::ZERO),
            next: EpochSeed::new(FieldBytes::ZERO),
        },
        staged_ledger: ledger.clone(),
        staking_ledger: ledger.clone(),
        next_staking_ledger: ledger,
        block: None,
        sources: Vec::new(),
        checks: Vec::new(),
        warnings: Vec::new(),
        selection: None,
    };
    let json = serde_json::to_vec_pretty(&candidate)?;
    fork_fs::write_atomic(&directory.join(Candidate::FILE_NAME), &json)?;
    Ok(())
}
