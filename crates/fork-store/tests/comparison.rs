//! Differences between stores and between accounts, and how errors read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod common;

use common::{accounts, write};
use fork_ledger::account::Account;
use fork_store::{
    StoreError, StoreErrorKind, StoreReader, account_differences, compare_stores, prove_store,
};
use fork_types::{Amount, Era, Fault, LedgerHash};

const DEPTH: u8 = 35;

fn store(list: &[Account]) -> (tempfile::TempDir, StoreReader) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    write(&directory, Era::Mesa, DEPTH, list);
    let reader = StoreReader::open(&directory).unwrap();
    (temporary, reader)
}

#[test]
fn one_changed_account() {
    let list = accounts(Era::Mesa, 50, 11);
    let mut changed = list.clone();
    changed[7].balance = Amount::from_nanomina(5_000_000_000);
    changed[7].delegate = None;
    changed[7].permissions.set_timing = fork_ledger::account::Auth::Impossible;
    let (_left, left) = store(&list);
    let (_right, right) = store(&changed);
    let same = compare_stores((&left, Era::Mesa), (&left, Era::Mesa), DEPTH, 5).unwrap();
    assert!(same.is_equal());
    assert_eq!(same.left_entries, same.right_entries);
    let found = compare_stores((&left, Era::Mesa), (&right, Era::Mesa), DEPTH, 5).unwrap();
    assert!(!found.is_equal());
    assert_eq!(found.changed, 1 + 36, "the account and the nodes above it");
    assert_eq!((found.only_left, found.only_right), (0, 0));
    assert_eq!(
        found.differences.len(),
        5 + 1,
        "five hash nodes, one account"
    );
    let account = found.differences.last().unwrap();
    assert_eq!(account.entry, "account 7");
    let fields: Vec<&str> = account.fields.iter().map(|field| &*field.field).collect();
    assert!(fields.starts_with(&["balance"]), "{fields:?}");
    assert_eq!(fields.last(), Some(&"permissions.set_timing"));
    assert_eq!(account.fields[0].right, "5");
    assert_eq!(
        account.fields.last().unwrap().to_string(),
        "permissions.set_timing: signature -> impossible"
    );
}

#[test]
fn accounts_only_one_side_has() {
    let list = accounts(Era::Mesa, 6, 12);
    let (_left, left) = store(&list);
    let (_right, right) = store(&list[..5]);
    let found = compare_stores((&left, Era::Mesa), (&right, Era::Mesa), DEPTH, 100).unwrap();
    assert_eq!(found.only_right, 0);
    assert!(found.only_left >= 4, "leaf, account, location, token owner");
    let account = found
        .differences
        .iter()
        .find(|difference| difference.entry == "account 5")
        .unwrap();
    assert!(account.left.is_some() && account.right.is_none() && account.fields.is_empty());
}

#[test]
fn parts_that_only_one_account_has_are_shown_as_absent() {
    let list = accounts(Era::Mesa, 200, 13);
    let zkapp = list.iter().find(|account| account.zkapp.is_some()).unwrap();
    let mut plain = zkapp.clone();
    plain.zkapp = None;
    let found = account_differences(zkapp, &plain);
    assert_eq!(found[0].to_string(), "zkapp: present -> none");
    // 32 of state, 5 of actions, key, version, slot, proved, URI.
    assert_eq!(found.len(), 1 + 32 + 5 + 5);
    assert!(found[1..].iter().all(|field| field.right == "absent"));
    assert!(account_differences(zkapp, zkapp).is_empty());
}

/// Messages of an error and its causes.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    messages.extend(error.source().map(chain).unwrap_or_default());
    messages
}

#[test]
fn errors_name_the_path_and_say_a_cause_once() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let list = accounts(Era::Mesa, 50, 1);
    write(&directory, Era::Mesa, DEPTH, &list);
    let mut log = common::log_bytes(&directory);
    log[100] ^= 1;
    std::fs::write(directory.join(fork_store::log::LOG_NAME), log).unwrap();
    let error = StoreReader::open(&directory).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::RocksDb { .. }));
    let messages = chain(&error);
    assert!(
        messages[0].contains(directory.to_str().unwrap()),
        "{messages:?}"
    );
    for pair in messages.windows(2) {
        assert!(!pair[0].contains(&pair[1]), "{messages:?}");
    }
    assert!(error.hint().unwrap().contains("cut short"));
    assert!(messages.iter().all(|message| !message.ends_with('.')));
    assert_eq!(size_of::<StoreError>(), size_of::<usize>());
}

#[test]
fn a_refusal_reads_like_this() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let winner = common::winner(Era::Mesa);
    write(&directory, Era::Mesa, DEPTH, &[winner]);
    let wanted: LedgerHash = "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982"
        .parse()
        .unwrap();
    let error = prove_store(&directory, Era::Mesa, DEPTH, &wanted, 2).unwrap_err();
    assert_eq!(
        error
            .to_string()
            .replace(directory.to_str().unwrap(), "DIR"),
        "ledger store `DIR` is wrong: the accounts hash to \
         jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC, expected \
         jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982; 1 accounts, expected 2"
    );
    assert_eq!(error.class().exit_code(), 4);
}
