//! The fork config a daemon exports (`fork_config` of its GraphQL interface): three account lists
//! with seeds and the fork block's identity, hundreds of megabytes of it.
//!
//! Read as a stream; accounts go to a callback in the order they come, whatever the order of the
//! members. Both the bare config and the GraphQL answer around it (`{"data": {"fork_config": …}}`)
//! are read. What the fork slot in it means is not decided here, see
//! [`compare`](crate::candidate::compare).

use std::fmt;
use std::io::Read;

use fork_ledger::json::ledger_object::check_padding;
use fork_ledger::json::{AccountJson, LedgerObjectError, LedgerObjectMeta};
use fork_types::Role;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::fork_point::{ForkPoint, ForkPointJson};
use crate::import::{
    AccountLists, Decoder, Document, EpochSeeds, ImportError, ImportedEpochs, ImportedLedger, Json,
    LedgerObject, Lists, Nullable, Paths, Seen, run, run_lists,
};
use crate::text::shown;
use crate::timestamp::GenesisTimestamp;

const DECODER: Decoder = Decoder {
    document: "fork config",
    paths: Paths {
        ledger: "ledger",
        ledger_hash: "ledger.hash",
        epoch_data: "epoch_data",
        staking: "epoch_data.staking",
        staking_seed: "epoch_data.staking.seed",
        staking_hash: "epoch_data.staking.hash",
        next_seed: "epoch_data.next.seed",
        next_hash: "epoch_data.next.hash",
    },
};

/// What a fork config says, beside the accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkConfigFacts {
    /// `proof.fork`. The slot has two meanings.
    pub fork: ForkPoint,
    /// `genesis.genesis_state_timestamp`, absent in older exports. Like the slot, it is the fork
    /// block's or the new genesis'.
    pub genesis_timestamp: Option<GenesisTimestamp>,
    /// The same as written.
    pub genesis_timestamp_text: Option<String>,
    /// The staged ledger.
    pub ledger: ImportedLedger,
    /// The two epochs.
    pub epochs: ImportedEpochs,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl ForkConfigFacts {
    /// The ledger of a role. The next ledger is the staking one when the document has none.
    #[must_use]
    pub const fn ledger(&self, role: Role) -> &ImportedLedger {
        match (role, &self.epochs.next) {
            (Role::Genesis, _) => &self.ledger,
            (Role::Next, Some(next)) => next,
            (Role::Next, None) | (Role::Staking, _) => &self.epochs.staking,
        }
    }
}

/// Reads a fork config from `source`; each account goes to `visit` with its ledger and its index,
/// which is its leaf index.
///
/// A document that is null, whose `fork_config` is null, or whose error speaks of bootstrapping is
/// [`ImportError::NotYet`] (class pending); any other error in place of a config is
/// [`ImportError::DaemonError`] (bad input).
///
/// `name` and `num_accounts` in the ledger object are tolerated with a warning, because the config
/// of the devnet fork of 2024 had them, inherited from an older config (MinaProtocol/mina issue
/// 15462); upstream's tool refuses them. Padding that would really add accounts is refused.
///
/// # Errors
///
/// Fails with the callback's error, on anything malformed or missing (truncated documents with line
/// and column), and on ledger objects that are not those of a fork. Accounts given to `visit` before
/// an error must then be thrown away.
pub fn read<R, F, E>(source: R, visit: F) -> Result<ForkConfigFacts, ImportError<E>>
where
    R: Read,
    F: FnMut(Role, u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    run::<ForkConfig, _, _, _>(source, visit)?.decode()
}

/// As [`read`], on all threads of the current rayon pool, for somebody who takes accounts in
/// batches of text.
///
/// # Errors
///
/// As [`read`].
pub fn read_lists<R, L>(source: R, lists: &mut L) -> Result<ForkConfigFacts, ImportError<L::Error>>
where
    R: Read + Send,
    L: AccountLists,
{
    run_lists::<ForkConfig, _, _>(source, lists)?.decode()
}

struct ForkConfig;

impl Document for ForkConfig {
    const NAME: &'static str = DECODER.document;
    type Raw = Raw;

