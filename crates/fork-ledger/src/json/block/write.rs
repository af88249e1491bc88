//! Printing accounts as blocks have them.

use fork_types::FieldBytes;
use fork_types::id::base58check_encode;

use super::{
    BlockAccountJson, BlockAuthJson, BlockKeyJson, BlockPermissionsJson, BlockTimingJson,
    BlockVersionedAuthJson, BlockVestingJson, BlockZkappJson, VERIFICATION_KEY_VERSION,
};
use crate::account::{Account, Auth, Permissions, Timing, Vesting, Zkapp};
use crate::json::field::to_block_hex;
use crate::json::text::Text;
use crate::json::write::{ObjectWriter, write_string, write_texts};
use crate::packing::field_bytes;
use crate::verification_key::VerificationKey;

/// Appends `account` as a block has it, in upstream's member order.
///
/// Reading it back with [`from_block_account`](super::from_block_account) gives the same account.
pub fn write_block_account(account: &Account, out: &mut Vec<u8>) {
    BlockAccountJson::from(account).write(out);
}

impl<'a> From<&'a Account> for BlockAccountJson<'a> {
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
        BlockAccountJson {
            public_key: Some(Text::from(public_key.to_string())),
            token_id: Some(Text::from(token_id.to_string())),
            token_symbol: Some(token_symbol.as_bytes().into()),
            balance: Some(number(balance.nanomina())),
            nonce: Some(number(*nonce)),
            receipt_chain_hash: Some(Text::from(receipt_chain_hash.to_string())),
            delegate: Some(delegate.map(|key| Text::from(key.to_string()))),
            voting_for: Some(Text::from(voting_for.to_string())),
            timing: Some(timing_json(timing)),
            permissions: Some(permissions_json(permissions)),
            zkapp: Some(zkapp.as_deref().map(|zkapp| Box::new(zkapp_json(zkapp)))),
        }
    }
}

fn number(value: impl ToString) -> Text<'static> {
    Text::copied(&value.to_string())
}

fn timing_json(timing: &Timing) -> BlockTimingJson<'static> {
    match timing {
        Timing::Untimed => BlockTimingJson {
            constructor: Text::borrowed("Untimed"),
            vesting: None,
        },
        Timing::Timed(Vesting {
            initial_minimum_balance,
            cliff_time,
            cliff_amount,
            vesting_period,
            vesting_increment,
        }) => BlockTimingJson {
            constructor: Text::borrowed("Timed"),
            vesting: Some(BlockVestingJson {
                initial_minimum_balance: Some(number(initial_minimum_balance.nanomina())),
                cliff_time: Some(number(cliff_time)),
                cliff_amount: Some(number(cliff_amount.nanomina())),
                vesting_period: Some(number(vesting_period)),
                vesting_increment: Some(number(vesting_increment.nanomina())),
            }),
        },
    }
}

const fn constructor(auth: Auth) -> BlockAuthJson<'static> {
    BlockAuthJson {
        constructor: Text::borrowed(match auth {
            Auth::None => "None",
            Auth::Either => "Either",
            Auth::Proof => "Proof",
            Auth::Signature => "Signature",
            Auth::Impossible => "Impossible",
        }),
    }
}

fn permissions_json(permissions: &Permissions) -> BlockPermissionsJson<'static> {
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
    BlockPermissionsJson {
        edit_state: Some(constructor(edit_state)),
        access: Some(constructor(access)),
        send: Some(constructor(send)),
        receive: Some(constructor(receive)),
        set_delegate: Some(constructor(set_delegate)),
        set_permissions: Some(constructor(set_permissions)),
        set_verification_key: Some(BlockVersionedAuthJson {
            auth: constructor(set_verification_key),
            txn_version: number(set_verification_key_txn_version),
        }),
        set_zkapp_uri: Some(constructor(set_zkapp_uri)),
        edit_action_state: Some(constructor(edit_action_state)),
        set_token_symbol: Some(constructor(set_token_symbol)),
        increment_nonce: Some(constructor(increment_nonce)),
        set_voting_for: Some(constructor(set_voting_for)),
        set_timing: Some(constructor(set_timing)),
    }
}

