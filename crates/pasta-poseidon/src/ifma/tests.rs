use proptest::prelude::*;

use super::arithmetic::{NEGATIVE_INVERSE, P, RAISE, TOP_SHIFT, set};
use super::*;

/// Columns of eight lanes.
type Columns<const N: usize> = [[u64; LANES]; N];

#[target_feature(enable = "avx512f,avx512ifma")]
fn reduced(columns: Columns<10>) -> Columns<5> {
    let mut wide = columns.map(|column| vector(column));
    for column in &mut wide[..5] {
        *column = std::arch::x86_64::_mm512_add_epi64(*column, set(RAISE));
    }
    reduce(&wide).map(|limb| lanes(limb))
}

/// The square of `a`; and the product, the product plus `constants[0]` and the sum of products with
/// both constants, all beside a reduction, whose result is `a` again.
#[target_feature(enable = "avx512f,avx512ifma")]
fn products(a: Columns<5>, b: Columns<5>, constants: &[Constant; 2]) -> [Columns<5>; 4] {
    let a = a.map(|limb| vector(limb));
    let b = carry(b.map(|limb| vector(limb)));
    let (a, square) = beside_square!(&shifted(&a), &carry(a));
    let (a, product) = beside_product!(&shifted(&a), &carry(a), &b, &[0; 5]);
    let (a, sum) = beside_product!(&shifted(&a), &carry(a), &b, &constants[0]);
    let (_, pair) = beside_pair!(&shifted(&a), raised(), &carry(a), &b, constants);
    [square, product, sum, pair].map(|wide| reduce(&wide).map(|limb| lanes(limb)))
}

/// The element that the columns of a lane stand for.
fn value(columns: &[[u64; LANES]], lane: usize) -> Fp {
    let base = Fp::from_u64(1 << LIMB_BITS);
    columns.iter().rev().fold(Fp::ZERO, |sum, column| {
        sum * base + Fp::from_u64(column[lane])
    })
}

fn two_to_the_260() -> Fp {
    Fp::from_limbs_reduced([0, 0, 0, 1 << 63]) * Fp::from_u64(32)
}

/// Numbers of up to `bits` bits: the largest, zero in the lowest 52, where a carry that should be
/// rounded up is not, and others.
fn number(bits: u32) -> impl Strategy<Value = u64> {
    let mask = u64::MAX >> (64 - bits);
    prop_oneof![
        2 => Just(mask),
        1 => Just(0),
        1 => Just(1),
        1 => any::<u64>().prop_map(move |value| value & mask & !MASK),
        1 => any::<u64>().prop_map(move |value| value & mask & !MASK | 1),
        4 => any::<u64>().prop_map(move |value| value & mask),
    ]
}

fn columns<const N: usize>(bits: u32) -> impl Strategy<Value = Columns<N>> {
    prop::collection::vec(number(bits), N * LANES).prop_map(|numbers| {
        std::array::from_fn(|column| std::array::from_fn(|lane| numbers[column * LANES + lane]))
    })
}

fn constant_limbs() -> impl Strategy<Value = Constant> {
    prop::collection::vec(number(LIMB_BITS), 5)
        .prop_map(|limbs| std::array::from_fn(|limb| limbs[limb]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Columns as large as the last round makes them.
    #[test]
    fn reductions_divide_by_two_to_the_260(columns in columns::<10>(58)) {
        if !is_available() {
            return Ok(());
        }
        // SAFETY: the features that the function enables were just found on this processor.
        let found = unsafe { reduced(columns) };
        for lane in 0..LANES {
            prop_assert_eq!(value(&found, lane) * two_to_the_260(), value(&columns, lane));
        }
    }

    /// Limbs of 57 bits, but for the highest: with carries, they are all of 2^260.
    #[test]
    fn products_are_those_of_the_field(
        mut a in columns::<5>(57),
        mut b in columns::<5>(57),
        constants in prop::array::uniform2(constant_limbs()),
    ) {
        if !is_available() {
            return Ok(());
        }
        for highest in a[4].iter_mut().chain(&mut b[4]) {
            // Leaves room for a carry, and for what the reductions in between add.
            *highest &= MASK >> 2;
        }
        // SAFETY: the features that the function enables were just found on this processor.
        let found = unsafe { products(a, b, &constants) };
        let [first, second] = constants.map(|limbs| value(&limbs.map(|limb| [limb; LANES]), 0));
        for lane in 0..LANES {
            let (a, b) = (value(&a, lane), value(&b, lane));
            let expected = [a * a, a * b, a * b + first * two_to_the_260(), a * first + b * second];
            for (found, expected) in found.iter().zip(expected) {
                prop_assert_eq!(value(found, lane) * two_to_the_260(), expected);
            }
        }
    }

    #[test]
    fn split_and_join(limbs: [u64; 4]) {
        prop_assert_eq!(
            join(split(&limbs)),
            Fp::from_montgomery(limbs::reduce_to_two_p(limbs))
        );
    }
}

/// Every factor all ones, which no computation reaches: the columns are then as large as they get.
#[test]
fn all_ones() {
    if !is_available() {
        return;
    }
    let ones = [[MASK; LANES]; 5];
    let element = value(&ones, 0);
    // SAFETY: the features that the function enables were just found on this processor.
    let found = unsafe { products(ones, ones, &[[MASK; 5]; 2]) };
    let square = element * element;
    let expected = [
        square,
        square,
        square + element * two_to_the_260(),
        square + square,
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(value(found, 0) * two_to_the_260(), expected);
    }
}

#[test]
fn constants_are_what_they_say() {
    let modulus = split(&limbs::P);
    assert_eq!(modulus, [P[0], P[1], P[2], 0, 1 << TOP_SHIFT]);
    assert_eq!(P[0].wrapping_mul(NEGATIVE_INVERSE) & MASK, MASK);
}
