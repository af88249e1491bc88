//! Reading account lists without holding them.
//!
//! One account at a time is parsed and given to a callback with its index, so memory does not grow
//! with the list. [`read_account_array`] reads what `mina ledger export` prints and
//! [`read_ledger_object`] the `ledger` object of a configuration; [`AccountsSeed`] and
//! [`LedgerObjectSeed`] are the same as serde seeds, for documents with accounts deeper inside:
//!
//! ```
//! use fork_ledger::json::AccountJson;
//! use fork_ledger::json::stream::{AccountSink, LedgerObjectSeed, ReadBudget};
//! use serde::de::DeserializeSeed;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let document = br#"{"accounts": [{"pk": "B62q", "balance": "1"}], "name": "x"}"#;
//! let budget = ReadBudget::new();
//! let mut sink = AccountSink::new(|_index, account: AccountJson<'_>| {
//!     assert!(account.balance.is_some());
//!     Ok::<(), std::fmt::Error>(())
//! })
//! .with_budget(&budget);
//! let mut json = serde_json::Deserializer::from_reader(budget.reader(&document[..]));
//! let meta = LedgerObjectSeed::new(&mut sink).deserialize(&mut json);
//! let meta = sink.finish(meta)?;
//! assert_eq!(meta.accounts, Some(1));
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io::{self, Read};

use fork_types::{Class, Fault};
use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ledger_object::{LedgerObjectMeta, PaddingBalanceJson};
use super::members;
use super::text::{Text, shown};
use super::wire::AccountJson;
use crate::dump::DumpDefect;

mod reader;

pub use reader::{BoundedReader, ITEM_BYTES_MAX, ReadBudget};
pub(super) use reader::{Preamble, PreambleProblem};

/// Most accounts of a list, 2^25: a hundred times what mainnet has. The formats have room for more,
/// the machines that work on them have not.
pub const ACCOUNTS_MAX: u32 = 1 << 25;

/// Most items of `balances` that are kept. Any item makes the ledger unusable, so this only bounds
/// memory.
const BALANCES_LEN_MAX: usize = 1024;

/// Why a list of accounts could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError<E: std::error::Error + 'static> {
    /// The callback refused an account.
    #[error(transparent)]
    Visit(E),
    /// Not JSON, cut short, or JSON of another shape. The source has line and column.
    #[error("malformed JSON after {accounts} complete accounts")]
    Json {
        /// Accounts that were read before.
        accounts: u32,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// No account dump, or a damaged one.
    #[error("malformed account dump after {accounts} complete accounts")]
    Dump {
        /// Accounts that were read before.
        accounts: u32,
        /// What is wrong.
        source: DumpDefect,
    },
    /// Reading failed.
    #[error("could not read on after {accounts} complete accounts")]
    Read {
        /// Accounts that were read before.
        accounts: u32,
        /// What the system says.
        source: io::Error,
    },
    /// An object where a bare array was expected.
    #[error("the document is a JSON object, expected a bare array of accounts")]
    ObjectInsteadOfArray,
    /// No `[` in the first part of the document.
    #[error("the document has no array of accounts in its first {preamble_bytes_max} bytes")]
    NoArray {
        /// How far the array was looked for.
        preamble_bytes_max: u64,
    },
    /// Much data without a complete account.
    #[error(
        "no account was complete within {item_bytes_max} bytes, after {accounts} complete accounts"
    )]
    ItemTooLarge {
        /// Accounts that were read before.
        accounts: u32,
        /// The limit.
        item_bytes_max: u64,
    },
    /// More accounts than a ledger can have.
    #[error("the list has more than {accounts_max} accounts")]
    TooManyAccounts {
        /// The limit.
        accounts_max: u32,
    },
}

impl<E: Fault> Fault for StreamError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Visit(error) => error.class(),
            Self::Read { .. } => Class::Environment,
            Self::Json { .. }
            | Self::Dump { .. }
            | Self::ObjectInsteadOfArray
            | Self::NoArray { .. }
            | Self::ItemTooLarge { .. }
            | Self::TooManyAccounts { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Visit(error) => error.hint(),
            Self::ObjectInsteadOfArray => Some(
                "a configuration or fork_config holds its accounts deeper inside; pass the \
                 output of `mina ledger export` here"
                    .to_owned(),
            ),
            Self::Json { source, .. } if source.is_eof() => {
                Some("the document ends too early; it was cut while copying or dumping".to_owned())
            }
            Self::Dump {
                source: DumpDefect::Truncated,
                ..
            } => Some("it was cut while copying or dumping; fetch it again".to_owned()),
            Self::Json { .. }
            | Self::Dump { .. }
            | Self::Read { .. }
            | Self::NoArray { .. }
            | Self::ItemTooLarge { .. }
            | Self::TooManyAccounts { .. } => None,
        }
    }
}

