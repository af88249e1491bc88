//! The version grammars of the processes.
//!
//! None of them is SemVer: a Mithril candidate `prerelease10` comes after `prerelease2`, a Spacemesh
//! build `1.2.3+1` comes before `1.2.3`, and `2617.0` has two numbers. So each grammar is parsed and
//! ordered here, numbers as numbers, and every part that SemVer, Debian, OCI or DNS would order or
//! spell in another way goes through the table in [`mapping`].

pub mod mapping;
pub mod next;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest version text that is read, in bytes. Debian's tools and OCI tags end at 128.
pub const VERSION_BYTES_MAX: usize = 128;

/// How a process writes its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grammar {
    /// Splice: `0.4.19-bugfix.preview`, `0.4.19-bugfix.preview.2`, and plain releases.
    SpliceBugfix,
    /// Optimism: `upgrade-17`, and client tags such as `1.9.0-rc.3`.
    OpUpgrade,
    /// Mithril as written: `0.1.2-prerelease1`, then `0.1.2`.
    MithrilPrerelease,
    /// Mithril today: year and week, `2617.0`, `2337.0-pre`, `2543.1-hotfix`.
    MithrilYyww,
    /// Spacemesh: `1.2.3+1`, then `1.2.3`; tags have a `v` in front.
    SemverBuildNumber,
    /// Spacemesh today: `1.2.3-pre`, then `1.2.3`; tags have a `v` in front. There is one such build of a
    /// version: what failed is followed by the next patch.
    SemverPre,
    /// A Debian version that begins with a SemVer core.
    DebianSemver,
}

impl Grammar {
    /// Every grammar.
    pub const ALL: [Self; 7] = [
        Self::SpliceBugfix,
        Self::OpUpgrade,
        Self::MithrilPrerelease,
        Self::MithrilYyww,
        Self::SemverBuildNumber,
        Self::SemverPre,
        Self::DebianSemver,
    ];

    /// Its name in a policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SpliceBugfix => "splice-bugfix",
            Self::OpUpgrade => "op-upgrade",
            Self::MithrilPrerelease => "mithril-prerelease",
            Self::MithrilYyww => "mithril-yyww",
            Self::SemverBuildNumber => "semver-build-number",
            Self::SemverPre => "semver-pre",
            Self::DebianSemver => "debian-semver",
        }
    }

    /// The forms it has, for people.
    #[must_use]
    pub fn forms(self) -> &'static str {
        match self {
            Self::SpliceBugfix => "`0.4.19`, `0.4.19-bugfix.preview` or `0.4.19-bugfix.preview.1`",
            Self::OpUpgrade => "`upgrade-17`, `1.9.0` or `1.9.0-rc.1`",
            Self::MithrilPrerelease => "`0.1.2` or `0.1.2-prerelease1`",
            Self::MithrilYyww => "`2617.0`, `2337.0-pre`, `2337.0-prerelease` or `2543.1-hotfix`",
            Self::SemverBuildNumber => "`1.2.3` or `1.2.3+1`",
            Self::SemverPre => "`1.2.3` or `1.2.3-pre`",
            Self::DebianSemver => "a Debian version that begins with `X.Y.Z`",
        }
    }

    /// What stands before the version in a git tag.
    #[must_use]
    pub fn tag_prefix(self) -> &'static str {
        if matches!(self, Self::SemverBuildNumber | Self::SemverPre) {
            "v"
        } else {
            ""
        }
    }

    /// Reads a version.
    ///
    /// # Errors
    ///
    /// Refuses every text the grammar has no form for: leading zeros, a `v`, other suffixes.
    pub fn parse(self, text: &str) -> Result<Version, VersionError> {
        parse(self, text).ok_or_else(|| VersionError::Form {
            grammar: self,
            text: text.chars().take(VERSION_BYTES_MAX).collect(),
        })
    }

    /// Reads the version out of a git tag.
    ///
    /// # Errors
    ///
    /// As [`Grammar::parse`]; also when the prefix is missing.
    pub fn parse_tag(self, tag: &str) -> Result<Version, VersionError> {
        let version = tag
            .strip_prefix(self.tag_prefix())
            .and_then(|text| parse(self, text));
        version.ok_or_else(|| VersionError::Form {
            grammar: self,
            text: tag.chars().take(VERSION_BYTES_MAX).collect(),
        })
    }
}

