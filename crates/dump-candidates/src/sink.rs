//! Where the accounts of one ledger go: into the candidate's list, and through the hashes.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fork_fs::{AtomicFile, FsError, HashingWriter, Operation};
use fork_ledger::batch::{BATCH_ACCOUNTS, BatchReader};
use fork_ledger::json::AccountJson;
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_types::document::FileRef;
use fork_types::{Era, LedgerHash};

use crate::error::SinkError;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// A finished account list.
pub(crate) struct Listed {
    pub(crate) file: FileRef,
    pub(crate) accounts: u32,
    pub(crate) root: Option<LedgerHash>,
    pub(crate) total: u128,
}

/// One account list being written.
pub(crate) struct LedgerSink {
    name: &'static str,
    path: PathBuf,
    file: BufWriter<HashingWriter<AtomicFile>>,
    reader: BatchReader,
    pending: Vec<AccountJson<'static>>,
    text: Vec<u8>,
    accounts: u32,
    root: Option<RootBuilder>,
    total: u128,
}

impl LedgerSink {
    pub(crate) fn create(
        directory: &Path,
        name: &'static str,
        era: Era,
        ignore_missing: bool,
        with_root: bool,
    ) -> Result<Self, FsError> {
        let path = directory.join(name);
        let file = AtomicFile::create(&path)?;
        Ok(Self {
            name,
            path,
            file: BufWriter::with_capacity(BUFFER_BYTES, HashingWriter::new(file)),
            reader: BatchReader::new(era, ignore_missing),
            pending: Vec::with_capacity(BATCH_ACCOUNTS),
            text: Vec::new(),
            accounts: 0,
            root: with_root.then(|| RootBuilder::new(era, era.depth())),
            total: 0,
        })
    }

    pub(crate) fn push(&mut self, account: AccountJson<'static>) -> Result<(), SinkError> {
        self.pending.push(account);
        if self.pending.len() == BATCH_ACCOUNTS {
            self.flush()?;
        }
        Ok(())
    }

    /// Checks every account of the batch even when no root is wanted: a candidate with an unusable
    /// account is found now rather than by the next step.
    fn flush(&mut self) -> Result<(), SinkError> {
        let batch = self.reader.convert(self.accounts, &self.pending)?;
        self.total += batch.default_token_total();
        if let Some(root) = &mut self.root {
            let first = self.accounts;
            let hashes = self
                .reader
                .hash(&batch)
                .map_err(|source| SinkError::Hash { first, source })?;
            root.extend_from_slice(&hashes)?;
        }
        self.text.clear();
        for account in self.pending.drain(..) {
            self.text
                .extend_from_slice(if self.accounts == 0 { b"[\n" } else { b",\n" });
            account.write(&mut self.text);
            self.accounts = self
                .accounts
                .checked_add(1)
                .ok_or(SinkError::TooManyAccounts)?;
        }
        self.file
            .write_all(&self.text)
            .map_err(|source| FsError::io(Operation::Write, &self.path, source))?;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Listed, SinkError> {
        self.flush()?;
        if self.accounts == 0 {
            return Err(SinkError::Empty);
        }
        let failed = |source| SinkError::File(FsError::io(Operation::Write, &self.path, source));
        self.file.write_all(b"\n]\n").map_err(failed)?;
        let writer = self
            .file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        let (file, digested) = writer.finish();
        file.commit()?;
        Ok(Listed {
            file: FileRef {
                name: self.name.to_owned(),
                sha256: digested.sha256,
                bytes: digested.bytes,
            },
            accounts: self.accounts,
            root: self.root.map(|root| ledger_hash(root.finish())),
            total: self.total,
        })
    }
}
