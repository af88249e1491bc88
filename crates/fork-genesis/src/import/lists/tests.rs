use std::error::Error;
use std::fmt;

use serde::Deserialize;

use super::*;
use crate::fork_config;

/// Takes what a callback takes.
struct Visited<F>(F);

impl<F, E> AccountLists for Visited<F>
where
    F: FnMut(Role, u32, AccountJson<'static>) -> Result<(), E> + Send,
    E: Error + Send + 'static,
{
    type Error = E;

    fn take<R: Read + Send>(&mut self, role: Role, list: &mut ListText<R, E>) -> Result<Taken, E> {
        list.take(
            |batch| {
                (batch.first()..)
                    .zip(batch.texts(0..batch.len()))
                    .map(|(index, text)| {
                        let mut json = serde_json::Deserializer::from_reader(text);
                        let account = AccountJson::deserialize(&mut json).ok()?;
                        json.end().ok().map(|()| (index, account))
                    })
                    .collect::<Option<Vec<(u32, AccountJson<'static>)>>>()
            },
            |batch| {
                let mut accounts = batch.into_iter();
                accounts.try_for_each(|(index, account)| (self.0)(role, index, account))
            },
        )
    }

    fn take_one(&mut self, role: Role, index: u32, account: AccountJson<'static>) -> Result<(), E> {
        (self.0)(role, index, account)
    }
}

/// All that anybody sees of an error.
fn shown(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What a document is read as: its facts or its error, and its accounts.
fn outcome<T: fmt::Debug, E: Error>(
    read: impl FnOnce(&mut Vec<(Role, u32, AccountJson<'static>)>) -> Result<T, E>,
) -> (String, Vec<(Role, u32, AccountJson<'static>)>) {
    let mut accounts = Vec::new();
    let facts =
        read(&mut accounts).map_or_else(|error| shown(&error), |facts| format!("{facts:?}"));
    (facts, accounts)
}

/// Reads a fork config both ways, which must come to the same.
fn check_both(text: &[u8]) {
    let one_by_one = outcome(|accounts| {
        fork_config::read(text, |role, index, account| {
            accounts.push((role, index, account));
            Ok::<(), fmt::Error>(())
        })
    });
    let in_batches = outcome(|accounts| {
        let mut visited = Visited(|role, index, account| {
            accounts.push((role, index, account));
            Ok::<(), fmt::Error>(())
        });
        fork_config::read_lists(text, &mut visited)
    });
    assert_eq!(one_by_one, in_batches, "{}", String::from_utf8_lossy(text));
}

const SMALL: &str = r#" {"genesis": {"genesis_state_timestamp": "2024-04-09T21:00:00Z"},
"proof": {"fork": {"state_hash": "3NKSvjaGSKiQuAt8BP1b1VCpLbJc9RcEFjYCaBYsJJFdrtd6tpaV",
  "blockchain_length": 296371, "global_slot_since_genesis": 445860}},
"ledger": {"accounts": [ {"pk": "a", "note": "}]"},
 {"pk": "b"} , {"pk": "c"}
 ], "add_genesis_winner": false, "hash": "jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf"},
"epoch_data": {"staking": {"seed": "2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijTtjd3531",
 "accounts": [{"pk": "a"}]}, "next": {"accounts":[],
 "seed": "2vaduyGw7uST2rT1HmvSxjrkZX26XnFvu4NJvCebMmLzoWaQtdGT"}}}
"#;

#[test]
fn small_changes_are_seen_the_same_way() {
    check_both(SMALL.as_bytes());
    check_both(SMALL.replace('\n', " ").as_bytes());
    for place in 0..SMALL.len() {
        let (before, after) = SMALL.as_bytes().split_at(place);
        check_both(before);
        check_both(&[before, &after[1..]].concat());
        for byte in [
            &b"{"[..],
            b"]",
            b",",
            b"\"",
            b" ",
            b"\n",
            b"0",
            b"\\",
            b"{}",
            b"\xff",
        ] {
            check_both(&[before, byte, after].concat());
            check_both(&[before, byte, &after[1..]].concat());
        }
    }
}

#[test]
fn whole_batches_before_an_error_do_not_change_it() {
    let accounts = |count: usize| vec![r#"{"pk":"k","balance":"1"}"#; count].join(",\n");
    for count in [8191, 8192, 8193, 20_000] {
        let long = SMALL.replacen("{\"pk\": \"b\"}", &accounts(count), 1);
        let long = long.replacen("[{\"pk\": \"a\"}]", &format!("[{}]", accounts(9000)), 1);
        check_both(long.as_bytes());
        check_both(long.replace("\"c\"", "5").as_bytes());
        check_both(long.replace("\"next\"", "\"staking\"").as_bytes());
        check_both(long.replace("add_genesis_winner", "accounts").as_bytes());
        check_both(&long.as_bytes()[..long.len() - 4]);
        check_both(&long.as_bytes()[..long.len() / 2]);
    }
}

#[test]
fn much_data_without_an_account_is_too_much_both_ways() {
    let long = format!("{{\"x\":\"{}\",", "x".repeat(17 << 20));
    check_both(SMALL.replacen('{', &long, 1).as_bytes());
    check_both(
        SMALL
            .replacen("\"epoch_data\": {", &format!("\"epoch_data\": {long}"), 1)
            .as_bytes(),
    );
}

#[test]
fn a_source_that_fails_is_not_read_again() {
    struct Failing<'a>(&'a [u8], Option<bool>);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert_ne!(self.1, Some(true));
            match self.0.read(buffer)? {
                0 => {
                    self.1 = self.1.map(|_| true);
                    Err(io::Error::other("the line is dead"))
                }
                count => Ok(count),
            }
        }
    }
    for place in 0..SMALL.len() {
        let text = &SMALL.as_bytes()[..place];
        let one_by_one =
            outcome(|_| fork_config::read(Failing(text, None), |_, _, _| Ok::<(), fmt::Error>(())));
        let in_batches = outcome(|_| {
            let mut visited = Visited(|_, _, _| Ok::<(), fmt::Error>(()));
            fork_config::read_lists(Failing(text, Some(false)), &mut visited)
        });
        assert_eq!(one_by_one, in_batches, "{place}");
    }
}
