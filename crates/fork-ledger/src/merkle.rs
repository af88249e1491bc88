//! Merkle trees of ledgers.
//!
//! A leaf is the hash of an account, index 0 leftmost. A node is the hash of its two children with a
//! prefix that names *their* height, so the tree's depth matters: a wrong one gives a valid-looking
//! root. Leaves that nobody has are the hash of the era's empty account.
//!
//! [`MerkleTree`] keeps every node of a ledger that is in memory anyway; [`RootBuilder`] gives the
//! same root from a stream of leaves in constant memory.
//!
//! Source: MinaProtocol/mina `src/lib/merkle_ledger`, `src/lib/hash_prefixes/hash_prefixes.ml`;
//! o1-labs/mina-rust `ledger/src/tree_version.rs`.

mod root_builder;
mod sparse;
mod subtrees;

use std::sync::OnceLock;

use fork_types::{Class, Era, Fault, LedgerHash};
use pasta_poseidon::{Fp, Instance, State, hash, hash_pairs, prefix_state};
use rayon::prelude::*;

use crate::hash::empty_account_hash;
use crate::packing::field_bytes;

pub use root_builder::RootBuilder;
pub use sparse::{SparseTree, SparseTreeBuilder};
pub use subtrees::{Subtrees, root_of_subtrees};

/// Nodes that one thread hashes at a time: enough for the lanes of any kernel, small enough to
/// balance the threads.
const NODES_PER_JOB: usize = 1024;

/// Prefix states kept: trees of ledgers have 35 levels at most.
const STATES_KEPT: usize = 64;

/// Why there is no such tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// More leaves than the depth has room for.
    #[error("a tree of depth {depth} has no room for {leaves} accounts")]
    TooManyLeaves {
        /// Depth of the tree.
        depth: u8,
        /// Leaves it should hold (of a stream: at least).
        leaves: u64,
    },
    /// A leaf of a [`SparseTree`] that was not asked for when it was built.
    #[error("leaf {index} is not kept")]
    NotKept {
        /// The leaf.
        index: u64,
    },
}

impl Fault for MerkleError {
    fn class(&self) -> Class {
        match self {
            Self::TooManyLeaves { .. } => Class::BadInput,
            Self::NotKept { .. } => Class::Internal,
        }
    }
}

/// A root as the identifier that files and messages carry.
#[must_use]
pub fn ledger_hash(root: Fp) -> LedgerHash {
    LedgerHash::new(field_bytes(root))
}

/// Hash of the node whose children have height `height` (0 for leaves).
#[must_use]
pub fn node_hash(era: Era, height: u16, left: Fp, right: Fp) -> Fp {
    hash(&node_state(era, height), &[left, right])
}

/// The sponge that nodes over children of `height` are hashed from.
///
/// The prefix holds the height in decimal, three digits wide; heights above 999 (which only tests
/// reach) simply take four.
fn node_state(era: Era, height: u16) -> State {
    type States = [OnceLock<State>; STATES_KEPT];
    static KIMCHI: States = [const { OnceLock::new() }; STATES_KEPT];
    static LEGACY: States = [const { OnceLock::new() }; STATES_KEPT];
    let (known, instance, prefix) = match era {
        Era::V1 => (&LEGACY, Instance::Legacy, "CodaMklTree"),
        Era::Berkeley | Era::Mesa => (&KIMCHI, Instance::Kimchi, "MinaMklTree"),
    };
    let compute = || prefix_state(instance, &format!("{prefix}{height:03}"));
    match known.get(usize::from(height)) {
        Some(state) => *state.get_or_init(compute),
        None => compute(),
    }
}

/// Hashes of subtrees without any account, by height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyHashes(Vec<Fp>);

impl EmptyHashes {
    /// The hashes of heights 0 to `depth`.
    #[must_use]
    pub fn new(era: Era, depth: u16) -> Self {
        let mut hashes = Vec::with_capacity(usize::from(depth) + 1);
        let mut subtree = empty_account_hash(era);
        hashes.push(subtree);
        for height in 0..depth {
            subtree = node_hash(era, height, subtree, subtree);
            hashes.push(subtree);
        }
        Self(hashes)
    }

    /// The hash of a whole tree without accounts.
    #[must_use]
    pub fn root(&self) -> Fp {
        self.at(self.0.len().saturating_sub(1))
    }

