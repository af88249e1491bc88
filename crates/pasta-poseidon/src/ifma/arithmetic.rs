//! Vectors of 52-bit limbs: products, and reductions beside them. The module above says how.
// Each use says why it is sound.
#![allow(unsafe_code)]
// Limb numbers are constants; sums are bounded as the module above says, and vector additions do not
// check anyway.
#![allow(clippy::needless_range_loop)]

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64,
    _mm512_ternarylogic_epi64,
};

/// Bits of a limb.
pub(super) const LIMB_BITS: u32 = 52;
/// Bits of p's top limb, 2^46, that a product shifts by.
pub(super) const TOP_SHIFT: u32 = 46;
pub(super) const MASK: u64 = (1 << LIMB_BITS) - 1;

/// The lowest three limbs of p; limb 3 is zero, limb 4 is 2^46.
pub(super) const P: [u64; 3] = [0xd_30ed_0000_0001, 0xf_c094_cf91_b992, 0x22_4698];

/// -1/p modulo 2^52.
pub(super) const NEGATIVE_INVERSE: u64 = 0xd_30ec_ffff_ffff;

/// Where in a limb the lowest six bits of `m * 2^46` are.
pub(super) const LOW_PART: u64 = MASK & !((1 << TOP_SHIFT) - 1);
/// As a truth table: the second operand where the first has ones, otherwise the third.
pub(super) const SELECT: i32 = 0xca;

/// What an accumulator's columns 0 to 4 start with instead of zero, so that their carries, which must
/// be rounded up, are plain shifts ([`reduce_step`]).
pub(super) const RAISE: u64 = MASK;
/// The same for a square, whose columns 1 to 8 are doubled: an even number each, and one more from
/// the column before, which carries one too many.
pub(super) const RAISE_FOR_SQUARE: [u64; 5] = [2 * MASK + 1, MASK, MASK, MASK, MASK >> 1];

/// A limb of eight elements.
pub(super) type Vector = __m512i;
/// Eight elements.
pub(super) type Element = [Vector; 5];
/// A product before its reduction: ten columns of weight 2^(52 i).
pub(super) type Wide = [Vector; 10];
/// One element as limbs, the same in all lanes.
pub(super) type Constant = [u64; 5];

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn broadcast(constant: &Constant) -> Element {
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
pub(super) fn add(a: &Element, b: &Element) -> Element {
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
pub(super) fn carry(mut a: Element) -> Element {
    for limb in 0..4 {
        a[limb + 1] = _mm512_add_epi64(a[limb + 1], _mm512_srli_epi64::<LIMB_BITS>(a[limb]));
    }
    a
}

/// Adds an element, times 2^260, to an accumulator.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn add_shifted(wide: &mut Wide, element: &Element) {
    for limb in 0..5 {
        wide[5 + limb] = _mm512_add_epi64(wide[5 + limb], element[limb]);
    }
}

/// An element times 2^260, unreduced.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn shifted(element: &Element) -> Wide {
    let raise = set(RAISE);
    let [a, b, c, d, e] = *element;
    [raise, raise, raise, raise, raise, a, b, c, d, e]
}

/// Zero, as an accumulator.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn raised() -> Wide {
    shifted(&[_mm512_setzero_si512(); 5])
}

/// Zero, as an accumulator for a square.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn raised_for_square() -> Wide {
    let mut wide = raised();
    for column in 0..5 {
        wide[column] = set(RAISE_FOR_SQUARE[column]);
    }
    wide
}

/// Doubles the columns that products of different limbs are in.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn double(wide: &mut Wide) {
    for column in &mut wide[1..9] {
        *column = _mm512_add_epi64(*column, *column);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn add_product(wide: &mut Wide, a: &Element, b: &Element) {
    for row in 0..5 {
        multiply_row(wide, row, a, b);
    }
}

/// Adds limb `row` of `a` times `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiply_row(wide: &mut Wide, row: usize, a: &Element, b: &Element) {
    for column in 0..5 {
        multiply(wide, row + column, a[row], b[column]);
    }
}

