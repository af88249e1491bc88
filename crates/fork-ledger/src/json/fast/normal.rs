//! Recognising text that is already what [`AccountJson::write`] prints.
//!
//! [`AccountJson::write`]: crate::json::AccountJson::write

use super::cursor::Cursor;

/// Members of an account in the order in which they are written, without the rare ones.
const ACCOUNT: [(&[u8], Value); 10] = [
    (b"pk", Value::String),
    (b"balance", Value::String),
    (b"delegate", Value::String),
    (b"timing", Value::Object(&TIMING)),
    (b"token", Value::String),
    (b"nonce", Value::String),
    (b"receipt_chain_hash", Value::String),
    (b"voting_for", Value::String),
    (b"permissions", Value::Object(&PERMISSIONS)),
    (b"token_symbol", Value::String),
];

const TIMING: [(&[u8], Value); 5] = [
    (b"initial_minimum_balance", Value::String),
    (b"cliff_time", Value::String),
    (b"cliff_amount", Value::String),
    (b"vesting_period", Value::String),
    (b"vesting_increment", Value::String),
];

const PERMISSIONS: [(&[u8], Value); 13] = [
    (b"edit_state", Value::String),
    (b"send", Value::String),
    (b"receive", Value::String),
    (b"access", Value::String),
    (b"set_delegate", Value::String),
    (b"set_permissions", Value::String),
    (b"set_verification_key", Value::Object(&VERSIONED_AUTH)),
    (b"set_zkapp_uri", Value::String),
    (b"edit_action_state", Value::String),
    (b"set_token_symbol", Value::String),
    (b"increment_nonce", Value::String),
    (b"set_voting_for", Value::String),
    (b"set_timing", Value::String),
];

const VERSIONED_AUTH: [(&[u8], Value); 2] =
    [(b"auth", Value::String), (b"txn_version", Value::String)];

/// What a member holds.
#[derive(Clone, Copy)]
enum Value {
    /// A string without escapes, of ASCII.
    String,
    /// An object with some of these members, in this order.
    Object(&'static [(&'static [u8], Value)]),
}

/// Whether `text`, if it is an account at all, is byte for byte what
/// [`AccountJson::write`](crate::json::AccountJson::write) prints of it.
///
/// Says no to accounts with a zkApp and to those of v1, which are few.
pub(crate) fn is_normal(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    object(&mut cursor, &ACCOUNT).is_some() && cursor.end().is_some()
}

fn object(cursor: &mut Cursor<'_>, members: &[(&[u8], Value)]) -> Option<()> {
    let mut before: &[u8] = b"{";
    for (name, value) in members {
        let mut ahead = *cursor;
        if !(ahead.skip(before) && ahead.skip_string(name) && ahead.skip(b":")) {
            continue;
        }
        match value {
            Value::String => drop(ahead.string()?),
            Value::Object(members) => object(&mut ahead, members)?,
        }
        *cursor = ahead;
        before = b",";
    }
    // An object without members is left to the general way.
    cursor.skip(b"}").then_some(())
}
