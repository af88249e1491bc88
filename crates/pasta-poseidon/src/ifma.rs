//! Eight permutations at a time with AVX-512 IFMA.
//!
//! A vector holds one 52-bit limb of eight field elements; five vectors are eight elements.
//! Montgomery form here is times 2^260. The number of an [`Fp`], which is times 2^256, is therefore
//! taken for a 16th of the element: [`crate::rescaled`] moves that factor into the constants.
//!
//! # Arithmetic
//!
//! - `vpmadd52` adds the low or the high 52 bits of a 104-bit product to a 64-bit accumulator and
//!   ignores the upper 12 bits of its factors. So limbs may exceed 52 bits as long as their carry has
//!   been *added* to the next limb; nothing needs masking.
//! - p = 2^254 + t with t < 2^126: limb 3 is zero and limb 4 is 2^46, whose product is two shifts.
//! - Nothing is ever subtracted conditionally but at the very end. A product of values below `a` and
//!   `b` is below `ab / 2^260 + p`; starting from words below 3p, all values of all rounds stay below
//!   2^256, far from 2^260.
//! - A column of an accumulator is a sum of at most 20 halves of products, 30 in the last round, and
//!   some carries: below 2^58.
//! - The matrix takes six products per round ([`crate::rescaled`]) and its sums are reduced once.
//!
//! # Order of instructions
//!
//! A reduction is a chain of five dependent steps, a product has no chain at all. So every function
//! here that computes a product also finishes the reduction of the *previous* one, a step of the one
//! after a row of the other: the multipliers stay busy without relying on how far the processor
//! looks ahead.
//!
//! What is not a multiply-add counts as well: on Zen 4, which starts one multiply-add per cycle, all
//! other vector instructions share its two pipes. So columns start raised instead of being rounded up,
//! and the parts of `m * 2^46` from two steps are added at once.
//!
//! Helpers carry `#[target_feature]` themselves: without it, the intrinsics would become calls.
// Each use says why it is sound.
#![allow(unsafe_code)]
// Lane and limb numbers are constants.
#![allow(clippy::needless_range_loop)]

mod arithmetic;
pub(crate) mod rate;

use std::sync::LazyLock;

use arithmetic::{
    Constant, Element, LIMB_BITS, MASK, Vector, Wide, add, add_product, add_shifted, beside_pair,
    beside_product, beside_square, broadcast, carry, double, in_order, multiply, multiply_row,
    raised, raised_for_square, reduce, reduce_step, shifted, upper,
};

use crate::fp::Fp;
use crate::limbs::{self, Limbs};
use crate::permutation::Instance;
use crate::rescaled::{Rescaled, invert};
use crate::sponge::State;

/// Elements per vector.
pub(crate) const LANES: usize = 8;

/// The parameters in this kernel's form.
struct Parameters {
    before: Option<[Constant; 3]>,
    rounds: Vec<RoundParameters>,
    last: RoundParameters,
    /// The first column of the last round's matrix; all other rounds have ones there.
    last_column: [Constant; 3],
}

struct RoundParameters {
    constants: [Constant; 3],
    columns: [[Constant; 2]; 3],
}

static KIMCHI: LazyLock<Parameters> = LazyLock::new(|| Parameters::new(Instance::Kimchi));
static LEGACY: LazyLock<Parameters> = LazyLock::new(|| Parameters::new(Instance::Legacy));

impl Parameters {
    fn new(instance: Instance) -> Self {
        let Rescaled {
            before,
            rounds,
            last_constants,
            last_matrix,
        } = Rescaled::new(instance, invert(Fp::from_u64(16)));
        let round = |constants: [Fp; 3], columns: [[Fp; 2]; 3]| RoundParameters {
            constants: constants.map(constant),
            columns: columns.map(|row| row.map(constant)),
        };
        Self {
            before: before.map(|row| row.map(constant)),
            rounds: rounds
                .iter()
                .map(|found| round(found.constants, found.columns))
                .collect(),
            last: round(
                last_constants,
                last_matrix.map(|[_, second, third]| [second, third]),
            ),
            last_column: last_matrix.map(|[first, _, _]| constant(first)),
        }
    }
}

