//! SQL for archives without genesis rows, run by psql.

use std::path::Path;
use std::process::{Command, Output};

use fork_testkit::archive::{ArchiveModel, ArchiveSpec};
use fork_types::Era;

use crate::support::{
    Run, create, execute, fresh, generated, have_server, load_dump, reference_dumps, rows, server,
    staged, write_list,
};

/// The tables that accounts are in.
const TABLES: [&str; 15] = [
    "accounts_accessed",
    "account_identifiers",
    "public_keys",
    "tokens",
    "token_symbols",
    "voting_for",
    "timing_info",
    "zkapp_permissions",
    "zkapp_accounts",
    "zkapp_states",
    "zkapp_action_states",
    "zkapp_field",
    "zkapp_uris",
    "zkapp_verification_keys",
    "zkapp_verification_key_hashes",
];

/// Made-up archives state their ids; real ones have counted them.
const COUNTED: &str = "\
    DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['account_identifiers', 'public_keys', \
      'tokens', 'token_symbols', 'voting_for', 'timing_info', 'zkapp_permissions', \
      'zkapp_accounts', 'zkapp_states', 'zkapp_action_states', 'zkapp_field', 'zkapp_uris', \
      'zkapp_verification_keys', 'zkapp_verification_key_hashes'] \
    LOOP EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, ''id''), \
      coalesce(max(id), 0) + 1, false) FROM %I', t, t); END LOOP; END $$";

fn populate(list: &Path, hash: &str, root: &str, arguments: &[&str]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_materialize-ledger"))
        .args(["populate", "--format", "json", "--genesis-accounts"])
        .arg(list)
        .args(["--state-hash", hash, "--ledger-hash", root])
        .arg("--output")
        .arg(directory.path().join("out"))
        .args(arguments)
        .output()
        .unwrap();
    Run { directory, output }
}

fn psql(database: &str, file: &Path) -> Output {
    Command::new("psql")
        .args(["--no-psqlrc", "-q", "-U", "postgres", "-d", database, "-h"])
        .arg(server().directory())
        .arg("-f")
        .arg(file)
        .output()
        .unwrap()
}

#[track_caller]
fn runs(database: &str, file: &Path) {
    let output = psql(database, file);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Refused with this message, and nothing is changed.
#[track_caller]
fn is_refused(database: &str, file: &Path, part: &str) {
    let before = content(database);
    let output = psql(database, file);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(part), "{said}");
    assert_eq!(content(database), before);
}

/// What is in the tables, and where their counters are.
fn content(database: &str) -> Vec<Vec<String>> {
    let tables = TABLES.iter().flat_map(|table| {
        let sql = format!(
            "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)), count(*) FROM {table} t"
        );
        rows(database, &sql)
    });
    let counters = rows(
        database,
        "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1",
    );
    tables.chain(counters).collect()
}

fn made(spec: &ArchiveSpec) -> (String, ArchiveModel, tempfile::TempDir) {
    let (database, model) = generated(spec);
    let directory = tempfile::tempdir().unwrap();
    write_list(&directory.path().join("list.json"), &model.genesis);
    (database, model, directory)
}

fn proves(database: &str, hash: &str) -> Vec<u8> {
    let run = staged(&server().uri(database), &["--state-hash", hash]);
    assert_eq!(run.code(), 0, "{}", run.said());
    std::fs::read(run.out().join("staged_ledger.json")).unwrap()
}

fn populates(spec: &ArchiveSpec, era: &str, schema: &[&str]) {
    let (database, model, directory) = made(spec);
    let list = directory.path().join("list.json");
    let genesis = &model.blocks[0];
    let (hash, root) = (
        genesis.state_hash.to_string(),
        genesis.ledger_hash.to_string(),
    );
    let tip = model.blocks.last().unwrap().state_hash.to_string();
    let before = (proves(&database, &hash), proves(&database, &tip));
    let mut arguments = vec!["--era", era];
    arguments.extend(schema);
    let run = populate(&list, &hash, &root, &arguments);
    assert_eq!(run.code(), 0, "{}", run.said());
    let again = populate(&list, &hash, &root, &arguments);
    let file = run.out().join("populate.sql");
    let text = std::fs::read(&file).unwrap();
    assert_eq!(
        text,
        std::fs::read(again.out().join("populate.sql")).unwrap()
    );

    // On a whole archive there is nothing to do but what both forms of an account without a schedule
    // ask for: made-up archives have both, and the rows stay.
    execute(&database, COUNTED);
    execute(
        &database,
        &format!(
            "DELETE FROM accounts_accessed WHERE block_id = {}",
            genesis.id
        ),
    );
    staged(&server().uri(&database), &["--state-hash", &tip])
        .fails(3, "no accounts of the genesis");
    runs(&database, &file);
    assert_eq!((proves(&database, &hash), proves(&database, &tip)), before);
    let after = content(&database);
    runs(&database, &file);
    assert_eq!(content(&database), after, "the second run changes nothing");

    // The same when the archive has not one of the values.
    execute(
        &database,
        &format!(
            "DELETE FROM blocks WHERE id <> {}; TRUNCATE {}; {COUNTED}",
            genesis.id,
            TABLES.join(", ")
        ),
    );
    runs(&database, &file);
    assert_eq!(proves(&database, &hash), before.0);

    // Rows of others in the block.
    let other = "UPDATE accounts_accessed SET balance = '5' WHERE ledger_index = 3";
    execute(&database, other);
    is_refused(&database, &file, "has other values in 1 of its rows");
    execute(
        &database,
        "UPDATE accounts_accessed SET account_identifier_id = 5000 WHERE ledger_index = 3",
    );
    is_refused(&database, &file, "has rows of others");
    execute(&database, "TRUNCATE accounts_accessed");
    execute(&database, "UPDATE protocol_versions SET transaction = 9");
    is_refused(&database, &file, "has transaction version 9");
    execute(
        &database,
        &format!("UPDATE blocks SET ledger_hash = '{tip}'"),
    );
    is_refused(&database, &file, "has the ledger");
    execute(&database, "DELETE FROM blocks");
    is_refused(&database, &file, "does not have the block");
    execute(&database, "ALTER TABLE zkapp_states DROP element3");
    is_refused(&database, &file, "are not of the schema");
}

