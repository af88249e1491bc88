//! A deflate compressor whose bytes depend on its input alone.
//!
//! Written here, because a tarball's digest is published: with a library the digest of every ledger
//! changes whenever the library finds other matches, and some libraries' matches depend on the
//! processor. This one has no tables or code paths that do.
//!
//! It is made for ledgers, which are incompressible hashes between constant bytes at regular
//! distances: one candidate per position, found by six bytes, and the distance of the match before.
//!
//! Measured on two logs, one of 200,000 plain accounts (131.2 MB) and one of 30,000 accounts of
//! which many are zkApps (32.1 MB); all but gzip in independent chunks of 1 MiB less 16 bytes, in
//! the release profile, CPU seconds of one thread, medians of five interleaved runs on a machine
//! that was busy with other work (gzip: one run):
//!
//! | | plain: s | MB | zkApps: s | MB |
//! |---|---|---|---|---|
//! | this | 0.56 | 60.47 | 0.10 | 11.02 |
//! | libdeflate level 1 | 0.60 | 60.44 | 0.12 | 10.57 |
//! | libdeflate level 6 | 0.96 | 59.70 | 0.18 | 10.41 |
//! | zlib-rs level 1 | 0.60 | 70.56 | 0.11 | 12.68 |
//! | zlib-rs level 2 | 1.08 | 60.25 | 0.18 | 10.82 |
//! | zlib-rs level 6 | 1.69 | 59.58 | 0.27 | 10.62 |
//! | gzip -6 | 2.85 | 60.38 | 0.56 | 10.37 |
//!
//! So it is not chosen for speed, in which libdeflate is nearly its equal and compresses zkApps
//! better, but for bytes that no upgrade changes, one gzip member, and no C.
//!
//! Chunks of 256 KiB, 512 KiB, 1 MiB, 2 MiB and the whole log gave 60.48, 60.47, 60.47, 60.47 and
//! 60.46 MB of plain accounts, and 11.47, 11.17, 11.02, 10.95 and 10.87 MB of zkApps.
//!
//! Source: RFC 1951.

use crate::bits::{BitWriter, STORED_BYTES_MAX};
use crate::huffman::{Code, SYMBOLS_MAX};
use crate::search::{PROBE_BYTES, Search, is_flat};

/// Farthest match.
const WINDOW_BYTES: usize = 32_768;

/// Longest match.
const MATCH_BYTES_MAX: usize = 258;

/// Input of a block. Larger ones save headers; smaller ones follow the data more closely, but a
/// ledger changes only a few times. Twice the most that can be stored in
/// a block, so that nothing odd is left over where nothing can be compressed.
pub(crate) const BLOCK_BYTES: usize = 2 * STORED_BYTES_MAX;

/// Slots of the table of positions, as a power of two. 2^14 slots of two bytes stay in the
/// first-level cache; half as many lost 2 % on zkApps (with chunks of 256 KiB).
const TABLE_BITS: u32 = 14;

/// Longest code of literals and lengths: four of them, with what is left of a byte, fit into a word.
const LITERAL_BITS_MAX: usize = 12;

const DISTANCE_BITS_MAX: usize = 15;
const PRECODE_BITS_MAX: usize = 7;

const END_OF_BLOCK: usize = 256;
const FIRST_LENGTH: usize = 257;
const DISTANCES: usize = 30;
const PRECODES: usize = 19;

/// The order in which the lengths of the code for lengths are stored.
const PRECODE_ORDER: [usize; PRECODES] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Extra bits of the symbols 16, 17 and 18, which stand for runs of lengths.
const RUN_EXTRA_BITS: [u8; 3] = [2, 3, 7];

/// Smallest length and number of extra bits of the length symbols.
const LENGTHS: [(u16, u8); 29] = {
    let mut table = [(0, 0); 29];
    let mut base = 3;
    let mut symbol = 0;
    while symbol < 28 {
        let extra = if symbol < 8 {
            0
        } else {
            (symbol as u8 - 4) / 4
        };
        table[symbol] = (base, extra);
        base += 1 << extra;
        symbol += 1;
    }
    table[28] = (258, 0);
    table
};

