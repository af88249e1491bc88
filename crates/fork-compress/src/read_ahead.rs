//! Reading in a thread of its own.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Bytes that are handed over at a time.
const PART_BYTES: usize = 256 << 10;
/// Parts that wait to be read.
const PARTS_MAX: usize = 8;

/// A reader that reads on while what it has read is used; for readers that compute something.
///
/// It reads farther than it is asked to, so the inner reader is not given back.
#[derive(Debug)]
pub struct ReadAhead {
    parts: Option<Receiver<io::Result<Vec<u8>>>>,
    used: SyncSender<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    /// Starts reading.
    ///
    /// # Errors
    ///
    /// Fails when there are no more threads.
    pub fn new(mut inner: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, parts) = sync_channel(PARTS_MAX);
        let (used, empty) = sync_channel::<Vec<u8>>(PARTS_MAX);
        let thread = std::thread::Builder::new()
            .name("read ahead".to_owned())
            .spawn(move || {
                loop {
                    let mut part = empty.try_recv().unwrap_or_default();
                    part.clear();
                    let read = (&mut inner).take(PART_BYTES as u64).read_to_end(&mut part);
                    let is_end = !matches!(read, Ok(PART_BYTES));
                    // What was read before an error counts.
                    if !part.is_empty() && sender.send(Ok(part)).is_err() {
                        return;
                    }
                    if let Err(error) = read {
                        let _ = sender.send(Err(error));
                    }
                    if is_end {
                        return;
                    }
                }
            })?;
        Ok(Self {
            parts: Some(parts),
            used,
            part: Vec::new(),
            at: 0,
            thread: Some(thread),
        })
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.part.len() && !buffer.is_empty() {
            let next = self.parts.as_ref().and_then(|parts| parts.recv().ok());
            let part = match next {
                Some(part) => part?,
                None => match self.thread.take().map(JoinHandle::join) {
                    Some(Err(_)) => return Err(io::Error::other("the thread that reads panicked")),
                    Some(Ok(())) | None => return Ok(0),
                },
            };
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

impl Drop for ReadAhead {
    /// Waits for the thread, so that nothing is read when the reader is gone.
    fn drop(&mut self) {
        self.parts = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_in_order() {
        for length in [0, 1, PART_BYTES, 40 * PART_BYTES + 3] {
            let input: Vec<u8> = (0..length).map(|at| (at / 7) as u8).collect();
            let mut reader = ReadAhead::new(io::Cursor::new(input.clone())).unwrap();
            let mut back = Vec::new();
            reader.read_to_end(&mut back).unwrap();
            assert!(back == input, "{length}");
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
        // Given up while the thread waits.
        drop(ReadAhead::new(io::repeat(1)).unwrap());
    }

    #[test]
    fn errors_come_behind_what_was_read() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        let mut reader = ReadAhead::new(b"abc".chain(Broken)).unwrap();
        let mut back = Vec::new();
        let error = reader.read_to_end(&mut back).unwrap_err();
        assert_eq!(
            (back.as_slice(), error.raw_os_error()),
            (&b"abc"[..], Some(5))
        );
    }
}
