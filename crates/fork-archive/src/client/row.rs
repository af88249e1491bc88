//! One row of an answer.

use std::io;
use std::ops::Range;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::DataRowBody;

/// A row; its values are text or null.
#[derive(Debug)]
pub struct Row<'b> {
    buffer: &'b [u8],
    ranges: Vec<Option<Range<usize>>>,
}

impl<'b> Row<'b> {
    pub(super) fn new(body: &'b DataRowBody) -> io::Result<Self> {
        Ok(Self {
            buffer: body.buffer(),
            ranges: body.ranges().collect()?,
        })
    }

    /// The value of a column, counted from 0; `None` when it is null, absent or not UTF-8. The
    /// connection's encoding is UTF-8, so the last does not happen but with a server that holds
    /// bytes of no encoding.
    #[must_use]
    pub fn text(&self, column: usize) -> Option<&'b str> {
        std::str::from_utf8(self.bytes(column)?).ok()
    }

    /// The bytes of a column's text; `None` when it is null.
    #[must_use]
    pub fn bytes(&self, column: usize) -> Option<&'b [u8]> {
        let range = self.ranges.get(column)?.clone()?;
        self.buffer.get(range)
    }

    /// Number of columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are no columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}
