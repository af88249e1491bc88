//! The output of `mina-replayer` for a fork: the same three ledgers under other names, without
//! height and slot of the fork block.
//!
//! Each ledger object in it is the input's with only the accounts replaced; everything else is
//! stale, so it is reported and thrown away. Source: MinaProtocol/mina
//! `src/app/replayer/replayer.ml`.

use std::fmt;
use std::io::Read;

use fork_ledger::json::{AccountJson, LedgerObjectMeta};
use fork_types::{Role, StateHash};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::import::{
    AccountLists, Decoder, Document, EpochSeeds, ImportError, ImportedEpochs, ImportedLedger, Json,
    LedgerObject, Lists, Nullable, Paths, Seen, run, run_lists,
};
use crate::text::shown;

const DECODER: Decoder = Decoder {
    document: "replayer output",
    paths: Paths {
        ledger: "target_genesis_ledger",
        ledger_hash: "target_genesis_ledger.hash",
        epoch_data: "target_epoch_data",
        staking: "target_epoch_data.staking",
        staking_seed: "target_epoch_data.staking.seed",
        staking_hash: "target_epoch_data.staking.hash",
        next_seed: "target_epoch_data.next.seed",
        next_hash: "target_epoch_data.next.hash",
    },
};

/// What a replayer output says, beside the accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayerFacts {
    /// State hash of the fork block, chosen by the replayer.
    pub fork_state_hash: StateHash,
    /// State hash of the block that holds the epoch data, as the replayer was asked.
    pub epoch_ledgers_state_hash: Option<StateHash>,
    /// The genesis ledger; its claims are discarded.
    pub ledger: ImportedLedger,
    /// The two epochs; claims of their ledgers are discarded.
    pub epochs: ImportedEpochs,
    /// What a person should know, among it what was discarded.
    pub warnings: Vec<String>,
}

impl ReplayerFacts {
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

/// Reads a replayer output from `source`; each account goes to `visit` with its ledger and its
/// index, which is its leaf index.
///
/// # Errors
///
/// Fails with the callback's error, and on anything malformed or missing. The document says nothing
/// about whether its epoch ledgers are the right ones (MinaProtocol/mina issue 15695): their roots
/// must be compared with a block.
pub fn read<R, F, E>(source: R, visit: F) -> Result<ReplayerFacts, ImportError<E>>
where
    R: Read,
    F: FnMut(Role, u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    run::<Replayer, _, _, _>(source, visit)?.decode()
}

/// As [`read`], on all threads of the current rayon pool, for somebody who takes accounts in
/// batches of text.
///
/// # Errors
///
/// As [`read`].
pub fn read_lists<R, L>(source: R, lists: &mut L) -> Result<ReplayerFacts, ImportError<L::Error>>
where
    R: Read + Send,
    L: AccountLists,
{
    run_lists::<Replayer, _, _>(source, lists)?.decode()
}

struct Replayer;

impl Document for Replayer {
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
        DocumentSeed(lists).deserialize(json)
    }
}

#[derive(Default)]
struct Raw {
    epoch_ledgers_state_hash: Option<String>,
    fork_state_hash: Option<String>,
    ledger: Option<LedgerObjectMeta>,
    epochs: Option<EpochSeeds>,
}

struct DocumentSeed<'s, 'b, F, E: std::error::Error + 'static>(&'s mut Lists<'b, F, E>);

impl<'de, F, E> DeserializeSeed<'de> for DocumentSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = Raw;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Raw, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de, F, E> Visitor<'de> for DocumentSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a replayer output")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Raw, A::Error> {
        let mut raw = Raw::default();
        let mut seen = Seen::default();
        while let Some(name) = object.next_key::<String>()? {
            match name.as_str() {
                "target_epoch_ledgers_state_hash" => {
                    seen.once("target_epoch_ledgers_state_hash")?;
                    raw.epoch_ledgers_state_hash = object.next_value()?;
                }
                "target_fork_state_hash" => {
                    seen.once("target_fork_state_hash")?;
                    raw.fork_state_hash = object.next_value()?;
                }
                "target_genesis_ledger" => {
                    seen.once("target_genesis_ledger")?;
                    raw.ledger = object.next_value_seed(Nullable::new(LedgerObject(self.0)))?;
                }
                "target_epoch_data" => {
                    seen.once("target_epoch_data")?;
                    raw.epochs = object.next_value_seed(Nullable::new(EpochSeeds::seed(self.0)))?;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(raw)
    }
}

impl Raw {
    fn decode<E: std::error::Error + 'static>(self) -> Result<ReplayerFacts, ImportError<E>> {
        const FORK: &str = "target_fork_state_hash";
        const EPOCHS: &str = "target_epoch_ledgers_state_hash";
        let mut warnings = Vec::new();
        let mut discard = |role: Role, mut meta: LedgerObjectMeta| {
            let members = discarded(&meta);
            if !members.is_empty() {
                warnings.push(format!(
                    "the {role} ledger carries {} of the replayer's input; discarded",
                    members.join(", ")
                ));
            }
            meta = LedgerObjectMeta {
                accounts: meta.accounts,
                first_public_key: meta.first_public_key,
                ..LedgerObjectMeta::default()
            };
            meta
        };
        let fork = self.fork_state_hash.ok_or_else(|| DECODER.missing(FORK))?;
        let ledger = self
            .ledger
            .ok_or_else(|| DECODER.missing(DECODER.paths.ledger))?;
        let ledger = discard(Role::Genesis, ledger);
        let epochs = self.epochs.map(|mut epochs| {
            for (role, epoch) in [
                (Role::Staking, &mut epochs.staking),
                (Role::Next, &mut epochs.next),
            ] {
                if let Some(epoch) = epoch {
                    epoch.meta = discard(role, std::mem::take(&mut epoch.meta));
                }
            }
            epochs
        });
        Ok(ReplayerFacts {
            fork_state_hash: DECODER.id(FORK, &fork)?,
            epoch_ledgers_state_hash: self
                .epoch_ledgers_state_hash
                .map(|hash| DECODER.id(EPOCHS, &hash))
                .transpose()?,
            ledger: DECODER.ledger(Role::Genesis, ledger, DECODER.paths.ledger_hash)?,
            epochs: DECODER.epochs(epochs, &mut warnings)?,
            warnings,
        })
    }
}

/// The stale members of a ledger object, as text.
fn discarded(meta: &LedgerObjectMeta) -> Vec<String> {
    let text = |name: &str, value: &Option<String>| {
        value
            .as_ref()
            .map(|value| format!("{name} `{}`", shown(value)))
    };
    [
        text("hash", &meta.hash),
        text("s3_data_hash", &meta.s3_data_hash),
        text("name", &meta.name),
        meta.num_accounts
            .map(|count| format!("num_accounts {count}")),
        (!meta.balances.is_empty()).then(|| "balances".to_owned()),
        meta.add_genesis_winner
            .filter(|winner| *winner)
            .map(|_| "add_genesis_winner true".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
