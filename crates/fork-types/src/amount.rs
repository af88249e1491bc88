//! Amounts of the chain's currency.

use std::fmt;
use std::str::FromStr;

/// Nanomina in one MINA.
pub const NANOMINA_PER_MINA: u64 = 1_000_000_000;

/// Decimals of a MINA text that count.
const DECIMALS: usize = 9;

/// Decimal digits that fit 64 bits whatever they are.
const SAFE_DIGITS: usize = 19;

/// Digits before the point of the largest amount.
const WHOLE_DIGITS: usize = 11;

/// 10^0 to 10^9.
const POWERS_OF_TEN: [u64; DECIMALS + 1] = {
    let mut powers = [1; DECIMALS + 1];
    let mut exponent = 1;
    while exponent <= DECIMALS {
        powers[exponent] = 10 * powers[exponent - 1];
        exponent += 1;
    }
    powers
};

/// An amount in nanomina (10^-9 MINA).
///
/// Its text form is decimal MINA, as account JSON carries it; block JSON carries nanomina, for
/// which there is [`Amount::from_nanomina_text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not `digits [. digits]` with at least one digit.
    #[error("`{found}` is not a decimal amount: expected digits with at most one point")]
    Malformed {
        /// The text as found, cut to a printable length.
        found: String,
    },
    /// More than 2^64 - 1 nanomina.
    #[error("amount `{found}` does not fit 64 bits of nanomina")]
    Overflow {
        /// The text as found, cut to a printable length.
        found: String,
    },
}

/// Cuts a text for an error message, so that a hostile input cannot flood a log.
fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let mut cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        cut.push('…');
    }
    cut
}

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Wraps a number of nanomina.
    #[must_use]
    pub const fn from_nanomina(nanomina: u64) -> Self {
        Self(nanomina)
    }

    /// The number of nanomina.
    #[must_use]
    pub const fn nanomina(self) -> u64 {
        self.0
    }

    /// Parses the block form: decimal nanomina, digits only.
    ///
    /// # Errors
    ///
    /// Fails on anything but digits, and when the number does not fit 64 bits.
    pub fn from_nanomina_text(text: &str) -> Result<Self, AmountError> {
        if let Some(nanomina) = short_nanomina(text.as_bytes()) {
            return Ok(Self(nanomina));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::Malformed { found: shown(text) });
        }
        text.parse()
            .map(Self)
            .map_err(|_| AmountError::Overflow { found: shown(text) })
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Parses decimal MINA: `digits* [. digits*]` with at least one digit in all. More than nine
    /// decimals are truncated, as upstream does.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        if let Some(nanomina) = short_mina(text.as_bytes()) {
            return Ok(Self(nanomina));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return Err(AmountError::Malformed { found: shown(text) });
        }
        let overflow = || AmountError::Overflow { found: shown(text) };
        let mut nanomina: u64 = 0;
        let push = |nanomina: u64, digit: u64| {
            nanomina
                .checked_mul(10)
                .and_then(|shifted| shifted.checked_add(digit))
        };
        for byte in whole.bytes() {
            nanomina = push(nanomina, u64::from(byte - b'0')).ok_or_else(overflow)?;
        }
        let decimals = fraction.bytes().map(|byte| u64::from(byte - b'0'));
        for digit in decimals.chain(std::iter::repeat(0)).take(9) {
            nanomina = push(nanomina, digit).ok_or_else(overflow)?;
        }
        Ok(Self(nanomina))
    }
}

impl fmt::Display for Amount {
    /// Decimal MINA without trailing zeros, the shortest text that parses back to the same amount.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / NANOMINA_PER_MINA, self.0 % NANOMINA_PER_MINA);
        let mut text = [b'.'; WHOLE_DIGITS + 1 + DECIMALS];
        write_digits(whole, &mut text[..WHOLE_DIGITS]);
        write_digits(fraction, &mut text[WHOLE_DIGITS + 1..]);
        let padding = text[..WHOLE_DIGITS - 1]
            .iter()
            .take_while(|digit| **digit == b'0');
        let start = padding.count();
        let mut end = text.len();
        while text[end - 1] == b'0' && end > WHOLE_DIGITS + 1 {
            end -= 1;
        }
        if fraction == 0 {
            end = WHOLE_DIGITS;
        }
        f.write_str(std::str::from_utf8(&text[start..end]).unwrap_or_default())
    }
}

