//! All roots that one edit of the list leads to, in O(depth) hashes each.
//!
//! Dropping account `i` moves every later account one place to the left, so the new tree is the old
//! one left of `i` and the tree of the shifted list right of it. Both are built once; only the path
//! from leaf `i` to the root mixes them. The same holds for every edit here: the nodes left of the
//! path come from one tree, those right of it from another. Paths are walked level by level, many
//! at a time, so that the batch kernel hashes them.

use std::ops::Range;

use fork_types::Era;
use pasta_poseidon::{Fp, Instance, State, hash_pairs, prefix_state};
use rayon::prelude::*;

use crate::merkle::{EmptyHashes, MerkleTree};

/// Paths walked together: 16,384 nodes of each level are 1.5 MB of pairs and hashes.
pub const PATHS_PER_BATCH: u64 = 1 << 14;

/// Pairs that one thread hashes at a time.
const PAIRS_PER_JOB: usize = 1024;

/// An edit of one place of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    /// The account is left out; all later ones move down.
    Dropped,
    /// The account comes twice in a row; all later ones move up.
    Repeated,
    /// The account and the one after it change places.
    Swapped,
    /// The list ends before the account.
    Truncated,
    /// An unused leaf is in the account's place.
    Blanked,
    /// The account comes once more, behind the last one.
    RepeatedAtEnd,
}

impl Edit {
    /// All of them, the likelier first.
    pub const ALL: [Self; 6] = [
        Self::Dropped,
        Self::Repeated,
        Self::Swapped,
        Self::Truncated,
        Self::Blanked,
        Self::RepeatedAtEnd,
    ];
}

/// What is right of the path.
enum RightSide {
    /// The same tree.
    Same,
    /// The tree of the shifted list.
    Shifted(MerkleTree),
    /// No account at all.
    Empty,
}

/// The roots of one kind of edit at every place of a list.
pub struct EditSearch<'t> {
    edit: Edit,
    tree: &'t MerkleTree,
    right: RightSide,
    empty: EmptyHashes,
    states: Vec<State>,
    places: u64,
}

/// One path on its way up. While two neighbouring nodes differ that are no siblings, `right` is the
/// second of them.
struct Path {
    index: u64,
    node: Fp,
    right: Option<Fp>,
}

impl<'t> EditSearch<'t> {
    /// Prepares the search: builds the second tree when the edit shifts the list.
    ///
    /// `None` when the edited list has no room in the tree.
    #[must_use]
    pub fn new(edit: Edit, tree: &'t MerkleTree) -> Option<Self> {
        let leaves = tree.level(0).unwrap_or_default();
        let (era, depth) = (tree.era(), tree.depth());
        let accounts = leaves.len() as u64;
        let right = match edit {
            Edit::Dropped => {
                let shifted = leaves.get(1..).unwrap_or_default().to_vec();
                RightSide::Shifted(MerkleTree::new(era, depth, shifted).ok()?)
            }
            Edit::Repeated => {
                // Index 0 is left of every path; what is there does not matter.
                let first = leaves.first().copied().into_iter();
                let shifted = first.chain(leaves.iter().copied()).collect();
                RightSide::Shifted(MerkleTree::new(era, depth, shifted).ok()?)
            }
            Edit::RepeatedAtEnd => {
                // Only to refuse a full tree.
                tree.node(0, accounts)?;
                RightSide::Same
            }
            Edit::Swapped | Edit::Blanked => RightSide::Same,
            Edit::Truncated => RightSide::Empty,
        };
        let places = match edit {
            Edit::Swapped => accounts.saturating_sub(1),
            Edit::Dropped
            | Edit::Repeated
            | Edit::Truncated
            | Edit::Blanked
            | Edit::RepeatedAtEnd => accounts,
        };
        Some(Self {
            edit,
            tree,
            right,
            empty: EmptyHashes::new(era, u16::from(depth)),
            states: (0..depth).map(|height| node_state(era, height)).collect(),
            places,
        })
    }