/// An element times 2^260, below p.
fn constant(element: Fp) -> Constant {
    // Sixteen times the Montgomery form of the other kernels, fully reduced.
    split((element * Fp::from_u64(16)).montgomery())
}

/// The five limbs of a number.
#[inline(always)]
fn split(value: &Limbs) -> Constant {
    let [a, b, c, d] = *value;
    [
        a & MASK,
        (a >> 52 | b << 12) & MASK,
        (b >> 40 | c << 24) & MASK,
        (c >> 28 | d << 36) & MASK,
        d >> 16,
    ]
}

/// Whether this processor has what [`hash_batch`] needs.
pub(crate) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

/// As [`crate::hash_batch`], for `width` above 0. False, and nothing done, when the processor cannot.
pub(crate) fn hash_batch(state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) -> bool {
    if !is_available() {
        return false;
    }
    let parameters: &Parameters = match state.instance() {
        Instance::Kimchi => &KIMCHI,
        Instance::Legacy => &LEGACY,
    };
    for (inputs, out) in inputs.chunks(LANES * width).zip(out.chunks_mut(LANES)) {
        // SAFETY: the features that the function enables were just found on this processor.
        unsafe { hash_lanes(parameters, state, width, inputs, out) }
    }
    true
}

/// Hashes at most eight inputs.
#[target_feature(enable = "avx512f,avx512ifma")]
fn hash_lanes(parameters: &Parameters, state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
    let mut words = state
        .words()
        .map(|word| broadcast(&split(word.montgomery())));
    for block in 0..width.div_ceil(2) {
        for word in 0..2 {
            let position = 2 * block + word;
            if position < width {
                let element = load(inputs, width, position);
                words[word] = add(&words[word], &element);
            }
        }
        words = match state.instance() {
            Instance::Kimchi => permute::<7>(parameters, words),
            Instance::Legacy => permute::<5>(parameters, words),
        };
    }
    store(&words[0], out);
}

