//! Readers below the JSON parser: one bounds what is read without progress, the other hides what
//! stands before an array.

use std::cell::Cell;
use std::io::{self, BufReader, Read};

/// Most bytes read without completing an account: far above any account (about 10 kB) and above
/// the other members of the documents accounts come in, far below what would hurt: as values, JSON
/// may take eighty times its size in memory. This is what bounds the length of a string and of an
/// ignored member.
pub const ITEM_BYTES_MAX: u64 = 2 << 20;

/// Read in one go; larger buffers measured no faster.
const BUFFER_BYTES: usize = 256 << 10;

/// How far into a document the array is looked for.
const PREAMBLE_BYTES_MAX: u64 = 64 << 10;

/// How many bytes may still be read before the next account is complete.
///
/// Without it, one string without an end would be collected in memory until there is none left.
#[derive(Debug)]
pub struct ReadBudget {
    left: Cell<u64>,
    item_bytes_max: u64,
    exceeded: Cell<bool>,
}

impl Default for ReadBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadBudget {
    /// The budget of [`ITEM_BYTES_MAX`].
    #[must_use]
    pub const fn new() -> Self {
        Self::with_item_bytes_max(ITEM_BYTES_MAX)
    }

    /// Another budget. It is counted in buffers, so up to 256 kB more may be read.
    #[must_use]
    pub const fn with_item_bytes_max(item_bytes_max: u64) -> Self {
        Self {
            left: Cell::new(item_bytes_max),
            item_bytes_max,
            exceeded: Cell::new(false),
        }
    }

    /// A buffered reader that fails once the budget is used up.
    pub fn reader<R: Read>(&self, source: R) -> BufReader<BoundedReader<'_, R>> {
        BufReader::with_capacity(BUFFER_BYTES, self.bounded(source))
    }

    /// The same without a buffer.
    pub const fn bounded<R: Read>(&self, source: R) -> BoundedReader<'_, R> {
        BoundedReader {
            source,
            budget: self,
        }
    }

    /// Says that progress was made.
    pub fn refill(&self) {
        self.left.set(self.item_bytes_max);
    }

    /// The limit.
    #[must_use]
    pub const fn item_bytes_max(&self) -> u64 {
        self.item_bytes_max
    }

    /// Whether a reader failed for want of budget.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }
}

/// See [`ReadBudget::reader`].
#[derive(Debug)]
pub struct BoundedReader<'b, R> {
    source: R,
    budget: &'b ReadBudget,
}

impl<R: Read> Read for BoundedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let read = u64::try_from(count).unwrap_or(u64::MAX);
        match self.budget.left.get().checked_sub(read) {
            Some(left) => self.budget.left.set(left),
            None => {
                self.budget.exceeded.set(true);
                return Err(io::Error::other("too much data without a complete account"));
            }
        }
        Ok(count)
    }
}

/// What is wrong with what stands before the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::json) enum PreambleProblem {
    /// The document is an object.
    Object,
    /// There is no array in reach.
    NoArray,
}

impl PreambleProblem {
    pub(in crate::json) const fn into_error<E: std::error::Error + 'static>(
        self,
    ) -> super::StreamError<E> {
        match self {
            Self::Object => super::StreamError::ObjectInsteadOfArray,
            Self::NoArray => super::StreamError::NoArray {
                preamble_bytes_max: PREAMBLE_BYTES_MAX,
            },
        }
    }
}

/// Looks for the `[` that starts the array.
#[derive(Clone, Copy, Debug)]
pub(in crate::json) struct Preamble {
    bytes_left: u64,
    blank_so_far: bool,
    found: bool,
}

impl Preamble {
    pub(in crate::json) const fn new() -> Self {
        Self {
            bytes_left: PREAMBLE_BYTES_MAX,
            blank_so_far: true,
            found: false,
        }
    }

    /// Takes the next bytes of the document, none at its end, and gives the offset of the `[` among
    /// them. What stands before it is turned into blanks, line ends excepted, so that a parser
    /// skips it and still counts lines and columns rightly.
    pub(in crate::json) fn take(
        &mut self,
        bytes: &mut [u8],
    ) -> Result<Option<usize>, PreambleProblem> {
        if bytes.is_empty() {
            return Err(PreambleProblem::NoArray);
        }
        for (offset, byte) in bytes.iter_mut().enumerate() {
            match *byte {
                b'[' => {
                    self.found = true;
                    return Ok(Some(offset));
                }
                b'{' if self.blank_so_far => return Err(PreambleProblem::Object),
                b'\n' => {}
                other => {
                    if !other.is_ascii_whitespace() {
                        self.blank_so_far = false;
                    }
                    *byte = b' ';
                }
            }
            self.bytes_left = self
                .bytes_left
                .checked_sub(1)
                .ok_or(PreambleProblem::NoArray)?;
        }
        Ok(None)
    }
}

/// State of a [`PreambleSkipper`], outside of it because the parser owns the reader.
#[derive(Debug)]
pub(super) struct SkippedPreamble {
    preamble: Cell<Preamble>,
    problem: Cell<Option<PreambleProblem>>,
}

impl SkippedPreamble {
    pub(super) const fn new() -> Self {
        Self {
            preamble: Cell::new(Preamble::new()),
            problem: Cell::new(None),
        }
    }

    pub(super) fn problem(&self) -> Option<PreambleProblem> {
        self.problem.get()
    }
}

/// Hides everything before the first `[` from the parser.
pub(super) struct PreambleSkipper<'p, R> {
    source: R,
    skipped: &'p SkippedPreamble,
}

impl<'p, R: Read> PreambleSkipper<'p, R> {
    pub(super) const fn new(source: R, skipped: &'p SkippedPreamble) -> Self {
        Self { source, skipped }
    }
}

impl<R: Read> Read for PreambleSkipper<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let mut preamble = self.skipped.preamble.get();
        if preamble.found || buffer.is_empty() {
            return Ok(count);
        }
        let taken = preamble.take(&mut buffer[..count]);
        self.skipped.preamble.set(preamble);
        match taken {
            Ok(_) => Ok(count),
            Err(problem) => {
                self.skipped.problem.set(Some(problem));
                Err(io::Error::other("no array of accounts"))
            }
        }
    }
}
