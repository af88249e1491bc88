//! A list in a file, as a source that can be read again.

use std::error::Error;
use std::fmt::Write as _;
use std::io::BufRead;

use fork_ledger::batch::DumpReader;
use fork_ledger::diagnose::{
    AccountSource, BatchSink, Converter, ReadFailure, Reading, ReadingLoader,
};
use fork_ledger::dump::MAGIC;
use fork_ledger::json::StreamError;
use fork_ledger::json::document;
use fork_ledger::json::ledger_object::adds_genesis_winner;
use fork_types::Role;
use fork_types::document::SourceRef;
use fork_worker::{Context, Input, InputArg};

use crate::args::ListArgs;
use crate::error::{InspectError, InspectErrorKind, LeafError};

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
        let mut converter = Converter::new(*reading, sink);
        let read = document::read(&mut input, self.role, |index, account| {
            converter.push(index, account).map_err(LeafError::from)
        })
        .and_then(|listing| {
            let flushed = converter.flush().map_err(LeafError::from);
            flushed.map_err(StreamError::Visit)?;
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
