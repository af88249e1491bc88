//! The beginning of a connection: who asks, and the proof of it.

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use super::{Client, server_error};
use crate::error::{ArchiveError, ArchiveErrorKind};
use crate::uri::ArchiveUri;

impl Client {
    pub(super) fn log_in(&mut self, uri: &ArchiveUri) -> Result<(), ArchiveError> {
        let parameters = [
            ("user", uri.user.as_str()),
            ("database", uri.database.as_str()),
            ("application_name", "forkpack"),
            ("client_encoding", "UTF8"),
        ];
        let composed = frontend::startup_message(parameters, &mut self.outgoing);
        composed.map_err(|source| self.lost(source))?;
        self.send()?;
        let mut scram: Option<ScramSha256> = None;
        loop {
            match self.receive()? {
                Message::AuthenticationOk | Message::BackendKeyData(_) => {}
                Message::ReadyForQuery(_) => return Ok(()),
                Message::AuthenticationMd5Password(body) => {
                    let password = self.password(uri)?;
                    let hash = md5_hash(uri.user.as_bytes(), password, body.salt());
                    self.answer(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                Message::AuthenticationCleartextPassword => {
                    // Over a network everybody on the way would read it.
                    if !self.socket.is_private() {
                        return Err(self.unsupported("the password in the clear"));
                    }
                    let password = self.password(uri)?;
                    self.answer(|out| frontend::password_message(password, out))?;
                }
                Message::AuthenticationSasl(body) => {
                    let offered = body.mechanisms().any(|name| Ok(name == SCRAM_SHA_256));
                    if !offered.unwrap_or_default() {
                        return Err(self.unsupported("an unknown kind of SASL"));
                    }
                    let password = self.password(uri)?;
                    let started = ScramSha256::new(password, ChannelBinding::unsupported());
                    self.answer(|out| {
                        frontend::sasl_initial_response(SCRAM_SHA_256, started.message(), out)
                    })?;
                    scram = Some(started);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let scram = scram
                        .as_mut()
                        .ok_or_else(|| self.unexpected("SASL out of turn"))?;
                    let updated = scram.update(body.data());
                    updated.map_err(|_| self.unexpected("a malformed SCRAM message"))?;
                    self.answer(|out| frontend::sasl_response(scram.message(), out))?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let scram = scram
                        .as_mut()
                        .ok_or_else(|| self.unexpected("SASL out of turn"))?;
                    // The server proves that it knows the password, too.
                    let finished = scram.finish(body.data());
                    finished.map_err(|_| self.unexpected("a wrong proof of its identity"))?;
                }
                Message::ErrorResponse(body) => {
                    let (code, message) = server_error(&body);
                    let server = self.server.clone();
                    return Err(if code.starts_with("28") {
                        ArchiveErrorKind::AccessDenied {
                            server,
                            code,
                            message,
                        }
                    } else {
                        ArchiveErrorKind::Refused {
                            server,
                            what: "open the database",
                            code,
                            message,
                        }
                    }
                    .into());
                }
                Message::AuthenticationGss | Message::AuthenticationSspi => {
                    return Err(self.unsupported("GSSAPI"));
                }
                Message::AuthenticationKerberosV5 | Message::AuthenticationScmCredential => {
                    return Err(self.unsupported("an old kind of login"));
                }
                _ => return Err(self.unexpected("a message out of place")),
            }
        }
    }

    fn password<'u>(&self, uri: &'u ArchiveUri) -> Result<&'u [u8], ArchiveError> {
        match &uri.password {
            Some(password) => Ok(password.as_bytes()),
            None => Err(ArchiveErrorKind::NoPassword {
                server: self.server.clone(),
            }
            .into()),
        }
    }

    fn answer(
        &mut self,
        compose: impl FnOnce(&mut bytes::BytesMut) -> std::io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let composed = compose(&mut self.outgoing);
        composed.map_err(|source| self.lost(source))?;
        self.send()
    }

    fn unsupported(&self, method: &'static str) -> ArchiveError {
        ArchiveErrorKind::Authentication {
            server: self.server.clone(),
            method,
        }
        .into()
    }
}
