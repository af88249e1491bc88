//! Where the accounts of a list begin and end, without parsing them.
//!
//! Only strings and nesting are looked at, 64 bytes at a time: an account costs about 0.17 us
//! (4.7 GB/s), so one thread cuts for many that parse. On valid JSON the places found are right; on
//! anything else they may be wrong, which the parser of the account then notices.

use std::ops::Range;

/// Bytes looked at together: the bits of one mask.
const CHUNK_BYTES: usize = 64;

/// What the scanner is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before an account; whether one is due, because of the comma before it.
    Between {
        /// Whether the separator was seen.
        separated: bool,
    },
    /// Inside an account.
    Inside,
    /// Behind the `]`; blanks may follow.
    Closed,
    /// At something that is neither an account nor the end of the list.
    Stopped,
}

/// Finds the accounts of a list in text that arrives piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    place: Place,
    /// Offset of the first byte not looked at.
    offset: usize,
    /// Offset of the account the scanner is in.
    start: usize,
    /// Objects and arrays that are open.
    depth: u32,
    in_string: bool,
    /// Whether the last byte was a backslash that escapes the next.
    escaped: bool,
    /// Whether more than blanks may follow the list.
    in_document: bool,
}

impl Scanner {
    /// A scanner that starts behind the `[`.
    pub(super) const fn new() -> Self {
        Self {
            // The first account needs no comma before it.
            place: Place::Between { separated: true },
            offset: 0,
            start: 0,
            depth: 0,
            in_string: false,
            escaped: false,
            in_document: false,
        }
    }

    /// The same for a list inside of a document, which goes on behind the `]`.
    pub(super) const fn in_document() -> Self {
        let mut scanner = Self::new();
        scanner.in_document = true;
        scanner
    }

    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// Goes on in `text`, of which everything before the scanner's offset was seen before, and
    /// appends the accounts that are complete. Stops where it needs more text; `is_all` says that
    /// there is none.
    ///
    /// `first` says whether the list may still be empty.
    pub(super) fn scan(
        &mut self,
        text: &[u8],
        is_all: bool,
        mut first: bool,
        accounts: &mut Vec<Range<usize>>,
    ) {
        while self.offset < text.len() {
            match self.place {
                Place::Between { separated } => {
                    self.between(text[self.offset], separated, first);
                }
                Place::Inside => {
                    let Some(end) = self.inside(text, is_all) else {
                        return;
                    };
                    first = false;
                    accounts.push(self.start..end);
                    self.offset = end;
                    self.place = Place::Between { separated: false };
                }
                Place::Closed if self.in_document => return,
                Place::Closed => {
                    if !is_blank(text[self.offset]) {
                        self.place = Place::Stopped;
                        return;
                    }
                    self.offset += 1;
                }
                Place::Stopped => return,
            }
        }
    }

