//! Field laws, checked against a reference that knows nothing of Montgomery or limbs of 64 bits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cmp::Ordering;

use pasta_poseidon::Fp;
use proptest::prelude::*;

/// Naive arithmetic on little-endian bits: addition bit by bit, multiplication by doubling.
mod naive {
    pub type Bits = [bool; 256];

    const P_BE_HEX: &str = "40000000000000000000000000000000224698fc094cf91b992d30ed00000001";

    pub fn modulus() -> Bits {
        let mut bits = [false; 256];
        for (index, digit) in P_BE_HEX.chars().rev().enumerate() {
            let digit = digit.to_digit(16).unwrap();
            for bit in 0..4 {
                bits[4 * index + bit] = digit >> bit & 1 == 1;
            }
        }
        bits
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Bits {
        std::array::from_fn(|index| bytes[index / 8] >> (index % 8) & 1 == 1)
    }

    pub fn to_bytes(bits: &Bits) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (index, bit) in bits.iter().enumerate() {
            bytes[index / 8] |= u8::from(*bit) << (index % 8);
        }
        bytes
    }

    pub fn less(a: &Bits, b: &Bits) -> bool {
        a.iter().rev().lt(b.iter().rev())
    }

    pub fn subtract(a: &Bits, b: &Bits) -> Bits {
        let mut borrow = false;
        std::array::from_fn(|index| {
            let difference = i8::from(a[index]) - i8::from(b[index]) - i8::from(borrow);
            borrow = difference < 0;
            difference & 1 == 1
        })
    }

    pub fn reduce(a: Bits) -> Bits {
        let mut a = a;
        while !less(&a, &modulus()) {
            a = subtract(&a, &modulus());
        }
        a
    }

    pub fn add(a: &Bits, b: &Bits) -> Bits {
        let mut carry = false;
        let sum = std::array::from_fn(|index| {
            let ones = u8::from(a[index]) + u8::from(b[index]) + u8::from(carry);
            carry = ones > 1;
            ones & 1 == 1
        });
        assert!(!carry, "operands below 2^255 only");
        reduce(sum)
    }

    pub fn multiply(a: &Bits, b: &Bits) -> Bits {
        let mut product = [false; 256];
        for bit in b.iter().rev() {
            product = add(&product, &product);
            if *bit {
                product = add(&product, a);
            }
        }
        product
    }
}

fn modulus_bytes() -> [u8; 32] {
    naive::to_bytes(&naive::modulus())
}

/// p - n as an element.
fn minus(n: u64) -> Fp {
    -Fp::from_u64(n)
}

/// Elements near the ends of the range and of limbs as often as arbitrary ones.
fn element() -> impl Strategy<Value = Fp> {
    prop_oneof![
        3 => any::<[u8; 32]>().prop_map(|bytes| Fp::from_le_bytes_reduced(&bytes)),
        1 => (0_u64..4).prop_map(Fp::from_u64),
        1 => (0_u64..4).prop_map(minus),
        1 => prop::array::uniform4(prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(1 << 63)])
            .prop_map(Fp::from_limbs_reduced),
    ]
}

