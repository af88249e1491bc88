//! An archive database made up from a seed: a chain with orphaned and pending blocks, accounts of
//! every kind that change and are created, and the root of every block's ledger.
//!
//! The database is a text of SQL. An account that is created on a branch takes the next free leaf
//! there, so different branches have different accounts at the same leaf, as real ones do.

mod chain;
mod commands;
mod epochs;
mod network;
mod rows;

use std::collections::HashMap;

use fork_ledger::account::{Account, Timing};
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{Amount, Era, LedgerHash, ReceiptChainHash, Role, StateHash};

use crate::fixture::{Accounts, FixtureError, FixtureSpec, Random};
use network::SLOTS_PER_EPOCH;
use rows::Rows;

pub use chain::{BoundaryModel, ChainBlock, ChainModel, ChainSpec, chain};
pub use epochs::{Epochs, Parent};
pub use network::{GENESIS_SLOT_DELTA, SLOT_CHAIN_END, SLOT_TX_END, network_file, prefork_config};

/// Purpose of the random numbers of an archive.
const PURPOSE: u64 = 200;

/// Accounts that a block changes.
const CHANGED: u32 = 5;

/// The newest blocks, which are pending.
const PENDING: u32 = 2;

/// What an archive is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveSpec {
    /// Accounts of the genesis ledger, at least ten.
    pub accounts: u32,
    /// Height of the highest block.
    pub height: u32,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Era of the blocks.
    pub era: Era,
    /// Tables of Mesa's width, whatever the era of the blocks.
    pub wide: bool,
    /// Slots of an epoch, a multiple of three; there is a block in every third slot.
    pub slots_per_epoch: u32,
    /// Heights below this one belong to a chain before a hard fork, with other accounts.
    pub genesis_height: u32,
}

impl Default for ArchiveSpec {
    fn default() -> Self {
        Self {
            accounts: 40,
            height: 24,
            seed: 1,
            era: Era::Berkeley,
            wide: false,
            slots_per_epoch: SLOTS_PER_EPOCH,
            genesis_height: 1,
        }
    }
}

/// A block that is in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockModel {
    /// Row in `blocks`.
    pub id: u32,
    /// Its state hash.
    pub state_hash: StateHash,
    /// Its height.
    pub height: u32,
    /// What the archive calls it.
    pub status: &'static str,
    /// Root of its staged ledger.
    pub ledger_hash: LedgerHash,
    /// Accounts of that ledger.
    pub accounts: u32,
}

/// An archive and what is in it.
#[derive(Clone, Debug)]
pub struct ArchiveModel {
    /// Statements that make it in an empty database.
    pub sql: String,
    /// The blocks of the chain, by height, orphaned ones behind the one that stayed.
    pub blocks: Vec<BlockModel>,
    /// The genesis accounts, in leaf order.
    pub genesis: Vec<Account>,
}

/// Makes up an archive.
///
/// # Errors
///
/// Fails on a spec that asks for the impossible.
pub fn archive(spec: &ArchiveSpec) -> Result<ArchiveModel, FixtureError> {
    let created_max = spec.height * 4;
    let accounts = Accounts::new(&FixtureSpec {
        accounts: spec.accounts.max(crate::fixture::ACCOUNTS_MIN) + created_max,
        seed: spec.seed,
        era: spec.era,
        ..FixtureSpec::default()
    })?;
    let mut maker = Maker {
        spec: *spec,
        random: Random::new(spec.seed, PURPOSE, 0),
        accounts,
        created: spec.accounts,
        state: Vec::new(),
        rows: Rows::new(if spec.wide {
            Era::Mesa.app_state_len()
        } else {
            spec.era.app_state_len()
        }),
        blocks: Vec::new(),
        epochs: HashMap::new(),
    };
    maker.chain()?;
    let genesis = (0..spec.accounts).map(|index| maker.account(index));
    Ok(ArchiveModel {
        genesis: genesis.collect(),
        sql: maker.rows.into_sql(),
        blocks: maker.blocks,
    })
}

struct Maker {
    spec: ArchiveSpec,
    random: Random,
    accounts: Accounts,
    /// Accounts made so far, on all branches.
    created: u32,
    /// The ledger at the tip.
    state: Vec<Account>,
    rows: Rows,
    blocks: Vec<BlockModel>,
    /// Slot and epochs of every block, by its row.
    epochs: HashMap<u32, (u32, Epochs)>,
}

/// An account that a block sets, by leaf.
type Change = (usize, Account);

impl Maker {
    /// An account that a database can hold: text has no zero bytes there.
    fn account(&self, number: u32) -> Account {
        let mut account = self.accounts.account(Role::Genesis, number);
        if let Some(zkapp) = &mut account.zkapp {
            zkapp.zkapp_uri.retain(|byte| *byte != 0);
        }
        account
    }

