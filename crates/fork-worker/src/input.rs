//! Inputs: paths and URLs, compressed or not, hashed while they are read.
//!
//! `file://`, `http://` and `https://` URLs and plain paths are read; `s3://BUCKET/KEY` and
//! `gs://BUCKET/KEY` are fetched over HTTPS as public objects (private ones need their signed
//! `https://` URL). gzip and zstd are recognised by their first bytes, not by a file name.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fork_fs::{FsError, HashingReader};
use fork_types::document::SourceRef;
use fork_types::{Class, Fault};

/// Buffer between the source and the decompressor, and after it.
const BUFFER_BYTES: usize = 1 << 18;

/// Time to get an answer's header. Bodies are not limited: a fork config takes minutes on a slow
/// line, and a dead connection ends with an error of its own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest zstd window taken (2^27 bytes = 128 MiB, the most `zstd --long=27` makes): bounds the
/// memory a hostile input can ask for.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Where an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputArg {
    /// A file.
    Path(PathBuf),
    /// An `http`, `https`, `s3` or `gs` URL.
    Url(String),
}

impl FromStr for InputArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an input path or URL is empty".to_owned());
        }
        match text.split_once("://") {
            None => Ok(Self::Path(PathBuf::from(text))),
            Some(("file", path)) => Ok(Self::Path(PathBuf::from(path))),
            Some(("http" | "https" | "s3" | "gs", _)) => Ok(Self::Url(text.to_owned())),
            Some((scheme, _)) => Err(format!(
                "`{scheme}://` is not supported; use a path, file://, http://, https://, s3:// or gs://"
            )),
        }
    }
}

impl fmt::Display for InputArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(&crate::text::without_credentials(url)),
        }
    }
}

/// An input that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file error.
    #[error(transparent)]
    File(#[from] FsError),
    /// The server or the line failed.
    #[error("could not fetch `{url}`")]
    Fetch {
        /// Without credentials.
        url: String,
        /// Why not.
        source: Box<ureq::Error>,
    },
    /// Bytes stopped, or are no valid gzip or zstd.
    #[error("`{name}` is truncated or damaged after {bytes} bytes")]
    Damaged {
        /// Path or URL.
        name: String,
        /// Bytes read before.
        bytes: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// Not the content that was pinned.
    #[error("`{name}` has SHA-256 {found}, expected {expected}")]
    Digest {
        /// Path or URL.
        name: String,
        /// Pinned digest.
        expected: String,
        /// Digest of what was read.
        found: String,
    },
}

impl Fault for InputError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Fetch { source, .. } => match source.as_ref() {
                // A 4xx answer will be the same the next time.
                ureq::Error::StatusCode(400..=499) | ureq::Error::BadUri(_) => Class::BadInput,
                _ => Class::Environment,
            },
            Self::Damaged { source, .. } => match source.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Other => Class::BadInput,
                _ => Class::Environment,
            },
            Self::Digest { .. } => Class::Wrong,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Fetch { .. } => {
                Some("try the URL by hand, or download the file and pass its path".to_owned())
            }
            Self::Damaged { .. } => Some(
                "the copy is incomplete: fetch the file again and compare its SHA-256 with the source"
                    .to_owned(),
            ),
            Self::Digest { .. } => {
                Some("this is not the file that was pinned with --sha256; nothing was written".to_owned())
            }
        }
    }
}

/// An open input: a buffered reader over the decompressed bytes.
pub struct Input {
    name: String,
    kind: &'static str,
    reader: Box<dyn BufRead + Send>,
    counter: Arc<Mutex<Counted>>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The raw reader's state, shared so that the digest is at hand after the decompressor above it is
/// dropped.
struct Counted {
    raw: Option<HashingReader<Box<dyn Read + Send>>>,
    bytes: u64,
    progress: Option<crate::Progress>,
}

struct Raw(Arc<Mutex<Counted>>);

fn lock(counter: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    // Counts and digest are valid between any two statements.
    counter.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut counted = lock(&self.0);
        let count = match counted.raw.as_mut() {
            Some(raw) => raw.read(buffer)?,
            None => 0,
        };
        counted.bytes += count as u64;
        if let Some(progress) = &counted.progress {
            progress.advance(count as u64);
        }
        Ok(count)
    }
}

impl Input {
    /// Opens an input; `kind` says what it is used as (`fork-config`, `block`, …). A progress bar
    /// follows the raw bytes.
    ///
    /// # Errors
    ///
    /// Fails when the file or URL cannot be opened, or begins as no readable gzip or zstd.
    pub fn open(
        argument: &InputArg,
        kind: &'static str,
        context: &crate::Context,
    ) -> Result<Self, InputError> {
        let (raw, total): (Box<dyn Read + Send>, u64) = match argument {
            InputArg::Path(path) => {
                let total = fork_fs::file_bytes(path)?;
                (Box::new(fork_fs::open(path)?), total)
            }
            InputArg::Url(url) => fetch(url)?,
        };
        let progress = context.progress(&format!("reading {kind}"), total, crate::Unit::Bytes);
        Self::from_reader(raw, argument.to_string(), kind, Some(progress))
    }

