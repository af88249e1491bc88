//! 256-bit Montgomery arithmetic modulo p, on four 64-bit limbs, least significant first.
//!
//! p = 2^254 + t with t < 2^126, so limb 2 is zero and limb 3 is a single bit: a reduction step
//! costs three multiplications where a general modulus needs five.
//!
//! This is what [`crate::Fp`] computes with, also while compiling; permutations have arithmetic of
//! their own ([`crate::scalar`]).
//!
//! Values are *loose*: a residue is any 256-bit number of its class, and every function says which
//! range it takes and gives. [`reduce_once`] gives the canonical residue at the end.
//!
//! Everything wraps explicitly: the workspace builds releases with overflow checks, which would cost
//! a branch per limb, and none of these sums can overflow (each function's bound shows it).

/// A 256-bit number, least significant limb first.
pub(crate) type Limbs = [u64; 4];

/// p = 0x40000000000000000000000000000000224698fc094cf91b992d30ed00000001.
pub(crate) const P: Limbs = [0x992d_30ed_0000_0001, 0x2246_98fc_094c_f91b, 0, 1 << 62];

/// 2p.
const TWO_P: Limbs = [
    0x325a_61da_0000_0002,
    0x448d_31f8_1299_f237,
    0,
    0x8000_0000_0000_0000,
];

/// 2^256 mod p: one, in Montgomery form.
pub(crate) const R: Limbs = [
    0x3478_6d38_ffff_fffd,
    0x992c_350b_e419_14ad,
    0xffff_ffff_ffff_ffff,
    0x3fff_ffff_ffff_ffff,
];

/// 2^512 mod p: the factor that takes a number into Montgomery form.
pub(crate) const R2: Limbs = [
    0x8c78_ecb3_0000_000f,
    0xd7d3_0dbd_8b0d_e0e7,
    0x7797_a99b_c3c9_5d18,
    0x096d_41af_7b9c_b714,
];

/// -p^-1 mod 2^64.
const NEGATIVE_INVERSE: u64 = 0x992d_30ec_ffff_ffff;

/// `acc + a * b + carry`, as (low limb, carry). The sum is at most 2^128 - 1.
#[inline(always)]
const fn mac(acc: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let wide = (a as u128)
        .wrapping_mul(b as u128)
        .wrapping_add(acc as u128)
        .wrapping_add(carry as u128);
    (wide as u64, (wide >> 64) as u64)
}

/// `a + b + carry`, as (low limb, carry).
#[inline(always)]
const fn adc(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let wide = (a as u128)
        .wrapping_add(b as u128)
        .wrapping_add(carry as u128);
    (wide as u64, (wide >> 64) as u64)
}

/// `a - b - borrow`, as (low limb, borrow); a borrow is 0 or 1.
#[inline(always)]
const fn sbb(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let wide = (a as u128)
        .wrapping_sub(b as u128)
        .wrapping_sub(borrow as u128);
    (wide as u64, ((wide >> 64) as u64) & 1)
}

/// `t + a * b` over five limbs, where the fifth is the overflow.
#[inline(always)]
const fn row(t: [u64; 5], a: u64, b: &Limbs) -> [u64; 5] {
    let (t0, carry) = mac(t[0], a, b[0], 0);
    let (t1, carry) = mac(t[1], a, b[1], carry);
    let (t2, carry) = mac(t[2], a, b[2], carry);
    let (t3, carry) = mac(t[3], a, b[3], carry);
    [t0, t1, t2, t3, t[4].wrapping_add(carry)]
}

/// One Montgomery step: adds the multiple of p that clears the lowest limb, and drops that limb.
///
/// Exact when `t + (2^64 - 1) * p` fits five limbs; every caller's bound also keeps the result below
/// 2^256, so that its fifth limb is zero.
#[inline(always)]
const fn step(t: [u64; 5]) -> [u64; 5] {
    let m = t[0].wrapping_mul(NEGATIVE_INVERSE);
    let (_, carry) = mac(t[0], m, P[0], 0);
    let (r0, carry) = mac(t[1], m, P[1], carry);
    // Limb 2 of p is zero and limb 3 is 2^62, whose product straddles two limbs.
    let (r1, carry) = adc(t[2], 0, carry);
    let (r2, carry) = adc(t[3], m << 62, carry);
    let (r3, carry) = adc(t[4], m >> 2, carry);
    [r0, r1, r2, r3, carry]
}

/// `a * b / 2^256`, loosely reduced.
///
/// The result is below `a * b / 2^256 + p`: below 2p (but for a few parts in 2^128) when both are
/// below 2p, which lets powers be chained; and below 2p for any 256-bit `a` when `b < p`.
#[inline(always)]
pub(crate) const fn mul(a: &Limbs, b: &Limbs) -> Limbs {
    let t = step(row([0; 5], a[0], b));
    let t = step(row([t[0], t[1], t[2], t[3], 0], a[1], b));
    let t = step(row([t[0], t[1], t[2], t[3], 0], a[2], b));
    let t = step(row([t[0], t[1], t[2], t[3], 0], a[3], b));
    [t[0], t[1], t[2], t[3]]
}

