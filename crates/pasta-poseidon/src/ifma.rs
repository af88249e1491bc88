//! Eight permutations at a time with AVX-512 IFMA.
//!
//! A vector holds one 52-bit limb of eight field elements; five vectors are eight elements.
//! Montgomery form here is times 2^260, so an [`Fp`] (times 2^256) becomes one by shifting its bits
//! by four places, and goes back by a division by 16.
//!
//! # Arithmetic
//!
//! - `vpmadd52` adds the low or the high 52 bits of a 104-bit product to a 64-bit accumulator and
//!   ignores the upper 12 bits of its factors. So limbs may exceed 52 bits as long as their carry has
//!   been *added* to the next limb; nothing needs masking.
//! - p = 2^254 + t with t < 2^126: limb 3 is zero and limb 4 is 2^46, whose product is two shifts.
//! - Nothing is ever subtracted conditionally but at the very end. A product of values below `a` and
//!   `b` is below `ab / 2^260 + p`; starting from words below 2^258.1, all values of all rounds stay
//!   below 2^256, far from 2^260.
//! - A column of an accumulator is a sum of at most 20 products' halves and some carries: below 2^57.
//! - The matrix takes six products per round ([`crate::rescaled`]) and its sums are reduced once.
//!
//! # Order of instructions
//!
//! A reduction is a chain of five dependent steps, a product has no chain at all. So every function
//! here that computes a product also finishes the reduction of the *previous* one, a step of the one
//! after a row of the other: the multipliers stay busy without relying on how far the processor
//! looks ahead.
//!
//! Helpers carry `#[target_feature]` themselves: without it, the intrinsics would become calls.
// The only module of the workspace that may. Each use says why it is sound.
#![allow(unsafe_code)]
// Lane and limb numbers are constants; sums are bounded as the module's documentation says, and
// vector additions do not check anyway.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64,
};
use std::sync::LazyLock;

use crate::fp::Fp;
use crate::limbs::Limbs;
use crate::permutation::Instance;
use crate::rescaled::Rescaled;
use crate::sponge::State;

/// Elements per vector.
pub(crate) const LANES: usize = 8;

/// Bits of a limb.
const LIMB_BITS: u32 = 52;
/// Bits of p's top limb, 2^46, that a product shifts by.
const TOP_SHIFT: u32 = 46;
const MASK: u64 = (1 << LIMB_BITS) - 1;

/// The lowest three limbs of p; limb 3 is zero, limb 4 is 2^46.
const P: [u64; 3] = [0xd_30ed_0000_0001, 0xf_c094_cf91_b992, 0x22_4698];

/// -1/p modulo 2^52.
const NEGATIVE_INVERSE: u64 = 0xd_30ec_ffff_ffff;

/// A limb of eight elements.
type Vector = __m512i;
/// Eight elements.
type Element = [Vector; 5];
/// A product before its reduction: ten columns of weight 2^(52 i).
type Wide = [Vector; 10];
/// One element as limbs, the same in all lanes.
type Constant = [u64; 5];

/// The parameters in this kernel's form.
struct Parameters {
    before: Option<[Constant; 3]>,
    rounds: Vec<RoundParameters>,
    last_constants: [Constant; 3],
    last_matrix: [[Constant; 3]; 3],
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
        } = Rescaled::new(instance);
        Self {
            before: before.map(|row| row.map(constant)),
            rounds: rounds
                .iter()
                .map(|round| RoundParameters {
                    constants: round.constants.map(constant),
                    columns: round.columns.map(|row| row.map(constant)),
                })
                .collect(),
            last_constants: last_constants.map(constant),
            last_matrix: last_matrix.map(|row| row.map(constant)),
        }
    }
}

/// An element times 2^260, below p.
fn constant(element: Fp) -> Constant {
    // Sixteen times the Montgomery form of the other kernels, fully reduced.
    split((element * Fp::from_u64(16)).montgomery(), 0)
}

