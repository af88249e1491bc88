//! Every block of made-up archives.

use fork_testkit::archive::ArchiveSpec;
use fork_types::Era;
use fork_types::document::{ArchiveLedgerDocument, Document};

use crate::support::{execute, generated, have_server, server, staged, write_list};

fn every_block_has_its_root(spec: &ArchiveSpec) {
    let (database, model) = generated(spec);
    let uri = server().uri(&database);
    let statuses: std::collections::BTreeSet<_> =
        model.blocks.iter().map(|block| block.status).collect();
    assert_eq!(statuses.len(), 3, "{statuses:?}");
    for block in &model.blocks {
        let run = staged(&uri, &["--state-hash", &block.state_hash.to_string()]);
        assert_eq!(run.code(), 0, "height {}: {}", block.height, run.said());
        let (document, _) = fork_fs::read_document::<ArchiveLedgerDocument>(&run.out()).unwrap();
        assert_eq!(document.root, block.ledger_hash);
        assert_eq!(document.accounts, u64::from(block.accounts));
        assert_eq!(document.block.status, block.status);
        assert_eq!(ArchiveLedgerDocument::FILE_NAME, "archive-ledger.json");
    }
}

#[test]
fn blocks_of_berkeley() {
    if have_server() {
        every_block_has_its_root(&ArchiveSpec::default());
    }
}

#[test]
fn blocks_of_mesa() {
    if have_server() {
        every_block_has_its_root(&ArchiveSpec {
            era: Era::Mesa,
            seed: 2,
            ..ArchiveSpec::default()
        });
    }
}

/// After the tables were widened and before the fork.
#[test]
fn blocks_of_berkeley_in_tables_of_mesa() {
    if have_server() {
        every_block_has_its_root(&ArchiveSpec {
            wide: true,
            seed: 3,
            height: 12,
            ..ArchiveSpec::default()
        });
    }
}

/// Accounts before the fork are at other leaves, and the walk stops above them.
#[test]
fn blocks_after_a_fork() {
    if have_server() {
        every_block_has_its_root(&ArchiveSpec {
            seed: 4,
            height: 18,
            genesis_height: 5,
            ..ArchiveSpec::default()
        });
    }
}

/// Without genesis rows nothing is guessed; with the list, everything is as before, and another list
/// is refused.
#[test]
fn genesis_accounts_from_a_list() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec::default());
    let uri = server().uri(&database);
    execute(
        &database,
        "DELETE FROM accounts_accessed WHERE block_id = 1",
    );
    let tip = model.blocks.last().unwrap();
    let hash = tip.state_hash.to_string();
    staged(&uri, &["--state-hash", &hash]).fails(3, "no accounts of the genesis block");

    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("genesis.json");
    write_list(&list, &model.genesis);
    let arguments = [
        "--state-hash",
        &hash,
        "--genesis-accounts",
        list.to_str().unwrap(),
    ];
    let run = staged(&uri, &arguments);
    assert_eq!(run.code(), 0, "{}", run.said());
    let (document, _) = fork_fs::read_document::<ArchiveLedgerDocument>(&run.out()).unwrap();
    assert_eq!(document.root, tip.ledger_hash);
    assert!(document.accounts_from_list > 0);

    write_list(&list, &model.genesis[..model.genesis.len() - 1]);
    staged(&uri, &arguments).fails(4, "the genesis block");
}

/// As an epoch ledger is looked for.
#[test]
fn ledgers_by_their_root() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec {
        seed: 5,
        height: 6,
        ..ArchiveSpec::default()
    });
    let uri = server().uri(&database);
    let block = model.blocks.iter().find(|block| block.height == 4).unwrap();
    let run = staged(&uri, &["--ledger-hash", &block.ledger_hash.to_string()]);
    assert_eq!(run.code(), 0, "{}", run.said());
    let (document, _) = fork_fs::read_document::<ArchiveLedgerDocument>(&run.out()).unwrap();
    assert_eq!(document.root, block.ledger_hash);
    assert_eq!(document.block.state_hash, block.state_hash);
    let other = "jx7buQVWFLsXTtzRgSxbYcT8EYLS8KCZbLrfDcJxMtyy4thw2Ee";
    staged(&uri, &["--ledger-hash", other]).fails(3, "has no block with the staged ledger");
}
