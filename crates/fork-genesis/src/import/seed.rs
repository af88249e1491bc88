//! serde seeds that hand accounts on as they come.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

use fork_ledger::json::stream::{
    AccountSink, AccountsSeed, LedgerObjectSeed, ListStart, ReadBudget,
};
use fork_ledger::json::{AccountJson, LedgerObjectMeta, StreamError};
use fork_types::Role;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::error::{ImportError, Progress};

/// The lists of one document, on their way to one callback.
pub(crate) struct Lists<'b, F, E: std::error::Error + 'static> {
    visit: F,
    budget: &'b ReadBudget,
    /// Who reads the start of each list, if it is not read here.
    start: Option<&'b dyn Fn(Role) -> Option<ListStart>>,
    progress: Progress,
    /// serde's errors are texts, so the typed one waits here.
    failure: Option<(Role, StreamError<E>)>,
}

/// The parser of a document.
pub(crate) type Json<R> = serde_json::Deserializer<serde_json::de::IoRead<R>>;

/// A kind of document with lists in it.
pub(crate) trait Document {
    /// What it is called in errors.
    const NAME: &'static str;
    /// All of it but the accounts, as found.
    type Raw;

    /// Reads it without looking at what is behind it.
    fn read<R, F, E>(
        json: &mut Json<R>,
        lists: &mut Lists<'_, F, E>,
    ) -> Result<Self::Raw, serde_json::Error>
    where
        R: Read,
        F: FnMut(Role, u32, AccountJson<'static>) -> Result<(), E>,
        E: std::error::Error + 'static;
}

/// Reads a whole document of lists, and says what went wrong in typed errors.
pub(crate) fn run<D, R, F, E>(source: R, visit: F) -> Result<D::Raw, ImportError<E>>
where
    D: Document,
    R: Read,
    F: FnMut(Role, u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let budget = ReadBudget::new();
    let mut lists = Lists::new(visit, &budget);
    let mut json = serde_json::Deserializer::from_reader(budget.reader(source));
    let result = D::read(&mut json, &mut lists).and_then(|raw| json.end().map(|()| raw));
    lists.finish(D::NAME, result)
}

impl<'b, F, E: std::error::Error + 'static> Lists<'b, F, E> {
    /// Lists that are given to `visit` from their first account on.
    pub(super) fn new(visit: F, budget: &'b ReadBudget) -> Self {
        Self {
            visit,
            budget,
            start: None,
            progress: Progress::default(),
            failure: None,
        }
    }

    /// Lists whose first accounts are read by `start`.
    pub(super) fn started_by(self, start: &'b dyn Fn(Role) -> Option<ListStart>) -> Self {
        Self {
            start: Some(start),
            ..self
        }
    }

    /// Turns what serde returned for the `document` into what happened.
    pub(super) fn finish<T>(
        self,
        document: &'static str,
        result: Result<T, serde_json::Error>,
    ) -> Result<T, ImportError<E>> {
        let Self {
            budget,
            progress,
            failure,
            ..
        } = self;
        result.map_err(|source| match failure {
            Some((_, StreamError::Visit(error))) => ImportError::Visit(error),
            _ if budget.is_exceeded() => ImportError::TooLarge {
                document,
                progress,
                bytes_max: budget.item_bytes_max(),
            },
            Some((role, source)) => ImportError::List {
                document,
                role,
                source,
            },
            None if source.is_io() => ImportError::Read {
                document,
                progress,
                source: source.into(),
            },
            None => ImportError::Json {
                document,
                progress,
                source,
            },
        })
    }

    fn ledger<'de, D>(&mut self, role: Role, value: D) -> Result<LedgerObjectMeta, D::Error>
    where
        D: Deserializer<'de>,
        F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    {
        let visit = &mut self.visit;
        let mut sink =
            AccountSink::new(|index, account| visit(role, index, account)).with_budget(self.budget);
        if let Some(start) = self.start {
            sink = sink.with_start(move || start(role));
        }
        let result = LedgerObjectSeed::new(&mut sink).deserialize(value);
        self.progress = Progress(Some((role, sink.count())));
        if result.is_err() {
            self.failure = sink.take_failure().map(|failure| (role, failure));
        }
        result
    }