/// Where the accounts of one list go: a callback, and what stopped it.
///
/// serde's errors are texts, so an error of the callback cannot travel through serde; it waits
/// here and [`AccountSink::finish`] prefers it to the text.
#[derive(Debug)]
pub struct AccountSink<'b, F, E: std::error::Error + 'static> {
    visit: F,
    count: u32,
    accounts_max: u32,
    first_public_key: Option<String>,
    failure: Option<StreamError<E>>,
    budget: Option<&'b ReadBudget>,
    start: Option<StartHook<'b>>,
}

/// The accounts at the start of a list that were read by somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListStart {
    /// How many they are.
    pub accounts: u32,
    /// Public key of the first one, as [`LedgerObjectMeta`] has it.
    pub first_public_key: Option<String>,
    /// Whether one item of any kind stands in the text for all of them. Without it the text goes
    /// on with the end of the list.
    pub has_stand_in: bool,
}

/// Called when the parser is behind the `[` of a list.
struct StartHook<'b>(Box<dyn FnOnce() -> Option<ListStart> + 'b>);

impl fmt::Debug for StartHook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartHook")
    }
}

impl<F, E: std::error::Error + 'static> AccountSink<'_, F, E> {
    /// Gives each account to `visit`, with its index in the list, which is its leaf index.
    #[must_use]
    pub const fn new(visit: F) -> Self {
        Self {
            visit,
            count: 0,
            accounts_max: ACCOUNTS_MAX,
            first_public_key: None,
            failure: None,
            budget: None,
            start: None,
        }
    }

    /// Refuses lists with more than `accounts_max` accounts.
    #[must_use]
    pub const fn with_accounts_max(mut self, accounts_max: u32) -> Self {
        self.accounts_max = accounts_max;
        self
    }

    /// Counts on from `count` accounts that were read before.
    #[must_use]
    pub(super) const fn with_count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Accounts given to the callback so far.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The typed error behind a serde error, if this sink caused it.
    pub fn take_failure(&mut self) -> Option<StreamError<E>> {
        let exceeded = self.budget.filter(|budget| budget.is_exceeded());
        self.failure.take().or_else(|| {
            exceeded.map(|budget| StreamError::ItemTooLarge {
                accounts: self.count,
                item_bytes_max: budget.item_bytes_max(),
            })
        })
    }

    /// Turns what serde returned into what happened.
    ///
    /// # Errors
    ///
    /// The callback's own error when it stopped the reading, otherwise the parser's or the
    /// reader's.
    pub fn finish<T>(mut self, result: Result<T, serde_json::Error>) -> Result<T, StreamError<E>> {
        result.map_err(|source| {
            let accounts = self.count;
            self.take_failure().unwrap_or_else(|| {
                if source.is_io() {
                    StreamError::Read {
                        accounts,
                        source: source.into(),
                    }
                } else {
                    StreamError::Json { accounts, source }
                }
            })
        })
    }

    fn accept<'de>(&mut self, account: AccountJson<'de>) -> Result<(), StreamError<E>>
    where
        F: FnMut(u32, AccountJson<'de>) -> Result<(), E>,
    {
        if self.count == self.accounts_max {
            return Err(StreamError::TooManyAccounts {
                accounts_max: self.accounts_max,
            });
        }
        if self.count == 0 {
            self.first_public_key = public_key(&account);
        }
        (self.visit)(self.count, account).map_err(StreamError::Visit)?;
        self.count += 1;
        if let Some(budget) = self.budget {
            budget.refill();
        }
        Ok(())
    }
}

