//! A made-up store for tests: four daemons, a branch on each side of `slot_tx_end`.

use std::collections::BTreeMap;

use fork_types::document::{
    Candidate, CandidateLedger, CaptureRecord, ClaimedRoot, DaemonView, EpochSeeds, FileRef,
    ForkBlock, SeenBlock, SeenStopSlots, StoredCandidate, StoredLedger,
};
use fork_types::{
    EpochSeed, Era, FieldBytes, LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash,
};

use super::Listing;
use super::stock::{Ledger, Stock};

pub(crate) const TX_END: u32 = 413_500;
pub(crate) const CHAIN_END: u32 = 413_560;
const FIRST_SLOT: u32 = TX_END - 20;

pub(crate) fn hash(number: u64) -> StateHash {
    // Spread out, so that hashes do not all begin alike.
    let mut bytes = [0; 32];
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        let mixed = (number + index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        chunk.copy_from_slice(&mixed.to_le_bytes());
    }
    bytes[31] &= 0x3f;
    StateHash::new(FieldBytes::from_le_bytes(bytes).unwrap())
}

fn root(number: u64) -> LedgerHash {
    LedgerHash::new(hash(number).field())
}

pub(crate) fn block(number: u64, parent: u64, height: u32, slot: u32) -> SeenBlock {
    let is_empty = slot >= TX_END;
    SeenBlock {
        state_hash: hash(number),
        previous_state_hash: hash(parent),
        blockchain_length: height,
        global_slot_since_genesis: SlotSinceGenesis::new(slot + 445_860),
        slot_since_hard_fork: SlotSinceHardFork::new(slot),
        staged_ledger_hash: root(number),
        staking_ledger_hash: root(1),
        next_ledger_hash: root(2),
        staking_seed: EpochSeed::new(FieldBytes::ZERO),
        next_seed: EpochSeed::new(FieldBytes::ONE),
        commands: if is_empty { 0 } else { 12 },
        fee_transfers: if is_empty { 0 } else { 2 },
        coinbase_nanomina: if is_empty { "0" } else { "720000000000" }.to_owned(),
    }
}

/// Heights from 300000 on, a block in four of five slots up to `last_slot`.
pub(crate) fn chain(last_slot: u32) -> Vec<SeenBlock> {
    (FIRST_SLOT..=last_slot)
        .filter(|slot| slot % 5 != 3)
        .zip(0_u32..)
        .map(|(slot, index)| {
            let number = 1000 + u64::from(index);
            block(number, number - 1, 300_000 + index, slot)
        })
        .collect()
}

/// `count` blocks on top of `blocks` up to a slot, in every second slot.
pub(crate) fn fork_off(blocks: &[SeenBlock], after: u32, first: u64, count: u32) -> Vec<SeenBlock> {
    let mut all: Vec<SeenBlock> = blocks.to_vec();
    all.retain(|block| block.slot_since_hard_fork.get() <= after);
    for step in 0..count {
        let last = all.last().unwrap();
        let height = last.blockchain_length + 1;
        let slot = last.slot_since_hard_fork.get() + 2;
        let mut next = block(first + u64::from(step), 0, height, slot);
        next.previous_state_hash = last.state_hash;
        all.push(next);
    }
    all
}

pub(crate) fn view(name: &str, blocks: &[SeenBlock], clock: u32) -> DaemonView {
    DaemonView {
        format: DaemonView::format(),
        version: DaemonView::version(),
        name: name.to_owned(),
        network_id: Some("mina:devnet".to_owned()),
        chain_id: Some("c0ffee".to_owned()),
        daemon_version: None,
        sync_status: "SYNCED".to_owned(),
        stop: SeenStopSlots {
            slot_tx_end: Some(SlotSinceHardFork::new(TX_END)),
            slot_chain_end: Some(SlotSinceHardFork::new(CHAIN_END)),
            hard_fork_genesis_slot_delta: None,
        },
        clock_slot: Some(SlotSinceHardFork::new(clock)),
        synced_slot: None,
        observed_at_ms: 1_750_000_000_000,
        tip: blocks.last().map(|block| block.state_hash),
        reorganisations: 0,
        blocks: blocks.to_vec(),
    }
}

/// Three agree, one of them late; one is on a branch of its own; one saw a branch that died.
pub(crate) fn views(clock: u32) -> Vec<DaemonView> {
    let main = chain(CHAIN_END - 8);
    let mut late = main.clone();
    late.truncate(main.len() - 6);
    let mut with_dead = view("seed-1", &main, clock);
    let dead = fork_off(&main, TX_END - 14, 3000, 3);
    with_dead.blocks.extend(dead.into_iter().rev().take(3));
    let mut dissent = view("seed-4", &fork_off(&main, TX_END - 4, 2000, 9), clock);
    dissent.reorganisations = 2;
    vec![
        with_dead,
        view("seed-2", &main, clock),
        view("seed-3", &late, clock),
        dissent,
    ]
}

