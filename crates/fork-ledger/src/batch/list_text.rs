//! The text of a list in batches, for work on whole batches that overlaps with reading.

use std::io::{Cursor, Read};
use std::ops::Range;

use super::BATCH_ACCOUNTS;
use crate::json::blocks::{
    BLOCK_BYTES, Block, BlockReader, BlocksEnd, Failing, TextPosition, Unread,
};
use crate::json::replay::replay_list;
use crate::json::stream::{ACCOUNTS_MAX, shown_public_key};
use crate::json::{AccountJson, StreamError};

/// Most text in a batch, in bytes: 32 kB for each account, three times what the largest has. More
/// than this is left to the slow way, which holds no text.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// Buffers kept for reuse: the batches that are on their way at once.
const SPARE_BATCHES_MAX: usize = 2;

/// Text of [`BATCH_ACCOUNTS`] whole accounts, fewer at the end of a list.
#[derive(Debug)]
pub struct TextBatch {
    text: Vec<u8>,
    accounts: Vec<Range<usize>>,
    start: TextPosition,
    first: u32,
}

impl TextBatch {
    const fn empty(start: TextPosition) -> Self {
        Self {
            text: Vec::new(),
            accounts: Vec::new(),
            start,
            first: 0,
        }
    }

    /// Leaf index of the first account.
    #[must_use]
    pub const fn first(&self) -> u32 {
        self.first
    }

    /// Number of accounts.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The text of each account among `indices` of the batch.
    pub fn texts(&self, indices: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let accounts = self.accounts.get(indices).unwrap_or_default();
        accounts
            .iter()
            .map(|account| self.text.get(account.clone()).unwrap_or_default())
    }

    fn append(&mut self, block: &Block) {
        let before = self.text.len();
        self.text.extend_from_slice(block.text());
        let accounts = block.accounts().iter();
        self.accounts
            .extend(accounts.map(|account| account.start + before..account.end + before));
    }

    /// Moves everything behind the first `accounts_max` accounts to `next`, which is empty.
    fn split_into(&mut self, accounts_max: usize, next: &mut Self) {
        let end = match accounts_max.checked_sub(1) {
            Some(last) => self.accounts.get(last).map(|account| account.end),
            None => Some(0),
        };
        let len = end.unwrap_or(self.text.len());
        let (text, rest) = self.text.split_at(len);
        next.start = self.start.behind(text);
        next.text.extend_from_slice(rest);
        let moved = self.accounts.drain(accounts_max.min(self.accounts.len())..);
        next.accounts
            .extend(moved.map(|account| account.start - len..account.end - len));
        self.text.truncate(len);
    }
}

/// How far [`ListText::take`] came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Accounts taken.
    pub accounts: u32,
    /// Public key of the first one, as a message would show it.
    pub first_public_key: Option<String>,
    /// Whether that is the whole list; if not, the rest is to be read the slow way.
    pub is_complete: bool,
}

/// The text of one list of accounts, a document or a part of one.
///
/// `E` is the error of whoever takes the accounts.
#[derive(Debug)]
pub struct ListText<R, E: std::error::Error + 'static> {
    blocks: BlockReader<R>,
    /// Text without a batch yet.
    carried: TextBatch,
    /// Batches that were read and not taken.
    refused: Vec<TextBatch>,
    spare: Vec<TextBatch>,
    /// Accounts of a batch.
    batch_accounts: usize,
    accounts_read: u32,
    accounts_taken: u32,
    /// Whether a batch could not be made although there was text.
    is_odd: bool,
    /// There is no list.
    failure: Option<StreamError<E>>,
}