    fn read<R, F, E>(
        json: &mut Json<R>,
        lists: &mut Lists<'_, F, E>,
    ) -> Result<Raw, serde_json::Error>
    where
        R: Read,
        F: FnMut(Role, u32, AccountJson<'static>) -> Result<(), E>,
        E: std::error::Error + 'static,
    {
        let mut raw = Raw::default();
        let document = ObjectSeed {
            raw: &mut raw,
            lists,
            level: Level::Document,
        };
        raw.document_is_null = Nullable::new(document).deserialize(json)?.is_none();
        Ok(raw)
    }
}

/// The document as found.
#[derive(Default)]
struct Raw {
    document_is_null: bool,
    /// Present and null.
    fork_config_is_null: bool,
    data_is_null: bool,
    errors: Vec<GraphqlErrorJson>,
    error: Option<serde_json::Value>,
    timestamp: Option<String>,
    fork: Option<ForkPointJson>,
    ledger: Option<LedgerObjectMeta>,
    epochs: Option<EpochSeeds>,
    seen: Seen,
}

#[derive(Deserialize)]
struct GraphqlErrorJson {
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GenesisJson {
    genesis_state_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProofJson {
    fork: Option<ForkPointJson>,
}

/// Which object of the answer is being read. The document itself may be the config.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Document,
    Data,
    Config,
}

struct ObjectSeed<'s, 'b, F, E: std::error::Error + 'static> {
    raw: &'s mut Raw,
    lists: &'s mut Lists<'b, F, E>,
    level: Level,
}

impl<'de, F, E> DeserializeSeed<'de> for ObjectSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de, F, E> Visitor<'de> for ObjectSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Document => "a fork config or the GraphQL answer around one",
            Level::Data => "`data` to be an object with `fork_config`",
            Level::Config => "`fork_config` to be an object",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { raw, lists, level } = self;
        let config = level != Level::Data;
        while let Some(name) = object.next_key::<String>()? {
            match name.as_str() {
                "data" if level == Level::Document => {
                    raw.seen.once("data")?;
                    let level = Level::Data;
                    let data =
                        object.next_value_seed(Nullable::new(ObjectSeed { raw, lists, level }))?;
                    raw.data_is_null = data.is_none();
                }
                "fork_config" if level != Level::Config => {
                    raw.seen.once("fork_config")?;
                    let level = Level::Config;
                    let found =
                        object.next_value_seed(Nullable::new(ObjectSeed { raw, lists, level }))?;
                    raw.fork_config_is_null = found.is_none();
                }
                "errors" if level == Level::Document => {
                    raw.seen.once("errors")?;
                    let errors: Option<Vec<GraphqlErrorJson>> = object.next_value()?;
                    raw.errors = errors.unwrap_or_default();
                }
                "error" if config => {
                    raw.seen.once("error")?;
                    raw.error = object.next_value()?;
                }
                "genesis" if config => {
                    raw.seen.once("genesis")?;
                    let genesis: Option<GenesisJson> = object.next_value()?;
                    raw.timestamp = genesis.and_then(|genesis| genesis.genesis_state_timestamp);
                }
                "proof" if config => {
                    raw.seen.once("proof")?;
                    let proof: Option<ProofJson> = object.next_value()?;
                    raw.fork = proof.and_then(|proof| proof.fork);
                }
                "ledger" if config => {
                    raw.seen.once("ledger")?;
                    raw.ledger = object.next_value_seed(Nullable::new(LedgerObject(lists)))?;
                }
                "epoch_data" if config => {
                    raw.seen.once("epoch_data")?;
                    raw.epochs = object.next_value_seed(Nullable::new(EpochSeeds::seed(lists)))?;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl Raw {
    fn decode<E: std::error::Error + 'static>(self) -> Result<ForkConfigFacts, ImportError<E>> {
        self.check_answer()?;
        let mut warnings = Vec::new();
        let fork = self.fork.ok_or_else(|| DECODER.missing("proof.fork"))?;
        let fork = fork.decode().map_err(|source| ImportError::ForkPoint {
            document: DECODER.document,
            source,
        })?;
        if !fork.older_names.is_empty() {
            warnings.push(format!(
                "`proof.fork` has member names of an older generation: {}",
                fork.older_names.join(", ")
            ));
        }
        let genesis_timestamp = match &self.timestamp {
            None => None,
            Some(text) => {
                let (timestamp, warning) =
                    GenesisTimestamp::parse(text).map_err(|source| ImportError::Timestamp {
                        document: DECODER.document,
                        source,
                    })?;
                warnings.extend(warning);
                Some(timestamp)
            }
        };
        let ledger = self
            .ledger
            .ok_or_else(|| DECODER.missing(DECODER.paths.ledger))?;
        let ledger = DECODER.ledger(Role::Genesis, ledger, DECODER.paths.ledger_hash)?;
        check_shape(&ledger, &mut warnings).map_err(|source| ImportError::LedgerObject {
            document: DECODER.document,
            role: Role::Genesis,
            source,
        })?;
        let epochs = DECODER.epochs(self.epochs, &mut warnings)?;
        Ok(ForkConfigFacts {
            fork,
            genesis_timestamp,
            genesis_timestamp_text: self.timestamp,
            ledger,
            epochs,
            warnings,
        })
    }

    /// Is there a config at all?
    fn check_answer<E: std::error::Error + 'static>(&self) -> Result<(), ImportError<E>> {
        let not_yet = |answer: &str| {
            Err(ImportError::NotYet {
                answer: answer.to_owned(),
            })
        };
        let mut messages: Vec<String> = self
            .errors
            .iter()
            .map(|error| {
                error
                    .message
                    .clone()
                    .unwrap_or_else(|| "no message".to_owned())
            })
            .collect();
        messages.extend(self.error.as_ref().map(|error| match error {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
        if !messages.is_empty() {
            let answer = shown(&messages.join("; "));
            let bootstrapping = messages
                .iter()
                .any(|message| message.to_ascii_lowercase().contains("bootstrap"));
            return Err(if bootstrapping {
                ImportError::NotYet { answer }
            } else {
                ImportError::DaemonError { answer }
            });
        }
        if self.document_is_null {
            return not_yet("null");
        }
        if self.fork_config_is_null {
            return not_yet("`fork_config` is null");
        }
        if self.data_is_null {
            return not_yet("`data` is null");
        }
        Ok(())
    }
}

fn check_shape(
    ledger: &ImportedLedger,
    warnings: &mut Vec<String>,
) -> Result<(), LedgerObjectError> {
    let meta = &ledger.meta;
    if meta.add_genesis_winner != Some(false) {
        return Err(LedgerObjectError::GenesisWinner {
            found: meta.add_genesis_winner,
        });
    }
    check_padding(meta, ledger.accounts)?;
    let inherited: Vec<String> = meta
        .name
        .iter()
        .map(|name| format!("name `{}`", shown(name)))
        .chain(
            meta.num_accounts
                .map(|count| format!("num_accounts {count}")),
        )
        .collect();
    if !inherited.is_empty() {
        warnings.push(format!(
            "the ledger object carries {}, inherited from another config; ignored, the list has {} \
             accounts",
            inherited.join(" and "),
            ledger.accounts
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
