//! What the answers look like.

use std::str::FromStr;

use fork_types::document::{SeenBlock, SeenStopSlots};
use fork_types::{EpochSeed, LedgerHash, SlotSinceGenesis, SlotSinceHardFork, SlotSpan, StateHash};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{DaemonClient, DaemonError, DaemonStatus, RuntimeConfig};

/// Longest text of a daemon that is repeated in an error, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Most members of one list that are repeated in an error.
const SHOWN_ERRORS_MAX: usize = 3;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    errors: Option<Vec<ErrorJson>>,
}

#[derive(Deserialize)]
struct ErrorJson {
    #[serde(default)]
    message: Option<String>,
}

/// The `data` of an answer, and who gave it.
pub(super) struct Answer<'c, T> {
    client: &'c DaemonClient,
    field: &'static str,
    pub(super) data: T,
}

impl<'c, T: DeserializeOwned> Answer<'c, T> {
    pub(super) fn read(
        client: &'c DaemonClient,
        field: &'static str,
        body: &[u8],
    ) -> Result<Self, DaemonError> {
        let data = data(client, field, body)?;
        let data = serde_json::from_str(data.get())
            .map_err(|source| malformed(client, field, body, source))?;
        Ok(Self {
            client,
            field,
            data,
        })
    }
}

impl<T> Answer<'_, T> {
    pub(super) fn null(&self) -> DaemonError {
        DaemonError::Null {
            daemon: self.client.url.to_string(),
            field: self.field,
        }
    }

    pub(super) fn value(
        &self,
        member: &'static str,
        found: &str,
        expected: &'static str,
    ) -> DaemonError {
        DaemonError::Value {
            daemon: self.client.url.to_string(),
            field: self.field,
            member,
            found: format!("`{}`", shown(found)),
            expected,
        }
    }

    /// A value that comes as text or, where the schema says Int, as a number.
    pub(super) fn parse<V: FromStr>(
        &self,
        member: &'static str,
        found: &Text,
        expected: &'static str,
    ) -> Result<V, DaemonError> {
        let text = match found {
            Text::Text(text) => text,
            Text::Number(number) => &number.to_string(),
        };
        text.parse().map_err(|_| self.value(member, text, expected))
    }
}

/// The value of `data`, or the error that stands in its place.
fn data<'b>(
    client: &DaemonClient,
    field: &'static str,
    body: &'b [u8],
) -> Result<&'b RawValue, DaemonError> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(body).map_err(|source| malformed(client, field, body, source))?;
    let errors = envelope.errors.unwrap_or_default();
    if !errors.is_empty() {
        let messages: Vec<&str> = errors
            .iter()
            .take(SHOWN_ERRORS_MAX)
            .map(|error| error.message.as_deref().unwrap_or("no message"))
            .collect();
        return Err(refused(client, field, &messages.join("; ")));
    }
    envelope
        .data
        .filter(|data| data.get() != "null")
        .ok_or_else(|| DaemonError::Null {
            daemon: client.url.to_string(),
            field,
        })
}

/// Tells a daemon that is not in sync from one that will never answer. The texts are those of
/// MinaProtocol/mina: "Daemon is bootstrapping", "Could not obtain transition frontier", "Could not
/// obtain best chain from transition frontier".
fn refused(client: &DaemonClient, field: &'static str, message: &str) -> DaemonError {
    let daemon = client.url.to_string();
    let lower = message.to_lowercase();
    let message = shown(message);
    let is_not_ready = ["bootstrap", "not synced", "transition frontier"]
        .iter()
        .any(|part| lower.contains(part));
    if is_not_ready {
        DaemonError::NotReady {
            daemon,
            field,
            message,
        }
    } else {
        DaemonError::Refused {
            daemon,
            field,
            message,
        }
    }
}

fn malformed(
    client: &DaemonClient,
    field: &'static str,
    body: &[u8],
    source: serde_json::Error,
) -> DaemonError {
    let start = body.get(..body.len().min(4 * SHOWN_CHARS_MAX));
    let start = String::from_utf8_lossy(start.unwrap_or_default());
    DaemonError::Json {
        daemon: client.url.to_string(),
        field,
        found: format!("{} bytes, beginning `{}`", body.len(), shown(&start)),
        source,
    }
}