/// Length symbols by length less three.
const LENGTH_SYMBOLS: [u8; 256] = {
    let mut table = [0; 256];
    let mut length = 0;
    while length < 256 {
        let mut symbol = 28;
        while LENGTHS[symbol].0 > length as u16 + 3 {
            symbol -= 1;
        }
        table[length] = symbol as u8;
        length += 1;
    }
    table
};

/// Some literals and the match after them. A block ends in one without a match (length 0).
#[derive(Clone, Copy)]
struct Sequence {
    literals: u32,
    length: u16,
    distance: u16,
}

/// A compressor with its buffers.
pub(crate) struct Deflater {
    /// The low 16 bits of the last position of each hash; whatever else they could mean is sorted
    /// out by comparing the bytes.
    table: Box<[u16; 1 << TABLE_BITS]>,
    sequences: Vec<Sequence>,
    literals: [u32; SYMBOLS_MAX],
    distances: [u32; DISTANCES],
}

impl Deflater {
    pub(crate) fn new() -> Self {
        Self {
            table: Box::new([0; 1 << TABLE_BITS]),
            sequences: Vec::new(),
            literals: [0; SYMBOLS_MAX],
            distances: [0; DISTANCES],
        }
    }

    /// Appends the blocks of `input`, which refer to nothing before it. Unless `is_last`, they end
    /// at a whole byte, so that what is compressed apart can be put together.
    pub(crate) fn compress(
        &mut self,
        input: &[u8],
        search: Search,
        is_last: bool,
        out: &mut Vec<u8>,
    ) {
        self.table.fill(0);
        let mut bits = BitWriter::new(out);
        let mut start = 0;
        while start < input.len() {
            let end = input.len().min(start + BLOCK_BYTES);
            let is_final = is_last && end == input.len();
            if search == Search::WhereItPays && self.looks_compressed(input, start, end) {
                bits.stored(&input[start..end], is_final);
            } else {
                self.find_matches(input, start, end);
                self.write_block(&input[start..end], is_final, &mut bits);
            }
            start = end;
        }
        if !is_last || input.is_empty() {
            bits.stored(&[], is_last);
        }
        bits.finish();
    }

    /// Whether the block is not worth the search. A function of the input alone, as all here.
    fn looks_compressed(&mut self, input: &[u8], start: usize, end: usize) -> bool {
        if !is_flat(&input[start..end]) {
            return false;
        }
        self.find_matches(input, start, end.min(start + PROBE_BYTES));
        let matched: usize = self
            .sequences
            .iter()
            .map(|one| usize::from(one.length))
            .sum();
        matched < PROBE_BYTES / 32
    }

    /// Splits the block into literals and matches, and counts the symbols.
    fn find_matches(&mut self, input: &[u8], start: usize, end: usize) {
        self.sequences.clear();
        self.literals.fill(0);
        self.distances.fill(0);
        let mut literals_from = start;
        // Position 0 has nothing before it; from 1 on every slot of an empty table, which means
        // position 0, can be compared with.
        let mut at = start.max(1);
        let mut last_distance = 1;
        // Words are loaded whole, so the last bytes of a block are literals.
        let limit = end.saturating_sub(size_of::<u64>());
        while at < limit {
            let word = load(input, at);
            let slot = &mut self.table[hash(word)];
            let far = usize::from((at as u16).wrapping_sub(*slot));
            *slot = at as u16;
            let is_far = (1..=WINDOW_BYTES.min(at)).contains(&far)
                && (load(input, at - far) ^ word) << 16 == 0;
            let distance = if is_far {
                far
            } else if (load(input, at - last_distance) ^ word) as u32 == 0 {
                last_distance
            } else {
                at += 1;
                continue;
            };
            let length = match_bytes(input, at - distance, at, end);
            self.count_literals(&input[literals_from..at]);
            self.literals[FIRST_LENGTH + length_symbol(length)] += 1;
            self.distances[distance_symbol(distance)] += 1;
            self.sequences.push(Sequence {
                literals: (at - literals_from) as u32,
                length: length as u16,
                distance: distance as u16,
            });
            last_distance = distance;
            at += length;
            literals_from = at;
        }
        self.count_literals(&input[literals_from..end]);
        self.literals[END_OF_BLOCK] += 1;
        self.sequences.push(Sequence {
            literals: (end - literals_from) as u32,
            length: 0,
            distance: 0,
        });
    }

