//! The blocks that daemons showed, as one tree.

use std::collections::{BTreeMap, BTreeSet};

use fork_types::document::{DaemonView, SeenBlock};
use fork_types::{SlotSinceHardFork, StateHash};

/// Every block that any of several daemons showed, with parents and children.
///
/// Where two daemons describe one block differently, the description of the one that comes first
/// counts; [`select`](super::select) reports such a contradiction.
#[derive(Clone, Debug)]
pub struct BlockTree<'a> {
    blocks: BTreeMap<StateHash, &'a SeenBlock>,
    children: BTreeMap<StateHash, BTreeSet<StateHash>>,
    reach: BTreeMap<StateHash, u32>,
}

/// Blocks that follow each other, from the newest down to where they leave an older branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Whether its tip is the one that was named the main one.
    pub is_main: bool,
    /// State hashes, newest first; never empty.
    pub blocks: Vec<StateHash>,
}

impl<'a> BlockTree<'a> {
    /// The tree of all views. Their order plays no part: names decide which comes first.
    #[must_use]
    pub fn new(views: &'a [DaemonView]) -> Self {
        let mut sorted: Vec<&DaemonView> = views.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name).then(a.tip.cmp(&b.tip)));
        Self::of(sorted.into_iter().flat_map(|view| &view.blocks))
    }

    /// The tree of some blocks; of two with the same hash the first counts.
    pub(super) fn of(all: impl Iterator<Item = &'a SeenBlock>) -> Self {
        let mut blocks: BTreeMap<StateHash, &SeenBlock> = BTreeMap::new();
        for block in all {
            blocks.entry(block.state_hash).or_insert(block);
        }
        let mut children: BTreeMap<StateHash, BTreeSet<StateHash>> = BTreeMap::new();
        let mut reach: BTreeMap<StateHash, u32> = BTreeMap::new();
        let mut by_height: Vec<&SeenBlock> = blocks.values().copied().collect();
        by_height.sort_by_key(|block| std::cmp::Reverse(block.blockchain_length));
        for block in by_height {
            let own = reach.get(&block.state_hash).copied().unwrap_or_default();
            let own = own.max(block.blockchain_length);
            reach.insert(block.state_hash, own);
            if parent_of(&blocks, block).is_some() {
                let parent = block.previous_state_hash;
                children.entry(parent).or_default().insert(block.state_hash);
                let above = reach.entry(parent).or_default();
                *above = own.max(*above);
            }
        }
        Self {
            blocks,
            children,
            reach,
        }
    }

    /// A block.
    #[must_use]
    pub fn get(&self, hash: StateHash) -> Option<&'a SeenBlock> {
        self.blocks.get(&hash).copied()
    }

    /// Every block, by height and state hash.
    #[must_use]
    pub fn blocks(&self) -> Vec<&'a SeenBlock> {
        let mut all: Vec<&SeenBlock> = self.blocks.values().copied().collect();
        all.sort_by_cached_key(|block| (block.blockchain_length, block.state_hash.to_string()));
        all
    }

    /// A block and those before it, newest first, as far as they were seen.
    pub fn ancestors(&self, hash: StateHash) -> impl Iterator<Item = &'a SeenBlock> + '_ {
        std::iter::successors(self.get(hash), |block| parent_of(&self.blocks, block))
    }

    /// Greatest height among a block and its descendants; `None` for a block nobody showed.
    #[must_use]
    pub fn reach(&self, hash: StateHash) -> Option<u32> {
        self.reach.get(&hash).copied()
    }

    /// The child of a block with the smallest slot below `end`; of several in one slot the one with
    /// the smallest hash.
    #[must_use]
    pub fn child_below(&self, hash: StateHash, end: SlotSinceHardFork) -> Option<&'a SeenBlock> {
        self.children
            .get(&hash)?
            .iter()
            .filter_map(|child| self.get(*child))
            .filter(|child| child.slot_since_hard_fork < end)
            .min_by_key(|child| (child.slot_since_hard_fork, child.state_hash))
    }

    /// The tree cut into branches: the chain below `main_tip` first, then what is left below the
    /// highest remaining block, and so on. Every block is in exactly one.
    #[must_use]
    pub fn branches(&self, main_tip: Option<StateHash>) -> Vec<Branch> {
        let mut tips: Vec<&SeenBlock> = self
            .blocks
            .values()
            .copied()
            .filter(|block| !self.children.contains_key(&block.state_hash))
            .collect();
        tips.sort_by_cached_key(|block| {
            let height = std::cmp::Reverse(block.blockchain_length);
            (height, block.state_hash.to_string())
        });
        let main = main_tip.filter(|tip| self.blocks.contains_key(tip));
        let mut taken = BTreeSet::new();
        main.into_iter()
            .chain(tips.into_iter().map(|tip| tip.state_hash))
            .filter_map(|tip| {
                let blocks: Vec<StateHash> = self
                    .ancestors(tip)
                    .map(|block| block.state_hash)
                    .take_while(|hash| taken.insert(*hash))
                    .collect();
                (!blocks.is_empty()).then_some(Branch {
                    is_main: Some(tip) == main,
                    blocks,
                })
            })
            .collect()
    }
}

/// The parent, when it was seen and is lower: whoever claims a cycle is not followed.
fn parent_of<'a>(
    blocks: &BTreeMap<StateHash, &'a SeenBlock>,
    block: &SeenBlock,
) -> Option<&'a SeenBlock> {
    let parent = blocks.get(&block.previous_state_hash)?;
    (parent.blockchain_length < block.blockchain_length).then_some(*parent)
}
