//! Account hashes, which are the leaves of a ledger.
//!
//! Berkeley and Mesa share one rule; Mesa only widens the zkApp state, which changes the digest that
//! stands for "no zkApp" and so every leaf. v1 has a rule of its own ([`hash_v1_account`]).
//!
//! Source: MinaProtocol/mina `src/lib/mina_base/account.ml`, `permissions.ml`; o1-labs/mina-rust
//! `ledger/src/account/account.rs`.

mod v1;
mod zkapp;

use std::borrow::Borrow;
use std::sync::LazyLock;

use fork_types::{Class, Era, Fault, PublicKey, StateHash, TokenId};
use pasta_poseidon::{Fp, Instance, State, hash, hash_batch, prefix_state};
use rayon::prelude::*;

use crate::account::{Account, Auth, Permissions, Timing, TokenSymbol, V1Account, V1Auth, Vesting};
use crate::packing::{KimchiPacker, element, field_bytes};
use crate::verification_key::VkHashCache;

pub use v1::{hash_v1_account, hash_v1_accounts};
pub use zkapp::{EMPTY_ACTION_STATE, uri_hash};

/// Accounts that one thread takes at a time. Enough to fill the lanes of a batch kernel even when
/// most of them are zkApps, and few enough (about 5 ms of work) to balance the threads.
const ACCOUNTS_PER_JOB: usize = 256;

/// Tokens that one thread derives at a time.
const TOKENS_PER_JOB: usize = 1024;

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
    /// Hash of the empty account.
    empty_account: Fp,
}

