//! Accounts of a ledger, from the server's rows.

use std::collections::{BTreeSet, HashMap};

use fork_ledger::account::{Account, Auth, Permissions, Timing, TokenSymbol, Vesting};
use fork_types::{Amount, Era, PublicKey, ReceiptChainHash, StateHash, TokenId};

use crate::archive::Archive;
use crate::block::{ArchiveBlock, Value, insert_once};
use crate::branch::UP;
use crate::client::{Client, Row};
use crate::error::ArchiveError;
use crate::schema::Schema;
use crate::zkapp;

/// Accounts read at a time: some 2 MB of rows.
pub const BATCH_ROWS: u16 = 8192;

/// Permissions kept, at 20 bytes each. A ledger has a few dozen different ones.
const PERMISSIONS_MAX: usize = 1 << 16;

/// An account and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedAccount {
    /// Leaf index.
    pub index: u32,
    /// Height of the block that touched it last.
    pub height: u32,
    /// Its state.
    pub account: Account,
}

/// The newest row of each account on the branch, in leaf order. Tables of values are joined from the
/// left: a row that is lost there must be named, not make an account vanish.
const ROWS: &str = "\
    , top AS ( \
      SELECT a.account_identifier_id, max(up.height) AS height \
      FROM up JOIN accounts_accessed a ON a.block_id = up.id GROUP BY 1) \
    SELECT a.ledger_index, top.height, a.account_identifier_id, k.value, t.value, \
      a.token_symbol_id, y.value, a.balance, a.nonce, a.receipt_chain_hash, \
      a.delegate_id, d.value, v.value, \
      a.timing_id, g.initial_minimum_balance, g.cliff_time, g.cliff_amount, g.vesting_period, \
      g.vesting_increment, a.permissions_id, a.zkapp_id \
    FROM top \
    JOIN up USING (height) \
    JOIN accounts_accessed a \
      ON a.block_id = up.id AND a.account_identifier_id = top.account_identifier_id \
    LEFT JOIN account_identifiers i ON i.id = a.account_identifier_id \
    LEFT JOIN public_keys k ON k.id = i.public_key_id \
    LEFT JOIN tokens t ON t.id = i.token_id \
    LEFT JOIN token_symbols y ON y.id = a.token_symbol_id \
    LEFT JOIN voting_for v ON v.id = a.voting_for_id \
    LEFT JOIN public_keys d ON d.id = a.delegate_id \
    LEFT JOIN timing_info g ON g.id = a.timing_id \
    ORDER BY a.ledger_index";

/// A branch of one block, for [`ROWS`].
const ALONE: &str = "WITH up (id, height) AS (SELECT id, height FROM blocks WHERE id = $1)";

/// The permissions' columns in the order of [`Permissions`].
const PERMISSIONS: &str = "\
    SELECT id, edit_state, access, send, receive, set_delegate, set_permissions, \
      set_verification_key_auth, set_verification_key_txn_version, set_zkapp_uri, \
      edit_action_state, set_token_symbol, increment_nonce, set_voting_for, set_timing \
    FROM zkapp_permissions WHERE id = ANY ($1::int[])";

const TABLE: &str = "accounts_accessed";

/// The accounts of one ledger, in portions.
#[derive(Debug)]
pub struct AccountStream<'a> {
    client: &'a mut Client,
    schema: Schema,
    era: Era,
    permissions: HashMap<i64, Permissions>,
    is_at_end: bool,
}

/// An account whose permissions and zkApp are still to be read.
struct Started {
    account: ArchivedAccount,
    permissions_id: i64,
    zkapp_id: Option<i64>,
}

impl<'a> AccountStream<'a> {
    pub(crate) fn open(
        archive: &'a mut Archive,
        block: &ArchiveBlock,
        era: Era,
    ) -> Result<Self, ArchiveError> {
        Self::open_among(archive, block, era, UP)
    }

    /// What is asked for the accounts on a branch; `$1` is the id of the block.
    pub(crate) fn query() -> String {
        format!("{UP}{ROWS}")
    }

    /// The rows that the block itself has: what it touched, as it left it.
    pub(crate) fn of_block(
        archive: &'a mut Archive,
        block: &ArchiveBlock,
        era: Era,
    ) -> Result<Self, ArchiveError> {
        Self::open_among(archive, block, era, ALONE)
    }

    fn open_among(
        archive: &'a mut Archive,
        block: &ArchiveBlock,
        era: Era,
        blocks: &str,
    ) -> Result<Self, ArchiveError> {
        let schema = archive.schema;
        let client = &mut archive.client;
        let sql = format!("{blocks}{ROWS}");
        client.open("read the accounts", &sql, &[&block.id.to_string()])?;
        Ok(Self {
            client,
            schema,
            era,
            permissions: HashMap::new(),
            is_at_end: false,
        })
    }

