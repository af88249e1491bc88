//! Documents whose lists are read in batches of text, all cores at once.
//!
//! serde reads everything but the lists. When it comes to one, whoever takes the accounts reads
//! the text from there, up to the `]`, and serde goes on with that. Where anything is odd, be it in
//! a list or around it, the document is read once more the slow way, from a copy of what serde was
//! given, with one account and blanks in place of the accounts that were taken. So errors, their
//! places and their order are written in one place only, and nothing is read twice from the source.

use std::cell::RefCell;
use std::io::{self, BufReader, Cursor, Read};

use fork_ledger::batch::{ListText, Taken, UnreadText};
use fork_ledger::json::AccountJson;
use fork_ledger::json::blocks::TextPosition;
use fork_ledger::json::stream::{ITEM_BYTES_MAX, ListStart, ReadBudget};
use fork_types::Role;

use super::error::ImportError;
use super::seed::{Document, Lists};

/// Read in one go on the slow way.
const BUFFER_BYTES: usize = 256 << 10;

/// Takes the accounts of the three lists of a document.
pub trait AccountLists {
    /// Why it refuses some.
    type Error: std::error::Error + Send + 'static;

    /// Takes accounts of a list, with [`ListText::take`] and not otherwise.
    ///
    /// # Errors
    ///
    /// Fails for good. Accounts that cannot be used are better left where they are.
    fn take<R: Read + Send>(
        &mut self,
        role: Role,
        list: &mut ListText<R, Self::Error>,
    ) -> Result<Taken, Self::Error>;

    /// Takes one of the accounts that [`Self::take`] left, `index` being its leaf index.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be used, or one before it.
    fn take_one(
        &mut self,
        role: Role,
        index: u32,
        account: AccountJson<'static>,
    ) -> Result<(), Self::Error>;
}

/// As [`super::run`], for somebody who takes accounts in batches.
pub(crate) fn run_lists<D, R, L>(source: R, lists: &mut L) -> Result<D::Raw, ImportError<L::Error>>
where
    D: Document,
    R: Read + Send,
    L: AccountLists,
{
    let text = RefCell::new(DocumentText::new(source));
    let takers = RefCell::new((&mut *lists, None));
    let start = |role| {
        let (lists, failure) = &mut *takers.borrow_mut();
        text.borrow_mut()
            .take_list(role, *lists)
            .unwrap_or_else(|error| {
                *failure = Some(error);
                None
            })
    };
    let budget = ReadBudget::new();
    let mut around = Lists::new(|_, _, _| Err(NotTaken), &budget).started_by(&start);
    let mut json = serde_json::Deserializer::from_reader(Given(&text));
    let raw = D::read(&mut json, &mut around).and_then(|raw| json.end().map(|()| raw));
    drop(json);
    if let Ok(raw) = raw {
        return Ok(raw);
    }
    let (lists, failure) = takers.into_inner();
    match failure {
        Some(error) => Err(ImportError::Visit(error)),
        None => text.into_inner().read_again::<D, L>(lists),
    }
}

/// An account was found where none can be.
#[derive(Debug, thiserror::Error)]
#[error("an account behind the end of its list")]
struct NotTaken;

/// A document on its way to serde and to whoever takes its lists.
struct DocumentText<R> {
    source: Source<R>,
    /// What serde was given, and what stands for the lists, up to the end of the last list.
    given: Vec<Part>,
    /// What serde was given since.
    text: Vec<u8>,
    /// Where that starts.
    position: TextPosition,
    taken: Vec<(Role, ListStart)>,
}

enum Part {
    Text(Vec<u8>),
    /// The accounts of a list that were taken.
    List {
        from: TextPosition,
        to: TextPosition,
        is_empty: bool,
    },
}

struct Source<R> {
    unread: UnreadText,
    source: R,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.unread.read(&mut self.source, buffer)
    }
}

/// The document as serde sees it. Unbuffered, because serde must not be given what belongs to a
/// list; what is left of the document is a few hundred bytes.
struct Given<'t, R>(&'t RefCell<DocumentText<R>>);

