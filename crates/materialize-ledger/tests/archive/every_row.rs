//! Every row of every table that ledgers are read from: deleted, doubled, and changed in each column.
//!
//! Each damage is done in a transaction that is rolled back, and every block of the archive is read in
//! that transaction, with its epochs. A block either gives the very same ledger, seeds and epoch ledgers
//! as before, because the row plays no part in them, or it is refused. Some block has to refuse, but for
//! what is in [`PLAYS_NO_PART`] and [`CLAIMS`].

use std::collections::BTreeSet;
use std::time::Duration;

use fork_archive::client::Client;
use fork_archive::{Archive, ArchiveUri, BlockChoice};
use fork_fs::FsError;
use fork_ledger::account::Account;
use fork_testkit::archive::ArchiveSpec;
use fork_types::{Class, Era, Fault, StateHash};
use fork_worker::{Context, OutputFormat};
use materialize_ledger::{AccountSink, EpochBasis, FirstEpochs, prove_epochs, prove_staged};

use crate::support::{execute, generated, have_server, server};

/// What ledgers are read from.
const TABLES: [&str; 20] = [
    "blocks",
    "protocol_versions",
    "snarked_ledger_hashes",
    "epoch_data",
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
    // Read when a root is wrong, to say why.
    "blocks_internal_commands",
];

/// The last block of the archive begins an epoch, and takes over a snarked ledger.
const SLOTS_PER_EPOCH: u32 = 6;

/// What may change without any block being refused, every ledger staying as it is: damage, table,
/// column, and why.
const PLAYS_NO_PART: [(&str, &str, &str, &str); 13] = [
    (
        "change",
        "blocks",
        "snarked_ledger_hash_id",
        "a snarked ledger counts where a new epoch takes it over",
    ),
    (
        "change",
        "epoch_data",
        "total_currency",
        "of the first block, whose epochs have no currency in any config",
    ),
    (
        "change",
        "epoch_data",
        "start_checkpoint",
        "of the first block, before which there is none",
    ),
    (
        "change",
        "epoch_data",
        "lock_checkpoint",
        "of the first block, before which there is none",
    ),
    (
        "change",
        "epoch_data",
        "epoch_length",
        "of the first block, before which there is none",
    ),
    (
        "change",
        "blocks",
        "total_currency",
        "a staged ledger states the sum of its own accounts; only the form is checked",
    ),
    (
        "change",
        "blocks",
        "parent_id",
        "of a genesis block, where the walk stops",
    ),
    (
        "change",
        "blocks",
        "parent_hash",
        "of a genesis block, where the walk stops",
    ),
    (
        "change",
        "protocol_versions",
        "network",
        "hashes depend on the version of transactions alone",
    ),
    (
        "change",
        "protocol_versions",
        "patch",
        "hashes depend on the version of transactions alone",
    ),
    (
        "change",
        "timing_info",
        "account_identifier_id",
        "a schedule is part of the account that names it, whoever it was made for",
    ),
    (
        "change",
        "accounts_accessed",
        "timing_id",
        "no row and a row of five zeros both mean that there is no schedule",
    ),
    (
        "any",
        "blocks_internal_commands",
        "any",
        "transactions are not replayed",
    ),
];

/// What is handed on as the archive claims it, beside the same ledger: nothing in an archive proves it,
/// a block file does.
const CLAIMS: [(&str, &str); 2] = [("blocks", "timestamp"), ("blocks", "chain_status")];

/// A ledger as text, and what is said beside it.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    ledger: Vec<u8>,
    facts: String,
    claims: String,
}

struct Text(Vec<u8>);

impl AccountSink for Text {
    fn write(&mut self, accounts: &[Account]) -> Result<(), FsError> {
        for account in accounts {
            fork_ledger::json::write_account_json(account, &mut self.0);
        }
        Ok(())
    }
}

