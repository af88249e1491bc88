//! Batches of listed accounts, read, converted and hashed on all cores.
//!
//! What import, migration and benches have in common: an [`AccountReader`] reads a list and gives
//! its accounts in batches, converted by the fork tool's rules, and a [`LeafHasher`] hashes them.
//! The two are separate so that one batch can be hashed while the next is read:
//!
//! ```
//! use fork_ledger::batch::{AccountReader, LeafHasher};
//! use fork_types::Era;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let list = r#"[{"pk": "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg", "balance": "1"}]"#;
//! let mut reader = AccountReader::new(list.as_bytes(), Era::Mesa, true);
//! let hasher = LeafHasher::new(Era::Mesa);
//! let mut leaves = Vec::new();
//! let mut batch = reader.next_batch()?;
//! while let Some(current) = batch {
//!     let (next, hashes) = rayon::join(|| reader.next_batch(), || hasher.hash(&current));
//!     leaves.extend(hashes?);
//!     batch = next?;
//! }
//! assert_eq!(leaves.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`BatchReader`] is for callers that need the JSON of the accounts as well.

use std::borrow::Borrow;

use fork_types::{Era, TokenId};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use crate::account::{Account, V1Account};
use crate::hash::{HashError, hash_accounts, hash_accounts_here, hash_v1_accounts};
use crate::json::{
    AccountError, AccountJson, ForkRules, ListedAccountError, VerificationKeyCache,
    from_fork_config, v1_from_json,
};
use crate::verification_key::VkHashCache;

mod dump_reader;
mod list_text;
mod reader;
mod text_parser;

pub use dump_reader::{DumpReader, ListReader};
pub use list_text::{ListText, Taken, TextBatch, UnreadText};
pub use reader::AccountReader;
pub use text_parser::{NormalForm, TextParser};

/// Accounts worked on together: enough to keep all cores busy, few enough (some MiB) not to matter.
pub const BATCH_ACCOUNTS: usize = 8192;

/// Accounts of either record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountBatch {
    /// Accounts of the original mainnet.
    V1(Vec<V1Account>),
    /// Accounts of Berkeley or Mesa.
    Later(Vec<Account>),
}

impl AccountBatch {
    /// Number of accounts.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::V1(accounts) => accounts.len(),
            Self::Later(accounts) => accounts.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the first `len` accounts.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::V1(accounts) => accounts.truncate(len),
            Self::Later(accounts) => accounts.truncate(len),
        }
    }

    /// Balance of each account in nanomina, 0 for those of other tokens.
    #[must_use]
    pub fn default_token_balances(&self) -> Vec<u64> {
        match self {
            Self::V1(accounts) => accounts
                .iter()
                .map(|account| match account.token_id {
                    1 => account.balance.nanomina(),
                    _ => 0,
                })
                .collect(),
            Self::Later(accounts) => accounts
                .iter()
                .map(|account| match account.token_id == TokenId::DEFAULT {
                    true => account.balance.nanomina(),
                    false => 0,
                })
                .collect(),
        }
    }

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

/// Hashes batches; keeps the verification keys' hashes across them.
#[derive(Debug)]
pub struct LeafHasher {
    era: Era,
    hashes: VkHashCache,
}

impl LeafHasher {
    /// A hasher by the rules of `era`.
    #[must_use]
    pub fn new(era: Era) -> Self {
        Self {
            era,
            hashes: VkHashCache::new(),
        }
    }

    /// Leaf hashes of a batch under the hasher's own era.
    ///
    /// # Errors
    ///
    /// Fails on a zkApp state of another era.
    pub fn hash(&self, batch: &AccountBatch) -> Result<Vec<Fp>, HashError> {
        match batch {
            AccountBatch::V1(accounts) => Ok(hash_v1_accounts(accounts)),
            AccountBatch::Later(accounts) => self.hash_as(self.era, accounts),
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

impl LeafHasher {
    /// As [`Self::hash_as`], on the calling thread alone.
    ///
    /// # Errors
    ///
    /// Fails on a zkApp state of another era than `era`.
    pub fn hash_here<A: Borrow<Account>>(
        &self,
        era: Era,
        accounts: &[A],
    ) -> Result<Vec<Fp>, HashError> {
        hash_accounts_here(era, accounts, &self.hashes)
    }
}

/// Converts and hashes batches of account JSON; keeps the caches that pay off across them.
#[derive(Debug)]
pub struct BatchReader {
    rules: ForkRules,
    keys: VerificationKeyCache,
    hasher: LeafHasher,
}

impl BatchReader {
    /// A reader of accounts of `era`; `ignore_missing` as in [`ForkRules`].
    #[must_use]
    pub fn new(era: Era, ignore_missing: bool) -> Self {
        Self {
            rules: rules(era, ignore_missing),
            keys: VerificationKeyCache::new(),
            hasher: LeafHasher::new(era),
        }
    }

    /// A parser of account texts by the same rules. One for each thread.
    #[must_use]
    pub fn text_parser(&self) -> TextParser<'_> {
        TextParser::new(self)
    }

    /// Converts a batch whose first account has leaf index `first`.
    ///
    /// # Errors
    ///
    /// Fails on the first account that cannot be used; the error names it.
    pub fn convert(
        &self,
        first: u32,
        batch: &[AccountJson<'_>],
    ) -> Result<AccountBatch, ListedAccountError> {
        if self.rules.era == Era::V1 {
            convert(first, batch, v1_from_json).map(AccountBatch::V1)
        } else {
            convert(first, batch, |json| {
                from_fork_config(json, &self.rules, &self.keys)
            })
            .map(AccountBatch::Later)
        }
    }

    /// As [`LeafHasher::hash`].
    ///
    /// # Errors
    ///
    /// Fails on a zkApp state of another era.
    pub fn hash(&self, batch: &AccountBatch) -> Result<Vec<Fp>, HashError> {
        self.hasher.hash(batch)
    }

    /// As [`LeafHasher::hash_as`].
    ///
    /// # Errors
    ///
    /// Fails on a zkApp state of another era than `era`.
    pub fn hash_as(&self, era: Era, accounts: &[Account]) -> Result<Vec<Fp>, HashError> {
        self.hasher.hash_as(era, accounts)
    }
}

const fn rules(era: Era, ignore_missing: bool) -> ForkRules {
    ForkRules {
        ignore_missing,
        ..ForkRules::strict(era)
    }
}

/// Converts on all threads. All accounts are converted, so that the error is the first of the list
/// whatever thread was faster.
fn convert<T: Send>(
    first: u32,
    batch: &[AccountJson<'_>],
    convert: impl Fn(&AccountJson<'_>) -> Result<T, AccountError> + Sync,
) -> Result<Vec<T>, ListedAccountError> {
    let converted: Vec<Result<T, ListedAccountError>> = batch
        .par_iter()
        .enumerate()
        .map(|(offset, json)| {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            convert(json).map_err(|error| error.at(first.saturating_add(offset), json))
        })
        .collect();
    converted.into_iter().collect()
}