    /// The hash at `height`, or `None` above the depth.
    #[must_use]
    pub fn get(&self, height: u16) -> Option<Fp> {
        self.0.get(usize::from(height)).copied()
    }

    /// The hash at a height that the caller knows to be at most the depth.
    fn at(&self, height: usize) -> Fp {
        self.0[height]
    }
}

/// All nodes of a ledger's tree.
///
/// Only nodes above an account are kept, which are the leftmost of their level: 64 bytes per
/// account in all. Every other node is the empty one of its height.
#[derive(Clone, Debug)]
pub struct MerkleTree {
    era: Era,
    depth: u8,
    /// Nodes by height, from the leaves to the root; each level holds the nodes above an account.
    levels: Vec<Vec<Fp>>,
    empty: EmptyHashes,
}

impl MerkleTree {
    /// Builds the tree over the hashes of the accounts, in order, on all threads of the current
    /// rayon pool.
    ///
    /// # Errors
    ///
    /// Fails when `leaves` are more than 2^`depth`.
    pub fn new(era: Era, depth: u8, leaves: Vec<Fp>) -> Result<Self, MerkleError> {
        Self::build(era, depth, leaves, None)
    }

    /// [`MerkleTree::new`] for leaves that are mostly those of `other`, at the same positions, as in
    /// the ledgers of one fork: nodes whose children are the same in both are copied, which for
    /// nine equal leaves of ten are two of three.
    ///
    /// # Errors
    ///
    /// As [`MerkleTree::new`].
    pub fn new_beside(other: &Self, leaves: Vec<Fp>) -> Result<Self, MerkleError> {
        Self::build(other.era, other.depth, leaves, Some(other))
    }

    fn build(
        era: Era,
        depth: u8,
        leaves: Vec<Fp>,
        other: Option<&Self>,
    ) -> Result<Self, MerkleError> {
        check_room(depth, leaves.len() as u64)?;
        let empty = EmptyHashes::new(era, u16::from(depth));
        let known = other.map(|other| other.levels.as_slice());
        Ok(Self {
            era,
            depth,
            levels: levels_above(era, depth, leaves, &empty, known),
            empty,
        })
    }

    /// The era whose rules the tree follows.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// The depth.
    #[must_use]
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// The number of accounts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels[0].len()
    }

    /// Whether there is no account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels[0].is_empty()
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Fp {
        self.node_or_empty(usize::from(self.depth), 0)
    }

    /// The nodes at `height` that are above an account, from the left; `None` above the root.
    ///
    /// These are the nodes that a daemon's database stores.
    #[must_use]
    pub fn level(&self, height: u8) -> Option<&[Fp]> {
        self.levels.get(usize::from(height)).map(Vec::as_slice)
    }

    /// The node at `height` and `index` from the left, an empty one included; `None` outside the
    /// tree.
    #[must_use]
    pub fn node(&self, height: u8, index: u64) -> Option<Fp> {
        let levels_above = self.depth.checked_sub(height)?;
        (index <= last_index(levels_above)).then(|| self.node_or_empty(usize::from(height), index))
    }

    /// The siblings on the way from the leaf at `index` to the root, the lowest first; `None` when
    /// there is no such leaf. An unused leaf has a path too.
    #[must_use]
    pub fn path(&self, index: u64) -> Option<Vec<Fp>> {
        (index <= last_index(self.depth)).then(|| {
            (0..usize::from(self.depth))
                .map(|height| self.node_or_empty(height, ancestor(index, height) ^ 1))
                .collect()
        })
    }

    /// The node at a height that is not above the root.
    fn node_or_empty(&self, height: usize, index: u64) -> Fp {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.levels[height].get(index).copied())
            .unwrap_or_else(|| self.empty.at(height))
    }
}

/// The root that the leaf at `index` and its siblings, lowest first, lead to.
#[must_use]
pub fn root_of_path(era: Era, leaf: Fp, index: u64, siblings: &[Fp]) -> Fp {
    let mut node = leaf;
    for (height, sibling) in (0_u16..).zip(siblings) {
        node = if ancestor(index, usize::from(height)) & 1 == 0 {
            node_hash(era, height, node, *sibling)
        } else {
            node_hash(era, height, *sibling, node)
        };
    }
    node
}

