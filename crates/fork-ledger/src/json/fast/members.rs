//! The members of an account that are objects.

use fork_types::{SlotSinceGenesis, SlotSpan, TokenId};

use super::cursor::{Cursor, Once};
use super::parse;
use crate::account::{Auth, Permissions, Timing, Vesting, Zkapp};
use crate::json::convert::ForkRules;
use crate::json::key_cache::VerificationKeyCache;
use crate::json::parts;
use crate::json::wire::ZkappJson;

/// A decimal number below 2^32, as [`parts::number`] takes it.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let mut number: u32 = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    (!text.is_empty()).then_some(number)
}

/// A token that is not the default one.
pub(super) fn token(text: &[u8]) -> Option<TokenId> {
    TokenId::parse_account_member(std::str::from_utf8(text).ok()?).ok()
}

pub(super) fn timing(cursor: &mut Cursor<'_>) -> Option<Timing> {
    if cursor.null() {
        return Some(Timing::Untimed);
    }
    let mut initial_minimum_balance = Once::default();
    let mut cliff_time = Once::default();
    let mut cliff_amount = Once::default();
    let mut vesting_period = Once::default();
    let mut vesting_increment = Once::default();
    cursor.object(|name, cursor| match name {
        b"initial_minimum_balance" => initial_minimum_balance.set(parse(cursor.string()?)?),
        b"cliff_time" => cliff_time.set(number(cursor.string()?)?),
        b"cliff_amount" => cliff_amount.set(parse(cursor.string()?)?),
        b"vesting_period" => vesting_period.set(number(cursor.string()?)?),
        b"vesting_increment" => vesting_increment.set(parse(cursor.string()?)?),
        _ => None,
    })?;
    Some(Timing::Timed(Vesting {
        initial_minimum_balance: initial_minimum_balance.get()?,
        cliff_time: SlotSinceGenesis::new(cliff_time.get()?),
        cliff_amount: cliff_amount.get()?,
        vesting_period: SlotSpan::new(vesting_period.get()?),
        vesting_increment: vesting_increment.get()?,
    }))
}

fn auth(cursor: &mut Cursor<'_>) -> Option<Auth> {
    Some(match cursor.string()? {
        b"signature" => Auth::Signature,
        b"none" => Auth::None,
        b"proof" => Auth::Proof,
        b"either" => Auth::Either,
        b"impossible" => Auth::Impossible,
        word => parts::auth_word(std::str::from_utf8(word).ok()?)?,
    })
}

pub(super) fn permissions(cursor: &mut Cursor<'_>, defaults: &Permissions) -> Option<Permissions> {
    let mut edit_state = Once::default();
    let mut access = Once::default();
    let mut send = Once::default();
    let mut receive = Once::default();
    let mut set_delegate = Once::default();
    let mut set_permissions = Once::default();
    let mut set_verification_key = Once::default();
    let mut set_zkapp_uri = Once::default();
    let mut edit_action_state = Once::default();
    let mut set_token_symbol = Once::default();
    let mut increment_nonce = Once::default();
    let mut set_voting_for = Once::default();
    let mut set_timing = Once::default();
    cursor.object(|name, cursor| match name {
        b"edit_state" => edit_state.set(auth(cursor)?),
        b"access" => access.set(auth(cursor)?),
        b"send" => send.set(auth(cursor)?),
        b"receive" => receive.set(auth(cursor)?),
        b"set_delegate" => set_delegate.set(auth(cursor)?),
        b"set_permissions" => set_permissions.set(auth(cursor)?),
        b"set_verification_key" => set_verification_key.set(versioned_auth(cursor)?),
        b"set_zkapp_uri" => set_zkapp_uri.set(auth(cursor)?),
        b"edit_action_state" => edit_action_state.set(auth(cursor)?),
        b"set_token_symbol" => set_token_symbol.set(auth(cursor)?),
        b"increment_nonce" => increment_nonce.set(auth(cursor)?),
        b"set_voting_for" => set_voting_for.set(auth(cursor)?),
        b"set_timing" => set_timing.set(auth(cursor)?),
        _ => None,
    })?;
    let (set_verification_key, set_verification_key_txn_version) =
        set_verification_key.get().unwrap_or((
            defaults.set_verification_key,
            defaults.set_verification_key_txn_version,
        ));
    Some(Permissions {
        edit_state: edit_state.get().unwrap_or(defaults.edit_state),
        access: access.get().unwrap_or(defaults.access),
        send: send.get().unwrap_or(defaults.send),
        receive: receive.get().unwrap_or(defaults.receive),
        set_delegate: set_delegate.get().unwrap_or(defaults.set_delegate),
        set_permissions: set_permissions.get().unwrap_or(defaults.set_permissions),
        set_verification_key,
        set_verification_key_txn_version,
        set_zkapp_uri: set_zkapp_uri.get().unwrap_or(defaults.set_zkapp_uri),
        edit_action_state: edit_action_state
            .get()
            .unwrap_or(defaults.edit_action_state),
        set_token_symbol: set_token_symbol.get().unwrap_or(defaults.set_token_symbol),
        increment_nonce: increment_nonce.get().unwrap_or(defaults.increment_nonce),
        set_voting_for: set_voting_for.get().unwrap_or(defaults.set_voting_for),
        set_timing: set_timing.get().unwrap_or(defaults.set_timing),
    })
}

fn versioned_auth(cursor: &mut Cursor<'_>) -> Option<(Auth, u32)> {
    let mut word = Once::default();
    let mut txn_version = Once::default();
    cursor.object(|name, cursor| match name {
        b"auth" => word.set(auth(cursor)?),
        b"txn_version" => txn_version.set(number(cursor.string()?)?),
        _ => None,
    })?;
    Some((word.get()?, txn_version.get()?))
}

/// Takes the zkApp part by way of [`ZkappJson`]: few accounts have one, and there is no usual form
/// of it to be fast for.
pub(super) fn zkapp(
    cursor: &mut Cursor<'_>,
    rules: &ForkRules,
    keys: &VerificationKeyCache,
) -> Option<Zkapp> {
    let mut values = serde_json::Deserializer::from_slice(cursor.rest()).into_iter::<ZkappJson>();
    let json = values.next()?.ok()?;
    cursor.advance(values.byte_offset())?;
    let zkapp = parts::zkapp(Some(&json), rules.app_state(), keys).ok()??;
    Some(*zkapp)
}
