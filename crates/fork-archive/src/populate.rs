//! SQL that gives an archive the accounts of a genesis block it has no rows of.
//!
//! One transaction for `psql`: the accounts go into a temporary table by `COPY`, every distinct value
//! that the archive's tables lack is added to them, and then the rows of the block are. Nothing that is
//! there is changed, and a second run adds nothing. The transaction ends itself when the block is not
//! there or has another root, and when it has other rows already.

mod sql;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fork_ledger::account::{Account, Auth, Timing};
use fork_ledger::json::field_to_decimal;
use fork_ledger::json::write::auth_word;
use fork_ledger::packing::field_bytes;
use fork_types::{Class, Era, Fault, FieldBytes, LedgerHash, StateHash};

use crate::schema::Schema;

/// For which block of which archive.
#[derive(Clone, Copy, Debug)]
pub struct Populate {
    /// Layout of the tables.
    pub schema: Schema,
    /// Era of the block.
    pub era: Era,
    /// The genesis block.
    pub state_hash: StateHash,
    /// Its ledger.
    pub ledger_hash: LedgerHash,
}

/// Why an account cannot be put into an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account at leaf {index} has {problem}, which an archive's tables cannot hold")]
pub struct PopulateError {
    /// The leaf.
    pub index: u64,
    /// What it has.
    pub problem: &'static str,
}

impl Fault for PopulateError {
    fn class(&self) -> Class {
        Class::BadInput
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

impl Populate {
    /// Whether zkApps of the era have room in the tables.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.era.app_state_len() <= self.schema.width()
    }

    /// What comes before the accounts.
    #[must_use]
    pub fn head(&self) -> String {
        sql::head(self)
    }

    /// One account, by leaf index; they come in leaf order.
    ///
    /// # Errors
    ///
    /// Fails on what the tables have no form for. `line` is then of no use.
    pub fn row(
        &self,
        index: u64,
        account: &Account,
        line: &mut String,
    ) -> Result<(), PopulateError> {
        let Account {
            public_key,
            token_id,
            token_symbol,
            balance,
            nonce,
            receipt_chain_hash,
            delegate,
            voting_for,
            timing,
            permissions,
            zkapp,
        } = account;
        let problem = |problem| PopulateError { index, problem };
        let mut columns = Columns(line);
        columns.plain(index);
        columns.plain(public_key);
        columns.plain(token_id);
        let symbol = std::str::from_utf8(token_symbol.as_bytes());
        let symbol = symbol.map_err(|_| problem("a token symbol that is no UTF-8"))?;
        columns.text(symbol, || problem("a zero byte in its token symbol"))?;
        columns.plain(balance.nanomina());
        columns.plain(nonce);
        columns.plain(receipt_chain_hash);
        match delegate {
            Some(delegate) => columns.plain(delegate),
            None => columns.null(),
        }
        columns.plain(voting_for);
        match timing {
            // The archive's mark of an account without a schedule.
            Timing::Untimed => (0..5).for_each(|_| columns.plain(0)),
            Timing::Timed(vesting) => {
                let numbers = [
                    vesting.initial_minimum_balance.nanomina(),
                    u64::from(vesting.cliff_time.get()),
                    vesting.cliff_amount.nanomina(),
                    u64::from(vesting.vesting_period.get()),
                    vesting.vesting_increment.nanomina(),
                ];
                if numbers == [0; 5] {
                    return Err(problem("a schedule of five zeros"));
                }
                numbers.into_iter().for_each(|number| columns.plain(number));
            }
        }
        let auths = [
            permissions.edit_state,
            permissions.send,
            permissions.receive,
            permissions.access,
            permissions.set_delegate,
            permissions.set_permissions,
            permissions.set_verification_key,
            permissions.set_zkapp_uri,
            permissions.edit_action_state,
            permissions.set_token_symbol,
            permissions.increment_nonce,
            permissions.set_voting_for,
            permissions.set_timing,
        ];
        for auth in auths {
            columns.plain(word(auth));
        }
        columns.plain(permissions.set_verification_key_txn_version);
        match zkapp {
            None => (0..8).for_each(|_| columns.null()),
            Some(zkapp) => {
                let mut state = zkapp.app_state.clone();
                if state.len() > self.schema.width() {
                    return Err(problem("a zkApp state that is too wide"));
                }
                state.resize(self.schema.width(), FieldBytes::ZERO);
                columns.fields(&state);
                match &zkapp.verification_key {
                    Some(key) => {
                        columns.plain(STANDARD.encode(key.as_bytes()));
                        columns.plain(field_to_decimal(field_bytes(key.hash())));
                    }
                    None => (0..2).for_each(|_| columns.null()),
                }
                columns.plain(zkapp.zkapp_version);
                columns.fields(&zkapp.action_state);
                columns.plain(zkapp.last_action_slot);
                columns.plain(zkapp.proved_state);
                let uri = std::str::from_utf8(&zkapp.zkapp_uri);
                let uri = uri.map_err(|_| problem("a zkApp URI that is no UTF-8"))?;
                columns.text(uri, || problem("a zero byte in its zkApp URI"))?;
            }
        }
        line.push('\n');
        Ok(())
    }

    /// What comes behind `accounts` accounts.
    #[must_use]
    pub fn tail(&self, accounts: u64) -> String {
        sql::tail(self, accounts)
    }
}

fn word(auth: Auth) -> String {
    auth_word(auth).to_lowercase()
}

/// Columns of a line of `COPY`: separated by tabs, `\N` for null.
struct Columns<'l>(&'l mut String);

impl Columns<'_> {
    fn separate(&mut self) {
        if self.0.as_bytes().last().is_some_and(|last| *last != b'\n') {
            self.0.push('\t');
        }
    }

    fn null(&mut self) {
        self.separate();
        self.0.push_str("\\N");
    }

    /// A value without any character that has to be escaped.
    fn plain(&mut self, value: impl std::fmt::Display) {
        self.separate();
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{value}");
    }

    fn fields(&mut self, fields: &[FieldBytes]) {
        let texts: Vec<String> = fields
            .iter()
            .map(|field| field_to_decimal(*field))
            .collect();
        self.plain(format_args!("{{{}}}", texts.join(",")));
    }

    fn text(
        &mut self,
        text: &str,
        zero: impl FnOnce() -> PopulateError,
    ) -> Result<(), PopulateError> {
        if text.contains('\0') {
            return Err(zero());
        }
        // Not `separate` behind an empty value: the tab is of the column, whatever is in it.
        self.separate();
        for character in text.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '\t' => self.0.push_str("\\t"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}