/// Whether the leaf at `index` of the tree with root `root` is `leaf`, given its siblings, lowest
/// first. The number of siblings is the depth; an index beyond it is never proved.
#[must_use]
pub fn verify_path(era: Era, leaf: Fp, index: u64, siblings: &[Fp], root: Fp) -> bool {
    ancestor(index, siblings.len()) == 0 && root_of_path(era, leaf, index, siblings) == root
}

/// Index of the node at `height` above the leaf at `index`.
fn ancestor(index: u64, height: usize) -> u64 {
    u32::try_from(height)
        .ok()
        .and_then(|height| index.checked_shr(height))
        .unwrap_or(0)
}

/// Largest index `levels` below the root.
const fn last_index(levels: u8) -> u64 {
    match 1_u64.checked_shl(levels as u32) {
        Some(count) => count - 1,
        None => u64::MAX,
    }
}

fn check_room(depth: u8, leaves: u64) -> Result<(), MerkleError> {
    match leaves.checked_sub(1) {
        Some(last) if last > last_index(depth) => Err(MerkleError::TooManyLeaves { depth, leaves }),
        _ => Ok(()),
    }
}

/// The leaves and the nodes above them up to `height`, by height. `other` are the levels of other
/// leaves, from which equal nodes are taken.
fn levels_above(
    era: Era,
    height: u8,
    leaves: Vec<Fp>,
    empty: &EmptyHashes,
    other: Option<&[Vec<Fp>]>,
) -> Vec<Vec<Fp>> {
    let mut levels = Vec::with_capacity(usize::from(height) + 1);
    levels.push(leaves);
    for below in 0..height {
        let place = usize::from(below);
        let known = other.and_then(|other| {
            let children = other.get(place)?.as_slice();
            Some((children, other.get(place + 1)?.as_slice()))
        });
        let parents = parents(era, below, &levels[place], empty, known);
        levels.push(parents);
    }
    levels
}

/// The nodes above `children`, which are at `height`. `known` are children and parents of another
/// tree at the same height, from which equal nodes are taken.
fn parents(
    era: Era,
    height: u8,
    children: &[Fp],
    empty: &EmptyHashes,
    known: Option<(&[Fp], &[Fp])>,
) -> Vec<Fp> {
    let state = node_state(era, u16::from(height));
    let mut parents = vec![Fp::ZERO; children.len().div_ceil(2)];
    let (pairs, last) = children.as_chunks::<2>();
    let hash_job = |number: usize, pairs: &[[Fp; 2]], parents: &mut [Fp]| match known {
        Some((known_children, known_parents)) => {
            let start = number * NODES_PER_JOB;
            let known_pairs = known_children.as_chunks::<2>().0;
            let known_pairs = known_pairs.get(start..).unwrap_or_default();
            let known_parents = known_parents.get(start..).unwrap_or_default();
            hash_changed_pairs(&state, pairs, parents, known_pairs, known_parents);
        }
        None => hash_pairs(&state, pairs, parents),
    };
    let whole = &mut parents[..pairs.len()];
    if pairs.len() <= NODES_PER_JOB {
        hash_job(0, pairs, whole);
    } else {
        pairs
            .par_chunks(NODES_PER_JOB)
            .zip(whole.par_chunks_mut(NODES_PER_JOB))
            .enumerate()
            .for_each(|(number, (pairs, parents))| hash_job(number, pairs, parents));
    }
    if let ([left], Some(parent)) = (last, parents.last_mut()) {
        *parent = hash(&state, &[*left, empty.at(usize::from(height))]);
    }
    parents
}

/// Hashes pairs that differ from those of another tree and copies the parents of the others.
fn hash_changed_pairs(
    state: &State,
    pairs: &[[Fp; 2]],
    parents: &mut [Fp],
    known_pairs: &[[Fp; 2]],
    known_parents: &[Fp],
) {
    let mut changed = Vec::new();
    let mut places = Vec::new();
    for (index, (pair, parent)) in pairs.iter().zip(parents.iter_mut()).enumerate() {
        match (known_pairs.get(index), known_parents.get(index)) {
            (Some(known), Some(known_parent)) if known == pair => *parent = *known_parent,
            _ => {
                changed.push(*pair);
                places.push(index);
            }
        }
    }
    let mut hashes = vec![Fp::ZERO; changed.len()];
    hash_pairs(state, &changed, &mut hashes);
    for (place, hash) in places.into_iter().zip(hashes) {
        parents[place] = hash;
    }
}