/// Adds the product of two limbs whose weight is 2^(52 `column`).
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiply(wide: &mut Wide, column: usize, a: Vector, b: Vector) {
    wide[column] = _mm512_madd52lo_epu64(wide[column], a, b);
    wide[column + 1] = _mm512_madd52hi_epu64(wide[column + 1], a, b);
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn reduce(wide: &Wide) -> Element {
    let mut t = *wide;
    let m = reduce_step::<0>(&mut t, None);
    let m = reduce_step::<1>(&mut t, Some(m));
    let m = reduce_step::<2>(&mut t, Some(m));
    let m = reduce_step::<3>(&mut t, Some(m));
    let m = reduce_step::<4>(&mut t, Some(m));
    upper(t, m)
}

/// What remains of a reduction after the last step: the high bits of the last `m * 2^46`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn upper(t: Wide, m: Vector) -> Element {
    let [_, _, _, _, _, a, b, c, d, e] = t;
    let high = _mm512_and_si512(
        _mm512_srli_epi64::<{ LIMB_BITS - TOP_SHIFT }>(m),
        set((1 << TOP_SHIFT) - 1),
    );
    [a, b, c, d, _mm512_add_epi64(e, high)]
}

/// Adds the multiple of p, `m * p`, that clears column `I`, and carries that column into the next.
/// Takes the `m` of the step before and gives its own, whose bits from 52 on mean nothing.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn reduce_step<const I: usize>(t: &mut Wide, previous: Option<Vector>) -> Vector {
    // The column is raised by 2^52 - 1, which is -1 here: one more inverse makes up for it.
    let m = _mm512_madd52lo_epu64(set(NEGATIVE_INVERSE), t[I], set(NEGATIVE_INVERSE));
    // The lowest limb of m * p is what is missing to the next multiple of 2^52, or 0: the carry is
    // the true column divided by 2^52, rounded up.
    let carry = _mm512_srli_epi64::<LIMB_BITS>(t[I]);
    // An accumulator of its own shortens the chain to the next step.
    let carry = _mm512_madd52hi_epu64(carry, m, set(P[0]));
    t[I + 1] = _mm512_madd52lo_epu64(t[I + 1], m, set(P[1]));
    t[I + 1] = _mm512_add_epi64(t[I + 1], carry);
    t[I + 2] = _mm512_madd52hi_epu64(t[I + 2], m, set(P[1]));
    t[I + 2] = _mm512_madd52lo_epu64(t[I + 2], m, set(P[2]));
    t[I + 3] = _mm512_madd52hi_epu64(t[I + 3], m, set(P[2]));
    // m * 2^46 straddles two columns. Its low six bits go beside the high bits of the step before.
    let low = _mm512_slli_epi64::<TOP_SHIFT>(m);
    let both = match previous {
        None => _mm512_and_si512(low, set(LOW_PART)),
        Some(previous) => {
            let high = _mm512_srli_epi64::<{ LIMB_BITS - TOP_SHIFT }>(previous);
            _mm512_ternarylogic_epi64::<SELECT>(set(LOW_PART), low, high)
        }
    };
    t[I + 4] = _mm512_add_epi64(t[I + 4], both);
    m
}

