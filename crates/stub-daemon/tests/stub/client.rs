//! A client that keeps every byte and how the connection ended.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All that was promised came.
    Complete,
    /// The connection was ended in order.
    Closed,
    /// The connection was reset.
    Reset,
}

#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
    pub end: End,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.end, End::Complete, "{}", self.head);
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn promised(&self) -> usize {
        let (_, rest) = self.head.split_once("Content-Length: ").unwrap();
        rest.split("\r\n").next().unwrap().parse().unwrap()
    }
}

pub struct Client(pub TcpStream);

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(stream)
    }

    pub fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    pub fn query(&mut self, query: &str) {
        let body = json!({ "query": query }).to_string();
        self.write(&format!(
            "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    pub fn ask(&mut self, query: &str) -> Answer {
        self.query(query);
        self.read()
    }

    /// One read; `None` at the end.
    pub fn read_some(&mut self, bytes_max: usize) -> Result<Vec<u8>, End> {
        let mut piece = vec![0; bytes_max];
        match self.0.read(&mut piece) {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                piece.truncate(count);
                Ok(piece)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
            Err(error) => panic!("{error}"),
        }
    }

    pub fn read(&mut self) -> Answer {
        let mut bytes = Vec::new();
        let mut end = None;
        loop {
            let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(head_end) = head_end {
                let head = String::from_utf8(bytes[..head_end + 2].to_vec()).unwrap();
                let mut answer = Answer {
                    head,
                    body: bytes[head_end + 4..].to_vec(),
                    end: End::Complete,
                };
                let complete = if answer.head.contains("chunked") {
                    answer.body.ends_with(b"\r\n0\r\n\r\n")
                } else {
                    answer.body.len() >= answer.promised()
                };
                if complete {
                    return answer;
                }
                if let Some(end) = end {
                    answer.end = end;
                    return answer;
                }
            } else if let Some(end) = end {
                return Answer {
                    head: String::from_utf8(bytes).unwrap(),
                    body: Vec::new(),
                    end,
                };
            }
            match self.read_some(1 << 16) {
                Ok(piece) => bytes.extend(piece),
                Err(ended) => end = Some(ended),
            }
        }
    }
}

/// Asks on a connection of its own.
pub fn ask(address: SocketAddr, query: &str) -> Answer {
    Client::new(address).ask(query)
}
