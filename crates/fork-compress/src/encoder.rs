//! Compressing in a thread of its own.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use fork_types::Compression;

use crate::gzip::{self, Search};
use crate::xz;

/// Bytes handed to the thread at a time; less than this in all is compressed without one.
const PART_BYTES: usize = 256 << 10;
/// Parts that wait for the thread. A wave of gzip's chunks is filled from them.
const PARTS_MAX: usize = 16;

/// zstd's default. It has one thread: it stores what is compressed already faster than disks write.
const ZSTD_LEVEL: i32 = 3;

/// A writer that compresses what is written to it into `W`.
///
/// The bytes depend on the input alone. Memory is bounded by the number of threads of the current
/// rayon pool at the time of the first write.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use fork_compress::{Compression, Encoder, decoder};
///
/// # fn main() -> std::io::Result<()> {
/// let mut encoder = Encoder::new(Compression::Xz, Vec::new());
/// encoder.write_all(b"abc")?;
/// let bytes = encoder.finish()?;
/// let mut text = String::new();
/// decoder(Compression::Xz, bytes.as_slice())?.read_to_string(&mut text)?;
/// assert_eq!(text, "abc");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Encoder<W> {
    compression: Compression,
    buffer: Vec<u8>,
    state: State<W>,
}

#[derive(Debug)]
enum State<W> {
    /// Little was written so far.
    Waiting(W),
    Running(Running<W>),
    /// It failed before, and has said so.
    Failed,
}

#[derive(Debug)]
struct Running<W> {
    /// An empty part is the end.
    parts: SyncSender<Vec<u8>>,
    used: Receiver<Vec<u8>>,
    thread: JoinHandle<io::Result<W>>,
}

impl<W: Write + Send + 'static> Encoder<W> {
    /// Starts compressing into `inner`.
    #[must_use]
    pub const fn new(compression: Compression, inner: W) -> Self {
        Self {
            compression,
            buffer: Vec::new(),
            state: State::Waiting(inner),
        }
    }

    /// Ends the stream and gives the writer back.
    ///
    /// # Errors
    ///
    /// Fails when the writer does, and when what was compressed does not decompress again.
    pub fn finish(mut self) -> io::Result<W> {
        let rest = std::mem::take(&mut self.buffer);
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Waiting(inner) => compress(self.compression, rest.as_slice(), inner),
            State::Running(running) => {
                // When the thread has ended, it says why. An empty part would be the end.
                if !rest.is_empty() {
                    let _ = running.parts.send(rest);
                }
                let _ = running.parts.send(Vec::new());
                running.join()
            }
            State::Failed => Err(failed_before()),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        if let State::Waiting(_) = self.state
            && let State::Waiting(inner) = std::mem::replace(&mut self.state, State::Failed)
        {
            self.state = State::Running(Running::start(self.compression, inner)?);
        }
        let State::Running(running) = &mut self.state else {
            return Err(failed_before());
        };
        let mut next = running.used.try_recv().unwrap_or_default();
        next.clear();
        let part = std::mem::replace(&mut self.buffer, next);
        if running.parts.send(part).is_ok() {
            return Ok(());
        }
        match std::mem::replace(&mut self.state, State::Failed) {
            // It never ends well before it was told the end.
            State::Running(running) => running.join().and(Err(failed_before())),
            State::Waiting(_) | State::Failed => Err(failed_before()),
        }
    }
}

impl<W: Write + Send + 'static> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == PART_BYTES {
            self.send()?;
        }
        if self.buffer.capacity() < PART_BYTES {
            self.buffer.reserve_exact(PART_BYTES - self.buffer.len());
        }
        let count = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Does nothing: where a stream is flushed would show in its bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W> Drop for Encoder<W> {
    /// Waits for the thread, so that nothing is written when the encoder is gone.
    fn drop(&mut self) {
        if let State::Running(running) = std::mem::replace(&mut self.state, State::Failed) {
            let Running {
                parts,
                used,
                thread,
            } = running;
            drop((parts, used));
            let _ = thread.join();
        }
    }
}

impl<W: Write + Send + 'static> Running<W> {
    fn start(compression: Compression, inner: W) -> io::Result<Self> {
        let threads = rayon::current_num_threads();
        let (parts, input) = sync_channel(PARTS_MAX);
        let (empty, used) = sync_channel(PARTS_MAX);
        let thread = std::thread::Builder::new()
            .name("compress".to_owned())
            .spawn(move || {
                let source = Parts {
                    input,
                    used: empty,
                    part: Vec::new(),
                    at: 0,
                    is_end: false,
                };
                // A pool of its own: whoever writes may sit on a thread of the current one, and wait
                // for a part to be taken while the compressor waits for a thread.
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .map_err(io::Error::other)?;
                pool.install(|| compress(compression, source, inner))
            })?;
        Ok(Self {
            parts,
            used,
            thread,
        })
    }
}

