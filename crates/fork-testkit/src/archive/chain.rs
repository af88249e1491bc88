//! A made-up archive whose blocks follow from their transactions: with trees that end inside blocks,
//! snarked ledgers that trail behind, and epochs that take their ledgers from them.

mod making;

use fork_genesis::block::{Block, SyntheticBlock};
use fork_genesis::protocol_state::Constants;
use fork_ledger::account::{Account, Timing, Vesting};
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_types::{
    Amount, Era, LedgerHash, PublicKey, Role, SlotSinceGenesis, SlotSinceHardFork, SlotSpan,
    StateHash, TokenId,
};

use super::commands::{BlockRow, Ledger, Transaction, schema};
use super::epochs::{Epochs, Parent};
use super::rows::{GENESIS_MS, Rows, SLOT_MS};
use crate::fixture::{Accounts, FixtureError, FixtureSpec, Random};

/// Purpose of the random numbers of a chain.
const PURPOSE: u64 = 201;

/// Slots from one block to the next.
const SLOTS_PER_BLOCK: u32 = 3;

/// Accounts that pay for things: the first ones of the default token.
const PAYERS: usize = 14;

/// What an archive of transactions is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// Accounts of the genesis ledger, at least 30.
    pub accounts: u32,
    /// Height of the highest block.
    pub height: u32,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Era of the blocks.
    pub era: Era,
    /// Tables of Mesa's width, whatever the era of the blocks.
    pub wide: bool,
    /// Blocks in an epoch.
    pub epoch_blocks: u32,
    /// Blocks that the snarked ledger trails behind.
    pub lag: u32,
    /// The block at this height has an account that pays for a zkApp command before the end of the
    /// tree and for something behind it: the archive does not give its receipt chain there.
    pub unknown_at: Option<u32>,
    /// From this height on blocks are empty, as after the end of transactions.
    pub empty_from: u32,
}

impl Default for ChainSpec {
    fn default() -> Self {
        Self {
            accounts: 40,
            height: 20,
            seed: 1,
            era: Era::Berkeley,
            wide: false,
            epoch_blocks: 5,
            lag: 3,
            unknown_at: None,
            empty_from: u32::MAX,
        }
    }
}

impl ChainSpec {
    /// The description of the network, with the stop slots 60 and 70.
    #[must_use]
    pub fn network_toml(&self) -> String {
        let era = self.era;
        let slots_per_epoch = SLOTS_PER_BLOCK * self.epoch_blocks;
        format!(
            "name = \"made-up\"\n\
             network_id = \"made-up\"\n\
             source_era = \"{era}\"\n\
             target_era = \"mesa\"\n\
             [chain]\n\
             era = \"{era}\"\n\
             slot_ms = {SLOT_MS}\n\
             genesis_state_timestamp = \"2024-06-05T00:00:00Z\"\n\
             fork_global_slot = 0\n\
             k = 290\n\
             delta = 0\n\
             slots_per_epoch = {slots_per_epoch}\n\
             slots_per_sub_window = 7\n\
             grace_period_slots = 2\n\
             txpool_max_size = 3000\n\
             [stop]\n\
             slot_tx_end = 60\n\
             slot_chain_end = 70\n\
             hard_fork_genesis_slot_delta = 10\n\
             [target]\n\
             slot_ms = 90000\n\
             transaction_version = 4\n"
        )
    }
}

/// A block of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainBlock {
    /// Row in `blocks`.
    pub id: u32,
    /// Its state hash.
    pub state_hash: StateHash,
    /// That of its parent; its own for the genesis.
    pub parent_hash: StateHash,
    /// Its height.
    pub height: u32,
    /// Its slot.
    pub slot: u32,
    /// What the archive calls it.
    pub status: &'static str,
    /// Root of its staged ledger.
    pub ledger_hash: LedgerHash,
    /// Root of its snarked ledger.
    pub snarked: LedgerHash,
    /// Its staking and its next epoch.
    pub epochs: Epochs,
    /// Commands in it.
    pub commands: u32,
    /// The precomputed block, which gives the state hash; empty for the genesis.
    pub json: Vec<u8>,
}

