//! A blocking client of PostgreSQL's protocol, version 3: log in, and read rows in portions.
//!
//! All values come as text, which is what the archive's columns mostly are. Only what was asked for
//! is in flight: a portion of rows is requested when the one before was taken, so memory is one
//! portion here and the server's own sort there.
//!
//! Source: PostgreSQL's documentation, "Frontend/Backend Protocol"; the messages themselves are
//! `postgres-protocol`'s.

mod login;
mod row;
mod socket;
mod tls;

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::backend::{ErrorResponseBody, Header, Message};
use postgres_protocol::message::frontend;

use crate::error::{ArchiveError, ArchiveErrorKind};
use crate::uri::ArchiveUri;

pub use row::Row;
use socket::Socket;

/// Longest message read, in bytes. The longest row asked for has a verification key of 2.4 kB; an
/// error with its context may be longer.
const MESSAGE_BYTES_MAX: u64 = 1 << 24;

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 1 << 16;

/// Longest text of a server's message that goes into ours.
const SERVER_TEXT_CHARS_MAX: usize = 300;

/// The name of the one statement whose rows are taken in portions.
const PORTAL: &str = "ledger";

/// A connection.
pub struct Client {
    socket: Socket,
    /// Bytes received and not yet understood.
    received: BytesMut,
    /// Bytes to send.
    outgoing: BytesMut,
    /// The server as messages name it.
    server: String,
    server_version: String,
}

impl Client {
    /// Connects and logs in. `connect` is how long that may take in each of its steps; `silence` is
    /// how long the server may later be silent, which must be longer than any statement.
    ///
    /// # Errors
    ///
    /// Fails when nobody answers, and when the server does not let this user in.
    pub fn connect(
        uri: &ArchiveUri,
        connect: Duration,
        silence: Duration,
    ) -> Result<Self, ArchiveError> {
        let server = uri.endpoint.to_string();
        let open = || {
            let socket = Socket::open(&uri.endpoint, connect)?;
            socket.set_patience(connect)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| ArchiveErrorKind::Connect {
            server: server.clone(),
            source,
        })?;
        let socket = tls::protect(socket, uri)?;
        let mut client = Self {
            socket,
            received: BytesMut::new(),
            outgoing: BytesMut::new(),
            server,
            server_version: String::new(),
        };
        client.log_in(uri)?;
        let set = client.socket.set_patience(silence);
        set.map_err(|source| client.lost(source))?;
        Ok(client)
    }

    /// The server as messages name it: host or directory, and port.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Version of the server, as it states it.
    #[must_use]
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// Runs statements that give no rows; `what` says in an error what they are for.
    ///
    /// # Errors
    ///
    /// Fails when the server refuses.
    pub fn execute(&mut self, what: &'static str, sql: &str) -> Result<(), ArchiveError> {
        let composed = frontend::query(sql, &mut self.outgoing);
        composed.map_err(|source| self.lost(source))?;
        self.send()?;
        self.answers(what, &mut |_| Ok(())).map(|_| ())
    }

    /// Runs a query and gives its rows to `visit`. `parameters` stand for `$1`, `$2`, … as text.
    ///
    /// # Errors
    ///
    /// Fails when the server refuses or `visit` does.
    pub fn query(
        &mut self,
        what: &'static str,
        sql: &str,
        parameters: &[&str],
        visit: &mut dyn FnMut(&Row) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        self.start("", sql, parameters)
            .and_then(|()| frontend::execute("", 0, &mut self.outgoing))
            .map_err(|source| self.lost(source))?;
        frontend::sync(&mut self.outgoing);
        self.send()?;
        self.answers(what, visit).map(|_| ())
    }

    /// Begins a query whose rows [`Self::fetch`] takes in portions; it needs a transaction. There is
    /// one at a time; a new one ends the old one. Other queries may run in between.
    ///
    /// # Errors
    ///
    /// Fails when the server refuses.
    pub fn open(
        &mut self,
        what: &'static str,
        sql: &str,
        parameters: &[&str],
    ) -> Result<(), ArchiveError> {
        frontend::close(b'P', PORTAL, &mut self.outgoing)
            .and_then(|()| self.start(PORTAL, sql, parameters))
            .map_err(|source| self.lost(source))?;
        frontend::sync(&mut self.outgoing);
        self.send()?;
        self.answers(what, &mut |_| Ok(())).map(|_| ())
    }

    /// Takes up to `rows_max` rows of the query that was opened, and says whether there are more.
    ///
    /// # Errors
    ///
    /// Fails when the server refuses or `visit` does.
    pub fn fetch(
        &mut self,
        what: &'static str,
        rows_max: u16,
        visit: &mut dyn FnMut(&Row) -> Result<(), ArchiveError>,
    ) -> Result<bool, ArchiveError> {
        let composed = frontend::execute(PORTAL, i32::from(rows_max), &mut self.outgoing);
        composed.map_err(|source| self.lost(source))?;
        frontend::sync(&mut self.outgoing);
        self.send()?;
        self.answers(what, visit)
    }

    /// Composes the beginning of a query.
    fn start(&mut self, portal: &str, sql: &str, parameters: &[&str]) -> io::Result<()> {
        // The server infers the parameters' types.
        frontend::parse("", sql, None, &mut self.outgoing)?;
        frontend::bind(
            portal,
            "",
            // Text for all parameters, text for all columns.
            None,
            parameters,
            |parameter, buffer| {
                buffer.extend_from_slice(parameter.as_bytes());
                Ok(postgres_protocol::IsNull::No)
            },
            None,
            &mut self.outgoing,
        )
        .map_err(|error| match error {
            frontend::BindError::Conversion(error) => io::Error::other(error),
            frontend::BindError::Serialization(error) => error,
        })
    }

