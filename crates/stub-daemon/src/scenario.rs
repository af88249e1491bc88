//! The scenario file: a chain, the daemons that show it, and what goes wrong.
//!
//! Every slot in a scenario is a slot since the hard fork of the running chain.

mod faults;
mod plan;

use std::net::SocketAddr;

use clap::ValueEnum;
use fork_genesis::GenesisTimestamp;
use fork_testkit::fixture::{ACCOUNTS_MIN, ForkSlotStyle, Mix};
use fork_types::Era;
use serde::{Deserialize, Deserializer, de};

use crate::error::StubError;

pub use faults::{
    Action, ChosenFault, CorruptAction, ErrorAction, Fault, FaultLimits, Faults, KillAction,
    Operation, PositionAction, SlowAction, StallAction, StatusAction,
};
pub use plan::{Plan, PlannedBlock};

/// Word for every daemon in a fault.
pub const ALL_DAEMONS: &str = "all";

/// A whole scenario.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The chain and its ledgers.
    pub network: NetworkSpec,
    /// When the clock starts and how fast it goes.
    #[serde(default)]
    pub time: TimeSpec,
    /// The blocks, by branch; the first branch has no parent.
    #[serde(rename = "branch")]
    pub branches: Vec<BranchSpec>,
    /// The daemons.
    #[serde(rename = "daemon")]
    pub daemons: Vec<DaemonSpec>,
    /// What goes wrong.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

/// The chain and its ledgers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Name of the network, and its network id.
    pub name: String,
    /// Seed of everything made up.
    #[serde(default = "one")]
    pub seed: u64,
    /// Era of the chain and its accounts.
    #[serde(default = "berkeley")]
    pub era: Era,
    /// Era of the chain after the fork.
    #[serde(default = "mesa")]
    pub target_era: Era,
    /// Accounts of the staged ledger; the epoch ledgers have a few less.
    #[serde(default = "default_accounts")]
    pub accounts: u32,
    /// Kinds of accounts.
    #[serde(default = "mixed", deserialize_with = "word")]
    pub mix: Mix,
    /// Accounts whose balance grows by 1 nanomina in each block that is not empty; with 0 all blocks
    /// share one staged ledger.
    #[serde(default = "default_changes")]
    pub changes_per_block: u32,
    /// Makes the two epoch ledgers the same.
    #[serde(default)]
    pub share_epoch_ledgers: bool,
    /// Makes each epoch ledger equal to the staged one at nine places of ten.
    #[serde(default)]
    pub few_changes: bool,
    /// What the slot in a fork config means.
    #[serde(default = "scheduled", deserialize_with = "word")]
    pub fork_slot_style: ForkSlotStyle,
    /// Commands of a block before `slot_tx_end`.
    #[serde(default = "default_commands")]
    pub commands_per_block: u32,
    /// Slot time in milliseconds.
    #[serde(default = "default_slot_ms")]
    pub slot_ms: u64,
    /// Slot time of the chain after the fork.
    #[serde(default = "default_target_slot_ms")]
    pub target_slot_ms: u64,
    /// Genesis time of the chain, with its zone.
    #[serde(deserialize_with = "timestamp")]
    pub genesis_timestamp: GenesisTimestamp,
    /// Slot since genesis of the chain's genesis.
    #[serde(default = "default_fork_global_slot")]
    pub fork_global_slot: u32,
    /// Height of the block before the chain's genesis.
    #[serde(default)]
    pub fork_blockchain_length: u32,
    /// Height of the first block.
    #[serde(default = "default_start_height")]
    pub start_height: u32,
    /// First slot without transactions.
    pub slot_tx_end: Option<u32>,
    /// First slot without blocks.
    pub slot_chain_end: Option<u32>,
    /// Slots from there to the new genesis.
    pub genesis_slot_delta: Option<u32>,
    /// Confirmations that make a block final, and depth of a daemon's frontier.
    #[serde(default = "default_k")]
    pub k: u32,
    /// Slots a block may be late.
    #[serde(default)]
    pub delta: u32,
    /// Slots per epoch.
    #[serde(default = "default_slots_per_epoch")]
    pub slots_per_epoch: u32,
    /// Slots per sub-window.
    #[serde(default = "default_slots_per_sub_window")]
    pub slots_per_sub_window: u32,
    /// Slots before densities count.
    #[serde(default = "default_grace_period_slots")]
    pub grace_period_slots: u32,
}

/// When the clock starts and how fast it goes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSpec {
    /// Slot the clock starts at; the slot of the first block if absent.
    pub start_slot: Option<u32>,
    /// How many times faster than real slots the clock goes.
    pub speed: f64,
}

impl Default for TimeSpec {
    fn default() -> Self {
        Self {
            start_slot: None,
            speed: 1.0,
        }
    }
}

/// Blocks that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchSpec {
    /// Name.
    pub name: String,
    /// Block the branch grows from; the first branch alone has none.
    pub parent: Option<ParentSpec>,
    /// Where blocks are.
    pub blocks: Vec<BlocksSpec>,
}

