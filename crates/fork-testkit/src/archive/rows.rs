//! Rows of an archive: each distinct value once, as the archive keeps them.

use std::collections::HashMap;
use std::fmt::Write as _;

use fork_ledger::account::{Account, Auth, Permissions, Timing, Zkapp};
use fork_ledger::json::field_to_decimal;
use fork_ledger::json::write::auth_word;
use fork_ledger::packing::field_bytes;
use fork_types::{Era, FieldBytes, PublicKey, TokenId};

use super::BlockModel;
use super::epochs::Epochs;

/// The tables, with the elements of a zkApp's state left open.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// Milliseconds between two slots.
pub(super) const SLOT_MS: u64 = 180_000;

/// Time of the first genesis: 5 June 2024.
pub(super) const GENESIS_MS: u64 = 1_717_545_600_000;

/// Rows by table.
pub(super) struct Rows {
    width: usize,
    tables: Vec<(&'static str, Table)>,
    blocks: u32,
}

#[derive(Default)]
struct Table {
    rows: Vec<String>,
    ids: HashMap<String, usize>,
}

impl Rows {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            tables: Vec::new(),
            blocks: 0,
        }
    }

    pub(super) fn next_block(&mut self) -> u32 {
        self.blocks += 1;
        self.blocks
    }

    fn table(&mut self, name: &'static str) -> &mut Table {
        let found = self.tables.iter().position(|(table, _)| *table == name);
        let place = found.unwrap_or_else(|| {
            self.tables.push((name, Table::default()));
            self.tables.len() - 1
        });
        &mut self.tables[place].1
    }

    /// The row with these values, which is made when there is none.
    pub(super) fn id(&mut self, name: &'static str, values: &str) -> usize {
        let table = self.table(name);
        if let Some(id) = table.ids.get(values) {
            return *id;
        }
        let id = table.rows.len() + 1;
        table.rows.push(format!("({id}, {values})"));
        table.ids.insert(values.to_owned(), id);
        id
    }

    pub(super) fn add(&mut self, name: &'static str, values: &str) {
        self.table(name).rows.push(format!("({values})"));
    }

    pub(super) fn block(
        &mut self,
        block: &BlockModel,
        parent: Option<BlockModel>,
        [since_fork, since_genesis]: [u32; 2],
        era: Era,
        epochs: &Epochs,
    ) {
        let version = self.id("protocol_versions", &format!("{}, 0, 0", era.txn_version()));
        let ledger = quoted(&block.ledger_hash.to_string());
        let snarked = self.id("snarked_ledger_hashes", &ledger);
        let [staking, next] = self.epochs(epochs);
        let output = epochs.last_vrf_output;
        let parent_id = parent.map_or("NULL".to_owned(), |parent| parent.id.to_string());
        // A first block has a parent that nobody has.
        let parent_hash = parent.map_or(block.state_hash, |parent| parent.state_hash);
        let time = GENESIS_MS + u64::from(since_genesis) * SLOT_MS;
        let values = format!(
            "{}, {}, {parent_id}, {}, '{output}', {snarked}, {staking}, {next}, '1000', {ledger}, \
             {}, {since_fork}, {since_genesis}, {version}, '{time}', '{}'",
            block.id,
            quoted(&block.state_hash.to_string()),
            quoted(&parent_hash.to_string()),
            block.height,
            block.status,
        );
        self.add("blocks", &values);
        self.add("blocks_internal_commands", &format!("{}, 0", block.id));
    }

    pub(super) fn account(&mut self, block: u32, leaf: usize, account: &Account) {
        let identifier = self.identifier(&account.public_key, account.token_id);
        let symbol = String::from_utf8_lossy(account.token_symbol.as_bytes()).into_owned();
        let symbol = self.id("token_symbols", &quoted(&symbol));
        let delegate = account.delegate.map(|delegate| self.key(&delegate));
        let voting_for = self.id("voting_for", &quoted(&account.voting_for.to_string()));
        // Both marks of an account without a schedule.
        let timing = match account.timing {
            Timing::Untimed if leaf.is_multiple_of(2) => None,
            Timing::Untimed => {
                Some(self.id("timing_info", &format!("{identifier}, '0', 0, '0', 0, '0'")))
            }
            Timing::Timed(vesting) => {
                let values = format!(
                    "{identifier}, '{}', {}, '{}', {}, '{}'",
                    vesting.initial_minimum_balance.nanomina(),
                    vesting.cliff_time,
                    vesting.cliff_amount.nanomina(),
                    vesting.vesting_period,
                    vesting.vesting_increment.nanomina(),
                );
                Some(self.id("timing_info", &values))
            }
        };
        let permissions = self.permissions(&account.permissions);
        let zkapp = account.zkapp.as_deref().map(|zkapp| self.zkapp(zkapp));
        let values = format!(
            "{leaf}, {block}, {identifier}, {symbol}, '{}', {}, {}, {}, {voting_for}, {}, \
             {permissions}, {}",
            account.balance.nanomina(),
            account.nonce,
            quoted(&account.receipt_chain_hash.to_string()),
            or_null(delegate),
            or_null(timing),
            or_null(zkapp),
        );
        self.add("accounts_accessed", &values);
    }

    fn permissions(&mut self, permissions: &Permissions) -> usize {
        let word = |auth: Auth| auth_word(auth).to_lowercase();
        let values = format!(
            "'{}', '{}', '{}', '{}', '{}', '{}', '{}', {}, '{}', '{}', '{}', '{}', '{}', '{}'",
            word(permissions.edit_state),
            word(permissions.send),
            word(permissions.receive),
            word(permissions.access),
            word(permissions.set_delegate),
            word(permissions.set_permissions),
            word(permissions.set_verification_key),
            permissions.set_verification_key_txn_version,
            word(permissions.set_zkapp_uri),
            word(permissions.edit_action_state),
            word(permissions.set_token_symbol),
            word(permissions.increment_nonce),
            word(permissions.set_voting_for),
            word(permissions.set_timing),
        );
        self.id("zkapp_permissions", &values)
    }

    fn fields(&mut self, fields: &[FieldBytes]) -> String {
        let ids: Vec<String> = fields
            .iter()
            .map(|field| {
                let text = quoted(&field_to_decimal(*field));
                self.id("zkapp_field", &text).to_string()
            })
            .collect();
        ids.join(", ")
    }

    fn zkapp(&mut self, zkapp: &Zkapp) -> usize {
        // A narrow state in wide tables is filled with zeros.
        let mut state = zkapp.app_state.clone();
        state.resize(self.width, FieldBytes::ZERO);
        let state = self.fields(&state);
        let state = self.id("zkapp_states", &state);
        let actions = self.fields(&zkapp.action_state);
        let actions = self.id("zkapp_action_states", &actions);
        let uri = String::from_utf8_lossy(&zkapp.zkapp_uri).into_owned();
        let uri = self.id("zkapp_uris", &quoted(&uri));
        let key = zkapp.verification_key.as_ref().map(|key| {
            let hash = quoted(&field_to_decimal(field_bytes(key.hash())));
            let hash = self.id("zkapp_verification_key_hashes", &hash);
            let mut bytes = String::new();
            for byte in key.as_bytes() {
                let _ = write!(bytes, "{byte:02x}");
            }
            // PostgreSQL breaks its base64 into lines; the archive has none.
            let text =
                format!("replace(encode('\\x{bytes}'::bytea, 'base64'), E'\\n', ''), {hash}");
            self.id("zkapp_verification_keys", &text)
        });
        let values = format!(
            "{state}, {}, {}, {actions}, {}, {}, {uri}",
            or_null(key),
            zkapp.zkapp_version,
            zkapp.last_action_slot,
            zkapp.proved_state,
        );
        self.id("zkapp_accounts", &values)
    }

    /// The identifier of an account.
    pub(super) fn identifier(&mut self, key: &PublicKey, token: TokenId) -> usize {
        let owner = self.key(key);
        let token = self.id("tokens", &quoted(&token.to_string()));
        self.id("account_identifiers", &format!("{owner}, {token}"))
    }

    pub(super) fn key(&mut self, key: &PublicKey) -> usize {
        self.id("public_keys", &quoted(&key.to_string()))
    }

    pub(super) fn into_sql(self) -> String {
        self.into_sql_of(SCHEMA)
    }

    pub(super) fn into_sql_of(self, schema: &str) -> String {
        let elements: Vec<String> = (0..self.width)
            .map(|element| format!("element{element} int NOT NULL"))
            .collect();
        let mut sql = schema.replace("{elements}", &elements.join(", "));
        for (name, table) in self.tables {
            let _ = writeln!(
                sql,
                "INSERT INTO {name} VALUES\n{};",
                table.rows.join(",\n")
            );
        }
        sql
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn or_null(id: Option<usize>) -> String {
    id.map_or("NULL".to_owned(), |id| id.to_string())
}
