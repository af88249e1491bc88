//! The parameters of a permutation, rescaled so that six products do the work of the matrix's nine.
//!
//! Raising to a power commutes with a diagonal matrix, so a permutation may run on words divided by
//! constants of its own choice, other ones in every round. With `t[i] = s[i] / d[i]` for the true
//! words `s`, a round of `s'[i] = sum_j M[i][j] * s[j]^alpha + c[i]` becomes
//!
//! ```text
//! t'[i] = sum_j (M[i][j] * d[j]^alpha / d'[i]) * t[j]^alpha + c[i] / d'[i]
//! ```
//!
//! and choosing `d'[i] = M[i][0] * d[0]^alpha` makes the whole first column 1. The last round takes
//! `d' = 1` and the full matrix, which gives the true words back. The constants go in front of the
//! matrix (`k` with `M' k = c'`), where a kernel can start an accumulator with them.
//!
//! The result is the same permutation exactly: these are identities of the field, and division is
//! possible because no entry of the matrices' first columns is zero.

use crate::fp::Fp;
use crate::permutation::{Instance, textbook_parameters};

/// A round but the last.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Added to the powers, before the matrix.
    pub(crate) constants: [Fp; 3],
    /// Second and third column of the matrix; the first is all ones.
    pub(crate) columns: [[Fp; 2]; 3],
}

/// A whole permutation.
#[derive(Clone, Debug)]
pub(crate) struct Rescaled {
    /// Added to the words before the first round; only the legacy instance has it.
    pub(crate) before: Option<[Fp; 3]>,
    /// All rounds but the last.
    pub(crate) rounds: Vec<Round>,
    /// Constants of the last round, added to the powers.
    pub(crate) last_constants: [Fp; 3],
    /// Matrix of the last round.
    pub(crate) last_matrix: [[Fp; 3]; 3],
}

impl Rescaled {
    /// Rescales the parameters of `instance`.
    pub(crate) fn new(instance: Instance) -> Self {
        let textbook = textbook_parameters(instance);
        let mut rounds = Vec::with_capacity(textbook.rounds.len());
        let mut scales = [Fp::ONE; 3];
        let mut last = (textbook.mds, [Fp::ZERO; 3]);
        let count = textbook.rounds.len();
        for (number, constants) in (1..).zip(textbook.rounds) {
            let powers = scales.map(|scale| power(instance, scale));
            let is_last = number == count;
            let next = std::array::from_fn(|row| {
                if is_last {
                    Fp::ONE
                } else {
                    textbook.mds[row][0] * powers[0]
                }
            });
            let inverses = next.map(invert);
            let matrix: [[Fp; 3]; 3] = std::array::from_fn(|row| {
                std::array::from_fn(|column| {
                    textbook.mds[row][column] * powers[column] * inverses[row]
                })
            });
            let after = std::array::from_fn(|row| constants[row] * inverses[row]);
            let constants = solve(&matrix, after);
            if is_last {
                last = (matrix, constants);
            } else {
                rounds.push(Round {
                    constants,
                    columns: matrix.map(|[_, second, third]| [second, third]),
                });
            }
            scales = next;
        }
        Self {
            before: textbook.before,
            rounds,
            last_constants: last.1,
            last_matrix: last.0,
        }
    }
}

fn power(instance: Instance, base: Fp) -> Fp {
    match instance {
        Instance::Kimchi => base.pow7(),
        Instance::Legacy => base.pow5(),
    }
}

/// 1 / `value`, as its power p - 2; 0 for 0.
fn invert(value: Fp) -> Fp {
    const EXPONENT: [u64; 4] = [0x992d_30ec_ffff_ffff, 0x2246_98fc_094c_f91b, 0, 1 << 62];
    let mut result = Fp::ONE;
    for limb in EXPONENT.iter().rev() {
        for bit in (0..64).rev() {
            result = result.square();
            if limb >> bit & 1 == 1 {
                result = result * value;
            }
        }
    }
    result
}

/// The vector that `matrix` takes to `image`, by Cramer's rule.
fn solve(matrix: &[[Fp; 3]; 3], image: [Fp; 3]) -> [Fp; 3] {
    let inverse = invert(determinant(matrix));
    std::array::from_fn(|column| {
        let replaced = std::array::from_fn(|row| {
            let mut entries = matrix[row];
            entries[column] = image[row];
            entries
        });
        determinant(&replaced) * inverse
    })
}

fn determinant([a, b, c]: &[[Fp; 3]; 3]) -> Fp {
    let minor = |left: usize, right: usize| b[left] * c[right] - b[right] * c[left];
    a[0] * minor(1, 2) - a[1] * minor(0, 2) + a[2] * minor(0, 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn inverses() {
        for value in [1, 2, 3, u64::MAX] {
            let value = Fp::from_u64(value);
            assert_eq!(value * invert(value), Fp::ONE);
        }
        assert_eq!(invert(Fp::ZERO), Fp::ZERO);
    }

    proptest! {
        #[test]
        fn solutions_solve(matrix: [[[u64; 4]; 3]; 3], image: [[u64; 4]; 3]) {
            let matrix = matrix.map(|row| row.map(Fp::from_limbs_reduced));
            let image = image.map(Fp::from_limbs_reduced);
            let solution = solve(&matrix, image);
            prop_assume!(!determinant(&matrix).is_zero());
            for (row, image) in matrix.iter().zip(image) {
                let product = row
                    .iter()
                    .zip(solution)
                    .fold(Fp::ZERO, |sum, (entry, word)| sum + *entry * word);
                prop_assert_eq!(product, image);
            }
        }
    }
}
