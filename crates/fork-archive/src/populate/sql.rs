//! The statements around the accounts.

use super::Populate;

/// Columns of `zkapp_permissions` in the order in which they are copied.
const PERMISSIONS: &str = "edit_state, send, receive, access, set_delegate, set_permissions, \
    set_verification_key_auth, set_zkapp_uri, edit_action_state, set_token_symbol, \
    increment_nonce, set_voting_for, set_timing, set_verification_key_txn_version";

/// Those of `timing_info`.
const TIMING: &str =
    "initial_minimum_balance, cliff_time, cliff_amount, vesting_period, vesting_increment";

pub(super) fn head(populate: &Populate) -> String {
    let Populate {
        schema,
        era,
        state_hash,
        ledger_hash,
    } = populate;
    let auths: String = PERMISSIONS
        .split(", ")
        .map(|column| match column {
            "set_verification_key_txn_version" => format!("  {column} int NOT NULL,\n"),
            column => format!("  {column} zkapp_auth_required_type NOT NULL,\n"),
        })
        .collect();
    format!(
        "\
-- The accounts of the genesis block {state_hash},
-- whose ledger is {ledger_hash}, for an archive that has none of them.
-- Run it with psql. It is one transaction, changes no row that is there, and may be run again.
\\set ON_ERROR_STOP on
BEGIN;
-- Between tables that have just been filled, nested loops would take hours.
SET LOCAL enable_nestloop = off;
SET LOCAL work_mem = '256MB';
DO $forkpack$
DECLARE seen record;
BEGIN
  IF (SELECT count(*) FROM pg_attribute WHERE attrelid = 'zkapp_states'::regclass AND attnum > 0
      AND NOT attisdropped AND attname LIKE 'element%') <> {width} THEN
    RAISE EXCEPTION 'the tables are not of the schema {schema}, for which this was written'
      USING HINT = 'write it again with the other --schema';
  END IF;
  SELECT b.ledger_hash, v.transaction INTO seen FROM blocks b
    LEFT JOIN protocol_versions v ON v.id = b.protocol_version_id
    WHERE b.state_hash = '{state_hash}';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the archive does not have the block {state_hash}';
  END IF;
  IF seen.ledger_hash <> '{ledger_hash}' THEN
    RAISE EXCEPTION 'the block {state_hash} has the ledger %, and these are the accounts of {ledger_hash}',
      seen.ledger_hash;
  END IF;
  IF seen.transaction IS DISTINCT FROM {version} THEN
    RAISE EXCEPTION 'the block {state_hash} has transaction version %, and these accounts are of version {version}',
      seen.transaction;
  END IF;
END $forkpack$;
CREATE TEMP TABLE forkpack_accounts (
  ledger_index int NOT NULL,
  public_key text NOT NULL,
  token text NOT NULL,
  symbol text NOT NULL,
  balance text NOT NULL,
  nonce bigint NOT NULL,
  receipt_chain_hash text NOT NULL,
  delegate text,
  voting_for text NOT NULL,
  initial_minimum_balance text NOT NULL,
  cliff_time bigint NOT NULL,
  cliff_amount text NOT NULL,
  vesting_period bigint NOT NULL,
  vesting_increment text NOT NULL,
{auths}  app_state text[],
  verification_key text,
  verification_key_hash text,
  zkapp_version bigint,
  action_state text[],
  last_action_slot bigint,
  proved_state boolean,
  zkapp_uri text
) ON COMMIT DROP;
COPY forkpack_accounts FROM stdin;
",
        width = schema.width(),
        schema = schema.name(),
        version = era.txn_version(),
    )
}

/// Adds the values of a query with the columns `value` and `at` that `table` lacks, in the order of
/// `at`.
fn intern(table: &str, column: &str, values: &str) -> String {
    format!(
        "INSERT INTO {table} ({column})\n  SELECT value FROM ({values}) v\n  WHERE value IS NOT NULL \
         AND NOT EXISTS (SELECT FROM {table} t WHERE t.{column} = v.value)\n  \
         GROUP BY value ORDER BY min(at), value;\n"
    )
}

/// Adds arrays of field elements as rows of ids, and a table of arrays and rows.
fn states(name: &str, column: &str, table: &str, width: usize) -> String {
    let columns: Vec<String> = (0..width)
        .map(|number| format!("element{number}"))
        .collect();
    let ids: Vec<String> = (1..=width)
        .map(|number| format!("s.ids[{number}]"))
        .collect();
    let equal: Vec<String> = columns
        .iter()
        .zip(&ids)
        .map(|(column, id)| format!("z.{column} = {id}"))
        .collect();
    let (columns, ids, equal) = (columns.join(", "), ids.join(", "), equal.join(" AND "));
    format!(
        "\
CREATE TEMP TABLE {name} ON COMMIT DROP AS
  SELECT u.state, u.at, array_agg(f.id ORDER BY u.place) AS ids
  FROM (SELECT state, at, unnest(state) AS field, generate_subscripts(state, 1) AS place
    FROM (SELECT {column} AS state, min(ledger_index) AS at FROM forkpack_accounts
      WHERE {column} IS NOT NULL GROUP BY 1) s) u
  JOIN zkapp_field f ON f.field = u.field
  GROUP BY u.state, u.at;
ANALYZE {name};
INSERT INTO {table} ({columns})
  SELECT {ids} FROM {name} s
  WHERE NOT EXISTS (SELECT FROM {table} z WHERE {equal}) ORDER BY s.at;
ALTER TABLE {name} ADD id int;
ANALYZE {table};
UPDATE {name} s SET id = z.id FROM (SELECT {columns}, min(id) AS id FROM {table}
  GROUP BY {columns}) z WHERE {equal};
"
    )
}