/// `a * a / 2^256`, bounded like [`mul`]; six limb products fewer.
#[inline(always)]
pub(crate) const fn square(a: &Limbs) -> Limbs {
    // The products of different limbs, once.
    let (w1, carry) = mac(0, a[0], a[1], 0);
    let (w2, carry) = mac(0, a[0], a[2], carry);
    let (w3, w4) = mac(0, a[0], a[3], carry);
    let (w3, carry) = mac(w3, a[1], a[2], 0);
    let (w4, w5) = mac(w4, a[1], a[3], carry);
    let (w5, w6) = mac(w5, a[2], a[3], 0);
    // Twice them.
    let w7 = w6 >> 63;
    let w6 = (w6 << 1) | (w5 >> 63);
    let w5 = (w5 << 1) | (w4 >> 63);
    let w4 = (w4 << 1) | (w3 >> 63);
    let w3 = (w3 << 1) | (w2 >> 63);
    let w2 = (w2 << 1) | (w1 >> 63);
    let w1 = w1 << 1;
    // And the squares.
    let (w0, carry) = mac(0, a[0], a[0], 0);
    let (w1, carry) = adc(w1, 0, carry);
    let (w2, carry) = mac(w2, a[1], a[1], carry);
    let (w3, carry) = adc(w3, 0, carry);
    let (w4, carry) = mac(w4, a[2], a[2], carry);
    let (w5, carry) = adc(w5, 0, carry);
    let (w6, carry) = mac(w6, a[3], a[3], carry);
    let w7 = w7.wrapping_add(carry);

    // Reducing the low half alone keeps every step's fifth limb zero: it gives at most p.
    let t = step(step(step(step([w0, w1, w2, w3, 0]))));
    add([t[0], t[1], t[2], t[3]], &[w4, w5, w6, w7])
}

/// `a + b`; the caller knows that it is below 2^256.
#[inline(always)]
pub(crate) const fn add(a: Limbs, b: &Limbs) -> Limbs {
    let (r0, carry) = adc(a[0], b[0], 0);
    let (r1, carry) = adc(a[1], b[1], carry);
    let (r2, carry) = adc(a[2], b[2], carry);
    let (r3, _) = adc(a[3], b[3], carry);
    [r0, r1, r2, r3]
}

/// `a - b` and whether it was negative (the difference is then 2^256 too large).
#[inline(always)]
pub(crate) const fn subtract(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, borrow) = sbb(a[0], b[0], 0);
    let (r1, borrow) = sbb(a[1], b[1], borrow);
    let (r2, borrow) = sbb(a[2], b[2], borrow);
    let (r3, borrow) = sbb(a[3], b[3], borrow);
    ([r0, r1, r2, r3], borrow != 0)
}

/// `a` or `a - b`, whichever is the smallest that is not negative. Without a branch: nothing
/// predicts it.
#[inline(always)]
const fn subtract_if_not_below(a: Limbs, b: &Limbs) -> Limbs {
    let (difference, below) = subtract(&a, b);
    let keep = (below as u64).wrapping_neg();
    [
        difference[0] ^ (keep & (difference[0] ^ a[0])),
        difference[1] ^ (keep & (difference[1] ^ a[1])),
        difference[2] ^ (keep & (difference[2] ^ a[2])),
        difference[3] ^ (keep & (difference[3] ^ a[3])),
    ]
}

/// Takes a number below 4p to one below 2p.
#[inline(always)]
pub(crate) const fn reduce_to_two_p(a: Limbs) -> Limbs {
    subtract_if_not_below(a, &TWO_P)
}

/// Takes a number below 2p to the canonical residue, below p.
#[inline(always)]
pub(crate) const fn reduce_once(a: Limbs) -> Limbs {
    subtract_if_not_below(a, &P)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Residues from all of 0 to 2p - 1, the ends as often as the middle.
    fn loose() -> impl Strategy<Value = Limbs> {
        let below = |number: u64| subtract(&TWO_P, &[number, 0, 0, 0]).0;
        prop_oneof![
            2 => any::<Limbs>().prop_map(|limbs| reduce_to_two_p(reduce_to_two_p(limbs))),
            1 => (1_u64..3).prop_map(below),
            1 => (0_u64..3).prop_map(|number| [number, 0, 0, 0]),
            1 => Just(P),
        ]
    }

    fn canonical(limbs: Limbs) -> Limbs {
        reduce_once(reduce_once(reduce_to_two_p(limbs)))
    }

    /// Whether `limbs` is below 2p and a little: "a few parts in 2^128" of p are below 2^130.
    fn is_loose(limbs: &Limbs) -> bool {
        let bound = add(TWO_P, &[0, 0, 4, 0]);
        subtract(limbs, &bound).1
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn products_of_loose_residues_are_right_and_loose(a in loose(), b in loose()) {
            let exact = canonical(mul(&canonical(a), &canonical(b)));
            prop_assert!(is_loose(&mul(&a, &b)));
            prop_assert_eq!(canonical(mul(&a, &b)), exact);
            prop_assert_eq!(canonical(square(&a)), canonical(mul(&a, &a)));
            prop_assert!(is_loose(&square(&a)));
        }

        #[test]
        fn any_number_times_a_canonical_one_is_below_two_p(a: Limbs, b in loose()) {
            prop_assert!(subtract(&mul(&a, &canonical(b)), &TWO_P).1);
        }
    }

    #[test]
    fn constants_are_what_they_say() {
        assert_eq!(NEGATIVE_INVERSE.wrapping_mul(P[0]), u64::MAX);
        assert_eq!(add(P, &P), TWO_P);
        // 2^256 mod p by doubling 1, and 2^512 mod p by doubling that.
        let double_256_times =
            |start: Limbs| (0..256).fold(start, |value, _| reduce_once(add(value, &value)));
        assert_eq!(double_256_times([1, 0, 0, 0]), R);
        assert_eq!(double_256_times(R), R2);
    }
}
