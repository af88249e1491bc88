//! What happened in a block: its transactions in order, and the accounts as it left them.

use std::collections::{BTreeMap, HashMap};

use fork_ledger::receipt::{CommandBody, SignedCommand};
use fork_types::{Amount, PublicKey, TokenId};

use crate::account::{AccountStream, ArchivedAccount};
use crate::archive::Archive;
use crate::block::{ArchiveBlock, Value};
use crate::client::Row;
use crate::error::{ArchiveError, ArchiveErrorKind};

/// Transactions of a block that are read: some fifty times what a block has room for.
pub const TRANSACTIONS_MAX: usize = 20_000;

/// An account, by key and token.
pub type AccountName = (PublicKey, TokenId);

/// A transaction of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its place among the block's transactions, which may have gaps.
    pub sequence: u32,
    /// What it is.
    pub kind: TransactionKind,
}

/// What a transaction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionKind {
    /// A payment or a delegation.
    Signed {
        /// The command.
        command: SignedCommand,
        /// Whether it did more than pay its fee.
        is_applied: bool,
    },
    /// A zkApp command.
    Zkapp {
        /// Hash of the command, as the archive writes it.
        hash: String,
        /// Who pays the fee.
        fee_payer: PublicKey,
        /// The fee.
        fee: Amount,
        /// The accounts its updates name; none when it failed.
        updated: Vec<AccountName>,
    },
    /// A coinbase with its fee transfer, or one or two fee transfers.
    Internal {
        /// Whether it is a coinbase.
        is_coinbase: bool,
        /// Who gets what.
        credits: Vec<Credit>,
    },
}

/// Money that an internal command gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Who gets it.
    pub receiver: PublicKey,
    /// How much.
    pub amount: Amount,
    /// Whether the schedule of the account is looked at, and removed when it is over.
    pub settles_timing: bool,
}

impl Transaction {
    /// Whether the order of a tree's part of a block (commands, coinbase, fee transfers) begins again
    /// here: then the transactions from here on belong to the next tree.
    #[must_use]
    pub fn starts_over_after(&self, before: &Self) -> bool {
        use TransactionKind::{Internal, Signed, Zkapp};
        matches!(
            (&before.kind, &self.kind),
            (Internal { .. }, Signed { .. } | Zkapp { .. })
                | (
                    Internal {
                        is_coinbase: false,
                        ..
                    },
                    Internal {
                        is_coinbase: true,
                        ..
                    },
                )
        )
    }
}

/// Everything a block did to the ledger.
#[derive(Clone, Debug)]
pub struct BlockChanges {
    /// The block.
    pub block: ArchiveBlock,
    /// Its transactions in order.
    pub transactions: Vec<Transaction>,
    /// The accounts it touched, as it left them.
    pub accounts: Vec<ArchivedAccount>,
    /// The accounts it made, and what each paid for that.
    pub created: HashMap<AccountName, Amount>,
}

const SIGNED: &str = "\
    SELECT b.sequence_no, b.status, c.command_type, f.value, r.value, c.nonce, c.amount, c.fee, \
      c.valid_until, c.memo, b.user_command_id \
    FROM blocks_user_commands b \
    LEFT JOIN user_commands c ON c.id = b.user_command_id \
    LEFT JOIN public_keys f ON f.id = c.fee_payer_id \
    LEFT JOIN public_keys r ON r.id = c.receiver_id \
    WHERE b.block_id = $1 ORDER BY 1";

const ZKAPP: &str = "\
    SELECT b.sequence_no, b.status, c.hash, f.value, p.fee, b.zkapp_command_id \
    FROM blocks_zkapp_commands b \
    LEFT JOIN zkapp_commands c ON c.id = b.zkapp_command_id \
    LEFT JOIN zkapp_fee_payer_body p ON p.id = c.zkapp_fee_payer_body_id \
    LEFT JOIN public_keys f ON f.id = p.public_key_id \
    WHERE b.block_id = $1 ORDER BY 1";

