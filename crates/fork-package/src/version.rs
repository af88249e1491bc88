//! Package versions and their order (`deb-version(7)`).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A text that is not a package version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a Debian version: {problem}")]
pub struct VersionError {
    found: String,
    problem: &'static str,
}

/// `[epoch:]upstream[-revision]`.
///
/// Equality is that of the order: `1.0` and `1.0-0` are equal, as they are for dpkg.
#[derive(Clone, Debug)]
pub struct PackageVersion {
    text: String,
    epoch: u32,
    upstream: String,
    revision: String,
}

impl PackageVersion {
    /// Whether an epoch is written.
    #[must_use]
    pub fn has_epoch(&self) -> bool {
        self.text.contains(':')
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for PackageVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = |problem| VersionError {
            found: text.chars().take(80).collect(),
            problem,
        };
        let (epoch, rest) = match text.split_once(':') {
            None => (0, text),
            Some((epoch, rest)) => {
                // dpkg keeps the epoch in a C int.
                let number = epoch.bytes().all(|byte| byte.is_ascii_digit());
                let epoch = epoch
                    .parse::<u32>()
                    .ok()
                    .filter(|epoch| *epoch <= i32::MAX as u32);
                match (number, epoch) {
                    (true, Some(epoch)) => (epoch, rest),
                    _ => return Err(error("the epoch is not a number below 2^31")),
                }
            }
        };
        let (upstream, revision) = match rest.rsplit_once('-') {
            None => (rest, ""),
            Some((_, "")) => return Err(error("the revision is empty")),
            Some(parts) => parts,
        };
        if !upstream.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(error("it does not start with a digit"));
        }
        let allowed = |text: &str, extra: &[u8]| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
        };
        if !allowed(upstream, b".-+~:") || !allowed(revision, b".+~") {
            return Err(error("only letters, digits and . + - ~ are allowed"));
        }
        Ok(Self {
            text: text.to_owned(),
            epoch,
            upstream: upstream.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Ord for PackageVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare(&self.upstream, &other.upstream))
            .then_with(|| compare(&self.revision, &other.revision))
    }
}

impl PartialOrd for PackageVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PackageVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PackageVersion {}

/// Weight of a character in the non-digit parts: `~` before the end, the end before letters,
/// letters before everything else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None | Some(b'0'..=b'9') => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

/// Compares alternating non-digit and digit parts, as dpkg's `verrevcmp` does.
fn compare(left: &str, right: &str) -> Ordering {
    let mut left = left.bytes().peekable();
    let mut right = right.bytes().peekable();
    let is_text = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii_digit());
    while left.peek().is_some() || right.peek().is_some() {
        while is_text(left.peek()) || is_text(right.peek()) {
            let order = weight(left.peek().copied()).cmp(&weight(right.peek().copied()));
            if order != Ordering::Equal {
                return order;
            }
            left.next();
            right.next();
        }
        let left_digits = digits(&mut left);
        let right_digits = digits(&mut right);
        // Without leading zeros, the longer number is the larger one.
        let order = left_digits
            .len()
            .cmp(&right_digits.len())
            .then_with(|| left_digits.cmp(&right_digits));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn digits(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Vec<u8> {
    let mut digits = Vec::new();
    while let Some(byte) = bytes.next_if(u8::is_ascii_digit) {
        if !(digits.is_empty() && byte == b'0') {
            digits.push(byte);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> PackageVersion {
        text.parse().unwrap()
    }

    #[test]
    fn ordered_as_the_manual_says() {
        let ascending = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0a",
            "0.1",
            "1.0~rc1",
            "1.0",
            "1.0-1",
            "1.0-1+b1",
            "1.0a",
            "1.0+x",
            "1.2",
            "1.10",
            "4.0.0-6850301",
            "4.0.0-mainnet-893c877",
            "1:0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("1.0"), version("1.0-0"));
        assert_eq!(version("1.01"), version("1.1"));
    }

    #[test]
    fn malformed_versions_are_refused() {
        for text in [
            "",
            "a1",
            "1 0",
            "1_0",
            "1-",
            ":1",
            "x:1",
            "4294967296:1",
            "-1",
            "1.0/2",
            "ä",
        ] {
            assert!(text.parse::<PackageVersion>().is_err(), "{text:?}");
        }
    }
}