impl fmt::Display for Grammar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Why a version was refused, or why there is no next one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The text has none of the grammar's forms.
    #[error("`{text}` is no version of grammar {grammar}: expected {}", grammar.forms())]
    Form {
        /// The grammar that was asked.
        grammar: Grammar,
        /// The text, cut short.
        text: String,
    },
    /// A number would not fit.
    #[error("the number after the one in `{0}` is too large")]
    Overflow(String),
    /// The version the fix would get is taken by a regular release.
    #[error("`{taken}` is released already, so a preview of it would come too late")]
    Taken {
        /// The regular release.
        taken: String,
    },
    /// There is nothing to count from.
    #[error("a next version of grammar {grammar} needs {needs}")]
    Needs {
        /// The grammar that was asked.
        grammar: Grammar,
        /// What is missing.
        needs: &'static str,
    },
}

/// What follows the numbers. Declared in the order of versions with equal numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suffix {
    /// `-bugfix.preview`, then `.1`, `.2`, ….
    Preview(Option<u32>),
    /// `-rc.N`.
    ReleaseCandidate(u32),
    /// `-prereleaseN`.
    Candidate(u32),
    /// `-hotfix`, of versions by year and week. This and the next two were used at different times for
    /// the same thing, so no release has two of them; their order is dpkg's.
    Hotfix,
    /// `-pre`, of versions by year and week, and of Spacemesh's builds today.
    Pre,
    /// `-prerelease`, of versions by year and week.
    Prerelease,
    /// `+N`: a build that was given to a network, before the release.
    Build(u32),
    /// The release itself.
    Final,
}

/// A version of some grammar. Versions of different grammars have no order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    grammar: Grammar,
    numbers: Vec<u32>,
    suffix: Suffix,
    /// The whole text of a Debian version, which has forms no suffix describes.
    debian: Option<String>,
}

impl Version {
    /// The grammar it was read by.
    #[must_use]
    pub fn grammar(&self) -> Grammar {
        self.grammar
    }

    /// Major, minor, patch; year-and-week and patch; or the upgrade number.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// What follows the numbers.
    #[must_use]
    pub fn suffix(&self) -> &Suffix {
        &self.suffix
    }