    fn count_literals(&mut self, literals: &[u8]) {
        for byte in literals {
            self.literals[usize::from(*byte)] += 1;
        }
    }

    /// Writes the block with codes of its own, or stored where that is not longer.
    fn write_block(&self, input: &[u8], is_final: bool, bits: &mut BitWriter<'_>) {
        let literals = Code::new(&self.literals, LITERAL_BITS_MAX);
        let distances = Code::new(&self.distances, DISTANCE_BITS_MAX);
        let header = Header::new(&literals, &distances);
        let block_bits = 3 + header.bits() + self.body_bits(&literals, &distances);
        let stored_bytes = input.len() + 5 * input.len().div_ceil(STORED_BYTES_MAX);
        if block_bits >= 8 * stored_bytes as u64 {
            bits.stored(input, is_final);
            return;
        }
        bits.reserve(block_bits as usize / 8);
        bits.put(u64::from(is_final) | 2 << 1, 3);
        header.write(bits);
        self.write_body(input, &literals, &distances, bits);
    }

    fn body_bits(&self, literals: &Code, distances: &Code) -> u64 {
        let extra = |symbol: usize| match symbol.checked_sub(FIRST_LENGTH) {
            Some(length) => LENGTHS[length].1,
            None => 0,
        };
        let of_literals = self.literals.iter().enumerate().map(|(symbol, count)| {
            u64::from(*count) * u64::from(literals.bits(symbol) + extra(symbol))
        });
        let of_distances = self.distances.iter().enumerate().map(|(symbol, count)| {
            u64::from(*count)
                * u64::from(u32::from(distances.bits(symbol)) + distance_extra_bits(symbol))
        });
        of_literals.chain(of_distances).sum()
    }

    fn write_body(
        &self,
        input: &[u8],
        literals: &Code,
        distances: &Code,
        bits: &mut BitWriter<'_>,
    ) {
        let literals = literals.packed();
        let distances = distances.packed();
        let code = |byte: u8| literals[usize::from(byte)];
        let mut at = 0;
        for sequence in &self.sequences {
            let length = usize::from(sequence.length);
            let run = &input[at..at + sequence.literals as usize];
            at += run.len() + length;
            let (fours, rest) = run.as_chunks::<4>();
            for [a, b, c, d] in fours {
                bits.four_codes([code(*a), code(*b), code(*c), code(*d)]);
            }
            for byte in rest {
                bits.code(code(*byte));
            }
            if length == 0 {
                continue;
            }
            let symbol = length_symbol(length);
            let (length_min, length_extra) = LENGTHS[symbol];
            bits.code(literals[FIRST_LENGTH + symbol]);
            bits.put(
                u64::from(sequence.length - length_min),
                u32::from(length_extra),
            );
            let symbol = distance_symbol(usize::from(sequence.distance));
            bits.code(distances[symbol]);
            let extra = distance_extra_bits(symbol);
            // Distances of a symbol start behind a multiple of their number.
            let low = (u64::from(sequence.distance) - 1) & ((1 << extra) - 1);
            bits.put(low, extra);
        }
        bits.code(literals[END_OF_BLOCK]);
    }
}

/// The codes of a block, as they are stored in front of it.
struct Header {
    literals: usize,
    distances: usize,
    /// Symbols of the code for lengths, with the values of their extra bits.
    tokens: Vec<(u8, u8)>,
    precode: Code,
    precodes: usize,
}

impl Header {
    fn new(literals: &Code, distances: &Code) -> Self {
        let literals = literals.lengths(FIRST_LENGTH);
        let distances = distances.lengths(1);
        let tokens = run_lengths(&[literals, distances].concat());
        let mut frequencies = [0; PRECODES];
        for (symbol, _) in &tokens {
            frequencies[usize::from(*symbol)] += 1;
        }
        let precode = Code::new(&frequencies, PRECODE_BITS_MAX);
        let precodes = PRECODE_ORDER
            .iter()
            .rposition(|symbol| precode.bits(*symbol) > 0)
            .map_or(4, |last| (last + 1).max(4));
        Self {
            literals: literals.len(),
            distances: distances.len(),
            tokens,
            precode,
            precodes,
        }
    }

