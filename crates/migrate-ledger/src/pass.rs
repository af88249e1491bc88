//! One pass over an account list, in batches.

use fork_ledger::account::{Account, Timing};
use fork_ledger::batch::{AccountBatch, BATCH_ACCOUNTS, BatchReader};
use fork_ledger::binprot::encode_account;
use fork_ledger::json::AccountJson;
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_ledger::migrate::{Audit, Changes, Rule};
use fork_store::LedgerStoreWriter;
use fork_types::LedgerHash;
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::error::PassError;

/// Where the migrated accounts go.
pub(crate) enum Target<'a> {
    /// Into a store; the leaf hashes are kept for its tree.
    Store(&'a mut LedgerStoreWriter),
    /// Nowhere: only the root is wanted.
    RootOnly(RootBuilder),
}

/// Takes accounts one by one and works on them in batches.
pub(crate) struct Pass<'a> {
    rule: Rule,
    reader: BatchReader,
    pending: Vec<AccountJson<'static>>,
    first: u64,
    source_root: RootBuilder,
    target: Target<'a>,
    leaves: Vec<Fp>,
    audit: Audit,
    timed: u64,
}

/// What a pass found.
pub(crate) struct PassResult<'a> {
    /// Root under the source era's rules.
    pub(crate) source_root: LedgerHash,
    /// Counts.
    pub(crate) audit: Audit,
    /// Timed accounts before migration.
    pub(crate) timed: u64,
    /// Leaf hashes under the target era's rules, when a store was written.
    pub(crate) leaves: Vec<Fp>,
    /// The target.
    pub(crate) target: Target<'a>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(rule: Rule, ignore_missing: bool, target: Target<'a>) -> Self {
        let source = rule.source();
        Self {
            rule,
            reader: BatchReader::new(source, ignore_missing),
            pending: Vec::with_capacity(BATCH_ACCOUNTS),
            first: 0,
            source_root: RootBuilder::new(source, source.depth()),
            target,
            leaves: Vec::new(),
            audit: Audit::default(),
            timed: 0,
        }
    }

    /// Takes the next account.
    pub(crate) fn push(&mut self, account: AccountJson<'static>) -> Result<(), PassError> {
        self.pending.push(account);
        if self.pending.len() == BATCH_ACCOUNTS {
            self.flush()?;
        }
        Ok(())
    }

    /// Works on what is pending and gives the result.
    pub(crate) fn finish(mut self) -> Result<PassResult<'a>, PassError> {
        self.flush()?;
        Ok(PassResult {
            source_root: ledger_hash(self.source_root.finish()),
            audit: self.audit,
            timed: self.timed,
            leaves: self.leaves,
            target: self.target,
        })
    }

    fn flush(&mut self) -> Result<(), PassError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let first = u32::try_from(self.first).unwrap_or(u32::MAX);
        let sources = self.reader.convert(first, &self.pending)?;
        let count = self.pending.len() as u64;
        self.pending.clear();
        let migrated = self.migrate(&sources)?;
        let hash_error = |source| PassError::Hash {
            first: u64::from(first),
            source,
        };
        let source_hashes = self.reader.hash(&sources).map_err(hash_error)?;
        self.source_root.extend_from_slice(&source_hashes)?;
        // Where nothing changes, neither does the hash.
        let target_hashes = match self.rule {
            Rule::BerkeleyToBerkeley | Rule::MesaToMesa => source_hashes,
            Rule::V1ToBerkeley { .. } | Rule::BerkeleyToMesa(_) => self
                .reader
                .hash_as(self.rule.target(), &migrated)
                .map_err(hash_error)?,
        };
        match &mut self.target {
            Target::Store(writer) => {
                write(writer, &migrated)?;
                self.leaves.extend_from_slice(&target_hashes);
            }
            Target::RootOnly(root) => root.extend_from_slice(&target_hashes)?,
        }
        self.first += count;
        Ok(())
    }

    fn migrate(&mut self, sources: &AccountBatch) -> Result<Vec<Account>, PassError> {
        let (rule, first) = (self.rule, self.first);
        let failed = |offset: usize| {
            move |source| PassError::Migrate {
                index: first + offset as u64,
                source,
            }
        };
        let migrated: Vec<(Account, Changes)> = match sources {
            AccountBatch::V1(accounts) => accounts
                .par_iter()
                .enumerate()
                .map(|(offset, account)| rule.migrate_v1(account).map_err(failed(offset)))
                .collect::<Result<_, _>>()?,
            AccountBatch::Later(accounts) => accounts
                .par_iter()
                .enumerate()
                .map(|(offset, account)| rule.migrate(account).map_err(failed(offset)))
                .collect::<Result<_, _>>()?,
        };
        for (offset, (after, changes)) in migrated.iter().enumerate() {
            let timing = match sources {
                AccountBatch::V1(accounts) => {
                    self.audit.record_v1(&accounts[offset], after, changes);
                    accounts[offset].timing
                }
                AccountBatch::Later(accounts) => {
                    self.audit.record(&accounts[offset], after, changes);
                    accounts[offset].timing
                }
            };
            self.timed += u64::from(matches!(timing, Timing::Timed(_)));
        }
        Ok(migrated.into_iter().map(|(account, _)| account).collect())
    }
}

fn write(writer: &mut LedgerStoreWriter, accounts: &[Account]) -> Result<(), PassError> {
    let encoded: Vec<Vec<u8>> = accounts
        .par_iter()
        .map(|account| {
            let mut bytes = Vec::new();
            encode_account(account, &mut bytes);
            bytes
        })
        .collect();
    for (account, bytes) in accounts.iter().zip(&encoded) {
        writer.push(account.public_key, account.token_id, bytes)?;
    }
    Ok(())
}
