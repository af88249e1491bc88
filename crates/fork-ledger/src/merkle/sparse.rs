//! Trees of which only some leaves can change.

use std::collections::{BTreeSet, HashMap};

use fork_types::Era;
use pasta_poseidon::Fp;

use super::{EmptyHashes, MerkleError, check_room, levels_above, node_hash, parents};

/// Height of the subtrees that are hashed at once: 4,096 leaves.
const SUBTREE_HEIGHT: u8 = 12;

/// Builds a [`SparseTree`] from the leaves of a whole ledger, one after the other.
#[derive(Debug)]
pub struct SparseTreeBuilder {
    era: Era,
    depth: u8,
    kept: BTreeSet<u64>,
    empty: EmptyHashes,
    pending: Vec<Fp>,
    roots: Vec<Fp>,
    nodes: HashMap<(u8, u64), Fp>,
    leaves: u64,
}

/// A tree in which the leaves asked for can be set, existing ones and ones behind the last: of all
/// others only the nodes beside the ways to the root are kept.
///
/// Memory: two nodes per level for each kept leaf, and one node per 4,096 leaves of the ledger.
/// Setting a leaf costs one hash per level.
#[derive(Clone, Debug)]
pub struct SparseTree {
    era: Era,
    depth: u8,
    kept: BTreeSet<u64>,
    empty: EmptyHashes,
    nodes: HashMap<(u8, u64), Fp>,
}

impl SparseTreeBuilder {
    /// Starts a tree of `depth` in which the leaves `kept` can be set.
    #[must_use]
    pub fn new(era: Era, depth: u8, kept: BTreeSet<u64>) -> Self {
        Self {
            era,
            depth,
            kept,
            empty: EmptyHashes::new(era, u16::from(depth)),
            pending: Vec::new(),
            roots: Vec::new(),
            nodes: HashMap::new(),
            leaves: 0,
        }
    }

    /// Adds the next leaves.
    ///
    /// # Errors
    ///
    /// Fails when there is no room for them.
    pub fn extend_from_slice(&mut self, leaves: &[Fp]) -> Result<(), MerkleError> {
        let total = self.leaves.saturating_add(leaves.len() as u64);
        check_room(self.depth, total)?;
        self.leaves = total;
        let full = 1 << self.subtree_height();
        let mut rest = leaves;
        while !rest.is_empty() {
            let (taken, later) = rest.split_at(rest.len().min(full - self.pending.len()));
            self.pending.extend_from_slice(taken);
            rest = later;
            if self.pending.len() == full {
                self.close_subtree();
            }
        }
        Ok(())
    }

    /// The tree.
    #[must_use]
    pub fn finish(mut self) -> SparseTree {
        if !self.pending.is_empty() {
            self.close_subtree();
        }
        let mut level = std::mem::take(&mut self.roots);
        for height in self.subtree_height()..=self.depth {
            let numbered = (0_u64..).zip(&level);
            self.nodes
                .extend(numbered.map(|(index, node)| ((height, index), *node)));
            if height < self.depth {
                level = parents(self.era, height, &level, &self.empty, None);
            }
        }
        SparseTree {
            era: self.era,
            depth: self.depth,
            kept: self.kept,
            empty: self.empty,
            nodes: self.nodes,
        }
    }

    fn subtree_height(&self) -> u8 {
        self.depth.min(SUBTREE_HEIGHT)
    }

    /// Hashes the pending leaves, and keeps what is beside the ways of kept ones.
    fn close_subtree(&mut self) {
        let height = self.subtree_height();
        let number = self.roots.len() as u64;
        let first = number << height;
        let leaves = std::mem::take(&mut self.pending);
        let levels = levels_above(self.era, height, leaves, &self.empty, None);
        for leaf in self.kept.range(first..first + (1 << height)) {
            for (below, level) in (0..height).zip(&levels) {
                let index = leaf >> below;
                let start = first >> below;
                for index in [index, index ^ 1] {
                    let place = usize::try_from(index - start).unwrap_or(usize::MAX);
                    if let Some(node) = level.get(place) {
                        self.nodes.insert((below, index), *node);
                    }
                }
            }
        }
        let root = levels.last().and_then(|level| level.first());
        self.roots
            .push(root.copied().unwrap_or_else(|| self.empty.root()));
    }
}

