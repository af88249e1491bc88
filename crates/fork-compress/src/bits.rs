//! Bits of a deflate stream.
//!
//! Source: RFC 1951 section 3.1.

/// Most bytes of a stored block.
pub(crate) const STORED_BYTES_MAX: usize = 65_535;

/// Appends bits, least significant first.
pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes that are complete; `out` has room behind them.
    bytes: usize,
    pending: u64,
    /// Bits pending, fewer than 8 between calls.
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            bytes: out.len(),
            out,
            pending: 0,
            count: 0,
        }
    }

    /// Makes room for that many bytes, so that [`Self::put`] need not.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        let needed = self.bytes + bytes + 2 * size_of::<u64>();
        if self.out.len() < needed {
            self.out.resize(needed, 0);
        }
    }

    /// Appends at most 48 bits; the others of `value` must be zero.
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        let pending = self.pending | value << self.count;
        let count = self.count + count;
        // The whole word, of which only the complete bytes count.
        if let Some(room) = self.out.get_mut(self.bytes..)
            && let Some(room) = room.first_chunk_mut()
        {
            *room = pending.to_le_bytes();
        }
        self.bytes += (count / 8) as usize;
        self.pending = pending >> (count & !7);
        self.count = count & 7;
    }

    pub(crate) fn code(&mut self, code: u32) {
        self.put(u64::from(code >> 8), code & 0xff);
    }

    /// Four codes of at most 12 bits.
    pub(crate) fn four_codes(&mut self, [a, b, c, d]: [u32; 4]) {
        let bits = |code: u32| code & 0xff;
        let low = u64::from(a >> 8) | u64::from(b >> 8) << bits(a);
        let high = u64::from(c >> 8) | u64::from(d >> 8) << bits(c);
        let low_bits = bits(a) + bits(b);
        self.put(low | high << low_bits, low_bits + bits(c) + bits(d));
    }

    /// Writes the bytes as stored blocks, at least one, which ends at a whole byte.
    pub(crate) fn stored(&mut self, input: &[u8], is_final: bool) {
        let mut rest = input;
        loop {
            let (block, after) = rest.split_at(rest.len().min(STORED_BYTES_MAX));
            self.reserve(block.len());
            self.put(u64::from(is_final && after.is_empty()), 3);
            self.align();
            let length = block.len() as u16;
            self.put(u64::from(length) | u64::from(!length) << 16, 32);
            self.out[self.bytes..self.bytes + block.len()].copy_from_slice(block);
            self.bytes += block.len();
            if after.is_empty() {
                return;
            }
            rest = after;
        }
    }

    fn align(&mut self) {
        self.put(0, self.count.wrapping_neg() & 7);
    }

    pub(crate) fn finish(mut self) {
        self.reserve(0);
        self.align();
        self.out.truncate(self.bytes);
    }
}
