//! Chunks of an input, worked on together on all threads while the next ones are read.

use std::io::{self, Read};

use rayon::prelude::*;

/// Chunks of each of the two waves, per thread; more than one, because they take different times.
const CHUNKS_PER_THREAD: usize = 2;

/// What is done with a part of the input, apart from all others.
pub(crate) trait Chunk: Send {
    /// Bytes of every chunk but the last one, which is shorter and may be empty.
    const BYTES: usize;

    /// Where the input goes.
    fn input(&mut self) -> &mut Vec<u8>;

    /// Called when the input is there.
    fn work(&mut self);
}

/// Reads `source` and works on its chunks on all threads of the current rayon pool; `drain` gets
/// them in order, on one thread at a time. `new` makes a chunk with buffers, which is used again.
///
/// Memory is bounded by the number of threads, which decides about nothing else.
pub(crate) fn run<C: Chunk, E: From<io::Error> + Send>(
    mut source: impl Read + Send,
    new: impl Fn() -> C + Sync,
    mut drain: impl FnMut(&C) -> Result<(), E> + Send,
) -> Result<(), E> {
    let mut current = Wave::default();
    let mut other = Wave::default();
    let mut more = current.fill(&mut source, &new)?;
    while current.filled > 0 {
        let (passed, ()) = rayon::join(
            || -> Result<bool, E> {
                other.drain(&mut drain)?;
                Ok(more && other.fill(&mut source, &new)?)
            },
            || current.work(),
        );
        more = passed?;
        std::mem::swap(&mut current, &mut other);
    }
    other.drain(&mut drain)
}

struct Wave<C> {
    /// The first `filled` are in use, the others keep their buffers.
    chunks: Vec<C>,
    filled: usize,
}

impl<C> Default for Wave<C> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            filled: 0,
        }
    }
}

impl<C: Chunk> Wave<C> {
    /// Reads chunks; returns whether there are more behind them.
    fn fill(&mut self, source: &mut impl Read, new: &impl Fn() -> C) -> io::Result<bool> {
        let wanted = CHUNKS_PER_THREAD * rayon::current_num_threads();
        while self.filled < wanted {
            if self.chunks.len() == self.filled {
                self.chunks.push(new());
            }
            let input = self.chunks[self.filled].input();
            input.clear();
            source.take(C::BYTES as u64).read_to_end(input)?;
            self.filled += 1;
            if input.len() < C::BYTES {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn work(&mut self) {
        self.chunks[..self.filled]
            .par_iter_mut()
            .with_max_len(1)
            .for_each(C::work);
    }

    fn drain<E>(&mut self, drain: &mut impl FnMut(&C) -> Result<(), E>) -> Result<(), E> {
        self.chunks[..self.filled].iter().try_for_each(drain)?;
        self.filled = 0;
        Ok(())
    }
}
