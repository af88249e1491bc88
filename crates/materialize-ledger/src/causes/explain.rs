//! The hypotheses about wrong roots, on the accounts of an archive.

use fork_archive::{Archive, ArchiveBlock};
use fork_fs::FsError;
use fork_ledger::account::Account;
use fork_ledger::batch::AccountBatch;
use fork_ledger::diagnose::{
    AccountSource, BatchSink, NamedRoot, Outcome, Question, ReadFailure, Reading, ReadingLoader,
    Step, diagnose,
};
use fork_ledger::json::MissingDelegate;
use fork_types::Era;
use fork_worker::{Progress, Unit};

use super::Suspect;
use crate::base::GenesisAccounts;
use crate::error::MaterializeError;
use crate::ledger::{AccountSink, gather};

/// Permutations spent at most: about a minute on two cores. `inspect-ledger explain` spends more, on a
/// list that a failed run leaves to nobody.
const PERMUTATIONS_MAX: u64 = 50_000_000;

/// How accounts of an archive are read: as they are.
const LOADER: ReadingLoader = ReadingLoader::Daemon {
    missing_delegate: MissingDelegate::NoDelegate,
};

/// The other era whose zkApps fit into the tables.
pub(super) fn other_era(archive: &Archive, era: Era) -> Option<Era> {
    let other = match era {
        Era::Berkeley => Era::Mesa,
        Era::Mesa => Era::Berkeley,
        Era::V1 => return None,
    };
    (other.app_state_len() <= archive.schema().width()).then_some(other)
}

/// Asks `fork_ledger::diagnose` and adds what explains the root, or that nothing does. A ledger with
/// holes is no list, and is not asked about.
pub(super) fn explain(
    archive: &mut Archive,
    suspect: Suspect<'_>,
    wrong: &ArchiveBlock,
    causes: &mut Vec<String>,
) -> Result<(), MaterializeError> {
    let reading = Reading {
        era: suspect.at.era,
        loader: LOADER,
    };
    let known = archive.siblings(wrong)?;
    let known_roots = known.iter().map(|block| NamedRoot {
        name: format!("staged (of block {})", block.state_hash),
        root: block.ledger_hash,
    });
    let question = Question {
        winner: Some(false),
        known_roots: known_roots.collect(),
        permutations_max: PERMUTATIONS_MAX,
        ..Question::new(wrong.ledger_hash, reading)
    };
    let mut source = Rows {
        archive,
        suspect,
        block: wrong,
    };
    let mut bar: Option<Progress> = None;
    let diagnosis = diagnose(&question, &mut source, None, &mut |step| match step {
        Step::Reading(_) => bar = None,
        Step::Searching { id, places } => {
            bar = Some(suspect.context.progress(id, places, Unit::Items));
        }
        Step::Tried(places) => {
            if let Some(bar) = &bar {
                bar.advance(places);
            }
        }
    })?;
    if diagnosis.is_unreadable() {
        return Ok(());
    }
    for hypothesis in diagnosis.explanations() {
        let place = match hypothesis.outcome {
            Outcome::Found {
                index, public_key, ..
            } => format!(" (leaf {index}, {public_key})"),
            _ => String::new(),
        };
        causes.push(format!(
            "{}: the root of block {} is that of {}{place}; {}",
            hypothesis.id, wrong.state_hash, hypothesis.summary, hypothesis.advice,
        ));
    }
    if !diagnosis.is_explained() {
        causes.push(format!(
            "none of the {} known mistakes that were tried on the ledger of block {} explains it: \
             the value of some account is wrong",
            diagnosis.tried(),
            wrong.state_hash
        ));
    }
    Ok(())
}

/// The ledger after a block, read as often as it takes.
struct Rows<'a, 's> {
    archive: &'a mut Archive,
    suspect: Suspect<'s>,
    block: &'a ArchiveBlock,
}

impl AccountSource for Rows<'_, '_> {
    type Error = MaterializeError;

    fn read(
        &mut self,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<MaterializeError>> {
        let refused = |text: &str| Err(ReadFailure::Refused(text.to_owned()));
        let era = self.suspect.at.era;
        if reading.era != era && other_era(self.archive, era) != Some(reading.era) {
            return refused("the tables have no accounts of that era");
        }
        // Another era is read by whatever loader; of one's own there is one way only.
        if reading.era == era && reading.loader != LOADER {
            return refused("accounts of an archive can be read in one way only");
        }
        let base = self.suspect.base.map(GenesisAccounts::open).transpose();
        let base = base.map_err(ReadFailure::Failed)?;
        let bar = self
            .suspect
            .context
            .progress("reading accounts", 0, Unit::Items);
        let mut forward = Forward {
            sink,
            refused: None,
        };
        let list = Some(&mut forward as &mut dyn AccountSink);
        let ledger = gather(self.archive, self.block, reading.era, base, list, &bar);
        let ledger = match ledger {
            Ok(ledger) => ledger,
            Err(error) if reading.era != era => return refused(&error.to_string()),
            Err(error) => return Err(ReadFailure::Failed(error)),
        };
        match forward.refused {
            Some(reason) => Err(ReadFailure::Refused(reason)),
            None if ledger.root.is_none() => {
                refused("there are leaves without an account, or with two")
            }
            None => Ok(false),
        }
    }
}

/// Hands accounts on until they are refused.
struct Forward<'s, 'f> {
    sink: &'s mut BatchSink<'f>,
    refused: Option<String>,
}

impl AccountSink for Forward<'_, '_> {
    fn write(&mut self, accounts: &[Account]) -> Result<(), FsError> {
        if self.refused.is_none() {
            self.refused = (self.sink)(AccountBatch::Later(accounts.to_vec())).err();
        }
        Ok(())
    }
}
