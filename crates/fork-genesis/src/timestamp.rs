//! Genesis timestamps: all the forms found in configurations, and the two that are written.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::text::shown;

/// Zone upstream assumes where a timestamp has none, hours east of UTC. It is not UTC; source:
/// MinaProtocol/mina `src/lib/genesis_constants/genesis_constants.ml`.
const ZONE_WITHOUT_ZONE_HOURS: i8 = -8;

/// A moment in whole milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenesisTimestamp(Timestamp);

/// A text that is no timestamp.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TimestampError {
    /// Not `YYYY-MM-DD HH:MM:SS[.fff][zone]`.
    #[error(
        "`{found}` is not a timestamp of the form 2024-06-05T00:00:00Z (a blank in place of T, a \
         fraction, and a zone such as -07:00 or +0100 are possible)"
    )]
    Malformed {
        /// The text, cut.
        found: String,
    },
    /// Of the right form, but no such day, hour or zone.
    #[error("`{found}` is not a possible time")]
    Impossible {
        /// The text, cut.
        found: String,
        /// What is impossible about it.
        source: jiff::Error,
    },
    /// Finer than a millisecond, which the chain cannot express.
    #[error("`{found}` has a fraction finer than a millisecond")]
    TooFine {
        /// The text, cut.
        found: String,
    },
    /// Before 1970 or after the year 9999.
    #[error("{found} is out of range for a timestamp")]
    OutOfRange {
        /// The number or text.
        found: String,
    },
}

