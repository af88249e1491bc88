//! The two conversions from account JSON to an account, kept apart on purpose.
//!
//! [`from_daemon_config`] is what a daemon does with a configuration, what `mina ledger hash` does
//! and what the replayer does with its input; [`from_fork_config`] is what the tool that builds
//! fork ledgers does. They differ in what they put where something is missing, most of all in the
//! delegate, so taking the wrong one gives a wrong Merkle root without any other sign.
//!
//! Sources: MinaProtocol/mina `src/lib/genesis_ledger_helper/lib/genesis_ledger_helper_lib.ml`
//! (daemon), `src/lib/runtime_config/runtime_config.ml` and
//! `src/app/runtime_genesis_ledger/runtime_genesis_ledger.ml` (fork).

use fork_types::{Era, PublicKey, ReceiptChainHash, StateHash, TokenId};

use super::error::{AccountError, MemberPath};
use super::key_cache::VerificationKeyCache;
use super::parts::{self, AppStateRule, VestingPeriodRule};
use super::text::Text;
use super::wire::AccountJson;
use crate::account::{Account, Permissions};

/// What a missing or null delegate means in the daemon's conversion.
///
/// Berkeley and Mesa 4.0.0 fill in the account itself; the loader on upstream's develop branch of
/// September 2026 leaves it empty, and it is not known whether a release does. Applies to accounts
/// of the default token only; others are never given a delegate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingDelegate {
    /// The account delegates to itself.
    #[default]
    Itself,
    /// The account has no delegate.
    NoDelegate,
}

impl MissingDelegate {
    /// The name printed beside a result, because the choice changes the root.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Itself => "self",
            Self::NoDelegate => "none",
        }
    }
}

/// The rules of the daemon's conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaemonRules {
    /// Berkeley or Mesa.
    pub era: Era,
    /// What a missing delegate means.
    pub missing_delegate: MissingDelegate,
    /// When given, replaces the transaction version in every account's permissions.
    pub txn_version: Option<u32>,
}

impl DaemonRules {
    /// What released daemons of `era` do.
    #[must_use]
    pub const fn released(era: Era) -> Self {
        Self {
            era,
            missing_delegate: MissingDelegate::Itself,
            txn_version: None,
        }
    }
}

/// The rules of the fork tool's conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkRules {
    /// Berkeley or Mesa.
    pub era: Era,
    /// Fill missing permissions, receipt chain hash and voted-for hash with their defaults instead
    /// of refusing the account (upstream's `--ignore-missing`).
    pub ignore_missing: bool,
    /// Extend a zkApp state that is too short with zeros instead of refusing the account
    /// (upstream's `--pad-app-state`).
    pub pad_app_state: bool,
}

impl ForkRules {
    /// The tool without any flag: nothing is filled in.
    #[must_use]
    pub const fn strict(era: Era) -> Self {
        Self {
            era,
            ignore_missing: false,
            pad_app_state: false,
        }
    }

    /// Which zkApp states are good.
    pub(super) const fn app_state(&self) -> AppStateRule {
        if self.pad_app_state {
            AppStateRule::padded(self.era)
        } else {
            AppStateRule::exact(self.era)
        }
    }
}

/// Reads an account as a daemon does.
///
/// Missing members get the defaults of the era; a missing delegate follows
/// [`DaemonRules::missing_delegate`]. Equal verification keys share one copy through `keys`.
///
/// # Errors
///
/// Fails on any member that upstream refuses, and on a vesting period of 0, which only the other
/// conversion accepts.
pub fn from_daemon_config(
    json: &AccountJson<'_>,
    rules: &DaemonRules,
    keys: &VerificationKeyCache,
) -> Result<Account, AccountError> {
    let AccountJson {
        pk,
        balance,
        delegate,
        timing,
        token,
        token_permissions: _,
        nonce,
        receipt_chain_hash,
        voting_for,
        snapp: _,
        zkapp,
        permissions,
        token_symbol,
    } = json;
    let defaults = default_permissions(rules.era)?;
    let public_key = parts::public_key("pk", parts::required("pk", pk)?)?;
    let token_id = token_or_default(token.as_ref())?;
    let delegate = match (
        delegate_of(delegate.as_ref(), pk.as_ref(), public_key)?,
        rules.missing_delegate,
    ) {
        (Some(delegate), _) => Some(delegate),
        (None, MissingDelegate::Itself) if token_id == TokenId::DEFAULT => Some(public_key),
        (None, MissingDelegate::Itself | MissingDelegate::NoDelegate) => None,
    };
    let mut permissions = match permissions {
        Some(permissions) => parts::permissions(permissions, &defaults)?,
        None => defaults,
    };
    if let Some(txn_version) = rules.txn_version {
        permissions.set_verification_key_txn_version = txn_version;
    }
    Ok(Account {
        public_key,
        token_id,
        token_symbol: parts::token_symbol(token_symbol.as_deref())?,
        balance: parts::amount("balance", parts::required("balance", balance)?)?,
        nonce: parts::number_or_zero("nonce", nonce.as_ref())?,
        receipt_chain_hash: match receipt_chain_hash {
            Some(text) => parts::receipt_chain_hash(text)?,
            None => ReceiptChainHash::EMPTY,
        },
        delegate,
        voting_for: match voting_for {
            Some(text) => parts::voting_for(text)?,
            None => StateHash::DUMMY,
        },
        timing: parts::timing(timing.as_ref(), VestingPeriodRule::AtLeastOne)?,
        permissions,
        zkapp: parts::zkapp(zkapp.as_deref(), AppStateRule::exact(rules.era), keys)?,
    })
}

