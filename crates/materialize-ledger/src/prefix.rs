//! The ledger after the beginning of a block.
//!
//! The proof of a full tree ends between two transactions of some block. The ledger there is the one
//! before the block with the first passes of the transactions up to that point: for a zkApp command
//! its fee alone, for every other transaction all of it. An account that no transaction behind the
//! point touches is taken as the block left it; one that none before it touches, as the block found
//! it; the rest is computed. What comes of it is a conjecture until a root proves it, and nobody
//! takes it before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fork_archive::{AccountName, BlockChanges, Transaction, TransactionKind};
use fork_ledger::account::{Account, Timing};
use fork_ledger::receipt::{CommandBody, receipt_chain_hash};
use fork_types::{Amount, Era, PublicKey, ReceiptChainHash, SlotSinceGenesis, TokenId};

/// An account at some point of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is not there yet.
    Absent,
    /// It is this.
    Account(Box<Account>),
    /// The archive does not say: its receipt chain goes over a zkApp command, or a number does not
    /// add up.
    Unknown,
}

/// An account that a block touches.
struct Touched {
    before: Option<Account>,
    after: Account,
    /// Transactions whose first pass touches it, by place in the block.
    first_passes: Vec<usize>,
    /// Those of them for which it pays.
    paid: Vec<usize>,
    /// Whether the second pass of a zkApp command touches it.
    has_second_pass: bool,
}

/// A block that is taken apart.
pub(crate) struct Prefixes<'a> {
    changes: &'a BlockChanges,
    era: Era,
    touched: BTreeMap<u64, Touched>,
    leaves: HashMap<AccountName, u64>,
    /// Transactions before the first one that names an account without a row.
    usable: usize,
}

impl<'a> Prefixes<'a> {
    /// Takes a block apart; `before` are the accounts that the block found, by leaf.
    pub(crate) fn new(
        changes: &'a BlockChanges,
        before: &BTreeMap<u64, Account>,
        era: Era,
    ) -> Self {
        let mut touched = BTreeMap::new();
        let mut leaves = HashMap::new();
        for row in &changes.accounts {
            let leaf = u64::from(row.index);
            leaves.insert((row.account.public_key, row.account.token_id), leaf);
            let account = Touched {
                before: before.get(&leaf).cloned(),
                after: row.account.clone(),
                first_passes: Vec::new(),
                paid: Vec::new(),
                has_second_pass: false,
            };
            touched.insert(leaf, account);
        }
        let mut prefixes = Self {
            changes,
            era,
            touched,
            leaves,
            usable: changes.transactions.len(),
        };
        prefixes.distribute();
        prefixes
    }

    /// Notes for each account what touches it.
    fn distribute(&mut self) {
        for (place, transaction) in self.changes.transactions.iter().enumerate() {
            for key in first_pass(transaction) {
                let leaf = self.leaves.get(&(key, TokenId::DEFAULT));
                let Some(account) = leaf.and_then(|leaf| self.touched.get_mut(leaf)) else {
                    self.usable = self.usable.min(place);
                    continue;
                };
                account.first_passes.push(place);
                if payer(transaction) == Some(key) {
                    account.paid.push(place);
                }
            }
            if let TransactionKind::Zkapp { updated, .. } = &transaction.kind {
                for name in updated {
                    let leaf = self.leaves.get(name);
                    if let Some(account) = leaf.and_then(|leaf| self.touched.get_mut(leaf)) {
                        account.has_second_pass = true;
                    }
                }
            }
        }
    }

    /// The lengths at which the order of the transactions begins again.
    pub(crate) fn by_order(&self) -> Vec<usize> {
        let pairs = self.changes.transactions.windows(2).enumerate();
        let cuts = pairs.filter_map(|(place, pair)| match pair {
            [before, after] if after.starts_over_after(before) => Some(place + 1),
            _ => None,
        });
        cuts.filter(|cut| *cut <= self.usable).collect()
    }

    /// All lengths that are not the block itself.
    pub(crate) fn all(&self) -> Vec<usize> {
        let whole = self.changes.transactions.len();
        // Without second passes the whole is the ledger after the block.
        let has_second_pass = self.touched.values().any(|account| account.has_second_pass);
        let end = whole.min(self.usable + 1) + usize::from(has_second_pass);
        (1..end).filter(|cut| *cut <= self.usable).collect()
    }

    /// Transactions of the block.
    pub(crate) fn transactions(&self) -> usize {
        self.changes.transactions.len()
    }

