//! Transactions: what they do to a made-up ledger, and their rows.
//!
//! This is the other side's program: transactions forwards, in two passes, as the protocol applies
//! them. Nothing of the code that takes blocks apart is used here but the receipt chain hash, which
//! published archives prove.

use fork_ledger::account::{Account, Timing};
use fork_ledger::receipt::{CommandBody, SignedCommand, receipt_chain_hash};
use fork_types::{
    Amount, Era, LedgerHash, Memo, PublicKey, ReceiptChainHash, SlotSinceGenesis, TokenId,
};

use super::epochs::Epochs;
use super::rows::{GENESIS_MS, Rows, SCHEMA, SLOT_MS, or_null, quoted};
use crate::fixture::Random;

/// What a new account pays, in nanomina.
pub(super) const CREATION_FEE: u64 = 1_000_000_000;

/// The tables of transactions, in place of the short ones.
const TABLES: &str = "\
CREATE TYPE transaction_status AS ENUM ('applied', 'failed');
CREATE TYPE user_command_type AS ENUM ('payment', 'delegation');
CREATE TYPE internal_command_type AS ENUM ('fee_transfer_via_coinbase', 'fee_transfer', 'coinbase');
CREATE TABLE user_commands (id serial PRIMARY KEY, command_type user_command_type NOT NULL,
  fee_payer_id int NOT NULL, source_id int NOT NULL, receiver_id int NOT NULL,
  nonce bigint NOT NULL, amount text, fee text NOT NULL, valid_until bigint, memo text NOT NULL,
  hash text NOT NULL);
CREATE TABLE zkapp_fee_payer_body (id serial PRIMARY KEY, public_key_id int NOT NULL,
  fee text NOT NULL, valid_until bigint, nonce bigint NOT NULL);
CREATE TABLE zkapp_account_update_body (id serial PRIMARY KEY, account_identifier_id int NOT NULL);
CREATE TABLE zkapp_account_update (id serial PRIMARY KEY, body_id int NOT NULL);
CREATE TABLE zkapp_commands (id serial PRIMARY KEY, zkapp_fee_payer_body_id int NOT NULL,
  zkapp_account_updates_ids int[] NOT NULL, memo text NOT NULL, hash text NOT NULL);
CREATE TABLE internal_commands (id serial PRIMARY KEY, command_type internal_command_type NOT NULL,
  receiver_id int NOT NULL, fee text NOT NULL, hash text NOT NULL);
CREATE TABLE accounts_created (block_id int NOT NULL, account_identifier_id int NOT NULL,
  creation_fee text NOT NULL, PRIMARY KEY (block_id, account_identifier_id));
CREATE TABLE blocks_user_commands (block_id int NOT NULL, user_command_id int NOT NULL,
  sequence_no int NOT NULL, status transaction_status NOT NULL, failure_reason text);
CREATE TABLE blocks_zkapp_commands (block_id int NOT NULL, zkapp_command_id int NOT NULL,
  sequence_no int NOT NULL, status transaction_status NOT NULL, failure_reasons_ids int[]);
CREATE TABLE blocks_internal_commands (block_id int NOT NULL, internal_command_id int NOT NULL,
  sequence_no int NOT NULL, secondary_sequence_no int NOT NULL,
  status transaction_status NOT NULL, failure_reason text);
";

/// The schema with whole tables of transactions.
pub(super) fn schema() -> String {
    let short = "CREATE TABLE blocks_user_commands";
    let end = SCHEMA.find(short).unwrap_or(SCHEMA.len());
    format!("{}{TABLES}", &SCHEMA[..end])
}

/// A transaction of a made-up block.
#[derive(Clone, Debug)]
pub(super) enum Transaction {
    /// A payment or a delegation, and whether it is applied.
    Signed(SignedCommand, bool),
    /// A zkApp command.
    Zkapp {
        payer: PublicKey,
        fee: u64,
        nonce: u32,
        receipt: ReceiptChainHash,
        /// The accounts it changes, with what it gives (or takes from) each.
        updates: Vec<(PublicKey, i64)>,
        is_applied: bool,
    },
    /// A coinbase, with the transfer paid from it.
    Coinbase {
        receiver: PublicKey,
        amount: u64,
        transfer: Option<(PublicKey, u64)>,
        is_applied: bool,
    },
    /// One or two fee transfers, and whether each is applied.
    FeeTransfer(Vec<(PublicKey, u64, bool)>),
}

/// A ledger while a block is applied to it.
pub(super) struct Ledger<'a> {
    pub(super) era: Era,
    pub(super) state: &'a mut Vec<Account>,
    pub(super) slot: SlotSinceGenesis,
    /// Leaves that were touched.
    pub(super) touched: std::collections::BTreeSet<usize>,
    /// Leaves that were made.
    pub(super) created: Vec<usize>,
}

