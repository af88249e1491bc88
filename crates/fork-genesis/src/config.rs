//! Runtime configs ("daemon.json"): reading the old chain's, writing the new chain's.

use fork_types::{
    Class, EpochSeed, Fault, IdError, LedgerHash, SlotSinceGenesis, SlotSinceHardFork, SlotSpan,
    StateHash,
};
use serde::{Deserialize, Serialize};

use crate::fork_point::{ForkPoint, ForkPointError, ForkPointJson};
use crate::network::StopSlots;
use crate::schedule::{ChainClock, Schedule, ScheduleError, ScheduleInput};
use crate::text::shown;
use crate::timestamp::{GenesisTimestamp, TimestampError};

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or a member of another type. The source has line and column.
    #[error("the config is not a valid runtime config")]
    Json {
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A timestamp in no known form.
    #[error("`genesis.genesis_state_timestamp` of the config cannot be read")]
    Timestamp {
        /// What is wrong with it.
        source: TimestampError,
    },
    /// `proof.fork` is not a fork point.
    #[error("`proof.fork` of the config cannot be used")]
    ForkPoint {
        /// What is wrong with it.
        source: ForkPointError,
    },
    /// A hash that is not good base58check of its kind.
    #[error("`{path}` of the config cannot be read")]
    Id {
        /// The member.
        path: &'static str,
        /// What is wrong with the text.
        source: IdError,
    },
}

impl Fault for ConfigError {
    fn class(&self) -> Class {
        match self {
            Self::Json { .. }
            | Self::Timestamp { .. }
            | Self::ForkPoint { .. }
            | Self::Id { .. } => Class::BadInput,
        }
    }
}

