//! Whether a client is still there, without touching what it sent.
//!
//! A socket that holds an unread byte does not show the end behind it to a reader. The kernel's
//! table of connections does.

use std::net::SocketAddr;
use std::path::Path;

/// Largest table read: some fifty thousand connections.
const TABLE_BYTES_MAX: u64 = 8 << 20;

/// State of an open connection in the table.
const ESTABLISHED: &str = "01";

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl Ends {
    /// Whether the client has neither ended nor reset the connection. `true` where there is no table.
    pub(super) fn is_open(self) -> bool {
        let table = if self.local.is_ipv4() {
            "/proc/net/tcp"
        } else {
            "/proc/net/tcp6"
        };
        match fork_fs::read_limited(Path::new(table), TABLE_BYTES_MAX) {
            Ok(table) => self.is_open_in(&String::from_utf8_lossy(&table)),
            Err(_) => true,
        }
    }

    fn is_open_in(self, table: &str) -> bool {
        let local = format!(":{:04X}", self.local.port());
        let peer = format!(":{:04X}", self.peer.port());
        table.lines().skip(1).any(|line| {
            let mut columns = line.split_ascii_whitespace().skip(1);
            let mut ends_with = |port: &str| columns.next().is_some_and(|end| end.ends_with(port));
            ends_with(&local) && ends_with(&peer) && columns.next() == Some(ESTABLISHED)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_table_shows_the_end_behind_unread_bytes() {
        use std::io::Write;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let ends = Ends {
            local: server.local_addr().unwrap(),
            peer,
        };
        client.write_all(b"x").unwrap();
        assert!(ends.is_open());
        drop(client);
        assert!(!ends.is_open());
    }
}
