//! The `ledger` object of a configuration: its members beside the accounts, and the rules that
//! follow from them.
//!
//! Sources: MinaProtocol/mina `src/lib/genesis_ledger_helper/genesis_ledger_helper.ml` (winner and
//! padding), `src/app/runtime_genesis_ledger/runtime_genesis_ledger.ml` (shape of a fork ledger).

use fork_types::{Amount, Class, Era, Fault};

use super::convert::{DaemonRules, from_daemon_config};
use super::error::AccountError;
use super::key_cache::VerificationKeyCache;
use super::members::{integer, json_object, text};
use super::text::Text;
use super::wire::AccountJson;
use crate::account::Account;

/// Public key of the account that wins the first block of a network.
///
/// Base58check has one text per key, so comparing texts is comparing keys.
pub const GENESIS_WINNER_KEY: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";

/// Balance of the genesis winner.
pub const GENESIS_WINNER_BALANCE: Amount = Amount::from_nanomina(1000);

json_object! {
    /// One item of `balances`: upstream makes `number` accounts with random keys of it.
    pub struct PaddingBalanceJson<'a> as "an item of `balances`", other members are refused {
        /// How many accounts.
        number: u32 = integer("balances[].number"),
        /// Balance of each, decimal MINA.
        balance: Text<'a> = text("balances[].balance"),
    }
}

/// The members of a `ledger` object beside the accounts themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerObjectMeta {
    /// Number of accounts listed; absent when the object has no list.
    pub accounts: Option<u32>,
    /// Public key of the first account, as written.
    pub first_public_key: Option<String>,
    /// `hash`: the root somebody claimed; often inherited from another configuration and stale.
    pub hash: Option<String>,
    /// `name` of a built-in ledger.
    pub name: Option<String>,
    /// `num_accounts` to reach by padding.
    pub num_accounts: Option<u32>,
    /// `balances` to pad with.
    pub balances: Vec<PaddingBalanceJson<'static>>,
    /// `add_genesis_winner`.
    pub add_genesis_winner: Option<bool>,
    /// `s3_data_hash`: SHA3-256 of a tarball, hexadecimal.
    pub s3_data_hash: Option<String>,
}

/// Why a `ledger` object is not one this tool may build a ledger from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerObjectError {
    /// No account list.
    #[error("the ledger object has no `accounts`")]
    NoAccounts,
    /// A fork ledger must say false.
    #[error(
        "`add_genesis_winner` is {}, a fork ledger must say false explicitly",
        match .found { None => "absent", Some(true) => "true", Some(false) => "false" }
    )]
    GenesisWinner {
        /// What it says.
        found: Option<bool>,
    },
    /// A fork ledger has none.
    #[error("`name` is `{found}`, a fork ledger must not have one")]
    Name {
        /// The name.
        found: String,
    },
    /// A fork ledger has none.
    #[error("`num_accounts` is {found}, a fork ledger must not have one")]
    NumAccounts {
        /// The number.
        found: u32,
    },
    /// `balances` is not empty.
    #[error(
        "`balances` asks for generated accounts, whose keys cannot be reproduced outside upstream"
    )]
    Balances,
    /// `num_accounts` asks for accounts that are not listed.
    #[error(
        "`num_accounts` is {num_accounts} with {present} accounts present, which asks for \
         {missing} generated accounts, whose keys cannot be reproduced outside upstream"
    )]
    Padding {
        /// The number asked for.
        num_accounts: u32,
        /// Accounts present, the genesis winner included.
        present: u32,
        /// Accounts upstream would generate: it counts each present account twice.
        missing: u64,
    },
}

impl Fault for LedgerObjectError {
    fn class(&self) -> Class {
        Class::BadInput
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoAccounts => "the object only names a ledger; export its accounts first",
            Self::GenesisWinner { .. } | Self::Name { .. } | Self::NumAccounts { .. } => {
                "replayer outputs and old configurations copy these members from their input; \
                 keep only `accounts` and set `add_genesis_winner` to false, knowingly"
            }
            Self::Balances | Self::Padding { .. } => {
                "start a daemon with this configuration and export the ledger it built"
            }
        };
        Some(text.to_owned())
    }
}

/// Checks the shape the fork tool insists on ("Wrong ledger supplied" otherwise).
///
/// `hash` and `s3_data_hash` may be there and are not looked at. An epoch data object has none of
/// these members, and only its accounts are required.
///
/// # Errors
///
/// Fails on the first member that is not as required.
pub fn check_fork_shape(meta: &LedgerObjectMeta) -> Result<(), LedgerObjectError> {
    if meta.accounts.is_none() {
        return Err(LedgerObjectError::NoAccounts);
    }
    if meta.add_genesis_winner != Some(false) {
        return Err(LedgerObjectError::GenesisWinner {
            found: meta.add_genesis_winner,
        });
    }
    if let Some(name) = &meta.name {
        return Err(LedgerObjectError::Name {
            found: name.clone(),
        });
    }
    if let Some(found) = meta.num_accounts {
        return Err(LedgerObjectError::NumAccounts { found });
    }
    if !meta.balances.is_empty() {
        return Err(LedgerObjectError::Balances);
    }
    Ok(())
}

/// Whether a daemon puts the genesis winner in front of this list, at index 0.
///
/// Epoch ledgers never get one; do not ask for them.
#[must_use]
pub fn adds_genesis_winner(meta: &LedgerObjectMeta, proof_level_is_full: bool) -> bool {
    let already_first = meta.first_public_key.as_deref() == Some(GENESIS_WINNER_KEY);
    meta.add_genesis_winner.unwrap_or(proof_level_is_full) && !already_first
}

