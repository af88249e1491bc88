//! Why each block in question is or is not the fork block.

use std::collections::{BTreeMap, BTreeSet};

use fork_types::document::{Chosen, JudgedCandidate, SeenBlock, SelectionRule};
use fork_types::{SlotSinceHardFork, StateHash};

use super::daemons::Voter;
use super::ruling::Ruling;
use super::tree::BlockTree;
use super::{StoredBlock, late, named};

/// Everything a block is judged by.
pub(super) struct Judge<'s, 'a> {
    pub(super) rule: &'s SelectionRule,
    pub(super) voters: &'s [Voter<'a>],
    pub(super) tree: &'s BlockTree<'a>,
    pub(super) stored: &'s BTreeMap<StateHash, &'s StoredBlock>,
    pub(super) ruling: &'s Ruling<'a>,
    pub(super) chosen: Option<&'s Chosen>,
}

impl Judge<'_, '_> {
    /// Judges every block that was seen below `slot_tx_end` and every stored one, by height and
    /// state hash; with a warning for each stored one whose slot nobody knows.
    pub(super) fn all(&self) -> (Vec<JudgedCandidate>, Vec<String>) {
        let seen = self.tree.blocks().into_iter();
        let hashes: BTreeSet<StateHash> = seen
            .filter(|block| block.slot_since_hard_fork < self.rule.slot_tx_end)
            .map(|block| block.state_hash)
            .chain(self.stored.keys().copied())
            .chain(self.chosen.map(|chosen| chosen.state_hash))
            .collect();
        let mut judged = Vec::new();
        let mut warnings = Vec::new();
        for hash in hashes {
            match self.one(hash) {
                Some(candidate) => judged.push(candidate),
                None => warnings.push(format!(
                    "block {hash} is stored and not judged: no daemon shows it, and its slot is not \
                     known"
                )),
            }
        }
        judged.sort_by_cached_key(|one| (one.blockchain_length, one.state_hash.to_string()));
        (judged, warnings)
    }

    fn one(&self, hash: StateHash) -> Option<JudgedCandidate> {
        let seen = self.tree.get(hash);
        let stored = self.stored.get(&hash);
        let (length, slot) = match (seen, stored) {
            (Some(block), _) => (block.blockchain_length, block.slot_since_hard_fork),
            (None, Some(stored)) => (stored.blockchain_length, stored.slot_since_hard_fork?),
            (None, None) => return None,
        };
        let having = self.voters.iter().filter(|voter| voter.has(hash));
        let is_chosen = self.chosen.is_some_and(|chosen| chosen.state_hash == hash);
        Some(JudgedCandidate {
            state_hash: hash,
            blockchain_length: length,
            slot_since_hard_fork: slot,
            is_stored: stored.is_some_and(|stored| stored.unusable.is_none()),
            daemons: having.map(|voter| voter.name().to_owned()).collect(),
            rejected_because: match is_chosen {
                true => Vec::new(),
                false => self.reasons(hash, seen, slot),
            },
        })
    }

    fn reasons(
        &self,
        hash: StateHash,
        seen: Option<&SeenBlock>,
        slot: SlotSinceHardFork,
    ) -> Vec<String> {
        let mut reasons = Vec::new();
        if slot >= self.rule.slot_tx_end {
            reasons.push(late(slot, self.rule));
        }
        match seen {
            Some(block) => self.place(block, &mut reasons),
            None => reasons.push("no daemon shows it, so it is on no known chain".to_owned()),
        }
        match self.stored.get(&hash).map(|stored| &stored.unusable) {
            Some(None) => {}
            Some(Some(problem)) => reasons.push(format!("stored but {problem}")),
            None => reasons.push("never stored: no capture of it was completed".to_owned()),
        }
        reasons
    }

    /// What is wrong with where a block stands in the tree.
    fn place(&self, block: &SeenBlock, reasons: &mut Vec<String>) {
        let ruling = self.ruling;
        if ruling.contenders.is_empty() {
            reasons.push("no daemon counts, so there is no strongest chain".to_owned());
            return;
        }
        let on: Vec<_> = ruling
            .contenders
            .iter()
            .filter(|contender| contender.chain.contains(&block.state_hash))
            .collect();
        for contender in &on {
            let fork = contender.fork;
            if fork.state_hash == block.state_hash {
                // The last one below `slot_tx_end`: only a human, or what keeps the rule from
                // choosing it, speaks against it.
                match self.chosen {
                    Some(chosen) => reasons.push(format!(
                        "a human chose block {} ({}) instead",
                        chosen.blockchain_length, chosen.state_hash
                    )),
                    None => {
                        let problems = ruling.findings.iter();
                        reasons.extend(problems.map(|finding| finding.text.clone()));
                    }
                }
            } else if block.slot_since_hard_fork < self.rule.slot_tx_end {
                reasons.push(follows(fork));
            }
        }
        if !on.is_empty() {
            return;
        }
        let reach = self.tree.reach(block.state_hash);
        reasons.push(format!(
            "not on the strongest chain: that one has height {}, this branch ends at {}",
            ruling.top,
            reach.unwrap_or(block.blockchain_length)
        ));
        reasons.extend(
            self.tree
                .child_below(block.state_hash, self.rule.slot_tx_end)
                .map(follows),
        );
        if !self.voters.iter().any(|voter| voter.has(block.state_hash)) {
            reasons.push("no daemon has it on its best chain".to_owned());
        }
    }
}

fn follows(block: &SeenBlock) -> String {
    format!("{} follows it below slot_tx_end", named(block))
}
