//! `convert`: an account list in its other form.

use std::io::{self, BufWriter, Write};

use fork_fs::{AtomicFile, FsError, HashingWriter, Operation};
use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, ListReader};
use fork_ledger::dump::DumpWriter;
use fork_ledger::json::{StreamError, write_account_json};
use fork_types::Era;
use fork_types::document::{FileRef, SourceRef};
use fork_worker::{Context, Input};
use serde::Serialize;

use crate::args::{ConvertArgs, ListForm};
use crate::error::{InspectError, InspectErrorKind};

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConvertReport {
    /// Version of this object.
    pub version: u32,
    /// Form written.
    pub form: &'static str,
    /// Era of the accounts.
    pub era: Era,
    /// Number of accounts.
    pub accounts: u32,
    /// The file written.
    pub file: FileRef,
    /// The file read.
    pub source: SourceRef,
}

impl ConvertReport {
    /// The report for people.
    #[must_use]
    pub fn human(&self) -> String {
        format!(
            "accounts    {}\nform        {}\nbytes       {}\nsha256      {}\nwritten to  {}\n",
            self.accounts, self.form, self.file.bytes, self.file.sha256, self.file.name
        )
    }
}

type Sink = BufWriter<HashingWriter<AtomicFile>>;

/// A list being written.
enum Writer {
    Json {
        sink: Sink,
        text: Vec<u8>,
        is_first: bool,
    },
    BinProt(DumpWriter<Sink>),
}

impl Writer {
    fn new(form: ListForm, era: Era, sink: Sink) -> io::Result<Self> {
        match form {
            ListForm::Json => Ok(Self::Json {
                sink,
                text: Vec::new(),
                is_first: true,
            }),
            ListForm::BinProt => DumpWriter::new(sink, era).map(Self::BinProt),
        }
    }

    fn push(&mut self, account: &Account) -> io::Result<()> {
        match self {
            Self::Json {
                sink,
                text,
                is_first,
            } => {
                text.clear();
                text.extend_from_slice(if *is_first { b"[\n" } else { b",\n" });
                *is_first = false;
                write_account_json(account, text);
                sink.write_all(text)
            }
            Self::BinProt(dump) => dump.push(account),
        }
    }

    fn finish(self) -> io::Result<HashingWriter<AtomicFile>> {
        let sink = match self {
            Self::Json {
                mut sink, is_first, ..
            } => {
                sink.write_all(if is_first { b"[]\n" } else { b"\n]\n" })?;
                sink
            }
            Self::BinProt(dump) => dump.finish()?,
        };
        sink.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Converts a list; nothing is left of an output that is not complete.
///
/// # Errors
///
/// Fails on an unusable file or account, and when the disk refuses.
pub fn convert(args: &ConvertArgs, context: &Context) -> Result<ConvertReport, InspectError> {
    if args.era == Era::V1 {
        return Err(InspectErrorKind::NoForm { era: args.era }.into());
    }
    let input = Input::open(&args.file, "account list", context)?;
    let file = input.name().to_owned();
    let written = |source| FsError::io(Operation::Write, &args.output, source);
    let target = AtomicFile::create(&args.output)?;
    let sink = BufWriter::with_capacity(BUFFER_BYTES, HashingWriter::new(target));
    let mut writer = Writer::new(args.to, args.era, sink).map_err(written)?;
    let mut reader = ListReader::new(input, args.era, args.ignore_missing).map_err(|source| {
        fork_worker::InputError::Damaged {
            name: file.clone(),
            bytes: 0,
            source,
        }
    })?;
    let mut accounts = 0_u32;
    loop {
        let batch = match reader.next_batch() {
            Ok(Some(AccountBatch::Later(batch))) => batch,
            Ok(Some(AccountBatch::V1(_))) => {
                return Err(InspectErrorKind::NoForm { era: Era::V1 }.into());
            }
            Ok(None) => break,
            Err(StreamError::Read { source, .. }) => {
                return Err(reader.into_source().damaged(source).into());
            }
            Err(source) => return Err(InspectErrorKind::Convert { file, source }.into()),
        };
        for account in &batch {
            writer.push(account).map_err(written)?;
            accounts = accounts.saturating_add(1);
        }
    }
    let source = reader.into_source().finish(args.sha256.as_deref())?;
    let (target, digested) = writer.finish().map_err(written)?.finish();
    target.commit()?;
    Ok(ConvertReport {
        version: 1,
        form: args.to.name(),
        era: args.era,
        accounts,
        file: FileRef {
            name: args.output.display().to_string(),
            sha256: digested.sha256,
            bytes: digested.bytes,
        },
        source,
    })
}
