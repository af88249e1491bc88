//! Is this the network it is said to be, and does the schedule fit the block?

use std::fmt::Display;

use super::report::Report;
use super::{BY_ARCHIVE, BY_BLOCK, BY_NETWORK, BY_PREFORK, BY_SCHEDULE, Evidence, Import};
use crate::timestamp::GenesisTimestamp;

/// The block against the network file.
pub(super) fn chain(evidence: &Evidence<'_>, report: &mut Report) {
    let Some(block) = evidence.block else {
        report.not_run("network.block", "no block was given");
        tx_end(evidence, report);
        return;
    };
    let chain = &evidence.network.chain;
    report.same_if_known(
        "network.genesis-state-hash",
        "genesis state hash of the chain",
        (chain.genesis_state_hash, BY_NETWORK),
        (Some(block.genesis_state_hash), BY_BLOCK),
    );
    report.same_if_known(
        "network.genesis-ledger-hash",
        "genesis ledger hash of the chain",
        (chain.genesis_ledger_hash, BY_NETWORK),
        (Some(block.genesis_ledger_hash), BY_BLOCK),
    );
    report.same(
        "network.genesis-timestamp",
        "genesis time of the chain in ms",
        (chain.genesis_state_timestamp.ms(), BY_NETWORK),
        (block.constants.genesis_state_timestamp_ms, BY_BLOCK),
    );
    let constants = &block.constants;
    for (name, expected, found) in [
        ("k", Some(chain.k), constants.k),
        ("delta", Some(chain.delta), constants.delta),
        (
            "slots_per_epoch",
            Some(chain.slots_per_epoch),
            constants.slots_per_epoch,
        ),
        (
            "slots_per_sub_window",
            Some(chain.slots_per_sub_window),
            constants.slots_per_sub_window,
        ),
        (
            "grace_period_slots",
            chain.grace_period_slots,
            constants.grace_period_slots,
        ),
    ] {
        report.same_if_known(
            &format!("network.{}", name.replace('_', "-")),
            name,
            (expected, BY_NETWORK),
            (Some(found), BY_BLOCK),
        );
    }
    let what = "fork slot of the chain (slot since genesis minus slot since hard fork)";
    match block.chain_fork_slot() {
        Some(found) => report.same(
            "network.fork-slot",
            what,
            (chain.fork_global_slot, BY_NETWORK),
            (found, BY_BLOCK),
        ),
        None => report.mismatch(
            "network.fork-slot",
            what,
            (chain.fork_global_slot, BY_NETWORK),
            ("negative", BY_BLOCK),
        ),
    }
    report.same_if_known(
        "network.transaction-version",
        "transaction version of the chain",
        (Some(chain.era.txn_version()), BY_NETWORK),
        (block.transaction_version, BY_BLOCK),
    );
    tx_end(evidence, report);
}

/// The fork block is the last one before the end of transactions.
fn tx_end(evidence: &Evidence<'_>, report: &mut Report) {
    let id = "block.slot-tx-end";
    let from_prefork = evidence
        .prefork
        .and_then(|prefork| prefork.stop.slot_tx_end)
        .map(|slot| (slot, BY_PREFORK));
    let from_network = evidence
        .network
        .stop
        .slot_tx_end
        .map(|slot| (slot, BY_NETWORK));
    let from_block = evidence
        .block
        .map(|block| (block.slot_since_hard_fork, BY_BLOCK));
    let from_archive = match evidence.import {
        Some(Import::Archive(facts)) => Some((facts.slot_since_hard_fork, BY_ARCHIVE)),
        _ => None,
    };
    let Some((slot, said_by)) = from_block.or(from_archive) else {
        return;
    };
    let Some((end, by)) = from_prefork.or(from_network) else {
        report.not_run(id, "slot_tx_end is not known");
        return;
    };
    if slot < end {
        report.passed(
            id,
            format_args!("slot {slot} lies before slot_tx_end {end} of {by}"),
        );
    } else {
        report.mismatch(
            id,
            "slot since hard fork of the fork block",
            (format!("below slot_tx_end {end}"), by),
            (slot, said_by),
        );
    }
}

