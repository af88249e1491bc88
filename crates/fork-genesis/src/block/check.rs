//! Does a block agree with itself?

use super::Block;

/// Something a block says that contradicts something else it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockProblem {
    /// Stable identifier, such as `block.epoch-count`.
    pub id: &'static str,
    /// The member, below `protocol_state` or `data`.
    pub path: &'static str,
    /// What follows from the rest of the block.
    pub expected: String,
    /// What it says.
    pub found: String,
    /// Whether good blocks have been seen with this, so that it is only worth a warning.
    pub warning_only: bool,
}

impl Block {
    /// Every self-contradiction of the block. `slot_ms` is the slot time of its chain in
    /// milliseconds, from the network file; without it the timestamp is not checked.
    #[must_use]
    pub fn problems(&self, slot_ms: Option<u64>) -> Vec<BlockProblem> {
        let body = &self.protocol_state.body;
        let consensus = &body.consensus_state;
        let timestamp_ms = body.blockchain_state.timestamp_ms;
        let slot = consensus.slot_since_hard_fork.get();
        let mut problems = Vec::new();
        let mut compare = |id, path, expected: Option<u64>, found: u64, warning_only| {
            if expected != Some(found) {
                problems.push(BlockProblem {
                    id,
                    path,
                    expected: expected
                        .map_or_else(|| "no possible value".to_owned(), |value| value.to_string()),
                    found: found.to_string(),
                    warning_only,
                });
            }
        };
        compare(
            "block.epoch-count",
            "body.consensus_state.epoch_count",
            slot.checked_div(consensus.slot_slots_per_epoch)
                .map(u64::from),
            u64::from(consensus.epoch_count),
            false,
        );
        compare(
            "block.slots-per-epoch",
            "body.consensus_state.curr_global_slot_since_hard_fork.slots_per_epoch",
            Some(u64::from(body.constants.slots_per_epoch)),
            u64::from(consensus.slot_slots_per_epoch),
            false,
        );
        if let Some(slot_ms) = slot_ms {
            // Real second blocks of local networks are off by some slots.
            compare(
                "block.timestamp",
                "body.blockchain_state.timestamp",
                slot_ms
                    .checked_mul(u64::from(slot))
                    .and_then(|ms| ms.checked_add(body.constants.genesis_state_timestamp_ms)),
                timestamp_ms,
                true,
            );
        }
        let global_slot = consensus.global_slot_since_genesis.get();
        if global_slot < slot {
            problems.push(BlockProblem {
                id: "block.slots",
                path: "body.consensus_state.global_slot_since_genesis",
                expected: format!("at least the slot since hard fork, {slot}"),
                found: global_slot.to_string(),
                warning_only: false,
            });
        }
        if let Some(scheduled) = self.scheduled_time_ms.filter(|time| *time < timestamp_ms) {
            problems.push(BlockProblem {
                id: "block.scheduled-time",
                path: "scheduled_time",
                expected: format!("at least the block's timestamp, {timestamp_ms}"),
                found: scheduled.to_string(),
                warning_only: false,
            });
        }
        if let (Some(file), Some(protocol)) = (self.file_version, self.protocol_version) {
            // A test network ran transaction version 5; its files' version was never seen.
            let expected = protocol.transaction.min(4);
            if file != expected {
                problems.push(BlockProblem {
                    id: "block.file-version",
                    path: "version",
                    expected: expected.to_string(),
                    found: file.to_string(),
                    warning_only: true,
                });
            }
        }
        problems
    }
}
