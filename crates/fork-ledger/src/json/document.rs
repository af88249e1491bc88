//! Finding one account list in whatever document it comes in, in bounded memory.
//!
//! A bare array, a ledger object, a daemon configuration, a fork config (also inside its GraphQL
//! answer) and a replayer file are told apart by what they hold. Lists that were not asked for are
//! skipped account by account.

use std::fmt;
use std::io::{BufRead, Read};

use fork_types::Role;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ledger_object::LedgerObjectMeta;
use super::stream::{
    AccountSink, AccountsSeed, LedgerObjectSeed, ReadBudget, StreamError, read_account_array,
};
use super::wire::AccountJson;

/// What was found beside the accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Where the list is, such as `epoch_data.staking`; `None` when the document has no such
    /// ledger.
    pub place: Option<&'static str>,
    /// Members beside the accounts; all absent for a bare array.
    pub meta: LedgerObjectMeta,
    /// Whether this is a ledger object of a daemon, to which its rules of winner and padding apply.
    pub is_ledger_object: bool,
    /// Whether `proof.level` is `full` or not said, as on every real network.
    pub proof_is_full: bool,
}

/// Reads the list of `role` and gives each account to `visit`. A document with one list only has it
/// for any role.
///
/// # Errors
///
/// Fails on what is no such document, on one with two ledgers to choose from, and when `visit` does.
pub fn read<R, F, E>(mut source: R, role: Role, mut visit: F) -> Result<Listing, StreamError<E>>
where
    R: BufRead,
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let start = source.fill_buf().map_err(|source| StreamError::Read {
        accounts: 0,
        source,
    })?;
    let is_object = start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_object {
        return read_object(source, role, visit);
    }
    let mut first_public_key = None;
    let accounts = read_account_array(source, |index, account| {
        if index == 0 {
            first_public_key = account.pk.as_ref().map(|key| key.as_str().to_owned());
        }
        visit(index, account)
    })?;
    Ok(Listing {
        place: Some("bare array"),
        meta: LedgerObjectMeta {
            accounts: Some(accounts),
            first_public_key,
            ..LedgerObjectMeta::default()
        },
        is_ledger_object: false,
        proof_is_full: true,
    })
}

fn read_object<R, F, E>(source: R, role: Role, mut visit: F) -> Result<Listing, StreamError<E>>
where
    R: Read,
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let budget = ReadBudget::new();
    // A ledger object at the top is read member by member, so that its first key is noted here.
    let mut first_public_key = None;
    let mut sink = AccountSink::new(|index, account: AccountJson<'static>| {
        if index == 0 {
            first_public_key = account.pk.as_ref().map(|key| key.as_str().to_owned());
        }
        visit(index, account)
    })
    .with_budget(&budget);
    let mut found = Found::default();
    let mut json = serde_json::Deserializer::from_reader(budget.reader(source));
    let result = ObjectSeed {
        found: &mut found,
        sink: &mut sink,
        budget: &budget,
        role,
        level: Level::Document,
    }
    .deserialize(&mut json)
    .and_then(|()| json.end());
    sink.finish(result)?;
    let proof_is_full = found
        .proof_level
        .as_deref()
        .is_none_or(|level| level == "full");
    let at_top = found.top.accounts.is_some();
    let (place, mut meta) = match found.list {
        Some((place, meta)) => (Some(place), meta),
        None => (at_top.then_some("ledger object"), found.top),
    };
    meta.first_public_key = first_public_key;
    Ok(Listing {
        place,
        meta,
        is_ledger_object: role == Role::Genesis,
        proof_is_full,
    })
}

#[derive(Default)]
struct Found {
    /// Members at the top, which belong to a ledger object if there are accounts beside them.
    top: LedgerObjectMeta,
    /// The list asked for, when it is further inside.
    list: Option<(&'static str, LedgerObjectMeta)>,
    proof_level: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Document,
    Data,
    Config,
}

struct ObjectSeed<'s, 'b, F, E: std::error::Error + 'static> {
    found: &'s mut Found,
    sink: &'s mut AccountSink<'b, F, E>,
    budget: &'b ReadBudget,
    role: Role,
    level: Level,
}

