//! What the proof accepts, and everything it must refuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod common;

use std::path::Path;

use common::{Entries, accounts, entries, log_bytes, tree, write, write_entries};
use fork_ledger::merkle::ledger_hash;
use fork_store::log::LOG_NAME;
use fork_store::{
    Key, KeyLayout, LedgerStoreWriter, Problem, StoreError, StoreErrorKind, StoreProof,
    StoreReader, entry_count, examine_store, hash_node_count, prove_store,
};
use fork_types::{Class, Era, Fault, FieldBytes, LedgerHash, TokenId};
use proptest::prelude::*;

const DEPTH: u8 = 35;

/// Writes a store of random accounts, changes its entries, and proves the changed one.
fn prove_changed(
    count: usize,
    change: impl FnOnce(&mut Entries, KeyLayout),
) -> Result<StoreProof, StoreError> {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let summary = write(&directory, Era::Mesa, DEPTH, &accounts(Era::Mesa, count, 7));
    let mut content = entries(&StoreReader::open(&directory).unwrap());
    change(&mut content, KeyLayout::new(DEPTH).unwrap());
    let changed = temporary.path().join("changed");
    write_entries(&changed, &content);
    prove_store(&changed, Era::Mesa, DEPTH, &summary.root, count as u64)
}

/// The problems of a store that is refused.
fn problems(result: Result<StoreProof, StoreError>) -> Vec<Problem> {
    let error = result.unwrap_err();
    match error.kind() {
        StoreErrorKind::Unproven { problems, .. } => problems.kept().to_vec(),
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn what_is_written_proves_itself() {
    let proof = prove_changed(100, |_, _| {}).unwrap();
    assert_eq!(proof.accounts, 100);
    assert_eq!(proof.hash_nodes, hash_node_count(100, DEPTH));
    assert_eq!(proof.entries, entry_count(100, proof.owners, DEPTH));
    assert!(proof.owners < 100, "some owners have several tokens");
}

#[test]
fn a_wrong_root_node_is_refused() {
    let found = problems(prove_changed(10, |content, layout| {
        let root = layout.bytes(&Key::Hash {
            height: DEPTH,
            index: 0,
        });
        content.insert(root, vec![1; 32]);
    }));
    assert!(matches!(&found[..], [Problem::Different { entry, .. }]
        if entry == "hash node at height 35, index 0"));
}

#[test]
fn a_wrong_account_beside_a_right_root_is_refused() {
    let error = prove_changed(10, |content, layout| {
        let account = content
            .get_mut(&layout.bytes(&Key::Account { index: 3 }))
            .unwrap();
        // The first byte of the public key: still an account, of somebody else.
        account[0] ^= 1;
    })
    .unwrap_err();
    assert_eq!(error.class(), Class::Wrong);
    let found = problems(Err(error));
    assert!(
        matches!(found[0], Problem::Root { .. }),
        "the sum of it comes first"
    );
    assert!(
        found
            .iter()
            .any(|problem| matches!(problem, Problem::Different { entry, .. }
        if entry == "hash node at height 0, index 3"))
    );
}

#[test]
fn an_unreadable_account_is_refused_by_index() {
    let error = prove_changed(10, |content, layout| {
        let account = content
            .get_mut(&layout.bytes(&Key::Account { index: 3 }))
            .unwrap();
        account.push(0);
    })
    .unwrap_err();
    assert_eq!(error.class(), Class::BadInput);
    assert!(matches!(
        problems(Err(error))[..],
        [Problem::Account { index: 3, .. }]
    ));
}

#[test]
fn missing_records_are_refused() {
    for prefix in ["$tid!", "$tids!", "$B62", "last_account_location"] {
        let found = problems(prove_changed(10, |content, _| {
            let key = content
                .keys()
                .find(|key| key[0] == 0xff && key[1..].starts_with(prefix.as_bytes()))
                .unwrap()
                .clone();
            content.remove(&key);
        }));
        assert!(
            matches!(
                found[..],
                [Problem::Missing { .. }, Problem::EntryCount { .. }]
            ),
            "{prefix}: {found:?}"
        );
    }
}

#[test]
fn changed_records_are_refused() {
    for prefix in ["$tid!", "$tids!", "$B62", "last_account_location"] {
        let found = problems(prove_changed(10, |content, _| {
            let value = content
                .iter_mut()
                .find(|(key, _)| key[0] == 0xff && key[1..].starts_with(prefix.as_bytes()))
                .map(|(_, value)| value)
                .unwrap();
            *value.last_mut().unwrap() ^= 0x20;
        }));
        assert!(
            matches!(found[..], [Problem::Different { .. }]),
            "{prefix}: {found:?}"
        );
    }
}

#[test]
fn extra_records_are_refused_wherever_they_are() {
    let layout = KeyLayout::new(DEPTH).unwrap();
    let node = |height, index| layout.bytes(&Key::Hash { height, index });
    let empty_sibling = node(0, 10);
    let owner = layout.bytes(&Key::TokenOwner {
        token_id: TokenId::new(FieldBytes::from_u64(5)),
    });
    for key in [
        empty_sibling,
        node(34, 1),
        vec![0x24, 0, 0, 0, 0, 0],
        vec![0xfd],
        vec![],
        owner,
        b"\xfffree_list".to_vec(),
        b"\xffzzz".to_vec(),
    ] {
        let found = problems(prove_changed(10, |content, _| {
            assert!(content.insert(key.clone(), vec![0; 32]).is_none());
        }));
        assert!(
            matches!(
                found[..],
                [Problem::Extra { .. }, Problem::EntryCount { .. }]
            ),
            "{key:02x?}: {found:?}"
        );
    }
}

#[test]
fn gaps_and_malformed_account_keys_are_refused() {
    let found = problems(prove_changed(10, |content, layout| {
        content.remove(&layout.bytes(&Key::Account { index: 4 }));
    }));
    assert!(matches!(
        found[..],
        [Problem::Gap {
            expected: 4,
            found: 5
        }]
    ));
    let found = problems(prove_changed(10, |content, _| {
        content.insert(vec![0xfe, 0, 0, 0, 0, 1], vec![]);
    }));
    assert!(matches!(found[..], [Problem::AccountKey { .. }]));
    let found = problems(prove_changed(10, |content, _| content.clear()));
    assert!(matches!(found[..], [Problem::NoAccounts]));
}

#[test]
fn another_ledger_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let list = accounts(Era::Mesa, 20, 9);
    let summary = write(&directory, Era::Mesa, DEPTH, &list);
    let prove =
        |era, depth, root: &LedgerHash, count| prove_store(&directory, era, depth, root, count);
    prove(Era::Mesa, DEPTH, &summary.root, 20).unwrap();
    let other = LedgerHash::new(FieldBytes::ONE);
    let found = problems(prove(Era::Mesa, DEPTH, &other, 21));
    assert!(matches!(
        found[..],
        [
            Problem::Root { .. },
            Problem::AccountCount {
                expected: 21,
                found: 20
            }
        ]
    ));
    // A list with a zkApp does not decode in another era, one without hashes differently.
    let error = prove(Era::Berkeley, DEPTH, &summary.root, 20).unwrap_err();
    assert_eq!(error.class(), Class::BadInput);
    assert!(error.hint().unwrap().contains("--era"));
    let error = prove(Era::Mesa, 10, &summary.root, 20).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Unproven { .. }));
    assert!(matches!(
        prove(Era::V1, 20, &summary.root, 20).unwrap_err().kind(),
        StoreErrorKind::Era { era: Era::V1 }
    ));
    let store = StoreReader::open(&directory).unwrap();
    let examined = examine_store(&store, Era::Mesa, DEPTH).unwrap();
    assert!(examined.problems.is_empty());
    assert_eq!(examined.content.unwrap().root, summary.root);
}

