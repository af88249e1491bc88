//! Readers below the JSON parser: one bounds what is read without progress, the other hides what
//! stands before an array.

use std::cell::Cell;
use std::io::{self, BufReader, Read};

/// Most bytes read without completing an account: far above any account (about 10 kB) and above
/// the other members of the documents accounts come in, far below what would hurt. This is what
/// bounds the length of a string and of an ignored member.
pub const ITEM_BYTES_MAX: u64 = 16 << 20;

/// Read in one go; larger buffers measured no faster.
const BUFFER_BYTES: usize = 256 << 10;

/// How far into a document the array is looked for.
pub(super) const PREAMBLE_BYTES_MAX: u64 = 64 << 10;

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
        BufReader::with_capacity(
            BUFFER_BYTES,
            BoundedReader {
                source,
                budget: self,
            },
        )
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

/// What stands before the array, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PreambleProblem {
    /// The document is an object.
    Object,
    /// There is no array in reach.
    NoArray,
}

/// State of a [`PreambleSkipper`], outside of it because the parser owns the reader.
#[derive(Debug)]
pub(super) struct Preamble {
    bytes_left: Cell<u64>,
    blank_so_far: Cell<bool>,
    found: Cell<bool>,
    problem: Cell<Option<PreambleProblem>>,
}

impl Preamble {
    pub(super) const fn new() -> Self {
        Self {
            bytes_left: Cell::new(PREAMBLE_BYTES_MAX),
            blank_so_far: Cell::new(true),
            found: Cell::new(false),
            problem: Cell::new(None),
        }
    }

    pub(super) fn problem(&self) -> Option<PreambleProblem> {
        self.problem.get()
    }

    fn fail(&self, problem: PreambleProblem) -> io::Error {
        self.problem.set(Some(problem));
        io::Error::other("no array of accounts")
    }
}

/// Turns everything before the first `[` into blanks, line ends excepted, so that the parser skips
/// it and still counts lines and columns rightly.
pub(super) struct PreambleSkipper<'p, R> {
    source: R,
    preamble: &'p Preamble,
}

impl<'p, R: Read> PreambleSkipper<'p, R> {
    pub(super) const fn new(source: R, preamble: &'p Preamble) -> Self {
        Self { source, preamble }
    }
}

impl<R: Read> Read for PreambleSkipper<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if self.preamble.found.get() {
            return Ok(count);
        }
        if count == 0 && !buffer.is_empty() {
            return Err(self.preamble.fail(PreambleProblem::NoArray));
        }
        for byte in &mut buffer[..count] {
            match *byte {
                b'[' => {
                    self.preamble.found.set(true);
                    return Ok(count);
                }
                b'{' if self.preamble.blank_so_far.get() => {
                    return Err(self.preamble.fail(PreambleProblem::Object));
                }
                b'\n' => {}
                other => {
                    if !other.is_ascii_whitespace() {
                        self.preamble.blank_so_far.set(false);
                    }
                    *byte = b' ';
                }
            }
            let Some(left) = self.preamble.bytes_left.get().checked_sub(1) else {
                return Err(self.preamble.fail(PreambleProblem::NoArray));
            };
            self.preamble.bytes_left.set(left);
        }
        Ok(count)
    }
}
