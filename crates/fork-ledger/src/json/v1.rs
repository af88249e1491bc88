//! Account JSON of the original mainnet.
//!
//! Defaults: `hashing.md` 9.3, from o1-labs/mina-rust `ledger/src/account/legacy.rs`.

use fork_types::{ReceiptChainHash, StateHash};

use super::convert::delegate_of;
use super::error::{AccountError, MemberPath};
use super::parts::{self, VestingPeriodRule};
use super::text::{Text, shown};
use super::wire::{AccountJson, PermissionsJson, SetVerificationKeyJson, TokenPermissionsJson};
use crate::account::{V1Account, V1Auth, V1Permissions};

/// Number of the chain's own currency.
const DEFAULT_TOKEN: u64 = 1;

/// Reads an account of a v1 export.
///
/// A missing delegate is the account itself for the chain's own currency; no v1 list seen lacks
/// one. Takes the plain-word `set_verification_key` of v1 and refuses the object of Berkeley, so a
/// list already rewritten for the fork is not hashed as v1 by mistake.
///
/// # Errors
///
/// Fails on malformed members, and on what no known v1 ledger has and the account type therefore
/// does not hold: a snapp, an owned token, a disabled account, the permissions and the zkApp part
/// that came with Berkeley, a token symbol.
pub fn v1_from_json(json: &AccountJson<'_>) -> Result<V1Account, AccountError> {
    let AccountJson {
        pk,
        balance,
        delegate,
        timing,
        token,
        token_permissions,
        nonce,
        receipt_chain_hash,
        voting_for,
        snapp,
        zkapp,
        permissions,
        token_symbol,
    } = json;
    refuse_set(&[
        ("snapp", snapp.is_some()),
        ("zkapp", zkapp.is_some()),
        (
            "token_symbol",
            token_symbol
                .as_ref()
                .is_some_and(|symbol| !symbol.is_empty()),
        ),
    ])?;
    refuse_token_permissions(token_permissions.as_ref())?;
    let public_key = parts::public_key("pk", parts::required("pk", pk)?)?;
    let token_id = token.as_ref().map_or(Ok(DEFAULT_TOKEN), token_number)?;
    let stated_delegate = delegate_of(delegate.as_ref(), pk.as_ref(), public_key)?;
    Ok(V1Account {
        public_key,
        token_id,
        balance: parts::amount("balance", parts::required("balance", balance)?)?,
        nonce: parts::number_or_zero("nonce", nonce.as_ref())?,
        receipt_chain_hash: match receipt_chain_hash {
            Some(text) => parts::receipt_chain_hash(text)?,
            None => ReceiptChainHash::EMPTY,
        },
        delegate: stated_delegate.or((token_id == DEFAULT_TOKEN).then_some(public_key)),
        voting_for: match voting_for {
            Some(text) => parts::voting_for(text)?,
            None => StateHash::DUMMY,
        },
        timing: parts::timing(timing.as_ref(), VestingPeriodRule::Any)?,
        permissions: match permissions {
            Some(permissions) => v1_permissions(permissions)?,
            None => V1Permissions::DEFAULT,
        },
    })
}

fn refuse_set(members: &[(&'static str, bool)]) -> Result<(), AccountError> {
    match members.iter().find(|(_, set)| *set) {
        Some((path, _)) => Err(AccountError::V1Unsupported {
            path: MemberPath::Borrowed(path),
        }),
        None => Ok(()),
    }
}

fn refuse_token_permissions(json: Option<&TokenPermissionsJson>) -> Result<(), AccountError> {
    let Some(TokenPermissionsJson {
        token_owned,
        account_disabled,
        disable_new_accounts,
    }) = json
    else {
        return Ok(());
    };
    let set = |flag: &Option<bool>| *flag == Some(true);
    refuse_set(&[
        ("token_permissions.token_owned", set(token_owned)),
        ("token_permissions.account_disabled", set(account_disabled)),
        (
            "token_permissions.disable_new_accounts",
            set(disable_new_accounts),
        ),
    ])
}

fn token_number(text: &Text<'_>) -> Result<u64, AccountError> {
    let text = text.as_str();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| AccountError::V1Token { found: shown(text) })
}

fn v1_auth(path: &'static str, text: &Text<'_>) -> Result<V1Auth, AccountError> {
    if text.as_str().eq_ignore_ascii_case("both") {
        return Ok(V1Auth::Both);
    }
    parts::auth_word(text.as_str())
        .map(V1Auth::Auth)
        .ok_or_else(|| AccountError::Permission {
            path: MemberPath::Borrowed(path),
            found: shown(text.as_str()),
            v1: true,
        })
}

fn v1_permissions(json: &PermissionsJson<'_>) -> Result<V1Permissions, AccountError> {
    let PermissionsJson {
        stake,
        edit_state,
        send,
        receive,
        access,
        set_delegate,
        set_permissions,
        set_verification_key,
        set_zkapp_uri,
        edit_action_state,
        set_token_symbol,
        increment_nonce,
        set_voting_for,
        set_timing,
    } = json;
    refuse_set(&[
        ("permissions.access", access.is_some()),
        ("permissions.set_zkapp_uri", set_zkapp_uri.is_some()),
        ("permissions.edit_action_state", edit_action_state.is_some()),
        ("permissions.set_token_symbol", set_token_symbol.is_some()),
        ("permissions.increment_nonce", increment_nonce.is_some()),
        ("permissions.set_voting_for", set_voting_for.is_some()),
        ("permissions.set_timing", set_timing.is_some()),
    ])?;
    let defaults = V1Permissions::DEFAULT;
    macro_rules! auth_or_default {
        ($member:ident) => {
            match $member {
                Some(text) => v1_auth(concat!("permissions.", stringify!($member)), text)?,
                None => defaults.$member,
            }
        };
    }
    let set_verification_key = match set_verification_key {
        Some(SetVerificationKeyJson::Plain(word)) => {
            v1_auth("permissions.set_verification_key", word)?
        }
        Some(SetVerificationKeyJson::Versioned(_)) => {
            return Err(AccountError::VersionedSetVerificationKey);
        }
        None => defaults.set_verification_key,
    };
    Ok(V1Permissions {
        stake: stake.unwrap_or(defaults.stake),
        edit_state: auth_or_default!(edit_state),
        send: auth_or_default!(send),
        receive: auth_or_default!(receive),
        set_delegate: auth_or_default!(set_delegate),
        set_permissions: auth_or_default!(set_permissions),
        set_verification_key,
    })
}
