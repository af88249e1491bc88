//! Account JSON as it is written: texts stay texts, absent members stay absent.
//!
//! Follows `src/lib/runtime_config/runtime_config.ml` of MinaProtocol/mina (`Json_layout.Accounts`),
//! with the members only v1 knew.

use std::borrow::Cow;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::members::{
    SlotJson, TextVisitor, bytes, flag, integer, json_object, nested, nested_not_null, slot, text,
    text_not_null, texts,
};
use super::text::Text;

json_object! {
    /// One account of a configuration, an export, a fork_config or a replayer file.
    ///
    /// Lossless for the members it knows; unknown ones are ignored, as upstream does, which is why
    /// a v1-shaped list reads without an error. `sk` is one of the unknown ones on purpose: a
    /// secret key is of no use here and is never written.
    pub struct AccountJson<'a> as "an account", other members are ignored {
        /// Public key, base58check.
        pk: Text<'a> = text("pk"),
        /// Balance in decimal MINA.
        balance: Text<'a> = text("balance"),
        /// Public key of the delegate.
        delegate: Text<'a> = text("delegate"),
        /// Vesting schedule.
        timing: TimingJson<'a> = nested("timing"),
        /// Token id, base58check or an old decimal number.
        token: Text<'a> = text("token"),
        /// v1 only.
        token_permissions: TokenPermissionsJson = nested("token_permissions"),
        /// Nonce, a decimal number in a string.
        nonce: Text<'a> = text_not_null("nonce"),
        /// Receipt chain hash, base58check.
        receipt_chain_hash: Text<'a> = text("receipt_chain_hash"),
        /// State hash voted for, base58check.
        voting_for: Text<'a> = text("voting_for"),
        /// v1 only, and never seen filled.
        snapp: Box<serde_json::Value> = nested("snapp"),
        /// The zkApp part.
        zkapp: Box<ZkappJson<'a>> = nested("zkapp"),
        /// Permissions.
        permissions: Box<PermissionsJson<'a>> = nested("permissions"),
        /// Symbol of the token this account owns; bytes, because it need not be UTF-8.
        token_symbol: Cow<'a, [u8]> = bytes("token_symbol"),
    }
}

json_object! {
    /// The vesting schedule of an account.
    pub struct TimingJson<'a> as "`timing`", other members are ignored {
        /// Decimal MINA.
        initial_minimum_balance: Text<'a> = text("timing.initial_minimum_balance"),
        /// Slot since genesis.
        cliff_time: SlotJson<'a> = slot("timing.cliff_time", "Since_genesis"),
        /// Decimal MINA.
        cliff_amount: Text<'a> = text("timing.cliff_amount"),
        /// Number of slots.
        vesting_period: SlotJson<'a> = slot("timing.vesting_period", "Global_slot_span"),
        /// Decimal MINA.
        vesting_increment: Text<'a> = text("timing.vesting_increment"),
    }
}

/// What v1 knew about the token an account owns; `{}` in every file seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct TokenPermissionsJson {
    /// Whether the account owns its token.
    pub token_owned: Option<bool>,
    /// Whether the account is disabled.
    pub account_disabled: Option<bool>,
    /// Whether the owned token takes no new accounts.
    pub disable_new_accounts: Option<bool>,
}

