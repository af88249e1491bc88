//! Reading the text of an account list in blocks of whole accounts.
//!
//! Reading is one after the other and parsing need not be: a [`BlockReader`] only finds out where
//! accounts end, which is cheap, and gives blocks of text that threads can parse independently.
//! What it finds is not believed: whoever parses an account checks that it is exactly one, and
//! where anything is odd, the rest is read from there the slow way, which says what it is.

use std::io::{self, Cursor, Read};
use std::ops::Range;

use super::stream::{ITEM_BYTES_MAX, Preamble, PreambleProblem, StreamError};

mod scan;

pub(super) use scan::is_blank;
use scan::{Place, Scanner};

/// Size of a block, unless one account needs more. About 1300 accounts: reading a block takes well
/// under a millisecond, and the next level of the cache holds it until it is parsed.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Buffers kept for reuse: as many blocks as are on their way when reading ahead.
const SPARE_BUFFERS_MAX: usize = 20;

/// Line and column of a byte, as serde_json counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPosition {
    /// Line, counted from 1.
    pub line: u64,
    /// Bytes before it on its line.
    pub column: u64,
}

impl TextPosition {
    /// The first byte of a document.
    pub const START: Self = Self { line: 1, column: 0 };

    /// The position behind `text`.
    #[must_use]
    pub fn behind(self, text: &[u8]) -> Self {
        let count = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        match memchr::memrchr(b'\n', text) {
            None => Self {
                line: self.line,
                column: self.column + count(text.len()),
            },
            Some(last) => Self {
                line: self.line + count(memchr::memchr_iter(b'\n', text).count()),
                column: count(text.len() - last - 1),
            },
        }
    }
}

/// Text of some whole accounts, with the separators before them.
#[derive(Debug)]
pub struct Block {
    /// Valid up to `len`; a buffer keeps its size because shrinking and growing it would fill it
    /// with zeros each time.
    buffer: Vec<u8>,
    len: usize,
    accounts: Vec<Range<usize>>,
    start: TextPosition,
}

impl Block {
    /// The text, the separators between the accounts included.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Where in the text the accounts are, never empty.
    #[must_use]
    pub fn accounts(&self) -> &[Range<usize>] {
        &self.accounts
    }

    /// Position of the text in the document.
    #[must_use]
    pub const fn start(&self) -> TextPosition {
        self.start
    }

    /// The text from behind the account before the account `index`, and its position.
    pub(crate) fn text_from(&self, index: usize) -> (TextPosition, &[u8]) {
        let before = index
            .checked_sub(1)
            .and_then(|before| self.accounts.get(before));
        let (before, rest) = self
            .text()
            .split_at(before.map_or(0, |account| account.end));
        (self.start.behind(before), rest)
    }
}

/// How reading blocks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlocksEnd {
    /// With the end of the list; only blanks followed.
    Complete,
    /// With text that is neither a whole account nor the end of the list, with a document that
    /// ends too early, or with a source that failed.
    Odd,
}

/// Reads a bare array of accounts, as `mina ledger export` prints it, block by block.
#[derive(Debug)]
pub struct BlockReader<R> {
    source: R,
    /// `None` once the array was found.
    preamble: Option<Preamble>,
    /// Text that is in no block yet, up to `filled`.
    buffer: Vec<u8>,
    filled: usize,
    /// Position of the buffer's first byte.
    position: TextPosition,
    scanner: Scanner,
    block_bytes: usize,
    /// Whether there was no account yet.
    first: bool,
    /// Whether the list is a part of a document that goes on behind it.
    in_document: bool,
    source_ended: bool,
    failure: Option<io::Error>,
    end: Option<BlocksEnd>,
    spare_buffers: Vec<Vec<u8>>,
    spare_ranges: Vec<Vec<Range<usize>>>,
}

impl<R: Read> BlockReader<R> {
    /// Reads from `source`, in blocks of [`BLOCK_BYTES`].
    #[must_use]
    pub fn new(source: R) -> Self {
        Self::with_block_bytes(source, BLOCK_BYTES)
    }

    /// Another block size, at least 1.
    #[must_use]
    pub fn with_block_bytes(source: R, block_bytes: usize) -> Self {
        let block_bytes = block_bytes.max(1);
        Self {
            source,
            preamble: Some(Preamble::new()),
            buffer: vec![0; block_bytes],
            filled: 0,
            position: TextPosition::START,
            scanner: Scanner::new(),
            block_bytes,
            first: true,
            in_document: false,
            source_ended: false,
            failure: None,
            end: None,
            spare_buffers: Vec::new(),
            spare_ranges: Vec::new(),
        }
    }

    /// Reads a list inside of a document, from behind its `[`, which is at `position`. The blocks
    /// end with the `]`; it and what follows is not in them, see [`Self::into_unread`].
    pub(crate) fn in_document(source: R, position: TextPosition, block_bytes: usize) -> Self {
        Self {
            preamble: None,
            position,
            scanner: Scanner::in_document(),
            in_document: true,
            ..Self::with_block_bytes(source, block_bytes)
        }
    }