/// Makes what is written after this wait for what is written before: no instruction, but the compiler
/// must take the operands for changed.
///
/// Left alone, LLVM's scheduler undoes the interleaving and spills more (2.77 us instead of 2.55 us on
/// Zen 4; that it is the scheduler shows with `-C llvm-args=-enable-misched=false`, which gives
/// 2.57 us). Naming more of the operands is slower again, because all must be in registers here.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn in_order<const I: usize>(t: &mut Wide, w: &mut Wide) {
    let (mut a, mut b, mut c, mut d) = (t[I + 1], w[I + 1], w[I + 2], w[I + 3]);
    // SAFETY: does nothing at all.
    unsafe {
        asm!(
            "/* {a} {b} {c} {d} */",
            a = inout(zmm_reg) a,
            b = inout(zmm_reg) b,
            c = inout(zmm_reg) c,
            d = inout(zmm_reg) d,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    (t[I + 1], w[I + 1], w[I + 2], w[I + 3]) = (a, b, c, d);
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn set(value: u64) -> Vector {
    _mm512_set1_epi64(value as i64)
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
        let mut w = raised_for_square();
        let m = reduce_step::<0>(&mut t, None);
        for j in 1..5 {
            multiply(&mut w, j, a[0], a[j]);
        }
        in_order::<0>(&mut t, &mut w);
        let m = reduce_step::<1>(&mut t, Some(m));
        for j in 2..5 {
            multiply(&mut w, 1 + j, a[1], a[j]);
        }
        in_order::<1>(&mut t, &mut w);
        let m = reduce_step::<2>(&mut t, Some(m));
        for j in 3..5 {
            multiply(&mut w, 2 + j, a[2], a[j]);
        }
        multiply(&mut w, 7, a[3], a[4]);
        // Twice the products of different limbs, then the squares.
        double(&mut w);
        in_order::<2>(&mut t, &mut w);
        let m = reduce_step::<3>(&mut t, Some(m));
        multiply(&mut w, 0, a[0], a[0]);
        multiply(&mut w, 2, a[1], a[1]);
        in_order::<3>(&mut t, &mut w);
        let m = reduce_step::<4>(&mut t, Some(m));
        multiply(&mut w, 4, a[2], a[2]);
        multiply(&mut w, 6, a[3], a[3]);
        multiply(&mut w, 8, a[4], a[4]);
        (upper(t, m), w)
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
        let m = reduce_step::<0>(&mut t, None);
        multiply_row(&mut w, 0, a, b);
        in_order::<0>(&mut t, &mut w);
        let m = reduce_step::<1>(&mut t, Some(m));
        multiply_row(&mut w, 1, a, b);
        in_order::<1>(&mut t, &mut w);
        let m = reduce_step::<2>(&mut t, Some(m));
        multiply_row(&mut w, 2, a, b);
        in_order::<2>(&mut t, &mut w);
        let m = reduce_step::<3>(&mut t, Some(m));
        multiply_row(&mut w, 3, a, b);
        in_order::<3>(&mut t, &mut w);
        let m = reduce_step::<4>(&mut t, Some(m));
        multiply_row(&mut w, 4, a, b);
        (upper(t, m), w)
    }};
}

/// Reduces `pending` and gives `start` plus the products of `a` and `b` with one constant each.
macro_rules! beside_pair {
    ($pending:expr, $start:expr, $a:expr, $b:expr, $constants:expr) => {{
        let pending = $pending;
        let a = $a;
        let b = $b;
        let constants = $constants;
        let mut t = *pending;
        let mut w = $start;
        let first = broadcast(&constants[0]);
        let second = broadcast(&constants[1]);
        let m = reduce_step::<0>(&mut t, None);
        multiply_row(&mut w, 0, a, &first);
        multiply_row(&mut w, 0, b, &second);
        in_order::<0>(&mut t, &mut w);
        let m = reduce_step::<1>(&mut t, Some(m));
        multiply_row(&mut w, 1, a, &first);
        multiply_row(&mut w, 1, b, &second);
        in_order::<1>(&mut t, &mut w);
        let m = reduce_step::<2>(&mut t, Some(m));
        multiply_row(&mut w, 2, a, &first);
        multiply_row(&mut w, 2, b, &second);
        in_order::<2>(&mut t, &mut w);
        let m = reduce_step::<3>(&mut t, Some(m));
        multiply_row(&mut w, 3, a, &first);
        multiply_row(&mut w, 3, b, &second);
        in_order::<3>(&mut t, &mut w);
        let m = reduce_step::<4>(&mut t, Some(m));
        multiply_row(&mut w, 4, a, &first);
        multiply_row(&mut w, 4, b, &second);
        (upper(t, m), w)
    }};
}

pub(super) use {beside_pair, beside_product, beside_square};
