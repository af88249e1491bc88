//! Printing account JSON.
//!
//! The output is compact and in upstream's member order. Strings are written byte for byte: what
//! came in as raw bytes goes out as the same raw bytes, which `serde_json` cannot do because its
//! strings are UTF-8. The result is therefore bytes, not text.

use fork_types::TokenId;

use super::field::to_decimal;
use super::members::SlotJson;
use super::parts::key_to_base64;
use super::text::Text;
use super::wire::{
    AccountJson, PermissionsJson, SetVerificationKeyJson, TimingJson, TokenPermissionsJson,
    VersionedAuthJson, ZkappJson,
};
use crate::account::{Account, Auth, Permissions, Timing, Vesting, Zkapp};

/// Appends `account` in the form `mina ledger export` prints: everything explicit, absent options
/// omitted, the nonce omitted when it is 0, no blanks, no secret key.
///
/// Reading it back with [`from_fork_config`](super::from_fork_config) gives the same account.
pub fn write_account_json(account: &Account, out: &mut Vec<u8>) {
    AccountJson::from(account).write(out);
}

/// The word of an authorization in account JSON.
#[must_use]
pub const fn auth_word(auth: Auth) -> &'static str {
    match auth {
        Auth::None => "none",
        Auth::Either => "either",
        Auth::Proof => "proof",
        Auth::Signature => "signature",
        Auth::Impossible => "impossible",
    }
}

impl<'a> From<&'a Account> for AccountJson<'a> {
    fn from(account: &'a Account) -> Self {
        let Account {
            public_key,
            token_id,
            token_symbol,
            balance,
            nonce,
            receipt_chain_hash,
            delegate,
            voting_for,
            timing,
            permissions,
            zkapp,
        } = account;
        AccountJson {
            pk: Some(Text::from(public_key.to_string())),
            balance: Some(Text::copied(&balance.to_string())),
            delegate: delegate.map(|key| Text::from(key.to_string())),
            timing: match timing {
                Timing::Untimed => None,
                Timing::Timed(vesting) => Some(timing_json(vesting)),
            },
            token: Some(token_text(token_id)),
            token_permissions: None,
            nonce: (*nonce != 0).then(|| Text::copied(&nonce.to_string())),
            receipt_chain_hash: Some(Text::from(receipt_chain_hash.to_string())),
            voting_for: Some(Text::from(voting_for.to_string())),
            snapp: None,
            zkapp: zkapp.as_deref().map(|zkapp| Box::new(zkapp_json(zkapp))),
            permissions: Some(Box::new(permissions_json(permissions))),
            token_symbol: Some(token_symbol.as_bytes().into()),
        }
    }
}

fn token_text(token_id: &TokenId) -> Text<'static> {
    Text::from(token_id.to_string())
}

fn timing_json(vesting: &Vesting) -> TimingJson<'static> {
    let Vesting {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    } = vesting;
    let slot = |number: u32| SlotJson {
        number: Text::copied(&number.to_string()),
        with_constructor: false,
    };
    TimingJson {
        initial_minimum_balance: Some(Text::copied(&initial_minimum_balance.to_string())),
        cliff_time: Some(slot(cliff_time.get())),
        cliff_amount: Some(Text::copied(&cliff_amount.to_string())),
        vesting_period: Some(slot(vesting_period.get())),
        vesting_increment: Some(Text::copied(&vesting_increment.to_string())),
    }
}

fn permissions_json(permissions: &Permissions) -> PermissionsJson<'static> {
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
    } = permissions;
    let word = |auth: &Auth| Some(Text::borrowed(auth_word(*auth)));
    PermissionsJson {
        stake: None,
        edit_state: word(edit_state),
        send: word(send),
        receive: word(receive),
        access: word(access),
        set_delegate: word(set_delegate),
        set_permissions: word(set_permissions),
        set_verification_key: Some(SetVerificationKeyJson::Versioned(VersionedAuthJson {
            auth: word(set_verification_key),
            txn_version: Some(Text::copied(&set_verification_key_txn_version.to_string())),
        })),
        set_zkapp_uri: word(set_zkapp_uri),
        edit_action_state: word(edit_action_state),
        set_token_symbol: word(set_token_symbol),
        increment_nonce: word(increment_nonce),
        set_voting_for: word(set_voting_for),
        set_timing: word(set_timing),
    }
}

fn zkapp_json(zkapp: &Zkapp) -> ZkappJson<'_> {
    let Zkapp {
        app_state,
        verification_key,
        zkapp_version,
        action_state,
        last_action_slot,
        proved_state,
        zkapp_uri,
    } = zkapp;
    let decimals = |fields: &[fork_types::FieldBytes]| {
        let texts = fields.iter().map(|field| Text::from(to_decimal(*field)));
        Some(texts.collect())
    };
    ZkappJson {
        app_state: decimals(app_state),
        verification_key: verification_key
            .as_ref()
            .map(|key| Text::from(key_to_base64(key))),
        zkapp_version: Some(Text::copied(&zkapp_version.to_string())),
        action_state: decimals(action_state),
        last_action_slot: Some(last_action_slot.get()),
        proved_state: Some(*proved_state),
        zkapp_uri: Some(zkapp_uri.into()),
    }
}

impl AccountJson<'_> {
    /// Appends the members that are there, compact and in upstream's order.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self {
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
        } = self;
        let mut object = ObjectWriter::start(out);
        object.text("pk", pk.as_ref());
        object.text("balance", balance.as_ref());
        object.text("delegate", delegate.as_ref());
        object.with("timing", timing.as_ref(), write_timing);
        object.text("token", token.as_ref());
        object.with(
            "token_permissions",
            token_permissions.as_ref(),
            write_token_permissions,
        );
        object.text("nonce", nonce.as_ref());
        object.text("receipt_chain_hash", receipt_chain_hash.as_ref());
        object.text("voting_for", voting_for.as_ref());
        object.with("snapp", snapp.as_ref(), |value, out| {
            out.extend_from_slice(value.to_string().as_bytes());
        });
        object.with("zkapp", zkapp.as_deref(), write_zkapp);
        object.with("permissions", permissions.as_deref(), write_permissions);
        object.bytes("token_symbol", token_symbol.as_deref());
        object.end();
    }
}

