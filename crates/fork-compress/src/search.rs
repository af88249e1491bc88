//! What is worth compressing.

/// Bytes at the start of a block in which matches are looked for before the whole of it is searched.
pub(crate) const PROBE_BYTES: usize = 4 << 10;

/// Where matches are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// In every block. Ledgers, whose digests are published, are packed like this.
    Everywhere,
    /// Not in blocks that look compressed already: all byte values are about equally frequent, and
    /// there is next to no match in the first 4 KiB. Such blocks are stored, four times as
    /// fast as finding out that nothing helps. What is lost is what would repeat farther on.
    WhereItPays,
}

/// Whether a code for single bytes would save less than about half a percent.
///
/// Counts that differ from equal ones give an entropy of about `8 - chi² / (2 n ln 2)` bits a byte,
/// where chi² is `256 / n * sum of squares - n`; a sixteenth of `n` for it means 0.045 bits.
pub(crate) fn is_flat(block: &[u8]) -> bool {
    // Four tables, because the same byte twice in a row would wait for itself.
    let mut counts = [[0_u32; 256]; 4];
    let (fours, rest) = block.as_chunks::<4>();
    for four in fours {
        for (table, byte) in counts.iter_mut().zip(four) {
            table[usize::from(*byte)] += 1;
        }
    }
    for byte in rest {
        counts[0][usize::from(*byte)] += 1;
    }
    let squares: u64 = (0..256)
        .map(|byte| {
            let count: u32 = counts.iter().map(|table| table[byte]).sum();
            u64::from(count) * u64::from(count)
        })
        .sum();
    let bytes = block.len() as u64;
    16 * 256 * squares < 17 * bytes * bytes
}
