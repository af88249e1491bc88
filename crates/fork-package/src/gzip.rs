//! Gzip without anything that varies.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

/// Compression level. The payload is mostly ledger tarballs, which are compressed already, so
/// levels above zlib's default only cost time.
const LEVEL: u32 = 6;

/// "Unknown" in the header's operating-system byte, whatever this program runs on.
const OPERATING_SYSTEM: u8 = 255;

/// A gzip stream with no name, time 0 and a fixed operating-system byte.
pub fn encoder<W: Write>(inner: W) -> GzEncoder<W> {
    GzBuilder::new()
        .mtime(0)
        .operating_system(OPERATING_SYSTEM)
        .write(inner, Compression::new(LEVEL))
}

/// Decodes gzip, concatenated members included, as gzip itself does.
pub fn decoder<R: Read>(inner: R) -> MultiGzDecoder<R> {
    MultiGzDecoder::new(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_fixed() {
        let mut encoder = encoder(Vec::new());
        encoder.write_all(b"abc").unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        let mut text = String::new();
        decoder(bytes.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }
}
