//! The description of a network: a TOML file, never a default in code.
//!
//! Two different things are in it and must not be mixed up. `[chain]` describes the chain that is
//! running *before* the fork: its clock, its constants, its identity. `source_era` says under which
//! account rules the ledgers dumped from it are hashed. They can differ: ledgers dumped for the
//! fork from v1 to Berkeley already have Berkeley's shape and roots.

use fork_types::{
    Class, Era, Fault, LedgerHash, SlotSinceGenesis, SlotSinceHardFork, SlotSpan, StateHash,
};
use serde::Deserialize;

use crate::schedule::ChainClock;
use crate::timestamp::{GenesisTimestamp, TimestampError};

/// The networks whose description is compiled in, by name.
const BUILTIN: [(&str, &str); 4] = [
    ("devnet", include_str!("../../../networks/devnet.toml")),
    (
        "devnet-v1",
        include_str!("../../../networks/devnet-v1.toml"),
    ),
    ("mainnet", include_str!("../../../networks/mainnet.toml")),
    (
        "mainnet-v1",
        include_str!("../../../networks/mainnet-v1.toml"),
    ),
];

/// A network, as described in its file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Name of this description; documents repeat it.
    pub name: String,
    /// `daemon.network_id` of the new config.
    pub network_id: String,
    /// Name in packages and in the daemon's files, where it is not `name`: the description of an
    /// older chain of the same network (`devnet-v1`) still makes `mina-devnet-config`.
    #[serde(default)]
    package_name: Option<String>,
    /// Era whose account rules give the roots of the dumped ledgers.
    pub source_era: Era,
    /// Era of the new chain.
    pub target_era: Era,
    /// Address of the list of seed nodes, for packages; not needed for anything else.
    #[serde(default)]
    pub seed_list_url: Option<String>,
    /// The chain that runs before the fork.
    pub chain: Chain,
    /// The stop slots of that chain, when they are public.
    #[serde(default)]
    pub stop: StopSlots,
    /// The chain that starts at the fork.
    pub target: Target,
}

/// The chain that runs before the fork.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Protocol era the chain runs under.
    pub era: Era,
    /// Slot time in milliseconds.
    pub slot_ms: u64,
    /// Genesis time; any form of timestamp with a zone.
    #[serde(deserialize_with = "timestamp")]
    pub genesis_state_timestamp: GenesisTimestamp,
    /// Slot since genesis of the chain's genesis: 0 for a chain that never forked.
    pub fork_global_slot: SlotSinceGenesis,
    /// State hash of the genesis block.
    #[serde(default)]
    pub genesis_state_hash: Option<StateHash>,
    /// Root of the genesis ledger.
    #[serde(default)]
    pub genesis_ledger_hash: Option<LedgerHash>,
    /// Confirmations that make a block final.
    pub k: u32,
    /// Slots a block may be late.
    pub delta: u32,
    /// Slots per epoch.
    pub slots_per_epoch: u32,
    /// Slots per sub-window.
    pub slots_per_sub_window: u32,
    /// Slots before densities count; v1 has no such constant.
    #[serde(default)]
    pub grace_period_slots: Option<u32>,
    /// Commands a node keeps waiting; enters the chain id.
    pub txpool_max_size: u32,
}

/// Stop slots, all counted since the last hard fork.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopSlots {
    /// First slot without transactions.
    pub slot_tx_end: Option<SlotSinceHardFork>,
    /// First slot without blocks.
    pub slot_chain_end: Option<SlotSinceHardFork>,
    /// Slots from there to the new genesis.
    pub hard_fork_genesis_slot_delta: Option<SlotSpan>,
}

/// The chain that starts at the fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Slot time in milliseconds. It plays no part in the time of the new genesis.
    pub slot_ms: u64,
    /// Transaction version of the new chain.
    pub transaction_version: u32,
}