/// Where the tree ends of which a block holds the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundaryModel {
    /// Height of the block.
    pub height: u32,
    /// Root of the ledger there.
    pub root: LedgerHash,
    /// The accounts of that ledger.
    pub accounts: Vec<Account>,
    /// Transactions of the block before it; all of them when it is the ledger after the block.
    pub transactions: u32,
    /// Transactions of the block.
    pub of: u32,
    /// Whether the order of transactions begins again there.
    pub by_order: bool,
    /// Whether the archive gives all accounts there.
    pub is_known: bool,
}

/// An archive of transactions and what is in it.
#[derive(Clone, Debug)]
pub struct ChainModel {
    /// Statements that make it in an empty database.
    pub sql: String,
    /// All blocks, by height, orphaned ones in front.
    pub blocks: Vec<ChainBlock>,
    /// The boundary in each block of the chain, by height.
    pub boundaries: Vec<BoundaryModel>,
    /// The genesis accounts, in leaf order.
    pub genesis: Vec<Account>,
}

/// Makes up an archive of transactions.
///
/// # Errors
///
/// Fails on a spec that asks for the impossible.
pub fn chain(spec: &ChainSpec) -> Result<ChainModel, FixtureError> {
    let accounts = Accounts::new(&FixtureSpec {
        accounts: spec.accounts + 8 * spec.height,
        seed: spec.seed,
        era: spec.era,
        ..FixtureSpec::default()
    })?;
    let width = if spec.wide { Era::Mesa } else { spec.era }.app_state_len();
    let mut maker = Maker {
        spec: *spec,
        random: Random::new(spec.seed, PURPOSE, 0),
        accounts,
        made: spec.accounts,
        state: Vec::new(),
        payers: Vec::new(),
        rows: Rows::new(width),
        blocks: Vec::new(),
        boundaries: Vec::new(),
    };
    maker.genesis_accounts();
    let genesis = maker.state.clone();
    maker.chain()?;
    Ok(ChainModel {
        sql: maker.rows.into_sql_of(&schema()),
        blocks: maker.blocks,
        boundaries: maker.boundaries,
        genesis,
    })
}

struct Maker {
    spec: ChainSpec,
    random: Random,
    accounts: Accounts,
    /// Accounts taken so far, on all branches.
    made: u32,
    state: Vec<Account>,
    payers: Vec<PublicKey>,
    rows: Rows,
    blocks: Vec<ChainBlock>,
    boundaries: Vec<BoundaryModel>,
}

impl Maker {
    fn genesis_accounts(&mut self) {
        for number in 0..self.spec.accounts {
            let mut account = self.accounts.account(Role::Genesis, number);
            if let Some(zkapp) = &mut account.zkapp {
                // A database's text has no zero bytes.
                zkapp.zkapp_uri.retain(|byte| *byte != 0);
            }
            let is_first = |other: &Account| other.public_key != account.public_key;
            if account.token_id == TokenId::DEFAULT
                && self.payers.len() < PAYERS
                && self.state.iter().all(is_first)
            {
                account.balance = Amount::from_nanomina(5_000_000_000_000);
                account.nonce = 7;
                account.timing = Timing::Untimed;
                // One in three has a schedule that ends somewhere in the chain.
                if self.payers.len() % 3 == 2 {
                    let slot =
                        SLOTS_PER_BLOCK * (4 + 2 * u32::try_from(self.payers.len()).unwrap_or(0));
                    account.timing = Timing::Timed(Vesting {
                        initial_minimum_balance: Amount::from_nanomina(1000),
                        cliff_time: SlotSinceGenesis::new(slot),
                        cliff_amount: Amount::from_nanomina(1000),
                        vesting_period: SlotSpan::new(1),
                        vesting_increment: Amount::ZERO,
                    });
                }
                self.payers.push(account.public_key);
            }
            self.state.push(account);
        }
    }

