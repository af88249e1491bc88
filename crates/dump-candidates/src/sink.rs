//! Where the accounts of the ledgers go: into the candidate's lists, and through the hashes.

use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fork_fs::{AtomicFile, FsError, HashingWriter, Operation};
use fork_genesis::import::AccountLists;
use fork_ledger::batch::{BATCH_ACCOUNTS, BatchReader, ListText, Taken};
use fork_ledger::json::AccountJson;
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_types::document::FileRef;
use fork_types::{Era, LedgerHash, Role};

use crate::error::{LedgerError, SinkError};
use crate::known::{KnownAccounts, ListedAccounts, Wanted, list_accounts};

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// A finished account list.
pub(crate) struct Listed {
    pub(crate) file: FileRef,
    pub(crate) accounts: u32,
    pub(crate) root: Option<LedgerHash>,
    pub(crate) total: u128,
}

/// The account lists being written, and what of one helps with the others.
pub(crate) struct LedgerSinks {
    genesis: LedgerSink,
    staking: LedgerSink,
    next: LedgerSink,
    /// Accounts of the list that was taken first.
    known: Option<KnownAccounts>,
}

impl LedgerSinks {
    /// Sinks made by `create`.
    pub(crate) fn create<E>(create: impl Fn(Role) -> Result<LedgerSink, E>) -> Result<Self, E> {
        Ok(Self {
            genesis: create(Role::Genesis)?,
            staking: create(Role::Staking)?,
            next: create(Role::Next)?,
            known: None,
        })
    }

    /// The sinks for genesis, staking and next.
    pub(crate) fn into_sinks(self) -> [LedgerSink; 3] {
        [self.genesis, self.staking, self.next]
    }
}

impl AccountLists for LedgerSinks {
    type Error = LedgerError;

    fn take<R: Read + Send>(
        &mut self,
        role: Role,
        list: &mut ListText<R, LedgerError>,
    ) -> Result<Taken, LedgerError> {
        let Self {
            genesis,
            staking,
            next,
            known,
        } = self;
        by_role(role, [genesis, staking, next])
            .take(list, known)
            .map_err(|source| LedgerError { role, source })
    }

    fn take_one(
        &mut self,
        role: Role,
        _index: u32,
        account: AccountJson<'static>,
    ) -> Result<(), LedgerError> {
        let Self {
            genesis,
            staking,
            next,
            ..
        } = self;
        by_role(role, [genesis, staking, next])
            .push(account)
            .map_err(|source| LedgerError { role, source })
    }
}

/// The sink of a role among those of genesis, staking and next.
const fn by_role(role: Role, [genesis, staking, next]: [&mut LedgerSink; 3]) -> &mut LedgerSink {
    match role {
        Role::Genesis => genesis,
        Role::Staking => staking,
        Role::Next => next,
    }
}

/// One account list being written.
///
/// Accounts come in whole batches that were worked on elsewhere, or one by one.
pub(crate) struct LedgerSink {
    name: &'static str,
    path: PathBuf,
    file: BufWriter<HashingWriter<AtomicFile>>,
    reader: Arc<BatchReader>,
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
            reader: Arc::new(BatchReader::new(era, ignore_missing)),
            pending: Vec::new(),
            text: Vec::new(),
            accounts: 0,
            root: with_root.then(|| RootBuilder::new(era, era.depth())),
            total: 0,
        })
    }

    /// Takes accounts of a list in whole batches, which leaves those of the first list in `known`.
    /// A list that is not taken to its end goes on with [`Self::push`].
    pub(crate) fn take<R: Read + Send, E: std::error::Error + Send + 'static>(
        &mut self,
        list: &mut ListText<R, E>,
        known: &mut Option<KnownAccounts>,
    ) -> Result<Taken, SinkError> {
        let reader = Arc::clone(&self.reader);
        let before = known.take();
        let mut collected = KnownAccounts::default();
        let wanted = Wanted {
            leaves: self.root.is_some(),
            known: before.is_none(),
        };
        let taken = list.take(
            |batch| list_accounts(&reader, before.as_ref(), wanted, batch),
            |jobs| {
                for mut job in jobs {
                    self.append(&job)?;
                    collected.extend(&mut job.known);
                }
                Ok::<(), SinkError>(())
            },
        )?;
        *known = Some(before.unwrap_or(collected));
        Ok(taken)
    }

    /// Adds accounts that are read and hashed; never between accounts that come one by one.
    fn append(&mut self, listed: &ListedAccounts) -> Result<(), SinkError> {
        self.total += listed.total;
        if let Some(root) = &mut self.root {
            root.extend_from_slice(&listed.leaves)?;
        }
        self.accounts = self
            .accounts
            .checked_add(listed.accounts)
            .ok_or(SinkError::TooManyAccounts)?;
        self.file
            .write_all(&listed.text)
            .map_err(|source| FsError::io(Operation::Write, &self.path, source).into())
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