impl<R: Read> Read for Given<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut text = self.0.borrow_mut();
        if u64::try_from(text.text.len()).is_ok_and(|len| len > ITEM_BYTES_MAX) {
            return Err(io::Error::other("too much data without an account"));
        }
        match text.source.read(buffer) {
            Ok(count) => {
                let given = buffer.get(..count).unwrap_or_default();
                text.text.extend_from_slice(given);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                text.source.unread.keep_failure(error);
                Err(kind.into())
            }
        }
    }
}

impl<R: Read> DocumentText<R> {
    fn new(source: R) -> Self {
        Self {
            source: Source {
                unread: UnreadText::new(),
                source,
            },
            given: Vec::new(),
            text: Vec::new(),
            position: TextPosition::START,
            taken: Vec::new(),
        }
    }

    /// Reads the document from its start, with the lists as far as they were not taken.
    fn read_again<D, L>(mut self, lists: &mut L) -> Result<D::Raw, ImportError<L::Error>>
    where
        D: Document,
        L: AccountLists,
    {
        let taken = std::mem::take(&mut self.taken);
        let start = |role: Role| {
            let known = taken.iter().find(|(known, _)| *known == role);
            Some(known.map_or_else(ListStart::default, |(_, start)| start.clone()))
        };
        let budget = ReadBudget::new();
        let mut before: Box<dyn Read> = Box::new(io::empty());
        for part in std::mem::take(&mut self.given) {
            before = match part {
                Part::Text(text) => Box::new(before.chain(Cursor::new(text))),
                Part::List { from, to, is_empty } => {
                    Box::new(before.chain(stand_in(from, to, is_empty)))
                }
            };
        }
        let rest = Cursor::new(std::mem::take(&mut self.text)).chain(self.source);
        let document = before.chain(budget.bounded(rest));
        let document = BufReader::with_capacity(BUFFER_BYTES, document);
        let visit = |role, index, account| lists.take_one(role, index, account);
        let mut lists = Lists::new(visit, &budget).started_by(&start);
        let mut json = serde_json::Deserializer::from_reader(document);
        let raw = D::read(&mut json, &mut lists).and_then(|raw| json.end().map(|()| raw));
        lists.finish(D::NAME, raw)
    }
}

impl<R: Read + Send> DocumentText<R> {
    /// Has the accounts of a list taken, whose `[` was given to serde last. `None` when not all
    /// of them were.
    fn take_list<L: AccountLists>(
        &mut self,
        role: Role,
        lists: &mut L,
    ) -> Result<Option<ListStart>, L::Error> {
        let text = std::mem::take(&mut self.text);
        let from = self.position.behind(&text);
        let mut list = ListText::in_document(&mut self.source, from);
        let taken = lists.take(role, &mut list)?;
        let to = list.position();
        let unread = list.into_unread();
        self.source.unread.give_back(unread);
        self.given.push(Part::Text(text));
        self.given.push(Part::List {
            from,
            to,
            is_empty: taken.accounts == 0,
        });
        self.position = to;
        let start = ListStart {
            accounts: taken.accounts,
            first_public_key: taken.first_public_key,
            has_stand_in: taken.accounts > 0,
        };
        self.taken.push((role, start.clone()));
        Ok(taken.is_complete.then_some(ListStart {
            has_stand_in: false,
            ..start
        }))
    }
}

/// A text as long as the one between two positions, with one account unless `is_empty`. Costs a
/// nanosecond for each line or column; it is needed once, when a document is bad.
fn stand_in(from: TextPosition, to: TextPosition, is_empty: bool) -> impl Read {
    const ACCOUNT: &[u8] = b"{}";
    let account = if is_empty { &b""[..] } else { ACCOUNT };
    let lines = to.line.saturating_sub(from.line);
    let start = match lines {
        0 => from
            .column
            .saturating_add(u64::try_from(account.len()).unwrap_or(u64::MAX)),
        _ => 0,
    };
    account
        .chain(io::repeat(b'\n').take(lines))
        .chain(io::repeat(b' ').take(to.column.saturating_sub(start)))
}

#[cfg(test)]
mod tests;