    fn root(&self, accounts: &[Account]) -> Result<LedgerHash, FixtureError> {
        let era = self.spec.era;
        let mut root = RootBuilder::new(era, era.depth());
        root.extend_from_slice(&hash_accounts(era, accounts, &VkHashCache::new())?)?;
        Ok(ledger_hash(root.finish()))
    }

    fn chain(&mut self) -> Result<(), FixtureError> {
        let root = self.root(&self.state.clone())?;
        let epochs = Epochs::of_genesis(root, &mut self.random);
        let mut tip = ChainBlock {
            id: self.rows.next_block(),
            state_hash: StateHash::new(self.random.field()),
            parent_hash: StateHash::DUMMY,
            height: 1,
            slot: 0,
            status: "canonical",
            ledger_hash: root,
            snarked: root,
            epochs,
            commands: 0,
            json: Vec::new(),
        };
        tip.parent_hash = tip.state_hash;
        self.write(&tip, None);
        for (leaf, account) in self.state.iter().enumerate() {
            self.rows.account(tip.id, leaf, account);
        }
        self.blocks.push(tip.clone());
        for height in 2..=self.spec.height {
            if height % 5 == 0 {
                let before = self.state.clone();
                self.block(&tip, height, "orphaned")?;
                self.state = before;
            }
            let status = if height + 2 > self.spec.height {
                "pending"
            } else {
                "canonical"
            };
            tip = self.block(&tip, height, status)?;
        }
        Ok(())
    }

    /// Makes a block, its rows, and the boundary in it.
    fn block(
        &mut self,
        parent: &ChainBlock,
        height: u32,
        status: &'static str,
    ) -> Result<ChainBlock, FixtureError> {
        let slot = SLOTS_PER_BLOCK * (height - 1);
        let id = self.rows.next_block();
        let parts = if height >= self.spec.empty_from {
            [Vec::new(), Vec::new()]
        } else {
            self.parts(height)
        };
        let mut state = std::mem::take(&mut self.state);
        let mut ledger = Ledger {
            era: self.spec.era,
            state: &mut state,
            slot: SlotSinceGenesis::new(slot),
            touched: std::collections::BTreeSet::new(),
            created: Vec::new(),
        };
        let [first, second] = &parts;
        for transaction in first {
            ledger.first_pass(transaction);
        }
        let at_boundary = ledger.state.clone();
        for transaction in second {
            ledger.first_pass(transaction);
        }
        for transaction in first.iter().chain(second) {
            ledger.second_pass(transaction, &mut self.random);
        }
        let (touched, created) = (ledger.touched, ledger.created);
        self.state = state;
        let ledger_hash = self.root(&self.state.clone())?;
        let epochs = self.epochs(parent, slot);
        let is_command =
            |one: &&Transaction| matches!(one, Transaction::Signed(..) | Transaction::Zkapp { .. });
        let mut block = ChainBlock {
            id,
            state_hash: StateHash::DUMMY,
            parent_hash: parent.state_hash,
            height,
            slot,
            status,
            ledger_hash,
            snarked: self.snarked(height),
            epochs,
            commands: count(first.iter().chain(second).filter(is_command).count()),
            json: Vec::new(),
        };
        let precomputed = self.precomputed(&block)?;
        block.state_hash = precomputed.facts().state_hash;
        block.json = serde_json::to_vec(&precomputed.to_block_json())?;
        self.write(&block, Some(parent));
        for leaf in touched {
            let account = self.state[leaf].clone();
            self.rows.account(id, leaf, &account);
        }
        for leaf in created {
            let account = self.state[leaf].clone();
            self.rows.created(id, &account);
        }
        for (sequence, transaction) in first.iter().chain(second).enumerate() {
            self.rows.transaction(id, sequence, transaction);
        }
        if status != "orphaned" {
            let whole = second.is_empty();
            let accounts = if whole {
                self.state.clone()
            } else {
                at_boundary
            };
            let is_internal = |one: &Transaction| {
                matches!(
                    one,
                    Transaction::Coinbase { .. } | Transaction::FeeTransfer(_)
                )
            };
            self.boundaries.push(BoundaryModel {
                height,
                root: self.root(&accounts)?,
                accounts,
                transactions: count(first.len()),
                of: count(first.len() + second.len()),
                by_order: !whole && first.last().is_some_and(is_internal),
                is_known: self.spec.unknown_at != Some(height),
            });
        }
        self.blocks.push(block.clone());
        Ok(block)
    }