    /// Number of places, which are counted from 0 and are indices of the list.
    #[must_use]
    pub const fn places(&self) -> u64 {
        self.places
    }

    /// Permutations that a search of `accounts` accounts in a tree of `depth` takes at most.
    #[must_use]
    pub fn cost(edit: Edit, accounts: u64, depth: u8) -> u64 {
        let paths = accounts * u64::from(depth);
        match edit {
            // The shifted tree has about as many nodes as leaves.
            Edit::Dropped | Edit::Repeated => paths + accounts + u64::from(depth),
            // On average one more until the two paths meet.
            Edit::Swapped => paths + accounts,
            Edit::Truncated | Edit::Blanked | Edit::RepeatedAtEnd => paths,
        }
    }

    /// The root for each of `places`, in their order.
    #[must_use]
    pub fn roots(&self, places: Range<u64>) -> Vec<Fp> {
        let mut paths: Vec<Path> = places.map(|place| self.path(place)).collect();
        for height in 0..self.tree.depth() {
            self.ascend(height, &mut paths);
        }
        paths.into_iter().map(|path| path.node).collect()
    }

    /// The first place whose edit gives `root`. `advance` is told how many places were tried.
    #[must_use]
    pub fn find(&self, root: Fp, mut advance: impl FnMut(u64)) -> Option<u64> {
        let mut start = 0;
        while start < self.places {
            let end = self.places.min(start + PATHS_PER_BATCH);
            let roots = self.roots(start..end);
            advance(end - start);
            if let Some(offset) = roots.iter().position(|candidate| *candidate == root) {
                return Some(start + offset as u64);
            }
            start = end;
        }
        None
    }

    fn path(&self, place: u64) -> Path {
        let alone = |index, node| Path {
            index,
            node,
            right: None,
        };
        match self.edit {
            Edit::Dropped => alone(place, self.right_node(0, place)),
            Edit::Repeated => alone(place + 1, self.right_node(0, place + 1)),
            Edit::Swapped => Path {
                index: place,
                node: self.left_node(0, place + 1),
                right: Some(self.left_node(0, place)),
            },
            Edit::Truncated | Edit::Blanked => alone(place, self.empty_node(0)),
            Edit::RepeatedAtEnd => alone(self.tree.len() as u64, self.left_node(0, place)),
        }
    }

    fn ascend(&self, height: u8, paths: &mut [Path]) {
        let mut pairs = Vec::with_capacity(paths.len() + paths.len() / 2);
        for path in paths.iter() {
            let is_left = path.index.is_multiple_of(2);
            match (path.right, is_left) {
                (None, true) => pairs.push([path.node, self.right_node(height, path.index + 1)]),
                (None, false) => pairs.push([self.left_node(height, path.index - 1), path.node]),
                (Some(right), true) => pairs.push([path.node, right]),
                (Some(right), false) => pairs.extend([
                    [self.left_node(height, path.index - 1), path.node],
                    [right, self.right_node(height, path.index + 2)],
                ]),
            }
        }
        let mut parents = vec![Fp::ZERO; pairs.len()];
        if let Some(state) = self.states.get(usize::from(height)) {
            pairs
                .par_chunks(PAIRS_PER_JOB)
                .zip(parents.par_chunks_mut(PAIRS_PER_JOB))
                .for_each(|(pairs, parents)| hash_pairs(state, pairs, parents));
        }
        let mut parents = parents.into_iter();
        for path in paths {
            let apart = path.right.is_some() && !path.index.is_multiple_of(2);
            path.node = parents.next().unwrap_or(Fp::ZERO);
            path.right = if apart { parents.next() } else { None };
            path.index /= 2;
        }
    }

    fn left_node(&self, height: u8, index: u64) -> Fp {
        self.node_of(self.tree, height, index)
    }

    fn right_node(&self, height: u8, index: u64) -> Fp {
        match &self.right {
            RightSide::Same => self.node_of(self.tree, height, index),
            RightSide::Shifted(tree) => self.node_of(tree, height, index),
            RightSide::Empty => self.empty_node(height),
        }
    }