    fn chain(&mut self) -> Result<(), FixtureError> {
        let first = self.spec.genesis_height;
        let mut parent = None;
        // Blocks of the chain before: the same accounts at other leaves, and one that the fork left
        // behind.
        let last = self.accounts.len(Role::Genesis) - 1;
        for height in 1..first {
            let others = (0..self.spec.accounts).rev().chain([last]);
            let changes: Vec<Change> = others
                .enumerate()
                .map(|(leaf, number)| (leaf, self.account(number)))
                .collect();
            let old = self.block(parent, height, "canonical", &changes, true)?;
            parent = Some(old);
        }
        self.blocks.clear();
        self.state = (0..self.spec.accounts)
            .map(|index| self.account(index))
            .collect();
        let genesis: Vec<Change> = self.state.iter().cloned().enumerate().collect();
        let mut tip = self.block(parent, first, "canonical", &genesis, false)?;
        for height in first + 1..=self.spec.height {
            if height % 3 == 0 {
                let changes = self.changes(2);
                let undo = self.apply(&changes);
                let orphan = self.block(Some(tip), height, "orphaned", &changes, false)?;
                if height % 6 == 0 {
                    let changes = self.changes(1);
                    let undo = self.apply(&changes);
                    self.block(Some(orphan), height + 1, "orphaned", &changes, false)?;
                    self.undo(undo);
                }
                self.undo(undo);
            }
            let changes = self.changes(u32::from(height % 2 == 0));
            self.apply(&changes);
            let status = if height + PENDING > self.spec.height {
                "pending"
            } else {
                "canonical"
            };
            tip = self.block(Some(tip), height, status, &changes, false)?;
        }
        Ok(())
    }

    /// Accounts that change, by other amounts and in other members each time, and `created` new ones.
    fn changes(&mut self, created: u32) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for number in 0..CHANGED {
            let leaf = self.random.below(self.state.len() as u64);
            let leaf = usize::try_from(leaf).unwrap_or_default();
            if changes.iter().any(|(other, _)| *other == leaf) {
                continue;
            }
            let mut account = self.state[leaf].clone();
            let balance = account.balance.nanomina() / 2 + u64::from(number) + 1;
            account.balance = Amount::from_nanomina(balance);
            account.nonce = account.nonce.saturating_add(1);
            account.receipt_chain_hash = ReceiptChainHash::new(self.random.field());
            match self.random.below(6) {
                0 => account.delegate = None,
                1 => account.timing = Timing::Untimed,
                2 => account.voting_for = StateHash::new(self.random.field()),
                3 => account.permissions.set_timing = fork_ledger::account::Auth::Impossible,
                _ => {}
            }
            if let Some(zkapp) = &mut account.zkapp {
                zkapp.app_state[0] = self.random.field();
                zkapp.zkapp_version = zkapp.zkapp_version.wrapping_add(1);
            }
            changes.push((leaf, account));
        }
        for number in 0..created {
            let account = self.account(self.created);
            self.created += 1;
            changes.push((self.state.len() + number as usize, account));
        }
        changes
    }

    /// Changes the ledger and returns what undoes it: its length, and the accounts as they were.
    fn apply(&mut self, changes: &[Change]) -> (usize, Vec<Change>) {
        let length = self.state.len();
        let mut before = Vec::new();
        for (leaf, account) in changes {
            if *leaf < self.state.len() {
                before.push((*leaf, self.state[*leaf].clone()));
                self.state[*leaf] = account.clone();
            } else {
                self.state.push(account.clone());
            }
        }
        (length, before)
    }

    fn undo(&mut self, (length, before): (usize, Vec<Change>)) {
        self.state.truncate(length);
        for (leaf, account) in before {
            self.state[leaf] = account;
        }
    }

    fn block(
        &mut self,
        parent: Option<BlockModel>,
        height: u32,
        status: &'static str,
        changes: &[Change],
        before_fork: bool,
    ) -> Result<BlockModel, FixtureError> {
        let mut root = RootBuilder::new(self.spec.era, self.spec.era.depth());
        let keys = VkHashCache::new();
        root.extend_from_slice(&hash_accounts(self.spec.era, &self.state, &keys)?)?;
        let block = BlockModel {
            id: self.rows.next_block(),
            state_hash: StateHash::new(self.random.field()),
            height,
            status,
            ledger_hash: ledger_hash(root.finish()),
            accounts: self.state.len() as u32,
        };
        let slot = 3 * (height - 1);
        let slot_since_fork = match height.checked_sub(self.spec.genesis_height) {
            Some(blocks) if !before_fork => 3 * blocks,
            _ => slot,
        };
        let before = parent.filter(|_| slot_since_fork > 0);
        let before = before.and_then(|parent| Some((parent, self.epochs.get(&parent.id)?)));
        let epochs = match before {
            None => Epochs::of_genesis(block.ledger_hash, &mut self.random),
            Some((parent, (parent_slot, epochs))) => {
                let parent = Parent {
                    state_hash: parent.state_hash,
                    slot: *parent_slot,
                    // A block's snarked ledger is its own: only the first is the genesis ledger.
                    snarked: (*parent_slot > 0).then_some(parent.ledger_hash),
                };
                let slots_per_epoch = self.spec.slots_per_epoch;
                epochs.of_child(parent, slot_since_fork, slots_per_epoch, &mut self.random)
            }
        };
        self.rows.block(
            &block,
            parent,
            [slot_since_fork, slot],
            self.spec.era,
            &epochs,
        );
        self.epochs.insert(block.id, (slot_since_fork, epochs));
        for (leaf, account) in changes {
            self.rows.account(block.id, *leaf, account);
        }
        self.blocks.push(block);
        Ok(block)
    }
}
