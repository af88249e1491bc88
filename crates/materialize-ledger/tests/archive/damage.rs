//! Rows that are lost, changed or doubled.

use fork_testkit::archive::ArchiveSpec;
use fork_types::Era;

use crate::support::{
    create, drop_database, execute, fresh, generated, have_server, rows, server, staged,
};

/// Rows of each kind of damage that are tried on the worker; `every_row` tries all on its library.
const SAMPLES: usize = 1;

/// Each damaged row is noticed at its own block, and nothing is left.
#[test]
fn account_rows() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec {
        era: Era::Mesa,
        seed: 11,
        ..ArchiveSpec::default()
    });
    let all = rows(
        &database,
        "SELECT block_id, account_identifier_id FROM accounts_accessed \
                               ORDER BY md5(block_id || '/' || account_identifier_id)",
    );
    let damages = [
        "DELETE FROM accounts_accessed WHERE {row}",
        "UPDATE accounts_accessed SET balance = balance::numeric + 1 WHERE {row}",
        "UPDATE accounts_accessed SET nonce = (nonce + 1) % 4294967296 WHERE {row}",
        "UPDATE accounts_accessed SET ledger_index = ledger_index + 1 WHERE {row}",
        "ALTER TABLE accounts_accessed DROP CONSTRAINT one_row_per_account; \
         INSERT INTO accounts_accessed SELECT * FROM accounts_accessed WHERE {row}",
    ];
    for (number, damage) in damages.iter().enumerate() {
        for sample in all.iter().skip(number * SAMPLES).take(SAMPLES) {
            let row = format!(
                "block_id = {} AND account_identifier_id = {}",
                sample[0], sample[1]
            );
            let copy = fresh("damaged");
            create(&copy, &database);
            execute(&copy, &damage.replace("{row}", &row));
            let block = model
                .blocks
                .iter()
                .find(|block| block.id.to_string() == sample[0]);
            let hash = block.unwrap().state_hash.to_string();
            let run = staged(&server().uri(&copy), &["--state-hash", &hash]);
            assert_eq!(run.code(), 4, "{damage} {row}: {}", run.said());
            run.fails(4, "");
            drop_database(&copy);
        }
    }
}

/// The tables that account rows point to.
#[test]
fn rows_that_accounts_point_to() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec {
        seed: 12,
        height: 6,
        ..ArchiveSpec::default()
    });
    let hash = model.blocks[0].state_hash.to_string();
    let genesis = "FROM accounts_accessed a WHERE a.block_id = 1 AND a.";
    let zkapp = "FROM zkapp_accounts WHERE id = (SELECT min(zkapp_id) \
                 FROM accounts_accessed WHERE block_id = 1)";
    for (table, id) in [
        (
            "public_keys",
            format!("SELECT max(delegate_id) {genesis}delegate_id > 0"),
        ),
        (
            "voting_for",
            format!("SELECT max(voting_for_id) {genesis}voting_for_id > 0"),
        ),
        (
            "timing_info",
            format!("SELECT max(timing_id) {genesis}timing_id > 0"),
        ),
        (
            "token_symbols",
            format!("SELECT max(token_symbol_id) {genesis}token_symbol_id > 0"),
        ),
        (
            "account_identifiers",
            format!("SELECT max(account_identifier_id) {genesis}balance <> ''"),
        ),
        (
            "zkapp_permissions",
            format!("SELECT max(permissions_id) {genesis}permissions_id > 0"),
        ),
        (
            "zkapp_accounts",
            format!("SELECT max(zkapp_id) {genesis}zkapp_id > 0"),
        ),
        ("zkapp_states", format!("SELECT app_state_id {zkapp}")),
        (
            "zkapp_action_states",
            format!("SELECT action_state_id {zkapp}"),
        ),
        ("zkapp_uris", format!("SELECT zkapp_uri_id {zkapp}")),
    ] {
        let copy = fresh("dangling");
        create(&copy, &database);
        execute(&copy, &format!("DELETE FROM {table} WHERE id = ({id})"));
        let run = staged(&server().uri(&copy), &["--state-hash", &hash]);
        run.fails(4, "which does not exist");
        drop_database(&copy);
    }
}

/// The message names the block whose rows are wrong, from any block above it.
#[test]
fn the_first_wrong_block_is_named() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec {
        seed: 13,
        ..ArchiveSpec::default()
    });
    let on_chain: Vec<_> = model
        .blocks
        .iter()
        .filter(|block| block.status != "orphaned")
        .collect();
    let wrong = on_chain.iter().find(|block| block.height == 8).unwrap();
    // The account that the block created: the next one does not touch it.
    execute(
        &database,
        &format!(
            "UPDATE accounts_accessed SET balance = balance::numeric + 1 \
             WHERE block_id = {} AND ledger_index = {}",
            wrong.id,
            wrong.accounts - 1
        ),
    );
    let above = on_chain.iter().find(|block| block.height == 9).unwrap();
    let run = staged(
        &server().uri(&database),
        &["--state-hash", &above.state_hash.to_string()],
    );
    run.fails(
        4,
        &format!(
            "the first wrong block of the branch is {}",
            wrong.state_hash
        ),
    );
}

#[test]
fn branches_that_do_not_reach_a_genesis() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec {
        seed: 14,
        height: 10,
        ..ArchiveSpec::default()
    });
    let tip = model.blocks.last().unwrap().state_hash.to_string();
    let middle = model
        .blocks
        .iter()
        .find(|block| block.height == 5)
        .unwrap()
        .id;
    for (damage, code, part) in [
        (
            "UPDATE blocks SET parent_id = NULL WHERE id = {}",
            3,
            "does not point to its parent",
        ),
        (
            "DELETE FROM blocks WHERE id = {}",
            3,
            "which the archive does not have",
        ),
        (
            "UPDATE blocks SET parent_id = 1 WHERE id = {}",
            4,
            "another block than its parent",
        ),
        (
            "UPDATE blocks SET protocol_version_id = 9 WHERE id = {}",
            4,
            "version changes",
        ),
    ] {
        let copy = fresh("broken");
        create(&copy, &database);
        execute(&copy, &damage.replace("{}", &middle.to_string()));
        staged(&server().uri(&copy), &["--state-hash", &tip]).fails(code, part);
        drop_database(&copy);
    }
}
