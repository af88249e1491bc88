//! From account JSON to leaves, batch by batch on all threads.

use fork_ledger::account::{Account, V1Account};
use fork_ledger::hash::{hash_accounts, hash_v1_accounts};
use fork_ledger::json::{
    AccountError, AccountJson, DaemonRules, ForkRules, ListedAccountError, VerificationKeyCache,
    from_daemon_config, from_fork_config, v1_from_json,
};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{Era, PublicKey, TokenId};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::args::{ListArgs, Loader};
use crate::error::LeafError;

/// Accounts converted and hashed at a time.
const BATCH_ACCOUNTS: usize = 4096;

/// Most characters of a public key shown in an error.
const SHOWN_CHARS_MAX: usize = 80;

/// One leaf of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) index: u32,
    pub(crate) public_key: PublicKey,
    pub(crate) token: Token,
    pub(crate) hash: Fp,
}

/// The token of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A number, in v1.
    Number(u64),
    /// A field element since.
    Id(TokenId),
}

/// The rules accounts are read and hashed by, and what they share.
#[derive(Debug)]
pub(crate) struct Rules {
    era: Era,
    loader: Loader,
    ignore_missing: bool,
    pad_app_state: bool,
    keys: VerificationKeyCache,
    key_hashes: VkHashCache,
}

impl Rules {
    pub(crate) fn new(list: &ListArgs) -> Self {
        Self {
            era: list.era,
            loader: list.loader,
            ignore_missing: list.ignore_missing,
            pad_app_state: list.pad_app_state,
            keys: VerificationKeyCache::new(),
            key_hashes: VkHashCache::new(),
        }
    }

    fn account(&self, json: &AccountJson<'_>) -> Result<Account, AccountError> {
        match self.loader {
            Loader::Fork => {
                let rules = ForkRules {
                    era: self.era,
                    ignore_missing: self.ignore_missing,
                    pad_app_state: self.pad_app_state,
                };
                from_fork_config(json, &rules, &self.keys)
            }
            Loader::Daemon => {
                from_daemon_config(json, &DaemonRules::released(self.era), &self.keys)
            }
        }
    }

    fn leaves(&self, batch: &[(u32, AccountJson<'static>)]) -> Result<Vec<Leaf>, LeafError> {
        if self.era == Era::V1 {
            let accounts: Vec<V1Account> = convert(batch, v1_from_json)?;
            let hashes = hash_v1_accounts(&accounts);
            let leaf = |(((index, _), account), hash): ((&(u32, _), &V1Account), Fp)| Leaf {
                index: *index,
                public_key: account.public_key,
                token: Token::Number(account.token_id),
                hash,
            };
            return Ok(batch.iter().zip(&accounts).zip(hashes).map(leaf).collect());
        }
        let accounts: Vec<Account> = convert(batch, |json| self.account(json))?;
        let hashes = hash_accounts(self.era, &accounts, &self.key_hashes)?;
        let leaf = |(((index, _), account), hash): ((&(u32, _), &Account), Fp)| Leaf {
            index: *index,
            public_key: account.public_key,
            token: Token::Id(account.token_id),
            hash,
        };
        Ok(batch.iter().zip(&accounts).zip(hashes).map(leaf).collect())
    }
}

/// Converts a batch on all threads. All accounts are converted, so that the error reported is the
/// first of the list whatever thread was faster.
fn convert<T: Send>(
    batch: &[(u32, AccountJson<'static>)],
    convert: impl Fn(&AccountJson<'static>) -> Result<T, AccountError> + Sync,
) -> Result<Vec<T>, ListedAccountError> {
    let converted: Vec<Result<T, ListedAccountError>> = batch
        .par_iter()
        .map(|(index, json)| {
            convert(json).map_err(|source| ListedAccountError {
                index: *index,
                public_key: json
                    .pk
                    .as_ref()
                    .map(|key| key.as_str().chars().take(SHOWN_CHARS_MAX).collect()),
                source,
            })
        })
        .collect();
    converted.into_iter().collect()
}

/// Collects accounts into batches and gives their leaves to a sink, in order.
pub(crate) struct Batches<S> {
    rules: Rules,
    batch: Vec<(u32, AccountJson<'static>)>,
    sink: S,
}

impl<S: FnMut(&[Leaf]) -> Result<(), LeafError>> Batches<S> {
    pub(crate) fn new(rules: Rules, sink: S) -> Self {
        Self {
            rules,
            batch: Vec::with_capacity(BATCH_ACCOUNTS),
            sink,
        }
    }

    pub(crate) fn push(
        &mut self,
        index: u32,
        account: AccountJson<'static>,
    ) -> Result<(), LeafError> {
        self.batch.push((index, account));
        if self.batch.len() == BATCH_ACCOUNTS {
            self.flush()?;
        }
        Ok(())
    }

    /// Gives what is left to the sink.
    pub(crate) fn flush(&mut self) -> Result<(), LeafError> {
        if !self.batch.is_empty() {
            let leaves = self.rules.leaves(&self.batch)?;
            self.batch.clear();
            (self.sink)(&leaves)?;
        }
        Ok(())
    }
}