    fn from_reader(
        raw: Box<dyn Read + Send>,
        name: String,
        kind: &'static str,
        progress: Option<crate::Progress>,
    ) -> Result<Self, InputError> {
        let counter = Arc::new(Mutex::new(Counted {
            raw: Some(HashingReader::new(raw)),
            bytes: 0,
            progress,
        }));
        let damaged = |source| InputError::Damaged {
            name: name.clone(),
            bytes: 0,
            source,
        };
        let mut buffered = BufReader::with_capacity(BUFFER_BYTES, Raw(counter.clone()));
        let start = buffered.fill_buf().map_err(damaged)?;
        let reader: Box<dyn BufRead + Send> = if start.starts_with(&[0x1f, 0x8b]) {
            let gzip = flate2::bufread::MultiGzDecoder::new(buffered);
            Box::new(BufReader::with_capacity(BUFFER_BYTES, gzip))
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut zstd = zstd::stream::read::Decoder::with_buffer(buffered).map_err(damaged)?;
            zstd.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd))
        } else {
            Box::new(buffered)
        };
        Ok(Self {
            name,
            kind,
            reader,
            counter,
        })
    }

    /// Path or URL, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Raw bytes read so far.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        lock(&self.counter).bytes
    }

    /// Turns an I/O error met while reading into one that names the input.
    #[must_use]
    pub fn damaged(&self, source: io::Error) -> InputError {
        InputError::Damaged {
            name: self.name.clone(),
            bytes: self.raw_bytes(),
            source,
        }
    }

    /// Reads a small input whole: its decompressed bytes, at most `bytes_max` of them, and what was
    /// read; compares it with `pinned` when given.
    ///
    /// # Errors
    ///
    /// Fails as [`Input::open`] and [`Input::finish`], and when there are more bytes.
    pub fn read_all(
        argument: &InputArg,
        kind: &'static str,
        bytes_max: u64,
        pinned: Option<&str>,
        context: &crate::Context,
    ) -> Result<(Vec<u8>, SourceRef), InputError> {
        let mut input = Self::open(argument, kind, context)?;
        let mut bytes = Vec::new();
        (&mut input)
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| input.damaged(source))?;
        if bytes.len() as u64 > bytes_max {
            let source = io::Error::new(
                io::ErrorKind::InvalidData,
                format!("larger than {bytes_max} bytes, the limit for a {kind}"),
            );
            return Err(input.damaged(source));
        }
        Ok((bytes, input.finish(pinned)?))
    }

    /// Reads what is left (a checksum may still fail there) and returns what was read; compares it
    /// with `pinned` when given.
    ///
    /// # Errors
    ///
    /// Fails when the rest is damaged, or the digest is not the pinned one.
    pub fn finish(mut self, pinned: Option<&str>) -> Result<SourceRef, InputError> {
        io::copy(&mut self.reader, &mut io::sink()).map_err(|source| self.damaged(source))?;
        // Bytes after the compressed stream belong to the file as well.
        io::copy(&mut Raw(self.counter.clone()), &mut io::sink())
            .map_err(|source| self.damaged(source))?;
        let raw = lock(&self.counter).raw.take();
        let digested = raw.map(HashingReader::finish).unwrap_or(fork_fs::Digested {
            sha256: String::new(),
            bytes: 0,
        });
        if let Some(expected) =
            pinned.filter(|expected| !expected.eq_ignore_ascii_case(&digested.sha256))
        {
            return Err(InputError::Digest {
                name: self.name,
                expected: expected.to_owned(),
                found: digested.sha256,
            });
        }
        Ok(SourceRef {
            kind: self.kind.to_owned(),
            name: last_component(&self.name),
            sha256: digested.sha256,
            bytes: digested.bytes,
        })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }
}

fn last_component(name: &str) -> String {
    Path::new(name).file_name().map_or_else(
        || name.to_owned(),
        |last| last.to_string_lossy().into_owned(),
    )
}

/// Parses the value of a `--sha256` option, so that a mistyped pin is a usage error and not a digest
/// mismatch.
///
/// # Errors
///
/// Fails on anything but 64 hexadecimal digits.
pub fn parse_sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected 64 hexadecimal digits".to_owned())
    }
}

/// The HTTPS form of a URL. Bucket URLs name public objects.
fn https_url(url: &str) -> String {
    if let Some(path) = url.strip_prefix("gs://") {
        return format!("https://storage.googleapis.com/{path}");
    }
    match url
        .strip_prefix("s3://")
        .and_then(|path| path.split_once('/'))
    {
        Some((bucket, key)) => format!("https://{bucket}.s3.amazonaws.com/{key}"),
        None => url.to_owned(),
    }
}