impl SparseTree {
    /// The root.
    #[must_use]
    pub fn root(&self) -> Fp {
        self.node(self.depth, 0)
    }

    /// The hash of a leaf that nobody has.
    #[must_use]
    pub fn empty_leaf(&self) -> Fp {
        self.empty.at(0)
    }

    /// Sets a leaf; [`Self::empty_leaf`] removes it.
    ///
    /// # Errors
    ///
    /// Fails on a leaf that was not asked for.
    pub fn set(&mut self, index: u64, leaf: Fp) -> Result<(), MerkleError> {
        if !self.kept.contains(&index) {
            return Err(MerkleError::NotKept { index });
        }
        let mut node = leaf;
        for height in 0..self.depth {
            let place = index >> height;
            self.nodes.insert((height, place), node);
            let sibling = self.node(height, place ^ 1);
            let pair = match place & 1 {
                0 => (node, sibling),
                _ => (sibling, node),
            };
            node = node_hash(self.era, u16::from(height), pair.0, pair.1);
        }
        self.nodes.insert((self.depth, 0), node);
        Ok(())
    }

    fn node(&self, height: u8, index: u64) -> Fp {
        self.nodes
            .get(&(height, index))
            .copied()
            .unwrap_or_else(|| self.empty.at(usize::from(height)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MerkleTree;
    use super::*;

    fn leaves(count: u64) -> Vec<Fp> {
        (0..count).map(|leaf| Fp::from_u64(leaf + 7)).collect()
    }

    /// Sets, appends and removes leaves at the edges of the subtrees, against the full tree.
    #[test]
    fn every_change_gives_the_root_of_the_full_tree() {
        for (count, depth) in [(0, 3), (1, 3), (5, 3), (4096, 13), (4097, 35), (9000, 35)] {
            let mut full = leaves(count);
            let set = [0, 1, count / 2, count.saturating_sub(1), count, count + 1];
            let set: BTreeSet<u64> = set
                .into_iter()
                .filter(|index| index >> depth == 0)
                .collect();
            let mut builder = SparseTreeBuilder::new(Era::Berkeley, depth, set.clone());
            for part in full.chunks(1000) {
                builder.extend_from_slice(part).unwrap();
            }
            let mut tree = builder.finish();
            let expect = |leaves: &[Fp]| {
                let tree = MerkleTree::new(Era::Berkeley, depth, leaves.to_vec());
                tree.unwrap().root()
            };
            assert_eq!(tree.root(), expect(&full), "{count}");
            let before = tree.root();
            for index in &set {
                let leaf = Fp::from_u64(1_000_000 + index);
                tree.set(*index, leaf).unwrap();
                let place = usize::try_from(*index).unwrap();
                if place < full.len() {
                    full[place] = leaf;
                } else {
                    full.push(leaf);
                }
                assert_eq!(tree.root(), expect(&full), "{count} at {index}");
            }
            for index in set.iter().rev() {
                let before = leaves(count).get(usize::try_from(*index).unwrap()).copied();
                let leaf = before.unwrap_or(tree.empty_leaf());
                tree.set(*index, leaf).unwrap();
            }
            assert_eq!(tree.root(), before, "{count}");
        }
    }

    #[test]
    fn other_leaves_cannot_be_set() {
        let mut builder = SparseTreeBuilder::new(Era::Mesa, 4, BTreeSet::from([3]));
        builder.extend_from_slice(&leaves(6)).unwrap();
        let mut tree = builder.finish();
        let error = tree.set(2, Fp::ZERO).unwrap_err();
        assert_eq!(error, MerkleError::NotKept { index: 2 });
        let mut small = SparseTreeBuilder::new(Era::Mesa, 2, BTreeSet::new());
        assert!(small.extend_from_slice(&leaves(5)).is_err());
    }
}
