//! A seed node of the new chain, which has nothing but an installed package.
//!
//! It reads the config as a daemon does: the hashes in it give the names of the ledgers' tarballs,
//! which lie beside it. What it serves comes out of those stores, hash nodes included; nothing is
//! computed again.

mod error;
mod fault;
mod ledger;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use fork_genesis::block::SyntheticBlock;
use fork_genesis::config::RuntimeConfig;
use fork_genesis::protocol_state::{Constants, EpochData};
use fork_genesis::timestamp::GenesisTimestamp;
use fork_types::{
    Amount, Era, FieldBytes, LedgerHash, PublicKey, Role, SlotSinceHardFork, StateHash,
};
use serde_json::Value;

use crate::world::WorldBlock;
pub use error::SeedError;
pub use fault::SeedFault;
pub(crate) use ledger::SeedLedger;

/// Where the package puts its files, below the root directory.
const DATA_DIRECTORY: &str = "var/lib/coda";

/// Largest config read; one without accounts has two kilobytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Constants of the chain. They are in no config; nothing that is asked of a seed node shows them.
const CONSTANTS: Constants = Constants {
    k: 290,
    slots_per_epoch: 7140,
    slots_per_sub_window: 7,
    grace_period_slots: 2160,
    delta: 0,
    genesis_state_timestamp_ms: 0,
};

/// What a seed node is started with.
#[derive(Clone, Debug)]
pub struct SeedSpec {
    /// The root directory in which the package is installed.
    pub root: PathBuf,
    /// Era of the ledgers.
    pub era: Era,
    /// Where tarballs are unpacked while it runs.
    pub scratch: PathBuf,
    /// How it goes wrong.
    pub faults: Vec<SeedFault>,
}

/// A seed node that found its config and its three ledgers.
#[derive(Debug)]
pub struct Seed {
    faults: Vec<SeedFault>,
    config: Value,
    network_id: String,
    genesis_time: GenesisTimestamp,
    ledgers: Vec<SeedLedger>,
    /// The genesis block, and the blocks on top of it.
    chain: Vec<WorldBlock>,
}

impl Seed {
    /// Finds the config and the three ledgers that it names.
    ///
    /// # Errors
    ///
    /// Fails when there is no config or more than one for a commit, when it has accounts instead of
    /// hashes, and when a ledger is missing, damaged or has another root node.
    pub fn load(spec: &SeedSpec) -> Result<Self, SeedError> {
        let directory = spec.root.join(DATA_DIRECTORY);
        let path = config_path(&directory)?;
        let bytes = fork_fs::read_limited(&path, CONFIG_BYTES_MAX)?;
        let config = RuntimeConfig::from_json(&bytes).map_err(|source| SeedError::Config {
            path: path.clone(),
            source,
        })?;
        let value: Value = serde_json::from_slice(&bytes)?;
        let (genesis_time, _) = GenesisTimestamp::parse(&config.genesis.genesis_state_timestamp)
            .map_err(|source| SeedError::Timestamp {
                path: path.clone(),
                source,
            })?;
        fork_fs::create_dir_all(&spec.scratch)?;
        let mut ledgers = Vec::with_capacity(Role::ALL.len());
        for role in Role::ALL {
            let root = root_of(&config, role);
            ledgers.push(SeedLedger::open(
                &directory,
                &spec.scratch,
                spec.era,
                role,
                root,
            )?);
        }
        let mut seed = Self {
            faults: spec.faults.clone(),
            config: value,
            network_id: config.daemon.network_id.clone(),
            genesis_time,
            ledgers,
            chain: Vec::new(),
        };
        seed.chain = seed.make_chain(&config, spec.era)?;
        Ok(seed)
    }

    /// Prints a ledger as `mina ledger export` does: a list of accounts in the order of the leaves.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read or `target` cannot be written.
    pub fn export(&self, role: Role, target: &mut impl Write) -> Result<u64, SeedError> {
        self.ledger(role).export(target, &self.faults)
    }

    /// The ledger it serves for a role.
    pub(crate) fn ledger(&self, role: Role) -> &SeedLedger {
        let served = match role {
            Role::Genesis => self.served_role(),
            other => other,
        };
        &self.ledgers[position(served)]
    }

    pub(crate) fn faults(&self) -> &[SeedFault] {
        &self.faults
    }

    pub(crate) const fn network_id(&self) -> &String {
        &self.network_id
    }