    /// Whether it is a release, not a candidate, preview or build.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.suffix == Suffix::Final
    }

    /// Whether the first number is 0.
    #[must_use]
    pub fn is_before_one(&self) -> bool {
        self.numbers.first() == Some(&0)
    }

    /// The release this one is a candidate, preview or build of; itself when it is one.
    #[must_use]
    pub fn release(&self) -> Self {
        Self {
            suffix: Suffix::Final,
            ..self.clone()
        }
    }

    /// The same numbers with another suffix.
    #[must_use]
    pub fn with(&self, suffix: Suffix) -> Self {
        Self {
            suffix,
            ..self.clone()
        }
    }

    /// Whether it is a build that is given to a network before the release.
    #[must_use]
    pub fn is_build(&self) -> bool {
        match self.suffix {
            Suffix::Build(_) => true,
            Suffix::Pre => self.grammar == Grammar::SemverPre,
            _ => false,
        }
    }

    /// Its git tag.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{}{self}", self.grammar.tag_prefix())
    }

    /// Whether two versions may talk to each other: before 1.0 the same minor, then the same major.
    #[must_use]
    pub fn same_line(&self, other: &Self) -> bool {
        let line = |version: &Self| {
            let length = if version.is_before_one() { 2 } else { 1 };
            version
                .numbers
                .iter()
                .take(length)
                .copied()
                .collect::<Vec<_>>()
        };
        self.grammar == other.grammar && line(self) == line(other)
    }

    fn new(grammar: Grammar, numbers: Vec<u32>, suffix: Suffix) -> Self {
        Self {
            grammar,
            numbers,
            suffix,
            debian: None,
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.grammar != other.grammar {
            return None;
        }
        if let (Some(left), Some(right)) = (&self.debian, &other.debian) {
            return Some(mapping::compare_debian(left, right));
        }
        // An upgrade number and a client tag are different things.
        if self.grammar == Grammar::OpUpgrade && self.numbers.len() != other.numbers.len() {
            return None;
        }
        Some((&self.numbers, &self.suffix).cmp(&(&other.numbers, &other.suffix)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.debian {
            return out.write_str(text);
        }
        if self.grammar == Grammar::OpUpgrade && self.numbers.len() == 1 {
            out.write_str("upgrade-")?;
        }
        for (index, number) in self.numbers.iter().enumerate() {
            let width = if self.grammar == Grammar::MithrilYyww && index == 0 {
                4
            } else {
                0
            };
            let dot = if index == 0 { "" } else { "." };
            write!(out, "{dot}{number:0width$}")?;
        }
        match &self.suffix {
            Suffix::Preview(None) => out.write_str("-bugfix.preview"),
            Suffix::Preview(Some(number)) => write!(out, "-bugfix.preview.{number}"),
            Suffix::ReleaseCandidate(number) => write!(out, "-rc.{number}"),
            Suffix::Candidate(number) => write!(out, "-prerelease{number}"),
            Suffix::Prerelease => out.write_str("-prerelease"),
            Suffix::Pre => out.write_str("-pre"),
            Suffix::Hotfix => out.write_str("-hotfix"),
            Suffix::Build(number) => write!(out, "+{number}"),
            Suffix::Final => Ok(()),
        }
    }
}

/// A number without sign and without leading zeros.
fn number(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain && digits {
        text.parse().ok()
    } else {
        None
    }
}

/// A number from 1 on.
fn positive(text: &str) -> Option<u32> {
    number(text).filter(|number| *number > 0)
}

fn core(text: &str) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
    numbers.filter(|numbers| numbers.len() == 3)
}

fn parse(grammar: Grammar, text: &str) -> Option<Version> {
    if text.len() > VERSION_BYTES_MAX || !text.is_ascii() {
        return None;
    }
    let cut = |mark: char| match text.split_once(mark) {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    };
    let new = |numbers, suffix| Some(Version::new(grammar, numbers, suffix));
    match grammar {
        Grammar::SpliceBugfix => {
            let (head, tail) = cut('-');
            let numbers = core(head)?;
            let Some(tail) = tail else {
                return new(numbers, Suffix::Final);
            };
            let rest = tail.strip_prefix("bugfix.preview")?;
            // Previews exist before 1.0 only, and always of a raised patch.
            if numbers[0] != 0 || numbers[2] == 0 {
                return None;
            }
            let count = match rest {
                "" => None,
                rest => Some(positive(rest.strip_prefix('.')?)?),
            };
            new(numbers, Suffix::Preview(count))
        }
        Grammar::OpUpgrade => {
            if let Some(count) = text.strip_prefix("upgrade-") {
                return new(vec![positive(count)?], Suffix::Final);
            }
            let (head, tail) = cut('-');
            let suffix = match tail {
                None => Suffix::Final,
                Some(tail) => Suffix::ReleaseCandidate(positive(tail.strip_prefix("rc.")?)?),
            };
            new(core(head)?, suffix)
        }
        Grammar::MithrilPrerelease => {
            let (head, tail) = cut('-');
            let suffix = match tail {
                None => Suffix::Final,
                Some(tail) => Suffix::Candidate(positive(tail.strip_prefix("prerelease")?)?),
            };
            new(core(head)?, suffix)
        }
        Grammar::MithrilYyww => {
            let (head, tail) = cut('-');
            let (year_week, patch) = head.split_once('.')?;
            if year_week.len() != 4 || !year_week.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let year_week: u32 = year_week.parse().ok()?;
            if !(1..=53).contains(&(year_week % 100)) {
                return None;
            }
            let suffix = match tail {
                None => Suffix::Final,
                Some("prerelease") => Suffix::Prerelease,
                Some("pre") => Suffix::Pre,
                Some("hotfix") => Suffix::Hotfix,
                Some(_) => return None,
            };
            new(vec![year_week, number(patch)?], suffix)
        }
        Grammar::SemverBuildNumber => {
            let (head, tail) = cut('+');
            let suffix = match tail {
                None => Suffix::Final,
                Some(tail) => Suffix::Build(positive(tail)?),
            };
            new(core(head)?, suffix)
        }
        Grammar::SemverPre => {
            let (head, tail) = cut('-');
            let suffix = match tail {
                None => Suffix::Final,
                Some("pre") => Suffix::Pre,
                Some(_) => return None,
            };
            new(core(head)?, suffix)
        }
        Grammar::DebianSemver => {
            if !mapping::is_debian(text) {
                return None;
            }
            let upstream = text.split_once(':').map_or(text, |(_, rest)| rest);
            let end = upstream.find(|c: char| !(c.is_ascii_digit() || c == '.'));
            let numbers = core(&upstream[..end.unwrap_or(upstream.len())])?;
            let suffix = Suffix::Final;
            Some(Version {
                grammar,
                numbers,
                suffix,
                debian: Some(text.to_owned()),
            })
        }
    }
}
