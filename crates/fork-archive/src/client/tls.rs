//! Encryption of the way to a server, and who it is.
//!
//! The modes are those of `libpq`. Source: PostgreSQL's documentation, "SSL Support" of libpq and "SSL
//! Session Encryption" of the protocol.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};

use super::socket::Socket;
use crate::error::{ArchiveError, ArchiveErrorKind};
use crate::uri::{ArchiveUri, Endpoint, TlsMode, UriError};

/// What the server answers when it can encrypt.
const WILLING: u8 = b'S';

/// Encrypts the way to the server as the URI says; a socket of this machine stays as it is.
pub(super) fn protect(mut socket: Socket, uri: &ArchiveUri) -> Result<Socket, ArchiveError> {
    let Endpoint::Tcp { host, .. } = &uri.endpoint else {
        return Ok(socket);
    };
    if uri.tls == TlsMode::Disable {
        return Ok(socket);
    }
    let server = || uri.endpoint.to_string();
    let config = config(uri)?;
    let failed = |source| ArchiveErrorKind::Tls {
        server: server(),
        source,
    };
    let lost = |source| ArchiveErrorKind::Lost {
        server: server(),
        source,
    };
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).map_err(lost)?;
    // One byte and no more: what follows in the clear is nobody's.
    let mut answer = [0];
    let read = socket.read(&mut answer).map_err(lost)?;
    if read == 0 {
        let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it");
        return Err(lost(closed).into());
    }
    if answer[0] != WILLING {
        return match (answer[0], uri.tls) {
            (b'N', TlsMode::Prefer) => Ok(socket),
            (b'N', mode) => Err(ArchiveErrorKind::NoTls {
                server: server(),
                mode: mode.name(),
            }
            .into()),
            _ => Err(ArchiveErrorKind::Protocol {
                server: server(),
                what: "bytes that are no message".to_owned(),
            }
            .into()),
        };
    }
    let Socket::Tcp(mut stream) = socket else {
        return Ok(socket);
    };
    let is_verified = uri.tls != TlsMode::Prefer && uri.root_certificates.is_some();
    let name = ServerName::try_from(host.clone()).map_err(|_| {
        failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the host has no name that a certificate can have",
        ))
    })?;
    let mut connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(failed)?;
    }
    let stream = StreamOwned::new(connection, stream);
    Ok(Socket::Tls(Box::new(stream), is_verified))
}

fn config(uri: &ArchiveUri) -> Result<ClientConfig, ArchiveError> {
    let provider = Arc::new(ring::default_provider());
    let unusable = |problem: String| UriError::RootCertificates { problem };
    let trusted = match &uri.root_certificates {
        // Encrypted, whoever it is: there is nothing to refuse by.
        None => None,
        Some(_) if uri.tls == TlsMode::Prefer => None,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| unusable(error.to_string()))?;
            }
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(
                verifier
                    .build()
                    .map_err(|error| unusable(error.to_string()))?,
            )
        }
    };
    let verifier = Verifier {
        trusted,
        any_name: uri.tls != TlsMode::VerifyFull,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// Verifies as much as the mode asks for; the ready-made one knows `verify-full` alone.
#[derive(Debug)]
struct Verifier {
    trusted: Option<Arc<WebPkiServerVerifier>>,
    /// Whether the certificate may be for another name.
    any_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        match trusted.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            // The chain is verified before the name is looked at.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