    /// The block as its producer would write it.
    fn precomputed(&self, block: &ChainBlock) -> Result<Block, FixtureError> {
        let genesis = &self.blocks[0];
        SyntheticBlock {
            previous_state_hash: block.parent_hash,
            genesis_state_hash: genesis.state_hash,
            genesis_ledger_hash: genesis.ledger_hash,
            staged_ledger_hash: block.ledger_hash,
            snarked_ledger_hash: block.snarked,
            blockchain_length: block.height,
            slot_since_hard_fork: SlotSinceHardFork::new(block.slot),
            chain_fork_slot: SlotSinceGenesis::new(0),
            slot_ms: SLOT_MS,
            constants: Constants {
                k: 290,
                slots_per_epoch: SLOTS_PER_BLOCK * self.spec.epoch_blocks,
                slots_per_sub_window: 7,
                grace_period_slots: 2,
                delta: 0,
                genesis_state_timestamp_ms: GENESIS_MS,
            },
            staking_epoch: block.epochs.staking.clone(),
            next_epoch: block.epochs.next.clone(),
            total_currency: Amount::ZERO,
            block_creator: self.payers[0],
            transaction_version: self.spec.era.txn_version(),
        }
        .build()
        .map(|mut built| {
            let consensus = &mut built.protocol_state.body.consensus_state;
            consensus.last_vrf_output = block.epochs.last_vrf_output;
            built
        })
        .ok_or(FixtureError::Chain {
            what: "the slots of a block do not fit",
        })
    }

    /// The snarked ledger of a block: the boundary some blocks below.
    fn snarked(&self, height: u32) -> LedgerHash {
        let wanted = height.saturating_sub(self.spec.lag);
        self.boundaries
            .iter()
            .find(|boundary| boundary.height == wanted)
            .map_or(self.blocks[0].snarked, |boundary| boundary.root)
    }

    /// The two epochs of a child of `parent`.
    fn epochs(&mut self, parent: &ChainBlock, slot: u32) -> Epochs {
        let genesis = self.blocks[0].ledger_hash;
        let of = Parent {
            state_hash: parent.state_hash,
            slot: parent.slot,
            snarked: (parent.snarked != genesis).then_some(parent.snarked),
        };
        let slots_per_epoch = SLOTS_PER_BLOCK * self.spec.epoch_blocks;
        let random = &mut self.random;
        parent.epochs.of_child(of, slot, slots_per_epoch, random)
    }

    fn write(&mut self, block: &ChainBlock, parent: Option<&ChainBlock>) {
        let total: u64 = self
            .state
            .iter()
            .filter(|account| account.token_id == TokenId::DEFAULT)
            .map(|account| account.balance.nanomina() / 1000)
            .sum();
        self.rows.chain_block(&BlockRow {
            id: block.id,
            state_hash: block.state_hash.to_string(),
            parent: parent.map(|parent| (parent.id, parent.state_hash.to_string())),
            height: block.height,
            slots: [block.slot; 2],
            status: block.status,
            ledger_hash: block.ledger_hash,
            snarked: block.snarked,
            total,
            epochs: &block.epochs,
            era: self.spec.era,
        });
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
