//! Account hashes, which are the leaves of a ledger.
//!
//! Berkeley and Mesa share one rule; Mesa only widens the zkApp state, which changes the digest that
//! stands for "no zkApp" and so every leaf. v1 has a rule of its own ([`hash_v1_account`]).
//!
//! Source: MinaProtocol/mina `src/lib/mina_base/account.ml`, `permissions.ml`; o1-labs/mina-rust
//! `ledger/src/account/account.rs`.

mod v1;
mod zkapp;

use std::sync::LazyLock;

use fork_types::{Class, Era, Fault, PublicKey, StateHash, TokenId};
use pasta_poseidon::{Fp, Instance, State, hash, hash_batch, prefix_state};
use rayon::prelude::*;

use crate::account::{Account, Auth, Permissions, TokenSymbol, V1Account, Vesting, Timing};
use crate::packing::{KimchiPacker, element, field_bytes};
use crate::verification_key::VkHashCache;

pub use v1::{hash_v1_account, hash_v1_accounts};
pub use zkapp::{EMPTY_ACTION_STATE, uri_hash};

/// Accounts that one thread takes at a time. Enough to fill the lanes of a batch kernel even when
/// most of them are zkApps, and few enough (about 5 ms of work) to balance the threads.
const ACCOUNTS_PER_JOB: usize = 256;

/// Field elements of an account: six of its own and two packed.
const ACCOUNT_ELEMENTS: usize = 8;

/// The elements after the first block, which is the zkApp digest and voted-for hash.
const ELEMENTS_AFTER_FIRST_BLOCK: usize = 6;

static ACCOUNT_PREFIX: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaAccount"));

static DERIVE_TOKEN_PREFIX: LazyLock<State> =
    LazyLock::new(|| prefix_state(Instance::Kimchi, "MinaDeriveTokenId"));

static BERKELEY: LazyLock<EraConstants> = LazyLock::new(|| EraConstants::new(Era::Berkeley));
static MESA: LazyLock<EraConstants> = LazyLock::new(|| EraConstants::new(Era::Mesa));

/// Why an account has no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// A zkApp of another era's width.
    #[error(
        "the zkApp of account {public_key} has {found} state elements, in era {era} it has {expected}"
    )]
    AppStateLength {
        /// Owner of the account.
        public_key: PublicKey,
        /// The era to hash for.
        era: Era,
        /// Elements in that era.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// v1 accounts have a type and a hash of their own.
    #[error("an account of Berkeley or Mesa has no hash in era v1")]
    V1,
}

impl Fault for HashError {
    fn class(&self) -> Class {
        match self {
            Self::AppStateLength { .. } => Class::BadInput,
            Self::V1 => Class::Internal,
        }
    }
}

/// What is the same for every account of an era.
struct EraConstants {
    era: Era,
    /// Digest of the default zkApp, which accounts without a zkApp are hashed with.
    default_zkapp_digest: Fp,
    /// State after the first block of an account without a zkApp that votes for nothing: nearly
    /// every account, for which this saves one permutation of four.
    plain_state: State,
}

impl EraConstants {
    fn new(era: Era) -> Self {
        let default_zkapp_digest = zkapp::default_digest(era.app_state_len());
        let mut plain_state = *ACCOUNT_PREFIX;
        plain_state.absorb_pair([default_zkapp_digest, element(StateHash::DUMMY.field())]);
        Self {
            era,
            default_zkapp_digest,
            plain_state,
        }
    }

    fn of(era: Era) -> Result<&'static Self, HashError> {
        match era {
            Era::V1 => Err(HashError::V1),
            Era::Berkeley => Ok(&BERKELEY),
            Era::Mesa => Ok(&MESA),
        }
    }
}

/// Digest of the zkApp that accounts without one are hashed with: no key, no URI, a state of zeros.
///
/// # Errors
///
/// Fails for v1, whose accounts have no zkApps.
pub fn default_zkapp_digest(era: Era) -> Result<Fp, HashError> {
    Ok(EraConstants::of(era)?.default_zkapp_digest)
}

/// Digest of the zkApp part of `account`, or of the default one when it has none.
///
/// # Errors
///
/// Fails when the zkApp state has not the width of `era`, and for v1.
pub fn zkapp_digest(era: Era, account: &Account, keys: &VkHashCache) -> Result<Fp, HashError> {
    let constants = EraConstants::of(era)?;
    let mut digests = zkapp_digests(constants, &[account], keys)?;
    Ok(digests.pop().unwrap_or(constants.default_zkapp_digest))
}

/// Hash of an account: the leaf of a Berkeley or Mesa ledger.
///
/// The era is never taken from the account: a plain one looks the same in both and hashes
/// differently.
///
/// # Errors
///
/// Fails when the zkApp state has not the width of `era`, and for v1.
pub fn hash_account(era: Era, account: &Account, keys: &VkHashCache) -> Result<Fp, HashError> {
    let mut out = [Fp::ZERO];
    hash_job(
        EraConstants::of(era)?,
        std::slice::from_ref(account),
        keys,
        &mut out,
    )?;
    Ok(out[0])
}

/// Hashes of many accounts, in their order, on all threads of the current rayon pool.
///
/// # Errors
///
/// As [`hash_account`], for one of the accounts at fault.
pub fn hash_accounts(
    era: Era,
    accounts: &[Account],
    keys: &VkHashCache,
) -> Result<Vec<Fp>, HashError> {
    let constants = EraConstants::of(era)?;
    let mut out = vec![Fp::ZERO; accounts.len()];
    accounts
        .par_chunks(ACCOUNTS_PER_JOB)
        .zip(out.par_chunks_mut(ACCOUNTS_PER_JOB))
        .try_for_each(|(accounts, out)| hash_job(constants, accounts, keys, out))?;
    Ok(out)
}

/// Hash of the empty account of `era`: the leaf at every unused index.
#[must_use]
pub fn empty_account_hash(era: Era) -> Fp {
    static V1: LazyLock<Fp> = LazyLock::new(|| hash_v1_account(&V1Account::empty()));
    static BERKELEY: LazyLock<Fp> = LazyLock::new(|| hash_empty(Era::Berkeley, &super::BERKELEY_STATE));
    match era {
        Era::V1 => *V1,
        Era::Berkeley => *BERKELEY,
        Era::Mesa => *BERKELEY,
    }
}

/// Token id of the token that `owner`'s account of token `parent` owns.
#[must_use]
pub fn derive_token_id(owner: &PublicKey, parent: TokenId) -> TokenId {
    let elements = [
        element(owner.x()),
        element(parent.field()),
        Fp::from_u64(u64::from(owner.is_odd())),
    ];
    TokenId::new(field_bytes(hash(&DERIVE_TOKEN_PREFIX, &elements)))
}
