//! Saying what is wrong with an account list, the way the streaming reader says it.
//!
//! The fast readers only know that something is odd, and where. From there the rest of the list is
//! read again with [`AccountsSeed`], behind a made-up beginning that has as many lines and columns
//! as the real one, so that errors, their places and their order are those of
//! [`read_account_array`](super::read_account_array) and are written once.

use std::io::{self, BufReader, Read};

use serde::de::DeserializeSeed;

use super::blocks::TextPosition;
use super::error::{AccountError, ListedAccountError};
use super::stream::{AccountSink, AccountsSeed, ReadBudget, StreamError};
use super::wire::AccountJson;

/// Read in one go.
const BUFFER_BYTES: usize = 256 << 10;

/// Reads a list from behind its first `accounts` accounts (behind the `[` when there are none) to
/// its end, and gives the accounts that `convert` makes.
///
/// `position` is where `rest` stands in the document. Costs a nanosecond for each line or column
/// before it, and memory for all accounts found: it is meant for lists that hold an error near.
///
/// # Errors
///
/// Fails as [`read_account_array`](super::read_account_array) does, and on an account that
/// `convert` refuses.
pub(crate) fn replay<T>(
    position: TextPosition,
    accounts: u32,
    rest: impl Read,
    convert: impl Fn(&AccountJson<'_>) -> Result<T, AccountError>,
) -> Result<Vec<T>, StreamError<ListedAccountError>> {
    let mut found = Vec::new();
    replay_list(position, accounts, rest, |index, account| {
        found.push(convert(&account).map_err(|error| error.at(index, &account))?);
        Ok(())
    })?;
    Ok(found)
}

/// The same, with each account given to `visit` as [`read_account_array`] does.
///
/// [`read_account_array`]: super::read_account_array
///
/// # Errors
///
/// As [`read_account_array`](super::read_account_array).
pub(crate) fn replay_list<E: std::error::Error + 'static>(
    position: TextPosition,
    accounts: u32,
    rest: impl Read,
    mut visit: impl FnMut(u32, AccountJson<'static>) -> Result<(), E>,
) -> Result<(), StreamError<E>> {
    let budget = ReadBudget::new();
    let text = beginning(position, accounts > 0).chain(budget.bounded(rest));
    let mut json =
        serde_json::Deserializer::from_reader(BufReader::with_capacity(BUFFER_BYTES, text));
    let mut sink = AccountSink::new(|index, account: AccountJson<'static>| {
        // The one account of the beginning stands for all that were read before.
        if index >= accounts {
            visit(index, account)?;
        }
        Ok(())
    })
    .with_count(accounts.saturating_sub(1))
    .with_budget(&budget);
    let result = AccountsSeed::new(&mut sink)
        .deserialize(&mut json)
        .and_then(|_| json.end());
    sink.finish(result)
}

/// A text that ends at `position` and starts a list, with one account in it or none.
fn beginning(position: TextPosition, has_account: bool) -> impl Read {
    const ACCOUNT: &[u8] = b"[{}";
    let TextPosition { line, column } = position;
    let lines = line.saturating_sub(1);
    // The account goes to the first line, the bracket alone to the last column.
    let (before, account_columns, after) = if has_account {
        (ACCOUNT, if lines == 0 { 3 } else { 0 }, &b""[..])
    } else {
        (&b""[..], 1, &b"["[..])
    };
    before
        .chain(io::repeat(b'\n').take(lines))
        .chain(io::repeat(b' ').take(column.saturating_sub(account_columns)))
        .chain(after)
}
