//! Length-limited Huffman codes, as deflate stores them.
//!
//! Source: RFC 1951 section 3.2.2.

/// Symbols of the largest alphabet: literals and lengths.
pub(crate) const SYMBOLS_MAX: usize = 286;

/// Longest code in bits that the format allows.
const BITS_MAX: usize = 15;

/// Depths counted before they are limited. A code deeper than this would need more symbols than a
/// block has.
const DEPTHS: usize = 64;

/// A code: the bits of every symbol of one alphabet.
pub(crate) struct Code {
    lengths: [u8; SYMBOLS_MAX],
    codes: [u32; SYMBOLS_MAX],
}

impl Code {
    /// The code for symbols that occur as often as `frequencies` says, none longer than `bits_max`.
    ///
    /// There are always two codes at least, used or not: some readers refuse a code of one symbol,
    /// which the format allows only for distances.
    pub(crate) fn new(frequencies: &[u32], bits_max: usize) -> Self {
        let mut symbols: Vec<(u32, usize)> = (0..)
            .zip(frequencies)
            .filter(|(_, frequency)| **frequency > 0)
            .map(|(symbol, frequency)| (*frequency, symbol))
            .collect();
        for (symbol, frequency) in frequencies.iter().enumerate().take(2) {
            if symbols.len() < 2 && *frequency == 0 {
                symbols.push((0, symbol));
            }
        }
        // The symbol breaks ties, so that the order is total and the same everywhere.
        symbols.sort_unstable();
        let counts = limit(depths(&symbols), bits_max);
        let mut lengths = [0; SYMBOLS_MAX];
        let mut rarest_first = symbols.iter();
        for bits in (1..=bits_max).rev() {
            for (_, symbol) in rarest_first.by_ref().take(counts[bits] as usize) {
                lengths[*symbol] = bits as u8;
            }
        }
        Self {
            lengths,
            codes: canonical(&lengths, &counts),
        }
    }

    /// Bits of a symbol's code; 0 when it has none.
    pub(crate) fn bits(&self, symbol: usize) -> u8 {
        self.lengths[symbol]
    }

    /// All lengths up to the last symbol that has a code, but `symbols_min` at least.
    pub(crate) fn lengths(&self, symbols_min: usize) -> &[u8] {
        let used = self.lengths.iter().rposition(|bits| *bits != 0);
        let count = used.map_or(0, |last| last + 1).max(symbols_min);
        &self.lengths[..count]
    }

    /// The codes by symbol: the bits in the order they are written, shifted by 8, and their number.
    pub(crate) fn packed(&self) -> &[u32; SYMBOLS_MAX] {
        &self.codes
    }
}

/// Number of codes of every length in Huffman's code, for symbols sorted by frequency.
fn depths(symbols: &[(u32, usize)]) -> [u32; DEPTHS] {
    let leaves = symbols.len();
    let nodes = 2 * leaves - 1;
    // Both leaves and inner nodes come in ascending order, so the two lightest nodes are always at
    // the front of one of these queues.
    let mut weights: Vec<u64> = symbols
        .iter()
        .map(|(frequency, _)| u64::from(*frequency))
        .collect();
    let mut parents = vec![0; nodes];
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..nodes {
        let mut weight = 0;
        for _ in 0..2 {
            let leaf_is_next = leaf < leaves && (inner == node || weights[leaf] <= weights[inner]);
            let queue = if leaf_is_next { &mut leaf } else { &mut inner };
            weight += weights[*queue];
            parents[*queue] = node;
            *queue += 1;
        }
        weights.push(weight);
    }
    let mut depth_of = vec![0; nodes];
    let mut counts = [0; DEPTHS];
    for node in (0..nodes - 1).rev() {
        depth_of[node] = depth_of[parents[node]] + 1;
        if node < leaves {
            counts[usize::min(depth_of[node], DEPTHS - 1)] += 1;
        }
    }
    counts
}

/// Moves codes longer than `bits_max` up, and as many others down as the room they take asks for.
fn limit(depths: [u32; DEPTHS], bits_max: usize) -> [u32; BITS_MAX + 1] {
    let mut counts = [0; BITS_MAX + 1];
    for (depth, count) in depths.iter().enumerate() {
        counts[depth.min(bits_max)] += count;
    }
    let mut room: u32 = (1..=bits_max)
        .map(|bits| counts[bits] << (bits_max - bits))
        .sum();
    while room > 1 << bits_max {
        // One code of the longest kind goes beside the deepest shorter one, which gets a bit more.
        let Some(bits) = (1..bits_max).rev().find(|bits| counts[*bits] > 0) else {
            break;
        };
        counts[bits_max] -= 1;
        counts[bits] -= 1;
        counts[bits + 1] += 2;
        room -= 1;
    }
    counts
}

fn canonical(lengths: &[u8; SYMBOLS_MAX], counts: &[u32; BITS_MAX + 1]) -> [u32; SYMBOLS_MAX] {
    let mut next = [0_u32; BITS_MAX + 1];
    for bits in 1..=BITS_MAX {
        let shorter = if bits == 1 { 0 } else { counts[bits - 1] };
        next[bits] = (next[bits - 1] + shorter) << 1;
    }
    let mut codes = [0; SYMBOLS_MAX];
    for (code, bits) in codes.iter_mut().zip(lengths) {
        if *bits > 0 {
            let value = &mut next[usize::from(*bits)];
            // Codes are written from their most significant bit, everything else from the least.
            let reversed = value.reverse_bits() >> (u32::BITS - u32::from(*bits));
            *code = reversed << 8 | u32::from(*bits);
            *value += 1;
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deep_codes_are_limited() {
        // Fibonacci numbers give the deepest tree there is.
        let mut frequencies = vec![1_u32, 1];
        while frequencies.len() < 30 {
            frequencies
                .push(frequencies[frequencies.len() - 1] + frequencies[frequencies.len() - 2]);
        }
        let code = Code::new(&frequencies, 12);
        assert_eq!(code.lengths(0).iter().max(), Some(&12));
        assert_eq!(code.bits(29), 1);
    }

    proptest! {
        #[test]
        fn codes_are_complete(
            frequencies in prop::collection::vec(prop_oneof![Just(0_u32), 0_u32..9, 0_u32..1 << 20], 2..=SYMBOLS_MAX),
            bits_max in 9_usize..=15,
        ) {
            let code = Code::new(&frequencies, bits_max);
            let room: u32 = code.lengths(0).iter().filter(|bits| **bits > 0).map(|bits| 1 << (15 - bits)).sum();
            prop_assert_eq!(room, 1 << 15);
            for (symbol, frequency) in frequencies.iter().enumerate() {
                prop_assert!(*frequency == 0 || code.bits(symbol) > 0);
            }
        }
    }
}
