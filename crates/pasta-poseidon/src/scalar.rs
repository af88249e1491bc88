//! One permutation at a time, in 64-bit arithmetic.
//!
//! The rounds are written once, over an [`Arithmetic`]: [`Portable`], or [`Adx`] where the processor
//! has it.
//!
//! # Arithmetic
//!
//! A residue is any 256-bit number of its class modulo p, and no function gives or takes less than
//! that range: rounds contain no conditional subtraction.
//!
//! Products are not in Montgomery form. p = 2^254 + t with t < 2^126, so 2^256 = 4p - [`EXCESS`]
//! where `EXCESS` = 4t has two limbs: a limb above the lowest four is *folded* by subtracting its
//! product with `EXCESS` four limbs lower. That takes two limb products, where a Montgomery step
//! modulo p takes three and the division of 2^254 * m over two limbs. Folding goes from the highest
//! limb down, so each limb is folded once. The difference is negative only when the limb below is
//! zero, once in 2^64 for numbers without a pattern; then p is added.
//!
//! [`Fp`] keeps elements times 2^256. The kernel computes on those numbers as they are: the factor is
//! one more diagonal matrix, which [`crate::rescaled`] moves into the constants.

mod adx;
mod portable;

use std::sync::LazyLock;

pub(crate) use adx::Adx;
pub(crate) use portable::Portable;

use crate::fp::Fp;
use crate::limbs::{self, Limbs};
use crate::permutation::Instance;
use crate::rescaled::Rescaled;
use crate::sponge::State;

/// 4p - 2^256, the two lowest limbs; the others are zero.
const EXCESS: [u64; 2] = [0x64b4_c3b4_0000_0004, 0x891a_63f0_2533_e46e];

/// Products of residues.
///
/// A value is the right to use it: [`Adx`] exists only on processors that can do it.
pub(crate) trait Arithmetic: Copy {
    /// `a * a`.
    fn square(self, a: &Limbs) -> Limbs;

    /// `a * b`.
    fn multiply(self, a: &Limbs, b: &Limbs) -> Limbs;

    /// `a * b + c`.
    fn multiply_add(self, a: &Limbs, b: &Limbs, c: &Limbs) -> Limbs;

    /// `a[0] * b[0] + a[1] * b[1] + c`, for one reduction. Each `b` must be below p, so that the sum
    /// is below 2^512.
    fn dot_add(self, a: &[Limbs; 2], b: &[Limbs; 2], c: &Limbs) -> Limbs;
}

/// A rescaled permutation, as integers below p.
struct Tables {
    before: Option<[Limbs; 3]>,
    rounds: Vec<RoundTable>,
    last_constants: [Limbs; 3],
    last_matrix: [[Limbs; 3]; 3],
}

struct RoundTable {
    constants: [Limbs; 3],
    columns: [[Limbs; 2]; 3],
}

static KIMCHI: LazyLock<Tables> = LazyLock::new(|| Tables::new(Instance::Kimchi));
static LEGACY: LazyLock<Tables> = LazyLock::new(|| Tables::new(Instance::Legacy));

impl Tables {
    fn new(instance: Instance) -> Self {
        // 2^256: words are numbers in the form that `Fp` keeps them in.
        let Rescaled {
            before,
            rounds,
            last_constants,
            last_matrix,
        } = Rescaled::new(instance, Fp::from_montgomery(limbs::R2));
        let limbs = |element: Fp| element.to_canonical_limbs();
        Self {
            before: before.map(|row| row.map(limbs)),
            rounds: rounds
                .iter()
                .map(|round| RoundTable {
                    constants: round.constants.map(limbs),
                    columns: round.columns.map(|row| row.map(limbs)),
                })
                .collect(),
            last_constants: last_constants.map(limbs),
            last_matrix: last_matrix.map(|row| row.map(limbs)),
        }
    }
}

/// As [`crate::hash_batch`], for `width` above 0.
pub(crate) fn hash_batch<A: Arithmetic>(
    arithmetic: A,
    state: &State,
    width: usize,
    inputs: &[Fp],
    out: &mut [Fp],
) {
    for (input, out) in inputs.chunks_exact(width).zip(out) {
        let mut words = *state.words();
        for block in input.chunks(2) {
            for (word, element) in words.iter_mut().zip(block) {
                *word += *element;
            }
            words = permute(arithmetic, state.instance(), &words);
        }
        *out = words[0];
    }
}

/// Permutes three words.
pub(crate) fn permute<A: Arithmetic>(
    arithmetic: A,
    instance: Instance,
    words: &[Fp; 3],
) -> [Fp; 3] {
    let words = words.map(|word| *word.montgomery());
    let words = match instance {
        Instance::Kimchi => rounds::<7, A>(arithmetic, &KIMCHI, words),
        Instance::Legacy => rounds::<5, A>(arithmetic, &LEGACY, words),
    };
    // Any 256-bit number is below 4p.
    words.map(|word| Fp::from_montgomery(limbs::reduce_to_two_p(word)))
}

/// All rounds of a permutation, from words below p to residues.
fn rounds<const ALPHA: u32, A: Arithmetic>(
    arithmetic: A,
    tables: &Tables,
    mut words: [Limbs; 3],
) -> [Limbs; 3] {
    if let Some(row) = &tables.before {
        // Sums below 2p.
        words = [
            limbs::add(words[0], &row[0]),
            limbs::add(words[1], &row[1]),
            limbs::add(words[2], &row[2]),
        ];
    }
    for round in &tables.rounds {
        let [first, second, third] = powers::<ALPHA, A>(arithmetic, &words, &round.constants);
        let others = [second, third];
        words = [
            arithmetic.dot_add(&others, &round.columns[0], &first),
            arithmetic.dot_add(&others, &round.columns[1], &first),
            arithmetic.dot_add(&others, &round.columns[2], &first),
        ];
    }
    let [first, second, third] = powers::<ALPHA, A>(arithmetic, &words, &tables.last_constants);
    let others = [second, third];
    tables.last_matrix.map(|[entry, row @ ..]| {
        let product = arithmetic.multiply(&first, &entry);
        arithmetic.dot_add(&others, &row, &product)
    })
}

/// The powers of three residues, plus a constant each.
///
/// The same product for all three words comes before the next product: three independent ones keep
/// the multiplier busy, whereas the chain of one word's products would leave it waiting.
#[inline(always)]
fn powers<const ALPHA: u32, A: Arithmetic>(
    arithmetic: A,
    words: &[Limbs; 3],
    constants: &[Limbs; 3],
) -> [Limbs; 3] {
    let squares = |x: &[Limbs; 3]| {
        [
            arithmetic.square(&x[0]),
            arithmetic.square(&x[1]),
            arithmetic.square(&x[2]),
        ]
    };
    let second = squares(words);
    let fourth = squares(&second);
    let odd = if ALPHA == 7 {
        [
            arithmetic.multiply(&second[0], &words[0]),
            arithmetic.multiply(&second[1], &words[1]),
            arithmetic.multiply(&second[2], &words[2]),
        ]
    } else {
        *words
    };
    [
        arithmetic.multiply_add(&fourth[0], &odd[0], &constants[0]),
        arithmetic.multiply_add(&fourth[1], &odd[1], &constants[1]),
        arithmetic.multiply_add(&fourth[2], &odd[2], &constants[2]),
    ]
}

#[cfg(test)]
mod tests;