    fn node_of(&self, tree: &MerkleTree, height: u8, index: u64) -> Fp {
        usize::try_from(index)
            .ok()
            .and_then(|index| tree.level(height)?.get(index).copied())
            .unwrap_or_else(|| self.empty_node(height))
    }

    fn empty_node(&self, height: u8) -> Fp {
        self.empty.get(u16::from(height)).unwrap_or(Fp::ZERO)
    }
}

/// The sponge that nodes over children of `height` are hashed from.
fn node_state(era: Era, height: u8) -> State {
    let (instance, prefix) = match era {
        Era::V1 => (Instance::Legacy, "CodaMklTree"),
        Era::Berkeley | Era::Mesa => (Instance::Kimchi, "MinaMklTree"),
    };
    prefix_state(instance, &format!("{prefix}{height:03}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list that an edit makes, the slow way.
    fn edited(edit: Edit, leaves: &[Fp], place: usize, empty: Fp) -> Vec<Fp> {
        let mut leaves = leaves.to_vec();
        match edit {
            Edit::Dropped => {
                leaves.remove(place);
            }
            Edit::Repeated => leaves.insert(place, leaves[place]),
            Edit::Swapped => leaves.swap(place, place + 1),
            Edit::Truncated => leaves.truncate(place),
            Edit::Blanked => leaves[place] = empty,
            Edit::RepeatedAtEnd => leaves.push(leaves[place]),
        }
        leaves
    }

    #[test]
    fn every_root_is_that_of_the_edited_list() {
        for (era, depth) in [(Era::Mesa, 7), (Era::Berkeley, 9), (Era::V1, 8)] {
            let empty = crate::hash::empty_account_hash(era);
            for accounts in 1..=70_u64 {
                // Three eras at each size would only be slower.
                if era != Era::Mesa && !(accounts.is_power_of_two() || accounts % 13 == 1) {
                    continue;
                }
                let leaves: Vec<Fp> = (1..=accounts).map(Fp::from_u64).collect();
                let tree = MerkleTree::new(era, depth, leaves.clone()).unwrap();
                for edit in Edit::ALL {
                    let search = EditSearch::new(edit, &tree).unwrap();
                    assert_eq!(search.places(), accounts - u64::from(edit == Edit::Swapped));
                    let roots = search.roots(0..search.places());
                    for (place, root) in roots.into_iter().enumerate() {
                        let list = edited(edit, &leaves, place, empty);
                        let naive = MerkleTree::new_beside(&tree, list).unwrap().root();
                        assert_eq!(root, naive, "{era} {accounts} {edit:?} {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_full_tree_has_room_for_no_more() {
        let leaves: Vec<Fp> = (1..=8).map(Fp::from_u64).collect();
        let tree = MerkleTree::new(Era::Mesa, 3, leaves).unwrap();
        for edit in Edit::ALL {
            let grows = matches!(edit, Edit::Repeated | Edit::RepeatedAtEnd);
            assert_eq!(EditSearch::new(edit, &tree).is_none(), grows, "{edit:?}");
        }
    }

    #[test]
    fn the_first_place_is_found_across_batches() {
        let accounts = PATHS_PER_BATCH + 100;
        let leaves: Vec<Fp> = (1..=accounts).map(Fp::from_u64).collect();
        let tree = MerkleTree::new(Era::Mesa, 15, leaves.clone()).unwrap();
        let place = PATHS_PER_BATCH + 3;
        let list = edited(Edit::Dropped, &leaves, place as usize, Fp::ZERO);
        let root = MerkleTree::new(Era::Mesa, 15, list).unwrap().root();
        let search = EditSearch::new(Edit::Dropped, &tree).unwrap();
        let mut tried = 0;
        assert_eq!(search.find(root, |places| tried += places), Some(place));
        assert_eq!(tried, accounts);
        assert_eq!(search.find(Fp::ZERO, |_| ()), None);
    }
}