impl GenesisTimestamp {
    /// From milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// Fails after the year 9999.
    pub fn from_ms(milliseconds: u64) -> Result<Self, TimestampError> {
        i64::try_from(milliseconds)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map(Self)
            .ok_or_else(|| TimestampError::OutOfRange {
                found: format!("{milliseconds} ms"),
            })
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn ms(self) -> u64 {
        // The constructors refuse anything before 1970.
        u64::try_from(self.0.as_millisecond()).unwrap_or_default()
    }

    /// Reads a timestamp and says what is odd about it.
    ///
    /// Accepted are `2024-06-05T00:00:00Z`, `2026-09-03T18:00:00.00Z`,
    /// `2021-09-23 17:00:00-07:00`, `2025-11-23T16:43:38+0100`, and a text without a zone, which is
    /// UTC-8 as upstream has it; only the last one comes with a warning.
    ///
    /// # Errors
    ///
    /// Fails on any other form, on impossible dates, before 1970, and on fractions that are not
    /// whole milliseconds.
    pub fn parse(text: &str) -> Result<(Self, Option<String>), TimestampError> {
        let malformed = || TimestampError::Malformed { found: shown(text) };
        let impossible = |source| TimestampError::Impossible {
            found: shown(text),
            source,
        };
        let (local, zone) = split_zone(text).ok_or_else(malformed)?;
        let zone_known = zone.is_some();
        let offset = match zone {
            Some(zone) => zone.ok_or_else(malformed)?,
            None => Offset::constant(ZONE_WITHOUT_ZONE_HOURS),
        };
        let local: DateTime = local.replacen(' ', "T", 1).parse().map_err(impossible)?;
        let moment = offset.to_timestamp(local).map_err(impossible)?;
        if moment.as_nanosecond() % 1_000_000 != 0 {
            return Err(TimestampError::TooFine { found: shown(text) });
        }
        if moment < Timestamp::UNIX_EPOCH {
            return Err(TimestampError::OutOfRange { found: shown(text) });
        }
        let parsed = Self(moment);
        let warning = (!zone_known).then(|| {
            format!("timestamp `{text}` has no zone; upstream reads it as UTC-8, which is {parsed}")
        });
        Ok((parsed, warning))
    }

    /// `2024-04-09 21:00:00.000000Z`, the form hashed into a chain id.
    #[must_use]
    pub fn chain_id_text(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S%.6fZ").to_string()
    }
}

impl fmt::Display for GenesisTimestamp {
    /// RFC 3339 in UTC, `2024-04-09T21:00:00Z`; a fraction only where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Splits off the zone: `None` for a text of the wrong form, `Some(None)` as zone for none,
/// `Some(Some(None))` for a malformed one.
#[expect(
    clippy::option_option,
    reason = "absent and malformed zones are told apart"
)]
fn split_zone(text: &str) -> Option<(&str, Option<Option<Offset>>)> {
    const PATTERN: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let head = bytes.get(..PATTERN.len())?;
    let fits = head
        .iter()
        .zip(PATTERN)
        .all(|(found, expected)| match expected {
            b'0' => found.is_ascii_digit(),
            b'T' => matches!(found, b'T' | b't' | b' '),
            other => found == other,
        });
    if !fits {
        return None;
    }
    let mut end = PATTERN.len();
    if bytes.get(end) == Some(&b'.') {
        let digits = bytes[end + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        // jiff knows nanoseconds; more digits would not be read.
        if !(1..=9).contains(&digits) {
            return None;
        }
        end += 1 + digits;
    }
    let (local, zone) = text.split_at_checked(end)?;
    Some((local, (!zone.is_empty()).then(|| parse_zone(zone))))
}

/// `Z`, `±HH`, `±HHMM` or `±HH:MM`.
fn parse_zone(zone: &str) -> Option<Offset> {
    if matches!(zone, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.len(), digits.split_at_checked(2)?) {
        (2, (hours, _)) => (hours, "00"),
        (4, parts) => parts,
        (5, (hours, minutes)) => (hours, minutes.strip_prefix(':')?),
        _ => return None,
    };
    let number = |text: &str, below: i32| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<i32>().ok())
            .flatten()
            .filter(|number| *number < below)
    };
    let seconds = sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60);
    Offset::from_seconds(seconds).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_found_in_the_wild() {
        for (text, utc) in [
            ("2024-06-05T00:00:00Z", "2024-06-05T00:00:00Z"),
            ("2026-09-03T18:00:00.00Z", "2026-09-03T18:00:00Z"),
            ("2021-09-23 17:00:00-07:00", "2021-09-24T00:00:00Z"),
            ("2025-11-23T16:43:38+0100", "2025-11-23T15:43:38Z"),
            ("2025-11-23T16:43:38+01", "2025-11-23T15:43:38Z"),
            ("2024-06-05 00:00:00.000000Z", "2024-06-05T00:00:00Z"),
            ("2024-06-05T00:00:00.123Z", "2024-06-05T00:00:00.123Z"),
        ] {
            let (parsed, warning) = GenesisTimestamp::parse(text).unwrap();
            assert_eq!(parsed.to_string(), utc, "{text}");
            assert_eq!(warning, None);
        }
        let (parsed, warning) = GenesisTimestamp::parse("2024-06-05T00:00:00").unwrap();
        assert_eq!(parsed.to_string(), "2024-06-05T08:00:00Z");
        assert!(warning.unwrap().contains("UTC-8"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "now",
            "2024-06-05",
            "2024-06-05T00:00Z",
            "2024-06-05T00:00:00 Z",
            "2024-06-05T00:00:00ZZ",
            "2024-06-05T00:00:00+1",
            "2024-06-05T00:00:00+25:00",
            "2024-06-05T00:00:00+01:60",
            "2024-06-05T00:00:00+01:0a",
            "2024-06-05T00:00:00.Z",
            "2024-06-05T00:00:00Z[Europe/Paris]",
            "20240605T000000Z",
            "+2024-06-05T00:00:00Z",
            "2024-06-05T00:00:00é",
        ] {
            assert!(
                matches!(
                    GenesisTimestamp::parse(bad),
                    Err(TimestampError::Malformed { .. })
                ),
                "{bad:?}"
            );
        }
        for bad in [
            "2024-02-30T00:00:00Z",
            "2024-06-05T24:00:00Z",
            "2024-13-01T00:00:00Z",
        ] {
            assert!(
                matches!(
                    GenesisTimestamp::parse(bad),
                    Err(TimestampError::Impossible { .. })
                ),
                "{bad:?}"
            );
        }
        assert!(matches!(
            GenesisTimestamp::parse("2024-06-05T00:00:00.0001Z"),
            Err(TimestampError::TooFine { .. })
        ));
        assert!(matches!(
            GenesisTimestamp::parse("1969-12-31T23:59:59Z"),
            Err(TimestampError::OutOfRange { .. })
        ));
        assert!(GenesisTimestamp::from_ms(u64::MAX).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(ms in 0_u64..253_402_207_200_000) {
            let moment = GenesisTimestamp::from_ms(ms).unwrap();
            prop_assert_eq!(moment.ms(), ms);
            prop_assert_eq!(GenesisTimestamp::parse(&moment.to_string()).unwrap(), (moment, None));
            prop_assert_eq!(
                GenesisTimestamp::parse(&moment.chain_id_text()).unwrap(),
                (moment, None)
            );
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = GenesisTimestamp::parse(&text);
        }
    }
}