pub(crate) fn candidate(block: &SeenBlock) -> StoredCandidate {
    let ledger = |name: &str, root: LedgerHash| CandidateLedger {
        file: FileRef {
            name: name.to_owned(),
            sha256: "ab".repeat(32),
            bytes: 1_000_000,
        },
        accounts: 1000,
        claimed_root: Some(ClaimedRoot {
            root,
            by: "block".to_owned(),
        }),
        computed_root: Some(root),
        total_balance_nanomina: "5".to_owned(),
    };
    StoredCandidate {
        format: StoredCandidate::format(),
        version: StoredCandidate::version(),
        candidate: Candidate {
            format: Candidate::format(),
            version: Candidate::version(),
            network: "devnet".to_owned(),
            source_era: Era::Berkeley,
            fork_block: ForkBlock {
                state_hash: block.state_hash,
                state_hash_recomputed: true,
                blockchain_length: block.blockchain_length,
                global_slot_since_genesis: Some(block.global_slot_since_genesis),
                slot_since_hard_fork: Some(block.slot_since_hard_fork),
                timestamp_ms: None,
                chain_genesis_timestamp_ms: None,
            },
            scheduled: None,
            seeds: EpochSeeds {
                staking: block.staking_seed,
                next: block.next_seed,
            },
            staged_ledger: ledger("staged_ledger.json", block.staged_ledger_hash),
            staking_ledger: ledger("staking_ledger.json", block.staking_ledger_hash),
            next_staking_ledger: ledger("next_staking_ledger.json", block.next_ledger_hash),
            block: Some(FileRef {
                name: "block.json".to_owned(),
                sha256: "cd".repeat(32),
                bytes: 10,
            }),
            sources: Vec::new(),
            checks: Vec::new(),
            warnings: Vec::new(),
            selection: None,
        },
        captured: CaptureRecord {
            daemon: "seed-1".to_owned(),
            daemon_version: None,
            chain_id: None,
            captured_at_ms: 1_750_000_000_000,
            answer_bytes: 1,
            answer_sha256: "ef".repeat(32),
            answer_wait_ms: 1,
            answer_transfer_ms: 1,
        },
    }
}

/// A store with these views, and every block of them below `slot_tx_end` but the lowest four.
pub(crate) fn stock(views: Vec<DaemonView>) -> Stock {
    let mut blocks: BTreeMap<(u32, String), &SeenBlock> = BTreeMap::new();
    for block in views.iter().flat_map(|view| &view.blocks) {
        let slot = block.slot_since_hard_fork.get();
        if (FIRST_SLOT + 5..TX_END).contains(&slot) {
            let key = (block.blockchain_length, block.state_hash.to_string());
            blocks.insert(key, block);
        }
    }
    let candidates: Vec<StoredCandidate> = blocks.into_values().map(candidate).collect();
    let roots = candidates.iter().flat_map(Stock::roots);
    let ledgers = roots.map(|root| (root, Ledger::Complete(Box::new(ledger(root)))));
    Stock {
        ledgers: ledgers.collect(),
        candidates,
        views,
        refusals: Vec::new(),
    }
}

pub(crate) fn ledger(root: LedgerHash) -> StoredLedger {
    let file = FileRef {
        name: String::new(),
        sha256: "ab".repeat(32),
        bytes: 1_000_000,
    };
    StoredLedger {
        format: StoredLedger::format(),
        version: StoredLedger::version(),
        root,
        era: Era::Berkeley,
        accounts: 1000,
        total_balance_nanomina: "5".to_owned(),
        list: file.clone(),
        stored: FileRef {
            bytes: 250_000,
            ..file
        },
    }
}

/// Breaks the ledger of a role of the candidate at `index`.
pub(crate) fn break_ledger(stock: &mut Stock, index: usize, role: Role) {
    let root = stock.candidates[index].root(role).unwrap();
    let problem = super::StoreProblem {
        what: format!("the document of ledger {root}"),
        expected: "in the store, because a candidate names it".to_owned(),
        found: "missing".to_owned(),
    };
    stock.ledgers.insert(root, Ledger::Broken(problem));
}

pub(crate) fn listing(stock: Stock) -> Listing {
    Listing::new(
        "candidate-store".to_owned(),
        "devnet".to_owned(),
        stock,
        None,
        15,
    )
}