impl EraConstants {
    fn new(era: Era) -> Self {
        let default_zkapp_digest = zkapp::default_digest(era.app_state_len());
        let mut plain_state = *ACCOUNT_PREFIX;
        plain_state.absorb_pair([default_zkapp_digest, element(StateHash::DUMMY.field())]);
        let mut elements = Vec::with_capacity(ELEMENTS_AFTER_FIRST_BLOCK);
        push_after_first_block(&Account::empty(era), &mut elements);
        Self {
            era,
            default_zkapp_digest,
            plain_state,
            empty_account: hash(&plain_state, &elements),
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
    let accounts = std::slice::from_ref(account);
    Ok(zkapp_digests(EraConstants::of(era)?, accounts, keys)?[0])
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
/// As [`hash_account`], for the first account at fault.
pub fn hash_accounts(
    era: Era,
    accounts: &[Account],
    keys: &VkHashCache,
) -> Result<Vec<Fp>, HashError> {
    let constants = EraConstants::of(era)?;
    let mut out = vec![Fp::ZERO; accounts.len()];
    // All jobs run to their end, so that the error does not depend on which one was faster.
    let jobs: Vec<Result<(), HashError>> = accounts
        .par_chunks(ACCOUNTS_PER_JOB)
        .zip(out.par_chunks_mut(ACCOUNTS_PER_JOB))
        .map(|(accounts, out)| hash_job(constants, accounts, keys, out))
        .collect();
    jobs.into_iter().collect::<Result<(), _>>()?;
    Ok(out)
}

/// [`hash_accounts`] on the calling thread alone, for callers that share out the work themselves. The
/// more accounts at once, the fewer lanes of a batch kernel stay empty.
///
/// # Errors
///
/// As [`hash_accounts`].
pub fn hash_accounts_here<A: Borrow<Account>>(
    era: Era,
    accounts: &[A],
    keys: &VkHashCache,
) -> Result<Vec<Fp>, HashError> {
    let mut out = vec![Fp::ZERO; accounts.len()];
    hash_job(EraConstants::of(era)?, accounts, keys, &mut out)?;
    Ok(out)
}

/// Hash of the empty account of `era`: the leaf at every unused index.
#[must_use]
pub fn empty_account_hash(era: Era) -> Fp {
    static V1: LazyLock<Fp> = LazyLock::new(|| hash_v1_account(&V1Account::empty()));
    match era {
        Era::V1 => *V1,
        Era::Berkeley => BERKELEY.empty_account,
        Era::Mesa => MESA.empty_account,
    }
}

/// Token id of the token that `owner`'s account of token `parent` owns.
#[must_use]
pub fn derive_token_id(owner: &PublicKey, parent: TokenId) -> TokenId {
    derive_token_ids(&[(*owner, parent)])[0]
}

/// [`derive_token_id`] of many accounts, in their order, on all threads of the current rayon pool.
#[must_use]
pub fn derive_token_ids(accounts: &[(PublicKey, TokenId)]) -> Vec<TokenId> {
    const ELEMENTS: usize = 3;
    let mut out = vec![TokenId::DEFAULT; accounts.len()];
    accounts
        .par_chunks(TOKENS_PER_JOB)
        .zip(out.par_chunks_mut(TOKENS_PER_JOB))
        .for_each(|(accounts, out)| {
            let mut elements = Vec::with_capacity(ELEMENTS * accounts.len());
            for (owner, parent) in accounts {
                elements.extend([
                    element(owner.x()),
                    element(parent.field()),
                    Fp::from_u64(u64::from(owner.is_odd())),
                ]);
            }
            let mut hashes = vec![Fp::ZERO; accounts.len()];
            hash_batch(&DERIVE_TOKEN_PREFIX, ELEMENTS, &elements, &mut hashes);
            for (out, hash) in out.iter_mut().zip(hashes) {
                *out = TokenId::new(field_bytes(hash));
            }
        });
    out
}

/// Hashes the accounts of one job into `out`, kind by kind, so that each kind is one batch.
fn hash_job<A: Borrow<Account>>(
    constants: &EraConstants,
    accounts: &[A],
    keys: &VkHashCache,
    out: &mut [Fp],
) -> Result<(), HashError> {
    let mut plain = Batch::new(ELEMENTS_AFTER_FIRST_BLOCK, accounts.len());
    let mut full = Batch::new(ACCOUNT_ELEMENTS, 0);
    let digests = zkapp_digests(constants, accounts, keys)?;
    for (index, (account, digest)) in accounts.iter().zip(digests).enumerate() {
        let account = account.borrow();
        if account.zkapp.is_none() && account.voting_for == StateHash::DUMMY {
            plain.indices.push(index);
            push_after_first_block(account, &mut plain.elements);
        } else {
            full.indices.push(index);
            full.elements
                .extend([digest, element(account.voting_for.field())]);
            push_after_first_block(account, &mut full.elements);
        }
    }
    plain.hash_into(&constants.plain_state, out);
    full.hash_into(&ACCOUNT_PREFIX, out);
    Ok(())
}

/// Inputs of one width and where their hashes go.
struct Batch {
    width: usize,
    elements: Vec<Fp>,
    indices: Vec<usize>,
}

impl Batch {
    fn new(width: usize, capacity: usize) -> Self {
        Self {
            width,
            elements: Vec::with_capacity(width * capacity),
            indices: Vec::with_capacity(capacity),
        }
    }

    fn hash_into(&self, state: &State, out: &mut [Fp]) {
        let mut hashes = vec![Fp::ZERO; self.indices.len()];
        hash_batch(state, self.width, &self.elements, &mut hashes);
        for (index, hash) in self.indices.iter().zip(hashes) {
            out[*index] = hash;
        }
    }
}

/// The digest of every account: of its zkApp, or the default one.
fn zkapp_digests<A: Borrow<Account>>(
    constants: &EraConstants,
    accounts: &[A],
    keys: &VkHashCache,
) -> Result<Vec<Fp>, HashError> {
    let expected = constants.era.app_state_len();
    let mut zkapps = Vec::new();
    let mut indices = Vec::new();
    for (index, account) in accounts.iter().enumerate() {
        let account = account.borrow();
        let Some(zkapp) = account.zkapp.as_deref() else {
            continue;
        };
        if zkapp.app_state.len() != expected {
            return Err(HashError::AppStateLength {
                public_key: account.public_key,
                era: constants.era,
                expected,
                found: zkapp.app_state.len(),
            });
        }
        zkapps.push(zkapp);
        indices.push(index);
    }
    let mut digests = vec![constants.default_zkapp_digest; accounts.len()];
    let hashed = zkapp::digests(expected, &zkapps, keys);
    for (index, digest) in indices.into_iter().zip(hashed) {
        digests[index] = digest;
    }
    Ok(digests)
}

/// The six elements of an account that follow its first block. The fields go in reverse order of
/// declaration; first those that are elements, then the packed ones.
fn push_after_first_block(account: &Account, elements: &mut Vec<Fp>) {
    let Account {
        public_key,
        token_id,
        token_symbol,
        balance,
        nonce,
        receipt_chain_hash,
        delegate,
        voting_for: _,
        timing,
        permissions,
        zkapp: _,
    } = account;
    let delegate = delegate.unwrap_or(PublicKey::EMPTY);
    let (is_timed, vesting) = timing_numbers(timing);
    let Vesting {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    } = vesting;

    elements.extend([
        element(delegate.x()),
        element(receipt_chain_hash.field()),
        element(token_id.field()),
        element(public_key.x()),
    ]);
    let mut packer = KimchiPacker::new(elements);
    // The permissions are 39 bits and a number, each a chunk; they start an element and cannot
    // reach its end, so that one chunk of them all packs the same.
    packer.push(permission_bits(permissions), PERMISSIONS_WIDTH);
    packer.push_bit(is_timed);
    packer.push(initial_minimum_balance.nanomina().into(), 64);
    packer.push(cliff_time.get().into(), 32);
    packer.push(cliff_amount.nanomina().into(), 64);
    packer.push(vesting_period.get().into(), 32);
    packer.push(vesting_increment.nanomina().into(), 64);
    packer.push_bit(delegate.is_odd());
    packer.push((*nonce).into(), 32);
    packer.push(balance.nanomina().into(), 64);
    packer.push(symbol_number(token_symbol).into(), 48);
    packer.push_bit(public_key.is_odd());
    packer.finish();
}

/// Whether an account is timed, and the numbers it is hashed with either way.
fn timing_numbers(timing: &Timing) -> (bool, Vesting) {
    match timing {
        Timing::Untimed => (false, Vesting::UNTIMED),
        Timing::Timed(vesting) => (true, *vesting),
    }
}

/// The symbol's bytes as a little-endian number.
fn symbol_number(symbol: &TokenSymbol) -> u64 {
    symbol
        .as_bytes()
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bits of all permissions: three for each of thirteen, and the transaction version.
const PERMISSIONS_WIDTH: u32 = 13 * 3 + 32;

/// All permissions as one number, in order of declaration (unlike the fields of the account).
fn permission_bits(permissions: &Permissions) -> u128 {
    let Permissions {
        edit_state,
        access,
        send,
        receive,
        set_delegate,
        set_permissions,
        set_verification_key,
        set_verification_key_txn_version,
        set_zkapp_uri,
        edit_action_state,
        set_token_symbol,
        increment_nonce,
        set_voting_for,
        set_timing,
    } = *permissions;
    let push = |bits: u128, auth: Auth| bits << 3 | u128::from(auth_bits(V1Auth::Auth(auth)));
    let bits = [
        edit_state,
        access,
        send,
        receive,
        set_delegate,
        set_permissions,
        set_verification_key,
    ]
    .into_iter()
    .fold(0, push);
    [
        set_zkapp_uri,
        edit_action_state,
        set_token_symbol,
        increment_nonce,
        set_voting_for,
        set_timing,
    ]
    .into_iter()
    .fold(
        bits << 32 | u128::from(set_verification_key_txn_version),
        push,
    )
}

/// The three bits of an authorization, the first the most significant: constant, signature
/// necessary, signature sufficient.
const fn auth_bits(auth: V1Auth) -> u8 {
    match auth {
        V1Auth::Auth(Auth::None) => 0b101,
        V1Auth::Auth(Auth::Either) => 0b001,
        V1Auth::Auth(Auth::Proof) => 0b000,
        V1Auth::Auth(Auth::Signature) => 0b011,
        V1Auth::Auth(Auth::Impossible) => 0b110,
        V1Auth::Both => 0b010,
    }
}
