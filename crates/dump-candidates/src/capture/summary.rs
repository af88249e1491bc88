//! What a capture did, for people and programs.

use std::fmt::Write;

use fork_types::document::{SeenBlock, StoredCandidate};
use fork_types::{SlotSinceHardFork, StateHash};
use serde::Serialize;

use super::error::Problem;

/// The result of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaptureSummary {
    /// `forkpack.capture-summary`.
    pub format: &'static str,
    /// Version of this object.
    pub version: u32,
    /// The store.
    pub store: String,
    /// Name of the network.
    pub network: String,
    /// First slot of which blocks were captured, since the last hard fork.
    pub window_start: SlotSinceHardFork,
    /// First slot without transactions.
    pub slot_tx_end: SlotSinceHardFork,
    /// First slot without blocks.
    pub slot_chain_end: SlotSinceHardFork,
    /// Slot most daemons' clocks have reached.
    pub clock_slot: Option<SlotSinceHardFork>,
    /// Candidates stored by this run, in the order they were.
    pub stored: Vec<SummaryBlock>,
    /// Candidates stored before.
    pub stored_before: usize,
    /// Candidates seen and not stored.
    pub missing: Vec<SummaryBlock>,
    /// Answers refused by this run.
    pub refused: u32,
    /// Peak resident memory of the process in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// What is not as it should be.
    pub problems: Vec<SummaryProblem>,
}

/// A block in a summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryBlock {
    /// State hash.
    pub state_hash: StateHash,
    /// Height.
    pub blockchain_length: u32,
    /// Slot since the last hard fork, when the block was given.
    pub slot_since_hard_fork: Option<SlotSinceHardFork>,
}

/// A problem in a summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryProblem {
    /// Class of the problem.
    pub class: &'static str,
    /// What it is.
    pub text: String,
}

impl From<&StoredCandidate> for SummaryBlock {
    fn from(stored: &StoredCandidate) -> Self {
        let block = &stored.candidate.fork_block;
        Self {
            state_hash: block.state_hash,
            blockchain_length: block.blockchain_length,
            slot_since_hard_fork: block.slot_since_hard_fork,
        }
    }
}

impl From<&SeenBlock> for SummaryBlock {
    fn from(block: &SeenBlock) -> Self {
        Self {
            state_hash: block.state_hash,
            blockchain_length: block.blockchain_length,
            slot_since_hard_fork: Some(block.slot_since_hard_fork),
        }
    }
}

impl From<&Problem> for SummaryProblem {
    fn from(problem: &Problem) -> Self {
        Self {
            class: problem.class.name(),
            text: problem.text.clone(),
        }
    }
}

impl CaptureSummary {
    /// The result for people.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        let clock = self
            .clock_slot
            .map_or_else(|| "unknown".to_owned(), |slot| slot.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "store         {} ({})", self.store, self.network);
        let _ = writeln!(
            text,
            "slots         window from {}, transactions end {}, chain ends {}, now {clock}",
            self.window_start, self.slot_tx_end, self.slot_chain_end
        );
        let _ = writeln!(
            text,
            "stored        {} now, {} before",
            self.stored.len(),
            self.stored_before
        );
        for (word, blocks) in [("  new", &self.stored), ("  missing", &self.missing)] {
            for block in blocks {
                let slot = block
                    .slot_since_hard_fork
                    .map_or_else(|| "?".to_owned(), |slot| slot.to_string());
                let _ = writeln!(
                    text,
                    "{word:<13} height {}, slot {slot}, {}",
                    block.blockchain_length, block.state_hash
                );
            }
        }
        let _ = writeln!(
            text,
            "not stored    {} seen, {} answers refused",
            self.missing.len(),
            self.refused
        );
        for problem in &self.problems {
            let _ = writeln!(text, "problem       {} ({})", problem.text, problem.class);
        }
        text
    }
}