    /// The leaves whose accounts transactions `from` to `to` change, the last one excluded.
    pub(crate) fn changed(&self, from: usize, to: usize) -> BTreeSet<u64> {
        let touched = self.touched.iter().filter(|(_, account)| {
            let places = &account.first_passes;
            places.iter().any(|place| (from..to).contains(place))
        });
        touched.map(|(leaf, _)| *leaf).collect()
    }

    /// All accounts that are not as the block found them after `length` transactions; `None` when one
    /// of them is not known.
    pub(crate) fn accounts(&self, length: usize) -> Option<BTreeMap<u64, Account>> {
        let mut accounts = BTreeMap::new();
        for leaf in self.changed(0, length) {
            match self.account(leaf, length) {
                Known::Account(account) => {
                    accounts.insert(leaf, *account);
                }
                Known::Absent => {}
                Known::Unknown => return None,
            }
        }
        Some(accounts)
    }

    /// The account at a leaf after `length` transactions.
    pub(crate) fn account(&self, leaf: u64, length: usize) -> Known {
        let Some(touched) = self.touched.get(&leaf) else {
            return Known::Unknown;
        };
        let within = places_within(&touched.first_passes, length);
        if within.is_empty() {
            return match &touched.before {
                Some(account) => Known::Account(Box::new(account.clone())),
                None => Known::Absent,
            };
        }
        if within.len() == touched.first_passes.len() && !touched.has_second_pass {
            return Known::Account(Box::new(touched.after.clone()));
        }
        self.computed(touched, within, length, false)
            .map_or(Known::Unknown, |account| Known::Account(Box::new(account)))
    }

    /// The account at a leaf after all transactions, with nothing taken from the block's own rows;
    /// `with_receipt` says whether that holds for the receipt chain too.
    pub(crate) fn by_transactions(&self, leaf: u64, with_receipt: bool) -> Known {
        let Some(touched) = self.touched.get(&leaf) else {
            return Known::Unknown;
        };
        self.computed(touched, &touched.first_passes, self.usable, with_receipt)
            .map_or(Known::Unknown, |account| Known::Account(Box::new(account)))
    }

    /// Whether applied zkApp commands change the account beside their fee.
    pub(crate) fn has_second_pass(&self, leaf: u64) -> bool {
        let touched = self.touched.get(&leaf);
        touched.is_some_and(|touched| touched.has_second_pass)
    }

    /// Whether the account pays for a zkApp command.
    pub(crate) fn pays_for_zkapp(&self, leaf: u64) -> bool {
        let paid = self
            .touched
            .get(&leaf)
            .map(|touched| touched.paid.as_slice());
        paid.unwrap_or_default().iter().any(|place| {
            let transaction = self.changes.transactions.get(*place);
            transaction.is_some_and(|one| matches!(one.kind, TransactionKind::Zkapp { .. }))
        })
    }

    /// `is_strict` forbids to take the receipt chain from the block's own row.
    fn computed(
        &self,
        touched: &Touched,
        within: &[usize],
        length: usize,
        is_strict: bool,
    ) -> Option<Account> {
        let slot = self.changes.block.slot_since_genesis;
        let mut account = match &touched.before {
            Some(account) => account.clone(),
            None => self.new_account(touched),
        };
        let mut fee_of_creation = match &touched.before {
            Some(_) => None,
            None => {
                let name = (touched.after.public_key, touched.after.token_id);
                Some(*self.changes.created.get(&name)?)
            }
        };
        for place in within {
            let transaction = self.changes.transactions.get(*place)?;
            apply(transaction, &mut account, &mut fee_of_creation, slot)?;
        }
        account.receipt_chain_hash = self.receipt(touched, length, is_strict)?;
        Some(account)
    }

    /// The receipt chain: as the block left it when the account pays for nothing later, else computed
    /// over payments and delegations.
    fn receipt(
        &self,
        touched: &Touched,
        length: usize,
        is_strict: bool,
    ) -> Option<ReceiptChainHash> {
        let paid = places_within(&touched.paid, length);
        if !is_strict
            && paid.len() == touched.paid.len()
            && !paid.is_empty()
            && !touched.has_second_pass
        {
            return Some(touched.after.receipt_chain_hash);
        }
        let before = touched.before.as_ref();
        let mut hash = before.map_or(ReceiptChainHash::EMPTY, |account| {
            account.receipt_chain_hash
        });
        for place in paid {
            let TransactionKind::Signed { command, .. } =
                &self.changes.transactions.get(*place)?.kind
            else {
                return None;
            };
            hash = receipt_chain_hash(command, hash);
        }
        Some(hash)
    }

