//! What one daemon shows at one time.

use std::collections::BTreeSet;

use fork_types::StateHash;

use super::World;
use crate::scenario::{FollowSpec, SyncState};

/// What one daemon shows at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What it says it is.
    pub state: SyncState,
    /// The best chain from the root of the frontier to the tip; empty without a frontier.
    pub chain: Vec<usize>,
    /// Blocks of the frontier beside the best chain, of branches it followed before.
    pub others: Vec<usize>,
}

impl View {
    /// Position of the best tip.
    #[must_use]
    pub fn tip(&self) -> Option<usize> {
        self.chain.last().copied()
    }
}

impl World {
    /// What a daemon shows when the clock is at `slot`.
    #[must_use]
    pub fn view(&self, daemon: usize, slot: u32) -> View {
        let spec = &self.scenario.daemons[daemon];
        let phase = spec
            .phases
            .iter()
            .find(|phase| (phase.from..=phase.to).contains(&slot));
        let state = phase.map_or(SyncState::Synced, |phase| phase.state);
        let nothing = |state| View {
            state,
            chain: Vec::new(),
            others: Vec::new(),
        };
        if !state.has_frontier() {
            return nothing(state);
        }
        // While catching up it knows what there was when it began to.
        let now = match (state, phase) {
            (SyncState::Catchup, Some(phase)) => phase.from,
            _ => slot,
        };
        let followed: Vec<&FollowSpec> = spec
            .follows
            .iter()
            .take_while(|follow| follow.from <= now)
            .collect();
        let path_of = |follow: &FollowSpec, until: u32| {
            let branch = self.plan.branch_index(&follow.branch);
            branch.map_or(&[][..], |branch| {
                self.plan.path_until(branch, until.saturating_sub(spec.lag))
            })
        };
        let Some((current, earlier)) = followed.split_last() else {
            return nothing(SyncState::Bootstrap);
        };
        let path = path_of(current, now);
        if path.is_empty() {
            return nothing(SyncState::Bootstrap);
        }
        // The root and k blocks on top of it.
        let depth = (self.scenario.network.k as usize).saturating_add(1);
        let chain = &path[path.len().saturating_sub(depth)..];
        let mut others = BTreeSet::new();
        for (position, follow) in earlier.iter().enumerate() {
            let left_at = followed[position + 1].from;
            let path = path_of(follow, left_at.min(now));
            // What does not descend from the root has left the frontier.
            if let Some(root) = path.iter().position(|block| Some(block) == chain.first()) {
                others.extend(path[root..].iter().copied());
            }
        }
        for block in chain {
            others.remove(block);
        }
        View {
            state,
            chain: chain.to_vec(),
            others: others.into_iter().collect(),
        }
    }

    /// The block `fork_config` means when none is named: the newest on the best chain before
    /// `slot_tx_end`; the tip if there is no stop slot or no such block.
    #[must_use]
    pub fn default_fork_block(&self, view: &View) -> Option<usize> {
        let before_end = |block: &&usize| {
            let slot = self.plan.blocks[**block].slot;
            let end = self.scenario.network.slot_tx_end;
            end.is_none_or(|end| slot < end)
        };
        let newest = view.chain.iter().rev().find(before_end).copied();
        newest.or_else(|| view.tip())
    }

    /// The block of a view's best chain at a height.
    #[must_use]
    pub fn at_height(&self, view: &View, height: u32) -> Option<usize> {
        let is_it = |block: &usize| self.blocks[*block].height() == height;
        view.chain.iter().copied().find(is_it)
    }

    /// The block of a view's frontier with a state hash.
    #[must_use]
    pub fn with_state_hash(&self, view: &View, state_hash: StateHash) -> Option<usize> {
        let is_it = |block: &usize| self.blocks[*block].state_hash() == state_hash;
        let blocks = view.chain.iter().chain(&view.others);
        blocks.copied().find(is_it)
    }

    /// Positions of all blocks that a daemon has on its best chain at some time, in order of the
    /// scenario.
    #[must_use]
    pub fn offered(&self, daemon: usize) -> Vec<usize> {
        let spec = &self.scenario.daemons[daemon];
        // Nothing changes between these.
        let mut slots: BTreeSet<u32> = self
            .plan
            .blocks
            .iter()
            .map(|block| block.slot.saturating_add(spec.lag))
            .collect();
        slots.extend(spec.follows.iter().map(|follow| follow.from));
        for phase in &spec.phases {
            slots.extend([phase.from, phase.to.saturating_add(1)]);
        }
        let offered: BTreeSet<usize> = slots
            .into_iter()
            .flat_map(|slot| self.view(daemon, slot).chain)
            .collect();
        offered.into_iter().collect()
    }
}
