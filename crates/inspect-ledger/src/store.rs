//! `scan` and `diff`: ledger stores.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use fork_store::{
    Difference, LedgerComparison, LedgerSides, ScanSummary, StoreReader, compare_ledgers,
    write_scan,
};
use fork_types::document::{Document, LedgerDocument};
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

/// How two ledgers differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// Version of this object.
    pub version: u32,
    /// Whether they hold the same.
    pub equal: bool,
    /// The difference that the others follow from, in one line: of an account or of the packing.
    pub first: Option<String>,
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
    /// The first differences of each kind: accounts, texts, hash nodes.
    pub differences: Vec<DifferenceReport>,
    /// What differs between two tarballs that hold the same.
    pub packing: Vec<String>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferenceReport {
    /// What the entry is about.
    pub entry: String,
    /// Public key of the account, when it is one that decodes.
    pub owner: Option<String>,
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

/// Compares two ledgers.
///
/// # Errors
///
/// Fails when one of them cannot be read; that they differ is no error here, see
/// [`DiffReport::verdict`].
pub fn diff(args: &DiffArgs) -> Result<DiffReport, InspectError> {
    let (left, right) = (locate(&args.left)?, locate(&args.right)?);
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let comparison = compare_ledgers(&LedgerSides {
        left: (&left, args.left_era.unwrap_or(args.era)),
        right: (&right, args.era),
        depth: args.depth,
        kept_max: args.max,
        scratch: &scratch,
    })?;
    Ok(comparison.into())
}

/// The tarball of a directory that `migrate-ledger` wrote; anything else is what it is.
fn locate(path: &Path) -> Result<PathBuf, InspectError> {
    if !fork_fs::exists(&path.join(LedgerDocument::FILE_NAME)) {
        return Ok(path.to_owned());
    }
    let (document, _) = fork_fs::read_document::<LedgerDocument>(path)?;
    Ok(fork_fs::child(path, &document.tarball.file.name)?)
}

impl From<LedgerComparison> for DiffReport {
    fn from(comparison: LedgerComparison) -> Self {
        let LedgerComparison { content, packing } = comparison;
        let first = content.first().map(Difference::to_string);
        let first = first.or_else(|| packing.first().map(|one| format!("packing only: {one}")));
        let equal = content.is_equal();
        let mut differences = content.differences;
        // What explains the others first; within a kind they are in order.
        differences.sort_by_key(|one| one.kind);
        let differences = differences
            .into_iter()
            .map(|difference| DifferenceReport {
                entry: difference.entry,
                owner: difference.owner,
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
            version: 2,
            equal,
            first,
            left_entries: content.left_entries,
            right_entries: content.right_entries,
            only_left: content.only_left,
            only_right: content.only_right,
            changed: content.changed,
            differences,
            packing,
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
            let mut text = format!("equal: {} entries\n", self.left_entries);
            for packing in &self.packing {
                let _ = writeln!(text, "packed otherwise: {packing}");
            }
            return text;
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "different: {} entries changed, {} only in A, {} only in B (A has {}, B has {})",
            self.changed, self.only_left, self.only_right, self.left_entries, self.right_entries
        );
        if let Some(first) = &self.first {
            let _ = writeln!(text, "first difference: {first}");
        }
        for difference in &self.differences {
            match &difference.owner {
                Some(owner) => {
                    let _ = writeln!(text, "{} ({owner})", difference.entry);
                }
                None => {
                    let _ = writeln!(text, "{}", difference.entry);
                }
            }
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