impl<'b, F, E: std::error::Error + 'static> AccountSink<'b, F, E> {
    /// Takes part in the read budget of the document: each account refills it.
    #[must_use]
    pub fn with_budget<'n>(self, budget: &'n ReadBudget) -> AccountSink<'n, F, E>
    where
        'b: 'n,
    {
        AccountSink {
            budget: Some(budget),
            ..self
        }
    }

    /// Calls `start` when the parser is behind the `[` of the list and has read nothing more, for
    /// somebody else to read accounts from there; `None` stops the reading.
    #[must_use]
    pub fn with_start(mut self, start: impl FnOnce() -> Option<ListStart> + 'b) -> Self {
        self.start = Some(StartHook(Box::new(start)));
        self
    }

    /// Leaves the start of `list` to whom it was promised.
    fn start<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<(), A::Error> {
        let Some(StartHook(start)) = self.start.take() else {
            return Ok(());
        };
        let start = start().ok_or_else(|| de::Error::custom("reading was stopped"))?;
        if start.has_stand_in {
            list.next_element::<IgnoredAny>()?;
        }
        self.count = start.accounts;
        self.first_public_key = start.first_public_key;
        if let Some(budget) = self.budget {
            budget.refill();
        }
        Ok(())
    }
}

/// The public key of an account as [`LedgerObjectMeta`] has it.
fn public_key(account: &AccountJson<'_>) -> Option<String> {
    account.pk.as_ref().map(|pk| shown(pk.as_str()))
}

/// The same of the text of an account.
pub(crate) fn shown_public_key(text: &[u8]) -> Option<String> {
    let account: AccountJson<'_> = serde_json::from_slice(text).ok()?;
    public_key(&account)
}

/// Reads a JSON array of accounts into a sink; gives the number of accounts, or `None` for null.
#[derive(Debug)]
pub struct AccountsSeed<'s, 'b, F, E: std::error::Error + 'static> {
    sink: &'s mut AccountSink<'b, F, E>,
}

impl<'s, 'b, F, E: std::error::Error + 'static> AccountsSeed<'s, 'b, F, E> {
    /// A seed for one list.
    #[must_use]
    pub const fn new(sink: &'s mut AccountSink<'b, F, E>) -> Self {
        Self { sink }
    }
}

impl<'de, F, E> DeserializeSeed<'de> for AccountsSeed<'_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de, F, E> Visitor<'de> for AccountsSeed<'_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of accounts")
    }

    fn visit_unit<X: de::Error>(self) -> Result<Self::Value, X> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        self.sink.start(&mut list)?;
        while let Some(account) = list.next_element()? {
            if let Err(failure) = self.sink.accept(account) {
                self.sink.failure = Some(failure);
                return Err(de::Error::custom("reading was stopped"));
            }
        }
        Ok(Some(self.sink.count))
    }
}

/// Reads a `ledger` object; its accounts go to a sink, the rest is the value.
///
/// Unknown members are ignored as upstream does; a repeated one is an error.
#[derive(Debug)]
pub struct LedgerObjectSeed<'s, 'b, F, E: std::error::Error + 'static> {
    sink: &'s mut AccountSink<'b, F, E>,
}

impl<'s, 'b, F, E: std::error::Error + 'static> LedgerObjectSeed<'s, 'b, F, E> {
    /// A seed for one object.
    #[must_use]
    pub const fn new(sink: &'s mut AccountSink<'b, F, E>) -> Self {
        Self { sink }
    }
}

impl<'de, F, E> DeserializeSeed<'de> for LedgerObjectSeed<'_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = LedgerObjectMeta;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de, F, E> Visitor<'de> for LedgerObjectSeed<'_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = LedgerObjectMeta;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ledger object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut meta = LedgerObjectMeta::default();
        let mut seen: Vec<&'static str> = Vec::new();
        while let Some(name) = object.next_key_seed(MetaName)? {
            let Some(name) = name else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.contains(&name) {
                return Err(de::Error::duplicate_field(name));
            }
            seen.push(name);
            match name {
                "accounts" => {
                    meta.accounts = object.next_value_seed(AccountsSeed::new(self.sink))?;
                    meta.first_public_key = self.sink.first_public_key.take();
                }
                "balances" => meta.balances = object.next_value_seed(BalancesSeed)?,
                "num_accounts" => {
                    meta.num_accounts = object.next_value_seed(members::integer("num_accounts"))?;
                }
                "add_genesis_winner" => {
                    meta.add_genesis_winner =
                        object.next_value_seed(members::flag("add_genesis_winner"))?;
                }
                "hash" => meta.hash = owned(object.next_value_seed(members::text("hash"))?),
                "name" => meta.name = owned(object.next_value_seed(members::text("name"))?),
                _ => {
                    meta.s3_data_hash =
                        owned(object.next_value_seed(members::text("s3_data_hash"))?);
                }
            }
        }
        Ok(meta)
    }
}

