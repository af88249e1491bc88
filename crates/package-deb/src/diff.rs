//! `package-deb diff`: what differs between two packages, in the words of the domain.

mod compare;
mod files;
mod json;
mod side;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fork_fs::StagedDir;
use fork_types::Era;
use fork_worker::{Context, ReportingArgs, WorkerResult, text};
use serde::Serialize;

use crate::error::{DebError, DebErrorKind};
use side::Side;

/// Longest value shown.
const VALUE_CHARS_MAX: usize = 300;
/// Version of the JSON object.
const REPORT_VERSION: u32 = 1;

/// Say what differs between two packages
///
/// Names the difference that the others follow from first: an account of a ledger before the hashes
/// that change with it, a file before its checksum, the content before the packing. Then a list: ledgers,
/// configs by JSON path, other files, maintainer scripts, control data, md5sums, owners and times, the
/// `ar` container, compression. Ends with exit code 4 when the packages differ in a single byte.
#[derive(Clone, Debug, clap::Args)]
pub struct DiffArgs {
    /// Package, or a directory with one
    #[arg(value_name = "A")]
    pub left: PathBuf,

    /// The one to compare it with
    #[arg(value_name = "B")]
    pub right: PathBuf,

    /// Differences shown of each part
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub max: usize,

    /// Era the accounts of both are decoded by; ledgers do not say it
    #[arg(long, value_name = "ERA", default_value_t = Era::Mesa)]
    pub era: Era,

    /// Where ledgers are unpacked [default: the system's temporary directory]
    #[arg(long, value_name = "DIR", env = "FORKPACK_SCRATCH")]
    pub scratch: Option<PathBuf>,

    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// What a difference is about, what explains most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What a ledger holds.
    Ledger,
    /// A JSON file.
    Config,
    /// Any other file: there, not there, or of another content.
    File,
    /// A maintainer script or another control file.
    Script,
    /// The control data.
    Control,
    /// The checksums of the files.
    Md5sums,
    /// Modes, owners, times and order of the files.
    Attributes,
    /// The `ar` archive around everything.
    Container,
    /// How something is packed that holds the same.
    Packing,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Config => "config",
            Self::File => "file",
            Self::Script => "script",
            Self::Control => "control",
            Self::Md5sums => "md5sums",
            Self::Attributes => "attributes",
            Self::Container => "container",
            Self::Packing => "packing",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DebDifference {
    /// What it is about.
    pub part: Part,
    /// What differs.
    pub what: String,
    /// What A has; nothing when it has no such thing.
    pub left: Option<String>,
    /// What B has.
    pub right: Option<String>,
    /// More about it.
    pub detail: Vec<String>,
}

/// A package that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedDeb {
    /// The file.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// SHA-256 of the uncompressed data tar.
    pub payload_sha256: String,
}

/// How two packages differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DebDiff {
    /// Version of this object.
    pub version: u32,
    /// Whether they are the same bytes.
    pub equal: bool,
    /// A.
    pub left: ComparedDeb,
    /// B.
    pub right: ComparedDeb,
    /// The difference that the others follow from, in one line.
    pub first: Option<String>,
    /// The first differences of each part, what explains most first.
    pub differences: Vec<DebDifference>,
    /// Differences that are not listed.
    pub not_listed: u64,
}

/// What is found.
struct Found {
    max: usize,
    differences: Vec<DebDifference>,
    not_listed: u64,
}

impl Found {
    fn add(
        &mut self,
        part: Part,
        what: impl Into<String>,
        left: Option<&str>,
        right: Option<&str>,
        detail: Vec<String>,
    ) {
        let of_part = self.differences.iter().filter(|one| one.part == part);
        if of_part.count() >= self.max {
            self.not_listed += 1;
            return;
        }
        let shown = |value: &str| text::clipped(&value.escape_debug().to_string(), VALUE_CHARS_MAX);
        self.differences.push(DebDifference {
            part,
            what: text::clipped(&what.into(), VALUE_CHARS_MAX),
            left: left.map(shown),
            right: right.map(shown),
            detail,
        });
    }

    /// Adds a value that differs.
    fn value(&mut self, part: Part, what: impl Into<String>, left: &str, right: &str) {
        if left != right {
            self.add(part, what, Some(left), Some(right), Vec::new());
        }
    }
}