json_object! {
    /// The permissions of an account: thirteen, or the seven of v1.
    pub struct PermissionsJson<'a> as "`permissions`", other members are ignored {
        /// v1 only.
        stake: bool = flag("permissions.stake"),
        /// Change the zkApp state.
        edit_state: Text<'a> = text_not_null("permissions.edit_state"),
        /// Send.
        send: Text<'a> = text_not_null("permissions.send"),
        /// Receive.
        receive: Text<'a> = text_not_null("permissions.receive"),
        /// Be touched at all.
        access: Text<'a> = text_not_null("permissions.access"),
        /// Change the delegate.
        set_delegate: Text<'a> = text_not_null("permissions.set_delegate"),
        /// Change the permissions.
        set_permissions: Text<'a> = text_not_null("permissions.set_permissions"),
        /// Change the verification key.
        set_verification_key: SetVerificationKeyJson<'a> =
            nested_not_null("permissions.set_verification_key"),
        /// Change the zkApp URI.
        set_zkapp_uri: Text<'a> = text_not_null("permissions.set_zkapp_uri"),
        /// Change the action state.
        edit_action_state: Text<'a> = text_not_null("permissions.edit_action_state"),
        /// Change the token symbol.
        set_token_symbol: Text<'a> = text_not_null("permissions.set_token_symbol"),
        /// Increment the nonce.
        increment_nonce: Text<'a> = text_not_null("permissions.increment_nonce"),
        /// Change the vote.
        set_voting_for: Text<'a> = text_not_null("permissions.set_voting_for"),
        /// Change the timing.
        set_timing: Text<'a> = text_not_null("permissions.set_timing"),
    }
}

/// The permission whose shape changed with Berkeley.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetVerificationKeyJson<'a> {
    /// v1: `"signature"`.
    Plain(Text<'a>),
    /// Berkeley and later: `{"auth": "signature", "txn_version": "3"}`.
    Versioned(VersionedAuthJson<'a>),
}

json_object! {
    /// An authorization and the transaction version it was set under. One of the three objects
    /// upstream reads as they are, so another member is an error.
    pub struct VersionedAuthJson<'a>
        as "`permissions.set_verification_key`", other members are refused
    {
        /// The authorization.
        auth: Text<'a> = text_not_null("permissions.set_verification_key.auth"),
        /// Decimal number in a string.
        txn_version: Text<'a> = text_not_null("permissions.set_verification_key.txn_version"),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for SetVerificationKeyJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SetVerificationKeyVisitor)
    }
}

struct SetVerificationKeyVisitor;

const SET_VERIFICATION_KEY_EXPECTED: &str =
    "`permissions.set_verification_key` to be an object with `auth` and `txn_version`";

impl<'de> Visitor<'de> for SetVerificationKeyVisitor {
    type Value = SetVerificationKeyJson<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SET_VERIFICATION_KEY_EXPECTED)
    }

    fn visit_borrowed_str<E: de::Error>(self, word: &'de str) -> Result<Self::Value, E> {
        TextVisitor(SET_VERIFICATION_KEY_EXPECTED)
            .visit_borrowed_str(word)
            .map(SetVerificationKeyJson::Plain)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
        TextVisitor(SET_VERIFICATION_KEY_EXPECTED)
            .visit_str(word)
            .map(SetVerificationKeyJson::Plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        VersionedAuthJson::deserialize(de::value::MapAccessDeserializer::new(members))
            .map(SetVerificationKeyJson::Versioned)
    }
}

json_object! {
    /// The zkApp part of an account.
    pub struct ZkappJson<'a> as "`zkapp`", other members are ignored {
        /// Decimal field elements: 8 in Berkeley, 32 in Mesa.
        app_state: Vec<Text<'a>> = texts("zkapp.app_state"),
        /// Base64 of 1796 bytes.
        verification_key: Text<'a> = text("zkapp.verification_key"),
        /// Decimal number in a string.
        zkapp_version: Text<'a> = text("zkapp.zkapp_version"),
        /// Five decimal field elements.
        action_state: Vec<Text<'a>> = texts("zkapp.action_state"),
        /// A JSON integer, the only one in the object.
        last_action_slot: u32 = integer("zkapp.last_action_slot"),
        /// Whether the whole state was set by proofs.
        proved_state: bool = flag("zkapp.proved_state"),
        /// URI; bytes, because it need not be UTF-8.
        zkapp_uri: Cow<'a, [u8]> = bytes("zkapp.zkapp_uri"),
    }
}
