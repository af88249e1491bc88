//! Amounts of the chain's currency.

use std::fmt;
use std::str::FromStr;

/// Nanomina in one MINA.
pub const NANOMINA_PER_MINA: u64 = 1_000_000_000;

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
        let whole = self.0 / NANOMINA_PER_MINA;
        let fraction = self.0 % NANOMINA_PER_MINA;
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let decimals = format!("{fraction:09}");
        write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
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

    proptest! {
        #[test]
        fn display_round_trips(nanomina: u64) {
            let amount = Amount(nanomina);
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            prop_assert_eq!(Amount::from_nanomina_text(&nanomina.to_string()), Ok(amount));
        }
    }
}