    /// Reads the answers to what was sent, up to the server's being ready again. Says whether it has
    /// more rows.
    fn answers(
        &mut self,
        what: &'static str,
        visit: &mut dyn FnMut(&Row) -> Result<(), ArchiveError>,
    ) -> Result<bool, ArchiveError> {
        let mut has_more = false;
        // After an error the server skips to the end, and so does this; the first one counts.
        let mut failure: Option<ArchiveError> = None;
        loop {
            let message = match (self.receive(), failure.take()) {
                (Ok(message), said) => {
                    failure = said;
                    message
                }
                // A server that ends the connection says why, and closes it.
                (Err(_), Some(said)) => return Err(said),
                (Err(error), None) => return Err(error),
            };
            match message {
                Message::DataRow(body) => {
                    if failure.is_none() {
                        let visited = Row::new(&body)
                            .map_err(|source| self.lost(source))
                            .and_then(|row| visit(&row));
                        failure = visited.err();
                    }
                }
                Message::PortalSuspended => has_more = true,
                Message::ErrorResponse(body) => {
                    failure.get_or_insert_with(|| self.refused(what, &body));
                }
                Message::ReadyForQuery(_) => break,
                Message::ParseComplete
                | Message::BindComplete
                | Message::CloseComplete
                | Message::CommandComplete(_)
                | Message::EmptyQueryResponse
                | Message::NoData
                | Message::RowDescription(_)
                | Message::ParameterDescription(_) => {}
                _ => return Err(self.unexpected("a message out of place")),
            }
        }
        failure.map_or(Ok(has_more), Err)
    }

    /// The next message that is about what was asked.
    fn receive(&mut self) -> Result<Message, ArchiveError> {
        loop {
            if let Some(header) = Header::parse(&self.received)
                .map_err(|_| self.unexpected("bytes that are no message"))?
            {
                let bytes = u64::try_from(header.len()).unwrap_or_default();
                if bytes > MESSAGE_BYTES_MAX {
                    return Err(ArchiveErrorKind::MessageTooLong {
                        server: self.server.clone(),
                        bytes,
                        max: MESSAGE_BYTES_MAX,
                    }
                    .into());
                }
            }
            let parsed = Message::parse(&mut self.received)
                .map_err(|_| self.unexpected("bytes that are no message"))?;
            match parsed {
                Some(Message::NoticeResponse(_) | Message::NotificationResponse(_)) => {}
                Some(Message::ParameterStatus(status)) => {
                    if let (Ok("server_version"), Ok(value)) = (status.name(), status.value()) {
                        self.server_version = shortened(value);
                    }
                }
                Some(message) => return Ok(message),
                None => self.read_more()?,
            }
        }
    }

    fn read_more(&mut self) -> Result<(), ArchiveError> {
        let start = self.received.len();
        self.received.resize(start + READ_BYTES, 0);
        let read = loop {
            match self.socket.read(&mut self.received[start..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.received
            .truncate(start + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(self.lost(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed it",
            ))),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(self.lost(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the server was silent for too long",
                )))
            }
            Err(error) => Err(self.lost(error)),
        }
    }

    fn send(&mut self) -> Result<(), ArchiveError> {
        let bytes = self.outgoing.split();
        match self.socket.write_all(&bytes) {
            Ok(()) => Ok(()),
            Err(source) => Err(self.last_words().unwrap_or_else(|| self.lost(source))),
        }
    }

    /// Why the server ended the connection: it says so before it closes, and what it said may still
    /// wait here when something is sent to nobody.
    fn last_words(&mut self) -> Option<ArchiveError> {
        loop {
            match self.receive() {
                Ok(Message::ErrorResponse(body)) => return Some(self.refused("go on", &body)),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    fn refused(&self, what: &'static str, body: &ErrorResponseBody) -> ArchiveError {
        let (code, message) = server_error(body);
        ArchiveErrorKind::Refused {
            server: self.server.clone(),
            what,
            code,
            message,
        }
        .into()
    }

    fn lost(&self, source: io::Error) -> ArchiveError {
        ArchiveErrorKind::Lost {
            server: self.server.clone(),
            source,
        }
        .into()
    }

    fn unexpected(&self, what: &str) -> ArchiveError {
        ArchiveErrorKind::Protocol {
            server: self.server.clone(),
            what: what.to_owned(),
        }
        .into()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Courtesy: the server would notice anyway.
        frontend::terminate(&mut self.outgoing);
        let bytes = self.outgoing.split();
        let _ = self.socket.write_all(&bytes);
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Code and message of a server's error.
fn server_error(body: &ErrorResponseBody) -> (String, String) {
    use postgres_protocol::message::backend::ErrorField;

    let (mut code, mut message) = (String::new(), String::new());
    let mut fields = body.fields();
    while let Ok(Some(field)) = next_field(&mut fields) {
        let value =
            |field: &ErrorField<'_>| shortened(&String::from_utf8_lossy(field.value_bytes()));
        match field.type_() {
            b'C' => code = value(&field),
            b'M' => message = value(&field),
            _ => {}
        }
    }
    (code, message)
}

fn next_field<'a>(
    fields: &mut postgres_protocol::message::backend::ErrorFields<'a>,
) -> io::Result<Option<postgres_protocol::message::backend::ErrorField<'a>>> {
    fallible_iterator::FallibleIterator::next(fields)
}

/// A server's text on one line and of bounded length.
fn shortened(text: &str) -> String {
    text.chars()
        .take(SERVER_TEXT_CHARS_MAX)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