/// The five limbs of `value` times 2^`shift`, which must be below 2^260.
#[inline(always)]
fn split(value: &Limbs, shift: u32) -> Constant {
    let [a, b, c, d] = *value;
    let low = |value: u64| value & MASK;
    if shift == 0 {
        [
            low(a),
            low(a >> 52 | b << 12),
            low(b >> 40 | c << 24),
            low(c >> 28 | d << 36),
            d >> 16,
        ]
    } else {
        // Four more bits at the bottom.
        [
            low(a << 4),
            low(a >> 48 | b << 16),
            low(b >> 36 | c << 28),
            low(c >> 24 | d << 40),
            d >> 12,
        ]
    }
}

/// Whether this processor has what [`hash_batch`] needs.
pub(crate) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

/// As [`crate::hash_batch`], for `width` above 0.
///
/// # Panics
///
/// When the processor cannot do it: [`is_available`] must have been asked.
pub(crate) fn hash_batch(state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
    assert!(is_available(), "this processor has no AVX-512 IFMA");
    let parameters: &Parameters = match state.instance() {
        Instance::Kimchi => &KIMCHI,
        Instance::Legacy => &LEGACY,
    };
    for (inputs, out) in inputs.chunks(LANES * width).zip(out.chunks_mut(LANES)) {
        // SAFETY: the features that the function enables were just found on this processor.
        unsafe { hash_lanes(parameters, state, width, inputs, out) }
    }
}

/// Hashes at most eight inputs.
#[target_feature(enable = "avx512f,avx512ifma")]
fn hash_lanes(parameters: &Parameters, state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
    let mut words = state
        .words()
        .map(|word| broadcast(&split(word.montgomery(), 4)));
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
        let split = split(input[position].montgomery(), 4);
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
        *out = out_of_form(std::array::from_fn(|limb| element[limb][lane]));
    }
}

