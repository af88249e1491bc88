//! `scan` and `diff`: ledger stores.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use fork_store::{Comparison, ScanSummary, StoreReader, compare_stores, write_scan};
use serde::Serialize;

use crate::args::{DiffArgs, ScanArgs};
use crate::error::{InspectError, InspectErrorKind};

/// Writes the scanner text of a tarball or directory to `out`.
///
/// # Errors
///
/// Fails when the store cannot be read or `out` cannot be written to.
pub fn scan(args: &ScanArgs, out: impl Write) -> Result<ScanSummary, InspectError> {
    let store = open(&args.path, args.scratch.as_ref())?;
    Ok(write_scan(&store, out)?)
}

fn open(path: &Path, scratch: Option<&PathBuf>) -> Result<StoreReader, InspectError> {
    let scratch = scratch.cloned().unwrap_or_else(std::env::temp_dir);
    Ok(StoreReader::open_copy(path, &scratch)?)
}

/// How two stores differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// Version of this object.
    pub version: u32,
    /// Whether they hold the same.
    pub equal: bool,
    /// Entries of A.
    pub left_entries: u64,
    /// Entries of B.
    pub right_entries: u64,
    /// Entries that only A has.
    pub only_left: u64,
    /// Entries that only B has.
    pub only_right: u64,
    /// Entries with another value.
    pub changed: u64,
    /// The first differences of each kind, in key order.
    pub differences: Vec<DifferenceReport>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferenceReport {
    /// What the entry is about.
    pub entry: String,
    /// What A holds.
    pub left: Option<String>,
    /// What B holds.
    pub right: Option<String>,
    /// Fields of the account that differ.
    pub fields: Vec<FieldReport>,
}

/// One field of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldReport {
    /// Name of the field.
    pub field: String,
    /// Its value in A.
    pub left: String,
    /// Its value in B.
    pub right: String,
}

/// Compares two stores.
///
/// # Errors
///
/// Fails when one of them cannot be read; that they differ is no error here, see
/// [`DiffReport::verdict`].
pub fn diff(args: &DiffArgs) -> Result<DiffReport, InspectError> {
    let left = open(&args.left, args.scratch.as_ref())?;
    let right = open(&args.right, args.scratch.as_ref())?;
    let comparison = compare_stores(
        (&left, args.left_era.unwrap_or(args.era)),
        (&right, args.era),
        args.depth,
        args.max,
    )?;
    Ok(comparison.into())
}

impl From<Comparison> for DiffReport {
    fn from(comparison: Comparison) -> Self {
        let equal = comparison.is_equal();
        let Comparison {
            left_entries,
            right_entries,
            only_left,
            only_right,
            changed,
            differences,
        } = comparison;
        let differences = differences
            .into_iter()
            .map(|difference| DifferenceReport {
                entry: difference.entry,
                left: difference.left,
                right: difference.right,
                fields: difference
                    .fields
                    .into_iter()
                    .map(|field| FieldReport {
                        field: field.field,
                        left: field.left,
                        right: field.right,
                    })
                    .collect(),
            })
            .collect();
        Self {
            version: 1,
            equal,
            left_entries,
            right_entries,
            only_left,
            only_right,
            changed,
            differences,
        }
    }
}

impl DiffReport {
    /// An error when the stores differ.
    ///
    /// # Errors
    ///
    /// Fails with the number of entries that differ.
    pub fn verdict(&self, args: &DiffArgs) -> Result<(), InspectError> {
        if self.equal {
            return Ok(());
        }
        Err(InspectErrorKind::StoresDiffer {
            left: args.left.clone(),
            right: args.right.clone(),
            entries: self.only_left + self.only_right + self.changed,
        }
        .into())
    }

    /// The report for people.
    #[must_use]
    pub fn human(&self) -> String {
        if self.equal {
            return format!("equal: {} entries\n", self.left_entries);
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "different: {} entries changed, {} only in A, {} only in B (A has {}, B has {})",
            self.changed, self.only_left, self.only_right, self.left_entries, self.right_entries
        );
        for difference in &self.differences {
            let _ = writeln!(text, "{}", difference.entry);
            if difference.fields.is_empty() {
                for (name, value) in [("A", &difference.left), ("B", &difference.right)] {
                    let value = value.as_deref().unwrap_or("absent");
                    let _ = writeln!(text, "  {name}: {value}");
                }
            }
            for field in &difference.fields {
                let _ = writeln!(text, "  {}: {} -> {}", field.field, field.left, field.right);
            }
        }
        let shown = self.differences.len() as u64;
        let more = self.only_left + self.only_right + self.changed - shown;
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
        text
    }
}