#[test]
fn the_problem_list_is_bounded() {
    let error = prove_changed(2000, |content, _| {
        content.retain(|key, _| key[0] == 0xfe);
    })
    .unwrap_err();
    let StoreErrorKind::Unproven { problems, .. } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(problems.kept().len(), fork_store::PROBLEMS_KEPT_MAX);
    assert!(problems.total() > 8000);
    assert!(error.to_string().ends_with(" more problem(s)"));
}

/// Offsets after which a record of the log is complete.
fn record_ends(log: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    for (number, block) in log.chunks(32_768).enumerate() {
        let mut offset = 0;
        while block.len() - offset >= 7 {
            let length = u16::from_le_bytes([block[offset + 4], block[offset + 5]]);
            let kind = block[offset + 6];
            offset += 7 + usize::from(length);
            if kind == 1 || kind == 4 {
                ends.push(number * 32_768 + offset);
            }
        }
    }
    ends
}

fn prove_log(log: &[u8], source: &Path, root: &LedgerHash, count: u64) -> Result<(), StoreError> {
    let temporary = tempfile::tempdir().unwrap();
    common::copy(source, temporary.path());
    std::fs::write(temporary.path().join(LOG_NAME), log).unwrap();
    prove_store(temporary.path(), Era::Mesa, DEPTH, root, count).map(|_| ())
}

