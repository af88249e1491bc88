//! Everything a scenario's daemons can show: blocks with real hashes, ledgers with real roots.

mod ledgers;
mod network;
mod view;

use std::collections::BTreeSet;
use std::path::Path;

use fork_genesis::block::SyntheticBlock;
use fork_genesis::protocol_state::{Constants, EpochData, VrfOutput};
use fork_genesis::{Block, ChainClock, ForkBlockFacts, Network, Schedule, ScheduleInput};
use fork_ledger::merkle::ledger_hash;
use fork_testkit::fixture::{Files, FixtureSpec, ForkSlotStyle, Random};
use fork_types::{
    Amount, EpochSeed, FieldBytes, LedgerHash, PublicKey, SlotSinceGenesis, SlotSinceHardFork,
    SlotSpan, StateHash, TokenId,
};
use serde_json::json;

use crate::body::Body;
use crate::error::StubError;
use crate::scenario::{Plan, PlannedBlock, Scenario};

pub(crate) use ledgers::Leaf;
use ledgers::{Gains, Ledgers, WRONG_ACCOUNT, changed_accounts};
pub use view::View;

/// Purposes of random numbers; a purpose never gets another's values.
mod purpose {
    pub const CHAIN: u64 = 902;
    pub const BLOCK: u64 = 903;
}

/// Coinbase of a block that has one, nanomina.
const COINBASE_NANOMINA: u64 = 720_000_000_000;

/// A block of the scenario.
#[derive(Clone, Debug)]
pub struct WorldBlock {
    /// Name of its branch.
    pub branch: String,
    /// Position of its parent; `None` for the first block.
    pub parent: Option<usize>,
    /// Number of commands.
    pub commands: u32,
    /// Coinbase; zero if there is none.
    pub coinbase: Amount,
    /// The block.
    pub block: Block,
    /// What it says, its recomputed state hash included.
    pub facts: ForkBlockFacts,
    /// Accounts it changed.
    pub changed: BTreeSet<u32>,
}

impl WorldBlock {
    /// State hash.
    #[must_use]
    pub const fn state_hash(&self) -> StateHash {
        self.facts.state_hash
    }

    /// Height.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.facts.blockchain_length
    }

    /// Slot since the hard fork.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        self.facts.slot_since_hard_fork.get()
    }
}

/// Everything a scenario's daemons can show.
#[derive(Debug)]
pub struct World {
    scenario: Scenario,
    plan: Plan,
    identity: Identity,
    schedule: Option<Schedule>,
    ledgers: Ledgers,
    genesis: WorldBlock,
    blocks: Vec<WorldBlock>,
}

/// What makes the chain this one and no other.
#[derive(Clone, Debug)]
struct Identity {
    genesis_ledger_hash: LedgerHash,
    genesis_state_hash: StateHash,
    old_fork_state_hash: StateHash,
    snarked_ledger_hash: LedgerHash,
    first_parent: StateHash,
    staking_epoch: EpochData,
    next_epoch: EpochData,
    chain_id: String,
    commit_id: String,
}

impl World {
    /// Makes every block and prints the ledgers into a directory inside `cache_dir`, which is removed
    /// with the result.
    ///
    /// The three ledgers are made, hashed and printed once, on all threads of the current rayon pool;
    /// 64 bytes per account stay in memory. Each block with changes takes a few copies of that.
    ///
    /// # Errors
    ///
    /// Fails on a scenario whose numbers do not fit, and when the disk refuses.
    pub fn build(scenario: &Scenario, cache_dir: &Path) -> Result<Self, StubError> {
        let network = &scenario.network;
        let plan = scenario.plan()?;
        let changed: Vec<BTreeSet<u32>> = plan
            .blocks
            .iter()
            .enumerate()
            .map(|(number, block)| {
                if block.is_empty() {
                    BTreeSet::new()
                } else {
                    let changes = network.changes_per_block;
                    changed_accounts(network.seed, number, changes, network.accounts)
                }
            })
            .collect();
        let changing = changed.iter().flatten().copied().collect();
        let schedule = schedule(scenario)?;
        let ledgers = Ledgers::build(&fixture_spec(scenario), &changing, cache_dir)?;
        let mut identity = Identity::new(scenario, &ledgers);
        let genesis = identity.genesis_block(scenario)?;
        identity.genesis_state_hash = genesis.facts.state_hash;
        let mut world = Self {
            scenario: scenario.clone(),
            plan,
            identity,
            schedule,
            ledgers,
            genesis,
            blocks: Vec::new(),
        };
        world.make_blocks(changed)?;
        // What is written here is read with the same eyes as any other network file.
        Network::from_toml(&world.network_toml())?;
        Ok(world)
    }