/// Element `position` of every input; lanes without an input are zero.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn load(inputs: &[Fp], width: usize, position: usize) -> Element {
    let mut limbs = [[0_u64; LANES]; 5];
    for (lane, input) in inputs.chunks_exact(width).enumerate() {
        let split = split(input[position].montgomery());
        for limb in 0..5 {
            limbs[limb][lane] = split[limb];
        }
    }
    limbs.map(|lanes| vector(lanes))
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn vector(lanes: [u64; LANES]) -> Vector {
    // SAFETY: both types are 64 bytes of plain numbers, and any bits are valid in either.
    unsafe { std::mem::transmute::<[u64; LANES], Vector>(lanes) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn lanes(vector: Vector) -> [u64; LANES] {
    // SAFETY: both types are 64 bytes of plain numbers, and any bits are valid in either.
    unsafe { std::mem::transmute::<Vector, [u64; LANES]>(vector) }
}

/// Writes the elements of the first `out.len()` lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn store(element: &Element, out: &mut [Fp]) {
    let element = element.map(|limb| lanes(limb));
    for (lane, out) in out.iter_mut().enumerate() {
        *out = join(std::array::from_fn(|limb| element[limb][lane]));
    }
}

/// The element whose number, below 2^256, has these limbs, which may exceed 52 bits each.
fn join(limbs: Constant) -> Fp {
    let mut carry = 0;
    let [a, b, c, d, e] = limbs.map(|limb| {
        let sum = limb.wrapping_add(carry);
        carry = sum >> LIMB_BITS;
        sum & MASK
    });
    let number = [
        a | b << 52,
        b >> 12 | c << 40,
        c >> 24 | d << 28,
        d >> 36 | e << 16,
    ];
    // Any 256-bit number is below 4p.
    Fp::from_montgomery(limbs::reduce_to_two_p(number))
}

/// The permutation. Takes and gives words whose limbs may exceed 52 bits.
#[target_feature(enable = "avx512f,avx512ifma")]
fn permute<const ALPHA: u32>(parameters: &Parameters, words: [Element; 3]) -> [Element; 3] {
    let [mut x0, mut x1, mut x2] = words;
    if let Some(row) = &parameters.before {
        x0 = add(&x0, &broadcast(&row[0]));
        x1 = add(&x1, &broadcast(&row[1]));
        x2 = add(&x2, &broadcast(&row[2]));
    }
    (x0, x1) = (carry(x0), carry(x1));
    // Reducing this gives word 2 back, so that every round begins alike.
    let mut pending = shifted(&x2);
    let mut rounds = parameters.rounds.iter();
    loop {
        let next = rounds.next();
        let round = next.unwrap_or(&parameters.last);
        let (u0, u1, u2, mut wide) =
            powers::<ALPHA>(&pending, x0, x1, &round.constants, &round.columns[0]);
        if next.is_none() {
            let u0 = carry(u0);
            let [first, second, third] = &parameters.last_column;
            add_product(&mut wide, &u0, &broadcast(first));
            let (word_0, mut wide) = beside_pair!(&wide, raised(), &u1, &u2, &round.columns[1]);
            add_product(&mut wide, &u0, &broadcast(second));
            let (word_1, mut wide) = beside_pair!(&wide, raised(), &u1, &u2, &round.columns[2]);
            add_product(&mut wide, &u0, &broadcast(third));
            return [word_0, word_1, reduce(&wide)];
        }
        add_shifted(&mut wide, &u0);
        let start = shifted(&u0);
        let (word_0, wide) = beside_pair!(&wide, start, &u1, &u2, &round.columns[1]);
        let (word_1, wide) = beside_pair!(&wide, start, &u1, &u2, &round.columns[2]);
        (x0, x1) = (carry(word_0), carry(word_1));
        pending = wide;
    }
}

/// The powers of a round with their constants, from words 0 and 1 and the unreduced word 2: power 0
/// for sums, powers 1 and 2 for products; and, unreduced, the products of 1 and 2 with `row`.
///
/// Called in one place only, so that the compiler makes it part of the loop: a call would pass 25
/// vectors through memory in every round, which was 7 % slower.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn powers<const ALPHA: u32>(
    pending: &Wide,
    x0: Element,
    x1: Element,
    constants: &[Constant; 3],
    row: &[Constant; 2],
) -> (Element, Element, Element, Wide) {
    let (x2, wide) = beside_square!(pending, &x0);
    let x2 = carry(x2);
    let (square_0, wide) = beside_square!(&wide, &x1);
    let square_0 = carry(square_0);
    let (square_1, wide) = beside_square!(&wide, &x2);
    let square_1 = carry(square_1);
    let (square_2, wide) = beside_square!(&wide, &square_0);
    let square_2 = carry(square_2);
    let (fourth_0, wide) = beside_square!(&wide, &square_1);
    let fourth_0 = carry(fourth_0);
    let (fourth_1, wide) = beside_square!(&wide, &square_2);
    let fourth_1 = carry(fourth_1);
    let (odd_0, odd_1, odd_2, fourth_2, last);
    if ALPHA == 7 {
        let (fourth, next) = beside_product!(&wide, &square_0, &x0, &[0; 5]);
        fourth_2 = carry(fourth);
        let (cube, next) = beside_product!(&next, &square_1, &x1, &[0; 5]);
        odd_0 = carry(cube);
        let (cube, next) = beside_product!(&next, &square_2, &x2, &[0; 5]);
        odd_1 = carry(cube);
        let (cube, next) = beside_product!(&next, &fourth_1, &odd_1, &constants[1]);
        odd_2 = carry(cube);
        last = next;
    } else {
        (odd_0, odd_1, odd_2) = (x0, x1, x2);
        let (fourth, next) = beside_product!(&wide, &fourth_1, &odd_1, &constants[1]);
        fourth_2 = carry(fourth);
        last = next;
    }
    let (power_1, wide) = beside_product!(&last, &fourth_2, &odd_2, &constants[2]);
    let power_1 = carry(power_1);
    let (power_2, wide) = beside_product!(&wide, &fourth_0, &odd_0, &constants[0]);
    let power_2 = carry(power_2);
    let (power_0, wide) = beside_pair!(&wide, raised(), &power_1, &power_2, row);
    (power_0, power_1, power_2, wide)
}

#[cfg(test)]
mod tests;
