//! xz on all threads, with bytes that do not depend on how many there are.
//!
//! Blocks of a fixed size are compressed apart, by liblzma. What looks compressed already is not
//! given to it: it takes a hundred times as long as gzip here to find out that nothing helps, and
//! stores it then (58 s and 0.6 s for a ledger's tarball of 102 MB, preset 1, two busy cores). It is
//! stored at once, in the same format; that is why the container is written here.
//!
//! Source: "The .xz File Format" 1.2.1; for the chunks of LZMA2, which it does not describe, the
//! comments of liblzma's `lzma2_decoder.c`.

use std::io::{self, Read};

use flate2::Crc;
use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

use crate::search::is_flat;
use crate::waves;

/// Input of a block. Larger ones find more repetitions and need more memory for each thread.
const BLOCK_BYTES: usize = 1 << 20;
/// liblzma's default. Of a package it sees little but the configuration.
const PRESET: u32 = 6;
/// Input that is stored in one chunk, and about which it is decided whether it is.
const PIECE_BYTES: usize = 64 << 10;

/// Magic bytes, then the flags of the stream: CRC-32 as the check of blocks.
const HEADER_MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
const FLAGS: [u8; 2] = [0, 1];
const FOOTER_MAGIC: [u8; 2] = *b"YZ";

/// Flags of a block: one filter, and both sizes are said.
const BLOCK_FLAGS: u8 = 0xc0;
/// LZMA2, one byte of properties: a dictionary of 2^20 bytes.
const FILTER: [u8; 3] = [0x21, 1, 16];

/// A chunk of LZMA2 that is stored and refers to nothing before it.
const STORED: u8 = 1;
const END: u8 = 0;

/// Compresses `source` into `sink` on all threads of the current rayon pool.
pub(crate) fn compress<E: From<io::Error> + Send>(
    mut source: impl Read + Send,
    mut sink: impl FnMut(&[u8]) -> Result<(), E> + Send,
) -> Result<(), E> {
    let mut index = Index::default();
    let mut header = HEADER_MAGIC.to_vec();
    header.extend(FLAGS);
    header.extend(crc32(&FLAGS));
    sink(&header)?;
    waves::run(
        &mut source,
        Block::default,
        |block: &Block| -> Result<(), E> {
            if let Some(problem) = &block.problem {
                return Err(io::Error::other(problem.clone()).into());
            }
            if !block.input.is_empty() {
                index.add(block.unpadded_bytes, block.input.len());
                sink(&block.output)?;
            }
            Ok(())
        },
    )?;
    let index = index.finish();
    sink(&index)?;
    let mut footer = Vec::new();
    footer.extend((index.len() as u32 / 4 - 1).to_le_bytes());
    footer.extend(FLAGS);
    let check = crc32(&footer);
    sink(&[check.as_slice(), &footer, &FOOTER_MAGIC].concat())
}

/// Sizes of all blocks, which stand at the end.
#[derive(Default)]
struct Index {
    blocks: u64,
    records: Vec<u8>,
}

impl Index {
    fn add(&mut self, unpadded_bytes: usize, bytes: usize) {
        self.blocks += 1;
        put_number(&mut self.records, unpadded_bytes as u64);
        put_number(&mut self.records, bytes as u64);
    }

    fn finish(self) -> Vec<u8> {
        let mut index = vec![0];
        put_number(&mut index, self.blocks);
        index.extend(self.records);
        pad(&mut index);
        index.extend(crc32(&index));
        index
    }
}

#[derive(Default)]
struct Block {
    input: Vec<u8>,
    output: Vec<u8>,
    packed: Vec<u8>,
    /// Bytes of the block without what makes them a multiple of four.
    unpadded_bytes: usize,
    problem: Option<String>,
}

impl waves::Chunk for Block {
    const BYTES: usize = BLOCK_BYTES;

    fn input(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    fn work(&mut self) {
        self.packed.clear();
        self.output.clear();
        self.problem = self.pack().err().map(|error| error.to_string());
        let output = &mut self.output;
        // Its size in words of four bytes, less one, is set below.
        output.extend([0, BLOCK_FLAGS]);
        put_number(output, self.packed.len() as u64);
        put_number(output, self.input.len() as u64);
        output.extend(FILTER);
        pad(output);
        output[0] = (output.len() / 4) as u8;
        let check = crc32(output);
        output.extend(check);
        output.extend(&self.packed);
        self.unpadded_bytes = output.len() + check.len();
        pad(output);
        output.extend(crc32(&self.input));
    }
}

impl Block {
    /// Makes chunks of the input. Those of each run begin anew, so they can stand side by side.
    fn pack(&mut self) -> io::Result<()> {
        let pieces: Vec<(&[u8], bool)> = self
            .input
            .chunks(PIECE_BYTES)
            .map(|piece| (piece, is_flat(piece)))
            .collect();
        let mut at = 0;
        for run in pieces.chunk_by(|one, next| one.1 == next.1) {
            let bytes: usize = run.iter().map(|(piece, _)| piece.len()).sum();
            let input = &self.input[at..at + bytes];
            at += bytes;
            if !run[0].1 {
                lzma2(input, &mut self.packed)?;
                // Its own end.
                self.packed.pop();
                continue;
            }
            for (piece, _) in run {
                self.packed.push(STORED);
                self.packed
                    .extend((piece.len() as u16).wrapping_sub(1).to_be_bytes());
                self.packed.extend(*piece);
            }
        }
        self.packed.push(END);
        Ok(())
    }
}

/// Appends what liblzma makes of the input.
fn lzma2(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut options = LzmaOptions::new_preset(PRESET)?;
    options.dict_size(BLOCK_BYTES as u32);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut stream = Stream::new_raw_encoder(&filters)?;
    loop {
        let read = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let rest = input.get(read..).unwrap_or_default();
        out.reserve(PIECE_BYTES);
        if stream.process_vec(rest, out, Action::Finish)? == Status::StreamEnd {
            return Ok(());
        }
    }
}

/// A number in groups of seven bits, the lowest first, all but the last marked.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}