impl<W> Running<W> {
    fn join(self) -> io::Result<W> {
        drop(self.parts);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that compresses panicked")))
    }
}

fn failed_before() -> io::Error {
    io::Error::other("compressing has failed before")
}

/// What was written, as a stream.
struct Parts {
    input: Receiver<Vec<u8>>,
    used: SyncSender<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
    is_end: bool,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.part.len() && !self.is_end && !buffer.is_empty() {
            // Without an end nobody wants the stream any more.
            let part = self
                .input
                .recv()
                .map_err(|_| io::Error::other("the input was given up"))?;
            self.is_end = part.is_empty();
            let used = std::mem::replace(&mut self.part, part);
            self.at = 0;
            let _ = self.used.try_send(used);
        }
        let rest = &self.part[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Compresses all of `source`.
fn compress<W: Write + Send>(
    compression: Compression,
    mut source: impl Read + Send,
    mut inner: W,
) -> io::Result<W> {
    match compression {
        Compression::None => {
            copy(&mut source, &mut inner)?;
            Ok(inner)
        }
        Compression::Gzip => {
            gzip::compress::<io::Error>(source, Search::WhereItPays, |part| inner.write_all(part))?;
            Ok(inner)
        }
        Compression::Xz => {
            xz::compress::<io::Error>(source, |part| inner.write_all(part))?;
            Ok(inner)
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(inner, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            copy(&mut source, &mut encoder)?;
            encoder.finish()
        }
    }
}

fn copy(source: &mut impl Read, target: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; PART_BYTES];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(()),
            count => target.write_all(&buffer[..count])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::decoder;

    /// What packages are made of: something to compress, and something that is compressed already.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        (0..length)
            .map(|at| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let byte = (state >> 33) as u8;
                if at / 100_000 % 2 == 0 {
                    byte
                } else {
                    byte & 7
                }
            })
            .collect()
    }

    fn encoded(compression: Compression, input: &[u8], threads: usize, piece: usize) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut encoder = Encoder::new(compression, Vec::new());
            for piece in input.chunks(piece) {
                encoder.write_all(piece).unwrap();
            }
            encoder.finish().unwrap()
        })
    }

    #[test]
    fn bytes_do_not_depend_on_threads_or_on_how_they_are_written() {
        let all = sample((2 << 20) + 12_345);
        for compression in Compression::ALL {
            for length in [0, 1, PART_BYTES, PART_BYTES + 1, all.len()] {
                let input = &all[..length];
                let one = encoded(compression, input, 1, 1 << 20);
                let mut back = Vec::new();
                decoder(compression, one.as_slice())
                    .unwrap()
                    .read_to_end(&mut back)
                    .unwrap();
                assert!(back == input, "{compression}, {length} bytes");
                for (threads, piece) in [(2, 4096), (5, 77_777)] {
                    assert!(
                        encoded(compression, input, threads, piece) == one,
                        "{compression}, {length} bytes, {threads} threads"
                    );
                }
            }
        }
    }

    /// A writer that refuses, and tells when it is dropped.
    struct Refusing(Arc<AtomicBool>);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(28))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Drop for Refusing {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn errors_of_the_writer_come_through() {
        let input = sample(1 << 20);
        for compression in Compression::ALL {
            let mut encoder = Encoder::new(compression, Refusing(Arc::default()));
            let mut written = Ok(());
            for _ in 0..1000 {
                written = encoder.write_all(&input);
                if written.is_err() {
                    break;
                }
            }
            let error = match written {
                Ok(()) => encoder.finish().err(),
                Err(error) => {
                    assert!(encoder.finish().is_err());
                    Some(error)
                }
            };
            assert_eq!(error.unwrap().raw_os_error(), Some(28), "{compression}");
            let mut small = Encoder::new(compression, Refusing(Arc::default()));
            small.write_all(b"a").unwrap();
            assert!(small.finish().is_err());
        }
    }

    #[test]
    fn an_encoder_that_is_dropped_leaves_no_thread_behind() {
        for compression in Compression::ALL {
            let dropped = Arc::new(AtomicBool::new(false));
            let mut encoder = Encoder::new(compression, Refusing(Arc::clone(&dropped)));
            let _ = encoder.write_all(&sample(2 * PART_BYTES));
            drop(encoder);
            assert!(dropped.load(Ordering::SeqCst), "{compression}");
        }
    }

    #[test]
    fn a_pool_with_one_thread_can_write() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        // More than all parts that can wait.
        let input = sample(2 * PARTS_MAX * PART_BYTES);
        let bytes = pool.install(|| {
            let mut encoder = Encoder::new(Compression::Gzip, Vec::new());
            encoder.write_all(&input).unwrap();
            encoder.finish().unwrap()
        });
        assert!(!bytes.is_empty());
    }
}
