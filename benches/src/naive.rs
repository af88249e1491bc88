//! Poseidon as its definition reads: the yardstick that kernels are measured against.
//!
//! Schoolbook Montgomery products in `u128`, every result fully reduced, nine products per matrix,
//! nothing specialised to the prime. It shares only the published parameters with `pasta_poseidon`
//! (the very files, so that they cannot differ) and no code.

// The tables are private to the library; a second copy of 700 numbers would be worse than this.
#[path = "../../crates/pasta-poseidon/src/constants_kimchi.rs"]
mod constants_kimchi;
#[path = "../../crates/pasta-poseidon/src/constants_legacy.rs"]
mod constants_legacy;

use pasta_poseidon::Instance;

/// A number of 256 bits, least significant limb first.
pub type Limbs = [u64; 4];

/// The modulus of the Pallas base field.
const P: Limbs = [
    0x992d_30ed_0000_0001,
    0x2246_98fc_094c_f91b,
    0,
    0x4000_0000_0000_0000,
];

/// -1/p modulo 2^64.
const NEGATED_INVERSE: u64 = 0x992d_30ec_ffff_ffff;

/// A permutation with its parameters, in Montgomery form.
#[derive(Clone, Debug)]
pub struct Poseidon {
    instance: Instance,
    mds: [[Limbs; 3]; 3],
    before: Option<[Limbs; 3]>,
    rounds: Vec<[Limbs; 3]>,
}

impl Poseidon {
    /// The permutation of `instance`.
    #[must_use]
    pub fn new(instance: Instance) -> Self {
        let (mds, rows) = match instance {
            Instance::Kimchi => (
                constants_kimchi::MDS,
                constants_kimchi::ROUND_CONSTANTS.as_slice(),
            ),
            Instance::Legacy => (
                constants_legacy::MDS,
                constants_legacy::ROUND_CONSTANTS.as_slice(),
            ),
        };
        let mut rounds: Vec<[Limbs; 3]> = rows.iter().map(|row| row.map(to_montgomery)).collect();
        // The legacy instance adds a row before the first round.
        let before = match instance {
            Instance::Kimchi => None,
            Instance::Legacy => Some(rounds.remove(0)),
        };
        Self {
            instance,
            mds: mds.map(|row| row.map(to_montgomery)),
            before,
            rounds,
        }
    }

    /// Permutes three words in Montgomery form ([`to_montgomery`]).
    #[must_use]
    pub fn permute(&self, mut words: [Limbs; 3]) -> [Limbs; 3] {
        if let Some(row) = &self.before {
            words = add_rows(&words, row);
        }
        for row in &self.rounds {
            let powers = words.map(|word| self.power(&word));
            let product = self.mds.map(|entries| {
                entries
                    .iter()
                    .zip(&powers)
                    .fold([0; 4], |sum, (entry, power)| {
                        add(&sum, &multiply(entry, power))
                    })
            });
            words = add_rows(&product, row);
        }
        words
    }

    /// Absorbs one block into a state in Montgomery form.
    #[must_use]
    pub fn absorb_pair(&self, [a, b, c]: [Limbs; 3], [first, second]: [Limbs; 2]) -> [Limbs; 3] {
        self.permute([add(&a, &first), add(&b, &second), c])
    }

    fn power(&self, x: &Limbs) -> Limbs {
        let square = multiply(x, x);
        let fourth = multiply(&square, &square);
        match self.instance {
            Instance::Kimchi => multiply(&fourth, &multiply(&square, x)),
            Instance::Legacy => multiply(&fourth, x),
        }
    }
}

/// A number below p, times 2^256 modulo p.
#[must_use]
pub fn to_montgomery(number: Limbs) -> Limbs {
    (0..256).fold(number, |number, _| add(&number, &number))
}

/// Back from [`to_montgomery`].
#[must_use]
pub fn from_montgomery(number: Limbs) -> Limbs {
    multiply(&number, &[1, 0, 0, 0])
}

fn add_rows(left: &[Limbs; 3], right: &[Limbs; 3]) -> [Limbs; 3] {
    std::array::from_fn(|index| add(&left[index], &right[index]))
}

/// The sum of two numbers below p, modulo p; it fits 256 bits because p has 255.
fn add(left: &Limbs, right: &Limbs) -> Limbs {
    let mut sum = [0; 4];
    let mut carry = 0;
    for index in 0..4 {
        let wide = u128::from(left[index]) + u128::from(right[index]) + carry;
        sum[index] = wide as u64;
        carry = wide >> 64;
    }
    reduce(sum)
}

/// The product of two numbers below p, divided by 2^256 modulo p.
fn multiply(left: &Limbs, right: &Limbs) -> Limbs {
    let mut wide = [0_u64; 6];
    for digit in right {
        let mut carry = 0;
        for index in 0..4 {
            carry += u128::from(wide[index]) + u128::from(left[index]) * u128::from(*digit);
            wide[index] = carry as u64;
            carry >>= 64;
        }
        carry += u128::from(wide[4]);
        wide[4] = carry as u64;
        wide[5] = (carry >> 64) as u64;

        let factor = wide[0].wrapping_mul(NEGATED_INVERSE);
        let mut carry = (u128::from(wide[0]) + u128::from(factor) * u128::from(P[0])) >> 64;
        for index in 1..4 {
            carry += u128::from(wide[index]) + u128::from(factor) * u128::from(P[index]);
            wide[index - 1] = carry as u64;
            carry >>= 64;
        }
        carry += u128::from(wide[4]);
        wide[3] = carry as u64;
        wide[4] = wide[5] + (carry >> 64) as u64;
    }
    reduce([wide[0], wide[1], wide[2], wide[3]])
}

/// Subtracts p once if that is possible.
fn reduce(number: Limbs) -> Limbs {
    let mut difference = [0; 4];
    let mut borrow = false;
    for index in 0..4 {
        let (value, first) = number[index].overflowing_sub(P[index]);
        let (value, second) = value.overflowing_sub(u64::from(borrow));
        difference[index] = value;
        borrow = first || second;
    }
    if borrow { number } else { difference }
}

#[cfg(test)]
mod tests {
    use pasta_poseidon::{Fp, State};

    use super::*;

    #[test]
    fn equals_the_library() {
        for instance in [Instance::Kimchi, Instance::Legacy] {
            let naive = Poseidon::new(instance);
            let mut words = [[0; 4]; 3];
            let mut state = State::zero(instance);
            for number in 0..50 {
                let pair = [Fp::from_u64(number), -Fp::from_u64(number)];
                state.absorb_pair(pair);
                let pair = pair.map(|element| to_montgomery(element.to_canonical_limbs()));
                words = naive.absorb_pair(words, pair);
                assert_eq!(
                    words.map(from_montgomery),
                    state.words().map(Fp::to_canonical_limbs)
                );
            }
        }
    }
}
