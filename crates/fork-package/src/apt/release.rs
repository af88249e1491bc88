//! The `Release` file of a suite.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};

use super::entry::{is_architecture_name, is_sha256};
use crate::control::Paragraph;
use crate::error::PackageError;

/// How dates are written. apt takes no other zone, and no zone by number.
const DATE_FORMAT: &str = "%a, %d %b %Y %H:%M:%S UTC";

/// Most index files of a suite: components times architectures times two.
const INDICES_MAX: usize = 2000;

/// A field of our own, which apt passes over: the index files of earlier states of the suite that are
/// still there under their digests.
const PREVIOUS: &str = "Forkpack-Previous";

const FIELDS: [&str; 11] = [
    "Origin",
    "Label",
    "Suite",
    "Codename",
    "Date",
    "Valid-Until",
    "Architectures",
    "Components",
    "Acquire-By-Hash",
    "SHA256",
    PREVIOUS,
];

/// An index file, by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRef {
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// An index file of an earlier state of the suite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Previous {
    /// How many states ago; 1 is the one before this.
    pub age: u32,
    /// Its path below the suite.
    pub path: String,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
}

/// A `Release` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Who publishes.
    pub origin: Option<String>,
    /// What is published.
    pub label: Option<String>,
    /// Name of the suite.
    pub suite: String,
    /// Codename of the suite.
    pub codename: String,
    /// When it was made, in seconds since 1970.
    pub date: u64,
    /// When apt stops to accept it, in seconds since 1970.
    pub valid_until: Option<u64>,
    /// Architectures that have indices, sorted; never `all`.
    pub architectures: Vec<String>,
    /// Components, sorted.
    pub components: Vec<String>,
    /// Index files by their path below the suite.
    pub indices: BTreeMap<String, IndexRef>,
    /// Index files of earlier states that are still there under their digests.
    pub previous: Vec<Previous>,
}

impl Release {
    /// Reads a file that [`Self::to_text`] wrote.
    ///
    /// # Errors
    ///
    /// Fails on anything else: fields unknown here would be lost in the next state of the suite.
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let paragraph = Paragraph::parse(text)?;
        if let Some((name, _)) = paragraph.fields().find(|(name, _)| !FIELDS.contains(name)) {
            return Err(PackageError::control(format!(
                "a Release file with the field `{name}` was made by another program"
            )));
        }
        let text = |name: &str| paragraph.get(name).map(ToOwned::to_owned);
        let date = |name: &str| paragraph.get(name).map(parse_date).transpose();
        let words = |name: &str| -> Vec<String> {
            let words = paragraph.get(name).unwrap_or_default();
            words.split_whitespace().map(ToOwned::to_owned).collect()
        };
        let mut indices = BTreeMap::new();
        for [sha256, bytes, path] in lines(&paragraph, "SHA256")? {
            let bytes = number(bytes)?;
            check(sha256, path)?;
            let index = IndexRef {
                sha256: sha256.to_owned(),
                bytes,
            };
            if indices.insert(path.to_owned(), index).is_some() {
                return Err(PackageError::control(format!("`{path}` is listed twice")));
            }
        }
        let mut previous = Vec::new();
        for [age, sha256, path] in lines(&paragraph, PREVIOUS)? {
            check(sha256, path)?;
            previous.push(Previous {
                age: u32::try_from(number(age)?)
                    .map_err(|_| PackageError::control("an age is too large"))?,
                path: path.to_owned(),
                sha256: sha256.to_owned(),
            });
        }
        let release = Self {
            origin: text("Origin"),
            label: text("Label"),
            suite: paragraph.require("Suite")?.to_owned(),
            codename: paragraph.require("Codename")?.to_owned(),
            date: parse_date(paragraph.require("Date")?)?,
            valid_until: date("Valid-Until")?,
            architectures: words("Architectures"),
            components: words("Components"),
            indices,
            previous,
        };
        if let Some(name) = release
            .architectures
            .iter()
            .find(|name| !is_architecture_name(name))
            .or_else(|| release.components.iter().find(|name| !is_suite_name(name)))
        {
            let problem = format!("`{name}` is no name of an architecture or component");
            return Err(PackageError::control(problem));
        }
        Ok(release)
    }

    /// The text of the file.
    ///
    /// # Errors
    ///
    /// Fails on a value that would not read back as it is.
    pub fn to_text(&self) -> Result<String, PackageError> {
        let mut paragraph = Paragraph::new();
        let mut set = |name: &str, value: &str| paragraph.set(name, value);
        for (name, value) in [("Origin", &self.origin), ("Label", &self.label)] {
            if let Some(value) = value {
                set(name, value)?;
            }
        }
        set("Suite", &self.suite)?;
        set("Codename", &self.codename)?;
        set("Date", &format_date(self.date)?)?;
        if let Some(time) = self.valid_until {
            set("Valid-Until", &format_date(time)?)?;
        }
        set("Architectures", &self.architectures.join(" "))?;
        set("Components", &self.components.join(" "))?;
        set("Acquire-By-Hash", "yes")?;
        let indices: String = self
            .indices
            .iter()
            .map(|(path, index)| format!("\n {} {} {path}", index.sha256, index.bytes))
            .collect();
        set("SHA256", &indices)?;
        if !self.previous.is_empty() {
            let previous: String = self
                .previous
                .iter()
                .map(|one| format!("\n {} {} {}", one.age, one.sha256, one.path))
                .collect();
            set(PREVIOUS, &previous)?;
        }
        let text = paragraph.to_string();
        if !Self::parse(&text).is_ok_and(|read| read == *self) {
            return Err(PackageError::control(
                "a value of the Release file does not read back as it is",
            ));
        }
        Ok(text)
    }
}