/// One connection with one transaction, and what its archive gave before any damage.
struct Patient {
    archive: Archive,
    blocks: Vec<(u32, StateHash)>,
    healthy: Vec<Seen>,
}

impl Patient {
    fn new(database: &str, blocks: Vec<(u32, StateHash)>) -> Self {
        let uri = ArchiveUri::parse(&server().uri(database)).unwrap();
        let patience = Duration::from_secs(60);
        let mut client = Client::connect(&uri, patience, patience).unwrap();
        let begin = "BEGIN; SET LOCAL jit = off; SET LOCAL enable_indexscan = off";
        client.execute("begin", begin).unwrap();
        let mut patient = Self {
            archive: Archive::on(client, "patient").unwrap(),
            blocks,
            healthy: Vec::new(),
        };
        for block in 0..patient.blocks.len() {
            let seen = patient.look(block).unwrap();
            patient.healthy.push(seen);
        }
        patient
    }

    fn rows(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut rows = Vec::new();
        self.archive
            .client()
            .query("look", sql, &[], &mut |row| {
                rows.push(
                    (0..row.len())
                        .map(|n| row.text(n).map(str::to_owned))
                        .collect(),
                );
                Ok(())
            })
            .unwrap();
        rows
    }

    /// What a block gives, or the class of the refusal.
    fn look(&mut self, block: usize) -> Result<Seen, Class> {
        let choice = BlockChoice::StateHash(self.blocks[block].1);
        let mut text = Text(Vec::new());
        let context = Context::quiet(OutputFormat::Human);
        let proved = prove_staged(&mut self.archive, &choice, Some(&mut text), &context);
        let proved = proved.map_err(|error| error.class())?;
        let genesis = proved.at.branch.genesis.ledger_hash;
        let basis = EpochBasis {
            slots_per_epoch: SLOTS_PER_EPOCH,
            first: Some(FirstEpochs::of_first_genesis(Some(genesis))),
        };
        let epochs = prove_epochs(&mut self.archive, &proved.at, &basis, &context);
        epochs.map_err(|error| error.class())?;
        let (block, branch) = (&proved.at.block, &proved.at.branch);
        Ok(Seen {
            ledger: text.0,
            facts: format!(
                "{} {} {} {} {} {} {} {} {} {:?} {:?}",
                block.state_hash,
                block.height,
                block.slot_since_genesis,
                block.slot_since_hard_fork,
                block.ledger_hash,
                branch.blocks,
                branch.genesis.state_hash,
                proved.accounts,
                proved.total,
                block.staking_epoch,
                block.next_epoch,
            ),
            claims: format!(
                "{} {} {}",
                block.timestamp_ms,
                block.status.name(),
                branch.canonical
            ),
        })
    }

    /// Does the damage, looks at every block until one refuses, and undoes it. `first` is the row of the
    /// block that is looked at first.
    fn suffer(&mut self, damage: &str, first: Option<u32>) -> Verdict {
        let damage = format!("SAVEPOINT healthy; {damage}");
        self.archive.client().execute("damage", &damage).unwrap();
        let mut order: Vec<usize> = (0..self.blocks.len()).rev().collect();
        order.sort_by_key(|block| Some(self.blocks[*block].0) != first);
        let mut verdict = Verdict::Same;
        for block in order {
            match self.look(block) {
                Ok(seen) if seen == self.healthy[block] => {}
                Ok(seen)
                    if (&seen.ledger, &seen.facts)
                        == (&self.healthy[block].ledger, &self.healthy[block].facts) =>
                {
                    verdict = Verdict::OtherClaim;
                }
                Ok(seen) => panic!(
                    "{damage}: another ledger: {} for {}",
                    seen.facts, self.healthy[block].facts
                ),
                // What is documented for archives that are wrong, incomplete or of no sense.
                Err(Class::Wrong | Class::Pending | Class::BadInput) => {
                    verdict = Verdict::Refused;
                    break;
                }
                Err(class) => panic!("{damage}: refused as {class:?}"),
            }
        }
        self.archive
            .client()
            .execute(
                "heal",
                "ROLLBACK TO SAVEPOINT healthy; RELEASE SAVEPOINT healthy",
            )
            .unwrap();
        verdict
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Refused,
    /// Every block gives what it gave.
    Same,
    /// The same ledgers, and something else beside one.
    OtherClaim,
}

/// Lets every row be damaged in every way.
const WITHOUT_CONSTRAINTS: &str = "\
    DO $$ DECLARE c record; BEGIN \
      FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
        WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f') ORDER BY contype = 'p' \
      LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; \
      FOR c IN SELECT attrelid::regclass AS t, attname FROM pg_attribute a JOIN pg_class r ON r.oid = attrelid \
        WHERE r.relnamespace = 'public'::regnamespace AND r.relkind = 'r' AND attnotnull AND attnum > 0 \
      LOOP EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', c.t, c.attname); END LOOP; END $$";

