//! A place in JSON text that only goes forward, and only over what is plain.

use crate::json::blocks::is_blank;

/// Reads JSON without escapes. Everything gives `None` where the text is something else, however
/// good it may be as JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Takes `expected` if it is next.
    pub(super) fn skip(&mut self, expected: &[u8]) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes `null` if it is next.
    pub(super) fn null(&mut self) -> bool {
        self.skip(b"null")
    }

    /// The text between an earlier place and this one.
    pub(super) fn since(&self, before: &Self) -> &'a [u8] {
        let len = before.rest.len() - self.rest.len();
        &before.rest[..len]
    }

    /// What was not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Goes `bytes` forward.
    pub(super) fn advance(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// Takes an object, and calls `member` with each name before its value, which `member` takes.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.byte(b'{')?;
        self.blanks();
        if self.skip(b"}") {
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.blanks();
            self.byte(b':')?;
            self.blanks();
            member(name, self)?;
            self.blanks();
            let (next, rest) = self.rest.split_first()?;
            self.rest = rest;
            match next {
                b',' => self.blanks(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Takes the string `expected` if it is next; it must be plain.
    pub(super) fn skip_string(&mut self, expected: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(b"\"");
        let rest = rest.and_then(|rest| rest.strip_prefix(expected));
        match rest.and_then(|rest| rest.strip_prefix(b"\"")) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a string that `parse` understands, which is most likely `len` bytes long. `parse` must
    /// refuse every text with a quote, a backslash or a control character in it: a string of the
    /// usual length is not searched for them.
    pub(super) fn parsed<T>(
        &mut self,
        len: usize,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<(&'a [u8], T)> {
        let usual = self
            .rest
            .strip_prefix(b"\"")
            .and_then(|rest| rest.split_at_checked(len))
            .and_then(|(string, rest)| Some((string, rest.strip_prefix(b"\"")?)));
        if let Some((string, rest)) = usual
            && let Some(value) = parse(string)
        {
            self.rest = rest;
            return Some((string, value));
        }
        let string = self.string()?;
        Some((string, parse(string)?))
    }

    /// Takes a string of ASCII.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        self.byte(b'"')?;
        let (string, rest) = self.rest.split_at(plain_len(self.rest));
        self.rest = rest;
        self.byte(b'"')?;
        Some(string)
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        (*first == expected).then_some(())
    }

    fn blanks(&mut self) {
        while let Some((first, rest)) = self.rest.split_first()
            && is_blank(*first)
        {
            self.rest = rest;
        }
    }
}

/// Bytes at the start of `text` that stand for themselves inside a string and are ASCII.
fn plain_len(text: &[u8]) -> usize {
    let (words, tail) = text.as_chunks::<WORD_BYTES>();
    for (index, word) in words.iter().enumerate() {
        let odd = odd_bytes(u64::from_le_bytes(*word));
        if odd != 0 {
            let bits = usize::try_from(odd.trailing_zeros()).unwrap_or(usize::MAX);
            return WORD_BYTES * index + bits / 8;
        }
    }
    let in_tail = tail.iter().position(|byte| !is_plain(*byte));
    text.len() - tail.len() + in_tail.unwrap_or(tail.len())
}

/// Bytes looked at together in strings, of which most are shorter than 16.
const WORD_BYTES: usize = 8;

/// Whether a byte stands for itself inside a string and is ASCII.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte < 0x80 && byte != b'"' && byte != b'\\'
}

/// The top bit of each byte that is not plain. Bytes above the lowest of them may be marked by
/// mistake, since subtracting borrows from the next byte.
const fn odd_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    const SPACES: u64 = b' ' as u64 * ONES;
    const QUOTES: u64 = b'"' as u64 * ONES;
    const BACKSLASHES: u64 = b'\\' as u64 * ONES;
    let marks =
        word | below(word, SPACES) | below(word ^ QUOTES, ONES) | below(word ^ BACKSLASHES, ONES);
    marks & TOPS
}

/// The top bit of each byte of `word` below the one of `limits`, for limits below 0x80.
const fn below(word: u64, limits: u64) -> u64 {
    word.wrapping_sub(limits) & !word
}

/// A member that may be set once.
#[derive(Debug)]
pub(super) struct Once<T>(Option<T>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Once<T> {
    /// Sets the value; `None` when there is one already.
    pub(super) fn set(&mut self, value: T) -> Option<()> {
        if self.0.is_some() {
            return None;
        }
        self.0 = Some(value);
        Some(())
    }

    pub(super) const fn seen(&self) -> Option<&T> {
        self.0.as_ref()
    }

    pub(super) fn get(self) -> Option<T> {
        self.0
    }
}
