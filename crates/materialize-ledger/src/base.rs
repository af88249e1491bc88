//! Genesis accounts from a file, for archives that lack them.
//!
//! They come as an account list or dump, inside a daemon's configuration, as a ledger tarball, or as a
//! candidate. Whatever it is, it ends as one list on the disk that is read side by side with the rows
//! of the archive, and nothing of it counts before its root is that of the chain's genesis block.

mod config;
mod form;

use std::collections::VecDeque;
use std::path::Path;

use fork_fs::StagedDir;
use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, LeafHasher, ListReader};
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_types::document::SourceRef;
use fork_types::{Era, LedgerHash, StateHash};
use fork_worker::{Context, Input, InputArg, OutputFormat};

use crate::error::{MaterializeError, MaterializeErrorKind};
use crate::ledger::{AccountSink, ListFile};
use form::Form;

/// What errors and documents call this input.
const KIND: &str = "genesis-accounts";

/// Name of the list that is made of another form.
const SCRATCH_NAME: &str = "genesis_accounts.json";

/// A list of genesis accounts that was proved.
#[derive(Debug)]
pub(crate) struct GenesisAccounts {
    /// The list, in the era's own form.
    list: InputArg,
    era: Era,
    source: SourceRef,
    accounts: u64,
    /// Where the list is when it was made here; goes away with this.
    _scratch: Option<StagedDir>,
}

impl GenesisAccounts {
    /// Reads `file`, whatever form it has, and proves that it is the ledger of a genesis block, given
    /// by state hash and root. `beside` is a path beside which there is room for a copy.
    pub(crate) fn prove(
        file: &InputArg,
        (genesis, expected): (StateHash, LedgerHash),
        era: Era,
        beside: &Path,
        context: &Context,
    ) -> Result<Self, MaterializeError> {
        let mut form = Form::of(file, era, context)?;
        let mut refused = None;
        loop {
            let (read, computed) = Self::read(&form, era, beside, context)?;
            if computed == expected {
                return Ok(read);
            }
            // Of several ways to read it the first is what was asked for.
            let refused = refused.get_or_insert((read.accounts, computed));
            match form.another() {
                Some(other) => form = other,
                None => {
                    return Err(MaterializeErrorKind::OtherBase {
                        file: file.to_string(),
                        accounts: refused.0,
                        computed: refused.1,
                        genesis,
                        expected,
                    }
                    .into());
                }
            }
        }
    }

    /// Reads all accounts, puts them into a list where they are in none, and computes their root.
    fn read(
        form: &Form,
        era: Era,
        beside: &Path,
        context: &Context,
    ) -> Result<(Self, LedgerHash), MaterializeError> {
        let mut prover = Prover {
            era,
            hasher: LeafHasher::new(era),
            root: RootBuilder::new(era, era.depth()),
            list: None,
        };
        let scratch = match form {
            Form::List(_) => None,
            Form::Config(..) | Form::Tarball(_) | Form::Other { .. } => {
                let mut name = beside.file_name().unwrap_or_default().to_owned();
                name.push(".genesis");
                let scratch = StagedDir::create(&beside.with_file_name(name), true)?;
                prover.list = Some(ListFile::create(scratch.path(), SCRATCH_NAME)?);
                Some(scratch)
            }
        };
        let source = form.read(&mut prover, beside, context)?;
        let accounts = prover.root.len();
        let computed = ledger_hash(prover.root.finish());
        let list = match (form, prover.list, &scratch) {
            (_, Some(list), Some(scratch)) => {
                list.finish()?;
                InputArg::Path(scratch.path().join(SCRATCH_NAME))
            }
            (Form::List(file) | Form::Config(file, _) | Form::Other { list: file, .. }, _, _) => {
                file.clone()
            }
            (Form::Tarball(path), _, _) => InputArg::Path(path.clone()),
        };
        let read = Self {
            list,
            era,
            source,
            accounts,
            _scratch: scratch,
        };
        Ok((read, computed))
    }

    /// What was given.
    pub(crate) const fn source(&self) -> &SourceRef {
        &self.source
    }

    /// How many there are.
    pub(crate) const fn accounts(&self) -> u64 {
        self.accounts
    }

    /// The accounts from the first on.
    pub(crate) fn open(&self) -> Result<Base, MaterializeError> {
        Base::start(&self.list, self.era, &Context::quiet(OutputFormat::Human))
    }
}

/// Takes accounts of the era in leaf order, whatever they come from.
pub(super) struct Prover {
    era: Era,
    hasher: LeafHasher,
    root: RootBuilder,
    list: Option<ListFile>,
}

impl Prover {
    fn take(&mut self, accounts: &[Account]) -> Result<(), MaterializeError> {
        let first = self.root.len();
        let leaves = self
            .hasher
            .hash_as(self.era, accounts)
            .map_err(|source| MaterializeErrorKind::Hash { first, source })?;
        self.root.extend_from_slice(&leaves)?;
        if let Some(list) = &mut self.list {
            list.write(accounts)?;
        }
        Ok(())
    }
}

/// A list of accounts in leaf order, read as it is needed.
pub(crate) struct Base {
    file: String,
    reader: ListReader<Input>,
    ready: VecDeque<Account>,
}

impl Base {
    fn start(file: &InputArg, era: Era, context: &Context) -> Result<Self, MaterializeError> {
        let input = Input::open(file, KIND, context)?;
        let name = file.to_string();
        let reader = ListReader::new(input, era, false).map_err(|source| {
            fork_worker::InputError::Damaged {
                name: name.clone(),
                bytes: 0,
                source,
            }
        })?;
        Ok(Self {
            file: name,
            reader,
            ready: VecDeque::new(),
        })
    }

    fn next_batch(&mut self) -> Result<Option<AccountBatch>, MaterializeError> {
        let read = self.reader.next_batch();
        Ok(read.map_err(|source| MaterializeErrorKind::Base {
            file: self.file.clone(),
            source,
        })?)
    }

    /// The next account of the list.
    pub(crate) fn next(&mut self) -> Result<Option<Account>, MaterializeError> {
        while self.ready.is_empty() {
            match self.next_batch()? {
                Some(AccountBatch::Later(accounts)) => self.ready.extend(accounts),
                // No archive's era has the accounts of the first mainnet.
                Some(AccountBatch::V1(_)) | None => return Ok(None),
            }
        }
        Ok(self.ready.pop_front())
    }

    fn finish(self) -> Result<SourceRef, MaterializeError> {
        Ok(self.reader.into_source().finish(None)?)
    }
}