/// A column and other values for it, as SQL.
fn other_values(table: &str, column: &str, kind: &str) -> Vec<String> {
    let next = |labels: &[&str]| {
        let cases: String = labels
            .iter()
            .zip(labels.iter().cycle().skip(1))
            .map(|(from, to)| format!("WHEN '{from}' THEN '{to}' "))
            .collect();
        format!("(CASE {column}::text {cases} END)::{kind}")
    };
    let other = match kind {
        "text" => vec![
            // One that some other row has, so one of the right form, and one of no form.
            format!(
                "(SELECT o.{column} FROM {table} o WHERE o.{column} <> {table}.{column} ORDER BY 1 LIMIT 1)"
            ),
            format!("{column} || '1'"),
        ],
        "int4" | "int8" => vec![format!("coalesce({column}, 0) + 1")],
        "bool" => vec![format!("NOT {column}")],
        "chain_status_type" => vec![next(&["canonical", "orphaned", "pending"])],
        "zkapp_auth_required_type" => {
            vec![next(&[
                "none",
                "either",
                "proof",
                "signature",
                "impossible",
            ])]
        }
        other => panic!("a new type of column: {other}"),
    };
    other.into_iter().chain(["NULL".to_owned()]).collect()
}

/// One way to damage a row.
struct Damage {
    way: &'static str,
    table: &'static str,
    column: String,
    sql: String,
}

/// Everything that can be done to the row at `place` of a table with these columns. A value that would
/// stay as it is, such as a null made null, is no damage.
fn damages(
    patient: &mut Patient,
    table: &'static str,
    columns: &[(String, String)],
    place: &str,
) -> Vec<Damage> {
    let this = format!("ctid = '{place}'");
    let names: Vec<&str> = columns.iter().map(|(column, _)| column.as_str()).collect();
    let all = names.join(", ");
    let damage = |way, column: &str, sql| Damage {
        way,
        table,
        column: column.to_owned(),
        sql,
    };
    let mut damages = vec![
        damage("delete", "row", format!("DELETE FROM {table} WHERE {this}")),
        damage(
            "double",
            "row",
            format!("INSERT INTO {table} SELECT {all} FROM {table} WHERE {this}"),
        ),
    ];
    if names[0] == "id" {
        let rest = names[1..].join(", ");
        let copy = format!(
            "INSERT INTO {table} SELECT (SELECT max(id) + 1 FROM {table}), {rest} \
             FROM {table} WHERE {this}"
        );
        damages.push(damage("copy", "row", copy));
    }
    let changes: Vec<(&str, String)> = columns
        .iter()
        .flat_map(|(column, kind)| {
            let others = other_values(table, column, kind);
            others.into_iter().map(|other| (column.as_str(), other))
        })
        .collect();
    let differs: Vec<String> = changes
        .iter()
        .map(|(column, other)| format!("{column} IS DISTINCT FROM {other}"))
        .collect();
    let differs = patient.rows(&format!(
        "SELECT {} FROM {table} WHERE {this}",
        differs.join(", ")
    ));
    for ((column, other), differs) in changes.into_iter().zip(&differs[0]) {
        if differs.as_deref() == Some("t") {
            let sql = format!("UPDATE {table} SET {column} = {other} WHERE {this}");
            damages.push(damage("change", column, sql));
        }
    }
    damages
}