/// Reads an account as the fork tool (`runtime_genesis_ledger`) does. The fork path uses this one.
///
/// A missing or null delegate stays none. Equal verification keys share one copy through `keys`.
///
/// # Errors
///
/// Fails on any member that upstream refuses, among them missing permissions, receipt chain hash
/// or voted-for hash unless [`ForkRules::ignore_missing`] is set.
pub fn from_fork_config(
    json: &AccountJson<'_>,
    rules: &ForkRules,
    keys: &VerificationKeyCache,
) -> Result<Account, AccountError> {
    let AccountJson {
        pk,
        balance,
        delegate,
        timing,
        token,
        token_permissions: _,
        nonce,
        receipt_chain_hash,
        voting_for,
        snapp: _,
        zkapp,
        permissions,
        token_symbol,
    } = json;
    let defaults = default_permissions(rules.era)?;
    let public_key = parts::public_key("pk", parts::required("pk", pk)?)?;
    let filled = |path| {
        if rules.ignore_missing {
            Ok(())
        } else {
            Err(AccountError::MissingStrict {
                path: MemberPath::Borrowed(path),
            })
        }
    };
    Ok(Account {
        public_key,
        token_id: token_or_default(token.as_ref())?,
        token_symbol: parts::token_symbol(token_symbol.as_deref())?,
        balance: parts::amount("balance", parts::required("balance", balance)?)?,
        nonce: parts::number_or_zero("nonce", nonce.as_ref())?,
        receipt_chain_hash: match receipt_chain_hash {
            Some(text) => parts::receipt_chain_hash(text)?,
            None => filled("receipt_chain_hash").map(|()| ReceiptChainHash::EMPTY)?,
        },
        delegate: delegate_of(delegate.as_ref(), pk.as_ref(), public_key)?,
        voting_for: match voting_for {
            Some(text) => parts::voting_for(text)?,
            None => filled("voting_for").map(|()| StateHash::DUMMY)?,
        },
        timing: parts::timing(timing.as_ref(), VestingPeriodRule::Any)?,
        permissions: match permissions {
            Some(permissions) => parts::permissions(permissions, &defaults)?,
            None => filled("permissions").map(|()| defaults)?,
        },
        zkapp: parts::zkapp(zkapp.as_deref(), rules.app_state(), keys)?,
    })
}

/// The permissions of an account nobody set any for; also the check that `era` has such accounts.
pub(super) fn default_permissions(era: Era) -> Result<Permissions, AccountError> {
    match era {
        Era::Berkeley | Era::Mesa => Ok(Permissions::user_default(era.txn_version())),
        Era::V1 => Err(AccountError::WrongEra { era }),
    }
}

fn token_or_default(token: Option<&Text<'_>>) -> Result<TokenId, AccountError> {
    token.map_or(Ok(TokenId::DEFAULT), parts::token)
}

/// The delegate as stated. Most accounts delegate to themselves, which saves decoding the key.
pub(super) fn delegate_of(
    delegate: Option<&Text<'_>>,
    pk: Option<&Text<'_>>,
    public_key: PublicKey,
) -> Result<Option<PublicKey>, AccountError> {
    match delegate {
        None => Ok(None),
        Some(text) if Some(text) == pk => Ok(Some(public_key)),
        Some(text) => parts::public_key("delegate", text).map(Some),
    }
}

#[cfg(test)]
mod tests;
