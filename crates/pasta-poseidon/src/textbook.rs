//! The permutation and the sponge from their definitions, for tests: every operation fully reduced,
//! nine products per round, the published parameters as they are.

use crate::fp::Fp;
use crate::permutation::{Instance, TextbookParameters, textbook_parameters};

pub(crate) fn permute(instance: Instance, mut words: [Fp; 3]) -> [Fp; 3] {
    let TextbookParameters {
        mds,
        before,
        rounds,
    } = textbook_parameters(instance);
    let alpha = match instance {
        Instance::Kimchi => 7,
        Instance::Legacy => 5,
    };
    let add = |words: [Fp; 3], row: [Fp; 3]| std::array::from_fn(|index| words[index] + row[index]);
    if let Some(row) = before {
        words = add(words, row);
    }
    for row in rounds {
        let powers = words.map(|word| (1..alpha).fold(word, |power, _| power * word));
        let product = mds.map(|[a, b, c]| a * powers[0] + b * powers[1] + c * powers[2]);
        words = add(product, row);
    }
    words
}

/// The digest of `inputs`, from the state `words`.
pub(crate) fn hash(instance: Instance, mut words: [Fp; 3], inputs: &[Fp]) -> Fp {
    let mut inputs = inputs.iter();
    loop {
        for word in &mut words[..2] {
            *word += inputs.next().copied().unwrap_or(Fp::ZERO);
        }
        words = permute(instance, words);
        if inputs.len() == 0 {
            return words[0];
        }
    }
}