impl<R: Read, E: std::error::Error + 'static> ListText<R, E> {
    /// Reads a document that is a list, as `mina ledger export` prints it.
    #[must_use]
    pub fn new(source: R) -> Self {
        Self::of(BlockReader::new(source), TextPosition::START)
    }

    /// Reads a list inside of a document, from behind its `[`, which is at `position`.
    #[must_use]
    pub fn in_document(source: R, position: TextPosition) -> Self {
        Self::of(
            BlockReader::in_document(source, position, BLOCK_BYTES),
            position,
        )
    }

    fn of(blocks: BlockReader<R>, start: TextPosition) -> Self {
        Self {
            blocks,
            carried: TextBatch::empty(start),
            refused: Vec::new(),
            spare: Vec::new(),
            batch_accounts: BATCH_ACCOUNTS,
            accounts_read: 0,
            accounts_taken: 0,
            is_odd: false,
            failure: None,
        }
    }

    /// The next batch, unless there is none.
    fn read(&mut self) -> Option<TextBatch> {
        let next = self.spare.pop();
        let next = next.unwrap_or_else(|| TextBatch::empty(TextPosition::START));
        let mut batch = std::mem::replace(&mut self.carried, next);
        while batch.len() < self.batch_accounts
            && batch.text.len() < BATCH_BYTES_MAX
            && self.failure.is_none()
        {
            match self.blocks.next_block() {
                Ok(Some(block)) => {
                    if batch.is_empty() {
                        batch.start = block.start();
                    }
                    batch.append(&block);
                    self.blocks.recycle(block);
                }
                Ok(None) => break,
                Err(failure) => self.failure = Some(failure),
            }
        }
        batch.split_into(self.batch_accounts, &mut self.carried);
        batch.first = self.accounts_read;
        // Whoever reads on the slow way starts a batch of its own, which must be the same.
        let is_cut =
            batch.len() < self.batch_accounts && self.blocks.end() != Some(BlocksEnd::Complete);
        let total = u32::try_from(batch.len())
            .ok()
            .and_then(|accounts| self.accounts_read.checked_add(accounts))
            .filter(|total| !is_cut && *total <= ACCOUNTS_MAX);
        match total {
            _ if batch.is_empty() => None,
            Some(total) => {
                self.accounts_read = total;
                Some(batch)
            }
            None => {
                self.is_odd = true;
                self.refused.push(batch);
                None
            }
        }
    }

    fn recycle(&mut self, mut batch: TextBatch) {
        if self.spare.len() < SPARE_BATCHES_MAX {
            batch.text.clear();
            batch.accounts.clear();
            self.spare.push(batch);
        }
    }

    /// Position of the text behind the accounts taken.
    #[must_use]
    pub fn position(&self) -> TextPosition {
        match self.refused.first() {
            Some(batch) => batch.start,
            None if !self.carried.is_empty() => self.carried.start,
            None => self.blocks.position(),
        }
    }

    /// The text behind the accounts taken: what was read of it, then the source.
    fn rest(&mut self) -> (TextPosition, impl Read) {
        let position = self.position();
        let text = self.unread_batches();
        (position, Cursor::new(text).chain(self.blocks.rest()))
    }

    fn unread_batches(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for batch in self.refused.drain(..) {
            text.extend_from_slice(&batch.text);
        }
        text.append(&mut self.carried.text);
        text
    }

    /// What was read behind the accounts taken.
    pub fn into_unread(mut self) -> UnreadText {
        let text = self.unread_batches();
        let Unread {
            text: behind,
            failure,
            source_ended,
        } = self.blocks.into_unread();
        UnreadText {
            text: Cursor::new([text, behind].concat()),
            failure: Failing(failure),
            source_ended,
        }
    }

    /// Reads the accounts that were not taken one after the other, as
    /// [`read_account_array`](crate::json::read_account_array) does.
    ///
    /// # Errors
    ///
    /// As [`read_account_array`](crate::json::read_account_array): all that [`Self::take`] leaves
    /// unsaid is said here, with the same places.
    pub fn read_rest(
        mut self,
        visit: impl FnMut(u32, AccountJson<'static>) -> Result<(), E>,
    ) -> Result<(), StreamError<E>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let accounts = self.accounts_taken;
        let (position, rest) = self.rest();
        replay_list(position, accounts, rest, visit)
    }
}

impl<R: Read + Send, E: std::error::Error + Send + 'static> ListText<R, E> {
    /// Takes whole batches while all is well: `process` works on one, on the threads of the current
    /// rayon pool, while the next is read and the result of the one before goes to `commit`, in the
    /// order of the list. At most three batches are in memory.
    ///
    /// Ends at the end of the list, or before the first batch that `process` gives `None` for or
    /// that cannot be read, in which case nothing is said about why.
    ///
    /// # Errors
    ///
    /// Fails when `commit` does.
    pub fn take<P: Send, C: Send>(
        &mut self,
        process: impl Fn(&TextBatch) -> Option<P> + Sync,
        mut commit: impl FnMut(P) -> Result<(), C> + Send,
    ) -> Result<Taken, C> {
        let mut first_public_key = None;
        let mut current = self.read();
        let mut processed: Option<P> = None;
        while let Some(batch) = current.take() {
            let before = processed.take();
            let commit = &mut commit;
            let (next, (result, committed)) = rayon::join(
                || self.read(),
                || rayon::join(|| process(&batch), || before.map_or(Ok(()), commit)),
            );
            committed?;
            let Some(result) = result else {
                let unread = self.refused.split_off(0);
                self.refused.push(batch);
                self.refused.extend(next);
                self.refused.extend(unread);
                break;
            };
            if self.accounts_taken == 0 {
                first_public_key = batch.texts(0..1).next().and_then(shown_public_key);
            }
            // A batch has at most BATCH_ACCOUNTS, and its sum was checked when it was read.
            let accounts = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            self.accounts_taken = self.accounts_taken.saturating_add(accounts);
            processed = Some(result);
            self.recycle(batch);
            current = next;
        }
        if let Some(processed) = processed {
            commit(processed)?;
        }
        Ok(Taken {
            accounts: self.accounts_taken,
            first_public_key,
            is_complete: self.refused.is_empty()
                && !self.is_odd
                && self.failure.is_none()
                && self.blocks.end() == Some(BlocksEnd::Complete),
        })
    }
}

/// Text that was read ahead, then whatever its source has behind it.
#[derive(Debug)]
pub struct UnreadText {
    text: Cursor<Vec<u8>>,
    failure: Failing,
    source_ended: bool,
}

impl UnreadText {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            text: Cursor::new(Vec::new()),
            failure: Failing(None),
            source_ended: false,
        }
    }

    /// Reads from the text, then from `source`. A failure of the source is kept for the next time
    /// as well, since sources need not fail twice.
    ///
    /// # Errors
    ///
    /// Fails when the source does or did.
    pub fn read(&mut self, source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.text.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let count = self.failure.read(buffer)?;
        if self.source_ended {
            return Ok(count);
        }
        source.read(buffer)
    }

    /// Puts what a reader of this text took and gave back before what is left of it.
    pub fn give_back(&mut self, back: Self) {
        let Self {
            text,
            failure,
            source_ended,
        } = back;
        let left = usize::try_from(self.text.position()).unwrap_or(usize::MAX);
        let left = self.text.get_ref().get(left..).unwrap_or_default();
        self.text = Cursor::new([text.get_ref(), left].concat());
        // That reader came to the end of this text and of its source.
        if source_ended {
            self.failure = failure;
            self.source_ended = true;
        }
    }

    /// Gives `failure` again at the next read behind the text.
    pub fn keep_failure(&mut self, failure: std::io::Error) {
        self.failure = Failing(Some(failure));
        self.source_ended = true;
    }
}

impl Default for UnreadText {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