/// Reads 1 to 19 digits. `None` is no verdict on the text.
fn short_nanomina(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > SAFE_DIGITS {
        return None;
    }
    let mut nanomina = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        nanomina = nanomina * 10 + u64::from(digit);
    }
    Some(nanomina)
}

/// Reads `digits* [. digits*]` of up to 19 characters, with up to nine decimals. `None` is no
/// verdict on the text.
fn short_mina(text: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    let mut point = None;
    if text.len() > SAFE_DIGITS {
        return None;
    }
    for (index, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            number = number * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(index);
        } else {
            return None;
        }
    }
    if text.len() == usize::from(point.is_some()) {
        return None;
    }
    let decimals = point.map_or(0, |index| text.len() - index - 1);
    let missing = DECIMALS.checked_sub(decimals)?;
    number.checked_mul(*POWERS_OF_TEN.get(missing)?)
}

/// Fills `target` with the last decimal digits of `number`.
fn write_digits(mut number: u64, target: &mut [u8]) {
    for character in target.iter_mut().rev() {
        *character = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grammar() {
        for (text, nanomina) in [
            ("0", 0),
            ("5.", 5_000_000_000),
            (".5", 500_000_000),
            ("0.000000001", 1),
            ("1.0000000019", 1_000_000_001),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Amount(nanomina)), "{text}");
        }
        for bad in ["", ".", "1e3", "-1", "+1", " 1", "1,0", "1.2.3", "½"] {
            assert!(
                matches!(bad.parse::<Amount>(), Err(AmountError::Malformed { .. })),
                "{bad:?}"
            );
        }
        for big in [
            "18446744073.709551616",
            "18446744074",
            "99999999999999999999999",
        ] {
            assert!(
                matches!(big.parse::<Amount>(), Err(AmountError::Overflow { .. })),
                "{big}"
            );
        }
    }

    /// The value of any number of digits, by way of the standard library.
    fn reference_nanomina(digits: &str) -> Result<u64, &'static str> {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("malformed");
        }
        let significant = ["0", digits.trim_start_matches('0')].concat();
        significant.parse().map_err(|_| "overflow")
    }

    fn reference_mina(text: &str) -> Result<u64, &'static str> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if let Err("malformed") = reference_nanomina(&[whole, fraction].concat()) {
            return Err("malformed");
        }
        let decimals = format!("{fraction:0<9}");
        reference_nanomina(&[whole, &decimals[..9]].concat())
    }

    fn parses_as_reference(text: &str) {
        let plain = |parsed: Result<Amount, AmountError>| match parsed {
            Ok(amount) => Ok(amount.nanomina()),
            Err(AmountError::Malformed { .. }) => Err("malformed"),
            Err(AmountError::Overflow { .. }) => Err("overflow"),
        };
        assert_eq!(plain(text.parse()), reference_mina(text), "{text:?}");
        let nanomina = Amount::from_nanomina_text(text);
        assert_eq!(plain(nanomina), reference_nanomina(text), "{text:?}");
    }

    #[test]
    fn every_length_and_every_place_of_the_point() {
        for digit in ["0", "1", "9"] {
            for length in 0..45 {
                let digits = digit.repeat(length);
                parses_as_reference(&digits);
                for place in 0..=length {
                    let with_point = [&digits[..place], ".", &digits[place..]].concat();
                    parses_as_reference(&with_point);
                    parses_as_reference(&with_point.replacen(digit, "a", 1));
                    parses_as_reference(&[&with_point, "."].concat());
                }
            }
        }
        for byte in 0..=u8::MAX {
            let character = char::from(byte);
            parses_as_reference(&format!("1{character}5"));
            parses_as_reference(&character.to_string());
        }
    }

    #[test]
    fn shortest_text() {
        for (nanomina, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (100_000_000, "0.1"),
            (1_000_000_000, "1"),
            (10_000_000_000, "10"),
            (10_010_000_000, "10.01"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(Amount(nanomina).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn texts_parse_as_the_grammar_says(
            text in "[0-9]{0,22}\\.?[0-9]{0,12}",
            other in "[0-9.x]{0,24}",
            small in 0_u64..20_000_000_000,
            zeros in 0_usize..6,
        ) {
            parses_as_reference(&text);
            parses_as_reference(&other);
            let padded = format!("{}{}{}", "0".repeat(zeros), Amount(small), "0".repeat(zeros));
            parses_as_reference(&padded);
        }

        #[test]
        fn display_round_trips(nanomina: u64) {
            let amount = Amount(nanomina);
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            prop_assert_eq!(Amount::from_nanomina_text(&nanomina.to_string()), Ok(amount));
        }
    }
}
