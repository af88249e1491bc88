//! Roots from streams of leaves.

use fork_types::Era;
use pasta_poseidon::Fp;

use super::{EmptyHashes, MerkleError, check_room, node_hash, parents};

/// Height of the subtrees that are hashed at once: 4,096 leaves, 128 kB, a few milliseconds of work
/// for all threads.
const SUBTREE_HEIGHT: u8 = 12;

/// Computes a root from leaves that come one after the other, in memory that does not grow with
/// their number: some 4,000 of them and one node per level.
///
/// Gives the root of [`super::MerkleTree`] over the same leaves.
#[derive(Clone, Debug)]
pub struct RootBuilder {
    era: Era,
    depth: u8,
    empty: EmptyHashes,
    leaves: u64,
    /// Leaves of the subtree that is being filled.
    pending: Vec<Fp>,
    /// Height of that subtree: [`SUBTREE_HEIGHT`], or the depth of a shallower tree.
    subtree_height: u8,
    /// By height above the subtrees': a left node whose right neighbour is not complete yet.
    left: Vec<Option<Fp>>,
}

impl RootBuilder {
    /// Starts an empty tree.
    #[must_use]
    pub fn new(era: Era, depth: u8) -> Self {
        let subtree_height = depth.min(SUBTREE_HEIGHT);
        Self {
            era,
            depth,
            empty: EmptyHashes::new(era, u16::from(depth)),
            leaves: 0,
            pending: Vec::with_capacity(1 << subtree_height),
            subtree_height,
            left: vec![None; usize::from(depth - subtree_height)],
        }
    }

    /// Number of leaves so far.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.leaves
    }

    /// Whether there was no leaf yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.leaves == 0
    }

    /// Adds the next leaf.
    ///
    /// # Errors
    ///
    /// Fails when the tree is full; it stays as it was.
    pub fn push(&mut self, leaf: Fp) -> Result<(), MerkleError> {
        self.extend_from_slice(&[leaf])
    }

    /// Adds the next leaves. Slices of thousands are hashed on all threads of the current rayon
    /// pool.
    ///
    /// # Errors
    ///
    /// Fails when there is no room for all of them; the tree stays as it was.
    pub fn extend_from_slice(&mut self, leaves: &[Fp]) -> Result<(), MerkleError> {
        let total = self.leaves.saturating_add(leaves.len() as u64);
        check_room(self.depth, total)?;
        self.leaves = total;
        let mut rest = leaves;
        while !rest.is_empty() {
            // A full subtree is closed only when a further leaf comes, so that the last one, full
            // or not, is always closed by `finish`.
            if self.pending.len() == 1 << self.subtree_height {
                self.close_subtree();
            }
            let room = (1 << self.subtree_height) - self.pending.len();
            let (taken, later) = rest.split_at(room.min(rest.len()));
            self.pending.extend_from_slice(taken);
            rest = later;
        }
        Ok(())
    }

    /// The root.
    #[must_use]
    pub fn finish(mut self) -> Fp {
        if self.leaves == 0 {
            return self.empty.root();
        }
        let mut node = self.pending_root();
        for (height, left) in (self.subtree_height..).zip(&self.left) {
            node = match left {
                Some(left) => self.node(height, *left, node),
                None => self.node(height, node, self.empty.at(usize::from(height))),
            };
        }
        node
    }

    /// Moves the pending subtree, which is full, into the tree above.
    fn close_subtree(&mut self) {
        let mut node = self.pending_root();
        for level in 0..self.left.len() {
            let Some(left) = self.left[level].take() else {
                self.left[level] = Some(node);
                return;
            };
            node = self.node(self.subtree_height + level as u8, left, node);
        }
    }

    /// The root of the pending subtree, which is left empty.
    fn pending_root(&mut self) -> Fp {
        let mut level = std::mem::take(&mut self.pending);
        for height in 0..self.subtree_height {
            level = parents(self.era, height, &level, &self.empty, None);
        }
        level[0]
    }

    fn node(&self, height: u8, left: Fp, right: Fp) -> Fp {
        node_hash(self.era, u16::from(height), left, right)
    }
}
