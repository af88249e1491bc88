//! The ways to a server.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use crate::uri::Endpoint;

/// A server that listens on the network or on this machine.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Encrypted, and whether a trusted authority vouches for the server.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>, bool),
}

impl Socket {
    pub(super) fn open(endpoint: &Endpoint, patience: Duration) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let mut last = None;
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, patience) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => last = Some(error),
                    }
                }
                Err(last.unwrap_or_else(|| {
                    io::Error::new(io::ErrorKind::NotFound, "the host has no address")
                }))
            }
            Endpoint::Unix { directory, port } => {
                UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).map(Self::Unix)
            }
        }
    }

    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => set_patience(stream, patience),
            Self::Tls(stream, _) => set_patience(stream.get_ref(), patience),
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))
            }
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream, _) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Tls(stream, _) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Whether nobody on the way can listen.
    pub(super) const fn is_private(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Tls(_, true))
    }
}

fn set_patience(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))
}
