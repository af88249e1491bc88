//! Collecting the outcomes of comparisons.

use std::fmt::Display;

use fork_types::document::{Check, Outcome};

use super::Mismatch;

/// A value and who says it.
pub(super) type Said<'s, T> = (T, &'s str);

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) warnings: Vec<String>,
}

impl Report {
    pub(super) fn passed(&mut self, id: &str, detail: impl Display) {
        self.check(id, Outcome::Passed, detail);
    }

    pub(super) fn not_run(&mut self, id: &str, why: impl Display) {
        self.check(id, Outcome::NotRun, why);
    }

    fn check(&mut self, id: &str, outcome: Outcome, detail: impl Display) {
        self.checks.push(Check {
            id: id.to_owned(),
            outcome,
            detail: detail.to_string(),
        });
    }

    pub(super) fn mismatch(
        &mut self,
        id: &str,
        what: &str,
        expected: Said<'_, impl Display>,
        found: Said<'_, impl Display>,
    ) {
        self.mismatches.push(Mismatch {
            id: id.to_owned(),
            what: what.to_owned(),
            expected: expected.0.to_string(),
            expected_by: expected.1.to_owned(),
            found: found.0.to_string(),
            found_in: found.1.to_owned(),
        });
    }

    /// Two values that must be equal.
    pub(super) fn same<T: PartialEq + Display>(
        &mut self,
        id: &str,
        what: &str,
        expected: Said<'_, T>,
        found: Said<'_, T>,
    ) {
        if expected.0 == found.0 {
            self.passed(
                id,
                format_args!("{what}: {} in {} and {}", found.0, expected.1, found.1),
            );
        } else {
            self.mismatch(id, what, expected, found);
        }
    }

    /// Two values that must be equal where both are known.
    pub(super) fn same_if_known<T: PartialEq + Display>(
        &mut self,
        id: &str,
        what: &str,
        (expected, expected_by): Said<'_, Option<T>>,
        (found, found_in): Said<'_, Option<T>>,
    ) {
        match (expected, found) {
            (Some(expected), Some(found)) => {
                self.same(id, what, (expected, expected_by), (found, found_in));
            }
            (None, _) => self.not_run(id, format_args!("{expected_by} does not say the {what}")),
            (_, None) => self.not_run(id, format_args!("{found_in} does not say the {what}")),
        }
    }
}
