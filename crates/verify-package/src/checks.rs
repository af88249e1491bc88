//! The registry of checks.

mod against;
mod candidate;
mod config;
mod daemon;
mod dpkg;
mod image;
mod ledgers;
mod package;

use std::fmt::Display;

use crate::facts::Facts;

pub(crate) use config::{chain_id, slot_and_time};

/// One check. It looks at facts that are computed already, and nothing that another check finds
/// changes what it does.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Stable identifier.
    pub id: &'static str,
    /// What it means when it passes.
    pub proves: &'static str,
    /// Does it.
    pub run: fn(&Facts) -> Finding,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Passed {
        /// What agreed.
        detail: String,
    },
    /// Wrong.
    Failed {
        /// What should be.
        expected: String,
        /// What is.
        found: String,
        /// Where.
        place: String,
        /// More about it, a line each.
        detail: String,
    },
    /// Something is missing.
    NotRun {
        /// What.
        why: String,
    },
}

/// All checks, in the order of the report.
pub static CHECKS: [&[Check]; 8] = [
    &package::CHECKS,
    &dpkg::CHECKS,
    &candidate::CHECKS,
    &ledgers::CHECKS,
    &config::CHECKS,
    &image::CHECKS,
    &daemon::CHECKS,
    &against::CHECKS,
];

impl Check {
    /// Whether it belongs into a report about these facts: those about a running node only when there
    /// is one.
    #[must_use]
    pub fn is_about(&self, facts: &Facts) -> bool {
        facts.node.is_asked() || !self.id.starts_with(daemon::PREFIX)
    }
}

impl Finding {
    fn passed(detail: impl Display) -> Self {
        Self::Passed {
            detail: detail.to_string(),
        }
    }

    fn not_run(why: impl Display) -> Self {
        Self::NotRun {
            why: why.to_string(),
        }
    }

    fn failed(expected: impl Display, found: impl Display, place: impl Display) -> Self {
        Self::Failed {
            expected: expected.to_string(),
            found: found.to_string(),
            place: place.to_string(),
            detail: String::new(),
        }
    }

    /// Two values that must be equal.
    fn same(expected: impl Display, found: impl Display, place: impl Display) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected == found {
            Self::passed(found)
        } else {
            Self::failed(expected, found, place)
        }
    }

    /// Several things at once: nothing may be wrong with any.
    fn none(
        problems: &[String],
        expected: impl Display,
        place: impl Display,
        detail: impl Display,
    ) -> Self {
        match problems.split_first() {
            None => Self::passed(detail),
            Some((first, rest)) => Self::Failed {
                expected: expected.to_string(),
                found: first.clone(),
                place: place.to_string(),
                detail: rest.join("\n"),
            },
        }
    }

    fn with_detail(self, text: String) -> Self {
        match self {
            Self::Failed {
                expected,
                found,
                place,
                ..
            } => Self::Failed {
                expected,
                found,
                place,
                detail: text,
            },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identifiers_are_unique_and_plain() {
        let mut seen = BTreeSet::new();
        for check in CHECKS.iter().flat_map(|table| table.iter()) {
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
            };
            assert!(check.id.bytes().all(plain), "{}", check.id);
            assert!(seen.insert(check.id), "{}", check.id);
            assert!(!check.proves.is_empty(), "{}", check.id);
        }
    }

    #[test]
    fn the_documentation_lists_every_check() {
        let text = include_str!("../../../docs/verify-package.md");
        for check in CHECKS.iter().flat_map(|table| table.iter()) {
            let id = ["genesis", "staking", "next"]
                .iter()
                .fold(check.id.to_owned(), |id, role| {
                    let id = id.replace(&format!(".{role}."), ".<role>.");
                    match id.strip_prefix("supply.") {
                        Some(_) => "supply.<role>".to_owned(),
                        None => id,
                    }
                });
            assert!(text.contains(&format!("`{id}`")), "{id} is not documented");
        }
    }
}