fn bits(element: Fp) -> naive::Bits {
    naive::from_bytes(&element.to_le_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arithmetic_equals_the_naive_one(a in element(), b in element()) {
        prop_assert_eq!(bits(a + b), naive::add(&bits(a), &bits(b)));
        prop_assert_eq!(bits(a * b), naive::multiply(&bits(a), &bits(b)));
        prop_assert_eq!(bits(a.square()), naive::multiply(&bits(a), &bits(a)));
        prop_assert_eq!(a - b + b, a);
        prop_assert_eq!(a + -a, Fp::ZERO);
        prop_assert_eq!(a - b, a + -b);
        let mut sum = a;
        sum += b;
        prop_assert_eq!(sum, a + b);
    }

    #[test]
    fn powers_are_repeated_products(a in element()) {
        let square = a * a;
        prop_assert_eq!(a.square(), square);
        prop_assert_eq!(a.pow5(), square * square * a);
        prop_assert_eq!(a.pow7(), square * square * square * a);
    }

    #[test]
    fn field_laws(a in element(), b in element(), c in element()) {
        prop_assert_eq!(a * b, b * a);
        prop_assert_eq!((a * b) * c, a * (b * c));
        prop_assert_eq!(a * (b + c), a * b + a * c);
        prop_assert_eq!(a * Fp::ONE, a);
        prop_assert_eq!(a + Fp::ZERO, a);
    }

    #[test]
    fn bytes_limbs_and_decimals_round_trip(bytes: [u8; 32], a in element()) {
        let reduced = Fp::from_le_bytes_reduced(&bytes);
        let integer = naive::from_bytes(&bytes);
        prop_assert_eq!(bits(reduced), naive::reduce(integer));
        prop_assert_eq!(
            Fp::from_le_bytes(&bytes),
            naive::less(&integer, &naive::modulus()).then_some(reduced)
        );
        prop_assert_eq!(Fp::from_le_bytes(&a.to_le_bytes()), Some(a));
        prop_assert_eq!(Fp::from_canonical_limbs(a.to_canonical_limbs()), Some(a));
        prop_assert_eq!(Fp::from_decimal(&a.to_decimal()), Some(a));
        prop_assert_eq!(a.to_string(), a.to_decimal());
    }

    #[test]
    fn decimals_are_those_of_the_standard_library(value: u128) {
        let limbs = [value as u64, (value >> 64) as u64, 0, 0];
        let element = Fp::from_limbs_reduced(limbs);
        prop_assert_eq!(element.to_decimal(), value.to_string());
        prop_assert_eq!(Fp::from_decimal(&value.to_string()), Some(element));
    }

    #[test]
    fn canonical_order_is_that_of_the_integers(a in element(), b in element()) {
        let (x, y) = (bits(a), bits(b));
        let expected = if naive::less(&x, &y) {
            Ordering::Less
        } else if naive::less(&y, &x) {
            Ordering::Greater
        } else {
            Ordering::Equal
        };
        prop_assert_eq!(a.cmp_canonical(&b), expected);
        prop_assert_eq!(a == b, expected == Ordering::Equal);
    }
}

#[test]
fn boundaries() {
    let mut bytes = modulus_bytes();
    assert_eq!(Fp::from_le_bytes(&bytes), None, "p is not canonical");
    assert_eq!(Fp::from_le_bytes_reduced(&bytes), Fp::ZERO);
    bytes[0] = 0;
    assert_eq!(Fp::from_le_bytes(&bytes), Some(minus(1)), "p - 1 is");
    assert_eq!(minus(1).to_le_bytes(), bytes);
    assert_eq!(Fp::from_le_bytes(&[0xFF; 32]), None);

    assert_eq!(Fp::from_u64(0), Fp::ZERO);
    assert_eq!(Fp::from_u64(1), Fp::ONE);
    assert_eq!(Fp::default(), Fp::ZERO);
    assert!(Fp::ZERO.is_zero() && !Fp::ONE.is_zero());
    assert_eq!(minus(1) + Fp::ONE, Fp::ZERO);
    assert_eq!(minus(1) + minus(1), minus(2));
    assert_eq!(minus(1) * minus(1), Fp::ONE);
    assert_eq!(minus(1).square(), Fp::ONE);
    assert_eq!(minus(2).square(), Fp::from_u64(4));
    assert_eq!(minus(2).pow5(), minus(32));
    assert_eq!(minus(2).pow7(), minus(128));
    assert_eq!(-Fp::ZERO, Fp::ZERO);
    assert_eq!(minus(1).cmp_canonical(&Fp::ZERO), Ordering::Greater);
    assert_eq!(minus(2).cmp_canonical(&minus(1)), Ordering::Less);
}

#[test]
fn decimals_are_digits_below_the_modulus() {
    let modulus = "28948022309329048855892746252171976963363056481941560715954676764349967630337";
    let largest = "28948022309329048855892746252171976963363056481941560715954676764349967630336";
    assert_eq!(Fp::from_decimal(largest), Some(minus(1)));
    assert_eq!(minus(1).to_decimal(), largest);
    assert_eq!(format!("{:?}", minus(1)), format!("Fp({largest})"));
    assert_eq!(Fp::from_decimal(modulus), None);
    assert_eq!(Fp::from_decimal("0"), Some(Fp::ZERO));
    assert_eq!(Fp::ZERO.to_decimal(), "0");
    assert_eq!(Fp::from_decimal("007"), Some(Fp::from_u64(7)));
    // A power of 10^19 has whole chunks of zeros inside.
    let round = "100000000000000000000000000000000000000";
    assert_eq!(Fp::from_decimal(round).unwrap().to_decimal(), round);
    let nines = "9".repeat(77);
    let too_long = format!("0{largest}");
    for bad in [
        "", "+1", "-1", " 1", "1 ", "1.0", "0x1", "1_0", "٣", &nines, &too_long,
    ] {
        assert_eq!(Fp::from_decimal(bad), None, "{bad:?}");
    }
}
