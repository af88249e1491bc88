//! Genesis accounts from a file, for archives that lack them.

use std::collections::VecDeque;

use fork_archive::ArchiveBlock;
use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, LeafHasher, ListReader};
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_types::Era;
use fork_types::document::SourceRef;
use fork_worker::{Context, Input, InputArg};

use crate::error::{MaterializeError, MaterializeErrorKind};

/// A list of accounts in leaf order, read as it is needed.
pub(crate) struct Base {
    file: String,
    reader: ListReader<Input>,
    ready: VecDeque<Account>,
}

impl Base {
    /// Opens the list after having proved that it is the ledger of `genesis`.
    pub(crate) fn open(
        file: &InputArg,
        genesis: &ArchiveBlock,
        era: Era,
        context: &Context,
    ) -> Result<(Self, SourceRef), MaterializeError> {
        let mut list = Self::start(file, era, context)?;
        let hasher = LeafHasher::new(era);
        let mut root = RootBuilder::new(era, era.depth());
        while let Some(batch) = list.next_batch()? {
            let first = root.len();
            let leaves = hasher
                .hash(&batch)
                .map_err(|source| MaterializeErrorKind::Hash { first, source })?;
            root.extend_from_slice(&leaves)?;
        }
        let accounts = root.len();
        let source = list.reader.into_source().finish(None)?;
        let computed = ledger_hash(root.finish());
        if computed != genesis.ledger_hash {
            return Err(MaterializeErrorKind::OtherBase {
                file: file.to_string(),
                accounts,
                computed,
                genesis: genesis.state_hash,
                expected: genesis.ledger_hash,
            }
            .into());
        }
        Ok((Self::start(file, era, context)?, source))
    }

    fn start(file: &InputArg, era: Era, context: &Context) -> Result<Self, MaterializeError> {
        let input = Input::open(file, "genesis-accounts", context)?;
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
}