    pub(crate) const fn genesis_time(&self) -> GenesisTimestamp {
        self.genesis_time
    }

    pub(crate) const fn config(&self) -> &Value {
        &self.config
    }

    /// The genesis block.
    pub(crate) fn genesis(&self) -> Option<&WorldBlock> {
        self.chain.first()
    }

    /// Its best chain once it is awake.
    pub(crate) fn chain(&self) -> &[WorldBlock] {
        &self.chain
    }

    pub(crate) fn never_wakes(&self) -> bool {
        self.faults.contains(&SeedFault::NeverWakes)
    }

    /// Whose ledger it serves as the genesis ledger.
    fn served_role(&self) -> Role {
        let other = self.faults.iter().find_map(|fault| match fault {
            SeedFault::Ledger(role) => Some(*role),
            _ => None,
        });
        other.unwrap_or(Role::Genesis)
    }

    fn make_chain(&self, config: &RuntimeConfig, era: Era) -> Result<Vec<WorldBlock>, SeedError> {
        let epoch = |section: &fork_genesis::config::EpochSection| EpochData {
            ledger_hash: section.hash,
            total_currency: Amount::ZERO,
            seed: section.seed,
            start_checkpoint: StateHash::new(FieldBytes::ZERO),
            lock_checkpoint: StateHash::new(FieldBytes::ZERO),
            epoch_length: 1,
        };
        let fork = &config.proof.fork;
        let (mut height, mut blocks) = (fork.blockchain_length.saturating_add(1), 0);
        for fault in &self.faults {
            match fault {
                SeedFault::Height(wrong) => height = *wrong,
                SeedFault::Blocks(count) => blocks = *count,
                _ => {}
            }
        }
        let root = self.ledger(Role::Genesis).root();
        let mut synthetic = SyntheticBlock {
            previous_state_hash: fork.state_hash,
            genesis_state_hash: StateHash::new(FieldBytes::ZERO),
            genesis_ledger_hash: root,
            staged_ledger_hash: root,
            snarked_ledger_hash: root,
            blockchain_length: height,
            slot_since_hard_fork: SlotSinceHardFork::new(0),
            chain_fork_slot: fork.global_slot_since_genesis,
            slot_ms: 0,
            constants: Constants {
                genesis_state_timestamp_ms: self.genesis_time.ms(),
                ..CONSTANTS
            },
            staking_epoch: epoch(&config.epoch_data.staking),
            next_epoch: epoch(&config.epoch_data.next),
            total_currency: Amount::ZERO,
            block_creator: PublicKey::new(FieldBytes::ONE, false),
            transaction_version: era.txn_version(),
        };
        let mut chain = vec![block(&synthetic)?];
        for number in 1..=blocks {
            synthetic.previous_state_hash = chain
                .last()
                .map_or(synthetic.previous_state_hash, WorldBlock::state_hash);
            synthetic.blockchain_length = synthetic.blockchain_length.saturating_add(1);
            synthetic.slot_since_hard_fork = SlotSinceHardFork::new(number);
            // Its transactions are not made up, only that they changed the ledger.
            let made_up = FieldBytes::from_u64(u64::from(number));
            synthetic.staged_ledger_hash = LedgerHash::new(made_up);
            chain.push(block(&synthetic)?);
        }
        Ok(chain)
    }
}

const fn position(role: Role) -> usize {
    match role {
        Role::Genesis => 0,
        Role::Staking => 1,
        Role::Next => 2,
    }
}

const fn root_of(config: &RuntimeConfig, role: Role) -> LedgerHash {
    match role {
        Role::Genesis => config.ledger.hash,
        Role::Staking => config.epoch_data.staking.hash,
        Role::Next => config.epoch_data.next.hash,
    }
}

fn block(synthetic: &SyntheticBlock) -> Result<WorldBlock, SeedError> {
    let block = synthetic.build().ok_or(SeedError::Block {
        height: synthetic.blockchain_length,
    })?;
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

/// The one `config_<commit>.json`.
fn config_path(directory: &Path) -> Result<PathBuf, SeedError> {
    let is_config = |name: &str| {
        name.strip_prefix("config_")
            .is_some_and(|rest| rest.ends_with(".json"))
    };
    let names = fork_fs::sorted_names(directory)?;
    let mut found = names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| is_config(name));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(directory.join(only)),
        (first, _) => Err(SeedError::Configs {
            directory: directory.to_owned(),
            found: if first.is_some() { "several" } else { "none" },
        }),
    }
}