    /// The scenario.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// All blocks, parents first.
    #[must_use]
    pub fn blocks(&self) -> &[WorldBlock] {
        &self.blocks
    }

    /// The genesis block of the chain.
    #[must_use]
    pub const fn genesis_block(&self) -> &WorldBlock {
        &self.genesis
    }

    /// Position of the block with this state hash.
    #[must_use]
    pub fn block_index(&self, state_hash: StateHash) -> Option<usize> {
        self.blocks
            .iter()
            .position(|block| block.state_hash() == state_hash)
    }

    /// Position of the block of a branch (or of its ancestors) in this slot.
    #[must_use]
    pub fn block_in_slot(&self, branch: &str, slot: u32) -> Option<usize> {
        let branch = self.plan.branch_index(branch)?;
        let path = self.plan.path(branch);
        path.iter()
            .copied()
            .find(|block| self.plan.blocks[*block].slot == slot)
    }

    /// Slot and time of the new genesis, when there are stop slots.
    #[must_use]
    pub const fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    /// Number of accounts of every staged ledger.
    #[must_use]
    pub fn accounts(&self) -> u32 {
        self.ledgers.len()
    }

    /// The slot the clock starts at.
    #[must_use]
    pub fn start_slot(&self) -> u32 {
        self.scenario
            .time
            .start_slot
            .unwrap_or_else(|| self.blocks.first().map_or(0, |block| block.slot()))
    }

    pub(crate) fn chain_id(&self, daemon: usize) -> &str {
        let given = self.scenario.daemons[daemon].chain_id.as_deref();
        given.unwrap_or(&self.identity.chain_id)
    }

    pub(crate) fn commit_id(&self, daemon: usize) -> &str {
        let given = self.scenario.daemons[daemon].commit_id.as_deref();
        given.unwrap_or(&self.identity.commit_id)
    }

    /// How much each account has gained from the start up to a block.
    fn gains(&self, block: usize) -> Gains {
        let mut gains = Gains::new();
        let mut next = Some(block);
        while let Some(block) = next.and_then(|block| self.blocks.get(block)) {
            for index in &block.changed {
                *gains.entry(*index).or_default() += 1;
            }
            next = block.parent;
        }
        gains
    }

    /// The account of `key` and `token` in a block's staged ledger.
    pub(crate) fn find_account(
        &self,
        block: usize,
        key: &PublicKey,
        token: TokenId,
    ) -> Result<Option<Leaf>, StubError> {
        self.ledgers.find(block, &self.gains(block), key, token)
    }

    /// The `fork_config` value of a block; with `wrong_ledger` one balance is not the ledger's.
    pub(crate) fn fork_config(&self, block: usize, wrong_ledger: bool) -> Body {
        let facts = &self.blocks[block].facts;
        let scheduled = match self.scenario.network.fork_slot_style {
            ForkSlotStyle::Scheduled => self.schedule.as_ref(),
            ForkSlotStyle::ForkBlock => None,
        };
        let (slot, genesis) = match scheduled {
            Some(schedule) => (
                schedule.global_slot_since_genesis,
                format!(
                    "\"genesis\":{},",
                    json!({"genesis_state_timestamp": schedule.genesis_timestamp.to_string()})
                ),
            ),
            None => (facts.global_slot_since_genesis, String::new()),
        };
        let fork = json!({
            "state_hash": facts.state_hash,
            "blockchain_length": facts.blockchain_length,
            "global_slot_since_genesis": slot,
        });
        let mut gains = self.gains(block);
        if wrong_ledger {
            *gains.entry(WRONG_ACCOUNT).or_default() += 1;
        }
        let mut body = Body::from_bytes(format!(
            "{{{genesis}\"proof\":{{\"fork\":{fork}}},\"ledger\":{{\"accounts\":"
        ));
        body.append(self.ledgers.staged_list(&gains));
        let root = facts.staged_ledger_hash;
        body.push(format!(
            ",\"hash\":\"{root}\",\"add_genesis_winner\":false}},\
             \"epoch_data\":{{\"staking\":{{\"accounts\":"
        ));
        body.append(self.ledgers.staking.list());
        body.push(format!(
            ",\"seed\":\"{}\"}},\"next\":{{\"accounts\":",
            facts.staking_epoch.seed
        ));
        body.append(self.ledgers.next.list());
        body.push(format!(",\"seed\":\"{}\"}}}}}}", facts.next_epoch.seed));
        body
    }