/// The element of `limbs`, which are times 2^260, below 2^256 and may exceed 52 bits each.
fn out_of_form(limbs: Constant) -> Fp {
    let mut carry = 0;
    let [a, b, c, d, e] = limbs.map(|limb| {
        let sum = limb.wrapping_add(carry);
        carry = sum >> LIMB_BITS;
        sum & MASK
    });
    // Divides by 16 modulo p: p is 1 modulo 16, so this multiple of it clears the lowest four bits.
    // The sum is below 2^256 + 15p, so the quotient is below 2p.
    let multiple = a.wrapping_neg() & 15;
    let value = [
        a | b << 52,
        b >> 12 | c << 40,
        c >> 24 | d << 28,
        d >> 36 | e << 16,
    ];
    let mut carry = u128::from(multiple) * u128::from(crate::limbs::P[0]) + u128::from(value[0]);
    let mut sum = [carry as u64, 0, 0, 0, 0];
    for limb in 1..4 {
        carry >>= 64;
        carry += u128::from(multiple) * u128::from(crate::limbs::P[limb]) + u128::from(value[limb]);
        sum[limb] = carry as u64;
    }
    sum[4] = (carry >> 64) as u64;
    let quotient = std::array::from_fn(|limb| sum[limb] >> 4 | sum[limb + 1] << 60);
    Fp::from_montgomery(quotient)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn broadcast(constant: &Constant) -> Element {
    [
        _mm512_set1_epi64(constant[0] as i64),
        _mm512_set1_epi64(constant[1] as i64),
        _mm512_set1_epi64(constant[2] as i64),
        _mm512_set1_epi64(constant[3] as i64),
        _mm512_set1_epi64(constant[4] as i64),
    ]
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add(a: &Element, b: &Element) -> Element {
    [
        _mm512_add_epi64(a[0], b[0]),
        _mm512_add_epi64(a[1], b[1]),
        _mm512_add_epi64(a[2], b[2]),
        _mm512_add_epi64(a[3], b[3]),
        _mm512_add_epi64(a[4], b[4]),
    ]
}

/// Makes an element a factor: adds what exceeds 52 bits in a limb to the next one. It stays in the
/// limb, too, where products ignore it; so the result is good for products only, never for sums.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn carry(mut a: Element) -> Element {
    for limb in 0..4 {
        a[limb + 1] = _mm512_add_epi64(a[limb + 1], _mm512_srli_epi64::<LIMB_BITS>(a[limb]));
    }
    a
}

/// Reduces `pending` and squares `a`: the reduced element and the square, unreduced.
///
/// A macro, because a function that needs target features cannot be forced inline, and as a call it
/// would pass fifteen vectors through memory.
macro_rules! beside_square {
    ($pending:expr, $a:expr) => {{
        let pending = $pending;
        let a = $a;
        let mut t = *pending;
        let mut w = [_mm512_setzero_si512(); 10];
        reduce_step::<0>(&mut t);
        for j in 1..5 {
            multiply(&mut w, j, a[0], a[j]);
        }
        reduce_step::<1>(&mut t);
        for j in 2..5 {
            multiply(&mut w, 1 + j, a[1], a[j]);
        }
        reduce_step::<2>(&mut t);
        for j in 3..5 {
            multiply(&mut w, 2 + j, a[2], a[j]);
        }
        multiply(&mut w, 7, a[3], a[4]);
        // Twice the products of different limbs, then the squares.
        for column in &mut w[1..9] {
            *column = _mm512_add_epi64(*column, *column);
        }
        reduce_step::<3>(&mut t);
        multiply(&mut w, 0, a[0], a[0]);
        multiply(&mut w, 2, a[1], a[1]);
        reduce_step::<4>(&mut t);
        multiply(&mut w, 4, a[2], a[2]);
        multiply(&mut w, 6, a[3], a[3]);
        multiply(&mut w, 8, a[4], a[4]);
        (upper(&t), w)
    }};
}
/// Reduces `pending` and multiplies `a` and `b`; adds `constant` times 2^260.
macro_rules! beside_product {
    ($pending:expr, $a:expr, $b:expr, $constant:expr) => {{
        let pending = $pending;
        let a = $a;
        let b = $b;
        let constant = $constant;
        let mut t = *pending;
        let mut w = shifted(&broadcast(constant));
        reduce_step::<0>(&mut t);
        multiply_row(&mut w, 0, a, b);
        reduce_step::<1>(&mut t);
        multiply_row(&mut w, 1, a, b);
        reduce_step::<2>(&mut t);
        multiply_row(&mut w, 2, a, b);
        reduce_step::<3>(&mut t);
        multiply_row(&mut w, 3, a, b);
        reduce_step::<4>(&mut t);
        multiply_row(&mut w, 4, a, b);
        (upper(&t), w)
    }};
}
/// Reduces `pending` and gives the sum of the products of `a` and `b` with one constant each.
macro_rules! beside_pair {
    ($pending:expr, $a:expr, $b:expr, $constants:expr) => {{
        let pending = $pending;
        let a = $a;
        let b = $b;
        let constants = $constants;
        let mut t = *pending;
        let mut w = [_mm512_setzero_si512(); 10];
        let first = broadcast(&constants[0]);
        let second = broadcast(&constants[1]);
        reduce_step::<0>(&mut t);
        multiply_row(&mut w, 0, a, &first);
        multiply_row(&mut w, 0, b, &second);
        reduce_step::<1>(&mut t);
        multiply_row(&mut w, 1, a, &first);
        multiply_row(&mut w, 1, b, &second);
        reduce_step::<2>(&mut t);
        multiply_row(&mut w, 2, a, &first);
        multiply_row(&mut w, 2, b, &second);
        reduce_step::<3>(&mut t);
        multiply_row(&mut w, 3, a, &first);
        multiply_row(&mut w, 3, b, &second);
        reduce_step::<4>(&mut t);
        multiply_row(&mut w, 4, a, &first);
        multiply_row(&mut w, 4, b, &second);
        (upper(&t), w)
    }};
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
    for round in &parameters.rounds {
        let (u0, u1, u2);
        (u0, u1, u2, pending) =
            powers::<ALPHA>(&pending, x0, x1, &round.constants, &round.columns[0]);
        add_shifted(&mut pending, &u0);
        let wide;
        (x0, wide) = beside_pair!(&pending, &u1, &u2, &round.columns[1]);
        pending = wide;
        add_shifted(&mut pending, &u0);
        let wide;
        (x1, wide) = beside_pair!(&pending, &u1, &u2, &round.columns[2]);
        pending = wide;
        add_shifted(&mut pending, &u0);
        (x0, x1) = (carry(x0), carry(x1));
    }
    let [first, second, third] = &parameters.last_matrix;
    let rest = |row: &[Constant; 3]| [row[1], row[2]];
    let (u0, u1, u2, mut wide) =
        powers::<ALPHA>(&pending, x0, x1, &parameters.last_constants, &rest(first));
    let u0 = carry(u0);
    add_product(&mut wide, &u0, &broadcast(&first[0]));
    let (word_0, mut wide) = beside_pair!(&wide, &u1, &u2, &rest(second));
    add_product(&mut wide, &u0, &broadcast(&second[0]));
    let (word_1, mut wide) = beside_pair!(&wide, &u1, &u2, &rest(third));
    add_product(&mut wide, &u0, &broadcast(&third[0]));
    [word_0, word_1, reduce(&wide)]
}

/// The powers of a round with their constants, from words 0 and 1 and the unreduced word 2: power 0
/// for sums, powers 1 and 2 for products; and, unreduced, the products of 1 and 2 with `row`.
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
    let (power_0, wide) = beside_pair!(&wide, &power_1, &power_2, row);
    (power_0, power_1, power_2, wide)
}