/// The block a branch grows from: of `branch`, at `slot` or at `height`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentSpec {
    /// A branch defined earlier.
    pub branch: String,
    /// Slot of the block.
    pub slot: Option<u32>,
    /// Height of the block.
    pub height: Option<u32>,
}

/// Slots with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlocksSpec {
    /// First slot.
    pub from: u32,
    /// Last slot; `from` if absent.
    pub to: Option<u32>,
    /// Distance between two blocks in slots.
    #[serde(default = "one32")]
    pub step: u32,
    /// Commands in each; the network's number before `slot_tx_end` and 0 from there on if absent.
    pub commands: Option<u32>,
    /// Whether there is a coinbase; before `slot_tx_end` only if absent.
    pub coinbase: Option<bool>,
}

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonSpec {
    /// Name.
    pub name: String,
    /// Address to listen on; port 0 takes any free one.
    #[serde(default = "any_port")]
    pub listen: SocketAddr,
    /// Which branch is its best chain, from when on.
    pub follows: Vec<FollowSpec>,
    /// Slots it sees a block late.
    #[serde(default)]
    pub lag: u32,
    /// Times it is not in sync.
    #[serde(default)]
    pub phases: Vec<PhaseSpec>,
    /// How it refuses while it has no frontier.
    #[serde(default)]
    pub bootstrap_style: BootstrapStyle,
    /// Slots its clock is ahead (negative: behind).
    #[serde(default)]
    pub clock_skew: i32,
    /// `commitId`; made up if absent.
    pub commit_id: Option<String>,
    /// `chainId`; made up if absent, the same for all daemons.
    pub chain_id: Option<String>,
    /// Number of peers it names.
    #[serde(default = "default_peers")]
    pub peers: u32,
    /// Sends answers in chunks, without a content length.
    #[serde(default)]
    pub chunked: bool,
}

/// From a slot on, a branch is the best chain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowSpec {
    /// First slot, 0 if absent.
    #[serde(default)]
    pub from: u32,
    /// The branch.
    pub branch: String,
}

/// A time a daemon is not in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpec {
    /// First slot.
    pub from: u32,
    /// Last slot.
    pub to: u32,
    /// What it says it is.
    pub state: SyncState,
}

/// Sync status of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SyncState {
    /// Looking for peers; no frontier.
    Connecting,
    /// Waiting for peers; no frontier.
    Listening,
    /// Without peers; no frontier.
    Offline,
    /// Downloading a frontier.
    Bootstrap,
    /// Has the frontier of the phase's first slot and gets no further in it.
    Catchup,
    /// In sync.
    Synced,
}

impl SyncState {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "CONNECTING",
            Self::Listening => "LISTENING",
            Self::Offline => "OFFLINE",
            Self::Bootstrap => "BOOTSTRAP",
            Self::Catchup => "CATCHUP",
            Self::Synced => "SYNCED",
        }
    }

    /// Whether a daemon in this state has a frontier to answer from.
    #[must_use]
    pub const fn has_frontier(self) -> bool {
        matches!(self, Self::Catchup | Self::Synced)
    }
}

/// How a daemon without a frontier refuses `fork_config`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootstrapStyle {
    /// `errors`, and `data` null: current daemons.
    #[default]
    GraphqlError,
    /// An `error` inside `data.fork_config`: older daemons.
    ErrorInData,
}

fn one() -> u64 {
    1
}

fn one32() -> u32 {
    1
}

fn berkeley() -> Era {
    Era::Berkeley
}

fn mesa() -> Era {
    Era::Mesa
}

fn mixed() -> Mix {
    Mix::Mixed
}

fn scheduled() -> ForkSlotStyle {
    ForkSlotStyle::Scheduled
}

fn default_accounts() -> u32 {
    1000
}

fn default_changes() -> u32 {
    2
}

fn default_commands() -> u32 {
    3
}

fn default_peers() -> u32 {
    5
}

/// Berkeley's.
fn default_slot_ms() -> u64 {
    180_000
}

/// Mesa's.
fn default_target_slot_ms() -> u64 {
    90_000
}

/// Mainnet's last fork.
fn default_fork_global_slot() -> u32 {
    564_480
}

fn default_start_height() -> u32 {
    548_000
}

fn default_k() -> u32 {
    290
}

fn default_slots_per_epoch() -> u32 {
    7140
}

fn default_slots_per_sub_window() -> u32 {
    7
}

fn default_grace_period_slots() -> u32 {
    2160
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The fixture's words are those of its command line.
fn word<'de, T: ValueEnum, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    let text = String::deserialize(value)?;
    T::from_str(&text, false).map_err(de::Error::custom)
}

fn timestamp<'de, D: Deserializer<'de>>(value: D) -> Result<GenesisTimestamp, D::Error> {
    let text = String::deserialize(value)?;
    match GenesisTimestamp::parse(&text).map_err(de::Error::custom)? {
        (timestamp, None) => Ok(timestamp),
        (_, Some(_)) => Err(de::Error::custom(format!("timestamp `{text}` has no zone"))),
    }
}

