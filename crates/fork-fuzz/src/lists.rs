//! Account lists and the documents they come in.

use std::fmt;
use std::io::Read;

use fork_genesis::import::AccountLists;
use fork_genesis::{fork_config as config, replayer as output};
use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, AccountReader, DumpReader, ListText, Taken};
use fork_ledger::binprot::{decode_account, encode_account};
use fork_ledger::dump::DumpWriter;
use fork_ledger::json::{
    AccountJson, ForkRules, VerificationKeyCache, from_fork_config, read_account_array,
    v1_from_json, write_account_json,
};
use fork_types::{Era, Role};
use serde::Deserialize;

use crate::shown;

/// The first byte chooses the rules, the rest is a list. What the reader for many threads says is what
/// the simple one says; accounts come back from their JSON and from their bin_prot.
pub(crate) fn account_json(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else {
        return;
    };
    let ignore_missing = choice & 4 != 0;
    let era = match choice & 3 {
        0 => Era::V1,
        1 => Era::Berkeley,
        _ => Era::Mesa,
    };
    let simple = one_by_one(text, era, ignore_missing);
    let fast = in_batches(text, era, ignore_missing);
    assert_eq!(simple.as_ref().err(), fast.as_ref().err());
    if era == Era::V1 {
        return;
    }
    let (Ok(simple), Ok(fast)) = (simple, fast) else {
        return;
    };
    assert_eq!(simple.1, fast.1);
    for account in &fast.1 {
        round_trip(account, era);
    }
}

/// Number of accounts, and those that are not v1's.
type List = Result<(usize, Vec<Account>), String>;

fn one_by_one(text: &[u8], era: Era, ignore_missing: bool) -> List {
    let keys = VerificationKeyCache::new();
    let rules = ForkRules {
        ignore_missing,
        ..ForkRules::strict(era)
    };
    let mut accounts = Vec::new();
    let mut count = 0;
    read_account_array(text, |index, json| {
        count += 1;
        if era == Era::V1 {
            return v1_from_json(&json)
                .map(|_| ())
                .map_err(|error| error.at(index, &json));
        }
        let account =
            from_fork_config(&json, &rules, &keys).map_err(|error| error.at(index, &json))?;
        accounts.push(account);
        Ok(())
    })
    .map_err(|error| shown(&error))?;
    Ok((count, accounts))
}

fn in_batches(text: &[u8], era: Era, ignore_missing: bool) -> List {
    let mut reader = AccountReader::new(text, era, ignore_missing);
    let mut accounts = Vec::new();
    let mut count = 0;
    while let Some(batch) = reader.next_batch().map_err(|error| shown(&error))? {
        count += batch.len();
        if let AccountBatch::Later(batch) = batch {
            accounts.extend(batch);
        }
    }
    Ok((count, accounts))
}

fn round_trip(account: &Account, era: Era) {
    let mut json = b"[".to_vec();
    write_account_json(account, &mut json);
    json.push(b']');
    let again = one_by_one(&json, era, false).expect("what was written is read");
    assert_eq!(again.1.as_slice(), std::slice::from_ref(account));
    let mut bytes = Vec::new();
    encode_account(account, &mut bytes);
    let decoded = decode_account(era, &bytes).expect("what was encoded is decoded");
    assert_eq!(&decoded, account);
}

/// The same bytes come out again.
pub(crate) fn account_dump(data: &[u8]) {
    for era in [Era::Berkeley, Era::Mesa] {
        let mut reader = DumpReader::new(data, era);
        let mut writer = DumpWriter::new(Vec::new(), era).expect("the era has dumps");
        loop {
            match reader.next_batch() {
                Ok(Some(AccountBatch::Later(batch))) => {
                    for account in &batch {
                        writer.push(account).expect("memory takes it");
                    }
                }
                Ok(Some(AccountBatch::V1(_))) => panic!("accounts of v1 in a dump"),
                Ok(None) => {
                    assert_eq!(writer.finish().expect("memory takes it"), data);
                    break;
                }
                Err(error) => {
                    shown(&error);
                    break;
                }
            }
        }
    }
}

/// Both ways of reading come to the same.
pub(crate) fn fork_config(data: &[u8]) {
    let one_by_one = outcome(|accounts| {
        config::read(data, |role, index, account| {
            accounts.push((role, index, account));
            Ok::<(), fmt::Error>(())
        })
    });
    let in_batches = outcome(|accounts| config::read_lists(data, &mut Collector(accounts)));
    assert_eq!(one_by_one, in_batches);
}

/// The same.
pub(crate) fn replayer(data: &[u8]) {
    let one_by_one = outcome(|accounts| {
        output::read(data, |role, index, account| {
            accounts.push((role, index, account));
            Ok::<(), fmt::Error>(())
        })
    });
    let in_batches = outcome(|accounts| output::read_lists(data, &mut Collector(accounts)));
    assert_eq!(one_by_one, in_batches);
}

type Listed = Vec<(Role, u32, AccountJson<'static>)>;

/// What a document is read as: its facts or its error, and its accounts.
fn outcome<T: fmt::Debug, E: std::error::Error>(
    read: impl FnOnce(&mut Listed) -> Result<T, E>,
) -> (String, Listed) {
    let mut accounts = Vec::new();
    let facts =
        read(&mut accounts).map_or_else(|error| shown(&error), |facts| format!("{facts:?}"));
    (facts, accounts)
}

/// Takes accounts in batches.
struct Collector<'a>(&'a mut Listed);

impl AccountLists for Collector<'_> {
    type Error = fmt::Error;

    fn take<R: Read + Send>(
        &mut self,
        role: Role,
        list: &mut ListText<R, fmt::Error>,
    ) -> Result<Taken, fmt::Error> {
        list.take(
            |batch| {
                (batch.first()..)
                    .zip(batch.texts(0..batch.len()))
                    .map(|(index, text)| {
                        let mut json = serde_json::Deserializer::from_reader(text);
                        let account = AccountJson::deserialize(&mut json).ok()?;
                        json.end().ok().map(|()| (role, index, account))
                    })
                    .collect::<Option<Listed>>()
            },
            |batch| {
                self.0.extend(batch);
                Ok(())
            },
        )
    }

    fn take_one(
        &mut self,
        role: Role,
        index: u32,
        account: AccountJson<'static>,
    ) -> Result<(), fmt::Error> {
        self.0.push((role, index, account));
        Ok(())
    }
}
