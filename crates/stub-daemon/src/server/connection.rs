//! One connection: requests in, bytes out, and the three ways to end it.
//!
//! Closing a socket whose receive buffer is not empty makes Linux send a reset instead of an orderly
//! end. So the last byte that came in is always left in that buffer (it is looked at, not taken)
//! until more is needed: dropping the connection then resets it, and an orderly end takes the byte
//! first. Neither `SO_LINGER` nor any unsafe code is needed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::peer::Ends;

/// How often a waiting connection looks whether it is still wanted.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Largest header of a request.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// Largest body of a request: a query is a few hundred bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Most header fields of a request.
const HEADERS_MAX: usize = 64;

/// How long a connection may be silent between requests.
const IDLE: Duration = Duration::from_secs(120);

/// How long an orderly end waits for the client's.
const LINGER: Duration = Duration::from_millis(500);

/// Time for sent bytes to arrive before a reset, which would overtake them.
const DELIVERY: Duration = Duration::from_millis(20);

/// A request as far as this server is concerned.
#[derive(Debug)]
pub(super) struct HttpRequest {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) keep_alive: bool,
    pub(super) body: Vec<u8>,
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// The client has ended the connection, or is silent.
    Ended,
    /// The daemon is being stopped.
    Stopped,
    /// Answer with this status and end.
    Status(u16),
}

/// The connection broke or the daemon is being stopped; nothing more can be sent.
#[derive(Debug)]
pub(super) struct Broken;

pub(super) struct Connection<'a> {
    stream: TcpStream,
    ends: Ends,
    buffer: Vec<u8>,
    /// Whether the last byte of the buffer is still in the socket's.
    held: bool,
    alive: &'a dyn Fn() -> bool,
}

struct Head {
    method: String,
    path: String,
    keep_alive: bool,
    length: Length,
    expects_continue: bool,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: TcpStream, alive: &'a dyn Fn() -> bool) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(LOOK))?;
        let ends = Ends {
            local: stream.local_addr()?,
            peer: stream.peer_addr()?,
        };
        Ok(Self {
            stream,
            ends,
            buffer: Vec::new(),
            held: false,
            alive,
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        (self.alive)()
    }

    /// Whether anybody is there to read an answer.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_alive() && self.ends.is_open()
    }

    pub(super) const fn ends(&self) -> Ends {
        self.ends
    }

    pub(super) fn request(&mut self) -> Result<HttpRequest, NoRequest> {
        let head = loop {
            match parse_head(&self.buffer)? {
                Some(head) => break head,
                None if self.buffer.len() > HEADER_BYTES_MAX => {
                    return Err(NoRequest::Status(431));
                }
                None => self.fill()?,
            }
        };
        if let Length::Known(length) = head.length
            && length > BODY_BYTES_MAX
        {
            return Err(NoRequest::Status(413));
        }
        if head.expects_continue {
            let text = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.send(text).map_err(|Broken| NoRequest::Ended)?;
        }
        let (body, end) = loop {
            let bytes = &self.buffer[head.bytes..];
            let parsed = match head.length {
                Length::Known(length) => bytes.get(..length).map(|body| (body.to_vec(), length)),
                Length::Chunked => parse_chunks(bytes)?,
            };
            match parsed {
                Some(parsed) => break parsed,
                None if bytes.len() > 2 * BODY_BYTES_MAX => return Err(NoRequest::Status(413)),
                None => self.fill()?,
            }
        };
        self.buffer.drain(..head.bytes + end);
        Ok(HttpRequest {
            method: head.method,
            path: head.path,
            keep_alive: head.keep_alive,
            body,
        })
    }

    /// Waits for more bytes; the last of them stays in the socket.
    fn fill(&mut self) -> Result<(), NoRequest> {
        self.take_held().map_err(|_| NoRequest::Ended)?;
        let mut piece = [0; 16 << 10];
        let since = Instant::now();
        loop {
            match self.stream.peek(&mut piece) {
                Ok(0) => return Err(NoRequest::Ended),
                Ok(count) => {
                    self.buffer.extend_from_slice(&piece[..count]);
                    self.stream
                        .read_exact(&mut piece[..count - 1])
                        .map_err(|_| NoRequest::Ended)?;
                    self.held = true;
                    return Ok(());
                }
                Err(error) if is_timeout(&error) => {
                    if !self.is_alive() {
                        return Err(NoRequest::Stopped);
                    }
                    if since.elapsed() > IDLE {
                        return Err(NoRequest::Ended);
                    }
                }
                Err(_) => return Err(NoRequest::Ended),
            }
        }
    }

