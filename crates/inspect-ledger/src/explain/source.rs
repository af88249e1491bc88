//! A list in a file, as a source that can be read again.

use std::error::Error;
use std::fmt::Write as _;
use std::io::BufRead;

use fork_ledger::account::{Account, V1Account};
use fork_ledger::batch::{AccountBatch, DumpReader};
use fork_ledger::diagnose::{AccountSource, BatchSink, ReadFailure, Reading, ReadingLoader};
use fork_ledger::dump::MAGIC;
use fork_ledger::json::ledger_object::adds_genesis_winner;
use fork_ledger::json::{
    AccountError, AccountJson, DaemonRules, ForkRules, ListedAccountError, StreamError,
    VerificationKeyCache, from_daemon_config, from_fork_config, v1_from_json,
};
use fork_types::document::SourceRef;
use fork_types::{Era, Role};
use fork_worker::{Context, Input, InputArg};
use rayon::prelude::*;

use crate::args::ListArgs;
use crate::document;
use crate::error::{InspectError, InspectErrorKind, LeafError};

/// Accounts converted at a time.
const BATCH_ACCOUNTS: usize = 4096;

/// A list in a file, read as often as it takes.
#[derive(Clone)]
pub(super) struct FileSource<'a> {
    pub(super) file: &'a InputArg,
    pub(super) role: Role,
    sha256: Option<&'a str>,
    pub(super) context: &'a Context,
    /// What was read, after the first time.
    pub(super) source: Option<SourceRef>,
    /// Where in the document the list was.
    pub(super) place: Option<&'static str>,
}

impl<'a> FileSource<'a> {
    pub(super) fn new(file: &'a InputArg, list: &'a ListArgs, context: &'a Context) -> Self {
        Self {
            file,
            role: list.ledger,
            sha256: list.sha256.as_deref(),
            context,
            source: None,
            place: None,
        }
    }

    /// The pinned digest is that of the list, not of its reference.
    pub(super) fn without_pin(self) -> Self {
        Self {
            sha256: None,
            ..self
        }
    }

    /// Another list of the same document.
    pub(super) fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    pub(super) fn damaged(&self, error: std::io::Error) -> InspectError {
        fork_worker::InputError::Damaged {
            name: self.file.to_string(),
            bytes: 0,
            source: error,
        }
        .into()
    }

    fn read_json(
        &mut self,
        mut input: Input,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<InspectError>> {
        let mut batches = Batches {
            reading,
            keys: VerificationKeyCache::new(),
            batch: Vec::with_capacity(BATCH_ACCOUNTS),
            sink,
        };
        let read = document::read(&mut input, self.role, |index, account| {
            batches.push(index, account)
        })
        .and_then(|listing| {
            batches.flush().map_err(StreamError::Visit)?;
            Ok(listing)
        });
        let file = input.name().to_owned();
        let listing = match read {
            Ok(listing) => listing,
            Err(StreamError::Visit(error)) => return Err(ReadFailure::Refused(chain(&error))),
            Err(StreamError::Read { source, .. }) => {
                return Err(ReadFailure::Failed(input.damaged(source).into()));
            }
            Err(source) => {
                let error = InspectErrorKind::Accounts { file, source };
                return Err(ReadFailure::Failed(error.into()));
            }
        };
        self.finish(input)?;
        self.place = listing.place;
        if listing.meta.accounts.is_none() {
            let error = InspectErrorKind::NoLedger {
                file,
                role: self.role,
                named_only: listing.place.is_some(),
            };
            return Err(ReadFailure::Failed(error.into()));
        }
        Ok(listing.is_ledger_object
            && matches!(reading.loader, ReadingLoader::Daemon { .. })
            && adds_genesis_winner(&listing.meta, listing.proof_is_full))
    }

    fn read_dump(
        &mut self,
        mut input: Input,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<InspectError>> {
        let mut reader = DumpReader::new(&mut input, reading.era);
        loop {
            match reader.next_batch() {
                Ok(Some(batch)) => sink(batch).map_err(ReadFailure::Refused)?,
                Ok(None) => break,
                Err(StreamError::Read { source, .. }) => {
                    return Err(ReadFailure::Failed(input.damaged(source).into()));
                }
                Err(error) => return Err(ReadFailure::Refused(chain(&error))),
            }
        }
        self.finish(input)?;
        Ok(false)
    }

    fn finish(&mut self, input: Input) -> Result<(), ReadFailure<InspectError>> {
        let source = input
            .finish(self.sha256)
            .map_err(|error| ReadFailure::Failed(error.into()))?;
        self.source = Some(source);
        Ok(())
    }
}

impl AccountSource for FileSource<'_> {
    type Error = InspectError;

    fn read(
        &mut self,
        reading: &Reading,
        sink: &mut BatchSink<'_>,
    ) -> Result<bool, ReadFailure<InspectError>> {
        let mut input = Input::open(self.file, "account list", self.context)
            .map_err(|error| ReadFailure::Failed(error.into()))?;
        match input.fill_buf() {
            Ok(start) if start.starts_with(&MAGIC) => self.read_dump(input, reading, sink),
            Ok(_) => self.read_json(input, reading, sink),
            Err(error) => Err(ReadFailure::Failed(input.damaged(error).into())),
        }
    }
}

/// Collects accounts into batches, converts them and gives them to the sink.
struct Batches<'r, 's, 'f> {
    reading: &'r Reading,
    keys: VerificationKeyCache,
    batch: Vec<(u32, AccountJson<'static>)>,
    sink: &'s mut BatchSink<'f>,
}

impl Batches<'_, '_, '_> {
    fn push(&mut self, index: u32, account: AccountJson<'static>) -> Result<(), LeafError> {
        self.batch.push((index, account));
        if self.batch.len() == BATCH_ACCOUNTS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LeafError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (reading, keys) = (self.reading, &self.keys);
        let batch = if reading.era == Era::V1 {
            AccountBatch::V1(converted::<V1Account>(&self.batch, v1_from_json)?)
        } else {
            let convert = |json: &AccountJson<'static>| later(json, reading, keys);
            AccountBatch::Later(converted(&self.batch, convert)?)
        };
        self.batch.clear();
        (self.sink)(batch).map_err(LeafError::Unfit)
    }
}

fn later(
    json: &AccountJson<'static>,
    reading: &Reading,
    keys: &VerificationKeyCache,
) -> Result<Account, AccountError> {
    match reading.loader {
        ReadingLoader::Fork {
            ignore_missing,
            pad_app_state,
        } => {
            let rules = ForkRules {
                era: reading.era,
                ignore_missing,
                pad_app_state,
            };
            from_fork_config(json, &rules, keys)
        }
        ReadingLoader::Daemon { missing_delegate } => {
            let rules = DaemonRules {
                missing_delegate,
                ..DaemonRules::released(reading.era)
            };
            from_daemon_config(json, &rules, keys)
        }
    }
}

/// Converts on all threads; the error is that of the first account at fault.
fn converted<T: Send>(
    batch: &[(u32, AccountJson<'static>)],
    convert: impl Fn(&AccountJson<'static>) -> Result<T, AccountError> + Sync,
) -> Result<Vec<T>, ListedAccountError> {
    let converted: Vec<Result<T, ListedAccountError>> = batch
        .par_iter()
        .map(|(index, json)| convert(json).map_err(|error| error.at(*index, json)))
        .collect();
    converted.into_iter().collect()
}

/// A message and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