/// Adds an element, times 2^260, to an accumulator.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_shifted(wide: &mut Wide, element: &Element) {
    for limb in 0..5 {
        wide[5 + limb] = _mm512_add_epi64(wide[5 + limb], element[limb]);
    }
}

/// An element times 2^260, unreduced.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn shifted(element: &Element) -> Wide {
    let zero = _mm512_setzero_si512();
    let [a, b, c, d, e] = *element;
    [zero, zero, zero, zero, zero, a, b, c, d, e]
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_product(wide: &mut Wide, a: &Element, b: &Element) {
    for row in 0..5 {
        multiply_row(wide, row, a, b);
    }
}

/// Adds limb `row` of `a` times `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply_row(wide: &mut Wide, row: usize, a: &Element, b: &Element) {
    for column in 0..5 {
        multiply(wide, row + column, a[row], b[column]);
    }
}

/// Adds the product of two limbs whose weight is 2^(52 `column`).
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply(wide: &mut Wide, column: usize, a: Vector, b: Vector) {
    wide[column] = _mm512_madd52lo_epu64(wide[column], a, b);
    wide[column + 1] = _mm512_madd52hi_epu64(wide[column + 1], a, b);
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce(wide: &Wide) -> Element {
    let mut t = *wide;
    reduce_step::<0>(&mut t);
    reduce_step::<1>(&mut t);
    reduce_step::<2>(&mut t);
    reduce_step::<3>(&mut t);
    reduce_step::<4>(&mut t);
    upper(&t)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn upper(t: &Wide) -> Element {
    let [_, _, _, _, _, a, b, c, d, e] = *t;
    [a, b, c, d, e]
}

/// Adds the multiple of p that clears column `I`, and carries that column into the next.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce_step<const I: usize>(t: &mut Wide) {
    let set = |value: u64| _mm512_set1_epi64(value as i64);
    let m = _mm512_madd52lo_epu64(_mm512_setzero_si512(), t[I], set(NEGATIVE_INVERSE));
    // The lowest limb of m * p is what is missing to the next multiple of 2^52, or 0: the carry is
    // the column divided by 2^52, rounded up.
    let carry = _mm512_srli_epi64::<LIMB_BITS>(_mm512_add_epi64(t[I], set(MASK)));
    // An accumulator of its own shortens the chain to the next step.
    let carry = _mm512_madd52hi_epu64(carry, m, set(P[0]));
    t[I + 1] = _mm512_madd52lo_epu64(t[I + 1], m, set(P[1]));
    t[I + 1] = _mm512_add_epi64(t[I + 1], carry);
    t[I + 2] = _mm512_madd52hi_epu64(t[I + 2], m, set(P[1]));
    t[I + 2] = _mm512_madd52lo_epu64(t[I + 2], m, set(P[2]));
    t[I + 3] = _mm512_madd52hi_epu64(t[I + 3], m, set(P[2]));
    let low = _mm512_and_si512(_mm512_slli_epi64::<TOP_SHIFT>(m), set(MASK));
    t[I + 4] = _mm512_add_epi64(t[I + 4], low);
    let high = _mm512_srli_epi64::<{ LIMB_BITS - TOP_SHIFT }>(m);
    t[I + 5] = _mm512_add_epi64(t[I + 5], high);
}
