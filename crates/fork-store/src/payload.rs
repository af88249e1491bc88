//! Entries encoded on many threads, taken in order.

use std::ops::Range;

use rayon::prelude::*;

use crate::log::push_entry;
use crate::reader::RawEntry;

/// Chunks that are made together, per thread; more than one, because they take different times.
const CHUNKS_PER_THREAD: usize = 2;

/// Entries as they stand in a batch of the log.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

/// Where an entry is.
#[derive(Debug)]
struct Item {
    key: Range<usize>,
    value: Range<usize>,
}

impl Payload {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
    }

    /// Adds an entry.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        let key_start = push_entry(key, value, &mut self.bytes);
        let end = self.bytes.len();
        self.items.push(Item {
            key: key_start..key_start + key.len(),
            value: end - value.len()..end,
        });
    }

    /// The encoded entries.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each entry ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = usize> {
        self.items.iter().map(|item| item.value.end)
    }

    /// Keys and values.
    pub(crate) fn entries(&self) -> impl Iterator<Item = RawEntry<'_>> {
        self.items.iter().map(|item| {
            (
                &self.bytes[item.key.clone()],
                &self.bytes[item.value.clone()],
            )
        })
    }
}

/// Makes something for the ranges of `0..count` on all threads of the current rayon pool and hands
/// it to `take` in order, on one thread, while the next ones are made. `make` gets what it made
/// some rounds before, for its buffers.
///
/// At most two waves of [`CHUNKS_PER_THREAD`] chunks per thread exist at a time.
///
/// # Errors
///
/// Gives the error of the first range at fault, whatever was faster, and those of `take`.
pub(crate) fn in_order<T: Default + Send, E: Send>(
    count: usize,
    chunk_items: usize,
    make: impl Fn(Range<usize>, &mut T) -> Result<(), E> + Sync,
    mut take: impl FnMut(&T) -> Result<(), E> + Send,
) -> Result<(), E> {
    let wave = CHUNKS_PER_THREAD * rayon::current_num_threads();
    let mut current: Vec<Chunk<T, E>> = Vec::new();
    let mut made: Vec<Chunk<T, E>> = Vec::new();
    current.resize_with(wave, Chunk::new);
    made.resize_with(wave, Chunk::new);
    let mut used = 0;
    let mut start = 0;
    loop {
        let mut filling = 0;
        for chunk in &mut current {
            let end = count.min(start + chunk_items);
            chunk.range = start..end;
            start = end;
            filling += usize::from(!chunk.range.is_empty());
        }
        if filling + used == 0 {
            return Ok(());
        }
        let (taken, ()) = rayon::join(
            || {
                made[..used].iter_mut().try_for_each(|chunk| {
                    std::mem::replace(&mut chunk.outcome, Ok(()))?;
                    take(&chunk.product)
                })
            },
            || {
                current[..filling]
                    .par_iter_mut()
                    .with_max_len(1)
                    .for_each(|chunk| {
                        chunk.outcome = make(chunk.range.clone(), &mut chunk.product);
                    });
            },
        );
        taken?;
        std::mem::swap(&mut current, &mut made);
        used = filling;
    }
}

struct Chunk<T, E> {
    range: Range<usize>,
    product: T,
    outcome: Result<(), E>,
}

impl<T: Default, E> Chunk<T, E> {
    fn new() -> Self {
        Self {
            range: 0..0,
            product: T::default(),
            outcome: Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_the_first_error_wins() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            for count in [0, 1, 9, 10, 11, 1000] {
                let mut bytes = Vec::new();
                let make = |range: Range<usize>, payload: &mut Payload| {
                    payload.clear();
                    range.for_each(|item| payload.put(&(item as u32).to_be_bytes(), &[]));
                    Ok::<(), usize>(())
                };
                let take = |payload: &Payload| {
                    bytes.extend_from_slice(payload.bytes());
                    Ok(())
                };
                pool.install(|| in_order(count, 10, make, take)).unwrap();
                let expected: Vec<u8> = (0..count as u32)
                    .flat_map(|item| {
                        let [a, b, c, d] = item.to_be_bytes();
                        [1, 4, a, b, c, d, 0]
                    })
                    .collect();
                assert_eq!(bytes, expected);
            }
            let make = |range: Range<usize>, _: &mut Payload| match range.start {
                40 | 70 | 990 => Err(range.start),
                _ => Ok(()),
            };
            let failed = pool.install(|| in_order(1000, 10, make, |_: &Payload| Ok(())));
            assert_eq!(failed, Err(40));
        }
    }
}
