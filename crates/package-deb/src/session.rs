//! `package-deb session`: a package taken apart into a directory, changed there, and put together
//! again.
//!
//! [`unpack`] makes the directory; [`Session`] is one that is open. The directory has the shape of
//! upstream's (`scripts/debian/session`): people may look at it and change files by hand. What a file
//! system does not hold for an ordinary user is in `session.json` beside them.

mod document;
mod edit;
mod error;
mod pattern;
mod plan;
mod report;
mod save;
mod store;
mod unpack;

use std::cmp::Ordering;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fork_types::document::Document;
use fork_worker::{Context, ReportingArgs, WorkerResult};
use serde::Serialize;

pub use document::{Attributes, EntryRecord, Original, RecordKind, SessionDocument};
pub use edit::RelationField;
pub use error::{SessionError, SessionErrorKind};
pub use report::{
    AttributeChange, Content, ControlFileChange, FieldChange, Item, Moved, Replaced, Saved,
    SessionReport, Unchanged,
};
pub(crate) use save::{deb_name, described};
pub use store::Session;
pub use unpack::unpack;
pub(crate) use unpack::unpack_into;

use crate::args::{SUITES, seconds};

/// Take a package apart, change it, and put it together again
///
/// `open` unpacks a package into a directory with `control/`, `data/` and `session.json`. Change it
/// with the commands here, or files in it by hand. `save` packs it again: what was not touched keeps
/// owner, mode and time, equal contents give equal bytes, and a report says what changed. Paths in
/// the package are absolute, as they will be when it is installed. An interrupted command leaves the
/// session as it was, or the next one finishes it.
#[derive(Clone, Debug, Args)]
pub struct SessionArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SessionCommand,
}

/// What to do with a session.
#[derive(Clone, Debug, Subcommand)]
pub enum SessionCommand {
    /// Unpack a package into a new session directory
    Open(OpenArgs),
    /// Put files into the package
    Insert(InsertArgs),
    /// Give files in the package new content
    Replace(ReplaceArgs),
    /// Remove files from the package
    Remove(RemoveArgs),
    /// Move a file within the package, with its owner, mode and time
    #[command(visible_alias = "mv")]
    Move(MoveArgs),
    /// Rename the package
    RenamePackage(RenamePackageArgs),
    /// Change the version, and say how the new one sorts
    Reversion(ReversionArgs),
    /// Set a field of the control data
    UpdateControl(UpdateControlArgs),
    /// Set the suite
    #[command(visible_alias = "replace-suite")]
    Suite(SuiteArgs),
    /// Print a field of the control data
    ReadField(ReadFieldArgs),
    /// Say what changed since the package was opened
    #[command(visible_alias = "status")]
    Diff(DiffSessionArgs),
    /// Pack the session, and say what changed
    Save(SaveArgs),
}