fn lines<'a>(paragraph: &'a Paragraph, field: &str) -> Result<Vec<[&'a str; 3]>, PackageError> {
    let value = paragraph.get(field).unwrap_or_default();
    let lines: Vec<&str> = value
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines.len() > INDICES_MAX {
        let problem = format!("field `{field}` has more than {INDICES_MAX} lines");
        return Err(PackageError::control(problem));
    }
    let words = |line: &&'a str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.try_into().map_err(|_| {
            PackageError::control(format!("field `{field}` has a line without three words"))
        })
    };
    lines.iter().map(words).collect()
}

fn number(text: &str) -> Result<u64, PackageError> {
    text.parse()
        .map_err(|_| PackageError::control("a size or age is no number"))
}

fn check(sha256: &str, path: &str) -> Result<(), PackageError> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if !is_sha256(sha256) || !path.split('/').all(plain) || path.len() > 400 {
        return Err(PackageError::control(
            "a line of the Release file has no digest and path",
        ));
    }
    Ok(())
}

/// Whether this can be the name of a suite or component here: letters, digits, `.` and `-`.
#[must_use]
pub fn is_suite_name(name: &str) -> bool {
    (1..=60).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// A time, in seconds since 1970, as a `Release` file has it.
///
/// # Errors
///
/// Fails beyond the year 9999.
pub fn format_date(seconds: u64) -> Result<String, PackageError> {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or_else(|| PackageError::control("a date beyond the year 9999"))?;
    strtime::format(DATE_FORMAT, time)
        .map_err(|error| PackageError::control(format!("a date cannot be written ({error})")))
}

/// Reads a date of a `Release` file.
///
/// # Errors
///
/// Fails on any other form.
pub fn parse_date(text: &str) -> Result<u64, PackageError> {
    BrokenDownTime::parse(DATE_FORMAT, text)
        .and_then(|time| time.to_datetime())
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .ok()
        .and_then(|time| u64::try_from(time.timestamp().as_second()).ok())
        .ok_or_else(|| {
            let text: String = text.chars().take(80).collect();
            PackageError::control(format!("`{text}` is no date of a Release file"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        let index = IndexRef {
            sha256: "0a".repeat(32),
            bytes: 12,
        };
        Release {
            origin: Some("Example".to_owned()),
            label: None,
            suite: "stable".to_owned(),
            codename: "stable".to_owned(),
            date: 1_787_162_400,
            valid_until: Some(1_787_162_400 + 86_400),
            architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
            components: vec!["main".to_owned()],
            indices: BTreeMap::from([("main/binary-amd64/Packages".to_owned(), index)]),
            previous: vec![Previous {
                age: 1,
                path: "main/binary-amd64/Packages".to_owned(),
                sha256: "0b".repeat(32),
            }],
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let text = release().to_text().unwrap();
        assert_eq!(
            text,
            format!(
                "Origin: Example\nSuite: stable\nCodename: stable\n\
                 Date: Wed, 19 Aug 2026 18:00:00 UTC\nValid-Until: Thu, 20 Aug 2026 18:00:00 UTC\n\
                 Architectures: amd64 arm64\nComponents: main\nAcquire-By-Hash: yes\n\
                 SHA256:\n {} 12 main/binary-amd64/Packages\n\
                 Forkpack-Previous:\n 1 {} main/binary-amd64/Packages\n",
                "0a".repeat(32),
                "0b".repeat(32)
            )
        );
        assert_eq!(Release::parse(&text).unwrap(), release());
    }

    #[test]
    fn anything_else_is_refused() {
        let good = release().to_text().unwrap();
        for (from, to) in [
            ("Origin", "MD5Sum"),
            ("Date: Wed", "Date: Thu"),
            ("UTC", "+0000"),
            (" 12 main", " -12 main"),
            (" 12 main", " 12 ../main"),
            (" 12 main", " 12"),
            ("0a0a", "0A0A"),
            ("Components: main", "Components: ../x"),
            ("Suite: stable\n", ""),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good, "{from}");
            assert!(Release::parse(&text).is_err(), "{from} -> {to}");
        }
        let bad = Release {
            suite: "a\nEvil: yes".to_owned(),
            ..release()
        };
        assert!(bad.to_text().is_err());
    }
}