impl Scenario {
    /// Reads a scenario and checks that its parts fit each other.
    ///
    /// # Errors
    ///
    /// Fails on unknown and missing members, and on branches, slots, daemons and faults that cannot
    /// be.
    pub fn from_toml(text: &str) -> Result<Self, StubError> {
        let scenario: Self = toml::from_str(text).map_err(|source| StubError::Toml { source })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Every block, with its parent.
    ///
    /// # Errors
    ///
    /// Fails on branches that do not fit each other.
    pub fn plan(&self) -> Result<Plan, StubError> {
        Plan::new(self)
    }

    /// Position of the daemon called `name`.
    #[must_use]
    pub fn daemon_index(&self, name: &str) -> Option<usize> {
        self.daemons.iter().position(|daemon| daemon.name == name)
    }

    /// The faults that concern a daemon.
    #[must_use]
    pub fn faults_of(&self, daemon: &str) -> Faults {
        Faults(
            self.faults
                .iter()
                .filter(|fault| fault.daemon == ALL_DAEMONS || fault.daemon == daemon)
                .cloned()
                .collect(),
        )
    }

    fn check(&self) -> Result<(), StubError> {
        self.check_network()?;
        let plan = self.plan()?;
        if self.daemons.is_empty() {
            return Err(StubError::scenario("daemon", "no daemon", "at least one"));
        }
        for (index, daemon) in self.daemons.iter().enumerate() {
            self.check_daemon(index, daemon, &plan)?;
        }
        for (index, fault) in self.faults.iter().enumerate() {
            fault.check(index)?;
            if fault.daemon != ALL_DAEMONS && self.daemon_index(&fault.daemon).is_none() {
                return Err(StubError::scenario(
                    format!("fault {} `daemon`", index + 1),
                    format!("`{}`", fault.daemon),
                    "the name of a daemon, or `all`",
                ));
            }
        }
        let speed = self.time.speed;
        if !(speed.is_finite() && speed > 0.0 && speed <= 1e9) {
            return Err(StubError::scenario(
                "time.speed",
                speed.to_string(),
                "a number above 0",
            ));
        }
        Ok(())
    }

    fn check_network(&self) -> Result<(), StubError> {
        let network = &self.network;
        let bad = |member: &str, found: String, expected: &'static str| {
            Err(StubError::scenario(
                format!("network.{member}"),
                found,
                expected,
            ))
        };
        if network.accounts < ACCOUNTS_MIN {
            let found = network.accounts.to_string();
            return bad("accounts", found, "at least 10");
        }
        if network.era == Era::V1 {
            return bad("era", "v1".to_owned(), "berkeley or mesa");
        }
        if network.slot_ms == 0 || network.target_slot_ms == 0 {
            return bad("slot_ms", "0".to_owned(), "a slot time in milliseconds");
        }
        if network.slots_per_epoch == 0 {
            return bad("slots_per_epoch", "0".to_owned(), "a number of slots");
        }
        if network.k == 0 {
            return bad("k", "0".to_owned(), "a number of blocks");
        }
        if network.changes_per_block > network.accounts {
            let found = network.changes_per_block.to_string();
            return bad("changes_per_block", found, "at most the number of accounts");
        }
        if network.slot_chain_end.is_some() != network.genesis_slot_delta.is_some() {
            let found = "only one of slot_chain_end and genesis_slot_delta".to_owned();
            return bad("slot_chain_end", found, "both or neither");
        }
        if network.slot_chain_end.is_none() && network.fork_slot_style == ForkSlotStyle::Scheduled {
            let found = "scheduled, without slot_chain_end".to_owned();
            return bad("fork_slot_style", found, "fork-block without stop slots");
        }
        Ok(())
    }

    fn check_daemon(
        &self,
        index: usize,
        daemon: &DaemonSpec,
        plan: &Plan,
    ) -> Result<(), StubError> {
        let bad = |member: &str, found: String, expected: &'static str| {
            Err(StubError::scenario(
                format!("daemon `{}` {member}", daemon.name),
                found,
                expected,
            ))
        };
        if daemon.name.is_empty() || daemon.name == ALL_DAEMONS {
            let found = format!("`{}`", daemon.name);
            return bad("name", found, "a name that is not `all`");
        }
        if self.daemon_index(&daemon.name) != Some(index) {
            return bad("name", "given twice".to_owned(), "a name of its own");
        }
        if daemon.follows.is_empty() {
            return bad("follows", "nothing".to_owned(), "at least one branch");
        }
        for follow in &daemon.follows {
            if plan.branch_index(&follow.branch).is_none() {
                let found = format!("`{}`", follow.branch);
                return bad("follows", found, "the name of a branch");
            }
        }
        if !daemon
            .follows
            .windows(2)
            .all(|pair| pair[0].from < pair[1].from)
        {
            let found = "out of order".to_owned();
            return bad("follows", found, "rising first slots");
        }
        if let Some(phase) = daemon.phases.iter().find(|phase| phase.to < phase.from) {
            let found = format!("from {} to {}", phase.from, phase.to);
            return bad("phases", found, "a last slot after the first");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