pub(super) fn tail(populate: &Populate, accounts: u64) -> String {
    let state_hash = populate.state_hash;
    let mut sql = "\\.\nANALYZE forkpack_accounts;\n".to_owned();
    let of = |column: &str| {
        format!("SELECT {column} AS value, ledger_index AS at FROM forkpack_accounts")
    };
    let keys = format!("{} UNION ALL {}", of("public_key"), of("delegate"));
    sql += &intern("public_keys", "value", &keys);
    sql += &intern("tokens", "value", &of("token"));
    sql += &intern("token_symbols", "value", &of("symbol"));
    sql += &intern("voting_for", "value", &of("voting_for"));
    sql += "\
ANALYZE public_keys, tokens;
INSERT INTO account_identifiers (public_key_id, token_id)
  SELECT k.id, t.id FROM forkpack_accounts a
  JOIN public_keys k ON k.value = a.public_key JOIN tokens t ON t.value = a.token
  WHERE NOT EXISTS (SELECT FROM account_identifiers i
    WHERE i.public_key_id = k.id AND i.token_id = t.id)
  ORDER BY a.ledger_index;
ANALYZE public_keys, tokens, account_identifiers;
CREATE TEMP TABLE forkpack_identifiers ON COMMIT DROP AS
  SELECT a.ledger_index, i.id FROM forkpack_accounts a
  JOIN public_keys k ON k.value = a.public_key JOIN tokens t ON t.value = a.token
  JOIN account_identifiers i ON i.public_key_id = k.id AND i.token_id = t.id;
ANALYZE forkpack_identifiers;
";
    let timing: Vec<String> = TIMING.split(", ").map(|name| format!("a.{name}")).collect();
    sql += &format!(
        "\
INSERT INTO timing_info (account_identifier_id, {TIMING})
  SELECT i.id, {} FROM forkpack_accounts a JOIN forkpack_identifiers i USING (ledger_index)
  WHERE NOT EXISTS (SELECT FROM timing_info t WHERE (t.account_identifier_id, {}) = (i.id, {}))
  ORDER BY a.ledger_index;
",
        timing.join(", "),
        TIMING
            .split(", ")
            .map(|name| format!("t.{name}"))
            .collect::<Vec<_>>()
            .join(", "),
        timing.join(", "),
    );
    let permissions = |table: &str| {
        let columns = PERMISSIONS.split(", ");
        let columns: Vec<String> = columns.map(|name| format!("{table}.{name}")).collect();
        columns.join(", ")
    };
    sql += &format!(
        "\
INSERT INTO zkapp_permissions ({PERMISSIONS})
  SELECT {PERMISSIONS} FROM forkpack_accounts a
  WHERE NOT EXISTS (SELECT FROM zkapp_permissions p WHERE ({}) = ({}))
  GROUP BY {PERMISSIONS} ORDER BY min(a.ledger_index);
",
        permissions("p"),
        permissions("a"),
    );
    let elements = |column: &str| {
        format!("SELECT unnest({column}) AS value, ledger_index AS at FROM forkpack_accounts")
    };
    let elements = format!(
        "{} UNION ALL {}",
        elements("app_state"),
        elements("action_state")
    );
    sql += &intern("zkapp_field", "field", &elements);
    let width = populate.schema.width();
    sql += "ANALYZE zkapp_field;\n";
    sql += &states("forkpack_states", "app_state", "zkapp_states", width);
    sql += &states("forkpack_actions", "action_state", "zkapp_action_states", 5);
    sql += &intern("zkapp_uris", "value", &of("zkapp_uri"));
    let hashes = of("verification_key_hash");
    sql += &intern("zkapp_verification_key_hashes", "value", &hashes);
    sql += "\
INSERT INTO zkapp_verification_keys (verification_key, hash_id)
  SELECT a.verification_key, h.id FROM forkpack_accounts a
  JOIN zkapp_verification_key_hashes h ON h.value = a.verification_key_hash
  WHERE NOT EXISTS (SELECT FROM zkapp_verification_keys k
    WHERE k.verification_key = a.verification_key)
  GROUP BY 1, 2 ORDER BY min(a.ledger_index);
CREATE TEMP TABLE forkpack_zkapps ON COMMIT DROP AS
  SELECT a.ledger_index, s.id AS app_state_id, k.id AS verification_key_id, a.zkapp_version,
    c.id AS action_state_id, a.last_action_slot, a.proved_state, u.id AS zkapp_uri_id
  FROM forkpack_accounts a
  JOIN forkpack_states s ON s.state = a.app_state
  JOIN forkpack_actions c ON c.state = a.action_state
  JOIN zkapp_uris u ON u.value = a.zkapp_uri
  LEFT JOIN zkapp_verification_keys k ON k.verification_key = a.verification_key;
ANALYZE forkpack_zkapps;
";
    let zkapp = "app_state_id, verification_key_id, zkapp_version, action_state_id, \
        last_action_slot, proved_state, zkapp_uri_id";
    let same = "(z.app_state_id, z.zkapp_version, z.action_state_id, z.last_action_slot, \
        z.proved_state, z.zkapp_uri_id) = (f.app_state_id, f.zkapp_version, f.action_state_id, \
        f.last_action_slot, f.proved_state, f.zkapp_uri_id) \
        AND z.verification_key_id IS NOT DISTINCT FROM f.verification_key_id";
    let timing_equal = TIMING
        .split(", ")
        .map(|name| format!("t.{name} = a.{name}"))
        .collect::<Vec<_>>()
        .join(" AND ");
    let permissions_equal = PERMISSIONS
        .split(", ")
        .map(|name| format!("p.{name} = a.{name}"))
        .collect::<Vec<_>>()
        .join(" AND ");
    sql += &format!(
        "\
INSERT INTO zkapp_accounts ({zkapp})
  SELECT {zkapp} FROM forkpack_zkapps f
  WHERE NOT EXISTS (SELECT FROM zkapp_accounts z WHERE {same})
  GROUP BY {zkapp} ORDER BY min(f.ledger_index);
ANALYZE public_keys, token_symbols, voting_for, timing_info, zkapp_permissions, zkapp_accounts;
CREATE TEMP TABLE forkpack_rows ON COMMIT DROP AS
  SELECT a.ledger_index, (SELECT id FROM blocks WHERE state_hash = '{state_hash}') AS block_id, i.id AS account_identifier_id,
    y.id AS token_symbol_id, a.balance, a.nonce, a.receipt_chain_hash, d.id AS delegate_id,
    v.id AS voting_for_id, t.id AS timing_id, p.id AS permissions_id, z.id AS zkapp_id
  FROM forkpack_accounts a
  JOIN forkpack_identifiers i USING (ledger_index)
  JOIN (SELECT value, min(id) AS id FROM token_symbols GROUP BY 1) y ON y.value = a.symbol
  JOIN (SELECT value, min(id) AS id FROM voting_for GROUP BY 1) v ON v.value = a.voting_for
  LEFT JOIN public_keys d ON d.value = a.delegate
  JOIN (SELECT account_identifier_id, {TIMING}, min(id) AS id FROM timing_info
    GROUP BY account_identifier_id, {TIMING}) t
    ON t.account_identifier_id = i.id AND {timing_equal}
  JOIN (SELECT {PERMISSIONS}, min(id) AS id FROM zkapp_permissions GROUP BY {PERMISSIONS}) p
    ON {permissions_equal}
  LEFT JOIN (SELECT f.ledger_index, min(z.id) AS id FROM forkpack_zkapps f
    JOIN zkapp_accounts z ON {same} GROUP BY 1) z USING (ledger_index);
INSERT INTO accounts_accessed (ledger_index, block_id, account_identifier_id, token_symbol_id,
    balance, nonce, receipt_chain_hash, delegate_id, voting_for_id, timing_id, permissions_id,
    zkapp_id)
  SELECT ledger_index, block_id, account_identifier_id, token_symbol_id, balance, nonce,
    receipt_chain_hash, delegate_id, voting_for_id, timing_id, permissions_id, zkapp_id
  FROM forkpack_rows r
  WHERE NOT EXISTS (SELECT FROM accounts_accessed x
    WHERE x.block_id = r.block_id AND x.account_identifier_id = r.account_identifier_id)
  ORDER BY ledger_index;
DO $forkpack$
DECLARE seen bigint;
BEGIN
  SELECT count(*) INTO seen FROM forkpack_rows;
  IF seen <> {accounts} THEN
    RAISE EXCEPTION 'of {accounts} accounts % rows were made: this file or a table is damaged', seen;
  END IF;
  SELECT count(*) INTO seen FROM accounts_accessed
    WHERE block_id = (SELECT id FROM blocks WHERE state_hash = '{state_hash}');
  IF seen <> {accounts} THEN
    RAISE EXCEPTION 'the block {state_hash} has % rows, and {accounts} accounts: it has rows of others', seen;
  END IF;
  SELECT count(*) INTO seen FROM (
    SELECT ledger_index, account_identifier_id, balance, nonce, receipt_chain_hash, delegate_id
      FROM forkpack_rows
    EXCEPT
    SELECT ledger_index, account_identifier_id, balance, nonce, receipt_chain_hash, delegate_id
      FROM accounts_accessed
      WHERE block_id = (SELECT id FROM blocks WHERE state_hash = '{state_hash}')) other;
  IF seen <> 0 THEN
    RAISE EXCEPTION 'the block {state_hash} has other values in % of its rows', seen;
  END IF;
END $forkpack$;
COMMIT;
"
    );
    sql
}
