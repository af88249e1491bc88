//! gzip on all threads, as one member whose bytes do not depend on how many there are.
//!
//! The input is cut at fixed distances, every chunk is compressed apart without looking back at the
//! one before it, and what comes out is joined as one deflate stream, so that a reader that stops
//! after the first member of a file cannot miss the rest.
//!
//! Every chunk is decompressed again, by another program, and compared before it is handed over: a
//! mistake of the compressor would make a file that nobody can unpack, or that unpacks to something
//! else.
//!
//! Source: RFC 1952.

use std::io::{self, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::deflate::{BLOCK_BYTES, Deflater};
pub use crate::search::Search;
use crate::waves;

/// Input of a chunk. Plain accounts do not care, but zkApps repeat verification keys from farther
/// away: see the measurements in the crate's `deflate` module.
const CHUNK_BYTES: usize = 8 * BLOCK_BYTES;

/// What is decompressed at a time when a chunk is checked.
const CHECK_BYTES: usize = 64 << 10;

/// A chunk that does not decompress to its input: a bug of the compressor, or a defect of the
/// machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defective;

impl From<Defective> for io::Error {
    fn from(_: Defective) -> Self {
        Self::other(
            "the compressed bytes do not unpack to their input: a bug, or a defect of this machine",
        )
    }
}

/// A last block of fixed codes without content.
const EMPTY_LAST_BLOCK: [u8; 2] = [3, 0];

/// Magic, deflate, no flags, no time, no extra flags, unknown operating system: what would say when
/// and where it was made is left out.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses `source` into `sink` on all threads of the current rayon pool.
///
/// Reading and writing go on while chunks are compressed, in order and on one thread at a time.
/// Memory is bounded by the number of threads.
///
/// # Errors
///
/// Gives the errors of `source` and `sink`, and [`Defective`].
pub fn compress<E: From<io::Error> + From<Defective> + Send>(
    mut source: impl Read + Send,
    search: Search,
    mut sink: impl FnMut(&[u8]) -> Result<(), E> + Send,
) -> Result<(), E> {
    let mut crc = Crc::new();
    sink(&HEADER)?;
    waves::run(
        &mut source,
        || Chunk::new(search),
        |chunk: &Chunk| chunk.hand_over(&mut crc, &mut sink),
    )?;
    sink(&crc.sum().to_le_bytes())?;
    sink(&crc.amount().to_le_bytes())
}

/// A part of the input and of the member; needs up to 3 MB of buffers.
struct Chunk {
    search: Search,
    input: Vec<u8>,
    output: Vec<u8>,
    crc: Crc,
    deflater: Deflater,
    inflater: Decompress,
    checked: Vec<u8>,
    is_good: bool,
}

impl waves::Chunk for Chunk {
    const BYTES: usize = CHUNK_BYTES;

    fn input(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    fn work(&mut self) {
        self.crc.reset();
        self.crc.update(&self.input);
        self.output.clear();
        let is_last = self.is_last();
        self.deflater
            .compress(&self.input, self.search, is_last, &mut self.output);
        self.is_good = self.decompresses_to_input(is_last);
    }
}

impl Chunk {
    fn new(search: Search) -> Self {
        Self {
            search,
            input: Vec::with_capacity(CHUNK_BYTES),
            output: Vec::new(),
            crc: Crc::new(),
            deflater: Deflater::new(),
            inflater: Decompress::new(false),
            checked: vec![0; CHECK_BYTES],
            is_good: false,
        }
    }

    fn is_last(&self) -> bool {
        self.input.len() < CHUNK_BYTES
    }

    fn hand_over<E: From<Defective>>(
        &self,
        crc: &mut Crc,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_good {
            return Err(Defective.into());
        }
        crc.combine(&self.crc);
        sink(&self.output)
    }

    fn decompresses_to_input(&mut self, is_last: bool) -> bool {
        // What stands between two chunks must be the border of two blocks: a last, empty block
        // behind a chunk that is not the last one ends the stream there, and nowhere else.
        let parts = [self.output.as_slice(), &EMPTY_LAST_BLOCK];
        let parts = &parts[..if is_last { 1 } else { 2 }];
        let inflater = &mut self.inflater;
        inflater.reset(false);
        let mut expected = self.input.as_slice();
        for (number, part) in (1..).zip(parts) {
            let mut packed = *part;
            let is_end = loop {
                let (read, made) = (inflater.total_in(), inflater.total_out());
                let flush = FlushDecompress::None;
                let Ok(status) = inflater.decompress(packed, &mut self.checked, flush) else {
                    return false;
                };
                let read = usize::try_from(inflater.total_in() - read).unwrap_or(usize::MAX);
                let made = usize::try_from(inflater.total_out() - made).unwrap_or(usize::MAX);
                let made = &self.checked[..made.min(CHECK_BYTES)];
                let Some(rest) = expected.strip_prefix(made) else {
                    return false;
                };
                expected = rest;
                packed = packed.get(read..).unwrap_or_default();
                let is_end = status == Status::StreamEnd;
                let stands_still = read == 0 && made.is_empty();
                // A full buffer may hide more that was made of the input so far.
                if is_end || stands_still || packed.is_empty() && made.len() < CHECK_BYTES {
                    break is_end;
                }
            };
            if !packed.is_empty() || is_end != (number == parts.len()) {
                return false;
            }
        }
        expected.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;
    use crate::waves::Chunk as _;

    fn compressed(input: &[u8], threads: usize) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut out = Vec::new();
        pool.install(|| {
            compress::<io::Error>(input, Search::WhereItPays, |bytes| {
                out.extend_from_slice(bytes);
                Ok(())
            })
        })
        .unwrap();
        out
    }

    #[test]
    fn one_member_for_any_number_of_threads() {
        let number = |index: usize| (index as u32).wrapping_mul(0x9E37_79B9).to_be_bytes()[0];
        let large: Vec<u8> = (0..11 * CHUNK_BYTES + 5)
            .map(|index| if index % 100 < 60 { 7 } else { number(index) })
            .collect();
        for length in [
            0,
            1,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            8 * CHUNK_BYTES,
            large.len(),
        ] {
            let input = &large[..length];
            let one = compressed(input, 1);
            // A decoder of one member must see everything, and the checksum must fit.
            let mut decoder = GzDecoder::new(&one[..]);
            let mut back = Vec::new();
            decoder.read_to_end(&mut back).unwrap();
            assert!(back == input, "{length} bytes");
            assert!(decoder.into_inner().is_empty(), "nothing behind the member");
            for threads in [2, 5] {
                assert!(
                    compressed(input, threads) == one,
                    "{length} bytes, {threads} threads"
                );
            }
        }
    }

    #[test]
    fn a_chunk_that_decompresses_to_something_else_is_not_handed_over() {
        for is_last in [false, true] {
            let mut chunk = Chunk::new(Search::Everywhere);
            let length = if is_last { 300_000 } else { CHUNK_BYTES };
            chunk.input.resize(length, 7);
            chunk.input[length / 2..].fill(9);
            chunk.work();
            assert!(chunk.is_good);
            assert!(!chunk.decompresses_to_input(!is_last), "the end is marked");
            chunk.input[length / 3] ^= 1;
            assert!(!chunk.decompresses_to_input(is_last), "another input");
            chunk.input[length / 3] ^= 1;
            chunk.input.pop();
            assert!(!chunk.decompresses_to_input(is_last), "a shorter input");
            chunk.input.extend([9, 9]);
            assert!(!chunk.decompresses_to_input(is_last), "a longer input");
            chunk.input.pop();
            assert!(chunk.decompresses_to_input(is_last));
            chunk.output.push(0);
            assert!(!chunk.decompresses_to_input(is_last), "a byte too much");
            chunk.is_good = false;
            let handed = chunk.hand_over::<io::Error>(&mut Crc::new(), &mut |_| Ok(()));
            let problem = handed.unwrap_err().to_string();
            assert!(problem.contains("do not unpack to"), "{problem}");
        }
    }

    #[test]
    fn errors_come_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let nowhere = |_: &[u8]| Ok(());
        assert!(compress::<io::Error>(Broken, Search::Everywhere, nowhere).is_err());
        let full = |bytes: &[u8]| match bytes.len() {
            10 => Ok(()),
            _ => Err(io::Error::other("full")),
        };
        assert!(compress::<io::Error>(&[1; 100][..], Search::Everywhere, full).is_err());
    }
}