    fn take_held(&mut self) -> io::Result<()> {
        if self.held {
            self.stream.read_exact(&mut [0])?;
            self.held = false;
        }
        Ok(())
    }

    /// Sends all of it, however slowly the client reads.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(Broken),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_timeout(&error) && self.is_alive() => {}
                Err(_) => return Err(Broken),
            }
        }
        Ok(())
    }

    /// Ends the connection in order: the client reads all that was sent, and then the end.
    pub(super) fn close(mut self) {
        if self.take_held().is_err() || self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        // What a client still sends must be taken, or it would make a reset of the end.
        let since = Instant::now();
        let mut piece = [0; 4096];
        while since.elapsed() < LINGER && self.is_alive() {
            match self.stream.read(&mut piece) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(_) => return,
            }
        }
    }

    /// Resets the connection.
    pub(super) fn reset(self) {
        std::thread::sleep(DELIVERY);
        drop(self);
    }
}

/// The header, once all of it is there.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, NoRequest> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let bytes = match request.parse(bytes) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(NoRequest::Status(400)),
    };
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
    };
    let chunked = header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let length = match header("content-length") {
        _ if chunked => Length::Chunked,
        None => Length::Known(0),
        Some(text) => Length::Known(text.trim().parse().map_err(|_| NoRequest::Status(400))?),
    };
    let keep_alive = match header("connection") {
        Some(value) if value.contains("close") => false,
        Some(value) if value.contains("keep-alive") => true,
        _ => request.version == Some(1),
    };
    let target = request.path.unwrap_or_default();
    Ok(Some(Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        keep_alive,
        length,
        expects_continue: header("expect").is_some_and(|value| value.contains("100-continue")),
        bytes,
    }))
}

/// A chunked body and the number of bytes it takes, once all of it is there.
fn parse_chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, NoRequest> {
    let mut body = Vec::new();
    let mut position = 0;
    loop {
        let rest = &bytes[position..];
        let (header, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((header, size))) => (header, size),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(NoRequest::Status(400)),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > BODY_BYTES_MAX - body.len() {
            return Err(NoRequest::Status(413));
        }
        // The data of a chunk, and of the last one the empty list of trailers, end in a line end.
        let end = header + size + 2;
        let Some(chunk) = rest.get(header..end) else {
            return Ok(None);
        };
        if !chunk.ends_with(b"\r\n") {
            return Err(NoRequest::Status(400));
        }
        body.extend_from_slice(&chunk[..size]);
        position += end;
        if size == 0 {
            return Ok(Some((body, position)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        let text = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nrest";
        let (body, bytes) = parse_chunks(text).unwrap().unwrap();
        assert_eq!(body, b"abcde");
        assert_eq!(&text[bytes..], b"rest");
        for cut in 0..bytes {
            assert!(parse_chunks(&text[..cut]).unwrap().is_none(), "{cut}");
        }
        assert!(parse_chunks(b"x\r\n").is_err());
        assert!(matches!(
            parse_chunks(b"fffffff\r\n"),
            Err(NoRequest::Status(413))
        ));
    }

    #[test]
    fn heads_say_how_long_and_whether_to_go_on() {
        let head = |text: &str| parse_head(text.as_bytes());
        let one = head("POST /graphql?x HTTP/1.1\r\nContent-Length: 7\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(
            (one.method.as_str(), one.path.as_str()),
            ("POST", "/graphql")
        );
        assert!(one.keep_alive && one.length == Length::Known(7));
        let two = head("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert!(!two.keep_alive && two.length == Length::Known(0));
        assert!(head("POST /graphql HTTP/1.1\r\nHost").unwrap().is_none());
        assert!(head("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(head("\u{0}").is_err());
    }
}
