//! The identity of the fork block, and what the export's slot means.

use fork_types::document::SlotMeaning;
use fork_types::{SlotSinceGenesis, StateHash};

use super::report::Report;
use super::{BY_ARCHIVE, BY_BLOCK, BY_FORK_CONFIG, BY_SCHEDULE, Evidence, Import};
use crate::block::{ForkBlockFacts, NameCheck};
use crate::fork_config::ForkConfigFacts;
use crate::timestamp::GenesisTimestamp;

/// State hash and height.
pub(super) fn identity(evidence: &Evidence<'_>, report: &mut Report) {
    let import = evidence.import;
    let claimed = import.map(|import| (import.state_hash(), import.by()));
    match (evidence.block, claimed) {
        (Some(block), Some((claimed, by))) => {
            state_hash(block, "block.state-hash", claimed, by, report);
        }
        (None, _) => report.not_run("block.state-hash", "no block was given"),
        (_, None) => report.not_run("block.state-hash", "no export names the fork block"),
    }
    for expected in evidence.expected_state_hashes {
        let id = "block.expected-state-hash";
        if let Some(block) = evidence.block {
            state_hash(block, id, expected.value, &expected.by, report);
        } else if let Some(claimed) = claimed {
            report.same(
                id,
                "state hash of the fork block",
                (expected.value, &expected.by),
                claimed,
            );
        }
    }
    let length = evidence.block.map(|block| block.blockchain_length);
    let claimed = match import {
        Some(Import::ForkConfig(facts)) => Some((facts.fork.blockchain_length, BY_FORK_CONFIG)),
        Some(Import::Archive(facts)) => Some((facts.blockchain_length, BY_ARCHIVE)),
        Some(Import::Replayer(_)) | None => None,
    };
    let what = "height of the fork block";
    match (length, claimed) {
        (Some(length), Some(claimed)) => {
            report.same("block.length", what, (length, BY_BLOCK), claimed);
        }
        (None, _) => report.not_run("block.length", "no block was given"),
        (_, None) => report.not_run("block.length", "no export names the height"),
    }
    let found = length.map(|length| (length, BY_BLOCK)).or(claimed);
    if let Some(found) = found {
        for expected in evidence.expected_lengths {
            let id = "block.expected-length";
            report.same(id, what, (expected.value, expected.by.as_str()), found);
        }
    }
}

fn state_hash(block: &ForkBlockFacts, id: &str, claimed: StateHash, by: &str, report: &mut Report) {
    let what = "state hash of the fork block";
    match block.check_name(claimed) {
        NameCheck::Matches | NameCheck::Differs => {
            report.same(
                id,
                what,
                (block.state_hash, "block (recomputed)"),
                (claimed, by),
            );
        }
        NameCheck::GenesisCannotBeChecked => {
            let why = "genesis block: its state hash cannot be recomputed from what is printed";
            report.not_run(id, why);
            report.warnings.push(format!("{claimed} is a {why}"));
        }
        NameCheck::UnverifiedForMesa => {
            let why = format!(
                "the state hash rule is not verified for Mesa blocks: computed {}, {by} says \
                 {claimed}",
                block.state_hash
            );
            report.warnings.push(why.clone());
            report.not_run(id, why);
        }
    }
}

/// What the block says against itself.
pub(super) fn self_consistency(evidence: &Evidence<'_>, report: &mut Report) {
    if evidence.block.is_none() {
        report.not_run("block.self", "no block was given");
        return;
    }
    for problem in evidence.block_problems {
        let what = format!("`{}`", problem.path);
        if problem.warning_only {
            report.warnings.push(format!(
                "{what} of the block is {}, expected {}; seen on good blocks too",
                problem.found, problem.expected
            ));
        } else {
            let rest = "the rest of the block";
            report.mismatch(
                problem.id,
                &what,
                (&problem.expected, rest),
                (&problem.found, BY_BLOCK),
            );
        }
    }
    if evidence
        .block_problems
        .iter()
        .all(|problem| problem.warning_only)
    {
        report.passed("block.self", "the block agrees with itself");
    }
}