    /// The next accounts, by rising index; `None` at the end. Indices may have holes and repeats:
    /// that is for the caller to judge.
    ///
    /// # Errors
    ///
    /// Fails on values that no account has, on rows that are missing, and when the server does.
    pub fn next_batch(&mut self) -> Result<Option<Vec<ArchivedAccount>>, ArchiveError> {
        if self.is_at_end {
            return Ok(None);
        }
        let mut started = Vec::with_capacity(usize::from(BATCH_ROWS));
        let era = self.era;
        let fetched = self
            .client
            .fetch("read the accounts", BATCH_ROWS, &mut |row| {
                started.push(Started::read(row, era)?);
                Ok(())
            });
        self.is_at_end = !fetched?;
        if started.is_empty() {
            return Ok(None);
        }
        self.read_permissions(&started)?;
        let zkapp_ids: BTreeSet<i64> = started.iter().filter_map(|row| row.zkapp_id).collect();
        let zkapps = zkapp::load(self.client, self.schema, self.era, &zkapp_ids)?;
        let mut accounts = Vec::with_capacity(started.len());
        for Started {
            mut account,
            permissions_id,
            zkapp_id,
        } in started
        {
            let name = format!("leaf {}", account.index);
            let missing = |column, id: i64, target| crate::error::ArchiveErrorKind::Dangling {
                table: TABLE,
                column,
                row: name.clone(),
                id: id.to_string(),
                target,
            };
            let permissions = self.permissions.get(&permissions_id);
            account.account.permissions = *permissions
                .ok_or_else(|| missing("permissions_id", permissions_id, "zkapp_permissions"))?;
            if let Some(id) = zkapp_id {
                let zkapp = zkapps.get(&id);
                let zkapp = zkapp.ok_or_else(|| missing("zkapp_id", id, "zkapp_accounts"))?;
                account.account.zkapp = Some(Box::new(zkapp.clone()));
            }
            accounts.push(account);
        }
        Ok(Some(accounts))
    }

    /// Reads the permissions of these rows that are not known yet.
    fn read_permissions(&mut self, started: &[Started]) -> Result<(), ArchiveError> {
        if self.permissions.len() > PERMISSIONS_MAX {
            self.permissions.clear();
        }
        let unknown: BTreeSet<i64> = started
            .iter()
            .map(|row| row.permissions_id)
            .filter(|id| !self.permissions.contains_key(id))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let known = &mut self.permissions;
        let ids = array(&unknown);
        self.client
            .query("read permissions", PERMISSIONS, &[&ids], &mut |row| {
                let (id, permissions) = read_permissions(row)?;
                insert_once(known, "zkapp_permissions", id, permissions)
            })
    }
}

/// Ids as the text of an array.
pub(crate) fn array(ids: &BTreeSet<i64>) -> String {
    let mut text = String::with_capacity(ids.len() * 8);
    for id in ids {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&id.to_string());
    }
    if text.is_empty() {
        text.push('{');
    }
    text.push('}');
    text
}

impl Started {
    fn read(row: &Row<'_>, era: Era) -> Result<Self, ArchiveError> {
        let name = format!("leaf {}", row.text(0).unwrap_or("without an index"));
        let value = |number, column| Value::new(row, (number, column), TABLE, &name);
        let identifier = value(2, "account_identifier_id");
        let (Some(owner_text), Some(token_text)) = (row.text(3), row.text(4)) else {
            return Err(identifier.dangling(
                identifier.text()?,
                "account_identifiers, public_keys or tokens",
            ));
        };
        let public_key: PublicKey = value(3, "account_identifier_id").parse()?;
        let token_id: TokenId = if token_text == DEFAULT_TOKEN {
            TokenId::DEFAULT
        } else {
            value(4, "account_identifier_id").parse()?
        };
        let symbol = row.bytes(6).ok_or_else(|| {
            value(5, "token_symbol_id").dangling(row.text(5).unwrap_or("null"), "token_symbols")
        })?;
        let token_symbol = TokenSymbol::new(symbol)
            .ok_or_else(|| value(6, "token_symbol_id").bad("longer than 6 bytes"))?;
        let delegate = match (row.text(10), row.text(11)) {
            (None, _) => None,
            (Some(_), Some(text)) if text == owner_text => Some(public_key),
            (Some(_), Some(_)) => Some(value(11, "delegate_id").parse()?),
            (Some(id), None) => return Err(value(10, "delegate_id").dangling(id, "public_keys")),
        };
        let receipt: ReceiptChainHash = value(9, "receipt_chain_hash").parse()?;
        let voting_for: StateHash = match row.text(12) {
            Some(_) => value(12, "voting_for_id").parse()?,
            None => return Err(value(12, "voting_for_id").dangling("of it", "voting_for")),
        };
        let account = Account {
            public_key,
            token_id,
            token_symbol,
            balance: value(7, "balance").nanomina()?,
            nonce: value(8, "nonce").parse()?,
            receipt_chain_hash: receipt,
            delegate,
            voting_for,
            timing: timing(row, &name)?,
            permissions: Permissions::user_default(era.txn_version()),
            zkapp: None,
        };
        Ok(Self {
            account: ArchivedAccount {
                index: value(0, "ledger_index").parse()?,
                height: value(1, "block_id").parse()?,
                account,
            },
            permissions_id: value(19, "permissions_id").parse()?,
            zkapp_id: value(20, "zkapp_id").parse_nullable()?,
        })
    }
}