/// The genesis winner as a daemon of `rules` makes it: delegating to itself, everything else the
/// defaults of the era.
///
/// # Errors
///
/// Fails for v1, which has no such rule.
pub fn genesis_winner(rules: &DaemonRules) -> Result<Account, AccountError> {
    let winner = AccountJson {
        pk: Some(Text::borrowed(GENESIS_WINNER_KEY)),
        balance: Some(Text::from(GENESIS_WINNER_BALANCE.to_string())),
        delegate: Some(Text::borrowed(GENESIS_WINNER_KEY)),
        ..AccountJson::default()
    };
    from_daemon_config(&winner, rules, &VerificationKeyCache::new())
}

/// Refuses a list that a daemon would extend with generated accounts.
///
/// `accounts_present` counts the listed accounts and the genesis winner if one is added. Upstream
/// makes `num_accounts - 2 * accounts_present` accounts (it counts each present one twice), so a
/// smaller `num_accounts` asks for none and is ignored.
///
/// # Errors
///
/// Fails when accounts would have to be generated, because their keys are not known.
pub fn check_padding(
    meta: &LedgerObjectMeta,
    accounts_present: u32,
) -> Result<(), LedgerObjectError> {
    if !meta.balances.is_empty() {
        return Err(LedgerObjectError::Balances);
    }
    let Some(num_accounts) = meta.num_accounts else {
        return Ok(());
    };
    match u64::from(num_accounts).checked_sub(2 * u64::from(accounts_present)) {
        None | Some(0) => Ok(()),
        Some(missing) => Err(LedgerObjectError::Padding {
            num_accounts,
            present: accounts_present,
            missing,
        }),
    }
}

/// The era's winner with released rules, for tests and callers without special rules.
///
/// # Errors
///
/// As [`genesis_winner`].
pub fn released_genesis_winner(era: Era) -> Result<Account, AccountError> {
    genesis_winner(&DaemonRules::released(era))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fork_meta() -> LedgerObjectMeta {
        LedgerObjectMeta {
            accounts: Some(1),
            add_genesis_winner: Some(false),
            hash: Some("stale".to_owned()),
            ..LedgerObjectMeta::default()
        }
    }

    #[test]
    fn fork_shape() {
        assert_eq!(check_fork_shape(&fork_meta()), Ok(()));
        let mut meta = fork_meta();
        meta.accounts = None;
        assert_eq!(check_fork_shape(&meta), Err(LedgerObjectError::NoAccounts));
        for found in [None, Some(true)] {
            let mut meta = fork_meta();
            meta.add_genesis_winner = found;
            assert_eq!(
                check_fork_shape(&meta),
                Err(LedgerObjectError::GenesisWinner { found })
            );
        }
        let mut meta = fork_meta();
        meta.name = Some("devnet".to_owned());
        assert!(matches!(
            check_fork_shape(&meta),
            Err(LedgerObjectError::Name { .. })
        ));
        let mut meta = fork_meta();
        meta.num_accounts = Some(0);
        assert_eq!(
            check_fork_shape(&meta),
            Err(LedgerObjectError::NumAccounts { found: 0 })
        );
        let mut meta = fork_meta();
        meta.balances.push(PaddingBalanceJson::default());
        assert_eq!(check_fork_shape(&meta), Err(LedgerObjectError::Balances));
    }

    #[test]
    fn winner_rule() {
        let meta = |add, first: Option<&str>| LedgerObjectMeta {
            add_genesis_winner: add,
            first_public_key: first.map(str::to_owned),
            ..LedgerObjectMeta::default()
        };
        let other = Some("B62qnzbXmRNo9q32n4SNu2mpB8e7FYYLH8NmaX6oFCBYjjQ8SbD7uzV");
        for (add, full, added) in [
            (Some(true), false, true),
            (Some(true), true, true),
            (None, true, true),
            (None, false, false),
            (Some(false), true, false),
            (Some(false), false, false),
        ] {
            assert_eq!(adds_genesis_winner(&meta(add, other), full), added);
            assert_eq!(adds_genesis_winner(&meta(add, None), full), added);
            assert!(!adds_genesis_winner(
                &meta(add, Some(GENESIS_WINNER_KEY)),
                full
            ));
        }
    }

    #[test]
    fn winner_is_the_published_account() {
        let winner = released_genesis_winner(Era::Mesa).unwrap();
        assert_eq!(winner.balance.nanomina(), 1000);
        assert_eq!(winner.delegate, Some(winner.public_key));
        assert_eq!(winner.permissions.set_verification_key_txn_version, 4);
        assert!(released_genesis_winner(Era::V1).is_err());
    }

    #[test]
    fn padding_counts_present_accounts_twice() {
        let meta = LedgerObjectMeta {
            num_accounts: Some(250),
            ..LedgerObjectMeta::default()
        };
        assert_eq!(
            check_padding(&meta, 8),
            Err(LedgerObjectError::Padding {
                num_accounts: 250,
                present: 8,
                missing: 234,
            })
        );
        assert!(check_padding(&meta, 124).is_err());
        assert_eq!(check_padding(&meta, 125), Ok(()));
        assert_eq!(check_padding(&LedgerObjectMeta::default(), 0), Ok(()));
        assert_eq!(check_padding(&meta, u32::MAX), Ok(()));
    }
}
