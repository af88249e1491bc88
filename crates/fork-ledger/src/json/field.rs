//! Field elements as decimal and as hexadecimal text.

use fork_types::FieldBytes;

/// Decimal digits that fit one 64-bit limb.
const CHUNK_DIGITS: usize = 19;

/// 10^19, the largest power of ten below 2^64.
const CHUNK: u64 = 10_000_000_000_000_000_000;

/// Why a text is no field element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldDefect {
    /// Not decimal digits (or not the hexadecimal form, where that is expected).
    Malformed,
    /// Not below the field modulus.
    TooLarge,
}

/// Parses decimal digits only: upstream takes no hexadecimal, sign or blank here.
pub(super) fn parse_decimal(text: &str) -> Result<FieldBytes, FieldDefect> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FieldDefect::Malformed);
    }
    let mut limbs = [0_u64; 4];
    for chunk in text.as_bytes().chunks(CHUNK_DIGITS) {
        let mut value = 0_u64;
        let mut scale = 1_u64;
        for digit in chunk {
            value = value * 10 + u64::from(digit - b'0');
            scale = scale.saturating_mul(10);
        }
        multiply_add(&mut limbs, scale, value).ok_or(FieldDefect::TooLarge)?;
    }
    let mut bytes = [0; 32];
    for (target, limb) in bytes.chunks_exact_mut(8).zip(limbs) {
        target.copy_from_slice(&limb.to_le_bytes());
    }
    FieldBytes::from_le_bytes(bytes).ok_or(FieldDefect::TooLarge)
}

/// `limbs * factor + summand`, least significant limb first; `None` when it does not fit 256 bits.
fn multiply_add(limbs: &mut [u64; 4], factor: u64, summand: u64) -> Option<()> {
    let mut carry = u128::from(summand);
    for limb in limbs {
        let product = u128::from(*limb) * u128::from(factor) + carry;
        *limb = low_half(product);
        carry = product >> 64;
    }
    (carry == 0).then_some(())
}

/// The low 64 bits; the mask makes the cast lossless.
#[allow(clippy::cast_possible_truncation)]
const fn low_half(value: u128) -> u64 {
    (value & u64::MAX as u128) as u64
}

/// The decimal text of a field element, without leading zeros.
pub(super) fn to_decimal(field: FieldBytes) -> String {
    let mut limbs = [0_u64; 4];
    for (limb, bytes) in limbs.iter_mut().zip(field.as_le_bytes().chunks_exact(8)) {
        for (index, byte) in bytes.iter().enumerate() {
            *limb |= u64::from(*byte) << (8 * index);
        }
    }
    // 2^255 has 77 digits, so four chunks of 19 and a fifth of one digit.
    let mut chunks = Vec::with_capacity(5);
    while limbs.iter().any(|limb| *limb != 0) {
        chunks.push(divide_by_chunk(&mut limbs));
    }
    let Some(first) = chunks.pop() else {
        return "0".to_owned();
    };
    let mut text = first.to_string();
    for chunk in chunks.iter().rev() {
        text.push_str(&format!("{chunk:019}"));
    }
    text
}

/// Divides in place by 10^19 and returns the remainder.
fn divide_by_chunk(limbs: &mut [u64; 4]) -> u64 {
    let mut remainder = 0_u128;
    for limb in limbs.iter_mut().rev() {
        let dividend = (remainder << 64) | u128::from(*limb);
        *limb = low_half(dividend / u128::from(CHUNK));
        remainder = dividend % u128::from(CHUNK);
    }
    low_half(remainder)
}

/// Parses the block form: `0x` and 64 hexadecimal digits, most significant first.
pub(super) fn parse_block_hex(text: &str) -> Result<FieldBytes, FieldDefect> {
    let digits = text.strip_prefix("0x").ok_or(FieldDefect::Malformed)?;
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(FieldDefect::Malformed);
    }
    FieldBytes::from_be_hex(digits).ok_or(FieldDefect::TooLarge)
}

/// The block form of a field element.
pub(super) fn to_block_hex(field: FieldBytes) -> String {
    format!("0x{}", field.to_be_hex_upper())
}

#[cfg(test)]
mod tests {
    use fork_types::id::FIELD_MODULUS_LE;
    use proptest::prelude::*;

    use super::*;

    /// Modulus of the Pallas base field (`hashing.md` 1).
    const MODULUS: &str =
        "28948022309329048855892746252171976963363056481941560715954676764349967630337";

    #[test]
    fn published_numbers() {
        // The empty action element, published as number and as bytes.
        let text = "25079927036070901246064867767436987657692091363973573142121686150614948079097";
        let field = parse_decimal(text).unwrap();
        assert_eq!(
            field.to_le_hex(),
            "f96569d2dac179c81e3d0b5824ac86e8292e3fe952f7861ff857b93554bc7237"
        );
        assert_eq!(to_decimal(field), text);
    }

    #[test]
    fn the_modulus_is_the_first_number_refused() {
        assert_eq!(parse_decimal(MODULUS), Err(FieldDefect::TooLarge));
        let below = MODULUS.replace("337", "336");
        let mut bytes = FIELD_MODULUS_LE;
        bytes[0] -= 1;
        assert_eq!(parse_decimal(&below).unwrap().to_le_bytes(), bytes);
        assert_eq!(to_decimal(parse_decimal(&below).unwrap()), below);
        for huge in [78, 79, 100, 1000] {
            assert_eq!(
                parse_decimal(&"9".repeat(huge)),
                Err(FieldDefect::TooLarge),
                "{huge} digits"
            );
        }
    }

    #[test]
    fn digits_only() {
        for bad in ["", "-1", "+1", "0x1", " 1", "1 ", "1_0", "1.0", "١"] {
            assert_eq!(parse_decimal(bad), Err(FieldDefect::Malformed), "{bad:?}");
        }
        assert_eq!(parse_decimal(&"0".repeat(100)), Ok(FieldBytes::ZERO));
        assert_eq!(to_decimal(FieldBytes::ZERO), "0");
    }

    #[test]
    fn block_hex() {
        let one = format!("0x{}1", "0".repeat(63));
        assert_eq!(parse_block_hex(&one), Ok(FieldBytes::ONE));
        assert_eq!(to_block_hex(FieldBytes::ONE), one);
        assert_eq!(
            parse_block_hex(&format!("0x{}", "F".repeat(64))),
            Err(FieldDefect::TooLarge)
        );
        for bad in ["", "0x", "0x1", &one[2..], &one.replace('1', "g")] {
            assert_eq!(parse_block_hex(bad), Err(FieldDefect::Malformed), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn decimal_round_trips(mut bytes: [u8; 32], keep in 0_usize..33) {
            bytes[keep..].fill(0);
            bytes[31] &= 0x3f;
            let field = FieldBytes::from_le_bytes(bytes).unwrap();
            let text = to_decimal(field);
            prop_assert_eq!(parse_decimal(&text), Ok(field));
            prop_assert!(text == "0" || !text.starts_with('0'));
            prop_assert_eq!(parse_block_hex(&to_block_hex(field)), Ok(field));
        }

        #[test]
        fn small_numbers_are_themselves(value: u64) {
            prop_assert_eq!(to_decimal(FieldBytes::from_u64(value)), value.to_string());
        }
    }
}
