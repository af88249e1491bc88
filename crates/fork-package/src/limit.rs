//! A limit on what an archive may unpack to.

use std::io::{self, Read};

/// Bytes that a layer or a data member may unpack to, however large it is. The largest images have
/// 20 GB in all.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// Unpacked bytes that are always allowed.
const UNPACKED_BYTES_FREE: u64 = 64 << 20;
/// Unpacked bytes for one packed byte. Programs and texts have three to five; deflate could have a
/// thousand, so without a limit a small file could keep a reader busy for days.
const UNPACKED_RATIO_MAX: u64 = 100;

/// Bytes that `packed` bytes may unpack to.
pub(crate) fn unpacked_bytes_max(packed: u64) -> u64 {
    packed
        .saturating_mul(UNPACKED_RATIO_MAX)
        .saturating_add(UNPACKED_BYTES_FREE)
        .min(UNPACKED_BYTES_MAX)
}

/// A reader that fails beyond a limit.
pub(crate) struct Limited<R> {
    inner: R,
    left: u64,
    bytes_max: u64,
}

impl<R: Read> Limited<R> {
    /// Lets so many bytes through.
    pub(crate) const fn new(inner: R, bytes_max: u64) -> Self {
        Self {
            inner,
            left: bytes_max,
            bytes_max,
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let problem = format!("it unpacks to more than {} bytes", self.bytes_max);
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })?;
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
        let error = read(8).unwrap_err();
        assert_eq!(error.to_string(), "it unpacks to more than 8 bytes");
    }

    #[test]
    fn what_is_allowed_grows_with_what_is_packed() {
        assert_eq!(unpacked_bytes_max(0), 64 << 20);
        assert_eq!(unpacked_bytes_max(1 << 20), 164 << 20);
        assert_eq!(unpacked_bytes_max(u64::MAX), 64 << 30);
    }
}