    fn make_blocks(&mut self, changed: Vec<BTreeSet<u32>>) -> Result<(), StubError> {
        let first = self.ledgers.first_tree().clone();
        let mut tree = first.clone();
        let mut tree_of = None;
        for (number, changed) in changed.into_iter().enumerate() {
            let planned = self.plan.blocks[number];
            let staged = if changed.is_empty() {
                planned.parent.map_or(self.ledgers.staged.root, |parent| {
                    self.blocks[parent].facts.staged_ledger_hash
                })
            } else {
                let mut gains = planned
                    .parent
                    .map(|parent| self.gains(parent))
                    .unwrap_or_default();
                if tree_of != planned.parent {
                    let all = gains.keys().copied().collect();
                    tree = self.ledgers.tree_with(&first, &all, &gains)?;
                }
                for index in &changed {
                    *gains.entry(*index).or_default() += 1;
                }
                tree = self.ledgers.tree_with(&tree, &changed, &gains)?;
                ledger_hash(tree.root())
            };
            // An empty block has its parent's tree.
            if !changed.is_empty() || tree_of == planned.parent {
                tree_of = Some(number);
            }
            let block = self.make_block(number, &planned, staged, changed)?;
            self.blocks.push(block);
        }
        Ok(())
    }

    fn make_block(
        &self,
        number: usize,
        planned: &PlannedBlock,
        staged_ledger_hash: LedgerHash,
        changed: BTreeSet<u32>,
    ) -> Result<WorldBlock, StubError> {
        let network = &self.scenario.network;
        let mut random = Random::new(network.seed, purpose::BLOCK, number as u64);
        let mut synthetic = self.identity.synthetic(&self.scenario);
        synthetic.genesis_state_hash = self.identity.genesis_state_hash;
        synthetic.previous_state_hash =
            planned.parent.map_or(self.identity.first_parent, |parent| {
                self.blocks[parent].state_hash()
            });
        synthetic.staged_ledger_hash = staged_ledger_hash;
        synthetic.total_currency = self.ledgers.staged.total_currency;
        synthetic.blockchain_length = planned.height;
        synthetic.slot_since_hard_fork = SlotSinceHardFork::new(planned.slot);
        synthetic.block_creator = PublicKey::new(random.field(), random.once_in(2));
        let mut block = built(&synthetic)?;
        let mut vrf = random.bytes();
        // Three bits more than a VRF output has.
        vrf[31] &= 0x1f;
        block.protocol_state.body.consensus_state.last_vrf_output =
            VrfOutput::new(vrf).unwrap_or_default();
        Ok(WorldBlock {
            branch: self.plan.branch_name(planned.branch).to_owned(),
            parent: planned.parent,
            commands: planned.commands,
            coinbase: Amount::from_nanomina(if planned.coinbase {
                COINBASE_NANOMINA
            } else {
                0
            }),
            facts: block.facts(),
            block,
            changed,
        })
    }
}