    /// A new account as a payment or an internal command makes it.
    fn new_account(&self, touched: &Touched) -> Account {
        Account {
            public_key: touched.after.public_key,
            token_id: touched.after.token_id,
            delegate: Some(touched.after.public_key),
            ..Account::empty(self.era)
        }
    }
}

/// The places below `length`; `places` rise.
fn places_within(places: &[usize], length: usize) -> &[usize] {
    let count = places.iter().take_while(|place| **place < length).count();
    places.get(..count).unwrap_or_default()
}

fn payer(transaction: &Transaction) -> Option<PublicKey> {
    match &transaction.kind {
        TransactionKind::Signed { command, .. } => Some(command.fee_payer),
        TransactionKind::Zkapp { fee_payer, .. } => Some(*fee_payer),
        TransactionKind::Internal { .. } => None,
    }
}

/// The accounts that the first pass of a transaction changes, each once.
fn first_pass(transaction: &Transaction) -> Vec<PublicKey> {
    match &transaction.kind {
        TransactionKind::Signed {
            command,
            is_applied,
        } => match command.body {
            CommandBody::Payment { receiver, .. }
                if *is_applied && receiver != command.fee_payer =>
            {
                vec![command.fee_payer, receiver]
            }
            _ => vec![command.fee_payer],
        },
        TransactionKind::Zkapp { fee_payer, .. } => vec![*fee_payer],
        TransactionKind::Internal { credits, .. } => {
            let mut keys: Vec<PublicKey> = credits.iter().map(|credit| credit.receiver).collect();
            keys.dedup();
            keys
        }
    }
}

/// What the first pass of a transaction does to one account, but for its receipt chain. `None` when
/// money is missing or there is too much of it.
///
/// Source: MinaProtocol/mina `src/lib/transaction_logic/mina_transaction_logic.ml`.
fn apply(
    transaction: &Transaction,
    account: &mut Account,
    fee_of_creation: &mut Option<Amount>,
    slot: SlotSinceGenesis,
) -> Option<()> {
    let key = account.public_key;
    match &transaction.kind {
        TransactionKind::Signed {
            command,
            is_applied,
        } => {
            let is_payer = command.fee_payer == key;
            if is_payer {
                pay_fee(account, command.fee, slot)?;
            }
            if !is_applied {
                return Some(());
            }
            match command.body {
                CommandBody::Payment { receiver, amount } => {
                    if is_payer {
                        debit(account, amount)?;
                    }
                    if receiver == key {
                        credit(account, amount, fee_of_creation)?;
                    }
                }
                CommandBody::Delegation { delegate } if is_payer => {
                    account.delegate = Some(delegate);
                }
                CommandBody::Delegation { .. } => {}
            }
        }
        TransactionKind::Zkapp { fee_payer, fee, .. } => {
            if *fee_payer == key {
                pay_fee(account, *fee, slot)?;
            }
        }
        TransactionKind::Internal { credits, .. } => {
            for given in credits.iter().filter(|credit| credit.receiver == key) {
                credit(account, given.amount, fee_of_creation)?;
                if given.settles_timing {
                    settle(account, slot);
                }
            }
        }
    }
    Some(())
}

fn pay_fee(account: &mut Account, fee: Amount, slot: SlotSinceGenesis) -> Option<()> {
    debit(account, fee)?;
    account.nonce = account.nonce.checked_add(1)?;
    settle(account, slot);
    Some(())
}

fn debit(account: &mut Account, amount: Amount) -> Option<()> {
    let left = account.balance.nanomina().checked_sub(amount.nanomina())?;
    account.balance = Amount::from_nanomina(left);
    Some(())
}

/// Gives money; the first money of a new account pays for its creation.
fn credit(
    account: &mut Account,
    amount: Amount,
    fee_of_creation: &mut Option<Amount>,
) -> Option<()> {
    let fee = fee_of_creation.take().unwrap_or(Amount::ZERO);
    let arrives = amount.nanomina().checked_sub(fee.nanomina())?;
    let sum = account.balance.nanomina().checked_add(arrives)?;
    account.balance = Amount::from_nanomina(sum);
    Some(())
}

/// A schedule that holds nothing back any more goes.
fn settle(account: &mut Account, slot: SlotSinceGenesis) {
    if let Timing::Timed(vesting) = account.timing
        && vesting.minimum_balance_at(slot) == 0
    {
        account.timing = Timing::Untimed;
    }
}