fn zkapp_json(zkapp: &Zkapp) -> BlockZkappJson<'_> {
    let Zkapp {
        app_state,
        verification_key,
        zkapp_version,
        action_state,
        last_action_slot,
        proved_state,
        zkapp_uri,
    } = zkapp;
    let hexes = |fields: &[FieldBytes]| {
        let texts = fields.iter().map(|field| Text::from(to_block_hex(*field)));
        Some(texts.collect())
    };
    BlockZkappJson {
        app_state: hexes(app_state),
        verification_key: Some(verification_key.as_deref().map(key_json)),
        zkapp_version: Some(number(zkapp_version)),
        action_state: hexes(action_state),
        last_action_slot: Some(number(last_action_slot)),
        proved_state: Some(*proved_state),
        zkapp_uri: Some(zkapp_uri.into()),
    }
}

fn key_json(key: &VerificationKey) -> BlockKeyJson<'static> {
    BlockKeyJson {
        data: Some(Text::from(base58check_encode(
            VERIFICATION_KEY_VERSION,
            key.as_bytes(),
        ))),
        hash: Some(Text::from(to_block_hex(field_bytes(key.hash())))),
    }
}

impl BlockAccountJson<'_> {
    /// Appends the members that are there, compact and in upstream's order.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self {
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
        } = self;
        let mut object = ObjectWriter::start(out);
        object.text("public_key", public_key.as_ref());
        object.text("token_id", token_id.as_ref());
        object.bytes("token_symbol", token_symbol.as_deref());
        object.text("balance", balance.as_ref());
        object.text("nonce", nonce.as_ref());
        object.text("receipt_chain_hash", receipt_chain_hash.as_ref());
        object.with("delegate", delegate.as_ref(), |delegate, out| {
            write_or_null(delegate.as_ref(), write_text, out);
        });
        object.text("voting_for", voting_for.as_ref());
        object.with("timing", timing.as_ref(), write_timing);
        object.with("permissions", permissions.as_ref(), write_permissions);
        object.with("zkapp", zkapp.as_ref(), |zkapp, out| {
            write_or_null(zkapp.as_deref(), write_zkapp, out);
        });
        object.end();
    }
}