/// The accounts that applied zkApp commands update.
const UPDATED: &str = "\
    SELECT b.sequence_no, k.value, t.value \
    FROM blocks_zkapp_commands b \
    JOIN zkapp_commands c ON c.id = b.zkapp_command_id \
    CROSS JOIN LATERAL unnest(c.zkapp_account_updates_ids) AS u (id) \
    LEFT JOIN zkapp_account_update a ON a.id = u.id \
    LEFT JOIN zkapp_account_update_body d ON d.id = a.body_id \
    LEFT JOIN account_identifiers i ON i.id = d.account_identifier_id \
    LEFT JOIN public_keys k ON k.id = i.public_key_id \
    LEFT JOIN tokens t ON t.id = i.token_id \
    WHERE b.block_id = $1 AND b.status = 'applied' ORDER BY 1";

const INTERNAL: &str = "\
    SELECT b.sequence_no, b.secondary_sequence_no, b.status, c.command_type, r.value, c.fee \
    FROM blocks_internal_commands b \
    LEFT JOIN internal_commands c ON c.id = b.internal_command_id \
    LEFT JOIN public_keys r ON r.id = c.receiver_id \
    WHERE b.block_id = $1 ORDER BY 1, 2, c.command_type";

const CREATED: &str = "\
    SELECT k.value, t.value, a.creation_fee \
    FROM accounts_created a \
    LEFT JOIN account_identifiers i ON i.id = a.account_identifier_id \
    LEFT JOIN public_keys k ON k.id = i.public_key_id \
    LEFT JOIN tokens t ON t.id = i.token_id \
    WHERE a.block_id = $1";

/// A row of `blocks_internal_commands`.
struct InternalRow {
    is_coinbase: bool,
    is_applied: bool,
    receiver: PublicKey,
    fee: Amount,
}

impl Archive {
    /// Reads what a block did.
    ///
    /// # Errors
    ///
    /// Fails on values that cannot be, on rows that are missing, and when the server does.
    pub fn changes(&mut self, block: &ArchiveBlock) -> Result<BlockChanges, ArchiveError> {
        let mut transactions = self.signed_commands(block)?;
        transactions.extend(self.zkapp_commands(block)?);
        transactions.extend(self.internal_commands(block)?);
        transactions.sort_by_key(|transaction| transaction.sequence);
        let created = self.created(block)?;
        let era = self.era(block)?;
        let mut stream = AccountStream::of_block(self, block, era)?;
        let mut accounts = Vec::new();
        while let Some(batch) = stream.next_batch()? {
            limit(accounts.len() + batch.len(), "accounts touched by a block")?;
            accounts.extend(batch);
        }
        Ok(BlockChanges {
            block: block.clone(),
            transactions,
            accounts,
            created,
        })
    }

    /// Runs a query about a block.
    fn of_block(
        &mut self,
        block: &ArchiveBlock,
        sql: &str,
        visit: &mut dyn FnMut(&Row<'_>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut rows = 0;
        let id = block.id.to_string();
        let mut counted = |row: &Row<'_>| {
            rows += 1;
            limit(rows, "rows of transactions of a block")?;
            visit(row)
        };
        self.client
            .query("read transactions", sql, &[&id], &mut counted)
    }

    fn signed_commands(&mut self, block: &ArchiveBlock) -> Result<Vec<Transaction>, ArchiveError> {
        let mut commands = Vec::new();
        self.of_block(block, SIGNED, &mut |row| {
            let name = format!("row {}", row.text(10).unwrap_or("without an id"));
            let value = |number, column| Value::new(row, (number, column), "user_commands", &name);
            let receiver = value(4, "receiver_id").parse()?;
            let kind = value(2, "command_type");
            let body = match kind.text()? {
                "payment" => CommandBody::Payment {
                    receiver,
                    amount: value(6, "amount").nanomina()?,
                },
                "delegation" => CommandBody::Delegation { delegate: receiver },
                _ => return Err(kind.bad("neither payment nor delegation")),
            };
            commands.push(Transaction {
                sequence: value(0, "sequence_no").parse()?,
                kind: TransactionKind::Signed {
                    command: SignedCommand {
                        fee_payer: value(3, "fee_payer_id").parse()?,
                        fee: value(7, "fee").nanomina()?,
                        nonce: value(5, "nonce").parse()?,
                        valid_until: value(8, "valid_until").parse_nullable()?,
                        memo: value(9, "memo").parse()?,
                        body,
                    },
                    is_applied: applied(&value(1, "status"))?,
                },
            });
            Ok(())
        })?;
        Ok(commands)
    }

