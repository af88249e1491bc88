//! The sponge: absorbing, prefixes and salts.
//!
//! Source: MinaProtocol/mina `src/lib/random_oracle/random_oracle.ml`,
//! `src/lib/hash_prefixes/hash_prefixes.ml`.

use crate::fp::Fp;
use crate::kernel;
use crate::permutation::Instance;

/// Bytes of a padded prefix.
const PREFIX_BYTES: usize = 20;

/// Longest raw salt: 31 bytes are always below p.
const SALT_BYTES_MAX: usize = 31;

/// The three words of a sponge between permutations, and the instance that permutes them.
///
/// Computing the state of a prefix costs a permutation; keep it (in a `LazyLock`) where it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    instance: Instance,
    words: [Fp; 3],
}

impl State {
    /// The all-zero state.
    #[must_use]
    pub const fn zero(instance: Instance) -> Self {
        Self::new(instance, [Fp::ZERO; 3])
    }

    /// A state known from elsewhere.
    #[must_use]
    pub const fn new(instance: Instance, words: [Fp; 3]) -> Self {
        Self { instance, words }
    }

    /// The instance that permutes this state.
    #[must_use]
    pub const fn instance(&self) -> Instance {
        self.instance
    }

    /// The three words; word 0 is the digest.
    #[must_use]
    pub const fn words(&self) -> &[Fp; 3] {
        &self.words
    }

    /// Absorbs one block: adds the pair to words 0 and 1 and permutes.
    pub fn absorb_pair(&mut self, [first, second]: [Fp; 2]) {
        let [word_0, word_1, word_2] = self.words;
        let words = [word_0 + first, word_1 + second, word_2];
        self.words = kernel::permute(self.instance, &words);
    }

    /// Absorbs the whole pairs of `inputs` and, as a block with a zero, an odd element at the end.
    ///
    /// An empty input changes nothing here, whereas hashing it costs one permutation.
    pub fn absorb(&mut self, inputs: &[Fp]) {
        let (pairs, rest) = inputs.as_chunks::<2>();
        for pair in pairs {
            self.absorb_pair(*pair);
        }
        if let [last] = rest {
            self.absorb_pair([*last, Fp::ZERO]);
        }
    }
}

/// The state after absorbing a prefix: the text, padded with `*` to 20 bytes or cut to them, as one
/// little-endian integer.
#[must_use]
pub fn prefix_state(instance: Instance, prefix: &str) -> State {
    let mut bytes = [0; 32];
    bytes[..PREFIX_BYTES].fill(b'*');
    for (slot, byte) in bytes[..PREFIX_BYTES].iter_mut().zip(prefix.bytes()) {
        *slot = byte;
    }
    let mut state = State::zero(instance);
    state.absorb_pair([Fp::from_le_bytes_reduced(&bytes), Fp::ZERO]);
    state
}

/// The hash of a raw salt: its bytes as one little-endian integer, neither padded nor cut.
///
/// # Panics
///
/// When the salt is longer than 31 bytes, which no salt of the protocol is.
#[must_use]
pub fn salt(instance: Instance, raw: &str) -> Fp {
    assert!(
        raw.len() <= SALT_BYTES_MAX,
        "a salt must fit one field element"
    );
    let mut bytes = [0; 32];
    bytes[..raw.len()].copy_from_slice(raw.as_bytes());
    hash(&State::zero(instance), &[Fp::from_le_bytes_reduced(&bytes)])
}

/// The hash of `inputs` from `state`. An empty input costs one permutation as well.
#[must_use]
pub fn hash(state: &State, inputs: &[Fp]) -> Fp {
    let mut state = *state;
    if inputs.is_empty() {
        state.absorb_pair([Fp::ZERO; 2]);
    } else {
        state.absorb(inputs);
    }
    state.words[0]
}
