use std::fs::File;
use std::io::{self, Read};

use fork_types::Fault;
use proptest::prelude::*;

use super::*;
use crate::account::{Account, V1Account};
use crate::binprot::arbitrary;
use crate::json::read_account_array;
use crate::json::spelling::{Choices, damage, document, spelled};
use crate::json::stream::ITEM_BYTES_MAX;

const PLAIN: &str =
    r#"{"pk":"B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg","balance":"1"}"#;

type Outcome<T> = Result<Vec<T>, String>;

/// An error with all its causes and its class, which is all that anybody sees of it.
fn shown(error: &StreamError<ListedAccountError>) -> String {
    let mut text = format!("{:?}: {error}", error.class());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn expected<T>(
    source: impl Read,
    convert: impl Fn(&AccountJson<'_>) -> Result<T, AccountError>,
) -> Outcome<T> {
    let mut accounts = Vec::new();
    read_account_array(source, |index, json| {
        accounts.push(convert(&json).map_err(|error| error.at(index, &json))?);
        Ok::<(), ListedAccountError>(())
    })
    .map_err(|error| shown(&error))?;
    Ok(accounts)
}

fn expected_later(source: impl Read, era: Era, ignore_missing: bool) -> Outcome<Account> {
    let keys = VerificationKeyCache::new();
    let rules = rules(era, ignore_missing);
    expected(source, |json| from_fork_config(json, &rules, &keys))
}

fn batches<R: Read + Send>(mut reader: AccountReader<R>) -> Result<Vec<AccountBatch>, String> {
    let mut batches = Vec::new();
    loop {
        match reader.next_batch() {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(
                    reader.next_batch().unwrap(),
                    None,
                    "nothing follows an error"
                );
                return Err(shown(&error));
            }
        }
    }
    let count: usize = batches.iter().map(AccountBatch::len).sum();
    assert_eq!(usize::try_from(reader.accounts()).unwrap(), count);
    Ok(batches)
}

fn later<R: Read + Send>(reader: AccountReader<R>) -> Outcome<Account> {
    let accounts = |batch| match batch {
        AccountBatch::Later(accounts) => accounts,
        AccountBatch::V1(_) => panic!("accounts of v1"),
    };
    Ok(batches(reader)?.into_iter().flat_map(accounts).collect())
}

/// Gives a few bytes at a time, and an error instead of the end when asked for.
struct Pieces<'a> {
    text: &'a [u8],
    choices: Choices,
    fails: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.choices.once_in(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.text.is_empty() && self.fails {
            return Err(io::Error::other("the disk is broken"));
        }
        let count = (1 + self.choices.below(300)).min(buffer.len());
        self.text.read(&mut buffer[..count])
    }
}