/// Why a network description cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Not TOML, or not of this shape.
    #[error("the network file is not valid")]
    Toml {
        /// What is wrong, with line and column.
        source: toml::de::Error,
    },
    /// A value that cannot be.
    #[error("`{member}` of the network file is {found}, expected {expected}")]
    Value {
        /// The member.
        member: &'static str,
        /// What it says.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Neither a file nor a network that ships.
    #[error("no network file is called `{name}`, and no network of that name ships")]
    Unknown {
        /// As given.
        name: String,
    },
}

impl Fault for NetworkError {
    fn class(&self) -> Class {
        match self {
            Self::Toml { .. } | Self::Value { .. } => Class::BadInput,
            Self::Unknown { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Toml { .. } => {
                Some("networks/devnet.toml describes every member and is a good start".to_owned())
            }
            Self::Value { .. } => None,
            Self::Unknown { .. } => {
                let known = Network::builtin_names().collect::<Vec<_>>().join(", ");
                Some(format!(
                    "pass the path of a network file, or one of {known}"
                ))
            }
        }
    }
}

impl Network {
    /// Reads a network file.
    ///
    /// # Errors
    ///
    /// Fails on unknown and missing members, and on values that cannot be, such as a slot time of 0.
    pub fn from_toml(text: &str) -> Result<Self, NetworkError> {
        let network: Self = toml::from_str(text).map_err(|source| NetworkError::Toml { source })?;
        network.check()?;
        Ok(network)
    }

    /// A network that ships with forkpack; `None` for a name that is not one of
    /// [`Network::builtin_names`]. Upper case is the same name: who comes from upstream's pipeline
    /// writes `Devnet`.
    ///
    /// # Errors
    ///
    /// Never for a released build: a test reads all of them.
    pub fn builtin(name: &str) -> Result<Option<Self>, NetworkError> {
        BUILTIN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, text)| Self::from_toml(text))
            .transpose()
    }

    /// The network a command line names: a file, when the caller could read one, or one that
    /// ships.
    ///
    /// # Errors
    ///
    /// Fails as [`Network::from_toml`], and on a name that does not ship.
    pub fn named(name: &str, file: Option<&[u8]>) -> Result<Self, NetworkError> {
        match file {
            Some(bytes) => Self::from_toml(&String::from_utf8_lossy(bytes)),
            None => Self::builtin(name)?.ok_or_else(|| NetworkError::Unknown {
                name: name.to_owned(),
            }),
        }
    }

    /// Name in packages: `mina-<this>-config`.
    #[must_use]
    pub fn package_name(&self) -> &str {
        self.package_name.as_deref().unwrap_or(&self.name)
    }

    /// Names of the networks that ship with forkpack.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// The clock of the chain before the fork.
    #[must_use]
    pub const fn clock(&self) -> ChainClock {
        ChainClock {
            genesis: self.chain.genesis_state_timestamp,
            slot_ms: self.chain.slot_ms,
            fork_slot: self.chain.fork_global_slot,
        }
    }

    fn check(&self) -> Result<(), NetworkError> {
        for (member, slot_ms) in [
            ("chain.slot_ms", self.chain.slot_ms),
            ("target.slot_ms", self.target.slot_ms),
        ] {
            if slot_ms == 0 {
                return Err(NetworkError::Value {
                    member,
                    found: "0".to_owned(),
                    expected: "a slot time in milliseconds",
                });
            }
        }
        for (member, word) in [("name", &self.name), ("network_id", &self.network_id)] {
            let good =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if word.is_empty() || !word.bytes().all(good) {
                return Err(NetworkError::Value {
                    member,
                    found: format!("`{word}`"),
                    expected: "lower-case letters, digits and dashes",
                });
            }
        }
        if self.target_era < self.source_era {
            return Err(NetworkError::Value {
                member: "target_era",
                found: self.target_era.to_string(),
                expected: "the source era or a later one",
            });
        }
        Ok(())
    }
}