    fn zkapp_commands(&mut self, block: &ArchiveBlock) -> Result<Vec<Transaction>, ArchiveError> {
        let mut updated: BTreeMap<u32, Vec<AccountName>> = BTreeMap::new();
        self.of_block(block, UPDATED, &mut |row| {
            let value = |number, column| {
                Value::new(
                    row,
                    (number, column),
                    "zkapp_account_update_body",
                    "an update",
                )
            };
            let account = (
                value(1, "account_identifier_id").parse()?,
                value(2, "account_identifier_id").parse()?,
            );
            let of = updated.entry(value(0, "sequence_no").parse()?).or_default();
            if !of.contains(&account) {
                of.push(account);
            }
            Ok(())
        })?;
        let mut commands = Vec::new();
        self.of_block(block, ZKAPP, &mut |row| {
            let name = format!("row {}", row.text(5).unwrap_or("without an id"));
            let value = |number, column| Value::new(row, (number, column), "zkapp_commands", &name);
            let sequence = value(0, "sequence_no").parse()?;
            applied(&value(1, "status"))?;
            commands.push(Transaction {
                sequence,
                kind: TransactionKind::Zkapp {
                    hash: value(2, "hash").text()?.chars().take(100).collect(),
                    fee_payer: value(3, "zkapp_fee_payer_body_id").parse()?,
                    fee: value(4, "zkapp_fee_payer_body_id").nanomina()?,
                    updated: updated.remove(&sequence).unwrap_or_default(),
                },
            });
            Ok(())
        })?;
        Ok(commands)
    }

    fn internal_commands(
        &mut self,
        block: &ArchiveBlock,
    ) -> Result<Vec<Transaction>, ArchiveError> {
        let mut grouped: BTreeMap<u32, Vec<InternalRow>> = BTreeMap::new();
        self.of_block(block, INTERNAL, &mut |row| {
            let value = |number, column| {
                Value::new(
                    row,
                    (number, column),
                    "internal_commands",
                    "a row of a block",
                )
            };
            let kind = value(3, "command_type");
            let is_coinbase = match kind.text()? {
                "coinbase" => true,
                "fee_transfer" | "fee_transfer_via_coinbase" => false,
                _ => return Err(kind.bad("no kind of internal command")),
            };
            let rows = grouped.entry(value(0, "sequence_no").parse()?).or_default();
            rows.push(InternalRow {
                is_coinbase,
                is_applied: applied(&value(2, "status"))?,
                receiver: value(4, "receiver_id").parse()?,
                fee: value(5, "fee").nanomina()?,
            });
            Ok(())
        })?;
        let transactions = grouped.into_iter().map(|(sequence, rows)| Transaction {
            sequence,
            kind: internal(&rows),
        });
        Ok(transactions.collect())
    }

    fn created(
        &mut self,
        block: &ArchiveBlock,
    ) -> Result<HashMap<AccountName, Amount>, ArchiveError> {
        let mut created = HashMap::new();
        self.of_block(block, CREATED, &mut |row| {
            let value = |number, column| {
                Value::new(
                    row,
                    (number, column),
                    "accounts_created",
                    "a row of a block",
                )
            };
            let account = (
                value(0, "account_identifier_id").parse()?,
                value(1, "account_identifier_id").parse()?,
            );
            created.insert(account, value(2, "creation_fee").nanomina()?);
            Ok(())
        })?;
        Ok(created)
    }
}