/// The config of the old chain against the network file.
pub(super) fn prefork(evidence: &Evidence<'_>, report: &mut Report) {
    let Some(prefork) = evidence.prefork else {
        report.not_run("prefork.config", "no prefork config was given");
        return;
    };
    let network = evidence.network;
    let chain = &network.chain;
    // Absent members of a config mean the daemon's compiled-in values, which are not known here.
    let mut check = Prefork { report };
    check.same(
        "network-id",
        "network id",
        Some(&network.network_id),
        prefork.network_id.as_ref(),
    );
    check.same(
        "genesis-timestamp",
        "genesis time of the chain",
        Some(chain.genesis_state_timestamp),
        prefork.genesis_timestamp,
    );
    check.same(
        "fork-slot",
        "fork slot of the chain",
        Some(chain.fork_global_slot),
        Some(prefork.fork_slot()),
    );
    check.same(
        "slot-time",
        "slot time in ms",
        Some(chain.slot_ms),
        prefork.block_window_duration_ms,
    );
    check.same(
        "ledger-hash",
        "genesis ledger hash of the chain",
        chain.genesis_ledger_hash,
        prefork.ledger_hash,
    );
    check.same("k", "k", Some(chain.k), prefork.k);
    check.same("delta", "delta", Some(chain.delta), prefork.delta);
    check.same(
        "slots-per-epoch",
        "slots_per_epoch",
        Some(chain.slots_per_epoch),
        prefork.slots_per_epoch,
    );
    check.same(
        "slots-per-sub-window",
        "slots_per_sub_window",
        Some(chain.slots_per_sub_window),
        prefork.slots_per_sub_window,
    );
    check.same(
        "grace-period-slots",
        "grace_period_slots",
        chain.grace_period_slots,
        prefork.grace_period_slots,
    );
    check.same(
        "txpool-max-size",
        "txpool_max_size",
        Some(chain.txpool_max_size),
        prefork.txpool_max_size,
    );
    let stop = &network.stop;
    let warn = &mut report.warnings;
    differs(
        warn,
        "slot_tx_end",
        stop.slot_tx_end,
        prefork.stop.slot_tx_end,
    );
    differs(
        warn,
        "slot_chain_end",
        stop.slot_chain_end,
        prefork.stop.slot_chain_end,
    );
    differs(
        warn,
        "hard_fork_genesis_slot_delta",
        stop.hard_fork_genesis_slot_delta,
        prefork.stop.hard_fork_genesis_slot_delta,
    );
}

struct Prefork<'r> {
    report: &'r mut Report,
}

impl Prefork<'_> {
    fn same<T: PartialEq + Display>(
        &mut self,
        id: &str,
        what: &str,
        network: Option<T>,
        prefork: Option<T>,
    ) {
        self.report.same_if_known(
            &format!("prefork.{id}"),
            what,
            (network, BY_NETWORK),
            (prefork, BY_PREFORK),
        );
    }
}

/// The network file's stop slots are only hearsay: the config is what the daemons obeyed.
fn differs<T: PartialEq + Display>(
    warnings: &mut Vec<String>,
    name: &str,
    network: Option<T>,
    prefork: Option<T>,
) {
    if let (Some(network), Some(prefork)) = (network, prefork)
        && network != prefork
    {
        warnings.push(format!(
            "{name} is {network} in the network file and {prefork} in the prefork config, which counts"
        ));
    }
}

/// The new genesis lies after the fork block.
pub(super) fn schedule(evidence: &Evidence<'_>, report: &mut Report) {
    let id = "schedule.after-block";
    let (Some(block), Some(schedule)) = (evidence.block, evidence.schedule) else {
        report.not_run(id, "no block or no schedule was given");
        return;
    };
    let slot = schedule.slot_since_hard_fork;
    let time = schedule.genesis_timestamp;
    if time.ms() > block.timestamp_ms && slot > block.slot_since_hard_fork {
        report.passed(
            id,
            format_args!("the new genesis {time} is after the fork block"),
        );
    } else {
        let block_time = GenesisTimestamp::from_ms(block.timestamp_ms).map_or_else(
            |_| format!("{} ms", block.timestamp_ms),
            |time| time.to_string(),
        );
        report.mismatch(
            id,
            "new genesis",
            (
                format!(
                    "after the fork block, slot {} at {block_time}",
                    block.slot_since_hard_fork
                ),
                BY_BLOCK,
            ),
            (format!("slot {slot} at {time}"), BY_SCHEDULE),
        );
    }
}
