//! Accounts in the store: every member, one at a time. First with nothing else changed, which nodes and
//! header betray; then with the whole ledger, tarball and config made again, so that only the candidate
//! tells.

use std::sync::Arc;

use fork_ledger::account::{Account, Auth, Permissions, Timing, TokenSymbol, Vesting, Zkapp};
use fork_ledger::verification_key::VerificationKey;
use fork_types::{
    Amount, FieldBytes, PublicKey, ReceiptChainHash, SlotSinceGenesis, StateHash, TokenId,
};

use crate::case::{Case, Row, Series};

fn any(_: &Account) -> bool {
    true
}

fn has_key(account: &Account) -> bool {
    account
        .zkapp
        .as_ref()
        .is_some_and(|zkapp| zkapp.verification_key.is_some())
}

fn is_timed(account: &Account) -> bool {
    matches!(account.timing, Timing::Timed(vesting) if vesting != Vesting::UNTIMED)
}

fn zkapp(account: &mut Account) -> &mut Zkapp {
    account.zkapp.as_deref_mut().unwrap()
}

/// The same verification key for proofs of another number of predecessors.
fn other_key(account: &mut Account) {
    let key = zkapp(account).verification_key.as_mut().unwrap();
    let mut bytes = *key.as_bytes();
    bytes[0] = (bytes[0] + 1) % 3;
    *key = Arc::new(VerificationKey::from_bytes(&bytes).unwrap());
}

fn other(auth: &mut Auth) {
    *auth = if *auth == Auth::Impossible {
        Auth::None
    } else {
        Auth::Impossible
    };
}

fn permission(permissions: &mut Permissions, name: &str) {
    let auth = match name {
        "edit_state" => &mut permissions.edit_state,
        "access" => &mut permissions.access,
        "send" => &mut permissions.send,
        "receive" => &mut permissions.receive,
        "set_delegate" => &mut permissions.set_delegate,
        "set_permissions" => &mut permissions.set_permissions,
        "set_verification_key" => &mut permissions.set_verification_key,
        "set_zkapp_uri" => &mut permissions.set_zkapp_uri,
        "edit_action_state" => &mut permissions.edit_action_state,
        "set_token_symbol" => &mut permissions.set_token_symbol,
        "increment_nonce" => &mut permissions.increment_nonce,
        "set_voting_for" => &mut permissions.set_voting_for,
        "set_timing" => &mut permissions.set_timing,
        _ => panic!("{name}"),
    };
    other(auth);
}

/// Changes a member that is neither balance nor identity.
fn change(account: &mut Account, name: &str) {
    let field = FieldBytes::from_u64(424_242);
    match name {
        "token_symbol" => account.token_symbol = TokenSymbol::new(b"X").unwrap(),
        "nonce" => account.nonce ^= 1,
        "receipt_chain_hash" => account.receipt_chain_hash = ReceiptChainHash::new(field),
        "delegate" => {
            account.delegate = match account.delegate {
                Some(_) => None,
                None => Some(account.public_key),
            }
        }
        "voting_for" => account.voting_for = StateHash::new(field),
        "timing" => {
            account.timing = Timing::Timed(Vesting {
                cliff_time: SlotSinceGenesis::new(1),
                ..Vesting::UNTIMED
            })
        }
        "txn_version" => account.permissions.set_verification_key_txn_version ^= 1,
        _ => permission(&mut account.permissions, name),
    }
}

/// Changes a member of the zkApp.
fn change_zkapp(account: &mut Account, name: &str) {
    let zkapp = zkapp(account);
    let field = FieldBytes::from_u64(424_242);
    let (name, index) = name.split_once(' ').unwrap_or((name, "0"));
    let index: usize = index.parse().unwrap();
    match name {
        "app_state" => zkapp.app_state[index] = field,
        "action_state" => zkapp.action_state[index] = field,
        "zkapp_version" => zkapp.zkapp_version ^= 1,
        "last_action_slot" => zkapp.last_action_slot = SlotSinceGenesis::new(1),
        "proved_state" => zkapp.proved_state = !zkapp.proved_state,
        "zkapp_uri" => zkapp.zkapp_uri.push(b'x'),
        "no verification_key" => zkapp.verification_key = None,
        _ => panic!("{name}"),
    }
}

fn change_vesting(account: &mut Account, name: &str) {
    let Timing::Timed(vesting) = &mut account.timing else {
        panic!("untimed")
    };
    match name {
        "initial_minimum_balance" => vesting.initial_minimum_balance = Amount::from_nanomina(7),
        "cliff_time" => vesting.cliff_time = SlotSinceGenesis::new(7),
        "cliff_amount" => vesting.cliff_amount = Amount::from_nanomina(7),
        "vesting_period" => vesting.vesting_period = fork_types::SlotSpan::new(7),
        "vesting_increment" => vesting.vesting_increment = Amount::from_nanomina(7),
        _ => panic!("{name}"),
    }
}

