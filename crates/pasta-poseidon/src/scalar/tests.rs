use proptest::prelude::*;

use super::*;
use crate::limbs::P;

/// Limbs at the ends of their range as often as others: sparse numbers are those whose folding goes
/// below zero.
fn limb() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0),
        1 => Just(1),
        1 => Just(1 << 32),
        1 => Just(1 << 62),
        1 => Just(1 << 63),
        2 => Just(u64::MAX),
        3 => any::<u64>(),
    ]
}

fn residue() -> impl Strategy<Value = Limbs> {
    prop::array::uniform4(limb())
}

/// A number below p, as a factor of `dot_add` must be.
fn canonical() -> impl Strategy<Value = Limbs> {
    residue().prop_map(|limbs| {
        let [a, b, c, d] = limbs;
        let below = [a, b, c, d >> 2];
        if limbs::subtract(&below, &P).1 {
            below
        } else {
            limbs::subtract(&P, &[1, 0, 0, 0]).0
        }
    })
}

fn element(residue: &Limbs) -> Fp {
    Fp::from_limbs_reduced(*residue)
}

fn check<A: Arithmetic>(arithmetic: A, [a, b, c]: &[Limbs; 3]) {
    let product = element(a) * element(b);
    assert_eq!(
        element(&arithmetic.square(a)),
        element(a).square(),
        "{a:x?}"
    );
    assert_eq!(
        element(&arithmetic.multiply(a, b)),
        product,
        "{a:x?} {b:x?}"
    );
    assert_eq!(
        element(&arithmetic.multiply_add(a, b, c)),
        product + element(c),
        "{a:x?} {b:x?} {c:x?}"
    );
}

fn check_dot<A: Arithmetic>(arithmetic: A, a: &[Limbs; 2], b: &[Limbs; 2], c: &Limbs) {
    assert_eq!(
        element(&arithmetic.dot_add(a, b, c)),
        element(&a[0]) * element(&b[0]) + element(&a[1]) * element(&b[1]) + element(c),
        "{a:x?} {b:x?} {c:x?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn products_are_those_of_the_field(
        factors in prop::array::uniform3(residue()),
        left in prop::array::uniform2(residue()),
        right in prop::array::uniform2(canonical()),
    ) {
        check(Portable, &factors);
        check_dot(Portable, &left, &right, &factors[2]);
        if let Some(adx) = Adx::detect() {
            check(adx, &factors);
            check_dot(adx, &left, &right, &factors[2]);
        }
    }
}

/// All pairs of numbers of extreme limbs.
#[test]
fn extreme_limbs() {
    const LIMBS: [u64; 4] = [0, 1, 1 << 63, u64::MAX];
    let number =
        |code: usize| -> Limbs { std::array::from_fn(|limb| LIMBS[code >> (2 * limb) & 3]) };
    for left in 0..256 {
        for right in 0..256 {
            let factors = [number(left), number(right), number(left ^ right)];
            check(Portable, &factors);
            if let Some(adx) = Adx::detect() {
                check(adx, &factors);
            }
        }
    }
}

/// Products with one limb above the lowest four and nothing below it: folding that limb goes below
/// zero, once at each of the four places.
#[test]
fn every_fold_that_goes_below_zero() {
    let powers = [(255, 255), (192, 193), (192, 130), (128, 129)];
    for ((first, second), top) in powers.into_iter().zip((4..8).rev()) {
        assert_eq!((first + second) / 64, top);
        let power = |exponent: usize| {
            let mut limbs = [0; 4];
            limbs[exponent / 64] = 1 << (exponent % 64);
            limbs
        };
        let (a, b) = (power(first), power(second));
        check(Portable, &[a, b, [0; 4]]);
        if let Some(adx) = Adx::detect() {
            check(adx, &[a, b, [0; 4]]);
        }
    }
}

#[test]
fn the_largest_sum_fits() {
    let max = [u64::MAX; 4];
    let factor = limbs::subtract(&P, &[1, 0, 0, 0]).0;
    check_dot(Portable, &[max; 2], &[factor; 2], &max);
    check(Portable, &[max; 3]);
    if let Some(adx) = Adx::detect() {
        check_dot(adx, &[max; 2], &[factor; 2], &max);
        check(adx, &[max; 3]);
    }
}

#[test]
fn the_excess_is_what_it_says() {
    // 4p - 2^256 is (p << 2) without its carry.
    let [a, b, c, d] = P;
    assert_eq!([a << 2, b << 2 | a >> 62], EXCESS);
    assert_eq!((b >> 62, c, d << 2, d >> 62), (0, 0, 0, 1));
}