/// Opens a URL: its bytes as the server sends them, and how many there are (0 when the server does not
/// say). [`Input::open`] is the one to use for inputs; this one is for looking at what others get.
///
/// # Errors
///
/// Fails when the server cannot be reached, or answers with anything but the file.
pub fn fetch(url: &str) -> Result<(Box<dyn Read + Send>, u64), InputError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .build()
        .into();
    let response = agent
        .get(https_url(url))
        .call()
        .map_err(|source| InputError::Fetch {
            url: InputArg::Url(url.to_owned()).to_string(),
            source: Box::new(source),
        })?;
    let body = response.into_body();
    let total = body.content_length().unwrap_or(0);
    Ok((Box::new(body.into_reader()), total))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{Context, OutputFormat};

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn read(bytes: &[u8], pinned: Option<&str>) -> Result<(Vec<u8>, SourceRef), InputError> {
        let file = file(bytes);
        let argument = InputArg::Path(file.path().to_owned());
        let mut input = Input::open(&argument, "test", &Context::quiet(OutputFormat::Human))?;
        let mut content = Vec::new();
        input
            .read_to_end(&mut content)
            .map_err(|source| input.damaged(source))?;
        Ok((content, input.finish(pinned)?))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_gzip_and_zstd_read_the_same_and_are_hashed_as_they_lie() {
        let content = b"some content".repeat(50_000);
        for raw in [
            content.clone(),
            gzip(&content),
            zstd::stream::encode_all(content.as_slice(), 1).unwrap(),
        ] {
            let (read, source) = read(&raw, None).unwrap();
            assert_eq!(read, content);
            assert_eq!(source.bytes, raw.len() as u64);
            // The digest by another road: the file on disk.
            let on_disk = fork_fs::sha256_file(file(&raw).path()).unwrap();
            assert_eq!(source.sha256, on_disk.sha256);
        }
    }

    #[test]
    fn truncation_and_a_wrong_pin_are_told_apart() {
        let packed = gzip(&b"some content".repeat(1000));
        let cut = &packed[..packed.len() - 5];
        let error = read(cut, None).unwrap_err();
        assert_eq!(error.class(), Class::BadInput, "{error}");
        let long = file(b"12345");
        let argument = InputArg::Path(long.path().to_owned());
        let context = Context::quiet(OutputFormat::Human);
        let whole = Input::read_all(&argument, "test", 5, None, &context).unwrap();
        assert_eq!(whole.0, b"12345");
        let error = Input::read_all(&argument, "test", 4, None, &context).unwrap_err();
        assert_eq!(error.class(), Class::BadInput, "{error}");
        let error = read(b"x", Some("00")).unwrap_err();
        assert_eq!(error.class(), Class::Wrong);
        let missing = InputArg::Path(PathBuf::from("/nonexistent/file"));
        let error =
            Input::open(&missing, "test", &Context::quiet(OutputFormat::Human)).unwrap_err();
        assert_eq!(error.class(), Class::BadInput);
    }

    #[test]
    fn arguments() {
        assert_eq!(
            "file:///a/b".parse(),
            Ok(InputArg::Path(PathBuf::from("/a/b")))
        );
        assert!("ftp://x".parse::<InputArg>().is_err());
        assert!(parse_sha256("00").is_err());
        assert_eq!(parse_sha256(&"AB".repeat(32)), Ok("ab".repeat(32)));
        let url: InputArg = "https://host.example/f.gz?token=secret".parse().unwrap();
        assert!(!url.to_string().contains("secret"));
        assert_eq!(
            https_url("s3://bucket/a/b.gz"),
            "https://bucket.s3.amazonaws.com/a/b.gz"
        );
    }

    #[test]
    fn http_is_fetched_from_a_real_server() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for answer in ["200 OK", "404 Not Found"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).unwrap();
                let body = gzip(b"over http");
                write!(
                    stream,
                    "HTTP/1.1 {answer}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                )
                .unwrap();
                stream.write_all(&body).unwrap();
            }
        });
        let argument: InputArg = format!("http://{address}/f.json.gz?x=1").parse().unwrap();
        let context = Context::quiet(OutputFormat::Human);
        let mut input = Input::open(&argument, "test", &context).unwrap();
        let mut text = String::new();
        input.read_to_string(&mut text).unwrap();
        assert_eq!(text, "over http");
        assert_eq!(input.finish(None).unwrap().name, "f.json.gz");
        let error = Input::open(&argument, "test", &context).unwrap_err();
        assert_eq!(error.class(), Class::BadInput, "{error}");
        server.join().unwrap();
    }
}
