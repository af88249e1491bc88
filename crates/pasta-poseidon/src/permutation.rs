//! The two Poseidon permutations, portable form.
//!
//! Width 3, full rounds only, full 3x3 matrix. In every round each word is raised to the power
//! alpha, the matrix is applied, then a row of constants is added; the legacy instance also adds a
//! row before the first round. Source: o1-labs/proof-systems `poseidon/src/constants.rs`.

use std::sync::LazyLock;

use crate::fp::Fp;
use crate::limbs::{self, Limbs};
use crate::rescaled::Rescaled;
use crate::{constants_kimchi, constants_legacy};

/// One of the two sets of Poseidon parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instance {
    /// Alpha 7, 55 rounds: all hashes of Berkeley and Mesa, but for the empty receipt hash.
    Kimchi,
    /// Alpha 5, 63 rounds: all hashes of v1, and the empty receipt hash in every era.
    Legacy,
}

/// Parameters in Montgomery form, below p.
struct Parameters<const ROWS: usize> {
    mds: [[Limbs; 3]; 3],
    round_constants: [[Limbs; 3]; ROWS],
}

static KIMCHI: Parameters<55> =
    parameters(&constants_kimchi::MDS, &constants_kimchi::ROUND_CONSTANTS);

static LEGACY: Parameters<64> =
    parameters(&constants_legacy::MDS, &constants_legacy::ROUND_CONSTANTS);

/// The parameters of an instance as elements.
pub(crate) struct TextbookParameters {
    /// The matrix.
    pub(crate) mds: [[Fp; 3]; 3],
    /// Added before the first round.
    pub(crate) before: Option<[Fp; 3]>,
    /// Added at the end of each round.
    pub(crate) rounds: Vec<[Fp; 3]>,
}

pub(crate) fn textbook_parameters(instance: Instance) -> TextbookParameters {
    let (mds, rows, before): (_, &[[Limbs; 3]], _) = match instance {
        Instance::Kimchi => (&KIMCHI.mds, &KIMCHI.round_constants, None),
        Instance::Legacy => {
            let [first, rest @ ..] = &LEGACY.round_constants;
            (&LEGACY.mds, rest, Some(first.map(Fp::from_montgomery)))
        }
    };
    TextbookParameters {
        mds: mds.map(|row| row.map(Fp::from_montgomery)),
        before,
        rounds: rows
            .iter()
            .map(|row| row.map(Fp::from_montgomery))
            .collect(),
    }
}

/// Takes a table to Montgomery form while compiling; fails the build on a number that is not below
/// p.
const fn parameters<const ROWS: usize>(
    mds: &[[Limbs; 3]; 3],
    round_constants: &[[Limbs; 3]; ROWS],
) -> Parameters<ROWS> {
    let mut result = Parameters {
        mds: [[[0; 4]; 3]; 3],
        round_constants: [[[0; 4]; 3]; ROWS],
    };
    let mut row = 0;
    while row < 3 {
        result.mds[row] = montgomery_row(&mds[row]);
        row += 1;
    }
    row = 0;
    while row < ROWS {
        result.round_constants[row] = montgomery_row(&round_constants[row]);
        row += 1;
    }
    result
}

const fn montgomery_row(row: &[Limbs; 3]) -> [Limbs; 3] {
    let mut result = [[0; 4]; 3];
    let mut index = 0;
    while index < 3 {
        let element = Fp::from_canonical_limbs(row[index]);
        assert!(
            element.is_some(),
            "a Poseidon parameter is not below the modulus"
        );
        if let Some(element) = element {
            result[index] = *element.montgomery();
        }
        index += 1;
    }
    result
}

/// A rescaled permutation in Montgomery form, below p.
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

static KIMCHI_TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::new(Instance::Kimchi));
static LEGACY_TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::new(Instance::Legacy));

