//! The two Poseidon permutations, portable form.
//!
//! Width 3, full rounds only, full 3x3 matrix. In every round each word is raised to the power
//! alpha, the matrix is applied, then a row of constants is added; the legacy instance also adds a
//! row before the first round. Source: o1-labs/proof-systems `poseidon/src/constants.rs`.

use crate::fp::{self, Fp};
use crate::limbs::{self, Limbs};
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

/// Takes a table to Montgomery form while compiling; fails the build on a number that is not below
/// p and on a matrix row that the fused product could overflow with.
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
        assert!(limbs::dot_fits(&result.mds[row]));
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

/// Permutes three words.
pub(crate) fn permute(instance: Instance, words: &[Fp; 3]) -> [Fp; 3] {
    let start = [
        *words[0].montgomery(),
        *words[1].montgomery(),
        *words[2].montgomery(),
    ];
    let end = match instance {
        Instance::Kimchi => rounds(&KIMCHI.mds, &KIMCHI.round_constants, start, fp::pow7),
        Instance::Legacy => {
            let [first, rest @ ..] = &LEGACY.round_constants;
            let start = [
                limbs::add(start[0], &first[0]),
                limbs::add(start[1], &first[1]),
                limbs::add(start[2], &first[2]),
            ];
            rounds(&LEGACY.mds, rest, start, fp::pow5)
        }
    };
    end.map(Fp::from_montgomery)
}

/// All rounds of a permutation, on loose residues below 2p.
///
/// A power of such a number is again below 2p, so a row of the matrix gives less than 2.5p and, with
/// its constant, less than 3.5p: one conditional subtraction of 2p per word closes the round.
#[inline(always)]
fn rounds(
    mds: &[[Limbs; 3]; 3],
    round_constants: &[[Limbs; 3]],
    start: [Limbs; 3],
    power: impl Fn(&Limbs) -> Limbs,
) -> [Limbs; 3] {
    let mut words = start;
    for constants in round_constants {
        let powers = [power(&words[0]), power(&words[1]), power(&words[2])];
        for ((word, row), constant) in words.iter_mut().zip(mds).zip(constants) {
            *word = limbs::reduce_to_two_p(limbs::add(limbs::dot(&powers, row), constant));
        }
    }
    words
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
