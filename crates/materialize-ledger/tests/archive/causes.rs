//! Every known way an archive goes wrong, and that the message names it.

use fork_testkit::archive::{ArchiveModel, ArchiveSpec, BlockModel};
use fork_types::Era;

use crate::support::{execute, generated, have_server, rows, server, staged};

/// A block of the chain that has an orphaned sibling of the same parent, and that sibling.
fn with_sibling(model: &ArchiveModel, height: u32) -> (BlockModel, BlockModel) {
    let of_height = |orphaned| {
        let mut found = model
            .blocks
            .iter()
            .filter(|block| block.height == height && (block.status == "orphaned") == orphaned);
        *found.next().unwrap()
    };
    (of_height(false), of_height(true))
}

fn said(database: &str, block: &BlockModel, code: i32) -> String {
    let hash = block.state_hash.to_string();
    let run = staged(&server().uri(database), &["--state-hash", &hash]);
    run.fails(code, "");
    run.said()
}

#[track_caller]
fn names(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn archive(seed: u64) -> (String, ArchiveModel) {
    generated(&ArchiveSpec {
        seed,
        height: 8,
        ..ArchiveSpec::default()
    })
}

#[test]
fn a_row_of_a_sibling_block_too_much() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(61);
    let (block, sibling) = with_sibling(&model, 3);
    // An account that the sibling changed and the block did not.
    let copied = format!(
        "INSERT INTO accounts_accessed SELECT ledger_index, {}, account_identifier_id, \
           token_symbol_id, balance, nonce, receipt_chain_hash, delegate_id, voting_for_id, \
           timing_id, permissions_id, zkapp_id FROM accounts_accessed a WHERE block_id = {} \
         AND ledger_index < 40 AND NOT EXISTS (SELECT FROM accounts_accessed o WHERE \
           o.block_id = {0} AND o.account_identifier_id = a.account_identifier_id) LIMIT 1",
        block.id, sibling.id
    );
    execute(&database, &copied);
    let said = said(&database, &block, 4);
    names(
        &said,
        &[
            &format!(
                "the first wrong block of the branch is {}",
                block.state_hash
            ),
            "without the row of B62",
            &format!("it is that of its sibling {}", sibling.state_hash),
        ],
    );
}

#[test]
fn a_row_under_a_sibling_block() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(62);
    let (block, sibling) = with_sibling(&model, 3);
    let moved = format!(
        "UPDATE accounts_accessed a SET block_id = {} WHERE ctid = (SELECT ctid FROM \
         accounts_accessed a WHERE block_id = {} AND NOT EXISTS (SELECT FROM accounts_accessed o \
         WHERE o.block_id = {0} AND o.account_identifier_id = a.account_identifier_id) LIMIT 1)",
        sibling.id, block.id
    );
    execute(&database, &moved);
    let said = said(&database, &block, 4);
    names(
        &said,
        &[
            "with the row of B62",
            &format!("that its sibling {} has", sibling.state_hash),
            "the row was put under the wrong block",
        ],
    );
}

#[test]
fn a_hole_says_which_leaf_and_who_has_it() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(63);
    // The orphan of height 3 has created two accounts at leaves that the chain uses later.
    let wrong = model.blocks.iter().find(|b| b.height == 4).unwrap();
    let leaf = wrong.accounts - 1;
    execute(
        &database,
        &format!(
            "DELETE FROM accounts_accessed a USING blocks b WHERE b.id = a.block_id \
             AND b.chain_status <> 'orphaned' AND ledger_index = {leaf}"
        ),
    );
    let said = said(&database, model.blocks.last().unwrap(), 4);
    names(
        &said,
        &[
            &format!(
                "has holes: no account at 1 of {} leaves ({leaf})",
                model.blocks.last().unwrap().accounts
            ),
            &format!("leaf {leaf} has an account in"),
            "off the branch",
            &format!(
                "the first wrong block of the branch is {}",
                wrong.state_hash
            ),
        ],
    );
}

#[test]
fn two_accounts_at_a_leaf_are_named() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(64);
    let (block, sibling) = with_sibling(&model, 6);
    // A row of the sibling that is of an account only the sibling created.
    execute(
        &database,
        &format!(
            "UPDATE accounts_accessed SET block_id = {}, ledger_index = 0 WHERE block_id = {} \
             AND ledger_index = {}",
            block.id,
            sibling.id,
            sibling.accounts - 1
        ),
    );
    let said = said(&database, &block, 4);
    names(
        &said,
        &[
            "several accounts at one leaf: 0",
            "leaf 0 has",
            &format!("of block {} at height 6", block.state_hash),
        ],
    );
}

