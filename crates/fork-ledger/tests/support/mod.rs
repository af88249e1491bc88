//! What the hash and Merkle tests share: reading numbers, reference accounts, vector files.
// Every test binary uses another part of this.
#![allow(dead_code)]

#[path = "../../../pasta-poseidon/tests/support/mod.rs"]
pub mod shared_files;
pub mod tables;

use fork_ledger::account::{Account, Permissions, Timing, TokenSymbol, Vesting, Zkapp};
use fork_ledger::hash::EMPTY_ACTION_STATE;
use fork_ledger::json::{AccountJson, DaemonRules, VerificationKeyCache, from_daemon_config};
use fork_ledger::packing::{element, field_bytes};
use fork_types::{
    Amount, Era, FieldBytes, LedgerHash, PublicKey, ReceiptChainHash, SlotSinceGenesis, SlotSpan,
    StateHash, TokenId,
};
use pasta_poseidon::Fp;
use serde_json::Value;

/// Public key of the genesis winner.
pub const WINNER: &str = "B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg";

/// Public key of the other reference account.
pub const Q: &str = "B62qnzbXmRNo9q32n4SNu2mpB8e7FYYLH8NmaX6oFCBYjjQ8SbD7uzV";

/// 64 hexadecimal digits of little-endian bytes.
pub fn from_hex(text: &str) -> Fp {
    let bytes: [u8; 32] = hex::decode(text).unwrap().try_into().unwrap();
    Fp::from_le_bytes(&bytes).unwrap()
}

pub fn from_decimal(text: &str) -> Fp {
    Fp::from_decimal(text).unwrap()
}

/// The decimal text of a JSON value.
pub fn decimal_of(value: &Value) -> Fp {
    from_decimal(value.as_str().unwrap())
}

/// The element of a ledger hash in base58.
pub fn from_base58(text: &str) -> Fp {
    element(text.parse::<LedgerHash>().unwrap().field())
}

/// MINA as nanomina.
pub fn mina(text: &str) -> Amount {
    text.parse().unwrap()
}

/// A plain account that delegates to itself, with the permissions of `era`.
pub fn plain_account(era: Era, public_key: &str, nanomina: u64) -> Account {
    let public_key: PublicKey = public_key.parse().unwrap();
    Account {
        public_key,
        token_id: TokenId::DEFAULT,
        token_symbol: TokenSymbol::default(),
        balance: Amount::from_nanomina(nanomina),
        nonce: 0,
        receipt_chain_hash: ReceiptChainHash::EMPTY,
        delegate: Some(public_key),
        voting_for: StateHash::DUMMY,
        timing: Timing::Untimed,
        permissions: Permissions::user_default(era.txn_version()),
        zkapp: None,
    }
}

/// The genesis winner as it is put in front of ledgers.
pub fn winner(era: Era) -> Account {
    plain_account(era, WINNER, 1000)
}

/// The vesting schedule of the timed reference account.
pub fn reference_vesting() -> Vesting {
    Vesting {
        initial_minimum_balance: mina("1000000"),
        cliff_time: SlotSinceGenesis::new(12000),
        cliff_amount: mina("500000"),
        vesting_period: SlotSpan::new(6),
        vesting_increment: mina("150"),
    }
}

/// Q with 2,000,000 MINA, delegating to the winner, timed.
pub fn timed_q(era: Era) -> Account {
    Account {
        balance: mina("2000000"),
        nonce: 5,
        delegate: Some(WINNER.parse().unwrap()),
        timing: Timing::Timed(reference_vesting()),
        ..plain_account(era, Q, 0)
    }
}

/// Z: a zkApp of Q without a key. Its permissions are Berkeley's in both eras, as a migrated
/// account keeps them.
pub fn zkapp_z(era: Era) -> Account {
    let mut app_state: Vec<FieldBytes> = (1..=8).map(FieldBytes::from_u64).collect();
    app_state.resize(era.app_state_len(), FieldBytes::ZERO);
    Account {
        balance: mina("1"),
        nonce: 1,
        token_symbol: TokenSymbol::new(b"TOK").unwrap(),
        zkapp: Some(Box::new(Zkapp {
            app_state,
            verification_key: None,
            zkapp_version: 3,
            action_state: [field_bytes(EMPTY_ACTION_STATE); 5],
            last_action_slot: SlotSinceGenesis::new(7),
            proved_state: true,
            zkapp_uri: b"https://example.com".to_vec(),
        })),
        ..plain_account(Era::Berkeley, Q, 0)
    }
}

/// A vector file of the shared directory, or `None` (and a loud line) when it is not there.
pub fn vectors(name: &str) -> Option<Value> {
    let text = shared_files::read_shared(&format!("vectors/{name}.json"))?;
    Some(serde_json::from_str(&text).unwrap())
}

/// The account of a vector, which is in the form of a daemon's configuration.
pub fn account_of(era: Era, json: &Value) -> Account {
    let text = json.to_string();
    let json: AccountJson<'_> = serde_json::from_str(&text).unwrap();
    from_daemon_config(
        &json,
        &DaemonRules::released(era),
        &VerificationKeyCache::new(),
    )
    .unwrap()
}