/// Arguments of `open`.
#[derive(Clone, Debug, Args)]
pub struct OpenArgs {
    /// Package to open
    pub deb: PathBuf,
    /// Session directory to create; it must not exist or be empty
    pub dir: PathBuf,
    /// Replace the session directory if it is not empty
    #[arg(long)]
    pub force: bool,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `insert`.
#[derive(Clone, Debug, Args)]
pub struct InsertArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Path in the package; with a slash at its end, the directory that gets the files
    pub destination: String,
    /// Files to insert; they will belong to root
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Take the destination for a directory even without a slash at its end
    #[arg(long, short)]
    pub directory: bool,
    /// Permission bits in octal [default: 0755 for files their owner may run, else 0644]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub mode: Option<u32>,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `replace`.
#[derive(Clone, Debug, Args)]
pub struct ReplaceArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Path in the package, or a pattern with `*`, `?` or `**` in quotes; all files that fit are
    /// replaced, and keep owner and mode
    pub path: String,
    /// File with the new content
    pub file: PathBuf,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `remove`.
#[derive(Clone, Debug, Args)]
pub struct RemoveArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Paths in the package, or patterns with `*`, `?` or `**` in quotes; directories stay
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `move`.
#[derive(Clone, Debug, Args)]
pub struct MoveArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Path in the package
    pub from: String,
    /// New path; with a slash at its end, the directory that gets the file
    pub to: String,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `rename-package`.
#[derive(Clone, Debug, Args)]
pub struct RenamePackageArgs {
    /// Session directory
    pub dir: PathBuf,
    /// New name
    pub name: String,
    /// Let files of the old package be taken over: name it in `Replaces`
    #[arg(long)]
    pub replaces: bool,
    /// Let only one of both be installed: name the old package in `Conflicts`
    #[arg(long)]
    pub conflicts: bool,
    /// Let what depends on the old package be content: name it in `Provides`, with the version
    #[arg(long)]
    pub provides: bool,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `reversion`.
#[derive(Clone, Debug, Args)]
pub struct ReversionArgs {
    /// Session directory
    pub dir: PathBuf,
    /// New Debian version
    // Options of a version's form would otherwise be taken for options.
    #[arg(allow_hyphen_values = true)]
    pub version: String,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `update-control`.
#[derive(Clone, Debug, Args)]
pub struct UpdateControlArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Name of the field
    pub field: String,
    /// New value; lines after the first begin with a blank
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `suite`.
#[derive(Clone, Debug, Args)]
pub struct SuiteArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Suite of the network's package repositories
    #[arg(value_parser = SUITES)]
    pub suite: String,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `read-field`.
#[derive(Clone, Debug, Args)]
pub struct ReadFieldArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Name of the field
    pub field: String,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `diff`.
#[derive(Clone, Debug, Args)]
pub struct DiffSessionArgs {
    /// Session directory
    pub dir: PathBuf,
    /// End with exit code 4 when anything changed
    #[arg(long)]
    pub exit_code: bool,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Arguments of `save`.
#[derive(Clone, Debug, Args)]
pub struct SaveArgs {
    /// Session directory
    pub dir: PathBuf,
    /// Package file to write, or a directory that gets one with the usual name
    pub output: PathBuf,
    /// Replace the package file if it exists
    #[arg(long)]
    pub force: bool,
    /// Time of what was changed, seconds since 1970 [default: the time of the original package]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true, value_parser = seconds)]
    pub source_date_epoch: Option<u64>,
    /// Write the report as JSON to this file as well
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Read the package back and compare it; always done, accepted for upstream's scripts
    #[arg(long, hide = true)]
    pub verify: bool,
    /// How to report
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err("must be up to four octal digits, such as 0644".to_owned()),
    }
}

/// What an edit did, as JSON.
#[derive(Debug, Serialize)]
struct Edited {
    /// The command.
    edit: &'static str,
    /// Paths in the package that it was about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
    /// The field that it set.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What the field was.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<String>,
    /// What the field is.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
    /// How a new version sorts: `upgrade`, `same` or `downgrade`.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'static str>,
}

impl Edited {
    fn files(edit: &'static str, paths: Vec<String>) -> (String, Self) {
        let human = paths.join("\n");
        let edited = Self {
            edit,
            paths,
            field: None,
            old: None,
            new: None,
            order: None,
        };
        (human, edited)
    }