fn owned(text: Option<Text<'_>>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}

/// The members of a `ledger` object that upstream knows.
const META_NAMES: [&str; 7] = [
    "accounts",
    "num_accounts",
    "balances",
    "hash",
    "s3_data_hash",
    "name",
    "add_genesis_winner",
];

struct MetaName;

impl<'de> DeserializeSeed<'de> for MetaName {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_identifier(self)
    }
}

impl Visitor<'_> for MetaName {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name of a ledger object")
    }

    fn visit_str<X: de::Error>(self, name: &str) -> Result<Self::Value, X> {
        Ok(META_NAMES.into_iter().find(|known| *known == name))
    }
}

struct BalancesSeed;

impl<'de> DeserializeSeed<'de> for BalancesSeed {
    type Value = Vec<PaddingBalanceJson<'static>>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for BalancesSeed {
    type Value = Vec<PaddingBalanceJson<'static>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`balances` to be a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut balances = Vec::new();
        while let Some(PaddingBalanceJson { number, balance }) = list.next_element()? {
            if balances.len() < BALANCES_LEN_MAX {
                balances.push(PaddingBalanceJson {
                    number,
                    balance: balance.map(Text::into_owned),
                });
            }
        }
        Ok(balances)
    }
}

/// Reads a bare array of accounts, as `mina ledger export` prints it, from `source`.
///
/// Text before the first `[` is skipped (`snarked-ledger` prints a line first), nothing but blanks
/// may follow the array. Returns the number of accounts.
///
/// # Errors
///
/// Fails with the callback's error, on anything that is no such array (with line and column), and
/// on a document whose first character is `{`.
pub fn read_account_array<R, F, E>(source: R, visit: F) -> Result<u32, StreamError<E>>
where
    R: Read,
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let budget = ReadBudget::new();
    let preamble = reader::SkippedPreamble::new();
    let mut sink = AccountSink::new(visit).with_budget(&budget);
    let mut json = serde_json::Deserializer::from_reader(
        budget.reader(reader::PreambleSkipper::new(source, &preamble)),
    );
    let result = AccountsSeed::new(&mut sink)
        .deserialize(&mut json)
        .and_then(|count| json.end().and_then(|()| listed(count)));
    match preamble.problem() {
        Some(problem) => Err(problem.into_error()),
        None => sink.finish(result),
    }
}

/// Reads a bare array of accounts that is in memory: three times as fast as from a stream, and the
/// accounts borrow from `bytes`.
///
/// # Errors
///
/// As [`read_account_array`], without skipping anything before the array.
pub fn read_account_slice<'de, F, E>(bytes: &'de [u8], visit: F) -> Result<u32, StreamError<E>>
where
    F: FnMut(u32, AccountJson<'de>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let mut sink = AccountSink::new(visit);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let result = AccountsSeed::new(&mut sink)
        .deserialize(&mut json)
        .and_then(|count| json.end().and_then(|()| listed(count)));
    sink.finish(result)
}

/// A null is no list where nothing else could have been one.
fn listed(count: Option<u32>) -> Result<u32, serde_json::Error> {
    count.ok_or_else(|| de::Error::invalid_type(de::Unexpected::Unit, &"a list of accounts"))
}

/// Reads a `ledger` object from `source`.
///
/// # Errors
///
/// Fails with the callback's error, and on anything that is no such object.
pub fn read_ledger_object<R, F, E>(source: R, visit: F) -> Result<LedgerObjectMeta, StreamError<E>>
where
    R: Read,
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let budget = ReadBudget::new();
    let mut sink = AccountSink::new(visit).with_budget(&budget);
    let mut json = serde_json::Deserializer::from_reader(budget.reader(source));
    let result = LedgerObjectSeed::new(&mut sink)
        .deserialize(&mut json)
        .and_then(|meta| json.end().map(|()| meta));
    sink.finish(result)
}

#[cfg(test)]
mod tests;
