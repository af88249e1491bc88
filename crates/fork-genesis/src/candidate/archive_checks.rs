//! An archive database against the block file and the network.

use super::report::Report;
use super::{BY_ARCHIVE, BY_BLOCK, BY_NETWORK, Evidence, Import};
use crate::archive::ArchiveFacts;

pub(super) fn all(evidence: &Evidence<'_>, report: &mut Report) {
    let Some(Import::Archive(facts)) = evidence.import else {
        return;
    };
    block(evidence, facts, report);
    network(evidence, facts, report);
}

/// Everything the archive has of the block, against the block itself. State hash, height, seeds and
/// roots are compared where those of other inputs are.
fn block(evidence: &Evidence<'_>, facts: &ArchiveFacts, report: &mut Report) {
    let Some(block) = evidence.block else {
        report.not_run(
            "archive.block",
            "no block was given: the state hash is what the archive says",
        );
        return;
    };
    report.same(
        "archive.parent",
        "state hash of the parent",
        (block.previous_state_hash, BY_BLOCK),
        (facts.previous_state_hash, BY_ARCHIVE),
    );
    report.same(
        "archive.slot-since-genesis",
        "slot since genesis of the fork block",
        (block.global_slot_since_genesis, BY_BLOCK),
        (facts.global_slot_since_genesis, BY_ARCHIVE),
    );
    report.same(
        "archive.slot-since-hard-fork",
        "slot since hard fork of the fork block",
        (block.slot_since_hard_fork, BY_BLOCK),
        (facts.slot_since_hard_fork, BY_ARCHIVE),
    );
    report.same(
        "archive.timestamp",
        "time of the fork block in ms",
        (block.timestamp_ms, BY_BLOCK),
        (facts.timestamp_ms, BY_ARCHIVE),
    );
    report.same(
        "archive.snarked-ledger",
        "root of the snarked ledger",
        (block.snarked_ledger_hash, BY_BLOCK),
        (facts.snarked_ledger_hash, BY_ARCHIVE),
    );
    report.same(
        "archive.genesis-state-hash",
        "genesis state hash of the chain",
        (block.genesis_state_hash, BY_BLOCK),
        (facts.genesis.state_hash, BY_ARCHIVE),
    );
}

/// The chain the block is on against the network file.
fn network(evidence: &Evidence<'_>, facts: &ArchiveFacts, report: &mut Report) {
    let network = evidence.network;
    let chain = &network.chain;
    report.same(
        "archive.transaction-version",
        "transaction version of the chain",
        (chain.era.txn_version(), BY_NETWORK),
        (facts.transaction_version, BY_ARCHIVE),
    );
    let slots = facts
        .global_slot_since_genesis
        .get()
        .checked_sub(facts.slot_since_hard_fork.get());
    report.same(
        "archive.fork-slot",
        "fork slot of the chain (slot since genesis minus slot since hard fork)",
        (chain.fork_global_slot.to_string(), BY_NETWORK),
        (
            slots.map_or_else(|| "negative".to_owned(), |slot| slot.to_string()),
            BY_ARCHIVE,
        ),
    );
    report.same(
        "archive.genesis-timestamp",
        "genesis time of the chain in ms",
        (chain.genesis_state_timestamp.ms(), BY_NETWORK),
        (facts.genesis.timestamp_ms, BY_ARCHIVE),
    );
    let since_genesis = u64::from(facts.slot_since_hard_fork.get()).saturating_mul(chain.slot_ms);
    let time = chain
        .genesis_state_timestamp
        .ms()
        .saturating_add(since_genesis);
    let what = "time of the fork block's slot in ms";
    let is_second = facts.previous_state_hash == facts.genesis.state_hash;
    if time != facts.timestamp_ms && is_second {
        // Real second blocks of local networks are off by some slots.
        let text = format!(
            "{what} is {} in {BY_ARCHIVE}, expected {time} by {BY_NETWORK}; seen on good second blocks",
            facts.timestamp_ms
        );
        report.warnings.push(text.clone());
        report.not_run("archive.slot-time", format_args!("only a warning: {text}"));
    } else {
        report.same(
            "archive.slot-time",
            what,
            (time, BY_NETWORK),
            (facts.timestamp_ms, BY_ARCHIVE),
        );
    }
    report.same_if_known(
        "archive.network-genesis-state-hash",
        "genesis state hash of the chain",
        (chain.genesis_state_hash, BY_NETWORK),
        (Some(facts.genesis.state_hash), BY_ARCHIVE),
    );
    report.same_if_known(
        "archive.network-genesis-ledger-hash",
        "genesis ledger hash of the chain",
        (chain.genesis_ledger_hash, BY_NETWORK),
        (Some(facts.genesis.ledger_hash), BY_ARCHIVE),
    );
}
