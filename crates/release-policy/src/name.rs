//! Digests, commits, keys and times: parsed once, compared as bytes afterwards.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a digest, commit, key, time or span can be refused for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `sha256:` and 64 lower-case hex digits.
    #[error("`{0}` is no digest: expected `sha256:` and 64 lower-case hex digits")]
    Digest(String),
    /// Not 40 lower-case hex digits.
    #[error("`{0}` is no git commit: expected 40 lower-case hex digits")]
    Commit(String),
    /// Not a key identifier.
    #[error(
        "`{0}` is no key: expected `ed25519:` and 64, or `openpgp:` and 40 or 64 lower-case hex digits"
    )]
    Key(String),
    /// Not RFC 3339 in UTC.
    #[error("`{0}` is no time: expected RFC 3339 in UTC such as `2025-11-19T16:00:01Z`")]
    Time(String),
    /// Not a positive number and a unit.
    #[error("`{0}` is no span of time: expected a number and `s`, `m`, `h` or `d`, such as `168h`")]
    Span(String),
}

fn is_lower_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

macro_rules! text_form {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }
    };
}

/// A SHA-256 digest, written `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hex digits without `sha256:`, as in-toto writes them.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "sha256:{}", hex::encode(self.0))
    }
}

impl FromStr for Digest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refused = || NameError::Digest(text.to_owned());
        let digits = text.strip_prefix("sha256:").ok_or_else(refused)?;
        if !is_lower_hex(digits, 64) {
            return Err(refused());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}

text_form!(Digest);

/// A git commit: 40 lower-case hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

impl fmt::Display for Commit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for Commit {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_lower_hex(text, 40) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Commit(text.to_owned()))
        }
    }
}

text_form!(Commit);

/// Whose signature: `ed25519:` and the SHA-256 of the public key as DER, which is how `fork-sign` names
/// keys; or `openpgp:` and the fingerprint. All in lower-case hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = match text.split_once(':') {
            Some(("ed25519", digits)) => is_lower_hex(digits, 64),
            Some(("openpgp", digits)) => is_lower_hex(digits, 40) || is_lower_hex(digits, 64),
            _ => false,
        };
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Key(text.to_owned()))
        }
    }
}

text_form!(KeyId);

/// A moment, written as RFC 3339 in UTC with `Z`. Other offsets are refused: one moment has one text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(Timestamp);

impl Time {
    /// This moment as jiff's type.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// The calendar month in UTC, as year and month, numbered so that months can be subtracted.
    #[must_use]
    pub fn month(self) -> i32 {
        let date = self.0.to_zoned(TimeZone::UTC).date();
        i32::from(date.year()) * 12 + i32::from(date.month()) - 1
    }

    /// `self - earlier`; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> SignedDuration {
        self.0.duration_since(earlier.0)
    }

    /// The moment `span` later; the greatest moment when that does not exist.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self(
            self.0
                .checked_add(span.duration())
                .unwrap_or(Timestamp::MAX),
        )
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for Time {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let time: Timestamp = text.parse().map_err(|_| NameError::Time(text.to_owned()))?;
        if time.to_string() == text {
            Ok(Self(time))
        } else {
            Err(NameError::Time(text.to_owned()))
        }
    }
}

text_form!(Time);

/// Reads a month back into words: `2026-01`.
#[must_use]
pub fn month_name(month: i32) -> String {
    format!(
        "{:04}-{:02}",
        month.div_euclid(12),
        month.rem_euclid(12) + 1
    )
}

/// A span of time in a policy: `45s`, `10m`, `168h`, `14d`. Days have 24 hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(u32);

impl Span {
    /// This span as jiff's type.
    #[must_use]
    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&in_words(self.duration()))
    }
}

impl FromStr for Span {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refused = || NameError::Span(text.to_owned());
        let unit = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86_400,
            _ => return Err(refused()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty()
            || digits.starts_with('0')
            || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(refused());
        }
        let number: u32 = digits.parse().map_err(|_| refused())?;
        number.checked_mul(unit).map(Self).ok_or_else(refused)
    }
}

text_form!(Span);

/// A length of time for people: `13 d 23 h 59 m`.
#[must_use]
pub fn in_words(span: SignedDuration) -> String {
    let seconds = span.as_secs().unsigned_abs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    let sign = if span.is_negative() { "minus " } else { "" };
    if words.is_empty() {
        "0 s".to_owned()
    } else {
        format!("{sign}{}", words.join(" "))
    }
}