    fn bits(&self) -> u64 {
        let of_token = |(symbol, _): &(u8, u8)| {
            u64::from(self.precode.bits(usize::from(*symbol))) + u64::from(run_extra_bits(*symbol))
        };
        14 + 3 * self.precodes as u64 + self.tokens.iter().map(of_token).sum::<u64>()
    }

    fn write(&self, bits: &mut BitWriter<'_>) {
        bits.put((self.literals - FIRST_LENGTH) as u64, 5);
        bits.put((self.distances - 1) as u64, 5);
        bits.put((self.precodes - 4) as u64, 4);
        for symbol in &PRECODE_ORDER[..self.precodes] {
            bits.put(u64::from(self.precode.bits(*symbol)), 3);
        }
        for (symbol, extra) in &self.tokens {
            bits.code(self.precode.packed()[usize::from(*symbol)]);
            bits.put(u64::from(*extra), u32::from(run_extra_bits(*symbol)));
        }
    }
}

fn run_extra_bits(symbol: u8) -> u8 {
    match symbol.checked_sub(16) {
        Some(run) => RUN_EXTRA_BITS[usize::from(run)],
        None => 0,
    }
}

/// Writes lengths as symbols of the code for lengths.
fn run_lengths(lengths: &[u8]) -> Vec<(u8, u8)> {
    let mut tokens = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|a, b| a == b) {
        let (value, mut left) = (run[0], run.len());
        if value > 0 {
            tokens.push((value, 0));
            left -= 1;
        }
        while left >= 3 {
            let (symbol, min, max) = match (value, left) {
                (0, 11..) => (18, 11, 138),
                (0, _) => (17, 3, 10),
                _ => (16, 3, 6),
            };
            let count = left.min(max);
            tokens.push((symbol, (count - min) as u8));
            left -= count;
        }
        tokens.extend(std::iter::repeat_n((value, 0), left));
    }
    tokens
}

fn length_symbol(length: usize) -> usize {
    usize::from(LENGTH_SYMBOLS[length - 3])
}

fn distance_symbol(distance: usize) -> usize {
    let distance = distance - 1;
    if distance < 4 {
        return distance;
    }
    let bits = distance.ilog2() as usize;
    2 * bits + (distance >> (bits - 1) & 1)
}

const fn distance_extra_bits(symbol: usize) -> u32 {
    if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 }
}

fn load(input: &[u8], at: usize) -> u64 {
    match input.get(at..).and_then(<[u8]>::first_chunk) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// Hash of the first six bytes of a word.
fn hash(word: u64) -> usize {
    ((word << 16).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - TABLE_BITS)) as usize
}