const MEMBERS: &[&str] = &[
    "token_symbol",
    "nonce",
    "receipt_chain_hash",
    "delegate",
    "voting_for",
    "timing",
    "txn_version",
    "edit_state",
    "access",
    "send",
    "receive",
    "set_delegate",
    "set_permissions",
    "set_verification_key",
    "set_zkapp_uri",
    "edit_action_state",
    "set_token_symbol",
    "increment_nonce",
    "set_voting_for",
    "set_timing",
];
const ZKAPP_MEMBERS: &[&str] = &[
    "app_state 0",
    "app_state 1",
    "app_state 2",
    "app_state 3",
    "app_state 4",
    "app_state 5",
    "app_state 6",
    "app_state 7",
    "app_state 8",
    "app_state 9",
    "app_state 10",
    "app_state 11",
    "app_state 12",
    "app_state 13",
    "app_state 14",
    "app_state 15",
    "app_state 16",
    "app_state 17",
    "app_state 18",
    "app_state 19",
    "app_state 20",
    "app_state 21",
    "app_state 22",
    "app_state 23",
    "app_state 24",
    "app_state 25",
    "app_state 26",
    "app_state 27",
    "app_state 28",
    "app_state 29",
    "app_state 30",
    "app_state 31",
    "action_state 0",
    "action_state 1",
    "action_state 2",
    "action_state 3",
    "action_state 4",
    "zkapp_version",
    "last_action_slot",
    "proved_state",
    "zkapp_uri",
];
const VESTING_MEMBERS: &[&str] = &[
    "initial_minimum_balance",
    "cliff_time",
    "cliff_amount",
    "vesting_period",
    "vesting_increment",
];

/// What tells when everything but the candidate agrees.
const FORGED: &[&str] = &["migration.genesis.accounts", "migration.genesis.root"];

fn forge(case: &mut Case<'_>, wanted: fn(&Account) -> bool, change: impl FnOnce(&mut Account)) {
    case.forge(|accounts| {
        let account = accounts.iter_mut().find(|account| wanted(account)).unwrap();
        change(account);
    });
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "account: balance", mutate: |case| case.stored(any, |account| account.balance = Amount::from_nanomina(1)),
        failed: &["+", "supply.genesis"] },
    Row { name: "account: public key", mutate: |case| case.stored(any, |account| account.public_key = PublicKey::EMPTY),
        failed: &["+", "store.genesis.records"] },
    Row { name: "account: token", mutate: |case| case.stored(any, |account| account.token_id = TokenId::new(FieldBytes::from_u64(5))),
        failed: &["+", "store.genesis.records", "supply.genesis"] },
    Row { name: "account: zkApp removed", mutate: |case| case.stored(has_key, |account| account.zkapp = None),
        failed: &["+"] },
    Row { name: "account: verification key removed", mutate: |case| case.stored(has_key, |account| zkapp(account).verification_key = None),
        failed: &["+"] },
    Row { name: "account: verification key of another zkApp", mutate: |case| case.stored(has_key, other_key),
        failed: &["+"] },
    Row { name: "forged: balance", mutate: |case| forge(case, any, |account| account.balance = Amount::from_nanomina(1)),
        failed: &["+forged", "supply.genesis"] },
    Row { name: "forged: currency moved to another account", mutate: |case| case.forge(|accounts| { let (a, b) = (accounts[0].balance, accounts[1].balance); accounts[0].balance = b; accounts[1].balance = a; }),
        failed: &["+forged"] },
    Row { name: "forged: another owner", mutate: |case| forge(case, any, |account| account.public_key = PublicKey::EMPTY),
        failed: &["+forged"] },
    Row { name: "forged: order", mutate: |case| case.forge(|accounts| accounts.swap(3, 4)),
        failed: &["+forged"] },
    Row { name: "forged: account missing", mutate: |case| case.forge(|accounts| { accounts.remove(7); }),
        failed: &["+forged", "supply.genesis"] },
    Row { name: "forged: account more", mutate: |case| case.forge(|accounts| { let mut more = accounts[0].clone(); more.public_key = PublicKey::EMPTY; accounts.push(more); }),
        failed: &["+forged", "supply.genesis"] },
    // It hashes as an unused leaf does, so that no root tells.
    Row { name: "forged: empty account more", mutate: |case| case.forge(|accounts| accounts.push(Account::empty(fork_types::Era::Mesa))),
        failed: &["migration.genesis.accounts"] },
    Row { name: "forged: zkApp removed", mutate: |case| forge(case, has_key, |account| account.zkapp = None),
        failed: FORGED },
    Row { name: "forged: verification key", mutate: |case| forge(case, has_key, other_key),
        failed: FORGED },
];

#[rustfmt::skip]
pub const SERIES: &[Series] = &[
    Series { name: "account", items: MEMBERS, mutate: |case, name| case.stored(any, |account| change(account, name)),
        failed: &["+"] },
    Series { name: "account: zkApp", items: ZKAPP_MEMBERS, mutate: |case, name| case.stored(has_key, |account| change_zkapp(account, name)),
        failed: &["+"] },
    Series { name: "account: vesting", items: VESTING_MEMBERS, mutate: |case, name| case.stored(is_timed, |account| change_vesting(account, name)),
        failed: &["+"] },
    Series { name: "forged", items: MEMBERS, mutate: |case, name| forge(case, any, |account| change(account, name)),
        failed: FORGED },
    Series { name: "forged: zkApp", items: ZKAPP_MEMBERS, mutate: |case, name| forge(case, has_key, |account| change_zkapp(account, name)),
        failed: FORGED },
    Series { name: "forged: vesting", items: VESTING_MEMBERS, mutate: |case, name| forge(case, is_timed, |account| change_vesting(account, name)),
        failed: FORGED },
];

/// Names for the table.
pub const OTHER: &[&str] = FORGED;