/// A network file is ours, so the zone upstream would assume is not accepted in it.
fn timestamp<'de, D: serde::Deserializer<'de>>(value: D) -> Result<GenesisTimestamp, D::Error> {
    let text = String::deserialize(value)?;
    match GenesisTimestamp::parse(&text).map_err(describe)? {
        (timestamp, None) => Ok(timestamp),
        (_, Some(_)) => Err(serde::de::Error::custom(format!(
            "timestamp `{text}` has no zone"
        ))),
    }
}

/// serde's errors are texts, so the source of an impossible time must be in the text.
fn describe<E: serde::de::Error>(error: TimestampError) -> E {
    match error {
        TimestampError::Impossible { ref source, .. } => E::custom(format!("{error}: {source}")),
        TimestampError::Malformed { .. }
        | TimestampError::TooFine { .. }
        | TimestampError::OutOfRange { .. } => E::custom(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Schedule, ScheduleInput};

    fn builtin(name: &str) -> Network {
        Network::builtin(name).unwrap().unwrap()
    }

    #[test]
    fn all_shipped_networks_are_valid() {
        for name in Network::builtin_names() {
            assert_eq!(builtin(name).name, name);
        }
        assert!(Network::builtin("berkeley").unwrap().is_none());
        assert_eq!(builtin("Devnet"), builtin("devnet"));
        assert_eq!(builtin("MAINNET").name, "mainnet");
    }

    #[test]
    fn shipped_stop_slots_give_the_published_genesis() {
        for (name, slot, time) in [
            ("mainnet", 958_440, "2026-09-03T18:00:00Z"),
            ("devnet", 859_560, "2026-08-19T18:00:00Z"),
        ] {
            let network = builtin(name);
            let input = ScheduleInput {
                slot_tx_end: network.stop.slot_tx_end,
                slot_chain_end: network.stop.slot_chain_end,
                genesis_slot_delta: network.stop.hard_fork_genesis_slot_delta,
                genesis_timestamp: None,
            };
            let schedule = Schedule::derive(&network.clock(), &input).unwrap();
            assert_eq!(schedule.global_slot_since_genesis.get(), slot);
            assert_eq!(schedule.genesis_timestamp.to_string(), time);
        }
    }

    #[test]
    fn the_older_forks_are_reproducible() {
        for (old, new) in [("mainnet-v1", "mainnet"), ("devnet-v1", "devnet")] {
            let input = ScheduleInput {
                genesis_timestamp: Some(builtin(new).chain.genesis_state_timestamp),
                ..ScheduleInput::default()
            };
            let schedule = Schedule::derive(&builtin(old).clock(), &input).unwrap();
            let fork_slot = builtin(new).chain.fork_global_slot;
            assert_eq!(schedule.global_slot_since_genesis, fork_slot);
        }
    }

    #[test]
    fn defects_are_refused() {
        let text = BUILTIN[0].1;
        let edited = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            Network::from_toml(&text.replacen(from, to, 1))
        };
        assert!(matches!(
            edited("k = 290", "k = 290\nx = 1"),
            Err(NetworkError::Toml { .. })
        ));
        assert!(matches!(
            edited("k = 290\n", ""),
            Err(NetworkError::Toml { .. })
        ));
        assert!(matches!(
            edited("180000", "0"),
            Err(NetworkError::Value { .. })
        ));
        assert!(matches!(
            edited("name = \"devnet\"", "name = \"../x\""),
            Err(NetworkError::Value { .. })
        ));
        assert!(matches!(
            edited("target_era = \"mesa\"", "target_era = \"v1\""),
            Err(NetworkError::Value { .. })
        ));
        assert!(matches!(
            edited("21:00:00Z", "21:00:00"),
            Err(NetworkError::Toml { .. })
        ));
        assert!(matches!(
            edited("3NL93", "3NL94"),
            Err(NetworkError::Toml { .. })
        ));
    }
}
