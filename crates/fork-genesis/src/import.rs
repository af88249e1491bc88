//! What reading a fork config and reading a replayer output have in common.

use fork_ledger::json::LedgerObjectMeta;
use fork_types::{EpochSeed, LedgerHash};

mod error;
mod lists;
mod seed;

pub use error::{ImportError, Progress};
pub use lists::AccountLists;
pub(crate) use lists::run_lists;
pub(crate) use seed::{Document, EpochSeeds, Json, LedgerObject, Lists, Nullable, Seen, run};

/// One ledger of an imported document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedLedger {
    /// Number of accounts given to the callback.
    pub accounts: u32,
    /// Root the document claims for the list; never trusted, only compared.
    pub claimed_root: Option<LedgerHash>,
    /// The other members, as found.
    pub meta: LedgerObjectMeta,
}

/// The epoch data of an imported document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedEpochs {
    /// Seed of the staking epoch.
    pub staking_seed: EpochSeed,
    /// Seed of the next epoch.
    pub next_seed: EpochSeed,
    /// Ledger of the staking epoch.
    pub staking: ImportedLedger,
    /// Ledger of the next epoch; `None` when the document has no next epoch, which means that it
    /// equals the staking epoch, seed included. The callback was not called for it then.
    pub next: Option<ImportedLedger>,
}

/// The part both documents share, checked and decoded in one place.
pub(crate) struct Decoder {
    /// What is being read, for errors.
    pub(crate) document: &'static str,
    /// Path of the epoch data with `.staking.seed` and the like below it.
    pub(crate) paths: Paths,
}

/// Paths of the members both documents have, under their names in each.
pub(crate) struct Paths {
    pub(crate) ledger: &'static str,
    pub(crate) ledger_hash: &'static str,
    pub(crate) epoch_data: &'static str,
    pub(crate) staking: &'static str,
    pub(crate) staking_seed: &'static str,
    pub(crate) staking_hash: &'static str,
    pub(crate) next_seed: &'static str,
    pub(crate) next_hash: &'static str,
}

impl Decoder {
    pub(crate) const fn missing<E: std::error::Error + 'static>(
        &self,
        path: &'static str,
    ) -> ImportError<E> {
        ImportError::Missing {
            document: self.document,
            path,
        }
    }

    pub(crate) fn id<T, E>(&self, path: &'static str, text: &str) -> Result<T, ImportError<E>>
    where
        T: std::str::FromStr<Err = fork_types::IdError>,
        E: std::error::Error + 'static,
    {
        text.parse().map_err(|source| ImportError::Id {
            document: self.document,
            path,
            source,
        })
    }

    /// The accounts must be there: nothing can be migrated from a hash.
    pub(crate) fn ledger<E: std::error::Error + 'static>(
        &self,
        role: fork_types::Role,
        meta: LedgerObjectMeta,
        hash_path: &'static str,
    ) -> Result<ImportedLedger, ImportError<E>> {
        let accounts = meta.accounts.ok_or(ImportError::LedgerObject {
            document: self.document,
            role,
            source: fork_ledger::json::LedgerObjectError::NoAccounts,
        })?;
        let claimed_root = meta
            .hash
            .as_deref()
            .map(|hash| self.id(hash_path, hash))
            .transpose()?;
        Ok(ImportedLedger {
            accounts,
            claimed_root,
            meta,
        })
    }

    pub(crate) fn epochs<E: std::error::Error + 'static>(
        &self,
        epochs: Option<EpochSeeds>,
        warnings: &mut Vec<String>,
    ) -> Result<ImportedEpochs, ImportError<E>> {
        use fork_types::Role;
        let paths = &self.paths;
        let epochs = epochs.ok_or_else(|| self.missing(paths.epoch_data))?;
        let staking = epochs.staking.ok_or_else(|| self.missing(paths.staking))?;
        let seed = staking
            .seed
            .ok_or_else(|| self.missing(paths.staking_seed))?;
        let staking_seed = self.id(paths.staking_seed, &seed)?;
        let staking = self.ledger(Role::Staking, staking.meta, paths.staking_hash)?;
        let (next_seed, next) = match epochs.next {
            None => {
                warnings.push(format!(
                    "the {} has no next epoch data; the next epoch is taken to equal the staking \
                     epoch, seed included",
                    self.document
                ));
                (staking_seed, None)
            }
            Some(next) => {
                let seed = next.seed.ok_or_else(|| self.missing(paths.next_seed))?;
                (
                    self.id(paths.next_seed, &seed)?,
                    Some(self.ledger(Role::Next, next.meta, paths.next_hash)?),
                )
            }
        };
        Ok(ImportedEpochs {
            staking_seed,
            next_seed,
            staking,
            next,
        })
    }
}
