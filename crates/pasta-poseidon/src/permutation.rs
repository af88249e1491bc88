//! The two Poseidon permutations: their definition.
//!
//! Width 3, full rounds only, full 3x3 matrix. In every round each word is raised to the power
//! alpha, the matrix is applied, then a row of constants is added; the legacy instance also adds a
//! row before the first round. Source: o1-labs/proof-systems `poseidon/src/constants.rs`.

use crate::fp::Fp;
use crate::limbs::Limbs;
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

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

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