#[test]
fn rows_of_a_whole_block_that_are_lost() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(65);
    let (block, _) = with_sibling(&model, 3);
    execute(
        &database,
        &format!(
            "DELETE FROM accounts_accessed WHERE block_id = {}",
            block.id
        ),
    );
    let said = said(&database, &block, 4);
    names(
        &said,
        &[
            "1 blocks of the branch have transactions and no account rows",
            &format!("{} at height 3", block.state_hash),
            "It has 0 rows",
        ],
    );
}

#[test]
fn two_genesis_blocks() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(66);
    let other = "3NKeMoncuHab5ScarV5ViyF16cJPT4taWNSaTLS64Dp67wuXigPZ";
    execute(
        &database,
        &format!(
            "INSERT INTO blocks SELECT 1000, '{other}', parent_id, parent_hash, \
             last_vrf_output, snarked_ledger_hash_id, staking_epoch_data_id, next_epoch_data_id, total_currency, \
             ledger_hash, height, global_slot_since_hard_fork, global_slot_since_genesis, \
             protocol_version_id, \"timestamp\", 'orphaned' FROM blocks WHERE id = 1; \
             UPDATE accounts_accessed SET block_id = 1000 WHERE block_id = 1 AND ledger_index = 7"
        ),
    );
    let genesis = &model.blocks[0];
    let said = said(&database, genesis, 4);
    names(
        &said,
        &[
            "the archive has 2 genesis blocks",
            other,
            "no account at 1 of 40 leaves (7)",
            &format!("leaf 7 has an account in 1 blocks off the branch: {other}"),
            "the accounts of the genesis block",
            "populate",
        ],
    );
}

/// Blocks of Berkeley whose version says Mesa.
#[test]
fn the_wrong_era() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec {
        seed: 67,
        height: 3,
        wide: true,
        ..ArchiveSpec::default()
    });
    execute(&database, "UPDATE protocol_versions SET transaction = 4");
    let said = said(&database, model.blocks.last().unwrap(), 4);
    names(
        &said,
        &["by the rules of era berkeley the accounts have the root"],
    );
}

/// What `inspect-ledger explain` would find.
#[test]
fn known_mistakes_are_tried_on_the_wrong_ledger() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(68);
    execute(
        &database,
        "UPDATE accounts_accessed SET ledger_index = 25 - ledger_index \
         WHERE block_id = 1 AND ledger_index IN (12, 13)",
    );
    let genesis = &model.blocks[0];
    names(
        &said(&database, genesis, 4),
        &["swapped-accounts: the root of block", "(leaf 12, B62"],
    );
    execute(
        &database,
        "UPDATE accounts_accessed SET ledger_index = 25 - ledger_index \
         WHERE block_id = 1 AND ledger_index IN (12, 13); \
         UPDATE accounts_accessed SET nonce = nonce + 1 WHERE block_id = 1 AND ledger_index = 3",
    );
    names(
        &said(&database, genesis, 4),
        &["known mistakes that were tried on the ledger of block"],
    );
}

/// The list stands for the genesis; the rows above it are looked through as ever.
#[test]
fn a_wrong_block_above_genesis_accounts_from_a_list() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(69);
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("genesis.json");
    crate::support::write_list(&list, &model.genesis);
    let (block, sibling) = with_sibling(&model, 3);
    execute(
        &database,
        &format!(
            "DELETE FROM accounts_accessed WHERE block_id = 1; \
             UPDATE accounts_accessed SET balance = '1' WHERE block_id IN ({}, {})",
            block.id, sibling.id
        ),
    );
    let hash = block.state_hash.to_string();
    let uri = server().uri(&database);
    let run = staged(
        &uri,
        &[
            "--state-hash",
            &hash,
            "--genesis-accounts",
            list.to_str().unwrap(),
        ],
    );
    run.fails(4, &format!("the first wrong block of the branch is {hash}"));
}

#[test]
fn missing_blocks_are_counted() {
    if !have_server() {
        return;
    }
    let (database, model) = archive(70);
    let tip = model.blocks.last().unwrap();
    execute(&database, "DELETE FROM blocks WHERE height IN (4, 5)");
    let message = said(&database, tip, 3);
    names(&message, &["nor any other block of the heights 4 to 5"]);
    // Height 3 has an orphan.
    execute(
        &database,
        "DELETE FROM blocks WHERE height = 3 AND chain_status <> 'orphaned'",
    );
    let fourth = rows(&database, "SELECT count(*) FROM blocks WHERE height = 3");
    assert_eq!(fourth, [["1"]]);
    execute(&database, "DELETE FROM blocks WHERE height < 6");
    let message = said(&database, tip, 3);
    names(&message, &["nor any other block below"]);
    assert_eq!(Era::Berkeley.txn_version(), 3);
}
