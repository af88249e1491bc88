//! Decompressing what somebody else made.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use fork_types::Compression;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

/// Memory that an xz stream may ask for, in bytes. The strongest preset, `xz -9`, needs 65 MiB.
pub const XZ_MEMORY_BYTES_MAX: u64 = 80 << 20;
/// Logarithm of the largest window that a zstd frame may ask for. 128 MiB is what zstd itself makes
/// and reads unless it is asked for more.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;

const BUFFER_BYTES: usize = 256 << 10;

/// A reader of uncompressed bytes; see [`decoder`].
pub struct Decoder<R: Read>(Kind<R>);

enum Kind<R: Read> {
    None(BufReader<R>),
    Gzip(MultiGzDecoder<BufReader<R>>),
    Xz(XzDecoder<BufReader<R>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<R>>),
}

/// Decompresses `inner`.
///
/// Of gzip, members in a row are one stream, as for gzip itself. Of xz and zstd there must be one
/// stream and nothing behind it: dpkg reads no more, other readers do.
///
/// # Errors
///
/// Making it fails only when there is no memory. Reading fails on damage, on a stream that breaks
/// off, on bytes behind it, and with [`io::ErrorKind::InvalidData`] when it would need more memory
/// than [`XZ_MEMORY_BYTES_MAX`] or a larger window than [`ZSTD_WINDOW_LOG_MAX`].
pub fn decoder<R: Read>(compression: Compression, inner: R) -> io::Result<Decoder<R>> {
    let inner = BufReader::with_capacity(BUFFER_BYTES, inner);
    Ok(Decoder(match compression {
        Compression::None => Kind::None(inner),
        Compression::Gzip => Kind::Gzip(MultiGzDecoder::new(inner)),
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY_BYTES_MAX, 0)?;
            Kind::Xz(XzDecoder::new_stream(inner, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(inner)?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Kind::Zstd(decoder)
        }
    }))
}

impl<R: Read> std::fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::None(_) => "Decoder(none)",
            Kind::Gzip(_) => "Decoder(gz)",
            Kind::Xz(_) => "Decoder(xz)",
            Kind::Zstd(_) => "Decoder(zst)",
        })
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::None(inner) => inner.read(buffer),
            Kind::Gzip(inner) => inner.read(buffer),
            Kind::Xz(inner) => {
                let count = inner.read(buffer).map_err(xz_error)?;
                if count == 0 && !buffer.is_empty() {
                    at_end(inner.get_mut(), "xz")?;
                }
                Ok(count)
            }
            Kind::Zstd(inner) => {
                let count = inner.read(buffer).map_err(zstd_error)?;
                if count == 0 && !buffer.is_empty() {
                    at_end(inner.get_mut(), "zstd")?;
                }
                Ok(count)
            }
        }
    }
}

fn at_end(inner: &mut impl BufRead, name: &str) -> io::Result<()> {
    if inner.fill_buf()?.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("something follows the {name} stream")))
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

fn xz_error(error: io::Error) -> io::Error {
    use liblzma::stream::Error;
    let reason = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match reason {
        Some(Error::MemLimit) => invalid(format!(
            "the xz stream needs more memory than the limit of {} MiB",
            XZ_MEMORY_BYTES_MAX >> 20
        )),
        Some(Error::Format) => invalid("this is no xz stream".to_owned()),
        Some(Error::Data) => invalid("the xz stream is damaged".to_owned()),
        Some(Error::Options) => {
            invalid("the xz stream uses an option that liblzma does not know".to_owned())
        }
        _ => error,
    }
}

/// zstd's own errors come as text only, and without an operating system's number.
fn zstd_error(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::UnexpectedEof {
        return error;
    }
    let text = error.to_string();
    if text.contains("too much memory") {
        return invalid(format!(
            "the zstd stream needs more memory than the limit of {} MiB",
            1_u64 << ZSTD_WINDOW_LOG_MAX >> 20
        ));
    }
    if error.kind() == io::ErrorKind::Other {
        return invalid(format!("the zstd stream is damaged: {text}"));
    }
    error
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use liblzma::stream::{Filters, LzmaOptions};

    use super::*;
    use crate::Encoder;

    fn encoded(compression: Compression, input: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(compression, Vec::new());
        encoder.write_all(input).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(compression: Compression, input: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        decoder(compression, input)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn damage_and_what_follows_are_refused() {
        let text = b"some words ".repeat(1000);
        for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
            let good = encoded(compression, &text);
            assert_eq!(decoded(compression, &good).unwrap(), text);
            for end in 0..good.len() {
                let error = decoded(compression, &good[..end]);
                // No gzip member at all is a stream without content to flate2.
                let empty = compression == Compression::Gzip && end == 0;
                assert!(error.is_err() || empty, "{compression} cut at {end}");
            }
            for at in [0, good.len() / 2, good.len() - 6] {
                let mut bad = good.clone();
                bad[at] ^= 0x55;
                assert!(decoded(compression, &bad).is_err(), "{compression} {at}");
            }
            let longer = [good.as_slice(), b"x"].concat();
            assert!(decoded(compression, &longer).is_err(), "{compression}");
            let twice = [good.as_slice(), &good].concat();
            let again = decoded(compression, &twice);
            match compression {
                Compression::Gzip => assert_eq!(again.unwrap(), text.repeat(2)),
                _ => assert!(again.unwrap_err().to_string().contains("follows the")),
            }
        }
    }

    #[test]
    fn a_stream_that_wants_much_memory_is_refused() {
        let refused = |compression, bytes: &[u8]| {
            let error = decoded(compression, bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("more memory"), "{error}");
        };
        let xz = |dictionary: u32| {
            let mut options = LzmaOptions::new_preset(0).unwrap();
            options.dict_size(dictionary);
            let mut filters = Filters::new();
            filters.lzma2(&options);
            let stream = Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32);
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream.unwrap());
            encoder.write_all(b"abc").unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(decoded(Compression::Xz, &xz(64 << 20)).unwrap(), b"abc");
        refused(Compression::Xz, &xz(96 << 20));
        // A frame header (RFC 8878 section 3.1.1.1) with a window of 2^27 bytes, then of 2^28, and a
        // raw last block of three bytes.
        let zstd = |log: u8| {
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3];
            frame.extend([1 | 3 << 3, 0, 0]);
            frame.extend(b"abc");
            frame
        };
        assert_eq!(decoded(Compression::Zstd, &zstd(27)).unwrap(), b"abc");
        refused(Compression::Zstd, &zstd(28));
    }
}