    /// Forgets the first `bytes` of the text, which hold whole accounts only.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.offset = self.offset.saturating_sub(bytes);
        self.start = self.start.saturating_sub(bytes);
    }

    /// Takes one byte outside of accounts.
    fn between(&mut self, byte: u8, separated: bool, first: bool) {
        match byte {
            b'{' if separated => {
                self.place = Place::Inside;
                self.start = self.offset;
                self.depth = 1;
                self.in_string = false;
                self.escaped = false;
            }
            b',' if !separated => self.place = Place::Between { separated: true },
            b']' if !separated || first => self.place = Place::Closed,
            blank if is_blank(blank) => {}
            _ => {
                self.place = Place::Stopped;
                return;
            }
        }
        self.offset += 1;
    }

    /// Goes on inside an account; gives the offset behind its end.
    fn inside(&mut self, text: &[u8], is_all: bool) -> Option<usize> {
        while let Some(chunk) = text[self.offset..].first_chunk::<CHUNK_BYTES>() {
            // Escapes are rare; their chunks and what such a chunk leaves open go byte by byte.
            let end = if self.escaped || any(chunk, |byte| byte == b'\\') {
                self.bytes(chunk)
            } else {
                self.chunk(chunk)
            };
            if let Some(end) = end {
                return Some(self.offset + end);
            }
            self.offset += CHUNK_BYTES;
        }
        if is_all {
            let rest = &text[self.offset..];
            if let Some(end) = self.bytes(rest) {
                return Some(self.offset + end);
            }
            self.offset = text.len();
        }
        None
    }

    /// A chunk without escapes.
    fn chunk(&mut self, chunk: &[u8; CHUNK_BYTES]) -> Option<usize> {
        let quotes = mask(chunk, |byte| byte == b'"');
        let brackets = mask(chunk, |byte| (byte | 0x20 == b'{') | (byte | 0x20 == b'}'));
        let outside_before = if self.in_string { u64::MAX } else { 0 };
        let in_string = parity_before_and_at(quotes) ^ outside_before;
        let mut brackets = brackets & !in_string;
        while brackets != 0 {
            let offset = usize::try_from(brackets.trailing_zeros()).unwrap_or(usize::MAX);
            brackets &= brackets - 1;
            if self.bracket(*chunk.get(offset)?) {
                return Some(offset + 1);
            }
        }
        self.in_string = in_string >> (CHUNK_BYTES - 1) == 1;
        None
    }

    /// Any text, byte by byte.
    fn bytes(&mut self, text: &[u8]) -> Option<usize> {
        for (offset, byte) in text.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else if *byte == b'"' {
                self.in_string = true;
            } else if matches!(byte, b'{' | b'[' | b'}' | b']') && self.bracket(*byte) {
                return Some(offset + 1);
            }
        }
        None
    }

    /// Counts a bracket outside of strings; says whether it closes the account.
    fn bracket(&mut self, bracket: u8) -> bool {
        if bracket | 0x20 == b'{' {
            // Saturated only by gigabytes of brackets, which no account has room for.
            self.depth = self.depth.saturating_add(1);
        } else {
            self.depth = self.depth.saturating_sub(1);
        }
        self.depth == 0
    }
}

/// The four blanks of JSON.
pub(in crate::json) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// One bit for each byte that `is` holds for, the first byte lowest.
///
/// Written so that the compiler compares 16 bytes or more at a time. It is easily put off: one bit
/// shifted in after the other, or a zip of the two arrays, measured ten times slower.
#[inline]
fn mask(chunk: &[u8; CHUNK_BYTES], is: impl Fn(u8) -> bool) -> u64 {
    let mut places = [0; CHUNK_BYTES];
    for (index, byte) in chunk.iter().enumerate() {
        places[index] = if is(*byte) { 1_u8 << (index % 8) } else { 0 };
    }
    let mut mask = [0; CHUNK_BYTES / 8];
    for (byte, places) in mask.iter_mut().zip(places.as_chunks::<8>().0) {
        // The product's top byte is the sum of the eight, which have no bit in common.
        let sum = u64::from_le_bytes(*places).wrapping_mul(0x0101_0101_0101_0101);
        *byte = sum.to_le_bytes()[7];
    }
    u64::from_le_bytes(mask)
}

/// Whether `is` holds for any byte.
#[inline]
fn any(chunk: &[u8; CHUNK_BYTES], is: impl Fn(u8) -> bool) -> bool {
    let mut flags = [0; CHUNK_BYTES];
    for (flag, byte) in flags.iter_mut().zip(chunk) {
        *flag = u8::from(is(*byte));
    }
    let words = flags.as_chunks::<8>().0;
    let all = words
        .iter()
        .fold(0, |all, word| all | u64::from_le_bytes(*word));
    all != 0
}

/// For each bit whether the number of ones at and below it is odd: with quotes as ones, the places
/// inside strings, opening quotes included.
#[inline]
const fn parity_before_and_at(mut ones: u64) -> u64 {
    let mut distance = 1;
    while distance < CHUNK_BYTES {
        ones ^= ones << distance;
        distance *= 2;
    }
    ones
}
