//! Gzip without anything that varies.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use fork_compress::{Compression, Encoder};

/// A gzip stream with no name, time 0 and a fixed operating-system byte, made on all threads.
pub fn encoder<W: Write + Send + 'static>(inner: W) -> Encoder<W> {
    Encoder::new(Compression::Gzip, inner)
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