fn write_or_null<T>(value: Option<&T>, write: impl FnOnce(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    match value {
        Some(value) => write(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_text(text: &Text<'_>, out: &mut Vec<u8>) {
    write_string(text.as_str().as_bytes(), out);
}

fn write_timing(timing: &BlockTimingJson<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    write_text(&timing.constructor, out);
    if let Some(vesting) = &timing.vesting {
        out.push(b',');
        write_vesting(vesting, out);
    }
    out.push(b']');
}

fn write_vesting(vesting: &BlockVestingJson<'_>, out: &mut Vec<u8>) {
    let BlockVestingJson {
        initial_minimum_balance,
        cliff_time,
        cliff_amount,
        vesting_period,
        vesting_increment,
    } = vesting;
    let mut object = ObjectWriter::start(out);
    object.text("initial_minimum_balance", initial_minimum_balance.as_ref());
    object.text("cliff_time", cliff_time.as_ref());
    object.text("cliff_amount", cliff_amount.as_ref());
    object.text("vesting_period", vesting_period.as_ref());
    object.text("vesting_increment", vesting_increment.as_ref());
    object.end();
}

fn write_auth(auth: &BlockAuthJson<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    write_text(&auth.constructor, out);
    out.push(b']');
}

fn write_permissions(permissions: &BlockPermissionsJson<'_>, out: &mut Vec<u8>) {
    let BlockPermissionsJson {
        edit_state,
        access,
        send,
        receive,
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
    object.with("edit_state", edit_state.as_ref(), write_auth);
    object.with("access", access.as_ref(), write_auth);
    object.with("send", send.as_ref(), write_auth);
    object.with("receive", receive.as_ref(), write_auth);
    object.with("set_delegate", set_delegate.as_ref(), write_auth);
    object.with("set_permissions", set_permissions.as_ref(), write_auth);
    object.with(
        "set_verification_key",
        set_verification_key.as_ref(),
        |BlockVersionedAuthJson { auth, txn_version }, out| {
            out.push(b'[');
            write_auth(auth, out);
            out.push(b',');
            write_text(txn_version, out);
            out.push(b']');
        },
    );
    object.with("set_zkapp_uri", set_zkapp_uri.as_ref(), write_auth);
    object.with("edit_action_state", edit_action_state.as_ref(), write_auth);
    object.with("set_token_symbol", set_token_symbol.as_ref(), write_auth);
    object.with("increment_nonce", increment_nonce.as_ref(), write_auth);
    object.with("set_voting_for", set_voting_for.as_ref(), write_auth);
    object.with("set_timing", set_timing.as_ref(), write_auth);
    object.end();
}

fn write_zkapp(zkapp: &BlockZkappJson<'_>, out: &mut Vec<u8>) {
    let BlockZkappJson {
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
    object.with("verification_key", verification_key.as_ref(), |key, out| {
        write_or_null(key.as_ref(), write_key, out);
    });
    object.text("zkapp_version", zkapp_version.as_ref());
    object.with("action_state", action_state.as_deref(), write_texts);
    object.text("last_action_slot", last_action_slot.as_ref());
    object.flag("proved_state", *proved_state);
    object.bytes("zkapp_uri", zkapp_uri.as_deref());
    object.end();
}

fn write_key(key: &BlockKeyJson<'_>, out: &mut Vec<u8>) {
    let BlockKeyJson { data, hash } = key;
    let mut object = ObjectWriter::start(out);
    object.text("data", data.as_ref());
    object.text("hash", hash.as_ref());
    object.end();
}

#[cfg(test)]
mod tests {
    use fork_types::{Era, Fault};
    use proptest::prelude::*;

    use super::*;
    use crate::binprot::arbitrary;
    use crate::json::{AccountError, VerificationKeyCache, from_block_account};

    fn printed(account: &Account) -> Vec<u8> {
        let mut json = Vec::new();
        write_block_account(account, &mut json);
        json
    }

    fn parsed(json: &[u8], era: Era) -> Result<Account, AccountError> {
        let json: BlockAccountJson<'_> = serde_json::from_slice(json).unwrap();
        from_block_account(&json, era, &VerificationKeyCache::new())
    }

    fn with_key() -> Account {
        let mut account = Account::empty(Era::Berkeley);
        account.zkapp = Some(Box::new(Zkapp {
            app_state: vec![FieldBytes::ONE; 8],
            verification_key: Some(arbitrary::synthetic_key(3)),
            zkapp_version: 1,
            action_state: [FieldBytes::ONE; 5],
            last_action_slot: fork_types::SlotSinceGenesis::new(7),
            proved_state: false,
            zkapp_uri: b"\x80".to_vec(),
        }));
        account
    }

    #[test]
    fn a_wrong_key_hash_contradicts_the_key() {
        let json = printed(&with_key());
        let at = json
            .windows(8)
            .position(|bytes| bytes == b"\"hash\":\"")
            .unwrap()
            + 20;
        let mut wrong = json.clone();
        wrong[at] = if json[at] == b'0' { b'1' } else { b'0' };
        assert_eq!(parsed(&json, Era::Berkeley).unwrap(), with_key());
        let error = parsed(&wrong, Era::Berkeley).unwrap_err();
        assert!(
            matches!(error, AccountError::VerificationKeyHash { .. }),
            "{error}"
        );
        assert_eq!(error.class(), fork_types::Class::Wrong);
    }

    #[test]
    fn every_member_must_be_there() {
        let json: serde_json::Value =
            serde_json::from_slice(&printed(&Account::empty(Era::Mesa))).unwrap();
        let members: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members.len(), 11);
        for member in members {
            let mut cut = json.clone();
            cut.as_object_mut().unwrap().remove(&member);
            let error = parsed(cut.to_string().as_bytes(), Era::Mesa).unwrap_err();
            assert_eq!(error.to_string(), format!("`{member}` is missing"));
        }
    }

    #[test]
    fn words_of_exports_are_no_constructors() {
        let json = String::from_utf8(printed(&Account::empty(Era::Berkeley))).unwrap();
        for (good, bad, message) in [
            ("\"Signature\"", "\"signature\"", "constructor `signature`"),
            ("[\"Untimed\"]", "[\"Timed\"]", "`timing[1]` is missing"),
            ("[\"Untimed\"]", "[\"Untimed\",{}]", "constructor `Untimed`"),
            ("\"0\"", "\"0.5\"", "`balance` cannot be read"),
        ] {
            let error = parsed(json.replacen(good, bad, 1).as_bytes(), Era::Berkeley).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        for bad in ["[]", "[\"Signature\",\"x\"]", "\"Signature\"", "{}"] {
            let bad = json.replacen("[\"Signature\"]", bad, 1);
            assert!(
                serde_json::from_str::<BlockAccountJson<'_>>(&bad).is_err(),
                "{bad}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn accounts_round_trip(
            (era, account) in prop_oneof![Just(Era::Berkeley), Just(Era::Mesa)]
                .prop_flat_map(|era| (Just(era), arbitrary::account(era))),
        ) {
            prop_assert_eq!(parsed(&printed(&account), era).unwrap(), account);
        }
    }
}
