//! Kimchi Poseidon on arkworks' field arithmetic.
//!
//! As o1-labs/proof-systems has it in `poseidon/src/permutation.rs`: 55 full rounds; each word to the
//! seventh power by squaring in place; the matrix as nine products and a sum; then the row of
//! constants. Different from there: the state is an array instead of a `Vec`, which saves the peer
//! its allocations.

#![allow(missing_docs)] // the derive below makes public items without any

use std::sync::LazyLock;

use ark_ff::{AdditiveGroup, BigInt, Field, Fp256, MontBackend, MontConfig, PrimeField};

// The tables are private to the library; a second copy of 168 numbers would be worse than this.
#[path = "../../../crates/pasta-poseidon/src/constants_kimchi.rs"]
mod constants;

/// The Pallas base field's parameters.
#[derive(MontConfig)]
#[modulus = "28948022309329048855892746252171976963363056481941560715954676764349967630337"]
#[generator = "5"]
pub struct PallasBaseConfig;

/// An element of the Pallas base field.
pub type Element = Fp256<MontBackend<PallasBaseConfig, 4>>;

struct Parameters {
    mds: [[Element; 3]; 3],
    rounds: Vec<[Element; 3]>,
}

static PARAMETERS: LazyLock<Parameters> = LazyLock::new(|| Parameters {
    mds: constants::MDS.map(|row| row.map(element)),
    rounds: constants::ROUND_CONSTANTS
        .iter()
        .map(|row| row.map(element))
        .collect(),
});

/// The element of a canonical number, least significant limb first; one that is not below the
/// modulus, which no caller has, becomes 0.
#[must_use]
pub fn element(limbs: [u64; 4]) -> Element {
    Element::from_bigint(BigInt::new(limbs)).unwrap_or(Element::ZERO)
}

/// The canonical number of an element, least significant limb first.
#[must_use]
pub fn limbs(element: Element) -> [u64; 4] {
    element.into_bigint().0
}

/// Permutes three words.
pub fn permute(words: &mut [Element; 3]) {
    let parameters = &*PARAMETERS;
    for constants in &parameters.rounds {
        for word in words.iter_mut() {
            *word = seventh_power(*word);
        }
        let powers = *words;
        for (word, row) in words.iter_mut().zip(&parameters.mds) {
            *word = powers
                .iter()
                .zip(row)
                .fold(Element::ZERO, |sum, (power, entry)| *entry * power + sum);
        }
        for (word, constant) in words.iter_mut().zip(constants) {
            *word += constant;
        }
    }
}

fn seventh_power(mut x: Element) -> Element {
    let mut square = x;
    square.square_in_place();
    x *= square;
    square.square_in_place();
    x *= square;
    x
}

/// The hash of `inputs` from the state `start`, two elements per permutation.
#[must_use]
pub fn hash(start: &[Element; 3], inputs: &[Element]) -> Element {
    let mut words = *start;
    for block in inputs.chunks(2) {
        for (word, input) in words.iter_mut().zip(block) {
            *word += input;
        }
        permute(&mut words);
    }
    words[0]
}

/// The state after a prefix, as the library computes it.
#[must_use]
pub fn prefix_state(prefix: &str) -> [Element; 3] {
    let state = pasta_poseidon::prefix_state(pasta_poseidon::Instance::Kimchi, prefix);
    state.words().map(from_library)
}

/// The same element here.
#[must_use]
pub fn from_library(value: pasta_poseidon::Fp) -> Element {
    element(value.to_canonical_limbs())
}

/// The same element there; `None` never happens, as both fields are one.
#[must_use]
pub fn to_library(value: Element) -> Option<pasta_poseidon::Fp> {
    pasta_poseidon::Fp::from_canonical_limbs(limbs(value))
}

/// Whether this implementation and every kernel of the library give the same on `count` inputs.
#[must_use]
pub fn equals_library(kernels: &[pasta_poseidon::Kernel], count: u64) -> bool {
    use pasta_poseidon::{Fp, Instance, State};
    let mut random = fork_testkit::fixture::Random::new(count, 0, 0);
    let mut inputs = vec![Fp::ZERO, Fp::ZERO, -Fp::from_u64(1), -Fp::from_u64(2)];
    for _ in 0..2 * count {
        inputs.push(Fp::from_limbs_reduced(std::array::from_fn(|_| {
            random.next()
        })));
    }
    let state = State::new(
        Instance::Kimchi,
        std::array::from_fn(|_| Fp::from_limbs_reduced(std::array::from_fn(|_| random.next()))),
    );
    let start = state.words().map(from_library);
    let expected: Vec<Option<Fp>> = inputs
        .chunks(2)
        .map(|pair| pair.iter().copied().map(from_library).collect::<Vec<_>>())
        .map(|pair| to_library(hash(&start, &pair)))
        .collect();
    kernels.iter().all(|kernel| {
        let mut found = vec![Fp::ZERO; expected.len()];
        kernel.hash_batch(&state, 2, &inputs, &mut found);
        found.into_iter().map(Some).eq(expected.iter().copied())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_library() {
        assert!(equals_library(&[pasta_poseidon::Kernel::active()], 301));
    }
}