    /// The next block; `None` when there is none, see [`Self::end`].
    ///
    /// # Errors
    ///
    /// Fails when there is no array. What is wrong inside of it only ends the blocks.
    pub fn next_block<E>(&mut self) -> Result<Option<Block>, StreamError<E>>
    where
        E: std::error::Error + 'static,
    {
        let mut accounts = self.spare_ranges.pop().unwrap_or_default();
        while self.end.is_none() {
            self.fill();
            if let Some(mut preamble) = self.preamble {
                // Until the array is found, nothing of the buffer is kept, so all of it is new.
                let found = preamble
                    .take(&mut self.buffer[..self.filled])
                    .map_err(|problem| self.no_array(problem))?;
                self.skip(found.map_or(self.filled, |offset| offset + 1));
                self.preamble = found.is_none().then_some(preamble);
                if found.is_none() {
                    continue;
                }
            }
            self.scanner.scan(
                &self.buffer[..self.filled],
                self.source_ended,
                self.first,
                &mut accounts,
            );
            if let Some(last) = accounts.last() {
                let len = last.end;
                return Ok(Some(self.cut(len, accounts)));
            }
            self.end = self.end_reached();
            if self.end.is_none() {
                self.grow();
            }
        }
        Ok(None)
    }

    /// How the blocks ended, once they did.
    pub const fn end(&self) -> Option<BlocksEnd> {
        self.end
    }

    /// Position of what [`Self::rest`] gives.
    pub(crate) const fn position(&self) -> TextPosition {
        self.position
    }

    /// Everything that is in no block: what was read already, then the source, or its failure.
    pub(crate) fn rest(&mut self) -> impl Read {
        let unread = if self.source_ended { 0 } else { u64::MAX };
        let read = Cursor::new(self.buffer.get(..self.filled).unwrap_or_default());
        read.chain(Failing(self.failure.take()))
            .chain(self.source.by_ref().take(unread))
    }

    /// What was read and is in no block.
    pub(crate) fn into_unread(mut self) -> Unread {
        self.buffer.truncate(self.filled);
        Unread {
            text: self.buffer,
            failure: self.failure,
            source_ended: self.source_ended,
        }
    }

    /// Takes back the buffers of a block that is done with.
    pub fn recycle(&mut self, block: Block) {
        let Block {
            buffer,
            mut accounts,
            ..
        } = block;
        // A buffer that one huge account made is not kept.
        if buffer.len() == self.block_bytes && self.spare_buffers.len() < SPARE_BUFFERS_MAX {
            accounts.clear();
            self.spare_buffers.push(buffer);
            self.spare_ranges.push(accounts);
        }
    }

    /// The source, whatever was read from it.
    pub(crate) fn into_source(self) -> R {
        self.source
    }

    /// Reads until the buffer is full or the source has no more.
    fn fill(&mut self) {
        while !self.source_ended && self.filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.source_ended = true,
                // A count beyond the buffer is a bug of the source; believing it would be ours.
                Ok(count) => self.filled = (self.filled + count).min(self.buffer.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.source_ended = true;
                }
            }
        }
    }

    fn no_array<E>(&mut self, problem: PreambleProblem) -> StreamError<E>
    where
        E: std::error::Error + 'static,
    {
        self.end = Some(BlocksEnd::Odd);
        match self.failure.take() {
            // There was no more text because reading failed.
            Some(source) if self.filled == 0 => StreamError::Read {
                accounts: 0,
                source,
            },
            _ => problem.into_error(),
        }
    }

    /// Drops the first bytes of the buffer.
    fn skip(&mut self, bytes: usize) {
        self.position = self.position.behind(&self.buffer[..bytes]);
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    /// Makes a block of the first `len` bytes of the buffer.
    fn cut(&mut self, len: usize, accounts: Vec<Range<usize>>) -> Block {
        let carried = &self.buffer[len..self.filled];
        // Half of the next buffer at least is for new text.
        let wanted = self.block_bytes.max(2 * carried.len());
        let mut next = self
            .spare_buffers
            .pop()
            .filter(|spare| spare.len() == wanted)
            .unwrap_or_else(|| vec![0; wanted]);
        next[..carried.len()].copy_from_slice(carried);
        let start = self.position;
        self.position = start.behind(&self.buffer[..len]);
        self.filled -= len;
        self.scanner.forget(len);
        self.first = false;
        Block {
            buffer: std::mem::replace(&mut self.buffer, next),
            len,
            accounts,
            start,
        }
    }

    fn end_reached(&self) -> Option<BlocksEnd> {
        let too_long = u64::try_from(self.filled).is_ok_and(|filled| filled > ITEM_BYTES_MAX);
        match self.scanner.place() {
            Place::Stopped => Some(BlocksEnd::Odd),
            Place::Closed if self.in_document => Some(BlocksEnd::Complete),
            Place::Closed if self.source_ended && self.failure.is_none() => {
                Some(BlocksEnd::Complete)
            }
            _ if self.source_ended || too_long => Some(BlocksEnd::Odd),
            Place::Between { .. } | Place::Inside | Place::Closed => None,
        }
    }

    fn grow(&mut self) {
        if self.filled == self.buffer.len() {
            self.buffer.resize(2 * self.filled, 0);
        }
    }
}

/// What a [`BlockReader`] took from its source and gave to nobody.
#[derive(Debug)]
pub(crate) struct Unread {
    /// The text.
    pub(crate) text: Vec<u8>,
    /// Why the source gave no more than it.
    pub(crate) failure: Option<io::Error>,
    /// Whether the source has nothing behind the text; it must not be read again then.
    pub(crate) source_ended: bool,
}

/// Gives an error once, or is empty.
#[derive(Debug)]
pub(crate) struct Failing(pub(crate) Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests;
