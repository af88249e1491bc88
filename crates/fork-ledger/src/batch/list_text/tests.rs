use std::error::Error as _;
use std::io;

use fork_types::Era;
use proptest::prelude::*;

use super::*;
use crate::binprot::arbitrary;
use crate::json::read_account_array;
use crate::json::spelling::{Choices, damage, document, spelled};

type Accounts = Vec<(u32, String)>;

/// Never raised by taking, only by reading one by one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("account {0} has no key")]
struct NoKey(u32);

fn visit(accounts: &mut Accounts, index: u32, json: &AccountJson<'_>) -> Result<(), NoKey> {
    if json.pk.is_none() {
        return Err(NoKey(index));
    }
    let mut text = Vec::new();
    json.write(&mut text);
    accounts.push((index, String::from_utf8_lossy(&text).into_owned()));
    Ok(())
}

/// The accounts up to an error, and the error with its causes.
fn one_by_one(source: impl Read) -> (Accounts, String) {
    let mut accounts = Vec::new();
    let read = read_account_array(source, |index, json| visit(&mut accounts, index, &json));
    let error = read.err().map_or_else(String::new, |error| shown(&error));
    (accounts, error)
}

fn shown(error: &StreamError<NoKey>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn process(batch: &TextBatch) -> Option<Accounts> {
    let mut accounts = Vec::new();
    for (index, text) in (batch.first()..).zip(batch.texts(0..batch.len())) {
        visit(&mut accounts, index, &serde_json::from_slice(text).ok()?).ok()?;
    }
    Some(accounts)
}

fn in_batches<R: Read + Send>(mut list: ListText<R, NoKey>) -> (Accounts, String, Taken) {
    let mut accounts = Vec::new();
    let taken = list
        .take(process, |mut batch| {
            accounts.append(&mut batch);
            Ok::<(), NoKey>(())
        })
        .unwrap();
    let read = match taken.is_complete {
        true => Ok(()),
        false => list.read_rest(|index, json| visit(&mut accounts, index, &json)),
    };
    let error = read.err().map_or_else(String::new, |error| shown(&error));
    (accounts, error, taken)
}

fn sized<R: Read>(source: R, batch_accounts: usize, block_bytes: usize) -> ListText<R, NoKey> {
    let blocks = BlockReader::with_block_bytes(source, block_bytes);
    let mut list = ListText::of(blocks, TextPosition::START);
    list.batch_accounts = batch_accounts;
    list
}

/// Fails instead of ending.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is broken")),
            count => Ok(count),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_same_accounts_and_errors_as_one_by_one(
        accounts in proptest::collection::vec(arbitrary::account(Era::Mesa), 0..9),
        seed: u64,
        wild in prop_oneof![4 => Just(false), 1 => Just(true)],
        broken in prop_oneof![2 => Just(0_usize), 2 => Just(1), 1 => Just(3)],
        breaks: bool,
        batch_accounts in 1_usize..5,
        block_bytes in prop_oneof![1_usize..100, 100_usize..10_000],
    ) {
        let choices = &mut Choices(seed);
        let texts: Vec<_> = accounts
            .iter()
            .map(|account| spelled(account, choices, wild))
            .collect();
        let mut text = document(&texts, choices);
        for _ in 0..broken {
            damage(&mut text, choices);
        }
        let (expected, found) = if breaks {
            (
                one_by_one(Broken(&text)),
                in_batches(sized(Broken(&text), batch_accounts, block_bytes)),
            )
        } else {
            (one_by_one(&text[..]), in_batches(sized(&text[..], batch_accounts, block_bytes)))
        };
        let (accounts, error, taken) = found;
        prop_assert_eq!(expected, (accounts, error.clone()));
        prop_assert!(error.is_empty() || !taken.is_complete);
        // What is taken is taken in whole batches, but for the last one.
        let taken_accounts = usize::try_from(taken.accounts).unwrap();
        prop_assert!(taken.is_complete || taken_accounts % batch_accounts == 0);
    }

    #[test]
    fn a_list_in_a_document_leaves_the_rest_of_it(
        accounts in proptest::collection::vec(arbitrary::account(Era::Berkeley), 0..7),
        seed: u64,
        batch_accounts in 1_usize..5,
        block_bytes in prop_oneof![1_usize..100, 100_usize..10_000],
    ) {
        let choices = &mut Choices(seed);
        let texts: Vec<_> = accounts
            .iter()
            .map(|account| spelled(account, choices, false))
            .collect();
        let text = document(&texts, choices);
        let start = text.iter().position(|byte| *byte == b'[').unwrap() + 1;
        let text = [&text[start..], b",\"accounts\":[{}]]}"].concat();
        let mut source = &text[..];
        let blocks = BlockReader::in_document(&mut source, TextPosition::START, block_bytes);
        let mut list: ListText<_, NoKey> = ListText::of(blocks, TextPosition::START);
        list.batch_accounts = batch_accounts;
        let mut count = 0;
        let whole = |batch: &TextBatch| Some(batch.len());
        let taken = list
            .take(whole, |accounts| {
                count += accounts;
                Ok::<(), NoKey>(())
            })
            .unwrap();
        prop_assert!(taken.is_complete);
        prop_assert_eq!(count, texts.len());
        let key = texts.first().and_then(|text| shown_public_key(text));
        prop_assert_eq!(taken.first_public_key, key);
        let position = list.position();
        let mut unread = UnreadText::new();
        unread.give_back(list.into_unread());
        let mut rest = Vec::new();
        let mut buffer = [0; 7];
        loop {
            let read = unread.read(&mut source, &mut buffer).unwrap();
            if read == 0 {
                break;
            }
            rest.extend_from_slice(&buffer[..read]);
        }
        prop_assert!(text.ends_with(&rest));
        let before = &text[..text.len() - rest.len()];
        prop_assert_eq!(TextPosition::START.behind(before), position);
        prop_assert_eq!(rest.iter().find(|byte| !b" \n\t\r".contains(byte)), Some(&b']'));
    }
}

#[test]
fn the_error_of_the_caller_ends_it() {
    let text = format!("[{}]", [r#"{"pk":"k"}"#; 10].join(","));
    let mut list = sized(text.as_bytes(), 2, 10);
    let mut batches = 0;
    let taken = list.take(process, |batch| {
        batches += 1;
        if batches == 3 {
            Err(NoKey(batch[0].0))
        } else {
            Ok(())
        }
    });
    assert_eq!(taken, Err(NoKey(4)));
}