/// What the rows of one `sequence_no` do together.
fn internal(rows: &[InternalRow]) -> TransactionKind {
    let coinbase = rows.iter().find(|row| row.is_coinbase);
    let mut credits: Vec<Credit> = Vec::new();
    let transfers: Vec<&InternalRow> = rows.iter().filter(|row| !row.is_coinbase).collect();
    let count = transfers.len();
    for (number, row) in transfers.iter().enumerate() {
        let is_last = number + 1 == count;
        if !row.is_applied {
            continue;
        }
        match credits
            .iter_mut()
            .find(|credit| credit.receiver == row.receiver)
        {
            // Two transfers to one account are one.
            Some(credit) => {
                credit.amount = sum(credit.amount, row.fee);
                credit.settles_timing = true;
            }
            None => credits.push(Credit {
                receiver: row.receiver,
                amount: row.fee,
                // The schedule of the first of two is left alone.
                settles_timing: is_last,
            }),
        }
    }
    if let Some(coinbase) = coinbase.filter(|row| row.is_applied) {
        // The transfer is paid from the coinbase, whether it arrives or not.
        let paid = transfers
            .iter()
            .fold(Amount::ZERO, |paid, row| sum(paid, row.fee));
        let amount = coinbase.fee.nanomina().saturating_sub(paid.nanomina());
        credits.push(Credit {
            receiver: coinbase.receiver,
            amount: Amount::from_nanomina(amount),
            settles_timing: credits.is_empty(),
        });
    }
    TransactionKind::Internal {
        is_coinbase: coinbase.is_some(),
        credits,
    }
}

fn sum(a: Amount, b: Amount) -> Amount {
    Amount::from_nanomina(a.nanomina().saturating_add(b.nanomina()))
}

fn applied(status: &Value<'_>) -> Result<bool, ArchiveError> {
    match status.text()? {
        "applied" => Ok(true),
        "failed" => Ok(false),
        _ => Err(status.bad("neither applied nor failed")),
    }
}

fn limit(count: usize, what: &'static str) -> Result<(), ArchiveError> {
    if count <= TRANSACTIONS_MAX {
        return Ok(());
    }
    Err(ArchiveErrorKind::TooMany {
        what,
        max: TRANSACTIONS_MAX as u64,
    }
    .into())
}

#[cfg(test)]
mod tests {
    use fork_types::FieldBytes;

    use super::*;

    fn row(kind: &str, to: u8, fee: u64, is_applied: bool) -> InternalRow {
        let mut key = [0; 32];
        key[0] = to;
        InternalRow {
            is_coinbase: kind == "coinbase",
            is_applied,
            receiver: PublicKey::new(FieldBytes::from_le_bytes(key).unwrap(), false),
            fee: Amount::from_nanomina(fee),
        }
    }

    fn credits(rows: &[InternalRow]) -> Vec<(u8, u64, bool)> {
        let TransactionKind::Internal { credits, .. } = internal(rows) else {
            panic!("not internal");
        };
        credits
            .iter()
            .map(|credit| {
                (
                    credit.receiver.x().as_le_bytes()[0],
                    credit.amount.nanomina(),
                    credit.settles_timing,
                )
            })
            .collect()
    }

    #[test]
    fn rows_of_one_number_are_one_transaction() {
        let coinbase = || row("coinbase", 1, 720, true);
        let transfer = |to, fee| row("fee_transfer", to, fee, true);
        assert_eq!(credits(&[coinbase()]), [(1, 720, true)]);
        assert_eq!(
            credits(&[coinbase(), transfer(2, 20)]),
            [(2, 20, true), (1, 700, false)]
        );
        assert_eq!(
            credits(&[coinbase(), row("fee_transfer", 2, 20, false)]),
            [(1, 700, true)]
        );
        assert_eq!(credits(&[row("coinbase", 1, 720, false)]), []);
        assert_eq!(
            credits(&[transfer(2, 20), transfer(3, 30)]),
            [(2, 20, false), (3, 30, true)]
        );
        assert_eq!(
            credits(&[transfer(2, 20), transfer(2, 30)]),
            [(2, 50, true)]
        );
    }

    #[test]
    fn the_order_begins_again() {
        let make = |kind| Transaction { sequence: 0, kind };
        let coinbase = make(internal(&[row("coinbase", 1, 720, true)]));
        let transfer = make(internal(&[row("fee_transfer", 1, 7, true)]));
        let command = make(TransactionKind::Zkapp {
            hash: String::new(),
            fee_payer: PublicKey::EMPTY,
            fee: Amount::ZERO,
            updated: Vec::new(),
        });
        for (before, after, expected) in [
            (&command, &command, false),
            (&command, &coinbase, false),
            (&coinbase, &transfer, false),
            (&coinbase, &coinbase, false),
            (&transfer, &transfer, false),
            (&transfer, &coinbase, true),
            (&transfer, &command, true),
            (&coinbase, &command, true),
        ] {
            assert_eq!(after.starts_over_after(before), expected);
        }
    }
}