/// Text of a daemon, cut and without control characters.
fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// Looks at an export that is too short to be one.
pub(super) fn check_short_export(client: &DaemonClient, body: &[u8]) -> Result<(), DaemonError> {
    #[derive(Deserialize)]
    struct Data {
        fork_config: Option<Value>,
    }
    const FIELD: &str = "fork_config";
    let data: Data = serde_json::from_str(data(client, FIELD, body)?.get())
        .map_err(|source| malformed(client, FIELD, body, source))?;
    let Some(config) = data.fork_config else {
        return Err(DaemonError::Null {
            daemon: client.url.to_string(),
            field: FIELD,
        });
    };
    match config.get("error") {
        None => Ok(()),
        Some(error) => Err(refused(client, FIELD, &message(error))),
    }
}

/// The text of an error inside data.
fn message(error: &Value) -> String {
    match error {
        Value::String(message) => message.clone(),
        other => other.to_string(),
    }
}

/// A scalar: text by the schema, a number where daemons differ.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Text(String),
    Number(i64),
}

impl Text {
    pub(super) fn into_string(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusJson {
    sync_status: Option<String>,
    version: Option<String>,
    #[serde(rename = "networkID")]
    network_id: Option<String>,
    time_offset: Option<Text>,
    daemon_status: Option<DaemonStatusJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DaemonStatusJson {
    chain_id: Option<String>,
    consensus_time_now: Option<ConsensusTimeJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConsensusTimeJson {
    global_slot: Option<Text>,
}

impl Answer<'_, StatusJson> {
    pub(super) fn decode(&self) -> Result<DaemonStatus, DaemonError> {
        let data = &self.data;
        let status = data.daemon_status.as_ref();
        let slot = status
            .and_then(|status| status.consensus_time_now.as_ref())
            .and_then(|now| now.global_slot.as_ref());
        Ok(DaemonStatus {
            sync_status: data.sync_status.clone().ok_or_else(|| self.null())?,
            network_id: data.network_id.clone(),
            chain_id: status.and_then(|status| status.chain_id.clone()),
            daemon_version: data.version.clone(),
            clock_slot: slot
                .map(|slot| self.parse("consensusTimeNow.globalSlot", slot, "a slot"))
                .transpose()?,
            time_offset_s: data
                .time_offset
                .as_ref()
                .map(|offset| self.parse("timeOffset", offset, "seconds"))
                .transpose()?,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct RuntimeConfigJson {
    #[serde(rename = "runtimeConfig")]
    config: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigJson {
    daemon: Option<ConfigDaemonJson>,
    /// No member of a config: the place where older daemons put their failures.
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigDaemonJson {
    slot_tx_end: Option<Text>,
    slot_chain_end: Option<Text>,
    hard_fork_genesis_slot_delta: Option<Text>,
}

impl Answer<'_, RuntimeConfigJson> {
    pub(super) fn decode(&self) -> Result<RuntimeConfig, DaemonError> {
        let config = self.data.config.as_ref().ok_or_else(|| self.null())?;
        let text = config.get().as_bytes().to_vec();
        let json: Option<ConfigJson> = serde_json::from_slice(&text)
            .map_err(|source| malformed(self.client, self.field, &text, source))?;
        let json = json.ok_or_else(|| self.null())?;
        if let Some(error) = json.error {
            return Err(refused(self.client, self.field, &message(&error)));
        }
        let daemon = json.daemon.unwrap_or_default();
        let slot = |member, found: Option<Text>| -> Result<Option<u32>, DaemonError> {
            found
                .map(|found| self.parse(member, &found, "a slot below 2^32"))
                .transpose()
        };
        Ok(RuntimeConfig {
            stop: SeenStopSlots {
                slot_tx_end: slot("daemon.slot_tx_end", daemon.slot_tx_end)?
                    .map(SlotSinceHardFork::new),
                slot_chain_end: slot("daemon.slot_chain_end", daemon.slot_chain_end)?
                    .map(SlotSinceHardFork::new),
                hard_fork_genesis_slot_delta: slot(
                    "daemon.hard_fork_genesis_slot_delta",
                    daemon.hard_fork_genesis_slot_delta,
                )?
                .map(SlotSpan::new),
            },
            text,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct ProtocolStateJson {
    #[serde(rename = "protocolState")]
    state: Option<String>,
}

impl Answer<'_, ProtocolStateJson> {
    pub(super) fn decode(self) -> Result<String, DaemonError> {
        let null = self.null();
        self.data.state.ok_or(null)
    }
}

#[derive(Deserialize)]
pub(super) struct BestChainJson {
    #[serde(rename = "bestChain")]
    blocks: Option<Vec<BlockJson>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockJson {
    state_hash: String,
    command_transaction_count: u32,
    transactions: TransactionsJson,
    protocol_state: BlockStateJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionsJson {
    coinbase: Text,
    /// Nullable in the schema, inside and out.
    fee_transfer: Option<Vec<Option<serde::de::IgnoredAny>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStateJson {
    previous_state_hash: String,
    blockchain_state: BlockchainStateJson,
    consensus_state: ConsensusStateJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockchainStateJson {
    staged_ledger_hash: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConsensusStateJson {
    block_height: Text,
    slot: Text,
    slot_since_genesis: Text,
    staking_epoch_data: EpochJson,
    next_epoch_data: EpochJson,
}

#[derive(Deserialize)]
struct EpochJson {
    seed: String,
    ledger: EpochLedgerJson,
}

#[derive(Deserialize)]
struct EpochLedgerJson {
    hash: String,
}

impl Answer<'_, BestChainJson> {
    pub(super) fn decode(&self) -> Result<Vec<SeenBlock>, DaemonError> {
        let blocks = self.data.blocks.as_ref().ok_or_else(|| self.null())?;
        let blocks: Vec<SeenBlock> = blocks
            .iter()
            .map(|block| self.block(block))
            .collect::<Result<_, _>>()?;
        for pair in blocks.windows(2) {
            let [parent, child] = pair else { continue };
            if child.previous_state_hash != parent.state_hash {
                return Err(self.value(
                    "previousStateHash",
                    &child.previous_state_hash.to_string(),
                    "the state hash of the block before",
                ));
            }
            let lengths = (parent.blockchain_length, child.blockchain_length);
            if lengths.0.checked_add(1) != Some(lengths.1) {
                return Err(self.value(
                    "blockHeight",
                    &lengths.1.to_string(),
                    "one more than the block before has",
                ));
            }
            if child.slot_since_hard_fork <= parent.slot_since_hard_fork {
                return Err(self.value(
                    "slot",
                    &child.slot_since_hard_fork.to_string(),
                    "a later slot than the block before has",
                ));
            }
        }
        Ok(blocks)
    }
}

impl<T> Answer<'_, T> {
    pub(super) fn block(&self, json: &BlockJson) -> Result<SeenBlock, DaemonError> {
        let state = &json.protocol_state;
        let consensus = &state.consensus_state;
        let hash = |member, text: &str| -> Result<StateHash, DaemonError> {
            text.parse()
                .map_err(|_| self.value(member, text, "a state hash"))
        };
        let ledger = |member, text: &str| -> Result<LedgerHash, DaemonError> {
            text.parse()
                .map_err(|_| self.value(member, text, "a ledger hash"))
        };
        let seed = |member, text: &str| -> Result<EpochSeed, DaemonError> {
            text.parse()
                .map_err(|_| self.value(member, text, "an epoch seed"))
        };
        let number = "a decimal number below 2^32";
        let coinbase: u64 = self.parse(
            "transactions.coinbase",
            &json.transactions.coinbase,
            "an amount in nanomina",
        )?;
        let fee_transfers = json.transactions.fee_transfer.as_ref();
        let fee_transfers = fee_transfers.map_or(0, |all| all.iter().flatten().count());
        Ok(SeenBlock {
            state_hash: hash("stateHash", &json.state_hash)?,
            previous_state_hash: hash("previousStateHash", &state.previous_state_hash)?,
            blockchain_length: self.parse("blockHeight", &consensus.block_height, number)?,
            global_slot_since_genesis: SlotSinceGenesis::new(self.parse(
                "slotSinceGenesis",
                &consensus.slot_since_genesis,
                number,
            )?),
            slot_since_hard_fork: SlotSinceHardFork::new(self.parse(
                "slot",
                &consensus.slot,
                number,
            )?),
            staged_ledger_hash: ledger(
                "stagedLedgerHash",
                &state.blockchain_state.staged_ledger_hash,
            )?,
            staking_ledger_hash: ledger(
                "stakingEpochData.ledger.hash",
                &consensus.staking_epoch_data.ledger.hash,
            )?,
            next_ledger_hash: ledger(
                "nextEpochData.ledger.hash",
                &consensus.next_epoch_data.ledger.hash,
            )?,
            staking_seed: seed("stakingEpochData.seed", &consensus.staking_epoch_data.seed)?,
            next_seed: seed("nextEpochData.seed", &consensus.next_epoch_data.seed)?,
            commands: json.command_transaction_count,
            fee_transfers: u32::try_from(fee_transfers).unwrap_or(u32::MAX),
            coinbase_nanomina: coinbase.to_string(),
        })
    }
}