impl Identity {
    fn new(scenario: &Scenario, ledgers: &Ledgers) -> Self {
        let mut random = Random::new(scenario.network.seed, purpose::CHAIN, 0);
        let mut epoch = |printed: &ledgers::Printed, epoch_length| EpochData {
            ledger_hash: printed.root,
            total_currency: printed.total_currency,
            seed: EpochSeed::new(random.field()),
            start_checkpoint: StateHash::new(random.field()),
            lock_checkpoint: StateHash::new(random.field()),
            epoch_length,
        };
        let staking_epoch = epoch(&ledgers.staking, 5000);
        let next_epoch = epoch(&ledgers.next, 1000);
        Self {
            staking_epoch,
            next_epoch,
            genesis_ledger_hash: LedgerHash::new(random.field()),
            genesis_state_hash: StateHash::new(FieldBytes::ZERO),
            old_fork_state_hash: StateHash::new(random.field()),
            snarked_ledger_hash: LedgerHash::new(random.field()),
            first_parent: StateHash::new(random.field()),
            chain_id: random.field().to_le_hex(),
            commit_id: random.field().to_le_hex()[..40].to_owned(),
        }
    }

    /// What all blocks of the chain have in common; the rest is the genesis block's.
    fn synthetic(&self, scenario: &Scenario) -> SyntheticBlock {
        let network = &scenario.network;
        SyntheticBlock {
            previous_state_hash: self.old_fork_state_hash,
            genesis_state_hash: self.genesis_state_hash,
            genesis_ledger_hash: self.genesis_ledger_hash,
            staged_ledger_hash: self.genesis_ledger_hash,
            snarked_ledger_hash: self.snarked_ledger_hash,
            blockchain_length: network.fork_blockchain_length.saturating_add(1),
            slot_since_hard_fork: SlotSinceHardFork::new(0),
            chain_fork_slot: SlotSinceGenesis::new(network.fork_global_slot),
            slot_ms: network.slot_ms,
            constants: Constants {
                k: network.k,
                slots_per_epoch: network.slots_per_epoch,
                slots_per_sub_window: network.slots_per_sub_window,
                grace_period_slots: network.grace_period_slots,
                delta: network.delta,
                genesis_state_timestamp_ms: network.genesis_timestamp.ms(),
            },
            staking_epoch: self.staking_epoch.clone(),
            next_epoch: self.next_epoch.clone(),
            total_currency: self.staking_epoch.total_currency,
            block_creator: PublicKey::new(FieldBytes::ONE, false),
            transaction_version: network.era.txn_version(),
        }
    }

    /// The genesis block: its own state hash is the one the chain is known by.
    fn genesis_block(&self, scenario: &Scenario) -> Result<WorldBlock, StubError> {
        let mut synthetic = self.synthetic(scenario);
        synthetic.snarked_ledger_hash = self.genesis_ledger_hash;
        let block = built(&synthetic)?;
        Ok(WorldBlock {
            branch: String::new(),
            parent: None,
            commands: 0,
            coinbase: Amount::ZERO,
            facts: block.facts(),
            block,
            changed: BTreeSet::new(),
        })
    }
}

fn built(synthetic: &SyntheticBlock) -> Result<Block, StubError> {
    synthetic.build().ok_or(StubError::Block {
        height: synthetic.blockchain_length,
        slot: synthetic.slot_since_hard_fork.get(),
    })
}

fn fixture_spec(scenario: &Scenario) -> FixtureSpec {
    let network = &scenario.network;
    FixtureSpec {
        accounts: network.accounts,
        seed: network.seed,
        era: network.era,
        mix: network.mix,
        share_epoch_ledgers: network.share_epoch_ledgers,
        few_changes: network.few_changes,
        raw_bytes: false,
        fork_slot_style: network.fork_slot_style,
        gzip: false,
        files: Files::ForkConfig,
    }
}

fn schedule(scenario: &Scenario) -> Result<Option<Schedule>, StubError> {
    let network = &scenario.network;
    if network.slot_chain_end.is_none() {
        return Ok(None);
    }
    let clock = ChainClock {
        genesis: network.genesis_timestamp,
        slot_ms: network.slot_ms,
        fork_slot: SlotSinceGenesis::new(network.fork_global_slot),
    };
    let input = ScheduleInput {
        slot_tx_end: network.slot_tx_end.map(SlotSinceHardFork::new),
        slot_chain_end: network.slot_chain_end.map(SlotSinceHardFork::new),
        genesis_slot_delta: network.genesis_slot_delta.map(SlotSpan::new),
        genesis_timestamp: None,
    };
    Ok(Some(Schedule::derive(&clock, &input)?))
}

#[cfg(test)]
mod tests;
