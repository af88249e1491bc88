//! Field elements as decimal and as hexadecimal text.

use fork_types::FieldBytes;

/// Decimal digits read at a time: two steps of eight.
const CHUNK_DIGITS: usize = 16;

/// 10^16.
const CHUNK: u64 = 10_u64.pow(16);

/// Decimal digits written at a time.
const GROUP_DIGITS: usize = 19;

/// 10^19, the largest power of ten below 2^64.
const GROUP: u64 = 10_u64.pow(19);

/// Groups of the largest number of 256 bits, which has 78 digits.
const GROUPS: usize = 5;

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
    let (head, chunks) = text.as_bytes().as_rchunks::<CHUNK_DIGITS>();
    let mut first = [b'0'; CHUNK_DIGITS];
    first[CHUNK_DIGITS - head.len()..].copy_from_slice(head);
    let mut limbs = [0; 4];
    for chunk in std::iter::once(&first).chain(chunks) {
        let value = sixteen_digits(chunk).ok_or(FieldDefect::Malformed)?;
        // A number too large is still malformed when it is not a number.
        multiply_add(&mut limbs, CHUNK, value).ok_or_else(|| defect(text))?;
    }
    if text.is_empty() {
        return Err(FieldDefect::Malformed);
    }
    let mut bytes = [0; 32];
    for (target, limb) in bytes.as_chunks_mut().0.iter_mut().zip(limbs) {
        *target = limb.to_le_bytes();
    }
    FieldBytes::from_le_bytes(bytes).ok_or(FieldDefect::TooLarge)
}

/// The defect of a text whose beginning is too large already.
#[cold]
fn defect(text: &str) -> FieldDefect {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        FieldDefect::TooLarge
    } else {
        FieldDefect::Malformed
    }
}

/// A field element from decimal digits, as account JSON and archive databases have them; `None` when
/// they are none, or a number not below the modulus.
#[must_use]
pub fn field_from_decimal(text: &str) -> Option<FieldBytes> {
    parse_decimal(text).ok()
}

/// The decimal digits of a field element, without leading zeros.
#[must_use]
pub fn field_to_decimal(field: FieldBytes) -> String {
    to_decimal(field)
}

/// The value of sixteen decimal digits; `None` when one of them is none.
fn sixteen_digits(digits: &[u8; CHUNK_DIGITS]) -> Option<u64> {
    let (halves, _) = digits.as_chunks::<8>();
    let [high, low] = halves else {
        return None;
    };
    Some(eight_digits(*high)? * 100_000_000 + eight_digits(*low)?)
}

/// The value of eight decimal digits, all of them in one 64-bit word; `None` when one is none.
fn eight_digits(digits: [u8; 8]) -> Option<u64> {
    // The first digit is the lowest byte.
    let word = u64::from_le_bytes(digits);
    // `0` to `9` are 0x30 to 0x39: the high half stays 3 when six is added. A carry out of a byte
    // does no harm, because that byte's high half was wrong to begin with.
    let high_halves = 0xF0F0_F0F0_F0F0_F0F0;
    let wrong = (word ^ 0x3030_3030_3030_3030)
        | (word.wrapping_add(0x0606_0606_0606_0606) ^ 0x3030_3030_3030_3030);
    if wrong & high_halves != 0 {
        return None;
    }
    // Each step multiplies the lower neighbour by its weight and adds the higher one, in every
    // lane at once; what runs out of the word on the left belongs to no lane.
    let ones = word & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (ones.wrapping_mul(10 * (1 << 8) + 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100 * (1 << 16) + 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000 * (1 << 32) + 1) >> 32)
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
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(field.as_le_bytes().as_chunks().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    let mut text = [b'0'; GROUPS * GROUP_DIGITS];
    let mut used = 4;
    for group in text.rchunks_exact_mut(GROUP_DIGITS) {
        let mut rest = divide_by_group(&mut limbs[..used]);
        while used > 0 && limbs[used - 1] == 0 {
            used -= 1;
        }
        for digit in group.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    let padding = text[..text.len() - 1]
        .iter()
        .take_while(|digit| **digit == b'0');
    let digits = &text[padding.count()..];
    std::str::from_utf8(digits).unwrap_or_default().to_owned()
}

/// Divides in place by 10^19, least significant limb first, and returns the remainder.
fn divide_by_group(limbs: &mut [u64]) -> u64 {
    let mut remainder = 0;
    for limb in limbs.iter_mut().rev() {
        let dividend = (u128::from(remainder) << 64) | u128::from(*limb);
        // The quotient fits because the remainder is below the divisor.
        let quotient = low_half(dividend / u128::from(GROUP));
        remainder = limb.wrapping_sub(quotient.wrapping_mul(GROUP));
        *limb = quotient;
    }
    remainder
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

    /// Digit by digit, over decimal texts only.
    fn reference(text: &str) -> Result<FieldBytes, FieldDefect> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FieldDefect::Malformed);
        }
        let mut limbs = [0; 4];
        for byte in text.bytes() {
            multiply_add(&mut limbs, 10, u64::from(byte - b'0')).ok_or(FieldDefect::TooLarge)?;
        }
        let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        FieldBytes::from_le_bytes(bytes.try_into().unwrap()).ok_or(FieldDefect::TooLarge)
    }

    #[test]
    fn each_character_in_each_place() {
        for length in [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 76, 77, 78, 79, 95, 160] {
            for digit in ["0", "1", "2", "9"] {
                let text = digit.repeat(length);
                assert_eq!(parse_decimal(&text), reference(&text), "{text}");
                for place in 0..length {
                    for byte in 0..=u8::MAX {
                        let character = char::from(byte).to_string();
                        let text = [&text[..place], &character, &text[place + 1..]].concat();
                        assert_eq!(parse_decimal(&text), reference(&text), "{text}");
                    }
                }
            }
        }
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
        fn texts_parse_digit_by_digit(digits in "[0-9]{0,90}", text in "[0-9x]{0,90}") {
            prop_assert_eq!(parse_decimal(&digits), reference(&digits));
            prop_assert_eq!(parse_decimal(&text), reference(&text));
        }

        #[test]
        fn small_numbers_are_themselves(value: u64) {
            prop_assert_eq!(to_decimal(FieldBytes::from_u64(value)), value.to_string());
        }
    }
}