    fn field(edit: &'static str, field: &str, old: Option<String>, new: &str) -> (String, Self) {
        let shown = old.as_deref().unwrap_or("(none)");
        let human = format!("{field}: {shown} -> {new}");
        let edited = Self {
            edit,
            paths: Vec::new(),
            field: Some(field.to_owned()),
            old,
            new: Some(new.to_owned()),
            order: None,
        };
        (human, edited)
    }
}

impl SessionArgs {
    pub(crate) fn reporting(&self) -> &ReportingArgs {
        match &self.command {
            SessionCommand::Open(args) => &args.reporting,
            SessionCommand::Insert(args) => &args.reporting,
            SessionCommand::Replace(args) => &args.reporting,
            SessionCommand::Remove(args) => &args.reporting,
            SessionCommand::Move(args) => &args.reporting,
            SessionCommand::RenamePackage(args) => &args.reporting,
            SessionCommand::Reversion(args) => &args.reporting,
            SessionCommand::UpdateControl(args) => &args.reporting,
            SessionCommand::Suite(args) => &args.reporting,
            SessionCommand::ReadField(args) => &args.reporting,
            SessionCommand::Diff(args) => &args.reporting,
            SessionCommand::Save(args) => &args.reporting,
        }
    }

    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let open = |directory: &PathBuf| -> Result<Session, SessionError> {
            let session = Session::open(directory)?;
            if session.was_unfinished {
                context.note("finished an edit that had been interrupted");
            }
            Ok(session)
        };
        let (human, edited) = match &self.command {
            SessionCommand::Open(args) => {
                let document = unpack(&args.deb, &args.dir, args.force)?;
                let human = report::plain(&opened(&document, &args.dir));
                return Ok(context.emit(&human, &document)?);
            }
            SessionCommand::Insert(args) => {
                let mut session = open(&args.dir)?;
                let paths =
                    session.insert(&args.destination, args.directory, &args.files, args.mode)?;
                Edited::files("insert", paths)
            }
            SessionCommand::Replace(args) => {
                let paths = open(&args.dir)?.replace(&args.path, &args.file)?;
                Edited::files("replace", paths)
            }
            SessionCommand::Remove(args) => {
                let paths = open(&args.dir)?.remove(&args.paths)?;
                Edited::files("remove", paths)
            }
            SessionCommand::Move(args) => {
                let (from, to) = open(&args.dir)?.rename(&args.from, &args.to)?;
                let human = format!("{from} -> {to}");
                (human, Edited::files("move", vec![from, to]).1)
            }
            SessionCommand::RenamePackage(args) => {
                let relations: Vec<RelationField> = [
                    (args.replaces, RelationField::Replaces),
                    (args.conflicts, RelationField::Conflicts),
                    (args.provides, RelationField::Provides),
                ]
                .into_iter()
                .filter_map(|(is_wanted, field)| is_wanted.then_some(field))
                .collect();
                let old = open(&args.dir)?.rename_package(&args.name, &relations)?;
                Edited::field("rename-package", "Package", Some(old), &args.name)
            }
            SessionCommand::Reversion(args) => {
                let (old, order) = open(&args.dir)?.reversion(&args.version)?;
                let (human, mut edited) =
                    Edited::field("reversion", "Version", Some(old), &args.version);
                let (order, words) = match order {
                    Some(Ordering::Greater) => (Some("upgrade"), "an upgrade"),
                    Some(Ordering::Less) => (
                        Some("downgrade"),
                        "a downgrade, which apt installs only when told to",
                    ),
                    Some(Ordering::Equal) => (Some("same"), "the same version to dpkg"),
                    None => (None, "the old one is no Debian version"),
                };
                edited.order = order;
                (format!("{human} ({words})"), edited)
            }
            SessionCommand::UpdateControl(args) => {
                let old = open(&args.dir)?.update_control(&args.field, &args.value)?;
                Edited::field("update-control", &args.field, old, &args.value)
            }
            SessionCommand::Suite(args) => {
                let old = open(&args.dir)?.update_control("Suite", &args.suite)?;
                Edited::field("suite", "Suite", old, &args.suite)
            }
            SessionCommand::ReadField(args) => {
                let value = open(&args.dir)?.field(&args.field)?;
                return Ok(context.emit(&report::plain(&value), &value)?);
            }
            SessionCommand::Diff(args) => {
                let report = open(&args.dir)?.report(None)?;
                context.emit(&report.human(), &report)?;
                let changes = report.changes();
                if args.exit_code && changes > 0 {
                    return Err(SessionError::from(SessionErrorKind::Changed { changes }).into());
                }
                return Ok(());
            }
            SessionCommand::Save(args) => {
                let session = open(&args.dir)?;
                let report = session.save(&args.output, args.force, args.source_date_epoch)?;
                if let Some(path) = &args.report {
                    let bytes = report.to_json().map_err(fork_worker::OutputError::from)?;
                    fork_fs::write_atomic(path, &bytes)?;
                }
                return Ok(context.emit(&report.human(), &report)?);
            }
        };
        Ok(context.emit(&report::plain(&human), &edited)?)
    }
}

fn opened(document: &SessionDocument, directory: &std::path::Path) -> String {
    let original = &document.original;
    let files = |is_wanted: fn(&RecordKind) -> bool| {
        let entries = document.entries.iter();
        entries.filter(|entry| is_wanted(&entry.kind)).count()
    };
    format!(
        "{} {} {}: {} files, {} links, {} directories, {} control files\nopened in {}; save with: package-deb session save {} OUTPUT",
        original.package,
        original.package_version,
        original.architecture,
        files(|kind| matches!(kind, RecordKind::File { .. })),
        files(|kind| matches!(
            kind,
            RecordKind::Symlink { .. } | RecordKind::HardLink { .. }
        )),
        files(|kind| matches!(kind, RecordKind::Directory)),
        document.control_files.len(),
        directory.display(),
        directory.display(),
    )
}