impl<'b, F, E> ObjectSeed<'_, 'b, F, E>
where
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    fn inner(&mut self, level: Level) -> Nullable<ObjectSeed<'_, 'b, F, E>> {
        Nullable(ObjectSeed {
            found: self.found,
            sink: self.sink,
            budget: self.budget,
            role: self.role,
            level,
        })
    }

    /// The value of a member that is a ledger object: the one asked for, or skipped.
    fn ledger<A: MapAccess<'static>>(
        &mut self,
        place: &'static str,
        wanted: bool,
        object: &mut A,
    ) -> Result<(), A::Error> {
        if !wanted {
            object.next_value_seed(SkipLedger(self.budget))?;
            return Ok(());
        }
        if let Some((first, _)) = &self.found.list {
            return Err(de::Error::custom(format_args!(
                "the document has two ledgers to choose from, `{first}` and `{place}`"
            )));
        }
        if self.found.top.accounts.is_some() {
            return Err(de::Error::custom(format_args!(
                "the document has two ledgers to choose from, `accounts` and `{place}`"
            )));
        }
        if let Some(meta) = object.next_value_seed(Nullable(LedgerObjectSeed::new(self.sink)))? {
            self.found.list = Some((place, meta));
        }
        Ok(())
    }

    /// A member of a ledger object that is the document itself; says whether it was one.
    fn top_member<A: MapAccess<'static>>(
        &mut self,
        name: &str,
        object: &mut A,
    ) -> Result<bool, A::Error> {
        let top = &mut self.found.top;
        match name {
            "accounts" => {
                if top.accounts.is_some() {
                    return Err(de::Error::duplicate_field("accounts"));
                }
                if let Some((place, _)) = &self.found.list {
                    return Err(de::Error::custom(format_args!(
                        "the document has two ledgers to choose from, `{place}` and `accounts`"
                    )));
                }
                top.accounts = object.next_value_seed(AccountsSeed::new(self.sink))?;
            }
            "add_genesis_winner" => top.add_genesis_winner = object.next_value()?,
            "num_accounts" => top.num_accounts = object.next_value()?,
            "balances" => top.balances = object.next_value::<Option<_>>()?.unwrap_or_default(),
            "hash" => top.hash = object.next_value::<Lenient>()?.0,
            "name" => top.name = object.next_value::<Lenient>()?.0,
            "s3_data_hash" => top.s3_data_hash = object.next_value::<Lenient>()?.0,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<F, E> DeserializeSeed<'static> for ObjectSeed<'_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = ();

    fn deserialize<D: Deserializer<'static>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<F, E> Visitor<'static> for ObjectSeed<'_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with accounts in it")
    }

    fn visit_map<A: MapAccess<'static>>(mut self, mut object: A) -> Result<(), A::Error> {
        let genesis = self.role == Role::Genesis;
        let config = self.level != Level::Data;
        while let Some(name) = object.next_key::<String>()? {
            match name.as_str() {
                "data" if self.level == Level::Document => {
                    object.next_value_seed(self.inner(Level::Data))?;
                }
                "fork_config" if self.level != Level::Config => {
                    object.next_value_seed(self.inner(Level::Config))?;
                }
                "ledger" if config => self.ledger("ledger", genesis, &mut object)?,
                "genesis_ledger" if self.level == Level::Document => {
                    self.ledger("genesis_ledger", genesis, &mut object)?;
                }
                "epoch_data" if config => {
                    object.next_value_seed(Nullable(EpochsSeed(&mut self)))?;
                }
                "proof" if config => {
                    let proof: Option<ProofJson> = object.next_value()?;
                    self.found.proof_level = proof.and_then(|proof| proof.level);
                }
                name if self.level == Level::Document => {
                    if !self.top_member(name, &mut object)? {
                        object.next_value::<IgnoredAny>()?;
                    }
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// `epoch_data`: the two epoch ledgers.
struct EpochsSeed<'o, 's, 'b, F, E: std::error::Error + 'static>(&'o mut ObjectSeed<'s, 'b, F, E>);

impl<F, E> DeserializeSeed<'static> for EpochsSeed<'_, '_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = ();

    fn deserialize<D: Deserializer<'static>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<F, E> Visitor<'static> for EpochsSeed<'_, '_, '_, F, E>
where
    F: FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    E: std::error::Error + 'static,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`epoch_data` to be an object")
    }

    fn visit_map<A: MapAccess<'static>>(self, mut object: A) -> Result<(), A::Error> {
        let role = self.0.role;
        while let Some(name) = object.next_key::<String>()? {
            match name.as_str() {
                "staking" => {
                    self.0
                        .ledger("epoch_data.staking", role == Role::Staking, &mut object)?;
                }
                "next" => {
                    self.0
                        .ledger("epoch_data.next", role == Role::Next, &mut object)?;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProofJson {
    level: Option<String>,
}

/// A text, or anything else, which is ignored: documents that are no ledger object have members of
/// the same names.
struct Lenient(Option<String>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(value)? {
            serde_json::Value::String(text) => Some(text),
            _ => None,
        }))
    }
}

/// A value that may be null.
struct Nullable<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
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
        self.0.deserialize(value).map(Some)
    }
}

/// Skips a ledger object that was not asked for. Each account skipped is progress, so that the read
/// budget bounds one account and not the list.
struct SkipLedger<'b>(&'b ReadBudget);

impl<'de> DeserializeSeed<'de> for SkipLedger<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for SkipLedger<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ledger object or null")
    }

    fn visit_none<X: de::Error>(self) -> Result<(), X> {
        Ok(())
    }

    fn visit_unit<X: de::Error>(self) -> Result<(), X> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<String>()? {
            if name == "accounts" {
                object.next_value_seed(SkipAccounts(self.0))?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct SkipAccounts<'b>(&'b ReadBudget);

impl<'de> DeserializeSeed<'de> for SkipAccounts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SkipAccounts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of accounts")
    }

    fn visit_unit<X: de::Error>(self) -> Result<(), X> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {
            self.0.refill();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn keys(text: &str, role: Role) -> Result<(Vec<String>, Listing), StreamError<Infallible>> {
        let mut keys = Vec::new();
        let listing = read(text.as_bytes(), role, |_, account| {
            keys.push(account.pk.as_ref().unwrap().as_str().to_owned());
            Ok(())
        })?;
        Ok((keys, listing))
    }

    const CONFIG: &str = r#"{
        "epoch_data": {"next": {"accounts": [{"pk": "N"}], "seed": "s"},
                       "staking": {"accounts": [{"pk": "S"}, {"pk": "T"}]}},
        "name": {"anything": 1},
        "ledger": {"accounts": [{"pk": "G"}], "add_genesis_winner": false, "hash": "h"},
        "proof": {"level": "none", "fork": {"x": 1}}}"#;

    #[test]
    fn each_ledger_of_a_configuration_is_found() {
        for (role, expected, place) in [
            (Role::Genesis, vec!["G"], "ledger"),
            (Role::Staking, vec!["S", "T"], "epoch_data.staking"),
            (Role::Next, vec!["N"], "epoch_data.next"),
        ] {
            for text in [
                CONFIG.to_owned(),
                format!(r#"{{"fork_config": {CONFIG}}}"#),
                format!(r#"{{"data": {{"fork_config": {CONFIG}}}, "errors": null}}"#),
            ] {
                let (keys, listing) = keys(&text, role).unwrap();
                assert_eq!(keys, expected);
                assert_eq!(listing.place, Some(place));
                assert_eq!(listing.is_ledger_object, role == Role::Genesis);
                assert!(!listing.proof_is_full);
                assert_eq!(listing.meta.first_public_key.as_deref(), Some(expected[0]));
            }
        }
    }

    #[test]
    fn bare_lists_and_ledger_objects_are_found() {
        let (found, listing) = keys("some words\n[{\"pk\": \"A\"}]\n", Role::Genesis).unwrap();
        assert_eq!(
            (found, listing.place),
            (vec!["A".to_owned()], Some("bare array"))
        );
        assert!(!listing.is_ledger_object);
        let text = r#" {"accounts": [{"pk": "A"}], "add_genesis_winner": true, "num_accounts": 7,
            "balances": [], "name": "n", "hash": null}"#;
        let (_, listing) = keys(text, Role::Genesis).unwrap();
        assert_eq!(listing.place, Some("ledger object"));
        assert_eq!(listing.meta.add_genesis_winner, Some(true));
        assert_eq!(listing.meta.num_accounts, Some(7));
        assert_eq!(listing.meta.name.as_deref(), Some("n"));
        assert_eq!(listing.meta.first_public_key.as_deref(), Some("A"));
        let text = r#"{"genesis_ledger": {"accounts": [{"pk": "R"}]}, "target": "x"}"#;
        let (found, listing) = keys(text, Role::Genesis).unwrap();
        assert_eq!(
            (found, listing.place),
            (vec!["R".to_owned()], Some("genesis_ledger"))
        );
    }

    #[test]
    fn documents_without_the_list_and_with_two_are_told_apart() {
        let (_, listing) = keys("{}", Role::Genesis).unwrap();
        assert_eq!(listing.place, None);
        let (_, listing) = keys(r#"{"ledger": null}"#, Role::Genesis).unwrap();
        assert_eq!(listing.place, None);
        let (_, listing) = keys(r#"{"ledger": {"hash": "h"}}"#, Role::Genesis).unwrap();
        assert_eq!(
            (listing.place, listing.meta.accounts),
            (Some("ledger"), None)
        );
        for text in [
            r#"{"accounts": [], "ledger": {"accounts": []}}"#,
            r#"{"ledger": {"accounts": []}, "accounts": []}"#,
            r#"{"ledger": {"accounts": []}, "genesis_ledger": {"accounts": []}}"#,
            r#"{"accounts": [], "accounts": []}"#,
            r#"{"ledger": {"accounts": [{"pk": "A"}"#,
        ] {
            let error = keys(text, Role::Genesis).unwrap_err();
            assert!(matches!(error, StreamError::Json { .. }), "{text}");
        }
    }

    #[test]
    fn a_skipped_list_may_be_longer_than_the_budget_for_one_account() {
        let account = format!(r#"{{"pk": "{}"}}"#, "x".repeat(1 << 20));
        let list = vec![account; 20].join(",");
        let text = format!(
            r#"{{"ledger": {{"accounts": [{list}]}},
                "epoch_data": {{"staking": {{"accounts": [{{"pk": "S"}}]}}}}}}"#
        );
        assert_eq!(keys(&text, Role::Staking).unwrap().0, ["S"]);
    }
}
