//! Stores that must come out exactly as specified.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod common;

use common::{log_bytes, shared, snapshot, winner, write};
use fork_store::log::{CURRENT_BYTES, CURRENT_NAME, LOG_NAME, MANIFEST_BYTES, MANIFEST_NAME};
use fork_store::{
    StoreReader, compare::stored_root, prove_store, restore_scan, tarball_name, write_scan,
    write_tarball,
};
use fork_types::Era;

/// Bytes of a log with one batch of the 41 entries, as RocksDB 5.17.2 and 11.8.1 write it.
const ONE_ACCOUNT_LOG_BYTES: u64 = 2091;

fn scan(store: &StoreReader) -> String {
    let mut text = Vec::new();
    write_scan(store, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn one_account_stores_equal_their_dumps() {
    let Some(shared) = shared("one_account_stores_equal_their_dumps") else {
        return;
    };
    let cases = [
        (
            Era::Berkeley,
            "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982",
            "genesis_ledger_3d1c6401893c5684eae0ebfae6ee17e1a7f51a269f1c791f1b07fa5e993c6d1d.tar.gz",
        ),
        (
            Era::Mesa,
            "jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC",
            "genesis_ledger_28daf095d0bf019f87ac878ba5b6a31e00f6e877f1bca635189e00205e22b788.tar.gz",
        ),
    ];
    for (era, root, tarball) in cases {
        let dump = shared.join(format!("spec/vectors/one_account_depth35_{era}.dump"));
        let expected = std::fs::read_to_string(dump).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("store");
        let summary = write(&directory, era, 35, &[winner(era)]);
        assert_eq!(summary.root.to_string(), root);
        assert_eq!((summary.accounts, summary.owners), (1, 1));
        assert_eq!((summary.hash_nodes, summary.entries), (36, 41));
        assert_eq!(summary.log_bytes, ONE_ACCOUNT_LOG_BYTES);
        assert_eq!(tarball_name("genesis_ledger", &summary.root, era), tarball);

        let store = StoreReader::open(&directory).unwrap();
        assert_eq!(scan(&store), expected);
        assert_eq!(stored_root(&store, 35).unwrap(), Some(summary.root));
        let proof = prove_store(&directory, era, 35, &summary.root, 1).unwrap();
        assert_eq!(proof.entries, 41);

        let restored = temporary.path().join("restored");
        assert_eq!(restore_scan(expected.as_bytes(), &restored).unwrap(), 41);
        assert_eq!(log_bytes(&restored).len() as u64, ONE_ACCOUNT_LOG_BYTES);
        assert_eq!(scan(&StoreReader::open(&restored).unwrap()), expected);
        let again = prove_store(&restored, era, 35, &summary.root, 1).unwrap();
        assert_eq!(again, proof, "the digest does not depend on the log");
    }
}

/// A failure means that tarballs of the same ledgers get other bytes. That is allowed between
/// releases, never within one.
#[test]
fn the_tarball_of_the_winner_has_pinned_bytes() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("store");
    write(&directory, Era::Mesa, 35, &[winner(Era::Mesa)]);
    let target = temporary.path().join("ledger.tar.gz");
    let written = write_tarball(&directory, &target).unwrap();
    assert_eq!(
        written.s3_data_hash,
        "a2f47fec26f3c41d6f78278a0c43e57bc8a2cd0d143e60a399debbb9614c3917"
    );
}

#[test]
fn a_store_is_three_files_and_its_writing_is_deterministic() {
    let temporary = tempfile::tempdir().unwrap();
    let accounts = common::accounts(Era::Mesa, 500, 1);
    let build = |name: &str| {
        let directory = temporary.path().join(name);
        write(&directory, Era::Mesa, 35, &accounts);
        snapshot(&directory)
    };
    let first = build("first");
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        [LOG_NAME, CURRENT_NAME, MANIFEST_NAME]
    );
    assert_eq!(first[CURRENT_NAME], CURRENT_BYTES);
    assert_eq!(first[MANIFEST_NAME], MANIFEST_BYTES);
    assert_eq!(first, build("second"));
}
