//! The parameters of a permutation, rescaled so that six products do the work of the matrix's nine.
//!
//! Raising to a power commutes with a diagonal matrix, so a permutation may run on words times
//! constants of its own choice, other ones in every round. With `t[i] = e[i] * s[i]` for the true
//! words `s`, a round of `s'[i] = sum_j M[i][j] * s[j]^alpha + c[i]` becomes
//!
//! ```text
//! t'[i] = sum_j (M[i][j] * e'[i] / e[j]^alpha) * t[j]^alpha + e'[i] * c[i]
//! ```
//!
//! and choosing `e'[i] = e[0]^alpha / M[i][0]` makes the whole first column 1. Before the first round
//! and after the last, which has a full matrix, `e` is the form that a kernel keeps numbers in. The
//! constants go in front of the matrix, where a kernel adds them to the powers:
//! `k[j] = e[j]^alpha * (M^-1 c)[j]`.
//!
//! The result is the same permutation exactly: these are identities of the field, and division is
//! possible because neither the matrices' determinants nor their first columns contain zero.

use std::ops::Mul;

use crate::fp::Fp;
use crate::permutation::{Instance, TextbookParameters, textbook_parameters};

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
    /// Rescales the parameters of `instance` for a kernel that holds each element times `form`.
    ///
    /// Takes less than a tenth of a millisecond: there is one division in all.
    pub(crate) fn new(instance: Instance, form: Fp) -> Self {
        let TextbookParameters {
            mds,
            before,
            rounds: rows,
        } = textbook_parameters(instance);
        let (adjugate, determinant) = adjugate(&mds);
        let [inverse_determinant, inverse_form, inverse_column @ ..] =
            invert_all([determinant, form, mds[0][0], mds[1][0], mds[2][0]]);

        let count = rows.len();
        let mut rounds = Vec::with_capacity(count);
        let mut last = ([[Fp::ZERO; 3]; 3], [Fp::ZERO; 3]);
        // `e` and `1 / e`.
        let mut scales = [form; 3];
        let mut inverse_scales = [inverse_form; 3];
        for (number, row) in (1..).zip(rows) {
            let powers = scales.map(|scale| power(instance, scale));
            let inverse_powers = inverse_scales.map(|scale| power(instance, scale));
            let is_last = number == count;
            (scales, inverse_scales) = if is_last {
                ([form; 3], [inverse_form; 3])
            } else {
                (
                    inverse_column.map(|inverse| inverse * powers[0]),
                    mds.map(|row| row[0] * inverse_powers[0]),
                )
            };
            let matrix: [[Fp; 3]; 3] = std::array::from_fn(|row| {
                std::array::from_fn(|column| {
                    mds[row][column] * scales[row] * inverse_powers[column]
                })
            });
            let solution = apply(&adjugate, &row).map(|entry| entry * inverse_determinant);
            let constants = std::array::from_fn(|word| powers[word] * solution[word]);
            if is_last {
                last = (matrix, constants);
            } else {
                rounds.push(Round {
                    constants,
                    columns: matrix.map(|[_, second, third]| [second, third]),
                });
            }
        }
        Self {
            before: before.map(|row| row.map(|constant| constant * form)),
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

/// 1 / `value`, as its power p - 2; 0 for 0. A few microseconds.
pub(crate) fn invert(value: Fp) -> Fp {
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

fn apply(matrix: &[[Fp; 3]; 3], vector: &[Fp; 3]) -> [Fp; 3] {
    matrix.map(|[a, b, c]| a * vector[0] + b * vector[1] + c * vector[2])
}

/// The inverses of numbers other than zero, for one division: the inverse of their product times all
/// the others.
fn invert_all<const N: usize>(values: [Fp; N]) -> [Fp; N] {
    let inverse = invert(values.into_iter().fold(Fp::ONE, Fp::mul));
    std::array::from_fn(|wanted| {
        let others = (0..N).filter(|index| *index != wanted);
        others.fold(inverse, |product, index| product * values[index])
    })
}

/// The matrix of cofactors that is the inverse times the determinant; and the determinant.
fn adjugate(matrix: &[[Fp; 3]; 3]) -> ([[Fp; 3]; 3], Fp) {
    // Taking the next two rows and columns, around the end, gives the sign of the cofactor, too.
    let cofactor = |row: usize, column: usize| {
        let entry = |down: usize, right: usize| matrix[(row + down) % 3][(column + right) % 3];
        entry(1, 1) * entry(2, 2) - entry(1, 2) * entry(2, 1)
    };
    let [a, b, c] = matrix[0];
    let determinant = a * cofactor(0, 0) + b * cofactor(0, 1) + c * cofactor(0, 2);
    let adjugate = std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row)));
    (adjugate, determinant)
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
        let values = [3, 5, 7].map(Fp::from_u64);
        assert_eq!(invert_all(values), values.map(invert));
    }

    proptest! {
        #[test]
        fn adjugates(matrix: [[[u64; 4]; 3]; 3], vector: [[u64; 4]; 3]) {
            let matrix = matrix.map(|row| row.map(Fp::from_limbs_reduced));
            let vector = vector.map(Fp::from_limbs_reduced);
            let (adjugate, determinant) = adjugate(&matrix);
            prop_assert_eq!(
                apply(&adjugate, &apply(&matrix, &vector)),
                vector.map(|entry| entry * determinant)
            );
        }

        /// The rescaled rounds in plain field arithmetic, in any form, against the definition.
        #[test]
        fn rescaled_rounds_are_the_permutation(
            words: [[u64; 4]; 3],
            form in 1_u64..,
        ) {
            let words = words.map(Fp::from_limbs_reduced);
            let form = Fp::from_u64(form).square();
            for instance in [Instance::Kimchi, Instance::Legacy] {
                let rescaled = Rescaled::new(instance, form);
                let mut state = words.map(|word| word * form);
                if let Some(row) = rescaled.before {
                    state = std::array::from_fn(|index| state[index] + row[index]);
                }
                let powers = |state: [Fp; 3], constants: &[Fp; 3]| -> [Fp; 3] {
                    std::array::from_fn(|index| power(instance, state[index]) + constants[index])
                };
                for round in &rescaled.rounds {
                    let powers = powers(state, &round.constants);
                    state = round.columns.map(|[b, c]| powers[0] + b * powers[1] + c * powers[2]);
                }
                let powers = powers(state, &rescaled.last_constants);
                let state = apply(&rescaled.last_matrix, &powers).map(|word| word * invert(form));
                prop_assert_eq!(state, crate::textbook::permute(instance, words));
            }
        }
    }
}