/// Decides between the two meanings of the export's slot. The value alone does not say; a block or
/// a schedule does.
pub(super) fn slot(evidence: &Evidence<'_>, report: &mut Report) -> SlotMeaning {
    let Some(Import::ForkConfig(facts)) = evidence.import else {
        report.not_run("fork.slot", "no export with a slot was given");
        return SlotMeaning::Unknown;
    };
    let meaning = meaning(evidence, facts, report);
    timestamp(evidence, facts, meaning, report);
    meaning
}

fn meaning(evidence: &Evidence<'_>, facts: &ForkConfigFacts, report: &mut Report) -> SlotMeaning {
    let id = "fork.slot";
    let what = "fork slot since genesis";
    let slot = facts.fork.global_slot_since_genesis;
    let scheduled = evidence
        .schedule
        .map(|schedule| schedule.global_slot_since_genesis);
    match evidence.block.map(|block| block.global_slot_since_genesis) {
        Some(block) if slot == block => {
            report.passed(
                id,
                format_args!("{slot} is the slot of the fork block itself"),
            );
            SlotMeaning::ForkBlock
        }
        Some(block) if slot < block => {
            let expected = format!("at least the block's own slot, {block}");
            report.mismatch(id, what, (expected, BY_BLOCK), (slot, BY_FORK_CONFIG));
            SlotMeaning::Unknown
        }
        Some(block) => {
            match scheduled {
                Some(scheduled) => {
                    report.same(id, what, (scheduled, BY_SCHEDULE), (slot, BY_FORK_CONFIG));
                }
                None => report.not_run(
                    id,
                    format_args!(
                        "{slot} lies {} slots after the fork block, so it is the scheduled genesis; \
                         no schedule was given to compare it with",
                        slot.get().saturating_sub(block.get())
                    ),
                ),
            }
            SlotMeaning::ScheduledGenesis
        }
        None if scheduled == Some(slot) => {
            report.passed(
                id,
                format_args!("{slot} is the scheduled slot of the new genesis"),
            );
            SlotMeaning::ScheduledGenesis
        }
        None => {
            report.not_run(
                id,
                format_args!(
                    "no block was given, so {slot} may be the slot of the fork block or of the new \
                     genesis"
                ),
            );
            SlotMeaning::Unknown
        }
    }
}

/// Slot and time of an export belong together under either meaning.
fn timestamp(
    evidence: &Evidence<'_>,
    facts: &ForkConfigFacts,
    meaning: SlotMeaning,
    report: &mut Report,
) {
    let id = "fork.timestamp";
    let Some(found) = facts.genesis_timestamp else {
        report.not_run(id, "the export has no genesis timestamp");
        return;
    };
    let expected = match (meaning, evidence.block) {
        (SlotMeaning::ForkBlock, Some(block)) => GenesisTimestamp::from_ms(block.timestamp_ms)
            .ok()
            .map(|time| (time, "block's own timestamp")),
        _ => time_of(evidence, facts.fork.global_slot_since_genesis)
            .map(|time| (time, "fork slot and slot time of the network")),
    };
    match expected {
        Some(expected) => report.same(
            id,
            "genesis timestamp of the export",
            expected,
            (found, BY_FORK_CONFIG),
        ),
        None => report.mismatch(
            id,
            "genesis timestamp of the export",
            ("a time after the genesis of the chain", "network-file"),
            (found, BY_FORK_CONFIG),
        ),
    }
}

fn time_of(evidence: &Evidence<'_>, slot: SlotSinceGenesis) -> Option<GenesisTimestamp> {
    let clock = evidence.network.clock();
    clock.time_of(slot.checked_since(clock.fork_slot)?).ok()
}