/// Text of [`TokenId::DEFAULT`]; nearly all accounts have it.
const DEFAULT_TOKEN: &str = "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf";

/// The schedule. The archive has two marks for untimed accounts: no row, and a row of five zeros.
/// A schedule with zero amounts and a period of 1 is another thing, and hashes differently.
fn timing(row: &Row<'_>, name: &str) -> Result<Timing, ArchiveError> {
    let value = |number, column| Value::new(row, (number, column), "timing_info", name);
    let Some(id) = row.text(13) else {
        return Ok(Timing::Untimed);
    };
    if (14..19).all(|column| row.text(column).is_none()) {
        let pointer = Value::new(row, (13, "timing_id"), TABLE, name);
        return Err(pointer.dangling(id, "timing_info"));
    }
    let vesting = Vesting {
        initial_minimum_balance: value(14, "initial_minimum_balance").nanomina()?,
        cliff_time: value(15, "cliff_time").parse()?,
        cliff_amount: value(16, "cliff_amount").nanomina()?,
        vesting_period: value(17, "vesting_period").parse()?,
        vesting_increment: value(18, "vesting_increment").nanomina()?,
    };
    let is_untimed = vesting.initial_minimum_balance == Amount::ZERO
        && vesting.cliff_time.get() == 0
        && vesting.cliff_amount == Amount::ZERO
        && vesting.vesting_period.get() == 0
        && vesting.vesting_increment == Amount::ZERO;
    Ok(if is_untimed {
        Timing::Untimed
    } else {
        Timing::Timed(vesting)
    })
}

fn read_permissions(row: &Row<'_>) -> Result<(i64, Permissions), ArchiveError> {
    let name = format!("row {}", row.text(0).unwrap_or("without an id"));
    let value = |number, column| Value::new(row, (number, column), "zkapp_permissions", &name);
    let auth = |number, column| {
        let value = value(number, column);
        match value.text()? {
            "none" => Ok(Auth::None),
            "either" => Ok(Auth::Either),
            "proof" => Ok(Auth::Proof),
            "signature" => Ok(Auth::Signature),
            "impossible" => Ok(Auth::Impossible),
            // The type still has the first mainnet's `both`, which no account of today has.
            _ => Err(value.bad("no permission of these eras")),
        }
    };
    let permissions = Permissions {
        edit_state: auth(1, "edit_state")?,
        access: auth(2, "access")?,
        send: auth(3, "send")?,
        receive: auth(4, "receive")?,
        set_delegate: auth(5, "set_delegate")?,
        set_permissions: auth(6, "set_permissions")?,
        set_verification_key: auth(7, "set_verification_key_auth")?,
        set_verification_key_txn_version: value(8, "set_verification_key_txn_version").parse()?,
        set_zkapp_uri: auth(9, "set_zkapp_uri")?,
        edit_action_state: auth(10, "edit_action_state")?,
        set_token_symbol: auth(11, "set_token_symbol")?,
        increment_nonce: auth(12, "increment_nonce")?,
        set_voting_for: auth(13, "set_voting_for")?,
        set_timing: auth(14, "set_timing")?,
    };
    Ok((value(0, "id").parse()?, permissions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_token_is_known_by_its_text() {
        assert_eq!(TokenId::DEFAULT.to_string(), DEFAULT_TOKEN);
    }

    #[test]
    fn arrays_are_postgresql_s() {
        assert_eq!(array(&BTreeSet::new()), "{}");
        assert_eq!(array(&BTreeSet::from([3, 1])), "{1,3}");
    }
}