/// What may happen without notice, and which of it did.
#[derive(Default)]
struct Tally {
    damages: u32,
    refused: u32,
    unnoticed: BTreeSet<(&'static str, &'static str, &'static str)>,
}

impl Tally {
    fn judge(&mut self, damage: &Damage, verdict: Verdict) {
        self.damages += 1;
        match verdict {
            Verdict::Refused => self.refused += 1,
            // Nobody names the copy.
            Verdict::Same if damage.way == "copy" => {}
            Verdict::Same => {
                let (way, table, column, _) = PLAYS_NO_PART
                    .into_iter()
                    .find(|(way, table, column, _)| {
                        *table == damage.table
                            && [damage.way, "any"].contains(way)
                            && [damage.column.as_str(), "any"].contains(column)
                    })
                    .unwrap_or_else(|| panic!("nobody notices: {}", damage.sql));
                self.unnoticed.insert((way, table, column));
            }
            Verdict::OtherClaim => {
                let is_listed = CLAIMS.contains(&(damage.table, &damage.column));
                assert!(damage.way == "change" && is_listed, "{}", damage.sql);
            }
        }
    }
}

fn every_row(spec: &ArchiveSpec) {
    let (database, model) = generated(spec);
    execute(&database, WITHOUT_CONSTRAINTS);
    let blocks = model.blocks.iter();
    let blocks = blocks.map(|block| (block.id, block.state_hash)).collect();
    let mut patient = Patient::new(&database, blocks);
    let mut tally = Tally::default();
    for table in TABLES {
        let begun = std::time::Instant::now();
        let columns = patient.rows(&format!(
            "SELECT attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        ));
        let columns: Vec<(String, String)> = columns
            .into_iter()
            .map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()))
            .collect();
        let is_of_block = columns.iter().any(|(column, _)| column == "block_id");
        let block = if is_of_block { "block_id" } else { "NULL" };
        let rows = patient.rows(&format!("SELECT ctid, {block} FROM {table} ORDER BY ctid"));
        let count = rows.len();
        for row in rows {
            let first = row[1].as_ref().map(|block| block.parse().unwrap());
            for damage in damages(&mut patient, table, &columns, row[0].as_ref().unwrap()) {
                let verdict = patient.suffer(&damage.sql, first);
                tally.judge(&damage, verdict);
            }
        }
        eprintln!(
            "{table}: {count} rows, {} so far, {:?}",
            tally.damages,
            begun.elapsed()
        );
    }
    let known = PLAYS_NO_PART.map(|(way, table, column, _)| (way, table, column));
    assert_eq!(
        tally.unnoticed,
        known.into(),
        "as it is, and as it is listed"
    );
    assert!(
        tally.refused > tally.damages / 2,
        "{} of {}",
        tally.refused,
        tally.damages
    );
}

#[test]
fn of_berkeley() {
    if have_server() {
        every_row(&ArchiveSpec {
            accounts: 12,
            height: 3,
            seed: 31,
            slots_per_epoch: SLOTS_PER_EPOCH,
            ..ArchiveSpec::default()
        });
    }
}

/// Of Mesa, whose tables are wider.
#[test]
fn of_mesa() {
    if have_server() {
        every_row(&ArchiveSpec {
            accounts: 10,
            height: 3,
            seed: 32,
            slots_per_epoch: SLOTS_PER_EPOCH,
            era: Era::Mesa,
            ..ArchiveSpec::default()
        });
    }
}