#[test]
fn damaged_logs_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    let list = accounts(Era::Mesa, 1500, 3);
    let summary = write(&directory, Era::Mesa, DEPTH, &list);
    let log = log_bytes(&directory);
    let ends = record_ends(&log);
    assert_eq!(ends.last(), Some(&log.len()));
    assert!(ends.len() >= 2, "more than one batch");
    let prove = |log: &[u8]| prove_log(log, &directory, &summary.root, 1500);
    prove(&log).unwrap();
    for position in [
        0,
        4,
        6,
        7,
        20,
        5000,
        32_770,
        ends[0],
        log.len() / 2,
        log.len() - 1,
    ] {
        let mut damaged = log.clone();
        damaged[position] ^= 0x40;
        let error = prove(&damaged).unwrap_err();
        assert_eq!(error.class(), Class::BadInput, "byte {position}: {error}");
        assert!(
            error.to_string().contains('`'),
            "the path is named: {error}"
        );
    }
    for length in [log.len() - 1, log.len() / 2, ends[0] + 3, ends[0] + 20, 5] {
        assert!(prove(&log[..length]).is_err(), "cut to {length} bytes");
    }
    // Cut between two batches the log is a perfect one, only of another ledger.
    let error = prove(&log[..ends[0]]).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Unproven { .. }));
    let error = prove(&[]).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Unproven { .. }));
}

#[test]
fn the_writer_refuses_what_is_no_ledger() {
    let temporary = tempfile::tempdir().unwrap();
    let create = |name: &str| LedgerStoreWriter::create(&temporary.path().join(name), DEPTH);
    let mut list = accounts(Era::Mesa, 5, 4);
    list.push(list[1].clone());
    let mut writer = create("duplicate").unwrap();
    for account in &list {
        writer.push_account(account).unwrap();
    }
    let error = writer.finish(&tree(Era::Mesa, DEPTH, &list)).unwrap_err();
    assert!(matches!(
        error.kind(),
        StoreErrorKind::DuplicateAccount {
            first: 1,
            second: 5,
            ..
        }
    ));
    assert!(!temporary.path().join("duplicate/CURRENT").exists());

    let writer = create("empty").unwrap();
    let error = writer.finish(&tree(Era::Mesa, DEPTH, &[])).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Empty));

    for (depth, accounts) in [(DEPTH, &list[..4]), (20, &list[..5])] {
        let mut writer = create(&format!("tree{depth}")).unwrap();
        for account in &list[..5] {
            writer.push_account(account).unwrap();
        }
        let error = writer
            .finish(&tree(Era::Mesa, depth, accounts))
            .unwrap_err();
        assert!(matches!(error.kind(), StoreErrorKind::OtherTree { .. }));
    }

    std::fs::write(temporary.path().join("empty/left-over"), b"x").unwrap();
    let error = create("empty").unwrap_err();
    assert!(matches!(
        error.kind(),
        StoreErrorKind::DirectoryNotEmpty { .. }
    ));
    let error = LedgerStoreWriter::create(&temporary.path().join("deep"), 0).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Depth(_)));
    let error = StoreReader::open(temporary.path()).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::NotAStore { .. }));
    let error = StoreReader::open(&temporary.path().join("nothing")).unwrap_err();
    assert_eq!(error.class(), Class::BadInput);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn stores_of_random_accounts_prove_themselves(
        count in 1_usize..300,
        seed: u64,
        mesa: bool,
        depth in 9_u8..=40,
    ) {
        let era = if mesa { Era::Mesa } else { Era::Berkeley };
        let list = accounts(era, count, seed);
        let temporary = tempfile::tempdir().unwrap();
        let summary = write(temporary.path(), era, depth, &list);
        prop_assert_eq!(summary.root, ledger_hash(tree(era, depth, &list).root()));
        let proof =
            prove_store(temporary.path(), era, depth, &summary.root, count as u64).unwrap();
        prop_assert_eq!(proof.entries, summary.entries);
        prop_assert_eq!(proof.owners, summary.owners);
        prop_assert_eq!(proof.hash_nodes, summary.hash_nodes);
    }
}
