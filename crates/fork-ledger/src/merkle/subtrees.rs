//! Trees in parts: roots of aligned runs of leaves, and the tree above them.
//!
//! A node says its height and nothing about its place, so the part of a tree over leaves that begin
//! at a multiple of 2^height can be computed by whoever has only these leaves.

use fork_types::Era;
use pasta_poseidon::Fp;

use super::{EmptyHashes, MerkleError, check_room, levels_above, parents};

/// The subtrees of one height over consecutive leaves of a ledger.
///
/// The first leaf must be the first of its subtree: its index a multiple of 2^height. The last subtree
/// need not be full only where the ledger ends.
#[derive(Clone, Debug)]
pub struct Subtrees {
    era: Era,
    height: u8,
    levels: Vec<Vec<Fp>>,
}

impl Subtrees {
    /// Computes the subtrees of `height` on all threads of the current rayon pool. No leaves give no
    /// subtrees.
    #[must_use]
    pub fn new(era: Era, height: u8, leaves: Vec<Fp>) -> Self {
        Self::build(era, height, leaves, None)
    }

    /// The same for leaves that are mostly those of `other`, at the same positions; see
    /// [`MerkleTree::new_beside`](super::MerkleTree::new_beside).
    #[must_use]
    pub fn new_beside(other: &Self, leaves: Vec<Fp>) -> Self {
        Self::build(other.era, other.height, leaves, Some(&other.levels))
    }

    fn build(era: Era, height: u8, leaves: Vec<Fp>, other: Option<&[Vec<Fp>]>) -> Self {
        let empty = EmptyHashes::new(era, u16::from(height));
        Self {
            era,
            height,
            levels: levels_above(era, height, leaves, &empty, other),
        }
    }

    /// Their roots, from the left.
    #[must_use]
    pub fn roots(&self) -> &[Fp] {
        self.levels.last().map_or(&[], Vec::as_slice)
    }
}

/// The root of the tree of `depth` over all its subtrees of `height` above an account, from the left.
///
/// # Errors
///
/// Fails when the tree has no room for so many subtrees.
pub fn root_of_subtrees(era: Era, depth: u8, height: u8, roots: &[Fp]) -> Result<Fp, MerkleError> {
    let above = depth
        .checked_sub(height)
        .ok_or(MerkleError::TooManyLeaves { depth, leaves: 1 })?;
    check_room(above, roots.len() as u64)?;
    let empty = EmptyHashes::new(era, u16::from(depth));
    let mut level = roots.to_vec();
    for height in height..depth {
        level = parents(era, height, &level, &empty, None);
    }
    Ok(level.first().copied().unwrap_or_else(|| empty.root()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::MerkleTree;

    fn leaves(count: u64) -> Vec<Fp> {
        (0..count)
            .map(|leaf| Fp::from_u64(leaf * leaf + 7))
            .collect()
    }

    /// Wherever a ledger is cut, its parts give its root.
    #[test]
    fn parts_give_the_root_of_the_whole() {
        for era in [Era::V1, Era::Mesa] {
            for count in [1, 2, 3, 8, 11, 16, 17] {
                let all = leaves(count);
                let whole = MerkleTree::new(era, 6, all.clone()).unwrap();
                for height in 0..=6_u8 {
                    let unit = 1_usize << height;
                    for cut in (0..all.len() + unit).step_by(unit) {
                        let (left, right) = all.split_at(cut.min(all.len()));
                        let mut roots = Subtrees::new(era, height, left.to_vec()).roots().to_vec();
                        let right = Subtrees::new(era, height, right.to_vec());
                        roots.extend_from_slice(right.roots());
                        assert_eq!(whole.level(height).unwrap(), roots);
                        assert_eq!(
                            root_of_subtrees(era, 6, height, &roots),
                            Ok(whole.root()),
                            "{era}, {count} leaves, cut at {cut}, height {height}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn leaves_beside_others_give_the_same_roots() {
        let first = Subtrees::new(Era::Mesa, 2, leaves(13));
        let mut changed = leaves(15);
        changed[5] = Fp::from_u64(1);
        let alone = Subtrees::new(Era::Mesa, 2, changed.clone());
        assert_eq!(Subtrees::new_beside(&first, changed).roots(), alone.roots());
        assert_ne!(first.roots(), alone.roots());
    }

    #[test]
    fn more_subtrees_than_there_is_room_for() {
        let roots = leaves(3);
        for (depth, height) in [(3, 2), (2, 3)] {
            let error = root_of_subtrees(Era::Mesa, depth, height, &roots).unwrap_err();
            assert!(
                matches!(error, MerkleError::TooManyLeaves { .. }),
                "{error}"
            );
        }
        let empty = EmptyHashes::new(Era::Mesa, 3).root();
        assert_eq!(root_of_subtrees(Era::Mesa, 3, 1, &[]), Ok(empty));
    }
}
