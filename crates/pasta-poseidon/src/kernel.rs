//! Hashing many equally long inputs from one state.
//!
//! A ledger is hashed almost entirely by two calls: accounts of one kind (many inputs of six or
//! eight elements) and the nodes of one tree level (many pairs). Both go through this module, which
//! is where kernels that permute several states at once plug in.

use crate::fp::Fp;
use crate::sponge::{self, State};

/// An implementation of the batch functions.
///
/// Kernels that permute several states at once (SIMD) become further cases; [`Kernel::active`] then
/// chooses by what the processor can do. Every kernel gives the same results bit for bit, and a
/// batch need not be a multiple of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// One permutation at a time in 64-bit arithmetic; works everywhere.
    Portable,
}

impl Kernel {
    /// The kernel that this process uses.
    #[must_use]
    pub fn active() -> Self {
        Self::Portable
    }

    /// Its name, for reports and benchmarks.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
        }
    }

    /// [`hash_batch`] with this kernel.
    ///
    /// # Panics
    ///
    /// As [`hash_batch`].
    pub fn hash_batch(self, state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
        assert_eq!(
            width.checked_mul(out.len()),
            Some(inputs.len()),
            "a batch must hold `width` elements per result"
        );
        match self {
            Self::Portable => portable(state, width, inputs, out),
        }
    }
}

/// Hashes `out.len()` inputs of `width` elements each, laid end to end in `inputs`, all from
/// `state`. `out[i]` is what [`crate::hash`] gives for the i-th input.
///
/// # Panics
///
/// When `inputs` does not hold exactly `width` elements per result: a mistake of the caller.
pub fn hash_batch(state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
    Kernel::active().hash_batch(state, width, inputs, out);
}

/// Hashes pairs, such as the nodes of one level of a Merkle tree, all from `state`.
///
/// # Panics
///
/// When there are not as many results as pairs: a mistake of the caller.
pub fn hash_pairs(state: &State, pairs: &[[Fp; 2]], out: &mut [Fp]) {
    hash_batch(state, 2, pairs.as_flattened(), out);
}

fn portable(state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
    if width == 0 {
        out.fill(sponge::hash(state, &[]));
        return;
    }
    for (input, result) in inputs.chunks_exact(width).zip(out) {
        *result = sponge::hash(state, input);
    }
}