    fn accounts<'de, A>(&mut self, role: Role, object: &mut A) -> Result<Option<u32>, A::Error>
    where
        A: MapAccess<'de>,
        F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    {
        let visit = &mut self.visit;
        let mut sink =
            AccountSink::new(|index, account| visit(role, index, account)).with_budget(self.budget);
        if let Some(start) = self.start {
            sink = sink.with_start(move || start(role));
        }
        let result = object.next_value_seed(AccountsSeed::new(&mut sink));
        self.progress = Progress(Some((role, sink.count())));
        if result.is_err() {
            self.failure = sink.take_failure().map(|failure| (role, failure));
        }
        result
    }
}
/// Reads a `ledger` object.
pub(crate) struct LedgerObject<'s, 'b, F, E: std::error::Error + 'static>(
    pub(crate) &'s mut Lists<'b, F, E>,
);

impl<'de, F, E> DeserializeSeed<'de> for LedgerObject<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = LedgerObjectMeta;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        self.0.ledger(Role::Genesis, value)
    }
}

/// One epoch's data: the seed, and the members a ledger object also has.
#[derive(Debug, Default)]
pub(crate) struct EpochObject {
    pub(crate) seed: Option<String>,
    pub(crate) meta: LedgerObjectMeta,
}

/// The two epochs' data.
#[derive(Debug, Default)]
pub(crate) struct EpochSeeds {
    pub(crate) staking: Option<EpochObject>,
    pub(crate) next: Option<EpochObject>,
}

/// Reads `{"staking": …, "next": …}`.
pub(crate) struct EpochsSeed<'s, 'b, F, E: std::error::Error + 'static>(&'s mut Lists<'b, F, E>);

impl EpochSeeds {
    pub(crate) const fn seed<'s, 'b, F, E: std::error::Error + 'static>(
        lists: &'s mut Lists<'b, F, E>,
    ) -> EpochsSeed<'s, 'b, F, E> {
        EpochsSeed(lists)
    }
}

impl<'de, F, E> DeserializeSeed<'de> for EpochsSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = EpochSeeds;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de, F, E> Visitor<'de> for EpochsSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = EpochSeeds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `staking` and `next`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut epochs = EpochSeeds::default();
        let mut seen = Seen::default();
        while let Some(name) = object.next_key::<String>()? {
            let role = match name.as_str() {
                "staking" => Role::Staking,
                "next" => Role::Next,
                _ => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            seen.once(role.name())?;
            let epoch = object.next_value_seed(Nullable::new(EpochSeed {
                lists: self.0,
                role,
            }))?;
            match role {
                Role::Staking => epochs.staking = epoch,
                Role::Next | Role::Genesis => epochs.next = epoch,
            }
        }
        Ok(epochs)
    }
}

struct EpochSeed<'s, 'b, F, E: std::error::Error + 'static> {
    lists: &'s mut Lists<'b, F, E>,
    role: Role,
}

impl<'de, F, E> DeserializeSeed<'de> for EpochSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = EpochObject;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de, F, E> Visitor<'de> for EpochSeed<'_, '_, F, E>
where
    F: FnMut(Role, u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = EpochObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an epoch data object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut epoch = EpochObject::default();
        let mut seen = Seen::default();
        while let Some(name) = object.next_key::<String>()? {
            match name.as_str() {
                "accounts" => {
                    seen.once("accounts")?;
                    epoch.meta.accounts = self.lists.accounts(self.role, &mut object)?;
                }
                "seed" => {
                    seen.once("seed")?;
                    epoch.seed = object.next_value()?;
                }
                "hash" => {
                    seen.once("hash")?;
                    epoch.meta.hash = object.next_value()?;
                }
                "s3_data_hash" => {
                    seen.once("s3_data_hash")?;
                    epoch.meta.s3_data_hash = object.next_value()?;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(epoch)
    }
}

/// Members seen in an object: a repeated one would give its accounts twice.
#[derive(Default)]
pub(crate) struct Seen(Vec<&'static str>);

impl Seen {
    pub(crate) fn once<X: de::Error>(&mut self, name: &'static str) -> Result<(), X> {
        if self.0.contains(&name) {
            return Err(X::duplicate_field(name));
        }
        self.0.push(name);
        Ok(())
    }
}

/// Reads null as absent, anything else with a seed.
pub(crate) struct Nullable<'de, S> {
    seed: S,
    lifetime: PhantomData<&'de ()>,
}

impl<'de, S: DeserializeSeed<'de>> Nullable<'de, S> {
    pub(crate) const fn new(seed: S) -> Self {
        Self {
            seed,
            lifetime: PhantomData,
        }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<'de, S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<'de, S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_none<X: de::Error>(self) -> Result<Self::Value, X> {
        Ok(None)
    }

    fn visit_unit<X: de::Error>(self) -> Result<Self::Value, X> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        self.seed.deserialize(value).map(Some)
    }
}