impl DiffArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let report = self.compare()?;
        context.emit(&report.human(), &report)?;
        report.verdict()?;
        Ok(())
    }

    /// Compares the two packages.
    ///
    /// # Errors
    ///
    /// Fails when one of them cannot be read; that they differ is no error here, see
    /// [`DebDiff::verdict`].
    pub fn compare(&self) -> Result<DebDiff, DebError> {
        let (left, right) = (locate(&self.left)?, locate(&self.right)?);
        let (left, right) = rayon::join(|| Side::read(&left), || Side::read(&right));
        let (left, right) = (left?, right?);
        let mut found = Found {
            max: self.max.max(1),
            differences: Vec::new(),
            not_listed: 0,
        };
        let equal = left.file == right.file;
        if !equal {
            let scratch = self.scratch.clone().unwrap_or_else(std::env::temp_dir);
            let scratch = StagedDir::create(&scratch.join("package-deb-diff"), false)?;
            compare::container(&mut found, &left, &right);
            compare::control(&mut found, &left, &right);
            files::compare(&mut found, &left, &right, self.era, scratch.path())?;
            if found.differences.is_empty() {
                let compressed = "compressed bytes of archives that hold the same";
                found.add(Part::Packing, compressed, None, None, Vec::new());
            }
        }
        // Stable, so that within a part they stay in the order of the package.
        found.differences.sort_by_key(|one| one.part);
        Ok(DebDiff {
            version: REPORT_VERSION,
            equal,
            first: found.differences.first().map(DebDifference::line),
            left: left.compared(),
            right: right.compared(),
            differences: found.differences,
            not_listed: found.not_listed,
        })
    }
}

/// The package at a path: the file itself, or the only one of a directory.
fn locate(path: &Path) -> Result<PathBuf, DebError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let names = fork_fs::sorted_names(path)?;
    let mut debs = names
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|one| one == "deb"));
    match (debs.next(), debs.next()) {
        (Some(name), None) => Ok(path.join(name)),
        (first, _) => Err(DebErrorKind::NoSinglePackage {
            path: path.to_owned(),
            found: if first.is_none() { "none" } else { "several" },
        }
        .into()),
    }
}

impl DebDifference {
    /// In one line.
    fn line(&self) -> String {
        let mut line = match self.detail.first().filter(|_| self.part == Part::Ledger) {
            Some(first) => format!("{}: {first}", self.what),
            None => match (&self.left, &self.right) {
                (None, None) => self.what.clone(),
                (Some(left), Some(right)) => format!("{}: {left} -> {right}", self.what),
                (Some(_), None) => format!("{}: only in A", self.what),
                (None, Some(_)) => format!("{}: only in B", self.what),
            },
        };
        line.insert_str(0, ": ");
        line.insert_str(0, self.part.name());
        line
    }
}

impl DebDiff {
    /// An error when the packages differ.
    ///
    /// # Errors
    ///
    /// Fails with the first difference.
    pub fn verdict(&self) -> Result<(), DebError> {
        if self.equal {
            return Ok(());
        }
        Err(DebErrorKind::Differ {
            left: self.left.path.clone().into(),
            right: self.right.path.clone().into(),
            differences: self.differences.len() as u64 + self.not_listed,
        }
        .into())
    }

    /// The report for people.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (name, side) in [("A", &self.left), ("B", &self.right)] {
            let _ = writeln!(
                text,
                "{name}  {} ({} bytes)\n   SHA-256 {}",
                side.path, side.bytes, side.sha256
            );
        }
        if self.equal {
            text.push_str("equal\n");
            return text;
        }
        if let Some(first) = &self.first {
            let _ = writeln!(text, "first difference: {first}");
        }
        let mut part = None;
        for one in &self.differences {
            if part != Some(one.part) {
                part = Some(one.part);
                let _ = writeln!(text, "{}", one.part.name());
            }
            let _ = writeln!(text, "  {}", one.what);
            for (name, value) in [("A", &one.left), ("B", &one.right)] {
                match value {
                    Some(value) => {
                        let _ = writeln!(text, "    {name}: {value}");
                    }
                    None if one.left.is_some() || one.right.is_some() => {
                        let _ = writeln!(text, "    {name}: not there");
                    }
                    None => {}
                }
            }
            for line in &one.detail {
                let _ = writeln!(text, "    {line}");
            }
        }
        if self.not_listed > 0 {
            let _ = writeln!(text, "and {} more", self.not_listed);
        }
        text
    }
}