/// Bytes that agree from two positions on, up to the longest match or `end`.
fn match_bytes(input: &[u8], earlier: usize, later: usize, end: usize) -> usize {
    let max = MATCH_BYTES_MAX.min(end - later);
    let mut length = 0;
    while length + size_of::<u64>() <= max {
        let difference = load(input, earlier + length) ^ load(input, later + length);
        if difference != 0 {
            return length + (difference.trailing_zeros() / 8) as usize;
        }
        length += size_of::<u64>();
    }
    while length < max && input[earlier + length] == input[later + length] {
        length += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::DeflateDecoder;
    use proptest::prelude::*;

    use super::*;

    fn compressed(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Deflater::new().compress(input, Search::Everywhere, true, &mut out);
        out
    }

    fn compressed_where_it_pays(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Deflater::new().compress(input, Search::WhereItPays, true, &mut out);
        out
    }

    fn inflated(bytes: &[u8]) -> Vec<u8> {
        let mut decoder = DeflateDecoder::new(bytes);
        let mut out = Vec::new();
        decoder.read_to_end(&mut out).unwrap();
        assert_eq!(
            decoder.total_in(),
            bytes.len() as u64,
            "nothing is left over"
        );
        out
    }

    /// Numbers that look random.
    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 33) as u8
            })
            .collect()
    }

    #[test]
    fn lengths_and_distances_have_the_standards_symbols() {
        assert_eq!((LENGTHS[8], LENGTHS[27]), ((11, 1), (227, 5)));
        let lengths = [
            (3, 0),
            (10, 7),
            (11, 8),
            (12, 8),
            (13, 9),
            (257, 27),
            (258, 28),
        ];
        for (length, symbol) in lengths {
            assert_eq!(length_symbol(length), symbol, "{length}");
        }
        let distances = [
            (1, 0),
            (4, 3),
            (5, 4),
            (6, 4),
            (7, 5),
            (8, 5),
            (9, 6),
            (24_576, 28),
            (24_577, 29),
            (32_768, 29),
        ];
        for (distance, symbol) in distances {
            assert_eq!(distance_symbol(distance), symbol, "{distance}");
        }
    }

    #[test]
    fn odd_inputs_come_back() {
        let mut deep = Vec::new();
        // Frequencies that ask for codes of more than twelve bits.
        for byte in 0..17_u8 {
            deep.extend(std::iter::repeat_n(byte, 1 << byte));
        }
        deep.sort_by_key(|byte| u64::from(*byte).wrapping_mul(0x9E37_79B9) ^ 5);
        let far = [noise(WINDOW_BYTES, 1), noise(WINDOW_BYTES, 1)].concat();
        let too_far = [noise(WINDOW_BYTES + 1, 1), noise(WINDOW_BYTES + 1, 1)].concat();
        let aliased = [noise(9, 1), vec![0; 1 << 16], noise(9, 1)].concat();
        for input in [
            vec![],
            vec![7],
            vec![0; 9],
            vec![0; 3 * BLOCK_BYTES + 1],
            noise(BLOCK_BYTES, 3),
            noise(2 * BLOCK_BYTES + 77, 4),
            noise(STORED_BYTES_MAX + 1, 5),
            far,
            too_far,
            aliased,
            deep,
        ] {
            let out = compressed(&input);
            assert_eq!(inflated(&out), input);
            assert!(out.len() <= input.len() + 5 * (input.len() / STORED_BYTES_MAX + 1));
        }
        assert!(compressed(&vec![0; 1 << 20]).len() < 8000);
        let repeated = noise(500, 6).repeat(40);
        assert!(compressed(&repeated).len() < 1000);
    }

    #[test]
    fn only_what_cannot_be_compressed_is_stored_untried() {
        let stored = |input: &[u8]| Deflater::new().looks_compressed(input, 0, input.len());
        assert!(stored(&noise(BLOCK_BYTES, 1)));
        // Once compressed is enough.
        let text: Vec<u8> = noise(400_000, 7)
            .chunks(2)
            .map(|pair| pair[0].min(pair[1]))
            .collect();
        assert!(stored(&compressed(&text)[..BLOCK_BYTES]));
        assert!(!stored(&text[..BLOCK_BYTES]));
        assert!(!stored(&vec![0; BLOCK_BYTES]));
        assert!(!stored(&noise(1000, 1).repeat(131)));
        let masked: Vec<u8> = noise(BLOCK_BYTES, 2)
            .iter()
            .map(|byte| byte & 127)
            .collect();
        assert!(!stored(&masked));
        let mixed = [noise(BLOCK_BYTES, 3), text, noise(3 * BLOCK_BYTES, 4)].concat();
        let (quick, thorough) = (compressed_where_it_pays(&mixed), compressed(&mixed));
        assert_eq!(inflated(&quick), mixed);
        assert!(quick.len() < thorough.len() + 4096);
    }

    #[test]
    fn parts_make_a_whole() {
        let parts = [noise(1000, 1), vec![1; 5000], vec![], b"end".repeat(50)];
        let mut deflater = Deflater::new();
        let mut out = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let is_last = number + 1 == parts.len();
            deflater.compress(part, Search::WhereItPays, is_last, &mut out);
        }
        assert_eq!(inflated(&out), parts.concat());
    }

    proptest! {
        #[test]
        fn anything_comes_back(
            runs in prop::collection::vec((any::<u64>(), 0_usize..3000, 1_usize..600, 0_u8..=255), 0..12),
        ) {
            let mut input = Vec::new();
            for (seed, length, period, mask) in runs {
                let pattern: Vec<u8> =
                    noise(period, seed).into_iter().map(|byte| byte & mask).collect();
                input.extend(pattern.iter().cycle().take(length));
            }
            prop_assert_eq!(&inflated(&compressed(&input)), &input);
            prop_assert_eq!(inflated(&compressed_where_it_pays(&input)), input);
        }
    }
}
