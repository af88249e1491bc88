//! `explain`: which known mistake a wrong root comes from.

mod report;
mod source;

use std::io::BufRead;

use fork_ledger::batch::LeafHasher;
use fork_ledger::diagnose::{
    AccountSource, NamedRoot, Question, ReadFailure, Reading, ReadingLoader, Step, diagnose,
};
use fork_ledger::json::MissingDelegate;
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_types::{LedgerHash, Role};
use fork_worker::{Context, Input, Progress, Unit};

use self::report::report;
pub use self::report::{
    ChangedMemberReport, ChangedReport, ExplainReport, HypothesisReport, ReferenceReport, Verdict,
};
use self::source::FileSource;
use crate::args::{ExplainArgs, Loader, Winner};
use crate::error::{InspectError, InspectErrorKind};

/// What an object of a ledger or a configuration is called when it is the document itself.
const TOP_PLACE: &str = "ledger object";

/// Finds out why the list has not the expected root.
///
/// # Errors
///
/// Fails on an unusable file. A root that nothing explains is no failure here; see
/// [`ExplainReport::verdict`].
pub fn explain(args: &ExplainArgs, context: &Context) -> Result<ExplainReport, InspectError> {
    let list = &args.list;
    let reading = Reading {
        era: list.era,
        loader: match list.loader {
            Loader::Fork => ReadingLoader::Fork {
                ignore_missing: list.ignore_missing,
                pad_app_state: list.pad_app_state,
            },
            Loader::Daemon => ReadingLoader::Daemon {
                missing_delegate: MissingDelegate::Itself,
            },
        },
    };
    let mut source = FileSource::new(&list.file, list, context);
    let mut reference = args
        .reference
        .as_ref()
        .map(|file| FileSource::new(file, list, context).without_pin());
    let named = |(name, root): &(String, LedgerHash)| NamedRoot {
        name: name.clone(),
        root: *root,
    };
    let question = Question {
        depth: args.depth.unwrap_or(list.era.depth()),
        winner: match args.winner {
            Winner::Auto => None,
            Winner::Yes => Some(true),
            Winner::No => Some(false),
        },
        fork_slots: args.fork_slot.clone(),
        known_roots: args.known_root.iter().map(named).collect(),
        other_lists: other_lists(&source, &reading, args.depth)?,
        permutations_max: args.limit_hashes,
        differences_max: args.max,
        ..Question::new(args.expect_root, reading)
    };
    let mut bar: Option<Progress> = None;
    let diagnosis = diagnose(
        &question,
        &mut source,
        reference.as_mut(),
        &mut |step| match step {
            // Reading has a bar of its own.
            Step::Reading(_) => bar = None,
            Step::Searching { id, places } => {
                bar = Some(context.progress(id, places, Unit::Items));
            }
            Step::Tried(places) => {
                if let Some(bar) = &bar {
                    bar.advance(places);
                }
            }
        },
    )?;
    Ok(report(args, &question, &diagnosis, source.source))
}

/// Roots of the other ledgers of the same document.
fn other_lists(
    source: &FileSource<'_>,
    reading: &Reading,
    depth: Option<u8>,
) -> Result<Vec<NamedRoot>, InspectError> {
    let mut roots = Vec::new();
    let mut input = Input::open(source.file, "account list", source.context)?;
    let start = input.fill_buf().map_err(|error| source.damaged(error))?;
    if start.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(roots);
    }
    drop(input);
    for role in [Role::Genesis, Role::Staking, Role::Next] {
        if role == source.role {
            continue;
        }
        let mut other = source.clone().with_role(role);
        let hasher = LeafHasher::new(reading.era);
        let mut builder = RootBuilder::new(reading.era, depth.unwrap_or(reading.era.depth()));
        let read = other.read(reading, &mut |batch| {
            let leaves = hasher.hash(&batch).map_err(|error| error.to_string())?;
            builder
                .extend_from_slice(&leaves)
                .map_err(|error| error.to_string())
        });
        match read {
            // The document is one ledger, whatever role it is asked for.
            Ok(_) if other.place == Some(TOP_PLACE) => break,
            Ok(_) => roots.push(NamedRoot {
                name: role.to_string(),
                root: ledger_hash(builder.finish()),
            }),
            // Not there, or of another kind: then it is not what was expected.
            Err(ReadFailure::Refused(_)) => {}
            Err(ReadFailure::Failed(error)) => match error.kind() {
                InspectErrorKind::NoLedger { .. } => {}
                _ => return Err(error),
            },
        }
    }
    Ok(roots)
}