/// What matters of the config the old chain's daemons ran with.
///
/// Unknown members are ignored, as upstream does; every member is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreforkConfig {
    /// `daemon.network_id`.
    pub network_id: Option<String>,
    /// `genesis.genesis_state_timestamp`.
    pub genesis_timestamp: Option<GenesisTimestamp>,
    /// `genesis.k`.
    pub k: Option<u32>,
    /// `genesis.delta`.
    pub delta: Option<u32>,
    /// `genesis.slots_per_epoch`.
    pub slots_per_epoch: Option<u32>,
    /// `genesis.slots_per_sub_window`.
    pub slots_per_sub_window: Option<u32>,
    /// `genesis.grace_period_slots`.
    pub grace_period_slots: Option<u32>,
    /// `proof.block_window_duration_ms`: the slot time, which is only ever compared with the network
    /// file's.
    pub block_window_duration_ms: Option<u64>,
    /// `proof.fork`; absent for a chain that never forked.
    pub fork: Option<ForkPoint>,
    /// `ledger.hash`.
    pub ledger_hash: Option<LedgerHash>,
    /// `epoch_data`: the staking and the next epoch the chain begins with; absent when they follow from
    /// its genesis ledger.
    pub epochs: Option<[PreforkEpoch; 2]>,
    /// The stop slots in `daemon`.
    pub stop: StopSlots,
    /// `daemon.txpool_max_size`.
    pub txpool_max_size: Option<u32>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// An epoch of `epoch_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreforkEpoch {
    /// `seed`.
    pub seed: EpochSeed,
    /// `hash`: root of the ledger, where the config has it.
    pub ledger_hash: Option<LedgerHash>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigJson {
    epoch_data: Option<EpochDataJson>,
    genesis: Option<GenesisJson>,
    proof: Option<ProofJson>,
    ledger: Option<LedgerJson>,
    daemon: Option<DaemonJson>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GenesisJson {
    genesis_state_timestamp: Option<String>,
    k: Option<u32>,
    delta: Option<u32>,
    slots_per_epoch: Option<u32>,
    slots_per_sub_window: Option<u32>,
    grace_period_slots: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProofJson {
    fork: Option<ForkPointJson>,
    block_window_duration_ms: Option<u64>,
    signature_kind: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct EpochDataJson {
    staking: EpochJson,
    next: Option<EpochJson>,
}

#[derive(Deserialize)]
struct EpochJson {
    seed: String,
    hash: Option<String>,
}

impl EpochJson {
    fn decode(&self, paths: [&'static str; 2]) -> Result<PreforkEpoch, ConfigError> {
        let wrong = |path| move |source| ConfigError::Id { path, source };
        let [seed, hash] = paths;
        let ledger_hash = self.hash.as_ref().map(|text| text.parse()).transpose();
        Ok(PreforkEpoch {
            seed: self.seed.parse().map_err(wrong(seed))?,
            ledger_hash: ledger_hash.map_err(wrong(hash))?,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LedgerJson {
    hash: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DaemonJson {
    network_id: Option<String>,
    txpool_max_size: Option<u32>,
    slot_tx_end: Option<SlotSinceHardFork>,
    slot_chain_end: Option<SlotSinceHardFork>,
    hard_fork_genesis_slot_delta: Option<SlotSpan>,
}

impl PreforkConfig {
    /// Reads a config.
    ///
    /// # Errors
    ///
    /// Fails on anything that is not JSON of this shape, and on an unreadable time, hash or fork.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ConfigError> {
        // serde takes an array for a struct, and an empty one would be a config without anything.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            let source = serde::de::Error::custom("expected a JSON object");
            return Err(ConfigError::Json { source });
        }
        let json: ConfigJson =
            serde_json::from_slice(bytes).map_err(|source| ConfigError::Json { source })?;
        let genesis = json.genesis.unwrap_or_default();
        let proof = json.proof.unwrap_or_default();
        let daemon = json.daemon.unwrap_or_default();
        let mut warnings = Vec::new();
        let genesis_timestamp = match &genesis.genesis_state_timestamp {
            None => None,
            Some(text) => {
                let (timestamp, warning) = GenesisTimestamp::parse(text)
                    .map_err(|source| ConfigError::Timestamp { source })?;
                warnings.extend(warning);
                Some(timestamp)
            }
        };
        let fork = proof
            .fork
            .map(ForkPointJson::decode)
            .transpose()
            .map_err(|source| ConfigError::ForkPoint { source })?;
        if proof.signature_kind.is_some() {
            warnings.push("`proof.signature_kind` of the prefork config is ignored".to_owned());
        }
        let ledger_hash = json
            .ledger
            .and_then(|ledger| ledger.hash)
            .map(|hash| hash.parse())
            .transpose()
            .map_err(|source| ConfigError::Id {
                path: "ledger.hash",
                source,
            })?;
        let epochs = json
            .epoch_data
            .map(|epochs| {
                let staking = epochs
                    .staking
                    .decode(["epoch_data.staking.seed", "epoch_data.staking.hash"])?;
                // Without a next epoch it is the staking epoch.
                let next = match epochs.next {
                    Some(next) => next.decode(["epoch_data.next.seed", "epoch_data.next.hash"])?,
                    None => staking,
                };
                Ok::<_, ConfigError>([staking, next])
            })
            .transpose()?;
        Ok(Self {
            epochs,
            network_id: daemon.network_id,
            genesis_timestamp,
            k: genesis.k,
            delta: genesis.delta,
            slots_per_epoch: genesis.slots_per_epoch,
            slots_per_sub_window: genesis.slots_per_sub_window,
            grace_period_slots: genesis.grace_period_slots,
            block_window_duration_ms: proof.block_window_duration_ms,
            fork,
            ledger_hash,
            stop: StopSlots {
                slot_tx_end: daemon.slot_tx_end,
                slot_chain_end: daemon.slot_chain_end,
                hard_fork_genesis_slot_delta: daemon.hard_fork_genesis_slot_delta,
            },
            txpool_max_size: daemon.txpool_max_size,
            warnings,
        })
    }

    /// Slot since genesis of the chain's genesis: 0 for a chain that never forked.
    #[must_use]
    pub fn fork_slot(&self) -> SlotSinceGenesis {
        self.fork
            .as_ref()
            .map(|fork| fork.global_slot_since_genesis)
            .unwrap_or_default()
    }

    /// The chain's clock, with the slot time of the network file; `None` when the config has no
    /// genesis time.
    #[must_use]
    pub fn clock(&self, slot_ms: u64) -> Option<ChainClock> {
        self.genesis_timestamp.map(|genesis| ChainClock {
            genesis,
            slot_ms,
            fork_slot: self.fork_slot(),
        })
    }

    /// The schedule that follows from this config alone; `None` when it has no time or no stop slots.
    /// `slot_ms` is the slot time of the chain where the config says none.
    ///
    /// # Errors
    ///
    /// Fails when its stop slots contradict themselves.
    pub fn schedule(&self, slot_ms: u64) -> Result<Option<Schedule>, ScheduleError> {
        let input = self.schedule_input();
        match self.clock(slot_ms) {
            Some(clock) if input.slot_chain_end.is_some() && input.genesis_slot_delta.is_some() => {
                Schedule::derive(&clock, &input).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The part of a schedule this config knows.
    #[must_use]
    pub const fn schedule_input(&self) -> ScheduleInput {
        ScheduleInput {
            slot_tx_end: self.stop.slot_tx_end,
            slot_chain_end: self.stop.slot_chain_end,
            genesis_slot_delta: self.stop.hard_fork_genesis_slot_delta,
            genesis_timestamp: None,
        }
    }
}

/// The config of the new chain, in the members and the order the daemon's own tools write.
///
/// It has no place for stop slots, so the old chain's cannot get into it. Reading is strict: an
/// unknown member is an error, because this shape is ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// `genesis`.
    pub genesis: GenesisSection,
    /// `proof`.
    pub proof: ProofSection,
    /// `ledger`.
    pub ledger: LedgerSection,
    /// `epoch_data`.
    pub epoch_data: EpochDataSection,
    /// `daemon`.
    pub daemon: DaemonSection,
}

/// `genesis`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSection {
    /// Genesis time, RFC 3339 in UTC.
    pub genesis_state_timestamp: String,
}

/// `proof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofSection {
    /// The fork.
    pub fork: ForkSection,
}

/// `proof.fork`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkSection {
    /// State hash of the fork block.
    pub state_hash: StateHash,
    /// Height of the fork block.
    pub blockchain_length: u32,
    /// Slot since genesis of the new genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
}

/// `ledger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSection {
    /// False in every fork config.
    pub add_genesis_winner: bool,
    /// Migrated root.
    pub hash: LedgerHash,
    /// SHA3-256 of the tarball.
    pub s3_data_hash: S3DataHash,
}

/// `epoch_data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochDataSection {
    /// The staking epoch.
    pub staking: EpochSection,
    /// The next epoch.
    pub next: EpochSection,
}

/// `epoch_data.staking`, `epoch_data.next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochSection {
    /// Seed, copied from the fork block.
    pub seed: EpochSeed,
    /// Migrated root.
    pub hash: LedgerHash,
    /// SHA3-256 of the tarball.
    pub s3_data_hash: S3DataHash,
}

/// `daemon`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonSection {
    /// Network id.
    pub network_id: String,
}

/// Identity of a fork, as the config of the new chain says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChain {
    /// Genesis time.
    pub genesis_timestamp: GenesisTimestamp,
    /// State hash of the fork block.
    pub fork_state_hash: StateHash,
    /// Height of the fork block.
    pub blockchain_length: u32,
    /// Slot since genesis of the new genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// The genesis ledger: migrated root and SHA3-256 of its tarball.
    pub ledger: (LedgerHash, S3DataHash),
    /// The staking epoch.
    pub staking: EpochSection,
    /// The next epoch.
    pub next: EpochSection,
    /// Network id.
    pub network_id: String,
}

impl From<NewChain> for RuntimeConfig {
    fn from(chain: NewChain) -> Self {
        let NewChain {
            genesis_timestamp,
            fork_state_hash,
            blockchain_length,
            global_slot_since_genesis,
            ledger: (hash, s3_data_hash),
            staking,
            next,
            network_id,
        } = chain;
        Self {
            genesis: GenesisSection {
                genesis_state_timestamp: genesis_timestamp.to_string(),
            },
            proof: ProofSection {
                fork: ForkSection {
                    state_hash: fork_state_hash,
                    blockchain_length,
                    global_slot_since_genesis,
                },
            },
            ledger: LedgerSection {
                add_genesis_winner: false,
                hash,
                s3_data_hash,
            },
            epoch_data: EpochDataSection { staking, next },
            daemon: DaemonSection { network_id },
        }
    }
}

impl RuntimeConfig {
    /// Reads a config this tool wrote.
    ///
    /// # Errors
    ///
    /// Fails on anything not exactly of this shape.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(bytes).map_err(|source| ConfigError::Json { source })
    }

    /// The config as released ones look: indented by two, a newline at the end.
    ///
    /// # Errors
    ///
    /// Never: all members are texts and numbers.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The hashes file upstream's tool writes: one line without a newline, in its member order.
    ///
    /// # Errors
    ///
    /// Never: all members are texts.
    pub fn hashes_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(Serialize)]
        struct Hashes<'a> {
            ledger: Pair<'a>,
            epoch_data: Epochs<'a>,
        }
        #[derive(Serialize)]
        struct Epochs<'a> {
            staking: Pair<'a>,
            next: Pair<'a>,
        }
        #[derive(Serialize)]
        struct Pair<'a> {
            s3_data_hash: &'a S3DataHash,
            hash: &'a LedgerHash,
        }
        const fn epoch(section: &EpochSection) -> Pair<'_> {
            Pair {
                s3_data_hash: &section.s3_data_hash,
                hash: &section.hash,
            }
        }
        serde_json::to_vec(&Hashes {
            ledger: Pair {
                s3_data_hash: &self.ledger.s3_data_hash,
                hash: &self.ledger.hash,
            },
            epoch_data: Epochs {
                staking: epoch(&self.epoch_data.staking),
                next: epoch(&self.epoch_data.next),
            },
        })
    }
}

/// A SHA3-256 in 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct S3DataHash(String);

/// A text that is no [`S3DataHash`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not 64 lower-case hexadecimal digits")]
pub struct S3DataHashError {
    found: String,
}

impl S3DataHash {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for S3DataHash {
    type Error = S3DataHashError;

    fn try_from(text: String) -> Result<Self, S3DataHashError> {
        let good = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(good) {
            Ok(Self(text))
        } else {
            Err(S3DataHashError {
                found: shown(&text),
            })
        }
    }
}

impl std::str::FromStr for S3DataHash {
    type Err = S3DataHashError;

    fn from_str(text: &str) -> Result<Self, S3DataHashError> {
        text.to_owned().try_into()
    }
}

impl From<S3DataHash> for String {
    fn from(hash: S3DataHash) -> Self {
        hash.0
    }
}

#[cfg(test)]
mod tests;
