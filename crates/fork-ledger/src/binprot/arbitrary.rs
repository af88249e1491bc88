//! proptest strategies for accounts of every kind, used by the tests of all codecs.

use std::sync::Arc;

use fork_types::{
    Amount, Era, FieldBytes, PublicKey, ReceiptChainHash, SlotSinceGenesis, SlotSpan, StateHash,
    TokenId,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::account::{
    ACTION_STATE_LEN, Account, Auth, Permissions, TOKEN_SYMBOL_BYTES_MAX, Timing, TokenSymbol,
    Vesting, ZKAPP_URI_BYTES_MAX, Zkapp,
};
use crate::verification_key::{VERIFICATION_KEY_BYTES, VerificationKey};

/// Numbers at the edges of every integer form, and any others.
pub fn number64() -> impl Strategy<Value = u64> {
    let edges: Vec<u64> = [7, 8, 15, 16, 31, 32, 63]
        .into_iter()
        .flat_map(|bits| [(1 << bits) - 1, 1 << bits])
        .chain([0, 1, u64::MAX])
        .collect();
    prop_oneof![proptest::sample::select(edges), any::<u64>()]
}

/// The same for 32 bits.
pub fn number32() -> impl Strategy<Value = u32> {
    number64().prop_map(|number| u32::try_from(number & u64::from(u32::MAX)).unwrap())
}

/// Field elements, small ones and the largest included.
pub fn field() -> impl Strategy<Value = FieldBytes> {
    let random = any::<[u8; 32]>().prop_map(|mut bytes| {
        bytes[31] &= 0x3f;
        FieldBytes::from_le_bytes(bytes).unwrap()
    });
    let mut largest = fork_types::id::FIELD_MODULUS_LE;
    largest[0] -= 1;
    prop_oneof![
        4 => random,
        1 => number64().prop_map(FieldBytes::from_u64),
        1 => Just(FieldBytes::from_le_bytes(largest).unwrap()),
    ]
}

pub fn public_key() -> impl Strategy<Value = PublicKey> {
    (field(), any::<bool>()).prop_map(|(x, is_odd)| PublicKey::new(x, is_odd))
}

pub fn vesting() -> impl Strategy<Value = Vesting> {
    (number64(), number32(), number64(), number32(), number64()).prop_map(
        |(locked, cliff, at_cliff, period, increment)| Vesting {
            initial_minimum_balance: Amount::from_nanomina(locked),
            cliff_time: SlotSinceGenesis::new(cliff),
            cliff_amount: Amount::from_nanomina(at_cliff),
            vesting_period: SlotSpan::new(period),
            vesting_increment: Amount::from_nanomina(increment),
        },
    )
}

fn timing() -> impl Strategy<Value = Timing> {
    prop_oneof![
        Just(Timing::Untimed),
        Just(Timing::Timed(Vesting::UNTIMED)),
        vesting().prop_map(Timing::Timed),
    ]
}

fn permissions() -> impl Strategy<Value = Permissions> {
    let auth = proptest::sample::select(Auth::ALL.to_vec());
    (vec(auth, 13), number32()).prop_map(|(auths, txn_version)| Permissions {
        edit_state: auths[0],
        access: auths[1],
        send: auths[2],
        receive: auths[3],
        set_delegate: auths[4],
        set_permissions: auths[5],
        set_verification_key: auths[6],
        set_verification_key_txn_version: txn_version,
        set_zkapp_uri: auths[7],
        edit_action_state: auths[8],
        set_token_symbol: auths[9],
        increment_nonce: auths[10],
        set_voting_for: auths[11],
        set_timing: auths[12],
    })
}

/// A key with the layout of a real one; its points are on no curve, which nothing here checks.
pub fn synthetic_key(fill: u8) -> Arc<VerificationKey> {
    let mut bytes = vec![fill; VERIFICATION_KEY_BYTES];
    bytes[0] = fill % 3;
    bytes[1] = fill / 3 % 3;
    bytes[450] = 0;
    bytes[1411] = 0;
    for range in [2..450, 451..1411, 1412..VERIFICATION_KEY_BYTES] {
        for coordinate in bytes[range].chunks_mut(32) {
            coordinate[31] &= 0x3f;
        }
    }
    Arc::new(VerificationKey::from_bytes(&bytes).unwrap())
}

fn zkapp(era: Era) -> impl Strategy<Value = Zkapp> {
    (
        vec(field(), era.app_state_len()),
        option::of(any::<u8>().prop_map(synthetic_key)),
        number32(),
        vec(field(), ACTION_STATE_LEN),
        number32(),
        any::<bool>(),
        vec(any::<u8>(), 0..=ZKAPP_URI_BYTES_MAX),
    )
        .prop_map(
            |(app_state, verification_key, version, actions, slot, proved_state, zkapp_uri)| {
                Zkapp {
                    app_state,
                    verification_key,
                    zkapp_version: version,
                    action_state: actions.try_into().unwrap(),
                    last_action_slot: SlotSinceGenesis::new(slot),
                    proved_state,
                    zkapp_uri,
                }
            },
        )
}

/// Any account of an era.
pub fn account(era: Era) -> impl Strategy<Value = Account> {
    let first = (
        public_key(),
        prop_oneof![Just(TokenId::DEFAULT), field().prop_map(TokenId::new)],
        vec(any::<u8>(), 0..=TOKEN_SYMBOL_BYTES_MAX),
        number64(),
        number32(),
        field(),
    );
    let second = (
        option::of(public_key()),
        field(),
        timing(),
        permissions(),
        option::of(zkapp(era)),
    );
    (first, second).prop_map(
        |(
            (public_key, token_id, symbol, balance, nonce, receipt),
            (delegate, vote, timing, permissions, zkapp),
        )| Account {
            public_key,
            token_id,
            token_symbol: TokenSymbol::new(&symbol).unwrap(),
            balance: Amount::from_nanomina(balance),
            nonce,
            receipt_chain_hash: ReceiptChainHash::new(receipt),
            delegate,
            voting_for: StateHash::new(vote),
            timing,
            permissions,
            zkapp: zkapp.map(Box::new),
        },
    )
}