impl Tables {
    fn new(instance: Instance) -> Self {
        let Rescaled {
            before,
            rounds,
            last_constants,
            last_matrix,
        } = Rescaled::new(instance);
        let limbs = |element: Fp| *element.montgomery();
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

/// Permutes three words.
pub(crate) fn permute(instance: Instance, words: &[Fp; 3]) -> [Fp; 3] {
    let start = [
        *words[0].montgomery(),
        *words[1].montgomery(),
        *words[2].montgomery(),
    ];
    match instance {
        Instance::Kimchi => rounds::<7>(&KIMCHI_TABLES, start),
        Instance::Legacy => rounds::<5>(&LEGACY_TABLES, start),
    }
    .map(Fp::from_montgomery)
}

/// All rounds of a permutation, on loose residues below 2p; the result is below 2p.
///
/// A power of such a number is again below 2p and, with its constant, below 3p. Two products of
/// those with constants below p give less than 2.5p; with power 0, which is reduced below p, that is
/// less than 3.5p < 2^256: one conditional subtraction of 2p per word closes the round.
#[inline(always)]
fn rounds<const ALPHA: u32>(tables: &Tables, mut words: [Limbs; 3]) -> [Limbs; 3] {
    if let Some(row) = &tables.before {
        words = add_row(&words, row);
    }
    for round in &tables.rounds {
        let [first, second, third] = add_row(&powers::<ALPHA>(&words), &round.constants);
        let first = limbs::reduce_once(limbs::reduce_to_two_p(first));
        let others = [second, third];
        let [row_0, row_1, row_2] = &round.columns;
        words = [
            limbs::reduce_to_two_p(limbs::add(limbs::dot(&others, row_0), &first)),
            limbs::reduce_to_two_p(limbs::add(limbs::dot(&others, row_1), &first)),
            limbs::reduce_to_two_p(limbs::add(limbs::dot(&others, row_2), &first)),
        ];
    }
    let powers = add_row(&powers::<ALPHA>(&words), &tables.last_constants);
    let [first, second, third] = powers.map(limbs::reduce_to_two_p);
    let others = [second, third];
    tables.last_matrix.map(|[entry, row @ ..]| {
        // Below 1.5p and below 2p.
        let sum = limbs::add(limbs::mul(&first, &entry), &limbs::dot(&others, &row));
        limbs::reduce_to_two_p(sum)
    })
}

#[inline(always)]
fn add_row(words: &[Limbs; 3], row: &[Limbs; 3]) -> [Limbs; 3] {
    [
        limbs::add(words[0], &row[0]),
        limbs::add(words[1], &row[1]),
        limbs::add(words[2], &row[2]),
    ]
}

/// The powers of three loose residues below 2p, again loosely below 2p.
///
/// The same product for all three words comes before the next product: three independent ones keep
/// the multiplier busy, whereas the chain of one word's products would leave it waiting.
#[inline(always)]
fn powers<const ALPHA: u32>(x: &[Limbs; 3]) -> [Limbs; 3] {
    let second = squares(x);
    let fourth = squares(&second);
    if ALPHA == 7 {
        products(&fourth, &products(&second, x))
    } else {
        products(&fourth, x)
    }
}

#[inline(always)]
fn squares(x: &[Limbs; 3]) -> [Limbs; 3] {
    [
        limbs::square(&x[0]),
        limbs::square(&x[1]),
        limbs::square(&x[2]),
    ]
}

#[inline(always)]
fn products(x: &[Limbs; 3], y: &[Limbs; 3]) -> [Limbs; 3] {
    [
        limbs::mul(&x[0], &y[0]),
        limbs::mul(&x[1], &y[1]),
        limbs::mul(&x[2], &y[2]),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    /// The permutation from its definition, every operation fully reduced.
    fn textbook(instance: Instance, start: [Fp; 3]) -> [Fp; 3] {
        let (mds, constants, skipped) = match instance {
            Instance::Kimchi => (&KIMCHI.mds, KIMCHI.round_constants.as_slice(), 0),
            Instance::Legacy => (&LEGACY.mds, LEGACY.round_constants.as_slice(), 1),
        };
        let add = |words: [Fp; 3], row: &[Limbs; 3]| {
            std::array::from_fn(|index| words[index] + Fp::from_montgomery(row[index]))
        };
        let start = constants[..skipped].iter().fold(start, add);
        constants[skipped..].iter().fold(start, |words, row| {
            let powers = words.map(|word| match instance {
                Instance::Kimchi => word.pow7(),
                Instance::Legacy => word.pow5(),
            });
            let product = |row: &[Limbs; 3]| {
                row.iter()
                    .zip(powers)
                    .fold(Fp::ZERO, |sum, (entry, power)| {
                        sum + Fp::from_montgomery(*entry) * power
                    })
            };
            add(std::array::from_fn(|index| product(&mds[index])), row)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Enough rounds that a bound which is too tight for one value in a thousand is noticed.
        #[test]
        fn loose_rounds_equal_reduced_ones(words: [[u64; 4]; 3]) {
            let words = words.map(Fp::from_limbs_reduced);
            for instance in [Instance::Kimchi, Instance::Legacy] {
                prop_assert_eq!(permute(instance, &words), textbook(instance, words));
            }
        }
    }

    /// SHA-256 over matrix and constants, row by row, each as decimal text and a newline.
    fn transcription_digest(rows: &[&[[Limbs; 3]]]) -> String {
        let mut hasher = Sha256::new();
        for limbs in rows.iter().copied().flatten().flatten() {
            let element = Fp::from_canonical_limbs(*limbs).unwrap();
            hasher.update(element.to_decimal());
            hasher.update(b"\n");
        }
        hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    #[test]
    fn parameters_are_transcribed_exactly() {
        assert_eq!(
            transcription_digest(&[&constants_kimchi::MDS, &constants_kimchi::ROUND_CONSTANTS]),
            "935a2e9cac56b9dea994808ac96a68a8f4ccdad8cf1e2a35d6f261fd35278bf5"
        );
        assert_eq!(
            transcription_digest(&[&constants_legacy::MDS, &constants_legacy::ROUND_CONSTANTS]),
            "c5efa2ade04da22d0904286233430fbb6f99891af75538316ad42b5daec58414"
        );
    }
}