impl Ledger<'_> {
    pub(super) fn leaf(&self, key: &PublicKey) -> Option<usize> {
        self.state
            .iter()
            .position(|account| account.public_key == *key && account.token_id == TokenId::DEFAULT)
    }

    fn touch(&mut self, key: &PublicKey) -> Option<&mut Account> {
        let leaf = self.leaf(key)?;
        self.touched.insert(leaf);
        self.state.get_mut(leaf)
    }

    /// Gives money, to a new account when there is none.
    fn give(&mut self, key: &PublicKey, amount: u64) {
        let mut arrives = amount;
        if self.leaf(key).is_none() {
            let account = Account {
                public_key: *key,
                delegate: Some(*key),
                ..Account::empty(self.era)
            };
            self.created.push(self.state.len());
            self.state.push(account);
            arrives -= CREATION_FEE;
        }
        if let Some(account) = self.touch(key) {
            let sum = account.balance.nanomina() + arrives;
            account.balance = Amount::from_nanomina(sum);
        }
    }

    fn settle(&mut self, key: &PublicKey) {
        let slot = self.slot;
        if let Some(account) = self.touch(key)
            && let Timing::Timed(vesting) = account.timing
            && vesting.minimum_balance_at(slot) == 0
        {
            account.timing = Timing::Untimed;
        }
    }

    fn pay(&mut self, key: &PublicKey, amount: u64) {
        if let Some(account) = self.touch(key) {
            let left = account.balance.nanomina() - amount;
            account.balance = Amount::from_nanomina(left);
        }
    }

    /// All of a transaction, and of a zkApp command its fee.
    pub(super) fn first_pass(&mut self, transaction: &Transaction) {
        match transaction {
            Transaction::Signed(command, is_applied) => {
                let payer = command.fee_payer;
                self.pay(&payer, command.fee.nanomina());
                self.settle(&payer);
                if let Some(account) = self.touch(&payer) {
                    account.nonce += 1;
                    account.receipt_chain_hash =
                        receipt_chain_hash(command, account.receipt_chain_hash);
                }
                match command.body {
                    CommandBody::Payment { receiver, amount } if *is_applied => {
                        self.pay(&payer, amount.nanomina());
                        self.give(&receiver, amount.nanomina());
                    }
                    CommandBody::Delegation { delegate } if *is_applied => {
                        if let Some(account) = self.touch(&payer) {
                            account.delegate = Some(delegate);
                        }
                    }
                    _ => {}
                }
            }
            Transaction::Zkapp {
                payer,
                fee,
                receipt,
                ..
            } => {
                self.pay(payer, *fee);
                self.settle(payer);
                if let Some(account) = self.touch(payer) {
                    account.nonce += 1;
                    account.receipt_chain_hash = *receipt;
                }
            }
            Transaction::Coinbase {
                receiver,
                amount,
                transfer,
                is_applied,
            } => {
                let mut left = *amount;
                if let Some((other, fee)) = transfer {
                    left -= fee;
                    self.give(other, *fee);
                    self.settle(other);
                }
                if *is_applied {
                    self.give(receiver, left);
                    if transfer.is_none() {
                        self.settle(receiver);
                    }
                }
            }
            Transaction::FeeTransfer(transfers) => {
                let last = transfers.len() - 1;
                for (number, (receiver, fee, is_applied)) in transfers.iter().enumerate() {
                    if *is_applied {
                        self.give(receiver, *fee);
                        if number == last {
                            self.settle(receiver);
                        }
                    }
                }
            }
        }
    }

    /// What an applied zkApp command does to other accounts.
    pub(super) fn second_pass(&mut self, transaction: &Transaction, random: &mut Random) {
        let Transaction::Zkapp {
            updates,
            is_applied: true,
            ..
        } = transaction
        else {
            return;
        };
        for (key, change) in updates {
            if let Some(account) = self.touch(key) {
                let balance = account.balance.nanomina().saturating_add_signed(*change);
                account.balance = Amount::from_nanomina(balance);
                account.receipt_chain_hash = ReceiptChainHash::new(random.field());
                account.voting_for = fork_types::StateHash::new(random.field());
                if let Some(zkapp) = &mut account.zkapp {
                    zkapp.app_state[0] = random.field();
                }
            }
        }
    }
}

/// A block's own values.
pub(super) struct BlockRow<'a> {
    pub(super) id: u32,
    pub(super) state_hash: String,
    pub(super) parent: Option<(u32, String)>,
    pub(super) height: u32,
    pub(super) slots: [u32; 2],
    pub(super) status: &'a str,
    pub(super) ledger_hash: LedgerHash,
    pub(super) snarked: LedgerHash,
    pub(super) total: u64,
    pub(super) epochs: &'a Epochs,
    pub(super) era: Era,
}

