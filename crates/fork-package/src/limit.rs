//! A limit on what an archive may unpack to.

use std::io::{self, Read};

/// Bytes that a layer or a data member may unpack to: deflate makes a thousand of one, so without a
/// limit a small file could keep a reader busy for days. The largest images have 20 GB in all.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 64 << 30;

/// A reader that fails beyond a limit.
pub(crate) struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Limited<R> {
    /// Lets so many bytes through.
    pub(crate) const fn new(inner: R, bytes_max: u64) -> Self {
        Self {
            inner,
            left: bytes_max,
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it unpacks to too much"))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let read = |bytes_max| Limited::new([7; 9].as_slice(), bytes_max).read_to_end(&mut vec![]);
        assert_eq!(read(9).unwrap(), 9);
        assert_eq!(read(8).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
