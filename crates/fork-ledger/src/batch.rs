//! Batches of listed accounts, converted and hashed on all cores.
//!
//! What import, migration and benches have in common: accounts arrive one by one as JSON, are
//! collected into a batch, and the batch is converted by the fork tool's rules and hashed under its
//! own era's rules.

use fork_types::{Era, TokenId};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::account::{Account, V1Account};
use crate::hash::{HashError, hash_accounts, hash_v1_accounts};
use crate::json::{
    AccountJson, ForkRules, ListedAccountError, VerificationKeyCache, from_fork_config,
    v1_from_json,
};
use crate::verification_key::VkHashCache;

/// Accounts worked on together: enough to keep all cores busy, few enough (some MiB) not to matter.
pub const BATCH_ACCOUNTS: usize = 4096;

/// Accounts of either record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountBatch {
    /// Accounts of the original mainnet.
    V1(Vec<V1Account>),
    /// Accounts of Berkeley or Mesa.
    Later(Vec<Account>),
}

impl AccountBatch {
    /// Sum of the balances of the default token, in nanomina.
    #[must_use]
    pub fn default_token_total(&self) -> u128 {
        match self {
            Self::V1(accounts) => accounts
                .iter()
                .filter(|account| account.token_id == 1)
                .map(|account| u128::from(account.balance.nanomina()))
                .sum(),
            Self::Later(accounts) => accounts
                .iter()
                .filter(|account| account.token_id == TokenId::DEFAULT)
                .map(|account| u128::from(account.balance.nanomina()))
                .sum(),
        }
    }
}

/// Converts and hashes batches; keeps the caches that pay off across them.
#[derive(Debug)]
pub struct BatchReader {
    rules: ForkRules,
    keys: VerificationKeyCache,
    hashes: VkHashCache,
}

impl BatchReader {
    /// A reader of accounts of `era`; `ignore_missing` as in [`ForkRules`].
    #[must_use]
    pub fn new(era: Era, ignore_missing: bool) -> Self {
        Self {
            rules: ForkRules {
                ignore_missing,
                ..ForkRules::strict(era)
            },
            keys: VerificationKeyCache::new(),
            hashes: VkHashCache::new(),
        }
    }

    /// Converts a batch whose first account has leaf index `first`.
    ///
    /// # Errors
    ///
    /// Fails on an account that cannot be used; the error names it.
    pub fn convert(
        &self,
        first: u32,
        batch: &[AccountJson<'_>],
    ) -> Result<AccountBatch, ListedAccountError> {
        let listed = |offset: usize| {
            u32::try_from(offset).map_or(u32::MAX, |offset| first.saturating_add(offset))
        };
        let indexed = batch.par_iter().enumerate();
        if self.rules.era == Era::V1 {
            return indexed
                .map(|(offset, json)| {
                    v1_from_json(json).map_err(|error| error.at(listed(offset), json))
                })
                .collect::<Result<_, _>>()
                .map(AccountBatch::V1);
        }
        indexed
            .map(|(offset, json)| {
                from_fork_config(json, &self.rules, &self.keys)
                    .map_err(|error| error.at(listed(offset), json))
            })
            .collect::<Result<_, _>>()
            .map(AccountBatch::Later)
    }

    /// Leaf hashes of a batch under the reader's own era.
    ///
    /// # Errors
    ///
    /// Fails on a zkApp state of another era.
    pub fn hash(&self, batch: &AccountBatch) -> Result<Vec<Fp>, HashError> {
        match batch {
            AccountBatch::V1(accounts) => Ok(hash_v1_accounts(accounts)),
            AccountBatch::Later(accounts) => self.hash_as(self.rules.era, accounts),
        }
    }

    /// Leaf hashes of accounts under another era, sharing the verification-key hashes.
    ///
    /// # Errors
    ///
    /// Fails on a zkApp state of another era than `era`.
    pub fn hash_as(&self, era: Era, accounts: &[Account]) -> Result<Vec<Fp>, HashError> {
        hash_accounts(era, accounts, &self.hashes)
    }
}