fn write_timing(timing: &TimingJson<'_>, out: &mut Vec<u8>) {
    let TimingJson {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    } = timing;
    let mut object = ObjectWriter::start(out);
    object.text("initial_minimum_balance", initial_minimum_balance.as_ref());
    object.with("cliff_time", cliff_time.as_ref(), |slot, out| {
        write_slot(slot, "Since_genesis", out);
    });
    object.text("cliff_amount", cliff_amount.as_ref());
    object.with("vesting_period", vesting_period.as_ref(), |slot, out| {
        write_slot(slot, "Global_slot_span", out);
    });
    object.text("vesting_increment", vesting_increment.as_ref());
    object.end();
}

fn write_slot(slot: &SlotJson<'_>, constructor: &str, out: &mut Vec<u8>) {
    let number = slot.number.as_str().as_bytes();
    if slot.with_constructor {
        out.push(b'[');
        write_string(constructor.as_bytes(), out);
        out.push(b',');
        write_string(number, out);
        out.push(b']');
    } else {
        write_string(number, out);
    }
}

fn write_token_permissions(permissions: &TokenPermissionsJson, out: &mut Vec<u8>) {
    let TokenPermissionsJson {
        token_owned,
        account_disabled,
        disable_new_accounts,
    } = permissions;
    let mut object = ObjectWriter::start(out);
    object.flag("token_owned", *token_owned);
    object.flag("account_disabled", *account_disabled);
    object.flag("disable_new_accounts", *disable_new_accounts);
    object.end();
}

fn write_permissions(permissions: &PermissionsJson<'_>, out: &mut Vec<u8>) {
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
    } = permissions;
    let mut object = ObjectWriter::start(out);
    object.flag("stake", *stake);
    object.text("edit_state", edit_state.as_ref());
    object.text("send", send.as_ref());
    object.text("receive", receive.as_ref());
    object.text("access", access.as_ref());
    object.text("set_delegate", set_delegate.as_ref());
    object.text("set_permissions", set_permissions.as_ref());
    object.with(
        "set_verification_key",
        set_verification_key.as_ref(),
        write_set_verification_key,
    );
    object.text("set_zkapp_uri", set_zkapp_uri.as_ref());
    object.text("edit_action_state", edit_action_state.as_ref());
    object.text("set_token_symbol", set_token_symbol.as_ref());
    object.text("increment_nonce", increment_nonce.as_ref());
    object.text("set_voting_for", set_voting_for.as_ref());
    object.text("set_timing", set_timing.as_ref());
    object.end();
}

fn write_set_verification_key(permission: &SetVerificationKeyJson<'_>, out: &mut Vec<u8>) {
    match permission {
        SetVerificationKeyJson::Plain(word) => write_string(word.as_str().as_bytes(), out),
        SetVerificationKeyJson::Versioned(VersionedAuthJson { auth, txn_version }) => {
            let mut object = ObjectWriter::start(out);
            object.text("auth", auth.as_ref());
            object.text("txn_version", txn_version.as_ref());
            object.end();
        }
    }
}

fn write_zkapp(zkapp: &ZkappJson<'_>, out: &mut Vec<u8>) {
    let ZkappJson {
        app_state,
        verification_key,
        zkapp_version,
        action_state,
        last_action_slot,
        proved_state,
        zkapp_uri,
    } = zkapp;
    let mut object = ObjectWriter::start(out);
    object.with("app_state", app_state.as_deref(), write_texts);
    object.text("verification_key", verification_key.as_ref());
    object.text("zkapp_version", zkapp_version.as_ref());
    object.with("action_state", action_state.as_deref(), write_texts);
    object.with(
        "last_action_slot",
        last_action_slot.as_ref(),
        |slot, out| {
            out.extend_from_slice(slot.to_string().as_bytes());
        },
    );
    object.flag("proved_state", *proved_state);
    object.bytes("zkapp_uri", zkapp_uri.as_deref());
    object.end();
}

pub(super) fn write_texts(texts: &[Text<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(text.as_str().as_bytes(), out);
    }
    out.push(b']');
}

/// Writes the members of one JSON object; absent ones leave no trace.
pub(super) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    pub(super) fn start(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    pub(super) fn with<T: ?Sized>(
        &mut self,
        name: &str,
        member: Option<&T>,
        write: impl FnOnce(&T, &mut Vec<u8>),
    ) {
        let Some(member) = member else {
            return;
        };
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        write_string(name.as_bytes(), self.out);
        self.out.push(b':');
        write(member, self.out);
    }

    pub(super) fn bytes(&mut self, name: &str, member: Option<&[u8]>) {
        self.with(name, member, write_string);
    }

    pub(super) fn text(&mut self, name: &str, member: Option<&Text<'_>>) {
        self.bytes(name, member.map(|text| text.as_str().as_bytes()));
    }

    pub(super) fn flag(&mut self, name: &str, member: Option<bool>) {
        self.with(name, member.as_ref(), |value, out| {
            out.extend_from_slice(if *value { b"true" } else { b"false" });
        });
    }
}

/// Writes a JSON string: quotes, backslashes and control characters are escaped, everything else,
/// bytes that are no UTF-8 included, stays as it is.
pub(super) fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 0xf)]);
            }
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}