#[test]
fn an_archive_of_berkeley() {
    if have_server() {
        let spec = ArchiveSpec {
            seed: 91,
            height: 6,
            ..ArchiveSpec::default()
        };
        populates(&spec, "berkeley", &[]);
    }
}

#[test]
fn an_archive_of_mesa() {
    if have_server() {
        let spec = ArchiveSpec {
            seed: 92,
            height: 6,
            era: Era::Mesa,
            genesis_height: 3,
            ..ArchiveSpec::default()
        };
        populates(&spec, "mesa", &[]);
    }
}

#[test]
fn an_archive_of_berkeley_in_tables_of_mesa() {
    if have_server() {
        let spec = ArchiveSpec {
            seed: 93,
            height: 6,
            wide: true,
            ..ArchiveSpec::default()
        };
        populates(&spec, "berkeley", &["--schema", "mesa"]);
    }
}

/// With all constraints and foreign keys of the real tables.
#[test]
fn archives_of_real_networks() {
    let Some(dumps) = reference_dumps().filter(|_| have_server()) else {
        return;
    };
    for (file, era) in [
        ("archive-berkeley-2024-11-06.sql", "berkeley"),
        ("archive-mesa-2025-11-23.sql", "mesa"),
    ] {
        let database = fresh("real");
        create(&database, "template0");
        load_dump(&database, &dumps.join(file));
        let genesis = rows(
            &database,
            "SELECT state_hash, ledger_hash FROM public.blocks WHERE height = 1",
        );
        let (hash, root) = (&genesis[0][0], &genesis[0][1]);
        let before = proves(&database, hash);
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("list.json");
        std::fs::write(&list, &before).unwrap();
        let run = populate(&list, hash, root, &["--era", era]);
        assert_eq!(run.code(), 0, "{}", run.said());
        let populate = run.out().join("populate.sql");
        let whole = content(&database);
        runs(&database, &populate);
        assert_eq!(content(&database), whole, "a whole archive stays as it is");
        let bare =
            "DELETE FROM accounts_accessed USING blocks b WHERE b.id = block_id AND height = 1";
        execute(&database, bare);
        runs(&database, &populate);
        assert_eq!(proves(&database, hash), before);
        assert_eq!(content(&database), whole, "the very rows come back");
    }
}

#[test]
fn accounts_that_are_not_the_block_s_or_have_no_form() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list.json");
    let spec = ArchiveSpec {
        height: 1,
        ..ArchiveSpec::default()
    };
    let mut model = fork_testkit::archive::archive(&spec).unwrap();
    let hash = model.blocks[0].state_hash.to_string();
    let root = model.blocks[0].ledger_hash.to_string();
    write_list(&list, &model.genesis[1..]);
    populate(&list, &hash, &root, &["--era", "berkeley"]).fails(4, "the 39 accounts of");
    write_list(&list, &model.genesis);
    populate(
        &list,
        &hash,
        &root,
        &["--era", "mesa", "--schema", "berkeley"],
    )
    .fails(2, "no tables of that schema");
    let zkapp = model
        .genesis
        .iter_mut()
        .find_map(|account| account.zkapp.as_mut());
    zkapp.unwrap().zkapp_uri = b"a\0b".to_vec();
    write_list(&list, &model.genesis);
    let leaves = fork_ledger::hash::hash_accounts(
        Era::Berkeley,
        &model.genesis,
        &fork_ledger::verification_key::VkHashCache::new(),
    );
    let tree = fork_ledger::merkle::MerkleTree::new(Era::Berkeley, 35, leaves.unwrap());
    let root = fork_ledger::merkle::ledger_hash(tree.unwrap().root()).to_string();
    populate(&list, &hash, &root, &["--era", "berkeley"]).fails(5, "a zero byte in its zkApp URI");
}