impl Rows {
    pub(super) fn chain_block(&mut self, block: &BlockRow<'_>) {
        let version = format!("{}, 0, 0", block.era.txn_version());
        let version = self.id("protocol_versions", &version);
        let snarked = quoted(&block.snarked.to_string());
        let snarked = self.id("snarked_ledger_hashes", &snarked);
        let [staking, next] = self.epochs(block.epochs);
        let output = block.epochs.last_vrf_output;
        let (parent_id, parent_hash) = match &block.parent {
            Some((id, hash)) => (id.to_string(), hash.clone()),
            None => ("NULL".to_owned(), block.state_hash.clone()),
        };
        let [since_fork, since_genesis] = block.slots;
        let time = GENESIS_MS + u64::from(since_genesis) * SLOT_MS;
        let values = format!(
            "{}, {}, {parent_id}, {}, '{output}', {snarked}, {staking}, {next}, '{}', {}, {}, \
             {since_fork}, {since_genesis}, {version}, '{time}', '{}'",
            block.id,
            quoted(&block.state_hash),
            quoted(&parent_hash),
            block.total,
            quoted(&block.ledger_hash.to_string()),
            block.height,
            block.status,
        );
        self.add("blocks", &values);
    }

    pub(super) fn created(&mut self, block: u32, account: &Account) {
        let identifier = self.identifier(&account.public_key, account.token_id);
        self.add(
            "accounts_created",
            &format!("{block}, {identifier}, '{CREATION_FEE}'"),
        );
    }

    pub(super) fn transaction(&mut self, block: u32, sequence: usize, transaction: &Transaction) {
        let status = |is_applied: bool| if is_applied { "applied" } else { "failed" };
        match transaction {
            Transaction::Signed(command, is_applied) => {
                let payer = self.key(&command.fee_payer);
                let receiver = self.key(&command.body.receiver());
                let (kind, amount) = match command.body {
                    CommandBody::Payment { amount, .. } => {
                        ("payment", format!("'{}'", amount.nanomina()))
                    }
                    CommandBody::Delegation { .. } => ("delegation", "NULL".to_owned()),
                };
                let valid_until = command
                    .valid_until
                    .and_then(|slot| usize::try_from(slot).ok());
                let values = format!(
                    "'{kind}', {payer}, {payer}, {receiver}, {}, {amount}, '{}', {}, {}, '5J{block}-{sequence}'",
                    command.nonce,
                    command.fee.nanomina(),
                    or_null(valid_until),
                    quoted(command.memo.text().as_str()),
                );
                let id = self.id("user_commands", &values);
                let values = format!("{block}, {id}, {sequence}, '{}'", status(*is_applied));
                self.add("blocks_user_commands", &values);
            }
            Transaction::Zkapp {
                payer,
                fee,
                nonce,
                updates,
                is_applied,
                ..
            } => {
                let payer = self.key(payer);
                let body = format!("{payer}, '{fee}', NULL, {nonce}");
                let body = self.id("zkapp_fee_payer_body", &body);
                let updates: Vec<String> = updates
                    .iter()
                    .map(|(key, _)| {
                        let identifier = self.identifier(key, TokenId::DEFAULT);
                        let body = self.id("zkapp_account_update_body", &identifier.to_string());
                        self.id("zkapp_account_update", &body.to_string())
                            .to_string()
                    })
                    .collect();
                let values = format!(
                    "{body}, '{{{}}}', 'memo', '5K{block}-{sequence}'",
                    updates.join(",")
                );
                let id = self.id("zkapp_commands", &values);
                let values = format!("{block}, {id}, {sequence}, '{}'", status(*is_applied));
                self.add("blocks_zkapp_commands", &values);
            }
            Transaction::Coinbase {
                receiver,
                amount,
                transfer,
                is_applied,
            } => {
                let applied = status(*is_applied);
                self.internal(
                    block,
                    (sequence, 0),
                    "coinbase",
                    (receiver, *amount),
                    applied,
                );
                if let Some((other, fee)) = transfer {
                    // Older archives write the one, newer ones the other.
                    let (kind, secondary) = match block % 2 {
                        0 => ("fee_transfer", 0),
                        _ => ("fee_transfer_via_coinbase", 1),
                    };
                    let place = (sequence, secondary);
                    self.internal(block, place, kind, (other, *fee), "applied");
                }
            }
            Transaction::FeeTransfer(transfers) => {
                for (number, (receiver, fee, is_applied)) in transfers.iter().enumerate() {
                    let place = (sequence, number);
                    let applied = status(*is_applied);
                    self.internal(block, place, "fee_transfer", (receiver, *fee), applied);
                }
            }
        }
    }

    fn internal(
        &mut self,
        block: u32,
        (sequence, secondary): (usize, usize),
        kind: &str,
        (receiver, fee): (&PublicKey, u64),
        status: &str,
    ) {
        let receiver = self.key(receiver);
        let values = format!("'{kind}', {receiver}, '{fee}', '5L{receiver}-{fee}'");
        let id = self.id("internal_commands", &values);
        let values = format!("{block}, {id}, {sequence}, {secondary}, '{status}'");
        self.add("blocks_internal_commands", &values);
    }
}

/// A memo with some text.
pub(super) fn memo(random: &mut Random) -> Memo {
    let mut bytes = [0; Memo::BYTES];
    bytes[0] = 1;
    bytes[1] = 32;
    bytes[2..].copy_from_slice(&random.bytes());
    Memo::new(bytes)
}