fn accounts(era: Era) -> impl Strategy<Value = Vec<Account>> {
    proptest::collection::vec(arbitrary::account(era), 0..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_same_accounts_and_errors_as_one_by_one(
        accounts in accounts(Era::Berkeley),
        seed: u64,
        wild in prop_oneof![4 => Just(false), 1 => Just(true)],
        broken in prop_oneof![2 => Just(0_usize), 2 => Just(1), 1 => Just(3)],
        fails in prop_oneof![4 => Just(false), 1 => Just(true)],
        ignore_missing: bool,
        block_bytes in prop_oneof![1_usize..100, 100_usize..10_000],
    ) {
        let choices = &mut Choices(seed);
        let texts: Vec<_> = accounts
            .iter()
            .map(|account| spelled(account, choices, wild))
            .collect();
        let mut document = document(&texts, choices);
        for _ in 0..broken {
            damage(&mut document, choices);
        }
        let pieces = || Pieces { text: &document, choices: Choices(seed), fails };
        let expected = expected_later(pieces(), Era::Berkeley, ignore_missing);
        let reader =
            AccountReader::with_block_bytes(pieces(), Era::Berkeley, ignore_missing, block_bytes);
        let found = later(reader);
        prop_assert_eq!(found, expected, "{}", String::from_utf8_lossy(&document));
    }

    /// Of a good list, what is skipped makes no difference to what comes behind it, however it is
    /// spelled; of a bad one no other part is given for it.
    #[test]
    fn skipped_accounts_are_only_left_out(
        accounts in accounts(Era::Berkeley),
        seed: u64,
        wild: bool,
        broken in prop_oneof![3 => Just(0_usize), 1 => Just(1)],
        skipped in 0_u32..9,
        block_bytes in prop_oneof![1_usize..100, 100_usize..10_000],
    ) {
        let choices = &mut Choices(seed);
        let texts: Vec<_> = accounts
            .iter()
            .map(|account| spelled(account, choices, wild))
            .collect();
        let mut document = document(&texts, choices);
        for _ in 0..broken {
            damage(&mut document, choices);
        }
        let whole = expected_later(&document[..], Era::Berkeley, false);
        let mut reader =
            AccountReader::with_block_bytes(&document[..], Era::Berkeley, false, block_bytes);
        let found = match reader.skip(skipped) {
            Ok(()) => {
                let mut found = Vec::new();
                loop {
                    match reader.next_batch() {
                        Ok(Some(AccountBatch::Later(batch))) => found.extend(batch),
                        Ok(Some(AccountBatch::V1(_))) => panic!("accounts of v1"),
                        Ok(None) => break Ok(found),
                        Err(error) => break Err(shown(&error)),
                    }
                }
            }
            Err(error) => Err(shown(&error)),
        };
        match (whole, found) {
            (Ok(whole), found) => {
                let rest = whole.get(skipped as usize..).unwrap_or_default();
                prop_assert_eq!(found, Ok(rest.to_vec()));
                prop_assert_eq!(reader.accounts() as usize, whole.len());
            }
            // What is wrong is in the skipped part, or said in the same words.
            (Err(_), Ok(_)) => prop_assert!(skipped > 0),
            (Err(whole), Err(found)) => prop_assert!(found == whole || skipped > 0),
        }
    }

    #[test]
    fn accounts_of_v1_too(
        nonces in proptest::collection::vec(any::<u32>(), 0..20),
        seed: u64,
        broken in 0_usize..2,
        block_bytes in 1_usize..2000,
    ) {
        let choices = &mut Choices(seed);
        let texts: Vec<_> = nonces
            .iter()
            .map(|nonce| PLAIN.replace("}", &format!(r#","token":"1","nonce":"{nonce}"}}"#)).into())
            .collect();
        let mut document = document(&texts, choices);
        for _ in 0..broken {
            damage(&mut document, choices);
        }
        let expected: Outcome<V1Account> = expected(&document[..], v1_from_json);
        let reader = AccountReader::with_block_bytes(&document[..], Era::V1, false, block_bytes);
        let found = batches(reader).map(|batches| {
            let accounts = |batch| match batch {
                AccountBatch::V1(accounts) => accounts,
                AccountBatch::Later(_) => panic!("accounts of another era"),
            };
            batches.into_iter().flat_map(accounts).collect::<Vec<_>>()
        });
        prop_assert_eq!(found, expected);
    }
}

fn same(document: &[u8]) -> Outcome<Account> {
    let expected = expected_later(document, Era::Mesa, true);
    for block_bytes in [1, 10, 100, 1000, BLOCK_BYTES] {
        let reader = AccountReader::with_block_bytes(document, Era::Mesa, true, block_bytes);
        assert_eq!(later(reader), expected, "{block_bytes}");
    }
    expected
}

#[test]
fn documents_without_a_good_list() {
    for (document, message) in [
        ("", "has no array of accounts in its first 65536 bytes"),
        ("Generating ledger", "has no array of accounts"),
        (&"\n".repeat(70_000), "has no array of accounts"),
        ("\n {\"accounts\": []}", "is a JSON object"),
        ("[", "EOF while parsing a list at line 1 column 1"),
        ("x [,]", "expected value at line 1 column 4"),
        ("[null]", "invalid type: null"),
        ("[{}]", "account 0 is not usable: `pk` is missing"),
        ("[]]", "trailing characters at line 1 column 3"),
        ("[] x", "trailing characters at line 1 column 4"),
    ] {
        let error = same(document.as_bytes()).unwrap_err();
        assert!(error.contains(message), "{document:.20}: {error}");
    }
    assert_eq!(same(b"x [ ] \n"), Ok(Vec::new()));
}

#[test]
fn errors_name_the_place_in_the_document() {
    for (separator, place) in [(",", "line 1 column 251"), (",\n\n ", "line 7 column 14")] {
        let list = [PLAIN, PLAIN, PLAIN, r#"{"balance":5}"#, PLAIN].join(separator);
        let error = same(format!("[{list}]").as_bytes()).unwrap_err();
        assert!(error.contains("after 3 complete accounts"), "{error}");
        assert!(error.ends_with(place), "{error}");
    }
}

#[test]
fn the_first_error_of_the_document_counts() {
    let bad = PLAIN.replace("\"1\"", "\"x\"");
    let list = vec![PLAIN.to_owned(); 1000].join(",");
    for (document, error) in [
        (
            format!("[{list},{bad},{list},5,{bad}]"),
            "account 1000 (B62q",
        ),
        (
            format!("[{list},5,{list},{bad}"),
            "malformed JSON after 1000 ",
        ),
    ] {
        assert!(same(document.as_bytes()).unwrap_err().contains(error));
    }
}

#[test]
fn nesting_has_the_same_limit() {
    for depth in 120..132 {
        for name in ["snapp", "note"] {
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let account = PLAIN.replace('}', &format!(",\"{name}\":{nested}}}"));
            let outcome = same(format!("[{account},{account}]").as_bytes());
            assert_eq!(
                outcome.is_ok(),
                name == "note" || depth < 126,
                "{name} {depth}"
            );
        }
    }
}

#[test]
fn batches_are_full_but_the_last() {
    let count = 2 * BATCH_ACCOUNTS + 100;
    let text = format!("[{}]", vec![PLAIN; count].join(",\n"));
    for block_bytes in [1000, 100_000, BLOCK_BYTES] {
        let mut reader =
            AccountReader::with_block_bytes(text.as_bytes(), Era::Mesa, true, block_bytes);
        reader.prefetch(3);
        assert!(!reader.text.queue.is_empty());
        let lengths: Vec<usize> = batches(reader)
            .unwrap()
            .iter()
            .map(AccountBatch::len)
            .collect();
        assert_eq!(lengths, [BATCH_ACCOUNTS, BATCH_ACCOUNTS, 100]);
    }
}

/// A text over and over.
struct Endless {
    text: Vec<u8>,
    offset: usize,
    read: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.text[self.offset..]).read(buffer)?;
        self.offset = (self.offset + count) % self.text.len();
        self.read += count as u64;
        Ok(count)
    }
}

#[test]
fn memory_is_bounded() {
    let endless = |text: &str| Endless {
        text: text.repeat(1000).into_bytes(),
        offset: 0,
        read: 0,
    };
    for (start, more) in [
        (r#"[{"note":""#, "x"),
        ("[", " "),
        ("[]", " "),
        ("[{", "[{}],"),
    ] {
        let mut source = start.as_bytes().chain(endless(more));
        let outcome = later(AccountReader::new(&mut source, Era::Mesa, true));
        let error = outcome.unwrap_err();
        let expected = [
            "no account was complete within 2097152 bytes",
            "key must be a string",
        ];
        assert!(expected.iter().any(|text| error.contains(text)), "{error}");
        assert!(source.get_ref().1.read < 3 * ITEM_BYTES_MAX, "{start}");
    }
    // Large accounts: the text read is bounded, not the number of accounts.
    let account = PLAIN.replace('}', &format!(",\"note\":\"{}\"}},", "x".repeat(100_000)));
    let mut source = b"[".chain(endless(&account));
    let mut reader = AccountReader::new(&mut source, Era::Mesa, true);
    reader.prefetch(1000);
    let queued = text_bytes(&reader.text.queue);
    assert!(
        (READ_AHEAD_BYTES..READ_AHEAD_BYTES + 2 * BLOCK_BYTES).contains(&queued),
        "{queued}"
    );
}

#[test]
fn a_reader_can_work_beside_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<AccountReader<File>>();
}
